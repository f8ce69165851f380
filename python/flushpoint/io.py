"""Reading positions and depth profiles from files (extra ``io``: pandas, and pyarrow for Parquet)."""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flushpoint.book import Book
from flushpoint.impact import DepthImpact

COLUMNS: Mapping[str, str] = {
    "coin": "coin",
    "side": "side",
    "size": "size",
    "entry_price": "entry_px",
    "mark_price": "mark_px",
    "liquidation_price": "liq_px",
}
"""What is read of a position, and the column that holds it unless told otherwise."""

_SIDES = {"long": 1, "buy": 1, "1": 1, "+1": 1, "1.0": 1, "short": -1, "sell": -1, "-1": -1, "-1.0": -1}
_SNAPSHOT = 0.01  # mark prices of one coin that lie further apart are not of one snapshot
_SHOWN = 12  # names listed in a message


@dataclass(frozen=True)
class Positions:
    """Positions of one coin, ready for a question.

    Attributes
    ----------
    book : Book
        The positions kept: none of them is crossed at `price`.
    price : float
        Price of the market, quote per base.
    coin : str
        The coin read; empty for a file without a coin column.
    rows : int
        Data rows of that coin in the file.
    crossed : int
        Rows dropped because their liquidation price was already crossed at `price`.
    other_coins : int
        Data rows of other coins, left out.
    """

    book: Book
    price: float
    coin: str
    rows: int
    crossed: int
    other_coins: int


def read_positions(
    path: str | Path,
    *,
    coin: str | None = None,
    columns: Mapping[str, str] | None = None,
    price: float | None = None,
    maintenance_rate: float | None = None,
) -> Positions:
    """Read one coin's positions from a CSV, CSV.GZ or Parquet file, one row a position.

    Parameters
    ----------
    path : str or Path
        The file; its name ends in .csv, .csv.gz or .parquet.
    coin : str, optional
        Which coin. May be left out where the file holds only one.
    columns : mapping, optional
        File columns that differ from `COLUMNS`, for example ``{"size": "qty"}``. The file may lack the coin column when
        `coin` is None, the entry price column always, the mark price column when `price` is given.
    price : float, optional
        Price of the market, positive; by default the median mark price of the coin.
    maintenance_rate : float, optional
        Maintenance margin as a share of notional, in (0, 1). With it bankruptcy prices are liquidation price *
        (1 - side * maintenance_rate), as for isolated linear margin valued at the mark price; without it none is known.

    Returns
    -------
    Positions

    Raises
    ------
    ValueError
        For a file of another kind, a missing column, an unknown coin, or a bad value with its data row, counted from 1.
    ImportError
        Without pandas.

    Notes
    -----
    Sides may be +1 and -1, long and short, or buy and sell. Sizes are in base units and positive. An empty or zero
    liquidation price means never. Positions already crossed at the price are dropped and counted.
    """
    if maintenance_rate is not None and not 0 < maintenance_rate < 1:
        raise ValueError(f"maintenance_rate must be in (0, 1), was {maintenance_rate}")
    if price is not None and not 0 < price < np.inf:
        raise ValueError(f"price must be positive and finite, was {price}")
    mapped = columns or {}
    for what in mapped:
        if what not in COLUMNS:
            raise ValueError(f"columns must map some of {', '.join(COLUMNS)}, was {what!r}")
    names = {**COLUMNS, **mapped}
    dispensable = {"entry_price", *(["coin"] if coin is None else []), *(["mark_price"] if price is not None else [])}
    file = _read_table(path, [name for what, name in names.items() if what in mapped or what not in dispensable])

    table = file
    if names["coin"] in file:
        coins = file[names["coin"]].astype(str)
        coin = _one_coin(coins, coin)
        table = file[coins == coin]
    side = _sides(table[names["side"]])
    size = _numbers(table[names["size"]])
    if price is None:
        price = _one_price(table[names["mark_price"]])
    entry = _numbers(table[names["entry_price"]]) if names["entry_price"] in table else None
    liquidation = _numbers(table[names["liquidation_price"]], allow_none=True)

    never = np.isnan(liquidation)
    trigger = np.where(never, np.where(side > 0, 0.0, np.inf), liquidation)
    bankruptcy = None
    if maintenance_rate is not None:  # what never closes needs none; a book wants a number all the same
        bankruptcy = np.where(never, 0.0, liquidation * (1 - side * maintenance_rate))
    book = Book(side, size, trigger, bankruptcy, entry)
    alive = book.alive(price)
    return Positions(
        book=alive,
        price=price,
        coin=coin or "",
        rows=len(table),
        crossed=len(book) - len(alive),
        other_coins=len(file) - len(table),
    )


