"""What every picture shares: palette, axes, scales and formats."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's palette: told apart with any colour vision, and in grey by their lightness
LONG, SHORT = "#0072B2", "#E69F00"


def require() -> None:
    """Raise an ImportError that says what to install if matplotlib is missing."""
    try:
        importlib.import_module("matplotlib")
    except ImportError as error:
        raise ImportError('pictures need matplotlib: pip install "flushpoint[plot]"') from error


def axes(ax: Axes | None) -> Axes:
    """Return `ax`, or a new one."""
    require()
    if ax is not None:
        return ax
    new: Axes = importlib.import_module("matplotlib.pyplot").subplots(figsize=(8, 5), layout="constrained")[1]
    return new


def panel_below(ax: Axes) -> Axes:
    """Give the lower third of the space of `ax` to a second axes."""
    space, figure = ax.get_subplotspec(), ax.get_figure()
    if space is None or figure is None:
        raise ValueError("ax must be made by subplots or add_subplot, was an axes placed by hand")
    grid = space.subgridspec(2, 1, height_ratios=(2, 1), hspace=0.08)
    ax.set_subplotspec(grid[0])
    return figure.add_subplot(grid[1], sharex=ax)


def scale_of(notional: Any) -> tuple[float, str]:
    """Choose a divisor, and its name, that keep tick labels short."""
    top = np.max(notional, initial=0.0)
    return next(((scale, name) for scale, name in ((1e9, "bn "), (1e6, "M ")) if top >= scale), (1.0, ""))


def each_bin(edges: Any, currency: str) -> str:
    """Name the width that all bins share, if they do."""
    widths, ratios = np.diff(edges), edges[1:] / edges[:-1]
    if np.allclose(widths, widths[0], atol=0.0):
        return f" of {widths[0]:,.4g} {currency}"
    return f" of {100 * (ratios[0] - 1):.2g}%" if np.allclose(ratios, ratios[0], atol=0.0) else ""


def thousands() -> Any:
    """Make a format of ticks with commas."""
    return importlib.import_module("matplotlib.ticker").StrMethodFormatter("{x:,.6g}")


def clean(ax: Axes) -> None:
    """Take away the frame, and draw a faint grid behind."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(alpha=0.25, linewidth=0.6)
    ax.set_axisbelow(True)
