"""Maintenance tiers of many symbols: ccxt's, Binance's and Hyperliquid's structures, and tables."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from flushpoint.margin import MarginSchedule
from flushpoint.readers.records import items, load_json, member, positive, real, real_or_none, record, word
from flushpoint.readers.tables import SUFFIXES, Source, choose, labels, numbers, open_table
from flushpoint.readers.values import is_missing, one_line, shown, to_float

_ROUNDING = 1e-6  # of the maintenance margin at a tier's floor: what a published deduction may be off


class _Tier(NamedTuple):
    floor: float
    rate: float
    cap: float = math.nan  # NaN: not said
    deduction: float = math.nan


def read_tiers(
    source: Source | Mapping[str, Any] | Sequence[Mapping[str, Any]], *, venue: str | None = None
) -> dict[str, MarginSchedule]:
    """Read the maintenance tiers of all symbols of a venue.

    Parameters
    ----------
    source : mapping, list, path or table
        One of the following, or the path of a .json file that holds it, or for the last of a .csv, .csv.gz or .parquet
        file:

        - what ccxt's ``fetch_leverage_tiers()`` returns: a list of tiers by symbol, each with ``minNotional``,
          ``maintenanceMarginRate`` and perhaps ``maxNotional``;
        - what Binance's ``leverageBracket`` returns: a list of mappings, or one, with ``symbol`` (or ``pair``) and
          ``brackets``, each with ``notionalFloor`` (coin-margined: ``qtyFloor``), ``maintMarginRatio`` and perhaps
          ``notionalCap`` (``qtyCap``) and ``cum``, the deduction. The brackets are taken as they stand, whatever
          ``notionalCoef`` says;
        - what Hyperliquid's ``meta`` returns: ``marginTables``, a list of pairs of an id and a mapping with
          ``marginTiers``, each with ``lowerBound`` and ``maxLeverage``: the rate is 1 / (2 max leverage). With
          ``universe`` the tables go by coin (an asset without a table of its own has one tier), without by id;
        - a table, as `read_positions` takes it, with the columns symbol, notional_floor and maint_rate, and perhaps
          venue, notional_cap and maint_amount, the deduction.
    venue : str, optional
        Which venue of a table with that column. May be left out where there is only one.

    Returns
    -------
    dict of str to MarginSchedule
        Floors are in quote units, in base units for inverse contracts.

    Raises
    ------
    ValueError, TypeError
        For a source of another kind, a value that is missing or out of range, tiers that do not adjoin, deductions that
        contradict the floors and rates, or a symbol that comes twice.

    Examples
    --------
    >>> read_tiers([{"symbol": "BTCUSDT", "brackets": [
    ...     {"notionalFloor": 0, "notionalCap": 300_000, "maintMarginRatio": 0.004, "cum": 0.0},
    ...     {"notionalFloor": 300_000, "notionalCap": 800_000, "maintMarginRatio": 0.005, "cum": 300.0},
    ... ]}])["BTCUSDT"].deduction
    array([  0., 300.])
    """
    data: Any = source
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        if not path.name.lower().endswith((".json", *SUFFIXES)):
            raise ValueError(f"path must end in .json, .csv, .csv.gz or .parquet, was {str(path)!r}")
        if path.name.lower().endswith(".json"):
            data = load_json(path)
            if not isinstance(data, (Mapping, list)):
                raise ValueError(f"path must hold a JSON object or list, was {shown(data)} in {str(path)!r}")
    if not isinstance(data, (Mapping, list, tuple)):
        return _of_table(data, venue)
    if venue is not None:
        raise ValueError(f"venue must be None where the source is of one venue, was {venue!r}")
    if isinstance(data, Mapping) and "marginTables" in data:
        return _of_hyperliquid(data)
    if isinstance(data, Mapping) and "brackets" not in data:
        return _of_ccxt(data)
    return _of_binance([data] if isinstance(data, Mapping) else data)


def _of_ccxt(data: Mapping[str, Any]) -> dict[str, MarginSchedule]:
    out = {}
    for symbol, tiers in data.items():
        name = f"source[{shown(symbol)}]"
        rows = [(f"{name}[{k}]", record(t, f"{name}[{k}]")) for k, t in enumerate(items(tiers, name))]
        out[str(symbol)] = _schedule(
            name,
            [
                _Tier(real(t, "minNotional", at), real(t, "maintenanceMarginRate", at), _cap(t, "maxNotional", at))
                for at, t in rows
            ],
        )
    return _some_symbols(out)


def _of_binance(data: Sequence[Any]) -> dict[str, MarginSchedule]:
    out: dict[str, MarginSchedule] = {}
    for s, market in enumerate(data):
        name = f"source[{s}]"
        symbol = word(record(market, name), "pair" if "pair" in market else "symbol", name)
        if symbol in out:
            raise ValueError(f"{name}.symbol must come once, was {symbol!r} again")
        rows = []
        for k, bracket in enumerate(items(member(market, "brackets", name), f"{name}.brackets")):
            at = f"{name}.brackets[{k}]"
            b = record(bracket, at)
            # The coin-margined side spells one key in two ways.
            floor = next((key for key in ("qtyFloor", "qtylFloor") if key in b), "notionalFloor")
            cap = _cap(b, "qtyCap" if "qtyCap" in b else "notionalCap", at)
            deduction = math.nan if is_missing(b.get("cum")) else real(b, "cum", at)
            rows.append(_Tier(real(b, floor, at), real(b, "maintMarginRatio", at), cap, deduction))
        out[symbol] = _schedule(f"{name}.brackets", rows)
    return _some_symbols(out)


def _of_hyperliquid(data: Mapping[str, Any]) -> dict[str, MarginSchedule]:
    tables = {}
    for k, pair in enumerate(items(data["marginTables"], "source.marginTables")):
        name = f"source.marginTables[{k}]"
        if len(items(pair, name)) != 2:
            raise ValueError(f"{name} must be a pair of id and table, was of length {len(pair)}")
        tiers = items(member(record(pair[1], f"{name}[1]"), "marginTiers", f"{name}[1]"), f"{name}[1].marginTiers")
        rows = [(f"{name}[1].marginTiers[{j}]", record(t, f"{name}[1].marginTiers[{j}]")) for j, t in enumerate(tiers)]
        tables[str(pair[0])] = _schedule(
            name, [_Tier(real(t, "lowerBound", at), 0.5 / positive(t, "maxLeverage", at)) for at, t in rows]
        )
    if "universe" not in data:
        return _some_symbols(tables)
    out = {}
    for k, asset in enumerate(items(data["universe"], "source.universe")):
        name = f"source.universe[{k}]"
        table = tables.get(str(record(asset, name).get("marginTableId")))
        if table is None:
            table = _schedule(name, [_Tier(0.0, 0.5 / positive(asset, "maxLeverage", name))])
        out[word(asset, "name", name)] = table
    return _some_symbols(out)


def _of_table(source: Source, venue: str | None) -> dict[str, MarginSchedule]:
    needed = ["symbol", "notional_floor", "maint_rate", *(["venue"] if venue is not None else [])]
    frame = open_table(source, needed, ["venue", "notional_cap", "maint_amount"])
    rows = np.arange(len(frame))
    if "venue" in frame:
        codes, venues = labels(frame, "venue")
        if not venues:
            raise ValueError("column 'venue' must be a name, was empty in every data row")
        names = [str(v) for v in venues]
        chosen = choose("venue", dict.fromkeys(names, 0), venue)
        rows = rows[np.array([*(name == chosen for name in names), False])[codes]]
    rule = "a number of at least 0"
    floor, rate = numbers(frame, "notional_floor", rows, rule), numbers(frame, "maint_rate", rows, rule)
    cap, deduction = np.full((2, len(rows)), np.nan)
    if "notional_cap" in frame:
        cap = numbers(frame, "notional_cap", rows, gaps=True)
    if "maint_amount" in frame:
        deduction = numbers(frame, "maint_amount", rows, rule)
    codes, symbols = labels(frame, "symbol")
    codes = codes[rows]
    if (codes < 0).any():
        row = int(rows[np.argmin(codes)]) + 1
        raise ValueError(f"column 'symbol' must be a name, was empty in data row {row}")
    tiers: dict[str, list[_Tier]] = {}
    for k, code in enumerate(codes):
        tier = _Tier(float(floor[k]), float(rate[k]), float(cap[k]), float(deduction[k]))
        tiers.setdefault(str(symbols[code]), []).append(tier)
    return {symbol: _schedule(f"the tiers of {shown(symbol)}", group) for symbol, group in tiers.items()}


def _cap(tier: Mapping[str, Any], key: str, name: str) -> float:
    return math.nan if to_float(tier.get(key)) == math.inf else real_or_none(tier, key, name)


def _some_symbols(out: dict[str, MarginSchedule]) -> dict[str, MarginSchedule]:
    if not out:
        raise ValueError("source must hold the tiers of at least one symbol, was without any")
    return out


def _schedule(name: str, tiers: list[_Tier]) -> MarginSchedule:
    """Make a schedule, and hold it against the deductions given."""
    tiers = sorted(tiers)
    try:
        schedule = MarginSchedule.from_ccxt(
            {
                "minNotional": t.floor,
                "maintenanceMarginRate": t.rate,
                "maxNotional": None if math.isnan(t.cap) else t.cap,
            }
            for t in tiers
        )
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: {one_line(error)}") from None
    for k, (tier, deduction) in enumerate(zip(tiers, schedule.deduction.tolist(), strict=True)):
        if abs(tier.deduction - deduction) > _ROUNDING * tier.floor * tier.rate:
            raise ValueError(
                f"{name}: the deduction must be {deduction:.12g}, as the floors and rates say, "
                f"was {tier.deduction:.12g} in tier {k + 1}"
            )
    return schedule
