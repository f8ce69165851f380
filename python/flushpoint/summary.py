"""Figures of an ensemble's columns, each with a confidence interval."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flushpoint._shown import percent
from flushpoint._validate import FloatArray, check, number, real_array

#: Of antithetic paths, which pair each one belongs to, in order of the path; None where all are independent.
Pairs = NDArray[np.int64] | None

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
#: Fewer values beyond the value at risk than this say too little of the expected shortfall's error.
_FEWEST = 10
_MOST_VALUES = 200
#: Nearer to 0 or 1 a probability is nothing but rounding.
_LEAST = 1e-12
_EXCEEDANCE = np.dtype([(name, np.float64) for name in ("value", "probability", "low", "high")])


class Estimate(NamedTuple):
    """A figure and the ends of its confidence interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.5g} [{self.low:.5g}, {self.high:.5g}]"


@dataclass(frozen=True, eq=False, repr=False)
class Figures(Mapping[str, dict[str, Any]]):
    """A mapping of column to its figures."""

    paths: int
    levels: tuple[float, ...]
    confidence: float
    _figures: dict[str, dict[str, Any]]

    def __getitem__(self, column: str) -> dict[str, Any]:
        return self._figures[column]

    def __iter__(self) -> Iterator[str]:
        return iter(self._figures)

    def __len__(self) -> int:
        return len(self._figures)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self)} columns of {self.paths:,} paths>"


@dataclass(frozen=True, eq=False, repr=False)
class Summary(Figures):
    """A mapping of column to its figures; printed, a table.

    Figures with an interval are an `Estimate` (value, low, high). A column of numbers has

    count, nan
        Values used, and values left out because they are nan (not known).
    mean
        Interval by the normal law and the standard error.
    standard_deviation
        With n - 1 in the denominator.
    positive
        Probability of a value above 0.
    quantile
        Estimates by probability: the smallest value that at least this share of values does not exceed.
    tail
        "high" where high values are the bad ones, as for quantities, notionals, counts and shortfall, or "low", as for
        ``final_price``, ``low_price``, ``surplus`` and ``fund_end``.
    value_at_risk
        Estimates by level, in the column's units: the value that a share `level` of values is not worse than. For a low
        tail this is a price: at a level of 0.99 it falls lower in 1 % of paths.
    expected_shortfall
        Estimates by level: mean over the worst share 1 - level (Rockafellar and Uryasev 2002).

    A column of truth values has count, nan and ``probability``.

    Intervals of quantiles and values at risk lie between order statistics at binomial ranks and cover at least as often
    as they say; an end is infinite where there are too few values to say. Those of probabilities are Clopper and
    Pearson's, which do so, too. That of an expected shortfall ES is normal with the standard error of
    VaR + mean(max(x - VaR, 0))/(1 - level), se^2 = [Var(tail) + level (ES - VaR)^2]/(n (1 - level)); it covers somewhat
    less often than it says for tails of 100 values or fewer, and is nan for fewer than 10. Antithetic paths are not
    independent: means are then judged by their pairs, and quantiles and probabilities as if each pair were one path.

    Attributes
    ----------
    paths : int
        Number of paths or scenarios.
    levels : tuple of float
    confidence : float
        Of every interval.
    liquidation : Estimate or None
        Probability that at least one position was closed; None where no column tells.
    """

    liquidation: Estimate | None

    def __str__(self) -> str:
        lines = [f"{self.paths:,} paths, intervals at {percent(self.confidence)} confidence"]
        if self.liquidation is not None:
            lines[0] += f"; any liquidation in {_share(self.liquidation)} of paths"
        rows = [["", "mean", "deviation", "median", "above 0", "level", "value at risk", "expected shortfall"]]
        notes = []
        for name, figures in self.items():
            if figures["nan"]:
                notes.append(f"{name}: {figures['nan']:,} paths left out, nan")
            if "probability" in figures:
                notes.append(f"{name}: in {_share(figures['probability'])} of paths")
                continue
            start = [f"{name} ({figures['tail']} tail)", str(figures["mean"])]
            start += [f"{figures['standard_deviation']:.4g}", f"{figures['quantile'][0.5].value:.5g}"]
            rows += with_tails([*start, percent(figures["positive"].value)], figures, self.levels)
        return "\n".join([*lines, *(table(rows) if len(rows) > 1 else ()), *notes])


