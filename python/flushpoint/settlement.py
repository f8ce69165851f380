"""Where the money of forced closes went: the columns that a venue adds to a result, and their conservation."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flushpoint._validate import FloatArray, check
from flushpoint.book import Book, EnginePositions
from flushpoint.market import Market
from flushpoint.outcome import BookOutcome, Counts
from flushpoint.venue import Venue, _check_book, _check_venue

#: What a venue adds to a result.
LEDGER = (
    "fund_end",
    "fund_paid",
    "fund_received",
    "fund_needed",
    "fees",
    "unpaid_loss",
    "socialised_loss",
    "adl_quantity",
    "adl_count",
)
MONEY = ("proceeds", "shortfall", "surplus")
#: Only the conservation of money asks for these.
BALANCE = ("to_traders", "kept", "released", "value")
#: Nobody: what a run without a venue is settled by, where only what positions lack or leave is wanted.
NO_VENUE = Venue(surplus_to="trader")


class Settled:
    """What a venue adds to a result: numbers of one cascade, or columns with one entry a scenario or path.

    Attributes
    ----------
    fund_end : float or ndarray of float64
        The insurance fund at the end, quote units, as all money.
    fund_paid, fund_received : float or ndarray of float64
        What the fund paid for shortfalls, and what it got of surplus and fees.
    fund_needed : float or ndarray of float64
        The smallest fund that would never have been overdrawn by the losses that were asked of it in this run. Where
        winners are closed, these are only the losses of what was sold; `size_fund` asks without.
    fees : float or ndarray of float64
        Charged on market closes, to the venue or the fund.
    unpaid_loss : float or ndarray of float64
        Shortfalls that nobody paid.
    socialised_loss : float or ndarray of float64
        Shortfalls beyond the fund that open positions bore.
    adl_quantity : float or ndarray of float64
        Closed against winners rather than in the market, base units.
    adl_count : int or ndarray of int64
        How many times a winner's position was reduced.
    """

    fund_end: Any
    fund_paid: Any
    fund_received: Any
    liquidated_notional: Any
    stop_notional: Any
    _venue: Any

    def _balance_columns(self) -> dict[str, Any]:
        """Return the columns of `BALANCE`, from the engine."""
        raise NotImplementedError

    def balance(self) -> dict[str, Any]:
        """Changes of equity by party, quote units: they add up to nothing.

        Returns
        -------
        dict
            ``forced``: what positions lost or kept where they were closed, beyond the price's move, against their
            bankruptcy prices; ``market``: what those who traded with them paid; ``traders``: what was paid out to
            traders; ``winners``: equity that winners took out; ``socialised``; ``fund``; ``venue``: fees and surplus
            that it kept; ``unpaid``: the loss that nobody bore.

        Notes
        -----
        Traders still open, makers and counterparties outside the book move against each other with the price, which
        therefore cancels out. Where depth was used up and money is infinite, what a party gained less what it paid may
        be nan.
        """
        found = self._balance_columns()
        names = ("proceeds", "socialised_loss", "fund_received", "fund_paid", "fees", "unpaid_loss")
        told = {name: getattr(self, name) for name in names}
        return {
            "forced": found["value"],
            "market": -told["proceeds"],
            "traders": found["to_traders"],
            "winners": found["released"],
            "socialised": -told["socialised_loss"],
            "fund": told["fund_received"] - told["fund_paid"],
            "venue": found["kept"] + (told["fees"] if self._venue.fee_to == "venue" else 0.0),
            "unpaid": -told["unpaid_loss"],
        }

    def check_balance(self) -> None:
        """Verify that no money came from nowhere or went missing, to 1e-9 relative and the rounding of what was closed.

        Rows in which depth was used up and money is infinite cannot be judged and are passed over.

        Raises
        ------
        ArithmeticError
            With the first scenario or path in which it did.
        """
        with np.errstate(invalid="ignore"):
            # Positions closed against each other cancel out but for their rounding.
            closed = np.asarray(self.liquidated_notional) + getattr(self, "stop_notional", 0.0)  # accounts have none
            _add_up("changes of equity", [*self.balance().values()], 1e-13 * closed)
            moves = [self._venue.fund, self.fund_received, -np.asarray(self.fund_paid), -np.asarray(self.fund_end)]
            _add_up("changes of the fund", moves, 0.0)


def _add_up(what: str, parts: list[Any], rounding: Any) -> None:
    columns = [np.atleast_1d(np.asarray(part, dtype=np.float64)) for part in parts]
    rows = np.stack(np.broadcast_arrays(*columns), -1)
    total, size = rows.sum(-1), np.abs(rows).sum(-1)
    wrong = np.isfinite(size) & ~(np.abs(total) <= 1e-9 * size + rounding)
    if wrong.any():
        at = int(np.argmax(wrong))
        raise ArithmeticError(f"{what} must add up to nothing, were {total[at]} of {size[at]} in row {at}")


class SettledRows(Settled, BookOutcome):
    """What a venue adds to a result of many scenarios or paths."""

    fund_end: FloatArray
    fund_paid: FloatArray
    fund_received: FloatArray
    fund_needed: FloatArray
    fees: FloatArray
    unpaid_loss: FloatArray
    socialised_loss: FloatArray
    adl_quantity: FloatArray
    adl_count: Counts

    def _apart(self, what: str, *, stops: bool) -> NDArray[Any]:
        if stops or self._kinds is None:
            return super()._apart(what, stops=stops)
        both = getattr(self, f"long_{what}") + getattr(self, f"short_{what}")
        return np.asarray(both - getattr(self, f"stop_{what}"))

    def _check_groups(self) -> None:
        if self._venue._intervenes:
            raise ValueError(f"venue must close whole positions in the market for sums by group, was {self._venue!r}")
        super()._check_groups()


def check_settled(venue: Venue, book: Book) -> None:
    """Raise unless `venue` is one and the book holds what it needs to know."""
    _check_venue(venue)
    _check_book(venue, book)
    for name, side in (("long", book.long), ("short", book.short)):
        prices = side.bankruptcy_price
        if prices is not None and prices.size and not math.isfinite(prices[len(side) - 1]):
            check(f"bankruptcy_price of {name}s", prices, np.isfinite(prices), "finite with a venue")


def told_apart(book: Book, venue: Venue) -> EnginePositions:
    """What a venue has to know of each position."""
    return book._settled(True, venue._closes_winners, venue is not NO_VENUE)


def marked(market: Market, venue: Venue | None) -> Market:
    """Return the market with the venue's own mark, where it has one."""
    if venue is None or venue.mark_weight is None:
        return market
    return replace(market, mark_weight=venue.mark_weight)
