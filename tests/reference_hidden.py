"""What the hidden book must hold, written slowly: one dictionary of triggers a side and class, one loop a rule.

Nothing here is shared with the package. The rules are those of ``flushpoint.predict_liquidations``, with the engine's
grid of log price and its choice of entry prices. Its cutoff in rule 3 is not here, but what that may leave out is
summed, and a choice that lies within rounding of turning out otherwise is noted.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from hypothesis import strategies as st

CLOSE_CALL = 1e-9  # choices nearer than this are doubtful
NEGLIGIBLE = 1e-4  # closing rates a row that the engine leaves out in rule 3
NEVER = 10.0  # log distances from here up are not kept


@dataclass(frozen=True)
class Row:
    open: float
    high: float
    low: float
    close: float
    open_interest: float


@dataclass(frozen=True)
class Case:
    rows: list[Row]
    hours: float
    share: list[float]
    distance: tuple[list[float], list[float]]  # longs, shorts
    turnover: float
    activity: float
    body: float
    cell: float
    steps: int


@dataclass
class Flow:
    """What became of one side and class in one row: quantities, and the notional of what was liquidated."""

    before: float
    after: float = 0.0
    crossed: float = 0.0  # of the book before the row, what the path met
    liquidated: float = 0.0  # of that and of what opened on the path
    closed: float = 0.0
    opened: float = 0.0
    notional: float = 0.0


@dataclass
class Outcome:
    liquidated: tuple[list[float], list[float]]
    quantity: tuple[list[dict[int, float]], list[dict[int, float]]]  # by class: cell, counted from price 1, to amount
    flows: list[Flow] = field(default_factory=list)
    left_out: float = 0.0  # the most that the engine's cutoff may have kept open, as a share of a cell
    doubtful: bool = False


def run(case: Case) -> Outcome:
    return _Run(case).outcome


class _Run:
    def __init__(self, case: Case) -> None:
        self.case = case
        classes = range(len(case.share))
        self.outcome = Outcome(([], []), ([{} for _ in classes], [{} for _ in classes]))
        base = 0.0  # open interest before the row, in base units
        for row in case.rows:
            self.read(row)
            now = row.open_interest / row.close
            self.left_out = 0.0
            for side in (0, 1):
                total = 0.0
                for k in classes:
                    distance = case.distance[side][k]
                    if distance < NEVER:
                        total += self.one(side, k, distance, case.share[k] * base, case.share[k] * now)
                self.outcome.liquidated[side].append(total)
            base = now
            self.outcome.left_out += self.left_out

    def at_least(self, a: float, b: float) -> bool:
        if a != b and abs(a - b) < CLOSE_CALL:
            self.outcome.doubtful = True
        return a >= b

    def read(self, row: Row) -> None:
        case = self.case
        opened, self.high, self.low, close = (math.log(p) for p in (row.open, row.high, row.low, row.close))
        spread = self.high - self.low
        usual = 0.01 * math.sqrt(case.hours)  # 1 % in an hour
        self.time = case.hours * (spread / usual) ** case.activity
        low_first = 1 / (1 + math.exp(-case.body * (close - opened) / spread)) if spread > 0 else 0.5
        self.paths = [
            (low_first, [opened, self.low, self.high, close]),
            (1 - low_first, [opened, self.high, self.low, close]),
        ]

    def pieces(self, size: float, distance: float) -> int:
        """How many entry prices stand for a stretch of prices."""
        ratio = size / max(self.case.cell, distance / 40)
        if ratio < self.case.steps and 0 < abs(ratio - round(ratio)) < CLOSE_CALL:
            self.outcome.doubtful = True
        return min(math.floor(ratio) + 1, self.case.steps)

    def reaches(self, points: Sequence[float], trigger: float, sign: int) -> float | None:
        """Length of the way through `points` until it first stands at or beyond the trigger."""
        if self.at_least(sign * trigger, sign * points[0]):
            return 0.0
        way = 0.0
        for a, b in itertools.pairwise(points):
            if self.at_least(sign * trigger, sign * b):
                return way + abs(trigger - a)
            way += abs(b - a)
        return None

    def one(self, side: int, k: int, distance: float, held: float, target: float) -> float:
        """One row of one side and class, whose share of open interest goes from `held` to `target`."""
        case, sign = self.case, 1 - 2 * side
        book = self.outcome.quantity[side][k]
        flow = Flow(sum(book.values()))
        self.outcome.flows.append(flow)
        closing = case.turnover * 0.01 / distance * self.time
        extreme = self.low if sign > 0 else self.high
        self.cross(book, flow, sign, extreme, closing)
        self.close(book, flow, math.exp(-closing))
        self.turn_over(book, flow, sign, distance, closing, held)
        self.hasten(book, flow, sign, extreme, distance)
        self.settle(book, flow, sign, extreme, distance, held, target)
        flow.after = sum(book.values())
        return flow.notional

    def liquidate(self, flow: Flow, amount: float, trigger: float) -> None:
        flow.liquidated += amount
        flow.notional += amount * math.exp(trigger)

    def add(self, book: dict[int, float], amount: float, trigger: float) -> None:
        """Between the two cells about the trigger."""
        at = trigger / self.case.cell
        below = math.floor(at)
        book[below] = book.get(below, 0.0) + amount * (below + 1 - at)
        book[below + 1] = book.get(below + 1, 0.0) + amount * (at - below)

    def close(self, book: dict[int, float], flow: Flow, kept: float) -> None:
        for i in book:
            flow.closed += book[i] * (1 - kept)
            book[i] *= kept

    def cross(self, book: dict[int, float], flow: Flow, sign: int, extreme: float, closing: float) -> None:
        """Rule 1."""
        for i in list(book):
            trigger = i * self.case.cell
            if not self.at_least(sign * trigger, sign * extreme):
                continue
            amount = book.pop(i)
            flow.crossed += amount
            for weight, points in self.paths:
                way = self.reaches(points, trigger, sign)
                assert way is not None
                left = weight * amount * math.exp(-closing * way / (length(points) or 1.0))
                self.liquidate(flow, left, trigger)
                flow.closed += weight * amount - left

    def turn_over(
        self, book: dict[int, float], flow: Flow, sign: int, distance: float, closing: float, held: float
    ) -> None:
        """Rule 2: what opens. `held` would lose held * closing if it were kept full throughout the row."""
        for weight, points in self.paths:
            whole = length(points)
            for leg in range(3):
                a, b = points[leg], points[leg + 1]
                part = abs(b - a) / whole if whole > 0 else 1 / 3
                if part == 0:
                    continue
                count = self.pieces(abs(b - a), distance)
                before = length(points[: leg + 1]) / whole if whole > 0 else leg / 3
                for j in range(count):
                    entry = a + (b - a) * (j + 0.5) / count
                    done = before + part * (j + 0.5) / count
                    amount = weight * held * closing * part / count
                    flow.opened += amount
                    trigger = entry - sign * distance
                    way = self.reaches([entry, *points[leg + 1 :]], trigger, sign)
                    left = amount * math.exp(-closing * (1 - done if way is None else way / whole))
                    flow.closed += amount - left
                    if way is None:
                        self.add(book, left, trigger)
                    else:
                        self.liquidate(flow, left, trigger)

    def hasten(self, book: dict[int, float], flow: Flow, sign: int, extreme: float, distance: float) -> None:
        """Rule 3. The first cell beyond the extreme is taken to be half a cell away, the next one and a half, ..."""
        case = self.case
        limit = extreme / case.cell
        first = math.ceil(limit) - 1 if sign > 0 else math.floor(limit) + 1
        for i in book:
            away = (sign * (first - i) + 0.5) * case.cell
            if not 0 < away < distance:
                continue
            extra = case.turnover * 0.01 * self.time * (1 / away - 1 / distance)
            if case.turnover * 0.01 * self.time / away < NEGLIGIBLE:
                self.left_out = max(self.left_out, extra)
            flow.closed += book[i] * -math.expm1(-extra)
            book[i] *= math.exp(-extra)

    def settle(
        self, book: dict[int, float], flow: Flow, sign: int, extreme: float, distance: float, held: float, target: float
    ) -> None:
        """Rule 4."""
        total = sum(book.values())
        if total > target:
            self.close(book, flow, target / total)
            return
        opened = min(max(target - held, 0.0), target - total)
        if opened <= 0:
            return
        flow.opened += opened
        spread = self.high - self.low
        count = self.pieces(spread, distance)
        # What the row's range would have crossed already is opened just beyond it.
        nearest = extreme - sign * 1.5 * self.case.cell
        for j in range(count):
            trigger = self.low + spread * (j + 0.5) / count - sign * distance
            self.add(book, opened / count, sign * min(sign * trigger, sign * nearest))


def length(points: Sequence[float]) -> float:
    return sum(abs(b - a) for a, b in itertools.pairwise(points))


# --- random cases ---
@st.composite
def rows(draw: st.DrawFn) -> list[Row]:
    """A few rows: calm, wild or standing still; the open where the row before closed, or somewhere else."""
    scale = draw(st.sampled_from([0.0005, 0.005, 0.02, 0.1, 0.7]))
    step = st.one_of(st.floats(-1, 1), st.floats(-0.1, 0.1), st.just(0.0))
    up = st.one_of(st.floats(0, 1), st.just(0.0))
    price = draw(st.sampled_from([1.0, 93.7, 61_234.5, 0.0123]))
    interest = draw(st.sampled_from([1.0, 3e9]))
    out = []
    for _ in range(draw(st.integers(1, 7))):
        if draw(st.sampled_from([False, False, False, True])):
            price *= math.exp(scale * draw(step))
        close = price * math.exp(scale * draw(step))
        high = max(price, close) * math.exp(scale * draw(up))
        low = min(price, close) * math.exp(-scale * draw(up))
        interest *= draw(st.one_of(st.just(1.0), st.floats(0.5, 2.0), st.sampled_from([0.01, 30.0])))
        out.append(Row(price, high, low, close, interest))
        price = close
    return out


@st.composite
def cases(draw: st.DrawFn) -> Case:
    cell = draw(st.sampled_from([2.5e-4, 1e-3, 0.0077]))
    classes = draw(st.sampled_from([1, 1, 2, 3, 12]))
    weights = [draw(st.floats(0.01, 1.0)) for _ in range(classes)]
    distance = st.one_of(
        st.floats(1.0, 40.0).map(lambda cells: cells * cell), st.floats(0.01, 1.0), st.sampled_from([cell, math.inf])
    )
    distances = [[draw(distance) for _ in range(classes)] for _ in range(2)]
    return Case(
        draw(rows()), draw(st.sampled_from([1.0, 1 / 60, 24.0])), [w / sum(weights) for w in weights],
        (distances[0], distances[1]), draw(st.sampled_from([1e-9, 0.04, 0.5])),
        draw(st.sampled_from([0.0, 1.0, 1.25])), draw(st.sampled_from([4.0, 0.0])), cell,
        draw(st.sampled_from([24, 5, 1])),
    )  # fmt: skip
