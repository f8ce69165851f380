"""Accounts over several markets as plain loops: every account is looked at in every round.

Markets are those of `reference`; positions are rows (account, market, quantity, entry price, isolated margin).
"""

import math
from dataclasses import dataclass, field

import numpy as np

import reference_venue

TIE = 1e-12
EPSILON = np.finfo(float).eps


def maintenance(tiers, notional):
    """Of (floor, rate) tiers, with the deductions that make it continuous."""
    total, deduction, last = 0.0, 0.0, 0.0
    for floor, rate in tiers:
        deduction += floor * (rate - last)
        last = rate
        if notional > floor or floor == 0.0:
            total = rate * notional - deduction
    return total


def added(a, b):
    """A sum of money in which a loss without bound outweighs any gain."""
    return -math.inf if math.isnan(a + b) else a + b


@dataclass(eq=False)
class Pool:
    """What shares margin: an isolated position, or all others of an account, netted by market."""

    account: int
    money: float
    quantity: dict
    cost: dict
    alone: bool
    rows: dict  # market -> row numbers
    order: int
    first: dict = field(default_factory=dict)
    by_price: bool = False  # whether one price tells when it fails, and with what loss
    first_money: float = 0.0
    first_entry: float = 0.0  # price of its first row
    order_of_rank: int = 0  # what settles ties among winners
    origin: int | None = None  # where the largest loss stood when it first failed

    @property
    def left(self):
        """Share that is left of the position of which most is."""
        return max((q / self.first[m] for m, q in self.quantity.items()), default=0.0)

    def equity(self, marks):
        total = self.money
        for m, q in self.quantity.items():
            total = added(total, q * marks[m])
        return total

    def gross(self, marks):
        return sum(abs(q) * marks[m] for m, q in self.quantity.items())

    def needs(self, marks, tiers, share=1.0):
        return sum(maintenance(tiers[m], share * abs(q) * marks[m]) for m, q in self.quantity.items())

    def fails(self, marks, tiers):
        if self.by_price and self.quantity:  # at its price, though some of it may have been closed as a winner's
            whole = Pool(0, self.first_money, self.first, {}, True, {}, 0)
            return whole.equity(marks) - whole.needs(marks, tiers) <= TIE * whole.gross(marks)
        return bool(self.quantity) and self.equity(marks) - self.needs(marks, tiers) <= TIE * self.gross(marks)


def pools(rows, cash):
    shared = {}
    out = []
    for i, (account, market, quantity, entry, margin) in enumerate(rows):
        if not math.isnan(margin):
            cost = quantity * entry
            out.append(Pool(account, margin - cost, {market: quantity}, {market: cost}, True, {market: [i]}, i))
            continue
        if account not in shared:
            shared[account] = Pool(account, cash[account], {}, {}, False, {}, i)
            out.append(shared[account])
        pool = shared[account]
        pool.money -= quantity * entry
        pool.quantity[market] = pool.quantity.get(market, 0.0) + quantity
        pool.cost[market] = pool.cost.get(market, 0.0) + quantity * entry
        pool.rows.setdefault(market, []).append(i)
    for pool in out:
        for market, numbers in pool.rows.items():
            gross = sum(abs(rows[i][2]) for i in numbers)
            if abs(pool.quantity[market]) <= len(numbers) * EPSILON * gross:
                del pool.quantity[market], pool.cost[market]
        pool.first = dict(pool.quantity)
        pool.first_money = pool.money
        pool.first_entry = rows[min(i for numbers in pool.rows.values() for i in numbers)][3]
        pool.by_price = len(pool.first) == 1 and (pool.money >= 0 or max(pool.first.values()) > 0)
    # As winners, those that go by a price of their own come first, in the order of their rows, then the others.
    ranked = sorted(out, key=lambda p: (not p.by_price, p.order if p.by_price else p.account))
    for rank, pool in enumerate(ranked):
        pool.order_of_rank = rank
    return out


