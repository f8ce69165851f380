"""More exact laws: bursts under slow driving, slippage and bad debt, absorption, and the laws of totals met by paths.

Thresholds are log draw-downs y, prices start at 1, rho thresholds stand per unit of log price. Means and shares must
agree within 4.5 standard errors (7 seeds in a million fail by chance), chi-squares at a level of 1e-5. Seeds are fixed.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import integrate
from scipy.special import gammaln

import flushpoint as fp
from test_theory_random import close, counts, forward, generalized_poisson, share

Z = 4.5


def borel(r: float, most: int) -> Any:
    """P(n), n = 1, 2, ..."""
    n = np.arange(1, most + 1)
    return np.exp((n - 1) * np.log(n * r) - n * r - gammaln(n + 1))


# --- bursts: what closes at once when the price is driven slowly ---
def bursts(thresholds: Any, coefficient: float, lift: float, until: float | None) -> tuple[Any, int]:
    """Sizes of the bursts begun before the drive reaches draw-down `until`, and their number."""
    price = math.exp(lift)
    r = fp.response(fp.Book(1, 1.0, np.exp(-thresholds)), fp.Market(price, fp.LinearImpact(coefficient)))
    lowest = -math.inf if until is None else -until
    points = r.tipping_points
    points = points[np.log1p(points["shock"]) + lift > lowest]
    closed = thresholds.size if until is None else int(r(math.expm1(lowest - lift)).liquidated_count)
    singles = closed - int(points["count"].sum())
    assert singles > 0
    return np.concatenate([np.ones(singles, np.int64), points["count"]]), singles + len(points)


@pytest.mark.parametrize(("r", "seed"), [(0.3, 1), (0.6, 2), (0.9, 3), (0.98, 4)])
def test_bursts_are_borel(r: float, seed: int) -> None:
    """Bursts begin at the rate rho of the drive, whatever happened before, and have independent Borel sizes."""
    rho, drive = 400_000.0, 1.0
    rng = np.random.default_rng(seed)
    extent = drive / (1 - r) + 30 * math.sqrt(drive / rho / (1 - r) ** 3)
    thresholds = rng.uniform(0, extent, rng.poisson(rho * extent)) if r < 0.95 else None
    if thresholds is None:  # fewer, for so long a way
        rho, extent = 20_000.0, 150.0
        thresholds = rng.uniform(0, extent, rng.poisson(rho * extent))
    found, number = bursts(thresholds, r / rho, 1e-9, drive)
    assert abs(number - rho * drive) <= Z * math.sqrt(rho * drive)
    law = borel(r, 3_000)
    counts(found, np.concatenate([[0.0], law]))
    close(found, 1 / (1 - r), r / (1 - r) ** 3 if r < 0.95 else None)


def test_bursts_of_a_sweep_to_the_critical_point() -> None:
    """Thresholds whose density lets R grow evenly from 0 to 1: n^(n-2) e^-n / n! bursts of size n a position."""
    n = 1_000_000
    total = 0.1
    rng = np.random.default_rng(5)
    thresholds = total * np.log(1 - rng.random(rng.poisson(n)))
    found, _ = bursts(thresholds, total / n, 3.0, None)
    size = np.arange(1, 31)
    law = np.exp((size - 2) * np.log(size) - size - gammaln(size + 1))
    assert law[0] == pytest.approx(math.exp(-1))
    assert law[1] == pytest.approx(math.exp(-2) / 2)
    seen = np.bincount(found, minlength=31)[1:31]
    assert (np.abs(seen - n * law) <= Z * np.sqrt(n * law)).all()
    larger = found > 2_000  # the tail goes with the power -5/2
    middle = (found > 200) & (found <= 2_000)
    expected = [
        n / math.sqrt(2 * math.pi) / 1.5 * (a**-1.5 - b**-1.5) for a, b in ((200.5, 2_000.5), (2_000.5, math.inf))
    ]
    assert abs(middle.sum() - expected[0]) <= Z * math.sqrt(expected[0])
    assert larger.sum() <= expected[1] + Z * math.sqrt(expected[1])


# --- slippage and bad debt ---
def scale_function(rho: float, impact: float, x: float) -> float:
    """W of the M/D/1 queue, from W' = rho (W(x) - W(x - impact)), W(0) = 1."""
    total = 0.0
    for k in range(int(max(x, 0.0) / impact) + 1):
        u = x - k * impact
        if u >= 0:
            total += (-rho * u) ** k * math.exp(rho * u) / math.factorial(k)
    return total


