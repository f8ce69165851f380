"""One cascade in full, against the reference and by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

import flushpoint as fp
import reference

RELATIVE = 1e-9


def near(value: float, expected: float, wobble: float = 0.0) -> bool:
    """Equal to 1e-9, or as well as the volumes' rounding lets a price be known."""
    return value == expected or abs(value - expected) <= (RELATIVE + 10 * wobble) * abs(expected) + 1e-300


def assert_equals_reference(c: fp.CascadeResult, case: reference.Case) -> bool:
    """Compare everything; False if the case is one that rounding may decide."""
    book = case.positions
    expected = reference.cascade(book, case.venue, **case.question)
    if expected.doubtful:
        return False
    wobble = expected.wobble if math.isfinite(expected.wobble) else 0.0
    assert c.closed.tolist() == expected.closed
    assert near(c.final_price, expected.final_price, wobble)
    assert near(c.low_price, expected.low_price, wobble)
    assert near(c.high_price, expected.high_price, wobble)

    assert c.waves.dtype.names == ("price", "quantity", "count", "notional")
    assert len(c.waves) == len(expected.waves)
    for wave, (price, quantity, count, notional) in zip(c.waves, expected.waves, strict=True):
        assert near(wave["price"], price, wobble)
        assert wave["count"] == count
        gross = sum(book.quantity)
        assert wave["quantity"] == pytest.approx(quantity, rel=RELATIVE, abs=1e-15 * gross)
        assert wave["notional"] == pytest.approx(notional, rel=RELATIVE, abs=1e-15 * gross * max(book.trigger))

    totals = expected.totals(book)
    assert c.liquidated_count == totals["liquidated_count"]
    assert c.liquidated_quantity == pytest.approx(totals["liquidated_quantity"], rel=RELATIVE)
    assert c.liquidated_notional == pytest.approx(totals["liquidated_notional"], rel=RELATIVE)
    assert c.exhausted == expected.exhausted

    gross = expected.gross(book)
    if math.isfinite(gross):
        for name in ("proceeds", "shortfall", "surplus"):
            assert getattr(c, name) == pytest.approx(totals[name], rel=0, abs=RELATIVE * gross, nan_ok=True), name
    else:
        assert c.proceeds == pytest.approx(totals["proceeds"], rel=RELATIVE)
        assert c.shortfall == pytest.approx(totals["shortfall"], rel=RELATIVE, nan_ok=True)
    own = expected.proceeds
    tolerance = RELATIVE + 10 * wobble
    assert c.position_proceeds.tolist() == pytest.approx(own, rel=tolerance, abs=1e-300, nan_ok=True)
    exits = expected.exit_price(book)
    assert c.exit_price.tolist() == pytest.approx(exits, rel=tolerance, abs=1e-300, nan_ok=True)
    if case.bankruptcy is None:
        assert math.isnan(c.shortfall)
        assert math.isnan(c.surplus)
        assert np.isnan(c.position_shortfall).all()
        assert np.isnan(c.position_surplus).all()
    else:
        gains = expected.gains(book)
        short = [max(0.0, -g) if closed else math.nan for g, closed in zip(gains, expected.closed, strict=True)]
        over = [max(0.0, g) if closed else math.nan for g, closed in zip(gains, expected.closed, strict=True)]
        for i, closed in enumerate(expected.closed):
            scale = abs(own[i]) + book.quantity[i] * case.bankruptcy[i] if closed else 1.0
            if scale < math.inf:
                assert c.position_shortfall[i] == pytest.approx(short[i], rel=0, abs=tolerance * scale, nan_ok=True)
                assert c.position_surplus[i] == pytest.approx(over[i], rel=0, abs=tolerance * scale, nan_ok=True)
            else:
                assert c.position_shortfall[i] == short[i]
                assert c.position_surplus[i] == over[i]

    moved = abs(math.log1p(case.shock) - case_displacement(case))
    if not expected.waves:
        assert c.amplification == 1.0
    elif case.shock == 0 and case.sell == 0:
        assert math.isnan(c.amplification)
    elif moved > 1e-4:
        assert c.amplification == pytest.approx(expected.amplification, rel=1e-8 + 1e4 * wobble, nan_ok=True)
    return True


def case_displacement(case: reference.Case) -> float:
    return case.venue.displacement(case.sell, case.sell)


