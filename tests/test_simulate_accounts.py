"""Paths of several markets with accounts: against plain loops, against one market at a time, and factor models."""

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
import reference_accounts
from test_accounts import GOOD, RULES, Portfolio, books, one_each, small

HOUR = 3_600.0
DAY = 24 * HOUR


def alive(p: Portfolio) -> bool:
    """Whether nothing of a portfolio fails before anything happens."""
    try:
        fp.stress(p.accounts(), p.markets())
    except ValueError:
        return False
    return True


@settings(max_examples=80)
@given(
    seed=st.integers(0, 2**32),
    markets=st.integers(1, 3),
    accounts=st.integers(1, 10),
    steps=st.integers(1, 40),
    rules=RULES,
)
def test_paths_equal_looking_at_every_account(
    seed: int, markets: int, accounts: int, steps: int, rules: dict[str, Any]
) -> None:
    p = Portfolio(seed, markets, accounts)
    assume(alive(p))
    returns = p.rng.normal(p.rng.choice([-0.01, 0.0, 0.01]), 0.02, (2, steps, markets))
    venue = fp.Venue(fund=200.0, fee_rate=0.001, surplus_to="fund")
    found = fp.simulate(
        p.accounts(**rules), p.markets(), fp.Returns(returns), steps * 60.0, steps, 2, venue=venue, threads=1
    )
    for i in range(2):
        expected = reference_accounts.path(
            p.rows, p.cash, p.reference_markets(), p.tiers, returns[i], 60.0,
            cross=p.cross, fund=200.0, fee_rate=0.001, surplus_to="fund", **rules,
        )  # fmt: skip
        assume(expected.nearest > 1e-10)
        assume(np.isfinite(list(expected.money.values())).all())
        event(f"rounds {min(expected.rounds, 3)}")
        assert found.rounds[i] == expected.rounds
        np.testing.assert_array_equal(found.waves[i], expected.waves)
        np.testing.assert_allclose(found.final_price[i], expected.prices(), rtol=1e-12)
        np.testing.assert_allclose(found.low_price[i], expected.low, rtol=1e-12)
        np.testing.assert_allclose(found.high_price[i], expected.high, rtol=1e-12)
        quantity = [found.long_quantity[i], found.short_quantity[i]]
        np.testing.assert_allclose(quantity, expected.quantity, rtol=1e-11)
        assert found.accounts_closed[i] == len({x.account for x in expected.closed_out if not x.alone})
        assert found.isolated_closed[i] == sum(x.alone for x in expected.closed_out)
        size = 1.0 + found.liquidated_notional[i]
        for name, value in expected.money.items():
            assert getattr(found, name)[i] == pytest.approx(value, abs=1e-11 * size)
    found.check_balance()


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32), markets=st.integers(1, 3), accounts=st.integers(5, 60))
def test_accounts_in_one_market_are_books_bit_for_bit(seed: int, markets: int, accounts: int) -> None:
    p = one_each(seed, markets, accounts)
    assume(p.rows)
    assume(alive(p))
    steps, paths = 70, 11
    returns = p.rng.normal(0.0, 0.01, (paths, steps, markets))
    found = fp.simulate(p.accounts(), p.markets(), fp.Returns(returns), steps * 60.0, steps, paths)
    for m, (book, market) in enumerate(zip(books(p), p.markets().markets.values(), strict=True)):
        alone = fp.simulate(book, market, fp.Returns(returns[:, :, m].copy()), steps * 60.0, steps, paths)
        for name in found._per_market:
            np.testing.assert_array_equal(getattr(found, name)[:, m], getattr(alone, name))
        if markets == 1:
            for name in ("proceeds", "shortfall", "surplus"):
                np.testing.assert_array_equal(getattr(found, name), getattr(alone, name))


