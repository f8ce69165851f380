"""The report of ``flushpoint response``: first plain data, ready for JSON, then its text."""

from __future__ import annotations

import dataclasses
import importlib
import math
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from flushpoint.book import Book
from flushpoint.cascade import CascadeResult, cascade
from flushpoint.market import Market
from flushpoint.response import Response

SHOCKS = (-0.02, -0.05, -0.10, -0.15, -0.20, -0.30, -0.40, -0.50, 0.05, 0.10, 0.20, 0.50)
LARGEST = 5  # tipping points listed for each side
PROBES = (0.001, 0.01, 0.1)  # shares of the open interest whose sale shows what the impact means
WIDTH = 80  # columns of the text
SHOCK_NOTE = (
    "closed: positions; liquidated and shortfall: USD; amplif.: total log move / log move of the shock alone; "
    "shortfall: by how much closes miss the bankruptcy price, '-' where that is not known"
)

#: A table's heading and its rows.
Rows: TypeAlias = "tuple[Sequence[str], Sequence[Sequence[str]]]"


def build(response: Response, *, shock: float | None = None, sell: float | None = None) -> dict[str, Any]:
    """Gather what a book does in a market as values that JSON can hold; a number that is not finite becomes None.

    Parameters
    ----------
    response : Response
        The response of the book in its market.
    shock, sell : float, optional
        With one of them or both, the outcome of this single cascade is added at the top level, under the names of
        `flushpoint.cascade`'s result.

    Returns
    -------
    dict
    """
    book, market, tips = response.book, response.market, response.tipping_points
    report = {
        "market": _market_facts(book, market),
        "book": _book_facts(response),
        "tipping_point_count": len(tips),
        "tipping_points": [_fields(tip) for side in (1, -1) for tip in largest(tips[tips["side"] == side], LARGEST)],
        "shocks": [_shock_row(book, market, size) for size in SHOCKS],
    }
    if shock is not None or sell is not None:
        report |= _single(book, market, shock or 0.0, sell or 0.0)
    out: dict[str, Any] = plain(report)
    return out


def largest(tipping_points: NDArray[Any], count: int) -> NDArray[Any]:
    """Pick the `count` tipping points that close most notional, the largest first."""
    return tipping_points[np.argsort(-tipping_points["notional"], kind="stable")[:count]]


def _market_facts(book: Book, market: Market) -> dict[str, Any]:
    impact: Any = market.impact
    probes = [share * max(book.open_interest(market.price)) for share in PROBES]
    return {
        "price": market.price,
        "impact": {
            "kind": type(impact).__name__,
            "parameters": {f.name: getattr(impact, f.name) for f in dataclasses.fields(impact) if f.init},
            "probes": [
                {
                    "notional": notional,
                    "sell": market.price_after(notional / market.price) / market.price - 1,
                    "buy": market.price_after(-notional / market.price) / market.price - 1,
                }
                for notional in probes
            ],
        },
    }


def _book_facts(response: Response) -> dict[str, Any]:
    book, price = response.book, response.market.price
    above = math.nextafter(price, math.inf)  # at the price itself it is the longs that answer
    facts: dict[str, Any] = {"count": len(book), **side_facts(book, price)}
    for name, at in (("long", price), ("short", above)):
        facts[name]["reproduction_number"] = response.reproduction_number(at)
    return facts


def side_facts(book: Book, price: float) -> dict[str, dict[str, Any]]:
    """Sum up each side of a book that holds nothing crossed at `price`."""
    facts = {}
    for name, side, open_interest in zip(
        ("long", "short"), (book.long, book.short), book.open_interest(price), strict=True
    ):
        triggers = side.trigger_price
        never = (triggers == 0) | np.isinf(triggers)
        facts[name] = {
            "count": len(side),
            "open_interest": open_interest,
            "notional": side.cumulative_notional[-1],
            "never_count": np.sum(never),
            "never_open_interest": np.sum(side.quantity[never]) * price,
            "nearest_trigger_price": None if never.all() else triggers[0],
        }
    return facts


def _shock_row(book: Book, market: Market, shock: float) -> dict[str, Any]:
    c = cascade(book, market, shock)
    return {"shock": shock, **_totals(c), "waves": len(c.waves)}


def _single(book: Book, market: Market, shock: float, sell: float) -> dict[str, Any]:
    c = cascade(book, market, shock, sell)
    return {"shock": shock, "sell": sell, **_totals(c), "waves": [_fields(wave) for wave in c.waves]}


def _totals(c: CascadeResult) -> dict[str, Any]:
    return {name: column[0] for name, column in c.items()}


def _fields(record: Any) -> dict[str, Any]:
    """Turn one row of a structured array into a dict."""
    return {name: record[name] for name in record.dtype.names}


def plain(value: Any) -> Any:
    """Reduce a value to dicts, lists, text, bools, ints, finite floats and None."""
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def render(report: dict[str, Any]) -> None:
    """Print a report to standard output, readable at 80 columns.

    Parameters
    ----------
    report : dict
        What `build` returned, and besides: ``title``, ``book_notes`` and ``impact_notes``, texts that say where book
        and impact come from.
    """
    show(
        [
            (report["title"], ()),
            ("Book", _book_text(report)),
            ("Impact", _impact_text(report)),
            ("Largest tipping points", tipping_text(report)),
            ("Shocks", shock_text(report)),
            *([("This cascade", _single_text(report))] if "final_price" in report else []),
        ]
    )


