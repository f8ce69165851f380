"""Many scenarios in one book: each one equals fp.cascade, and the reference."""

from __future__ import annotations

import math
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import flushpoint as fp
import reference
from test_cascade import near

BOOK = fp.Book([1, 1, -1], [10.0, 10.0, 5.0], [92.0, 89.0, 120.0], [91.0, 88.5, 122.0])
MARKET = fp.Market(100.0, fp.LinearImpact(0.003))
OF_CASCADE = (
    "final_price", "low_price", "high_price", "liquidated_quantity", "liquidated_count", "liquidated_notional",
    "amplification", "exhausted", "proceeds", "shortfall", "surplus",
)  # fmt: skip


def big_book(count: int = 20_000) -> fp.Book:
    rng = np.random.default_rng(3)
    side = rng.choice([1, -1], count)
    return fp.Book(side, rng.lognormal(0, 1, count), 100 * np.exp(-side * rng.uniform(0.001, 0.4, count)))


questions = st.lists(
    st.tuples(
        st.one_of(st.sampled_from([0.0, -0.1, -0.02, 0.05]), st.floats(-0.7, 0.7)),
        st.one_of(st.just(0.0), st.floats(-0.3, 1.0)),
    ),
    max_size=6,
)


@given(case=reference.cases(alive=True), more=questions, threads=st.integers(1, 3))
def test_every_scenario_is_a_cascade(case: reference.Case, more: Any, threads: int) -> None:
    book, market = case.book(), case.market()
    scale = sum(case.quantity)
    asked = [(case.shock, case.sell), *((shock, sell * scale) for shock, sell in more)]
    s = fp.stress(book, market, *map(list, zip(*asked, strict=True)), refill=case.refill, threads=threads)
    for i, (shock, sell) in enumerate(asked):
        c = fp.cascade(book, market, shock, sell, case.refill)
        for name in OF_CASCADE:
            np.testing.assert_array_equal(getattr(s, name)[i], getattr(c, name), err_msg=name)
        assert s.waves[i] == len(c.waves)
        for side, sign in (("long", 1), ("short", -1)):
            mine = c.closed & (book.side == sign)
            assert getattr(s, f"{side}_count")[i] == np.count_nonzero(mine)
            assert getattr(s, f"{side}_quantity")[i] == pytest.approx(book.quantity[mine].sum(), rel=1e-12)
            notional = (book.quantity * book.trigger_price)[mine].sum()
            assert getattr(s, f"{side}_notional")[i] == pytest.approx(notional, rel=1e-12)


@given(case=reference.cases(alive=True), liquidity=st.one_of(st.sampled_from([0.5, 2.0]), st.floats(0.1, 10.0)))
def test_liquidity(case: reference.Case, liquidity: float) -> None:
    positions, venue = case.positions, case.venue
    venue.liquidity = liquidity
    expected = reference.cascade(positions, venue, **case.question)
    assume(not expected.doubtful)
    s = fp.stress(case.book(), case.market(), liquidity=liquidity, **case.question)
    wobble = expected.wobble if math.isfinite(expected.wobble) else 0.0
    for name in ("final_price", "low_price", "high_price"):
        assert near(getattr(s, name)[0], getattr(expected, name), wobble), name
    totals, gross = expected.totals(positions), expected.gross(positions)
    assert s.waves[0] == len(expected.waves)
    assert s.liquidated_count[0] == totals["liquidated_count"]
    assert s.exhausted[0] == expected.exhausted
    assert s.liquidated_quantity[0] == pytest.approx(totals["liquidated_quantity"], rel=1e-9)
    assert s.liquidated_notional[0] == pytest.approx(totals["liquidated_notional"], rel=1e-9)
    if math.isfinite(gross):
        for name in ("proceeds", "shortfall", "surplus"):
            assert getattr(s, name)[0] == pytest.approx(totals[name], rel=0, abs=1e-9 * gross, nan_ok=True), name


def test_liquidity_has_a_least() -> None:
    with pytest.raises(ValueError, match="liquidity must be at least 1e-100, was 1e-101"):
        fp.stress(fp.Book(1, [1.0], [90.0]), fp.Market(100.0, fp.LinearImpact(0.1)), liquidity=1e-101)


def test_liquidity_by_hand() -> None:
    """Ten sold in a market half as deep displace as twenty do, and twice the sale at twice the liquidity as one."""
    s = fp.stress(BOOK, MARKET, shock=-0.09, liquidity=[0.5, 1.0, 2.0])
    assert s.liquidated_count.tolist() == [2, 2, 1]
    assert s.final_price.tolist() == pytest.approx([91 * math.exp(-x) for x in (0.12, 0.06, 0.015)], rel=1e-14)
    sold = fp.stress(fp.Book([], [], []), MARKET, sell=[10.0, 20.0], liquidity=[1.0, 2.0])
    assert sold.final_price[0] == sold.final_price[1] == pytest.approx(100 * math.exp(-0.03), rel=1e-14)


