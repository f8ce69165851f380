"""What a venue does at a trigger, against the slow reference: one cascade, many scenarios, paths in time."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

import flushpoint as fp
import reference
import reference_venue
from enough import until_seen
from reference_venue import Outcome, Rules, VenueCase, VenueRun, tiers, venue_of

RELATIVE = 1e-9
MONEY = (
    "proceeds", "shortfall", "surplus", "fund_paid", "fund_received", "fund_end", "unpaid_loss", "socialised_loss",
    "fees", "fund_needed",
)  # fmt: skip
QUANTITIES = ("long_quantity", "short_quantity", "liquidated_quantity", "stop_quantity", "adl_quantity")
NOTIONALS = ("long_notional", "short_notional", "liquidated_notional", "stop_notional")
COUNTS = ("long_count", "short_count", "liquidated_count", "stop_count", "adl_count")
PLAIN = (
    "final_price", "low_price", "high_price", "liquidated_quantity", "liquidated_count", "liquidated_notional",
    "proceeds", "shortfall", "surplus", "exhausted",
)  # fmt: skip
IN_TIME = (*PLAIN, *QUANTITIES[:2], *NOTIONALS[:2], *COUNTS[:2], "low_time", "waves")


def near(value: float, expected: float, tolerance: float) -> bool:
    return value == expected or abs(value - expected) <= tolerance * abs(expected) + 1e-300


def comparable(expected: Outcome) -> bool:
    """Neither decided by rounding, nor with infinities whose differences are not numbers."""
    return not expected.doubtful and math.isfinite(expected.scale)


def assert_totals(get: Callable[[str], Any], expected: Outcome, names: tuple[str, ...] = ()) -> None:
    """`get` gives a column's value for what `expected` describes."""
    tolerance = RELATIVE + 10 * expected.wobble
    for name in ("final_price", "low_price", "high_price"):
        assert near(get(name), getattr(expected, name), tolerance), name
    assert get("exhausted") == expected.exhausted
    totals, desk = expected.totals, expected.desk
    held = sum(p.original for p in desk.positions)
    fired = sum(w[4] for w in desk.waves)
    for name in names or (*COUNTS, *QUANTITIES, *NOTIONALS, *MONEY):
        if name in MONEY:
            assert get(name) == pytest.approx(totals[name], rel=0, abs=tolerance * desk.gross), name
        elif name in COUNTS or totals[name] == 0:  # nothing closed is exactly nothing
            assert get(name) == totals[name], name
        else:
            least = 1e-13 * (fired if name in NOTIONALS else held)
            assert get(name) == pytest.approx(totals[name], rel=RELATIVE, abs=least), name


def assert_waves(waves: Any, expected: Outcome) -> None:
    tolerance = RELATIVE + 10 * expected.wobble
    # running sums of the book's quantities, and of quantity x trigger, are what a wave's are differences of
    held = sum(p.original for p in expected.desk.positions)
    worth = sum(p.original * p.first_trigger for p in expected.desk.positions if math.isfinite(p.first_trigger))
    assert len(waves) == len(expected.waves)
    for wave, (_, price, quantity, count, notional) in zip(waves, expected.waves, strict=True):
        assert near(wave["price"], price, tolerance)
        assert wave["count"] == count
        assert wave["quantity"] == pytest.approx(quantity, rel=1e-8, abs=1e-14 * held)
        assert wave["notional"] == pytest.approx(notional, rel=1e-8, abs=1e-14 * worth)


def assert_cascade(c: Any, case: VenueCase, expected: Outcome) -> None:
    names = (*COUNTS[2:], *QUANTITIES[2:], *NOTIONALS[2:], *MONEY)
    assert_totals(lambda name: getattr(c, name), expected, names)
    assert c.closed.tolist() == expected.closed
    assert c.closed_by.dtype == np.int8
    assert c.closed_by.tolist() == expected.closed_by
    tolerance = RELATIVE + 10 * expected.wobble
    assert_waves(c.waves, expected)
    assert c.exit_price.tolist() == pytest.approx(expected.exit_price, rel=10 * tolerance, nan_ok=True)
    start, final = case.case.price, expected.final_price
    for p, loss in zip(expected.desk.positions, expected.position_loss, strict=True):
        scale = p.original * (start + final + p.first_bankruptcy + abs(p.bankruptcy)) + p.exit_money + abs(loss)
        assert c.position_loss[p.number] == pytest.approx(loss, rel=0, abs=tolerance * scale)


