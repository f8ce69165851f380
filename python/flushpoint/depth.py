"""Depth that lives: it thins and refills in time; and buyers who wait below the market."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from flushpoint._validate import FloatArray, number, positive, read_only, real_array, restore, volatility

EngineDepth = tuple[float, float, float, float, float, float, float]
EngineSupport = tuple[FloatArray, FloatArray]


@dataclass(frozen=True)
class LivingDepth:
    """Depth that thins with realised volatility and refills, and a spread that widens with it.

    Realised volatility R is an exponentially weighted mean of the squared log moves of the traded price, per year of
    365 days, from step to step: R^2 becomes 2^(-dt/memory) R^2 + (1 - 2^(-dt/memory)) move^2 / dt; at the start it is
    normal, and a price of 0 or inf, in a market used up, is passed over. The liquidity that the next step meets is at
    most (normal_volatility / R)^elasticity, kept between `least` and 1: depth goes at once, and what is missing comes
    back with `refill_half_life`. It stays through a step, since a cascade that thinned its own book would depend on how
    it is cut into waves.

    When liquidity changes the price does not move: what was sold before is spread over the depth of today. So thinner
    depth makes later sales dearer, never past ones.

    It acts in time only, hence in `simulate` alone, as a half-life does: a single cascade meets the depth at rest, and
    so does the first step of a path.

    Parameters
    ----------
    normal_volatility : float
        Per square root of a year, positive, at most 1e100: 0.6 is 60 % a year. Up to it depth and spread are those of
        the market.
    elasticity : float, default 1.0
        By how many per cent depth thins for each per cent that realised volatility grows, at least 0, and above 0
        where the spread does not change. At 1, twice the volatility halves depth.
    memory : float, default 1800.0
        Seconds after which a move has half its weight in realised volatility, positive.
    least : float, default 0.05
        Liquidity that is always left, positive and at most 1, and below 1 where the spread does not change.
    refill_half_life : float, default 1800.0
        Seconds after which half of what is missing is back, if volatility allows it; 0 for at once, inf for never.
    spread_elasticity : float, default 0.0
        The spread is 1 + spread_elasticity * (R / normal_volatility - 1) times the market's where R is above normal,
        at least 0. It never moves the mid nor a trigger. The market must have a spread.
    most_spread : float, default 0.05
        Largest spread, at least the market's and below 2.

    Raises
    ------
    TypeError, ValueError
        Naming the argument, the rule and the value.

    Examples
    --------
    >>> market = Market(100.0, LinearImpact(1e-4), depth=LivingDepth(0.6, elasticity=0.5))
    """

    normal_volatility: float
    elasticity: float = field(default=1.0, kw_only=True)
    memory: float = field(default=1_800.0, kw_only=True)
    least: float = field(default=0.05, kw_only=True)
    refill_half_life: float = field(default=1_800.0, kw_only=True)
    spread_elasticity: float = field(default=0.0, kw_only=True)
    most_spread: float = field(default=0.05, kw_only=True)

    def __post_init__(self) -> None:
        def set_(name: str, value: object) -> None:
            object.__setattr__(self, name, value)

        set_("normal_volatility", volatility("normal_volatility", self.normal_volatility))
        set_("elasticity", number("elasticity", self.elasticity, at_least=0))
        set_("memory", number("memory", self.memory, above=0))
        set_("least", number("least", self.least, above=0, at_most=1))
        set_("refill_half_life", number("refill_half_life", self.refill_half_life, at_least=0, finite=False))
        set_("spread_elasticity", number("spread_elasticity", self.spread_elasticity, at_least=0))
        set_("most_spread", number("most_spread", self.most_spread, above=0, below=2))
        needs = {"least": "elasticity", "refill_half_life": "elasticity", "most_spread": "spread_elasticity"}
        for name, elasticity in needs.items():
            if getattr(self, elasticity) == 0 and getattr(self, name) != type(self).__dataclass_fields__[name].default:
                raise ValueError(f"{name} must be left out where {elasticity} is 0, was {getattr(self, name)}")

        if self.spread_elasticity == 0 and (self.elasticity == 0 or self.least == 1):
            what = "elasticity" if self.elasticity == 0 else "least"
            raise ValueError(f"{what} must leave depth or spread something to change, was {getattr(self, what)}")

    def _check_spread(self, spread: float) -> None:
        """Raise unless a market's spread can widen by these rules."""
        if self.spread_elasticity == 0:
            return
        if spread == 0:
            raise ValueError(
                f"spread must be positive where depth has spread_elasticity={self.spread_elasticity}, was 0.0"
            )
        if spread > self.most_spread:
            raise ValueError(f"spread must be at most depth's most_spread, {self.most_spread}, was {spread}")

    @property
    def _engine(self) -> EngineDepth:
        return (
            self.normal_volatility,
            self.elasticity,
            self.memory,
            self.least,
            self.refill_half_life,
            self.spread_elasticity,
            self.most_spread,
        )

    def __str__(self) -> str:
        parts = []
        if self.elasticity:
            back = "never" if math.isinf(self.refill_half_life) else f"after {self.refill_half_life:g} s"
            parts.append(
                f"thins with elasticity {self.elasticity:g}, to {self.least:.0%} at least, half of what is missing "
                f"back {back}"
            )
        if self.spread_elasticity:
            parts.append(f"spread widens with elasticity {self.spread_elasticity:g}, to {self.most_spread:.2%} at most")
        return f"depth where volatility is above {self.normal_volatility:.0%}: {'; '.join(parts)}"


