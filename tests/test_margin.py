"""Margin arithmetic against its definition, against venues' own figures, and at its edges."""

import csv
import math
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import flushpoint as fp

REFERENCE = Path(__file__).parents[2] / "shared" / "reference"
SCHEDULES = [
    fp.MarginSchedule.flat(0.005),
    fp.MarginSchedule([0, 300, 800, 3_000], [0.004, 0.005, 0.0065, 0.01]),
    fp.MarginSchedule([0, 1, 10, 100, 1_000, 10_000], [0.0, 0.01, 0.02, 0.05, 0.25, 0.5]),
]


def rows(name):
    path = REFERENCE / name
    if not path.exists():
        pytest.skip(f"needs {path.name}, which is not part of the repository")
    with path.open() as file:
        return list(csv.DictReader(file))


def maintenance(schedule, notional):
    """The tier rule, tier by tier."""
    owed, deduction = 0.0, 0.0
    for k, (floor, rate) in enumerate(zip(schedule.floor, schedule.rate, strict=True)):
        if k:
            deduction += floor * (rate - schedule.rate[k - 1])
        if notional > floor or k == 0:
            owed = rate * notional - deduction
    return owed


def left_over(price, side, q, entry, collateral, contract, need, fee):
    """Equity less what is required, at a price."""
    if contract == "linear":
        notional, gain = q * price, side * q * (price - entry)
    else:
        notional, gain = q / price, side * q * (1 / entry - 1 / price)
    return collateral + gain - need(notional) - fee(notional)


contracts = st.sampled_from(["linear", "inverse"])
sides = st.sampled_from([1, -1])
quantities = st.floats(1e-3, 1e4)
prices = st.floats(1e-3, 1e5)
leverages = st.floats(0.3, 150)


@given(
    contracts,
    sides,
    quantities,
    prices,
    leverages,
    st.sampled_from(SCHEDULES),
    st.sampled_from(["mark", "entry", "absolute"]),
    st.sampled_from(["mark", "bankruptcy"]),
    st.sampled_from([0.0, 0.0006, 0.01]),
    st.floats(-0.2, 0.5),
    st.floats(0, 0.2),
)
def test_equity_equals_maintenance_there(contract, s, q, entry, lev, schedule, valuation, fee_at, f, pnl, others):
    notional = q * entry if contract == "linear" else q / entry
    margin, pnl, others = notional / lev, pnl * notional / lev, others * notional / lev
    amount = 0.01 * notional
    fixed = {"mark": None, "entry": maintenance(schedule, notional), "absolute": amount}[valuation]
    options = {"contract": contract, "other_pnl": pnl, "other_maintenance": others, "fee_rate": f}
    price = fp.liquidation_price(
        s,
        q,
        entry,
        margin,
        None if valuation == "absolute" else schedule,
        valuation=valuation,
        fee_at=fee_at,
        maintenance=amount if valuation == "absolute" else None,
        **options,
    )
    bankruptcy = fp.bankruptcy_price(s, q, entry, margin, **options)

    def need(n):
        return maintenance(schedule, n) if fixed is None else fixed

    def fee(n):
        if fee_at == "mark":
            return f * n
        return 0.0 if f == 0 else f * (q * bankruptcy if contract == "linear" else q / bankruptcy)

    collateral = margin + pnl - others
    scale = notional + abs(collateral) + (q * price if contract == "linear" else 0)
    if 0 < price < math.inf:
        if contract == "inverse":
            scale += q / price
        assert abs(left_over(price, s, q, entry, collateral, contract, need, fee)) <= 1e-10 * scale
    else:  # no price does: the sign of what is left over never changes
        signs = {left_over(p, s, q, entry, collateral, contract, need, fee) > 0 for p in np.geomspace(1e-9, 1e12, 60)}
        assert len(signs) == 1
        never = signs == {True}
        expected = {("linear", 1): 0.0, ("inverse", -1): math.inf}.get((contract, s))
        if never:
            assert price == expected


