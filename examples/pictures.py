"""Draw every kind of picture, of the embedded example and of two markets that share accounts.

Usage: python pictures.py [directory]
"""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import flushpoint as fp
from flushpoint import example, levels, plot

book, market = example.book(), example.market()
recovering = fp.Market(market.price, market.impact, half_life=1_800)
process = fp.JumpDiffusion(volatility=0.8, jump_rate=24, jump_mean=-0.05, jump_volatility=0.05)
day = fp.simulate(book, recovering, process, paths=1_000, steps=288, seed=1, record=4)
worst = day.replay(int(day.low_price.argmin()))
policies = {
    "at most 20x": fp.Policy(leverage_cap=20),
    "twice the fund": fp.Policy(fund=100e6),
    "auto-deleveraging": fp.Policy(adl="queue"),
}
experiment = fp.experiment(book, recovering, process, policies, venue=fp.Venue(fund=50e6), paths=500, steps=96, seed=1)


def two_markets() -> fp.ContagionResult:
    rng, n = np.random.default_rng(1), 2_000
    markets = fp.Markets(
        {"BTC": fp.Market(100_000.0, fp.LinearImpact(5e-5)), "ETH": fp.Market(4_000.0, fp.LinearImpact(2e-6))}
    )
    price = np.tile(markets.price, n)
    notional = rng.lognormal(13.0, 1.0, 2 * n)
    cash = notional.reshape(-1, 2).sum(axis=1) * rng.uniform(0.02, 0.3, n)
    schedule = fp.MarginSchedule.flat(0.005)
    accounts = fp.Accounts(
        np.repeat(np.arange(n), 2), np.tile(markets.names, n), notional / price, price, cash, schedule
    )
    return fp.contagion(accounts, markets, width=0.03)


def two_months() -> levels.LevelsOverTime:
    hours = 60 * 24
    calm = fp.simulate(fp.Book([], [], []), market, fp.GBM(0.5), horizon=hours * 3_600, steps=hours, paths=1, seed=3)
    price = calm.replay(0).price
    history = {
        "open": price[:-1],
        "high": 1.002 * np.maximum(price[1:], price[:-1]),
        "low": 0.998 * np.minimum(price[1:], price[:-1]),
        "close": price[1:],
        "open_interest": np.full(hours, 20e9),
    }
    return levels.over_time(history, maintenance_rate=example.MAINTENANCE_RATE, period=3_600)


pictures: dict[str, Callable[[Axes], Axes]] = {
    "response": partial(plot.response, fp.response(book, market)),
    "supply-and-depth": partial(plot.supply_and_depth, book, market, shock=-0.10),
    "waves": partial(plot.waves, fp.cascade(book, market, shock=-0.10)),
    "fan": partial(plot.fan, day, lines=10),
    "path": partial(plot.path, worst),
    "losses": partial(plot.losses, day),
    "policies": partial(plot.policies, experiment, column="unpaid_loss"),
    "contagion": partial(plot.contagion, two_markets()),
    "levels": partial(plot.levels, book, market.price),
    "levels-over-time": partial(plot.levels_over_time, two_months()),
}
for name, draw in pictures.items():
    figure = Figure(figsize=(8, 5), layout="constrained")
    draw(figure.subplots())
    print(name)
    if len(sys.argv) > 1:
        directory = Path(sys.argv[1])
        directory.mkdir(parents=True, exist_ok=True)
        figure.savefig(directory / f"{name}.png")
