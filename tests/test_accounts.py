"""Accounts over several markets against plain loops, against books one by one, and what their results hold."""

from __future__ import annotations

import itertools
import math
import pickle
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

import flushpoint as fp
import reference
import reference_accounts

SCHEDULES = (
    [(0.0, 0.005)],
    [(0.0, 0.0), (400.0, 0.02), (1500.0, 0.05)],
    [(0.0, 0.01), (900.0, 0.03)],
)
IMPACTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("LinearImpact", {"coefficient": 4e-4}),
    ("SquareRootImpact", {"daily_volatility": 0.05, "daily_volume": 2_000.0, "core": 1.0}),
    ("PowerImpact", {"coefficient": 2e-3, "exponent": 0.7}),
    ("DepthImpact", {"distance": [0.01, 0.05], "bid_quantity": [30.0, 90.0], "ask_quantity": [20.0, 120.0]}),
    ("EvaporatingImpact", {"coefficient": 3e-4, "thinning": 2.0}),
)
PRICES = (100.0, 20.0, 5.0, 1.5)


class Portfolio:
    """A random one: rows, cash, markets and what starts the cascade."""

    def __init__(self, seed: int, markets: int, accounts: int, cross: bool = True, refill: bool = True) -> None:
        rng = self.rng = np.random.default_rng(seed)
        self.count = markets
        self.names = [f"M{m}" for m in range(markets)]
        self.price = np.array(PRICES[:markets])
        self.families = [IMPACTS[rng.integers(len(IMPACTS))] for _ in range(markets)]
        self.tiers = [SCHEDULES[rng.integers(len(SCHEDULES))] for _ in range(markets)]
        self.settings = [
            {
                "permanent": float(rng.choice([0.0, 1e-4])),
                "spread": float(rng.choice([0.0, 0.002])),
                "mark_weight": float(rng.choice([1.0, 1.0, 0.6])),
                "half_life": float(rng.choice([math.inf, 120.0])),
            }
            for _ in range(markets)
        ]
        self.cross = rng.uniform(0, 3e-4, (markets, markets)) * (1 - np.eye(markets)) if cross else None
        rows = []
        cash = np.empty(accounts)
        for a in range(accounts):
            held = rng.integers(0, 5)
            notional = 0.0
            lean = rng.choice([-1.0, 0.0, 1.0], p=[0.2, 0.3, 0.5])
            for _ in range(held):
                m = int(rng.integers(markets))
                size = float(rng.lognormal(5.0, 1.0)) / self.price[m]
                sign = lean or float(rng.choice([-1, 1]))
                entry = self.price[m] * float(rng.uniform(0.97, 1.03))
                alone = rng.random() < 0.2
                margin = float(rng.uniform(0.06, 0.3)) * size * entry if alone else math.nan
                rows.append((a, m, sign * size, entry, margin))
                notional += 0.0 if alone else size * entry
            cash[a] = notional * rng.uniform(0.08, 0.4)
        self.rows, self.cash = rows, cash
        self.shock = np.where(rng.random() < 0.5, -1, 1) * rng.uniform(0.0, 0.3, markets)
        self.sell = rng.uniform(-20, 40, markets) * rng.integers(0, 2)
        self.refill = float(rng.choice([0.0, 0.3])) if refill else 0.0

    def accounts(self, **rules: Any) -> fp.Accounts:
        columns = [list(column) for column in zip(*self.rows, strict=True)] or [[]] * 5
        schedules = {
            name: fp.MarginSchedule(*zip(*tiers, strict=True))
            for name, tiers in zip(self.names, self.tiers, strict=True)
        }
        market = [self.names[m] for m in columns[1]]
        return fp.Accounts(columns[0], market, columns[2], columns[3], self.cash, schedules, columns[4], **rules)

    def markets(self) -> fp.Markets:
        markets = {}
        for name, price, (family, numbers), more in zip(
            self.names, self.price, self.families, self.settings, strict=True
        ):
            markets[name] = fp.Market(price, getattr(fp, family)(**numbers), **more)
        return fp.Markets(markets, self.cross)

    def reference_markets(self) -> list[reference.Venue]:
        return [
            reference.Venue(price, reference.SHAPES[family](**numbers), **more)
            for price, (family, numbers), more in zip(self.price, self.families, self.settings, strict=True)
        ]


