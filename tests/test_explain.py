"""Whose a move is: shares against every order of joining, closed forms, and runs made by hand."""

from __future__ import annotations

import json
import math
import pickle
from dataclasses import replace
from itertools import combinations, permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import flushpoint as fp
from flushpoint import plot
from flushpoint.explain import PLAYERS, shapley
from flushpoint.simulate import Checked
from flushpoint.summary import mean, normal_quantile, quantile, standard_error

YEAR = 365 * 86_400.0
NEVER = np.array([0.0, np.inf])
MARKET = fp.Market(100.0, fp.LinearImpact(2e-5), half_life=3_600.0)
LIVING = replace(MARKET, depth=fp.LivingDepth(1.0, elasticity=0.5))
FUNDS = fp.VolatilityTargeting(800.0, 1.0, interval=1_800.0)
CRASH = fp.JumpDiffusion(1.0, 700.0, -0.03, 0.02)
RUN: dict[str, Any] = {"horizon": 86_400.0, "steps": 48, "paths": 60, "seed": 4}


def a_book(n: int = 300, stops: bool = True) -> fp.Book:
    chance = np.random.default_rng(0)
    book = fp.Book.from_positions(
        np.where(np.arange(n) % 3 == 2, -1, 1),
        chance.lognormal(1, 1, n),
        100 * np.exp(0.01 * chance.standard_normal(n)),
        leverage=chance.choice([3.0, 5.0, 10.0, 20.0], n),
        schedule=fp.MarginSchedule.flat(0.005),
    ).alive(100.0)
    price = np.where(book.side > 0, 96.0, 104.0)
    return book.with_stops(np.where(np.arange(len(book)) % 4 == 0, price, np.nan)) if stops else book


BOOK, UNSTOPPED = a_book(), a_book(stops=False)


def by_orders(worth: dict[frozenset[str], float], players: tuple[str, ...]) -> dict[str, float]:
    """Let the players join one after another, in every order, and average what each one adds."""
    added: dict[str, list[float]] = {player: [] for player in players}
    for order in permutations(players):
        there: frozenset[str] = frozenset()
        for player in order:
            added[player].append(worth[there | {player}] - worth[there])
            there |= {player}
    return {player: sum(some) / len(some) for player, some in added.items()}


def subsets(players: tuple[str, ...]) -> list[frozenset[str]]:
    return [frozenset(some) for size in range(len(players) + 1) for some in combinations(players, size)]


def idle(book: fp.Book, rows: Any) -> fp.Book:
    """Make a book in which some positions are held, but never closed."""
    trigger = [
        NEVER[0 if side > 0 else 1] if still else at
        for side, at, still in zip(book.side, book.trigger_price, rows, strict=True)
    ]
    return fp.Book(book.side, book.quantity, trigger, book.bankruptcy_price, book.entry_price, None, book.stop & ~rows)


@given(st.integers(0, 4), st.lists(st.floats(-1, 1), min_size=16, max_size=16))
def test_shapley_values_are_means_over_all_orders(n, worths):
    players = tuple("abcd"[:n])
    worth = dict(zip(subsets(players), worths, strict=False))
    got = shapley({some: np.array([value]) for some, value in worth.items()}, players)
    want = by_orders(worth, players)
    for player in players:
        assert got[player][0] == pytest.approx(want[player], abs=1e-12)
    assert sum(one[0] for one in got.values()) == pytest.approx(
        worth[frozenset(players)] - worth[frozenset()], abs=1e-12
    )


def runs_by_hand(sellers: Any, venue: Any, known: bool, **run: Any) -> dict[frozenset[str], fp.SimulationResult]:
    stop = BOOK.stop
    assert stop is not None
    books = {
        (True, True): BOOK,
        (True, False): UNSTOPPED if known else idle(BOOK, stop),
        (False, True): idle(BOOK, ~stop),
        (False, False): idle(BOOK, np.ones(len(BOOK), dtype=bool)),
    }
    return {
        there: fp.simulate(
            books["forced" in there, "stops_and_algorithms" in there],
            LIVING if "depth" in there else MARKET,
            CRASH,
            venue=venue,
            sellers=sellers if "stops_and_algorithms" in there else None,
            **run,
        )
        for there in subsets(PLAYERS)
    }


