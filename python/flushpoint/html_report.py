"""The report of a scenario as one HTML file (extra ``report``: jinja2 and matplotlib)."""

from __future__ import annotations

import base64
import importlib
import io
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

import numpy as np

from flushpoint import __version__, plot, report, scenario_report
from flushpoint._shown import percent, short
from flushpoint._toml import toml
from flushpoint._whole import whole
from flushpoint.book import Book
from flushpoint.explain import LABELS
from flushpoint.fragility import AMBER_SCORE, ORDINARY_DEVIATIONS
from flushpoint.market import Market
from flushpoint.scenario import _RUN, Scenario
from flushpoint.scenario_report import ScenarioRun, amount, changes
from flushpoint.seed import shown
from flushpoint.simulate import SimulationResult

_SIZE = (5.4, 4.0)  # inches: small, so that text stays readable on a phone
_SALT = "flushpoint"  # of the identifiers in pictures, which would be random
_LINES = 3  # single paths in the fan
_SHOCK = 0.10  # at which supply is drawn against depth
# Columns that headlines and pictures are of, those first that say most.
_HEADLINES = ("final_price", "liquidated_notional", "accounts_closed", "shortfall", "fund_paid", "unpaid_loss")
_LOSSES = ("liquidated_notional", "unpaid_loss", "shortfall", "accounts_closed")
_CHANGED = ("low_price", "high_price", "liquidated_notional", "unpaid_loss", "shortfall", "final_price")
_MOST = 2  # pictures of a kind
_OPTIONS = ("paths", "seed")  # of the command


@dataclass(frozen=True)
class _Text:
    kind: ClassVar[str] = "text"
    text: str


@dataclass(frozen=True)
class _List:
    kind: ClassVar[str] = "list"
    items: tuple[str, ...]


@dataclass(frozen=True)
class _Code:
    kind: ClassVar[str] = "code"
    text: str


@dataclass(frozen=True)
class _Light:
    kind: ClassVar[str] = "light"
    light: str
    text: str


@dataclass(frozen=True)
class _Table:
    kind: ClassVar[str] = "table"
    caption: str
    heading: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class _Pictures:
    kind: ClassVar[str] = "pictures"
    pictures: tuple[_Picture, ...]


@dataclass(frozen=True)
class _Picture:
    title: str
    caption: str
    source: str


@dataclass(frozen=True)
class _Headline:
    name: str
    value: str
    more: str


@dataclass(frozen=True)
class _Section:
    key: str
    title: str
    blocks: tuple[_Block, ...]


_Block: TypeAlias = "_Text | _List | _Code | _Light | _Table | _Pictures"
_Facts: TypeAlias = "dict[str, Any]"


def require() -> None:
    """Raise an ImportError that says what to install if jinja2 or matplotlib is missing."""
    plot.require()
    try:
        importlib.import_module("jinja2")
    except ImportError as error:
        raise ImportError('the HTML report needs jinja2: pip install "flushpoint[report]"') from error


def write(run: ScenarioRun, path: str | Path) -> Path:
    """Write the report of a scenario's run as one file, which needs nothing else and asks no other place for anything.

    Its pictures, tables and parameters are in it; it has no scripts. The same run gives the same bytes with the same
    version of matplotlib. What the scenario has no use for, such as contagion in one market, is left out.

    Parameters
    ----------
    run : ScenarioRun
        What is drawn and explained is worked out now: up to 8 further runs, fewer paths of them where positions open
        meanwhile.
    path : str or Path
        An HTML file, which is replaced.

    Returns
    -------
    Path

    Raises
    ------
    ImportError
        Where jinja2 or matplotlib is missing.
    OSError
        Where the file cannot be written.
    """
    target = Path(path)
    page = _page(run)
    with whole(target) as made:
        made.write_text(page, encoding="utf-8")
    return target


