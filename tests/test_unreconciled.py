"""What reported figures say that cannot all be true: each formula by hand, and silence where they agree."""

from __future__ import annotations

import math
from typing import Any

import pytest

import flushpoint as fp
from flushpoint.unreconciled import unreconciled

DAY = 86_400.0
CONTEXT = {
    "coins": 20e6, "market_value": [4.8e12, 4.3e12], "open_interest": [48e9, 28e9],
    "daily_volume": 60e9, "daily_volatility": 0.025,
}  # fmt: skip
TROUGH = {"reported": 60_000.0, "measure": "low_price"}
FORCED = {"reported": 2.7e9, "measure": "liquidated_notional", "window": [122 * DAY, 123 * DAY]}


def found(
    context: dict[str, Any],
    targets: dict[str, Any],
    simulated: dict[str, float] | None = None,
    price: float = 126_000.0,
) -> dict[str, dict[str, Any]]:
    content = {
        "market": {"price": price, "impact": {"kind": "LinearImpact", "coefficient": 1e-7}},
        "book": {"kind": "Book", "side": 1, "quantity": 1.0, "trigger_price": [price / 2]},
        "process": {"kind": "GBM", "volatility": 0.5},
        "run": {"horizon": 124 * DAY, "steps": 124},
        "context": context,
        "targets": targets,
    }
    return {one["claim"]: one for one in unreconciled(fp.Scenario("mine", content), simulated or {})}


def test_all_by_hand() -> None:
    told = found(CONTEXT, {"trough": TROUGH, "liquidations_24h": FORCED}, {"open_interest_change": -0.39})
    assert list(told) == ["market_value", "open_interest", "forced_selling", "one_day"]
    # 20 million coins that lose 66,000 each; 0.5 trillion are reported for all coins together.
    assert told["market_value"]["implied"] == pytest.approx(1.32e12)
    assert told["market_value"]["reported"] == pytest.approx(0.5e12)
    assert "1.32 trillion off 20 million coins alone; 0.50 trillion" in told["market_value"]["text"]
    # 28/48 of the dollars at 60/126 of the price are 1.225 times the coins.
    assert told["open_interest"]["reported"] == pytest.approx(28 / 48 - 1)
    assert told["open_interest"]["implied"] == pytest.approx(0.225)
    assert (
        "-41.7 % in dollars while the price changes by -52.4 % has changed by +22.5 %" in told["open_interest"]["text"]
    )
    assert told["open_interest"]["text"].endswith("Simulated: -39.0 % in dollars.")
    # 0.8 x 2.5 % x sqrt(2.7 / 60) = 0.424 %, of ln(126 / 60) = 74 log points.
    assert told["forced_selling"]["implied"] == pytest.approx(0.02 * math.sqrt(0.045))
    assert told["forced_selling"]["reported"] == pytest.approx(math.log(2.1))
    assert "by 0.42 % under the square-root law; the fall is 74 log points" in told["forced_selling"]["text"]
    # The fall is over when the window ends.
    assert (told["one_day"]["reported"], told["one_day"]["implied"]) == (1.0, 123.0)
    assert "about 123 days" in told["one_day"]["text"]


def test_what_is_not_simulated_is_not_told() -> None:
    assert "Simulated" not in found(CONTEXT, {"trough": TROUGH})["open_interest"]["text"]


@pytest.mark.parametrize(
    "context",
    [
        {},
        {"coins": 20e6, "market_value": [4.8e12, 3.0e12]},  # 1.8 trillion lost leave room for 1.32
        {"coins": 20e6},
        {"market_value": [4.8e12, 4.3e12]},
        {"open_interest": [48e9, 20e9]},  # fewer coins, too
        {"open_interest": [48e9, 50e9]},  # more of both
        {"daily_volume": 60e9},
        {"daily_volatility": 0.025},
        {"daily_volume": 1e9, "daily_volatility": 0.5},  # forced sales explain half and more
    ],
)
def test_nothing_is_said_of_what_agrees_or_is_not_known(context: dict[str, Any]) -> None:
    forced = {**FORCED, "window": [0.0, DAY]}
    assert found(context, {"trough": TROUGH, "liquidations_24h": forced}) == {}


@pytest.mark.parametrize(
    "targets",
    [
        {},
        {"low": TROUGH},
        {"trough": {"reported": -0.5, "measure": "low_price_change"}},
        {"trough": {"reported": 130_000.0, "measure": "low_price"}},  # no fall
        {"trough": {"reported": -5.0, "measure": "low_price"}},
        {"trough": {"reported": 130_000.0, "measure": "high_price"}},
    ],
)
def test_nothing_is_said_without_a_fall(targets: dict[str, Any]) -> None:
    assert found(CONTEXT, {**targets, "liquidations_24h": FORCED}) == {}


def test_liquidations_below_zero_move_nothing() -> None:
    assert "forced_selling" not in found(CONTEXT, {"trough": TROUGH, "liquidations_24h": {**FORCED, "reported": -1.0}})


def test_accounts_have_no_one_price() -> None:
    scenario = fp.Scenario.load("altcoin-contagion")
    told = unreconciled(scenario.changed({"targets.trough": TROUGH}), {})
    assert told == []