def run(case: reference.Case, **options: Any) -> fp.CascadeResult:
    return fp.cascade(case.book(), case.market(), **case.question, **options)


# --- against the reference ---
@given(case=reference.cases())
def test_any_cascade(case: reference.Case) -> None:
    assume(assert_equals_reference(run(case), case))


@given(case=reference.cases(alive=True))
def test_any_cascade_from_a_book_at_rest(case: reference.Case) -> None:
    assume(assert_equals_reference(run(case), case))


@pytest.mark.parametrize("family", list(reference.SHAPES))
@pytest.mark.parametrize("n", [3, 17, 64, 300])
def test_larger_books(family: str, n: int) -> None:
    compared = 0
    for seed in range(12 if n < 300 else 4):
        case = reference.random_case(1000 * n + seed, n, family=family, alive=seed % 2 == 0)
        compared += assert_equals_reference(run(case), case)
    assert compared >= 2


@pytest.mark.parametrize("seed", range(4))
def test_widely_differing_quantities(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = 60
    case = reference.random_case(seed, n, alive=True, family="PowerImpact" if seed % 2 else "DepthImpact")
    case.quantity = (10.0 ** rng.integers(-9, 10, n)).tolist()
    case.impact = reference.random_impact(rng, case.impact[0], sum(case.quantity), 1.0)
    case.permanent, case.shock, case.sell = 0.0, -0.2, 0.0
    assert assert_equals_reference(run(case), case)


# --- the free theorem ---
@given(case=reference.cases(alive=True, refill=False, max_size=14))
def test_waves_one_by_one_and_the_map_close_the_same_positions(case: reference.Case) -> None:
    single = reference.cascade(case.positions, case.venue, **case.question, one_by_one=True, money=False)
    waves = reference.cascade(case.positions, case.venue, **case.question, money=False)
    assume(not single.doubtful and not waves.doubtful)
    c = run(case)
    assert c.closed.tolist() == waves.closed == single.closed
    assert near(c.final_price, single.final_price, single.wobble)
    r = fp.response(case.book(), case.market())
    if case.sell == 0:
        answer = r(case.shock)
    elif case.shock == 0:
        answer = r.sell(case.sell)
    else:
        return
    assert answer.liquidated_count == c.liquidated_count
    order = [i for i, closed in enumerate(single.closed) if closed]
    one = c._book.long if case.shock < 0 or case.sell > 0 else c._book.short
    assert sorted(one.index[: answer.liquidated_count].tolist()) == order


@pytest.mark.parametrize("family", list(reference.SHAPES))
def test_the_theorem_on_larger_books(family: str) -> None:
    compared = 0
    for seed in range(8):
        case = reference.random_case(seed, 200, alive=True, family=family)
        case.refill = case.sell = 0.0
        single = reference.cascade(case.positions, case.venue, **case.question, one_by_one=True, money=False)
        if single.doubtful:
            continue
        compared += 1
        c = run(case)
        r = fp.response(case.book(), case.market())(case.shock)
        assert c.closed.tolist() == single.closed
        assert r.liquidated_count == c.liquidated_count == sum(single.closed)
        assert r.final_price == pytest.approx(c.final_price, rel=1e-12)
        assert near(c.final_price, single.final_price, single.wobble)
    assert compared >= 4


@given(case=reference.cases(alive=True, refill=False))
def test_splitting_positions_changes_neither_the_price_nor_the_money(case: reference.Case) -> None:
    whole = run(case)
    halves = reference.Case(
        [s for s in case.side for _ in range(2)], [q * w for q in case.quantity for w in (0.25, 0.75)],
        [t for t in case.trigger for _ in range(2)], None if case.bankruptcy is None else
        [b for b in case.bankruptcy for _ in range(2)], case.price, case.impact, case.permanent, case.spread,
        case.mark_weight, case.shock, case.sell, case.refill,
    )  # fmt: skip
    assume(not reference.cascade(halves.positions, halves.venue, **halves.question, money=False).doubtful)
    assume(not reference.cascade(case.positions, case.venue, **case.question, money=False).doubtful)
    split = run(halves)
    assert split.closed.tolist() == [c for c in whole.closed.tolist() for _ in range(2)]
    assert split.final_price == pytest.approx(whole.final_price, rel=1e-8)
    if math.isfinite(whole.proceeds):
        money = float(np.nansum(np.abs(whole.position_proceeds)))
        assert split.proceeds == pytest.approx(whole.proceeds, rel=0, abs=1e-9 * money)


# --- by hand ---
def test_a_cascade_of_two_waves() -> None:
    book = fp.Book(1, [10.0, 10.0, 10.0], [89.0, 92.0, 50.0], [88.0, 91.0, 49.0])
    c = fp.cascade(book, fp.Market(100.0, fp.LinearImpact(0.003)), shock=-0.09)
    assert c.closed.tolist() == [True, True, False]
    assert c.waves["price"].tolist() == pytest.approx([91.0, 91 * math.exp(-0.03)])
    assert c.waves["count"].tolist() == [1, 1]
    assert c.waves["quantity"].tolist() == [10.0, 10.0]
    assert c.waves["notional"].tolist() == [920.0, 890.0]
    assert c.final_price == c.low_price == pytest.approx(91 * math.exp(-0.06))
    assert c.high_price == pytest.approx(91.0)
    first, second = (91 / 0.003 * (math.exp(-a) - math.exp(-a - 0.03)) for a in (0.0, 0.03))
    np.testing.assert_allclose(c.position_proceeds, [second, first, math.nan], rtol=1e-13)
    np.testing.assert_allclose(c.exit_price, [second / 10, first / 10, math.nan], rtol=1e-13)
    np.testing.assert_allclose(c.position_shortfall, [880 - second, 910 - first, math.nan], rtol=1e-10)
    assert c.position_surplus.tolist()[:2] == [0.0, 0.0]
    assert c.proceeds == pytest.approx(first + second)
    assert c.shortfall == pytest.approx(1790 - first - second)
    assert c.surplus == 0.0
    assert c.amplification == pytest.approx((math.log(0.91) - 0.06) / math.log(0.91))
    assert (c.liquidated_count, c.liquidated_quantity, c.liquidated_notional) == (2, 20.0, 1810.0)
    assert not c.exhausted


def test_a_squeeze_pays_for_its_purchases() -> None:
    book = fp.Book(-1, [4.0, 4.0], [110.0, 112.0], [115.0, 113.0])
    c = fp.cascade(book, fp.Market(100.0, fp.LinearImpact(0.01), spread=0.002), shock=0.10)
    assert c.closed.all()
    paid = [110 / 0.01 * (math.exp(b) - math.exp(a)) * 1.001 for a, b in ((0, 0.04), (0.04, 0.08))]
    np.testing.assert_allclose(c.position_proceeds, [-paid[0], -paid[1]], rtol=1e-12)
    np.testing.assert_allclose(c.exit_price, [paid[0] / 4, paid[1] / 4], rtol=1e-12)
    assert c.proceeds == pytest.approx(-sum(paid))
    assert c.position_surplus[0] == pytest.approx(max(0.0, 460 - paid[0]))
    assert c.position_shortfall[1] == pytest.approx(max(0.0, paid[1] - 452))
    assert c.high_price == c.final_price == pytest.approx(110 * math.exp(0.08))
    assert c.low_price == pytest.approx(110.0)


@pytest.mark.parametrize(("price", "shock", "trigger"), [
    (100.0, -0.10, 90.0), (100.0, -0.07, 93.0), (100.0, -0.3, 70.0), (126_000.0, -0.1, 113_400.0), (3.0, -0.1, 2.7),
    (0.07, -0.02, 0.0686), (100.0, 0.1, 110.0), (100.0, 0.07, 107.0), (126_000.0, 0.11, 139_860.0), (1.1, 0.1, 1.21),
])  # fmt: skip
def test_exactly_on_a_trigger(price: float, shock: float, trigger: float) -> None:
    side = 1 if shock < 0 else -1
    beyond = trigger * (1 - side * 1e-9)
    book = fp.Book(side, 1.0, [trigger, beyond])
    for mark_weight in (0.0, 0.3, 1.0):
        market = fp.Market(price, fp.LinearImpact(0.0), mark_weight=mark_weight)
        assert fp.cascade(book, market, shock).closed.tolist() == [True, False]
        assert fp.response(book, market)(shock).liquidated_count == 1


def test_the_slack_is_one_part_in_a_trillion() -> None:
    market = fp.Market(100.0, fp.LinearImpact(0.0))
    for side, shock, at in ((1, -0.1, 90.0), (-1, 0.1, 110.0)):
        inside = fp.Book(side, 1.0, at * (1 - side * 0.9e-12))
        outside = fp.Book(side, 1.0, at * (1 - side * 1.1e-12))
        assert fp.cascade(inside, market, shock).liquidated_count == 1
        assert fp.cascade(outside, market, shock).liquidated_count == 0
        assert fp.response(inside, market)(shock).liquidated_count == 1
        assert fp.response(outside, market)(shock).liquidated_count == 0


def test_nothing_happens() -> None:
    book = fp.Book([1, -1], 1.0, [90.0, 110.0], [89.0, 111.0])
    c = fp.cascade(book, fp.Market(100.0, fp.LinearImpact(0.1)))
    assert c.final_price == c.low_price == c.high_price == 100.0
    assert not c.closed.any()
    assert len(c.waves) == 0
    assert c.proceeds == c.shortfall == c.surplus == c.liquidated_quantity == 0.0
    assert c.amplification == 1.0
    assert np.isnan(c.exit_price).all()
    empty = fp.cascade(fp.Book([], [], []), fp.Market(100.0, fp.LinearImpact(0.1)), shock=-0.5)
    assert empty.final_price == pytest.approx(50.0)
    assert empty.amplification == 1.0
    assert empty.closed.shape == empty.exit_price.shape == (0,)
    sold = fp.cascade(book, fp.Market(100.0, fp.LinearImpact(0.001)), sell=50.0)
    assert sold.final_price == pytest.approx(100 * math.exp(-0.05))
    assert sold.proceeds == 0.0
    assert sold.amplification == 1.0


def test_what_never_triggers_never_closes() -> None:
    book = fp.Book([1, -1, 1, -1], [1.0, 1.0, 1e3, 1e3], [0.0, np.inf, 99.0, 200.0])
    market = fp.Market(100.0, fp.EvaporatingImpact(1.0, 1.0))
    c = fp.cascade(book, market, shock=-0.01)
    assert c.exhausted
    assert c.final_price == c.low_price == 0.0
    assert c.closed.tolist() == [False, False, True, False]
    c = fp.cascade(book, market, shock=1.5)
    assert c.exhausted
    assert c.high_price == math.inf
    assert c.closed.tolist() == [False, False, False, True]


def test_an_empty_order_book_fires_every_finite_trigger() -> None:
    triggers = [99.0, 50.0, 1.0, 1e-200, 5e-324, 0.0]
    for sell in (0.0, 10.0):
        c = fp.cascade(fp.Book(1, 2.0, triggers), fp.Market(100.0, fp.EvaporatingImpact(1.0, 1.0)), -0.01, sell)
        assert c.closed.tolist() == [True] * 5 + [False]
        assert c.final_price == 0.0
        assert c.exhausted
        # what is sold after the pole fetches nothing
        assert c.proceeds == pytest.approx(0.0 if sell else 99 * 0.5, rel=1e-12)
        assert c.exit_price[4] == 0.0


def test_positions_crossed_beforehand_close_in_the_first_wave() -> None:
    book = fp.Book([1, -1, 1, -1], [1.0, 2.0, 4.0, 8.0], [101.0, 99.0, 110.0, 90.0])
    c = fp.cascade(book, fp.Market(100.0, fp.LinearImpact(0.0)))
    assert c.waves["count"].tolist() == [4]
    assert c.liquidated_quantity == 15.0
    assert math.isnan(c.amplification)
    # in firing order: longs first, by falling trigger, then shorts, by rising trigger
    c = fp.cascade(book, fp.Market(100.0, fp.LinearImpact(0.01)))
    at = 0.0
    for i in (2, 0, 3, 1):
        signed = [1.0, -2.0, 4.0, -8.0][i]
        money = 100 / 0.01 * (math.exp(-0.01 * at) - math.exp(-0.01 * (at + signed)))
        assert c.position_proceeds[i] == pytest.approx(money, rel=1e-12)
        at += signed


def test_refill() -> None:
    book = fp.Book(1, [10.0, 10.0, 10.0], [91.0, 88.5, 87.0])
    market = fp.Market(100.0, fp.LinearImpact(0.003))
    none = fp.cascade(book, market, -0.09)
    half = fp.cascade(book, market, -0.09, refill=0.5)
    full = fp.cascade(book, market, -0.09, refill=1.0)
    assert (none.liquidated_count, half.liquidated_count, full.liquidated_count) == (3, 1, 1)
    assert full.final_price == pytest.approx(91.0, rel=1e-14)
    assert half.final_price == pytest.approx(91 * math.exp(-0.015), rel=1e-14)
    assert half.low_price == full.low_price == pytest.approx(91 * math.exp(-0.03), rel=1e-14)
    # refill leaves the permanent part alone
    lasting = fp.cascade(book, fp.Market(100.0, fp.LinearImpact(0.002), permanent=0.001), -0.09, refill=1.0)
    assert lasting.final_price == pytest.approx(91 * math.exp(-0.01), rel=1e-14)


def test_the_mark_may_follow_the_traded_price_in_part() -> None:
    book = fp.Book(1, [10.0, 10.0], [91.0, 89.5])
    for weight, count in ((1.0, 2), (0.5, 1), (0.0, 1)):
        market = fp.Market(100.0, fp.LinearImpact(0.003), mark_weight=weight)
        c = fp.cascade(book, market, -0.09)
        assert c.liquidated_count == count
        assert c.final_price == pytest.approx(91 * math.exp(-0.03 * count), rel=1e-14)


def test_a_sale_moves_the_price_but_not_the_totals() -> None:
    book = fp.Book([1, -1], [5.0, 5.0], [95.0, 105.0])
    market = fp.Market(100.0, fp.LinearImpact(0.001))
    for sell, final in ((60.0, -0.065), (-60.0, 0.065)):
        c = fp.cascade(book, market, sell=sell)
        assert c.liquidated_quantity == 5.0
        assert c.final_price == pytest.approx(100 * math.exp(final), rel=1e-14)
        assert c.amplification == pytest.approx(65 / 60, rel=1e-12)
    both = fp.cascade(book, market, shock=-0.04, sell=20.0)
    assert both.liquidated_count == 1
    assert both.amplification == pytest.approx((math.log(0.96) - 0.025) / (math.log(0.96) - 0.02), rel=1e-12)


@example(shock=-0.999999, sell=0.0)
@example(shock=1e9, sell=0.0)
@example(shock=0.0, sell=1e300)
@example(shock=0.0, sell=-1e300)
@given(shock=st.floats(-0.9999, 1e6), sell=st.floats(-1e12, 1e12))
def test_it_always_ends(shock: float, sell: float) -> None:
    triggers = [90.0, 80.0, 105.0, 150.0, 0.0, np.inf]
    book = fp.Book([1, 1, -1, -1, 1, -1], [1.0, 1e6, 1e-6, 3.0, 1.0, 1.0], triggers, 95.0)
    for impact in (fp.LinearImpact(0.5), fp.EvaporatingImpact(1e-3, 2.0), fp.PowerImpact(0.01, 2.4),
                   fp.DepthImpact([0.1, 0.2], [1.0, 50.0])):  # fmt: skip
        c = fp.cascade(book, fp.Market(100.0, impact, permanent=1e-3), shock, sell, 0.1)
        assert 0 <= c.low_price <= c.high_price
        assert c.final_price >= 0
        assert c.liquidated_count == c.closed.sum() <= 4
        assert not math.isnan(c.proceeds)
        assert c.liquidated_count == c.waves["count"].sum()
        assert np.isnan(c.exit_price).sum() == 6 - c.liquidated_count


def test_totals_are_python_numbers_and_columns() -> None:
    book = fp.Book(1, [10.0, 10.0], [92.0, 89.0], [91.0, 88.0])
    c = fp.cascade(book, fp.Market(100.0, fp.LinearImpact(0.003)), shock=-0.09, threads=2)
    floats = ["final_price", "low_price", "high_price", "liquidated_quantity", "liquidated_notional", "proceeds",
              "shortfall", "surplus", "amplification"]  # fmt: skip
    for name in floats:
        assert type(getattr(c, name)) is float, name
    assert type(c.liquidated_count) is int
    assert type(c.exhausted) is bool
    for name in [*floats, "liquidated_count"]:
        assert c[name].shape == (1,)
        assert c[name][0] == getattr(c, name)
    assert set(floats) <= set(dict(c))
