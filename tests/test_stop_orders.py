"""Stop orders among a book's positions: how they are told from liquidations, and what a venue leaves alone of them."""

from __future__ import annotations

import math
import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import flushpoint as fp
import reference
import reference_venue
from enough import until_seen
from reference_venue import Rules, VenueCase, VenueRun, tiers
from test_venue import VENUES, assert_case, assert_run, assert_totals, bits, comparable, example, venue_of

MARKET = fp.Market(100.0, fp.LinearImpact(1e-3))
KINDS = ("liquidated", "stop")
WHAT = ("quantity", "count", "notional")


@st.composite
def cases(draw: st.DrawFn, **options: Any) -> VenueCase:
    case = draw(reference_venue.cases(**options))
    n = len(case.case.side)
    return replace(case, stop=draw(st.lists(st.booleans(), min_size=n, max_size=n)))


@st.composite
def runs(draw: st.DrawFn, **options: Any) -> VenueRun:
    run = draw(reference_venue.runs(funded=False, **options))
    n = len(run.case.case.side)
    return replace(run, case=replace(run.case, stop=draw(st.lists(st.booleans(), min_size=n, max_size=n))))


def some_book(n: int = 300) -> fp.Book:
    rng = np.random.default_rng(5)
    side = rng.choice([1, -1], n)
    trigger = 100 * np.exp(-side * (rng.exponential(0.08, n) + 0.005))
    owed = trigger * (1 - side * 0.01)
    return fp.Book(side, rng.lognormal(0, 1, n), trigger, owed, np.full(n, 100.0), stop=rng.random(n) < 0.4)


# --- the book ---
def test_a_book_keeps_its_stop_orders() -> None:
    book = fp.Book([1, -1, 1], [1.0, 2.0, 3.0], [90.0, 110.0, 97.0], [89.0, 111.0, 96.0], stop=[True, True, False])
    assert book.stop is not None
    assert book.stop.tolist() == [True, True, False]
    with pytest.raises(ValueError, match="read-only"):
        book.stop[0] = False
    assert book.alive(96.0).stop.tolist() == [True, True]  # type: ignore[union-attr]
    assert book.alive(115.0).stop.tolist() == [True, False]  # type: ignore[union-attr]
    assert book.scaled(1e6, 100.0).stop.tolist() == [True, True, False]  # type: ignore[union-attr]
    assert pickle.loads(pickle.dumps(book)).stop.tolist() == [True, True, False]
    plain = fp.Book(1, [5.0], [80.0], [79.0])
    assert (plain + book).stop.tolist() == [False, True, True, False]  # type: ignore[union-attr]
    assert (book + plain).stop.tolist() == [True, True, False, False]  # type: ignore[union-attr]
    assert (plain + plain).stop is None
    assert repr(book) == "<Book: 2 longs, 1 shorts; 2 of them stop orders>"
    assert "2 of them stop orders" in str(book)
    assert fp.Book(1, [1.0, 2.0], 90.0, stop=True).stop.tolist() == [True, True]  # type: ignore[union-attr]


def test_no_stop_order_is_none() -> None:
    book, same = (fp.Book([1, -1], 1.0, [90.0, 110.0], stop=stop) for stop in (None, [False, False]))
    assert same.stop is None
    assert repr(same) == "<Book: 1 longs, 1 shorts>"
    results = [fp.stress(one, MARKET, [-0.2, 0.2], seed=1) for one in (book, same)]
    assert results[0].id == results[1].id
    assert list(results[0]) == list(results[1])
    assert results[0].stop_count.tolist() == [0, 0]
    assert results[0].stop_count.dtype == np.int64
    assert results[0].stop_notional.tolist() == [0.0, 0.0]
    assert fp.stress(fp.Book([1, -1], 1.0, [90.0, 110.0], stop=[True, False]), MARKET, [-0.2, 0.2]).id != results[0].id


