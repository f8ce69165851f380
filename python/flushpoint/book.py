"""A book: the leveraged positions, or threshold orders, of one market."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flushpoint import _core
from flushpoint._validate import (
    FloatArray,
    check,
    count,
    finite_array,
    number,
    positive,
    read_only,
    real_array,
    restore,
    sides,
)
from flushpoint.hidden import positions_from_open_interest
from flushpoint.margin import Contract, FeeAt, MarginSchedule, bankruptcy_price, liquidation_price
from flushpoint.mix import EntryPrices, LeverageMix
from flushpoint.seed import resolve

EngineSide = tuple[FloatArray, FloatArray, FloatArray, FloatArray, int]
EngineColumns = tuple[
    NDArray[np.int32],
    FloatArray | None,
    FloatArray | None,
    FloatArray | None,
    FloatArray | None,
    FloatArray | None,
    NDArray[np.bool_] | None,
]
EnginePositions = tuple[EngineColumns, EngineColumns]
MOST_POSITIONS = 2**31 - 1
_MOST_TIMES = 1_000  # that margin is added


@dataclass(frozen=True, eq=False)
class Side:
    """One side of a book in firing order: longs by falling, shorts by rising trigger, ties in input order.

    All columns are read-only views of the book's own memory.

    Attributes
    ----------
    trigger_price, quantity : ndarray of float64, shape (n,)
        Quote units per base unit; base units.
    bankruptcy_price : ndarray of float64, shape (n,), or None
        Quote units per base unit; None where the book has none.
    index : ndarray of int32, shape (n,)
        Each position's place in the arrays the book was made from.
    cumulative_quantity, cumulative_notional : ndarray of float64, shape (n + 1,)
        Sums of quantity and of quantity * trigger price over the positions before each; positions that can never
        trigger count as no notional.
    """

    trigger_price: FloatArray
    quantity: FloatArray
    bankruptcy_price: FloatArray | None
    index: NDArray[np.int32]
    cumulative_quantity: FloatArray
    cumulative_notional: FloatArray
    _live: int

    __setstate__ = restore

    def __len__(self) -> int:
        return self.index.size

    @property
    def _engine(self) -> EngineSide:
        return (self.trigger_price, self.quantity, self.cumulative_quantity, self.cumulative_notional, self._live)


@dataclass(frozen=True, eq=False)
class Kinds:
    """The liquidations and the stop orders of one side, apart.

    Attributes
    ----------
    stops_before : ndarray of int64, shape (n + 1,)
        How many stop orders are among the rows before each.
    liquidations, stops : Side
    """

    stops_before: NDArray[np.int64]
    liquidations: Side
    stops: Side

    def closed(self, rows: Any, what: str, stops: bool) -> Any:
        """Count, quantity or notional of one kind among so many rows, in firing order."""
        before = self.stops_before[rows]
        rank = before if stops else rows - before
        if what == "count":
            return rank
        side = self.stops if stops else self.liquidations
        return (side.cumulative_quantity if what == "quantity" else side.cumulative_notional)[rank]


class Book:
    """The positions of one market, sorted once into firing order.

    Scalars broadcast against the arrays. The book keeps copies: later changes of the arguments do not reach it.

    Parameters
    ----------
    side : array_like of int, shape (n,)
        +1 for a long, -1 for a short.
    quantity : array_like, shape (n,)
        Base units, positive.
    trigger_price : array_like, shape (n,)
        Where a position is closed by force (or an order fires), quote units per base unit. 0 for a long and inf for a
        short that can never trigger.
    bankruptcy_price : array_like, shape (n,), optional
        Where a position's margin is used up, at least 0. Without it shortfall and surplus are not known (nan).
        inf only for positions that can never trigger.
    entry_price : array_like, shape (n,), optional
        Positive.
    group : array_like, shape (n,), optional
        A label a position, of any one type.
    stop : array_like of bool, shape (n,), optional
        Which rows are stop orders, market orders of their owners, rather than liquidations. The bankruptcy price of a
        long's may be nan: an owner who borrowed nothing, 0.

    Raises
    ------
    TypeError, ValueError
        Naming the argument, the rule, the value and its index.

    Examples
    --------
    >>> book = Book([1, 1, -1], [2.0, 1.0, 4.0], [90.0, 95.0, 120.0])
    >>> book.long.trigger_price
    array([95., 90.])
    >>> book.long.index
    array([1, 0], dtype=int32)
    """

    def __init__(
        self,
        side: ArrayLike,
        quantity: ArrayLike,
        trigger_price: ArrayLike,
        bankruptcy_price: ArrayLike | None = None,
        entry_price: ArrayLike | None = None,
        group: ArrayLike | None = None,
        stop: ArrayLike | None = None,
    ) -> None:
        columns: dict[str, NDArray[Any]] = {
            "side": sides(side),
            "quantity": real_array("quantity", quantity),
            "trigger_price": real_array("trigger_price", trigger_price),
        }
        if bankruptcy_price is not None:
            columns["bankruptcy_price"] = real_array("bankruptcy_price", bankruptcy_price)
        if entry_price is not None:
            columns["entry_price"] = real_array("entry_price", entry_price)
        if group is not None:
            columns["group"] = np.asarray(group)
        if stop is not None:
            columns["stop"] = _flags("stop", stop)
        _make_of_one_length(columns)
        stops = columns.get("stop")
        if stops is not None and not stops.any():
            stops = None
        positive("quantity", columns["quantity"])
        _check_triggers(columns["side"], columns["trigger_price"])
        if bankruptcy_price is not None:
            if stops is not None:
                columns["bankruptcy_price"] = _owned(stops, columns["side"], columns["bankruptcy_price"])
            _check_bankruptcies(columns["trigger_price"], columns["bankruptcy_price"])
        if entry_price is not None:
            positive("entry_price", columns["entry_price"])

        longs, shorts = _core.sort_book(
            columns["side"], columns["quantity"], columns["trigger_price"], columns.get("bankruptcy_price"), 0
        )
        self._long, self._short = Side(*longs), Side(*shorts)
        for one in (self._long, self._short):
            if not math.isfinite(one.cumulative_quantity[-1]):
                raise ValueError(f"quantity must have a finite sum, was {one.cumulative_quantity[-1]}")
            if not math.isfinite(one.cumulative_notional[-1]):
                raise ValueError(
                    f"quantity must have a finite sum of quantity x trigger_price, was {one.cumulative_notional[-1]}"
                )
        self._entry_price: FloatArray | None = _own(columns.get("entry_price"))
        self._group: NDArray[Any] | None = _own(columns.get("group"))
        self._stop: NDArray[np.bool_] | None = _own(stops)

    __setstate__ = restore

    @classmethod
    def from_positions(
        cls,
        side: ArrayLike,
        quantity: ArrayLike,
        entry_price: ArrayLike,
        *,
        leverage: ArrayLike | None = None,
        margin: ArrayLike | None = None,
        schedule: MarginSchedule,
        contract: Contract = "linear",
        fee_rate: float = 0.0,
        fee_at: FeeAt = "mark",
        valuation: Literal["mark", "entry"] = "mark",
        funding: ArrayLike = 0.0,
        group: ArrayLike | None = None,
    ) -> Book:
        """Make a book of isolated positions from what a trader knows of them.

        Parameters
        ----------
        side, quantity, entry_price : array_like
            As in `liquidation_price`: the quantity of an inverse contract is in quote units.
        leverage : array_like, optional
            Notional at entry / margin, positive. Either this or `margin`.
        margin : array_like, optional
            Isolated margin, positive: quote units, base units for inverse contracts.
        schedule : MarginSchedule
            Tiers of maintenance margin.
        contract, fee_rate, fee_at, valuation
            As in `liquidation_price`.
        funding : array_like, default 0.0
            Funding received since entry (negative: paid), in the units of the margin, which it has moved.
        group : array_like, optional
            A label a position.

        Returns
        -------
        Book
            Trigger prices are liquidation prices. A bankruptcy price below 0, of a long that holds more margin than it
            cost, becomes 0. The quantity of an inverse position is what its contracts are worth at the trigger price
            (at entry, if it can never trigger), in base units.

        Examples
        --------
        >>> schedule = MarginSchedule.flat(0.005)
        >>> book = Book.from_positions([1, -1], 2.0, 100.0, leverage=[10, 20], schedule=schedule)
        >>> book.trigger_price.round(3), book.bankruptcy_price
        (array([ 90.452, 104.478]), array([ 90., 105.]))
        """
        if (leverage is None) == (margin is None):
            raise ValueError(f"leverage must be given, or margin, and not both, was {leverage!r} and {margin!r}")
        held = real_array("quantity", quantity)
        entry = real_array("entry_price", entry_price)
        positive("quantity", held)
        positive("entry_price", entry)
        if margin is not None:
            own = real_array("margin", margin)
            positive("margin", own)
        else:
            times = real_array("leverage", leverage)  # type: ignore[arg-type]
            positive("leverage", times)
            with np.errstate(over="ignore", divide="ignore", invalid="ignore"):  # told below
                own = (held / entry if contract == "inverse" else held * entry) / times
        own = own + finite_array("funding", funding)
        trigger = np.asarray(
            liquidation_price(
                side,
                held,
                entry,
                own,
                schedule,
                contract=contract,
                fee_rate=fee_rate,
                fee_at=fee_at,
                valuation=valuation,
            )
        )
        bankruptcy = np.asarray(bankruptcy_price(side, held, entry, own, contract=contract, fee_rate=fee_rate))
        if contract == "inverse":
            never = ~((trigger > 0) & (trigger < np.inf))
            held = held / np.where(never, entry, trigger)
            bankruptcy = np.where(never & ~(bankruptcy > 0), np.inf, bankruptcy)
        return cls(side, held, trigger, np.maximum(bankruptcy, 0.0), entry, group)

    @classmethod
    def from_leverage_mix(
        cls,
        open_interest: float | tuple[float, float],
        price: float,
        leverage_mix: LeverageMix | None = None,
        entry_prices: EntryPrices | None = None,
        *,
        schedule: MarginSchedule | None = None,
    ) -> Book:
        """Make the book of a market of which only open interest, leverage and entry prices are known.

        Each leverage at each entry price is one position of either side; its share of open interest is the product of
        the two shares. Positions already crossed at `price` are gone.

        Parameters
        ----------
        open_interest : float or (float, float)
            Notional of each side at `price`, or of the longs and of the shorts, in quote units, positive.
        price : float
            The price now, quote units per base unit, positive.
        leverage_mix : LeverageMix, optional
            ``LeverageMix.power_law()`` by default.
        entry_prices : EntryPrices, optional
            ``EntryPrices.normal()`` by default.
        schedule : MarginSchedule, optional
            Maintenance, 0.5 % by default. Of one tier, as each position stands for many traders.

        Returns
        -------
        Book
            With bankruptcy and entry prices. Linear contracts, isolated margin.

        Examples
        --------
        >>> book = Book.from_leverage_mix(1e9, 60_000.0, LeverageMix.published("hyperliquid-2025"))
        >>> [round(notional / 1e9, 9) for notional in book.open_interest(60_000.0)]
        [1.0, 1.0]
        """
        mix = LeverageMix.power_law() if leverage_mix is None else leverage_mix
        if not isinstance(mix, LeverageMix):
            raise TypeError(f"leverage_mix must be a LeverageMix, was {type(mix).__name__}")
        entries = EntryPrices.normal() if entry_prices is None else entry_prices
        if not isinstance(entries, EntryPrices):
            raise TypeError(f"entry_prices must be an EntryPrices, was {type(entries).__name__}")
        margin = MarginSchedule.flat(0.005) if schedule is None else schedule
        if not isinstance(margin, MarginSchedule):
            raise TypeError(f"schedule must be a MarginSchedule, was {type(margin).__name__}")
        if margin.rate.size > 1:
            raise ValueError(f"schedule must have one tier (MarginSchedule.flat), was of {margin.rate.size}")
        now = number("price", price, above=0)
        share = np.outer(mix.share, entries.share).ravel()
        with np.errstate(over="ignore"):
            entry = np.tile(now * np.exp(entries.offset), mix.leverage.size)
        book = cls.from_positions(
            np.repeat([1, -1], share.size),
            np.tile(share, 2),
            np.tile(entry, 2),
            leverage=np.tile(np.repeat(mix.leverage, entries.share.size), 2),
            schedule=margin,
        ).alive(now)
        for name, one in (("long", book.long), ("short", book.short)):
            if not len(one):
                raise ValueError(f"entry_prices must leave a {name} that is not crossed at price, was without")
        return book.scaled(open_interest, now)

    @classmethod
    def from_open_interest(
        cls,
        history: Mapping[str, ArrayLike],
        leverage_mix: LeverageMix | None = None,
        *,
        turnover: float = 0.04,
        activity: float = 1.25,
        maintenance_rate: float = 0.005,
        period: float | None = None,
    ) -> Book:
        """Infer the positions that stand behind a market's open interest after the last row of its history.

        Parameters
        ----------
        history, leverage_mix, turnover, activity, maintenance_rate, period
            As in `predict_liquidations`, which says how the book is inferred. What leverage below about 1 opens can
            never be liquidated and is left out.

        Returns
        -------
        Book
            With bankruptcy and entry prices; none of its positions is crossed at the last close.

        Examples
        --------
        >>> history = {"open": [100.0, 99.0], "high": [100.5, 99.5], "low": [98.5, 98.0], "close": [99.0, 99.2]}
        >>> book = Book.from_open_interest({**history, "open_interest": [1e9, 1.01e9]})
        >>> bool(book.long.trigger_price[0] < 99.2 < book.short.trigger_price[0])
        True
        """
        return cls(
            **positions_from_open_interest(
                history,
                leverage_mix=leverage_mix,
                turnover=turnover,
                activity=activity,
                maintenance_rate=maintenance_rate,
                period=period,
            )
        )

    def __getstate__(self) -> dict[str, Any]:
        derived = ("_look_ahead", "_entries", "_kinds")
        return {name: value for name, value in vars(self).items() if name not in derived}

    @cached_property
    def _look_ahead(self) -> tuple[tuple[FloatArray, ...], ...]:
        """What settles each side's closes: bankruptcy prices, their running sums and their bounds."""
        sides = []
        for one, shorts in ((self._long, False), (self._short, True)):
            if one.bankruptcy_price is None:
                raise ValueError("book must have bankruptcy prices, was without")
            sides.append((one.bankruptcy_price, *_core.look_ahead(one._engine, one.bankruptcy_price, shorts)))
        return tuple(sides)

    @cached_property
    def _entries(self) -> tuple[FloatArray, ...]:
        """Entry prices of each side in firing order."""
        if self._entry_price is None:
            raise ValueError("book must have entry prices, was without")
        return tuple(self._entry_price[one.index] for one in (self._long, self._short))

    def _settled(self, money: bool, entries: bool = False, stops: bool = False) -> EnginePositions:
        """Columns that tell positions apart; all but their places only where they are wanted."""
        prices = self._look_ahead if money else ((None,) * 4, (None,) * 4)
        entry = self._entries if entries else (None, None)
        index = self._long.index, self._short.index
        stop = (None, None) if self._stop is None or not stops else (self._stop[index[0]], self._stop[index[1]])
        return (index[0], *prices[0], entry[0], stop[0]), (index[1], *prices[1], entry[1], stop[1])

    @cached_property
    def _kinds(self) -> tuple[Kinds, Kinds] | None:
        """Running sums of each side by kind; None without stop orders."""
        if self._stop is None:
            return None
        liquidations, stops = self._only(~self._stop), self._only(self._stop)
        before = [np.concatenate([[0], np.cumsum(self._stop[one.index])]) for one in (self._long, self._short)]
        return (
            Kinds(before[0], liquidations.long, stops.long),
            Kinds(before[1], liquidations.short, stops.short),
        )

    @property
    def long(self) -> Side:
        """The longs, by falling trigger price."""
        return self._long

    @property
    def short(self) -> Side:
        """The shorts, by rising trigger price."""
        return self._short

    def __len__(self) -> int:
        return len(self._long) + len(self._short)

    def _in_input_order(self, longs: NDArray[Any], shorts: NDArray[Any]) -> NDArray[Any]:
        out = np.empty(len(self), dtype=longs.dtype)
        out[self._long.index] = longs
        out[self._short.index] = shorts
        read_only(out)
        return out

    @property
    def side(self) -> NDArray[np.int8]:
        """+1 or -1 for each position, in input order."""
        return self._in_input_order(np.ones(len(self._long), np.int8), -np.ones(len(self._short), np.int8))

    @property
    def quantity(self) -> FloatArray:
        """Quantities in input order, base units."""
        return self._in_input_order(self._long.quantity, self._short.quantity)

    @property
    def trigger_price(self) -> FloatArray:
        """Trigger prices in input order, quote units per base unit."""
        return self._in_input_order(self._long.trigger_price, self._short.trigger_price)

    @property
    def bankruptcy_price(self) -> FloatArray | None:
        """Bankruptcy prices in input order, quote units per base unit; None if not given."""
        longs, shorts = self._long.bankruptcy_price, self._short.bankruptcy_price
        return None if longs is None or shorts is None else self._in_input_order(longs, shorts)

    @property
    def entry_price(self) -> FloatArray | None:
        """Entry prices in input order, quote units per base unit; None if not given."""
        return self._entry_price

    @property
    def group(self) -> NDArray[Any] | None:
        """Labels in input order; None if not given."""
        return self._group

    @property
    def stop(self) -> NDArray[np.bool_] | None:
        """Which rows are stop orders, in input order; None if none is."""
        return self._stop

    def _columns(self) -> dict[str, NDArray[Any] | None]:
        names = ("side", "quantity", "trigger_price", "bankruptcy_price", "entry_price", "group")
        # Without stop orders a book says what it said before there were any.
        return {name: getattr(self, name) for name in (*names, *(() if self._stop is None else ("stop",)))}

    def _only(self, rows: NDArray[np.bool_]) -> Book:
        return Book(**{name: values[rows] for name, values in self._columns().items() if values is not None})

    def __add__(self, other: object) -> Book:
        """Join two books: the positions of the second follow those of the first."""
        if not isinstance(other, Book):
            return NotImplemented
        joined: dict[str, Any] = {}
        columns = [book._columns() for book in (self, other)]
        if any("stop" in one for one in columns):
            for book, one in zip((self, other), columns, strict=True):
                one.setdefault("stop", np.zeros(len(book), dtype=bool))
        for name, mine in columns[0].items():
            their = columns[1][name]
            if mine is None and their is None:
                continue
            if mine is None or their is None:
                raise ValueError(f"{name} must be given in both books or in neither, was given in one")
            joined[name] = np.concatenate([mine, their])
        return Book(**joined)

    def alive(self, price: float) -> Book:
        """Return the book without the positions that are already crossed at `price`.

        Parameters
        ----------
        price : float
            Quote units per base unit, positive.

        Returns
        -------
        Book
            The positions left, in input order.
        """
        at = number("price", price, above=0)
        keep = np.ones(len(self), dtype=bool)
        longs, shorts = self._crossed(at)
        keep[self._long.index[:longs]] = False
        keep[self._short.index[:shorts]] = False
        return self._only(keep)

    def scaled(self, open_interest: float | tuple[float, float], price: float) -> Book:
        """Return the book with each side's quantities scaled to a market's open interest.

        A market's open interest counts each contract once, so its longs and its shorts each add up to it.

        Parameters
        ----------
        open_interest : float or (float, float)
            Notional of each side, or of the longs and of the shorts, in quote units, positive: what
            ``open_interest(price)`` of the result gives. A side without positions stays empty.
        price : float
            Quote units per base unit, positive. Positions already crossed there are scaled, but do not count.

        Returns
        -------
        Book
        """
        pair = open_interest if isinstance(open_interest, tuple) else (open_interest, open_interest)
        if len(pair) != 2:
            raise ValueError(f"open_interest must be a number or (long, short), was {open_interest!r}")
        targets = [number("open_interest", target, above=0) for target in pair]
        now = self.open_interest(number("price", price, above=0))
        factors = [
            target / float(notional) if notional > 0 else 1.0 for target, notional in zip(targets, now, strict=True)
        ]
        with np.errstate(over="ignore"):  # what overflows is refused by the book
            quantity = self._in_input_order(self._long.quantity * factors[0], self._short.quantity * factors[1])
        return self._with(quantity=quantity)

    def _with(self, **columns: NDArray[Any]) -> Book:
        """Return the book with other columns in place of some."""
        given: dict[str, Any] = {**self._columns(), **columns}
        return Book(**given)

    def with_stops(self, stop_price: ArrayLike) -> Book:
        """Return the book with stop orders of its positions' owners.

        Where a stop price comes before the trigger, above a long's and below a short's, the order closes the whole
        position at that price, so that it can no longer be liquidated: the stop price becomes its trigger price, and
        the row a stop order. A stop price beyond the trigger never comes into effect and changes nothing.

        Parameters
        ----------
        stop_price : array_like, shape (n,)
            Quote units per base unit, positive, in input order; nan where there is no order. A scalar stands for all.

        Returns
        -------
        Book
            The same positions, in input order.

        Examples
        --------
        >>> book = Book(+1, 1.0, [90.0, 95.0, 80.0], bankruptcy_price=[89.0, 94.0, 79.0])
        >>> book.with_stops([92.0, 94.5, np.nan])
        <Book: 3 longs, 0 shorts; 1 of them a stop order>
        """
        price = _flat("stop_price", real_array("stop_price", stop_price))
        if price.ndim and price.size != len(self):
            raise ValueError(f"stop_price must be one price or one for each position, {len(self)}, was of {price.size}")
        check("stop_price", price, np.isnan(price) | ((price > 0) & (price < np.inf)), "positive and finite, or nan")
        trigger = self.trigger_price
        with np.errstate(invalid="ignore"):
            first = self.side * (price - trigger) > 0
        stop = first if self._stop is None else first | self._stop
        return self._with(trigger_price=np.where(first, price, trigger), stop=stop)

    def topped_up(
        self,
        share: float,
        margin: float,
        *,
        times: int = 1,
        schedule: MarginSchedule | None = None,
        seed: int | np.random.SeedSequence | None = None,
    ) -> Book:
        """Return the book in which a share of the owners add margin where they would be liquidated.

        Nothing is traded when a trigger is reached and margin is added. A position that will be topped up is therefore
        the same as one that has been: with margin added, further bankruptcy and trigger prices, and no other event on
        the way. Its owner adds `margin` of what the position is worth at the trigger T, which moves the bankruptcy
        price B of a position of side s to B - s margin T; the new trigger is where equity meets maintenance again.

        Parameters
        ----------
        share : float
            Of the positions that can be liquidated, from 0 to 1, rounded to a number of them. Who is among them is
            random; a larger share includes the owners of a smaller one.
        margin : float
            Added each time, as a share of notional at the trigger, positive.
        times : int, default 1
            How often each of them does so, from 1 to 1,000.
        schedule : MarginSchedule, optional
            Tiers that the new triggers follow from (linear contracts, valued at the mark). By default maintenance is
            at the rate that each position itself implies, s (T - B) / T, so that T moves in proportion to B.
        seed : int or numpy.random.SeedSequence, optional
            The same seed chooses the same owners; None draws a fresh one, which the book does not keep, so that the
            choice cannot be made again.

        Returns
        -------
        Book
            The same positions, in input order. A long whose new trigger would not be positive never triggers (0), nor
            does a short whose new one would not be finite (inf). Stop orders are not topped up.

        Raises
        ------
        ValueError
            Where an argument breaks its rule, or the book has no bankruptcy prices.

        Notes
        -----
        Where effective leverage counts, among winners, so does margin that is yet to be added. A schedule that would
        put a trigger nearer than the one that was reached, as its rates are above what the position implied, leaves it
        there.

        Examples
        --------
        >>> book = Book(+1, 1.0, [90.0, 80.0], bankruptcy_price=[89.1, 79.2])
        >>> topped = book.topped_up(0.5, 0.1, seed=1)
        >>> int(np.count_nonzero(topped.trigger_price != book.trigger_price))
        1
        """
        part = number("share", share, at_least=0, at_most=1)
        added = number("margin", margin, above=0)
        rounds = count("times", times, 1, _MOST_TIMES)
        if schedule is not None and not isinstance(schedule, MarginSchedule):
            raise TypeError(f"schedule must be a MarginSchedule, was {type(schedule).__name__}")
        if self.bankruptcy_price is None:
            raise ValueError("book must have bankruptcy prices for margin to be added, was without")
        key = resolve(seed)[1]
        trigger, bankruptcy = np.array(self.trigger_price), np.array(self.bankruptcy_price)
        able = (trigger > 0) & (trigger < np.inf)
        if self._stop is not None:
            able &= ~self._stop
        rows = np.flatnonzero(able)
        # Raw numbers, which numpy keeps the same from version to version.
        order = np.argsort(np.random.PCG64(key).random_raw(len(self))[rows], kind="stable")
        chosen = rows[order[: round(part * rows.size)]]
        side, quantity = self.side.astype(np.float64), self.quantity
        for _ in range(rounds):
            if not chosen.size:
                break
            s, held, at, owed = side[chosen], quantity[chosen], trigger[chosen], bankruptcy[chosen]
            with np.errstate(over="ignore"):
                less = owed - s * added * at
                if schedule is None:
                    known = np.isfinite(less)
                    # A bankruptcy price of 0 leaves nothing to be liquidated for.
                    moved = at * np.divide(less, owed, out=np.zeros(at.size), where=owed > 0)
                else:
                    collateral = s * held * (at - less)
                    known = np.isfinite(collateral)
                    moved = np.asarray(liquidation_price(s, held, at, np.where(known, collateral, 0.0), schedule))
            moved = np.where(known, moved, np.where(s > 0, 0.0, np.inf))
            trigger[chosen] = s * np.minimum(s * at, s * np.maximum(moved, 0.0))
            bankruptcy[chosen] = np.maximum(less, 0.0)
            chosen = chosen[(trigger[chosen] > 0) & (trigger[chosen] < np.inf)]
        return self._with(trigger_price=trigger, bankruptcy_price=bankruptcy)

    def _crossed(self, price: float) -> tuple[int, int]:
        """How many longs and shorts are crossed at a price, nothing having been traded."""
        at = np.array([price])
        return (
            int(_core.crossed(self._long._engine, False, at)[0]),
            int(_core.crossed(self._short._engine, True, at)[0]),
        )

    def open_interest(self, price: ArrayLike) -> tuple[Any, Any]:
        """Notional of the positions not yet crossed at `price`: quantity x price.

        Parameters
        ----------
        price : array_like
            Quote units per base unit, positive.

        Returns
        -------
        long, short : float or ndarray
            Quote units, the shape of `price`.
        """
        at = real_array("price", price)
        positive("price", at)
        flat = at.reshape(-1)
        out = []
        for one, shorts in ((self._long, False), (self._short, True)):
            sums = one.cumulative_quantity
            with np.errstate(over="ignore"):
                notional = (sums[-1] - sums[_core.crossed(one._engine, shorts, flat)]) * flat
            check("price", at, np.isfinite(notional).reshape(at.shape), "low enough for a finite open interest")
            out.append(notional.reshape(at.shape) if at.ndim else float(notional[0]))
        return out[0], out[1]

    def heatmap(self, edges: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Notional (quantity x trigger price) by trigger price.

        Parameters
        ----------
        edges : array_like, shape (k + 1,)
            Bin edges, strictly increasing; as in ``numpy.histogram`` the last bin includes its right edge.

        Returns
        -------
        long, short : ndarray, shape (k,)
            Quote units.
        """
        bins = _flat("edges", real_array("edges", edges))
        if bins.ndim != 1 or bins.size < 2:
            raise ValueError(f"edges must hold at least two prices, was of shape {bins.shape}")
        check("edges", bins, ~np.isnan(bins), "a number")
        check("edges", bins, np.concatenate([[True], np.diff(bins) > 0]), "strictly increasing")

        def before(rising: FloatArray) -> NDArray[np.intp]:
            ends = np.searchsorted(rising, bins, side="left")
            ends[-1] = np.searchsorted(rising, bins[-1], side="right")
            return ends

        long, short = self._long, self._short
        counts = len(long) - before(long.trigger_price[::-1])  # longs stand the other way round
        return -np.diff(long.cumulative_notional[counts]), np.diff(
            short.cumulative_notional[before(short.trigger_price)]
        )

    def __repr__(self) -> str:
        return f"<Book: {len(self._long):,} longs, {len(self._short):,} shorts{self._of_stops}>"

    @property
    def _of_stops(self) -> str:
        """What is said of stop orders, where there are any."""
        if self._stop is None:
            return ""
        stops = int(np.count_nonzero(self._stop))
        return "; 1 of them a stop order" if stops == 1 else f"; {stops:,} of them stop orders"

    def __str__(self) -> str:
        lines = [f"book of {len(self):,} positions{self._of_stops}"]
        for name, one in (("longs", self._long), ("shorts", self._short)):
            if not len(one):
                lines.append(f"  {name}: none")
                continue
            text = f"  {name}: {len(one):,}, quantity {one.cumulative_quantity[-1]:,.6g}"
            if one._live:
                half = np.searchsorted(
                    one.cumulative_quantity[1 : one._live + 1], one.cumulative_quantity[one._live] / 2
                )
                text += (
                    f", nearest trigger {one.trigger_price[0]:,.6g}, half of the quantity triggered "
                    f"{'down' if name == 'longs' else 'up'} to {one.trigger_price[min(half, one._live - 1)]:,.6g}"
                )
            if one._live < len(one):
                text += f", {len(one) - one._live:,} can never trigger"
            lines.append(text)
        return "\n".join(lines)


def _flat(name: str, array: NDArray[Any]) -> NDArray[Any]:
    if array.ndim > 1:
        raise ValueError(f"{name} must have one dimension, was of shape {array.shape}")
    return array


def _make_of_one_length(columns: dict[str, NDArray[Any]]) -> None:
    first, n = None, 1
    for name, array in columns.items():
        if not _flat(name, array).ndim:
            continue
        if first is None:
            first, n = name, array.size
        elif array.size != n:
            raise ValueError(f"{name} must have the length of {first}, {n}, was {array.size}")
    if n > MOST_POSITIONS:
        raise ValueError(f"side must hold at most {MOST_POSITIONS:,} positions, was {n:,}")
    for name, array in columns.items():
        if not array.ndim:
            columns[name] = filled = np.empty(n, array.dtype)  # numpy.full takes longer
            filled[:] = array


def _check_triggers(side: NDArray[np.int8], trigger: FloatArray) -> None:
    if _core.all_between(trigger, 0.0, math.inf):
        return
    check("trigger_price", trigger, trigger >= 0, "at least 0")
    check("trigger_price", trigger, (side < 0) | (trigger < np.inf), "finite for a long (0 if it can never trigger)")
    check("trigger_price", trigger, (side > 0) | (trigger > 0), "positive for a short (inf if it can never trigger)")


def _check_bankruptcies(trigger: FloatArray, bankruptcy: FloatArray) -> None:
    if _core.all_between(bankruptcy, -math.ulp(0.0), math.inf):
        return
    check("bankruptcy_price", bankruptcy, bankruptcy >= 0, "at least 0")
    finite = (bankruptcy < np.inf) | (trigger == 0) | (trigger == np.inf)
    check("bankruptcy_price", bankruptcy, finite, "finite for a position that can trigger")


def _flags(name: str, values: ArrayLike) -> NDArray[np.bool_]:
    array = np.asarray(values)
    if array.dtype != bool and array.size:
        raise TypeError(f"{name} must be True or False, was {f'dtype {array.dtype}' if array.ndim else repr(values)}")
    return array.astype(bool)


def _owned(stop: NDArray[np.bool_], side: NDArray[np.int8], bankruptcy: FloatArray) -> FloatArray:
    """Return bankruptcy prices with those of owners who borrowed nothing."""
    unknown = stop & np.isnan(bankruptcy)
    check(
        "bankruptcy_price", bankruptcy, ~(unknown & (side < 0)), "given for a short's stop order: a short has borrowed"
    )
    return np.where(unknown, 0.0, bankruptcy)


def _own(array: NDArray[Any] | None) -> NDArray[Any] | None:
    if array is None:
        return None
    copy = np.array(array)
    read_only(copy)
    return copy
