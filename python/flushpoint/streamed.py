"""Figures of any number of paths in little memory: exact sums, extremes, and counts in narrow buckets of values."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache, reduce
from operator import add
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flushpoint import _core
from flushpoint._validate import FloatArray, check, count, names, number, read_only, real_array, restore
from flushpoint.ensemble import Ensemble, OfOneRun, Ranges
from flushpoint.result import STREAM
from flushpoint.seed import Seed
from flushpoint.summary import (
    QUANTILES,
    Estimate,
    Summary,
    any_closed,
    check_confidence,
    check_levels,
    enough,
    normal_quantile,
    order_statistic,
    power_of_two,
    proportion,
    rank_bounds,
)

Ints = NDArray[np.int64]

#: So many bits of a number's mantissa, behind the first, tell its bucket.
_BITS = 10
_DROPPED = 52 - _BITS
_INFINITE = 2047 << _BITS  # bucket of inf
_LARGEST = np.finfo(np.float64).max
#: A bucket's middle is off by this share at most.
RELATIVE_ERROR = 2.0 ** -(_BITS + 1)
#: Sums are integers in units of 2^-_UNIT, those of squares in units of its square: no number is finer than that.
_UNIT = 1126
_AT_ONCE = 2**15  # values of which all sums of parts of mantissas stay below 2^53, where doubles count exactly

_bounds = lru_cache(256)(rank_bounds)


@dataclass(frozen=True, eq=False)
class StreamedColumn:
    """What is kept of a column.

    Attributes
    ----------
    count, nan : int
        Values, and values left out because they are nan (not known).
    positive : int
        How many are above 0; of truth values, how many are true.
    minimum, maximum : float
        nan where there is no value.

    Notes
    -----
    Sums of values and of their squares are kept exactly, as integers, so that `mean` and `standard_deviation` are
    exact, rounded once. Besides, values are counted in buckets, 1,024 from a power of 2 to the next: the middle of a
    bucket is off by at most 2^-11 (0.05 %) of any value in it, as in Masson, Rim and Lee (2019), whose sketch has
    buckets of equal ratio and is as simple to merge. Integers up to 2,048 have buckets of their own; values that are
    no normal numbers, below 2^-1022, are off by 2^-1032.
    """

    count: int
    nan: int
    positive: int
    minimum: float
    maximum: float
    _kind: str
    _total: int
    _squares: int
    _pairs: tuple[int, int, int, int]  # of antithetic paths: how many, sums of their sums, squares and squared sizes
    _keys: Ints
    _counts: Ints

    __setstate__ = restore

    def __post_init__(self) -> None:
        read_only((self._keys, self._counts))

    def _plus(self, other: StreamedColumn) -> StreamedColumn:
        """Return what the values of both add up to."""
        keys, place = np.unique(np.concatenate([self._keys, other._keys]), return_inverse=True)
        counts = np.zeros(keys.size, dtype=np.int64)
        np.add.at(counts, place, np.concatenate([self._counts, other._counts]))
        return StreamedColumn(
            self.count + other.count,
            self.nan + other.nan,
            self.positive + other.positive,
            float(np.fmin(self.minimum, other.minimum)),
            float(np.fmax(self.maximum, other.maximum)),
            self._kind,
            self._total + other._total,
            self._squares + other._squares,
            tuple(a + b for a, b in zip(self._pairs, other._pairs, strict=True)),  # type: ignore[arg-type]
            keys,
            counts,
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, StreamedColumn):
            return NotImplemented
        mine, theirs = ({f.name: getattr(one, f.name) for f in fields(StreamedColumn)} for one in (self, other))
        return all(np.array_equal(mine[name], theirs[name], equal_nan=_is_float(mine[name])) for name in mine)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        if self._kind == "b":
            return f"<StreamedColumn: {self.positive:,} of {self.count:,} true>"
        ends = f"{self.minimum:.6g} to {self.maximum:.6g}"
        return f"<StreamedColumn: {self.count:,} values, mean {self.mean:.6g}, {ends}>"

    @property
    def mean(self) -> float:
        """Exact mean, rounded once; nan without values."""
        if not self.count:
            return math.nan
        if math.isinf(self.minimum) or math.isinf(self.maximum):
            return self.minimum + self.maximum
        return _ratio(self._total, self.count, _UNIT)

    @property
    def standard_deviation(self) -> float:
        """With n - 1 in the denominator, exact but for the rounding of variance and root; nan below two values."""
        n = self.count
        if n < 2 or not self._finite:
            return math.nan
        return _root(n * self._squares - self._total**2, n * (n - 1), _UNIT)

    def quantile(self, probability: float) -> float:
        """Return the smallest value that at least this share of values does not exceed, off by 2^-11 of it at most.

        Parameters
        ----------
        probability : float
            From 0 to 1.
        """
        share = number("probability", probability, at_least=0, at_most=1)
        if not self.count:
            return math.nan
        return float(self._buckets.middle[self._buckets.of_rank(order_statistic(self.count, share))])

    def histogram(self, bins: int | ArrayLike = 50) -> tuple[Ints, FloatArray]:
        """Count values in bins.

        Parameters
        ----------
        bins : int or array_like, default 50
            Their number, or the edges between them, rising. Edges move to those of buckets, down by 2^-10 of
            themselves at most, so that all counts are exact.

        Returns
        -------
        counts : ndarray of int64, shape (n,)
            Infinite values are in none.
        edges : ndarray of float64, shape (n + 1,)
            Those that fall together are one. A value at an edge is in the bin farther from 0, 0 in the one above;
            values smaller than 2^-1032 count as 0.
        """
        if np.ndim(bins) == 0:
            pieces = count("bins", bins, 1)
            finite = self._keys[np.abs(self._keys) < _INFINITE]
            if not finite.size:
                return np.zeros(0, dtype=np.int64), np.zeros(0)
            first, last = int(finite[0]), int(finite[-1])
            low, high = np.clip(_lower(np.array([first, last])), -_LARGEST, _LARGEST) / 2  # whose difference is finite
            wanted = 2 * np.linspace(low, high, pieces + 1)[:-1]
            at = np.append(np.unique(np.clip(_keys(wanted), first, last)), last + 1)
        else:
            wanted = real_array("bins", bins)
            if wanted.ndim != 1 or wanted.size < 2:
                raise ValueError(f"bins must be at least two edges in one dimension, was of shape {wanted.shape}")
            check("bins", wanted, np.isfinite(wanted) & (np.diff(wanted, prepend=-np.inf) > 0), "finite and rising")
            at = np.unique(_keys(wanted))
        before = np.concatenate([[0], np.cumsum(self._counts)])[np.searchsorted(self._keys, at)]
        return np.diff(before), _lower(at)

    @property
    def _finite(self) -> bool:
        return math.isfinite(self.minimum) and math.isfinite(self.maximum)

    @cached_property
    def _buckets(self) -> _Buckets:
        inner, outer = _ends(self._keys)
        with np.errstate(invalid="ignore"):
            middle = np.where(np.isfinite(outer), inner + (outer - inner) / 2, inner)
        if self._kind in "biu":  # those that there can be
            inner, middle = np.ceil(inner), np.trunc(middle)
            outer = np.maximum(np.ceil(outer) - 1, inner)
        below = self._keys < 0
        sides = np.where(below, -outer, inner), np.where(below, -middle, middle), np.where(below, -inner, outer)
        low, middle, high = (np.clip(side, self.minimum, self.maximum) for side in sides)
        return _Buckets(low, middle, high, self._counts)

    def _standard_error(self, paired: bool) -> float:
        """Standard error of the mean; of antithetic paths, from what each pair adds to the sum."""
        if not paired:
            return self.standard_deviation / math.sqrt(self.count) if self.count > 1 else math.nan
        pairs, sums, squares, sizes = self._pairs
        n = self.count
        if pairs < 2 or not self._finite:
            return math.nan
        # Sum over pairs of (s - m mean)^2, with m of its values known and s their sum; mean = total / n.
        spread = n * n * squares - 2 * n * self._total * sums + self._total**2 * sizes
        return _root(spread * pairs, n**4 * (pairs - 1), _UNIT)

    def _figures(self, levels: tuple[float, ...], confidence: float, low_is_bad: bool, paired: bool) -> dict[str, Any]:
        each = 2 if paired else 1
        share = proportion(self.positive, self.count, confidence, each)
        if self._kind == "b":
            return {"count": self.count, "nan": self.nan, "probability": share}
        n = self.count
        reach = normal_quantile(confidence) * self._standard_error(paired)
        mean = self.mean
        unknown = Estimate(math.nan, math.nan, math.nan)
        buckets = self._buckets
        bad = buckets.mirrored if low_is_bad else buckets
        risks, shortfalls = {}, {}
        for level in levels:
            risk = bad.quantile(level, confidence, each) if n else unknown
            shortfall = bad.shortfall(risk.value, level, confidence, paired) if n else unknown
            if low_is_bad:
                risk, shortfall = (Estimate(-one.value, -one.high, -one.low) for one in (risk, shortfall))
            risks[level], shortfalls[level] = risk, shortfall
        return {
            "count": n,
            "nan": self.nan,
            "mean": Estimate(mean, mean - reach, mean + reach),
            "standard_deviation": self.standard_deviation,
            "positive": share,
            "quantile": {p: buckets.quantile(p, confidence, each) if n else unknown for p in QUANTILES},
            "tail": "low" if low_is_bad else "high",
            "value_at_risk": risks,
            "expected_shortfall": shortfalls,
        }


@dataclass(frozen=True)
class _Buckets:
    """Ends and middles of buckets in rising order, and how many values are in each."""

    low: FloatArray
    middle: FloatArray
    high: FloatArray
    counts: Ints

    @cached_property
    def _until(self) -> Ints:
        return np.cumsum(self.counts)

    @property
    def mirrored(self) -> _Buckets:
        return _Buckets(-self.high[::-1], -self.middle[::-1], -self.low[::-1], self.counts[::-1])

    def of_rank(self, rank: int) -> int:
        """Bucket of the value of this rank, from 1."""
        return int(np.searchsorted(self._until, rank))

    def quantile(self, probability: float, confidence: float, each: int) -> Estimate:
        n = int(self._until[-1])
        low, high = _bounds(n, probability, confidence, each)
        return Estimate(
            float(self.middle[self.of_rank(order_statistic(n, probability))]),
            float(self.low[self.of_rank(low)]) if low >= 1 else -math.inf,
            float(self.high[self.of_rank(high)]) if high <= n else math.inf,
        )

    def shortfall(self, risk: float, level: float, confidence: float, paired: bool) -> Estimate:
        """Mean of the worst, with an interval that has room for the buckets' width, too."""
        n = int(self._until[-1])
        scale = power_of_two(self.middle)
        middle, risk = self.middle / scale, risk / scale
        excess = np.zeros(middle.size)
        worse = middle > risk
        excess[worse] = (middle[worse] - risk) / (1 - level)
        with np.errstate(invalid="ignore"):  # infinite values have no deviation
            mean = float(self.counts @ excess) / n
            value = (risk + mean) * scale
            if not enough(n, level) or paired:
                return Estimate(value, math.nan, math.nan)
            spread = float(self.counts @ (excess - mean) ** 2) / (n - 1)
            rest = max(1 - level - int(self.counts[worse].sum()) / n, 0.0) * abs(risk)
            size = (float(self.counts[worse] @ np.abs(middle[worse])) / n + rest) / (1 - level)
        reach = (normal_quantile(confidence) * math.sqrt(spread / n) + RELATIVE_ERROR * size) * scale
        return Estimate(value, value - reach, value + reach)


