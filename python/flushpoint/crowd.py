"""Crowds: accounts that hold alike, of which only totals are known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from flushpoint._validate import number
from flushpoint.accounts import Accounts
from flushpoint.margin import MarginSchedule
from flushpoint.markets import Markets
from flushpoint.mix import EntryPrices, LeverageMix


@dataclass(frozen=True)
class Crowd:
    """Accounts that hold the same markets in the same proportions, with a mix of leverage and of entry prices.

    Parameters
    ----------
    notional : float
        Of all their positions together, long and short, at the markets' prices, quote units, positive.
    weights : mapping of str to float
        Share of each market in it, below 0 for shorts; scaled so that their sizes add up to 1.
    leverage_mix : LeverageMix, optional
        Notional at entry / equity at entry; ``LeverageMix.power_law()`` by default.
    entry_prices : EntryPrices, optional
        By how much prices at entry lay above those of now, in all markets alike; ``EntryPrices.normal()`` by default.

    Examples
    --------
    >>> crowd = Crowd(1e9, {"BTC": 1.0, "ETH": -1.0})
    >>> crowd.weights
    {'BTC': 0.5, 'ETH': -0.5}
    """

    notional: float
    weights: Mapping[str, float]
    leverage_mix: LeverageMix = field(default_factory=LeverageMix.power_law)
    entry_prices: EntryPrices = field(default_factory=EntryPrices.normal)

    def __post_init__(self) -> None:
        object.__setattr__(self, "notional", number("notional", self.notional, above=0))
        if not isinstance(self.weights, Mapping) or not self.weights:
            raise TypeError(f"weights must be a mapping of names to numbers, was {self.weights!r}")
        weights = {name: number(f"weights[{name!r}]", value) for name, value in self.weights.items()}
        for name, value in weights.items():
            if value == 0:
                raise ValueError(f"weights[{name!r}] must not be 0, was 0.0")
        total = number("sum of weights", sum(map(abs, weights.values())))
        object.__setattr__(self, "weights", {name: value / total for name, value in weights.items()})
        if not isinstance(self.leverage_mix, LeverageMix):
            raise TypeError(f"leverage_mix must be a LeverageMix, was {type(self.leverage_mix).__name__}")
        if not isinstance(self.entry_prices, EntryPrices):
            raise TypeError(f"entry_prices must be an EntryPrices, was {type(self.entry_prices).__name__}")


def accounts_of_crowds(
    crowds: Mapping[str, Crowd],
    markets: Markets,
    schedules: MarginSchedule | Mapping[str, MarginSchedule],
    close: str = "all",
    *,
    target: float | None = None,
) -> Accounts:
    """Make accounts of crowds: one for each leverage and entry price of each.

    Parameters
    ----------
    crowds : mapping of str to Crowd
        By name, which is their accounts' group.
    markets : Markets
        Those of the weights, at the prices of now.
    schedules, close, target
        As of `Accounts`. As an account stands for many traders, schedules of one tier suit it.

    Returns
    -------
    Accounts
        Without those that fail at the markets' prices; the others are scaled so that each crowd has its notional.

    Examples
    --------
    >>> markets = Markets({"BTC": Market(60_000.0, LinearImpact(1e-5)), "ETH": Market(3_000.0, LinearImpact(1e-6))})
    >>> crowds = {"both": Crowd(2e9, {"BTC": 0.6, "ETH": 0.4}), "ether": Crowd(5e8, {"ETH": 1.0})}
    >>> accounts = accounts_of_crowds(crowds, markets, MarginSchedule.flat(0.005), close="largest_loss")
    >>> notional = accounts.quantity * np.where(accounts.market == "BTC", 60_000.0, 3_000.0)
    >>> round(float(notional.sum()) / 1e9, 9)
    2.5
    """
    if not isinstance(markets, Markets):
        raise TypeError(f"markets must be Markets, was {type(markets).__name__}")
    if not isinstance(crowds, Mapping) or not crowds:
        raise TypeError(f"crowds must be a mapping of names to crowds, was {crowds!r}")
    for one in schedules.values() if isinstance(schedules, Mapping) else (schedules,):
        if isinstance(one, MarginSchedule) and one.rate.size > 1:
            raise ValueError(f"schedules must have one tier each (MarginSchedule.flat), was of {one.rate.size}")
    for name, crowd in crowds.items():
        if not isinstance(crowd, Crowd):
            raise TypeError(f"crowds must hold a Crowd each, was {type(crowd).__name__} at {name!r}")
        for held in crowd.weights:
            if held not in markets.names:
                raise ValueError(f"weights of {name!r} must be of the markets {markets.names}, was of {held!r}")

    def made(size: Mapping[str, float]) -> Accounts:
        account, market, quantity, entry, cash, group = [], [], [], [], [], []
        count = 0
        for name, crowd in crowds.items():
            leverage = np.repeat(crowd.leverage_mix.leverage, crowd.entry_prices.offset.size)
            moved = np.exp(np.tile(crowd.entry_prices.offset, crowd.leverage_mix.leverage.size))
            held = size[name] * np.outer(crowd.leverage_mix.share, crowd.entry_prices.share).ravel()
            for which, weight in crowd.weights.items():
                price = markets[which].price
                account.append(count + np.arange(held.size))
                market.append(np.full(held.size, which))
                quantity.append(weight * held / price)
                entry.append(price * moved)
            cash.append(held * moved / leverage)
            group += [name] * held.size
            count += held.size
        rows = [np.concatenate(column) for column in (account, market, quantity, entry, cash)]
        who, where, how_much, entered, money = rows
        return Accounts(who, where, how_much, entered, money, schedules, group=group, close=close, target=target).alive(
            markets
        )

    # Which accounts fail does not depend on their size: maintenance is of one tier.
    unit = made(dict.fromkeys(crowds, 1.0))
    price = np.array([markets[name].price for name in unit.market.tolist()])
    notional = np.abs(unit.quantity) * price
    group = np.asarray(unit.group)[unit.account]
    size = {}
    for name, crowd in crowds.items():
        left = notional[group == name].sum()
        if not left > 0:
            raise ValueError(f"crowds[{name!r}] must leave an account that does not fail at once, was without")
        size[name] = crowd.notional / left
    return made(size)
