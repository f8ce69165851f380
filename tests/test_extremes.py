"""Where numbers come to the ends of what doubles hold: an answer, or a message."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import flushpoint as fp

UP = np.full((1, 4), 300.0)  # four steps of which each nearly squares the price
COLUMNS = (
    "proceeds", "shortfall", "surplus", "fund_end", "fund_paid", "fund_received", "fund_needed", "fees", "unpaid_loss",
    "socialised_loss",
)  # fmt: skip


def settled(book: fp.Book, returns: Any, venue: fp.Venue, impact: fp.Impact | None = None) -> dict[str, float]:
    e = fp.simulate(
        book, fp.Market(100.0, impact or fp.LinearImpact(1e-3)), fp.Returns(np.atleast_2d(returns)),
        steps=np.size(returns), paths=1, venue=venue, columns=COLUMNS,
    )  # fmt: skip
    return {name: float(e[name][0]) for name in COLUMNS}


def test_what_is_bought_without_bound_is_lost_without_bound() -> None:
    short = fp.Book(-1, [2.0], [150.0], bankruptcy_price=[160.0])
    for adl, lost in (("none", "unpaid_loss"), ("socialised", "socialised_loss")):
        told = settled(short, UP, fp.Venue(fund=50.0, adl=adl), fp.EvaporatingImpact(1.0, 1.0))
        nothing = dict.fromkeys(COLUMNS, 0.0)
        assert told == nothing | {
            "proceeds": -math.inf, "shortfall": math.inf, "fund_paid": 50.0, "fund_needed": math.inf, lost: math.inf,
        }  # fmt: skip


@pytest.mark.parametrize("seed", range(60))
def test_no_column_is_nan_at_any_prices(seed: int) -> None:
    rng = np.random.default_rng(seed)
    size = 6
    side = np.tile(np.array([1, -1], dtype=np.int8), 3)
    trigger = 100.0 * (1 - side * rng.uniform(0.01, 0.5, size))
    book = fp.Book(
        side, rng.uniform(0.1, 9.0, size), trigger, trigger * (1 - side * 0.02), 100.0 * rng.uniform(0.8, 1.2, size)
    )
    impact = (
        fp.LinearImpact(0.1), fp.PowerImpact(0.1, 0.6), fp.SquareRootImpact(0.03, 10.0),
        fp.DepthImpact([0.1, 0.2], [1.0, 9.0], [1.0, 9.0]), fp.EvaporatingImpact(0.5, 1.0),
    )[seed % 5]  # fmt: skip
    rules: dict[str, Any] = {"surplus_to": ("fund", "trader", "venue")[seed % 3], "fee_rate": 0.01, "fund": 5.0}
    close = ({}, {"close": "fraction", "fraction": 0.3}, {"close": "fraction", "target": 1.5})[seed // 5 % 3]
    adl = ("none", "socialised", "queue", "pro_rata", "pro_rata_profit", "water_filling")[seed % 6]
    returns = rng.choice([0.0, 0.1, -0.1, 300.0, -300.0, 700.0, -700.0, 1_400.0], (8, 6))
    market = fp.Market(100.0, impact, 600.0, permanent=1e-3 * (seed % 2), mark_weight=(1.0, 0.5, 0.0)[seed // 2 % 3])
    e = fp.simulate(
        book, market, fp.Returns(returns), 3_600.0, 6, 8, venue=fp.Venue(adl=adl, **rules, **close),
        script=fp.Script([600.0, 1_200.0], sell=rng.choice([0.0, 1.0, -1.0, 1e3, -1e3], 2)),
    )  # fmt: skip
    for name in e:
        assert not np.isnan(e[name]).any(), name
    e.check_balance()


def test_the_least_numbers_are_closed_whole() -> None:
    """A hundredth of the least number is 0: closes of nothing would never end."""
    least = 5e-324
    for rules in (
        {"target": 1.57},
        {"target": 1.57, "schedule": fp.MarginSchedule([0.0, 1e12], [0.017, 0.029])},
        {"fraction": 0.01},
    ):
        book = fp.Book(1, [least, 1.0], [90.0, 89.0], bankruptcy_price=[80.0, 80.0])
        venue = fp.Venue(close="fraction", **rules)  # type: ignore[arg-type]
        c = fp.cascade(book, fp.Market(100.0, fp.LinearImpact(1e-3)), -0.105, venue=venue)
        assert c.closed.tolist() == [True, False]


def test_an_exponent_has_bounds() -> None:
    for exponent in (1e30, 100.1, 0.0099, 1e-310):
        with pytest.raises(ValueError, match=r"exponent must be at (most 100|least 0\.01), was"):
            fp.PowerImpact(1e-3, exponent)
    volume = np.array([0.0, 5e-324, 1e-300, 0.999999, 1.0, 10.0, 1e100, 1e300])
    for exponent in (0.01, 100.0):
        for coefficient in (0.0, 5e-324, 1e-100, 1.0, 1e300):
            one = fp.PowerImpact(coefficient, exponent)
            for told in (one.displacement(volume), one.inverse(volume), one.proceeds(volume), one.proceeds(-volume)):
                assert not np.isnan(told).any()


def test_liquidity_must_hold_what_is_traded() -> None:
    book, market = fp.Book(1, [1e250], [90.0]), fp.Market(100.0, fp.SquareRootImpact(0.03, 1e4))
    with pytest.raises(
        ValueError, match=r"^liquidity must be at least 1e-50 where up to 1e\+250 are traded, was 1e-60 at"
    ):
        fp.stress(book, market, [-0.2, -0.2], liquidity=[1.0, 1e-60])
    with pytest.raises(ValueError, match=r"liquidity must be at least 1 where up to 1e\+300 are traded, was 0\.5"):
        fp.stress(fp.Book(1, [1.0], [90.0]), market, sell=-1e300, liquidity=0.5)


def test_open_interest_is_finite() -> None:
    book = fp.Book(-1, [9.0], [math.inf])
    with pytest.raises(
        ValueError, match=r"^price must be low enough for a finite open interest, was 1\.7e\+308 at index 1"
    ):
        book.open_interest([1.0, 1.7e308])
    with pytest.raises(ValueError, match=r"price must be low enough for a finite open interest, was 1\.7e\+308$"):
        book.scaled(100.0, 1.7e308)
