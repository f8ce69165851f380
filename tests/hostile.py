"""Random calls of public functions with hostile arguments: each has to answer, or to say in one line what is wrong.

    python tests/hostile.py --calls 1000000
    python tests/hostile.py --seed 3 --only 1234    # one call again, told in full

Call i of a seed depends on these two numbers alone. Whatever raises another error than ValueError or TypeError, warns,
answers with a NaN where none is documented, or does not come back within a minute, is a failure.
"""

from __future__ import annotations

import argparse
import faulthandler
import math
import random
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

import flushpoint as fp

SPOILED = 0.08  # of the arguments; and of the arrays, entries that are extreme but allowed
FAR = (1e-100, 1e-30, 1e30, 1e100)  # within these bounds answers are numbers
BEYOND = (
    5e-324,
    1e-310,
    2.3e-308,
    1e-150,
    1e150,
    1e290,
    1.7e308,
)  # beyond, what overflows may say that it did not work out
NUMBERS: tuple[Any, ...] = (
    math.nan, math.inf, -math.inf, 0.0, -0.0, -1.0, 5e-324, 1e300, -1e300, 1, True, None, "1.0", "", b"1", 1j, 2**70,
    -(2**70), 10**400, np.float32(0.5), np.float64("nan"), np.int8(1), np.bool_(True), np.datetime64("2025-10-10"), [],
    [1.0], {}, np.array(0.5), np.array([0.5]), object(), sys.maxsize,
)  # fmt: skip
COUNTS: tuple[Any, ...] = (
    -1,
    0,
    2**70,
    -(2**63),
    True,
    None,
    1.5,
    math.nan,
    math.inf,
    "3",
    [],
    np.array([3]),
    object(),
)
OTHERS: tuple[Any, ...] = (None, "nonsense", 3.0, -1, [], {}, (), np.zeros(3), object(), fp.GBM, fp.Market)
FEW_LEVERAGES = fp.LeverageMix([2.0, 20.0], [0.5, 0.5])  # the usual mix takes as long as fifty other calls
MINE = fp.Scenario(
    "mine",
    {
        "market": {"price": 100.0, "half_life": 600.0, "impact": {"kind": "LinearImpact", "coefficient": 1e-4}},
        "book": {
            "kind": "Book.from_leverage_mix",
            "open_interest": 4e4,
            "leverage_mix": {"kind": "LeverageMix.power_law", "exponent": 1.5},
        },
        "process": {"kind": "GBM", "volatility": 1.0},
        "script": {"time": 600.0, "sell": 300.0},
        "run": {"horizon": 3_600.0, "steps": 6, "seed": 3},
    },
)
MOVED = (
    "market.price",
    "market.half_life",
    "market.impact.coefficient",
    "book.open_interest",
    "book.leverage_mix.exponent",
    "process.volatility",
    "script.sell",
)
REPORTED = (("low_price", 95.0), ("final_price_change", -0.03), ("open_interest_change", -0.1), ("waves", 5.0))
# What is documented to be NaN where it means nothing; all else is a number.
NAN_ALLOWED = {"amplification", "exit_price", "watch_price", "spread", "liquidity"}


