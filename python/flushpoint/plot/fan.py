"""Prices of many paths in the course of time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from flushpoint._shown import percent
from flushpoint._validate import FloatArray, count, finite_array
from flushpoint.plot._axes import LONG, axes, check_kind, clean, duration, legend, thousands
from flushpoint.simulate import SimulationResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def fan(
    e: SimulationResult,
    ax: Axes | None = None,
    *,
    quantiles: ArrayLike = (0.05, 0.25, 0.5, 0.75, 0.95),
    lines: int = 0,
    currency: str = "USD",
) -> Axes:
    """Draw quantiles over paths of the price in the course of time; prices without bound are left out.

    Parameters
    ----------
    e : SimulationResult
        What `flushpoint.simulate` returned with ``record``.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.
    quantiles : array_like, default (0.05, 0.25, 0.5, 0.75, 0.95)
        From 0 to 1, at least one: the lowest and the highest bound a band, and so on inward; what is left in the middle
        is a line.
    lines : int, default 0
        So many single paths, the first ones, are drawn, too.
    currency : str, default "USD"
        Name of the quote currency.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TypeError, ValueError
        Where an argument breaks its rule, or nothing was recorded.
    """
    check_kind("e", e, SimulationResult, "a SimulationResult, from a book in one market")
    levels = np.unique(finite_array("quantiles", quantiles))
    if not levels.size:
        raise ValueError("quantiles must hold at least one, was empty")
    prices = _finite(e.fan(levels))
    shown = count("lines", lines, 0, len(e.prices))
    ax = axes(ax)
    second, name = duration(e.recorded_time[-1])
    time = e.recorded_time / second
    for k in range(levels.size // 2):
        label = f"{percent(levels[k])} to {percent(levels[-1 - k])} of paths"
        ax.fill_between(time, prices[k], prices[-1 - k], color=LONG, alpha=0.2 + 0.1 * k, linewidth=0, label=label)
    if levels.size % 2:
        middle = levels.size // 2
        label = "median" if levels[middle] == 0.5 else f"{percent(levels[middle])} of paths are lower"
        ax.plot(time, prices[middle], color=LONG, linewidth=2, label=label)
    for k, price in enumerate(_finite(e.prices[:shown])):
        ax.plot(time, price, color="black", linewidth=0.5, alpha=0.6, label="" if k else "single paths")
    start = e.provenance["arguments"]["market"].price
    ax.axhline(start, color="black", linewidth=0.8, linestyle="--", label=f"start {start:,.6g}")
    ax.set_xlabel(f"time ({name})")
    ax.set_ylabel(f"price ({currency})")
    ax.yaxis.set_major_formatter(thousands())
    ax.margins(x=0)
    legend(ax, "best" if shown else "upper left")
    clean(ax)
    return ax


def _finite(prices: FloatArray) -> FloatArray:
    return np.where(np.isfinite(prices), prices, np.nan)
