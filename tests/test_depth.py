"""Depth that lives and buyers who wait, against a slow reference, and across the kinds of runs."""

from __future__ import annotations

import dataclasses
import math
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

import flushpoint as fp
import reference
import reference_depth

DT = 300.0
STEPS = 40


def depth_of(rng: np.random.Generator) -> dict[str, float]:
    """Parameters of a living depth in which something happens."""
    return {
        "elasticity": float(rng.choice([0.3, 1.0, 2.0])),
        "memory": float(rng.choice([300.0, 1_800.0, 36_000.0])),
        "least": float(rng.choice([0.02, 0.3])),
        "refill_half_life": float(rng.choice([0.0, 600.0, math.inf])),
        "spread_elasticity": float(rng.choice([0.0, 0.5])),
    }


def slow(normal: float, rules: dict[str, float]) -> reference_depth.Depth:
    return reference_depth.Depth(
        normal, rules["elasticity"], rules["memory"], rules["least"], rules["refill_half_life"],
        rules["spread_elasticity"],
    )  # fmt: skip


def buyers_of(rng: np.random.Generator, case: reference.Case) -> tuple[list[float], list[float]]:
    count = int(rng.integers(1, 5))
    relative = rng.choice([0.999, 0.97, 0.95, 0.9, 0.7, *rng.uniform(0.6, 0.999, 3)], count)
    quantity = rng.lognormal(-1, 1.5, count) * (sum(case.quantity) or 1.0)
    return (case.price * relative).tolist(), quantity.tolist()


def near(value: float, expected: float, wobble: float, scale: float = 0.0) -> bool:
    return value == expected or abs(value - expected) <= (1e-9 + 30 * wobble) * max(abs(expected), scale) + 1e-300


# --- against the reference ---
@given(seed=st.integers(0, 10_000), depth=st.booleans(), support=st.booleans())
@settings(max_examples=80)
def test_paths_equal_the_reference(seed: int, depth: bool, support: bool) -> None:
    rng = np.random.default_rng(seed)
    case = reference.random_case(seed, int(rng.integers(1, 30)), alive=True)
    size = float(rng.choice([0.002, 0.01, 0.03]))
    returns = size * rng.standard_normal((2, STEPS)) * rng.choice([0.2, 1.0, 3.0], (2, STEPS))
    returns[rng.random((2, STEPS)) < 0.1] = 0.0
    half_life = float(rng.choice([math.inf, 1_200.0]))
    sales = (
        None
        if rng.random() < 0.5
        else (rng.random(STEPS) < 0.1) * 0.1 * rng.standard_normal(STEPS) * sum(case.quantity)
    )
    normal = size * math.sqrt(reference_depth.YEAR / DT)
    rules = depth_of(rng) | ({} if case.spread else {"spread_elasticity": 0.0})
    prices, quantities = buyers_of(rng, case)
    market = dataclasses.replace(
        case.market(), half_life=half_life, depth=fp.LivingDepth(normal, **rules) if depth else None,
        support=fp.Support(prices, quantities) if support else None,
    )  # fmt: skip
    script = None if sales is None else fp.Script(DT * np.arange(1, STEPS + 1), sell=sales)
    columns = ["low_price", "waves", "liquidated_count", "proceeds"]
    columns += ["support_quantity"] * support + ["least_liquidity"] * depth
    e = fp.simulate(
        case.book(), market, fp.Returns(returns), DT * STEPS, STEPS, 2, record="all", script=script, columns=columns
    )
    plain = dataclasses.replace(case.venue, half_life=half_life)
    for row, path in enumerate(returns.tolist()):
        expected = reference_depth.run(
            case.positions, plain, path, DT, depth=slow(normal, rules) if depth else None,
            buyers=reference_depth.Buyers(prices, quantities) if support else None,
            sales=None if sales is None else sales.tolist(),
        )  # fmt: skip
        event(f"doubtful: {expected.doubtful}, closes: {any(expected.closed)}, supported: {expected.bought > 0}")
        event(f"thin: {min(expected.liquidity) < 0.9}")
        if expected.doubtful:
            continue
        replayed = e.replay(row)
        assert replayed.price.tolist() == e.prices[row].tolist()
        for name, told in (("price", expected.prices), ("liquidity", expected.liquidity), ("spread", expected.spread)):
            if name == "price" or depth:
                assert all(near(a, b, expected.wobble) for a, b in zip(getattr(replayed, name), told, strict=True)), (
                    name
                )
        assert e.waves[row] == expected.waves
        assert e.liquidated_count[row] == sum(expected.closed)
        assert near(e.low_price[row], min(case.price, *expected.lows), expected.wobble)
        assert near(e.least_liquidity[row], min(expected.liquidity), expected.wobble)
        assert near(e.proceeds[row], expected.proceeds, expected.wobble, expected.gross)
        assert near(e.support_quantity[row], expected.bought, 0.0, sum(case.quantity))


