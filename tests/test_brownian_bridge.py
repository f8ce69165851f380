"""Brownian bridges through given prices: what is hit, the law in between, and what is refused.

That steps are those of a slow port, the same for any threads, shards and instruction set, is tested with the other
processes. Seeds are fixed. Each statistic must stay within 4.5 standard deviations of its exact mean, which chance
alone breaks for 7 seeds in a million.
"""

from __future__ import annotations

import copy
import math
import pickle
from typing import Any

import numpy as np
import pytest

import flushpoint as fp

YEAR = 365 * 86_400.0
SIGMAS = 4.5
NOTHING = fp.Book([1, -1], 1.0, [1e-250, 1e250])
FLAT = fp.Market(100.0, fp.LinearImpact(0.0))
HOUR = 3_600.0


def log_prices(process: fp.Process, steps: int, dt: float = HOUR, **options: Any) -> Any:
    """The exogenous ones, relative to the start, at the end of each step."""
    e = fp.simulate(NOTHING, FLAT, process, steps * dt, steps, record="all", **options)
    return np.log(e.prices[:, 1:] / 100.0)


def assert_mean(sample: Any, mean: float, deviation: float) -> None:
    assert abs(np.mean(sample) - mean) <= SIGMAS * deviation / math.sqrt(np.size(sample))


# --- by hand ---
def test_a_step_by_hand() -> None:
    """Three steps to 90, then one to 99: lines of logs, steps left, and what a step is afterwards."""
    kind, rest, course = fp.BrownianBridge(0.5, [2.5 * HOUR, 4 * HOUR], [90.0, 99.0], 100.0)._engine(HOUR)
    assert kind == 6
    assert rest.tolist() == pytest.approx([0.5 * math.sqrt(HOUR / YEAR), -0.125 * HOUR / YEAR], rel=1e-15)
    assert course is not None
    assert course[0] == pytest.approx([math.log(0.9) / 3] * 3 + [math.log(1.1)], rel=1e-14)
    assert course[1].tolist() == [3, 2, 1, 1]


def test_without_volatility_it_is_the_line() -> None:
    bridge = fp.BrownianBridge(0.0, [4 * HOUR, 6 * HOUR], [80.0, 120.0], 100.0)
    expected = [0.8**0.25, 0.8**0.5, 0.8**0.75, 0.8, math.sqrt(0.8 * 1.2), 1.2, 1.2, 1.2]
    assert np.exp(log_prices(bridge, 8, paths=3, seed=1)) == pytest.approx(np.tile(expected, (3, 1)), rel=1e-13)


# --- exact hits ---
@pytest.mark.parametrize("antithetic", [False, True])
def test_given_prices_are_hit_at_the_end_of_the_step_they_fall_into(antithetic: bool) -> None:
    time = np.array([1.0, 36.2, 64.0, 65.0, 100.7]) * HOUR
    price = np.array([101.0, 50.0, 75.0, 300.0, 99.0])
    bridge = fp.BrownianBridge(1.5, time, price, 100.0)
    found = np.exp(log_prices(bridge, 120, paths=40, seed=3, antithetic=antithetic)) * 100
    at = np.array([1, 37, 64, 65, 101]) - 1
    assert found[:, at] == pytest.approx(np.tile(price, (40, 1)), rel=1e-13)
    assert len(np.unique(found[:, 40])) == 40


def test_one_step_to_each_price() -> None:
    bridge = fp.BrownianBridge(3.0, HOUR * np.arange(1, 9), 100 + np.arange(8.0), 100.0)
    assert np.exp(log_prices(bridge, 8, paths=5, seed=1)) * 100 == pytest.approx(np.tile(100 + np.arange(8.0), (5, 1)))


def test_prices_beyond_the_horizon_tell_the_way() -> None:
    """A shorter run is the longer one's beginning, bit for bit."""
    bridge = fp.BrownianBridge(0.9, [50 * HOUR, 90 * HOUR], [60.0, 80.0], 100.0)
    whole = log_prices(bridge, 100, paths=20, seed=5)
    for steps in (1, 31, 49, 50, 77):
        assert log_prices(bridge, steps, paths=20, seed=5).tobytes() == whole[:, :steps].tobytes()


def test_only_ratios_of_prices_count() -> None:
    a = log_prices(fp.BrownianBridge(0.9, [50 * HOUR], [64.0], 128.0), 60, paths=20, seed=5)
    b = log_prices(fp.BrownianBridge(0.9, [50 * HOUR], [0.5], 1.0), 60, paths=20, seed=5)
    np.testing.assert_allclose(a, b, atol=1e-14)