def run(case: VenueCase, **options: Any) -> Any:
    return fp.cascade(case.book(), case.market(), **case.case.question, venue=case.venue(), **options)


def assert_case(case: VenueCase) -> bool:
    """False if the case is one that rounding may decide."""
    expected = case.expected()
    c = run(case)
    if math.isfinite(expected.scale):
        assert c.fund_end >= 0
    if not comparable(expected):
        return False
    assert_cascade(c, case, expected)
    c.check_balance()
    return True


# --- a cascade against the reference ---
@settings(max_examples=200)
@given(case=reference_venue.cases())
def test_any_cascade(case: VenueCase) -> None:
    event(f"{case.rules.close}, {case.rules.adl}")
    assume(assert_case(case))


@pytest.mark.parametrize("adl", reference_venue.POLICIES)
def test_every_policy_of_deleveraging(adl: str) -> None:
    """Enough cases in which winners are closed, at both prices, whatever the close policy."""
    seen = {"compared": 0, "deleveraged": 0, "in part": 0}

    @settings(max_examples=40)
    @given(case=reference_venue.cases(adl=adl))
    def compare(case: VenueCase) -> None:
        case = replace(case, rules=replace(case.rules, fund=case.rules.fund * 0.01))
        assume(assert_case(case))
        expected = case.expected()
        seen["compared"] += 1
        seen["deleveraged"] += expected.desk.adl_events > 0
        seen["in part"] += any(p.deleveraged and p.quantity > 0 for p in expected.desk.positions)

    takes = adl not in ("none", "socialised")
    until_seen(compare, seen, {"compared": 20, "deleveraged": 5 * takes, "in part": 2 * takes})


@pytest.mark.parametrize("close", ["full", "tier_step_down", "fraction"])
def test_every_close_policy(close: str) -> None:
    seen = {"compared": 0, "partly": 0, "waves": 0}

    @settings(max_examples=80)
    @given(case=reference_venue.cases(close=close))
    def compare(case: VenueCase) -> None:
        assume(assert_case(case))
        expected = case.expected()
        seen["compared"] += 1
        seen["partly"] += 3 in expected.closed_by
        seen["waves"] += len(expected.waves) > 1

    until_seen(compare, seen, {"compared": 30, "waves": 1, "partly": 5 * (close != "full")})


@pytest.mark.parametrize("family", list(reference.SHAPES))
@pytest.mark.parametrize("n", [17, 64, 200])
def test_larger_books(family: str, n: int) -> None:
    compared = deleveraged = 0
    for seed in range(10 if n < 200 else 3):
        case = reference_venue.random_case(7_000 * n + seed, n, family=family, alive=seed % 2 == 0)
        compared += assert_case(case)
        deleveraged += case.expected().totals["adl_count"] > 0
    assert compared >= 2
    assert deleveraged >= 1 or n == 200


# --- examples by hand; the reference's tests say what they must give ---
def example(rows: list[tuple[int, float, float, float, float]], price: float, rules: Rules, **more: Any) -> VenueCase:
    side, quantity, trigger, owed, entry = (list(column) for column in zip(*rows, strict=True))
    case = reference.Case(
        side, quantity, trigger, owed, price, ("LinearImpact", {"coefficient": more.pop("coefficient", 0.0)}), **more
    )
    return VenueCase(case, entry, rules)