@given(seed=st.integers(0, 10_000))
@settings(max_examples=80)
def test_cascades_with_support_equal_the_reference(seed: int) -> None:
    rng = np.random.default_rng(seed)
    case = reference.random_case(seed, int(rng.integers(0, 40)))
    prices, quantities = buyers_of(rng, case)
    market = dataclasses.replace(case.market(), support=fp.Support(prices, quantities))
    c = fp.cascade(case.book(), market, **case.question)
    expected = reference_depth.run(
        case.positions, case.venue, [math.log1p(case.shock)], buyers=reference_depth.Buyers(prices, quantities),
        sales=[case.sell], refill=case.refill,
    )  # fmt: skip
    event(f"doubtful: {expected.doubtful}, closes: {any(expected.closed)}, supported: {expected.bought > 0}")
    if expected.doubtful:
        return
    assert near(c.final_price, expected.prices[-1], expected.wobble)
    assert near(c.low_price, min(expected.lows), expected.wobble)
    assert c.closed.tolist() == expected.closed
    assert len(c.waves) == expected.waves
    assert near(c.proceeds, expected.proceeds, expected.wobble, expected.gross)
    assert near(c.support_quantity, expected.bought, 0.0, sum(case.quantity) + abs(case.sell))
    assert c["support_quantity"] == c.support_quantity
    final, first = expected.prices[-1], expected.first_price
    if not (0 < final < math.inf and 0 < first < math.inf):
        return
    moved, first = math.log(final / case.price), math.log(first / case.price)
    if (expected.waves or expected.bought) and abs(first) > 1e-6 and abs(moved) > 1e-6:
        assert c.amplification == pytest.approx(moved / first, rel=1e-6 + 1e3 * expected.wobble / abs(first))


def test_stress_equals_cascades_with_support() -> None:
    for seed in range(6):
        case = reference.random_case(seed, 60, alive=True)
        rng = np.random.default_rng(seed)
        support = fp.Support(*buyers_of(rng, case))
        book, market = case.book(), dataclasses.replace(case.market(), support=support)
        shock, sell = rng.uniform(-0.3, 0.1, 8), 0.2 * rng.standard_normal(8) * sum(case.quantity)
        s = fp.stress(book, market, shock, sell, refill=0.1)
        for i in range(8):
            c = fp.cascade(book, market, shock[i], sell[i], 0.1)
            for name in (*c, "waves", "support_quantity"):
                value = len(c.waves) if name == "waves" else getattr(c, name)
                assert getattr(s, name)[i] == value or np.isnan(value), name
        assert "support_quantity" in s
        if case.bankruptcy is not None:
            v = fp.stress(book, market, shock, sell, refill=0.1, venue=fp.Venue(surplus_to="trader"))
            v.check_balance()
            for name in ("final_price", "low_price", "waves", "support_quantity", "amplification"):
                np.testing.assert_array_equal(v[name], getattr(s, name))


