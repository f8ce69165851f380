"""Reading positions and depth profiles from tables: what is kept, what is refused, and with which words."""

import doctest
import gzip
import importlib
import math
import pickle
import pkgutil
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import flushpoint as fp
from flushpoint import io, readers

pandas = pytest.importorskip("pandas")

DATA = Path(__file__).parents[2] / "shared" / "data"
POSITIONS = DATA / "positions_hyperliquid_2026-02-04T0934.csv.gz"
DEPTH = DATA / "btc_depth_profile_2025-10-10.csv.gz"

HEADER = "coin,side,size,entry_px,mark_px,liq_px\n"
ROWS = (
    "BTC,1,2.0,101,100,80\n"
    "BTC,-1,3.0,99,100,125\n"
    "ETH,1,50,10,10,8\n"
    "BTC,1,1.0,100,100,\n"
    "BTC,-1,4.0,100,100.2,\n"
    "BTC,1,5.0,120,100,100.5\n"
)


def real(path: Path) -> Path:
    if not path.exists():
        pytest.skip(f"real data is not here: {path}")
    return path


def write(directory: Path, text: str, name: str = "positions.csv") -> Path:
    path = directory / name
    path.write_text(text)
    return path


def depth_file(directory: Path, rows: str) -> Path:
    return write(directory, "timestamp,percentage,depth\n" + rows, "depth.csv")


def test_positions_are_read_and_counted(tmp_path: Path) -> None:
    held = io.read_positions(write(tmp_path, HEADER + ROWS), coin="BTC", maintenance_rate=0.01)
    assert (held.coin, held.price) == ("BTC", 100.0)
    assert (held.rows, held.crossed, held.other_coins) == (5, 1, 1)
    assert held.book.side.tolist() == [1, -1, 1, -1]
    assert held.book.quantity.tolist() == [2, 3, 1, 4]
    assert held.book.trigger_price.tolist() == [80, 125, 0, np.inf]
    assert held.book.entry_price.tolist() == [101, 99, 100, 100]
    np.testing.assert_allclose(held.book.bankruptcy_price[:2], [80 * 0.99, 125 * 1.01])


def test_without_a_maintenance_rate_bankruptcy_prices_are_unknown(tmp_path: Path) -> None:
    held = io.read_positions(write(tmp_path, HEADER + ROWS), coin="BTC")
    assert held.book.bankruptcy_price is None


def test_the_price_can_be_given(tmp_path: Path) -> None:
    held = io.read_positions(write(tmp_path, HEADER + ROWS), coin="BTC", price=110.0)
    assert (held.price, held.crossed) == (110.0, 0)
    assert len(held.book) == 5


@pytest.mark.parametrize("name", ["p.csv", "p.csv.gz", "p.parquet", "P.CSV"])
def test_every_file_type_reads_the_same(tmp_path: Path, name: str) -> None:
    if name.endswith(".parquet"):
        pytest.importorskip("pyarrow")
    source = write(tmp_path, HEADER + ROWS, "source.csv")
    path = tmp_path / name
    if name.endswith(".parquet"):
        pandas.read_csv(source).to_parquet(path)
    elif name.endswith(".gz"):
        path.write_bytes(gzip.compress(source.read_bytes()))
    else:
        path.write_bytes(source.read_bytes())
    held, plain = (io.read_positions(p, coin="BTC") for p in (path, source))
    for column in ("side", "quantity", "trigger_price", "entry_price"):
        np.testing.assert_array_equal(getattr(held.book, column), getattr(plain.book, column))


@pytest.mark.parametrize(("long", "short"), [("long", "short"), ("Buy", "SELL"), ("+1", "-1"), (" 1.0", "-1.0")])
def test_sides_in_words_or_numbers(tmp_path: Path, long: str, short: str) -> None:
    text = HEADER + f"BTC,{long},1,100,100,80\nBTC,{short},1,100,100,120\n"
    assert io.read_positions(write(tmp_path, text)).book.side.tolist() == [1, -1]


