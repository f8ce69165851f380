"""Every cascade of a book: the map against single cascades, against its definition and against the reference."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given

import flushpoint as fp
import reference

FIELDS = ("price", "shock", "side", "count", "quantity", "notional", "final_price")


def sharp(case: reference.Case) -> list[reference.Step]:
    """The map's steps by definition, both sides, without those no start price reaches."""
    line = [*reference.steps(case.positions, case.venue, 1), *reference.steps(case.positions, case.venue, -1)]
    return [k for k in line if 0 < k.start < math.inf]


def edges_apart(case: reference.Case) -> bool:
    """Are steps so far apart that rounding cannot join or part them?"""
    for side in (1, -1):
        line = [k for k in reference.steps(case.positions, case.venue, side) if 0 < k.start < math.inf]
        for before, after in itertools.pairwise(line):
            gap = abs(after.own / before.start - 1)
            if 0 < gap < 1e-10 or (gap == 0 and case.trigger[after.position] != case.trigger[before.position]):
                return False
        quantity = 0.0
        for step in line:
            venue = case.venue
            if quantity:
                venue.trade(side * quantity, count_money=False)
            if venue.wobble() > 1e-12:
                return False
            quantity += case.quantity[step.position]
    return True


def compare(case: reference.Case, shocks: list[float]) -> None:
    book, market = case.book(), case.market()
    r = fp.response(book, market)
    answer = r(shocks)
    for i, shock in enumerate(shocks):
        c = fp.cascade(book, market, shock)
        assert answer.liquidated_count[i] == c.liquidated_count, shock
        assert answer.final_price[i] == pytest.approx(c.final_price, rel=1e-12), shock
        assert answer.liquidated_quantity[i] == pytest.approx(c.liquidated_quantity, rel=1e-13)
        assert answer.liquidated_notional[i] == pytest.approx(c.liquidated_notional, rel=1e-13)
        single = r(shock)
        assert single.liquidated_count == answer.liquidated_count[i]
        assert single.final_price == answer.final_price[i]


# --- shocks ---
@given(case=reference.cases(alive=True))
def test_a_shock_answers_as_the_cascade_does(case: reference.Case) -> None:
    case.refill = 0.0
    assume(edges_apart(case))
    shocks = [0.0, case.shock, -0.1, 0.1, -0.5, 1.0, -0.9999, 1e4]
    for step in sharp(case):
        beside = (1.0, 1 + 1e-9, 1 - 1e-9, 1 + 1e-6, 1 - 1e-6, 1 + 3e-13, 1 - 3e-13)
        shocks += [step.start * factor / case.price - 1 for factor in beside]
    shocks = [s for s in shocks if s > -1 and s < 1e200]
    compare(case, shocks)


@given(case=reference.cases(alive=True))
def test_the_map_equals_its_definition(case: reference.Case) -> None:
    assume(edges_apart(case))
    r = fp.response(case.book(), case.market())
    for side in (1, -1):
        line = reference.steps(case.positions, case.venue, side)
        starts = [k.start * f for k in line for f in (1.0, 1 + 1e-8, 1 - 1e-8) if 0 < k.start < math.inf]
        starts = [s for s in starts if (s < case.price) == (side > 0) and s != case.price and s / case.price < 1e200]
        starts = [s for s in starts if s / case.price - 1 > -1]
        counts = [sum(side * s <= side * k.start * (1 + side * 1e-12) for k in line) for s in starts]
        assert r([s / case.price - 1 for s in starts]).liquidated_count.tolist() == counts


@given(case=reference.cases(alive=True, max_size=6))
def test_the_map_by_trial(case: reference.Case) -> None:
    assume(edges_apart(case))
    r = fp.response(case.book(), case.market())
    for start, closed in reference.response(case.positions, case.venue):
        shock = start / case.price - 1
        if -1 < shock < 1e200:
            assert r(shock).liquidated_count == len(closed)


@pytest.mark.parametrize("family", list(reference.SHAPES))
@pytest.mark.parametrize("n", [1, 2, 50, 500])
def test_shocks_on_larger_books(family: str, n: int) -> None:
    for seed in range(4):
        case = reference.random_case(7 * n + seed, n, alive=True, family=family)
        if not edges_apart(case):
            continue
        starts = np.array([k.start for k in sharp(case)])
        starts = np.random.default_rng(seed).choice(starts, min(20, len(starts)), replace=False) if n > 2 else starts
        near = (starts[:, None] * [1 - 1e-9, 1.0, 1 + 1e-9]).ravel() / case.price - 1
        shocks = [*near[near > -1], *np.random.default_rng(seed).uniform(-0.6, 0.8, 20)]
        compare(case, [float(s) for s in shocks])


