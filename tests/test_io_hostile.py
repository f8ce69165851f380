"""Readers on hostile input: an answer, or one clear line from this package, and never a warning (they are errors)."""

import datetime
import decimal
import gzip
import io as streams
import json
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import flushpoint as fp
from flushpoint import io

pandas = pytest.importorskip("pandas")

PACKAGE = str(Path(fp.__file__).parent)
HEADER = "coin,side,size,entry_px,mark_px,liq_px\n"
CSV = (HEADER + "BTC,1,2.0,101,100,80\nBTC,short,3.0,99,100,125\nETH,1,50,10,10,8\nBTC,1,1.0,100,100,\n").encode()
GOOD = {"coin": "BTC", "side": "long", "size": 2.0, "entry_px": 101.0, "mark_px": 100.0, "liq_px": 80.0}


def one_clear_line(call: Callable[[], object]) -> str:
    """Return the message of an error that is fit to be shown, or nothing if there was none."""
    try:
        call()
        return ""
    except (ValueError, TypeError) as error:
        raised: Exception = error
    message = str(raised)
    assert message.isprintable(), message  # so it is one line, too
    assert 10 < len(message) < 600, message
    assert raised.__context__ is None or raised.__suppress_context__, "another error shows through"
    assert traceback.extract_tb(raised.__traceback__)[-1].filename.startswith(PACKAGE)
    return message


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hostile")


def read_bytes(folder: Path, content: bytes, name: str = "p.csv") -> str:
    path = folder / name
    path.write_bytes(content)
    reader = io.read_tiers if name.endswith(".json") else io.read_positions
    return one_clear_line(lambda: reader(path) if name.endswith(".json") else io.read_positions(path, coin="BTC"))


def parquet() -> bytes:
    pytest.importorskip("pyarrow")
    stream = streams.BytesIO()
    table = pandas.read_csv(streams.BytesIO(CSV)).astype({"side": str})
    table.to_parquet(stream)
    return stream.getvalue()


TIERS = json.dumps(
    {"X": [{"minNotional": 0, "maxNotional": None, "maintenanceMarginRate": 0.01}], "Y": [{"minNotional": 0}]}
).encode()
FILES = {
    "p.csv": lambda: CSV,
    "p.csv.gz": lambda: gzip.compress(CSV),
    "p.parquet": parquet,
    "t.json": lambda: TIERS,
}


@pytest.mark.parametrize("name", FILES)
@given(content=st.binary(max_size=300))
def test_byte_garbage(folder: Path, name: str, content: bytes) -> None:
    read_bytes(folder, content, name)


@pytest.mark.parametrize("name", FILES)
@given(data=st.data())
def test_a_file_with_a_few_bytes_changed_or_cut_short(folder: Path, name: str, data: st.DataObject) -> None:
    content = bytearray(FILES[name]())
    for _ in range(data.draw(st.integers(0, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(0, len(content)))
    read_bytes(folder, bytes(content[:end]), name)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (HEADER + "BTC,1,1e400,1,100,80\n", "column 'size' must be a number of at least 0, was "),
        (HEADER + "BTC,1,1e308,1,100,80\n" * 30, "quantity must have a finite sum, was inf"),
        (HEADER + "BTC,1,1e307,1,100,80\n" * 9, "quantity must have a finite sum of quantity x trigger_price, was inf"),
        (HEADER + "BTC,1,1,1,1e308,80\nBTC,1,1,1,1.7e308,80\n", "column 'mark_px' must hold the price of one moment"),
        (
            HEADER + "BTC,1,1,1,100,80\nBTC,1,1,1,3.2,2\n",
            "column 'mark_px' must hold the price of one moment, was 3.2 to",
        ),
        (HEADER + "BTC,1,1,000,1,100,80\n", "path must be a CSV file that can be read"),  # a separator of thousands
        (HEADER + "BTC,1,1,1,100,80\nBTC,1,1,1,100,80,7\n", "path must be a CSV file that can be read"),
        (HEADER + 'BTC,"1,1,1,100,80\n', "path must be a CSV file that can be read"),
        (HEADER.replace(",", ";"), "column 'coin' must be in the file, which has coin;side;size"),
        (
            HEADER.replace("entry_px", "size") + "BTC,1,1,1,100,80\n",
            "column 'size' must be in the file once, was there 2",
        ),
        ("coin\n\0\n", "column 'side' must be in the file"),
        (HEADER + "BTC,1,Ⅷ,1,100,80\n", "column 'size' must be a number of at least 0, was 'Ⅷ' in data row 1"),
        (HEADER + '"B\nC",1,1,1,100,80\n', "coin must be one of 'B\\nC', was 'BTC'"),
        (HEADER + "BTC,1," + "z" * 10_000 + ",1,100,80\n", "column 'size' must be a number of at least 0, was 'zzz"),
        (HEADER + "BTC,1," + "9" * 5_000 + ",1,100,80\n", "column 'size' must be a number of at least 0, was "),
        (HEADER + "BTC,1,0x10,1,100,80\n", "column 'size' must be a number of at least 0, was '0x10'"),
        (HEADER + "BTC,1,2026-02-04,1,100,80\n", "column 'size' must be a number of at least 0, was '2026-02-04'"),
        (HEADER + "BTC,1,True,1,100,80\n", "column 'size' must hold numbers, was of type bool"),
        (HEADER + "BTC,True,1,1,100,80\n", "column 'side' must be +1, -1, long, short, buy or sell, was True"),
        (HEADER + "BTC,1,1,1,100,--\n", "column 'liq_px' must be a positive number, was '--' in data row 1"),
        (HEADER + "\n\n", "path must hold data rows, was a table without any"),
    ],
)
def test_hostile_tables(folder: Path, content: str, message: str) -> None:
    assert read_bytes(folder, content.encode()).startswith(message)


