"""What venues' interfaces return: positions of ccxt and Hyperliquid, tiers of ccxt, Binance, Hyperliquid and tables."""

import csv
import json
import math
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import flushpoint as fp
from flushpoint import io

SHARED = Path(__file__).parents[2] / "shared"
POSITIONS = SHARED / "data" / "positions_hyperliquid_2026-02-04T0934.csv.gz"
TIERS = SHARED / "reference" / "tiers.csv"
SCHEDULE = fp.MarginSchedule([0, 300, 800, 3_000], [0.004, 0.005, 0.0065, 0.01])


def real(path: Path) -> Path:
    if not path.exists():
        pytest.skip(f"real data is not here: {path}")
    return path


def ccxt(**changes: Any) -> dict[str, Any]:
    """A position as ccxt has it, most of its keys included."""
    return {
        "info": {"symbol": "BTCUSDT", "positionAmt": "2.000"},
        "id": None,
        "symbol": "BTC/USDT:USDT",
        "timestamp": 1_770_197_667_000,
        "side": "long",
        "contracts": 20.0,
        "contractSize": 0.1,
        "entryPrice": 100.0,
        "markPrice": 99.0,
        "notional": 198.0,
        "leverage": 10.0,
        "collateral": 18.0,
        "initialMargin": 20.0,
        "maintenanceMargin": 0.8,
        "maintenanceMarginPercentage": 0.004,
        "marginMode": "isolated",
        "unrealizedPnl": -2.0,
        "liquidationPrice": 90.4,
        **changes,
    }


def state(*positions: dict[str, Any]) -> dict[str, Any]:
    """An account as Hyperliquid has it."""
    return {
        "marginSummary": {"accountValue": "1000.0", "totalNtlPos": "198.0", "totalMarginUsed": "20.0"},
        "assetPositions": [{"type": "oneWay", "position": p} for p in positions],
        "withdrawable": "0.0",
        "time": 1_770_197_667_000,
    }


def hyperliquid(**changes: Any) -> dict[str, Any]:
    return {
        "coin": "BTC",
        "szi": "2.0",
        "leverage": {"type": "cross", "value": 20},
        "entryPx": "100.0",
        "positionValue": "198.0",
        "unrealizedPnl": "-2.0",
        "liquidationPx": "90.4",
        "marginUsed": "9.9",
        **changes,
    }


# --- ccxt -----------------------------------------------------------------------------------------------------------


def test_ccxt_positions_are_read_and_counted() -> None:
    fetched = [
        ccxt(),
        ccxt(symbol="ETH/USDT:USDT", contracts="?"),
        ccxt(contracts=0.0, side=None, entryPrice=None, markPrice=None, liquidationPrice=None),
        ccxt(side="short", contracts="5", liquidationPrice="110.5", markPrice=99.2),
        ccxt(liquidationPrice=None),
        ccxt(liquidationPrice=0.0, side="short"),
        ccxt(liquidationPrice=99.5),
    ]
    held = io.from_ccxt(fetched, "BTC/USDT:USDT")
    assert (held.coin, held.price, held.rows) == ("BTC/USDT:USDT", 99.0, 6)
    assert held.dropped == {"other coin": 1, "zero size": 1, "no liquidation price": 0, "already crossed": 1}
    assert held.book.side.tolist() == [1, -1, 1, -1]
    np.testing.assert_allclose(held.book.quantity, [2, 0.5, 2, 2])
    assert held.book.trigger_price.tolist() == [90.4, 110.5, 0, np.inf]
    assert held.book.entry_price.tolist() == [100] * 4
    assert held.book.bankruptcy_price is None
    dropped = io.from_ccxt(fetched, "BTC/USDT:USDT", missing_liquidation="drop")
    assert (len(dropped.book), dropped.dropped["no liquidation price"]) == (2, 2)


def test_ccxt_entry_prices_are_kept_if_all_are_known() -> None:
    assert io.from_ccxt([ccxt(), ccxt(entryPrice=None)]).book.entry_price is None


@pytest.mark.parametrize(
    ("symbol", "inverse"),
    [
        ("BTC/USDT:USDT", False),
        ("BTC/USD:BTC", True),
        ("BTC/USD:BTC-261225", True),
        ("BTC/USDC:USDC-261225-90000-P", False),
        ("BTC/USDT", False),
    ],
)
def test_the_symbol_says_what_contract_it_is(symbol: str, inverse: bool) -> None:
    held = io.from_ccxt([ccxt(symbol=symbol, contractSize=10.0)])
    assert held.book.quantity[0] == pytest.approx(200 / 90.4 if inverse else 200)


