"""The least time of several tries: what else a machine does only adds to it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping


def seconds(job: Callable[[], object]) -> float:
    """Time one call."""
    start = time.perf_counter()
    job()
    return time.perf_counter() - start


def least(jobs: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """The least of what each tells, all in turn, after a first turn that does not count."""
    turns = [{name: job() for name, job in jobs.items()} for _ in range(rounds + 1)]
    return {name: min(turn[name] for turn in turns[1:]) for name in jobs}
