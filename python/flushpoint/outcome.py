"""What follows from how many positions of a book each scenario or path closed: positions close in firing order."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from flushpoint._validate import FloatArray, read_only
from flushpoint.book import Book, Kinds

Counts = NDArray[np.int64]
_A = TypeVar("_A", bound=NDArray[Any])


def frozen(column: _A) -> _A:
    """Make a column read-only and return it."""
    read_only(column)
    return column


def of_kind(kinds: tuple[Kinds, Kinds], longs: Any, shorts: Any, what: str, *, stops: bool) -> Any:
    """Count, quantity or notional of one kind among so many longs and shorts that were closed."""
    return kinds[0].closed(longs, what, stops) + kinds[1].closed(shorts, what, stops)


class BookOutcome:
    """Columns that the counts of positions closed and the book's running sums give at once."""

    _outcome_names: ClassVar[tuple[str, ...]] = (
        "liquidated_quantity",
        "liquidated_count",
        "liquidated_notional",
        "long_quantity",
        "short_quantity",
        "long_count",
        "short_count",
        "long_notional",
        "short_notional",
    )
    #: Of the mapping only where the book holds stop orders.
    _stop_names: ClassVar[tuple[str, ...]] = ("stop_quantity", "stop_count", "stop_notional")

    long_count: Counts
    short_count: Counts
    waves: Counts

    _book: Book

    @cached_property
    def long_quantity(self) -> FloatArray:
        """Quantity of the longs closed, base units."""
        return frozen(self._book.long.cumulative_quantity[self.long_count])

    @cached_property
    def short_quantity(self) -> FloatArray:
        """Quantity of the shorts closed, base units."""
        return frozen(self._book.short.cumulative_quantity[self.short_count])

    @cached_property
    def long_notional(self) -> FloatArray:
        """Sum of quantity x trigger price over the longs closed, quote units."""
        return frozen(self._book.long.cumulative_notional[self.long_count])

    @cached_property
    def short_notional(self) -> FloatArray:
        """Sum of quantity x trigger price over the shorts closed, quote units."""
        return frozen(self._book.short.cumulative_notional[self.short_count])

    @cached_property
    def liquidated_quantity(self) -> FloatArray:
        """Quantity liquidated, longs and shorts together, base units: all that was closed but stop orders."""
        return frozen(self._apart("quantity", stops=False))

    @cached_property
    def liquidated_count(self) -> Counts:
        """Positions liquidated, longs and shorts together."""
        return frozen(self._apart("count", stops=False))

    @cached_property
    def liquidated_notional(self) -> FloatArray:
        """Sum of quantity x trigger price over the positions liquidated, quote units."""
        return frozen(self._apart("notional", stops=False))

    @cached_property
    def stop_quantity(self) -> FloatArray:
        """Quantity of the stop orders that fired, base units."""
        return frozen(self._apart("quantity", stops=True))

    @cached_property
    def stop_count(self) -> Counts:
        """Stop orders that fired, to sell and to buy."""
        return frozen(self._apart("count", stops=True))

    @cached_property
    def stop_notional(self) -> FloatArray:
        """Sum of quantity x trigger price over the stop orders that fired, quote units."""
        return frozen(self._apart("notional", stops=True))

    @property
    def _closing(self) -> str:
        """What a repr says of the rows in which anything was closed."""
        what = "liquidations" if self._kinds is None else "liquidations or stop orders"
        return f"{np.count_nonzero(self.waves):,} of them with {what}"

    @property
    def _kinds(self) -> tuple[Kinds, Kinds] | None:
        book = self.__dict__.get("_book")
        return book._kinds if isinstance(book, Book) else None

    def _apart(self, what: str, *, stops: bool) -> NDArray[Any]:
        """Count, quantity or notional of what was closed of one kind, longs and shorts together."""
        kinds = self._kinds
        if kinds is None:
            both: NDArray[Any] = getattr(self, f"long_{what}") + getattr(self, f"short_{what}")
            return np.zeros_like(both) if stops else both
        return np.asarray(of_kind(kinds, self.long_count, self.short_count, what, stops=stops))

    @cached_property
    def groups(self) -> NDArray[Any]:
        """The labels of the book's groups, sorted."""
        self._check_groups()
        return frozen(np.unique(np.asarray(self._book.group)))

    def _check_groups(self) -> None:
        """Raise where sums by group are not known."""
        if self._book.group is None:
            raise ValueError("book must have groups for sums by group, was without")

    @cached_property
    def group_quantity(self) -> FloatArray:
        """Quantity closed of each group, base units, shape (rows, groups)."""
        return frozen(self._group_sums(lambda book: book.quantity))

    @cached_property
    def group_notional(self) -> FloatArray:
        """Sum of quantity x trigger price closed of each group, quote units, shape (rows, groups)."""
        return frozen(
            self._group_sums(
                lambda book: book.quantity * np.where(np.isfinite(book.trigger_price), book.trigger_price, 0.0)
            )
        )

    def _group_sums(self, amount_of: Callable[[Book], FloatArray]) -> FloatArray:
        out = np.zeros((self.long_count.size, self.groups.size))
        sides = ((self._book.long, self.long_count), (self._book.short, self.short_count))
        amount = amount_of(self._book)
        for column, label in enumerate(self.groups):
            mine = np.where(self._book.group == label, amount, 0.0)
            for side, count in sides:
                out[:, column] += np.concatenate([[0.0], np.cumsum(mine[side.index])])[count]
        return out

    def _closed_share(self, positions: NDArray[np.int64]) -> FloatArray:
        """Share of rows in which each position is closed."""
        rows = self.long_count.size
        share = np.empty(len(self._book))
        for side, count in ((self._book.long, self.long_count), (self._book.short, self.short_count)):
            # The position at rank k is closed where more than k are.
            at_most = np.cumsum(np.bincount(count, minlength=len(side) + 1))[: len(side)]
            share[side.index] = 1 - at_most / rows
        return share[positions]
