"""Paths through random books: the laws of whole books drawn by numpy, and what a simulation promises.

Seeds are fixed. Means must agree within 4.5 standard errors, which chance alone breaks for 7 seeds in a million;
Kolmogorov-Smirnov distances at a level of 1e-6 each (conservative for counts).
"""

from __future__ import annotations

import hashlib
import math
import os
import pickle
import subprocess
import sys
import time
from typing import Any

import numpy as np
import pytest
from scipy import stats

import flushpoint as fp

SIGMAS = 4.5
LEVEL = 1e-6
MIX = fp.LeverageMix([5.0, 20.0, 50.0], [1.0, 3.0, 2.0])
COLUMNS = (
    "final_price", "low_price", "high_price", "low_time", "long_count", "short_count", "waves", "exhausted",
    "long_quantity", "short_quantity", "long_notional", "short_notional", "proceeds", "runaway",
)  # fmt: skip
BOTH = fp.RandomBook(density=300.0, extent=0.3, quantity=fp.LogNormal(1.0, 1.0)) + fp.RandomBook(
    count=2_000, distance=fp.Leveraged(MIX, 0.02), quantity=fp.Exponential(0.3), side=-1
)
MARKET = fp.Market(100.0, fp.SquareRootImpact(0.03, 300.0), half_life=900.0, permanent=1e-5, spread=0.001)
ARGUMENTS: dict[str, Any] = {"horizon": 4_200.0, "steps": 70, "paths": 50, "seed": 42}


def run(**options: Any) -> Any:
    book = options.pop("book", BOTH)
    market, process = options.pop("market", MARKET), options.pop("process", fp.GBM(2.0, 0.3))
    return fp.simulate(book, market, process, **{**ARGUMENTS, **options})


def bits(e: Any, columns: tuple[str, ...] = COLUMNS) -> dict[str, bytes]:
    return {name: getattr(e, name).tobytes() for name in columns}


def digest(e: Any) -> str:
    return hashlib.sha256(b"".join(bits(e).values())).hexdigest()[:16]


# --- against whole books ---
def sizes(law: fp.Law | float, rng: np.random.Generator, n: int) -> Any:
    if isinstance(law, fp.Exponential):
        return rng.exponential(law.mean, n)
    if isinstance(law, fp.LogNormal):
        return law.median * np.exp(law.sigma * rng.standard_normal(n))
    return np.full(n, float(law))  # type: ignore[arg-type]


def distances(part: Any, rng: np.random.Generator) -> Any:
    """Log distances of one book, drawn from the description of its law."""
    if part.count is None:
        return rng.uniform(0, part.extent, rng.poisson(part.density * part.extent))
    law = part.distance
    if isinstance(law, fp.Exponential):
        return rng.exponential(law.mean, part.count)
    if isinstance(law, fp.LogNormal):
        return law.median * np.exp(law.sigma * rng.standard_normal(part.count))
    assert isinstance(law, fp.Leveraged)
    out: Any = np.empty(0)
    while out.size < part.count:  # those beyond the price or nearer than `nearest` are left out
        n = 2 * part.count
        leverage = rng.choice(law.leverage_mix.leverage, n, p=law.leverage_mix.share)
        entry = np.exp(law.entry_spread * rng.standard_normal(n))
        trigger = np.asarray(
            fp.liquidation_price(part.side, 1.0, entry, entry / leverage, fp.MarginSchedule.flat(law.maintenance_rate))
        )
        d = np.full(n, np.inf)
        d[trigger > 0] = -part.side * np.log(trigger[trigger > 0])
        out = np.concatenate([out, d[d > law.nearest]])
    return out[: part.count]


def drawn_book(book: fp.RandomBook, price: float, rng: np.random.Generator) -> fp.Book:
    side, quantity, trigger = [], [], []
    for part in book._parts:
        d = distances(part, rng)
        side.append(np.full(d.size, part.side))
        quantity.append(sizes(part.quantity, rng, d.size))
        trigger.append(price * np.exp(-part.side * d))
    return fp.Book(np.concatenate(side), np.concatenate(quantity), np.concatenate(trigger))


def near(a: Any, b: Any) -> None:
    assert abs(a.mean() - b.mean()) <= SIGMAS * math.sqrt(a.var() / a.size + b.var() / b.size)
    assert stats.ks_2samp(a, b).pvalue > LEVEL