@settings(max_examples=6, deadline=None)
@given(
    st.sampled_from(["low_price", "high_price", "final_price"]),
    st.sampled_from([None, FUNDS]),
    st.sampled_from([None, fp.Venue(fund=500.0, adl="queue"), fp.Venue("fraction", 100.0, fraction=0.5)]),
    st.booleans(),
    st.booleans(),
    st.integers(0, 99),
)
def test_shares_are_those_of_runs_made_by_hand(column, sellers, venue, known, antithetic, seed):
    run = {**RUN, "paths": range(10, 30), "seed": seed, "antithetic": antithetic}
    run["script"] = fp.Script(40_000.0, sell=300.0, move=-0.02)
    how: dict[str, Any] = {"column": column, "counterfactuals": {}, "without_stops": UNSTOPPED if known else None}
    e = fp.explain(BOOK, LIVING, CRASH, sellers=sellers, venue=venue, **how, **run)
    want = runs_by_hand(sellers, venue, known, **run)
    assert e.players == PLAYERS
    assert set(e.runs) == set(want)
    for there, result in want.items():
        assert np.array_equal(e.runs[there][column], result[column])
        assert np.array_equal(e.runs[there].waves, result.waves)
    for path in range(20):
        logs = {there: math.log(result[column][path] / 100) for there, result in want.items()}
        shares = by_orders(logs, PLAYERS)
        assert e.shares["exogenous"][path] == pytest.approx(logs[frozenset()], abs=1e-12)
        for player in PLAYERS:
            assert e.shares[player][path] == pytest.approx(shares[player], abs=1e-12)
        total = sum(e.shares[path])
        assert total == pytest.approx(math.log(e.baseline[column][path] / 100), abs=1e-12)
        prices = by_orders({there: result[column][path] for there, result in want.items()}, PLAYERS)
        assert [e.quote_shares[player][path] for player in PLAYERS] == pytest.approx(list(prices.values()), abs=1e-9)
        assert sum(e.quote_shares[path]) == pytest.approx(e.baseline[column][path] - 100, abs=1e-9)


# Closed forms: linear impact that never recovers, a price that does not move of itself, one sale.

SLOPE, SALE, HELD, STOPPED = 1e-4, 100.0, 200.0, 50.0
FLAT = fp.Market(100.0, fp.LinearImpact(SLOPE))
STILL = fp.Returns(np.zeros((2, 10)))
SOLD = fp.Script(60.0, sell=SALE)
CLOCK: dict[str, Any] = {"horizon": 600.0, "steps": 10, "paths": 2, "script": SOLD}


def test_a_sale_that_liquidates_what_sets_off_stops():
    # The sale moves the price by 1 %, the liquidation by 2 % more, where the stop order stands.
    book = fp.Book(1, [HELD, STOPPED], [99.5, 97.5], stop=[False, True])
    e = fp.explain(book, FLAT, STILL, **CLOCK)
    assert e.players == ("forced", "stops_and_algorithms")
    assert e.shares["exogenous"] == pytest.approx(-SLOPE * SALE)
    # The stop order fires only after the liquidation, so that the two share what it sells.
    assert e.shares["forced"] == pytest.approx(-SLOPE * (HELD + STOPPED / 2))
    assert e.shares["stops_and_algorithms"] == pytest.approx(-SLOPE * STOPPED / 2)
    assert not e.shares["depth"].any()
    # Where either fires by itself, each has its own.
    e = fp.explain(fp.Book(1, [HELD, STOPPED], [99.5, 99.6], stop=[False, True]), FLAT, STILL, **CLOCK)
    assert e.shares["forced"] == pytest.approx(-SLOPE * HELD)
    assert e.shares["stops_and_algorithms"] == pytest.approx(-SLOPE * STOPPED)


