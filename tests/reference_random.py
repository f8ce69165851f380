"""The log returns of paths, drawn slowly from the generators with the math module only."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from reference_generators import M32, Xoshiro, generator, key_of, part, philox

YEAR = 365 * 86_400.0
RETURNS, JUMPS, EXTREMES, BLOCKS = 0, 1, 2, 5  # streams


def words(seed: int, path: int, stream: int) -> Xoshiro:
    return generator(key_of(seed), path, stream)


def normals(numbers: Xoshiro) -> Iterator[float]:
    while True:
        yield from numbers.normals()


def extreme(seed: int, path: int, step: int) -> float:
    """The uniform number in (0, 1] from which the extreme within a step, counted from 1, is drawn."""
    w = philox((path & M32, path >> 32, EXTREMES, step), key_of(seed))
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
    if kind == "BrownianBridge":
        z = normals(numbers)
        scale = process.volatility * math.sqrt(years)
        out, before = [], process.start
        for time, price in zip(process.time, process.price, strict=True):
            last = math.ceil(time / dt)
            n, strayed = last - len(out), 0.0
            for left in range(n, 0, -1):
                noise = math.sqrt((left - 1) / left) * scale * sign * next(z) - strayed / left
                strayed += noise
                out.append(math.log(price / before) / n + noise)
            before = price
        rest = -(process.volatility**2) / 2 * years
        out += [rest + scale * sign * next(z) for _ in range(steps - len(out))]
        return out[:steps]
    assert kind == "Bootstrap"
    size = len(process.returns)
    numbers = words(seed, path, BLOCKS)
    out = []
    while len(out) < steps:
        start = next(numbers) * size >> 64
        out += [process.drift + float(process.returns[(start + i) % size]) for i in range(process.block)]
    return out[:steps]
