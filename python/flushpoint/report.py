"""The report of ``flushpoint run``: first plain data, ready for JSON, then its text."""

from __future__ import annotations

import dataclasses
import importlib
import math
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flushpoint.book import Book
from flushpoint.cascade import cascade
from flushpoint.market import Market
from flushpoint.response import Response

SHOCKS = (-0.02, -0.05, -0.10, -0.15, -0.20, -0.30, -0.40, -0.50, 0.05, 0.10, 0.20, 0.50)
LARGEST = 5  # tipping points listed for each side
_WIDTH = 80
PROBES = (0.001, 0.01, 0.1)  # shares of the open interest whose sale shows what the impact means


def build(
    book: Book, market: Market, response: Response, *, shock: float | None = None, sell: float | None = None
) -> dict[str, Any]:
    """What a book does in a market, as values that JSON can hold: a number that is not finite is None.

    Parameters
    ----------
    book : Book
        Positions, none of them crossed at the market's price.
    market : Market
        The market.
    response : Response
        The response of that book in that market.
    shock, sell : float, optional
        With one of them or both, the outcome of this single cascade is added at the top level, under the names of
        `flushpoint.cascade`'s result.

    Returns
    -------
    dict
    """
    report = {
        "market": _market_facts(book, market),
        "book": _book_facts(book, market, response),
        "tipping_point_count": len(response.tipping_points),
        "tipping_points": [
            _fields(tip)
            for side in (1, -1)
            for tip in largest(response.tipping_points[response.tipping_points["side"] == side], LARGEST)
        ],
        "shocks": [_shock_row(book, market, size) for size in SHOCKS],
    }
    if shock is not None or sell is not None:
        report |= _single(book, market, shock or 0.0, sell or 0.0)
    plain: dict[str, Any] = _plain(report)
    return plain


def largest(tipping_points: NDArray[Any], count: int) -> NDArray[Any]:
    """The `count` tipping points that close most notional, the largest first."""
    return tipping_points[np.argsort(-tipping_points["notional"], kind="stable")[:count]]


def _market_facts(book: Book, market: Market) -> dict[str, Any]:
    parameters = [f for f in dataclasses.fields(market.impact) if f.init]  # type: ignore[arg-type]
    probes = [share * max(book.open_interest(market.price)) for share in PROBES]
    return {
        "price": market.price,
        "impact": {
            "kind": type(market.impact).__name__,
            "parameters": {f.name: getattr(market.impact, f.name) for f in parameters},
            "probes": [
                {
                    "notional": notional,
                    "sell": market.price_after(notional / market.price) / market.price - 1,
                    "buy": market.price_after(-notional / market.price) / market.price - 1,
                }
                for notional in probes
                if notional > 0
            ],
        },
    }


def _book_facts(book: Book, market: Market, response: Response) -> dict[str, Any]:
    above = math.nextafter(market.price, math.inf)  # at the price itself the longs are asked
    sides: dict[str, Any] = {}
    open_interest = book.open_interest(market.price)
    for name, side, notional, price in zip(
        ("long", "short"), (book.long, book.short), open_interest, (market.price, above), strict=True
    ):
        triggers = side.trigger_price
        reachable = (triggers > 0) & np.isfinite(triggers)
        sides[name] = {
            "count": len(side),
            "open_interest": notional,
            "never_count": int(np.sum(~reachable)),
            "never_open_interest": float(np.sum(side.quantity[~reachable])) * market.price,
            "nearest_trigger_price": triggers[0] if reachable.any() else None,
            "reproduction_number": response.reproduction_number(price),
        }
    return {"count": len(book), **sides}


def _shock_row(book: Book, market: Market, shock: float) -> dict[str, Any]:
    c = cascade(book, market, shock)
    return {"shock": shock, **_totals(c), "waves": len(c.waves)}


def _single(book: Book, market: Market, shock: float, sell: float) -> dict[str, Any]:
    c = cascade(book, market, shock, sell)
    more = {name: getattr(c, name) for name in ("low_price", "high_price", "proceeds", "exhausted")}
    return {"shock": shock, "sell": sell, **_totals(c), **more, "waves": [_fields(wave) for wave in c.waves]}


def _totals(c: Any) -> dict[str, Any]:
    names = ("final_price", "liquidated_quantity", "liquidated_count", "liquidated_notional")
    return {name: getattr(c, name) for name in (*names, "amplification", "shortfall", "surplus")}


def _fields(record: Any) -> dict[str, Any]:
    """One row of a structured array."""
    return {name: record[name] for name in record.dtype.names}


