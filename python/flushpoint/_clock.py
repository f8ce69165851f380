"""Times of a run, in steps: an event happens at the end of the step that it falls into."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from flushpoint._validate import FloatArray


def ends(time: FloatArray, dt: float) -> FloatArray:
    """Return after how many steps each time is reached, at least one."""
    # A time that is a step's end but for rounding belongs to that step.
    return np.maximum(np.ceil(time / dt * (1 - 1e-12) - 1e-9), 1.0)


def whole_steps(name: str, time: float, dt: float, most: int) -> int:
    """Return after how many steps, at least one and at most `most`, a time comes that is the end of one."""
    steps = round(time / dt)
    if not 1 <= steps <= most or abs(steps * dt - time) > 1e-9 * time:
        raise ValueError(f"{name} must be a multiple of a step, {dt:g} s, up to {dt * most:g}, was {time:g}")
    return steps


def every(whose: str, interval: float, dt: float, steps: int) -> NDArray[np.int64]:
    """Return the steps, counted from 0, at whose end a multiple of `interval` is reached."""
    if interval < dt * (1 - 1e-12):
        raise ValueError(f"interval of {whose} must be at least a step, {dt:g} s, was {interval:g}")
    horizon = dt * steps
    count = min(int(horizon / interval * (1 + 1e-12)), steps)
    if count == 0:
        raise ValueError(f"interval of {whose} must be at most the horizon, {horizon:g} s, was {interval:g}")
    return np.minimum(ends(interval * np.arange(1.0, count + 1), dt), steps).astype(np.int64) - 1