def test_a_long_array_of_shocks_equals_one_at_a_time() -> None:
    case = reference.random_case(5, 5_000, alive=True, family="SquareRootImpact")
    r = fp.response(case.book(), case.market())
    shocks = np.random.default_rng(3).uniform(-0.5, 0.5, 20_011)
    answer = r(shocks)
    for i in range(0, shocks.size, 997):
        single = r(float(shocks[i]))
        assert single.liquidated_count == answer.liquidated_count[i]
        assert single.final_price == answer.final_price[i]
        assert single.liquidated_quantity == answer.liquidated_quantity[i]
    rising = r(np.sort(shocks))
    longs = rising.liquidated_count[rising.shock < 0]
    shorts = rising.liquidated_count[rising.shock > 0]
    assert (np.diff(longs) <= 0).all()
    assert (np.diff(shorts) >= 0).all()


def test_the_shape_of_the_argument() -> None:
    case = reference.random_case(5, 50, alive=True)
    r = fp.response(case.book(), case.market())
    for shocks in (0.1, np.zeros(0), np.linspace(-0.5, 0.5, 12).reshape(3, 4), [[0.1]], np.float64(-0.2), [1, 2]):
        for answer, name in ((r(shocks), "shock"), (r.sell(shocks), "sell")):
            shape = np.shape(shocks)
            for field in (name, "final_price", "liquidated_quantity", "liquidated_count", "liquidated_notional"):
                assert np.shape(getattr(answer, field)) == shape, (shape, field)
            np.testing.assert_array_equal(getattr(answer, name), shocks)
    assert isinstance(r(0.1).final_price, float)
    assert isinstance(r(0.1).liquidated_count, int)
    assert r([0.1]).liquidated_count.dtype == np.int64


def test_an_empty_book() -> None:
    r = fp.response(fp.Book([], [], []), fp.Market(100.0, fp.LinearImpact(0.1)))
    np.testing.assert_allclose(r([-0.5, 0.0, 0.5]).final_price, [50.0, 100.0, 150.0], rtol=1e-15)
    assert r([-0.5, 0.0, 0.5]).liquidated_count.tolist() == [0, 0, 0]
    np.testing.assert_allclose(r.sell([1.0, -1.0]).final_price, [100 * math.exp(-0.1), 100 * math.exp(0.1)])
    assert len(r.tipping_points) == 0
    assert r.tipping_points.dtype.names == FIELDS
    assert r.reproduction_number(99.0) == 0.0


def test_what_never_triggers() -> None:
    r = fp.response(fp.Book([1, -1], 1.0, [0.0, np.inf]), fp.Market(100.0, fp.LinearImpact(0.1)))
    assert r([-0.999999, 1e12]).liquidated_count.tolist() == [0, 0]
    assert r.sell([1e6, -1e3]).liquidated_count.tolist() == [0, 0]
    assert len(r.tipping_points) == 0


# --- sales ---
def trigger_sales(case: reference.Case) -> list[float]:
    """Sales after which the mark is exactly on a trigger, from the engine's own inverse, where one is enough."""
    out = []
    if case.permanent or not case.mark_weight:
        return out
    impact = case.market().impact
    for side, trigger in zip(case.side, case.trigger, strict=True):
        if 0 < trigger < math.inf and side * trigger < side * case.price:
            volume = float(impact.inverse(math.log(case.price / trigger) / case.mark_weight))
            if math.isfinite(volume):
                out.append(volume)
    return out


