"""The exact response of a book: every cascade at once, as steps in the size of the shock or of the initial sale."""

from __future__ import annotations

import sys
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flushpoint import _core
from flushpoint._validate import FloatArray, check, finite_array, number, positive, read_only, real_array, restore
from flushpoint._validate import threads as check_threads
from flushpoint.book import Book, Side
from flushpoint.cascade import _check_at_rest, _check_inputs
from flushpoint.impact import shaped
from flushpoint.market import Market
from flushpoint.outcome import BookOutcome, of_kind
from flushpoint.result import Result

_TIPPING_POINT = np.dtype(
    [
        ("price", np.float64),
        ("shock", np.float64),
        ("side", np.int8),
        ("count", np.int64),
        ("quantity", np.float64),
        ("notional", np.float64),
        ("final_price", np.float64),
    ]
)


class ResponseResult(Result):
    """The outcomes of many shocks, or of many initial sales; every column has the shape of the argument.

    As a mapping the first column is the argument itself, ``shock`` or ``sell``.

    Attributes
    ----------
    final_price : float or ndarray
        Quote units per base unit.
    liquidated_count, liquidated_quantity, liquidated_notional : float or ndarray
        Positions closed, base units, quantity x trigger price in quote units.
    stop_count, stop_quantity, stop_notional : float or ndarray
        The same of stop orders, which are not counted as liquidated. Of the mapping only where the book holds some.
    """

    _names: ClassVar[tuple[str, ...]] = (
        "final_price",
        "liquidated_quantity",
        "liquidated_count",
        "liquidated_notional",
    )

    final_price: Any
    _book: Book
    _closed: NDArray[np.int64]  # of the side that answers
    _shorts: NDArray[np.bool_]  # whether the shorts answer, for each question

    def __iter__(self) -> Any:
        yield self.provenance["question"]
        yield from self._names

    def __len__(self) -> int:
        return len(self._names) + 1

    def __getitem__(self, name: str) -> NDArray[Any]:
        if name == self.provenance["question"]:
            return np.atleast_1d(self.__dict__[name])
        return super().__getitem__(name)

    def _sums(self, longs: FloatArray, shorts: FloatArray) -> Any:
        count = self._closed
        if not self._shorts.any():
            values = longs[count]
        else:
            values = np.where(
                self._shorts, shorts[np.where(self._shorts, count, 0)], longs[np.where(self._shorts, 0, count)]
            )
        return _finished(values)

    def _of_kind(self, what: str, *, stops: bool) -> Any:
        """Count, quantity or notional of what was closed of one kind."""
        kinds = self._book._kinds
        if kinds is not None:
            long, short = (np.where(self._shorts == shorts, self._closed, 0) for shorts in (False, True))
            return _finished(np.asarray(of_kind(kinds, long, short, what, stops=stops)))
        if stops:
            return _finished(np.zeros(self._closed.shape, np.int64 if what == "count" else np.float64))
        if what == "count":
            return _finished(self._closed)
        return self._sums(*(getattr(one, f"cumulative_{what}") for one in (self._book.long, self._book.short)))

    @cached_property
    def liquidated_count(self) -> Any:
        """Positions liquidated."""
        return self._of_kind("count", stops=False)

    @cached_property
    def liquidated_quantity(self) -> Any:
        """Quantity liquidated, base units."""
        return self._of_kind("quantity", stops=False)

    @cached_property
    def liquidated_notional(self) -> Any:
        """Sum of quantity x trigger price over the positions liquidated, quote units."""
        return self._of_kind("notional", stops=False)

    @cached_property
    def stop_count(self) -> Any:
        """Stop orders that fired."""
        return self._of_kind("count", stops=True)

    @cached_property
    def stop_quantity(self) -> Any:
        """Quantity of the stop orders that fired, base units."""
        return self._of_kind("quantity", stops=True)

    @cached_property
    def stop_notional(self) -> Any:
        """Sum of quantity x trigger price over the stop orders that fired, quote units."""
        return self._of_kind("notional", stops=True)

    def __repr__(self) -> str:
        question = self.provenance["question"]
        return f"<ResponseResult: {self[question].size:,} {question}s>"


def _finished(values: NDArray[Any]) -> Any:
    """Return a scalar for a 0-d array, else the array made read-only."""
    if values.ndim == 0:
        return values.item()
    read_only(values)
    return values


