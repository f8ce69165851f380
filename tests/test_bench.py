"""What times the engine: every job, rivals that agree, a cost model that finds what was put in, and the page."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("typer")
pytest.importorskip("scipy")
pytest.importorskip("matplotlib")

from typer.testing import CliRunner

from flushpoint.bench import numpy_rivals, own, page, programs, races, scaling
from flushpoint.bench.workloads import COEFFICIENT, PRICE, REFILL, settled_book
from flushpoint.cli import app


def invoke(*arguments: str) -> str:
    result = CliRunner().invoke(app(), ["bench", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_every_job_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, size in (("_POSITIONS", 1_000), ("_SHOCKS", 100), ("_SCENARIOS", 10), ("_PATHS", 8), ("_ACCOUNTS", 100)):
        monkeypatch.setattr(own, name, size)
    facts = json.loads(invoke("--json"))
    assert len(facts["jobs"]) == 9
    assert all(job["each"] == job["seconds"] / job["count"] > 0 for job in facts["jobs"])
    assert facts["threads"] == 1
    assert "numpy normals" in invoke()


@pytest.fixture(scope="module")
def raced() -> dict[str, Any]:
    return races.run(sizes=races.SMALL)


@pytest.fixture(scope="module")
def grown() -> dict[str, Any]:
    return scaling.run(sweep=scaling.SMALL)


def test_every_rival_that_is_there_runs(raced: dict[str, Any]) -> None:
    jobs = {race["job"]: race["rivals"] for race in raced["races"]}
    assert sum("numpy" in rivals for rivals in jobs.values()) == 5
    assert all(each > 0 for rivals in jobs.values() for each in rivals.values())
    ran = {name for rivals in jobs.values() for name in rivals}
    assert ran | set(raced["absent"]) == {"numpy", "numba", "std::priority_queue", "lrvx"}
    assert not ran & set(raced["absent"])


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(races.importlib.util, "find_spec", lambda name: None)  # type: ignore[attr-defined]
    monkeypatch.setattr(programs, "compiler", lambda: None)
    monkeypatch.setattr(programs, "has_lrvx", lambda: False)
    monkeypatch.setattr(races, "_ROUNDS", 1)
    seen: list[tuple[int, int]] = []
    found = races.run(sizes=races.SMALL, progress=lambda done, total: seen.append((done, total)))
    assert {name for race in found["races"] for name in race["rivals"]} == {"numpy"}
    assert set(found["absent"]) == {"numba", "std::priority_queue", "lrvx"}
    assert seen == [(i, 5) for i in range(1, 6)]


@pytest.mark.parametrize("name", ["redrawn_books", "settle_waves", "walk_paths", "query_levels", "account_path"])
def test_a_rival_that_answers_wrongly_is_found(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    right = getattr(numpy_rivals, name)

    def wrong(*arguments: Any) -> Any:
        out = right(*arguments)
        if out is not None:
            return out[0] * 1.01, out[1]
        prices = arguments[{"redrawn_books": 3, "settle_waves": 7, "walk_paths": 6}[name]]
        prices *= 1.1
        return None

    monkeypatch.setattr(numpy_rivals, name, wrong)
    monkeypatch.setattr(races, "_ROUNDS", 1)
    monkeypatch.setattr(races.importlib.util, "find_spec", lambda name: None)  # type: ignore[attr-defined]
    with pytest.raises(AssertionError):
        races.run(sizes=races.SMALL)


def test_a_cost_model_finds_what_the_times_were_made_of() -> None:
    costs = {"per call": 5_000.0, "N": 20.0, "M": 300.0, "M steps": 4.0, "M waves": 0.0, "M waves log2 N": 3.0}
    truth = scaling.CostModel("simulate", costs, 0.0, 0.0)
    sizes = [
        {"N": n, "M": m, "steps": steps, "waves": waves}
        for n in (1e3, 1e5, 1e6)
        for m in (10.0, 1e4)
        for steps, waves in ((100.0, 5.0), (1_000.0, 80.0), (1_000.0, 2.0))
    ]
    points = [scaling.Point("simulate", "N", size, truth.seconds(**size)) for size in sizes]
    model = scaling.CostModel.fit(points)
    assert model.nanoseconds == pytest.approx(costs, rel=1e-6, abs=1e-6)
    assert model.error < 1e-9
    assert model.held_out < 1e-9
    slow = replace(points[-1], seconds=2 * max(point.seconds for point in points))
    assert scaling.CostModel.fit([*points, slow]).held_out > 0.2


def test_what_does_not_shorten_with_threads() -> None:
    assert scaling.serial_share({1: 1.0}) is None
    assert scaling.serial_share({1: 1.0, 2: 0.5}) == 0
    assert scaling.serial_share({1: 1.0, 2: 0.6, 4: 0.4}) == pytest.approx(0.2)
    assert scaling.serial_share({1: 1.0, 2: 1.2}) == 1


def test_every_question_has_a_model(grown: dict[str, Any]) -> None:
    assert set(grown["models"]) == set(scaling.TERMS) == {point.question for point in grown["points"]}
    for name, model in grown["models"].items():
        assert all(value >= 0 for value in model.nanoseconds.values())
        assert sum(value > 0 for value in model.nanoseconds.values()) >= 1, name
    assert all(row["seconds"] > 0 for row in grown["predictions"])
    assert all(min(by_threads) == 1 for by_threads in grown["gains"].values())


def test_the_page_holds_what_was_found(raced: dict[str, Any], grown: dict[str, Any], tmp_path: Path) -> None:
    facts = {**raced, **grown, "absent": {"lrvx": "away"}}
    written = page.write(tmp_path / "rivals.md", facts)
    assert written == [tmp_path / "rivals.md", tmp_path / "rivals.svg"]
    text = written[0].read_text()
    assert "![Times against rivals, and growth](rivals.svg)" in text
    assert "Not run: lrvx (away)." in text
    for race in raced["races"]:
        assert race["job"] in text
        assert page.duration(race["each"]) in text
    for model in grown["models"].values():
        assert page.terms(model) in text
    drawn = written[1].read_text()
    assert "<svg" in drawn
    assert ">times as fast as the rival</text>" in drawn


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(3e-9, "3 ns"), (2.5e-5, "25 us"), (0.5, "500 ms"), (90.0, "90 s"), (7_200.0, "2 hours"), (1e9, "31.7 years")],
)
def test_durations(seconds: float, text: str) -> None:
    assert page.duration(seconds) == text


def test_the_command(
    monkeypatch: pytest.MonkeyPatch, raced: dict[str, Any], grown: dict[str, Any], tmp_path: Path
) -> None:
    monkeypatch.setattr(races, "run", lambda **given: raced)
    monkeypatch.setattr(scaling, "run", lambda **given: grown)
    shown = invoke("--rivals", "--growth", "--small")
    assert raced["races"][0]["job"] in shown
    assert "Predicted" in shown
    facts = json.loads(invoke("--output", str(tmp_path / "page.md"), "--json"))
    assert facts["files"] == [str(tmp_path / "page.md"), str(tmp_path / "page.svg")]
    assert facts["races"] == raced["races"]
    assert [point["seconds"] for point in facts["points"]] == [point.seconds for point in grown["points"]]
    refused = CliRunner().invoke(app(), ["bench", "--small"])
    assert refused.exit_code == 2


def test_numpy_settles_as_plain_loops_do() -> None:
    """A fund that runs out in the middle of a wave."""
    _, *columns = settled_book(300)
    triggers, quantities, owed = (column.tolist() for column in columns)
    price, closed, waves, money = np.empty(1), np.empty(1, np.int64), np.empty(1, np.int64), np.empty((1, 3))
    fund = 0.05
    numpy_rivals.settle_waves(*columns, np.array([0.2]), np.array([0.5]), REFILL, fund, price, closed, waves, money)
    left, shortfall, unpaid = fund, 0.0, 0.0
    at = SimpleNamespace(volume=0.0, mark=PRICE * 0.8, gone=0)
    coefficient = COEFFICIENT / 0.5
    while at.gone < 300 and triggers[at.gone] >= at.mark:
        limit, fill = at.mark, at.mark
        while at.gone < 300 and triggers[at.gone] >= limit:
            after = fill * np.exp(-coefficient * quantities[at.gone])
            gain = (fill - after) / coefficient - quantities[at.gone] * owed[at.gone]
            fill = after
            at.volume += quantities[at.gone]
            at.gone += 1
            paid = min(left, max(-gain, 0.0))
            left += max(gain, 0.0) - paid
            shortfall += max(-gain, 0.0)
            unpaid += max(-gain, 0.0) - paid
        at.volume *= 1 - REFILL
        at.mark = PRICE * 0.8 * np.exp(-coefficient * at.volume)
    assert (closed[0], price[0]) == (at.gone, pytest.approx(at.mark, rel=1e-12))
    assert money[0] == pytest.approx([shortfall, left, unpaid], rel=1e-9, abs=1e-9)
    assert unpaid > 0