# a long of which half is sold and a short whose loss exceeds the fund; then a short whose half costs more than it has
CROSSED_IN_PART = [(1, 1.0, 105.0, 80.0, 90.0), (-1, 2.0, 97.0, 99.0, 90.0), (1, 4.0, 50.0, 45.0, 60.0)]
COSTLY_HALF = [(-1, 2.0, 101.0, 120.0, 90.0), (1, 4.0, 50.0, 45.0, 60.0)]
TWO_SIDES = [
    (1, 1.0, 105.0, 103.0, 110.0), (-1, 2.0, 97.0, 99.0, 90.0),
    (1, 4.0, 50.0, 45.0, 60.0), (-1, 4.0, 200.0, 210.0, 150.0),
]  # fmt: skip
WATERFALL = [(1, 1.0, 94.0, 70.0, 100.0), (1, 1.0, 93.0, 85.0, 100.0), (1, 1.0, 92.0, 90.0, 100.0)]
REST_OF_WAVE = [
    (1, 1.0, 94.0, 81.0, 100.0), (1, 1.0, 93.0, 90.0, 100.0), (1, 1.0, 92.0, 80.5, 100.0),
    (-1, 1.5, 200.0, 210.0, 120.0), (-1, 9.0, 200.0, 210.0, 79.0),
]  # fmt: skip
SOCIALISED = [(1, 10.0, 95.0, 90.0, 100.0), (1, 7.0, 10.0, 5.0, 100.0), (-1, 4.0, 300.0, 310.0, 100.0)]
CHAIN = [(-1, 1.0, 50_400.0, 50_499.0, 50_000.0), (1, 1.0, 0.0, 0.0, 50_000.0)]
FAR_BELOW = [(1, 100.0, 492.0, 489.0, 500.0), (-1, 300.0, 900.0, 950.0, 450.0)]
PARTIAL = [(1, 8.0, 90.0, 86.0, 100.0), (-1, 1.0, 150.0, 160.0, 100.0)]
EXAMPLES = {
    "waterfall": example(WATERFALL, 80.0, Rules(fund=2.0)),
    "waterfall with fees": example(WATERFALL, 80.0, Rules(fund=2.0, fee_rate=0.05)),
    "fees to the fund": example(WATERFALL, 80.0, Rules(fund=2.0, fee_rate=0.05, fee_to="fund", surplus_to="venue")),
    "surplus to the trader": example(WATERFALL, 80.0, Rules(fund=2.0, surplus_to="trader")),
    "rest of a wave": example(REST_OF_WAVE, 80.0, Rules(fund=2.0, adl="queue")),
    "rest of a wave, at the mark": example(REST_OF_WAVE, 80.0, Rules(fund=2.0, adl="pro_rata", adl_price="mark")),
    "no winners": example(REST_OF_WAVE[:3] + REST_OF_WAVE[4:], 80.0, Rules(fund=2.0, adl="queue")),
    "both sides": example(TWO_SIDES, 100.0, Rules(adl="pro_rata")),
    "crossed in part is no winner": example(
        CROSSED_IN_PART, 100.0, Rules(close="fraction", fraction=0.5, adl="list_order")
    ),
    "a trigger below zero, deleveraged": example(
        COSTLY_HALF, 102.0, Rules(close="fraction", fraction=0.5, adl="list_order"), coefficient=2.0, mark_weight=0.0
    ),
    "a trigger below zero, bought": example(
        COSTLY_HALF, 102.0, Rules(close="fraction", fraction=0.5), coefficient=2.0, mark_weight=0.0
    ),
    "spread over all": example(SOCIALISED, 80.0, Rules(fund=5.0, adl="socialised")),
    "a chain": example(CHAIN, 50_500.0, Rules(adl="list_order")),
    "far below": example(FAR_BELOW, 400.0, Rules(adl="queue")),
    "far below, at the mark": example(FAR_BELOW, 400.0, Rules(adl="queue", adl_price="mark")),
    "a fifth at a time": example(
        PARTIAL, 89.0, Rules(close="fraction", fraction=0.2, fee_rate=0.01), coefficient=0.003
    ),
    "until healthy": example(PARTIAL, 89.0, Rules(close="fraction", target=1.5), coefficient=0.003, spread=0.001),
    "a tier at a time": example(
        PARTIAL, 89.0, Rules(close="tier_step_down", schedule=tiers([0, 200, 500], [0.01, 0.03, 0.05]))
    ),
    "until healthy, tiers": example(
        PARTIAL, 89.0, Rules(close="fraction", target=1.2, schedule=tiers([0, 200, 500], [0.01, 0.03, 0.05])),
        coefficient=0.001,
    ),
    "whole when small": example(PARTIAL, 89.0, Rules(close="fraction", fraction=0.5, whole_below=300.0)),
}  # fmt: skip


@pytest.mark.parametrize("name", list(EXAMPLES))
def test_examples(name: str) -> None:
    assert assert_case(EXAMPLES[name])


@pytest.mark.parametrize(("side", "fill", "owed", "cap", "delta"), [
    (1, 5610, 5100, 0.005, 28.05), (1, 5610, 5100, 0.025, 140.25), (-1, 4410, 4900, 0.005, 22.05),
    (-1, 4410, 4900, 0.025, 110.25), (1, 5105.1, 5100, 0.005, 5.1), (-1, 4895.1, 4900, 0.005, 4.9),
    (1, 5100, 5100, 0.005, 0), (1, 5049, 5100, 0.005, -51), (-1, 4949, 4900, 0.005, -49),
])  # fmt: skip
def test_what_a_chain_moves_to_or_from_its_fund(side: int, fill: float, owed: float, cap: float, delta: float) -> None:
    """dYdX's insurance fund delta, min(cap x fill, fill - bankruptcy), or the shortfall."""
    trigger = 1e6 if side > 0 else 1e-3
    book = fp.Book([side], [0.1], [trigger], [owed / 0.1])
    venue = fp.Venue(fund=1000.0, surplus_to="trader", fee_to="fund", fee_rate=cap)
    c = fp.cascade(book, fp.Market(fill / 0.1, fp.LinearImpact(0.0)), venue=venue)
    assert c.fund_end - 1000 == pytest.approx(delta, abs=1e-9)
    assert c.unpaid_loss == 0
    c.check_balance()