RULES = st.sampled_from(
    [
        {"close": "all"},
        {"close": "largest_loss"},
        {"close": "pro_rata", "target": 1.05},
        {"close": "pro_rata", "target": 1.5},
    ]
)


@settings(max_examples=120)
@given(seed=st.integers(0, 2**32), markets=st.integers(1, 3), accounts=st.integers(1, 12), rules=RULES)
def test_cascade_equals_looking_at_every_account(seed: int, markets: int, accounts: int, rules: dict[str, Any]) -> None:
    p = Portfolio(seed, markets, accounts)
    venue = fp.Venue(fund=200.0, fee_rate=float(p.rng.choice([0.0, 0.002])), surplus_to="fund")
    expected = reference_accounts.cascade(
        p.rows, p.cash, p.reference_markets(), p.tiers, p.shock, p.sell, p.refill,
        cross=p.cross, fund=venue.fund, fee_rate=venue.fee_rate, surplus_to="fund", **rules,
    )  # fmt: skip
    assume(expected.nearest > 1e-10)
    assume(np.isfinite(list(expected.money.values())).all())
    found = fp.cascade(p.accounts(**rules), p.markets(), p.shock, p.sell, p.refill, venue=venue)
    event(f"rounds {min(expected.rounds, 3)}")
    assert found.rounds == expected.rounds
    np.testing.assert_array_equal(found.waves, expected.waves)
    np.testing.assert_allclose(found.final_price, expected.prices(), rtol=1e-12)
    np.testing.assert_allclose(found.low_price, expected.low, rtol=1e-12)
    np.testing.assert_allclose(found.high_price, expected.high, rtol=1e-12)
    np.testing.assert_allclose(np.nan_to_num(found.closed_share), expected.rows_closed, rtol=0, atol=1e-12)
    np.testing.assert_allclose([found.long_quantity, found.short_quantity], expected.quantity, rtol=1e-11)
    shared = {pool.account for pool in expected.closed_out if not pool.alone}
    assert found.closed.nonzero()[0].tolist() == sorted(shared)
    assert found.accounts_closed == len(shared)
    assert found.isolated_closed == sum(pool.alone for pool in expected.closed_out)
    size = 1.0 + found.liquidated_notional
    for name, value in expected.money.items():
        assert getattr(found, name) == pytest.approx(value, abs=1e-11 * size)
    assert found.fund_end == pytest.approx(expected.fund, abs=1e-11 * size)
    found.check_balance()


@pytest.mark.parametrize("close", ["all", "largest_loss", "pro_rata"])
def test_depth_that_is_used_up_ends_a_cascade(close: str) -> None:
    exhausted = 0
    for seed in range(30):
        p = Portfolio(seed, 3, 14)
        p.families = [("EvaporatingImpact", {"coefficient": c, "thinning": 3.0}) for c in (2e-2, 5e-3, 1e-3)]
        c = fp.cascade(p.accounts(close=close), p.markets(), p.shock, p.sell, p.refill, venue=fp.Venue(fund=50.0))
        exhausted += c.exhausted.any()
        c.check_balance()
    assert exhausted > 5


def books(p: Portfolio) -> list[fp.Book]:
    """One book a market, of portfolios that hold one position an account."""
    out = []
    for m, tiers in enumerate(p.tiers):
        mine = [row for row in p.rows if row[1] == m]
        out.append(
            fp.Book.from_positions(
                [int(math.copysign(1, row[2])) for row in mine],
                [abs(row[2]) for row in mine],
                [row[3] for row in mine],
                margin=[row[4] if not math.isnan(row[4]) else p.cash[row[0]] for row in mine],
                schedule=fp.MarginSchedule(*zip(*tiers, strict=True)),
            )
        )
    return out


