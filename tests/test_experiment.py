"""Policies and experiments: what a policy makes of venue, market and book, and what is compared."""

from __future__ import annotations

import math
import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import flushpoint as fp
from flushpoint.experiment import _with_margins
from flushpoint.simulate import Checked

TIERS = fp.MarginSchedule([0, 50_000, 250_000], [0.005, 0.01, 0.025])
FLAT = fp.MarginSchedule.flat(0.005)
MARKET = fp.Market(100.0, fp.LinearImpact(2e-5), half_life=3_600.0)
RUN: dict[str, Any] = {"paths": 400, "steps": 48, "seed": 3}


def a_book(schedule: fp.MarginSchedule = FLAT, **changes: Any) -> fp.Book:
    chance = np.random.default_rng(0)
    n = 600
    side = np.where(np.arange(n) % 3 == 2, -1, 1)
    columns: dict[str, Any] = {
        "side": side,
        "quantity": chance.lognormal(1, 1.5, n),
        "entry_price": 100 * np.exp(0.01 * chance.standard_normal(n)),
        "leverage": chance.choice([2.0, 5.0, 10.0, 20.0, 40.0], n),
        "schedule": schedule,
    }
    return fp.Book.from_positions(**{**columns, **changes}).alive(100.0)


BOOK = a_book()


def leverage(book: fp.Book) -> Any:
    assert book.entry_price is not None
    assert book.bankruptcy_price is not None
    return book.entry_price / (book.side * (book.entry_price - book.bankruptcy_price))


# What a policy does to a venue.


def test_a_policy_changes_settings_of_the_venue():
    venue = fp.Venue.okx(TIERS, 1e6)
    assert fp.Policy(fund=5.0)._venue(venue) == venue.with_fund(5.0)
    assert fp.Policy(fund=0)._venue(venue) == venue.with_fund(0.0)
    assert fp.Policy(pacing=math.inf, price_band=0.1)._venue(fp.Venue(pacing=3.0)) == fp.Venue(price_band=0.1)
    # What is without use then goes.
    assert fp.Policy(adl="none")._venue(venue) == fp.Venue("tier_step_down", 1e6, schedule=TIERS)
    assert fp.Policy(close="full")._venue(venue) == fp.Venue("full", 1e6, venue.adl, adl_price="mark")
    assert fp.Policy(venue=venue)._venue(None) is venue
    assert fp.Policy(leverage_cap=5)._venue(venue) is venue
    assert fp.Policy(leverage_cap=5)._venue(None) is None
    assert fp.Policy(fund=3.0)._venue(None) == fp.Venue(fund=3.0)
    assert fp.Policy(market=MARKET, mark_weight=0.2)._venue(None) == fp.Venue(mark_weight=0.2)


def test_a_table_of_tiers_reaches_a_venue_that_closes_in_part():
    new = fp.MarginSchedule([0, 1_000], [0.01, 0.02])
    assert fp.Policy(schedule=new)._venue(fp.Venue.okx(TIERS)) == fp.Venue.okx(new)
    assert fp.Policy(schedule=new)._venue(fp.Venue.hyperliquid()) == fp.Venue.hyperliquid(schedule=new)
    assert fp.Policy(schedule=new)._venue(fp.Venue.dydx()) == fp.Venue.dydx()
    assert fp.Policy(schedule=new, close="tier_step_down")._venue(None) == fp.Venue("tier_step_down", schedule=new)
    assert fp.Policy(schedule=new)._venue(None) is None


