"""What a venue does at a trigger, written slowly: position by position, on top of the reference's market.

Fund, auto-deleveraging, partial closes, fees, pacing. One `Desk` holds the state; a cascade and a path both call its
`settle_all`. The reference's market is called Venue in its own module; what the venue decides is `Rules` here.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st

import reference
from reference import Positions, safe_exp

INFINITE = math.inf
LEAST_SLICE = 0.01  # of the book's original quantity: what a close takes at least, and what may be left at least
CLOSE = 1e-10  # relative: how near to an edge counts as doubtful
MOVED = 1e-9  # the same for triggers that depend on money


@dataclass(frozen=True)
class Rules:
    close: str = "full"
    fund: float = 0.0
    adl: str = "none"
    surplus_to: str = "fund"
    adl_price: str = "bankruptcy"
    fee_rate: float = 0.0
    pacing: float = INFINITE
    fee_to: str = "venue"
    fraction: float | None = None
    target: float = 1.0
    whole_below: float = 0.0
    schedule: tuple[tuple[float, float, float], ...] | None = None  # (floor, rate, deduction), floors rising from 0
    delay: float = 0.0
    mark_weight: float | None = None
    price_band: float = INFINITE

    @property
    def closes_winners(self) -> bool:
        return self.adl not in ("none", "socialised")


def tiers(floor: Sequence[float], rate: Sequence[float]) -> tuple[tuple[float, float, float], ...]:
    """Deductions make maintenance continuous at each floor."""
    out = [(floor[0], rate[0], 0.0)]
    for k in range(1, len(floor)):
        out.append((floor[k], rate[k], out[-1][2] + floor[k] * (rate[k] - rate[k - 1])))
    return tuple(out)


@dataclass
class VenueBook(Positions):
    entry: list[float] | None = None
    stop: list[bool] | None = None


@dataclass
class Position:
    number: int
    side: int
    quantity: float  # what is left
    trigger: float
    bankruptcy: float
    entry: float
    stop: bool = False  # an order of its owner, not a liquidation
    wallet: float = math.nan  # of the account that holds it, where it shares margin: cash without unrealised profit
    asked: float = math.nan  # maintenance / notional of that account
    original: float = field(init=False)
    first_trigger: float = field(init=False)
    first_bankruptcy: float = field(init=False)
    queued: bool = False
    moved: bool = False  # trigger and bankruptcy price are no longer the book's
    fired: bool = False  # closed by force at least in part because it was crossed
    deleveraged: bool = False  # at least in part, on either side
    left_book: float = 0.0  # quantity closed so far
    exit_money: float = 0.0  # price x quantity of what is closed
    returned: float = 0.0  # money that went back to the trader

    def __post_init__(self) -> None:
        self.original, self.first_trigger, self.first_bankruptcy = self.quantity, self.trigger, self.bankruptcy

    def equity(self, price: float) -> float:
        return self.side * self.quantity * (price - self.bankruptcy) if self.quantity > 0 else 0.0

    def profit(self, price: float) -> float:
        return self.side * self.quantity * (price - self.entry)


# --- who is deleveraged ---
def score(policy: str, position: Position, price: float) -> float:
    """Larger goes first. A winner without equity has no finite leverage and goes before all others."""
    s, entry, owed, trigger = position.side, position.entry, position.bankruptcy, position.trigger
    equity = position.equity(price)
    if equity <= 0:
        return INFINITE
    leverage = price / (s * (price - owed))
    if policy == "queue":
        return s * (price - entry) / entry * leverage if entry else INFINITE
    if policy == "queue_price_ratio":
        return (price / entry if s > 0 else entry / price) * leverage
    shared = not math.isnan(position.wallet)
    wallet = position.wallet if shared else s * (entry - owed) * position.quantity
    rate = s * (trigger - owed) / trigger if 0 < trigger < math.inf else 0.0
    rate = position.asked if shared else rate
    maintenance = max(0.0, rate) * price * position.quantity
    return position.profit(price) / max(1.0, wallet) * (maintenance / equity)


@dataclass
class Shares:
    taken: list[float]  # per winner
    doubtful: bool = False


def close_to(a: float, b: float, scale: float | None = None, relative: float = CLOSE) -> bool:
    scale = max(abs(a), abs(b)) if scale is None else scale
    return a == b or not abs(a - b) > relative * scale


def round_numbers(numbers: Sequence[float]) -> bool:
    """Are sums of these numbers exact in any order?"""
    return all(abs(x) < 2**30 and x * 1024 == int(x * 1024) for x in numbers)


def share_out(policy: str, winners: list[Position], price: float, needed: float) -> Shares:
    """How much of each winner is closed: sums to `needed`, or to all they have."""
    quantities = [w.quantity for w in winners]
    available = math.fsum(quantities)
    out = Shares([0.0] * len(winners))
    if not winners:
        return out
    out.doubtful = close_to(needed, available) and not (needed == available and round_numbers([needed, *quantities]))
    if needed >= available:
        out.taken = quantities
        return out
    if policy in ("queue", "queue_margin_ratio", "queue_price_ratio", "list_order"):
        order = list(range(len(winners)))
        if policy != "list_order":
            scores = [score(policy, w, price) for w in winners]
            order.sort(key=lambda k: -scores[k])
            for a, b in itertools.pairwise(order):
                one, other = winners[a], winners[b]
                alike = all(
                    getattr(one, n) == getattr(other, n) for n in ("quantity", "entry", "bankruptcy", "trigger")
                )
                certain = alike or (scores[a] == scores[b] and scores[a] in (0.0, INFINITE))
                out.doubtful = out.doubtful or (close_to(scores[a], scores[b], relative=MOVED) and not certain)
        left = needed
        for k in order:
            out.taken[k] = min(quantities[k], left)
            exact = round_numbers([needed, *quantities])
            out.doubtful = out.doubtful or (left > 0 and close_to(quantities[k], left, available) and not exact)
            left -= out.taken[k]
            if left <= 0:
                break
        return out
    if policy == "pro_rata":
        out.taken = [q * needed / available for q in quantities]
        return out
    if policy == "pro_rata_profit":
        profits = [w.profit(price) for w in winners]
        whole: set[int] = set()  # those whose share would exceed what they hold
        while True:
            rest = [k for k in range(len(winners)) if k not in whole]
            factor = (needed - math.fsum(quantities[k] for k in whole)) / math.fsum(profits[k] for k in rest)
            more = {k for k in rest if factor * profits[k] >= quantities[k]}
            if not more:
                break
            whole |= more
        out.taken = [q if k in whole else factor * profits[k] for k, q in enumerate(quantities)]
        edges = [close_to(factor * p, q, relative=MOVED) for p, q in zip(profits, quantities, strict=True)]
        out.doubtful = out.doubtful or any(edges)
        return out
    assert policy == "water_filling"
    equities = [w.equity(price) for w in winners]
    left = needed
    for k, equity in enumerate(equities):
        if equity <= 0:  # no leverage is as large
            out.taken[k] = min(quantities[k], left)
            left -= out.taken[k]
            out.doubtful = True
    # the level falls until what lies above it is enough
    order = sorted(
        (k for k in range(len(winners)) if equities[k] > 0), key=lambda k: -quantities[k] * price / equities[k]
    )
    above: list[int] = []
    level = 0.0
    for place, k in enumerate(order):
        above.append(k)
        level = (math.fsum(quantities[i] for i in above) - left) / math.fsum(equities[i] / price for i in above)
        if place + 1 == len(order):
            break
        following = order[place + 1]
        if level >= quantities[following] * price / equities[following]:
            break
    for k in order:
        out.taken[k] = max(0.0, quantities[k] - level * equities[k] / price) if left > 0 else 0.0
        out.doubtful = out.doubtful or close_to(quantities[k], level * equities[k] / price, relative=MOVED)
    return out


# --- how much of a position is closed ---
def tier_of(schedule: Sequence[tuple[float, float, float]], notional: float) -> int:
    k = 0
    while k + 1 < len(schedule) and schedule[k + 1][0] < notional:
        k += 1
    return k


def maintenance(rules: Rules, position: Position, quantity: float, price: float) -> float:
    if rules.schedule is None:
        return flat_rate(position) * quantity * price
    _, rate, deduction = rules.schedule[tier_of(rules.schedule, quantity * price)]
    return rate * quantity * price - deduction


def flat_rate(position: Position) -> float:
    return position.side * (position.first_trigger - position.first_bankruptcy) / position.first_trigger


def new_trigger(rules: Rules, position: Position) -> float:
    """Where the equity of what is left is down to its maintenance."""
    s, owed = position.side, position.bankruptcy
    if rules.schedule is None:
        return s * owed / (s - flat_rate(position)) if s != flat_rate(position) else -INFINITE
    own = [(s * owed - d / position.quantity) / (s - m) for _, m, d in rules.schedule]
    return max(own) if s > 0 else min(own)


def mark_price(now: reference.Venue) -> float:
    factor = now.mark_factor(now.displacement())
    return math.exp(now.log_start) / factor if factor > 0 else INFINITE


@dataclass
class Order:
    """What a crossed position still has to have closed, in the order of the queue."""

    position: Position
    quantity: float
    trigger: float  # the one that fired
    due: float


class Desk:
    """The venue's side: positions, fund, queue, totals."""

    def __init__(self, book: VenueBook, rules: Rules) -> None:
        assert book.bankruptcy is not None
        self.rules = rules
        entries = book.entry or [math.nan] * len(book)
        stops = book.stop or [False] * len(book)
        rows = zip(book.side, book.quantity, book.trigger, book.bankruptcy, entries, stops, strict=True)
        self.positions = [Position(i, *row) for i, row in enumerate(rows)]
        self.fund = rules.fund
        self.queue: list[Order] = []
        self.waves: list[tuple[int, float, float, int, float]] = []
        self.shortfall = self.surplus = self.proceeds = self.net_sold = 0.0
        self.fund_paid = self.fund_received = self.unpaid_loss = self.socialised_loss = self.fees = 0.0
        self.fund_needed = 0.0  # the least start that is never overdrawn, were all shortfalls paid
        self.kept_by_venue = 0.0  # surplus and fees
        self.adl_quantity, self.adl_count, self.adl_events = 0.0, 0, 0
        self.quantity, self.notional = {1: 0.0, -1: 0.0}, {1: 0.0, -1: 0.0}
        self.funding = 0.0  # received by others than the positions
        self.by_kind = {kind: [0.0, 0.0] for kind in ("liquidated", "stop")}  # quantity, notional
        self.gross = rules.fund  # money that changed hands or was owed, without signs
        self.exhausted = self.doubtful = False
        self.wobble = 0.0

    def doubt(self, a: float, b: float, scale: float, relative: float = CLOSE) -> None:
        self.doubtful = self.doubtful or close_to(a, b, scale, relative)

    # --- crossing ---
    def crossed(self, now: reference.Venue) -> list[Position]:
        """In firing order."""
        book = [p for p in self.positions if p.quantity > 0 and not p.queued]
        hit = []
        for p in book:
            below_zero = p.side < 0 and p.moved and p.trigger <= 0
            if below_zero or now.crossed(p.side, p.trigger):
                hit.append(p)
            if 0 < p.trigger < math.inf:
                edge = math.exp(now.log_start) * (1 - p.side * reference.SLACK)
                lifted = now.lifted(p.trigger)
                width = max(MOVED if p.moved else 1e-13, 30 * max(self.wobble, now.wobble()))
                self.doubtful = self.doubtful or (math.isfinite(lifted) and abs(lifted / edge - 1) <= width)
        longs = sorted((p for p in hit if p.side > 0), key=lambda p: (-p.trigger, p.number))
        shorts = sorted((p for p in hit if p.side < 0), key=lambda p: (max(p.trigger, 0.0), p.number))
        for one, other in [*itertools.pairwise(longs), *itertools.pairwise(shorts)]:
            if one.trigger <= 0 and other.trigger <= 0:  # no price is below 0: a tie
                continue
            if (one.moved or other.moved) and close_to(one.trigger, other.trigger, relative=MOVED):
                alike = all(getattr(one, n) == getattr(other, n) for n in ("quantity", "bankruptcy", "trigger"))
                self.doubtful = self.doubtful or not alike
        return longs + shorts

    def size(self, p: Position, price: float) -> float:
        """How much of a crossed position one close takes."""
        rules, q = self.rules, p.quantity
        if rules.close == "full" or p.stop:
            return q
        if not 0 < price < math.inf:
            self.doubtful = True
            return q
        equity = p.equity(price)
        self.doubt(equity, 0.0, q * (price + p.bankruptcy))
        if rules.whole_below > 0:
            self.doubt(q * price, rules.whole_below, rules.whole_below)
        if equity <= 0 or q * price < rules.whole_below:
            return q
        least = LEAST_SLICE * p.original
        if rules.close == "tier_step_down":
            assert rules.schedule is not None
            for floor, _, _ in rules.schedule[1:]:
                self.doubt(q * price, floor, floor)
            k = tier_of(rules.schedule, q * price)
            x = q if k == 0 else max(least, (q * price - rules.schedule[k][0]) / price)
        elif rules.fraction is not None:
            x = rules.fraction * q
        elif rules.schedule is None:
            # a rate that is not positive asks for nothing, whatever is left
            rate = flat_rate(p)
            self.doubt(rate, 0.0, 1.0)
            x = max(least, q - equity / (rules.target * rate * price)) if rate > 0 else least
        else:
            kept = min((equity / rules.target + d) / (m * price) if m > 0 else INFINITE for _, m, d in rules.schedule)
            x = max(least, q - kept)
        x = min(x, q)
        self.doubt(q - x, LEAST_SLICE * p.original, p.original)
        return q if not x > 0 or q - x < LEAST_SLICE * p.original else x

    # --- money ---
    def to_fund(self, money: float) -> None:
        self.fund += money
        self.fund_received += money

    def charge(self, p: Position, money: float, gain: float) -> float:
        """The fee of a liquidation: never more than what the sale leaves over."""
        fee = 0.0 if p.stop else min(self.rules.fee_rate * abs(money), max(gain, 0.0))
        self.fees += fee
        if self.rules.fee_to == "fund":
            self.to_fund(fee)
        else:
            self.kept_by_venue += fee
        return fee

    def settle_part(self, p: Position, x: float, gain: float, fee: float) -> None:
        """The margin of what is left pays, or receives, the difference."""
        p.bankruptcy -= p.side * (gain - fee) / (p.quantity - x)
        p.quantity -= x
        p.moved = True

    def settle_whole(self, p: Position, gain: float, fee: float) -> None:
        if gain >= 0:
            self.surplus += gain
            rest = gain - fee
            if self.rules.surplus_to == "trader" or p.stop:
                p.returned += rest
            elif self.rules.surplus_to == "fund":
                self.to_fund(rest)
            else:
                self.kept_by_venue += rest
        else:
            self.shortfall += -gain
            self.fund_needed = max(self.fund_needed, self.shortfall - self.fund_received)
            paid = min(self.fund, -gain)
            self.fund -= paid
            self.fund_paid += paid
            if self.rules.adl == "socialised":
                self.socialised_loss += -gain - paid
            else:
                self.unpaid_loss += -gain - paid
        p.quantity = 0.0

    def close(self, p: Position, x: float, at: float, trigger: float) -> None:
        """Book-keeping of a forced close of x at an average price."""
        p.left_book += x
        p.exit_money += x * at
        p.fired = True
        self.quantity[p.side] += x
        self.notional[p.side] += x * max(trigger, 0.0)
        kind = self.by_kind["stop" if p.stop else "liquidated"]
        kind[0] += x
        kind[1] += x * max(trigger, 0.0)

    # --- funding ---
    def pay(self, rate: float) -> None:
        """Everybody whose position is open pays or gets a share of its notional at the bankruptcy price."""
        for p in self.positions:
            if p.quantity > 0:
                money = p.side * p.quantity * p.bankruptcy * rate
                self.funding += money
                self.gross += abs(money)
                p.bankruptcy *= 1 + rate
                p.trigger *= 1 + rate
        for order in self.queue:
            order.trigger *= 1 + rate

    # --- waterfall ---
    def winners(self, loser_side: int, price: float, crossed: Sequence[Position]) -> list[Position]:
        out = []
        for p in self.positions:
            if p.side == loser_side or p.quantity <= 0 or p.queued or p in crossed:
                continue
            self.doubt(price, p.entry, p.entry, MOVED)
            if p.side * (price - p.entry) > 0:
                out.append(p)
        return out

    def sell(self, now: reference.Venue, order: Order, x: float, price: float, crossed: list[Position]) -> bool:
        """Sell x of a position in the market. False, and nothing has happened, if winners must be closed instead."""
        p = order.position
        before = now.sold, now.recovering, now.traded
        money = now.trade(p.side * x)
        gain = money - p.side * x * p.bankruptcy
        whole = x == p.quantity
        closes_winners = self.rules.closes_winners and not p.stop
        if whole and gain < CLOSE * (abs(money) + x * p.bankruptcy) and closes_winners:
            able = bool(self.winners(p.side, price, crossed))
            if able:
                self.doubt(-gain, self.fund, abs(money) + x * p.bankruptcy + self.fund)
            if -gain > self.fund and able:
                now.sold, now.recovering, now.traded = before
                return False
        self.sell_anyway(now, order, x, money, gain)
        return True

    def sell_anyway(self, now: reference.Venue, order: Order, x: float, money: float, gain: float) -> None:
        p = order.position
        self.proceeds += money
        self.net_sold += p.side * x
        self.gross += abs(money) + x * abs(p.bankruptcy)
        self.wobble = max(self.wobble, now.wobble())
        self.close(p, x, money / (p.side * x), order.trigger)
        fee = self.charge(p, money, gain)
        if x < p.quantity:
            self.settle_part(p, x, gain, fee)
        else:
            self.settle_whole(p, gain, fee)

    def deleverage(
        self, now: reference.Venue, losers: list[Order], price: float, crossed: list[Position]
    ) -> list[float]:
        """Close these, of one side, whole against winners, sell what no winner is left for. How much of each."""
        whole = [o.position.quantity for o in losers]
        if losers:
            side = losers[0].position.side
            if not 0 < price < math.inf:
                self.doubtful = True
            needed = math.fsum(o.position.quantity for o in losers)
            winners = self.winners(side, price, crossed)
            shares = share_out(self.rules.adl, winners, price, needed) if 0 < price < math.inf else Shares([])
            winners = winners if shares.taken else []
            self.doubtful = self.doubtful or shares.doubtful
            matched = min(needed, math.fsum(w.quantity for w in winners))
            left, paid = matched, 0.0
            for order in losers:
                p = order.position
                x = min(p.quantity, left)
                round_ = round_numbers([left, p.quantity])
                if winners and left > 0 and not round_ and needed > matched:
                    self.doubt(p.quantity, left, matched)
                left -= x
                if needed == matched:  # all of them, whatever a sum was rounded to
                    x = p.quantity
                if x <= 0:
                    continue
                at = p.bankruptcy if self.rules.adl_price == "bankruptcy" else price
                gain = p.side * x * (at - p.bankruptcy)
                paid += x * at
                self.gross += x * (at + abs(p.bankruptcy))
                self.close(p, x, at, order.trigger)
                p.deleveraged = True
                if x < p.quantity:
                    self.settle_part(p, x, gain, 0.0)
                else:
                    self.settle_whole(p, gain, 0.0)
            if matched > 0:
                self.adl_events += 1
                self.adl_quantity += matched
                average = paid / matched
                for w, x in zip(winners, shares.taken, strict=True):
                    if x <= 0:
                        continue
                    self.adl_count += 1
                    w.deleveraged = True
                    w.left_book += x
                    w.exit_money += x * average
                    w.returned += w.side * x * (average - w.bankruptcy)
                    self.gross += x * (average + abs(w.bankruptcy))
                    self.doubtful = self.doubtful or 0 < w.quantity - x < CLOSE * w.quantity
                    w.quantity -= x
            for order in losers:
                p = order.position
                if p.quantity > 0:
                    money = now.trade(p.side * p.quantity)
                    self.sell_anyway(now, order, p.quantity, money, money - p.side * p.quantity * p.bankruptcy)
        return whole

    # --- waves ---
    def released(self, now: reference.Venue, clock: float, budget: float) -> tuple[list[tuple[Order, float]], float]:
        """What the queue lets go: due, in the band, in the budget, the last perhaps in part; and the budget left.

        Stop orders have a place in the line, but nothing holds them.
        """
        out = []
        ratio = safe_exp(-now.displacement())
        band = self.rules.price_band
        spent = False
        for order in self.queue:
            if order.position.stop:
                out.append((order, order.quantity))
                continue
            if spent:
                continue
            if self.rules.delay > 0 and clock != order.due:
                self.doubt(clock, order.due, max(clock, 1e-300), 1e-12)
            if order.due > clock * (1 + 1e-12):
                continue
            if math.isfinite(band):
                width = max(1e-12, 30 * self.wobble)
                edge = 1 - order.position.side * band
                self.doubtful = self.doubtful or close_to(ratio, edge, 1.0, width)
                if ratio < edge if order.position.side > 0 else ratio > edge:
                    continue
            spent = budget <= 0
            if spent:
                continue
            x = min(order.quantity, budget)
            if math.isfinite(budget) and not round_numbers([order.quantity, budget]):
                self.doubt(order.quantity, budget, order.position.original)
            budget -= x
            out.append((order, x))
        # let go in the order of the queue, settled as in any wave: longs, then shorts
        return sorted(out, key=lambda entry: -entry[0].position.side), budget

    def settle_all(
        self,
        now: reference.Venue,
        step: int = 0,
        clock: float = 0.0,
        budget: float = INFINITE,
        refill: float = 0.0,
    ) -> list[float]:
        """Waves until one executes nothing. The traded price before the first and after each."""
        seen = [now.traded_price()]
        self.exhausted = self.exhausted or math.isinf(now.displacement())
        while True:
            price = mark_price(now)
            crossed = self.crossed(now)
            for p in crossed:
                p.queued = True
                self.queue.append(Order(p, self.size(p, price), p.trigger, clock + self.rules.delay))
            orders, budget = self.released(now, clock, budget)
            if not orders:
                return seen
            price_before = now.traded_price()
            sizes, defaulted = {}, False
            for side in (1, -1):
                rest = []
                for order, x in orders:
                    if order.position.side != side:
                        continue
                    held = defaulted and not order.position.stop
                    if not held and self.sell(now, order, x, price, crossed):
                        sizes[id(order)] = x
                    else:
                        defaulted = True
                        rest.append(order)
                sizes |= zip(map(id, rest), self.deleverage(now, rest, price, crossed), strict=True)
            done = [sizes[id(order)] for order, _ in orders]
            for (order, _), x in zip(orders, done, strict=True):
                p = order.position
                order.quantity -= x
                if p.quantity > 0 and order.quantity > 0:
                    continue
                self.queue.remove(order)
                p.queued = False
                if p.quantity > 0:
                    p.trigger = new_trigger(self.rules, p)
            size = math.fsum(done)
            notional = math.fsum(x * max(o.trigger, 0.0) for (o, _), x in zip(orders, done, strict=True))
            self.waves.append((step, price_before, size, len(orders), notional))
            seen.append(now.traded_price())
            self.exhausted = self.exhausted or math.isinf(now.displacement())
            self.doubtful = self.doubtful or self.wobble > 1e-11
            now.refill(refill)

    # --- what came of it ---
    def totals(self) -> dict[str, float]:
        counts = {s: sum(p.fired and p.side == s for p in self.positions) for s in (1, -1)}
        out: dict[str, float] = {}
        for kind, (quantity, notional) in self.by_kind.items():
            out[f"{kind}_count"] = sum(p.fired and p.stop == (kind == "stop") for p in self.positions)
            out |= {f"{kind}_quantity": quantity, f"{kind}_notional": notional}
        return out | {
            "long_count": counts[1],
            "short_count": counts[-1],
            "long_quantity": self.quantity[1],
            "short_quantity": self.quantity[-1],
            "long_notional": self.notional[1],
            "short_notional": self.notional[-1],
            "proceeds": self.proceeds,
            "shortfall": self.shortfall,
            "surplus": self.surplus,
            "fund_paid": self.fund_paid,
            "fund_received": self.fund_received,
            "fund_end": self.fund,
            "fund_needed": self.fund_needed,
            "adl_quantity": self.adl_quantity,
            "adl_count": self.adl_count,
            "unpaid_loss": self.unpaid_loss,
            "socialised_loss": self.socialised_loss,
            "fees": self.fees,
        }

    def closed_by(self) -> list[int]:
        out = []
        for p in self.positions:
            if p.quantity > 0:
                out.append(3 if p.left_book > 0 else 0)
            else:
                out.append(2 if p.deleveraged else 4 if p.stop else 1)
        return out

    def exit_price(self) -> list[float]:
        return [p.exit_money / p.left_book if p.left_book > 0 else math.nan for p in self.positions]

    def position_loss(self, start: float, final: float) -> list[float]:
        """Equity at the start price less what is left; a socialised loss is spread by quantity over what is open."""
        interest = math.fsum(p.quantity for p in self.positions)
        out = []
        for p in self.positions:
            before = p.side * p.original * (start - p.first_bankruptcy)
            share = self.socialised_loss * p.quantity / interest if p.quantity > 0 else 0.0
            out.append(before - p.equity(final) - p.returned + share)
        return out

    def balance(self, start: float, final: float) -> dict[str, float]:
        """Who gained what. The parts add up to 0, but for rounding of the order of `gross`."""
        before = math.fsum(p.side * p.original * (start - p.first_bankruptcy) for p in self.positions)
        after = sum(p.equity(final) + p.returned for p in self.positions) - self.socialised_loss
        net = math.fsum(p.side * p.original for p in self.positions)
        return {
            "traders": after - before,
            "makers": self.net_sold * final - self.proceeds,
            "outside": -net * (final - start) + self.funding,
            "fund": self.fund - self.rules.fund,
            "venue": self.kept_by_venue,
            "unpaid": -self.unpaid_loss,
        }

    def scale(self, start: float, final: float) -> float:
        """What a rounding of money is relative to."""
        held = sum(p.original * (start + final + p.first_bankruptcy + abs(p.bankruptcy)) for p in self.positions)
        return self.gross + held


