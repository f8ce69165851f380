"""Figures of fragility against plain loops, the light by hand, and the back-test of the light on made-up data."""

from __future__ import annotations

import importlib
import json
import math
import pickle
import sys
from dataclasses import FrozenInstanceError
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import flushpoint as fp
import reference
import reference_fragility
from flushpoint import example
from test_response import edges_apart

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared" / "data"
HOURLY = DATA / "btc_hourly_price_liquidations_oi_2025-12_2026-02.csv.gz"
WITHIN = (0.02, 0.1)
VOLATILITY = 0.04
GIVEN = {"within": WITHIN, "funding_rate": 0.003, "daily_volume": 1e5}


def apart(case: reference.Case, prices: list[float]) -> bool:
    """Is no trigger so near to one of the prices that rounding could decide?"""
    finite = [t for t in case.trigger if 0 < t < math.inf]
    return not any(abs(t / p - 1) < 1e-9 for t in finite for p in prices)


def close(found: Any, expected: Any, case: reference.Case, width: float) -> None:
    """Equal, for displacements up to what roundings of volumes make of them."""
    venue = case.venue
    total = sum(case.quantity)
    largest = max(abs(venue.displacement(q, q)) for q in (total, -total))
    scale = 1e-11 * largest / width if math.isfinite(largest) else math.inf
    assert found == pytest.approx(expected, rel=1e-6, abs=scale, nan_ok=True)


@settings(max_examples=50)
@given(case=reference.cases(alive=True), width=st.sampled_from([0.01, 0.05]))
def test_figures_of_both_sides(case: reference.Case, width: float) -> None:
    assume(edges_apart(case))
    shocks = [-0.1, 0.25]
    reach = max(4 * VOLATILITY, math.log(1.25))
    edges = [case.price * math.exp(s * x) for s in (1, -1) for x in (reach, reach + width, width, 2 * VOLATILITY)]
    edges += [case.price * (1 + s * x) for s in (1, -1) for x in WITHIN]
    assume(apart(case, [*edges, case.price * math.exp(-2 * VOLATILITY - width)]))
    f = fp.fragility(case.book(), case.market(), shocks=shocks, width=width, daily_volatility=VOLATILITY, **GIVEN)
    assert f.price == case.price
    assert f.positions == len(case.side)
    for side, found in ((1, f.long), (-1, f.short)):
        told = {**GIVEN, "width": width, "reach": reach}
        expected = reference_fragility.figures(case.positions, case.venue, side, told)
        for name, value in expected.items():
            if name.endswith("reproduction_number"):
                if math.isfinite(value):
                    close(getattr(found, name), value, case, width)
            else:
                assert getattr(found, name) == pytest.approx(value, rel=1e-9, abs=1e-12, nan_ok=True), name
        if math.isfinite(found.largest_reproduction_number):
            again = fp.response(case.book(), case.market()).reproduction_number(found.largest_reproduction_price, width)
            assert again == found.largest_reproduction_number
    risk = np.array([f.long.at_risk, f.short.at_risk])
    for k in range(len(WITHIN)):
        both = risk[0, k] + risk[1, k]
        expected = (risk[0, k] - risk[1, k]) / both if both else math.nan
        assert f.imbalance[k] == pytest.approx(expected, nan_ok=True)


@settings(max_examples=50)
@given(case=reference.cases(alive=True), volatility=st.sampled_from([0.01, 0.03, 0.1]))
def test_the_score_of_an_ordinary_fall(case: reference.Case, volatility: float) -> None:
    assume(edges_apart(case))
    fall = math.exp(-2 * volatility)
    assume(apart(case, [case.price * x for x in (fall, fall * math.exp(-0.01), math.exp(-0.01))]))
    outcome = reference.cascade(case.positions, case.venue, fall - 1, money=False)
    assume(not outcome.doubtful)
    f = fp.fragility(case.book(), case.market(), daily_volatility=volatility)
    expected = reference_fragility.score(case.positions, case.venue, volatility, 0.01)
    assume(math.isfinite(expected))
    close(f.score, expected, case, 0.01)
    if min(abs(f.score - 1), abs(f.score - 0.5)) > 1e-6:
        assert f.light == ("red" if expected >= 1 else "amber" if expected >= 0.5 else "green")
    assert f.ordinary_fall == pytest.approx(fall - 1)
    assert f.ordinary_amplification == pytest.approx(outcome.amplification, rel=1e-6)


