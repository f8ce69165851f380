"""Forced supply against depth: why a cascade stops where it does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from flushpoint import _core
from flushpoint._validate import FloatArray, number
from flushpoint.book import Book
from flushpoint.cascade import _check_at_rest, _check_inputs, cascade
from flushpoint.market import Market
from flushpoint.plot._axes import LONG, SHORT, axes, clean, few_ticks, legend, scale_of, thousands

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_STEPS = 2_000  # of the supply that are drawn
_POINTS = 600  # of the depth
# How far the picture reaches beyond the start, log price: so many times as far as the cascade runs, within bounds.
_BEYOND, _LEAST, _AT_REST, _MOST = 2.0, 0.03, 0.1, 3.0


def supply_and_depth(
    book: Book,
    market: Market,
    ax: Axes | None = None,
    *,
    shock: float = 0.0,
    sell: float = 0.0,
    currency: str = "USD",
) -> Axes:
    """Draw what is triggered down to each price, and how much must be sold to bring the price there.

    Where more is triggered than the depth takes, the price cannot hold: a cascade ends at the first price beyond the
    start at which the two curves meet (as supply and demand do in Cifuentes, Ferrucci and Shin 2005). With S(p) the
    quantity whose triggers the mark has reached once the traded price is p, g the displacement and q the initial sale,
    this is the first p at which S(p) is no more than g^-1(ln(start / p)) - q. The mark reaches a trigger T when the
    traded price is at start * (T / start)^(1 / mark_weight): there it is drawn. For a rise the same is drawn of what
    shorts must buy.

    Parameters
    ----------
    book : Book
        No position may be crossed at the market's price.
    market : Market
        Without `Support`, whose purchases depend on waves.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.
    shock, sell : float, default 0.0
        As in `flushpoint.cascade`; not against each other. Without both, falls and rises are drawn from the market's
        price: no fall that a sale sets off ends where the colour then stands above the line.
    currency : str, default "USD"
        Name of the quote currency.

    Returns
    -------
    matplotlib.axes.Axes
        Prices along x; quantities, valued at the market's price, along y.

    Raises
    ------
    TypeError, ValueError
        As `flushpoint.cascade` and `flushpoint.response`, and where shock and sell work against each other.
    """
    _check_inputs(book, market)
    _check_at_rest(book, market)
    if market.support is not None:
        raise ValueError(f"market must be without support, whose purchases depend on waves, was {market.support!r}")
    if number("shock", shock) * number("sell", sell) > 0:
        raise ValueError(f"sell must push the price where shock does, was {sell} with a shock of {shock}")
    c = cascade(book, market, shock, sell)
    ax = axes(ax)
    start, moved = market.price * (1 + shock), shock != 0 or sell != 0
    far = abs(np.log(c.final_price / start)) if 0 < c.final_price < np.inf else np.inf
    reach = min(max(_BEYOND * far, _LEAST if len(c.waves) else _AT_REST), _MOST)
    here = min(abs(float(market.displacement(sell))), reach)
    signs = [sign for sign in (1, -1) if sign * shock <= 0 and sign * sell >= 0]
    supplies = [_supply(book, market, start, sign, here, reach) for sign in signs]
    depths = [_depth(market, start, sell, sign, here, reach) for sign in signs]
    top = max(quantity[-1] for _, quantity in supplies) or max(quantity[-1] for _, quantity in depths)
    top = top if 0 < top < np.inf else 1.0
    scale, unit = scale_of(market.price * top)
    each = market.price / scale

    stops = "" if book.stop is None else " and stops"
    for sign, (price, quantity) in zip(signs, supplies, strict=True):
        color, label = (LONG, "forced sales") if sign > 0 else (SHORT, "forced purchases")
        ax.fill_between(price, each * quantity, step="post", color=color, alpha=0.3, linewidth=0)
        ax.plot(price, each * quantity, drawstyle="steps-post", color=color, label=label + stops)
    for k, (price, quantity) in enumerate(depths):
        ax.plot(price, each * quantity, color="black", label="" if k else "depth")
    ax.axvline(start, color="black", linewidth=0.8, linestyle="--", label=f"start {start:,.6g}")
    if moved:
        traded = each * (c.liquidated_quantity + c.stop_quantity)
        label = f"final {c.final_price:,.6g}"
        ax.plot(c.final_price, traded, "o", color="black", markerfacecolor="white", zorder=3, label=label)
    ax.set_xlabel(f"price ({currency})")
    ax.xaxis.set_major_locator(few_ticks())
    ax.set_ylabel(f"quantity, at {market.price:,.6g} {currency} each ({unit}{currency})")
    ax.xaxis.set_major_formatter(thousands())
    ax.set_ylim(0, 1.5 * each * top)
    legend(ax)
    clean(ax)
    return ax


def _supply(
    book: Book, market: Market, start: float, sign: int, here: float, reach: float
) -> tuple[FloatArray, FloatArray]:
    """Prices outward, between two log distances from the start, and the quantity triggered by each."""
    side = book.long if sign > 0 else book.short
    with np.errstate(divide="ignore", invalid="ignore"):  # with a weight of 0 the mark stays at the start
        away = sign * np.log(start / side.trigger_price[: side._live]) / market.mark_weight
    away = np.maximum(np.where(np.isnan(away), 0.0, away), here)
    count = int(np.searchsorted(away, reach, side="right"))
    rows = np.unique(np.linspace(0, count - 1, min(count, _MOST_STEPS)).astype(np.intp))
    return (
        start * np.exp(-sign * np.concatenate([[here], away[rows], [reach]])),
        np.concatenate([[0.0], side.cumulative_quantity[rows + 1], [side.cumulative_quantity[count]]]),
    )


def _depth(
    market: Market, start: float, sell: float, sign: int, here: float, reach: float
) -> tuple[FloatArray, FloatArray]:
    """The same prices, evenly spaced in logarithm, and the quantity that must be traded besides the sale for each."""
    displaced = sign * np.linspace(here, reach, _POINTS)
    return start * np.exp(-displaced), np.maximum(sign * (_core.inverse(market._engine, displaced) - sell), 0.0)
