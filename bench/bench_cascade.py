"""One cascade in a large book, whose time must go with its waves and not with what it closes; and small calls."""

from functools import partial

import numpy as np
import pytest

import flushpoint as fp
from flushpoint.bench import numba_rivals, numpy_rivals, workloads
from flushpoint.bench.workloads import MARKET
from harness import at_most, no_goal

CALL_GOAL = at_most(20.0, " us")  # one cascade, whatever it closes, and any call on a book of 10 positions
WAVE_GOAL = at_most(1.0, " us")  # each wave beyond the first


class Job:
    def __init__(self, size):
        self.size = size
        self.book = fp.Book(1, *workloads.draw_book(size)[::-1])
        self.triggers, self.quantities = self.book.long.trigger_price, self.book.long.quantity
        self.levels, _ = numpy_rivals.levels_of_sorted(self.triggers, self.quantities)

    def fall_that_closes(self, count):
        """A fall that closes `count` positions, or the few more that go with them."""
        level = self.levels[count - 1]
        closed = int(np.searchsorted(-self.levels, -level, side="right"))
        below = self.levels[closed] if closed < self.size else level * 0.99
        return 1 - (level + below) / 2 / workloads.PRICE, closed


@pytest.fixture(scope="module")
def job(full):
    return Job(1_000_000 if full else 20_000)


def test_cascade(judge, job):
    falls, waves = {}, {}
    for power in range(2, 7):
        fall, closed = job.fall_that_closes(job.size // 10 ** (6 - power))
        result = fp.cascade(job.book, MARKET, -fall)
        price, count, waves[closed] = numba_rivals.walk_waves(job.triggers, job.quantities, fall)
        assert result.liquidated_count == count == closed
        assert len(result.waves) == waves[closed]
        np.testing.assert_allclose(result.final_price, price, rtol=1e-9)
        np.testing.assert_allclose(result.liquidated_quantity, job.quantities[:closed].sum(), rtol=1e-9)
        falls[closed] = fall

    calls = {closed: partial(fp.cascade, job.book, MARKET, -fall) for closed, fall in falls.items()}
    seconds = judge.in_turn(calls, calls=200)
    name = f"one cascade in {job.size:,} positions"
    for closed, took in seconds.items():
        text = f"{waves[closed]} wave{'s' * (waves[closed] > 1)}"
        judge.report(name, f"closing {closed:,}", took * 1e6, CALL_GOAL, text)
    together = np.cov(list(waves.values()), [took * 1e6 for took in seconds.values()])
    judge.report(name, "each further wave (least squares)", max(together[0, 1] / together[0, 0], 0.0), WAVE_GOAL)


def test_walk(judge, job):
    """What the waves cost position by position, for scale."""
    fall, closed = job.fall_that_closes(job.size)
    took = judge.seconds(lambda: numba_rivals.walk_waves(job.triggers, job.quantities, fall), rounds=5) * 1e6
    assert numba_rivals.walk_waves(job.triggers, job.quantities, fall)[1] == closed
    judge.report(
        f"one cascade in {job.size:,} positions", f"closing {closed:,} by a loop (numba)", took, no_goal(" us")
    )


@pytest.fixture(scope="module")
def small():
    triggers, quantities = workloads.draw_book(10)
    return triggers, quantities, fp.Book(1, quantities, triggers)


def small_calls(triggers, quantities, book):
    response = fp.response(book, MARKET)
    return {
        "fp.cascade": lambda: fp.cascade(book, MARKET, -0.1),
        "fp.Book": lambda: fp.Book(1, quantities, triggers),
        "fp.response": lambda: fp.response(book, MARKET),
        "r(shock)": lambda: response(-0.1),
    }


@pytest.mark.parametrize("name", ["fp.cascade", "fp.Book", "fp.response", "r(shock)"])
def test_small_call(judge, small, name):
    book = small[2]
    price, count, _ = numba_rivals.walk_waves(book.long.trigger_price, book.long.quantity, 0.1)
    for outcome in (fp.cascade(book, MARKET, -0.1), fp.response(book, MARKET)(-0.1)):
        assert outcome.liquidated_count == count
        np.testing.assert_allclose(outcome.final_price, price, rtol=1e-12)
    took = judge.seconds(small_calls(*small)[name], calls=1000) * 1e6
    judge.report("10 positions", name, took, CALL_GOAL)
