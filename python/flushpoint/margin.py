"""Margin arithmetic: maintenance schedules, liquidation prices and bankruptcy prices.

Signs: a long gains when the price rises. Linear contracts are margined in quote units: quantity in base units, notional
quantity x price. Inverse contracts are margined in base units: quantity in quote units (contracts x contract size),
notional quantity / price.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flushpoint import _core
from flushpoint._validate import (
    FloatArray,
    check,
    finite_array,
    number,
    one_of,
    positive,
    read_only,
    real_array,
    restore,
    sides,
)
from flushpoint.impact import shaped

Contract = Literal["linear", "inverse"]
Valuation = Literal["mark", "entry", "absolute"]
FeeAt = Literal["mark", "bankruptcy"]

_CONTRACTS = ("linear", "inverse")
_VALUATIONS = ("mark", "entry", "absolute")  # as in cpp/include/flushpoint/margin.hpp
_FEES = ("mark", "bankruptcy")


@dataclass(frozen=True, eq=False)
class MarginSchedule:
    """Tiers of maintenance margin: rate[k] x notional - deduction[k] for floor[k] < notional <= floor[k + 1].

    The deductions make maintenance continuous: deduction[0] = 0, deduction[k] = deduction[k - 1] + floor[k] *
    (rate[k] - rate[k - 1]), as venues publish them (Binance FAQ on leverage and margin; Hyperliquid margin tiers).

    Parameters
    ----------
    floor : array_like, shape (n,)
        Where each tier begins, strictly increasing from 0: quote units, base units for inverse contracts.
    rate : array_like, shape (n,)
        Maintenance margin as a share of notional, from 0 up to but below 1, not decreasing.

    Examples
    --------
    >>> schedule = MarginSchedule([0, 300_000, 800_000], [0.004, 0.005, 0.0065])
    >>> schedule.deduction
    array([   0.,  300., 1500.])
    >>> schedule.maintenance([100_000, 1_000_000])
    array([ 400., 5000.])
    """

    floor: FloatArray
    rate: FloatArray
    deduction: FloatArray = field(init=False)

    def __post_init__(self) -> None:
        for name in ("floor", "rate"):
            array = np.array(finite_array(name, getattr(self, name)))
            if array.ndim != 1 or array.size == 0:
                raise ValueError(f"{name} must have one dimension and at least one tier, was of shape {array.shape}")
            object.__setattr__(self, name, array)
        if self.rate.size != self.floor.size:
            raise ValueError(f"rate must have the length of floor, {self.floor.size}, was {self.rate.size}")
        if self.floor[0] != 0:
            raise ValueError(f"floor must begin at 0, was {self.floor[0]} at index 0")
        check("floor", self.floor, np.diff(self.floor, prepend=-1.0) > 0, "strictly increasing")
        check("rate", self.rate, (self.rate >= 0) & (self.rate < 1), "at least 0 and below 1")
        check("rate", self.rate, np.diff(self.rate, prepend=0.0) >= 0, "not decreasing")
        object.__setattr__(self, "deduction", np.cumsum(self.floor * np.diff(self.rate, prepend=self.rate[0])))
        read_only((self.floor, self.rate, self.deduction))

    __setstate__ = restore

    @classmethod
    def flat(cls, rate: float) -> MarginSchedule:
        """Make a schedule of one tier.

        Parameters
        ----------
        rate : float
            Maintenance margin as a share of notional, from 0 up to but below 1.

        Returns
        -------
        MarginSchedule
        """
        return cls(np.zeros(1), np.array([number("rate", rate)]))

    @classmethod
    def from_ccxt(cls, tiers: Iterable[Mapping[str, Any]]) -> MarginSchedule:
        """Make a schedule from one symbol's tiers as ccxt's ``fetch_leverage_tiers()[symbol]`` returns them.

        Parameters
        ----------
        tiers : iterable of mapping
            Each with ``minNotional``, ``maintenanceMarginRate`` and, where there is one, ``maxNotional``; in any order.

        Returns
        -------
        MarginSchedule
        """
        rows: list[tuple[float, float, float]] = []
        for position, tier in enumerate(tiers):
            if not isinstance(tier, Mapping):
                raise TypeError(f"tiers must be mappings, was {tier!r} at index {position}")
            for key in ("minNotional", "maintenanceMarginRate"):
                if tier.get(key) is None:
                    raise ValueError(f"tiers must have {key!r}, was {tier.get(key)!r} at index {position}")
            cap = tier.get("maxNotional")
            rows.append(
                (
                    number("minNotional", tier["minNotional"], at_least=0),
                    number("maintenanceMarginRate", tier["maintenanceMarginRate"]),
                    math.inf if cap is None else number("maxNotional", cap, above=0, finite=False),
                )
            )
        if not rows:
            raise ValueError("tiers must hold at least one tier, was empty")
        rows.sort()
        for lower, upper in itertools.pairwise(rows):
            if lower[2] != upper[0] and math.isfinite(lower[2]):
                raise ValueError(f"tiers must adjoin: one ends at {lower[2]:g}, the next begins at {upper[0]:g}")
        return cls(np.array([r[0] for r in rows]), np.array([r[1] for r in rows]))

    def maintenance(self, notional: ArrayLike) -> FloatArray | float:
        """Maintenance margin of a notional.

        Parameters
        ----------
        notional : array_like
            At least 0; quote units, base units for inverse contracts.

        Returns
        -------
        float or ndarray
            The units and the shape of `notional`.
        """
        n = real_array("notional", notional)
        check("notional", n, (n >= 0) & (n < np.inf), "at least 0 and finite")
        return shaped(_core.maintenance_margins(self._engine, n.reshape(-1)), n)

    @property
    def _engine(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        return (self.floor, self.rate, self.deduction)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, MarginSchedule):
            return NotImplemented
        return np.array_equal(self.floor, other.floor) and np.array_equal(self.rate, other.rate)

    def __hash__(self) -> int:
        return hash((self.floor.tobytes(), self.rate.tobytes()))


def liquidation_price(
    side: ArrayLike,
    quantity: ArrayLike,
    entry_price: ArrayLike,
    margin: ArrayLike,
    schedule: MarginSchedule | None = None,
    *,
    contract: Contract = "linear",
    fee_rate: float = 0.0,
    fee_at: FeeAt = "mark",
    valuation: Valuation = "mark",
    maintenance: ArrayLike | None = None,
    other_pnl: ArrayLike = 0.0,
    other_maintenance: ArrayLike = 0.0,
) -> FloatArray | float:
    """Price at which a position's equity has fallen to its maintenance margin.

    With s = +1 or -1, w = margin + other_pnl - other_maintenance, m and d the rate and deduction of the tier that holds
    for the notional *at that price* (exactly one does), and f the fee rate:

    - linear, valued at the mark: (w + d - s q E) / (q (m + f - s));
    - inverse, valued at the mark: q (s + m + f) / (w + d + s q / E);
    - maintenance M fixed (of the entry notional, or given): linear (M - w + s q E) / (q (s - f)), inverse
      q (s + f) / (w + s q / E - M).

    Parameters
    ----------
    side : array_like of int
        +1 for a long, -1 for a short.
    quantity : array_like
        Positive: base units; quote units (contracts x contract size) for inverse contracts.
    entry_price : array_like
        Quote units per base unit, positive.
    margin : array_like
        Isolated margin, or the wallet balance of a cross account without unrealised gains: quote units, base units for
        inverse contracts.
    schedule : MarginSchedule, optional
        Needed unless `valuation` is "absolute".
    contract : {"linear", "inverse"}
    fee_rate : float, default 0.0
        Closing fee as a share of notional, charged in the trigger.
    fee_at : {"mark", "bankruptcy"}
        Where the fee is valued: at the trigger price, or reserved at the bankruptcy price that includes it.
    valuation : {"mark", "entry", "absolute"}
        What maintenance is a share of: notional at the mark, notional at entry, or nothing: `maintenance` gives it.
    maintenance : array_like, optional
        Amounts, for valuation "absolute" only.
    other_pnl, other_maintenance : array_like, default 0.0
        Unrealised gain, and maintenance margin, of a cross account's other positions.

    Returns
    -------
    float or ndarray
        Quote units per base unit, the arguments broadcast. 0 for a linear long and inf for an inverse short that can
        never be liquidated; 0 for a linear short and inf for an inverse long whose collateral is gone at any price.

    Notes
    -----
    Venues differ in the variant: Binance, OKX, Gate, Kraken and Hyperliquid value maintenance at the mark (OKX and Gate
    add the taker fee), Bybit's isolated mode, MEXC and Delta at entry (Bybit reserves the fee at bankruptcy), BitMEX
    and KuCoin's isolated mode report an amount.

    Examples
    --------
    >>> schedule = MarginSchedule.flat(0.005)
    >>> round(liquidation_price(+1, 1.0, 100.0, 10.0, schedule), 4)
    90.4523
    """
    one_of("contract", contract, _CONTRACTS)
    one_of("fee_at", fee_at, _FEES)
    one_of("valuation", valuation, _VALUATIONS)
    if valuation == "absolute":
        if maintenance is None:
            raise ValueError("maintenance must be given with valuation 'absolute', was None")
        if schedule is not None:
            raise ValueError("schedule must be None with valuation 'absolute', was given")
    elif maintenance is not None:
        raise ValueError(f"maintenance must be None with valuation {valuation!r}, was given")
    elif not isinstance(schedule, MarginSchedule):
        raise TypeError(f"schedule must be a MarginSchedule, was {schedule!r}")
    fee = _fee(fee_rate, 0.0 if schedule is None else float(schedule.rate[-1]))
    columns = _columns(
        side,
        quantity,
        entry_price,
        margin,
        0.0 if maintenance is None else maintenance,
        other_pnl,
        other_maintenance,
        1.0,
    )
    out, checked = _core.liquidation_prices(
        columns.flat,
        None if schedule is None else schedule._engine,
        contract == "inverse",
        _VALUATIONS.index(valuation),
        _FEES.index(fee_at),
        fee,
        0,
    )
    if not checked:  # in passing, which is quicker where there are many
        columns.check()
    return columns.shaped(out)


def bankruptcy_price(
    side: ArrayLike,
    quantity: ArrayLike,
    entry_price: ArrayLike,
    margin: ArrayLike,
    *,
    contract: Contract = "linear",
    fee_rate: float = 0.0,
    share: ArrayLike = 1.0,
    other_pnl: ArrayLike = 0.0,
    other_maintenance: ArrayLike = 0.0,
) -> FloatArray | float:
    """Price at which a position's margin is used up, its closing fee included.

    With w = share x (margin + other_pnl - other_maintenance): linear (s q E - w) / (q (s - f)), inverse
    q (s + f) / (w + s q / E).

    Parameters
    ----------
    side, quantity, entry_price, margin, contract, other_pnl, other_maintenance
        As in `liquidation_price`.
    fee_rate : float, default 0.0
        Closing fee as a share of notional, paid out of the margin.
    share : array_like, default 1.0
        Share of the account's collateral that is this position's. dYdX gives each position its share of the account's
        total maintenance, with the oracle price for `entry_price`.

    Returns
    -------
    float or ndarray
        Quote units per base unit, the arguments broadcast. Not positive for a linear long that holds more collateral
        than it cost; negative or inf for an inverse short that can never be bankrupt.

    Examples
    --------
    >>> bankruptcy_price([+1, -1], 1.0, 100.0, 10.0)
    array([ 90., 110.])
    """
    one_of("contract", contract, _CONTRACTS)
    fee = _fee(fee_rate, 0.0)
    columns = _columns(side, quantity, entry_price, margin, 0.0, other_pnl, other_maintenance, share)
    columns.check()
    return columns.shaped(_core.bankruptcy_prices(columns.flat, contract == "inverse", fee, 0))


def _fee(fee_rate: object, highest_rate: float) -> float:
    fee = number("fee_rate", fee_rate, at_least=0)
    if fee + highest_rate >= 1:
        raise ValueError(f"fee_rate must be below 1 less the highest maintenance rate, {highest_rate:g}, was {fee}")
    return fee


@dataclass(frozen=True)
class _Columns:
    """Positions' columns, flattened, scalars to length one; what they were, and the shape of the result."""

    flat: tuple[NDArray[np.int8], FloatArray, FloatArray, FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]
    given: dict[str, NDArray[Any]]
    shape: tuple[int, ...]

    def check(self) -> None:
        for name, array in self.given.items():
            if name != "side":
                finite_array(name, array)
        for name in ("quantity", "entry_price"):
            positive(name, self.given[name])
        for name in ("maintenance", "other_maintenance"):
            check(name, self.given[name], self.given[name] >= 0, "at least 0")
        share = self.given["share"]
        check("share", share, (share >= 0) & (share <= 1), "from 0 to 1")

    def shaped(self, out: FloatArray) -> FloatArray | float:
        return out.reshape(self.shape) if self.shape else float(out[0])


def _columns(side: ArrayLike, *values: ArrayLike) -> _Columns:
    """Bring the columns into form; their numbers are still to be checked, but for the sides."""
    names = ("quantity", "entry_price", "margin", "maintenance", "other_pnl", "other_maintenance", "share")
    arrays: dict[str, NDArray[Any]] = {"side": sides(side)}
    arrays |= {name: real_array(name, value) for name, value in zip(names, values, strict=True)}
    try:
        shape = np.broadcast_shapes(*(a.shape for a in arrays.values()))
    except ValueError:
        shapes = ", ".join(f"{name} {a.shape}" for name, a in arrays.items() if a.ndim)
        raise ValueError(f"side, quantity, ... must broadcast against each other, were of shapes {shapes}") from None
    flat = [
        a.reshape(-1)
        if a.size == 1 or a.shape == shape
        else np.ascontiguousarray(np.broadcast_to(a, shape)).reshape(-1)
        for a in arrays.values()
    ]
    return _Columns(tuple(flat), arrays, shape)  # type: ignore[arg-type]
