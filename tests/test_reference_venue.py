"""The reference of the venue: conservation, what it becomes with everything off, and published examples."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

import reference
import reference_paths
import reference_venue
from reference_venue import Position, Rules, VenueBook, VenueCase, cascade, share_out, tiers

FLAT = reference.linear(0.0)
RESULTS = ("shortfall", "surplus", "proceeds", "liquidated_quantity", "liquidated_count", "liquidated_notional")


def book(rows: list[tuple[int, float, float, float, float]]) -> VenueBook:
    """Side, quantity, trigger, bankruptcy price, entry price of each position."""
    side, quantity, trigger, owed, entry = (list(column) for column in zip(*rows, strict=True))
    return VenueBook(side, quantity, trigger, owed, entry)


def assert_balanced(out: reference_venue.Outcome) -> None:
    assert sum(out.balance.values()) == pytest.approx(0.0, abs=1e-12 * out.scale)
    if any(p.quantity > 0 for p in out.desk.positions) or out.totals["socialised_loss"] == 0:
        assert sum(out.position_loss) == pytest.approx(-out.balance["traders"], abs=1e-12 * out.scale)
    start = out.desk.rules.fund
    expected = start + out.totals["fund_received"] - out.totals["fund_paid"]
    assert out.totals["fund_end"] == pytest.approx(expected, abs=1e-12 * out.scale)
    assert out.totals["fund_end"] >= 0
    lost = out.totals["fund_paid"] + out.totals["unpaid_loss"] + out.totals["socialised_loss"]
    assert out.totals["shortfall"] == pytest.approx(lost, abs=1e-12 * out.scale)


def assert_quantities(out: reference_venue.Outcome) -> None:
    """Every unit closed was sold to the market's makers, or met a unit of the other side."""
    for p in out.desk.positions:
        assert p.quantity + p.left_book == pytest.approx(p.original, rel=1e-12)
    closed = sum(p.side * p.left_book for p in out.desk.positions)
    gross = sum(p.original for p in out.desk.positions)
    assert closed == pytest.approx(out.desk.net_sold, abs=1e-12 * gross)
    forced = {s: sum(p.left_book for p in out.desk.positions if p.fired and p.side == s) for s in (1, -1)}
    for side, name in ((1, "long_quantity"), (-1, "short_quantity")):
        assert out.totals[name] <= forced[side] * (1 + 1e-12)


# --- conservation ---
@settings(max_examples=250)
@given(case=reference_venue.cases())
def test_money_is_conserved(case: VenueCase) -> None:
    out = case.expected()
    assume(math.isfinite(out.scale))
    event(f"adl {out.desk.adl_events > 0}, closed {any(out.closed)}, partly {3 in out.closed_by}")
    assert_balanced(out)
    assert_quantities(out)


@pytest.mark.parametrize("family", list(reference.SHAPES))
def test_money_is_conserved_in_larger_books(family: str) -> None:
    seen = {"adl": 0, "partly": 0, "unpaid": 0}
    for seed in range(20):
        out = reference_venue.random_case(seed, 60, family=family).expected()
        if not math.isfinite(out.scale):
            continue
        assert_balanced(out)
        assert_quantities(out)
        seen["adl"] += out.desk.adl_events > 0
        seen["partly"] += 3 in out.closed_by
        seen["unpaid"] += out.totals["unpaid_loss"] > 0
    assert min(seen.values()) > 0, seen


@settings(max_examples=120)
@given(run=reference_venue.runs())
def test_money_is_conserved_in_time(run: reference_venue.VenueRun) -> None:
    for out in run.expected():
        if math.isfinite(out.scale):
            event(f"adl {out.desk.adl_events > 0}, queued at the end {bool(out.desk.queue)}, funded {bool(run.rates)}")
            assert_balanced(out)
            assert_quantities(out)