def test_an_owner_who_borrowed_nothing() -> None:
    book = fp.Book(1, 1.0, [90.0, 80.0], [np.nan, 79.0], stop=[True, False])
    assert book.bankruptcy_price.tolist() == [0.0, 79.0]  # type: ignore[union-attr]
    c = fp.cascade(book, MARKET, -0.11, venue=fp.Venue())
    assert c.surplus == pytest.approx(89.0, rel=1e-3)
    assert c.fund_received == 0
    c.check_balance()
    with pytest.raises(ValueError, match="bankruptcy_price must be given for a short's stop order"):
        fp.Book(-1, 1.0, [110.0], [np.nan], stop=True)
    with pytest.raises(ValueError, match="bankruptcy_price must be at least 0, was nan at index 1"):
        fp.Book(1, 1.0, [90.0, 80.0], [np.nan, np.nan], stop=[True, False])


def test_stops_of_positions() -> None:
    book = fp.Book([1, 1, 1, -1, -1, 1], 1.0, [90.0, 90.0, 90.0, 110.0, 110.0, 0.0], [89.0, 89, 89, 111, 111, 0.0])
    placed = book.with_stops([95.0, 85.0, np.nan, 105.0, 115.0, 50.0])
    assert placed.trigger_price.tolist() == [95.0, 90.0, 90.0, 105.0, 110.0, 50.0]
    assert placed.stop.tolist() == [True, False, False, True, False, True]  # type: ignore[union-attr]
    assert placed.bankruptcy_price.tolist() == book.bankruptcy_price.tolist()  # type: ignore[union-attr]
    nearer = placed.with_stops([96.0, 85.0, np.nan, 109.0, np.nan, 60.0])
    assert nearer.trigger_price.tolist() == [96.0, 90.0, 90.0, 105.0, 110.0, 60.0]
    assert nearer.stop.tolist() == [True, False, False, True, False, True]  # type: ignore[union-attr]
    assert book.with_stops(np.nan).stop is None


def test_refused() -> None:
    with pytest.raises(TypeError, match="stop must be True or False, was dtype int64"):
        fp.Book(1, 1.0, [90.0, 80.0], stop=np.array([1, 0], dtype=np.int64))
    with pytest.raises(TypeError, match="stop must be True or False, was 'yes'"):
        fp.Book(1, 1.0, [90.0], stop="yes")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="stop must have the length of quantity, 2, was 3"):
        fp.Book(1, [1.0, 1.0], [90.0, 80.0], stop=[True, False, True])
    book = fp.Book([1, -1], 1.0, [90.0, 110.0], [89.0, 111.0], stop=[True, False])
    with pytest.raises(ValueError, match=r"stop_price must be positive and finite, or nan, was 0\.0 at index 1"):
        book.with_stops([95.0, 0.0])
    with pytest.raises(ValueError, match="stop_price must be one price or one for each position, 2, was of 3"):
        book.with_stops([95.0, 96.0, 97.0])
    still = fp.Returns(np.zeros((1, 2)))
    with pytest.raises(ValueError, match="book must hold no stop orders with turnover, was with 1"):
        fp.simulate(book, MARKET, still, 60.0, 2, 1, turnover=fp.Turnover(0.1, 1.0))
    with pytest.raises(
        ValueError, match="book must hold no stop orders with funding, which does not move them, was with 1"
    ):
        fp.simulate(book, MARKET, still, 60.0, 2, 1, funding=fp.Funding(0.01, interval=30.0))
    e = fp.simulate(book, MARKET, still, 60.0, 2, 1, turnover=fp.Turnover(0.0, 1.0))  # one that changes nothing
    assert e.stop_count.tolist() == [0]


# --- without a venue ---
def of_kind(book: fp.Book, closed: np.ndarray, kind: str) -> dict[str, Any]:
    mine = closed & (np.asarray(book.stop) == (kind == "stop"))
    quantity = [float(q) for q in book.quantity[mine]]
    notional = [float(q * t) for q, t in zip(book.quantity[mine], book.trigger_price[mine], strict=True)]
    return {"count": int(mine.sum()), "quantity": math.fsum(quantity), "notional": math.fsum(notional)}


def assert_kinds(get: Any, book: fp.Book, closed: np.ndarray) -> None:
    for kind in KINDS:
        for what, value in of_kind(book, closed, kind).items():
            assert get(f"{kind}_{what}") == (value if value == 0 else pytest.approx(value, rel=1e-12)), (kind, what)