def _page(run: ScenarioRun) -> str:
    require()
    facts = run.facts()
    sections = [
        _Section(key, title, blocks)
        for key, title, made in (
            ("targets", "Reported and simulated", _targets),
            ("unreconciled", "What cannot hold together", _unreconciled),
            ("course", "How it went", _course),
            ("liquidated", "Who was liquidated", _liquidated),
            ("figures", "All figures", _figures),
            ("shares", "Whose move it was", _shares),
            ("fragility", "How fragile the book is", _fragility),
            ("response", "Every cascade of the book", _response),
            ("supply", "Why a cascade stops where it does", _supply),
            ("contagion", "From market to market", _contagion),
            ("policies", "What policies would change", _policies),
            ("parameters", "All parameters", _parameters),
            ("again", "Run it again", _again),
        )
        if (blocks := tuple(made(run, facts)))
    ]
    jinja2 = importlib.import_module("jinja2")
    environment = jinja2.Environment(
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )
    template = resources.files("flushpoint") / "templates" / "report.html.j2"
    page: str = environment.from_string(template.read_text(encoding="utf-8")).render(
        title=facts["title"],
        name=run.scenario.name,
        description=" ".join(facts["description"].split()),
        run=scenario_report.simulated_text(facts["simulation"]),
        version=__version__,
        headlines=list(_headlines(run, facts)),
        sections=sections,
        sources=facts["sources"],
        size=[round(100 * inches) for inches in _SIZE],
    )
    return page


def _picture(title: str, caption: str, draw: Callable[..., Any], *what: Any, **how: Any) -> _Picture:
    """Draw what is to be seen, as text that a page can hold."""
    matplotlib = importlib.import_module("matplotlib")
    drawn = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": _SALT, "svg.fonttype": "path", "font.size": 10}):
        figure = importlib.import_module("matplotlib.figure").Figure(figsize=_SIZE, layout="constrained")
        draw(*what, ax=figure.add_subplot(), **how)
        figure.savefig(drawn, format="svg", dpi=200, metadata={"Date": None})
    return _Picture(title, caption, f"data:image/svg+xml;base64,{base64.b64encode(drawn.getvalue()).decode()}")


def _headlines(run: ScenarioRun, facts: _Facts) -> Iterator[_Headline]:
    columns, market = facts["simulation"]["columns"], run.scenario.market
    extreme = "high_price" if isinstance(market, Market) and run.rises else "low_price"
    starts = {"": market.price} if isinstance(market, Market) else {name: market[name].price for name in market.names}
    for wanted in (*(f"{extreme}.{name}".strip(".") for name in starts), *_HEADLINES):
        if wanted not in columns or (wanted == "shortfall" and "fund_paid" in columns):
            continue
        figures, told = columns[wanted], scenario_report.label(wanted)
        low, high = (amount(wanted, figures["quantile"].get(p)) for p in ("0.05", "0.95"))
        if "price" in wanted:
            start, median = starts[wanted.partition(".")[2]], figures["median"]
            move = report.percent(None if median is None else median / start - 1, 1)
            more = f"{move} from {report.price_text(start)}; {low} to {high} in 90 % of paths"
            yield _Headline(f"{told}, median", amount(wanted, median), more)
        else:
            mean, tail = amount(wanted, figures["mean"]["value"]), scenario_report.shortfall_text(wanted, figures)
            unit = "accounts" if wanted == "accounts_closed" else "USD"
            more = f"{low} to {high} in 90 % of paths"
            more += f"; worst 1 %: {tail} on average" if tail != "-" else ""
            yield _Headline(f"{told}, mean", f"{mean} {unit}", more)
    if run.fragility is not None:
        f = run.fragility
        yield _Headline("fragility at the start", f.light, f"score {f.score:.2f}; from 1 on it is red")


def _targets(run: ScenarioRun, facts: _Facts) -> Iterator[_Block]:
    if facts["targets"]:
        yield _Table(
            "“Fitted”: the parameters were chosen to meet it. “Compared”: the model was left alone.",
            *scenario_report.target_rows(facts["targets"]),
        )


def _unreconciled(run: ScenarioRun, facts: _Facts) -> Iterator[_Block]:
    if facts["unreconciled"]:
        yield _Text("Reported figures that contradict each other, or that the story told of them does not explain:")
        yield _List(tuple(one["text"] for one in facts["unreconciled"]))