class Dice(random.Random):
    """Random arguments; of those that are usual some are spoiled."""

    beyond = False  # whether any number was so large or small that its products overflow

    def size(self) -> int:
        return self.choice((0, 1, 2, 3, 7, 16, 33))

    def positive(self, usual: float) -> float:
        return self.choice(FAR) if self.random() < SPOILED / 4 else usual * self.uniform(0.01, 2.0)

    def array(self, size: int, draw: Callable[[], float]) -> np.ndarray[Any, Any]:
        return np.array([draw() for _ in range(size)], dtype=np.float64)

    def positives(self, size: int, usual: float) -> np.ndarray[Any, Any]:
        return self.array(size, lambda: self.positive(usual))

    def spoiled(self, value: Any) -> Any:
        """Return something else in the place of a usual argument."""
        if isinstance(value, np.ndarray):
            return self.spoiled_array(value)
        if isinstance(value, (int, range)) and not isinstance(value, bool):
            return self.choice(COUNTS)
        self.beyond = True
        return self.choice(NUMBERS if isinstance(value, float) else OTHERS)

    def spoiled_array(self, a: np.ndarray[Any, Any]) -> Any:
        """Return an array that is laid out, typed or filled in another way; some still say the same."""
        at = self.randrange(a.size) if a.size else 0
        changed = np.array(a, dtype=np.float64)
        kind = self.randrange(20)
        if kind < 6 and a.size:
            self.beyond = True
            changed.flat[at] = self.choice((math.nan, math.inf, -math.inf, -1.0, 0.0, *FAR, *BEYOND))
            return changed
        if kind == 6:
            return np.repeat(changed, 2)[::2]  # strided
        if kind == 7:
            return np.ascontiguousarray(changed[::-1])[::-1]
        if kind == 8:
            changed.flags.writeable = False
            return changed
        if kind == 9:
            return changed.astype(">f8")
        if kind == 10:
            unaligned = np.empty(8 * a.size + 1, dtype=np.uint8)[1:].view(np.float64)
            unaligned[:] = changed.reshape(-1)
            return unaligned
        if kind == 11:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return changed.astype(self.choice((np.float32, np.float16, np.int64, np.int8, np.uint8, bool, complex)))
        if kind == 12:
            return changed.astype(self.choice(("O", "U", "S")))
        if kind == 13:
            return changed[:0]
        if kind == 14:
            return np.append(changed, changed[-1:] if a.size else 1.0)
        if kind == 15:
            return changed.reshape(1, *a.shape)
        if kind == 16:
            return np.asfortranarray(np.stack([changed, changed]))
        if kind == 17:
            return np.ma.masked_array(changed, mask=[i == at for i in range(a.size)])
        if kind == 18:
            return changed.tolist()
        return self.choice(
            (*NUMBERS, np.broadcast_to(1.0, (a.size,)), np.array([{}] * a.size), np.array([None] * a.size))
        )


def side(dice: Dice, size: int) -> np.ndarray[Any, Any]:
    return np.array([dice.choice((1, -1)) for _ in range(size)], dtype=np.int8)


def impact(dice: Dice) -> fp.Impact:
    levels = 1 + dice.randrange(5)
    columns = [np.cumsum(dice.array(levels, lambda: dice.uniform(0.01, 1.0))) for _ in range(3)]
    return dice.choice(
        (
            lambda: fp.LinearImpact(dice.positive(1e-3)),
            lambda: fp.PowerImpact(dice.positive(1e-3), dice.uniform(0.1, 4.0)),
            lambda: fp.SquareRootImpact(dice.positive(0.03), dice.positive(5e3), core=dice.positive(1.0)),
            lambda: fp.DepthImpact(0.1 * columns[0], 50 * columns[1], 50 * columns[2]),
            lambda: fp.EvaporatingImpact(dice.positive(1e-3), dice.positive(2.0)),
        )
    )()


def market(dice: Dice, **more: Any) -> fp.Market:
    price = dice.positive(100.0) if dice.random() < SPOILED else 100.0
    if dice.random() < 0.2:
        more["permanent"] = dice.positive(1e-4)
    if dice.random() < 0.2:
        more["spread"] = dice.uniform(0.0, 0.02)
    if dice.random() < 0.2:
        more["mark_weight"] = dice.random()
    if dice.random() < 0.1:
        more["support"] = fp.Support(price * np.array([0.99, 0.9]), dice.positives(2, 10.0))
    return fp.Market(price, impact(dice), half_life=dice.positive(600.0), **more)


def columns(dice: Dice, size: int, price: float = 100.0) -> dict[str, Any]:
    """Return the columns of a book at rest at a price, but for extreme ones."""
    sides = side(dice, size)
    away = dice.array(size, lambda: dice.uniform(0.001, 0.5))
    trigger = price * (1 - sides * away)
    extreme = dice.array(size, lambda: dice.random()) < SPOILED / 8
    trigger[extreme] = np.where(sides[extreme] > 0, 0.0, np.inf)
    return {
        "side": sides,
        "quantity": dice.positives(size, 5.0),
        "trigger_price": trigger,
        "bankruptcy_price": np.where(np.isfinite(trigger), trigger, price) * (1 - sides * 0.01),
        "entry_price": dice.array(size, lambda: price * dice.uniform(0.7, 1.3)),
    }


