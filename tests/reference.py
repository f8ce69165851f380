"""What the engine must compute, written slowly: plain loops over positions, one numerical integral per trade.

Nothing here is shared with the package. The first half is the model: impact shapes, a market's state, cascades in
waves and one by one, the response map by definition. The second half draws random cases for hypothesis and builds the
package's objects from them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st

SLACK = 1e-12  # relative: how near to a trigger counts as on it
NODES, WEIGHTS = np.polynomial.legendre.leggauss(16)


# --- impact ---
@dataclass(frozen=True)
class Shape:
    """Recovering impact: volume -> log displacement. `corners` are the volumes where it is not smooth."""

    function: Callable[[np.ndarray], np.ndarray]
    corners: tuple[float, ...] = (0.0,)

    def array(self, volume: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            return self.function(np.asarray(volume, float))

    def __call__(self, volume: float) -> float:
        return float(self.array(np.array([volume]))[0])


def linear(coefficient: float) -> Shape:
    return Shape(lambda v: coefficient * v)


def power(coefficient: float, exponent: float) -> Shape:
    return Shape(lambda v: np.sign(v) * coefficient * np.abs(v) ** exponent)


def square_root(daily_volatility: float, daily_volume: float, prefactor: float = 0.8, core: float = 0.0) -> Shape:
    scale = prefactor * daily_volatility / math.sqrt(daily_volume)
    # sqrt(v + core) - sqrt(core) without its cancellation

    def h(v: np.ndarray) -> np.ndarray:
        size = np.abs(v)
        lower = np.sqrt(size + core) + math.sqrt(core)
        return np.sign(v) * scale * np.where(size > 0, size / np.where(lower > 0, lower, 1.0), 0.0)

    return Shape(h, (0.0,))


def depth(distance: Any, bid_quantity: Any, ask_quantity: Any = None) -> Shape:
    distances = [0.0, *map(float, distance)]
    bids = [0.0, *map(float, bid_quantity)]
    asks = bids if ask_quantity is None else [0.0, *map(float, ask_quantity)]

    def walk(volume: float, levels: list[float]) -> float:
        k = 1
        while k < len(levels) - 1 and levels[k] < volume:
            k += 1
        slope = (distances[k] - distances[k - 1]) / (levels[k] - levels[k - 1])
        return distances[k - 1] + (volume - levels[k - 1]) * slope

    def h(v: np.ndarray) -> np.ndarray:
        return np.array([walk(x, bids) if x >= 0 else -walk(-x, asks) for x in v.ravel()]).reshape(v.shape)

    return Shape(h, (*bids, *(-a for a in asks[1:])))


def evaporating(coefficient: float, thinning: float) -> Shape:
    def h(v: np.ndarray) -> np.ndarray:
        gone = thinning * coefficient * np.abs(v)
        return np.sign(v) * np.where(gone < 1, -np.log1p(-np.where(gone < 1, gone, 0.0)) / thinning, np.inf)

    pole = 1 / (thinning * coefficient) if coefficient > 0 else math.inf
    return Shape(h, (0.0, pole, -pole))


SHAPES: dict[str, Callable[..., Shape]] = {
    "LinearImpact": linear,
    "PowerImpact": power,
    "SquareRootImpact": square_root,
    "DepthImpact": depth,
    "EvaporatingImpact": evaporating,
}


def integral(price: Callable[[np.ndarray], np.ndarray], low: float, high: float, corners: list[float]) -> float:
    """Area under `price` from low to high: halve a panel until halving changes nothing. inf where the price is."""
    cuts = [low, *sorted(c for c in set(corners) if low < c < high), high]
    todo = [(a, b, 0) for a, b in itertools.pairwise(cuts)]
    largest = max(abs(c) for c in [low, high, *corners])
    scale = 0.0
    done: list[float] = []
    while todo:
        a, b, level = todo.pop()
        middle = 0.5 * (a + b)
        ends, inside = price(np.array([a, b])), price(middle + 0.5 * (b - a) * NODES)
        if np.isinf(inside).any():
            return math.inf
        if not ends.any() and not inside.any():  # beyond the pole
            continue
        quarter = 0.25 * (b - a)
        whole = 2 * quarter * float(WEIGHTS @ inside)
        halves = quarter * float(WEIGHTS @ (price(a + quarter * (1 + NODES)) + price(middle + quarter * (1 + NODES))))
        scale = max(scale, abs(halves))
        steep = not (ends[0] <= 8 * ends[1] and ends[1] <= 8 * ends[0])
        # a volume is rounded to `largest` * 1e-16, which is all the agreement there can be
        tolerance = 1e-14 * scale + 1e-15 * largest * abs(float(ends[1] - ends[0]))
        if level >= 60 or not a < middle < b or (abs(whole - halves) <= tolerance and not steep):
            done.append(halves)
        else:
            todo += [(a, middle, level + 1), (middle, b, level + 1)]
    return math.fsum(done)


# --- one market ---
@dataclass
class Venue:
    """A market's parameters and its state: exogenous log price, permanent and recovering volume."""

    price: float
    shape: Shape
    permanent: float = 0.0
    half_life: float = math.inf
    spread: float = 0.0
    mark_weight: float = 1.0
    liquidity: float = 1.0
    log_start: float = field(init=False)
    sold: float = field(init=False, default=0.0)
    recovering: float = field(init=False, default=0.0)
    traded: float = field(init=False, default=0.0)  # without signs: what roundings of the volumes are relative to

    def __post_init__(self) -> None:
        self.log_start = math.log(self.price)

    def fresh(self) -> Venue:
        return Venue(
            self.price, self.shape, self.permanent, self.half_life, self.spread, self.mark_weight, self.liquidity
        )

    def displacement(self, sold: float | None = None, recovering: float | None = None) -> float:
        sold = self.sold if sold is None else sold
        recovering = self.recovering if recovering is None else recovering
        return self.permanent * sold / self.liquidity + self.shape(recovering / self.liquidity)

    def traded_price(self) -> float:
        return safe_exp(self.log_start - self.displacement())

    def crossed(self, side: int, trigger: float) -> bool:
        if trigger <= 0 or math.isinf(trigger):
            return False
        mark = self.lifted(trigger)
        start = math.exp(self.log_start)
        return mark >= start * (1 - SLACK) if side > 0 else mark <= start * (1 + SLACK)

    def lifted(self, trigger: float) -> float:
        """The start price at which this trigger is reached in the present state."""
        return self.mark_factor(self.displacement()) * trigger

    def mark_factor(self, displacement: float) -> float:
        return safe_exp(self.mark_weight * displacement) if self.mark_weight else 1.0

    def doubt(self, trigger: float, side: int) -> bool:
        """Is the crossing test so near to its edge that rounding could decide it?"""
        if trigger <= 0 or math.isinf(trigger):
            return False
        edge = math.exp(self.log_start) * (1 - side * SLACK)
        lifted = self.lifted(trigger)
        return math.isfinite(lifted) and abs(lifted / edge - 1) <= max(1e-13, 30 * self.wobble())

    def wobble(self) -> float:
        """How far a rounding of the volume moves the log price."""
        rounding = 3e-16 * self.traded
        a = self.displacement(self.sold - rounding, self.recovering - rounding)
        b = self.displacement(self.sold + rounding, self.recovering + rounding)
        return 0.0 if a == b else b - a if math.isfinite(b - a) else math.inf

    def trade(self, quantity: float, count_money: bool = True) -> float:
        """Sell (buy if negative); money received (paid: negative), spread included."""
        if quantity == 0:
            return 0.0

        def price(extra: np.ndarray) -> np.ndarray:
            log_price = self.log_start - (
                self.permanent * (self.sold + extra) / self.liquidity
                + self.shape.array((self.recovering + extra) / self.liquidity)
            )
            with np.errstate(all="ignore"):
                return np.exp(log_price)

        money = math.nan
        if count_money:
            corners = [c * self.liquidity - self.recovering for c in self.shape.corners]
            if quantity > 0:
                money = integral(price, 0.0, quantity, corners) * (1 - self.spread / 2)
            else:
                money = -integral(price, quantity, 0.0, corners) * (1 + self.spread / 2)
        self.sold += quantity
        self.recovering += quantity
        self.traded += abs(quantity)
        return money

    def refill(self, share: float) -> None:
        self.recovering *= 1 - share
        self.traded *= 1 - share

    def advance(self, seconds: float) -> None:
        self.recovering *= 0.5 ** (seconds / self.half_life)


