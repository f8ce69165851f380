"""Auto-deleveraging among accounts: against plain loops, against books, and by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

import flushpoint as fp
import reference_accounts
from flushpoint.venue import CLOSING_WINNERS
from test_accounts import RULES, Portfolio, books, one_each
from test_simulate_accounts import alive

SHARED = tuple(rule for rule in CLOSING_WINNERS if rule != "water_filling")
PRICES = st.sampled_from(["bankruptcy", "mark"])
DEEP = 0.35  # log return that leaves many accounts with less than nothing


def venue_of(p: Portfolio, adl: str, adl_price: str) -> fp.Venue:
    """One whose fund is small beside the losses."""
    fund, fee_rate = float(p.rng.choice([0.0, 5.0, 80.0])), float(p.rng.choice([0.0, 0.002]))
    surplus_to = str(p.rng.choice(["fund", "trader"]))
    return fp.Venue(fund=fund, adl=adl, adl_price=adl_price, surplus_to=surplus_to, fee_rate=fee_rate)


def settled(venue: fp.Venue) -> dict[str, Any]:
    names = ("fund", "fee_rate", "surplus_to", "adl", "adl_price")
    return {name: getattr(venue, name) for name in names}


def check_row(found: Any, expected: reference_accounts.Run, at: Any = ()) -> None:
    """One cascade or path against the reference's."""
    assert found.rounds[at] == expected.rounds
    np.testing.assert_array_equal(found.waves[at], expected.waves)
    np.testing.assert_allclose(found.final_price[at], expected.prices(), rtol=1e-11)
    np.testing.assert_allclose(found.low_price[at], expected.low, rtol=1e-11)
    np.testing.assert_allclose(found.high_price[at], expected.high, rtol=1e-11)
    quantity = [found.long_quantity[at], found.short_quantity[at]]
    np.testing.assert_allclose(quantity, expected.quantity, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found.adl_quantity[at], expected.adl_quantity, rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(found.adl_count[at], expected.adl_count)
    assert found.accounts_closed[at] == len({pool.account for pool in expected.closed_out if not pool.alone})
    assert found.isolated_closed[at] == sum(pool.alone for pool in expected.closed_out)
    size = 1.0 + found.liquidated_notional[at]
    for name, value in expected.money.items():
        assert getattr(found, name)[at] == pytest.approx(value, abs=1e-10 * size)
    assert found.fund_end[at] == pytest.approx(expected.fund, abs=1e-10 * size)


def judged(expected: reference_accounts.Run) -> None:
    """Leave out what rounding decides."""
    assume(expected.nearest > 1e-10 and not expected.doubtful)
    assume(np.isfinite(list(expected.money.values())).all())
    event(f"closed against winners {expected.adl_count.any()}, in {np.count_nonzero(expected.adl_count)} markets")


@settings(max_examples=120)
@given(
    seed=st.integers(0, 2**32), markets=st.integers(1, 4), accounts=st.integers(2, 14), rules=RULES,
    adl=st.sampled_from(SHARED), adl_price=PRICES,
)  # fmt: skip
def test_cascade_equals_looking_at_every_account(
    seed: int, markets: int, accounts: int, rules: dict[str, Any], adl: str, adl_price: str
) -> None:
    p = Portfolio(seed, markets, accounts)
    venue = venue_of(p, adl, adl_price)
    expected = reference_accounts.cascade(
        p.rows, p.cash, p.reference_markets(), p.tiers, p.shock, p.sell, p.refill,
        cross=p.cross, **settled(venue), **rules,
    )  # fmt: skip
    judged(expected)
    found = fp.cascade(p.accounts(**rules), p.markets(), p.shock, p.sell, p.refill, venue=venue)
    check_row(found, expected)
    np.testing.assert_allclose(np.nan_to_num(found.closed_share), expected.rows_closed, rtol=0, atol=1e-9)
    found.check_balance()


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32), markets=st.integers(1, 4), accounts=st.integers(2, 12), steps=st.integers(1, 25),
    rules=RULES, adl=st.sampled_from(SHARED), adl_price=PRICES,
)  # fmt: skip
def test_paths_equal_looking_at_every_account(
    seed: int, markets: int, accounts: int, steps: int, rules: dict[str, Any], adl: str, adl_price: str
) -> None:
    p = Portfolio(seed, markets, accounts)
    assume(alive(p))
    returns = p.rng.normal(p.rng.choice([-0.02, 0.0, 0.02]), 0.05, (2, steps, markets))
    venue = venue_of(p, adl, adl_price)
    found = fp.simulate(
        p.accounts(**rules), p.markets(), fp.Returns(returns), steps * 60.0, steps, 2, venue=venue, threads=1
    )
    for i in range(2):
        expected = reference_accounts.path(
            p.rows, p.cash, p.reference_markets(), p.tiers, returns[i], 60.0, cross=p.cross, **settled(venue), **rules
        )
        judged(expected)
        check_row(found, expected, i)
    found.check_balance()


