"""Measure the hidden book against real liquidations and write what is found into docs/hidden_book.md.

    python validation/hidden_book.py        needs the two data files, by default in ../shared/data

Only the text between the page's marks is replaced. Takes some minutes.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import inspect
import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from page import table, write
from scipy import stats

import flushpoint as fp
from flushpoint.posterior import PRIOR

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared" / "data"
PAGE = ROOT / "docs" / "hidden_book.md"
SIDES = ("longs", "shorts")
DEFAULTS = tuple(
    inspect.signature(function).parameters[name].default
    for function, name in (
        (fp.LeverageMix.power_law, "exponent"),
        (fp.predict_liquidations, "turnover"),
        (fp.predict_liquidations, "activity"),
    )
)
EVENT = ("2026-02-04", "2026-02-07")
GOALS = (0.98, 0.96, 0.88, 0.84, 0.835)
FIGURES = ["longs, 4-6 Feb 2026", "longs", "shorts", "rank, longs", "rank, shorts"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Data:
    """A market's history, its measured liquidations, and the rows that are compared."""

    history: dict[str, Floats]
    measured: tuple[Floats, Floats]
    when: NDArray[np.str_]
    compared: NDArray[np.bool_]


def read_bitcoin(path: Path, warm_up: int) -> Data:
    """Read hourly bitcoin: three venues' prices, open interest and reported liquidations."""
    with gzip.open(path, "rt") as file:
        rows = list(csv.DictReader(file))

    def column(name: str) -> Floats:
        return np.array([float(row[name]) for row in rows])

    history = {name: column(f"price_{name}") for name in ("open", "high", "low", "close")}
    history["open_interest"] = column("oi_close")
    measured = (column("liquidation_long_usd"), column("liquidation_short_usd"))
    return Data(history, measured, np.array([row["datetime_utc"] for row in rows]), np.arange(len(rows)) >= warm_up)