def one_each(seed: int, markets: int, accounts: int, refill: bool = True) -> Portfolio:
    p = Portfolio(seed, markets, accounts, cross=False, refill=refill)
    seen: set[int] = set()
    p.rows = [row for row in p.rows if row[0] not in seen and not seen.add(row[0])]  # type: ignore[func-returns-value]
    return p


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32), markets=st.integers(1, 3), accounts=st.integers(1, 60))
def test_accounts_in_one_market_are_books_bit_for_bit(seed: int, markets: int, accounts: int) -> None:
    p = one_each(seed, markets, accounts)
    assume(p.rows)
    venue = fp.Venue(fund=100.0, fee_rate=0.001)
    found = fp.cascade(p.accounts(), p.markets(), p.shock, p.sell, p.refill, venue=venue)
    for m, (book, market) in enumerate(zip(books(p), p.markets().markets.values(), strict=True)):
        alone = fp.cascade(book, market, p.shock[m], p.sell[m], p.refill, venue=venue)
        for name in ("final_price", "low_price", "high_price", "amplification", "exhausted"):
            assert getattr(found, name)[m] == getattr(alone, name)
        assert found.waves[m] == len(alone.waves)
        assert found.long_quantity[m] + found.short_quantity[m] == alone.liquidated_quantity
        mine = found.wave_table[found.wave_table["market"] == m]
        for name in ("price", "quantity", "count", "notional"):
            np.testing.assert_array_equal(mine[name], alone.waves[name])
        if markets == 1:
            for name in ("proceeds", "shortfall", "surplus", "fund_end", "fees", "unpaid_loss"):
                assert getattr(found, name) == getattr(alone, name)


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32), markets=st.integers(1, 3))
def test_stress_of_accounts_in_one_market_is_that_of_books_bit_for_bit(seed: int, markets: int) -> None:
    p = one_each(seed, markets, 50)
    own = books(p)
    try:
        alone = [
            fp.stress(book, market, p.rng.uniform(-0.3, 0.3, 9), refill=p.refill)
            for book, market in zip(own, p.markets().markets.values(), strict=True)
        ]
    except ValueError:  # something fails before anything happens
        assume(False)
    shocks = np.stack([one.provenance["arguments"]["shock"] for one in alone], -1)
    found = fp.stress(p.accounts(), p.markets(), shocks, refill=p.refill)
    for m, one in enumerate(alone):
        for name in found._per_market:
            np.testing.assert_array_equal(getattr(found, name)[:, m], getattr(one, name))


def small(**rules: Any) -> tuple[fp.Accounts, fp.Markets]:
    accounts = fp.Accounts(
        ["a", "a", "b", "c", "c"],
        ["BTC", "ETH", "BTC", "ETH", "BTC"],
        [10.0, 20.0, 5.0, -4.0, 2.0],
        [100.0, 50.0, 100.0, 50.0, 100.0],
        {"a": 200.0, "b": 60.0, "c": 50.0},
        fp.MarginSchedule.flat(0.01),
        [math.nan] * 4 + [15.0],
        {"a": "large", "b": "small", "c": "small"},
        **rules,
    )
    markets = fp.Markets(
        {"BTC": fp.Market(100.0, fp.LinearImpact(1e-3)), "ETH": fp.Market(50.0, fp.LinearImpact(5e-4))},
        [[0.0, 1e-4], [2e-4, 0.0]],
    )
    return accounts, markets


def test_stress_is_many_cascades() -> None:
    accounts, markets = small()
    shocks = {"BTC": np.linspace(-0.3, 0.3, 13), "ETH": np.linspace(-0.2, 0.2, 13)}
    venue = fp.Venue(fund=10.0, fee_rate=0.001)
    s = fp.stress(accounts, markets, shocks, liquidity=[[0.5]], venue=venue, threads=2)
    assert s.final_price.shape == (13, 2)
    half = fp.Markets(
        {n: fp.Market(m.price, fp.LinearImpact(2 * m.impact.coefficient)) for n, m in markets.markets.items()},  # type: ignore[attr-defined]
        2 * markets.cross_impact,  # type: ignore[operator]
    )
    for i in range(13):
        c = fp.cascade(accounts, half, {name: shock[i] for name, shock in shocks.items()}, venue=venue)
        np.testing.assert_allclose(s.final_price[i], c.final_price, rtol=1e-13)
        for name in ("rounds", "accounts_closed", "isolated_closed"):
            assert getattr(s, name)[i] == getattr(c, name)
        np.testing.assert_array_equal(s.waves[i], c.waves)
        np.testing.assert_array_equal(s.group_closed[i], c.group_closed)
        np.testing.assert_allclose(s.group_shortfall[i], c.group_shortfall, rtol=1e-12)
        np.testing.assert_allclose(s.fund_end[i], c.fund_end, rtol=1e-12)
    assert s.groups.tolist() == ["large", "small"]
    np.testing.assert_allclose(s.group_shortfall.sum(-1), s.shortfall, rtol=1e-12)
    assert s.accounts_closed.max() == 2
    s.check_balance()
    one = fp.stress(accounts, markets, shocks, threads=1, venue=venue)
    assert one == fp.stress(accounts, markets, np.stack([*shocks.values()], -1), threads=2, venue=venue)


