"""Reading a history of prices and open interest: columns, units, times, what is dropped and what is refused."""

import gzip
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import flushpoint as fp
from flushpoint import io
from test_io_hostile import as_objects, odd_values, one_clear_line

pandas = pytest.importorskip("pandas")

DATA = Path(__file__).parents[2] / "shared" / "data"
HOURLY = DATA / "btc_hourly_price_liquidations_oi_2025-12_2026-02.csv.gz"

# Four hours; the third has no open interest.
TABLE = {
    "time": ["2026-02-05T00:00Z", "2026-02-05T01:00Z", "2026-02-05T02:00Z", "2026-02-05T03:00Z"],
    "open": [100.0, 99.0, 98.0, 97.0],
    "high": [101.0, 99.5, 98.0, 97.0],
    "low": [98.5, 98.0, 96.0, 95.0],
    "close": [99.0, 98.0, 97.0, 96.0],
    "open_interest": [50.0, 48.0, np.nan, 45.0],
}
PRICES = ("open", "high", "low", "close")


def table(**changes: Any) -> dict[str, Any]:
    return {**TABLE, **changes}


def equal(a: io.History, b: io.History) -> None:
    assert str(a) == str(b)
    for name in b:
        np.testing.assert_array_equal(a[name], b[name])


def test_a_history_is_read_and_counted() -> None:
    h = io.read_history(TABLE)
    assert h.open.tolist() == [100, 99, 97]
    assert h.high.tolist() == [101, 99.5, 97]
    assert h.low.tolist() == [98.5, 98, 95]
    assert h.close.tolist() == [99, 98, 96]
    assert h.open_interest.tolist() == [50, 48, 45]
    assert h.time.tolist() == [np.datetime64(f"2026-02-05T0{hour}", "ms").item() for hour in (0, 1, 3)]
    assert (h.period, h.rows, h.gaps, h.missing) == (3_600.0, 4, 1, 1)
    assert list(h.dropped.items()) == [("no time", 0), ("no price", 0), ("no open interest", 1)]
    assert str(h) == (
        "3 of 4 rows kept, 3,600 s each, 2026-02-05T00:00:00 to 2026-02-05T03:00:00 UTC; dropped: 1 no open interest; "
        "gaps: 1, missing periods: 1"
    )
    assert repr(h) == f"<History: {h}>"


def test_it_is_a_frozen_mapping_of_its_columns() -> None:
    h = io.read_history(TABLE)
    assert list(h) == ["time", "open", "high", "low", "close", "open_interest"]
    assert len(h) == 6
    assert h["close"] is h.close
    assert pandas.DataFrame(dict(h)).shape == (3, 6)
    with pytest.raises(KeyError):
        h["period"]
    with pytest.raises(ValueError, match="read-only"):
        h.close[0] = 1.0
    again = pickle.loads(pickle.dumps(h))
    equal(again, h)
    assert not again.close.flags.writeable
    assert h != again


def test_the_hidden_book_takes_it_as_it_is() -> None:
    h = io.read_history(TABLE)
    plain = {name: np.array(TABLE[name])[[0, 1, 3]] for name in (*PRICES, "open_interest")}
    a, b = (fp.Book.from_open_interest(history, period=h.period) for history in (h, plain))
    np.testing.assert_array_equal(a.trigger_price, b.trigger_price)
    np.testing.assert_array_equal(a.quantity, b.quantity)
    assert fp.predict_liquidations(h) == fp.predict_liquidations(plain)


@pytest.mark.parametrize("name", ["h.csv", "h.csv.gz", "h.parquet"])
def test_every_file_and_table_reads_the_same(tmp_path: Path, name: str) -> None:
    frame = pandas.DataFrame(TABLE)
    text = frame.to_csv(index=False)
    path = tmp_path / name
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
        frame.to_parquet(path)
    else:
        path.write_bytes(gzip.compress(text.encode()) if name.endswith("gz") else text.encode())
    plain = io.read_history(TABLE)
    for source in (path, str(path), frame, frame.convert_dtypes(), frame.astype(object), frame.to_records(index=False)):
        equal(io.read_history(source), plain)