def shares_to_close(pool, marks, tiers, close, target):
    """Share of each market's position that a failing account over several markets closes."""
    whole = dict.fromkeys(pool.quantity, 1.0)
    worth = pool.equity(marks)
    if close == "all" or worth <= 0:
        return whole
    if close == "largest_loss":
        out = dict.fromkeys(pool.quantity, 0.0)
        loss = {m: pool.cost[m] - q * marks[m] for m, q in pool.quantity.items()}
        for m in sorted(sorted(loss), key=lambda m: -loss[m]):
            out[m] = 1.0
            rest = [k for k in out if out[k] == 0.0]
            asked = sum(maintenance(tiers[k], abs(pool.quantity[k]) * marks[k]) for k in rest)
            if worth - asked > TIE * sum(abs(pool.quantity[k]) * marks[k] for k in rest):
                break
        return out
    # The share that is kept, by bisection: what ends on the target is above the tie, even where that is 1.
    low, high = 0.0, 1.0
    for _ in range(200):
        middle = 0.5 * (low + high)
        if target * (pool.needs(marks, tiers, middle) + 2 * TIE * middle * pool.gross(marks)) <= worth:
            low = middle
        else:
            high = middle
    kept = min(low * pool.left, pool.left - 0.01)
    return whole if kept < 0.01 else dict.fromkeys(pool.quantity, 1 - kept / pool.left)


