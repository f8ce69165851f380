"""Random books: the same draws as the plain reference, the same law as books drawn in full, and the edges."""

from __future__ import annotations

import hashlib
import math
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

import flushpoint as fp
import reference
import reference_generators
import reference_random_book as slow

MIX = fp.LeverageMix([2, 5, 10, 25, 100], [1, 2, 4, 2, 1])
MARKET = fp.Market(100.0, fp.LinearImpact(0.006))
LONGS = fp.RandomBook(density=100.0, quantity=1.0)
KEY_OF_7 = int(np.random.SeedSequence(7).generate_state(1, np.uint64)[0])


# --- the generators' known answers ---
def test_philox_known_answers() -> None:
    every = 2**32 - 1
    for counter, key, words in (
        ((0, 0, 0, 0), 0, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ((every,) * 4, 2**64 - 1, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            0x299F31D0_A4093822,
            "d16cfe09 94fdcceb 5001e420 24126ea1",
        ),
    ):
        assert " ".join(f"{w:08x}" for w in reference_generators.philox(counter, key)) == words


def test_xoshiro_known_answers() -> None:
    g = reference_generators.Xoshiro([1, 2, 3, 4])
    assert [g.next() for _ in range(5)] == [
        41943041, 58720359, 3588806011781223, 3591011842654386, 9228616714210784205,
    ]  # fmt: skip


# --- the reference, draw by draw ---
distances: dict[str, tuple[fp.Law, tuple[str, tuple[Any, ...]]]] = {
    "Uniform": (fp.Uniform(0.01, 0.4), ("Uniform", (0.01, 0.4))),
    "Exponential": (fp.Exponential(0.1), ("Exponential", (0.1,))),
    "LogNormal": (fp.LogNormal(0.1, 1.0), ("LogNormal", (0.1, 1.0))),
    "Pareto": (fp.Pareto(0.005, 0.7), ("Pareto", (0.005, 0.7))),
    "Table": (fp.Table([0.3, 0.01, 0.02, 0.02, 0.11]), ("Table", ([0.3, 0.01, 0.02, 0.02, 0.11],))),
    "Leveraged": (
        fp.Leveraged(MIX, 0.06, nearest=0.001),
        ("Leveraged", (MIX.leverage.tolist(), MIX.share.tolist(), 0.06, 0.005, 0.001)),
    ),
}
quantities: dict[str, tuple[fp.Law | float, tuple[str, tuple[Any, ...]]]] = {
    "Constant": (2.0, ("Constant", (2.0,))),
    "Uniform": (fp.Uniform(0.5, 3.0), ("Uniform", (0.5, 3.0))),
    "Exponential": (fp.Exponential(2.0), ("Exponential", (2.0,))),
    "LogNormal": (fp.LogNormal(1.0, 1.2), ("LogNormal", (1.0, 1.2))),
    "Pareto": (fp.Pareto(1.0, 2.5), ("Pareto", (1.0, 2.5))),
    "Table": (fp.Table([3.0, 1.0, 0.5]), ("Table", ([3.0, 1.0, 0.5],))),
}


@st.composite
def books(draw: st.DrawFn) -> tuple[fp.RandomBook, list[slow.Part], float]:
    """A book, the same in plain numbers, and the quantity it is expected to hold, roughly."""
    book, parts, total = None, [], 0.0
    for _ in range(draw(st.integers(1, 3))):
        side = draw(st.sampled_from([1, 1, -1]))
        size, plain_size = quantities[draw(st.sampled_from(list(quantities)))]
        if draw(st.booleans()):
            count = draw(st.sampled_from([0, 1, 7, 60, 300, 5_000]))
            law, plain = distances[draw(st.sampled_from(list(distances)))]
            one = fp.RandomBook(count=count, distance=law, quantity=size, side=side)
            parts.append(slow.Part(side, plain_size, count, distance=plain))
            total += 2.0 * count
        else:
            density, extent = draw(st.sampled_from([5.0, 100.0, 3_000.0])), draw(st.sampled_from([0.02, 0.5, math.inf]))
            one = fp.RandomBook(density=density, extent=extent, quantity=size, side=side)
            parts.append(slow.Part(side, plain_size, density=density, extent=extent))
            total += 2.0 * density * min(extent, 1.0)
        book = one if book is None else book + one
    assert book is not None
    return book, parts, total or 1.0


@settings(max_examples=120)
@given(
    drawn=books(),
    impact=st.sampled_from(["LinearImpact", "SquareRootImpact"]),
    strength=st.sampled_from([0.1, 0.5, 1.5]),
    shock=st.sampled_from([0.0, -0.02, -0.1, 0.05, 0.3]),
    sell=st.sampled_from([0.0, 0.05, -0.1]),
    refill=st.sampled_from([0.0, 0.25]),
    mark_weight=st.sampled_from([1.0, 0.5]),
    liquidity=st.sampled_from([1.0, 0.5]),
    path=st.integers(0, 3),
)
def test_the_reference_draws_the_same(
    drawn: tuple[fp.RandomBook, list[slow.Part], float], impact: str, strength: float, shock: float, sell: float,
    refill: float, mark_weight: float, liquidity: float, path: int,
) -> None:  # fmt: skip
    book, parts, total = drawn
    arguments: dict[str, float] = {"coefficient": strength / total}
    if impact == "SquareRootImpact":
        arguments = {"daily_volatility": strength, "daily_volume": total, "core": 0.01 * total}
    market = fp.Market(100.0, getattr(fp, impact)(**arguments), mark_weight=mark_weight, spread=0.001)
    venue = reference.Venue(
        100.0, reference.SHAPES[impact](**arguments), mark_weight=mark_weight, spread=0.001, liquidity=liquidity
    )
    shocks = np.zeros(4)
    shocks[path] = shock
    s = fp.stress(book, market, shocks, sell * total, liquidity, refill, seed=7, max_count=4_000)
    expected = slow.run(parts, venue, KEY_OF_7, path, shock=shock, sell=sell * total, refill=refill, max_count=4_000)
    assume(not expected.doubtful)
    assert s.long_count[path] == expected.count[1]
    assert s.short_count[path] == expected.count[-1]
    assert s.waves[path] == expected.waves
    assert s.runaway[path] == expected.runaway
    assert s.long_quantity[path] == pytest.approx(expected.quantity[1], rel=1e-11)
    assert s.short_quantity[path] == pytest.approx(expected.quantity[-1], rel=1e-11)
    for name in ("final_price", "low_price", "high_price"):
        assert getattr(s, name)[path] == pytest.approx(getattr(expected, name), rel=1e-9)
    gross = 100 * (expected.quantity[1] + expected.quantity[-1])
    assert s.proceeds[path] == pytest.approx(expected.proceeds, rel=1e-9, abs=1e-9 * gross)
    assert s.liquidated_count[path] <= 4_000


@settings(max_examples=40)
@given(
    drawn=books(), strength=st.sampled_from([0.1, 0.5, 1.5]), half_life=st.sampled_from([math.inf, 90.0]),
    mark_weight=st.sampled_from([1.0, 0.5]), funded=st.sampled_from([0.0, 1e-3, 0.05]), seed=st.integers(0, 10**6),
)  # fmt: skip
def test_paths_of_the_reference_draw_the_same(
    drawn: tuple[fp.RandomBook, list[slow.Part], float], strength: float, half_life: float, mark_weight: float,
    funded: float, seed: int,
) -> None:  # fmt: skip
    book, parts, total = drawn
    rng = np.random.default_rng(seed)
    paths, steps, dt = 3, 15, 60.0
    returns, rates = 0.03 * rng.standard_normal((paths, steps)), (funded * rng.standard_normal(steps)).tolist()
    market = fp.Market(100.0, fp.LinearImpact(strength / total), half_life, spread=0.001, mark_weight=mark_weight)
    venue = reference.Venue(100.0, reference.linear(strength / total), 0.0, half_life, 0.001, mark_weight)
    e = fp.simulate(
        book, market, fp.Returns(returns), steps * dt, steps, paths, 7, record=1, max_count=4_000,
        funding=fp.Funding(rates, dt) if funded else None,
    )  # fmt: skip
    for path in range(paths):
        expected = slow.run(
            parts, venue, KEY_OF_7, path, max_count=4_000, returns=returns[path].tolist(), dt=dt, rates=rates
        )
        if expected.doubtful:
            continue
        assert (e.long_count[path], e.short_count[path]) == (expected.count[1], expected.count[-1])
        assert (e.waves[path], e.runaway[path]) == (expected.waves, expected.runaway)
        assert e.long_quantity[path] == pytest.approx(expected.quantity[1], rel=1e-11)
        assert e.short_quantity[path] == pytest.approx(expected.quantity[-1], rel=1e-11)
        assert e.prices[path, 1:] == pytest.approx(expected.prices, rel=1e-9)
        for name in ("low_price", "high_price"):
            assert getattr(e, name)[path] == pytest.approx(getattr(expected, name), rel=1e-9)
        gross = 100 * (expected.quantity[1] + expected.quantity[-1])
        assert e.proceeds[path] == pytest.approx(expected.proceeds, rel=1e-9, abs=1e-9 * gross)


def test_notionals_are_at_the_triggers_that_funding_has_moved() -> None:
    """Everybody stands at one distance: each payment of 1 % lifts 95, until the sixth crosses the price."""
    book = fp.RandomBook(count=10, distance=fp.Table([-math.log(0.95)]), quantity=2.0)
    market = fp.Market(100.0, fp.LinearImpact(0.0))
    still = fp.Returns(np.zeros((1, 10)))
    e = fp.simulate(book, market, still, 10.0, 10, 1, 1, funding=fp.Funding(0.01, 1.0))
    assert e.long_notional[0] == pytest.approx(20 * 95 * 1.01**6)
    waves = e.replay(0).waves
    assert (waves["step"].tolist(), waves["notional"].tolist()) == ([7], [pytest.approx(e.long_notional[0])])


# --- the same law as books drawn in full ---
def sample(law: tuple[str, tuple[Any, ...]], rng: np.random.Generator, size: int, side: int = 1) -> np.ndarray:
    name, p = law
    if name == "Constant":
        return np.full(size, p[0])
    if name == "Uniform":
        return rng.uniform(p[0], p[1], size)
    if name == "Exponential":
        return rng.exponential(p[0], size)
    if name == "LogNormal":
        return p[0] * np.exp(p[1] * rng.standard_normal(size))
    if name == "Pareto":
        return p[0] * (1 + rng.pareto(p[1], size))
    if name == "Table":
        return rng.choice(p[0], size)
    leverage, share, spread, rate, nearest = p
    out = np.empty(0)
    while out.size < size:
        times = rng.choice(leverage, 4 * size + 10, p=share)
        entry = np.exp(spread * rng.standard_normal(times.size))
        distance = -side * np.log(entry * (1 - side / times) / (1 - side * rate))
        out = np.append(out, distance[distance > nearest])
    return out[:size]


def full_books(
    distance: tuple[str, tuple[Any, ...]], quantity: tuple[str, tuple[Any, ...]], count: int | None, side: int,
    market: fp.Market, shock: float, runs: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    rng = np.random.default_rng(5)
    found = []
    for _ in range(runs):
        n = int(rng.poisson(100.0)) if count is None else count
        where = rng.uniform(0, 1, n) if count is None else sample(distance, rng, n, side)
        book = fp.Book(side, sample(quantity, rng, n), 100 * np.exp(-side * where))
        c = fp.cascade(book, market, side * shock)
        found.append((c.liquidated_count, c.final_price, c.liquidated_notional))
    counts, prices, notionals = map(np.array, zip(*found, strict=True))
    return counts, prices, notionals


same_laws = [
    ("Leveraged", "LogNormal", 60, 1),
    ("Leveraged", "Constant", 60, -1),
    ("LogNormal", "Exponential", 60, 1),
    ("Pareto", "Pareto", 60, 1),
    ("Table", "Table", 60, -1),
    ("Exponential", "Uniform", 60, 1),
    ("Poisson", "Exponential", None, -1),
    ("Poisson", "Constant", None, 1),
]


@pytest.mark.parametrize(("where", "size", "count", "side"), same_laws)
def test_the_law_of_books_drawn_in_full(where: str, size: str, count: int | None, side: int) -> None:
    """Counts, final prices and notionals of 4,000 books drawn in full and 40,000 drawn as they close."""
    law, plain = distances.get(where, distances["Uniform"])
    quantity, plain_quantity = quantities[size]
    total = 2.0 * (count or 100)
    market = fp.Market(100.0, fp.LinearImpact(0.12 / total))
    counts, prices, notionals = full_books(plain, plain_quantity, count, side, market, -0.03, 4_000)
    book = (
        fp.RandomBook(density=100.0, extent=1.0, quantity=quantity, side=side)
        if count is None
        else fp.RandomBook(count=count, distance=law, quantity=quantity, side=side)
    )
    s = fp.stress(book, market, np.full(40_000, -0.03 * side), seed=11)
    assert stats.ks_2samp(prices, s.final_price).pvalue > 1e-5
    assert stats.ks_2samp(notionals, s.liquidated_notional).pvalue > 1e-5
    edges = np.unique(np.quantile(counts, np.linspace(0, 1, 9)))
    table = [np.histogram(c, [*edges, np.inf])[0] for c in (counts, s.liquidated_count)]
    assert stats.chi2_contingency([row[np.add(*table) > 0] for row in table]).pvalue > 1e-5


@pytest.mark.parametrize("side", [1, -1])
def test_leveraged_distances_are_those_of_liquidation_prices(side: int) -> None:
    """All that stands within a distance closes, as many as liquidation_price puts there."""
    rng = np.random.default_rng(9)
    leverage = rng.choice(MIX.leverage, 200_000, p=MIX.share)
    entry = 100 * np.exp(0.06 * rng.standard_normal(leverage.size))
    trigger = np.asarray(
        fp.liquidation_price(side, 1.0, entry, entry / leverage, fp.MarginSchedule.flat(0.005)), dtype=float
    )
    distance = side * np.log(100 / trigger)
    distance = distance[distance > 0.01]
    book = fp.RandomBook(count=200_000, distance=fp.Leveraged(MIX, 0.06, nearest=0.01), quantity=1.0, side=side)
    reach = np.array([0.02, 0.05, 0.1, 0.2, 0.5])
    quiet = fp.Market(100.0, fp.LinearImpact(0.0))
    found = fp.stress(book, quiet, np.expm1(-side * reach), seed=1).liquidated_count / 200_000
    np.testing.assert_allclose(found, [(distance <= x).mean() for x in reach], rtol=0, atol=4.5 * 0.5 / 300)


# --- what is drawn later changes nothing, and fits ---
@pytest.mark.parametrize("size", list(quantities))
def test_notional_on_demand(size: str) -> None:
    book = (
        fp.RandomBook(count=2_000, distance=fp.LogNormal(0.1, 1.0), quantity=quantities[size][0])
        + fp.RandomBook(count=500, distance=fp.Table([0.02, 0.04]), quantity=quantities[size][0])
        + fp.RandomBook(density=100.0, quantity=1.0, side=-1)
    )
    market = fp.Market(100.0, fp.LinearImpact(1e-5))
    shock = np.linspace(-0.2, 0.2, 41)
    s = fp.stress(book, market, shock, seed=3)
    before = {name: column.copy() for name, column in s.items()}
    assert "liquidated_notional" not in before
    notional = s.liquidated_notional
    assert s.long_notional.tobytes() == fp.stress(book, market, shock, seed=3, threads=1).long_notional.tobytes()
    for name, column in before.items():
        np.testing.assert_array_equal(s[name], column)
    # Every long closed stood between the price and the low, every short up to the high.
    assert (s.long_notional <= s.long_quantity * 100 * (1 + 1e-9)).all()
    assert (s.long_notional >= s.long_quantity * s.low_price * (1 - 1e-9)).all()
    assert (s.short_notional >= s.short_quantity * 100 * (1 - 1e-9)).all()
    assert (s.short_notional <= s.short_quantity * s.high_price * (1 + 1e-9)).all()
    np.testing.assert_array_equal(notional, s.long_notional + s.short_notional)
    assert np.isnan(s.shortfall).all()
    assert np.isnan(s.surplus).all()


# --- seeds, threads, instruction sets ---
def a_bit_of_everything(threads: int = 0) -> fp.RandomStressResult:
    book = (
        fp.RandomBook(count=10**4, distance=fp.Leveraged(MIX, 0.06), quantity=fp.LogNormal(1e-4, 1.5))
        + fp.RandomBook(count=10**9, distance=fp.Pareto(0.06, 1.5), quantity=fp.Exponential(1e-9))
        + fp.RandomBook(density=1e4, extent=0.3, quantity=fp.Table([1e-4, 1e-3]), side=-1)
        + fp.RandomBook(count=100, distance=fp.LogNormal(0.1, 1.0), quantity=fp.Pareto(1e-4, 2.0), side=-1)
        + fp.RandomBook(count=100, distance=fp.Exponential(0.1), quantity=fp.Uniform(0.0, 1e-3))
    )
    market = fp.Market(100.0, fp.LinearImpact(0.05), permanent=0.01)
    shock = np.linspace(-0.08, 0.08, 99)
    result = fp.stress(
        book, market, shock, 0.0, np.tile([0.5, 1.0, 3.0], 33), 0.1, seed=2025, max_count=20_000, threads=threads
    )
    assert isinstance(result, fp.RandomStressResult)
    return result


def digest(s: fp.RandomStressResult) -> str:
    found = hashlib.sha256()
    for name in ("final_price", "low_price", "long_quantity", "short_quantity", "long_count", "waves", "runaway"):
        found.update(getattr(s, name).tobytes())
    found.update(s.long_notional.tobytes() + s.short_notional.tobytes() + s.proceeds.tobytes())
    return found.hexdigest()[:16]


DIGEST = "7b5d99d567a2a384"


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_digest(threads: int) -> None:
    assert digest(a_bit_of_everything(threads)) == DIGEST


def test_digest_of_the_baseline_instruction_set() -> None:
    code = "import test_random_book as t; print(t.digest(t.a_bit_of_everything()))"
    here = os.path.dirname(os.path.abspath(__file__))
    environment = {**os.environ, "FLUSHPOINT_ISA": "baseline", "PYTHONPATH": here}
    found = subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True)
    assert found.stdout.strip() == DIGEST


def test_seeds() -> None:
    shock = np.full(50, -0.02)
    one = fp.stress(LONGS, MARKET, shock, seed=7)
    assert one.seed == 7
    assert fp.stress(LONGS, MARKET, shock, seed=7) == one
    assert fp.stress(LONGS, MARKET, shock, seed=8) != one
    sequence = np.random.SeedSequence(7)
    assert fp.stress(LONGS, MARKET, shock, seed=sequence) == one
    child = sequence.spawn(1)[0]
    assert fp.stress(LONGS, MARKET, shock, seed=child).seed is child
    fresh = fp.stress(LONGS, MARKET, shock)
    assert fp.stress(LONGS, MARKET, shock, seed=fresh.seed) == fresh
    assert fp.stress(LONGS, MARKET, shock) != fresh


def test_a_scenario_depends_on_its_place_alone() -> None:
    many = fp.stress(LONGS, MARKET, np.full(20, -0.02), seed=1)
    few = fp.stress(LONGS, MARKET, np.full(7, -0.02), seed=1)
    np.testing.assert_array_equal(few.final_price, many.final_price[:7])
    assert np.unique(many.final_price).size > 5


def test_pickles() -> None:
    s = a_bit_of_everything()
    copy = pickle.loads(pickle.dumps(s))
    assert copy == s
    np.testing.assert_array_equal(copy.long_notional, s.long_notional)
    book = fp.RandomBook(count=5, distance=fp.Table([0.1, 0.2]), quantity=fp.Exponential(1.0)) + LONGS
    assert pickle.loads(pickle.dumps(book)) == book
    assert repr(LONGS) == "RandomBook(density=100, extent=inf, quantity=1.0, side=+1)"


def test_control_c_within_a_scenario() -> None:
    """Every thread is inside a scenario that would take minutes."""
    book = fp.RandomBook(density=1e12, quantity=fp.LogNormal(1.0, 1.0))
    sent = []

    def interrupt() -> None:
        time.sleep(0.3)
        sent.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        fp.stress(book, MARKET, np.full(16, -0.1), seed=1, max_count=2**40, threads=2)
    took = time.perf_counter() - sent[0]
    thread.join()
    assert took < 0.5  # 0.2 s, and what a busy machine adds


# --- edges ---
def test_a_trigger_hit_exactly_fires() -> None:
    book = fp.RandomBook(count=3, distance=fp.Table([-math.log(0.9)]), quantity=1.0)
    s = fp.stress(book, MARKET, [-0.1, -0.0999], seed=1)
    assert s.long_count.tolist() == [3, 0]


def test_nothing_happens_at_rest() -> None:
    book = fp.RandomBook(density=1e15, quantity=1.0) + fp.RandomBook(
        count=2**50, distance=fp.Exponential(1e-3), quantity=1.0, side=-1
    )
    s = fp.stress(book, MARKET, seed=1)
    assert s.final_price[0] == 100.0
    assert s.liquidated_count[0] == 0
    assert s.amplification[0] == 1.0


def test_runaways_end() -> None:
    s = fp.stress(LONGS, fp.Market(100.0, fp.LinearImpact(0.02)), np.full(200, -0.05), seed=1, max_count=1000)
    assert s.runaway.mean() > 0.9
    assert (s.long_count[s.runaway] == 1000).all()
    assert (s.long_count[~s.runaway] < 1000).all()
    both = LONGS + fp.RandomBook(density=100.0, quantity=1.0, side=-1)
    emptied = fp.stress(both, fp.Market(100.0, fp.EvaporatingImpact(0.1, 1.0)), -0.5, seed=1)
    assert emptied.exhausted[0]
    assert emptied.runaway[0]
    assert emptied.liquidated_count[0] == 10**6
    all_gone = fp.RandomBook(count=500, distance=fp.Uniform(0, 0.1), quantity=1.0)
    s = fp.stress(all_gone, MARKET, -0.5, seed=1, max_count=500)
    assert s.long_count[0] == 500
    assert not s.runaway[0]


def test_a_runaway_with_no_room_for_the_second_kind() -> None:
    first = fp.RandomBook(count=10, distance=fp.Uniform(0, 0.1), quantity=1.0)
    second = fp.RandomBook(count=10, distance=fp.Uniform(0, 0.1), quantity=fp.Exponential(1.0))
    s = fp.stress(first + second, fp.Market(100.0, fp.LinearImpact(0.0)), -0.5, seed=1, max_count=10)
    assert s.runaway[0]
    assert s.long_count[0] == s.long_quantity[0] == 10
    assert 10 * 90 < s.liquidated_notional[0] < 10 * 100


def test_those_that_can_never_be_liquidated_never_are() -> None:
    half = fp.LeverageMix([1.0, 10.0], [1.0, 1.0])
    book = fp.RandomBook(count=10**6, distance=fp.Leveraged(half, 0.01), quantity=1e-6)
    s = fp.stress(book, fp.Market(100.0, fp.LinearImpact(1e-3)), [-0.9, -0.99999], seed=1)
    np.testing.assert_allclose(s.long_count, 5e5, rtol=0, atol=5 * 500)
    shorts = fp.RandomBook(count=10**6, distance=fp.Leveraged(half, 0.01), quantity=1e-6, side=-1)
    assert fp.stress(shorts, fp.Market(100.0, fp.LinearImpact(1e-3)), 2.0, seed=1).short_count[0] == 10**6


def test_sides_do_not_mix() -> None:
    book = LONGS + fp.RandomBook(density=100.0, quantity=1.0, side=-1)
    s = fp.stress(book, MARKET, [-0.05, 0.05], seed=1)
    assert s.short_count[0] == 0
    assert s.long_count[1] == 0
    assert s.long_count[0] > 0
    assert s.short_count[1] > 0


bad: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: fp.RandomBook(quantity=1.0), ValueError, r"^count must be given, or density"),
    (
        lambda: fp.RandomBook(count=1, density=1.0, distance=fp.Exponential(1.0), quantity=1.0),
        ValueError,
        r"^count must be given, or density, and not both, was 1 and 1\.0",
    ),
    (lambda: fp.RandomBook(count=1, quantity=1.0), TypeError, r"^distance must be a law .*None"),
    (lambda: fp.RandomBook(count=-1, distance=fp.Exponential(1), quantity=1.0), ValueError, r"^count must .*-1"),
    (lambda: fp.RandomBook(count=1.5, distance=fp.Exponential(1), quantity=1.0), TypeError, r"^count must .*1\.5"),  # type: ignore[arg-type]
    (
        lambda: fp.RandomBook(count=2**51, distance=fp.Exponential(1), quantity=1.0),
        ValueError,
        r"^count must be at most",
    ),
    (
        lambda: fp.RandomBook(count=1, distance=fp.Exponential(1), extent=1.0, quantity=1.0),
        ValueError,
        r"^extent must be left out",
    ),
    (lambda: fp.RandomBook(density=0.0, quantity=1.0), ValueError, r"^density must be positive, was 0\.0"),
    (lambda: fp.RandomBook(density=1.0, extent=-1.0, quantity=1.0), ValueError, r"^extent must be positive, was -1\.0"),
    (
        lambda: fp.RandomBook(density=1.0, distance=fp.Exponential(1.0), quantity=1.0),
        ValueError,
        r"^distance must be left out",
    ),
    (lambda: fp.RandomBook(density=1.0, quantity=0.0), ValueError, r"^quantity must be positive, was 0\.0"),
    (
        lambda: fp.RandomBook(density=1.0, quantity=fp.Leveraged(MIX, 0.1)),
        TypeError,
        r"^quantity must be a law of sizes",
    ),
    (lambda: fp.RandomBook(density=1.0, quantity=1.0, side=0), ValueError, r"^side must .*0"),
    (lambda: fp.RandomBook(density=1.0, quantity=1.0, side=[1, 1]), TypeError, r"^side must be one number"),  # type: ignore[arg-type]
    (lambda: fp.Uniform(0.2, 0.1), ValueError, r"^high must be above 0\.2, was 0\.1"),
    (lambda: fp.Uniform(-0.1, 0.1), ValueError, r"^low must be at least 0, was -0\.1"),
    (lambda: fp.Exponential(math.nan), ValueError, r"^mean must .*nan"),
    (lambda: fp.LogNormal(1.0, 0.0), ValueError, r"^sigma must be positive, was 0\.0"),
    (lambda: fp.Pareto(0.0, 2.0), ValueError, r"^scale must be positive"),
    (lambda: fp.Pareto(1.0, 0.01), ValueError, r"^exponent must be at least 0\.1"),
    (lambda: fp.Table([]), ValueError, r"^values must have one dimension"),
    (lambda: fp.Table([1.0, -2.0]), ValueError, r"^values must be positive, was -2\.0 at index 1"),
    (lambda: fp.Table([1.0, math.nan]), ValueError, r"^values must be finite, was nan at index 1"),
    (lambda: fp.Leveraged(3, 0.1), TypeError, r"^leverage_mix must be a LeverageMix, was 3"),  # type: ignore[arg-type]
    (lambda: fp.Leveraged(MIX, 0.0), ValueError, r"^entry_spread must be positive"),
    (lambda: fp.Leveraged(MIX, 0.1, 1.0), ValueError, r"^maintenance_rate must be below 1"),
    (lambda: fp.Leveraged(MIX, 0.1, nearest=-1.0), ValueError, r"^nearest must be at least 0"),
    (
        lambda: fp.RandomBook(count=5, distance=fp.Leveraged(fp.LeverageMix([1000], [1]), 1e-4), quantity=1.0),
        ValueError,
        r"^distance must leave positions beyond 0",
    ),
    (lambda: fp.stress(LONGS, MARKET, max_count=1.5), TypeError, r"^max_count must be an integer, was 1\.5"),  # type: ignore[arg-type]
    (lambda: fp.stress(LONGS, MARKET, max_count=0), ValueError, r"^max_count must be at least 1, was 0"),
    (lambda: fp.stress(LONGS, 3), TypeError, r"^market must be a Market"),  # type: ignore[arg-type]
    (lambda: fp.stress(fp.Book(1, 1.0, 90.0), MARKET, max_count=5), ValueError, r"^max_count must be left out"),
    (lambda: fp.stress(LONGS, MARKET, columns=["shortage"]), ValueError, r"^columns must .*'shortage' at index 0"),
    (lambda: LONGS + fp.Book(1, 1.0, 90.0), TypeError, r"unsupported operand"),
]


