"""What results of many scenarios or paths share: identity, joining, summary."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cached_property
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.random import SeedSequence
from numpy.typing import ArrayLike, NDArray

from flushpoint._validate import names as check_names
from flushpoint._validate import read_only
from flushpoint.result import Result
from flushpoint.seed import Seed, shown
from flushpoint.summary import Summary, exceedance, summarise

Ranges = tuple[tuple[int, int], ...]
_O = TypeVar("_O", bound="OfOneRun")
_E = TypeVar("_E", bound="Ensemble")


class OfOneRun:
    """What results of some paths of a run share: they know the run, and join with those of its other paths."""

    seed: Seed | None
    provenance: dict[str, Any]

    @cached_property
    def id(self) -> str:
        """SHA-256, in hexadecimal digits, of question, arguments, seed and stream: of all but the paths."""
        return _digest(list(self._identity.items()))

    @property
    def _identity(self) -> dict[str, Any]:
        made = self.provenance
        return {
            "question": made["question"],
            "stream": made["stream"],
            "seed": self.seed,
            **{f"the argument {name}": value for name, value in made["arguments"].items()},
        }

    @property
    def _count(self) -> int:
        """How many paths."""
        return sum(stop - start for start, stop in self.provenance["paths"])

    @property
    def _antithetic(self) -> bool:
        return bool(self.provenance["arguments"].get("antithetic", False))

    def __add__(self: _O, other: object) -> _O:
        """Join two path ranges of one run, in order of the path.

        Raises
        ------
        ValueError
            Where the two differ in anything but their paths, or share a path.
        """
        if not isinstance(other, OfOneRun):
            return NotImplemented
        if type(self) is not type(other) or self.id != other.id:
            raise ValueError(f"results to join must be of one run, differ in {_difference(self, other)}")
        ranges = _united(self.provenance["paths"] + other.provenance["paths"])
        return self._of_paths(ranges, {"id": self.id, **self._join(other)})

    def _of_paths(self: _O, ranges: Ranges, values: dict[str, Any]) -> _O:
        """Return the result of the same run with these values on other paths."""
        raise NotImplementedError

    def _join(self: _O, other: _O) -> dict[str, Any]:
        """Return the values of the joined result."""
        raise NotImplementedError

    @property
    def _seeded(self) -> str:
        """What a repr says of the seed."""
        return "" if self.seed is None else f", seed {shown(self.seed)}"


class Ensemble(OfOneRun, Result):
    """A result whose columns have one value a scenario or path, in order of the path.

    Parameters
    ----------
    question : str
        The function that was asked.
    arguments : dict
        Everything but seed and path range that affects the answer, whole: the book itself, the market, the process.
    values : dict
        Columns and whatever else the subclass keeps.
    seed : int, SeedSequence or None
    ranges : tuple of (start, stop)
        The paths that the rows stand for, in ascending order.

    Attributes
    ----------
    seed, provenance
        As in every result; ``provenance["paths"]`` is the tuple of path ranges.
    """

    #: Columns in which low values are the bad ones; in all others high values are.
    _low_is_bad: ClassVar[frozenset[str]] = frozenset({"final_price", "low_price", "surplus", "fund_end"})
    #: Columns that a result can be asked for though its mapping may not hold them; as `_names`, each knows its own.
    _on_demand: ClassVar[tuple[str, ...]] = ()
    #: Attributes besides the columns that belong to the question as a whole; a joined result keeps the left one's.
    _shared: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        question: str,
        arguments: dict[str, Any],
        values: dict[str, Any],
        seed: Seed | None,
        ranges: Ranges,
    ) -> None:
        super().__init__(question, arguments, values, seed)
        self.provenance["paths"] = ranges
        for name in self._names:
            read_only(values.get(name))

    @property
    def _pairs(self) -> NDArray[np.int64] | None:
        """Of antithetic paths, which pair each belongs to; None where paths are independent."""
        if not self._antithetic:
            return None
        return np.concatenate([np.arange(start, stop) for start, stop in self.provenance["paths"]]) // 2

    def _of_paths(self: _E, ranges: Ranges, values: dict[str, Any]) -> _E:
        made = object.__new__(type(self))
        names = {"_names": self._names, "_on_demand": self._on_demand}
        told = self.provenance
        Ensemble.__init__(made, told["question"], told["arguments"], {**names, **values}, self.seed, ranges)
        return made

    def _join(self: _E, other: _E) -> dict[str, Any]:
        """Return the values of the joined result.

        Columns that would be worked out when first asked for are worked out now. A subclass in which that costs much,
        or which keeps more with one entry a path, joins its own state on top with `_rows`.
        """
        values = {name: getattr(self, name) for name in self._shared}
        return values | {name: self._rows(other, self[name], other[name]) for name in self._names}

    def _rows(self: _E, other: _E, mine: NDArray[Any], theirs: NDArray[Any]) -> NDArray[Any]:
        """Join two arrays with one entry a path (along the first axis), in order of the path."""
        parts = [*_parts(self.provenance["paths"], mine), *_parts(other.provenance["paths"], theirs)]
        return np.concatenate([part for _, part in sorted(parts, key=lambda found: found[0])])

    def summary(
        self,
        columns: Iterable[str] | None = None,
        levels: ArrayLike = (0.95, 0.99),
        confidence: float = 0.95,
    ) -> Summary:
        """Mean, quantiles, value at risk and expected shortfall of each column, each with its interval.

        Parameters
        ----------
        columns : iterable of str, optional
            All by default.
        levels : array_like, default (0.95, 0.99)
            Of value at risk and expected shortfall, above 0 and below 1.
        confidence : float, default 0.95
            Of the intervals, above 0 and below 1.

        Returns
        -------
        Summary
            A mapping of column to figures; printed, a table. `Summary` says how each figure is worked out.
        """
        return summarise(self, columns, levels, confidence, self._low_is_bad, self._pairs)

    def exceedance(self, column: str, values: ArrayLike | None = None, confidence: float = 0.95) -> NDArray[np.void]:
        """Probability that a column reaches each value.

        Parameters
        ----------
        column : str
            A column without nan.
        values : array_like, shape (n,), optional
            By default the distinct values of the column, or where those are more than 200, as many quantiles, evenly
            spaced in the logarithm of the probability.
        confidence : float, default 0.95
            Of the intervals (Clopper and Pearson 1934: they cover at least as often as they say), above 0 and below 1.

        Returns
        -------
        structured ndarray, shape (n,)
            ``value``, ``probability`` of a value at least as large, ``low`` and ``high`` ends of its interval.
        """
        return exceedance(self, column, values, confidence, self._pairs)

    def __repr__(self) -> str:
        ranges = self.provenance["paths"]
        some = ", ".join(_shown(*one) for one in ranges[:3]) + (", ..." if len(ranges) > 3 else "")
        return f"<{type(self).__name__}: {self._count:,} paths ({some}), {len(self)} columns{self._seeded}>"


def choice(columns: Sequence[str] | None, usual: tuple[str, ...], more: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Return which columns a result holds, the usual ones by default, and all that it can be asked for."""
    possible = tuple(dict.fromkeys((*usual, *more)))
    names = usual if columns is None else check_names("columns", columns, possible)
    return {"_names": names, "_on_demand": possible}


