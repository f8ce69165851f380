"""What results for accounts in several markets share: one value a market, and where the money went."""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from flushpoint import _core
from flushpoint._validate import FloatArray, read_only
from flushpoint.accounts import Ints, Reduced
from flushpoint.delever import Delever
from flushpoint.loans import LoanRule
from flushpoint.markets import Markets
from flushpoint.outcome import frozen
from flushpoint.result import Result
from flushpoint.settlement import BALANCE, LEDGER, MONEY, Settled
from flushpoint.venue import Venue

#: What is closed against winners, of each market.
ADL = ("adl_quantity", "adl_count")
#: What else a venue adds to a result of accounts.
ACCOUNT_LEDGER = tuple(name for name in LEDGER if name not in ("socialised_loss", *ADL))
_GROUPED = ("group_closed", "group_defaulted", "group_shortfall", "group_spared", "group_spared_isolated")
#: Of the engine's columns with one entry a market, those that no result shows as they are.
_PER_MARKET = (
    "own_longs",
    "own_shorts",
    "spared_longs",
    "spared_shorts",
    "shared_longs",
    "shared_shorts",
    "amplification",
    "low_time",
    *ADL,
)


class AccountOutcome(Settled, Result):
    """What cascades through several markets did to accounts.

    Numbers of a market stand along the last axis, in the order of `markets`. As a mapping the result holds them as
    columns of one market each, named "final_price.BTC", followed by numbers of all markets together.

    Attributes
    ----------
    markets : tuple of str
        Names.
    final_price, low_price, high_price : ndarray of float64, shape (..., markets)
        Quote units per base unit. Low and high include the price after shock and sale, and every wave.
    waves : ndarray of int64, shape (..., markets)
        How many waves each market had.
    exhausted : ndarray of bool, shape (..., markets)
        Whether the depth was used up (only `EvaporatingImpact` can be).
    long_quantity, short_quantity : ndarray of float64, shape (..., markets)
        Closed by force, in the market or against winners, base units. Winners are not in it, nor in other totals.
    adl_quantity : ndarray of float64, shape (..., markets)
        Of these, closed against winners, base units; 0 but with a venue whose `adl` closes winners.
    adl_count : ndarray of int64, shape (..., markets)
        How many times a winner's position was reduced.
    long_notional, short_notional : ndarray of float64, shape (..., markets)
        Quantity x trigger price, quote units; of accounts that have none (over several markets, or a short with equity
        below 0 at any price) quantity x the mark at which they failed.
    rounds : ndarray of int64, shape (...)
        How often something was crossed in any market; what is crossed at the same prices is closed in one round.
    liquidator_profit : ndarray of float64, shape (...)
        Of those who liquidate loans: what sales of collateral brought, and what they kept is worth at the mark, less
        what they repaid. 0 where accounts are none.
    proceeds, shortfall, surplus : ndarray of float64, shape (...)
        Money of all forced trades, received less paid; by how much equity of what was closed out lay below 0, and
        above. Where a short had to buy what the depth no longer held its account's shortfall is inf, whatever its other
        positions brought.
    """

    _per_market: ClassVar[tuple[str, ...]] = (
        "final_price",
        "low_price",
        "high_price",
        "long_quantity",
        "short_quantity",
        "long_count",
        "short_count",
        "long_notional",
        "short_notional",
        "waves",
        "exhausted",
    )
    _totals: ClassVar[tuple[str, ...]] = ("accounts_closed", "isolated_closed", "rounds", *MONEY)

    final_price: FloatArray
    low_price: FloatArray
    high_price: FloatArray
    waves: Ints
    exhausted: NDArray[np.bool_]
    long_quantity: FloatArray
    short_quantity: FloatArray
    rounds: Any
    liquidator_profit: Any
    own_longs: Ints
    own_shorts: Ints
    shared_longs: Ints
    shared_shorts: Ints
    long_notional: FloatArray
    short_notional: FloatArray
    group_closed_: Ints
    group_defaulted_: Ints
    group_shortfall_: FloatArray
    # Of positions in books, crossed when they had been closed whole as winners: none unless a venue closes winners.
    spared_longs: Any = 0
    spared_shorts: Any = 0
    group_spared_: Any = 0
    group_spared_isolated_: Any = 0
    _liquidator_cash: Any
    _portfolio: Reduced
    _markets: Markets
    _venue: Venue

    @classmethod
    def _columns_of(cls, portfolio: Reduced, markets: Markets, venue: Venue | None) -> tuple[str, ...]:
        """Names of all columns."""
        close = portfolio.accounts.close
        ruled: tuple[str, ...] = ("accounts_defaulted",) if isinstance(close, Delever) else ()
        ruled = ("liquidator_profit",) if isinstance(close, LoanRule) else ruled
        ledger = () if venue is None else ACCOUNT_LEDGER
        closes_winners = venue is not None and venue._closes_winners
        families = (*cls._per_market, *(ADL if closes_winners else ()))
        per_market = (f"{name}.{market}" for name in families for market in markets.names)
        return (*per_market, *cls._totals, *ruled, *ledger)

    def __getitem__(self, name: str) -> NDArray[Any]:
        if name not in self._names:
            raise KeyError(name)
        column, _, market = name.partition(".")
        values = getattr(self, column)
        found = np.atleast_1d(values[..., self.markets.index(market)] if market else values)
        read_only(found)
        return found

    @property
    def markets(self) -> tuple[str, ...]:
        """Names of the markets."""
        return self._markets.names

    @property
    def long_count(self) -> Ints:
        """Long positions closed, in part or whole, shape (..., markets); what shares margin in a market is one."""
        return frozen(np.asarray(self.own_longs - self.spared_longs + self.shared_longs))

    @property
    def short_count(self) -> Ints:
        """Short positions closed, as `long_count`."""
        return frozen(np.asarray(self.own_shorts - self.spared_shorts + self.shared_shorts))

    @property
    def liquidated_notional(self) -> Any:
        """Sum over markets of long and short notional, quote units, shape (...)."""
        return (self.long_notional + self.short_notional).sum(-1)

    @cached_property
    def groups(self) -> NDArray[Any]:
        """The labels of the accounts' groups, sorted."""
        if self._portfolio.accounts.group is None:
            raise ValueError("accounts must have groups for sums by group, was without")
        return frozen(np.array(self._portfolio.labels))

    def _closed_of(self, alone: bool) -> Ints:
        """How many of each group's positions in books, isolated or not, are closed by force, shape (..., groups)."""
        portfolio = self._portfolio
        out = np.zeros((*self.own_longs.shape[:-1], portfolio.labels.size), dtype=np.int64)
        for m, book in enumerate(portfolio.books):
            mine, code = portfolio.alone[m] == alone, portfolio.codes[portfolio.owner[m]]
            for side, count in ((book.long, self.own_longs), (book.short, self.own_shorts)):
                held = np.where(mine[side.index], code[side.index], -1)
                for g in np.unique(held[held >= 0]):
                    out[..., g] += np.concatenate([[0], np.cumsum(held == g)])[count[..., m]]
        out -= self.group_spared_isolated_ if alone else self.group_spared_
        return out

    @cached_property
    def _group_closed(self) -> Ints:
        return frozen(np.asarray(self.group_closed_ + self._closed_of(alone=False)))

    @property
    def group_closed(self) -> Ints:
        """Accounts of each group that `accounts_closed` counts, shape (..., groups)."""
        self.groups  # raises where there are none  # noqa: B018
        return self._group_closed

    @property
    def group_defaulted(self) -> Ints:
        """Banks of each group that defaulted, shape (..., groups)."""
        self.groups  # raises where there are none  # noqa: B018
        return self.group_defaulted_

    @property
    def group_shortfall(self) -> FloatArray:
        """Shortfall of each group's accounts and isolated positions, quote units, shape (..., groups)."""
        self.groups  # raises where there are none  # noqa: B018
        return self.group_shortfall_

    @cached_property
    def accounts_closed(self) -> Any:
        """Accounts whose positions that share margin were all closed, the last of them by force, shape (...)."""
        return self._group_closed.sum(-1)

    @property
    def accounts_defaulted(self) -> Any:
        """Banks that defaulted (`Delever`), shape (...); 0 where accounts are none."""
        return self.group_defaulted_.sum(-1)

    @cached_property
    def isolated_closed(self) -> Any:
        """Isolated positions closed by force, shape (...)."""
        return self._closed_of(alone=True).sum(-1)

    def spillover(self, market: str) -> FloatArray:
        """By how much each market's price fell because accounts that were first hurt in one market sold in others.

        The same run once more, on the same random numbers, in which accounts whose largest unrealised loss stood in
        `market` when they first failed trade in no other market: what they close elsewhere is taken over at the mark.
        log(final price there / final price), positive where those trades pushed the price down; 0 where both are the
        same, depth used up in both runs included.

        Parameters
        ----------
        market : str
            Its name.

        Returns
        -------
        ndarray of float64, shape (..., markets)
        """
        if isinstance(self._portfolio.accounts.close, LoanRule):
            raise ValueError("accounts must know their losses for spillovers, which loans do not")
        if self._venue._closes_winners:
            raise ValueError(f"adl of the venue must be 'none' for spillovers, was {self._venue.adl!r}")
        if market not in self.markets:
            raise ValueError(f"market must be one of {', '.join(self.markets)}, was {market!r}")
        found = self._final_prices(self.markets.index(market))
        there, here = found.reshape(-1), self.final_price.reshape(-1)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(there == here, 1.0, there / here)
        return frozen(_core.log(ratio).reshape(self.final_price.shape))

    def _final_prices(self, confined: int) -> FloatArray:
        """Return final prices of the run in which accounts first hurt in a market trade in no other."""
        raise NotImplementedError

    def balance(self) -> dict[str, Any]:
        """Changes of equity by party, as with a book; ``liquidators``: what sales brought less what they repaid."""
        return super().balance() | {"liquidators": self._liquidator_cash}

    def _balance_columns(self) -> dict[str, Any]:
        return {name: getattr(self, f"_{name}") for name in BALANCE}


def shaped_columns(
    found: dict[str, Any], shape: tuple[int, ...], portfolio: Reduced, markets: Markets
) -> dict[str, Any]:
    """Return the engine's columns in their shapes, by the names that a result keeps them under."""
    out = {}
    for name, column in found.items():
        if name in _GROUPED:
            column = column.reshape((*shape, portfolio.groups))[..., : portfolio.labels.size]
            kept, at = f"{name}_", column.shape
        elif name in _PER_MARKET or name in AccountOutcome._per_market:
            kept, at = name, (*shape, len(markets))
        else:
            kept, at = f"_{name}" if name in (*BALANCE, "liquidator_cash") else name, shape
        out[kept] = frozen(column.reshape(at))[()]
    return out