# --- everything off ---
@given(case=reference_venue.cases(adl="none", close="full"))
def test_without_features_a_cascade_is_the_plain_one(case: VenueCase) -> None:
    case = replace(case, rules=Rules(fund=case.rules.fund, surplus_to=case.rules.surplus_to))
    mine, plain = case.expected(), reference.cascade(case.positions, case.case.venue, **case.case.question)
    assume(not plain.doubtful)
    assert mine.closed == plain.closed
    assert mine.closed_by == [int(c) for c in plain.closed]
    assert (mine.final_price, mine.low_price, mine.high_price) == (
        plain.final_price, plain.low_price, plain.high_price,
    )  # fmt: skip
    assert [w[1:] for w in mine.waves] == plain.waves
    assert mine.amplification == pytest.approx(plain.amplification, nan_ok=True)
    totals = plain.totals(case.positions)
    for name in RESULTS:
        assert mine.totals[name] == pytest.approx(totals[name], rel=1e-12), name
    assert mine.exit_price == pytest.approx(plain.exit_price(case.positions), nan_ok=True)


@given(case=reference_venue.cases(close="full"))
def test_a_fund_that_covers_everything_never_deleverages(case: VenueCase) -> None:
    rules = replace(case.rules, fund=1e12 * case.case.price * sum(case.case.quantity), mark_weight=None)
    mine = replace(case, rules=rules).expected()
    plain = reference.cascade(case.positions, case.case.venue, **case.case.question)
    # No fund covers a market that is used up.
    assume(not plain.doubtful and math.isfinite(mine.scale) and math.isfinite(plain.high_price))
    assert mine.closed == plain.closed
    assert mine.totals["adl_count"] == mine.totals["unpaid_loss"] == mine.totals["socialised_loss"] == 0
    assert mine.totals["fund_paid"] == mine.totals["shortfall"]


@given(case=reference_venue.cases())
def test_a_fraction_of_one_is_a_full_close(case: VenueCase) -> None:
    full = replace(case.rules, close="full", fraction=None, target=1.0, whole_below=0.0, schedule=None)
    part = replace(full, close="fraction", fraction=1.0)
    a, b = replace(case, rules=full).expected(), replace(case, rules=part).expected()
    assert a.totals == pytest.approx(b.totals, nan_ok=True)
    assert a.closed_by == b.closed_by
    below = replace(full, close="fraction", fraction=0.1, whole_below=math.inf)
    c = replace(case, rules=below).expected()
    assert a.totals == pytest.approx(c.totals, nan_ok=True)


@settings(max_examples=80)
@given(run=reference_venue.runs(), fund=st.sampled_from([0.0, 10.0]))
def test_without_features_a_path_is_the_plain_one(run: reference_venue.VenueRun, fund: float) -> None:
    run = replace(run, case=replace(run.case, rules=Rules(fund=fund)))
    c = run.case.case
    market = replace(c.venue, half_life=run.half_life)
    for row, mine in zip(run.returns, run.expected(), strict=True):
        rates = None if run.rates is None else [lambda _, rate=rate: rate for rate in run.rates]
        plain = reference_paths.run(c.positions, market, row, run.dt, funding=rates)
        if plain.doubtful:
            continue
        assert mine.closed == plain.closed
        assert [wave[:4] for wave in mine.waves] == [wave[:4] for wave in plain.waves]
        assert [wave[4] for wave in mine.waves] == pytest.approx([wave[4] for wave in plain.waves], rel=1e-12)
        assert mine.prices == plain.prices
        assert (mine.low_price, mine.high_price) == (plain.low_price, plain.high_price)
        for name in ("proceeds", "shortfall", "surplus"):
            assert mine.totals[name] == pytest.approx(getattr(plain, name), rel=1e-12)


@settings(max_examples=80)
@given(run=reference_venue.runs())
def test_a_wide_pace_and_band_hold_nothing_back(run: reference_venue.VenueRun) -> None:
    free = replace(run.case.rules, pacing=math.inf, delay=0.0, price_band=math.inf)
    wide = replace(free, pacing=1e9 * sum(run.case.case.quantity), price_band=1e300)
    a = replace(run, case=replace(run.case, rules=free)).expected()
    b = replace(run, case=replace(run.case, rules=wide)).expected()
    for one, other in zip(a, b, strict=True):
        assume(not one.exhausted)
        assert one.totals == other.totals
        assert one.prices == other.prices
        assert one.waves == other.waves


