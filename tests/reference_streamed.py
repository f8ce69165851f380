"""Figures of a column in plain loops, on exact fractions and sorted lists."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise


def known(values: Sequence[float]) -> list[float]:
    return [value for value in values if not math.isnan(value)]


def as_float(value: Fraction) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def root(value: Fraction) -> float:
    """Rounded once, whatever the square's size."""
    return as_float(Fraction(math.isqrt(value.numerator * 4**1200 // value.denominator), 2**1200))


def mean(values: Sequence[float]) -> float:
    there = known(values)
    if not there:
        return math.nan
    if any(map(math.isinf, there)):
        return sum(value for value in there if math.isinf(value))
    return as_float(sum(map(Fraction, there), Fraction(0)) / len(there))


def standard_deviation(values: Sequence[float]) -> float:
    there = known(values)
    if len(there) < 2 or any(map(math.isinf, there)):
        return math.nan
    centre = sum(map(Fraction, there), Fraction(0)) / len(there)
    return root(sum((Fraction(value) - centre) ** 2 for value in there) / (len(there) - 1))


def standard_error_of_pairs(values: Sequence[float]) -> float:
    """Of the mean where values 2k and 2k + 1 belong together."""
    there = known(values)
    centre = sum(map(Fraction, there), Fraction(0)) / len(there)
    off = []
    for first in range(0, len(values), 2):
        pair = known(values[first : first + 2])
        if pair:
            off.append(sum(Fraction(value) - centre for value in pair))
    n = len(off)
    return root(sum(one**2 for one in off) * n / (n - 1) / len(there) ** 2)


def quantile(values: Sequence[float], probability: float) -> float:
    """The smallest value that at least this share of values does not exceed; 0.1 is a tenth, not the double above."""
    there = sorted(known(values))
    share = Fraction(probability) * (1 - Fraction(1, 10**15))
    for rank, value in enumerate(there, 1):
        if Fraction(rank, len(there)) >= share:
            return value
    raise ValueError("no values")


def worst(values: Sequence[float], level: float) -> tuple[float, float]:
    """Mean, and mean size, of the worst share 1 - level of values, where high ones are bad."""
    there = sorted(known(values), reverse=True)
    left = (1 - Fraction(level)) * len(there)
    total = size = Fraction(0)
    for value in there:
        part = min(Fraction(1), left)
        total += part * Fraction(value)
        size += part * abs(Fraction(value))
        left -= part
    share = (1 - Fraction(level)) * len(there)
    return as_float(total / share), as_float(size / share)


def histogram(values: Sequence[float], edges: Sequence[float]) -> list[int]:
    """Values in each bin; one at an edge is in the bin farther from 0, 0 in the one above."""
    out = [0] * (len(edges) - 1)
    for value in known(values):
        for i, (low, high) in enumerate(pairwise(edges)):
            inside = low <= value < high if value >= 0 else low < value <= high
            out[i] += inside
    return out