def totals(found: Any) -> dict[str, Any]:
    names = ("proceeds", "shortfall", "surplus", "fund_end", "fund_paid", "fund_received", "fund_needed", "fees")
    return {name: getattr(found, name) for name in (*names, "unpaid_loss", "liquidated_notional")}


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32), accounts=st.integers(3, 60), adl=st.sampled_from(CLOSING_WINNERS), adl_price=PRICES
)  # fmt: skip
def test_accounts_in_one_market_are_books_bit_for_bit(seed: int, accounts: int, adl: str, adl_price: str) -> None:
    p = one_each(seed, 1, accounts)
    book = books(p)[0] if p.rows else None
    assume(book is not None and len(book.long) and len(book.short))
    assert book is not None
    venue, market = venue_of(p, adl, adl_price), p.markets()["M0"]
    found = fp.cascade(p.accounts(), p.markets(), p.shock, p.sell, p.refill, venue=venue)
    alone = fp.cascade(book, market, p.shock[0], p.sell[0], p.refill, venue=venue)
    event(f"closed against winners {bool(alone.adl_count)}")
    for name in ("final_price", "low_price", "high_price", "amplification", "exhausted", "adl_quantity", "adl_count"):
        assert getattr(found, name)[0] == getattr(alone, name), name
    for name in ("price", "quantity", "count", "notional"):
        np.testing.assert_array_equal(found.wave_table[name], alone.waves[name])
    assert found.long_count[0] + found.short_count[0] == alone.liquidated_count
    assert totals(found) == totals(alone)
    assert found.balance() == {**alone.balance(), "liquidators": 0.0}
    np.testing.assert_array_equal(found.closed_share == 1.0, alone.closed)
    assert found.accounts_closed + found.isolated_closed == alone.liquidated_count


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32), adl=st.sampled_from(CLOSING_WINNERS), adl_price=PRICES)
def test_stress_and_paths_of_accounts_in_one_market_are_those_of_books_bit_for_bit(
    seed: int, adl: str, adl_price: str
) -> None:
    p = one_each(seed, 1, 50)
    book, market = books(p)[0], p.markets()["M0"]
    assume(alive(p) and len(book.long) and len(book.short))
    venue = venue_of(p, adl, adl_price)
    shock = p.rng.uniform(-DEEP, DEEP, 9)
    returns = p.rng.normal(0.0, 0.03, (11, 40))
    both = [
        (
            fp.stress(p.accounts(), p.markets(), shock[:, None], refill=p.refill, venue=venue),
            fp.stress(book, market, shock, refill=p.refill, venue=venue),
        ),
        (
            fp.simulate(p.accounts(), p.markets(), fp.Returns(returns[:, :, None]), 2400.0, 40, 11, venue=venue),
            fp.simulate(book, market, fp.Returns(returns), 2400.0, 40, 11, venue=venue),
        ),
    ]
    for found, alone in both:
        for name in (*found._per_market, "adl_quantity", "adl_count"):
            np.testing.assert_array_equal(getattr(found, name)[:, 0], getattr(alone, name), name)
        for name, column in totals(alone).items():
            np.testing.assert_array_equal(getattr(found, name), column, name)


def two_markets(**changes: Any) -> tuple[fp.Accounts, fp.Markets]:
    """An account that loses everything as a long of two markets, and winners: an isolated short, two accounts."""
    rows: dict[str, Any] = {
        "account": ["loser", "loser", "alone", "rich", "rich", "poor", "poor"],
        "market": ["A", "B", "A", "A", "B", "A", "B"],
        "quantity": [10.0, 20.0, -4.0, -8.0, 1.0, -8.0, -30.0],
        "entry_price": [100.0, 50.0, 100.0, 100.0, 50.0, 100.0, 50.0],
        "cash": {"loser": 200.0, "alone": 0.0, "rich": 2000.0, "poor": 500.0},
        "schedules": fp.MarginSchedule.flat(0.01),
        "isolated": [math.nan, math.nan, 200.0, *[math.nan] * 4],
    }
    flat = {name: fp.Market(price, fp.LinearImpact(0.0)) for name, price in (("A", 100.0), ("B", 50.0))}
    return fp.Accounts(**{**rows, **changes}), fp.Markets(flat)


