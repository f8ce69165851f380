"""Adaptive multilevel splitting of random walks, one path and one step after the other."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.stats import norm


def split(
    particles: int,
    fresh: Callable[[int], list[list[float]]],
    chosen: Callable[[], int],
    prices: Callable[[list[float]], list[float]],
    goal: float,
    block: int = 1,
) -> float:
    """Probability that a price of a path falls to `goal`; paths are lists of returns, `chosen` a fresh whole number."""

    def scores(path: list[float]) -> list[float]:
        seen = prices(path)
        return [-math.log(price / goal) / math.sqrt(len(seen) - t) for t, price in enumerate(seen)]

    paths = fresh(particles)
    probability = 1.0
    while True:
        best = [max(scores(path)) for path in paths]
        level = sorted(best)[math.ceil(0.25 * particles) - 1]
        if level >= 0:
            return probability * sum(one >= 0 for one in best) / particles
        kept = [i for i in range(particles) if best[i] > level]
        lost = [i for i in range(particles) if best[i] <= level]
        probability *= len(kept) / particles
        if not kept:
            return 0.0
        parents = [paths[kept[chosen() % len(kept)]] for _ in lost]
        for i, parent, new in zip(lost, parents, fresh(len(lost)), strict=True):
            since = next(t for t, score in enumerate(scores(parent)) if score > level)
            since = math.ceil(since / block) * block
            paths[i] = parent[:since] + new[since:]


def lowest_of_walk(deviation: float, mean: float, barrier: float, steps: int, per_deviation: int = 20) -> float:
    """Probability that a walk with normal steps is at or below a barrier after any of them.

    The density of those still above moves from step to step on a grid; every term is positive, so that the error is
    relative: 4e-5 for 20 points a deviation.
    """
    width = deviation / per_deviation
    there = barrier + width * (np.arange(int((9 * deviation * math.sqrt(steps) - barrier) / width)) + 0.5)
    reach = 9 * per_deviation
    kernel = norm.pdf(np.arange(-reach, reach + 1) * width, mean, deviation) * width
    density = norm.pdf(there, mean, deviation) * width
    falls = norm.cdf(barrier - there, mean, deviation)
    out = float(norm.cdf(barrier, mean, deviation))
    for _ in range(steps - 1):
        out += float(density @ falls)
        density = np.convolve(density, kernel)[reach : reach + there.size]
    return out