def test_an_arrow_table_reads_the_same() -> None:
    arrow = pytest.importorskip("pyarrow").table(pandas.DataFrame(TABLE))
    equal(io.read_history(arrow), io.read_history(TABLE))
    equal(io.read_history(arrow.to_reader()), io.read_history(TABLE))


STAMPS = np.array(["2026-02-05T00", "2026-02-05T01", "2026-02-05T02", "2026-02-05T03"], dtype="M8[h]")


@pytest.mark.parametrize(
    "times",
    [
        STAMPS,
        STAMPS.astype("M8[ns]"),
        STAMPS.astype("M8[s]").astype(int),
        STAMPS.astype("M8[s]").astype(float),
        STAMPS.astype("M8[ms]").astype(int),
        STAMPS.astype("M8[us]").astype(int),
        STAMPS.astype("M8[ns]").astype(int),
        STAMPS.astype("M8[ms]").astype(int).astype(str),
        STAMPS.astype("M8[s]").astype(str),
        [f"{stamp}+00:00" for stamp in STAMPS.astype("M8[s]")],
        ["2026-02-05 01:00:00+01:00", "2026-02-05T01:00Z", "2026-02-05 02:00", "2026-02-05T03:00:00.000Z"],
        STAMPS.astype("M8[s]").tolist(),
        pandas.Series(STAMPS.astype("M8[s]")).dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo"),
    ],
    ids=lambda times: str(times[0]) + type(times[0]).__name__,
)
def test_times_of_every_kind(times: Any) -> None:
    equal(io.read_history(table(time=times)), io.read_history(TABLE))
    equal(io.read_history(pandas.DataFrame(table(time=times))), io.read_history(TABLE))


def test_columns_are_found_under_their_usual_names() -> None:
    for what, names in io.HISTORY_COLUMNS.items():
        for name in names:
            renamed = {name if key == what else key: values for key, values in TABLE.items()}
            equal(io.read_history(renamed), io.read_history(TABLE))
            by_hand = {"its own" if key == what else key: values for key, values in TABLE.items()}
            equal(io.read_history(by_hand, {what: "its own"}), io.read_history(TABLE))


def test_a_name_given_comes_before_a_usual_one() -> None:
    source = table(mean=[1.0, 2.0, 3.0, 4.0])
    assert io.read_history(source, {"open_interest": "mean"}).open_interest.tolist() == [1, 2, 3, 4]


def test_open_interest_in_base_units() -> None:
    h = io.read_history(TABLE, unit="base")
    np.testing.assert_allclose(h.open_interest, [50 * 99, 48 * 98, 45 * 96], rtol=1e-15)


def test_a_name_that_says_its_unit_is_taken_for_that_unit() -> None:
    contracts, value = [5.0, 5.0, 5.0, 6.0], [500.0, 490.0, 480.0, 570.0]
    source = {key: values for key, values in TABLE.items() if key != "open_interest"}
    source |= {"sumOpenInterest": contracts, "sumOpenInterestValue": value}
    assert io.read_history(source).open_interest.tolist() == value
    assert io.read_history(source, unit="base").open_interest.tolist() == [495, 490, 485, 576]
    del source["sumOpenInterestValue"]
    with pytest.raises(ValueError, match=r"one of the columns open_interest_usd, .* must be in the table, which has"):
        io.read_history(source)


