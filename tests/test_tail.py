"""Rare events: tilted scenarios and paths that split, against exact laws, plain runs and a slow reference.

Estimates lie within 4 of their own standard errors; seeds are fixed.
"""

from __future__ import annotations

import itertools
import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.random import PCG64, SeedSequence
from scipy import stats
from scipy.special import ive

import flushpoint as fp
from flushpoint import _drawn, tail
from flushpoint.splitting import Paths
from reference_tail import lowest_of_walk, split
from test_theory_random import forward, generalized_poisson, total_of_exponential_sizes

MARKET = fp.Market(1.0, fp.LinearImpact(0.006))
CROWD = fp.RandomBook(density=100.0, quantity=1.0)
FALL = math.expm1(-0.02)


def near(found: fp.TailProbability, probability: float, relative_error: float, z: float = 4.0) -> None:
    assert abs(found.probability - probability) < z * found.standard_error
    assert found.relative_error <= relative_error


# --- tilted scenarios ---
@pytest.mark.parametrize(
    ("at_least", "probability", "paths", "relative_error"),
    [
        (50, 3.7380017234786057e-4, 50_000, 0.02),
        (100, 6.091359717604582e-7, 50_000, 0.025),
        (150, 1.3808604813165289e-9, 200_000, 0.015),
    ],
)
def test_rare_cascades_of_equal_sizes(at_least: int, probability: float, paths: int, relative_error: float) -> None:
    law = generalized_poisson(2.0, 0.6, 3_000)
    assert law[at_least:].sum() == pytest.approx(probability, rel=1e-9)
    found = fp.tail_probability(CROWD, MARKET, shock=FALL, at_least=at_least, paths=paths, seed=1)
    near(found, probability, relative_error)


@pytest.mark.parametrize(
    ("impact", "displacement", "s", "at_least"),
    [
        (fp.PowerImpact(0.02, 0.5), lambda n: 0.02 * np.sqrt(n), 0.01, 32),
        (fp.PowerImpact(0.008, 0.8), lambda n: 0.008 * n**0.8, 0.015, 70),
        (
            fp.DepthImpact([0.01, 0.03], [4.0, 6.0]),
            lambda n: np.interp(n, [0, 4, 6, 106], [0, 0.01, 0.03, 1.03]),
            1e-3,
            9,
        ),
    ],
)
def test_rare_cascades_of_any_impact(impact, displacement, s, at_least) -> None:
    law = forward(100 * (s + displacement(np.arange(at_least + 1.0))))
    found = fp.tail_probability(
        CROWD, fp.Market(1.0, impact), shock=math.expm1(-s), at_least=at_least, paths=40_000, seed=2
    )
    near(found, 1 - law.sum(), 0.1)


def test_rare_falls_of_exponential_sizes() -> None:
    rho, s, q, a, level = 100.0, 0.02, 1.0, 0.006, 1.0
    u = np.linspace(0, 800 * q, 400_001)[1:] - q / 1_000
    x = s + a * u
    z = 2 * np.sqrt(rho * x * u / q)
    density = s / (x * a) * np.exp(z - rho * x - u / q) * np.sqrt(rho * x / (q * u)) * ive(1, z)
    exact = (density * a * q / 500)[x > level].sum()
    crowd = fp.RandomBook(density=rho, quantity=fp.Exponential(q))
    found = fp.tail_probability(
        crowd, MARKET, shock=FALL, column="final_price", at_most=math.exp(-level), paths=50_000, seed=3
    )
    near(found, exact, 0.06)
    assert found.tilt.density > 1.1
    assert found.tilt.quantity > 1.1


def test_rare_shocks_to_a_known_book() -> None:
    """The response map tells the shock from which on as much is sold, and the normal law its probability."""
    generator = np.random.default_rng(0)
    book = fp.Book(1, generator.exponential(5, 300), generator.uniform(60, 99, 300))
    market = fp.Market(100.0, fp.LinearImpact(1e-4))
    moves = np.linspace(-0.4, 0, 100_001)
    sold = fp.response(book, market)(np.expm1(moves)).liquidated_quantity
    law = fp.NormalShock(0.001, 0.03)
    exact = stats.norm.cdf(moves[sold >= 700].max(), law.mean, law.deviation)
    question = {"shock": law, "column": "liquidated_quantity", "at_least": 700}
    found = fp.tail_probability(book, market, **question, paths=50_000, seed=4)
    near(found, exact, 0.015)
    assert exact < 1e-4
    given_tilt = fp.tail_probability(book, market, **question, tilt=fp.Tilt(shock=-0.1), paths=50_000, seed=4)
    near(given_tilt, exact, 0.03)


