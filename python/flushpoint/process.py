"""Processes: how the exogenous log price f moves from step to step.

A step lasts ``horizon / steps`` seconds, and a year 365 days. Each process says what a step's log return r is.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flushpoint import _core
from flushpoint._clock import ends
from flushpoint._validate import (
    FloatArray,
    aligned,
    check,
    count,
    finite_array,
    memory,
    number,
    positive,
    read_only,
    restore,
)

YEAR = 365 * 86_400.0

# ProcessKind in the engine.
_GBM, _JUMPS, _STUDENT_T, _GARCH, _BOOTSTRAP, _RETURNS, _BRIDGE = range(7)

EngineProcess = tuple[int, FloatArray, NDArray[np.floating[Any]] | None]


class Process(ABC):
    """A law of the exogenous log price's returns."""

    @abstractmethod
    def _engine(self, dt_seconds: float) -> EngineProcess:
        """Return kind, parameters of one step and, where there are any, given returns."""

    def _until(self, steps: int, most: int) -> Process:
        """The first of `most` steps alone."""
        return self

    __setstate__ = restore

    def _check(self, *names: str, **bounds: Any) -> None:
        for name in names:
            object.__setattr__(self, name, number(name, getattr(self, name), **bounds))


def _parameters(*values: float) -> FloatArray:
    return finite_array("parameters of a step", np.array(values, dtype=np.float64))


@dataclass(frozen=True)
class GBM(Process):
    """Geometric Brownian motion: r = (drift - volatility^2/2) dt + volatility sqrt(dt) z, with z standard normal.

    Parameters
    ----------
    volatility : float
        Per square root of a year, at least 0: 0.6 is 60 % a year.
    drift : float, default 0.0
        Growth rate of the expected price, per year.

    Examples
    --------
    >>> print(GBM(0.6))
    geometric Brownian motion: volatility 60% a year, drift 0% a year
    """

    volatility: float
    drift: float = 0.0

    def __post_init__(self) -> None:
        self._check("volatility", at_least=0)
        self._check("drift")

    def _engine(self, dt_seconds: float) -> EngineProcess:
        dt = dt_seconds / YEAR
        mean = (self.drift - 0.5 * self.volatility * self.volatility) * dt
        return _GBM, _parameters(mean, self.volatility * math.sqrt(dt)), None

    def __str__(self) -> str:
        return f"geometric Brownian motion: {_yearly(self)}"


@dataclass(frozen=True)
class JumpDiffusion(Process):
    """Geometric Brownian motion with jumps (Merton 1976).

    r = (drift - volatility^2/2 - jump_rate k) dt + volatility sqrt(dt) z + J_1 + ... + J_N, with N Poisson of mean
    jump_rate dt, J normal of mean jump_mean and deviation jump_volatility, and k = E[exp(J)] - 1 =
    exp(jump_mean + jump_volatility^2/2) - 1: so jumps are compensated, and the expected price grows with `drift`.

    Parameters
    ----------
    volatility : float
        Of the moves between jumps, per square root of a year, at least 0.
    jump_rate : float
        Jumps a year, at least 0, and at most 10,000 on average in a step of a run.
    jump_mean : float
        Mean log jump: -0.05 is about a fall of 5 %.
    jump_volatility : float
        Standard deviation of the log jump, at least 0.
    drift : float, default 0.0
        Growth rate of the expected price, per year.

    Examples
    --------
    >>> print(JumpDiffusion(0.5, 12.0, -0.05, 0.02))
    jump diffusion: volatility 50% a year, drift 0% a year, 12 jumps a year, log jumps -0.05 +- 0.02
    """

    volatility: float
    jump_rate: float
    jump_mean: float
    jump_volatility: float
    drift: float = 0.0

    def __post_init__(self) -> None:
        self._check("volatility", "jump_rate", "jump_volatility", at_least=0)
        self._check("jump_mean", "drift")
        if not math.isfinite(self._growth()):
            raise ValueError(
                f"jump_mean must leave the expected jump finite, was {self.jump_mean} with a jump_volatility of "
                f"{self.jump_volatility}"
            )

    def _growth(self) -> float:
        exponent = self.jump_mean + 0.5 * self.jump_volatility * self.jump_volatility
        # The engine's own exponential: the same bits everywhere.
        return float(_core.exp(_parameters(exponent))[0]) - 1.0

    def _engine(self, dt_seconds: float) -> EngineProcess:
        dt = dt_seconds / YEAR
        mean = (self.drift - 0.5 * self.volatility * self.volatility - self.jump_rate * self._growth()) * dt
        deviation = self.volatility * math.sqrt(dt)
        number("jump_rate x horizon / steps", self.jump_rate * dt, at_most=10_000)
        return _JUMPS, _parameters(mean, deviation, self.jump_rate * dt, self.jump_mean, self.jump_volatility), None

    def __str__(self) -> str:
        return (
            f"jump diffusion: {_yearly(self)}, {self.jump_rate:g} jumps a year, "
            f"log jumps {self.jump_mean:g} +- {self.jump_volatility:g}"
        )


