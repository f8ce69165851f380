"""One cascade wave by wave, and one path step by step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from flushpoint.cascade import CascadeResult
from flushpoint.plot._axes import (
    BOTH,
    axes,
    check_kind,
    clean,
    duration,
    few_ticks,
    legend,
    panel_below,
    scale_of,
    thousands,
)
from flushpoint.run import PathResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_BARS = 120  # of a path


def waves(c: CascadeResult, ax: Axes | None = None, *, currency: str = "USD") -> Axes:
    """Draw the price that each wave of a cascade leaves, and below it what the wave closes.

    Parameters
    ----------
    c : CascadeResult
        What `flushpoint.cascade` returned for a book.
    ax : matplotlib.axes.Axes, optional
        Where to draw, an axes made by ``subplots`` or ``add_subplot``; a new figure by default. The lower panel takes a
        third of its space.
    currency : str, default "USD"
        Name of the quote currency.

    Returns
    -------
    matplotlib.axes.Axes
        The upper panel; wave 0 is shock and sale.
    """
    check_kind("c", c, CascadeResult, "a CascadeResult, from a Book")
    ax = axes(ax)
    below = panel_below(ax)
    number = np.arange(1, c.waves.size + 1)
    price = np.append(c.waves["price"], c.final_price)
    scale, unit = scale_of(c.waves["notional"])
    ax.plot(np.append(0, number), price, "o-", color="black", markersize=3, linewidth=1, label="price after each wave")
    ax.axhline(c.final_price, color="black", linewidth=0.8, linestyle=":", label=f"final price {c.final_price:,.6g}")
    below.bar(number, c.waves["notional"] / scale, color=BOTH, width=0.8)
    below.set_xlabel("wave")
    below.xaxis.set_major_locator(few_ticks(8, whole=True))
    below.set_ylabel(f"{_closed(c)} ({unit}{currency})")
    _finish(ax, below, c.waves["notional"], currency)
    return ax


def path(p: PathResult, ax: Axes | None = None, *, currency: str = "USD") -> Axes:
    """Draw the price of one path with its waves, and below it what is closed in the course of time.

    Parameters
    ----------
    p : PathResult
        What `SimulationResult.replay` returned.
    ax : matplotlib.axes.Axes, optional
        Where to draw, an axes made by ``subplots`` or ``add_subplot``; a new figure by default. The lower panel takes a
        third of its space.
    currency : str, default "USD"
        Name of the quote currency.

    Returns
    -------
    matplotlib.axes.Axes
        The upper panel.
    """
    check_kind("p", p, PathResult, "a PathResult")
    ax = axes(ax)
    below = panel_below(ax)
    second, name = duration(p.time[-1])
    time, step = p.time / second, p.waves["step"]
    ax.plot(time, p.price, color="black", linewidth=1, label="price")
    if p.waves.size:
        ax.plot(time[step], p.waves["price"], "o", color=BOTH, markersize=3, label="waves")
    steps = time.size - 1
    each = -(-steps // _MOST_BARS)
    edges = np.append(time[:-1:each], time[-1])
    notional = np.bincount((step - 1) // each, weights=p.waves["notional"], minlength=edges.size - 1)
    scale, unit = scale_of(notional)
    below.stairs(notional / scale, edges, fill=True, color=BOTH)
    length, long_name = duration(p.time[each])
    below.set_xlabel(f"time ({name})")
    below.set_ylabel(f"{_closed(p)}\nin {p.time[each] / length:.3g} {long_name}\n({unit}{currency})")
    _finish(ax, below, notional, currency)
    return ax


def _closed(result: CascadeResult | PathResult) -> str:
    return "liquidated or stopped" if getattr(result, "stop_count", 0) else "liquidated"


def _finish(ax: Axes, below: Axes, notional: NDArray[Any], currency: str) -> None:
    ax.set_ylabel(f"price ({currency})")
    ax.yaxis.set_major_formatter(thousands())
    ax.tick_params(labelbottom=False)
    legend(ax)
    below.set_ylim(0, None if np.any(notional) else 1)
    for panel in (ax, below):
        panel.margins(x=0.02)
        clean(panel)
