"""Exact laws of random cascades, met by books drawn anew in every scenario.

Each comparison fails by chance less than once in 100,000 seeds: means and shares within 4.5 standard errors, counts by
chi-square at a level of 1e-5. Seeds are fixed. Thresholds are log draw-downs; rho of them stand per unit of log price.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats
from scipy.special import ive, lambertw

import flushpoint as fp

N = 1_000_000
Z = 4.5
LEVEL = 1e-5


def run(
    book: fp.RandomBook, impact: fp.Impact, shock: float | np.ndarray, seed: int, scenarios: int = N, **options: int
) -> fp.RandomStressResult:
    """Log falls `shock` at a price of 1."""
    falls = np.expm1(-np.broadcast_to(shock, scenarios))
    result = fp.stress(book, fp.Market(1.0, impact), falls, seed=seed, **options)
    assert isinstance(result, fp.RandomStressResult)
    return result


def poisson_book(rho: float, quantity: fp.Law | float = 1.0) -> fp.RandomBook:
    return fp.RandomBook(density=rho, quantity=quantity)


def close(found: np.ndarray, mean: float, variance: float | None = None) -> None:
    """The sample has this mean and, where given, this variance."""
    assert found.mean() == pytest.approx(mean, abs=Z * found.std() / math.sqrt(found.size))
    if variance is not None:
        squares = (found - mean) ** 2
        assert squares.mean() == pytest.approx(variance, abs=Z * squares.std() / math.sqrt(found.size))


def share(found: np.ndarray, probability: float) -> None:
    error = math.sqrt(probability * (1 - probability) / found.size)
    assert found.mean() == pytest.approx(probability, abs=Z * error)


def counts(found: np.ndarray, law: np.ndarray) -> None:
    """Chi-square of counts against law[n] = P(n), what lies beyond the law's end in one bin; bins expect 25 or more."""
    seen = np.bincount(np.minimum(found, law.size), minlength=law.size + 1).astype(float)
    expected = found.size * np.append(law, max(0.0, 1 - law.sum()))
    observed_bins, expected_bins, at = [], [], 0
    while at < expected.size:
        end = at + 1
        while end < expected.size and expected[at:end].sum() < 25:
            end += 1
        observed_bins.append(seen[at:end].sum())
        expected_bins.append(expected[at:end].sum())
        at = end
    if expected_bins[-1] < 25:
        tail = observed_bins.pop(), expected_bins.pop()
        observed_bins[-1] += tail[0]
        expected_bins[-1] += tail[1]
    o, e = np.array(observed_bins), np.array(expected_bins)
    assert e.sum() == pytest.approx(found.size, rel=1e-6)
    assert ((o - e) ** 2 / e).sum() < stats.chi2.isf(LEVEL, len(o) - 1)


# --- linear impact, equal sizes: the generalized Poisson law ---
def generalized_poisson(theta: float, r: float, most: int) -> np.ndarray:
    n = np.arange(most)
    log = math.log(theta) + (n - 1) * np.log(theta + n * r) - theta - n * r
    return np.exp(log - np.array([math.lgamma(k + 1) for k in n]))


@pytest.mark.parametrize(
    ("rho", "s", "q", "coefficient"),
    [(100.0, 0.02, 1.0, 0.006), (1000.0, 0.001, 2.0, 0.00045), (100.0, 0.01, 1.0, 0.01), (3e5, 1e-4, 0.1, 1e-5)],
)
def test_equal_sizes(rho: float, s: float, q: float, coefficient: float) -> None:
    theta, r = rho * s, rho * coefficient * q
    result = run(poisson_book(rho, q), fp.LinearImpact(coefficient), s, seed=101, max_count=100_000)
    found = result.long_count
    law = generalized_poisson(theta, r, 2_000)
    counts(found, law)
    if r < 1:
        close(found, theta / (1 - r), theta / (1 - r) ** 3)
        close(-np.log(result.final_price), s / (1 - r))
    for n in (0, 20, 50):
        share(found >= n + 1, 1 - law[: n + 1].sum())
    np.testing.assert_allclose(result.long_quantity, q * found, rtol=1e-12)
    # The generating function of the number of waves
    h = 0.0
    for waves in range(11):
        share(result.waves <= waves, math.exp(theta * (h - 1)))
        h = math.exp(r * (h - 1))