@dataclass(frozen=True)
class StudentT(Process):
    """Heavy-tailed returns: r = (drift - volatility^2/2) dt + scale T, with T of Student's t law.

    scale = volatility sqrt(dt (degrees - 2)/degrees), so that a step has variance volatility^2 dt. Steps are
    independent: over many of them the tail thins towards a normal one.

    Parameters
    ----------
    volatility : float
        Per square root of a year, at least 0.
    degrees : float
        Degrees of freedom, above 2: the fewer, the heavier the tail.
    drift : float, default 0.0
        Per year; of the geometric Brownian motion of the same volatility. A Student t has no finite exponential
        moment, so that the expected price of this process is infinite for any drift.

    Examples
    --------
    >>> print(StudentT(0.8, 3))
    Student t with 3 degrees of freedom: volatility 80% a year, drift 0% a year
    """

    volatility: float
    degrees: float
    drift: float = 0.0

    def __post_init__(self) -> None:
        self._check("volatility", at_least=0)
        self._check("degrees", above=2)
        self._check("drift")

    def _engine(self, dt_seconds: float) -> EngineProcess:
        dt = dt_seconds / YEAR
        mean = (self.drift - 0.5 * self.volatility * self.volatility) * dt
        scale = self.volatility * math.sqrt(dt * ((self.degrees - 2) / self.degrees))
        return _STUDENT_T, _parameters(mean, scale, self.degrees), None

    def __str__(self) -> str:
        return f"Student t with {self.degrees:g} degrees of freedom: {_yearly(self)}"


@dataclass(frozen=True)
class GARCH(Process):
    """Clustered volatility, GARCH(1, 1) (Bollerslev 1986): r_t = drift + s_t z_t, with z standard normal.

    s_{t+1}^2 = omega + alpha (r_t - drift)^2 + beta s_t^2. All parameters are those of one step, as they are fitted:
    they do not follow when the length of a step changes.

    Parameters
    ----------
    omega, alpha, beta : float
        At least 0; alpha + beta below 1 unless `variance` is given.
    drift : float, default 0.0
        Mean log return of a step.
    variance : float, optional
        s^2 of the first step, at least 0; the stationary one, omega/(1 - alpha - beta), by default.

    Examples
    --------
    >>> print(GARCH(1e-7, 0.1, 0.8))
    GARCH per step: omega 1e-07, alpha 0.1, beta 0.8, drift 0, first deviation 0.001
    """

    omega: float
    alpha: float
    beta: float
    drift: float = 0.0
    variance: float | None = None

    def __post_init__(self) -> None:
        self._check("omega", "alpha", "beta", at_least=0)
        self._check("drift")
        if self.variance is not None:
            self._check("variance", at_least=0)
        elif not self.alpha + self.beta < 1:
            raise ValueError(
                f"alpha + beta must be below 1 unless variance is given, was {self.alpha} + {self.beta} = "
                f"{self.alpha + self.beta}"
            )

    def _first_variance(self) -> float:
        return self.omega / (1 - self.alpha - self.beta) if self.variance is None else self.variance

    def _engine(self, dt_seconds: float) -> EngineProcess:
        return _GARCH, _parameters(self.drift, self.omega, self.alpha, self.beta, self._first_variance()), None

    def __str__(self) -> str:
        return (
            f"GARCH per step: omega {self.omega:g}, alpha {self.alpha:g}, beta {self.beta:g}, drift {self.drift:g}, "
            f"first deviation {math.sqrt(self._first_variance()):.3g}"
        )


