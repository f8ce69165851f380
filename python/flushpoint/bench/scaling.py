"""How the engine's time grows with positions, scenarios, paths, steps and threads, and a cost model fitted to it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np

import flushpoint as fp
from flushpoint.bench import workloads
from flushpoint.bench.timing import least, seconds
from flushpoint.bench.workloads import DAY, STEPS

#: Of a run: N positions, M shocks, scenarios or paths, steps, and of each path or scenario waves and positions closed.
Counts: TypeAlias = Mapping[str, float]

_ROUNDS = 3
_PREDICTED_THREADS = 64


@dataclass(frozen=True)
class Point:
    """A run that was timed, on one thread."""

    question: str
    varied: str  # which of the sizes a picture shows it against
    sizes: Counts
    seconds: float


@dataclass(frozen=True)
class Term:
    """What a part of the time is in proportion to."""

    name: str
    of: Callable[[Counts], float]


_FIXED = Term("per call", lambda _: 1.0)
_EACH = Term("M", lambda s: s["M"])

#: What the time of each question is made of: the engine's algorithms say which terms, the fit how much of each.
TERMS: dict[str, tuple[Term, ...]] = {
    "response: built": (_FIXED, Term("N", lambda s: s["N"])),
    "response: asked": (_FIXED, _EACH, Term("M log2 N", lambda s: s["M"] * np.log2(s["N"]))),
    "stress: drawn books": (
        _FIXED,
        _EACH,
        Term("M waves", lambda s: s["M"] * s["waves"]),
        Term("M closed", lambda s: s["M"] * s["closed"]),
    ),
    "simulate": (
        _FIXED,
        Term("N", lambda s: s["N"]),
        _EACH,
        Term("M steps", lambda s: s["M"] * s["steps"]),
        Term("M waves", lambda s: s["M"] * s["waves"]),
        Term("M waves log2 N", lambda s: s["M"] * s["waves"] * np.log2(s["N"])),
    ),
}


@dataclass(frozen=True)
class CostModel:
    """Seconds of a question on one thread, as a sum of terms.

    Attributes
    ----------
    question : str
        A key of `TERMS`.
    nanoseconds : dict
        By term, what one of it costs; none is negative.
    error : float
        Largest relative error at the sizes measured.
    held_out : float
        Relative error at the run that took longest, of the model fitted to all others.
    """

    question: str
    nanoseconds: dict[str, float]
    error: float
    held_out: float

    def seconds(self, **sizes: float) -> float:
        """Predict."""
        return 1e-9 * sum(self.nanoseconds[term.name] * term.of(sizes) for term in TERMS[self.question])

    @classmethod
    def fit(cls, points: Sequence[Point]) -> CostModel:
        """Least squares of relative errors, with scipy's `nnls`."""
        (question,) = {point.question for point in points}
        by_time = sorted(points, key=lambda point: point.seconds)
        *others, longest = by_time
        before = cls(question, _solve(others), 0.0, 0.0)
        after = cls(question, _solve(by_time), 0.0, 0.0)
        errors = [abs(after.seconds(**point.sizes) / point.seconds - 1.0) for point in points]
        held_out = abs(before.seconds(**longest.sizes) / longest.seconds - 1.0)
        return cls(question, after.nanoseconds, max(errors), held_out)


def _solve(points: Sequence[Point]) -> dict[str, float]:
    try:
        nnls = importlib.import_module("scipy.optimize").nnls
    except ImportError as error:
        raise ImportError('a cost model needs scipy: pip install "flushpoint[fit]"') from error
    terms = TERMS[points[0].question]
    rows = np.array([[term.of(point.sizes) / point.seconds for term in terms] for point in points])
    scale = rows.max(axis=0)
    found, _ = nnls(rows / scale, np.ones(len(points)))
    return {term.name: 1e9 * value for term, value in zip(terms, (found / scale).tolist(), strict=True)}


