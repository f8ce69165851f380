"""Paths in time: every step against the slow reference, on returns that are given."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

import flushpoint as fp
import reference
import reference_paths

RELATIVE = 1e-9


def near(value: float, expected: float, wobble: float = 0.0) -> bool:
    """Equal to 1e-9, or as well as the volumes' rounding lets a price be known."""
    return value == expected or abs(value - expected) <= (RELATIVE + 10 * wobble) * abs(expected) + 1e-300


@dataclass
class Run:
    """A case of the reference and what moves it: returns (paths, steps), half-life, scripted moves and sales."""

    case: reference.Case
    returns: np.ndarray[Any, Any]
    dt: float = 60.0
    half_life: float = math.inf
    moves: list[float] | None = None
    sales: list[float] | None = None

    @property
    def steps(self) -> int:
        return int(self.returns.shape[1])

    @property
    def market(self) -> fp.Market:
        return replace(self.case.market(), half_life=self.half_life)

    @property
    def script(self) -> fp.Script | None:
        if self.moves is None and self.sales is None:
            return None
        time = self.dt * np.arange(1, self.steps + 1)
        none = [0.0] * self.steps
        return fp.Script(time, sell=self.sales or none, move=self.moves or none)

    def simulate(self, **options: Any) -> fp.SimulationResult:
        options = {"paths": len(self.returns), **options}
        return fp.simulate(
            self.case.book(), self.market, fp.Returns(self.returns), self.dt * self.steps, self.steps,
            script=self.script, record="all", seed=0, **options,
        )  # fmt: skip

    def expected(self, path: int, **options: Any) -> reference_paths.Path:
        market = replace(self.case.venue, half_life=self.half_life)
        row = [float(r) for r in self.returns[path]]
        return reference_paths.run(
            self.case.positions, market, row, self.dt, moves=self.moves, sales=self.sales, **options
        )


def assert_path(e: fp.SimulationResult, row: int, book: reference.Positions, expected: reference_paths.Path) -> None:
    wobble = expected.wobble if math.isfinite(expected.wobble) else 0.0
    counts = [sum(c for c, s in zip(expected.closed, book.side, strict=True) if s == side) for side in (1, -1)]
    assert [e.long_count[row], e.short_count[row]] == counts
    assert e.waves[row] == len(expected.waves)
    assert e.exhausted[row] == expected.exhausted
    for name in ("final_price", "low_price", "high_price"):
        assert near(getattr(e, name)[row], getattr(expected, name), wobble), name
    at = e.low_time[row] / (e.provenance["arguments"]["horizon"] / e.provenance["arguments"]["steps"])
    assert at == pytest.approx(round(at), abs=1e-6)
    assert near(expected.low_steps[round(at)], expected.low_price, wobble)
    for mine, theirs in zip(e.prices[row], expected.prices, strict=True):
        assert near(mine, theirs, wobble)
    for side, name in ((1, "long"), (-1, "short")):
        taken = [i for i, c in enumerate(expected.closed) if c and book.side[i] == side]
        quantity = math.fsum(book.quantity[i] for i in taken)
        notional = math.fsum(book.quantity[i] * book.trigger[i] for i in taken)
        assert getattr(e, f"{name}_quantity")[row] == pytest.approx(quantity, rel=RELATIVE)
        assert getattr(e, f"{name}_notional")[row] == pytest.approx(notional, rel=RELATIVE)
    if math.isfinite(expected.gross):
        for name in ("proceeds", "shortfall", "surplus"):
            scale = (RELATIVE + 10 * wobble) * expected.gross
            assert getattr(e, name)[row] == pytest.approx(getattr(expected, name), rel=0, abs=scale, nan_ok=True), name
    else:
        np.testing.assert_equal(e.proceeds[row], expected.proceeds)  # nan where both inf and -inf were paid
        assert e.shortfall[row] == pytest.approx(expected.shortfall, nan_ok=True)


def assert_equals_reference(run: Run) -> int:
    """Compare every path that rounding cannot decide; how many."""
    e = run.simulate(columns=ALL)
    book = run.case.positions
    compared = 0
    for path in range(len(run.returns)):
        expected = run.expected(path)
        if expected.doubtful:
            continue
        compared += 1
        assert_path(e, path, book, expected)
        if path % 5 == 0:
            assert_replay(e.replay(path), e, path, expected)
    return compared


