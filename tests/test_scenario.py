"""Scenarios in files: the shipped ones, what a file can hold, what is refused and how it is told, and shorter runs."""

from __future__ import annotations

import copy
import datetime
import json
import math
import pickle
import re
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import flushpoint as fp
from flushpoint.construct import kinds
from flushpoint.scenario_report import ScenarioRun
from flushpoint.target import measured, targets_of

NAMES = fp.Scenario.names()
BASE = """
[market]
price = 100.0
[market.impact]
kind = "LinearImpact"
coefficient = 1e-4

[book]
kind = "Book"
side = [1, 1, -1]
quantity = [50.0, 100.0, 40.0]
trigger_price = [99.0, 98.0, 101.5]

[process]
kind = "GBM"
volatility = 1.0

[run]
horizon = 3600.0
steps = 60
paths = 20
seed = 1
"""
CONTENT = tomllib.loads(BASE)


def made(**tables: Any) -> fp.Scenario:
    """The base with other tables; None leaves one out."""
    content = {**CONTENT, **tables}
    return fp.Scenario("mine", {name: table for name, table in content.items() if table is not None})


def written(path: Path, text: str) -> fp.Scenario:
    file = path / "mine.toml"
    file.write_text(text, encoding="utf-8")
    return fp.Scenario.load(file)


def bits(e: Any) -> dict[str, bytes]:
    return {name: e[name].tobytes() for name in e}


def short(name: str, paths: int = 4) -> fp.Scenario:
    """A shipped one with few paths; those of many steps go without turnover, which costs most."""
    scenario = fp.Scenario.load(name).changed({"run.paths": paths})
    if "turnover" not in scenario.content:
        return scenario
    return fp.Scenario(name, {k: v for k, v in scenario.content.items() if k not in ("turnover", "parameters")})


# --- the shipped ones ---
def test_there_are_some() -> None:
    assert len(NAMES) >= 7
    assert list(NAMES) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_shipped_ones_run_and_repeat(name: str) -> None:
    scenario = short(name)
    assert scenario.title != name
    assert len(scenario.description) > 100
    assert str(scenario).startswith(scenario.title)
    assert repr(scenario) == f"Scenario({name!r})"
    one, two = scenario.simulate(threads=1), scenario.simulate(threads=2)
    assert bits(one) == bits(two)
    assert one.seed == scenario.content["run"]["seed"]
    assert all(np.isfinite(one[column]).all() for column in one if column.partition(".")[0].endswith("_price"))
    assert bits(pickle.loads(pickle.dumps(scenario)).simulate()) == bits(one)
    assert bits(fp.Scenario(name, copy.deepcopy(dict(scenario.content))).simulate()) == bits(one)


@pytest.mark.parametrize("name", NAMES)
def test_shipped_parameters_lie_within_their_bounds(name: str) -> None:
    scenario = fp.Scenario.load(name)
    for place, (low, high) in scenario.parameters.items():
        assert low < scenario.value(place) < high
        for one in (place,) if isinstance(place, str) else place:
            assert scenario.value(one) == scenario.value(place)
    assert bool(scenario.parameters) == any(target.fit for target in scenario.targets.values())


@pytest.fixture(scope="module")
def flush() -> ScenarioRun:
    return ScenarioRun(fp.Scenario.load("post-election-flush"))


@pytest.mark.parametrize("name", [name for name in NAMES if name != "post-election-flush"])
def test_shipped_targets_are_met(name: str) -> None:
    scenario = fp.Scenario.load(name)
    if scenario.targets:
        assert_met(scenario, measured(scenario, scenario.targets))


def assert_met(scenario: fp.Scenario, simulated: dict[str, float]) -> None:
    for name, target in scenario.targets.items():
        off = target.difference(simulated[name])
        assert not target.fit or abs(off) < (0.03 if target.relative else 0.015), (name, off)


def test_the_flush_and_its_facts(flush: ScenarioRun) -> None:
    assert_met(flush.scenario, flush.simulated)
    facts = flush.facts()
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts
    assert set(facts["targets"]) == {"trough", "stabilisation", "liquidations_24h", "open_interest_change"}
    for name, one in facts["targets"].items():
        target = flush.scenario.targets[name]
        assert one["reported"] == target.reported
        assert one["simulated"] == flush.simulated[name]
        assert one["difference"] == target.difference(flush.simulated[name])
        assert one["fitted"] == target.fit
    result = flush.result
    assert flush.simulated["trough"] == np.median(result["low_price"])
    assert flush.simulated["stabilisation"] == np.median(result["final_price"])
    assert facts["simulation"]["paths"] == len(result["low_price"]) == 200
    told = result.summary(columns=["low_price"], levels=(0.99,))["low_price"]
    assert facts["simulation"]["columns"]["low_price"]["median"] == told["quantile"][0.5].value
    worst = told["expected_shortfall"][0.99].value
    assert facts["simulation"]["columns"]["low_price"]["expected_shortfall"]["value"] == worst
    assert facts["simulation"]["columns"]["low_price"]["mean"]["value"] == pytest.approx(result["low_price"].mean())
    assert facts["simulation"]["seed"] == result.seed
    assert facts["content"]["market"]["price"] == 126_000.0
    assert {one["claim"] for one in facts["unreconciled"]} >= {"market_value", "open_interest", "forced_selling"}
    assert facts["sources"] == list(flush.scenario.sources)


