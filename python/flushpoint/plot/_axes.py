"""What every picture shares: palette, axes, scales and formats."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's palette: told apart with any colour vision, and in grey by their lightness
LONG, SHORT = "#0072B2", "#E69F00"
BOTH = "#009E73"  # longs and shorts together
RISK = "#D55E00"


# Units of columns by how their names end; all others are money, or prices in it.
_UNITS = {
    "quantity": "base units",
    "count": "positions",
    "waves": "waves",
    "rounds": "rounds",
    "closed": "accounts",
    "defaulted": "accounts",
    "low_time": "seconds",
    "amplification": "ratio",
    "least_liquidity": "share of depth at rest",
    "exhausted": "share of paths",
    "runaway": "share of paths",
}


def unit_of(column: str, currency: str) -> str:
    """Name the unit of a result's column; of one among several markets, too."""
    name = column.partition(".")[0]
    return next((unit for end, unit in _UNITS.items() if name.endswith(end)), currency)


def check_kind(name: str, value: object, kind: type, rule: str) -> None:
    """Raise unless a picture is asked of what it can show."""
    if not isinstance(value, kind):
        raise TypeError(f"{name} must be {rule}, was {type(value).__name__}")


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


def duration(seconds: float) -> tuple[float, str]:
    """Choose a unit of time that makes at least two of `seconds`: its seconds, and its name."""
    units = ((86_400.0, "days"), (3_600.0, "hours"), (60.0, "minutes"))
    return next(((unit, name) for unit, name in units if seconds >= 2 * unit), (1.0, "seconds"))


def each_bin(edges: Any, currency: str) -> str:
    """Name the width that all bins share, if they do."""
    widths, ratios = np.diff(edges), edges[1:] / edges[:-1]
    if np.allclose(widths, widths[0], atol=0.0):
        return f" of {widths[0]:,.4g} {currency}"
    return f" of {100 * (ratios[0] - 1):.2g}%" if np.allclose(ratios, ratios[0], atol=0.0) else ""


def thousands() -> Any:
    """Make a format of ticks with commas."""
    return importlib.import_module("matplotlib.ticker").StrMethodFormatter("{x:,.10g}")


def few_ticks(most: int = 4, *, whole: bool = False) -> Any:
    """Place ticks so far apart that long labels fit side by side, on a narrow screen, too."""
    return importlib.import_module("matplotlib.ticker").MaxNLocator(most, integer=whole)


def clean(ax: Axes) -> None:
    """Take away the frame, and draw a faint grid behind."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(alpha=0.25, linewidth=0.6)
    ax.set_axisbelow(True)


def legend(ax: Axes, where: str = "best") -> None:
    """Add a legend without a frame, legible on what it happens to lie on."""
    outline = importlib.import_module("matplotlib.patheffects").withStroke(linewidth=2.5, foreground="white")
    place: Any = where
    for text in ax.legend(frameon=False, fontsize="small", loc=place).get_texts():
        text.set_path_effects([outline])