def test_an_event_that_falls_and_rises_lead_to() -> None:
    book = fp.Book([1, -1], 1.0, [90.0, 111.0])
    law = fp.NormalShock(0.001, 0.02)
    ends = (np.log([0.9, 1.11]) - law.mean) / law.deviation
    exact = stats.norm.cdf(ends[0]) + stats.norm.sf(ends[1])
    found = fp.tail_probability(
        book, fp.Market(100.0, fp.LinearImpact(1e-3)), shock=law, at_least=1, paths=20_000, seed=1
    )
    near(found, exact, 0.03)
    assert found.tilt.shock[0] < -0.08 < 0.08 < found.tilt.shock[1]
    assert "mean log shock -0.1" in str(found)
    assert " or +0.1" in str(found)


def test_a_pilot_that_sees_nothing_at_first_looks_further() -> None:
    sparse = fp.RandomBook(density=1e-3, quantity=1.0)
    found = fp.tail_probability(sparse, MARKET, shock=FALL, at_least=2, paths=20_000, seed=1)
    near(found, 1 - generalized_poisson(2e-5, 6e-6, 2).sum(), 0.05)


def test_rare_cascades_after_random_shocks() -> None:
    law = fp.NormalShock(-0.02, 0.004)
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    tails = [
        generalized_poisson(-100 * (law.mean + law.deviation * z), 0.6, 2_000)[100:].sum() if abs(z) < 4.9 else 0.0
        for z in nodes
    ]
    exact = float(weights @ tails) / math.sqrt(2 * math.pi)
    found = fp.tail_probability(CROWD, MARKET, shock=law, at_least=100, paths=50_000, seed=5)
    near(found, exact, 0.04)
    assert found.tilt.shock < -0.001


@settings(max_examples=12, deadline=None, derandomize=True)
@given(
    density=st.floats(0.7, 1.5), quantity=st.floats(0.8, 1.3), side=st.sampled_from([1, -1]), at_least=st.integers(1, 8)
)
def test_any_tilt_is_unbiased(density: float, quantity: float, side: int, at_least: int) -> None:
    theta, r = 2.0, 0.3
    crowd = fp.RandomBook(density=60.0, quantity=fp.Exponential(1.0), side=side) + fp.RandomBook(
        density=40.0, extent=9.0, quantity=fp.Exponential(1.0), side=-side
    )
    law = total_of_exponential_sizes(theta * 0.6, r * 0.6, 40)
    market = fp.Market(1.0, fp.LinearImpact(0.003))
    found = fp.tail_probability(
        crowd,
        market,
        shock=math.expm1(-side * 0.02),
        at_least=at_least,
        tilt=fp.Tilt(density, quantity),
        paths=20_000,
        seed=6,
    )
    near(found, 1 - law[:at_least].sum(), 0.5, 4.5)


def test_parts_and_extents_are_weighed() -> None:
    """A dense part close by and a thin one: the law of any impact with its own intensity."""
    near_by = fp.RandomBook(density=150.0, extent=0.03, quantity=1.0)
    far = fp.RandomBook(density=50.0, quantity=1.0)
    x = 0.02 + 0.006 * np.arange(41.0)
    law = forward(150 * np.minimum(x, 0.03) + 50 * x)
    found = fp.tail_probability(near_by + far, MARKET, shock=FALL, at_least=40, paths=40_000, seed=7)
    near(found, 1 - law.sum(), 0.06)


def test_what_was_uncovered_is_what_waves_say() -> None:
    result = fp.stress(CROWD, MARKET, np.full(2_000, FALL), seed=8, max_count=9)
    longs, shorts = result._uncovered
    count, start, stop = longs.T
    ran = result.runaway
    assert 100 < np.count_nonzero(ran) < 1_900
    assert not shorts[:, 0].any()
    np.testing.assert_array_equal(count[~ran], result.long_count[~ran])
    np.testing.assert_array_equal(start[~ran], stop[~ran])
    # The last wave looks from the impact of some positions on to that of all before it.
    np.testing.assert_allclose(stop, 0.02 + 0.006 * count, rtol=1e-9)
    before = (start[ran] - 0.02) / 0.006
    first = start[ran] < 1e-9
    np.testing.assert_allclose(before[~first], np.round(before[~first]), atol=1e-6)
    assert (count[ran] <= 9).all()
    assert (start[ran] < stop[ran]).all()