LN, EXP = fp.LogNormal(1.0, 0.8), fp.Exponential(1.3)
CASES: dict[str, tuple[fp.RandomBook, dict[str, Any]]] = {
    "density, constant": (fp.RandomBook(density=400.0, extent=0.2, quantity=1.0), {}),
    "density, exponential, shorts": (fp.RandomBook(density=400.0, extent=0.1, quantity=EXP, side=-1), {}),
    "density, lognormal, both": (
        fp.RandomBook(density=300.0, extent=0.2, quantity=LN)
        + fp.RandomBook(density=200.0, extent=0.2, quantity=1.0, side=-1), {},
    ),
    "count, constant, both": (
        fp.RandomBook(count=60, distance=fp.Exponential(0.15), quantity=1.0)
        + fp.RandomBook(count=50, distance=fp.LogNormal(0.1, 0.7), quantity=EXP, side=-1), {},
    ),
    "leveraged, exponential": (fp.RandomBook(count=70, distance=fp.Leveraged(MIX, 0.03), quantity=EXP), {}),
    "leveraged, lognormal, shorts": (
        fp.RandomBook(count=70, distance=fp.Leveraged(MIX, 0.03, 0.004, 0.002), quantity=LN, side=-1), {},
    ),
    "two kinds of longs": (
        fp.RandomBook(density=200.0, extent=0.15, quantity=EXP)
        + fp.RandomBook(count=30, distance=fp.Leveraged(MIX, 0.05), quantity=3.0), {},
    ),
    "antithetic": (fp.RandomBook(density=400.0, extent=0.2, quantity=EXP), {"antithetic": True}),
    "bridge of longs": (fp.RandomBook(density=400.0, extent=0.2, quantity=LN), {"monitoring": "bridge"}),
    "bridge of shorts": (
        fp.RandomBook(count=70, distance=fp.Leveraged(MIX, 0.03), quantity=1.0, side=-1), {"monitoring": "bridge"},
    ),
}  # fmt: skip
OF_CASES = fp.Market(100.0, fp.LinearImpact(0.0009), half_life=1_500.0, permanent=0.0002, mark_weight=0.9)


@pytest.mark.parametrize("name", CASES)
def test_like_whole_books(name: str) -> None:
    """Six columns and their Kolmogorov-Smirnov tests a case: 1e-4 in all for a case of both sides."""
    book, options = CASES[name]
    process, horizon, steps = fp.GBM(6.0), 3_600.0, 12
    n = 3_000
    rng = np.random.default_rng(77)
    rows = []
    columns = ("final_price", "low_price", "long_count", "short_count", "long_quantity", "short_quantity",
               "long_notional", "short_notional", "waves", "high_price", "proceeds")  # fmt: skip
    for path in range(n):  # each book meets one path of its own
        whole = fp.simulate(drawn_book(book, 100.0, rng), OF_CASES, process, horizon, steps, range(path, path + 1), 5,
                            columns=columns, **options)  # fmt: skip
        rows.append([getattr(whole, c)[0] for c in columns])
    # Other paths, too: both samples are independent. Of mirror images only one each is used.
    step = 2 if "antithetic" in options else 1
    e = fp.simulate(book, OF_CASES, process, horizon, steps, 16_000, 6, **options)
    assert not e.runaway.any()
    expected = np.array(rows, dtype=float).T
    for first in range(step):
        mine = slice(first, None, step)
        for column, theirs in zip(columns, expected, strict=True):
            near(getattr(e, column)[mine].astype(float), theirs[mine])
    assert e.liquidated_count.mean() > 3
    assert e.waves.max() > 5


# --- one step ---
def test_one_step_is_a_stress() -> None:
    """The same random numbers, too."""
    shock = -np.random.default_rng(1).uniform(0.0, 0.12, 400)
    shock[::2] *= -1
    market = fp.Market(100.0, fp.SquareRootImpact(0.03, 300.0), permanent=1e-5, spread=0.001)
    s = fp.stress(BOTH, market, shock, seed=3)
    e = fp.simulate(BOTH, market, fp.Returns(np.log1p(shock)[:, None]), 60.0, 1, 400, 3)
    assert s.liquidated_count.mean() > 20
    for name in ("long_count", "short_count", "waves", "runaway"):
        assert (getattr(e, name) == getattr(s, name)).mean() > 0.99  # but for a shock's last bit
    near(e.long_quantity, s.long_quantity)
    agree = (e.long_count == s.long_count) & (e.short_count == s.short_count)
    for name in ("long_quantity", "short_quantity", "long_notional", "short_notional", "final_price", "proceeds"):
        np.testing.assert_allclose(getattr(e, name)[agree], getattr(s, name)[agree], rtol=1e-7, atol=1e-7)


