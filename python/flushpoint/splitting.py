"""Splitting: paths that come far are branched, paths that do not are given up."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import PCG64, SeedSequence
from numpy.typing import NDArray

from flushpoint import _core, _drawn
from flushpoint._validate import FloatArray, number
from flushpoint.book import Book
from flushpoint.market import Market
from flushpoint.process import Bootstrap, Process, Returns
from flushpoint.simulate import simulate

_GIVEN_UP = 0.25  # share of the paths, at each level
_NEVER = 1e-60


@dataclass(frozen=True, eq=False)
class Paths:
    """What is asked of paths: whether a column reaches a threshold, and which prices lead there."""

    book: Book
    market: Market
    process: Process
    horizon: float
    steps: int
    column: str
    threshold: float
    at_least: bool
    threads: int
    arguments: dict[str, Any]

    def score(self, prices: FloatArray) -> FloatArray:
        """How near to the threshold prices are in view of the time that is left; 0 and above where they are there.

        The distance over the square root of the steps to come, as the chance of a random walk to cover it goes.
        """
        sign, price = self.course
        left = np.sqrt(np.arange(self.steps, -1.0, -1.0) + 1)
        logs = _core.log(prices.ravel()).reshape(prices.shape)
        return np.asarray(sign * (logs - math.log(price)) / left)

    @property
    def course(self) -> tuple[float, float]:
        """Where prices lead to the threshold, +1 up or -1 down, and at which one it is about reached."""
        usual = {("low_price", False): -1.0, ("high_price", True): 1.0}
        usual |= {("final_price", high): 1.0 if high else -1.0 for high in (False, True)}
        if (self.column, self.at_least) in usual:
            number("at_least" if self.at_least else "at_most", self.threshold, above=0)
            return usual[self.column, self.at_least], self.threshold
        name, _, what = self.column.partition("_")
        sides = {"long": (-1.0, self.book.long), "short": (1.0, self.book.short)}
        if name == "liquidated" and self.book.stop is None and not (self.book.long._live and self.book.short._live):
            name = "short" if self.book.short._live else "long"
        if not (self.at_least and name in sides and what in ("count", "quantity", "notional")):
            raise ValueError(
                "column must be low_price, high_price, final_price, or at least so much of long_ or short_count, "
                f"_quantity or _notional (liquidated_ in a book of one side without stops), was {self.column!r} with "
                f"{'at_least' if self.at_least else 'at_most'}"
            )
        sign, side = sides[name]
        if what == "count":
            sums: FloatArray = np.arange(side._live + 1.0)
        else:
            sums = (side.cumulative_quantity if what == "quantity" else side.cumulative_notional)[: side._live + 1]
        if not 0 < self.threshold <= sums[-1]:
            raise ValueError(f"at_least must be above 0 and at most all there is, {sums[-1]:g}, was {self.threshold:g}")
        return sign, float(side.trigger_price[np.searchsorted(sums, self.threshold) - 1])

    def follow(self, returns: FloatArray) -> tuple[FloatArray, NDArray[np.bool_]]:
        """Run paths of such returns: the score at each step, and whether the threshold is reached."""
        run = simulate(
            self.book,
            self.market,
            Returns(returns),
            self.horizon,
            self.steps,
            len(returns),
            columns=(self.column,),
            record="all",
            threads=self.threads,
            **self.arguments,
        )
        values = run[self.column]
        return self.score(run.prices), values >= self.threshold if self.at_least else values <= self.threshold

    def split(self, runs: int, particles: int, seed: SeedSequence) -> tuple[FloatArray, int]:
        """Estimate the probability so many times, side by side; return also how many paths were run.

        At each level the quarter of a run's paths that came least far is given up. What is given up becomes the copy of
        a path that came further, up to the step in which it passed the level, and goes on by returns of its own. The
        product of the shares that were kept, times the share that reaches the threshold at the end, is unbiased (Cérou
        and Guyader 2007; Bréhier et al. 2016).
        """
        words = PCG64(seed)
        drawn = 0

        def fresh(paths: int) -> FloatArray:
            nonlocal drawn
            drawn += paths
            which = range(drawn - paths, drawn)
            return _drawn.returns(self.process, self.horizon, self.steps, which, seed, self.threads)

        returns = fresh(runs * particles)
        scores, reached = self.follow(returns)
        furthest = scores.max(axis=1)
        first = particles * np.arange(runs)
        rank = math.ceil(_GIVEN_UP * particles) - 1
        probability = np.ones(runs)
        while True:
            levels = np.partition(furthest.reshape(runs, particles), rank, axis=1)[:, rank]
            above = furthest.reshape(runs, particles) > levels[:, None]
            going = (levels < 0) & (probability > _NEVER)
            probability[going] *= above[going].mean(axis=1)
            lost, parent = [], []
            for run in np.flatnonzero(going & above.any(axis=1)):
                kept, given_up = np.flatnonzero(above[run]), np.flatnonzero(~above[run])
                lost.append(first[run] + given_up)
                parent.append(first[run] + kept[words.random_raw(given_up.size) % np.uint64(kept.size)])
            if not lost:
                return probability * reached.reshape(runs, particles).mean(axis=1), drawn
            new, old = np.concatenate(lost), np.concatenate(parent)
            passed = scores[old] > levels[new // particles][:, None]
            kept_steps = np.arange(self.steps) < self._renewed(np.argmax(passed, axis=1))[:, None]
            returns[new] = np.where(kept_steps, returns[old], fresh(new.size))
            scores[new], reached[new] = self.follow(returns[new])
            furthest[new] = scores[new].max(axis=1)

    def _renewed(self, steps: NDArray[np.int64]) -> NDArray[np.int64]:
        """The first step from which the returns do not depend on those before."""
        block = self.process.block if isinstance(self.process, Bootstrap) else 1
        return -(-steps // block) * block