@pytest.mark.parametrize(
    ("settings", "kind", "message"),
    [
        ({}, ValueError, r"^policy must change something, was Policy\(\)$"),
        ({"fund": -1.0}, ValueError, r"^fund must be at least 0, was -1\.0$"),
        ({"close": "half"}, ValueError, r"^close must be one of .* was 'half'$"),
        ({"adl": "queues"}, ValueError, r"^adl must be one of .* was 'queues'$"),
        ({"target": 0.5}, ValueError, r"^target must be at least 1, was 0\.5$"),
        ({"leverage_cap": 0.9}, ValueError, r"^leverage_cap must be at least 1, was 0\.9$"),
        ({"leverage_cap": math.nan}, ValueError, r"^leverage_cap must be finite, was nan$"),
        ({"leverage_cap": "20x"}, TypeError, r"^leverage_cap must be a real number, was '20x'$"),
        ({"venue": "okx"}, TypeError, r"^venue must be a Venue, was str$"),
        ({"market": 100.0}, TypeError, r"^market must be a Market, was float$"),
        ({"schedule": [0.01]}, TypeError, r"^schedule must be a MarginSchedule, was list$"),
        ({"venue": fp.Venue(), "fund": 3.0}, ValueError, r"^fund must be left out where venue is given, was 3\.0$"),
        (
            {"venue": fp.Venue.okx(TIERS), "schedule": FLAT},
            ValueError,
            r"^schedule must be that of venue, .*<1 tiers>$",
        ),
        ({"venue": fp.Venue.hyperliquid(), "schedule": FLAT}, ValueError, r"^schedule must be that of venue, "),
        ({"adl": "none", "adl_price": "mark"}, ValueError, r"^adl_price must be left out where adl is 'none', "),
        ({"fraction": 0.5, "target": 1.5}, ValueError, r"^target must be left out where fraction is given, was 1\.5$"),
        ({"close": "full", "whole_below": 1.0}, ValueError, r"^whole_below must be left out where close is 'full', "),
    ],
)
def test_policies_that_contradict_themselves(settings, kind, message):
    with pytest.raises(kind, match=message):
        fp.Policy(**settings)


def test_policies_are_values():
    policy = fp.Policy(leverage_cap=20, schedule=TIERS, close="tier_step_down")
    assert pickle.loads(pickle.dumps(policy)) == policy == fp.Policy(None, None, 20.0, TIERS, "tier_step_down")
    assert repr(policy) == "Policy(leverage_cap=20.0, schedule=<3 tiers>, close='tier_step_down')"
    assert fp.Policy(venue=fp.Venue.okx(TIERS), schedule=TIERS).schedule == TIERS
    assert fp.Policy(fraction=0.2).fraction == fp.Policy(whole_below=5.0, adl_price="mark", fraction=0.2).fraction


# What a policy does to a book.


@given(st.floats(1, 60), st.booleans(), st.integers(0, 100))
def test_a_cap_gives_the_margin_and_the_trigger_of_its_leverage(cap, tiers, seed):
    chance = np.random.default_rng(seed)
    times = chance.uniform(1.5, 50, 40)
    side = np.where(chance.random(40) < 0.5, 1, -1)
    positions: dict[str, Any] = {
        "side": side,
        "quantity": chance.lognormal(4, 2, 40),
        "entry_price": 100 * np.exp(0.01 * chance.normal(size=40)),
    }
    book = fp.Book.from_positions(**positions, leverage=times, schedule=FLAT)
    schedule = TIERS if tiers else None
    kept = _with_margins(book, "leverage_cap", cap, schedule)
    want = fp.Book.from_positions(**positions, leverage=np.minimum(times, cap), schedule=schedule or FLAT)
    assert kept.bankruptcy_price == pytest.approx(want.bankruptcy_price, rel=1e-9, abs=1e-9)
    # A long of 2x and less may lose its trigger altogether.
    assert kept.trigger_price == pytest.approx(want.trigger_price, rel=1e-9, abs=1e-9)
    assert np.array_equal(kept.quantity, book.quantity)
    assert leverage(kept).max() <= cap * (1 + 1e-6)
    untouched = times <= cap
    assert np.array_equal(kept.bankruptcy_price[untouched], book.bankruptcy_price[untouched])
    if schedule is None:
        assert np.array_equal(kept.trigger_price[untouched], book.trigger_price[untouched])


