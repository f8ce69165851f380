"""Positions as ccxt's ``fetch_positions()`` returns them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, get_args

import numpy as np

from flushpoint._validate import FloatArray, number
from flushpoint.book import Book
from flushpoint.margin import Contract, MarginSchedule
from flushpoint.readers.positions import (
    MissingLiquidation,
    Positions,
    assemble,
    bankruptcies,
    check_missing,
    check_schedule,
    one_price,
)
from flushpoint.readers.records import items, positive, real, real_or_none, record, word
from flushpoint.readers.tables import choose
from flushpoint.readers.values import SIDE_RULE, shown, side_of

_OPTIONAL = ("liquidationPrice", "entryPrice", "markPrice", "leverage", "initialMargin", "collateral")


def from_ccxt(
    positions: Sequence[Mapping[str, Any]],
    symbol: str | None = None,
    *,
    price: float | None = None,
    schedule: MarginSchedule | None = None,
    contract: Contract | None = None,
    missing_liquidation: MissingLiquidation = "never",
) -> Positions:
    """Read one symbol's positions from what ccxt's ``fetch_positions()`` returns.

    Parameters
    ----------
    positions : list of mapping
        Each with ``symbol``, ``side``, ``contracts`` and ``contractSize``, and perhaps ``liquidationPrice``,
        ``entryPrice``, ``markPrice``, ``leverage``, ``initialMargin`` and ``collateral``: None, empty or 0 where there
        is none. Numbers may be text. Other keys are not looked at.
    symbol : str, optional
        Which symbol, as ccxt writes it. May be left out where there is only one.
    price : float, optional
        Price of the market, positive; by default the median of the mark prices of the symbol's positions.
    schedule : MarginSchedule, optional
        Tiers of maintenance margin. With it bankruptcy prices are known, as in `read_positions`, and a position without
        a liquidation price has it worked out by `Book.from_positions`, as isolated margin, if its entry price is known
        and its margin: notional at entry / leverage, else the initial margin, else the collateral.
    contract : {"linear", "inverse"}, optional
        By default what the symbol says: inverse when it settles in its base coin (BTC/USD:BTC), linear when in its
        quote coin (BTC/USDT:USDT) or when it does not say.
    missing_liquidation : {"never", "drop"}
        What becomes of a position that has no liquidation price, even so: kept as one that never closes, or dropped.

    Returns
    -------
    Positions
        Quantities are in base units: contracts * contract size, for inverse contracts / liquidation price (/ entry
        price for a position that never closes, / market price where that is not known). Entry prices are kept if
        every position has one.

    Raises
    ------
    ValueError, TypeError
        Naming the position, the key, the rule and the value.

    Notes
    -----
    What is dropped and what is an error follows `read_positions`: other symbols and zero contracts are dropped first
    and nothing more is asked of them.

    Examples
    --------
    >>> fetched = [
    ...     {"symbol": "BTC/USD:BTC", "side": "long", "contracts": 160, "contractSize": 100.0, "entryPrice": 100_000.0,
    ...      "markPrice": 96_000.0, "leverage": 5.0, "liquidationPrice": 80_000.0},
    ...     {"symbol": "BTC/USD:BTC", "side": None, "contracts": 0.0, "contractSize": 100.0},
    ... ]
    >>> held = from_ccxt(fetched)
    >>> held
    <Positions: BTC/USD:BTC at 96,000: 1 of 2 positions kept; dropped: 1 zero size>
    >>> held.book.quantity
    array([0.2])
    """
    check_missing(missing_liquidation)
    check_schedule(schedule)
    if contract is not None and contract not in get_args(Contract):
        raise ValueError(f"contract must be 'linear' or 'inverse', was {shown(contract)}")
    if price is not None:
        price = number("price", price, above=0)
    found = [record(each, f"positions[{k}]") for k, each in enumerate(items(positions, "positions"))]
    if not found:
        raise ValueError("positions must hold at least one position, was empty")
    symbols = [word(each, "symbol", f"positions[{k}]") for k, each in enumerate(found)]
    symbol = choose("symbol", Counter(symbols), symbol)
    contract = contract or _contract(symbol)

    side, size = [], []
    optional: dict[str, list[float]] = {key: [] for key in _OPTIONAL}
    for k, each in enumerate(found):
        name = f"positions[{k}]"
        if symbols[k] != symbol or not (contracts := real(each, "contracts", name)):
            continue
        side.append(side_of(each.get("side")))
        if not side[-1]:
            raise ValueError(f"{name}.side must be {SIDE_RULE}, was {shown(each.get('side'))}")
        size.append(contracts * positive(each, "contractSize", name))
        if not 0 < size[-1] < np.inf:
            raise ValueError(f"{name}.contracts must be finite times contractSize, and not 0, was {size[-1]}")
        for key, values in optional.items():
            values.append(real_or_none(each, key, name))

    sides, sizes = np.array(side, dtype=np.int8), np.array(size, dtype=np.float64)
    known = {key: np.array(values, dtype=np.float64) for key, values in optional.items()}
    entry, liquidation, marks = known["entryPrice"], known["liquidationPrice"], known["markPrice"]
    if price is None:
        price = one_price("markPrice", marks[~np.isnan(marks)])
    completed = np.isnan(liquidation)
    bankruptcy = None
    with np.errstate(all="ignore"):  # what overflows is refused by the book
        if schedule is not None:
            margin = _margin(sizes, known, contract)
            todo = np.isnan(liquidation) & ~np.isnan(entry) & ~np.isnan(margin)
            worked_out = Book.from_positions(
                sides[todo], sizes[todo], entry[todo], margin=margin[todo], schedule=schedule, contract=contract
            ).trigger_price
            liquidation[todo] = np.where((worked_out > 0) & (worked_out < np.inf), worked_out, np.nan)
            bankruptcy = bankruptcies(sides, sizes, liquidation, schedule, contract)
        if contract == "inverse":
            sizes /= np.where(np.isnan(liquidation), np.where(np.isnan(entry), price, entry), liquidation)
    return assemble(
        sides,
        sizes,
        liquidation,
        None if np.isnan(entry).any() else entry,
        bankruptcy,
        price=price,
        coin=symbol,
        missing_liquidation=missing_liquidation,
        other_coins=len(found) - symbols.count(symbol),
        zero_sizes=symbols.count(symbol) - len(sides),
        completed=completed & ~np.isnan(liquidation),
    )


def _contract(symbol: str) -> Contract:
    """Read off BASE/QUOTE:SETTLE what kind of contract it is."""
    pair, _, settled = symbol.partition(":")
    base, _, quote = pair.partition("/")
    settle = settled.partition("-")[0]  # an expiry may follow
    if settle and settle not in (base, quote):
        raise ValueError(f"contract must be given for a symbol that settles in a third coin, was None for {symbol!r}")
    return "inverse" if settle == base else "linear"


def _margin(size: FloatArray, known: Mapping[str, FloatArray], contract: Contract) -> FloatArray:
    notional = size / known["entryPrice"] if contract == "inverse" else size * known["entryPrice"]
    margin = notional / known["leverage"]
    for key in ("initialMargin", "collateral"):
        margin = np.where(np.isnan(margin), known[key], margin)
    return margin