@dataclass
class Outcome:
    """One cascade or path with a venue."""

    totals: dict[str, float]
    closed: list[bool]
    closed_by: list[int]
    exit_price: list[float]
    position_loss: list[float]
    balance: dict[str, float]
    scale: float
    final_price: float
    low_price: float
    high_price: float
    waves: list[tuple[int, float, float, int, float]]
    amplification: float
    exhausted: bool
    doubtful: bool
    wobble: float
    desk: Desk
    prices: list[float] = field(default_factory=list)  # a path's, after each step; the first is the start


def outcome(desk: Desk, now: reference.Venue, start: float, seen: list[float], amplification: float) -> Outcome:
    final = now.traded_price()
    closed = [p.quantity <= 0 for p in desk.positions]
    return Outcome(
        desk.totals(), closed, desk.closed_by(), desk.exit_price(), desk.position_loss(start, final),
        desk.balance(start, final), desk.scale(start, final), final, min(seen), max(seen), desk.waves, amplification,
        desk.exhausted, desk.doubtful, desk.wobble, desk,
    )  # fmt: skip


def fresh(market: reference.Venue, rules: Rules) -> reference.Venue:
    now = market.fresh()
    if rules.mark_weight is not None:
        now.mark_weight = rules.mark_weight
    return now


def cascade(
    book: VenueBook,
    market: reference.Venue,
    rules: Rules,
    shock: float = 0.0,
    sell: float = 0.0,
    refill: float = 0.0,
) -> Outcome:
    """Shock, then sale, then waves until nothing is crossed."""
    now, desk = fresh(market, rules), Desk(book, rules)
    log_shock = math.log1p(shock)
    now.log_start += log_shock
    now.trade(sell, count_money=False)
    first = now.displacement()
    desk.wobble = now.wobble()
    desk.doubtful = desk.wobble > 1e-11
    seen = desk.settle_all(now, refill=refill)
    if not desk.waves:
        amplification = 1.0
    elif log_shock == first:
        amplification = math.nan
    else:
        amplification = (log_shock - now.displacement()) / (log_shock - first)
    return outcome(desk, now, market.price, seen, amplification)


