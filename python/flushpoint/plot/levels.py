"""Where positions are liquidated: now, and in the course of time."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import ArrayLike

from flushpoint.book import Book
from flushpoint.levels import LevelsOverTime
from flushpoint.plot._axes import LONG, SHORT, axes, check_kind, clean, each_bin, few_ticks, legend, scale_of, thousands

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def levels(
    book: Book,
    price: float,
    ax: Axes | None = None,
    *,
    bins: int | ArrayLike = 120,
    drawn: Any = None,
    currency: str = "USD",
) -> Axes:
    """Draw the notional by liquidation price: longs below `price`, shorts above.

    Parameters
    ----------
    book : Book
        The positions.
    price : float
        The market's price, marked by a line.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.
    bins : int or array_like, default 120
        The edges of the bins, or how many to spread over prices from 0.4 to 2 times the market's.
    drawn : HiddenBooks, optional
        Books that fit the same history: 5 % to 95 % of them are drawn as a band in each bin.
    currency : str, default "USD"
        Name of the quote currency.

    Returns
    -------
    matplotlib.axes.Axes
    """
    check_kind("book", book, Book, "a Book")
    ax = axes(ax)
    edges = np.linspace(0.4 * price, 2 * price, bins + 1) if isinstance(bins, int) else np.asarray(bins, dtype=float)
    notional = book.heatmap(edges)
    bands = [] if drawn is None else drawn.heatmap(edges, quantiles=(0.05, 0.95))
    scale, unit = scale_of(np.concatenate([*notional, *(high for _, high in bands)]))
    for values, color, side in zip(notional, (LONG, SHORT), ("longs", "shorts"), strict=True):
        label = f"{side}: {values.sum() / scale:,.1f} {unit}{currency} shown"
        ax.stairs(values / scale, edges, fill=True, color=color, alpha=0.6 if bands else 1.0, label=label)
    for k, ((low, high), there) in enumerate(zip(bands, (edges[1:] <= price, edges[:-1] >= price), strict=False)):
        label = "" if k else "5% to 95% of the books drawn"
        inside = np.where(there, high, np.nan) / scale, np.where(there, low, np.nan) / scale
        ax.stairs(inside[0], edges, baseline=inside[1], fill=True, color="black", alpha=0.3, linewidth=0, label=label)
    ax.axvline(price, color="black", linewidth=1)
    ax.text(price, 1.01, f"price {price:,.6g}", transform=ax.get_xaxis_transform(), ha="center")
    ax.set_xlabel(f"liquidation price ({currency})")
    ax.set_ylabel(f"notional per bin{each_bin(edges, currency)} ({unit}{currency})")
    ax.xaxis.set_major_locator(few_ticks(6))
    ax.xaxis.set_major_formatter(thousands())
    ax.set_xlim(edges[0], edges[-1])
    legend(ax)
    clean(ax)
    return ax


def levels_over_time(levels: LevelsOverTime, ax: Axes | None = None, *, currency: str = "USD") -> Axes:
    """Draw the notional by liquidation price in the course of time, with the market's price.

    Parameters
    ----------
    levels : LevelsOverTime
        What `flushpoint.levels.over_time` returned.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default. The scales of colour take some of its space.
    currency : str, default "USD"
        Name of the quote currency.

    Returns
    -------
    matplotlib.axes.Axes
    """
    check_kind("levels", levels, LevelsOverTime, "LevelsOverTime")
    ax = axes(ax)
    colors = importlib.import_module("matplotlib.colors")
    notional = np.stack([levels.long_notional, levels.short_notional])
    scale, unit = scale_of(notional)
    # One scale of colour for both sides; its few fullest cells would leave the rest pale.
    filled = notional[notional > 0]
    top = float(np.quantile(filled, 0.98)) / scale if filled.size else 1.0
    figure = cast("Figure", ax.figure)
    for values, color, side in zip(notional, (LONG, SHORT), ("longs", "shorts"), strict=True):
        mesh = ax.pcolormesh(
            levels.time,
            levels.edges,
            np.ma.masked_equal(values.T / scale, 0.0),
            cmap=colors.LinearSegmentedColormap.from_list(side, ["white", color, "black"]),
            norm=colors.PowerNorm(0.6, 0.0, top),
        )
        bar = figure.colorbar(mesh, ax=ax, extend="max", pad=0.01, aspect=35)
        if side == "longs":
            each = each_bin(levels.edges, currency)
            bar.set_label(f"notional per bin{each} ({unit}{currency})\nshorts orange, longs blue")
        else:  # to the left of the longs', which has the numbers of both
            bar.set_ticks([])
    ax.plot(levels.time[:-1], levels.price, color="black", linewidth=1.1, label="price")
    ax.set_ylabel(f"liquidation price ({currency})")
    ax.yaxis.set_major_formatter(thousands())
    if np.issubdtype(levels.time.dtype, np.datetime64):
        dates = importlib.import_module("matplotlib.dates")
        ticks = dates.AutoDateLocator(minticks=2, maxticks=5)
        ax.xaxis.set_major_locator(ticks)
        ax.xaxis.set_major_formatter(dates.ConciseDateFormatter(ticks))
        ax.set_xlabel("time (UTC)", loc="left")
    else:
        ax.set_xlabel("time since the first row (hours)")
    legend(ax, "lower left")
    clean(ax)
    return ax