def test_stops_in_place_of_liquidations():
    # The sale reaches the stop order of a position that would have been liquidated there, too.
    held = fp.Book(1, HELD, [99.5])
    book = held.with_stops(99.8)
    e = fp.explain(book, FLAT, STILL, without_stops=held, **CLOCK)
    assert e.players == ("forced", "stops_and_algorithms")
    assert e.baseline.stop_count.tolist() == [1, 1]
    # Either would do: they share what is sold, and only without both nothing is.
    assert e.shares["forced"] == pytest.approx(-SLOPE * HELD / 2)
    assert e.shares["stops_and_algorithms"] == pytest.approx(-SLOPE * HELD / 2)
    # As long as where it would have been liquidated is not known, all is the stop order's.
    e = fp.explain(book, FLAT, STILL, **CLOCK)
    assert e.players == ("stops_and_algorithms",)
    assert e.shares["stops_and_algorithms"] == pytest.approx(-SLOPE * HELD)


def test_depth_that_thins_before_a_sale():
    fall = -0.05
    returns = np.zeros((2, 10))
    returns[:, 0] = fall
    depth = fp.LivingDepth(0.6, elasticity=0.5, memory=600.0)
    sale = {**CLOCK, "script": fp.Script(120.0, sell=SALE)}
    e = fp.explain(fp.Book([], [], []), replace(FLAT, depth=depth), fp.Returns(returns), column="final_price", **sale)
    kept = 2 ** (-60 / 600)
    realised = math.sqrt(kept * 0.6**2 + (1 - kept) * fall**2 * YEAR / 60)
    liquidity = (0.6 / realised) ** 0.5
    assert liquidity < 0.5
    assert e.players == ("depth",)
    assert e.shares["exogenous"] == pytest.approx(fall - SLOPE * SALE)
    assert e.shares["depth"] == pytest.approx(-SLOPE * SALE * (1 / liquidity - 1))
    assert list(e.counterfactuals) == ["depth that does not thin"]


def test_one_player_has_the_plain_difference():
    book = UNSTOPPED
    e = fp.explain(book, MARKET, CRASH, **RUN)
    alone, nobody = (fp.simulate(one, MARKET, CRASH, **RUN) for one in (book, fp.Book([], [], [])))
    assert e.players == ("forced",)
    assert list(e.counterfactuals) == ["no leverage above 10x", "no forced sales"]
    assert np.array_equal(e.baseline.low_price, alone.low_price)
    assert e.shares["exogenous"] == pytest.approx(np.log(nobody.low_price / 100), abs=1e-14)
    assert e.shares["forced"] == pytest.approx(np.log(alone.low_price / nobody.low_price), abs=1e-12)
    sellers = fp.explain(fp.Book([], [], []), MARKET, CRASH, sellers=[FUNDS], **RUN)
    assert sellers.players == ("stops_and_algorithms",)
    with_funds = fp.simulate(fp.Book([], [], []), MARKET, CRASH, sellers=FUNDS, **RUN)
    assert np.array_equal(sellers.baseline.low_price, with_funds.low_price)


def test_without_players_all_is_exogenous():
    e = fp.explain(fp.Book([1, -1], 1.0, NEVER), MARKET, CRASH, **RUN)
    assert e.players == ()
    assert list(e.runs) == [frozenset()]
    assert not e.counterfactuals
    assert e.summary()["exogenous"]["share_of_total"] == (1.0, 1.0, 1.0)
    assert "forced" not in str(e)