def test_a_cap_keeps_each_positions_own_maintenance_rate():
    rate = np.array([0.004, 0.01, 0.03])
    bankruptcy = np.array([95.0, 96.0, 104.0])
    side = np.array([1, 1, -1])
    book = fp.Book(side, 1.0, bankruptcy / (1 - side * rate), bankruptcy, 100.0, ["a", "b", "c"])
    capped = fp.Policy(leverage_cap=10)._book(book, MARKET)
    assert isinstance(capped, fp.Book)
    assert capped.bankruptcy_price == pytest.approx([90.0, 90.0, 110.0])
    implied = side * (capped.trigger_price - capped.bankruptcy_price) / capped.trigger_price
    assert implied == pytest.approx(rate)
    assert list(capped.group) == ["a", "b", "c"]
    assert fp.Policy(fund=1.0)._book(book, MARKET) is book


def test_positions_that_never_trigger_stay_so():
    book = fp.Book([1, -1, -1], 1.0, [0.0, math.inf, 101.0], [0.0, math.inf, 101.5], 100.0)
    for policy in (fp.Policy(leverage_cap=10), fp.Policy(schedule=TIERS), fp.Policy(leverage_cap=10, schedule=TIERS)):
        changed = policy._book(book, MARKET)
        assert isinstance(changed, fp.Book)
        assert changed.trigger_price[:2].tolist() == [0.0, math.inf]
    assert fp.Policy(leverage_cap=10)._book(book, MARKET).bankruptcy_price[2] == pytest.approx(110.0)


def test_a_stop_order_that_never_fires_gives_way_to_a_liquidation():
    book = fp.Book(
        [1, -1, 1, 1], 1.0, [0.0, math.inf, 95.0, 85.0], [90.0, 110.0, 90.0, 90.0], 100.0, stop=[True, True, True, True]
    )
    changed = fp.Policy(schedule=FLAT)._book(book, MARKET)
    rate = FLAT.rate[0]
    assert changed.stop.tolist() == [False, False, True, False]
    assert changed.trigger_price == pytest.approx([90 / (1 - rate), 110 / (1 + rate), 95.0, 90 / (1 - rate)])


def test_a_table_of_tiers_moves_every_trigger():
    big = a_book(quantity=5_000.0, leverage=np.resize([2.0, 5.0, 10.0], 600))
    changed = fp.Policy(schedule=TIERS)._book(big, MARKET)
    assert isinstance(changed, fp.Book)
    margin = big.side * 5_000.0 * (big.entry_price - big.bankruptcy_price)
    want = fp.liquidation_price(big.side, 5_000.0, big.entry_price, margin, TIERS)
    assert np.array_equal(changed.trigger_price, want)
    assert np.array_equal(changed.bankruptcy_price, big.bankruptcy_price)
    same = fp.Policy(schedule=FLAT)._book(big, MARKET)
    assert same.trigger_price == pytest.approx(big.trigger_price, rel=1e-9)


