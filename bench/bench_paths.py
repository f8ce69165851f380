"""Paths of 1,440 steps: a step's time in units of one of numpy's normal numbers; threads, large books, and memory."""

import subprocess
import sys
from functools import partial

import numpy as np
import pytest

import flushpoint as fp
from flushpoint import example
from flushpoint.bench import numba_rivals
from flushpoint.bench.workloads import DAY, HALF_LIFE, STEPS, lively_book, path_market, quiet_book
from harness import at_least, at_most, need_processors, no_goal

MARKET = path_market()
LIVELY, QUIET = fp.GBM(0.6), fp.GBM(0.1)

simulate = partial(fp.simulate, market=MARKET, process=LIVELY, steps=STEPS, seed=1, threads=1)


def told(paths):
    closed = (paths.long_count + paths.short_count).mean()
    return f"{closed:,.3g} positions and {paths.waves.mean():.3g} waves a path"


def per_step(seconds, paths):
    return seconds / (paths * STEPS) * 1e9


def in_normals(judge, call, paths):
    """Nanoseconds a path and step, and how many of numpy's normal numbers take as long."""
    rng, numbers, fills = np.random.default_rng(0), np.empty(1 << 15), 64
    assert type(rng.bit_generator).__name__ == "PCG64"

    def draw():
        for _ in range(fills):
            rng.standard_normal(out=numbers)

    seconds = judge.in_turn({"normals": draw, "paths": call}, calls=1, rounds=8)
    normal, step = seconds["normals"] / (fills * numbers.size) * 1e9, per_step(seconds["paths"], paths)
    return step, step / normal


def test_same_as_a_plain_loop(judge, full):
    """The same returns, step by step and position by position in numba."""
    book = lively_book(1_000_000 if full else 20_000)
    paths = 500 if full else 20
    returns = 0.6 / np.sqrt(365 * STEPS) * np.random.default_rng(2).standard_normal((paths, STEPS))
    run = partial(simulate, book, process=fp.Returns(returns), paths=paths)
    final, closed, waves = np.empty(paths), np.empty(paths, np.int64), np.empty(paths, np.int64)
    walk = partial(
        numba_rivals.walk_paths,
        (book.long.trigger_price, book.long.quantity),
        (book.short.trigger_price, book.short.quantity),
        example.PRICE,
        MARKET.impact.coefficient,
        0.5 ** (DAY / STEPS / HALF_LIFE),
        returns,
        final,
        closed,
        waves,
    )
    race = judge.race(run, walk, rounds=5)
    ours = run()
    assert waves.min() > 0
    np.testing.assert_allclose(ours.final_price, final, rtol=1e-9)
    np.testing.assert_array_equal(ours.long_count + ours.short_count, closed)
    np.testing.assert_array_equal(ours.waves, waves)
    judge.report(
        f"given returns, {len(book):,} positions",
        "against a plain loop (numba)",
        race.speedup,
        no_goal("x"),
        told(ours),
    )


def test_quiet(judge, full):
    book, paths = quiet_book(1_000_000 if full else 20_000), 8_000 if full else 200
    run = partial(simulate, book, process=QUIET, paths=paths)
    ours = run()
    moves = np.log(ours.final_price[ours.waves == 0] / example.PRICE)
    assert moves.size > 0.99 * paths
    assert abs(moves.std() * np.sqrt(365) - 0.1) < 0.5 / np.sqrt(paths)
    step, units = in_normals(judge, run, paths)
    judge.report(
        f"10% volatility, {len(book):,} positions", "a step, in numpy's normals", units, at_most(0.35, ""),
        f"{step:.3g} ns; {told(ours)}",
    )  # fmt: skip


def test_lively(judge, full):
    book, paths = lively_book(1_000_000 if full else 20_000), 4_000 if full else 100
    near = fp.response(book, MARKET).reproduction_number(example.PRICE * np.array([0.99, 1.01]))
    assert ((near > 0.05) & (near < 0.3)).all()
    run = partial(simulate, book, paths=paths)
    ours = run()
    assert ours.waves.min() > 0
    step, units = in_normals(judge, run, paths)
    judge.report(
        f"60% volatility, {len(book):,} positions", "a step, in numpy's normals", units, at_most(1.5, "", aim=0.6),
        f"{step:.3g} ns; {told(ours)}; reproduction numbers {near[0]:.2g} and {near[1]:.2g} 1% away",
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["quiet", "lively"])
def test_threads(judge, full, kind):
    """Two threads, beside what two gain in arithmetic that needs no memory; a lively book shares its cache, too."""
    need_processors(2)
    import numba

    count, turns = 1_000_000 if full else 20_000, 2_000_000 if full else 1_000
    if kind == "quiet":
        run = partial(simulate, quiet_book(count), process=QUIET, paths=16_000 if full else 200)
    else:
        run = partial(simulate, lively_book(count), paths=4_000 if full else 100)

    def spin(threads):
        numba.set_num_threads(threads)
        numba_rivals.spin(turns)

    jobs = {("paths", n): partial(run, threads=n) for n in (1, 2)}
    jobs |= {("spin", n): partial(spin, n) for n in (1, 2)}
    np.testing.assert_array_equal(jobs["paths", 1]().final_price, jobs["paths", 2]().final_price)
    seconds = judge.in_turn(jobs, calls=1, rounds=8)
    gain, most = (seconds[job, 1] / seconds[job, 2] for job in ("paths", "spin"))
    judge.report(
        f"two threads, {kind} book",
        "gain, as a share of pure arithmetic's",
        gain / most,
        at_least(0.85 if kind == "quiet" else 0.6, "", aim=0.94),
        f"{gain:.3g}x against {most:.3g}x",
    )