def read_depth(path: str | Path) -> DepthImpact:
    """Read a depth profile: how much an order book shows within so many percent of the mid, the mean over snapshots.

    Parameters
    ----------
    path : str or Path
        A .csv, .csv.gz or .parquet file with the columns ``percentage`` (negative below the mid price: bids) and
        ``depth`` (cumulative quantity in base units), one row for each snapshot and percentage.

    Returns
    -------
    DepthImpact
        Percent p is the distance -ln(1 - p/100) below and ln(1 + p/100) above. Bids and asks share one grid of
        distances: each is interpolated linearly at the other's levels, beyond its last one with its last slope.

    Raises
    ------
    ValueError
        For a file of another kind, a missing column, a bad value, or depth that does not grow with distance.
    ImportError
        Without pandas.
    """
    table = _read_table(path, ["percentage", "depth"])
    percentage = _numbers(table["percentage"], positive=False)
    for rule, bad in (("above -100", percentage <= -100), ("other than 0", percentage == 0)):
        if bad.any():
            row = int(np.argmax(bad))
            raise ValueError(f"column 'percentage' must be {rule}, was {percentage[row]:g} in data row {row + 1}")
    level, where = np.unique(percentage, return_inverse=True)
    quantity = np.bincount(where, _numbers(table["depth"])) / np.bincount(where)
    below, above = level < 0, level > 0
    bids = _ladder("bids (percentage below 0)", -np.log1p(level[below] / 100), quantity[below])
    asks = _ladder("asks (percentage above 0)", np.log1p(level[above] / 100), quantity[above])
    distance = np.union1d(bids[0], asks[0])[1:]  # without the mid price itself
    return DepthImpact(distance, _interpolate(distance, *bids), _interpolate(distance, *asks))


def _pandas() -> Any:
    try:
        return importlib.import_module("pandas")
    except ImportError as error:
        raise ImportError('reading files needs pandas: pip install "flushpoint[io]"') from error


def _read_table(path: str | Path, needed: Iterable[str]) -> Any:
    """Read a file, check that it has rows and the columns `needed`, and number its rows from 1."""
    path = Path(path)
    name = path.name.lower()
    if not name.endswith((".csv", ".csv.gz", ".parquet")):
        raise ValueError(f"path must end in .csv, .csv.gz or .parquet, was {str(path)!r}")
    pandas = _pandas()
    try:
        table = pandas.read_parquet(path) if name.endswith(".parquet") else pandas.read_csv(path, low_memory=False)
    except FileNotFoundError:
        raise
    except ImportError as error:
        raise ImportError('reading Parquet needs pyarrow: pip install "flushpoint[io]"') from error
    except (ValueError, OSError, EOFError, zlib.error) as error:
        kind = "Parquet" if name.endswith(".parquet") else "CSV"
        raise ValueError(f"path must be a {kind} file that can be read, was {str(path)!r}: {error}") from error
    for column in needed:
        if column not in table:
            raise ValueError(f"column {column!r} must be in the file, which has {_some(table.columns)}")
    if table.empty:
        raise ValueError(f"path must hold data rows, was a table without any: {str(path)!r}")
    table.index = range(1, len(table) + 1)
    return table


def _some(values: Iterable[Any]) -> str:
    """List a few for a message."""
    names = [str(value) for value in values]
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def _one_coin(coins: Any, coin: str | None) -> str:
    known = list(coins.value_counts().index)  # most positions first
    if coin is None:
        if len(known) > 1:
            raise ValueError(f"coin must be given for a file that holds several, was None: {_some(known)}")
        return str(known[0])
    if coin not in known:
        raise ValueError(f"coin must be one of {_some(known)}, was {coin!r}")
    return coin


def _one_price(column: Any) -> float:
    mark = _numbers(column)
    if mark.max() > mark.min() * (1 + _SNAPSHOT):
        raise ValueError(
            f"column {column.name!r} must hold the price of one moment, was {mark.min():g} to {mark.max():g}: "
            "give the price, or a single snapshot"
        )
    return float(np.median(mark))


def _sides(column: Any) -> NDArray[np.int8]:
    side = column.astype(str).str.strip().str.lower().map(_SIDES)
    if side.isna().any():
        row = side.isna().idxmax()
        raise ValueError(
            f"column {column.name!r} must be +1, -1, long, short, buy or sell, was {column[row]} in data row {row}"
        )
    return np.asarray(side, dtype=np.int8)


def _numbers(column: Any, *, positive: bool = True, allow_none: bool = False) -> NDArray[np.float64]:
    """Check that a column holds finite, positive numbers; `allow_none`: or nothing, or zero, which become NaN."""
    number = np.array(_pandas().to_numeric(column, errors="coerce"), dtype=np.float64)
    none = (np.asarray(column.isna()) | (number == 0)) if allow_none else np.zeros(len(number), dtype=bool)
    bad = ~none & ~(np.isfinite(number) & ((number > 0) | (not positive)))
    if bad.any():
        row = int(np.argmax(bad))
        rule = "a positive number" if positive else "a number"
        value = column.iloc[row]
        raise ValueError(f"column {column.name!r} must be {rule}, was {value} in data row {column.index[row]}")
    return np.where(none, np.nan, number)


def _ladder(
    name: str, distance: NDArray[np.float64], quantity: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Order one side of a depth profile outward from (0, 0)."""
    order = np.argsort(distance)
    distance, quantity = np.r_[0.0, distance[order]], np.r_[0.0, quantity[order]]
    if len(distance) < 2:
        raise ValueError(f"column 'percentage' must hold {name}, was without any")
    flat = np.diff(quantity) <= 0
    if flat.any():
        level = int(np.argmax(flat)) + 1
        raise ValueError(
            f"column 'depth' must grow with distance, was {quantity[level - 1]:g} then {quantity[level]:g} for {name}"
        )
    return distance, quantity


def _interpolate(
    at: NDArray[np.float64], distance: NDArray[np.float64], quantity: NDArray[np.float64]
) -> NDArray[np.float64]:
    slope = (quantity[-1] - quantity[-2]) / (distance[-1] - distance[-2])
    values: NDArray[np.float64] = np.interp(at, distance, quantity) + slope * np.maximum(at - distance[-1], 0.0)
    return values