def book(dice: Dice) -> fp.Book:
    given = columns(dice, dice.size())
    if dice.random() < 0.1:
        given["stop"] = given["side"] * dice.choice((1, -1)) > 0
    return fp.Book(**given)


def law(dice: Dice, usual: float) -> fp.Law:
    return dice.choice(
        (
            lambda: fp.Exponential(dice.positive(usual)),
            lambda: fp.LogNormal(dice.positive(usual), dice.uniform(0.1, 3.0)),
            lambda: fp.Pareto(dice.positive(usual), dice.uniform(0.1, 4.0)),
            lambda: fp.Uniform(0.0, dice.positive(usual)),
            lambda: fp.Table(dice.positives(1 + dice.size(), usual)),
        )
    )()


def random_book(dice: Dice) -> fp.RandomBook:
    if dice.random() < 0.5:
        return fp.RandomBook(
            density=dice.positive(300.0), extent=0.5, quantity=law(dice, 1.0), side=dice.choice((1, -1))
        )
    return fp.RandomBook(count=dice.randrange(200), distance=law(dice, 0.1), quantity=law(dice, 1.0))


def any_book(dice: Dice) -> fp.Book | fp.RandomBook:
    return book(dice) if dice.random() < 0.7 else random_book(dice)


def schedule(dice: Dice) -> fp.MarginSchedule:
    tiers = 1 + dice.randrange(4)
    floor = np.append(0.0, np.cumsum(dice.array(tiers - 1, lambda: dice.uniform(1.0, 500.0))))
    return fp.MarginSchedule(floor, np.sort(dice.array(tiers, lambda: dice.uniform(0.0, 0.3))))


def venue(dice: Dice, in_time: bool) -> fp.Venue:
    more: dict[str, Any] = {}
    close = dice.choice(("full", "fraction", "tier_step_down"))
    if close == "fraction":
        more["fraction"] = dice.uniform(0.01, 1.0)
    elif close == "tier_step_down":
        more["schedule"] = schedule(dice)
    adl = dice.choice(("none", "socialised", "queue", "pro_rata", "water_filling", "list_order"))
    if in_time and dice.random() < 0.5:
        more |= {"pacing": dice.positive(1.0), "delay": dice.uniform(0.0, 100.0)}
    return fp.Venue(close=close, adl=adl, fund=dice.positive(100.0), fee_rate=dice.uniform(0.0, 0.01), **more)


def process(dice: Dice) -> fp.Process:
    return dice.choice(
        (
            lambda: fp.GBM(dice.positive(1.0), dice.uniform(-1.0, 1.0)),
            lambda: fp.JumpDiffusion(dice.uniform(0.0, 1.0), dice.uniform(0.0, 1e4), -0.05, 0.1),
            lambda: fp.StudentT(dice.uniform(0.0, 1.0), dice.uniform(2.01, 9.0)),
            lambda: fp.GARCH(1e-6, 0.1, dice.uniform(0.0, 0.89)),
            lambda: fp.Bootstrap(dice.array(1 + dice.size(), lambda: dice.uniform(-0.05, 0.05))),
            lambda: fp.Returns(np.array([dice.uniform(-0.05, 0.05) for _ in range(48)]).reshape(8, 6)),
        )
    )()


def accounts(dice: Dice) -> tuple[fp.Accounts, fp.Markets]:
    markets = fp.Markets({"A": fp.Market(100.0, impact(dice)), "B": fp.Market(10.0, impact(dice))})
    size = dice.size()
    rows = np.array([dice.randrange(5) for _ in range(size)], dtype=np.int64)
    where = np.array([dice.randrange(2) for _ in range(size)], dtype=np.int64)
    quantity = dice.array(size, lambda: dice.choice((1, -1)) * dice.positive(5.0))
    held = fp.Accounts(
        rows,
        where,
        quantity,
        np.where(where == 0, 100.0, 10.0),
        dice.positives(5, 500.0),
        schedule(dice),
        close=dice.choice(("all", "largest_loss", "pro_rata")),
    )
    return held.alive(markets), markets


