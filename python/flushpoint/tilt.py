"""Tilting: rare cascades are made common, and each is weighted by how much rarer it is in truth."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.random import SeedSequence
from numpy.typing import NDArray

from flushpoint import _core
from flushpoint._drawn import normals
from flushpoint._validate import FloatArray, number
from flushpoint.book import Book
from flushpoint.laws import Exponential
from flushpoint.market import Market
from flushpoint.random_book import RandomBook, _Part
from flushpoint.stress import RandomStressResult, stress

_STAGES = 20
_ELITE = 0.1  # share of a pilot's scenarios that the next one is fitted to


@dataclass(frozen=True)
class NormalShock:
    """A shock whose log price move is normal, drawn anew in every scenario.

    Parameters
    ----------
    mean : float
        Of log(1 + shock).
    deviation : float
        Standard deviation of log(1 + shock), positive.
    """

    mean: float
    deviation: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "mean", number("mean", self.mean))
        object.__setattr__(self, "deviation", number("deviation", self.deviation, above=0, at_most=100))


@dataclass(frozen=True)
class Tilt:
    """How far the laws of scenarios are bent towards what is rare.

    Parameters
    ----------
    density : float, default 1.0
        Factor on the density of a random book's positions, positive.
    quantity : float, default 1.0
        Factor on the mean of `Exponential` quantities, positive.
    shock : float, default 0.0
        Added to the mean of a `NormalShock`.
    """

    density: float = 1.0
    quantity: float = 1.0
    shock: float = 0.0

    def __post_init__(self) -> None:
        for name in ("density", "quantity"):
            object.__setattr__(self, name, number(name, getattr(self, name), above=0))
        object.__setattr__(self, "shock", number("shock", self.shock))

    def __str__(self) -> str:
        factors = (("density", self.density), ("mean quantity", self.quantity))
        parts = [f"{name} x {factor:.4g}" for name, factor in factors if factor != 1]
        parts += [f"mean log shock {self.shock:+.4g}"] if self.shock else []
        return ", ".join(parts) or "none"


@dataclass(frozen=True, eq=False)
class Scenarios:
    """What is asked of scenarios: whether a column reaches a threshold."""

    book: Book | RandomBook
    market: Market
    shock: float | NormalShock
    column: str
    threshold: float
    at_least: bool
    max_count: int
    threads: int
    arguments: dict[str, Any]

    def check_tilt(self, tilt: Tilt) -> None:
        """Raise where a tilt is of what this question does not hold."""
        if tilt.density != 1 and not isinstance(self.book, RandomBook):
            raise ValueError(f"tilt must leave density at 1 for a book of known positions, was {tilt.density}")
        if tilt.quantity != 1 and not self._sized():
            raise ValueError(
                f"tilt must leave quantity at 1 unless a side is one part of Exponential quantity, was {tilt.quantity}"
            )
        if tilt.shock != 0 and not isinstance(self.shock, NormalShock):
            raise ValueError(f"tilt must leave shock at 0 unless shock is a NormalShock, was {tilt.shock}")

    def run(
        self, tilt: Tilt, scenarios: int, seed: SeedSequence, progress: Callable[[int, int], object] | None = None
    ) -> Sample:
        """Run tilted scenarios."""
        moves = np.zeros(scenarios)
        if isinstance(self.shock, NormalShock):
            noise = SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, 0))
            moves = tilt.shock + self.shock.deviation * normals(scenarios, noise, self.threads)
            shocks = _core.exp(self.shock.mean + moves) - 1
        else:
            shocks = np.full(scenarios, self.shock)
        book = _bent(self.book, tilt, self._sized()) if isinstance(self.book, RandomBook) else self.book
        random: dict[str, Any] = {"seed": seed, "max_count": self.max_count} if isinstance(book, RandomBook) else {}
        result = stress(book, self.market, shocks, threads=self.threads, progress=progress, **random, **self.arguments)
        values = np.asarray(getattr(result, self.column), dtype=np.float64)
        unknown = int(np.count_nonzero(np.isnan(values)))
        if unknown:
            raise ValueError(f"{self.column} must be known in every scenario, was nan in {unknown:,} of {scenarios:,}")
        reached = values >= self.threshold if self.at_least else values <= self.threshold
        weight = np.zeros(scenarios)
        fitted = {"moves": moves}
        if isinstance(self.shock, NormalShock):
            weight += tilt.shock * (tilt.shock - 2 * moves) / (2 * self.shock.deviation**2)
        if isinstance(result, RandomStressResult):
            if ends_at_threshold(self.column, self.at_least):
                reached |= result.runaway
                values = np.where(result.runaway, np.inf, values)
            weight += self._weigh(tilt, result, fitted)
        return Sample(values, reached, weight, **fitted)

    def _weigh(self, tilt: Tilt, result: RandomStressResult, fitted: dict[str, FloatArray]) -> FloatArray:
        """Log weights of random books; what the next tilt is fitted to is put into `fitted`."""
        assert isinstance(self.book, RandomBook)
        sides = dict(zip((1, -1), result._uncovered, strict=True))
        before = sides[1][:, 0] + sides[-1][:, 0]
        weight, number_there, expected = np.zeros(before.size), np.zeros(before.size), np.zeros(before.size)
        for side, (count, start, stop) in ((side, rows.T) for side, rows in sides.items()):
            parts = [part for part in self.book._parts if part.side == side]
            if not parts:
                continue
            there = _mean_count(parts, start)
            weight += (tilt.density - 1) * there - count * math.log(tilt.density)
            number_there += count
            expected += there
            ended = np.flatnonzero(stop > start)
            if ended.size:
                # Of the wave in which a scenario ended no more is known than that it had at least `least` positions.
                more = _mean_count(parts, stop[ended]) - there[ended]
                least = result._max_count - before[ended] + 1
                weight[ended] += _log_poisson_tail(least, more) - _log_poisson_tail(least, tilt.density * more)
                number_there[ended] += np.maximum(least, tilt.density * more)
                expected[ended] += more
        count, size = np.zeros(before.size), np.zeros(before.size)
        for side, mean in self._sized().items():
            count += result.long_count if side > 0 else result.short_count
            size += (result.long_quantity if side > 0 else result.short_quantity) / mean
        weight += count * math.log(tilt.quantity) - (1 - 1 / tilt.quantity) * size
        fitted |= {"number": number_there, "expected": expected, "count": count, "size": size}
        return weight

    def _sized(self) -> dict[int, float]:
        """Means of the quantities, by side, that can be tilted: engine sums tell their weights."""
        if not isinstance(self.book, RandomBook):
            return {}
        out = {}
        for side in (1, -1):
            parts = [part for part in self.book._parts if part.side == side]
            if len(parts) == 1 and isinstance(parts[0].quantity, Exponential):
                out[side] = parts[0].quantity.mean
        return out

    def pilot(self, scenarios: int, seed: SeedSequence) -> Tilt:
        """Choose a tilt from `scenarios` of them at most, by cross-entropy (Rubinstein 1999).

        Stage by stage the tilt is fitted to the worst tenth of the scenarios of the tilt before, until these reach the
        threshold, and then once more to more of them.
        """
        size = max(scenarios // (2 * _STAGES), 100)
        tilt = Tilt()
        sign = 1.0 if self.at_least else -1.0
        worst = -math.inf
        for stage in range(_STAGES):
            sample = self.run(tilt, size, SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, stage)))
            if np.count_nonzero(sample.reached) >= _ELITE * size:
                final = self.run(tilt, scenarios // 2, SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, _STAGES)))
                return final.fitted(final.reached, tilt)
            values = np.sort(sign * sample.values)
            better = values[values > values[0]]
            worst = max(worst, float(values[-1]))
            if not better.size:
                break
            level = max(values[-math.ceil(_ELITE * size)], better[0])
            tilt = sample.fitted((sign * sample.values >= level) | sample.reached, tilt)
        name = "at_least" if self.at_least else "at_most"
        raise ValueError(
            f"{name} must be within the pilot's reach unless tilt is given, was {self.threshold:g}: the pilot came to "
            f"a {self.column} of {sign * worst:g}"
        )


@dataclass(frozen=True, eq=False)
class Sample:
    """Tilted scenarios: what each came to, and its log weight."""

    values: FloatArray
    reached: NDArray[np.bool_]
    log_weight: FloatArray
    moves: FloatArray
    number: FloatArray | None = None
    expected: FloatArray | None = None
    count: FloatArray | None = None
    size: FloatArray | None = None

    def weights(self) -> FloatArray:
        """Weight where the threshold is reached, else 0: their mean is the probability."""
        out = np.zeros(self.values.size)
        out[self.reached] = _core.exp(self.log_weight[self.reached])
        return out

    def fitted(self, elite: NDArray[np.bool_], tilt: Tilt) -> Tilt:
        """The tilt under which the elite is likeliest, each weighted by its likelihood in truth."""
        log_weight = self.log_weight[elite]
        weight = _core.exp(log_weight - log_weight.max())
        moved = float(weight @ self.moves[elite] / weight.sum())
        found = replace(tilt, shock=moved)
        if self.number is not None and self.expected is not None and self.count is not None and self.size is not None:
            number_there, expected = float(weight @ self.number[elite]), float(weight @ self.expected[elite])
            if number_there > 0 and expected > 0:
                found = replace(found, density=number_there / expected)
            count, size = float(weight @ self.count[elite]), float(weight @ self.size[elite])
            if count > 0 and size > 0:
                found = replace(found, quantity=size / count)
        return found


def ends_at_threshold(column: str, at_least: bool) -> bool:
    """Whether a random book's scenario is over once the threshold is passed: counts only grow."""
    return column == "liquidated_count" and at_least


