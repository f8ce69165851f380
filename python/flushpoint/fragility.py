"""How fragile a book is: figures of what a move would set off, a traffic light, and the surface of shock and depth."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flushpoint import _core
from flushpoint._validate import FloatArray, check, number, positive, read_only, real_array, restore
from flushpoint._validate import threads as check_threads
from flushpoint.book import Book, Side
from flushpoint.impact import SquareRootImpact
from flushpoint.market import Market
from flushpoint.outcome import frozen
from flushpoint.report import plain
from flushpoint.response import Response, check_mapped, response, tips_at
from flushpoint.stress import stress

Light = Literal["green", "amber", "red"]

#: An ordinary fall, in standard deviations of a day's log return.
ORDINARY_DEVIATIONS = 2.0
#: Red: what the next stretch of the fall forces to be sold pushes the price on by as much, and it goes on of itself.
RED_REPRODUCTION_NUMBER = 1.0
#: Red: what a reproduction number of 0.2 all the way gives, 1/(1 - 0.2); 0.1 to 0.2 were measured in flight in the fall
#: of 10 October 2025 (arXiv 2608.03616).
RED_AMPLIFICATION = 1.25
#: Amber: this share of the way to red.
AMBER_SCORE = 0.5
#: Standard deviation of a day's log return where neither the caller nor the impact tells it: about bitcoin's.
DAILY_VOLATILITY = 0.03

_GRID = 200  # prices each side
_FARTHEST = 7.0  # in log price
_LARGEST = 10  # positions whose share is told
_LEAST_WIDTH = 1e-9
_LEAST_VOLATILITY = 1e-6
_PAYMENTS = 3  # a day, every eight hours


@dataclass(frozen=True, eq=False, repr=False)
class SideFragility:
    """The figures of one side of a book; longs answer falls, shorts answer rises.

    Attributes
    ----------
    open_interest : float
        Quantity x price, quote units.
    reproduction_number : float
        At the market's price; see `Response.reproduction_number`.
    largest_reproduction_number, largest_reproduction_price : float
        The greatest value at any price from the market's to the end of the grid, and the nearest price that has it.
    tipping_shock, largest_tipping_shock : float
        The relative move to the first tipping point that counts, and to the one of them of most notional; nan without
        any. Of `Response.tipping_points` those count whose run moves log price by `width` or more: in a book of many
        positions any two neighbours are a run.
    at_risk : ndarray of float64, shape (within,)
        Open interest whose trigger lies within each relative distance of the price, stop orders included, quote units.
    days_to_cover : ndarray of float64, shape (within,)
        at_risk / daily volume, as is said of short interest; nan where the volume is not known.
    concentration : float
        Herfindahl's index of the positions' quantities, the sum of squared shares (Herfindahl 1950): 1 / n for n
        equal positions; nan without positions. Rows are taken for traders, which those of an inferred book are not.
    largest_share : float
        Share of the ten largest positions in the quantity; nan without positions.
    leverage : float
        Effective leverage, sum of quantity x price over sum of margin left, where quantity x
        |price - bankruptcy price| is left of a position's margin, profit and loss in it (linear contracts). Over
        positions that can trigger; nan where bankruptcy prices are not known.
    funding_paid : float
        What the side pays a day as a share of its margin left, by the rule of `Funding`: sum of quantity x bankruptcy
        price x ((1 + funding_rate)^3 - 1), shorts the negative of it; nan where rate or bankruptcy prices are not
        known.
    """

    open_interest: float
    reproduction_number: float
    largest_reproduction_number: float
    largest_reproduction_price: float
    tipping_shock: float
    largest_tipping_shock: float
    at_risk: FloatArray
    days_to_cover: FloatArray
    concentration: float
    largest_share: float
    leverage: float
    funding_paid: float

    __setstate__ = restore

    def to_dict(self) -> dict[str, Any]:
        """Return the figures under the same names as values that JSON can hold; what is not finite becomes None."""
        return _as_dict(self)

    def __repr__(self) -> str:
        return f"<SideFragility: reproduction number {self.reproduction_number:.3g} now>"


@dataclass(frozen=True, eq=False, repr=False)
class Fragility:
    """How fragile a book is in its market; made by `fragility`, and said in words when printed.

    Attributes
    ----------
    price : float
        The market's, quote units per base unit.
    positions : int
    long, short : SideFragility
    prices, reproduction_number : ndarray of float64, shape (n,)
        A grid of prices, evenly spaced in log price, as far up as down; and the reproduction number at each, of longs
        up to the market's price, of shorts above.
    width : float
        Log price over which a reproduction number looks, and the least move that makes a tipping point count.
    shocks : ndarray of float64, shape (m,)
        Relative moves.
    final_price, amplification, liquidated_notional : ndarray of float64, shape (m,)
        Of each shock, as in `stress`.
    within : ndarray of float64, shape (k,)
        Relative distances of triggers from the price.
    imbalance : ndarray of float64, shape (k,)
        (longs - shorts) / (longs + shorts) of `at_risk`, from -1 to 1, nan where both are 0 (ours): towards 1 what
        is crowded close to the price is long.
    leverage_ratio : float
        Open interest, of the larger side, / market_value; nan where that is not known.
    trigger_drift : float
        Log move of every trigger price a day by funding, 3 ln(1 + funding_rate), after the rule of `Funding`: positive
        moves longs' triggers towards the price, and shorts' away; nan where the rate is not known.
    daily_volatility : float
        Standard deviation of a day's log return.
    ordinary_fall : float
        Relative move of ``ORDINARY_DEVIATIONS`` daily standard deviations down.
    ordinary_amplification, ordinary_reproduction_number : float
        Its amplification, and the largest reproduction number of longs at any price on the way.
    score : float
        How far towards red, as `fragility` says: 1 and more is red.
    """

    price: float
    positions: int
    long: SideFragility
    short: SideFragility
    prices: FloatArray
    reproduction_number: FloatArray
    width: float
    shocks: FloatArray
    final_price: FloatArray
    amplification: FloatArray
    liquidated_notional: FloatArray
    within: FloatArray
    imbalance: FloatArray
    leverage_ratio: float
    trigger_drift: float
    daily_volatility: float
    ordinary_fall: float
    ordinary_amplification: float
    ordinary_reproduction_number: float
    score: float

    __setstate__ = restore

    @property
    def light(self) -> Light:
        """Red, amber or green: what an ordinary fall would set off, not whether one comes."""
        return light_of(self.score)

    def to_dict(self) -> dict[str, Any]:
        """Return all figures under the same names as values that JSON can hold; what is not finite becomes None."""
        return {**_as_dict(self), "light": self.light}

    def __repr__(self) -> str:
        return f"<Fragility: {self.light}, score {self.score:.3g}, {self.positions:,} positions>"

    def __str__(self) -> str:
        long, short = self.long, self.short
        lines = [
            f"fragility of {self.positions:,} positions at {self.price:,.6g}: {self.light} (score {self.score:.2f})",
            f"  an ordinary fall, {self.ordinary_fall:.2%} ({ORDINARY_DEVIATIONS:g} daily standard deviations of "
            f"{self.daily_volatility:.2%}), is amplified {self.ordinary_amplification:.3g} times,",
            f"    with a reproduction number of {self.ordinary_reproduction_number:.3g} at most on the way",
            f"  reproduction number: {long.reproduction_number:.3g} down and {short.reproduction_number:.3g} up now; "
            f"at most {_peak(long)} down, {_peak(short)} up",
            f"  tipping points that move the price by {self.width:.2%}: {_tips(long)} down, {_tips(short)} up",
        ]
        rows = zip(self.shocks, self.final_price, self.amplification, self.liquidated_notional, strict=True)
        for shock, final, amplification, notional in rows:
            lines.append(
                f"  shock {shock:+.2%}: on to {final:,.6g}, amplified {amplification:.3g} times, "
                f"notional {notional:,.4g} liquidated"
            )
        for k, share in enumerate(self.within):
            text = f"  at risk within {share:.2%}: longs {long.at_risk[k]:,.4g}, shorts {short.at_risk[k]:,.4g}"
            if not np.isnan(self.imbalance[k]):
                text += f", imbalance {self.imbalance[k]:+.2f}"
            if not np.isnan(long.days_to_cover[k]):
                text += f"; {long.days_to_cover[k]:.2g} and {short.days_to_cover[k]:.2g} days of volume"
            lines.append(text)
        known = {name: one for name, one in (("longs", long), ("shorts", short)) if one.open_interest > 0}
        if known:
            held = ", ".join(f"{_LARGEST} largest {name} hold {one.largest_share:.1%}" for name, one in known.items())
            lines.append(f"  {held}")
        levered = [f"{name} {one.leverage:.3g}" for name, one in known.items() if not np.isnan(one.leverage)]
        if levered:
            lines.append(f"  effective leverage: {', '.join(levered)}")
        if not np.isnan(self.leverage_ratio):
            lines.append(f"  open interest / market value: {self.leverage_ratio:.3g}")
        if not np.isnan(self.trigger_drift):
            text = f"  funding moves triggers by {self.trigger_drift:+.3%} a day"
            if not np.isnan(long.funding_paid):
                text += f"; longs pay {long.funding_paid:.3%} of their margin left, by the rule of `Funding`"
            lines.append(text)
        return "\n".join(lines)


@dataclass(frozen=True, eq=False, repr=False)
class TippingSurface:
    """What shocks of many sizes do in markets of many depths; made by `tipping_surface`.

    Attributes
    ----------
    shocks : ndarray of float64, shape (m,)
        Relative moves.
    liquidity : ndarray of float64, shape (k,)
        Factors on the available liquidity.
    final_price, amplification, liquidated_notional : ndarray of float64, shape (k, m)
        As in `stress`: a row each liquidity, a column each shock.
    tipping_shock : ndarray of float64, shape (k,)
        The smallest shock, of any size, at which the book tips at each liquidity; nan where it does not.
    width : float
        The least log move that makes a tipping point count.
    """

    shocks: FloatArray
    liquidity: FloatArray
    final_price: FloatArray
    amplification: FloatArray
    liquidated_notional: FloatArray
    tipping_shock: FloatArray
    width: float

    __setstate__ = restore

    def to_dict(self) -> dict[str, Any]:
        """Return all figures under the same names as values that JSON can hold; what is not finite becomes None."""
        return _as_dict(self)

    def __repr__(self) -> str:
        tips = np.count_nonzero(~np.isnan(self.tipping_shock))
        return f"<TippingSurface: {self.liquidity.size:,} depths, {self.shocks.size:,} shocks; {tips:,} depths tip>"


def fragility(
    book: Book,
    market: Market,
    *,
    shocks: ArrayLike = (-0.05, -0.10, -0.20),
    within: ArrayLike = (0.01, 0.02, 0.05, 0.10),
    width: float = 0.01,
    market_value: float | None = None,
    funding_rate: float | None = None,
    daily_volume: float | None = None,
    daily_volatility: float | None = None,
    threads: int = 0,
) -> Fragility:
    """Gather what says how fragile a book is, and show a traffic light.

    The light says what an ordinary fall would set off. It does not say whether one comes. With the fall
    f = 2 x daily_volatility of log price, its score is the greatest of three (ours):

    - the largest reproduction number at any price on the way, over 1;
    - amplification of the fall - 1, over 0.25;
    - f over the log distance of the first tipping point down that counts; 0 without one.

    From 1 on it is red, from 0.5 on amber, else green. A reproduction number of 1 is where a fall feeds itself; an
    amplification of 1.25 is what one of 0.2 all the way gives, the upper end of what was measured in flight in the fall
    of 10 October 2025 (arXiv 2608.03616); a tipping point closer than f is one that an ordinary fall reaches. None of
    it was fitted to what followed; ``docs/fragility.md`` shows what did.

    Parameters
    ----------
    book : Book
        No position may be crossed at the market's price; see `Book.alive`.
    market : Market
        Without `Support`, as for `response`.
    shocks : array_like, shape (m,), default (-0.05, -0.10, -0.20)
        Relative price moves, above -1 and not 0. The largest in log price, or the ordinary fall twice if that is
        larger, but 7 at most, is how far the grid of reproduction numbers reaches.
    within : array_like, shape (k,), default (0.01, 0.02, 0.05, 0.10)
        Relative distances of triggers from the price, above 0 and below 1.
    width : float, default 0.01
        Log price, at least 1e-9: over which a reproduction number looks, and the least move that makes a tipping point
        count.
    market_value : float, optional
        Of all units of what is traded, quote units; for the leverage ratio.
    funding_rate : float, optional
        Share of notional that longs pay shorts every eight hours, above -1: 0.0001 is one basis point.
    daily_volume : float, optional
        Traded in a day, quote units; by default that of a `SquareRootImpact`. For days to cover alone.
    daily_volatility : float, optional
        Standard deviation of a day's log return, from 1e-6 to 1; by default that of a `SquareRootImpact` that lies
        there, and 0.03 otherwise, which is about bitcoin's.
    threads : int, default 0
        0 for all processors, or FLUSHPOINT_NUM_THREADS of them.

    Returns
    -------
    Fragility

    Raises
    ------
    TypeError, ValueError
        Naming the argument, the rule and the value; where positions are already crossed at the market's price, with
        their number; where the market has support.

    Examples
    --------
    >>> book = Book([1, 1, -1], [4.0, 8.0, 5.0], [97.0, 96.5, 108.0])
    >>> f = fragility(book, Market(100.0, LinearImpact(0.003)), daily_volatility=0.02)
    >>> f.light, round(f.long.tipping_shock, 3), f.amplification.round(2)
    ('red', -0.03, array([1.7 , 1.34, 1.16]))
    """
    r = response(book, market, threads=check_threads(threads))
    moves = _row("shocks", shocks)
    check("shocks", moves, (moves > -1) & (moves != 0) & np.isfinite(moves), "above -1, finite and not 0")
    distances = _row("within", within)
    check("within", distances, (distances > 0) & (distances < 1), "above 0 and below 1")
    step = number("width", width, at_least=_LEAST_WIDTH, at_most=1)
    value = np.nan if market_value is None else number("market_value", market_value, above=0)
    rate = np.nan if funding_rate is None else number("funding_rate", funding_rate, above=-1)
    volume = _daily_volume(market, daily_volume)
    deviation = _daily_volatility(market, daily_volatility)

    fall = ORDINARY_DEVIATIONS * deviation
    ordinary = float(_core.exp(np.array([-fall]))[0]) - 1
    s = stress(book, market, np.append(moves, ordinary), threads=threads)
    reach = min(max(2 * fall, float(np.abs(_core.log(1 + moves)).max())), _FARTHEST)
    prices = market.price * _core.exp(np.linspace(-reach, reach, 2 * _GRID + 1))
    prices[_GRID] = market.price
    long, short = (_of_side(r, shorts, reach, step, distances, volume, rate) for shorts in (False, True))
    both = long.at_risk + short.at_risk
    with np.errstate(invalid="ignore"):
        imbalance = (long.at_risk - short.at_risk) / both
    amplified = float(s.amplification[-1])
    largest = _largest(r, False, fall, step)[0]
    return Fragility(
        price=market.price,
        positions=len(book),
        long=long,
        short=short,
        prices=frozen(prices),
        reproduction_number=frozen(np.asarray(r.reproduction_number(prices, step))),
        width=step,
        shocks=moves,
        final_price=frozen(s.final_price[:-1]),
        amplification=frozen(s.amplification[:-1]),
        liquidated_notional=frozen(s.liquidated_notional[:-1]),
        within=distances,
        imbalance=frozen(imbalance),
        leverage_ratio=max(long.open_interest, short.open_interest) / value,
        trigger_drift=_PAYMENTS * _log(1 + rate),
        daily_volatility=deviation,
        ordinary_fall=ordinary,
        ordinary_amplification=amplified,
        ordinary_reproduction_number=largest,
        score=_score(fall, largest, amplified, long.tipping_shock),
    )


def light_of(score: float) -> Light:
    """Return the colour of a score."""
    return "red" if score >= 1 else "amber" if score >= AMBER_SCORE else "green"


def _score(fall: float, reproduction_number: float, amplification: float, tipping_shock: float) -> float:
    """How far an ordinary fall, of log price, leads towards red; 1 is red."""
    distance = -_log(1 + tipping_shock)
    return max(
        reproduction_number / RED_REPRODUCTION_NUMBER,
        (amplification - 1) / (RED_AMPLIFICATION - 1),
        0.0 if np.isnan(distance) else fall / distance,
    )


def tipping_surface(
    book: Book,
    market: Market,
    shocks: ArrayLike,
    liquidity: ArrayLike,
    *,
    width: float = 0.01,
    threads: int = 0,
) -> TippingSurface:
    """Work out what each shock does at each depth, and where the book tips.

    Parameters
    ----------
    book : Book
        No position may be crossed at the market's price; see `Book.alive`.
    market : Market
        Without `Support`, as for `response`.
    shocks : array_like, shape (m,)
        Relative price moves, strictly increasing or decreasing: all falls, above -1, or all rises.
    liquidity : array_like, shape (k,)
        Factors on the available liquidity, positive, strictly increasing or decreasing: 0.5 is half as deep.
    width : float, default 0.01
        The least log move by which a run of positions makes a tipping point count, at least 0; with 0 all of
        `Response.tipping_points` count.
    threads : int, default 0
        0 for all processors, or FLUSHPOINT_NUM_THREADS of them.

    Returns
    -------
    TippingSurface

    Raises
    ------
    TypeError, ValueError
        As `fragility`.

    Examples
    --------
    >>> book = Book(+1, [10.0, 10.0], [92.0, 90.5])
    >>> s = tipping_surface(book, Market(100.0, LinearImpact(0.003)), [-0.05, -0.08], [0.5, 1.0, 2.0])
    >>> s.liquidated_notional
    array([[   0., 1825.],
           [   0., 1825.],
           [   0.,  920.]])
    >>> s.tipping_shock
    array([-0.08, -0.08,   nan])
    """
    workers = check_threads(threads)
    check_mapped(book, market)
    moves, depths = _row("shocks", shocks), _row("liquidity", liquidity)
    check("shocks", moves, np.sign(moves) == np.sign(moves[0]), "all falls or all rises")
    check("shocks", moves, (moves > -1) & (moves != 0) & np.isfinite(moves), "above -1, finite and not 0")
    positive("liquidity", depths)
    for name, row in (("shocks", moves), ("liquidity", depths)):
        steps = np.diff(row)
        check(name, row, np.append(True, steps * (steps[:1] if steps.size else 1.0) > 0), "strictly in order")
    step = number("width", width, at_least=0, at_most=1)
    s = stress(book, market, moves, liquidity=depths[:, None], threads=threads)
    shape = (depths.size, moves.size)
    shorts = bool(moves[0] > 0)
    side = book.short if shorts else book.long
    found = [tips_at(side, market, shorts, float(depth), workers) for depth in depths]
    tipping = np.array([_tipping_shocks(*points, step)[0] for points in found])
    return TippingSurface(
        shocks=moves,
        liquidity=depths,
        final_price=frozen(s.final_price.reshape(shape)),
        amplification=frozen(s.amplification.reshape(shape)),
        liquidated_notional=frozen(s.liquidated_notional.reshape(shape)),
        tipping_shock=frozen(tipping),
        width=step,
    )


def _of_side(
    r: Response, shorts: bool, reach: float, width: float, within: FloatArray, volume: float, rate: float
) -> SideFragility:
    """Work out the figures of one side."""
    price = r.market.price
    side = r.book.short if shorts else r.book.long
    now = np.nextafter(price, np.inf) if shorts else price  # at the price itself it is the longs that answer
    largest, largest_price = _largest(r, shorts, reach, width)
    first, most = _tipping_shocks(*r._tips(shorts), width)
    edges = price * (1 + within if shorts else 1 - within)
    at_risk = side.cumulative_quantity[_core.crossed(side._engine, shorts, edges)] * price
    quantity = side.cumulative_quantity[-1]
    shares = np.sort(side.quantity)[::-1] / quantity if len(side) else np.array([np.nan])
    leverage, paid = _margin_left(side, shorts, price, rate)
    return SideFragility(
        open_interest=float(quantity * price),
        reproduction_number=float(r.reproduction_number(now, width)),
        largest_reproduction_number=largest,
        largest_reproduction_price=largest_price,
        tipping_shock=first,
        largest_tipping_shock=most,
        at_risk=frozen(at_risk),
        days_to_cover=frozen(at_risk / volume),
        concentration=float((shares * shares).sum()),
        largest_share=float(shares[:_LARGEST].sum()),
        leverage=leverage,
        funding_paid=paid,
    )


def _largest(r: Response, shorts: bool, reach: float, width: float) -> tuple[float, float]:
    """Return the largest reproduction number within `reach` of log price, and the nearest price that has it."""
    price, side = r.market.price, r.book.short if shorts else r.book.long
    sign = 1.0 if shorts else -1.0
    # As the price moves on, what is triggered up to it lessens the number, and what comes into sight raises it: the
    # largest is at the price itself or where a trigger is just in sight.
    seen = side.trigger_price[: side._live] * _core.exp(np.array([-sign * width]))
    now = np.nextafter(price, np.inf) if shorts else price
    end = price * _core.exp(np.array([sign * reach]))[0]
    prices = np.append(now, seen[(sign * (seen - now) > 0) & (sign * (seen - end) <= 0)])
    numbers = np.asarray(r.reproduction_number(prices, width))
    k = int(np.nanargmax(numbers))  # nan where the depth is used up before
    return float(numbers[k]), float(prices[k])


def _tipping_shocks(points: NDArray[np.void], jumps: FloatArray, width: float) -> tuple[float, float]:
    """Return the shocks that lead to the first tipping point that counts, and to that of most notional, or nan."""
    points = points[jumps >= width]
    if not points.size:
        return np.nan, np.nan
    return float(points["shock"][0]), float(points["shock"][np.argmax(points["notional"])])


def _margin_left(side: Side, shorts: bool, price: float, rate: float) -> tuple[float, float]:
    """Return a side's effective leverage, and the share of its margin left that funding takes a day."""
    live = slice(side._live)
    if side.bankruptcy_price is None or not side._live:
        return np.nan, np.nan
    quantity, bankruptcy = side.quantity[live], side.bankruptcy_price[live]
    sign = -1.0 if shorts else 1.0
    left = sign * float((quantity * (price - bankruptcy)).sum())
    if not left > 0:
        return np.nan, np.nan
    paid = sign * float((quantity * bankruptcy).sum()) * (math.prod([1 + rate] * _PAYMENTS) - 1)
    return float(quantity.sum()) * price / left, paid / left


