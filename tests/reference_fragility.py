"""What `flushpoint.fragility` must tell, written slowly: plain loops over positions, and searches over many prices."""

from __future__ import annotations

import math
from typing import Any

import reference


def open_interest(book: reference.Positions, price: float, side: int) -> float:
    return sum(q * price for s, q in zip(book.side, book.quantity, strict=True) if s == side)


def at_risk(book: reference.Positions, price: float, side: int, within: float) -> float:
    edge = price * (1 - side * within)
    held = zip(book.side, book.quantity, book.trigger, strict=True)
    return sum(q * price for s, q, t in held if s == side and 0 < t < math.inf and side * t >= side * edge)


def concentration(book: reference.Positions, side: int) -> tuple[float, float]:
    """Sum of squared shares, and the share of the ten largest."""
    quantities = sorted((q for s, q in zip(book.side, book.quantity, strict=True) if s == side), reverse=True)
    if not quantities:
        return math.nan, math.nan
    total = sum(quantities)
    return sum((q / total) ** 2 for q in quantities), sum(quantities[:10]) / total


def margin(book: reference.Positions, price: float, side: int, rate: float) -> tuple[float, float]:
    """Effective leverage, and what three payments take of the margin left, each after the one before."""
    if book.bankruptcy is None:
        return math.nan, math.nan
    notional = left = paid = 0.0
    for s, q, t, b in zip(book.side, book.quantity, book.trigger, book.bankruptcy, strict=True):
        if s != side or not 0 < t < math.inf:
            continue
        notional += q * price
        left += side * q * (price - b)
        moved = b
        for _ in range(3):
            paid += side * rate * q * moved
            moved *= 1 + rate
    return (notional / left, paid / left) if left > 0 else (math.nan, math.nan)


def tipping_shocks(book: reference.Positions, market: reference.Venue, side: int, width: float) -> tuple[float, float]:
    """The shocks to the first run that moves the price by `width`, and to the one of most notional."""
    line = reference.steps(book, market, side)
    found = []
    for point in reference.tipping_points(book, market):
        if point["side"] != side or not 0 < point["price"] < math.inf:
            continue
        before = sum(book.quantity[k.position] for k in line if side * k.start > side * point["price"])
        after = before + point["quantity"]
        jump = market.displacement(side * after, side * after) - market.displacement(side * before, side * before)
        if side * jump >= width:
            found.append((point["notional"], point["shock"]))
    if not found:
        return math.nan, math.nan
    return found[0][1], max(found, key=lambda each: each[0])[1]


def largest_reproduction_number(
    book: reference.Positions, market: reference.Venue, side: int, reach: float, width: float
) -> float:
    """The largest at many prices, among them all at which a trigger comes into sight."""
    prices = [market.price * math.exp(-side * reach * i / 40) for i in range(41)]
    for s, t in zip(book.side, book.trigger, strict=True):
        if s == side and 0 < t < math.inf:
            seen = t * math.exp(side * width)
            prices += [seen * (1 - 1e-11), seen * (1 + 1e-11)]
    end = market.price * math.exp(-side * reach)
    inside = [p for p in prices if side * p <= side * market.price and side * p >= side * end]
    prices = [p for p in inside if side > 0 or p > market.price]
    prices += [] if side > 0 else [math.nextafter(market.price, math.inf)]
    return max(reference.reproduction_number(book, market, p, width) for p in prices)


def score(book: reference.Positions, market: reference.Venue, volatility: float, width: float) -> float:
    """How far two standard deviations down lead towards red."""
    fall = 2 * volatility
    outcome = reference.cascade(book, market, math.exp(-fall) - 1, money=False)
    tipping = tipping_shocks(book, market, 1, width)[0]
    return max(
        largest_reproduction_number(book, market, 1, fall, width),
        (outcome.amplification - 1) / 0.25,
        0.0 if math.isnan(tipping) else fall / -math.log(1 + tipping),
    )


def figures(book: reference.Positions, market: reference.Venue, side: int, given: dict[str, Any]) -> dict[str, Any]:
    """Everything that is told of one side."""
    price, reach = market.price, given["reach"]
    risk = [at_risk(book, price, side, x) for x in given["within"]]
    leverage, paid = margin(book, price, side, given["funding_rate"])
    herfindahl, ten = concentration(book, side)
    first, most = tipping_shocks(book, market, side, given["width"])
    now = price if side > 0 else math.nextafter(price, math.inf)
    return {
        "open_interest": open_interest(book, price, side),
        "reproduction_number": reference.reproduction_number(book, market, now, given["width"]),
        "largest_reproduction_number": largest_reproduction_number(book, market, side, reach, given["width"]),
        "tipping_shock": first,
        "largest_tipping_shock": most,
        "at_risk": risk,
        "days_to_cover": [x / given["daily_volume"] for x in risk],
        "concentration": herfindahl,
        "largest_share": ten,
        "leverage": leverage,
        "funding_paid": paid,
    }