@dataclass(frozen=True, eq=False)
class Bootstrap(Process):
    """Past returns drawn again, in blocks (circular block bootstrap, Politis and Romano 1992).

    Each block starts at a return drawn at random, all alike, and runs on through `block` of them, past the last to the
    first. r = drift + the return drawn.

    Parameters
    ----------
    returns : array_like, shape (n,)
        Log returns, one a step: their spacing in time should be that of a step. At least `block` of them; copied.
    block : int, default 1
        Returns a block, at least 1: long enough to keep what volatility clusters together.
    drift : float, default 0.0
        Log return added to every step. The mean of `returns` stays in: ``drift=-np.mean(returns)`` takes it out.

    Examples
    --------
    >>> print(Bootstrap([0.01, -0.02, 0.005], block=2))
    bootstrap of 3 log returns in blocks of 2: mean -0.00167, deviation 0.0131, drift 0 a step
    """

    returns: FloatArray
    block: int = 1
    drift: float = 0.0

    def __post_init__(self) -> None:
        values = np.array(finite_array("returns", self.returns))
        if values.ndim != 1:
            raise ValueError(f"returns must have one dimension, was of shape {values.shape}")
        object.__setattr__(self, "block", count("block", self.block, 1))
        self._check("drift")
        if values.size < self.block:
            raise ValueError(f"returns must have at least block = {self.block} entries, was of length {values.size}")
        read_only(values)
        object.__setattr__(self, "returns", values)

    def _engine(self, dt_seconds: float) -> EngineProcess:
        return _BOOTSTRAP, _parameters(self.drift, self.block), self.returns

    def __str__(self) -> str:
        return (
            f"bootstrap of {self.returns.size:,} log returns in blocks of {self.block:,}: mean "
            f"{self.returns.mean():.3g}, deviation {self.returns.std():.3g}, drift {self.drift:g} a step"
        )

    def __repr__(self) -> str:
        return f"Bootstrap(<{self.returns.size:,} log returns>, block={self.block}, drift={self.drift})"


@dataclass(frozen=True, eq=False)
class Returns(Process):
    """Given log returns: in step t, path i moves by r = array[i, t].

    Parameters
    ----------
    array : array_like, shape (paths, steps) or, for accounts, (paths, steps, markets)
        Finite log returns. An array of float64 or float32 in C order and native byte order is kept without a copy, so
        leave it alone until the run is over; anything else is copied into such an array once (float32 stays float32,
        other types become float64).

    Examples
    --------
    >>> print(Returns([[0.01, -0.02], [0.0, 0.03]]))
    given log returns: 2 paths of 2 steps, from -0.02 to 0.03
    """

    array: NDArray[np.floating[Any]]

    def __post_init__(self) -> None:
        values = _of_paths("array", self.array)
        read_only(values)
        object.__setattr__(self, "array", values)

    def _engine(self, dt_seconds: float) -> EngineProcess:
        return _RETURNS, _parameters(), self.array

    def _check_shape(self, steps: int, paths: range) -> None:
        """Raise unless there is a row for each path, and a column for each step, of one market."""
        if self.array.ndim != 2:
            raise ValueError(f"process must be Returns of one market, was of shape {self.array.shape}")
        self._check_steps(steps)
        rows = self.array.shape[0]
        if paths.stop > rows:
            raise ValueError(f"paths must end within the {rows:,} rows of Returns, was {paths!r}")

    def _check_steps(self, steps: int) -> None:
        columns = self.array.shape[1]
        if columns != steps:
            raise ValueError(f"steps must be the number of columns of Returns, {columns:,}, was {steps:,}")

    def _until(self, steps: int, most: int) -> Returns:
        self._check_steps(most)
        return Returns(self.array[:, :steps])

    def _size(self) -> str:
        paths, steps, *markets = self.array.shape
        return f"{paths:,} paths of {steps:,} steps" + (f" in {markets[0]:,} markets" if markets else "")

    def __str__(self) -> str:
        return f"given log returns: {self._size()}, from {self.array.min():.3g} to {self.array.max():.3g}"

    def __repr__(self) -> str:
        return f"Returns(<{self._size()}, {self.array.dtype}>)"


