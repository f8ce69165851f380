"""Stress: many one-shot scenarios, each a cascade of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import ClassVar, TypeAlias, TypeVar

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
    seed_key,
)
from flushpoint._validate import threads as check_threads
from flushpoint.book import Book
from flushpoint.cascade import _check_at_rest, _check_inputs
from flushpoint.market import Market
from flushpoint.result import Result

Entry = TypeVar("Entry", bound=np.generic)
Counts: TypeAlias = NDArray[np.int64]
EngineScenarios: TypeAlias = tuple[FloatArray, FloatArray, FloatArray, float, int]


class StressResult(Result):
    """The outcomes of many scenarios, one value a scenario.

    As a mapping it holds the columns asked for, by default all but `proceeds`, `shortfall` and `surplus`. Those are
    worked out, by running every scenario once more, when they are first asked for.

    Attributes
    ----------
    final_price, low_price, high_price : ndarray of float64, shape (scenarios,)
        Quote units per base unit. Low and high include the price after shock and sale, and every wave.
    long_count, short_count : ndarray of int64, shape (scenarios,)
        Positions closed.
    waves : ndarray of int64, shape (scenarios,)
        How many waves there were.
    amplification : ndarray of float64, shape (scenarios,)
        Total log move / log move of the shock and sale alone: 1 if nothing closes, nan if positions close although
        shock and sale left the price where it was.
    exhausted : ndarray of bool, shape (scenarios,)
        Whether the depth was used up (only `EvaporatingImpact` can be).
    """

    _names: ClassVar[tuple[str, ...]] = (
        "final_price",
        "low_price",
        "high_price",
        "liquidated_quantity",
        "liquidated_count",
        "liquidated_notional",
        "long_quantity",
        "short_quantity",
        "long_count",
        "short_count",
        "long_notional",
        "short_notional",
        "waves",
        "amplification",
        "exhausted",
    )
    _on_demand: ClassVar[tuple[str, ...]] = ("proceeds", "shortfall", "surplus")

    final_price: FloatArray
    low_price: FloatArray
    high_price: FloatArray
    amplification: FloatArray
    exhausted: NDArray[np.bool_]
    waves: Counts
    long_count: Counts
    short_count: Counts
    _book: Book
    _market: Market
    _scenarios: EngineScenarios
    _threads: int

    @cached_property
    def long_quantity(self) -> FloatArray:
        """Quantity of the longs closed, base units."""
        return _frozen(self._book.long.cumulative_quantity[self.long_count])

    @cached_property
    def short_quantity(self) -> FloatArray:
        """Quantity of the shorts closed, base units."""
        return _frozen(self._book.short.cumulative_quantity[self.short_count])

    @cached_property
    def long_notional(self) -> FloatArray:
        """Sum of quantity x trigger price over the longs closed, quote units."""
        return _frozen(self._book.long.cumulative_notional[self.long_count])

    @cached_property
    def short_notional(self) -> FloatArray:
        """Sum of quantity x trigger price over the shorts closed, quote units."""
        return _frozen(self._book.short.cumulative_notional[self.short_count])

    @cached_property
    def liquidated_quantity(self) -> FloatArray:
        """Quantity closed, longs and shorts together, base units."""
        return _frozen(self.long_quantity + self.short_quantity)

    @cached_property
    def liquidated_count(self) -> Counts:
        """Positions closed, longs and shorts together."""
        return _frozen(self.long_count + self.short_count)

    @cached_property
    def liquidated_notional(self) -> FloatArray:
        """Sum of quantity x trigger price over the positions closed, quote units."""
        return _frozen(self.long_notional + self.short_notional)

    @cached_property
    def proceeds(self) -> FloatArray:
        """Money received for the longs closed less money paid for the shorts, quote units; without the initial sale."""
        longs, shorts = self._book.long._engine, self._book.short._engine
        return _frozen(_core.stress_proceeds(longs, shorts, self._market._engine, self._scenarios, self._threads))

    @cached_property
    def _money(self) -> tuple[FloatArray, FloatArray]:
        long, short = self._book.long, self._book.short
        if long.bankruptcy_price is None or short.bankruptcy_price is None:
            unknown = _frozen(np.full(self.final_price.size, np.nan))
            return unknown, unknown
        shortfall, surplus = _core.stress_money(
            long._engine,
            short._engine,
            long.bankruptcy_price,
            short.bankruptcy_price,
            self._market._engine,
            self._scenarios,
            self._threads,
        )
        return _frozen(shortfall), _frozen(surplus)

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
        count = self.final_price.size
        return f"<StressResult: {count:,} scenarios, {np.count_nonzero(self.waves):,} of them with liquidations>"


def _frozen(column: NDArray[Entry]) -> NDArray[Entry]:
    read_only(column)
    return column


def stress(
    book: Book,
    market: Market,
    shock: ArrayLike = 0.0,
    sell: ArrayLike = 0.0,
    liquidity: ArrayLike = 1.0,
    refill: float = 0.0,
    seed: int | np.random.SeedSequence | None = None,
    *,
    columns: Sequence[str] | None = None,
    threads: int = 0,
    progress: Callable[[int, int], object] | None = None,
) -> StressResult:
    """Run many one-shot scenarios, each from rest.

    Each equals ``cascade(book, market, shock, sell, refill)`` of the same numbers, in a market `liquidity` times as
    deep.

    Parameters
    ----------
    book : Book
        No position may be crossed at the market's price; see `Book.alive`.
    market : Market
    shock : array_like, default 0.0
        Relative price moves that start it, above -1: -0.10 is a fall of 10 %.
    sell : array_like, default 0.0
        Quantities sold (negative: bought) into the market that start it, base units; not counted as liquidated.
    liquidity : array_like, default 1.0
        Factors on the available liquidity, positive: 0.5 is half as deep.
    refill : float, default 0.0
        Share of the recovering volume that returns after each wave, 0 to 1.
    seed : int or numpy.random.SeedSequence, optional
        Nothing is random about a book of known positions: the result keeps it, that is all.
    columns : sequence of str, optional
        Names that the result holds as a mapping; all of them are attributes anyway.
    threads : int, default 0
        0 for all processors, or FLUSHPOINT_NUM_THREADS of them. The results do not depend on it.
    progress : callable, optional
        Called now and then, and at the end, as ``progress(done, total)``.

    Returns
    -------
    StressResult
        shock, sell and liquidity broadcast together; the scenarios of their common shape follow each other in C order,
        in one dimension.

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
    _check_inputs(book, market)
    kept = None if seed is None else seed_key(seed)[0]
    scenarios = _scenarios(market, shock, sell, liquidity, refill)
    chosen = _chosen(columns, StressResult._names, StressResult._on_demand)
    workers = check_threads(threads)
    if progress is not None and not callable(progress):
        raise TypeError(f"progress must be callable, was {progress!r}")
    _check_at_rest(book, market)
    final, low, high, amplification, exhausted, waves, longs, shorts = _core.stress(
        book.long._engine, book.short._engine, market._engine, scenarios, workers, progress
    )
    values = {
        "final_price": final,
        "low_price": low,
        "high_price": high,
        "amplification": amplification,
        "exhausted": exhausted,
        "waves": waves,
        "long_count": longs,
        "short_count": shorts,
    }
    read_only(tuple(values.values()))
    hidden = {"_book": book, "_market": market, "_scenarios": scenarios, "_threads": workers, "_names": chosen}
    result = StressResult(
        "stress",
        {
            "market": market,
            "positions": len(book),
            "shock": scenarios[0],
            "sell": scenarios[1],
            "liquidity": scenarios[2],
            "refill": scenarios[3],
        },
        {**values, **hidden},
    )
    result.__dict__["seed"] = kept
    return result


