"""Others who must sell when prices move, besides those who are liquidated."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from flushpoint._clock import every
from flushpoint._shown import amount, percent
from flushpoint._validate import FloatArray, memory, number, volatility

EngineFund = tuple[float, float, float, float, float, bool, FloatArray]


@dataclass(frozen=True)
class VolatilityTargeting:
    """Funds that hold exposure in inverse proportion to realised volatility, and so sell when it rises.

    At every multiple of `interval`, after the cascade of the step that reaches it, they want

        quantity x min(most, target / realised) / min(most, target / initial)

    base units, and sell (buy) what they hold beyond (below) that in the next step, before any trigger is tested. Such
    trades move the price as forced ones do, but are not counted as liquidated, and what is decided at the end of a run
    is not traded any more. Realised volatility is that of the traded price: the mean of squared log moves a step, with
    weights that halve after `memory`, which starts from `initial`. A traded price of 0 or inf, in a market used up,
    tells them nothing.

    Parameters
    ----------
    quantity : float
        Base units held at the start, positive. They are no part of the book, and nothing triggers them.
    target : float
        Volatility at which exposure is one, per square root of a year as that of a `GBM`, positive, at most 1e100.
    memory : float, default 86400.0
        Seconds after which a move has half its weight, positive.
    most : float, default 1.0
        Largest exposure, in units of that at the target, positive: above it calm adds nothing.
    interval : float, default 3600.0
        Seconds between two looks, at least a step of the run; at least one must come before its last step.
    buys_back : bool, default True
        Whether they buy where they want more than they hold; otherwise they only sell.
    initial : float, optional
        Volatility that counts as realised at the start, positive, at most 1e100; by default the target.

    Raises
    ------
    TypeError, ValueError
        Naming the argument, the rule and the value.

    Notes
    -----
    The rule is that of volatility-managed portfolios (Moreira and Muir, Journal of Finance 72, 2017, with the
    volatility in place of the variance) and of risk parity with one asset; the estimator is RiskMetrics' (1996).

    Examples
    --------
    Funds that hold 5,000 units at 60 % a year, and look once a day:

    >>> funds = VolatilityTargeting(5_000, 0.6, interval=86_400)
    """

    quantity: float
    target: float
    memory: float = 86_400.0
    most: float = 1.0
    interval: float = 3_600.0
    buys_back: bool = True
    initial: float | None = None

    def __post_init__(self) -> None:
        for name in ("quantity", "memory", "most", "interval"):
            object.__setattr__(self, name, number(name, getattr(self, name), above=0))
        object.__setattr__(self, "target", volatility("target", self.target))
        if self.initial is not None:
            object.__setattr__(self, "initial", volatility("initial", self.initial))
        if not isinstance(self.buys_back, (bool, np.bool_)):
            raise TypeError(f"buys_back must be True or False, was {self.buys_back!r}")
        object.__setattr__(self, "buys_back", bool(self.buys_back))
        exposure = min(self.most, self.target / self._starts_at)
        largest = self.quantity * self.most / exposure if exposure else math.inf
        number("quantity x most / min(most, target / initial)", largest)

    @property
    def _starts_at(self) -> float:
        return self.target if self.initial is None else self.initial

    def _engine(self, name: str, dt: float, steps: int) -> EngineFund:
        """The rule, and whether they look at each step's end."""
        memory("steps", steps, 8)
        step = every(name, self.interval, dt, steps)
        if step[0] == steps - 1:
            latest = dt * (steps - 1)
            raise ValueError(
                f"interval of {name} must end before the last step, at {latest:g} s, was {self.interval:g}"
            )
        due = np.zeros(steps)
        due[step] = 1.0
        return self.quantity, self.target, self._starts_at, self.memory, self.most, self.buys_back, due

    def __repr__(self) -> str:
        given = [f"{f.name}={getattr(self, f.name)!r}" for f in fields(self)[2:] if getattr(self, f.name) != f.default]
        return f"VolatilityTargeting({', '.join([repr(self.quantity), repr(self.target), *given])})"

    def __str__(self) -> str:
        trades = "sell or buy" if self.buys_back else "sell, never buy,"
        lines = [
            f"funds with {amount(self.quantity)} units that target a volatility of {percent(self.target)} a year",
            f"every {amount(self.interval)} s they {trades} to hold min({self.most:g}, target / realised) of what "
            "they would at the target",
            f"realised volatility is {percent(self._starts_at)} at the start; moves have half their weight after "
            f"{amount(self.memory)} s",
        ]
        return "\n  ".join(lines)


def check_sellers(sellers: object) -> tuple[VolatilityTargeting, ...]:
    """Return what was given, one or several, as a tuple."""
    if sellers is None:
        return ()
    if isinstance(sellers, VolatilityTargeting):
        return (sellers,)
    if not isinstance(sellers, Sequence) or isinstance(sellers, (str, bytes)):
        raise TypeError(f"sellers must be a VolatilityTargeting or a sequence of them, was {type(sellers).__name__}")
    given = []
    for i, seller in enumerate(sellers):
        if not isinstance(seller, VolatilityTargeting):
            raise TypeError(f"sellers must be VolatilityTargeting, was {type(seller).__name__} at index {i}")
        given.append(seller)
    if not given:
        raise ValueError("sellers must hold at least one, was empty")
    return tuple(given)