# --- facts of others ---
def test_facts_of_accounts_and_of_policies() -> None:
    run = ScenarioRun(fp.Scenario.load("altcoin-contagion"), paths=6)
    facts = run.facts()
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts
    assert facts["contagion"]["markets"] == ["BTC", "ETH", "SOL", "AVAX"]
    assert np.shape(facts["contagion"]["branching"]) == (4, 4)
    assert list(facts["contagion"]["spillover"]) == facts["contagion"]["markets"]
    run = ScenarioRun(fp.Scenario.load("leverage-cap"), paths=30)
    facts = run.facts()
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts
    assert run.experiment is not None
    assert run.experiment.baseline is run.result
    assert list(facts["policies"]) == ["at most 20x", "at most 10x", "at most 5x", "twice the fund"]
    low = facts["policies"]["at most 5x"]["low_price"]
    assert low["baseline"] == pytest.approx(run.result["low_price"].mean())
    assert low["difference"]["value"] > 0


def test_facts_of_dates_and_of_no_target() -> None:
    opened = [datetime.date(2026, 2, day) for day in (4, 4, 5)]
    scenario = made(sources=["a page"], title="Mine", book={**CONTENT["book"], "group": opened})
    facts = ScenarioRun(scenario).facts()
    assert facts["content"]["book"]["group"] == ["2026-02-04", "2026-02-04", "2026-02-05"]
    assert facts["targets"] == {}
    assert facts["unreconciled"] == []
    assert facts["title"] == "Mine"
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts


# --- what a file can hold ---
def test_a_file_is_what_its_classes_make(tmp_path: Path) -> None:
    scenario = written(tmp_path, BASE)
    book = fp.Book([1, 1, -1], [50.0, 100.0, 40.0], [99.0, 98.0, 101.5])
    market = fp.Market(100.0, fp.LinearImpact(1e-4))
    expected = fp.simulate(book, market, fp.GBM(1.0), 3_600.0, 60, 20, 1)
    assert bits(scenario.simulate()) == bits(expected)
    assert scenario.name == "mine"
    assert scenario.title == "mine"
    assert scenario.description == ""
    assert scenario.sources == ()
    assert scenario.targets == scenario.parameters == scenario.policies == scenario.context == {}
    assert bits(scenario.simulate(paths=range(5, 9))) == bits(
        fp.simulate(book, market, fp.GBM(1.0), 3_600.0, 60, range(5, 9), 1)
    )


def test_every_part_of_a_run(tmp_path: Path) -> None:
    text = """
[market.depth]
normal_volatility = 0.5
[market.support]
price = [97.0]
quantity = [10.0]
[turnover]
opening_rate = 0.01
[turnover.quantity]
kind = "LogNormal"
median = 1.0
sigma = 0.5
[funding]
rate = 0.0001
interval = 600.0
[[sellers]]
quantity = 100.0
target = 0.5
interval = 600.0
[[sellers]]
quantity = 50.0
target = 0.8
interval = 1200.0
[script.first]
time = [600.0, 1200.0]
sell = 5.0
[script.second]
kind = "Script.evenly"
start = 0.0
end = 1800.0
events = 3
move = -0.01
"""
    market = fp.Market(100.0, fp.LinearImpact(1e-4), depth=fp.LivingDepth(0.5), support=fp.Support([97.0], [10.0]))
    arguments: dict[str, Any] = {
        "turnover": fp.Turnover(0.01, fp.LogNormal(1.0, 0.5)),
        "funding": fp.Funding(0.0001, 600.0),
        "sellers": [
            fp.VolatilityTargeting(100.0, 0.5, interval=600.0),
            fp.VolatilityTargeting(50.0, 0.8, interval=1_200.0),
        ],
        "script": fp.Script([600.0, 1_200.0], 5.0) + fp.Script.evenly(0.0, 1_800.0, 3, move=-0.01),
    }
    book = fp.Book([1, 1, -1], [50.0, 100.0, 40.0], [99.0, 98.0, 101.5])
    expected = fp.simulate(book, market, fp.GBM(1.0), 3_600.0, 60, 20, 1, **arguments)
    assert bits(written(tmp_path, BASE + text).simulate()) == bits(expected)


def test_one_script_and_one_seller() -> None:
    scenario = made(
        script={"time": [60.0], "move": -0.05}, sellers={"quantity": 10.0, "target": 0.5, "interval": 600.0}
    )
    assert scenario.script is not None
    assert scenario.script.move.tolist() == [-0.05]
    assert scenario.arguments["sellers"] == fp.VolatilityTargeting(10.0, 0.5, interval=600.0)


def test_a_random_book_and_laws() -> None:
    book = {
        "kind": "RandomBook", "count": 30, "side": 1,
        "distance": {"kind": "Exponential", "mean": 0.02},
        "quantity": {"kind": "Table", "values": [1.0, 2.0]},
    }  # fmt: skip
    expected = fp.RandomBook(count=30, side=1, distance=fp.Exponential(0.02), quantity=fp.Table([1.0, 2.0]))
    market = fp.Market(100.0, fp.LinearImpact(1e-4))
    assert bits(made(book=book).simulate()) == bits(fp.simulate(expected, market, fp.GBM(1.0), 3_600.0, 60, 20, 1))
    leveraged = {
        "kind": "RandomBook", "count": 5, "quantity": 1.0,
        "distance": {
            "kind": "Leveraged", "entry_spread": 0.02,
            "leverage_mix": {"kind": "LeverageMix.published", "name": "hyperliquid-2025"},
        },
    }  # fmt: skip
    assert isinstance(made(book=leveraged).book, fp.RandomBook)