def assert_replay(one: fp.PathResult, e: fp.SimulationResult, row: int, expected: reference_paths.Path) -> None:
    for name in ("final_price", "low_price", "high_price", "low_time", "long_count", "short_count", "exhausted"):
        assert getattr(one, name) == getattr(e, name)[row]
    assert (one.price == e.prices[row]).all()
    assert len(one.waves) == e.waves[row]
    wobble = expected.wobble if math.isfinite(expected.wobble) else 0.0
    for wave, (step, price, quantity, count, notional) in zip(one.waves, expected.waves, strict=True):
        assert wave["step"] == step
        assert wave["count"] == count
        assert near(wave["price"], price, wobble)
        gross = e.provenance["arguments"]["book"].quantity.sum()
        assert wave["quantity"] == pytest.approx(quantity, rel=RELATIVE, abs=1e-14 * gross)
        assert wave["notional"] == pytest.approx(notional, rel=RELATIVE, abs=1e-14 * gross * 1e6)


ALL = (
    "final_price", "low_price", "high_price", "low_time", "long_count", "short_count", "waves", "exhausted",
    "proceeds", "shortfall", "surplus",
)  # fmt: skip


def returns_towards(case: reference.Case, rng: np.random.Generator, paths: int, steps: int, size: float) -> Any:
    """Random returns, most of them small, some paths led exactly to a trigger, some standing still now and then."""
    out = size * rng.standard_normal((paths, steps))
    out[rng.random((paths, steps)) < 0.2] = 0.0
    finite = [t for t in case.trigger if 0 < t < math.inf]
    for path in range(paths):
        if finite and rng.random() < 0.4:
            step = int(rng.integers(steps))
            target = math.log(float(rng.choice(finite))) - math.log(case.price)
            out[path, step] = target - math.fsum(out[path, :step])
    return out


@st.composite
def runs(draw: st.DrawFn) -> Run:
    case = draw(reference.cases(alive=True, refill=False))
    paths = draw(st.sampled_from([1, 2, 7, 8, 9, 17]))
    steps = draw(st.sampled_from([1, 2, 3, 31, 32, 33, 64, 65, 100])) if paths < 9 else draw(st.integers(1, 34))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    size = draw(st.sampled_from([0.001, 0.02, 0.1, 0.3]))
    returns = returns_towards(case, rng, paths, steps, size)
    if draw(st.booleans()):
        returns = returns.astype(np.float32)
    dt = draw(st.sampled_from([1.0, 60.0, 0.25]))
    half_life = dt * draw(st.sampled_from([math.inf, math.inf, 1e-3, 0.5, 1.0, 10.0, 1e4]))
    run = Run(case, returns, dt, half_life)
    total = sum(case.quantity)
    if draw(st.sampled_from([False, False, True])):
        run.moves = (size * rng.standard_normal(steps) * (rng.random(steps) < 0.3)).tolist()
    if draw(st.sampled_from([False, False, True])):
        run.sales = (total * rng.uniform(-0.2, 0.3, steps) * (rng.random(steps) < 0.2)).tolist()
    return run


@settings(max_examples=250)
@given(run=runs())
def test_any_path(run: Run) -> None:
    compared = assert_equals_reference(run)
    event(f"compared {compared / len(run.returns):.1f}")
    assume(compared > 0)


@pytest.mark.parametrize("family", list(reference.SHAPES))
@pytest.mark.parametrize("half_life", [math.inf, 30.0, 3_000.0])
def test_larger_books(family: str, half_life: float) -> None:
    compared = total = 0
    for seed in range(4):
        case = reference.random_case(500 + seed, 40, alive=True, family=family)
        rng = np.random.default_rng(seed)
        run = Run(case, returns_towards(case, rng, 3, 70, 0.03), half_life=half_life)
        compared += assert_equals_reference(run)
        total += 3
    assert compared >= total / 2


# --- by hand ---
def test_a_path_by_hand() -> None:
    """ln price: 0, -0.1, then two closes (0.2 each) in one wave; half of V is back after a step; then a short."""
    book = fp.Book([1, 1, -1], [1.0, 1.0, 1.0], [math.exp(-0.1), math.exp(-0.09), math.exp(0.15)])
    market = fp.Market(1.0, fp.LinearImpact(0.2), half_life=60.0)
    e = fp.simulate(book, market, fp.Returns([[-0.1, 0.0, 0.2, 0.0]]), 240.0, 4, 1, record="all")
    # V: 2 | 1 | 0.5, x = 0.1 - 0.1 = 0 | 0.25 -> x = 0.05
    assert np.log(e.prices[0]) == pytest.approx([0, -0.5, -0.3, 0.0, 0.05], abs=1e-14)
    assert (e.long_count[0], e.short_count[0], e.waves[0]) == (2, 0, 1)
    assert math.log(e.low_price[0]) == pytest.approx(-0.5)
    assert math.log(e.high_price[0]) == pytest.approx(0.05)
    assert e.low_time[0] == 60.0
    assert e.replay(0).waves[["step", "quantity", "count"]].tolist() == [(1, 2.0, 2)]


