"""Liquidation prices of many positions under a tiered schedule; and the liquidations of 2,000 hours (no rival)."""

import numpy as np
import pytest

import flushpoint as fp
from flushpoint.bench import numpy_rivals
from harness import at_least, at_most, milliseconds, need_processors

PRICES_GOAL = {1: at_least(5.0, "x"), 2: at_least(5.0, "x")}  # by threads, against one of numpy
FORECAST_GOAL = at_most(1.0, " s")

FLOOR = np.array([0, 50e3, 250e3, 1e6, 10e6, 20e6, 50e6, 100e6, 200e6, 300e6])
RATE = np.array([0.004, 0.005, 0.01, 0.025, 0.05, 0.1, 0.125, 0.15, 0.25, 0.5])


@pytest.fixture(scope="module")
def positions(full):
    """Side, quantity, entry price and margin of longs and shorts, of which every tier has some."""
    size = 10_000_000 if full else 100_000
    rng = np.random.default_rng(1)
    side = rng.choice(np.array([1, -1], np.int8), size)
    quantity, entry = rng.lognormal(0, 3, size), rng.uniform(50e3, 120e3, size)
    return side, quantity, entry, quantity * entry / rng.choice([2.0, 5.0, 10.0, 20.0, 50.0], size)


@pytest.mark.parametrize("threads", [1, 2], ids="{}thread".format)
def test_liquidation_prices(judge, positions, threads, monkeypatch):
    need_processors(threads)
    monkeypatch.setenv("FLUSHPOINT_NUM_THREADS", str(threads))
    schedule = fp.MarginSchedule(FLOOR, RATE)
    race = judge.race(
        lambda: fp.liquidation_price(*positions, schedule),
        lambda: numpy_rivals.liquidation_prices(*positions, RATE, schedule.deduction),
        rounds=10,
    )
    prices = fp.liquidation_price(*positions, schedule)
    np.testing.assert_allclose(
        prices, numpy_rivals.liquidation_prices(*positions, RATE, schedule.deduction), rtol=1e-12
    )
    tiers = np.searchsorted(FLOOR, positions[1] * prices)
    assert np.unique(tiers).size == FLOOR.size
    judge.report(
        f"{prices.size:,} liquidation prices, {FLOOR.size} tiers, {threads} thread{'s' * (threads > 1)}",
        "against the extreme of the tiers' prices, in blocks (numpy, 1 thread)",
        race.speedup,
        PRICES_GOAL[threads],
        f"{milliseconds(race.ours)} against {milliseconds(race.rival)}",
    )


def test_forecasts(judge, full):
    rows = 2_000 if full else 100
    rng = np.random.default_rng(1)
    close = 100 * np.exp(np.cumsum(0.006 * rng.standard_normal(rows)))
    opened = np.concatenate([[100.0], close[:-1]])
    history = {
        "open": opened,
        "high": np.maximum(opened, close) * (1 + 0.006 * rng.random(rows)),
        "low": np.minimum(opened, close) * (1 - 0.006 * rng.random(rows)),
        "close": close,
        "open_interest": 1e9 * np.exp(np.cumsum(0.01 * rng.standard_normal(rows))),
    }
    seconds = judge.seconds(lambda: fp.predict_liquidations(history), rounds=5)
    forecast = fp.predict_liquidations(history)
    assert min(forecast.long_notional.sum(), forecast.short_notional.sum()) > 0
    judge.report(f"liquidations of {rows:,} hours", "the book inferred, every hour predicted", seconds, FORECAST_GOAL)