def test_liquidity_of_a_scenario_leaves_support_as_it_is() -> None:
    book = fp.Book(+1, [10.0], [95.0])
    market = fp.Market(100.0, fp.LinearImpact(0.01), support=fp.Support([94.0], [30.0]))
    s = fp.stress(book, market, -0.055, liquidity=[0.5, 1.0, 2.0])
    # brought back from 94.5 exp(-0.01 * 10 / liquidity) to 94
    np.testing.assert_allclose(s.support_quantity, 10 - np.log(94.5 / 94) / 0.01 * np.array([0.5, 1.0, 2.0]))
    np.testing.assert_allclose(s.final_price, 94.0)
    np.testing.assert_allclose(s.low_price, 94.5 * np.exp(-0.1 / np.array([0.5, 1.0, 2.0])))


# --- rules ---
def still(steps: int, **moves: float) -> fp.Returns:
    returns = np.zeros((1, steps))
    for step, move in moves.items():
        returns[0, int(step[1:])] = move
    return fp.Returns(returns)


@pytest.mark.parametrize(
    "impact", [fp.LinearImpact(1e-3), fp.SquareRootImpact(0.05, 500.0), fp.EvaporatingImpact(1e-3, 2.0)]
)
@pytest.mark.parametrize("permanent", [0.0, 2e-4])
def test_a_change_of_depth_does_not_move_the_price(impact: fp.Impact, permanent: float) -> None:
    book = fp.Book(+1, [50.0], [90.0])
    depth = fp.LivingDepth(5.0, memory=600.0, refill_half_life=900.0)
    market = fp.Market(100.0, impact, permanent=permanent, depth=depth)
    one = fp.simulate(book, market, still(30, s3=-0.12), 30 * 60, 30, 1).replay(0)
    assert len(one.waves) == 1
    assert one.liquidity[:4].tolist() == [1.0] * 4
    assert one.liquidity[4] < 0.3
    assert (np.diff(one.liquidity[4:]) > 0).all()
    assert one.least_liquidity == one.liquidity.min()
    np.testing.assert_allclose(one.price[4:], one.price[4], rtol=1e-13)
    assert one.spread.tolist() == [0.0] * 31


@pytest.mark.parametrize("memory", [1.0, 600.0])
def test_depth_lives_on_where_it_was_used_up(memory: float) -> None:
    market = fp.Market(
        100.0, fp.EvaporatingImpact(1e-3, 2.0), half_life=120.0, spread=0.001,
        depth=fp.LivingDepth(2.0, memory=memory, refill_half_life=300.0, spread_elasticity=0.5),
    )  # fmt: skip
    returns, sales = [0.0] * 60, [0.0] * 60
    returns[2], sales[4] = -0.02, 1e4
    run = fp.simulate(
        fp.Book(1, 1.0, 1e-9), market, fp.Returns([returns]), 3_600, 60, 1, script=fp.Script([300.0], sell=[1e4])
    )
    one = run.replay(0)
    assert one.exhausted
    assert one.price.min() == 0
    for name in ("liquidity", "spread"):
        assert np.isfinite(getattr(one, name)).all()
    used_up = one.price[1:] == 0
    assert (np.diff(one.liquidity)[used_up] >= 0).all()  # nothing is told of volatility there
    plain = reference.Venue(
        100.0, reference.SHAPES["EvaporatingImpact"](coefficient=1e-3, thinning=2.0), half_life=120.0, spread=0.001
    )
    rules = {"elasticity": 1.0, "memory": memory, "least": 0.05, "refill_half_life": 300.0, "spread_elasticity": 0.5}
    expected = reference_depth.run(
        reference.Positions([1], [1.0], [1e-9]), plain, returns, 60.0, depth=slow(2.0, rules), sales=sales
    )
    for name, told in (("price", expected.prices), ("liquidity", expected.liquidity), ("spread", expected.spread)):
        np.testing.assert_allclose(getattr(one, name), told, rtol=1e-9, err_msg=name)


