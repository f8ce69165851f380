"""The engine against others at the same jobs: every rival that this machine can run, whose answers must agree."""

from __future__ import annotations

import importlib
import importlib.util
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

import flushpoint as fp
from flushpoint.bench import numpy_rivals, programs, workloads
from flushpoint.bench.timing import least, seconds
from flushpoint.bench.workloads import DAY, FUND, HALF_LIFE, PRICE, REFILL, STEPS

_ROUNDS = 3


@dataclass(frozen=True)
class Rival:
    """How often it does the job in a go, and a call that tells its seconds."""

    count: int
    run: Callable[[], float]


@dataclass(frozen=True)
class Race:
    """One job.

    Attributes
    ----------
    job, unit : str
        What is done, and what is counted of it.
    count : int
        How many the engine does in a go.
    run : callable
        That go.
    check : callable
        Raises AssertionError where an answer differs; it is called once all rivals have run.
    rivals : dict
        By name. They may do fewer in a go: each of the same kind takes as long as any other.
    """

    job: str
    unit: str
    count: int
    run: Callable[[], object]
    check: Callable[[], None]
    rivals: Mapping[str, Rival] = field(default_factory=dict)


@dataclass(frozen=True)
class Sizes:
    """How large the jobs are."""

    positions: int = 1_000_000
    shocks: int = 1_000_000
    accounts: int = 1_000_000
    tiered: int = 100_000  # positions of the job that another library is given


SMALL = Sizes(2_000, 500, 200, 300)


def run(
    *, threads: int = 1, sizes: Sizes | None = None, progress: Callable[[int, int], object] | None = None
) -> dict[str, Any]:
    """Run every race.

    Parameters
    ----------
    threads : int, default 1
        Of the engine and of numba; numpy, lrvx and the loop over std::priority_queue have one.
    sizes : Sizes, optional
        A million positions and shocks by default.
    progress : callable, optional
        Called with the number of races done and of all.

    Returns
    -------
    dict
        ``races``: of each job, unit, ``each`` in seconds a unit, and by rival's name its seconds a unit in ``rivals``;
        ``absent``: why rivals are missing, by name.

    Raises
    ------
    AssertionError
        If the answers of a rival differ.
    """
    sizes = sizes or Sizes()
    numba, absent = _numba(threads)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if programs.compiler() is None:
            absent["std::priority_queue"] = "no C++ compiler found: set CXX"
        if not programs.has_lrvx():
            absent["lrvx"] = "lrvx cannot be imported: pip install lrvx"
        makers = _makers(sizes, threads, numba, None if "std::priority_queue" in absent else folder)
        if "lrvx" not in absent:
            makers.append(partial(_tiers, sizes, folder))
        done = []
        for i, make in enumerate(makers):
            race = make()
            jobs: dict[str, Callable[[], float]] = {"flushpoint": partial(seconds, race.run)}
            jobs |= {name: rival.run for name, rival in race.rivals.items()}
            best = least(jobs, _ROUNDS)
            race.check()
            rivals = {name: best[name] / rival.count for name, rival in race.rivals.items()}
            each = best["flushpoint"] / race.count
            done.append({"job": race.job, "unit": race.unit, "each": each, "rivals": rivals})
            if progress is not None:
                progress(i + 1, len(makers))
    return {"threads": threads, "races": done, "absent": absent}


def _numba(threads: int) -> tuple[ModuleType | None, dict[str, str]]:
    if importlib.util.find_spec("numba") is None:
        return None, {"numba": 'numba is not installed: pip install "flushpoint[bench]"'}
    numba = importlib.import_module("numba")
    numba.set_num_threads(threads or numba.config.NUMBA_NUM_THREADS)
    return importlib.import_module("flushpoint.bench.numba_rivals"), {}


def _makers(sizes: Sizes, threads: int, numba: ModuleType | None, folder: Path | None) -> list[Callable[[], Race]]:
    """One at a time, so that no race's books stand in another's way."""
    rivals: dict[str, Any] = {"numpy": numpy_rivals} | ({"numba": numba} if numba else {})
    makers: list[Callable[[], Race]] = [
        partial(job, sizes, threads, rivals) for job in (_shocks, _drawn, _settled, _paths, _accounts)
    ]
    if folder is not None:
        makers.append(partial(_slices, sizes, folder))
    return makers