def beyond(rho: float, s: float, impact: float, b: float) -> tuple[float, float]:
    """For equal impacts: mean number of gaps beyond b, and of their excess."""
    r = rho * impact
    limit = 1 / (1 - r)

    def left(v: float) -> float:
        return limit - scale_function(rho, impact, v) if v >= 0 else limit

    corners = [i * impact for i in range(1, 14)]
    number = integrate.quad(left, b - s, b, points=[c for c in corners if b - s < c < b])[0]
    # int_b (v - b) (W(v) - W(v - s)) dv = int_b dv int_v (...) = int_b dv int_{v-s}^v (limit - W)
    end = 13 * impact
    grid = np.linspace(b - s, end, 40_001)
    running = integrate.cumulative_simpson([left(v) for v in grid], x=grid, initial=0)
    at = np.linspace(b, end, 20_001)
    inner = np.interp(at, grid, running) - np.interp(at - s, grid, running)
    excess = integrate.simpson(inner, x=at)
    return rho * number, rho * excess


def exact_gaps(rho: float, s: float, mean: float, exponential: bool, b: float) -> tuple[float, float, float]:
    """Mean sum of gaps, number beyond b, bad debt; `mean` impact of one sale."""
    r = rho * mean
    square = mean**2 * (2 if exponential else 1)
    total = rho * (s**2 / (2 * (1 - r)) + s * rho * square / (2 * (1 - r) ** 2))
    if not exponential:
        return (total, *beyond(rho, s, mean, b))
    kappa = (1 - r) / mean
    number = rho * (r / (1 - r)) * math.expm1(kappa * s) * math.exp(-kappa * b) / kappa
    return total, number, number / kappa


def test_known_figures_of_slippage() -> None:
    total, number, _ = exact_gaps(100, 0.02, 0.006, False, 0.03)
    assert total == pytest.approx(0.0725, abs=1e-12)
    assert number == pytest.approx(0.2282366, abs=1e-7)
    total, number, debt = exact_gaps(100, 0.02, 0.006, True, 0.03)
    assert total == pytest.approx(0.095, abs=1e-12)
    assert number == pytest.approx(0.8506841305, abs=1e-9)
    assert debt == pytest.approx(0.01276026196, abs=1e-10)


@pytest.mark.parametrize("exponential", [False, True])
@pytest.mark.parametrize(
    ("rho", "s", "impact", "b"), [(100.0, 0.02, 0.006, 0.03), (200.0, 0.01, 0.0035, 0.015), (50.0, 0.05, 0.01, 0.05)]
)
def test_slippage_of_each_position(rho: float, s: float, impact: float, b: float, exponential: bool) -> None:
    """Gap: how far the price stood beyond a position's trigger when its turn came, in firing order."""
    reps, unit = 12_000, 0.25
    coefficient, extent = impact / unit, 1.6 if rho < 200 else 0.8
    rng = np.random.default_rng([int(rho), exponential])
    market = fp.Market(1.0, fp.LinearImpact(coefficient))
    sums = np.empty((reps, 3))
    for i in range(reps):
        y = rng.uniform(0, extent, rng.poisson(rho * extent))
        quantity = rng.exponential(unit, y.size) if exponential else np.full(y.size, unit)
        c = fp.cascade(fp.Book(1, quantity, np.exp(-y), np.exp(-y - b)), market, math.expm1(-s))
        closed = np.flatnonzero(c.closed)
        assert closed.size < y.size
        closed = closed[np.argsort(y[closed])]
        y, quantity = y[closed], quantity[closed]
        before = s + coefficient * (np.cumsum(quantity) - quantity)  # the draw-down that each one met
        gap = before - y
        assert (gap > -1e-11).all()
        sums[i] = gap.sum(), np.count_nonzero(gap > b), np.maximum(gap - b, 0).sum()
        # What the engine says of each position's money is the same story.
        moved = coefficient * quantity
        fetched = np.exp(-before) * -np.expm1(-moved) / moved
        np.testing.assert_allclose(c.exit_price[closed], fetched, rtol=1e-11)
        missing = quantity * np.maximum(np.exp(-y - b) - fetched, 0)
        assert c.shortfall == pytest.approx(missing.sum(), rel=1e-9, abs=1e-13)
    for column, mean in zip(sums.T, exact_gaps(rho, s, impact, exponential, b), strict=True):
        close(column, mean)


