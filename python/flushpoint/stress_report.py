"""The report of ``flushpoint stress``: first plain data, ready for JSON, then its text."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from flushpoint import report
from flushpoint._validate import FloatArray, memory, number
from flushpoint.seed import resolve
from flushpoint.stress import StressResult
from flushpoint.summary import Estimate

_SHOWN = ("final_price", "liquidated_notional", "shortfall", "amplification")
_LEVELS = (0.95, 0.99)


def draw(count: int, deviation: float | None, seed: int | None) -> tuple[FloatArray, Any]:
    """Draw shocks with normal log moves of no mean; tell the seed, too."""
    spread = number("deviation", deviation, above=0, at_most=10)
    memory("draws", count, 200)
    kept, _ = resolve(seed)
    normal = np.random.default_rng(kept).standard_normal(count)
    return np.expm1(spread * normal), kept


def build(
    result: StressResult, price: float, shocks: FloatArray, liquidity: FloatArray, *, drawn: bool, seed: Any
) -> dict[str, Any]:
    """Gather outcomes as values that JSON can hold: one row a scenario, or figures over those drawn.

    Parameters
    ----------
    result : StressResult
        Of all shocks at the first liquidity, then all at the next, and so on.
    price : float
    shocks, liquidity : ndarray
    drawn : bool
        Whether the shocks are random, so that only figures over all of them mean something.
    seed : int or None

    Returns
    -------
    dict
    """
    facts: dict[str, Any] = {"price": price, "liquidity": liquidity, "scenarios": len(result["final_price"])}
    if drawn:
        summary = result.summary(columns=("final_price", "liquidated_notional"), levels=_LEVELS)
        facts |= {
            "seed": seed,
            "columns": {
                name: {
                    "mean": one["mean"].value,
                    "median": one["quantile"][0.5].value,
                    "value_at_risk": {str(level): one["value_at_risk"][level].value for level in _LEVELS},
                    "expected_shortfall": {str(level): _known(one["expected_shortfall"][level]) for level in _LEVELS},
                }
                for name, one in summary.items()
            },
        }
    else:
        held = {name: np.asarray(getattr(result, name)) for name in (*_SHOWN, "waves")}
        facts["rows"] = [
            {"shock": shock, "liquidity": depth, **{name: column[k * shocks.size + i] for name, column in held.items()}}
            for k, depth in enumerate(liquidity)
            for i, shock in enumerate(shocks)
        ]
    out: dict[str, Any] = report.plain(facts)
    return out


def _known(estimate: Estimate) -> float | None:
    """Nothing where too few scenarios are in the tail to judge it."""
    return None if math.isnan(estimate.low) else estimate.value


def columns(result: StressResult, shocks: FloatArray, liquidity: FloatArray) -> dict[str, Any]:
    """Return every column, a row a scenario, with shock and liquidity before them."""
    given = {"shock": np.tile(shocks, liquidity.size), "liquidity": np.repeat(liquidity, shocks.size)}
    return given | dict(result)


def render(facts: dict[str, Any]) -> None:
    """Print what `build` returned, with ``title``, ``book_notes`` and ``impact_notes``, readable at 80 columns."""
    report.show(
        [
            (facts["title"], facts["book_notes"]),
            ("Impact", facts["impact_notes"]),
            (f"{facts['scenarios']:,} scenarios", _grid(facts) if "rows" in facts else _figures(facts)),
        ]
    )


def _grid(facts: dict[str, Any]) -> Iterable[Any]:
    depths = facts["liquidity"]
    shocks = len(facts["rows"]) // len(depths)
    rows = [facts["rows"][i::shocks] for i in range(shocks)]
    tables: dict[str, Callable[[dict[str, Any]], str]] = {
        "Move of the price": lambda row: report.percent(row["final_price"] / facts["price"] - 1),
        "Liquidated, USD": lambda row: report.money(row["liquidated_notional"]),
    }
    for what, write in tables.items():
        yield f"{what}, by the share of the depth that is there:"
        yield report.table(
            ("shock", *(f"{depth:g}" for depth in depths)),
            [(f"{100 * each[0]['shock']:+.10g}%", *map(write, each)) for each in rows],
        )


def _figures(facts: dict[str, Any]) -> Iterable[Any]:
    yield f"Normal log moves, seed {facts['seed']}."
    heading = ("", "mean", "median", *(f"{what} {float(p):.0%}" for p in map(str, _LEVELS) for what in ("VaR", "ES")))
    rows = []
    for name, one in facts["columns"].items():
        write: Callable[[float | None], str] = report.price_text if "price" in name else report.money
        tails = [write(one[what][str(p)]) for p in _LEVELS for what in ("value_at_risk", "expected_shortfall")]
        rows.append((name.replace("_", " "), write(one["mean"]), write(one["median"]), *tails))
    yield report.table(heading, rows)
