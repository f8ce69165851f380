"""Calibration: known values are found again, what targets do not tell is said, and the search keeps its promises."""

from __future__ import annotations

import importlib
import json
import math
from typing import Any

import numpy as np
import pytest

import flushpoint as fp
from flushpoint.target import measured

CONTENT: dict[str, Any] = {
    "market": {
        "price": 100.0,
        "half_life": 600.0,
        "spread": 0.0,
        "impact": {"kind": "LinearImpact", "coefficient": 1e-4},
    },
    "book": {
        "kind": "Book.from_leverage_mix",
        "open_interest": 40_000.0,
        "leverage_mix": {"kind": "LeverageMix.power_law", "exponent": 1.5},
    },
    "process": {"kind": "BrownianBridge", "volatility": 0.3, "time": [1_800.0, 3_600.0], "price": [90.0, 94.0]},
    "run": {"horizon": 3_600.0, "steps": 30, "paths": 12, "seed": 3},
    "script": {"time": [600.0], "sell": 1.0},
}
SCENARIO = fp.Scenario("mine", CONTENT)
LOW, FINAL = "process.price.0", "process.price.1"
EXPONENT = "book.leverage_mix.exponent"
MEASURES = {"low": "low_price", "final": "final_price", "closed": "liquidated_notional"}
BOUNDS: dict[Any, tuple[float, float]] = {LOW: (80.0, 96.0), FINAL: (85.0, 105.0), EXPONENT: (0.5, 4.0)}


def targets_at(values: dict[Any, float], measures: dict[str, str] = MEASURES) -> dict[str, fp.Target]:
    """What the model itself says at these values."""
    found = measured(SCENARIO.changed(values), {name: fp.Target(1.0, one) for name, one in measures.items()})
    return {name: fp.Target(found[name], one) for name, one in measures.items()}


@pytest.mark.parametrize("true", [(88.0, 97.0, 2.0), (89.0, 95.0, 1.3)])
def test_known_values_are_found_again(true: tuple[float, float, float]) -> None:
    values = dict(zip(BOUNDS, true, strict=True))
    c = fp.calibrate(SCENARIO, targets_at(values), BOUNDS)
    assert c.identified
    assert c.weak == ()
    assert c.places == tuple(BOUNDS)
    assert c.start.tolist() == [90.0, 94.0, 1.5]
    assert (np.abs(c.value - true) <= c.error).all()
    assert (c.error < [1.0, 1.0, 0.15]).all()
    assert (np.abs(c.residual) < 1).all()
    assert c.scenario.value(LOW) == c.value[0]
    assert dict(c.simulated) == measured(c.scenario, c.targets)
    assert c.residual.tolist() == [c.targets[name].difference(c.simulated[name]) / 0.01 for name in c.targets]


def test_sensitivity_and_errors_by_hand() -> None:
    """Without forced sales the lowest and last price are those of the bridge: a unit of its width is known."""
    quiet = SCENARIO.changed({"market.impact.coefficient": 0.0, "process.volatility": 0.0})
    targets = {"low": fp.Target(88.0, "low_price"), "final": fp.Target(-0.03, "final_price_change")}
    c = fp.calibrate(quiet, targets, {LOW: (80, 96), FINAL: (85, 105)})
    assert c.value == pytest.approx([88.0, 97.0], rel=1e-4)
    # low: 16 / 88 of it in 1 %; final: 20 / 100 in points.
    np.testing.assert_allclose(c.sensitivity, [[16 / 88 * 100, 0], [0, 20.0]], rtol=1e-3, atol=1e-9)
    np.testing.assert_allclose(c.error, [0.88, 1.0], rtol=1e-3)
    np.testing.assert_allclose(c.singular_values, [20.0, 16 / 0.88], rtol=1e-3)
    assert c.condition == pytest.approx(20 / (16 / 0.88), rel=1e-3)


def test_a_parameter_without_effect_is_not_identified() -> None:
    """The spread moves no price; what the others are is told all the same."""
    bounds = {LOW: (80.0, 96.0), "market.spread": (0.0, 0.01), FINAL: (85.0, 105.0)}
    c = fp.calibrate(SCENARIO, targets_at({LOW: 88.0, FINAL: 97.0}), bounds)
    assert not c.identified
    assert c.condition == math.inf
    assert len(c.weak) == 1
    np.testing.assert_allclose(np.abs(c.weak[0]), [0, 1, 0], atol=1e-9)
    assert c.error[1] == math.inf
    assert np.isfinite(c.error[[0, 2]]).all()
    assert c.value[[0, 2]] == pytest.approx([88.0, 97.0], rel=1e-3)
    assert "not identified: +0.00" in str(c) or "not identified: -0.00" in str(c)
    assert c.to_dict()["parameters"]["market.spread"]["error"] is None
    assert c.to_dict()["condition"] is None
    assert json.loads(json.dumps(c.to_dict(), allow_nan=False)) == c.to_dict()


