"""One cascade through several markets, told account by account."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flushpoint import _core
from flushpoint._validate import FloatArray
from flushpoint._validate import threads as check_threads
from flushpoint.account_result import AccountOutcome, shaped_columns
from flushpoint.accounts import EngineScenarios, check_account_venue, check_questioned, per_scenario
from flushpoint.outcome import frozen
from flushpoint.settlement import NO_VENUE
from flushpoint.venue import Venue


class AccountCascadeResult(AccountOutcome):
    """The outcome of one cascade through several markets: as `AccountOutcome`, and what became of each account.

    Attributes
    ----------
    amplification : ndarray of float64, shape (markets,)
        Total log move / log move of the shock and sale alone: 1 where nothing more moved the price, nan if it moved
        although shock and sale had left it where it was.
    wave_table : structured ndarray
        A row a market's wave: ``round``, ``market`` (its place), ``price`` that triggered it, ``quantity``, ``count``,
        ``notional``. Waves of one round were triggered by the same prices.
    defaulted : ndarray of bool, shape (accounts,)
        Whether each is a bank that defaulted (`Delever`).
    """

    _per_market = (*AccountOutcome._per_market, "amplification")

    amplification: FloatArray
    wave_table: NDArray[np.void]
    defaulted: NDArray[np.bool_]
    _left: FloatArray
    _own_left: FloatArray
    _scenario: EngineScenarios

    @cached_property
    def _open_share(self) -> FloatArray:
        """Of each position, in books and then over several markets, the share that is open."""
        parts = []
        begin = 0
        for m, book in enumerate(self._portfolio.books):
            left = np.ones(len(book))
            if self._own_left.size:
                left[np.append(book.long.index, book.short.index)] = self._own_left[begin : begin + len(book)]
                begin += len(book)
            left[book.long.index[: self.own_longs[m]]] = 0.0
            left[book.short.index[: self.own_shorts[m]]] = 0.0
            parts.append(left)
        return np.concatenate([*parts, self._left])

    @cached_property
    def closed_share(self) -> FloatArray:
        """Share of each row's position that was closed, in input order; nan of rows that net to nothing.

        By force, or as a winner's against losers.
        """
        place = self._portfolio.position_of_row
        return frozen(np.where(place < 0, np.nan, 1.0 - np.append(self._open_share, np.nan)[place]))

    @cached_property
    def closed(self) -> NDArray[np.bool_]:
        """Whether the positions that share each account's margin were all closed, in the order of the accounts.

        By force, or as a winner's against losers; `accounts_closed` counts those of which the last was closed by force.
        """
        portfolio = self._portfolio
        shared = [~alone for alone in portfolio.alone]
        owner = np.concatenate([who[mine] for who, mine in zip(portfolio.owner, shared, strict=True)])
        owner = np.append(owner, np.repeat(portfolio.account, np.diff(portfolio.first)))
        mine = np.append(np.concatenate(shared), np.ones(self._left.size, dtype=bool))
        held = np.bincount(owner, minlength=len(portfolio.accounts))
        left = np.bincount(owner, self._open_share[mine] > 0, minlength=len(portfolio.accounts))
        return frozen((held > 0) & (left == 0))

    def _final_prices(self, confined: int) -> FloatArray:
        job = self._portfolio.job(self._markets, self._venue, confined)
        return np.asarray(_core.cascade_accounts(job, self._scenario)["final_price"])

    def __repr__(self) -> str:
        prices = ", ".join(
            f"{name} {price:,.6g}" for name, price in zip(self.markets, self.final_price[:4].tolist(), strict=False)
        )
        more = ", ..." if len(self.markets) > 4 else ""
        return (
            f"<AccountCascadeResult: final prices {prices}{more}; {int(self.accounts_closed):,} accounts and "
            f"{int(self.isolated_closed):,} isolated positions closed in {int(self.rounds):,} rounds>"
        )


def account_cascade(
    accounts: object,
    markets: object,
    shock: Any,
    sell: Any,
    refill: float,
    rounds: int | None,
    venue: Venue | None,
    threads: int,
) -> AccountCascadeResult:
    """Run `cascade` for accounts."""
    portfolio, markets = check_questioned(accounts, markets)
    check_threads(threads)
    if venue is not None:
        check_account_venue(venue, portfolio.accounts)
    scenario, shape = per_scenario(markets, shock, sell, 1.0, refill, rounds)
    if shape:
        raise ValueError(f"shock and sell must be one number a market, were of shape {(*shape, len(markets))}")
    payer = NO_VENUE if venue is None else venue
    found = _core.cascade_accounts(portfolio.job(markets, payer), scenario)
    values = {name: frozen(found.pop(name[1:])) for name in ("_left", "_own_left")}
    values["wave_table"] = frozen(found.pop("wave_table"))
    defaulted = np.zeros(len(portfolio.accounts), dtype=bool)
    defaulted[portfolio.account] = found.pop("defaulted")
    values |= {"defaulted": frozen(defaulted), **shaped_columns(found, (), portfolio, markets)}
    given = dict(zip(("shock", "sell", "refill", "rounds"), (*scenario[:2], *scenario[3:]), strict=True))
    arguments = {**given, "accounts": len(portfolio.accounts)}
    hidden = {
        "_names": AccountCascadeResult._columns_of(portfolio, markets, venue),
        "_portfolio": portfolio,
        "_markets": markets,
        "_venue": payer,
        "_scenario": scenario,
    }
    return AccountCascadeResult("cascade", {**arguments, "markets": markets, "venue": venue}, {**values, **hidden})
