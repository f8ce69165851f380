"""Many one-shot scenarios of several markets, each a cascade of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from flushpoint import _core
from flushpoint._validate import FloatArray, memory
from flushpoint._validate import names as check_names
from flushpoint._validate import progress as check_progress
from flushpoint._validate import threads as check_threads
from flushpoint.account_result import AccountOutcome, shaped_columns
from flushpoint.accounts import (
    EngineAccountJob,
    EngineScenarios,
    Reduced,
    check_account_venue,
    check_at_rest,
    check_questioned,
    per_scenario,
)
from flushpoint.ensemble import Ensemble
from flushpoint.markets import Markets
from flushpoint.seed import resolve
from flushpoint.settlement import NO_VENUE
from flushpoint.shards import MOST_ROWS, Columns, Job
from flushpoint.venue import Venue


class AccountRows(AccountOutcome, Ensemble):
    """What many cascades through several markets did to accounts: as `AccountOutcome`, a row a scenario or path."""

    _shared: ClassVar[tuple[str, ...]] = ("_portfolio", "_markets", "_venue", "_joined", "_low_is_bad")
    _joined: tuple[str, ...]  # columns with one entry a row that joining has to join

    def _join(self, other: Any) -> dict[str, Any]:
        values = {name: getattr(self, name) for name in self._shared}
        return values | {n: self._rows(other, self.__dict__[n], other.__dict__[n]) for n in self._joined}


def rows_of(kind: type[AccountRows], values: dict[str, Any], hidden: dict[str, Any]) -> dict[str, Any]:
    """Return the values of a result of rows from the engine's columns."""
    names: tuple[str, ...] = hidden["_names"]
    low = frozenset(name for name in names if name.partition(".")[0] in kind._low_is_bad)
    return {**values, **hidden, "_joined": tuple(values), "_low_is_bad": low}


def chosen(columns: Sequence[str] | None, known: tuple[str, ...]) -> tuple[str, ...]:
    """Return the columns that a result holds as a mapping; a name without a market stands for that of each."""
    if columns is None:
        return known
    families: dict[str, list[str]] = {}
    for name in known:
        families.setdefault(name.partition(".")[0], []).append(name)
        families.setdefault(name, [name])
    asked = check_names("columns", columns, families)
    return tuple(dict.fromkeys(name for one in asked for name in families[one]))


class AccountStressResult(AccountRows):
    """The outcomes of many scenarios of several markets: as `AccountOutcome`, one row a scenario.

    Attributes
    ----------
    amplification : ndarray of float64, shape (scenarios, markets)
        As in `AccountCascadeResult`.
    """

    _per_market = (*AccountOutcome._per_market, "amplification")

    amplification: FloatArray
    _scenarios: EngineScenarios
    _threads: int

    def _final_prices(self, confined: int) -> FloatArray:
        job = self._portfolio.job(self._markets, self._venue, confined)
        return np.asarray(_core.stress_accounts(job, self._scenarios, self._threads, None)["final_price"])

    def __repr__(self) -> str:
        closing = np.count_nonzero(self.rounds)
        return f"<AccountStressResult: {self._count:,} scenarios, {closing:,} of them with liquidations{self._seeded}>"


@dataclass(frozen=True, eq=False)
class _AccountScenarios(Job):
    """Scenarios of accounts whose arguments are checked, before any work."""

    work: EngineAccountJob
    portfolio: Reduced
    markets: Markets
    scenarios: EngineScenarios

    def columns(self, part: range, progress: Callable[[int, int], object] | None) -> Columns:
        """What the engine tells of some scenarios."""
        found = _core.stress_accounts(self.work, self._of(part), self.threads, progress)
        return shaped_columns(found, (len(part),), self.portfolio, self.markets)

    def _of(self, part: range) -> EngineScenarios:
        *columns, refill, rounds = self.scenarios
        count = len(self.markets)
        some = (column[part.start * count : part.stop * count] for column in columns)
        return *some, refill, rounds  # type: ignore[return-value]

    def _values(self, columns: Columns, part: range) -> dict[str, Any]:
        return rows_of(AccountStressResult, columns, self.hidden | {"_scenarios": self._of(part)})


def account_job(
    accounts: object,
    markets: object,
    shock: Any,
    sell: Any,
    liquidity: Any,
    refill: float,
    seed: int | np.random.SeedSequence | None,
    venue: Venue | None,
    columns: Sequence[str] | None,
    threads: int,
    progress: Callable[[int, int], object] | None,
) -> Job:
    """Check the arguments of `stress` for accounts."""
    portfolio, markets = check_questioned(accounts, markets)
    workers = check_threads(threads)
    check_progress(progress)
    if venue is not None:
        check_account_venue(venue, portfolio.accounts)
    scenarios, shape = per_scenario(markets, shock, sell, liquidity, refill, None)
    count = int(np.prod(shape, dtype=object))
    groups = portfolio.labels.size
    memory("shock, sell and liquidity together", count, 8 * (20 * len(markets) + 2 * groups + 20))
    kept = None if seed is None else resolve(seed)[0]
    payer = NO_VENUE if venue is None else venue
    names = chosen(columns, AccountStressResult._columns_of(portfolio, markets, venue))
    check_at_rest(portfolio, markets)
    hidden = {"_names": names, "_portfolio": portfolio, "_markets": markets, "_venue": payer, "_threads": workers}
    given = dict(zip(("shock", "sell", "liquidity", "refill"), scenarios[:4], strict=True))
    return _AccountScenarios(
        kind=AccountStressResult,
        question="stress",
        arguments={
            "accounts": portfolio.accounts,
            "markets": markets,
            "names": markets.names,
            "venue": venue,
            **given,
        },
        seed=kept,
        rows=range(count),
        hidden=hidden,
        row_bytes=0,
        rows_at_once=MOST_ROWS,
        threads=workers,
        progress=progress,
        work=portfolio.job(markets, payer),
        portfolio=portfolio,
        markets=markets,
        scenarios=scenarios,
    )
