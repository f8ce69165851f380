"""How large a fund must be: on needs that are given, and against runs with the fund found."""

from __future__ import annotations

import importlib
import math
import pickle
from typing import Any

import numpy as np
import pytest

import flushpoint as fp
from flushpoint.summary import proportion, ranks

BOOK = fp.Book([1, -1], 1.0, [90.0, 110.0], [89.0, 111.0], 100.0)
MARKET = fp.Market(100.0, fp.LinearImpact(1e-3))


class Fake(fp.Ensemble):
    """A result with the needs it is given."""


@pytest.fixture
def needs(monkeypatch):
    """Let `simulate` find the needs given, and tell what it was asked."""
    module = importlib.import_module("flushpoint.size_fund")
    asked: list[dict[str, Any]] = []

    def put(values: Any, antithetic: bool = False) -> list[dict[str, Any]]:
        column = np.asarray(values, dtype=float)

        def simulate(book, market, process, **arguments):
            asked.append({"book": book, "market": market, "process": process, **arguments})
            return Fake(
                "simulate",
                {"antithetic": antithetic},
                {"_names": ("fund_needed",), "fund_needed": column},
                1,
                ((0, column.size),),
            )

        monkeypatch.setattr(module, "simulate", simulate)
        return asked

    return put


def size(*arguments: Any, **options: Any) -> fp.FundSize:
    return fp.size_fund(BOOK, MARKET, fp.GBM(0.8), *arguments, **options)


def test_the_fund_is_the_smallest_that_lasts_as_often_as_asked(needs):
    needs(np.arange(1_000)[::-1])
    for probability in (0.5, 0.9, 0.99, 0.999):
        found = size(probability)
        # A share `probability` of the needs 0 to 999 lies at or below it, and of one less it does not.
        assert found.fund == round(1_000 * probability) - 1
        assert found.overdrawn.value == pytest.approx(1 - probability)
        assert found.overdrawn == proportion(1_000 - round(1_000 * probability), 1_000, 0.95)
        low, high = ranks(1_000, probability, 0.95)
        assert (found.low, found.high) == (low - 1, high - 1 if high <= 1_000 else math.inf)
    assert size(0.999).high == math.inf
    assert (found.paths, found.probability, found.confidence) == (1_000, 0.999, 0.95)


def test_high_is_finite_with_about_as_many_paths_as_said(needs):
    for n, finite in ((36_000, False), (38_000, True)):
        needs(np.arange(n))
        assert math.isfinite(size(0.9999).high) == finite


@pytest.mark.parametrize("probability", [0.9, 0.99])
def test_the_interval_covers(needs, probability):
    # Needs of an exponential law, of which the quantile is known; 0.92 fails once in 50,000 times where 0.95 is true.
    chance = np.random.default_rng(5)
    truth = -math.log(1 - probability)
    covered = 0
    for _ in range(1_000):
        needs(chance.exponential(size=2_000))
        found = size(probability)
        covered += found.low <= truth <= found.high
    assert covered >= 920


def test_antithetic_paths_count_as_half_as_many(needs):
    values = np.arange(1_000)
    needs(values)
    alone = size(0.9)
    needs(values, antithetic=True)
    paired = size(0.9)
    assert paired.fund == alone.fund
    assert paired.low < alone.low < alone.high < paired.high


def test_no_need_means_no_fund(needs):
    needs(np.zeros(5_000))
    found = size()
    assert (found.fund, found.low, found.high, found.overdrawn.value) == (0.0, 0.0, 0.0, 0.0)