def test_markets_and_accounts() -> None:
    impact = {"kind": "LinearImpact", "coefficient": 1e-4}
    tables = {
        "market": None,
        "book": None,
        "markets": {"A": {"price": 100.0, "impact": impact}, "B": {"price": 10.0, "impact": impact}},
        "accounts": {
            "kind": "Accounts", "account": [0, 0], "market": ["A", "B"], "quantity": [10.0, -5.0],
            "entry_price": [100.0, 10.0], "cash": [30.0],
            "schedules": {"A": {"kind": "MarginSchedule.flat", "rate": 0.01}, "B": {"floor": [0.0], "rate": [0.02]}},
        },
        "process": {"kind": "FactorModel.from_covariance", "covariance": [[0.5, 0.1], [0.1, 0.6]]},
        "targets": {"a": {"reported": -0.01, "measure": "low_price_change.A"}},
    }  # fmt: skip
    scenario = made(**tables)
    assert isinstance(scenario.market, fp.Markets)
    e = scenario.simulate()
    assert measured(scenario, scenario.targets) == {"a": np.median(e["low_price.A"] / 100 - 1)}
    crossed = {"kind": "Markets", "cross_impact": [[0.0, 0.1], [0.1, 0.0]], "markets": tables["markets"]}
    again = made(**{**tables, "markets": crossed})
    assert isinstance(again.market, fp.Markets)
    assert again.market.names == ("A", "B")


def test_files_are_relative_to_the_scenario(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "some" / "folder"
    (folder / "data").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    (folder / "data" / "positions.csv").write_text(
        "side,size,mark_px,liq_px\nlong,50,100,99\nlong,100,100,98\nshort,40,100,101.5\n"
    )
    (folder / "depth.csv").write_text("percentage,depth\n-1,50\n-2,200\n1,40\n2,100\n")
    rows = "".join(f"2026-02-05T{hour:02}:00Z,100,101,99,{100 - hour % 2},{5e6 + 1e4 * hour}\n" for hour in range(24))
    (folder / "history.csv").write_text("ts,open,high,low,close,oi\n" + rows)
    text = BASE.replace('kind = "LinearImpact"\ncoefficient = 1e-4', 'kind = "io.read_depth"\nsource = "depth.csv"')
    head, _, rest = text.partition("[book]")
    tail = rest[rest.index("[process]") :]
    read = written(folder, f'{head}[book]\nkind = "io.read_positions"\nsource = "data/positions.csv"\n{tail}')
    assert isinstance(read.market, fp.Market)
    assert isinstance(read.market.impact, fp.DepthImpact)
    assert sorted(read.book.long.trigger_price.tolist()) == [98.0, 99.0]
    assert read.changed({"run.paths": 3}).simulate()["low_price"].shape == (3,)
    hidden = written(
        folder,
        f'{head}[book]\nkind = "Book.from_open_interest"\n[book.history]\nkind = "io.read_history"\n'
        f'source = "history.csv"\n{tail}',
    )
    assert isinstance(hidden.book, fp.Book)
    with pytest.raises(OSError, match=r"nowhere\.csv"):
        written(folder, f'{head}[book]\nkind = "io.read_positions"\nsource = "nowhere.csv"\n{tail}')
    with pytest.raises(OSError, match=r"nothing\.toml"):
        fp.Scenario.load("nothing.toml")


def test_prices_are_those_of_the_market_unless_given() -> None:
    book = {"kind": "Book.from_leverage_mix", "open_interest": 1e6}
    bridge = {"kind": "BrownianBridge", "volatility": 0.5, "time": [1_800.0], "price": [97.0]}
    scenario = made(book=book, process=bridge)
    assert scenario.arguments["process"].start == 100.0
    assert scenario.book.open_interest(100.0) == pytest.approx((1e6, 1e6))
    relative = made(book={**book, "price": 110.0}, process={**bridge, "start": 1.0, "price": [0.97]})
    assert relative.arguments["process"].start == 1.0
    assert relative.book.open_interest(110.0) == pytest.approx((1e6, 1e6))


def test_every_kind_is_public() -> None:
    assert {"Book", "Book.from_leverage_mix", "GBM", "io.read_depth", "accounts_of_crowds"} <= set(kinds())
    for name in kinds():
        first = name.partition(".")[0]
        assert first == "io" or first in fp.__all__


# --- other values ---
def test_changed_values() -> None:
    scenario = made(process={"kind": "BrownianBridge", "volatility": 0.5, "time": [60.0, 120.0], "price": [99.0, 98.0]})
    other = scenario.changed({"process.price.1": 97.0, ("market.price", "process.start"): 101.0, "run.steps": 30})
    assert other.arguments["process"].price.tolist() == [99.0, 97.0]
    assert other.market.price == other.arguments["process"].start == 101.0
    assert other.value("process.price.1") == 97.0
    assert other.value(("run.steps", "run.paths")) == 30
    assert scenario.value("process.price.1") == 98.0  # the scenario stays
    assert scenario.value("run") == CONTENT["run"]
    assert scenario.changed({}).simulate()["low_price"].tobytes() == scenario.simulate()["low_price"].tobytes()


def test_content_given_is_copied() -> None:
    content = copy.deepcopy(CONTENT)
    scenario = fp.Scenario("mine", content)
    content["market"]["price"] = 5.0
    assert scenario.value("market.price") == 100.0
    with pytest.raises(AttributeError):
        scenario.name = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("place", "message"),
    [
        (
            "market.impact.coefficient.0",
            r"^mine: place must be one in the scenario, was 'market\.impact\.coefficient\.0'",
        ),
        ("book.side.3", r"^mine: place must be one in the scenario, was 'book\.side\.3'$"),
        ("book.side.first", r"^mine: place must be one in the scenario, was 'book\.side\.first'$"),
        ("nothing.at.all", r"^mine: place must be one in the scenario, was 'nothing\.at\.all'$"),
        ("market.", r"^mine: "),
        ("", r"^mine: "),
    ],
)
def test_places_that_are_not_there(place: str, message: str) -> None:
    for call in (lambda: made().value(place), lambda: made().changed({place: 1.0})):
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.parametrize("place", [(), 5, ["run.paths"], ("run.paths", 5)])
def test_what_is_no_place(place: Any) -> None:
    with pytest.raises(TypeError, match=r"^place must be a text or a tuple of texts, was "):
        made().value(place)