def test_worked_numbers() -> None:
    """The figures of the law themselves, so that a wrong formula above cannot pass."""
    law = generalized_poisson(2.0, 0.6, 2_000)
    assert law[0] == pytest.approx(0.1353352832, abs=1e-10)
    assert law[20:].sum() == pytest.approx(0.02802563247, abs=1e-10)
    assert law[50:].sum() == pytest.approx(3.738001723e-4, abs=1e-12)
    critical = generalized_poisson(1.0, 1.0, 1_000)
    for n, above in ((10, 0.2455140249), (100, 0.0795674912), (1000, 0.0252243186)):
        assert 1 - critical[:n].sum() == pytest.approx(above, abs=1e-9)
    result = run(poisson_book(100.0), fp.LinearImpact(0.006), 0.02, seed=102)
    found = np.sort(result.long_count)
    assert abs(found[int(0.99 * N)] - 26) <= 1
    worst = found[int(0.99 * N) :]
    assert worst.mean() == pytest.approx(33.13454139, abs=0.4526632977 * math.sqrt(1e6 / N))


@pytest.mark.parametrize(("s", "coefficient"), [(0.005, 0.015), (0.02, 0.012), (0.001, 0.03)])
def test_chance_to_stay_finite(s: float, coefficient: float) -> None:
    theta, r = 100 * s, 100 * coefficient
    eta = float(-lambertw(-r * math.exp(-r)).real / r)
    result = run(poisson_book(100.0), fp.LinearImpact(coefficient), s, seed=103, max_count=3_000)
    share(~result.runaway, math.exp(-theta * (1 - eta)))
    if (s, coefficient) == (0.005, 0.015):
        assert math.exp(-theta * (1 - eta)) == pytest.approx(0.7472123813, abs=1e-10)


# --- random sizes ---
def total_of_exponential_sizes(theta: float, r: float, most: int) -> np.ndarray:
    law = np.zeros(most)
    law[0] = math.exp(-theta)
    for n in range(1, most):
        k = np.arange(1, n + 1)
        log = stats.poisson.logpmf(k, theta) + np.log(k / n) - n * math.log1p(r) + (n - k) * math.log(r / (1 + r))
        choose = [math.lgamma(2 * n - i) - math.lgamma(n - i + 1) - math.lgamma(n) for i in k]
        law[n] = np.exp(log + np.array(choose)).sum()
    return law


@pytest.mark.parametrize(("s", "mean", "coefficient"), [(0.02, 1.0, 0.006), (0.05, 0.5, 0.008)])
def test_exponential_sizes(s: float, mean: float, coefficient: float) -> None:
    rho = 100.0
    theta, r = rho * s, rho * coefficient * mean
    result = run(poisson_book(rho, fp.Exponential(mean)), fp.LinearImpact(coefficient), s, seed=104)
    close(result.long_count, theta / (1 - r), theta * (1 + r**2) / (1 - r) ** 3)
    close(result.long_quantity, theta * mean / (1 - r), theta * 2 * mean**2 / (1 - r) ** 3)
    counts(result.long_count, total_of_exponential_sizes(theta, r, 120))
    share(result.long_count == 0, math.exp(-theta))

    # The density of the final draw-down, and the tail above a few levels
    u = np.linspace(0, 400 * mean, 400_001)[1:] - 200 * mean / 400_000
    x = s + coefficient * u
    z = 2 * np.sqrt(rho * x * u / mean)
    density = s / (x * coefficient) * np.exp(z - rho * x - u / mean) * np.sqrt(rho * x / (mean * u)) * ive(1, z)
    above = np.cumsum((density * coefficient * mean / 1_000)[::-1])[::-1]
    assert above[0] == pytest.approx(1 - math.exp(-theta), abs=1e-5)
    drawn = -np.log(result.final_price)
    for level in (0.06, 0.1, 0.2, 0.3):
        share(drawn > level, float(above[np.searchsorted(x, level)]))


def test_tail_risk_of_exponential_sizes() -> None:
    result = run(poisson_book(100.0, fp.Exponential(1.0)), fp.LinearImpact(0.006), 0.02, seed=105)
    drawn = np.sort(-np.log(result.final_price))
    wider = math.sqrt(1e6 / N)
    for level, var, var_error, shortfall, shortfall_error in (
        (0.95, 0.1386006348, 0.0011984546, 0.2084182039, 0.0020680114),
        (0.99, 0.2493933489, 0.0033819963, 0.3306160694, 0.0052804985),
    ):
        at = int(level * N)
        assert drawn[at] == pytest.approx(var, abs=var_error * wider)
        assert drawn[at:].mean() == pytest.approx(shortfall, abs=shortfall_error * wider)