@pytest.mark.parametrize("what", ["turnover", "random book", "funding"])
def test_who_is_liquidated_besides_a_known_book(what):
    nobody = fp.Book([], [], [])
    book: Any = nobody
    more: dict[str, Any] = {}
    if what == "turnover":
        more = {"turnover": fp.Turnover(0.05, 2.0, fp.LeverageMix([5, 50], [1, 1]))}
    elif what == "random book":
        book, more = fp.RandomBook(count=200, distance=fp.Exponential(0.1), quantity=10.0), {"max_count": 150}
    else:
        book, more = UNSTOPPED, {"funding": fp.Funding(0.001)}
    e = fp.explain(book, LIVING, CRASH, **RUN, **more)
    assert e.players == ("forced", "depth")
    assert np.array_equal(e.baseline.low_price, fp.simulate(book, LIVING, CRASH, **RUN, **more).low_price)
    for there, market in ((frozenset({"depth"}), LIVING), (frozenset[str](), MARKET)):
        assert np.array_equal(e.runs[there].low_price, fp.simulate(nobody, market, CRASH, **RUN).low_price)
        assert not e.runs[there].waves.any()
    assert e.shares["forced"].min() < 0
    caps = "no leverage above 10x" in e.counterfactuals
    assert caps == (what != "random book")


@pytest.mark.parametrize(
    "process",
    [
        fp.GBM(1.0),
        CRASH,
        fp.StudentT(1.0, 4.0),
        fp.GARCH(1e-6, 0.1, 0.8),
        fp.Bootstrap(np.random.default_rng(1).normal(0, 0.01, 100), 5),
    ],
)
def test_where_nothing_moves_the_price_all_is_exogenous(process):
    deep = replace(LIVING, impact=fp.LinearImpact(0.0))
    crowd = fp.RandomBook(density=500.0, quantity=10.0)
    for book, more in ((crowd, {}), (UNSTOPPED, {"turnover": fp.Turnover(0.05, 2.0)})):
        e = fp.explain(book, deep, process, sellers=FUNDS, **RUN, **more)
        assert e.baseline.waves.any()
        assert not any(e.shares[player].any() for player in PLAYERS)


def test_a_position_whose_close_is_left_out_is_still_a_winner():
    # All shorts have stop orders: without these they are what auto-deleveraging closes.
    book = UNSTOPPED.with_stops(np.where(UNSTOPPED.side < 0, 103.0, np.nan))
    venue = fp.Venue(fund=1.0, adl="queue")
    e = fp.explain(book, MARKET, CRASH, venue=venue, **RUN)
    forced = e.runs[frozenset({"forced"})]
    assert forced.adl_quantity.sum() > 0
    assert not forced.stop_quantity.any()
    forced.check_balance()
    assert "twice the fund" in e.counterfactuals


# Figures.


def test_figures_and_their_intervals():
    e = fp.explain(BOOK, LIVING, CRASH, antithetic=True, confidence=0.9, **RUN)
    pairs = e.baseline._pairs
    assert pairs is not None
    figures = e.summary()
    assert list(figures) == ["exogenous", *PLAYERS, "total"]
    total = np.log(e.baseline.low_price / 100)
    z = normal_quantile(0.9)
    for name, one in figures.items():
        share = total if name == "total" else e.shares[name]
        quote = e.baseline.low_price - 100 if name == "total" else e.quote_shares[name]
        assert one["mean"] == pytest.approx(mean(share, 0.9, pairs))
        assert one["quote"] == pytest.approx(mean(quote, 0.9, pairs))
        assert one["median"] == pytest.approx(quantile(np.sort(share), 0.5, 0.9, pairs))
        value, low, high = one["share_of_total"]
        assert value == pytest.approx(share.mean() / total.mean())
        if name != "total":
            for end in (low, high):  # there the difference is as far from 0 as its error allows
                left = share - end * total
                assert abs(left.mean()) == pytest.approx(z * standard_error(left, pairs), rel=1e-6)
    for what in ("mean", "quote", "share_of_total"):
        parts = sum(figures[name][what].value for name in ("exogenous", *PLAYERS))
        assert parts == pytest.approx(figures["total"][what].value)
    table = e.table()
    assert table["share"].tolist() == list(figures)
    for row in table:
        for what, estimate in figures[row["share"]].items():
            assert tuple(row[[what, f"{what}_low", f"{what}_high"]]) == tuple(estimate)


