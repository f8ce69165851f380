"""The books and markets of the jobs that speed is judged on.

Most have longs only, entered around a price of 100 at leverages from 2 to 100, quantities that sum to 1, and impact
linear in the log price: selling all of such a book moves the log price by -0.12.
"""

from __future__ import annotations

import math
from functools import cache
from typing import NamedTuple

import numpy as np

import flushpoint as fp
from flushpoint import example
from flushpoint._validate import FloatArray
from flushpoint.laws import Law

PRICE = 100.0
COEFFICIENT = 0.12
MAINTENANCE = 0.005
MIX = {2: 0.10, 3: 0.12, 5: 0.18, 10: 0.25, 20: 0.15, 25: 0.08, 50: 0.08, 100: 0.04}  # leverage: share of the positions
MARKET = fp.Market(PRICE, fp.LinearImpact(COEFFICIENT))


def draw_book(count: int, seed: int = 1) -> tuple[FloatArray, FloatArray]:
    """Trigger prices and quantities of `count` longs, none within 0.1 % of the price."""
    rng = np.random.default_rng(seed)
    leverages, shares = np.array(list(MIX), dtype=float), np.array(list(MIX.values()))
    triggers = np.empty(0)
    while triggers.size < count:
        size = 2 * (count - triggers.size) + 64
        entries = PRICE * np.exp(0.06 * rng.standard_normal(size))
        drawn = entries * (1 - 1 / rng.choice(leverages, size, p=shares)) / (1 - MAINTENANCE)
        triggers = np.append(triggers, drawn[drawn < 0.999 * PRICE])
    quantities = np.exp(1.5 * rng.standard_normal(count))
    return triggers[:count].copy(), quantities / quantities.sum()


def draw_falls(count: int, seed: int = 2, high: float = 0.25) -> FloatArray:
    """Falls as positive shares of the price, from 0.2 %."""
    return np.random.default_rng(seed).uniform(0.002, high, count)


# --- books drawn anew in every scenario ---
CONSTANT, EXPONENTIAL, LOG_NORMAL = range(3)
MEAN_SIZE = {CONSTANT: 1.0, EXPONENTIAL: 1.0, LOG_NORMAL: math.exp(1.125)}
SIZES: dict[str, tuple[int, Law | float]] = {
    "lognormal": (LOG_NORMAL, fp.LogNormal(1.0, 1.5)),
    "exponential": (EXPONENTIAL, fp.Exponential(1.0)),
    "constant": (CONSTANT, 1.0),
}
_LEVERAGES = fp.LeverageMix(np.array(list(MIX), float), np.array(list(MIX.values())))
DISTANCE = fp.Leveraged(_LEVERAGES, 0.06, MAINTENANCE, nearest=-math.log(0.999))


def random_book(count: int, sizes: str) -> tuple[fp.RandomBook, fp.Market]:
    """The laws that `draw_book` draws from, with sizes of a law in `SIZES`, and a market as deep."""
    kind, law = SIZES[sizes]
    market = fp.Market(PRICE, fp.LinearImpact(COEFFICIENT / (count * MEAN_SIZE[kind])))
    return fp.RandomBook(count=count, distance=DISTANCE, quantity=law), market


# --- a fund, own liquidity in every scenario, refill between waves ---
OWED = 0.995  # bankruptcy price / trigger price
REFILL = 0.25
FUND = 0.01 * PRICE  # a hundredth of what the book is worth


def settled_book(count: int) -> tuple[fp.Book, FloatArray, FloatArray, FloatArray]:
    """(book, triggers, quantities, bankruptcy prices), the columns in firing order."""
    triggers, quantities = draw_book(count)
    order = np.argsort(-triggers)
    triggers, quantities = triggers[order], quantities[order]
    owed = OWED * triggers
    return fp.Book(1, quantities, triggers, owed), triggers, quantities, owed


def draw_depths(count: int, seed: int = 9) -> FloatArray:
    """Each scenario's liquidity."""
    return np.random.default_rng(seed).lognormal(0.0, 0.5, count)


class Slices(NamedTuple):
    """Longs closed a share at a time."""

    coefficient: float  # of impact
    fraction: float  # what each close takes
    starts: FloatArray  # the exogenous prices that follow each other


CRASH = Slices(0.03, 0.1, np.array([0.9 * PRICE]))
SLIDE = Slices(0.01, 0.25, PRICE * np.exp(-np.linspace(0.0, 0.1, 201)[1:]))


# --- both sides, tiers, a fund and auto-deleveraging ---
FLOORS, RATES = np.array([0.0, 1e4, 1e6]), np.array([0.005, 0.01, 0.02])


def tiered_book(count: int) -> dict[str, FloatArray]:
    """Columns; each position stays in one tier at any price near, where it is closed whole."""
    rng = np.random.default_rng(5)
    side = rng.choice(np.array([1, -1], np.int8), count)
    tier = rng.choice(3, count, p=[0.8, 0.17, 0.03])
    low, high = np.array([1.0, 200.0, 2e4])[tier], np.array([50.0, 5e3, 2e5])[tier]
    trigger = PRICE * np.exp(-side * (0.001 + rng.exponential(0.08, count)))
    return {
        "side": side,
        "quantity": np.exp(rng.uniform(np.log(low), np.log(high))),
        "trigger_price": trigger,
        "bankruptcy_price": trigger * (1 - side * RATES[tier]),
        "entry_price": PRICE * np.exp(0.02 * rng.standard_normal(count)),
    }