def show(sections: Iterable[tuple[str, Iterable[Any]]]) -> None:
    """Print headings, each with its paragraphs and tables."""
    console = importlib.import_module("rich.console").Console(highlight=False, markup=False)
    console.width = max(console.width, WIDTH)
    for heading, body in sections:
        console.print(textwrap.fill(heading, WIDTH), style="bold")
        for block in body:
            text = isinstance(block, str)
            console.print(paragraph(block) if text else block, soft_wrap=text)
        console.print()


def book_sides(report: dict[str, Any]) -> Iterable[str]:
    """Say what both sides hold, and how close they are to feeding themselves."""
    price, book = report["market"]["price"], report["book"]
    for name in ("long", "short"):
        yield side_text(name, book[name], price)
    down, up = (_number(book[name]["reproduction_number"]) for name in ("long", "short"))
    yield f"Reproduction number now: {down} downward, {up} upward (1 and above feeds itself)"


def _book_text(report: dict[str, Any]) -> Iterable[str]:
    yield from book_sides(report)
    yield from report["book_notes"]


def side_text(name: str, side: dict[str, Any], price: float) -> str:
    """Say what one side holds, from its facts."""
    text = f"{side['count']:,} {name} positions, open interest {money(side['open_interest'])} USD"
    if nearest := side["nearest_trigger_price"]:
        text += f", nearest trigger {price_text(nearest)} ({percent(nearest / price - 1, 3)})"
    if side["never_count"]:
        text += f"; {side['never_count']:,} ({money(side['never_open_interest'])} USD) can never be liquidated"
    return text


def _impact_text(report: dict[str, Any]) -> Iterable[str]:
    yield from report["impact_notes"]
    for probe in report["market"]["impact"]["probes"]:
        sold, bought = percent(probe["sell"], 3), percent(probe["buy"], 3)
        yield f"{money(probe['notional'])} USD sold moves the price {sold}, bought {bought}"


def tipping_text(report: dict[str, Any]) -> Iterable[Any]:
    """Tabulate the largest tipping points."""
    yield tipping_note(report)
    if not report["tipping_points"]:
        return
    yield table(*tipping_rows(report))


def tipping_note(report: dict[str, Any]) -> str:
    """Say what the largest tipping points are, or that there are none."""
    if not report["tipping_points"]:
        return "None: no liquidation sets off another."
    return (
        f"The {len(report['tipping_points'])} largest of {report['tipping_point_count']:,}. Each of these shocks "
        "closes a whole run of positions at once; a hair less spares all of them."
    )


def tipping_rows(report: dict[str, Any]) -> Rows:
    """List the largest tipping points."""
    price = report["market"]["price"]
    rows = [
        (
            percent(tip["shock"]),
            price_text(tip["price"]),
            "long" if tip["side"] > 0 else "short",
            f"{tip['count']:,}",
            money(tip["notional"]),
            price_text(tip["final_price"]),
            _move(tip["final_price"], price),
        )
        for tip in report["tipping_points"]
    ]
    return ("shock", "start price", "side", "closed", "notional", "final price", "move"), rows


def shock_text(report: dict[str, Any]) -> Iterable[Any]:
    """Tabulate what shocks do."""
    yield table(*shock_rows(report))
    yield SHOCK_NOTE


def shock_rows(report: dict[str, Any]) -> Rows:
    """List what shocks do."""
    price = report["market"]["price"]
    rows = [
        (
            percent(row["shock"], 0),
            money(row["liquidated_notional"]),
            f"{row['liquidated_count']:,}",
            f"{row['waves']:,}",
            price_text(row["final_price"]),
            _move(row["final_price"], price),
            _number(row["amplification"]),
            money(row["shortfall"]),
        )
        for row in report["shocks"]
    ]
    return ("shock", "liquidated", "closed", "waves", "final price", "move", "amplif.", "shortfall"), rows


def _single_text(report: dict[str, Any]) -> Iterable[str]:
    price = report["market"]["price"]
    yield f"Shock {percent(report['shock'])}, sale of {report['sell']:,.8g}"
    yield f"Final price {price_text(report['final_price'])} ({_move(report['final_price'], price)})"
    yield (
        f"Liquidated {money(report['liquidated_notional'])} USD, {report['liquidated_count']:,} positions, in "
        f"{len(report['waves']):,} waves"
    )
    yield f"Amplification {_number(report['amplification'])}, shortfall {money(report['shortfall'])} USD"
    if report["exhausted"]:
        yield "The depth was used up: no price is left."


def paragraph(text: str) -> str:
    """Fill a paragraph."""
    return textwrap.fill(text, WIDTH, initial_indent="  ", subsequent_indent="    ")


def table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> Any:
    """Make a table of text, its columns aligned to the right."""
    table = importlib.import_module("rich.table").Table(
        box=importlib.import_module("rich.box").SIMPLE_HEAD, padding=(0, 0, 0, 1), show_edge=False, header_style=""
    )
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    return table


def _move(value: float | None, price: float) -> str:
    return percent(None if value is None else value / price - 1)


def percent(value: float | None, digits: int = 2) -> str:
    """Write a share in per cent, with its sign."""
    return "-" if value is None else f"{100 * value:+z,.{digits}f}%"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:z.2f}"


def price_text(value: float | None) -> str:
    """Write a price."""
    return "-" if value is None else f"{value:,.0f}" if value >= 10_000 else f"{value:,.5g}"


def money(value: float | None) -> str:
    """Write an amount in bn, M or k."""
    if value is None:
        return "-"
    for scale, unit in ((1e9, "bn"), (1e6, "M"), (1e3, "k")):
        if value >= scale:
            return f"{value / scale:,.2f} {unit}"
    return f"{value:z,.0f}"
