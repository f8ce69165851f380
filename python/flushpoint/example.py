"""The embedded example: a synthetic bitcoin book at the top of a rally, the same on every machine.

It is an illustration, not a measurement. `NOTES` and `IMPACT_NOTES` say which numbers are published and which are assumed;
the report prints both.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flushpoint.book import Book
from flushpoint.impact import LinearImpact
from flushpoint.market import Market

PRICE = 126_000.0
"""Price of one bitcoin, USD."""

OPEN_INTEREST = 48e9
"""Open interest of each side, USD: every contract has a long and a short, so both sides are equal."""

MAINTENANCE_RATE = 0.005
"""Maintenance margin as a share of notional; must be below 1 / leverage."""

# Leverage and its share of each side's notional. The three bands are published: 36 % up to 3x, 49 % up to 7x and 15 % above
# (effective leverage on one large venue, December 2025, by notional). The split within a band is assumed.
LEVERAGE_MIX = (
    (2, 0.15),
    (3, 0.21),
    (4, 0.16),
    (5, 0.22),
    (7, 0.11),
    (10, 0.07),
    (20, 0.04),
    (25, 0.02),
    (50, 0.015),
    (100, 0.005),
)

ENTRY_SPREAD = 0.025  # standard deviation of log entry price: one day's volatility, while the rally stalls
SIZE_SPREAD = 1.5  # standard deviation of log size within a leverage
POSITIONS_PER_CELL = 1_500  # positions of one side and leverage
USD_PER_PERCENT = 2.5e9  # forced sales that move the price by 1 %

NOTES = (
    "Synthetic: no real trader is in it. The leverage bands (36 % of notional up to 3x, 49 % up to 7x, 15 % above) are those "
    "published for Hyperliquid in December 2025; the split within a band is assumed, and so are the spread of entry prices "
    f"({100 * ENTRY_SPREAD:g} %, one day's volatility), lognormal sizes (sigma {SIZE_SPREAD:g}), isolated margin with a "
    f"maintenance rate of {100 * MAINTENANCE_RATE:g} %, and shorts that mirror the longs.",
    "Leverage and share of notional as opened: " + ", ".join(f"{leverage}x {100 * share:g} %" for leverage, share in LEVERAGE_MIX),
)

IMPACT_NOTES = (
    f"Assumed: {USD_PER_PERCENT / 1e9:g} bn USD of forced sales move the price by 1 %, in a straight line. With it the "
    "reproduction number averages about 0.2 over a fall of 10 %: the upper end of the 0.1-0.2 measured in flight during the "
    "10 % fall of 10 October 2025 (preprint, arXiv 2608.03616). Deeper falls and all rises extrapolate.",
    "Other readings differ. Displayed depth is less (0.28 bn within 1 % on one large venue) but is refilled; the square-root "
    "law makes 10 bn cost 0.8 % instead of 4 % and hardly any cascade (see it with --daily-volume 60e9). Here every "
    "liquidation is sold to the market: no backstop, no auto-deleveraging.",
)


def isolated_prices(
    side: NDArray[Any], entry_price: NDArray[Any], leverage: NDArray[Any], maintenance_rate: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Trigger and bankruptcy price of isolated linear positions, maintenance valued at the mark price."""
    if np.any(maintenance_rate * leverage >= 1):
        raise ValueError(f"maintenance_rate must be below 1 / leverage, was {maintenance_rate} at {leverage.max():g}x")
    bankruptcy_price = entry_price * (1 - side / leverage)
    return bankruptcy_price / (1 - side * maintenance_rate), bankruptcy_price


def book() -> Book:
    """About 27,600 positions, `OPEN_INTEREST` on each side at `PRICE`.

    No random numbers: entry prices and sizes are the quantiles of their laws, paired by a fixed shuffle.
    """
    n = POSITIONS_PER_CELL
    normal = np.array([NormalDist().inv_cdf((i + 0.5) / n) for i in range(n)])
    size = np.exp(SIZE_SPREAD * normal)
    entry = PRICE * np.exp(ENTRY_SPREAD * normal)
    golden = (5**0.5 - 1) / 2
    cells = [(side, cell) for side in (1, -1) for cell in range(len(LEVERAGE_MIX))]
    quantity = np.concatenate(
        [
            LEVERAGE_MIX[cell][1] * size[np.argsort((golden * np.arange(n) + cell / len(LEVERAGE_MIX)) % 1)]
            for _, cell in cells
        ]
    )
    side = np.repeat([side for side, _ in cells], n)
    leverage = np.repeat([float(LEVERAGE_MIX[cell][0]) for _, cell in cells], n)
    entry_price = np.tile(entry, len(cells))
    trigger_price, bankruptcy_price = isolated_prices(side, entry_price, leverage, MAINTENANCE_RATE)
    opened = Book(side, quantity / entry_price, trigger_price, bankruptcy_price, entry_price)
    return opened.alive(PRICE).scaled(OPEN_INTEREST, PRICE)


def market() -> Market:
    """The market of the example: linear impact of 1 % per `USD_PER_PERCENT`."""
    return Market(PRICE, LinearImpact(0.01 / (USD_PER_PERCENT / PRICE)))