# --- bad input: one clear message that names file, place, rule and value ---
BAD: list[tuple[dict[str, Any], str]] = [
    # keys and kinds
    ({"marktes": {}}, r"the scenario must hold only title, .*, was with 'marktes'$"),
    ({"run": {"step": 5}}, r"run must hold only horizon, steps, .*, was with 'step'$"),
    ({"context": {"coin": 5}}, r"context must hold only coins, .*, was with 'coin'$"),
    ({"market": None}, r"market must be given, was missing$"),
    ({"book": None}, r"book must be given, was missing$"),
    ({"process": None}, r"process must be given, was missing$"),
    ({"process": {}}, r"process\.kind must be given, was missing$"),
    ({"book": {}}, r"book\.kind must be given, was missing$"),
    ({"market": {}}, r"market\.price must be given for Market, was missing$"),
    ({"process": {"kind": "GMB"}}, r"process\.kind must be one of .*GBM.*, was 'GMB'$"),
    ({"process": {"kind": 5}}, r"process\.kind must be one of .*, was 5$"),
    ({"process": {"kind": ["GBM"]}}, r"process\.kind must be one of .*, was \['GBM'\]$"),
    ({"process": {"kind": "os.system"}}, r"process\.kind must be one of .*, was 'os\.system'$"),
    ({"process": {"kind": "GBM"}}, r"process\.volatility must be given for GBM, was missing$"),
    ({"process": {"kind": "GBM", "vol": 1.0}}, r"process must hold arguments of GBM \(.*\), was with 'vol'$"),
    ({"process": {"kind": "Book", "side": 1, "quantity": 1.0, "trigger_price": [5.0]}},
     r"process must make a Process or a FactorModel, was a Book$"),
    ({"book": {"kind": "GBM", "volatility": 1.0}}, r"book must make a Book or a RandomBook, was a GBM$"),
    ({"market": {"kind": "GBM", "volatility": 1.0}}, r"market must make a Market, was a GBM$"),
    # types and values
    ({"market": 5}, r"market must be a table, was 5$"),
    ({"book": "mine"}, r"book must be a table, was 'mine'$"),
    ({"process": [CONTENT["process"]]}, r"process must be a table, was \["),
    ({"run": [1]}, r"run must be a table, was \[1\]$"),
    ({"targets": 1}, r"targets must be a table, was 1$"),
    ({"parameters": "all"}, r"parameters must be a table, was 'all'$"),
    ({"policies": []}, r"policies must be a table, was \[\]$"),
    ({"context": 1.0}, r"context must be a table, was 1\.0$"),
    ({"title": 5}, r"title must be a text, was 5$"),
    ({"description": ["a"]}, r"description must be a text, was \['a'\]$"),
    ({"sources": "a page"}, r"sources must be a list of texts, was 'a page'$"),
    ({"sources": [5]}, r"sources must be a list of texts, was \[5\]$"),
    ({"market": {**CONTENT["market"], "price": -5.0}}, r"market\.price must be positive, was -5\.0$"),
    ({"market": {**CONTENT["market"], "price": math.nan}}, r"market\.price must be finite, was nan$"),
    ({"market": {**CONTENT["market"], "price": math.inf}}, r"market\.price must be finite, was inf$"),
    ({"market": {**CONTENT["market"], "price": 10**400}}, r"market\.price must be a real number, was 1000"),
    ({"market": {**CONTENT["market"], "price": datetime.date(2026, 2, 5)}},
     r"market\.price must be a real number, was datetime\.date\(2026, 2, 5\)$"),
    ({"market": {**CONTENT["market"], "impact": 5}}, r"market\.impact must be "),
    ({"market": {**CONTENT["market"], "impact": {"coefficient": 1.0}}}, r"market\.impact must be "),
    ({"market": {**CONTENT["market"], "impact": {"kind": "LinearImpact", "coefficient": -1.0}}},
     r"market\.impact\.coefficient must be at least 0, was -1\.0$"),
    ({"market": {**CONTENT["market"], "depth": {"kind": "GBM", "volatility": 1.0}}}, r"market\.depth must be "),
    ({"book": {**CONTENT["book"], "side": [1, 0, 1]}},
     r"book\.side must be \+1 \(long\) or -1 \(short\), was 0 at index"),
    ({"book": {**CONTENT["book"], "quantity": ["a", "b", "c"]}}, r"book\.quantity must be real numbers"),
    ({"book": {**CONTENT["book"], "quantity": [1.0]}}, r"book[.:]"),
    ({"book": {**CONTENT["book"], "quantity": [datetime.time(5), 1, 1]}}, r"book\.quantity must be real numbers"),
    ({"book": {"kind": "RandomBook", "count": 5, "quantity": 1.0, "distance": {"kind": "Exponential", "mean": 0}}},
     r"book\.distance\.mean must be positive, was 0\.0$"),
    ({"book": {"kind": "RandomBook", "count": 5, "quantity": 1.0, "distance": 0.5}}, r"book\.distance must be a law"),
    ({"book": {"kind": "RandomBook", "quantity": 1.0}},
     r"book\.count must be given, or density, and not both, was None"),
    ({"book": {"kind": "Book.from_leverage_mix", "open_interest": 1.0, "leverage_mix": {"exponent": 2.0}}},
     r"book\.leverage_mix must be a LeverageMix, was dict$"),
    ({"book": {"kind": "io.read_positions", "source": 5}}, r"book\.source must be the path of a file, was 5$"),
    ({"book": {"kind": "io.read_positions", "source": {"side": [1]}}}, r"book\.source must be the path of a file, was"),
    ({"book": {"kind": "io.read_positions"}}, r"book\.source must be given for io\.read_positions, was missing$"),
    # parts
    ({"script": []}, r"script must be a table, was \[\]$"),
    ({"script": {}}, r"script must hold a script or tables of scripts, was empty$"),
    ({"policies": {}}, r"policies must name at least one, was empty$"),
    ({"targets": {}}, r"targets must name at least one, was empty$"),
    ({"script": 5}, r"script must be a table, was 5$"),
    ({"script": {"kind": "GBM", "volatility": 1.0}}, r"script must make a Script, was a GBM$"),
    ({"script": {"time": [0.0]}}, r"script\.time must be above 0, was 0\.0 at index 0$"),
    ({"script": {"a": {"time": [60.0]}, "b": 5}}, r"script must hold arguments of Script .*, was with 'a'$"),
    ({"script": {"a": {"kind": "Script.evenly", "start": 5.0}}},
     r"script\.a\.end must be given for Script\.evenly, was"),
    ({"turnover": {}}, r"turnover\.opening_rate must be given for Turnover, was missing$"),
    ({"turnover": []}, r"turnover must be a table, was \[\]$"),
    ({"venue": [{}]}, r"venue must be a table, was \[\{\}\]$"),
    ({"venue": {"fund": -1.0}}, r"venue\.fund must be at least 0, was -1\.0$"),
    ({"funding": {"rate": math.nan}}, r"funding\.rate must be finite, was nan$"),
    ({"sellers": [5]}, r"sellers\.0 must be a table, was 5$"),
    ({"sellers": "some"}, r"sellers must be a table, was 'some'$"),
    ({"sellers": [{"quantity": 1.0, "target": 0.5}, {"quantity": 1.0}]}, r"sellers\.1\.target must be given for Vol"),
    ({"policies": {"a": 5}}, r"policies\.a must be a table, was 5$"),
    ({"policies": {"a": {"leverage_cap": -1}}}, r"policies\.a\.leverage_cap must be "),
    # one market or several
    ({"markets": {}}, r"accounts must be given, was missing$"),
    ({"accounts": {}}, r"markets must be given, was missing$"),
    ({"markets": {}, "accounts": {}}, r"market must be left out where markets or accounts is given$"),
    ({"market": None, "book": None, "markets": 5, "accounts": {}}, r"markets must be a table, was 5$"),
    ({"market": None, "book": None, "markets": {}, "accounts": {}}, r"markets\.?:? ?.*must"),
    ({"market": None, "book": None, "markets": {"A": 5}, "accounts": {}}, r"markets"),
    ({"market": None, "book": None, "markets": {"A": CONTENT["market"]}, "accounts": {},
       "policies": {"a": {"fund": 1.0}}},
     r"policies must be left out where accounts are given"),
    # targets
    ({"targets": {"a": 5}}, r"targets\.a must be a table, was 5$"),
    ({"targets": {"a": {}}}, r"targets\.a\.reported must be given, was missing$"),
    ({"targets": {"a": {"reported": 1.0}}}, r"targets\.a\.measure must be given, was missing$"),
    ({"targets": {"a": {"reported": 1.0, "measure": "low_price", "weight": 1}}},
     r"targets\.a must hold only reported, measure, statistic, window, fit, was with 'weight'$"),
    ({"targets": {"a": {"reported": 0.0, "measure": "low_price"}}}, r"targets\.a\.reported must not be 0, was 0\.0$"),
    ({"targets": {"a": {"reported": math.nan, "measure": "low_price"}}},
     r"targets\.a\.reported must be finite, was nan"),
    ({"targets": {"a": {"reported": True, "measure": "low_price"}}},
     r"targets\.a\.reported must be a real number, was"),
    ({"targets": {"a": {"reported": 1.0, "measure": 5}}}, r"targets\.a\.measure must be the name of a column, was 5$"),
    ({"targets": {"a": {"reported": 1.0, "measure": "low_price", "statistic": "mode"}}},
     r"targets\.a\.statistic must be one of 'median', 'mean', was 'mode'$"),
    ({"targets": {"a": {"reported": 1.0, "measure": "low_price", "fit": 1}}},
     r"targets\.a\.fit must be True or False, was"),
    ({"targets": {"a": {"reported": 1.0, "measure": "low_price", "window": [0, 60]}}},
     r"targets\.a\.measure must add up in time where window is given, was 'low_price'$"),
    ({"targets": {"a": {"reported": 1.0, "measure": "waves", "window": 60}}},
     r"targets\.a\.window must be two times, was 60"),
    ({"targets": {"a": {"reported": 1.0, "measure": "waves", "window": [60, 60]}}},
     r"targets\.a\.window\[1\] must be above 60, was 60\.0$"),
    ({"targets": {"a": {"reported": 1.0, "measure": "waves", "window": [-1, 60]}}},
     r"targets\.a\.window\[0\] must be at least 0, was -1\.0$"),
    # parameters
    ({"parameters": {"market.prize": [1.0, 2.0]}}, r"place must be one in the scenario, was 'market\.prize'$"),
    ({"parameters": {"book.kind": [1.0, 2.0]}},
     r"parameters\['book\.kind'\] must be the place of a number, was of 'Book'$"),
    ({"parameters": {"run": [1.0, 2.0]}}, r"parameters\['run'\] must be the place of a number, was of \{"),
    ({"parameters": {"book.side": [1.0, 2.0]}}, r"parameters\['book\.side'\] must be the place of a number, was of \["),
    ({"parameters": {"market.price": 5}}, r"parameters\['market\.price'\] must be two bounds, was 5$"),
    ({"parameters": {"market.price": "12"}}, r"parameters\['market\.price'\] must be two bounds, was '12'$"),
    ({"parameters": {"market.price": [1.0]}}, r"parameters\['market\.price'\] must be two bounds, was \[1\.0\]$"),
    ({"parameters": {"market.price": [2.0, 1.0]}}, r"parameters\['market\.price'\]\[1\] must be above 2, was 1\.0$"),
    ({"parameters": {"market.price": [math.nan, 1.0]}}, r"parameters\['market\.price'\]\[0\] must be finite, was nan$"),
    ({"parameters": {"market.price": [1.0, math.inf]}}, r"parameters\['market\.price'\]\[1\] must be finite, was inf$"),
    ({"parameters": {"market.price": [False, True]}},
     r"parameters\['market\.price'\]\[0\] must be a real number, was F"),
    ({"parameters": {"market.price": [1.0, 2.0], "run.paths, market.price": [3.0, 4.0]}},
     r"parameters must hold each place once, was with 'market\.price' again$"),
    # context
    ({"context": {"coins": "many"}}, r"context\.coins must be a real number, was 'many'$"),
    ({"context": {"daily_volume": 0.0}}, r"context\.daily_volume must be positive, was 0\.0$"),
    ({"context": {"open_interest": 5.0}}, r"context\.open_interest must be two figures, before and after, was 5\.0$"),
    ({"context": {"market_value": [1.0, math.nan]}}, r"context\.market_value\.1 must be finite, was nan$"),
]  # fmt: skip