def test_a_sale_meets_the_depth_of_its_step() -> None:
    sales = fp.Script([60.0 * 6], sell=[20.0])
    market = fp.Market(
        100.0, fp.PowerImpact(0.01, 0.7), permanent=1e-4, depth=fp.LivingDepth(0.5, refill_half_life=math.inf)
    )
    nobody = fp.Book(+1, [1.0], [1.0])
    one = fp.simulate(nobody, market, still(10, s2=0.05), 600, 10, 1, script=sales).replay(0)
    thin = one.liquidity[5]
    assert thin < 0.3
    displaced = 1e-4 * 20 / thin + 0.01 * (20 / thin) ** 0.7
    assert one.price[5] == pytest.approx(100 * math.exp(0.05), rel=1e-14)
    assert one.price[6] == pytest.approx(100 * math.exp(0.05 - displaced), rel=1e-13)


def test_realised_volatility_by_hand() -> None:
    depth = fp.LivingDepth(
        2.0, elasticity=2.0, memory=120.0, refill_half_life=0.0, spread_elasticity=1.0, most_spread=0.02
    )
    market = fp.Market(100.0, fp.LinearImpact(0.0), spread=0.01, depth=depth)
    one = fp.simulate(fp.Book([], [], []), market, still(3, s0=0.01), 180, 3, 1).replay(0)
    kept = 2**-0.5
    first = kept * 4.0 + (1 - kept) * 1e-4 * reference_depth.YEAR / 60
    variance = first * np.array([1.0, kept, kept**2])
    turmoil = np.sqrt(variance) / 2.0
    assert 2.0 < turmoil[0] > turmoil[2] > 1.0
    np.testing.assert_allclose(one.liquidity[1:], turmoil**-2)
    np.testing.assert_allclose(one.spread[1:], np.minimum(0.01 * turmoil, 0.02))


def test_support_by_hand() -> None:
    # 0.01 of log price per unit. A fall to 91 closes 10 at 92, to 91 exp(-0.1) = 82.3; the buyers at 90 take their 3,
    # to 84.8, those at 84 are not needed. A second wave of 10, to 76.8, is bought back to 84 with less than 20.
    book = fp.Book(+1, [10.0, 10.0], [92.0, 85.0])
    market = fp.Market(100.0, fp.LinearImpact(0.01), support=fp.Support([84.0, 90.0], [20.0, 3.0]))
    c = fp.cascade(book, market, shock=-0.09)
    second = 10 - 3 + 10 - math.log(91 / 84) / 0.01
    assert c.support_quantity == pytest.approx(3 + second)
    assert c.final_price == pytest.approx(84.0, rel=1e-14)
    assert c.low_price == pytest.approx(91 * math.exp(-0.17))
    assert len(c.waves) == 2
    assert c.amplification == pytest.approx(math.log(0.84) / math.log(0.91))


def test_support_alone_is_told() -> None:
    nobody = fp.Book([], [], [])
    market = fp.Market(100.0, fp.LinearImpact(0.01), support=fp.Support(95.0, 100.0))
    c = fp.cascade(nobody, market, shock=-0.1)
    assert c.final_price == pytest.approx(95.0, rel=1e-14)
    assert c.low_price == pytest.approx(90.0, rel=1e-14)
    assert c.support_quantity == pytest.approx(math.log(95 / 90) / 0.01)
    assert c.amplification == pytest.approx(math.log(0.95) / math.log(0.9))
    assert fp.cascade(nobody, market, shock=-0.04).amplification == 1.0


def test_support_without_impact_is_used_up() -> None:
    market = fp.Market(100.0, fp.LinearImpact(0.0), support=fp.Support([99.0, 95.0], [3.0, 4.0]))
    nobody = fp.Book([], [], [])
    assert fp.cascade(nobody, market, shock=-0.02).support_quantity == 3.0
    assert fp.cascade(nobody, market, shock=-0.2).support_quantity == 7.0
    e = fp.simulate(nobody, market, still(4, s1=-0.02, s2=0.05, s3=-0.1), 240, 4, 1)
    assert e["support_quantity"].tolist() == [7.0]


def test_support_brings_an_empty_book_back() -> None:
    book = fp.Book(+1, [60.0], [90.0])
    market = fp.Market(100.0, fp.EvaporatingImpact(0.02, 1.0), support=fp.Support(80.0, 100.0))
    c = fp.cascade(book, market, shock=-0.1)
    assert c.exhausted
    assert c.low_price == 0.0
    assert c.final_price == pytest.approx(80.0, rel=1e-12)


