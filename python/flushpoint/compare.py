"""Two runs on the same random numbers, path by path."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flushpoint._shown import percent
from flushpoint._validate import FloatArray
from flushpoint.ensemble import Ensemble, _digest
from flushpoint.summary import (
    Estimate,
    Figures,
    Pairs,
    beyond,
    check_columns,
    check_confidence,
    check_levels,
    column_of,
    enough,
    mean,
    power_of_two,
    quantile,
    share,
    standard_error,
    table,
    with_tails,
)


class Comparison(Figures):
    """A mapping of column to the differences of b from a; printed, a table.

    The figures of a column, where an `Estimate` is (value, low, high) with the ends of its confidence interval:

    count, nan
        Paths used, and paths left out because the column is nan (not known) in a or in b.
    mean_a, mean_b
        Means; of a column of truth values, the share of paths in which it is true.
    difference
        Estimate of mean_b - mean_a, from the differences path by path.
    standard_error, independent_standard_error
        That of `difference`, and what it would be had the two runs been independent.
    variance_reduction
        Square of the independent standard error / square of the standard error: so many times as many independent
        paths would be needed for the same precision. inf where every path differs by the same; nan where neither
        column varies.
    larger, smaller
        Estimates of the probability that a path's value is larger, or smaller, in b than in a.
    tail, value_at_risk, expected_shortfall
        Tail, as in `Summary`, and Estimates by level of the figure of b less that of a. Not for truth values.

    The interval of an expected shortfall's difference is normal, from the paired differences of
    max(x - VaR, 0)/(1 - level), and nan for tails of fewer than 10 paths. That of a value at risk's is normal, too:
    each run's standard error is that of its order-statistic interval (Woodruff 1952), and their correlation that of
    exceeding the two values at risk on one path; it is infinite where there are too few values to say.

    Attributes
    ----------
    paths : int
        Number of paths or scenarios.
    levels : tuple of float
    confidence : float
        Of every interval.
    """

    def __str__(self) -> str:
        rows = [["", "mean of a", "mean of b", "b - a", "larger", "smaller", "variance /"]]
        rows[0] += ["level", "value at risk, b - a", "expected shortfall, b - a"]
        notes = []
        for name, figures in self.items():
            if figures["nan"]:
                notes.append(f"{name}: {figures['nan']:,} paths left out, nan")
            start = [name, f"{figures['mean_a']:.5g}", f"{figures['mean_b']:.5g}", str(figures["difference"])]
            start += [percent(figures["larger"].value), percent(figures["smaller"].value)]
            start += [f"{figures['variance_reduction']:.3g}"]
            rows += with_tails(start, figures, self.levels)
        head = f"{self.paths:,} paths on the same random numbers, intervals at {percent(self.confidence)} confidence"
        return "\n".join([head, *table(rows), *notes])


def compare(
    a: Ensemble,
    b: Ensemble,
    columns: Iterable[str] | None = None,
    *,
    levels: ArrayLike = (0.95, 0.99),
    confidence: float = 0.95,
) -> Comparison:
    """Compare two runs path by path: what changes from a to b, with the noise that both share taken out.

    Parameters
    ----------
    a, b : Ensemble
        Results of the same seed and the same paths, which differ in what is to be compared: the venue, the market, a
        leverage cap.
    columns : iterable of str, optional
        Columns that both have; all of those by default.
    levels : array_like, default (0.95, 0.99)
        Of value at risk and expected shortfall, above 0 and below 1.
    confidence : float, default 0.95
        Of the intervals, above 0 and below 1.

    Returns
    -------
    Comparison

    Raises
    ------
    ValueError
        Where question, seed, stream of random numbers, paths or `antithetic` differ, so that a path of a is not the
        same path of b; where they have no column in common.
    """
    for name, result in (("a", a), ("b", b)):
        if not isinstance(result, Ensemble):
            raise TypeError(f"{name} must be a result of many paths, was {type(result).__name__}")
    for what, mine, theirs in (
        ("question", a.provenance["question"], b.provenance["question"]),
        ("seed", a.seed, b.seed),
        ("stream of random numbers", a.provenance["stream"], b.provenance["stream"]),
        ("paths", a.provenance["paths"], b.provenance["paths"]),
        # An antithetic path has the random numbers of its pair.
        ("antithetic", *(result.provenance["arguments"].get("antithetic", False) for result in (a, b))),
    ):
        if _digest(mine) != _digest(theirs):
            raise ValueError(f"b must have the {what} of a, {mine}, was {theirs}")
    names = [name for name in a if name in b] if columns is None else check_columns(b, check_columns(a, columns))
    if not names:
        raise ValueError("columns must be at least one that both results have, were none")
    wanted = check_levels(levels)
    sure = check_confidence(confidence)
    figures = {}
    for name in names:
        one, other = column_of(a, name), column_of(b, name)
        truth = one.dtype.kind == "b"
        first, second = one.astype(np.float64), other.astype(np.float64)
        known = ~(np.isnan(first) | np.isnan(second))
        first, second = first[known], second[known]
        pairs = None if a._pairs is None else a._pairs[known]
        # Infinite values have no deviation, and differences of huge ones may be more than a number holds.
        with np.errstate(invalid="ignore", over="ignore"):
            figures[name] = {"count": first.size, "nan": known.size - first.size, **_means(first, second, sure, pairs)}
            if not truth:
                figures[name] |= _tails(first, second, wanted, sure, name in a._low_is_bad, pairs)
    return Comparison(a._count, wanted, sure, figures)


def _means(first: FloatArray, second: FloatArray, confidence: float, pairs: Pairs) -> dict[str, Any]:
    paired = second - first
    error = standard_error(paired, pairs)
    independent = math.hypot(standard_error(first, pairs), standard_error(second, pairs))
    ratio = independent / error if error else math.inf if independent else math.nan
    return {
        "mean_a": mean(first, confidence).value,
        "mean_b": mean(second, confidence).value,
        "difference": mean(paired, confidence, pairs),
        "standard_error": error,
        "independent_standard_error": independent,
        "variance_reduction": ratio * ratio,
        "larger": share(second > first, confidence, pairs),
        "smaller": share(second < first, confidence, pairs),
    }


def _tails(
    first: FloatArray,
    second: FloatArray,
    levels: tuple[float, ...],
    confidence: float,
    low_is_bad: bool,
    pairs: Pairs,
) -> dict[str, Any]:
    # With a low tail it is -x that is bad where high, and what its figure loses from a to b is what x's gains.
    one, other = (-second, -first) if low_is_bad else (first, second)
    ordered_one, ordered_other = np.sort(one), np.sort(other)
    risks, shortfalls = {}, {}
    for level in levels:
        if not one.size:
            risks[level] = shortfalls[level] = Estimate(math.nan, math.nan, math.nan)
            continue
        here, there = (quantile(ordered, level, confidence, pairs) for ordered in (ordered_one, ordered_other))
        reach = _reach(here, there, _correlation(one > here.value, other > there.value))
        change = there.value - here.value
        risks[level] = Estimate(change, change - reach, change + reach)
        shortfall = mean(beyond(other, there.value, level) - beyond(one, here.value, level), confidence, pairs)
        if not enough(one.size, level):
            shortfall = Estimate(shortfall.value, math.nan, math.nan)
        shortfalls[level] = shortfall
    return {"tail": "low" if low_is_bad else "high", "value_at_risk": risks, "expected_shortfall": shortfalls}


def _reach(one: Estimate, other: Estimate, correlation: float) -> float:
    """Half the width of the interval of a difference, from those of its two terms."""
    ends = np.array([(one.low, one.high), (other.low, other.high)])
    if not np.isfinite(ends).all():
        return math.inf
    scale = power_of_two(ends)
    a, b = ((high - low) / 2 for low, high in (ends / scale).tolist())
    return math.sqrt(max(a * a + b * b - 2 * correlation * a * b, 0.0)) * scale


def _correlation(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Correlation of two columns of truth values, 0 where one of them does not vary."""
    p, q = float(one.mean()), float(other.mean())
    scale = math.sqrt(p * (1 - p) * q * (1 - q))
    return (float((one & other).mean()) - p * q) / scale if scale else 0.0
