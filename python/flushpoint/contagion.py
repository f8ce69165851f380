"""Contagion: what a fall in one market forces to be sold in others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flushpoint import _core
from flushpoint._validate import FloatArray, number, read_only
from flushpoint.accounts import Accounts, check_questioned, per_market
from flushpoint.markets import Markets
from flushpoint.outcome import frozen
from flushpoint.result import Result
from flushpoint.settlement import NO_VENUE

#: Triggers and marks are told apart up to 1e-12 of themselves.
_LEAST_WIDTH = 1e-9


class ContagionResult(Result):
    """What a further move of each market alone would push each market by.

    As a mapping it holds the columns of `branching`, named "branching.BTC" for a move of BTC.

    Attributes
    ----------
    markets : tuple of str
        Names.
    price : ndarray of float64, shape (markets,)
        The marks from which markets move on, quote units per base unit.
    branching : ndarray of float64, shape (markets, markets)
        [i, j]: log displacement of market i by what a move in market j alone would force, per unit of the move.
    spectral_radius : float
        The largest absolute eigenvalue of `branching`: at 1 and above, moves feed themselves through all markets.
    """

    markets: tuple[str, ...]
    price: FloatArray
    branching: FloatArray
    spectral_radius: float

    def __getitem__(self, name: str) -> NDArray[Any]:
        if name not in self._names:
            raise KeyError(name)
        column: FloatArray = self.branching[:, self.markets.index(name.partition(".")[2])]
        read_only(column)
        return column

    def __repr__(self) -> str:
        return f"<ContagionResult: {len(self.markets):,} markets, spectral radius {self.spectral_radius:.4g}>"


def contagion(
    accounts: Accounts, markets: Markets, shock: ArrayLike | Mapping[str, float] = 0.0, width: float = 0.01
) -> ContagionResult:
    """Tell how moves of one market spread to others through accounts that hold both.

    With M the quantities that are closed of what is crossed at the marks, and M[j] those where market j alone has moved
    on by `width`, branching[i, j] = (g_i(M[j]) - g_i(M)) / width, g the displacement, cross impact included. In one
    market it is `Response.reproduction_number`; in several, the matrix of mean offspring of a branching process
    of many types, whose moves die out where its spectral radius is below 1 (Harris 1963, chapter II).

    Parameters
    ----------
    accounts : Accounts
    markets : Markets
    shock : array_like, default 0.0
        Where the marks stand, as moves from the markets' prices: one number, one a market, or a mapping of names.
    width : float, default 0.01
        The further move, log price, at least 1e-9 in size: a fall if positive, a rise if negative.

    Returns
    -------
    ContagionResult

    Examples
    --------
    >>> markets = Markets({n: Market(100.0, LinearImpact(0.02)) for n in ("A", "B")})
    >>> accounts = Accounts([0, 0], ["A", "B"], [1.0, 1.0], [100.0, 100.0], [1.5], MarginSchedule.flat(0.005))
    >>> contagion(accounts, markets).branching
    array([[2., 2.],
           [2., 2.]])
    """
    portfolio, markets = check_questioned(accounts, markets)
    moves = per_market("shock", shock, markets, 0.0)
    if moves.ndim != 1:
        raise ValueError(f"shock must be one number a market, was of shape {moves.shape}")
    step = number("width", width)
    if abs(step) < _LEAST_WIDTH:
        raise ValueError(f"width must be at least {_LEAST_WIDTH:g} in size, was {step}")
    price = markets.price * (1 + moves)
    if not ((moves > -1) & (price < np.inf)).all():
        raise ValueError(f"shock must be above -1, and leave prices finite, was {shock!r}")
    count = len(markets)
    marks = np.tile(price, (1 + count, 1))
    marks[1:][np.eye(count, dtype=bool)] *= _core.exp(np.array([-step]))[0]
    sold = _core.forced_quantity(portfolio.job(markets, NO_VENUE), marks.reshape(-1)).reshape(marks.shape)
    own = [
        _core.displacement(market._engine, np.ascontiguousarray(sold[:, m]))
        for m, market in enumerate(markets.markets.values())
    ]
    displaced = np.stack(own, -1) + np.stack([(markets._cross * row).sum(-1) for row in sold])
    with np.errstate(invalid="ignore"):  # inf - inf where the depth is used up before
        branching = (displaced[1:] - displaced[0]).T / step + 0.0  # no negative zero
    known = np.isfinite(branching).all()
    radius = float(np.abs(np.linalg.eigvals(branching)).max()) if known else np.inf
    return ContagionResult(
        "contagion",
        {"shock": moves, "width": step, "markets": markets, "accounts": len(portfolio.accounts)},
        {
            "_names": tuple(f"branching.{name}" for name in markets.names),
            "markets": markets.names,
            "price": frozen(price),
            "branching": frozen(branching),
            "spectral_radius": radius,
        },
    )
