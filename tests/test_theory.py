"""Laws of the fluid limit and closed forms for proceeds, met by large books.

Thresholds are log draw-downs y, so a trigger is price * exp(-y). Numbers are exact values of the laws; tolerances are
the fluctuations of one random book of that size.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest

import flushpoint as fp

N = 1_000_000
LIFT = 2.0  # the market stands this far above the reference price, so that thresholds below zero are not crossed yet
P0 = 100.0


def shock_for(draw_down: float) -> float:
    return math.expm1(-(draw_down + LIFT))


def book_of(thresholds: np.ndarray, quantity: float) -> tuple[fp.Book, float]:
    return fp.Book(1, quantity, P0 * np.exp(-thresholds)), P0 * math.exp(LIFT)


# --- Gaussian thresholds, linear impact: a jump of the random-field kind ---
J, MEAN, SD = 0.3, 0.2, 0.08
CRITICAL = 0.07278217417246073
BEFORE, AFTER = 0.07670831598524037, 0.9873704272326332


def test_the_law_of_gaussian_thresholds() -> None:
    law = NormalDist(MEAN, SD)
    peak = J / (SD * math.sqrt(2 * math.pi))
    assert peak > 1
    x = MEAN - SD * math.sqrt(2 * math.log(peak))
    assert x - J * law.cdf(x) == pytest.approx(CRITICAL, abs=1e-9)
    for s, share in ((CRITICAL - 0.01, BEFORE), (CRITICAL + 0.01, AFTER)):
        assert law.cdf(s + J * share) == pytest.approx(share, abs=1e-12)


@pytest.fixture(scope="module")
def quantiles() -> np.ndarray:
    law = NormalDist(MEAN, SD)
    half = np.array([law.inv_cdf((i + 0.5) / N) for i in range(N // 2)])
    return np.concatenate([half, 2 * MEAN - half[::-1]])


def largest_run(r: fp.Response) -> np.void:
    points = r.tipping_points
    return points[np.argmax(points["quantity"])]


def test_gaussian_thresholds_at_their_quantiles(quantiles: np.ndarray) -> None:
    book, price = book_of(quantiles, 1 / N)
    market = fp.Market(price, fp.LinearImpact(J))
    r = fp.response(book, market)
    run = largest_run(r)
    # positions are J / N apart in impact, which is as well as a book of N can know the critical shock
    assert math.log(P0 / run["price"]) == pytest.approx(CRITICAL, abs=2 * J / N)
    x = MEAN - SD * math.sqrt(2 * math.log(J / (SD * math.sqrt(2 * math.pi))))
    before = NormalDist(MEAN, SD).cdf(x)
    jump = r([shock_for(CRITICAL - 1e-6), shock_for(CRITICAL + 1e-6)]).liquidated_quantity
    assert jump[0] == pytest.approx(before, abs=0.005)
    assert jump[1] - jump[0] > 0.7
    assert run["quantity"] > 0.7
    for s, share in ((CRITICAL - 0.01, BEFORE), (CRITICAL + 0.01, AFTER)):
        assert r(shock_for(s)).liquidated_quantity == pytest.approx(share, abs=1e-5)
        assert fp.cascade(book, market, shock_for(s)).liquidated_quantity == pytest.approx(share, abs=1e-5)


def test_gaussian_thresholds_at_random() -> None:
    rng = np.random.default_rng(2025)
    book, price = book_of(rng.normal(MEAN, SD, N), 1 / N)
    market = fp.Market(price, fp.LinearImpact(J))
    r = fp.response(book, market)
    share = NormalDist().cdf(-math.sqrt(2 * math.log(J / (SD * math.sqrt(2 * math.pi)))))
    noise = J * math.sqrt(share * (1 - share) / N)
    assert math.log(P0 / largest_run(r)["price"]) == pytest.approx(CRITICAL, abs=6 * noise)
    answer = r([shock_for(CRITICAL - 0.01), shock_for(CRITICAL + 0.01)])
    assert answer.liquidated_quantity[0] == pytest.approx(BEFORE, abs=0.003571358752498067)
    assert answer.liquidated_quantity[1] == pytest.approx(AFTER, abs=0.0008634927552976323)
    for i, shock in enumerate(answer.shock):
        c = fp.cascade(book, market, shock)
        assert c.liquidated_count == answer.liquidated_count[i]
        assert c.final_price == pytest.approx(answer.final_price[i], rel=1e-12)


# --- convex order book, uniform density: a first-order run ---
KAPPA, POWER = 0.02, 2.4
CRITICAL_SHOCK = 5.103725859086922
CRITICAL_QUANTITY = 8.749244330
BELOW = 6.937274080996573


def test_the_law_of_a_convex_book() -> None:
    quantity = (KAPPA * POWER) ** (-1 / (POWER - 1))
    assert quantity == pytest.approx(CRITICAL_QUANTITY, abs=1e-8)
    assert quantity * (1 - 1 / POWER) == pytest.approx(CRITICAL_SHOCK, abs=1e-9)
    total = 0.95 * CRITICAL_SHOCK + KAPPA * BELOW**POWER
    assert total == pytest.approx(BELOW, abs=1e-9)


def convex(thresholds: np.ndarray, quantity: float) -> tuple[fp.Book, fp.Market, fp.Response]:
    book, price = book_of(thresholds, quantity)
    market = fp.Market(price, fp.PowerImpact(KAPPA, POWER))
    return book, market, fp.response(book, market)


def test_a_convex_book_on_a_grid() -> None:
    extent = 30.0
    _, _, r = convex((np.arange(N) + 0.5) * extent / N, extent / N)
    points = r.tipping_points
    assert len(points) == 1
    assert math.log(P0 / points["price"][0]) == pytest.approx(CRITICAL_SHOCK, abs=2 * extent / N)
    assert extent - points["quantity"][0] == pytest.approx(CRITICAL_QUANTITY, abs=0.01)
    answer = r([shock_for(0.95 * CRITICAL_SHOCK), shock_for(1.05 * CRITICAL_SHOCK)])
    assert answer.liquidated_quantity[0] == pytest.approx(BELOW, abs=1e-3)
    assert answer.liquidated_count[1] == N


def test_a_convex_book_at_random() -> None:
    extent = 10.0
    rng = np.random.default_rng(7)
    book, market, r = convex(rng.uniform(0, extent, N), extent / N)
    assert r(shock_for(0.95 * CRITICAL_SHOCK)).liquidated_quantity == pytest.approx(BELOW, abs=0.1501336234147179)
    assert fp.cascade(book, market, shock_for(0.95 * CRITICAL_SHOCK)).liquidated_quantity == pytest.approx(
        BELOW, abs=0.1501336234147179
    )
    assert r(shock_for(1.05 * CRITICAL_SHOCK)).liquidated_count == N
    extent = 30.0
    for seed in range(3):
        rng = np.random.default_rng(seed)
        book, market, r = convex(rng.uniform(0, extent, N // 3), 3 * extent / N)
        shock = shock_for(1.05 * CRITICAL_SHOCK)
        assert r(shock).liquidated_quantity > 3 * CRITICAL_QUANTITY
        assert fp.cascade(book, market, shock).liquidated_quantity > 3 * CRITICAL_QUANTITY


# --- proceeds ---
VWAPS = [
    (fp.LinearImpact(0.5), 88.33244761515478),
    (fp.PowerImpact(0.2, 0.5), 90.64483182443914),
    (fp.SquareRootImpact(0.2, 1.0, prefactor=1.0), 90.64483182443914),
    (fp.PowerImpact(0.2, 0.6), 91.80149365461202),
]


@pytest.mark.parametrize(("impact", "vwap"), VWAPS)
def test_average_price_of_a_sale(impact: fp.Impact, vwap: float) -> None:
    """0.3 sold after 0.1, at 100."""
    assert 100 * impact.proceeds(0.3, 0.1) / 0.3 == pytest.approx(vwap, abs=1e-9)
    market = fp.Market(100.0, impact)
    assert (market.proceeds(0.4) - market.proceeds(0.1)) / 0.3 == pytest.approx(vwap, abs=1e-9)
    c = fp.cascade(fp.Book(1, [0.1, 0.3], [99.9, 99.8]), market, shock=-0.1)
    assert c.exit_price[1] / 0.9 == pytest.approx(vwap, abs=1e-9)
    sold = fp.cascade(fp.Book(1, 0.3, 99.9), market, shock=-0.1, sell=0.1)
    assert sold.exit_price[0] / 0.9 == pytest.approx(vwap, abs=1e-9)


def test_one_block_or_a_thousand_pieces() -> None:
    square_roots = fp.SquareRootImpact(0.02, 5e3), fp.SquareRootImpact(0.02, 5e3, core=4.0)
    for impact in (*square_roots, fp.PowerImpact(0.002, 0.5)):
        market = fp.Market(100.0, impact)
        block = fp.cascade(fp.Book(1, 1000.0, 99.0, 95.0), market, -0.05, sell=7.0)
        split = fp.cascade(fp.Book(1, np.ones(1000), 99.0, 95.0), market, -0.05, sell=7.0)
        assert math.log(block.final_price / split.final_price) == pytest.approx(0, abs=1e-12)
        assert split.proceeds == pytest.approx(block.proceeds, rel=1e-12)
        pieces = impact.proceeds(1.0, 7.0 + np.arange(1000))
        assert math.fsum(pieces) == pytest.approx(impact.proceeds(1000.0, 7.0), rel=1e-12)
        displaced = impact.displacement(7.0 + np.cumsum(np.ones(1000)))[-1]
        assert displaced == pytest.approx(impact.displacement(1007.0), abs=1e-12)
