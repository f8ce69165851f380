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
_FURTHEST = 38.0  # deviations: beyond, a normal law has no probability that a double can tell from 0
_MOST_EXPECTED = 1e15  # positions in a wave: as good as infinitely many
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

    def _log_weight(self, moves: FloatArray, tilt: Tilt) -> FloatArray:
        """Log likelihood of moves from the mean over that under a tilt, which may go two ways."""
        ratios = np.stack([shift * (2 * moves - shift) for shift in tilt._shifts]) / (2 * self.deviation**2)
        most = ratios.max(axis=0)
        return np.asarray(-most - _core.log(np.mean([_core.exp(ratio - most) for ratio in ratios], axis=0)))


@dataclass(frozen=True)
class Tilt:
    """How far the laws of scenarios are bent towards what is rare.

    Parameters
    ----------
    density : float, default 1.0
        Factor on the density of a random book's positions, positive.
    quantity : float, default 1.0
        Factor on the mean of `Exponential` quantities, positive.
    shock : float or tuple of two, default 0.0
        Added to the mean of a `NormalShock`; of two, each in every other scenario: for events that both a fall and a
        rise may lead to.
    """

    density: float = 1.0
    quantity: float = 1.0
    shock: float | tuple[float, float] = 0.0

    def __post_init__(self) -> None:
        for name in ("density", "quantity"):
            object.__setattr__(self, name, number(name, getattr(self, name), above=0))
        if isinstance(self.shock, tuple) and len(self.shock) == 2:
            down, up = (number("shock", one) for one in self.shock)
            object.__setattr__(self, "shock", (down, up))
        else:
            object.__setattr__(self, "shock", number("shock", self.shock))

    @property
    def _shifts(self) -> tuple[float, ...]:
        return self.shock if isinstance(self.shock, tuple) else (self.shock,)

    def __str__(self) -> str:
        factors = (("density", self.density), ("mean quantity", self.quantity))
        parts = [f"{name} x {factor:.4g}" for name, factor in factors if factor != 1]
        if self.shock != 0:
            parts.append("mean log shock " + " or ".join(f"{shift:+.4g}" for shift in self._shifts))
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
            moves = self.shock.deviation * normals(scenarios, noise, self.threads)
            moves += np.resize(tilt._shifts, scenarios)
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
        log_weight = np.zeros(scenarios)
        if isinstance(self.shock, NormalShock):
            log_weight += self.shock._log_weight(moves, tilt)
        seen = None
        if isinstance(result, RandomStressResult):
            if ends_at_threshold(self.column, self.at_least):
                reached |= result.runaway
                values = np.where(result.runaway, np.inf, values)
            seen = self._seen(result)
            log_weight += seen.log_weight(tilt)
        return Sample(values, reached, log_weight, moves, shocks < 0, seen)

    def _seen(self, result: RandomStressResult) -> Seen:
        assert isinstance(self.book, RandomBook)
        rows = len(result.long_count)
        number_there, expected, more, closed, size = np.zeros((5, rows))
        sides = ((1, result.long_count, result.long_quantity), (-1, result.short_count, result.short_quantity))
        means = self._sized()
        for (side, count, quantity), uncovered in zip(sides, result._uncovered, strict=True):
            parts = [part for part in self.book._parts if part.side == side]
            if parts:
                there, start, stop = uncovered.T
                number_there += there
                expected += _mean_count(parts, start)
                ended = stop > start
                rest = _mean_count(parts, stop[ended]) - _mean_count(parts, start[ended])
                more[ended] = np.minimum(rest, _MOST_EXPECTED)
            if side in means:
                closed += count
                size += quantity / means[side]
        return Seen(number_there, expected, result._max_count - number_there + 1, more, closed, size)

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
        """Choose a tilt from about so many scenarios: for a random shock one for falls and one for rises, joined."""
        ways = (-1, 1) if isinstance(self.shock, NormalShock) else (0,)
        found = [
            self._toward(way, scenarios // len(ways), SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, i)))
            for i, way in enumerate(ways)
        ]
        there = [one for one in found if one.probability > 0]
        if not there:
            name, sign = ("at_least", 1.0) if self.at_least else ("at_most", -1.0)
            raise ValueError(
                f"{name} must be within the pilot's reach unless tilt is given, was {self.threshold:g}: the pilot came "
                f"to a {self.column} of {sign * max(one.furthest for one in found):g}"
            )
        likeliest = max(there, key=lambda one: one.probability).tilt
        if len(there) == 1:
            return likeliest
        return replace(likeliest, shock=(there[0].tilt._shifts[0], there[1].tilt._shifts[0]))

    def _toward(self, way: int, scenarios: int, seed: SeedSequence) -> Pilot:
        """Find a tilt by cross-entropy (Rubinstein 1999), of falls (-1), rises (+1) or both (0).

        Stage by stage the tilt is fitted to the worst tenth of the scenarios of the tilt before, until these reach the
        threshold, and then once more to more of them.
        """
        size = max(scenarios // (2 * _STAGES), 100)
        tilt, furthest = Tilt(), -math.inf
        for stage in range(_STAGES):
            sample = self.run(tilt, size, SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, stage)))
            if np.count_nonzero(sample.reached & sample.goes(way)) >= _ELITE * size:
                last = SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, _STAGES))
                final = self.run(tilt, max(scenarios // 2, size), last)
                elite = final.reached & final.goes(way)
                if elite.any():
                    return Pilot(final.fitted(elite, tilt), float(final.weights()[elite].sum()) / elite.size, furthest)
            scores = sample.values if self.at_least else -sample.values
            values = np.sort(scores[sample.goes(way)])
            better = values[values > values[:1]]
            furthest = max([furthest, *values[-1:]])
            if not better.size:  # nothing tells how to go on
                tilt = self._wider(tilt, way)
                continue
            level = max(values[-math.ceil(_ELITE * values.size)], better[0])
            tilt = sample.fitted(sample.goes(way) & ((scores >= level) | sample.reached), tilt)
        return Pilot(tilt, 0.0, furthest)

    def _wider(self, tilt: Tilt, way: int) -> Tilt:
        if not isinstance(self.shock, NormalShock):
            return replace(tilt, density=2 * tilt.density)
        far = min(2 * max(self.shock.deviation, abs(tilt._shifts[0])), _FURTHEST * self.shock.deviation)
        return replace(tilt, shock=way * far)


@dataclass(frozen=True)
class Pilot:
    """What a pilot found: a tilt, about how likely the event is, 0 where it was not reached, and how far it came."""

    tilt: Tilt
    probability: float
    furthest: float


@dataclass(frozen=True, eq=False)
class Seen:
    """What scenarios of a random book show of its density and quantities, one value each.

    `number` positions stood where `expected` would on average without a tilt. Where a scenario ended in a wave, no more
    is known than that it had at least `least` instead of `more`; elsewhere `more` is 0. `closed` positions whose
    quantities can be tilted came to `size` mean ones.
    """

    number: FloatArray
    expected: FloatArray
    least: FloatArray
    more: FloatArray
    closed: FloatArray
    size: FloatArray

    def log_weight(self, tilt: Tilt) -> FloatArray:
        """Logarithm of the likelihood without a tilt over that with it."""
        out = (tilt.density - 1) * self.expected - self.number * math.log(tilt.density)
        ended = self.more > 0
        least, more = self.least[ended], self.more[ended]
        out[ended] += _log_poisson_tail(least, more) - _log_poisson_tail(least, tilt.density * more)
        out += self.closed * math.log(tilt.quantity) - (1 - 1 / tilt.quantity) * self.size
        return np.asarray(out)

    def likeliest(self, elite: NDArray[np.bool_], weight: FloatArray, tilt: Tilt) -> Tilt:
        """The tilt of density and quantity under which the weighted elite is likeliest."""
        number_there, expected = float(weight @ self.number[elite]), float(weight @ self.expected[elite])
        ended = self.more[elite] > 0
        share, least, more = weight[ended], self.least[elite][ended], self.more[elite][ended]

        def slope(factor: float) -> float:
            mean = factor * more
            # A Poisson number that is at least so large exceeds its mean by so much on average.
            beyond = mean * _core.exp(_log_poisson(least - 1, mean) - _log_poisson_tail(least, mean))
            return number_there + float(share @ beyond) - factor * expected

        low, high = math.log(tilt.density) - 2, math.log(tilt.density) + 2
        for _ in range(24):  # the slope falls with the factor
            middle = (low + high) / 2
            low, high = (middle, high) if slope(math.exp(middle)) > 0 else (low, middle)
        closed, size = float(weight @ self.closed[elite]), float(weight @ self.size[elite])
        return replace(tilt, density=math.exp(low), quantity=size / closed if closed > 0 else tilt.quantity)


@dataclass(frozen=True, eq=False)
class Sample:
    """Tilted scenarios: what each came to, and its log weight."""

    values: FloatArray
    reached: NDArray[np.bool_]
    log_weight: FloatArray
    moves: FloatArray
    falls: NDArray[np.bool_]
    seen: Seen | None

    def weights(self) -> FloatArray:
        """Weight where the threshold is reached, else 0: their mean is the probability."""
        out = np.zeros(self.values.size)
        out[self.reached] = _core.exp(self.log_weight[self.reached])
        return out

    def goes(self, way: int) -> NDArray[np.bool_]:
        """Which scenarios fall (-1) or rise (+1); all for 0."""
        return self.falls if way < 0 else ~self.falls if way > 0 else np.ones(self.falls.size, dtype=bool)

    def fitted(self, elite: NDArray[np.bool_], tilt: Tilt) -> Tilt:
        """The tilt under which the elite is likeliest, each weighted by its likelihood in truth."""
        log_weight = self.log_weight[elite]
        weight = _core.exp(log_weight - log_weight.max())
        weight /= weight.sum()
        found = replace(tilt, shock=float(weight @ self.moves[elite]))
        return found if self.seen is None else self.seen.likeliest(elite, weight, found)


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
    out[at] = _log_poisson(n, lam) + _core.log(total)
    return out


def _log_poisson(number: FloatArray, mean: FloatArray) -> FloatArray:
    """Logarithm of P(a Poisson number of each mean is `number`)."""
    values, where = np.unique(number, return_inverse=True)
    log_factorial = np.array([math.lgamma(value + 1) for value in values])[where]
    return np.asarray(number * _core.log(mean) - mean - log_factorial)