def test_a_share_of_what_may_be_nothing_has_no_bounds():
    e = fp.explain(UNSTOPPED, MARKET, fp.GBM(0.2), column="final_price", **{**RUN, "seed": 1})
    assert e.summary()["exogenous"]["share_of_total"][1:] == (-math.inf, math.inf)
    e = fp.explain(fp.Book([], [], []), FLAT, STILL, **{**CLOCK, "script": None})
    assert np.isnan(e.summary()["total"]["share_of_total"]).all()
    e = fp.explain(BOOK, MARKET, CRASH, **{**RUN, "paths": 1})
    assert np.isnan(e.summary()["forced"]["share_of_total"][1:]).all()


def test_paths_on_which_the_market_is_used_up_are_left_out():
    market = fp.Market(100.0, fp.EvaporatingImpact(1e-3, 1.0))
    returns = np.zeros((3, 4))
    returns[1, 1] = -0.1
    book = fp.Book(1, 1_000.0, [95.0])
    e = fp.explain(book, market, fp.Returns(returns), horizon=240.0, steps=4, paths=3)
    assert e.baseline.low_price[1] == 0
    for shares in (e.shares, e.quote_shares):
        assert [np.isnan(shares[name][1]) for name in shares.dtype.names] == [True] * 4
    assert not np.isnan(e.shares["forced"][[0, 2]]).any()
    assert e.summary()["total"]["mean"].value == pytest.approx(0, abs=1e-12)
    assert "1 paths left out" in str(e)
    assert e.to_dict()["left_out"] == 1


# Counterfactuals.


def test_counterfactuals_are_comparisons_with_the_baseline():
    venue = fp.Venue(fund=200.0, adl="queue")
    e = fp.explain(BOOK, LIVING, CRASH, venue=venue, sellers=FUNDS, **RUN)
    assert list(e.counterfactuals) == [
        "no leverage above 10x",
        "twice the fund",
        "depth that does not thin",
        "no forced sales",
    ]
    policies = {"cap": fp.Policy(leverage_cap=10), "fund": fp.Policy(fund=400.0), "depth": fp.Policy(market=MARKET)}
    x = fp.experiment(BOOK, LIVING, CRASH, policies, venue=venue, sellers=FUNDS, **RUN)
    for (name, got), other in zip(e.counterfactuals.items(), [*x.values(), None], strict=True):
        other = e.runs[frozenset({"stops_and_algorithms", "depth"})] if other is None else other
        assert repr(dict(got)) == repr(dict(fp.compare(x.baseline, other, list(got)))), name
    own = fp.explain(BOOK, LIVING, CRASH, venue=venue, sellers=FUNDS, counterfactuals=policies, **RUN)
    assert list(own.counterfactuals) == list(policies)
    for name, got in own.counterfactuals.items():
        assert repr(got["low_price"]) == repr(x.comparison(name)["low_price"])
    assert "low_price" in fp.explain(BOOK, MARKET, CRASH, column="high_price", **RUN).counterfactuals["no forced sales"]


def test_counterfactuals_apply_only_where_something_would_be_otherwise():
    slow = fp.Book.from_positions(1, 10.0, 100.0, leverage=[5.0, 8.0], schedule=fp.MarginSchedule.flat(0.005))

    def names(book: fp.Book, **more: Any) -> list[str]:
        return list(fp.explain(book, MARKET, fp.GBM(0.5), **{**RUN, "paths": 2}, **more).counterfactuals)

    assert names(slow) == ["no forced sales"]
    assert names(slow, venue=fp.Venue()) == ["no forced sales"]
    assert names(slow, venue=fp.Venue(fund=3.0)) == ["twice the fund", "no forced sales"]
    cap = ["no leverage above 10x", "no forced sales"]
    assert names(slow, turnover=fp.Turnover(0.01, 1.0)) == cap
    assert names(slow, turnover=fp.Turnover(0.01, 1.0, fp.LeverageMix([5], [1]))) == ["no forced sales"]
    assert names(slow, turnover=fp.Turnover(0.0, 1.0, closing_rate=1e-5)) == ["no forced sales"]
    assert names(fp.Book(1, 10.0, [90.0])) == ["no forced sales"]
    assert names(fp.Book(1, 10.0, [90.0]), turnover=fp.Turnover(0.01, 1.0)) == ["no forced sales"]
    assert names(fp.Book([], [], []), turnover=fp.Turnover(0.01, 1.0)) == cap


