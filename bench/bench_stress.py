"""Stress: a book drawn anew in every scenario, against drawing it in full; and many scenarios in one book."""

from functools import partial

import numpy as np
import pytest

import flushpoint as fp
import second
from flushpoint.bench import numba_rivals, workloads
from flushpoint.bench.workloads import SIZES, draw_falls, random_book
from harness import at_least, at_most, need_processors, no_goal

SMALL, LARGE = 0.012, 0.25  # falls up to these

# The first rival draws books two to three times as fast as the second, against which the goal of 1,000 stands.
JOBS = [
    ("lognormal", SMALL, at_least(500.0, "x", aim=1_000.0)),
    ("exponential", SMALL, at_least(10_000.0, "x")),
    ("constant", SMALL, at_least(10_000.0, "x")),
    ("lognormal", LARGE, at_least(20.0, "x")),
    ("exponential", LARGE, at_least(20.0, "x")),
    ("constant", LARGE, at_least(20.0, "x")),
]


def race(judge, full, sizes, high, redrawn):
    count = 1_000_000 if full else 20_000
    kind = SIZES[sizes][0]
    few = draw_falls(8, high=high)
    many = draw_falls((1_000 if sizes == "lognormal" else 20_000) if full else 200, high=high)
    price, closed = np.empty(few.size), np.empty(few.size, np.int64)
    book, market = random_book(count, sizes)

    # Both find the same prices: those of the rival stand anywhere among fifty of ours. Mean ranks of eight falls
    # outside of this come once in a hundred thousand runs.
    redrawn(count, kind, few, price, closed)
    ours = fp.stress(book, market, -np.tile(few, 50), seed=1, max_count=count).final_price.reshape(50, few.size)
    rank = np.mean((ours < price) + (ours == price) / 2)
    assert 0.1 < rank < 0.9

    taken = judge.race(
        partial(fp.stress, book, market, -many, seed=1, max_count=count),
        partial(redrawn, count, kind, few, price, closed),
        rounds=5,
    )
    share = fp.stress(book, market, -many[:200], seed=1, max_count=count).liquidated_count.mean() / count
    note = f"{share:.1%} close; {many.size / taken.ours:,.0f} scenarios/s" if full else ""
    return taken.speedup * many.size / few.size, note


@pytest.mark.parametrize(("sizes", "high", "goal"), JOBS)
def test_redrawn_books(judge, full, sizes, high, goal):
    if full:
        need_processors(2)
    speedup, note = race(judge, full, sizes, high, numba_rivals.redrawn_books)
    judge.report(f"stress, {sizes} sizes", f"falls up to {high:g}, against numba", speedup, goal, note)


@pytest.mark.parametrize("high", [SMALL, LARGE])
def test_second_rival(judge, full, high):
    second.rivals()
    speedup, note = race(judge, full, "lognormal", high, second.redrawn_books)
    goal = at_least(1_000.0 if high == SMALL else 20.0, "x")
    judge.report("stress, lognormal sizes", f"falls up to {high:g}, against the second numba", speedup, goal, note)


@pytest.mark.parametrize("sizes", SIZES)
def test_cost_does_not_go_with_the_book(judge, sizes):
    """The same number of positions within reach, of 10^5 and of 10^9."""
    kind, law = SIZES[sizes]
    market = fp.Market(workloads.PRICE, fp.LinearImpact(5e-7 / workloads.MEAN_SIZE[kind]))
    shock = np.full(200, -0.01)
    jobs, closed = {}, {}
    for count in (10**5, 10**9):
        book = fp.RandomBook(count=count, distance=fp.Exponential(1e-6 * count), quantity=law)
        jobs[count] = partial(fp.stress, book, market, shock, seed=1)
        closed[count] = jobs[count]().liquidated_count.mean()
    np.testing.assert_allclose(closed[10**9], closed[10**5], rtol=0.2)
    seconds = judge.in_turn(jobs, calls=3)
    each = {count: took / closed[count] for count, took in seconds.items()} if sizes == "lognormal" else seconds
    judge.report(
        f"stress, {sizes} sizes", "10^9 positions against 10^5", each[10**9] / each[10**5], at_most(1.5, "x"),
        f"{closed[10**9]:,.0f} close",
    )  # fmt: skip


def test_one_book(judge, full):
    """Scenarios in one book: each is a cascade without its call."""
    count = 1_000_000 if full else 20_000
    book = fp.Book(1, *workloads.draw_book(count)[::-1])
    shock = -draw_falls(200_000 if full else 500, high=LARGE)
    s = fp.stress(book, workloads.MARKET, shock, threads=1)
    np.testing.assert_array_equal(s.liquidated_count, fp.response(book, workloads.MARKET)(shock).liquidated_count)
    took = judge.seconds(lambda: fp.stress(book, workloads.MARKET, shock, threads=1), rounds=5) / shock.size * 1e6
    judge.report(
        f"stress in one book of {count:,} positions", "a scenario, one thread", took, no_goal(" us"),
        f"{s.waves.mean():.3g} waves",
    )  # fmt: skip