def test_without_times_the_period_must_be_said() -> None:
    source = {name: TABLE[name] for name in (*PRICES, "open_interest")}
    h = io.read_history(source, period=900)
    assert (h.time, h.period, list(h)) == (None, 900.0, [*PRICES, "open_interest"])
    assert str(h) == "3 of 4 rows kept, 900 s each; dropped: 1 no open interest"
    with pytest.raises(ValueError, match="period must be given for a table without times, was None"):
        io.read_history(source)
    one = {name: values[:1] for name, values in TABLE.items()}
    assert io.read_history(one, period=60).period == 60
    with pytest.raises(ValueError, match="period must be given for a single row, was None"):
        io.read_history(one)


def hours(*at: float) -> dict[str, Any]:
    """A history with rows at these hours."""
    n = len(at)
    prices = dict.fromkeys((*PRICES, "open_interest"), np.full(n, 100.0))
    return {"time": 1.77e9 + 3_600 * np.array(at), **prices}


@pytest.mark.parametrize(
    ("at", "period", "gaps", "missing"),
    [
        ((0, 1, 2, 3), 3_600, 0, 0),
        ((0, 1, 2, 4, 5, 8), 3_600, 2, 3),
        ((0, 1.01, 1.98, 3), 3_636, 0, 0),  # as a poller's clock runs
        ((0, 0.25, 0.5, 0.75, 48), 900, 1, 188),
    ],
)
def test_the_period_and_the_gaps(at: tuple[float, ...], period: float, gaps: int, missing: int) -> None:
    h = io.read_history(hours(*at))
    assert (h.period, h.gaps, h.missing) == (pytest.approx(period), gaps, missing)
    assert ("gaps" in str(h)) == bool(gaps)


def test_what_is_dropped_leaves_gaps() -> None:
    source = hours(0, 1, 2, 3, 4, 5, 6)
    source["time"][1] = np.nan
    source["open"] = np.array([100, 100, 100, 0, 100, 100, 100.0])
    source["open_interest"] = ["1", "", "", "", "1", "1", "nan"]
    h = io.read_history(source)
    assert h.dropped == {"no time": 1, "no price": 1, "no open interest": 2}
    assert (len(h.close), h.rows) == (3, 7)
    assert (h.period, h.gaps, h.missing) == (3_600, 1, 3)


@pytest.mark.parametrize(
    ("source", "arguments", "message"),
    [
        (table(), {"unit": "usd"}, "unit must be 'quote' or 'base', was 'usd'"),
        (table(), {"period": 0}, "period must be positive, was 0.0"),
        (table(), {"period": 36_000}, "column 'time' must be at least half a period of 36000 s after the row before"),
        (table(), {"columns": {"volume": "v"}}, "columns must map some of time, open, .*, was 'volume'"),
        (table(), {"columns": {"open": 1}}, "columns must map to names, was 1 for 'open'"),
        (table(), {"columns": ["open"]}, r"columns must be a mapping, was \['open'\]"),
        (table(), {"columns": {"open": "first"}}, "column 'first' must be in the table, which has time, open"),
        (table(), {"columns": {"time": "when"}}, "column 'when' must be in the table, which has time, open"),
        (table(low=[98.5, 98, 96, -1]), {}, "column 'low' must be a positive number, was -1.0 in data row 4"),
        (table(low=[98.5, 98, 96, 96.5]), {}, "column 'close' must be at least 'low', was 96.0 in data row 4"),
        (table(open=[100, 99, 98, 97.1]), {}, "column 'open' must be at most 'high', was 97.1 in data row 4"),
        (table(high=[101, 99.5, np.inf, 97]), {}, "column 'high' must be a positive number, was inf in data row 3"),
        (
            table(high=[101, 99.5, 98, 1e8]),
            {},
            "column 'high' must be within 1e.06 times the lowest 'low', was 1.*row 4",
        ),
        (table(time=STAMPS[::-1]), {}, r"column 'time' must be later than in the row before .*, was .* in data row 2"),
        (table(time=STAMPS[[0, 1, 1, 2]]), {}, r"column 'time' must be later .* in data row 3"),
        (table(time=STAMPS[[0, 1, 2, 0]]), {}, r"column 'time' must be later .* in data row 4"),
        (table(time=[0, 1, 2, 3]), {}, "column 'time' must be ISO 8601 text or a Unix time, was 1 in data row 2"),
        (table(time=[20260204] * 4), {}, "column 'time' must be ISO 8601 text or a Unix time, was 20260204"),
        (table(time=["5/2/2026"] * 4), {}, "column 'time' must be ISO 8601 .*, was '5/2/2026' in data row 1"),
        (
            table(time=[1.77e9, 1.77e9 + 60, 1.77e9 + 61, 1.77e9 + 120]),
            {"period": 60},
            "column 'time' must be at least",
        ),
        (table(open_interest=[0, 0, "", None]), {}, "source must hold a row with all its values, was 4 rows without"),
        (table(open_interest=[1, 1]), {}, "source must be a mapping of columns of one length"),
        (
            table(open_interest=1e308 * np.ones(4)),
            {"unit": "base"},
            "open_interest x close must be positive and finite",
        ),
        ({}, {}, "one of the columns open, price_open, open_price, Open must be in the table, which has none"),
        ([TABLE], {}, "source must be a path, a pandas DataFrame, an Arrow table, .* or a mapping of columns, was"),
        ("nowhere.csv", {}, "No such file"),
        ("nowhere.txt", {}, "path must end in .csv, .csv.gz or .parquet, was 'nowhere.txt'"),
    ],
)
def test_bad_histories_are_refused(source: Any, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError, FileNotFoundError), match=message):
        io.read_history(source, **arguments)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00\x01", b"time,open\n1,2,3\n", b"time;open\n1;2\n", b"\0" * 50])
