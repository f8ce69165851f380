"""Pictures of results (extra ``plot``: matplotlib). Each function takes a result and an axes, and returns the axes."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import ArrayLike

from flushpoint.report import largest

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from flushpoint.book import Book
    from flushpoint.levels import LevelsOverTime
    from flushpoint.response import Response

# Okabe and Ito's palette: told apart with any colour vision, and in grey by their lightness
_LONG, _SHORT = "#0072B2", "#E69F00"
_MARKED = 4  # tipping points marked on each side


def response(r: Response, ax: Axes | None = None, *, shocks: ArrayLike | None = None, currency: str = "USD") -> Axes:
    """Draw the final price against the shock, its largest tipping points marked, and below it what is closed.

    Parameters
    ----------
    r : Response
        What `flushpoint.response` returned.
    ax : matplotlib.axes.Axes, optional
        Where to draw, an axes made by ``subplots`` or ``add_subplot``; a new figure by default. The lower panel takes a
        third of its space.
    shocks : array_like, optional
        The shocks to show, increasing; by default -50 % to +50 %.
    currency : str, default "USD"
        Name of the quote currency.

    Returns
    -------
    matplotlib.axes.Axes
        The upper panel.
    """
    ax = _axes(ax)
    below = _panel_below(ax)
    shock = np.linspace(-0.5, 0.5, 4001) if shocks is None else np.asarray(shocks, dtype=np.float64)
    outcome = r(shock)
    closed, stops = outcome.liquidated_notional + outcome.stop_notional, "stop_notional" in outcome
    what = "liquidated or stopped" if stops else "liquidated"
    scale, unit = _scale(closed)
    for part, color, side in ((shock <= 0, _LONG, "longs"), (shock >= 0, _SHORT, "shorts")):
        ax.plot(100 * shock[part], outcome.final_price[part], color=color, linewidth=2, label=f"{side} {what}")
        below.fill_between(100 * shock[part], closed[part] / scale, color=color, linewidth=0)
    alone = r.market.price * (1 + shock)
    ax.plot(100 * shock, alone, color="black", linewidth=0.8, linestyle="--", label="without liquidations")

    tips = r.tipping_points
    tips = tips[(tips["shock"] >= shock.min()) & (tips["shock"] <= shock.max())]
    tips = np.concatenate([largest(tips[tips["side"] == side], _MARKED) for side in (1, -1)])
    if len(tips):
        ax.scatter(
            100 * tips["shock"],
            tips["final_price"],
            s=25 + 175 * tips["notional"] / tips["notional"].max(),
            facecolors="none",
            edgecolors="black",
            linewidths=1.1,
            zorder=3,
            label="largest tipping points: price after, area by notional",
        )
        for tip in tips["shock"]:
            below.axvline(100 * tip, color="black", linewidth=0.7, linestyle=":")
    ax.set_ylabel(f"final price ({currency})")
    ax.yaxis.set_major_formatter(_thousands())
    ax.tick_params(labelbottom=False)
    ax.legend(frameon=False, fontsize="small")
    below.set_xlabel("shock that starts it (%)")
    below.set_ylabel(f"{what} ({unit}{currency})")
    below.set_ylim(0, None if np.any(closed) else 1)
    for panel in (ax, below):
        panel.margins(x=0.02)
        _clean(panel)
    return ax


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
    ax = _axes(ax)
    edges = np.linspace(0.4 * price, 2 * price, bins + 1) if isinstance(bins, int) else np.asarray(bins, dtype=float)
    notional = book.heatmap(edges)
    bands = [] if drawn is None else drawn.heatmap(edges, quantiles=(0.05, 0.95))
    scale, unit = _scale(np.concatenate([*notional, *(high for _, high in bands)]))
    for values, color, side in zip(notional, (_LONG, _SHORT), ("longs", "shorts"), strict=True):
        label = f"{side}: {values.sum() / scale:,.1f} {unit}{currency} shown"
        ax.stairs(values / scale, edges, fill=True, color=color, alpha=0.6 if bands else 1.0, label=label)
    for k, ((low, high), there) in enumerate(zip(bands, (edges[1:] <= price, edges[:-1] >= price), strict=False)):
        label = "" if k else "5% to 95% of the books drawn"
        inside = np.where(there, high, np.nan) / scale, np.where(there, low, np.nan) / scale
        ax.stairs(inside[0], edges, baseline=inside[1], fill=True, color="black", alpha=0.3, linewidth=0, label=label)
    ax.axvline(price, color="black", linewidth=1)
    ax.text(price, 1.01, f"price {price:,.6g}", transform=ax.get_xaxis_transform(), ha="center")
    ax.set_xlabel(f"liquidation price ({currency})")
    ax.set_ylabel(f"notional per bin{_each(edges, currency)} ({unit}{currency})")
    ax.xaxis.set_major_formatter(_thousands())
    ax.set_xlim(edges[0], edges[-1])
    ax.legend(frameon=False, fontsize="small")
    _clean(ax)
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
    ax = _axes(ax)
    colors = importlib.import_module("matplotlib.colors")
    notional = np.stack([levels.long_notional, levels.short_notional])
    scale, unit = _scale(notional)
    # One scale of colour for both sides; its few fullest cells would leave the rest pale.
    filled = notional[notional > 0]
    top = float(np.quantile(filled, 0.98)) / scale if filled.size else 1.0
    figure = cast("Figure", ax.figure)
    for values, color, side in zip(notional, (_LONG, _SHORT), ("longs", "shorts"), strict=True):
        mesh = ax.pcolormesh(
            levels.time,
            levels.edges,
            np.ma.masked_equal(values.T / scale, 0.0),
            cmap=colors.LinearSegmentedColormap.from_list(side, ["white", color, "black"]),
            norm=colors.PowerNorm(0.6, 0.0, top),
        )
        bar = figure.colorbar(mesh, ax=ax, extend="max", pad=0.01, aspect=35)
        if side == "longs":
            each = _each(levels.edges, currency)
            bar.set_label(f"notional per bin{each} ({unit}{currency}); shorts orange, longs blue")
        else:  # to the left of the longs', which has the numbers of both
            bar.set_ticks([])
    ax.plot(levels.time[:-1], levels.price, color="black", linewidth=1.1, label="price")
    ax.set_ylabel(f"liquidation price ({currency})")
    ax.yaxis.set_major_formatter(_thousands())
    if np.issubdtype(levels.time.dtype, np.datetime64):
        dates = importlib.import_module("matplotlib.dates")
        ax.xaxis.set_major_formatter(dates.ConciseDateFormatter(ax.xaxis.get_major_locator()))
        ax.set_xlabel("time (UTC)")
    else:
        ax.set_xlabel("time since the first row (hours)")
    ax.set_title(
        f"inferred anew {levels.books} times; in between only what the price crossed is taken out", fontsize="small"
    )
    ax.legend(loc="lower left", fontsize="small")
    _clean(ax)
    return ax


def require() -> None:
    """Raise an ImportError that says what to install if matplotlib is missing."""
    try:
        importlib.import_module("matplotlib")
    except ImportError as error:
        raise ImportError('pictures need matplotlib: pip install "flushpoint[plot]"') from error


def _axes(ax: Axes | None) -> Axes:
    require()
    if ax is not None:
        return ax
    axes: Axes = importlib.import_module("matplotlib.pyplot").subplots(figsize=(8, 5), layout="constrained")[1]
    return axes


def _panel_below(ax: Axes) -> Axes:
    """Give the lower third of the space of `ax` to a second axes."""
    space, figure = ax.get_subplotspec(), ax.get_figure()
    if space is None or figure is None:
        raise ValueError("ax must be made by subplots or add_subplot, was an axes placed by hand")
    grid = space.subgridspec(2, 1, height_ratios=(2, 1), hspace=0.08)
    ax.set_subplotspec(grid[0])
    return figure.add_subplot(grid[1], sharex=ax)


def _scale(notional: Any) -> tuple[float, str]:
    """Choose a divisor, and its name, that keep tick labels short."""
    top = np.max(notional, initial=0.0)
    return next(((scale, name) for scale, name in ((1e9, "bn "), (1e6, "M ")) if top >= scale), (1.0, ""))


def _each(edges: Any, currency: str) -> str:
    """Name the width that all bins share, if they do."""
    widths, ratios = np.diff(edges), edges[1:] / edges[:-1]
    if np.allclose(widths, widths[0], atol=0.0):
        return f" of {widths[0]:,.4g} {currency}"
    return f" of {100 * (ratios[0] - 1):.2g}%" if np.allclose(ratios, ratios[0], atol=0.0) else ""


def _thousands() -> Any:
    return importlib.import_module("matplotlib.ticker").StrMethodFormatter("{x:,.6g}")


def _clean(ax: Axes) -> None:
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(alpha=0.25, linewidth=0.6)
    ax.set_axisbelow(True)
