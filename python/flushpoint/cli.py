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
    import rich  # noqa: F401  (the report is printed with it)
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
        return _fail('flushpoint on the command line needs typer and rich: pip install "flushpoint[all]"')
    try:
        code = app()(args=arguments, prog_name="flushpoint", standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except ImportError as error:  # an extra that this run needs
        return _fail(str(error))
    except Exception as error:
        if not hasattr(error, "format_message"):  # what typer raises for bad input has it
            raise
        return _fail(error.format_message())
    return code if isinstance(code, int) else 0


def app() -> typer.Typer:
    """The command line as a typer application."""
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
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def run(
    positions: Annotated[
        Path | None, typer.Option(help="CSV, CSV.GZ or Parquet file of positions; without it, the embedded example.")
    ] = None,
    coin: Annotated[str | None, typer.Option(help="Coin to read from the file.")] = None,
    shock: Annotated[
        float | None, typer.Option(help="Relative price move of one cascade, such as -0.20; reported in full.")
    ] = None,
    sell: Annotated[
        float | None, typer.Option(help="Base units sold (bought if negative) to start that cascade, with or without --shock.")
    ] = None,
    depth: Annotated[
        Path | None, typer.Option(help="Depth profile (columns percentage, depth): impact that walks this book.")
    ] = None,
    daily_volume: Annotated[
        float | None, typer.Option(help="USD traded a day, for square-root impact.  [default: 60e9, bitcoin]")
    ] = None,
    daily_volatility: Annotated[
        float | None, typer.Option(help="Daily volatility, for square-root impact.  [default: 0.025]")
    ] = None,
    open_interest: Annotated[
        float | None, typer.Option(help="USD on each side that the positions are scaled to.")
    ] = None,
    price: Annotated[float | None, typer.Option(help="Market price.  [default: median mark price in the file]")] = None,
    maintenance_rate: Annotated[
        float | None,
        typer.Option(help="Maintenance margin as a share of notional: gives bankruptcy prices, hence shortfalls."),
    ] = None,
    coin_column: Annotated[str | None, typer.Option(help="Column of the coin.  [default: coin]")] = None,
    side_column: Annotated[str | None, typer.Option(help="Column of +1/-1, long/short.  [default: side]")] = None,
    size_column: Annotated[str | None, typer.Option(help="Column of the size, base units.  [default: size]")] = None,
    entry_column: Annotated[str | None, typer.Option(help="Column of the entry price.  [default: entry_px]")] = None,
    mark_column: Annotated[str | None, typer.Option(help="Column of the mark price.  [default: mark_px]")] = None,
    liquidation_column: Annotated[
        str | None, typer.Option(help="Column of the liquidation price; empty: never.  [default: liq_px]")
    ] = None,
    output: Annotated[Path, typer.Option(help="Directory for the pictures.")] = Path("flushpoint-run"),
    no_pictures: Annotated[bool, typer.Option("--no-pictures", help="Draw no pictures.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON, and nothing else.")] = False,
) -> None:
    """Report a book of leveraged positions: its tipping points, and what shocks of -50 % to +50 % do to it."""
    for option, value in (
        ("--daily-volume", daily_volume),
        ("--daily-volatility", daily_volatility),
        ("--open-interest", open_interest),
        ("--price", price),
    ):
        if value is not None and not 0 < value < math.inf:
            raise typer.BadParameter(f"must be positive and finite, was {value}", param_hint=option)
    columns = {
        "coin": coin_column,
        "side": side_column,
        "size": size_column,
        "entry_price": entry_column,
        "mark_price": mark_column,
        "liquidation_price": liquidation_column,
    }
    columns = {what: column for what, column in columns.items() if column is not None}

    if positions is None:
        for_files = {
            "--coin": coin,
            "--price": price,
            "--maintenance-rate": maintenance_rate,
            **{f"--{what.split('_')[0]}-column": column for what, column in columns.items()},
        }
        for option, value in for_files.items():
            if value is not None:
                raise typer.BadParameter(f"must come with --positions, was {value} without", param_hint=option)
        subject = _Subject(
            f"Embedded example: a synthetic book, bitcoin at {example.PRICE:,.0f} USD",
            example.book(),
            example.PRICE,
            example.NOTES,
        )
    else:
        with _naming("--positions", "--coin", "--maintenance-rate"):
            held = io.read_positions(positions, coin=coin, columns=columns, price=price, maintenance_rate=maintenance_rate)
            if not len(held.book):
                raise ValueError(f"must hold positions not crossed at {held.price:g}, was {held.crossed} crossed")
        subject = _Subject(
            f"{held.coin or 'Positions'} at {held.price:,.8g} USD, from {positions.name}",
            held.book,
            held.price,
            (_rows_note(held),),
        )
    if open_interest is not None:
        scaled = subject.book.scaled(open_interest, subject.price)
        note = f"Scaled to an open interest of {report.money(open_interest)} USD on each side that has positions."
        subject = replace(subject, book=scaled, notes=(*subject.notes, note))
    market, impact_notes = _market(subject, positions, coin, depth, daily_volume, daily_volatility)

    answer = response(subject.book, market)
    with _naming("--shock", "--sell"):
        facts = report.build(subject.book, market, answer, shock=shock, sell=sell)
    pictures: list[Path] = []
    if not no_pictures:
        with _naming("--output"):
            pictures = _draw(subject, answer, output)
    notes = {"title": subject.title, "book_notes": subject.notes, "impact_notes": impact_notes}
    if as_json:
        drawn = [str(path) for path in pictures]
        print(json.dumps({"version": __version__, **notes, **facts, "pictures": drawn}, indent=2, allow_nan=False))
        return
    report.render(facts, **notes)
    for path in pictures:
        typer.echo(f"picture: {path}")


@dataclass(frozen=True)
class _Subject:
    """The positions that a run is about, and what to say about them."""

    title: str
    book: Book
    price: float
    notes: tuple[str, ...]


def _rows_note(held: io.Positions) -> str:
    note = f"{held.rows:,} rows read, {held.crossed:,} dropped as already crossed at the price"
    return note + (f"; {held.other_coins:,} rows of other coins left out." if held.other_coins else ".")


def _market(
    subject: _Subject,
    positions: Path | None,
    coin: str | None,
    depth: Path | None,
    daily_volume: float | None,
    daily_volatility: float | None,
) -> tuple[Market, tuple[str, ...]]:
    """The market, and where its impact comes from."""
    given = daily_volume is not None or daily_volatility is not None
    if depth is not None:
        if given:
            raise typer.BadParameter(
                "must come without --daily-volume and --daily-volatility, was given with", param_hint="--depth"
            )
        with _naming("--depth"):
            impact = io.read_depth(depth)
        return Market(subject.price, impact), (
            f"Walks the order book displayed in {depth.name}, the mean of its snapshots; beyond its last level the last slope "
            "continues. Displayed depth is refilled as a fall goes on, so slower selling moves the price less.",
        )
    if positions is None and not given:
        return example.market(), example.IMPACT_NOTES
    volume, volatility = daily_volume or DAILY_VOLUME, daily_volatility or DAILY_VOLATILITY
    base_volume = volume / subject.price
    law = SquareRootImpact(volatility, base_volume, core=LINEAR_BELOW * base_volume)
    notes = (
        f"Square-root law{'' if given else ' (the default)'}: prefactor {law.prefactor:g}, daily volatility "
        f"{100 * volatility:g} %, daily volume {report.money(volume)} USD; about linear below {100 * LINEAR_BELOW:g} % of that volume.",
    )
    if daily_volume is None:
        notes += (
            "The volume is bitcoin's over all venues: --daily-volume, --daily-volatility or --depth describe another market.",
        )
    return Market(subject.price, law), notes


def _draw(subject: _Subject, answer: Response, directory: Path) -> list[Path]:
    """Both pictures in `directory`: complete, or none of them."""
    pictures = {
        "response.png": (5.5, lambda ax: plot.response(answer, ax)),
        "levels.png": (4.2, lambda ax: plot.levels(subject.book, subject.price, ax)),
    }
    plot.require()
    figure_class = importlib.import_module("matplotlib.figure").Figure
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory, prefix=".drawing-") as scratch:
        for name, (height, draw) in pictures.items():
            figure = figure_class(figsize=(8, height), layout="constrained")
            draw(figure.subplots())
            figure.suptitle(subject.title, fontsize="medium")
            figure.savefig(Path(scratch) / name, dpi=150)
        return [(Path(scratch) / name).replace(directory / name) for name in pictures]


@contextmanager
def _naming(*options: str) -> Iterator[None]:
    """Bad input found inside is the first option's, or that of the argument which the message names."""
    try:
        yield
    except (ValueError, OSError) as error:
        message = str(error)
        named = {option.lstrip("-").replace("-", "_"): option for option in options}
        raise typer.BadParameter(message, param_hint=named.get(message.partition(" ")[0], options[0])) from error