def test_a_failed_account_is_closed_at_the_prices_that_leave_it_nothing() -> None:
    # At 80 and 40 the account has 200 - 200 - 200 = -200 on a notional of 1600: an eighth of each.
    accounts, markets = two_markets()
    c = fp.cascade(accounts, markets, -0.2, venue=fp.Venue(adl="queue"))
    assert (c.rounds, c.proceeds, c.shortfall, c.unpaid_loss) == (1, 0.0, 0.0, 0.0)
    assert c.adl_quantity.tolist() == [10.0, 20.0]
    # Effective leverage in A: 80 / (450 / 4 ...) of the isolated short 320 / 280, of the rich 680 / 2150, of the poor
    # 1840 / 960; all shorts have gained a fifth there.
    assert c.adl_count.tolist() == [2, 1]
    np.testing.assert_allclose(c.closed_share, [1, 1, 0.5, 0, 0, 1, 20 / 30], atol=1e-12)
    assert c.closed.tolist() == [True, False, False, False]
    assert (c.accounts_closed, c.isolated_closed) == (1, 0)
    # Two units of the isolated short took out their margin and profit at 90 against the bankruptcy price of 150.
    assert c.balance()["winners"] == pytest.approx(2 * (150 - 90))
    c.check_balance()
    assert dict(c)["adl_quantity.B"] == 20.0
    assert "adl_quantity.B" not in dict(fp.cascade(accounts, markets, -0.2, venue=fp.Venue()))
    assert fp.cascade(accounts, markets, -0.2).adl_quantity.tolist() == [0.0, 0.0]


def test_at_the_mark_winners_give_nothing_up() -> None:
    accounts, markets = two_markets()
    c = fp.cascade(accounts, markets, -0.2, venue=fp.Venue(adl="queue", adl_price="mark", fund=150.0))
    assert (c.shortfall, c.fund_end, c.unpaid_loss) == (pytest.approx(200.0), 0.0, pytest.approx(50.0))
    assert c.balance()["winners"] == pytest.approx(2 * (150 - 80))
    enough = fp.cascade(accounts, markets, -0.2, venue=fp.Venue(adl="queue", adl_price="mark", fund=200.0))
    assert enough.adl_count.tolist() == [0, 0]
    assert enough.proceeds == pytest.approx(1600.0)


def test_where_winners_run_out_the_rest_is_sold() -> None:
    accounts, markets = two_markets(quantity=[10.0, 20.0, -1.0, -2.0, 1.0, 1.0, -5.0])
    c = fp.cascade(accounts, markets, -0.2, venue=fp.Venue(adl="pro_rata"))
    assert c.adl_quantity.tolist() == [3.0, 5.0]
    assert c.proceeds == pytest.approx(7 * 80 + 15 * 40)
    assert c.shortfall == c.unpaid_loss == pytest.approx(7 * 10 + 15 * 5)
    c.check_balance()
    nobody, _ = two_markets(quantity=[10.0, 20.0, 1.0, 2.0, 1.0, 1.0, 5.0])
    c = fp.cascade(nobody, markets, -0.2, venue=fp.Venue(adl="pro_rata"))
    assert c.adl_count.tolist() == [0, 0]
    assert c.unpaid_loss == c.shortfall > 0


def test_winners_that_pay_too_much_fail_in_the_next_round() -> None:
    # At the marks the poor have 204. Closing 10 and 20 at 90 and 45, not 80 and 40, costs them 200; the rest needs 5.6.
    cash = {"loser": 200.0, "alone": 0.0, "rich": 2000.0, "poor": -336.0}
    accounts, markets = two_markets(cash=cash, quantity=[10.0, 20.0, -4.0, 8.0, 1.0, -12.0, -30.0])
    c = fp.cascade(accounts, markets, -0.2, venue=fp.Venue(adl="queue"))
    assert c.rounds > 1
    assert c.accounts_closed == 2
    c.check_balance()


def test_winners_that_are_left_with_a_debt_alone_lack_it() -> None:
    cash = {"loser": 200.0, "alone": 0.0, "rich": 2000.0, "poor": -380.0}
    accounts, markets = two_markets(cash=cash, quantity=[10.0, 20.0, -4.0, 8.0, 1.0, -10.0, -20.0])
    c = fp.cascade(accounts, markets, -0.2, venue=fp.Venue(adl="queue"))
    assert c.adl_count.tolist() == [1, 1]
    assert c.shortfall == c.unpaid_loss == pytest.approx(380 - 10 * 10 - 20 * 5)
    assert (c.closed.tolist(), c.accounts_closed) == ([True, False, False, True], 1)
    c.check_balance()