def read_ether(path: Path, warm_up: int) -> Data:
    """Read minutes of ether, January 2021, as hours; open interest is not in the file: constant in coins."""
    with gzip.open(path, "rt") as file:
        rows = list(csv.DictReader(file))
    rows = rows[: len(rows) // 60 * 60]

    def hours(name: str) -> Floats:
        return np.array([float(row[name] or 0) for row in rows]).reshape(-1, 60)

    price = (hours("bid") + hours("ask")) / 2
    opened = np.concatenate([price[:1, 0], price[:-1, -1]])
    history = {
        "open": opened,
        "high": np.maximum(price.max(axis=1), opened),
        "low": np.minimum(price.min(axis=1), opened),
        "close": price[:, -1].copy(),
        "open_interest": price[:, -1] * 1e6,
    }
    measured = tuple((hours(name) * price).sum(axis=1) for name in ("liq_long_eth", "liq_short_eth"))
    return Data(history, measured, np.full(len(price), "2021-01"), np.arange(len(price)) >= warm_up)


def predicted(data: Data, **arguments: Any) -> tuple[Floats, Floats]:
    """Predict each row's liquidations of both sides."""
    forecast = fp.predict_liquidations(data.history, **arguments)
    return forecast.long_notional, forecast.short_notional


def correlation(a: Floats, b: Floats) -> float:
    """Pearson's."""
    return float(np.corrcoef(a, b)[0, 1])


def rank_correlation(a: Floats, b: Floats) -> float:
    """Spearman's."""
    return float(stats.spearmanr(a, b).statistic)


def explained(forecast: Floats, measured: Floats) -> float:
    """Share of variance explained on the square-root scale, with one free scale."""
    x, y = np.sqrt(forecast), np.sqrt(measured)
    error = y - x * (x @ y) / (x @ x)
    return 1 - float(error @ error) / float(((y - y.mean()) ** 2).sum())


def five(data: Data, forecast: Sequence[Floats]) -> list[float]:
    """Correlations: of longs in the event, of both sides, of both sides' ranks."""
    k = data.compared
    event = (data.when >= EVENT[0]) & (data.when < EVENT[1])
    pairs = list(zip(forecast, data.measured, strict=True))
    return [
        correlation(pairs[0][0][event], pairs[0][1][event]),
        *(correlation(a[k], b[k]) for a, b in pairs),
        *(rank_correlation(a[k], b[k]) for a, b in pairs),
    ]


def shown(values: Iterable[float], digits: int = 3) -> list[str]:
    """Write numbers with so many decimals."""
    return [f"{value:.{digits}f}" for value in values]


def data_block(bitcoin: Data, ether: Data) -> str:
    """Say what is measured."""
    k = bitcoin.compared
    totals = " and ".join(f"{y[k].sum() / 1e6:,.0f} M USD of {s}" for s, y in zip(SIDES, bitcoin.measured, strict=True))
    first, last = bitcoin.when[0][:10], bitcoin.when[-1][:10]
    return (
        f"Bitcoin: {k.size:,} hours from {first} to {last}; the first {(~k).sum()} warm\n"
        f"up the book, {k.sum():,} are compared, in which {totals} were reported\n"
        f"liquidated. Ether: {ether.when.size:,} hours of January 2021, {ether.compared.sum()} compared.\n"
    )


def fit_block(bitcoin: Data) -> str:
    """Set the five figures beside their goals and beside plain yardsticks."""
    o, h, low, c = (np.log(bitcoin.history[name]) for name in ("open", "high", "low", "close"))
    rows = [
        ["correlation with measured", *FIGURES],
        ["goal", *shown(GOALS)],
        ["**predicted, defaults**", *shown(five(bitcoin, predicted(bitcoin)))],
    ]
    yardsticks = {
        "absolute return of the hour": (abs(c - o), abs(c - o)),
        "squared return of the hour": ((c - o) ** 2, (c - o) ** 2),
        "open to low, open to high": (o - low, h - o),
        "open to low, open to high, squared": ((o - low) ** 2, (h - o) ** 2),
    }
    return table(rows + [[name, *shown(five(bitcoin, pair))] for name, pair in yardsticks.items()])


def months_block(bitcoin: Data, ether: Data) -> str:
    """Set each month apart, then the other market."""
    rows = [["compared", "hours", *SIDES, *(f"rank, {side}" for side in SIDES)]]
    for title, data in (("", bitcoin), ("ether ", ether)):
        forecast = predicted(data)
        months = np.array([day[:7] for day in data.when])
        for month in sorted(set(months[data.compared])):
            k = data.compared & (months == month)
            pairs = [(a[k], b[k]) for a, b in zip(forecast, data.measured, strict=True)]
            figures = [f(*pair) for f in (correlation, rank_correlation) for pair in pairs]
            rows.append([title + month, str(k.sum()), *shown(figures)])
    return table(rows)


def volume_block(bitcoin: Data) -> str:
    """Compare volumes by decile of the forecast, and in total."""
    rows = [
        ["hours by forecast", *(f"{side}: {what}" for side in SIDES for what in ("predicted", "measured", "ratio"))]
    ]
    forecast, k = predicted(bitcoin), bitcoin.compared
    cells: list[list[str]] = [[f"decile {i + 1}"] for i in range(10)] + [["all"]]
    for a, b in zip(forecast, bitcoin.measured, strict=True):
        order = np.argsort(a[k], kind="stable")
        for line, part in zip(cells, [*np.array_split(order, 10), order], strict=True):
            x, y = a[k][part].sum(), b[k][part].sum()
            line += [f"{x / 1e6:,.1f}", f"{y / 1e6:,.1f}", f"{x / y:.2f}"]
    return table(rows + cells) + "\nM USD.\n"


def comparison(bitcoin: Data, ether: Data, cases: dict[str, dict[str, Any]]) -> str:
    """Set the figures of fit of each case in a line."""
    rows = [["", *FIGURES, "explained, longs", "shorts", "volume, longs", "shorts", "ether, longs", "shorts"]]
    k, e = bitcoin.compared, ether.compared
    for name, arguments in cases.items():
        forecast, other = predicted(bitcoin, **arguments), predicted(ether, **arguments)
        pairs = [(a[k], b[k]) for a, b in zip(forecast, bitcoin.measured, strict=True)]
        line = [name, *shown(five(bitcoin, forecast)), *shown([explained(*pair) for pair in pairs], 2)]
        line += shown([a.sum() / b.sum() for a, b in pairs], 1)
        line += shown([correlation(a[e], b[e]) for a, b in zip(other, ether.measured, strict=True)])
        rows.append(line)
    return table(rows)


def sensitivity_block(bitcoin: Data, ether: Data) -> str:
    """Change one argument at a time."""
    changes = {
        "turnover": (0.02, 0.03, 0.06, 0.08),
        "activity": (0.75, 1.0, 1.5, 2.0),
        "maintenance_rate": (0.004, 0.006),
    }
    cases: dict[str, dict[str, Any]] = {"defaults": {}}
    for name, values in changes.items():
        cases |= {f"{name} {value:g}": {name: value} for value in values}
    for lowest in (1.5, 3.0, 5.0):
        cases[f"lowest leverage {lowest:g}"] = {"leverage_mix": fp.LeverageMix.power_law(lowest=lowest)}
    return comparison(bitcoin, ether, cases)


def mixes_block(bitcoin: Data, ether: Data) -> str:
    """Change the leverage mix."""
    exponents = (0.7, 1.0, 1.15, 1.3, 1.45, 1.6, 1.9)
    mixes = {f"power law, exponent {x:g}": fp.LeverageMix.power_law(x) for x in exponents}
    published = ("hyperliquid-2025", "bitmex-2019", "binance-2019")
    mixes |= {f"published, {name}": fp.LeverageMix.published(name) for name in published}
    return comparison(bitcoin, ether, {name: {"leverage_mix": mix} for name, mix in mixes.items()})


def logged(posterior: fp.LeveragePosterior) -> Floats:
    """Stack exponent, log turnover and activity."""
    return np.array([posterior.exponent, np.log(posterior.turnover), posterior.activity])


def posterior_block(bitcoin: Data, candidates: int) -> str:
    """Fit the posterior and set it beside the one that is shipped."""
    warm_up = int((~bitcoin.compared).sum())
    fitted = fp.LeveragePosterior.fit(
        bitcoin.history, *bitcoin.measured, warm_up=warm_up, candidates=candidates, draws=1_000, seed=0
    )
    rows = [["mean +- standard deviation", "exponent", "log turnover", "activity", "exponent ~ log turnover"]]
    rows[0] += ["exponent ~ activity", "log turnover ~ activity"]
    shipped = fp.LeveragePosterior.published(10_000, seed=0)
    for name, posterior in (("fitted now", fitted), ("shipped", shipped)):
        values = logged(posterior)
        facts = [f"{m:.2f} +- {s:.2f}" for m, s in zip(values.mean(axis=1), values.std(axis=1), strict=True)]
        rows.append([name, *facts, *shown(np.corrcoef(values)[np.triu_indices(3, 1)], 2)])
    defaults = [f"{DEFAULTS[0]:g}", f"{np.log(DEFAULTS[1]):.2f}", f"{DEFAULTS[2]:g}"]
    rows.append(["defaults", *defaults, "", "", ""])
    distinct = np.unique(fitted.exponent).size
    return table(rows) + f"\n{candidates} candidates, of which {distinct} were drawn at least once in 1,000.\n"


def cross_block(bitcoin: Data, ether: Data, candidates: int) -> str:
    """Choose among candidates on one stretch of data and read the loss on the others."""
    unit = stats.qmc.LatinHypercube(3, rng=np.random.default_rng(0)).random(candidates)
    low, high = np.array([PRIOR["exponent"], np.log(PRIOR["turnover"]), PRIOR["activity"]]).T
    exponent, log_turnover, activity = (low + (high - low) * unit).T
    columns = zip(DEFAULTS, (exponent, np.exp(log_turnover), activity), strict=True)
    tried = fp.LeveragePosterior(*(np.append(default, column) for default, column in columns))

    middle = np.flatnonzero(bitcoin.compared).mean()
    rows = np.arange(bitcoin.compared.size)
    parts = {
        "first half": (bitcoin, bitcoin.compared & (rows < middle)),
        "second half": (bitcoin, bitcoin.compared & (rows >= middle)),
        "all": (bitcoin, bitcoin.compared),
        "ether": (ether, ether.compared),
    }
    loss: dict[str, list[float]] = {name: [] for name in parts}
    for arguments in tried:
        forecasts = {id(data): predicted(data, **arguments) for data in (bitcoin, ether)}
        for name, (data, k) in parts.items():
            pairs = zip(forecasts[id(data)], data.measured, strict=True)
            loss[name].append(sum(1 - explained(a[k], b[k]) for a, b in pairs))

    def line(title: str, i: int) -> list[str]:
        point = (tried.exponent[i], tried.turnover[i], tried.activity[i])
        return [title, *(f"{x:.3g}" for x in point), *shown([loss[read][i] for read in parts])]

    out = [["fitted on", "exponent", "turnover", "activity", *(f"loss, {name}" for name in parts)]]
    out += [line(name, int(np.argmin(loss[name]))) for name in parts]
    out.append(line("defaults", 0))
    return table(out) + f"\nBest of {candidates} candidates spread over the prior, and the defaults.\n"


def bands_block(bitcoin: Data, draws: int) -> str:
    """Show the heat map's bands after the last hour, and what the bands of the forecast cover."""
    price = float(bitcoin.history["close"][-1])
    percent = np.arange(-30, 31, 3)
    edges = price * np.exp(percent / 100)
    own = fp.Book.from_open_interest(bitcoin.history).heatmap(edges)
    books = fp.sample_hidden_books(bitcoin.history, draws=draws, seed=0)
    bands = books.heatmap(edges)
    rows = [["log distance of the trigger", "side", "defaults", "5 %", "50 %", "95 %"]]
    for j, (near, far) in enumerate(itertools.pairwise(percent)):
        side = int(near >= 0)
        values = [own[side][j], *bands[side][:, j]]
        rows.append([f"{near} to {far} %", SIDES[side], *(f"{value / 1e6:,.1f}" for value in values)])
    text = table(rows) + f"\nM USD, {draws} books, price {price:,.0f}.\n"

    forecasts = np.array([predicted(bitcoin, **arguments) for arguments in books.posterior])
    for side, measured in enumerate(bitcoin.measured):
        k = np.flatnonzero(bitcoin.compared)
        forecast, y = forecasts[:, side, k], measured[k]
        scale = [(np.sqrt(x) @ np.sqrt(y) / x.sum()) ** 2 for x in forecast]
        top = y > np.quantile(y, 0.9)
        scaled = (forecast * np.array(scale)[:, None])[:, top]
        low, middle, high = np.quantile(scaled, [0.05, 0.5, 0.95], axis=0)
        inside = np.mean((y[top] >= low) & (y[top] <= high))
        text += (
            f"\n{SIDES[side].capitalize()}: of the tenth of hours with most liquidations the forecast's band from 5 to "
            f"95 %,\nscaled to what is reported ({np.mean(scale):.2f} of it), holds {100 * inside:.0f} %; log10 of "
            f"measured over\nthe band's middle has a standard deviation of {np.std(np.log10(y[top] / middle)):.2f}.\n"
        )
    return text


def main(argv: Sequence[str] | None = None) -> None:
    """Measure everything and rewrite the page's blocks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=SHARED / "btc_hourly_price_liquidations_oi_2025-12_2026-02.csv.gz")
    parser.add_argument("--ether", type=Path, default=SHARED / "eth_1m_quotes_liquidations_2021-01.csv.gz")
    parser.add_argument("--output", type=Path, default=PAGE, help="the page (default: docs/hidden_book.md)")
    parser.add_argument("--warm-up", type=int, default=500, help="hours of bitcoin that are not compared")
    parser.add_argument("--candidates", type=int, default=512, help="how many parameters are tried")
    parser.add_argument("--draws", type=int, default=32, help="how many books the bands are of")
    options = parser.parse_args(argv)

    bitcoin = read_bitcoin(options.data, options.warm_up)
    ether = read_ether(options.ether, options.warm_up * 3 // 10)
    blocks: dict[str, Callable[[], str]] = {
        "data": lambda: data_block(bitcoin, ether),
        "fit": lambda: fit_block(bitcoin),
        "months": lambda: months_block(bitcoin, ether),
        "volume": lambda: volume_block(bitcoin),
        "mixes": lambda: mixes_block(bitcoin, ether),
        "sensitivity": lambda: sensitivity_block(bitcoin, ether),
        "posterior": lambda: posterior_block(bitcoin, options.candidates),
        "cross-validation": lambda: cross_block(bitcoin, ether, options.candidates // 4),
        "bands": lambda: bands_block(bitcoin, options.draws),
    }
    write(options.output, blocks, "validation/hidden_book.py")


if __name__ == "__main__":
    main()
