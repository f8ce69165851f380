"""The command ``flushpoint`` (extra ``cli``: typer and rich)."""

from __future__ import annotations

import importlib
import json
import math
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from flushpoint import __version__, example, io, plot, report
from flushpoint.book import Book
from flushpoint.impact import SquareRootImpact
from flushpoint.market import Market
from flushpoint.response import Response, response

try:
    import rich  # noqa: F401  (prints the report)
    import typer
except ImportError:
    _INSTALLED = False
else:
    _INSTALLED = True

DAILY_VOLUME = 60e9  # USD, bitcoin over all venues
DAILY_VOLATILITY = 0.025
LINEAR_BELOW = 1e-3  # share of the daily volume up to which impact is about linear


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


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(f"must be a number, was {text!r}") from None


def run(
    positions: Annotated[
        Path | None, typer.Option(help="CSV, CSV.GZ or Parquet file of positions; without it, the embedded example.")
    ] = None,
    coin: Annotated[str | None, typer.Option(help="Coin to read from the file.")] = None,
    shock: Annotated[
        float | None,
        typer.Option(
            parser=_number,
            metavar="NUMBER",
            help="Relative price move of one cascade to report in full: -0.20 is a fall of 20%.",
        ),
    ] = None,
    sell: Annotated[
        float | None,
        typer.Option(
            parser=_number, metavar="NUMBER", help="Base units sold (negative: bought) to start that cascade."
        ),
    ] = None,
    depth: Annotated[
        Path | None,
        typer.Option(help="Depth profile, columns percentage and depth: impact that walks that order book."),
    ] = None,
    daily_volume: Annotated[
        float | None,
        typer.Option(
            parser=_number,
            metavar="NUMBER",
            help="USD traded a day, for square-root impact; 60e9 by default, bitcoin's.",
        ),
    ] = None,
    daily_volatility: Annotated[
        float | None,
        typer.Option(
            parser=_number, metavar="NUMBER", help="Daily volatility, for square-root impact; 0.025 by default."
        ),
    ] = None,
    open_interest: Annotated[
        float | None,
        typer.Option(parser=_number, metavar="NUMBER", help="USD that each side's positions are scaled to."),
    ] = None,
    price: Annotated[
        float | None,
        typer.Option(
            parser=_number, metavar="NUMBER", help="Market price; by default the median mark price in the file."
        ),
    ] = None,
    maintenance_rate: Annotated[
        float | None,
        typer.Option(
            parser=_number,
            metavar="NUMBER",
            help="Maintenance margin as a share of notional; with it shortfalls are known.",
        ),
    ] = None,
    coin_column: Annotated[str | None, typer.Option(help="Column of the coin; coin by default.")] = None,
    side_column: Annotated[
        str | None, typer.Option(help="Column of the side, +1/-1 or long/short; side by default.")
    ] = None,
    size_column: Annotated[str | None, typer.Option(help="Column of the size in base units; size by default.")] = None,
    entry_column: Annotated[str | None, typer.Option(help="Column of the entry price; entry_px by default.")] = None,
    mark_column: Annotated[str | None, typer.Option(help="Column of the mark price; mark_px by default.")] = None,
    liquidation_column: Annotated[
        str | None, typer.Option(help="Column of the liquidation price, empty for never; liq_px by default.")
    ] = None,
    output: Annotated[Path, typer.Option(help="Directory for the pictures.")] = Path("flushpoint-run"),
    no_pictures: Annotated[bool, typer.Option("--no-pictures", help="Draw no pictures.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON and nothing else.")] = False,
) -> None:
    """Report a book of leveraged positions: its tipping points, and what shocks of -50% to +50% do to it."""
    for option, value in (
        ("--daily-volume", daily_volume),
        ("--daily-volatility", daily_volatility),
        ("--open-interest", open_interest),
        ("--price", price),
    ):
        if value is not None and not 0 < value < math.inf:
            raise typer.BadParameter(f"must be positive and finite, was {value}", param_hint=option)
    mapped = {
        "coin": coin_column,
        "side": side_column,
        "size": size_column,
        "entry_price": entry_column,
        "mark_price": mark_column,
        "liquidation_price": liquidation_column,
    }
    columns = {what: column for what, column in mapped.items() if column is not None}
    if positions is not None:
        subject = _from_file(positions, coin, columns, price, maintenance_rate)
    else:
        for_files = {"--coin": coin, "--price": price, "--maintenance-rate": maintenance_rate}
        for_files |= {f"--{what.partition('_')[0]}-column": column for what, column in columns.items()}
        for option, given in for_files.items():
            if given is not None:
                raise typer.BadParameter(f"must come with --positions, was {given} without", param_hint=option)
        subject = _example()
    if open_interest is not None:
        note = f"Scaled to an open interest of {report.money(open_interest)} USD on each side that has positions."
        scaled = subject.book.scaled(open_interest, subject.price)
        subject = replace(subject, book=scaled, notes=(*subject.notes, note))
    market, impact_notes = _market(subject, depth, daily_volume, daily_volatility)

    answer = response(subject.book, market)
    with _naming("--shock", "--sell"):
        facts = {
            "version": __version__,
            "title": subject.title,
            "book_notes": subject.notes,
            "impact_notes": impact_notes,
            **report.build(answer, shock=shock, sell=sell),
        }
    pictures = [] if no_pictures else _draw(subject, answer, output)
    if as_json:
        print(
            json.dumps({**facts, "pictures": [str(path) for path in pictures]}, indent=2, allow_nan=False), flush=True
        )
        return
    report.render(facts)
    for path in pictures:
        print(f"Picture: {path}", flush=True)


