"""The reference against the model's specification where that is at hand, and against closed forms."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import reference

SPECIFICATION = Path(__file__).resolve().parents[1].parent / "shared" / "reference" / "model.py"


@pytest.fixture(scope="module")
def model() -> ModuleType:
    if not SPECIFICATION.exists():
        pytest.skip(f"the model's specification is not at {SPECIFICATION}")
    spec = importlib.util.spec_from_file_location("specification", SPECIFICATION)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def impact_of(model: ModuleType, case: reference.Case):
    name, arguments = case.impact
    if name == "LinearImpact":
        return model.linear(arguments["coefficient"])
    if name == "PowerImpact":
        return model.power(arguments["coefficient"], arguments["exponent"])
    if name == "SquareRootImpact":
        return model.square_root(**arguments)
    if name == "DepthImpact":
        arrays = {k: np.array(v) for k, v in arguments.items()}
        return model.depth_profile(arrays["distance"], arrays["bid_quantity"], arrays.get("ask_quantity"))
    return model.evaporating(arguments["coefficient"], arguments["thinning"])


def compare(model: ModuleType, case: reference.Case, liquidity: float = 1.0) -> bool:
    """False if the case proves nothing."""
    venue = case.venue
    venue.liquidity = liquidity
    mine = reference.cascade(case.positions, venue, **case.question)
    # the specification integrates with one rule over a whole trade and multiplies 0 by inf at an empty book
    if mine.doubtful or mine.exhausted:
        return False
    state = model.State(
        case.price, impact_of(model, case), permanent=case.permanent, spread=case.spread,
        mark_weight=case.mark_weight, liquidity=liquidity,
    )  # fmt: skip
    n = len(case.side)
    owed = np.zeros(n) if case.bankruptcy is None else np.array(case.bankruptcy)
    columns = np.array(case.side, int), np.array(case.quantity), np.array(case.trigger)
    with np.errstate(all="ignore"):
        final, closed, out = model.cascade(*columns, owed, state, **case.question)
    assert closed.tolist() == mine.closed
    assert final == pytest.approx(mine.final_price, rel=1e-9)
    assert out["low"] == pytest.approx(mine.low_price, rel=1e-9)
    assert out["high"] == pytest.approx(mine.high_price, rel=1e-9)
    assert len(out["waves"]) == len(mine.waves)
    for theirs, own in zip(out["waves"], mine.waves, strict=True):
        assert theirs == pytest.approx(own, rel=1e-9)
    totals = mine.totals(case.positions)
    smooth = case.impact[0] == "LinearImpact"  # else its one rule over corners is rough; closed forms below are not
    tolerance = (1e-9 if smooth else 2e-2) * mine.gross(case.positions)
    assert out["proceeds"] == pytest.approx(totals["proceeds"], rel=0, abs=tolerance)
    if case.bankruptcy is not None:
        assert out["shortfall"] == pytest.approx(totals["shortfall"], rel=0, abs=tolerance)
        assert out["surplus"] == pytest.approx(totals["surplus"], rel=0, abs=tolerance)
    return True


@given(case=reference.cases(), liquidity=st.sampled_from([1.0, 1.0, 0.5, 3.0]))
def test_reference_equals_the_specification(model: ModuleType, case: reference.Case, liquidity: float) -> None:
    assume(compare(model, case, liquidity))


@pytest.mark.parametrize("family", list(reference.SHAPES))
def test_reference_equals_the_specification_on_larger_books(model: ModuleType, family: str) -> None:
    compared = 0
    for seed in range(12):
        case = reference.random_case(seed, 30 + seed, family=family)
        compared += compare(model, case)
    assert compared >= 6


@pytest.mark.parametrize("family", list(reference.SHAPES))
def test_shapes_equal_the_specification(model: ModuleType, family: str) -> None:
    rng = np.random.default_rng(5)
    for _ in range(10):
        impact = reference.random_impact(rng, family, 10.0, 0.5)
        theirs = impact_of(model, reference.Case([], [], [], None, 1.0, impact))
        shape = reference.SHAPES[family](**impact[1])
        for volume in [0.0, *rng.uniform(-25, 25, 20), *rng.normal(0, 1e-6, 5)]:
            expected = theirs(float(volume))
            if math.isinf(expected):
                assert shape(volume) == expected
            else:
                assert shape(volume) == pytest.approx(expected, rel=1e-9, abs=1e-15)


def test_a_path_without_moves_keeps_recovering(model: ModuleType) -> None:
    venue = reference.Venue(100.0, reference.power(0.1, 0.5), permanent=0.01, half_life=30.0)
    state = model.State(100.0, model.power(0.1, 0.5), permanent=0.01, half_life=30.0)
    venue.trade(2.0)
    state.trade(2.0)
    venue.advance(45.0)
    state.advance(45.0)
    assert venue.traded_price() == pytest.approx(state.price, rel=1e-14)


# --- the integral, against closed forms ---
@pytest.mark.parametrize("coefficient", [1e-6, 0.1, 3.0, 200.0])
@pytest.mark.parametrize("quantity", [1e-3, 1.0, 7.0])
def test_money_with_linear_impact(coefficient: float, quantity: float) -> None:
    venue = reference.Venue(100.0, reference.linear(coefficient))
    expected = -100 * math.expm1(-coefficient * quantity) / coefficient
    assert venue.trade(quantity) == pytest.approx(expected, rel=2e-14)


@pytest.mark.parametrize("coefficient", [1e-3, 0.1, 3.0, 40.0])
def test_money_with_square_root_impact(coefficient: float) -> None:
    venue = reference.Venue(1.0, reference.power(coefficient, 0.5))
    a = coefficient * math.sqrt(5.0)
    series = sum((-a) ** k * 2 / ((k + 2) * math.factorial(k)) for k in range(30)) * 5.0
    closed = 2 / coefficient**2 * (1 - (1 + a) * math.exp(-a))
    assert venue.trade(5.0) == pytest.approx(series if a < 0.1 else closed, rel=1e-13)


@pytest.mark.parametrize(("thinning", "share"), [(0.3, 0.5), (1.0, 0.99), (2.0, 1.0), (8.0, 1.5)])
def test_money_until_the_book_is_empty(thinning: float, share: float) -> None:
    coefficient = 0.02
    pole = 1 / (thinning * coefficient)
    quantity = share * pole
    venue = reference.Venue(1.0, reference.evaporating(coefficient, thinning))
    left = max(0.0, 1 - thinning * coefficient * quantity)
    expected = (1 - left ** (1 + 1 / thinning)) / (coefficient * (1 + thinning))
    assert venue.trade(quantity) == pytest.approx(expected, rel=1e-12)
    assert (venue.traded_price() == 0) == (share >= 1)


def test_money_across_zero_and_over_knots_adds_up() -> None:
    shape = reference.depth([0.01, 0.03, 0.2], [1.0, 5.0, 6.0], [0.5, 0.6, 9.0])
    whole = reference.Venue(10.0, shape)
    whole.trade(-4.0)
    there = whole.trade(12.0)
    pieces = reference.Venue(10.0, shape)
    pieces.trade(-4.0)
    assert there == pytest.approx(sum(pieces.trade(0.125) for _ in range(96)), rel=1e-13)
    assert pieces.trade(-8.0) == pytest.approx(-sum([-whole.trade(-0.25) for _ in range(32)]), rel=1e-13)


# --- the theorem, within the reference ---
@given(case=reference.cases(alive=True, refill=False))
def test_waves_and_one_by_one_close_the_same_positions(case: reference.Case) -> None:
    waves = reference.cascade(case.positions, case.venue, **case.question, money=False)
    single = reference.cascade(case.positions, case.venue, **case.question, money=False, one_by_one=True)
    assume(not waves.doubtful and not single.doubtful)
    assert waves.closed == single.closed
    assert waves.final_price == pytest.approx(single.final_price, rel=1e-9)
    assert len(waves.waves) <= len(single.waves)


@settings(max_examples=60)
@given(case=reference.cases(alive=True, refill=False))
def test_the_map_by_definition_equals_the_map_by_trial(case: reference.Case) -> None:
    for side in (1, -1):
        line = reference.steps(case.positions, case.venue, side)
        for start, closed in reference.response(case.positions, case.venue):
            if (start < case.price) != (side > 0) or start == case.price:
                continue
            edge = start * (1 - side * reference.SLACK)
            assume(all(abs(k.start / edge - 1) > 1e-13 for k in line if 0 < k.start < math.inf))
            expected = {k.position for k in line if side * edge <= side * k.start}
            assert set(closed) == expected


def test_exactly_on_a_trigger() -> None:
    book = reference.Positions([1, 1], [1.0, 1.0], [90.0, 89.999999])
    out = reference.cascade(book, reference.Venue(100.0, reference.linear(0.0)), shock=-0.10)
    assert out.closed == [True, False]