def test_a_third_coin_must_be_explained() -> None:
    with pytest.raises(ValueError, match=r"contract must be given .* was None for 'ETH/USD:BTC'"):
        io.from_ccxt([ccxt(symbol="ETH/USD:BTC")])
    assert io.from_ccxt([ccxt(symbol="ETH/USD:BTC")], contract="linear").book.quantity.tolist() == [2]


def test_inverse_positions_that_never_close_are_worth_their_entry() -> None:
    fetched = [
        ccxt(symbol="BTC/USD:BTC", contractSize=10.0, side="short", liquidationPrice=None),
        ccxt(symbol="BTC/USD:BTC", contractSize=10.0, side="short", liquidationPrice=None, entryPrice=None),
    ]
    np.testing.assert_allclose(io.from_ccxt(fetched).book.quantity, [2, 200 / 99])


positions = st.tuples(
    st.sampled_from([1, -1]), st.floats(0.01, 100), st.floats(50, 200), st.floats(0.4, 100), st.booleans()
)


@given(st.lists(positions, min_size=1, max_size=12), st.sampled_from(["linear", "inverse"]))
def test_liquidation_and_bankruptcy_prices_are_those_of_the_margin_arithmetic(
    drawn: list[tuple[int, float, float, float, bool]], contract: str
) -> None:
    side, size, entry, leverage, told = (np.array(column) for column in zip(*drawn, strict=True))
    book = fp.Book.from_positions(side, size, entry, leverage=leverage, schedule=SCHEDULE, contract=contract)
    known = (book.trigger_price > 0) & (book.trigger_price < np.inf)
    fetched = [
        ccxt(
            symbol="X/Y:X" if contract == "inverse" else "X/Y:Y",
            side="long" if s > 0 else "short",
            contracts=q,
            contractSize=1.0,
            entryPrice=e,
            leverage=lev,
            liquidationPrice=float(t) if told and k else None,
        )
        for s, q, e, lev, told, t, k in zip(side, size, entry, leverage, told, book.trigger_price, known, strict=True)
    ]
    # A price at which nobody is crossed does not exist; take one, and look at those who are left.
    price = 100.0
    held = io.from_ccxt(fetched, price=price, schedule=SCHEDULE)
    left = np.where(side > 0, book.trigger_price < price, book.trigger_price > price)
    np.testing.assert_allclose(held.book.trigger_price, book.trigger_price[left], rtol=1e-12)
    np.testing.assert_allclose(held.book.quantity, book.quantity[left], rtol=1e-12)
    some = known[left]
    np.testing.assert_allclose(held.book.bankruptcy_price[some], book.bankruptcy_price[left][some], rtol=1e-9)
    assert held.completed == np.count_nonzero(left & known & ~told)
    assert held.crossed == np.count_nonzero(~left)
    every = io.from_ccxt(fetched, price=price, schedule=SCHEDULE, missing_liquidation="drop")
    assert every.dropped["no liquidation price"] == np.count_nonzero(~known)


def test_the_margin_is_taken_from_what_is_known() -> None:
    def trigger(**changes: Any) -> float:
        held = io.from_ccxt([ccxt(liquidationPrice=None, **changes)], schedule=SCHEDULE)
        return float(held.book.trigger_price[0])

    def by_margin(margin: float) -> Any:
        return pytest.approx(fp.liquidation_price(1, 2.0, 100.0, margin, SCHEDULE))

    assert trigger() == by_margin(20.0)
    assert trigger(leverage=5) == by_margin(40.0)
    assert trigger(leverage=None, initialMargin=15.0) == by_margin(15.0)
    assert trigger(leverage=None, initialMargin=None) == by_margin(18.0)
    assert trigger(leverage=None, initialMargin=None, collateral=None) == 0
    assert trigger(entryPrice=None) == 0