# --- published examples ---
def test_queue_of_an_exchange() -> None:
    """BitMEX: longs of scores 3, 6, 1, 4, 5, 2 against a liquidated short of 20 with bankruptcy price 650."""
    scores, quantities = [3, 6, 1, 4, 5, 2], [10.0, 10.0, 20.0, 30.0, 20.0, 10.0]
    price, entry = 660.0, 500.0
    rows = []
    for s, q in zip(scores, quantities, strict=True):
        leverage = s / ((price - entry) / entry)
        rows.append((1, q, 1.0, price * (1 - 1 / leverage) if leverage > 1 else 0.0, entry))
    rows[2] = (1, 20.0, 1.0, 0.0, 500.0)
    rows.append((-1, 20.0, 645.0, 650.0, 600.0))
    market = reference.Venue(price, FLAT)
    out = cascade(book(rows), market, Rules(adl="queue"))
    assert out.closed_by == [0, 2, 0, 0, 3, 0, 2]
    assert out.exit_price[1] == out.exit_price[4] == out.exit_price[6] == pytest.approx(650)
    assert out.desk.positions[4].quantity == 10
    assert (out.totals["adl_quantity"], out.totals["adl_count"]) == (20, 2)
    assert out.totals["shortfall"] == out.totals["proceeds"] == 0
    assert out.final_price == pytest.approx(price)


def test_deleveraging_at_the_bankruptcy_price_of_a_chain() -> None:
    """dYdX: a short of 1 with 50,499 is closed at 50,499; a long with 50,000 and 1 unit ends with 100,499."""
    rows = [(-1, 1.0, 50_400.0, 50_499.0, 50_000.0), (1, 1.0, 0.0, 0.0, 50_000.0)]
    out = cascade(book(rows), reference.Venue(50_500.0, FLAT), Rules(adl="list_order"))
    assert out.closed == [True, True]
    assert out.desk.positions[1].returned + 50_000 == pytest.approx(100_499)
    assert out.desk.positions[0].returned == 0
    assert out.position_loss[0] == pytest.approx(50_499 - 50_500)
    assert_balanced(out)


def test_deleveraging_far_below_the_bankruptcy_price() -> None:
    """Bybit: a long of 100 at 500 with margin 1000 and a wallet of 100 has bankruptcy price 489; the mark is 400."""
    owed = 500 - (1000 + 100) / 100
    rows = [(1, 100.0, 492.0, owed, 500.0), (-1, 300.0, 900.0, 950.0, 450.0)]
    for adl_price, at, unpaid in (("bankruptcy", 489.0, 0.0), ("mark", 400.0, 8900.0)):
        out = cascade(book(rows), reference.Venue(400.0, FLAT), Rules(adl="queue", adl_price=adl_price))
        assert out.exit_price == pytest.approx([at, at])
        assert out.desk.positions[1].returned == pytest.approx(100 * (950 - at))
        assert out.totals["unpaid_loss"] == pytest.approx(unpaid)
        assert out.closed_by == [2, 3]
        assert_balanced(out)


@pytest.mark.parametrize(("side", "fill", "owed", "cap", "delta"), [
    (1, 5610, 5100, 0.005, 28.05), (1, 5610, 5100, 0.025, 140.25), (1, 5610, 5100, 1.0, 510),
    (-1, 4410, 4900, 0.005, 22.05), (-1, 4410, 4900, 0.025, 110.25), (-1, 4410, 4900, 1.0, 490),
    (1, 5105.1, 5100, 0.005, 5.1), (-1, 4895.1, 4900, 0.005, 4.9), (1, 5100, 5100, 0.005, 0),
    (-1, 4900, 4900, 0.005, 0), (1, 5049, 5100, 0.005, -51), (-1, 4949, 4900, 0.005, -49),
    (-1, 1e-6, 4900, 0.005, 0),
])  # fmt: skip
def test_what_a_chain_moves_to_or_from_its_fund(side: int, fill: float, owed: float, cap: float, delta: float) -> None:
    """dYdX's insurance fund delta: a fee capped by what the close leaves over, all in the fund's favour."""
    trigger = 1e6 if side > 0 else 1e-7
    market = reference.Venue(fill / 0.1, FLAT)
    rules = Rules(fund=1000.0, surplus_to="trader", fee_to="fund", fee_rate=cap)
    out = cascade(book([(side, 0.1, trigger, owed / 0.1, 1.0)]), market, rules)
    assert out.totals["fund_end"] - 1000 == pytest.approx(delta, abs=1e-6)
    gain = side * (fill - owed)
    assert out.desk.positions[0].returned == pytest.approx(max(0.0, gain - max(delta, 0.0)))
    assert_balanced(out)