class StreamedEnsemble(OfOneRun, Mapping[str, StreamedColumn]):
    """What ``keep="summary"`` returns: of each column of a run exact sums, extremes and counts, and no paths.

    A mapping of names to `StreamedColumn`. Its size goes with how widely values are spread, never with the number of
    paths. ``a + b`` joins other paths of the same run, in any order, to the same bits.

    Attributes
    ----------
    seed, provenance
        As in every result; ``provenance["paths"]`` is the tuple of path ranges.
    """

    _columns: dict[str, StreamedColumn]
    _closed: int | None
    _low_is_bad: frozenset[str]

    def __init__(
        self,
        question: str,
        arguments: dict[str, Any],
        values: dict[str, Any],
        seed: Seed | None,
        ranges: Ranges,
    ) -> None:
        self.__dict__.update(values)
        self.__dict__["seed"] = seed
        self.__dict__["provenance"] = {
            "version": _core.__version__,
            "stream": STREAM,
            "question": question,
            "arguments": {**arguments, "columns": tuple(values["_columns"])},
            "paths": ranges,
        }

    @classmethod
    def of(cls, result: Ensemble) -> StreamedEnsemble:
        """Keep of a result what streaming would have kept.

        Parameters
        ----------
        result : Ensemble
            Of antithetic paths it must have both of each pair.
        """
        if not isinstance(result, Ensemble):
            raise TypeError(f"result must be an Ensemble, was {type(result).__name__}")
        for start, stop in result.provenance["paths"]:
            check_pairs(result, range(start, stop))
        return _of(result, result.provenance["paths"], folded(result))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{name} cannot be set: results are frozen")

    def __getitem__(self, name: str) -> StreamedColumn:
        return self._columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, StreamedEnsemble):
            return NotImplemented
        return self._columns == other._columns and self._closed == other._closed

    __hash__ = None  # type: ignore[assignment]

    def summary(
        self, columns: Iterable[str] | None = None, levels: ArrayLike = (0.95, 0.99), confidence: float = 0.95
    ) -> Summary:
        """Mean, quantiles, value at risk and expected shortfall of each column, each with its interval.

        As `Ensemble.summary`, but: quantiles and values at risk are off by 2^-11 (0.05 %) of themselves at most, and
        expected shortfalls by 2^-11 of the mean size of the values in the tail, which is the same where all have one
        sign. Intervals are as wide as they must be to hold that, too. Antithetic paths give expected shortfalls no
        interval.

        Parameters
        ----------
        columns : iterable of str, optional
            All by default.
        levels : array_like, default (0.95, 0.99)
            Of value at risk and expected shortfall, above 0 and below 1.
        confidence : float, default 0.95
            Of the intervals, above 0 and below 1.

        Returns
        -------
        Summary
        """
        chosen = tuple(self) if columns is None else names("columns", columns, self)
        wanted, sure, paired = check_levels(levels), check_confidence(confidence), self._antithetic
        closed = self._closed
        return Summary(
            paths=self._count,
            levels=wanted,
            confidence=sure,
            _figures={name: self[name]._figures(wanted, sure, name in self._low_is_bad, paired) for name in chosen},
            liquidation=None if closed is None else proportion(closed, self._count, sure, 2 if paired else 1),
        )

    def _of_paths(self, ranges: Ranges, values: dict[str, Any]) -> StreamedEnsemble:
        told = self.provenance
        return StreamedEnsemble(told["question"], told["arguments"], values, self.seed, ranges)

    def _join(self, other: StreamedEnsemble) -> dict[str, Any]:
        return {"_low_is_bad": self._low_is_bad, **(self._folded + other._folded)._values}

    @property
    def _folded(self) -> _Folded:
        return _Folded(self._columns, self._closed)

    def __repr__(self) -> str:
        return f"<StreamedEnsemble: {self._count:,} paths, {len(self)} columns{self._seeded}>"


