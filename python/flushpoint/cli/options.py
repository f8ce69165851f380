"""Options of the command line that several commands share: where the book comes from, where the output goes."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, TypeAlias, get_type_hints

import typer


def _read(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(f"must be a number, was {text!r}") from None


def _number(help_text: str) -> object:
    return typer.Option(parser=_read, metavar="NUMBER", help=help_text)


Positions: TypeAlias = Annotated[Path | None, typer.Option(help="CSV, CSV.GZ or Parquet file of positions.")]
History: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        help="CSV, CSV.GZ or Parquet file of prices and open interest, a row a period: the book is inferred from it. "
        "Without it and --positions, the embedded example."
    ),
]
Coin: TypeAlias = Annotated[str | None, typer.Option(help="Coin to read from the positions.")]
Price: TypeAlias = Annotated[
    float | None,
    _number("Market price; by default the median mark price of the positions, the last close of the history."),
]
MaintenanceRate: TypeAlias = Annotated[
    float | None,
    _number(
        "Maintenance margin as a share of notional; with it shortfalls of positions are known. 0.005 by default for a "
        "history."
    ),
]
OpenInterest: TypeAlias = Annotated[float | None, _number("USD that each side's positions are scaled to.")]

Unit: TypeAlias = Annotated[
    str | None, typer.Option(help="Unit of the history's open interest: quote (the default) or base.")
]
Period: TypeAlias = Annotated[
    float | None, _number("Seconds a row of the history; by default the median step of its times.")
]
HistoryColumn: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=COLUMN",
        help="Column of the history's time, open, high, low, close or open_interest, where its name is not a usual "
        "one; may be repeated.",
    ),
]

CoinColumn: TypeAlias = Annotated[str | None, typer.Option(help="Column of the coin; coin by default.")]
SideColumn: TypeAlias = Annotated[
    str | None, typer.Option(help="Column of the side, +1/-1 or long/short; side by default.")
]
SizeColumn: TypeAlias = Annotated[str | None, typer.Option(help="Column of the size in base units; size by default.")]
EntryColumn: TypeAlias = Annotated[str | None, typer.Option(help="Column of the entry price; entry_px by default.")]
MarkColumn: TypeAlias = Annotated[str | None, typer.Option(help="Column of the mark price; mark_px by default.")]
LiquidationColumn: TypeAlias = Annotated[
    str | None, typer.Option(help="Column of the liquidation price, empty for never; liq_px by default.")
]

Shock: TypeAlias = Annotated[
    float | None, _number("Relative price move of one cascade to report in full: -0.20 is a fall of 20%.")
]
Sell: TypeAlias = Annotated[float | None, _number("Base units sold (negative: bought) to start that cascade.")]
Depth: TypeAlias = Annotated[
    Path | None,
    typer.Option(help="Depth profile, columns percentage and depth: impact that walks that order book."),
]
DailyVolume: TypeAlias = Annotated[
    float | None, _number("USD traded a day, for square-root impact; 60e9 by default, bitcoin's.")
]
DailyVolatility: TypeAlias = Annotated[
    float | None, _number("Daily volatility, for square-root impact; 0.025 by default.")
]

Draws: TypeAlias = Annotated[
    int, typer.Option(min=0, help="Books to draw that fit the history about as well: bands of 5% to 95% of them.")
]
Seed: TypeAlias = Annotated[int | None, typer.Option(help="Seed of these draws.")]
Distances: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="NUMBERS",
        help="Distances from the price to report, increasing shares of it: 0.01,0.05,0.1 for example.",
    ),
]

Shocks: TypeAlias = Annotated[
    str | None, typer.Option(metavar="NUMBERS", help="Relative price moves: -0.05,-0.1,-0.2 for example.")
]
Liquidity: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="NUMBERS", help="Shares of the depth that are there: 1,0.5,0.25 by default, 1 with --draws."),
]
Refill: TypeAlias = Annotated[float, _number("Share of the impact that is gone after each wave; 0 by default.")]
Scenarios: TypeAlias = Annotated[
    int, typer.Option("--draws", min=0, help="Scenarios to draw at random, with normal log moves.")
]
Deviation: TypeAlias = Annotated[float | None, _number("Standard deviation of the log moves drawn.")]

Scenario: TypeAlias = Annotated[
    str | None,
    typer.Argument(help="A scenario's name (see flushpoint scenarios) or a TOML file; post-election-flush by default."),
]
ReportFile: TypeAlias = Annotated[Path, typer.Option("--output", "-o", help="HTML file to write.")]
ScenarioFile: TypeAlias = Annotated[Path | None, typer.Option(help="TOML file for the scenario with the values found.")]
Evaluations: TypeAlias = Annotated[int, typer.Option(min=1, help="The most runs.")]
Tolerance: TypeAlias = Annotated[float, _number("How well each target is to be met, as a share of it.")]

Directory: TypeAlias = Annotated[
    Path | None, typer.Option("--output", help="Directory for the pictures; flushpoint- and the command by default.")
]
NoPictures: TypeAlias = Annotated[bool, typer.Option("--no-pictures", help="Draw no pictures.")]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print the report as JSON and nothing else.")]
Csv: TypeAlias = Annotated[Path | None, typer.Option(help="File for the table behind the report, as CSV.")]
Parquet: TypeAlias = Annotated[Path | None, typer.Option(help="File for the same table, as Parquet.")]

Threads: TypeAlias = Annotated[int, typer.Option(min=0, help="Threads; 0, the default, for all processors.")]
Paths: TypeAlias = Annotated[int | None, typer.Option(min=1, help="Paths to run instead of the scenario's.")]


@dataclass(frozen=True)
class OfBook:
    """Where the positions come from."""

    positions: Positions = None
    history: History = None
    coin: Coin = None
    open_interest: OpenInterest = None
    price: Price = None
    maintenance_rate: MaintenanceRate = None
    unit: Unit = None
    period: Period = None
    history_column: HistoryColumn = None
    coin_column: CoinColumn = None
    side_column: SideColumn = None
    size_column: SizeColumn = None
    entry_column: EntryColumn = None
    mark_column: MarkColumn = None
    liquidation_column: LiquidationColumn = None


@dataclass(frozen=True)
class OfMarket:
    """How the market takes forced sales."""

    depth: Depth = None
    daily_volume: DailyVolume = None
    daily_volatility: DailyVolatility = None


@dataclass(frozen=True)
class OfOutput:
    """Where the answer goes."""

    output: Directory = None
    no_pictures: NoPictures = False
    as_json: AsJson = False
    csv: Csv = None
    parquet: Parquet = None


def command(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a command of a function: a parameter that is one of the groups above stands for all options of the group."""
    hints = get_type_hints(function, include_extras=True)
    parameters: list[inspect.Parameter] = []
    groups: dict[str, Any] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        kind = hints[name]
        if not is_dataclass(kind):
            parameters.append(parameter.replace(annotation=kind, kind=parameter.KEYWORD_ONLY))
            continue
        groups[name] = kind
        inner = get_type_hints(kind, include_extras=True)
        parameters += [
            inspect.Parameter(one.name, parameter.KEYWORD_ONLY, default=one.default, annotation=inner[one.name])
            for one in fields(kind)
        ]

    def called(**given: Any) -> Any:
        packed = {
            name: kind(**{one.name: given.pop(one.name) for one in fields(kind)}) for name, kind in groups.items()
        }
        return function(**given, **packed)

    called.__name__, called.__doc__ = function.__name__, function.__doc__
    called.__annotations__ = {one.name: one.annotation for one in parameters}
    called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # which typer reads
    return called