def test_queue_of_an_exchange() -> None:
    """BitMEX: scores 3, 6, 1, 4, 5, 2 against a liquidated short of 20 with bankruptcy price 650."""
    price, entry = 660.0, 500.0
    leverage = np.array([3, 6, 1.5, 4, 5, 2]) / (price / entry - 1)
    book = fp.Book(
        [1] * 6 + [-1], [10.0, 10.0, 20.0, 30.0, 20.0, 10.0, 20.0], [1.0] * 6 + [645.0],
        [*(price * (1 - 1 / leverage)), 650.0], [entry] * 6 + [600.0],
    )  # fmt: skip
    c = fp.cascade(book, fp.Market(price, fp.LinearImpact(0.001)), venue=fp.Venue(adl="queue"))
    assert c.closed_by.tolist() == [0, 2, 0, 0, 3, 0, 2]
    assert c.exit_price[[1, 4, 6]] == pytest.approx(650)
    assert (c.adl_quantity, c.adl_count) == (20, 2)
    assert c.final_price == pytest.approx(price)
    assert c.shortfall == c.proceeds == c.unpaid_loss == 0
    assert (c.liquidated_count, c.liquidated_quantity, c.liquidated_notional) == (1, 20, 20 * 645)
    c.check_balance()


def test_nothing_is_left_to_sell_where_winners_are_enough() -> None:
    """Sums of awkward quantities are rounded; no rest of that size may reach the market, which it could move."""
    market = fp.Market(100.0, fp.PowerImpact(1.0, 0.25))
    rng = np.random.default_rng(2)
    for n in (2, 3, 5, 9):
        for adl in reference_venue.POLICIES[1:-1]:
            quantity = rng.lognormal(0, 1, 2 * n)
            quantity[n:] *= 1.5 * quantity[:n].sum() / quantity[n:].sum()
            book = fp.Book(
                [-1] * n + [1] * n, quantity, [97.0] * n + [50.0] * n, [99.0] * n + [45.0] * n,
                [90.0] * n + list(rng.uniform(60, 90, n)),
            )  # fmt: skip
            c = fp.cascade(book, market, venue=fp.Venue(adl=adl))
            assert c.closed_by[:n].tolist() == [2] * n
            assert c.proceeds == c.shortfall == 0
            assert c.final_price == pytest.approx(100.0, rel=1e-14)
            c.check_balance()


# --- everything off ---
def off(case: VenueCase) -> dict[str, Any]:
    """Venues that change nothing but money, and one for each feature with nothing left to do."""
    rich = 1e12 * case.case.price * sum(case.case.quantity)
    out = {
        "nothing": Rules(), "a fund": Rules(fund=rich), "the whole share": Rules(close="fraction", fraction=1.0),
        "one tier": Rules(close="tier_step_down", schedule=tiers([0.0], [0.01])),
        "socialised": Rules(fund=rich, adl="socialised"), "its own mark": Rules(mark_weight=case.case.mark_weight),
        "fees": Rules(fee_rate=0.01, fee_to="fund", surplus_to="trader"),
    }  # fmt: skip
    out |= {adl: Rules(fund=rich, adl=adl, adl_price="mark") for adl in reference_venue.POLICIES[1:-1]}
    return {name: venue_of(rules) for name, rules in out.items()}


def bits(result: Any, names: tuple[str, ...]) -> dict[str, bytes]:
    return {name: np.asarray(getattr(result, name)).tobytes() for name in names}


@settings(max_examples=25)
@given(case=reference_venue.cases())
def test_features_that_are_off_change_no_bit_of_a_cascade(case: VenueCase) -> None:
    plain = fp.cascade(case.book(), case.market(), **case.case.question)
    assume(math.isfinite(plain.proceeds))
    for name, venue in off(case).items():
        c = fp.cascade(case.book(), case.market(), **case.case.question, venue=venue)
        assert bits(c, PLAIN) == bits(plain, PLAIN), name
        assert (c.closed == plain.closed).all()
        assert c.exit_price == pytest.approx(plain.exit_price, rel=1e-14, nan_ok=True)
        assert c.waves.tobytes() == plain.waves.tobytes()
        assert c.amplification == plain.amplification or math.isnan(plain.amplification)


