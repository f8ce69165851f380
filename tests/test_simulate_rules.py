"""What a simulation promises besides its numbers: the same bits, columns on demand, clear errors, a quick stop."""

from __future__ import annotations

import hashlib
import math
import os
import pickle
import subprocess
import sys
import threading
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.random import SeedSequence

import flushpoint as fp

COLUMNS = (
    "final_price", "low_price", "high_price", "low_time", "long_count", "short_count", "waves", "exhausted",
    "proceeds", "shortfall", "surplus",
)  # fmt: skip
PAST = np.arange(-20.0, 21.0) * 0.002
PROCESSES: dict[str, fp.Process] = {
    "GBM": fp.GBM(2.0, 0.3),
    "JumpDiffusion": fp.JumpDiffusion(1.0, 2_000.0, -0.01, 0.03),
    "StudentT": fp.StudentT(2.0, 3.0),
    "GARCH": fp.GARCH(1e-5, 0.2, 0.7),
    "Bootstrap": fp.Bootstrap(PAST, 5),
    "BrownianBridge": fp.BrownianBridge(2.0, [1_230.0, 3_000.0], [94.0, 103.0], 100.0),
    "Returns": fp.Returns((np.arange(50 * 70).reshape(50, 70) * 7919 % 1009 - 504.0) / 20_000),
}


def a_book(n: int = 30) -> fp.Book:
    """Longs and shorts without random numbers, sizes and distances all different."""
    distance = np.ldexp(np.arange(1.0, n + 1), -8)
    side = np.where(np.arange(n) % 3 == 2, -1, 1)
    trigger = 100 * (1 - side * distance)
    return fp.Book(
        side, 1 + np.arange(n) % 7, trigger, 100 * (1 - side * distance * 1.25),
        group=np.array(list("abc"))[np.arange(n) % 3],
    )  # fmt: skip


MARKET = fp.Market(100.0, fp.SquareRootImpact(0.05, 400.0), half_life=900.0, permanent=1e-4, spread=0.001)
ARGUMENTS: dict[str, Any] = {"horizon": 4_200.0, "steps": 70, "paths": 50, "seed": 42}


def run(name: str = "GBM", **options: Any) -> fp.SimulationResult:
    return fp.simulate(a_book(), MARKET, PROCESSES[name], **{**ARGUMENTS, **options})


def bits(e: fp.SimulationResult) -> dict[str, bytes]:
    return {name: getattr(e, name).tobytes() for name in COLUMNS}


def digest(e: fp.SimulationResult) -> str:
    return hashlib.sha256(b"".join(bits(e).values())).hexdigest()[:16]


# --- the same bits ---
DIGESTS = {
    "GBM": "fae154d0d825e079",
    "JumpDiffusion": "e7810a77cff60073",
    "StudentT": "8aded4f5e958f1de",
    "GARCH": "96f28cf56567ebb5",
    "Bootstrap": "1545eb0534047603",
    "BrownianBridge": "73b104aeed36408f",
    "Returns": "005c13248783c226",
    "bridge": "35289b57e3b12787",
    "antithetic": "f25c93efce00469c",
}


@pytest.mark.parametrize("name", PROCESSES)
def test_stored_digest(name: str) -> None:
    """These bits are promised: where they change, STREAM is raised."""
    e = run(name)
    assert e.waves.sum() > 50
    assert digest(e) == DIGESTS[name]


def test_stored_digest_of_a_bridge_and_of_mirrored_paths() -> None:
    book = fp.Book(1, 1.0, 100 - np.arange(1.0, 20.0), 100 - np.arange(1.0, 20.0))
    bridge = fp.simulate(book, MARKET, PROCESSES["GBM"], monitoring="bridge", **ARGUMENTS)
    assert digest(bridge) == DIGESTS["bridge"]
    assert digest(run("StudentT", antithetic=True)) == DIGESTS["antithetic"]


