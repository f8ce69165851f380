"""Accounts over three markets through a day: against looking at every account in every step, in numpy and in numba."""

from functools import partial

import numpy as np
import pytest

import flushpoint as fp
from flushpoint.bench import numba_rivals, numpy_rivals, workloads
from flushpoint.bench.workloads import DAY, STEPS
from harness import at_least, no_goal

RIVALS = {"numpy": numpy_rivals.account_path, "numba": numba_rivals.account_path}


@pytest.mark.parametrize(("name", "goal"), [("numpy", 20.0), ("numba", 5.0)])
def test_one_path(judge, full, name, goal):
    """The rival goes through the first steps alone, since each takes it as long as any other."""
    count, few = (1_000_000, 20) if full else (2_000, 200)
    p = workloads.portfolio(count)
    steps = STEPS if full else few
    returns = workloads.draw_moves(steps, few)
    rival = partial(RIVALS[name], workloads.account_walk(p, returns[0, :few]))
    ours = partial(fp.simulate, p.accounts, p.markets, threads=1, paths=1)

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
    accounts, markets, *_ = workloads.portfolio(count)
    run = partial(fp.simulate, accounts, markets, workloads.MODEL, DAY, 288, paths, seed=1)
    e = run()
    assert e.accounts_closed.mean() > 0
    e.check_balance()
    seconds = judge.seconds(run, rounds=1)
    judge.report(
        f"{count:,} accounts, {paths:,} paths of 288 steps", "paths a second, all processors", paths / seconds,
        no_goal(""), f"{e.accounts_closed.mean():.3g} accounts closed a path in {e.rounds.mean():.3g} rounds",
    )  # fmt: skip
