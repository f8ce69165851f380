"""What paths draw: the same numbers as a slow port, and laws that are known.

Seeds are fixed. Each statistic must stay within 4.5 standard deviations of its exact mean, which chance alone breaks
for 7 seeds in a million; Kolmogorov-Smirnov distances and chi-squares within the quantile of that probability.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

import flushpoint as fp
import reference
import reference_generators
import reference_paths
import reference_random
from reference_random import YEAR

SIGMAS = 4.5
NOTHING = fp.Book([1, -1], 1.0, [1e-250, 1e250])
FLAT = fp.Market(1.0, fp.LinearImpact(0.0))
PAST = np.random.default_rng(3).standard_t(4, 50) * 0.01
PROCESSES: dict[str, fp.Process] = {
    "GBM": fp.GBM(0.8, 0.3),
    "JumpDiffusion": fp.JumpDiffusion(0.5, 20_000.0, -0.01, 0.02, 0.1),
    "StudentT": fp.StudentT(0.9, 3.5, -0.2),
    "GARCH": fp.GARCH(1e-6, 0.15, 0.8, 1e-5),
    "Bootstrap": fp.Bootstrap(PAST, 7, 0.001),
    "BrownianBridge": fp.BrownianBridge(0.8, [570.0, 1_260.0], [0.98, 1.01], 1.0),
}
MIRRORED = ("GBM", "JumpDiffusion", "StudentT", "GARCH", "BrownianBridge")


def log_returns(process: fp.Process, steps: int, dt: float = 60.0, **options: Any) -> Any:
    e = fp.simulate(NOTHING, FLAT, process, steps * dt, steps, record="all", **options)
    return np.diff(np.log(e.prices), axis=1)


def assert_mean(sample: Any, mean: float, deviation: float) -> None:
    assert abs(np.mean(sample) - mean) <= SIGMAS * deviation / math.sqrt(np.size(sample))


def kolmogorov_smirnov(sample: Any, distribution: Any) -> None:
    """The distance has a law that does not depend on the distribution: P(sqrt(n) D > 2.51) = 7e-6."""
    x = np.sort(np.ravel(sample))
    p, n = distribution(x), len(x)
    distance = max((np.arange(1, n + 1) / n - p).max(), (p - np.arange(n) / n).max())
    assert math.sqrt(n) * distance < 2.51


# --- the port ---
@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ((0, 0, 0, 0), 0, (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((2**32 - 1,) * 4, 2**64 - 1, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), 0x299F31D0A4093822,
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)  # fmt: skip
def test_known_answers_of_the_port(counter: Any, key: int, expected: Any) -> None:
    assert reference_generators.philox(counter, key) == expected


def test_known_numbers_of_the_generator() -> None:
    """From state 1, 2, 3, 4; as in the documentation of other implementations of xoshiro256++."""
    numbers = reference_generators.Xoshiro([1, 2, 3, 4])
    assert [next(numbers) for _ in range(4)] == [41943041, 58720359, 3588806011781223, 3591011842654386]


@pytest.mark.parametrize("name", PROCESSES)
@pytest.mark.parametrize("steps", [1, 2, 33, 101])
def test_returns_are_those_of_the_port(name: str, steps: int) -> None:
    process = PROCESSES[name]
    for first, seed in ((0, 7), (2**32 - 3, 123)):
        mine = log_returns(process, steps, paths=range(first, first + 11), seed=seed)
        for i, row in enumerate(mine):
            theirs = reference_random.returns(process, seed, first + i, 60.0, steps)
            assert row == pytest.approx(theirs, rel=1e-9, abs=5e-15 * (1 + abs(np.cumsum(theirs)).max()))


@pytest.mark.parametrize("name", MIRRORED)
def test_antithetic_paths_mirror_each_other(name: str) -> None:
    process, steps = PROCESSES[name], 40
    mine = log_returns(process, steps, paths=range(6, 17), seed=5, antithetic=True)
    for i, row in enumerate(mine):
        path = 6 + i
        theirs = reference_random.returns(process, 5, path // 2, 60.0, steps, -1 if path % 2 else 1)
        assert row == pytest.approx(theirs, rel=1e-9, abs=1e-14)


@pytest.mark.parametrize("name", ["GBM", "StudentT", "GARCH"])
def test_mirror_images_add_up_to_twice_the_mean(name: str) -> None:
    rows = log_returns(PROCESSES[name], 40, paths=20, seed=5, antithetic=True)
    process: Any = PROCESSES[name]
    mean = process.drift if name == "GARCH" else (process.drift - process.volatility**2 / 2) * 60 / YEAR
    assert rows[0::2] + rows[1::2] == pytest.approx(np.full((10, 40), 2 * mean), abs=1e-14)


def test_paths_are_all_different() -> None:
    for process in PROCESSES.values():
        finals = np.concatenate([
            log_returns(process, 30, paths=range(first, first + 200), seed=seed).sum(axis=1)
            for first in (0, 2**32, 2**40) for seed in (1, 2)
        ])  # fmt: skip
        assert len(np.unique(finals)) == 1_200


# --- laws ---
def test_moments_of_a_geometric_brownian_motion() -> None:
    volatility, drift, dt = 0.7, 0.4, 3_600.0
    r = log_returns(fp.GBM(volatility, drift), 50, dt, paths=8_000, seed=11)
    s = volatility * math.sqrt(dt / YEAR)
    z = (r - (drift - volatility**2 / 2) * dt / YEAR) / s
    assert_mean(z, 0, 1)
    assert_mean(z**2, 1, math.sqrt(2))
    assert_mean(z**3, 0, math.sqrt(15))
    assert_mean(z**4, 3, math.sqrt(96))
    assert_mean(z[:, 1:] * z[:, :-1], 0, 1)  # steps are independent
    assert_mean(z[:, 2:] * z[:, :-2], 0, 1)
    assert_mean((z[:, 1:] ** 2 - 1) * (z[:, :-1] ** 2 - 1), 0, 2)
    assert_mean(z[1:] * z[:-1], 0, 1)  # so are paths
    kolmogorov_smirnov(z, stats.norm.cdf)


@pytest.mark.parametrize("process", [fp.GBM(0.9, 0.8), fp.JumpDiffusion(0.4, 30.0, -0.05, 0.1, 0.8)])
def test_the_expected_price_grows_with_the_drift(process: Any) -> None:
    years = 0.25
    e = fp.simulate(NOTHING, FLAT, process, years * YEAR, 60, 40_000, seed=4)
    second = (2 * process.drift + process.volatility**2) * years  # ln E[S^2]
    if isinstance(process, fp.JumpDiffusion):
        k = math.exp(process.jump_mean + process.jump_volatility**2 / 2) - 1
        squares = math.exp(2 * process.jump_mean + 2 * process.jump_volatility**2) - 1
        second += process.jump_rate * years * (squares - 2 * k)
    mean = math.exp(process.drift * years)
    assert_mean(e.final_price, mean, math.sqrt(math.exp(second) - mean**2))


def test_jumps_are_poisson() -> None:
    """Jumps of +1 exactly: a step's return, rounded, is their number."""
    dt, rate = 60.0, 1.3
    process = fp.JumpDiffusion(0.0, rate * YEAR / dt, 1.0, 0.0)
    steps = 70
    drift = -rate * (math.e - 1)
    counts = log_returns(process, steps, dt, paths=2_000, seed=9) - drift
    assert counts == pytest.approx(np.round(counts), abs=1e-9)
    n = np.round(counts)
    assert_mean(n, rate, math.sqrt(rate))
    assert_mean((n - rate) ** 2, rate, math.sqrt(rate + 2 * rate**2))
    assert_mean((n[:, 1:] - rate) * (n[:, :-1] - rate), 0, rate)
    for step in (0, 30, 31, 32, 63, 64, 69):  # blocks' edges are like any
        assert_mean(n[:, step], rate, math.sqrt(rate))
    seen = np.bincount(n.astype(int).ravel(), minlength=9)
    expected = stats.poisson.pmf(np.arange(9), rate) * n.size
    pooled = np.append(seen[:8], seen[8:].sum()), np.append(expected[:8], n.size - expected[:8].sum())
    assert ((pooled[0] - pooled[1]) ** 2 / pooled[1]).sum() < stats.chi2.isf(7e-6, 8)


