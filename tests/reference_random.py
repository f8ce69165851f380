"""The random numbers of paths, written slowly from their published descriptions: integers and the math module only.

Philox4x32-10 (Salmon et al. 2011) seeds a xoshiro256++ (Blackman and Vigna 2019) for each path and use; normals are
Box and Muller's. Nothing here is shared with the package.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

WORD, HALF = 2**64 - 1, 2**32 - 1
YEAR = 365 * 86_400.0
RETURNS, JUMPS, EXTREMES, BLOCKS = 0, 1, 2, 5  # streams


def philox(counter: tuple[int, int, int, int], key: int) -> tuple[int, int, int, int]:
    k0, k1 = key & HALF, key >> 32
    a, b, c, d = counter
    for _ in range(10):
        left, right = 0xD2511F53 * a, 0xCD9E8D57 * c
        a, b, c, d = (right >> 32) ^ b ^ k0, right & HALF, (left >> 32) ^ d ^ k1, left & HALF
        k0, k1 = (k0 + 0x9E3779B9) & HALF, (k1 + 0xBB67AE85) & HALF
    return a, b, c, d


def xoshiro(state: list[int]) -> Iterator[int]:
    """xoshiro256++."""

    def rotated(x: int, k: int) -> int:
        return ((x << k) | (x >> (64 - k))) & WORD

    s = list(state)
    while True:
        yield (rotated((s[0] + s[3]) & WORD, 23) + s[0]) & WORD
        t = (s[1] << 17) & WORD
        s[2] ^= s[0]
        s[3] ^= s[1]
        s[1] ^= s[2]
        s[0] ^= s[3]
        s[2] ^= t
        s[3] = rotated(s[3], 45)


def key_of(seed: int) -> int:
    return int(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0])


def words(seed: int, path: int, stream: int) -> Iterator[int]:
    state = []
    for block in (0, 1):
        w = philox((path & HALF, path >> 32, stream, block), key_of(seed))
        state += [w[0] | w[1] << 32, w[2] | w[3] << 32]
    return xoshiro(state)


def part(word: int) -> float:
    """In [0, 1), on a grid of 2^-52."""
    return (word >> 12) * 2.0**-52


def normals(numbers: Iterator[int]) -> Iterator[float]:
    for word in numbers:
        radius = math.sqrt(-2 * math.log(1 - part(word)))
        turn = 2 * math.pi * part(next(numbers))
        yield radius * math.cos(turn)
        yield radius * math.sin(turn)


def extreme(seed: int, path: int, step: int) -> float:
    """The uniform number in (0, 1] from which the extreme within a step, counted from 1, is drawn."""
    w = philox((path & HALF, path >> 32, EXTREMES, step), key_of(seed))
    return 1 - part(w[0] | w[1] << 32)


def jumps(process: Any, seed: int, path: int, dt: float, steps: int) -> list[tuple[int, float]]:
    """Step (from 0) and standard normal of each jump, in order of time."""
    out: list[tuple[int, float]] = []
    numbers = words(seed, path, JUMPS)
    rate = process.jump_rate * dt / YEAR
    time = 0.0
    while rate > 0:
        time += -math.log(1 - part(next(numbers))) / rate
        if time > steps:
            break
        z = next(normals(numbers))
        out.append((min(int(time), steps - 1), z))
    return out


def returns(process: Any, seed: int, path: int, dt: float, steps: int, sign: int = 1) -> list[float]:
    """The log returns of one path; `sign` -1 for the mirror image of an antithetic pair."""
    kind = type(process).__name__
    numbers = words(seed, path, RETURNS)
    years = dt / YEAR
    if kind in ("GBM", "JumpDiffusion"):
        z = normals(numbers)
        mean, deviation = (process.drift - process.volatility**2 / 2) * years, process.volatility * math.sqrt(years)
        if kind == "JumpDiffusion":
            growth = math.exp(process.jump_mean + process.jump_volatility**2 / 2) - 1
            mean -= process.jump_rate * growth * years
        out = [mean + deviation * sign * next(z) for _ in range(steps)]
        if kind == "JumpDiffusion":
            for step, size in jumps(process, seed, path, dt, steps):
                out[step] += process.jump_mean + process.jump_volatility * sign * size
        return out
    if kind == "StudentT":
        v = process.degrees
        scale = process.volatility * math.sqrt(years * (v - 2) / v)
        out = []
        for _ in range(steps):
            u, turn = 1 - part(next(numbers)), 2 * math.pi * part(next(numbers))
            t = math.sqrt(v * math.expm1(-2 / v * math.log(u))) * math.cos(turn)
            out.append((process.drift - process.volatility**2 / 2) * years + scale * sign * t)
        return out
    if kind == "GARCH":
        variance = process.variance
        if variance is None:
            variance = process.omega / (1 - process.alpha - process.beta)
        out = []
        z = normals(numbers)
        for _ in range(steps):
            shock = math.sqrt(variance) * sign * next(z)
            out.append(process.drift + shock)
            variance = process.omega + process.alpha * shock**2 + process.beta * variance
        return out
    assert kind == "Bootstrap"
    size = len(process.returns)
    numbers = words(seed, path, BLOCKS)
    out = []
    while len(out) < steps:
        start = next(numbers) * size >> 64
        out += [process.drift + float(process.returns[(start + i) % size]) for i in range(process.block)]
    return out[:steps]
