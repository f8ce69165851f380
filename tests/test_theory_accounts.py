"""Exact laws of cascades through several markets with cross impact (Poisson thresholds, multitype branching)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

import flushpoint as fp

PRICE = 100.0
EXTENT = 1.0  # log price: no cascade here gets near it


@dataclass(frozen=True)
class Law:
    """Thresholds of one unit a market, Poisson with `density` a unit of log price, and how a unit sold moves prices."""

    density: tuple[float, ...]
    shock: tuple[float, ...]  # log falls
    impact: tuple[tuple[float, ...], ...]  # log fall of the row's market for a unit sold in the column's

    @property
    def branching(self) -> np.ndarray:
        """Thresholds of the row's market that a unit sold in the column's uncovers."""
        return np.array(self.density)[:, None] * np.array(self.impact)

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and covariance of how many are sold: m = (1 - R)^-1 theta, and V diag(m) V' with V = (1 - R)^-1."""
        total = np.linalg.inv(np.eye(len(self.density)) - self.branching)
        mean = total @ (np.array(self.density) * np.array(self.shock))
        return mean, total @ np.diag(mean) @ total.T


LAWS = [
    Law((100.0, 50.0), (0.02, 0.01), ((0.004, 0.002), (0.001, 0.010))),
    Law((80.0, 40.0, 120.0), (0.0, 0.03, 0.01), ((0.003, 0.001, 0.002), (0.004, 0.006, 0.0), (0.0005, 0.0, 0.002))),
]


def draw(law: Law, worlds: int, rng: np.random.Generator) -> np.ndarray:
    """Sold in each of many independent worlds, shape (worlds, markets): all of them are markets of one cascade."""
    kinds = len(law.density)
    counts = rng.poisson(np.tile(law.density, worlds) * EXTENT)
    market = np.repeat(np.arange(kinds * worlds), counts)
    trigger = PRICE * np.exp(-rng.uniform(0, EXTENT, market.size))
    own = np.tile(np.diag(law.impact), worlds)
    markets = fp.Markets(
        {str(m): fp.Market(PRICE, fp.LinearImpact(impact)) for m, impact in enumerate(own)},
        cross_impact=np.kron(np.eye(worlds), np.array(law.impact) - np.diag(np.diag(law.impact))),
    )
    # Without maintenance, a unit bought at the price with this margin is closed at its trigger.
    accounts = fp.Accounts(
        np.arange(market.size), market, np.ones(market.size), np.full(market.size, PRICE), PRICE - trigger,
        fp.MarginSchedule.flat(0.0),
    )  # fmt: skip
    return fp.cascade(accounts, markets, np.tile(np.expm1(-np.array(law.shock)), worlds)).long_count.reshape(
        worlds, kinds
    )


def test_the_law_is_the_published_one() -> None:
    mean, covariance = LAWS[0].moments()
    np.testing.assert_allclose(mean, [3.793103448, 1.379310345], rtol=1e-9)
    np.testing.assert_allclose(
        [*np.diag(covariance), covariance[0, 1]], [11.93160851, 6.01705687, 3.095657879], rtol=1e-9
    )
    assert max(abs(np.linalg.eigvals(LAWS[0].branching))) == pytest.approx(0.5618033989)


@pytest.mark.parametrize("law", LAWS, ids=["two markets", "three markets"])
def test_how_many_are_sold(law: Law) -> None:
    """Each moment lies within four and a half of its standard errors; the seed is fixed."""
    rng = np.random.default_rng(20)
    sold = np.concatenate([draw(law, 50, rng) for _ in range(60)]).astype(float)
    mean, covariance = law.moments()
    assert (abs(sold.mean(0) - mean) < 4.5 * np.sqrt(np.diag(covariance) / len(sold))).all()
    away = sold - mean
    products = away[:, :, None] * away[:, None, :]
    error = products.std(0) / np.sqrt(len(sold))
    assert (abs(products.mean(0) - covariance) < 4.5 * error).all()