@given(case=reference.cases(alive=True))
def test_a_sale_answers_as_the_cascade_does(case: reference.Case) -> None:
    total = sum(case.quantity) or 1.0
    shares = (0.0, 1e-9, -1e-9, 0.01, -0.01, 0.1, -0.1, 0.5, -0.5, 1.0, -1.0, 10.0, -3.0)
    sales = [case.sell, *(total * share for share in shares)]
    for volume in trigger_sales(case):
        sales += [volume, volume * (1 + 1e-7), volume * (1 - 1e-7)]
    kept = []
    for sell in sales:
        expected = reference.cascade(case.positions, case.venue, sell=sell, money=False)
        if not expected.doubtful:
            kept.append((sell, expected))
    book, market = case.book(), case.market()
    answer = fp.response(book, market).sell([sell for sell, _ in kept])
    for i, (sell, expected) in enumerate(kept):
        c = fp.cascade(book, market, sell=sell)
        assert c.closed.tolist() == expected.closed
        assert answer.liquidated_count[i] == c.liquidated_count, sell
        assert answer.final_price[i] == pytest.approx(c.final_price, rel=1e-12 + 10 * expected.wobble), sell
        assert answer.liquidated_quantity[i] == pytest.approx(c.liquidated_quantity, rel=1e-13)
        assert answer.liquidated_notional[i] == pytest.approx(c.liquidated_notional, rel=1e-13)


@pytest.mark.parametrize("family", list(reference.SHAPES))
def test_sales_on_larger_books(family: str) -> None:
    compared = 0
    for seed in range(4):
        case = reference.random_case(seed, 400, alive=True, family=family)
        total = sum(case.quantity)
        rng = np.random.default_rng(seed)
        sales = rng.normal(0, 1, 60) * 10 ** rng.uniform(-5, 0.5, 60) * total
        book, market = case.book(), case.market()
        answer = fp.response(book, market).sell(sales)
        for i, sell in enumerate(sales.tolist()):
            c = fp.cascade(book, market, sell=sell)
            assert answer.liquidated_count[i] == c.liquidated_count
            assert answer.final_price[i] == pytest.approx(c.final_price, rel=1e-9)
            compared += 1
    assert compared == 240


def test_exactly_enough_to_be_sold() -> None:
    depth = fp.DepthImpact([0.01, 0.5], [4.0, 900.0], [5.0, 30.0])
    square_root, evaporating = fp.SquareRootImpact(0.05, 1e3), fp.EvaporatingImpact(1e-3, 3.0)
    for impact in (fp.LinearImpact(0.001), square_root, fp.PowerImpact(1e-6, 2.4), depth, evaporating):
        book = fp.Book([1, 1, -1], [1.0, 5.0, 2.0], [95.0, 80.0, 108.0])
        market = fp.Market(100.0, impact)
        r = fp.response(book, market)
        for trigger in (95.0, 108.0):
            volume = float(impact.inverse(math.log(100 / trigger)))
            for factor, count in ((1 + 1e-9, 1), (1.0, 1), (1 - 1e-9, 0)):
                c = fp.cascade(book, market, sell=volume * factor)
                assert min(c.liquidated_count, 1) == count
                assert r.sell(volume * factor).liquidated_count == c.liquidated_count


# --- tipping points ---
def assert_tipping_points(case: reference.Case) -> None:
    expected = reference.tipping_points(case.positions, case.venue)
    expected = [e for e in expected if 0 < e["price"] < math.inf]
    got = fp.response(case.book(), case.market()).tipping_points
    assert got.dtype.names == FIELDS
    assert len(got) == len(expected)
    for row, point in zip(got, expected, strict=True):
        for name in FIELDS:
            scale = 1e-9 if name == "shock" else 0.0
            assert row[name] == pytest.approx(point[name], rel=1e-9, abs=scale), name


@given(case=reference.cases(alive=True, max_size=16))
def test_tipping_points_equal_their_definition(case: reference.Case) -> None:
    assume(edges_apart(case))
    assert_tipping_points(case)


@pytest.mark.parametrize("family", list(reference.SHAPES))
def test_tipping_points_of_larger_books(family: str) -> None:
    compared = found = 0
    for seed in range(10):
        case = reference.random_case(seed, 150, alive=True, family=family)
        if edges_apart(case):
            assert_tipping_points(case)
            compared += 1
            found += len(fp.response(case.book(), case.market()).tipping_points) > 0
    assert compared >= 5
    assert found >= 2


