"""Rivals that are programs: a loop over std::priority_queue, compiled here, and another library's engine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from flushpoint._validate import FloatArray
from flushpoint.bench.workloads import FLOORS, FUND, RATES, Slices

_HERE = Path(__file__).parent


def compiler() -> str | None:
    """The C++ compiler that CXX names, or the system's; None where there is none."""
    return shutil.which(os.environ.get("CXX", "c++"))


def compile_queue(folder: Path) -> Path:
    """The loop over std::priority_queue as a program in `folder`."""
    program, found = folder / "priority_queue", compiler()
    assert found is not None
    subprocess.run([found, "-O3", "-std=c++17", "-o", program, _HERE / "priority_queue.cpp"], check=True)
    return program


def run_queue(program: Path, columns: tuple[FloatArray, ...], job: Slices) -> tuple[float, list[float]]:
    """Seconds of processor time, and what the program found; see its source.

    `columns` are those of `workloads.settled_book`.
    """
    book, starts = (program.with_name(name) for name in ("book", "starts"))
    np.concatenate(columns).tofile(book)
    job.starts.tofile(starts)
    numbers = [repr(float(x)) for x in (job.fraction, job.coefficient, FUND)]
    seconds, *told = _numbers([str(program), str(book), str(starts), *numbers])
    return seconds, told


def has_lrvx() -> bool:
    """Whether lrvx can be imported: in a process of its own, for beside other libraries it may not load."""
    return subprocess.run([sys.executable, "-c", "import lrvx"], capture_output=True, check=False).returncode == 0


def run_lrvx(
    folder: Path, columns: dict[str, Any], start: float, coefficient: float, fund: float, *, deleverages: bool
) -> tuple[float, float, float, float]:
    """Seconds, final price, positions closed and waves of one cascade in `workloads.tiered_book`."""
    file = folder / "columns.npz"
    np.savez(file, floor=FLOORS, rate=RATES, **columns)
    numbers = [repr(float(x)) for x in (start, coefficient, fund)]
    driver = [sys.executable, str(_HERE / "drive_lrvx.py"), str(file)]
    seconds, price, closed, waves = _numbers([*driver, *numbers, "yes" if deleverages else "no"])
    return seconds, price, closed, waves


def _numbers(command: list[str]) -> list[float]:
    line = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return list(map(float, line.split()))
