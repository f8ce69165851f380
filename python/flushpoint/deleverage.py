"""Auto-deleveraging on its own: which winners are closed, and how much of each."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from flushpoint import _core
from flushpoint._validate import FloatArray, check, finite_array, number, one_of, positive, read_only, real_array, sides
from flushpoint.venue import ADL, CLOSING_WINNERS


def auto_deleverage(
    policy: str,
    needed: float,
    side: int,
    quantity: ArrayLike,
    entry_price: ArrayLike,
    bankruptcy_price: ArrayLike,
    price: float,
    trigger_price: ArrayLike | None = None,
) -> FloatArray:
    """Tell how much of each position a venue closes against losers of the other side.

    This is the rule that `cascade`, `stress` and `simulate` apply where a `Venue` has such an `adl`. With s the side,
    P the price, E, B and T a position's entry, bankruptcy and trigger price, only positions in profit, s (P - E) > 0,
    are closed: all of each where they hold less than `needed`, else so much that it adds up to `needed`.

    Parameters
    ----------
    policy : str
        ``"queue"``
            whole positions by falling (s (P - E) / E) x (P / (s (P - B))), profit in per cent x effective leverage
        ``"queue_margin_ratio"``
            by falling (profit / max(1, wallet)) x (maintenance / equity), with profit s (P - E) q, wallet s (E - B) q,
            equity s (P - B) q and maintenance (s (T - B) / T) P q
        ``"queue_price_ratio"``
            by falling (P / E)^s x (P / (s (P - B)))
        ``"list_order"``
            as they stand
        ``"pro_rata"``
            the same share of each quantity
        ``"pro_rata_profit"``
            in proportion to profit, at most all of each
        ``"water_filling"``
            q - c s (P - B) q / P where that is positive, with one c for all: as low a highest leverage as possible

        A queue closes its last position in part; ties go as they stand. Where s (P - B) <= 0 leverage is infinite.
    needed : float
        Quantity to close, base units, at least 0.
    side : {1, -1}
        Of all positions: +1 for longs, against whom shorts are closed, or -1 for shorts.
    quantity : array_like, shape (n,)
        Base units, positive.
    entry_price : array_like, shape (n,)
        Quote units per base unit, positive.
    bankruptcy_price : array_like, shape (n,)
        Quote units per base unit, at least 0.
    price : float
        The mark, quote units per base unit, positive.
    trigger_price : array_like, shape (n,), optional
        Quote units per base unit, as in a `Book`; for "queue_margin_ratio" only, which needs it.

    Returns
    -------
    ndarray of float64, shape (n,)
        Quantity closed of each position, base units.

    Raises
    ------
    TypeError, ValueError
        Naming the argument, the rule, the value and its index.

    Notes
    -----
    Scores: BitMEX (app/autoDeleveraging) and Bybit for "queue", Binance's help page on auto-deleveraging for
    "queue_margin_ratio", Hyperliquid's page on auto-deleveraging, read in the direction of profit, for
    "queue_price_ratio". Water filling: Campbell, Hey, Moallemi and Nutz, *Risk-Based Auto-Deleveraging*
    (arXiv:2603.15963). The rules take *quantity*, at one price. Rules that take a share of each winner's *money*
    instead (Chitra, arXiv:2512.01112) are the same where a unit of quantity stands for a unit of money.

    Examples
    --------
    Two longs at ten times, and one at twenty that has gained as much as the first:

    >>> auto_deleverage("queue", 3.0, +1, 2.0, [80.0, 90.0, 80.0], [72.0, 81.0, 76.0], 100.0)
    array([1., 0., 2.])
    >>> auto_deleverage("pro_rata", 3.0, +1, 2.0, [80.0, 90.0, 80.0], [72.0, 81.0, 76.0], 100.0)
    array([1., 1., 1.])
    """
    one_of("policy", policy, CLOSING_WINNERS)
    amount = number("needed", needed, at_least=0)
    which = sides(side)
    if which.ndim:
        raise TypeError(f"side must be one number, the side of all positions, was of shape {which.shape}")
    mark = number("price", price, above=0)
    columns = {
        "quantity": real_array("quantity", quantity),
        "entry_price": real_array("entry_price", entry_price),
        "bankruptcy_price": finite_array("bankruptcy_price", bankruptcy_price),
    }
    if trigger_price is not None:
        columns["trigger_price"] = real_array("trigger_price", trigger_price)
    elif policy == "queue_margin_ratio":
        raise ValueError("trigger_price must be given with policy 'queue_margin_ratio', was None")
    for name, column in columns.items():
        if column.ndim > 1:
            raise ValueError(f"{name} must have one dimension, was of shape {column.shape}")
    positive("quantity", columns["quantity"])
    positive("entry_price", columns["entry_price"])
    for name in ("bankruptcy_price", "trigger_price"):
        if name in columns:
            check(name, columns[name], columns[name] >= 0, "at least 0")
    size = max((column.size for column in columns.values() if column.ndim), default=1)
    for name, column in columns.items():
        if column.ndim and column.size != size:
            raise ValueError(f"{name} must be a number or as long as the others, {size}, was {column.size}")
    full = {name: np.ascontiguousarray(np.broadcast_to(column, (size,))) for name, column in columns.items()}
    closed = _core.auto_deleverage(
        ADL.index(policy),
        amount,
        mark,
        bool(which < 0),
        full["quantity"],
        full["entry_price"],
        full["bankruptcy_price"],
        full.get("trigger_price", full["bankruptcy_price"]),
    )
    read_only(closed)
    return closed
