"""Scenarios: everything that a run needs, and what is known of the event, in one file."""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any, TypeAlias

from flushpoint._clock import whole_steps
from flushpoint.account_simulate import AccountSimulationResult
from flushpoint.construct import construct
from flushpoint.market import Market
from flushpoint.markets import Markets
from flushpoint.script import Script
from flushpoint.simulate import SimulationResult, simulate
from flushpoint.target import Target, targets_of

#: Where a value stands: "market.impact.exponent", "process.price.1"; or several places that share one value.
Place: TypeAlias = "str | tuple[str, ...]"

_TEXT = ("title", "description")
_PARTS = ("turnover", "venue", "funding", "sellers")
_TABLES = ("market", "markets", "book", "accounts", "process", "script", *_PARTS, "run", "policies")
_KNOWN = ("targets", "parameters", "context", "sources")
_RUN = ("horizon", "steps", "paths", "seed", "monitoring", "antithetic", "record")
_CONTEXT = ("coins", "daily_volatility", "daily_volume", "market_value", "open_interest")


@dataclass(frozen=True, eq=False, repr=False)
class Scenario:
    """A stress scenario: market, positions, how the price moves, and what was reported of the event.

    `load` reads one that comes with the package, or a file. Every table of such a file is a call: its key ``kind``
    names a class of this package or one of its constructors, such as ``Book.from_leverage_mix``, the other keys are the
    arguments, tables among them again calls. Prices that a book or a `BrownianBridge` starts from are the market's
    where they are left out.

    Parameters
    ----------
    name : str
        What it is called in messages and reports.
    content : mapping
        As read from TOML. ``title``, ``description`` and ``sources`` are texts; ``market`` and ``book`` (or ``markets``
        and ``accounts``), ``process``, ``script`` (or tables of scripts, which are added up), ``turnover``, ``venue``,
        ``funding`` and ``sellers`` make the arguments of `simulate`; ``run`` holds its horizon, steps, paths and seed;
        ``policies`` are those of `experiment`; ``targets`` what was reported, each a `Target`; ``parameters`` what
        `calibrate` may move, each place with its bounds; ``context`` further figures that were reported.
    folder : Path, optional
        What files named in it are relative to; the working directory by default.

    Raises
    ------
    TypeError, ValueError
        Naming the place, the rule and the value.

    Examples
    --------
    >>> s = Scenario.load("post-election-flush").changed({"run.paths": 20})
    >>> s.market.price, len(s.simulate()["final_price"])
    (126000.0, 20)
    """

    name: str
    content: Mapping[str, Any]
    folder: Path = field(default_factory=Path)

    def __post_init__(self) -> None:
        if not isinstance(self.content, Mapping):
            raise TypeError(f"content must be a mapping, was {type(self.content).__name__}")
        content = copy.deepcopy(dict(self.content))
        object.__setattr__(self, "content", content)
        self._keys("the scenario", content, (*_TEXT, *_TABLES, *_KNOWN))
        for name in _TEXT:
            if not isinstance(content.get(name, ""), str):
                raise ValueError(self._told(f"{name} must be a text, was {content[name]!r}"))
        for name in ("run", "context", "targets", "parameters", "policies"):
            if not isinstance(content.get(name, {}), Mapping):
                raise ValueError(self._told(f"{name} must be a table, was {content[name]!r}"))
        self._keys("run", content.get("run", {}), _RUN)
        self._keys("context", content.get("context", {}), _CONTEXT)
        one, several = ("market", "book"), ("markets", "accounts")
        wanted = several if any(name in content for name in several) else one
        for name in (*wanted, "process"):
            if name not in content:
                raise ValueError(self._told(f"{name} must be given, was missing"))
        for name in set(one + several) - set(wanted):
            if name in content:
                raise ValueError(self._told(f"{name} must be left out where {' or '.join(several)} is given"))
        self.arguments  # so that what is wrong is said now  # noqa: B018
        self.targets  # noqa: B018
        self.policies  # noqa: B018
        self.parameters  # noqa: B018

    @classmethod
    def load(cls, name: str | Path) -> Scenario:
        """Read one that comes with the package, by name, or a TOML file.

        Parameters
        ----------
        name : str or Path
            One of `names`, or a path that ends in ``.toml``.

        Returns
        -------
        Scenario
        """
        if str(name).endswith(".toml"):
            path = Path(name)
            return cls._parsed(path.stem, path.read_text(encoding="utf-8"), path.parent)
        if name not in cls.names():
            raise ValueError(f"scenario must be one of {', '.join(cls.names())} or a .toml file, was {str(name)!r}")
        shipped = resources.files("flushpoint") / "scenarios" / f"{name}.toml"
        return cls._parsed(str(name), shipped.read_text(encoding="utf-8"), Path())

    @classmethod
    def _parsed(cls, name: str, text: str, folder: Path) -> Scenario:
        try:
            content = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ValueError(f"{name} must be TOML: {error}") from None
        return cls(name, content, folder)

    @staticmethod
    def names() -> tuple[str, ...]:
        """Names of the scenarios that come with the package, sorted."""
        files = (resources.files("flushpoint") / "scenarios").iterdir()
        return tuple(sorted(one.name.removesuffix(".toml") for one in files if one.name.endswith(".toml")))

    @property
    def title(self) -> str:
        """What it is about, in a line."""
        return str(self.content.get("title", self.name))

    @property
    def description(self) -> str:
        """What is known and what is assumed."""
        return str(self.content.get("description", "")).strip()

    @property
    def sources(self) -> tuple[str, ...]:
        """Where its figures are from."""
        return tuple(map(str, self.content.get("sources", ())))

    @property
    def context(self) -> dict[str, Any]:
        """Further figures that were reported, for `unreconciled`."""
        return dict(self.content.get("context", {}))

    @cached_property
    def market(self) -> Market | Markets:
        """The market, or several."""
        market: Market | Markets
        if "markets" in self.content:
            table = self.content["markets"]
            call = table if "kind" in table or "markets" in table else {"markets": table}
            market = self._made("markets", {"kind": "Markets", **call})
        else:
            market = self._made("market", self.content["market"])
        return market

    @cached_property
    def book(self) -> Any:
        """The positions: a `Book`, a `RandomBook` or `Accounts`."""
        key = "accounts" if "accounts" in self.content else "book"
        several = self.market if isinstance(self.market, Markets) else None
        made = self._made(key, self.content[key], {"price": self._start, "markets": several})
        return getattr(made, "book", made)  # of what a reader returns

    @cached_property
    def script(self) -> Script | None:
        """What others do to the market; several are added up."""
        table = self.content.get("script")
        if table is None:
            return None
        if "kind" in table or "time" in table or not all(isinstance(one, Mapping) for one in table.values()):
            return self._made("script", table)  # type: ignore[no-any-return]
        scripts = [self._made("script", one, where=f"script.{name}") for name, one in table.items()]
        return sum(scripts[1:], scripts[0]) if scripts else None

    @cached_property
    def policies(self) -> dict[str, Any]:
        """Policies to hold against what is, by name."""
        return {
            name: self._made("policy", table, where=f"policies.{name}")
            for name, table in self.content.get("policies", {}).items()
        }

    @cached_property
    def targets(self) -> dict[str, Target]:
        """What was reported, by name."""
        try:
            return targets_of(self.content.get("targets", {}))
        except (TypeError, ValueError) as error:
            raise ValueError(self._told(str(error))) from None

    @cached_property
    def parameters(self) -> dict[Place, tuple[float, float]]:
        """What `calibrate` may move, by place, and between which bounds."""
        out: dict[Place, tuple[float, float]] = {}
        for key, bounds in self.content.get("parameters", {}).items():
            places = tuple(part.strip() for part in key.split(","))
            try:
                low, high = map(float, bounds)
                for place in places:
                    self._at(place)
            except (TypeError, ValueError, KeyError, IndexError):
                raise ValueError(
                    self._told(f"parameters.{key!r} must be two bounds for a place in the scenario, was {bounds!r}")
                ) from None
            out[places if len(places) > 1 else places[0]] = (low, high)
        return out

    @cached_property
    def arguments(self) -> dict[str, Any]:
        """Arguments of `simulate`."""
        run = dict(self.content.get("run", {}))
        arguments: dict[str, Any] = {"market": self.market, "book": self.book, "script": self.script, **run}
        process = self.content["process"]
        arguments["process"] = self._made("process", process, {"start": self._start})
        for name in _PARTS:
            table = self.content.get(name)
            if isinstance(table, Sequence) and not isinstance(table, str):
                arguments[name] = [self._made(name, one, where=f"{name}.{i}") for i, one in enumerate(table)]
            elif table is not None:
                arguments[name] = self._made(name, table)
        return {name: value for name, value in arguments.items() if value is not None}

    def simulate(self, *, until: float | None = None, **changes: Any) -> SimulationResult | AccountSimulationResult:
        """Run it.

        Parameters
        ----------
        until : float, optional
            Seconds after the start at which to stop, the end of a step: the same paths, bit for bit, up to there.
        **changes
            Arguments of `flushpoint.simulate` that differ, such as ``paths`` or ``threads``.

        Returns
        -------
        SimulationResult or AccountSimulationResult
        """
        arguments = self.arguments | changes
        if until is not None:
            arguments |= self._shortened(arguments, until)
        result: SimulationResult | AccountSimulationResult = simulate(**arguments)
        return result

    def _shortened(self, arguments: Mapping[str, Any], until: float) -> dict[str, Any]:
        dt = arguments.get("horizon", 86_400.0) / arguments.get("steps", 1_440)
        steps = whole_steps("until", until, dt, arguments.get("steps", 1_440))
        script = arguments.get("script")
        return {"horizon": dt * steps, "steps": steps, "script": None if script is None else script.until(dt * steps)}

    def changed(self, values: Mapping[Place, Any]) -> Scenario:
        """Return the same with other values.

        Parameters
        ----------
        values : mapping
            Of places, such as "market.half_life" or "process.price.1", to values.

        Returns
        -------
        Scenario
        """
        content = copy.deepcopy(dict(self.content))
        for places, value in values.items():
            for place in (places,) if isinstance(places, str) else places:
                *path, last = place.split(".")
                try:
                    table: Any = content
                    for key in path:
                        table = table[int(key)] if isinstance(table, list) else table[key]
                    if isinstance(table, list):
                        table[int(last)] = value
                    else:
                        table[last] = value
                except (KeyError, IndexError, TypeError, ValueError):
                    raise ValueError(self._told(f"place must be one in the scenario, was {place!r}")) from None
        return Scenario(self.name, content, self.folder)

    def value(self, place: Place) -> Any:
        """Return what stands at a place; of several the first."""
        first = place if isinstance(place, str) else place[0]
        try:
            return self._at(first)
        except (KeyError, IndexError, TypeError, ValueError):
            raise ValueError(self._told(f"place must be one in the scenario, was {first!r}")) from None

    def _at(self, place: str) -> Any:
        at: Any = self.content
        for key in place.split("."):
            at = at[int(key)] if isinstance(at, list) else at[key]
        return at

    @property
    def _start(self) -> float | None:
        return self.market.price if isinstance(self.market, Market) else None

    def _made(
        self, key: str, table: object, given: Mapping[str, object] | None = None, where: str | None = None
    ) -> Any:
        if not isinstance(table, Mapping):
            raise ValueError(self._told(f"{where or key} must be a table, was {table!r}"))
        given = {name: value for name, value in (given or {}).items() if value is not None}
        try:
            return construct(key, table, where or key, self.folder, given)
        except ValueError as error:
            raise ValueError(self._told(str(error))) from error

    def _keys(self, where: str, table: Mapping[str, Any], known: Sequence[str]) -> None:
        for key in table:
            if key not in known:
                raise ValueError(self._told(f"{where} must hold only {', '.join(known)}, was with {key!r}"))

    def _told(self, message: str) -> str:
        return f"{self.name}: {message}"

    def __repr__(self) -> str:
        return f"Scenario({self.name!r})"

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield self.title
        yield from (f"  {line}" for line in str(self.market).splitlines())
        yield from (f"  {line}" for line in str(self.book).splitlines())
        for name in ("process", "turnover", "venue", "funding"):
            if name in self.arguments:
                yield from (f"  {line}" for line in str(self.arguments[name]).splitlines())