def test_a_policy_that_needs_a_venue_brings_the_default_one():
    e = fp.explain(BOOK, MARKET, CRASH, counterfactuals={"rich": fp.Policy(fund=1e9)}, **RUN)
    assert e.baseline.provenance["arguments"]["venue"] == fp.Venue()
    assert e.counterfactuals["rich"]["unpaid_loss"]["difference"].value < 0


# The result.


def test_an_explanation_is_frozen_pickles_and_tells_itself():
    e = fp.explain(BOOK, LIVING, CRASH, **RUN)
    again = pickle.loads(pickle.dumps(e))
    assert str(again) == str(e)
    for one in (e, again):
        assert not one.shares.flags.writeable
        assert not one.quote_shares.flags.writeable
        assert not one.table().flags.writeable
        with pytest.raises(AttributeError):
            one.column = "high_price"  # type: ignore[misc]
        with pytest.raises(TypeError):
            one.runs[frozenset()] = one.baseline  # type: ignore[index]
        with pytest.raises(TypeError):
            one.counterfactuals["x"] = one.counterfactuals["no forced sales"]  # type: ignore[index]
    assert repr(e) == "<Explanation: low_price by exogenous, forced, stops_and_algorithms, depth; 60 paths, seed 4>"
    text = str(e)
    for words in (
        "what moved low_price from 100: 60 paths",
        "forced sales",
        "stops and algorithms",
        "depth that thins",
        "total",
        "baseline",
    ):
        assert words in text
    told = json.loads(json.dumps(e.to_dict(), allow_nan=False))
    assert told["shares"]["forced"]["mean"]["low"] == e.summary()["forced"]["mean"].low
    assert told["players"] == list(PLAYERS)
    assert told["seed"] == e.seed == 4
    change = told["counterfactuals"]["no forced sales"]["low_price"]["difference"]["value"]
    assert change == e.counterfactuals["no forced sales"]["low_price"]["difference"].value


def test_without_a_seed_one_is_drawn_for_all_runs():
    e = fp.explain(BOOK, MARKET, CRASH, **{**RUN, "seed": None})
    assert e.seed is not None
    assert {run.seed for run in e.runs.values()} == {e.seed}
    sequence = np.random.SeedSequence(3).spawn(1)[0]
    assert fp.explain(BOOK, MARKET, CRASH, **{**RUN, "seed": sequence}).to_dict()["seed"] == "a SeedSequence"


def test_progress_counts_all_runs():
    calls: list[tuple[int, int]] = []
    fp.explain(BOOK, LIVING, CRASH, progress=lambda done, paths: calls.append((done, paths)), **RUN)
    assert {paths for _, paths in calls} == {9 * 60}
    assert calls == sorted(calls)
    assert calls[-1] == (540, 540)