def test_results_are_mappings_of_columns() -> None:
    accounts, markets = small()
    s = fp.stress(accounts, markets, [[-0.1], [-0.2], [0.1]])
    frame = pd.DataFrame(dict(s))
    assert frame["final_price.ETH"].tolist() == s.final_price[:, 1].tolist()
    assert frame["accounts_closed"].tolist() == s.accounts_closed.tolist()
    assert "fund_end" not in frame
    assert s.summary(["low_price.BTC"])["low_price.BTC"]
    chosen = fp.stress(accounts, markets, -0.1, columns=["final_price", "waves.BTC", "rounds"])
    assert list(chosen) == ["final_price.BTC", "final_price.ETH", "waves.BTC", "rounds"]
    c = fp.cascade(accounts, markets, -0.2, venue=fp.Venue())
    assert dict(c)["fund_end"].shape == (1,)
    for result in (s, c):
        again = pickle.loads(pickle.dumps(result))
        assert again == result
    assert pickle.loads(pickle.dumps(markets)) == markets
    assert repr(c).startswith("<AccountCascadeResult: final prices BTC")
    assert repr(s) == "<AccountStressResult: 3 scenarios, 2 of them with liquidations>"


def test_cross_impact_alone_can_hurt() -> None:
    accounts = fp.Accounts(
        [0, 1], ["A", "B"], [10.0, 10.0], 100.0 * np.ones(2), [50.0, 50.0], fp.MarginSchedule.flat(0.0)
    )
    plain = fp.Market(100.0, fp.LinearImpact(0.0))
    calm = fp.cascade(accounts, fp.Markets({"A": plain, "B": plain}), {"A": -0.06})
    hurt = fp.cascade(accounts, fp.Markets({"A": plain, "B": plain}, [[0, 0], [0.01, 0]]), {"A": -0.06})
    assert calm.closed.tolist() == [True, False]
    assert hurt.closed.tolist() == [True, True]
    assert hurt.amplification.tolist() == [1.0, pytest.approx(math.nan, nan_ok=True)]
    assert hurt.final_price[1] == pytest.approx(100 * math.exp(-0.1))


def test_who_fails_at_rest_is_closed_wherever_prices_go() -> None:
    markets = fp.Markets({n: fp.Market(10.0, fp.LinearImpact(1e-3)) for n in "AB"})
    broke = fp.Accounts(**{**GOOD, "cash": [0.1]})
    assert fp.cascade(broke, markets, 0.001).closed.tolist() == [True]
    assert fp.cascade(broke, markets, 0.1).closed.tolist() == [False]


@pytest.mark.parametrize("seed", [36, 63, 73, 88, 143])
def test_what_slippage_leaves_failing_fails_though_prices_have_turned(seed: int) -> None:
    p = Portfolio(seed, 3, 40)
    for rules in ({"close": "largest_loss"}, {"close": "pro_rata", "target": 1.05}):
        expected = reference_accounts.cascade(
            p.rows, p.cash, p.reference_markets(), p.tiers, p.shock, p.sell, p.refill, cross=p.cross, **rules
        )
        found = fp.cascade(p.accounts(**rules), p.markets(), p.shock, p.sell, p.refill)
        assert found.rounds == expected.rounds
        np.testing.assert_allclose(found.final_price, expected.prices(), rtol=1e-12)


def test_so_many_rounds_and_no_more() -> None:
    accounts, markets = small()
    whole = fp.cascade(accounts, markets, -0.1)
    assert whole.rounds > 1
    for rounds in range(whole.rounds + 1):
        c = fp.cascade(accounts, markets, -0.1, rounds=rounds)
        assert c.rounds == rounds
        assert (c == whole) == (rounds == whole.rounds)
        np.testing.assert_array_equal(c.wave_table, whole.wave_table[whole.wave_table["round"] < rounds])
    with pytest.raises(ValueError, match="rounds must be at least 0, was -1"):
        fp.cascade(accounts, markets, rounds=-1)
    with pytest.raises(ValueError, match="rounds must be left out for a book, was 3"):
        fp.cascade(fp.Book(+1, [1.0], [9.0]), markets["BTC"], rounds=3)  # type: ignore[call-overload]