def test_cost_goes_with_waves_not_with_the_book(judge, full):
    """The same share of the book closes, in more waves where there are more positions to set off the next."""
    books = {count: lively_book(count) for count in ((10_000, 10_000_000) if full else (2_000, 20_000))}
    paths = 1_000 if full else 50
    runs = {count: partial(simulate, book, paths=paths) for count, book in books.items()}
    ours = {count: run() for count, run in runs.items()}
    shares = [(o.long_count + o.short_count).mean() / len(books[count]) for count, o in ours.items()]
    assert shares[1] == pytest.approx(shares[0], rel=0.2)
    seconds = judge.in_turn(runs, calls=1, rounds=5)
    (few, quick), (many, slow) = seconds.items()
    what, notes = f"{many:,} positions against {few:,}", "; ".join(told(o) for o in ours.values())
    judge.report("the same share closes", f"{what}, a path", slow / quick, at_most(4.5, "x", aim=1.5), notes)
    per_wave = slow / ours[many].waves.mean() / (quick / ours[few].waves.mean())
    judge.report("the same share closes", f"{what}, a wave", per_wave, no_goal("x"))


MEMORY = f"""
import flushpoint as fp
from flushpoint import example

def kilobytes(name):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(name))

def run(paths):
    return fp.simulate(example.book(), example.market(), fp.GBM(0.6), steps={STEPS}, paths=paths, seed=1)

run(100)
before = kilobytes("VmRSS")
result = run(PATHS)
print((kilobytes("VmHWM") - before) * 1024, sum(column.nbytes for column in result.values()))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the peak is told by /proc")
def test_memory(judge, full):
    paths = 100_000 if full else 2_000
    command = [sys.executable, "-c", MEMORY.replace("PATHS", str(paths))]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    grown, result = map(int, printed.split())
    assert grown < result + 16e6
    judge.seconds(lambda: None, rounds=1)  # nothing is timed, but the figure belongs to a benchmark
    judge.report(
        f"{paths:,} paths", "peak memory beyond the result", max(grown - result, 1e5) / 1e6, at_most(16.0, " MB"),
        f"{result / 1e6:.3g} MB of columns",
    )  # fmt: skip


SUMS = MEMORY.replace("seed=1)", 'seed=1, keep="summary")').replace(
    "sum(column.nbytes for column in result.values())", "0"
)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the peak is told by /proc")
def test_memory_of_sums(judge, full):
    paths = 1_000_000 if full else 4_000
    command = [sys.executable, "-c", SUMS.replace("PATHS", str(paths))]
    grown = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[0])
    judge.seconds(lambda: None, rounds=1)
    judge.report(f"{paths:,} paths, sums", "peak memory", max(grown, 1e5) / 1e6, at_most(48.0, " MB"))


def test_sums_instead_of_paths(judge, full):
    """What it takes to sum up fifteen columns, in one thread beside the paths."""
    run = partial(simulate, lively_book(1_000_000 if full else 20_000), paths=20_000 if full else 200)
    kept = run()
    assert run(keep="summary") == fp.StreamedEnsemble.of(kept)
    seconds = judge.in_turn({"paths": run, "sums": partial(run, keep="summary")}, calls=1, rounds=5)
    ratio = seconds["sums"] / seconds["paths"]
    judge.report("sums instead of paths", "a path", ratio, at_most(1.25, "x", aim=1.1), told(kept))


def past_returns(count):
    return 0.1 / np.sqrt(365 * STEPS) * np.random.default_rng(3).standard_normal(count)


PROCESSES = {
    "GBM": QUIET,
    "StudentT": fp.StudentT(0.1, 4.0),
    "GARCH": fp.GARCH(1e-9, 0.05, 0.9),
    "JumpDiffusion": fp.JumpDiffusion(0.1, 50.0, -0.01, 0.002),
    "Bootstrap": fp.Bootstrap(past_returns(100_000), 60),
}


@pytest.mark.parametrize("name", [*PROCESSES, "Returns"])
def test_processes(judge, full, name):
    """In a book that hardly fires, so that the walk counts."""
    book, paths = quiet_book(1_000_000 if full else 20_000), 4_000 if full else 100
    process = PROCESSES[name] if name in PROCESSES else fp.Returns(past_returns(paths * STEPS).reshape(paths, STEPS))
    run = partial(simulate, book, process=process, paths=paths)
    ours = run()
    assert (ours.low_price <= ours.final_price).all()
    assert 0.004 < np.log(ours.final_price / example.PRICE).std() < 0.008
    seconds = judge.seconds(run, rounds=5)
    judge.report(
        "paths a second, one thread",
        name,
        paths / seconds,
        no_goal(""),
        f"{per_step(seconds, paths):.3g} ns a step; {told(ours)}",
    )


def test_random_book(judge, full):
    """Positions that each path draws for itself, as they are uncovered."""
    count, paths = 1_000_000 if full else 20_000, 400 if full else 20
    mix = fp.LeverageMix(example.LEVERAGE_MIX.leverage, example.LEVERAGE_MIX.share)
    distance = fp.Leveraged(mix, example.ENTRY_SPREAD, example.MAINTENANCE_RATE)
    quantity = fp.LogNormal(example.OPEN_INTEREST / example.PRICE / count, example.SIZE_SPREAD)
    book = sum(
        (fp.RandomBook(count=count // 2, distance=distance, quantity=quantity, side=s) for s in (-1,)),
        fp.RandomBook(count=count // 2, distance=distance, quantity=quantity, side=1),
    )
    run = partial(simulate, book, paths=paths, max_count=count)
    ours = run()
    assert not ours.runaway.any()
    assert ours.waves.min() > 0
    seconds = judge.seconds(run, rounds=3)
    judge.report("paths a second, one thread", f"a random book of {count:,}", paths / seconds, no_goal(""), told(ours))