def safe_exp(x: float) -> float:
    return math.inf if x > 709.78 else math.exp(x)


# --- one cascade ---
@dataclass
class Positions:
    side: list[int]
    quantity: list[float]
    trigger: list[float]
    bankruptcy: list[float] | None = None

    def __len__(self) -> int:
        return len(self.side)

    def order(self, chosen: list[int]) -> list[int]:
        """Longs by falling trigger, then shorts by rising trigger, ties as they came."""
        longs = sorted((i for i in chosen if self.side[i] > 0), key=lambda i: -self.trigger[i])
        shorts = sorted((i for i in chosen if self.side[i] < 0), key=lambda i: self.trigger[i])
        return longs + shorts


@dataclass
class Outcome:
    first_price: float
    final_price: float
    low_price: float
    high_price: float
    closed: list[bool]
    waves: list[tuple[float, float, int, float]]
    proceeds: list[float]  # per position, nan where open
    amplification: float
    exhausted: bool
    doubtful: bool  # rounding could change which positions close, or a price by more than the tolerances
    wobble: float  # the largest move of a log price by one rounding of a volume

    def exit_price(self, book: Positions) -> list[float]:
        return [m / (s * q) for m, s, q in zip(self.proceeds, book.side, book.quantity, strict=True)]

    def gains(self, book: Positions) -> list[float]:
        """Proceeds less what the position owes at its bankruptcy price."""
        assert book.bankruptcy is not None
        return [
            m - s * q * b for m, s, q, b in zip(self.proceeds, book.side, book.quantity, book.bankruptcy, strict=True)
        ]

    def totals(self, book: Positions) -> dict[str, float]:
        taken = [i for i, c in enumerate(self.closed) if c]
        out = {
            "liquidated_count": len(taken),
            "liquidated_quantity": math.fsum(book.quantity[i] for i in taken),
            "liquidated_notional": math.fsum(book.quantity[i] * book.trigger[i] for i in taken),
            "proceeds": sum(self.proceeds[i] for i in taken),
            "shortfall": math.nan,
            "surplus": math.nan,
        }
        if book.bankruptcy is not None:
            gains = self.gains(book)
            out["shortfall"] = sum(max(0.0, -gains[i]) for i in taken)
            out["surplus"] = sum(max(0.0, gains[i]) for i in taken)
        return out

    def gross(self, book: Positions) -> float:
        """All money that changed hands or was owed, without signs: the scale for comparing sums of money."""
        taken = [i for i, c in enumerate(self.closed) if c]
        owed = book.bankruptcy or [0.0] * len(book)
        return sum(abs(self.proceeds[i]) + book.quantity[i] * owed[i] for i in taken)