def run(
    book: VenueBook,
    market: reference.Venue,
    rules: Rules,
    returns: Sequence[float],
    dt: float,
    *,
    moves: Sequence[float] | None = None,
    sales: Sequence[float] | None = None,
    rates: Sequence[float] | None = None,
) -> Outcome:
    """One path: fund, queue and positions persist from step to step; after each, longs pay its rate."""
    now, desk = fresh(market, rules), Desk(book, rules)
    seen, prices = [now.price], [now.price]
    for i, r in enumerate(returns):
        now.advance(dt)
        now.log_start += r + (moves[i] if moves is not None else 0.0)
        if sales is not None and sales[i] != 0:
            now.trade(sales[i], count_money=False)
            desk.wobble = max(desk.wobble, now.wobble())
        seen += desk.settle_all(now, i + 1, (i + 1) * dt, rules.pacing * dt)
        prices.append(now.traded_price())
        if rates is not None:
            desk.pay(rates[i])
    desk.doubtful = desk.doubtful or desk.wobble > 1e-11
    out = outcome(desk, now, market.price, seen, math.nan)
    out.prices = prices
    return out


# --- random cases ---
@dataclass
class VenueCase:
    """A case of the reference whose positions have entry prices, and what the venue does."""

    case: reference.Case
    entry: list[float]
    rules: Rules
    stop: list[bool] | None = None

    @property
    def positions(self) -> VenueBook:
        c = self.case
        return VenueBook(c.side, c.quantity, c.trigger, c.bankruptcy, self.entry, self.stop)

    def expected(self, liquidity: float = 1.0) -> Outcome:
        market = self.case.venue
        market.liquidity = liquidity
        return cascade(self.positions, market, self.rules, **self.case.question)

    def book(self) -> Any:
        import flushpoint as fp

        c = self.case
        return fp.Book(
            np.array(c.side, dtype=np.int8), c.quantity, c.trigger, c.bankruptcy, self.entry, stop=self.stop
        )  # fmt: skip

    def market(self) -> Any:
        return self.case.market()

    def venue(self) -> Any:
        return venue_of(self.rules)


