"""Hold the traffic light to what followed it, and write what is found into docs/fragility.md.

    python validation/fragility.py        needs the two data files, by default in ../shared/data

Only the text between the page's marks is replaced. Takes some minutes.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from hidden_book import SHARED, Data, read_bitcoin, read_ether
from numpy.typing import NDArray
from page import table, write
from scipy import stats

import flushpoint as fp
from flushpoint import example
from flushpoint.fragility import ORDINARY_DEVIATIONS, light_of

PAGE = Path(__file__).parents[1] / "docs" / "fragility.md"
EVERY = 6  # hours from one look at the light to the next
AHEAD = 24  # hours that are looked at after it
MEMORY = 30  # days of returns behind the daily volatility
BLOCK = 12  # looks that are drawn together: three days
DRAWS = 1_000
CONFIDENCE = 0.9
FALLS = (0.02, 0.04)
LARGEST = 5
NEAR = 0.05  # the distance of what is at risk
LIGHTS = ("green", "amber", "red")

Floats = NDArray[np.float64]


def linear(money: float) -> Callable[[float, float], fp.Market]:
    """Market in which sales of so much money move the price by 1 %."""
    return lambda price, volatility: fp.Market(price, fp.LinearImpact(0.01 / (money / price)))


def square_root(money: float) -> Callable[[float, float], fp.Market]:
    """Market of the square-root law, in which so much money is traded in a day."""
    return lambda price, volatility: fp.Market(price, fp.SquareRootImpact(volatility, money / price))


MARKETS = {
    f"linear, {example.USD_PER_PERCENT / 1e9:g} bn USD per 1 %": linear(example.USD_PER_PERCENT),
    "square root, 60 bn USD a day": square_root(60e9),
    "linear, 0.28 bn USD per 1 %": linear(0.28e9),
}


@dataclass(frozen=True)
class Looks:
    """What was seen at each look, and what followed."""

    row: NDArray[np.int64]
    day: NDArray[np.str_]
    score: dict[str, Floats]  # of each market
    volatility: Floats  # of a day, known then
    at_risk: Floats  # longs whose trigger is near, USD
    fall: Floats  # log price, to the lowest of the hours ahead
    liquidated: Floats  # longs, measured in the hours ahead, USD

    def __len__(self) -> int:
        return self.row.size


def look(
    data: Data,
    markets: Mapping[str, Callable[[float, float], fp.Market]] = MARKETS,
    every: int = EVERY,
    ahead: int = AHEAD,
) -> Looks:
    """Infer the book from what was known at each look, ask for its light, and see what the hours ahead brought."""
    close, low = np.log(data.history["close"]), np.log(data.history["low"])
    first = int(np.flatnonzero(data.compared)[0])
    rows = np.arange(first, close.size - ahead, every)
    score: dict[str, list[float]] = {name: [] for name in markets}
    volatility, at_risk, fall, liquidated = [], [], [], []
    for row in rows:
        book = fp.Book.from_open_interest({name: values[: row + 1] for name, values in data.history.items()})
        daily = close[row::-24][: MEMORY + 1]
        volatility.append(float(np.std(np.diff(daily), ddof=1)))
        for name, market in markets.items():
            there = market(float(data.history["close"][row]), volatility[-1])
            f = fp.fragility(book, there, within=[NEAR], daily_volatility=volatility[-1])
            score[name].append(f.score)
        at_risk.append(float(f.long.at_risk[0]))
        following = slice(row + 1, row + 1 + ahead)
        fall.append(max(0.0, float(close[row] - low[following].min())))
        liquidated.append(float(data.measured[0][following].sum()))
    return Looks(
        rows,
        np.array([when[:10] for when in data.when[rows]]),
        {name: np.array(values) for name, values in score.items()},
        *(np.array(values) for values in (volatility, at_risk, fall, liquidated)),
    )


def light(score: Floats) -> NDArray[np.str_]:
    """Return the colour of each score."""
    return np.array([light_of(each) for each in score])


def with_interval(statistic: Callable[..., float], *columns: NDArray[Any]) -> tuple[float, float, float]:
    """Return a statistic of columns, a row a look, and its interval, by drawing blocks of looks in a row.

    Looks overlap in the hours that they look ahead at, and markets have moods: neighbours stay together (Kunsch 1989).
    """
    rng = np.random.default_rng(0)
    count = columns[0].size
    block = min(BLOCK, count)
    drawn = np.empty(DRAWS)
    for i in range(DRAWS):
        starts = rng.integers(0, count - block + 1, -(-count // block))
        rows = (starts[:, None] + np.arange(block)).ravel()[:count]
        drawn[i] = statistic(*(column[rows] for column in columns))
    known = drawn[~np.isnan(drawn)]
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(known, [tail, 1 - tail]) if known.size else (np.nan, np.nan)
    return float(statistic(*columns)), float(low), float(high)


def rank_correlation(a: Floats, b: Floats, given: Floats | None = None) -> float:
    """Spearman's; with `given`, of what is left of the ranks once they are regressed on its ranks."""
    if a.size < 4:
        return np.nan
    x, y = (stats.rankdata(values) for values in (a, b))
    if given is not None:
        basis = np.column_stack([np.ones(a.size), stats.rankdata(given)])
        x, y = (z - basis @ np.linalg.lstsq(basis, z, rcond=None)[0] for z in (x, y))
    if np.ptp(x) < 1e-9 or np.ptp(y) < 1e-9:
        return np.nan
    return float(np.corrcoef(x, y)[0, 1])


