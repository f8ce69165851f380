"""Pickling, threads, forks, read-only results, and the same bits whatever the threads and the instruction set."""

from __future__ import annotations

import concurrent.futures
import hashlib
import itertools
import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

import flushpoint as fp

BIG = 300_000


def big_book(n: int = BIG, seed: int = 1) -> fp.Book:
    rng = np.random.default_rng(seed)
    side = rng.choice(np.array([1, -1], np.int8), n)
    trigger = np.round(100 * np.exp(-side * rng.exponential(0.15, n)) - side * 0.01, 3)
    return fp.Book(side, rng.lognormal(0, 1.5, n), trigger, trigger * (1 - side * 0.004))


def some_market(strength: float = 1.0, n: int = BIG) -> fp.Market:
    return fp.Market(100.0, fp.SquareRootImpact(strength, 6.0 * n, core=0.01 * n), permanent=0.02 / n, spread=1e-3)


IMPACTS = [
    fp.LinearImpact(0.01), fp.PowerImpact(0.01, 0.6), fp.SquareRootImpact(0.03, 50.0, 0.7, 0.1),
    fp.DepthImpact([0.01, 0.1], [3.0, 9.0], [2.0, 9.0]), fp.EvaporatingImpact(0.01, 2.0),
]  # fmt: skip


def same(a: Any, b: Any) -> None:
    """Equal to the last bit."""
    assert type(a) is type(b)
    if isinstance(a, np.ndarray):
        assert a.dtype == b.dtype
        assert a.shape == b.shape
        assert a.tobytes() == b.tobytes()
    else:
        np.testing.assert_equal(a, b)


# --- copies ---
@pytest.mark.parametrize("impact", IMPACTS, ids=lambda i: type(i).__name__)
def test_impacts_and_markets_pickle(impact: fp.Impact) -> None:
    copy = pickle.loads(pickle.dumps(impact))
    assert copy == impact
    assert hash(copy) == hash(impact)
    volume = np.linspace(-5, 5, 11)
    same(copy.displacement(volume), impact.displacement(volume))
    market = fp.Market(100.0, impact, half_life=30.0, permanent=0.1, spread=0.01, mark_weight=0.5)
    again = pickle.loads(pickle.dumps(market))
    assert again == market
    same(again.proceeds(volume), market.proceeds(volume))


CASCADE_FIELDS = [
    "final_price", "low_price", "high_price", "closed", "exit_price", "waves", "liquidated_quantity",
    "liquidated_count", "liquidated_notional", "proceeds", "shortfall", "surplus", "amplification", "exhausted",
    "position_proceeds", "position_shortfall", "position_surplus",
]  # fmt: skip


@pytest.mark.parametrize("touched", [False, True])
def test_a_cascade_pickles(touched: bool) -> None:
    c = fp.cascade(big_book(500), some_market(n=500), -0.05, sell=3.0, refill=0.1)
    if touched:
        for name in CASCADE_FIELDS:
            getattr(c, name)
    copy = pickle.loads(pickle.dumps(c))
    for name in CASCADE_FIELDS:
        same(getattr(copy, name), getattr(c, name))
        value = getattr(copy, name)
        assert not isinstance(value, np.ndarray) or not value.flags.writeable
    assert dict(copy).keys() == dict(c).keys()


@pytest.mark.parametrize("touched", [False, True])
def test_a_response_pickles(touched: bool) -> None:
    r = fp.response(big_book(500), some_market(n=500))
    shocks = np.linspace(-0.4, 0.4, 41)
    if touched:
        r.sell(1.0)
        assert len(r.tipping_points) >= 0
    copy = pickle.loads(pickle.dumps(r))
    for first, second in ((copy(shocks), r(shocks)), (copy.sell(shocks * 500), r.sell(shocks * 500))):
        for name in ("final_price", "liquidated_quantity", "liquidated_count", "liquidated_notional"):
            same(getattr(first, name), getattr(second, name))
        third = pickle.loads(pickle.dumps(second))
        assert list(third) == list(second)
        for name in third:
            same(third[name], second[name])
            assert not third[name].flags.writeable
    same(copy.tipping_points, r.tipping_points)
    assert not copy.tipping_points.flags.writeable