def test_size_that_covers_a_shortage() -> None:
    """Drift: a margin ratio of 10 % and a shortage of 10 at a price of 100 take 1 unit."""
    q, price = 10.0, 100.0
    owed = 90.9  # with the trigger 101 the flat rate is 10 %
    out = Position(0, 1, q, 101.0, owed, 110.0)
    shortage = 0.1 * q * price - out.equity(price)
    x = reference_venue.Desk(book([(1, q, 101.0, owed, 110.0)]), Rules(close="fraction")).size(out, price)
    assert shortage == pytest.approx(9.0)
    assert x == pytest.approx(shortage / 10)
    market = reference.Venue(price, FLAT)
    done = cascade(book([(1, q, 101.0, owed, 110.0)]), market, Rules(close="fraction", target=1.001))
    left = done.desk.positions[0]
    assert left.equity(price) == pytest.approx(1.001 * 0.1 * left.quantity * price)
    assert left.trigger < price


@pytest.mark.parametrize("extra", [0.0, 5.0])
def test_a_loss_spread_over_both_sides(extra: float) -> None:
    """Drift: a loss of 100 over 7 long and 4 short units costs 9.0909 a unit."""
    rows = [(1, 10.0, 95.0, 90.0, 100.0), (1, 7.0, 10.0, 5.0, 100.0), (-1, 4.0, 300.0, 310.0, 100.0)]
    out = cascade(book(rows), reference.Venue(80.0, FLAT), Rules(adl="socialised", fund=extra))
    assert out.totals["socialised_loss"] == pytest.approx(100 - extra)
    assert out.totals["unpaid_loss"] == 0
    share = (100 - extra) / 11
    assert out.position_loss[1:] == pytest.approx([7 * share, 4 * share])
    assert out.closed_by == [1, 0, 0]
    assert_balanced(out)


def test_two_readings_of_one_venue_rank_differently() -> None:
    """A profit of 1 % at 20 times leverage against one of 50 % at 10 times: the ratio and the product disagree."""
    price = 101.0
    small = Position(0, 1, 1.0, 1.0, price * (1 - 1 / 20), 100.0)
    large = Position(1, 1, 1.0, 1.0, price * (1 - 1 / 10), price / 1.5)
    ratio = [reference_venue.score("queue_price_ratio", p, price) for p in (small, large)]
    product = [reference_venue.score("queue", p, price) for p in (small, large)]
    assert ratio == pytest.approx([20.2, 15.0])
    assert product == pytest.approx([0.2, 5.0])


def test_margin_ratio_score_by_hand() -> None:
    """Profit 20 on a wallet of 10, maintenance 0.04 x 120 on an equity of 30."""
    owed, price = 90.0, 120.0
    one = Position(0, 1, 1.0, owed / 0.96, owed, 100.0)
    assert reference_venue.score("queue_margin_ratio", one, price) == pytest.approx(20 / 10 * (0.04 * 120 / 30))
    small = replace(one, quantity=0.05)
    assert reference_venue.score("queue_margin_ratio", small, price) == pytest.approx(1.0 * 0.16)
    assert reference_venue.score("queue_margin_ratio", replace(one, trigger=0.0), price) == 0


# --- shares ---
@st.composite
def winners(draw: st.DrawFn) -> tuple[list[Position], float, float]:
    price, side = 100.0, draw(st.sampled_from([1, -1]))
    out = []
    for i in range(draw(st.integers(1, 7))):
        entry = price * (1 - side * draw(st.floats(0.01, 0.5)))
        owed = max(0.0, entry * (1 - side * draw(st.floats(0.01, 0.9))))
        out.append(Position(i, side, draw(st.floats(0.1, 10)), entry, owed, entry))
    needed = draw(st.floats(0.0, 1.3)) * sum(p.quantity for p in out)
    return out, price, needed


@given(drawn=winners(), policy=st.sampled_from(reference_venue.POLICIES[1:-1]))
def test_shares_sum_to_what_is_needed(drawn: tuple[list[Position], float, float], policy: str) -> None:
    positions, price, needed = drawn
    taken = share_out(policy, positions, price, needed).taken
    assert all(0 <= x <= p.quantity for x, p in zip(taken, positions, strict=True))
    assert sum(taken) == pytest.approx(min(needed, sum(p.quantity for p in positions)))
    if policy.startswith("queue") and needed > 0:
        scores = [reference_venue.score(policy, p, price) for p in positions]
        untouched = [s for s, x in zip(scores, taken, strict=True) if x == 0]
        touched = [s for s, x in zip(scores, taken, strict=True) if x > 0]
        assert min(touched) >= max(untouched, default=0.0)
        assert sum(0 < x < p.quantity for x, p in zip(taken, positions, strict=True)) <= 1


