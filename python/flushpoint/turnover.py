"""Turnover: positions that open and close of themselves while a path runs."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from flushpoint._validate import FloatArray, number
from flushpoint._validate import sides as check_sides
from flushpoint.laws import EngineLaw, Law, engine_of_quantity, sized
from flushpoint.margin import MarginSchedule, liquidation_price
from flushpoint.mix import LeverageMix

EngineTurnover = tuple[float, float, bool, bool, EngineLaw, FloatArray, FloatArray, FloatArray]


@dataclass(frozen=True)
class Turnover:
    """New positions at the price of their time, and positions that close of themselves.

    Parameters
    ----------
    opening_rate : float
        Openings a second, at random times (a Poisson process), at least 0. Each happens at the end of the step it
        falls into, at the traded price after that step's cascade; not where that is 0 or inf, in a market used up.
        Where the market's mark weighs an index that lies elsewhere, a position can be crossed as soon as it is open.
    quantity : Law or float
        Base units of each opening.
    leverage_mix : LeverageMix, optional
        Its shares are those of the number of positions; ``LeverageMix.power_law()`` by default. A position's trigger
        is the `liquidation_price` of an isolated position of that leverage.
    closing_rate : float, default 0.0
        Rate a second at which every position, of the book or new, closes of itself, at least 0: it is then gone without
        a trade, as if its owner met somebody who opens the same. ``log(2) / closing_rate`` is their half-life.
    maintenance_rate : float, default 0.005
        Maintenance margin as a share of notional, at least 0 and below the least 1 / leverage.
    side : {None, 1, -1}, default None
        Each opening makes a long and a short of the same quantity, with leverages of their own, as every contract has
        both; or only a long, or only a short.

    Examples
    --------
    Six openings a minute, and half of all positions gone after eight hours:

    >>> turnover = Turnover(0.1, Exponential(2.0), closing_rate=np.log(2) / 28_800)
    """

    opening_rate: float
    quantity: Law | float
    leverage_mix: LeverageMix = field(default_factory=LeverageMix.power_law)
    closing_rate: float = 0.0
    maintenance_rate: float = 0.005
    side: int | None = None

    def __post_init__(self) -> None:
        for name in ("opening_rate", "closing_rate"):
            object.__setattr__(self, name, number(name, getattr(self, name), at_least=0))
        object.__setattr__(self, "quantity", sized("quantity", self.quantity))
        if not isinstance(self.leverage_mix, LeverageMix):
            raise TypeError(f"leverage_mix must be a LeverageMix, was {type(self.leverage_mix).__name__}")
        highest = float(self.leverage_mix.leverage[-1])
        rate = number("maintenance_rate", self.maintenance_rate, at_least=0)
        if not rate * highest < 1:
            raise ValueError(f"maintenance_rate must be below 1 / the highest leverage, {1 / highest:.6g}, was {rate}")
        if self.side is not None:
            which = check_sides(self.side)
            if which.ndim:
                raise TypeError(f"side must be one number or None, was of shape {which.shape}")
            object.__setattr__(self, "side", int(which))

    @property
    def _still(self) -> bool:
        """Whether nothing opens or closes."""
        return self.opening_rate == self.closing_rate == 0

    def _most_open(self, horizon: float) -> int:
        """How many of the positions opened are there at a time, on average at the end or in the long run."""
        longest = horizon if self.closing_rate == 0 else min(horizon, 1 / self.closing_rate)
        return int(min(self.opening_rate * longest, 1e300)) * (2 if self.side is None else 1)

    @property
    def _engine(self) -> EngineTurnover:
        schedule = MarginSchedule.flat(self.maintenance_rate)
        margin = 1 / self.leverage_mix.leverage
        longs, shorts = (np.asarray(liquidation_price(side, 1.0, 1.0, margin, schedule)) for side in (1, -1))
        share = np.cumsum(self.leverage_mix.share)
        share[-1] = 1.0
        quantity = engine_of_quantity(self.quantity, 1)
        return (
            self.opening_rate, self.closing_rate, self.side != -1, self.side != 1, quantity, share, longs, shorts
        )  # fmt: skip
