"""A market's history of prices and open interest, from which the hidden book is inferred."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from flushpoint._validate import FloatArray, number, positive, read_only, restore
from flushpoint.readers.tables import Rows, Source, numbers, open_table, refuse, renamed, times
from flushpoint.readers.values import shown

Unit = Literal["quote", "base"]

HISTORY_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "time": (
        *("time", "timestamp", "datetime", "datetime_utc", "date", "ts", "ts_s", "open_time", "create_time"),
        *("Time", "Timestamp", "Datetime", "Date"),
    ),
    "open": ("open", "price_open", "open_price", "Open"),
    "high": ("high", "price_high", "high_price", "High"),
    "low": ("low", "price_low", "low_price", "Low"),
    "close": ("close", "price_close", "close_price", "Close"),
    "open_interest": ("open_interest", "oi_close", "oi", "openInterest"),
}
"""What is read of a history, and the columns that may hold it: the first that the table has."""

# Names that say the unit of open interest themselves; they come before those that do not.
_BY_UNIT: Mapping[Unit, tuple[str, ...]] = {
    "quote": (
        *("open_interest_usd", "open_interest_value", "oi_usd", "openInterestValue"),
        *("sum_open_interest_value", "sumOpenInterestValue"),
    ),
    "base": ("open_interest_base", "openInterestAmount", "sum_open_interest", "sumOpenInterest"),
}
_WIDEST = 1e6  # prices of one market that lie further apart have lost a decimal point somewhere
_PRICES = ("open", "high", "low", "close")


@dataclass(frozen=True, eq=False, repr=False)
class History(Mapping[str, NDArray[Any]]):
    """Prices and open interest of one market, a row a period: the ``history`` of the hidden book.

    A mapping of its columns, each of which is an attribute, too.

    Attributes
    ----------
    open, high, low, close : ndarray, shape (n,)
        Quote units per base unit.
    open_interest : ndarray, shape (n,)
        Quote units, at the end of the row.
    time : ndarray of datetime64[ms], shape (n,), or None
        UTC; None for a table without times.
    period : float
        Seconds from row to row.
    rows : int
        Rows of the source: those kept and those dropped.
    dropped : mapping of str to int
        How many rows were left out, by reason, in the order in which the reasons are looked for: "no time",
        "no price", "no open interest". Every reason is there.
    gaps, missing : int
        Steps from row to row of more than 1.5 periods, and how many periods they skip together; what dropping rows
        left counts as well. 0 for a table without times, where it is not known.
    """

    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    open_interest: FloatArray
    time: NDArray[np.datetime64] | None
    period: float
    rows: int
    dropped: Mapping[str, int]
    gaps: int = 0
    missing: int = 0

    __setstate__ = restore
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __post_init__(self) -> None:
        read_only(tuple(self.values()))

    def __getitem__(self, name: str) -> NDArray[Any]:
        if name not in tuple(self):
            raise KeyError(name)
        column: NDArray[Any] = getattr(self, name)
        return column

    def __iter__(self) -> Iterator[str]:
        yield from ("time", *_PRICES, "open_interest")[self.time is None :]

    def __len__(self) -> int:
        return 6 - (self.time is None)

    def __str__(self) -> str:
        text = f"{len(self.close):,} of {self.rows:,} rows kept, {self.period:,.6g} s each"
        if self.time is not None:
            text += f", {self.time[0].astype('M8[s]')} to {self.time[-1].astype('M8[s]')} UTC"
        lost = [f"{count:,} {reason}" for reason, count in self.dropped.items() if count]
        text += f"; dropped: {', '.join(lost)}" if lost else "; none dropped"
        return text + (f"; gaps: {self.gaps:,}, missing periods: {self.missing:,}" if self.gaps else "")

    def __repr__(self) -> str:
        return f"<History: {self}>"


def read_history(
    source: Source,
    columns: Mapping[str, str] | None = None,
    *,
    unit: Unit = "quote",
    period: float | None = None,
) -> History:
    """Read a market's prices and open interest from a table, one row a period in order of time.

    Parameters
    ----------
    source : path, pandas.DataFrame, Arrow table, numpy structured array or mapping of columns
        As in `read_positions`.
    columns : mapping, optional
        Columns that are called otherwise than `HISTORY_COLUMNS` knows, for example ``{"open_interest": "oi_mean"}``.
    unit : {"quote", "base"}
        Unit of open interest in the table. From base units it is multiplied by the row's close. A column whose name
        says its unit (sumOpenInterestValue, sumOpenInterest) is taken before one whose name does not.
    period : float, optional
        Seconds from row to row, positive; by default the median step of the times. Needed for a table without times
        or with a single row.

    Returns
    -------
    History

    Raises
    ------
    ValueError, TypeError
        For a source of another kind, a missing or doubled column, or a bad value with its data row, counted from 1.
    ImportError
        Without pandas; without pyarrow, for Parquet and Arrow tables.

    Notes
    -----
    Times are ISO 8601 text, datetimes, or Unix times in seconds, milli-, micro- or nanoseconds: of which, their size
    tells. They must increase from row to row, in steps of at least half a period. Longer steps are gaps, which are
    counted: the hidden book takes the rows on both sides of a gap for neighbours.

    Dropped and counted, looked for in this order: rows without a time, where the table has times; rows that lack one of
    the prices; rows without open interest. Empty, NaN and 0 are all nothing. Any other value that is not a positive
    number is an error, and so are an open or close outside of its row's low and high, and prices that lie further apart
    than a factor of 1e6.

    Examples
    --------
    >>> history = read_history(
    ...     {"ts": ["2026-02-05T00:00Z", "2026-02-05T01:00Z"], "open": [100, 99], "high": [101, 99.5],
    ...      "low": [98.5, 98], "close": [99, 98.2], "oi": [50.0, 48.0]}, unit="base")
    >>> history
    <History: 2 of 2 rows kept, 3,600 s each, 2026-02-05T00:00:00 to 2026-02-05T01:00:00 UTC; none dropped>
    >>> history.open_interest
    array([4950. , 4713.6])
    """
    if unit not in get_args(Unit):
        raise ValueError(f"unit must be 'quote' or 'base', was {shown(unit)}")
    if period is not None:
        period = number("period", period, above=0)
    names = {**HISTORY_COLUMNS, "open_interest": (*_BY_UNIT[unit], *HISTORY_COLUMNS["open_interest"])}
    given = {what: (name,) for what, name in renamed(columns, names).items()}
    names |= given
    spare = {"time"} - set(given)
    frame = open_table(
        source,
        [name for what, name in names.items() if what not in spare],
        [name for what, name in names.items() if what in spare],
    )
    called = {what: next((name for name in choice if name in frame), None) for what, choice in names.items()}

    rows = np.arange(len(frame))
    time = None if called["time"] is None else times(frame, called["time"])
    values: dict[str, Any] = {
        what: numbers(frame, str(called[what]), rows, gaps=True) for what in (*_PRICES, "open_interest")
    }
    timeless = np.zeros(len(frame), dtype=bool) if time is None else np.isnat(time)
    priceless = ~timeless & np.any([np.isnan(values[what]) for what in _PRICES], axis=0)
    unknown = ~timeless & ~priceless & np.isnan(values["open_interest"])
    dropped = {
        reason: int(np.count_nonzero(rows_lost))
        for reason, rows_lost in (("no time", timeless), ("no price", priceless), ("no open interest", unknown))
    }
    if time is None:
        if period is None:
            raise ValueError("period must be given for a table without times, was None")
    else:
        period = _check_times(frame, str(called["time"]), time, rows[~timeless], period)
    rows = rows[~(timeless | priceless | unknown)]
    if not rows.size:
        raise ValueError(f"source must hold a row with all its values, was {len(frame):,} rows without one")
    values = {what: column[rows] for what, column in values.items()}
    for what in ("open", "close", "low"):
        refuse(frame, str(called[what]), rows, values[what] <= values["high"], f"at most {called['high']!r}")
        refuse(frame, str(called[what]), rows, values[what] >= values["low"], f"at least {called['low']!r}")
    within = values["high"] <= _WIDEST * values["low"].min()
    refuse(frame, str(called["high"]), rows, within, f"within {_WIDEST:g} times the lowest {called['low']!r}")
    if unit == "base":
        with np.errstate(over="ignore", under="ignore"):
            values["open_interest"] *= values["close"]
        positive("open_interest x close", values["open_interest"])
    skipped = np.empty(0)
    if time is not None:
        time = time[rows]
        steps = np.diff(time).astype(np.float64) / 1e3 / period
        skipped = np.rint(steps[steps > 1.5] - 1)
    return History(
        **values,
        time=time,
        period=period,
        rows=len(frame),
        dropped=dropped,
        gaps=skipped.size,
        missing=int(skipped.sum()),
    )


def _check_times(frame: Any, name: str, time: NDArray[np.datetime64], rows: Rows, period: float | None) -> float:
    """Refuse times out of order or too close; give the period, by default the median step."""
    steps = np.diff(time[rows]).astype(np.float64) / 1e3
    refuse(frame, name, rows[1:], steps > 0, "later than in the row before (rows of one market, in order)")
    if period is None:
        if not steps.size:
            raise ValueError("period must be given for a single row, was None")
        period = float(np.quantile(steps, 0.5, method="lower"))  # a step that there is
    refuse(frame, name, rows[1:], steps >= period / 2, f"at least half a period of {period:g} s after the row before")
    return period