def rank_where(there: NDArray[np.bool_], signal: Floats, liquidated: Floats, fall: Floats) -> float:
    """Rank correlation of a signal with what was liquidated, given the fall, among the looks chosen."""
    return rank_correlation(signal[there], liquidated[there], fall[there])


def per_percent(there: NDArray[np.bool_], liquidated: Floats, fall: Floats) -> float:
    """Liquidations over falls among the looks chosen, USD per 1 % of log price."""
    total = fall[there].sum()
    return float(liquidated[there].sum() / (100 * total)) if total > 0 else np.nan


def ratio(low: NDArray[np.bool_], high: NDArray[np.bool_], liquidated: Floats, fall: Floats) -> float:
    """Liquidations per fall of some looks over those of others."""
    below = per_percent(low, liquidated, fall)
    return per_percent(high, liquidated, fall) / below if below > 0 else np.nan


def shown(values: tuple[float, float, float], form: str) -> str:
    """Write a figure with its interval; without one where no draw differs."""
    if np.isnan(values[0]):
        return "-"
    value, low, high = (format(each, form) for each in values)
    return value if low == high else f"{value} [{low}, {high}]"


def counted(looks: Looks, chosen: NDArray[np.bool_]) -> str:
    """Count looks, and the days that they are of."""
    return f"{np.count_nonzero(chosen)}, on {np.unique(looks.day[chosen]).size} days"


def data_block(looks: Looks) -> str:
    """Say what is looked at."""
    falls = ", and ".join(f"by {least:.0%} or more in {counted(looks, looks.fall >= least)}" for least in FALLS)
    return (
        f"{len(looks)} looks, one every {EVERY} hours from {looks.day[0]} to {looks.day[-1]}; the price fell, to its "
        f"lowest\nin the {AHEAD} hours after, {falls}. Daily volatility,\n"
        f"over the {MEMORY} days before, was {looks.volatility.min():.1%} to {looks.volatility.max():.1%}. "
        f"Intervals are of {CONFIDENCE:.0%}, from blocks of {BLOCK * EVERY // 24} days.\n"
    )


def colours_block(looks: Looks) -> str:
    """Set how often each colour showed, and how far from red."""
    rows = [["market", *LIGHTS, "score, lowest", "median", "highest"]]
    for name, score in looks.score.items():
        cells = [shown(with_interval(np.mean, light(score) == colour), ".0%") for colour in LIGHTS]
        rows.append([name, *cells, *(f"{q:.2f}" for q in np.quantile(score, [0, 0.5, 1]))])
    return table(rows)


def outcomes(looks: Looks, names: Sequence[str], groups: Callable[[Floats], Sequence[NDArray[np.bool_]]]) -> str:
    """Set what was liquidated given that the price fell, by groups of scores, the last over the first."""
    rows = [["market", "fall of at least", *names, f"{names[-1]} / {names[0]}"]]
    for name, score in looks.score.items():
        for least in FALLS:
            chosen = [group & (looks.fall >= least) for group in groups(score)]
            cells = []
            for there in chosen:
                rate = per_percent(there, looks.liquidated, looks.fall) / 1e6
                mean = looks.liquidated[there].mean() / 1e6 if there.any() else np.nan
                cells.append(f"{rate:.1f}; {mean:.0f} ({counted(looks, there)})" if there.any() else "-")
            last = shown(with_interval(ratio, chosen[0], chosen[-1], looks.liquidated, looks.fall), ".2f")
            rows.append([name, f"{least:.0%}", *cells, last])
    return table(rows) + "\nM USD of longs liquidated: per 1 % of fall; a look (looks). The ratio is of the first.\n"


def by_colour_block(looks: Looks) -> str:
    """Set what falls liquidated after each colour."""
    return outcomes(looks, LIGHTS, lambda score: [light(score) == colour for colour in LIGHTS])