Call = tuple[Callable[..., Any], dict[str, Any]]


def of_market(dice: Dice) -> Call:
    arguments = {
        "impact": impact(dice),
        "price": dice.positive(100.0),
        "half_life": 60.0,
        "permanent": 1e-5,
        "spread": 0.001,
    }
    return (lambda **a: fp.Market(**a).proceeds(np.linspace(-9.0, 9.0, 3))), {**arguments, "mark_weight": 0.9}


def of_impact(dice: Dice) -> Call:
    levels = 1 + dice.randrange(5)
    rising = [np.cumsum(dice.array(levels, lambda: dice.uniform(0.01, 1.0))) for _ in range(3)]
    kind, arguments = dice.choice(
        (
            (fp.LinearImpact, {"coefficient": 1e-3}),
            (fp.PowerImpact, {"coefficient": 1e-3, "exponent": 0.6}),
            (fp.SquareRootImpact, {"daily_volatility": 0.03, "daily_volume": 1e4, "prefactor": 0.8, "core": 1.0}),
            (fp.DepthImpact, {"distance": rising[0], "bid_quantity": rising[1], "ask_quantity": rising[2]}),
            (fp.EvaporatingImpact, {"coefficient": 1e-3, "thinning": 2.0}),
        )
    )
    volume = dice.array(dice.size(), lambda: dice.uniform(-100.0, 100.0))

    what = dice.choice(("displacement", "proceeds", "inverse"))

    def ask(volume: Any, liquidity: Any, **parameters: Any) -> Any:
        return getattr(kind(**parameters), what)(volume, liquidity=liquidity)

    return ask, {"volume": volume, "liquidity": 1.0, **arguments}


def of_book(dice: Dice) -> Call:
    return fp.Book, columns(dice, dice.size())


def of_books_method(dice: Dice) -> Call:
    given = book(dice)
    size = len(given.quantity)
    return dice.choice(
        (
            (given.alive, {"price": 100.0}),
            (given.scaled, {"open_interest": 1e4, "price": 100.0}),
            (given.with_stops, {"stop_price": dice.array(size, lambda: dice.uniform(50.0, 150.0))}),
            (given.topped_up, {"share": 0.5, "by": 0.1, "seed": 3}),
            (given.open_interest, {"price": dice.array(dice.size(), lambda: dice.uniform(50.0, 150.0))}),
            (given.heatmap, {"edges": np.linspace(50.0, 150.0, 2 + dice.size())}),
            (
                fp.Book.from_positions,
                {
                    "side": given.side,
                    "quantity": given.quantity,
                    "entry_price": given.entry_price,
                    "leverage": 10.0,
                    "schedule": schedule(dice),
                },
            ),
        )
    )


def of_cascade(dice: Dice) -> Call:
    more = {"venue": venue(dice, False)} if dice.random() < 0.3 else {}
    started = {"shock": dice.uniform(-0.5, 0.5), "sell": dice.uniform(-9.0, 9.0), "refill": dice.random()}

    def run(**arguments: Any) -> Any:
        found = fp.cascade(**arguments)
        return found, found.exit_price, found.shortfall, str(found)

    return run, {"book": book(dice), "market": market(dice), **started, **more}


def of_response(dice: Dice) -> Call:
    shocks = dice.array(dice.size(), lambda: dice.uniform(-0.5, 0.5))

    def run(book: Any, market: Any, shocks: Any, quantities: Any, price: Any, width: Any) -> Any:
        found = fp.response(book, market, threads=1)
        return found(shocks), found.sell(quantities), found.reproduction_number(price, width), found.tipping_points

    return run, {
        "book": book(dice),
        "market": market(dice),
        "shocks": shocks,
        "quantities": 20 * shocks,
        "price": 90.0,
        "width": 0.01,
    }


