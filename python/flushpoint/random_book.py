"""Random books: positions known by their laws alone, drawn anew in every scenario."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

from flushpoint._validate import count as whole
from flushpoint._validate import number, sides
from flushpoint.laws import EngineLaw, Law, Uniform, engine_of_quantity, sized

EnginePart: TypeAlias = tuple[bool, float, float, float, EngineLaw, EngineLaw]
MOST_COUNTED = 2**50


@dataclass(frozen=True)
class _Part:
    side: int
    count: int | None
    density: float
    extent: float
    distance: Law
    quantity: Law | float

    @property
    def _engine(self) -> EnginePart:
        return (
            self.side < 0,
            -1.0 if self.count is None else float(self.count),
            self.density,
            self.extent,
            self.distance._engine(self.side),
            engine_of_quantity(self.quantity, self.side),
        )

    def __str__(self) -> str:
        number = f"density={self.density:g}, extent={self.extent:g}" if self.count is None else f"count={self.count}"
        distance = "" if self.count is None else f", distance={self.distance}"
        return f"RandomBook({number}{distance}, quantity={self.quantity}, side={self.side:+d})"


class RandomBook:
    """Positions known by their laws alone; every scenario draws its own.

    A position's distance is |log(trigger price / price)|, measured from the market's price at the start and fixed
    then. Distances and quantities are independent. Positions that would be crossed before anything happens do not
    occur: the law is taken given that they are not.

    Parameters
    ----------
    count : int, optional
        How many positions there are, at most 2**50. Either this and `distance`, or `density`.
    density : float, optional
        Mean number of positions per unit of log price, positive; their number is then a Poisson number and they stand
        anywhere alike.
    extent : float, default inf
        Distance up to which `density` holds, positive.
    distance : Law, optional
        Of log distance, one for each of `count` positions.
    quantity : Law or float
        Base units.
    side : int, default 1
        +1 for longs, -1 for shorts. Books of both sides, or of several kinds of positions, join with ``+``.

    Notes
    -----
    Only what closes is ever drawn, a wave at a time: its number follows a Poisson or binomial law, and its total size
    the law of such a sum. The time a scenario takes goes with its waves and, unless quantities are constant or
    exponential, with the positions closed, never with `count`.

    Examples
    --------
    >>> longs = RandomBook(count=10**9, distance=LogNormal(0.2, 1.0), quantity=Exponential(1e-9))
    >>> shorts = RandomBook(density=100.0, quantity=0.002, side=-1)
    >>> s = stress(longs + shorts, Market(100.0, LinearImpact(0.1)), shock=[-0.05, 0.05], seed=7)
    >>> bool(s.long_count[0] > 1e7), bool(s.short_count[1] < 20), s.runaway
    (False, True, array([ True, False]))
    """

    def __init__(
        self,
        *,
        quantity: Law | float,
        count: int | None = None,
        density: float | None = None,
        extent: float = math.inf,
        distance: Law | None = None,
        side: int = 1,
    ) -> None:
        if (count is None) == (density is None):
            raise ValueError(f"count must be given, or density, and not both, was {count!r} and {density!r}")
        which = sides(side)
        if which.ndim:
            raise TypeError(f"side must be one number, was of shape {which.shape}")
        size = sized("quantity", quantity)
        if count is not None:
            held = whole("count", count, 0, MOST_COUNTED)
            if not isinstance(distance, Law):
                raise TypeError(f"distance must be a law such as LogNormal(0.2, 1.0), was {distance!r}")
            if extent != math.inf:
                raise ValueError(f"extent must be left out where count is given, was {extent!r}")
            part = _Part(int(which), held, 0.0, math.inf, distance, size)
        else:
            if distance is not None:
                raise ValueError(f"distance must be left out where density is given, was {distance!r}")
            per_unit = number("density", density, above=0)
            reach = number("extent", extent, above=0, finite=False)
            part = _Part(int(which), None, per_unit, reach, Uniform(0.0, 1.0), size)
        part.distance._engine(part.side)  # raises where the law and the side do not go together
        self._parts: tuple[_Part, ...] = (part,)

    def __add__(self, other: object) -> RandomBook:
        """Join two books: each scenario draws both."""
        if not isinstance(other, RandomBook):
            return NotImplemented
        joined = object.__new__(RandomBook)
        joined._parts = self._parts + other._parts
        return joined

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RandomBook) and self._parts == other._parts

    __hash__ = None  # type: ignore[assignment]

    def _columns(self) -> tuple[_Part, ...]:
        """What tells this book from others."""
        return self._parts

    @property
    def _engine(self) -> tuple[EnginePart, ...]:
        return tuple(part._engine for part in self._parts)

    def __repr__(self) -> str:
        return " + ".join(map(str, self._parts))


def most_closed(book: object, max_count: object) -> int:
    """Return how many positions of a random book may close; 0 for a book of known positions, which has no bound."""
    if isinstance(book, RandomBook):
        return whole("max_count", 1_000_000 if max_count is None else max_count, 1, MOST_COUNTED)
    if max_count is not None:
        raise ValueError(f"max_count must be left out for a book of known positions, was {max_count!r}")
    return 0
