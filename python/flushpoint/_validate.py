"""Checks of arguments. Every message names the argument, the rule and the value, and for arrays the index."""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Iterable
from numbers import Real
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flushpoint import _core

FloatArray: TypeAlias = NDArray[np.float64]


def number(
    name: str,
    value: object,
    *,
    above: float | None = None,
    at_least: float | None = None,
    below: float | None = None,
    at_most: float | None = None,
    finite: bool = True,
) -> float:
    """Return `value` as a float that lies within the bounds."""
    if type(value) is not float:
        if isinstance(value, (bool, np.bool_, str, bytes)) or np.ndim(value) != 0:  # type: ignore[arg-type]
            raise TypeError(f"{name} must be a real number, was {value!r}")
        try:
            value = float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError, OverflowError):
            raise TypeError(f"{name} must be a real number, was {value!r}") from None
    if math.isnan(value) or (finite and math.isinf(value)):
        raise ValueError(f"{name} must be {'finite' if finite else 'a number'}, was {value}")
    if above is not None and not value > above:
        raise ValueError(f"{name} must be {'positive' if above == 0 else f'above {above:g}'}, was {value}")
    if at_least is not None and not value >= at_least:
        raise ValueError(f"{name} must be {'at least 0' if at_least == 0 else f'at least {at_least:g}'}, was {value}")
    if below is not None and not value < below:
        raise ValueError(f"{name} must be below {below:g}, was {value}")
    if at_most is not None and not value <= at_most:
        raise ValueError(f"{name} must be at most {at_most:g}, was {value}")
    return value


def volatility(name: str, value: object) -> float:
    """Return a volatility that can be squared."""
    return number(name, value, above=0, at_most=1e100)


def integer(rule: str, value: object) -> int:
    """Return an integer, or say the rule that the value breaks."""
    if isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{rule}, was {value!r}")
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{rule}, was {value!r}") from None


def threads(value: object) -> int:
    """Return a thread count: 0 means all processors."""
    wanted = integer("threads must be an integer", value)
    if not 0 <= wanted <= 1024:
        raise ValueError(f"threads must be between 0 (all processors) and 1024, was {wanted}")
    return wanted


def count(name: str, value: object, at_least: int, at_most: int | None = None) -> int:
    """Return an integer that lies within the bounds."""
    whole = integer(f"{name} must be an integer", value)
    if whole < at_least:
        raise ValueError(f"{name} must be at least {at_least}, was {whole}")
    if at_most is not None and whole > at_most:
        raise ValueError(f"{name} must be at most {at_most}, was {whole}")
    return whole


def progress(value: object) -> None:
    """Raise unless a progress callback can be called, or is None."""
    if value is not None and not callable(value):
        raise TypeError(f"progress must be callable, was {value!r}")


def names(name: str, values: object, known: Iterable[str]) -> tuple[str, ...]:
    """Return names that are all known, each once, at least one."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise TypeError(f"{name} must be a sequence of names, was {values!r}")
    chosen = tuple(values)
    choice = tuple(dict.fromkeys(known))
    for i, one in enumerate(chosen):
        if one not in choice:
            raise ValueError(f"{name} must be among {', '.join(choice)}, was {one!r} at index {i}")
    if not chosen:
        raise ValueError(f"{name} must name at least one, was empty")
    return tuple(dict.fromkeys(chosen))


def one_of(name: str, value: object, allowed: tuple[str, ...]) -> None:
    """Raise unless a value is one of the words allowed."""
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, was {value!r}")


def real_array(name: str, values: ArrayLike) -> FloatArray:
    """Return `values` as a C-contiguous, aligned array of native float64, without a copy where it is one already."""
    if type(values) is np.ndarray and values.dtype == np.float64 and values.flags.c_contiguous and values.flags.aligned:
        return values
    unmasked(name, values)
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ValueError(f"{name} must be an array of real numbers: {error}") from None
    if array.dtype.kind not in "iuf":
        if array.size == 0 and array.dtype.kind == "O":
            return np.empty(array.shape)
        shown = f"dtype {array.dtype}" if array.ndim else repr(values)
        raise TypeError(f"{name} must be real numbers, was {shown}")
    return aligned(np.asarray(array, dtype=np.float64, order="C"))


def aligned(array: NDArray[Any]) -> NDArray[Any]:
    """Return an array whose elements stand where a processor reads them at once, without a copy where they do."""
    return array if array.flags.aligned else array.copy()


def unmasked(name: str, values: object) -> None:
    """Raise where entries of a masked array are masked."""
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        raise ValueError(f"{name} must have no masked entries, was with {np.count_nonzero(values.mask):,}")


def words(name: str, values: Any, rule: str = "str") -> NDArray[np.str_]:
    """Return `values`, in a list, an array or as objects of a table, as an array of str."""
    array = _as_given(name, values)
    if array.dtype.kind != "U":
        for i, one in enumerate(array.ravel().tolist()):
            if not isinstance(one, str):
                raise TypeError(f"{name} must be {rule}, was {one!r} at index {i}")
    return array.astype(np.str_, copy=False)


def labels(name: str, values: Any) -> NDArray[Any]:
    """Return labels as an array that can be sorted: all of one kind, none missing."""
    array = _as_given(name, values)
    if array.dtype.kind != "O":
        check(name, array, array == array, "without missing labels")
        return array
    flat = array.ravel().tolist()
    if set(map(type, flat)) <= {str}:  # as nearly always, and quick
        return array.astype(np.str_)
    for i, one in enumerate(flat):
        if _missing(one):
            raise ValueError(f"{name} must be without missing labels, was {one!r} at index {i}")
        if _kind(one) is not _kind(flat[0]):
            raise TypeError(f"{name} must be labels of one kind, was {flat[0]!r} at index 0, {one!r} at index {i}")
    if _kind(flat[0]) in (str, Real):
        return np.array(flat).reshape(array.shape)
    try:
        sorted(flat)
    except TypeError:
        raise TypeError(f"{name} must be labels that can be sorted, was {flat[0]!r} at index 0") from None
    return array


def _as_given(name: str, values: Any) -> NDArray[Any]:
    """Return a copy as an array in which a list's entries are what they were, numbers among words, too."""
    unmasked(name, values)
    return np.array(values, dtype=None if hasattr(values, "dtype") else object)


