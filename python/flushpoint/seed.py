"""Seeds: what repeats a run, and the key that the engine takes."""

from __future__ import annotations

import numpy as np
from numpy.random import SeedSequence

from flushpoint._validate import integer

Seed = int | SeedSequence


def resolve(seed: object) -> tuple[Seed, int]:
    """Return the seed to keep in a result and the engine's key, from 0 to 2**64 - 1.

    Parameters
    ----------
    seed : int, numpy.random.SeedSequence or None
        An integer is at least 0; None draws fresh entropy.

    Returns
    -------
    kept : int or SeedSequence
        Repeats the run when given as the seed: an integer, or the SeedSequence itself where an integer cannot say what
        it is (one that was spawned, for instance).
    key : int
        The first 64 bits of the SeedSequence's state, which differ for seeds that differ in a single bit.

    Examples
    --------
    >>> resolve(7) == resolve(np.random.SeedSequence(7))
    True
    """
    if isinstance(seed, SeedSequence):
        sequence = seed
    elif seed is None:
        sequence = SeedSequence()
    else:
        sequence = SeedSequence(_whole_number(seed))
    entropy = sequence.entropy
    key = int(sequence.generate_state(1, np.uint64)[0])
    plain = not sequence.spawn_key and sequence.pool_size == SeedSequence(0).pool_size
    return (entropy if plain and isinstance(entropy, int) else sequence), key


def shown(seed: Seed) -> str:
    """Tell a seed in a few words."""
    return str(seed) if isinstance(seed, int) else "a SeedSequence"


def _whole_number(seed: object) -> int:
    rule = "seed must be an integer at least 0, a numpy SeedSequence or None"
    value = integer(rule, seed)
    if value < 0:
        raise ValueError(f"{rule}, was {value}")
    return value
