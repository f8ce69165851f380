"""Tables of any origin, and their columns as checked numpy arrays."""

from __future__ import annotations

import importlib
import math
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flushpoint._validate import FloatArray
from flushpoint.readers.values import SIDE_RULE, is_missing, one_line, shown, side_of, some, to_float

if TYPE_CHECKING:
    from pandas import DataFrame

Rows: TypeAlias = NDArray[np.intp]

SUFFIXES = (".csv", ".csv.gz", ".parquet")

_GOOD: dict[str, Callable[[FloatArray], NDArray[np.bool_]]] = {
    "a positive number": lambda x: (x > 0) & (x < np.inf),
    "a number of at least 0": lambda x: (x >= 0) & (x < np.inf),
    "a number": np.isfinite,
}

# Unix times below the first number are in units of so many milliseconds: seconds, milli-, micro- and nanoseconds.
_UNIX_UNITS = ((1e11, 1e3), (1e14, 1.0), (1e17, 1e-3), (1e19, 1e-6))


class ArrowTable(Protocol):
    """Anything with the Arrow interface: a pyarrow table or reader, a polars or DuckDB frame."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Give the table as an Arrow stream."""


Source: TypeAlias = "str | os.PathLike[str] | DataFrame | ArrowTable | NDArray[np.void] | Mapping[str, ArrayLike]"
Name: TypeAlias = str | tuple[str, ...]


def open_table(source: Source, needed: Sequence[Name], optional: Sequence[Name] = ()) -> Any:
    """Read the columns `needed`, and those `optional` that are there, as a DataFrame with rows.

    Parameters
    ----------
    source : path, DataFrame, Arrow table, structured array or mapping of columns
        A path ends in one of `SUFFIXES`. Nothing of the caller's is changed.
    needed, optional : sequence of str or tuple of str
        Names of columns; of a tuple the first that the table has. One that it has twice is refused.

    Returns
    -------
    DataFrame
    """
    pandas = _pandas()
    if isinstance(source, (str, os.PathLike)):
        argument, noun = "path", "file"
        names, load = _of_path(pandas, Path(source))
    else:
        argument, noun = "source", "table"
        names, load = _of_object(pandas, source)
    wanted = []
    for k, name in enumerate((*needed, *optional)):
        alternatives = (name,) if isinstance(name, str) else name
        if found := next((each for each in alternatives if each in names), None):
            wanted.append(found)
        elif k < len(needed):
            one = len(alternatives) == 1
            called = f"column {alternatives[0]!r}" if one else f"one of the columns {some(alternatives)}"
            raise ValueError(f"{called} must be in the {noun}, which has {some(names) or 'none'}")
    wanted = list(dict.fromkeys(wanted))
    for name in wanted:
        if names.count(name) > 1:
            raise ValueError(f"column {name!r} must be in the {noun} once, was there {names.count(name)} times")
    frame = load(wanted)
    if not len(frame):
        raise ValueError(f"{argument} must hold data rows, was a table without any")
    return frame