def test_a_rebound_alone_fires_shorts() -> None:
    """The price moves back up while nothing else moves: recovery is looked at, too."""
    book = fp.Book([1, -1], [1.0, 1.0], [math.exp(-0.1), math.exp(0.05)])
    market = fp.Market(1.0, fp.LinearImpact(1.0), half_life=1.0)
    # -0.1: sold, x = -1.1; then f = +0.1 and x = 0.1 - 2^-t: 0.05 is passed when 2^-t <= 0.05, t = 5
    e = fp.simulate(book, market, fp.Returns([[-0.1, 0.2] + [0.0] * 40]), 42.0, 42, 1)
    assert e.replay(0).waves["step"].tolist() == [1, 1 + 5]
    assert (e.long_count[0], e.short_count[0]) == (1, 1)


@pytest.mark.parametrize("mark_weight", [0.0, 0.5, 1.0])
def test_mark_weight_decides_who_follows(mark_weight: float) -> None:
    book = fp.Book(1, 1.0, np.exp([-0.1, -0.14, -0.18]))
    market = fp.Market(1.0, fp.LinearImpact(0.06), mark_weight=mark_weight)
    e = fp.simulate(book, market, fp.Returns([[-0.1]]), 60.0, 1, 1)
    # marks: -0.1; after one close -0.1 - 0.06 w; after two -0.1 - 0.12 w
    assert e.long_count[0] == {0.0: 1, 0.5: 1, 1.0: 3}[mark_weight]


def test_events_happen_at_the_end_of_their_step() -> None:
    book = fp.Book(1, 1.0, [1e-9])
    market = fp.Market(1.0, fp.LinearImpact(0.1))
    script = fp.Script([0.5, 1.0, 1.5, 4.0], sell=[1.0, 1.0, -1.0, 2.0], move=[0.0, 0.0, 0.3, 0.0])
    e = fp.simulate(book, market, fp.GBM(0.0), 4.0, 4, 1, record="all", script=script)
    assert np.log(e.prices[0]) == pytest.approx([0, -0.2, 0.2, 0.2, 0.0], abs=1e-15)
    assert e.long_count[0] == e.waves[0] == 0
    assert e.proceeds[0] == 0.0  # scripted sales are not the book's


def test_every_step_of_a_grid_that_is_no_binary_fraction() -> None:
    """Times that are steps' ends but for rounding belong to those steps, whatever the number of steps."""
    book, market = fp.Book(1, 1.0, [1e-9]), fp.Market(1.0, fp.LinearImpact(0.0))
    for steps, horizon in ((10, 1.0), (7, 0.7), (1_440, 86_400.0), (333, 1e6 / 3)):
        script = fp.Script(horizon / steps * np.arange(1, steps + 1), move=np.arange(1.0, steps + 1) * 1e-6)
        e = fp.simulate(book, market, fp.GBM(0.0), horizon, steps, 1, record="all", script=script)
        assert np.diff(np.log(e.prices[0])) == pytest.approx(np.arange(1.0, steps + 1) * 1e-6, abs=1e-14)


def test_the_horizon_is_the_end_of_the_last_step_of_very_many() -> None:
    for steps in (10**7 + 1, 10**8 + 7, 3 * 10**9 + 1, 2**32 - 1):
        for horizon in (86_400.0, 1e6 / 3, 0.1):
            for time in (horizon, horizon / steps * steps):
                step = fp.Script(time, move=1.0)._step(horizon / steps, steps)
                assert step.tolist() == [steps - 1]


# --- limits ---
def test_nothing_moves() -> None:
    book, market = fp.Book(1, 1.0, [50.0]), fp.Market(100.0, fp.LinearImpact(1.0))
    e = fp.simulate(book, market, fp.GBM(0.0), steps=50, paths=3, record="all")
    assert e.final_price == pytest.approx(100.0, rel=1e-14)
    assert e.low_price == pytest.approx(100.0, rel=1e-14)
    assert e.high_price == pytest.approx(100.0, rel=1e-14)
    assert not e.low_time.any()
    assert not e.waves.any()
    assert e.prices == pytest.approx(np.full((3, 51), 100.0), rel=1e-14)


