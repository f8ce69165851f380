"""The HTML report of a scenario: what is in it, that it agrees with the facts, and that it needs nothing else."""

import math
import re
import tomllib
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest

from flushpoint import Scenario, report, scenario_report
from flushpoint._toml import toml
from flushpoint.scenario_report import ScenarioRun

pytest.importorskip("matplotlib").use("Agg")
pytest.importorskip("jinja2")
from flushpoint import html_report  # noqa: E402

BOOK = {
    "title": "A fall of 20 %",
    "description": "Longs & shorts,\nhalf of each.",
    "sources": ["Reported at https://example.org/a?b=1&c=2.", "Assumed."],
    "market": {"price": 100.0, "half_life": 1_800.0, "impact": {"kind": "LinearImpact", "coefficient": 1e-4}},
    "book": {"kind": "Book.from_leverage_mix", "open_interest": 1e5},
    "venue": {"fund": 50.0, "adl": "queue"},
    "process": {"kind": "BrownianBridge", "volatility": 0.8, "time": [86_400], "price": [80.0]},
    "run": {"steps": 24, "paths": 20, "seed": 3},
    "targets": {"low": {"reported": 78.0, "measure": "low_price", "fit": False}},
    "policies": {"at most 5x": {"leverage_cap": 5}},
}
ONCE = {
    "targets": "Reported and simulated",
    "course": "How it went",
    "liquidated": "Who was liquidated",
    "figures": "All figures",
    "shares": "Whose move it was",
    "fragility": "How fragile the book is",
    "response": "Every cascade of the book",
    "supply": "Why a cascade stops where it does",
    "policies": "What policies would change",
    "parameters": "All parameters",
    "again": "Run it again",
    "sources": "Sources",
}
CAPTIONS = (
    "Prices in the course of time",
    "One path: number",
    "How likely: liquidated notional",
    "Where they would be liquidated",
    "From the start to the total",
    "Reproduction number by price",
    "Shock and depth",
    "Where each shock ends",
    "Forced supply and depth after a shock of -10%",
    "Change of the low price",
    "Change of the liquidated notional",
)


class Page(HTMLParser):
    """Its sections, tables of text, captions, code, and all that it links to or loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.sections: dict[str, str] = {}
        self.tables: list[list[list[str]]] = []
        self.captions: list[str] = []
        self.code: list[str] = []
        self.loaded: list[str] = []
        self.links: list[str] = []
        self._section = ""
        self._open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        told = dict(attributes)
        self.tags.append(tag)
        self.loaded += [str(told[name]) for name in ("src", "srcset", "data", "poster") if name in told]
        if "href" in told:
            (self.links if tag == "a" else self.loaded).append(str(told["href"]))
        if tag == "section":
            self._section = str(told["id"])
        elif tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("th", "td"):
            self.tables[-1][-1].append("")
        elif tag == "figcaption":
            self.captions.append("")
        elif tag == "code":
            self.code.append("")
        if tag not in ("meta", "img"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "th" in self._open or "td" in self._open:
            self.tables[-1][-1][-1] += data
        elif "figcaption" in self._open:
            self.captions[-1] += data
        elif "code" in self._open:
            self.code[-1] += data
        elif "h2" in self._open:
            self.sections[self._section] = data


def written(scenario: Scenario, path: Path) -> tuple[ScenarioRun, str]:
    run = ScenarioRun(scenario)
    assert html_report.write(run, path) == path
    return run, path.read_text(encoding="utf-8")


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the pictures empty, which take the time; other tests draw them all."""
    monkeypatch.setattr(
        html_report, "_picture", lambda title, caption, *_, **__: html_report._Picture(title, caption, "data:,")
    )


def cells(rows: report.Rows) -> list[list[str]]:
    return [list(rows[0]), *map(list, rows[1])]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[ScenarioRun, str]:
    return written(Scenario("fall", BOOK), tmp_path_factory.mktemp("report") / "fall.html")


def test_every_section_and_every_picture_is_there(made):
    page = Page(made[1])
    assert page.sections == ONCE
    assert [link for link in page.links if link.startswith("#")] == [f"#{key}" for key in ONCE]
    for caption in CAPTIONS:
        assert sum(told.startswith(caption) for told in page.captions) == 1, caption
    assert page.tags.count("img") == len(page.captions)


def test_its_tables_are_those_of_the_facts(made):
    run, text = made
    facts, tables = run.facts(), Page(text).tables
    for rows in (
        scenario_report.target_rows(facts["targets"]),
        scenario_report.simulation_rows(facts["simulation"]),
        report.shock_rows(facts),
        report.tipping_rows(facts),
        scenario_report.policy_rows(facts["policies"]),
    ):
        assert tables.count(cells(rows)) == 1
    median = facts["simulation"]["columns"]["low_price"]["median"]
    assert f'<dd class="value">{report.price_text(median)}</dd>' in text
    shares = next(table for table in tables if table[0][1] == "share of the move")
    total = run.explanation.to_dict()["shares"]["total"]["quote"]["value"]
    assert shares[-1][0] == "total"
    assert shares[-1][-1].startswith(f"{total:,.4g} [")
    light = run.fragility.light
    assert f'<strong class="light {light}">{light}</strong>' in text