@pytest.mark.parametrize(
    "process",
    [
        fp.GBM(2.0, 0.1),
        fp.JumpDiffusion(1.0, 2_000.0, -0.02, 0.02),
        fp.StudentT(2.0, 3.0),
        fp.GARCH(1e-6, 0.1, 0.85),
        fp.Bootstrap([0.01, -0.02, 0.005], 2),
    ],
)
def test_the_first_driver_is_the_process_of_one_market(process: fp.Process) -> None:
    p = one_each(3, 1, 60)
    book, market = books(p)[0], p.markets()["M0"]
    alone = fp.simulate(book, market, process, 5 * DAY, 100, 50, seed=5)
    plain = fp.simulate(p.accounts(), p.markets(), process, 5 * DAY, 100, 50, seed=5)
    model = fp.FactorModel([process, fp.GBM(0.5)], [[1.0, 0.0]])
    loaded = fp.simulate(p.accounts(), p.markets(), model, 5 * DAY, 100, 50, seed=5)
    assert alone.long_count.sum() + alone.short_count.sum() > 0
    for found in (plain, loaded):
        for name in found._per_market:
            np.testing.assert_array_equal(getattr(found, name)[:, 0], getattr(alone, name))


def test_any_range_gives_the_same_paths() -> None:
    accounts, markets = small(close="pro_rata")
    model = fp.FactorModel.betas(fp.GBM(2.0), {"ETH": 1.4, "BTC": 1.0}, fp.GBM(0.5))
    run: Any = {"process": model, "horizon": DAY, "steps": 96, "seed": 9, "venue": fp.Venue(fund=5.0)}
    whole = fp.simulate(accounts, markets, paths=100, threads=2, **run)
    assert 0 < np.count_nonzero(whole.rounds) < 100
    parts = [fp.simulate(accounts, markets, paths=part, threads=1, **run) for part in (range(37), range(37, 100))]
    joined = parts[1] + parts[0]
    assert joined == whole
    assert joined.id == whole.id
    np.testing.assert_array_equal(joined.group_closed, whole.group_closed)
    np.testing.assert_array_equal(joined.final_price, whole.final_price)
    assert pickle.loads(pickle.dumps(whole)) == whole
    assert repr(whole).startswith("<AccountSimulationResult: 100 paths, ")
    mirrored = fp.simulate(accounts, markets, paths=4, antithetic=True, **run)
    assert mirrored.final_price[0] == pytest.approx(whole.final_price[0], rel=1e-12)
    other = fp.simulate(accounts, markets, paths=100, **{**run, "seed": 10})
    assert not np.array_equal(other.final_price, whole.final_price)


def test_runs_are_summarised_and_compared() -> None:
    accounts, markets = small()
    model = fp.FactorModel.from_covariance(4.0 * np.eye(2))
    run: Any = {"process": model, "horizon": DAY, "steps": 48, "paths": 200, "seed": 3}
    whole = fp.simulate(accounts, markets, **run)
    calmer = fp.simulate(accounts, fp.Markets(markets.markets), **run)
    tail = whole.summary()["low_price.BTC"]["expected_shortfall"][0.95]
    assert tail.value < np.quantile(whole.low_price[:, 0], 0.06)  # low prices are the bad ones
    assert whole.exceedance("accounts_closed")["probability"][0] == 1.0
    difference = fp.compare(whole, calmer)
    assert "final_price.ETH" in str(difference)
    rounds = fp.simulate(accounts, markets, columns=["rounds"], **run)
    np.testing.assert_array_equal(rounds["rounds"], whole.rounds)