def test_what_opens_obeys_the_cap_and_the_tier():
    mix = fp.LeverageMix([2, 10, 20, 50], [4, 2, 1, 1])
    turnover = fp.Turnover(0.05, 2.0, mix, 1e-5)
    assert fp.Policy(leverage_cap=20)._turnover(turnover).leverage_mix == fp.LeverageMix([2, 10, 20], [4, 2, 2])
    assert fp.Policy(leverage_cap=15)._turnover(turnover).leverage_mix == fp.LeverageMix([2, 10, 15], [4, 2, 2])
    assert fp.Policy(leverage_cap=1)._turnover(turnover).leverage_mix == fp.LeverageMix([1], [1])
    assert fp.Policy(leverage_cap=60)._turnover(turnover) == turnover
    flat = fp.MarginSchedule.flat(0.04)
    both = fp.Policy(leverage_cap=10, schedule=flat)._turnover(turnover)
    assert both == replace(turnover, leverage_mix=fp.LeverageMix([2, 10], [4, 4]), maintenance_rate=0.04)
    assert fp.Policy(market=MARKET)._turnover(turnover) is turnover
    assert fp.Policy(leverage_cap=10)._turnover(None) is None

    run = {**RUN, "paths": 40}
    for book in (BOOK, fp.Book([], [], [])):
        capped = replace(turnover, leverage_mix=fp.LeverageMix([2, 10], [4, 4]))
        x = fp.experiment(book, MARKET, fp.GBM(1.5), {"cap": fp.Policy(leverage_cap=10)}, turnover=turnover, **run)
        who = fp.Policy(leverage_cap=10)._book(book, MARKET) if len(book) else book
        assert x["cap"] == fp.simulate(who, MARKET, fp.GBM(1.5), turnover=capped, **run)
        assert x.baseline == fp.simulate(book, MARKET, fp.GBM(1.5), turnover=turnover, **run)
        assert x["cap"].liquidated_count.sum() < x.baseline.liquidated_count.sum()
    message = r"^policies\['x'\]: schedule must have one tier with turnover, was of 3$"
    with pytest.raises(ValueError, match=message):
        fp.experiment(BOOK, MARKET, fp.GBM(1.5), {"x": fp.Policy(schedule=TIERS)}, turnover=turnover, **run)
    message = r"^policies\['x'\]: maintenance_rate must be below 1 / the highest leverage, 0\.02, was 0\.04$"
    with pytest.raises(ValueError, match=message):
        fp.experiment(
            fp.Book([], [], []), MARKET, fp.GBM(1.5), {"x": fp.Policy(schedule=flat)}, turnover=turnover, **run
        )
    with pytest.raises(TypeError, match=r"^turnover must be a Turnover, was float$"):
        fp.experiment(BOOK, MARKET, fp.GBM(1.5), {"x": fp.Policy(leverage_cap=5)}, turnover=0.1, **run)


def test_books_that_a_policy_cannot_change():
    plain = fp.Book(1, 1.0, [90.0], [89.0])
    with pytest.raises(ValueError, match=r"^book must have entry prices for leverage_cap, was without$"):
        fp.Policy(leverage_cap=5)._book(plain, MARKET)
    with pytest.raises(ValueError, match=r"^book must have bankruptcy prices for schedule, was without$"):
        fp.Policy(schedule=TIERS)._book(fp.Book(1, 1.0, [90.0], entry_price=100.0), MARKET)
    crowd = fp.RandomBook(count=10, distance=fp.Exponential(0.1), quantity=1.0)
    with pytest.raises(ValueError, match=r"^leverage_cap must be left out for a random book, "):
        fp.Policy(leverage_cap=5)._book(crowd, MARKET)
    thin = fp.Book(1, 1.0, [89.0, 60.0], [88.5, 50.0], 90.0)
    with pytest.raises(ValueError, match=r"^schedule must leave no .* price, 89\.5; 1 longs and 0 shorts would be$"):
        fp.Policy(schedule=fp.MarginSchedule.flat(0.02))._book(thin, fp.Market(89.5, fp.LinearImpact(0.0)))
    # A cap that brings margin to it helps.
    assert fp.Policy(schedule=fp.MarginSchedule.flat(0.02), leverage_cap=10)._book(
        thin, fp.Market(89.5, fp.LinearImpact(0.0))
    )


# Experiments.


def an_experiment(**options: Any) -> fp.Experiment:
    policies = {
        "at most 10x": fp.Policy(leverage_cap=10),
        "twice as deep": fp.Policy(market=fp.Market(100.0, fp.LinearImpact(1e-5), half_life=3_600.0)),
    }
    arguments: dict[str, Any] = {"book": BOOK, "market": MARKET, "policies": policies, **RUN, **options}
    return fp.experiment(process=fp.GBM(1.5), **arguments)


def test_runs_share_their_random_numbers():
    x = an_experiment()
    alone = fp.simulate(BOOK, MARKET, fp.GBM(1.5), **RUN)
    assert x.baseline == alone
    assert x["twice as deep"] == fp.simulate(
        BOOK, fp.Market(100.0, fp.LinearImpact(1e-5), half_life=3_600.0), fp.GBM(1.5), **RUN
    )
    assert list(x) == ["at most 10x", "twice as deep"]
    assert len(x) == 2
    assert {run.seed for run in (x.baseline, *x.values())} == {3}
    capped = x["at most 10x"]
    assert (capped.liquidated_count <= alone.liquidated_count).mean() > 0.9
    assert capped.liquidated_notional.mean() < alone.liquidated_notional.mean()