@dataclass(frozen=True)
class Sweep:
    """Which sizes are measured."""

    positions: tuple[int, ...] = (10_000, 100_000, 1_000_000, 10_000_000)
    drawn: tuple[int, ...] = (10**5, 10**6, 10**7, 10**8, 10**9)
    shocks: tuple[int, ...] = (10_000, 100_000, 1_000_000, 4_000_000)
    scenarios: tuple[int, ...] = (100, 300, 1_000, 3_000)
    paths: tuple[int, ...] = (1_000, 2_000, 4_000, 8_000)
    steps: tuple[int, ...] = (360, 1_440, 5_760)


SMALL = Sweep((1_000, 4_000, 16_000), (10**4, 10**5), (100, 1_000), (10, 30), (256, 512), (36, 144))


def run(*, sweep: Sweep | None = None, progress: Callable[[int, int], object] | None = None) -> dict[str, Any]:
    """Measure, fit and predict.

    Parameters
    ----------
    sweep : Sweep, optional
        Sizes; up to 10^7 positions by default, 10^9 where a book is drawn.
    progress : callable, optional
        Called with the number of runs done and of all.

    Returns
    -------
    dict
        ``points``: `Point`; ``models``: `CostModel`; ``gains``: of two questions, seconds by number of threads;
        ``predictions``: rows of what, size, seconds on one thread, and on 64.

    Raises
    ------
    ImportError
        Without scipy.
    """
    sweep = sweep or Sweep()
    jobs = list(_jobs(sweep))
    points, done = [], 0
    counts = _thread_counts()
    total = len(jobs) + 2
    for question, varied, make in jobs:
        job, sizes = make()
        points.append(Point(question, varied, sizes, least({"job": partial(seconds, job)}, _ROUNDS)["job"]))
        done += 1
        if progress is not None:
            progress(done, total)
    models = {name: CostModel.fit([point for point in points if point.question == name]) for name in TERMS}
    gains = {}
    for name, job in (("simulate", _paths_job(sweep)), ("stress: drawn books", _drawn_job(sweep))):
        timed = {str(count): partial(seconds, partial(job, threads=count)) for count in counts}
        gains[name] = {int(count): took for count, took in least(timed, _ROUNDS).items()}
        done += 1
        if progress is not None:
            progress(done, total)
    return {
        "points": points,
        "models": models,
        "gains": gains,
        "predictions": _predictions(points, models, gains),
    }


def _thread_counts() -> list[int]:
    usable = fp.build_info()["threads"]
    return sorted({usable, *(count for count in (1, 2, 4, 8, 16, 32, 64) if count <= usable)})


Made: TypeAlias = "tuple[Callable[[], object], dict[str, float]]"


