"""Margin told by liquidation prices: accounts made up, prices worked out, margin found again."""

import pickle

import numpy as np
import pandas as pd
import pytest

import flushpoint as fp

SCHEDULES = {
    "BTC": fp.MarginSchedule([0, 150_000], [0.0125, 0.025]),
    "ETH": fp.MarginSchedule([0, 100_000], [0.02, 1 / 30]),
    "SOL": fp.MarginSchedule.flat(0.025),
}
PRICES = {"BTC": 60_000.0, "ETH": 2_000.0, "SOL": 80.0}
FIELDS = ("account", "market", "quantity", "entry_price", "mark_price", "liquidation_price")


def made_up(seed: int, accounts: int = 40, isolated_share: float = 0.2):
    """Positions of accounts, their true cash and isolated margins (nan for cross)."""
    rng = np.random.default_rng(seed)
    rows, margins, cash = [], [], {}
    for account in range(accounts):
        held = rng.choice(list(PRICES), size=rng.integers(1, 4), replace=False)
        places = []
        for market in held:
            mark = PRICES[market]
            notional = rng.uniform(1e4, 4e5)
            places.append((str(market), rng.choice([-1, 1]) * notional / mark, mark * rng.uniform(0.8, 1.2), mark))
        alone = rng.random(len(places)) < isolated_share
        if np.count_nonzero(~alone) < 2:  # a single cross position is as an isolated one
            alone[:] = False
        loss = [q * (mark - entry) for _, q, entry, mark in places]
        need = [SCHEDULES[m].maintenance(abs(q) * mark) for m, q, _, mark in places]
        pool = ~alone
        cash[account] = -sum(np.array(loss)[pool]) + sum(np.array(need)[pool]) * rng.uniform(1.5, 4)
        for i, (market, q, entry, mark) in enumerate(places):
            margin, others = cash[account], pool & (np.arange(len(places)) != i)
            if alone[i]:
                margin, others = max(-loss[i], 0.0) + need[i] * rng.uniform(2, 5), np.zeros(len(places), bool)
            price = fp.liquidation_price(
                int(np.sign(q)), abs(q), entry, margin, SCHEDULES[market],
                other_pnl=sum(np.array(loss)[others]), other_maintenance=sum(np.array(need)[others]),
            )  # fmt: skip
            rows.append((account, market, q, entry, mark, price if price > 0 else np.nan))
            margins.append(margin if alone[i] else np.nan)
    columns = dict(zip(FIELDS, map(np.array, zip(*rows, strict=True)), strict=True))
    return columns, np.array([cash[a] for a in range(accounts)]), np.array(margins)


@pytest.mark.parametrize("seed", range(6))
def test_the_margin_of_made_up_accounts_is_found(seed):
    columns, cash, margins = made_up(seed)
    found = fp.infer_margin(**columns, schedules=SCHEDULES, tolerance=1e-9)
    told = ~np.isnan(columns["liquidation_price"])
    # Where two cross positions have prices the pool is told, and so is what is outside it.
    owner = columns["account"]
    crosses = np.bincount(owner[told & np.isnan(margins)], minlength=cash.size)
    sure = crosses > 1
    assert np.count_nonzero(sure) > 10
    np.testing.assert_allclose(found.cash[sure], cash[sure], rtol=1e-9, atol=1e-3)
    rows = told & sure[owner]
    np.testing.assert_array_equal(np.isnan(found.isolated[rows]), np.isnan(margins[rows]))
    np.testing.assert_allclose(found.isolated[rows], margins[rows], rtol=1e-9)
    np.testing.assert_allclose(found.liquidation_price[rows], columns["liquidation_price"][rows], rtol=1e-9)
    assert found.agrees[rows & np.isnan(margins)].all()
    assert not found.agrees[~np.isnan(margins)].any()


def test_a_position_alone_tells_its_own_margin_and_is_not_tested():
    price = fp.liquidation_price(-1, 1.0, 60_000.0, 10_000.0, SCHEDULES["SOL"])
    found = fp.infer_margin(["a"], ["SOL"], [-1.0], [60_000.0], [60_000.0], [price], SCHEDULES)
    assert found.cash == pytest.approx([10_000.0])
    assert np.isnan(found.isolated).all()
    assert not found.tested.any()
    assert not found.agrees.any()