@pytest.mark.parametrize(("tables", "message"), BAD, ids=lambda x: x if isinstance(x, str) else "")
def test_bad_input(tables: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=r"^mine: " + message):
        made(**tables)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[market", r"^mine must be TOML: Expected ']' at the end of a table declaration"),
        ("a = 1\na = 2", r"^mine must be TOML: Cannot overwrite a value"),
        ("", r"^mine: market must be given, was missing$"),
        ("[run]", r"^mine: market must be given, was missing$"),
        (f"a = {'9' * 5000}", r"^mine must be TOML: Exceeds the limit"),
        (f"a = {'[' * 3000}{']' * 3000}", r"^mine must be TOML that is nested less deeply$"),
        (f"[{'a.' * 3000}a]", r"^mine must hold tables that are nested less deeply$"),
        (f"{BASE}[market.impact.{'a.' * 3000}a]\nb = 1", r"^mine must hold tables that are nested less deeply$"),
    ],
    ids=str,
)
def test_bad_files(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        written(tmp_path, text)


def test_a_file_in_another_encoding(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_bytes(b'title = "\xff"')
    with pytest.raises(ValueError, match=r"^mine must be TOML: 'utf-8' codec can't decode byte 0xff"):
        fp.Scenario.load(tmp_path / "mine.toml")


@pytest.mark.parametrize("name", ["nothing", "", "SQUEEZE", 5, None])
def test_unknown_names(name: Any) -> None:
    with pytest.raises(ValueError, match=r"^scenario must be one of altcoin-contagion, .* or a \.toml file, was "):
        fp.Scenario.load(name)


def test_content_that_is_none() -> None:
    with pytest.raises(TypeError, match=r"^content must be a mapping, was str$"):
        fp.Scenario("mine", BASE)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("run", "options", "message"),
    [
        ({"paths": 0}, {}, r"^mine: paths must be at least 1, was 0$"),
        ({"paths": 2.5}, {}, r"^mine: paths must be "),
        ({"steps": "many"}, {}, r"^mine: steps must be an integer, was 'many'$"),
        ({"horizon": math.nan}, {}, r"^mine: horizon must be finite, was nan$"),
        ({"seed": -1}, {}, r"^mine: seed must be an integer at least 0, .*, was -1$"),
        ({"monitoring": "both"}, {}, r"^mine: monitoring must be 'step' or 'bridge', was 'both'$"),
        ({"antithetic": 1}, {}, r"^mine: antithetic must be "),
        ({}, {"bogus": 1}, r"^mine: .*'bogus'"),
        ({}, {"until": 0.0}, r"^mine: until must be positive, was 0\.0$"),
        ({}, {"until": math.nan}, r"^mine: until must be finite, was nan$"),
        ({}, {"until": math.inf}, r"^mine: until must be finite, was inf$"),
        ({}, {"until": "noon"}, r"^mine: until must be a real number, was 'noon'$"),
        ({}, {"until": 90.0}, r"^mine: until must be a multiple of a step, 60 s, up to 3600, was 90$"),
        ({}, {"until": 3_660.0}, r"^mine: until must be a multiple of a step, 60 s, up to 3600, was 3660$"),
        ({"steps": 0}, {"until": 60.0}, r"^mine: steps must be at least 1, was 0$"),
        ({"horizon": 0.0}, {"until": 60.0}, r"^mine: horizon must be positive, was 0\.0$"),
    ],
)
def test_bad_runs(run: dict[str, Any], options: dict[str, Any], message: str) -> None:
    scenario = made(run={**CONTENT["run"], **run})
    with pytest.raises(ValueError, match=message):
        scenario.simulate(**options)


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from([10**400, -(10**30)]), st.floats(),
    st.text(max_size=5), st.dates(), st.times(), st.datetimes(),
    st.sampled_from(["GBM", "Book", "Market", "io.read_depth"]),
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["kind", "price", "impact", "a", "source", "markets", "time"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)
PLACES = (
    *CONTENT, *(f"{table}.{key}" for table in CONTENT for key in CONTENT[table]), "market.impact.coefficient",
    "book.side.1", "script", "sellers", "turnover", "venue", "funding", "targets", "parameters", "context", "policies",
    "markets", "accounts", "sources", "title", "market.depth", "market.support", "context.coins",
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(PLACES), VALUES, min_size=1, max_size=2))
@settings(max_examples=250)
def test_hostile_values_never_crash(changes: dict[str, Any]) -> None:
    """Whatever a table holds, making a scenario works or says what is wrong; so does running it."""
    content = copy.deepcopy({**CONTENT, "context": {"coins": 1.0}})
    for place, value in sorted(changes.items()):
        *path, last = place.split(".")
        table: Any = content
        for key in path:
            table = table[key] if isinstance(table, dict) and key in table else {}
        if isinstance(table, dict):
            table[last] = value
        elif isinstance(table, list) and table:
            table[1] = value
    try:
        scenario = fp.Scenario("mine", content)
        scenario.simulate(paths=1, steps=2, threads=1)
    except (ValueError, OSError) as error:
        assert isinstance(error, OSError) or str(error).startswith("mine: ")  # noqa: PT017