# --- the law ---
def test_mean_and_covariance_between_given_prices() -> None:
    """Of a bridge of N steps: mean k/N of the way, cov(k, m) = volatility^2 dt k (N - m) / N for k <= m."""
    n, paths, volatility = 40, 40_000, 0.8
    bridge = fp.BrownianBridge(volatility, [7 * HOUR, (7 + n) * HOUR], [110.0, 70.0], 100.0)
    x = log_prices(bridge, 7 + n + 12, paths=paths, seed=9)
    step = volatility**2 * HOUR / YEAR
    noise = x[:, 7:] - math.log(1.1)
    for k in (1, 2, 13, 20, 39):
        variance = step * k * (n - k) / n
        line = math.log(70 / 110) * k / n
        assert_mean(noise[:, k - 1], line, math.sqrt(variance))
        assert_mean((noise[:, k - 1] - line) ** 2, variance, math.sqrt(2) * variance)
        for m in (25, 38):
            if k < m:
                far, covariance = step * m * (n - m) / n, step * k * (n - m) / n
                product = (noise[:, k - 1] - line) * (noise[:, m - 1] - math.log(70 / 110) * m / n)
                assert_mean(product, covariance, math.sqrt(variance * far + covariance**2))
    # Two bridges are independent, and so is what comes after the last price: that is a GBM without drift.
    first = x[:, 2] - math.log(1.1) * 3 / 7
    middle = noise[:, 19] - math.log(70 / 110) / 2
    after = x[:, -1] - x[:, 6 + n]
    deviations = [math.sqrt(step * v) for v in (3 * 4 / 7, n / 4, 12)]
    assert_mean(after, -6 * step, deviations[2])
    assert_mean((after + 6 * step) ** 2, 12 * step, math.sqrt(2) * 12 * step)
    assert_mean(first * middle, 0, deviations[0] * deviations[1])
    assert_mean(middle * (after + 6 * step), 0, deviations[1] * deviations[2])


def test_mirror_images_mirror_the_line() -> None:
    bridge = fp.BrownianBridge(0.8, [20 * HOUR, 33 * HOUR], [90.0, 95.0], 100.0)
    x = log_prices(bridge, 40, paths=30, seed=2, antithetic=True)
    line = np.interp(np.arange(1, 34), [0, 20, 33], [0.0, math.log(0.9), math.log(0.95)])
    rest = math.log(0.95) - 0.32 * HOUR / YEAR * np.arange(1, 8)
    expected = np.concatenate([line, rest])
    np.testing.assert_allclose((x[0::2] + x[1::2]) / 2, np.tile(expected, (15, 1)), atol=1e-14)
    assert np.abs(x[0] - x[1]).max() > 1e-3


# --- in use ---
def test_forced_sales_come_on_top() -> None:
    """The bridge is of the exogenous price; the market's own is lower by what is sold."""
    market = fp.Market(100.0, fp.LinearImpact(0.01))
    bridge = fp.BrownianBridge(0.5, [10 * HOUR], [80.0], 100.0)
    e = fp.simulate(fp.Book(1, 3.0, [95.0]), market, bridge, 10 * HOUR, 10, 50, 1)
    assert (e.long_count == 1).all()
    assert e.final_price == pytest.approx(np.full(50, 80 * math.exp(-0.03)), rel=1e-13)


def test_as_the_factor_of_several_markets() -> None:
    markets = fp.Markets({"A": FLAT, "B": fp.Market(10.0, fp.LinearImpact(0.0))})
    accounts = fp.Accounts([0, 0], ["A", "B"], [1.0, 1.0], [100.0, 10.0], [1e9], fp.MarginSchedule.flat(0.01))
    factor = fp.BrownianBridge(5.0, [30 * HOUR], [0.8], 1.0)
    model = fp.FactorModel.betas(factor, {"A": 1.0, "B": 1.5})
    e = fp.simulate(accounts, markets, model, 30 * HOUR, 30, 40, 1)
    np.testing.assert_allclose(e.final_price, np.tile([80.0, 10 * 0.8**1.5], (40, 1)), rtol=1e-13)
    assert len(np.unique(e.low_price[:, 1])) > 35
    # Two of one law draw their own.
    twins = fp.FactorModel([factor, factor], np.eye(2), names=["A", "B"])
    half = fp.simulate(accounts, markets, twins, 15 * HOUR, 15, 40, 1, antithetic=True)
    a, b = np.log(half.final_price / [100.0, 10.0]).T
    assert abs(np.corrcoef(a[::2], b[::2])[0, 1]) < 0.7
    np.testing.assert_allclose(a[::2] + a[1::2], math.log(0.8), atol=1e-13)


