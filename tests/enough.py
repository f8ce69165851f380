"""Random cases until enough of each kind came up: which come depends, by way of hypothesis, on all source loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hypothesis import seed


def until_seen(
    compare: Callable[[], None], seen: Mapping[str, int], least: Mapping[str, int], rounds: int = 12
) -> None:
    """Call a test of given cases, which counts what it saw, with other cases each time."""
    for number in range(rounds):
        seed(number)(compare)()
        if all(seen[name] >= count for name, count in least.items()):
            return
    raise AssertionError(f"saw {dict(seen)} in {rounds} rounds, asked {dict(least)}")
