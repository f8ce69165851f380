"""Pictures of results (extra ``plot``: matplotlib). Each function takes a result and an axes, and returns the axes."""

from flushpoint.plot._axes import require
from flushpoint.plot.contagion import contagion
from flushpoint.plot.explain import explanation
from flushpoint.plot.fan import fan
from flushpoint.plot.fragility import fragility, tipping_surface
from flushpoint.plot.levels import levels, levels_over_time
from flushpoint.plot.losses import losses
from flushpoint.plot.policies import policies
from flushpoint.plot.response import response
from flushpoint.plot.supply import supply_and_depth
from flushpoint.plot.waves import path, waves

__all__ = [
    "contagion",
    "explanation",
    "fan",
    "fragility",
    "levels",
    "levels_over_time",
    "losses",
    "path",
    "policies",
    "require",
    "response",
    "supply_and_depth",
    "tipping_surface",
    "waves",
]