def venue_of(rules: Rules) -> Any:
    """The package's venue of these rules."""
    import flushpoint as fp

    arguments = asdict(rules)
    if rules.schedule is not None:
        floor, rate, _ = zip(*rules.schedule, strict=True)
        arguments["schedule"] = fp.MarginSchedule(floor, rate)
    if arguments["price_band"] == INFINITE:
        del arguments["price_band"]
    return fp.Venue(**arguments)


POLICIES = (
    "none", "queue", "queue_margin_ratio", "queue_price_ratio", "list_order", "pro_rata", "pro_rata_profit",
    "water_filling", "socialised",
)  # fmt: skip


@st.composite
def rules(draw: st.DrawFn, money: float, *, adl: str | None = None, close: str | None = None) -> Rules:
    """What a venue does, with a fund of the order of the losses of positions worth `money`."""
    close = draw(st.sampled_from(["full", "full", "fraction", "tier_step_down"])) if close is None else close
    out: dict[str, Any] = {}
    if close == "tier_step_down" or (close == "fraction" and draw(st.booleans())):
        levels = draw(st.integers(1, 4))
        steps = [draw(st.floats(0.02, 0.5)) * money for _ in range(levels)]
        floors = [0.0, *np.cumsum(steps).tolist()][:levels]
        rates = np.cumsum([draw(st.floats(0.004, 0.06)) for _ in range(levels)]).tolist()
        out["schedule"] = tiers(floors, rates)
    if close == "fraction":
        out["fraction"] = draw(st.sampled_from([None, None, 0.2, 0.5, 1.0]))
        if out["fraction"] is None:
            out["target"] = draw(st.sampled_from([1.0, 1.1, 1.5, 3.0]))
    if close != "full":
        out["whole_below"] = money * draw(st.sampled_from([0.0, 0.0, 0.01, 0.1]))
    share = draw(st.one_of(st.sampled_from([0.0, 0.0, 0.001, 0.01, 0.1, 10.0]), st.floats(0.0, 0.2)))
    adl = draw(st.sampled_from(POLICIES)) if adl is None else adl
    if adl not in ("none", "socialised"):
        out["adl_price"] = draw(st.sampled_from(["bankruptcy", "bankruptcy", "mark"]))
    return Rules(
        close=close, fund=share * money, adl=adl, surplus_to=draw(st.sampled_from(["fund", "trader", "venue"])),
        fee_rate=draw(st.sampled_from([0.0, 0.005, 0.05])), fee_to=draw(st.sampled_from(["venue", "fund"])),
        mark_weight=draw(st.sampled_from([None, None, 0.0, 0.5, 1.0])), **out,
    )  # fmt: skip