def test_outcomes_are_those_of_single_cascades_and_the_grid_is_the_responses() -> None:
    book, market = example.book(), example.market()
    f = fp.fragility(book, market)
    r = fp.response(book, market)
    for k, shock in enumerate(f.shocks):
        c = fp.cascade(book, market, shock)
        assert (f.final_price[k], f.amplification[k]) == (c.final_price, c.amplification)
        assert f.liquidated_notional[k] == c.liquidated_notional
    np.testing.assert_array_equal(f.reproduction_number, r.reproduction_number(f.prices))
    assert f.prices[[0, -1]] == pytest.approx(example.PRICE * np.array([0.8, 1.25]))
    assert f.prices[f.prices.size // 2] == example.PRICE
    assert f.long.largest_reproduction_number >= f.reproduction_number[f.prices <= example.PRICE].max()


def test_by_hand() -> None:
    # 97 falls, its sale takes 1.2 % with it, which reaches 96.5; both: 3.6 %
    book = fp.Book([1, 1, -1], [4.0, 8.0, 5.0], [97.0, 96.5, 108.0], [95.0, 96.0, 110.0])
    f = fp.fragility(
        book,
        fp.Market(100.0, fp.LinearImpact(0.003)),
        shocks=[-0.05],
        daily_volatility=0.02,
        market_value=24_000.0,
        funding_rate=0.001,
        daily_volume=2_400.0,
    )
    assert f.light == "red"
    assert f.score == f.ordinary_reproduction_number == pytest.approx(3.6)
    assert f.long.tipping_shock == f.long.largest_tipping_shock == pytest.approx(-0.03)
    assert math.isnan(f.short.tipping_shock)
    assert f.final_price[0] == pytest.approx(95 * math.exp(-0.036))
    assert f.amplification[0] == pytest.approx(1 + 0.036 / -math.log(0.95))
    assert f.long.at_risk.tolist() == [0.0, 0.0, 1_200.0, 1_200.0]
    assert f.short.at_risk.tolist() == [0.0, 0.0, 0.0, 500.0]
    assert f.imbalance[2:].tolist() == [1.0, 7 / 17]
    assert f.long.days_to_cover[2] == 0.5
    assert f.leverage_ratio == 0.05
    assert f.long.concentration == pytest.approx(5 / 9)
    assert f.short.concentration == f.short.largest_share == 1.0
    assert f.long.leverage == pytest.approx(1_200 / (4 * 5 + 8 * 4))
    assert f.short.leverage == pytest.approx(10.0)
    assert f.long.funding_paid == pytest.approx((1.001**3 - 1) * (4 * 95 + 8 * 96) / 52)
    assert f.short.funding_paid == pytest.approx(-(1.001**3 - 1) * 11)
    assert f.trigger_drift == pytest.approx(3 * math.log(1.001))


@pytest.mark.parametrize(
    ("money", "light"), [(20e9, "green"), (5e9, "green"), (4e9, "amber"), (2.5e9, "amber"), (2.4e9, "red")]
)
def test_the_light_of_the_example_at_less_and_less_depth(money: float, light: str) -> None:
    f = fp.fragility(example.book(), fp.Market(example.PRICE, fp.LinearImpact(0.01 / (money / example.PRICE))))
    assert f.light == light
    assert f.score == pytest.approx((f.ordinary_amplification - 1) / 0.25)


def test_a_tipping_point_within_reach_of_twice_an_ordinary_fall_is_amber() -> None:
    book = fp.Book(1, [3.0, 3.0, 3.0], [91.0, 90.5, 90.0])
    market = fp.Market(100.0, fp.LinearImpact(0.002))
    fall = -math.log(0.91)
    for share, light in ((0.49, "green"), (0.51, "amber"), (0.85, "amber"), (1.01, "red")):
        f = fp.fragility(book, market, daily_volatility=share * fall / 2)
        assert f.light == light, share
    # Runs that move the price by less than the width are none.
    assert math.isnan(fp.fragility(book, market, width=0.02).long.tipping_shock)


def test_the_volatility_and_the_volume_of_a_square_root_are_its_own() -> None:
    book = example.book()
    market = fp.Market(example.PRICE, fp.SquareRootImpact(0.02, 60e9 / example.PRICE))
    f = fp.fragility(book, market)
    assert f.daily_volatility == 0.02
    assert f.long.days_to_cover == pytest.approx(f.long.at_risk / 60e9)
    assert fp.fragility(book, example.market()).daily_volatility == 0.03
    assert np.isnan(fp.fragility(book, example.market()).long.days_to_cover).all()
    assert fp.fragility(book, fp.Market(example.PRICE, fp.SquareRootImpact(0.0, 1e5))).daily_volatility == 0.03


def test_depth_that_is_used_up_is_red() -> None:
    book = fp.Book(1, [3.0, 9.0], [97.0, 96.0])
    f = fp.fragility(book, fp.Market(100.0, fp.EvaporatingImpact(0.05, 2.0)))
    assert f.light == "red"
    assert f.score == math.inf
    assert f.final_price.tolist() == [0.0, 0.0, 0.0]
    assert json.loads(json.dumps(f.to_dict(), allow_nan=False))["score"] is None
    assert "amplified inf times" in str(f)


def test_an_empty_book_and_one_side() -> None:
    empty = fp.fragility(fp.Book([], [], []), example.market(), market_value=1e12)
    assert (empty.light, empty.score, empty.leverage_ratio) == ("green", 0.0, 0.0)
    assert "fragility of 0 positions" in str(empty)
    shorts = fp.fragility(fp.Book(-1, [1.0], [130.0], [131.0]), fp.Market(100.0, fp.LinearImpact(1.0)))
    assert shorts.light == "green"
    assert "longs hold" not in str(shorts)
    never = fp.fragility(fp.Book([1, -1], 1.0, [0.0, np.inf], [0.0, np.inf]), fp.Market(100.0, fp.LinearImpact(1.0)))
    assert math.isnan(never.short.leverage)


def test_stop_orders_are_at_risk_as_they_push_the_price() -> None:
    book = fp.Book(1, 1.0, [90.0, 80.0]).with_stops([99.5, np.nan])
    f = fp.fragility(book, fp.Market(100.0, fp.LinearImpact(0.001)))
    assert f.long.at_risk[0] == 100.0
    assert f.liquidated_notional[0] == 0.0


def test_what_is_printed_says_it() -> None:
    f = fp.fragility(
        example.book(), example.market(), funding_rate=1e-4, daily_volume=60e9, market_value=2.5e12, width=0.005
    )
    text = str(f)
    for part in ("amber (score 0.98)", "an ordinary fall, -5.82%", "amplified 1.25 times", "at risk within 1.00%"):
        assert part in text
    for part in ("imbalance -0.03", "days of volume", "10 largest longs hold 5.2%", "effective leverage: longs 3.89"):
        assert part in text
    assert "open interest / market value: 0.0192" in text
    assert "funding moves triggers by +0.030% a day; longs pay 0.087% of their margin left" in text
    assert repr(f) == "<Fragility: amber, score 0.981, 27,565 positions>"


def test_it_becomes_json_under_the_same_names() -> None:
    f = fp.fragility(example.book(), example.market())
    told = json.loads(json.dumps(f.to_dict(), allow_nan=False))
    assert told["light"] == f.light
    assert told["amplification"] == f.amplification.tolist()
    assert told["leverage_ratio"] is None
    assert told["long"]["days_to_cover"] == [None] * 4
    for name, value in told.items():
        there = getattr(f, name)
        assert isinstance(value, dict) == isinstance(there, fp.SideFragility)
    assert set(told["short"]) == {name for name in vars(f.short) if not name.startswith("_")}


def test_results_are_frozen_and_pickle() -> None:
    f = fp.fragility(example.book(), example.market())
    s = fp.tipping_surface(example.book(), example.market(), [-0.1], [1.0])
    for one in (f, f.long, s):
        again = pickle.loads(pickle.dumps(one))
        assert again.to_dict() == one.to_dict()
        for each in (one, again):
            arrays = [value for value in vars(each).values() if isinstance(value, np.ndarray)]
            assert arrays
            assert not any(array.flags.writeable for array in arrays)
        with pytest.raises(FrozenInstanceError):
            one.price = 1.0
    shocks = np.array([-0.1])
    kept = fp.fragility(example.book(), example.market(), shocks=shocks)
    shocks[0] = -0.5
    assert kept.shocks[0] == -0.1


@settings(max_examples=40)
@given(case=reference.cases(alive=True), rises=st.booleans(), width=st.sampled_from([0.0, 0.01, 0.2]))
def test_the_surface_is_that_of_single_cascades(case: reference.Case, rises: bool, width: float) -> None:
    assume(edges_apart(case))
    shocks = np.array([0.02, 0.1, 0.5]) * (1 if rises else -1)
    depths = np.array([2.0, 1.0, 0.3])
    s = fp.tipping_surface(case.book(), case.market(), shocks, depths, width=width)
    stressed = fp.stress(case.book(), case.market(), shocks, liquidity=depths[:, None])
    assert s.final_price.shape == s.amplification.shape == s.liquidated_notional.shape == (3, 3)
    for name in ("final_price", "amplification", "liquidated_notional"):
        np.testing.assert_array_equal(getattr(s, name).ravel(), getattr(stressed, name))
    for k, depth in enumerate(depths):
        venue = case.venue
        venue.liquidity = depth
        thin = reference.Case(**{**vars(case), "quantity": [q / depth for q in case.quantity]})
        assume(edges_apart(thin))
        expected = reference_fragility.tipping_shocks(case.positions, venue, -1 if rises else 1, width)[0]
        assert s.tipping_shock[k] == pytest.approx(expected, rel=1e-9, abs=1e-9, nan_ok=True)


def test_thinner_books_tip_sooner() -> None:
    s = fp.tipping_surface(example.book(), example.market(), np.linspace(-0.3, -0.01, 30), [0.2, 0.3, 0.4, 0.6, 2.0])
    tips = s.tipping_shock[:4]
    assert (np.diff(tips) < 0).all()
    assert math.isnan(s.tipping_shock[4])
    assert (np.diff(s.final_price, axis=0) >= 0).all()
    assert repr(s) == "<TippingSurface: 5 depths, 30 shocks; 4 depths tip>"
    assert json.loads(json.dumps(s.to_dict(), allow_nan=False))["tipping_shock"][4] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"shocks": [-0.1, 0.0]}, r"^shocks must be above -1, finite and not 0, was 0.0 at index 1"),
        ({"shocks": [-1.0]}, r"^shocks must be above -1, finite and not 0, was -1.0"),
        ({"shocks": []}, r"^shocks must have one dimension and an entry, was of shape \(0,\)"),
        ({"within": 0.1}, r"^within must have one dimension and an entry, was of shape \(\)"),
        ({"within": [0.1, 1.0]}, r"^within must be above 0 and below 1, was 1.0 at index 1"),
        ({"width": 0.0}, r"^width must be at least 1e-09, was 0.0"),
        ({"market_value": 0.0}, r"^market_value must be positive, was 0.0"),
        ({"funding_rate": -1.0}, r"^funding_rate must be above -1, was -1.0"),
        ({"daily_volume": math.nan}, r"^daily_volume must be finite, was nan"),
        ({"daily_volatility": 0.0}, r"^daily_volatility must be at least 1e-06, was 0.0"),
        ({"threads": -1}, r"^threads must be between 0"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fp.fragility(example.book(), example.market(), **arguments)


@pytest.mark.parametrize(
    ("shocks", "liquidity", "message"),
    [
        ([-0.1, 0.1], [1.0], "^shocks must be all falls or all rises, was 0.1 at index 1"),
        ([-0.1, -0.3, -0.2], [1.0], "^shocks must be strictly in order, was -0.2 at index 2"),
        ([-0.1, -0.1], [1.0], "^shocks must be strictly in order, was -0.1 at index 1"),
        ([0.0], [1.0], "^shocks must be above -1, finite and not 0, was 0.0 at index 0"),
        ([-0.1], [1.0, 0.0], "^liquidity must be positive, was 0.0 at index 1"),
        ([-0.1], [0.5, 2.0, 1.0], "^liquidity must be strictly in order, was 1.0 at index 2"),
    ],
)
def test_bad_grids_are_named(shocks: list[float], liquidity: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fp.tipping_surface(example.book(), example.market(), shocks, liquidity)


def test_books_and_markets_that_a_map_refuses() -> None:
    crossed = fp.Book(1, 1.0, [110.0])
    market = fp.Market(100.0, fp.LinearImpact(0.1))
    supported = fp.Market(100.0, fp.LinearImpact(0.1), support=fp.Support(90.0, 1.0))
    for question in (fp.fragility, lambda b, m: fp.tipping_surface(b, m, [-0.1], [1.0])):
        with pytest.raises(ValueError, match="already crossed"):
            question(crossed, market)
        with pytest.raises(ValueError, match="without support"):
            question(fp.Book([], [], []), supported)
        with pytest.raises(TypeError, match="book must be a Book, was str"):
            question("book", market)


# --- the back-test ---
@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "validation"))
    for name in ("fragility", "hidden_book", "page"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return importlib.import_module("fragility")


def test_the_back_test_looks_ahead_only_for_what_follows(command: ModuleType) -> None:
    rng = np.random.default_rng(5)
    close_price = 100 * np.exp(np.cumsum(rng.normal(0, 0.004, 120)))
    opened = np.append(100.0, close_price[:-1])
    history = {
        "open": opened,
        "high": np.maximum(opened, close_price) * 1.002,
        "low": np.minimum(opened, close_price) * 0.998,
        "close": close_price,
        "open_interest": np.full(120, 1e9),
    }
    measured = (rng.exponential(1e6, 120), np.zeros(120))
    made_up = SimpleNamespace(
        history=history, measured=measured, compared=np.arange(120) >= 72, when=np.full(120, "2026-01-01T00:00")
    )
    markets = {"linear": command.linear(1e8)}
    looks = command.look(made_up, markets, every=8, ahead=24)
    assert looks.row.tolist() == [72, 80, 88]
    for k, row in enumerate(looks.row):
        ahead = slice(row + 1, row + 25)
        assert looks.fall[k] == pytest.approx(max(0.0, math.log(close_price[row] / history["low"][ahead].min())))
        assert looks.liquidated[k] == pytest.approx(measured[0][ahead].sum())
        days = [math.log(close_price[row - 24 * i] / close_price[row - 24 * (i + 1)]) for i in range(row // 24)]
        assert looks.volatility[k] == pytest.approx(np.std(days, ddof=1))
    # What comes after a look changes nothing of what it saw.
    for name in history:
        history[name] = np.append(history[name][:89], history[name][89:] * 0.7)
    again = command.look(made_up, markets, every=8, ahead=24)
    np.testing.assert_array_equal(again.score["linear"], looks.score["linear"])
    np.testing.assert_array_equal(again.at_risk, looks.at_risk)
    assert (again.fall > looks.fall).all()


def test_the_back_test_finds_what_was_put_in(command: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "DRAWS", 200)
    rng = np.random.default_rng(1)
    score, fall = rng.uniform(0.0, 1.5, 300), rng.exponential(0.03, 300)
    liquidated = 1e8 * fall * (1 + score) * rng.lognormal(0, 0.1, 300)
    zeros = np.zeros(300)
    looks = command.Looks(
        np.arange(300), np.full(300, "2026-01-01"), {"made up": score}, zeros + 0.02, zeros, fall, liquidated
    )
    value, low, high = command.with_interval(command.rank_correlation, score, fall)
    assert low < 0 < high
    assert low < value < high
    assert command.with_interval(command.rank_where, fall > 0.02, score, liquidated, fall)[1] > 0.8
    red, green = score >= 1, score < 0.5
    value, low, high = command.with_interval(command.ratio, green, red, liquidated, fall)
    assert low < 2.25 / 1.25 < high
    lights = command.light(np.array([0.0, 0.49, 0.5, 0.99, 1.0, np.inf]))
    assert lights.tolist() == ["green", "green", "amber", "amber", "red", "red"]
    for block in (command.colours_block, command.by_colour_block, command.by_third_block, command.hits_block):
        assert "made up" in block(looks)
    assert "daily volatility" in command.ranks_block(looks)


def test_partial_rank_correlation_by_hand(command: ModuleType) -> None:
    rng = np.random.default_rng(2)
    a, b, c = rng.permutation(12.0 + np.arange(20)), rng.permutation(np.arange(20.0)), rng.permutation(np.arange(20.0))
    ab, ac, bc = (command.rank_correlation(*pair) for pair in ((a, b), (a, c), (b, c)))
    expected = (ab - ac * bc) / math.sqrt((1 - ac**2) * (1 - bc**2))
    assert command.rank_correlation(a, b, c) == pytest.approx(expected)
    assert math.isnan(command.rank_correlation(a[:3], b[:3]))
    assert math.isnan(command.rank_correlation(np.ones(20), b))


@pytest.mark.skipif(not HOURLY.exists(), reason=f"needs {HOURLY.name} in {DATA}")
def test_the_page_tells_the_eve_of_the_largest_fall(command: ModuleType) -> None:
    data = command.read_bitcoin(HOURLY, 0)
    row = int(np.flatnonzero(data.when == "2026-02-05T04:00:00.000Z")[0])
    history = {name: values[: row + 25] for name, values in data.history.items()}
    eve = SimpleNamespace(
        history=history, measured=data.measured, compared=np.arange(row + 25) >= row, when=data.when[: row + 25]
    )
    looks = command.look(eve, every=1_000)
    assert len(looks) == 1
    (told,) = command.largest_block(looks).splitlines()[2:]
    page = (ROOT / "docs" / "fragility.md").read_text()
    shown = [cell.split(" (above")[0] for cell in told.split("|")]
    assert shown in [[cell.split(" (above")[0] for cell in line.split("|")] for line in page.splitlines()]


def test_the_page_has_a_place_for_each_block(command: ModuleType) -> None:
    page = (ROOT / "docs" / "fragility.md").read_text()
    for name in command.blocks(None, None):
        importlib.import_module("page").insert(page, name, "", "validation/fragility.py")