def cascade(
    book: Positions,
    market: Venue,
    shock: float = 0.0,
    sell: float = 0.0,
    refill: float = 0.0,
    *,
    one_by_one: bool = False,
    money: bool = True,
) -> Outcome:
    """Shock, then sale, then waves until nothing is crossed. one_by_one: a wave is the first crossed position only."""
    now = market.fresh()
    n = len(book)
    closed, proceeds = [False] * n, [math.nan] * n
    now.log_start += math.log1p(shock)
    now.trade(sell, count_money=False)
    first_move = now.displacement()
    low = high = first = now.traded_price()
    waves = []
    exhausted = math.isinf(now.displacement())
    doubtful, worst = now.wobble() > 1e-11, now.wobble()
    while True:
        open_positions = [i for i in range(n) if not closed[i]]
        doubtful = doubtful or any(now.doubt(book.trigger[i], book.side[i]) for i in open_positions)
        crossed = book.order([i for i in open_positions if now.crossed(book.side[i], book.trigger[i])])
        if not crossed:
            break
        if one_by_one:
            crossed = crossed[:1]
        size = math.fsum(book.quantity[i] for i in crossed)
        notional = math.fsum(book.quantity[i] * book.trigger[i] for i in crossed)
        waves.append((now.traded_price(), size, len(crossed), notional))
        for i in crossed:
            proceeds[i] = now.trade(book.side[i] * book.quantity[i], money)
            closed[i] = True
            worst = max(worst, now.wobble())
        doubtful = doubtful or worst > 1e-11
        exhausted = exhausted or math.isinf(now.displacement())
        low, high = min(low, now.traded_price()), max(high, now.traded_price())
        now.refill(refill)
    log_shock = math.log1p(shock)
    if not waves:
        amplification = 1.0
    elif log_shock == first_move:
        amplification = math.nan
    else:
        amplification = (log_shock - now.displacement()) / (log_shock - first_move)
    return Outcome(
        first, now.traded_price(), low, high, closed, waves, proceeds, amplification, exhausted, doubtful, worst
    )