class Response:
    """The exact step function of a whole book; made by `response`.

    Calling it with shocks answers each with one look-up, whatever the number of positions.
    """

    def __init__(self, book: Book, market: Market, threads: int) -> None:
        self._book = book
        self._market = market
        self._threads = threads
        self._shock_steps = self._steps(_core.shock_steps)

    def _steps(self, build: Any) -> tuple[Any, Any]:
        book, market = self._book, self._market
        return (
            build(book.long._engine, market._engine, False, self._threads),
            build(book.short._engine, market._engine, True, self._threads),
        )

    @property
    def book(self) -> Book:
        """The book asked about."""
        return self._book

    @property
    def market(self) -> Market:
        """The market it stands in."""
        return self._market

    def __call__(self, shock: ArrayLike, *, threads: int | None = None) -> ResponseResult:
        """Outcome of each shock; equal to ``cascade(book, market, shock)`` one by one.

        Parameters
        ----------
        shock : array_like
            Relative price moves, above -1: falls close longs, rises shorts.
        threads : int, optional
            0 for all processors; as given to `response` by default.

        Returns
        -------
        ResponseResult
        """
        shocks = real_array("shock", shock)
        flat = shocks.reshape(-1)
        top = sys.float_info.max / self._market.price - 1
        if not _core.all_between(flat, -1.0, top):
            check("shock", shocks, (shocks > -1) & (shocks < top), "above -1 and leave the price finite")
        final, closed = _core.answer_shocks(
            *self._shock_steps, self._market.price, flat, self._threads if threads is None else check_threads(threads)
        )
        return self._result("shock", shocks, shocks > 0, final, closed)

    def sell(self, quantity: ArrayLike, *, threads: int | None = None) -> ResponseResult:
        """Outcome of each initial sale; equal to ``cascade(book, market, sell=quantity)`` one by one.

        Parameters
        ----------
        quantity : array_like
            Base units, negative to buy: sales close longs, purchases shorts.
        threads : int, optional
            0 for all processors; as given to `response` by default.

        Returns
        -------
        ResponseResult
        """
        sales = finite_array("quantity", quantity)
        final, closed = _core.answer_sales(
            *self._sale_steps,
            self._book.long._engine,
            self._book.short._engine,
            self._market._engine,
            sales.reshape(-1),
            self._threads if threads is None else check_threads(threads),
        )
        return self._result("sell", sales, sales < 0, final, closed)

    def _result(
        self, question: str, asked: FloatArray, shorts: Any, final: FloatArray, closed: NDArray[np.int64]
    ) -> ResponseResult:
        values: dict[str, Any] = {
            question: _finished(np.array(asked)),
            "final_price": _finished(final.reshape(asked.shape)),
            "_book": self._book,
            "_closed": closed.reshape(asked.shape),
            "_shorts": np.asarray(shorts),
        }
        if self._book.stop is not None:
            values["_names"] = (*ResponseResult._names, *BookOutcome._stop_names)
        return ResponseResult(question, {"market": self._market, "positions": len(self._book)}, values)

    @cached_property
    def _sale_steps(self) -> tuple[Any, Any]:
        return self._steps(_core.sale_steps)

    @cached_property
    def tipping_points(self) -> NDArray[np.void]:
        """Start prices at which a small extra move closes a run of two or more distinct triggers.

        A structured array, a row each, the longs' from the market's price down, then the shorts' from it up:
        ``price`` (the start price), ``shock`` (the move that leads there), ``side`` (+1 longs, -1 shorts), ``count``,
        ``quantity`` and ``notional`` of the run, stop orders among it, ``final_price`` once it has closed.
        """
        out = np.concatenate([self._tips(shorts)[0] for shorts in (False, True)])
        read_only(out)
        return out

    def _tips(self, shorts: bool) -> tuple[NDArray[np.void], FloatArray]:
        """One side's tipping points, and the log move that each run alone causes."""
        side = self._book.short if shorts else self._book.long
        return _tips(side, shorts, self._shock_steps[shorts], self._market)

    def reproduction_number(self, price: ArrayLike, width: float = 0.01) -> FloatArray | float:
        """Further log move that the forced sales within the next `width` of log price cause, per unit of `width`.

        [g(M + dM) - g(M)] / width, with M the quantity triggered down to `price` and dM that triggered in the next
        `width` of log price: at 1 and above the fall feeds itself. Up to the market's price it looks down, at longs;
        above, it looks up, at shorts.

        Parameters
        ----------
        price : array_like
            Quote units per base unit, positive.
        width : float, default 0.01
            Log price, positive.

        Returns
        -------
        float or ndarray
            The shape of `price`.
        """
        at = real_array("price", price)
        positive("price", at)
        step = number("width", width, above=0)
        flat = at.reshape(-1)
        out = np.empty(flat.size)
        up = flat > self._market.price
        for one, shorts in ((self._book.long, False), (self._book.short, True)):
            here = flat[up == shorts]
            there = here * _core.exp(np.array([step if shorts else -step]))
            sign = -1.0 if shorts else 1.0
            moved = []
            for level in (here, there):
                triggered = one.cumulative_quantity[_core.crossed(one._engine, shorts, level)]
                moved.append(_core.displacement(self._market._engine, sign * triggered))
            with np.errstate(invalid="ignore"):  # inf - inf where the depth is used up before
                out[up == shorts] = sign * (moved[1] - moved[0]) / step + 0.0  # no negative zero
        return shaped(out, at)

    __setstate__ = restore

    def __repr__(self) -> str:
        return f"<Response: {len(self._book):,} positions, {self.tipping_points.size:,} tipping points>"

    def __str__(self) -> str:
        price = self._market.price
        lines = [
            f"response of {len(self._book):,} positions at {price:,.6g}",
            f"  reproduction number now: {self.reproduction_number(price):.3g} down, "
            f"{self.reproduction_number(np.nextafter(price, np.inf)):.3g} up",
        ]
        points = self.tipping_points
        for side, name in ((1, "down"), (-1, "up")):
            mine = points[points["side"] == side]
            if mine.size:
                largest = mine[np.argmax(mine["notional"])]
                lines.append(
                    f"  largest tipping point {name}: at {largest['price']:,.6g} ({largest['shock']:+.2%}), "
                    f"{largest['count']:,} positions, notional {largest['notional']:,.4g}, "
                    f"on to {largest['final_price']:,.6g}"
                )
            else:
                lines.append(f"  tipping points {name}: none")
        return "\n".join(lines)


