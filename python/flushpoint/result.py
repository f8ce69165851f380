"""What all results share: a frozen mapping of read-only columns that knows what made it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from flushpoint import _core
from flushpoint._validate import read_only, restore

#: Number of the stream of results: raised whenever the same inputs give other bits than before.
STREAM = 1


class Result(Mapping[str, NDArray[Any]]):
    """A frozen mapping of names to read-only numpy columns; each name is an attribute, too.

    Attributes
    ----------
    seed : int, numpy.random.SeedSequence or None
        The seed that repeats the run; None where nothing is random.
    provenance : dict
        Version, stream number, question and arguments.
    """

    _names: ClassVar[tuple[str, ...]] = ()
    seed: int | np.random.SeedSequence | None
    provenance: dict[str, Any]

    def __init__(self, question: str, arguments: dict[str, Any], values: dict[str, Any]) -> None:
        self.__dict__.update(values)
        self.__dict__["seed"] = None
        self.__dict__["provenance"] = {
            "version": _core.__version__,
            "stream": STREAM,
            "question": question,
            "arguments": arguments,
        }

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{name} cannot be set: results are frozen")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{name} cannot be deleted: results are frozen")

    __setstate__ = restore

    def __getitem__(self, name: str) -> NDArray[Any]:
        if name not in self._names:
            raise KeyError(name)
        column = np.atleast_1d(getattr(self, name))
        read_only(column)
        return column

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Result) or type(self) is not type(other):
            return NotImplemented
        return all(np.array_equal(self[name], other[name], equal_nan=True) for name in self._names)

    __hash__ = None  # type: ignore[assignment]
