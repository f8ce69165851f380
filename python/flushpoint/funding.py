"""Funding: what longs pay shorts at regular times, which moves margins and so triggers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from flushpoint._clock import every
from flushpoint._validate import FloatArray, check, finite_array, memory, number, read_only, restore

EngineFunding = tuple[FloatArray, FloatArray | None, float, float, float, float]
_DAY_THIRD = 28_800.0


@dataclass(frozen=True, eq=False)
class Funding:
    """Payments of longs to shorts (shorts to longs where the rate is negative).

    A payment at the rate F takes F x quantity x bankruptcy price from the margin of every long and adds it to that of
    every short: bankruptcy prices become 1 + F times what they were, and so do triggers, for a maintenance rate that
    stays. Venues charge it on the notional at the mark, which is nearly the same for a position about to be triggered,
    and more for a long further away, less for a short.

    Everybody pays what falls due while the position is open, those that wait to be closed, too; entry prices stay, so
    that a winner's profit is the price's, as venues rank winners, and funding is in its margin alone. What longs and
    shorts of different size pay and get comes from, or goes to, counterparties outside the book. Of a random book,
    payments move the triggers that are measured from the start; with turnover, a position's own trigger is that of the
    price at its opening, and pays from then on, at the end of the same step already.

    Parameters
    ----------
    rate : float or array_like, shape (n,), optional
        Share of notional at each payment, above -1: 0.0001 is one basis point. An array holds one rate a payment, at
        least as many as fall into a run. None: by the rule premium + clip(interest - premium, -clamp, clamp), limited
        to `cap`, with the premium at the time of the payment, traded price / exogenous price - 1; the rule's rates are
        for 8 hours and are divided for shorter intervals (Binance's and Hyperliquid's pages on funding; there the
        premium is an average over the interval).
    interval : float, default 28800.0
        Seconds between payments, at least a step of the run and at most its horizon; the first is at its end. A payment
        is made at the end of the step that it falls into, after that step's cascade.
    interest : float, default 0.0001
        For 8 hours; of the rule only, as the next two.
    clamp : float, default 0.0005
        At least 0.
    cap : float, default 0.04
        Largest rate of a payment, either way, positive and below 1.

    Raises
    ------
    TypeError, ValueError
        Naming the argument, the rule and the value.

    Examples
    --------
    Longs pay one basis point every eight hours:

    >>> funding = Funding(0.0001)

    Or what the premium says, every hour:

    >>> funding = Funding(interval=3_600)
    """

    rate: ArrayLike | None = None
    interval: float = _DAY_THIRD
    interest: float = 0.0001
    clamp: float = 0.0005
    cap: float = 0.04

    def __post_init__(self) -> None:
        def set_(name: str, value: object) -> None:
            object.__setattr__(self, name, value)

        set_("interval", number("interval", self.interval, above=0))
        set_("interest", number("interest", self.interest))
        set_("clamp", number("clamp", self.clamp, at_least=0))
        set_("cap", number("cap", self.cap, above=0, below=1))
        if self.rate is None:
            return
        for name, default in (("interest", 0.0001), ("clamp", 0.0005), ("cap", 0.04)):
            if getattr(self, name) != default:
                raise ValueError(f"{name} must be left out where rate is given, was {getattr(self, name)}")
        rates = np.array(finite_array("rate", self.rate))
        if rates.ndim > 1 or not rates.size:
            raise ValueError(f"rate must be a number or have one dimension and an entry, was of shape {rates.shape}")
        check("rate", rates, rates > -1, "above -1")
        read_only(rates)
        set_("rate", rates)

    __setstate__ = restore

    def _engine(self, dt: float, steps: int) -> EngineFunding:
        """Whether a payment is due at each step's end, its rate where it is given, and the rule."""
        memory("steps", steps, 16)
        step = every("funding", self.interval, dt, steps)
        count = step.size
        due, rates = np.zeros(steps), None
        due[step] = 1.0
        if self.rate is not None:
            given = np.asarray(self.rate)
            if given.ndim and given.size < count:
                raise ValueError(f"rate must have an entry a payment, {count:,} in this run, was of {given.size:,}")
            rates = np.zeros(steps)
            rates[step] = given[:count] if given.ndim else given
        return due, rates, self.interest, self.clamp, self.cap, self.interval / _DAY_THIRD

    def __repr__(self) -> str:
        if self.rate is None:
            rule = f"interest={self.interest:g}, clamp={self.clamp:g}, cap={self.cap:g}"
            return f"Funding(interval={self.interval:g}, {rule})"
        given = np.asarray(self.rate)
        return f"Funding({f'{given:g}' if not given.ndim else f'<{given.size:,} rates>'}, interval={self.interval:g})"
