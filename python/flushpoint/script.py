"""A script: what others do to a market while paths run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flushpoint._clock import ends
from flushpoint._validate import FloatArray, check, count, finite_array, memory, number, read_only, restore


@dataclass(frozen=True, eq=False)
class Script:
    """What others do to the market at given times, the same in every path.

    Parameters
    ----------
    time : array_like, shape (n,)
        Seconds after the start, above 0 and at most the run's horizon. An event happens at the end of the step that
        it falls into; several in one step add up.
    sell : array_like, default 0.0
        Quantity sold at each time (negative: bought), base units; it moves the price as forced sales do, and is not
        counted as liquidated.
    move : array_like, default 0.0
        Log move of the exogenous price at each time: -0.05 is a fall of about 5 %.

    Examples
    --------
    A sell-off of 3,000 units in the first hour, a sixtieth a minute:

    >>> script = Script(60.0 * np.arange(1, 61), sell=50.0)
    """

    time: FloatArray
    sell: FloatArray = 0.0  # type: ignore[assignment]
    move: FloatArray = 0.0  # type: ignore[assignment]

    def __post_init__(self) -> None:
        columns = [np.array(finite_array(name, getattr(self, name))) for name in ("time", "sell", "move")]
        if columns[0].ndim > 1:
            raise ValueError(f"time must have one dimension, was of shape {columns[0].shape}")
        time = columns[0].reshape(-1)
        check("time", time, time > 0, "above 0")
        for name, column in zip(("time", "sell", "move"), (time, *columns[1:]), strict=True):
            if column.ndim > 1 or column.size not in (1, time.size):
                raise ValueError(
                    f"{name} must be a number or as long as time, {time.size}, was of shape {column.shape}"
                )
            full = np.array(np.broadcast_to(column.reshape(-1), time.shape))
            read_only(full)
            object.__setattr__(self, name, full)

    __setstate__ = restore

    @classmethod
    def evenly(cls, start: float, end: float, events: int, *, sell: float = 0.0, move: float = 0.0) -> Script:
        """Make a script of equal parts, spread over a stretch of time.

        Parameters
        ----------
        start, end : float
            Seconds after the run's start between which it happens, the end later; the events stand at the ends of
            `events` intervals of one length.
        events : int
            How many, at least 1: one a step leaves no gaps.
        sell : float, default 0.0
            Sold in all (negative: bought), base units.
        move : float, default 0.0
            Log move of the exogenous price in all.

        Returns
        -------
        Script

        Examples
        --------
        >>> Script.evenly(0.0, 3_600.0, 4, sell=100.0).sell
        array([25., 25., 25., 25.])
        """
        begin = number("start", start, at_least=0)
        last = number("end", end, above=begin)
        n = count("events", events, 1)
        memory("events", n, 24)
        time = begin + (last - begin) * (np.arange(1.0, n + 1.0) / n)
        each = [np.array(number(name, value) / n) for name, value in (("sell", sell), ("move", move))]
        return cls(time, *each)

    def __add__(self, other: Script) -> Script:
        """Both together."""
        if not isinstance(other, Script):
            return NotImplemented
        return Script(*(np.concatenate([getattr(self, n), getattr(other, n)]) for n in ("time", "sell", "move")))

    def until(self, end: float) -> Script | None:
        """What happens up to a time, in seconds, if anything does."""
        kept = self.time <= end * (1 + 1e-12)
        return Script(self.time[kept], self.sell[kept], self.move[kept]) if kept.any() else None

    def _step(self, dt: float, steps: int) -> NDArray[np.int64]:
        """The step, counted from 0, at whose end each event happens."""
        step = ends(self.time, dt)
        check("time", self.time, step <= steps, f"at most the horizon, {dt * steps:g}")
        return step.astype(np.int64) - 1

    def _engine(self, dt: float, steps: int) -> tuple[FloatArray | None, FloatArray | None]:
        """Moves and sales of each step."""
        memory("steps", steps, 16)
        step = self._step(dt, steps)

        def each(values: FloatArray) -> FloatArray | None:
            return np.bincount(step, values, steps).astype(np.float64) if values.any() else None

        return each(self.move), each(self.sell)
