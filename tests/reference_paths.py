"""Whole paths, written slowly on top of the reference's market: every step looks at every position."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from reference import SLACK, Positions, Venue


@dataclass
class Path:
    final_price: float
    low_price: float = math.inf
    high_price: float = 0.0
    low_steps: list[float] = field(default_factory=list)  # each step's low; the first is the start
    prices: list[float] = field(default_factory=list)  # after each step; the first is the start
    closed: list[bool] = field(default_factory=list)
    waves: list[tuple[int, float, float, int, float]] = field(default_factory=list)
    proceeds: float = 0.0
    shortfall: float = 0.0
    surplus: float = 0.0
    gross: float = 0.0  # money that changed hands or was owed, without signs
    exhausted: bool = False
    doubtful: bool = False
    wobble: float = 0.0


def bridge_extreme(start: float, end: float, deviation: float, u: float, side: int) -> float:
    """The m beyond which the bridge goes with probability u = exp(-2 (start - m)(end - m) / deviation^2)."""
    root = math.sqrt((end - start) ** 2 - 2 * deviation**2 * math.log(u))
    return (start + end - side * root) / 2


def run(
    book: Positions,
    market: Venue,
    returns: Sequence[float],
    dt: float,
    *,
    moves: Sequence[float] | None = None,
    sales: Sequence[float] | None = None,
    bridge: tuple[float, Sequence[float], int] | None = None,
    money: bool = True,
    funding: Sequence[Callable[[float], float] | None] | None = None,
    answer: Callable[[int], bool] | None = None,
) -> Path:
    """One path.

    bridge: a step's deviation, a uniform number for each step, +1 to watch lows or -1 to watch highs. funding: what
    longs pay after each step, a function of the premium. answer: asked of a position that is crossed; True if it moved
    its trigger instead of being closed.
    """
    now = market.fresh()
    scale = 1.0  # of trigger and bankruptcy prices
    out = Path(now.price, now.price, now.price, [now.price], [now.price], [False] * len(book))

    def cascade(step: int) -> None:
        seen = [now.traded_price()]
        out.exhausted |= math.isinf(now.displacement())
        while True:
            factor, start = now.mark_factor(now.displacement()), math.exp(now.log_start)
            crossed = []
            for i, side in enumerate(book.side):
                while not (out.closed[i] or book.trigger[i] <= 0 or math.isinf(book.trigger[i])):
                    trigger = book.trigger[i] * scale
                    edge = start * (1 - side * SLACK)
                    gap = abs(factor * trigger / edge - 1) if edge > 0 else math.inf
                    out.doubtful |= gap <= max(1e-13, 30 * out.wobble)
                    if not (factor * trigger >= edge if side > 0 else factor * trigger <= edge):
                        break
                    if answer is None or not answer(i):
                        crossed.append(i)
                        break
            if not crossed:
                break
            crossed = book.order(crossed)
            size = math.fsum(book.quantity[i] for i in crossed)
            notional = math.fsum(book.quantity[i] * book.trigger[i] * scale for i in crossed)
            out.waves.append((step, now.traded_price(), size, len(crossed), notional))
            for i in crossed:
                out.closed[i] = True
                got = now.trade(book.side[i] * book.quantity[i], money)
                out.proceeds += got
                out.gross += abs(got)
                out.wobble = max(out.wobble, now.wobble())
                if book.bankruptcy is not None:
                    owed = book.quantity[i] * book.bankruptcy[i] * scale
                    gain = got - book.side[i] * owed
                    out.shortfall += max(0.0, -gain)
                    out.surplus += max(0.0, gain)
                    out.gross += owed
            seen.append(now.traded_price())
            out.exhausted |= math.isinf(now.displacement())
        out.low_steps[step] = min(out.low_steps[step], *seen)
        out.low_price, out.high_price = min(out.low_price, *seen), max(out.high_price, *seen)

    for i, r in enumerate(returns):
        now.advance(dt)
        out.low_steps.append(math.inf)
        end = now.log_start + r
        if bridge is not None:
            deviation, uniforms, side = bridge
            now.log_start = bridge_extreme(now.log_start, end, deviation, uniforms[i], side)
            cascade(i + 1)
        now.log_start = end + (moves[i] if moves is not None else 0.0)
        if sales is not None and sales[i] != 0:
            now.trade(sales[i], count_money=False)
            out.wobble = max(out.wobble, now.wobble())
        cascade(i + 1)
        out.prices.append(now.traded_price())
        rule = None if funding is None else funding[i]
        if rule is not None:
            scale *= 1 + rule(math.exp(-now.displacement()) - 1)
    out.final_price = now.traded_price()
    out.doubtful |= out.wobble > 1e-11
    if book.bankruptcy is None:
        out.shortfall = out.surplus = math.nan
    return out
