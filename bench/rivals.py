"""The rivals: what a skilled user of numpy and numba writes for the same jobs.

The book of job J1: longs only, entered around a price of 100 at leverages from 2 to 100, quantities that sum to 1, and
impact linear in the log price: selling all of it moves the log price by -0.12.
"""

# ruff: noqa: NPY002 - to numba these names are its own generators, one a thread
import functools
import importlib.util
import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

nb = pytest.importorskip("numba", reason="the rivals are written with numba, which is not installed")

PRICE = 100.0
COEFFICIENT = 0.12
MAINTENANCE = 0.005
MIX = {2: 0.10, 3: 0.12, 5: 0.18, 10: 0.25, 20: 0.15, 25: 0.08, 50: 0.08, 100: 0.04}  # leverage: share of the positions


def draw_book(count, seed=1):
    """Trigger prices and quantities of `count` longs, none within 0.1 % of the price."""
    rng = np.random.default_rng(seed)
    leverages, shares = np.array(list(MIX), dtype=float), np.array(list(MIX.values()))
    triggers = np.empty(0)
    while triggers.size < count:
        size = 2 * (count - triggers.size) + 64
        entries = PRICE * np.exp(0.06 * rng.standard_normal(size))
        drawn = entries * (1 - 1 / rng.choice(leverages, size, p=shares)) / (1 - MAINTENANCE)
        triggers = np.append(triggers, drawn[drawn < 0.999 * PRICE])
    quantities = np.exp(1.5 * rng.standard_normal(count))
    return triggers[:count].copy(), quantities / quantities.sum()


def draw_falls(count, seed=2):
    """Falls as positive shares of the price."""
    return np.random.default_rng(seed).uniform(0.002, 0.25, count)


def levels_of_sorted(triggers, quantities):
    """The response of longs in firing order: the start price at which each closes, and the sums of quantity before."""
    sums = np.zeros(triggers.size + 1)
    np.cumsum(quantities, out=sums[1:])
    return np.minimum.accumulate(triggers * np.exp(COEFFICIENT * sums[:-1])), sums


def build_levels(triggers, quantities):
    order = np.argsort(-triggers)
    return levels_of_sorted(triggers[order], quantities[order])


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


def build_sales(triggers, quantities):
    """The same in the size of an initial sale: the sale, negative, from which each position closes."""
    sums = np.zeros(triggers.size + 1)
    np.cumsum(quantities, out=sums[1:])
    return np.minimum.accumulate(sums[:-1] - np.log(PRICE / triggers) / COEFFICIENT), sums


@nb.njit(parallel=True)
def query_sales(levels, sums, sales, price, count):
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


def liquidation_prices(side, quantity, entry, margin, rate, deduction):
    """Linear positions, isolated. As rates rise from tier to tier, maintenance is the greatest of the tiers' lines: a
    long is liquidated at the highest of the tiers' own prices, a short at the lowest. Quicker than to bisect for the
    tier, and quickest in blocks that stay in cache.
    """
    long_slope, short_slope = 1 / (1 - rate), -1 / (1 + rate)
    out = np.empty(side.size)
    block = 1 << 13
    line, root = np.empty(block), np.empty(block)
    for begin in range(0, side.size, block):
        part = slice(begin, begin + block)
        s, q, e = side[part], quantity[part], entry[part]
        cost = s * q
        cost *= e
        cost -= margin[part]
        longs, shorts = (cost - deduction[0]) * long_slope[0], (cost - deduction[0]) * short_slope[0]
        y, x = line[: s.size], root[: s.size]
        for k in range(1, rate.size):
            np.subtract(cost, deduction[k], out=y)
            np.maximum(longs, np.multiply(y, long_slope[k], out=x), out=longs)
            np.minimum(shorts, np.multiply(y, short_slope[k], out=x), out=shorts)
        np.divide(np.where(s > 0, longs, shorts), q, out=x)
        np.maximum(x, 0, out=out[part])
    return out