def test_comparisons_are_those_of_compare():
    x = an_experiment(columns=["low_price", "liquidated_notional", "shortfall"], levels=0.9, confidence=0.8)
    for name in x:
        want = fp.compare(x.baseline, x[name], levels=0.9, confidence=0.8)
        assert repr(dict(x.comparison(name))) == repr(dict(want))
    table = x.table()
    assert table.shape == (6,)
    assert table["policy"].tolist() == ["at most 10x"] * 3 + ["twice as deep"] * 3
    row = table[1]
    figures = x.comparison("at most 10x")["liquidated_notional"]
    assert (row["column"], row["baseline"], row["mean"]) == (
        "liquidated_notional",
        figures["mean_a"],
        figures["mean_b"],
    )
    assert (row["difference"], row["low"], row["high"]) == tuple(figures["difference"])
    assert row["variance_reduction"] == figures["variance_reduction"] > 1
    summaries = x.summary()
    assert list(summaries) == ["baseline", "at most 10x", "twice as deep"]
    assert summaries["baseline"].levels == (0.9,)
    assert list(summaries["baseline"]) == ["low_price", "liquidated_notional", "shortfall"]


def test_without_a_seed_one_is_drawn_for_all():
    x = an_experiment(seed=None, columns=["final_price"])
    assert x.baseline.seed is not None
    assert len({run.seed for run in (x.baseline, *x.values())}) == 1
    given_returns = fp.Returns(np.full((20, 4), -0.01))
    y = fp.experiment(BOOK, MARKET, given_returns, {"capped": fp.Policy(leverage_cap=5)}, paths=20, steps=4)
    assert y.baseline.seed is None


def test_a_baseline_that_was_run_already_is_taken_as_it_is():
    calls: list[tuple[int, int]] = []
    known = fp.simulate(BOOK, MARKET, fp.GBM(1.5), record=2, **RUN)
    x = an_experiment(seed=None, baseline=known, progress=lambda *done: calls.append(done))
    assert x.baseline is known
    assert str(x) == str(an_experiment())
    assert calls[-1] == (800, 800)


@pytest.mark.parametrize(
    ("options", "other"),
    [
        ({}, "seed"),
        ({"seed": 4, "paths": range(1, 401)}, "paths"),
        ({"seed": 4, "venue": fp.Venue()}, "the argument venue"),
        ({"seed": 4, "columns": ["low_price"]}, "the argument columns"),
        ({"seed": 4, "book": BOOK.scaled(1e4, 100.0)}, "the argument book"),
    ],
)
def test_a_baseline_of_another_run_is_refused(options, other):
    known = fp.simulate(BOOK, MARKET, fp.GBM(1.5), **RUN | {"seed": 4})
    with pytest.raises(ValueError, match=f"^baseline must be the run of the other arguments, differs in {other}$"):
        an_experiment(baseline=known, **options)


def test_what_an_experiment_says():
    x = an_experiment()
    assert x.columns[:2] == ("low_price", "liquidated_notional")
    text = str(x)
    assert text.startswith("400 paths on the same random numbers, intervals at 95 % confidence")
    for words in ("baseline", "at most 10x", "twice as deep", "low_price", "expected shortfall at 99 %", "1/"):
        assert words in text
    assert repr(x) == "<Experiment: at most 10x, twice as deep against the baseline, 400 paths>"
    # A column of truth values has no tail.
    assert "expected shortfall" not in str(an_experiment(columns=["exhausted"]))


def test_an_experiment_is_frozen_and_pickles():
    x = an_experiment(columns=["low_price"])
    y = pickle.loads(pickle.dumps(x))
    assert y.baseline == x.baseline
    assert dict(y) == dict(x)
    assert str(y) == str(x)
    assert dict(y.policies) == dict(x.policies)
    with pytest.raises(AttributeError):
        x.baseline = y.baseline  # type: ignore[misc]
    with pytest.raises(TypeError):
        x.policies["other"] = x.policies["at most 10x"]  # type: ignore[index]
    assert not x.table().flags.writeable


