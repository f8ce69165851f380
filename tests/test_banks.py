"""Banks that deleverage: against plain loops, and against a published model on published data."""

from __future__ import annotations

import csv
import math
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

import flushpoint as fp
import reference
import reference_banks
from test_accounts import IMPACTS, PRICES

SHARED = Path(__file__).parents[2] / "shared"
NAMES = ("A", "B", "C")
RULES = ("threshold", "target", "default", "cash", "illiquid", "loan")


class Banks:
    """Random ones in random markets, with the shock that hits them."""

    def __init__(self, seed: int, markets: int, count: int, midpoint: bool) -> None:
        rng = self.rng = np.random.default_rng(seed)
        self.price = np.array(PRICES[:markets])
        self.families = [IMPACTS[rng.integers(len(IMPACTS))] for _ in range(markets)]
        self.fill = "midpoint" if midpoint else "each"
        self.more = [
            {
                "permanent": float(rng.choice([0.0, 1e-4])),
                "spread": 0.0 if midpoint else float(rng.choice([0.0, 0.002])),
                "mark_weight": float(rng.choice([1.0, 1.0, 0.6])),
                "half_life": float(rng.choice([math.inf, 120.0])),
            }
            for _ in range(markets)
        ]
        self.cross = rng.uniform(0, 3e-4, (markets, markets)) * (1 - np.eye(markets)) if rng.random() < 0.5 else None
        rows, assets = [], np.zeros(count)
        for a in range(count):
            for m in rng.permutation(markets)[: rng.integers(0 if a else 1, markets + 1)]:
                value = float(rng.lognormal(5.0, 1.0))
                rows.append((a, int(m), value / self.price[m], self.price[m]))
                assets[a] += value
        self.rows = rows
        cash, illiquid = rng.uniform(0, 0.2, count) * assets, rng.uniform(0, 0.5, count) * assets + 1.0
        assets += cash + illiquid
        threshold = rng.uniform(0.03, 0.06, count)
        target = threshold * rng.uniform(1.05, 1.6, count)
        default = threshold * rng.uniform(0, 1, count) * rng.integers(0, 2)
        loan = np.where(rng.random(count) < 0.5, np.inf, 0.5 * assets)
        self.equity = assets * rng.uniform(0.03, 0.15, count)
        self.rules = [threshold, target, default, cash, illiquid, loan]
        self.shock = rng.uniform(-0.15, 0.02, markets)

    def accounts(self) -> fp.Accounts:
        account, market, quantity, price = (list(column) for column in zip(*self.rows, strict=True))
        return fp.Accounts(account, market, quantity, price, self.equity, None, close=fp.Delever(*self.rules))

    def markets(self) -> fp.Markets:
        pairs = zip(self.price, self.families, self.more, strict=True)
        markets = [fp.Market(price, getattr(fp, name)(**numbers), **more) for price, (name, numbers), more in pairs]
        return fp.Markets(dict(zip(NAMES, markets, strict=False)), self.cross, self.fill)

    def reference_markets(self) -> list[reference.Venue]:
        pairs = zip(self.price, self.families, self.more, strict=True)
        return [
            reference.Venue(price, reference.SHAPES[name](**numbers), **more) for price, (name, numbers), more in pairs
        ]

    def told(self) -> tuple[Any, ...]:
        return self.rows, self.equity, self.rules

    def options(self) -> dict[str, Any]:
        return {"cross": self.cross, "fill": self.fill, "fund": 20.0}


def check_equal(found: Any, row: Any, expected: reference_banks.BankRun) -> None:
    assert found.rounds[row] == expected.rounds
    assert found.accounts_defaulted[row] == sum(bank.defaulted for bank in expected.banks)
    assert found.accounts_closed[row] == sum(bank.sold_out for bank in expected.banks) - expected.empty
    np.testing.assert_allclose(found.final_price[row], expected.prices(), rtol=1e-11)
    np.testing.assert_allclose(found.low_price[row], expected.low, rtol=1e-11)
    np.testing.assert_allclose(found.long_quantity[row], expected.quantity[0], rtol=1e-10, atol=1e-12)
    size = 1.0 + found.liquidated_notional[row]
    for name in ("proceeds", "shortfall", "surplus", "unpaid_loss"):
        assert getattr(found, name)[row] == pytest.approx(expected.money[name], abs=1e-10 * size)