# --- results ---
def test_results_cannot_be_changed() -> None:
    book, market = big_book(500), some_market(n=500)
    c = fp.cascade(book, market, -0.05)
    r = fp.response(book, market)
    answer, sales = r([-0.1, 0.1]), r.sell([1.0, -1.0])
    arrays = [getattr(c, n) for n in CASCADE_FIELDS if isinstance(getattr(c, n), np.ndarray)]
    arrays += [c[n] for n in c] + [answer[n] for n in answer] + [sales[n] for n in sales] + [r.tipping_points]
    arrays += [answer.shock, answer.final_price, sales.sell, answer.liquidated_quantity]
    for array in arrays:
        assert not array.flags.writeable
        with pytest.raises(ValueError, match="read-only"):
            array[...] = array.copy()
    for result, name in ((c, "final_price"), (answer, "final_price"), (c, "anything"), (sales, "sell")):
        with pytest.raises(AttributeError):
            setattr(result, name, 1.0)
        with pytest.raises(AttributeError):
            delattr(result, name)
    with pytest.raises(TypeError):
        c["final_price"] = 1.0  # type: ignore[index]


def test_the_argument_stays_with_the_result_as_it_was() -> None:
    r = fp.response(big_book(500), some_market(n=500))
    shocks = np.array([-0.1, 0.1])
    answer = r(shocks)
    shocks[:] = 7.0
    assert answer.shock.tolist() == [-0.1, 0.1]
    assert shocks.flags.writeable


def test_results_are_mappings() -> None:
    book, market = big_book(500), some_market(n=500)
    c = fp.cascade(book, market, -0.05)
    answer = fp.response(book, market)([-0.1, 0.1])
    sales = fp.response(book, market).sell([1.0])
    for result in (c, answer, sales):
        assert isinstance(result, Mapping)
        assert len(result) == len(list(result)) == len(dict(result))
        assert {"final_price", "liquidated_quantity", "liquidated_count", "liquidated_notional"} <= set(result)
        with pytest.raises(KeyError, match="nothing"):
            result["nothing"]
        assert "nothing" not in result
        assert result.get("nothing", 3) == 3
        assert result.provenance["version"] == fp.__version__
        assert result.provenance["stream"] == fp.STREAM == 1
        assert repr(result)
    assert next(iter(answer)) == "shock"
    assert next(iter(sales)) == "sell"
    assert {a.shape for a in dict(answer).values()} == {(2,)}


def test_results_become_tables() -> None:
    pandas = pytest.importorskip("pandas")
    book, market = big_book(500), some_market(n=500)
    shocks = np.linspace(-0.3, 0.3, 7)
    answer = fp.response(book, market)(shocks)
    frame = pandas.DataFrame(dict(answer))
    assert list(frame.columns) == [
        "shock", "final_price", "liquidated_quantity", "liquidated_count", "liquidated_notional"
    ]  # fmt: skip
    assert frame["shock"].tolist() == shocks.tolist()
    assert frame["liquidated_count"].dtype == np.int64
    assert len(pandas.DataFrame(dict(fp.cascade(book, market, -0.1)))) == 1
    assert len(pandas.DataFrame(dict(fp.response(book, market)(0.1)))) == 1
    pyarrow = pytest.importorskip("pyarrow")
    assert pyarrow.table(dict(answer)).num_rows == 7


def test_build_info() -> None:
    info = fp.build_info()
    assert info["version"] == fp.__version__
    assert info["instruction_set"] in info["instruction_sets"]
    assert info["threads"] >= 1


# --- threads ---
def digest(*arrays: Any) -> str:
    out = hashlib.sha256()
    for array in arrays:
        out.update(np.ascontiguousarray(array).tobytes())
    return out.hexdigest()