@given(
    st.lists(st.lists(st.sampled_from(["", "A", "0", "5", "0.1", "x", "inf"]), min_size=5, max_size=5), max_size=4),
    st.sampled_from([None, "A"]),
)
def test_tables_of_tiers(rows: list[list[str]], venue: str | None) -> None:
    columns = ["venue", "symbol", "notional_floor", "notional_cap", "maint_rate"]
    text = "\n".join(",".join(row) for row in [columns, *rows])
    table = pandas.read_csv(streams.StringIO(text))
    one_clear_line(lambda: io.read_tiers(table, venue=venue))


def test_tiers_without_a_venue_in_its_column() -> None:
    table = pandas.DataFrame({"venue": [None], "symbol": ["A"], "notional_floor": [0], "maint_rate": [0.1]})
    message = one_clear_line(lambda: io.read_tiers(table))
    assert message == "column 'venue' must be a name, was empty in every data row"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "path must be a JSON file that can be read"),
        ("[" * 100_000, "path must be a JSON file that can be read"),
        ('{"X":' * 100_000, "path must be a JSON file that can be read"),
        ('{"X":[{"minNotional":' + "9" * 5_000, "path must be a JSON file that can be read"),
        ("5", "path must hold a JSON object or list, was 5"),
        ("null", "path must hold a JSON object or list, was None"),
        ('{"X":[{"minNotional":0,"maintenanceMarginRate":1e400}]}', "source['X'][0].maintenanceMarginRate must be"),
        ('{"X":[{"minNotional":NaN,"maintenanceMarginRate":0.1}]}', "source['X'][0].minNotional must be"),
        ('{"X":[' + "[" * 500 + "]" * 500 + "]}", "source['X'][0] must be a mapping, was [[[[["),
        ("symbol,notional_floor\n", "path must be a JSON file that can be read"),
    ],
)
def test_json_that_is_not_what_it_says(folder: Path, content: str, message: str) -> None:
    assert read_bytes(folder, content.encode(), "t.json").startswith(message)


def nested(depth: int) -> list[Any]:
    out: list[Any] = []
    for _ in range(depth):
        out = [out]
    return out


odd_values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.just(10**400),
    st.builds(lambda: 10**5_000),  # Python does not print it
    st.floats(),
    st.sampled_from([1e308, 5e-324, -0.0]),
    st.text(max_size=5),
    st.sampled_from(["1e400", "long", "-1", "nan", " ", "BTC", "x\ny"]),
    st.binary(max_size=3),
    st.sampled_from([decimal.Decimal("sNaN"), decimal.Decimal("1e999"), 1j, pandas.NA, pandas.NaT, object()]),
    st.sampled_from([np.float32(2), np.int8(-1), np.bool_(True), np.array([1.0, 2.0]), datetime.date(2026, 2, 4)]),
    st.builds(lambda: nested(5_000)),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
)


def as_objects(values: list[Any]) -> Any:
    column = np.empty(len(values), dtype=object)
    for k, value in enumerate(values):
        column[k] = value
    return pandas.Series(column, dtype=object)


@given(st.sampled_from(sorted(GOOD)), odd_values, st.sampled_from(["never", "drop"]), st.booleans())
def test_an_odd_value_in_a_table(column: str, value: Any, missing: Any, tiers: bool) -> None:
    table = pandas.DataFrame(
        {name: as_objects([good, value if name == column else good]) for name, good in GOOD.items()}
    )
    schedule = fp.MarginSchedule.flat(0.01) if tiers else None
    one_clear_line(lambda: io.read_positions(table, coin="BTC", schedule=schedule, missing_liquidation=missing))


dtypes = st.sampled_from(
    ["i1", "u8", ">f4", "f2", "g", "c16", "?", "S3", "U3", "M8[s]", "m8[s]", "V4", "O", "f8,f8", "(2,)f8"]
)


@given(st.lists(dtypes, min_size=6, max_size=6), st.integers(0, 3), st.binary(min_size=400, max_size=400))
def test_structured_arrays_of_any_type(types: list[str], count: int, noise: bytes) -> None:
    table = np.zeros(count, dtype=list(zip(GOOD, types, strict=True)))
    if "O" not in types:
        table = np.frombuffer(noise, dtype=table.dtype, count=count).copy()
    one_clear_line(lambda: io.read_positions(table))


