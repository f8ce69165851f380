"""Positions as Hyperliquid's ``clearinghouseState`` tells them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from flushpoint.margin import MarginSchedule
from flushpoint.readers.positions import (
    MissingLiquidation,
    Positions,
    assemble,
    bankruptcies,
    check_missing,
    check_schedule,
    one_price,
)
from flushpoint.readers.records import items, member, positive, real, real_or_none, record, word
from flushpoint.readers.tables import choose


def from_hyperliquid(
    states: Mapping[str, Any] | Sequence[Mapping[str, Any]],
    mark_prices: Mapping[str, Any] | None = None,
    *,
    coin: str | None = None,
    schedule: MarginSchedule | None = None,
    missing_liquidation: MissingLiquidation = "never",
) -> Positions:
    """Read one coin's positions from the ``clearinghouseState`` of one or many Hyperliquid accounts.

    Parameters
    ----------
    states : mapping or list of mapping
        Each with ``assetPositions``, a list of mappings with ``position``: ``coin``, ``szi`` (signed, base units),
        ``entryPx``, ``liquidationPx`` (null: none) and, unless `mark_prices` is given, ``positionValue``. Numbers may
        be text. Other keys are not looked at.
    mark_prices : mapping of str to number or text, optional
        Price by coin, such as ``allMids`` returns. By default the price is the median of position value / size.
    coin : str, optional
        Which coin. May be left out where there is only one.
    schedule : MarginSchedule, optional
        Tiers of maintenance margin; with them bankruptcy prices are known, as in `read_positions`. Positions under
        cross margin are taken as if each had its margin to itself.
    missing_liquidation : {"never", "drop"}
        What becomes of a position without a liquidation price: kept as one that never closes, or dropped. Hyperliquid
        gives none where an account's collateral covers any price.

    Returns
    -------
    Positions

    Raises
    ------
    ValueError, TypeError
        Naming the position, the key, the rule and the value.

    Notes
    -----
    What is dropped and what is an error follows `read_positions`.

    Examples
    --------
    >>> state = {"assetPositions": [{"type": "oneWay", "position": {
    ...     "coin": "ETH", "szi": "-2.5", "entryPx": "2400.0", "positionValue": "5750.0", "liquidationPx": "3105.2"}}]}
    >>> held = from_hyperliquid(state)
    >>> held
    <Positions: ETH at 2,300: 1 of 1 positions kept; none dropped>
    >>> held.book.side, held.book.trigger_price
    (array([-1], dtype=int8), array([3105.2]))
    """
    check_missing(missing_liquidation)
    check_schedule(schedule)
    found: list[tuple[str, str, Mapping[str, Any]]] = []  # coin, where, position
    for s, state in enumerate([states] if isinstance(states, Mapping) else items(states, "states")):
        name = f"states[{s}]"
        for k, each in enumerate(items(member(record(state, name), "assetPositions", name), f"{name}.assetPositions")):
            inside = f"{name}.assetPositions[{k}]"
            where = f"{inside}.position"
            position = record(member(record(each, inside), "position", inside), where)
            found.append((word(position, "coin", where), where, position))
    if not found:
        raise ValueError("states must hold at least one position, was without any")
    coins = Counter(found_coin for found_coin, _, _ in found)
    coin = choose("coin", coins, coin)

    size, entry, liquidation, marks = [], [], [], []
    for found_coin, where, position in found:
        if found_coin != coin or not (signed := real(position, "szi", where, signed=True)):
            continue
        size.append(signed)
        entry.append(positive(position, "entryPx", where))
        liquidation.append(real_or_none(position, "liquidationPx", where))
        if mark_prices is None:
            marks.append(positive(position, "positionValue", where) / abs(signed))
            if not 0 < marks[-1] < math.inf:
                raise ValueError(f"{where}.positionValue must be a price times szi, was {marks[-1]} times szi")
    if mark_prices is None:
        price = one_price("positionValue / szi", np.array(marks, dtype=np.float64), "mark_prices")
    else:
        price = positive(record(mark_prices, "mark_prices"), coin, "mark_prices")
    signed_sizes = np.array(size, dtype=np.float64)
    sides, sizes = np.sign(signed_sizes).astype(np.int8), np.abs(signed_sizes)
    liquidations = np.array(liquidation, dtype=np.float64)
    return assemble(
        sides,
        sizes,
        liquidations,
        np.array(entry, dtype=np.float64),
        None if schedule is None else bankruptcies(sides, sizes, liquidations, schedule, "linear"),
        price=price,
        coin=coin,
        missing_liquidation=missing_liquidation,
        other_coins=len(found) - coins[coin],
        zero_sizes=coins[coin] - len(size),
    )
