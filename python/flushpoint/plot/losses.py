"""How likely losses are, and how large the tail is."""

from __future__ import annotations

import importlib
import math
from typing import TYPE_CHECKING

import numpy as np

from flushpoint._shown import percent
from flushpoint._validate import FloatArray
from flushpoint.ensemble import Ensemble
from flushpoint.plot._axes import LONG, RISK, SHORT, axes, check_kind, clean, legend, scale_of, thousands, unit_of
from flushpoint.summary import Estimate, check_columns, column_of, inside

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_NARROW, _WIDEST = 10.0, 1e4  # ratios of losses: up to which their scale is linear, and of those that are shown


def losses(
    e: Ensemble,
    ax: Axes | None = None,
    *,
    column: str = "shortfall",
    level: float = 0.99,
    confidence: float = 0.95,
    currency: str = "USD",
) -> Axes:
    """Draw how likely a loss of at least each size is, with value at risk and expected shortfall.

    Probabilities are on a logarithmic scale, so that the tail shows; losses are, too, where they differ by more than a
    factor of 10, and then those below 1/10,000 of the largest are left out. All figures are those of
    `Ensemble.exceedance` and `Ensemble.summary`.

    Parameters
    ----------
    e : Ensemble
        What `flushpoint.simulate` or `flushpoint.stress` returned.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.
    column : str, default "shortfall"
        A column of numbers in which high values are the bad ones, without nan.
    level : float, default 0.99
        Of value at risk and expected shortfall, above 0 and below 1.
    confidence : float, default 0.95
        Of the intervals, drawn as bands, above 0 and below 1.
    currency : str, default "USD"
        Name of the quote currency.

    Returns
    -------
    matplotlib.axes.Axes
        The share of paths without a loss is in the title.
    """
    check_kind("e", e, Ensemble, "a result of many paths or scenarios")
    inside("level", level)
    check_columns(e, [column], "column")
    figures = e.summary([column], [level], confidence)[column]
    if figures.get("tail") != "high":
        raise ValueError(f"column must hold numbers whose high values are the bad ones, was {column!r}")
    curve = e.exceedance(column, confidence=confidence)
    curve = curve[(curve["value"] > 0) & np.isfinite(curve["value"])]
    ax = axes(ax)
    scale, unit = scale_of(curve["value"])
    unit += unit_of(column, currency)
    value = curve["value"] / scale
    wide = value.size > 0 and value[-1] > _NARROW * value[0]
    # Anything that the least loss reaches is reached as likely.
    curve, value = np.append(curve[:1], curve), np.append(value[:1] / 2 if wide else 0.0 * value[:1], value)
    runs = "scenarios" if e.provenance["question"] == "stress" else "paths"
    label = f"share of {runs}, {percent(confidence)} interval"
    ax.fill_between(value, curve["low"], curve["high"], step="pre", color=LONG, alpha=0.25, linewidth=0)
    ax.plot(value, curve["probability"], drawstyle="steps-pre", color=LONG, label=label)
    for name, color in (("value_at_risk", SHORT), ("expected_shortfall", RISK)):
        risk: Estimate = figures[name][level]
        at, low, high = (end / scale for end in risk)
        between = "" if math.isnan(low) else f" [{_short(low)}, {_short(high)}]"
        label = f"{name.replace('_', ' ')}, {percent(level)}\n{_short(at)}{between} {unit}"
        ax.axvline(at if math.isfinite(at) else math.nan, color=color, linewidth=2, label=label)
        if at > 0 and math.isfinite(high - low):
            ax.axvspan(low, high, color=color, alpha=0.2, linewidth=0)
    none = "0" if column_of(e, column).min(initial=0) == 0 else "0 or less"
    without = percent(1 - figures["positive"].value)
    ax.set_title(f"{none} in {without} of {figures['count']:,} {runs}", fontsize="medium")
    ax.set_xlabel(f"{column.replace('_', ' ')} ({unit})")
    ax.set_ylabel(f"{runs} with at least as much")
    _scales(ax, value, wide, figures["count"])
    legend(ax)
    clean(ax)
    return ax


def _short(value: float) -> str:
    return f"{value:,.0f}" if 1_000 <= abs(value) < math.inf else f"{value:.3g}"


def _scales(ax: Axes, value: FloatArray, wide: bool, count: int) -> None:
    ticker = importlib.import_module("matplotlib.ticker")
    ax.set_yscale("log")
    ax.set_ylim(0.5 / count, 1.2)
    ax.yaxis.set_major_formatter(ticker.FuncFormatter(lambda share, _: percent(share)))
    if wide:
        ax.set_xscale("log")
        ax.set_xlim(left=max(value[0], value[-1] / _WIDEST))
        if value[-1] < 1_000 * value[0]:
            ax.xaxis.set_major_locator(ticker.LogLocator(subs=(1.0, 2.0, 5.0)))
        ax.xaxis.set_minor_formatter(ticker.NullFormatter())
    else:
        ax.set_xlim(left=0)
    ax.xaxis.set_major_formatter(thousands())