def tips_at(
    one: Side, market: Market, shorts: bool, liquidity: float, threads: int
) -> tuple[NDArray[np.void], FloatArray]:
    """Return one side's tipping points in a market so many times as deep, and the log move that each run alone causes.

    To quantities divided by `liquidity`, as those of the points are, it is the market itself.
    """
    sums = (one.cumulative_quantity / liquidity, one.cumulative_notional / liquidity)
    one = Side(one.trigger_price, one.quantity / liquidity, one.bankruptcy_price, one.index, *sums, one._live)
    return _tips(one, shorts, _core.shock_steps(one._engine, market._engine, shorts, threads), market)


def _tips(one: Side, shorts: bool, steps: Any, market: Market) -> tuple[NDArray[np.void], FloatArray]:
    """Return one side's tipping points, and the log move that each run alone causes, inf where it uses up the depth."""
    rows, side = steps[0], -1 if shorts else 1
    first, end = rows["closed"][:-1], rows["closed"][1:]
    tips = one.trigger_price[first] != one.trigger_price[end - 1]
    first, end = first[tips], end[tips]
    before, after = rows["price_factor"][:-1][tips], rows["price_factor"][1:][tips]
    points = np.empty(first.size, dtype=_TIPPING_POINT)
    points["price"] = side * rows["key"][:-1][tips]
    points["shock"] = points["price"] / market.price - 1
    points["side"] = side
    points["count"] = end - first
    points["quantity"] = one.cumulative_quantity[end] - one.cumulative_quantity[first]
    points["notional"] = one.cumulative_notional[end] - one.cumulative_notional[first]
    points["final_price"] = points["price"] * after
    with np.errstate(divide="ignore"):
        return points, np.abs(_core.log(after / before))


def response(book: Book, market: Market, *, threads: int = 0) -> Response:
    """Work out every cascade of a book: the exact outcome of any shock, or of any initial sale.

    From rest, with deterministic impact, position k closes if and only if the start price is at or below
    trigger_j * exp(mark_weight * g(Q_j)) for every j up to k, where Q_j is what closes before j: the outcome is a step
    function of the start price, found in one pass over the sorted book.

    Parameters
    ----------
    book : Book
        No position may be crossed at the market's price; see `Book.alive`.
    market : Market
        Without `Support`: what it buys depends on waves, which a map knows nothing of.
    threads : int, default 0
        0 for all processors, or FLUSHPOINT_NUM_THREADS of them.

    Returns
    -------
    Response

    Raises
    ------
    ValueError
        Where positions are already crossed at the market's price, with their number; where the market has support.

    Examples
    --------
    >>> book = Book(+1, [10.0, 10.0], [92.0, 89.0])
    >>> r = response(book, Market(100.0, LinearImpact(0.003)))
    >>> r([-0.05, -0.09, -0.2]).liquidated_count
    array([0, 2, 2])
    """
    count = check_threads(threads)
    check_mapped(book, market)
    return Response(book, market, count)


def check_mapped(book: Book, market: Market) -> None:
    """Raise unless there is a map of the book in the market."""
    _check_inputs(book, market)
    if market.support is not None:
        raise ValueError(f"market must be without support for a map (stress answers with it), was {market.support!r}")
    _check_at_rest(book, market)
