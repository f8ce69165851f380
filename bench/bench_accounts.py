"""Accounts over three markets through a day: against looking at every account in every step, in numpy and in numba."""

from functools import cache, partial

import numpy as np
import pytest

import flushpoint as fp
import rivals
from harness import at_least, no_goal

STEPS = 1_440
DAY = 86_400.0
HALF_LIFE = 1_800.0
PRICES = np.array([60_000.0, 3_000.0, 150.0])
NAMES = ("BTC", "ETH", "SOL")
FLOOR, RATE = [0.0, 50_000.0, 250_000.0], [0.005, 0.01, 0.025]
MODEL = fp.FactorModel.betas(fp.GBM(0.6), dict(zip(NAMES, (1.0, 1.3, 1.6), strict=True)), fp.GBM(0.4))


@cache
def portfolio(count):
    """(accounts, markets, quantities, money, coefficients): a third of the positions short, leverage of all sizes."""
    rng = np.random.default_rng(1)
    notional = rng.lognormal(9.0, 1.2, (count, 3))
    quantity = np.where(rng.random((count, 3)) < 0.65, 1.0, -1.0) * notional / PRICES
    entry = PRICES * (1.0 + 0.03 * rng.standard_normal((count, 3)))
    equity = notional.sum(1) * (0.02 + rng.uniform(0.02, 0.8, count))
    cash = equity - (quantity * (PRICES - entry)).sum(1)
    columns = (np.repeat(np.arange(count), 3), np.tile(np.arange(3), count), quantity.ravel(), entry.ravel())
    accounts = fp.Accounts(*columns, cash, fp.MarginSchedule(FLOOR, RATE))
    coefficients = 0.1 * PRICES / notional.sum(0)
    impacts = {
        name: fp.Market(price, fp.LinearImpact(c), half_life=HALF_LIFE)
        for name, price, c in zip(NAMES, PRICES, coefficients, strict=True)
    }
    return accounts, fp.Markets(impacts), quantity, cash - (quantity * entry).sum(1), coefficients


@pytest.mark.parametrize(("name", "goal"), [("numpy", 20.0), ("numba", 5.0)])
def test_one_path(judge, full, name, goal):
    """The rival goes through the first steps alone, since each takes it as long as any other."""
    count, few = (1_000_000, 20) if full else (2_000, 200)
    accounts, markets, quantity, money, coefficients = portfolio(count)
    steps = STEPS if full else few
    returns = np.random.default_rng(2).normal(0.0, 1.5e-3, (1, steps, 3))
    returns[:, :few] -= 0.06 / few  # so that the rival has something to close
    schedule = fp.MarginSchedule(FLOOR, RATE)
    rules = (np.asarray(RATE), schedule.deduction, coefficients, 2.0 ** (-DAY / STEPS / HALF_LIFE))
    rival = partial(rivals.ACCOUNT_PATHS[name], quantity, money, np.log(PRICES), returns[0, :few], *rules)
    ours = partial(fp.simulate, accounts, markets, threads=1, paths=1)

    start = ours(process=fp.Returns(returns[:, :few]), horizon=few * DAY / STEPS, steps=few)
    price, closed = rival()
    np.testing.assert_allclose(start.final_price[0], price, rtol=1e-11)
    assert start.accounts_closed[0] == closed > 0

    run = partial(ours, process=fp.Returns(returns), horizon=steps * DAY / STEPS, steps=steps)
    taken = judge.race(run, rival, rounds=3)
    judge.report(
        f"{count:,} accounts, one path of {steps:,} steps", f"one thread against {name} looking at all",
        taken.speedup * steps / few, at_least(goal, "x"), f"{taken.ours:.3g} s, {run().accounts_closed[0]:,} closed",
    )  # fmt: skip


def test_many_paths(judge, full):
    count, paths = (100_000, 10_000) if full else (2_000, 16)
    accounts, markets, *_ = portfolio(count)
    run = partial(fp.simulate, accounts, markets, MODEL, DAY, 288, paths, seed=1)
    e = run()
    assert e.accounts_closed.mean() > 0
    e.check_balance()
    seconds = judge.seconds(run, rounds=1)
    judge.report(
        f"{count:,} accounts, {paths:,} paths of 288 steps", "paths a second, all processors", paths / seconds,
        no_goal(""), f"{e.accounts_closed.mean():.3g} accounts closed a path in {e.rounds.mean():.3g} rounds",
    )  # fmt: skip