# --- every scenario draws a book of its own ---
_LEVERAGES = np.array(list(MIX), dtype=float)
_SHARES_SO_FAR = np.append(np.cumsum(list(MIX.values()))[:-1], 1.0)
CONSTANT, EXPONENTIAL, LOG_NORMAL = range(3)
MEAN_SIZE = {CONSTANT: 1.0, EXPONENTIAL: 1.0, LOG_NORMAL: math.exp(1.125)}


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
OWED = 0.995  # bankruptcy price / trigger price


def draw_depths(count, seed=9):
    """Each scenario's liquidity."""
    return np.random.default_rng(seed).lognormal(0.0, 0.5, count)


@nb.njit(parallel=True)
def settle_waves(triggers, quantities, owed, falls, depths, refill, fund, price, closed, waves, money):
    """Longs in firing order, wave by wave and close by close; `owed` is the bankruptcy price, `refill` the share of
    volume that recovers between waves. A row of `money`: shortfall, the fund at the end, and what it could not pay.
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


class Rival(NamedTuple):
    """build(triggers, quantities) -> (levels, sums); query(levels, sums, falls, price out, count out)."""

    name: str
    build: Callable
    query: Callable


OWN = Rival("numba", build_levels, query_levels)
HERE = Path(__file__).parent
_OTHER = HERE.parents[1] / "shared" / "rivals" / "rivals.py"


@functools.cache
def other_rivals():
    """Second opinions on the same jobs, where they stand beside the repository."""
    if not _OTHER.exists():
        pytest.skip("no second rival beside the repository")
    spec = importlib.util.spec_from_file_location("flushpoint_other_rivals", _OTHER)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (module.P0, module.LAM) == (PRICE, COEFFICIENT), "the rivals must be set the same job"
    return module


def other_rival():
    module = other_rivals()
    return Rival("second numba", module.j1_build, module.j1_query)


def other_redrawn_books(count, sizes, falls, price, closed):
    assert sizes == LOG_NORMAL
    other_rivals().j2(count, falls, price, closed)


def other_settle_waves(triggers, quantities, owed, falls, depths, refill, fund, price, closed, waves, money):
    out = np.empty((falls.size, 6))
    other_rivals().j3(triggers, quantities, owed, falls, depths, refill, fund, out)
    price[:], closed[:], waves[:], money[:] = out[:, 0], out[:, 1], out[:, 2], out[:, 3:]


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
def _account_path(fails, quantity, log_price, returns, coefficients, decay):
    """Accounts of one path, closed whole where `fails(mark, open)` says so; (final prices, how many)."""
    volume, f, closed = np.zeros(log_price.size), log_price.copy(), np.zeros(len(quantity), bool)
    for move in returns:
        volume *= decay
        f += move
        while True:
            hit = fails(np.exp(f - coefficients * volume), ~closed)
            if not hit.any():
                break
            volume += quantity[hit].sum(0)
            closed |= hit
    return np.exp(f - coefficients * volume), int(closed.sum())


def account_path_numpy(quantity, money, log_price, returns, rate, deduction, coefficients, decay):
    size = np.abs(quantity)

    def fails(mark, still):
        notional = size * mark
        maintenance = rate[0] * notional - deduction[0]
        for k in range(1, rate.size):
            np.maximum(maintenance, rate[k] * notional - deduction[k], out=maintenance)
        return (money + quantity @ mark <= maintenance.sum(1)) & still

    return _account_path(fails, quantity, log_price, returns, coefficients, decay)


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


def account_path_numba(quantity, money, log_price, returns, rate, deduction, coefficients, decay):
    hit = np.empty(money.size, bool)

    def fails(mark, still):
        _failing(quantity, money, mark, rate, deduction, still, hit)
        return hit

    return _account_path(fails, quantity, log_price, returns, coefficients, decay)


ACCOUNT_PATHS = {"numpy": account_path_numpy, "numba": account_path_numba}


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
