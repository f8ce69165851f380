"""Infer the margin of real accounts, run the fall of 5 February 2026 through them, and write docs/real_accounts.md.

    python validation/real_accounts.py        needs the data, by default in ../shared, and pip install "flushpoint[io]"

Only the text between the page's marks is replaced. Takes a few seconds.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from page import table, write

import flushpoint as fp

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"
PAGE = ROOT / "docs" / "real_accounts.md"

BEFORE = "data/positions_hyperliquid_2026-02-04T0934.csv.gz"
AFTER = "data/positions_hyperliquid_2026-02-06T1951.csv.gz"
MARKETS = "data/markets_hyperliquid_2026-02-04.csv"
HOURS = "data/alts_hourly_2026-02-01_2026-02-08.csv.gz"
TIERS = "reference/tiers.csv"
FILES = (BEFORE, AFTER, MARKETS, HOURS, TIERS)

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Data:
    """Both snapshots, margin schedules by coin, and hourly prices."""

    before: pd.DataFrame
    after: pd.DataFrame
    schedules: dict[str, fp.MarginSchedule]
    flat: dict[str, fp.MarginSchedule]  # of the lowest tier alone
    hours: pd.DataFrame


def read(shared: Path) -> Data:
    """Read the files."""
    before, after, markets, hours, tiers = (pd.read_csv(shared / name) for name in FILES)
    flat = {row.coin: fp.MarginSchedule.flat(1 / (2 * row.maxLeverage)) for row in markets.itertuples()}
    mine = tiers[tiers.venue == "hyperliquid"].groupby("symbol")
    tiered = {coin: fp.MarginSchedule(rows.notional_floor, rows.maint_rate) for coin, rows in mine}
    return Data(before, after, flat | tiered, flat, hours)


def infer(data: Data, snapshot: pd.DataFrame, schedules: dict[str, fp.MarginSchedule], tolerance: float = 1e-4):
    """Infer the margin of a snapshot's accounts."""
    return fp.infer_margin(
        snapshot.trader_id,
        snapshot.coin,
        snapshot.side * snapshot["size"],
        snapshot.entry_px,
        snapshot.mark_px,
        snapshot.liq_px,
        schedules,
        tolerance=tolerance,
    )


def margin_block(data: Data) -> str:
    """Say how many published prices follow from one pool of margin an account."""
    rows = [
        [
            "snapshot",
            "maintenance",
            "tolerance",
            "accounts",
            "positions",
            "tested",
            "agree",
            "isolated",
            "agree / tested",
        ]
    ]
    for name, snapshot in (("4 February 09:34", data.before), ("6 February 19:51", data.after)):
        for rule, schedules, tolerance in (
            ("lowest tier alone", data.flat, 1e-4),
            ("tiers", data.schedules, 1e-4),
            ("tiers", data.schedules, 1e-8),
        ):
            found = infer(data, snapshot, schedules, tolerance)
            tested, agree = int(found.tested.sum()), int(found.agrees.sum())
            sizes = (found.account.size, len(snapshot), tested, agree, np.count_nonzero(~np.isnan(found.isolated)))
            rows.append([name, rule, f"{tolerance:.0e}", *(f"{size:,}" for size in sizes), f"{agree / tested:.1%}"])
    return table(rows)


def path_of(data: Data, coins: list[str], start: Floats) -> tuple[Floats, list[int]]:
    """Log prices of each coin after each step, (steps, coins), and the hour of each step.

    Six coins have hourly bars. In an hour that falls the high comes first, then the low, then the close; in one that
    rises the low. Every other coin moves as bitcoin does, plus an even drift that ends it at its mark of the second
    snapshot, or at the median coin's, where it is not in it.
    """
    first, last = 1_770_199_200, 1_770_400_800  # 4 February 10:00 and 6 February 18:00 UTC, the hours between snapshots
    bars = data.hours[(data.hours.hour_s >= first) & (data.hours.hour_s <= last)]
    known = {}
    for coin, rows in bars.groupby("coin"):
        falls = rows.close < rows.open
        early, late = np.where(falls, rows.high, rows.low), np.where(falls, rows.low, rows.high)
        known[coin] = np.log(np.stack([early, late, rows.close], 1).reshape(-1))
    hours = np.repeat(np.unique(bars.hour_s), 3).tolist()
    end = data.after.groupby("coin").mark_px.first()
    moves = {coin: np.log(end[coin] / price) for coin, price in zip(coins, start, strict=True) if coin in end}
    usual = float(np.median(list(moves.values())))
    bitcoin = known["BTC"] - np.log(start[coins.index("BTC")])
    passed = np.arange(1, len(hours) + 1) / len(hours)
    out = np.empty((len(hours), len(coins)))
    for i, (coin, price) in enumerate(zip(coins, start, strict=True)):
        drift = moves.get(coin, usual) - bitcoin[-1]
        out[:, i] = known.get(coin, np.log(price) + bitcoin + drift * passed)
    return out, hours