def test_an_empty_book_thins_depth_for_good() -> None:
    book = fp.Book(+1, [60.0], [90.0])
    depth = fp.LivingDepth(0.5, spread_elasticity=1.0, most_spread=0.1)
    market = fp.Market(100.0, fp.EvaporatingImpact(0.02, 1.0), spread=0.01, half_life=60.0, depth=depth)
    one = fp.simulate(book, market, still(10, s1=-0.2), 600, 10, 1).replay(0)
    assert one.exhausted
    assert one.liquidity[2] == 1.0  # a price of 0 tells nothing, the way to the next does
    assert one.liquidity[3:].tolist() == [0.05] * 8
    assert one.spread[2:].tolist() == [0.01] + [0.1] * 8
    assert np.isfinite(one.price).all()


# --- all kinds of runs ---
def kinds() -> dict[str, dict[str, Any]]:
    rng = np.random.default_rng(5)
    side = rng.choice([1, -1], 200)
    trigger = 100 * np.exp(-side * (0.01 + rng.exponential(0.05, 200)))
    bankruptcy = trigger * (1 - 0.01 * side)
    book = fp.Book(side, rng.lognormal(0, 1, 200), trigger, bankruptcy, entry_price=np.full(200, 100.0))
    laws = {"distance": fp.Exponential(0.05), "quantity": fp.Exponential(1.0)}
    turnover = fp.Turnover(0.02, 1.0, closing_rate=1e-5)
    return {
        "plain": {"book": book},
        "funding": {"book": book, "funding": fp.Funding(0.002, interval=1_800)},
        "accounted": {"book": book, "venue": fp.Venue(fund=3.0)},
        "venue": {"book": book, "venue": fp.Venue("fraction", 1.0, "queue", fraction=0.5, pacing=0.01)},
        "random": {"book": fp.RandomBook(count=100, **laws) + fp.RandomBook(count=100, side=-1, **laws)},
        "turnover": {"book": book, "turnover": turnover},
    }


MARKET = fp.Market(100.0, fp.SquareRootImpact(0.03, 400.0, core=1.0), 3_600.0, 1e-5, 0.002)


def both(kind: str, **changes: Any) -> tuple[fp.SimulationResult, fp.SimulationResult]:
    """A kind of run in the market as it is, and changed."""
    run = {"process": fp.GBM(2.0), "horizon": 7_200.0, "steps": 120, "paths": 24, "seed": 3, "record": 1} | kinds()[
        kind
    ]
    columns = [
        "final_price",
        "low_price",
        "high_price",
        "low_time",
        "waves",
        "long_quantity",
        "short_notional",
        "proceeds",
    ]
    return tuple(
        fp.simulate(market=m, columns=columns, **run) for m in (MARKET, dataclasses.replace(MARKET, **changes))
    )


@pytest.mark.parametrize("kind", kinds())
def test_what_never_acts_changes_no_bit(kind: str) -> None:
    inert = fp.LivingDepth(1e100)
    for change in (
        {"depth": inert},
        {"support": fp.Support(1.0, 1.0)},
        {"depth": inert, "support": fp.Support(1.0, 1.0)},
    ):
        plain, changed = both(kind, **change)
        assert plain.waves.sum() > 10
        np.testing.assert_array_equal(plain.prices, changed.prices)
        for name in plain:
            np.testing.assert_array_equal(plain[name], changed[name])
        assert not changed.support_quantity.any()
        assert (changed.least_liquidity == 1).all()