def test_a_tipping_point_by_hand() -> None:
    # 92 falls, its sale takes 3 % with it, which reaches 89.5; 80 is out of reach; two equal triggers are no run
    book = fp.Book([1, 1, 1, 1, -1, -1], [10.0, 10.0, 1.0, 1.0, 10.0, 1.0], [92.0, 89.5, 80.0, 80.0, 110.0, 112.0])
    market = fp.Market(100.0, fp.LinearImpact(0.003))
    points = fp.response(book, market).tipping_points
    assert points["side"].tolist() == [1, -1]
    assert points["price"].tolist() == [92.0, 110.0]
    assert points["shock"].tolist() == pytest.approx([-0.08, 0.1], abs=1e-15)
    assert points["count"].tolist() == [2, 2]
    assert points["quantity"].tolist() == [20.0, 11.0]
    assert points["notional"].tolist() == [1815.0, 1212.0]
    assert points["final_price"].tolist() == pytest.approx([92 * math.exp(-0.06), 110 * math.exp(0.033)], rel=1e-14)


def test_at_a_tipping_point_a_run_closes() -> None:
    for seed in range(5):
        case = reference.random_case(seed, 200, alive=True, family="LinearImpact")
        book, market = case.book(), case.market()
        r = fp.response(book, market)
        for point in r.tipping_points:
            side = int(point["side"])
            starts = point["price"] * np.array([1 + side * 1e-10, 1.0])
            before, after = r(starts / case.price - 1).liquidated_count
            assert after - before == point["count"]
            assert fp.cascade(book, market, float(point["shock"])).final_price == pytest.approx(
                point["final_price"], rel=1e-12
            )


# --- reproduction number ---
@given(case=reference.cases(alive=True))
def test_reproduction_number_equals_its_definition(case: reference.Case) -> None:
    r = fp.response(case.book(), case.market())
    prices, widths = [case.price * x for x in (0.3123, 0.77, 0.931, 1.0, 1.0677, 1.33)], (0.01, 0.3377)
    prices += [t for t in case.trigger if 0 < t < math.inf]
    venue = case.venue
    for width in widths:
        edges = [p * math.exp(s * width) for p in prices for s in (1, -1)]
        finite = [t for t in case.trigger if 0 < t < math.inf]
        assume(not any(0 < abs(t / e - 1) < 1e-10 for t in finite for e in [*edges, *prices]))
        assume(not any(t == e for t in finite for e in edges))
        got = r.reproduction_number(np.array(prices), width)
        for price, value in zip(prices, got, strict=True):
            expected = reference.reproduction_number(case.positions, venue, price, width)
            if math.isfinite(expected):
                largest = abs(venue.displacement(sum(case.quantity), sum(case.quantity)))
                scale = 1e-12 * largest / width if math.isfinite(largest) else math.inf
                assert value == pytest.approx(expected, rel=1e-6, abs=scale)
    assert r.reproduction_number(case.price) == pytest.approx(r.reproduction_number([case.price])[0], nan_ok=True)


def test_reproduction_number_of_a_uniform_book() -> None:
    # unit density of quantity per unit of log price, linear impact: the number is the coefficient, everywhere
    n = 100_000
    distance = (np.arange(n) + 0.5) / n
    book = fp.Book(np.repeat([1, -1], n), 1 / n, 100 * np.exp(np.concatenate([-distance, distance])))
    r = fp.response(book, fp.Market(100.0, fp.LinearImpact(0.3), permanent=0.2))
    prices = 100 * np.exp(np.array([-0.9, -0.5, -0.1, 0.0, 0.1, 0.5, 0.9]))
    np.testing.assert_allclose(r.reproduction_number(prices), 0.5, atol=2e-3)
    assert r.reproduction_number(np.ones((2, 3))).shape == (2, 3)
    assert isinstance(r.reproduction_number(95.0, width=0.05), float)


# --- refusal ---
@given(case=reference.cases())
def test_it_refuses_positions_already_crossed(case: reference.Case) -> None:
    crossed = sum(case.venue.crossed(s, t) for s, t in zip(case.side, case.trigger, strict=True))
    book, market = case.book(), case.market()
    if crossed:
        with pytest.raises(ValueError, match=rf"^book .*\b\d+\b.*book\.alive\({case.price:g}\)") as caught:
            fp.response(book, market)
        longs = sum(s > 0 and case.venue.crossed(s, t) for s, t in zip(case.side, case.trigger, strict=True))
        words = str(caught.value).split()
        assert {str(longs), str(crossed - longs)} <= set(words) or str(crossed) in words
    alive = book.alive(case.price)
    assert len(alive) == len(book) - crossed
    fp.response(alive, market)