def test_an_exhausted_market_has_price_zero_and_recovers() -> None:
    # Depth is used up by 2 units: selling 3 takes the price to 0; a step later 1.5 units are left, price exp(f) * 0.25
    book = fp.Book(1, [1.0, 2.0, 5.0], [90.0, 89.0, 0.0])
    market = fp.Market(100.0, fp.EvaporatingImpact(0.5, 1.0), half_life=60.0)
    e = fp.simulate(book, market, fp.Returns([[math.log(0.88), 0.0, 0.0]]), 180.0, 3, 1, record="all")
    assert e.prices[0] == pytest.approx([100, 0, 88 * (1 - 0.75), 88 * (1 - 0.375)])
    assert e.low_price[0] == 0
    assert e.low_time[0] == 60.0
    assert e.exhausted[0]
    shorts = fp.Book(-1, [1.0, 2.0], [110.0, 111.0])
    e = fp.simulate(shorts, market, fp.Returns([[math.log(1.12), 0.0, 0.0]]), 180.0, 3, 1, record="all")
    assert e.prices[0] == pytest.approx([100, math.inf, 112 / (1 - 0.75), 112 / (1 - 0.375)])
    assert e.high_price[0] == math.inf
    assert e.exhausted[0]


@pytest.mark.parametrize("price", [1e-300, 1e-9, 1e9, 1e300])
def test_prices_of_any_size(price: float) -> None:
    book = fp.Book(
        [1, 1, -1], [1.0, 2.0, 3.0], [0.9 * price, 0.8 * price, 1.2 * price], np.array([0.9, 0.8, 1.2]) * price
    )
    process = fp.GBM(3.0)
    impact = fp.LinearImpact(0.01)
    e = fp.simulate(book, fp.Market(price, impact), process, steps=40, paths=200, seed=1)
    one = fp.simulate(
        fp.Book([1, 1, -1], [1.0, 2.0, 3.0], [0.9, 0.8, 1.2]),
        fp.Market(1.0, impact),
        process,
        steps=40,
        paths=200,
        seed=1,
    )
    assert e.final_price / price == pytest.approx(one.final_price, rel=1e-11)
    assert e.low_price / price == pytest.approx(one.low_price, rel=1e-11)
    assert (e.waves == one.waves).all()
    assert one.waves.any()


def test_far_below_and_far_above() -> None:
    book = fp.Book([1, 1, -1, -1], 1.0, [1e-300, 99.0, 101.0, 1e300])
    market = fp.Market(100.0, fp.LinearImpact(1e-3))
    e = fp.simulate(book, market, fp.Returns([[-800.0, 0.0], [800.0, 0.0], [-800.0, 1600.0]]), 2.0, 2, 3)
    assert e.final_price.tolist() == [0.0, math.inf, math.inf]
    assert e.long_count.tolist() == [2, 0, 2]
    assert e.short_count.tolist() == [0, 2, 2]


def test_one_step_one_path_no_position() -> None:
    for book in (fp.Book(1, [], []), fp.Book([1, -1], 1.0, [0.0, math.inf])):
        e = fp.simulate(book, fp.Market(2.0, fp.LinearImpact(1.0)), fp.Returns([[0.5]]), 1.0, 1, 1)
        assert e.final_price == pytest.approx([2 * math.exp(0.5)])
        assert e.low_price == pytest.approx([2.0])
        assert len(e.replay(0).waves) == 0
        assert e.shortfall.shape == (1,)


@pytest.mark.parametrize("steps", [31, 32, 33, 63, 64, 65])
def test_triggers_at_the_edges_of_blocks(steps: int) -> None:
    """The last step of a block and the first of the next are as good as any."""
    book = fp.Book(1, 1.0, [90.0])
    market = fp.Market(100.0, fp.LinearImpact(0.05))
    returns = np.zeros((steps, steps))
    returns[np.arange(steps), np.arange(steps)] = math.log(0.9)
    e = fp.simulate(book, market, fp.Returns(returns), float(steps), steps, steps, record="all")
    assert (e.long_count == 1).all()
    assert (e.low_time == np.arange(1, steps + 1)).all()
    assert e.final_price == pytest.approx(np.full(steps, 90 * math.exp(-0.05)))
    assert [e.replay(i).waves["step"][0] for i in range(steps)] == list(range(1, steps + 1))