def test_arguments_broadcast_in_c_order() -> None:
    shock, liquidity = np.array([[-0.09], [-0.3]]), np.array([0.5, 1.0, 2.0])
    s = fp.stress(BOOK, MARKET, shock, 1.0, liquidity)
    assert s.final_price.shape == (6,)
    for i, (a, b) in enumerate((a, b) for a in shock.ravel() for b in liquidity):
        assert s.final_price[i] == fp.stress(BOOK, MARKET, a, 1.0, b).final_price[0]
    assert fp.stress(BOOK, MARKET).final_price.tolist() == [100.0]
    assert fp.stress(BOOK, MARKET, np.array([])).final_price.size == 0
    assert fp.stress(BOOK, MARKET, np.empty((0, 3)), 1.0).shortfall.size == 0


def test_a_mapping_of_the_columns_asked_for() -> None:
    s = fp.stress(BOOK, MARKET, [-0.09, 0.3])
    assert "final_price" in s
    assert not {"proceeds", "shortfall", "surplus"} & set(s)
    assert all(column.shape == (2,) and not column.flags.writeable for column in s.values())
    chosen = fp.stress(BOOK, MARKET, [-0.09, 0.3], columns=["waves", "shortfall"])
    assert list(chosen) == ["waves", "shortfall"]
    assert chosen.long_count.tolist() == [2, 0]
    np.testing.assert_array_equal(chosen["shortfall"], s.shortfall)


def test_pickles_with_what_is_worked_out_later() -> None:
    s = fp.stress(BOOK, MARKET, [-0.09, 0.3], seed=5)
    copy = pickle.loads(pickle.dumps(s))
    assert copy == s
    assert copy.seed == 5
    np.testing.assert_array_equal(copy.proceeds, s.proceeds)
    assert not copy.final_price.flags.writeable


def test_the_arguments_are_copied() -> None:
    shock = np.array([-0.09, -0.2])
    s = fp.stress(BOOK, MARKET, shock)
    before = fp.stress(BOOK, MARKET, shock).proceeds
    shock[:] = 0.0
    np.testing.assert_array_equal(s.proceeds, before)


def test_the_same_bits_on_any_number_of_threads() -> None:
    rng = np.random.default_rng(1)
    shock, liquidity = rng.uniform(-0.3, 0.3, 501), rng.lognormal(0, 1, 501)
    market = fp.Market(100.0, fp.SquareRootImpact(0.03, 1e5), permanent=1e-6)
    runs = [fp.stress(big_book(), market, shock, 0.0, liquidity, 0.25, threads=n) for n in (1, 2, 7)]
    for other in runs[1:]:
        assert other == runs[0]
        np.testing.assert_array_equal(other.proceeds, runs[0].proceeds)