def _shocks(sizes: Sizes, threads: int, rivals: dict[str, Any]) -> Race:
    triggers, quantities = workloads.draw_book(sizes.positions)
    falls = workloads.draw_falls(sizes.shocks)
    response = fp.response(fp.Book(1, quantities, triggers), workloads.MARKET)
    levels, sums = numpy_rivals.build_levels(triggers, quantities)
    rising = -levels
    price, count = np.empty(falls.size), np.empty(falls.size, np.int64)
    runs: dict[str, Callable[[], object]] = {"numpy": lambda: numpy_rivals.query_levels(rising, sums, falls)}
    if "numba" in rivals:
        runs["numba"] = lambda: rivals["numba"].query_levels(levels, sums, falls, price, count)

    def check() -> None:
        ours = response(-falls)
        answers = [numpy_rivals.query_levels(rising, sums, falls)] + [(price, count)] * ("numba" in rivals)
        for prices, counts in answers:  # but for questions that lie on a step, where last bits of sums decide
            same = ours.liquidated_count == counts
            assert (~same).sum() <= 1e-4 * falls.size
            np.testing.assert_allclose(ours.final_price[same], prices[same], rtol=1e-9)

    return Race(
        f"{falls.size:,} shocks to one book of {triggers.size:,}",
        "shock",
        falls.size,
        lambda: response(-falls, threads=threads),
        check,
        {name: Rival(falls.size, partial(seconds, run)) for name, run in runs.items()},
    )


def _drawn(sizes: Sizes, threads: int, rivals: dict[str, Any]) -> Race:
    """Answers are random on both sides: the log prices' means must agree within six standard errors."""
    high, count = 0.012, sizes.positions
    book, market = workloads.random_book(count, "lognormal")
    few = workloads.draw_falls(4, high=high)
    many = np.tile(few, 250 if count >= 100_000 else 25)
    found = {name: (np.empty(few.size), np.empty(few.size, np.int64)) for name in rivals}
    ours = partial(fp.stress, book, market, -many, seed=1, max_count=count, threads=threads)

    def check() -> None:
        moves = np.log(ours().final_price).reshape(-1, few.size)
        for price, _ in found.values():
            assert (np.abs(np.log(price) - moves.mean(axis=0)) < 6 * moves.std(axis=0) + 1e-6).all()

    def rival(name: str) -> Rival:
        redraw = partial(rivals[name].redrawn_books, count, workloads.LOG_NORMAL, few, *found[name])
        return Rival(few.size, partial(seconds, redraw))

    job = f"a book of {count:,} drawn in every scenario, falls up to {high:.1%}"
    return Race(job, "scenario", many.size, ours, check, {name: rival(name) for name in rivals})


def _settled(sizes: Sizes, threads: int, rivals: dict[str, Any]) -> Race:
    book, *columns = workloads.settled_book(sizes.positions)
    few, many = (50, 5_000) if sizes.positions >= 100_000 else (20, 100)
    falls, depths = workloads.draw_falls(many), workloads.draw_depths(many)
    found = {name: [np.empty(few), np.empty(few, np.int64), np.empty(few, np.int64)] for name in rivals}
    money = {name: np.empty((few, 3)) for name in rivals}

    def ours() -> Any:
        venue = fp.Venue(fund=FUND)
        return fp.stress(book, workloads.MARKET, -falls, liquidity=depths, refill=REFILL, venue=venue, threads=threads)

    def check() -> None:
        s = ours()
        mine = np.stack([s.shortfall, s.fund_end, s.unpaid_loss], axis=1)[:few]
        for name, (price, closed, waves) in found.items():
            np.testing.assert_allclose(s.final_price[:few], price, rtol=1e-11)
            np.testing.assert_array_equal(s.liquidated_count[:few], closed)
            np.testing.assert_array_equal(s.waves[:few], waves)
            assert (abs(mine - money[name]) <= 1e-9 * (FUND + s.proceeds[:few, None])).all()

    def rival(name: str) -> Rival:
        settle = rivals[name].settle_waves
        call = partial(settle, *columns, falls[:few], depths[:few], REFILL, FUND, *found[name], money[name])
        return Rival(few, partial(seconds, call))

    job = f"a fund, {sizes.positions:,} positions, own depth in every scenario"
    return Race(job, "scenario", many, ours, check, {name: rival(name) for name in rivals})