@st.composite
def cases(draw: st.DrawFn, *, alive: bool = False, max_size: int = 10, **options: Any) -> VenueCase:
    """A small book of both sides, a market, a question and a venue."""
    case = draw(reference.cases(alive=alive, max_size=max_size))
    # winners on the side that a fall does not close
    extra = draw(st.integers(0, 4))
    for _ in range(extra):
        side = draw(st.sampled_from([-1, -1, 1]))
        case.side.append(side)
        case.quantity.append(draw(st.sampled_from([1.0, 0.5, 4.0])) * (1.0 if draw(st.booleans()) else 0.7))
        case.trigger.append(case.price * draw(st.sampled_from([1.3, 1.6, 2.0])) ** -side)
    for side in (1, -1):
        if side not in case.side:
            case.side.append(side)
            case.quantity.append(draw(st.sampled_from([1.0, 3.0])))
            case.trigger.append(case.price * 1.4**-side)
    margins = st.sampled_from([0.002, 0.01, 0.01, 0.05, 0.2, -0.01])
    owed, entry = [], []
    for side, trigger in zip(case.side, case.trigger, strict=True):
        known = trigger if 0 < trigger < math.inf else case.price * 1.5**-side
        owed.append(known * (1 - side * draw(margins)))
        entry.append(case.price * draw(st.sampled_from([0.7, 0.95, 1.0, 1.0, 1.05, 1.1, 1.4])))
    case.bankruptcy = owed
    total = sum(case.quantity)
    case.impact = draw(reference.impacts(total))
    case.sell = total * draw(st.sampled_from([0.0, 0.0, 0.0, 0.1, -0.1]))
    return VenueCase(case, entry, draw(rules(total * case.price / len(case.side), **options)))