PARETO = 4.5
sizes: list[tuple[fp.Law, float, float]] = [
    (fp.Pareto((PARETO - 1) / PARETO, PARETO), 1.0, (PARETO - 1) ** 2 / (PARETO * (PARETO - 2))),
    (fp.LogNormal(math.exp(-0.125), 0.5), 1.0, math.exp(0.25)),
    (fp.Uniform(0.5, 1.5), 1.0, 1 + 1 / 12),
    (fp.Table([0.5, 1.0, 1.0, 1.5]), 1.0, 1.125),
]


@pytest.mark.parametrize(("law", "mean", "square"), sizes)
def test_random_sizes(law: fp.Law, mean: float, square: float) -> None:
    theta, r, c2 = 2.0, 0.6, square / mean**2 - 1
    result = run(poisson_book(100.0, law), fp.LinearImpact(0.006), 0.02, seed=106)
    close(result.long_count, theta / (1 - r), theta * (1 + r**2 * c2) / (1 - r) ** 3)
    close(result.long_quantity, theta * mean / (1 - r), theta * square / (1 - r) ** 3)


# --- any impact: one closed after the other, with what the next uncovers ---
def forward(lambdas: np.ndarray, binomial: tuple[int, np.ndarray] | None = None) -> np.ndarray:
    """P(T = n): v is the law of how many are uncovered and not yet closed when k have been."""
    most = lambdas.size - 1
    out = np.zeros(most)
    if binomial is None:
        reach = 2 * most
        v = stats.poisson.pmf(np.arange(reach), lambdas[0])
        for k in range(most):
            out[k] = v[0]
            v = np.convolve(v[1:], stats.poisson.pmf(np.arange(reach), lambdas[k + 1] - lambdas[k]))[:reach]
        return out
    total, f = binomial
    v = stats.binom.pmf(np.arange(total + 1), total, f[0])  # v[j]: j uncovered in all
    for k in range(most):
        out[k] = v[k]
        v[k] = 0.0
        after = np.zeros(total + 1)
        p = min(1.0, (f[k + 1] - f[k]) / (1 - f[k])) if f[k] < 1 else 1.0
        for j in range(k + 1, total + 1):
            if v[j] > 0:
                after[j:] += v[j] * stats.binom.pmf(np.arange(total - j + 1), total - j, p)
        v = after
    return out


any_impact: list[tuple[str, fp.Impact, Callable[[np.ndarray], np.ndarray], float, dict[str, float]]] = [
    (
        "square root",
        fp.PowerImpact(0.02, 0.5),
        lambda n: 0.02 * np.sqrt(n),
        0.01,
        {"zero": 0.3678794412, "five": 0.6612741623, "mean": 4.040896385, "variance": 18.87062371},
    ),
    (
        "square root with a core",
        fp.SquareRootImpact(0.08, 1.0, prefactor=1.0, core=16.0),
        lambda n: 0.08 * (np.sqrt(n + 16) - 4),
        0.01,
        {"zero": 0.3678794412, "five": 0.7092830632, "mean": 5.54101596, "variance": 77.69460822},
    ),
    (
        "a depth profile",
        fp.DepthImpact([0.01, 0.03], [4.0, 6.0]),
        lambda n: np.interp(n, [0, 4, 6, 106], [0, 0.01, 0.03, 1.03]),
        0.004,
        {},
    ),
    ("power 0.8", fp.PowerImpact(0.008, 0.8), lambda n: 0.008 * n**0.8, 0.015, {}),
]


@pytest.mark.parametrize(("name", "impact", "displacement", "s", "figures"), any_impact)
def test_any_impact(
    name: str, impact: fp.Impact, displacement: Callable[[np.ndarray], np.ndarray], s: float, figures: dict[str, float]
) -> None:
    most = 60 if name == "a depth profile" else 220
    law = forward(100 * (s + displacement(np.arange(most + 1))))
    found = run(poisson_book(100.0), impact, s, seed=107, max_count=5_000).long_count
    counts(found, law)
    if figures:
        assert law[0] == pytest.approx(figures["zero"], abs=1e-9)
        assert law[:6].sum() == pytest.approx(figures["five"], abs=1e-9)
        close(found, figures["mean"], figures["variance"])


