"""Several markets, and what trading in one does to the prices of the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from flushpoint._validate import FloatArray, check, finite_array, one_of, read_only, restore
from flushpoint.market import Market

FILLS = ("each", "midpoint")


@dataclass(frozen=True, eq=False)
class Markets:
    """Several markets at rest, in an order of their own.

    The log price of market m lies g[m] + sum over k of cross_impact[m, k] * V[k] below the exogenous one, with g[m] its
    own displacement (`Market`) and V[k] the quantity sold in market k, net, that has not recovered there. Cross impact
    recovers as V does.

    Parameters
    ----------
    markets : mapping of str to Market
        By name, in order; without `LivingDepth` and `Support`.
    cross_impact : array_like, shape (markets, markets), optional
        Log displacement of the row's market per base unit sold in the column's, finite; 0 on the diagonal, as own
        impact is the market's. None for none. Where price[m] * cross_impact[m, k] is symmetric and, with own impact on
        its diagonal, positive semidefinite, nothing can be earned by trading in a circle (Schneider and Lillo 2019).
    fill : {"each", "midpoint"}, default "each"
        At what price forced trades are filled: each at its own slice of the market's integral; or all those of a round
        in a market at the mean of its prices before and after it, as in models that clear once a round. The latter has
        no spread, and suits only accounts none of whose positions go by a price of their own: those over several
        markets, and banks.

    Examples
    --------
    >>> markets = Markets({"BTC": Market(60_000.0, LinearImpact(1e-5)), "ETH": Market(3_000.0, LinearImpact(1e-6))})
    >>> markets.names, markets["ETH"].price
    (('BTC', 'ETH'), 3000.0)
    """

    markets: Mapping[str, Market]
    cross_impact: FloatArray | None = None
    fill: str = "each"
    names: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        if not isinstance(self.markets, Mapping):
            raise TypeError(f"markets must be a mapping of names to markets, was {type(self.markets).__name__}")
        for name, market in self.markets.items():
            if not isinstance(name, str) or not name:
                raise TypeError(f"markets must have names for keys, was {name!r}")
            if not isinstance(market, Market):
                raise TypeError(f"markets must hold a Market each, was {type(market).__name__} at {name!r}")
            for part in ("depth", "support"):
                if getattr(market, part) is not None:
                    raise ValueError(f"{part} must be None among several markets, was {getattr(market, part)!r}")
        if not self.markets:
            raise ValueError("markets must hold at least one, was empty")
        object.__setattr__(self, "markets", MappingProxyType(dict(self.markets)))
        object.__setattr__(self, "names", tuple(self.markets))
        if self.cross_impact is not None:
            object.__setattr__(self, "cross_impact", self._checked(self.cross_impact))
        one_of("fill", self.fill, FILLS)
        for name, market in self.markets.items():
            if self.fill == "midpoint" and market.spread != 0:
                raise ValueError(f"spread must be 0 where fill is 'midpoint', was {market.spread} at {name!r}")

    def _checked(self, cross_impact: ArrayLike) -> FloatArray:
        impact = np.array(finite_array("cross_impact", cross_impact))
        count = len(self.names)
        if impact.shape != (count, count):
            raise ValueError(f"cross_impact must have the shape {(count, count)}, was {impact.shape}")
        diagonal = np.eye(count, dtype=bool)
        check("cross_impact", impact, ~diagonal | (impact == 0), "0 on the diagonal (own impact is the market's)")
        read_only(impact)
        return impact

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "markets": dict(self.markets)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        restore(self, {**state, "markets": MappingProxyType(state["markets"])})

    def __getitem__(self, name: str) -> Market:
        return self.markets[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Markets):
            return NotImplemented
        same = self.names == other.names and dict(self.markets) == dict(other.markets)
        return same and self.fill == other.fill and np.array_equal(self._cross, other._cross)

    def __hash__(self) -> int:
        return hash((self.names, tuple(self.markets.values()), self._cross.tobytes(), self.fill))

    @property
    def price(self) -> FloatArray:
        """Prices in order, quote units per base unit, shape (markets,)."""
        return np.array([market.price for market in self.markets.values()])

    @property
    def _cross(self) -> FloatArray:
        return np.zeros((len(self), len(self))) if self.cross_impact is None else self.cross_impact

    @property
    def _engine_cross(self) -> FloatArray | None:
        """Cross impact as the engine takes it; None where there is none."""
        return self._cross.reshape(-1) if self._cross.any() else None

    def __repr__(self) -> str:
        more = ", ..." if len(self) > 4 else ""
        return f"<Markets: {', '.join(self.names[:4])}{more}>"

    def __str__(self) -> str:
        lines = [f"{name}: {market}" for name, market in self.markets.items()]
        if self._cross.any():
            lines.append(f"cross impact: {np.count_nonzero(self._cross):,} of {len(self) * (len(self) - 1):,} pairs")
        if self.fill != "each":
            lines.append(f"fill: {self.fill}")
        return "\n".join(lines)