BAD_CCXT = [
    ([], {}, ValueError, "positions must hold at least one position, was empty"),
    ({"symbol": "X"}, {}, TypeError, "positions must be a list, was {'symbol': 'X'}"),
    ([None], {}, TypeError, r"positions\[0\] must be a mapping, was None"),
    ([{}], {}, ValueError, r"positions\[0\] must have 'symbol', has nothing"),
    ([ccxt(symbol=None)], {}, TypeError, r"positions\[0\].symbol must be a name, was None"),
    (
        [ccxt(), ccxt(symbol="Z")],
        {},
        ValueError,
        "symbol must be given where there are several, was None: BTC/USDT:USDT",
    ),
    ([ccxt()], {"symbol": "Z"}, ValueError, "symbol must be one of BTC/USDT:USDT, was 'Z'"),
    ([ccxt(), ccxt(contracts=-1)], {}, ValueError, r"positions\[1\].contracts must be a number of at least 0, was -1"),
    ([ccxt(contracts=None)], {}, ValueError, r"positions\[0\].contracts must be a number of at least 0, was None"),
    ([ccxt(contracts=True)], {}, ValueError, r"positions\[0\].contracts must be a number of at least 0, was True"),
    ([ccxt(contracts=10**400)], {}, ValueError, r"positions\[0\].contracts must be a number of at least 0, was 1000"),
    (
        [ccxt(contracts=1e308, contractSize=10)],
        {},
        ValueError,
        r"positions\[0\].contracts must be finite times contract",
    ),
    ([ccxt(contracts=1e308)] * 30, {}, ValueError, "quantity must have a finite sum"),
    ([ccxt(contractSize=0)], {}, ValueError, r"positions\[0\].contractSize must be positive, was 0"),
    ([ccxt(side="both")], {}, ValueError, r"positions\[0\].side must be \+1, -1, long, short, buy or sell, was 'both'"),
    ([ccxt(liquidationPrice=math.nan)], {}, ValueError, r"positions\[0\].liquidationPrice must be .*, was nan"),
    ([ccxt(liquidationPrice=-3)], {}, ValueError, r"positions\[0\].liquidationPrice must be .*, was -3"),
    ([ccxt(markPrice=None)], {}, ValueError, "price must be given where no position has a mark price, was None"),
    ([ccxt(), ccxt(markPrice=3)], {}, ValueError, "markPrice must hold the price of one moment, was 3 to 99"),
    ([ccxt()], {"price": "x"}, TypeError, "price must be a real number, was 'x'"),
    ([ccxt()], {"contract": "x"}, ValueError, "contract must be 'linear' or 'inverse', was 'x'"),
    ([ccxt()], {"schedule": 0.1}, TypeError, "schedule must be a MarginSchedule, was 0.1"),
    ([ccxt()], {"missing_liquidation": None}, ValueError, "missing_liquidation must be 'never' or 'drop', was None"),
]


@pytest.mark.parametrize(("fetched", "arguments", "error", "message"), BAD_CCXT)
def test_bad_ccxt_positions_are_refused(fetched: Any, arguments: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match="^" + message):
        io.from_ccxt(fetched, **arguments)


# --- Hyperliquid ----------------------------------------------------------------------------------------------------


def test_hyperliquid_states_are_read_and_counted() -> None:
    states = [
        state(hyperliquid(), hyperliquid(coin="ETH", szi="?")),
        state(),
        state(hyperliquid(szi="-0.5", liquidationPx="110.5", positionValue="49.6")),
        state(hyperliquid(szi="0.0", liquidationPx=None, entryPx=None)),
        state(hyperliquid(liquidationPx=None), hyperliquid(liquidationPx="99.5")),
    ]
    held = io.from_hyperliquid(states, coin="BTC", schedule=fp.MarginSchedule.flat(0.0125))
    assert (held.coin, held.price, held.rows) == ("BTC", 99.0, 5)
    assert held.dropped == {"other coin": 1, "zero size": 1, "no liquidation price": 0, "already crossed": 1}
    assert held.book.side.tolist() == [1, -1, 1]
    assert held.book.quantity.tolist() == [2, 0.5, 2]
    assert held.book.trigger_price.tolist() == [90.4, 110.5, 0]
    assert held.book.entry_price.tolist() == [100] * 3
    np.testing.assert_allclose(held.book.bankruptcy_price[:2], [90.4 * 0.9875, 110.5 * 1.0125])
    dropped = io.from_hyperliquid(states, {"BTC": "98.5"}, coin="BTC", missing_liquidation="drop")
    assert (dropped.price, len(dropped.book)) == (98.5, 2)
    assert dropped.dropped["no liquidation price"] == 1
    assert io.from_hyperliquid(state(hyperliquid())).rows == 1  # one account alone