def test_prices_have_the_covariance_and_drift_that_were_asked_for() -> None:
    nobody = fp.Accounts([], [], [], [], [], fp.MarginSchedule.flat(0.01))
    markets = fp.Markets({n: fp.Market(100.0, fp.LinearImpact(0.0)) for n in "ABC"})
    covariance = np.array([[0.64, 0.3, 0.1], [0.3, 0.36, -0.05], [0.1, -0.05, 0.25]])
    model = fp.FactorModel.from_covariance(covariance, [0.2, -0.1, 0.0], ["A", "B", "C"])
    year, paths = 365 * DAY, 40_000
    e = fp.simulate(nobody, markets, model, year, 8, paths, seed=1)
    moves = np.log(e.final_price / 100)
    np.testing.assert_allclose(np.cov(moves.T), covariance, atol=4 * 0.64 * math.sqrt(2 / paths))
    growth = e.final_price.mean(0) / 100
    np.testing.assert_allclose(
        growth, np.exp([0.2, -0.1, 0.0]), atol=5 * e.final_price.std(0).max() / 100 / math.sqrt(paths)
    )


def test_a_singular_covariance_is_one_factor() -> None:
    beta = np.array([1.0, 1.5, -0.5])
    model = fp.FactorModel.from_covariance(0.36 * np.outer(beta, beta))
    np.testing.assert_allclose(model.loadings[:, 0], 0.6 * beta, rtol=1e-12)
    assert not model.loadings[:, 1:].any()


def test_a_quiet_market_keeps_its_variance_beside_a_wild_one() -> None:
    model = fp.FactorModel.from_covariance([[1e8, 1.0], [1.0, 1e-7]])
    np.testing.assert_allclose(model.loadings @ model.loadings.T, [[1e8, 1.0], [1.0, 1e-7]], rtol=1e-12)


def test_names_put_rows_in_order() -> None:
    accounts, markets = small()
    run: Any = {"horizon": HOUR, "steps": 12, "paths": 20, "seed": 2}
    swapped = fp.FactorModel([fp.GBM(2.0), fp.GBM(1.0)], [[0.5, 1.0], [1.0, 0.0]], [0.1, 0.0], ["ETH", "BTC"])
    plain = fp.FactorModel([fp.GBM(2.0), fp.GBM(1.0)], [[1.0, 0.0], [0.5, 1.0]], [0.0, 0.1])
    assert fp.simulate(accounts, markets, swapped, **run) == fp.simulate(accounts, markets, plain, **run)


def test_progress_is_told_and_can_stop_a_run() -> None:
    accounts, markets = small()
    model = fp.FactorModel.from_covariance(np.eye(2))
    told: list[tuple[int, int]] = []
    fp.simulate(accounts, markets, model, paths=30, steps=10, seed=1, progress=lambda *done: told.append(done))
    assert told[-1] == (30, 30)

    def stop(done: int, total: int) -> None:
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        fp.simulate(accounts, markets, model, paths=30, steps=10, seed=1, progress=stop)


