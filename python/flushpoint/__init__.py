"""flushpoint: stress tests for leveraged markets.

When price moves, who is force-sold, how far does that push the price, and who is force-sold next?
"""

from typing import Any

from flushpoint import _core, io, plot
from flushpoint.account_cascade import AccountCascadeResult
from flushpoint.account_simulate import AccountSimulationResult
from flushpoint.account_stress import AccountStressResult
from flushpoint.accounts import Accounts
from flushpoint.book import Book
from flushpoint.calibrate import Calibration, calibrate
from flushpoint.cascade import CascadeResult, VenueCascadeResult, cascade
from flushpoint.compare import Comparison, compare
from flushpoint.contagion import ContagionResult, contagion
from flushpoint.crowd import Crowd, accounts_of_crowds
from flushpoint.delever import Delever
from flushpoint.deleverage import auto_deleverage
from flushpoint.depth import LivingDepth, Support
from flushpoint.ensemble import Ensemble
from flushpoint.experiment import Experiment, Policy, experiment
from flushpoint.explain import Explanation, explain
from flushpoint.factor_model import FactorModel
from flushpoint.fragility import Fragility, SideFragility, TippingSurface, fragility, tipping_surface
from flushpoint.funding import Funding
from flushpoint.hidden import LiquidationForecast, predict_liquidations
from flushpoint.impact import (
    DepthImpact,
    EvaporatingImpact,
    Impact,
    LinearImpact,
    PowerImpact,
    SquareRootImpact,
)
from flushpoint.infer_margin import InferredMargin, infer_margin
from flushpoint.laws import Exponential, Law, Leveraged, LogNormal, Pareto, Table, Uniform
from flushpoint.loans import LoanRule
from flushpoint.margin import MarginSchedule, bankruptcy_price, liquidation_price
from flushpoint.market import Market
from flushpoint.markets import Markets
from flushpoint.mix import EntryPrices, LeverageMix
from flushpoint.posterior import HiddenBooks, LeveragePosterior, sample_hidden_books
from flushpoint.process import GARCH, GBM, Bootstrap, BrownianBridge, JumpDiffusion, Process, Returns, StudentT
from flushpoint.random_book import RandomBook
from flushpoint.response import Response, ResponseResult, response
from flushpoint.result import STREAM, Result
from flushpoint.run import PathResult
from flushpoint.scenario import Scenario
from flushpoint.script import Script
from flushpoint.sellers import VolatilityTargeting
from flushpoint.simulate import (
    DrawnSimulationResult,
    FundedSimulationResult,
    SimulationResult,
    VenueSimulationResult,
    simulate,
)
from flushpoint.size_fund import FundSize, size_fund
from flushpoint.streamed import StreamedColumn, StreamedEnsemble
from flushpoint.stress import RandomStressResult, StressResult, VenueStressResult, stress
from flushpoint.summary import Estimate, Summary
from flushpoint.tail import TailProbability, tail_probability
from flushpoint.target import Target
from flushpoint.tilt import NormalShock, Tilt
from flushpoint.turnover import Turnover
from flushpoint.venue import Venue

__version__ = _core.__version__

__all__ = [
    "GARCH",
    "GBM",
    "STREAM",
    "AccountCascadeResult",
    "AccountSimulationResult",
    "AccountStressResult",
    "Accounts",
    "Book",
    "Bootstrap",
    "BrownianBridge",
    "Calibration",
    "CascadeResult",
    "Comparison",
    "ContagionResult",
    "Crowd",
    "Delever",
    "DepthImpact",
    "DrawnSimulationResult",
    "Ensemble",
    "EntryPrices",
    "Estimate",
    "EvaporatingImpact",
    "Experiment",
    "Explanation",
    "Exponential",
    "FactorModel",
    "Fragility",
    "FundSize",
    "FundedSimulationResult",
    "Funding",
    "HiddenBooks",
    "Impact",
    "InferredMargin",
    "JumpDiffusion",
    "Law",
    "LeverageMix",
    "LeveragePosterior",
    "Leveraged",
    "LinearImpact",
    "LiquidationForecast",
    "LivingDepth",
    "LoanRule",
    "LogNormal",
    "MarginSchedule",
    "Market",
    "Markets",
    "NormalShock",
    "Pareto",
    "PathResult",
    "Policy",
    "PowerImpact",
    "Process",
    "RandomBook",
    "RandomStressResult",
    "Response",
    "ResponseResult",
    "Result",
    "Returns",
    "Scenario",
    "Script",
    "SideFragility",
    "SimulationResult",
    "SquareRootImpact",
    "StreamedColumn",
    "StreamedEnsemble",
    "StressResult",
    "StudentT",
    "Summary",
    "Support",
    "Table",
    "TailProbability",
    "Target",
    "Tilt",
    "TippingSurface",
    "Turnover",
    "Uniform",
    "Venue",
    "VenueCascadeResult",
    "VenueSimulationResult",
    "VenueStressResult",
    "VolatilityTargeting",
    "accounts_of_crowds",
    "auto_deleverage",
    "bankruptcy_price",
    "build_info",
    "calibrate",
    "cascade",
    "compare",
    "contagion",
    "experiment",
    "explain",
    "fragility",
    "infer_margin",
    "io",
    "liquidation_price",
    "plot",
    "predict_liquidations",
    "response",
    "sample_hidden_books",
    "simulate",
    "size_fund",
    "stress",
    "tail_probability",
    "tipping_surface",
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
