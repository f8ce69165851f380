"""The hidden book: what it must conserve, what it must not see, and how well it predicts."""

import csv
import gzip
import time
from pathlib import Path

import numpy as np
import pytest

import flushpoint as fp

HOURLY = Path(__file__).parents[2] / "shared/data/btc_hourly_price_liquidations_oi_2025-12_2026-02.csv.gz"
NAMES = ("open", "high", "low", "close", "open_interest")


def walk(rows, seed=1, volatility=0.006, open_interest=1e9):
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(volatility * rng.standard_normal(rows)))
    opened = np.concatenate([[100.0], close[:-1]])
    spread = volatility * rng.random((2, rows))
    return {
        "open": opened,
        "high": np.maximum(opened, close) * (1 + spread[0]),
        "low": np.minimum(opened, close) * (1 - spread[1]),
        "close": close,
        "open_interest": open_interest * np.exp(np.cumsum(0.01 * rng.standard_normal(rows))),
    }


def first(history, rows):
    return {name: values[:rows] for name, values in history.items()}


def test_a_forecast_sees_nothing_later():
    history = walk(200)
    whole = fp.predict_liquidations(history)
    for rows in (1, 2, 57, 199):
        part = fp.predict_liquidations(first(history, rows))
        for name in whole:
            np.testing.assert_array_equal(part[name], whole[name][:rows])
    # nor the row's own open interest
    for row in (1, 90, 199):
        other = {**history, "open_interest": history["open_interest"].copy()}
        other["open_interest"][row] *= 3
        changed = fp.predict_liquidations(other)
        for name in whole:
            np.testing.assert_array_equal(changed[name][: row + 1], whole[name][: row + 1])
            assert row == 199 or (changed[name][row + 1 :] != whole[name][row + 1 :]).any()


def test_the_book_is_worth_the_open_interest_or_less_what_was_liquidated():
    quiet = walk(100, volatility=1e-4)
    book = fp.Book.from_open_interest(quiet)
    last = quiet["close"][-1]
    for one in (book.long, book.short):
        assert one.cumulative_quantity[-1] * last == pytest.approx(quiet["open_interest"][-1], rel=0.02)
    wild = walk(100, volatility=0.02)
    for one in (fp.Book.from_open_interest(wild)).long, (fp.Book.from_open_interest(wild)).short:
        assert one.cumulative_quantity[-1] * wild["close"][-1] < 1.001 * wild["open_interest"][-1]


def test_no_position_is_crossed_at_the_last_price():
    history = walk(300, volatility=0.02)
    book = fp.Book.from_open_interest(history)
    assert len(book.alive(history["close"][-1])) == len(book)
    assert (book.side * (book.entry_price - book.trigger_price) > 0).all()
    assert (book.side * (book.trigger_price - book.bankruptcy_price) > 0).all()
    fp.response(book, fp.Market(history["close"][-1], fp.LinearImpact(1e-9)))


def test_money_scales():
    history = walk(80)
    times = {name: values * (7.0 if name == "open_interest" else 1.0) for name, values in history.items()}
    one, seven = fp.predict_liquidations(history), fp.predict_liquidations(times)
    for name in one:
        np.testing.assert_allclose(seven[name], 7 * one[name], rtol=1e-9)


def test_a_flat_price_liquidates_nothing():
    flat = dict.fromkeys(("open", "high", "low", "close"), np.full(20, 100.0)) | {"open_interest": np.full(20, 1e6)}
    forecast = fp.predict_liquidations(flat)
    assert forecast.long_notional.sum() == forecast.short_notional.sum() == 0