def test_what_shares_margin_is_netted() -> None:
    schedule = fp.MarginSchedule.flat(0.005)
    markets = fp.Markets({"A": fp.Market(100.0, fp.LinearImpact(1e-3))})
    netted = fp.Accounts([0, 0, 0], ["A"] * 3, [3.0, -1.0, 2.0], [90.0, 110.0, 100.0], [40.0], schedule)
    one = fp.Accounts([0], ["A"], [4.0], [90.0], [40.0], schedule)
    for shock in (-0.05, -0.094, -0.097, -0.2):
        a, b = (fp.cascade(x, markets, shock) for x in (netted, one))
        assert a.final_price == b.final_price
        assert a.closed.tolist() == b.closed.tolist()
    flat = fp.Accounts([0, 0], ["A"] * 2, [3.0, -3.0], [90.0, 110.0], [40.0], schedule)
    c = fp.cascade(flat, markets, -0.5)
    assert not c.closed.any()
    assert np.isnan(c.closed_share).all()


@pytest.mark.parametrize("quantity", [[0.1, 0.2, -0.3], [1e15, 0.1, -1e15, -0.1], [3.0, -3.0]])
def test_what_rounding_leaves_of_netting_is_no_position(quantity: list[float]) -> None:
    count = len(quantity)
    markets = fp.Markets({"A": fp.Market(100.0, fp.LinearImpact(1e-3))})
    accounts = fp.Accounts([0] * count, ["A"] * count, quantity, [100.0] * count, [-1.0], fp.MarginSchedule.flat(0.005))
    c = fp.cascade(accounts, markets, -0.5)
    assert c.rounds == 0
    assert np.isnan(c.closed_share).all()
    rows = [(0, 0, q, 100.0, math.nan) for q in quantity]
    assert not reference_accounts.pools(rows, [-1.0])[0].quantity


@pytest.mark.parametrize("second", [0.0, 1e-9])
def test_a_short_lacks_all_of_an_equity_below_zero_at_any_price(second: float) -> None:
    markets = fp.Markets({n: fp.Market(100.0, fp.LinearImpact(0.0)) for n in "AB"})
    count = 2 if second else 1
    accounts = fp.Accounts(
        [0] * count, ["A", "B"][:count], [-1.0, second][:count], [100.0] * count, [-150.0], fp.MarginSchedule.flat(0.0)
    )
    c = fp.cascade(accounts, markets, venue=fp.Venue(fund=1000.0))
    assert c.shortfall == pytest.approx(150.0)
    assert c.fund_end == pytest.approx(850.0)
    assert c.accounts_closed == 1
    assert c.short_count.tolist() == [1, 0]
    assert c.short_notional.tolist() == [100.0, 0.0]
    c.check_balance()


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32), markets=st.integers(1, 3), rules=RULES)
def test_accounts_in_debt_equal_looking_at_every_account(seed: int, markets: int, rules: dict[str, Any]) -> None:
    p = Portfolio(seed, markets, 8)
    p.cash[::2] *= -8.0
    expected = reference_accounts.cascade(
        p.rows, p.cash, p.reference_markets(), p.tiers, p.shock, p.sell, p.refill,
        cross=p.cross, fund=200.0, surplus_to="fund", **rules,
    )  # fmt: skip
    assume(expected.nearest > 1e-10)
    assume(np.isfinite(list(expected.money.values())).all())
    found = fp.cascade(p.accounts(**rules), p.markets(), p.shock, p.sell, p.refill, venue=fp.Venue(fund=200.0))
    assert found.rounds == expected.rounds
    np.testing.assert_allclose(found.final_price, expected.prices(), rtol=1e-12)
    for name, value in expected.money.items():
        assert getattr(found, name) == pytest.approx(value, abs=1e-11 * (1.0 + found.liquidated_notional))
    found.check_balance()