def _course(run: ScenarioRun, facts: _Facts) -> Iterator[_Block]:
    result = run.result
    if not isinstance(result, SimulationResult):
        return
    paths, middle = facts["simulation"]["paths"], run.median_path
    yield _Pictures(
        (
            _picture(
                "Prices in the course of time",
                f"The thick line is the median of {paths:,} paths, the bands hold the middle half and 90 % of "
                "them; thin lines are single paths.",
                plot.fan,
                result,
                lines=min(_LINES, paths),
            ),
            _picture(
                f"One path: number {middle.path:,}",
                f"Its {'high' if run.rises else 'low'} is the median one. Above, its price and the waves of "
                "liquidations; below, what is liquidated when.",
                plot.path,
                middle,
            ),
        )
    )


def _liquidated(run: ScenarioRun, facts: _Facts) -> Iterator[_Block]:
    columns = [column for column in _LOSSES if column in run.result and run.result[column].max() > 0]
    pictures = [
        _picture(
            f"How likely: {scenario_report.label(column)}",
            f"Share of paths with at least as much of {scenario_report.label(column)}; the scale of shares is "
            "logarithmic, so that the tail shows. Lines mark value at risk and expected shortfall, bands their "
            "intervals.",
            plot.losses,
            run.result,
            column=column,
        )
        for column in columns[:_MOST]
    ]
    book, market = run.scenario.book, run.scenario.market
    if isinstance(book, Book) and isinstance(market, Market):
        pictures.append(
            _picture(
                "Where they would be liquidated",
                "Open interest at the start by liquidation price: longs below the price, shorts above it.",
                plot.levels,
                book,
                market.price,
            )
        )
    if pictures:
        yield _Pictures(tuple(pictures))
    if "groups" in facts:
        yield _Table(
            "Accounts whose positions that share margin were all closed, by group; mean over paths.",
            ("group", "accounts", "closed", "share"),
            [
                (name, f"{one['accounts']:,}", f"{one['closed']:,.1f}", percent(one["closed"] / one["accounts"]))
                for name, one in facts["groups"].items()
            ],
        )


def _figures(run: ScenarioRun, facts: _Facts) -> Iterator[_Block]:
    yield _Table(
        "Over paths. ES 99 %: expected shortfall, the mean of the worst 1 %, “-” where fewer than ten paths are in it. "
        "Money in USD.",
        *scenario_report.simulation_rows(facts["simulation"]),
    )


def _shares(run: ScenarioRun, facts: _Facts) -> Iterator[_Block]:
    e = run.explanation
    if e is None:
        return
    told, paths = e.to_dict(), facts["simulation"]["paths"]
    lost = f" {told['left_out']:,} paths are left out, on which the market was used up." if told["left_out"] else ""
    fewer = "" if e.paths == paths else f" of {paths:,}: positions open meanwhile, which makes a run long"
    yield _Text(
        f"The move from the start to the {scenario_report.label(e.column)}, on {e.paths:,} paths{fewer}. The same "
        "random numbers are run with and without each player. A share is what a player adds on average over all orders "
        f"in which the players can join: its Shapley value.{lost}"
    )
    yield _Pictures(
        (
            _picture(
                "From the start to the total",
                "Mean change of the price. Grey: what the price does on its own; colours: what comes on top.",
                plot.explanation,
                e,
            ),
        )
    )
    yield _Table(
        f"Means with their intervals of {percent(e.confidence)}.",
        ("", "share of the move", "log points", "USD"),
        [
            (
                LABELS[name],
                _interval(one["share_of_total"], 100, " %"),
                _interval(one["mean"], 100),
                _interval(one["quote"]),
            )
            for name, one in told["shares"].items()
        ],
    )
    if told["counterfactuals"]:
        columns = [c for c in _compared(run) if all(c in one for one in told["counterfactuals"].values())]
        yield _Table(
            "What would be otherwise: change of the mean.",
            ("", *map(scenario_report.label, columns)),
            [
                (name, *(_changed(column, one[column]) for column in columns))
                for name, one in told["counterfactuals"].items()
            ],
        )