@settings(max_examples=20)
@given(case=cases(alive=True))
def test_every_kind_of_result_tells_them_apart(case: VenueCase) -> None:
    assume(any(case.stop or []))
    book, market, question = case.book(), case.market(), case.case.question
    plain = fp.Book(book.side, book.quantity, book.trigger_price, book.bankruptcy_price)
    c, same = fp.cascade(book, market, **question), fp.cascade(plain, market, **question)
    for name in ("final_price", "low_price", "high_price", "proceeds", "shortfall", "surplus"):
        assert bits(c, (name,)) == bits(same, (name,)), name
    assert_kinds(lambda name: getattr(c, name), book, c.closed)
    s = fp.stress(book, market, case.case.shock, case.case.sell, refill=case.case.refill)
    assert_kinds(lambda name: getattr(s, name)[0], book, c.closed)
    assert {f"{kind}_{what}" for kind in KINDS for what in WHAT} <= set(s)
    assert s.long_count[0] + s.short_count[0] == s.liquidated_count[0] + s.stop_count[0]
    returns = fp.Returns(np.array([[math.log1p(case.case.shock), 0.0]]))
    e = fp.simulate(book, market, returns, 60.0, 2, 1, columns=["stop_notional", "liquidated_quantity"])
    steps = fp.cascade(book, market, case.case.shock)
    assert list(e) == ["stop_notional", "liquidated_quantity"]
    assert_kinds(lambda name: getattr(e, name)[0], book, steps.closed)
    r = fp.response(book, market)([case.case.shock, 0.0])
    assert_kinds(lambda name: r[name][0], book, steps.closed)
    assert r.liquidated_count[1] == r.stop_count[1] == 0
    one = fp.response(book, market)(case.case.shock)
    assert_kinds(lambda name: getattr(one, name), book, steps.closed)


def test_chance_of_a_liquidation_is_without_stop_orders() -> None:
    book = fp.Book(1, 1.0, [95.0, 80.0], stop=[True, False])
    s = fp.stress(book, MARKET, [-0.06, -0.06, -0.3, 0.0])
    assert s.summary().liquidation.value == 0.25  # type: ignore[union-attr]


# --- with a venue, against the reference ---
@settings(max_examples=70)
@given(case=cases())
def test_any_cascade(case: VenueCase) -> None:
    assume(assert_case(case))


@pytest.mark.parametrize("adl", ["queue", "pro_rata"])
def test_any_cascade_that_closes_winners(adl: str) -> None:
    seen = {"behind": 0, "unpaid": 0}

    @settings(max_examples=30)
    @given(case=cases(adl=adl))
    def compare(case: VenueCase) -> None:
        case = replace(case, rules=replace(case.rules, fund=case.rules.fund * 0.01))
        assume(assert_case(case))
        expected = case.expected()
        stops = [p for p in expected.desk.positions if p.stop and p.fired]
        seen["behind"] += bool(stops) and expected.desk.adl_events > 0
        seen["unpaid"] += bool(stops) and expected.totals["unpaid_loss"] > 0

    until_seen(compare, seen, {"behind": 2, "unpaid": 2})


@settings(max_examples=20)
@given(case=cases(alive=True), depth=st.sampled_from([1.0, 0.5]))
def test_every_scenario_is_a_cascade(case: VenueCase, depth: float) -> None:
    c = case.case
    s = fp.stress(case.book(), case.market(), c.shock, c.sell, depth, c.refill, venue=case.venue())
    expected = case.expected(depth)
    assume(comparable(expected))
    assert_totals(lambda name: getattr(s, name)[0], expected)
    s.check_balance()


@settings(max_examples=25)
@given(run=runs(paced=False))
def test_any_path(run: VenueRun) -> None:
    assume(assert_run(run, run.expected()) > 0)


@settings(max_examples=50)
@given(run=runs(paced=True))
def test_any_path_whose_trades_wait(run: VenueRun) -> None:
    assume(assert_run(run, run.expected()) > 0)


@pytest.mark.parametrize("family", list(reference.SHAPES))
def test_larger_books(family: str) -> None:
    compared = 0
    for seed in range(4):
        case = reference_venue.random_case(900 + seed, 60, family=family, alive=seed % 2 == 0)
        stop = (np.random.default_rng(seed).random(len(case.case.side)) < 0.5).tolist()
        compared += assert_case(replace(case, stop=stop))
    assert compared >= 1