def test_low_and_high_hold_every_recorded_price() -> None:
    book = fp.Book([1, -1] * 20, 1.0, np.ravel([(100 - d, 100 + d) for d in range(1, 21)]))
    market = fp.Market(100.0, fp.SquareRootImpact(0.05, 100.0), half_life=120.0)
    e = fp.simulate(book, market, fp.GBM(2.0), steps=300, paths=500, seed=8, record="all")
    assert (e.low_price <= e.prices.min(axis=1) * (1 + 1e-14)).all()
    assert (e.high_price >= e.prices.max(axis=1) * (1 - 1e-14)).all()
    assert e.prices[:, -1].tobytes() == e.final_price.tobytes()
    assert e.waves.max() > 10


def beside_and_alone(book, market, returns, **given):
    """Rows of one run, whose paths visit the book side by side, and of runs too short for that."""
    given = {"steps": returns.shape[1], "horizon": 10 * returns.shape[1], "seed": 1} | given
    whole = fp.simulate(book, market, fp.Returns(returns), paths=len(returns), **given)
    parts = [
        fp.simulate(book, market, fp.Returns(returns), paths=range(first, min(first + 200, len(returns))), **given)
        for first in range(0, len(returns), 200)
    ]
    return whole, parts[0] + parts[1]


def assert_same_rows(one, other):
    assert set(one) == set(other)
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], name)


@pytest.mark.parametrize("seed", range(20))
def test_paths_side_by_side_are_those_alone_where_prices_are_hardly_numbers(seed):
    rng = np.random.default_rng(seed)
    price = 10.0 ** rng.uniform(-323, -318)
    side = np.where(rng.random(20) < 0.5, 1, -1)
    trigger = price * np.exp(-side * rng.exponential(1.0, 20))
    fires_later = np.where(side > 0, trigger < price * 0.99, trigger > price * 1.01) & (trigger > 0)
    book = fp.Book(side[fires_later], 1.0, trigger[fires_later])
    market = fp.Market(price, fp.LinearImpact(rng.choice([0.01, 0.3])), half_life=50.0)
    assert_same_rows(*beside_and_alone(book, market, rng.normal(0.0, 0.5, (300, 30))))


@pytest.mark.parametrize("move", [-800.0, 800.0])
def test_paths_side_by_side_close_no_more_than_there_is(move):
    """At a price of 0 or inf."""
    side = -int(np.sign(move))
    book = fp.Book(side, 1.0, 100.0 - side * np.linspace(1.0, 10.0, 50))
    returns = np.zeros((300, 5))
    returns[:, 1] = move
    beside, alone = beside_and_alone(book, fp.Market(100.0, fp.LinearImpact(1e-6), half_life=100.0), returns)
    assert (beside.long_count + beside.short_count == 50).all()
    assert_same_rows(beside, alone)


@pytest.mark.parametrize("seed", range(6))
def test_paths_side_by_side_are_those_alone_where_both_sides_fire_at_once(seed):
    """Triggers of longs and shorts so near each other that logarithms cannot tell which is crossed."""
    rng = np.random.default_rng(seed)
    side = np.where(rng.random(60) < 0.5, 1, -1)
    distance = rng.choice([2e-12, 3e-12, 3.9e-12, 0.01, 0.02, 0.05], 60)
    quantity = rng.pareto(1.2, 60) + 0.1
    total = quantity.sum()
    impact = [
        fp.LinearImpact(0.05 / total),
        fp.PowerImpact(0.1 / total**0.5, 0.5),
        fp.EvaporatingImpact(0.3 / total, 2.0),
    ][seed % 3]
    bankruptcy = 100 * np.exp(-side * (distance + 0.01))
    book = fp.Book(side, quantity, 100 * np.exp(-side * distance), bankruptcy)
    market = fp.Market(100.0, impact, half_life=[np.inf, 50.0][seed % 2], mark_weight=[0.0, 0.5, 1.0][seed % 3])
    returns = rng.choice([0.0, 0.0, 1e-13, -1e-13, 1e-12, -1e-12], (300, 30))
    returns[:, 20:] = rng.normal(0.0, 0.01, (300, 10))
    columns = ["long_count", "short_count", "waves", "final_price", "low_price", "high_price", "low_time", "proceeds",
               "shortfall", "surplus"]  # fmt: skip
    assert_same_rows(*beside_and_alone(book, market, returns, columns=columns))
