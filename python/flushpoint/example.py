"""The embedded example: a synthetic bitcoin book at the top of a rally, the same on every machine.

It is an illustration, not a measurement. `NOTES` and `IMPACT_NOTES`, which the report prints, say what is published and
what is assumed.
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

from flushpoint.book import Book
from flushpoint.impact import LinearImpact
from flushpoint.margin import MarginSchedule
from flushpoint.market import Market
from flushpoint.mix import LeverageMix

PRICE = 126_000.0
"""Price of one bitcoin, USD."""

OPEN_INTEREST = 48e9
"""Open interest of each side, USD: every contract has a long and a short, so both sides are equal."""

MAINTENANCE_RATE = 0.005
"""Maintenance margin as a share of notional."""

# Leverage, and its share of each side's notional. The three bands are published: 36 % up to 3x, 49 % up to 7x and 15 %
# above (effective leverage by notional on Hyperliquid, 15 December 2025: 2.77, 3.70 and 1.16 bn USD). The split within
# a band is assumed.
LEVERAGE_MIX = LeverageMix(
    leverage=np.array([2, 3, 4, 5, 7, 10, 20, 25, 50, 100.0]),
    share=np.array([0.15, 0.21, 0.16, 0.22, 0.11, 0.07, 0.04, 0.02, 0.015, 0.005]),
)

ENTRY_SPREAD = 0.025  # standard deviation of log entry price around the price: one day's volatility, the rally stalling
SIZE_SPREAD = 1.5  # standard deviation of log size within a leverage
POSITIONS_EACH = 1_500  # positions of each side and leverage
USD_PER_PERCENT = 2.5e9  # forced sales that move the price by 1 %

NOTES = (
    "Synthetic: no real trader is in it. The leverage bands (36% of notional up to 3x, 49% up to 7x, 15% above) "
    "are those published for Hyperliquid in December 2025; the split within a band is assumed, and so are the spread "
    f"of entry prices ({100 * ENTRY_SPREAD:g}%, one day's volatility), lognormal sizes (sigma {SIZE_SPREAD:g}), "
    f"isolated margin at a maintenance rate of {100 * MAINTENANCE_RATE:g}%, and shorts that mirror the longs.",
    "Leverage and its share of notional when opened: "
    + ", ".join(
        f"{times:g}x {100 * share:g}%" for times, share in zip(LEVERAGE_MIX.leverage, LEVERAGE_MIX.share, strict=True)
    ),
)

IMPACT_NOTES = (
    f"Assumed: {USD_PER_PERCENT / 1e9:g} bn USD of forced sales move the price by 1%, in a straight line. With it the "
    "reproduction number averages about 0.2 over a fall of 10%: the upper end of the 0.1-0.2 measured in flight in "
    "the 10% fall of 10 October 2025 (preprint, arXiv 2608.03616). Deeper falls and all rises extrapolate.",
    "Other readings differ. Displayed depth is less (0.28 bn within 1% on one large venue) but is refilled; the "
    "square-root law makes 10 bn cost 0.8% instead of 4% and leaves hardly any cascade (see it with --daily-volume "
    "60e9). Here every liquidation is sold to the market: no backstop, no auto-deleveraging.",
)


def book() -> Book:
    """Build the book: about 27,600 positions, `OPEN_INTEREST` on each side at `PRICE`.

    No random numbers: entry prices and sizes are the quantiles of their laws, paired by a fixed shuffle.
    """
    n = POSITIONS_EACH
    normal = np.array([NormalDist().inv_cdf((i + 0.5) / n) for i in range(n)])
    entry_price = PRICE * np.exp(ENTRY_SPREAD * normal)
    size = np.exp(SIZE_SPREAD * normal)
    golden = (5**0.5 - 1) / 2
    side, quantity, entry, leverage = [], [], [], []
    for one_side in (1, -1):
        for k, (times, share) in enumerate(zip(LEVERAGE_MIX.leverage, LEVERAGE_MIX.share, strict=True)):
            shuffle = np.argsort((golden * np.arange(n) + k / LEVERAGE_MIX.share.size) % 1)
            side.append(np.full(n, one_side, dtype=np.int8))
            quantity.append(share * size[shuffle] / entry_price)
            entry.append(entry_price)
            leverage.append(np.full(n, times))
    opened = Book.from_positions(
        np.concatenate(side),
        np.concatenate(quantity),
        np.concatenate(entry),
        leverage=np.concatenate(leverage),
        schedule=MarginSchedule.flat(MAINTENANCE_RATE),
    )
    return opened.alive(PRICE).scaled(OPEN_INTEREST, PRICE)


def market() -> Market:
    """Build the market: linear impact of 1 % per `USD_PER_PERCENT`."""
    return Market(PRICE, LinearImpact(0.01 / (USD_PER_PERCENT / PRICE)))
