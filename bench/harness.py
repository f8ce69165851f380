"""Timing against a rival, and goals that say how far off they are."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

import flushpoint as fp


@dataclass(frozen=True)
class Goal:
    """A bound on a figure, and what to aim for beyond it. Without a bound the figure is only reported."""

    bound: float | None
    unit: str
    more_is_better: bool
    aim: float | None = None

    def met(self, measured: float) -> bool:
        return self.bound is None or (measured >= self.bound if self.more_is_better else measured <= self.bound)

    def decibels(self, measured: float) -> float:
        """How far beyond the goal, positive, or short of it."""
        assert self.bound is not None
        ratio = measured / self.bound if self.more_is_better else self.bound / max(measured, 1e-300)
        return 10 * math.log10(ratio)

    def show(self, value: float) -> str:
        text = f"{value:.3g}"
        return f"{value:.0f}{self.unit}" if "e" in text else text + self.unit


def at_least(bound: float, unit: str, aim: float | None = None) -> Goal:
    return Goal(bound, unit, True, aim)


def at_most(bound: float, unit: str, aim: float | None = None) -> Goal:
    return Goal(bound, unit, False, aim)


def no_goal(unit: str) -> Goal:
    return Goal(None, unit, True)


@dataclass(frozen=True)
class Race:
    """The least seconds of each side; nan where benchmarks are disabled."""

    ours: float
    rival: float

    @property
    def speedup(self) -> float:
        return self.rival / self.ours

    @property
    def share(self) -> float:
        return self.ours / self.rival


@dataclass(frozen=True)
class Judge:
    """Measures with pytest-benchmark, holds figures against goals and keeps both in `benchmark.extra_info`."""

    benchmark: Any
    full: bool
    lines: list[str]

    def race(self, ours: Callable[[], object], rival: Callable[[], object], rounds: int) -> Race:
        """Both in turn, rival first, after one turn that does not count."""
        taken = []

        def run_rival() -> None:
            begin = time.perf_counter()
            rival()
            taken.append(time.perf_counter() - begin)

        self.benchmark.pedantic(ours, setup=run_rival, rounds=rounds, warmup_rounds=1)
        return Race(self._least(), min(taken[1:], default=math.nan))

    def seconds(self, call: Callable[[], object], calls: int = 1, rounds: int = 20) -> float:
        """The least mean time of `calls` calls in a row."""
        self.benchmark.pedantic(call, rounds=rounds, iterations=calls, warmup_rounds=1)
        return self._least()

    def in_turn(self, jobs: dict[Any, Callable[[], object]], calls: int, rounds: int = 20) -> dict[Any, float]:
        """The least mean time of `calls` calls of each job, all jobs in turn."""
        taken: dict[Any, list[float]] = {name: [] for name in jobs}

        def all_jobs() -> None:
            for name, job in jobs.items():
                begin = time.perf_counter()
                for _ in range(calls):
                    job()
                taken[name].append((time.perf_counter() - begin) / calls)

        self.benchmark.pedantic(all_jobs, rounds=rounds, warmup_rounds=1)
        return {name: math.nan if self.benchmark.disabled else min(times[1:]) for name, times in taken.items()}

    def _least(self) -> float:
        return math.nan if self.benchmark.disabled else float(self.benchmark.stats.stats.min)

    def report(self, job: str, what: str, measured: float, goal: Goal, note: str = "") -> None:
        """Record a figure and, at full size, insist on its goal."""
        if math.isnan(measured):
            return
        line = f"{job}: {what}"
        if goal.bound is None:
            line += f" {goal.show(measured)}"
        else:
            line += f": goal {goal.show(goal.bound)}, measured {goal.show(measured)}, {goal.decibels(measured):+.1f} dB"
            if goal.aim is not None:
                line += f" (aim {goal.show(goal.aim)})"
        if note:
            line += f"; {note}"
        self.lines.append(line)
        self.benchmark.extra_info.setdefault("figures", []).append(
            {
                "job": job,
                "what": what,
                "measured": goal.show(measured),
                "goal": "" if goal.bound is None else goal.show(goal.bound),
                "aim": "" if goal.aim is None else goal.show(goal.aim),
                "decibels": "" if goal.bound is None else f"{goal.decibels(measured):+.1f}",
                "note": note,
            }
        )
        if self.full:
            assert goal.met(measured), line


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:.3g} ms"


def need_processors(count: int) -> None:
    usable = fp.build_info()["threads"]
    if usable < count:
        pytest.skip(f"needs {count} processors, this process may use {usable}")
