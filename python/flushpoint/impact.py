"""Price impact: by how much a traded quantity displaces the log price, and what it fetches on the way.

All families are functions of the *cumulative* recovering quantity V, never of one order's size, so that splitting a
sale changes nothing. V > 0 after net selling, which meets the bids; V < 0 after net buying, which meets the asks.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from flushpoint import _core
from flushpoint._validate import FloatArray, check, finite_array, number, positive, read_only, real_array, restore

_LINEAR, _POWER, _SQUARE_ROOT, _DEPTH, _EVAPORATING = range(5)  # ImpactKind in cpp/include/flushpoint/impact.hpp


def shaped(values: FloatArray, like: FloatArray) -> FloatArray | float:
    """Return a flat result in the shape of the argument, a float for a scalar."""
    return values.reshape(like.shape) if like.ndim else float(values[0])


def _at_unit_liquidity(name: str, values: FloatArray, liquidity: float) -> FloatArray:
    with np.errstate(over="ignore"):
        scaled: FloatArray = np.ravel(values) / liquidity
    check(f"{name} / liquidity", scaled, np.isfinite(scaled), "finite")
    return scaled


class Impact(ABC):
    """A family of impact functions h(V): the log displacement caused by a recovering quantity V, in base units."""

    _parameters: FloatArray

    @property
    @abstractmethod
    def _kind(self) -> int: ...

    @abstractmethod
    def _unit(self) -> str:
        """Describe the function in a few words."""

    def __str__(self) -> str:
        return self._unit()

    __setstate__ = restore

    def _freeze(self, *parameters: float | FloatArray) -> None:
        packed = np.concatenate([np.atleast_1d(np.asarray(p, dtype=np.float64)) for p in parameters])
        read_only(packed)
        object.__setattr__(self, "_parameters", packed)

    def _market(self) -> tuple[float, float, float, float, int, FloatArray, None]:
        """A market at price 1 with this impact alone, as the engine takes it."""
        return (1.0, 0.0, 0.0, 1.0, self._kind, self._parameters, None)

    def displacement(self, volume: ArrayLike, *, liquidity: float = 1.0) -> FloatArray | float:
        """Log displacement h(volume / liquidity): how far the log price lies below where it would be.

        Parameters
        ----------
        volume : array_like
            Net quantity sold and not yet recovered, in base units; negative after net buying.
        liquidity : float, default 1.0
            Factor on the available depth: 0.5 is half as deep.

        Returns
        -------
        float or ndarray
            Positive for net selling, negative for net buying; the shape of `volume`.
        """
        v = finite_array("volume", volume)
        scale = number("liquidity", liquidity, above=0)
        return shaped(_core.displacement(self._market(), _at_unit_liquidity("volume", v, scale)), v)

    def inverse(self, displacement: ArrayLike, *, liquidity: float = 1.0) -> FloatArray | float:
        """The volume that causes a log displacement; inf where no finite volume does.

        Parameters
        ----------
        displacement : array_like
            Log displacement, positive downward.
        liquidity : float, default 1.0
            Factor on the available depth.

        Returns
        -------
        float or ndarray
            Base units; negative for a negative displacement; the shape of `displacement`.
        """
        x = finite_array("displacement", displacement)
        scale = number("liquidity", liquidity, above=0)
        with np.errstate(over="ignore"):  # inf is what no finite volume causes
            return shaped(_core.inverse(self._market(), x.reshape(-1)) * scale, x)

    def proceeds(self, quantity: ArrayLike, volume: ArrayLike = 0.0, *, liquidity: float = 1.0) -> FloatArray | float:
        """Money received for selling `quantity` after `volume`, at an undisplaced price of 1 and without spread.

        The integral of exp(-h(u)) for u from `volume` to `volume + quantity`: in closed form where there is one, by
        Gauss-Legendre rules otherwise, to about 1e-13 either way.

        Parameters
        ----------
        quantity : array_like
            Quantity sold, in base units; negative to buy.
        volume : array_like, default 0.0
            Net quantity sold before; broadcast against `quantity`.
        liquidity : float, default 1.0
            Factor on the available depth.

        Returns
        -------
        float or ndarray
            Negative for a purchase (money paid); the shape of the arguments broadcast.
        """
        q, v = np.broadcast_arrays(finite_array("quantity", quantity), finite_array("volume", volume))
        scale = number("liquidity", liquidity, above=0)
        flat_q, flat_v = _at_unit_liquidity("quantity", q, scale), _at_unit_liquidity("volume", v, scale)
        with np.errstate(over="ignore"):
            return shaped(_core.proceeds(self._market(), flat_v, flat_q) * scale, q)


@dataclass(frozen=True)
class LinearImpact(Impact):
    """h(V) = coefficient * V (Kyle 1985).

    Parameters
    ----------
    coefficient : float
        Log displacement per base unit, at least 0.
    """

    coefficient: float

    @property
    def _kind(self) -> int:
        return _LINEAR

    def __post_init__(self) -> None:
        object.__setattr__(self, "coefficient", number("coefficient", self.coefficient, at_least=0))
        self._freeze(self.coefficient)

    def _unit(self) -> str:
        return f"linear impact: {self.coefficient:.4g} of log price per unit"


@dataclass(frozen=True)
class PowerImpact(Impact):
    """h(V) = coefficient * V ** exponent; below 1 concave, as metaorders are found to be, above 1 convex, as books are.

    Parameters
    ----------
    coefficient : float
        Log displacement of one base unit, at least 0.
    exponent : float
        From 0.01 to 100: beyond, the function is a step that doubles cannot tell apart.
    """

    coefficient: float
    exponent: float

    @property
    def _kind(self) -> int:
        return _POWER

    def __post_init__(self) -> None:
        object.__setattr__(self, "coefficient", number("coefficient", self.coefficient, at_least=0))
        object.__setattr__(self, "exponent", number("exponent", self.exponent, at_least=0.01, at_most=100))
        self._freeze(self.coefficient, self.exponent)

    def _unit(self) -> str:
        return f"power impact: {self.coefficient:.4g} * V^{self.exponent:g}"


@dataclass(frozen=True)
class SquareRootImpact(Impact):
    """The square-root law with a linear core.

    h(V) = prefactor * daily_volatility * (sqrt(V + core) - sqrt(core)) / sqrt(daily_volume)

    Parameters
    ----------
    daily_volatility : float
        Standard deviation of one day's log return, at least 0.
    daily_volume : float
        Quantity traded in a day, in base units, positive.
    prefactor : float, default 0.8
        Of order 1: 0.3 to 1.5 in the literature (Toth et al. 2011; Donier and Bonart 2015 for bitcoin).
    core : float, default 0.0
        Quantity, in base units, below which impact turns linear (Bucci et al. 2019: 1e-4 to 1e-3 of daily volume).
    """

    daily_volatility: float
    daily_volume: float
    prefactor: float = 0.8
    core: float = 0.0

    @property
    def _kind(self) -> int:
        return _SQUARE_ROOT

    def __post_init__(self) -> None:
        object.__setattr__(self, "daily_volatility", number("daily_volatility", self.daily_volatility, at_least=0))
        object.__setattr__(self, "daily_volume", number("daily_volume", self.daily_volume, above=0))
        object.__setattr__(self, "prefactor", number("prefactor", self.prefactor, at_least=0))
        object.__setattr__(self, "core", number("core", self.core, at_least=0))
        self._freeze(self.prefactor * self.daily_volatility / math.sqrt(self.daily_volume), self.core)

    def _unit(self) -> str:
        core = f", linear below {self.core:.4g}" if self.core else ""
        return (
            f"square-root impact: {self.prefactor:g} * {self.daily_volatility:.3g} * sqrt(V / {self.daily_volume:.4g})"
            + core
        )


@dataclass(frozen=True, eq=False)
class DepthImpact(Impact):
    """The venue's order book: piecewise linear through (0, 0) and (bid_quantity[i], distance[i]).

    Beyond the last level its last slope continues. From a percentage p of an exchange's file the distance is
    -ln(1 - p) below mid and ln(1 + p) above.

    Parameters
    ----------
    distance : array_like, shape (n,)
        Log distances from mid, positive and strictly increasing.
    bid_quantity : array_like, shape (n,)
        Cumulative quantity bid within each distance, in base units, positive and strictly increasing.
    ask_quantity : array_like, shape (n,), optional
        The same for the asks; as the bids if None.
    """

    distance: FloatArray
    bid_quantity: FloatArray
    ask_quantity: FloatArray = None  # type: ignore[assignment]  # an array once made

    @property
    def _kind(self) -> int:
        return _DEPTH

    def __post_init__(self) -> None:
        if self.ask_quantity is None:
            object.__setattr__(self, "ask_quantity", self.bid_quantity)
        for name in ("distance", "bid_quantity", "ask_quantity"):
            array = np.array(real_array(name, getattr(self, name)))
            if array.ndim != 1 or array.size == 0:
                raise ValueError(f"{name} must have one dimension and at least one level, was of shape {array.shape}")
            positive(name, array)
            check(name, array, np.diff(array, prepend=0.0) > 0, "strictly increasing")
            if array.size != np.size(self.distance):
                raise ValueError(f"{name} must have the length of distance, {np.size(self.distance)}, was {array.size}")
            read_only(array)
            object.__setattr__(self, name, array)
        self._freeze(self.distance, self.bid_quantity, self.ask_quantity)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DepthImpact) and np.array_equal(self._parameters, other._parameters)

    def __hash__(self) -> int:
        return hash(self._parameters.tobytes())

    def _unit(self) -> str:
        return (
            f"depth profile of {self.distance.size} levels: {self.bid_quantity[-1]:.4g} bid and "
            f"{self.ask_quantity[-1]:.4g} asked within {math.expm1(self.distance[-1]):.2%}"
        )


@dataclass(frozen=True)
class EvaporatingImpact(Impact):
    """h(V) = -ln(1 - thinning * coefficient * V) / thinning: depth thins as the price is pushed away.

    At V = 1 / (thinning * coefficient) the book is empty: the price is 0 and every finite trigger fires.

    Parameters
    ----------
    coefficient : float
        Log displacement per base unit at rest, at least 0.
    thinning : float
        Share of depth lost per unit of log displacement, positive.
    """

    coefficient: float
    thinning: float

    @property
    def _kind(self) -> int:
        return _EVAPORATING

    def __post_init__(self) -> None:
        object.__setattr__(self, "coefficient", number("coefficient", self.coefficient, at_least=0))
        object.__setattr__(self, "thinning", number("thinning", self.thinning, above=0))
        self._freeze(self.coefficient, self.thinning)

    def _unit(self) -> str:
        return (
            f"evaporating impact: {self.coefficient:.4g} of log price per unit at rest, "
            f"depth thinning by {self.thinning:g} per unit of log price"
        )
