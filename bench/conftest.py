"""What the benchmarks share: their mode, and the lines they leave at the end of the run.

    pytest bench -o python_files='bench_*.py' --benchmark-enable    full sizes, goals for speed asserted
    pytest bench -o python_files='bench_*.py'                       a smoke run: small sizes, answers asserted

FLUSHPOINT_BENCH=full does the same as --benchmark-enable; FLUSHPOINT_BENCH=smoke with it times the small sizes.
"""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the modules beside this one

from harness import Judge

LINES = pytest.StashKey[list[str]]()


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    if os.environ.get("FLUSHPOINT_BENCH") == "full":
        config.option.benchmark_enable = True


@pytest.fixture(scope="session")
def full(pytestconfig):
    """Whether to run at full size and to insist on the goals for speed."""
    enabled = pytestconfig.getoption("benchmark_enable") or not pytestconfig.getoption("benchmark_disable")
    mode = os.environ.get("FLUSHPOINT_BENCH", "full" if enabled else "smoke")
    if mode not in ("full", "smoke"):
        raise pytest.UsageError(f"FLUSHPOINT_BENCH must be full or smoke, was {mode!r}")
    return mode == "full"


@pytest.fixture
def judge(benchmark, full, pytestconfig):
    return Judge(benchmark, full, pytestconfig.stash.setdefault(LINES, []))


def pytest_terminal_summary(terminalreporter, config):
    lines = config.stash.get(LINES, [])
    if lines:
        terminalreporter.section("figures and goals")
        for line in lines:
            terminalreporter.write_line(line)