def _paths(sizes: Sizes, threads: int, rivals: dict[str, Any]) -> Race:
    """Given returns, so that all walk the same way."""
    book, market = workloads.lively_book(sizes.positions), workloads.path_market()
    many, few = (2_000, 100) if sizes.positions >= 100_000 else (300, 20)
    returns = workloads.draw_returns(many, STEPS, 0.6)
    sides = [(side.trigger_price, side.quantity) for side in (book.long, book.short)]
    impact: Any = market.impact
    found = {name: [np.empty(few), np.empty(few, np.int64), np.empty(few, np.int64)] for name in rivals}
    ours = partial(fp.simulate, book, market, fp.Returns(returns), DAY, STEPS, many, threads=threads)

    def check() -> None:
        e = ours()
        for final, closed, waves in found.values():
            np.testing.assert_allclose(e.final_price[:few], final, rtol=1e-9)
            np.testing.assert_array_equal((e.long_count + e.short_count)[:few], closed)
            np.testing.assert_array_equal(e.waves[:few], waves)

    def rival(name: str) -> Rival:
        decay = 0.5 ** (DAY / STEPS / HALF_LIFE)
        walk, rows = rivals[name].walk_paths, returns[:few]
        call = partial(walk, *sides, market.price, impact.coefficient, decay, rows, *found[name])
        return Rival(few, partial(seconds, call))

    job = f"paths of {STEPS:,} given returns in a book of {len(book):,}"
    return Race(job, "path", many, ours, check, {name: rival(name) for name in rivals})


def _accounts(sizes: Sizes, threads: int, rivals: dict[str, Any]) -> Race:
    """One path; a rival goes through the first steps alone."""
    few, steps = 20, STEPS
    p = workloads.portfolio(sizes.accounts)
    returns = workloads.draw_moves(steps, few)
    first = workloads.account_walk(p, returns[0, :few])
    found: dict[str, Any] = {}

    def walk(name: str) -> None:
        found[name] = rivals[name].account_path(first)

    def ours(steps: int) -> Any:
        given = fp.Returns(returns[:, :steps])
        return fp.simulate(p.accounts, p.markets, given, steps * DAY / STEPS, steps, 1, threads=threads)

    def check() -> None:
        e = ours(few)
        for price, closed in found.values():
            np.testing.assert_allclose(e.final_price[0], price, rtol=1e-11)
            assert e.accounts_closed[0] == closed

    job = f"{sizes.accounts:,} accounts in three markets, a path of {steps:,} steps"
    timed = {name: Rival(few, partial(seconds, partial(walk, name))) for name in rivals}
    return Race(job, "step", steps, lambda: ours(steps), check, timed)


def _slices(sizes: Sizes, folder: Path) -> Race:
    job = workloads.SLIDE
    book, *columns = workloads.settled_book(sizes.positions)
    returns = np.diff(np.log(job.starts), prepend=np.log(PRICE))[None]
    market = fp.Market(PRICE, fp.LinearImpact(job.coefficient))
    venue = fp.Venue(close="fraction", fraction=job.fraction, fund=FUND)
    ours = partial(fp.simulate, book, market, fp.Returns(returns), DAY, job.starts.size, 1, threads=1, venue=venue)
    program = programs.compile_queue(folder)
    told: list[float] = []

    def run() -> float:
        taken, told[:] = programs.run_queue(program, tuple(columns), job)
        return taken

    run()
    slices = int(told[0])

    def check() -> None:
        e = ours()
        assert [e.waves[0], e.liquidated_count[0]] == told[1:3]
        np.testing.assert_allclose([e.final_price[0], e.liquidated_quantity[0]], told[3:5], rtol=1e-11)

    text = f"closed in slices of {job.fraction:.0%}, {sizes.positions:,} positions, one thread"
    return Race(text, "slice", slices, ours, check, {"std::priority_queue": Rival(slices, run)})


def _tiers(sizes: Sizes, folder: Path) -> Race:
    """With a fund that pays for everything both close the same; the race is run with one that cannot."""
    columns = workloads.tiered_book(sizes.tiered)
    held = columns["quantity"].sum()
    coefficient, fall = 0.2 / held, 0.05
    rich, poor = 1e3 * PRICE * held, 1e-4 * PRICE * held
    market = fp.Market(PRICE, fp.LinearImpact(coefficient))
    book = fp.Book(**columns)
    drive = partial(programs.run_lrvx, folder, columns, PRICE * (1 - fall), coefficient)
    many = 20
    ours = partial(fp.stress, book, market, np.full(many, -fall), threads=1)

    def check() -> None:
        _, price, closed, waves = drive(rich, deleverages=False)
        s = ours(venue=fp.Venue(fund=rich, adl="queue"))
        assert abs(s.liquidated_count[0] - closed) <= 1e-4 * sizes.tiered  # its money is in whole units of 1e-8
        np.testing.assert_allclose(s.final_price[0], price, rtol=1e-4)
        assert abs(s.waves[0] - waves) <= 1

    job = f"tiers, a fund and auto-deleveraging, {sizes.tiered:,} positions, one thread"
    race = partial(ours, venue=fp.Venue(fund=poor, adl="queue"))
    return Race(job, "scenario", many, race, check, {"lrvx": Rival(1, lambda: drive(poor, deleverages=True)[0])})