def test_progress() -> None:
    seen: list[tuple[int, int]] = []
    fp.stress(BOOK, MARKET, np.zeros(100), progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (100, 100)
    many = np.linspace(-0.3, 0.3, 300_000)
    seen.clear()
    caller = threading.get_ident()
    fp.stress(big_book(), MARKET, many, threads=2, progress=lambda d, n: seen.append((d, threading.get_ident())))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert {thread for _, thread in seen} == {caller}
    assert len(seen) > 1


def test_progress_may_stop_it() -> None:
    class EnoughError(Exception):
        pass

    def stop(done: int, total: int) -> None:
        raise EnoughError

    with pytest.raises(EnoughError):
        fp.stress(BOOK, MARKET, np.zeros(10), progress=stop)


@pytest.mark.parametrize("threads", [1, 2])
def test_control_c(threads: int) -> None:
    """A long run ends soon after the signal."""
    rng = np.random.default_rng(1)
    market = fp.Market(100.0, fp.LinearImpact(1e-6), spread=0.001)
    shock = rng.uniform(-0.3, 0.3, 3_000_000)
    running = threading.Event()
    sent = []

    def interrupt() -> None:
        running.wait()
        time.sleep(0.05)
        sent.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    book = big_book()
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        fp.stress(book, market, shock, refill=0.1, threads=threads, progress=lambda done, total: running.set())
    took = time.perf_counter() - sent[0]
    thread.join()
    assert took < 0.5  # 0.2 s, and what a busy machine adds


def test_the_gil_is_released() -> None:
    ticks = []
    stop = threading.Event()

    def tick() -> None:
        while not stop.wait(0.005):
            ticks.append(time.perf_counter())

    thread = threading.Thread(target=tick)
    thread.start()
    begin = time.perf_counter()
    fp.stress(big_book(), MARKET, np.linspace(-0.3, 0.3, 500_000), threads=1)
    end = time.perf_counter()
    stop.set()
    thread.join()
    assert end - begin > 0.05
    assert sum(begin < t < end for t in ticks) >= 3


bad: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: fp.stress(3, MARKET), TypeError, r"^book must be a Book"),  # type: ignore[arg-type]
    (lambda: fp.stress(BOOK, 3), TypeError, r"^market must be a Market"),  # type: ignore[arg-type]
    (lambda: fp.stress(BOOK, MARKET, [0.1, -1.0]), ValueError, r"^shock must be above -1.*-1\.0 at index 1"),
    (lambda: fp.stress(BOOK, MARKET, [[0.1, math.nan]]), ValueError, r"^shock must .*nan at index \(0, 1\)"),
    (lambda: fp.stress(BOOK, MARKET, math.inf), ValueError, r"^shock must .*inf"),
    (lambda: fp.stress(BOOK, MARKET, 1e307), ValueError, r"^shock must .*1e\+307"),
    (lambda: fp.stress(BOOK, MARKET, "a lot"), TypeError, r"^shock must be real numbers"),
    (lambda: fp.stress(BOOK, MARKET, 0.0, [1.0, math.inf]), ValueError, r"^sell must be finite, was inf at index 1"),
    (
        lambda: fp.stress(BOOK, MARKET, liquidity=[1.0, 0.0]),
        ValueError,
        r"^liquidity must be positive.*0\.0 at",
    ),
    (lambda: fp.stress(BOOK, MARKET, liquidity=math.inf), ValueError, r"^liquidity must be positive and finite"),
    (lambda: fp.stress(BOOK, MARKET, refill=1.5), ValueError, r"^refill must be at most 1, was 1\.5"),
    (lambda: fp.stress(BOOK, MARKET, [0.0] * 2, [0.0] * 3), ValueError, r"broadcast together, .*\(2,\), \(3,\), \(\)"),
    (lambda: fp.stress(BOOK, MARKET, threads=-1), ValueError, r"^threads must "),
    (lambda: fp.stress(BOOK, MARKET, progress=3), TypeError, r"^progress must be callable, was 3"),  # type: ignore[arg-type]
    (lambda: fp.stress(BOOK, MARKET, columns=["waves", "x"]), ValueError, r"^columns must .*'x' at index 1"),
    (lambda: fp.stress(BOOK, MARKET, columns="waves"), TypeError, r"^columns must be a sequence"),
    (
        lambda: fp.stress(BOOK, MARKET, seed=-1),
        ValueError,
        r"^seed must be an integer .* was -1",
    ),
    (lambda: fp.stress(BOOK, MARKET, columns=[]), ValueError, r"^columns must name at least one, was empty"),
    (lambda: fp.stress(BOOK, MARKET, columns=5), TypeError, r"^columns must be a sequence of names, was 5"),  # type: ignore[arg-type]
    (
        lambda: fp.stress(BOOK, MARKET, np.ma.masked_less([-0.1, 0.2], 0.0)),
        ValueError,
        r"^shock must have no masked entries, was with 1",
    ),
    (lambda: fp.stress(BOOK, MARKET, seed=1.5), TypeError, r"^seed must .*1\.5"),  # type: ignore[arg-type]
    (lambda: fp.stress(BOOK, MARKET, seed=True), TypeError, r"^seed must .*True"),
    (
        lambda: fp.stress(BOOK, fp.Market(90.0, fp.LinearImpact(0.003))),
        ValueError,
        r"already crossed .* 1 longs and 0 shorts are \(book\.alive\(90\)",
    ),
]


@pytest.mark.parametrize(("call", "error", "message"), bad)
def test_bad_input(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_more_scenarios_than_fit_in_memory() -> None:
    begin = time.perf_counter()
    with pytest.raises(ValueError, match=r"fit in memory, was 1,000,000,000,000 of"):
        fp.stress(BOOK, MARKET, np.zeros((1_000_000, 1)), np.zeros(1_000_000))
    assert time.perf_counter() - begin < 1


def test_results_are_frozen() -> None:
    s = fp.stress(BOOK, MARKET, -0.09)
    with pytest.raises(AttributeError):
        s.waves = s.waves
    assert s.provenance["question"] == "stress"


def test_columns_from_a_generator() -> None:
    assert list(fp.stress(BOOK, MARKET, columns=(n for n in ("waves", "proceeds", "waves")))) == ["waves", "proceeds"]  # type: ignore[arg-type]