def test_one_class_by_hand():
    """One leverage, one row to open, one to fall through everything: all that did not close by itself is liquidated."""
    history = {
        "open": np.array([100.0, 100.0]),
        "high": np.array([100.0, 100.0]),
        "low": np.array([100.0, 70.0]),
        "close": np.array([100.0, 70.0]),
        "open_interest": np.array([1e6, 1e6]),
    }
    mix = fp.LeverageMix([10.0], [1.0])
    forecast = fp.predict_liquidations(history, mix, turnover=1e-9)
    trigger = 90 / 0.995
    assert forecast.long_notional == pytest.approx([0, 1e6 / 100 * trigger], rel=1e-3)
    assert forecast.short_notional == pytest.approx([0, 0], abs=1.0)


def hourly():
    if not HOURLY.exists():
        pytest.skip(f"needs {HOURLY.name}, which is not part of the repository")
    with gzip.open(HOURLY, "rt") as file:
        rows = list(csv.DictReader(file))
    columns = ("price_open", "price_high", "price_low", "price_close", "oi_close")
    history = {name: np.array([float(r[c]) for r in rows]) for name, c in zip(NAMES, columns, strict=True)}
    measured = [np.array([float(r[f"liquidation_{side}_usd"]) for r in rows]) for side in ("long", "short")]
    return history, measured, np.array([r["datetime_utc"] for r in rows])


def ranks(values):
    return np.argsort(np.argsort(values, kind="stable"))


def test_the_measured_liquidations():
    history, (longs, shorts), when = hourly()
    forecast = fp.predict_liquidations(history)
    later = slice(500, None)
    event = (when >= "2026-02-04") & (when < "2026-02-07")

    def correlation(a, b):
        return np.corrcoef(a, b)[0, 1]

    assert correlation(forecast.long_notional[event], longs[event]) >= 0.98
    assert correlation(forecast.long_notional[later], longs[later]) >= 0.97
    assert correlation(forecast.short_notional[later], shorts[later]) >= 0.89
    assert correlation(ranks(forecast.long_notional[later]), ranks(longs[later])) >= 0.87
    assert correlation(ranks(forecast.short_notional[later]), ranks(shorts[later])) >= 0.87


def test_two_thousand_hours_in_under_a_second():
    history = walk(2_000)
    best = min(timed(lambda: fp.predict_liquidations(history)) for _ in range(3))
    assert best < 1.0


def timed(call):
    start = time.process_time()
    call()
    return time.process_time() - start


BAD = [
    ({"history": {}}, "history must have a column 'open'"),
    ({"history": walk(3) | {"low": np.array([1.0, 2.0])}}, "low must have the length of open, 3, was 2"),
    ({"history": walk(3) | {"low": np.full(3, 1e4)}}, "open must be at least low, was 100.0 at index 0"),
    ({"history": walk(3) | {"close": np.full(3, np.nan)}}, "close must be finite, was nan at index 0"),
    ({"history": walk(3) | {"open_interest": np.zeros(3)}}, "open_interest must be positive, was 0.0 at index 0"),
    ({"turnover": 0}, "turnover must be positive, was 0"),
    ({"activity": -1}, "activity must be at least 0, was -1"),
    ({"period": 0}, "period must be positive, was 0"),
    ({"maintenance_rate": 1}, "maintenance_rate must be below 1, was 1"),
]


@pytest.mark.parametrize(("change", "message"), BAD)
def test_bad_input(change, message):
    with pytest.raises(ValueError, match="^" + message):
        fp.predict_liquidations(**{"history": walk(3), **change})


def test_a_mix_is_a_leverage_mix():
    with pytest.raises(TypeError, match=r"^leverage_mix must be a LeverageMix, was list"):
        fp.predict_liquidations(walk(3), [3, 4])


def test_the_period_is_the_historys_own():
    history = walk(50)
    time = np.datetime64("2026-01-01", "s") + 900 * np.arange(50)
    read = fp.io.read_history({**history, "time": time})
    assert read.period == 900
    assert fp.predict_liquidations(read) == fp.predict_liquidations(history, period=900)
    assert fp.predict_liquidations(read, period=3_600) == fp.predict_liquidations(history)
    assert len(fp.Book.from_open_interest(read)) > 0