def test_bad_questions_are_refused() -> None:
    market = fp.Market(10.0, fp.LinearImpact(1e-3))
    accounts, markets = fp.Accounts(**GOOD), fp.Markets({"A": market, "B": market})
    model = fp.FactorModel.from_covariance(np.eye(2))
    ask: Any = fp.simulate
    for process, more, error, message in (
        (fp.GBM(0.5), {}, TypeError, "process must be a FactorModel, or Returns of each market, was GBM"),
        (fp.FactorModel.from_covariance([[1.0]]), {}, ValueError, "process must move 2 markets, was a model of 1"),
        (fp.Returns(np.zeros((3, 5, 3))), {"steps": 5}, ValueError, "process must move 2 markets, was Returns of 3"),
        (fp.Returns(np.zeros((3, 5, 2))), {"steps": 5, "paths": 4}, ValueError, "paths must end within the 3 rows"),
        (
            fp.FactorModel([fp.GBM(1.0)], [[1.0]] * 2, names=["A", "C"]),
            {},
            ValueError,
            "process must name the markets, A, B",
        ),
        (model, {"record": "all"}, ValueError, "record must be left out with accounts, was 'all'"),
        (model, {"monitoring": "bridge"}, ValueError, "monitoring must be left out with accounts, was 'bridge'"),
        (model, {"steps": 0}, ValueError, "steps must be at least 1, was 0"),
        (model, {"antithetic": 1}, TypeError, "antithetic must be True or False, was 1"),
        (model, {"columns": ["x"]}, ValueError, "columns must be among"),
        (model, {"venue": fp.Venue(pacing=3.0)}, ValueError, "pacing of a venue must be left out with accounts"),
    ):
        with pytest.raises(error, match=re.escape(message)):
            ask(accounts, markets, process, **{"paths": 3, **more})
    with pytest.raises(ValueError, match="antithetic must be False where a process has no mirror image"):
        fp.simulate(accounts, markets, fp.Returns(np.zeros((4, 5, 2))), steps=5, paths=4, antithetic=True)
    with pytest.raises(ValueError, match="process must be Returns of one market"):
        fp.simulate(fp.Book(1, [1.0], [9.0]), market, fp.Returns(np.zeros((4, 5, 2))), steps=5, paths=4)
    broke = fp.Accounts(**{**GOOD, "cash": [0.1]})
    with pytest.raises(ValueError, match="accounts must hold nothing that fails"):
        fp.simulate(broke, markets, model)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: fp.FactorModel([], [[1.0]]), ValueError, "processes must be a sequence of at least one process"),
        (lambda: fp.FactorModel([1], [[1.0]]), TypeError, "processes must be processes, was int at index 0"),
        (lambda: fp.FactorModel([fp.GBM(1.0)], [1.0]), ValueError, "loadings must have the shape (markets, 1)"),
        (lambda: fp.FactorModel([fp.GBM(1.0)], [[math.inf]]), ValueError, "loadings must be finite, was inf at index"),
        (lambda: fp.FactorModel([fp.GBM(1.0)], [[1.0]], [1.0, 2.0]), ValueError, "offset must have an entry a market"),
        (lambda: fp.FactorModel([fp.GBM(1.0)], [[1.0]], names=["a", "b"]), ValueError, "names must have one for each"),
        *(
            (lambda given=given: fp.FactorModel([fp.GBM(1.0)], [[1.0], [1.0]], names=given), TypeError, message)
            for given, message in (
                ([1, 2], "names must be a sequence of str, was 1 at index 0"),
                (["a", ["b"]], "names must be a sequence of str, was ['b'] at index 1"),
                (5, "names must be a sequence of str, was 5"),
                ("ab", "names must be a sequence of str, was 'ab'"),
            )
        ),
        (lambda: fp.FactorModel.betas(fp.GBM(1.0), {1: 1.0}), TypeError, "names must be a sequence of str, was 1 at"),
        (lambda: fp.FactorModel.betas(fp.GBM(1.0), {}), TypeError, "betas must be a mapping of names to numbers"),
        (
            lambda: fp.FactorModel.betas(fp.GBM(1.0), {"a": 1.0}, {"b": fp.GBM(1.0)}),
            ValueError, "idiosyncratic must be of the markets in betas, was of 'b'",
        ),
        (lambda: fp.FactorModel.from_covariance([1.0]), ValueError, "covariance must be square, was of shape (1,)"),
        (lambda: fp.FactorModel.from_covariance([[1, 0.5], [0, 1]]), ValueError, "covariance must be symmetric"),
        (lambda: fp.FactorModel.from_covariance([[1, 2], [2, 1]]), ValueError, "covariance must be positive"),
        (
            lambda: fp.FactorModel.from_covariance([[1e14, 0, 0], [0, 1, 0.5], [0, 0.2, 1]]),
            ValueError, "covariance must be symmetric, was 0.5 at index (1, 2)",
        ),
        (
            lambda: fp.FactorModel.from_covariance([[1e14, 0, 0], [0, 1, 2], [0, 2, 1]]),
            ValueError, "covariance must be positive semidefinite, was not from row 2 on",
        ),
        (lambda: fp.FactorModel.from_covariance([[1.0]], [0.0, 0.0]), ValueError, "drift must have an entry a market"),
    ],
)  # fmt: skip
def test_bad_models_are_refused(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        make()