def _daily_volume(market: Market, given: float | None) -> float:
    """Volume of a day, quote units; nan where it is not known."""
    if given is not None:
        return number("daily_volume", given, above=0)
    return market.impact.daily_volume * market.price if isinstance(market.impact, SquareRootImpact) else np.nan


def _daily_volatility(market: Market, given: float | None) -> float:
    """Standard deviation of a day's log return."""
    if given is not None:
        return number("daily_volatility", given, at_least=_LEAST_VOLATILITY, at_most=1)
    own = market.impact.daily_volatility if isinstance(market.impact, SquareRootImpact) else 0.0
    return own if _LEAST_VOLATILITY <= own <= 1 else DAILY_VOLATILITY


def _log(value: float) -> float:
    return float(_core.log(np.array([value]))[0])


def _row(name: str, values: ArrayLike) -> FloatArray:
    """Return a copy in one dimension with at least one entry, read-only."""
    array = np.array(real_array(name, values))
    if array.ndim != 1 or not array.size:
        raise ValueError(f"{name} must have one dimension and an entry, was of shape {array.shape}")
    read_only(array)
    return array


def _as_dict(figures: Any) -> dict[str, Any]:
    values = {field.name: getattr(figures, field.name) for field in fields(figures)}
    out: dict[str, Any] = plain(
        {name: value.to_dict() if isinstance(value, SideFragility) else value for name, value in values.items()}
    )
    return out


def _peak(side: SideFragility) -> str:
    return f"{side.largest_reproduction_number:.3g} (at {side.largest_reproduction_price:,.6g})"


def _tips(side: SideFragility) -> str:
    if np.isnan(side.tipping_shock):
        return "none"
    return f"first at {side.tipping_shock:+.2%}, largest at {side.largest_tipping_shock:+.2%}"