def _shown(start: int, stop: int) -> str:
    return f"{start} to {stop - 1}" if stop - start > 1 else f"{start}" if stop > start else "none"


def _parts(ranges: Ranges, column: NDArray[Any]) -> list[tuple[int, NDArray[Any]]]:
    """Split a column at the ends of its path ranges; each part with its first path."""
    ends = np.cumsum([stop - start for start, stop in ranges])
    return [(start, part) for (start, _), part in zip(ranges, np.split(column, ends[:-1]), strict=True)]


def _united(ranges: Ranges) -> Ranges:
    """Sort ranges and unite neighbours; raise where two overlap."""
    out: list[tuple[int, int]] = []
    for start, stop in sorted(one for one in ranges if one[0] < one[1]):
        if out and start < out[-1][1]:
            shared = _shown(start, min(stop, out[-1][1]))
            raise ValueError(f"results to join must have no path in common, both have {shared}")
        if out and start == out[-1][1]:
            out[-1] = (out[-1][0], stop)
        else:
            out.append((start, stop))
    return tuple(out) or ranges[:1]


def _difference(one: OfOneRun, other: OfOneRun) -> str:
    """Say in what two results differ, and how where that is short."""
    first, second = one._identity, other._identity
    for name in first | second:
        if (name in first) != (name in second):
            return f"{name}, which only one has"
        a, b = first[name], second[name]
        if _digest(a) != _digest(b):
            plain = all(value is None or isinstance(value, (bool, int, float, str)) for value in (a, b))
            return f"{name}: {a!r} and {b!r}" if plain else name
    return f"kind: {type(one).__name__} and {type(other).__name__}"


def _digest(value: object) -> str:
    """Hash a value by what it says, the same in every process and on every platform."""
    out = hashlib.sha256()
    _feed(out, value)
    return out.hexdigest()


def _feed(out: Any, value: object) -> None:
    # Every value starts with its kind and its length, so that no two run into each other.
    if value is None or isinstance(value, (bool, int, float, str, range, np.generic)):
        plain = value.item() if isinstance(value, np.generic) else value
        text = f"{type(plain).__name__}:{plain!r}".encode()
        out.update(f"{len(text)}:".encode() + text)
    elif isinstance(value, np.ndarray) and not value.dtype.hasobject:
        array = np.ascontiguousarray(value, dtype=value.dtype.newbyteorder("<"))
        _feed(out, f"array {array.dtype.str} {value.shape}")
        out.update(array.reshape(-1).view(np.uint8))
    elif isinstance(value, Mapping):
        _feed_all(out, "mapping", [item for pair in sorted(value.items()) for item in pair])
    elif isinstance(value, SeedSequence):
        _feed_all(out, "SeedSequence", [value.entropy, value.spawn_key, value.pool_size])
    elif is_dataclass(value):
        _feed_all(out, type(value).__name__, [getattr(value, field.name) for field in fields(value) if field.init])
    elif hasattr(value, "_columns"):  # a book
        _feed_all(out, type(value).__name__, [value._columns()])
    elif isinstance(value, (tuple, list, np.ndarray)):
        _feed_all(out, "sequence", value)
    else:
        raise TypeError(f"arguments of a result must be numbers, text, arrays or dataclasses, was {value!r}")


def _feed_all(out: Any, kind: str, values: Any) -> None:
    _feed(out, f"{kind} {len(values)}")
    for value in values:
        _feed(out, value)
