"""Commands about one book: its response to shocks, its liquidation levels, many scenarios of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import typer

import flushpoint
from flushpoint import io, plot, report, stress_report
from flushpoint import levels as level_report
from flushpoint.cli import options
from flushpoint.cli.options import OfBook, OfMarket, OfOutput
from flushpoint.cli.output import Pictures, finish, naming, prepare, progress, rows
from flushpoint.cli.subject import Subject, market_of, only_with, origin, subject_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def respond(
    asked: OfBook,
    of_market: OfMarket,
    shock: float | None,
    sell: float | None,
    threads: int,
    out: OfOutput,
    command: str,
) -> None:
    """Report a book of leveraged positions, as `response` does; pictures go where those of `command` go."""
    prepare(out)
    subject = subject_of(asked)
    market, impact_notes = market_of(subject, of_market)
    with naming("--threads"):
        answer = flushpoint.response(subject.book, market, threads=threads)
    with naming("--shock", "--sell"):
        facts = {**origin(subject), "impact_notes": impact_notes, **report.build(answer, shock=shock, sell=sell)}
    pictures: Pictures = {
        "response.png": partial(plot.response, answer),
        "levels.png": partial(plot.levels, subject.book, subject.price),
    }
    finish(command, out, facts, report.render, pictures, rows(facts["shocks"]))


@options.command
def response(
    asked: OfBook,
    of_market: OfMarket,
    out: OfOutput,
    shock: options.Shock = None,
    sell: options.Sell = None,
    threads: options.Threads = 0,
) -> None:
    """Report a book of leveraged positions: its tipping points, and what shocks of -50% to +50% do to it."""
    respond(asked, of_market, shock, sell, threads, out, "response")


@options.command
def levels(
    asked: OfBook,
    out: OfOutput,
    distances: options.Distances = None,
    draws: options.Draws = 0,
    seed: options.Seed = None,
) -> None:
    """Report where positions are liquidated: the notional by distance from the price, and the largest levels."""
    if asked.history is None:
        only_with("--history", {"--draws": draws or None, "--maintenance-rate": asked.maintenance_rate})
    elif asked.open_interest is not None:
        raise typer.BadParameter("must come without --history, was given with it", param_hint="--open-interest")
    if not draws:
        only_with("--draws", {"--seed": seed})
    steps = _steps(distances)
    prepare(out)
    subject = subject_of(asked)
    drawn = None
    if draws:
        with naming("--draws", "--seed"):
            drawn = flushpoint.sample_hidden_books(
                cast(io.History, subject.history), draws=draws, seed=seed, **subject.inference
            )
        note = (
            f"5% and 95%: of {draws:,} books of other leverage and turnover that fit about as well (seed {drawn.seed})."
        )
        subject = replace(
            subject, notes=(*subject.notes, note), source={**subject.source, "draws": draws, "seed": drawn.seed}
        )
    facts = {**origin(subject), **level_report.build(subject.book, subject.price, steps, drawn)}
    pictures: Pictures = {"levels.png": partial(_draw_levels, subject, steps[-1], drawn)}
    if subject.history is not None:
        pictures["levels-over-time.png"] = partial(_draw_over_time, subject)
    finish("levels", out, facts, level_report.render, pictures, _between(facts))


@options.command
def stress(
    asked: OfBook,
    of_market: OfMarket,
    out: OfOutput,
    shocks: options.Shocks = None,
    liquidity: options.Liquidity = None,
    refill: options.Refill = 0.0,
    draws: options.Scenarios = 0,
    deviation: options.Deviation = None,
    seed: options.Seed = None,
    threads: options.Threads = 0,
) -> None:
    """Report many scenarios of a book: shocks against how much of the depth is there, or shocks drawn at random."""
    if draws:
        if shocks is not None:
            raise typer.BadParameter(f"must come without --draws, was {shocks} with it", param_hint="--shocks")
        if deviation is None:
            raise typer.BadParameter("must be given with --draws, was missing", param_hint="--deviation")
    else:
        only_with("--draws", {"--deviation": deviation, "--seed": seed})
    depths = np.array(_numbers("--liquidity", liquidity, (1.0,) if draws else (1.0, 0.5, 0.25)))
    if draws:
        if depths.size > 1:
            raise typer.BadParameter(f"must be one number with --draws, was {liquidity!r}", param_hint="--liquidity")
        with naming("--draws", "--deviation", "--seed"):
            moves, kept = stress_report.draw(draws, deviation, seed)
    else:
        moves, kept = np.array(_numbers("--shocks", shocks, report.SHOCKS)), None
    prepare(out)
    subject = subject_of(asked)
    market, impact_notes = market_of(subject, of_market)
    with naming("--shocks", "--liquidity", "--refill", "--threads"), progress("scenarios") as shown:
        result = flushpoint.stress(
            subject.book,
            market,
            np.tile(moves, depths.size),
            liquidity=np.repeat(depths, moves.size),
            refill=refill,
            threads=threads,
            progress=shown,
        )
    facts = {
        **origin(subject),
        "impact_notes": impact_notes,
        **stress_report.build(result, subject.price, moves, depths, drawn=bool(draws), seed=kept),
    }
    pictures: Pictures
    if draws:
        pictures = {"losses.png": partial(plot.losses, result, column="liquidated_notional")}
    else:  # the response is worked out only where it is drawn
        pictures = {"response.png": lambda ax: plot.response(flushpoint.response(subject.book, market), ax)}
    finish("stress", out, facts, stress_report.render, pictures, stress_report.columns(result, moves, depths))


def _numbers(option: str, text: str | None, usual: Sequence[float], rule: str = "numbers") -> list[float]:
    if text is None:
        return list(usual)
    try:
        return [float(each) for each in text.split(",")]
    except ValueError:
        raise typer.BadParameter(f"must be {rule}, was {text!r}", param_hint=option) from None


def _between(facts: dict[str, Any]) -> dict[str, Any]:
    """The notional between neighbouring edges, as columns."""
    low, high = facts["edges"][:-1], facts["edges"][1:]
    return {"low": low, "high": high, **{name: facts[name] for name in ("long_notional", "short_notional")}}


def _steps(text: str | None) -> Sequence[float]:
    rule = "increasing numbers between 0 and 1"
    steps = _numbers("--distances", text, level_report.DISTANCES, rule)
    if not all(low < high for low, high in pairwise([0.0, *steps, 1.0])):
        raise typer.BadParameter(f"must be {rule}, was {text!r}", param_hint="--distances")
    return steps


def _draw_levels(subject: Subject, reach: float, drawn: Any, ax: Axes) -> None:
    width = 0.01 if reach > 0.1 else 0.0025
    below, above = np.ceil(np.abs(np.log1p([-reach, reach])) / width)
    edges = subject.price * np.exp(width * np.arange(-below, above + 1))  # the price is an edge
    plot.levels(subject.book, subject.price, ax, bins=edges, drawn=drawn)


def _draw_over_time(subject: Subject, ax: Axes) -> None:
    plot.levels_over_time(level_report.over_time(cast(io.History, subject.history), **subject.inference), ax)