@settings(max_examples=100)
@given(seed=st.integers(0, 2**32), markets=st.integers(1, 3), count=st.integers(1, 8), midpoint=st.booleans())
def test_cascade_equals_looking_at_every_bank(seed: int, markets: int, count: int, midpoint: bool) -> None:
    b = Banks(seed, markets, count, midpoint)
    rounds = None if b.rng.random() < 0.5 else int(b.rng.integers(0, 5))
    if rounds is not None and b.rng.random() < 0.5:
        b.rules[0] = np.ones(count)  # leverage targeting
    expected = reference_banks.cascade(
        b.reference_markets(), b.shock, *b.told(), rounds=math.inf if rounds is None else rounds, **b.options()
    )
    assume(expected.nearest > 1e-9)
    venue = fp.Venue(fund=20.0, surplus_to="trader")
    found = fp.cascade(b.accounts(), b.markets(), b.shock, rounds=rounds, venue=venue)
    event(f"rounds {min(expected.rounds, 3)}, defaults {found.accounts_defaulted > 0}")
    check_equal(found, (), expected)
    assert found.defaulted.tolist() == [bank.defaulted for bank in expected.banks]
    found.check_balance()


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32), markets=st.integers(1, 3), count=st.integers(1, 6), midpoint=st.booleans())
def test_paths_equal_looking_at_every_bank(seed: int, markets: int, count: int, midpoint: bool) -> None:
    b = Banks(seed, markets, count, midpoint)
    returns = b.rng.normal(-0.002, 0.01, (2, 20, markets))
    venue = fp.Venue(fund=20.0, surplus_to="trader")
    found = fp.simulate(b.accounts(), b.markets(), fp.Returns(returns), 1_200.0, 20, 2, venue=venue, threads=1)
    for i in range(2):
        expected = reference_banks.path(b.reference_markets(), returns[i], 60.0, *b.told(), **b.options())
        assume(expected.nearest > 1e-9)
        event(f"rounds {min(expected.rounds, 3)}")
        check_equal(found, i, expected)
    found.check_balance()


def one_bank(**rules: Any) -> fp.Accounts:
    close = fp.Delever(**{"threshold": 0.08, "target": 0.1, **rules})
    return fp.Accounts([0, 0], ["A", "B"], [60.0, 40.0], [1.0, 1.0], [10.0], None, close=close)


def flat(fill: str = "each") -> fp.Markets:
    return fp.Markets({n: fp.Market(1.0, fp.LinearImpact(0.0)) for n in "AB"}, fill=fill)


def test_a_bank_deleverages_to_its_target() -> None:
    assert fp.cascade(one_bank(), flat(), -0.021).rounds == 0  # equity 7.9 of assets 97.9: still above 8 %
    c = fp.cascade(one_bank(), flat(), -0.03)  # equity 7 of assets 97: sold down to 70
    np.testing.assert_allclose(c.closed_share, 1 - 70 / 97, rtol=1e-12)
    assert (c.accounts_closed, c.accounts_defaulted, c.rounds) == (0, 0, 1)
    c = fp.cascade(one_bank(), flat(), -0.2)  # equity is gone
    assert (c.accounts_closed, c.accounts_defaulted) == (1, 1)
    assert c["accounts_defaulted"].tolist() == [1]