@dataclass(frozen=True)
class _Folded:
    """What is kept of some paths."""

    columns: dict[str, StreamedColumn]
    closed: int | None  # paths in which anything was closed, where columns tell

    def __add__(self, other: _Folded) -> _Folded:
        columns = {name: column._plus(other.columns[name]) for name, column in self.columns.items()}
        both = None if self.closed is None or other.closed is None else self.closed + other.closed
        return _Folded(columns, both)

    @property
    def _values(self) -> dict[str, Any]:
        return {"_columns": self.columns, "_closed": self.closed}


def check_pairs(result: Ensemble, rows: range) -> None:
    """Raise where antithetic paths are there without their mirror images."""
    if result._antithetic and (rows.start % 2 or rows.stop % 2):
        raise ValueError(f"paths must begin and end at even numbers where antithetic paths are summed up, was {rows!r}")


def folded(result: Ensemble) -> _Folded:
    """Sum a result up."""
    anything = any_closed(result)
    columns = {name: _column(result[name], result._antithetic) for name in result}
    return _Folded(columns, None if anything is None else int(np.count_nonzero(anything)))


def streamed(outline: Ensemble, rows: range, parts: Iterable[_Folded]) -> StreamedEnsemble:
    """Return what parts add up to; the outline is a result of the same run without rows."""
    return _of(outline, ((rows.start, rows.stop),), reduce(add, parts))


