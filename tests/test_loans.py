"""Loans and their liquidators: against plain loops, by hand, and the condition of toxic spirals."""

from __future__ import annotations

import math
import pickle
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

import flushpoint as fp
import reference
import reference_loans
from test_accounts import IMPACTS, PRICES

NAMES = ("A", "B", "C")


class Loans:
    """Random ones in random markets, with the shock that hits them."""

    def __init__(self, seed: int, markets: int, count: int) -> None:
        rng = self.rng = np.random.default_rng(seed)
        self.price = np.array(PRICES[:markets])
        self.families = [IMPACTS[rng.integers(len(IMPACTS))] for _ in range(markets)]
        self.more = [
            {
                "spread": float(rng.choice([0.0, 0.002])),
                "mark_weight": float(rng.choice([1.0, 1.0, 0.6])),
                "half_life": float(rng.choice([math.inf, 120.0])),
            }
            for _ in range(markets)
        ]
        self.cross = rng.uniform(0, 3e-4, (markets, markets)) * (1 - np.eye(markets)) if rng.random() < 0.5 else None
        self.thresholds = rng.uniform(0.6, 0.95, markets)
        rows, borrowable = [], np.zeros(count)
        for a in range(count):
            for m in rng.permutation(markets)[: rng.integers(1, markets + 1)]:
                value = float(rng.lognormal(5.0, 1.0))
                rows.append((a, int(m), value / self.price[m]))
                borrowable[a] += value * self.thresholds[m]
        self.rows = rows
        self.debt = borrowable * rng.uniform(0.6, 0.99, count)
        self.rule = fp.LoanRule(
            close_factor=float(rng.choice([0.5, 0.2, 1.0])),
            full_below=float(rng.choice([0.95, 0.8])),
            bonus=float(rng.choice([0.0, 0.05, 0.15])),
            minimum=float(rng.choice([0.0, 80.0])),
            liquidator_sells=float(rng.choice([1.0, 1.0, 0.6, 0.0])),
        )
        self.shock = rng.uniform(-0.25, 0.02, markets)

    def accounts(self) -> fp.Accounts:
        account, market, quantity = (list(column) for column in zip(*self.rows, strict=True))
        thresholds = dict(zip(NAMES, self.thresholds.tolist(), strict=False))
        return fp.Accounts.from_loans(account, market, quantity, self.debt, thresholds, self.rule)

    def markets(self) -> fp.Markets:
        pairs = zip(self.price, self.families, self.more, strict=True)
        markets = [fp.Market(price, getattr(fp, name)(**numbers), **more) for price, (name, numbers), more in pairs]
        return fp.Markets(dict(zip(NAMES, markets, strict=False)), self.cross)

    def reference_markets(self) -> list[reference.Venue]:
        pairs = zip(self.price, self.families, self.more, strict=True)
        return [
            reference.Venue(price, reference.SHAPES[name](**numbers), **more) for price, (name, numbers), more in pairs
        ]

    def told(self) -> tuple[Any, ...]:
        return self.rows, self.debt, self.thresholds, self.rule


def check_equal(found: Any, row: Any, expected: reference_loans.LoanRun) -> None:
    assert found.rounds[row] == expected.rounds
    assert found.accounts_closed[row] == len(expected.closed_loans)
    np.testing.assert_allclose(found.final_price[row], expected.prices(), rtol=1e-11)
    np.testing.assert_allclose(found.low_price[row], expected.low, rtol=1e-11)
    np.testing.assert_allclose(found.long_quantity[row], expected.quantity[0], rtol=1e-10, atol=1e-12)
    for name in ("proceeds", "shortfall", "unpaid_loss"):
        assert getattr(found, name)[row] == pytest.approx(expected.money[name], rel=1e-9, abs=1e-8)
    assert found.liquidator_profit[row] == pytest.approx(expected.profit, abs=1e-8)
    assert found.surplus[row] == pytest.approx(0.0, abs=1e-8)