@given(drawn=winners(), seed=st.integers(0, 10**6))
def test_water_filling_leaves_the_least_leverage(drawn: tuple[list[Position], float, float], seed: int) -> None:
    """No other shares of the same sum have a smaller largest leverage (closes at the mark leave equity as it is)."""
    positions, price, needed = drawn
    total = sum(p.quantity for p in positions)
    assume(0 < needed < total)

    def largest(taken: list[float]) -> float:
        return max((p.quantity - x) * price / p.equity(price) for p, x in zip(positions, taken, strict=True))

    best = largest(share_out("water_filling", positions, price, needed).taken)
    for policy in ("queue", "list_order", "pro_rata", "pro_rata_profit"):
        assert best <= largest(share_out(policy, positions, price, needed).taken) * (1 + 1e-9)
    rng = random.Random(seed)
    for _ in range(20):
        order = rng.sample(range(len(positions)), len(positions))
        left, taken = needed, [0.0] * len(positions)
        while left > 1e-12 * total:
            for k in order:
                x = min(positions[k].quantity - taken[k], left, rng.random() * total)
                taken[k] += x
                left -= x
        assert best <= largest(taken) * (1 + 1e-9)


def test_shares_by_hand() -> None:
    """Winning longs at 100: profits 10, 40, 30; equities 20, 80, 20."""
    a = Position(0, 1, 1.0, 85.0, 80.0, 90.0)
    b = Position(1, 1, 2.0, 65.0, 60.0, 80.0)
    c = Position(2, 1, 1.0, 82.0, 80.0, 70.0)
    expect: dict[str, list[float]] = {
        # profit % x leverage: 1/9 x 5, 1/4 x 2.5, 3/7 x 5
        "queue": [0.0, 0.5, 1.0],
        # 10/9 x 5, 5/4 x 2.5, 10/7 x 5
        "queue_price_ratio": [0.5, 0.0, 1.0],
        # profit/wallet 1, 1, -3 -> wallet at least 1: 30; maintenance/equity 5/85 x 5, 5/65 x 2.5, 2/82 x 5
        "queue_margin_ratio": [0.5, 0.0, 1.0],
        "list_order": [1.0, 0.5, 0.0],
        "pro_rata": [0.375, 0.75, 0.375],
        # 1.5/80 of each profit: 0.1875, 0.75, 0.5625
        "pro_rata_profit": [0.1875, 0.75, 0.5625],
        # leverages 5, 2.5, 5: to 2.5 takes 0.5 and 0.5, the last 0.5 is spread in proportion to equity
        "water_filling": [0.5 + 0.5 / 6, 0.5 * 4 / 6, 0.5 + 0.5 / 6],
    }
    for policy, taken in expect.items():
        assert share_out(policy, [a, b, c], 100.0, 1.5).taken == pytest.approx(taken), policy
        assert share_out(policy, [a, b, c], 100.0, 4.0).taken == [1.0, 2.0, 1.0]


def test_proportional_profit_stops_at_the_whole_position() -> None:
    a, b = Position(0, 1, 1.0, 1.0, 1.0, 20.0), Position(1, 1, 10.0, 1.0, 1.0, 99.0)
    assert share_out("pro_rata_profit", [a, b], 100.0, 3.0).taken == pytest.approx([1.0, 2.0])


