"""How long the main jobs take on this machine: what ``flushpoint bench`` prints."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import flushpoint as fp
from flushpoint.bench import workloads
from flushpoint.bench.timing import least, seconds
from flushpoint.bench.workloads import STEPS

_REPEATS = 5
_POSITIONS = 1_000_000
_SHOCKS = 1_000_000
_SCENARIOS = 20_000
_PATHS = 2_000
_ACCOUNTS = 100_000


def run(*, threads: int = 1, progress: Callable[[int, int], object] | None = None) -> dict[str, Any]:
    """Time every job.

    Parameters
    ----------
    threads : int, default 1
        As of `simulate`.
    progress : callable, optional
        Called with the number of jobs done and of all.

    Returns
    -------
    dict
        version, compiler, instruction_set, threads, and ``jobs``: of each its name, ``seconds`` at best, ``count`` and
        ``unit`` of what it does so many of, ``each`` in seconds.
    """
    jobs = _jobs(threads)
    done = []
    for i, (name, count, unit, job) in enumerate(jobs):
        taken = least({name: partial(seconds, job)}, _REPEATS)[name]
        done.append({"job": name, "seconds": taken, "count": count, "unit": unit, "each": taken / count})
        if progress is not None:
            progress(i + 1, len(jobs))
    info = fp.build_info()
    kept = {name: info[name] for name in ("version", "compiler", "instruction_set")}
    return {**kept, "threads": threads or info["threads"], "jobs": done}


def _jobs(threads: int) -> list[tuple[str, int, str, Callable[[], object]]]:
    trigger, quantity = workloads.draw_book(_POSITIONS)
    book, market = fp.Book(1, quantity, trigger), workloads.MARKET
    answer = fp.response(book, market)
    shocks = -workloads.draw_falls(_SHOCKS)
    drawn, small = workloads.random_book(_POSITIONS, "exponential")
    falls = -workloads.draw_falls(_SCENARIOS, high=0.012)
    lively, recovering = workloads.lively_book(_POSITIONS), workloads.path_market()
    p = workloads.portfolio(_ACCOUNTS)
    normal = np.random.Generator(np.random.PCG64(1))

    def paths(volatility: float) -> Callable[[], object]:
        process = fp.GBM(volatility)
        return lambda: fp.simulate(lively, recovering, process, steps=STEPS, paths=_PATHS, seed=1, threads=threads)

    return [
        ("numpy normals", 10_000_000, "normal", lambda: normal.standard_normal(10_000_000)),
        ("book of 10^6 positions", _POSITIONS, "position", lambda: fp.Book(1, quantity, trigger)),
        ("cascade in it, -5 %", 1, "cascade", lambda: fp.cascade(book, market, shock=-0.05)),
        ("its response", len(book), "position", lambda: fp.response(book, market, threads=threads)),
        ("10^6 shocks to it", _SHOCKS, "shock", lambda: answer(shocks)),
        (
            "random books of 10^6",
            _SCENARIOS,
            "scenario",
            lambda: fp.stress(drawn, small, falls, seed=1, threads=threads),
        ),
        ("paths, volatility 10 %", _PATHS * STEPS, "step", paths(0.1)),
        ("paths, volatility 60 %", _PATHS * STEPS, "step", paths(0.6)),
        (
            "paths of 10^5 accounts",
            20 * 288,
            "step",
            lambda: fp.simulate(p.accounts, p.markets, workloads.MODEL, steps=288, paths=20, seed=1, threads=threads),
        ),
    ]