def test_it_pickles_copies_and_stays_as_it_is() -> None:
    time, price = np.array([60.0, 120.0]), np.array([90.0, 95.0])
    bridge = fp.BrownianBridge(0.5, time, price, 100.0)
    time[0] = price[0] = 77.0
    for other in (bridge, pickle.loads(pickle.dumps(bridge)), copy.deepcopy(bridge)):
        assert other.time.tolist() == [60.0, 120.0]
        assert other.price.tolist() == [90.0, 95.0]
        assert not other.time.flags.writeable
        assert not other.price.flags.writeable
    with pytest.raises(AttributeError):
        bridge.start = 1.0  # type: ignore[misc]
    assert repr(bridge) == "BrownianBridge(0.5, <2 times and prices>, start=100.0)"
    assert str(bridge) == "Brownian bridge: volatility 50% a year, from 100 by 90 to 95"


# --- bad input ---
BAD: list[tuple[tuple[Any, ...], type[Exception], str]] = [
    ((-0.1, [1.0], [1.0], 1.0), ValueError, r"^volatility must be at least 0, was -0\.1$"),
    ((math.nan, [1.0], [1.0], 1.0), ValueError, r"^volatility must be finite, was nan$"),
    (("1", [1.0], [1.0], 1.0), TypeError, r"^volatility must be a real number, was '1'$"),
    ((0.5, [1.0], [1.0], 0.0), ValueError, r"^start must be positive, was 0\.0$"),
    ((0.5, [1.0], [1.0], math.inf), ValueError, r"^start must be finite, was inf$"),
    ((0.5, [1.0], [0.0], 1.0), ValueError, r"^price must be positive, was 0\.0 at index 0$"),
    ((0.5, [1.0, 2.0], [1.0, -3.0], 1.0), ValueError, r"^price must be positive, was -3\.0 at index 1$"),
    ((0.5, [1.0], [math.nan], 1.0), ValueError, r"^price must be finite, was nan at index 0$"),
    ((0.5, [1.0], [math.inf], 1.0), ValueError, r"^price must be finite, was inf at index 0$"),
    ((0.5, [0.0], [1.0], 1.0), ValueError, r"^time must be positive, was 0\.0 at index 0$"),
    ((0.5, [math.inf], [1.0], 1.0), ValueError, r"^time must be finite, was inf at index 0$"),
    ((0.5, [2.0, 1.0], [1.0, 1.0], 1.0), ValueError, r"^time must be rising, was 1\.0 at index 1$"),
    ((0.5, [2.0, 2.0], [1.0, 1.0], 1.0), ValueError, r"^time must be rising, was 2\.0 at index 1$"),
    ((0.5, [1.0, 2.0], [1.0], 1.0), ValueError, r"^price must have an entry for each time, .* length 1 for 2$"),
    ((0.5, [], [], 1.0), ValueError, r"^price must have an entry for each time, at least one, .* length 0 for 0$"),
    ((0.5, [[1.0, 2.0]], [[1.0, 2.0]], 1.0), ValueError, r"^time must have one dimension, was of shape \(1, 2\)$"),
    ((0.5, ["a"], [1.0], 1.0), TypeError, r"^time must be real numbers, was dtype <U1$"),
]


@pytest.mark.parametrize(("arguments", "kind", "message"), BAD)
def test_bad_input(arguments: tuple[Any, ...], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        fp.BrownianBridge(*arguments)


@pytest.mark.parametrize(
    ("bridge", "options", "message"),
    [
        (([70.0, 100.0], [1.0, 2.0]), {}, r"time must be at least a step, 60 s, after the one before, was 100\.0 at"),
        (([10.0, 50.0], [1.0, 2.0]), {}, r"time must be at least a step, 60 s, after the one before, was 50\.0 at in"),
        (([1e300], [2.0]), {}, r"steps until the last time must fit in memory, was .* of \d+ bytes"),
        (([60.0], [2.0]), {"monitoring": "bridge"}, r"'bridge' with a BrownianBridge"),
    ],
)
def test_a_run_that_does_not_suit_it(bridge: Any, options: Any, message: str) -> None:
    book = fp.Book(1, 1.0, [50.0])
    with pytest.raises(ValueError, match=message):
        fp.simulate(book, FLAT, fp.BrownianBridge(0.5, *bridge, start=1.0), 600.0, 10, 5, 1, **options)


def test_a_volatility_beyond_all_numbers() -> None:
    with pytest.raises(ValueError, match=r"^parameters of a step must be finite, was "):
        fp.BrownianBridge(1e200, [60.0], [1.0], 1.0)._engine(60.0)
