"""Loans: accounts with collateral and debt, part of which a liquidator repays."""

from __future__ import annotations

from dataclasses import dataclass

from flushpoint._validate import number

EngineLoans = tuple[float, float, float, float, float]


@dataclass(frozen=True)
class LoanRule:
    """How loans are liquidated: the rule of closing of `Accounts` that are loans (`Accounts.from_loans`).

    With D the debt, q the quantities of collateral, P their marks and T each market's liquidation threshold, the health
    factor is sum T q P / D. Where it has fallen to 1, a liquidator repays R of the debt: `close_factor` D, or all of it
    where the health factor is at most `full_below`, or debt or collateral are less than `minimum`, or less than 1 % of
    the collateral is left. For it the liquidator takes collateral worth (1 + bonus) R at the marks, the same share of
    every position; where there is not as much, all, for which it repays value / (1 + bonus). Debt without collateral is
    a shortfall.

    Parameters
    ----------
    close_factor : float, default 0.5
        At least 0.01, at most 1.
    full_below : float, default 0.95
        Health factor, 0 to 1.
    bonus : float, default 0.05
        Share of what is repaid, at least 0.
    minimum : float, default 2000.0
        Quote units, at least 0.
    liquidator_sells : float, default 1.0
        Share of the collateral taken that the liquidator sells in its market in the same round, 0 to 1. It keeps the
        rest.

    Raises
    ------
    TypeError, ValueError
        Naming the argument, the rule and the value.

    Notes
    -----
    Health factor, close factor, bonus and the two defaults of size are those of Aave v3 (LiquidationLogic.sol, v3.7),
    which takes one kind of collateral at a time and leaves no less than half its minimum of it. Repaying lowers the
    health factor further where it is below T (1 + bonus): debt / collateral grows where debt / collateral x (1 + bonus)
    is above 1, a toxic spiral (Warmuz, Chaudhary and Pinna 2022).

    Examples
    --------
    >>> LoanRule(bonus=0.1)
    LoanRule(close_factor=0.5, full_below=0.95, bonus=0.1, minimum=2000.0, liquidator_sells=1.0)
    """

    close_factor: float = 0.5
    full_below: float = 0.95
    bonus: float = 0.05
    minimum: float = 2000.0
    liquidator_sells: float = 1.0

    def __post_init__(self) -> None:
        for name, value in {
            "close_factor": number("close_factor", self.close_factor, at_least=0.01, at_most=1),
            "full_below": number("full_below", self.full_below, at_least=0, at_most=1),
            "bonus": number("bonus", self.bonus, at_least=0),
            "minimum": number("minimum", self.minimum, at_least=0),
            "liquidator_sells": number("liquidator_sells", self.liquidator_sells, at_least=0, at_most=1),
        }.items():
            object.__setattr__(self, name, value)

    @property
    def _engine(self) -> EngineLoans:
        return (self.close_factor, self.full_below, self.bonus, self.minimum, self.liquidator_sells)