def _missing(label: Any) -> bool:
    try:
        return label is None or bool(label != label)
    except (TypeError, ValueError):  # pandas.NA does not tell
        return True


def _kind(label: object) -> type:
    if isinstance(label, str):
        return str
    return Real if isinstance(label, Real) and not isinstance(label, bool) else type(label)


def sides(side: ArrayLike) -> NDArray[np.int8]:
    """Return sides as int8, +1 for a long and -1 for a short."""
    if type(side) is int and side in (1, -1):
        return np.array(side, dtype=np.int8)
    array = np.asarray(side)
    if array.size == 0 and array.dtype == np.float64 and array.ndim == 1:
        array = array.astype(np.int8)  # an empty list
    if array.dtype.kind not in "iuf":
        raise TypeError(f"side must be numbers, +1 or -1, was dtype {array.dtype}")
    check("side", array, (array == 1) | (array == -1), "+1 (long) or -1 (short)")
    return np.asarray(array, dtype=np.int8, order="C")


def check(name: str, array: NDArray[np.generic], good: NDArray[np.bool_], rule: str) -> None:
    """Raise for the first element that is not good."""
    if not good.all():
        flat = int(np.argmin(good))
        index: Any = flat if array.ndim == 1 else tuple(int(i) for i in np.unravel_index(flat, array.shape))
        where = f" at index {index}" if array.ndim else ""
        raise ValueError(f"{name} must be {rule}, was {array.reshape(-1)[flat]}{where}")


def finite_array(name: str, values: ArrayLike) -> FloatArray:
    """Return `values` as `real_array` does, and raise unless every element is finite."""
    array = real_array(name, values)
    if not _core.all_between(array, -math.inf, math.inf):
        check(name, array, np.isfinite(array), "finite")
    return array


def positive(name: str, array: FloatArray) -> None:
    """Raise unless every element is positive and finite."""
    if not _core.all_between(array, 0.0, math.inf):
        check(
            name, array, (array > 0) & (array < np.inf), "positive and finite" if np.isinf(array).any() else "positive"
        )


def memory(what: str, count: int, bytes_each: int) -> None:
    """Raise unless `count` entries of `bytes_each` bytes are less than this machine's memory."""
    if not hasattr(os, "sysconf"):
        return
    installed = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if count * bytes_each > installed:
        raise ValueError(
            f"{what} must fit in memory, was {f'{count:,}' if count < 1e18 else f'{count:.3g}'} of {bytes_each} bytes "
            f"each in {installed / 2**30:.1f} GiB"
        )


def read_only(value: object) -> None:
    """Make an array of ours, or the arrays in a tuple, unwritable."""
    if isinstance(value, np.ndarray):
        value.flags.writeable = False
    elif isinstance(value, tuple):
        for item in value:
            read_only(item)


def restore(instance: object, state: dict[str, Any]) -> None:
    """Unpickle: take the attributes, and make arrays read-only again, which pickling forgets."""
    vars(instance).update(state)
    for value in state.values():
        read_only(value)
