"""Policies held against each other on the same random numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from inspect import signature
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flushpoint._shown import percent
from flushpoint._validate import number
from flushpoint._validate import progress as check_progress
from flushpoint.book import Book
from flushpoint.compare import Comparison, compare
from flushpoint.ensemble import Ensemble, _digest
from flushpoint.executor import check_executor
from flushpoint.margin import MarginSchedule, liquidation_price
from flushpoint.market import Market
from flushpoint.process import Process
from flushpoint.random_book import RandomBook
from flushpoint.shards import HOW
from flushpoint.simulate import Checked, SimulationResult, checked, simulate
from flushpoint.summary import Summary, check_columns, check_confidence, check_levels, table
from flushpoint.turnover import Turnover
from flushpoint.venue import Venue, _settings

BASELINE = "baseline"
#: What an experiment shows of its runs unless columns are named.
_MAIN = ("low_price", "liquidated_notional", "unpaid_loss", "socialised_loss", "fund_paid", "adl_quantity")
_ROUNDING = 1e-9

_FIGURES = ("baseline", "mean", "difference", "low", "high", "variance_reduction")


class Parts(NamedTuple):
    """What a policy can change of a run."""

    book: Book | RandomBook
    market: Market
    venue: Venue | None
    turnover: Turnover | None


@dataclass(frozen=True, repr=False)
class Policy:
    """What a policy changes: the venue or some of its settings, the market, or the leverage of the book.

    What is None stays as in the baseline.

    Parameters
    ----------
    venue : Venue, optional
        Another venue as a whole. Not together with single settings.
    market : Market, optional
        Another market, such as one with more depth.
    leverage_cap : float, optional
        Positions that had more leverage at entry, entry price / distance to the bankruptcy price, get the margin of
        this leverage, at least 1, and the trigger that goes with it: by `schedule`, or by the maintenance rate that
        their own trigger implies, s (trigger - bankruptcy) / trigger with s the side. Their quantity stays: traders are
        taken to bring more margin. That they would rather open smaller positions or none, and trade elsewhere, is not
        modelled; neither is what they do with the margin otherwise. In a book from `Book.topped_up` the margin that is
        yet to be added counts as there. What opens by a `Turnover` with more leverage has this one, too.
    schedule : MarginSchedule, optional
        Another table of tiers: every trigger becomes the `liquidation_price` of an isolated position with its quantity,
        entry price and margin, without fees. A venue that closes in part uses these tiers, too. Stop orders stay where
        they are, but where the new trigger comes first: there the position is liquidated. With a `Turnover`, which
        knows one maintenance rate, of one tier.
    close, fund, adl, surplus_to, adl_price, fee_rate, pacing, fee_to, fraction, target, whole_below, delay, \
