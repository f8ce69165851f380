"""Targets: what was reported of an event, and what of a run is held against it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from flushpoint._validate import FloatArray, number, one_of
from flushpoint.book import Book
from flushpoint.markets import Markets
from flushpoint.simulate import DrawnSimulationResult

_STATISTICS: dict[str, Callable[[FloatArray], Any]] = {"median": np.median, "mean": np.mean}
#: Columns that add up in time, so that a stretch of it has a value of its own.
_ADD_UP = ("liquidated_", "long_", "short_", "stop_", "fund_paid", "shortfall", "unpaid_loss", "waves", "accounts_")
_CHANGE = "_change"
_OPEN_INTEREST_CHANGE = "open_interest_change"


@dataclass(frozen=True)
class Target:
    """A reported figure, and the measure of a run to hold against it.

    Parameters
    ----------
    reported : float
        Finite, not 0.
    measure : str
        A column of the run's result ("low_price"); a column of prices and "_change", for the change relative to the
        start ("low_price_change"); of accounts with the market's name ("low_price_change.BTC"); or
        "open_interest_change", that of the longs' notional at the market's price from the start to the end of the run.
    statistic : {"median", "mean"}, default "median"
        Over the paths.
    window : (float, float), optional
        Seconds after the start: only what happens in between, for columns that add up in time.
    fit : bool, default True
        Whether `calibrate` is to meet it; otherwise it is only compared.
    """

    reported: float
    measure: str
    statistic: str = "median"
    window: tuple[float, float] | None = None
    fit: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "reported", number("reported", self.reported))
        if self.reported == 0:
            raise ValueError("reported must not be 0, was 0.0")
        if not isinstance(self.measure, str) or not self.measure:
            raise TypeError(f"measure must be the name of a column, was {self.measure!r}")
        one_of("statistic", self.statistic, tuple(_STATISTICS))
        if not isinstance(self.fit, bool):
            raise TypeError(f"fit must be True or False, was {self.fit!r}")
        if self.window is None:
            return
        try:
            begin, end = self.window
        except (TypeError, ValueError):
            raise ValueError(f"window must be two times, was {self.window!r}") from None
        begin = number("window[0]", begin, at_least=0)
        object.__setattr__(self, "window", (begin, number("window[1]", end, above=begin)))
        if not self.measure.startswith(_ADD_UP) or not self.relative:
            raise ValueError(f"measure must add up in time where window is given, was {self.measure!r}")

    @property
    def relative(self) -> bool:
        """Whether its difference is one of shares of `reported`; that of a change is in points instead."""
        return not self.measure.partition(".")[0].endswith(_CHANGE)

    def difference(self, simulated: float) -> float:
        """How far a simulated value is off: as a share of the reported one, of changes simulated - reported."""
        return simulated / self.reported - 1.0 if self.relative else simulated - self.reported


def targets_of(table: Mapping[str, Any]) -> dict[str, Target]:
    """Make targets from tables, by name."""
    out = {}
    known = [one.name for one in fields(Target)]
    for name, one in table.items():
        if not isinstance(one, Mapping):
            raise ValueError(f"targets.{name} must be a table, was {one!r}")
        for key in one:
            if key not in known:
                raise ValueError(f"targets.{name} must hold only {', '.join(known)}, was with {key!r}")
        for key in ("reported", "measure"):
            if key not in one:
                raise ValueError(f"targets.{name}.{key} must be given, was missing")
        try:
            out[name] = Target(**one)
        except (TypeError, ValueError) as error:
            raise ValueError(f"targets.{name}.{error}") from None
    return out


def measured(scenario: Any, targets: Mapping[str, Target], result: Any = None, **changes: Any) -> dict[str, float]:
    """Run a scenario, and return each target's simulated value.

    Parameters
    ----------
    scenario : Scenario
    targets : mapping of str to Target
    result : optional
        The whole run, if it has been made already.
    **changes
        As of `Scenario.simulate`.

    Raises
    ------
    ValueError
        Naming the scenario, the target, the rule and the value.
    """
    whole = scenario.simulate(**changes) if result is None else result
    changes["seed"] = whole.seed  # the same random numbers, also where the scenario leaves them to chance
    runs: dict[float, Any] = {(scenario.arguments | changes).get("horizon", 86_400.0): whole}

    def until(seconds: float) -> Any:
        if seconds not in runs:
            runs[seconds] = scenario.simulate(until=seconds, **changes | {"record": None})
        return runs[seconds]

    def values(target: Target) -> FloatArray:
        if target.window is None:
            return _values(scenario, whole, target.measure)
        begin, end = target.window
        late = _values(scenario, until(end), target.measure)
        return late - _values(scenario, until(begin), target.measure) if begin > 0 else late

    out = {}
    for name, target in targets.items():
        try:
            with np.errstate(over="ignore", invalid="ignore"):  # a market that is used up has the price 0 or inf
                out[name] = float(_STATISTICS[target.statistic](values(target)))
        except ValueError as error:
            told = str(error).removeprefix(f"{scenario.name}: ")
            raise ValueError(f"{scenario.name}: targets.{name}: {told}") from error
    return out


def _values(scenario: Any, result: Any, measure: str) -> FloatArray:
    """One value a path."""
    if measure == _OPEN_INTEREST_CHANGE:
        return _open_interest_change(scenario, result)
    told, _, market = measure.partition(".")
    column = told.removesuffix(_CHANGE)
    markets = scenario.market.names if isinstance(scenario.market, Markets) else ()
    if market and market not in markets:
        raise ValueError(
            f"measure must name a market only of several ({', '.join(markets) or 'one here'}), was {measure!r}"
        )
    name = f"{column}.{market}" if market else column
    try:
        values = np.asarray(result[name] if name in result else getattr(result, column), dtype=np.float64)
    except (AttributeError, TypeError, ValueError):
        values = np.empty(())
    if values.ndim == 2 and len(markets) == values.shape[1]:
        raise ValueError(f"measure must name a market, such as {column}.{markets[0]}, was {measure!r}")
    if values.shape != (result._count,):
        raise ValueError(f"measure must be a column of the result, was {measure!r}")
    if column == told:
        return values
    if not column.endswith("_price"):
        raise ValueError(f"measure must be of prices where it ends in {_CHANGE}, was {measure!r}")
    start = scenario.market[market].price if market else scenario.market.price
    return np.asarray(values / start - 1.0)


def _open_interest_change(scenario: Any, result: Any) -> FloatArray:
    book = scenario.book
    if not isinstance(book, Book):
        raise ValueError(f"measure must be another but for a Book, was {_OPEN_INTEREST_CHANGE!r}")
    held, price = book.long.quantity.sum(), scenario.market.price
    if held == 0:
        raise ValueError(f"measure must be another but for a book with longs, was {_OPEN_INTEREST_CHANGE!r}")
    drawn = isinstance(result, DrawnSimulationResult)
    left = result.long_open_quantity if drawn else held - result.long_quantity
    return np.asarray(left * result.final_price / (held * price) - 1.0)
