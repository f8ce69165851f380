"""Banks that deleverage, as plain loops: every bank is looked at in every round.

Markets are those of `reference`; positions are rows (account, market, quantity, entry price), all held.
"""

import math
from dataclasses import dataclass

from reference_accounts import TIE, Run


@dataclass
class Bank:
    threshold: float
    target: float
    default: float
    cash: float
    illiquid: float
    loan: float
    owed: float  # assets - equity
    held: list  # by market
    defaulted: bool = False
    sold_out: bool = False

    def assets(self, marks):
        return self.cash + self.illiquid + sum(q * p for q, p in zip(self.held, marks, strict=True))

    def equity(self, marks):
        return self.assets(marks) - self.owed


class BankRun(Run):
    """Prices, trades and money as of other accounts."""

    def __init__(self, rows, equity, rules, markets, cross=None, fill="each", fund=0.0):
        super().__init__([], [], markets, None, cross, fund=fund)
        self.fill = fill
        self.banks = []
        for a, own in enumerate(equity):
            held, cost = [0.0] * len(markets), 0.0
            for account, market, quantity, entry in rows:
                if account == a:
                    held[market] += quantity
                    cost += quantity * entry
            bank = Bank(*(column[a] for column in rules), 0.0, held, sold_out=not any(held))
            bank.owed = bank.cash + bank.illiquid + cost - own
            self.banks.append(bank)
        self.empty = sum(bank.sold_out for bank in self.banks)

    def orders(self, marks):
        """Share of its positions that each bank sells, which has paid back what it can; 0 for most."""
        out = []
        for bank in self.banks:
            assets, equity = bank.assets(marks), bank.equity(marks)
            value = sum(q * p for q, p in zip(bank.held, marks, strict=True))
            out.append(0.0)
            if bank.defaulted:
                continue
            self.nearest = min(self.nearest, abs(equity / assets - bank.default) if assets else 1.0)
            if equity < (bank.default - TIE) * assets:
                bank.defaulted = True
                out[-1] = 1.0 if value > 0 else 0.0
                continue
            if bank.threshold < bank.target:
                self.nearest = min(self.nearest, abs(equity / assets - bank.threshold))
            if value > 0 and equity < (min(bank.threshold, bank.target) - TIE) * assets:
                excess = assets - equity / bank.target
                paid = min(bank.cash, excess, bank.loan)
                bank.cash -= paid
                bank.loan -= paid
                bank.owed -= paid
                if equity < (bank.target - TIE) * (assets - paid):
                    out[-1] = min(excess - paid, value) / value
        return out

    def cascade(self, rounds=math.inf):
        while True:
            orders = self.orders(self.marks())
            if rounds == self.rounds or not any(orders):
                return
            self.rounds += 1
            before, pushed = self.prices(), [self.pushed(m) for m in range(len(self.markets))]
            asked = [(i, m) for i, share in enumerate(orders) if share for m in range(len(self.markets))]
            money = {}
            for i, m in asked:
                money[i, m] = self.trade(m, orders[i] * self.banks[i].held[m], pushed[m])
            middle = 0.5 * (before + self.prices())
            for i, m in asked:
                bank = self.banks[i]
                quantity = orders[i] * bank.held[m]
                if self.fill == "midpoint":
                    self.money["proceeds"] += quantity * middle[m] - money[i, m]
                    money[i, m] = quantity * middle[m]
                bank.cash += money[i, m]
                bank.held[m] = 0.0 if orders[i] == 1.0 else bank.held[m] - quantity
            for i, bank in enumerate(self.banks):
                if orders[i] == 1.0 and not bank.sold_out:
                    bank.sold_out = True
                    self.settle(bank.equity([0.0] * len(self.markets)), 0.0)
            self.extremes()


def cascade(markets, shock, *banks, rounds=math.inf, **more):
    """-> the BankRun; it changes `markets`."""
    return BankRun(*banks, markets, **more).shocked(shock, rounds=rounds)


def path(markets, returns, dt, *banks, **more):
    """-> the BankRun of one path; `returns` are log moves, a row a step and a column a market."""
    return BankRun(*banks, markets, **more).walked(returns, dt)
