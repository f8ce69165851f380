"""A market at rest: where a trade leaves the price, and what it fetches."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import flushpoint as fp
import reference


@given(case=reference.cases(max_size=2), share=st.floats(-2.0, 2.0))
def test_price_after_and_proceeds(case: reference.Case, share: float) -> None:
    market, venue = case.market(), case.venue
    quantity = share * (sum(case.quantity) or 1.0)
    money = venue.trade(quantity)
    assume(venue.wobble() < 1e-11)
    if abs(venue.displacement()) < 300 or math.isinf(venue.displacement()):
        assert market.price_after(quantity) == pytest.approx(venue.traded_price(), rel=1e-10)
        assert market.proceeds(quantity) == pytest.approx(money, rel=1e-10, abs=1e-300)


def test_defaults() -> None:
    market = fp.Market(100.0, fp.LinearImpact(1e-4))
    assert market.price == 100.0
    assert market.half_life == math.inf
    assert (market.permanent, market.spread, market.mark_weight) == (0.0, 0.0, 1.0)
    assert market == fp.Market(100.0, fp.LinearImpact(1e-4))
    assert market != fp.Market(100.0, fp.LinearImpact(2e-4))
    assert hash(market) == hash(fp.Market(100.0, fp.LinearImpact(1e-4)))
    with pytest.raises(dataclasses.FrozenInstanceError):
        market.price = 3.0  # type: ignore[misc]
    assert dataclasses.replace(market, spread=0.01).spread == 0.01
    assert isinstance(fp.Market(100, fp.LinearImpact(0)).price, float)


def test_price_after() -> None:
    market = fp.Market(100.0, fp.LinearImpact(1e-4), permanent=1e-4)
    assert market.price_after(0.0) == 100.0
    assert market.price_after(1_000.0) == pytest.approx(100 * math.exp(-0.2), rel=1e-14)
    quantities = np.array([[-1000.0, 0.0], [500.0, 1e3]])
    np.testing.assert_allclose(market.price_after(quantities), 100 * np.exp(-2e-4 * quantities), rtol=1e-14)
    assert isinstance(market.price_after(3.0), float)


def test_spread_and_direction() -> None:
    flat = fp.Market(50.0, fp.LinearImpact(0.0), spread=0.02)
    assert flat.proceeds(3.0) == pytest.approx(150 * 0.99, rel=1e-14)
    assert flat.proceeds(-3.0) == pytest.approx(-150 * 1.01, rel=1e-14)
    assert flat.price_after(3.0) == 50.0
    assert flat.proceeds(0.0) == 0.0
    np.testing.assert_allclose(flat.proceeds([1.0, -1.0]), [49.5, -50.5], rtol=1e-14)


def test_a_permanent_part_adds_to_any_impact() -> None:
    for name in reference.SHAPES:
        rng = np.random.default_rng(2)
        for strength in (0.1, 0.6):
            case = reference.Case([], [], [], None, 100.0, reference.random_impact(rng, name, 10.0, strength),
                                  permanent=0.03, spread=0.01)  # fmt: skip
            for quantity in (0.01, 3.0, -0.2, -4.0):
                venue = case.venue
                expected = venue.trade(quantity)
                assert case.market().proceeds(quantity) == pytest.approx(expected, rel=1e-11), (name, quantity)


def test_a_round_trip_costs_the_spread_alone() -> None:
    for name in reference.SHAPES:
        impact = reference.random_impact(np.random.default_rng(4), name, 10.0, 0.3)
        case = reference.Case([], [], [], None, 100.0, impact)
        engine = getattr(fp, name)(**impact[1])
        assert case.market().proceeds(2.0) == pytest.approx(-100 * engine.proceeds(-2.0, 2.0), rel=1e-12)


def test_enormous_trades_are_answered() -> None:
    for name in reference.SHAPES:
        impact = reference.random_impact(np.random.default_rng(4), name, 10.0, 0.3)
        market = reference.Case([], [], [], None, 100.0, impact).market()
        assert 0 <= market.price_after(1e290) < 100
        assert market.price_after(-1e290) == math.inf or market.price_after(-1e290) > 100
        assert 0 <= market.proceeds(1e290) < math.inf
        assert market.proceeds(-1e290) < 0
    assert fp.Market(100.0, fp.LinearImpact(1.0)).price_after(-1e4) == math.inf
    assert fp.Market(100.0, fp.EvaporatingImpact(1.0, 1.0)).price_after([2.0, -2.0]).tolist() == [0.0, math.inf]


def test_it_prints() -> None:
    text = str(fp.Market(126_000.0, fp.SquareRootImpact(0.03, 5e5), half_life=30.0, permanent=1e-9, spread=1e-4))
    assert "126,000" in text
    assert "30 s" in text
    for name in reference.SHAPES:
        impact = reference.random_impact(np.random.default_rng(4), name, 10.0, 0.3)
        assert str(reference.Case([], [], [], None, 100.0, impact).market())
