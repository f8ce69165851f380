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
from flushpoint._validate import count, number
from flushpoint.account_simulate import AccountSimulationResult
from flushpoint.accounts import Accounts
from flushpoint.book import Book
from flushpoint.construct import construct
from flushpoint.experiment import Policy
from flushpoint.factor_model import FactorModel
from flushpoint.funding import Funding
from flushpoint.market import Market
from flushpoint.markets import Markets
from flushpoint.process import Process
from flushpoint.random_book import RandomBook
from flushpoint.script import Script
from flushpoint.sellers import VolatilityTargeting
from flushpoint.simulate import SimulationResult, simulate
from flushpoint.target import Target, targets_of
from flushpoint.turnover import Turnover
from flushpoint.venue import Venue

#: Where a value stands: "market.impact.exponent", "process.price.1"; or several places that share one value.
Place: TypeAlias = "str | tuple[str, ...]"

_TEXT = ("title", "description")
_PARTS = ("turnover", "venue", "funding", "sellers")
_TABLES = ("market", "markets", "book", "accounts", "process", "script", *_PARTS, "run", "policies")
_KNOWN = ("targets", "parameters", "outputs", "context", "sources")
_RUN = ("horizon", "steps", "paths", "seed", "monitoring", "antithetic", "record")
_OUTPUTS = ("columns",)
_CONTEXT = ("coins", "daily_volatility", "daily_volume", "fall", "market_value", "open_interest", "prices")
_BEFORE_AND_AFTER = ("fall", "market_value", "open_interest", "prices")
# What a table must make, by its key.
_MADE: dict[str, tuple[type, ...]] = {
    "market": (Market,),
    "markets": (Markets,),
    "book": (Book, RandomBook),
    "accounts": (Accounts,),
    "process": (Process, FactorModel),
    "script": (Script,),
    "turnover": (Turnover,),
    "venue": (Venue,),
    "funding": (Funding,),
    "sellers": (VolatilityTargeting,),
    "policy": (Policy,),
}


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
        As read from TOML. ``title`` and ``description`` are texts, ``sources`` a list of them; ``market`` and ``book``
        (or ``markets`` and ``accounts``), ``process``, ``script`` (or tables of scripts, which are added up),
        ``turnover``, ``venue``, ``funding`` and ``sellers`` (or a list of such tables) are arguments of `simulate`;
        ``run`` holds its horizon, steps, paths and seed; ``policies`` are those of `experiment`; ``targets`` what was
        reported, each a `Target`; ``parameters`` what `calibrate` may move, each place of a number with its bounds;
        ``outputs.columns`` are those of the result whose figures a report tells; ``context`` further figures that were
        reported.
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
        sources = content.get("sources", [])
        if not isinstance(sources, list | tuple) or not all(isinstance(one, str) for one in sources):
            raise ValueError(self._told(f"sources must be a list of texts, was {sources!r}"))
        for name in ("run", "outputs", "context", "targets", "parameters", "policies"):
            if not isinstance(content.get(name, {}), Mapping):
                raise ValueError(self._told(f"{name} must be a table, was {content[name]!r}"))
            if name in ("targets", "parameters", "policies") and name in content and not content[name]:
                raise ValueError(self._told(f"{name} must name at least one, was empty"))
        self._keys("run", content.get("run", {}), _RUN)
        self._keys("outputs", content.get("outputs", {}), _OUTPUTS)
        self._keys("context", content.get("context", {}), _CONTEXT)
        self._check_context()
        columns = self.outputs
        if not all(isinstance(one, str) for one in columns):
            raise ValueError(self._told(f"outputs.columns must be a list of texts, was {list(columns)!r}"))
        one, several = ("market", "book"), ("markets", "accounts")
        wanted = several if any(name in content for name in several) else one
        for name in (*wanted, "process"):
            if name not in content:
                raise ValueError(self._told(f"{name} must be given, was missing"))
        for name in one + several:
            if name in content and name not in wanted:
                raise ValueError(self._told(f"{name} must be left out where {' or '.join(several)} is given"))
        if wanted is several and content.get("policies"):
            raise ValueError(self._told("policies must be left out where accounts are given, as experiment has none"))
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
            return cls._parsed(path.stem, path.read_bytes(), path.parent)
        if name not in cls.names():
            raise ValueError(f"scenario must be one of {', '.join(cls.names())} or a .toml file, was {str(name)!r}")
        shipped = resources.files("flushpoint") / "scenarios" / f"{name}.toml"
        return cls._parsed(str(name), shipped.read_bytes(), Path())

    @classmethod
    def _parsed(cls, name: str, text: bytes, folder: Path) -> Scenario:
        try:
            content = tomllib.loads(text.decode())
        except ValueError as error:
            raise ValueError(f"{name} must be TOML: {error}") from None
        except RecursionError:
            raise ValueError(f"{name} must be TOML that is nested less deeply") from None
        try:
            return cls(name, content, folder)
        except RecursionError:
            raise ValueError(f"{name} must hold tables that are nested less deeply") from None

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
    def outputs(self) -> tuple[str, ...]:
        """Columns that a report tells the figures of; empty for the usual ones."""
        columns = self.content.get("outputs", {}).get("columns", ())
        return tuple(columns) if isinstance(columns, list | tuple) else (columns,)

    @property
    def context(self) -> dict[str, Any]:
        """Further figures that were reported, for `unreconciled`."""
        return dict(self.content.get("context", {}))

    @cached_property
    def market(self) -> Market | Markets:
        """The market, or several."""
        market: Market | Markets
        if "markets" in self.content:
            table = self._table("markets", self.content["markets"])
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
        return self._made(key, self.content[key], {"price": self._start, "markets": several})

    @cached_property
    def script(self) -> Script | None:
        """What others do to the market; several are added up."""
        if "script" not in self.content:
            return None
        table = self._table("script", self.content["script"])
        if not table:
            raise ValueError(self._told("script must hold a script or tables of scripts, was empty"))
        if "kind" in table or "time" in table or not all(isinstance(one, Mapping) for one in table.values()):
            return self._made("script", table)  # type: ignore[no-any-return]
        scripts: list[Script] = [self._made("script", one, where=f"script.{name}") for name, one in table.items()]
        return sum(scripts[1:], scripts[0])

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
        bounds: dict[Place, Any] = {}
        for key, pair in self.content.get("parameters", {}).items():
            places = tuple(part.strip() for part in key.split(","))
            bounds[places if len(places) > 1 else places[0]] = pair
        return self.bounded(bounds)

    def bounded(self, bounds: Mapping[Place, Any]) -> dict[Place, tuple[float, float]]:
        """Return bounds of parameters as numbers.

        Parameters
        ----------
        bounds : mapping
            From places of numbers in the scenario, each in one parameter only, to two finite numbers, rising.

        Raises
        ------
        ValueError
            Naming the place, the rule and the value.
        """
        out: dict[Place, tuple[float, float]] = {}
        seen: set[str] = set()
        for places, pair in bounds.items():
            for place in _each(places):
                at = self.value(place)
                if isinstance(at, bool) or not isinstance(at, int | float):
                    raise ValueError(self._told(f"parameters[{place!r}] must be the place of a number, was of {at!r}"))
                if place in seen:
                    raise ValueError(self._told(f"parameters must hold each place once, was with {place!r} again"))
                seen.add(place)
            name = f"parameters[{shown(places)!r}]"
            if isinstance(pair, str | Mapping) or not isinstance(pair, Sequence) or len(pair) != 2:
                raise ValueError(self._told(f"{name} must be two bounds, was {pair!r}"))
            try:
                low = number(f"{name}[0]", pair[0])
                high = number(f"{name}[1]", pair[1], above=low)
                number(f"{name}[1] - {name}[0]", high - low)
            except (TypeError, ValueError) as error:
                raise ValueError(self._told(str(error))) from None
            out[places] = (low, high)
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
            if name == "sellers" and isinstance(table, list | tuple):
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

        Raises
        ------
        ValueError
            As `flushpoint.simulate`, with the scenario's name.
        """
        arguments = self.arguments | changes
        try:
            if until is not None:
                arguments |= self._shortened(arguments, until)
            result: SimulationResult | AccountSimulationResult = simulate(**arguments)
        except (TypeError, ValueError) as error:
            raise ValueError(self._told(str(error))) from error
        return result

    def _shortened(self, arguments: Mapping[str, Any], until: float) -> dict[str, Any]:
        most = count("steps", arguments.get("steps", 1_440), 1)
        dt = number("horizon", arguments.get("horizon", 86_400.0), above=0) / most
        steps = whole_steps("until", number("until", until, above=0), dt, most)
        script, funding = arguments.get("script"), arguments.get("funding")
        sellers = arguments.get("sellers")
        shorter: dict[str, Any] = {"horizon": dt * steps, "steps": steps}
        if isinstance(arguments["process"], Process | FactorModel):
            shorter["process"] = arguments["process"]._until(steps, most)
        if script is not None:
            shorter["script"] = script.until(dt * steps)
        if funding is not None and funding.interval > dt * steps:
            shorter["funding"] = None  # nothing is paid before
        if sellers is not None:
            each = (sellers,) if isinstance(sellers, VolatilityTargeting) else sellers
            shorter["sellers"] = [one for one in each if one.interval < dt * steps] or None  # the others trade later
        return shorter

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
            for place in _each(places):
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
        first = _each(place)[0]
        at: Any = self.content
        try:
            for key in first.split("."):
                at = at[int(key)] if isinstance(at, list) else at[key]
        except (KeyError, IndexError, TypeError, ValueError):
            raise ValueError(self._told(f"place must be one in the scenario, was {first!r}")) from None
        return at

    @property
    def _start(self) -> float | None:
        return self.market.price if isinstance(self.market, Market) else None

    def _made(
        self, key: str, table: object, given: Mapping[str, object] | None = None, where: str | None = None
    ) -> Any:
        where = where or key
        call = self._table(where, table)
        given = {name: value for name, value in (given or {}).items() if value is not None}
        try:
            made = construct(key, call, where, self.folder, given)
        except ValueError as error:
            raise ValueError(self._told(str(error))) from error
        if key == "book":
            made = getattr(made, "book", made)  # of what a reader returns
        if not isinstance(made, _MADE[key]):
            wanted = " or a ".join(one.__name__ for one in _MADE[key])
            raise ValueError(self._told(f"{where} must make a {wanted}, was a {type(made).__name__}"))
        return made

    def _table(self, where: str, table: object) -> Mapping[str, Any]:
        if not isinstance(table, Mapping):
            raise ValueError(self._told(f"{where} must be a table, was {table!r}"))
        return table

    def _check_context(self) -> None:
        for name, value in self.content.get("context", {}).items():
            try:
                if name not in _BEFORE_AND_AFTER:
                    number(f"context.{name}", value, above=0)
                    continue
                if not isinstance(value, list | tuple) or len(value) != 2:
                    raise ValueError(f"context.{name} must be two figures, before and after, was {value!r}")
                for i, one in enumerate(value):
                    number(f"context.{name}.{i}", one, above=0)
            except (TypeError, ValueError) as error:
                raise ValueError(self._told(str(error))) from None

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


def shown(place: Place) -> str:
    """Write a place as scenario files do."""
    return ", ".join(_each(place))


def _each(place: Place) -> tuple[str, ...]:
    """The places of one value."""
    places = (place,) if isinstance(place, str) else place
    if not isinstance(places, tuple) or not places or not all(isinstance(one, str) for one in places):
        raise TypeError(f"place must be a text or a tuple of texts, was {place!r}")
    return places