@given(
    contracts,
    sides,
    quantities,
    prices,
    st.floats(0.01, 3.0),
    st.sampled_from(SCHEDULES),
    st.sampled_from(["mark", "entry", "absolute"]),
    st.sampled_from(["mark", "bankruptcy"]),
    st.sampled_from([0.0, 0.0006, 0.01]),
    st.sampled_from([-0.1, 0.0, 0.3]),
    st.sampled_from([0.0, 0.05]),
)
def test_there_and_back(contract, s, q, entry, ratio, schedule, valuation, fee_at, f, pnl, others):
    """The margin that leaves nothing over at a price brings that price back: no tier but the right one fits."""
    there = entry * ratio
    notional = q * entry if contract == "linear" else q / entry
    fixed = {"mark": None, "entry": maintenance(schedule, notional), "absolute": 0.01 * notional}[valuation]
    pnl, others = pnl * notional, others * notional
    required = -left_over(
        there,
        s,
        q,
        entry,
        0.0,
        contract,
        lambda n: maintenance(schedule, n) if fixed is None else fixed,
        lambda n: f * n if fee_at == "mark" else 0.0,
    )
    if fee_at == "bankruptcy":
        # The fee reserved is f times the notional at a bankruptcy price that itself depends on the collateral w:
        # w = required + fee(w), both linear.
        net = s - f if contract == "linear" else s + f
        required = required * net / s + f * notional
    margin = required - pnl + others
    price = fp.liquidation_price(
        s,
        q,
        entry,
        margin,
        None if valuation == "absolute" else schedule,
        contract=contract,
        valuation=valuation,
        fee_at=fee_at,
        fee_rate=f,
        maintenance=fixed if valuation == "absolute" else None,
        other_pnl=pnl,
        other_maintenance=others,
    )
    scale = notional + abs(margin) + abs(pnl) + others
    at_price = q * there if contract == "linear" else q / there
    assert price == pytest.approx(there, rel=1e-13 * (1 + 10 * scale / at_price))


@given(
    contracts,
    sides,
    quantities,
    prices,
    leverages,
    st.sampled_from([0.0, 0.001]),
    st.floats(0, 1),
    st.floats(-0.5, 0.5),
    st.floats(0, 0.5),
)
def test_nothing_is_left_at_the_bankruptcy_price(contract, s, q, entry, lev, f, share, pnl, others):
    notional = q * entry if contract == "linear" else q / entry
    margin, pnl, others = notional / lev, pnl * notional / lev, others * notional / lev
    price = fp.bankruptcy_price(
        s,
        q,
        entry,
        margin,
        contract=contract,
        fee_rate=f,
        share=share,
        other_pnl=pnl,
        other_maintenance=others,
    )
    assume(0 < price < 1e12)
    rest = left_over(price, s, q, entry, share * (margin + pnl - others), contract, lambda n: 0.0, lambda n: f * n)
    assert abs(rest) <= 1e-10 * (notional + margin + (q * price if contract == "linear" else q / price))


@given(
    contracts,
    sides,
    quantities,
    prices,
    st.sampled_from(SCHEDULES),
    st.sampled_from(["mark", "entry", "absolute"]),
    st.sampled_from(["mark", "bankruptcy"]),
    st.sampled_from([0.0, 0.01]),
)
def test_more_margin_is_further_away(contract, s, q, entry, schedule, valuation, fee_at, f):
    notional = q * entry if contract == "linear" else q / entry
    margins = notional * np.geomspace(0.005, 2, 50)
    rule = {"contract": contract, "fee_rate": f}
    given_amount = valuation == "absolute"
    price = fp.liquidation_price(
        s,
        q,
        entry,
        margins,
        None if given_amount else schedule,
        valuation=valuation,
        fee_at=fee_at,
        maintenance=0.01 * notional if given_amount else None,
        **rule,
    )
    limited = np.where(np.isinf(price), 1e300, price)
    assert (np.diff(limited) * s <= 1e-12 * limited[1:]).all()
    bankruptcy = fp.bankruptcy_price(s, q, entry, margins, **rule)
    if contract == "inverse" and s < 0:
        bankruptcy[bankruptcy <= 0] = math.inf
    between = (price > 0) & np.isfinite(price)
    assert (
        s * (price[between] - bankruptcy[between]) >= -1e-12 * price[between]
    ).all()  # liquidated before it is bankrupt


@pytest.mark.parametrize("contract", ["linear", "inverse"])
@pytest.mark.parametrize("s", [1, -1])
def test_a_notional_at_the_edge_of_a_tier(contract, s):
    """At the liquidation price the notional is exactly a floor: the tiers on both sides give the same."""
    schedule = fp.MarginSchedule([0, 300, 800, 3_000], [0.004, 0.005, 0.0065, 0.25])
    for floor in schedule.floor[1:]:
        for off in (0.0, 1e-15, -1e-15, 1e-9, -1e-9):
            there = 50.0 * (1 + off)
            q = floor / 50 if contract == "linear" else floor * 50
            margin = -left_over(there, s, q, 60.0, 0.0, contract, lambda n: maintenance(schedule, n), lambda n: 0.0)
            assert fp.liquidation_price(s, q, 60.0, margin, schedule, contract=contract) == pytest.approx(
                there, rel=1e-14
            )