def times(frame: Any, name: str) -> NDArray[np.datetime64]:
    """Read a column of times, UTC where they do not say, in milliseconds; NaT where there is none."""
    pandas, column, rule = _pandas(), frame[name], "ISO 8601 text or a Unix time"
    rows = np.arange(len(column))
    items = column.to_numpy(dtype=object)
    missing = np.array([is_missing(item) for item in items], dtype=bool)
    if any(math.isfinite(to_float(item)) for item in items):
        value = numbers(frame, name, rows, "a positive number", gaps=True)
        top = np.nanmax(value, initial=0.0)
        unit = next((ms for most, ms in _UNIX_UNITS if top < most), 0.0)
        # Below 1e8 s lies 1973: no time of a market, but a date such as 20260204 or the number of a row.
        refuse(frame, name, rows, np.isnan(value) | (value * unit >= 1e11), rule)
        out = np.full(len(value), "NaT", dtype="datetime64[ms]")
        known = ~np.isnan(value)
        out[known] = np.rint(value[known] * unit).astype(np.int64).astype("datetime64[ms]")
        return out
    with _reading(f"column {name!r} must hold times"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what cannot be read is refused below
        iso = None if pandas.api.types.is_datetime64_any_dtype(column.dtype) else "ISO8601"
        read = pandas.to_datetime(column, utc=True, errors="coerce", format=iso)
        out = np.asarray(read.dt.tz_localize(None), dtype="datetime64[ms]")
    refuse(frame, name, rows, missing | ~np.isnat(out), rule)
    return out


def labels(frame: Any, name: str) -> tuple[Rows, list[Any]]:
    """Give each row the number of its label, -1 where it has none; and the distinct labels."""
    with _reading(f"column {name!r} must hold words or numbers"):
        codes, values = _pandas().factorize(frame[name])
        return codes, list(values)


def sides(frame: Any, name: str, rows: Rows) -> NDArray[np.int8]:
    """Read the sides of some rows."""
    codes, values = labels(frame, name)
    side = np.array([*map(side_of, values), 0], dtype=np.int8)[codes[rows]]  # the last one is where code -1 points
    refuse(frame, name, rows, side != 0, SIDE_RULE)
    return side


def numbers(
    frame: Any, name: str, rows: Rows, rule: str = "a positive number", *, gaps: bool = False
) -> NDArray[np.float64]:
    """Read some rows of a column, finite numbers that fit the rule; `gaps`: or nothing, or zero, which become NaN."""
    column = frame[name]
    missing: NDArray[np.bool_]
    types = _pandas().api.types
    if types.is_bool_dtype(column.dtype) or types.is_complex_dtype(column.dtype):
        raise TypeError(f"column {name!r} must hold numbers, was of type {column.dtype}")
    # What does not fit into a double becomes infinite, and is refused below.
    with _reading(f"column {name!r} must hold numbers"), np.errstate(all="ignore"):
        if types.is_numeric_dtype(column.dtype):
            plain = isinstance(column.dtype, np.dtype)
            value = (np.asarray(column, np.float64) if plain else column.to_numpy(np.float64, na_value=np.nan))[rows]
            missing = np.isnan(value)
        else:  # text, or objects of any kind
            items = column.to_numpy(dtype=object)[rows]
            value = np.array([to_float(item) for item in items], dtype=np.float64)
            missing = np.array([is_missing(item) for item in items], dtype=bool)
    none = missing | (value == 0) if gaps else np.zeros(len(value), dtype=bool)
    refuse(frame, name, rows, none | _GOOD[rule](value), rule)
    return np.where(none, np.nan, value)


def renamed(columns: Mapping[str, str] | None, known: Iterable[str]) -> Mapping[str, str]:
    """Check a mapping from what is read to the caller's names of columns."""
    if columns is None:
        return {}
    if not isinstance(columns, Mapping):
        raise TypeError(f"columns must be a mapping, was {shown(columns)}")
    for what, name in columns.items():
        if what not in known:
            raise ValueError(f"columns must map some of {', '.join(known)}, was {shown(what)}")
        if not isinstance(name, str):
            raise TypeError(f"columns must map to names, was {shown(name)} for {what!r}")
    return columns


def choose(what: str, counts: Mapping[str, int], wanted: str | None) -> str:
    """Choose the one market to read, the one wanted or the only one, of those there are with so many positions each."""
    ranked = sorted(counts, key=lambda name: -counts[name])
    if wanted is None:
        if len(ranked) > 1:
            raise ValueError(f"{what} must be given where there are several, was None: {some(ranked)}")
        return ranked[0]
    if not isinstance(wanted, str) or wanted not in counts:
        raise ValueError(f"{what} must be one of {some(ranked)}, was {shown(wanted)}")
    return wanted


def refuse(frame: Any, name: str, rows: Rows, good: NDArray[np.bool_], rule: str) -> None:
    """Raise for the first of some rows whose value in a column is not good."""
    if not good.all():
        row = int(rows[np.argmin(good)])
        raise ValueError(f"column {name!r} must be {rule}, was {shown(frame[name].iloc[row])} in data row {row + 1}")


def _pandas() -> Any:
    try:
        return importlib.import_module("pandas")
    except ImportError:
        raise ImportError('reading files needs pandas: pip install "flushpoint[io]"') from None


def _pyarrow(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        raise ImportError('reading Parquet and Arrow tables needs pyarrow: pip install "flushpoint[io]"') from None


_Opened: TypeAlias = tuple[list[Any], Callable[[list[str]], Any]]  # names of the columns; reads some of them


def _of_path(pandas: Any, path: Path) -> _Opened:
    name = path.name.lower()
    if not name.endswith(SUFFIXES):
        raise ValueError(f"path must end in .csv, .csv.gz or .parquet, was {str(path)!r}")
    path.stat()  # a file that is not there is an error of its own
    if name.endswith(".parquet"):
        parquet = _pyarrow("pyarrow.parquet")
        rule = f"path must be a Parquet file that can be read, was {str(path)!r}"
        with _reading(rule):
            names = list(parquet.read_schema(path).names)
        return names, _guarded(rule, lambda wanted: parquet.ParquetFile(path).read(wanted).to_pandas()[wanted])
    rule = f"path must be a CSV file that can be read, was {str(path)!r}"
    with _reading(rule):  # pandas itself would rename the second of two columns of one name
        header = pandas.read_csv(path, header=None, nrows=1, dtype=str, keep_default_na=False).iloc[0]

    def load(wanted: list[str]) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pandas.errors.ParserWarning)  # rows longer than the header
            warnings.simplefilter("ignore", pandas.errors.DtypeWarning)  # types that differ between pieces of a column
            # All columns: only then does pandas refuse a row with more fields than the header has.
            return pandas.read_csv(path, index_col=False)[wanted]

    return list(header), _guarded(rule, load)


def _of_object(pandas: Any, source: Any) -> _Opened:
    if isinstance(source, pandas.DataFrame):
        if source.columns.nlevels > 1:
            raise ValueError(f"source must have one level of column names, was a table with {source.columns.nlevels}")
        return list(source.columns), lambda wanted: source[wanted]
    if isinstance(source, np.ndarray) and source.dtype.names and not isinstance(source, np.ma.MaskedArray):
        if source.ndim != 1:
            raise ValueError(f"source must have one dimension, was of shape {source.shape}")
        rule = "source must be a structured array that can be read"
        return list(source.dtype.names), _guarded(
            rule, lambda wanted: pandas.DataFrame({name: _native(source[name]) for name in wanted})
        )
    if hasattr(source, "__arrow_c_stream__") or hasattr(source, "__arrow_c_array__"):
        rule = "source must be an Arrow table that can be read"
        pyarrow = _pyarrow("pyarrow")
        with _reading(rule):
            table = pyarrow.table(source)
        names = list(table.column_names)
        return names, _guarded(
            rule, lambda wanted: pandas.DataFrame({w: _of_arrow(pyarrow, table.column(names.index(w))) for w in wanted})
        )
    if isinstance(source, Mapping):
        rule = "source must be a mapping of columns of one length"
        return list(source), _guarded(
            rule, lambda wanted: pandas.DataFrame({name: np.asarray(source[name]) for name in wanted})
        )
    raise TypeError(
        "source must be a path, a pandas DataFrame, an Arrow table, a numpy structured array or a mapping of columns, "
        f"was {f'an array of dtype {source.dtype}' if isinstance(source, np.ndarray) else shown(source)}"
    )


def _of_arrow(pyarrow: Any, column: Any) -> Any:
    """Give an Arrow column as one of pandas, which knows no unsigned indices into a dictionary; polars makes such."""
    if pyarrow.types.is_dictionary(column.type):
        signed = pyarrow.dictionary(pyarrow.int64(), column.type.value_type)
        chunks = [pyarrow.DictionaryArray.from_arrays(c.indices.cast("int64"), c.dictionary) for c in column.chunks]
        column = pyarrow.chunked_array(chunks, type=signed)
    return column.to_pandas()


def _native(column: NDArray[Any]) -> NDArray[Any]:
    """Give a column this machine's byte order, and text for bytes."""
    return column.astype(str) if column.dtype.kind == "S" else column.astype(column.dtype.newbyteorder("="), copy=False)


def _guarded(rule: str, load: Callable[[list[str]], Any]) -> Callable[[list[str]], Any]:
    def guarded(wanted: list[str]) -> Any:
        with _reading(rule):
            return load(wanted)

    return guarded


@contextmanager
def _reading(rule: str) -> Iterator[None]:
    """Turn whatever a parser makes of hostile bytes into one line."""
    try:
        yield
    except Exception as error:  # parsers of foreign bytes fail in more ways than they document
        raise ValueError(f"{rule}: {one_line(error)}") from None