@pytest.mark.parametrize("name", list(VENUES))
def test_threads_and_shards_give_the_same_bits(name: str) -> None:
    rules = replace(VENUES[name], pacing=0.4, delay=90.0)
    names = ("final_price", "fund_end", "long_notional", *(f"{kind}_{what}" for kind in KINDS for what in WHAT))

    def run(paths: Any, threads: int = 0, **more: Any) -> Any:
        market = fp.Market(100.0, fp.LinearImpact(5e-4), half_life=600.0)
        steps = (6 * 3600.0, 60)
        return fp.simulate(
            some_book(), market, fp.GBM(1.5), *steps, paths, seed=4, venue=venue_of(rules), threads=threads, **more
        )

    whole = run(40, 1)
    assert bits(run(40, 3), names) == bits(whole, names)
    joined = run(range(25)) + run(range(25, 40))
    assert bits(joined, names) == bits(whole, names)
    few = run(40, columns=["final_price"])
    assert bits(few, names) == bits(whole, names)
    assert whole.stop_count.max() > 0
    assert (whole.stop_count + whole.liquidated_count == whole.long_count + whole.short_count).all()
    whole.check_balance()


# --- what a venue leaves alone, by hand ---
FLAT = fp.Market(80.0, fp.LinearImpact(0.0))
WINNER = (-1, 9.0, 200.0, 210.0, 120.0)


def stopped(rows: list[tuple[int, float, float, float, float]], stop: list[bool], rules: Rules) -> fp.CascadeResult:
    case = replace(example(rows, 80.0, rules), stop=stop)
    assert assert_case(case)
    return fp.cascade(case.book(), case.market(), venue=case.venue())


def test_what_is_left_is_the_owners_and_free_of_fees() -> None:
    rows = [(1, 1.0, 94.0, 70.0, 100.0), (1, 1.0, 93.0, 70.0, 100.0)]
    c = stopped(rows, [True, False], Rules(fee_rate=0.05, surplus_to="fund"))
    assert (c.surplus, c.fund_received, c.fees) == (20, 6, 4)
    assert c.closed_by.tolist() == [4, 1]
    assert c.position_loss.tolist() == [0, 10]


def test_a_loss_is_the_funds_and_is_not_closed_against_winners() -> None:
    rows = [(1, 1.0, 94.0, 81.5, 100.0), (1, 1.0, 93.0, 90.0, 100.0), (1, 1.0, 92.0, 84.0, 100.0), WINNER]
    c = stopped(rows, [True, True, False, False], Rules(fund=2.0, adl="queue"))
    assert c.closed_by.tolist() == [4, 4, 2, 3]
    assert (c.fund_paid, c.unpaid_loss, c.adl_quantity) == (2, 9.5, 1)
    assert (c.stop_count, c.liquidated_count) == (2, 1)
    # behind a liquidation that is closed against winners it is sold all the same
    c = stopped(rows, [False, False, True, False], Rules(fund=2.0, adl="queue"))
    assert c.closed_by.tolist() == [1, 2, 4, 3]


def test_it_is_closed_whole() -> None:
    for rules in (
        Rules(close="fraction", fraction=0.5),
        Rules(close="tier_step_down", schedule=tiers([0, 200, 500], [0.01, 0.03, 0.05])),
    ):
        rows = [(1, 8.0, 90.0, 70.0, 100.0), (1, 8.0, 90.0, 70.0, 100.0)]
        c = stopped(rows, [True, False], rules)
        assert c.waves["quantity"][0] > 8
        assert c.closed_by[0] == 4
        assert c.stop_quantity == 8


def test_nothing_holds_it() -> None:
    book = fp.Book(1, [2.0, 2.0], [95.0, 95.0], [90.0, 90.0], stop=[False, True])
    returns = fp.Returns(np.log([[0.94, 1.0, 1.0]]))
    for rules in (Rules(pacing=0.01), Rules(delay=1.5), Rules(price_band=1e-6)):
        e = fp.simulate(book, fp.Market(100.0, fp.LinearImpact(1e-3)), returns, 3.0, 3, 1, venue=venue_of(rules))
        first = e.replay(0).waves[0]
        assert first["step"] == 1
        assert e.stop_quantity[0] == 2
        assert first["quantity"] == pytest.approx(
            {0.01: 2.01, math.inf: 2.0}[rules.pacing] + 2 * (rules.price_band < 1)
        )