def test_it_asks_no_other_place_for_anything(made):
    page = Page(made[1])
    assert page.loaded
    assert all(one.startswith("data:image/svg+xml;base64,") for one in page.loaded)
    assert {link for link in page.links if not link.startswith("#")} == {"https://example.org/a?b=1&c=2"}
    assert "script" not in page.tags
    assert "url(" not in made[1]
    assert "@import" not in made[1]


def test_the_same_run_gives_the_same_bytes(made, tmp_path):
    assert written(Scenario("fall", BOOK), tmp_path / "again.html")[1] == made[1]


def test_its_parameters_run_the_scenario_again(made):
    run, text = made
    code = Page(text).code
    again = tomllib.loads(next(one for one in code if one.startswith("title")))
    assert again == BOOK
    assert (Scenario("fall", again).simulate()["low_price"] == run.result["low_price"]).all()
    assert "flushpoint report fall.toml -o fall.html" in code


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    ("name", "given", "options"),
    [
        ("squeeze", {}, ""),
        ("squeeze", {"seed": 5, "paths": 7}, " --paths 7 --seed 5"),
        ("squeeze", {"steps": 12}, None),
    ],
)
def test_the_command_is_that_of_the_run(name, given, options, tmp_path):
    scenario = Scenario.load(name)
    page = Page(html_report.write(ScenarioRun(scenario, **given), tmp_path / "report.html").read_text())
    told = f"{name}.toml" if options is None else f"{name}{options}"
    assert f"flushpoint report {told} -o {name}.html" in page.code
    (snippet,) = (one for one in page.code if one.startswith("from"))
    call = "".join(f", {key}={given[key]}" for key in ("paths", "seed") if key in given)
    file = f"{name}.toml" if options is None else name
    assert f"ScenarioRun(Scenario.load({file!r}){call})" in snippet


@pytest.mark.usefixtures("undrawn")
def test_what_the_run_was_given_besides_is_told(tmp_path):
    run = ScenarioRun(Scenario.load("leverage-cap"), paths=range(5, 9), seed=7, steps=24)
    text = html_report.write(run, tmp_path / "report.html").read_text()
    again = tomllib.loads(next(one for one in Page(text).code if one.startswith("title")))
    assert (again["run"]["seed"], again["run"]["steps"], again["run"]["paths"]) == (7, 24, 1_000)
    assert "This run was besides given: paths = range(5, 9)." in unescape(text)
    assert "One path: number " in text
    assert int(re.search(r"One path: number (\d+)", text)[1]) in range(5, 9)


@pytest.mark.usefixtures("undrawn")
def test_text_of_the_scenario_is_escaped(tmp_path):
    hostile = "</title><script>alert(1)</script><img src=x onerror=alert(2)>\"'&"
    content = BOOK | {
        "title": hostile,
        "description": hostile,
        "sources": [hostile, "javascript:alert(3)", 'https://example.org/"onmouseover="alert(4)'],
        "targets": {hostile: BOOK["targets"]["low"]},
        "policies": {hostile: {"leverage_cap": 5}},
    }
    _, text = written(Scenario(hostile, content), tmp_path / "report.html")
    page = Page(text)
    assert "script" not in page.tags
    assert page.tags.count("img") == len(page.captions)
    assert all(one.startswith("data:") for one in page.loaded)
    assert all(link.startswith(("#", "https://example.org/")) for link in page.links)
    assert 'onmouseover="' not in text
    assert page.tables[0][1][0] == hostile.replace("_", " ")
    assert tomllib.loads(next(one for one in page.code if one.startswith("title"))) == content


def test_accounts_show_contagion_and_groups(tmp_path):
    run, text = written(Scenario.load("altcoin-contagion").changed({"run.paths": 5}), tmp_path / "report.html")
    page, facts = Page(text), run.facts()
    assert page.sections.keys() == {*ONCE, "contagion"} - {
        "course", "shares", "fragility", "response", "supply", "policies"
    }  # fmt: skip
    assert cells(scenario_report.branching_rows(facts["contagion"])) in page.tables
    assert cells(scenario_report.spillover_rows(facts["contagion"])) in page.tables
    groups = next(table for table in page.tables if table[0][0] == "group")
    assert [row[:2] for row in groups[1:]] == [[name, f"{one['accounts']:,}"] for name, one in facts["groups"].items()]
    closed = sum(one["closed"] for one in facts["groups"].values())
    assert closed == pytest.approx(run.result["accounts_closed"].mean())


