"""Margin that owners add when they would be liquidated, against paths in which they do so when it comes to that."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import flushpoint as fp
import reference
import reference_paths
from enough import until_seen
from reference_venue import tiers

Tiers = tuple[tuple[float, float, float], ...]


# --- the reference: margin is added when the trigger is reached ---
def equity_less_maintenance(side: int, quantity: float, owed: float, price: float, rates: Tiers) -> float:
    notional = quantity * price
    _, rate, deduction = [tier for tier in rates if tier[0] < notional or tier[0] == 0][-1]
    return side * quantity * (price - owed) - (rate * notional - deduction)


def where_they_meet(side: int, quantity: float, owed: float, reached: float, rates: Tiers) -> float:
    """The price at which equity falls to maintenance, by halving. The one reached, if it is below it there."""
    if equity_less_maintenance(side, quantity, owed, reached, rates) <= 0:
        return reached
    safe, fallen = reached, 0.0 if side > 0 else 16 * max(owed, reached)
    if equity_less_maintenance(side, quantity, owed, fallen, rates) > 0:
        assert side > 0
        return 0.0  # never
    for _ in range(200):
        middle = (safe + fallen) / 2
        if equity_less_maintenance(side, quantity, owed, middle, rates) > 0:
            safe = middle
        else:
            fallen = middle
    return safe


class Owners:
    """Some of them answer a crossed trigger with margin, `times` times."""

    def __init__(self, book: reference.Positions, adding: list[bool], margin: float, times: int, rates: Tiers | None):
        assert book.bankruptcy is not None
        self.book, self.margin, self.given = book, margin, rates
        self.left = [times if one else 0 for one in adding]
        rows = zip(book.side, book.trigger, book.bankruptcy, strict=True)
        self.own = [((0.0, s * (t - b) / t if 0 < t < np.inf else 0.0, 0.0),) for s, t, b in rows]
        self.added = 0

    def __call__(self, i: int) -> bool:
        book = self.book
        assert book.bankruptcy is not None
        if not self.left[i]:
            return False
        self.left[i] -= 1
        self.added += 1
        side, quantity, reached = book.side[i], book.quantity[i], book.trigger[i]
        book.bankruptcy[i] -= side * self.margin * reached
        rates = self.own[i] if self.given is None else self.given
        book.trigger[i] = where_they_meet(side, quantity, book.bankruptcy[i], reached, rates)
        return True


@st.composite
def questions(draw: st.DrawFn) -> dict[str, Any]:
    n, seed = draw(st.integers(2, 10)), draw(st.integers(0, 2**32))
    rng = np.random.default_rng(seed)
    side = rng.choice([1, -1], n)
    trigger = 100 * np.exp(-side * (rng.exponential(0.08, n) + 0.001))
    owed = trigger * (1 - side * rng.choice([0.002, 0.01, 0.05], n))
    never = rng.random(n) < 0.1
    trigger[never] = np.where(side[never] > 0, 0.0, np.inf)
    quantity = rng.lognormal(0, 1, n)
    levels = draw(st.integers(0, 3))
    floors = [0.0, *(100 * np.cumsum(rng.uniform(0.2, 1.0, levels))).tolist()][:levels]
    rates = tiers(floors, np.cumsum(rng.uniform(0.002, 0.03, levels)).tolist()) if levels else None
    returns = rng.choice([0.03, 0.15]) * rng.standard_normal((2, draw(st.integers(1, 12))))
    return {
        "rows": (side.tolist(), quantity.tolist(), trigger.tolist(), owed.tolist()), "rates": rates,
        "returns": returns, "margin": draw(st.sampled_from([0.001, 0.02, 0.1, 1.5])),
        "times": draw(st.integers(1, 4)), "share": draw(st.sampled_from([0.3, 0.7, 1.0])), "seed": seed,
        "half_life": draw(st.sampled_from([np.inf, 2.0])),
        "impact": draw(reference.impacts(float(quantity.sum()))),
    }  # fmt: skip


def test_any_path() -> None:
    seen = {"compared": 0, "added": 0, "closed after": 0}

    @settings(max_examples=60)
    @given(question=questions())
    def compare(question: dict[str, Any]) -> None:
        q = question
        book = fp.Book(*q["rows"])
        schedule = None
        if q["rates"] is not None:
            floor, rate, _ = zip(*q["rates"], strict=True)
            schedule = fp.MarginSchedule(floor, rate)
        topped = book.topped_up(q["share"], q["margin"], times=q["times"], schedule=schedule, seed=q["seed"])
        adding = (topped.bankruptcy_price != book.bankruptcy_price).tolist()
        name, arguments = q["impact"]
        market = fp.Market(100.0, getattr(fp, name)(**arguments), half_life=q["half_life"])
        rows, steps = q["returns"].shape
        e = fp.simulate(topped, market, fp.Returns(q["returns"]), float(steps), steps, rows)
        shape = reference.Venue(100.0, reference.SHAPES[name](**arguments), half_life=q["half_life"])
        compared = 0
        for row in range(rows):
            held = reference.Positions(*(list(column) for column in q["rows"]))
            owners = Owners(held, adding, q["margin"], q["times"], q["rates"])
            path = reference_paths.run(held, shape, q["returns"][row], 1.0, answer=owners)
            if path.doubtful or not np.isfinite(path.gross):
                continue
            compared += 1
            tolerance = 1e-9 + 10 * path.wobble
            for got, expected in ((e.final_price, path.final_price), (e.low_price, path.low_price)):
                assert got[row] == pytest.approx(expected, rel=tolerance)
            assert e.liquidated_count[row] == sum(path.closed)
            assert e.waves[row] == len(path.waves)
            assert e.liquidated_notional[row] == pytest.approx(sum(w[4] for w in path.waves), rel=1e-9)
            for name_ in ("proceeds", "shortfall", "surplus"):
                got = getattr(e, name_)[row]
                assert got == pytest.approx(getattr(path, name_), rel=0, abs=tolerance * path.gross), name_
            seen["added"] += owners.added > 0
            seen["closed after"] += any(c and a for c, a in zip(path.closed, adding, strict=True))
        assume(compared > 0)
        seen["compared"] += compared

    until_seen(compare, seen, dict.fromkeys(seen, 10))


# --- by hand ---
def test_a_position_at_its_own_rate() -> None:
    book = fp.Book([1, -1], 2.0, [90.0, 110.0], [89.1, 111.1])
    once = book.topped_up(1.0, 0.1, seed=0)
    assert once.bankruptcy_price == pytest.approx([80.1, 122.1])
    assert once.trigger_price == pytest.approx([90 * 80.1 / 89.1, 110 * 122.1 / 111.1])
    rates = book.side * (once.trigger_price - once.bankruptcy_price) / once.trigger_price
    assert rates == pytest.approx([0.01, 0.01])
    twice = book.topped_up(1.0, 0.1, times=2, seed=0)
    again = once.topped_up(1.0, 0.1, seed=0)
    assert twice.trigger_price.tolist() == again.trigger_price.tolist()
    assert twice.bankruptcy_price.tolist() == again.bankruptcy_price.tolist()  # type: ignore[union-attr]


def test_a_position_by_tiers() -> None:
    schedule = fp.MarginSchedule([0, 150, 400], [0.01, 0.03, 0.1])
    quantity = np.array([1.0, 3.0, 9.0])
    book = fp.Book(1, quantity, 90.0, 88.0).topped_up(1.0, 0.2, schedule=schedule, seed=0)
    assert book.bankruptcy_price == pytest.approx([70.0] * 3)
    equity = quantity * (book.trigger_price - 70.0)
    assert equity == pytest.approx(schedule.maintenance(quantity * book.trigger_price))
    # margin that does not reach what a higher table of tiers asks for leaves the trigger where it was
    assert fp.Book(1, 1.0, [90.0], [89.9]).topped_up(
        1.0, 0.01, schedule=fp.MarginSchedule.flat(0.1), seed=0
    ).trigger_price.tolist() == [90.0]


def test_margin_that_is_more_than_all_was_worth() -> None:
    book = fp.Book([1, -1], 1.0, [90.0, 110.0], [89.0, 111.0]).topped_up(1.0, 1.0, times=3, seed=0)
    assert book.trigger_price[0] == 0
    assert book.bankruptcy_price[0] == 0  # type: ignore[index]
    assert 110 < book.trigger_price[1] < np.inf
    assert fp.Book(1, 1.0, [90.0], [0.0]).topped_up(1.0, 0.1, seed=0).trigger_price.tolist() == [0.0]


def test_who_adds_margin() -> None:
    n = 101
    rng = np.random.default_rng(3)
    side = rng.choice([1, -1], n)
    trigger = 100.0 - 10 * side
    stop, group = rng.random(n) < 0.3, rng.choice(["a", "b"], n)
    trigger[:10] = np.where(side[:10] > 0, 0.0, np.inf)
    book = fp.Book(side, 1.0, trigger, 100.0 - 11 * side, 100.0, group, stop)
    able = int((~stop[10:]).sum())

    def adding(share: float, seed: Any) -> np.ndarray:
        return book.topped_up(share, 0.1, seed=seed).trigger_price != book.trigger_price

    some, more = adding(0.4, 7), adding(0.6, 7)
    assert some.sum() == round(0.4 * able)
    assert not (some & ~more).any()
    assert (some == adding(0.4, np.random.SeedSequence(7))).all()
    assert (some != adding(0.4, 8)).any()
    assert adding(0.0, 7).sum() == 0
    everyone = book.topped_up(1.0, 0.1)
    assert ((everyone.trigger_price != book.trigger_price) == (~stop & (np.arange(n) >= 10))).all()
    assert (everyone.stop == stop).all()  # type: ignore[union-attr]
    assert (everyone.group == group).all()  # type: ignore[union-attr]
    assert (everyone.entry_price == 100).all()  # type: ignore[union-attr]
    assert len(fp.Book([], [], [], []).topped_up(1.0, 0.1)) == 0


@pytest.mark.parametrize("schedule", [None, fp.MarginSchedule.flat(0.005)])
def test_what_is_beyond_all_numbers_never_triggers(schedule: fp.MarginSchedule | None) -> None:
    book = fp.Book([1, -1, -1], [1.0, 1.0, 1e5], [90.0, 110.0, 120.0], [89.0, 111.0, 121.0])
    for margin, times in ((1.5, 1_000), (1e308, 1), (1e300, 2)):
        topped = book.topped_up(1.0, margin, times=times, schedule=schedule, seed=0)
        assert topped.trigger_price.tolist() == [0.0, np.inf, np.inf]
        assert not np.isnan(topped.bankruptcy_price).any()
    assert np.isfinite(book.topped_up(1.0, 0.1, times=1_000, schedule=schedule, seed=0).trigger_price).all()


def test_refused() -> None:
    book = fp.Book(1, 1.0, [90.0], [89.0])
    with pytest.raises(ValueError, match="book must have bankruptcy prices for margin to be added, was without"):
        fp.Book(1, 1.0, [90.0]).topped_up(0.5, 0.1)
    with pytest.raises(ValueError, match=r"share must be at most 1, was 1\.5"):
        book.topped_up(1.5, 0.1)
    with pytest.raises(ValueError, match="margin must be positive, was 0"):
        book.topped_up(0.5, 0.0)
    with pytest.raises(ValueError, match="times must be at least 1, was 0"):
        book.topped_up(0.5, 0.1, times=0)
    with pytest.raises(ValueError, match=r"times must be at most 1,?000, was 1000000000"):
        book.topped_up(0.5, 0.1, times=10**9)
    with pytest.raises(TypeError, match=r"schedule must be a MarginSchedule, was float"):
        book.topped_up(0.5, 0.1, schedule=0.01)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="seed must be an integer at least 0"):
        book.topped_up(0.5, 0.1, seed=-1)