# --- absorption: some positions never reach the market ---
@pytest.mark.parametrize(("a", "r", "mean", "variance"), [(0.63, 0.6, 2.5706941, 4.6034861), (0.25, 0.8, None, None)])
def test_absorbed_positions(a: float, r: float, mean: float | None, variance: float | None) -> None:
    """Sizes that are next to nothing with probability a: they are counted, and move nothing."""
    theta, n = 2.0, 1_000_000
    effective, c2 = (1 - a) * r, a / (1 - a)
    exact = theta / (1 - effective), theta * (1 + effective**2 * c2) / (1 - effective) ** 3
    if mean is not None:
        assert exact == pytest.approx((mean, variance), abs=1e-6)
    absorbed = round(100 * a)
    sizes = fp.Table([1e-14] * absorbed + [1.0] * (100 - absorbed))
    s = fp.stress(fp.RandomBook(density=100.0, quantity=sizes), fp.Market(1.0, fp.LinearImpact(r / 100)),
                  np.full(n, math.expm1(-0.02)), seed=201)  # fmt: skip
    close(s.long_count, *exact)
    counts(np.round(s.long_quantity).astype(int), generalized_poisson(theta * (1 - a), effective, 500))


# --- a fluid limit: square-root impact over an even density ---
@pytest.mark.parametrize(("density", "expected"), [(1.5, 0.7677653732), (2.0, 2.017928851)])
def test_square_root_over_an_even_density(density: float, expected: float) -> None:
    """Q = L (s + A (sqrt(Q + E) - sqrt(E))), A = 1, E = 0.25, s = 0.003."""
    n, s = 10**9, 0.003
    assert density * (s + math.sqrt(expected + 0.25) - 0.5) == pytest.approx(expected, abs=1e-8)
    book = fp.RandomBook(density=density * n, quantity=1 / n)
    market = fp.Market(1.0, fp.SquareRootImpact(1.0, 1.0, prefactor=1.0, core=0.25))
    found = fp.stress(book, market, np.full(200, math.expm1(-s)), seed=202, max_count=10**11).long_quantity
    slope = 1 - density / (2 * math.sqrt(expected + 0.25))
    error = math.sqrt(expected / n) / slope
    assert found.mean() == pytest.approx(expected, abs=Z * error / math.sqrt(200) + 1e-8)
    assert found.std() == pytest.approx(error, rel=Z / math.sqrt(400))


# --- totals met by paths: what is closed in the end goes with the lowest exogenous price, however it was come by ---
def winding(s: float, paths: int, steps: int, seed: int) -> fp.Returns:
    """Returns that go up and down and end at their lowest, a draw-down of s."""
    rng = np.random.default_rng(seed)
    x = np.concatenate([rng.uniform(-s, s, (paths, steps - 1)), np.full((paths, 1), s)], axis=1)
    return fp.Returns(-np.diff(x, axis=1, prepend=0.0))


PATHS = 200_000


def walk(book: fp.RandomBook | fp.Book, impact: fp.Impact, s: float, seed: int, **options: Any) -> Any:
    steps = 12
    return fp.simulate(book, fp.Market(1.0, impact), winding(s, PATHS, steps, seed), 60.0 * steps, steps, PATHS, seed,
                       **options)  # fmt: skip


