"""The class `Venue`: what it refuses, what it says, what the engine is told, and the presets."""

from __future__ import annotations

import dataclasses
import math
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import flushpoint as fp
from flushpoint.venue import ADL, CLOSES, CLOSING_WINNERS, _check_book, _check_instant

NAN, INF = math.nan, math.inf
TIERS = fp.MarginSchedule([0, 50_000, 250_000], [0.005, 0.01, 0.025])
PRESETS = (
    fp.Venue.binance(),
    fp.Venue.bybit(TIERS),
    fp.Venue.okx(TIERS),
    fp.Venue.bitmex(TIERS),
    fp.Venue.hyperliquid(),
    fp.Venue.dydx(),
)

either = (TypeError, ValueError)
BAD: list[tuple[dict[str, Any], type[Exception] | tuple[type[Exception], ...], str]] = [
    ({"close": "half"}, ValueError, r"^close must be one of 'full', 'tier_step_down', 'fraction', was 'half'$"),
    ({"close": None}, either, r"^close must .*None"),
    ({"close": ["full"]}, either, r"^close must .*\['full'\]"),
    ({"fund": -3.0}, ValueError, r"^fund must be at least 0, was -3\.0$"),
    ({"fund": NAN}, ValueError, r"^fund must be finite, was nan$"),
    ({"fund": INF}, ValueError, r"^fund must be finite, was inf$"),
    ({"fund": "1e6"}, TypeError, r"^fund must be a real number, was '1e6'$"),
    ({"fund": [1.0]}, TypeError, r"^fund must be a real number, was \[1\.0\]$"),
    ({"fund": True}, TypeError, r"^fund must .*True"),
    ({"adl": "queues"}, ValueError, r"^adl must be one of 'none', .*'socialised', was 'queues'$"),
    ({"adl": None}, either, r"^adl must .*None"),
    ({"surplus_to": "maker"}, ValueError, r"^surplus_to must be one of 'fund', 'trader', 'venue', was 'maker'$"),
    ({"adl_price": "last"}, ValueError, r"^adl_price must be one of 'bankruptcy', 'mark', was 'last'$"),
    ({"adl_price": "mark"}, ValueError, r"^adl_price must be left out where adl is 'none', was 'mark'$"),
    ({"adl_price": "mark", "adl": "socialised"}, ValueError, r"^adl_price must .* adl is 'socialised', was 'mark'$"),
    ({"fee_rate": 1.0}, ValueError, r"^fee_rate must be below 1, was 1\.0$"),
    ({"fee_rate": -0.1}, ValueError, r"^fee_rate must be at least 0, was -0\.1$"),
    ({"fee_to": "trader"}, ValueError, r"^fee_to must be one of 'venue', 'fund', was 'trader'$"),
    ({"pacing": 0.0}, ValueError, r"^pacing must be positive, was 0\.0$"),
    ({"pacing": NAN}, ValueError, r"^pacing must be a number, was nan$"),
    ({"delay": -1.0}, ValueError, r"^delay must be at least 0, was -1\.0$"),
    ({"delay": INF}, ValueError, r"^delay must be finite, was inf$"),
    ({"price_band": 0.0}, ValueError, r"^price_band must be positive, was 0\.0$"),
    ({"mark_weight": 1.5}, ValueError, r"^mark_weight must be at most 1, was 1\.5$"),
    ({"mark_weight": NAN}, ValueError, r"^mark_weight must be finite, was nan$"),
    ({"close": "tier_step_down"}, ValueError, r"^schedule must be given where close is 'tier_step_down', was None$"),
    ({"close": "tier_step_down", "schedule": 0.01}, TypeError, r"^schedule must be a MarginSchedule, was 0\.01$"),
    ({"schedule": TIERS}, ValueError, r"^schedule must be left out where close is 'full', was <3 tiers>$"),
    ({"fraction": 0.5}, ValueError, r"^fraction must be left out where close is 'full', was 0\.5$"),
    ({"target": 1.5}, ValueError, r"^target must be left out where close is 'full', was 1\.5$"),
    ({"whole_below": 9.0}, ValueError, r"^whole_below must be left out where close is 'full', was 9\.0$"),
    (
        {"close": "tier_step_down", "schedule": TIERS, "fraction": 0.5},
        ValueError,
        r"^fraction must be left out where close is 'tier_step_down', was 0\.5$",
    ),
    ({"close": "fraction", "fraction": 0.0}, ValueError, r"^fraction must be at least 0\.01, was 0\.0$"),
    ({"close": "fraction", "fraction": 1.1}, ValueError, r"^fraction must be at most 1, was 1\.1$"),
    ({"close": "fraction", "fraction": NAN}, ValueError, r"^fraction must be finite, was nan$"),
    ({"close": "fraction", "target": 0.9}, ValueError, r"^target must be at least 1, was 0\.9$"),
    ({"close": "fraction", "target": INF}, ValueError, r"^target must be finite, was inf$"),
    (
        {"close": "fraction", "fraction": 0.5, "target": 1.5},
        ValueError,
        r"^target must be left out where fraction is given, was 1\.5$",
    ),
    ({"close": "fraction", "whole_below": -1.0}, ValueError, r"^whole_below must be at least 0, was -1\.0$"),
]