def test_one_step_has_the_law_of_a_stress() -> None:
    n = 20_000
    s = fp.stress(BOTH, OF_CASES, np.full(n, -0.05), seed=3)
    e = fp.simulate(BOTH, OF_CASES, fp.Returns(np.full((n, 1), math.log1p(-0.05))), 60.0, 1, n, 4)
    for name in ("long_count", "long_quantity", "waves", "final_price"):
        near(getattr(e, name).astype(float), getattr(s, name).astype(float))


def test_what_is_uncovered_step_by_step_is_what_is_uncovered_at_once() -> None:
    """Without impact the number closed by the lowest price is Poisson or binomial, however it was come by."""
    flat = fp.Market(100.0, fp.LinearImpact(0.0))
    n, depth = 20_000, 0.08
    wander = np.random.default_rng(5).uniform(-0.03, 0.03, (n, 30))
    wander[:, -1] = -depth - wander[:, :-1].sum(axis=1)
    wander[:, :-1] *= np.minimum(1, depth / 2 / np.abs(np.cumsum(wander[:, :-1], axis=1)).max(axis=1))[:, None]
    wander[:, -1] = -depth - wander[:, :-1].sum(axis=1)
    returns = fp.Returns(wander)
    mean = 500 * depth
    found = fp.simulate(fp.RandomBook(density=500.0, quantity=1.0), flat, returns, 30.0, 30, n, 1).long_count
    assert abs(found.mean() - mean) <= SIGMAS * math.sqrt(mean / n)
    assert abs(found.var() - mean) <= SIGMAS * math.sqrt((mean + 2 * mean**2) / n)
    book = fp.RandomBook(count=100, distance=fp.Exponential(0.1), quantity=1.0)
    p = -math.expm1(-depth / 0.1)
    found = fp.simulate(book, flat, returns, 30.0, 30, n, 1).long_count
    law = stats.binom(100, p)
    assert abs(found.mean() - law.mean()) <= SIGMAS * law.std() / math.sqrt(n)
    assert abs(found.var() - law.var()) <= SIGMAS * law.var() * math.sqrt((law.stats("k") + 2) / n)


# --- runaways ---
@pytest.mark.parametrize("side", [1, -1])
def test_a_runaway_stops_closing_and_goes_on(side: int) -> None:
    """R = 1.5: whole paths run away; their price goes on with the exogenous one."""
    book = fp.RandomBook(density=100.0, quantity=1.0, side=side)
    market = fp.Market(1.0, fp.LinearImpact(0.015))
    returns = np.zeros((2_000, 3))
    returns[:, 0], returns[:, 2] = -side * 0.02, -side * 0.5
    arguments: Any = (book, market, fp.Returns(returns), 3.0, 3, 2_000, 9)
    e = fp.simulate(*arguments, max_count=3_000, record="all")
    count = e.long_count if side > 0 else e.short_count
    assert (count <= 3_000).all()
    assert (count[e.runaway] == 3_000).all()
    assert (count[~e.runaway] < 3_000).all()
    assert e.runaway.all()  # 0.5 more uncovers 50 ancestors: the chance to stay finite is below 1e-12
    assert -np.log(e.final_price) * side == pytest.approx(0.52 + 3_000 * 0.015)
    first = -np.log(e.prices[:, 1]) * side > 20
    eta = 0.417188356134
    p = 1 - math.exp(-2.0 * (1 - eta))
    assert abs(first.mean() - p) <= SIGMAS * math.sqrt(p * (1 - p) / 2_000)
    done = np.flatnonzero(first)[0]
    assert (e.replay(done).waves["step"] == 1).all()  # and no wave afterwards
    one = fp.simulate(*arguments, max_count=1)
    assert (one.liquidated_count == 1).all()
    assert one.runaway.mean() > 0.99


def test_max_count_is_not_felt_before_it_is_reached() -> None:
    whole = run(max_count=10**6)
    most = int(whole.liquidated_count.max())
    assert bits(run(max_count=most)) == bits(whole)
    assert not whole.runaway.any()
    cut = run(max_count=most - 1)
    assert cut.runaway.sum() >= 1
    same = ~cut.runaway
    assert (cut.final_price[same] == whole.final_price[same]).all()
    assert cut.liquidated_count.max() == most - 1


