"""What a skilled user of numba writes for the same jobs."""

# ruff: noqa: NPY002 - to numba these names are its own generators, one a thread
from __future__ import annotations

import math
from typing import Any

import numba as nb
import numpy as np

from flushpoint._validate import FloatArray
from flushpoint.bench.numpy_rivals import step_accounts
from flushpoint.bench.workloads import COEFFICIENT, EXPONENTIAL, LOG_NORMAL, MAINTENANCE, MIX, PRICE, AccountWalk


@nb.njit(inline="always")
def _at_or_above(falling, x):
    low, high = 0, falling.size
    while low < high:
        middle = (low + high) >> 1
        if falling[middle] < x:
            high = middle
        else:
            low = middle + 1
    return low


@nb.njit(parallel=True)
def query_levels(levels, sums, falls, price, count):
    """Final price and positions closed for each fall: one bisection each."""
    for i in nb.prange(falls.size):
        start = PRICE * (1.0 - falls[i])
        closed = _at_or_above(levels, start)
        count[i] = closed
        price[i] = start * math.exp(-COEFFICIENT * sums[closed])


@nb.njit(parallel=True)
def query_sales(levels, sums, sales, price, count):
    """The same for each initial sale."""
    for i in nb.prange(sales.size):
        closed = _at_or_above(levels, -sales[i])
        count[i] = closed
        price[i] = PRICE * math.exp(-COEFFICIENT * (sales[i] + sums[closed]))


@nb.njit
def walk_waves(triggers, quantities, fall):
    """One cascade over longs in firing order, wave by wave: (final price, positions closed, waves)."""
    start = PRICE * (1.0 - fall)
    price, sold, closed, waves = start, 0.0, 0, 0
    while closed < triggers.size and triggers[closed] >= price:
        while closed < triggers.size and triggers[closed] >= price:
            sold += quantities[closed]
            closed += 1
        price = start * math.exp(-COEFFICIENT * sold)
        waves += 1
    return price, closed, waves


# --- every scenario draws a book of its own ---
_LEVERAGES = np.array(list(MIX), dtype=float)
_SHARES_SO_FAR = np.append(np.cumsum(list(MIX.values()))[:-1], 1.0)


@nb.njit
def _redraw(triggers, quantities, sizes):
    total = 0.0
    for i in range(triggers.size):
        trigger = PRICE
        while trigger >= 0.999 * PRICE:
            leverage = _LEVERAGES[np.searchsorted(_SHARES_SO_FAR, np.random.random())]
            trigger = PRICE * math.exp(0.06 * np.random.standard_normal()) * (1 - 1 / leverage) / (1 - MAINTENANCE)
        quantity = 1.0
        if sizes == EXPONENTIAL:
            quantity = -math.log(1.0 - np.random.random())
        elif sizes == LOG_NORMAL:
            quantity = math.exp(1.5 * np.random.standard_normal())
        triggers[i] = trigger
        quantities[i] = quantity
        total += quantity
    return total


@nb.njit(parallel=True)
def redrawn_books(count, sizes, falls, price, closed):
    """Final price and positions closed for each fall, in a fresh book of `count` longs; waves by scanning it."""
    for i in nb.prange(falls.size):
        triggers, quantities = np.empty(count), np.empty(count)
        total = _redraw(triggers, quantities, sizes)
        now, gone = PRICE * (1.0 - falls[i]), 0
        while True:
            sold, wave = 0.0, 0
            for k in range(count):
                if triggers[k] >= now:
                    sold += quantities[k]
                    wave += 1
                    triggers[k] = -1.0
            if wave == 0:
                break
            gone += wave
            now *= math.exp(-COEFFICIENT * sold / total)
        price[i] = now
        closed[i] = gone


# --- a book whose closes are settled one by one ---
@nb.njit(parallel=True)
def settle_waves(triggers, quantities, owed, falls, depths, refill, fund, price, closed, waves, money):
    """Longs in firing order, wave by wave and close by close.

    `owed` is the bankruptcy price, `refill` the share of volume that recovers between waves. A row of `money`:
    shortfall, the fund at the end, and what it could not pay.
    """
    for i in nb.prange(falls.size):
        start, coefficient = PRICE * (1.0 - falls[i]), COEFFICIENT / depths[i]
        now, volume, gone, count = start, 0.0, 0, 0
        shortfall, left, unpaid = 0.0, fund, 0.0
        while gone < triggers.size and triggers[gone] >= now:
            fill, limit = now, now
            while gone < triggers.size and triggers[gone] >= limit:
                fall = fill * math.expm1(-coefficient * quantities[gone])
                gain = -fall / coefficient - quantities[gone] * owed[gone]
                fill += fall
                volume += quantities[gone]
                gone += 1
                if gain >= 0.0:
                    left += gain
                else:
                    paid = min(left, -gain)
                    shortfall -= gain
                    left -= paid
                    unpaid += -gain - paid
            volume *= 1.0 - refill
            now = start * math.exp(-coefficient * volume)
            count += 1
        price[i], closed[i], waves[i] = now, gone, count
        money[i, 0], money[i, 1], money[i, 2] = shortfall, left, unpaid


# --- paths in time ---
@nb.njit
def walk_paths(longs, shorts, price, coefficient, decay, returns, final, closed, waves):
    """A path for each row of log returns, in a book of both sides, each a pair (triggers in firing order, quantities).

    Volume traded moves the log price in a line, and of it `decay` is left a step later.
    """
    for path in range(returns.shape[0]):
        log_price, volume, count, i, k = math.log(price), 0.0, 0, 0, 0
        for r in returns[path]:
            log_price += r
            volume *= decay
            while True:
                mark = math.exp(log_price - coefficient * volume)
                before = i + k
                while i < longs[0].size and longs[0][i] >= mark:
                    volume += longs[1][i]
                    i += 1
                while k < shorts[0].size and shorts[0][k] <= mark:
                    volume -= shorts[1][k]
                    k += 1
                if i + k == before:
                    break
                count += 1
        final[path] = mark
        closed[path] = i + k
        waves[path] = count


# --- accounts over several markets ---
@nb.njit
def _failing(quantity, money, mark, rate, deduction, still, hit):
    for a in range(money.size):
        slack = money[a]
        for m in range(mark.size):
            notional = abs(quantity[a, m]) * mark[m]
            maintenance = rate[0] * notional - deduction[0]
            for k in range(1, rate.size):
                maintenance = max(maintenance, rate[k] * notional - deduction[k])
            slack += quantity[a, m] * mark[m] - maintenance
        hit[a] = still[a] and slack <= 0.0


def account_path(walk: AccountWalk) -> tuple[FloatArray, int]:
    """Look at all accounts in every step."""
    hit = np.empty(walk.money.size, bool)

    def fails(mark: FloatArray, still: Any) -> Any:
        _failing(walk.quantity, walk.money, mark, walk.rate, walk.deduction, still, hit)
        return hit

    return step_accounts(walk, fails)


@nb.njit(parallel=True)
def spin(turns):
    """Arithmetic without memory, in tasks for as many threads as there are."""
    out = np.empty(64, np.uint64)
    for task in nb.prange(out.size):
        x = np.uint64(task + 1)
        for _ in range(turns):
            x ^= x << np.uint64(13)
            x ^= x >> np.uint64(7)
            x ^= x << np.uint64(17)
        out[task] = x
    return out
