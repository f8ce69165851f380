"""Commands about scenarios: run one, report it, calibrate it, list those that come with the package."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import typer

from flushpoint import html_report, plot, scenario_report
from flushpoint._toml import toml
from flushpoint._whole import whole
from flushpoint.calibrate import calibrate as find
from flushpoint.cli import options
from flushpoint.cli.of_book import respond
from flushpoint.cli.options import OfBook, OfMarket, OfOutput
from flushpoint.cli.output import Pictures, check_writable, finish, naming, prepare, print_json, progress
from flushpoint.scenario import Scenario
from flushpoint.scenario_report import ScenarioRun
from flushpoint.simulate import SimulationResult

_MAIN = "post-election-flush"
_DEFAULTS = (OfBook(), OfMarket(), None, None)


@options.command
def run(
    asked: OfBook,
    of_market: OfMarket,
    out: OfOutput,
    scenario: options.Scenario = None,
    paths: options.Paths = None,
    seed: options.Seed = None,
    threads: options.Threads = 0,
    shock: options.Shock = None,
    sell: options.Sell = None,
) -> None:
    """Run a scenario and report it. With options of a book, a market or a shock it does what response does."""
    if (asked, of_market, shock, sell) != _DEFAULTS:
        for option, value in (("SCENARIO", scenario), ("--paths", paths), ("--seed", seed)):
            if value is not None:
                raise typer.BadParameter("must come without options of a book, was given with them", param_hint=option)
        respond(asked, of_market, shock, sell, threads, out, "run")
        return
    prepare(out)
    done = _ran(scenario, paths, seed, threads)
    with naming("SCENARIO"):
        facts = done.facts()
    finish("run", out, facts, scenario_report.render, _pictures(done), _columns(done))


@options.command
def report(
    scenario: options.Scenario = None,
    output: options.ReportFile = Path("report.html"),
    paths: options.Paths = None,
    seed: options.Seed = None,
    threads: options.Threads = 0,
) -> None:
    """Run a scenario and write its report: one HTML file with pictures, tables and all that it was made from."""
    html_report.require()
    with naming("--output"):
        check_writable(output)
    html_report.write(_ran(scenario, paths, seed, threads), output)
    print(f"Report: {output}", flush=True)


@options.command
def calibrate(
    scenario: options.Scenario = None,
    paths: options.Paths = None,
    evaluations: options.Evaluations = 200,
    tolerance: options.Tolerance = 0.01,
    threads: options.Threads = 0,
    write: options.ScenarioFile = None,
    as_json: options.AsJson = False,
) -> None:
    """Find the values of a scenario's parameters at which it meets what was reported."""
    chosen = _loaded(scenario)
    if write is not None:
        with naming("--write"):
            check_writable(write)
    changes: dict[str, Any] = {} if paths is None else {"paths": paths}
    with naming("SCENARIO", "--tolerance", "--evaluations", "--threads"), progress("runs") as shown:
        found = find(chosen, tolerance=tolerance, evaluations=evaluations, threads=threads, progress=shown, **changes)
    if write is not None:
        with naming("--write"), whole(write) as made:
            made.write_text(toml(found.scenario.content), encoding="utf-8")
    if as_json:
        print_json(found.to_dict())
    else:
        print(found, flush=True)


@options.command
def scenarios(as_json: options.AsJson = False) -> None:
    """List the scenarios that come with the package."""
    titles = {name: Scenario.load(name).title for name in Scenario.names()}
    if as_json:
        print_json(titles)
        return
    width = max(map(len, titles))
    for name, title in titles.items():
        print(f"{name:{width}}  {title}", flush=True)


def _loaded(name: str | None) -> Scenario:
    with naming("SCENARIO"):
        return Scenario.load(_MAIN if name is None else name)


def _ran(name: str | None, paths: int | None, seed: int | None, threads: int) -> ScenarioRun:
    scenario = _loaded(name)
    given = {"paths": paths, "seed": seed}
    with naming("SCENARIO", "--paths", "--seed", "--threads"), progress("paths") as shown:
        changes: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
        return ScenarioRun(scenario, threads=threads, progress=shown, **changes)


def _pictures(done: ScenarioRun) -> Pictures:
    pictures: Pictures = {}
    if isinstance(done.result, SimulationResult):
        pictures["fan.png"] = partial(plot.fan, done.result)
        pictures["path.png"] = lambda ax: plot.path(done.median_path, ax)  # worked out only where it is drawn
    if done.response is not None:
        pictures["response.png"] = partial(plot.response, done.response)
        pictures["levels.png"] = partial(plot.levels, done.scenario.book, done.response.market.price)
    if done.contagion is not None:
        pictures["contagion.png"] = partial(plot.contagion, done.contagion)
    if done.experiment is not None:
        held = done.experiment.columns
        column = "liquidated_notional" if "liquidated_notional" in held else held[0]
        pictures["policies.png"] = partial(plot.policies, done.experiment, column=column)
    return pictures


def _columns(done: ScenarioRun) -> dict[str, Any]:
    """Every path's outcome."""
    return {name: np.asarray(column) for name, column in done.result.items() if column.ndim == 1}