@pytest.mark.parametrize(
    ("theta", "r", "figures"),
    [
        (2.0, 0.6, {20: 0.02802563247, 50: 3.738001723e-4}),
        (1.0, 0.9, {50: 0.0470561739}),
        (1.0, 1.0, {10: 0.2455140249, 100: 0.0795674912, 1000: 0.0252243186}),
    ],
)
def test_equal_sizes_in_paths(theta: float, r: float, figures: dict[int, float]) -> None:
    e = walk(fp.RandomBook(density=100.0, quantity=1.0), fp.LinearImpact(r / 100), theta / 100, 203)
    law = generalized_poisson(theta, r, 2_000)
    counts(e.long_count, law)
    for n, above in figures.items():
        share(e.long_count >= n, above)
    if r < 1:
        close(e.long_count, theta / (1 - r), theta / (1 - r) ** 3)
        close(-np.log(e.final_price), theta / 100 / (1 - r))


def test_exponential_sizes_in_paths() -> None:
    theta, r = 2.0, 0.6
    e = walk(fp.RandomBook(density=100.0, quantity=fp.Exponential(1.0)), fp.LinearImpact(r / 100), 0.02, 204)
    close(e.long_count, theta / (1 - r), theta * (1 + r**2) / (1 - r) ** 3)
    close(e.long_quantity, theta / (1 - r), 2 * theta / (1 - r) ** 3)


def test_runaways_in_paths() -> None:
    e = walk(fp.RandomBook(density=100.0, quantity=1.0), fp.LinearImpact(0.015), 0.005, 205, max_count=2_000)
    share(~e.runaway, 0.7472123813)
    e = walk(fp.RandomBook(density=100.0, quantity=1.0), fp.PowerImpact(0.0002, 2.4), 0.02, 206, max_count=1_000)
    share(e.runaway, 0.01766500403)
    share(e.long_count <= 5, 0.9343332672)
    share(e.long_count == 0, 0.1353352832)


def test_square_roots_in_paths() -> None:
    n = np.arange(221)
    for impact, displacement in (
        (fp.PowerImpact(0.02, 0.5), 0.02 * np.sqrt(n)),
        (fp.SquareRootImpact(0.08, 1.0, prefactor=1.0, core=16.0), 0.08 * (np.sqrt(n + 16) - 4)),
    ):
        e = walk(fp.RandomBook(density=100.0, quantity=1.0), impact, 0.01, 207)
        counts(e.long_count, forward(100 * (0.01 + displacement)))


def test_so_many_positions_in_paths() -> None:
    """Uniform thresholds: the saturating quasi-binomial law."""
    count, d, p = 100, 0.02, 0.015
    book = fp.RandomBook(count=count, distance=fp.Uniform(0, 1), quantity=1.0)
    e = walk(book, fp.LinearImpact(p), d, 208)
    close(e.long_count, 71.10389326)
    share(e.long_count == count, 0.705635699)


def test_a_book_that_has_turned_over_is_thinner() -> None:
    """One book, of which each position is still there with probability exp(-closing_rate t), by itself."""
    n, rho, s, r, t, rate = 40_000, 100.0, 0.02, 0.9, 600.0, 1e-3
    thresholds = np.sort(np.random.default_rng(209).uniform(0, 3.0, 300))
    keep = math.exp(-rate * t)
    market = fp.Market(1.0, fp.LinearImpact(r / rho))
    e = fp.simulate(fp.Book(1, 1.0, np.exp(-thresholds)), market, fp.Returns(np.full((n, 1), -s)), t, 1, n, 210,
                    turnover=fp.Turnover(0.0, 1.0, closing_rate=rate))  # fmt: skip
    law = np.zeros(thresholds.size + 1)
    state = np.array([1.0])  # P(so many closed among the first k, and the cascade not over)
    for threshold in thresholds:
        closed = np.arange(state.size)
        over = s + r / rho * closed < threshold
        law[: state.size][over] += state[over]
        state = np.where(over, 0.0, state)
        state = np.append(state * (1 - keep), 0.0) + np.append(0.0, state * keep)
    law[: state.size] += state
    counts(e.long_count, law[:-1])
    close(e.long_count, float(law @ np.arange(law.size)))
