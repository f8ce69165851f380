"""flushpoint: stress tests for leveraged markets.

When price moves, who is force-sold, how far does that push the price, and who is force-sold next?
"""

from typing import Any

from flushpoint import _core, io, plot
from flushpoint.book import Book
from flushpoint.cascade import CascadeResult, cascade
from flushpoint.hidden import LeverageMix, LiquidationForecast, predict_liquidations
from flushpoint.impact import (
    DepthImpact,
    EvaporatingImpact,
    Impact,
    LinearImpact,
    PowerImpact,
    SquareRootImpact,
)
from flushpoint.laws import Exponential, Law, Leveraged, LogNormal, Pareto, Table, Uniform
from flushpoint.margin import MarginSchedule, bankruptcy_price, liquidation_price
from flushpoint.market import Market
from flushpoint.random_book import RandomBook
from flushpoint.response import Response, ResponseResult, response
from flushpoint.result import STREAM, Result
from flushpoint.stress import RandomStressResult, StressResult, stress

__version__ = _core.__version__

__all__ = [
    "STREAM",
    "Book",
    "CascadeResult",
    "DepthImpact",
    "EvaporatingImpact",
    "Exponential",
    "Impact",
    "Law",
    "LeverageMix",
    "Leveraged",
    "LinearImpact",
    "LiquidationForecast",
    "LogNormal",
    "MarginSchedule",
    "Market",
    "Pareto",
    "PowerImpact",
    "RandomBook",
    "RandomStressResult",
    "Response",
    "ResponseResult",
    "Result",
    "SquareRootImpact",
    "StressResult",
    "Table",
    "Uniform",
    "bankruptcy_price",
    "build_info",
    "cascade",
    "io",
    "liquidation_price",
    "plot",
    "predict_liquidations",
    "response",
    "stress",
]


def build_info() -> dict[str, Any]:
    """Tell how the engine was built and what it runs on.

    Returns
    -------
    dict
        version, stream, compiler, build_type, instruction_sets (those this processor can run), instruction_set (the
        one in use; the environment variable FLUSHPOINT_ISA forces one), threads (what ``threads=0`` means here).
    """
    return {**_core.build_info(), "stream": STREAM}