def test_a_stop_order_can_be_a_winner() -> None:
    rows = [(1, 4.0, 92.0, 90.0, 100.0), (-1, 9.0, 200.0, 210.0, 120.0)]
    c = stopped(rows, [False, True], Rules(adl="queue"))
    assert c.closed_by.tolist() == [2, 3]
    assert (c.stop_count, c.stop_quantity) == (0, 0)


def test_where_a_venue_takes_nothing_the_kinds_are_alike() -> None:
    book = some_book()
    plain = fp.Book(book.side, book.quantity, book.trigger_price, book.bankruptcy_price, book.entry_price)
    venue = fp.Venue(fund=200.0, surplus_to="trader")
    a, b = (fp.stress(one, MARKET, np.linspace(-0.3, 0.3, 20), venue=venue) for one in (book, plain))
    assert bits(a, ("long_count", "short_count")) == bits(b, ("long_count", "short_count"))
    for name in ("final_price", "fund_end", "unpaid_loss", "surplus", "long_notional", "short_quantity"):
        assert getattr(a, name) == pytest.approx(getattr(b, name), rel=1e-11, abs=1e-9), name


def test_a_replay_tells_stop_orders() -> None:
    book = some_book()
    for venue in (None, fp.Venue(fund=200.0)):
        e = fp.simulate(book, MARKET, fp.GBM(2.0), steps=24, paths=5, seed=1, venue=venue)
        assert e.stop_count.any()
        for path in range(5):
            one = e.replay(path)
            for name in ("stop_count", "stop_quantity", "stop_notional"):
                assert getattr(one, name) == getattr(e, name)[path]
            assert isinstance(one.stop_count, int)
    plain = fp.Book(book.side, book.quantity, book.trigger_price)
    e = fp.simulate(plain, MARKET, fp.GBM(2.0), steps=24, paths=5, seed=1)
    assert not hasattr(e.replay(0), "stop_count")


def test_columns_of_stop_orders_are_those_of_a_book_with_some() -> None:
    book = some_book()
    plain = fp.Book(book.side, book.quantity, book.trigger_price, book.bankruptcy_price)
    runs = (
        lambda book, **more: fp.simulate(book, MARKET, fp.GBM(2.0), steps=24, paths=5, seed=1, **more),
        lambda book, **more: fp.stress(book, MARKET, [-0.2, 0.2], **more),
    )
    for run in runs:
        for venue in (None, fp.Venue(fund=200.0)):
            some = run(book, venue=venue, columns=["final_price"])
            assert some.summary(["stop_count"])["stop_count"]["mean"].value > 0
            for ask in (lambda r=run, v=venue: r(plain, venue=v, columns=["stop_count"]),
                        lambda r=run, v=venue: r(plain, venue=v).summary(["stop_count"])):  # fmt: skip
                with pytest.raises(ValueError, match=r"columns must be among .*, was 'stop_count'"):
                    ask()
            assert not run(plain, venue=venue).stop_count.any()


# --- policies ---
def test_policies_keep_stop_orders() -> None:
    entry = np.full(3, 100.0)
    book = fp.Book(1, 1.0, [96.0, 96.0, 99.0], [95.0, 95.0, 95.0], entry, stop=[False, False, True])
    arguments = {"horizon": 60.0, "steps": 2, "paths": 4, "seed": 1}
    policies = {"cap": fp.Policy(leverage_cap=10), "tiers": fp.Policy(schedule=fp.MarginSchedule.flat(0.045))}
    x = fp.experiment(book.alive(100.0), MARKET, fp.GBM(0.1), policies, **arguments)
    for name, triggers in (("cap", [90.947, 90.947, 99.0]), ("tiers", [99.476, 99.476, 99.476])):
        changed = x[name].provenance["arguments"]["book"]
        assert changed.trigger_price == pytest.approx(triggers, abs=1e-3)
        assert changed.stop is None if name == "tiers" else changed.stop.tolist() == [False, False, True]
