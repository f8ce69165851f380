"""Laws that random books are drawn from: of distances, of quantities."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from flushpoint import _core
from flushpoint._validate import FloatArray, check, finite_array, number, positive, read_only, restore
from flushpoint.mix import LeverageMix

EngineLaw: TypeAlias = tuple[int, FloatArray]
_NEVER = 1e300  # a distance
_LARGEST = 1e100  # of what laws are made of: sums of very many large draws stay finite


class Law(ABC):
    """A law of positive numbers; see its kinds."""

    def _check(self, name: str, **bounds: Any) -> None:
        object.__setattr__(self, name, number(name, getattr(self, name), **bounds))

    @abstractmethod
    def _engine(self, side: int) -> EngineLaw:
        """The engine's number of this kind, and its parameters, for positions of one side."""


@dataclass(frozen=True)
class Uniform(Law):
    """Evenly spread between two bounds.

    Parameters
    ----------
    low, high : float
        0 <= low < high.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        self._check("low", at_least=0)
        self._check("high", above=self.low, at_most=_LARGEST)

    def _engine(self, side: int) -> EngineLaw:
        return 1, np.array([self.low, self.high])


@dataclass(frozen=True)
class Exponential(Law):
    """Exponential, with density exp(-x / mean) / mean.

    Parameters
    ----------
    mean : float
        Positive, at most 1e100.
    """

    mean: float

    def __post_init__(self) -> None:
        self._check("mean", above=0, at_most=_LARGEST)

    def _engine(self, side: int) -> EngineLaw:
        return 2, np.array([self.mean])


@dataclass(frozen=True)
class LogNormal(Law):
    """A number whose logarithm is normal.

    Parameters
    ----------
    median : float
        Positive, at most 1e100. The mean is median * exp(sigma ** 2 / 2).
    sigma : float
        Standard deviation of the logarithm, above 0 and at most 20.
    """

    median: float
    sigma: float

    def __post_init__(self) -> None:
        self._check("median", above=0, at_most=_LARGEST)
        self._check("sigma", above=0, at_most=20)

    def _engine(self, side: int) -> EngineLaw:
        return 3, np.array([self.median, self.sigma])


@dataclass(frozen=True)
class Pareto(Law):
    """A power tail: the chance to be above x is (scale / x) ** exponent, x >= scale.

    Parameters
    ----------
    scale : float
        The least value, positive, at most 1e100.
    exponent : float
        At least 0.1. The mean is scale * exponent / (exponent - 1), infinite for exponents up to 1.
    """

    scale: float
    exponent: float

    def __post_init__(self) -> None:
        self._check("scale", above=0, at_most=_LARGEST)
        self._check("exponent", at_least=0.1)

    def _engine(self, side: int) -> EngineLaw:
        return 4, np.array([self.scale, self.exponent])


@dataclass(frozen=True, eq=False)
class Table(Law):
    """One of the values of a sample, each as likely as the others.

    Parameters
    ----------
    values : array_like, shape (n,)
        Positive, at most 1e100; the law keeps a sorted copy.
    """

    values: FloatArray

    def __init__(self, values: ArrayLike) -> None:
        array = np.sort(finite_array("values", values), axis=None)
        if np.ndim(values) != 1 or array.size == 0:
            raise ValueError(f"values must have one dimension and at least one entry, was of shape {np.shape(values)}")
        given = finite_array("values", values)
        positive("values", given)
        check("values", given, given <= _LARGEST, f"at most {_LARGEST:g}")
        read_only(array)
        object.__setattr__(self, "values", array)

    __setstate__ = restore

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Table) and np.array_equal(self.values, other.values)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Table(<{self.values.size:,} values from {self.values[0]:g} to {self.values[-1]:g}>)"

    def _engine(self, side: int) -> EngineLaw:
        return 5, self.values


@dataclass(frozen=True)
class Leveraged(Law):
    """Distances to the liquidation prices of leveraged positions entered around the present price.

    A position of leverage L was entered at price * exp(entry_spread * z) with z a standard normal, and its liquidation
    price is entry * (1 - 1/L) / (1 - maintenance_rate) for a long, entry * (1 + 1/L) / (1 + maintenance_rate) for a
    short: the isolated positions of `liquidation_price` without fees or tiers. Those that would be nearer than
    `nearest`, or already beyond the price, are left out. A law of distances only.

    Parameters
    ----------
    leverage_mix : LeverageMix
        Its shares are read as shares of the number of positions, before any is left out. A long of leverage up to 1
        is never liquidated.
    entry_spread : float
        Standard deviation of the log entry price, positive.
    maintenance_rate : float, default 0.005
        At least 0 and below 1.
    nearest : float, default 0.0
        Log distance, at least 0.
    """

    leverage_mix: LeverageMix
    entry_spread: float
    maintenance_rate: float = 0.005
    nearest: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.leverage_mix, LeverageMix):
            raise TypeError(f"leverage_mix must be a LeverageMix, was {self.leverage_mix!r}")
        self._check("entry_spread", above=0)
        self._check("maintenance_rate", at_least=0, below=1)
        self._check("nearest", at_least=0)

    def _engine(self, side: int) -> EngineLaw:
        left = np.maximum(1 - side / self.leverage_mix.leverage, 0.0) / (1 - side * self.maintenance_rate)
        offset = np.where(left > 0, -side * _core.log(left), _NEVER)
        nearer = (self.nearest - offset) / self.entry_spread / math.sqrt(2)
        remains = sum(share * 0.5 * math.erfc(z) for share, z in zip(self.leverage_mix.share, nearer, strict=True))
        if remains < 1e-9:
            raise ValueError(f"distance must leave positions beyond {self.nearest:g}, was {self}")
        return 6, np.array([self.entry_spread, self.nearest, *self.leverage_mix.share, *offset])


def sized(name: str, quantity: object) -> Law | float:
    """Return a law of sizes, or a positive number."""
    if isinstance(quantity, Leveraged):
        raise TypeError(f"{name} must be a law of sizes, was {quantity!r}")
    return quantity if isinstance(quantity, Law) else number(name, quantity, above=0, at_most=_LARGEST)


def engine_of_quantity(quantity: Law | float, side: int) -> EngineLaw:
    """The engine's kind and parameters of a law of sizes or of one size."""
    return quantity._engine(side) if isinstance(quantity, Law) else (0, np.array([quantity]))
