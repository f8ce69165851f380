"""Banks: accounts that sell so as to restore equity / assets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from flushpoint._validate import FloatArray, check, finite_array, read_only, real_array, restore

EngineBanks = tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]


@dataclass(frozen=True, eq=False)
class Delever:
    """How banks deleverage: the rule of closing of `Accounts` that are banks.

    With H the cash on hand, I the illiquid assets, q >= 0 the quantities and P the marks of what a bank can sell, its
    assets A are H + I + sum q P; its equity E is that of `Accounts`, the account's cash + sum q (P - entry price), so
    that A - E is what it owes. At the marks of each round, a bank with E / A below `default` defaults: it sells
    everything, and acts no more. Another with E / A below `threshold` is to shrink by A - E / target: cash on hand pays
    back loans, and the rest is raised by sales, the same share of every position, all if that is not enough. What sales
    bring is cash on hand, and pays in the next round. Each parameter is one number for all banks, or has one entry an
    account.

    Parameters
    ----------
    threshold : array_like
        Equity / assets below which a bank acts, above 0 and at most 1. Above `target` it means the target, so that 1 is
        leverage targeting: banks are at their target whenever they may be.
    target : array_like
        Equity / assets to restore, above 0 and below 1.
    default : array_like, default 0
        Equity / assets below which a bank defaults, at least 0, at most threshold and target.
    cash : array_like, default 0
        On hand at the start, quote units, at least 0.
    illiquid : array_like, default 0
        What is never sold and keeps its price, quote units, at least 0.
    loan : array_like, default inf
        What can be paid back, quote units, at least 0; inf for whatever has to be. A bank that has paid all of it back
        still sells, and keeps the cash.

    Raises
    ------
    TypeError, ValueError
        Naming the argument, the rule, the value and its index.

    Notes
    -----
    With a threshold, a default and loans this is the bank of Farmer, Kleinnijenhuis, Nahai-Williamson and Wetzer
    (2020, "Foundations of system-wide financial stress testing with heterogeneous institutions"); with leverage
    targeting nearly that of Greenwood, Landier and Thesmar (2015).

    Examples
    --------
    >>> Delever(0.04, 0.05, default=0.03)
    Delever(threshold=0.04, target=0.05, default=0.03)
    """

    threshold: ArrayLike
    target: ArrayLike
    default: ArrayLike = 0.0
    cash: ArrayLike = 0.0
    illiquid: ArrayLike = 0.0
    loan: ArrayLike = np.inf

    def __post_init__(self) -> None:
        columns = {name: self._column(name, given) for name, given in vars(self).items()}
        for name, column in columns.items():
            read_only(column)
            object.__setattr__(self, name, column)
        threshold, target, default = columns["threshold"], columns["target"], columns["default"]
        check("threshold", threshold, (threshold > 0) & (threshold <= 1), "above 0 and at most 1")
        check("target", target, (target > 0) & (target < 1), "above 0 and below 1")
        for name in ("default", "cash", "illiquid", "loan"):
            check(name, columns[name], columns[name] >= 0, "at least 0")
        sizes = {column.size for column in columns.values() if column.ndim}
        if len(sizes) > 1:
            raise ValueError(f"entries must be one for all or one an account, were {sorted(sizes)}")
        floor, most = np.broadcast_arrays(default, np.minimum(threshold, target))
        check("default", floor, floor <= most, "at most threshold and target")

    @staticmethod
    def _column(name: str, given: ArrayLike) -> FloatArray:
        column = np.array(real_array(name, given) if name == "loan" else finite_array(name, given))
        if column.ndim > 1:
            raise ValueError(f"{name} must have at most one dimension, was of shape {column.shape}")
        return column

    __setstate__ = restore

    def __repr__(self) -> str:
        plain = {"default": 0.0, "cash": 0.0, "illiquid": 0.0, "loan": np.inf}
        shown = {name: column for name, column in vars(self).items() if column.ndim or column != plain.get(name)}
        return f"Delever({', '.join(f'{name}={_told(column)}' for name, column in shown.items())})"

    def _columns(self, count: int) -> EngineBanks:
        """Return one entry an account, as the engine takes them."""
        columns: dict[str, FloatArray] = dict(vars(self))
        columns["threshold"] = np.minimum(columns["threshold"], columns["target"])
        for name, column in columns.items():
            if column.ndim and column.size != count:
                raise ValueError(f"{name} of close must have one entry an account, {count}, was {column.size}")
        threshold, target, default, cash, illiquid, loan = (
            np.ascontiguousarray(np.broadcast_to(column, (count,))) for column in columns.values()
        )
        return threshold, target, default, cash, illiquid, loan


def _told(column: FloatArray) -> str:
    return f"<{column.size:,} entries>" if column.ndim else f"{float(column)!r}"
