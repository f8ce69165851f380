"""Forked and spawned processes, many callers at once: the same bits; and no memory that is never given back."""

from __future__ import annotations

import concurrent.futures
import gc
import multiprocessing
import os
import sys
import threading

import numpy as np
import pytest

import flushpoint as fp
from every_question import answers, answers_of_fresh_inputs, inputs

CALLERS = 8


def test_eight_callers_at_once() -> None:
    book, market = inputs()
    expected = answers(book, market, 1)
    together = threading.Barrier(CALLERS)

    def call(caller: int) -> list[str]:
        together.wait()
        return [answers(book, market, 1 + (caller + turn) % 3) for turn in range(3)]

    with concurrent.futures.ThreadPoolExecutor(CALLERS) as pool:
        found = [one for got in pool.map(call, range(CALLERS)) for one in got]
    assert found == [expected] * len(found)


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_processes_of_a_pool(method: str) -> None:
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system has no {method}")
    expected = answers_of_fresh_inputs(2)  # the engine has been used before the fork
    with concurrent.futures.ProcessPoolExecutor(2, multiprocessing.get_context(method)) as pool:
        assert list(pool.map(answers_of_fresh_inputs, [1, 2, 3])) == [expected] * 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_fork_among_callers() -> None:
    book, market = inputs()
    expected = answers(book, market, 1)
    stop = threading.Event()

    def keep_calling() -> None:
        while not stop.is_set():
            fp.stress(book, market, np.linspace(-0.3, 0.3, 50), threads=2)

    callers = [threading.Thread(target=keep_calling) for _ in range(2)]
    for caller in callers:
        caller.start()
    try:
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.write(writer, answers(book, market, 2).encode())
            finally:
                os._exit(0)
        os.close(writer)
        with os.fdopen(reader) as told:
            assert told.read() == expected
        assert os.waitpid(child, 0)[1] == 0
    finally:
        stop.set()
        for caller in callers:
            caller.join()


def resident() -> int:
    """Return this process's resident memory in bytes."""
    with open("/proc/self/statm") as told:
        return int(told.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="resident memory is read from /proc")
def test_memory_is_given_back() -> None:
    """100,000 small calls, of every kind and failing ones, grow the process by less than 4 MB: 40 bytes a call."""
    book, market = inputs(50)
    venue = fp.Venue(adl="queue", fund=10.0)
    shocks = np.array([-0.2, 0.1])

    def calls(rounds: int) -> None:
        for _ in range(rounds):
            fp.cascade(book, market, -0.1)
            fp.cascade(book, market, -0.1, venue=venue)
            fp.response(book, market, threads=1)(shocks)
            fp.stress(book, market, shocks, threads=1)
            with pytest.raises(ValueError, match="shock must be above -1"):
                fp.cascade(book, market, -2.0)

    calls(1_000)
    gc.collect()
    before = resident()
    calls(20_000)
    gc.collect()
    assert resident() - before < 4e6
