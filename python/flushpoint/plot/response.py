"""Every cascade of a book in one picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from flushpoint.plot._axes import LONG, SHORT, axes, check_kind, clean, legend, panel_below, scale_of, thousands
from flushpoint.report import largest
from flushpoint.response import Response

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MARKED = 4  # tipping points marked on each side


def response(r: Response, ax: Axes | None = None, *, shocks: ArrayLike | None = None, currency: str = "USD") -> Axes:
    """Draw the final price against the shock, and below it what is closed.

    The largest tipping points are marked where they lead, with an area that goes by their notional.

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
    check_kind("r", r, Response, "a Response")
    ax = axes(ax)
    below = panel_below(ax)
    shock = np.linspace(-0.5, 0.5, 4001) if shocks is None else np.asarray(shocks, dtype=np.float64)
    outcome = r(shock)
    closed, stops = outcome.liquidated_notional + outcome.stop_notional, "stop_notional" in outcome
    what = "liquidated or stopped" if stops else "liquidated"
    scale, unit = scale_of(closed)
    for part, color, side in ((shock <= 0, LONG, "longs"), (shock >= 0, SHORT, "shorts")):
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
            label="largest tipping points",
        )
        for tip in tips["shock"]:
            below.axvline(100 * tip, color="black", linewidth=0.7, linestyle=":")
    ax.set_ylabel(f"final price ({currency})")
    ax.yaxis.set_major_formatter(thousands())
    ax.tick_params(labelbottom=False)
    legend(ax)
    below.set_xlabel("shock that starts it (%)")
    below.set_ylabel(f"{what} ({unit}{currency})")
    below.set_ylim(0, None if np.any(closed) else 1)
    for panel in (ax, below):
        panel.margins(x=0.02)
        clean(panel)
    return ax
