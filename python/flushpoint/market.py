"""A market: its price, how trading moves it, and how it recovers."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from flushpoint import _core
from flushpoint._validate import FloatArray, check, finite_array, number
from flushpoint.depth import EngineSupport, LivingDepth, Support
from flushpoint.impact import Impact, shaped

EngineMarket = tuple[float, float, float, float, int, FloatArray, EngineSupport | None]


@dataclass(frozen=True)
class Market:
    """One market at rest.

    Selling q adds q to the permanent quantity Q and to the recovering quantity V. The log price then lies
    g = permanent * Q + h(V) below the exogenous one, with h the `impact`.

    Parameters
    ----------
    price : float
        Quote units per base unit, positive.
    impact : Impact
        The recovering part of impact.
    half_life : float, default inf
        Seconds after which half of V has recovered; inf for never. It acts in time only, never inside a cascade.
    permanent : float, default 0.0
        Log displacement per base unit that never recovers, at least 0.
    spread : float, default 0.0
        Full relative bid-ask spread, at least 0 and below 2: sales fetch 1 - spread/2 of the mid, purchases cost
        1 + spread/2. It never moves the mid nor a trigger.
    mark_weight : float, default 1.0
        Weight of the traded price in the mark that triggers are tested against; the rest is an index that this
        market does not move. From 0 to 1.
    depth : LivingDepth, optional
        How depth and spread go with realised volatility, in `simulate` only: it acts in time, as `half_life` does.
    support : Support, optional
        Buyers who wait below `price`. Questions that ask for the depth alone, such as `price_after`, leave them out.

    Examples
    --------
    >>> market = Market(100.0, LinearImpact(1e-4))
    >>> print(round(market.price_after(1_000), 4))
    90.4837
    """

    price: float
    impact: Impact
    half_life: float = math.inf
    permanent: float = 0.0
    spread: float = 0.0
    mark_weight: float = 1.0
    depth: LivingDepth | None = field(default=None, kw_only=True)
    support: Support | None = field(default=None, kw_only=True)
    _engine: EngineMarket = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        def set_(name: str, value: object) -> None:
            object.__setattr__(self, name, value)

        set_("price", number("price", self.price, above=0))
        if not isinstance(self.impact, Impact):
            raise TypeError(f"impact must be an impact such as LinearImpact(1e-6), was {self.impact!r}")
        set_("half_life", number("half_life", self.half_life, above=0, finite=False))
        set_("permanent", number("permanent", self.permanent, at_least=0))
        set_("spread", number("spread", self.spread, at_least=0, below=2))
        set_("mark_weight", number("mark_weight", self.mark_weight, at_least=0, at_most=1))
        if self.depth is not None:
            if not isinstance(self.depth, LivingDepth):
                raise TypeError(f"depth must be a LivingDepth, was {type(self.depth).__name__}")
            self.depth._check_spread(self.spread)
        if self.support is not None:
            if not isinstance(self.support, Support):
                raise TypeError(f"support must be a Support, was {type(self.support).__name__}")
            prices = np.asarray(self.support.price)
            check("price of support", prices, prices < self.price, f"below the market's, {self.price:g}")
        impact = self.impact
        support = None if self.support is None else self.support._engine
        set_(
            "_engine",
            (self.price, self.permanent, self.spread, self.mark_weight, impact._kind, impact._parameters, support),
        )

    def displacement(self, quantity: ArrayLike) -> FloatArray | float:
        """Log displacement g once `quantity` is sold from rest (negative: bought).

        Parameters
        ----------
        quantity : array_like
            Base units.

        Returns
        -------
        float or ndarray
            Positive when the price has fallen; the shape of `quantity`.
        """
        q = finite_array("quantity", quantity)
        return shaped(_core.displacement(self._engine, q.reshape(-1)), q)

    def price_after(self, quantity: ArrayLike) -> FloatArray | float:
        """Price once `quantity` is sold from rest (negative: bought).

        Parameters
        ----------
        quantity : array_like
            Base units.

        Returns
        -------
        float or ndarray
            Quote units per base unit, the shape of `quantity`.
        """
        q = finite_array("quantity", quantity)
        return shaped(self.price * _core.exp(-_core.displacement(self._engine, q.reshape(-1))), q)

    def proceeds(self, quantity: ArrayLike) -> FloatArray | float:
        """Money received for selling `quantity` from rest, spread included; negative, money paid, when bought.

        Parameters
        ----------
        quantity : array_like
            Base units.

        Returns
        -------
        float or ndarray
            Quote units, the shape of `quantity`.
        """
        q = finite_array("quantity", quantity)
        flat = q.reshape(-1)
        return shaped(_core.proceeds(self._engine, np.zeros_like(flat), flat), q)

    def __str__(self) -> str:
        # A round amount that moves the price by a few per cent at most.
        money = 1e9
        while money > 1 and float(self.price_after(money / self.price)) < 0.95 * self.price:
            money /= 10
        fall, rise = np.asarray(self.price_after([money / self.price, -money / self.price])) / self.price - 1
        back = "never recovers" if math.isinf(self.half_life) else f"half back in {_duration(self.half_life)}"
        parts = [
            f"market at {self.price:,.6g}: selling {_amount(money)} moves the price {fall:+.2%}, {back}; "
            f"buying it {rise:+.2%}",
            f"  {self.impact}",
        ]
        if self.permanent:
            parts.append(f"  permanent: {self.permanent:.4g} of log price per unit")
        if self.spread:
            parts.append(f"  spread: {self.spread:.4%}")
        if self.mark_weight != 1:
            parts.append(f"  mark: {self.mark_weight:.0%} traded price, the rest an index")
        parts += [f"  {one}" for one in (self.depth, self.support) if one is not None]
        return "\n".join(parts)


def _amount(money: float) -> str:
    for unit, size in (("bn", 1e9), ("M", 1e6), ("k", 1e3)):
        if money >= size:
            return f"{money / size:g} {unit}"
    return f"{money:g}"


def _duration(seconds: float) -> str:
    for unit, length in (("d", 86_400.0), ("h", 3_600.0), ("min", 60.0)):
        if seconds >= length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.3g} s"