def with_tails(start: list[str], figures: dict[str, Any], levels: tuple[float, ...]) -> list[list[str]]:
    """Rows of a table: a line a level, the first of which begins with `start`."""
    tails = [
        [percent(level), str(figures["value_at_risk"][level]), str(figures["expected_shortfall"][level])]
        for level in (levels if "tail" in figures else ())
    ] or [["", "", ""]]
    return [[*(start if i == 0 else [""] * len(start)), *tail] for i, tail in enumerate(tails)]


def table(rows: list[list[str]]) -> list[str]:
    """Lay out rows of text in columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def summarise(
    result: Mapping[str, NDArray[Any]],
    columns: Iterable[str] | None,
    levels: ArrayLike,
    confidence: float,
    low_is_bad: Collection[str],
    pairs: Pairs = None,
) -> Summary:
    """Work out a `Summary`; see `Ensemble.summary`."""
    names = check_columns(result, columns)
    wanted = check_levels(levels)
    sure = check_confidence(confidence)
    anything = any_closed(result)
    return Summary(
        paths=len(result[next(iter(result))]),
        levels=wanted,
        confidence=sure,
        _figures={name: _figures(column_of(result, name), wanted, sure, name in low_is_bad, pairs) for name in names},
        liquidation=None if anything is None else share(anything, sure, pairs),
    )


def any_closed(result: Mapping[str, NDArray[Any]]) -> NDArray[np.bool_] | None:
    """Whether at least one position was closed on each path; None where no column tells."""
    told = ("liquidated_count",) if "liquidated_count" in result else ("long_count", "short_count", "waves")
    closed = [name for name in told if name in result]
    return np.any([result[name] > 0 for name in closed], axis=0) if closed else None


def check_columns(result: Mapping[str, Any], columns: Iterable[str] | None, argument: str = "columns") -> list[str]:
    """Return the names of columns asked for, all that the mapping has by default."""
    names = list(result) if columns is None else [columns] if isinstance(columns, str) else list(columns)
    known = dict.fromkeys((*result, *getattr(result, "_on_demand", ())))
    for name in names:
        if name not in known:
            raise ValueError(f"{argument} must be among {', '.join(known)}, was {name!r}")
    return names


def column_of(result: Mapping[str, NDArray[Any]], name: str) -> NDArray[Any]:
    """Return a column, even one that is worked out only when asked for."""
    return result[name] if name in result else getattr(result, name)


def check_levels(levels: ArrayLike) -> tuple[float, ...]:
    """Return levels as a tuple of probabilities above 0 and below 1."""
    return tuple(inside("levels", level) for level in np.ravel(real_array("levels", levels)))


def check_confidence(confidence: float) -> float:
    """Return a confidence above 0 and below 1."""
    return inside("confidence", confidence)


def inside(name: str, probability: object) -> float:
    """Return a probability above 0 and below 1."""
    value = number(name, probability, above=0, below=1)
    if not _LEAST <= value <= 1 - _LEAST:
        raise ValueError(f"{name} must be at least {_LEAST:g} away from 0 and 1, was {value}")
    return value


def normal_quantile(confidence: float) -> float:
    """Half the width of a two-sided normal interval, in standard errors."""
    return NormalDist().inv_cdf(0.5 + confidence / 2)


def share(truth: NDArray[Any], confidence: float, pairs: Pairs = None) -> Estimate:
    """Probability of truth, with its interval."""
    return proportion(int(np.count_nonzero(truth)), truth.size, confidence, _each(pairs))


def _each(pairs: Pairs) -> int:
    """How many paths count as one."""
    return 1 if pairs is None else 2


def proportion(k: int, n: int, confidence: float, each: int = 1) -> Estimate:
    """Share k / n with the interval of Clopper and Pearson (1934); of antithetic paths, `each` 2, of half as many."""
    if n < each:
        return Estimate(k / n if n else math.nan, 0.0, 1.0)
    tail = (1 - confidence) / 2
    return Estimate(
        k / n, _lowest_share(k // each, n // each, tail), 1 - _lowest_share((n - k) // each, n // each, tail)
    )


def _lowest_share(k: int, n: int, tail: float) -> float:
    """Return the p for which a binomial number of n is k or more with probability `tail`."""
    if k == 0:
        return 0.0
    # The logarithm of that probability is concave and increasing in log(p/(1-p)): Newton's steps overshoot at most
    # once, to the left, and climb from there.
    goal = math.log(tail)
    logit = math.log(k / (n + 1 - k))
    for _ in range(100):
        p = 1 / (1 + math.exp(-logit))
        log_first, terms = _upper_tail(k, n, p)
        step = (goal - log_first - math.log(terms)) * terms / (k * (1 - p))
        logit += step
        if abs(step) < 1e-9 * max(1.0, abs(logit)):
            break
    return 1 / (1 + math.exp(-logit))


def _upper_tail(k: int, n: int, p: float) -> tuple[float, float]:
    """Return log P(B = k) and P(B >= k) / P(B = k) for a binomial B of n and p, with 1 <= k <= n and k not below n p.

    Ratios of neighbouring probabilities only fall from there; what lies ten deviations on is below 1e-20 of the whole.
    """
    log_odds = math.log(p) - math.log1p(-p)
    log_first = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) + k * log_odds + n * math.log1p(-p)
    count = min(n - k, 50 + int(10 * math.sqrt(k * (1 - k / n))))
    step = np.arange(1, count + 1)
    ratios = (n - k + 1 - step) / (k + step) * math.exp(log_odds)
    return log_first, 1.0 + float(np.cumprod(ratios).sum())


def ranks(n: int, p: float, confidence: float) -> tuple[int, int]:
    """Return the ranks between whose order statistics, 1 to n, the p-quantile lies with at least this confidence.

    0 or n + 1 where no value is certain enough to bound it.
    """
    tail = (1 - confidence) / 2
    return n + 1 - _highest_rank(n, 1 - p, tail), _highest_rank(n, p, tail)


def _highest_rank(n: int, p: float, tail: float) -> int:
    """Return the smallest k for which a binomial number of n and p is k or more with probability `tail` at most."""

    def rare(k: int) -> bool:
        if k > n:
            return True
        log_first, terms = _upper_tail(k, n, p)
        return log_first + math.log(terms) <= math.log(tail)

    return bisect_left(range(n + 2), True, lo=max(1, math.ceil(n * p)), key=rare)


def order_statistic(n: int, p: float) -> int:
    """Rank, 1 to n, of the smallest of n values that a share p of them does not exceed; p = 0.1 means a tenth."""
    return min(max(math.ceil(n * p * (1 - 1e-15)), 1), n)


def quantile(ordered: FloatArray, p: float, confidence: float, pairs: Pairs = None) -> Estimate:
    """Quantile of sorted values, at least one, with its interval; of antithetic paths, that of half as many."""
    n = ordered.size
    low, high = rank_bounds(n, p, confidence, _each(pairs))
    return Estimate(
        float(ordered[order_statistic(n, p) - 1]),
        float(ordered[low - 1]) if low >= 1 else -math.inf,
        float(ordered[high - 1]) if high <= n else math.inf,
    )


def rank_bounds(n: int, p: float, confidence: float, each: int) -> tuple[int, int]:
    """Ranks as of `ranks`; of antithetic paths, `each` 2, those of half as many values that stand there twice."""
    if each == 1:
        return ranks(n, p, confidence)
    low, high = ranks(n // 2, p, confidence) if n > 1 else (0, 1)
    return 2 * low - 1, n + 1 if high > n // 2 else 2 * high


def mean(values: FloatArray, confidence: float, pairs: Pairs = None) -> Estimate:
    """Mean with its normal interval, nan for fewer than two values."""
    scale = power_of_two(values)
    centre = float((values / scale).mean()) * scale if values.size else math.nan
    reach = normal_quantile(confidence) * standard_error(values, pairs)
    return Estimate(centre, centre - reach, centre + reach)


def standard_error(values: FloatArray, pairs: Pairs = None) -> float:
    """Standard error of the mean, nan for fewer than two values or pairs that are independent."""
    n = values.size
    scale = power_of_two(values)
    scaled = values / scale
    if pairs is None:
        return float(scaled.std(ddof=1)) / math.sqrt(n) * scale if n > 1 else math.nan
    # What a pair adds to the sum varies from pair to pair.
    starts = np.flatnonzero(np.diff(pairs, prepend=-1))
    if starts.size < 2:
        return math.nan
    sums = np.add.reduceat(scaled - scaled.mean(), starts)
    return math.sqrt(float(sums @ sums) * starts.size / (starts.size - 1)) / n * scale


def deviation(values: FloatArray) -> float:
    """Standard deviation with n - 1 in the denominator, nan for fewer than two values."""
    scale = power_of_two(values)
    return float((values / scale).std(ddof=1)) * scale if values.size > 1 else math.nan


def power_of_two(values: FloatArray) -> float:
    """Return what to divide by, exactly, so that finite values are below 2 in size and no sum or square overflows."""
    largest = float(np.abs(values[np.isfinite(values)]).max(initial=0.0))
    return math.ldexp(1.0, math.frexp(largest)[1] - 1)


def beyond(values: FloatArray, risk: float, level: float) -> FloatArray:
    """Values whose mean is the expected shortfall of a high tail, and whose standard error is its own."""
    worse = values > risk
    return risk + np.subtract(values, risk, out=np.zeros(values.size), where=worse) / (1 - level)


def enough(n: int, level: float) -> bool:
    """Whether n values have a tail that says something of the expected shortfall's error."""
    return n * (1 - level) >= _FEWEST * (1 - 1e-12)