def answers(book: fp.Book, market: fp.Market, threads: int) -> str:
    rng = np.random.default_rng(4)
    r = fp.response(book, market, threads=threads)
    shocks, sales = r(rng.uniform(-0.5, 0.5, 50_001), threads=threads), r.sell(rng.normal(0, len(book) / 10, 20_001))
    c = fp.cascade(book, market, -0.1, threads=threads)
    return digest(*dict(shocks).values(), *dict(sales).values(), r.tipping_points, c.waves, c.exit_price, c.shortfall)


def test_the_same_bits_from_any_number_of_threads() -> None:
    book = big_book()
    for market in (some_market(), fp.Market(100.0, fp.EvaporatingImpact(0.5 / BIG, 2.0), mark_weight=0.7)):
        expected = answers(book, market, 1)
        for threads in (2, 7, 0):
            assert answers(book, market, threads) == expected


def test_one_book_may_be_asked_by_many_threads_at_once() -> None:
    book, market = big_book(50_000), some_market(n=50_000)
    r = fp.response(book, market)

    def ask(i: int) -> str:
        c = fp.cascade(book, market, -0.01 * (i % 4))
        built = fp.Book(book.side, book.quantity, book.trigger_price)
        return digest(
            r(np.linspace(-0.3, 0.3, 1001)).final_price, r.sell(np.linspace(-1e4, 1e4, 101)).final_price,
            r.tipping_points, fp.response(book, market)([0.1]).final_price, built.long.index, built.short.index,
            c.closed, c.exit_price, c.final_price,
        )  # fmt: skip

    expected = [ask(i) for i in range(4)]
    fresh = fp.response(big_book(50_000), market)
    assert digest(fresh.tipping_points) == digest(r.tipping_points)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(32))) == expected * 8


def test_lazy_columns_may_be_asked_for_by_many_threads_at_once() -> None:
    book, market = big_book(50_000), some_market(n=50_000)
    expected = fp.cascade(book, market, -0.1)
    c, r = fp.cascade(book, market, -0.1), fp.response(book, market)
    barrier = threading.Barrier(8)

    def touch(_: int) -> str:
        barrier.wait()
        return digest(c.exit_price, c.closed, c.shortfall, c.position_surplus, r.sell([1.0, 1e4]).final_price)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        results = set(pool.map(touch, range(8)))
    assert len(results) == 1
    assert digest(c.exit_price, c.shortfall) == digest(expected.exit_price, expected.shortfall)


def longest_pause(work: Any) -> tuple[float, float]:
    """Seconds that `work` took, and the longest time another thread could not run meanwhile."""
    ticks: list[float] = []
    done = threading.Event()

    def tick() -> None:
        while not done.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.0005)

    thread = threading.Thread(target=tick)
    thread.start()
    while len(ticks) < 3:
        time.sleep(0.001)
    start = time.perf_counter()
    work()
    end = time.perf_counter()
    done.set()
    thread.join()
    inside = [start, *(t for t in ticks if start <= t <= end), end]
    return end - start, max(b - a for a, b in itertools.pairwise(inside))


def test_another_thread_runs_during_long_calls() -> None:
    n = 3_000_000
    rng = np.random.default_rng(0)
    side, quantity, trigger = np.ones(n, np.int8), rng.uniform(1, 2, n), rng.uniform(50, 99, n)
    market = fp.Market(100.0, fp.PowerImpact(1e-8, 0.9))
    book = fp.Book(side, quantity, trigger)
    r = fp.response(book, market)
    shocks = rng.uniform(-0.5, 0.0, 3_000_000)
    for work in (
        lambda: fp.Book(side, quantity, trigger),
        lambda: fp.response(book, market),
        lambda: r(shocks),
        lambda: fp.cascade(book, market, -0.5).exit_price,
    ):
        # other work on the machine can delay a tick: the best of a few tries counts
        shares = []
        for _ in range(5):
            took, pause = longest_pause(work)
            shares.append(max(pause - 0.01, 0.0) / took)
            if shares[-1] < 0.5:
                break
        assert min(shares) < 0.5, shares