def of_stress(dice: Dice) -> Call:
    size = 1 + dice.size()
    given = any_book(dice)
    more: dict[str, Any] = {"seed": 3} if isinstance(given, fp.RandomBook) else {}
    if isinstance(given, fp.RandomBook):
        more["max_count"] = 500
    elif dice.random() < 0.3:
        more["venue"] = venue(dice, False)
    return fp.stress, {
        "book": given,
        "market": market(dice),
        "shock": dice.array(size, lambda: dice.uniform(-0.4, 0.4)),
        "sell": dice.array(size, lambda: dice.uniform(-9.0, 9.0)),
        "liquidity": dice.positives(size, 1.0),
        "refill": 0.1,
        "threads": 1,
        **more,
    }


def of_simulate(dice: Dice) -> Call:
    given = any_book(dice)
    more: dict[str, Any] = {}
    if isinstance(given, fp.RandomBook):
        more["max_count"] = 500
    elif dice.random() < 0.3:
        more["venue"] = venue(dice, True)
    elif dice.random() < 0.2:
        more["turnover"] = fp.Turnover(dice.uniform(0.0, 0.01), law(dice, 1.0), closing_rate=dice.uniform(0.0, 1e-3))
    if dice.random() < 0.2:
        more["funding"] = fp.Funding(interval=600.0)
    if dice.random() < 0.2:
        more["sellers"] = fp.VolatilityTargeting(dice.positive(10.0), 0.5, interval=600.0)
    depth = {"depth": fp.LivingDepth(0.5, least=0.1)} if dice.random() < 0.2 else {}
    return fp.simulate, {
        "book": given,
        "market": market(dice, **depth),
        "process": process(dice),
        "horizon": 3600.0,
        "steps": 6,
        "paths": dice.choice((3, range(2, 5))),
        "seed": 7,
        "threads": 1,
        **more,
    }


def of_account_questions(dice: Dice) -> Call:
    held, markets = accounts(dice)
    shock = np.array([dice.uniform(-0.3, 0.3) for _ in range(2)])
    return dice.choice(
        (
            (fp.cascade, {"book": held, "market": markets, "shock": shock, "refill": 0.1}),
            (fp.stress, {"book": held, "market": markets, "shock": np.stack([shock, -shock]), "threads": 1}),
            (fp.cascade, {"book": held, "market": markets, "shock": shock, "sell": shock}),
        )
    )


def of_accounts(dice: Dice) -> Call:
    size = dice.size()
    return fp.Accounts, {
        "account": np.array([dice.randrange(5) for _ in range(size)], dtype=np.int64),
        "market": np.array([dice.randrange(2) for _ in range(size)], dtype=np.int64),
        "quantity": dice.array(size, lambda: dice.choice((1, -1)) * dice.positive(5.0)),
        "entry_price": dice.positives(size, 100.0),
        "cash": dice.positives(5, 500.0),
        "schedules": schedule(dice),
    }


def of_margin(dice: Dice) -> Call:
    size = dice.size()
    arguments = {
        "side": side(dice, size),
        "quantity": dice.positives(size, 5.0),
        "entry_price": dice.positives(size, 100.0),
        "margin": dice.positives(size, 20.0),
        "contract": dice.choice(("linear", "inverse")),
        "fee_rate": 0.001,
    }
    if dice.random() < 0.5:
        return fp.bankruptcy_price, {**arguments, "share": 1.0}
    return fp.liquidation_price, {**arguments, "schedule": schedule(dice), "other_pnl": dice.uniform(-9.0, 9.0)}


def of_schedule(dice: Dice) -> Call:
    given = schedule(dice)

    def ask(floor: Any, rate: Any, notional: Any) -> Any:
        return fp.MarginSchedule(floor, rate).maintenance(notional)

    return ask, {"floor": given.floor, "rate": given.rate, "notional": dice.positives(dice.size(), 500.0)}