@settings(max_examples=15)
@given(case=reference_venue.cases(alive=True), shocks=st.lists(st.floats(-0.6, 0.6), min_size=1, max_size=5))
def test_features_that_are_off_change_no_bit_of_a_scenario(case: VenueCase, shocks: list[float]) -> None:
    arguments = case.book(), case.market(), shocks, case.case.sell, [1.0, 0.5, 2.0, 1.0, 0.7][: len(shocks)]
    plain = fp.stress(*arguments, refill=case.case.refill)
    assume(np.isfinite(plain.proceeds).all())
    for name, venue in off(case).items():
        s = fp.stress(*arguments, refill=case.case.refill, venue=venue)
        names = (*PLAIN, *QUANTITIES[:2], *NOTIONALS[:2], *COUNTS[:2], "waves", "amplification")
        assert bits(s, names) == bits(plain, names), name


def simulate(run: VenueRun, venue: Any, **options: Any) -> Any:
    rows = np.array(run.returns)
    steps = rows.shape[1]
    return fp.simulate(
        run.case.book(), run.market(), fp.Returns(rows), run.dt * steps, steps, len(rows), seed=0, record="all",
        funding=run.funding(),
        **({} if venue is None else {"venue": venue}), **options,
    )  # fmt: skip


@settings(max_examples=15)
@given(run=reference_venue.runs())
def test_features_that_are_off_change_no_bit_of_a_path(run: VenueRun) -> None:
    plain = simulate(run, None)
    assume(np.isfinite(plain.proceeds).all())
    for name, venue in off(run.case).items():
        e = simulate(run, venue)
        assert bits(e, (*IN_TIME, "prices")) == bits(plain, (*IN_TIME, "prices")), name
    # a queue that holds nothing back settles one by one: the same trades, money added up in another order
    held = sum(run.case.case.quantity)
    for rules in (Rules(pacing=1e9 * held / run.dt), Rules(price_band=1e9)):
        e = simulate(run, venue_of(rules))
        same = ("long_count", "short_count", "waves", "exhausted", "low_time")
        assert bits(e, same) == bits(plain, same)
        assert e.prices == pytest.approx(plain.prices, rel=1e-12)
        for name in ("proceeds", "shortfall", "surplus"):
            scale = 1e-12 * held * float(plain.high_price.max() + max(run.case.case.bankruptcy or [0.0]))
            assert getattr(e, name) == pytest.approx(getattr(plain, name), rel=0, abs=scale), name


# --- many scenarios ---
@settings(max_examples=60)
@given(
    case=reference_venue.cases(alive=True), threads=st.integers(1, 3),
    more=st.lists(
        st.tuples(st.floats(-0.5, 0.5), st.sampled_from([0.0, 0.0, 0.2, -0.2]), st.sampled_from([1.0, 0.5, 3.0])),
        max_size=4,
    ),
)  # fmt: skip
def test_every_scenario_is_a_cascade(case: VenueCase, threads: int, more: list[tuple[float, float, float]]) -> None:
    held = sum(case.case.quantity)
    asked = [(case.case.shock, case.case.sell, 1.0), *((s, sale * held, d) for s, sale, d in more)]
    shock, sell, liquidity = (list(column) for column in zip(*asked, strict=True))
    s = fp.stress(
        case.book(), case.market(), shock, sell, liquidity, case.case.refill, threads=threads, venue=case.venue()
    )
    compared = 0
    for row, (a, b, depth) in enumerate(asked):
        one = replace(case, case=replace(case.case, shock=a, sell=b))
        expected = one.expected(depth)
        if not comparable(expected):
            continue
        compared += 1
        assert_totals(lambda name, row=row: getattr(s, name)[row], expected)
        assert s.waves[row] == len(expected.waves)
        if depth == 1.0:
            c = run(one)
            assert c.final_price == s.final_price[row]
            for name in MONEY:
                assert getattr(c, name) == pytest.approx(getattr(s, name)[row], rel=1e-12, abs=1e-300)
    assume(compared > 0)
    if compared == len(asked):
        s.check_balance()