# --- the waterfall by hand ---
def test_waterfall_in_firing_order() -> None:
    """Three longs sold at 80, owing 70, 85 and 90: what the first leaves pays for part of the others."""
    rows = [(1, 1.0, 94.0, 70.0, 100.0), (1, 1.0, 93.0, 85.0, 100.0), (1, 1.0, 92.0, 90.0, 100.0)]
    market = reference.Venue(80.0, FLAT)
    out = cascade(book(rows), market, Rules(fund=2.0))
    t = out.totals
    assert (t["surplus"], t["shortfall"], t["fund_received"]) == pytest.approx((10, 15, 10))
    assert (t["fund_paid"], t["fund_end"], t["unpaid_loss"]) == pytest.approx((12, 0, 3))
    assert t["fund_needed"] == pytest.approx(5)
    out = cascade(book(rows), market, Rules(fund=2.0, fee_rate=0.05))
    assert out.totals["fees"] == pytest.approx(4)
    assert (out.totals["fund_received"], out.totals["unpaid_loss"]) == pytest.approx((6, 7))
    kept = cascade(book(rows), market, Rules(fund=2.0, surplus_to="trader"))
    assert kept.desk.positions[0].returned == pytest.approx(10)
    assert kept.totals["unpaid_loss"] == pytest.approx(13)
    assert kept.position_loss == pytest.approx([0.0, -5.0, -10.0])


def test_deleveraging_takes_the_rest_of_its_wave() -> None:
    """The second long's loss exceeds the fund: it and the third, whose loss the fund could pay, meet the short."""
    rows = [
        (1, 1.0, 94.0, 81.0, 100.0), (1, 1.0, 93.0, 90.0, 100.0), (1, 1.0, 92.0, 80.5, 100.0),
        (-1, 1.5, 200.0, 210.0, 120.0), (-1, 9.0, 200.0, 210.0, 79.0),
    ]  # fmt: skip
    out = cascade(book(rows), reference.Venue(80.0, FLAT), Rules(fund=2.0, adl="queue"))
    t = out.totals
    # the first: 1 from the fund; half of the third has no winner left and is sold, 0.25 from the fund
    assert out.closed_by == [1, 2, 2, 2, 0]
    assert (t["fund_paid"], t["unpaid_loss"], t["adl_quantity"]) == pytest.approx((1.25, 0, 1.5))
    assert t["proceeds"] == pytest.approx(120)
    assert out.exit_price[:4] == pytest.approx([80, 90, (80.5 + 80) / 2, (90 + 40.25) / 1.5])
    assert len(out.waves) == 1
    assert t["liquidated_count"] == 3
    assert_balanced(out)
    # nobody to close against: every sale stands
    rows[3] = (-1, 1.5, 200.0, 210.0, 70.0)
    out = cascade(book(rows), reference.Venue(80.0, FLAT), Rules(fund=2.0, adl="queue"))
    assert out.closed_by == [1, 1, 1, 0, 0]
    assert (out.totals["fund_paid"], out.totals["unpaid_loss"]) == pytest.approx((2, 9.5))


def test_positions_that_are_sold_move_the_price_and_deleveraged_ones_do_not() -> None:
    rows = [(1, 1.0, 95.0, 94.0, 100.0), (1, 1.0, 90.0, 89.5, 100.0), (-1, 5.0, 300.0, 310.0, 100.0)]
    market = reference.Venue(100.0, reference.linear(0.1))
    sold = cascade(book(rows), market, Rules(), shock=-0.05)
    assert sold.closed == [True, True, False]
    assert sold.final_price == pytest.approx(95 * math.exp(-0.2))
    stopped = cascade(book(rows), market, Rules(adl="queue"), shock=-0.05)
    assert stopped.closed_by == [2, 0, 3]
    assert stopped.final_price == pytest.approx(95.0)
    assert stopped.exit_price[0] == 94.0


def test_both_sides_of_a_wave() -> None:
    """A long and a short crossed at once; the long's loss starts it, both are closed by ADL, each against its own."""
    rows = [
        (1, 1.0, 105.0, 103.0, 110.0), (-1, 2.0, 97.0, 99.0, 90.0),
        (1, 4.0, 50.0, 45.0, 60.0), (-1, 4.0, 200.0, 210.0, 150.0),
    ]  # fmt: skip
    out = cascade(book(rows), reference.Venue(100.0, FLAT), Rules(adl="pro_rata"))
    assert out.closed_by == [2, 2, 3, 3]
    assert [p.quantity for p in out.desk.positions] == [0, 0, 2, 3]
    assert out.exit_price == pytest.approx([103, 99, 99, 103])
    assert (out.totals["adl_quantity"], out.totals["adl_count"], out.desk.adl_events) == (3, 2, 2)
    assert_balanced(out)