def test_two_parameters_that_do_the_same_are_one_weak_direction() -> None:
    """Open interest twice as large at half the impact moves prices as before."""
    deep = SCENARIO.changed({"book.open_interest": 160_000.0})
    bounds = {"market.impact.coefficient": (5e-5, 2e-4), "book.open_interest": (80_000.0, 320_000.0)}
    c = fp.calibrate(deep, {"low": fp.Target(84.0, "low_price")}, bounds)
    assert not c.identified
    assert len(c.weak) == 1
    # d ln(coefficient) = -d ln(open interest), in units of the widths.
    along = np.array([c.value[0] / 1.5e-4, -c.value[1] / 2.4e5])
    assert abs(c.weak[0] @ along) == pytest.approx(np.linalg.norm(along), rel=0.02)


def test_fewer_targets_than_parameters() -> None:
    c = fp.calibrate(SCENARIO, targets_at({LOW: 88.0}, {"low": "low_price"}), BOUNDS)
    assert len(c.weak) == 2
    assert c.condition == math.inf
    assert abs(c.residual[0]) < 0.2
    basis = np.stack(c.weak)
    np.testing.assert_allclose(basis @ basis.T, np.eye(2), atol=1e-12)


def test_one_value_of_several_places() -> None:
    targets = targets_at({LOW: 88.0, FINAL: 88.0}, {"low": "low_price"})
    c = fp.calibrate(SCENARIO, targets, {(LOW, FINAL): (80.0, 96.0)})
    assert c.scenario.value(LOW) == c.scenario.value(FINAL) == c.value[0]
    assert c.value[0] == pytest.approx(88.0, rel=1e-3)
    assert list(c.to_dict()["parameters"]) == [f"{LOW}, {FINAL}"]


def test_bounds_hold() -> None:
    seen = []

    class Watched(fp.Scenario):
        def changed(self, values: Any) -> fp.Scenario:
            seen.append(values[LOW])
            return super().changed(values)

    out_of_reach = {"low": fp.Target(60.0, "low_price")}
    c = fp.calibrate(Watched("mine", CONTENT), out_of_reach, {LOW: (80.0, 96.0)})
    assert min(seen) >= 80.0
    assert max(seen) <= 96.0
    assert c.value[0] == pytest.approx(80.0, abs=0.01)
    assert ", from 90, at its bound\n" in str(c)
    assert c.residual[0] > 10


@pytest.mark.parametrize("bounds", [(80.0, 89.0), (90.5, 96.0)])
def test_a_start_outside_the_bounds_is_brought_within(bounds: tuple[float, float]) -> None:
    true = 0.5 * sum(bounds)
    c = fp.calibrate(SCENARIO, targets_at({LOW: true}, {"low": "low_price"}), {LOW: bounds})
    assert c.start[0] == 90.0
    assert c.value[0] == pytest.approx(true, rel=1e-3)


def test_the_number_of_runs() -> None:
    targets, calls = targets_at({LOW: 88.0, FINAL: 97.0}), []
    full = fp.calibrate(SCENARIO, targets, BOUNDS, progress=lambda done, most: calls.append((done, most)))
    assert calls == [(k, 200) for k in range(1, full.evaluations)]  # the run at the values found comes last
    assert full.evaluations <= 200
    for most in (14, 20, 21):
        few = fp.calibrate(SCENARIO, targets, BOUNDS, evaluations=most)
        assert few.evaluations <= most
    with pytest.raises(ValueError, match=r"^evaluations must be at least 14, was 13$"):
        fp.calibrate(SCENARIO, targets, BOUNDS, evaluations=13)


def test_progress_can_stop_it() -> None:
    def stop(done: int, most: int) -> None:
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        fp.calibrate(SCENARIO, targets_at({}), BOUNDS, progress=stop)


def test_the_same_call_finds_the_same() -> None:
    targets = targets_at({LOW: 88.0, EXPONENT: 2.0})
    one, two = (fp.calibrate(SCENARIO, targets, BOUNDS, threads=threads) for threads in (1, 2))
    for name in ("value", "error", "residual", "sensitivity", "singular_values"):
        assert getattr(one, name).tobytes() == getattr(two, name).tobytes()
        assert not getattr(one, name).flags.writeable
    assert one.to_dict() == two.to_dict()
    assert repr(one) == f"<Calibration of 'mine': 3 parameters, {one.evaluations} runs>"


def test_own_targets_and_parameters_of_the_scenario() -> None:
    own = targets_at({LOW: 88.0, FINAL: 97.0})
    tables = {name: {"reported": one.reported, "measure": one.measure} for name, one in own.items()}
    tables["closed"]["fit"] = False
    scenario = fp.Scenario("mine", {**CONTENT, "targets": tables, "parameters": {LOW: [80, 96], FINAL: [85, 105]}})
    c = fp.calibrate(scenario)
    assert c.value == pytest.approx([88.0, 97.0], rel=1e-3)
    assert c.residual.shape == (2,)  # the third is only compared
    assert set(c.simulated) == set(tables)
    assert "closed: " in str(c)
    assert "not fitted" in str(c)
    assert "at its bound" not in str(c)
    # A number is another reported value.
    other = fp.calibrate(scenario, {"low": own["low"].reported * 1.02}, {LOW: (80, 96)})
    assert other.simulated["low"] == pytest.approx(own["low"].reported * 1.02, rel=1e-3)
    # Arguments of the run are those of each evaluation.
    fewer = fp.calibrate(scenario, paths=5)
    assert dict(fewer.simulated) == measured(fewer.scenario, fewer.targets, paths=5)