@dataclass(frozen=True, eq=False)
class Support:
    """Buyers who wait at given prices.

    Whenever the traded price lies below a price of theirs, they buy until it is back there or their quantity is used
    up, those at the highest price first. They act after shock and sale (in a path, after each step's move and sale) and
    after every wave, before the next test of triggers; the low before is told. So a wave in itself walks the depth
    without them. What is bought stays bought, and comes on top of a market's depth, whatever its liquidity.

    Parameters
    ----------
    price : float or array_like, shape (n,)
        Quote units per base unit, positive and below the market's.
    quantity : float or array_like, shape (n,)
        Base units, positive; broadcast against `price`.

    Raises
    ------
    TypeError, ValueError
        Naming the argument, the rule and the value.

    Examples
    --------
    >>> book = Book(+1, [10.0, 10.0], [92.0, 89.0])
    >>> market = Market(100.0, LinearImpact(0.003), support=Support(90.0, 25.0))
    >>> c = cascade(book, market, shock=-0.09)
    >>> c.liquidated_count, round(c.final_price, 3), round(c.low_price, 3), round(c.support_quantity, 3)
    (1, 90.0, 88.311, 6.317)
    """

    price: ArrayLike
    quantity: ArrayLike
    _engine: EngineSupport = field(init=False, repr=False)

    def __post_init__(self) -> None:
        given = {}
        for name in ("price", "quantity"):
            array = real_array(name, getattr(self, name))
            positive(name, array)
            if array.ndim > 1 or not array.size:
                raise ValueError(
                    f"{name} must be a number or have one dimension and an entry, was of shape {array.shape}"
                )
            given[name] = array
        try:
            price, quantity = (np.array(np.atleast_1d(a)) for a in np.broadcast_arrays(*given.values()))
        except ValueError:
            shapes = " and ".join(str(array.shape) for array in given.values())
            raise ValueError(f"price and quantity must broadcast together, were of shapes {shapes}") from None
        order = np.argsort(-price, kind="stable")
        engine = (price[order], quantity[order])
        for name, value in (("price", price), ("quantity", quantity), ("_engine", engine)):
            read_only(value)
            object.__setattr__(self, name, value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Support):
            return NotImplemented
        return all(np.array_equal(a, b) for a, b in zip(self._engine, other._engine, strict=True))

    def __hash__(self) -> int:
        return hash(tuple(column.tobytes() for column in self._engine))

    __setstate__ = restore

    def __str__(self) -> str:
        price, quantity = self._engine
        at = f"at {price[0]:,.6g}" if price[0] == price[-1] else f"from {price[0]:,.6g} down to {price[-1]:,.6g}"
        return f"support: {quantity.sum():,.4g} bid {at}"
