"""What reported figures say that cannot all be true: each formula by hand, and silence where they agree."""

from __future__ import annotations

import math
from typing import Any

import pytest

import flushpoint as fp
from flushpoint.unreconciled import unreconciled

DAY = 86_400.0
CONTEXT = {
    "coins": 20e6, "market_value": [4.8e12, 4.3e12], "open_interest": [48e9, 28e9], "prices": [126_000.0, 60_000.0],
    "daily_volume": 60e9, "daily_volatility": 0.025, "fall": [73_166.0, 60_000.0],
}  # fmt: skip
FORCED = {"reported": 2.7e9, "measure": "liquidated_notional", "window": [122 * DAY, 123 * DAY]}


def found(context: dict[str, Any], **target: Any) -> dict[str, dict[str, Any]]:
    content = {
        "market": {"price": 126_000.0, "impact": {"kind": "LinearImpact", "coefficient": 1e-7}},
        "book": {"kind": "Book", "side": 1, "quantity": 1.0, "trigger_price": [63_000.0]},
        "process": {"kind": "GBM", "volatility": 0.5},
        "run": {"horizon": 124 * DAY, "steps": 124},
        "context": context,
        "targets": {"liquidated": FORCED | target},
    }
    return {one["claim"]: one for one in unreconciled(fp.Scenario("mine", content))}


def test_all_by_hand() -> None:
    told = found(CONTEXT)
    assert set(told) == {"market_value", "open_interest", "forced_selling", "one_day"}
    # 20 million coins that lose 66,000 each; 0.5 trillion are reported for all coins together.
    assert told["market_value"]["implied"] == pytest.approx(1.32e12)
    assert told["market_value"]["reported"] == pytest.approx(0.5e12)
    assert "1.32 trillion off 20 million coins alone; 0.50 trillion" in told["market_value"]["text"]
    # 28/48 of the dollars at 60/126 of the price are 1.225 times the coins.
    assert told["open_interest"]["reported"] == pytest.approx(28 / 48 - 1)
    assert told["open_interest"]["implied"] == pytest.approx(0.225)
    assert "-41.7 % in dollars while the price changes by -52.4 %" in told["open_interest"]["text"]
    assert "has changed by +22.5 %" in told["open_interest"]["text"]
    # 0.8 x 2.5 % x sqrt(2.7 / 60) = 0.424 %, of ln(73,166 / 60,000) = 20 log points on that day.
    assert told["forced_selling"]["implied"] == pytest.approx(0.02 * math.sqrt(0.045))
    assert told["forced_selling"]["reported"] == pytest.approx(math.log(73_166 / 60_000))
    assert "by 0.42 % under the square-root law; the price fell 20 log points" in told["forced_selling"]["text"]
    # The fall is over when the window ends.
    assert (told["one_day"]["reported"], told["one_day"]["implied"]) == (1.0, 123.0)
    assert "about 123 days" in told["one_day"]["text"]


@pytest.mark.parametrize(
    "context",
    [
        {},
        {"coins": 20e6, "market_value": [4.8e12, 3.0e12], "prices": [126_000.0, 60_000.0]},  # room for 1.32 trillion
        {"coins": 20e6, "prices": [126_000.0, 60_000.0]},
        {"coins": 20e6, "market_value": [4.8e12, 4.3e12]},  # when was that?
        {"open_interest": [48e9, 28e9]},
        {"open_interest": [48e9, 20e9], "prices": [126_000.0, 60_000.0]},  # fewer coins, too
        {"open_interest": [48e9, 50e9], "prices": [126_000.0, 60_000.0]},  # more of both
        {"open_interest": [48e9, 28e9], "prices": [60_000.0, 126_000.0]},  # no fall
        {"daily_volume": 60e9, "fall": [73_166.0, 60_000.0]},
        {"daily_volume": 60e9, "daily_volatility": 0.025},
        {"daily_volume": 1e9, "daily_volatility": 0.5, "fall": [73_166.0, 60_000.0]},  # forced sales explain half
    ],
)
def test_nothing_is_said_of_what_agrees_or_is_not_known(context: dict[str, Any]) -> None:
    assert found(context, window=[0.0, DAY]) == {}


def test_liquidations_without_a_window_or_below_zero_are_left_alone() -> None:
    assert set(found(CONTEXT, window=None)) == {"market_value", "open_interest"}
    assert set(found(CONTEXT, reported=-1.0)) == {"market_value", "open_interest", "one_day"}


def test_accounts_are_taken_as_well() -> None:
    assert unreconciled(fp.Scenario.load("altcoin-contagion")) == []
