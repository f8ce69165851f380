"""Nested structures, as venues answer and as JSON holds them: their parts, each checked and named by its path."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flushpoint.readers.values import is_missing, one_line, shown, some, to_float


def load_json(path: Path) -> Any:
    """Read a JSON file."""
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"path must be a JSON file that can be read, was {str(path)!r}: {one_line(error)}") from None


def items(value: object, name: str) -> Sequence[Any]:
    """Take a list."""
    if not isinstance(value, (list, tuple)):
        raise TypeError(f"{name} must be a list, was {shown(value)}")
    return value


def record(value: object, name: str) -> Mapping[str, Any]:
    """Take a mapping."""
    if not isinstance(value, Mapping):
        raise TypeError(f"{name} must be a mapping, was {shown(value)}")
    return value


def member(holder: Mapping[str, Any], key: str, name: str) -> Any:
    """Take what a mapping must have."""
    if key not in holder:
        raise ValueError(f"{name} must have {key!r}, has {some(holder) or 'nothing'}")
    return holder[key]


def word(holder: Mapping[str, Any], key: str, name: str) -> str:
    """Take a name."""
    value = member(holder, key, name)
    if not isinstance(value, str) or not value:
        raise TypeError(f"{name}.{key} must be a name, was {shown(value)}")
    return value


def real(holder: Mapping[str, Any], key: str, name: str, *, signed: bool = False) -> float:
    """Take a finite number, or text that says one: at least 0 unless signed."""
    value = member(holder, key, name)
    out = to_float(value)
    if not (math.isfinite(out) and (signed or out >= 0)):
        raise ValueError(f"{name}.{key} must be a {'number' if signed else 'number of at least 0'}, was {shown(value)}")
    return out


def positive(holder: Mapping[str, Any], key: str, name: str) -> float:
    """Take a positive number."""
    out = real(holder, key, name)
    if out == 0:
        raise ValueError(f"{name}.{key} must be positive, was {shown(holder[key])}")
    return out


def real_or_none(holder: Mapping[str, Any], key: str, name: str) -> float:
    """Take a positive number; NaN where there is none, or zero, which is how venues say the same."""
    if is_missing(holder.get(key)) and not isinstance(holder.get(key), float):
        return math.nan
    return real(holder, key, name) or math.nan
