"""The hidden book against its rules written slowly, and what each row must conserve."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import flushpoint as fp
import reference_hidden as reference
from flushpoint import _core


def engine(case: reference.Case):
    """By side, the notional liquidated in each row, and the book by class; its first cell; by side, all classes."""
    columns = [np.array([getattr(r, name) for r in case.rows]) for name in reference.Row.__dataclass_fields__]
    return _core.infer_book(
        tuple(columns), case.hours, np.array(case.share), *(np.array(d) for d in case.distance), case.turnover,
        case.activity, case.body, case.cell, case.steps, np.array([len(case.rows) - 1]),
    )  # fmt: skip


def dense(book: list[dict[int, float]], first: int, cells: int) -> np.ndarray:
    out = np.zeros((len(book), cells))
    for k, ladder in enumerate(book):
        for i, amount in ladder.items():
            out[k, i - first] = amount
    return out


def compare(case: reference.Case) -> reference.Outcome:
    mine = reference.run(case)
    assume(not mine.doubtful)
    liquidated, quantity, first, seen = engine(case)
    tolerance = 1e-9 + 2 * mine.left_out  # twice: rule 4 may pass on to one cell what others were left
    # Where in its cell a trigger stands is known to 1e-11 of a cell: cells are counted from a price of 1.
    most = 1e-10 * max(r.open_interest / r.close for r in case.rows)
    for side in (0, 1):
        np.testing.assert_allclose(
            liquidated[side], mine.liquidated[side], rtol=tolerance, atol=most * max(r.high for r in case.rows)
        )
        expected = dense(mine.quantity[side], first, quantity[side].shape[1])
        np.testing.assert_allclose(quantity[side], expected, rtol=tolerance, atol=most)
        np.testing.assert_allclose(seen[side][0], quantity[side].sum(axis=0), rtol=1e-12)
    return mine


@settings(max_examples=300)
@given(reference.cases())
def test_the_engine_follows_the_rules(case: reference.Case) -> None:
    compare(case)


@given(reference.cases())
def test_nothing_is_lost(case: reference.Case) -> None:
    """Of each side and class in each row: what was there, less what was liquidated or closed, and what opened."""
    scale = max(r.open_interest / r.close for r in case.rows)
    for flow in reference.run(case).flows:
        assert min(flow.liquidated, flow.closed, flow.opened, flow.after) >= 0
        total = flow.before - flow.liquidated - flow.closed + flow.opened
        assert total == pytest.approx(flow.after, rel=0, abs=1e-11 * (scale + flow.opened))
        assert flow.crossed <= flow.before * (1 + 1e-12)


@given(reference.cases(), st.floats(-0.3, 0.3), st.floats(0, 0.1), st.floats(0, 0.1))
def test_the_engine_loses_nothing(case: reference.Case, move: float, up: float, down: float) -> None:
    """Without turnover, and with the same quantity held: what is gone was crossed, and paid for at its trigger."""
    last = case.rows[-1]
    close = last.close * math.exp(move)
    high, low = max(last.close, close) * math.exp(up), min(last.close, close) * math.exp(-down)
    held = last.open_interest / last.close
    rows = [*case.rows, reference.Row(last.close, high, low, close, held * close * (1 + 1e-12))]
    still = {**vars(case), "turnover": 1e-300}
    _, before, first_before, _ = engine(reference.Case(**still | {"rows": case.rows}))
    liquidated, after, first, _ = engine(reference.Case(**still | {"rows": rows}))
    offset = first_before - first
    assert offset >= 0  # the grid grows with the range of prices
    for side, sign, extreme in ((0, 1, low), (1, -1, high)):
        old = np.zeros_like(after[side])
        old[:, offset : offset + before[side].shape[1]] = before[side]
        trigger = (first + np.arange(old.shape[1])) * case.cell
        away = sign * (math.log(extreme) - trigger)
        assume((abs(away) > 1e-9).all())
        crossed = away < 0
        gone = old - after[side]
        assert (after[side][:, crossed] < 1e-250).all()
        np.testing.assert_allclose(gone[:, ~crossed], 0, atol=1e-11 * held)
        paid = (gone * np.exp(trigger)).sum()
        assert liquidated[side][-1] == pytest.approx(paid, rel=1e-9, abs=1e-10 * held * high)


def walk(rows: int, volatility: float) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    close = 100 * np.exp(np.cumsum(volatility * rng.standard_normal(rows)))
    opened = np.concatenate([[100.0], close[:-1]])
    return {
        "open": opened,
        "high": np.maximum(opened, close) * (1 + volatility * rng.random(rows)),
        "low": np.minimum(opened, close) * (1 - volatility * rng.random(rows)),
        "close": close,
        "open_interest": 1e9 * np.exp(np.cumsum(0.02 * rng.standard_normal(rows))),
    }


@pytest.mark.parametrize("leverage", [[10.0], [1.0, 3.0, 40.0], np.geomspace(2, 125, 8)])
def test_forecasts_follow_the_rules(leverage: list[float]) -> None:
    """The public function, whose classes are leverages: at one times leverage no long is ever liquidated."""
    history = walk(60, 0.03)
    mix = fp.LeverageMix(leverage, np.ones(len(leverage)))
    forecast = fp.predict_liquidations(history, mix, maintenance_rate=0.004)
    distances = [[], []]
    for held in leverage:
        never = held == 1
        distances[0].append(math.inf if never else -math.log((1 - 1 / held) / (1 - 0.004)))
        distances[1].append(math.log((1 + 1 / held) / (1 + 0.004)))
    rows = [reference.Row(*values) for values in zip(*history.values(), strict=True)]
    case = reference.Case(
        rows, 1.0, [1 / len(leverage)] * len(leverage), (distances[0], distances[1]), 0.04, 1.25, 4.0, 2.5e-4, 24
    )
    expected = reference.run(case)
    assert not expected.doubtful
    assert expected.left_out == 0
    np.testing.assert_allclose(forecast.long_notional, expected.liquidated[0], rtol=1e-9, atol=1)
    np.testing.assert_allclose(forecast.short_notional, expected.liquidated[1], rtol=1e-9, atol=1)
    assert forecast.short_notional.sum() > 1e7
    assert forecast.long_notional.sum() > 1e7


def test_a_finer_grid_changes_little() -> None:
    """The grid and the entry prices are approximations of rules that know neither."""
    history = walk(200, 0.01)
    rows = [reference.Row(*values) for values in zip(*history.values(), strict=True)]
    distance = list(np.geomspace(0.004, 0.5, 12))
    shares = [1 / 12] * 12
    coarse = engine(reference.Case(rows, 1.0, shares, (distance, distance), 0.04, 1.25, 4.0, 2.5e-4, 24))
    fine = engine(reference.Case(rows, 1.0, shares, (distance, distance), 0.04, 1.25, 4.0, 2.5e-4 / 8, 2_000))
    for side in (0, 1):
        a, b = coarse[0][side], fine[0][side]
        assert a.sum() == pytest.approx(b.sum(), rel=0.01)
        assert np.abs(a - b).sum() < 0.03 * b.sum()


def test_the_first_row_knows_no_book() -> None:
    history = walk(5, 0.1)
    forecast = fp.predict_liquidations(history)
    assert forecast.long_notional[0] == forecast.short_notional[0] == 0
    assert forecast.long_notional[1] + forecast.short_notional[1] > 0


def test_a_price_that_stands_still_keeps_the_book() -> None:
    """Where turnover does not depend on range, as many open as close in a row without any."""
    rows = [reference.Row(100.0, 101.0, 99.0, 100.0, 1e6)] + [reference.Row(100.0, 100.0, 100.0, 100.0, 1e6)] * 500
    case = reference.Case(rows, 1.0, [1.0], ([0.1], [0.1]), 0.04, 0.0, 4.0, 2.5e-4, 24)
    liquidated, quantity, first, _ = engine(case)
    for side, sign in ((0, 1), (1, -1)):
        assert liquidated[side].sum() == 0
        assert quantity[side].sum() == pytest.approx(1e4, rel=0.01)  # those nearer than at entry are not replaced
        # By then all have moved to the price that stands, a distance away.
        middle = (quantity[side] * (first + np.arange(quantity[side].shape[1]))).sum() * 2.5e-4 / quantity[side].sum()
        assert middle == pytest.approx(math.log(100) - sign * 0.1, abs=1e-3)


def test_more_turnover_than_a_row_can_hold() -> None:
    history = walk(20, 0.2)
    for options in ({"turnover": 1e6}, {"activity": 60.0}, {"activity": 1e4}):
        forecast = fp.predict_liquidations(history, **options)
        assert np.isfinite(forecast.long_notional).all()
        assert np.isfinite(forecast.short_notional).all()
