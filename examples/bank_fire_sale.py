"""Banks that sell bonds to restore equity / assets: how many default, as the price impact of what they sell grows?

The model of Farmer, Kleinnijenhuis, Nahai-Williamson and Wetzer (2020), "Foundations of system-wide financial stress
testing with heterogeneous institutions": government bonds lose 20 %, and banks below 4 % shrink to 5 %; below 3 % they
default.

Usage: python bank_fire_sale.py [banks.csv]

A row a bank, separated by blanks: name, CET1 capital, leverage ratio in per cent, debt securities, government bonds
among them. Without one, or the EBA's of 2018 beside this repository, made-up banks.
"""

import math
import sys
from pathlib import Path

import numpy as np

import flushpoint as fp

SHOCK, NAMES = -0.20, ("corporate", "government")
beside = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "eba_2018.csv"
path = Path(sys.argv[1]) if len(sys.argv) > 1 else beside
if path.exists():
    rows = [line.split() for line in path.read_text().splitlines()[1:]]
    equity, ratio, debt = (np.array([float(row[i]) for row in rows]) for i in (1, 2, 3))
    government = np.array([sum(map(float, row[4].split("+"))) for row in rows])
    assets = equity / (ratio / 100)
else:
    rng = np.random.default_rng(1)
    assets = rng.lognormal(12.5, 1.0, 48)
    equity = assets * rng.uniform(0.04, 0.07, 48)
    debt = assets * rng.uniform(0.05, 0.2, 48)
    government = debt * rng.uniform(0.4, 0.9, 48)
held = np.stack([debt - government, government])
cash = 0.05 * assets
close = fp.Delever(0.04, 0.05, default=0.03, cash=cash, illiquid=assets - debt - cash, loan=(assets - equity) / 2)
market, bank = np.nonzero(held)
accounts = fp.Accounts(bank, market, held[market, bank], np.ones(market.size), equity, None, close=close)

sellable = debt.sum() / assets.sum()
print(f"{assets.size} banks, which can sell {sellable:.1%} of their assets; government bonds lose {-SHOCK:.0%}")
print(f"{'sale of 5 % moves prices by':>28}{'defaults':>10}{'sold':>10}{'government bonds':>18}")
for impact in np.arange(0, 11) / 100:
    bonds = [fp.Market(1.0, fp.LinearImpact(-math.log(1 - impact) / 0.05 / total)) for total in held.sum(1)]
    markets = fp.Markets(dict(zip(NAMES, bonds, strict=True)), fill="midpoint")
    c = fp.cascade(accounts, markets, {"government": SHOCK}, rounds=5)
    sold = c.long_quantity.sum() / held.sum()
    print(f"{impact:>28.0%}{c.accounts_defaulted:>10}{sold:>10.1%}{c.final_price[1]:>18.3f}")