def _figures(
    column: NDArray[Any], levels: tuple[float, ...], confidence: float, low_is_bad: bool, pairs: Pairs
) -> dict[str, Any]:
    if column.dtype.kind == "b":
        return {"count": column.size, "nan": 0, "probability": share(column, confidence, pairs)}
    there = ~np.isnan(column)
    values = column[there].astype(np.float64)  # in order of the path
    pairs = None if pairs is None else pairs[there]
    known = np.sort(values)
    n = known.size
    unknown = Estimate(math.nan, math.nan, math.nan)
    bad = -known[::-1] if low_is_bad else known

    def turned(estimate: Estimate) -> Estimate:
        return Estimate(-estimate.value, -estimate.high, -estimate.low) if low_is_bad else estimate

    risks, shortfalls = {}, {}
    # Infinite values have no deviation, and what lies beyond huge ones may be more than a number holds.
    with np.errstate(invalid="ignore", over="ignore"):
        for level in levels:
            risk = quantile(bad, level, confidence, pairs) if n else unknown
            shortfall = mean(beyond(-values if low_is_bad else values, risk.value, level), confidence, pairs)
            if not enough(n, level):
                shortfall = Estimate(shortfall.value, math.nan, math.nan)
            risks[level], shortfalls[level] = turned(risk), turned(shortfall)
        return {
            "count": n,
            "nan": column.size - n,
            "mean": mean(values, confidence, pairs),
            "standard_deviation": deviation(known),
            "positive": share(known > 0, confidence, pairs),
            "quantile": {p: quantile(known, p, confidence, pairs) if n else unknown for p in QUANTILES},
            "tail": "low" if low_is_bad else "high",
            "value_at_risk": risks,
            "expected_shortfall": shortfalls,
        }