def test_jump_sizes_are_normal() -> None:
    process = fp.JumpDiffusion(0.0, 0.02 * YEAR / 60, -0.5, 0.1)
    r = log_returns(process, 100, paths=4_000, seed=21)
    drift = np.max(np.where(r > -0.01, r, -np.inf))  # most steps have no jump
    sizes = (r - drift)[np.abs(r - drift) > 1e-9]
    single = sizes[sizes > -0.5 - 0.36]  # two jumps are -1 +- 0.14: 1 in 6,000 below -0.86 or above is a mixture
    kolmogorov_smirnov((single + 0.5) / 0.1, stats.norm.cdf)
    assert len(single) == pytest.approx(8_000 * (1 - 0.01), abs=SIGMAS * math.sqrt(8_000) + 80)


@pytest.mark.parametrize("degrees", [2.1, 3.0, 5.5, 1e6])
def test_returns_of_students_t(degrees: float) -> None:
    volatility, dt = 0.8, 900.0
    r = log_returns(fp.StudentT(volatility, degrees, 0.1), 31, dt, paths=3_000, seed=2)
    scale = volatility * math.sqrt(dt / YEAR * (degrees - 2) / degrees)
    t = (r - (0.1 - volatility**2 / 2) * dt / YEAR) / scale
    kolmogorov_smirnov(t, stats.t(degrees).cdf)
    assert_mean(np.sign(t[:, 1:] * t[:, :-1]), 0, 1)