BAD_HYPERLIQUID = [
    (None, {}, TypeError, "states must be a list, was None"),
    ([], {}, ValueError, "states must hold at least one position, was without any"),
    ([state()], {}, ValueError, "states must hold at least one position, was without any"),
    ([state(), 5], {}, TypeError, r"states\[1\] must be a mapping, was 5"),
    ({"marginSummary": {}}, {}, ValueError, r"states\[0\] must have 'assetPositions', has marginSummary"),
    ({"assetPositions": 5}, {}, TypeError, r"states\[0\].assetPositions must be a list, was 5"),
    ({"assetPositions": [{}]}, {}, ValueError, r"states\[0\].assetPositions\[0\] must have 'position', has nothing"),
    (state(hyperliquid(coin=1)), {}, TypeError, r"states\[0\].assetPositions\[0\].position.coin must be a name, was 1"),
    (
        state(hyperliquid(szi="many")),
        {},
        ValueError,
        r"states\[0\].assetPositions\[0\].position.szi must be a number, was",
    ),
    (state(hyperliquid(szi="1e400")), {}, ValueError, r"states.*.szi must be a number, was '1e400'"),
    (state(hyperliquid(entryPx=None)), {}, ValueError, r"states.*.entryPx must be a number of at least 0, was None"),
    (state(hyperliquid(liquidationPx="-1")), {}, ValueError, r"states.*.liquidationPx must be .*, was '-1'"),
    (state(hyperliquid(szi="1e-320")), {}, ValueError, r"states.*.positionValue must be a price times szi, was inf"),
    (state(hyperliquid(szi="0")), {}, ValueError, "mark_prices must be given where no position has a mark price"),
    (
        [state(hyperliquid()), state(hyperliquid(positionValue="9"))],
        {},
        ValueError,
        "positionValue / szi must hold the price of one moment, was 4.5 to 99: give mark_prices",
    ),
    (state(hyperliquid()), {"mark_prices": 99.0}, TypeError, "mark_prices must be a mapping, was 99.0"),
    (state(hyperliquid()), {"mark_prices": {"ETH": 1}}, ValueError, "mark_prices must have 'BTC', has ETH"),
    (state(hyperliquid()), {"mark_prices": {"BTC": "0"}}, ValueError, "mark_prices.BTC must be positive, was '0'"),
    (state(hyperliquid()), {"coin": "XMR"}, ValueError, "coin must be one of BTC, was 'XMR'"),
]


@pytest.mark.parametrize(("states", "arguments", "error", "message"), BAD_HYPERLIQUID)
def test_bad_hyperliquid_states_are_refused(states: Any, arguments: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match="^" + message):
        io.from_hyperliquid(states, **arguments)


@pytest.mark.parametrize("coin", ["BTC", "ETH", "HYPE"])
def test_a_real_snapshot_reads_the_same_in_every_form(coin: str) -> None:
    pandas = pytest.importorskip("pandas")
    path = real(POSITIONS)
    table = pandas.read_csv(path)
    schedule = io.read_tiers(real(TIERS), venue="hyperliquid").get(coin, fp.MarginSchedule.flat(0.05))
    accounts = defaultdict(list)
    fetched = []
    for row in table.itertuples():
        none = math.isnan(row.liq_px)
        accounts[row.trader_id].append(
            hyperliquid(
                coin=row.coin,
                szi=repr(row.side * row.size),
                entryPx=repr(row.entry_px),
                positionValue=repr(row.size * row.mark_px),
                liquidationPx=None if none else repr(row.liq_px),
            )
        )
        fetched.append(
            ccxt(
                symbol=f"{row.coin}/USDC:USDC",
                side="long" if row.side > 0 else "short",
                contracts=row.size,
                contractSize=1.0,
                entryPrice=row.entry_px,
                markPrice=row.mark_px,
                liquidationPrice=None if none else row.liq_px,
                leverage=None,
                initialMargin=None,
                collateral=None,
            )
        )
    held = io.read_positions(path, coin=coin, schedule=schedule)
    others = [
        io.from_hyperliquid([state(*positions) for positions in accounts.values()], coin=coin, schedule=schedule),
        io.from_ccxt(fetched, f"{coin}/USDC:USDC", schedule=schedule),
    ]
    for other in others:
        assert other.price == pytest.approx(held.price, rel=1e-12)
        assert other.dropped == held.dropped
        for column in ("quantity", "trigger_price", "bankruptcy_price", "entry_price"):
            mine, theirs = (np.sort(getattr(p.book, column)) for p in (held, other))  # accounts come in another order
            np.testing.assert_allclose(theirs, mine, rtol=1e-12, err_msg=column)