def _bent(book: RandomBook, tilt: Tilt, sized: dict[int, float]) -> RandomBook:
    out = object.__new__(RandomBook)
    out._parts = tuple(
        replace(
            part,
            density=tilt.density * part.density,
            quantity=Exponential(tilt.quantity * sized[part.side]) if part.side in sized else part.quantity,
        )
        for part in book._parts
    )
    return out


def _mean_count(parts: list[_Part], distance: FloatArray) -> FloatArray:
    """Mean number of positions up to each distance."""
    return np.asarray(np.sum([part.density * np.minimum(distance, part.extent) for part in parts], axis=0))


def _log_poisson_tail(least: FloatArray, mean: FloatArray) -> FloatArray:
    """Logarithm of P(a Poisson number of each mean is `least` or more)."""
    out = np.zeros(mean.size)
    # Below these it is 1 to the last digit.
    at = np.flatnonzero(mean - least < 10 * np.sqrt(mean) + 10)
    n, lam = least[at], mean[at]
    term, total, step = np.ones(at.size), np.ones(at.size), 0
    while np.any(term > 1e-17 * total):
        step += 1
        term = term * (lam / (n + step))
        total += term
    values, where = np.unique(n, return_inverse=True)
    log_factorial = np.array([math.lgamma(value + 1) for value in values])[where]
    out[at] = n * _core.log(lam) - lam - log_factorial + _core.log(total)
    return out