def test_the_least_share_restores_an_account_at_once() -> None:
    markets = fp.Markets({n: fp.Market(100.0, fp.LinearImpact(0.0)) for n in "AB"})
    accounts = fp.Accounts(
        [0, 0], ["A", "B"], [1.0, 1.0], [100.0, 100.0], [2.0], fp.MarginSchedule.flat(0.005), close="pro_rata"
    )
    c = fp.cascade(accounts, markets, -0.0052)
    assert c.rounds == 1
    np.testing.assert_allclose(c.closed_share, 1 - 0.96 / 0.9948, rtol=1e-7)


@pytest.mark.parametrize("close", ["all", "largest_loss", "pro_rata"])
def test_a_loss_without_bound_outweighs_any_gain(close: str) -> None:
    markets = fp.Markets({n: fp.Market(100.0, fp.EvaporatingImpact(0.1, 1.0)) for n in "AB"})
    accounts = fp.Accounts(
        [0, 0], ["A", "B"], [1.0, -1.0], [100.0, 100.0], [20.0], fp.MarginSchedule.flat(0.005), close=close
    )
    s = fp.stress(accounts, markets, sell=[[-50.0, -50.0]], venue=fp.Venue(fund=10.0, surplus_to="fund", fee_rate=0.01))
    assert s.final_price.tolist() == [[math.inf, math.inf]]
    assert (s.shortfall, s.unpaid_loss, s.proceeds) == (math.inf, math.inf, -math.inf)
    assert (s.fund_end, s.surplus, s.fees) == (0.0, 0.0, 0.0)


def test_what_fails_already_can_be_dropped() -> None:
    accounts, markets = small(close="pro_rata", target=1.2)
    lower = fp.Markets({n: fp.Market(0.85 * m.price, m.impact) for n, m in markets.markets.items()})
    with pytest.raises(ValueError, match=re.escape("3 accounts do (accounts.alive(markets) drops such positions)")):
        fp.stress(accounts, lower)
    left = accounts.alive(lower)
    closed = fp.cascade(
        accounts, fp.Markets({n: fp.Market(m.price, fp.LinearImpact(0.0)) for n, m in lower.markets.items()})
    )
    np.testing.assert_array_equal(left.quantity, accounts.quantity[closed.closed_share == 0])
    assert (left.ids, left.target, left.isolated.size) == (accounts.ids, 1.2, left.quantity.size)  # type: ignore[union-attr]
    fp.stress(left, lower)
    assert accounts.alive(markets).quantity.tolist() == accounts.quantity.tolist()


GOOD: dict[str, Any] = {
    "account": [0, 0], "market": ["A", "B"], "quantity": [1.0, 2.0], "entry_price": [10.0, 10.0], "cash": [5.0],
    "schedules": fp.MarginSchedule.flat(0.01),
}  # fmt: skip