# --- targets ---
def test_statistics_and_changes_by_hand() -> None:
    scenario = made()
    e = scenario.simulate()
    targets = {
        "median": fp.Target(1.0, "low_price"),
        "mean": fp.Target(1.0, "low_price", "mean"),
        "change": fp.Target(-0.1, "high_price_change"),
        "early": fp.Target(1.0, "liquidated_quantity", "mean", (0.0, 1_800.0)),
        "late": fp.Target(1.0, "liquidated_quantity", "mean", (1_800.0, 3_600.0)),
        "left": fp.Target(-0.1, "open_interest_change", "mean"),
    }
    found = measured(scenario, targets)
    assert found["median"] == np.median(e["low_price"])
    assert found["mean"] == np.mean(e["low_price"])
    assert found["change"] == np.median(e["high_price"] / 100 - 1)
    assert found["early"] == scenario.simulate(until=1_800.0).liquidated_quantity.mean()
    assert found["early"] + found["late"] == pytest.approx(e.liquidated_quantity.mean(), rel=1e-12)
    assert found["early"] > 0
    assert found["left"] == pytest.approx(((150 - e.long_quantity) / 150 * e["final_price"] / 100).mean() - 1)
    assert measured(scenario, targets, e) == found
    hour = {"all": fp.Target(1.0, "waves", "mean", (0.0, 1_800.0))}
    assert measured(scenario, hour, horizon=1_800.0, steps=30)["all"] == scenario.simulate(until=1_800.0).waves.mean()


