"""Runs on executors: the same bits as here, however often workers fail, forget what they were given or answer late."""

from __future__ import annotations

import os
import random
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from multiprocessing import get_context
from typing import Any

import numpy as np
import pytest

import flushpoint as fp
from flushpoint import executor as executors
from flushpoint.executor import places, spread
from flushpoint.shards import Work
from flushpoint.simulate import checked
from test_accounts import small

LONGS, SHORTS = np.linspace(80, 99, 25), np.linspace(101, 125, 25)
TRIGGERS = np.concatenate([LONGS, SHORTS])
BOOK = fp.Book(np.repeat([1, -1], 25), 5.0, TRIGGERS, TRIGGERS + np.repeat([-1.0, 1.0], 25), 100.0)
MARKET = fp.Market(100.0, fp.LinearImpact(2e-4), half_life=3_600.0)
RANDOM = fp.RandomBook(count=60, distance=fp.Uniform(0.0, 0.3), quantity=fp.Exponential(4.0))
SHOCK = -np.linspace(0.0, 0.3, 203)
RUN: dict[str, Any] = {"steps": 24, "seed": 3, "paths": range(5, 208)}
ACCOUNTS = small()
TURNOVER = fp.Turnover(1e-3, 2.0, closing_rate=1e-5)

JOBS: dict[str, Any] = {
    "paths": lambda **how: fp.simulate(BOOK, MARKET, fp.GBM(1.5), **RUN, **how),
    "recorded": lambda **how: fp.simulate(BOOK, MARKET, fp.GBM(1.5), record=5, watch=[3, 30], **RUN, **how),
    "returns": lambda **how: fp.simulate(
        BOOK, MARKET, fp.Returns(np.random.default_rng(2).normal(0, 0.02, (210, 24))), **{**RUN, "seed": None}, **how
    ),
    "random books": lambda **how: fp.simulate(RANDOM, MARKET, fp.GBM(1.5), **RUN, **how),
    "venue": lambda **how: fp.simulate(
        BOOK, MARKET, fp.GBM(1.5), venue=fp.Venue(fund=30.0, adl="pro_rata"), antithetic=True, **RUN, **how
    ),
    "turnover": lambda **how: fp.simulate(BOOK, MARKET, fp.GBM(1.5), turnover=TURNOVER, **RUN, **how),
    "accounts": lambda **how: fp.simulate(*ACCOUNTS, fp.FactorModel([fp.GBM(2.0)], np.ones((2, 1))), **RUN, **how),
    "winners among accounts": lambda **how: fp.simulate(
        *ACCOUNTS, fp.FactorModel([fp.GBM(2.0)], np.ones((2, 1))), venue=fp.Venue(fund=1.0, adl="queue"), **RUN, **how
    ),
    "scenarios": lambda **how: fp.stress(BOOK, MARKET, SHOCK, [[0.0], [3.0]], **how),
    "scenarios of random books": lambda **how: fp.stress(RANDOM, MARKET, SHOCK, seed=4, **how),
    "scenarios with a venue": lambda **how: fp.stress(BOOK, MARKET, SHOCK, venue=fp.Venue(fund=30.0), **how),
    "scenarios of accounts": lambda **how: fp.stress(*ACCOUNTS, SHOCK[:, None], **how),
}


class Unreliable(Executor):
    """Runs tasks when they are waited for, in any order; its workers die and are replaced by ones that hold nothing."""

    def __init__(self, seed: int, failing: float = 0.2, forgetting: float = 0.3) -> None:
        self.chance = random.Random(seed)
        self.failing, self.forgetting = failing, forgetting
        self.submitted: list[Future[Any]] = []
        self.whole = 0
        self._max_workers = 3

    def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.submitted.append(future)
        self.whole += args[1] is not None
        future.set_running_or_notify_cancel()
        if self.chance.random() < self.forgetting:
            executors._held.clear()
        if self.chance.random() < self.failing:
            future.set_exception(ConnectionResetError("the worker is gone"))
        else:
            future.set_result(function(*args, **kwargs))
        return future


@pytest.fixture(scope="module")
def processes() -> Iterator[ProcessPoolExecutor]:
    """Processes that were there before any job, so that they have to ask for it."""
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        assert list(pool.map(abs, [-1, -2, -3, -4])) == [1, 2, 3, 4]
        yield pool


