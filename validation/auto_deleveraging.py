"""Add up the auto-deleveraging of 10 October 2025 and write what is found into docs/auto_deleveraging.md.

    python validation/auto_deleveraging.py        needs the two data files, by default in ../shared/data

Only the text between the page's marks is replaced. Takes a moment.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from page import table, write

import flushpoint as fp
from flushpoint.venue import CLOSING_WINNERS

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared" / "data"
PAGE = ROOT / "docs" / "auto_deleveraging.md"

#: The policies of the data: suffix of their columns, and what they are.
POLICIES = {
    "prod": "what the venue's queue took",
    "pr": "pro rata of endowment",
    "pnl_pr": "pro rata of profit",
    "eq_pr": "pro rata of equity",
    "vector": "mirror descent, coin by coin",
    "contract_pr": "pro rata by contracts, whole ones",
    "fixed_point_ilp_integer": "least highest share, whole contracts",
}
#: Published totals, in USD, and how they are added up from a wave's columns.
PUBLISHED = {
    "deficit": (100_063_386.69, "deficit_usd"),
    "needed": (15_079_669.61, "budget_needed"),
    "taken by the venue": (60_108_335.33, "budget_prod"),
    "taken beyond what was needed": (45_028_665.72, "overshoot_prod"),
}

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Data:
    """The waves, a column a name, and for each wave and coin the quantity closed and the gap to the mark."""

    when: list[tuple[str, str]]
    waves: dict[str, Floats]
    gap_wave: NDArray[np.int64]
    coin: list[str]
    quantity: Floats
    gap: Floats  # USD a contract
    amount: Floats  # USD, as the file has it


def read(waves: Path, gaps: Path) -> Data:
    """Read both files."""
    with waves.open() as file:
        rows = list(csv.DictReader(file))
    with gzip.open(gaps, "rt") as file:
        pieces = list(csv.DictReader(file))
    names = [name for name in rows[0] if name not in ("t_start", "t_end")]
    columns = {name: np.array([float(row[name] or "nan") for row in rows]) for name in names}
    return Data(
        [(row["t_start"], row["t_end"]) for row in rows],
        columns,
        np.array([int(piece["wave"]) for piece in pieces]),
        [piece["coin"] for piece in pieces],
        *(
            np.array([float(piece[name]) for piece in pieces])
            for name in ("qty_contracts", "gap_per_contract_usd", "gap_usd_x_qty")
        ),
    )


def totals(data: Data) -> dict[str, float]:
    """Add up what `PUBLISHED` names."""
    return {name: float(data.waves[column].sum()) for name, (_, column) in PUBLISHED.items()}


def taken(data: Data, policy: str) -> Floats:
    """Add up, by wave, what one of our policies takes: winners' losses to the mark, USD.

    The data do not tell who the winners were. Each coin's are made up: five longs that hold twice what is closed.
    """
    share = np.array([0.1, 0.15, 0.2, 0.25, 0.3])
    entry, leverage = np.array([0.95, 0.8, 0.9, 0.85, 0.7]), np.array([20.0, 5.0, 10.0, 3.0, 2.0])
    money = np.zeros(len(data.when))
    place = {int(wave): i for i, wave in enumerate(data.waves["wave"])}
    for wave, quantity, gap in zip(data.gap_wave, data.quantity, data.gap, strict=True):
        bankruptcy = 1 - 1 / leverage
        closed = fp.auto_deleverage(
            policy, quantity, +1, 2 * quantity * share, entry, bankruptcy * entry, 1.0, bankruptcy * entry / 0.99
        )
        money[place[int(wave)]] += closed.sum() * gap
    return money


def tiny(share: float) -> str:
    """Write a share that is rounding error, or is not."""
    return "less than 1e-12" if share < 1e-12 else f"{share:.0e}"


def data_block(data: Data) -> str:
    """Say what there is."""
    coins = len(set(data.coin))
    needed = data.waves["budget_needed"]
    by_wave = np.array([data.amount[data.gap_wave == wave].sum() for wave in data.waves["wave"]])
    apart = float(np.abs(by_wave / needed - 1).max())
    size = float(np.abs(data.quantity * data.gap - data.amount).sum() / data.amount.sum())
    return (
        f"{len(data.when)} waves from {data.when[0][0][:19]} to {data.when[-1][1][11:19]} UTC, "
        f"{len(data.coin)} pairs of wave and coin, {coins} coins.\n"
        f"Quantity x gap differs from the file's own product by {tiny(size)} of the total;\n"
        f"a wave's sum over coins differs from what the wave is said to need by {tiny(apart)} of it.\n"
    )


def totals_block(data: Data) -> str:
    """Set published totals beside ours."""
    rows = [["USD", "published", "added up here", "agree to the cent"]]
    for name, value in totals(data).items():
        said = PUBLISHED[name][0]
        rows.append([name, f"{said:,.2f}", f"{value:,.2f}", "yes" if abs(value - said) < 0.005 + 1e-6 else "no"])
    return table(rows)


def waves_block(data: Data) -> str:
    """Show each wave: deficit, needed, taken, and by policy."""
    waves = data.waves
    names = [name for name in POLICIES if name != "prod"]
    rows = [["wave", "begins, UTC", "deficit", "needed", "taken", "taken / needed", *(POLICIES[n] for n in names)]]
    for i, wave in enumerate(waves["wave"]):
        line = [f"{wave:.0f}", data.when[i][0][11:19]]
        line += [f"{waves[name][i] / 1e3:,.1f}" for name in ("deficit_usd", "budget_needed", "budget_prod")]
        line.append(f"{waves['budget_prod'][i] / waves['budget_needed'][i]:.2f}")
        rows.append(line + [f"{waves[f'budget_{name}'][i] / 1e3:,.1f}" for name in names])
    return table(rows) + "\nThousand USD; the numbers of the waves are those of the file.\n"


def policies_block(data: Data) -> str:
    """Show what each policy takes in all, and from one winner at most."""
    waves = data.waves
    needed = waves["budget_needed"]
    rows = [["", "taken, USD", "beyond what was needed", "waves above", "waves below", "most of a winner's equity"]]
    for name, title in POLICIES.items():
        budget = waves[f"budget_{name}"]
        off = budget / needed - 1
        rows.append(
            [
                title,
                f"{budget.sum():,.2f}",
                f"{budget.sum() - needed.sum():,.2f}".replace("-0.00", "0.00"),
                str(int((off > 1e-6).sum())),
                str(int((off < -1e-6).sum())),
                f"{100 * waves[f'max_pct_{name}'].max():.1f} %",
            ]
        )
    return table(rows)


def ours_block(data: Data) -> str:
    """Show what our policies take at the same quantities and gaps."""
    needed = data.waves["budget_needed"]
    rows = [["adl", "taken, USD", "beyond what was needed", "largest difference of a wave, relative"]]
    for policy in CLOSING_WINNERS:
        money = taken(data, policy)
        beyond = f"{money.sum() - needed.sum():,.2f}".replace("-0.00", "0.00")
        rows.append([policy, f"{money.sum():,.2f}", beyond, tiny(float(np.abs(money / needed - 1).max()))])
    return table(rows)


def main(argv: Sequence[str] | None = None) -> None:
    """Add everything up and rewrite the page's blocks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--waves", type=Path, default=SHARED / "adl_waves_2025-10-10.csv")
    parser.add_argument("--gaps", type=Path, default=SHARED / "adl_wave_coin_gap_2025-10-10.csv.gz")
    parser.add_argument("--output", type=Path, default=PAGE, help="the page (default: docs/auto_deleveraging.md)")
    options = parser.parse_args(argv)
    for path in (options.waves, options.gaps):
        if not path.exists():
            print(f"nothing done: no file {path}; give --waves and --gaps", file=sys.stderr)
            return
    data = read(options.waves, options.gaps)
    blocks = {
        "data": lambda: data_block(data),
        "totals": lambda: totals_block(data),
        "waves": lambda: waves_block(data),
        "policies": lambda: policies_block(data),
        "ours": lambda: ours_block(data),
    }
    write(options.output, blocks, "validation/auto_deleveraging.py")


if __name__ == "__main__":
    main()