def test_without_scipy(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = importlib.import_module

    def missing(name: str, package: str | None = None) -> Any:
        if name.startswith("scipy"):
            raise ImportError(name)
        return whole(name, package)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ImportError, match=r'^calibration needs scipy: pip install "flushpoint\[fit\]"$'):
        fp.calibrate(SCENARIO, targets_at({}), BOUNDS)


TARGETS = {"low": fp.Target(88.0, "low_price")}
BOUNDED = {LOW: BOUNDS[LOW]}
SHORTS = {"kind": "Book", "side": -1, "quantity": 1.0, "trigger_price": [110.0]}


@pytest.mark.parametrize(
    ("arguments", "options", "kind", "message"),
    [
        (("nothing",), {}, ValueError, r"^scenario must be one of .*, was 'nothing'$"),
        ((5,), {}, TypeError, r"^scenario must be a Scenario or its name, was int$"),
        ((SCENARIO,), {}, ValueError, r"^parameters must be a mapping of at least one place to its bounds, was \{\}$"),
        ((SCENARIO, {}, BOUNDS), {}, ValueError, r"^targets must hold at least one that is to be fitted, was without$"),
        ((SCENARIO, [1], BOUNDS), {}, TypeError, r"^targets must be a mapping of names to targets, was list$"),
        (
            (SCENARIO, {"low": 5.0}, BOUNDS), {}, ValueError,
            r"^targets\['low'\] must be a Target unless the scenario has it \(none\), was 5\.0$",
        ),
        (
            (SCENARIO, {"low": fp.Target(1.0, "low_price", fit=False)}, BOUNDS), {}, ValueError,
            r"^targets must hold at least one that is to be fitted, was without$",
        ),
        ((SCENARIO, TARGETS, {}), {}, ValueError, r"^parameters must be a mapping of at least one place"),
        ((SCENARIO, TARGETS, 5), {}, ValueError, r"^parameters must be a mapping of at least one place"),
        ((SCENARIO, TARGETS, {"a.b": (0, 1)}), {}, ValueError, r"^mine: place must be one in the scenario, was 'a\.b"),
        ((SCENARIO, TARGETS, {5: (0, 1)}), {}, TypeError, r"^place must be a text or a tuple of texts, was 5$"),
        (
            (SCENARIO, TARGETS, {"book.kind": (0, 1)}), {}, ValueError,
            r"^mine: parameters\['book\.kind'\] must be the place of a number, was of 'Book\.from_leverage_mix'$",
        ),
        ((SCENARIO, TARGETS, {LOW: (1, 1)}), {}, ValueError, r"^mine: parameters\['process\.price\.0'\]\[1\] must be"),
        ((SCENARIO, TARGETS, {LOW: 5}), {}, ValueError, r"^mine: parameters\['process\.price\.0'\] must be two b"),
        (
            (SCENARIO, TARGETS, {LOW: (80, 96), (FINAL, LOW): (80, 96)}), {}, ValueError,
            r"^mine: parameters must hold each place once, was with 'process\.price\.0' again$",
        ),
        (
            (SCENARIO, TARGETS, {LOW: (-1e308, 1e308)}), {}, ValueError,
            r"^mine: parameters\['process\.price\.0'\]\[1\] - .*\[0\] must be finite, was inf$",
        ),
        (
            (SCENARIO, {"most": fp.Target(1.0, "high_price")}, {"script.sell": (-1e300, 1.0)}), {}, ValueError,
            r"^targets\['most'\] must come within 1e\+60 tolerances of 1 everywhere within the bounds, was .* at ",
        ),
        (
            (SCENARIO.changed({"book": SHORTS}), {"held": fp.Target(-0.1, "open_interest_change")}, BOUNDED), {},
            ValueError, r"^mine: targets\.held: measure must be another but for a book with longs, was 'open_int",
        ),
        ((SCENARIO, TARGETS, BOUNDS), {"tolerance": 0.0}, ValueError, r"^tolerance must be positive, was 0\.0$"),
        ((SCENARIO, TARGETS, BOUNDS), {"evaluations": 1.5}, TypeError, r"^evaluations must be an integer, was 1\.5$"),
        ((SCENARIO, TARGETS, BOUNDS), {"progress": 5}, TypeError, r"^progress must be callable, was 5$"),
        ((SCENARIO, TARGETS, BOUNDS), {"paths": 0}, ValueError, r"^mine: paths must be at least 1, was 0$"),
        (
            (SCENARIO, {"low": fp.Target(88.0, "bogus")}, BOUNDS), {}, ValueError,
            r"^mine: targets\.low: measure must be a column of the result, was 'bogus'$",
        ),
    ],
)  # fmt: skip
def test_bad_input(arguments: Any, options: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        fp.calibrate(*arguments, **options)