def test_progress_counts_all_runs():
    calls: list[tuple[int, int]] = []
    an_experiment(progress=lambda done, paths: calls.append((done, paths)))
    assert {paths for _, paths in calls} == {1_200}
    assert calls == sorted(calls)
    assert calls[-1] == (1_200, 1_200)


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"policies": {}}, ValueError, r"^policies must name at least one, was empty$"),
        ({"policies": [fp.Policy(fund=1.0)]}, TypeError, r"^policies must be a mapping .* was list$"),
        ({"policies": {1: fp.Policy(fund=1.0)}}, TypeError, r"^policies must have names of text, was 1$"),
        ({"policies": {"baseline": fp.Policy(fund=1.0)}}, ValueError, r"^policies must not be named 'baseline'"),
        ({"policies": {"x": fp.Venue()}}, TypeError, r"^policies must hold a Policy each, was Venue for 'x'$"),
        ({"venue": "okx"}, TypeError, r"^venue must be a Venue, was str$"),
        ({"baseline": 3}, TypeError, r"^baseline must be a SimulationResult, was int$"),
        ({"levels": 1.0}, ValueError, r"^levels must be below 1, was 1\.0$"),
        ({"confidence": 0.0}, ValueError, r"^confidence must be positive, was 0\.0$"),
        ({"columns": ["depth"]}, ValueError, r"^columns must be among .* was 'depth'"),
        ({"progress": 3}, TypeError, r"^progress must be callable, was 3$"),
        ({"path": 3}, TypeError, r"path"),
        (
            {"policies": {"a": fp.Policy(leverage_cap=9), "b": fp.Policy(close="tier_step_down")}},
            ValueError,
            r"^policies\['b'\]: schedule must be given where close is 'tier_step_down', was None$",
        ),
        (
            {"policies": {"b": fp.Policy(schedule=fp.MarginSchedule.flat(0.3))}},
            ValueError,
            r"^policies\['b'\]: schedule must leave no position crossed ",
        ),
    ],
)
def test_bad_experiments(options, kind, message):
    with pytest.raises(kind, match=message):
        an_experiment(**options)


@pytest.mark.parametrize(
    ("policy", "options", "message"),
    [
        ({"close": "tier_step_down"}, {}, r"schedule must be given where close is 'tier_step_down'"),
        (
            {"market": replace(MARKET, depth=fp.LivingDepth(1.0))},
            {"monitoring": "bridge"},
            r"monitoring must be 'step' for a market with depth that lives",
        ),
        ({"delay": 60.0}, {"monitoring": "bridge"}, r"monitoring must be 'step' where closes wait"),
        (
            {"market": MARKET},
            {"columns": ["support_quantity"], "market": replace(MARKET, support=fp.Support(95.0, 1.0))},
            r"columns must be among .* was 'support_quantity'",
        ),
    ],
)
def test_nothing_runs_before_all_policies_are_checked(monkeypatch, policy, options, message):
    monkeypatch.setattr(Checked, "result", lambda _: pytest.fail("ran"))
    longs = a_book(side=1)
    policies = {"a": fp.Policy(leverage_cap=9), "b": fp.Policy(**policy)}
    with pytest.raises(ValueError, match=rf"^policies\['b'\]: {message}"):
        an_experiment(book=longs, policies=policies, **options)


def test_runs_get_their_venues():
    policies = {"fund": fp.Policy(fund=5.0), "cap": fp.Policy(leverage_cap=5), "okx": fp.Policy(venue=fp.Venue.dydx())}

    def asked(name, **options):
        x = an_experiment(**options)
        return [run.provenance["arguments"][name] for run in (x.baseline, *x.values())]

    # A policy speaks of a venue: the baseline gets the default one.
    assert asked("venue", policies=policies) == [fp.Venue(), fp.Venue(fund=5.0), fp.Venue(), fp.Venue.dydx()]
    assert [book is BOOK for book in asked("book", policies=policies)] == [True, True, False, True]
    assert asked("venue", policies={"cap": fp.Policy(leverage_cap=5)}) == [None, None]
    funds = asked("venue", policies=policies, venue=fp.Venue.dydx(9.0))
    assert [venue.fund for venue in funds] == [9.0, 5.0, 9.0, 0.0]


