"""Random numbers of the engine as arrays, for what is built on them outside it."""

from __future__ import annotations

import numpy as np
from numpy.random import SeedSequence

from flushpoint import _core
from flushpoint._validate import FloatArray
from flushpoint.book import Book
from flushpoint.impact import LinearImpact
from flushpoint.market import Market
from flushpoint.process import GBM, YEAR, Process
from flushpoint.simulate import simulate

_NOBODY = Book([], [], [])
_NO_IMPACT = Market(1.0, LinearImpact(0.0))


def returns(process: Process, horizon: float, steps: int, paths: range, seed: SeedSequence, threads: int) -> FloatArray:
    """Log returns of a process, shape (paths, steps): those of `simulate` but for the rounding of prices."""
    run = simulate(
        _NOBODY,
        _NO_IMPACT,
        process,
        horizon,
        steps,
        paths,
        seed,
        columns=("final_price",),
        record="all",
        threads=threads,
    )
    if not (run.prices.min() > 0 and run.prices.max() < np.inf):
        raise ValueError(f"process must keep prices within what a number holds, was {process!r}")
    return np.diff(_core.log(run.prices.ravel()).reshape(run.prices.shape), axis=1)


def normals(count: int, seed: SeedSequence, threads: int) -> FloatArray:
    """Standard normal numbers."""
    return returns(GBM(1.0), YEAR, 1, range(count), seed, threads)[:, 0] + 0.5
