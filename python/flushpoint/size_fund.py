"""How large a fund must be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from flushpoint._shown import percent
from flushpoint.book import Book
from flushpoint.market import Market
from flushpoint.process import Process
from flushpoint.simulate import SimulationResult, simulate
from flushpoint.summary import Estimate, check_confidence, inside, quantile, share
from flushpoint.venue import Venue

NEEDED = "fund_needed"


@dataclass(frozen=True, eq=False, repr=False)
class FundSize:
    """The fund that is overdrawn on a given share of paths at most.

    Attributes
    ----------
    fund : float
        Quote units at the start.
    low, high : float
        Ends of its confidence interval; `high` is inf where the paths are too few to say.
    probability : float
        Of the fund's lasting that was asked for.
    overdrawn : Estimate
        Share of paths that need more than `fund`, with its interval.
    confidence : float
        Of the intervals.
    paths : int
    result : SimulationResult
        The run; its column ``fund_needed`` holds each path's need, quote units.
    """

    fund: float
    low: float
    high: float
    probability: float
    overdrawn: Estimate
    confidence: float
    paths: int
    result: SimulationResult

    def __repr__(self) -> str:
        return f"<FundSize: {_shown(self.fund)} lasts with probability {self.probability:g}, {self.paths:,} paths>"

    def __str__(self) -> str:
        value, low, high = map(percent, self.overdrawn)
        return (
            f"a fund of {_shown(self.fund)} [{_shown(self.low)}, {_shown(self.high)}] lasts with probability "
            f"{self.probability:g}\n"
            f"  overdrawn on {value} [{low}, {high}] of {self.paths:,} paths, intervals at {percent(self.confidence)} "
            "confidence"
        )


def _shown(money: float) -> str:
    return f"{money:,.0f}" if 1_000 <= money < 1e15 else f"{money:.6g}"


def size_fund(
    book: Book,
    market: Market,
    process: Process,
    probability: float = 0.999,
    *,
    venue: Venue | None = None,
    confidence: float = 0.95,
    progress: Callable[[int, int], object] | None = None,
    **arguments: Any,
) -> FundSize:
    """Find the smallest fund that is overdrawn on a share 1 - `probability` of paths at most.

    A path needs the largest amount by which, at any time in it, shortfalls so far exceed what the fund has received
    so far: surplus and fees, as far as they go to the fund. One run without a fund tells it for all funds, because
    a fund that only pays changes no price.

    Parameters
    ----------
    book, market, process
        As in `simulate`; the book with bankruptcy prices.
    probability : float, default 0.999
        That the fund lasts, above 0 and below 1.
    venue : Venue, optional
        ``Venue()`` by default. Its own `fund` is left aside. So is its `adl`, and that losses are socialised: the need
        is that of a fund large enough never to call on them, under which every position is sold in the market.
    confidence : float, default 0.95
        Of the intervals, above 0 and below 1.
    progress, **arguments
        Of `simulate`: horizon, steps, paths, seed, ...

    Returns
    -------
    FundSize

    Notes
    -----
    `fund` is the order statistic of the paths' needs at `probability`, its interval lies between order statistics at
    binomial ranks and covers at least as often as it says. For the end `high` to be finite at a confidence of 0.95 the
    run needs about 3.7 / (1 - probability) paths. The need depends on the model's tails at least as much as on noise.

    Examples
    --------
    >>> book = Book.from_leverage_mix(1e6, 100.0)
    >>> market = Market(100.0, LinearImpact(2e-5), half_life=3_600, spread=0.002)
    >>> size = size_fund(book, market, GBM(1.0), 0.99, venue=Venue(surplus_to="trader"), paths=1_000, seed=1)
    >>> 0 < size.low < size.fund < size.high
    True
    """
    if venue is not None and not isinstance(venue, Venue):
        raise TypeError(f"venue must be a Venue, was {type(venue).__name__}")
    level = inside("probability", probability)
    sure = check_confidence(confidence)
    for name in ("columns", "record", "watch", "keep"):
        if name in arguments:
            raise TypeError(f"{name} must be left out, was {arguments[name]!r}")
    alone = (Venue() if venue is None else venue)._changed({"fund": 0.0, "adl": "none"})
    result = simulate(book, market, process, venue=alone, columns=(NEEDED,), progress=progress, **arguments)
    needed = result[NEEDED]
    fund, low, high = quantile(np.sort(needed), level, sure, result._pairs)
    return FundSize(
        fund=fund,
        low=max(low, 0.0),
        high=high,
        probability=level,
        overdrawn=share(needed > fund, sure, result._pairs),
        confidence=sure,
        paths=result._count,
        result=result,
    )