def later(result: Any) -> list[bytes]:
    """All columns, those that are worked out when asked for, too."""
    return [np.asarray(getattr(result, name.partition(".")[0])).tobytes() for name in (*result, *result._on_demand)]


@pytest.mark.parametrize("name", JOBS)
def test_any_executor_gives_the_same_bits(name: str, processes: ProcessPoolExecutor) -> None:
    job = JOBS[name]
    here = job()
    sums = fp.StreamedEnsemble.of(here) if not here._antithetic else None
    for there in (Unreliable(1), Unreliable(2), processes):
        found = job(executor=there)
        assert type(found) is type(here)
        assert found == here
        assert found.provenance["paths"] == here.provenance["paths"]
        assert found.id == here.id
        assert later(found) == later(here)
        if sums is not None and name != "recorded":
            assert job(executor=there, keep="summary") == sums
    if name == "recorded":
        assert found.prices.tobytes() == here.prices.tobytes()
        assert found.watch_probability.tobytes() == here.watch_probability.tobytes()


def test_threads_hold_the_work_already() -> None:
    with ThreadPoolExecutor(2) as pool:
        told: list[tuple[int, int]] = []
        found = JOBS["paths"](executor=pool, progress=lambda *done: told.append(done))
        assert found == JOBS["paths"]()
        assert JOBS["paths"](executor=pool, threads=2) == found
    assert [total for _, total in told] == [203] * len(told)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1] == (203, 203)
    assert len(told) >= 8
    assert executors._held == {}


def test_shards_on_executors_join() -> None:
    parts = [
        fp.simulate(BOOK, MARKET, fp.GBM(1.5), **{**RUN, "paths": range(a, b)}, executor=Unreliable(a))
        for a, b in ((100, 208), (5, 40), (40, 100))
    ]
    joined = parts[0] + parts[2] + parts[1]
    whole = JOBS["paths"]()
    assert joined == whole
    assert later(joined) == later(whole)


def test_the_work_travels_about_once_to_each_worker() -> None:
    class Elsewhere(Unreliable):
        def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
            if not self.submitted:
                executors._held.clear()
            return super().submit(function, *args, **kwargs)

    pool = Elsewhere(1, failing=0.0, forgetting=0.0)
    with closing(spread(_job(), [range(i, i + 1) for i in range(60)], pool)) as found:
        assert sorted(part.start for part, _ in found) == list(range(60))
    assert 1 <= pool.whole <= 3


def test_a_part_is_sent_a_few_times_only() -> None:
    pool = Unreliable(1, failing=1.0)
    with pytest.raises(ConnectionResetError, match="the worker is gone"):
        JOBS["paths"](executor=pool)
    assert executors._held == {}


class Broken:
    """Work that cannot be done."""

    def __call__(self, part: range) -> Any:
        raise ZeroDivisionError


def test_errors_of_the_work_are_not_tried_again() -> None:
    pool = Unreliable(1, failing=0.0, forgetting=0.0)
    pool._max_workers = 1
    with pytest.raises(ZeroDivisionError), closing(spread(Broken(), [range(3)] * 5, pool)) as found:
        list(found)
    assert len(pool.submitted) == 1
    assert executors._held == {}


def test_a_broken_pool_says_so() -> None:
    pool = ProcessPoolExecutor(2, mp_context=get_context("spawn"))

    def kill(done: int, total: int) -> None:
        for process in list(pool._processes):
            os.kill(process, signal.SIGKILL)

    with pool, pytest.raises(BrokenExecutor, match=r"^executor broke when [1-9]\d* of 8 parts were done: one of its"):
        JOBS["paths"](executor=pool, progress=kill)


def test_what_waits_is_cancelled() -> None:
    class Slow(Unreliable):
        def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
            if not self.submitted:
                return super().submit(function, *args, **kwargs)
            self.submitted.append(Future())
            return self.submitted[-1]

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    pool = Slow(1, failing=0.0, forgetting=0.0)
    with pytest.raises(KeyboardInterrupt):
        JOBS["paths"](executor=pool, progress=stop)
    assert len(pool.submitted) > 1
    assert all(future.cancelled() for future in pool.submitted[1:])