# --- paths of a day ---
STEPS = 1_440
DAY = 86_400.0
HALF_LIFE = 1_800.0


def path_market() -> fp.Market:
    """The embedded example's price and impact, half of which recovers in half an hour."""
    return fp.Market(example.PRICE, example.market().impact, half_life=HALF_LIFE)


@cache
def lively_book(count: int) -> fp.Book:
    """`count` positions of both sides, drawn from the embedded example's laws: many stand close to the price."""
    rng = np.random.default_rng(1)
    mix, drawn = example.LEVERAGE_MIX, int(1.15 * count)
    side = rng.choice(np.array([1, -1], np.int8), drawn)
    entry = example.PRICE * np.exp(example.ENTRY_SPREAD * rng.standard_normal(drawn))
    kind = rng.integers(mix.share.size, size=drawn)
    book = fp.Book.from_positions(
        side,
        mix.share[kind] * np.exp(example.SIZE_SPREAD * rng.standard_normal(drawn)) / entry,
        entry,
        leverage=mix.leverage[kind],
        schedule=fp.MarginSchedule.flat(example.MAINTENANCE_RATE),
    ).alive(example.PRICE)
    return book.scaled(example.OPEN_INTEREST, example.PRICE)


@cache
def quiet_book(count: int) -> fp.Book:
    """Longs and shorts, none within 2 % of the price."""
    rng = np.random.default_rng(1)
    side = rng.choice(np.array([1, -1], np.int8), count)
    distance = 0.02 + rng.exponential(0.2, count)
    return fp.Book(side, rng.lognormal(0, 1.5, count), example.PRICE * np.exp(-side * distance)).scaled(
        example.OPEN_INTEREST, example.PRICE
    )


def draw_returns(paths: int, steps: int, volatility: float) -> FloatArray:
    """Log returns of a day in so many steps, at a volatility a year."""
    deviation = volatility / math.sqrt(365 * steps)
    return deviation * np.random.default_rng(2).standard_normal((paths, steps))


# --- accounts over several markets ---
PRICES = np.array([60_000.0, 3_000.0, 150.0])
NAMES = ("BTC", "ETH", "SOL")
SCHEDULE = fp.MarginSchedule(np.array([0.0, 50_000.0, 250_000.0]), np.array([0.005, 0.01, 0.025]))
MODEL = fp.FactorModel.betas(fp.GBM(0.6), dict(zip(NAMES, (1.0, 1.3, 1.6), strict=True)), fp.GBM(0.4))


class Portfolio(NamedTuple):
    """Accounts and their markets, and the same as plain arrays."""

    accounts: fp.Accounts
    markets: fp.Markets
    quantity: FloatArray  # (accounts, markets), shorts negative
    money: FloatArray  # what the account holds besides quantity x price
    coefficients: FloatArray  # of impact


@cache
def portfolio(count: int) -> Portfolio:
    """A third of the positions short, leverage of all sizes."""
    rng = np.random.default_rng(1)
    notional = rng.lognormal(9.0, 1.2, (count, 3))
    quantity = np.where(rng.random((count, 3)) < 0.65, 1.0, -1.0) * notional / PRICES
    entry = PRICES * (1.0 + 0.03 * rng.standard_normal((count, 3)))
    equity = notional.sum(1) * (0.02 + rng.uniform(0.02, 0.8, count))
    cash = equity - (quantity * (PRICES - entry)).sum(1)
    columns = (np.repeat(np.arange(count), 3), np.tile(np.arange(3), count), quantity.ravel(), entry.ravel())
    coefficients = 0.1 * PRICES / notional.sum(0)
    markets = fp.Markets(
        {
            name: fp.Market(price, fp.LinearImpact(c), half_life=HALF_LIFE)
            for name, price, c in zip(NAMES, PRICES.tolist(), coefficients.tolist(), strict=True)
        }
    )
    money = cash - (quantity * entry).sum(1)
    return Portfolio(fp.Accounts(*columns, cash, SCHEDULE), markets, quantity, money, coefficients)


class AccountWalk(NamedTuple):
    """A path of several markets, and the accounts in them, as plain arrays."""

    quantity: FloatArray
    money: FloatArray
    log_price: FloatArray  # at the start
    returns: FloatArray  # (steps, markets)
    rate: FloatArray  # of maintenance, by tier
    deduction: FloatArray
    coefficients: FloatArray  # of impact
    decay: float  # what a step leaves of the volume


def account_walk(p: Portfolio, returns: FloatArray) -> AccountWalk:
    """The first steps of a day of `STEPS`."""
    tiers, decay = (SCHEDULE.rate, SCHEDULE.deduction), 0.5 ** (DAY / STEPS / HALF_LIFE)
    return AccountWalk(p.quantity, p.money, np.log(PRICES), returns, *tiers, p.coefficients, decay)


def draw_moves(steps: int, sinking: int) -> FloatArray:
    """Log returns of the three markets in one path, down by 6 % within the first steps so that accounts fail."""
    returns = np.random.default_rng(2).normal(0.0, 1.5e-3, (1, steps, 3))
    returns[:, :sinking] -= 0.06 / sinking
    return returns
