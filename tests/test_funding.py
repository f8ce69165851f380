"""Funding: payments that move margins and so triggers, against the slow reference of paths."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import flushpoint as fp
import reference
import reference_paths

DT = 3_600.0
STEPS = 48


def books(rng: np.random.Generator, count: int = 60) -> tuple[fp.Book, reference.Positions]:
    side = rng.choice([1, -1], count)
    distance = rng.exponential(0.03, count) + 0.001
    trigger = 100 * np.exp(-side * distance)
    columns = (side, rng.lognormal(0, 1, count), trigger, trigger * (1 - 0.01 * side))
    return fp.Book(*columns), reference.Positions(*(column.tolist() for column in columns))


def rule(interest: float, clamp: float, cap: float, share: float) -> Callable[[float], float]:
    def rate(premium: float) -> float:
        eight_hours = premium + min(max(interest - premium, -clamp), clamp)
        return min(max(eight_hours * share, -cap), cap)

    return rate


def payments(funding: fp.Funding) -> list[Callable[[float], float] | None]:
    """What is paid after each step."""
    out: list[Callable[[float], float] | None] = [None] * STEPS
    count = int(STEPS * DT / funding.interval)
    given = None if funding.rate is None else np.broadcast_to(np.asarray(funding.rate), (count,)).tolist()
    for k in range(count):
        step = math.ceil((k + 1) * funding.interval / DT) - 1
        if given is None:
            out[step] = rule(funding.interest, funding.clamp, funding.cap, funding.interval / 28_800)
        else:
            out[step] = lambda _, rate=given[k]: rate
    return out


def assert_equals_reference(seed: int, funding: fp.Funding, half_life: float, mark_weight: float, **more: Any) -> int:
    rng = np.random.default_rng(seed)
    book, positions = books(rng)
    returns = 0.015 * rng.standard_normal((6, STEPS))
    market = fp.Market(100.0, fp.LinearImpact(2e-3), half_life, 1e-4, 0.001, mark_weight)
    plain = reference.Venue(100.0, reference.linear(2e-3), 1e-4, half_life, 0.001, mark_weight)
    e = fp.simulate(
        book, market, fp.Returns(returns), DT * STEPS, STEPS, len(returns), record="all", funding=funding, **more
    )
    if "venue" in more:
        e.check_balance()  # type: ignore[attr-defined]
    compared = 0
    for row, path in enumerate(returns.tolist()):
        expected = reference_paths.run(positions, plain, path, DT, funding=payments(funding))
        if expected.doubtful:
            continue
        compared += 1
        assert e.prices[row] == pytest.approx(expected.prices, rel=1e-9)
        assert e.waves[row] == len(expected.waves)
        assert e.liquidated_count[row] == sum(expected.closed)
        assert e.liquidated_quantity[row] == pytest.approx(sum(wave[2] for wave in expected.waves), rel=1e-9)
        assert e.liquidated_notional[row] == pytest.approx(sum(wave[4] for wave in expected.waves), rel=1e-9)
        for name in ("proceeds", "shortfall", "surplus"):
            assert getattr(e, name)[row] == pytest.approx(getattr(expected, name), rel=1e-9, abs=1e-9 * expected.gross)
        replayed = e.replay(row)
        assert replayed.price.tolist() == e.prices[row].tolist()
        assert replayed.waves["notional"] == pytest.approx([wave[4] for wave in expected.waves], rel=1e-9)
    return compared


@settings(max_examples=25)
@given(
    seed=st.integers(0, 10_000), rate=st.sampled_from([0.0003, -0.0003, 0.01, -0.01, 0.2, None]),
    interval=st.sampled_from([3_600.0, 7_000.0, 28_800.0]), half_life=st.sampled_from([math.inf, 1_800.0]),
    mark_weight=st.sampled_from([1.0, 0.5, 0.0]),
)  # fmt: skip
def test_equals_the_reference(
    seed: int, rate: float | None, interval: float, half_life: float, mark_weight: float
) -> None:
    assert_equals_reference(seed, fp.Funding(rate, interval), half_life, mark_weight)


def test_most_cases_are_compared() -> None:
    compared = [assert_equals_reference(seed, fp.Funding(0.004), 7_200.0, 1.0) for seed in range(5)]
    assert sum(compared) > 25


def test_rates_in_time_and_the_rule() -> None:
    assert assert_equals_reference(3, fp.Funding(np.linspace(-0.01, 0.02, 6)), math.inf, 1.0) > 4
    assert assert_equals_reference(4, fp.Funding(interest=0.01, clamp=0.02, cap=0.005), math.inf, 1.0) > 4


def test_a_venue_that_only_pays_sees_the_same_cascades() -> None:
    assert assert_equals_reference(5, fp.Funding(0.004), 7_200.0, 1.0, venue=fp.Venue(fund=10.0)) > 4


def test_what_longs_pay_triggers_them() -> None:
    """Nothing moves but funding: 1 % a payment lifts the trigger at 95 over the price after six payments."""
    book = fp.Book([1, -1], [1.0, 1.0], [95.0, 105.0], [94.0, 106.0])
    market = fp.Market(100.0, fp.LinearImpact(1e-9))
    still = fp.Returns(np.zeros((1, 10)))
    e = fp.simulate(book, market, still, 10 * DT, 10, 1, funding=fp.Funding(0.01, DT))
    assert (e.long_count[0], e.short_count[0]) == (1, 0)
    assert e.replay(0).waves["step"].tolist() == [7]
    assert e.liquidated_notional[0] == pytest.approx(95 * 1.01**6)
    assert e.surplus[0] == pytest.approx(100 - 94 * 1.01**6, rel=1e-6)
    e = fp.simulate(book, market, still, 10 * DT, 10, 1, funding=fp.Funding(-0.01, DT))
    assert (e.long_count[0], e.short_count[0]) == (0, 1)


def lanes() -> dict[str, tuple[fp.Book | fp.RandomBook, dict[str, Any]]]:
    """Every kind of positions that a path can have."""
    book, _ = books(np.random.default_rng(1))
    entries = fp.Book(book.side, book.quantity, book.trigger_price, book.bankruptcy_price, 100.0)
    random = fp.RandomBook(density=200.0, extent=0.3, quantity=fp.Exponential(1.0))
    return {
        "a book": (book, {}),
        "turnover": (book, {"turnover": fp.Turnover(1e-3, fp.Exponential(1.0), closing_rate=1e-5)}),
        "a random book": (random + fp.RandomBook(count=60, distance=fp.Exponential(0.1), quantity=1.0, side=-1), {}),
        "a venue that pays": (book, {"venue": fp.Venue(fund=10.0)}),
        "winners": (entries, {"venue": fp.Venue(fund=10.0, adl="queue")}),
        "in part": (entries, {"venue": fp.Venue(close="fraction", fraction=0.4, fund=10.0)}),
        "late": (entries, {"venue": fp.Venue(pacing=0.005, delay=900.0, adl="pro_rata")}),
    }


@pytest.mark.parametrize("lane", lanes())
def test_no_payment_changes_no_bit(lane: str) -> None:
    book, options = lanes()[lane]
    arguments: Any = (book, fp.Market(100.0, fp.LinearImpact(2e-3)), fp.GBM(2.0), 86_400.0, 288, 50, 3)
    plain = fp.simulate(*arguments, **options)
    assert plain.waves.sum() > 50
    for funding in (fp.Funding(0.0), fp.Funding(0.01, interval=86_400.0)):
        e = fp.simulate(*arguments, funding=funding, **options)
        for name in (*plain, "long_notional", "short_notional"):
            if name.endswith("_notional"):
                assert getattr(e, name) == pytest.approx(getattr(plain, name), rel=1e-12)
            else:
                assert getattr(e, name).tobytes() == getattr(plain, name).tobytes(), name


@pytest.mark.parametrize("lane", lanes())
def test_shards_and_threads_give_the_same_bits(lane: str) -> None:
    book, options = lanes()[lane]
    drawn = lane in ("turnover", "a random book")

    def run(**more: Any) -> Any:
        market = fp.Market(100.0, fp.LinearImpact(2e-3), half_life=7_200.0)
        return fp.simulate(
            book, market, fp.GBM(2.0), 86_400.0, 288, seed=3, funding=fp.Funding(interval=3_600),
            columns=("final_price", "liquidated_notional", "proceeds" if drawn else "shortfall"), **options, **more,
        )  # fmt: skip

    whole = run(paths=30)
    if "venue" in options:
        whole.check_balance()
    replayed = whole.replay(17)
    assert replayed.final_price == whole.final_price[17]
    assert replayed.waves["notional"].sum() == pytest.approx(whole.liquidated_notional[17], rel=1e-12)
    assert run(paths=range(10)) + run(paths=range(10, 30)) == whole
    for threads in (1, 7):
        assert run(paths=30, threads=threads) == whole


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rate": math.nan}, "rate must be finite, was nan"),
        ({"rate": -1.0}, "rate must be above -1, was -1.0"),
        ({"rate": [[0.1]]}, r"rate must be a number or have one dimension and an entry, was of shape \(1, 1\)"),
        ({"rate": 0.1, "cap": 0.5}, "cap must be left out where rate is given, was 0.5"),
        ({"interval": 0.0}, "interval must be positive, was 0.0"),
        ({"cap": 1.0}, "cap must be below 1, was 1.0"),
        ({"clamp": -1.0}, "clamp must be at least 0, was -1.0"),
    ],
)
def test_a_wrong_argument_is_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fp.Funding(**arguments)


def test_what_does_not_fit_a_run_is_refused() -> None:
    book, _ = books(np.random.default_rng(1))
    arguments: Any = (book, fp.Market(100.0, fp.LinearImpact(1e-3)), fp.GBM(1.0), 86_400.0, 24, 2, 1)
    with pytest.raises(ValueError, match="rate must have an entry a payment, 3 in this run, was of 2"):
        fp.simulate(*arguments, funding=fp.Funding([0.1, 0.1]))
    with pytest.raises(ValueError, match="interval of funding must be at least a step, 3600 s, was 60"):
        fp.simulate(*arguments, funding=fp.Funding(0.1, interval=60))
    with pytest.raises(ValueError, match="interval of funding must be at least a step, 3600 s, was"):
        fp.simulate(*arguments, funding=fp.Funding(0.1, interval=1e-320))
    with pytest.raises(ValueError, match="interval of funding must be at most the horizon, 86400 s, was 86401"):
        fp.simulate(*arguments, funding=fp.Funding(0.1, interval=86_401))
    with pytest.raises(TypeError, match="funding must be a Funding, was float"):
        fp.simulate(*arguments, funding=0.1)


def test_it_pickles_and_shows_itself() -> None:
    funding = fp.Funding([0.1, 0.2])
    assert pickle.loads(pickle.dumps(funding)).rate.tolist() == [0.1, 0.2]
    assert repr(funding) == "Funding(<2 rates>, interval=28800)"
    assert repr(fp.Funding(0.1)) == "Funding(0.1, interval=28800)"


def test_winners_are_ranked_by_the_profit_of_the_price_and_the_margin_left() -> None:
    """Two shorts alike but for their margins; what longs pay is in them before anybody is closed against them."""
    book = fp.Book([1, -1, -1], [2.0, 1.0, 1.0], [90.0, 300.0, 300.0], [89.0, 120.0, 140.0], [100.0, 100.0, 101.0])
    market = fp.Market(100.0, fp.LinearImpact(0.1))
    fall = fp.Returns([[0.0, math.log(0.8)]])
    venue = fp.Venue(adl="queue", surplus_to="trader")
    e: Any = fp.simulate(book, market, fall, 2.0, 2, 1, funding=fp.Funding([0.05, 0.0], 1.0), venue=venue)
    assert (e.adl_count[0], e.adl_quantity[0]) == (2, 2.0)
    e.check_balance()
    # both whole, at the loser's bankruptcy price: equity of what they hold
    assert e.balance()["winners"][0] == pytest.approx((120 + 140 - 2 * 89) * 1.05)