# --- paths that split ---
def walk(log_fall: float, **options: object) -> fp.TailProbability:
    return fp.tail_probability(
        fp.Book([], [], []),
        fp.Market(100.0, fp.LinearImpact(0.0)),
        fp.GBM(0.6),
        column="low_price",
        at_most=100 * math.exp(-log_fall),
        steps=50,
        **options,
    )


@pytest.mark.parametrize(
    ("log_fall", "paths", "runs", "relative_error"), [(0.1, 8_000, 160, 0.04), (0.185, 8_000, 20, 0.12)]
)
def test_lows_of_a_walk(log_fall: float, paths: int, runs: int, relative_error: float) -> None:
    """160 runs of 50 paths show that the estimate is unbiased for any number of them; the other event has 2.8e-9."""
    deviation = 0.6 * math.sqrt(1 / 365 / 50)
    exact = lowest_of_walk(deviation, -(deviation**2) / 2, -log_fall, 50)
    near(walk(log_fall, paths=paths, runs=runs, seed=1), exact, relative_error)


BOOK = fp.Book(1, np.full(300, 10.0), np.linspace(70, 99, 300))
WITH_SHORTS = BOOK + fp.Book(-1, np.full(300, 10.0), np.linspace(101, 130, 300))
HOURLY = fp.Market(100.0, fp.LinearImpact(2e-5), half_life=3_600)
returns = np.random.default_rng(0).standard_t(4, 400) * 0.004

against_plain = [
    (BOOK, fp.GBM(0.7), "low_price", {"at_most": 88.5}),
    (BOOK, fp.StudentT(0.5, 4), "liquidated_count", {"at_least": 80}),
    (BOOK, fp.JumpDiffusion(0.3, 20, -0.04, 0.02), "long_quantity", {"at_least": 1_100}),
    (WITH_SHORTS, fp.Bootstrap(returns, 5), "short_notional", {"at_least": 80_000}),
    (WITH_SHORTS, fp.GBM(0.6), "final_price", {"at_least": 111.0}),
]


@pytest.mark.parametrize(("book", "process", "column", "threshold"), against_plain)
def test_splitting_finds_what_plain_paths_find(book, process, column, threshold) -> None:
    question = {"steps": 24}
    plain = fp.simulate(book, HOURLY, process, paths=60_000, seed=1, columns=(column,), **question)[column]
    reached = plain >= threshold["at_least"] if "at_least" in threshold else plain <= threshold["at_most"]
    share = reached.mean()
    assert 2e-4 < share < 2e-2
    found = fp.tail_probability(book, HOURLY, process, column=column, **threshold, paths=8_000, seed=2, **question)
    error = math.hypot(found.standard_error, math.sqrt(share / plain.size))
    assert abs(found.probability - share) < 4 * error
    assert found.relative_error < 0.5  # for a process of jumps; 0.1 for the others


@pytest.mark.parametrize(("process", "goal", "block"), [(fp.GBM(0.6), 93.0, 1), (fp.Bootstrap(returns, 4), 97.0, 4)])
def test_splitting_is_what_the_reference_does(process: fp.Process, goal: float, block: int) -> None:
    """On the same random numbers, to the last digits."""
    question = Paths(BOOK, HOURLY, process, 86_400.0, 10, "low_price", goal, False, 1, {})
    seed = SeedSequence(9)
    (found,), paths = question.split(1, 40, seed)
    words, drawn = PCG64(seed), itertools.count()

    def fresh(count: int) -> list[list[float]]:
        which = [next(drawn) for _ in range(count)]
        return _drawn.returns(process, 86_400.0, 10, range(which[0], which[-1] + 1), seed, 1).tolist()

    def prices(path: list[float]) -> list[float]:
        run = fp.simulate(BOOK, HOURLY, fp.Returns([path]), 86_400.0, 10, 1, record="all")
        return run.prices[0].tolist()

    assert split(40, fresh, lambda: int(words.random_raw()), prices, goal, block) == pytest.approx(found, rel=1e-12)
    assert 0 < found < 0.1
    assert paths == next(drawn) > 80