# --- every cascade of a book ---
@dataclass
class Step:
    """One position of the map: it closes if the start price is at or beyond `start` (for a long: at or below)."""

    position: int
    start: float
    own: float  # the same for this position alone, without those before it


def steps(book: Positions, market: Venue, side: int) -> list[Step]:
    out = []
    quantity, start = 0.0, math.inf if side > 0 else 0.0
    for i in book.order([i for i in range(len(book)) if book.side[i] == side]):
        trigger = book.trigger[i]
        if trigger <= 0 or math.isinf(trigger):
            continue
        signed = side * quantity
        own = market.mark_factor(market.displacement(signed, signed)) * trigger
        start = min(start, own) if side > 0 else max(start, own)
        out.append(Step(i, start, own))
        quantity += book.quantity[i]
    return out


def response(book: Positions, market: Venue) -> list[tuple[float, list[int]]]:
    """The map by trial: (start price, positions that close), at every step and a little to both sides of it."""
    out = []
    for side in (1, -1):
        for step in steps(book, market, side):
            for factor in (1 + 1e-9, 1.0, 1 - 1e-9):
                start = step.start * factor
                if 0 < start < math.inf:
                    result = cascade(book, market, start / market.price - 1, money=False)
                    out.append((start, [i for i, c in enumerate(result.closed) if c]))
    return out


def tipping_points(book: Positions, market: Venue) -> list[dict[str, float]]:
    """Runs of positions with one start price and two or more distinct triggers: nearest first, longs then shorts."""
    out = []
    for side in (1, -1):
        line = steps(book, market, side)
        before = 0.0
        at = 0
        while at < len(line):
            end = at
            while end < len(line) and line[end].start == line[at].start:
                end += 1
            run = [line[k].position for k in range(at, end)]
            quantity = sum(book.quantity[i] for i in run)
            before += quantity
            if len({book.trigger[i] for i in run}) >= 2:
                start = line[at].start
                final = start * safe_exp(-market.displacement(side * before, side * before))
                out.append(
                    {
                        "price": start,
                        "shock": start / market.price - 1,
                        "side": side,
                        "count": len(run),
                        "quantity": quantity,
                        "notional": sum(book.quantity[i] * book.trigger[i] for i in run),
                        "final_price": final,
                    }
                )
            at = end
    return out


def reproduction_number(book: Positions, market: Venue, price: float, width: float = 0.01) -> float:
    """Log move caused by the quantity triggered within the next `width` of log price, over `width`."""
    side = 1 if price <= market.price else -1
    already = following = 0.0
    for s, q, t in zip(book.side, book.quantity, book.trigger, strict=True):
        if s != side or t <= 0 or math.isinf(t):
            continue
        if side * t >= side * price:
            already += q
        elif side * t >= side * price * math.exp(-side * width):
            following += q
    a, b = side * already, side * (already + following)
    return side * (market.displacement(b, b) - market.displacement(a, a)) / width


# --- random cases ---
@dataclass
class Case:
    """A book, a market and a question, in plain numbers; `impact` is a class name and its arguments."""

    side: list[int]
    quantity: list[float]
    trigger: list[float]
    bankruptcy: list[float] | None
    price: float
    impact: tuple[str, dict[str, Any]]
    permanent: float = 0.0
    spread: float = 0.0
    mark_weight: float = 1.0
    shock: float = 0.0
    sell: float = 0.0
    refill: float = 0.0

    @property
    def positions(self) -> Positions:
        return Positions(self.side, self.quantity, self.trigger, self.bankruptcy)

    @property
    def venue(self) -> Venue:
        name, arguments = self.impact
        shape = SHAPES[name](**arguments)
        return Venue(self.price, shape, permanent=self.permanent, spread=self.spread, mark_weight=self.mark_weight)

    @property
    def question(self) -> dict[str, float]:
        return {"shock": self.shock, "sell": self.sell, "refill": self.refill}

    def book(self) -> Any:
        import flushpoint as fp

        return fp.Book(
            np.array(self.side, dtype=np.int8), np.array(self.quantity, float), np.array(self.trigger, float),
            None if self.bankruptcy is None else np.array(self.bankruptcy, float),
        )  # fmt: skip

    def market(self) -> Any:
        import flushpoint as fp

        name, arguments = self.impact
        impact = getattr(fp, name)(**arguments)
        return fp.Market(self.price, impact, permanent=self.permanent, spread=self.spread, mark_weight=self.mark_weight)