def test_the_plainest_instruction_set_gives_the_same_bits() -> None:
    code = (
        "import sys; sys.path.insert(0, 'tests'); import flushpoint, test_simulate_rules as t; "
        "print(flushpoint.build_info()['instruction_set'], *(t.digest(t.run(name)) for name in t.PROCESSES))"
    )
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    made = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=root,
        env={**os.environ, "FLUSHPOINT_ISA": "baseline"}, check=True,
    )  # fmt: skip
    assert made.stdout.split() == ["baseline", *(DIGESTS[name] for name in PROCESSES)]


@pytest.mark.parametrize("name", PROCESSES)
def test_threads_and_shards_give_the_same_bits(name: str) -> None:
    whole = run(name, record=7)
    for threads in (1, 2, 7):
        assert bits(run(name, threads=threads)) == bits(whole)
    parts = [run(name, record=7, paths=range(a, b)) for a, b in ((29, 50), (0, 3), (3, 12), (12, 29))]
    assert bits(parts[1]) == {n: getattr(whole, n)[:3].tobytes() for n in COLUMNS}
    joined = parts[0] + parts[2] + (parts[3] + parts[1])
    assert joined.provenance["paths"] == ((0, 50),)
    assert bits(joined) == bits(whole)
    assert joined.prices.tobytes() == whole.prices.tobytes()
    assert (joined.recorded_time == whole.recorded_time).all()
    assert joined == whole


def test_a_path_does_not_depend_on_its_neighbours() -> None:
    for monitoring, book in (("step", a_book()), ("bridge", fp.Book(1, 1.0, [99.0, 98.0], [99.0, 98.0]))):
        arguments: Any = (book, MARKET, PROCESSES["GBM"])
        options = {**ARGUMENTS, "monitoring": monitoring}
        whole = fp.simulate(*arguments, **{**options, "paths": 20})
        for first, last in ((0, 1), (5, 6), (7, 20), (13, 19)):
            part = fp.simulate(*arguments, **{**options, "paths": range(first, last)})
            assert bits(part) == {n: getattr(whole, n)[first:last].tobytes() for n in COLUMNS}


def test_far_paths() -> None:
    """Path numbers beyond 32 bits."""
    first = 2**40 + 5
    e = run(paths=range(first, first + 9))
    assert e.replay(first + 8).final_price == e.final_price[8]
    assert not np.isin(e.final_price, run(paths=50).final_price).any()
    assert run(paths=range(2**62 - 2, 2**62)).final_price.shape == (2,)


def test_what_is_asked_for_does_not_change_it() -> None:
    e = run()
    expected = bits(e)
    for name in COLUMNS:
        one = run(columns=(name,))
        assert list(one) == [name]
        assert one[name].tobytes() == expected[name]
        assert bits(one) == expected
    assert bits(run(record="all", watch=[3], columns=("waves", "surplus"))) == expected
    assert bits(run(progress=lambda done, paths: None)) == expected


@pytest.mark.parametrize("name", PROCESSES)
def test_replay_repeats_the_row_bit_for_bit(name: str) -> None:
    e = run(name, record="all", paths=range(10, 31))
    for path in (10, 17, 30):
        one, row = e.replay(path), path - 10
        for column in ("final_price", "low_price", "high_price", "low_time", "long_count", "short_count", "exhausted"):
            assert getattr(one, column) == getattr(e, column)[row]
        assert one.price.tobytes() == e.prices[row].tobytes()
        assert one.time.tolist() == pytest.approx(np.arange(71) * 60.0)
        assert len(one.waves) == e.waves[row]
        assert one.waves["count"].sum() == e.liquidated_count[row]
        assert one.waves["quantity"].sum() == pytest.approx(e.liquidated_quantity[row])
        assert one.waves["notional"].sum() == pytest.approx(e.liquidated_notional[row])
        assert (np.diff(one.waves["step"]) >= 0).all()
        assert repr(one).startswith(f"<PathResult: path {path}, 70 steps")
    assert e.waves.any()


def test_replay_of_bridges_and_mirrored_paths() -> None:
    book = fp.Book(1, 1.0, 100 - np.arange(1.0, 20.0))
    e = fp.simulate(book, MARKET, PROCESSES["GBM"], monitoring="bridge", antithetic=True, record="all", **ARGUMENTS)
    for path in (0, 1, 49):
        assert e.replay(path).price.tobytes() == e.prices[path].tobytes()
        assert e.replay(path).low_price == e.low_price[path]
        assert len(e.replay(path).waves) == e.waves[path]