def test_a_convex_book_runs_away() -> None:
    result = run(poisson_book(100.0), fp.PowerImpact(0.0002, 2.4), 0.02, seed=108, max_count=1_000)
    law = forward(100 * (0.02 + 0.0002 * np.arange(41.0) ** 2.4))
    assert 1 - law.sum() == pytest.approx(0.01766500403, abs=1e-9)
    share(result.runaway, 0.01766500403)
    share(result.long_count <= 5, 0.9343332672)
    counts(result.long_count[~result.runaway], law / law.sum())


def test_an_emptying_book() -> None:
    """dx/dQ = 0.004 exp(8 x) from x = s on."""
    s = 0.02
    at_start = math.exp(8 * s)
    result = run(poisson_book(100.0), fp.EvaporatingImpact(0.004 * at_start, 8.0), s, seed=109, max_count=1_000)
    assert (result.exhausted == result.runaway).all()
    share(result.runaway, 0.05347762048)
    share(result.long_count <= 5, 0.7381118841)


# --- so many positions ---
def quasi_binomial(n: int, d: float, p: float) -> np.ndarray:
    law = np.zeros(n + 1)
    for r in range(n):
        if d + r * p < 1:
            law[r] = math.comb(n, r) * d * (d + r * p) ** (r - 1) * (1 - d - r * p) ** (n - r)
    law[n] = 1 - law.sum()
    return law


@pytest.mark.parametrize(
    ("n", "d", "p"), [(100, 0.02, 0.006), (100, 0.02, 0.015), (5, 0.1, 0.1), (1_000, 0.05, 0.0005)]
)
def test_uniform_thresholds(n: int, d: float, p: float) -> None:
    law = quasi_binomial(n, d, p)
    found = run(fp.RandomBook(count=n, distance=fp.Uniform(0, 1), quantity=1.0), fp.LinearImpact(p), d, 110).long_count
    counts(found, law)
    mean = float(law @ np.arange(n + 1))
    close(found, mean)
    share(found == n, law[n])
    known = {0.006: 4.828357506, 0.015: 71.10389326}
    if n == 100:
        assert mean == pytest.approx(known[p], abs=1e-7)
    if p == 0.015:
        assert law[n] == pytest.approx(0.705635699, abs=1e-9)


def test_exponential_thresholds() -> None:
    n, s = 200, 0.01
    f = -np.expm1(-(s + 0.12 / n * np.arange(n + 2)) / 0.1)
    law = forward(f, (n, f))
    assert law @ np.arange(n + 1) == pytest.approx(98.24121243, abs=1e-7)
    book = fp.RandomBook(count=n, distance=fp.Exponential(0.1), quantity=1 / n)
    found = run(book, fp.LinearImpact(0.12), s, seed=111).long_count
    counts(found, law)


def test_a_thousand_million_positions() -> None:
    """Exponential thresholds in the fluid limit: y = sigma + R + W(-R exp(-(sigma + R)))."""
    n, scale = 10**9, 0.1
    for sigma, r, expected in ((0.05, 1.5, 0.6306205347), (0.2, 0.8, 0.4104101128)):
        book = fp.RandomBook(count=n, distance=fp.Exponential(scale), quantity=1 / n)
        result = run(book, fp.LinearImpact(r * scale), sigma * scale, seed=112, scenarios=50, max_count=n)
        y = sigma + r + float(lambertw(-r * math.exp(-(sigma + r))).real)
        assert (y - sigma) / r == pytest.approx(expected, abs=1e-9)
        # Each book's share scatters like a normal number's, with the response's slope.
        f = expected
        error = math.sqrt(f * (1 - f) / n) / (1 - r * math.exp(-y))
        share_closed = result.long_count / n
        assert share_closed.mean() == pytest.approx(f, abs=Z * error / math.sqrt(50) + 1e-9)
        assert share_closed.std() == pytest.approx(error, rel=Z / math.sqrt(100))


# --- random shocks ---
@pytest.mark.parametrize(("mean", "coefficient"), [(0.02, 0.006), (0.01, 0.003)])
def test_random_shocks(mean: float, coefficient: float) -> None:
    theta, r = 100 * mean, 100 * coefficient
    shock = np.random.default_rng(113).exponential(mean, N)
    found = run(poisson_book(100.0), fp.LinearImpact(coefficient), shock, seed=113).long_count
    close(found, theta / (1 - r), theta / (1 - r) ** 3 + theta**2 / (1 - r) ** 2)
    share(found == 0, 1 / (1 + theta))