@pytest.mark.parametrize(("settings", "kind", "message"), BAD, ids=[str(row[0]) for row in BAD])
def test_what_makes_no_sense_is_refused_with_the_reason(settings, kind, message):
    with pytest.raises(kind, match=message):
        fp.Venue(**settings)


settings_of_a_venue = st.fixed_dictionaries(
    {
        "close": st.sampled_from(CLOSES),
        "fund": st.floats(0, 1e12),
        "adl": st.sampled_from(ADL),
        "surplus_to": st.sampled_from(["fund", "trader", "venue"]),
        "fee_rate": st.floats(0, 0.99),
        "fee_to": st.sampled_from(["venue", "fund"]),
        "pacing": st.floats(1e-3, 1e9) | st.just(INF),
        "delay": st.floats(0, 1e4),
        "mark_weight": st.none() | st.floats(0, 1),
        "price_band": st.floats(1e-3, 2) | st.just(INF),
        "schedule": st.just(TIERS),
        "fraction": st.floats(0.01, 1),
        "whole_below": st.floats(0, 1e6),
        "adl_price": st.sampled_from(["bankruptcy", "mark"]),
    }
)


@given(settings_of_a_venue)
def test_a_venue_pickles_compares_and_comes_back_from_its_settings(settings):
    # Changes of a venue drop what is of no use, so that any close and adl can be tried.
    plain = {k: settings.pop(k) for k in ("schedule", "fraction", "whole_below", "adl_price")}
    if settings["close"] != "full":
        settings |= {"schedule": plain["schedule"], "whole_below": plain["whole_below"]}
    if settings["close"] == "fraction":
        settings["fraction"] = plain["fraction"]
    if settings["adl"] in CLOSING_WINNERS:
        settings["adl_price"] = plain["adl_price"]
    venue = fp.Venue(**settings)
    assert pickle.loads(pickle.dumps(venue)) == venue
    assert dataclasses.replace(venue) == venue
    assert hash(dataclasses.replace(venue)) == hash(venue)
    assert venue.with_fund(7.0).fund == 7.0
    assert venue.with_fund(7.0).with_fund(venue.fund) == venue
    assert str(venue).startswith("venue with")
    assert " nan" not in str(venue)
    kept = {f.name for f in dataclasses.fields(venue) if getattr(venue, f.name) != f.default}
    assert {part.split("=")[0] for part in repr(venue)[6:-1].split(", ") if part} == kept
    # Ensembles hash their arguments: equal venues give equal results' ids, others do not.
    ids = [fp.Ensemble("q", {"venue": v}, {}, 1, ((0, 0),)).id for v in (venue, dataclasses.replace(venue))]
    assert ids[0] == ids[1] != fp.Ensemble("q", {"venue": venue.with_fund(venue.fund + 1)}, {}, 1, ((0, 0),)).id


def test_a_venue_is_frozen_and_takes_the_extras_by_name_only():
    venue = fp.Venue("full", 1, "queue", "trader", "mark", 0.01, 5)
    assert venue == fp.Venue(fund=1.0, adl="queue", surplus_to="trader", adl_price="mark", fee_rate=0.01, pacing=5.0)
    assert isinstance(venue.fund, float)
    with pytest.raises(dataclasses.FrozenInstanceError):
        venue.fund = 3.0  # type: ignore[misc]
    with pytest.raises(TypeError):
        fp.Venue("full", 1, "queue", "trader", "mark", 0.01, 5, "fund")  # type: ignore[misc]