def test_a_fresh_seed_repeats_the_run() -> None:
    e = run(seed=None)
    assert isinstance(e.seed, int)
    assert bits(run(seed=e.seed)) == bits(e)
    assert e.id == run(seed=e.seed).id
    assert run(seed=None).seed != e.seed
    assert bits(run(seed=1)) != bits(run(seed=2))


def test_seed_sequences() -> None:
    assert bits(run(seed=SeedSequence(42))) == bits(run())
    child = SeedSequence(42).spawn(2)
    a, b = run(seed=child[0], paths=20), run(seed=child[1], paths=20)
    assert bits(a) != bits(b)
    assert bits(run(seed=a.seed, paths=20)) == bits(a)
    joined = run(seed=child[0], paths=range(8)) + run(seed=child[0], paths=range(8, 20))
    assert bits(joined) == bits(a)
    with pytest.raises(ValueError, match="differ in seed"):
        a + run(seed=child[1], paths=range(20, 30))


def test_given_returns_need_no_seed() -> None:
    a, b = run("Returns", seed=None, paths=range(9)), run("Returns", seed=None, paths=range(9, 50))
    assert a.seed is None
    assert "seed" not in repr(a)
    assert bits(a + b) == bits(run("Returns"))


def test_two_threads_at_once() -> None:
    expected, found = bits(run(paths=4_000)), []
    callers = [threading.Thread(target=lambda: found.append(bits(run(paths=4_000)))) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert found == [expected] * 4


# --- results ---
@pytest.mark.parametrize(
    ("record", "steps"),
    [
        ("all", list(range(71))),
        (1, list(range(71))),
        (25, [0, 25, 50, 70]),
        (35, [0, 35, 70]),
        (1_000, [0, 70]),
        (np.int64(32), [0, 32, 64, 70]),
        ([0], [0]),
        ([70], [70]),
        ((1, 32, 33, 69), [1, 32, 33, 69]),
        (np.array([31, 32, 64], np.uint64), [31, 32, 64]),
        (range(5, 70, 20), [5, 25, 45, 65]),
    ],
)
def test_recorded_steps(record: Any, steps: list[int]) -> None:
    every, e = run(record="all"), run(record=record)
    assert e.recorded_time == pytest.approx(np.array(steps) * 60.0)
    assert e.prices.tobytes() == np.ascontiguousarray(every.prices[:, steps]).tobytes()
    assert (every.prices[:, 0] == 100.0).all()
    assert not e.prices.flags.writeable


def test_fan() -> None:
    e = run(record=10)
    assert e.fan() == pytest.approx(np.quantile(e.prices, [0.05, 0.25, 0.5, 0.75, 0.95], axis=0))
    assert e.fan([0, 1]).tolist() == [e.prices.min(axis=0).tolist(), e.prices.max(axis=0).tolist()]
    for bad, rule in (([1.5], "between 0 and 1"), ([math.nan], "finite"), (-0.1, "between 0 and 1")):
        with pytest.raises(ValueError, match=f"quantiles must be {rule}"):
            e.fan(bad)
    for ask in (lambda: run().fan(), lambda: run().recorded_time):
        with pytest.raises(ValueError, match="record must be given"):
            ask()
    with pytest.raises(AttributeError, match="prices"):
        _ = run().prices


def closed_of(e: fp.SimulationResult, book: fp.Book) -> Any:
    """Brute force: which positions each path closed."""
    out = np.zeros((len(e.long_count), len(book)), dtype=bool)
    for row, (longs, shorts) in enumerate(zip(e.long_count, e.short_count, strict=True)):
        for side, count in ((1, longs), (-1, shorts)):
            mine = [i for i in range(len(book)) if book.side[i] == side]
            mine.sort(key=lambda i: -side * book.trigger_price[i])
            out[row, mine[:count]] = True
    return out


def test_watched_positions_and_groups() -> None:
    book = a_book() + fp.Book([1, -1], 2.0, [0.0, math.inf], [10.0, 200.0], group=["d", "a"])
    e = fp.simulate(book, MARKET, PROCESSES["GBM"], watch=np.arange(32).reshape(4, 8), **ARGUMENTS)
    closed = closed_of(e, book)
    assert closed.any()
    assert e.watch_probability == pytest.approx(closed.mean(axis=0).reshape(4, 8), abs=1e-15)
    assert e.groups.tolist() == ["a", "b", "c", "d"]
    trigger = np.where(np.isfinite(book.trigger_price), book.trigger_price, 0.0)
    for column, label in enumerate("abcd"):
        mine = closed * (np.asarray(book.group) == label)
        assert e.group_quantity[:, column] == pytest.approx(mine @ book.quantity)
        assert e.group_notional[:, column] == pytest.approx(mine @ (book.quantity * trigger))
    assert e.group_quantity.sum(axis=1) == pytest.approx(e.liquidated_quantity)
    assert e.liquidated_quantity == pytest.approx(closed @ book.quantity)
    assert e.liquidated_notional == pytest.approx(closed @ (book.quantity * trigger))
    assert fp.simulate(book, MARKET, PROCESSES["GBM"], watch=3, **ARGUMENTS).watch_probability == closed[:, 3].mean()
    assert fp.simulate(book, MARKET, PROCESSES["GBM"], watch=[], **ARGUMENTS).watch_probability.shape == (0,)
    with pytest.raises(ValueError, match="watch must be given"):
        _ = run().watch_probability
    with pytest.raises(ValueError, match="book must have groups"):
        _ = fp.simulate(fp.Book(1, 1.0, [1.0]), MARKET, PROCESSES["GBM"], **ARGUMENTS).groups


def test_columns_are_a_mapping_in_the_order_asked_for() -> None:
    names = ("surplus", "long_notional", "waves", "surplus", "liquidated_count", "proceeds")
    e, whole = run(columns=names), run()
    assert list(e) == ["surplus", "long_notional", "waves", "liquidated_count", "proceeds"]
    frame = pd.DataFrame(dict(e))
    assert frame.shape == (50, 5)
    assert frame["proceeds"].to_numpy().tobytes() == whole.proceeds.tobytes()
    assert e["long_notional"].tobytes() == whole.long_notional.tobytes()
    for name in e:
        assert not e[name].flags.writeable
        assert e[name] is getattr(e, name)
    with pytest.raises(KeyError):
        _ = e["final_price"]
    assert e.final_price.tobytes() == whole.final_price.tobytes()  # worked out on demand
    assert "proceeds" not in whole
    assert list(whole)[:4] == ["final_price", "low_price", "high_price", "low_time"]
    with pytest.raises(AttributeError, match="nonsense"):
        _ = e.nonsense
    with pytest.raises(AttributeError, match="frozen"):
        e.seed = 3
    assert e.summary()["waves"]


def test_books_without_bankruptcy_prices() -> None:
    book = fp.Book(1, 1.0, [99.0, 98.0])
    for columns in (None, ("shortfall", "proceeds"), ("surplus",)):
        e = fp.simulate(book, MARKET, PROCESSES["GBM"], columns=columns, **ARGUMENTS)
        assert np.isnan(e.shortfall).all()
        assert np.isnan(e.surplus).all()
        assert e.shortfall.shape == (50,)
        assert e.proceeds.max() > 0
        assert dict(e).keys() == set(columns or e)


def test_pickling() -> None:
    e = run(record=10, watch=[1, 2], columns=("low_price", "waves"))
    copy = pickle.loads(pickle.dumps(e))
    assert copy == e
    assert copy.id == e.id
    assert copy.prices.tobytes() == e.prices.tobytes()
    assert not copy.prices.flags.writeable
    assert copy.shortfall.tobytes() == run().shortfall.tobytes()
    assert copy.watch_probability.tolist() == e.watch_probability.tolist()
    assert copy.replay(7).price.tobytes() == e.replay(7).price.tobytes()
    assert (copy + run(record=10, watch=[1, 2], columns=("low_price", "waves"), paths=range(50, 60)))[
        "waves"
    ].size == 60
    one = e.replay(3)
    assert pickle.loads(pickle.dumps(one)).waves.tolist() == one.waves.tolist()
    script = fp.Script([1.0, 2.0], sell=1.0)
    assert pickle.loads(pickle.dumps(script)).time.tolist() == [1.0, 2.0]
    assert not pickle.loads(pickle.dumps(script)).sell.flags.writeable


def test_joining_columns_that_one_has_worked_out() -> None:
    whole = run(watch=[0])
    a, b = run(paths=range(20), watch=[0]), run(paths=range(20, 50), watch=[0])
    assert a.shortfall.shape == (20,)
    assert a.watch_probability.shape == (1,)
    assert a.liquidated_notional.shape == (20,)
    joined = b + a
    assert joined.shortfall.tobytes() == whole.shortfall.tobytes()
    assert joined.watch_probability.tolist() == whole.watch_probability.tolist()
    assert joined.liquidated_notional.tobytes() == whole.liquidated_notional.tobytes()
    assert b.surplus.shape == (30,)
    assert bits(a + b) == bits(whole)
    with pytest.raises(ValueError, match="no path in common"):
        a + a
    for other in (run(seed=1), run("StudentT"), run(record=7), run(columns=("waves",)), run(watch=[1])):
        with pytest.raises(ValueError, match="results to join must be of one run"):
            a + other
    gap = run(paths=range(5)) + run(paths=range(9, 11))
    assert gap.provenance["paths"] == ((0, 5), (9, 11))
    assert gap.shortfall.tobytes() == whole.shortfall[[0, 1, 2, 3, 4, 9, 10]].tobytes()
    assert gap.replay(10).final_price == whole.final_price[10]
    with pytest.raises(ValueError, match="path must be one of 0 to 4, 9 to 10, was 6"):
        gap.replay(6)


# --- bad input ---
BAD: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"book": None}, TypeError, "book must be a Book, was NoneType"),
    ({"market": 100.0}, TypeError, "market must be a Market, was float"),
    ({"process": 0.6}, TypeError, "process must be a process"),
    ({"process": fp.GBM}, TypeError, "process must be a process"),
    ({"horizon": 0.0}, ValueError, "horizon must be positive, was 0.0"),
    ({"horizon": -1}, ValueError, "horizon must be positive, was -1.0"),
    ({"horizon": math.nan}, ValueError, "horizon must be finite, was nan"),
    ({"horizon": math.inf}, ValueError, "horizon must be finite, was inf"),
    ({"horizon": True}, TypeError, "horizon must be a real number, was True"),
    ({"horizon": "day"}, TypeError, "horizon must be a real number, was 'day'"),
    ({"horizon": [1.0]}, TypeError, "horizon must be a real number"),
    ({"horizon": 1e-322, "steps": 1_000}, ValueError, "horizon / steps must be positive, was 0.0"),
    ({"horizon": 1e308, "process": fp.GBM(1e10)}, ValueError, "parameters of a step must be finite"),
    ({"steps": 0}, ValueError, "steps must be at least 1"),
    ({"steps": -3}, ValueError, "was -3"),
    ({"steps": 2**32}, ValueError, "steps must be at most 4294967295, was 4294967296"),
    ({"steps": 10.0}, TypeError, "steps must be an integer, was 10.0"),
    ({"steps": True}, TypeError, "steps must be an integer, was True"),
    ({"steps": "10"}, TypeError, "steps must be an integer, was '10'"),
    ({"paths": 0}, ValueError, "paths must be at least 1"),
    ({"paths": -1}, ValueError, "was -1"),
    ({"paths": 1.5}, TypeError, "paths must be an integer, was 1.5"),
    ({"paths": False}, TypeError, "paths must be an integer, was False"),
    ({"paths": "all"}, TypeError, "paths must be an integer, was 'all'"),
    ({"paths": None}, TypeError, "paths must be an integer, was None"),
    ({"paths": [0, 1]}, TypeError, "paths must be an integer"),
    ({"paths": range(0, 10, 2)}, ValueError, "paths must be a range of step 1"),
    ({"paths": range(10, 0, -1)}, ValueError, "paths must be a range of step 1"),
    ({"paths": range(3, 3)}, ValueError, "at least one path, was range\\(3, 3\\)"),
    ({"paths": range(-2, 3)}, ValueError, "paths must be a range of step 1"),
    ({"paths": range(2**64, 2**64 + 5)}, ValueError, "within 0 to 4,611,686,018,427,387,904"),
    ({"paths": range(10**30)}, ValueError, "within 0 to 4,611,686,018,427,387,904"),
    ({"paths": 2**50}, ValueError, "paths x columns must fit in memory"),
    ({"paths": 2**70}, ValueError, "paths must be at most 4611686018427387904"),
    ({"paths": 10**8, "record": "all", "steps": 10_000}, ValueError, "must fit in memory"),
    ({"steps": 2**32 - 1, "record": "all", "paths": 1}, ValueError, "must fit in memory"),
    ({"seed": -1}, ValueError, "seed must be an integer at least 0"),
    ({"seed": 1.0}, TypeError, "seed must be an integer"),
    ({"seed": True}, TypeError, "seed must be an integer"),
    ({"seed": "1"}, TypeError, "seed must be an integer"),
    ({"seed": [1, 2]}, TypeError, "seed must be an integer"),
    ({"monitoring": "daily"}, ValueError, "monitoring must be 'step' or 'bridge', was 'daily'"),
    ({"monitoring": None}, ValueError, "monitoring must be 'step' or 'bridge', was None"),
    ({"monitoring": np.array(["step"])}, ValueError, "monitoring must be 'step' or 'bridge'"),
    ({"monitoring": "bridge"}, ValueError, "monitoring must be 'step' for a book of longs and shorts"),
    ({"monitoring": "bridge", "process": fp.StudentT(1.0, 3.0)}, ValueError, "'bridge' with a StudentT"),
    ({"monitoring": "bridge", "process": PROCESSES["Returns"]}, ValueError, "'bridge' with a Returns"),
    ({"columns": "waves"}, TypeError, "columns must be a sequence of names, was 'waves'"),
    ({"turnover": fp.Turnover(1e300, 1.0)}, ValueError, "open positions must fit in memory"),
    ({"columns": 3}, TypeError, "columns must be a sequence of names, was 3"),
    ({"columns": ()}, ValueError, "columns must name at least one, was empty"),
    ({"columns": ("waves", "wave")}, ValueError, "columns must be among .*, was 'wave'"),
    ({"columns": [["waves"]]}, ValueError, "columns must be among .*, was \\['waves'\\]"),
    ({"columns": (None,)}, ValueError, "columns must be among .*, was None"),
    ({"record": "none"}, ValueError, "record must be 'all', an integer or steps, was 'none'"),
    ({"record": 0}, ValueError, "record must be at least 1, was 0"),
    ({"record": True}, TypeError, "record must be an integer, was True"),
    ({"record": 2.0}, TypeError, "record must be an integer, was 2.0"),
    ({"record": []}, ValueError, "record must have one dimension and at least one step, was of shape \\(0,\\)"),
    ({"record": [[1, 2]]}, ValueError, "record must have one dimension"),
    ({"record": [[1, 2], [3]]}, ValueError, "record must be an array of integers"),
    ({"record": [1.0]}, TypeError, "record must be integers, was of dtype float64"),
    ({"record": [True]}, TypeError, "record must be integers, was of dtype bool"),
    ({"record": ["1"]}, TypeError, "record must be integers"),
    ({"record": [-1, 2]}, ValueError, "record must be between 0 and 70, was -1 at index 0"),
    ({"record": [2, 71]}, ValueError, "record must be between 0 and 70, was 71 at index 1"),
    ({"record": [3, 3]}, ValueError, "record must be rising, was 3 at index 1"),
    ({"record": np.array([3, 1], np.uint8)}, ValueError, "record must be rising, was 1 at index 1"),
    ({"watch": [30]}, ValueError, "watch must be between 0 and 29, was 30 at index 0"),
    ({"watch": -1}, ValueError, "watch must be between 0 and 29, was -1"),
    ({"watch": [0.0]}, TypeError, "watch must be integers, was of dtype float64"),
    ({"watch": "0"}, TypeError, "watch must be integers"),
    ({"watch": [True]}, TypeError, "watch must be integers, was of dtype bool"),
    ({"watch": [[1], [2, 3]]}, ValueError, "watch must be an array of integers"),
    ({"antithetic": 1}, TypeError, "antithetic must be True or False, was 1"),
    ({"antithetic": True, "process": PROCESSES["Bootstrap"]}, ValueError, "antithetic must be False for Bootstrap"),
    ({"antithetic": True, "process": PROCESSES["Returns"]}, ValueError, "antithetic must be False for Returns"),
    ({"script": [1.0]}, TypeError, "script must be a Script, was list"),
    ({"script": fp.Script([4_201.0])}, ValueError, "time must be at most the horizon, 4200, was 4201.0 at index 0"),
    ({"threads": -1}, ValueError, "threads must be between 0"),
    ({"threads": 1.0}, TypeError, "threads must be an integer"),
    ({"threads": True}, TypeError, "threads must be an integer"),
    ({"progress": 3}, TypeError, "progress must be callable, was 3"),
    ({"process": PROCESSES["Returns"], "steps": 69}, ValueError, "steps must be the number of columns of Returns, 70"),
    ({"process": PROCESSES["Returns"], "paths": 51}, ValueError, "paths must end within the 50 rows of Returns"),
    ({"process": PROCESSES["Returns"], "paths": range(49, 51)}, ValueError, "paths must end within the 50 rows"),
    ({"process": fp.JumpDiffusion(1.0, 1e12, 0.0, 0.1)}, ValueError, "jump_rate x horizon / steps must be at most"),
    ({"book": fp.Book([1, 1, -1], 1.0, [101.0, 100.0, 99.0])}, ValueError, "2 longs and 1 shorts are"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "kind", "message"), BAD)