# On the engine's venue.


def test_policies_of_a_venue_are_runs_with_that_venue():
    baseline = fp.Venue(fund=2_000.0, adl="queue")
    tiers = fp.MarginSchedule([0, 500], [0.005, 0.006])
    policies = {
        "no fund": fp.Policy(fund=0.0),
        "no adl": fp.Policy(adl="none"),
        "socialised": fp.Policy(adl="socialised"),
        "slow": fp.Policy(pacing=0.05, price_band=0.02),
        "fifths": fp.Policy(close="fraction", fraction=0.2),
        "index": fp.Policy(mark_weight=0.3),
        "tiers": fp.Policy(schedule=tiers, close="tier_step_down"),
        "capped": fp.Policy(leverage_cap=10, fund=0.0),
        "another": fp.Policy(venue=fp.Venue.dydx(50.0)),
    }
    x = fp.experiment(BOOK, MARKET, fp.GBM(1.5), policies, venue=baseline, **RUN)
    capped = fp.Policy(leverage_cap=10)._book(BOOK, MARKET)
    tiered = fp.Policy(schedule=tiers)._book(BOOK, MARKET)
    want = {
        "no fund": (BOOK, baseline.with_fund(0.0)),
        "no adl": (BOOK, fp.Venue(fund=2_000.0)),
        "socialised": (BOOK, fp.Venue(fund=2_000.0, adl="socialised")),
        "slow": (BOOK, fp.Venue(fund=2_000.0, adl="queue", pacing=0.05, price_band=0.02)),
        "fifths": (BOOK, fp.Venue("fraction", 2_000.0, "queue", fraction=0.2)),
        "index": (BOOK, fp.Venue(fund=2_000.0, adl="queue", mark_weight=0.3)),
        "tiers": (tiered, fp.Venue("tier_step_down", 2_000.0, "queue", schedule=tiers)),
        "capped": (capped, baseline.with_fund(0.0)),
        "another": (BOOK, fp.Venue.dydx(50.0)),
    }
    for name, (book, venue) in want.items():
        assert x[name] == fp.simulate(book, MARKET, fp.GBM(1.5), venue=venue, **RUN), name
        x[name].check_balance()
    assert x.baseline == fp.simulate(BOOK, MARKET, fp.GBM(1.5), venue=baseline, **RUN)
    # The fund loses what it pays; without ADL losses stay unpaid; who bears them is told by columns of their own.
    assert x["no adl"].unpaid_loss.sum() > 0 == x["no adl"].adl_quantity.sum()
    assert x["socialised"].socialised_loss.sum() > 0 == x["socialised"].unpaid_loss.sum()
    assert x.baseline.adl_quantity.sum() > 0
    assert (x["no fund"].adl_quantity >= 0).all()
    assert x["no fund"].adl_quantity.sum() > x.baseline.adl_quantity.sum()
    assert {"low_price", "liquidated_notional", "unpaid_loss", "fund_paid", "adl_quantity"} <= set(x.columns)
    assert "adl_quantity" in str(x)
    assert pickle.loads(pickle.dumps(x))["no adl"] == x["no adl"]


def test_without_a_venue_the_default_ones_prices_are_those_without():
    x = fp.experiment(BOOK, MARKET, fp.GBM(1.5), {"fund": fp.Policy(fund=1e9)}, **RUN)
    alone = fp.simulate(BOOK, MARKET, fp.GBM(1.5), **RUN)
    for run in (x.baseline, x["fund"]):
        assert np.array_equal(run.low_price, alone.low_price)
        assert np.array_equal(run.liquidated_count, alone.liquidated_count)
    assert x["fund"].unpaid_loss.max() == 0 < x.baseline.unpaid_loss.max()
    assert x.comparison("fund")["unpaid_loss"]["difference"].value == pytest.approx(-x.baseline.unpaid_loss.mean())