def test_volatility_clusters_as_garch_says() -> None:
    alpha, beta = 0.1, 0.75
    process = fp.GARCH(1e-6, alpha, beta, 2e-4)
    r = log_returns(process, 400, paths=6_000, seed=31) - 2e-4
    stationary = 1e-6 / (1 - alpha - beta)
    # Means over paths, so that each entry is one independent number
    squares = (r**2 / stationary)[:, 200:]
    means = squares.mean(axis=1)
    assert_mean(means, 1, means.std())
    persistence = alpha + beta
    first = alpha * (1 - alpha * beta - beta**2) / (1 - 2 * alpha * beta - beta**2)
    kurtosis = 3 * (1 - persistence**2) / (1 - persistence**2 - 2 * alpha**2)
    fourth = (squares**2).mean(axis=1)
    assert_mean(fourth, kurtosis, fourth.std())
    for lag in (1, 2, 5):
        products = ((squares[:, lag:] - 1) * (squares[:, :-lag] - 1)).mean(axis=1)
        assert_mean(products, (kurtosis - 1) * first * persistence ** (lag - 1), products.std())
    assert_mean((r / np.sqrt(stationary))[:, 0], 0, 1)
    kolmogorov_smirnov(r[:, 0] / math.sqrt(stationary), stats.norm.cdf)


def test_garch_starts_from_the_variance_given() -> None:
    r = log_returns(fp.GARCH(1e-6, 0.3, 0.8, variance=4e-4), 2, paths=20_000, seed=1)
    kolmogorov_smirnov(r[:, 0] / 0.02, stats.norm.cdf)
    kolmogorov_smirnov(r[:, 1] / np.sqrt(1e-6 + 0.3 * r[:, 0] ** 2 + 0.8 * 4e-4), stats.norm.cdf)


@pytest.mark.parametrize("block", [1, 3, 12, 50])
def test_blocks_of_the_bootstrap(block: int) -> None:
    steps, paths, size = 48, 3_000, 50
    r = log_returns(fp.Bootstrap(PAST, block), steps, paths=paths, seed=17)
    order = np.argsort(PAST)
    drawn = order[np.searchsorted((PAST[order][1:] + PAST[order][:-1]) / 2, r)]
    assert r == pytest.approx(PAST[drawn], abs=1e-14)
    for s in range(1, steps):
        if s % block:
            assert (drawn[:, s] == (drawn[:, s - 1] + 1) % size).all()
    starts = drawn[:, ::block]
    for column in (starts, drawn):  # all alike: starts, and so every return
        seen = np.bincount(column[:, 0], minlength=size)
        assert ((seen - paths / size) ** 2 / (paths / size)).sum() < stats.chi2.isf(7e-6, size - 1)
    seen = np.bincount(starts.ravel(), minlength=size)
    assert ((seen - starts.size / size) ** 2 / (starts.size / size)).sum() < stats.chi2.isf(7e-6, size - 1)
    if block < 50:
        following = starts[:, 1] - starts[:, 0]
        assert_mean(np.cos(2 * np.pi * following / size), 0, math.sqrt(0.5))  # blocks are independent


