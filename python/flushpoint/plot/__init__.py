"""Pictures of results (extra ``plot``: matplotlib). Each function takes a result and an axes, and returns the axes."""

from flushpoint.plot._axes import require
from flushpoint.plot.explain import explanation
from flushpoint.plot.levels import levels, levels_over_time
from flushpoint.plot.response import response

__all__ = ["explanation", "levels", "levels_over_time", "require", "response"]
