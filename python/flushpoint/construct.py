"""Objects from tables: a table is a call, its key `kind` names what is called, the other keys are its arguments."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import flushpoint

_CLASSES = (
    "Accounts",
    "Bootstrap",
    "Book",
    "BrownianBridge",
    "Crowd",
    "Delever",
    "DepthImpact",
    "EntryPrices",
    "EvaporatingImpact",
    "Exponential",
    "FactorModel",
    "Funding",
    "GARCH",
    "GBM",
    "JumpDiffusion",
    "LeverageMix",
    "Leveraged",
    "LinearImpact",
    "LivingDepth",
    "LoanRule",
    "LogNormal",
    "MarginSchedule",
    "Market",
    "Markets",
    "Pareto",
    "Policy",
    "PowerImpact",
    "RandomBook",
    "Returns",
    "Script",
    "SquareRootImpact",
    "StudentT",
    "Support",
    "Table",
    "Turnover",
    "Uniform",
    "Venue",
    "VolatilityTargeting",
)
_FUNCTIONS = ("accounts_of_crowds",)
_READERS = ("read_depth", "read_history", "read_positions")

#: What a table under one of these keys is, unless its `kind` says otherwise.
DEFAULT_KIND = {
    "crowd": "Crowd",
    "depth": "LivingDepth",
    "funding": "Funding",
    "market": "Market",
    "policy": "Policy",
    "schedule": "MarginSchedule",
    "script": "Script",
    "sellers": "VolatilityTargeting",
    "support": "Support",
    "turnover": "Turnover",
    "venue": "Venue",
}
#: Tables of tables, and what each of these is.
_MANY = {"crowds": "crowd", "markets": "market", "policies": "policy", "schedules": "schedule"}


@cache
def kinds() -> dict[str, Callable[..., Any]]:
    """Everything that `kind` may name: the classes, their constructors by another name, and the readers of files."""
    found: dict[str, Callable[..., Any]] = {f"io.{name}": getattr(flushpoint.io, name) for name in _READERS}
    found |= {name: getattr(flushpoint, name) for name in _FUNCTIONS}
    for name in _CLASSES:
        cls = getattr(flushpoint, name)
        found[name] = cls
        for other in vars(cls):
            if not other.startswith("_") and isinstance(inspect.getattr_static(cls, other), classmethod):
                found[f"{name}.{other}"] = getattr(cls, other)
    return found


def construct(
    key: str, table: Mapping[str, Any], where: str, folder: Path, given: Mapping[str, object] | None = None
) -> Any:
    """Make the object that a table describes.

    Parameters
    ----------
    key : str
        The table's own key, which tells its kind unless the table does.
    table : mapping
    where : str
        The table's place, for messages.
    folder : Path
        What paths of files are relative to.
    given : mapping of str to object, optional
        Arguments that the table may leave out, for those kinds that have them.

    Raises
    ------
    ValueError
        Naming the place, the rule and the value.
    """
    kind = table.get("kind", DEFAULT_KIND.get(key))
    if kind is None:
        raise ValueError(f"{where}.kind must be given, was missing")
    make = kinds().get(kind) if isinstance(kind, str) else None
    if make is None:
        raise ValueError(f"{where}.kind must be one of {_listed(kinds())}, was {kind!r}")
    parameters = inspect.signature(make).parameters
    arguments = {}
    for name, value in table.items():
        if name == "kind":
            continue
        if name not in parameters:
            raise ValueError(f"{where} must hold arguments of {kind} ({_listed(parameters)}), was with {name!r}")
        arguments[name] = _value(name, value, f"{where}.{name}", folder)
    for name, default in (given or {}).items():
        if name in parameters:
            arguments.setdefault(name, default)
    for name, parameter in parameters.items():
        if parameter.default is parameter.empty and name not in arguments:
            raise ValueError(f"{where}.{name} must be given for {kind}, was missing")
    if kind.startswith("io."):
        if not isinstance(arguments["source"], str):
            raise ValueError(f"{where}.source must be the path of a file, was {arguments['source']!r}")
        arguments["source"] = str(folder / arguments["source"])
    try:
        return make(**arguments)
    except (ImportError, OSError):
        raise
    except Exception as error:
        raise ValueError(_placed(str(error), where, parameters)) from error


def _placed(message: str, where: str, parameters: Iterable[str]) -> str:
    """Say where the argument stands that a message names."""
    first = message.partition(" ")[0]
    return f"{where}.{message}" if first in parameters else f"{where}: {message}"


def _value(key: str, value: Any, where: str, folder: Path) -> Any:
    if isinstance(value, Mapping):
        if key in _MANY and "kind" not in value and all(isinstance(one, Mapping) for one in value.values()):
            return {name: construct(_MANY[key], one, f"{where}.{name}", folder) for name, one in value.items()}
        if "kind" in value or key in DEFAULT_KIND or key in _MANY:
            return construct(_MANY.get(key, key), value, where, folder)
        return {name: _value(name, one, f"{where}.{name}", folder) for name, one in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return tuple(_value(key, one, f"{where}.{i}", folder) for i, one in enumerate(value))
    return value


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