def test_cash_on_hand_pays_first() -> None:
    # Assets 97 + 20, equity 7 against a target of 10 %: 47 to go, 20 of it from cash.
    c = fp.cascade(one_bank(cash=20.0), flat(), -0.03)
    np.testing.assert_allclose(c.closed_share, 27 / 97, rtol=1e-12)
    assert c.rounds == 1
    assert fp.cascade(one_bank(cash=30.0, target=0.095), flat()).rounds == 0  # 10 of 130, cash is enough
    # Where only 10 can be paid back, cash piles up, and all is sold.
    c = fp.cascade(one_bank(cash=20.0, loan=10.0), flat(), -0.03)
    np.testing.assert_allclose(c.closed_share, 1.0)
    assert c.accounts_defaulted == 0


def test_banks_may_act_at_rest_and_default_without_positions() -> None:
    close = fp.Delever([0.2, 0.2], 0.25, default=[0.0, 0.1], cash=[0.0, 10.0])
    banks = fp.Accounts([0, 0], ["A", "B"], [60.0, 40.0], [1.0, 1.0], [10.0, 0.5], None, group=["x", "y"], close=close)
    s = fp.stress(banks, flat(), [[0.0], [0.05], [0.5]])
    assert s.rounds.tolist() == [1, 1, 0]
    assert s.accounts_defaulted.tolist() == [1, 1, 1]
    assert s.group_defaulted.tolist() == [[0, 1]] * 3
    assert s.accounts_closed.tolist() == [0, 0, 0]
    path = fp.simulate(banks, flat(), fp.Returns(np.full((1, 3, 2), 0.01)), 60.0, 3, 1)
    assert path.rounds.tolist() == [1]
    calm = fp.Accounts([0], ["A"], [100.0], [1.0], [30.0, 0.5], None, close=close)
    path = fp.simulate(calm, flat(), fp.Returns(np.full((2, 3, 2), 0.01)), 60.0, 3, 2)
    assert path.rounds.tolist() == [0, 0]
    assert path.accounts_defaulted.tolist() == [1, 1]  # though nothing ever happens


@pytest.mark.parametrize("accounts", [one_bank(default=0.05), one_bank(loan=30.0, cash=5.0)])
def test_any_range_on_any_threads_gives_the_same_paths(accounts: fp.Accounts) -> None:
    markets = fp.Markets({n: fp.Market(1.0, fp.LinearImpact(0.003), half_life=3_600.0) for n in "AB"}, fill="midpoint")
    model = fp.FactorModel.betas(fp.GBM(1.0), {"A": 1.0, "B": 0.5})
    run: Any = {"process": model, "steps": 40, "horizon": 86_400.0, "seed": 1}
    whole = fp.simulate(accounts, markets, paths=40, threads=2, **run)
    parts = [fp.simulate(accounts, markets, paths=part, threads=1, **run) for part in (range(13), range(13, 40))]
    assert 0 < np.count_nonzero(whole.rounds) < 40
    assert parts[0] + parts[1] == whole


def test_one_price_a_round() -> None:
    b = one_bank(default=0.08)
    markets = fp.Markets({n: fp.Market(1.0, fp.LinearImpact(0.01)) for n in "AB"}, [[0, 1e-3], [2e-3, 0]], "midpoint")
    c = fp.cascade(b, markets, -0.05)
    fall = np.exp([-0.6 - 0.04, -0.4 - 0.12])
    np.testing.assert_allclose(c.final_price, 0.95 * fall, rtol=1e-14)
    assert c.proceeds == pytest.approx((0.95 * 0.5 * (1 + fall)) @ [60.0, 40.0], rel=1e-14)
    c.check_balance()