def test_open_interest_with_turnover() -> None:
    moving = {"opening_rate": 0.5, "closing_rate": 1e-4, "quantity": 1.0}
    target = {"left": fp.Target(-0.1, "open_interest_change", "mean")}
    scenario = made(turnover=moving)
    e: Any = scenario.simulate()
    expected = (e.long_open_quantity * e["final_price"] / (150 * 100)).mean() - 1
    assert measured(scenario, target)["left"] == pytest.approx(expected, rel=1e-12)
    # Where nothing moves it is a book that stays.
    still = made(turnover={"opening_rate": 0.0, "quantity": 1.0})
    assert measured(still, target) == measured(made(), target)


def test_differences() -> None:
    price, change = fp.Target(200.0, "low_price"), fp.Target(-0.4, "low_price_change.BTC")
    assert price.relative
    assert price.difference(210.0) == pytest.approx(0.05)
    assert not change.relative
    assert change.difference(-0.3) == pytest.approx(0.1)
    assert targets_of({"a": {"reported": 2, "measure": "waves", "window": [0, 60]}})["a"].window == (0.0, 60.0)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ({"measure": "bogus"}, r"measure must be a column of the result, was 'bogus'$"),
        ({"measure": "summary"}, r"measure must be a column of the result, was 'summary'$"),
        ({"measure": "seed"}, r"measure must be a column of the result, was 'seed'$"),
        ({"measure": "_count"}, r"measure must be a column of the result, was '_count'$"),
        ({"measure": "prices"}, r"measure must be a column of the result, was 'prices'$"),
        ({"measure": "long_open_quantity"}, r"measure must be a column of the result, was 'long_open_quantity'$"),
        (
            {"measure": "low_price.BTC"},
            r"measure must name a market only of several \(one here\), was 'low_price\.BTC'$",
        ),
        ({"measure": "waves_change"}, r"measure must be of prices where it ends in _change, was 'waves_change'$"),
        ({"measure": "waves", "window": [0, 90]}, r"until must be a multiple of a step, 60 s, .*, was 90$"),
        (
            {"measure": "waves", "window": [0, 7_200]},
            r"until must be a multiple of a step, 60 s, up to 3600, was 7200$",
        ),
    ],
)
def test_targets_that_cannot_be_measured(target: dict[str, Any], message: str) -> None:
    scenario = made(targets={"a": {"reported": 1.0, **target}})
    with pytest.raises(ValueError, match=rf"^mine: targets\.a: {message}"):
        measured(scenario, scenario.targets)


@pytest.mark.parametrize("measure", ["open_interest_change", "low_price", "low_price.XRP", "low_price_change"])
def test_targets_that_do_not_suit_accounts(measure: str) -> None:
    scenario = fp.Scenario.load("altcoin-contagion")
    with pytest.raises(ValueError, match=r"^altcoin-contagion: targets\.a: measure must "):
        measured(scenario, {"a": fp.Target(1.0, measure)}, paths=1)


