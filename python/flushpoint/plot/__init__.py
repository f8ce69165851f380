"""Pictures of results (extra ``plot``: matplotlib). Each function takes a result and an axes, and returns the axes."""

from flushpoint.plot._axes import require
from flushpoint.plot.fragility import fragility, tipping_surface
from flushpoint.plot.levels import levels, levels_over_time
from flushpoint.plot.response import response

__all__ = ["fragility", "levels", "levels_over_time", "require", "response", "tipping_surface"]