def test_positions_that_contradict_each_other_are_all_isolated():
    found = fp.infer_margin([1, 1], ["SOL", "ETH"], [1, 1], [80.0, 2_000.0], [80.0, 2_000.0], [40.0, 500.0], SCHEDULES)
    assert np.isnan(found.cash).all()
    assert (found.isolated > 0).all()
    np.testing.assert_allclose(found.liquidation_price, [40.0, 500.0])
    assert found.tested.all()
    assert not found.agrees.any()


def test_without_a_price_nothing_is_known():
    found = fp.infer_margin([1], ["SOL"], [1], [80.0], [80.0], [np.nan], SCHEDULES)
    assert np.isnan(found.cash).all()
    assert np.isnan(found.liquidation_price).all()


def test_it_tells_what_it_found():
    columns, _, _ = made_up(1)
    text = str(fp.infer_margin(**columns, schedules=SCHEDULES))
    assert text.startswith("margin of 40 accounts: ")
    assert "published prices in accounts with several" in text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"quantity": [1.0, 0.0]}, "quantity must be other than 0, was 0.0 at index 1"),
        (
            {"liquidation_price": [1.0, -3.0]},
            "liquidation_price must be positive, or nan for none, was -3.0 at index 1",
        ),
        ({"mark_price": [80.0, 0.0]}, "mark_price must be positive, was 0.0 at index 1"),
        ({"entry_price": [80.0]}, r"entry_price must have one entry a position, shape \(2,\), was of shape \(1,\)"),
        (
            {"market": ["SOL", "SOL"]},
            "account must have at most one position in a market, was with several of 1 in SOL",
        ),
        ({"market": ["SOL", "XRP"]}, "schedules must hold a MarginSchedule for each market, was without 'XRP'"),
        ({"tolerance": 0.0}, "tolerance must be positive, was 0.0"),
    ],
)
def test_bad_input_is_named(change, message):
    good = {
        "account": [1, 1], "market": ["SOL", "ETH"], "quantity": [1.0, 1.0], "entry_price": [80.0, 2_000.0],
        "mark_price": [80.0, 2_000.0], "liquidation_price": [40.0, 500.0], "schedules": SCHEDULES,
    }  # fmt: skip
    with pytest.raises(ValueError, match=message):
        fp.infer_margin(**(good | change))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"market": [1, 2]}, TypeError, "market must be str, was 1 at index 0"),
        ({"market": np.array([1.0, 2.0])}, TypeError, "market must be str, was 1.0 at index 0"),
        ({"market": [True, False]}, TypeError, "market must be str, was True at index 0"),
        ({"market": [b"SOL", b"ETH"]}, TypeError, "market must be str, was b'SOL' at index 0"),
        ({"market": ["SOL", None]}, TypeError, "market must be str, was None at index 1"),
        ({"account": [1.0, np.nan]}, ValueError, "account must be without missing labels, was nan at index 1"),
        (
            {"account": np.array([1.0, np.nan])},
            ValueError,
            "account must be without missing labels, was nan at index 1",
        ),
        ({"account": [None, "a"]}, ValueError, "account must be without missing labels, was None at index 0"),
        ({"account": ["a", 1]}, TypeError, "account must be labels of one kind, was 'a' at index 0, 1 at index 1"),
    ],
)
def test_names_are_checked(change, error, message):
    good = {"account": [1, 1], "market": ["SOL", "ETH"], "quantity": [1.0, 1.0], "entry_price": [80.0, 2_000.0]}
    more = {"mark_price": [80.0, 2_000.0], "liquidation_price": [40.0, 500.0]}
    with pytest.raises(error, match=message):
        fp.infer_margin(**(good | more | change), schedules=fp.MarginSchedule.flat(0.01))


def test_names_may_stand_in_tables():
    columns, _, _ = made_up(2)
    table = pd.DataFrame(columns).astype({"market": object, "account": object})
    plain, found = (fp.infer_margin(**dict(one), schedules=SCHEDULES) for one in (columns, table))
    np.testing.assert_array_equal(found.cash, plain.cash)
    assert found.account.tolist() == plain.account.tolist()


def test_what_was_found_stays_read_only_when_pickled():
    again = pickle.loads(pickle.dumps(fp.infer_margin([1], ["SOL"], [1], [80.0], [80.0], [40.0], SCHEDULES)))
    assert not any(column.flags.writeable for column in vars(again).values())


def test_schedules_must_be_schedules():
    with pytest.raises(TypeError, match="schedules must be a MarginSchedule or a mapping, was float"):
        fp.infer_margin([1], ["SOL"], [1], [80.0], [80.0], [40.0], 0.01)
