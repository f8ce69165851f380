"""The report of a scenario: first plain data, ready for JSON, then its text."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from functools import cached_property
from inspect import signature
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flushpoint import report
from flushpoint.accounts import Accounts
from flushpoint.book import Book
from flushpoint.calibrate import compared
from flushpoint.compare import Comparison
from flushpoint.contagion import ContagionResult, contagion
from flushpoint.experiment import Experiment, experiment, venue_of
from flushpoint.explain import Explanation, explain
from flushpoint.fragility import Fragility, TippingSurface, fragility, tipping_surface
from flushpoint.market import Market
from flushpoint.markets import Markets
from flushpoint.response import Response, response
from flushpoint.run import PathResult
from flushpoint.scenario import Scenario
from flushpoint.summary import Estimate
from flushpoint.target import measured
from flushpoint.unreconciled import unreconciled

_COLUMNS = (
    "low_price",
    "final_price",
    "high_price",
    "liquidated_notional",
    "long_notional",
    "short_notional",
    "shortfall",
    "fund_paid",
    "unpaid_loss",
    "adl_quantity",
    "accounts_closed",
)
_LEVEL = 0.99
_FALL = -0.10  # of the first market, where contagion is looked at
_RECORDED = 200  # times, at most, at which prices are kept for the fan
_EXPLAINED = 50  # paths, at most, whose move is explained where positions open meanwhile, which takes long
_DEPTHS = np.geomspace(0.1, 2.0, 25)  # of the tipping surface, and its shocks
_SHOCKS = np.linspace(0.01, 0.5, 50)
_NOTHING = 1e-6  # of a column's mean: a change that its four digits would not show
POLICY_NOTE = "Change of the mean, with its 95 % interval:"


class ScenarioRun:
    """A scenario and everything that its report tells, each worked out once.

    Parameters
    ----------
    scenario : Scenario
    threads : int, default 0
    progress : callable, optional
        As of `flushpoint.simulate`.
    **changes
        As of `Scenario.simulate`, such as ``paths``.

    Attributes
    ----------
    scenario : Scenario
    result : SimulationResult or AccountSimulationResult
        Of a book with prices in time, at about 200 times unless the scenario says at which.
    response : Response or None
        Every cascade of the book at the start, where it is a `Book`.
    simulated : dict of str to float
        Of each target.
    experiment : Experiment or None
        Where the scenario has policies.
    contagion : ContagionResult or None
        Where it has accounts, after a fall of 10 % in the first market.
    """

    def __init__(self, scenario: Scenario, *, threads: int = 0, progress: Any = None, **changes: Any) -> None:
        self.scenario = scenario
        self.changes = changes
        self.arguments = scenario.arguments | changes | {"threads": threads}
        book, market = scenario.book, scenario.market
        kept = {} if isinstance(book, Accounts) else {"record": max(1, self.arguments.get("steps", 1_440) // _RECORDED)}
        kept = {} if "record" in self.arguments else kept
        self.result = scenario.simulate(threads=threads, progress=progress, **kept | changes)
        self.simulated = measured(scenario, scenario.targets, self.result, threads=threads, **changes)
        self.response: Response | None = None
        if isinstance(book, Book) and isinstance(market, Market) and market.support is None:
            self.response = response(book, market, threads=threads)
        self.contagion: ContagionResult | None = None
        if isinstance(book, Accounts) and isinstance(market, Markets):
            self.contagion = contagion(book, market, {market.names[0]: _FALL})
        self.experiment: Experiment | None = None
        if scenario.policies:
            venue = self.arguments.get("venue")
            same = venue_of(scenario.policies, venue) is venue
            given = self.arguments | {"seed": self.result.seed, "baseline": self.result if same else None}
            self.experiment = experiment(**given, policies=scenario.policies)

    @cached_property
    def rises(self) -> bool:
        """Whether a market's price goes further up than down, by the medians of low and high in log price."""
        low, high = (float(np.median(self.result[name])) for name in ("low_price", "high_price"))
        return bool(low * high > self.scenario.market.price**2)

    @cached_property
    def median_path(self) -> PathResult:
        """The path whose low is the median one, or whose high where it rises; not for accounts."""
        result: Any = self.result
        numbers = np.concatenate([np.arange(*ends) for ends in result.provenance["paths"]])
        order = np.argsort(result["high_price" if self.rises else "low_price"], kind="stable")
        path: PathResult = result.replay(int(numbers[order[(numbers.size - 1) // 2]]))
        return path

    @cached_property
    def explanation(self) -> Explanation | None:
        """Whose the move to the low is, or to the high where it rises; None for accounts and extremes within steps.

        On at most 50 paths where positions open meanwhile.
        """
        if isinstance(self.scenario.book, Accounts) or self.arguments.get("monitoring", "step") == "bridge":
            return None
        given = {name: self.arguments[name] for name in signature(explain).parameters if name in self.arguments}
        paths = self.arguments.get("paths", self.result._count)
        if "turnover" in given:
            paths = paths[:_EXPLAINED] if isinstance(paths, range) else min(paths, _EXPLAINED)
        column = "high_price" if self.rises else "low_price"
        return explain(**given | {"paths": paths, "seed": self.result.seed, "column": column})

    @cached_property
    def fragility(self) -> Fragility | None:
        """How fragile the book at the start is, where `response` knows it."""
        if self.response is None:
            return None
        context, market = self.scenario.context, self.response.market
        known: dict[str, Any] = {
            name: context[name] for name in ("daily_volume", "daily_volatility") if name in context
        }
        if "coins" in context:
            known["market_value"] = context["coins"] * market.price
        return fragility(self.response.book, market, threads=self.arguments["threads"], **known)

    @cached_property
    def tipping_surface(self) -> TippingSurface | None:
        """At which shock it tips at which depth: falls, or rises where the scenario rises."""
        if self.response is None:
            return None
        shocks = _SHOCKS if self.rises else -_SHOCKS
        return tipping_surface(
            self.response.book, self.response.market, shocks, _DEPTHS, threads=self.arguments["threads"]
        )

    def facts(self) -> dict[str, Any]:
        """Gather everything as values that JSON can hold; a number that is not finite becomes None."""
        scenario, result = self.scenario, self.result
        facts: dict[str, Any] = {} if self.response is None else report.build(self.response)
        facts |= {
            "scenario": scenario.name,
            "title": scenario.title,
            "description": scenario.description,
            "sources": list(scenario.sources),
            "content": _without_dates(scenario.content),
            "simulation": {
                "paths": result._count,
                "horizon": self.arguments.get("horizon", 86_400.0),
                "steps": self.arguments.get("steps", 1_440),
                "seed": result.seed,
                "columns": _figures(scenario, result),
            },
            "targets": compared(scenario.targets, self.simulated),
            "unreconciled": unreconciled(scenario),
        }
        if self.contagion is not None:
            facts["contagion"] = {
                "markets": list(self.contagion.markets),
                "branching": self.contagion.branching,
                "spectral_radius": self.contagion.spectral_radius,
                "spillover": self._spillover(self.contagion.markets),
            }
        if isinstance(scenario.book, Accounts) and scenario.book.group is not None:
            facts["groups"] = self._groups(scenario.book.group)
        if self.experiment is not None:
            facts["policies"] = _policies(self.experiment)
        out: dict[str, Any] = report.plain(facts)
        return out

    def _groups(self, group: NDArray[Any]) -> dict[str, dict[str, float]]:
        """How many accounts each group has, and how many of them are closed, mean over paths."""
        closed = self.result.group_closed.mean(0)
        return {
            str(name): {"accounts": int(np.count_nonzero(group == name)), "closed": mean}
            for name, mean in zip(self.result.groups, closed, strict=True)
        }

    def _spillover(self, markets: tuple[str, ...]) -> dict[str, float]:
        """By how much each market's price ends lower for accounts hurt in the first, in log points."""
        spilled = self.result.spillover(markets[0])
        return {name: float(column.mean()) for name, column in zip(markets, spilled.T, strict=True)}


def _figures(scenario: Scenario, result: Any) -> dict[str, Any]:
    usual = [name for name in result if name.partition(".")[0] in _COLUMNS and result[name].any()]
    figures = {}
    try:
        summary = result.summary(columns=scenario.outputs or usual, levels=(_LEVEL,))
    except ValueError as error:
        raise ValueError(f"{scenario.name}: outputs.{error}") from error
    for name, one in summary.items():
        if "probability" in one:
            raise ValueError(f"{scenario.name}: outputs.columns must be columns of numbers, was {name!r}")
        quantiles = {str(p): estimate.value for p, estimate in one["quantile"].items()}
        figures[name] = {
            "mean": _interval(one["mean"]),
            "median": one["quantile"][0.5].value,
            "quantile": quantiles,
            "tail": one["tail"],
            "value_at_risk": _interval(one["value_at_risk"][_LEVEL]),
            "expected_shortfall": _interval(one["expected_shortfall"][_LEVEL]),
        }
    return figures


def _interval(estimate: Estimate) -> dict[str, float]:
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high}


def _policies(held: Experiment) -> dict[str, Any]:
    return {name: _changes(held.comparison(name), held.columns) for name in held.policies}


def _changes(figures: Comparison, columns: Iterable[str]) -> dict[str, Any]:
    return {
        column: {"baseline": figures[column]["mean_a"], "difference": _interval(figures[column]["difference"])}
        for column in columns
    }


def _without_dates(value: Any) -> Any:
    """TOML's dates as text."""
    if isinstance(value, Mapping):
        return {name: _without_dates(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_without_dates(one) for one in value]
    return value.isoformat() if isinstance(value, (datetime.date, datetime.time)) else value


def render(facts: dict[str, Any]) -> None:
    """Print what `ScenarioRun.facts` gathered, readable at 80 columns."""
    report.show(
        [
            (facts["title"], [" ".join(facts["description"].split()), *(f"- {one}" for one in facts["sources"])]),
            (simulated_text(facts["simulation"]), [report.table(*simulation_rows(facts["simulation"]))]),
            *([("Reported and simulated", [report.table(*target_rows(facts["targets"]))])] if facts["targets"] else []),
            *(
                [("What cannot hold together", [one["text"] for one in facts["unreconciled"]])]
                * bool(facts["unreconciled"])
            ),
            *([("Contagion", _contagion_text(facts["contagion"]))] if "contagion" in facts else []),
            *(
                [("Policies on the same random numbers", _policy_text(facts["policies"]))]
                if "policies" in facts
                else []
            ),
            *([("The book at the start", report.book_sides(facts))] if "book" in facts else []),
            *([("Its largest tipping points", report.tipping_text(facts))] if "book" in facts else []),
            *([("Shocks to it", report.shock_text(facts))] if "book" in facts else []),
        ]
    )


def simulated_text(simulation: Mapping[str, Any]) -> str:
    """Say how many paths were run, how long and how fine."""
    days = simulation["horizon"] / 86_400
    length = f"{days:,.4g} days" if days >= 2 else f"{24 * days:,.4g} hours"
    return f"{simulation['paths']:,} paths of {length}, {simulation['steps']:,} steps, seed {simulation['seed']}"


def simulation_rows(simulation: Mapping[str, Any]) -> report.Rows:
    """List the figures of each column."""
    heading = ("", "5%", "median", "95%", "mean", "ES 99%")
    rows = [
        (
            label(name),
            *(amount(name, one["quantile"].get(p)) for p in ("0.05", "0.5", "0.95")),
            amount(name, one["mean"]["value"]),
            shortfall_text(name, one),
        )
        for name, one in simulation["columns"].items()
    ]
    return heading, rows


def shortfall_text(name: str, figures: Mapping[str, Any]) -> str:
    """Write an expected shortfall, or "-" where too few paths are in the tail to judge it."""
    told = figures["expected_shortfall"]
    return "-" if told["low"] is None else amount(name, told["value"])


def target_rows(targets: Mapping[str, Any]) -> report.Rows:
    """List what was reported beside what was simulated."""
    rows = [
        (
            name.replace("_", " "),
            target_value(one["reported"], one["relative"]),
            target_value(one["simulated"], one["relative"]),
            _difference(one["difference"], one["relative"]),
            "fitted" if one["fitted"] else "compared",
        )
        for name, one in targets.items()
    ]
    return ("target", "reported", "simulated", "difference", ""), rows


def _difference(value: float | None, relative: bool) -> str:
    return "-" if value is None else f"{100 * value:+z.1f} {'%' if relative else 'points'}"


def label(column: str) -> str:
    """Name a column, of one among several markets, too."""
    name, _, market = column.partition(".")
    return f"{name.replace('_', ' ')}{f', {market}' if market else ''}"


def target_value(value: float | None, relative: bool) -> str:
    """Write a target's value: an amount, or a change as a share."""
    if value is None:
        return "-"
    if not relative:
        return report.percent(value, 1)
    return report.money(value) if abs(value) >= 1e6 else f"{value:,.5g}" if abs(value) < 1e4 else f"{value:,.0f}"


def amount(name: str, value: float | None) -> str:
    """Write a value of a column."""
    if value is None:
        return "-"
    if "price" in name:
        return report.price_text(value)
    return report.money(value) if abs(value) >= 1e3 else f"{value:,.4g}"


def _contagion_text(found: Mapping[str, Any]) -> Iterable[Any]:
    yield branching_note(found)
    yield report.table(*branching_rows(found))
    yield spillover_note(found)
    yield report.table(*spillover_rows(found))


def branching_note(found: Mapping[str, Any]) -> str:
    """Say what the branching matrix is."""
    return (
        f"Spectral radius of the branching matrix after a fall of {-_FALL:.0%} in {found['markets'][0]}: "
        f"{_number(found['spectral_radius'])} (1 and above feeds itself). A fall of 1 in the column's market moves the "
        "row's by:"
    )


def branching_rows(found: Mapping[str, Any]) -> report.Rows:
    """List the branching matrix."""
    rows = [(name, *map(_number, row)) for name, row in zip(found["markets"], found["branching"], strict=True)]
    return ("", *found["markets"]), rows


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:z.3f}"


def spillover_note(found: Mapping[str, Any]) -> str:
    """Say what the spillover is."""
    return f"Log points lower at the end, on average, for accounts that were hurt in {found['markets'][0]}:"


def spillover_rows(found: Mapping[str, Any]) -> report.Rows:
    """List the spillover."""
    return tuple(found["markets"]), [tuple(f"{100 * found['spillover'][name]:z.2f}" for name in found["markets"])]


def _policy_text(policies: Mapping[str, Any]) -> Iterable[Any]:
    yield POLICY_NOTE
    yield report.table(*policy_rows(policies))


def policy_rows(policies: Mapping[str, Any]) -> report.Rows:
    """List what each policy changes."""
    rows = []
    for name, one in policies.items():
        for column, figures in one.items():
            value, low, high = changes(column, figures["baseline"], figures["difference"])
            rows.append((name, label(column), value, f"{low} to {high}"))
    return ("policy", "", "change", "interval"), rows


def changes(column: str, mean: float | None, change: Mapping[str, float | None]) -> tuple[str, str, str]:
    """Write by how much a column's mean changes, and the interval's ends; what is nothing beside the mean as 0."""
    nothing = _NOTHING * abs(mean or 0.0)
    value, low, high = (_signed(column, change[end], nothing) for end in ("value", "low", "high"))
    return value, low, high


def _signed(column: str, value: float | None, nothing: float) -> str:
    if value is None:
        return "-"
    return "0" if abs(value) <= nothing else f"{'-' if value < 0 else '+'}{amount(column, abs(value))}"