# --- partial closes by hand ---
def test_steps_down_a_tier_at_a_time() -> None:
    """Notional 50 and 100 are the tiers' ends. A long of 1.5 at 100: to 100 of notional, to 50, then all."""
    schedule = tiers([0.0, 50.0, 100.0], [0.01, 0.02, 0.05])
    assert schedule[1][2] == pytest.approx(0.5)
    assert schedule[2][2] == pytest.approx(3.5)
    rules = Rules(close="tier_step_down", schedule=schedule)
    desk = reference_venue.Desk(book([(1, 1.5, 101.0, 98.0, 100.0)]), rules)
    p = desk.positions[0]
    for q, x in ((1.5, 0.5), (1.0, 0.5), (0.51, 0.015), (0.5, 0.5)):
        p.quantity = q
        assert desk.size(p, 100.0) == pytest.approx(x)
    p.quantity = 1.5
    assert desk.size(p, 97.9) == 1.5
    p.bankruptcy = 90.0
    p.trigger = reference_venue.new_trigger(rules, p)
    assert p.trigger == pytest.approx((90 - 3.5 / 1.5) / 0.95)
    assert p.equity(p.trigger) == pytest.approx(reference_venue.maintenance(rules, p, p.quantity, p.trigger))


@given(
    side=st.sampled_from([1, -1]), quantity=st.floats(0.01, 50), margin=st.floats(0.001, 0.5),
    target=st.sampled_from([1.0, 1.3]), tiered=st.booleans(),
)  # fmt: skip
def test_a_fraction_restores_health(side: int, quantity: float, margin: float, target: float, tiered: bool) -> None:
    """After the close, at the mark, equity is target x maintenance, or the least slice is taken."""
    price = 100.0
    owed = price * (1 - side * margin)
    rules = Rules(close="fraction", target=target, schedule=tiers([0, 500, 2000], [0.02, 0.1, 0.3]) if tiered else None)
    desk = reference_venue.Desk(book([(side, quantity, owed * (1 + side * 0.1), owed, price)]), rules)
    p = desk.positions[0]
    x = desk.size(p, price)
    kept = replace(p, quantity=quantity - x)
    kept.first_trigger, kept.first_bankruptcy = p.trigger, p.bankruptcy
    needed = target * reference_venue.maintenance(rules, kept, kept.quantity, price)
    least = 0.01 * quantity
    assert least * (1 - 1e-9) <= x <= quantity
    if x > least * (1 + 1e-9) and x < quantity:
        assert p.equity(price) == pytest.approx(needed)
        kept.quantity, kept.bankruptcy = quantity - x, price - side * p.equity(price) / (quantity - x)
        health = reference_venue.new_trigger(replace(rules, target=1.0), kept)
        if target == 1:
            assert health == pytest.approx(price)
        else:
            assert side * (price - health) > 0
    else:
        assert x == quantity or p.equity(price) >= needed * (1 - 1e-9)


def test_what_is_left_of_a_position_pays_for_its_slippage() -> None:
    """A tenth of 10 is sold at 90 with 3 owed a unit and 1 % fee: the rest is 0.1 x (3 - 0.9)/0.9 better off."""
    rows = [(1, 10.0, 90.5, 87.0, 100.0)]
    rules = Rules(close="fraction", fraction=0.1, fee_rate=0.01, fee_to="fund")
    out = cascade(book(rows), reference.Venue(90.0, FLAT), rules)
    # one close a wave until the trigger, 90.5/87 times the bankruptcy price, is below the mark
    owed, q, fees = 87.0, 10.0, 0.0
    while owed * 90.5 / 87.0 >= 90:
        x, fee = 0.1 * q, 0.01 * 0.1 * q * 90
        owed, q, fees = owed - (x * (90 - owed) - fee) / (q - x), q - x, fees + fee
    left = out.desk.positions[0]
    assert (left.quantity, left.bankruptcy) == pytest.approx((q, owed))
    assert out.totals["fees"] == out.totals["fund_end"] == pytest.approx(fees)
    assert len(out.waves) == round(math.log(q / 10) / math.log(0.9)) > 1
    assert out.closed_by == [3]
    assert out.totals["liquidated_count"] == 1
    assert_balanced(out)


# --- in time, by hand ---
def paced(rules: Rules, rows: list[Any], returns: list[float], **market: Any) -> reference_venue.Outcome:
    venue = reference.Venue(100.0, reference.linear(market.pop("coefficient", 0.0)), **market)
    return reference_venue.run(book(rows), venue, rules, returns, 1.0)