def _jobs(sweep: Sweep) -> Iterator[tuple[str, str, Callable[[], Made]]]:
    """(question, what is varied, what makes the job), so that no more than one book is held at a time."""
    middle = sorted(sweep.positions)[len(sweep.positions) // 2]
    for n in sweep.positions:
        yield "response: built", "N", partial(_built, n)
        yield "response: asked", "N", partial(_asked, n, max(sweep.shocks))
    for m in sweep.shocks[:-1]:
        yield "response: asked", "M", partial(_asked, middle, m)
    for n in sweep.drawn:
        yield "stress: drawn books", "N", partial(_drawn, n, max(sweep.scenarios), 0.012)
    for m in sweep.scenarios:
        yield "stress: drawn books", "M", partial(_drawn, min(sweep.drawn), m, 0.05)
    for n in sweep.positions:
        yield "simulate", "N", partial(_walked, n, sweep.paths[1], STEPS, 0.6)
    for m in sweep.paths:
        yield "simulate", "M", partial(_walked, middle, m, STEPS, 0.6)
    for steps in sweep.steps:
        yield "simulate", "steps", partial(_walked, middle, sweep.paths[0], steps, 0.6)
        yield "simulate", "steps", partial(_walked, middle, sweep.paths[0], steps, 0.2)


def _built(n: int) -> Made:
    triggers, quantities = workloads.draw_book(n)
    book = fp.Book(1, quantities, triggers)
    return partial(fp.response, book, workloads.MARKET, threads=1), {"N": n}


def _asked(n: int, m: int) -> Made:
    triggers, quantities = workloads.draw_book(n)
    answer = fp.response(fp.Book(1, quantities, triggers), workloads.MARKET, threads=1)
    return partial(answer, -workloads.draw_falls(m), threads=1), {"N": n, "M": m}


def _drawn(n: int, m: int, high: float) -> Made:
    """Impact goes with the number of positions within reach, so that books of any size close about as many."""
    book = fp.RandomBook(count=n, distance=fp.Exponential(1e-6 * n), quantity=fp.LogNormal(1.0, 1.5))
    market = fp.Market(workloads.PRICE, fp.LinearImpact(5e-7 / workloads.MEAN_SIZE[workloads.LOG_NORMAL]))
    job = partial(fp.stress, book, market, -workloads.draw_falls(m, high=high), seed=1, threads=1)
    s = job()
    return job, {"N": n, "M": m, "waves": float(s.waves.mean()), "closed": float(s.liquidated_count.mean())}


def _walked(n: int, m: int, steps: int, volatility: float) -> Made:
    job = partial(
        fp.simulate,
        workloads.lively_book(n),
        workloads.path_market(),
        fp.GBM(volatility),
        DAY * steps / STEPS,
        steps,
        m,
        seed=1,
        threads=1,
    )
    return job, {"N": n, "M": m, "steps": steps, "waves": float(job().waves.mean())}


def _paths_job(sweep: Sweep) -> Callable[..., object]:
    book = workloads.lively_book(sorted(sweep.positions)[len(sweep.positions) // 2])
    return partial(fp.simulate, book, workloads.path_market(), fp.GBM(0.6), DAY, STEPS, max(sweep.paths), seed=1)


def _drawn_job(sweep: Sweep) -> Callable[..., object]:
    book, market = workloads.random_book(min(sweep.drawn), "lognormal")
    falls = workloads.draw_falls(max(sweep.scenarios), high=0.012)
    return partial(fp.stress, book, market, -falls, seed=1)


def _predictions(
    points: Sequence[Point], models: Mapping[str, CostModel], gains: Mapping[str, Mapping[int, float]]
) -> list[dict[str, Any]]:
    """Sizes that no machine like this one holds, or waits for."""
    walked = [p for p in points if p.question == "simulate" and p.varied == "N"]
    slope, level = np.polyfit([np.log(p.sizes["N"]) for p in walked], [np.log(p.sizes["waves"]) for p in walked], 1)

    def waves(n: float) -> float:
        return float(np.exp(level + slope * np.log(n)))

    drawn = next(p.sizes for p in points if p.question == "stress: drawn books")
    kept = {"waves": drawn["waves"], "closed": drawn["closed"]}
    asked: list[tuple[str, str, dict[str, float]]] = [
        ("response: built", "N = 10^9", {"N": 1e9}),
        ("response: asked", "N = 10^9, M = 10^10", {"N": 1e9, "M": 1e10}),
        ("stress: drawn books", "M = 10^9 of any N", {"N": 1e9, "M": 1e9, **kept}),
        ("simulate", "N = 10^6, M = 10^9, 1,440 steps", {"N": 1e6, "M": 1e9, "steps": 1440.0, "waves": waves(1e6)}),
        ("simulate", "N = 10^9, M = 10^6, 1,440 steps", {"N": 1e9, "M": 1e6, "steps": 1440.0, "waves": waves(1e9)}),
    ]
    out = []
    for question, text, sizes in asked:
        one = models[question].seconds(**sizes)
        serial = serial_share(gains[question]) if question in gains else None
        many = None if serial is None else one * (serial + (1.0 - serial) / _PREDICTED_THREADS)
        out.append({"question": question, "sizes": text, "seconds": one, "seconds_of_64_threads": many})
    return out


def serial_share(by_threads: Mapping[int, float]) -> float | None:
    """Share of a run on one thread that more threads do not shorten, by Amdahl's law; None where only one was tried."""
    most = max(by_threads)
    if most == 1:
        return None
    return min(max((by_threads[most] / by_threads[1] - 1.0 / most) / (1.0 - 1.0 / most), 0.0), 1.0)