# --- a shorter run is the beginning of the longer one ---
LONG = fp.Script.evenly(60.0, 3_000.0, 7, sell=30.0) + fp.Script([1_800.0, 3_600.0], move=[-0.01, 0.02])
PARTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "turnover": {"turnover": fp.Turnover(0.2, fp.Exponential(1.0), closing_rate=1e-3)},
    "script": {"script": LONG},
    "bridge": {"process": fp.BrownianBridge(1.0, [1_000.0, 3_000.0], [97.0, 102.0], 100.0)},
    "venue": {
        "venue": fp.Venue(fund=50.0, adl="queue", pacing=1.0, delay=120.0),
        "book": fp.Book(
            [1, 1, -1, -1], [50.0, 100.0, 40.0, 90.0], [99.0, 98.0, 101.5, 130.0], [98.5, 97.5, 102.0, 131.0],
            [100.0, 101.0, 99.0, 100.5],
        ),
    },
    "turnover, script and bridge": {
        "turnover": fp.Turnover(0.2, 1.0, closing_rate=1e-3),
        "script": LONG,
        "process": fp.BrownianBridge(1.0, [1_000.0, 5_000.0], [97.0, 102.0], 100.0),
    },
    "funding and sellers": {
        "funding": fp.Funding(0.001, 300.0), "sellers": fp.VolatilityTargeting(200.0, 0.5, interval=300.0),
    },
    "depth": {"market": fp.Market(100.0, fp.LinearImpact(1e-4), 600.0, depth=fp.LivingDepth(0.5))},
    "antithetic": {"antithetic": True},
}  # fmt: skip


@pytest.mark.parametrize("name", PARTS)
def test_until(name: str) -> None:
    scenario, options = made(), {"record": "all", **PARTS[name]}
    whole: Any = scenario.simulate(**options)
    moved = whole.prices[:, -1] != 100.0
    assert moved.any()
    for steps in (1, 20, 33, 60):
        if "funding" in options and steps == 1:
            continue
        part: Any = scenario.simulate(until=60.0 * steps, **options)
        assert part.prices.tobytes() == whole.prices[:, : steps + 1].tobytes()
        for path in (0, 7):
            mine, theirs = part.replay(path).waves, whole.replay(path).waves
            assert mine.tobytes() == theirs[theirs["step"] <= steps].tobytes()
            assert part.long_count[path] + part.short_count[path] == part.replay(path).waves["count"].sum()
    assert whole.waves.sum() > 0


def test_until_of_given_returns() -> None:
    returns = np.random.default_rng(5).normal(0.0, 0.01, (20, 60))
    market = fp.Market(100.0, fp.LinearImpact(1e-4))
    fall = {"process": fp.Returns(returns)}
    whole, part = (made().simulate(until=until, record="all", **fall) for until in (3_600.0, 1_200.0))
    assert part.prices.tobytes() == np.ascontiguousarray(whole.prices[:, :21]).tobytes()
    with pytest.raises(ValueError, match=r"^mine: steps must be the number of columns of Returns, 20, was 60$"):
        made().simulate(until=1_200.0, process=fp.Returns(returns[:, :20]))

    accounts = fp.Accounts([0, 1], ["A", "B"], [9.0, -9.0], [100.0, 100.0], [50.0, 50.0], fp.MarginSchedule.flat(0.01))
    several = {"book": accounts, "market": fp.Markets({"A": market, "B": market})}
    both = np.stack([returns, -returns], axis=2)
    model = fp.FactorModel([fp.Returns(returns), fp.Returns(-returns)], np.eye(2))
    runs = [made().simulate(until=1_200.0, process=process, **several) for process in (fp.Returns(both), model)]
    runs.append(made().simulate(process=fp.Returns(both[:, :20]), horizon=1_200.0, steps=20, **several))
    assert bits(runs[0]) == bits(runs[1]) == bits(runs[2])


def test_until_is_the_whole_at_the_horizon() -> None:
    for scenario in (made(), made(script={"time": [3_600.0], "move": -0.1}), made(run=None)):
        horizon = scenario.arguments.get("horizon", 86_400.0)
        assert bits(scenario.simulate(until=horizon, paths=5, seed=1)) == bits(scenario.simulate(paths=5, seed=1))


def test_scripts_add_up_and_end() -> None:
    evenly = fp.Script.evenly(100.0, 200.0, 4, sell=8.0, move=-0.4)
    assert evenly.time.tolist() == [125.0, 150.0, 175.0, 200.0]
    assert evenly.sell.tolist() == [2.0] * 4
    assert evenly.move.tolist() == [-0.1] * 4
    both = evenly + fp.Script([50.0], sell=-1.0)
    assert both.time.tolist() == [125.0, 150.0, 175.0, 200.0, 50.0]
    until = both.until(150.0)
    assert until is not None
    assert until.time.tolist() == [125.0, 150.0, 50.0]
    assert until.sell.tolist() == [2.0, 2.0, -1.0]
    assert both.until(49.0) is None
    for bad, message in (
        ((-1.0, 5.0, 2), r"^start must be at least 0, was -1\.0$"),
        ((5.0, 5.0, 2), r"^end must be above 5, was 5\.0$"),
        ((0.0, 5.0, 0), r"^events must be at least 1, was 0$"),
        ((0.0, 5.0, 10**15), r"^events must fit in memory"),
    ):
        with pytest.raises(ValueError, match=message):
            fp.Script.evenly(*bad)
    with pytest.raises(TypeError):
        evenly + 5  # type: ignore[operator]


# --- the page ---
def test_the_page_of_scenarios(tmp_path: Path) -> None:
    page = (Path(__file__).parents[1] / "docs" / "scenarios.md").read_text()
    (file,) = re.findall(r"```toml\n(.*?)```", page, re.S)
    scenario = written(tmp_path, file)
    assert len(scenario.parameters) == 2
    assert_met(scenario, measured(scenario, scenario.targets))
    (told,) = re.findall(r"^    (mine: .*)$", page, re.M)
    with pytest.raises(ValueError, match=re.escape(told)):
        made(market={**CONTENT["market"], "impact": {"kind": "LinearImpact", "coefficient": -1.0}})
    for name in NAMES:
        assert f"### {name}\n" in page