# --- the bridge ---
def reaches(x: Any, mean: float, deviation: float) -> Any:
    """P(the minimum of a Brownian motion is at most -x), given the mean and deviation of its end: reflection."""
    x = np.asarray(x)
    return stats.norm.cdf((-x - mean) / deviation) + np.exp(-2 * mean * x / deviation**2) * stats.norm.cdf(
        (-x + mean) / deviation
    )


@pytest.mark.parametrize("steps", [1, 2, 10, 70])
@pytest.mark.parametrize(
    "drift", [0.18, 0.18 + 1.5, 0.18 - 2.0]
)  # 0.18 = volatility^2/2 leaves the log price driftless
@pytest.mark.parametrize("side", [1, -1])
def test_the_extreme_within_steps_has_its_exact_law(steps: int, drift: float, side: int) -> None:
    volatility, years = 0.6, 0.5
    book = fp.Book(side, 1.0, [1e-200 if side > 0 else 1e200])
    e = fp.simulate(book, FLAT, fp.GBM(volatility, drift), years * YEAR, steps, 20_000, seed=12, monitoring="bridge")
    reach = -np.log(e.low_price) if side > 0 else np.log(e.high_price)
    mean, deviation = side * (drift - volatility**2 / 2) * years, volatility * math.sqrt(years)
    assert (reach > 0).all()
    kolmogorov_smirnov(reach, lambda x: 1 - reaches(x, mean, deviation))
    stepwise = fp.simulate(book, FLAT, fp.GBM(volatility, drift), years * YEAR, steps, 20_000, seed=12)
    assert (stepwise.final_price == e.final_price).all()
    assert (e.low_price <= stepwise.low_price).all()


@pytest.mark.parametrize("steps", [1, 2, 10])
@pytest.mark.parametrize("side", [1, -1])
def test_a_watched_position_is_closed_as_often_as_the_law_says(steps: int, side: int) -> None:
    volatility, drift, years, paths = 0.9, 0.3, 30 / 365, 100_000
    distance = np.array([0.05, 0.2, 0.4])
    deviation, mean = volatility * math.sqrt(years), (drift - volatility**2 / 2) * years
    exact = reaches(distance, side * mean, deviation)
    arguments = (
        fp.Book(side, 1.0, np.exp(-side * distance)),
        FLAT,
        fp.GBM(volatility, drift),
        years * YEAR,
        steps,
        paths,
    )
    e = fp.simulate(*arguments, seed=6, monitoring="bridge", watch=[0, 1, 2])
    assert np.abs(e.watch_probability - exact).max() <= SIGMAS * np.sqrt(exact * (1 - exact) / paths).max()
    # Steps alone miss what happens within them. One step sees its end only: P(x <= -a) = Phi.
    seen = fp.simulate(*arguments, seed=6, watch=[0, 1, 2]).watch_probability
    assert (seen < exact - SIGMAS * np.sqrt(exact * (1 - exact) / paths)).all()
    if steps == 1:
        end = stats.norm.cdf((-distance - side * mean) / deviation)
        assert np.abs(seen - end).max() <= SIGMAS * np.sqrt(end * (1 - end) / paths).max()