def test_columns_can_be_named_and_needless_ones_left_out(tmp_path: Path) -> None:
    path = write(tmp_path, "dir,qty,liquidation\nlong,2,80\nshort,1,0\n")
    columns = {"side": "dir", "size": "qty", "liquidation_price": "liquidation"}
    held = io.read_positions(path, columns=columns, price=100.0)
    assert (held.coin, held.rows, held.other_coins) == ("", 2, 0)
    assert held.book.trigger_price.tolist() == [80, np.inf]
    assert held.book.entry_price is None


def test_a_single_coin_needs_no_name(tmp_path: Path) -> None:
    assert io.read_positions(write(tmp_path, HEADER + "SOL,1,1,100,100,80\n")).coin == "SOL"


@pytest.mark.parametrize(
    ("rows", "arguments", "message"),
    [
        (ROWS, {"coin": "XMR"}, "coin must be one of BTC, ETH, was 'XMR'"),
        (ROWS, {"coin": 5}, "coin must be one of BTC, ETH, was 5"),
        (ROWS, {}, "coin must be given where there are several, was None: BTC, ETH"),
        (ROWS, {"coin": "BTC", "columns": {"size": "qty"}}, "column 'qty' must be in the file, which has coin, side"),
        (ROWS, {"coin": "BTC", "columns": {"entry_price": "open"}}, "column 'open' must be in the file"),
        (ROWS, {"coin": "BTC", "columns": {"sizes": "qty"}}, "columns must map some of coin, side, .*, was 'sizes'"),
        (ROWS, {"coin": "BTC", "price": 0.0}, "price must be positive, was 0.0"),
        (ROWS, {"coin": "BTC", "price": np.nan}, "price must be finite, was nan"),
        (ROWS, {"coin": "BTC", "maintenance_rate": 1.0}, r"maintenance_rate must be in \(0, 1\), was 1"),
        (
            ROWS,
            {"coin": "BTC", "maintenance_rate": 0.1, "schedule": fp.MarginSchedule.flat(0.1)},
            "maintenance_rate must be None where a schedule is given, was 0.1",
        ),
        (
            ROWS,
            {"coin": "BTC", "missing_liquidation": "keep"},
            "missing_liquidation must be 'never' or 'drop', was 'keep'",
        ),
        ("", {}, "path must hold data rows, was a table without any"),
        ("BTC,1,-3,1,1,1\n", {}, "column 'size' must be a number of at least 0, was -3 in data row 1"),
        ("BTC,1,0,1,1,1\n", {}, "price must be given where no position has a mark price, was None"),
        ("BTC,1,1,1,1,1\n,1,1,1,1,1\n", {}, "column 'coin' must be a name, was empty in data row 2"),
        ("ETH,1,1,1,1,1\nBTC,1,,1,1,1\n", {"coin": "BTC"}, "column 'size' must be .*, was nan in data row 2"),
        ("BTC,1,much,1,1,1\n", {}, "column 'size' must be a number of at least 0, was 'much' in data row 1"),
        ("BTC,up,1,1,1,1\n", {}, r"column 'side' must be \+1, -1, long, short, buy or sell, was 'up' in data row 1"),
        ("BTC,,1,1,1,1\n", {}, "column 'side' must be .*, was nan in data row 1"),
        ("BTC,2,1,1,1,1\n", {}, "column 'side' must be .*, was 2 in data row 1"),
        ("BTC,1,1,1,1,-5\n", {}, "column 'liq_px' must be a positive number, was -5 in data row 1"),
        ("BTC,1,1,1,1,soon\n", {}, "column 'liq_px' must be a positive number, was 'soon' in data row 1"),
        ("BTC,1,1,1,inf,1\n", {}, "column 'mark_px' must be a positive number, was inf in data row 1"),
        ("BTC,1,1,1,100,1\nBTC,1,1,1,90,1\n", {}, "column 'mark_px' must hold the price of one moment, was 90 to 100"),
    ],
)
def test_bad_positions_are_refused(tmp_path: Path, rows: str, arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        io.read_positions(write(tmp_path, HEADER + rows), **arguments)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("p.txt", b"", r"path must end in .csv, .csv.gz or .parquet, was '.*p.txt'"),
        ("p.csv", b"", "path must be a CSV file that can be read, was '.*p.csv'"),
        ("p.csv", b"\xff\xfe\x00\x01\x02", "path must be a CSV file that can be read"),
        ("p.csv.gz", b"coin,side\n", "path must be a CSV file that can be read"),
        ("p.csv.gz", gzip.compress(HEADER.encode() * 100)[:-20], "path must be a CSV file that can be read"),
        ("p.parquet", b"coin,side\n", "path must be a Parquet file that can be read"),
    ],
)
def test_files_that_are_not_what_they_say(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        io.read_positions(path)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        io.read_positions(tmp_path / "nowhere.csv")


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(ValueError, match="path must be a CSV file that can be read"):
        io.read_positions(tmp_path / "folder.csv")


def test_without_pandas_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r'pip install "flushpoint\[io\]"'):
        io.read_positions(write(tmp_path, HEADER + ROWS))


