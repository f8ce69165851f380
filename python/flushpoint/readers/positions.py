"""One market's positions from a table, and what every reader of positions ends with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from flushpoint._validate import FloatArray, number
from flushpoint.book import Book
from flushpoint.margin import Contract, MarginSchedule
from flushpoint.readers.tables import Rows, Source, choose, labels, numbers, open_table, renamed, sides
from flushpoint.readers.values import shown

MissingLiquidation = Literal["never", "drop"]

COLUMNS: Mapping[str, str] = {
    "coin": "coin",
    "side": "side",
    "size": "size",
    "entry_price": "entry_px",
    "mark_price": "mark_px",
    "liquidation_price": "liq_px",
}
"""What is read of a position, and the column that holds it unless told otherwise."""

_SNAPSHOT = 1.01  # mark prices of one market that lie further apart are not of one snapshot


@dataclass(frozen=True, eq=False, repr=False)
class Positions:
    """Positions of one market, ready for a question.

    Attributes
    ----------
    book : Book
        The positions kept, in the order of the source: none of them is crossed at `price`.
    price : float
        Price of the market, quote per base.
    coin : str
        The coin, or the symbol, read; empty for a table without a coin column.
    rows : int
        Positions of that coin in the source: those of the book and those dropped.
    dropped : mapping of str to int
        How many positions were left out, by reason, in the order in which the reasons are looked for: "other coin"
        (not counted in `rows`), "zero size", "no liquidation price", "already crossed". Every reason is there.
    completed : int
        Positions of the book whose liquidation price was not given but worked out.
    """

    book: Book
    price: float
    coin: str
    rows: int
    dropped: Mapping[str, int]
    completed: int = 0

    @property
    def crossed(self) -> int:
        """Positions dropped because their liquidation price was already crossed at `price`."""
        return self.dropped["already crossed"]

    @property
    def other_coins(self) -> int:
        """Positions of other coins, left out."""
        return self.dropped["other coin"]

    def __str__(self) -> str:
        text = f"{self.coin or 'positions'} at {self.price:,.8g}: {len(self.book):,} of {self.rows:,} positions kept"
        if self.completed:
            text += f", {self.completed:,} with a liquidation price worked out here"
        lost = [f"{n:,} {reason}" for reason, n in self.dropped.items() if n and reason != "other coin"]
        text += f"; dropped: {', '.join(lost)}" if lost else "; none dropped"
        return text + (f"; left out: {self.other_coins:,} of other coins" if self.other_coins else "")

    def __repr__(self) -> str:
        return f"<Positions: {self}>"


def read_positions(
    source: Source,
    *,
    coin: str | None = None,
    columns: Mapping[str, str] | None = None,
    price: float | None = None,
    maintenance_rate: float | None = None,
    schedule: MarginSchedule | None = None,
    missing_liquidation: MissingLiquidation = "never",
) -> Positions:
    """Read one coin's positions from a table, one row a position.

    Parameters
    ----------
    source : path, pandas.DataFrame, Arrow table, numpy structured array or mapping of columns
        A path ends in .csv, .csv.gz or .parquet. An Arrow table is anything with ``__arrow_c_stream__``: of pyarrow,
        polars, DuckDB.
    coin : str, optional
        Which coin. May be left out where the table holds only one.
    columns : mapping, optional
        Columns that differ from `COLUMNS`, for example ``{"size": "qty"}``. The table may lack the coin column when
        `coin` is None, the entry price column always, the mark price column when `price` is given.
    price : float, optional
        Price of the market, positive; by default the median mark price of the coin.
    maintenance_rate : float, optional
        Maintenance margin as a share of notional, in (0, 1), the same for all. With it, or with a schedule, bankruptcy
        prices are those of isolated linear margin valued at the mark price: liquidation price - side * maintenance at
        the liquidation price / size. Without either none is known.
    schedule : MarginSchedule, optional
        Tiers of maintenance margin, instead of `maintenance_rate`.
    missing_liquidation : {"never", "drop"}
        What becomes of a position without a liquidation price: kept as one that never closes, or dropped.

    Returns
    -------
    Positions

    Raises
    ------
    ValueError, TypeError
        For a source of another kind, a missing or doubled column, an unknown coin, or a bad value with its data row,
        counted from 1.
    ImportError
        Without pandas; without pyarrow, for Parquet and Arrow tables.

    Notes
    -----
    Sides may be +1 and -1, long and short, or buy and sell. Sizes are in base units. An empty or zero liquidation price
    is none.

    Dropped and counted, looked for in this order: rows of other coins, rows of size 0, rows without a liquidation price
    if so told, rows already crossed at the price (longs with a liquidation price at or above it, shorts at or below).
    Nothing more is asked of a row of another coin or of size 0. In every other row a size below 0, and any side, size
    or price that is empty (but the liquidation price), not a number, infinite or not positive, is an error. So is a
    row without a coin, and mark prices more than 1 % apart.

    Examples
    --------
    >>> import numpy as np
    >>> table = np.array(
    ...     [("long", 2.0, 100.0, 80.0), ("short", 1.0, 100.0, 0.0), ("long", 0.0, 100.0, 0.0)],
    ...     dtype=[("side", "U5"), ("qty", float), ("mark_px", float), ("liq_px", float)],
    ... )
    >>> read_positions(table, columns={"size": "qty"})
    <Positions: positions at 100: 2 of 3 positions kept; dropped: 1 zero size>
    """
    check_missing(missing_liquidation)
    if price is not None:
        price = number("price", price, above=0)
    schedule = _one_schedule(maintenance_rate, schedule)
    given = renamed(columns, COLUMNS)
    names = {**COLUMNS, **given}
    spare = {"entry_price"} | ({"coin"} if coin is None else set()) | ({"mark_price"} if price is not None else set())
    spare -= set(given)
    frame = open_table(
        source,
        [name for what, name in names.items() if what not in spare],
        [name for what, name in names.items() if what in spare],
    )

    rows: Rows = np.arange(len(frame))
    if names["coin"] in frame:
        coin, rows = _rows_of(frame, names["coin"], coin)
    count = len(rows)
    size = numbers(frame, names["size"], rows, "a number of at least 0")
    rows, size = rows[size > 0], size[size > 0]
    side = sides(frame, names["side"], rows)
    if price is None:
        column = names["mark_price"]
        price = one_price(f"column {column!r}", numbers(frame, column, rows))
    entry = numbers(frame, names["entry_price"], rows) if names["entry_price"] in frame else None
    liquidation = numbers(frame, names["liquidation_price"], rows, gaps=True)
    return assemble(
        side,
        size,
        liquidation,
        entry,
        None if schedule is None else bankruptcies(side, size, liquidation, schedule, "linear"),
        price=price,
        coin=coin or "",
        missing_liquidation=missing_liquidation,
        other_coins=len(frame) - count,
        zero_sizes=count - len(rows),
    )


def assemble(
    side: NDArray[np.int8],
    quantity: FloatArray,
    liquidation: FloatArray,
    entry: FloatArray | None,
    bankruptcy: FloatArray | None,
    *,
    price: float,
    coin: str,
    missing_liquidation: MissingLiquidation,
    other_coins: int,
    zero_sizes: int,
    completed: NDArray[np.bool_] | None = None,
) -> Positions:
    """Drop what is to be dropped and make the book; no liquidation price is NaN."""
    none = np.isnan(liquidation)
    trigger = np.where(none, np.where(side > 0, 0.0, np.inf), liquidation)
    left_out = none & (missing_liquidation == "drop")
    crossed = ~left_out & np.where(side > 0, trigger >= price, trigger <= price)
    keep = ~(left_out | crossed)

    def kept(column: FloatArray | None) -> FloatArray | None:
        return None if column is None else column[keep]

    return Positions(
        book=Book(side[keep], quantity[keep], trigger[keep], kept(bankruptcy), kept(entry)),
        price=price,
        coin=coin,
        rows=len(side) + zero_sizes,
        dropped={
            "other coin": other_coins,
            "zero size": zero_sizes,
            "no liquidation price": int(np.count_nonzero(left_out)),
            "already crossed": int(np.count_nonzero(crossed)),
        },
        completed=0 if completed is None else int(np.count_nonzero(completed & keep)),
    )


def bankruptcies(
    side: NDArray[np.int8], size: FloatArray, liquidation: FloatArray, schedule: MarginSchedule, contract: Contract
) -> FloatArray:
    """Bankruptcy prices of isolated margin valued at the mark, from the price at which maintenance is left of it."""
    none = np.isnan(liquidation)
    with np.errstate(all="ignore"):
        notional = size / liquidation if contract == "inverse" else size * liquidation
        notional[none] = 0.0
        rate = np.full(len(notional), schedule.rate[0])
        np.divide(schedule.maintenance(notional), notional, out=rate, where=notional > 0)
        out = liquidation / (1 + side * rate) if contract == "inverse" else liquidation * (1 - side * rate)
    return np.where(none, 0.0, out)  # what never closes needs none; a book wants a number all the same


def one_price(name: str, marks: FloatArray, argument: str = "price") -> float:
    """Median of the mark prices, if they are of one snapshot; `argument` is what would give the price instead."""
    if not marks.size:
        raise ValueError(f"{argument} must be given where no position has a mark price, was None")
    low, high = float(marks.min()), float(marks.max())
    if high / _SNAPSHOT > low:
        raise ValueError(
            f"{name} must hold the price of one moment, was {low:g} to {high:g}: give {argument}, or a single snapshot"
        )
    middle = np.partition(marks, [(len(marks) - 1) // 2, len(marks) // 2])
    return float(middle[(len(marks) - 1) // 2] / 2 + middle[len(marks) // 2] / 2)


def check_missing(missing_liquidation: object) -> None:
    """Refuse an option that there is not."""
    if missing_liquidation not in get_args(MissingLiquidation):
        raise ValueError(f"missing_liquidation must be 'never' or 'drop', was {shown(missing_liquidation)}")


def check_schedule(schedule: object) -> None:
    """Refuse what is not a schedule."""
    if schedule is not None and not isinstance(schedule, MarginSchedule):
        raise TypeError(f"schedule must be a MarginSchedule, was {shown(schedule)}")


def _one_schedule(maintenance_rate: float | None, schedule: MarginSchedule | None) -> MarginSchedule | None:
    check_schedule(schedule)
    if maintenance_rate is None:
        return schedule
    if schedule is not None:
        raise ValueError(f"maintenance_rate must be None where a schedule is given, was {maintenance_rate!r}")
    rate = number("maintenance_rate", maintenance_rate)
    if not 0 < rate < 1:
        raise ValueError(f"maintenance_rate must be in (0, 1), was {rate:g}")
    return MarginSchedule.flat(rate)


def _rows_of(frame: object, column: str, coin: str | None) -> tuple[str, Rows]:
    """Choose the coin, and find its rows."""
    codes, values = labels(frame, column)
    if (codes < 0).any():
        raise ValueError(f"column {column!r} must be a name, was empty in data row {int(np.argmax(codes < 0)) + 1}")
    names = [str(value) for value in values]
    counts = dict.fromkeys(names, 0)
    for name, count in zip(names, np.bincount(codes, minlength=len(names)).tolist(), strict=True):
        counts[name] += count
    coin = choose("coin", counts, coin)
    return coin, np.flatnonzero(np.array([name == coin for name in names])[codes])