def test_many_steps_come_near_the_bridge() -> None:
    """Broadie, Glasserman and Kou (1997): n steps see the barrier exp(0.5826 sigma sqrt(dt)) farther away."""
    volatility, years, steps, paths, a = 0.8, 0.1, 250, 40_000, 0.2
    deviation, mean = volatility * math.sqrt(years), -(volatility**2) / 2 * years
    book = fp.Book(1, 1.0, [math.exp(-a)])
    seen = fp.simulate(book, FLAT, fp.GBM(volatility), years * YEAR, steps, paths, seed=3, watch=[0]).watch_probability[
        0
    ]
    shifted = float(reaches(a + 0.5826 * deviation / math.sqrt(steps), mean, deviation))
    assert abs(seen - shifted) <= SIGMAS * math.sqrt(shifted * (1 - shifted) / paths) + 1e-4
    exact = float(reaches(a, mean, deviation))
    assert seen < exact - SIGMAS * math.sqrt(exact * (1 - exact) / paths)


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("half_life", [math.inf, 3_000.0])
@pytest.mark.parametrize("scripted", [False, True])
def test_cascades_at_the_extreme(side: int, half_life: float, scripted: bool) -> None:
    """Every step against the slow reference, given the same uniform numbers."""
    rng = np.random.default_rng(4)
    distance = np.sort(rng.exponential(0.08, 12)) + 0.01
    quantity = rng.lognormal(0, 1, 12)
    book = reference.Positions([side] * 12, quantity.tolist(), np.exp(-side * distance).tolist(),
                               np.exp(-side * 1.2 * distance).tolist())  # fmt: skip
    steps, dt, volatility = 37, 600.0, 5.0
    venue = reference.Venue(1.0, reference.square_root(0.02, 10.0), permanent=1e-4, half_life=half_life, spread=0.001)
    market = fp.Market(1.0, fp.SquareRootImpact(0.02, 10.0), half_life=half_life, permanent=1e-4, spread=0.001)
    moves = (0.1 * rng.standard_normal(steps) * (rng.random(steps) < 0.2)).tolist() if scripted else None
    sales = (rng.standard_normal(steps) * (rng.random(steps) < 0.2)).tolist() if scripted else None
    script = fp.Script(dt * np.arange(1, steps + 1), sell=sales, move=moves) if scripted else None
    process = fp.GBM(volatility)
    e = fp.simulate(
        fp.Book(book.side, book.quantity, book.trigger, book.bankruptcy), market, process, steps * dt, steps, 30, 8,
        "bridge", record="all", script=script,
    )  # fmt: skip
    compared = 0
    for path in range(30):
        returns = reference_random.returns(process, 8, path, dt, steps)
        uniforms = [reference_random.extreme(8, path, step) for step in range(1, steps + 1)]
        bridge = (volatility * math.sqrt(dt / YEAR), uniforms, side)
        expected = reference_paths.run(book, venue, returns, dt, moves=moves, sales=sales, bridge=bridge)
        if expected.doubtful:
            continue
        compared += 1
        assert e.prices[path] == pytest.approx(expected.prices, rel=1e-9)
        for name in ("final_price", "low_price", "high_price"):
            assert getattr(e, name)[path] == pytest.approx(getattr(expected, name), rel=1e-9)
        for name in ("proceeds", "shortfall", "surplus"):
            assert getattr(e, name)[path] == pytest.approx(getattr(expected, name), rel=0, abs=1e-9 * expected.gross)
        assert e.liquidated_count[path] == sum(expected.closed)
        waves = e.replay(path).waves
        assert waves["step"].tolist() == [w[0] for w in expected.waves]
        assert waves["count"].tolist() == [w[3] for w in expected.waves]
    assert compared >= 25
    assert e.waves.max() >= 3
    assert e.waves.sum() > 30


@pytest.mark.parametrize("name", ["low", "high"])
def test_scripted_moves_come_after_the_bridge(name: str) -> None:
    """A move away at a step's end hides nothing that happened before it."""
    volatility, years, paths = 0.8, 0.1, 20_000
    side = 1 if name == "low" else -1
    book = fp.Book(side, 1.0, [1e-200 if side > 0 else 1e200])
    script = fp.Script(years * YEAR, move=side * 2.0)
    arguments: Any = (book, FLAT, fp.GBM(volatility), years * YEAR, 4, paths, 3, "bridge")
    a, b = fp.simulate(*arguments), fp.simulate(*arguments, script=script)
    assert getattr(b, f"{name}_price") == pytest.approx(getattr(a, f"{name}_price"), rel=1e-13)
    assert np.log(b.final_price) == pytest.approx(np.log(a.final_price) + side * 2.0)


def test_bridges_of_antithetic_paths_have_the_law() -> None:
    volatility, years = 0.6, 0.5
    book = fp.Book(1, 1.0, [1e-200])
    e = fp.simulate(
        book, FLAT, fp.GBM(volatility, volatility**2 / 2), years * YEAR, 3, 40_000, 1, "bridge", antithetic=True
    )
    for rows in (slice(0, None, 2), slice(1, None, 2)):
        kolmogorov_smirnov(-np.log(e.low_price[rows]), lambda x: 1 - reaches(x, 0.0, volatility * math.sqrt(years)))