# --- tiers ----------------------------------------------------------------------------------------------------------

schedules = st.lists(
    st.tuples(st.integers(1, 10**6), st.integers(1, 500)), unique_by=lambda tier: tier[0], min_size=1, max_size=8
)


def as_schedule(drawn: list[tuple[int, int]]) -> fp.MarginSchedule:
    floors = [0, *sorted(floor for floor, _ in drawn[1:])]
    return fp.MarginSchedule(floors, sorted(rate / 1_000 for _, rate in drawn))


def tiers_in_every_form(schedule: fp.MarginSchedule) -> dict[str, Any]:
    floor, rate, deduction = (column.tolist() for column in (schedule.floor, schedule.rate, schedule.deduction))
    caps = [*floor[1:], None]
    rows = list(zip(floor, caps, rate, deduction, strict=True))
    binance = [
        {"bracket": k + 1, "notionalFloor": f, "notionalCap": c or 1e9, "maintMarginRatio": r, "cum": d}
        for k, (f, c, r, d) in enumerate(rows)
    ]
    coin = [{"qtylFloor": b["notionalFloor"], "qtyCap": b["notionalCap"], **b} for b in binance]
    for bracket in coin:
        del bracket["notionalFloor"], bracket["notionalCap"]
    hyperliquid = [{"lowerBound": str(f), "maxLeverage": 0.5 / r} for f, _, r, _ in rows]
    return {
        "ccxt": {
            "X": [
                {"tier": k + 1, "minNotional": f, "maxNotional": c, "maintenanceMarginRate": r, "maxLeverage": 5}
                for k, (f, c, r, _) in enumerate(rows)
            ]
        },
        "Binance": [{"symbol": "X", "notionalCoef": 1.5, "brackets": binance}],
        "Binance, one symbol": {"symbol": "X", "brackets": binance[::-1]},
        "Binance, coin-margined": [{"pair": "X", "brackets": coin}],
        "Hyperliquid": {
            "universe": [{"name": "X", "maxLeverage": 50, "marginTableId": 56}],
            "marginTables": [[56, {"description": "tiered", "marginTiers": hyperliquid}]],
        },
    }


@given(schedules)
def test_tiers_read_the_same_in_every_form(drawn: list[tuple[int, int]]) -> None:
    schedule = as_schedule(drawn)
    for name, data in tiers_in_every_form(schedule).items():
        (symbol, read), *rest = io.read_tiers(data).items()
        assert (symbol, rest) == ("X", []), name
        np.testing.assert_array_equal(read.floor, schedule.floor, err_msg=name)
        np.testing.assert_allclose(read.rate, schedule.rate, rtol=1e-14, err_msg=name)