class Run:
    def __init__(
        self,
        rows,
        cash,
        markets,
        tiers,
        cross=None,
        close="all",
        target=1.0,
        fund=0.0,
        fee_rate=0.0,
        surplus_to="trader",
        confined=None,
        adl="none",
        adl_price="bankruptcy",
    ):
        self.confined = confined  # a market: accounts first hurt there are taken over elsewhere, at the mark
        self.pools = pools(rows, cash)
        self.markets, self.tiers, self.close, self.target = markets, tiers, close, target
        self.cross = np.zeros((len(markets), len(markets))) if cross is None else cross
        self.fund, self.fee_rate, self.surplus_to = fund, fee_rate, surplus_to
        self.money = dict(proceeds=0.0, shortfall=0.0, surplus=0.0, unpaid_loss=0.0, fees=0.0)
        self.adl, self.adl_price = adl, adl_price
        self.adl_quantity, self.adl_count = np.zeros(len(markets)), np.zeros(len(markets), int)
        self.doubtful = False  # whether rounding could decide who is closed against whom
        self.rows_closed = np.zeros(len(rows))
        self.closed_out = []
        self.rounds = 0
        self.waves = np.zeros(len(markets), int)
        self.quantity = np.zeros((2, len(markets)))
        self.low = self.high = None
        self.nearest = math.inf  # how near any slack came to 0: where rounding could decide, all may differ

    def pushed(self, m):
        return sum(self.cross[m, k] * s.recovering / s.liquidity for k, s in enumerate(self.markets))

    def displacement(self, m):
        return self.markets[m].displacement() + self.pushed(m)

    def prices(self):
        return np.array([math.exp(s.log_start - self.displacement(m)) for m, s in enumerate(self.markets)])

    def marks(self):
        return [math.exp(s.log_start - s.mark_weight * self.displacement(m)) for m, s in enumerate(self.markets)]

    def extremes(self, moved=None):
        now = self.prices()
        if self.low is None:
            self.low, self.high = now, now.copy()
        for m in range(now.size) if moved is None or self.cross.any() else moved:
            self.low[m], self.high[m] = min(self.low[m], now[m]), max(self.high[m], now[m])

    def settle(self, worth, traded):
        """What is left of something that is closed out."""
        fee = min(self.fee_rate * traded, max(worth, 0.0))
        self.money["fees"] += fee
        if worth >= 0:
            self.money["surplus"] += worth
            if self.surplus_to == "fund":
                self.fund += worth - fee
        else:
            paid = min(self.fund, -worth)
            self.fund -= paid
            self.money["shortfall"] -= worth
            self.money["unpaid_loss"] += -worth - paid

    def trade(self, m, quantity, pushed):
        # What others' earlier rounds have pushed, with what this round has sold here so far.
        state = self.markets[m]
        start = state.log_start
        state.log_start = start - pushed
        money = state.trade(quantity)
        state.log_start = start
        self.money["proceeds"] = added(self.money["proceeds"], money)
        self.quantity[int(quantity < 0), m] += abs(quantity)
        return money

    def close_share(self, pool, m, share, pushed):
        money = self.trade(m, share * pool.quantity[m], pushed[m])
        self.take(pool, m, share, money)
        return abs(money)

    def take(self, pool, m, share, money):
        """A share of a position is gone, for money."""
        pool.money = added(pool.money, money)
        for row in pool.rows[m]:
            self.rows_closed[row] = 1 - (1 - self.rows_closed[row]) * (1 - share)
        if share == 1.0:
            del pool.quantity[m], pool.cost[m]
        else:
            pool.quantity[m] *= 1 - share
            pool.cost[m] *= 1 - share

    # --- closing against winners ---
    def bankruptcy_price(self, pool, m, marks):
        """Such that closing everything at these prices leaves nothing: each as far from its mark, in relation to it."""
        return marks[m] * (1 - math.copysign(1, pool.quantity[m]) * pool.equity(marks) / pool.gross(marks))

    def winners(self, m, side, marks, failing):
        """As positions of the reference of venues, with the pools that hold them."""
        out = []
        for pool in sorted(self.pools, key=lambda p: p.order_of_rank):
            quantity = pool.quantity.get(m, 0.0)
            if quantity * side <= 0 or pool in failing:
                continue
            entry = pool.cost[m] / quantity
            if pool.by_price and not 0 < entry < math.inf:
                entry = pool.first_entry
            entry = max(entry, 0.0)
            self.doubtful |= abs(marks[m] - entry) < 1e-9 * entry
            if side * (marks[m] - entry) <= 0:
                continue
            if pool.by_price:
                owed = max(-pool.first_money / pool.first[m], 0.0)
                trigger = self.trigger(pool, m)
                trigger = trigger if 1e-8 < trigger < 1e11 else 0.0
                one = reference_venue.Position(len(out), side, abs(quantity), trigger, owed, entry)
            else:
                wallet = pool.money + sum(pool.cost.values())
                asked = pool.needs(marks, self.tiers) / pool.gross(marks)
                owed = self.bankruptcy_price(pool, m, marks)
                one = reference_venue.Position(
                    len(out), side, abs(quantity), 0.0, owed, entry, wallet=wallet, asked=asked
                )
            out.append((pool, one))
        return out

    def cannot_pay(self, pool, marks, failing, pushed):
        """Whether the fund lacks what selling all of it now would lack, and there is a winner to close instead."""
        worth = pool.money
        for m in sorted(pool.quantity):
            state = self.markets[m]
            before = state.sold, state.recovering, state.traded, state.log_start
            state.log_start -= pushed[m]
            worth = added(worth, state.trade(pool.quantity[m]))
            state.sold, state.recovering, state.traded, state.log_start = before
        scale = self.fund + abs(worth) + pool.gross(marks)
        self.doubtful |= abs(-worth - self.fund) < 1e-9 * scale
        if not -worth > self.fund:
            return False
        sides = [(m, -1 if q > 0 else 1) for m, q in pool.quantity.items()]
        return any(self.winners(m, side, marks, failing) for m, side in sides)

    def deleverage(self, m, side, losers, marks, failing):
        """Close these positions of one side against winners, as far as there are any. Losers: (pool, price)."""
        winners = self.winners(m, -side, marks, failing)
        if not losers or not winners:
            return
        needed = sum(abs(pool.quantity[m]) for pool, _ in losers)
        shares = reference_venue.share_out(self.adl, [one for _, one in winners], marks[m], needed)
        self.doubtful |= shares.doubtful
        if self.adl == "queue_margin_ratio":  # of whom nothing is asked only rounding tells apart
            self.doubtful |= any(0 < abs(one.trigger - one.bankruptcy) < 1e-9 * one.trigger for _, one in winners)
        found = min(needed, sum(shares.taken))
        left, money = found, 0.0
        for pool, price in losers:
            size = abs(pool.quantity[m])
            size = size if found == needed else min(size, left)
            if size <= 0:
                break
            left -= size
            money += size * price
            share = 1.0 if size == abs(pool.quantity[m]) else size / abs(pool.quantity[m])
            self.doubtful |= share < 1.0 and not 1e-9 < share < 1 - 1e-9
            self.quantity[int(side < 0), m] += size
            self.take(pool, m, share, side * size * price)
        for (pool, one), size in zip(winners, shares.taken, strict=True):
            if size <= 0:
                continue
            self.adl_count[m] += 1
            share = 1.0 if size == one.quantity else size / one.quantity
            self.doubtful |= share < 1.0 and not 1e-9 < share < 1 - 1e-9
            if pool.by_price:  # what it took out is the trader's; what is left keeps its bankruptcy price
                kept = pool.money * (1 - share)
                self.take(pool, m, share, 0.0)
                pool.money = kept
            else:
                self.take(pool, m, share, -side * size * money / found)
        self.adl_quantity[m] += found

    def settle_against_winners(self, losers, marks, failing, pushed):
        """Close accounts, or positions on their own, against winners; sell what none is left for."""
        prices = [{m: self.bankruptcy_price(pool, m, marks) for m in pool.quantity} for pool in losers]
        for m in range(len(self.markets)):
            for side in (1, -1):
                here = [
                    (pool, marks[m] if self.adl_price == "mark" else max(own[m], 0.0))
                    for pool, own in zip(losers, prices, strict=True)
                    if pool.quantity.get(m, 0.0) * side > 0
                ]
                self.deleverage(m, side, here, marks, failing)
        for pool in losers:
            volume = sum(self.close_share(pool, m, 1.0, pushed) for m in sorted(pool.quantity))
            self.closed_out.append(pool)
            if abs(pool.money) < 1e-12 * sum(abs(q) * marks[m] for m, q in pool.first.items()):
                pool.money = 0.0  # closed at its bankruptcy prices
            self.settle(pool.money, volume)

    def shocked(self, shock, sell=None, **how):
        """Move every market, sell into it, and cascade; -> itself."""
        for m, state in enumerate(self.markets):
            state.log_start = math.log(state.price * (1 + shock[m]))
            if sell is not None:
                state.trade(sell[m], count_money=False)
        self.extremes()
        self.cascade(**how)
        return self

    def walked(self, returns, dt):
        """Move every market by each row of log returns, and cascade; -> itself."""
        self.extremes()
        for row in returns:
            for state, r in zip(self.markets, row, strict=True):
                state.advance(dt)
                state.log_start += r
            self.extremes()
            self.cascade()
        return self

    def cascade(self, refill=0.0):
        while True:
            marks = self.marks()
            for pool in self.pools:
                if pool.quantity:
                    slack = pool.equity(marks) - pool.needs(marks, self.tiers)
                    self.nearest = min(self.nearest, abs(slack) / (pool.gross(marks) + abs(pool.money)))
            failing = [pool for pool in self.pools if pool.fails(marks, self.tiers)]
            if not failing:
                return
            self.rounds += 1
            pushed = [self.pushed(m) for m in range(len(self.markets))]
            traded = set()
            for m in range(len(self.markets)):
                defaulted = False
                for side in (1, -1):
                    here = [p for p in failing if p.by_price and p.quantity.get(m, 0.0) * side > 0]
                    rest = []
                    for pool in sorted(here, key=lambda p: (-side * self.trigger(p, m), p.order)):
                        traded.add(m)
                        if self.adl != "none" and not defaulted:
                            defaulted = self.cannot_pay(pool, marks, failing, pushed)
                        if defaulted:
                            rest.append(pool)
                        else:
                            self.settle_one(pool, m, pushed)
                    self.settle_against_winners(rest, marks, failing, pushed)
            rest = []
            for pool in sorted((p for p in failing if not p.by_price), key=lambda p: p.account):
                shares = shares_to_close(pool, marks, self.tiers, self.close, self.target)
                whole = set(shares.values()) == {1.0} and math.isfinite(pool.equity(marks))
                if self.adl != "none" and whole and (rest or self.cannot_pay(pool, marks, failing, pushed)):
                    rest.append(pool)
                    traded |= set(pool.quantity)
                    continue
                if pool.origin is None:
                    loss = {m: pool.cost[m] - q * marks[m] for m, q in pool.quantity.items()}
                    pool.origin = max(sorted(loss), key=lambda m: loss[m])
                volume = 0.0
                for m in sorted(shares):
                    if shares[m] > 0 and self.confined == pool.origin != m:
                        pool.money += shares[m] * pool.quantity[m] * marks[m]
                        pool.quantity[m] *= 1 - shares[m]
                        if shares[m] == 1.0:
                            del pool.quantity[m], pool.cost[m]
                    elif shares[m] > 0:
                        volume += self.close_share(pool, m, shares[m], pushed)
                        traded.add(m)
                if not pool.quantity:
                    self.closed_out.append(pool)
                    self.settle(pool.money, volume)
                else:
                    fee = min(self.fee_rate * volume, max(pool.equity(marks), 0.0))
                    pool.money -= fee
                    self.money["fees"] += fee
            self.settle_against_winners(rest, marks, failing, pushed)
            for pool in self.pools:  # winners that are left with nothing but a debt
                taken_whole = not pool.by_price and pool.first and not pool.quantity and pool not in self.closed_out
                if taken_whole and pool.money < 0:
                    self.settle(pool.money, 0.0)
                    pool.money = 0.0
            self.extremes(traded)
            for m in traded:
                self.waves[m] += 1
                self.markets[m].refill(refill)

    def settle_one(self, pool, m, pushed):
        volume = self.close_share(pool, m, 1.0, pushed)
        self.closed_out.append(pool)
        self.settle(pool.money, volume)

    def trigger(self, pool, m):
        """Where a position that stands for itself fails: between the tiers, by bisection in the logarithm."""
        low, high = math.log(1e-9), math.log(1e12)
        falls = pool.quantity[m] > 0
        for _ in range(200):
            middle = 0.5 * (low + high)
            fails = pool.fails({m: math.exp(middle)}, self.tiers)
            if fails == falls:
                low = middle
            else:
                high = middle
        return math.exp(low)


def cascade(rows, cash, markets, tiers, shock, sell=None, refill=0.0, **rules):
    """-> the Run; it changes `markets`."""
    return Run(rows, cash, markets, tiers, **rules).shocked(shock, sell, refill=refill)


def path(rows, cash, markets, tiers, returns, dt, **rules):
    """-> the Run of one path; `returns` are log moves, a row a step and a column a market."""
    return Run(rows, cash, markets, tiers, **rules).walked(returns, dt)


def forced(rows, cash, marks, tiers, close="all", target=1.0):
    """Quantity of each market, sales less purchases, that is closed of what fails at these marks."""
    out = np.zeros(len(marks))
    for pool in pools(rows, cash):
        if not pool.fails(marks, tiers):
            continue
        whole = dict.fromkeys(pool.quantity, 1.0)
        shares = whole if pool.by_price else shares_to_close(pool, marks, tiers, close, target)
        for m, share in shares.items():
            out[m] += share * pool.quantity[m]
    return out