def test_a_book_used_up_with_its_market() -> None:
    """At the pole everything fires: all of so many, or a runaway of a Poisson number without end."""
    market = fp.Market(1.0, fp.EvaporatingImpact(0.004, 8.0))
    returns = fp.Returns(np.full((500, 1), -0.05))
    book = fp.RandomBook(count=100, distance=fp.Exponential(0.05), quantity=1.0)
    of_many = fp.simulate(book, market, returns, 1.0, 1, 500, 2)
    assert of_many.exhausted.any()
    assert (of_many.long_count[of_many.exhausted] == 100).all()
    assert not of_many.runaway.any()
    book = fp.RandomBook(density=300.0, quantity=1.0)
    without_end = fp.simulate(book, market, returns, 1.0, 1, 500, 2, max_count=500)
    assert without_end.exhausted.any()
    assert (without_end.exhausted == without_end.runaway).all()


# --- sums ---
@pytest.mark.parametrize("options", [{}, {"antithetic": True}, {"book": BOTH + BOTH}])
def test_notionals_on_demand(options: dict[str, Any]) -> None:
    e = run(**options)
    assert "long_notional" not in e
    before = bits(e, COLUMNS[:8])
    asked = run(**options, columns=("long_notional", "short_notional", "long_count"))
    assert bits(asked) == bits(e)
    assert bits(e, COLUMNS[:8]) == before
    assert e.waves.sum() > 100
    for path in (0, 7, 31, 49):
        one = e.replay(path)
        for name in ("final_price", "low_price", "high_price", "low_time", "long_count", "short_count"):
            assert getattr(one, name) == getattr(e, name)[path]
        assert len(one.waves) == e.waves[path]
        assert one.waves["count"].sum() == e.liquidated_count[path]
        assert one.waves["quantity"].sum() == pytest.approx(e.liquidated_quantity[path], rel=1e-12)
        assert one.waves["notional"].sum() == pytest.approx(e.liquidated_notional[path], rel=1e-12)
    mean_trigger = e.long_notional.sum() / e.long_quantity.sum()
    assert 80 < mean_trigger < 100
    assert 100 < e.short_notional.sum() / e.short_quantity.sum() < 120


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("name", ["1.0", "Exponential", "LogNormal"])
def test_notionals_have_their_law(name: str, side: int) -> None:
    """Sizes are independent of where positions stood: five of them, spread over one unit of log price, all closed."""
    law, square = {
        "1.0": (1.0, 1.0), "Exponential": (fp.Exponential(1.0), 2.0),
        "LogNormal": (fp.LogNormal(math.exp(-0.08), 0.4), math.exp(0.16)),
    }[name]  # fmt: skip
    n, count = 100_000, 5
    book = fp.RandomBook(count=count, distance=fp.Uniform(0, 1), quantity=law, side=side)
    returns = fp.Returns(np.full((n, 1), -side * 2.0))
    e = fp.simulate(book, fp.Market(1.0, fp.LinearImpact(0.0)), returns, 1.0, 1, n, 8)
    found = e.liquidated_notional
    first, second = -side * math.expm1(-side), -side * math.expm1(-2 * side) / 2  # of the trigger price
    variance = count * (square * second - first**2)
    squares = (found - count * first) ** 2
    assert abs(found.mean() - count * first) <= SIGMAS * math.sqrt(variance / n)
    assert abs(squares.mean() - variance) <= SIGMAS * squares.std() / math.sqrt(n)
    both = (found - count * first) * (e.liquidated_quantity - count)
    assert abs(both.mean() - count * first * (square - 1)) <= SIGMAS * both.std() / math.sqrt(n) + 1e-12


def test_every_column_may_stand_alone() -> None:
    whole = run()
    for name in (*COLUMNS, "liquidated_quantity", "liquidated_notional"):
        e = run(columns=(name,))
        assert tuple(e) == (name,)
        assert e[name].tobytes() == getattr(whole, name).tobytes()
        assert e.runaway.tobytes() == whole.runaway.tobytes()
    assert np.isnan(whole.shortfall).all()


# --- cost ---
def test_cost_goes_with_what_closes_not_with_the_book() -> None:
    """A thousand million positions, or a hundred thousand as many times larger: the same paths, nearly."""
    market = fp.Market(100.0, fp.LinearImpact(0.001))

    def seconds(count: int) -> tuple[float, Any]:
        book = fp.RandomBook(count=count, distance=fp.Exponential(0.2), quantity=100.0 / count)
        best = math.inf
        for _ in range(3):
            start = time.perf_counter()
            e = fp.simulate(book, market, fp.GBM(3.0), 86_400.0, 500, 200, 1, max_count=10**9, threads=1)
            best = min(best, time.perf_counter() - start)
        return best, e

    few, many = seconds(10**5), seconds(10**9)
    assert many[1].liquidated_quantity.mean() == pytest.approx(few[1].liquidated_quantity.mean(), rel=0.02)
    assert many[1].long_count.max() > 5e8
    assert many[0] < 5 * few[0]