CROWD = fp.RandomBook(count=10, distance=fp.Exponential(0.1), quantity=1.0)


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"column": "price"}, ValueError, r"^column must be one of 'low_price', .* was 'price'$"),
        ({"confidence": 1.0}, ValueError, r"^confidence must be below 1, was 1\.0$"),
        ({"book": fp.Accounts}, TypeError, r"^book must be a Book or a RandomBook, was type$"),
        ({"market": fp.Markets({"a": MARKET})}, TypeError, r"^market must be a Market, was Markets$"),
        ({"venue": "okx"}, TypeError, r"^venue must be a Venue, was str$"),
        ({"process": 0.6}, TypeError, r"^process must be a process "),
        ({"turnover": 0.1}, TypeError, r"^turnover must be a Turnover, was float$"),
        ({"sellers": []}, ValueError, r"^sellers must hold at least one, was empty$"),
        ({"sellers": 3}, TypeError, r"^sellers must be a VolatilityTargeting "),
        ({"script": 3}, TypeError, r"^script must be a Script, was int$"),
        ({"max_count": 3}, ValueError, r"^max_count must be left out "),
        ({"without_stops": 3}, TypeError, r"^without_stops must be a Book, was int$"),
        ({"without_stops": BOOK}, ValueError, r"^without_stops must hold no stop orders, was <Book: "),
        (
            {"without_stops": CROWD, "book": UNSTOPPED},
            ValueError,
            r"^without_stops must be left out where book holds no ",
        ),
        ({"without_stops": UNSTOPPED.scaled(1.0, 100.0)}, ValueError, r"^without_stops must hold the sides and quant"),
        (
            {"without_stops": UNSTOPPED._with(trigger_price=UNSTOPPED.trigger_price * 0.99)},
            ValueError,
            r"^trigger_price of without_stops must be that of book, and no nearer .*, was .* at index \d+$",
        ),
        ({"paths": 0}, ValueError, r"^paths must be at least 1, was 0$"),
        ({"progress": 3}, TypeError, r"^progress must be callable, was 3$"),
        ({"counterfactuals": [fp.Policy(fund=1.0)]}, TypeError, r"^counterfactuals must be a mapping .* was list$"),
        ({"counterfactuals": {"x": 3}}, TypeError, r"^counterfactuals must hold a Policy each, was int for 'x'$"),
        (
            {"counterfactuals": {"x": fp.Policy(close="tier_step_down")}},
            ValueError,
            r"^counterfactuals\['x'\]: schedule must be given ",
        ),
        (
            {"counterfactuals": {"x": fp.Policy(leverage_cap=3)}, "book": CROWD},
            ValueError,
            r"^counterfactuals\['x'\]: leverage_cap must be left out for a random book",
        ),
        ({"venue": fp.Venue(), "book": CROWD}, ValueError, r"^venue must be left out for a random book"),
    ],
)
def test_bad_input_is_refused_before_anything_runs(monkeypatch, options, kind, message):
    monkeypatch.setattr(Checked, "result", lambda _: pytest.fail("ran"))
    arguments: dict[str, Any] = {"book": BOOK, "market": MARKET, "process": CRASH, **RUN, **options}
    with pytest.raises(kind, match=message):
        fp.explain(**arguments)


# The picture.


@pytest.mark.parametrize("percent", [False, True])
def test_the_picture_adds_up(percent):
    figure = pytest.importorskip("matplotlib.figure").Figure
    e = fp.explain(BOOK, LIVING, CRASH, **RUN)
    ax = plot.explanation(e, figure().subplots(), percent=percent, currency="EUR")
    scale = 100 / e.start if percent else 1.0
    want = {name: scale * one["quote"].value for name, one in e.summary().items()}
    heights = [bar.get_height() for bar in ax.patches]
    assert heights == pytest.approx(list(want.values()))
    starts = [bar.get_y() for bar in ax.patches]
    assert starts == pytest.approx([0.0, *np.cumsum(heights)[:-2], 0.0])
    assert ax.get_xticklabels()[0].get_text() == "exogenous"
    assert ax.get_ylabel() == f"mean change of the low price ({'% of the start' if percent else 'EUR'})"
    ax.figure.canvas.draw()


def test_pictures_of_a_rise_and_of_nothing():
    figure = pytest.importorskip("matplotlib.figure").Figure
    e = fp.explain(fp.Book(-1, HELD, [100.5]), FLAT, fp.GBM(0.6), column="high_price", **RUN)
    ax = plot.explanation(e, figure().subplots())
    heights = [bar.get_height() for bar in ax.patches]
    assert min(heights) > 0
    assert all(text.xyann[1] > 0 for text in ax.texts)
    returns = np.zeros((1, 4))
    returns[0, 1] = -0.1
    market = fp.Market(100.0, fp.EvaporatingImpact(1e-3, 1.0))
    e = fp.explain(fp.Book(1, 1_000.0, [95.0]), market, fp.Returns(returns), horizon=240.0, steps=4, paths=1)
    assert all(np.isnan(one).all() for one in e.summary()["total"].values())
    plot.explanation(e, figure().subplots()).figure.canvas.draw()