def _plain(value: Any) -> Any:
    """`value` with nothing but dicts, lists, text, bools, ints, finite floats and None."""
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def render(report: dict[str, Any], title: str, book_notes: Sequence[str], impact_notes: Sequence[str]) -> None:
    """Print the report to standard output, readable at 80 columns.

    Parameters
    ----------
    report : dict
        What `build` returned.
    title : str
        Where the book comes from.
    book_notes, impact_notes : sequence of str
        What to say about the book and about the impact: sources, assumptions, rows dropped.
    """
    console = importlib.import_module("rich.console").Console(highlight=False, markup=False)
    console.width = max(console.width, _WIDTH)
    price = report["market"]["price"]

    def paragraph(text: str) -> None:
        console.print(textwrap.fill(text, _WIDTH, initial_indent="  ", subsequent_indent="  "), soft_wrap=True)

    console.print(title, style="bold")

    console.print("\nBook", style="bold")
    for name in ("long", "short"):
        side = report["book"][name]
        nearest = side["nearest_trigger_price"]
        where = f"the nearest at {_price(nearest)} ({_percent(nearest / price - 1, 3)})" if nearest else "none can trigger"
        paragraph(f"{side['count']:,} {name} positions, open interest {money(side['open_interest'])} USD; {where}")
        if side["never_count"]:
            paragraph(f"  {side['never_count']:,} of them ({money(side['never_open_interest'])} USD) can never be liquidated")
    below, above = (report["book"][name]["reproduction_number"] for name in ("long", "short"))
    paragraph(f"reproduction number now: {_number(below)} below, {_number(above)} above (1 and more feeds itself)")
    for note in book_notes:
        paragraph(note)

    console.print("\nImpact", style="bold")
    for note in impact_notes:
        paragraph(note)
    for probe in report["market"]["impact"]["probes"]:
        paragraph(
            f"{money(probe['notional']):>8} USD sold moves the price {_percent(probe['sell'])}, "
            f"bought {_percent(probe['buy'])}"
        )

    tips = report["tipping_points"]
    console.print("\nLargest tipping points", style="bold")
    if tips:
        paragraph(
            f"The {len(tips)} largest of {report['tipping_point_count']:,}. Each of these shocks closes a whole run of "
            "positions at once; a hair less would have spared all of them."
        )
        rows = [
            (
                _percent(tip["shock"]),
                _price(tip["price"]),
                "long" if tip["side"] > 0 else "short",
                f"{tip['count']:,}",
                money(tip["notional"]),
                _price(tip["final_price"]),
                _percent(_ratio(tip["final_price"], price)),
            )
            for tip in tips
        ]
        _table(console, ("shock", "start price", "side", "closed", "notional", "final price", "move"), rows)
    else:
        paragraph("None: no liquidation sets off another.")

    console.print("\nShocks", style="bold")
    rows = [
        (
            _percent(row["shock"], 0),
            money(row["liquidated_notional"]),
            f"{row['liquidated_count']:,}",
            f"{row['waves']:,}",
            _price(row["final_price"]),
            _percent(_ratio(row["final_price"], price)),
            _number(row["amplification"]),
            money(row["shortfall"]),
        )
        for row in report["shocks"]
    ]
    names = ("shock", "liquidated", "closed", "waves", "final price", "move", "amplif.", "shortfall")
    _table(console, names, rows)
    paragraph(
        "closed: positions; liquidated, shortfall: USD; amplif. = total log move / log move of the shock alone; shortfall = how far "
        "closes fall short of the bankruptcy price, '-' where that is not known"
    )

    if "final_price" in report:
        console.print(f"\nShock {_percent(report['shock'])}, sale of {report['sell']:,.8g}", style="bold")
        paragraph(f"final price {_price(report['final_price'])} ({_percent(_ratio(report['final_price'], price))})")
        paragraph(
            f"liquidated {money(report['liquidated_notional'])} USD, {report['liquidated_count']:,} positions, in "
            f"{len(report['waves']):,} waves"
        )
        paragraph(f"amplification {_number(report['amplification'])}, shortfall {money(report['shortfall'])} USD")
        if report["exhausted"]:
            paragraph("the order book is empty: liquidity is exhausted")


def _table(console: Any, names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    box = importlib.import_module("rich.box")
    table = importlib.import_module("rich.table").Table(
        box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1), show_edge=False, header_style=""
    )
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console.print(table)


def _ratio(value: float | None, price: float) -> float | None:
    return None if value is None else value / price - 1


def _percent(value: float | None, digits: int = 2) -> str:
    return "-" if value is None else f"{100 * value:+.{digits}f}%"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _price(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}" if value >= 10_000 else f"{value:,.5g}"


def money(value: float | None) -> str:
    """Write an amount in bn, M or k."""
    if value is None:
        return "-"
    for scale, unit in ((1e9, " bn"), (1e6, " M"), (1e3, " k")):
        if value >= scale:
            return f"{value / scale:,.2f}{unit}"
    return f"{value:,.0f}"