# --- the same bits ---
DIGESTS = {"both": "322b33d2559285f9", "bridge": "72c3ac88a8cff671", "antithetic": "db8f7bd2bd2a5f89"}


def digests() -> dict[str, str]:
    longs = BOTH._parts[0]
    book = fp.RandomBook(density=longs.density, extent=longs.extent, quantity=longs.quantity)
    return {"both": digest(run()), "bridge": digest(run(book=book, monitoring="bridge")),
            "antithetic": digest(run(antithetic=True))}  # fmt: skip


def test_stored_digests() -> None:
    """These bits are promised: where they change, STREAM is raised."""
    assert digests() == DIGESTS


def test_the_plainest_instruction_set_gives_the_same_bits() -> None:
    code = "import sys; sys.path.insert(0, 'tests'); import test_random_paths as t; print(*t.digests().values())"
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    made = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=root,
        env={**os.environ, "FLUSHPOINT_ISA": "baseline"}, check=True,
    )  # fmt: skip
    assert made.stdout.split() == list(DIGESTS.values())


def test_threads_shards_and_joining() -> None:
    whole = run(record=7)
    for threads in (1, 2, 7):
        assert bits(run(threads=threads)) == bits(whole)
    parts = [run(record=7, paths=range(a, b)) for a, b in ((29, 50), (0, 3), (3, 12), (12, 29))]
    assert bits(parts[1]) == {n: getattr(whole, n)[:3].tobytes() for n in COLUMNS}
    joined = parts[0] + parts[2] + (parts[3] + parts[1])
    assert bits(joined) == bits(whole)
    assert joined.prices.tobytes() == whole.prices.tobytes()
    assert joined == whole
    narrow = [run(columns=("waves",), paths=range(a, b)) for a, b in ((0, 9), (9, 50))]
    assert narrow[0].runaway.size == 9  # worked out by one of them alone
    assert (narrow[0] + narrow[1]).runaway.tobytes() == whole.runaway.tobytes()
    assert narrow[1].long_notional.size == 41
    assert bits(narrow[0] + narrow[1]) == bits(whole)


def test_far_paths_and_seeds() -> None:
    book = fp.RandomBook(count=20, distance=fp.Exponential(1e-5), quantity=fp.LogNormal(1.0, 1.0))
    fall = fp.GBM(0.1, -2_000.0)  # closes the whole book: what is left is chance in sizes
    runs = [run(book=book, process=fall, paths=range(a, a + 20), seed=s) for a in (0, 2**32, 2**40) for s in (1, 2)]
    quantity = np.concatenate([e.long_quantity for e in runs])
    assert len(np.unique(quantity)) == 120


def test_mirror_images_meet_one_book() -> None:
    """One of each pair falls, the other rises."""
    flat = fp.Market(100.0, fp.LinearImpact(0.0))
    book = fp.RandomBook(count=50, distance=fp.Uniform(0.01, 0.02), quantity=fp.LogNormal(1.0, 1.0))
    e = fp.simulate(book, flat, fp.GBM(50.0, 50.0**2 / 2), 3_600.0, 1, 40, 2, antithetic=True)
    fell = e.long_count == 50
    assert fell.sum() >= 15
    assert not (fell[0::2] & fell[1::2]).any()


def test_pickling() -> None:
    e = run(columns=("low_price", "waves"))
    copy = pickle.loads(pickle.dumps(e))
    assert copy == e
    assert copy.id == e.id
    assert bits(copy) == bits(e)
    assert copy.replay(7).waves.tolist() == e.replay(7).waves.tolist()


def test_a_fresh_seed_is_kept() -> None:
    """Given returns are fixed, but the books are not."""
    returns = fp.Returns(np.full((100, 3), -0.01))
    a, b = (run(process=returns, steps=3, seed=None) for _ in range(2))
    assert (a.long_count != b.long_count).any()
    assert a.seed is not None
    assert bits(run(process=returns, steps=3, seed=a.seed)) == bits(a)


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        ({"monitoring": "bridge"}, ValueError, "monitoring must be 'step' for a book of longs and shorts"),
        ({"watch": [0]}, ValueError, "watch must be left out for a random book and with turnover"),
        ({"max_count": 0}, ValueError, "max_count must be at least 1, was 0"),
        ({"max_count": 1.5}, TypeError, "max_count must be an integer, was 1.5"),
        ({"max_count": 2**60}, ValueError, "max_count must be at most"),
        ({"columns": ("runaways",)}, ValueError, r"columns must be among .*, was 'runaways'"),
    ],
)
def test_bad_input(change: dict[str, Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        run(**change)