def _interval(estimate: Mapping[str, float | None], scale: float = 1.0, unit: str = "") -> str:
    value, low, high = ("-" if one is None else short(scale * one) for one in estimate.values())
    return f"{value}{unit} [{low}, {high}]"


def _compared(run: ScenarioRun) -> Iterator[str]:
    """Columns whose changes are shown: of low and high the one that the scenario is about."""
    return (column for column in _CHANGED if column != ("low_price" if run.rises else "high_price"))


def _changed(column: str, figures: Mapping[str, Any]) -> str:
    value, low, high = changes(column, figures["mean_a"], figures["difference"])
    return f"{value} [{low}, {high}]"


def _fragility(run: ScenarioRun, facts: _Facts) -> Iterator[_Block]:
    f, surface = run.fragility, run.tipping_surface
    if f is None or surface is None:
        return
    yield _Light(
        f.light,
        f"An ordinary fall, {report.percent(f.ordinary_fall, 1)} ({ORDINARY_DEVIATIONS:g} daily standard deviations of "
        f"{percent(f.daily_volatility)}), is amplified {f.ordinary_amplification:.3g} times, with a reproduction "
        f"number of {f.ordinary_reproduction_number:.3g} at most on the way: score {f.score:.2f}, amber from "
        f"{AMBER_SCORE:g}, red from 1. The light says what such a fall would set off, not whether one comes.",
    )
    tips = np.any(np.isfinite(surface.tipping_shock))
    by = f"by {percent(surface.width)} or more"
    line = f"The line is the smallest shock that tips the book {by}." if tips else f"No shock tips the book {by}."
    yield _Pictures(
        (
            _picture(
                "Reproduction number by price",
                "Further move that forced sales cause, over the move that set them off: at 1 and above a move feeds "
                "itself.",
                plot.fragility,
                f,
            ),
            _picture(
                "Shock and depth",
                f"Colour: total move over the shock alone. {line} Depth 1 is the scenario's.",
                plot.tipping_surface,
                surface,
            ),
        )
    )
    sides = [f.to_dict()[side] for side in ("long", "short")]
    figures: list[tuple[str, Callable[[dict[str, Any]], str]]] = [
        ("open interest, USD", lambda side: report.money(side["open_interest"])),
        ("reproduction number now", lambda side: _plain(side["reproduction_number"])),
        ("its largest value", lambda side: _plain(side["largest_reproduction_number"])),
        ("at the price of", lambda side: report.price_text(side["largest_reproduction_price"])),
        (f"first move that tips, by {percent(f.width)}", lambda side: report.percent(side["tipping_shock"], 1)),
        ("move to the largest such run", lambda side: report.percent(side["largest_tipping_shock"], 1)),
        ("effective leverage", lambda side: _plain(side["leverage"])),
    ]
    for k, distance in enumerate(f.within):
        figures.append((f"at risk within {percent(distance)}, USD", lambda side, k=k: report.money(side["at_risk"][k])))  # type: ignore[misc]
    yield _Table(
        "The book at the start.",
        ("", "longs", "shorts"),
        [(name, *(tell(side) for side in sides)) for name, tell in figures],
    )