@settings(max_examples=100)
@given(seed=st.integers(0, 2**32), markets=st.integers(1, 3), count=st.integers(1, 8))
def test_cascade_equals_looking_at_every_loan(seed: int, markets: int, count: int) -> None:
    loans = Loans(seed, markets, count)
    expected = reference_loans.cascade(
        loans.reference_markets(), loans.shock, *loans.told(), cross=loans.cross, fund=20.0
    )
    assume(expected.nearest > 1e-9)
    found = fp.cascade(loans.accounts(), loans.markets(), loans.shock, venue=fp.Venue(fund=20.0))
    event(f"rounds {min(expected.rounds, 3)}, shortfall {found.shortfall > 0}")
    check_equal(found, (), expected)
    assert found.closed.nonzero()[0].tolist() == sorted(expected.closed_loans)
    left = [expected.held[a][m] / q for a, m, q in loans.rows]
    np.testing.assert_allclose(1 - found.closed_share, left, atol=1e-11)
    found.check_balance()
    many = fp.stress(loans.accounts(), loans.markets(), loans.shock, venue=fp.Venue(fund=20.0), threads=1)
    assert many.liquidator_profit == found.liquidator_profit


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32), markets=st.integers(1, 3), count=st.integers(1, 6))
def test_paths_equal_looking_at_every_loan(seed: int, markets: int, count: int) -> None:
    loans = Loans(seed, markets, count)
    returns = loans.rng.normal(-0.002, 0.01, (2, 20, markets))
    found = fp.simulate(
        loans.accounts(), loans.markets(), fp.Returns(returns), 1_200.0, 20, 2, venue=fp.Venue(fund=20.0), threads=1
    )
    for i in range(2):
        expected = reference_loans.path(
            loans.reference_markets(), returns[i], 60.0, *loans.told(), cross=loans.cross, fund=20.0
        )
        assume(expected.nearest > 1e-9)
        event(f"rounds {min(expected.rounds, 3)}")
        check_equal(found, i, expected)
    found.check_balance()


def one_loan(debt: float = 20_000.0, threshold: float = 0.8, **rule: Any) -> fp.Accounts:
    return fp.Accounts.from_loans([0], ["ETH"], [10.0], [debt], threshold, fp.LoanRule(**rule))


def eth(coefficient: float = 0.0) -> fp.Markets:
    return fp.Markets({"ETH": fp.Market(3_000.0, fp.LinearImpact(coefficient))})


def test_a_loan_is_liquidated_where_its_health_factor_is_one() -> None:
    # D / (C LT) = 2,500
    assert fp.cascade(one_loan(), eth(), -0.1666).rounds == 0
    assert fp.cascade(one_loan(), eth(), -0.1667).rounds == 1


def test_half_is_repaid_and_all_where_health_or_size_is_small() -> None:
    c = fp.cascade(one_loan(), eth(), -0.2)  # a health factor of 0.96 at 2,400
    assert c.closed_share[0] == pytest.approx(10_000 * 1.05 / 24_000)
    assert (c.accounts_closed, c.rounds) == (0, 1)
    assert c.liquidator_profit == pytest.approx(500.0)
    assert c["liquidator_profit"].tolist() == [c.liquidator_profit]
    for accounts, price in (
        (one_loan(), 2_300.0),
        (one_loan(minimum=20_001.0), 2_400.0),
        (one_loan(close_factor=1.0), 2_400.0),
    ):
        c = fp.cascade(accounts, eth(), price / 3_000 - 1)
        assert c.closed_share[0] == pytest.approx(20_000 * 1.05 / (10 * price))
        assert c.rounds == 1


def test_debt_without_collateral_is_a_shortfall() -> None:
    c = fp.cascade(one_loan(), eth(), -0.5, venue=fp.Venue(fund=1_000.0))
    repaid = 15_000 / 1.05
    assert c.closed.tolist() == [True]
    assert c.shortfall == pytest.approx(20_000 - repaid)
    assert (c.fund_end, c.unpaid_loss) == (0.0, pytest.approx(19_000 - repaid))
    assert c.liquidator_profit == pytest.approx(15_000 - repaid)
    c.check_balance()


def test_slippage_is_the_liquidators_and_what_it_keeps_moves_no_price() -> None:
    sold = fp.cascade(one_loan(close_factor=1.0), eth(0.01), -0.2)
    assert sold.final_price[0] == pytest.approx(2_400 * math.exp(-0.01 * 8.75))
    assert sold.liquidator_profit == pytest.approx(2_400 * (1 - math.exp(-0.0875)) / 0.01 - 20_000)
    kept = fp.cascade(one_loan(close_factor=1.0, liquidator_sells=0.0), eth(0.01), -0.2, venue=fp.Venue())
    assert kept.final_price[0] == pytest.approx(2_400)
    assert kept.closed_share.tolist() == sold.closed_share.tolist()
    assert (kept.proceeds, kept.liquidator_profit) == (0.0, pytest.approx(1_000.0))
    kept.check_balance()


def loan_to_value(bonus: float, price: float) -> tuple[float, float]:
    """Before and after one round."""
    c = fp.cascade(one_loan(threshold=0.95, full_below=0.0, bonus=bonus), eth(), price / 3_000 - 1, rounds=1)
    share = float(c.closed_share[0])
    assert c.rounds == 1
    assert share < 1
    return 20_000 / (10 * price), 10_000 / (10 * price * (1 - share))


@pytest.mark.parametrize("bonus", [0.0, 0.02, 0.05, 0.1])
def test_a_liquidation_worsens_a_loan_where_its_loan_to_value_with_the_bonus_is_above_one(bonus: float) -> None:
    for price in (2_000.0, 2_040.0, 2_080.0, 2_099.0):
        before, after = loan_to_value(bonus, price)
        toxic = before * (1 + bonus)
        if abs(toxic - 1) > 1e-9:
            assert (after > before) == (toxic > 1)


