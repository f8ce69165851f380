"""One value of somebody else's data: read as a number, and shown in a message."""

from __future__ import annotations

import math
import numbers
import reprlib
from collections.abc import Iterable
from decimal import Decimal

import numpy as np

SIDES = {"long": 1, "buy": 1, "1": 1, "+1": 1, "1.0": 1, "short": -1, "sell": -1, "-1": -1, "-1.0": -1}
SIDE_RULE = "+1, -1, long, short, buy or sell"
_LISTED = 12  # names listed in a message

_short = reprlib.Repr()
_short.maxstring = _short.maxother = _short.maxlong = 60


def to_float(value: object) -> float:
    """Read a number, or text that says one; NaN for anything else, infinity for what is too large."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (str, numbers.Real, Decimal)):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.inf
    except (ValueError, ArithmeticError):  # the latter of a signalling NaN
        return math.nan


def is_missing(value: object) -> bool:
    """Tell whether nothing was given: None, NaN, pandas' NA, or blank text."""
    if isinstance(value, str):
        return not value.strip() or value.strip().lower() == "nan"
    nan = isinstance(value, (float, np.floating)) and math.isnan(value)
    return value is None or nan or type(value).__name__ in ("NAType", "NaTType")


def side_of(value: object) -> int:
    """+1 for a long, -1 for a short, 0 for what is neither."""
    return SIDES.get(str(value).strip().lower(), 0) if isinstance(value, (str, numbers.Real)) else 0


def shown(value: object) -> str:
    """Show a value of any kind in a few words on one line."""
    try:
        return _short.repr(value.item() if isinstance(value, np.generic) else value).replace("\n", " ")
    except ValueError:  # Python does not print integers of more than 4,300 digits
        return f"{type(value).__name__} too long to show"


def some(values: Iterable[object]) -> str:
    """List a few names for a message."""
    names = [str(value) for value in values]
    names = [name if name.isprintable() and len(name) <= 60 else shown(name) for name in names]
    return ", ".join(names[:_LISTED]) + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")


def one_line(error: BaseException) -> str:
    """Give another library's words on an error, on one line of moderate length."""
    text = " ".join(str(error).split()) or type(error).__name__
    text = "".join(c if c.isprintable() else "?" for c in text)
    return text if len(text) <= 200 else text[:200] + "..."