def _plain(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def _response(run: ScenarioRun, facts: _Facts) -> Iterator[_Block]:
    if run.response is None:
        return
    yield _Pictures(
        (
            _picture(
                "Where each shock ends",
                "Final price, and below it what is liquidated, by the shock that starts a cascade at the start's book "
                "and depth. Discs: the largest tipping points.",
                plot.response,
                run.response,
            ),
        )
    )
    yield _Table(f"Shocks. {report.SHOCK_NOTE}.", *report.shock_rows(facts))
    if facts["tipping_points"]:
        yield _Table(f"Tipping points. {report.tipping_note(facts)}", *report.tipping_rows(facts))
    else:
        yield _Text(f"Tipping points. {report.tipping_note(facts)}")


def _supply(run: ScenarioRun, facts: _Facts) -> Iterator[_Block]:
    if run.response is None:
        return
    shock = _SHOCK if run.rises else -_SHOCK
    yield _Pictures(
        (
            _picture(
                f"Forced supply and depth after a shock of {shock:+.0%}",
                "Colour: what is triggered up to each price. Line: what must be traded to bring the price there. A "
                "cascade ends where they first meet.",
                plot.supply_and_depth,
                run.response.book,
                run.response.market,
                shock=shock,
            ),
        )
    )


def _contagion(run: ScenarioRun, facts: _Facts) -> Iterator[_Block]:
    if run.contagion is None:
        return
    found = facts["contagion"]
    yield _Pictures(
        (
            _picture(
                "Who moves whom",
                "Through forced sales of accounts that hold several markets: how far a further move of a column's "
                "market moves the row's.",
                plot.contagion,
                run.contagion,
            ),
        )
    )
    yield _Table(scenario_report.branching_note(found), *scenario_report.branching_rows(found))
    yield _Table(scenario_report.spillover_note(found), *scenario_report.spillover_rows(found))


def _policies(run: ScenarioRun, facts: _Facts) -> Iterator[_Block]:
    x = run.experiment
    if x is None:
        return
    columns = [column for column in _compared(run) if column in x.columns][: 2 * _MOST]
    yield _Pictures(
        tuple(
            _picture(
                f"Change of the {scenario_report.label(column)}",
                f"Mean change of the {scenario_report.label(column)} under each policy, on the same random numbers.",
                plot.policies,
                x,
                column=column,
            )
            for column in columns
        )
    )
    yield _Table(scenario_report.POLICY_NOTE, *scenario_report.policy_rows(facts["policies"]))


def _parameters(run: ScenarioRun, facts: _Facts) -> Iterator[_Block]:
    yield _Text(f"The scenario as it was run, {_file(run)}:")
    yield _Code(toml(_content(run)))


def _again(run: ScenarioRun, facts: _Facts) -> Iterator[_Block]:
    name, given = _shipped(run)
    if name is None:
        name = _file(run)
        yield _Text(f"Save the parameters above as {name}, then:")
    page = f"{run.scenario.name}.html"
    options = "".join(f" --{key} {value}" for key, value in given.items())
    yield _Code(f"flushpoint report {shlex.quote(name)}{options} -o {shlex.quote(page)}")
    yield _Text("Or, in Python:")
    arguments = "".join(f", {key}={value}" for key, value in given.items())
    yield _Code(
        "from flushpoint import Scenario, html_report\n"
        "from flushpoint.scenario_report import ScenarioRun\n\n"
        f"run = ScenarioRun(Scenario.load({name!r}){arguments})\n"
        f"html_report.write(run, {page!r})"
    )
    held = _content(run)["run"]
    others = [f"{key} = {value!r}" for key, value in run.changes.items() if key not in held or held[key] is not value]
    if others:
        yield _Text(f"This run was besides given: {'; '.join(others)}.")
    yield _Text(
        f"Seed {shown(facts['simulation']['seed'])}, flushpoint {__version__}: the same numbers on any machine, with "
        "any number of threads."
    )


def _file(run: ScenarioRun) -> str:
    return f"{run.scenario.name}.toml"


def _content(run: ScenarioRun) -> dict[str, Any]:
    """Return the scenario's content with what the run was given besides, as far as such a file can hold it."""
    given = {**run.changes, "seed": run.result.seed}
    held = {name: given[name] for name in _RUN if isinstance(given.get(name), (bool, int, float, str))}
    return {**run.scenario.content, "run": {**run.scenario.content.get("run", {}), **held}}


def _shipped(run: ScenarioRun) -> tuple[str | None, dict[str, Any]]:
    """Name the scenario that comes with the package, and the command's options, that make the run; None without one."""
    name, content = run.scenario.name, _content(run)
    if name not in Scenario.names():
        return None, {}
    plain = Scenario.load(name).content
    given = {key: content["run"][key] for key in _OPTIONS if content["run"].get(key) != plain.get("run", {}).get(key)}
    same = {**plain, "run": {**plain.get("run", {}), **given}} == content
    return (name, given) if same else (None, {})