@pytest.mark.parametrize("adl", SHARED)
def test_depth_that_is_used_up_ends_a_cascade(adl: str) -> None:
    exhausted = 0
    for seed in range(20):
        p = Portfolio(seed, 3, 14)
        p.families = [("EvaporatingImpact", {"coefficient": c, "thinning": 3.0}) for c in (2e-2, 5e-3, 1e-3)]
        c = fp.cascade(p.accounts(), p.markets(), p.shock, p.sell, p.refill, venue=fp.Venue(fund=50.0, adl=adl))
        exhausted += c.exhausted.any()
        c.check_balance()
    assert exhausted > 2


def test_groups_tell_who_was_closed_and_what_they_lacked() -> None:
    for seed in range(40):
        p = Portfolio(seed, 3, 30)
        group = p.rng.integers(0, 3, 30)
        venue = fp.Venue(adl="queue", fund=20.0)
        ask: Any = (p.markets(), p.shock, p.sell, p.refill)
        found = fp.cascade(p.accounts(group=group), *ask, venue=venue)
        plain = fp.cascade(p.accounts(), *ask, venue=venue)
        np.testing.assert_array_equal(found.final_price, plain.final_price)
        np.testing.assert_array_equal(found.adl_count, plain.adl_count)
        assert found.accounts_closed == plain.accounts_closed == found.group_closed.sum()
        assert found.isolated_closed == plain.isolated_closed
        assert found.group_shortfall.sum() == pytest.approx(found.shortfall, rel=1e-10, abs=1e-9)


def test_any_range_and_threads_give_the_same_paths() -> None:
    p = Portfolio(11, 3, 40, cross=True)
    assert alive(p)
    model = fp.FactorModel.betas(fp.GBM(3.0), {"M0": 1.0, "M1": 1.4, "M2": -0.5}, fp.GBM(1.0))
    run: Any = {"process": model, "horizon": 86_400.0, "steps": 96, "seed": 9, "venue": fp.Venue(adl="queue")}
    accounts = p.accounts(close="pro_rata")
    whole = fp.simulate(accounts, p.markets(), paths=60, threads=2, **run)
    assert whole.adl_count.any()
    parts = [fp.simulate(accounts, p.markets(), paths=part, threads=1, **run) for part in (range(13), range(13, 60))]
    assert parts[0] + parts[1] == whole
    whole.check_balance()


@pytest.mark.parametrize("adl", SHARED)
def test_money_is_conserved_in_larger_portfolios(adl: str) -> None:
    seen = 0
    for seed in range(30):
        p = Portfolio(seed, 4, 60)
        c = fp.cascade(p.accounts(close="pro_rata"), p.markets(), 1.2 * p.shock, p.sell, venue=fp.Venue(adl=adl))
        seen += bool(c.adl_count.any())
        c.check_balance()
    assert seen > 10


def test_a_fund_that_pays_everything_closes_no_winners() -> None:
    p = Portfolio(2, 3, 30)
    ask: Any = (p.accounts(), p.markets(), p.shock, p.sell, p.refill)
    found, plain = (fp.cascade(*ask, venue=fp.Venue(fund=1e9, adl=adl)) for adl in ("queue", "none"))
    assert found.shortfall > 0
    for name in plain:
        np.testing.assert_array_equal(found[name], plain[name])


def test_rules_without_a_meaning_are_refused() -> None:
    accounts, markets = two_markets()
    with pytest.raises(ValueError, match="adl of a venue must be left out with accounts, was 'socialised'"):
        fp.cascade(accounts, markets, venue=fp.Venue(adl="socialised"))
    with pytest.raises(ValueError, match="adl of a venue must not be 'water_filling' with accounts in several"):
        fp.cascade(accounts, markets, venue=fp.Venue(adl="water_filling"))
    with pytest.raises(ValueError, match="adl of the venue must be 'none' for spillovers, was 'queue'"):
        fp.cascade(accounts, markets, -0.2, venue=fp.Venue(adl="queue")).spillover("A")
    loans = fp.Accounts.from_loans([0], ["A"], [10.0], [700.0], 0.8)
    with pytest.raises(ValueError, match="adl of a venue must be left out with banks and loans, was 'queue'"):
        fp.cascade(loans, markets, venue=fp.Venue(adl="queue"))
    several = fp.Accounts([0, 0], ["A", "B"], [1.0, 1.0], [100.0, 50.0], [50.0], fp.MarginSchedule.flat(0.01))
    with pytest.raises(ValueError, match="fill must be 'each' where adl closes winners, 'queue', was 'midpoint'"):
        fp.cascade(several, fp.Markets(markets.markets, fill="midpoint"), venue=fp.Venue(adl="queue"))