def random_impact(rng: np.random.Generator, name: str, total: float, strength: float) -> tuple[str, dict[str, Any]]:
    """An impact of this family whose displacement at `total` is of the order of `strength`."""
    total = total or 1.0
    if name == "LinearImpact":
        return name, {"coefficient": strength / total}
    if name == "PowerImpact":
        exponent = float(rng.choice([0.3, 0.5, 0.6, 1.0, 1.7, 2.4, 3.0]))
        return name, {"coefficient": strength / total**exponent, "exponent": exponent}
    if name == "SquareRootImpact":
        core = float(rng.choice([0.0, 1e-4, 0.05, 1.0])) * total
        volume = float(rng.choice([1.0, 1e3])) * total
        return name, {
            "daily_volatility": strength * math.sqrt(volume / total), "daily_volume": volume, "core": core,
            "prefactor": float(rng.choice([0.8, 1.0])),
        }  # fmt: skip
    if name == "DepthImpact":
        levels = int(rng.integers(1, 8))
        out = {
            "distance": (np.cumsum(rng.uniform(0.1, 1.0, levels)) * strength / levels).tolist(),
            "bid_quantity": (np.cumsum(rng.uniform(0.05, 1.0, levels)) * total / levels).tolist(),
        }
        if rng.random() < 0.6:
            out["ask_quantity"] = (np.cumsum(rng.uniform(0.02, 2.0, levels)) * total / levels).tolist()
        return name, out
    thinning = float(rng.choice([0.3, 1.0, 2.0, 8.0]))
    return name, {"coefficient": strength / total, "thinning": thinning}


def random_case(seed: int, n: int, *, alive: bool = False, family: str | None = None) -> Case:
    """A case of n positions from a seed: for books larger than hypothesis draws well."""
    rng = np.random.default_rng(seed)
    price = float(rng.choice([1.0, 100.0, 126_000.0]))
    side = rng.choice([1, -1], n, p=rng.choice([[0.5, 0.5], [1.0, 0.0], [0.1, 0.9]]))
    spread_out = float(rng.choice([0.02, 0.1, 0.4]))
    distance = rng.exponential(spread_out, n) if alive else rng.normal(spread_out, spread_out, n)
    if rng.random() < 0.5:  # ties
        distance = np.round(distance, 2)
    if alive:
        distance = np.maximum(distance, 1e-6)
    trigger = price * np.exp(-side * distance)
    never = rng.random(n) < 0.05
    trigger[never] = np.where(side[never] > 0, 0.0, math.inf)
    quantity = rng.lognormal(0.0, float(rng.choice([0.0, 1.0, 4.0])), n)
    bankruptcy = price * np.exp(-side * distance * rng.uniform(1.0, 1.3, n)) if rng.random() < 0.8 else None
    total = float(quantity.sum())
    strength = float(rng.choice([0.1, 0.5, 1.0, 2.0]))
    name = family or str(rng.choice(list(SHAPES)))
    finite = np.isfinite(trigger) & (trigger > 0)
    shock = float(rng.uniform(-0.15, 0.15))
    if rng.random() < 0.3 and finite.any():
        shock = float(rng.choice(trigger[finite])) / price - 1
    return Case(
        side.tolist(), quantity.tolist(), trigger.tolist(), None if bankruptcy is None else bankruptcy.tolist(),
        price, random_impact(rng, name, total, strength),
        permanent=float(rng.choice([0.0, 0.3])) * strength / (total or 1.0),
        spread=float(rng.choice([0.0, 0.001])), mark_weight=float(rng.choice([1.0, 1.0, 0.5, 0.1, 0.0])),
        shock=shock, sell=float(rng.choice([0.0, 0.0, 0.1, -0.1])) * total, refill=float(rng.choice([0.0, 0.0, 0.25])),
    )  # fmt: skip


def _fractions(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high, allow_nan=False, allow_infinity=False)