def test_the_engine_is_told_everything_in_order():
    assert fp.Venue()._engine[:7] == (0.0, 0.0, False, 0, 0, False, 0)
    assert math.isnan(fp.Venue()._engine[7])
    assert fp.Venue()._engine[8:] == (1.0, 0.0, None, INF, 0.0, INF)
    venue = fp.Venue(
        "fraction", 5.0, "water_filling", "venue", "mark", 0.25, 9.0, fee_to="fund", fraction=0.5, whole_below=3.0,
        schedule=TIERS, delay=2.0, mark_weight=0.5, price_band=0.75,
    )  # fmt: skip
    engine = venue._engine
    assert engine[:10] == (5.0, 0.25, True, 2, 7, True, 2, 0.5, 1.0, 3.0)
    assert engine[10] is not None
    assert [list(column) for column in engine[10]] == [list(TIERS.floor), list(TIERS.rate), list(TIERS.deduction)]
    assert engine[11:] == (9.0, 2.0, 0.75)
    assert fp.Venue("tier_step_down", schedule=TIERS)._engine[6] == 1
    assert [fp.Venue(adl=name)._engine[4] for name in ADL] == list(range(9))
    assert [fp.Venue(surplus_to=who)._engine[3] for who in ("fund", "trader", "venue")] == [0, 1, 2]
    assert fp.Venue("fraction", target=1.5)._engine[8] == 1.5


@pytest.mark.parametrize("venue", PRESETS, ids=["binance", "bybit", "okx", "bitmex", "hyperliquid", "dydx"])
def test_presets_take_a_fund_and_changes(venue):
    assert venue.fund == 0.0
    assert venue._closes_winners
    assert pickle.loads(pickle.dumps(venue)) == venue
    assert "winners are closed" in str(venue)


def test_presets_are_what_the_venues_say():
    binance, bybit, okx, bitmex, hyperliquid, dydx = PRESETS
    assert (binance.close, binance.fraction, binance.fee_to, binance.surplus_to) == ("fraction", None, "fund", "fund")
    assert (binance.adl, binance.adl_price, binance.fee_rate) == ("queue_margin_ratio", "bankruptcy", 0.003)
    for venue in (bybit, okx, bitmex):
        assert (venue.close, venue.surplus_to, venue.schedule) == ("tier_step_down", "fund", TIERS)
    assert (bybit.adl, bybit.adl_price, bitmex.adl, bitmex.adl_price) == ("queue", "bankruptcy") * 2
    assert okx.adl_price == "mark"
    assert (hyperliquid.fraction, hyperliquid.whole_below, hyperliquid.fee_rate) == (0.2, 100_000.0, 0.0)
    assert (hyperliquid.adl, hyperliquid.adl_price, hyperliquid.surplus_to) == ("queue", "mark", "trader")
    assert (dydx.close, dydx.adl, dydx.adl_price) == ("full", "list_order", "bankruptcy")
    assert (dydx.fee_rate, dydx.fee_to, dydx.surplus_to) == (0.005, "fund", "trader")


def test_presets_with_changes():
    assert fp.Venue.binance(5e8, schedule=TIERS, delay=1.0) == dataclasses.replace(
        PRESETS[0], fund=5e8, schedule=TIERS, delay=1.0
    )
    # What a change leaves without use goes with it.
    assert fp.Venue.hyperliquid(close="full", adl="none") == fp.Venue(surplus_to="trader")
    assert fp.Venue.okx(TIERS, adl="none").adl_price == "bankruptcy"
    with pytest.raises(ValueError, match=r"^adl_price must be left out where adl is 'none', was 'mark'$"):
        fp.Venue.okx(TIERS, adl="none", adl_price="mark")
    for preset in (fp.Venue.bybit, fp.Venue.okx, fp.Venue.bitmex):
        with pytest.raises(ValueError, match=r"^schedule must be given where close is 'tier_step_down', was None$"):
            preset()
    with pytest.raises(TypeError, match=r"^settings must be among close, fund, .*, was 'fees'$"):
        fp.Venue.dydx(fees=0.1)


def test_words_for_every_choice():
    text = str(fp.Venue("fraction", 2.5e6, "socialised", "trader", fee_rate=0.005, target=1.25, whole_below=1e5))
    assert text == (
        "venue with a fund of 2,500,000\n"
        "  at its trigger a position is closed by the least that brings equity to 1.25 x maintenance (whole below a "
        "notional of 100,000), in the market\n"
        "  fee: 0.5 % of the money traded, as far as there is margin, to the venue\n"
        "  what is left of the margin goes to its trader, the fund pays shortfalls\n"
        "  what the fund cannot pay is borne by all open positions, by quantity"
    )
    waits = str(fp.Venue(pacing=4.5, delay=30.0, price_band=0.05, mark_weight=0.25, adl="pro_rata", adl_price="mark"))
    for words in ("30 s after", "4.5 units a second", "5 % beyond", "25 % traded price", "at the mark", "same share"):
        assert words in waits
    assert "by 20 % of what is left of it" in str(fp.Venue.hyperliquid())
    assert "whole in the lowest" in str(fp.Venue.bybit(TIERS))
    assert len({str(fp.Venue(adl=name)) for name in ADL}) == len(ADL)