def test_the_venue_is_taken_without_fund_and_without_adl(needs):
    asked = needs(np.zeros(10))
    size()
    size(venue=fp.Venue(fund=1e9, adl="socialised", fee_rate=0.01, fee_to="fund", surplus_to="trader"))
    schedule = fp.MarginSchedule.flat(0.01)
    size(venue=fp.Venue.okx(schedule, 1e9), steps=7, paths=10, seed=4, horizon=60.0)
    assert [one["venue"] for one in asked] == [
        fp.Venue(),
        fp.Venue(fee_rate=0.01, fee_to="fund", surplus_to="trader"),
        fp.Venue("tier_step_down", schedule=schedule),
    ]
    assert asked[-1]["columns"] == ("fund_needed",)
    assert {key: asked[-1][key] for key in ("steps", "paths", "seed", "horizon")} == {
        "steps": 7, "paths": 10, "seed": 4, "horizon": 60.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"probability": 1.0}, ValueError, r"^probability must be below 1, was 1\.0$"),
        ({"probability": 0.0}, ValueError, r"^probability must be positive, was 0\.0$"),
        ({"probability": "high"}, TypeError, r"^probability must be a real number, was 'high'$"),
        ({"confidence": 1.0}, ValueError, r"^confidence must be below 1, was 1\.0$"),
        ({"venue": "okx"}, TypeError, r"^venue must be a Venue, was str$"),
        ({"columns": ["low_price"]}, TypeError, r"^columns must be left out, was \['low_price'\]$"),
        ({"record": "all"}, TypeError, r"^record must be left out, was 'all'$"),
        ({"watch": [0]}, TypeError, r"^watch must be left out, was \[0\]$"),
    ],
)
def test_bad_input(needs, options, kind, message):
    needs(np.zeros(3))
    with pytest.raises(kind, match=message):
        size(**options)


def test_what_it_says(needs):
    needs(np.arange(10_000) * 1e3)
    found = size(0.99)
    assert str(found).startswith("a fund of 9.899e+06 [") or "9,899,000" in str(found)
    assert "overdrawn on 1 % [" in str(found)
    assert "of 10,000 paths, intervals at 95 % confidence" in str(found)
    assert repr(found).startswith("<FundSize: ")
    with pytest.raises(AttributeError):
        found.fund = 3.0  # type: ignore[misc]
    again = pickle.loads(pickle.dumps(found))
    assert (again.fund, again.overdrawn) == (found.fund, found.overdrawn)


# On the engine.


def a_book() -> fp.Book:
    chance = np.random.default_rng(0)
    n = 600
    return fp.Book.from_positions(
        np.where(np.arange(n) % 3 == 2, -1, 1),
        chance.lognormal(1, 1.5, n),
        100 * np.exp(0.01 * chance.standard_normal(n)),
        leverage=chance.choice([2.0, 5.0, 10.0, 20.0, 40.0], n),
        schedule=fp.MarginSchedule.flat(0.005),
    ).alive(100.0)


RUN: dict[str, Any] = {"paths": 2_000, "steps": 48, "seed": 3}
DEEP = fp.Market(100.0, fp.LinearImpact(2e-5), half_life=3_600.0)


@pytest.mark.parametrize(
    "venue",
    [
        fp.Venue(),
        fp.Venue(surplus_to="trader"),
        fp.Venue(fee_rate=0.001, fee_to="fund", adl="queue"),
        fp.Venue("fraction", fraction=0.2, surplus_to="trader", adl="socialised"),
        fp.Venue(pacing=0.05, delay=1_800.0),
    ],
    ids=["default", "surplus to traders", "fees to the fund", "fifths", "slow"],
)
def test_the_fund_found_is_overdrawn_as_often_as_said(venue):
    book = a_book()
    found = fp.size_fund(book, DEEP, fp.GBM(1.5), 0.95, venue=venue, **RUN)
    assert found.fund > 0
    assert found.overdrawn.value <= 0.05 + 1e-12
    assert found.low <= found.fund <= found.high
    plain = venue._changed({"adl": "none"})
    for fund, over in (
        (found.fund, found.overdrawn.value),
        (found.fund * (1 - 1e-9), found.overdrawn.value + 1 / 2_000),
    ):
        run = fp.simulate(book, DEEP, fp.GBM(1.5), venue=plain.with_fund(fund * (1 + 1e-12)), **RUN)
        run.check_balance()
        # Unpaid, but for rounding.
        assert (run.unpaid_loss > 1e-10 * found.fund).mean() == pytest.approx(over, abs=1e-9)
        assert np.array_equal(run.fund_needed, found.result.fund_needed)


def test_the_need_does_not_depend_on_the_fund_nor_on_who_else_pays():
    book = a_book()
    one = fp.size_fund(book, DEEP, fp.GBM(1.5), 0.9, venue=fp.Venue(fund=1e6, adl="pro_rata"), **RUN)
    other = fp.size_fund(book, DEEP, fp.GBM(1.5), 0.9, **RUN)
    assert (one.fund, one.low, one.high) == (other.fund, other.low, other.high)