def _of(result: Ensemble, ranges: Ranges, sums: _Folded) -> StreamedEnsemble:
    told = result.provenance
    values = {"_low_is_bad": result._low_is_bad, **sums._values}
    return StreamedEnsemble(told["question"], told["arguments"], values, result.seed, ranges)


def packed(sums: _Folded) -> dict[str, NDArray[Any]]:
    """Return sums as arrays."""
    out: dict[str, NDArray[Any]] = {"closed": np.array([] if sums.closed is None else [sums.closed], dtype=np.int64)}
    out["names"] = np.array([*sums.columns], dtype=np.str_)
    for i, column in enumerate(sums.columns.values()):
        out[f"{i}.numbers"] = np.array([column.count, column.nan, column.positive], dtype=np.int64)
        out[f"{i}.extremes"] = np.array([column.minimum, column.maximum])
        sums_as_text = " ".join([column._kind, *map(hex, (column._total, column._squares, *column._pairs))])
        out[f"{i}.sums"] = np.frombuffer(sums_as_text.encode(), dtype=np.uint8)
        out[f"{i}.keys"], out[f"{i}.counts"] = column._keys, column._counts
    return out


def unpacked(arrays: Mapping[str, NDArray[Any]]) -> _Folded:
    """Return the sums that `packed` made arrays of."""
    columns = {}
    for i, name in enumerate(arrays["names"].tolist()):
        kind, *wide = arrays[f"{i}.sums"].tobytes().decode().split()
        total, squares, *pairs = (int(one, 16) for one in wide)
        counts: list[int] = arrays[f"{i}.numbers"].tolist()
        ends: list[float] = arrays[f"{i}.extremes"].tolist()
        sketch = arrays[f"{i}.keys"], arrays[f"{i}.counts"]
        columns[name] = StreamedColumn(*counts, *ends, kind, total, squares, tuple(pairs), *sketch)  # type: ignore[call-arg, arg-type]
    closed = arrays["closed"].tolist()
    return _Folded(columns, closed[0] if closed else None)


