"""The positions and the market that a command is about, from its options."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import typer

import flushpoint
from flushpoint import __version__, example, io, report
from flushpoint.book import Book
from flushpoint.cli.options import OfBook, OfMarket
from flushpoint.cli.output import naming
from flushpoint.impact import SquareRootImpact
from flushpoint.market import Market

DAILY_VOLUME = 60e9  # USD, bitcoin over all venues
DAILY_VOLATILITY = 0.025
LINEAR_BELOW = 1e-3  # share of the daily volume up to which impact is about linear
MAINTENANCE_RATE = 0.005  # of a history's book


def positive(given: dict[str, float | None]) -> None:
    """Refuse options that are given and not positive."""
    for option, value in given.items():
        if value is not None and not 0 < value < math.inf:
            raise typer.BadParameter(f"must be positive and finite, was {value}", param_hint=option)


def only_with(needed: str, given: dict[str, Any]) -> None:
    """Refuse options that make sense only with another."""
    for option, value in given.items():
        if value is not None:
            raise typer.BadParameter(f"must come with {needed}, was {value} without", param_hint=option)


@dataclass(frozen=True)
class Subject:
    """The positions that a command is about, what to say about them, and what they were made from."""

    title: str
    book: Book
    price: float
    notes: tuple[str, ...]
    source: dict[str, Any]
    market: Market | None = None
    history: io.History | None = None
    inference: dict[str, Any] = field(default_factory=dict)


def subject_of(asked: OfBook) -> Subject:
    """Read or make the positions."""
    positive({"--open-interest": asked.open_interest, "--price": asked.price, "--period": asked.period})
    columns = {what: column for what, column in zip(io.COLUMNS, _columns(asked), strict=True) if column is not None}
    if asked.positions is None:
        of_positions = {f"--{what.partition('_')[0]}-column": column for what, column in columns.items()}
        only_with("--positions", {"--coin": asked.coin, **of_positions})
    if asked.history is None:
        given = {"--unit": asked.unit, "--period": asked.period, "--history-column": asked.history_column}
        only_with("--history", given)
    if asked.positions is None and asked.history is None:
        only_with("--positions or --history", {"--price": asked.price, "--maintenance-rate": asked.maintenance_rate})
        subject = _example()
    elif asked.history is None:
        subject = _from_positions(asked, columns)
    elif asked.positions is None:
        subject = _from_history(asked)
    else:
        raise typer.BadParameter("must come without --positions, was given with it", param_hint="--history")
    if asked.open_interest is None:
        return subject
    note = f"Scaled to an open interest of {report.money(asked.open_interest)} USD on each side that has positions."
    scaled = subject.book.scaled(asked.open_interest, subject.price)
    return replace(subject, book=scaled, notes=(*subject.notes, note))


def _example() -> Subject:
    title = f"Embedded example: a synthetic book, bitcoin at {example.PRICE:,.0f} USD"
    source = {"kind": "example"}
    return Subject(title, example.book(), example.PRICE, example.NOTES, source, example.market())


def _columns(asked: OfBook) -> tuple[str | None, ...]:
    """Of a file of positions, in the order of `io.COLUMNS`."""
    return (
        asked.coin_column,
        asked.side_column,
        asked.size_column,
        asked.entry_column,
        asked.mark_column,
        asked.liquidation_column,
    )


def _from_positions(asked: OfBook, columns: dict[str, str]) -> Subject:
    path = cast(Path, asked.positions)
    with naming("--positions", "--coin", "--maintenance-rate"):
        held = io.read_positions(
            path, coin=asked.coin, columns=columns, price=asked.price, maintenance_rate=asked.maintenance_rate
        )
        if not len(held.book):
            raise ValueError(f"must hold positions not yet crossed at {held.price:g}, was {held.crossed} crossed ones")
    note = f"{held.rows:,} rows read, {held.crossed:,} dropped as already crossed at the price"
    if empty := held.dropped["zero size"]:
        note += f", {empty:,} of size 0"
    note += f"; {held.other_coins:,} rows of other coins left out." if held.other_coins else "."
    source = {"kind": "positions", "path": str(path), "rows": held.rows, "dropped": dict(held.dropped)}
    title = f"{held.coin or 'Positions'} at {held.price:,.8g} USD, {path.name}"
    return Subject(title, held.book, held.price, (note,), source)


def _from_history(asked: OfBook) -> Subject:
    path = cast(Path, asked.history)
    rate = MAINTENANCE_RATE if asked.maintenance_rate is None else asked.maintenance_rate
    columns = {}
    for text in asked.history_column or ():
        what, equals, column = text.partition("=")
        if not equals:
            raise typer.BadParameter(f"must be NAME=COLUMN, was {text!r}", param_hint="--history-column")
        columns[what] = column
    with naming("--history", "--unit", "--period", "--maintenance-rate", "--history-column"):
        history = io.read_history(path, columns, unit=cast(Any, asked.unit or "quote"), period=asked.period)
        inference: dict[str, Any] = {"maintenance_rate": rate, "period": history.period}
        book = Book.from_open_interest(history, **inference)
        price = float(history.close[-1]) if asked.price is None else asked.price
        alive = book.alive(price)
        if not len(alive):
            raise ValueError(f"must leave positions not yet crossed at {price:g}, was {len(book):,} crossed ones")
    mix = flushpoint.LeverageMix.power_law()
    notes: tuple[str, ...] = (
        "Inferred, not observed: the positions that prices and open interest suggest, as cells of a grid of leverage "
        "and trigger price. Each side stands for about the open interest of the last row, "
        f"{report.money(history.open_interest[-1])} USD.",
        f"{path.name}: {history}.",
        f"Assumed: leverage of {mix.leverage[0]:g}x to {mix.leverage[-1]:g}x, "
        f"{mix.share[mix.leverage > 10].sum():.0%} of open interest above 10x, and turnover, both as fit hourly "
        f"bitcoin liquidations of December 2025 to February 2026; isolated margin at a maintenance rate of "
        f"{100 * rate:g}%; what was open before the first row opened at its prices; rows on both sides of a gap are "
        "neighbours.",
    )
    if crossed := len(book) - len(alive):
        notes += (f"{crossed:,} positions dropped as already crossed at the price given.",)
    source = {
        "kind": "history",
        "path": str(path),
        "rows": history.rows,
        "dropped": dict(history.dropped),
        "gaps": history.gaps,
        "missing": history.missing,
        "time": None if history.time is None else [str(history.time[0]), str(history.time[-1])],
        **inference,
    }
    title = f"Inferred book at {price:,.8g} USD, {path.name}"
    return Subject(title, alive, price, notes, source, history=history, inference=inference)


def origin(subject: Subject) -> dict[str, Any]:
    """Say what a report is about."""
    return {
        "version": __version__,
        "title": subject.title,
        "source": subject.source,
        "book_notes": subject.notes,
    }


def market_of(subject: Subject, asked: OfMarket) -> tuple[Market, tuple[str, ...]]:
    """Choose the market, and say where its impact comes from."""
    depth, daily_volume, daily_volatility = asked.depth, asked.daily_volume, asked.daily_volatility
    positive({"--daily-volume": daily_volume, "--daily-volatility": daily_volatility})
    law_given = daily_volume is not None or daily_volatility is not None
    if depth is not None:
        if law_given:
            other = "--daily-volume" if daily_volume is not None else "--daily-volatility"
            raise typer.BadParameter(f"must come without {other}, was given with it", param_hint="--depth")
        with naming("--depth"):
            impact = io.read_depth(depth)
        return Market(subject.price, impact), (
            f"Walks the order book displayed in {depth.name}, the mean of its snapshots; beyond the last level its "
            "slope continues. Displayed depth is refilled as a fall goes on: slower selling moves the price less.",
        )
    if subject.market is not None and not law_given:
        return subject.market, example.IMPACT_NOTES
    volume, volatility = daily_volume or DAILY_VOLUME, daily_volatility or DAILY_VOLATILITY
    base_volume = volume / subject.price
    law = SquareRootImpact(volatility, base_volume, core=LINEAR_BELOW * base_volume)
    note = (
        f"{'Square-root law' if law_given else 'Default impact, the square-root law'}: prefactor {law.prefactor:g}, "
        f"daily volatility {100 * volatility:g}%, daily volume {report.money(volume)} USD, about linear below "
        f"{100 * LINEAR_BELOW:g}% of it."
    )
    if daily_volume is None:
        note += " The volume is bitcoin's, over all venues: --daily-volume or --depth describe another market."
    return Market(subject.price, law), (note,)