def test_a_toxic_spiral_takes_all_without_any_impact() -> None:
    # 2,080: loan to value 0.96, with a bonus of 5 % 1.01; of 2 % 0.98
    toxic = fp.cascade(one_loan(threshold=0.95, full_below=0.0, bonus=0.05), eth(), 2_080 / 3_000 - 1)
    mild = fp.cascade(one_loan(threshold=0.95, full_below=0.0, bonus=0.02), eth(), 2_080 / 3_000 - 1)
    assert toxic.closed.tolist() == [True]
    assert toxic.shortfall > 0
    assert mild.closed.tolist() == [False]
    assert mild.rounds == 1


def test_contagion_by_loans_but_no_spillover() -> None:
    loans = fp.Accounts.from_loans([0, 0], ["A", "B"], [10.0, 10.0], [1_590.0], 0.8, fp.LoanRule(minimum=0.0))
    markets = fp.Markets({n: fp.Market(100.0, fp.LinearImpact(0.01)) for n in "AB"})
    found = fp.contagion(loans, markets, width=0.02)
    share = 795 * 1.05 / (1_000 + 1_000 * math.exp(-0.02))
    np.testing.assert_allclose(found.branching, 0.01 * 10 * share / 0.02, rtol=1e-12)
    with pytest.raises(ValueError, match="accounts must know their losses for spillovers, which loans do not"):
        fp.cascade(loans, markets).spillover("A")


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: fp.LoanRule(close_factor=0.0), ValueError, "close_factor must be at least 0.01, was 0.0"),
        (lambda: fp.LoanRule(full_below=1.1), ValueError, "full_below must be at most 1, was 1.1"),
        (lambda: fp.LoanRule(bonus=-0.1), ValueError, "bonus must be at least 0, was -0.1"),
        (lambda: fp.LoanRule(minimum=math.inf), ValueError, "minimum must be finite, was inf"),
        (lambda: fp.LoanRule(liquidator_sells=2), ValueError, "liquidator_sells must be at most 1, was 2.0"),
        (lambda: one_loan(debt=-1.0), ValueError, "debt must be at least 0, was -1.0 at index 0"),
        (lambda: one_loan(threshold=0.0), ValueError, "liquidation_threshold must be positive, was 0.0"),
        (
            lambda: fp.Accounts.from_loans([0], ["A"], [1.0], [1.0], {"A": 1.5}),
            ValueError, "liquidation_threshold of A must be at most 1, was 1.5",
        ),
        (
            lambda: fp.Accounts.from_loans([0, 0], ["A", "B"], [1.0, 1.0], [1.0], {"A": 0.8}),
            ValueError, "liquidation_threshold must name every market of a position, was without 'B'",
        ),
        (
            lambda: fp.cascade(fp.Accounts.from_loans([0], [0], [1.0], [1.0], {"A": 0.8}), eth()),
            ValueError, "liquidation_threshold (the schedules of loans) must name every market of a position, was",
        ),
        (
            lambda: fp.Accounts.from_loans([0], ["A"], [1.0], 1.0, 0.8),
            ValueError, "debt must have one dimension, was of shape ()",
        ),
        (
            lambda: fp.Accounts.from_loans([0, 0], ["A", "B"], [1.0], [1.0], 0.8),
            ValueError, "collateral must have a row a position, shape (2,), was (1,)",
        ),
        (
            lambda: fp.Accounts.from_loans([0], ["A"], [-1.0], [1.0], 0.8),
            ValueError, "collateral must be positive, was -1.0 at index 0",
        ),
        (
            lambda: fp.Accounts.from_loans([0], ["A"], [1.0], [1.0], 0.8, "all"),  # type: ignore[arg-type]
            TypeError, "close must be a LoanRule, was 'all'",
        ),
        (
            lambda: fp.cascade(one_loan(), eth(), venue=fp.Venue(fee_rate=0.01)),
            ValueError, "fee_rate of a venue must be 0 for loans (the bonus is the fee), was 0.01",
        ),
        (
            lambda: fp.stress(one_loan(debt=25_000.0), eth()),
            ValueError, "accounts must hold nothing that fails at the markets' prices; 1 accounts",
        ),
    ],
)  # fmt: skip
def test_bad_loans_are_refused(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        make()


def test_loans_tell_what_they_are() -> None:
    assert repr(one_loan()) == "<Accounts: 1 accounts, 1 positions, close LoanRule>"
    assert "an account that fails does as LoanRule(close_factor=0.5" in str(one_loan())
    by_name = fp.Accounts.from_loans(["x"], ["ETH"], [10.0], {"x": 20_000.0}, {"ETH": 0.8}, group={"x": "g"})
    again = pickle.loads(pickle.dumps(by_name))
    a, b = (fp.cascade(loans, eth(), -0.2) for loans in (one_loan(), again))
    assert a.closed_share == b.closed_share
    assert b.groups.tolist() == ["g"]