# --- results ---
def test_the_same_seed_gives_the_same_bits_on_any_threads() -> None:
    small = {"at_least": 60, "shock": FALL, "paths": 5_000}
    one, other = (fp.tail_probability(CROWD, MARKET, **small, seed=3, threads=n) for n in (1, 3))
    assert (one.probability, one.standard_error, one.tilt) == (other.probability, other.standard_error, other.tilt)
    assert fp.tail_probability(CROWD, MARKET, **small, seed=4).probability != one.probability
    again = fp.tail_probability(CROWD, MARKET, **small)
    assert fp.tail_probability(CROWD, MARKET, **small, seed=again.seed).probability == again.probability
    few = {"paths": 1_000, "runs": 5}
    first, second = (walk(0.08, **few, seed=3, threads=n).estimates for n in (1, 3))
    np.testing.assert_array_equal(first, second)
    assert not first.flags.writeable


def test_paths_are_run_in_portions_where_many_are_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "_TOGETHER", 2 * 200 * 50)
    told = []
    found = walk(0.08, paths=1_000, runs=5, seed=3, progress=lambda done, total: told.append((done, total)))
    assert told == [(2, 5), (4, 5), (5, 5)]
    assert found.estimates.size == 5
    assert np.unique(found.estimates).size > 1


def test_what_a_result_says() -> None:
    told = []
    found = fp.tail_probability(
        CROWD, MARKET, shock=FALL, at_least=60, paths=5_000, seed=3, progress=lambda *done: told.append(done)
    )
    assert told[-1] == (4_500, 4_500)
    value, low, high = found.interval(0.9)
    assert value == found.probability
    assert high - value == pytest.approx(1.6448536 * found.standard_error)
    assert value - low == pytest.approx(high - value)
    assert found.effective_paths == pytest.approx(found.relative_error**-2)
    assert found.plain_paths == pytest.approx((1 - value) / value / found.relative_error**2)
    assert found.paths == 4_500
    assert str(found).startswith("P(liquidated_count >= 60) = ")
    assert "density x 1." in str(found)
    assert repr(found).endswith("tilt, 4,500 paths, seed 3>")
    split_result = walk(0.08, paths=1_000, runs=5, seed=3)
    assert split_result.standard_error == pytest.approx(split_result.estimates.std(ddof=1) / math.sqrt(5))
    assert "splitting, 5 runs" in str(split_result)
    half = split_result.interval(0.95).high - split_result.probability
    assert half == pytest.approx(stats.t.ppf(0.975, 4) * split_result.standard_error, rel=0.005)


def test_nothing_reached_is_nothing_known() -> None:
    never = fp.tail_probability(CROWD, MARKET, shock=FALL, at_least=500, tilt=fp.Tilt(0.5), paths=1_000, seed=1)
    assert never.probability == 0.0
    assert math.isnan(never.standard_error)
    assert math.isnan(never.interval().high)
    assert "nan" in str(never)


def test_what_is_common_needs_no_tilt() -> None:
    found = fp.tail_probability(CROWD, MARKET, shock=FALL, at_least=1, paths=5_000, seed=1)
    near(found, 1 - math.exp(-2), 0.02)
    assert walk(0.08, paths=1_000, runs=5, seed=1).probability < 1
    sure = fp.tail_probability(
        BOOK, HOURLY, fp.GBM(0.5), column="low_price", at_most=200.0, paths=1_000, steps=3, runs=5, seed=1
    )
    assert (sure.probability, sure.standard_error) == (1.0, 0.0)