def test_tiers_come_from_files(tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    schedule = as_schedule([(1, 4), (5_000, 5), (90_000, 10)])
    for name, data in tiers_in_every_form(schedule).items():
        path = tmp_path / "tiers.json"
        path.write_text(json.dumps(data))
        assert io.read_tiers(path).keys() == {"X"}, name
    table = tmp_path / "tiers.csv"
    rows = ["symbol,notional_floor,maint_rate", "X,90000,0.01", "Y,0,0.02", "X,0,0.004", "X,5000,0.005"]
    table.write_text("\n".join(rows) + "\n")
    read = io.read_tiers(table)
    assert read["X"].floor.tolist() == [0, 5_000, 90_000]
    assert read["Y"] == fp.MarginSchedule.flat(0.02)


def test_hyperliquid_tables_go_by_coin_or_by_id() -> None:
    tables = [[56, {"description": "tiered 40x", "marginTiers": [
        {"lowerBound": "0.0", "maxLeverage": 40}, {"lowerBound": "150000000.0", "maxLeverage": 20}]}]]  # fmt: skip
    universe = [
        {"name": "BTC", "szDecimals": 5, "maxLeverage": 40, "marginTableId": 56},
        {"name": "ATOM", "szDecimals": 2, "maxLeverage": 5, "marginTableId": 5},
    ]
    by_id = io.read_tiers({"marginTables": tables})
    assert by_id["56"].deduction.tolist() == [0, 1_875_000]
    by_coin = io.read_tiers({"universe": universe, "marginTables": tables})
    assert by_coin == {"BTC": by_id["56"], "ATOM": fp.MarginSchedule.flat(0.1)}


def test_all_tiers_of_the_venues() -> None:
    pytest.importorskip("pandas")
    path = real(TIERS)
    with path.open() as file:
        rows = list(csv.DictReader(file))
    for venue in {row["venue"] for row in rows}:
        read = io.read_tiers(path, venue=venue)
        mine = [row for row in rows if row["venue"] == venue]
        assert read.keys() == {row["symbol"] for row in mine}
        for symbol, schedule in read.items():
            given_floors = [float(row["notional_floor"]) for row in mine if row["symbol"] == symbol]
            assert schedule.floor.tolist() == given_floors
            amounts = [float(row["maint_amount"]) for row in mine if row["symbol"] == symbol]
            np.testing.assert_allclose(schedule.deduction, amounts, rtol=1e-9, atol=1e-6)
    with pytest.raises(ValueError, match="venue must be given where there are several, was None: binance"):
        io.read_tiers(path)


def brackets(*rows: tuple[Any, Any, Any, Any]) -> list[dict[str, Any]]:
    keys = ("notionalFloor", "notionalCap", "maintMarginRatio", "cum")
    return [{"symbol": "X", "brackets": [dict(zip(keys, row, strict=True)) for row in rows]}]


BAD_TIERS = [
    ({}, ValueError, "source must hold the tiers of at least one symbol, was without any"),
    ({"X": []}, ValueError, r"source\['X'\]: tiers must hold at least one tier, was empty"),
    ({"X": None}, TypeError, r"source\['X'\] must be a list, was None"),
    ({"code": -1121, "msg": "Invalid symbol."}, TypeError, r"source\['code'\] must be a list, was -1121"),
    ({"X": [{"minNotional": 0}]}, ValueError, r"source\['X'\]\[0\] must have 'maintenanceMarginRate', has minNotional"),
    (brackets((0, 5, 0.1, 0), (6, 9, 0.2, 0.6)), ValueError, r"source\[0\].brackets: tiers must adjoin"),
    (
        brackets((0, 5, 0.1, 0), (5, 9, 0.2, 0.6)),
        ValueError,
        r"source\[0\].brackets: the deduction must be 0.5, .* was 0.6",
    ),
    (brackets((0, 5, 0.1, 1)), ValueError, r"source\[0\].brackets: the deduction must be 0, .* was 1 in tier 1"),
    (brackets((0, 5, 0.2, 0), (5, 9, 0.1, 0)), ValueError, r"source\[0\].brackets: rate must be not decreasing"),
    (brackets((0, 5, "x", 0)), ValueError, r"source\[0\].brackets\[0\].maintMarginRatio must be .*, was 'x'"),
    (brackets((math.nan, 5, 0.1, 0)), ValueError, r"source\[0\].brackets\[0\].notionalFloor must be .*, was nan"),
    (brackets((0, 5, 0.1, 0)) * 2, ValueError, r"source\[1\].symbol must come once, was 'X' again"),
    ([{"symbol": "X"}], ValueError, r"source\[0\] must have 'brackets', has symbol"),
    ({"marginTables": [[1]]}, ValueError, r"source.marginTables\[0\] must be a pair of id and table, was of length 1"),
    (
        {"marginTables": [[1, {"marginTiers": [{"lowerBound": "0", "maxLeverage": 0}]}]]},
        ValueError,
        r"source.marginTables\[0\]\[1\].marginTiers\[0\].maxLeverage must be positive, was 0",
    ),
    (5, TypeError, "source must be a path, a pandas DataFrame"),
    ("tiers.txt", ValueError, "path must end in .json, .csv, .csv.gz or .parquet, was 'tiers.txt'"),
]


@pytest.mark.parametrize(("data", "error", "message"), BAD_TIERS)
def test_bad_tiers_are_refused(data: Any, error: type[Exception], message: str) -> None:
    pytest.importorskip("pandas")
    with pytest.raises(error, match="^" + message):
        io.read_tiers(data)


def test_a_venue_is_for_tables_only() -> None:
    with pytest.raises(ValueError, match=r"^venue must be None where the source is of one venue, was 'binance'"):
        io.read_tiers(brackets((0, 5, 0.1, 0)), venue="binance")


def test_structures_need_no_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    assert io.from_ccxt([ccxt()]).rows == io.from_hyperliquid(state(hyperliquid())).rows == 1
    assert io.read_tiers(brackets((0, 5, 0.1, 0))).keys() == {"X"}
