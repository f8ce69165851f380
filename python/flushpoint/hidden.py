"""The hidden book: leveraged positions inferred from public prices and open interest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flushpoint import _core
from flushpoint._validate import FloatArray, check, finite_array, number, positive, read_only
from flushpoint.margin import MarginSchedule, liquidation_price
from flushpoint.mix import LeverageMix
from flushpoint.result import Result

# The engine's path and grid, neither of which a user needs to choose; see cpp/include/flushpoint/hidden_book.hpp.
_BODY = 4.0
_CELL = 2.5e-4
_STEPS = 24
_WIDEST = 1e12
_Sides = tuple[FloatArray, FloatArray]
_NO_ROWS = np.empty(0, np.int64)


class LiquidationForecast(Result):
    """Liquidations predicted for each row of a history.

    Attributes
    ----------
    long_notional, short_notional : ndarray, shape (rows,)
        Quote units.
    """

    _names: ClassVar[tuple[str, ...]] = ("long_notional", "short_notional")

    long_notional: FloatArray
    short_notional: FloatArray

    def __repr__(self) -> str:
        return (
            f"<LiquidationForecast: {self.long_notional.size:,} rows, {self.long_notional.sum():.4g} of longs and "
            f"{self.short_notional.sum():.4g} of shorts>"
        )


def predict_liquidations(
    history: Mapping[str, ArrayLike],
    leverage_mix: LeverageMix | None = None,
    *,
    turnover: float = 0.04,
    activity: float = 1.25,
    maintenance_rate: float = 0.005,
    period: float | None = None,
) -> LiquidationForecast:
    """Predict the liquidations of each row from the book known before it and that row's own prices.

    The book is inferred row by row. Positions are kept by side, leverage and trigger price. The price is taken to run
    from the open to both extremes and to the close, in either order, the likelier one first. In each row

    1. what the path crosses is liquidated, less what closes of itself before the path gets there;
    2. positions close at a rate of ``turnover * (0.01 / d)`` an hour in an hour that ranges 1 %, d the log distance
       from entry to trigger, and as many open along the path: traders with little room hold for a short time. Those
       among them that the rest of the path crosses are liquidated in the same row;
    3. positions that now stand nearer to their trigger than when they were opened close as fast as such do;
    4. only then is the row's open interest looked at: growth opens positions over the row's range, a fall closes all
       alike. What was liquidated is not replaced but by growth and turnover.

    A row's forecast never uses its own open interest nor anything later.

    Parameters
    ----------
    history : mapping of columns
        ``open``, ``high``, ``low``, ``close`` (quote units per base unit) and ``open_interest`` (quote units), a row a
        period in order of time; a DataFrame will do. All prices lie within a factor of 1e12.
    leverage_mix : LeverageMix, optional
        ``LeverageMix.power_law()`` by default.
    turnover : float, default 0.04
        Rate an hour, positive.
    activity : float, default 1.25
        Turnover goes with a row's range to this power, at least 0.
    maintenance_rate : float, default 0.005
        Maintenance margin as a share of notional, with the closing fee.
    period : float, optional
        Seconds a row, positive; by default the history's own `period`, as of `io.read_history`, or else 3,600.

    Returns
    -------
    LiquidationForecast
        Full notional: liquidations as venues report them are throttled and a fraction of it.
    """
    arguments: dict[str, Any] = {
        "leverage_mix": leverage_mix,
        "turnover": turnover,
        "activity": activity,
        "maintenance_rate": maintenance_rate,
        "period": period,
    }
    (longs, shorts), *_ = _infer(history, **arguments)
    read_only((longs, shorts))
    return LiquidationForecast("predict_liquidations", arguments, {"long_notional": longs, "short_notional": shorts})


def positions_from_open_interest(history: Mapping[str, ArrayLike], **arguments: Any) -> dict[str, Any]:
    """Columns of the book after the last row; the arguments are those of `predict_liquidations`."""
    _, quantity, first_cell, _, mix = _infer(history, **arguments)
    last = float(np.asarray(history["close"], dtype=np.float64)[-1])
    columns: dict[str, list[Any]] = {
        name: [] for name in ("side", "quantity", "trigger_price", "bankruptcy_price", "entry_price")
    }
    distances = _distances(mix, arguments["maintenance_rate"])
    for side, held, distance in zip((1, -1), quantity, distances, strict=True):
        leverage_class, cell = np.nonzero(held)
        trigger = _core.exp(_CELL * (first_cell + cell).astype(np.float64))
        alive = (
            side * (last - trigger) > 0
        )  # a position shared between two cells may leave a little at the price itself
        leverage_class, cell, trigger = leverage_class[alive], cell[alive], trigger[alive]
        entry = trigger * _core.exp(side * distance[leverage_class])
        columns["side"].append(np.full(cell.size, side, dtype=np.int8))
        columns["quantity"].append(held[leverage_class, cell])
        columns["trigger_price"].append(trigger)
        columns["entry_price"].append(entry)
        columns["bankruptcy_price"].append(np.maximum(entry * (1 - side / mix.leverage[leverage_class]), 0.0))
    return {name: np.concatenate(parts) for name, parts in columns.items()}


def notional_over_time(
    history: Mapping[str, ArrayLike],
    rows: NDArray[np.int64],
    edges: FloatArray,
    *,
    turnover: float = 0.04,
    activity: float = 1.25,
    maintenance_rate: float,
    period: float,
) -> tuple[FloatArray, FloatArray]:
    """Notional of longs and of shorts by trigger price, shape (rows, edges - 1), of the books after each of some rows.

    Rows rise; edges are as in `Book.heatmap`, the arguments those of `predict_liquidations`.
    """
    _, _, first_cell, seen, _ = _infer(
        history, rows, turnover=turnover, activity=activity, maintenance_rate=maintenance_rate, period=period
    )
    trigger = _core.exp(_CELL * (first_cell + np.arange(seen[0].shape[1])).astype(np.float64))
    ends = np.searchsorted(trigger, edges)
    ends[-1] = np.searchsorted(trigger, edges[-1], side="right")
    cells = slice(ends[0], ends[-1])
    bins, trigger = np.repeat(np.arange(edges.size - 1), np.diff(ends)), trigger[cells]
    close = np.asarray(history["close"], dtype=np.float64)[rows]
    long, short = np.empty((2, rows.size, edges.size - 1))
    for side, out, held in zip((1, -1), (long, short), seen, strict=True):
        for row, price in enumerate(close):
            notional = np.where(side * (price - trigger) > 0, held[row, cells] * trigger, 0.0)
            out[row] = np.bincount(bins, notional, edges.size - 1)
    return long, short


def _distances(mix: LeverageMix, maintenance_rate: float) -> tuple[FloatArray, FloatArray]:
    """Log distance from entry to trigger of longs and shorts, by leverage; inf for what can never be liquidated."""
    schedule = MarginSchedule.flat(maintenance_rate)
    out = []
    for side in (1, -1):
        trigger = np.asarray(liquidation_price(side, 1.0, 1.0, 1 / mix.leverage, schedule))
        distance = -side * _core.log(trigger)
        out.append(np.maximum(distance, _CELL))
    return out[0], out[1]


def _infer(
    history: Mapping[str, ArrayLike],
    rows: NDArray[np.int64] = _NO_ROWS,
    leverage_mix: LeverageMix | None = None,
    *,
    turnover: float,
    activity: float,
    maintenance_rate: float,
    period: float | None,
) -> tuple[_Sides, _Sides, int, _Sides, LeverageMix]:
    mix = LeverageMix.power_law() if leverage_mix is None else leverage_mix
    if not isinstance(mix, LeverageMix):
        raise TypeError(f"leverage_mix must be a LeverageMix, was {type(mix).__name__}")
    pace = number("turnover", turnover, above=0)
    power = number("activity", activity, at_least=0)
    rate = number("maintenance_rate", maintenance_rate, at_least=0, below=1)
    hours = row_seconds(history, period) / 3_600.0
    columns = _history(history)
    liquidated, quantity, first_cell, seen = _core.infer_book(
        tuple(columns.values()), hours, mix.share, *_distances(mix, rate), pace, power, _BODY, _CELL, _STEPS, rows
    )
    return liquidated, quantity, first_cell, seen, mix


def row_seconds(history: Mapping[str, ArrayLike], period: float | None) -> float:
    """Return how long a row of a history lasts: as told, as the history itself tells, or an hour."""
    own = getattr(history, "period", None) if period is None else period
    # A table with a column or a method of that name does not tell.
    return 3_600.0 if period is None and not isinstance(own, float) else number("period", own, above=0)


def _history(history: Mapping[str, ArrayLike]) -> dict[str, FloatArray]:
    columns = {}
    for name in ("open", "high", "low", "close", "open_interest"):
        try:
            values = history[name]
        except (KeyError, IndexError, TypeError, ValueError):
            raise ValueError(f"history must have a column {name!r}, was without") from None
        array = finite_array(name, values)
        if array.ndim != 1 or array.size == 0:
            raise ValueError(f"{name} must have one dimension and at least one row, was of shape {array.shape}")
        positive(name, array)
        columns[name] = array
    rows = columns["open"].size
    for name, array in columns.items():
        if array.size != rows:
            raise ValueError(f"{name} must have the length of open, {rows}, was {array.size}")
    for name in ("open", "close", "low"):
        check(name, columns[name], columns[name] <= columns["high"], "at most high")
        check(name, columns[name], columns[name] >= columns["low"], "at least low")
    lowest, highest = columns["low"].min(), columns["high"].max()
    if highest / _WIDEST > lowest:  # the grid of prices would be as wide
        raise ValueError(f"low must be within a factor of {_WIDEST:g} of the largest high, {highest:g}, was {lowest:g}")
    return columns