@pytest.mark.parametrize("kind", kinds())
def test_runs_of_every_kind_repeat_bit_for_bit(kind: str) -> None:
    depth = fp.LivingDepth(1.0, spread_elasticity=0.3)
    market = dataclasses.replace(MARKET, depth=depth, support=fp.Support([95.0, 97.0], [20.0, 5.0]))
    run = {
        "market": market,
        "process": fp.GBM(2.0),
        "horizon": 7_200.0,
        "steps": 120,
        "seed": 3,
        "record": 1,
    } | kinds()[kind]
    whole = fp.simulate(paths=24, threads=2, **run)
    assert 0 < np.count_nonzero(whole["support_quantity"]) < 24
    assert (whole["least_liquidity"] < 0.9).all()
    joined = fp.simulate(paths=range(7), threads=1, **run) + fp.simulate(paths=range(7, 24), threads=1, **run)
    assert joined == whole
    np.testing.assert_array_equal(joined.prices, whole.prices)
    one = whole.replay(11)
    np.testing.assert_array_equal(one.price, whole.prices[11])
    assert one.support_quantity == whole.support_quantity[11]
    assert one.least_liquidity == whole.least_liquidity[11] == one.liquidity.min()
    if isinstance(whole, fp.VenueSimulationResult):
        whole.check_balance()


def test_lanes_agree() -> None:
    """One position, by every way to run it."""
    book = fp.Book(+1, [30.0], [97.0], [96.0])
    depth = fp.LivingDepth(1.0, spread_elasticity=0.3)
    market = dataclasses.replace(MARKET, depth=depth, support=fp.Support([95.0, 96.5], [20.0, 5.0]))
    run = {
        "market": market,
        "process": fp.GBM(2.0),
        "horizon": 7_200.0,
        "steps": 120,
        "paths": 24,
        "seed": 3,
        "record": 1,
    }
    plain = fp.simulate(book, **run)
    random = fp.RandomBook(count=1, distance=fp.Table([math.log(100 / 97)]), quantity=30.0)
    others = {
        "venue": fp.simulate(book, **run, venue=fp.Venue(fund=1e6)),
        "intervening": fp.simulate(book, **run, venue=fp.Venue(fund=1e6, pacing=1e6)),
        "funding": fp.simulate(book, **run, funding=fp.Funding(0.0, interval=600)),
        "turnover": fp.simulate(book, **run, turnover=fp.Turnover(1e-12, 1.0)),
        "random": fp.simulate(random, **run),
    }
    assert 3 < plain.waves.sum() <= 24
    for name, other in others.items():
        np.testing.assert_allclose(other.prices, plain.prices, rtol=1e-11, err_msg=name)
        np.testing.assert_allclose(other.support_quantity, plain.support_quantity, rtol=1e-9, err_msg=name)
        np.testing.assert_allclose(other.least_liquidity, plain.least_liquidity, rtol=1e-9, err_msg=name)
        if name in ("venue", "intervening", "funding"):
            np.testing.assert_allclose(other.proceeds, plain.proceeds, rtol=1e-9, err_msg=name)


def test_bridges_have_support_but_no_living_depth() -> None:
    book = fp.Book(+1, [30.0], [97.0])
    run = {"book": book, "process": fp.GBM(2.0), "horizon": 7_200.0, "steps": 12, "paths": 50, "seed": 3}
    market = dataclasses.replace(MARKET, support=fp.Support(96.0, 1e6))
    e = fp.simulate(market=market, monitoring="bridge", **run)
    assert (e.support_quantity > 0).any()
    assert (e.low_price < 96).any()
    living = dataclasses.replace(MARKET, depth=fp.LivingDepth(1.0))
    with pytest.raises(ValueError, match="monitoring must be 'step' for a market with depth that lives, was 'bridge'"):
        fp.simulate(market=living, monitoring="bridge", **run)


def test_what_is_bought_lifts_the_price_for_good() -> None:
    """Without half-life the price is that of everything sold, less everything bought."""
    market = fp.Market(100.0, fp.LinearImpact(1e-3), support=fp.Support([97.0, 95.0, 90.0], [5.0, 10.0, 500.0]))
    book = kinds()["plain"]["book"]
    returns = 0.004 * np.random.default_rng(1).standard_normal((50, 100))
    e = fp.simulate(book, market, fp.Returns(returns), steps=100, paths=50)
    sold = e.long_quantity - e.short_quantity - e.support_quantity
    np.testing.assert_allclose(e.final_price, 100 * np.exp(returns.sum(1) - 1e-3 * sold), rtol=1e-12)
    assert len(set(e.support_quantity.tolist())) > 10