@pytest.mark.parametrize("threads", ["1", "2", "5"])
def test_many_equal_few(threads, monkeypatch):
    """Long columns are taken in blocks, on several threads."""
    monkeypatch.setenv("FLUSHPOINT_NUM_THREADS", threads)
    rng = np.random.default_rng(4)
    n = 100_003
    side, q, entry = rng.choice([-1, 1], n), rng.lognormal(0, 3, n), rng.uniform(50, 150, n)
    margin = q * entry / rng.uniform(1, 100, n)
    whole = fp.liquidation_price(side, q, entry, margin, SCHEDULES[1], fee_rate=0.001)
    bankrupt = fp.bankruptcy_price(side, q, entry, margin, fee_rate=0.001)
    for begin in range(0, n, 9_973):
        part = slice(begin, begin + 9_973)
        columns = side[part], q[part], entry[part], margin[part]
        np.testing.assert_array_equal(fp.liquidation_price(*columns, SCHEDULES[1], fee_rate=0.001), whole[part])
        np.testing.assert_array_equal(fp.bankruptcy_price(*columns, fee_rate=0.001), bankrupt[part])


@given(sides, prices, leverages, st.floats(0, 0.4))
def test_special_cases_of_isolated_margin(s, entry, lev, m):
    flat = fp.MarginSchedule.flat(m)
    one = {"side": s, "quantity": 1.0, "entry_price": entry}
    linear, inverse = entry / lev, 1 / entry / lev
    mark = fp.liquidation_price(margin=linear, schedule=flat, **one)
    assert mark == pytest.approx(max(0.0, entry * (1 - s / lev) / (1 - s * m)), rel=1e-9, abs=1e-9)
    at_entry = fp.liquidation_price(margin=linear, schedule=flat, valuation="entry", **one)
    assert at_entry == pytest.approx(max(0.0, entry * (1 - s / lev + s * m)), rel=1e-9, abs=1e-9)
    coin = fp.liquidation_price(margin=inverse, schedule=flat, contract="inverse", **one)
    if lev + s > 1e-6:
        assert coin == pytest.approx(entry * lev * (1 + s * m) / (lev + s), rel=1e-6)
    assert fp.bankruptcy_price(margin=linear, **one) == pytest.approx(entry * (1 - s / lev), rel=1e-9, abs=1e-9)


@given(st.sampled_from(SCHEDULES), st.lists(st.floats(0, 1e6), min_size=1, max_size=20))
def test_maintenance_is_the_tier_rule(schedule, notionals):
    np.testing.assert_allclose(
        schedule.maintenance(notionals), [maintenance(schedule, n) for n in notionals], rtol=1e-12
    )


def test_the_tier_ends_with_its_cap():
    schedule = fp.MarginSchedule([0, 100], [0.01, 0.5])
    assert schedule.maintenance(100) == 1.0  # floor < notional <= next floor
    assert schedule.maintenance(np.nextafter(100, 101)) == pytest.approx(1.0)


@given(st.integers(0, 2**32 - 1))
def test_arrays_equal_one_by_one(seed):
    rng = np.random.default_rng(seed)
    n, schedule = 30, SCHEDULES[1]
    side, q, entry = rng.choice([-1, 1], n), rng.lognormal(0, 2, n), rng.uniform(50, 150, n)
    margin = q * entry / rng.uniform(1, 100, n)
    prices = fp.liquidation_price(side, q, entry, margin, schedule)
    singly = [fp.liquidation_price(*row, schedule) for row in zip(side, q, entry, margin, strict=True)]
    np.testing.assert_array_equal(prices, singly)
    table = fp.liquidation_price(side[:, None], q[:, None], 100.0, margin, schedule)
    assert table.shape == (n, n)
    assert table[3, 5] == fp.liquidation_price(side[3], q[3], 100.0, margin[5], schedule)