mark_weight, price_band : optional
        Settings of the baseline's venue, as in `Venue`. A setting of that venue which the new ones leave without use
        goes back to its default.

    Raises
    ------
    TypeError, ValueError
        Where an argument breaks its rule, where nothing is changed, and where two contradict each other.

    Examples
    --------
    >>> Policy(leverage_cap=20, fund=1e6)
    Policy(leverage_cap=20.0, fund=1000000.0)
    """

    venue: Venue | None = None
    market: Market | None = None
    leverage_cap: float | None = None
    schedule: MarginSchedule | None = None
    close: str | None = None
    fund: float | None = None
    adl: str | None = None
    surplus_to: str | None = None
    adl_price: str | None = None
    fee_rate: float | None = None
    pacing: float | None = None
    fee_to: str | None = None
    fraction: float | None = None
    target: float | None = None
    whole_below: float | None = None
    delay: float | None = None
    mark_weight: float | None = None
    price_band: float | None = None

    def __post_init__(self) -> None:
        for name, kind in (("venue", Venue), ("market", Market), ("schedule", MarginSchedule)):
            value = getattr(self, name)
            if value is not None and not isinstance(value, kind):
                raise TypeError(f"{name} must be a {kind.__name__}, was {type(value).__name__}")
        if self.leverage_cap is not None:
            object.__setattr__(self, "leverage_cap", number("leverage_cap", self.leverage_cap, at_least=1))
        if all(getattr(self, field.name) is None for field in fields(self)):
            raise ValueError("policy must change something, was Policy()")
        changes = self._changes
        if self.venue is not None:
            for name, value in changes.items():
                raise ValueError(f"{name} must be left out where venue is given, was {value!r}")
            if self.schedule is not None and self.venue.close != "full" and self.venue.schedule != self.schedule:
                raise ValueError(f"schedule must be that of venue, which closes in part, was {_shown(self.schedule)}")
        # What is wrong with the settings whatever the baseline's venue is said here.
        Venue(**_settings({key: value for name in changes for key, value in _SENSE.get(name, {}).items()}, changes))

    @property
    def _changes(self) -> dict[str, Any]:
        """Settings of the venue that change."""
        given = {name: getattr(self, name) for name in _SETTINGS}
        return {name: value for name, value in given.items() if value is not None}

    def _venue(self, baseline: Venue | None) -> Venue | None:
        if self.venue is not None:
            return self.venue
        changes = self._changes
        close = self.close or ("full" if baseline is None else baseline.close)
        if self.schedule is not None and close != "full":
            changes["schedule"] = self.schedule
        if not changes:
            return baseline
        return (Venue() if baseline is None else baseline)._changed(changes)

    def _turnover(self, turnover: Turnover | None) -> Turnover | None:
        if not isinstance(turnover, Turnover) or (self.leverage_cap is None and self.schedule is None):
            return turnover
        mix, rate = turnover.leverage_mix, turnover.maintenance_rate
        if self.leverage_cap is not None:
            mix = mix._capped(self.leverage_cap)
        if self.schedule is not None:
            if self.schedule.rate.size > 1:
                raise ValueError(f"schedule must have one tier with turnover, was of {self.schedule.rate.size}")
            rate = float(self.schedule.rate[0])
        return replace(turnover, leverage_mix=mix, maintenance_rate=rate)

    def _book(self, book: Book | RandomBook, market: Market) -> Book | RandomBook:
        if self.leverage_cap is None and self.schedule is None:
            return book
        what = "leverage_cap" if self.leverage_cap is not None else "schedule"
        if not isinstance(book, Book):
            raise ValueError(f"{what} must be left out for a random book, which has no entry prices, was given")
        changed = _with_margins(book, what, self.leverage_cap, self.schedule)
        longs, shorts = changed._crossed(market.price)
        if longs or shorts:
            raise ValueError(
                f"{what} must leave no position crossed at the market's price, {market.price:g}; "
                f"{longs:,} longs and {shorts:,} shorts would be"
            )
        return changed

    def _applied(self, baseline: Parts) -> Parts:
        """What the policy makes of a baseline."""
        book, market, venue, turnover = baseline
        market = market if self.market is None else self.market
        if turnover is None or not isinstance(book, Book) or len(book):  # else all positions are those that open
            book = self._book(book, market)
        return Parts(book, market, self._venue(venue), self._turnover(turnover))

    def __repr__(self) -> str:
        given = [(field.name, getattr(self, field.name)) for field in fields(self)]
        return f"Policy({', '.join(f'{name}={_shown(value)}' for name, value in given if value is not None)})"


_SETTINGS = tuple(
    field.name for field in fields(Policy) if field.name not in ("venue", "market", "leverage_cap", "schedule")
)
_TIERS = MarginSchedule.flat(0.01)
#: What else a venue needs for a setting to make sense.
_SENSE: dict[str, dict[str, Any]] = {
    "close": {"schedule": _TIERS},
    "adl_price": {"adl": "queue"},
    "fraction": {"close": "fraction"},
    "target": {"close": "fraction"},
    "whole_below": {"close": "fraction"},
}


def _shown(value: object) -> str:
    if isinstance(value, MarginSchedule):
        return f"<{value.rate.size} tiers>"
    return repr(value)


def exceeds(book: Book, leverage: float) -> NDArray[np.bool_]:
    """Tell which positions had more leverage at entry, as far as the book has the prices to tell."""
    entry, bankruptcy = book.entry_price, book.bankruptcy_price
    if entry is None or bankruptcy is None:
        return np.zeros(len(book), dtype=bool)
    # Margin that is gone at entry is leverage above any.
    return np.asarray(book.side * (entry - bankruptcy) * leverage < entry * (1 - _ROUNDING))


def _with_margins(book: Book, what: str, cap: float | None, schedule: MarginSchedule | None) -> Book:
    """Return the book with leverage capped, and with the triggers of another table of tiers where there is one."""
    entry, bankruptcy = book.entry_price, book.bankruptcy_price
    if entry is None or bankruptcy is None:
        lacking = "entry prices" if entry is None else "bankruptcy prices"
        raise ValueError(f"book must have {lacking} for {what}, was without")
    side, trigger = book.side.astype(np.float64), book.trigger_price
    never = (trigger == 0) | (trigger == np.inf)
    new_trigger = trigger
    new_bankruptcy = bankruptcy
    if cap is not None:
        above = exceeds(book, cap)
        new_bankruptcy = np.where(above, np.maximum(entry * (1 - side / cap), 0.0), bankruptcy)
        if schedule is None:
            with np.errstate(divide="ignore", invalid="ignore"):
                # Of s T - m T = s B the rate m stays.
                moved = trigger * (new_bankruptcy / bankruptcy)
            stays = never if book.stop is None else never | book.stop
            new_trigger = np.where(above & ~stays, moved, trigger)
    if schedule is not None:
        finite = np.isfinite(new_bankruptcy)
        margin = side * book.quantity * (entry - np.where(finite, new_bankruptcy, entry))
        prices = np.asarray(liquidation_price(book.side, book.quantity, entry, margin, schedule))
        new_trigger = np.where(finite, prices, trigger)
    if book.stop is None or schedule is None:
        return book._with(trigger_price=new_trigger, bankruptcy_price=new_bankruptcy)
    # A stop order stands where it stood, unless liquidation now comes first, as it does before one that never fires.
    liquidated = book._with(trigger_price=new_trigger, bankruptcy_price=new_bankruptcy, stop=np.zeros(len(book), bool))
    return liquidated.with_stops(np.where(book.stop & ~never, trigger, np.nan))


@dataclass(frozen=True, eq=False, repr=False)
class Experiment(Mapping[str, SimulationResult]):
    """The outcomes of policies, on the random numbers of one baseline: a mapping of name to result.

    Printed, a table: a row a policy, with what it changes on average and in the tail.

    Attributes
    ----------
    baseline : SimulationResult
        Without any policy.
    policies : mapping of str to Policy
    columns : tuple of str
        Columns that are compared.
    levels : tuple of float
        Of value at risk and expected shortfall.
    confidence : float
        Of every interval.
    """

    baseline: SimulationResult
    policies: Mapping[str, Policy]
    columns: tuple[str, ...]
    levels: tuple[float, ...]
    confidence: float
    _results: dict[str, SimulationResult]
    _comparisons: dict[str, Comparison]

    def __getitem__(self, name: str) -> SimulationResult:
        return self._results[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._results)

    def __len__(self) -> int:
        return len(self._results)

    def __reduce__(self) -> tuple[Any, ...]:  # a mapping proxy does not pickle
        parts = (self.columns, self.levels, self.confidence, self._results, self._comparisons)
        return _experiment, (self.baseline, dict(self.policies), *parts)

    def comparison(self, name: str) -> Comparison:
        """Return the comparison of a policy with the baseline, path by path.

        Parameters
        ----------
        name : str
            Of the policy.

        Returns
        -------
        Comparison
            a is the baseline, b the policy.
        """
        if name not in self._comparisons:
            raise ValueError(f"name must be among {', '.join(self._comparisons)}, was {name!r}")
        return self._comparisons[name]

    def summary(self) -> dict[str, Summary]:
        """Return the summaries of all runs, "baseline" first: means, quantiles and tails of the columns compared.

        Returns
        -------
        dict of str to Summary
        """
        runs: dict[str, Ensemble] = {BASELINE: self.baseline, **self._results}
        return {name: run.summary(self.columns, self.levels, self.confidence) for name, run in runs.items()}

    def table(self) -> NDArray[np.void]:
        """Return what each policy changes in the mean of each column.

        Returns
        -------
        structured ndarray
            ``policy``, ``column``, ``baseline`` and ``mean`` (means of the baseline and of the policy), ``difference``
            with the ends ``low`` and ``high`` of its interval, ``variance_reduction`` as in `Comparison`.
        """
        rows = [
            (
                name,
                column,
                figures["mean_a"],
                figures["mean_b"],
                *figures["difference"],
                figures["variance_reduction"],
            )
            for name, comparison in self._comparisons.items()
            for column, figures in comparison.items()
        ]
        names = [(name, f"U{max(map(len, some))}") for name, some in (("policy", self), ("column", self.columns))]
        out = np.array(rows, dtype=[*names, *((name, np.float64) for name in _FIGURES)])
        out.flags.writeable = False
        return out

    def __repr__(self) -> str:
        return f"<Experiment: {', '.join(self)} against the baseline, {self.baseline._count:,} paths>"

    def __str__(self) -> str:
        head = (
            f"{self.baseline._count:,} paths on the same random numbers, intervals at {percent(self.confidence)} "
            "confidence"
        )
        before = self.baseline.summary(self.columns, self.levels, self.confidence)
        lines = [head, "", "change of the mean, and by how much common random numbers cut its variance"]
        lines += self._rows(
            lambda column: f"{_mean(before[column]):.5g}",
            _change,
        )
        tails = [column for column in self.columns if "tail" in before[column]]
        for level in self.levels if tails else ():
            lines += ["", f"expected shortfall at {percent(level)}, and its change"]
            lines += self._rows(
                lambda column, level=level: f"{before[column]['expected_shortfall'][level].value:.5g}",  # type: ignore[misc]
                lambda figures, level=level: str(figures["expected_shortfall"][level]),  # type: ignore[misc]
                tails,
            )
        return "\n".join(lines)

    def _rows(
        self,
        before: Callable[[str], str],
        change: Callable[[dict[str, Any]], str],
        columns: Iterable[str] | None = None,
    ) -> list[str]:
        names = self.columns if columns is None else tuple(columns)
        rows = [["", *names], [BASELINE, *map(before, names)]]
        rows += [[name, *(change(one[column]) for column in names)] for name, one in self._comparisons.items()]
        return table(rows)


def _change(figures: dict[str, Any]) -> str:
    cut = figures["variance_reduction"]
    return f"{figures['difference']}" + (f", 1/{cut:.3g}" if math.isfinite(cut) else "")


def _mean(figures: dict[str, Any]) -> float:
    return float(figures["probability" if "probability" in figures else "mean"].value)


def _experiment(baseline: SimulationResult, policies: dict[str, Policy], *parts: Any) -> Experiment:
    return Experiment(baseline, MappingProxyType(policies), *parts)


def experiment(
    book: Book | RandomBook,
    market: Market,
    process: Process,
    policies: Mapping[str, Policy],
    *,
    venue: Venue | None = None,
    baseline: SimulationResult | None = None,
    columns: Iterable[str] | None = None,
    levels: ArrayLike = (0.95, 0.99),
    confidence: float = 0.95,
    progress: Callable[[int, int], object] | None = None,
    **arguments: Any,
) -> Experiment:
    """Run a baseline and policies on the same random numbers, and compare them path by path.

    Parameters
    ----------
    book, market, process
        Of the baseline, as in `simulate`.
    policies : mapping of str to Policy
        At least one, by name.
    venue : Venue, optional
        Of the baseline. Where it is None and a policy needs a venue, the baseline's is ``Venue()``.
    baseline : SimulationResult, optional
        The baseline's run, if it has been made already: that of the same arguments, but for `record`, where its own
        holds.
    columns : iterable of str, optional
        What is compared and all that the results hold. By default the results hold what `simulate` gives by default,
        and prices, notionals and who bore the losses are compared, where they are not 0 throughout.
    levels : array_like, default (0.95, 0.99)
        Of value at risk and expected shortfall, above 0 and below 1.
    confidence : float, default 0.95
        Of the intervals, above 0 and below 1.
    progress : callable, optional
        Called now and then as ``progress(paths done, paths)``, all runs together.
    **arguments
        Of `simulate`: horizon, steps, paths, seed, executor, ... but for `checkpoint` and `keep`. Without a seed a
        fresh one is drawn, once for all runs.

    Returns
    -------
    Experiment

    Raises
    ------
    TypeError, ValueError
        As `simulate`, and where a policy contradicts itself, the venue or the book, or `baseline` is the run of other
        arguments. All is checked before anything is run.

    Examples
    --------
    >>> book = Book.from_leverage_mix(1e6, 100.0)
    >>> market = Market(100.0, LinearImpact(1e-5), half_life=3_600)
    >>> x = experiment(book, market, GBM(1.0), {"at most 20x": Policy(leverage_cap=20)}, paths=500, seed=1)
    >>> x.comparison("at most 20x")["liquidated_notional"]["difference"].high < 0
    True
    """
    check_policies("policies", policies)
    if not policies:
        raise ValueError("policies must name at least one, was empty")
    if venue is not None and not isinstance(venue, Venue):
        raise TypeError(f"venue must be a Venue, was {type(venue).__name__}")
    if not isinstance(market, Market):
        raise TypeError(f"market must be a Market, was {type(market).__name__}")
    wanted = check_levels(levels)
    sure = check_confidence(confidence)
    check_progress(progress)
    executor = arguments.pop("executor", None)
    check_executor(executor)
    for name in ("checkpoint", "keep"):
        if name in arguments:
            raise TypeError(f"{name} must be left out, was {arguments[name]!r}")
    if columns is not None:
        columns = (columns,) if isinstance(columns, str) else tuple(columns)
    if baseline is not None:
        if not isinstance(baseline, SimulationResult):
            raise TypeError(f"baseline must be a SimulationResult, was {type(baseline).__name__}")
        if arguments.get("seed") is None:
            arguments["seed"] = baseline.seed
    baseline_parts = Parts(book, market, venue_of(policies, venue), arguments.pop("turnover", None))
    runs = {BASELINE: baseline_parts, **with_policies("policies", policies, baseline_parts)}

    done = 0 if baseline is None else 1
    all_checked: list[Checked] = []
    for i, (name, parts) in enumerate(runs.items()):
        if all_checked:
            arguments["seed"] = all_checked[0].seed  # a fresh one is drawn once
        report = None if progress is None else share_of(progress, i - done, len(runs) - done)
        given = {"columns": columns, "venue": parts.venue, "turnover": parts.turnover, "progress": report, **arguments}
        bound = signature(simulate).bind(parts.book, parts.market, process, **given)
        bound.apply_defaults()
        asked = {name: value for name, value in bound.arguments.items() if name not in HOW}
        try:
            all_checked.append(checked(**asked))
        except (TypeError, ValueError) as error:
            if not all_checked:
                raise
            raise type(error)(f"policies[{name!r}]: {error}") from None
    if baseline is None:
        baseline = all_checked[0].result(executor)
    else:
        _check_baseline(baseline, all_checked[0])
    rest = {name: run.result(executor) for name, run in zip(policies, all_checked[1:], strict=True)}
    shown = tuple(check_columns(baseline, columns) if columns is not None else main_columns([baseline, *rest.values()]))
    comparisons = {
        name: compare(baseline, result, shown, levels=wanted, confidence=sure) for name, result in rest.items()
    }
    return _experiment(baseline, dict(policies), shown, wanted, sure, rest, comparisons)


def _check_baseline(baseline: SimulationResult, asked: Checked) -> None:
    """Raise unless a result is that of the run asked for, but for what it has recorded."""
    found, wanted = baseline._identity, asked.outline._identity
    found["paths"], wanted["paths"] = baseline.provenance["paths"], ((asked.rows.start, asked.rows.stop),)
    for name, value in wanted.items():
        if name == "the argument record":
            continue
        if name not in found or _digest(found[name]) != _digest(value):
            raise ValueError(f"baseline must be the run of the other arguments, differs in {name}")


def check_policies(argument: str, policies: Mapping[str, Policy]) -> None:
    """Raise unless `policies` are policies by name."""
    if not isinstance(policies, Mapping):
        raise TypeError(f"{argument} must be a mapping of names to policies, was {type(policies).__name__}")
    for name, policy in policies.items():
        if not isinstance(name, str):
            raise TypeError(f"{argument} must have names of text, was {name!r}")
        if name == BASELINE:
            raise ValueError(f"{argument} must not be named {BASELINE!r}, was one")
        if not isinstance(policy, Policy):
            raise TypeError(f"{argument} must hold a Policy each, was {type(policy).__name__} for {name!r}")


def venue_of(policies: Mapping[str, Policy], venue: Venue | None) -> Venue | None:
    """Return the baseline's venue: the default one where there is none and a policy needs one."""
    needed = any(policy.venue is not None or policy._changes for policy in policies.values())
    return Venue() if venue is None and needed else venue


def with_policies(argument: str, policies: Mapping[str, Policy], baseline: Parts) -> dict[str, Parts]:
    """Return what each policy makes of the baseline."""
    out = {}
    for name, policy in policies.items():
        try:
            out[name] = policy._applied(baseline)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{argument}[{name!r}]: {error}") from None
    return out


def main_columns(runs: Iterable[SimulationResult], more: Iterable[str] = ()) -> list[str]:
    """Return the columns that are compared unless some are named: those in all runs that are not 0 throughout."""
    given = list(runs)
    names = dict.fromkeys((*more, *_MAIN))
    return [name for name in names if all(name in run for run in given) and any(run[name].any() for run in given)]


def share_of(progress: Callable[[int, int], object], run: int, runs: int) -> Callable[[int, int], object]:
    """Return what one of several runs reports to."""
    return lambda done, paths: progress(run * paths + done, runs * paths)
