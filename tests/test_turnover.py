"""Positions that open and close of themselves: a slow port with the same random numbers, and laws that are known.

Seeds are fixed. Each statistic must stay within 4.5 standard deviations of its exact mean, which chance alone breaks
for 7 seeds in a million; chi-squares within the quantile of that probability.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import os
import pickle
import subprocess
import sys
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

import flushpoint as fp
import reference
import reference_random_book as random_book
from reference_generators import Xoshiro, generator, key_of

SIGMAS = 4.5
OPENINGS, CLOSINGS = 4, 7  # streams
NOBODY = fp.Book([], [], [])
FLAT = fp.Market(100.0, fp.LinearImpact(0.0))
COLUMNS = (
    "final_price", "low_price", "high_price", "low_time", "long_count", "short_count", "waves", "exhausted",
    "long_quantity", "short_quantity", "long_notional", "short_notional", "proceeds",
)  # fmt: skip
MIX = fp.LeverageMix([3.0, 10.0, 25.0, 80.0], [1.0, 3.0, 4.0, 2.0])


def a_book(n: int = 40) -> fp.Book:
    """Longs and shorts without random numbers, sizes and distances all different."""
    distance = np.ldexp(np.arange(1.0, n + 1), -8)
    side = np.where(np.arange(n) % 3 == 2, -1, 1)
    return fp.Book(side, 1 + np.arange(n) % 7, 100 * (1 - side * distance))


MARKET = fp.Market(100.0, fp.SquareRootImpact(0.05, 400.0), half_life=900.0, permanent=1e-4, spread=0.001)
TURNOVER = fp.Turnover(0.01, fp.LogNormal(1.0, 1.0), MIX, closing_rate=1e-4)
ARGUMENTS: dict[str, Any] = {"horizon": 4_200.0, "steps": 70, "paths": 50, "seed": 42}


def run(turnover: fp.Turnover | None = TURNOVER, **options: Any) -> Any:
    book = options.pop("book", a_book())
    return fp.simulate(book, MARKET, fp.GBM(2.0, 0.3), **{**ARGUMENTS, "turnover": turnover, **options})


def bits(e: Any, columns: tuple[str, ...] = COLUMNS) -> dict[str, bytes]:
    return {name: getattr(e, name).tobytes() for name in columns}


def digest(e: Any) -> str:
    return hashlib.sha256(b"".join(bits(e).values())).hexdigest()[:16]


def assert_mean(sample: Any, mean: float, deviation: float) -> None:
    assert abs(np.mean(sample) - mean) <= SIGMAS * deviation / math.sqrt(np.size(sample))


# --- against a book that stays ---
def test_nothing_that_opens_or_closes() -> None:
    still = fp.Turnover(0.0, 1.0)
    static, e = run(None, record="all", watch=[3]), run(still, record="all", watch=[3])
    assert bits(e) == bits(static)
    assert e.prices.tobytes() == static.prices.tobytes()
    assert (e.watch_probability == static.watch_probability).all()
    assert type(e) is type(static)
    for threads in (1, 3):
        assert bits(run(still, threads=threads)) == bits(static)
    for path in (0, 7, 49):
        assert e.replay(path).waves.tolist() == static.replay(path).waves.tolist()
        assert e.replay(path).price.tobytes() == static.replay(path).price.tobytes()


@pytest.mark.parametrize("half_life", [math.inf, 900.0])
@pytest.mark.parametrize("antithetic", [False, True])
def test_what_hardly_turns_over_is_like_what_stays(half_life: float, antithetic: bool) -> None:
    """In the other lane of the engine: positions one by one."""
    market = fp.Market(100.0, fp.SquareRootImpact(0.05, 400.0), half_life=half_life, permanent=1e-4, spread=0.001)
    script = fp.Script([600.0, 2_000.0], sell=[20.0, -30.0], move=[-0.01, 0.02])
    arguments: Any = (a_book(), market, fp.GBM(2.0, 0.3), 4_200.0, 70, 300, 5)
    options: Any = {"antithetic": antithetic, "script": script, "record": 5}
    static = fp.simulate(*arguments, **options)
    e = fp.simulate(*arguments, **options, turnover=fp.Turnover(0.0, 1.0, closing_rate=1e-250))
    assert isinstance(e, fp.DrawnSimulationResult)
    assert static.waves.sum() > 300
    for name in ("long_count", "short_count", "waves", "low_time", "exhausted"):
        assert (getattr(e, name) == getattr(static, name)).all()
    for name in (*COLUMNS, "prices", "liquidated_quantity", "liquidated_notional"):
        np.testing.assert_allclose(getattr(e, name), getattr(static, name), rtol=1e-9, atol=1e-9)
    for path in (0, 11, 299):
        mine, theirs = e.replay(path).waves, static.replay(path).waves
        for name in mine.dtype.names:
            np.testing.assert_allclose(mine[name], theirs[name], rtol=1e-9)


# --- the port ---
@dataclass
class Living:
    side: int
    quantity: float
    trigger: float
    closes_at: float | None  # None for the book's: whether it is still there is drawn when it is crossed
    gone: bool = False


@dataclass
class Lived:
    prices: list[float]
    waves: list[tuple[int, float, float, int, float]] = field(default_factory=list)
    count: dict[int, int] = field(default_factory=lambda: {1: 0, -1: 0})
    quantity: dict[int, float] = field(default_factory=lambda: {1: 0.0, -1: 0.0})
    left: dict[int, float] = field(default_factory=lambda: {1: 0.0, -1: 0.0})  # at the end, the book's on average
    notional: dict[int, float] = field(default_factory=lambda: {1: 0.0, -1: 0.0})
    opened: int = 0
    low: float = math.inf
    high: float = 0.0
    proceeds: float = 0.0
    doubtful: bool = False


def one_size(law: fp.Law | float, g: Xoshiro, lanes: list[Xoshiro]) -> float:
    if isinstance(law, float):
        g.uniform()
        return law
    if isinstance(law, fp.Exponential):
        return -law.mean * math.log(g.uniform())
    if isinstance(law, fp.Uniform):
        return random_book.sizes(random_book.Part(1, ("Uniform", (law.low, law.high))), 1, g, lanes)
    if isinstance(law, fp.Pareto):
        return random_book.sizes(random_book.Part(1, ("Pareto", (law.scale, law.exponent))), 1, g, lanes)
    if isinstance(law, fp.Table):
        return random_book.sizes(random_book.Part(1, ("Table", (law.values.tolist(),))), 1, g, lanes)
    assert isinstance(law, fp.LogNormal)
    return random_book.sizes(random_book.Part(1, ("LogNormal", (law.median, law.sigma))), 1, g, lanes)


def slowly(
    book: reference.Positions, market: reference.Venue, rule: fp.Turnover, returns: list[float], dt: float, seed: int,
    path: int, rates: list[float] | None = None,
) -> Lived:  # fmt: skip
    now = market.fresh()
    key = key_of(seed)
    closing = generator(key, path, CLOSINGS)
    opening = generator(key, path, OPENINGS)
    lanes = [generator(key, path, OPENINGS, lane) for lane in (1, 2, 3, 4)]
    out = Lived([now.price], low=now.price, high=now.price)
    everybody = [Living(s, q, t, None) for s, q, t in zip(book.side, book.quantity, book.trigger, strict=True)]
    schedule = fp.MarginSchedule.flat(rule.maintenance_rate)
    share = np.cumsum(rule.leverage_mix.share)

    def wait() -> float:
        return -math.log(opening.uniform()) / rule.opening_rate if rule.opening_rate else math.inf

    following = wait()
    for step, r in enumerate(returns, 1):
        time = step * dt
        now.advance(dt)
        now.log_start += r
        out.low, out.high = min(out.low, now.traded_price()), max(out.high, now.traded_price())
        while True:
            out.doubtful |= any(now.doubt(p.trigger, p.side) for p in everybody if not p.gone)
            crossed = [p for p in everybody if not p.gone and now.crossed(p.side, p.trigger)]
            crossed.sort(key=lambda p: -p.side * p.trigger)
            sold: list[Living] = []
            for side, p in itertools.product((1, -1), crossed):
                if p.side != side:
                    continue
                p.gone = True
                there = p.closes_at > time if p.closes_at is not None else (
                    closing.uniform() <= math.exp(-rule.closing_rate * time)
                )  # fmt: skip
                if there:
                    sold.append(p)
            if not sold:
                break
            out.waves.append((step, now.traded_price(), math.fsum(p.quantity for p in sold), len(sold),
                              math.fsum(p.quantity * p.trigger for p in sold)))  # fmt: skip
            for side in (1, -1):
                mine = [p for p in sold if p.side == side]
                out.count[side] += len(mine)
                out.quantity[side] += math.fsum(p.quantity for p in mine)
                out.notional[side] += math.fsum(p.quantity * p.trigger for p in mine)
                out.proceeds += now.trade(side * math.fsum(p.quantity for p in mine))
            out.low, out.high = min(out.low, now.traded_price()), max(out.high, now.traded_price())
        price = now.traded_price()
        out.prices.append(price)
        while following <= time:
            quantity = one_size(rule.quantity, opening, lanes)
            for side in (1, -1):
                if rule.side in (None, side):
                    u = opening.uniform()
                    leverage = rule.leverage_mix.leverage[int(np.searchsorted(share[:-1], u))]
                    trigger = float(fp.liquidation_price(side, quantity, price, quantity * price / leverage, schedule))
                    life = -math.log(opening.uniform()) / rule.closing_rate if rule.closing_rate else math.inf
                    if 0 < price < math.inf:
                        everybody.append(Living(side, quantity, trigger, following + life))
            out.opened += 1
            following += wait()
        if rates is not None:
            for p in everybody:
                p.trigger *= 1 + rates[step - 1]
    end = len(returns) * dt
    for p in everybody:
        if not p.gone:
            there = math.exp(-rule.closing_rate * end) if p.closes_at is None else p.closes_at > end
            out.left[p.side] += there * p.quantity
    return out


QUANTITIES: list[fp.Law | float] = [
    1.5, fp.Exponential(1.0), fp.LogNormal(0.5, 1.0), fp.Uniform(0.5, 2.0), fp.Pareto(0.5, 2.5),
    fp.Table([0.5, 1.0, 3.0]),
]  # fmt: skip


@pytest.mark.parametrize("quantity", QUANTITIES, ids=lambda law: type(law).__name__)
@pytest.mark.parametrize(("side", "funded"), [(None, False), (None, True), (1, True), (-1, False)])
@pytest.mark.parametrize("closing_rate", [0.0, 3e-4])
def test_paths_are_those_of_the_port(
    quantity: fp.Law | float, side: int | None, closing_rate: float, funded: bool
) -> None:
    rng = np.random.default_rng([QUANTITIES.index(quantity), (side or 0) + 1, closing_rate > 0])
    steps, dt, paths, seed = 41, 100.0, 6, 11
    rule = fp.Turnover(0.02, quantity, MIX, closing_rate=closing_rate, maintenance_rate=0.004, side=side)
    sides = rng.choice([1, -1], 15)
    distance = rng.exponential(0.04, 15) + 0.002
    book = reference.Positions(sides.tolist(), rng.lognormal(0, 1, 15).tolist(), np.exp(-sides * distance).tolist())
    options: Any = {"permanent": 1e-4, "half_life": 500.0, "spread": 0.001, "mark_weight": rng.choice([0.5, 1.0])}
    venue = reference.Venue(1.0, reference.square_root(0.02, 30.0), **options)
    market = fp.Market(1.0, fp.SquareRootImpact(0.02, 30.0), **options)
    returns = 0.02 * rng.standard_normal((paths, steps))
    rates = (0.004 * rng.standard_normal(steps)).tolist() if funded else None
    e = fp.simulate(
        fp.Book(book.side, book.quantity, book.trigger), market, fp.Returns(returns), steps * dt, steps, paths, seed,
        turnover=rule, record="all", funding=fp.Funding(rates, dt) if rates else None,
    )  # fmt: skip
    compared = 0
    for path in range(paths):
        expected = slowly(book, venue, rule, returns[path].tolist(), dt, seed, path, rates)
        assert expected.opened > 40
        if expected.doubtful:
            continue
        compared += 1
        assert e.prices[path] == pytest.approx(expected.prices, rel=1e-9)
        assert e.low_price[path] == pytest.approx(expected.low, rel=1e-9)
        assert e.high_price[path] == pytest.approx(expected.high, rel=1e-9)
        assert e.proceeds[path] == pytest.approx(expected.proceeds, rel=1e-9, abs=1e-9)
        for name, s in (("long", 1), ("short", -1)):
            assert getattr(e, f"{name}_count")[path] == expected.count[s]
            assert getattr(e, f"{name}_quantity")[path] == pytest.approx(expected.quantity[s], rel=1e-9)
            assert getattr(e, f"{name}_notional")[path] == pytest.approx(expected.notional[s], rel=1e-9)
            assert getattr(e, f"{name}_open_quantity")[path] == pytest.approx(expected.left[s], rel=1e-9)
        waves = e.replay(path).waves
        assert waves["step"].tolist() == [w[0] for w in expected.waves]
        assert waves["count"].tolist() == [w[3] for w in expected.waves]
        for name, column in (("price", 1), ("quantity", 2), ("notional", 4)):
            assert waves[name] == pytest.approx([w[column] for w in expected.waves], rel=1e-9)
    assert compared >= 5
    assert e.waves.sum() > 25


@given(
    st.data(), st.sampled_from([0.0, 1e-3, 0.05]), st.sampled_from([0.0, 1e-4, 2e-2]), st.sampled_from([None, 1, -1]),
    st.integers(1, 40), st.integers(0, 12),
)  # fmt: skip
@settings(max_examples=60)
def test_what_is_open_at_the_end(
    data: st.DataObject, opening_rate: float, closing_rate: float, side: int | None, steps: int, n: int
) -> None:
    assume(opening_rate + closing_rate > 0)
    seed, dt = data.draw(st.integers(0, 2**32)), data.draw(st.sampled_from([1.0, 60.0]))
    rng = np.random.default_rng(seed)
    sides = rng.choice([1, -1], n)
    trigger = np.exp(-sides * rng.exponential(0.05, n) - 1e-3 * sides)
    never = rng.random(n) < 0.2
    trigger[never] = np.where(sides[never] > 0, 0.0, np.inf)
    book = reference.Positions(sides.tolist(), rng.lognormal(0, 1, n).tolist(), trigger.tolist())
    rule = fp.Turnover(opening_rate, fp.Exponential(1.0), MIX, closing_rate=closing_rate, side=side)
    market = fp.Market(1.0, fp.LinearImpact(2e-3), half_life=300.0)
    returns = 0.03 * rng.standard_normal((2, steps))
    e = fp.simulate(fp.Book(book.side, book.quantity, book.trigger), market, fp.Returns(returns), steps * dt, steps, 2,
                    seed, turnover=rule, columns=["final_price", "long_open_quantity", "short_open_quantity"],
                    )  # fmt: skip
    for path in range(2):
        expected = slowly(book, reference.Venue(1.0, reference.linear(2e-3), half_life=300.0), rule,
                          returns[path].tolist(), dt, seed, path)  # fmt: skip
        if not expected.doubtful:
            assert e["final_price"][path] == pytest.approx(expected.prices[-1], rel=1e-9)
            assert e["long_open_quantity"][path] == pytest.approx(expected.left[1], rel=1e-9, abs=1e-12)
            assert e["short_open_quantity"][path] == pytest.approx(expected.left[-1], rel=1e-9, abs=1e-12)


def test_openings_have_a_most() -> None:
    with pytest.raises(ValueError, match="opening_rate x horizon must be at most 1e\\+12, was 1e\\+300"):
        fp.simulate(
            fp.Book(1, [1.0], [90.0]),
            fp.Market(100.0, fp.LinearImpact(0.1)),
            fp.GBM(0.1),
            horizon=1e300,
            turnover=fp.Turnover(1.0, 1.0, closing_rate=1.0),
            paths=1,
        )


def test_a_position_by_hand() -> None:
    """One leverage: opened in the first step at 110, a 10x long is closed at 110 x 0.9 / 0.995."""
    rule = fp.Turnover(50.0, 2.0, fp.LeverageMix([10.0], [1.0]), side=1)
    trigger = 110 * 0.9 / 0.995
    for factor, closed in ((1 + 1e-9, False), (1 - 1e-9, True)):
        returns = fp.Returns([[math.log(1.1), math.log(trigger * factor / 110)]])
        e = fp.simulate(NOBODY, FLAT, returns, 2.0, 2, 1, 1, turnover=rule)
        assert (e.long_count[0] > 20) == closed
        assert e.long_quantity[0] == 2 * e.long_count[0]
        assert e.long_notional[0] == pytest.approx(e.long_quantity[0] * trigger)


def test_who_opens_later_pays_later() -> None:
    """At 100, 10x longs have triggers at 100 x 0.9 / 0.995; each payment of 1 % lifts those already open."""
    rule = fp.Turnover(5.0, 1.0, fp.LeverageMix([10.0], [1.0]), side=1)
    e = fp.simulate(NOBODY, FLAT, fp.Returns(np.zeros((1, 30))), 30.0, 30, 1, 1, turnover=rule,
                    funding=fp.Funding(0.01, 1.0))  # fmt: skip
    waves = e.replay(0).waves
    # 90.45 x 1.01^11 is above 100: who opened in a step is closed in the eleventh after it, none together with others
    assert waves["step"].tolist() == list(range(12, 31))
    assert waves["notional"] / waves["quantity"] == pytest.approx(np.full(19, 100 * 0.9 / 0.995 * 1.01**11))


def test_equal_triggers_add_up_from_the_largest() -> None:
    """Positions opened in one step with one leverage share a trigger; their sum has one order all the same."""
    rule = fp.Turnover(300.0, fp.LogNormal(1.0, 3.0), fp.LeverageMix([10.0], [1.0]), side=1)
    returns = fp.Returns([[0.0, -1.0]])
    e = fp.simulate(NOBODY, FLAT, returns, 2.0, 2, 1, 1, turnover=rule)
    g = generator(key_of(1), 0, OPENINGS)
    lanes = [generator(key_of(1), 0, OPENINGS, lane) for lane in (1, 2, 3, 4)]
    sizes, time = [], -math.log(g.uniform()) / 300.0
    while time <= 1.0:
        sizes.append(one_size(rule.quantity, g, lanes))
        g.uniform()
        time += -math.log(g.uniform()) / 300.0
    assert e.long_count[0] == len(sizes) > 200
    falling, total = sorted(sizes, reverse=True), 0.0
    for size in falling:
        total += size
    assert e.long_quantity[0] == pytest.approx(total, rel=2e-15)


# --- laws ---
def crash(steps: int) -> Any:
    """Returns: nothing, and in the last step a fall through everything."""
    return np.concatenate([np.zeros(steps - 1), [-5.0]])


PATHS = 20_000


def crashed(rule: fp.Turnover, steps: int, dt: float, book: fp.Book = NOBODY, seed: int = 1) -> Any:
    returns = fp.Returns(np.broadcast_to(crash(steps), (PATHS, steps)))
    return fp.simulate(book, FLAT, returns, steps * dt, steps, PATHS, seed, turnover=rule)


def assert_poisson(found: Any, mean: float) -> None:
    assert_mean(found, mean, math.sqrt(mean))
    assert_mean((found - mean) ** 2, mean, math.sqrt(mean + 2 * mean**2))
    at = np.arange(int(stats.poisson.ppf(2e-3, mean)), int(stats.poisson.ppf(0.998, mean)))
    expected = PATHS * np.concatenate([
        [stats.poisson.cdf(at[0] - 1, mean)], stats.poisson.pmf(at, mean), [stats.poisson.sf(at[-1], mean)]
    ])  # fmt: skip
    seen = np.array([np.sum(found < at[0]), *(np.sum(found == k) for k in at), np.sum(found > at[-1])])
    keep = expected > 0
    assert ((seen - expected)[keep] ** 2 / expected[keep]).sum() < stats.chi2.isf(7e-6, keep.sum() - 1)


@pytest.mark.parametrize("side", [None, 1])
@pytest.mark.parametrize(("rate", "steps", "dt"), [(0.01, 33, 10.0), (2.0, 2, 7.5), (1e-6, 100, 1e5)])
def test_openings_are_poisson(rate: float, steps: int, dt: float, side: int | None) -> None:
    e = crashed(fp.Turnover(rate, fp.Exponential(2.0), MIX, side=side), steps, dt)
    mean = rate * (steps - 1) * dt  # those of the last step come after the fall
    assert_poisson(e.long_count, mean)
    assert (e.short_count == 0).all()
    assert_mean(e.long_quantity, 2 * mean, math.sqrt(mean * 8))
    assert ((e.long_count > 0) == (e.waves == 1)).all()


@pytest.mark.parametrize("closing_rate", [1e-5, 4e-3, 0.1])
def test_positions_of_the_book_live_exponentially(closing_rate: float) -> None:
    steps, dt, n = 30, 7.0, 60
    book = fp.Book(1, 1.0, np.linspace(50, 99, n))
    e = crashed(fp.Turnover(0.0, 1.0, closing_rate=closing_rate), steps, dt, book)
    p = math.exp(-closing_rate * steps * dt)
    deviation = math.sqrt(n * p * (1 - p))
    assert_mean(e.long_count, n * p, deviation)
    fourth = float(stats.binom(n, p).stats("k")) + 3
    assert_mean((e.long_count - n * p) ** 2, deviation**2, deviation**2 * math.sqrt(fourth - 1))
    assert (e.long_quantity == e.long_count).all()


def test_each_position_is_tested_at_its_own_time() -> None:
    """A fall in two steps: each half of the book lives until it is reached."""
    book, rate = fp.Book(1, 1.0, np.repeat([95.0, 80.0], 20)), 0.01
    returns = np.zeros((PATHS, 10))
    returns[:, 2], returns[:, 8] = -0.1, -0.2
    e = fp.simulate(
        book, FLAT, fp.Returns(returns), 100.0, 10, PATHS, 2, turnover=fp.Turnover(0.0, 1.0, closing_rate=rate)
    )
    first, second = np.zeros(PATHS), np.zeros(PATHS)
    share = [math.exp(-rate * t) for t in (30.0, 90.0)]
    assert_mean(e.long_count, 20 * sum(share), math.sqrt(20 * sum(p * (1 - p) for p in share)))
    for path in range(400):
        waves = e.replay(path).waves
        first[path] = waves["count"][waves["step"] == 3].sum()
        second[path] = waves["count"][waves["step"] == 9].sum()
    for found, p in ((first[:400], share[0]), (second[:400], share[1])):
        assert_mean(found, 20 * p, math.sqrt(20 * p * (1 - p)))


@pytest.mark.parametrize(("closing_rate", "steps", "dt"), [(1e-4, 20, 60.0), (1e-3, 40, 60.0), (0.02, 10, 30.0)])
def test_new_positions_live_exponentially(closing_rate: float, steps: int, dt: float) -> None:
    rate = 0.05
    e = crashed(fp.Turnover(rate, 1.0, MIX, closing_rate=closing_rate), steps, dt)
    # One opened at t is there at the fall with probability exp(-closing_rate (T - t)); a thinned Poisson process
    mean = rate / closing_rate * (math.exp(-closing_rate * dt) - math.exp(-closing_rate * steps * dt))
    assert_poisson(e.long_count, mean)


def test_leverages_have_their_shares() -> None:
    """A fall of 3.5 % reaches the 80x and 25x, one of 12 % the 10x, too; longs and shorts draw theirs apart."""
    steps, dt, rate = 11, 60.0, 0.05
    mean = rate * (steps - 1) * dt
    for size, share in ((0.005, 0.0), (0.02, 0.2), (0.036, 0.6), (0.12, 0.9), (0.45, 1.0)):
        for sign, name in ((-1, "long"), (1, "short")):
            returns = np.zeros((PATHS, steps))
            returns[:, -1] = math.log1p(sign * size)
            e = fp.simulate(NOBODY, FLAT, fp.Returns(returns), steps * dt, steps, PATHS, 3,
                            turnover=fp.Turnover(rate, 1.0, MIX))  # fmt: skip
            found = getattr(e, f"{name}_count")
            if share:
                assert_poisson(found, mean * share)
            else:
                assert (found == 0).all()


def test_a_market_that_is_used_up_opens_nothing() -> None:
    """At a price of 0 or inf nobody trades: what fires later was opened at a real price."""
    market = fp.Market(100.0, fp.EvaporatingImpact(1e-3, 2.0), half_life=3_000.0)
    for sell, gone in ((600.0, 0.0), (-600.0, math.inf)):
        e = fp.simulate(NOBODY, market, fp.Returns(np.zeros((20, 20))), 20_000.0, 20, 20, 1,
                        turnover=fp.Turnover(0.01, 1.0), script=fp.Script(5_000.0, sell=sell),
                        record="all")  # fmt: skip
        assert e.exhausted.all()
        assert (e.prices[:, 5] == gone).all()
        assert np.isfinite(e.liquidated_notional).all()
        for path in range(20):
            waves = e.replay(path).waves
            trigger = waves["notional"] / waves["quantity"]
            assert ((trigger > 0.1) & (trigger < 1e5)).all()


# --- what a simulation promises ---
def test_replay_repeats_the_row() -> None:
    for options in ({}, {"antithetic": True}):
        e = run(**options)
        assert e.waves.sum() > 100
        for path in (0, 1, 23, 49):
            one = e.replay(path)
            for name in ("final_price", "low_price", "high_price", "low_time", "long_count", "short_count"):
                assert getattr(one, name) == getattr(e, name)[path]
            assert len(one.waves) == e.waves[path]
            assert one.waves["count"].sum() == e.liquidated_count[path]
            assert one.waves["quantity"].sum() == pytest.approx(e.liquidated_quantity[path], rel=1e-12)
            assert one.waves["notional"].sum() == pytest.approx(e.liquidated_notional[path], rel=1e-12)


DIGESTS = {"step": "cea7d723e1cce0c4", "antithetic": "70f4d956ca6618be"}


def test_stored_digest() -> None:
    """These bits are promised: where they change, STREAM is raised."""
    assert {"step": digest(run()), "antithetic": digest(run(antithetic=True))} == DIGESTS


def test_the_plainest_instruction_set_gives_the_same_bits() -> None:
    code = "import sys; sys.path.insert(0, 'tests'); import test_turnover as t; print(t.digest(t.run()))"
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    made = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=root,
        env={**os.environ, "FLUSHPOINT_ISA": "baseline"}, check=True,
    )  # fmt: skip
    assert made.stdout.split() == [DIGESTS["step"]]


def test_threads_shards_and_joining() -> None:
    whole = run(record=7)
    for threads in (1, 2, 7):
        assert bits(run(threads=threads)) == bits(whole)
    parts = [run(record=7, paths=range(a, b)) for a, b in ((29, 50), (0, 3), (3, 12), (12, 29))]
    assert bits(parts[1]) == {n: getattr(whole, n)[:3].tobytes() for n in COLUMNS}
    joined = parts[0] + parts[2] + (parts[3] + parts[1])
    assert bits(joined) == bits(whole)
    assert joined.prices.tobytes() == whole.prices.tobytes()
    assert joined == whole
    with pytest.raises(ValueError, match="results to join must be of one run, differ in the argument turnover"):
        parts[0] + run(fp.Turnover(0.02, 1.0), record=7, paths=range(3))


def test_columns_do_not_change_what_happens() -> None:
    whole = run()
    for name in COLUMNS:
        e = run(columns=(name,))
        assert tuple(e) == (name,)
        assert bits(e) == bits(whole)
    assert np.isnan(whole.shortfall).all()
    assert np.isnan(whole.surplus).all()
    with pytest.raises(ValueError, match=r"columns must be among .*, was 'runaway'"):
        run(columns=("runaway",))
    with pytest.raises(AttributeError, match="runaway"):
        _ = whole.runaway


def test_pickling() -> None:
    e = run(columns=("low_price", "waves"))
    copy = pickle.loads(pickle.dumps(e))
    assert copy == e
    assert copy.id == e.id
    assert bits(copy) == bits(e)
    assert copy.replay(7).waves.tolist() == e.replay(7).waves.tolist()
    rule = pickle.loads(pickle.dumps(TURNOVER))
    assert bits(run(rule)) == bits(e)


def test_a_fresh_seed_is_kept() -> None:
    """Given returns are fixed, but who opens when is not."""
    arguments: Any = (NOBODY, FLAT, fp.Returns(np.broadcast_to(crash(5), (200, 5))), 50.0, 5, 200)
    a, b = (fp.simulate(*arguments, turnover=fp.Turnover(1.0, 1.0)) for _ in range(2))
    assert (a.long_count != b.long_count).any()
    assert a.seed is not None
    again = fp.simulate(*arguments, a.seed, turnover=fp.Turnover(1.0, 1.0))
    assert (again.long_count == a.long_count).all()
    assert fp.simulate(*arguments, turnover=fp.Turnover(0.0, 1.0)).seed is None


def test_openings_do_not_disturb_other_numbers() -> None:
    """Exogenous prices are those of a run without turnover; what opens is that of a run without a book."""
    quiet = fp.Market(100.0, fp.LinearImpact(0.0))
    arguments: Any = (quiet, fp.GBM(2.0), 4_200.0, 70, 50, 1)
    with_turnover = fp.simulate(a_book(), *arguments, turnover=TURNOVER, record="all")
    without = fp.simulate(a_book(), *arguments, record="all")
    assert with_turnover.prices.tobytes() == without.prices.tobytes()
    openings = fp.simulate(NOBODY, *arguments, turnover=TURNOVER)
    closings = fp.simulate(a_book(), *arguments, turnover=fp.Turnover(0.0, 1.0, closing_rate=TURNOVER.closing_rate))
    for side in ("long", "short"):
        total = getattr(openings, f"{side}_count") + getattr(closings, f"{side}_count")
        assert (getattr(with_turnover, f"{side}_count") == total).all()
    assert openings.liquidated_count.sum() > 100
    assert closings.liquidated_count.sum() > 100


# --- bad input, memory ---
@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ((-1.0, 1.0), ValueError, "opening_rate must be at least 0, was -1.0"),
        ((math.nan, 1.0), ValueError, "opening_rate must be finite, was nan"),
        ((math.inf, 1.0), ValueError, "opening_rate must be finite, was inf"),
        (("often", 1.0), TypeError, "opening_rate must be a real number, was 'often'"),
        ((True, 1.0), TypeError, "opening_rate must be a real number, was True"),
        ((1.0, 0.0), ValueError, "quantity must be positive, was 0.0"),
        ((1.0, math.nan), ValueError, "quantity must be finite, was nan"),
        ((1.0, None), TypeError, "quantity must be a real number, was None"),
        ((1.0, fp.Leveraged(MIX, 0.01)), TypeError, "quantity must be a law of sizes"),
        ((1.0, 1.0, 10.0), TypeError, "leverage_mix must be a LeverageMix, was float"),
        ((1.0, 1.0, MIX, -1.0), ValueError, "closing_rate must be at least 0, was -1.0"),
        ((1.0, 1.0, MIX, math.inf), ValueError, "closing_rate must be finite, was inf"),
        ((1.0, 1.0, MIX, 0.0, -0.1), ValueError, "maintenance_rate must be at least 0, was -0.1"),
        ((1.0, 1.0, MIX, 0.0, 1 / 80), ValueError, "maintenance_rate must be below 1 / the highest leverage, 0.0125"),
        ((1.0, 1.0, MIX, 0.0, 0.0, 0), ValueError, "side must be"),
        ((1.0, 1.0, MIX, 0.0, 0.0, 2), ValueError, "side must be"),
        ((1.0, 1.0, MIX, 0.0, 0.0, [1, -1]), TypeError, "side must be one number or None"),
        ((1.0, 1.0, MIX, 0.0, 0.0, "long"), (TypeError, ValueError), "side must be"),
    ],
)
def test_bad_turnover(arguments: tuple[Any, ...], kind: Any, message: str) -> None:
    with pytest.raises(kind, match=message):
        fp.Turnover(*arguments)


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        ({"turnover": 0.1}, TypeError, "turnover must be a Turnover, was float"),
        ({"monitoring": "bridge"}, ValueError, "turnover must be left out where monitoring is 'bridge'"),
        ({"watch": [0]}, ValueError, "watch must be left out for a random book and with turnover"),
        ({"max_count": 5}, ValueError, "max_count must be left out for a book of known positions"),
        ({"book": fp.RandomBook(density=1.0, quantity=1.0)}, ValueError, "turnover must be left out for a random book"),
        ({"turnover": fp.Turnover(1e300, 1.0)}, ValueError, "open positions must fit in memory"),
        ({"turnover": fp.Turnover(1e9, 1.0, closing_rate=1e-9)}, ValueError, "open positions must fit in memory"),
    ],
)  # fmt: skip
def test_bad_input(change: dict[str, Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        run(**change)


@pytest.mark.skipif(sys.platform == "win32", reason="resource is a module of Unix")
def test_memory_goes_with_what_is_open() -> None:
    """A hundred thousand openings a path, of which all or few stay."""
    code = (
        "import resource, sys, flushpoint as fp\n"
        "book, market = fp.Book([], [], []), fp.Market(100.0, fp.LinearImpact(0.0))\n"
        "def run(rate, closing): fp.simulate(book, market, fp.GBM(0.1), 1e5, 100, 8, 1, threads=1, "
        "turnover=fp.Turnover(rate, 1.0, closing_rate=closing))\n"
        "run(0.01, 0.0); before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "run(1.0, float(sys.argv[1])); print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    grown = [
        int(subprocess.run([sys.executable, "-c", code, closing], capture_output=True, text=True, check=True).stdout)
        / (2**20 if sys.platform == "darwin" else 2**10)
        for closing in ("0.0", "1e-2")
    ]
    assert grown[0] < 160  # MiB: 8 paths, 2 sides, 24 bytes, twice as much room as needed
    assert grown[1] < 10


def test_openings_can_be_stopped() -> None:
    """Each path would take minutes."""

    def refuse(done: int, of: int) -> None:
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        run(fp.Turnover(1e6, 1.0, closing_rate=1.0), progress=refuse, threads=1)