# --- processes ---
def run(program: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **environment}, capture_output=True, text=True, timeout=120
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_after_a_fork() -> None:
    out = run(
        """
import os, signal, warnings
import numpy as np
import flushpoint as fp
warnings.simplefilter("ignore")  # newer Pythons warn of forks of threaded processes
n = 400_000
rng = np.random.default_rng(1)
side, quantity, trigger = np.ones(n, np.int8), rng.uniform(1, 2, n), rng.uniform(50, 99, n)
market = fp.Market(100.0, fp.LinearImpact(1e-7))
def work():
    book = fp.Book(side, quantity, trigger)
    return fp.response(book, market)(rng.uniform(-0.5, 0, 100_000)).final_price.size + int(book.long.index[5])
expected = work()
child = os.fork()
if child == 0:
    signal.alarm(60)  # a child that waits for threads it does not have
    os._exit(0 if work() == expected else 1)
_, status = os.waitpid(child, 0)
print(status, work() == expected)
"""
    )
    assert out == "0 True"


HASH = """
import hashlib, sys
import numpy as np
import flushpoint as fp
rng = np.random.default_rng(3)
n = 30_011
side = rng.choice(np.array([1, -1], np.int8), n)
trigger = np.round(100 * np.exp(-side * rng.exponential(0.15, n)) - side * 0.01, 3)
book = fp.Book(side, rng.lognormal(0, 1.5, n), trigger, trigger * (1 - side * 0.004))
out = hashlib.sha256()
def add(*arrays):
    for a in arrays:
        out.update(np.ascontiguousarray(a).tobytes())
for one in (book.long, book.short):
    add(one.index, one.cumulative_quantity, one.trigger_price)
volumes = rng.normal(0, 1e4, 1001)
for impact in (
    fp.LinearImpact(3 / n), fp.PowerImpact(1 / n**0.6, 0.6), fp.PowerImpact(1 / n**2.4, 2.4),
    fp.SquareRootImpact(1.0, 6.0 * n, core=0.01 * n),
    fp.DepthImpact([0.01, 0.1, 0.7], [n / 40, n / 10, 2 * n], [n / 50, n / 10, n]), fp.EvaporatingImpact(0.5 / n, 2.0),
):
    add(impact.displacement(volumes), impact.inverse(volumes / 1e4))
    add(impact.proceeds(1.5, volumes), impact.proceeds(volumes))
    for permanent, weight in ((0.0, 1.0), (0.1 / n, 0.6)):
        market = fp.Market(100.0, impact, permanent=permanent, spread=1e-3, mark_weight=weight)
        r = fp.response(book, market)
        add(r.tipping_points, r.reproduction_number(np.linspace(50, 150, 101)))
        add(*dict(r(rng.uniform(-0.4, 0.4, 5_003))).values(), *dict(r.sell(rng.normal(0, n, 503))).values())
        add(market.proceeds(volumes), market.price_after(volumes))
        for shock, refill in ((-0.1, 0.0), (0.1, 0.3), (-0.03, 0.2)):
            c = fp.cascade(book, market, shock, sell=shock * -1e3, refill=refill)
            add(c.waves, c.exit_price, c.position_shortfall, *dict(c).values())
print(fp.build_info()["instruction_set"], out.hexdigest())
"""


def test_the_same_bits_from_every_instruction_set() -> None:
    default = run(HASH).split()
    baseline = run(HASH, FLUSHPOINT_ISA="baseline").split()
    assert baseline[0] == "baseline"
    assert default[1] == baseline[1]
    for name in fp.build_info()["instruction_sets"]:
        if name not in (default[0], "baseline"):
            assert run(HASH, FLUSHPOINT_ISA=name).split() == [name, default[1]]


def test_the_same_bits_whatever_numpy_may_use() -> None:
    # numpy's own transcendental functions differ between processors; results must not pass through them
    features = run(
        "import numpy as np; from numpy._core._multiarray_umath import __cpu_features__ as f, __cpu_dispatch__ as d;"
        "print(*(k for k in d if f.get(k)))"
    ).split()
    if not features:
        pytest.skip("numpy has nothing to switch off here")
    plain = run(HASH, NPY_DISABLE_CPU_FEATURES=" ".join(features))
    assert plain.split()[1] == run(HASH).split()[1]