def test_the_venues_own_figures():
    checked = 0
    for row in rows("vectors.csv"):
        number = {
            k: float(v) if v else None for k, v in row.items() if k.endswith(("_rate", "amount", "price", "size"))
        }
        side = {"long": 1, "short": -1}[row["side"]]
        q, entry = float(row["quantity"]) * number["contract_size"], number["entry_price"]
        margin = float(row["wallet_balance_or_margin"])
        m, d, f = number["maint_rate"], number["maint_amount"], number["fee_rate"]
        others = {"other_pnl": float(row["other_positions_upnl"] or 0), "contract": row["contract"]}
        needed = float(row["other_positions_maint"] or 0)
        tolerance = float(row["tol_rel"])
        if row["expected_liquidation_price"]:
            rule = {"other_maintenance": needed, **others}
            if row["fee_basis"] != "none":
                rule |= {"fee_rate": f, "fee_at": {"mark": "mark", "bankrupt": "bankruptcy"}[row["fee_basis"]]}
            if row["mm_basis"] == "abs":
                rule |= {"valuation": "absolute", "maintenance": -d}
                schedule = None
            else:
                rule |= {"valuation": row["mm_basis"]}
                schedule = fp.MarginSchedule([0, d / m], [0, m]) if d else fp.MarginSchedule.flat(m)
            price = fp.liquidation_price(side, q, entry, margin, schedule, **rule)
            assert price == pytest.approx(float(row["expected_liquidation_price"]), rel=tolerance), row["id"]
            checked += 1
        if row["expected_bankruptcy_price"]:
            rule = {"other_maintenance": needed, **others}
            if row["mm_basis"] == "dydx_share":
                mine = m * q * entry
                rule |= {"share": mine / (mine + needed), "other_maintenance": 0.0}
            if row["bp_fee_basis"] != "none":
                rule["fee_rate"] = f
            price = fp.bankruptcy_price(side, q, entry, margin, **rule)
            assert price == pytest.approx(float(row["expected_bankruptcy_price"]), rel=tolerance), row["id"]
            checked += 1
    assert checked == 57


def test_the_venues_tiers():
    markets = defaultdict(list)
    for row in rows("tiers.csv"):
        markets[row["venue"], row["symbol"]].append(row)
    assert len(markets) == 42
    for name, tiers in markets.items():
        ccxt = [
            {
                "minNotional": float(t["notional_floor"]),
                "maxNotional": float(t["notional_cap"]) if t["notional_cap"] not in ("", "inf") else None,
                "maintenanceMarginRate": float(t["maint_rate"]),
            }
            for t in tiers
        ]
        schedule = fp.MarginSchedule.from_ccxt(reversed(ccxt))
        given_amounts = [float(t["maint_amount"]) for t in tiers]
        np.testing.assert_allclose(schedule.deduction, given_amounts, rtol=1e-9, atol=1e-6, err_msg=str(name))


def test_a_book_from_positions():
    book = fp.Book.from_positions(
        [1, -1, 1],
        [2.0, 1.0, 1.0],
        [100.0, 100.0, 50.0],
        leverage=[10, 10, 0.5],
        schedule=SCHEDULES[0],
        group=[7, 8, 9],
    )
    np.testing.assert_allclose(book.trigger_price, [90 / 0.995, 110 / 1.005, 0.0])
    np.testing.assert_allclose(book.bankruptcy_price, [90, 110, 0])
    np.testing.assert_array_equal(book.entry_price, [100, 100, 50])
    np.testing.assert_array_equal(book.group, [7, 8, 9])
    paid = fp.Book.from_positions(1, 2.0, [100.0], leverage=10, schedule=SCHEDULES[0], funding=-4.0)
    np.testing.assert_allclose(paid.bankruptcy_price, [92.0])
    same = fp.Book.from_positions(1, 2.0, [100.0], margin=16.0, schedule=SCHEDULES[0])
    np.testing.assert_array_equal(paid.trigger_price, same.trigger_price)


def test_a_book_of_inverse_positions():
    book = fp.Book.from_positions(
        [1, -1, -1], 1_000.0, 100.0, leverage=[10, 10, 1], schedule=SCHEDULES[0], contract="inverse"
    )
    triggers = [100 * 10 * 1.005 / 11, 100 * 10 * 0.995 / 9, math.inf]
    np.testing.assert_allclose(book.trigger_price, triggers)
    np.testing.assert_allclose(book.quantity, [1_000 / triggers[0], 1_000 / triggers[1], 10.0])
    assert fp.cascade(book, fp.Market(100.0, fp.LinearImpact(0.0)), shock=0.2).closed.tolist() == [False, True, False]


