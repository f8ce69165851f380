"""How long the main jobs take on this machine: what ``flushpoint bench`` prints."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import flushpoint as fp
from flushpoint.bench import timing

_REPEATS = 5  # of which the quickest counts: what else the machine does only adds
_POSITIONS = 1_000_000
_SHOCKS = 1_000_000
_SCENARIOS = 20_000
_PATHS, _STEPS = 2_000, 1_440
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
        taken = min(timing.seconds(job) for _ in range(_REPEATS))
        done.append({"job": name, "seconds": taken, "count": count, "unit": unit, "each": taken / count})
        if progress is not None:
            progress(i + 1, len(jobs))
    info = fp.build_info()
    kept = {name: info[name] for name in ("version", "compiler", "instruction_set")}
    return {**kept, "threads": threads or info["threads"], "jobs": done}


def _jobs(threads: int) -> list[tuple[str, int, str, Callable[[], object]]]:
    rng = np.random.default_rng(1)
    trigger = 100.0 * np.exp(-rng.exponential(0.1, _POSITIONS))
    quantity = rng.lognormal(0.0, 1.0, _POSITIONS)
    book = fp.Book(1, quantity, trigger).alive(100.0)
    market = fp.Market(100.0, fp.LinearImpact(0.05 / quantity.sum()), half_life=1_800.0)
    answer = fp.response(book, market)
    shocks = -0.2 * rng.random(_SHOCKS)
    drawn = fp.RandomBook(count=_POSITIONS, distance=fp.Exponential(0.1), quantity=fp.Exponential(1.0))
    small = fp.Market(100.0, fp.LinearImpact(0.05 / _POSITIONS))
    falls = np.linspace(-0.001, -0.012, _SCENARIOS)
    normal = np.random.Generator(np.random.PCG64(1))
    accounts, markets = _portfolio(rng)
    model = fp.FactorModel.betas(fp.GBM(0.6), {"BTC": 1.0, "ETH": 1.3, "SOL": 1.6})

    def paths(volatility: float) -> Callable[[], object]:
        process = fp.GBM(volatility)
        return lambda: fp.simulate(book, market, process, steps=_STEPS, paths=_PATHS, seed=1, threads=threads)

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
        ("paths, volatility 10 %", _PATHS * _STEPS, "step", paths(0.1)),
        ("paths, volatility 60 %", _PATHS * _STEPS, "step", paths(0.6)),
        (
            "paths of 10^5 accounts",
            20 * 288,
            "step",
            lambda: fp.simulate(accounts, markets, model, steps=288, paths=20, seed=1, threads=threads),
        ),
    ]


def _portfolio(rng: np.random.Generator) -> tuple[fp.Accounts, fp.Markets]:
    names, prices = ("BTC", "ETH", "SOL"), np.array([60_000.0, 3_000.0, 150.0])
    notional = rng.lognormal(9.0, 1.5, (_ACCOUNTS, 3))
    accounts = fp.Accounts(
        np.repeat(np.arange(_ACCOUNTS), 3),
        np.tile(names, _ACCOUNTS),
        (notional / prices).ravel(),
        np.tile(prices, _ACCOUNTS),
        notional.sum(1) * rng.uniform(0.05, 0.5, _ACCOUNTS),
        fp.MarginSchedule.flat(0.01),
    )
    volumes = (3e5, 4e6, 3e7)
    return accounts, fp.Markets(
        {
            name: fp.Market(price, fp.SquareRootImpact(0.04, volume), half_life=1_800.0)
            for name, price, volume in zip(names, prices.tolist(), volumes, strict=True)
        }
    )