@dataclass(frozen=True)
class Replay:
    """The fall, run through the accounts of the first snapshot."""

    traders: list[int]
    left_out: int  # accounts whose cash no price tells, or does not last at the snapshot's own marks
    notional: Floats  # gross, by trader
    closed: NDArray[np.bool_]  # what shares margin, by trader
    by_hour: list[tuple[str, int, float]]  # time, accounts closed so far, notional closed so far


def replay(data: Data) -> Replay:
    """Run the prices between the snapshots through the accounts of the first, whose own trades move nothing."""
    found = infer(data, data.before, data.schedules)
    cross = data.before[np.isnan(found.isolated)].copy()
    cross["quantity"] = cross.side * cross["size"]
    cross["notional"] = cross["size"] * cross.mark_px
    cross["gain"] = cross.quantity * (cross.mark_px - cross.entry_px)
    needs = zip(cross.coin, cross.notional, strict=True)
    cross["needed"] = [data.schedules[coin].maintenance(notional) for coin, notional in needs]
    sums = cross.groupby("trader_id")[["gain", "needed", "notional"]].sum()
    sums["cash"] = pd.Series(found.cash, found.account)
    standing = sums[sums.cash + sums.gain > sums.needed]  # nan does not
    cross = cross[cross.trader_id.isin(standing.index)]
    accounts = fp.Accounts(
        cross.trader_id,
        cross.coin.to_numpy(dtype=str),
        cross.quantity,
        cross.entry_px,
        standing.cash.to_dict(),
        data.schedules,
        group=np.arange(len(standing)),
    )
    marks = cross.groupby("coin").mark_px.first()
    coins, start = marks.index.tolist(), marks.to_numpy()
    markets = fp.Markets({c: fp.Market(price, fp.LinearImpact(0.0)) for c, price in marks.items()})
    logs, hours = path_of(data, coins, start)
    returns = np.diff(np.vstack([np.log(start), logs]), axis=0)[None]
    notional, by_hour = standing.notional.to_numpy(), []
    for end in [*range(36, len(hours), 36), len(hours)]:  # every twelve hours
        e = fp.simulate(accounts, markets, fp.Returns(returns[:, :end]), horizon=1200.0 * end, steps=end, paths=1)
        closed = e.group_closed[0] > 0
        when = pd.Timestamp(hours[end - 1] + 3600, unit="s").strftime("%-d February %H:%M")
        by_hour.append((when, int(closed.sum()), float(notional[closed].sum())))
    return Replay(standing.index.tolist(), len(sums) - len(standing), notional, closed, by_hour)


def fall_block(data: Data, run: Replay) -> str:
    """Say whom the fall closes, and when."""
    rows = [["until, UTC", "accounts closed", "of", "their notional, million USD", "of"]]
    for when, count, notional in run.by_hour:
        rows.append(
            [when, f"{count}", f"{len(run.traders)}", f"{notional / 1e6:,.0f}", f"{run.notional.sum() / 1e6:,.0f}"]
        )
    return table(rows) + (
        f"\n{run.left_out} accounts are left out: no price tells their cash, or it is gone at the snapshot's marks.\n"
    )


def later_block(data: Data, run: Replay) -> str:
    """Compare with who is there two days later."""
    later = set(data.after.trader_id)
    there = np.array([trader in later for trader in run.traders])
    size = data.before.assign(q=data.before.side * data.before["size"]).groupby(["trader_id", "coin"]).q.first()
    now = data.after.assign(q=data.after.side * data.after["size"]).groupby(["trader_id", "coin"]).q.first()
    rows = [["", "accounts", "listed on 6 February", "share", "of their positions, still there", "at least as large"]]
    for name, group in (("closed by the run", run.closed), ("not closed by it", ~run.closed)):
        traders = {t for t, mine, listed in zip(run.traders, group, there, strict=True) if mine and listed}
        held = size[[t in traders for t in size.index.get_level_values(0)]]
        new = now.reindex(held.index)
        same = new.notna() & (np.sign(new) == np.sign(held))
        whole = same & (new.abs() >= held.abs() * (1 - 1e-9))
        shares = [f"{int(s.sum())} of {len(held)}" for s in (same, whole)]
        count, listed = int(group.sum()), int((group & there).sum())
        rows.append([name, f"{count}", f"{listed}", f"{listed / count:.0%}" if count else "", *shares])
    return table(rows)


def main(argv: Sequence[str] | None = None) -> None:
    """Work everything out and rewrite the page's blocks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=SHARED, help="the folder with data and reference")
    parser.add_argument("--output", type=Path, default=PAGE, help="the page (default: docs/real_accounts.md)")
    options = parser.parse_args(argv)
    for name in FILES:
        if not (options.shared / name).exists():
            print(f"nothing done: no file {options.shared / name}; give --shared", file=sys.stderr)
            return
    data = read(options.shared)
    run = replay(data)
    blocks = {
        "margin": lambda: margin_block(data),
        "fall": lambda: fall_block(data, run),
        "later": lambda: later_block(data, run),
    }
    write(options.output, blocks, "validation/real_accounts.py")


if __name__ == "__main__":
    main()