FLAT = SCHEDULES[0]
BAD = [
    (lambda: fp.MarginSchedule([1, 2], [0.1, 0.2]), ValueError, "floor must begin at 0, was 1.0"),
    (
        lambda: fp.MarginSchedule([0, 2, 2], [0.1, 0.2, 0.3]),
        ValueError,
        "floor must be strictly increasing, was 2.0 at index 2",
    ),
    (lambda: fp.MarginSchedule([0, 2], [0.1]), ValueError, "rate must have the length of floor, 2, was 1"),
    (lambda: fp.MarginSchedule([0, 2], [0.2, 0.1]), ValueError, "rate must be not decreasing, was 0.1 at index 1"),
    (lambda: fp.MarginSchedule([0], [1.0]), ValueError, "rate must be at least 0 and below 1, was 1.0 at index 0"),
    (lambda: fp.MarginSchedule([0], [math.nan]), ValueError, "rate must be finite, was nan at index 0"),
    (lambda: fp.MarginSchedule([], []), ValueError, "floor must have one dimension and at least one tier"),
    (lambda: fp.MarginSchedule(["a"], [0.1]), TypeError, "floor must be real numbers, was dtype <U1"),
    (lambda: fp.MarginSchedule.flat("x"), TypeError, "rate must be a real number, was 'x'"),
    (lambda: FLAT.maintenance(-1.0), ValueError, "notional must be at least 0 and finite, was -1.0"),
    (lambda: fp.MarginSchedule.from_ccxt([]), ValueError, "tiers must hold at least one tier"),
    (lambda: fp.MarginSchedule.from_ccxt([3]), TypeError, "tiers must be mappings, was 3 at index 0"),
    (lambda: fp.MarginSchedule.from_ccxt([{"minNotional": 0}]), ValueError, "tiers must have 'maintenanceMarginRate'"),
    (lambda: fp.liquidation_price(2, 1, 1, 1, FLAT), ValueError, r"side must be \+1 \(long\) or -1 \(short\), was 2"),
    (
        lambda: fp.liquidation_price(1, [1, -2], 1, 1, FLAT),
        ValueError,
        "quantity must be positive, was -2.0 at index 1",
    ),
    (lambda: fp.liquidation_price(1, 1, 0, 1, FLAT), ValueError, "entry_price must be positive, was 0.0"),
    (lambda: fp.liquidation_price(1, 1, 1, math.inf, FLAT), ValueError, "margin must be finite, was inf"),
    (lambda: fp.liquidation_price(1, 1, 1, 1), TypeError, "schedule must be a MarginSchedule, was None"),
    (
        lambda: fp.liquidation_price(1, 1, 1, 1, FLAT, contract="x"),
        ValueError,
        "contract must be one of 'linear', 'inverse'",
    ),
    (lambda: fp.liquidation_price(1, 1, 1, 1, FLAT, valuation="x"), ValueError, "valuation must be one of"),
    (lambda: fp.liquidation_price(1, 1, 1, 1, FLAT, fee_at="x"), ValueError, "fee_at must be one of"),
    (lambda: fp.liquidation_price(1, 1, 1, 1, FLAT, maintenance=1), ValueError, "maintenance must be None"),
    (
        lambda: fp.liquidation_price(1, 1, 1, 1, FLAT, valuation="absolute", maintenance=1),
        ValueError,
        "schedule must be None",
    ),
    (lambda: fp.liquidation_price(1, 1, 1, 1, valuation="absolute"), ValueError, "maintenance must be given"),
    (lambda: fp.liquidation_price(1, 1, 1, 1, FLAT, fee_rate=0.999), ValueError, "fee_rate must be below 1 less"),
    (lambda: fp.liquidation_price(1, [1, 2], [1, 2, 3], 1, FLAT), ValueError, "must broadcast against each other"),
    (lambda: fp.bankruptcy_price(1, 1, 1, 1, share=1.5), ValueError, "share must be from 0 to 1, was 1.5"),
    (lambda: fp.Book.from_positions(1, 1, 1, schedule=FLAT), ValueError, "leverage must be given, or margin"),
    (
        lambda: fp.Book.from_positions(1, 1, 1, leverage=0, schedule=FLAT),
        ValueError,
        "leverage must be positive, was 0.0",
    ),
    (
        lambda: fp.Book.from_positions(1, 1, 1, leverage=3, schedule=None),
        TypeError,
        "schedule must be a MarginSchedule",
    ),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD)
def test_bad_input(call, error, message):
    with pytest.raises(error, match="^.*" + message):
        call()