def of_deleveraging(dice: Dice) -> Call:
    size = dice.size()
    prices = {name: dice.positives(size, 100.0) for name in ("entry_price", "bankruptcy_price")}
    policy = dice.choice(("queue", "pro_rata", "pro_rata_profit", "water_filling", "list_order"))
    return fp.auto_deleverage, {
        "policy": policy,
        "needed": dice.positive(5.0),
        "side": dice.choice((1, -1)),
        "quantity": dice.positives(size, 1.0),
        **prices,
        "price": dice.positive(100.0),
    }


def of_prediction(dice: Dice) -> Call:
    size = 1 + dice.size()
    price = 100 * np.exp(np.cumsum(dice.array(size, lambda: dice.uniform(-0.02, 0.02))))
    history: dict[str, Any] = {
        "time": 3600.0 * np.arange(size),
        "open": price,
        "high": 1.01 * price,
        "low": 0.99 * price,
        "close": price,
        "open_interest": dice.positives(size, 1e6),
    }

    def ask(**arguments: Any) -> Any:
        columns = {name: arguments.pop(name) for name in history}
        return fp.predict_liquidations(columns, FEW_LEVERAGES, **arguments)

    return ask, {**history, "turnover": 0.04, "activity": 1.25, "maintenance_rate": 0.005}


def of_parts(dice: Dice) -> Call:
    floats = [dice.uniform(0.01, 1.0) for _ in range(6)]
    return dice.choice(
        (
            (
                fp.Venue,
                {
                    "close": "full",
                    "fund": 10.0,
                    "adl": "queue",
                    "fee_rate": 0.001,
                    "pacing": 1.0,
                    "delay": 0.0,
                    "target": 1.0,
                },
            ),
            (fp.GBM, {"volatility": 0.5, "drift": 0.0}),
            (
                fp.JumpDiffusion,
                {"volatility": 0.5, "jump_rate": 3.0, "jump_mean": -0.1, "jump_volatility": 0.1, "drift": 0.0},
            ),
            (fp.StudentT, {"volatility": 0.5, "degrees": 3.0, "drift": 0.0}),
            (fp.GARCH, {"omega": 1e-6, "alpha": 0.1, "beta": 0.8, "drift": 0.0, "variance": 1e-5}),
            (fp.Bootstrap, {"returns": np.array(floats), "block": 2, "drift": 0.0}),
            (fp.Returns, {"array": np.array(floats).reshape(2, 3)}),
            (fp.Uniform, {"low": 0.1, "high": 0.5}),
            (fp.LogNormal, {"median": 0.1, "sigma": 0.5}),
            (fp.Pareto, {"scale": 0.1, "exponent": 0.5}),
            (fp.Table, {"values": np.array(floats)}),
            (fp.RandomBook, {"count": 5, "distance": law(dice, 0.1), "quantity": 1.0, "side": 1}),
            (fp.RandomBook, {"density": 5.0, "extent": 0.5, "quantity": 1.0, "side": -1}),
            (
                fp.Turnover,
                {"opening_rate": 0.1, "quantity": 1.0, "closing_rate": 0.1, "maintenance_rate": 0.005, "side": 1},
            ),
            (fp.Funding, {"interval": 600.0, "interest": 1e-4, "clamp": 5e-4, "cap": 0.01}),
            (fp.Funding, {"rate": np.array(floats), "interval": 600.0}),
            (fp.VolatilityTargeting, {"quantity": 5.0, "target": 0.5, "memory": 600.0, "most": 1.0, "interval": 60.0}),
            (
                fp.LivingDepth,
                {"normal_volatility": 0.5, "elasticity": 1.0, "memory": 600.0, "least": 0.1, "refill_half_life": 60.0},
            ),
            (fp.Support, {"price": 100 * np.array(floats), "quantity": np.array(floats)}),
            (fp.Script, {"time": np.cumsum(floats), "sell": np.array(floats), "move": np.array(floats)}),
        )
    )