COUNTED = fp.RandomBook(count=10, distance=fp.Exponential(0.1), quantity=1.0)
bad: list[tuple[dict[str, object], type[Exception], str]] = [
    ({}, ValueError, "at_least must be given, or at_most, and not both, was None and None"),
    ({"at_least": 1, "at_most": 1}, ValueError, "and not both"),
    ({"at_least": math.nan}, ValueError, "at_least must be finite"),
    ({"at_least": 9, "paths": 999}, ValueError, "paths must be at least 1000"),
    ({"at_least": 9, "method": "plain"}, ValueError, "method must be one of 'auto', 'tilt', 'splitting'"),
    ({"at_least": 9, "method": "splitting"}, ValueError, "process must be given for splitting"),
    ({"at_least": 9, "runs": 10}, ValueError, "runs must be left out without a process, was 10"),
    ({"at_least": 9, "steps": 10}, TypeError, "steps must be left out without a process, was 10"),
    ({"at_least": 9, "column": "price"}, ValueError, "column must be one of"),
    ({"at_least": 9, "sell": [1.0, 2.0]}, TypeError, "sell must be a real number"),
    ({"at_least": 9, "shock": -1.5}, ValueError, "shock must be above -1"),
    ({"at_least": 9, "max_count": 100}, ValueError, "max_count must be left out where scenarios end at the threshold"),
    ({"at_least": 9, "book": COUNTED}, ValueError, "book must be given by density to be tilted, was RandomBook"),
    (
        {"at_least": 9, "book": BOOK, "market": HOURLY},
        ValueError,
        "shock must be a NormalShock for a book of known positions",
    ),
    ({"at_least": 9, "tilt": 1.5}, TypeError, "tilt must be a Tilt, was 1.5"),
    ({"at_least": 9, "tilt": fp.Tilt(quantity=2)}, ValueError, "tilt must leave quantity at 1"),
    ({"at_least": 9, "tilt": fp.Tilt(shock=-0.1)}, ValueError, "tilt must leave shock at 0"),
    ({"at_least": 9}, ValueError, "at_least must be within the pilot's reach"),  # without a shock
    ({"at_least": 9, "shock": FALL, "column": "shortfall"}, ValueError, "shortfall must be known in every scenario"),
]
IN_TIME: dict[str, object] = {"book": BOOK, "market": HOURLY, "process": fp.GBM(0.5), "steps": 5, "paths": 1_000}
bad_in_time: list[tuple[dict[str, object], type[Exception], str]] = [
    ({"at_least": 9, "shock": -0.1}, ValueError, "shock must be left out with a process"),
    ({"at_least": 9, "tilt": fp.Tilt()}, ValueError, "tilt must be left out with a process"),
    ({"at_least": 9, "method": "tilt"}, ValueError, "process must be left out for a tilt"),
    ({"at_least": 9, "runs": 4}, ValueError, "runs must be at least 5, was 4"),
    ({"at_least": 9, "runs": 21}, ValueError, "runs must be at most 20, was 21"),
    ({"at_least": 9, "sell": 1.0}, TypeError, "sell must be left out with a process, was 1.0"),
    ({"at_least": 9, "monitoring": "bridge"}, TypeError, "monitoring must be left out with a process"),
    ({"at_least": 9, "book": CROWD}, ValueError, "book must be a Book with a process"),
    ({"at_least": 9, "process": fp.GARCH(1e-5, 0.1, 0.8)}, ValueError, "process must have independent steps"),
    ({"at_least": 301}, ValueError, "at_least must be above 0 and at most all there is, 300, was 301"),
    ({"at_least": 9, "book": WITH_SHORTS}, ValueError, "column must be low_price, high_price, final_price"),
    ({"at_most": 9, "column": "high_price"}, ValueError, "was 'high_price' with at_most"),
    ({"at_most": -9, "column": "low_price"}, ValueError, "at_most must be positive, was -9"),
    ({"at_least": 9, "horizon": 0.0}, ValueError, "horizon must be positive"),
    ({"at_least": 9, "steps": 0}, ValueError, "steps must be at least 1"),
    ({"at_least": 9, "steps": 10**11}, ValueError, "paths x steps must fit in memory"),
]


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [({"book": CROWD, "market": MARKET, "paths": 1_000, **one}, error, words) for one, error, words in bad]
    + [({**IN_TIME, **one}, error, words) for one, error, words in bad_in_time],
)
def test_bad_input(changes: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        fp.tail_probability(**changes, seed=1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: fp.NormalShock(0.0, 0.0), "deviation must be positive, was 0.0"),
        (lambda: fp.NormalShock(math.nan, 1.0), "mean must be finite, was nan"),
        (lambda: fp.Tilt(shock=(0.1, math.inf)), "shock must be finite, was inf"),
        (lambda: fp.Tilt(density=0), "density must be positive, was 0.0"),
        (lambda: fp.Tilt(quantity=-1), "quantity must be positive, was -1.0"),
    ],
)
def test_bad_parts(make, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        make()
