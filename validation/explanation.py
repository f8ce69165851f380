"""Explain a day's low and write what is found into docs/explanation.md.

    python validation/explanation.py

Only the text between the page's marks is replaced. Takes about a minute.
"""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
from page import table, write

import flushpoint as fp
from flushpoint import example
from flushpoint.explain import LABELS

PAGE = Path(__file__).parents[1] / "docs" / "explanation.md"
USD_PER_PERCENT = 1.5e9
STOPPED = 0.92  # of the price: where one in four longs has a stop order
PATHS = 2_000


@functools.cache
def explanation() -> fp.Explanation:
    """Explain the low of the embedded example's day with news."""
    book = example.book()
    orders = (np.arange(len(book)) % 4 == 0) & (book.side > 0)
    market = fp.Market(
        example.PRICE,
        fp.LinearImpact(0.01 / (USD_PER_PERCENT / example.PRICE)),
        half_life=3_600.0,
        depth=fp.LivingDepth(0.8, elasticity=0.25),
    )
    return fp.explain(
        book.with_stops(np.where(orders, STOPPED * example.PRICE, np.nan)),
        market,
        fp.GBM(0.6),
        paths=PATHS,
        seed=1,
        without_stops=book,
        script=fp.Script(np.array([43_200.0]), move=np.log(0.94)),
        sellers=fp.VolatilityTargeting(10_000.0, 0.6),
        venue=fp.Venue(fund=100e6, adl="queue"),
    )


def table_block() -> str:
    """Show what is printed."""
    return f"```text\n{explanation()}\n```\n"


def orders_block() -> str:
    """Set one line a player: what it adds to nobody, what it adds to all others, and its Shapley value."""
    e = explanation()
    low = {there: np.log(run.low_price / e.start).mean() for there, run in e.runs.items()}
    everyone, total = frozenset(e.players), low[frozenset(e.players)]
    rows = [["", "joins first", "joins last", "share"]]
    sums = np.zeros(3)
    for player in e.players:
        first = low[frozenset({player})] - low[frozenset()]
        last = total - low[everyone - {player}]
        row = np.array([first, last, e.shares[player].mean()]) / total + 0.0  # no -0
        sums += row
        rows.append([LABELS[player], *(f"{x:.1%}" for x in row)])
    rows.append(["together", *(f"{x:.1%}" for x in sums)])
    return table(rows)


def main() -> None:
    """Work everything out and rewrite the page's blocks."""
    write(PAGE, {"table": table_block, "orders": orders_block}, "validation/explanation.py")


if __name__ == "__main__":
    main()