def random_case(seed: int, n: int, *, alive: bool = False, family: str | None = None) -> VenueCase:
    """A case of n positions from a seed: for books larger than hypothesis draws well."""
    rng = np.random.default_rng(seed)
    case = reference.random_case(seed, n, alive=alive, family=family)
    side = np.array(case.side)
    if abs(side.sum()) == n:
        case.side[0] *= -1
        case.trigger[0] = case.price * 1.3 ** -case.side[0]
    side, trigger = np.array(case.side), np.array(case.trigger)
    known = np.where((trigger > 0) & np.isfinite(trigger), trigger, case.price * 1.5**-side)
    case.bankruptcy = (known * (1 - side * rng.choice([0.002, 0.01, 0.05], n))).tolist()
    entry = (case.price * np.exp(rng.normal(0.0, 0.15, n))).tolist()
    money = sum(case.quantity) * case.price
    levels = int(rng.integers(1, 5))
    floors = [0.0, *(money / n * np.cumsum(rng.uniform(0.2, 1.0, levels))).tolist()][:levels]
    schedule = tiers(floors, np.cumsum(rng.uniform(0.004, 0.03, levels)).tolist())
    close = str(rng.choice(["full", "full", "fraction", "tier_step_down"]))
    part: dict[str, Any] = {}
    if close == "tier_step_down":
        part = {"schedule": schedule}
    elif close == "fraction":
        part = {"schedule": schedule if rng.random() < 0.5 else None, "target": float(rng.choice([1.0, 1.2]))}
        if rng.random() < 0.4:
            part = {"fraction": float(rng.choice([0.2, 0.5]))}
    adl, adl_price = str(rng.choice(POLICIES)), str(rng.choice(["bankruptcy", "mark"]))
    if adl not in ("none", "socialised"):
        part["adl_price"] = adl_price
    return VenueCase(case, entry, Rules(
        close=close, fund=money * float(rng.choice([0.0, 0.001, 0.01])), adl=adl,
        surplus_to=str(rng.choice(["fund", "trader", "venue"])),
        fee_rate=float(rng.choice([0.0, 0.005])), fee_to=str(rng.choice(["venue", "fund"])), **part,
    ))  # fmt: skip