def test_what_the_book_must_hold():
    both = {"side": [1, -1], "quantity": 1.0, "trigger_price": [90.0, 110.0]}
    full = fp.Book(**both, bankruptcy_price=[89.0, 111.0], entry_price=100.0)
    for venue in (fp.Venue(), *PRESETS):
        _check_book(venue, full)
    with pytest.raises(ValueError, match=r"^book must have bankruptcy prices with a venue, was without$"):
        _check_book(fp.Venue(), fp.Book(**both))
    bankrupt = fp.Book(**both, bankruptcy_price=[89.0, 111.0])
    for name in ("none", "socialised"):
        _check_book(fp.Venue(adl=name), bankrupt)
    longs = fp.Book(1, [1.0, 2.0], [90.0, 80.0], [89.0, 79.0], 100.0)
    for name in CLOSING_WINNERS:
        with pytest.raises(ValueError, match=r"^book must have entry prices where adl closes winners, .* was without$"):
            _check_book(fp.Venue(adl=name), bankrupt)
        with pytest.raises(ValueError, match=r"^book must have both sides .* was without shorts$"):
            _check_book(fp.Venue(adl=name), longs)
    with pytest.raises(ValueError, match=r"without longs$"):
        _check_book(fp.Venue(adl="queue"), fp.Book(-1, np.ones(2), 110.0, 111.0, 100.0))


def test_waiting_needs_time():
    _check_instant(fp.Venue(fund=1.0, adl="queue"))
    for name, value, none in (("pacing", 3.0, "inf"), ("delay", 2.0, "0"), ("price_band", 0.1, "inf")):
        with pytest.raises(ValueError, match=rf"^{name} must be {none} but in simulate, was {value}$"):
            _check_instant(fp.Venue(**{name: value}))


def test_dydx_deleverages_at_the_bankruptcy_price():
    # The chain's liquidation_deleveraging_test.go: a short of 1 with 50,499 USDC, bankrupt at 50,499; the oracle is at
    # 50,500, the fund is empty. It is closed against a long of 1 whose account holds 50,000 USDC: that ends with
    # 100,499, the short with 0. A book has no bankruptcy price below 0, so that the 50,000 are added by hand.
    book = fp.Book([-1, 1], 1.0, [50_499 / 1.05, 0.0], [50_499.0, 0.0], [50_000.0, 50_000.0])
    market = fp.Market(50_500.0, fp.LinearImpact(1e-3))
    c = fp.cascade(book, market, venue=fp.Venue.dydx())
    assert c.exit_price.tolist() == [50_499.0, 50_499.0]
    assert c.closed_by.tolist() == [2, 2]
    assert c.final_price == pytest.approx(50_500.0)
    assert 50_000 + c.exit_price[1] == 100_499.0
    assert c.unpaid_loss == 0.0
    c.check_balance()


@pytest.mark.parametrize("venue", PRESETS, ids=["binance", "bybit", "okx", "bitmex", "hyperliquid", "dydx"])
def test_presets_run_and_balance(venue):
    chance = np.random.default_rng(1)
    n = 400
    book = fp.Book.from_positions(
        np.where(np.arange(n) % 2, -1, 1),
        chance.lognormal(4, 2, n),
        100 * np.exp(0.01 * chance.standard_normal(n)),
        leverage=chance.choice([3.0, 10.0, 20.0, 40.0], n),
        schedule=TIERS,
    ).alive(100.0)
    market = fp.Market(100.0, fp.LinearImpact(2e-6), half_life=600.0, spread=0.001)
    for fund in (0.0, 1e5):
        c = fp.cascade(book, market, shock=-0.08, venue=venue.with_fund(fund))
        c.check_balance()
        assert c.liquidated_count > 0
        e = fp.simulate(book, market, fp.GBM(1.5), steps=48, paths=200, seed=1, venue=venue.with_fund(fund))
        e.check_balance()
        assert e.adl_quantity.sum() > 0
    # With a fund few are deleveraged, so that winners do not run out. At their bankruptcy price losers lack nothing.
    assert (e.unpaid_loss.sum() == 0) == (venue.adl_price == "bankruptcy")