@pytest.mark.parametrize(("call", "error", "message"), bad)
def test_bad_input(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_what_needs_known_positions_says_so() -> None:
    for result in (fp.stress(LONGS, MARKET, -0.05, seed=1), fp.simulate(LONGS, MARKET, fp.GBM(0.5), paths=2, steps=2)):
        for name in ("groups", "group_quantity", "group_notional"):
            with pytest.raises(ValueError, match=r"^book must be a Book"):
                getattr(result, name)


def test_runaway_is_told_when_it_was_no_column() -> None:
    run = {"paths": 50, "steps": 4, "seed": 3, "max_count": 20}
    e = fp.simulate(LONGS, MARKET, fp.GBM(3.0), columns=["waves"], **run)  # type: ignore[arg-type]
    whole = fp.simulate(LONGS, MARKET, fp.GBM(3.0), **run)  # type: ignore[arg-type]
    assert 0 < np.count_nonzero(whole["runaway"]) < 50
    np.testing.assert_array_equal(e.runaway, whole["runaway"])  # type: ignore[attr-defined]


def test_reprs_are_one_short_line() -> None:
    seed = np.random.SeedSequence(5).spawn(1)[0]
    assert repr(fp.stress(LONGS, MARKET, [-0.05, 0.0], seed=seed)).startswith("<RandomStressResult: 2 scenarios, ")
    everything = (
        fp.stress(LONGS, MARKET, -0.05, seed=seed),
        fp.simulate(LONGS, MARKET, fp.GBM(0.5), paths=2, steps=2, seed=seed),
        fp.RandomBook(count=5, distance=fp.Leveraged(MIX, 0.03), quantity=fp.Table(np.arange(1.0, 1e4))),
    )
    for thing in everything:
        assert "\n" not in repr(thing)
        assert len(repr(thing)) < 300


def test_laws_keep_plain_numbers_and_compare_by_value() -> None:
    mean = np.array(0.1)
    law = fp.Exponential(mean)  # type: ignore[arg-type]
    mean[...] = -1.0
    assert law == fp.Exponential(0.1)
    assert repr(fp.Uniform(0, 1)) == "Uniform(low=0.0, high=1.0)"
    leveraged = fp.Leveraged(MIX, 0.03)
    assert pickle.loads(pickle.dumps(leveraged)) == leveraged
    assert leveraged != fp.Leveraged(fp.LeverageMix.power_law(1.9), 0.03)
