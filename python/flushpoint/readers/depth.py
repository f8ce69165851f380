"""Depth profiles of an order book."""

from __future__ import annotations

import numpy as np

from flushpoint._validate import FloatArray
from flushpoint.impact import DepthImpact
from flushpoint.readers.tables import Source, numbers, open_table


def read_depth(source: Source) -> DepthImpact:
    """Read a depth profile: how much an order book shows within so many percent of the mid, the mean over snapshots.

    Parameters
    ----------
    source : path, pandas.DataFrame, Arrow table, numpy structured array or mapping of columns
        As in `read_positions`, with the columns ``percentage`` (negative below the mid price: bids) and ``depth``
        (cumulative quantity in base units), one row for each snapshot and percentage.

    Returns
    -------
    DepthImpact
        Percent p is the distance -ln(1 - p/100) below and ln(1 + p/100) above. Bids and asks share one grid of
        distances: each is interpolated linearly at the other's levels, beyond its last one with its last slope.

    Raises
    ------
    ValueError, TypeError
        For a source of another kind, a missing column, a bad value, or depth that does not grow with distance.
    ImportError
        Without pandas.

    Examples
    --------
    >>> import numpy as np
    >>> table = np.array([(-1.0, 50.0), (1.0, 40.0)], dtype=[("percentage", float), ("depth", float)])
    >>> read_depth(table).displacement([50.0]).round(6)
    array([0.01005])
    """
    frame = open_table(source, ["percentage", "depth"])
    rows = np.arange(len(frame))
    percentage = numbers(frame, "percentage", rows, "a number")
    for rule, bad in (("above -100", percentage <= -100), ("other than 0", percentage == 0)):
        if bad.any():
            row = int(np.argmax(bad))
            raise ValueError(f"column 'percentage' must be {rule}, was {percentage[row]:g} in data row {row + 1}")
    level, where = np.unique(percentage, return_inverse=True)
    quantity = np.bincount(where, numbers(frame, "depth", rows)) / np.bincount(where)
    below, above = level < 0, level > 0
    with np.errstate(all="ignore"):  # what overflows is refused by the impact
        bids = _ladder("bids (percentage below 0)", -np.log1p(level[below] / 100), quantity[below])
        asks = _ladder("asks (percentage above 0)", np.log1p(level[above] / 100), quantity[above])
        distance = np.union1d(bids[0], asks[0])[1:]  # without the mid price itself
        return DepthImpact(distance, _interpolate(distance, *bids), _interpolate(distance, *asks))


def _ladder(name: str, distance: FloatArray, quantity: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Order one side of a depth profile outward from (0, 0)."""
    order = np.argsort(distance)
    distance, quantity = np.r_[0.0, distance[order]], np.r_[0.0, quantity[order]]
    if len(distance) < 2:
        raise ValueError(f"column 'percentage' must hold {name}, was without any")
    grows = np.diff(quantity) > 0
    if not grows.all():
        level = int(np.argmin(grows)) + 1
        raise ValueError(
            f"column 'depth' must grow with distance, was {quantity[level - 1]:g} then {quantity[level]:g} for {name}"
        )
    return distance, quantity


def _interpolate(at: FloatArray, distance: FloatArray, quantity: FloatArray) -> FloatArray:
    slope = (quantity[-1] - quantity[-2]) / (distance[-1] - distance[-2])
    values: FloatArray = np.interp(at, distance, quantity) + slope * np.maximum(at - distance[-1], 0.0)
    return values