def big_book(n: int = 400) -> fp.Book:
    rng = np.random.default_rng(8)
    side = rng.choice([1, -1], n)
    distance = rng.exponential(0.08, n) + 0.005
    trigger = 100 * np.exp(-side * distance)
    owed = trigger * (1 - side * rng.choice([0.002, 0.01, 0.03], n))
    entry = 100 * np.exp(rng.normal(0, 0.1, n))
    return fp.Book(side, rng.lognormal(0, 1, n), trigger, owed, entry)


VENUES = {
    "queue": Rules(fund=500.0, adl="queue", fee_rate=0.001, fee_to="fund"),
    "water": Rules(fund=500.0, adl="water_filling", adl_price="mark"),
    "fraction": Rules(close="fraction", target=1.2, fund=500.0, adl="pro_rata_profit", surplus_to="trader"),
    "tiers": Rules(
        close="tier_step_down", schedule=tiers([0, 50, 150, 400], [0.004, 0.01, 0.02, 0.05]), fund=500.0,
        adl="queue_margin_ratio",
    ),
    "socialised": Rules(fund=500.0, adl="socialised"),
}  # fmt: skip
PACED = {name: replace(rules, pacing=0.4, delay=90.0, price_band=0.1) for name, rules in VENUES.items()}


@pytest.mark.parametrize("name", list(VENUES))
def test_scenarios_on_any_number_of_threads(name: str) -> None:
    market = fp.Market(100.0, fp.SquareRootImpact(0.03, 20_000.0), permanent=1e-5)
    names = (*PLAIN, *COUNTS[:2], *QUANTITIES, *NOTIONALS, *MONEY, "waves")
    shock = np.linspace(-0.4, 0.4, 300)
    results = [
        fp.stress(big_book(), market, shock, refill=0.1, threads=n, venue=venue_of(VENUES[name])) for n in (1, 2, 7)
    ]
    assert bits(results[0], names) == bits(results[1], names) == bits(results[2], names)
    results[0].check_balance()
    assert len(set(results[0].fund_end.tolist())) > 50
    if name in ("queue", "water"):
        assert results[0].adl_count.max() > 0


# --- paths ---
def assert_run(run: VenueRun, expected: list[Outcome]) -> int:
    e = simulate(run, run.case.venue())
    compared = 0
    for row, one in enumerate(expected):
        if math.isfinite(one.scale):
            assert e.fund_end[row] >= 0
        if not comparable(one):
            continue
        compared += 1
        assert_totals(lambda name, row=row: getattr(e, name)[row], one)
        assert e.waves[row] == len(one.waves)
        tolerance = RELATIVE + 10 * one.wobble
        for mine, theirs in zip(e.prices[row], one.prices, strict=True):
            assert near(mine, theirs, tolerance)
        if row == 0:
            again = e.replay(row)
            assert again.final_price == e.final_price[row]
            assert (again.price == e.prices[row]).all()
            assert again.waves["step"].tolist() == [w[0] for w in one.waves]
            assert_waves(again.waves, one)
    if compared == len(expected):
        e.check_balance()
    return compared


@settings(max_examples=90)
@given(run=reference_venue.runs(paced=False))
def test_any_path(run: VenueRun) -> None:
    assume(assert_run(run, run.expected()) > 0)


@settings(max_examples=130)
@given(run=reference_venue.runs(paced=True))
def test_any_path_whose_trades_wait(run: VenueRun) -> None:
    expected = run.expected()
    event(f"queued at the end {any(o.desk.queue for o in expected)}")
    assume(assert_run(run, expected) > 0)


@pytest.mark.parametrize("family", list(reference.SHAPES))
@pytest.mark.parametrize("waiting", [False, True])
def test_longer_paths_of_larger_books(family: str, waiting: bool) -> None:
    compared = 0
    for seed in range(3):
        case = reference_venue.random_case(300 + seed, 30, alive=True, family=family)
        rng = np.random.default_rng(seed)
        if waiting:
            held = sum(case.case.quantity)
            case = replace(case, rules=replace(case.rules, pacing=0.01 * held / 60, delay=30.0 * seed, price_band=0.3))
        rates = None if seed == 0 else (3e-3 * seed * rng.standard_normal(40)).tolist()
        run = VenueRun(case, (0.03 * rng.standard_normal((2, 40))).tolist(), 60.0, 120.0, rates)
        compared += assert_run(run, run.expected())
    assert compared >= 3


def long_run(rules: Rules, **options: Any) -> Any:
    market = fp.Market(100.0, fp.LinearImpact(5e-4), half_life=600.0, permanent=1e-5, mark_weight=0.8)
    process = fp.GBM(1.5)
    return fp.simulate(big_book(), market, process, 6 * 3600.0, 120, seed=4, venue=venue_of(rules), **options)


