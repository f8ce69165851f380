"""The margin of accounts, inferred from the liquidation prices that a venue publishes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flushpoint._validate import (
    FloatArray,
    check,
    finite_array,
    labels,
    number,
    positive,
    read_only,
    real_array,
    restore,
    words,
)
from flushpoint.margin import MarginSchedule, liquidation_price


@dataclass(frozen=True, eq=False)
class InferredMargin:
    """What liquidation prices tell of the accounts that hold the positions.

    Attributes
    ----------
    account : ndarray, shape (accounts,)
        The accounts, each once, in ascending order.
    cash : ndarray of float64, shape (accounts,)
        Collateral of the cross positions without their unrealised gains, quote units; negative where gains alone carry
        the account. nan where no cross position's price tells it.
    isolated : ndarray of float64, shape (positions,)
        Margin of the positions that are isolated, quote units; nan for cross.
    liquidation_price : ndarray of float64, shape (positions,)
        What `cash` and `isolated` make of it: quote units per base unit; nan where `cash` is.
    agrees : ndarray of bool, shape (positions,)
        Whether an account's cash, told by at least two of its positions, reproduces this one's published price.
    tested : ndarray of bool, shape (positions,)
        Whether it could have: there is a price, and another one in the account.
    """

    account: NDArray[np.generic]
    cash: FloatArray
    isolated: FloatArray
    liquidation_price: FloatArray
    agrees: NDArray[np.bool_]
    tested: NDArray[np.bool_]

    __setstate__ = restore

    def __str__(self) -> str:
        tested, agree = int(np.count_nonzero(self.tested)), int(np.count_nonzero(self.agrees))
        isolated = int(np.count_nonzero(~np.isnan(self.isolated)))
        share = f" ({agree / tested:.1%})" if tested else ""
        return (
            f"margin of {self.account.size:,} accounts: {agree:,} of {tested:,} published prices in accounts with "
            f"several{share} follow from one pool of margin; {isolated:,} of {self.isolated.size:,} positions isolated"
        )


def infer_margin(
    account: ArrayLike,
    market: ArrayLike,
    quantity: ArrayLike,
    entry_price: ArrayLike,
    mark_price: ArrayLike,
    liquidation_price: ArrayLike,
    schedules: MarginSchedule | Mapping[str, MarginSchedule],
    *,
    tolerance: float = 1e-4,
) -> InferredMargin:
    """Infer how much margin accounts hold, and which of their positions share it.

    In a cross account every position's liquidation price tells the same cash: with the other positions at their marks,
    equity equals maintenance there, so cash = maintenance at that price + that of the others - the others' unrealised
    gains - q (price - entry). Positions that contradict the largest group of an account are isolated: each has the
    margin that its price tells alone.

    Parameters
    ----------
    account : array_like, shape (n,)
        Who holds each position: integers or names, none missing.
    market : array_like of str, shape (n,)
        In which market; each account has at most one position in one.
    quantity : array_like, shape (n,)
        Base units, positive for longs, negative for shorts.
    entry_price, mark_price : array_like, shape (n,)
        Quote units per base unit, positive.
    liquidation_price : array_like, shape (n,)
        As published, positive; nan where there is none. Such positions are taken as cross.
    schedules : MarginSchedule or mapping of str to MarginSchedule
        Maintenance margin, one for all markets or one each; valued at the mark.
    tolerance : float, default 1e-4
        Relative error of a published price up to which it agrees, positive.

    Returns
    -------
    InferredMargin

    Raises
    ------
    TypeError, ValueError
        Where an argument breaks its rule.

    Examples
    --------
    Somebody holds two coins with one pool of 13,000, somebody else a third of them alone:

    >>> found = infer_margin(
    ...     account=[7, 7, 9],
    ...     market=["BTC", "ETH", "BTC"],
    ...     quantity=[1.0, 10.0, -1.0],
    ...     entry_price=[60_000.0, 2_000.0, 60_000.0],
    ...     mark_price=[60_000.0, 2_000.0, 60_000.0],
    ...     liquidation_price=[47_676.77, 767.68, 69_306.93],
    ...     schedules=MarginSchedule.flat(0.01),
    ... )
    >>> found.cash.round(0).tolist()
    [13000.0, 10000.0]
    """
    holder, names = labels("account", account), words("market", market)
    who, owner = np.unique(holder, return_inverse=True)
    q, entry = finite_array("quantity", quantity), finite_array("entry_price", entry_price)
    mark, published = finite_array("mark_price", mark_price), real_array("liquidation_price", liquidation_price)
    columns = {
        "account": holder, "market": names, "quantity": q, "entry_price": entry, "mark_price": mark,
        "liquidation_price": published,
    }  # fmt: skip
    for name, column in columns.items():
        if column.ndim != 1 or column.size != q.size:
            raise ValueError(f"{name} must have one entry a position, shape ({q.size},), was of shape {column.shape}")
    check("quantity", q, q != 0, "other than 0")
    positive("entry_price", entry)
    positive("mark_price", mark)
    told = ~np.isnan(published)
    check("liquidation_price", published, ~told | ((published > 0) & (published < np.inf)), "positive, or nan for none")
    close = number("tolerance", tolerance, above=0)
    rules = _schedules(schedules, names)
    _check_once(who, owner, names)

    gain = q * (mark - entry)
    needed = _maintenance(rules, names, np.abs(q) * mark)
    # By its own price alone, each position tells the margin of an isolated one.
    alone = _maintenance(rules, names, np.abs(q) * np.where(told, published, 0.0)) - q * (published - entry)
    others_gain = np.bincount(owner, gain, who.size)[owner] - gain
    others_needed = np.bincount(owner, needed, who.size)[owner] - needed
    # Other isolated positions shift all of an account's by the same, so groups can be found before they are.
    pool = alone + others_needed - others_gain
    slack = close * np.abs(q) * published
    cross = ~told | _largest_group(owner, pool, slack, told)

    isolated = np.where(cross, np.nan, alone)
    gain_together = np.bincount(owner[cross], gain[cross], who.size)
    needed_together = np.bincount(owner[cross], needed[cross], who.size)
    pool = alone + (needed_together[owner] - needed) - (gain_together[owner] - gain)
    cash = _medians(owner, pool, cross & told, who.size)
    margin = np.where(cross, cash[owner], isolated)
    known = ~np.isnan(margin)
    predicted = np.full(q.size, np.nan)
    predicted[known] = _liquidation_prices(
        rules, names[known], q[known], entry[known], margin[known],
        np.where(cross, gain_together[owner] - gain, 0.0)[known],
        np.where(cross, needed_together[owner] - needed, 0.0)[known],
    )  # fmt: skip
    tested = told & (np.bincount(owner, told, who.size)[owner] > 1)
    group = np.bincount(owner, told & cross, who.size)[owner] > 1
    agrees = tested & cross & group & (np.abs(predicted - published) <= close * published)
    result = InferredMargin(who, cash, isolated, predicted, agrees, tested)
    for value in vars(result).values():
        read_only(value)
    return result


def _schedules(schedules: object, names: NDArray[np.generic]) -> dict[str, MarginSchedule]:
    found = np.unique(names).tolist()
    if isinstance(schedules, MarginSchedule):
        return dict.fromkeys(found, schedules)
    if not isinstance(schedules, Mapping):
        raise TypeError(f"schedules must be a MarginSchedule or a mapping, was {type(schedules).__name__}")
    for name in found:
        if not isinstance(schedules.get(name), MarginSchedule):
            raise ValueError(f"schedules must hold a MarginSchedule for each market, was without {name!r}")
    return {name: schedules[name] for name in found}


def _check_once(who: NDArray[np.generic], owner: NDArray[np.intp], names: NDArray[np.generic]) -> None:
    order = np.lexsort((names, owner))
    twice = (owner[order][1:] == owner[order][:-1]) & (names[order][1:] == names[order][:-1])
    if twice.any():
        one = order[int(np.argmax(twice))]
        raise ValueError(
            f"account must have at most one position in a market, was with several of {who[owner[one]]} in {names[one]}"
        )


def _maintenance(rules: Mapping[str, MarginSchedule], names: NDArray[np.generic], notional: FloatArray) -> FloatArray:
    out = np.full(notional.size, np.nan)
    for name, schedule in rules.items():
        rows = names == name
        out[rows] = schedule.maintenance(notional[rows])
    return out


def _liquidation_prices(
    rules: Mapping[str, MarginSchedule], names: NDArray[np.generic], q: FloatArray, entry: FloatArray,
    margin: FloatArray, other_pnl: FloatArray, other_maintenance: FloatArray,
) -> FloatArray:  # fmt: skip
    out = np.full(q.size, np.nan)
    for name, schedule in rules.items():
        rows = np.flatnonzero(names == name)
        out[rows] = liquidation_price(
            np.sign(q[rows]), np.abs(q[rows]), entry[rows], margin[rows], schedule,
            other_pnl=other_pnl[rows], other_maintenance=other_maintenance[rows],
        )  # fmt: skip
    return out


def _largest_group(
    owner: NDArray[np.intp], pool: FloatArray, slack: FloatArray, told: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Tell which positions are in the largest group of their account whose pools differ by no more than their slack.

    A position that nothing contradicts is; where all of several contradict each other, none is.
    """
    rows = np.flatnonzero(told)
    rows = rows[np.lexsort((pool[rows], owner[rows]))]
    who, value, loose = owner[rows], pool[rows], slack[rows]
    new = np.ones(rows.size, bool)
    new[1:] = (who[1:] != who[:-1]) | (value[1:] - value[:-1] > loose[1:] + loose[:-1])
    group = np.cumsum(new) - 1
    size, holder = np.bincount(group), who[new]
    by_size = np.lexsort((-size, holder))
    largest = by_size[np.unique(holder[by_size], return_index=True)[1]]
    chosen = np.zeros(size.size, bool)
    chosen[largest] = (size[largest] > 1) | (np.bincount(who)[holder[largest]] == 1)
    out = np.zeros(owner.size, bool)
    out[rows] = chosen[group]
    return out


def _medians(owner: NDArray[np.intp], values: FloatArray, chosen: NDArray[np.bool_], count: int) -> FloatArray:
    """Median over the chosen of each owner, nan where there is none."""
    rows = np.flatnonzero(chosen)
    rows = rows[np.lexsort((values[rows], owner[rows]))]
    held = np.bincount(owner[rows], minlength=count)
    begin = np.cumsum(held) - held
    out = np.full(count, np.nan)
    some = held > 0
    low, high = begin[some] + (held[some] - 1) // 2, begin[some] + held[some] // 2
    out[some] = 0.5 * (values[rows][low] + values[rows][high])
    return out
