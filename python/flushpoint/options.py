"""Options of the command line that several commands share: where the book comes from, where the output goes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

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

Output: TypeAlias = Annotated[Path, typer.Option(help="Directory for the pictures.")]
NoPictures: TypeAlias = Annotated[bool, typer.Option("--no-pictures", help="Draw no pictures.")]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print the report as JSON and nothing else.")]