def _scenarios(
    market: Market, shock: ArrayLike, sell: ArrayLike, liquidity: ArrayLike, refill: float
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
    share = number("refill", refill, at_least=0, at_most=1)
    given = (shocks, sales, depths)
    try:
        shape = np.broadcast_shapes(*(array.shape for array in given))
    except ValueError:
        shapes = ", ".join(str(array.shape) for array in given)
        raise ValueError(f"shock, sell and liquidity must broadcast together, were of shapes {shapes}") from None
    count = int(np.prod(shape, dtype=object))
    memory("shock, sell and liquidity together", count, 80)
    flat = []
    for array in given:
        column = array.reshape(-1) if array.size == 1 else np.broadcast_to(array, shape).reshape(-1)
        column = column.copy() if np.shares_memory(column, array) else column  # later changes do not reach the result
        flat.append(_frozen(column))
    return flat[0], flat[1], flat[2], share, count


def _chosen(columns: Sequence[str] | None, usual: tuple[str, ...], others: tuple[str, ...]) -> tuple[str, ...]:
    if columns is None:
        return usual
    if isinstance(columns, str):
        raise TypeError(f"columns must be a sequence of names, was {columns!r}")
    for i, name in enumerate(columns):
        if name not in usual + others:
            raise ValueError(f"columns must be of {', '.join(usual + others)}, was {name!r} at index {i}")
    return tuple(columns)
