"""Crowds: totals and shares, accounts made by hand, and a crowd of one market against a book of the same positions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import flushpoint as fp

FLAT = fp.MarginSchedule.flat(0.005)
MARKETS = fp.Markets(
    {"BTC": fp.Market(60_000.0, fp.LinearImpact(1e-5)), "ETH": fp.Market(3_000.0, fp.LinearImpact(1e-6))}
)
PRICE = {"BTC": 60_000.0, "ETH": 3_000.0}


def notional(accounts: fp.Accounts, group: str | None = None) -> dict[str, float]:
    """Signed, of each market, at the prices of now."""
    out = dict.fromkeys(PRICE, 0.0)
    groups = np.asarray(accounts.group)[accounts.account]
    for name, quantity, whose in zip(accounts.market.tolist(), accounts.quantity, groups.tolist(), strict=True):
        if group in (None, whose):
            out[name] += quantity * PRICE[name]
    return out


def test_accounts_are_those_made_by_hand() -> None:
    """Two leverages at two entry prices; the 50x at an entry 5 % above fails at once, and the others hold all."""
    mix, entries = fp.LeverageMix([5.0, 50.0], [1.0, 3.0]), fp.EntryPrices([0.0, 0.05], [0.6, 0.4])
    crowd = fp.Crowd(1e9, {"BTC": 3.0, "ETH": -1.0}, mix, entries)
    found = fp.accounts_of_crowds({"c": crowd}, MARKETS, FLAT)
    account, market, quantity, entry, cash = [], [], [], [], []
    left = 0.25 * 0.6 + 0.25 * 0.4 + 0.75 * 0.6
    # Equity of the 50x that is left out: 2 % - 5 % x (0.75 - 0.25) of what it holds, below 0.5 % of it.
    assert 0.02 * math.exp(0.05) + 0.5 * (1 - math.exp(0.05)) < 0.005
    for who, (share, leverage, offset) in enumerate([(0.15, 5, 0.0), (0.10, 5, 0.05), (0.45, 50, 0.0)]):
        held = 1e9 * share / left
        for name, weight in (("BTC", 0.75), ("ETH", -0.25)):
            account.append(who)
            market.append(name)
            quantity.append(weight * held / PRICE[name])
            entry.append(PRICE[name] * math.exp(offset))
        cash.append(held * math.exp(offset) / leverage)
    expected = fp.Accounts(account, market, quantity, entry, cash, FLAT)

    def rows(a: fp.Accounts) -> Any:
        columns = [a.quantity, a.entry_price, np.asarray(a.cash)[a.account]]
        order = np.lexsort([a.entry_price, columns[2], a.market])
        return a.market[order].tolist(), np.stack(columns)[:, order]

    assert rows(found)[0] == rows(expected)[0]
    np.testing.assert_allclose(rows(found)[1], rows(expected)[1], rtol=1e-12)


def test_each_crowd_has_its_notional_in_the_given_proportions() -> None:
    crowds = {
        "both": fp.Crowd(2e9, {"BTC": 0.6, "ETH": 0.4}),
        "pairs": fp.Crowd(5e8, {"BTC": 2.0, "ETH": -2.0}, fp.LeverageMix.power_law(1.0)),
        "ether": fp.Crowd(1e8, {"ETH": -7.0}, entry_prices=fp.EntryPrices.normal(0.02)),
    }
    accounts = fp.accounts_of_crowds(crowds, MARKETS, FLAT, close="largest_loss")
    assert notional(accounts, "both") == pytest.approx({"BTC": 1.2e9, "ETH": 0.8e9}, rel=1e-12)
    assert notional(accounts, "pairs") == pytest.approx({"BTC": 2.5e8, "ETH": -2.5e8}, rel=1e-12)
    assert notional(accounts, "ether") == pytest.approx({"BTC": 0.0, "ETH": -1e8}, rel=1e-12)
    again = accounts.alive(MARKETS)
    assert again.quantity.tobytes() == accounts.quantity.tobytes()
    assert fp.cascade(accounts, MARKETS).rounds == 0


def test_weights_are_scaled() -> None:
    assert fp.Crowd(1.0, {"A": 3.0, "B": -1.0}).weights == {"A": 0.75, "B": -0.25}
    assert fp.Crowd(1, {"A": 1e-300}).weights == {"A": 1.0}


@pytest.mark.parametrize("shock", [-0.03, -0.1, -0.3])
def test_one_market_is_the_book_of_the_same_mix(shock: float) -> None:
    mix, entries = fp.LeverageMix.power_law(1.5), fp.EntryPrices.normal(0.03)
    market = fp.Market(60_000.0, fp.LinearImpact(4e-7))
    longs = fp.accounts_of_crowds(
        {"all": fp.Crowd(20e9, {"BTC": 1.0}, mix, entries)}, fp.Markets({"BTC": market}), FLAT
    )
    book = fp.Book.from_leverage_mix(20e9, 60_000.0, mix, entries, schedule=FLAT)
    mine = fp.cascade(longs, fp.Markets({"BTC": market}), shock=shock)
    theirs = fp.cascade(book, market, shock=shock)
    assert theirs.liquidated_count > 5
    assert mine.final_price[0] == pytest.approx(theirs.final_price, rel=1e-9)
    assert mine.long_quantity[0] == pytest.approx(theirs.liquidated_quantity, rel=1e-9)


# --- bad input ---
@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ((0.0, {"BTC": 1.0}), ValueError, r"^notional must be positive, was 0\.0$"),
        ((math.inf, {"BTC": 1.0}), ValueError, r"^notional must be finite, was inf$"),
        (("1", {"BTC": 1.0}), TypeError, r"^notional must be a real number, was '1'$"),
        ((1.0, {}), TypeError, r"^weights must be a mapping of names to numbers, was \{\}$"),
        ((1.0, ["BTC"]), TypeError, r"^weights must be a mapping of names to numbers, was \['BTC'\]$"),
        ((1.0, {"BTC": 0.0}), ValueError, r"^weights\['BTC'\] must not be 0, was 0\.0$"),
        ((1.0, {"BTC": math.nan}), ValueError, r"^weights\['BTC'\] must be finite, was nan$"),
        ((1.0, {"BTC": "all"}), TypeError, r"^weights\['BTC'\] must be a real number, was 'all'$"),
        ((1.0, {"BTC": 1e308, "ETH": 1e308}), ValueError, r"^sum of weights must be finite, was inf$"),
        ((1.0, {"BTC": 1.0}, 10.0), TypeError, r"^leverage_mix must be a LeverageMix, was float$"),
        ((1.0, {"BTC": 1.0}, fp.LeverageMix.power_law(), 0.1), TypeError, r"^entry_prices must be an EntryPrices, was"),
    ],
)
def test_bad_crowd(arguments: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        fp.Crowd(*arguments)


ONE = {"one": fp.Crowd(1e9, {"BTC": 1.0})}


@pytest.mark.parametrize(
    ("arguments", "options", "kind", "message"),
    [
        (({}, MARKETS, FLAT), {}, TypeError, r"^crowds must be a mapping of names to crowds, was \{\}$"),
        (([1], MARKETS, FLAT), {}, TypeError, r"^crowds must be a mapping of names to crowds, was \[1\]$"),
        (({"x": 1.0}, MARKETS, FLAT), {}, TypeError, r"^crowds must hold a Crowd each, was float at 'x'$"),
        (
            ({"x": fp.Crowd(1.0, {"XRP": 1.0})}, MARKETS, FLAT), {}, ValueError,
            r"^weights of 'x' must be of the markets \('BTC', 'ETH'\), was of 'XRP'$",
        ),
        ((ONE, fp.Market(1.0, fp.LinearImpact(0.0)), FLAT), {}, TypeError, r"^markets must be Markets, was Market$"),
        ((ONE, MARKETS, 0.005), {}, TypeError, r"^schedules must "),
        (
            (ONE, MARKETS, fp.MarginSchedule([0.0, 1e6], [0.01, 0.02])), {}, ValueError,
            r"^schedules must have one tier each \(MarginSchedule\.flat\), was of 2$",
        ),
        ((ONE, MARKETS, FLAT, "some"), {}, ValueError, r"^close must be "),
        (
            ({"x": fp.Crowd(1.0, {"BTC": 1.0}, fp.LeverageMix([100.0], [1.0]), fp.EntryPrices([0.0], [1.0]))}, MARKETS,
             fp.MarginSchedule.flat(0.02)),
            {}, ValueError, r"^crowds\['x'\] must leave an account that does not fail at once, was without$",
        ),
    ],
)  # fmt: skip
def test_bad_crowds(arguments: Any, options: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        fp.accounts_of_crowds(*arguments, **options)
