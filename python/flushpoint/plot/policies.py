"""What policies change."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from flushpoint._shown import percent
from flushpoint._validate import number
from flushpoint.experiment import Experiment
from flushpoint.plot._axes import LONG, axes, check_kind, clean, scale_of, thousands, unit_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def policies(
    x: Experiment, ax: Axes | None = None, *, column: str, level: float | None = None, currency: str = "USD"
) -> Axes:
    """Draw what each policy changes against the baseline, with its interval.

    Parameters
    ----------
    x : Experiment
        What `flushpoint.experiment` returned.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.
    column : str
        One of the columns that were compared.
    level : float, optional
        Draw changes of the expected shortfall at this level, one of the experiment's; by default changes of the mean.
    currency : str, default "USD"
        Name of the quote currency.

    Returns
    -------
    matplotlib.axes.Axes
        A row a policy, the first on top.
    """
    check_kind("x", x, Experiment, "an Experiment")
    if column not in x.columns:
        raise ValueError(f"column must be among {', '.join(x.columns)}, was {column!r}")
    tail = None if level is None else number("level", level)
    if tail is not None and tail not in x.levels:
        raise ValueError(f"level must be among {', '.join(map(str, x.levels))}, was {tail}")
    figures = [x.comparison(name)[column] for name in x]
    if tail is not None and "expected_shortfall" not in figures[0]:
        raise ValueError(f"level must be left out for a column of truth values, was {tail} for {column!r}")
    ax = axes(ax)
    change = np.array([f["difference"] if tail is None else f["expected_shortfall"][tail] for f in figures])
    finite = change[np.isfinite(change)]
    scale, unit = scale_of(np.abs(finite))
    unit += unit_of(column, currency)
    row = np.arange(len(x))
    value, low, high = change.T / scale
    ax.hlines(row, low, high, color=LONG, linewidth=2.5)
    ax.plot(value, row, "o", color=LONG, markersize=7)
    ax.axvline(0, color="black", linewidth=1)
    for k, name in enumerate(x):
        clear = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}  # of the line at 0
        ax.text(0.01, k - 0.2, name, transform=ax.get_yaxis_transform(), va="bottom", fontsize="medium", bbox=clear)
    ax.set_ylim(len(x) - 0.6, -0.6)
    what = "mean" if tail is None else f"expected shortfall at {percent(tail)} of"
    ax.set_xlabel(f"change of {what}\n{column.replace('_', ' ')} ({unit})")
    ax.set_title(f"against the baseline, {percent(x.confidence)} intervals", fontsize="medium")
    ax.xaxis.set_major_formatter(thousands())
    clean(ax)
    ax.yaxis.set_visible(False)
    ax.spines["left"].set_visible(False)
    return ax
