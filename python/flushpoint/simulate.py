"""Paths in time: an exogenous price, and the cascades it sets off in a book."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Literal, cast, overload

import numpy as np
from numpy.random import SeedSequence
from numpy.typing import ArrayLike, NDArray

from flushpoint._validate import FloatArray, check, count, finite_array, memory, number
from flushpoint._validate import progress as check_progress
from flushpoint._validate import threads as check_threads
from flushpoint.account_simulate import AccountSimulationResult, account_job
from flushpoint.accounts import Accounts
from flushpoint.book import Book
from flushpoint.cascade import _check_at_rest, _check_inputs, _check_market
from flushpoint.ensemble import Ensemble, choice
from flushpoint.factor_model import FactorModel
from flushpoint.funding import Funding
from flushpoint.market import Market
from flushpoint.markets import Markets
from flushpoint.outcome import BookOutcome, frozen
from flushpoint.process import GBM, Bootstrap, Process, Returns
from flushpoint.random_book import RandomBook, most_closed
from flushpoint.run import DRAWN, OF_MARKET, PathResult, Run
from flushpoint.script import Script
from flushpoint.seed import resolve
from flushpoint.sellers import VolatilityTargeting, check_sellers
from flushpoint.settlement import BALANCE, LEDGER, MONEY, SettledRows, check_settled
from flushpoint.shards import Columns, Directory, Job, answered, check_seed, rows_at_once
from flushpoint.streamed import StreamedEnsemble
from flushpoint.turnover import Turnover
from flushpoint.venue import Venue

_PATHS_AT_ONCE = 8  # that a thread of the engine works on
_MOST_STEPS = 2**32 - 1
_MOST_OPENINGS = 1e12  # a path, on average: the work of hours
_MOST_PATHS = 2**62


class SimulationResult(BookOutcome, Ensemble):
    """The outcomes of paths, one value a path.

    As a mapping it holds the columns asked for, by default all but `proceeds`, `shortfall` and `surplus`, and those of
    stop orders only where the book holds some. Any other is worked out when it is first asked for, if need be by
    running the paths once more. Columns of what the run is without (stop orders, support, depth that lives) cannot be
    asked for; the attributes are 0 there, and `least_liquidity` 1.

    Attributes
    ----------
    final_price, low_price, high_price : ndarray of float64, shape (paths,)
        Quote units per base unit. Low and high include the start, every step and every wave.
    low_time : ndarray of float64, shape (paths,)
        Seconds after the start of the step in which the low was reached, measured to the step's end.
    long_count, short_count : ndarray of int64, shape (paths,)
        Positions closed, stop orders too: the columns of ``liquidated_`` are without them, those of ``stop_`` hold
        them alone, both sides together.
    waves : ndarray of int64, shape (paths,)
        How many waves there were.
    exhausted : ndarray of bool, shape (paths,)
        Whether the depth was used up (only `EvaporatingImpact` can be).
    targeting_quantity : ndarray of float64, shape (paths,)
        With `sellers` only, on demand: what they sold less what they bought, base units.
    proceeds : ndarray of float64, shape (paths,)
        Money received for the longs closed less money paid for the shorts, quote units; without scripted sales and
        those of `sellers`.
    shortfall, surplus : ndarray of float64, shape (paths,)
        Sum over positions of how far proceeds fall short of, or exceed, quantity x bankruptcy price, quote units. nan,
        not known, where the book has no bankruptcy prices.
    support_quantity : ndarray of float64, shape (paths,)
        Bought by the market's `Support`, base units; in the mapping where the market has one.
    least_liquidity : ndarray of float64, shape (paths,)
        Lowest liquidity that the market's `LivingDepth` came to, 1 at rest; in the mapping where it has one.
    """

    _names: ClassVar[tuple[str, ...]] = (
        "final_price",
        "low_price",
        "high_price",
        "low_time",
        *BookOutcome._outcome_names,
        "waves",
        "exhausted",
    )
    _on_demand: ClassVar[tuple[str, ...]] = (*_names, *MONEY)
    _shared: ClassVar[tuple[str, ...]] = ("_book", "_run", "_record", "_watch")

    _run: Run
    _record: NDArray[np.int64] | None
    _watch: NDArray[np.int64] | None

    def __getattr__(self, name: str) -> Any:
        # Only what is not there yet comes here: columns that the engine has not been asked for.
        if name == "prices":
            raise AttributeError("record must be given for prices in time, was None")
        if "_run" not in self.__dict__ or name not in self._run.engine_columns:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return self._fetch(name)

    def _fetch(self, name: str) -> Any:
        """Run the paths once more for a column of the engine, and keep it."""
        # Columns that cost much come together: they need the same work.
        together = next((names for names in (MONEY, LEDGER, BALANCE) if name in names), (name,))
        wanted = [n for n in together if n not in self.__dict__]
        known = self._run.known(wanted)
        parts = [self._run.paths(range(*one), known) for one in self.provenance["paths"]] if known else []
        for n in wanted:
            column = np.concatenate([part[n] for part in parts]) if n in known else np.full(self._count, np.nan)
            self.__dict__[n] = frozen(column)
        return self.__dict__[name]

    def _join(self, other: SimulationResult) -> dict[str, Any]:
        values = super()._join(other)
        engine = {
            n
            for n in (*self._run.engine_columns, *DRAWN, *self._stop_names, "prices")
            if n in self.__dict__ and n in other.__dict__
        }
        return values | {n: self._rows(other, self.__dict__[n], other.__dict__[n]) for n in engine}

    @property
    def recorded_time(self) -> FloatArray:
        """Seconds after the start at which `prices` were recorded, shape (recorded steps,)."""
        return frozen(np.asarray(self._recorded * self._run.dt, dtype=np.float64))

    @property
    def _recorded(self) -> NDArray[np.int64]:
        if self._record is None:
            raise ValueError("record must be given for prices in time, was None")
        return self._record

    def fan(self, quantiles: ArrayLike = (0.05, 0.25, 0.5, 0.75, 0.95)) -> FloatArray:
        """Quantiles over paths of the recorded prices: the fan of a chart.

        Parameters
        ----------
        quantiles : array_like, shape (n,)
            From 0 to 1.

        Returns
        -------
        ndarray of float64, shape (n, recorded steps)
            The times are those of `recorded_time`; inf between a price and one without bound, where depth is used up.
        """
        levels = finite_array("quantiles", quantiles)
        check("quantiles", levels, (levels >= 0) & (levels <= 1), "between 0 and 1")
        self._recorded  # raises where nothing was recorded  # noqa: B018
        with np.errstate(invalid="ignore"):
            prices = np.asarray(np.quantile(self.prices, levels, axis=0))
        if not np.isfinite(prices).all():
            prices = np.where(np.isfinite(prices), prices, np.quantile(self.prices, levels, axis=0, method="higher"))
        return prices

    @cached_property
    def watch_probability(self) -> FloatArray:
        """Share of paths in which each watched position is closed, shape of `watch`."""
        if self._watch is None:
            raise ValueError("watch must be given for watch_probability, was None")
        return frozen(self._closed_share(self._watch))

    def replay(self, path: int) -> PathResult:
        """Run one path again, and tell every step and wave of it.

        Parameters
        ----------
        path : int
            Its number, one of the paths of this run.

        Returns
        -------
        PathResult
        """
        number_ = count("path", path, 0)
        if not any(start <= number_ < stop for start, stop in self.provenance["paths"]):
            ranges = ", ".join(f"{start} to {stop - 1}" for start, stop in self.provenance["paths"])
            raise ValueError(f"path must be one of {ranges}, was {number_}")
        return self._run.replay(number_)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self._count:,} paths, {self._closing}{self._seeded}>"


class _EngineSums(SimulationResult):
    """What the engine adds up itself, since counts of positions do not tell it."""

    @cached_property
    def long_quantity(self) -> FloatArray:
        """Quantity of the longs closed, base units."""
        return self._fetch("long_quantity")  # type: ignore[no-any-return]

    @cached_property
    def short_quantity(self) -> FloatArray:
        """Quantity of the shorts closed, base units."""
        return self._fetch("short_quantity")  # type: ignore[no-any-return]

    @cached_property
    def long_notional(self) -> FloatArray:
        """Sum of quantity x trigger price over the longs closed, quote units."""
        return self._fetch("long_notional")  # type: ignore[no-any-return]

    @cached_property
    def short_notional(self) -> FloatArray:
        """Sum of quantity x trigger price over the shorts closed, quote units."""
        return self._fetch("short_notional")  # type: ignore[no-any-return]


class DrawnSimulationResult(_EngineSums):
    """The outcomes of paths whose positions are drawn: of a random book, or with turnover; one value a path.

    As `SimulationResult`, but for what needs the positions of one known book: `watch`, groups, shortfall and surplus
    (nan, not known). Of a random book the mapping leaves out the notionals, too, unless they are asked for. They are as
    in `FundedSimulationResult` with funding.

    Attributes
    ----------
    runaway : ndarray of bool, shape (paths,)
        Of a random book only: whether more than `max_count` positions would have closed, so that no more did.
    long_open_quantity, short_open_quantity : ndarray of float64, shape (paths,)
        With `turnover` only, on demand: base units still open at the end. Which positions of the book have closed of
        themselves is drawn only when they are crossed; of the others this is the mean.
    """

    runaway: NDArray[np.bool_]
    long_open_quantity: FloatArray
    short_open_quantity: FloatArray

    def _check_groups(self) -> None:
        raise ValueError("book must be a Book, without turnover, for sums by group")


class VenueSimulationResult(SettledRows, _EngineSums):
    """The outcomes of paths with a venue, one value a path: as `SimulationResult`, and where the money went.

    As a mapping it holds the columns asked for, by default all.

    Attributes
    ----------
    fund_end, fund_paid, fund_received, fund_needed, fees, unpaid_loss, socialised_loss, adl_quantity : ndarray
        As in `Settled`; the fund lasts through the path.
    adl_count : ndarray of int64, shape (paths,)
        How many times a winner's position was reduced.

    With funding, too, notionals are at the triggers as it had moved them by the time of each close.
    """

    _names = (*SimulationResult._names, *MONEY, *LEDGER)

    def _apart(self, what: str, *, stops: bool) -> NDArray[Any]:
        if stops and self._kinds is not None:
            return self._fetch(f"stop_{what}")  # type: ignore[no-any-return]
        return super()._apart(what, stops=stops)

    @property
    def _venue(self) -> Venue:
        venue = self._run.venue
        assert venue is not None
        return venue

    def _balance_columns(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in BALANCE}


class FundedSimulationResult(_EngineSums):
    """The outcomes of paths with funding, one value a path: as `SimulationResult`.

    Notionals are at the triggers that fired, to which funding has moved them; `group_notional` is at the book's own.
    """


@overload
def simulate(
    book: Book | RandomBook,
    market: Market,
    process: Process,
    horizon: float = 86_400.0,
    steps: int = 1_440,
    paths: int | range = 100_000,
    seed: int | SeedSequence | None = None,
    monitoring: str = "step",
    columns: Sequence[str] | None = None,
    record: str | int | ArrayLike | None = None,
    watch: ArrayLike | None = None,
    *,
    venue: Venue | None = None,
    funding: Funding | None = None,
    sellers: VolatilityTargeting | Sequence[VolatilityTargeting] | None = None,
    antithetic: bool = False,
    script: Script | None = None,
    turnover: Turnover | None = None,
    max_count: int | None = None,
    executor: Any = None,
    checkpoint: Directory = None,
    keep: Literal["paths"] = "paths",
    threads: int = 0,
    progress: Callable[[int, int], object] | None = None,
) -> SimulationResult: ...


@overload
def simulate(
    book: Accounts,
    market: Markets,
    process: FactorModel | Process,
    horizon: float = 86_400.0,
    steps: int = 1_440,
    paths: int | range = 100_000,
    seed: int | SeedSequence | None = None,
    *,
    columns: Sequence[str] | None = None,
    venue: Venue | None = None,
    antithetic: bool = False,
    executor: Any = None,
    checkpoint: Directory = None,
    keep: Literal["paths"] = "paths",
    threads: int = 0,
    progress: Callable[[int, int], object] | None = None,
) -> AccountSimulationResult: ...


@overload
def simulate(
    book: Book | RandomBook | Accounts,
    market: Market | Markets,
    process: Process | FactorModel,
    horizon: float = 86_400.0,
    steps: int = 1_440,
    paths: int | range = 100_000,
    seed: int | SeedSequence | None = None,
    monitoring: str = "step",
    columns: Sequence[str] | None = None,
    *,
    venue: Venue | None = None,
    funding: Funding | None = None,
    sellers: VolatilityTargeting | Sequence[VolatilityTargeting] | None = None,
    antithetic: bool = False,
    script: Script | None = None,
    turnover: Turnover | None = None,
    max_count: int | None = None,
    executor: Any = None,
    checkpoint: Directory = None,
    keep: Literal["summary"],
    threads: int = 0,
    progress: Callable[[int, int], object] | None = None,
) -> StreamedEnsemble: ...


def simulate(
    book: Book | RandomBook | Accounts,
    market: Market | Markets,
    process: Process | FactorModel,
    horizon: float = 86_400.0,
    steps: int = 1_440,
    paths: int | range = 100_000,
    seed: int | SeedSequence | None = None,
    monitoring: str = "step",
    columns: Sequence[str] | None = None,
    record: str | int | ArrayLike | None = None,
    watch: ArrayLike | None = None,
    *,
    venue: Venue | None = None,
    funding: Funding | None = None,
    sellers: VolatilityTargeting | Sequence[VolatilityTargeting] | None = None,
    antithetic: bool = False,
    script: Script | None = None,
    turnover: Turnover | None = None,
    max_count: int | None = None,
    executor: Any = None,
    checkpoint: Directory = None,
    keep: str = "paths",
    threads: int = 0,
    progress: Callable[[int, int], object] | None = None,
) -> SimulationResult | AccountSimulationResult | StreamedEnsemble:
    """Move the price through time, again and again, and let the book respond.

    In each step the recovering volume decays, the exogenous log price moves by the process's return, and a cascade
    runs. Path i uses random numbers of (seed, i) only: any path range gives those paths of any longer run, bit for
    bit, whatever the threads.

    Parameters
    ----------
    book : Book, RandomBook or Accounts
        No position may be crossed at the market's price, see `Book.alive`, and no account fail there. Of a random book
        every path draws its own.
    market : Market, or Markets for accounts
    process : GBM, JumpDiffusion, StudentT, GARCH, Bootstrap or Returns, or for accounts FactorModel or Returns
        How the exogenous price moves. `Returns` must have a row for each path and a column for each step, for accounts
        of each market.
    horizon : float, default 86400.0
        Seconds, positive.
    steps : int, default 1440
        How many steps that is, from 1 to 2**32 - 1.
    paths : int or range, default 100000
        How many paths, or which: a range of step 1.
    seed : int, numpy.random.SeedSequence or None
        None draws a fresh one, which the result keeps.
    monitoring : {"step", "bridge"}, default "step"
        "bridge" watches the price within steps, too: the extreme of the Brownian bridge between two steps is drawn
        from its law, P(min <= m) = exp(-2 (a - m)(b - m) / (volatility^2 dt)), the cascade runs there, then the price
        moves on to the step's end; a scripted move comes after the bridge. For a `GBM` and a book of one side: lows are
        watched where longs can be triggered, highs otherwise. Not for a market with `LivingDepth`, which goes by the
        moves from step to step.
    columns : sequence of str, optional
        Which columns the result holds: by default all that cost nothing extra.
    record : "all", int or array_like of int, optional
        Keep prices in time: of every step, of every `record`-th and the last one, or of the steps given (0 is the
        start), in rising order. They become `prices`, of shape (paths, recorded steps).
    watch : array_like of int, optional
        Positions, by their place in the book's input, whose probability of being closed is wanted.
    venue : Venue, optional
        What follows a trigger, and who pays; the book needs bankruptcy prices. Its fund lasts through a path. Not for
        a random book, nor with turnover.
    funding : Funding, optional
        What longs pay shorts at regular times, which moves their triggers. Not for a book with stop orders.
    sellers : VolatilityTargeting or sequence of them, optional
        Others who must sell when prices move, besides those who are liquidated. Not with "bridge". The column
        `targeting_quantity` tells what they sold.
    antithetic : bool, default False
        Paths 2k and 2k + 1 share their random numbers, with opposite signs. Not for `Bootstrap` and `Returns`.
        `summary`, `exceedance` and `compare` know of it: they judge means by pairs.
    script : Script, optional
        Sales and moves of the exogenous price at given times, the same in every path.
    turnover : Turnover, optional
        Positions that open and close of themselves. Not for a random book, nor with "bridge" or stop orders.
    max_count : int, default 1000000
        Of a random book only: a path in which more positions would close is a runaway; no more do.
    executor : concurrent.futures.Executor or dask.distributed.Client, optional
        Where parts of the paths are run, to the same bits as here; what is lost with a worker is run again.
        Columns that are worked out later are worked out here.
    checkpoint : str or path, optional
        A directory in which parts that are done are kept, so that the same call goes on with the others. It must be
        new, empty or of the same run.
    keep : {"paths", "summary"}, default "paths"
        "summary" keeps sums and counts instead of paths: little memory, however many paths. Not with `record` and
        `watch`.
    threads : int, default 0
        0 means all processors. With an executor, those of each of its tasks, and 0 means one.
    progress : callable, optional
        Called now and then as ``progress(paths done, paths)``, from the calling thread.

    Returns
    -------
    SimulationResult
        For random books and turnover a `DrawnSimulationResult`, with a venue a `VenueSimulationResult`, with funding
        alone a `FundedSimulationResult`, for accounts an `AccountSimulationResult`, where `keep` is "summary" a
        `StreamedEnsemble`. Accounts know of no `monitoring`
        "bridge", `record`, `watch`, `funding`, `sellers`, `script` and `turnover`, which are refused.

    Raises
    ------
    ValueError
        Where an argument breaks its rule, or two contradict each other.

    Examples
    --------
    >>> book = Book(1, np.full(99, 10.0), np.linspace(80, 99, 99))
    >>> e = simulate(book, Market(100.0, LinearImpact(1e-4)), GBM(1.0), paths=1_000, seed=1)
    >>> e.final_price.shape
    (1000,)
    """
    if isinstance(book, Accounts) or isinstance(market, Markets):
        unused = {
            "monitoring": None if monitoring == "step" else monitoring,
            "record": record,
            "watch": watch,
            "funding": funding,
            "sellers": sellers,
            "script": script,
            "turnover": turnover,
            "max_count": max_count,
        }
        seconds, step_count, chosen = _clock(horizon, steps, paths)
        mirrored = _antithetic(antithetic)
        job: Job = account_job(
            book,
            market,
            process,
            seconds,
            step_count,
            chosen,
            seed,
            columns,
            venue,
            mirrored,
            threads,
            progress,
            unused,
        )
    else:
        job = checked(
            book,
            market,
            process,
            horizon,
            steps,
            paths,
            seed,
            monitoring,
            columns,
            record,
            watch,
            venue=venue,
            funding=funding,
            sellers=sellers,
            antithetic=antithetic,
            script=script,
            turnover=turnover,
            max_count=max_count,
            threads=threads,
            progress=progress,
        )
    check_seed(seed, job.seed, checkpoint)
    return answered(job, executor, checkpoint, keep, record=record, watch=watch)  # type: ignore[no-any-return]


@dataclass(frozen=True, eq=False)
class Checked(Job):
    """A run whose arguments are checked, before any work."""

    run: Run
    wanted: tuple[str, ...]
    record: NDArray[np.int64] | None

    def columns(self, part: range, progress: Callable[[int, int], object] | None) -> Columns:
        """What the engine tells of some paths."""
        return replace(self.run, threads=self.threads).paths(part, self.wanted, self.record, progress)


def checked(
    book: Book | RandomBook,
    market: Market,
    process: Process | FactorModel,
    horizon: float,
    steps: int,
    paths: int | range,
    seed: int | SeedSequence | None,
    monitoring: str,
    columns: Sequence[str] | None,
    record: str | int | ArrayLike | None,
    watch: ArrayLike | None,
    *,
    venue: Venue | None,
    funding: Funding | None,
    sellers: VolatilityTargeting | Sequence[VolatilityTargeting] | None,
    antithetic: bool,
    script: Script | None,
    turnover: Turnover | None,
    max_count: int | None,
    threads: int,
    progress: Callable[[int, int], object] | None,
) -> Checked:
    """Check the arguments of `simulate`."""
    random = isinstance(book, RandomBook)
    if random:
        _check_market(market)
    else:
        _check_inputs(book, market)
    if not isinstance(process, Process):
        raise TypeError(f"process must be a process such as GBM(0.6), was {type(process).__name__}")
    seconds, step_count, chosen = _clock(horizon, steps, paths)
    if not isinstance(monitoring, str) or monitoring not in ("step", "bridge"):
        raise ValueError(f"monitoring must be 'step' or 'bridge', was {monitoring!r}")
    mirrored = _antithetic(antithetic)
    if script is not None and not isinstance(script, Script):
        raise TypeError(f"script must be a Script, was {type(script).__name__}")
    workers = check_threads(threads)
    check_progress(progress)
    bridge = monitoring == "bridge"
    _check_process(process, step_count, chosen, bridge, mirrored)
    if bridge and market.depth is not None:
        raise ValueError(
            f"monitoring must be 'step' for a market with depth that lives, was 'bridge' with {market.depth!r}"
        )
    living = _check_turnover(turnover, random, bridge)
    if venue is not None:
        _check_settled(venue, book, living, bridge)
    if funding is not None and not isinstance(funding, Funding):
        raise TypeError(f"funding must be a Funding, was {type(funding).__name__}")
    funds = check_sellers(sellers)
    if funds and bridge:
        raise ValueError(f"sellers must be left out where monitoring is 'bridge', was {sellers!r}")
    _check_stops(book, living, funding)
    most = most_closed(book, max_count)
    _check_book(book, market, bridge)
    # Given returns and a known book hold nothing random: without a seed, shards of one run still join.
    fixed = isinstance(process, Returns) and not random and living is None
    kept, key = (None, 0) if seed is None and fixed else resolve(seed)
    kind: type[SimulationResult] = SimulationResult
    if venue is not None:
        kind = VenueSimulationResult
    elif random or living:
        kind = DrawnSimulationResult
    elif funding is not None:
        kind = FundedSimulationResult
    recorded = _recorded(record, step_count)
    watched = _watched(watch, book, living, venue)
    run = Run(
        book,
        market,
        process,
        script,
        living,
        venue,
        funding,
        funds,
        seconds,
        step_count,
        key,
        mirrored,
        bridge,
        most,
        workers,
    )
    held = _columns(columns, book, kind, market, run.parts_columns)
    at_once = min(len(chosen), _PATHS_AT_ONCE * (workers or os.cpu_count() or 1))
    if living is not None:
        memory("open positions", living._most_open(seconds), 24 * at_once)
        number("opening_rate x horizon", living.opening_rate * seconds, at_most=_MOST_OPENINGS)
    if venue is not None and isinstance(book, Book) and (venue._intervenes or book.stop is not None):
        memory("positions x paths at work", len(book) * at_once, 40)
    arguments = {
        "book": book,
        "market": market,
        "process": process,
        "horizon": seconds,
        "steps": step_count,
        "monitoring": monitoring,
        "antithetic": mirrored,
        "script": script,
        "turnover": turnover,
        "venue": venue,
        "funding": funding,
        "sellers": funds or None,
        "max_count": most if random else None,
        "columns": held["_names"],
        "record": recorded,
        "watch": watched,
    }
    return Checked(
        kind=kind,
        question="simulate",
        arguments=arguments,
        seed=kept,
        rows=chosen,
        hidden={**held, "_book": book, "_run": run, "_record": recorded, "_watch": watched},
        row_bytes=8 * (len(held["_names"]) + (0 if recorded is None else recorded.size)),
        rows_at_once=rows_at_once(step_count),
        threads=workers,
        progress=progress,
        run=run,
        wanted=run.known(_needed(held["_names"], run)),
        record=recorded,
    )


def _clock(horizon: float, steps: int, paths: int | range) -> tuple[float, int, range]:
    seconds = number("horizon", horizon, above=0)
    step_count = count("steps", steps, 1, _MOST_STEPS)
    number("horizon / steps", seconds / step_count, above=0)
    return seconds, step_count, _paths(paths)


def _antithetic(value: object) -> bool:
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"antithetic must be True or False, was {value!r}")
    return bool(value)


def _paths(paths: object) -> range:
    if isinstance(paths, range):
        if paths.step != 1 or paths.start < 0 or not paths or paths.stop > _MOST_PATHS:
            raise ValueError(
                f"paths must be a range of step 1 within 0 to {_MOST_PATHS:,} with at least one path, was {paths!r}"
            )
        return paths
    return range(count("paths", paths, 1, _MOST_PATHS))


def _check_process(process: Process, steps: int, paths: range, bridge: bool, antithetic: bool) -> None:
    if bridge and not isinstance(process, GBM):
        raise ValueError(f"monitoring must be 'step' but for a GBM, was 'bridge' with a {type(process).__name__}")
    if antithetic and isinstance(process, (Bootstrap, Returns)):
        raise ValueError(f"antithetic must be False for {type(process).__name__}, which has no mirror image, was True")
    if isinstance(process, Returns):
        process._check_shape(steps, paths)


def _check_turnover(turnover: object, random: bool, bridge: bool) -> Turnover | None:
    """Return the turnover unless it changes nothing."""
    if turnover is None:
        return None
    if not isinstance(turnover, Turnover):
        raise TypeError(f"turnover must be a Turnover, was {type(turnover).__name__}")
    if random:
        raise ValueError(f"turnover must be left out for a random book, was {turnover!r}")
    if bridge:
        raise ValueError(f"turnover must be left out where monitoring is 'bridge', was {turnover!r}")
    return None if turnover._still else turnover


def _check_book(book: Book | RandomBook, market: Market, bridge: bool) -> None:
    if isinstance(book, RandomBook):
        two = len({part.side for part in book._parts}) > 1
    else:
        two = bool(book.long._live and book.short._live)
        _check_at_rest(book, market)
    if bridge and two:
        raise ValueError(
            "monitoring must be 'step' for a book of longs and shorts, was 'bridge': one bridge has either its low or "
            "its high drawn from an exact law"
        )


def _check_stops(book: Book | RandomBook, living: Turnover | None, funding: Funding | None) -> None:
    if isinstance(book, RandomBook) or book.stop is None:
        return
    stops = f"was with {np.count_nonzero(book.stop):,}"
    if living is not None:
        raise ValueError(f"book must hold no stop orders with turnover, {stops}")
    if funding is not None:
        raise ValueError(f"book must hold no stop orders with funding, which does not move them, {stops}")


def _check_settled(venue: Venue, book: Book | RandomBook, living: Turnover | None, bridge: bool) -> None:
    if isinstance(book, RandomBook) or living is not None:
        raise ValueError(f"venue must be left out for a random book and with turnover, was {venue!r}")
    check_settled(venue, book)
    if bridge and venue._waits:
        raise ValueError(f"monitoring must be 'step' where closes wait, was 'bridge' with {venue!r}")


def _columns(
    columns: Sequence[str] | None,
    book: Book | RandomBook,
    kind: type[SimulationResult],
    market: Market,
    more: tuple[str, ...],
) -> dict[str, tuple[str, ...]]:
    usual = kind._names
    if isinstance(book, Book):
        usual += () if book.stop is None else BookOutcome._stop_names
    else:
        usual = (*(name for name in usual if not name.endswith("_notional")), "runaway")
    has = (market.support is not None, market.depth is not None)
    usual += tuple(name for name, there in zip(OF_MARKET, has, strict=True) if there)
    return choice(columns, usual, (*kind._on_demand, *more))


def _needed(names: tuple[str, ...], run: Run) -> tuple[str, ...]:
    """What the engine must write for these columns."""
    needed = [name for name in names if name in run.engine_columns]
    for name in names:
        if name in BookOutcome._outcome_names + BookOutcome._stop_names:
            kind, what = name.split("_")
            # A book's running sums turn counts into quantities and notionals; else the engine tells them.
            if run.adds_up and run.tells_stops and kind in ("liquidated", "stop"):
                needed.append(f"stop_{what}")
            sides = ("long", "short") if kind in ("liquidated", "stop") else (kind,)
            needed += [f"{side}_{what if run.adds_up else 'count'}" for side in sides]
    return tuple(dict.fromkeys(needed))


def _recorded(record: object, steps: int) -> NDArray[np.int64] | None:
    if record is None:
        return None
    if isinstance(record, str):
        if record != "all":
            raise ValueError(f"record must be 'all', an integer or steps, was {record!r}")
        record = 1
    if isinstance(record, Sequence) or np.ndim(cast(Any, record)) != 0:
        at = _whole_array("record", record, 0, steps)
        if at.ndim != 1 or at.size == 0:
            raise ValueError(f"record must have one dimension and at least one step, was of shape {at.shape}")
        check("record", at, np.diff(at, prepend=-1) > 0, "rising")
        return at
    every = count("record", record, 1)
    memory("recorded steps", steps // every + 2, 16)
    return frozen(np.append(np.arange(0, steps, every, dtype=np.int64), steps))


def _watched(
    watch: ArrayLike | None, book: Book | RandomBook, living: Turnover | None, venue: Venue | None
) -> NDArray[np.int64] | None:
    if watch is None:
        return None
    if venue is not None and venue._intervenes:
        raise ValueError(f"watch must be left out where a venue closes in part, late or against winners, was {watch!r}")
    if isinstance(book, RandomBook) or living is not None:
        raise ValueError(f"watch must be left out for a random book and with turnover, was {watch!r}")
    return _whole_array("watch", watch, 0, len(book) - 1)


def _whole_array(name: str, values: object, at_least: int, at_most: int) -> NDArray[np.int64]:
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ValueError(f"{name} must be an array of integers: {error}") from None
    if array.dtype.kind not in "iu" and array.size:
        raise TypeError(f"{name} must be integers, was of dtype {array.dtype}")
    check(name, array, (array >= at_least) & (array <= at_most), f"between {at_least} and {at_most}")
    return frozen(np.array(array, dtype=np.int64))
