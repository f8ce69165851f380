"""Depth that lives and buyers who wait, written slowly on top of the reference's market.

One loop over steps serves paths and, with a step alone, a cascade. Every test looks at every position, and buyers find
by halving how much they have to buy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from reference import SLACK, Positions, Venue

YEAR = 365 * 86_400.0


@dataclass
class Depth:
    """How depth goes with realised volatility: its parameters and its state."""

    normal: float
    elasticity: float = 1.0
    memory: float = 1_800.0
    least: float = 0.05
    refill: float = 1_800.0
    spread_elasticity: float = 0.0
    most_spread: float = 0.05
    variance: float = field(init=False)

    def __post_init__(self) -> None:
        self.variance = self.normal**2

    def step(self, market: Venue, spread: float, log_move: float, dt: float) -> None:
        """After a step: what the next one meets."""
        if math.isfinite(log_move):
            kept = 2 ** (-dt / self.memory)
            self.variance = kept * self.variance + (1 - kept) * log_move**2 / (dt / YEAR)
        turmoil = math.sqrt(self.variance) / self.normal
        target = min(max(turmoil**-self.elasticity, self.least), 1.0) if turmoil > 0 else 1.0
        back = 0.0 if self.refill == 0 else 2 ** (-dt / self.refill)
        liquidity = min(target, 1 - (1 - market.liquidity) * back)
        # the price stays where it is
        market.sold *= liquidity / market.liquidity
        market.recovering *= liquidity / market.liquidity
        market.liquidity = liquidity
        market.spread = spread
        if self.spread_elasticity > 0:
            market.spread = min(spread * (1 + self.spread_elasticity * max(turmoil - 1, 0.0)), self.most_spread)


@dataclass
class Buyers:
    """Each buys whenever the traded price lies below theirs, until it no longer does or their quantity is used up."""

    price: list[float]
    quantity: list[float]
    bought: float = 0.0

    def __post_init__(self) -> None:
        order = sorted(range(len(self.price)), key=lambda i: -self.price[i])
        self.price = [self.price[i] for i in order]
        self.left = [self.quantity[i] for i in order]

    def act(self, market: Venue) -> None:
        for i, price in enumerate(self.price):
            wanted = market.log_start - math.log(price)

            def after(bought: float, wanted: float = wanted) -> bool:
                sold, recovering = market.sold - bought, market.recovering - bought
                return market.displacement(sold, recovering) > wanted

            if self.left[i] == 0 or not after(0.0):
                continue
            size = self.left[i]
            if not after(size):
                low = 0.0
                while low < (middle := 0.5 * (low + size)) < size:
                    low, size = (middle, size) if after(middle) else (low, middle)
            market.trade(-size, count_money=False)
            self.left[i] -= size
            self.bought += size
            if self.left[i] > 0:
                return


@dataclass
class Path:
    prices: list[float]  # after each step; the first is the start
    liquidity: list[float]
    spread: list[float]
    closed: list[bool]
    lows: list[float] = field(default_factory=list)  # before buyers act
    first_price: float = math.nan  # of the last step, after its move and sale
    waves: int = 0
    proceeds: float = 0.0
    gross: float = 0.0
    bought: float = 0.0
    doubtful: bool = False
    wobble: float = 0.0


def run(
    book: Positions,
    market: Venue,
    returns: Sequence[float],
    dt: float = 1.0,
    *,
    depth: Depth | None = None,
    buyers: Buyers | None = None,
    sales: Sequence[float] | None = None,
    refill: float = 0.0,
) -> Path:
    """One path; of one step, a cascade with this log shock."""
    now = market.fresh()
    out = Path([now.price], [now.liquidity], [now.spread], [False] * len(book))

    def support() -> None:
        if buyers is not None:
            buyers.act(now)
            out.wobble = max(out.wobble, now.wobble())

    def low() -> None:
        out.wobble = max(out.wobble, now.wobble())
        out.lows.append(now.traded_price())

    known = now.traded_price()  # the last that was neither 0 nor inf
    for i, r in enumerate(returns):
        now.advance(dt)
        now.log_start += r
        if sales is not None:
            now.trade(sales[i], count_money=False)
        low()
        out.first_price = now.traded_price()
        support()
        while True:
            factor, start = now.mark_factor(now.displacement()), math.exp(now.log_start)
            crossed = []
            for k, (side, trigger) in enumerate(zip(book.side, book.trigger, strict=True)):
                if out.closed[k] or trigger <= 0 or math.isinf(trigger):
                    continue
                edge = start * (1 - side * SLACK)
                if factor * trigger >= edge if side > 0 else factor * trigger <= edge:
                    crossed.append(k)
                out.doubtful |= abs(factor * trigger / edge - 1) <= max(1e-11, 30 * out.wobble)
            if not crossed:
                break
            out.waves += 1
            for k in book.order(crossed):
                out.closed[k] = True
                got = now.trade(book.side[k] * book.quantity[k])
                out.proceeds += got
                out.gross += abs(got)
            low()
            now.refill(refill)
            support()
        out.prices.append(now.traded_price())
        if depth is not None:
            move = math.inf
            if 0 < out.prices[-1] < math.inf:
                move = math.log(out.prices[-1]) - math.log(known)
                known = out.prices[-1]
            depth.step(now, market.spread, move, dt)
        out.liquidity.append(now.liquidity)
        out.spread.append(now.spread)
    out.bought = 0.0 if buyers is None else buyers.bought
    out.doubtful |= out.wobble > 1e-10
    return out
