"""Who is deleveraged: against plain loops, and against worked examples of venues and papers.

Of the examples, two are in our units as they stand: BitMEX's (quantities, scores, a price). Chitra's
(main_corrected.tex and main_examples.tex of github.com/pluriholonomic/autodeleveraging-analysis, MIT) take money from
winners' endowments; a unit of quantity stands for a unit of money there. Her rules that weigh endowments by leverage
(RAP, levered pro-rata, CVaR) are not among ours.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import flushpoint as fp
from flushpoint.venue import CLOSING_WINNERS

NAN, INF = math.nan, math.inf
QUEUES = ("queue", "queue_margin_ratio", "queue_price_ratio", "list_order")


def plainly(policy, needed, side, quantity, entry, bankruptcy, price, trigger=None):
    """The rules as plain loops."""
    n = len(quantity)
    equity = [side * (price - b) * q for q, b in zip(quantity, bankruptcy, strict=True)]
    profit = [side * (price - e) * q for q, e in zip(quantity, entry, strict=True)]
    winners = [i for i in range(n) if profit[i] > 0]
    closed = np.zeros(n)
    needed = min(needed, sum(quantity[i] for i in winners))
    if needed == sum(quantity[i] for i in winners):
        for i in winners:
            closed[i] = quantity[i]
    elif policy in QUEUES:

        def score(i: int) -> float:
            if policy == "list_order":
                return 0.0
            if equity[i] <= 0:
                return INF
            leverage = price * quantity[i] / equity[i]
            if policy == "queue":
                return profit[i] / (entry[i] * quantity[i]) * leverage
            if policy == "queue_price_ratio":
                return (price / entry[i]) ** side * leverage
            wallet = side * (entry[i] - bankruptcy[i]) * quantity[i]
            rate = max(side * (trigger[i] - bankruptcy[i]) / trigger[i], 0.0) if 0 < trigger[i] < INF else 0.0
            return profit[i] / max(1.0, wallet) * (rate * price * quantity[i] / equity[i])

        for i in sorted(winners, key=lambda i: (-score(i), i)):
            closed[i] = min(quantity[i], needed)
            needed -= closed[i]
    elif policy == "pro_rata":
        for i in winners:
            closed[i] = quantity[i] * needed / sum(quantity[j] for j in winners)
    elif needed > 0:  # one number for all, found by halving its logarithm
        low, high = -300.0, 300.0
        for _ in range(200):
            c = math.exp((low + high) / 2)
            for i in winners:
                if policy == "pro_rata_profit":
                    closed[i] = min(quantity[i], c * profit[i])
                else:  # water filling: the leverage left is 1 / c
                    closed[i] = quantity[i] if equity[i] <= 0 else max(0.0, quantity[i] - equity[i] / price / c)
            low, high = (math.log(c), high) if closed.sum() < needed else (low, math.log(c))
    return closed


def random_positions(seed: int, side: int, n: int) -> dict[str, Any]:
    chance = np.random.default_rng(seed)
    entry = 100 * np.exp(0.1 * chance.standard_normal(n))
    leverage = chance.uniform(1.5, 50, n)
    bankruptcy = entry * (1 - side / leverage)
    return {
        "quantity": chance.lognormal(0, 1.5, n),
        "entry_price": entry,
        "bankruptcy_price": bankruptcy,
        "trigger_price": bankruptcy / (1 - side * 0.4 / leverage),
    }


@given(
    st.integers(0, 10**6), st.sampled_from(CLOSING_WINNERS), st.sampled_from([1, -1]), st.integers(1, 12),
    st.just(0.0) | st.floats(1e-6, 1.2),
)  # fmt: skip
def test_as_plain_loops(seed, policy, side, n, share):
    p = random_positions(seed, side, n)
    needed = share * p["quantity"].sum()
    closed = fp.auto_deleverage(policy, needed, side, price=100.0, **p)
    want = plainly(policy, needed, side, *(list(p[k]) for k in ("quantity", "entry_price", "bankruptcy_price")), 100.0,
                   list(p["trigger_price"]))  # fmt: skip
    assert closed == pytest.approx(want, rel=1e-9, abs=1e-9 * p["quantity"].sum())
    winning = side * (100.0 - p["entry_price"]) > 0
    assert closed.sum() == pytest.approx(
        min(needed, p["quantity"][winning].sum()), rel=1e-12, abs=1e-12 * needed + 1e-100
    )
    assert (closed[~winning] == 0).all()
    assert ((closed >= 0) & (closed <= p["quantity"])).all()
    assert not closed.flags.writeable


@given(st.integers(0, 10**6), st.sampled_from([1, -1]), st.integers(2, 10), st.floats(0.01, 0.99))
def test_water_filling_leaves_the_lowest_highest_leverage(seed, side, n, share):
    p = random_positions(seed, side, n)
    p["entry_price"] = np.where(side * (100.0 - p["entry_price"]) > 0, p["entry_price"], 100.0 - side)  # all win
    p["bankruptcy_price"] = p["entry_price"] * (1 - side / np.random.default_rng(seed).uniform(1.5, 50, n))
    equity = side * (100.0 - p["bankruptcy_price"]) * p["quantity"]
    needed = share * p["quantity"].sum()

    def highest(closed: Any) -> float:
        return float((100.0 * (p["quantity"] - closed) / equity).max())

    best = highest(fp.auto_deleverage("water_filling", needed, side, price=100.0, **p))
    for policy in CLOSING_WINNERS:
        assert best <= highest(fp.auto_deleverage(policy, needed, side, price=100.0, **p)) * (1 + 1e-9)


def scored(scores: list[float], price: float, policy: str = "queue") -> dict[str, Any]:
    """Longs at ten times effective leverage with the scores given."""
    times = np.array(scores) / 10
    entry = price / (1 + times) if policy == "queue" else price / times
    return {"entry_price": entry, "bankruptcy_price": np.full(len(scores), price * 0.9), "price": price}


def test_bitmex_example():
    # app/autoDeleveragingExamples: a short of 20 is liquidated, bankrupt at 650. Accounts (quantity, score): 1 (10, 3),
    # 2 (10, 6), 3 (20, 1), 4 (30, 4), 5 (20, 5), 6 (10, 2). Account 2 is closed whole, 10 of the 20 of account 5.
    longs = [10.0, 10.0, 20.0, 30.0, 20.0, 10.0]
    closed = fp.auto_deleverage("queue", 20.0, +1, longs, **scored([3, 6, 1, 4, 5, 2], 650.0))
    assert closed.tolist() == [0, 10, 0, 0, 10, 0]
    # The page's indicator: in which fifth of all quantity an account's turn ends.
    fifths = np.full(6, 0)
    for fifth in (100, 80, 60, 40, 20):
        closed = fp.auto_deleverage("queue", float(fifth), +1, longs, **scored([3, 6, 1, 4, 5, 2], 650.0))
        fifths[closed == longs] = fifth
    assert fifths.tolist() == [80, 20, 100, 60, 40, 80]


def test_endowments_in_a_queue_and_pro_rata():
    # Chitra, main_corrected.tex, five accounts: the winners have profits 8, 4, 0.5 and equities 10, 5, 1;
    # of a deficit of 15 half is to be taken, of profits only. In the order 2, 1, 3 the haircuts are 0.4375, 1, 0, and
    # equities 6.5, 1, 1 are left; pro rata all haircuts are 0.6, and 5.2, 2.6, 0.7 are left.
    profit, equity = np.array([8.0, 4.0, 0.5]), np.array([10.0, 5.0, 1.0])
    positions = scored([2.0, 3.0, 1.0], 100.0)
    taken = fp.auto_deleverage("queue", 7.5, +1, profit, **positions)
    assert (taken / profit).tolist() == [0.4375, 1.0, 0.0]
    assert (equity - taken).tolist() == [6.5, 1.0, 1.0]
    taken = fp.auto_deleverage("pro_rata", 7.5, +1, profit, **positions)
    assert taken / profit == pytest.approx([0.6] * 3)
    assert equity - taken == pytest.approx([5.2, 2.6, 0.7])


def test_shares_of_endowment():
    # Chitra, main_examples.tex: winners with endowments 1.2613, 5.6214, 0.8397 and quantities 1, 4, 1 at a price of
    # 1.3, leverage 1.031, 0.925, 1.548. Pro rata the shares are 0.163, 0.728, 0.109: those of profit where all of the
    # endowment is profit, the position entered at its bankruptcy price. Shorts, since leverage can be below 1.
    endowment, quantity = np.array([1.2613, 5.6214, 0.8397]), np.array([1.0, 4.0, 1.0])
    bankruptcy = 1.3 + endowment / quantity
    assert 1.3 * quantity / endowment == pytest.approx([1.031, 0.925, 1.548], abs=5e-4)
    closed = fp.auto_deleverage("pro_rata_profit", 0.5, -1, quantity, bankruptcy, bankruptcy, 1.3)
    assert closed / 0.5 == pytest.approx([0.163, 0.728, 0.109], abs=5e-4)
    # By contracts they are 1, 4, 1 sixths, which is what venues called pro rata by contracts do.
    closed = fp.auto_deleverage("pro_rata", 0.6, -1, quantity, bankruptcy, bankruptcy, 1.3)
    assert closed == pytest.approx([0.1, 0.4, 0.1])


def test_the_words_of_hyperliquids_page_order_otherwise():
    # 1 % profit at twenty times against 50 % at ten.
    entry, leverage = np.array([100 / 1.01, 100 / 1.5]), np.array([20.0, 10.0])
    longs = {"quantity": 1.0, "entry_price": entry, "bankruptcy_price": 100 * (1 - 1 / leverage), "price": 100.0}
    assert fp.auto_deleverage("queue_price_ratio", 1.0, +1, **longs).tolist() == [1, 0]
    assert fp.auto_deleverage("queue", 1.0, +1, **longs).tolist() == [0, 1]
    # For shorts a falling price is what counts.
    shorts = {"quantity": 1.0, "entry_price": [101.0, 150.0], "bankruptcy_price": 110.0, "price": 100.0}
    assert fp.auto_deleverage("queue_price_ratio", 1.0, -1, **shorts).tolist() == [0, 1]


def test_binances_ranking():
    # The same gain on the same wallet, but twice the maintenance; then a gain of more on the wallet.
    longs = {"quantity": 10.0, "entry_price": [90.0, 90.0, 80.0], "bankruptcy_price": [81.0, 81.0, 72.0]}
    trigger = [81 / 0.995, 81 / 0.99, 72 / 0.99]
    first = fp.auto_deleverage("queue_margin_ratio", 10.0, +1, price=100.0, trigger_price=trigger, **longs)
    assert first.tolist() == [0, 0, 10]
    second = fp.auto_deleverage("queue_margin_ratio", 20.0, +1, price=100.0, trigger_price=trigger, **longs)
    assert second.tolist() == [0, 10, 10]
    # A position that can never trigger has no maintenance and comes last.
    last = fp.auto_deleverage("queue_margin_ratio", 20.0, +1, price=100.0, trigger_price=[80.0, 0.0, 75.0], **longs)
    assert last.tolist() == [10, 0, 10]


@pytest.mark.parametrize("policy", CLOSING_WINNERS)
def test_ends(policy):
    longs: dict[str, Any] = {
        "quantity": [3.0, 2.0, 5.0],
        "entry_price": [80.0, 120.0, 90.0],
        "bankruptcy_price": [70.0, 100.0, 85.0],
        "price": 100.0,
        "trigger_price": [72.0, 101.0, 86.0],
    }
    assert fp.auto_deleverage(policy, 0.0, +1, **longs).tolist() == [0, 0, 0]
    # All that win, exactly, and no more.
    assert fp.auto_deleverage(policy, 8.0, +1, **longs).tolist() == [3, 0, 5]
    assert fp.auto_deleverage(policy, 1e9, +1, **longs).tolist() == [3, 0, 5]
    assert fp.auto_deleverage(policy, 1.0, +1, **{**longs, "price": 50.0}).tolist() == [0, 0, 0]
    nobody = {**longs, "quantity": [], "entry_price": [], "bankruptcy_price": [], "trigger_price": []}
    assert fp.auto_deleverage(policy, 1.0, +1, **nobody).size == 0
    # A bankrupt winner goes first, whatever the others' leverage.
    if policy in ("queue", "queue_margin_ratio", "queue_price_ratio", "water_filling"):
        bankrupt = {**longs, "bankruptcy_price": [100.5, 100.0, 85.0]}
        assert fp.auto_deleverage(policy, 3.0, +1, **bankrupt).tolist() == [3, 0, 0]


def closes(**changes: Any) -> Any:
    plain = {
        "policy": "queue", "needed": 1.0, "side": 1, "quantity": [1.0, 2.0], "entry_price": [90.0, 80.0],
        "bankruptcy_price": [80.0, 70.0], "price": 100.0,
    }  # fmt: skip
    return fp.auto_deleverage(**{**plain, **changes})


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"policy": "none"}, ValueError, r"^policy must be one of 'queue', .*'water_filling', was 'none'$"),
        ({"policy": "socialised"}, ValueError, r"^policy must be one of .* was 'socialised'$"),
        ({"needed": -1.0}, ValueError, r"^needed must be at least 0, was -1\.0$"),
        ({"needed": NAN}, ValueError, r"^needed must be finite, was nan$"),
        ({"side": 0}, ValueError, r"^side must be \+1 \(long\) or -1 \(short\), was 0$"),
        ({"side": [1, -1]}, TypeError, r"^side must be one number, .* \(2,\)$"),
        ({"price": 0.0}, ValueError, r"^price must be positive, was 0\.0$"),
        ({"quantity": [1.0, -2.0]}, ValueError, r"^quantity must be positive, was -2\.0 at index 1$"),
        ({"quantity": [1.0, NAN]}, ValueError, r"^quantity must .*nan at index 1$"),
        ({"quantity": [[1.0, 2.0]]}, ValueError, r"^quantity must have one dimension, was of shape \(1, 2\)$"),
        ({"entry_price": [90.0]}, ValueError, r"^entry_price must .* 2, was 1$"),
        ({"entry_price": [90.0, 0.0]}, ValueError, r"^entry_price must be positive, was 0\.0 at index 1$"),
        ({"bankruptcy_price": [-1.0, 2.0]}, ValueError, r"^bankruptcy_price must be at least 0, was -1\.0 at index 0$"),
        ({"bankruptcy_price": INF}, ValueError, r"^bankruptcy_price must be finite, was inf"),
        ({"trigger_price": [NAN, 1.0]}, ValueError, r"^trigger_price must be at least 0, was nan at index 0$"),
        (
            {"policy": "queue_margin_ratio"},
            ValueError,
            r"^trigger_price must be given .*'queue_margin_ratio', was None$",
        ),
    ],
)
def test_bad_input(changes, kind, message):
    with pytest.raises(kind, match=message):
        closes(**changes)