@pytest.mark.parametrize("name", list(VENUES))
@pytest.mark.parametrize("venues", [VENUES, PACED], ids=["at once", "paced"])
def test_threads_and_shards_give_the_same_bits(name: str, venues: dict[str, Rules]) -> None:
    names = (*IN_TIME, *QUANTITIES, *MONEY, "adl_count")
    whole = long_run(venues[name], paths=60, threads=1)
    for threads in (2, 7):
        assert bits(long_run(venues[name], paths=60, threads=threads), names) == bits(whole, names)
    parts = [long_run(venues[name], paths=range(a, b)) for a, b in ((0, 1), (1, 26), (26, 60))]
    for name_ in names:
        joined = np.concatenate([getattr(part, name_) for part in parts])
        assert joined.tobytes() == getattr(whole, name_).tobytes(), name_
    whole.check_balance()
    assert len(set(whole.fund_end.tolist())) > 30
    again = whole.replay(41)
    assert again.final_price == whole.final_price[41]
    assert len(again.waves) == whole.waves[41]


def test_the_fund_starts_anew_on_every_path() -> None:
    e = long_run(VENUES["queue"], paths=40)
    alone = [long_run(VENUES["queue"], paths=range(i, i + 1)).fund_end[0] for i in (0, 17, 39)]
    assert alone == e.fund_end[[0, 17, 39]].tolist()


def test_a_fund_as_large_as_needed_pays_all() -> None:
    rules = Rules(fund=0.0, adl="none")
    e = long_run(rules, paths=60)
    assert (e.fund_needed > 0).any()
    largest = float(e.fund_needed.max())
    assert long_run(replace(rules, fund=largest * (1 + 1e-9)), paths=60).unpaid_loss.max() == 0
    less = long_run(replace(rules, fund=largest * 0.99), paths=60)
    assert ((less.unpaid_loss > 0) == (e.fund_needed > largest * 0.99)).all()
    assert less.fund_needed.tobytes() == e.fund_needed.tobytes()


# --- balance ---
@pytest.mark.parametrize("name", ["fund_end", "proceeds", "fees", "unpaid_loss"])
def test_a_balance_that_does_not_add_up_is_found(name: str) -> None:
    market = fp.Market(100.0, fp.LinearImpact(5e-4))
    venue = fp.Venue(fund=100.0, fee_rate=0.001)
    results = [
        fp.cascade(big_book(), market, -0.1, venue=venue), fp.stress(big_book(), market, [-0.1, 0.1], venue=venue),
        long_run(Rules(fund=100.0, fee_rate=0.001), paths=3),
    ]  # fmt: skip
    for result in results:
        result.check_balance()
        wrong = copy.copy(result)
        value = np.array(getattr(result, name), float)
        value.flat[-1] += 1.0
        wrong.__dict__[name] = value if value.ndim else float(value)
        with pytest.raises(ArithmeticError):
            wrong.check_balance()


# --- refused ---
MARKET = fp.Market(100.0, fp.LinearImpact(1e-3))
BARE = fp.Book([1, -1], 1.0, [90.0, 110.0])
OWING = fp.Book([1, -1], 1.0, [90.0, 110.0], [89.0, 111.0])
FULL = fp.Book([1, -1], 1.0, [90.0, 110.0], [89.0, 111.0], [100.0, 100.0])
ONE_SIDE = fp.Book(1, 1.0, [90.0, 80.0], [89.0, 79.0], [100.0, 100.0])
STILL = fp.Returns(np.zeros((2, 3)))


@pytest.mark.parametrize("call", [
    lambda book, venue: fp.cascade(book, MARKET, -0.1, venue=venue),
    lambda book, venue: fp.stress(book, MARKET, -0.1, venue=venue),
    lambda book, venue: fp.simulate(book, MARKET, STILL, 3.0, 3, 2, venue=venue),
], ids=["cascade", "stress", "simulate"])  # fmt: skip
def test_books_that_a_venue_refuses(call: Callable[[Any, Any], Any]) -> None:
    with pytest.raises(ValueError, match="bankruptcy"):
        call(BARE, fp.Venue())
    with pytest.raises(ValueError, match="entry"):
        call(OWING, fp.Venue(adl="queue"))
    with pytest.raises(ValueError, match=r"^book must .*(side|longs|shorts)"):
        call(ONE_SIDE, fp.Venue(adl="pro_rata"))
    with pytest.raises(TypeError, match=r"^venue must"):
        call(FULL, 3)
    call(OWING, fp.Venue(adl="socialised"))
    call(ONE_SIDE, fp.Venue(fund=3.0))
    drawn = fp.RandomBook(count=5, distance=fp.Uniform(0.1, 0.2), quantity=1.0)
    with pytest.raises((ValueError, TypeError), match=r"book|venue"):
        call(drawn, fp.Venue())


