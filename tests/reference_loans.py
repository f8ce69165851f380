"""Loans and their liquidators as plain loops: every loan is looked at in every round.

Markets are those of `reference`; collateral is rows (account, market, quantity), thresholds are one a market.
"""

from reference_accounts import TIE, Run


class LoanRun(Run):
    """Prices and trades as of other accounts."""

    def __init__(self, rows, debt, thresholds, rule, markets, cross=None, fund=0.0):
        super().__init__([], [], markets, None, cross, fund=fund)
        self.debt, self.thresholds, self.rule = list(debt), thresholds, rule
        self.held = [[0.0] * len(markets) for _ in debt]
        for account, market, quantity in rows:
            self.held[account][market] += quantity
        self.first = [list(held) for held in self.held]
        self.profit = 0.0
        self.closed_loans = []

    def liquidate(self, a, marks, pushed):
        rule, held = self.rule, self.held[a]
        value = sum(q * p for q, p in zip(held, marks, strict=True))
        health = sum(t * q * p for t, q, p in zip(self.thresholds, held, marks, strict=True)) / self.debt[a]
        left = max(q / q0 for q, q0 in zip(held, self.first[a], strict=True) if q0)
        edges = [health - rule.full_below, self.debt[a] - rule.minimum, value - rule.minimum, left - 0.01]
        self.nearest = min(self.nearest, *(abs(edge) for edge in edges))
        whole = health <= rule.full_below or min(self.debt[a], value) < rule.minimum or left < 0.01
        repaid = self.debt[a] if whole else rule.close_factor * self.debt[a]
        share = repaid * (1 + rule.bonus) / value
        if share >= 1:
            share, repaid = 1.0, value / (1 + rule.bonus)
        self.debt[a] -= repaid
        self.profit -= repaid
        for m in range(len(held)):
            taken = share * held[m]
            if taken == 0:
                continue
            held[m] = 0.0 if share == 1 else held[m] - taken
            sold = rule.liquidator_sells * taken
            self.profit += self.trade(m, sold, pushed[m]) + (taken - sold) * marks[m]
        if share == 1:
            self.closed_loans.append(a)
            self.settle(-self.debt[a], 0.0)

    def cascade(self):
        while True:
            marks = self.marks()
            failing = []
            for a, held in enumerate(self.held):
                if not any(held):
                    continue
                slack = sum(t * q * p for t, q, p in zip(self.thresholds, held, marks, strict=True)) - self.debt[a]
                gross = sum(q * p for q, p in zip(held, marks, strict=True))
                self.nearest = min(self.nearest, abs(slack) / (gross + self.debt[a]))
                if slack <= TIE * gross:
                    failing.append(a)
            if not failing:
                return
            self.rounds += 1
            pushed = [self.pushed(m) for m in range(len(self.markets))]
            for a in failing:
                self.liquidate(a, marks, pushed)
            self.extremes()


def cascade(markets, shock, *loans, **more):
    """-> the LoanRun; it changes `markets`."""
    return LoanRun(*loans, markets, **more).shocked(shock)


def path(markets, returns, dt, *loans, **more):
    """-> the LoanRun of one path; `returns` are log moves, a row a step and a column a market."""
    return LoanRun(*loans, markets, **more).walked(returns, dt)