def exceedance(
    result: Mapping[str, NDArray[Any]],
    column: str,
    values: ArrayLike | None,
    confidence: float,
    pairs: Pairs = None,
) -> NDArray[np.void]:
    """Work out a curve of exceedance; see `Ensemble.exceedance`."""
    check_columns(result, [column], "column")
    sure = check_confidence(confidence)
    ordered = np.sort(column_of(result, column).astype(np.float64))
    unknown = int(np.count_nonzero(np.isnan(ordered)))
    if unknown:
        raise ValueError(f"{column} must be known on every path, was nan on {unknown:,} of {ordered.size:,}")
    n = ordered.size
    if values is None:
        at = np.unique(ordered)
        if at.size > _MOST_VALUES:
            chances = np.geomspace(1, 1 / n, _MOST_VALUES)
            at = np.unique(ordered[[n - order_statistic(n, chance) for chance in chances]])
    else:
        at = np.atleast_1d(real_array("values", values))
        if at.ndim != 1:
            raise ValueError(f"values must have one dimension, was of shape {at.shape}")
        check("values", at, ~np.isnan(at), "a number")
    reached = n - np.searchsorted(ordered, at, side="left")
    out = np.empty(at.size, dtype=_EXCEEDANCE)
    for i, value in enumerate(at):
        out[i] = (value, *proportion(int(reached[i]), n, sure, _each(pairs)))
    out.flags.writeable = False
    return out


def _share(estimate: Estimate) -> str:
    return f"{percent(estimate.value)} [{percent(estimate.low)}, {percent(estimate.high)}]"