TWO: dict[str, Any] = {"cash": [5.0, 5.0]}
MASKED = np.ma.MaskedArray([0, 0], mask=[False, True])


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"account": [0, 1]}, ValueError, "account must be a place in cash, 0 to 0, was 1 at index 1"),
        ({"account": [0.0, 1.0]}, TypeError, "account must be integers where cash is no mapping, was dtype float64"),
        ({"cash": {"x": 1.0}}, ValueError, "account must be a key of cash, was 0 at index 0"),
        ({"cash": [math.nan]}, ValueError, "cash must be finite, was nan at index 0"),
        ({"cash": 1.0}, ValueError, "cash must have one dimension, was of shape ()"),
        ({"quantity": [1.0, 0.0]}, ValueError, "quantity must be finite and not 0, was 0.0 at index 1"),
        ({"market": ["A", 1]}, TypeError, "market must be names or integers, was 1 at index 1"),
        ({"account": MASKED}, ValueError, "account must have no masked entries, was with 1"),
        ({"market": MASKED}, ValueError, "market must have no masked entries, was with 1"),
        ({**TWO, "group": MASKED}, ValueError, "group must have no masked entries, was with 1"),
        ({**TWO, "group": ["x", None]}, ValueError, "group must be without missing labels, was None at index 1"),
        ({**TWO, "group": [1.0, math.nan]}, ValueError, "group must be without missing labels, was nan at index 1"),
        ({**TWO, "group": [pd.NA, pd.NA]}, ValueError, "group must be without missing labels, was <NA> at index 0"),
        (
            {**TWO, "group": ["a", 1]},
            TypeError,
            "group must be labels of one kind, was 'a' at index 0, 1 at index 1",
        ),
        ({**TWO, "group": [1j, 2j]}, TypeError, "group must be labels that can be sorted, was 1j at index 0"),
        (
            {"account": ["x", "x"], "cash": {"x": 5.0}, "group": {"x": "g", "y": "g"}},
            ValueError,
            "group must be of the accounts in cash, was of 'y'",
        ),
        ({"quantity": [1.0]}, ValueError, "quantity must have a row a position, 2, was 1"),
        ({"entry_price": [10.0, -1.0]}, ValueError, "entry_price must be positive, was -1.0 at index 1"),
        ({"isolated": [math.nan, 0.0]}, ValueError, "isolated must be positive, or nan for none, was 0.0 at index 1"),
        ({"market": [1.5, 2.5]}, TypeError, "market must be names or integers, was 1.5 at index 0"),
        ({"schedules": 0.01}, TypeError, "schedules must be a MarginSchedule, or one for each market, was 0.01"),
        ({"schedules": {"A": 1}}, TypeError, "schedules must hold a MarginSchedule each, was 1 at 'A'"),
        ({"close": "half"}, ValueError, "close must be one of 'all', 'largest_loss', 'pro_rata', was"),
        ({"target": 1.1}, ValueError, "target must be left out where close is 'all', was 1.1"),
        ({"close": "pro_rata", "target": 0.9}, ValueError, "target must be at least 1, was 0.9"),
        ({"group": ["x", "y"]}, ValueError, "group must have a label an account, shape (1,), was (2,)"),
    ],
)  # fmt: skip
def test_bad_accounts_are_refused(changes: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        fp.Accounts(**{**GOOD, **changes})


@pytest.mark.parametrize("labels", [[2, 1], [2.5, 1], ["b", "a"], pd.Series(["b", "a"]), [True, False]])
def test_groups_are_sorted_labels_of_any_kind(labels: Any) -> None:
    accounts = fp.Accounts(**{**GOOD, **TWO, "group": labels})
    c = fp.cascade(accounts, fp.Markets({n: fp.Market(10.0, fp.LinearImpact(1e-3)) for n in "AB"}))
    assert c.groups.tolist() == sorted(labels)


def test_no_scenario_has_no_outcome() -> None:
    markets = fp.Markets({n: fp.Market(10.0, fp.LinearImpact(1e-3)) for n in "AB"})
    s = fp.stress(fp.Accounts(**GOOD, group=["g"]), markets, np.zeros((0, 2)))
    assert (s.final_price.shape, s.rounds.shape, s.group_closed.shape) == ((0, 2), (0,), (0, 1))


def test_no_accounts_have_no_groups() -> None:
    markets = fp.Markets({n: fp.Market(10.0, fp.LinearImpact(1e-3)) for n in "AB"})
    nobody = fp.Accounts([], [], [], [], [], fp.MarginSchedule.flat(0.01), group=[])
    s = fp.stress(nobody, markets, [[-0.1, 0.0], [0.0, 0.0]])
    assert (s.groups.size, s.group_closed.shape, s.accounts_closed.tolist()) == (0, (2, 0), [0, 0])
    assert fp.cascade(nobody, markets, -0.1).group_shortfall.shape == (0,)
    model = fp.FactorModel.betas(fp.GBM(0.5), {"A": 1.0, "B": 1.0})
    assert fp.simulate(nobody, markets, model, paths=3).group_closed.shape == (3, 0)


def test_markets_tell_their_names() -> None:
    markets = fp.Markets({n: fp.Market(10.0, fp.LinearImpact(1e-3)) for n in "ABCDE"})
    assert repr(markets) == "<Markets: A, B, C, D, ...>"


def test_bad_markets_are_refused() -> None:
    market = fp.Market(10.0, fp.LinearImpact(1e-3))
    for given_markets, cross, error, message in (
        ([market], None, TypeError, "markets must be a mapping of names to markets, was list"),
        ({}, None, ValueError, "markets must hold at least one, was empty"),
        ({"A": 1.0}, None, TypeError, "markets must hold a Market each, was float at 'A'"),
        ({1: market}, None, TypeError, "markets must have names for keys, was 1"),
        (
            {"A": replace(market, support=fp.Support(9.0, 1.0))},
            None,
            ValueError,
            "support must be None among several markets, was Support(",
        ),
        (
            {"A": replace(market, depth=fp.LivingDepth(0.5))},
            None,
            ValueError,
            "depth must be None among several markets, was LivingDepth(",
        ),
        ({"A": market}, [0.0], ValueError, "cross_impact must have the shape (1, 1), was (1,)"),
        (
            {"A": market},
            [[1.0]],
            ValueError,
            "cross_impact must be 0 on the diagonal (own impact is the market's), was 1.0",
        ),
        ({"A": market}, [[math.nan]], ValueError, "cross_impact must be finite, was nan at index (0, 0)"),
    ):
        with pytest.raises(error, match=re.escape(message)):
            fp.Markets(given_markets, cross)  # type: ignore[arg-type]


def test_bad_questions_are_refused() -> None:
    market = fp.Market(10.0, fp.LinearImpact(1e-3))
    markets = fp.Markets({"A": market, "B": market})
    accounts = fp.Accounts(**GOOD)
    book = fp.Book(+1, [1.0], [9.0])
    ask: Any
    for ask in (fp.cascade, fp.stress):
        for arguments, more, error, message in (
            ((accounts, market), {}, TypeError, "markets must be Markets where accounts are given, was Market"),
            ((book, markets), {}, TypeError, "accounts must be Accounts where markets are given, was Book"),
            (
                (accounts, fp.Markets({"A": market})),
                {},
                ValueError,
                "market must be one of the markets, A, was B at index 1",
            ),
            ((accounts, markets, {"C": -0.1}), {}, ValueError, "shock must be of the markets, A, B, was of 'C'"),
            ((accounts, markets, [-0.1, -0.1, 0.0]), {}, ValueError, "shock must have one entry a market, 2, along"),
            ((accounts, markets, -1.0), {}, ValueError, "shock must be above -1, and leave prices finite, was -1.0"),
            ((accounts, markets), {"venue": fp.Venue(delay=3.0)}, ValueError, "delay of a venue must be left out"),
            ((accounts, markets), {"venue": fp.Venue(adl="socialised")}, ValueError, "adl of a venue must be left out"),
        ):
            with pytest.raises(error, match=re.escape(message)):
                ask(*arguments, **more)
    with pytest.raises(ValueError, match="shock and sell must be one number a market"):
        fp.cascade(accounts, markets, [[-0.1], [-0.2]])
    with pytest.raises(ValueError, match="max_count must be left out with accounts, was 3"):
        fp.stress(accounts, markets, -0.1, max_count=3)
    with pytest.raises(ValueError, match="columns must be among"):
        fp.stress(accounts, markets, -0.1, columns=["fund_end"])
    broke = fp.Accounts(**{**GOOD, "cash": [0.1]})
    with pytest.raises(ValueError, match="accounts must hold nothing that fails at the markets' prices; 1 accounts do"):
        fp.stress(broke, markets)
    assert fp.cascade(broke, markets).closed.tolist() == [True]
    unnamed = fp.Accounts(**{**GOOD, "schedules": {"A": fp.MarginSchedule.flat(0.01)}})
    with pytest.raises(ValueError, match="schedules must name every market of a position, was without 'B'"):
        fp.cascade(unnamed, markets)
    with pytest.raises(ValueError, match="accounts must have groups for sums by group"):
        fp.cascade(accounts, markets).group_closed  # noqa: B018


def test_ways_to_name_accounts_and_markets_agree() -> None:
    markets = fp.Markets({n: fp.Market(10.0, fp.LinearImpact(1e-3)) for n in "AB"})
    by_place = fp.Accounts(**{**GOOD, "market": [0, 1]})
    by_name = fp.Accounts(**{**GOOD, "account": ["x", "x"], "cash": {"x": 5.0}})
    of_table = fp.Accounts(**{**GOOD, "market": pd.Series(["A", "B"], dtype=object)})
    for shock in (-0.1, -0.3):
        results = [fp.cascade(a, markets, shock) for a in (fp.Accounts(**GOOD), by_place, by_name, of_table)]
        for one, other in itertools.pairwise(results):
            assert one == other