@st.composite
def impacts(draw: st.DrawFn, total: float) -> tuple[str, dict[str, Any]]:
    name = draw(st.sampled_from(list(SHAPES)))
    strength = draw(st.one_of(st.sampled_from([1.0, 0.3, 0.01, 3.0]), _fractions(0.1, 5.0)))
    if name == "LinearImpact":
        return name, {"coefficient": draw(st.sampled_from([strength, strength, strength, 0.0])) / total}
    if name == "PowerImpact":
        exponent = draw(st.sampled_from([0.25, 0.5, 0.6, 1.0, 1.5, 2.0, 2.4]))
        return name, {"coefficient": strength / total**exponent, "exponent": exponent}
    if name == "SquareRootImpact":
        return name, {
            "daily_volatility": strength, "daily_volume": total * draw(st.sampled_from([0.5, 1.0, 4.0])),
            "prefactor": draw(st.sampled_from([0.8, 1.5])), "core": total * draw(st.sampled_from([0.0, 0.001, 1.0])),
        }  # fmt: skip
    if name == "DepthImpact":
        levels = draw(st.integers(1, 5))
        pieces = st.lists(_fractions(0.02, 1.0), min_size=levels, max_size=levels)
        out = {
            "distance": (np.cumsum(draw(pieces)) * strength).tolist(),
            "bid_quantity": (np.cumsum(draw(pieces)) * total / levels).tolist(),
        }
        if draw(st.booleans()):
            out["ask_quantity"] = (np.cumsum(draw(pieces)) * total / levels).tolist()
        return name, out
    return name, {"coefficient": strength / total, "thinning": draw(st.sampled_from([0.25, 1.0, 3.0, 10.0]))}


NEVER = -1.0


@st.composite
def cases(draw: st.DrawFn, *, alive: bool = False, max_size: int = 10, refill: bool = True) -> Case:
    """A small book, a market and a question. alive: nothing is crossed at the market's price."""
    price = draw(st.sampled_from([100.0, 1.0, 126_000.0, 0.003]))
    beyond = [] if alive else [1.0, 1.02, 1.5]
    crowded = draw(st.booleans())
    relative = st.one_of(
        st.sampled_from([0.99, 0.98, 0.95, 0.9, 0.9, 0.8] + ([] if crowded else [0.5, 0.1, *beyond])),
        _fractions(0.85 if crowded else 0.2, 0.9999 if alive or crowded else 1.3),
        *([] if crowded else [st.just(NEVER)]),
    )
    quantities = draw(
        st.sampled_from([
            st.just(1.0), st.sampled_from([1.0, 2.0, 0.5]), _fractions(0.5, 2.0),
            st.one_of(_fractions(0.01, 100.0), st.sampled_from([1e-6, 1e-3, 1.0, 1e3, 1e6])),
        ])
    )  # fmt: skip
    one = st.tuples(st.sampled_from([1, 1, -1]), quantities, relative, _fractions(0.9, 1.1))
    least = draw(st.sampled_from([0, 1, 3, max_size // 2, max_size]))
    rows = draw(st.lists(one, min_size=least, max_size=max(least, max_size if least > 1 else 2)))
    side = [s for s, *_ in rows]
    quantity = [q for _, q, _, _ in rows]
    trigger = []
    for s, _, r, _ in rows:
        if r == NEVER:
            trigger.append(0.0 if s > 0 else math.inf)
        else:
            trigger.append(price * r if s > 0 else price / r)
    bankruptcy = None
    if draw(st.booleans()) or draw(st.booleans()):
        bankruptcy = [t * b if 0 < t < math.inf else price * b for t, (_, _, _, b) in zip(trigger, rows, strict=True)]
    total = sum(quantity) or 1.0
    shocks = [st.sampled_from([0.0, -0.1, -0.02, 0.05, -0.5, -0.95, 3.0]), _fractions(-0.7, 0.7)]
    reachable = [t for t in trigger if 0 < t < math.inf]
    if reachable:
        falls = sorted((t / price - 1 for t in reachable), key=abs)
        shocks += [st.sampled_from(falls), st.sampled_from(falls[:2]), st.sampled_from(falls[:3])]
    return Case(
        side, quantity, trigger, bankruptcy, price, draw(impacts(total)),
        permanent=draw(st.sampled_from([0.0, 0.0, 0.2, 1.0])) / total,
        spread=draw(st.sampled_from([0.0, 0.001, 0.5])),
        mark_weight=draw(st.one_of(st.sampled_from([1.0, 1.0, 0.5, 0.0]), _fractions(0.01, 1.0))),
        shock=draw(st.one_of(shocks)),
        sell=total * draw(st.one_of(st.just(0.0), st.just(0.0), _fractions(-0.3, 1.0))),
        refill=draw(st.one_of(st.sampled_from([0.0, 0.0, 0.25, 1.0]), _fractions(0.0, 1.0))) if refill else 0.0,
    )  # fmt: skip