@pytest.mark.parametrize(
    ("rules", "error", "message"),
    [
        ({"threshold": 0.0}, ValueError, "threshold must be above 0 and at most 1, was 0.0"),
        ({"threshold": 1.5}, ValueError, "threshold must be above 0 and at most 1, was 1.5"),
        ({"target": 1.0}, ValueError, "target must be above 0 and below 1, was 1.0"),
        ({"default": -0.1}, ValueError, "default must be at least 0, was -0.1"),
        ({"default": 0.09}, ValueError, "default must be at most threshold and target, was 0.09"),
        ({"cash": math.inf}, ValueError, "cash must be finite, was inf"),
        ({"loan": math.nan}, ValueError, "loan must be at least 0, was nan"),
        ({"illiquid": "much"}, TypeError, "illiquid must be real numbers, was 'much'"),
        ({"cash": [[1.0]]}, ValueError, "cash must have at most one dimension, was of shape (1, 1)"),
        ({"cash": [1.0, 2.0], "loan": [1.0, 2.0, 3.0]}, ValueError, "entries must be one for all or one an account"),
        ({"cash": [1.0, 2.0]}, ValueError, "cash of close must have one entry an account, 1, was 2"),
    ],
)
def test_bad_rules_are_refused(rules: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        one_bank(**rules)


def test_what_does_not_fit_banks_is_refused() -> None:
    good: dict[str, Any] = {
        "account": [0], "market": ["A"], "quantity": [1.0], "entry_price": [1.0], "cash": [0.1], "schedules": None,
        "close": fp.Delever(0.04, 0.05),
    }  # fmt: skip
    for changes, message in (
        ({"quantity": [-1.0]}, "quantity must be positive for banks and loans, was -1.0 at index 0"),
        ({"isolated": [1.0]}, "isolated must be left out for banks and loans, was given"),
        ({"target": 1.0}, "target must be left out where close is Delever(threshold=0.04, target=0.05), was 1.0"),
        (
            {"schedules": fp.MarginSchedule.flat(0.1)},
            "schedules must be None for banks (close tells",
        ),
    ):
        with pytest.raises(ValueError, match=re.escape(message)):
            fp.Accounts(**{**good, **changes})
    with pytest.raises(ValueError, match="surplus_to of a venue must be 'trader' for banks, was 'fund'"):
        fp.cascade(fp.Accounts(**good), flat(), venue=fp.Venue(surplus_to="fund"))
    with pytest.raises(ValueError, match=re.escape("spread must be 0 where fill is 'midpoint', was 0.01 at 'A'")):
        fp.Markets({"A": fp.Market(1.0, fp.LinearImpact(0.0), spread=0.01)}, fill="midpoint")
    with pytest.raises(ValueError, match="fill must be one of 'each', 'midpoint', was 'mean'"):
        flat("mean")
    alone = fp.Accounts([0], ["A"], [1.0], [1.0], [0.5], fp.MarginSchedule.flat(0.1))
    for ask in (fp.cascade, fp.stress):
        with pytest.raises(ValueError, match="fill must be 'each' where positions are isolated or an account's only"):
            ask(alone, flat("midpoint"))


def test_banks_are_alive_whatever_they_are_to_do() -> None:
    banks = fp.Accounts([0], ["A"], [100.0], [1.0], [2.0], None, close=fp.Delever(0.04, 0.05, default=0.03))
    assert fp.cascade(banks, flat()).defaulted.tolist() == [True]
    assert banks.alive(flat()) is banks


def test_banks_tell_what_they_are() -> None:
    assert repr(fp.Delever(0.04, 0.05, cash=[1.0, 2.0])) == "Delever(threshold=0.04, target=0.05, cash=<2 entries>)"
    assert str(one_bank()).endswith("an account that fails does as Delever(threshold=0.08, target=0.1) says")
    assert repr(one_bank()) == "<Accounts: 1 accounts, 2 positions, close Delever>"
    again = pickle.loads(pickle.dumps(one_bank(cash=3.0)))
    assert again.close.cash == 3.0
    assert fp.cascade(again, flat(), -0.05) == fp.cascade(one_bank(cash=3.0), flat(), -0.05)
    assert flat("midpoint") != flat()
    assert "fill: midpoint" in str(flat("midpoint"))


# Farmer, Kleinnijenhuis, Nahai-Williamson and Wetzer (2020), on 48 banks of the EBA's stress test of 2018.


class Published:
    """Their model, as in their code: six steps, of which the first only looks."""

    def __init__(self) -> None:
        path = SHARED / "data" / "eba_2018.csv"
        if not path.exists():
            pytest.skip("the EBA's data are not here")
        lines = [line.split(" ") for line in path.read_text().split("\n")[1:] if line]
        self.equity = np.array([float(line[1]) for line in lines])
        assets = self.equity / (np.array([float(line[2]) for line in lines]) / 100)
        debt = np.array([float(line[3]) for line in lines])
        government = np.array([sum(map(float, line[4].split("+"))) for line in lines])
        cash = 0.05 * assets
        self.held = np.stack([debt - government, government])
        self.rules = {
            "default": 0.03,
            "cash": cash,
            "illiquid": assets - debt - cash,
            "loan": (assets - self.equity) / 2,
        }

    def run(self, impact: float, shock: float, threshold: float = 0.04) -> fp.AccountCascadeResult:
        market, account = np.nonzero(self.held)
        beta = -math.log(1 - impact) / 0.05
        names = ("corporate", "government")
        bonds = [fp.Market(1.0, fp.LinearImpact(beta / total)) for total in self.held.sum(1)]
        accounts = fp.Accounts(
            account, market, self.held[market, account], np.ones(market.size), self.equity, None,
            close=fp.Delever(threshold, 0.05, **self.rules),
        )  # fmt: skip
        markets = fp.Markets(dict(zip(names, bonds, strict=True)), fill="midpoint")
        return fp.cascade(accounts, markets, {"government": -shock}, rounds=5)

    def figures(self, *given: float) -> tuple[float, float]:
        """Share of banks defaulted, 0 if below 5 %, and of what could be sold that was sold."""
        c = self.run(*given)
        defaulted = float(c.accounts_defaulted / 48)
        return defaulted if defaulted >= 0.05 else 0.0, float(c.long_quantity.sum() / self.held.sum())


def test_published_table() -> None:
    model = Published()
    with (SHARED / "reference" / "tests_table.csv").open() as table:
        rows = [row for row in csv.DictReader(table) if row["id"] == "J1"]
    assert len(rows) == 34
    for row in rows:
        what, at = row["parameters"].split("=")
        given = {
            "price impact (shock 20%)": (float(at), 0.2),
            "shock, threshold model (impact 1%)": (0.01, float(at)),
            "shock, leverage targeting (impact 1%)": (0.01, float(at), 1.0),
        }[what]
        found = model.figures(*given)["sold" in row["statistic"]]
        assert found == pytest.approx(float(row["exact_value"]), rel=1e-12, abs=1e-15)


def test_published_sweeps() -> None:
    model = Published()
    defaults = [int(model.run(impact / 1000, 0.2).accounts_defaulted) for impact in range(0, 101, 5)]
    assert defaults == [7, 9, 18, 25, 32, 36, 38, 43, 43, 43, 44, 44] + [45] * 9
    sold = [round(100 * model.figures(impact / 1000, 0.2)[1], 4) for impact in range(0, 30, 5)]
    assert sold == [60.5124, 79.3420, 91.4501, 94.4158, 98.1624, 99.3848]
    for shock, by_threshold, by_target in (
        (0.00, 4.7113, 31.6861), (0.03, 8.6918, 82.6954), (0.06, 15.7905, 89.2436), (0.09, 69.1992, 91.2768),
        (0.15, 91.4501, 92.9589), (0.30, 95.6710, 98.3830),
    ):  # fmt: skip
        assert round(100 * model.figures(0.01, shock)[1], 4) == by_threshold
        assert round(100 * model.figures(0.01, shock, 1.0)[1], 4) == by_target
    counts = [[int(model.run(0.01, s, t).accounts_defaulted) for t in (0.04, 1.0)] for s in (0.15, 0.30)]
    assert counts == [[6, 12], [25, 26]]
    assert [int(model.run(0.01, shock).accounts_defaulted) for shock in (0.195, 0.21)] == [17, 16]