def _column(column: NDArray[Any], antithetic: bool) -> StreamedColumn:
    """Sum a column up."""
    values = column.astype(np.float64)
    known = values[~np.isnan(values)]
    keys, counts = _counted(_keys(known[known != 0]))
    zeros = known.size - int(counts.sum())
    if zeros:
        at = int(np.searchsorted(keys, 0))
        if at < keys.size and keys[at] == 0:
            counts[at] += zeros
        else:
            keys, counts = np.insert(keys, at, 0), np.insert(counts, at, zeros)
    total, squares = _sums(known[np.isfinite(known) & (known != 0)])
    return StreamedColumn(
        known.size,
        values.size - known.size,
        int(np.count_nonzero(known > 0)),
        float(known.min()) if known.size else math.nan,
        float(known.max()) if known.size else math.nan,
        column.dtype.kind,
        total,
        squares,
        _pair_sums(values) if antithetic else (0, 0, 0, 0),
        keys,
        counts,
    )


def _pair_sums(values: FloatArray) -> tuple[int, int, int, int]:
    """Of pairs with m known values of sum s: how many, sum of m s, sum of s^2, sum of m^2."""
    two = values.reshape(-1, 2)
    there = ~np.isnan(two)
    sizes = there.sum(1)
    with np.errstate(over="ignore", invalid="ignore"):
        sums = np.where(there, two, 0.0).sum(1)
        weighted = sums * sizes
    sums[~np.isfinite(weighted)] = 0.0  # no column that is not finite has a standard error
    weighted[~np.isfinite(weighted)] = 0.0
    return int(np.count_nonzero(sizes)), _sums(weighted)[0], _sums(sums)[1], int((sizes**2).sum())