def by_third_block(looks: Looks) -> str:
    """Set what falls liquidated after the lowest, the middle and the highest scores."""

    def thirds(score: Floats) -> list[NDArray[np.bool_]]:
        third = np.searchsorted(np.quantile(score, [1 / 3, 2 / 3]), score, side="left")
        return [third == k for k in range(3)]

    return outcomes(looks, ("lowest third", "middle third", "highest third"), thirds)


def hits_block(looks: Looks) -> str:
    """Set how often a fall after a warning was a heavy one: more liquidated per fall than in the median fall."""
    rows = [["market", "amber or red"]]
    rows[0] += [f"{what} {after}" for what in ("fall", "heavy fall") for after in ("after a warning", "without")]
    fell = looks.fall >= FALLS[0]
    rate = looks.liquidated / np.where(fell, looks.fall, 1.0)
    heavy = rate > np.median(rate[fell])

    def share(there: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
        return float(np.mean(truth[there])) if there.any() else np.nan

    for name, score in looks.score.items():
        warned = light(score) != LIGHTS[0]
        cells = [shown(with_interval(share, warned == after, fell), ".0%") for after in (True, False)]
        cells += [shown(with_interval(share, fell & (warned == after), heavy), ".0%") for after in (True, False)]
        rows.append([name, shown(with_interval(np.mean, warned), ".0%"), *cells])
    return table(rows) + f"\nFalls of {FALLS[0]:.0%} or more; heavy ones as a share of them.\n"


def ranks_block(looks: Looks) -> str:
    """Set rank correlations with the fall that comes, and with what it liquidates."""
    rows = [["known at the look", "the fall that comes", *(f"liquidated, given a fall of {x:.0%}" for x in FALLS)]]
    yardsticks = {"daily volatility": looks.volatility, f"longs at risk within {NEAR:.0%}": looks.at_risk}
    signals = {f"score, {name}": score for name, score in looks.score.items()} | yardsticks
    for name, signal in signals.items():
        cells = [shown(with_interval(rank_correlation, signal, looks.fall), "+.2f")]
        for least in FALLS:
            columns = (looks.fall >= least, signal, looks.liquidated, looks.fall)
            cells.append(shown(with_interval(rank_where, *columns), "+.2f"))
        rows.append([name, *cells])
    return table(rows)


def ether_block(data: Data) -> str:
    """Say the same of another market, to which nothing was fitted."""
    looks = look(data, {"linear": linear(example.USD_PER_PERCENT)})
    falls = " and ".join(f"{np.count_nonzero(looks.fall >= x)} by {x:.0%}" for x in FALLS)
    return f"{len(looks)} looks, of which {falls} or more fell in the {AHEAD} hours after.\n\n" + ranks_block(looks)


def largest_block(looks: Looks) -> str:
    """Set the days of the largest falls, and what the light said before."""
    rows = [["look", "fall that came", "ordinary fall then", "longs liquidated", *looks.score]]
    taken: list[int] = []
    for k in np.argsort(-looks.fall):
        if len(taken) == LARGEST:
            break
        if all(abs(k - other) * EVERY >= AHEAD for other in taken):
            taken.append(int(k))
    for k in sorted(taken):
        cells = [f"{light(s)[k]}, {s[k]:.2f} (above {np.mean(s < s[k]):.0%})" for s in looks.score.values()]
        ordinary = ORDINARY_DEVIATIONS * looks.volatility[k]
        falls = [f"{looks.fall[k]:.1%}", f"{ordinary:.1%}", f"{looks.liquidated[k] / 1e6:,.0f} M USD"]
        rows.append([str(looks.day[k]), *falls, *cells])
    return table(rows)


def blocks(looks: Looks, ether: Data) -> dict[str, Callable[[], str]]:
    """Name the page's blocks."""
    return {
        "data": lambda: data_block(looks),
        "colours": lambda: colours_block(looks),
        "by colour": lambda: by_colour_block(looks),
        "by third": lambda: by_third_block(looks),
        "hits": lambda: hits_block(looks),
        "ranks": lambda: ranks_block(looks),
        "ether": lambda: ether_block(ether),
        "largest": lambda: largest_block(looks),
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Look at everything and rewrite the page's blocks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=SHARED / "btc_hourly_price_liquidations_oi_2025-12_2026-02.csv.gz")
    parser.add_argument("--ether", type=Path, default=SHARED / "eth_1m_quotes_liquidations_2021-01.csv.gz")
    parser.add_argument("--output", type=Path, default=PAGE, help="the page (default: docs/fragility.md)")
    parser.add_argument("--warm-up", type=int, default=500, help="hours of bitcoin before the first look")
    options = parser.parse_args(argv)

    data = read_bitcoin(options.data, options.warm_up)
    ether = read_ether(options.ether, options.warm_up * 3 // 10)
    write(options.output, blocks(look(data), ether), "validation/fragility.py")


if __name__ == "__main__":
    main()