LONGS = [(1, 4.0, 95.0, 80.0, 100.0), (1, 2.0, 94.0, 80.0, 100.0), (1, 1.0, 70.0, 60.0, 100.0)]


def test_a_paced_sale_takes_its_time() -> None:
    out = paced(Rules(pacing=2.5), LONGS, [math.log(0.93), 0.0, 0.0, 0.0])
    assert [w[0] for w in out.waves] == [1, 2, 3]
    assert [w[2] for w in out.waves] == pytest.approx([2.5, 2.5, 1.0])
    assert [w[3] for w in out.waves] == [1, 2, 1]
    assert out.totals["long_count"] == 2
    assert out.totals["long_notional"] == pytest.approx(4 * 95 + 2 * 94)
    assert out.closed_by == [1, 1, 0]
    # at the end of the second step one of the two is still held
    early = paced(Rules(pacing=2.5), LONGS, [math.log(0.93), 0.0])
    assert early.closed_by == [1, 3, 0]
    assert early.totals["long_quantity"] == 5
    assert_balanced(early)


def test_a_delay_executes_at_a_later_price() -> None:
    returns = [math.log(0.93), math.log(0.5), math.log(2.0), 0.0]
    prices = [93.0, 46.5, 93.0, 93.0]
    for delay, step in ((0.0, 1), (0.5, 2), (1.0, 2), (1.5, 3)):
        out = paced(Rules(delay=delay), LONGS[:2], returns)
        assert [w[0] for w in out.waves] == [step]
        assert out.exit_price == pytest.approx([prices[step - 1]] * 2)
        assert_balanced(out)


def test_a_band_holds_sales_back_until_the_market_recovers() -> None:
    """Each of two longs moves the price 10 %; the second, crossed by that, waits for the displacement to halve."""
    rows = [(1, 1.0, 95.0, 80.0, 100.0), (1, 1.0, 90.0, 80.0, 100.0)]
    returns = [math.log(0.95)] + [0.0] * 4
    free = paced(Rules(), rows, returns, coefficient=0.1, half_life=2.0)
    assert [w[0] for w in free.waves] == [1, 1]
    held = paced(Rules(price_band=0.06), rows, returns, coefficient=0.1, half_life=2.0)
    # displacements 0.1, 0.0707, 0.05: below -ln(0.94) = 0.0619 in the third step
    assert [w[0] for w in held.waves] == [1, 3]
    assert held.low_price == pytest.approx(95 * math.exp(-0.15))
    # a band holds back one side only: the short that the rebound crosses is bought at once, ahead of the long
    rows.append((-1, 0.05, 101.0, 120.0, 90.0))
    mixed = paced(Rules(price_band=0.06), rows, [math.log(0.95), math.log(1.15), 0.0], coefficient=0.1, half_life=2.0)
    assert [w[0] for w in mixed.waves] == [1, 2, 3]
    assert mixed.waves[1][2] == pytest.approx(0.05)


def test_the_fund_lasts_from_step_to_step() -> None:
    rows = [(1, 1.0, 95.0, 90.0, 100.0), (1, 1.0, 80.0, 79.0, 100.0), (1, 1.0, 70.0, 69.0, 100.0)]
    out = paced(Rules(fund=1.0), rows, [math.log(0.95), math.log(0.77 / 0.95), math.log(0.60 / 0.77)])
    # +5, -2, -9
    assert (out.totals["fund_end"], out.totals["unpaid_loss"]) == pytest.approx((0.0, 5.0))
    assert (out.totals["fund_received"], out.totals["fund_paid"]) == pytest.approx((5.0, 6.0))
    assert out.totals["fund_needed"] == pytest.approx(6.0)


def test_the_rest_of_a_partial_close_can_fire_in_a_later_step() -> None:
    rows = [(1, 8.0, 90.0, 86.0, 100.0)]
    rules = Rules(close="fraction", target=1.5)
    out = paced(rules, rows, [math.log(0.90), 0.0, math.log(0.97), 0.0, math.log(0.9)])
    assert [w[0] for w in out.waves] == [1, 3, 5]
    assert out.closed_by == [1]
    assert out.totals["long_count"] == 1
    assert out.totals["long_quantity"] == pytest.approx(8.0)
    assert out.totals["long_notional"] < 8 * 90
    assert_balanced(out)
