"""What the reported figures of an event say that cannot all be true, or cannot be what a tale makes of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from flushpoint.market import Market
from flushpoint.scenario import Scenario

_PREFACTOR = 0.8  # of the square-root law, as `SquareRootImpact` has it


def unreconciled(scenario: Scenario, simulated: Mapping[str, float]) -> list[dict[str, Any]]:
    """Hold a scenario's reported figures against one another.

    Parameters
    ----------
    scenario : Scenario
        Its ``context`` and targets; what they lack is not looked at.
    simulated : mapping of str to float
        Of each target.

    Returns
    -------
    list of dict
        Each with ``claim``, ``reported``, ``implied`` by the other figures, and ``text``.
    """
    return list(_found(scenario, simulated))


def _found(scenario: Scenario, simulated: Mapping[str, float]) -> Iterator[dict[str, Any]]:
    context, targets = scenario.context, scenario.targets
    if not isinstance(scenario.market, Market) or "trough" not in targets or targets["trough"].measure != "low_price":
        return
    start, trough = scenario.market.price, targets["trough"].reported
    fall = trough / start
    if not 0 < fall < 1:
        return
    if {"coins", "market_value"} <= context.keys():
        before, after = context["market_value"]
        lost = context["coins"] * (start - trough)
        if lost > before - after:
            yield _entry(
                "market_value",
                before - after,
                lost,
                f"A fall from {start:,.0f} to {trough:,.0f} takes {lost / 1e12:.2f} trillion off "
                f"{context['coins'] / 1e6:g} million coins alone; {(before - after) / 1e12:.2f} trillion are reported "
                "for all coins together.",
            )
    if "open_interest" in context:
        before, after = context["open_interest"]
        dollars, coins = after / before - 1, after / before / fall - 1
        if dollars * coins < 0:
            text = (
                f"Open interest that changes by {100 * dollars:+.1f} % in dollars while the price changes by "
                f"{100 * (fall - 1):+.1f} % has changed by {100 * coins:+.1f} % in coins: it did not shrink."
            )
            if "open_interest_change" in simulated:
                text += f" Simulated: {100 * simulated['open_interest_change']:+.1f} % in dollars."
            yield _entry("open_interest", dollars, coins, text)
    forced = targets["liquidations_24h"].reported if "liquidations_24h" in targets else 0.0
    if forced > 0 and {"daily_volume", "daily_volatility"} <= context.keys():
        moved = _PREFACTOR * context["daily_volatility"] * math.sqrt(forced / context["daily_volume"])
        if moved < 0.5 * -math.log(fall):
            yield _entry(
                "forced_selling",
                -math.log(fall),
                moved,
                f"{forced / 1e9:.2f} bn of forced sales move a market that trades "
                f"{context['daily_volume'] / 1e9:.0f} bn a day by {100 * moved:.2f} % under the square-root law; the "
                f"fall is {-100 * math.log(fall):.0f} log points. Most of it is other selling, and depth that was not "
                "there.",
            )
    window = targets["liquidations_24h"].window if "liquidations_24h" in targets else None
    if window is not None and window[1] > 10 * 86_400:
        days = window[1] / 86_400
        yield _entry(
            "one_day",
            (window[1] - window[0]) / 86_400,
            days,
            f"The fall from {start:,.0f} took about {days:.0f} days; the liquidations reported are those of its last.",
        )


def _entry(claim: str, reported: float, implied: float, text: str) -> dict[str, Any]:
    return {"claim": claim, "reported": reported, "implied": implied, "text": text}
