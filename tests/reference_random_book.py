"""Random books in plain Python: the same random numbers, one scenario and one wave at a time.

What is drawn from the generators follows the engine's order, in Python's own mathematics: counts come out the same,
quantities but for rounding.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import reference
from reference_generators import Xoshiro, generator

BOOK, DETAILS = 3, 6  # streams


# --- samplers, with the C library's log-gamma ---
def rejection(
    g: Xoshiro,
    a: float,
    b: float,
    centre: float,
    quick: float,
    hat: float,
    most: float,
    log_ratio: Callable[..., float],
) -> int:
    while True:
        u, v = g.uniform() - 0.5, g.uniform()
        edge = 0.5 - abs(u)
        k = math.floor((2 * a / edge + b) * u + centre) if edge else math.inf
        if edge >= 0.07 and v <= quick:
            return int(k)
        if 0 <= k <= most and math.log(v * hat / (a / edge**2 + b)) <= log_ratio(k):
            return int(k)


def poisson(g: Xoshiro, mean: float) -> int:
    if not mean > 0:
        return 0
    if mean < 10:
        u, p, k = g.uniform(), math.exp(-mean), 0
        while u > p and k < 128:
            u -= p
            k += 1
            p *= mean / k
        return k
    b = 0.931 + 2.53 * math.sqrt(mean)
    return rejection(
        g, 0.02483 * b - 0.059, b, mean + 0.43, 0.9277 - 3.6224 / (b - 2), 1.1239 + 1.1328 / (b - 3.4), math.inf,
        lambda k: k * math.log(mean) - mean - math.lgamma(k + 1),
    )  # fmt: skip


def binomial(g: Xoshiro, n: int, p: float) -> int:
    if not p > 0 or n == 0:
        return 0
    if p >= 1:
        return n
    if p > 0.5:
        return n - binomial(g, n, 1 - p)
    if n * p < 10:
        u, f, k = g.uniform(), math.exp(n * math.log1p(-p)), 0
        while u > f and k < n and k < 128:
            u -= f
            f *= p / (1 - p) * (n - k) / (k + 1)
            k += 1
        return k

    def log_mass(k: float) -> float:
        return (
            math.lgamma(n + 1)
            - math.lgamma(k + 1)
            - math.lgamma(n - k + 1)
            + k * math.log(p)
            + (n - k) * math.log1p(-p)
        )

    deviation = math.sqrt(n * p * (1 - p))
    b = 1.15 + 2.53 * deviation
    mode = log_mass(math.floor((n + 1) * p))
    return rejection(
        g, 0.0248 * b + 0.01 * p - 0.0873, b, n * p + 0.5, 0.92 - 4.2 / b, (2.83 + 5.1 / b) * deviation, n,
        lambda k: log_mass(k) - mode,
    )  # fmt: skip


def gamma(g: Xoshiro, n: int) -> float:
    if n <= 8:
        return -math.log(math.prod(g.uniform() for _ in range(n)))
    d = n - 1 / 3
    c = 1 / math.sqrt(9 * d)
    while True:
        x = g.normals()[0]
        v = (1 + c * x) ** 3
        if v <= 0:
            continue
        u = g.uniform()
        if u < 1 - 0.0331 * x**4 or math.log(u) < 0.5 * x * x + d * (1 - v + math.log(v)):
            return d * v


# --- laws: (name, parameters) ---
def normal_cdf(z: float) -> float:
    return 0.5 * math.erfc(-z / math.sqrt(2))


def cdf(law: tuple[str, tuple], x: float, side: int) -> float:
    name, p = law
    if name == "Uniform":
        return min(1.0, max(0.0, (x - p[0]) / (p[1] - p[0])))
    if name == "Exponential":
        return -math.expm1(-x / p[0])
    if name == "LogNormal":
        return normal_cdf(math.log(x / p[0]) / p[1])
    if name == "Pareto":
        return 0.0 if x <= p[0] else 1 - (p[0] / x) ** p[1]
    if name == "Table":
        return sum(v <= x for v in p[0]) / len(p[0])
    leverage, share, spread, rate, nearest = p

    def below(y: float) -> float:
        out = 0.0
        for times, weight in zip(leverage, share, strict=True):
            left = 1 - side / times
            if left > 0:
                out += weight / sum(share) * normal_cdf((y + side * math.log(left / (1 - side * rate))) / spread)
        return out

    return 0.0 if x <= nearest else (below(x) - below(nearest)) / (1 - below(nearest))


@dataclass
class Part:
    """Positions of one side; `count` of them, or `density` up to `extent`."""

    side: int
    quantity: tuple[str, tuple]
    count: int | None = None
    density: float = 0.0
    extent: float = math.inf
    distance: tuple[str, tuple] = ("Uniform", (0.0, 1.0))


@dataclass
class Scenario:
    final_price: float = math.nan
    low_price: float = math.nan
    high_price: float = math.nan
    waves: int = 0
    runaway: bool = False
    count: dict[int, int] = field(default_factory=lambda: {1: 0, -1: 0})
    quantity: dict[int, float] = field(default_factory=lambda: {1: 0.0, -1: 0.0})
    proceeds: float = 0.0
    prices: list[float] = field(default_factory=list)  # after each step
    doubtful: bool = False  # rounding decides whether a random number is drawn at all


def sizes(part: Part, number: int, g: Xoshiro, lanes: list[Xoshiro]) -> float:
    """The total size of so many positions."""
    name, p = part.quantity
    if name == "Constant":
        return p[0] * number
    if name == "Exponential":
        return p[0] * gamma(g, number)
    total = 0.0
    for begin in range(0, number, 512):
        drawn: list[float] = []
        n = min(512, number - begin)
        while len(drawn) < n:
            if name == "LogNormal":
                pairs = [lane.normals() for lane in lanes]
                drawn += [p[0] * math.exp(p[1] * z) for z in [c for c, _ in pairs] + [s for _, s in pairs]]
            elif name == "Uniform":
                drawn.append(p[0] + (p[1] - p[0]) * g.uniform())
            elif name == "Pareto":
                drawn.append(p[0] * g.uniform() ** (-1 / p[1]))
            else:
                drawn.append(sorted(p[0])[int((1 - g.uniform()) * len(p[0]))])
        total += math.fsum(drawn[:n])
    return total


def run(
    parts: list[Part], venue: reference.Venue, key: int, path: int, *, shock: float = 0.0, sell: float = 0.0,
    refill: float = 0.0, max_count: int = 10**6, returns: Sequence[float] = (), dt: float = 1.0,
    rates: Sequence[float] = (),
) -> Scenario:  # fmt: skip
    """A cascade, or a path: one after each return, and then a payment of `rates`, which multiplies triggers."""
    out = Scenario()
    now = venue.fresh()
    now.log_start += math.log1p(shock)
    now.trade(sell, count_money=False)
    out.low_price = out.high_price = now.traded_price()
    g = generator(key, path, BOOK)
    lanes = [generator(key, path, BOOK, lane) for lane in (1, 2, 3, 4)]
    slack = reference.SLACK
    reach = {side: -side * math.log(1 - side * slack) for side in (1, -1)}
    left = [part.count for part in parts]
    scale, step = 1.0, 0

    def next_step() -> None:
        nonlocal step
        now.advance(dt)
        now.log_start += returns[step]
        step += 1
        out.low_price = min(out.low_price, now.traded_price())
        out.high_price = max(out.high_price, now.traded_price())

    if returns:
        next_step()
    while True:
        start, lift = math.exp(now.log_start), scale * now.mark_factor(now.displacement())
        wave = {1: (0, 0.0), -1: (0, 0.0)}
        for side in (1, -1):
            edge = start * (1 - side * slack)
            to = side * math.log(venue.price * lift / edge)
            if not to > reach[side] or out.runaway:
                continue
            for i, part in enumerate(parts):
                if part.side != side:
                    continue
                if part.count is None:
                    near, far = min(reach[side], part.extent), min(to, part.extent)
                    number = poisson(g, part.density * (far - near))
                else:
                    before, after = cdf(part.distance, reach[side], side), cdf(part.distance, to, side)
                    share = (after - before) / (1 - before) if before < 1 else 0.0
                    exact = part.distance[0] in ("Uniform", "Table")
                    out.doubtful |= not exact and not 1e-12 < share < 1 - 1e-12
                    number = binomial(g, left[i], share) if left[i] else 0
                    left[i] -= number
                room = max_count - sum(out.count.values())
                if number > room:
                    number, out.runaway = room, True
                if number:
                    size = sizes(part, number, g, lanes)
                    out.count[side] += number
                    out.quantity[side] += size
                    wave[side] = (wave[side][0] + number, wave[side][1] + size)
            reach[side] = to
        if not wave[1][0] + wave[-1][0]:
            if step:
                out.prices.append(now.traded_price())
                scale *= 1 + (rates[step - 1] if rates else 0.0)
            if step == len(returns):
                break
            next_step()
            continue
        out.waves += 1
        for side in (1, -1):
            out.proceeds += now.trade(side * wave[side][1])
        out.low_price = min(out.low_price, now.traded_price())
        out.high_price = max(out.high_price, now.traded_price())
        now.refill(refill)
    out.final_price = now.traded_price()
    return out
