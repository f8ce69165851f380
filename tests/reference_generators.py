"""The random number generators, written slowly from their published descriptions: integers instead of machine words.

Philox4x32-10 (Salmon et al. 2011) seeds a xoshiro256++ (Blackman and Vigna 2019) for each path and use; normals are
Box and Muller's. Nothing here is shared with the package.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

M32, M64 = 2**32 - 1, 2**64 - 1


def philox(counter: tuple[int, int, int, int], key: int) -> tuple[int, int, int, int]:
    a, b, c, d = counter
    k0, k1 = key & M32, key >> 32
    for _ in range(10):
        left, right = 0xD2511F53 * a, 0xCD9E8D57 * c
        a, b, c, d = (right >> 32) ^ b ^ k0, right & M32, (left >> 32) ^ d ^ k1, left & M32
        k0, k1 = (k0 + 0x9E3779B9) & M32, (k1 + 0xBB67AE85) & M32
    return a, b, c, d


def part(word: int) -> float:
    """In [0, 1), on a grid of 2^-52."""
    return (word >> 12) * 2.0**-52


class Xoshiro(Iterator[int]):
    """xoshiro256++."""

    def __init__(self, state: list[int]) -> None:
        self.s = list(state)

    def next(self) -> int:
        s = self.s
        total = (s[0] + s[3]) & M64
        out = (((total << 23) | (total >> 41)) + s[0]) & M64
        t = (s[1] << 17) & M64
        s[2] ^= s[0]
        s[3] ^= s[1]
        s[1] ^= s[2]
        s[0] ^= s[3]
        s[2] ^= t
        s[3] = ((s[3] << 45) | (s[3] >> 19)) & M64
        return out

    def __next__(self) -> int:
        return self.next()

    def part(self) -> float:
        """In [0, 1)."""
        return part(self.next())

    def uniform(self) -> float:
        """In (0, 1]."""
        return 1.0 - self.part()

    def normals(self) -> tuple[float, float]:
        radius = math.sqrt(-2.0 * math.log(self.uniform()))
        angle = 2.0 * math.pi * self.part()
        return radius * math.cos(angle), radius * math.sin(angle)


def key_of(seed: int) -> int:
    """What the engine makes of a seed."""
    return int(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0])


def generator(key: int, path: int, stream: int, lane: int = 0) -> Xoshiro:
    state = []
    for block in (2 * lane, 2 * lane + 1):
        w = philox((path & M32, path >> 32, stream, block), key)
        state += [w[0] | w[1] << 32, w[2] | w[3] << 32]
    return Xoshiro(state)