def of_runs(dice: Dice) -> Call:
    """What runs `simulate` several times."""
    ways: dict[str, Any] = {
        "market": market(dice),
        "process": process(dice),
        "horizon": 3600.0,
        "steps": 6,
        "paths": 8,
        "seed": 7,
        "threads": 1,
        "confidence": dice.uniform(0.5, 0.99),
    }
    if dice.random() < 0.2:
        ways["funding"] = fp.Funding(interval=600.0)
    policies = {
        "less": fp.Policy(leverage_cap=dice.uniform(1.5, 30.0)),
        "deeper": fp.Policy(market=market(dice)),
        "other": fp.Policy(venue=venue(dice, True)),
    }
    policies = {name: policies[name] for name in dice.sample(sorted(policies), dice.randrange(1, 3))}
    kind = dice.randrange(3)
    if kind == 0:
        ways["venue"] = venue(dice, True)
        if dice.random() < 0.5:
            ways["sellers"] = fp.VolatilityTargeting(dice.positive(10.0), 0.5, interval=600.0)
        column = dice.choice(("low_price", "high_price", "final_price"))
        return shown(fp.explain), {"book": book(dice), "counterfactuals": policies, "column": column, **ways}
    if kind == 1:
        return shown(fp.experiment), {"book": book(dice), "policies": policies, "venue": venue(dice, True), **ways}
    return shown(fp.size_fund), {"book": book(dice), "probability": dice.uniform(0.5, 0.999), **ways}


def of_tail(dice: Dice) -> Call:
    asked: dict[str, Any] = {"market": market(dice), "paths": 1_000, "seed": 7, "threads": 1}
    if dice.random() < 0.5:
        density = fp.RandomBook(density=dice.positive(300.0), extent=0.5, quantity=law(dice, 1.0))
        some = {"at_least": dice.uniform(1.0, 60.0), "shock": dice.uniform(-0.2, 0.0)}
        return shown(fp.tail_probability), {"book": density, **asked, **some}
    column, bound = dice.choice((("low_price", "at_most"), ("high_price", "at_least"), ("long_count", "at_least")))
    some = {"column": column, bound: dice.uniform(1.0, 150.0), "runs": 5, "horizon": 3600.0, "steps": 6}
    steps = dice.choice((fp.GBM(dice.positive(1.0)), fp.StudentT(0.5, 3.0), fp.JumpDiffusion(0.5, 1e3, -0.05, 0.1)))
    return shown(fp.tail_probability), {"book": book(dice), "process": steps, **asked, **some}


def of_calibration(dice: Dice) -> Call:
    places = dice.sample(MOVED, len(MOVED))
    values = {place: dice.positive(MINE.value(place)) for place in places[:3]}
    moved = places[2 : dice.randrange(3, 6)]
    ends = {
        f"{end} {place}": MINE.value(place) * (far if dice.random() < SPOILED else near)
        for place in moved
        for end, near, far in (("low", 0.5, 1e-100), ("high", 2.0, 1e100))
    }
    reported = dict(dice.sample(REPORTED, dice.randrange(1, 4)))

    def ask(measure: Any, statistic: Any, window: Any, **more: Any) -> Any:
        targets = {name: fp.Target(more.pop(f"reported {name}"), name, statistic) for name in reported}
        targets["sold"] = fp.Target(more.pop("reported"), measure, statistic, window)
        scenario = MINE.changed({place: more.pop(place) for place in values})
        bounds = {place: (more.pop(f"low {place}"), more.pop(f"high {place}")) for place in moved}
        found = fp.calibrate(scenario, targets, bounds, **more)
        figures = {name: getattr(found, name) for name in ("value", "error", "residual", "sensitivity", "condition")}
        return str(found), found.to_dict(), {**found.simulated, **figures}

    return ask, {
        **values,
        **ends,
        **{f"reported {name}": value * dice.uniform(0.5, 1.5) for name, value in reported.items()},
        "reported": dice.positive(1e3),
        "measure": "liquidated_notional",
        "statistic": dice.choice(("median", "mean")),
        "window": dice.choice((None, (0.0, 1_800.0), (600.0, 1_200.0))),
        "tolerance": dice.positive(0.01),
        "evaluations": dice.randrange(14, 30),
        "paths": 4,
        "threads": 1,
    }


def shown(ask: Callable[..., Any]) -> Callable[..., Any]:
    """Ask, and show the answer as a user would see it."""

    def answer(**arguments: Any) -> Any:
        result = ask(**arguments)
        return result, str(result), repr(result)

    return answer