def _job() -> Work:
    job = checked(
        BOOK, MARKET, fp.GBM(1.5), 86_400.0, 4, 60, 1, "step", None, None, None,
        venue=None, funding=None, sellers=None, antithetic=False, script=None, turnover=None, max_count=None,
        threads=1, progress=None,
    )  # fmt: skip
    return Work(job, fold=False)


def test_workers_of_another_version_are_refused() -> None:
    with pytest.raises(RuntimeError, match=r"^workers must have flushpoint 0\.0\.1, stream 1, have "):
        replace(_job(), made_by=("0.0.1", 1))(range(3))


def test_other_questions_take_executors() -> None:
    with ThreadPoolExecutor(2) as pool:
        run = {**RUN, "paths": 60}
        policies = {"fund": fp.Policy(fund=50.0)}
        here = fp.experiment(BOOK, MARKET, fp.GBM(1.5), policies, **run)
        there = fp.experiment(BOOK, MARKET, fp.GBM(1.5), policies, executor=pool, **run)
        assert there["fund"] == here["fund"]
        assert (
            fp.size_fund(BOOK, MARKET, fp.GBM(1.5), 0.9, executor=pool, **run).fund
            == fp.size_fund(BOOK, MARKET, fp.GBM(1.5), 0.9, **run).fund
        )


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: JOBS["paths"](executor=2), TypeError, r"^executor must be a concurrent\.futures\.Executor or a dask"),
        (lambda: JOBS["scenarios"](executor="dask"), TypeError, r"^executor must be .*, was str$"),
        (
            lambda: fp.experiment(BOOK, MARKET, fp.GBM(1.0), {"a": fp.Policy(fund=1.0)}, executor=2),
            TypeError,
            r"^executor must be .*, was int$",
        ),
        (
            lambda: fp.experiment(BOOK, MARKET, fp.GBM(1.0), {"a": fp.Policy(fund=1.0)}, keep="summary"),
            TypeError,
            r"^keep must be left out, was 'summary'$",
        ),
    ],
)
def test_bad_input(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_a_cluster_of_dask_loses_a_worker(tmp_path: Any) -> None:
    distributed = pytest.importorskip("distributed", reason="dask[distributed] is not installed")
    import dask

    settings = {"temporary-directory": str(tmp_path), "distributed.worker.daemon": True, "logging.distributed": "error"}
    with (
        dask.config.set(settings),
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50) as cluster,
        distributed.Client(cluster) as client,
    ):
        assert places(client) == 2
        workers = list(client.run(os.getpid).values())

        def kill(done: int, total: int) -> None:
            if workers:
                os.kill(workers.pop(), signal.SIGKILL)
                workers.clear()

        for job in (JOBS["paths"], JOBS["scenarios of random books"]):
            here = job()
            assert job(executor=client, progress=kill) == here
            assert job(executor=client, keep="summary") == fp.StreamedEnsemble.of(here)
        assert workers == []


def test_a_cluster_that_lost_what_it_was_given_gets_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    class Client:
        """Of dask, as far as it is used: its workers lose what they hold after two tasks."""

        asynchronous = False
        sent = 0
        tasks = 0

        def nthreads(self) -> dict[str, int]:
            return {"a": 1}

        def get_executor(self, pure: bool) -> Any:
            assert not pure
            return self

        def scatter(self, work: Any, broadcast: bool, hash: bool) -> Any:
            self.sent += 1
            self.tasks = 0
            return _Sent(work)

        def submit(self, function: Any, sent: _Sent, part: range) -> Future[Any]:
            future: Future[Any] = Future()
            self.tasks += 1
            if self.tasks > 2:
                future.set_exception(KilledWorkerError())
            else:
                future.set_result(function(sent.work, part))
            return future

    class KilledWorkerError(Exception):
        pass

    class Module:
        scheduler = type("scheduler", (), {"KilledWorker": KilledWorkerError})
        CancelledError = KilledWorkerError

    Module.Client = Client  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "distributed", Module)  # type: ignore[arg-type]
    client = Client()
    assert JOBS["paths"](executor=client) == JOBS["paths"]()
    assert client.sent == 2
    client.asynchronous = True
    with pytest.raises(ValueError, match=r"^executor must be a synchronous dask\.distributed\.Client"):
        JOBS["paths"](executor=client)


class _Sent:
    def __init__(self, work: Any) -> None:
        self.work = work

    def release(self) -> None:
        pass
