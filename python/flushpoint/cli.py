"""The command ``flushpoint`` (extra ``cli``: typer and rich)."""

from __future__ import annotations

import importlib
import json
import math
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, cast

import numpy as np

import flushpoint
from flushpoint import __version__, example, io, plot, report
from flushpoint import levels as level_report
from flushpoint.book import Book
from flushpoint.impact import SquareRootImpact
from flushpoint.market import Market
from flushpoint.response import response

if TYPE_CHECKING:
    from matplotlib.axes import Axes

try:
    import rich  # noqa: F401  (prints the report)
    import typer

    from flushpoint import options
except ImportError:
    _INSTALLED = False
else:
    _INSTALLED = True

DAILY_VOLUME = 60e9  # USD, bitcoin over all venues
DAILY_VOLATILITY = 0.025
LINEAR_BELOW = 1e-3  # share of the daily volume up to which impact is about linear
MAINTENANCE_RATE = 0.005  # of a history's book


_Pictures: TypeAlias = "dict[str, Callable[[Axes], object]]"  # by file name, what draws each


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0, 2 for bad input (with one line on stderr), 130 for Ctrl-C."""
    if not _INSTALLED:
        return _fail('the command line needs typer and rich: pip install "flushpoint[all]"')
    try:
        code = app()(args=arguments, prog_name="flushpoint", standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except (ImportError, OSError) as error:  # an extra that this run needs; standard output that cannot be written
        return _fail(str(error))
    except Exception as error:
        if not hasattr(error, "format_message"):  # which is how typer reports bad input
            raise
        return _fail(error.format_message())
    return code if isinstance(code, int) else 0


def app() -> typer.Typer:
    """Build the command line as a typer application."""
    application = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    application.callback(invoke_without_command=True)(_root)
    application.command()(run)
    application.command()(levels)
    return application


def _fail(message: str) -> int:
    print("flushpoint:", " ".join(message.split()), file=sys.stderr)
    return 2


def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """Stress tests for leveraged markets: who is force-sold when the price moves, and who next."""
    if version:
        typer.echo(f"flushpoint {__version__}")
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


def run(
    positions: options.Positions = None,
    history: options.History = None,
    coin: options.Coin = None,
    shock: options.Shock = None,
    sell: options.Sell = None,
    depth: options.Depth = None,
    daily_volume: options.DailyVolume = None,
    daily_volatility: options.DailyVolatility = None,
    open_interest: options.OpenInterest = None,
    price: options.Price = None,
    maintenance_rate: options.MaintenanceRate = None,
    unit: options.Unit = None,
    period: options.Period = None,
    history_column: options.HistoryColumn = None,
    coin_column: options.CoinColumn = None,
    side_column: options.SideColumn = None,
    size_column: options.SizeColumn = None,
    entry_column: options.EntryColumn = None,
    mark_column: options.MarkColumn = None,
    liquidation_column: options.LiquidationColumn = None,
    output: options.Output = Path("flushpoint-run"),
    no_pictures: options.NoPictures = False,
    as_json: options.AsJson = False,
) -> None:
    """Report a book of leveraged positions: its tipping points, and what shocks of -50% to +50% do to it."""
    _positive({"--daily-volume": daily_volume, "--daily-volatility": daily_volatility})
    columns = (coin_column, side_column, size_column, entry_column, mark_column, liquidation_column)
    subject = _subject(
        _Asked(positions, history, coin, open_interest, price, maintenance_rate, unit, period, history_column, columns)
    )
    market, impact_notes = _market(subject, depth, daily_volume, daily_volatility)
    answer = response(subject.book, market)
    with _naming("--shock", "--sell"):
        facts = {**_origin(subject), "impact_notes": impact_notes, **report.build(answer, shock=shock, sell=sell)}
    pictures: _Pictures = {
        "response.png": partial(plot.response, answer),
        "levels.png": partial(plot.levels, subject.book, subject.price),
    }
    _finish(facts, report.render, {} if no_pictures else pictures, output, as_json)


def levels(
    positions: options.Positions = None,
    history: options.History = None,
    coin: options.Coin = None,
    distances: options.Distances = None,
    draws: options.Draws = 0,
    seed: options.Seed = None,
    open_interest: options.OpenInterest = None,
    price: options.Price = None,
    maintenance_rate: options.MaintenanceRate = None,
    unit: options.Unit = None,
    period: options.Period = None,
    history_column: options.HistoryColumn = None,
    coin_column: options.CoinColumn = None,
    side_column: options.SideColumn = None,
    size_column: options.SizeColumn = None,
    entry_column: options.EntryColumn = None,
    mark_column: options.MarkColumn = None,
    liquidation_column: options.LiquidationColumn = None,
    output: options.Output = Path("flushpoint-levels"),
    no_pictures: options.NoPictures = False,
    as_json: options.AsJson = False,
) -> None:
    """Report where positions are liquidated: the notional by distance from the price, and the largest levels."""
    if history is None:
        _only_with("--history", {"--draws": draws or None, "--maintenance-rate": maintenance_rate})
    elif open_interest is not None:
        raise typer.BadParameter("must come without --history, was given with it", param_hint="--open-interest")
    if not draws:
        _only_with("--draws", {"--seed": seed})
    steps = _steps(distances)
    columns = (coin_column, side_column, size_column, entry_column, mark_column, liquidation_column)
    subject = _subject(
        _Asked(positions, history, coin, open_interest, price, maintenance_rate, unit, period, history_column, columns)
    )
    drawn = None
    if draws:
        with _naming("--draws", "--seed"):
            drawn = flushpoint.sample_hidden_books(
                cast(io.History, subject.history), draws=draws, seed=seed, **subject.inference
            )
        note = (
            f"5% and 95%: of {draws:,} books of other leverage and turnover that fit about as well (seed {drawn.seed})."
        )
        subject = replace(
            subject, notes=(*subject.notes, note), source={**subject.source, "draws": draws, "seed": drawn.seed}
        )
    facts = {**_origin(subject), **level_report.build(subject.book, subject.price, steps, drawn)}
    pictures: _Pictures = {"levels.png": partial(_draw_levels, subject, steps[-1], drawn)}
    if subject.history is not None:
        pictures["levels-over-time.png"] = partial(_draw_over_time, subject)
    _finish(facts, level_report.render, {} if no_pictures else pictures, output, as_json)


def _positive(given: dict[str, float | None]) -> None:
    for option, value in given.items():
        if value is not None and not 0 < value < math.inf:
            raise typer.BadParameter(f"must be positive and finite, was {value}", param_hint=option)


def _only_with(needed: str, given: dict[str, Any]) -> None:
    for option, value in given.items():
        if value is not None:
            raise typer.BadParameter(f"must come with {needed}, was {value} without", param_hint=option)


def _steps(text: str | None) -> Sequence[float]:
    if text is None:
        return level_report.DISTANCES
    try:
        steps = [float(each) for each in text.split(",")]
    except ValueError:
        steps = [math.nan]
    if not all(low < high for low, high in pairwise([0.0, *steps, 1.0])):
        raise typer.BadParameter(f"must be increasing numbers between 0 and 1, was {text!r}", param_hint="--distances")
    return steps


@dataclass(frozen=True)
class _Asked:
    """What the options say of the book."""

    positions: Path | None
    history: Path | None
    coin: str | None
    open_interest: float | None
    price: float | None
    maintenance_rate: float | None
    unit: str | None
    period: float | None
    history_column: list[str] | None
    columns: tuple[str | None, ...]  # of a file of positions, in the order of io.COLUMNS


@dataclass(frozen=True)
class _Subject:
    """The positions that a command is about, what to say about them, and what they were made from."""

    title: str
    book: Book
    price: float
    notes: tuple[str, ...]
    source: dict[str, Any]
    market: Market | None = None
    history: io.History | None = None
    inference: dict[str, Any] = field(default_factory=dict)


def _subject(asked: _Asked) -> _Subject:
    _positive({"--open-interest": asked.open_interest, "--price": asked.price, "--period": asked.period})
    columns = {what: column for what, column in zip(io.COLUMNS, asked.columns, strict=True) if column is not None}
    if asked.positions is None:
        of_positions = {f"--{what.partition('_')[0]}-column": column for what, column in columns.items()}
        _only_with("--positions", {"--coin": asked.coin, **of_positions})
    if asked.history is None:
        given = {"--unit": asked.unit, "--period": asked.period, "--history-column": asked.history_column}
        _only_with("--history", given)
    if asked.positions is None and asked.history is None:
        _only_with("--positions or --history", {"--price": asked.price, "--maintenance-rate": asked.maintenance_rate})
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


def _example() -> _Subject:
    title = f"Embedded example: a synthetic book, bitcoin at {example.PRICE:,.0f} USD"
    source = {"kind": "example"}
    return _Subject(title, example.book(), example.PRICE, example.NOTES, source, example.market())


def _from_positions(asked: _Asked, columns: dict[str, str]) -> _Subject:
    path = cast(Path, asked.positions)
    with _naming("--positions", "--coin", "--maintenance-rate"):
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
    return _Subject(title, held.book, held.price, (note,), source)


def _from_history(asked: _Asked) -> _Subject:
    path = cast(Path, asked.history)
    rate = MAINTENANCE_RATE if asked.maintenance_rate is None else asked.maintenance_rate
    columns = {}
    for text in asked.history_column or ():
        what, equals, column = text.partition("=")
        if not equals:
            raise typer.BadParameter(f"must be NAME=COLUMN, was {text!r}", param_hint="--history-column")
        columns[what] = column
    with _naming("--history", "--unit", "--period", "--maintenance-rate", "--history-column"):
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
    return _Subject(title, alive, price, notes, source, history=history, inference=inference)


def _origin(subject: _Subject) -> dict[str, Any]:
    return {
        "version": __version__,
        "title": subject.title,
        "source": subject.source,
        "book_notes": subject.notes,
    }


def _market(
    subject: _Subject, depth: Path | None, daily_volume: float | None, daily_volatility: float | None
) -> tuple[Market, tuple[str, ...]]:
    """Choose the market, and say where its impact comes from."""
    law_given = daily_volume is not None or daily_volatility is not None
    if depth is not None:
        if law_given:
            other = "--daily-volume" if daily_volume is not None else "--daily-volatility"
            raise typer.BadParameter(f"must come without {other}, was given with it", param_hint="--depth")
        with _naming("--depth"):
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


def _draw_levels(subject: _Subject, reach: float, drawn: Any, ax: Axes) -> None:
    width = 0.01 if reach > 0.1 else 0.0025
    below, above = np.ceil(np.abs(np.log1p([-reach, reach])) / width)
    edges = subject.price * np.exp(width * np.arange(-below, above + 1))  # the price is an edge
    plot.levels(subject.book, subject.price, ax, bins=edges, drawn=drawn)


def _draw_over_time(subject: _Subject, ax: Axes) -> None:
    plot.levels_over_time(level_report.over_time(cast(io.History, subject.history), **subject.inference), ax)


def _finish(
    facts: dict[str, Any],
    render: Callable[[dict[str, Any]], None],
    pictures: _Pictures,
    directory: Path,
    as_json: bool,
) -> None:
    """Draw the pictures, then print the report."""
    paths = _draw(facts["title"], pictures, directory) if pictures else []
    if as_json:
        print(json.dumps({**facts, "pictures": [str(path) for path in paths]}, indent=2, allow_nan=False), flush=True)
        return
    render(facts)
    for path in paths:
        print(f"Picture: {path}", flush=True)


def _draw(title: str, pictures: _Pictures, directory: Path) -> list[Path]:
    """Draw pictures in `directory`: complete, or none of them."""
    plot.require()
    figure_class = importlib.import_module("matplotlib.figure").Figure
    figures = {}
    for name, draw in pictures.items():
        figures[name] = figure_class(figsize=(8, 4.2 if name == "levels.png" else 5.5), layout="constrained")
        draw(figures[name].subplots())
        figures[name].suptitle(title, fontsize="medium")
    with _naming("--output"):
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=directory, prefix=".drawing-") as scratch:
            for name, figure in figures.items():
                figure.savefig(Path(scratch, name), dpi=150)
            return [Path(scratch, name).replace(directory / name) for name in figures]


@contextmanager
def _naming(*options: str) -> Iterator[None]:
    """Blame bad input found inside on the first option, or on the one whose argument the message names."""
    try:
        yield
    except (ValueError, OSError) as error:
        message = str(error)
        by_argument = {option.lstrip("-").replace("-", "_"): option for option in options}
        option = by_argument.get(message.partition(" ")[0], options[0])
        raise typer.BadParameter(message, param_hint=option) from error
