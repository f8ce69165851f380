"""Whole paths, written slowly on top of the reference's market: every step looks at every position."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from reference import SLACK, Positions, Venue

YEAR = 365 * 86_400.0


@dataclass
class Fund:
    """Wants to hold in inverse proportion to realised volatility, after steps that reach a multiple of `interval`."""

    quantity: float
    target: float
    memory: float
    most: float
    interval: float
    buys_back: bool
    initial: float

    def __post_init__(self) -> None:
        self.variance = self.initial**2  # a year's
        self.held = self.quantity

    def wanted(self) -> float:
        def exposure(volatility: float) -> float:
            return self.most if volatility == 0 else min(self.most, self.target / volatility)

        return self.quantity * exposure(math.sqrt(self.variance)) / exposure(self.initial)

    def look(self, step: int, dt: float, move: float) -> float:
        """After a step in which the log price moved so far: what is sold in the next."""
        kept = 0.5 ** (dt / self.memory)
        self.variance = kept * self.variance + (1 - kept) * move**2 * YEAR / dt
        k = math.ceil((step - 1) * dt / self.interval * (1 + 1e-9))
        reached = (step - 1) * dt * (1 + 1e-9) < max(k, 1) * self.interval <= step * dt * (1 + 1e-9)
        if not reached or (self.wanted() > self.held and not self.buys_back):
            return 0.0
        sold, self.held = self.held - self.wanted(), self.wanted()
        return sold


def orders(funds: Sequence[Fund], prices: Sequence[float], dt: float) -> list[float]:
    """What funds sell in each step of a path with these prices, from that at the start on; `funds` are new."""
    out, last = [0.0], math.log(prices[0])
    for step, price in enumerate(prices[1:], 1):
        sold = 0.0
        if 0 < price < math.inf:  # else it tells nothing
            sold = sum(fund.look(step, dt, math.log(price) - last) for fund in funds)
            last = math.log(price)
        out.append(sold)
    return out[:-1]


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
    targeted: float = 0.0  # sold by funds


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
    funds: Sequence[Fund] = (),
    answer: Callable[[int], bool] | None = None,
) -> Path:
    """One path.

    bridge: a step's deviation, a uniform number for each step, +1 to watch lows or -1 to watch highs. funding: what
    longs pay after each step, a function of the premium. funds: new ones. answer: asked of a position that is crossed;
    True if it moved its trigger instead of being closed.
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

    order, last = 0.0, math.log(now.price)
    for i, r in enumerate(returns):
        now.advance(dt)
        out.low_steps.append(math.inf)
        end = now.log_start + r
        if bridge is not None:
            deviation, uniforms, side = bridge
            now.log_start = bridge_extreme(now.log_start, end, deviation, uniforms[i], side)
            cascade(i + 1)
        now.log_start = end + (moves[i] if moves is not None else 0.0)
        sale = order + (sales[i] if sales is not None else 0.0)
        if sale != 0:
            now.trade(sale, count_money=False)
            out.wobble = max(out.wobble, now.wobble())
        out.targeted, order = out.targeted + order, 0.0
        cascade(i + 1)
        if funds and 0 < now.traded_price() < math.inf:
            move = now.log_start - now.displacement() - last
            order, last = sum(fund.look(i + 1, dt, move) for fund in funds), last + move
        out.prices.append(now.traded_price())
        rule = None if funding is None else funding[i]
        if rule is not None:
            scale *= 1 + rule(math.exp(-now.displacement()) - 1)
    out.final_price = now.traded_price()
    out.doubtful |= out.wobble > 1e-11
    if book.bankruptcy is None:
        out.shortfall = out.surplus = math.nan
    return out
