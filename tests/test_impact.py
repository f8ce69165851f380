"""Impact families: displacement, inverse and proceeds against the reference and against closed forms."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import flushpoint as fp
import reference

IMPACTS: list[tuple[str, dict[str, Any]]] = [
    ("LinearImpact", {"coefficient": 0.02}),
    ("LinearImpact", {"coefficient": 1e-9}),
    ("LinearImpact", {"coefficient": 40.0}),
    ("PowerImpact", {"coefficient": 0.05, "exponent": 0.5}),
    ("PowerImpact", {"coefficient": 0.05, "exponent": 0.2}),
    ("PowerImpact", {"coefficient": 0.05, "exponent": 0.6}),
    ("PowerImpact", {"coefficient": 0.02, "exponent": 1.0}),
    ("PowerImpact", {"coefficient": 0.004, "exponent": 1.5}),
    ("PowerImpact", {"coefficient": 0.002, "exponent": 2.0}),
    ("PowerImpact", {"coefficient": 1e-4, "exponent": 2.41}),
    ("PowerImpact", {"coefficient": 1e-5, "exponent": 3.7}),
    ("SquareRootImpact", {"daily_volatility": 0.03, "daily_volume": 500.0}),
    ("SquareRootImpact", {"daily_volatility": 0.9, "daily_volume": 50.0, "core": 3.0}),
    ("SquareRootImpact", {"daily_volatility": 0.9, "daily_volume": 5.0, "prefactor": 1.5, "core": 1e-4}),
    ("SquareRootImpact", {"daily_volatility": 0.9, "daily_volume": 5.0, "prefactor": 0.3, "core": 1e6}),
    ("DepthImpact", {"distance": [0.01], "bid_quantity": [2.0]}),
    ("DepthImpact", {"distance": [0.01, 0.05, 0.2], "bid_quantity": [5.0, 6.0, 30.0]}),
    (
        "DepthImpact",
        {"distance": [1e-3, 1.0, 2.5], "bid_quantity": [1.0, 1.001, 9.0], "ask_quantity": [0.5, 20.0, 21.0]},
    ),
    ("EvaporatingImpact", {"coefficient": 0.004, "thinning": 8.0}),
    ("EvaporatingImpact", {"coefficient": 0.02, "thinning": 1.0}),
    ("EvaporatingImpact", {"coefficient": 0.2, "thinning": 0.3}),
]
NAMES = [f"{name}-{i}" for i, (name, _) in enumerate(IMPACTS)]
each_impact = pytest.mark.parametrize(("name", "arguments"), IMPACTS, ids=NAMES)


def pair(name: str, arguments: dict[str, Any]) -> tuple[Any, reference.Shape]:
    return getattr(fp, name)(**arguments), reference.SHAPES[name](**arguments)


def safe_range(shape: reference.Shape) -> float:
    """The largest volume to try: inside the pole, where there is one."""
    return min([40.0, *(0.999 * abs(c) for c in shape.corners if math.isinf(shape(c)))])


@each_impact
def test_displacement(name: str, arguments: dict[str, Any]) -> None:
    impact, shape = pair(name, arguments)
    limit = safe_range(shape)
    rng = np.random.default_rng(1)
    volume = np.concatenate([[0.0], rng.uniform(-limit, limit, 101), 10 ** rng.uniform(-12, 0, 20), [limit, -limit]])
    corners = [c for c in shape.corners if abs(c) <= limit]
    volume = np.concatenate([volume, corners])
    got = impact.displacement(volume)
    np.testing.assert_allclose(got, [shape(v) for v in volume], rtol=2e-13, atol=1e-300)
    assert impact.displacement(0.0) == 0.0
    assert isinstance(impact.displacement(1.5), float)
    assert impact.displacement(1.5) == impact.displacement(np.array([1.5]))[0]
    np.testing.assert_array_equal(impact.displacement(volume[:100].reshape(4, 25)), got[:100].reshape(4, 25))
    assert impact.displacement(np.zeros((0,))).shape == (0,)
    assert (np.diff(impact.displacement(np.sort(volume))) >= 0).all()


@each_impact
def test_inverse(name: str, arguments: dict[str, Any]) -> None:
    impact, shape = pair(name, arguments)
    limit = safe_range(shape)
    volume = np.concatenate([np.linspace(-limit, limit, 81), [1e-3, -1e-3]])
    moved = impact.displacement(volume)
    np.testing.assert_allclose(impact.inverse(moved), volume, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(impact.displacement(impact.inverse(moved)), moved, rtol=1e-11, atol=1e-300)
    assert impact.inverse(0.0) == 0.0
    assert isinstance(impact.inverse(0.01), float)
    assert impact.inverse(np.full((2, 3), 0.01)).shape == (2, 3)


@each_impact
@pytest.mark.parametrize("volume", [0.0, 0.7, 11.0, -0.7, -13.0])
def test_proceeds(name: str, arguments: dict[str, Any], volume: float) -> None:
    impact, shape = pair(name, arguments)
    limit = safe_range(shape)
    volume = volume * limit / 40
    quantity = np.array([1e-9, 1e-4, 0.01, 0.5, 1.0, 7.0, 24.0, -1e-7, -0.3, -2.0, -20.0]) * limit / 40
    expected = []
    for q in quantity:
        venue = reference.Venue(1.0, shape)
        venue.recovering = volume
        expected.append(venue.trade(float(q)))
    got = impact.proceeds(quantity, volume)
    np.testing.assert_allclose(got, expected, rtol=1e-11)
    assert isinstance(impact.proceeds(1.0, volume), float)
    assert impact.proceeds(0.0, volume) == 0.0
    assert impact.proceeds(quantity[:, None], np.array([volume, 0.0])).shape == (quantity.size, 2)
    np.testing.assert_array_equal(impact.proceeds(quantity[:, None], np.array([volume, 0.0]))[:, 0], got)


@each_impact
def test_splitting_a_sale_changes_nothing(name: str, arguments: dict[str, Any]) -> None:
    impact, shape = pair(name, arguments)
    limit = safe_range(shape)
    edges = np.concatenate([np.linspace(-limit, limit, 50), [-1e-6, 0.0, 1e-6]])
    edges.sort()
    pieces = impact.proceeds(np.diff(edges), edges[:-1])
    assert math.fsum(pieces) == pytest.approx(impact.proceeds(edges[-1] - edges[0], edges[0]), rel=1e-12)
    back = impact.proceeds(-np.diff(edges), edges[1:])
    np.testing.assert_allclose(-back, pieces, rtol=1e-11)


@each_impact
def test_liquidity_scales_volumes(name: str, arguments: dict[str, Any]) -> None:
    impact, shape = pair(name, arguments)
    limit = safe_range(shape) / 4
    volume = np.array([-1.0, -0.1, 0.0, 0.3, 1.0]) * limit
    for liquidity in (0.5, 1.0, 3.0):
        np.testing.assert_allclose(
            impact.displacement(volume, liquidity=liquidity), [shape(v / liquidity) for v in volume], rtol=2e-13
        )
        moved = impact.displacement(volume, liquidity=liquidity)
        np.testing.assert_allclose(impact.inverse(moved, liquidity=liquidity), volume, rtol=1e-9, atol=1e-9)
        venue = reference.Venue(1.0, shape, liquidity=liquidity)
        venue.recovering = 0.3 * limit
        expected = venue.trade(-0.9 * limit)
        assert impact.proceeds(-0.9 * limit, 0.3 * limit, liquidity=liquidity) == pytest.approx(expected, rel=1e-12)


@given(
    impact=reference.impacts(10.0),
    volume=st.floats(-15.0, 15.0),
    quantity=st.one_of(st.floats(-20.0, 20.0), st.floats(-1e-6, 1e-6)),
)
def test_any_impact(impact: tuple[str, dict[str, Any]], volume: float, quantity: float) -> None:
    engine, shape = pair(*impact)
    poles = [c for c in shape.corners if math.isinf(shape(c))]
    ends = (volume, volume + quantity)
    if any(abs(abs(e) / p - 1) < 1e-3 for e in ends for p in poles[:1]):
        return
    assert engine.displacement(volume) == pytest.approx(shape(volume), rel=1e-12, abs=1e-300)
    venue = reference.Venue(1.0, shape)
    venue.recovering = volume
    expected = venue.trade(quantity)
    if abs(shape(volume)) < 300 or math.isinf(shape(volume)):
        assert engine.proceeds(quantity, volume) == pytest.approx(expected, rel=1e-10, abs=1e-300)


def test_the_square_root_is_the_power_one_half() -> None:
    square = fp.SquareRootImpact(0.03, 900.0, 0.8)
    half = fp.PowerImpact(0.8 * 0.03 / 30.0, 0.5)
    volume = np.linspace(-50, 50, 101)
    np.testing.assert_allclose(square.displacement(volume), half.displacement(volume), rtol=1e-14)
    np.testing.assert_allclose(square.proceeds(3.0, volume), half.proceeds(3.0, volume), rtol=1e-12)


def test_a_depth_profile_is_its_points() -> None:
    distance, bid, ask = [0.01, 0.03, 0.2], [4.0, 5.0, 30.0], [1.0, 8.0, 9.0]
    impact = fp.DepthImpact(distance, bid, ask)
    np.testing.assert_allclose(impact.displacement(bid), distance, rtol=1e-15)
    np.testing.assert_allclose(impact.displacement(-np.array(ask)), -np.array(distance), rtol=1e-15)
    assert impact.displacement(2.0) == pytest.approx(0.005)
    assert impact.displacement(55.0) == pytest.approx(0.2 + 0.17)
    assert impact.displacement(-10.0) == pytest.approx(-0.2 - 0.17)
    twice = fp.DepthImpact(distance, bid)
    np.testing.assert_allclose(twice.displacement(-np.array(bid)), -np.array(distance), rtol=1e-15)


def test_a_depth_profile_keeps_its_own_copy() -> None:
    distance, bid = np.array([0.01, 0.02]), np.array([1.0, 2.0])
    impact = fp.DepthImpact(distance, bid)
    bid[:] = 7.0
    distance[:] = 7.0
    assert impact.displacement(2.0) == pytest.approx(0.02)
    for name in ("distance", "bid_quantity", "ask_quantity"):
        assert not getattr(impact, name).flags.writeable


@pytest.mark.parametrize("thinning", [0.3, 1.0, 8.0])
def test_an_empty_book(thinning: float) -> None:
    impact = fp.EvaporatingImpact(0.02, thinning)
    pole = 1 / (0.02 * thinning)
    assert impact.displacement([pole * (1 + 1e-9), 1e300]).tolist() == [math.inf] * 2
    assert impact.displacement([-pole * (1 + 1e-9), -1e300]).tolist() == [-math.inf] * 2
    assert impact.inverse(1e300) == pytest.approx(pole)
    all_of_it = 1 / (0.02 * (1 + thinning))
    assert impact.proceeds(2 * pole) == pytest.approx(all_of_it, rel=1e-13)
    assert impact.proceeds(5.0, 2 * pole) == 0.0
    assert impact.proceeds(-3.5 * pole, 2 * pole) == -math.inf
    assert impact.proceeds(-2 * pole, 3 * pole) == pytest.approx(0.0, abs=1e-12)
    assert impact.proceeds(-2.5 * pole, 3 * pole) == pytest.approx(-impact.proceeds(pole, 0.5 * pole), rel=1e-12)


def test_very_large_and_very_small_volumes() -> None:
    for name, arguments in IMPACTS:
        impact, _ = pair(name, arguments)
        with np.errstate(all="raise"):
            moved = impact.displacement([1e-300, 1e300, -1e300, 1e-12])
            money = impact.proceeds([1e-300, 1e300, 1e-12])
            paid = impact.proceeds([-1e3, -1e6, -1e12, -1e300])
            later = impact.proceeds([1.0, -1.0, 1e6, -1e6], np.array([[1e8], [-1e8], [1e250], [-1e250]]))
        assert moved[1] > 0 > moved[2]
        assert not np.isnan(moved).any()
        assert (money >= 0).all(), name
        assert money[2] == pytest.approx(1e-12, rel=1e-3)
        assert (paid < 0).all(), name  # -inf where the price leaves all bounds, but never nan
        assert (later[:, ::2] >= 0).all(), name
        assert (later[:, 1::2] <= 0).all(), name


@each_impact
@pytest.mark.parametrize("bad", [math.inf, -math.inf, math.nan])
def test_what_is_not_finite_is_refused(name: str, arguments: dict[str, Any], bad: float) -> None:
    impact, _ = pair(name, arguments)
    for argument, call in (
        ("volume", lambda: impact.displacement([0.0, bad])),
        ("displacement", lambda: impact.inverse([0.0, bad])),
        ("quantity", lambda: impact.proceeds([0.0, bad])),
        ("volume", lambda: impact.proceeds(1.0, [0.0, bad])),
    ):
        with pytest.raises(ValueError, match=rf"^{argument} must be finite, was {bad} at index 1$"):
            call()


@each_impact
def test_they_are_frozen_and_equal_by_value(name: str, arguments: dict[str, Any]) -> None:
    impact, _ = pair(name, arguments)
    assert impact == getattr(fp, name)(**arguments)
    assert hash(impact) == hash(getattr(fp, name)(**arguments))
    assert dataclasses.is_dataclass(impact)
    for field in arguments:
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(impact, field, 1.0)
    other = {**arguments, next(iter(arguments)): np.array(next(iter(arguments.values()))) * 1.5}
    assert impact != getattr(fp, name)(**other)


def test_no_impact() -> None:
    for impact in (fp.LinearImpact(0.0), fp.PowerImpact(0.0, 0.5), fp.SquareRootImpact(0.0, 1.0),
                   fp.EvaporatingImpact(0.0, 1.0)):  # fmt: skip
        assert impact.displacement([-5.0, 0.0, 5.0]).tolist() == [0.0, 0.0, 0.0]
        assert impact.proceeds(5.0, 3.0) == pytest.approx(5.0, rel=1e-14)
        assert impact.inverse(0.0) == 0.0
        assert impact.inverse([0.1, -0.1]).tolist() == [math.inf, -math.inf]
