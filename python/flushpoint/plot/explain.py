"""Whose a move is, as a waterfall."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from flushpoint._shown import short
from flushpoint.explain import LABELS, TOTAL
from flushpoint.plot._axes import axes, clean, thousands

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from flushpoint.explain import Explanation

# Of Okabe and Ito's palette, apart from the colours of longs and shorts
_COLORS = {
    "exogenous": "0.6",
    "forced": "#D55E00",
    "stops_and_algorithms": "#CC79A7",
    "depth": "#56B4E9",
    TOTAL: "0.25",
}


def explanation(e: Explanation, ax: Axes | None = None, *, percent: bool = False, currency: str = "USD") -> Axes:
    """Draw the mean move of the price as a waterfall: from the start over each share to the total, with intervals.

    Parameters
    ----------
    e : Explanation
        What `flushpoint.explain` returned.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.
    percent : bool, default False
        In % of the price at the start rather than in quote units.
    currency : str, default "USD"
        Name of the quote currency.

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = axes(ax)
    unit, scale = ("% of the start", 100 / e.start) if percent else (currency, 1.0)
    figures = {name: scale * np.array(one["quote"]) for name, one in e.summary().items()}
    at = 0.0
    for place, (name, (size, low, high)) in enumerate(figures.items()):
        begin = 0.0 if name == TOTAL else at
        end = begin + size
        ax.bar(place, size, bottom=begin, width=0.6, color=_COLORS[name])
        reach = [[size - low], [high - size]]
        ax.errorbar(place, end, reach, color="black", linewidth=1.1, capsize=4)
        text = f"{short(size)} %" if percent else short(size)
        up = size > 0
        edge = np.fmax(end, begin + high) if up else np.fmin(end, begin + low)  # of bar and interval
        where = ("bottom", 4) if up else ("top", -4)
        ax.annotate(
            text, (place, edge), (0, where[1]), textcoords="offset points", ha="center", va=where[0], fontsize="small"
        )
        if name != TOTAL:
            ax.plot([place, place + 1], [end, end], color="black", linewidth=0.6, linestyle=":")
            at = end
    ax.axhline(0.0, color="black", linewidth=0.8)
    ax.set_xticks(range(len(figures)), [LABELS[name].replace(" and ", "\nand ") for name in figures])
    ax.margins(y=0.1)
    ax.set_ylabel(f"mean change of the {e.column.replace('_', ' ')} ({unit})")
    ax.yaxis.set_major_formatter(thousands())
    ax.set_title(f"from {e.start:,.6g} {currency}; error bars: {100 * e.confidence:g}% intervals", fontsize="medium")
    clean(ax)
    ax.grid(visible=False, axis="x")
    return ax