def test_files_that_are_not_what_they_say(tmp_path: Path, content: bytes) -> None:
    for name in ("h.csv", "h.csv.gz", "h.parquet"):
        path = tmp_path / name
        path.write_bytes(content)
        assert one_clear_line(lambda path=path: io.read_history(path)), name


@given(st.sampled_from(sorted(TABLE)), odd_values, st.sampled_from(["quote", "base"]))
def test_an_odd_value(column: str, value: Any, unit: Any) -> None:
    frame = {name: [*values[:2], value] if name == column else values[:3] for name, values in TABLE.items()}
    source = pandas.DataFrame({name: as_objects(values) for name, values in frame.items()})
    one_clear_line(lambda: io.read_history(source, unit=unit, period=3_600))


@given(st.lists(st.floats() | st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=4))
def test_times_of_any_numbers(times: list[Any]) -> None:
    source = {name: values[: len(times)] for name, values in TABLE.items()}
    one_clear_line(lambda: io.read_history({**source, "time": times}))


def test_positions_and_depth_take_mappings_of_columns_too() -> None:
    held = io.read_positions({"side": [1, -1], "size": [1, 2], "liq_px": [90, 120]}, price=100)
    assert held.book.trigger_price.tolist() == [90, 120]
    assert io.read_depth({"percentage": [-1, 1], "depth": [10, 20]}).displacement(10) == pytest.approx(
        0.01005, rel=1e-3
    )


def test_the_real_hourly_file_needs_no_mapping() -> None:
    if not HOURLY.exists():
        pytest.skip(f"real data is not here: {HOURLY}")
    h = io.read_history(HOURLY)
    plain = pandas.read_csv(HOURLY)
    assert (h.period, len(h.close), h.rows) == (3_600, 2_078, 2_078)
    assert (h.gaps, h.missing) == (4, 4)
    assert not any(h.dropped.values())
    np.testing.assert_array_equal(h.open_interest, plain.oi_close)
    np.testing.assert_array_equal(h.high, plain.price_high)
    assert str(h.time[0]) == "2025-12-04T06:00:00.000"
    by_text = io.read_history(HOURLY, {"time": "datetime_utc"})
    np.testing.assert_array_equal(by_text.time, h.time)
