"""Rare events: probabilities that plain scenarios and paths are too few to see."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import SeedSequence

from flushpoint._shown import percent
from flushpoint._validate import FloatArray, count, memory, number, one_of
from flushpoint._validate import progress as check_progress
from flushpoint._validate import threads as check_threads
from flushpoint.book import Book
from flushpoint.cascade import _check_at_rest, _check_inputs, _check_market
from flushpoint.market import Market
from flushpoint.outcome import frozen
from flushpoint.process import GBM, Bootstrap, JumpDiffusion, Process, StudentT
from flushpoint.random_book import RandomBook, most_closed
from flushpoint.seed import Seed, resolve, shown
from flushpoint.splitting import Paths
from flushpoint.stress import RandomStressResult, StressResult
from flushpoint.summary import Estimate, check_confidence, normal_quantile
from flushpoint.tilt import NormalShock, Scenarios, Tilt, ends_at_threshold

_OF_SCENARIOS = ("sell", "liquidity", "refill", "max_count")
_OF_PATHS = ("horizon", "steps", "venue", "funding", "sellers", "script")
_RUNS = 20
_TOGETHER = 2**22  # returns that runs side by side may hold


@dataclass(frozen=True, eq=False, repr=False)
class TailProbability:
    """A small probability and how well it is known; printed, both.

    Attributes
    ----------
    probability : float
        Unbiased: the mean over all seeds is the probability itself.
    standard_error : float
        nan where nothing reached the threshold, so that nothing is known of it.
    event : str
        Whose probability it is.
    method : str
        "tilt" or "splitting".
    tilt : Tilt or None
        Under which scenarios were run.
    estimates : ndarray of float64, shape (runs,)
        Of splitting: the estimates of its independent runs, whose mean is `probability`. Empty otherwise.
    paths : int
        Scenarios that the estimate rests on, without the pilot's; of splitting the paths run in all.
    seed : int or SeedSequence
    """

    probability: float
    standard_error: float
    event: str
    method: str
    tilt: Tilt | None
    estimates: FloatArray
    paths: int
    seed: Seed

    @property
    def relative_error(self) -> float:
        """Standard error / probability."""
        return self.standard_error / self.probability if self.probability > 0 else math.nan

    @property
    def effective_paths(self) -> float:
        """How many plain paths that reach the threshold would say as much: 1 / relative_error^2."""
        return 1 / self.relative_error**2 if self.relative_error > 0 else math.nan

    @property
    def plain_paths(self) -> float:
        """How many plain paths it would take to know the probability as well."""
        return self.effective_paths * (1 / self.probability - 1) if self.probability > 0 else math.nan

    def interval(self, confidence: float = 0.95) -> Estimate:
        """The probability and the ends of its confidence interval.

        By the normal law, with splitting by Student's t of runs - 1 degrees; not below 0.

        Parameters
        ----------
        confidence : float, default 0.95
            Above 0 and below 1.
        """
        z = normal_quantile(check_confidence(confidence))
        half = self.standard_error * (_student(z, self.estimates.size - 1) if self.estimates.size else z)
        return Estimate(self.probability, max(self.probability - half, 0.0), self.probability + half)

    def __repr__(self) -> str:
        return f"<TailProbability: {self._known}, {self.method}, {self.paths:,} paths, seed {shown(self.seed)}>"

    def __str__(self) -> str:
        _, low, high = self.interval()
        how = f"tilted ({self.tilt})" if self.tilt else f"splitting, {self.estimates.size} runs"
        return (
            f"{self._known}, 95 % interval [{low:.4g}, {high:.4g}], relative error {percent(self.relative_error)}\n"
            f"  {how}; {self.paths:,} paths say as much as {self.plain_paths:.2g} plain ones"
        )

    @property
    def _known(self) -> str:
        return f"P({self.event}) = {self.probability:.5g}"


def tail_probability(
    book: Book | RandomBook,
    market: Market,
    process: Process | None = None,
    *,
    shock: float | NormalShock | None = None,
    column: str = "liquidated_count",
    at_least: float | None = None,
    at_most: float | None = None,
    method: str = "auto",
    paths: int = 200_000,
    tilt: Tilt | None = None,
    runs: int | None = None,
    seed: int | SeedSequence | None = None,
    threads: int = 0,
    progress: Callable[[int, int], object] | None = None,
    **arguments: Any,
) -> TailProbability:
    """Estimate the probability that a column of `stress` or of `simulate` reaches a value it hardly ever reaches.

    Without a process the question is one of `stress`, and answered by importance sampling: scenarios are drawn from
    tilted laws, under which the event is common, and each is weighted by the ratio of its likelihoods. With a process
    it is one of `simulate`, and answered by adaptive multilevel splitting.

    Parameters
    ----------
    book : Book or RandomBook
        For the tilt a random book given by densities, whose density is tilted, and with it the quantity of a side that
        is one part with an `Exponential` one; or a `Book` with a random shock. For splitting a `Book`.
    market : Market
    process : GBM, JumpDiffusion, StudentT or Bootstrap, optional
        Steps, or blocks of them, must be independent.
    shock : float or NormalShock, default 0.0
        Without a process: the shock of every scenario, or the law of it, whose mean is tilted.
    column : str, default "liquidated_count"
        With a process low_price and final_price (`at_most`), high_price and final_price (`at_least`), and at least so
        much of long_ or short_count, _quantity or _notional; liquidated_ where the book has one side and no stops.
    at_least, at_most : float
        One of them: the threshold.
    method : {"auto", "tilt", "splitting"}, default "auto"
        "tilt" goes without a process, "splitting" with one.
    paths : int, default 200000
        At least 1000. A tenth of the scenarios are left to a pilot, which chooses the tilt and may run a few thousand
        more where that is little; the estimate rests on the rest alone. With splitting they are what its runs begin
        with: each level runs a quarter of them again.
    tilt : Tilt, optional
        To use instead of a pilot's.
    runs : int, default 20
        Of splitting: independent runs, at least 5, from whose spread the standard error follows.
    seed : int, numpy.random.SeedSequence or None
        None draws a fresh one, which the result keeps.
    threads : int, default 0
        0 means all processors. The result does not depend on it.
    progress : callable, optional
        Called now and then as ``progress(done, total)``: scenarios of the estimate, or runs.
    **arguments
        sell, liquidity (numbers), refill and max_count of `stress`; horizon, steps, venue, funding, sellers and script
        of `simulate`.

    Returns
    -------
    TailProbability

    Raises
    ------
    ValueError
        Where an argument breaks its rule or has no effect; where the pilot does not come to the threshold.

    Notes
    -----
    Let positions stand with density c rho instead of rho. Where N of them stand within the distance X that was looked
    at, the likelihood ratio is c^-N exp((c - 1) rho X); for quantities of mean b q instead of q it is
    b^N exp(-(1 - 1/b) Q / q), with Q what they sum to; for a normal log shock f of mean m + d instead of m it is
    exp(d (d - 2 (f - m)) / (2 deviation^2)), and where d takes two values in turns, the harmonic mean of both. A
    scenario asked for at least n closes ends in the wave that comes to n, and counts with the ratio of the Poisson
    probabilities that this wave does so. The pilot chooses c, b and d by cross-entropy (Rubinstein 1999).

    Splitting: Cérou and Guyader (2007); unbiased for any course of levels and any event, Bréhier, Gazeau, Goudenège,
    Lelièvre and Rousset (2016). Paths are ordered by the largest value of -log distance to the threshold's price over
    the square root of the steps that are left, and a run that comes to less than 1e-60 ends there.

    A relative error above some 20 % says that the interval is not to be trusted. A small one says that the weights
    found are alike, not that no other way to the event was missed: one density for all distances fits badly where
    a cascade tips early and then runs by itself, and splitting gains nothing where one jump leads to the event.

    Examples
    --------
    >>> crowd = RandomBook(density=100.0, quantity=1.0)
    >>> market = Market(100.0, LinearImpact(0.006))
    >>> p = tail_probability(crowd, market, shock=-0.02, at_least=100, paths=20_000, seed=1)
    >>> bool(abs(p.probability - 5.8e-7) < 5 * p.standard_error), p.relative_error < 0.1
    (True, True)
    """
    if isinstance(book, RandomBook):
        _check_market(market)
    else:
        _check_inputs(book, market)
    one_of("method", method, ("auto", "tilt", "splitting"))
    if (at_least is None) == (at_most is None):
        raise ValueError(f"at_least must be given, or at_most, and not both, was {at_least!r} and {at_most!r}")
    high = at_least is not None
    threshold = number("at_least" if high else "at_most", at_least if high else at_most)
    size = count("paths", paths, 1_000)
    workers = check_threads(threads)
    check_progress(progress)
    kept, key = resolve(seed)
    event = f"{column} {'>=' if high else '<='} {threshold:,.12g}"
    if process is None:
        if method == "splitting":
            raise ValueError("process must be given for splitting, was None")
        _left_out("without a process", runs=runs)
        question = _scenarios(book, market, shock, column, threshold, high, workers, arguments)
        return _tilted(question, tilt, size, SeedSequence(key), progress, event, kept)
    if method == "tilt":
        raise ValueError(f"process must be left out for a tilt, was {process!r}")
    _left_out("with a process", shock=shock, tilt=tilt)
    repeats = count("runs", _RUNS if runs is None else runs, 5, size // 50)
    asked = _paths(size // repeats, book, market, process, column, threshold, high, workers, arguments)
    return _split(asked, size // repeats, repeats, SeedSequence(key), progress, event, kept)


def _left_out(where: str, **given: object) -> None:
    for name, value in given.items():
        if value is not None:
            raise ValueError(f"{name} must be left out {where}, was {value!r}")


def _known(arguments: dict[str, Any], names: tuple[str, ...], where: str) -> None:
    for name, value in arguments.items():
        if name not in names:
            raise TypeError(f"{name} must be left out {where}, was {value!r}; {', '.join(names)} may be given")


def _scenarios(
    book: Book | RandomBook,
    market: Market,
    shock: float | NormalShock | None,
    column: str,
    threshold: float,
    high: bool,
    workers: int,
    arguments: dict[str, Any],
) -> Scenarios:
    _known(arguments, _OF_SCENARIOS, "without a process")
    for name in ("sell", "liquidity"):
        if name in arguments:
            number(name, arguments[name])
    kind = RandomStressResult if isinstance(book, RandomBook) else StressResult
    one_of("column", column, tuple(dict.fromkeys((*kind._names, *kind._on_demand))))
    move = shock if isinstance(shock, NormalShock) else number("shock", 0.0 if shock is None else shock, above=-1)
    rest = dict(arguments)
    most = most_closed(book, rest.pop("max_count", None))
    if isinstance(book, RandomBook):
        for part in book._parts:
            if part.count is not None:
                raise ValueError(f"book must be given by density to be tilted, was {part}")
        if ends_at_threshold(column, high):
            if "max_count" in arguments:
                raise ValueError(
                    f"max_count must be left out where scenarios end at the threshold, was {arguments['max_count']!r}"
                )
            most = most_closed(book, max(math.ceil(threshold) - 1, 1))
    else:
        _check_at_rest(book, market)
    if not isinstance(book, RandomBook) and not isinstance(move, NormalShock):
        raise ValueError(
            f"shock must be a NormalShock for a book of known positions: nothing else is random, was {move}"
        )
    return Scenarios(book, market, move, column, threshold, high, most, workers, rest)


def _tilted(
    question: Scenarios,
    tilt: Tilt | None,
    size: int,
    seeds: SeedSequence,
    progress: Callable[[int, int], object] | None,
    event: str,
    kept: Seed,
) -> TailProbability:
    pilot, main = seeds.spawn(2)
    if tilt is None:
        share = size // 10
        tilt = question.pilot(share, pilot)
        size -= share
    elif isinstance(tilt, Tilt):
        question.check_tilt(tilt)
    else:
        raise TypeError(f"tilt must be a Tilt, was {tilt!r}")
    weights = question.run(tilt, size, main, progress).weights()
    mean = float(weights.mean())
    error = float(weights.std(ddof=1)) / math.sqrt(size) if mean > 0 else math.nan
    return TailProbability(mean, error, event, "tilt", tilt, frozen(np.empty(0)), size, kept)


def _paths(
    size: int,
    book: Book | RandomBook,
    market: Market,
    process: Process,
    column: str,
    threshold: float,
    high: bool,
    workers: int,
    arguments: dict[str, Any],
) -> Paths:
    _known(arguments, _OF_PATHS, "with a process")
    if isinstance(book, RandomBook):
        raise ValueError("book must be a Book with a process, whose paths are branched, was a RandomBook")
    if not isinstance(process, (GBM, JumpDiffusion, StudentT, Bootstrap)):
        raise ValueError(
            "process must have independent steps (GBM, JumpDiffusion, StudentT or Bootstrap), "
            f"was {type(process).__name__}"
        )
    rest = dict(arguments)
    horizon = number("horizon", rest.pop("horizon", 86_400.0), above=0)
    steps = count("steps", rest.pop("steps", 1_440), 1)
    question = Paths(book, market, process, horizon, steps, column, threshold, high, workers, rest)
    memory("paths x steps", size * steps, 40)
    question.follow(np.zeros((1, steps)))  # raises where an argument of `simulate` is wrong
    return question


def _split(
    question: Paths,
    size: int,
    runs: int,
    seeds: SeedSequence,
    progress: Callable[[int, int], object] | None,
    event: str,
    kept: Seed,
) -> TailProbability:
    together = max(_TOGETHER // (size * question.steps), 1)
    parts, drawn, done = [], 0, 0
    for seed in seeds.spawn(-(-runs // together)):
        some = min(together, runs - done)
        found, paths = question.split(some, size, seed)
        parts.append(found)
        drawn += paths
        done += some
        if progress is not None:
            progress(done, runs)
    estimates = np.concatenate(parts)
    mean = float(estimates.mean())
    error = float(estimates.std(ddof=1)) / math.sqrt(runs) if mean > 0 else math.nan
    return TailProbability(mean, error, event, "splitting", None, frozen(estimates), drawn, kept)


def _student(z: float, degrees: int) -> float:
    """Student's quantile from the normal one (Abramowitz and Stegun 26.7.5)."""
    terms: tuple[float, ...] = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return z + math.fsum(term / degrees**power for power, term in enumerate(terms, 1))