def test_bad_input(change: dict[str, Any], kind: type[Exception], message: str) -> None:
    arguments = {"book": a_book(), "market": MARKET, "process": PROCESSES["GBM"], **ARGUMENTS, "paths": 50, **change}
    with pytest.raises(kind, match=message) as caught:
        fp.simulate(**arguments)
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        (([0.0],), ValueError, "time must be above 0, was 0.0 at index 0"),
        (([math.nan],), ValueError, "time must be finite, was nan at index 0"),
        (([math.inf],), ValueError, "time must be finite, was inf"),
        (([[1.0]],), ValueError, "time must have one dimension"),
        (("noon",), TypeError, "time must be real numbers, was 'noon'"),
        (([1.0, 2.0], [1.0, 2.0, 3.0]), ValueError, "sell must be a number or as long as time, 2"),
        (([1.0, 2.0], math.inf), ValueError, "sell must be finite, was inf"),
        (([1.0, 2.0], 0.0, [math.nan, 0.0]), ValueError, "move must be finite, was nan at index 0"),
        (([1.0], 0.0, [[0.1]]), ValueError, "move must be a number or as long as time, 1"),
        (([1.0], True), TypeError, "sell must be real numbers"),
    ],
)
def test_bad_scripts(arguments: tuple[Any, ...], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        fp.Script(*arguments)


@pytest.mark.parametrize("path", [-1, 50, 1.0, "1", None, True])
def test_replay_of_no_such_path(path: Any) -> None:
    with pytest.raises((ValueError, TypeError), match="path must be"):
        run().replay(path)


def test_huge_replays_are_refused() -> None:
    """A run of 2^32 - 1 steps may be asked for, but not every step of it kept."""
    e = run(steps=1, paths=1)
    long = replace(e._run, steps=2**32 - 1)
    with pytest.raises(ValueError, match="steps must fit in memory"):
        long.replay(0)


# --- a good guest ---
INTERRUPTED = """
import os, signal, threading, time
import numpy as np
import flushpoint as fp
book = fp.Book(1, 1e-3, np.linspace(99.9, 50, 100_000), 100.0)
market = fp.Market(100.0, fp.LinearImpact(1e-4))
def interrupt():
    global sent
    time.sleep(0.3)
    sent = time.perf_counter()
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=interrupt, daemon=True).start()
try:
    fp.simulate(book, market, {process}, {arguments})
except KeyboardInterrupt:
    print(time.perf_counter() - sent)
"""


@pytest.mark.parametrize(
    ("process", "arguments"),
    [
        ("fp.GBM(1.0)", "steps=10, paths=10**8"),
        ("fp.GBM(1.0)", "steps=10**9, paths=1"),
        ("fp.GBM(1.0)", "steps=10**8, paths=24"),  # at the end only one thread is busy
        ("fp.GBM(1.0)", "steps=10**9, paths=2, monitoring='bridge'"),
        ("fp.GBM(3.0)", "steps=1_000, paths=10**6, columns=['shortfall']"),
        ("fp.JumpDiffusion(1.0, 3e8, 0.0, 1e-6)", "steps=10**6, paths=64"),
    ],
)
@pytest.mark.parametrize("threads", [1, 2])
def test_interrupts_are_heard(process: str, arguments: str, threads: int) -> None:
    code = INTERRUPTED.format(process=process, arguments=f"{arguments}, threads={threads}")
    delays = []
    for _ in range(3):  # on a busy machine a single wait says little
        made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        delays.append(float(made.stdout))
        if delays[-1] < 0.2:
            return
    raise AssertionError(delays)


def test_other_python_threads_go_on() -> None:
    ticks, over = [0], threading.Event()

    def tick() -> None:
        while not over.is_set():
            ticks[0] += 1
            time.sleep(0.001)

    ticker = threading.Thread(target=tick)
    ticker.start()
    started = time.perf_counter()
    run(paths=30_000, threads=1)
    took, seen = time.perf_counter() - started, ticks[0]
    over.set()
    ticker.join()
    assert seen > took / 0.05  # a held lock would let none through


def test_progress_is_told_and_may_refuse() -> None:
    told: list[tuple[int, int]] = []
    run(paths=60_000, threads=1, progress=lambda done, paths: told.append((done, paths)))
    assert len(told) > 2
    assert told == sorted(told)
    assert told[-1] == (60_000, 60_000)
    assert all(paths == 60_000 for _, paths in told)

    def refuse(done: int, paths: int) -> None:
        raise RuntimeError(f"enough after {done}")

    for threads in (1, 2):
        with pytest.raises(RuntimeError, match="enough after"):
            run(paths=200_000, threads=threads, progress=refuse)
    with pytest.raises(RuntimeError, match="enough after 50"):
        run(progress=refuse)


@pytest.mark.skipif(sys.platform == "win32", reason="resource is a module of Unix")
def test_memory_goes_with_paths_only() -> None:
    """10^4 paths of 10^4 steps would be 800 MB."""
    code = (
        "import resource, flushpoint as fp, sys; book = fp.Book(1, 1.0, [99.0, 90.0]);"
        "run = lambda steps: fp.simulate(book, fp.Market(100.0, fp.LinearImpact(0.01)), fp.GBM(0.5), steps=steps,"
        " paths=10_000, seed=1); peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss;"
        "run(10); before = peak(); run(10_000); print((peak() - before) * (1 if sys.platform == 'darwin' else 1024))"
    )
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(made.stdout) < 1e7


def test_an_explosive_variance_ends_in_extreme_prices_not_in_nan() -> None:
    book = fp.Book([1, -1], [1.0, 1.0], [90.0, 110.0])
    e = fp.simulate(
        book, fp.Market(100.0, fp.LinearImpact(1e-3)), fp.GARCH(1, 3, 1, variance=1), steps=3_000, paths=40, seed=1
    )
    for name in e:
        assert not np.isnan(e[name].astype(float)).any(), name
    assert set(e.final_price) <= {0.0, np.inf}
