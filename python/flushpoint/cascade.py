"""One cascade: a shock or a sale, and every forced trade that follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flushpoint import _core
from flushpoint._validate import FloatArray, number, read_only
from flushpoint._validate import threads as check_threads
from flushpoint.account_cascade import AccountCascadeResult, account_cascade
from flushpoint.accounts import Accounts
from flushpoint.book import Book
from flushpoint.market import Market
from flushpoint.markets import Markets
from flushpoint.outcome import BookOutcome
from flushpoint.result import Result
from flushpoint.settlement import BALANCE, LEDGER, NO_VENUE, Settled, check_settled, marked, told_apart
from flushpoint.venue import Venue, _check_instant


class CascadeResult(Result):
    """The outcome of one cascade.

    As a mapping it holds the totals, as columns of length one. What costs time in proportion to the positions closed
    (`shortfall`, `surplus` and everything per position) is worked out when it is first asked for.

    Attributes
    ----------
    final_price, low_price, high_price : float
        Quote units per base unit. Low and high include the price after shock and sale, and every wave.
    liquidated_quantity, liquidated_notional : float
        Longs and shorts together, in base units; quantity x trigger price, in quote units.
    liquidated_count : int
        Positions closed.
    stop_quantity, stop_notional, stop_count
        The same of stop orders, which are not counted as liquidated. Of the mapping only where the book holds some.
    amplification : float
        Total log move / log move of the shock and sale alone: 1 if nothing closes and no support buys, nan if positions
        close although shock and sale left the price where it was.
    exhausted : bool
        Whether the depth was used up (only `EvaporatingImpact` can be).
    support_quantity : float
        Bought by the market's `Support`, base units; a column of the mapping where it has one.
    waves : structured ndarray
        A row a wave: ``price`` that triggered it, ``quantity``, ``count``, ``notional`` (quantity x trigger price).
    """

    _names: ClassVar[tuple[str, ...]] = (
        "final_price",
        "low_price",
        "high_price",
        "liquidated_quantity",
        "liquidated_count",
        "liquidated_notional",
        "proceeds",
        "shortfall",
        "surplus",
        "amplification",
        "exhausted",
    )

    final_price: float
    low_price: float
    high_price: float
    liquidated_quantity: float
    liquidated_count: int
    liquidated_notional: float
    stop_quantity: float = 0.0
    stop_count: int = 0
    stop_notional: float = 0.0
    amplification: float
    exhausted: bool
    support_quantity: float
    waves: NDArray[np.void]
    _book: Book
    _market: Market
    _scenario: tuple[float, float, float]
    _closed: tuple[int, int]

    @cached_property
    def proceeds(self) -> float:
        """Money received for the longs closed less money paid for the shorts, quote units; without the initial sale."""
        book = self._book
        return _core.cascade_proceeds(book.long._engine, book.short._engine, self._market._engine, *self._scenario)

    @cached_property
    def closed(self) -> NDArray[np.bool_]:
        """Whether each position was closed, in input order."""
        mask = np.zeros(len(self._book), dtype=bool)
        longs, shorts = self._closed
        mask[self._book.long.index[:longs]] = True
        mask[self._book.short.index[:shorts]] = True
        read_only(mask)
        return mask

    def _bankruptcy(self) -> tuple[Any, ...]:
        long, short = self._book.long, self._book.short
        return (long.index, short.index, long.bankruptcy_price, short.bankruptcy_price)

    @cached_property
    def _money(self) -> tuple[float, float]:
        if self._book.long.bankruptcy_price is None:
            return (np.nan, np.nan)
        found = _settle(self._book, self._market, NO_VENUE, self._scenario)
        return found["shortfall"], found["surplus"]

    @property
    def shortfall(self) -> float:
        """Sum over positions of how far proceeds fall short of quantity x bankruptcy price, quote units.

        nan, not known, where the book has no bankruptcy prices.
        """
        return self._money[0]

    @property
    def surplus(self) -> float:
        """Sum over positions of how far proceeds exceed quantity x bankruptcy price, quote units.

        nan, not known, where the book has no bankruptcy prices.
        """
        return self._money[1]

    @cached_property
    def _position_columns(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        book = self._book
        columns = (np.full(len(book), np.nan), np.full(len(book), np.nan), np.full(len(book), np.nan))
        _core.cascade_positions(
            book.long._engine, book.short._engine, self._bankruptcy(), self._market._engine, *self._scenario, *columns
        )
        for column in columns:
            read_only(column)
        return columns

    @property
    def position_proceeds(self) -> FloatArray:
        """Money received (longs) or, negative, paid (shorts) for each position closed; nan for the others."""
        return self._position_columns[0]

    @property
    def position_shortfall(self) -> FloatArray:
        """Shortfall of each position closed, quote units; nan for the others, and without bankruptcy prices."""
        return self._position_columns[1]

    @property
    def position_surplus(self) -> FloatArray:
        """Surplus of each position closed, quote units; nan for the others, and without bankruptcy prices."""
        return self._position_columns[2]

    @cached_property
    def exit_price(self) -> FloatArray:
        """Average price at which each position was closed, spread included, in input order; nan for the others."""
        with np.errstate(over="ignore"):
            price = np.abs(self.position_proceeds) / self._book.quantity
        read_only(price)
        return price

    def __repr__(self) -> str:
        stops = f"{self.stop_count:,} stop orders, " if self.stop_count else ""
        return (
            f"<CascadeResult: final price {self.final_price:,.6g}, {self.liquidated_count:,} closed, notional "
            f"{self.liquidated_notional:,.4g}, {stops}{len(self.waves):,} waves, "
            f"amplification {self.amplification:.4g}>"
        )


class VenueCascadeResult(Settled, CascadeResult):
    """The outcome of one cascade with a venue: as `CascadeResult`, and where the money went.

    Attributes
    ----------
    fund_end, fund_paid, fund_received, fund_needed, fees, unpaid_loss, socialised_loss, adl_quantity, adl_count
        As in `Settled`. Liquidated are the positions that were crossed, whether they were closed in the market or
        against winners; the winners are not. A position counts once, however often it is closed in part.
    """

    _names = (*CascadeResult._names, *LEDGER)

    fund_end: float
    fund_paid: float
    fund_received: float
    fund_needed: float
    fees: float
    unpaid_loss: float
    socialised_loss: float
    adl_quantity: float
    adl_count: int
    _venue: Venue
    _balance: dict[str, float]

    def _balance_columns(self) -> dict[str, Any]:
        return self._balance

    @cached_property
    def _outcome(self) -> dict[str, FloatArray]:
        """What became of each position, in input order."""
        book, venue = self._book, self._venue
        bankruptcy = np.array(book.bankruptcy_price)
        names = ("quantity", "money", "adl_quantity", "credit", "shortfall", "surplus", "bankruptcy")
        columns = (*(np.zeros(len(book)) for _ in names[:-1]), bankruptcy)
        _core.cascade_venue_positions(
            book.long._engine,
            book.short._engine,
            told_apart(book, venue),
            marked(self._market, venue)._engine,
            venue._engine,
            *self._scenario,
            columns,
        )
        read_only(columns)
        return dict(zip(names, columns, strict=True))

    @cached_property
    def closed_by(self) -> NDArray[np.int8]:
        """What became of each position, in input order.

        0 open; 1 closed in the market; 2 closed, all or a part of it against a position of the other side
        (auto-deleveraged, as loser or winner); 3 closed in part; 4 a stop order that fired.
        """
        book, closed = self._book, self._outcome["quantity"]
        by = np.where(self._outcome["adl_quantity"] > 0, 2, 1).astype(np.int8)
        if book.stop is not None:
            by[(by == 1) & book.stop] = 4
        by[closed < book.quantity * (1 - 1e-12)] = 3
        by[closed == 0] = 0
        read_only(by)
        return by

    @cached_property
    def closed(self) -> NDArray[np.bool_]:
        """Whether each position was closed whole, by force or as a winner, in input order."""
        mask: NDArray[np.bool_] = (self.closed_by != 0) & (self.closed_by != 3)
        read_only(mask)
        return mask

    @cached_property
    def exit_price(self) -> FloatArray:
        """Average price at which what was closed of each position was closed, in input order; nan where nothing was."""
        closed = self._outcome["quantity"]
        price = np.full(closed.size, np.nan)
        np.divide(self._outcome["money"], closed, out=price, where=closed > 0)
        read_only(price)
        return price

    @cached_property
    def _position_columns(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        none = self._outcome["quantity"] == 0
        columns = [self._book.side * self._outcome["money"], self._outcome["shortfall"], self._outcome["surplus"]]
        found = tuple(np.where(none, np.nan, column) for column in columns)
        read_only(found)
        return found[0], found[1], found[2]

    @cached_property
    def position_loss(self) -> FloatArray:
        """What each trader lost, quote units, in input order; negative for a gain.

        Equity at the market's price before the cascade, less what was paid out to the trader and equity of what is
        still open at the final price. A trader's loss stops at its margin where a position is closed. A loss that is
        socialised is spread over what is open at the end, by quantity. Infinite where the final price is.
        """
        book, found, side = self._book, self._outcome, self._book.side
        before = side * book.quantity * (self._market.price - np.asarray(book.bankruptcy_price))
        open_quantity = np.where(self.closed, 0.0, np.maximum(book.quantity - found["quantity"], 0.0))
        with np.errstate(invalid="ignore"):
            held = side * open_quantity * (self.final_price - found["bankruptcy"])
        after = found["credit"] + np.where(open_quantity > 0, held, 0.0)
        total = float(open_quantity.sum())
        borne = self.socialised_loss * open_quantity / total if total else np.zeros(len(book))
        loss = np.asarray(before - after + borne)
        read_only(loss)
        return loss

    def __repr__(self) -> str:
        paid = f"fund {self.fund_end:,.4g}, unpaid loss {self.unpaid_loss:,.4g}"
        return super().__repr__()[:-1].replace("<CascadeResult", "<VenueCascadeResult") + f", {paid}>"


@overload
def cascade(
    book: Book,
    market: Market,
    shock: float = 0.0,
    sell: float = 0.0,
    refill: float = 0.0,
    *,
    venue: Venue | None = None,
    threads: int = 0,
) -> CascadeResult: ...


@overload
def cascade(
    book: Accounts,
    market: Markets,
    shock: ArrayLike | Mapping[str, float] = 0.0,
    sell: ArrayLike | Mapping[str, float] = 0.0,
    refill: float = 0.0,
    *,
    rounds: int | None = None,
    venue: Venue | None = None,
    threads: int = 0,
) -> AccountCascadeResult: ...


def cascade(
    book: Book | Accounts,
    market: Market | Markets,
    shock: Any = 0.0,
    sell: Any = 0.0,
    refill: float = 0.0,
    *,
    rounds: int | None = None,
    venue: Venue | None = None,
    threads: int = 0,
) -> CascadeResult | AccountCascadeResult:
    """Run one cascade in full.

    The price starts at ``market.price * (1 + shock)``, after which `sell` is sold. Then, wave by wave, every position
    crossed at the current price is closed and the price updated, until none is crossed. Positions that are crossed
    before anything happens are closed in the first wave.

    Parameters
    ----------
    book : Book or Accounts
    market : Market, or Markets for accounts
    shock : float, default 0.0
        Relative price move that starts it, above -1: -0.10 is a fall of 10 %. For accounts one number for all markets,
        a mapping of names to numbers (0 for others), or an array with one entry a market; so `sell`.
    sell : float, default 0.0
        Quantity sold (negative: bought) into the market that starts it, base units; not counted as liquidated.
    refill : float, default 0.0
        Share of the recovering volume that returns after each wave, 0 to 1.
    rounds : int, optional
        With accounts, how many rounds may trade, at least 0. After the last one banks may still be found in default,
        and nothing more is traded. By default until nothing is crossed.
    venue : Venue, optional
        What follows a trigger, and who pays; the book needs bankruptcy prices. By default all crossed positions are
        closed whole in the market, and nobody is asked to pay. With accounts its fund, fee, what becomes of a surplus,
        and how winners are closed; other rules are refused.
    threads : int, default 0
        As in every question; one cascade is one chain of events and runs in the calling thread.

    Returns
    -------
    CascadeResult
        With a venue a `VenueCascadeResult`, for accounts an `AccountCascadeResult`.

    Examples
    --------
    >>> book = Book(+1, [10.0, 10.0], [92.0, 89.0])
    >>> c = cascade(book, Market(100.0, LinearImpact(0.003)), shock=-0.09)
    >>> c.liquidated_count, round(c.final_price, 3)
    (2, 85.701)
    """
    if isinstance(book, Accounts) or isinstance(market, Markets):
        return account_cascade(book, market, shock, sell, refill, rounds, venue, threads)
    if rounds is not None:
        raise ValueError(f"rounds must be left out for a book, was {rounds!r}")
    _check_inputs(book, market)
    start = number("shock", shock, above=-1)
    sold = number("sell", sell)
    share = number("refill", refill, at_least=0, at_most=1)
    check_threads(threads)
    if venue is not None:
        check_settled(venue, book)
        _check_instant(venue)
    long, short = book.long, book.short
    if not 0 < market.price * (1 + start) < np.inf:
        raise ValueError(f"shock must leave the price positive and finite, was {shock} at a price of {market.price}")
    if venue is not None:
        return _with_venue(book, market, venue, (start, sold, share))
    final, low, high, amplification, exhausted, longs, shorts, waves, supported = _core.cascade(
        long._engine, short._engine, market._engine, start, sold, share
    )
    read_only(waves)
    return CascadeResult(
        "cascade",
        {"shock": start, "sell": sold, "refill": share, "market": market, "positions": len(book)},
        {
            "final_price": final,
            "low_price": low,
            "high_price": high,
            "liquidated_quantity": float(long.cumulative_quantity[longs] + short.cumulative_quantity[shorts]),
            "liquidated_count": longs + shorts,
            "liquidated_notional": float(long.cumulative_notional[longs] + short.cumulative_notional[shorts]),
            "amplification": amplification,
            "exhausted": exhausted,
            "support_quantity": supported,
            "waves": waves,
            "_names": _names(CascadeResult, book, market),
            "_book": book,
            "_market": market,
            "_scenario": (start, sold, share),
            "_closed": (longs, shorts),
            **({} if book.stop is None else _by_kind(book, longs, shorts)),
        },
    )


def _settle(book: Book, market: Market, venue: Venue, scenario: tuple[float, float, float]) -> dict[str, Any]:
    """Run a cascade with a venue; return all its totals."""
    positions = told_apart(book, venue)
    return _core.cascade_venue(
        book.long._engine, book.short._engine, positions, marked(market, venue)._engine, venue._engine, *scenario
    )


def _with_venue(book: Book, market: Market, venue: Venue, scenario: tuple[float, float, float]) -> VenueCascadeResult:
    found = _settle(book, market, venue, scenario)
    read_only(found["waves"])
    shock, sell, refill = scenario
    money = {"_money": (found.pop("shortfall"), found.pop("surplus"))}
    balance = {name: found.pop(name) for name in BALANCE}
    hidden = {"_book": book, "_market": market, "_scenario": scenario, "_venue": venue, "_balance": balance}
    hidden["_names"] = _names(VenueCascadeResult, book, market)
    arguments = {"shock": shock, "sell": sell, "refill": refill, "market": market, "positions": len(book)}
    return VenueCascadeResult("cascade", {**arguments, "venue": venue}, {**found, **money, **hidden})


def _by_kind(book: Book, longs: int, shorts: int) -> dict[str, Any]:
    """What changes in a result where some of the positions closed are stop orders."""
    kinds = book._kinds
    assert kinds is not None
    sold, bought = kinds
    return {
        f"{kind}_{what}": (sold.closed(longs, what, stops) + bought.closed(shorts, what, stops)).item()
        for kind, stops in (("liquidated", False), ("stop", True))
        for what in ("quantity", "count", "notional")
    }


def _names(kind: type[CascadeResult], book: Book, market: Market) -> tuple[str, ...]:
    """Return the columns of a result as a mapping."""
    stops = () if book.stop is None else BookOutcome._stop_names
    return (*kind._names, *stops, *(() if market.support is None else ("support_quantity",)))


def _check_inputs(book: object, market: object) -> None:
    if not isinstance(book, Book):
        raise TypeError(f"book must be a Book, was {type(book).__name__}")
    _check_market(market)


def _check_market(market: object) -> None:
    if not isinstance(market, Market):
        raise TypeError(f"market must be a Market, was {type(market).__name__}")


def _check_at_rest(book: Book, market: Market) -> None:
    longs, shorts = book._crossed(market.price)
    if longs or shorts:
        raise ValueError(
            f"book must hold no position that is already crossed at the market's price, {market.price:g}; "
            f"{longs:,} longs and {shorts:,} shorts are (book.alive({market.price:g}) drops them)"
        )