@dataclass
class VenueRun:
    """A case and what moves it in time: a row of log returns a path, and what longs pay after each step."""

    case: VenueCase
    returns: list[list[float]]
    dt: float = 1.0
    half_life: float = INFINITE
    rates: list[float] | None = None

    def market(self) -> Any:
        from dataclasses import replace

        return replace(self.case.market(), half_life=self.half_life)

    def funding(self) -> Any:
        import flushpoint as fp

        return None if self.rates is None else fp.Funding(self.rates, self.dt)

    def expected(self) -> list[Outcome]:
        market = self.case.case.venue
        market.half_life = self.half_life
        rules, rates = self.case.rules, self.rates
        return [run(self.case.positions, market, rules, row, self.dt, rates=rates) for row in self.returns]


@st.composite
def runs(draw: st.DrawFn, *, paced: bool | None = None, funded: bool | None = None, **options: Any) -> VenueRun:
    """A few short paths; half of the venues (all, none: paced) pace, delay or band their trades; funding in half."""
    case = draw(cases(alive=True, max_size=8, **options))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    paths, steps = draw(st.integers(1, 3)), draw(st.integers(1, 12))
    size = draw(st.sampled_from([0.02, 0.1, 0.3]))
    returns = size * rng.standard_normal((paths, steps))
    returns[rng.random((paths, steps)) < 0.2] = 0.0
    returns[:, 0] -= draw(st.sampled_from([0.0, 0.1, -0.1]))
    dt = draw(st.sampled_from([1.0, 60.0, 0.25]))
    half_life = dt * draw(st.sampled_from([INFINITE, INFINITE, 0.5, 3.0]))
    if draw(st.booleans()) if paced is None else paced:
        total = sum(case.case.quantity)
        pacing = draw(st.sampled_from([INFINITE, 0.5, 0.1, 0.02])) * total / dt
        delay = dt * draw(st.sampled_from([0.0, 0.0, 0.5, 1.0, 2.0]))
        band = draw(st.sampled_from([INFINITE, INFINITE, 0.02, 0.2]))
        arguments = {**case.rules.__dict__, "pacing": pacing, "delay": delay, "price_band": band}
        case = VenueCase(case.case, case.entry, Rules(**arguments))
    rates = None
    if draw(st.booleans()) if funded is None else funded:
        size = draw(st.sampled_from([1e-4, 0.01, -0.02, 0.3]))
        rates = (size * rng.standard_normal(steps)).clip(-0.9).round(6).tolist()
    return VenueRun(case, returns.tolist(), dt, half_life, rates)