QUESTIONS: tuple[tuple[Callable[[Dice], Call], int], ...] = (
    (of_cascade, 5),
    (of_response, 3),
    (of_stress, 4),
    (of_simulate, 4),
    (of_account_questions, 1),
    (of_accounts, 2),
    (of_book, 3),
    (of_books_method, 3),
    (of_market, 2),
    (of_impact, 3),
    (of_margin, 3),
    (of_schedule, 1),
    (of_deleveraging, 1),
    (of_prediction, 1),
    (of_runs, 1),
    (of_tail, 1),
    (of_calibration, 1),
    (of_parts, 4),
)


def call_of(seed: int, index: int) -> tuple[str, Callable[[], Any], dict[str, Any], bool]:
    """Return the name of a question, what asks it, its arguments, and whether its answer may be NaN."""
    dice = Dice(f"{seed} {index}")
    question = dice.choices([q for q, _ in QUESTIONS], [weight for _, weight in QUESTIONS])[0]
    function, arguments = question(dice)
    for name in arguments:
        if name == "horizon" and "turnover" in arguments:
            continue  # a vast one holds more openings than anybody waits for
        if dice.random() < SPOILED:
            arguments[name] = dice.spoiled(arguments[name])
    return question.__name__, lambda: function(**arguments), arguments, dice.beyond


def unwanted(result: Any, name: str = "") -> Iterator[str]:
    """Name what is NaN and must not be."""
    if isinstance(result, Mapping):
        for key in result:
            if str(key).partition(".")[0] not in NAN_ALLOWED:
                yield from unwanted(result[key], str(key))
    elif isinstance(result, tuple):
        for item in result:
            yield from unwanted(item, name)
    elif (
        isinstance(result, (float, np.ndarray))
        and np.asarray(result).dtype.kind == "f"
        and name
        and np.isnan(result).any()
    ):
        yield name


def outcome(seed: int, index: int) -> tuple[str, str]:
    """Return how a call went: 'answered', 'refused', or what is wrong with it."""
    name = "arguments"
    try:
        name, ask, _, beyond = call_of(seed, index)
        result = ask()
        wrong = [] if beyond else sorted(set(unwanted(result)))
        return name, f"nan in {', '.join(wrong)}" if wrong else "answered"
    except (ValueError, TypeError) as error:
        message = str(error)
        fit = message.isprintable() and 8 < len(message) < 800 and not message.startswith("_core")
        return name, "refused" if fit else f"unfit to be shown: {message!r}"
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return name, f"{type(error).__name__}: {error}"


def storm(seed: int, calls: range) -> tuple[Counter[str], list[str]]:
    """Return how many calls of each question answered or refused, and the failures."""
    counted: Counter[str] = Counter()
    failures = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for index in calls:
            name, what = outcome(seed, index)
            if what in ("answered", "refused"):
                counted[f"{name} {what}"] += 1
            else:
                failures.append(f"call {index}, {name}: {what}")
    return counted, failures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=1_000_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int)
    given = parser.parse_args()
    faulthandler.enable()
    warnings.simplefilter("error")
    if given.only is not None:
        name, ask, arguments, _ = call_of(given.seed, given.only)
        print(name, arguments)
        try:
            print(result := ask(), *unwanted(result))
        except Exception:
            traceback.print_exc()
        return 0
    total: Counter[str] = Counter()
    failed, start, block = 0, time.monotonic(), 50
    for first in range(given.first, given.first + given.calls, block):
        faulthandler.dump_traceback_later(60, exit=True)
        counted, failures = storm(given.seed, range(first, min(first + block, given.first + given.calls)))
        total += counted
        failed += len(failures)
        for failure in failures:
            print(failure, flush=True)
    faulthandler.cancel_dump_traceback_later()
    for what, times in sorted(total.items()):
        print(f"{times:10,} {what}")
    print(f"{given.calls:,} calls of seed {given.seed} in {time.monotonic() - start:.0f} s, {failed} failures")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