def _sums(values: FloatArray) -> tuple[int, int]:
    """Exact sums of finite values and of their squares, in units of 2^-_UNIT and its square.

    Mantissas are cut into three parts, whose products are added up by exponent: integers that doubles hold exactly.
    """
    total = squares = 0
    for start in range(0, values.size, _AT_ONCE):
        some = values[start : start + _AT_ONCE]
        mantissa, exponent = np.frexp(np.abs(some))
        first = int(exponent.min())
        place = exponent - first
        whole = mantissa * 2.0**53
        high = np.floor(whole * 2.0**-36)
        whole -= high * 2.0**36
        middle = np.floor(whole * 2.0**-18)
        low = whole - middle * 2.0**18
        # Of the powers of 2^18, from the highest.
        square = (high * high, 2 * high * middle, 2 * high * low + middle * middle, 2 * middle * low, low * low)
        parts: list[NDArray[Any]] = [np.bincount(place, np.copysign(part, some)) for part in (high, middle, low)]
        square_parts: list[NDArray[Any]] = [np.bincount(place, part) for part in square]
        for i in np.flatnonzero(np.bincount(place)).tolist():
            shift = first + i - 53 + _UNIT
            total += _joined(parts, i) << shift
            squares += _joined(square_parts, i) << 2 * shift
    return total, squares


def _joined(parts: list[NDArray[Any]], i: int) -> int:
    return reduce(lambda sum_, part: (sum_ << 18) + int(part[i]), parts, 0)


def _ratio(numerator: int, denominator: int, unit: int) -> float:
    """Return numerator / denominator / 2^unit, rounded once."""
    try:
        return numerator / (denominator << unit)
    except OverflowError:
        return math.inf if numerator > 0 else -math.inf


def _root(numerator: int, denominator: int, unit: int) -> float:
    """Return the root of numerator / denominator, / 2^unit, but for the rounding of ratio and root."""
    shift = max((numerator.bit_length() - denominator.bit_length()) // 2, 0)  # so that the ratio is no huge number
    try:
        return math.ldexp(math.sqrt(numerator / (denominator << 2 * shift)), shift - unit)
    except OverflowError:
        return math.inf


def _keys(values: FloatArray) -> Ints:
    """Number of each value's bucket; those of opposite values are opposite."""
    buckets = np.abs(values).view(np.int64) >> _DROPPED
    return np.where(values < 0, -buckets, buckets)


def _ends(keys: Ints) -> tuple[FloatArray, FloatArray]:
    """Sizes between which the values of buckets are, the outer one excluded; of bucket 0 they are 0 or not normal."""
    near = np.abs(keys) << _DROPPED
    inner = near.view(np.float64)
    outer = np.where(np.isinf(inner), near, near + (1 << _DROPPED)).view(np.float64)
    return inner, np.where(keys == 0, 0.0, outer)


def _lower(keys: Ints) -> FloatArray:
    """Lower ends of buckets."""
    inner, outer = _ends(keys)
    return np.where(keys < 0, -outer, inner)


def _counted(keys: Ints) -> tuple[Ints, Ints]:
    """Distinct keys in rising order, and how often each is there."""
    if not keys.size:
        return keys, keys.copy()
    first = int(keys.min())
    if int(keys.max()) - first > 8 * keys.size:
        found, counts = np.unique(keys, return_counts=True)
        return found, counts.astype(np.int64)
    counts = np.bincount(keys - first)
    found = np.flatnonzero(counts)
    return found + first, counts[found].astype(np.int64)


def _is_float(value: object) -> bool:
    return isinstance(value, float)
