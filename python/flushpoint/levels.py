"""Liquidation levels: what is to be liquidated by distance from the price, and how that came about over time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

from flushpoint import report
from flushpoint._validate import FloatArray
from flushpoint.book import Book
from flushpoint.hidden import notional_over_time

DISTANCES = (0.01, 0.02, 0.03, 0.04, 0.05, 0.075, 0.10, 0.15, 0.20, 0.30, 0.50)
QUANTILES = (0.05, 0.50, 0.95)
LARGEST = 5  # levels listed for each side
_WIDTH = 0.0025  # log price a level spans: ten cells of the hidden book's grid, so that none counts more cells
_APART = 2  # a level is the largest among so many to either side


@dataclass(frozen=True, eq=False)
class LevelsOverTime:
    """What stood to be liquidated, by trigger price, in the course of a history.

    Attributes
    ----------
    time : ndarray, shape (n + 1,)
        Column i spans time[i] to time[i + 1]: datetime64, or hours where the history has no times.
    price : ndarray, shape (n,)
        The close of that row, quote units per base unit.
    edges : ndarray, shape (k + 1,)
        Trigger prices, evenly spaced in logarithm.
    long_notional, short_notional : ndarray, shape (n, k)
        Quote units: of the book at the end of the row that each column begins with.
    """

    time: NDArray[Any]
    price: FloatArray
    edges: FloatArray
    long_notional: FloatArray
    short_notional: FloatArray


def over_time(
    history: Mapping[str, ArrayLike],
    *,
    maintenance_rate: float,
    period: float,
    columns: int = 400,
    width: float = 0.005,
) -> LevelsOverTime:
    """Infer the books at several times of a history, in one pass.

    Parameters
    ----------
    history, maintenance_rate, period
        As in `flushpoint.predict_liquidations`; `history` may have a column ``time`` of datetime64.
    columns : int
        Columns of the answer, at most.
    width : float
        Log price a bin.

    Returns
    -------
    LevelsOverTime
        Without the first tenth of the history, in which the book is guessed from few rows.
    """
    names = ("open", "high", "low", "close", "open_interest")
    table = {name: np.asarray(history[name], dtype=np.float64) for name in names}
    close = table["close"]
    rows = close.size
    first = rows // 10
    shown = np.unique(np.linspace(first, rows - 1, min(columns, rows - first)).astype(np.int64))
    bottom, top = np.log(0.7 * table["low"][first:].min()), np.log(1.3 * table["high"][first:].max())
    edges = np.exp(np.arange(bottom, top + width, width))
    longs, shorts = notional_over_time(table, shown, edges, maintenance_rate=maintenance_rate, period=period)
    if "time" in history:
        time = np.asarray(history["time"])
        ends = np.append(time[shown], time[-1] + np.timedelta64(round(1e3 * period), "ms"))
    else:
        ends = np.append(shown, rows) * (period / 3_600)
    return LevelsOverTime(ends, close[shown], edges, longs, shorts)


def build(book: Book, price: float, distances: Sequence[float] = DISTANCES, drawn: Any = None) -> dict[str, Any]:
    """Gather a book's liquidation levels as values that JSON can hold.

    Parameters
    ----------
    book : Book
        None of its positions is crossed at `price`.
    price : float
        Quote units per base unit.
    distances : sequence of float
        Relative moves of the price, increasing, between 0 and 1.
    drawn : HiddenBooks, optional
        Books that fit the same history: with them there are bands.

    Returns
    -------
    dict
        ``edges`` are the trigger prices at all distances, from the lowest up; ``long_notional`` and ``short_notional``
        what lies between them; ``long_total`` and ``short_total`` what a move by each distance crosses; ``levels`` the
        largest few; with `drawn`, names that end in ``_quantiles`` have a row for each of ``quantiles``.
    """
    steps = np.array([0.0, *distances])
    edges = price * np.concatenate([1 - steps[:0:-1], 1 + steps])
    total = {
        "long": np.array([book.long.cumulative_notional[book._crossed(at)[0]] for at in price * (1 - steps)]),
        "short": np.array([book.short.cumulative_notional[book._crossed(at)[1]] for at in price * (1 + steps)]),
    }
    nothing = np.zeros(len(distances))
    facts = {
        "price": price,
        "book": {"count": len(book), **report.side_facts(book, price)},
        "distances": list(distances),
        "edges": edges,
        "long_notional": np.concatenate([np.diff(total["long"])[::-1], nothing]),
        "short_notional": np.concatenate([nothing, np.diff(total["short"])]),
        "long_total": total["long"][1:],
        "short_total": total["short"][1:],
        "levels": _largest(book, price, steps[-1]),
    }
    if drawn is not None:
        long, short = map(np.array, drawn.heatmap(edges, quantiles=QUANTILES))
        long[:, len(distances) :] = 0.0
        short[:, : len(distances)] = 0.0
        below = [drawn.heatmap(price * np.array([1 - step, 1.0]), quantiles=QUANTILES)[0][:, 0] for step in distances]
        above = [drawn.heatmap(price * np.array([1.0, 1 + step]), quantiles=QUANTILES)[1][:, 0] for step in distances]
        facts |= {
            "quantiles": list(QUANTILES),
            "long_notional_quantiles": long,
            "short_notional_quantiles": short,
            "long_total_quantiles": np.transpose(below),
            "short_total_quantiles": np.transpose(above),
        }
    plain: dict[str, Any] = report.plain(facts)
    return plain


def _largest(book: Book, price: float, reach: float) -> list[dict[str, Any]]:
    """Find the narrow ranges of trigger price that hold more than those about them, outward from the price."""
    out = []
    for sign, side in ((1, book.long), (-1, book.short)):
        count = max(int(abs(np.log(1 - sign * reach)) / _WIDTH), 1)
        grid = price * np.exp(_WIDTH * (np.arange(-count, 1) if sign > 0 else np.arange(count + 1)))
        quantity, notional, positions = (
            np.histogram(side.trigger_price, grid, weights=weights)[0][::-sign]
            for weights in (side.quantity, side.quantity * side.trigger_price, None)
        )
        around = sliding_window_view(np.pad(notional, _APART), 2 * _APART + 1).max(axis=1)
        tops = np.flatnonzero((notional > 0) & (notional == around))
        for k in np.sort(tops[np.argsort(-notional[tops], kind="stable")[:LARGEST]]):
            at = notional[k] / quantity[k]
            out.append(
                {
                    "side": sign,
                    "price": at,
                    "shock": at / price - 1,
                    "count": positions[k],
                    "notional": notional[k],
                    "total": notional[: k + 1].sum(),
                }
            )
    return out


def render(facts: dict[str, Any]) -> None:
    """Print what `build` returned, with ``title`` and ``book_notes``, readable at 80 columns."""
    report.show(
        [
            (facts["title"], ()),
            ("Book", _book_text(facts)),
            ("Longs: liquidated as the price falls", _side_text(facts, "long")),
            ("Shorts: liquidated as the price rises", _side_text(facts, "short")),
            ("Largest levels", _level_text(facts)),
        ]
    )


def _book_text(facts: dict[str, Any]) -> Iterable[str]:
    for name in ("long", "short"):
        yield report.side_text(name, facts["book"][name], facts["price"])
    yield from facts["book_notes"]


def _side_text(facts: dict[str, Any], name: str) -> Iterable[Any]:
    sign = -1 if name == "long" else 1
    price, distances, totals = facts["price"], facts["distances"], facts[f"{name}_total"]
    everything = facts["book"][name]["notional"]
    if not everything:
        yield "None can be liquidated."
        return
    count = len(distances)
    outward = slice(count - 1, None, -1) if name == "long" else slice(count, None)
    notional = facts[f"{name}_notional"][outward]
    headings = ["from", "to", "price", "liquidated", "total", "of side"]
    rows = [
        [
            report.percent(sign * near, 1) if near else "0",
            report.percent(sign * far, 1),
            report.price_text(price * (1 + sign * far)),
            report.money(here),
            report.money(total),
            f"{total / everything:.1%}",
        ]
        for near, far, here, total in zip((0, *distances), distances, notional, totals, strict=False)
    ]
    rest = everything - totals[-1]
    rows.append(
        [report.percent(sign * distances[-1], 1), "beyond", "", report.money(rest), report.money(everything), "100.0%"]
    )
    if "quantiles" in facts:
        headings[2:] = ["liquidated", "5%", "95%", "total", "5%", "95%"]
        bands = np.concatenate(
            [
                np.array(facts[f"{name}_notional_quantiles"])[::2, outward],
                np.array(facts[f"{name}_total_quantiles"])[::2],
            ]
        ).T.tolist()
        for row, band in zip(rows, [*bands, None], strict=True):
            a, b, c, d = map(report.money, band) if band else ("",) * 4
            row[2:] = [row[3], a, b, row[4], c, d]
    yield report.table(headings, rows)


def _level_text(facts: dict[str, Any]) -> Iterable[Any]:
    headings = ["price", "distance", "side", "notional", "total up to it", "positions"]
    rows = [
        [
            report.price_text(level["price"]),
            report.percent(level["shock"]),
            "long" if level["side"] > 0 else "short",
            report.money(level["notional"]),
            report.money(level["total"]),
            f"{level['count']:,}",
        ]
        for level in facts["levels"]
    ]
    if facts["source"]["kind"] == "history":  # whose positions are cells of a grid
        headings, rows = headings[:-1], [row[:-1] for row in rows]
    if rows:
        yield report.table(headings, rows)
        about = f"{100 * _APART * _WIDTH:g}%"
        yield f"Each spans {100 * _WIDTH:g}% of price and holds more than any other within {about} of it."
    else:
        yield f"None within {facts['distances'][-1]:.0%} of the price."
    yield (
        "All amounts are USD at the trigger prices, if the price gets there by itself: `flushpoint response` adds what "
        "forced sales do to the price. total: all from the price to there; of side: its share of all of that side that "
        "can be liquidated."
    )