@pytest.mark.parametrize(
    "source",
    [
        None,
        5,
        b"p.csv",
        [GOOD],
        GOOD,
        np.zeros(3),
        np.ma.zeros(2, dtype=[("side", int)]),
        pandas.Series([1.0]),
        object(),
    ],
    ids=lambda source: type(source).__name__,
)
def test_what_is_no_table(source: Any) -> None:
    assert one_clear_line(lambda: io.read_positions(source)).startswith("source must be")


def test_columns_of_several_levels() -> None:
    table = pandas.DataFrame([[1, 2]], columns=pandas.MultiIndex.from_tuples([("size", "a"), ("side", "b")]))
    assert "one level of column names" in one_clear_line(lambda: io.read_positions(table))


class BrokenArrow:
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        raise RuntimeError("two\nlines")


def test_an_arrow_table_that_fails() -> None:
    pytest.importorskip("pyarrow")
    message = one_clear_line(lambda: io.read_positions(BrokenArrow()))
    assert message == "source must be an Arrow table that can be read: two lines"


# --- structures -----------------------------------------------------------------------------------------------------

CCXT = {
    "symbol": "BTC/USD:BTC",
    "side": "long",
    "contracts": 2.0,
    "contractSize": 100.0,
    "entryPrice": 100.0,
    "markPrice": 100.0,
    "leverage": 5.0,
    "initialMargin": None,
    "collateral": 3.0,
    "liquidationPrice": 80.0,
}
HYPERLIQUID = {"coin": "BTC", "szi": "2.0", "entryPx": "100", "positionValue": "200", "liquidationPx": "80"}
BRACKET = {"notionalFloor": 0, "notionalCap": 5_000, "maintMarginRatio": 0.01, "cum": 0.0}
TIER = {"minNotional": 0, "maxNotional": 5_000, "maintenanceMarginRate": 0.01}
SCHEDULE = fp.MarginSchedule([0, 100], [0.01, 0.02])


@given(st.sampled_from(sorted(CCXT)), odd_values, st.booleans(), st.booleans())
def test_an_odd_value_in_a_ccxt_position(key: str, value: Any, linear: bool, alone: bool) -> None:
    odd = {**CCXT, key: value}
    found = [odd] if alone else [CCXT, odd]
    contract = "linear" if linear else "inverse"
    for changes in ({}, {"liquidationPrice": None}):
        fetched = [{**each, **changes} for each in found]
        one_clear_line(lambda fetched=fetched: io.from_ccxt(fetched, schedule=SCHEDULE, contract=contract))


@given(st.sampled_from(sorted(HYPERLIQUID)), odd_values, odd_values)
def test_an_odd_value_in_a_hyperliquid_state(key: str, value: Any, price: Any) -> None:
    positions = [{"position": HYPERLIQUID}, {"position": {**HYPERLIQUID, key: value}}]
    one_clear_line(lambda: io.from_hyperliquid({"assetPositions": positions}, schedule=SCHEDULE))
    one_clear_line(lambda: io.from_hyperliquid({"assetPositions": positions[:1]}, {"BTC": price}))


@given(st.sampled_from(sorted(BRACKET)), st.sampled_from(sorted(TIER)), odd_values)
def test_an_odd_value_in_a_tier(bracket_key: str, tier_key: str, value: Any) -> None:
    one_clear_line(lambda: io.read_tiers([{"symbol": "X", "brackets": [BRACKET, {**BRACKET, bracket_key: value}]}]))
    one_clear_line(lambda: io.read_tiers([{"symbol": value, "brackets": [{**BRACKET, bracket_key: value}]}]))
    one_clear_line(lambda: io.read_tiers({"X": [{**TIER, tier_key: value}]}))
    tiers = [{"lowerBound": value, "maxLeverage": value}]
    one_clear_line(lambda: io.read_tiers({"marginTables": [[value, {"marginTiers": tiers}]], "universe": value}))


anything = st.recursive(
    odd_values,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["symbol", "brackets", "assetPositions", "position", "coin", "marginTables", "universe", "name", "X"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@given(anything)
def test_structures_of_any_kind(value: Any) -> None:
    for reader in (io.from_ccxt, io.from_hyperliquid, io.read_tiers):
        one_clear_line(lambda reader=reader: reader(value))
        one_clear_line(lambda reader=reader: reader([value]))


# --- depth ----------------------------------------------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.floats() | st.integers(-5, 5), st.floats() | st.floats(0, 10)), max_size=6),
    st.sampled_from([1.0, 1e308, 5e-324]),
)
def test_depth_of_any_numbers(rows: list[tuple[float, float]], scale: float) -> None:
    rows = [(-1.0, scale), *rows, (1.0, scale)]
    table = np.array(rows, dtype=[("percentage", float), ("depth", float)])
    one_clear_line(lambda: io.read_depth(table))