def test_depth_is_the_mean_over_snapshots_on_both_sides(tmp_path: Path) -> None:
    path = depth_file(tmp_path, "t0,-1,10\nt0,-2,30\nt0,1,20\nt0,2,40\nt1,-1,30\nt1,-2,50\nt1,1,20\nt1,2,60\n")
    impact = io.read_depth(path)
    assert isinstance(impact, fp.DepthImpact)
    bids, asks = impact.displacement([20.0, 40.0]), impact.displacement([-20.0, -50.0])
    np.testing.assert_allclose(bids, -np.log1p([-0.01, -0.02]), rtol=1e-14)
    np.testing.assert_allclose(asks, -np.log1p([0.01, 0.02]), rtol=1e-14)
    # straight between the levels, and on with the last slope beyond them, on both sides
    np.testing.assert_allclose(impact.displacement([10.0]), [-np.log1p(-0.01) / 2], rtol=1e-14)
    step = np.log1p(-0.01) - np.log1p(-0.02)
    np.testing.assert_allclose(impact.displacement([60.0]), [-np.log1p(-0.02) + step], rtol=1e-13)
    step = np.log1p(0.02) - np.log1p(0.01)
    np.testing.assert_allclose(impact.displacement([-80.0]), [-np.log1p(0.02) - step], rtol=1e-13)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("t,-1,10\n", "column 'percentage' must hold asks"),
        ("t,1,10\n", "column 'percentage' must hold bids"),
        ("t,-1,10\nt,0,1\nt,1,10\n", "column 'percentage' must be other than 0, was 0 in data row 2"),
        ("t,-100,10\nt,1,10\n", "column 'percentage' must be above -100, was -100 in data row 1"),
        ("t,-1,10\nt,1,0\n", "column 'depth' must be a positive number, was 0 in data row 2"),
        ("t,-1,10\nt,-2,10\nt,1,10\n", "column 'depth' must grow with distance, was 10 then 10 for bids"),
        ("t,-1,ten\nt,1,10\n", "column 'depth' must be a positive number, was 'ten' in data row 1"),
    ],
)
def test_bad_depth_is_refused(tmp_path: Path, rows: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        io.read_depth(depth_file(tmp_path, rows))


def test_positions_are_no_depth_profile(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="column 'percentage' must be in the file, which has coin, side, size"):
        io.read_depth(write(tmp_path, HEADER + ROWS))


# --- what is dropped ------------------------------------------------------------------------------------------------

EVERY_REASON = (
    "BTC,1,2.0,101,100,80\n"  # kept
    "ETH,up,?,,,\n"  # of another coin: nothing more is asked
    "BTC,up,0,,,\n"  # size 0: nothing more is asked
    "BTC,1,0.0,1,1,1\n"
    "BTC,1,1.0,101,100,\n"  # none
    "BTC,-1,1.0,101,100,0\n"  # none as well
    "BTC,-1,1.0,101,100,100\n"  # crossed
)


def test_every_reason_is_counted(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER + EVERY_REASON)
    held = io.read_positions(path, coin="BTC", missing_liquidation="drop")
    assert held.rows == 6
    assert list(held.dropped.items()) == [
        ("other coin", 1),
        ("zero size", 2),
        ("no liquidation price", 2),
        ("already crossed", 1),
    ]
    assert (held.other_coins, held.crossed, held.completed) == (1, 1, 0)
    assert held.book.trigger_price.tolist() == [80]
    words = "BTC at 100: 1 of 6 positions kept; dropped: 2 zero size, 2 no liquidation price, 1 already crossed; "
    assert str(held) == words + "left out: 1 of other coins"
    assert repr(held) == f"<Positions: {held}>"

    kept = io.read_positions(path, coin="BTC")
    assert kept.dropped["no liquidation price"] == 0
    assert kept.book.trigger_price.tolist() == [80, 0, np.inf]
    assert str(io.read_positions(path, coin="BTC", price=90)).endswith(
        "4 of 6 positions kept; dropped: 2 zero size; left out: 1 of other coins"
    )


def test_the_result_survives_pickling(tmp_path: Path) -> None:
    held = io.read_positions(write(tmp_path, HEADER + ROWS), coin="BTC")
    again = pickle.loads(pickle.dumps(held))
    assert (str(again), dict(again.dropped)) == (str(held), dict(held.dropped))


rows_of_a_table = st.tuples(
    st.sampled_from(["BTC", "ETH"]),
    st.sampled_from([1, -1]),
    st.sampled_from([0.0, 0.5, 3.0]),
    st.sampled_from([math.nan, 0.0, 50.0, 99.9, 100.0, 100.1, 200.0]),
)


@given(st.lists(rows_of_a_table, min_size=1, max_size=30), st.sampled_from(["never", "drop"]))
def test_the_counts_add_up_and_the_rest_is_the_book(rows: list[tuple], missing: str) -> None:
    table = pandas.DataFrame(rows, columns=["coin", "side", "size", "liq_px"])
    before = table.copy()
    held = io.read_positions(table, coin=rows[0][0], price=100, missing_liquidation=missing)
    pandas.testing.assert_frame_equal(table, before)

    counts, triggers = dict.fromkeys(held.dropped, 0), []
    for coin, side, size, liquidation in rows:
        never = math.isnan(liquidation) or liquidation == 0
        if coin != rows[0][0]:
            counts["other coin"] += 1
        elif not size:
            counts["zero size"] += 1
        elif never and missing == "drop":
            counts["no liquidation price"] += 1
        elif not never and side * liquidation >= side * 100:
            counts["already crossed"] += 1
        else:
            triggers.append(liquidation if not never else 0.0 if side > 0 else math.inf)
    assert held.dropped == counts
    assert held.book.trigger_price.tolist() == triggers
    assert held.rows == len(triggers) + sum(counts.values()) - counts["other coin"] == len(rows) - counts["other coin"]
    assert len(held.book.alive(100)) == len(triggers)


# --- sources --------------------------------------------------------------------------------------------------------


class ArrowOnly:
    """A table of which nothing is known but the Arrow interface."""

    def __init__(self, table: object) -> None:
        self.table = table

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self.table.__arrow_c_stream__(requested_schema)


def sources(table: object) -> dict[str, object]:
    arrow = pytest.importorskip("pyarrow").Table.from_pandas(table)
    codes = arrow["coin"].combine_chunks().dictionary_encode()
    unsigned = type(codes).from_arrays(codes.indices.cast("uint32"), codes.dictionary)  # as polars has them
    text = table.assign(size=table["size"].astype(str)).astype(object)
    records = table.to_records(index=False)
    fixed = [(n, "S6" if n in ("coin", "side") else ">f8") for n in records.dtype.names]
    return {
        "DataFrame": table,
        "rows numbered otherwise": table.set_index(np.arange(len(table))[::-1]),
        "objects and text": text,
        "nullable": table.convert_dtypes(),
        "categories": table.assign(coin=table["coin"].astype("category"), side=table["side"].astype("category")),
        "Arrow table": arrow,
        "Arrow reader": arrow.to_reader(),
        "Arrow interface": ArrowOnly(arrow),
        "Arrow dictionary": arrow.set_column(0, "coin", unsigned),
        "structured": records,
        "structured, big endian and bytes": records.astype(fixed),
    }


def test_every_source_reads_the_same(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER + ROWS)
    table = pandas.read_csv(path)
    table["side"] = np.where(table["side"] > 0, "long", "short")
    plain = io.read_positions(path, coin="BTC", maintenance_rate=0.01)
    for name, source in sources(table).items():
        held = io.read_positions(source, coin="BTC", maintenance_rate=0.01)
        assert held.dropped == plain.dropped, name
        for column in ("side", "quantity", "trigger_price", "bankruptcy_price", "entry_price"):
            np.testing.assert_array_equal(getattr(held.book, column), getattr(plain.book, column), err_msg=name)


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_bytes(b"\xef\xbb\xbf" + (HEADER + ROWS).encode())
    assert io.read_positions(path, coin="BTC").rows == 5


def test_a_file_so_long_that_pandas_reads_it_in_pieces_of_different_types(tmp_path: Path) -> None:
    pieces = "7,1,1.5,101,100,80\n" * 60_000 + "BTC,long,2,101,100,\n" + "7,short,2.5,101,100,120\n" * 60_000
    path = write(tmp_path, HEADER + pieces)
    held = io.read_positions(path, coin="7")
    assert (len(held.book), held.other_coins, held.book.quantity.sum()) == (120_000, 1, 240_000)
    write(tmp_path, HEADER + pieces + "7,1,?,101,100,80\n")
    with pytest.raises(ValueError, match=r"column 'size' must be .*, was '\?' in data row 120002"):
        io.read_positions(path, coin="7")


def test_a_schedule_gives_bankruptcy_prices_by_tier() -> None:
    schedule = fp.MarginSchedule([0, 150, 400], [0.01, 0.02, 0.05])
    side, entry = np.array([1, -1, 1, -1, 1]), 100.0
    size = np.array([1.0, 2.0, 5.0, 8.0, 3.0])
    book = fp.Book.from_positions(side, size, entry, leverage=[20, 10, 5, 4, 0.5], schedule=schedule)
    table = {"side": side, "size": size, "liq_px": np.where(book.trigger_price > 0, book.trigger_price, np.nan)}
    held = io.read_positions(pandas.DataFrame(table), price=100, schedule=schedule)
    np.testing.assert_allclose(held.book.bankruptcy_price, book.bankruptcy_price, rtol=1e-12)


# --- real data ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [POSITIONS.name, "positions_hyperliquid_2026-02-06T1951.csv.gz"])
def test_real_positions(name: str) -> None:
    path = real(DATA / name)
    table = pandas.read_csv(path)
    for coin in ("BTC", "ETH", "SOL", "HYPE"):
        held = io.read_positions(path, coin=coin)
        mine = table[table.coin == coin]
        assert held.rows == len(mine) == len(held.book) + held.crossed
        assert held.rows + held.other_coins == len(table)
        none = io.read_positions(path, coin=coin, missing_liquidation="drop").dropped["no liquidation price"]
        assert none == mine.liq_px.isna().sum()
        notional = sum(held.book.open_interest(held.price))
        assert notional <= mine.notional_usd.sum() * 1.001
        if not held.crossed:
            assert notional == pytest.approx(mine.notional_usd.sum(), rel=1e-3)


def test_real_depth() -> None:
    path = real(DEPTH)
    mean = pandas.read_csv(path).groupby("percentage").depth.mean()
    impact = io.read_depth(path)
    for percent, quantity in mean.items():
        at = impact.displacement(-np.sign(percent) * quantity)
        assert at == pytest.approx(-np.log1p(percent / 100), rel=1e-12)


@pytest.mark.parametrize("name", [m.name for m in pkgutil.iter_modules(readers.__path__)])
def test_docstring_examples_of_the_readers(name: str) -> None:
    assert doctest.testmod(importlib.import_module(f"flushpoint.readers.{name}")).failed == 0