def test_columns_are_those_of_what_the_market_has() -> None:
    book = kinds()["plain"]["book"]
    support = fp.Support(95.0, 10.0)
    with_both = dataclasses.replace(MARKET, depth=fp.LivingDepth(1.0), support=support)
    run = {"book": book, "process": fp.GBM(2.0), "horizon": 7_200.0, "steps": 24, "paths": 50, "seed": 3}
    both = fp.simulate(market=with_both, columns=["final_price"], **run)
    for name in ("support_quantity", "least_liquidity"):
        assert name not in both
        assert both.summary([name])[name]["count"] == 50
        assert len(both.exceedance(name))
        assert fp.compare(both, both, [name])[name]["count"] == 50
        halves = [fp.simulate(market=with_both, columns=["final_price"], **run | {"paths": p})
                  for p in (range(20), range(20, 50))]  # fmt: skip
        assert (halves[0] + halves[1]).summary([name])[name] == both.summary([name])[name]
        with pytest.raises(ValueError, match=f"columns must be among .*, was '{name}'"):
            fp.simulate(market=MARKET, columns=[name], **run)
        with pytest.raises(ValueError, match=f"columns must be among .*, was '{name}'"):
            fp.simulate(market=MARKET, **run).summary([name])
    s = fp.stress(book, dataclasses.replace(MARKET, support=support), [-0.1, -0.2], columns=["final_price"])
    assert s.summary(["support_quantity"])["support_quantity"]["mean"].value > 0
    with pytest.raises(ValueError, match=r"columns must be among .*, was 'support_quantity'"):
        fp.stress(book, MARKET, [-0.1], columns=["support_quantity"])
    plain = fp.simulate(market=MARKET, **run)
    assert not plain.support_quantity.any()
    assert (plain.least_liquidity == 1).all()


def test_acts_in_time_only() -> None:
    book = kinds()["plain"]["book"]
    living = dataclasses.replace(MARKET, depth=fp.LivingDepth(0.01))
    assert fp.cascade(book, living, -0.1) == fp.cascade(book, MARKET, -0.1)
    assert fp.stress(book, living, [-0.1, 0.1]) == fp.stress(book, MARKET, [-0.1, 0.1])
    first = fp.simulate(book, living, still(1, s0=-0.1), 60, 1, 1)
    assert first.final_price == fp.simulate(book, MARKET, still(1, s0=-0.1), 60, 1, 1).final_price


def test_other_questions() -> None:
    book = kinds()["plain"]["book"]
    market = dataclasses.replace(MARKET, depth=fp.LivingDepth(1.0), support=fp.Support(97.0, 20.0))
    with pytest.raises(
        ValueError, match=r"market must be without support for a map \(stress answers with it\), was Support"
    ):
        fp.response(book, market)
    run = {"process": fp.GBM(2.0), "horizon": 7_200.0, "steps": 120, "paths": 200, "seed": 3}
    a, b = fp.simulate(book, MARKET, **run), fp.simulate(book, market, **run)
    fp.compare(a, b)
    assert b.summary()
    x = fp.experiment(book, MARKET, policies={"supported": fp.Policy(market=market)}, **run)
    assert x["supported"] == b
    size = fp.size_fund(book, market, fp.GBM(2.0), horizon=7_200.0, steps=120, paths=200, seed=3)
    assert size is not None