@pytest.mark.usefixtures("undrawn")
def test_few_paths_are_explained_where_positions_open(tmp_path):
    turnover = {
        "opening_rate": 1e-3,
        "closing_rate": 1e-5,
        "quantity": {"kind": "Exponential", "mean": 10.0},
        "leverage_mix": {"kind": "LeverageMix.power_law"},
    }
    content = {name: value for name, value in BOOK.items() if name not in ("venue", "policies")}
    content |= {
        "turnover": turnover,
        "run": BOOK["run"] | {"paths": 52},
        "targets": {"trough": BOOK["targets"]["low"]},
        "context": {"coins": 10.0, "market_value": [1_000.0, 900.0], "prices": [100.0, 60.0]},
    }
    run, text = written(Scenario("open", content), tmp_path / "report.html")
    assert "on 50 paths of 52: positions open meanwhile" in text
    assert run.explanation.paths == 50
    assert Page(text).sections.keys() >= {"unreconciled", "shares"}


@pytest.mark.usefixtures("undrawn")
def test_a_squeeze_is_told_by_its_highs(tmp_path):
    run, text = written(Scenario.load("squeeze").changed({"run.paths": 20}), tmp_path / "report.html")
    assert run.rises
    assert run.explanation.column == "high_price"
    assert "high price, median" in text
    assert "Forced supply and depth after a shock of +10%" in text


RANDOM = {
    "kind": "RandomBook",
    "count": 1_000,
    "distance": {"kind": "Uniform", "low": 0.01, "high": 0.3},
    "quantity": {"kind": "Exponential", "mean": 1.0},
}
SUPPORT = {"price": [95.0, 90.0], "quantity": [50.0, 100.0]}
FULL = {
    "course",
    "liquidated",
    "figures",
    "shares",
    "fragility",
    "response",
    "supply",
    "parameters",
    "again",
    "sources",
}
AT_REST = {"fragility", "response", "supply"}


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    ("changes", "sections"),
    [
        ({"process": {"kind": "GBM", "volatility": 1e-6}}, FULL),
        ({"run": {"steps": 1, "paths": 1, "seed": 3}}, FULL),
        ({"market": BOOK["market"] | {"support": SUPPORT}}, FULL - AT_REST),
        ({"book": RANDOM}, FULL - AT_REST - {"liquidated"}),
        (
            {
                "book": RANDOM,
                "process": {"kind": "GBM", "volatility": 0.8},
                "run": {"steps": 24, "paths": 5, "monitoring": "bridge"},
            },
            FULL - AT_REST - {"liquidated", "shares"},
        ),
    ],
    ids=["still", "one path", "support", "random book", "bridge"],
)
def test_what_a_scenario_has_no_use_for_is_left_out(changes, sections, tmp_path):
    content = {name: value for name, value in BOOK.items() if name not in ("venue", "policies", "targets")} | changes
    _, text = written(Scenario("fall", content), tmp_path / "report.html")
    assert Page(text).sections.keys() == sections


@pytest.mark.usefixtures("undrawn")
def test_what_is_infinite_once_a_market_is_used_up_has_no_figures(tmp_path):
    content = {name: value for name, value in BOOK.items() if name not in ("venue", "policies", "description")}
    content |= {
        "book": {"kind": "Book", "side": -1, "quantity": 1e10, "trigger_price": [101.0]},
        "process": {"kind": "GBM", "volatility": 2.0},
        "targets": {"high": {"reported": 110.0, "measure": "high_price"}},
    }
    run, text = written(Scenario("squeezed", content), tmp_path / "report.html")
    assert run.simulated == {"high": math.inf}
    assert Page(text).tables[0][1] == ["high", "110", "-", "-", "fitted"]
    scenario_report.render(run.facts())


def test_recording_leaves_a_run_as_it_is():
    scenario = Scenario("fall", BOOK)
    run = ScenarioRun(scenario)
    assert (run.result["low_price"] == scenario.simulate()["low_price"]).all()
    assert run.result.recorded_time.tolist() == [3_600.0 * step for step in range(25)]
    assert ScenarioRun(scenario, record=[0, 24]).result.recorded_time.tolist() == [0.0, 86_400.0]


@pytest.mark.parametrize("name", Scenario.names())
def test_scenarios_are_written_as_they_are_read(name):
    content = dict(Scenario.load(name).content)
    assert tomllib.loads(toml(content)) == content


@pytest.mark.parametrize(
    "content",
    [
        {"a": {"x y": {"z": [{"k": 1, "s": ["a", "b\nc"]}, {"k": float("inf"), "m": 1e300, "n": -5e-324}]}}},
        {"t": 'a\\n"""b\n\x7f\r"\\\t\u2028é', "e": {}, "b": True, "f": [False, 0, 0.0], "g": {"h": {}}},
        {"": {"a.b": 1}, "l": [[1, 2], ["x"]]},
        {"d": tomllib.loads("d = 2026-02-05T00:00:00Z\nt = 07:30:00\nday = 2026-02-05")},
    ],
)
def test_toml_is_read_back_as_the_same(content):
    assert tomllib.loads(toml(content)) == content