@dataclass(frozen=True, eq=False)
class BrownianBridge(Process):
    """Geometric Brownian motion that comes through given prices at given times: a known course, with noise in between.

    From one given price to the next the log price is a Brownian bridge on top of a straight line. With n steps left
    to the given price, this one included, and noise e so far, a step's log return is r = L/N + sqrt((n - 1)/n)
    volatility sqrt(dt) z - e/n, with z standard normal, L the log move from the given price before to this one and N
    the steps in between. After the last given price it goes on as a `GBM` without drift.

    Parameters
    ----------
    volatility : float
        Per square root of a year, at least 0.
    time : array_like, shape (n,)
        Seconds after the start, above 0 and rising by at least a step of the run; at the end of the step that each
        falls into the price is met. They may lie beyond the horizon.
    price : array_like, shape (n,)
        The exogenous price at each time, positive. The market's own differs by what is sold and bought there.
    start : float
        The price at the start, positive: as only ratios count, that of the market, or 1 for prices relative to it.

    Examples
    --------
    From 126,000 to 60,000 in a hundred days, and two days later at 70,000:

    >>> print(BrownianBridge(0.45, [100 * 86_400, 102 * 86_400], [60_000, 70_000], start=126_000))
    Brownian bridge: volatility 45% a year, from 126,000 by 60,000 to 70,000
    """

    volatility: float
    time: FloatArray
    price: FloatArray
    start: float

    def __post_init__(self) -> None:
        self._check("volatility", at_least=0)
        self._check("start", above=0)
        for name in ("time", "price"):
            values = np.atleast_1d(np.array(finite_array(name, getattr(self, name))))
            if values.ndim > 1:
                raise ValueError(f"{name} must have one dimension, was of shape {values.shape}")
            positive(name, values)
            read_only(values)
            object.__setattr__(self, name, values)
        if self.time.size != self.price.size or not self.time.size:
            raise ValueError(
                f"price must have an entry for each time, at least one, was of length {self.price.size} for "
                f"{self.time.size}"
            )
        check("time", self.time, np.diff(self.time, prepend=0.0) > 0, "rising")

    def _engine(self, dt_seconds: float) -> EngineProcess:
        step = ends(self.time, dt_seconds)
        check(
            "time",
            self.time,
            np.diff(step, prepend=0.0) >= 1,
            f"at least a step, {dt_seconds:g} s, after the one before",
        )
        memory("steps until the last time", step[-1], 40)
        each = np.diff(step, prepend=0.0).astype(np.int64)
        log_price = _core.log(np.concatenate([[self.start], self.price]))
        move = np.repeat(np.diff(log_price) / each, each)
        left = np.concatenate([np.arange(n, 0.0, -1.0) for n in each])
        dt = dt_seconds / YEAR
        rest = _parameters(self.volatility * math.sqrt(dt), -0.5 * self.volatility * self.volatility * dt)
        return _BRIDGE, rest, finite_array("returns of a step", np.stack([move, left]))

    def __str__(self) -> str:
        by = f" by {', '.join(f'{price:,.6g}' for price in self.price[:-1])}" if self.price.size > 1 else ""
        return (
            f"Brownian bridge: volatility {100 * self.volatility:.4g}% a year, from {self.start:,.6g}{by} to "
            f"{self.price[-1]:,.6g}"
        )

    def __repr__(self) -> str:
        return f"BrownianBridge({self.volatility!r}, <{self.time.size:,} times and prices>, start={self.start!r})"


def _of_paths(name: str, values: ArrayLike) -> NDArray[np.floating[Any]]:
    """Return finite values as a view of float32 or float64 in C order, copied only where they are not."""
    if isinstance(values, np.ndarray) and values.dtype.type is np.float32:
        array: NDArray[np.floating[Any]] = aligned(np.ascontiguousarray(values, dtype=np.float32))
        with np.errstate(over="ignore", invalid="ignore"):  # a sum is quick, and finite only if all elements are
            if not np.isfinite(array.sum()):
                check(name, array, np.isfinite(array), "finite")
    else:
        array = finite_array(name, values)
    if array.ndim not in (2, 3) or array.size == 0:
        raise ValueError(f"{name} must have the shape (paths, steps), at least one of each, was of shape {array.shape}")
    return array.view()  # so that making it read-only leaves the caller's array as it is


def _yearly(process: GBM | JumpDiffusion | StudentT) -> str:
    return f"volatility {100 * process.volatility:.4g}% a year, drift {100 * process.drift:.4g}% a year"
