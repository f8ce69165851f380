"""What a skilled user of numpy writes for the same jobs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from flushpoint._validate import FloatArray
from flushpoint.bench.workloads import COEFFICIENT, EXPONENTIAL, LOG_NORMAL, PRICE, AccountWalk, draw_book

Ints = NDArray[np.int64]


# --- one book, many shocks ---
def levels_of_sorted(triggers: FloatArray, quantities: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The response of longs in firing order: the start price at which each closes, and the sums of quantity before."""
    sums = np.zeros(triggers.size + 1)
    np.cumsum(quantities, out=sums[1:])
    return np.minimum.accumulate(triggers * np.exp(COEFFICIENT * sums[:-1])), sums


def build_levels(triggers: FloatArray, quantities: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The same of longs in any order."""
    order = np.argsort(-triggers)
    return levels_of_sorted(triggers[order], quantities[order])


def query_levels(rising: FloatArray, sums: FloatArray, falls: FloatArray) -> tuple[FloatArray, Ints]:
    """Final price and positions closed for each fall; `rising` holds the levels with their signs turned."""
    start = PRICE * (1.0 - falls)
    count = np.searchsorted(rising, -start, side="right")
    return start * np.exp(-COEFFICIENT * sums[count]), count


def build_sales(triggers: FloatArray, quantities: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The same in the size of an initial sale: the sale, negative, from which each position closes."""
    sums = np.zeros(triggers.size + 1)
    np.cumsum(quantities, out=sums[1:])
    return np.minimum.accumulate(sums[:-1] - np.log(PRICE / triggers) / COEFFICIENT), sums


# --- every scenario draws a book of its own ---
def redrawn_books(count: int, sizes: int, falls: FloatArray, price: FloatArray, closed: Ints) -> None:
    """Final price and positions closed for each fall, in a fresh book of `count` longs; waves by scanning."""
    for i, fall in enumerate(falls):
        triggers, quantities = draw_book(count, seed=i)
        if sizes != LOG_NORMAL:
            rng = np.random.default_rng(i)
            quantities = rng.exponential(1.0, count) if sizes == EXPONENTIAL else np.ones(count)
            quantities /= quantities.sum()
        now = PRICE * (1.0 - fall)
        while (hit := triggers >= now).any():
            now *= np.exp(-COEFFICIENT * quantities[hit].sum())
            triggers, quantities = triggers[~hit], quantities[~hit]
        price[i], closed[i] = now, count - triggers.size


# --- a book whose closes are settled one by one ---
def settle_waves(
    triggers: FloatArray,
    quantities: FloatArray,
    owed: FloatArray,
    falls: FloatArray,
    depths: FloatArray,
    refill: float,
    fund: float,
    price: FloatArray,
    closed: Ints,
    waves: Ints,
    money: FloatArray,
) -> None:
    """As `numba_rivals.settle_waves`; a fund that pays until it is empty is a running sum pushed up by its minimum."""
    rising = -triggers
    for i, (fall, depth) in enumerate(zip(falls, depths, strict=True)):
        start, coefficient = PRICE * (1.0 - fall), COEFFICIENT / depth
        now, volume, gone, count = start, 0.0, 0, 0
        shortfall, left, unpaid = 0.0, fund, 0.0
        while (end := int(np.searchsorted(rising, -now, side="right"))) > gone:
            sizes = quantities[gone:end]
            sums = np.cumsum(sizes)
            fetched = now * np.exp(-coefficient * (sums - sizes)) * -np.expm1(-coefficient * sizes) / coefficient
            gains = fetched - sizes * owed[gone:end]
            running = left + np.cumsum(gains)
            lacking = max(0.0, -float(running.min()))
            shortfall -= float(np.minimum(gains, 0.0).sum())
            unpaid += lacking
            left = float(running[-1]) + lacking
            volume = (volume + float(sums[-1])) * (1.0 - refill)
            gone, count = end, count + 1
            now = start * float(np.exp(-coefficient * volume))
        price[i], closed[i], waves[i], money[i] = now, gone, count, (shortfall, left, unpaid)


# --- paths in time ---
def walk_paths(
    longs: tuple[FloatArray, FloatArray],
    shorts: tuple[FloatArray, FloatArray],
    price: float,
    coefficient: float,
    decay: float,
    returns: FloatArray,
    final: FloatArray,
    closed: Ints,
    waves: Ints,
) -> None:
    """As `numba_rivals.walk_paths`, all paths side by side: a search for each in every step and wave."""
    below, above = -longs[0], shorts[0]
    sold, bought = (np.append(0.0, np.cumsum(quantity)) for _, quantity in (longs, shorts))
    paths = returns.shape[0]
    f, volume = np.full(paths, np.log(price)), np.zeros(paths)
    i, k = np.zeros(paths, np.int64), np.zeros(paths, np.int64)
    waves[:] = 0
    for step in range(returns.shape[1]):
        f += returns[:, step]
        volume *= decay
        while True:
            mark = np.exp(f - coefficient * volume)
            new_i = np.maximum(i, np.searchsorted(below, -mark, side="right"))
            new_k = np.maximum(k, np.searchsorted(above, mark, side="right"))
            moved = (new_i > i) | (new_k > k)
            if not moved.any():
                break
            volume += sold[new_i] - sold[i] - (bought[new_k] - bought[k])
            i, k = new_i, new_k
            waves += moved
    final[:], closed[:] = mark, i + k


# --- accounts over several markets ---
def step_accounts(
    walk: AccountWalk, fails: Callable[[FloatArray, NDArray[np.bool_]], NDArray[np.bool_]]
) -> tuple[FloatArray, int]:
    """Accounts of one path, closed whole where `fails(mark, open)` says so; (final prices, how many)."""
    volume, f = np.zeros(walk.log_price.size), walk.log_price.copy()
    closed = np.zeros(len(walk.quantity), bool)
    for move in walk.returns:
        volume *= walk.decay
        f += move
        while True:
            hit = fails(np.exp(f - walk.coefficients * volume), ~closed)
            if not hit.any():
                break
            volume += walk.quantity[hit].sum(0)
            closed |= hit
    return np.exp(f - walk.coefficients * volume), int(closed.sum())


def account_path(walk: AccountWalk) -> tuple[FloatArray, int]:
    """Look at all accounts in every step."""
    size, rate, deduction = np.abs(walk.quantity), walk.rate, walk.deduction

    def fails(mark: FloatArray, still: NDArray[np.bool_]) -> NDArray[np.bool_]:
        notional = size * mark
        maintenance = rate[0] * notional - deduction[0]
        for k in range(1, rate.size):
            np.maximum(maintenance, rate[k] * notional - deduction[k], out=maintenance)
        failing: NDArray[np.bool_] = (walk.money + walk.quantity @ mark <= maintenance.sum(1)) & still
        return failing

    return step_accounts(walk, fails)


# --- liquidation prices ---
def liquidation_prices(
    side: NDArray[np.int8],
    quantity: FloatArray,
    entry: FloatArray,
    margin: FloatArray,
    rate: FloatArray,
    deduction: FloatArray,
) -> FloatArray:
    """Linear positions, isolated.

    As rates rise from tier to tier, maintenance is the greatest of the tiers' lines: a long is liquidated at the
    highest of the tiers' own prices, a short at the lowest. Quicker than to bisect for the tier, and quickest in blocks
    that stay in cache.
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
