"""Every cascade at once: building the response map, and asking it (job J1: 10^6 positions, 10^6 shocks)."""

from collections.abc import Callable
from typing import NamedTuple

import numba
import numpy as np
import pytest

import flushpoint as fp
import second
from flushpoint.bench import numba_rivals, numpy_rivals, workloads
from harness import at_least, milliseconds, need_processors, no_goal

SHOCKS_GOAL = {1: at_least(8.0, "x"), 2: at_least(5.0, "x", aim=10.0)}  # by threads, against as many of numba


class Rival(NamedTuple):
    """build(triggers, quantities) -> (levels, sums); query(levels, sums, falls, price out, count out)."""

    name: str
    build: Callable
    query: Callable


class Job:
    def __init__(self, size):
        self.size = size
        self.market = workloads.MARKET
        self.triggers, self.quantities = workloads.draw_book(size)
        self.book = fp.Book(1, self.quantities, self.triggers)
        self.response = fp.response(self.book, self.market)
        self.falls = workloads.draw_falls(size)
        self.shocks = -self.falls
        self.sales = np.random.default_rng(3).uniform(0.0, 2.0, size)
        self.price, self.count = np.empty(size), np.empty(size, np.int64)


@pytest.fixture(scope="module")
def job(full):
    return Job(1_000_000 if full else 20_000)


@pytest.fixture(params=["first", "second"])
def rival(request, full):
    if request.param == "first":
        return Rival("numba", numpy_rivals.build_levels, numba_rivals.query_levels)
    if not full:
        pytest.skip("one rival will do for a smoke run")
    return Rival("second numba", second.rivals().j1_build, second.rivals().j1_query)


@pytest.fixture(params=[1, 2], ids="{}thread".format)
def threads(request):
    need_processors(request.param)
    before = numba.get_num_threads()
    numba.set_num_threads(request.param)
    yield request.param
    numba.set_num_threads(before)


def assert_same(result, price, count, levels, asked):
    """Equal but for questions that lie on a step, where the last bits of a sum decide."""
    differ = np.flatnonzero(result.liquidated_count != count)
    at_step = levels[np.minimum(result.liquidated_count[differ], count[differ])]
    np.testing.assert_allclose(asked[differ], at_step, rtol=1e-9)
    assert differ.size <= 1e-4 * count.size
    same = result.liquidated_count == count
    np.testing.assert_allclose(result.final_price[same], price[same], rtol=1e-9)


def test_shocks(judge, job, rival, threads):
    levels, sums = rival.build(job.triggers, job.quantities)
    race = judge.race(
        lambda: job.response(job.shocks, threads=threads),
        lambda: rival.query(levels, sums, job.falls, job.price, job.count),
        rounds=25,
    )
    start = workloads.PRICE * (1 - job.falls)
    assert_same(job.response(job.shocks, threads=threads), job.price, job.count, levels, start)
    judge.report(
        f"{job.size:,} shocks to {job.size:,} positions, {threads} thread{'s' * (threads > 1)}",
        f"against a bisection a shock ({rival.name})",
        race.speedup,
        SHOCKS_GOAL[threads],
        f"{milliseconds(race.ours)} against {milliseconds(race.rival)}",
    )


def test_sales(judge, job, threads):
    levels, sums = numpy_rivals.build_sales(job.book.long.trigger_price, job.book.long.quantity)
    race = judge.race(
        lambda: job.response.sell(job.sales, threads=threads),
        lambda: numba_rivals.query_sales(levels, sums, job.sales, job.price, job.count),
        rounds=10,
    )
    assert_same(job.response.sell(job.sales, threads=threads), job.price, job.count, levels, -job.sales)
    judge.report(
        f"{job.size:,} initial sales into {job.size:,} positions, {threads} thread{'s' * (threads > 1)}",
        "against a bisection a sale (numba)",
        race.speedup,
        no_goal("x"),
        f"{milliseconds(race.ours)} against {milliseconds(race.rival)}",
    )


@pytest.mark.parametrize("threads", [1, 2], ids="{}thread".format)
def test_build(judge, job, threads):
    need_processors(threads)
    triggers, quantities = job.book.long.trigger_price, job.book.long.quantity
    race = judge.race(
        lambda: fp.response(job.book, job.market, threads=threads),
        lambda: numpy_rivals.levels_of_sorted(triggers, quantities),
        rounds=15,
    )
    levels, sums = numpy_rivals.levels_of_sorted(triggers, quantities)
    numba_rivals.query_levels(levels, sums, job.falls, job.price, job.count)
    result = fp.response(job.book, job.market, threads=threads)(job.shocks)
    assert_same(result, job.price, job.count, levels, workloads.PRICE * (1 - job.falls))
    judge.report(
        f"response map of {job.size:,} sorted positions, {threads} thread{'s' * (threads > 1)}",
        "against the running minimum without a table (numpy)",
        race.speedup,
        no_goal("x"),
        f"{milliseconds(race.ours)} against {milliseconds(race.rival)}",
    )


def test_build_with_sort(judge, job):
    race = judge.race(
        lambda: fp.response(fp.Book(1, job.quantities, job.triggers), job.market),
        lambda: numpy_rivals.build_levels(job.triggers, job.quantities),
        rounds=10,
    )
    judge.report(
        f"book and response map of {job.size:,} positions, all processors",
        "against argsort and the running minimum (numpy)",
        race.speedup,
        no_goal("x"),
        f"{milliseconds(race.ours)} against {milliseconds(race.rival)}",
    )