# --- what is refused ---
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: fp.LivingDepth(0.0), "normal_volatility must be positive, was 0.0"),
        (lambda: fp.LivingDepth(1e200), r"normal_volatility must be at most 1e\+100, was 1e\+200"),
        (lambda: fp.LivingDepth("0.6"), "normal_volatility must be a real number, was '0.6'"),
        (lambda: fp.LivingDepth(0.6, elasticity=-1), "elasticity must be at least 0, was -1.0"),
        (lambda: fp.LivingDepth(0.6, memory=0), "memory must be positive, was 0.0"),
        (lambda: fp.LivingDepth(0.6, memory=math.inf), "memory must be finite, was inf"),
        (lambda: fp.LivingDepth(0.6, least=0), "least must be positive, was 0.0"),
        (lambda: fp.LivingDepth(0.6, least=1.5), "least must be at most 1, was 1.5"),
        (
            lambda: fp.LivingDepth(0.6, elasticity=0),
            "elasticity must leave depth or spread something to change, was 0.0",
        ),
        (lambda: fp.LivingDepth(0.6, least=1), "least must leave depth or spread something to change, was 1.0"),
        (lambda: fp.LivingDepth(0.6, refill_half_life=-1), "refill_half_life must be at least 0, was -1.0"),
        (lambda: fp.LivingDepth(0.6, spread_elasticity=math.nan), "spread_elasticity must be finite, was nan"),
        (lambda: fp.LivingDepth(0.6, spread_elasticity=1, most_spread=2), "most_spread must be below 2, was 2.0"),
        (
            lambda: fp.LivingDepth(0.6, most_spread=0.1),
            "most_spread must be left out where spread_elasticity is 0, was 0.1",
        ),
        (lambda: fp.LivingDepth(0.6, elasticity=0, least=0.1), "least must be left out where elasticity is 0, was 0.1"),
        (
            lambda: dataclasses.replace(MARKET, spread=0.0, depth=fp.LivingDepth(0.6, spread_elasticity=1.0)),
            "spread must be positive where depth has spread_elasticity=1.0, was 0.0",
        ),
        (
            lambda: dataclasses.replace(MARKET, spread=0.1, depth=fp.LivingDepth(0.6, spread_elasticity=1.0)),
            "spread must be at most depth's most_spread, 0.05, was 0.1",
        ),
        (lambda: dataclasses.replace(MARKET, depth=0.6), "depth must be a LivingDepth, was float"),
        (lambda: dataclasses.replace(MARKET, support=95.0), "support must be a Support, was float"),
        (lambda: fp.Support([95.0, math.nan], 1.0), "price must be positive, was nan at index 1"),
        (lambda: fp.Support(95.0, [1.0, 0.0]), "quantity must be positive, was 0.0 at index 1"),
        (lambda: fp.Support(95.0, math.inf), "quantity must be positive and finite, was inf"),
        (lambda: fp.Support([], []), r"price must be a number or have one dimension and an entry, was of shape \(0,\)"),
        (
            lambda: fp.Support([[95.0]], 1.0),
            r"price must be a number or have one dimension and an entry, was of shape \(1, 1\)",
        ),
        (
            lambda: fp.Support([95.0, 94.0], [1.0, 2.0, 3.0]),
            r"price and quantity must broadcast together, were of shapes \(2,\) and \(3,\)",
        ),
        (
            lambda: dataclasses.replace(MARKET, support=fp.Support([95.0, 100.0], 1.0)),
            "price of support must be below the market's, 100, was 100.0 at index 1",
        ),
    ],
)  # fmt: skip
def test_bad_input(make: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=f"^{message}"):
        make()


def test_markets_with_them_are_values() -> None:
    depth, support = fp.LivingDepth(0.6, spread_elasticity=0.5), fp.Support([95.0, 96.0], [2.0, 3.0])
    market = dataclasses.replace(MARKET, depth=depth, support=support)
    again = pickle.loads(pickle.dumps(market))
    assert again == market
    assert hash(again) == hash(market)
    assert market != dataclasses.replace(market, support=fp.Support([95.0, 96.0], [2.0, 4.0]))
    assert market.support == fp.Support([96.0, 95.0], [3.0, 2.0])
    assert fp.Support(95.0, 1.0) != 95.0
    with pytest.raises(ValueError, match="read-only"):
        again.support.price[0] = 1.0
    text = str(market)
    assert "depth where volatility is above 60%: thins with elasticity 1, to 5% at least" in text
    assert "spread widens with elasticity 0.5, to 5.00% at most" in text
    assert "support: 5 bid from 96 down to 95" in text
    assert str(fp.Support(95.0, 1.0)) == "support: 1 bid at 95"
