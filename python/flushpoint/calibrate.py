"""Calibration: the values of a scenario's parameters at which it meets what was reported."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from flushpoint._validate import FloatArray, count, number, read_only
from flushpoint._validate import progress as check_progress
from flushpoint.report import plain
from flushpoint.scenario import Place, Scenario, shown
from flushpoint.seed import resolve
from flushpoint.target import Target, measured

_STEP = 0.02  # of finite differences, in shares of the bounds: above the steps of a median over few paths
_FARTHEST = 1e60  # in tolerances: the search takes fourth powers of what a target is off by


@dataclass(frozen=True, eq=False, repr=False)
class Calibration:
    """What `calibrate` found.

    Attributes
    ----------
    scenario : Scenario
        The scenario with the values found.
    places : tuple
        Of the parameters.
    start, value, low, high : ndarray of float64, shape (parameters,)
        Values before and after, and their bounds.
    error : ndarray of float64, shape (parameters,)
        By how much each value may be off if each target is met up to its tolerance, others adapting: the root of the
        diagonal of (J' J)^-1, J the sensitivity of the residuals; inf where the targets do not tell.
    targets : mapping of str to Target
        Those fitted and those only compared.
    simulated : mapping of str to float
        Of each target, in the scenario found.
    residual : ndarray of float64, shape (fitted targets,)
        Differences in units of the tolerance.
    sensitivity : ndarray of float64, shape (fitted targets, parameters)
        J: change of each residual over the whole width of the bounds of each parameter, at the values found.
    singular_values : ndarray of float64
        Of J, falling.
    weak : tuple of ndarray of float64, shape (parameters,)
        Directions, in units of the bounds' widths, along which the targets hardly move: singular value below 1, so that
        a step of a whole width keeps all of them within their tolerance. Along these the values are not known.
    evaluations : int
        How often the scenario was run.
    """

    scenario: Scenario
    places: tuple[Place, ...]
    start: FloatArray
    value: FloatArray
    low: FloatArray
    high: FloatArray
    error: FloatArray
    targets: Mapping[str, Target]
    simulated: Mapping[str, float]
    residual: FloatArray
    sensitivity: FloatArray
    singular_values: FloatArray
    weak: tuple[FloatArray, ...]
    evaluations: int

    def __post_init__(self) -> None:
        read_only((self.start, self.value, self.low, self.high, self.error))
        read_only((self.residual, self.sensitivity, self.singular_values, *self.weak))

    @property
    def identified(self) -> bool:
        """Whether the targets tell the values of all parameters."""
        return not self.weak

    @property
    def condition(self) -> float:
        """Largest over smallest singular value: 1 at best, inf where a parameter has no effect."""
        if self.singular_values.size < self.value.size or self.singular_values[-1] == 0:
            return math.inf
        return float(self.singular_values[0]) / float(self.singular_values[-1])

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values, None for inf."""
        columns = (self.start, self.value, self.low, self.high, self.error)
        facts = {
            "scenario": self.scenario.name,
            "parameters": {
                shown(place): {"start": a, "value": b, "low": c, "high": d, "error": e}
                for place, a, b, c, d, e in zip(self.places, *columns, strict=True)
            },
            "targets": compared(self.targets, self.simulated),
            "identified": self.identified,
            "condition": self.condition,
            "singular_values": self.singular_values,
            "weak": self.weak,
            "evaluations": self.evaluations,
        }
        out: dict[str, Any] = plain(facts)
        return out

    def __repr__(self) -> str:
        return f"<Calibration of {self.scenario.name!r}: {len(self.places)} parameters, {self.evaluations} runs>"

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"{self.scenario.name}: {self.evaluations} runs"
        columns = (self.start, self.value, self.low, self.high, self.error)
        for place, start, value, low, high, error in zip(self.places, *columns, strict=True):
            near = 1e-3 * (high - low)
            told = ", at its bound" if value < low + near or value > high - near else ""
            yield f"  {shown(place)}: {value:.6g} +- {error:.2g}, from {start:.6g}{told}"
        for name, target in self.targets.items():
            off, unit = target.difference(self.simulated[name]), "%" if target.relative else " points"
            told = "" if target.fit else ", not fitted"
            yield (
                f"  {name}: {self.simulated[name]:,.6g}, reported {target.reported:,.6g}: {100 * off:+.2f}{unit}{told}"
            )
        if self.weak:
            yield "  not identified: " + "; ".join(
                " ".join(f"{x:+.2f} {shown(place)}" for x, place in zip(direction, self.places, strict=True))
                for direction in self.weak
            )
        else:
            yield f"  identified: condition number {self.condition:.3g}"


def compared(targets: Mapping[str, Target], simulated: Mapping[str, float]) -> dict[str, dict[str, Any]]:
    """Return reported and simulated value of each target, and their difference."""
    return {
        name: {
            "reported": target.reported,
            "simulated": simulated[name],
            "difference": target.difference(simulated[name]),
            "relative": target.relative,
            "fitted": target.fit,
        }
        for name, target in targets.items()
    }


def calibrate(
    scenario: Scenario | str,
    targets: Mapping[str, Target | float] | None = None,
    parameters: Mapping[Place, tuple[float, float]] | None = None,
    *,
    tolerance: float = 0.01,
    evaluations: int = 200,
    threads: int = 0,
    progress: Callable[[int, int], object] | None = None,
    **changes: Any,
) -> Calibration:
    """Find the values of a scenario's parameters at which it meets its targets.

    Least squares of the targets' differences over the tolerance, within bounds, by scipy's ``least_squares`` (trust
    region reflective: Branch, Coleman and Li 1999). Every run uses the scenario's own seed, so all are on common random
    numbers, and the same call finds the same values.

    Parameters
    ----------
    scenario : Scenario or str
        Or its name, as `Scenario.load` takes it.
    targets : mapping of str to Target or float, optional
        The scenario's own by default; a number is another reported value for the target of that name, which is then
        fitted.
    parameters : mapping, optional
        From places in the scenario, each a text or a tuple of several that share one value, to bounds; the scenario's
        own by default. The search starts from the values there, brought within the bounds.
    tolerance : float, default 0.01
        How well each target is to be met: 0.01 is 1 % of it, or a point where it is a change. Positive.
    evaluations : int, default 200
        The most runs, at least two for each value and for each side of each parameter: 2 + 4 x parameters.
    threads : int, default 0
        As of `simulate`.
    progress : callable, optional
        Called with the number of runs done and the most.
    **changes
        As of `Scenario.simulate`, such as ``paths``.

    Returns
    -------
    Calibration

    Raises
    ------
    ImportError
        Without scipy.
    TypeError, ValueError
        Naming the argument, the rule and the value.

    Examples
    --------
    >>> s = Scenario.load("squeeze").changed({"run.paths": 10, "run.steps": 48})
    >>> c = calibrate(s, {"peak": Target(65_000.0, "high_price")}, {"script.buying.sell": (-300_000.0, 0.0)})
    >>> abs(c.simulated["peak"] / 65_000.0 - 1) < 0.01, c.identified
    (True, True)
    """
    try:
        optimize = importlib.import_module("scipy.optimize")
    except ImportError as error:
        raise ImportError('calibration needs scipy: pip install "flushpoint[fit]"') from error
    subject = Scenario.load(scenario) if isinstance(scenario, str) else scenario
    if not isinstance(subject, Scenario):
        raise TypeError(f"scenario must be a Scenario or its name, was {type(scenario).__name__}")
    if "seed" not in subject.arguments | changes:
        changes["seed"] = resolve(None)[0]  # one for all runs
    aims = _targets(subject, targets)
    fitted = [name for name, target in aims.items() if target.fit]
    given = subject.parameters if parameters is None else parameters
    if not isinstance(given, Mapping) or not given:
        raise ValueError(f"parameters must be a mapping of at least one place to its bounds, was {given!r}")
    bounds = subject.bounded(given)
    within = number("tolerance", tolerance, above=0)
    each = 1 + 2 * len(bounds)  # runs of a step of the search
    most = count("evaluations", evaluations, 2 * each)
    check_progress(progress)
    if not fitted:
        raise ValueError("targets must hold at least one that is to be fitted, was without")
    places = tuple(bounds)
    low, high = (np.array(side) for side in zip(*bounds.values(), strict=True))
    width = high - low
    start = np.array([float(subject.value(place)) for place in places])
    done = 0

    def run(unit: FloatArray) -> dict[str, float]:
        nonlocal done
        moved = subject.changed(dict(zip(places, (low + unit * width).tolist(), strict=True)))
        values = measured(moved, aims, threads=threads, **changes)
        done += 1
        if progress is not None:
            progress(done, most)
        return values

    def residuals(unit: FloatArray) -> FloatArray:
        values = run(unit)
        out = np.array([aims[name].difference(values[name]) / within for name in fitted])
        for name, off in zip(fitted, out, strict=True):
            if not abs(off) <= _FARTHEST:
                at = ", ".join(f"{shown(place)} = {x:.6g}" for place, x in zip(places, low + unit * width, strict=True))
                rule = f"targets[{name!r}] must come within {_FARTHEST:g} tolerances of {aims[name].reported:.6g}"
                raise ValueError(f"{rule} everywhere within the bounds, was {values[name]:.6g} at {at}")
        return out

    def sensitivity(unit: FloatArray) -> FloatArray:
        """Central differences, one-sided at a bound."""
        out = np.empty((len(fitted), unit.size))
        for k in range(unit.size):
            ends = np.array([max(unit[k] - _STEP, 0.0), min(unit[k] + _STEP, 1.0)])
            below, above = (np.where(np.arange(unit.size) == k, end, unit) for end in ends)
            out[:, k] = (residuals(above) - residuals(below)) / (ends[1] - ends[0])
        return out

    found = optimize.least_squares(
        residuals,
        np.clip((np.clip(start, low, high) - low) / width, 1e-3, 1 - 1e-3),  # one far off narrow bounds overflows
        jac=sensitivity,
        bounds=(0.0, 1.0),
        x_scale=1.0,
        ftol=1e-6,
        xtol=1e-5,
        max_nfev=most // each - 1,
    )
    value = low + found.x * width
    best = subject.changed(dict(zip(places, value.tolist(), strict=True)))
    jacobian = np.asarray(found.jac)
    _, singular, directions = np.linalg.svd(jacobian, full_matrices=True)
    strength = np.concatenate([singular, np.zeros(len(places) - singular.size)])
    weak = tuple(directions[k] for k in range(len(places)) if strength[k] < 1.0)
    simulated = measured(best, aims, threads=threads, **changes)
    return Calibration(
        best,
        places,
        start,
        value,
        low,
        high,
        _errors(strength, directions) * width,
        aims,
        simulated,
        np.array([aims[name].difference(simulated[name]) / within for name in fitted]),
        jacobian,
        singular,
        weak,
        done + 1,
    )


def _errors(strength: FloatArray, directions: FloatArray) -> FloatArray:
    """Root of the diagonal of (J' J)^-1, from J's singular values and right singular vectors."""
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        each = np.where(directions == 0, 0.0, (directions / strength[:, None]) ** 2)
    return np.asarray(np.sqrt(each.sum(axis=0)))


def _targets(scenario: Scenario, given: Mapping[str, Target | float] | None) -> dict[str, Target]:
    if given is None:
        return scenario.targets
    if not isinstance(given, Mapping):
        raise TypeError(f"targets must be a mapping of names to targets, was {type(given).__name__}")
    out = {}
    for name, one in given.items():
        if isinstance(one, Target):
            out[name] = one
        elif name in scenario.targets:
            old = scenario.targets[name]
            out[name] = Target(number(f"targets[{name!r}]", one), old.measure, old.statistic, old.window)
        else:
            known = ", ".join(scenario.targets) or "none"
            raise ValueError(f"targets[{name!r}] must be a Target unless the scenario has it ({known}), was {one!r}")
    return out
