"""Stress: many one-shot scenarios, each a cascade of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal, TypeAlias, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flushpoint import _core
from flushpoint._validate import (
    FloatArray,
    check,
    finite_array,
    memory,
    number,
    positive,
    read_only,
    real_array,
)
from flushpoint._validate import progress as check_progress
from flushpoint._validate import threads as check_threads
from flushpoint.account_stress import AccountStressResult, account_job
from flushpoint.accounts import Accounts
from flushpoint.book import Book
from flushpoint.cascade import _check_at_rest, _check_inputs, _check_market
from flushpoint.ensemble import Ensemble, choice
from flushpoint.market import Market
from flushpoint.markets import Markets
from flushpoint.outcome import BookOutcome, Counts, frozen
from flushpoint.random_book import RandomBook, most_closed
from flushpoint.seed import Seed, resolve
from flushpoint.settlement import BALANCE, LEDGER, MONEY, NO_VENUE, SettledRows, check_settled, marked, told_apart
from flushpoint.shards import MOST_ROWS, Columns, Directory, Job, answered, check_seed
from flushpoint.streamed import StreamedEnsemble
from flushpoint.venue import Venue, _check_instant

_FROM_ENGINE = (
    "final_price",
    "low_price",
    "high_price",
    "amplification",
    "exhausted",
    "waves",
    "long_count",
    "short_count",
    "support_quantity",
)
_LEAST_LIQUIDITY = 1e-100  # below, volumes in units of it overflow
_MOST_VOLUME = 1e300  # in units of liquidity
# shock, sell, liquidity, each for all or one a scenario; refill; how many scenarios, and the number of the first
EngineScenarios: TypeAlias = tuple[FloatArray, FloatArray, FloatArray, float, int, int]


class StressResult(BookOutcome, Ensemble):
    """The outcomes of many scenarios, one value a scenario.

    As a mapping it holds the columns asked for, by default all but `proceeds`, `shortfall` and `surplus`; those of stop
    orders only where the book holds some, `support_quantity` only where the market has a `Support`: elsewhere they
    cannot be asked for, and the attributes are 0. The first three are worked out, by running every scenario once more,
    when they are first asked for.

    Attributes
    ----------
    final_price, low_price, high_price : ndarray of float64, shape (scenarios,)
        Quote units per base unit. Low and high include the price after shock and sale, and every wave.
    long_count, short_count : ndarray of int64, shape (scenarios,)
        Positions closed, stop orders too: the columns of ``liquidated_`` are without them, those of ``stop_`` hold
        them alone, both sides together.
    waves : ndarray of int64, shape (scenarios,)
        How many waves there were.
    amplification : ndarray of float64, shape (scenarios,)
        Total log move / log move of the shock and sale alone: 1 if nothing closes and no support buys, nan if positions
        close although shock and sale left the price where it was.
    exhausted : ndarray of bool, shape (scenarios,)
        Whether the depth was used up (only `EvaporatingImpact` can be).
    support_quantity : ndarray of float64, shape (scenarios,)
        Bought by the market's `Support`, base units.
    """

    _names: ClassVar[tuple[str, ...]] = (
        "final_price",
        "low_price",
        "high_price",
        *BookOutcome._outcome_names,
        "waves",
        "amplification",
        "exhausted",
    )
    _on_demand: ClassVar[tuple[str, ...]] = MONEY

    final_price: FloatArray
    low_price: FloatArray
    high_price: FloatArray
    amplification: FloatArray
    exhausted: NDArray[np.bool_]
    waves: Counts
    long_count: Counts
    short_count: Counts
    support_quantity: FloatArray
    _book: Book
    _market: Market
    _scenarios: EngineScenarios
    _threads: int

    @cached_property
    def proceeds(self) -> FloatArray:
        """Money received for the longs closed less money paid for the shorts, quote units; without the initial sale."""
        longs, shorts = self._book.long._engine, self._book.short._engine
        return frozen(_core.stress_proceeds(longs, shorts, self._market._engine, self._scenarios, self._threads))

    @cached_property
    def _money(self) -> tuple[FloatArray, FloatArray]:
        if self._book.long.bankruptcy_price is None:
            unknown = frozen(np.full(self.final_price.size, np.nan))
            return unknown, unknown
        wanted = ("shortfall", "surplus")
        found = _settle(self._book, self._market, NO_VENUE, self._scenarios, wanted, self._threads)
        return frozen(found["shortfall"]), frozen(found["surplus"])

    @property
    def shortfall(self) -> FloatArray:
        """Sum over positions of how far proceeds fall short of quantity x bankruptcy price, quote units.

        nan, not known, where the book has no bankruptcy prices.
        """
        return self._money[0]

    @property
    def surplus(self) -> FloatArray:
        """Sum over positions of how far proceeds exceed quantity x bankruptcy price, quote units.

        nan, not known, where the book has no bankruptcy prices.
        """
        return self._money[1]

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self._count:,} scenarios, {self._closing}{self._seeded}>"


class RandomStressResult(StressResult):
    """The outcomes of many scenarios, each with a random book of its own, one value a scenario.

    As `StressResult`, and further: as a mapping it leaves out the notionals as well, unless they are asked for. What
    is worked out later draws the same books once more; where in them positions stood is drawn from random numbers of
    its own, so that asking changes nothing else. Shortfall and surplus are not known (nan).

    Attributes
    ----------
    long_quantity, short_quantity : ndarray of float64, shape (scenarios,)
        Quantities closed, base units.
    runaway : ndarray of bool, shape (scenarios,)
        Whether the scenario was ended because more than `max_count` positions would have closed.
    """

    _names = (*(name for name in StressResult._names if not name.endswith("_notional")), "runaway")
    _on_demand = (
        *StressResult._on_demand,
        *(name for name in StressResult._names if name.endswith("_notional")),
    )

    runaway: NDArray[np.bool_]
    _random_book: RandomBook
    _key: int
    _max_count: float

    def _sums(self, notionals: bool) -> tuple[FloatArray, ...]:
        book, market = self._random_book._engine, self._market._engine
        sums = _core.stress_random_sums(
            book, self._key, self._max_count, market, self._scenarios, self._threads, notionals
        )
        read_only(sums)
        return sums

    @cached_property
    def _notionals(self) -> tuple[FloatArray, ...]:
        return self._sums(True)

    @cached_property
    def long_notional(self) -> FloatArray:
        """Sum of quantity x trigger price over the longs closed, quote units."""
        return self._notionals[0]

    @cached_property
    def short_notional(self) -> FloatArray:
        """Sum of quantity x trigger price over the shorts closed, quote units."""
        return self._notionals[1]

    @cached_property
    def proceeds(self) -> FloatArray:
        """Money received for the longs closed less money paid for the shorts, quote units; without the initial sale."""
        return self._sums(False)[0]

    @property
    def _uncovered(self) -> tuple[FloatArray, FloatArray]:
        """What was uncovered of longs and of shorts, in rows of count, from and to: distances up to which.

        `count` positions stand up to `from`. In a runaway more than could close stand from there to `to`; elsewhere the
        two are alike.
        """
        book, market = self._random_book._engine, self._market._engine
        return _core.stress_random_uncovered(book, self._key, self._max_count, market, self._scenarios, self._threads)

    def _check_groups(self) -> None:
        raise ValueError("book must be a Book for sums by group, was a RandomBook")

    @cached_property
    def _money(self) -> tuple[FloatArray, FloatArray]:
        unknown = frozen(np.full(self.final_price.size, np.nan))
        return unknown, unknown


class VenueStressResult(SettledRows, StressResult):
    """The outcomes of many scenarios with a venue, one value a scenario: as `StressResult`, and where the money went.

    As a mapping it holds the columns asked for, by default all.

    Attributes
    ----------
    fund_end, fund_paid, fund_received, fund_needed, fees, unpaid_loss, socialised_loss, adl_quantity : ndarray
        As in `Settled`; every scenario begins with a whole fund.
    adl_count : ndarray of int64, shape (scenarios,)
        How many times a winner's position was reduced.
    """

    _names = (*StressResult._names, *MONEY, *LEDGER)

    _venue: Venue

    def _balance_columns(self) -> dict[str, Any]:
        return _settle(self._book, self._market, self._venue, self._scenarios, BALANCE, self._threads)


@overload
def stress(
    book: Book | RandomBook,
    market: Market,
    shock: ArrayLike = 0.0,
    sell: ArrayLike = 0.0,
    liquidity: ArrayLike = 1.0,
    refill: float = 0.0,
    seed: int | np.random.SeedSequence | None = None,
    *,
    venue: Venue | None = None,
    columns: Sequence[str] | None = None,
    max_count: int | None = None,
    executor: Any = None,
    checkpoint: Directory = None,
    keep: Literal["paths"] = "paths",
    threads: int = 0,
    progress: Callable[[int, int], object] | None = None,
) -> StressResult: ...


@overload
def stress(
    book: Accounts,
    market: Markets,
    shock: ArrayLike | Mapping[str, ArrayLike] = 0.0,
    sell: ArrayLike | Mapping[str, ArrayLike] = 0.0,
    liquidity: ArrayLike | Mapping[str, ArrayLike] = 1.0,
    refill: float = 0.0,
    seed: int | np.random.SeedSequence | None = None,
    *,
    venue: Venue | None = None,
    columns: Sequence[str] | None = None,
    max_count: int | None = None,
    executor: Any = None,
    checkpoint: Directory = None,
    keep: Literal["paths"] = "paths",
    threads: int = 0,
    progress: Callable[[int, int], object] | None = None,
) -> AccountStressResult: ...


@overload
def stress(
    book: Book | RandomBook | Accounts,
    market: Market | Markets,
    shock: ArrayLike | Mapping[str, ArrayLike] = 0.0,
    sell: ArrayLike | Mapping[str, ArrayLike] = 0.0,
    liquidity: ArrayLike | Mapping[str, ArrayLike] = 1.0,
    refill: float = 0.0,
    seed: int | np.random.SeedSequence | None = None,
    *,
    venue: Venue | None = None,
    columns: Sequence[str] | None = None,
    max_count: int | None = None,
    executor: Any = None,
    checkpoint: Directory = None,
    keep: Literal["summary"],
    threads: int = 0,
    progress: Callable[[int, int], object] | None = None,
) -> StreamedEnsemble: ...


def stress(
    book: Book | RandomBook | Accounts,
    market: Market | Markets,
    shock: Any = 0.0,
    sell: Any = 0.0,
    liquidity: Any = 1.0,
    refill: float = 0.0,
    seed: int | np.random.SeedSequence | None = None,
    *,
    venue: Venue | None = None,
    columns: Sequence[str] | None = None,
    max_count: int | None = None,
    executor: Any = None,
    checkpoint: Directory = None,
    keep: str = "paths",
    threads: int = 0,
    progress: Callable[[int, int], object] | None = None,
) -> StressResult | AccountStressResult | StreamedEnsemble:
    """Run many one-shot scenarios, each from rest.

    Each equals ``cascade(book, market, shock, sell, refill)`` of the same numbers, in a market `liquidity` times as
    deep. With a `RandomBook` every scenario has a book of its own, drawn from the seed and the scenario's place.

    Parameters
    ----------
    book : Book, RandomBook or Accounts
        No position may be crossed at the market's price, see `Book.alive`, and no account fail there.
    market : Market, or Markets for accounts
        With accounts shock, sell and liquidity are numbers for all markets, arrays whose last axis is that of the
        markets (of length 1 for all alike), or mappings of names to arrays with one entry a scenario.
    shock : array_like, default 0.0
        Relative price moves that start it, above -1: -0.10 is a fall of 10 %.
    sell : array_like, default 0.0
        Quantities sold (negative: bought) into the market that start it, base units; not counted as liquidated.
    liquidity : array_like, default 1.0
        Factors on the available liquidity, at least 1e-100: 0.5 is half as deep.
    refill : float, default 0.0
        Share of the recovering volume that returns after each wave, 0 to 1.
    seed : int or numpy.random.SeedSequence, optional
        None draws a fresh one; the result keeps it. Nothing is random about a book of known positions.
    venue : Venue, optional
        What follows a trigger, and who pays; the book needs bankruptcy prices. Every scenario begins with a whole
        fund. Not for random books.
    columns : sequence of str, optional
        Names that the result holds as a mapping; all of them are attributes anyway.
    max_count : int, optional
        For random books, 1,000,000 by default: where more positions would close in one scenario, it ends once so many
        have, and is marked as `runaway`.
    executor, checkpoint, keep : optional
        Where scenarios are run, where they are kept and what is kept of them: as in `simulate`.
    threads : int, default 0
        0 for all processors, or FLUSHPOINT_NUM_THREADS of them; with an executor, one for each of its tasks. The
        results do not depend on it.
    progress : callable, optional
        Called now and then, and at the end, as ``progress(done, total)``.

    Returns
    -------
    StressResult
        For random books a `RandomStressResult`, with a venue a `VenueStressResult`, for accounts an
        `AccountStressResult`, where `keep` is "summary" a `StreamedEnsemble`. shock, sell and liquidity broadcast
        together; the scenarios of their common shape follow each other in C order, in one dimension.

    Raises
    ------
    ValueError
        Where positions are already crossed at the market's price, with their number; where the scenarios do not fit
        in memory.

    Examples
    --------
    >>> book = Book(+1, [10.0, 10.0], [92.0, 89.0])
    >>> s = stress(book, Market(100.0, LinearImpact(0.003)), shock=-0.09, liquidity=[0.5, 1.0, 2.0])
    >>> s.liquidated_count, s.final_price.round(3)
    (array([2, 2, 1]), array([80.71 , 85.701, 89.645]))
    """
    if isinstance(book, Accounts) or isinstance(market, Markets):
        if max_count is not None:
            raise ValueError(f"max_count must be left out with accounts, was {max_count!r}")
        job: Job = account_job(book, market, shock, sell, liquidity, refill, seed, venue, columns, threads, progress)
    else:
        job = _checked(book, market, shock, sell, liquidity, refill, seed, venue, columns, max_count, threads, progress)
    check_seed(seed, job.seed, checkpoint)
    return answered(job, executor, checkpoint, keep)  # type: ignore[no-any-return]


@dataclass(frozen=True, eq=False)
class _Scenarios(Job):
    """Scenarios whose arguments are checked, before any work."""

    book: Book | RandomBook
    market: Market
    venue: Venue | None
    scenarios: EngineScenarios
    random: tuple[int, float]  # key and most positions closed, of a random book

    def columns(self, part: range, progress: Callable[[int, int], object] | None) -> Columns:
        """What the engine tells of some scenarios."""
        book, scenarios, threads = self.book, _cut(self.scenarios, part), self.threads
        if isinstance(book, RandomBook):
            market = self.market._engine
            found = _core.stress_random(book._engine, *self.random, market, scenarios, threads, progress)
            return dict(zip((*_FROM_ENGINE, "long_quantity", "short_quantity", "runaway"), found, strict=True))
        if self.venue is not None:
            return _settle(book, self.market, self.venue, scenarios, (*MONEY, *LEDGER), threads, progress)
        longs, shorts = book.long._engine, book.short._engine
        totals = _core.stress(longs, shorts, self.market._engine, scenarios, threads, progress)
        return dict(zip(_FROM_ENGINE, totals, strict=True))

    def _values(self, columns: Columns, part: range) -> dict[str, Any]:
        values = super()._values(columns, part) | {"_scenarios": _cut(self.scenarios, part)}
        if "shortfall" in values:
            values["_money"] = (values.pop("shortfall"), values.pop("surplus"))
        return values


def _cut(scenarios: EngineScenarios, part: range) -> EngineScenarios:
    shock, sell, liquidity, refill, _, first = scenarios
    some = (column if column.size == 1 else column[part.start : part.stop] for column in (shock, sell, liquidity))
    return *some, refill, len(part), first + part.start  # type: ignore[return-value]


def _checked(
    book: Book | RandomBook,
    market: Market,
    shock: ArrayLike,
    sell: ArrayLike,
    liquidity: ArrayLike,
    refill: float,
    seed: int | np.random.SeedSequence | None,
    venue: Venue | None,
    columns: Sequence[str] | None,
    max_count: int | None,
    threads: int,
    progress: Callable[[int, int], object] | None,
) -> _Scenarios:
    if isinstance(book, RandomBook):
        _check_market(market)
    else:
        _check_inputs(book, market)
    workers = check_threads(threads)
    check_progress(progress)
    most = most_closed(book, max_count)
    if venue is not None:
        if isinstance(book, RandomBook):
            raise ValueError(f"venue must be left out for a random book, was {venue!r}")
        check_settled(venue, book)
        _check_instant(venue)
    scenarios = _scenarios(book, market, shock, sell, liquidity, refill)
    arguments: dict[str, Any] = {"market": market, "book": book}
    hidden: dict[str, Any] = {"_market": market, "_threads": workers}
    stops: tuple[str, ...] = ()
    key = 0
    if isinstance(book, RandomBook):
        kind: type[StressResult] = RandomStressResult
        kept: Seed | None
        kept, key = resolve(seed)
        hidden |= {"_random_book": book, "_key": key, "_max_count": float(most)}
        arguments["max_count"] = most
    else:
        kind = StressResult if venue is None else VenueStressResult
        stops = () if book.stop is None else BookOutcome._stop_names
        kept = None if seed is None else resolve(seed)[0]
        _check_at_rest(book, market)
        hidden["_book"] = book
        if venue is not None:
            hidden["_venue"] = arguments["venue"] = venue
    return _Scenarios(
        kind=kind,
        question="stress",
        arguments=arguments | dict(zip(("shock", "sell", "liquidity", "refill"), scenarios, strict=False)),
        seed=kept,
        rows=range(scenarios[4]),
        hidden=hidden | _chosen(columns, kind, stops, market),
        row_bytes=0,
        rows_at_once=MOST_ROWS,
        threads=workers,
        progress=progress,
        book=book,
        market=market,
        venue=venue,
        scenarios=scenarios,
        random=(key, float(most)),
    )


def _settle(
    book: Book,
    market: Market,
    venue: Venue,
    scenarios: EngineScenarios,
    wanted: tuple[str, ...],
    threads: int,
    progress: Callable[[int, int], object] | None = None,
) -> dict[str, NDArray[Any]]:
    """Run the scenarios with a venue; return the columns of `stress` and those wanted of the ledger."""
    return _core.stress_venue(
        book.long._engine,
        book.short._engine,
        told_apart(book, venue),
        marked(market, venue)._engine,
        venue._engine,
        scenarios,
        wanted,
        threads,
        progress,
    )


def _scenarios(
    book: Book | RandomBook, market: Market, shock: ArrayLike, sell: ArrayLike, liquidity: ArrayLike, refill: float
) -> EngineScenarios:
    """Check the arguments; return them as columns of length 1 or the number of scenarios."""
    shocks = real_array("shock", shock)
    with np.errstate(over="ignore"):
        price = market.price * (1 + shocks)
    rule = f"above -1 and leave the price, {market.price:g}, positive and finite"
    check("shock", shocks, (shocks > -1) & (price > 0) & (price < np.inf), rule)
    sales = finite_array("sell", sell)
    depths = real_array("liquidity", liquidity)
    positive("liquidity", depths)
    check("liquidity", depths, depths >= _LEAST_LIQUIDITY, f"at least {_LEAST_LIQUIDITY:g}")
    traded = float(np.abs(sales).max(initial=0.0))
    if isinstance(book, Book):
        traded += float(book.long.cumulative_quantity[-1]) + float(book.short.cumulative_quantity[-1])
    least = traded / _MOST_VOLUME
    check("liquidity", depths, depths >= least, f"at least {least:g} where up to {traded:g} are traded")
    share = number("refill", refill, at_least=0, at_most=1)
    given = (shocks, sales, depths)
    try:
        shape = np.broadcast_shapes(*(array.shape for array in given))
    except ValueError:
        shapes = ", ".join(str(array.shape) for array in given)
        raise ValueError(f"shock, sell and liquidity must broadcast together, were of shapes {shapes}") from None
    scenarios = int(np.prod(shape, dtype=object))
    memory("shock, sell and liquidity together", scenarios, 100)
    flat = []
    for array in given:
        column = array.reshape(-1) if array.size == 1 else np.broadcast_to(array, shape).reshape(-1)
        column = column.copy() if np.shares_memory(column, array) else column  # later changes do not reach the result
        flat.append(frozen(column))
    return flat[0], flat[1], flat[2], share, scenarios, 0


def _chosen(
    columns: Sequence[str] | None, kind: type[StressResult], stops: tuple[str, ...], market: Market
) -> dict[str, tuple[str, ...]]:
    bought = () if market.support is None else ("support_quantity",)
    return choice(columns, (*kind._names, *stops, *bought), kind._on_demand)