@pytest.mark.parametrize("options", [{"pacing": 3.0}, {"delay": 1.0}, {"price_band": 0.1}])
def test_nothing_waits_where_there_is_no_time(options: dict[str, float]) -> None:
    venue, (name,) = fp.Venue(**options), options
    with pytest.raises(ValueError, match=name):
        fp.cascade(FULL, MARKET, -0.1, venue=venue)
    with pytest.raises(ValueError, match=name):
        fp.stress(FULL, MARKET, -0.1, venue=venue)
    fp.simulate(FULL, MARKET, STILL, 3.0, 3, 2, venue=venue)


# --- what rounding must not do ---
@pytest.mark.parametrize("entry", [99.99999999, 100 * (1 - 1e-14)])
def test_shares_of_profit_add_up_beside_one_large_winner(entry: float) -> None:
    needed = 1e6 + 0.5
    closed = fp.auto_deleverage(
        "pro_rata_profit", needed, 1, [1e6, 1, 1, 1], [50, entry, entry, entry], [40, 90, 90, 90], 100.0
    )
    assert math.fsum(closed) == pytest.approx(needed, rel=1e-15)


@pytest.mark.parametrize("adl", ["pro_rata", "pro_rata_profit", "water_filling"])
def test_little_is_taken_exactly_from_large_winners(adl: str) -> None:
    book = fp.Book([1, -1, -1], [1e-5, 77e3, 1e5], [95.0, 200, 200], [94.0, 210, 205.1], [100.0, 120, 130])
    c = fp.cascade(book, fp.Market(100.0, fp.LinearImpact(1e-3)), -0.1, venue=fp.Venue(adl=adl))
    assert c.adl_quantity == 1e-5
    c.check_balance()


def test_a_large_fund_hides_no_small_money() -> None:
    book = fp.Book(np.ones(50), 0.01, np.linspace(91, 99, 50), np.linspace(90, 98, 50), 100.0)
    market = fp.Market(100.0, fp.LinearImpact(1e-6))
    e = fp.simulate(book, market, fp.GBM(1.0), paths=50, steps=100, seed=1, venue=fp.Venue(fund=1e9))
    e.check_balance()
    assert e.fund_received.max() < 1e-6 * e.fund_end.min()


def test_a_delay_of_one_step_is_one_step_whenever_it_starts() -> None:
    steps, horizon = 500, 86_400.0
    returns = np.zeros((40, steps))
    returns[np.arange(40), np.arange(40)] = math.log(0.94)
    book = fp.Book([1], [1.0], [95.0], [90.0], [100.0])
    market = fp.Market(100.0, fp.LinearImpact(1e-3))
    venue = fp.Venue(delay=horizon / steps)
    e = fp.simulate(book, market, fp.Returns(returns), horizon, steps, 40, venue=venue)
    assert [e.replay(i).waves["step"].tolist() for i in range(40)] == [[i + 2] for i in range(40)]


def test_infinite_money_is_told_and_not_judged() -> None:
    book = fp.Book([-1, 1], [10.0, 1.0], [105.0, 50.0], [107.0, 49.0])
    c = fp.cascade(book, fp.Market(100.0, fp.EvaporatingImpact(0.2, 1.0)), 0.1, venue=fp.Venue(fund=5.0))
    assert c.exhausted
    assert (c.proceeds, c.unpaid_loss, c.fund_end) == (-math.inf, math.inf, 0.0)
    assert c.position_loss.tolist() == [70.0, -math.inf]
    c.check_balance()


def test_the_time_of_a_queue_does_not_go_with_its_order() -> None:
    """A book in order of its triggers is in order of scores as well."""
    n = 200_000
    entry = np.linspace(100.1, 160, n)

    def seconds(prices: np.ndarray[Any, Any]) -> float:
        start = time.perf_counter()
        closed = fp.auto_deleverage("queue", 0.01 * n, -1, 1.0, prices / 1.05, prices * 1.005, 85.0)
        assert closed.sum() == 0.01 * n
        return time.perf_counter() - start

    drawn = np.random.default_rng(1).permutation(entry)
    assert min(seconds(entry) for _ in range(3)) < 10 * min(seconds(drawn) for _ in range(3))