@dataclass(frozen=True)
class _Subject:
    """The positions that a run is about, what to say about them, and the market of their own if they have one."""

    title: str
    book: Book
    price: float
    notes: tuple[str, ...]
    market: Market | None = None


def _example() -> _Subject:
    title = f"Embedded example: a synthetic book, bitcoin at {example.PRICE:,.0f} USD"
    return _Subject(title, example.book(), example.PRICE, example.NOTES, example.market())


def _from_file(
    path: Path, coin: str | None, columns: dict[str, str], price: float | None, maintenance_rate: float | None
) -> _Subject:
    with _naming("--positions", "--coin", "--maintenance-rate"):
        held = io.read_positions(path, coin=coin, columns=columns, price=price, maintenance_rate=maintenance_rate)
        if not len(held.book):
            raise ValueError(f"must hold positions not yet crossed at {held.price:g}, was {held.crossed} crossed ones")
    note = f"{held.rows:,} rows read, {held.crossed:,} dropped as already crossed at the price"
    if empty := held.dropped["zero size"]:
        note += f", {empty:,} of size 0"
    note += f"; {held.other_coins:,} rows of other coins left out." if held.other_coins else "."
    return _Subject(f"{held.coin or 'Positions'} at {held.price:,.8g} USD, {path.name}", held.book, held.price, (note,))


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


def _draw(subject: _Subject, answer: Response, directory: Path) -> list[Path]:
    """Draw both pictures in `directory`: complete, or none of them."""
    plot.require()
    figure_class = importlib.import_module("matplotlib.figure").Figure
    response_figure = figure_class(figsize=(8, 5.5), layout="constrained")
    plot.response(answer, response_figure.subplots())
    levels_figure = figure_class(figsize=(8, 4.2), layout="constrained")
    plot.levels(subject.book, subject.price, levels_figure.subplots())
    figures = {"response.png": response_figure, "levels.png": levels_figure}
    with _naming("--output"):
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=directory, prefix=".drawing-") as scratch:
            for name, figure in figures.items():
                figure.suptitle(subject.title, fontsize="medium")
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
