"""Contagion between markets: the branching matrix and spillovers against plain loops, and cases known by hand."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import flushpoint as fp
import reference_accounts
from test_accounts import GOOD, RULES, Portfolio, small


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32), markets=st.integers(1, 3), rules=RULES, width=st.sampled_from([0.01, 0.05, -0.03]))
def test_branching_is_what_is_forced_market_by_market(
    seed: int, markets: int, rules: dict[str, Any], width: float
) -> None:
    p = Portfolio(seed, markets, 12)
    shock = 0.5 * p.shock
    found = fp.contagion(p.accounts(**rules), p.markets(), shock, width)

    def displaced(marks: np.ndarray) -> np.ndarray:
        sold = reference_accounts.forced(p.rows, p.cash, marks, p.tiers, **rules)
        own = [market.displacement(q) for market, q in zip(p.markets().markets.values(), sold, strict=True)]
        return np.array(own) + p.cross @ sold

    here = p.price * (1 + shock)
    for j in range(markets):
        there = here.copy()
        there[j] *= np.exp(-width)
        with np.errstate(invalid="ignore"):
            expected = (displaced(there) - displaced(here)) / width
        assume(np.isfinite(expected).all())
        np.testing.assert_allclose(found.branching[:, j], expected, rtol=1e-9, atol=1e-9)
        np.testing.assert_array_equal(found[f"branching.M{j}"], found.branching[:, j])
    radius = np.abs(np.linalg.eigvals(found.branching)).max()
    assert found.spectral_radius == pytest.approx(radius)


@pytest.mark.parametrize("shock", [-0.05, -0.1, -0.2])
def test_one_market_has_the_reproduction_number(shock: float) -> None:
    schedule = fp.MarginSchedule.flat(0.005)
    rng = np.random.default_rng(3)
    quantity, cash = rng.uniform(1.0, 2.0, 200), rng.uniform(1.0, 40.0, 200)
    accounts = fp.Accounts(np.arange(200), ["A"] * 200, quantity, [100.0] * 200, cash, schedule)
    book = fp.Book.from_positions(1, quantity, 100.0, margin=cash, schedule=schedule)
    market = fp.Market(100.0, fp.SquareRootImpact(0.05, 1_000.0))
    found = fp.contagion(accounts, fp.Markets({"A": market}), shock)
    expected = fp.response(book, market).reproduction_number(100.0 * (1 + shock))
    assert found.branching[0, 0] == pytest.approx(expected, rel=1e-12)
    assert found.spectral_radius == found.branching[0, 0] > 0


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32), markets=st.integers(2, 3), rules=RULES)
def test_spillover_is_a_run_in_which_the_hurt_stay_where_they_are(
    seed: int, markets: int, rules: dict[str, Any]
) -> None:
    p = Portfolio(seed, markets, 12)
    c = fp.cascade(p.accounts(**rules), p.markets(), p.shock, p.sell, p.refill)
    for j, name in enumerate(p.names):
        expected = reference_accounts.cascade(
            p.rows, p.cash, p.reference_markets(), p.tiers, p.shock, p.sell, p.refill,
            cross=p.cross, confined=j, **rules,
        )  # fmt: skip
        assume(expected.nearest > 1e-10)
        assume((expected.prices() > 0).all() and (c.final_price > 0).all())
        np.testing.assert_allclose(c.spillover(name), np.log(expected.prices() / c.final_price), rtol=0, atol=1e-11)


def two_markets() -> tuple[fp.Accounts, fp.Markets]:
    """One account that is in both."""
    markets = fp.Markets({n: fp.Market(100.0, fp.LinearImpact(0.01)) for n in "AB"})
    accounts = fp.Accounts([0, 0], [0, 1], [2.0, 1.0], [100.0, 100.0], [20.0], fp.MarginSchedule.flat(0.0))
    return accounts, markets


def test_what_spills_over_by_hand() -> None:
    accounts, markets = two_markets()
    c = fp.cascade(accounts, markets, {"A": -0.11})
    np.testing.assert_allclose(c.final_price, [89 * np.exp(-0.02), 100 * np.exp(-0.01)], rtol=1e-14)
    np.testing.assert_allclose(c.spillover("A"), [0.0, 0.01], atol=1e-14)
    np.testing.assert_allclose(c.spillover("B"), [0.0, 0.0], atol=0)
    s = fp.stress(accounts, markets, [[-0.11, 0.0], [-0.05, 0.0], [0.0, -0.3]])
    np.testing.assert_allclose(s.spillover("A"), [[0.0, 0.01], [0.0, 0.0], [0.0, 0.0]], atol=1e-14)
    np.testing.assert_allclose(s.spillover("B"), [[0.0, 0.0], [0.0, 0.0], [0.02, 0.0]], atol=1e-14)
    with pytest.raises(ValueError, match="market must be one of A, B, was 'C'"):
        c.spillover("C")


@pytest.mark.parametrize("sell", [60.0, -60.0])
def test_depth_used_up_with_and_without_spillover_is_none(sell: float) -> None:
    markets = fp.Markets({n: fp.Market(100.0, fp.EvaporatingImpact(0.1, 1.0)) for n in "AB"})
    q = math.copysign(1.0, sell)
    accounts = fp.Accounts([0, 0], ["A", "B"], [q, q], [100.0, 100.0], [20.0], fp.MarginSchedule.flat(0.005))
    c = fp.cascade(accounts, markets, 0.0, [sell, sell])
    assert c.exhausted.all()
    np.testing.assert_array_equal(c.spillover("A"), [0.0, 0.0])


def test_spillover_of_paths_uses_the_same_random_numbers() -> None:
    accounts, markets = small()
    model = fp.FactorModel.from_covariance(4.0 * np.eye(2))
    run: Any = {"horizon": 3 * 86_400.0, "steps": 96, "seed": 9}
    whole = fp.simulate(accounts, markets, model, paths=80, **run)
    parts = [fp.simulate(accounts, markets, model, paths=part, **run) for part in (range(30), range(30, 80))]
    spilled = whole.spillover("BTC")
    assert spilled.shape == (80, 2)
    assert (spilled[whole.accounts_closed == 0] == 0).all()
    assert (spilled[:, 1] > 0).any()
    np.testing.assert_array_equal((parts[1] + parts[0]).spillover("BTC"), spilled)


def test_branching_by_hand() -> None:
    accounts, markets = two_markets()
    # At 95 for A, equity is 10: a fall of A by 5.3 % more takes it, and both positions are sold.
    found = fp.contagion(accounts, markets, {"A": -0.05}, 0.06)
    np.testing.assert_allclose(found.branching, [[0.02 / 0.06, 0.0], [0.01 / 0.06, 0.0]], rtol=1e-14)
    assert found.spectral_radius == pytest.approx(0.02 / 0.06)
    assert repr(found) == "<ContagionResult: 2 markets, spectral radius 0.3333>"
    assert list(found) == ["branching.A", "branching.B"]


def test_small_falls_multiply_as_the_branching_matrix_says() -> None:
    """Slacks spread evenly, so that what is forced is linear in the falls: x = s + R x."""
    count = 200_000
    held = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.6], [0.3, 1.0]])[np.arange(count) % 4]
    account, market = np.nonzero(held)
    cash = 40.0 * (np.arange(count) + 0.5) / count
    accounts = fp.Accounts(
        account, market, held[held > 0], np.full(account.size, 100.0), cash, fp.MarginSchedule.flat(0.0)
    )
    markets = fp.Markets(
        {n: fp.Market(100.0, fp.LinearImpact(c)) for n, c in (("A", 1.6e-6), ("B", 1.3e-6))}, [[0, 3e-7], [2e-7, 0]]
    )
    r = fp.contagion(accounts, markets, width=0.002)
    assert 0.4 < r.spectral_radius < 0.9
    for shock in ([-0.003, 0.0], [-0.001, -0.002]):
        c = fp.cascade(accounts, markets, shock)
        first = -np.log1p(shock)
        expected = np.linalg.solve(np.eye(2) - r.branching, first)
        np.testing.assert_allclose(-np.log(c.final_price / 100), expected, rtol=0.01)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"width": 0.0}, ValueError, "width must be at least 1e-09 in size, was 0.0"),
        ({"width": -1e-300}, ValueError, "width must be at least 1e-09 in size, was -1e-300"),
        ({"shock": [[0.0, 0.0]]}, ValueError, "shock must be one number a market, was of shape (1, 2)"),
        ({"shock": -1.0}, ValueError, "shock must be above -1, and leave prices finite, was -1.0"),
        ({"markets": 3}, TypeError, "markets must be Markets where accounts are given, was int"),
    ],
)
def test_bad_questions_are_refused(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    market = fp.Market(10.0, fp.LinearImpact(1e-3))
    given_all: Any = {"accounts": fp.Accounts(**GOOD), "markets": fp.Markets({"A": market, "B": market}), **arguments}
    with pytest.raises(error, match=re.escape(message)):
        fp.contagion(**given_all)
