"""How fragile a book is: its reproduction number by price, and where shocks of which size tip it at which depth."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

from flushpoint._validate import one_of
from flushpoint.plot._axes import LONG, SHORT, axes, clean, scale_of, thousands

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from flushpoint.fragility import Fragility, TippingSurface

# Of the same palette; the word stands beside it, too.
_LIGHTS = {"green": "#009E73", "amber": "#F0E442", "red": "#D55E00"}
_FRONTIER = "#D55E00"


def fragility(f: Fragility, ax: Axes | None = None, *, currency: str = "USD") -> Axes:
    """Draw the reproduction number by price, with 1 marked, and the ordinary fall in the colour of its light.

    Parameters
    ----------
    f : Fragility
        What `flushpoint.fragility` returned.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.
    currency : str, default "USD"
        Name of the quote currency.

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = axes(ax)
    below = f.prices <= f.price
    numbers = np.where(np.isfinite(f.reproduction_number), f.reproduction_number, np.nan)
    for part, color, side in ((below, LONG, "longs, if it falls"), (~below, SHORT, "shorts, if it rises")):
        ax.plot(f.prices[part], numbers[part], color=color, linewidth=2, label=side)
    ax.axhline(1.0, color="black", linewidth=1, linestyle="--", label="1: a move feeds itself")
    label = f"ordinary fall, {100 * f.ordinary_fall:.3g}%: {f.light}"
    ax.axvspan(f.price * (1 + f.ordinary_fall), f.price, color=_LIGHTS[f.light], alpha=0.35, linewidth=0, label=label)
    ax.axvline(f.price, color="black", linewidth=1)
    ax.text(f.price, 1.01, f"price {f.price:,.6g}", transform=ax.get_xaxis_transform(), ha="center")
    label = "tipping point"
    for shock in (f.long.tipping_shock, f.short.tipping_shock):
        at = f.price * (1 + shock)
        if f.prices[0] <= at <= f.prices[-1]:
            ax.axvline(at, color="black", linewidth=0.9, linestyle=":", label=label)
            label = ""
    ax.set_xlabel(f"price ({currency})")
    ax.set_ylabel(f"reproduction number over {100 * f.width:.3g}%")
    ax.xaxis.set_major_formatter(thousands())
    ax.set_xlim(f.prices[0], f.prices[-1])
    ax.set_ylim(0, max(1.15, 1.05 * float(np.nanmax(numbers, initial=0.0))))
    ax.legend(frameon=False, fontsize="small")
    clean(ax)
    return ax


def tipping_surface(
    s: TippingSurface,
    ax: Axes | None = None,
    *,
    show: Literal["amplification", "liquidated_notional"] = "amplification",
    currency: str = "USD",
) -> Axes:
    """Draw what shocks do at each depth, in colour, and the smallest shock that tips the book, as a line.

    Parameters
    ----------
    s : TippingSurface
        What `flushpoint.tipping_surface` returned.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default. The scale of colour takes some of its space.
    show : {"amplification", "liquidated_notional"}
        What is coloured.
    currency : str, default "USD"
        Name of the quote currency.

    Returns
    -------
    matplotlib.axes.Axes
    """
    one_of("show", show, ("amplification", "liquidated_notional"))
    ax = axes(ax)
    colors, ticker = (importlib.import_module(f"matplotlib.{name}") for name in ("colors", "ticker"))
    if show == "amplification":
        values, label = s.amplification, "amplification"
        # A few cells just past the frontier would leave the rest dark; where the depth is used up it is inf.
        norm = colors.LogNorm(1.0, max(1.1, float(np.quantile(np.append(1.0, values[np.isfinite(values)]), 0.98))))
        values = np.minimum(values, sys.float_info.max)
    else:
        scale, unit = scale_of(s.liquidated_notional)
        values, label = s.liquidated_notional / scale, f"liquidated ({unit}{currency})"
        norm = colors.Normalize(0.0, float(values.max()) or 1.0)
    xs, ys = 100 * _edges(s.shocks), np.exp(_edges(np.log(s.liquidity)))
    mesh = ax.pcolormesh(xs, ys, values, cmap="cividis", norm=norm, rasterized=True)
    more = "max" if values.max() > norm.vmax else "neither"
    bar = cast("Figure", ax.figure).colorbar(mesh, ax=ax, pad=0.01, extend=more)
    bar.set_label(label)
    if show == "amplification":
        bar.ax.yaxis.set_minor_formatter(ticker.LogFormatter(minor_thresholds=(2, 0.5)))
        bar.ax.yaxis.set_major_formatter(thousands())
    label = f"smallest shock that tips, by {100 * s.width:.3g}% or more" if s.width else "smallest shock that tips"
    ax.plot(100 * s.tipping_shock, s.liquidity, color=_FRONTIER, linewidth=2.2, label=label)
    ax.set_xlim(xs.min(), xs.max())
    ax.set_yscale("log")
    ax.set_ylim(ys.min(), ys.max())
    ax.yaxis.set_major_formatter(thousands())
    wide = ys.max() > 4 * ys.min()  # so that a few ticks are enough
    if wide:
        ax.yaxis.set_major_locator(ticker.LogLocator(subs=(1.0, 2.0, 5.0)))
    ax.yaxis.set_minor_formatter(ticker.NullFormatter() if wide else thousands())
    ax.set_xlabel("shock (%)")
    ax.set_ylabel("liquidity, as a factor on the depth")
    ax.legend(loc="upper right", fontsize="small")
    clean(ax)
    return ax


def _edges(centres: Any) -> Any:
    """Set edges half-way between centres, and as far beyond the outer ones."""
    if centres.size == 1:
        return centres + 0.05 * np.array([-1, 1])
    half = np.diff(centres) / 2
    return np.concatenate([[centres[0] - half[0]], centres[:-1] + half, [centres[-1] + half[-1]]])
