"""Paths of several markets in time, and the cascades that they set off among accounts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from flushpoint import _core
from flushpoint._validate import FloatArray
from flushpoint._validate import progress as check_progress
from flushpoint._validate import threads as check_threads
from flushpoint.account_result import AccountOutcome, shaped_columns
from flushpoint.account_stress import AccountRows, chosen, rows_of
from flushpoint.accounts import EngineAccountJob, Reduced, check_account_venue, check_at_rest, check_questioned
from flushpoint.factor_model import EngineFactorModel, FactorModel
from flushpoint.markets import Markets
from flushpoint.process import Process, Returns
from flushpoint.seed import resolve
from flushpoint.settlement import NO_VENUE
from flushpoint.shards import Columns, Job, rows_at_once
from flushpoint.venue import Venue

EngineAccountRun = tuple[EngineAccountJob, EngineFactorModel, tuple[int, bool], float, FloatArray, int]


class AccountSimulationResult(AccountRows):
    """The outcomes of paths of several markets: as `AccountOutcome`, one row a path.

    Attributes
    ----------
    low_time : ndarray of float64, shape (paths, markets)
        Seconds after the start of the step in which the low was reached, measured to the step's end.
    """

    _per_market = (*AccountOutcome._per_market, "low_time")

    _shared = (*AccountRows._shared, "_model", "_clock", "_threads")

    low_time: FloatArray
    _model: FactorModel
    _clock: tuple[float, int, int, bool]
    _threads: int

    def _final_prices(self, confined: int) -> FloatArray:
        run = _engine_run(
            self._portfolio.job(self._markets, self._venue, confined), self._markets, self._model, *self._clock
        )
        parts = [
            _core.simulate_accounts(run, start, stop - start, self._threads, None)["final_price"]
            for start, stop in self.provenance["paths"]
        ]
        return np.concatenate(parts)

    def __repr__(self) -> str:
        closing = np.count_nonzero(self.rounds)
        return f"<AccountSimulationResult: {self._count:,} paths, {closing:,} of them with liquidations{self._seeded}>"


@dataclass(frozen=True, eq=False)
class _AccountPaths(Job):
    """Paths of accounts whose arguments are checked, before any work."""

    run: EngineAccountRun
    portfolio: Reduced
    markets: Markets

    def columns(self, part: range, progress: Callable[[int, int], object] | None) -> Columns:
        """What the engine tells of some paths."""
        found = _core.simulate_accounts(self.run, part.start, len(part), self.threads, progress)
        return shaped_columns(found, (len(part),), self.portfolio, self.markets)

    def _values(self, columns: Columns, part: range) -> dict[str, Any]:
        return rows_of(AccountSimulationResult, columns, self.hidden)


def account_job(
    accounts: object,
    markets: object,
    process: object,
    seconds: float,
    steps: int,
    paths: range,
    seed: int | np.random.SeedSequence | None,
    columns: Sequence[str] | None,
    venue: Venue | None,
    antithetic: bool,
    threads: int,
    progress: Callable[[int, int], object] | None,
    refused: Mapping[str, object],
) -> Job:
    """Check the arguments of `simulate` for accounts; horizon, steps and paths are checked already."""
    portfolio, markets = check_questioned(accounts, markets)
    for name, value in refused.items():
        if value is not None:
            raise ValueError(f"{name} must be left out with accounts, was {value!r}")
    model = factor_model(process, markets, steps, paths)
    if antithetic and not model._mirrored:
        raise ValueError("antithetic must be False where a process has no mirror image, was True")
    if venue is not None:
        check_account_venue(venue, portfolio.accounts)
    workers = check_threads(threads)
    check_progress(progress)
    names = chosen(columns, AccountSimulationResult._columns_of(portfolio, markets, venue))
    check_at_rest(portfolio, markets)
    fixed = all(isinstance(one, Returns) for one in model.processes)
    kept, key = (None, 0) if seed is None and fixed else resolve(seed)
    payer = NO_VENUE if venue is None else venue
    clock = (seconds, steps, key, antithetic)
    run = _engine_run(portfolio.job(markets, payer), markets, model, *clock)
    hidden = {"_names": names, "_portfolio": portfolio, "_markets": markets, "_venue": payer}
    hidden |= {"_model": model, "_clock": clock, "_threads": workers}
    arguments = {
        "accounts": portfolio.accounts,
        "markets": markets,
        "names": markets.names,
        "process": process,
        "horizon": seconds,
        "steps": steps,
        "antithetic": antithetic,
        "venue": venue,
        "columns": names,
    }
    return _AccountPaths(
        kind=AccountSimulationResult,
        question="simulate",
        arguments=arguments,
        seed=kept,
        rows=paths,
        hidden=hidden,
        row_bytes=8 * (20 * len(markets) + 2 * portfolio.labels.size + 20),
        rows_at_once=rows_at_once(steps),
        threads=workers,
        progress=progress,
        run=run,
        portfolio=portfolio,
        markets=markets,
    )


def _engine_run(
    job: EngineAccountJob,
    markets: Markets,
    model: FactorModel,
    seconds: float,
    steps: int,
    key: int,
    antithetic: bool,
) -> EngineAccountRun:
    dt = seconds / steps
    half_lives = np.array([market.half_life for market in markets.markets.values()])
    return job, model._engine(dt), (key, antithetic), dt, half_lives, steps


def factor_model(process: object, markets: Markets, steps: int, paths: range) -> FactorModel:
    """Return what moves the markets: a model, given returns of each, or where there is one market its process."""
    count = len(markets)
    if isinstance(process, Returns) and process.array.ndim == 3:
        if process.array.shape[2] != count:
            raise ValueError(f"process must move {count} markets, was Returns of {process.array.shape[2]}")
        process = FactorModel(tuple(Returns(process.array[:, :, m]) for m in range(count)), np.eye(count))
    if isinstance(process, Process) and count == 1:
        process = FactorModel((process,), np.ones((1, 1)))
    if not isinstance(process, FactorModel):
        raise TypeError(f"process must be a FactorModel, or Returns of each market, was {type(process).__name__}")
    model = process._of(markets)
    for one in model.processes:
        if isinstance(one, Returns):
            one._check_shape(steps, paths)
    return model
