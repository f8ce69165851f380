"""Sorting a book: time against numpy's argsort of the triggers, and memory."""

import json
import subprocess
import sys

import numpy as np
import pytest

import flushpoint as fp
from flushpoint.bench import workloads
from harness import at_most, milliseconds, no_goal

TIME_GOAL = at_most(0.6, "x", aim=0.3)  # of np.argsort, on all processors
MEMORY_GOAL = at_most(48, " bytes")  # a position, at the peak, beyond the arrays the book is made from

KINDS = ["longs", "both sides", "with bankruptcy prices"]


def columns(kind, size):
    """Side, quantity, trigger price and, perhaps, bankruptcy price."""
    triggers, quantities = workloads.draw_book(size)
    if kind == "longs":
        return [1, quantities, triggers]
    side = np.ones(size, np.int8)
    side[::2] = -1
    triggers = np.where(side > 0, triggers, workloads.PRICE**2 / triggers)
    return [side, quantities, triggers] + ([triggers * (1 - 0.005 * side)] if kind == KINDS[2] else [])


@pytest.mark.parametrize("kind", KINDS)
def test_build(judge, full, kind):
    size = 10_000_000 if full else 50_000
    given = columns(kind, size)
    triggers = given[2]
    race = judge.race(lambda: fp.Book(*given), lambda: np.argsort(triggers), rounds=4)

    book = fp.Book(*given)
    side = np.broadcast_to(given[0], size)
    for one, sign in ((book.long, 1), (book.short, -1)):
        mine = np.flatnonzero(side == sign)
        order = mine[np.argsort(-sign * triggers[mine], kind="stable")]
        np.testing.assert_array_equal(one.index, order)
        np.testing.assert_array_equal(one.trigger_price, triggers[order])
        np.testing.assert_array_equal(one.quantity, given[1][order])
        if len(given) > 3:
            np.testing.assert_array_equal(one.bankruptcy_price, given[3][order])
        np.testing.assert_allclose(one.cumulative_quantity[1:], np.cumsum(given[1][order]), rtol=1e-9)
    judge.report(
        f"book of {size:,} positions, {kind}, all processors",
        "time as a share of np.argsort's of the triggers",
        race.share,
        TIME_GOAL,
        f"{milliseconds(race.ours)} against {milliseconds(race.rival)}",
    )


# A process of its own, so that what was freed before hides nothing. The arrays come from files, since making them would
# leave a peak of its own.
MEMORY_SCRIPT = """
import json, sys
import numpy as np
import flushpoint as fp

def status(name):
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))

fp.Book(1, np.ones(100_000), np.linspace(1, 2, 100_000))  # threads and modules are there
given = [np.load(path) for path in sys.argv[1:]]
before, peak_before = status("VmRSS"), status("VmHWM")
book = fp.Book(*given)
print(json.dumps({"before": before, "peak_before": peak_before, "after": status("VmRSS"), "peak": status("VmHWM")}))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="peak memory is read from /proc")
@pytest.mark.parametrize("kind", KINDS)
def test_memory(judge, full, kind, tmp_path):
    size = 10_000_000 if full else 500_000
    paths = []
    for i, column in enumerate(columns(kind, size)):
        paths.append(str(tmp_path / f"{i}.npy"))
        np.save(paths[-1], column)
    command = [sys.executable, "-c", MEMORY_SCRIPT, *paths]
    printed = judge.benchmark.pedantic(subprocess.check_output, (command,), {"text": True})
    memory = json.loads(printed)
    for path in tmp_path.iterdir():
        path.unlink()
    assert memory["peak_before"] - memory["before"] < 4 * size, "loading left a peak of its own"
    judge.report(
        f"book of {size:,} positions, {kind}",
        "peak memory a position",
        (memory["peak"] - memory["before"]) / size,
        no_goal(" bytes") if kind == KINDS[2] else MEMORY_GOAL,
        f"the book itself {(memory['after'] - memory['before']) / size:.1f}",
    )
