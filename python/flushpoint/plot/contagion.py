"""How moves spread from market to market."""

from __future__ import annotations

import importlib
import math
from typing import TYPE_CHECKING, cast

import numpy as np

from flushpoint.contagion import ContagionResult
from flushpoint.plot._axes import LONG, RISK, axes, check_kind

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LETTER = 0.65  # width of a letter, share of its size
_SMALLEST = 5.0  # points: numbers that would have to be smaller are left out


def contagion(c: ContagionResult, ax: Axes | None = None) -> Axes:
    """Draw by how much a further move of each market moves each market, through forced sales.

    Parameters
    ----------
    c : ContagionResult
        What `flushpoint.contagion` returned.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default. The scale of colour takes some of its space.

    Returns
    -------
    matplotlib.axes.Axes
        A row for each market that is moved, a column for each that moves; the spectral radius is in the title.
    """
    check_kind("c", c, ContagionResult, "a ContagionResult")
    ax = axes(ax)
    colors = importlib.import_module("matplotlib.colors")
    known = c.branching[np.isfinite(c.branching)]
    most = float(np.abs(known).max(initial=0.0)) or 1.0
    least = -most if known.min(initial=0.0) < 0 else 0.0
    shades = ["white", LONG] if least == 0 else [RISK, "white", LONG]
    shade = colors.LinearSegmentedColormap.from_list("", shades)
    shown = ax.imshow(c.branching, cmap=shade, vmin=least, vmax=most, aspect="auto")
    figure = cast("Figure", ax.figure)
    figure.colorbar(shown, ax=ax, pad=0.02, aspect=30).set_label("log move per log move")
    ticks = np.arange(len(c.markets))
    ax.set_xticks(ticks, c.markets, rotation=0 if max(map(len, c.markets)) * len(c.markets) < 30 else 90)
    ax.set_yticks(ticks, c.markets)
    ax.set_xlabel("market that moves")
    ax.set_ylabel("market that is moved")
    ax.set_title(f"spectral radius {c.spectral_radius:.3g}", fontsize="medium")
    ax.spines[:].set_visible(False)

    digits = max(1 - math.floor(math.log10(most)), 2)
    numbers = [f"{value:.{digits}f}" for value in (np.round(c.branching, digits) + 0.0).flat]  # no negative zero
    figure.draw_without_rendering()  # only now is known how wide a cell is
    cell = 72 / figure.dpi * ax.get_window_extent().width / len(c.markets)
    size = min(cell / (_LETTER * max(map(len, numbers))), 10.0)
    for (row, column), number in zip(np.ndindex(c.branching.shape), numbers, strict=True):
        if size >= _SMALLEST:
            color = "white" if abs(c.branching[row, column]) > 0.6 * most else "black"
            ax.text(column, row, number, ha="center", va="center", color=color, fontsize=size)
    return ax
