"""What the reported figures of an event say that cannot all be true, or cannot be what a tale makes of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from flushpoint.impact import SquareRootImpact
from flushpoint.market import Market
from flushpoint.scenario import Scenario


def unreconciled(scenario: Scenario) -> list[dict[str, Any]]:
    """Hold a scenario's reported figures against one another.

    Parameters
    ----------
    scenario : Scenario
        Its ``context``, and the first of its targets that is of liquidations within a window; what they lack is not
        looked at.

    Returns
    -------
    list of dict
        Each with ``claim``, ``reported``, ``implied`` by the other figures, and ``text``.
    """
    return list(_found(scenario))


def _found(scenario: Scenario) -> Iterator[dict[str, Any]]:
    context = scenario.context
    if "prices" in context and context["prices"][1] < context["prices"][0]:
        yield from _before_and_after(context, *context["prices"])
    last = next((one for one in scenario.targets.values() if one.window and one.measure == "liquidated_notional"), None)
    if last is None or last.window is None:
        return
    if last.reported > 0 and {"daily_volume", "daily_volatility", "fall"} <= context.keys():
        impact = SquareRootImpact(context["daily_volatility"], context["daily_volume"])
        moved = float(Market(1.0, impact).displacement(last.reported))
        fell = math.log(context["fall"][0] / context["fall"][1])
        if moved < 0.5 * fell:
            yield _entry(
                "forced_selling",
                fell,
                moved,
                f"{last.reported / 1e9:.2f} bn of forced sales move a market that trades "
                f"{context['daily_volume'] / 1e9:.0f} bn a day by {100 * moved:.2f} % under the square-root law; the "
                f"price fell {100 * fell:.0f} log points meanwhile. Most of it is other selling, and depth that "
                "was not there.",
            )
    begin, end = (seconds / 86_400 for seconds in last.window)
    if end > 10 * (end - begin):
        last_part = "day" if end - begin == 1 else f"{end - begin:.3g} days"
        yield _entry(
            "one_day",
            end - begin,
            end,
            f"The fall took about {end:.0f} days; the liquidations reported are those of its last {last_part}.",
        )


def _before_and_after(context: Mapping[str, Any], start: float, end: float) -> Iterator[dict[str, Any]]:
    if {"coins", "market_value"} <= context.keys():
        before, after = context["market_value"]
        lost = context["coins"] * (start - end)
        if lost > before - after:
            yield _entry(
                "market_value",
                before - after,
                lost,
                f"A fall from {start:,.0f} to {end:,.0f} takes {lost / 1e12:.2f} trillion off "
                f"{context['coins'] / 1e6:g} million coins alone; {(before - after) / 1e12:.2f} trillion are reported "
                "for all coins together.",
            )
    if "open_interest" in context:
        before, after = context["open_interest"]
        dollars, coins = after / before - 1, after / before / (end / start) - 1
        if dollars * coins < 0:
            yield _entry(
                "open_interest",
                dollars,
                coins,
                f"Open interest that changes by {100 * dollars:+.1f} % in dollars while the price changes by "
                f"{100 * (end / start - 1):+.1f} % has changed by {100 * coins:+.1f} % in coins: it did not shrink.",
            )


def _entry(claim: str, reported: float, implied: float, text: str) -> dict[str, Any]:
    return {"claim": claim, "reported": reported, "implied": implied, "text": text}
