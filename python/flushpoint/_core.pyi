from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

_F8: TypeAlias = NDArray[np.float64]
_Side: TypeAlias = tuple[_F8, _F8, _F8, _F8, int]
_Market: TypeAlias = tuple[float, float, float, float, int, _F8, tuple[_F8, _F8] | None]
_Steps: TypeAlias = tuple[NDArray[np.void], NDArray[np.int32], float, float]
_Columns: TypeAlias = tuple[_F8, _F8, _F8 | None, NDArray[np.int32], _F8, _F8, int]
_Tiers: TypeAlias = tuple[_F8, _F8, _F8]
_Margins: TypeAlias = tuple[NDArray[np.int8], _F8, _F8, _F8, _F8, _F8, _F8, _F8]
_Turnover: TypeAlias = tuple[float, float, bool, bool, tuple[int, _F8], _F8, _F8, _F8]
_Process: TypeAlias = tuple[int, _F8, NDArray[np.floating[Any]] | None]
_Positions: TypeAlias = tuple[NDArray[np.int32], NDArray[np.int32], _F8 | None, _F8 | None]
_I8: TypeAlias = NDArray[np.int64]
_Scenarios: TypeAlias = tuple[_F8, _F8, _F8, float, int, int]
_Law: TypeAlias = tuple[int, _F8]
_Part: TypeAlias = tuple[bool, float, float, float, _Law, _Law]
_Stress: TypeAlias = tuple[_F8, _F8, _F8, _F8, NDArray[np.bool_], _I8, _I8, _I8, _F8]
_Settled: TypeAlias = tuple[
    NDArray[np.int32], _F8 | None, _F8 | None, _F8 | None, _F8 | None, _F8 | None, NDArray[np.bool_] | None
]
_Book: TypeAlias = tuple[_Settled, _Settled]
_Venue: TypeAlias = tuple[
    float, float, bool, int, int, bool, int, float, float, float, _Tiers | None, float, float, float
]
_Banks: TypeAlias = tuple[_F8, _F8, _F8, _F8, _F8, _F8]
_Loans: TypeAlias = tuple[float, float, float, float, float]
_Accounts: TypeAlias = tuple[
    _I8,
    NDArray[np.int32],
    _F8,
    _F8,
    _F8,
    NDArray[np.int32] | None,
    tuple[_Tiers, ...],
    int,
    float,
    _Banks | None,
    _Loans | None,
]
_MarketBook: TypeAlias = tuple[
    _Market,
    _Side,
    _Side,
    _Book,
    NDArray[np.int32] | None,
    NDArray[np.int32] | None,
    NDArray[np.bool_] | None,
    NDArray[np.bool_] | None,
]
_AccountJob: TypeAlias = tuple[tuple[_MarketBook, ...], _F8 | None, _Accounts, _Venue, int, int, bool]
_AccountScenarios: TypeAlias = tuple[_F8, _F8, _F8, float, int | None]
_FactorModel: TypeAlias = tuple[tuple[_Process, ...], _F8, _F8]
_AccountPaths: TypeAlias = tuple[_AccountJob, _FactorModel, tuple[int, bool], float, _F8, int]
_Run: TypeAlias = tuple[
    _Side,
    _Side,
    _Book,
    _Market,
    _Process,
    tuple[float, float, int, tuple[float, float, float, float, float, float, float] | None],
    tuple[int, bool],
    tuple[_F8 | None, _F8 | None],
    bool,
    _Turnover | None,
    tuple[tuple[_Part, ...], float] | None,
    _Venue | None,
    tuple[_F8, _F8 | None, float, float, float, float] | None,
    tuple[tuple[float, float, float, float, float, bool, _F8], ...],
]

__version__: str

def build_info() -> dict[str, Any]: ...
def all_between(values: _F8, above: float, below: float) -> bool: ...
def sort_book(
    side: NDArray[np.int8], quantity: _F8, trigger: _F8, bankruptcy: _F8 | None, threads: int
) -> tuple[_Columns, _Columns]: ...
def crossed(side: _Side, shorts: bool, prices: _F8) -> NDArray[np.int64]: ...
def cascade(
    longs: _Side, shorts: _Side, market: _Market, shock: float, sell: float, refill: float
) -> tuple[float, float, float, float, bool, int, int, NDArray[np.void], float]: ...
def cascade_proceeds(
    longs: _Side, shorts: _Side, market: _Market, shock: float, sell: float, refill: float
) -> float: ...
def cascade_positions(
    longs: _Side,
    shorts: _Side,
    positions: _Positions,
    market: _Market,
    shock: float,
    sell: float,
    refill: float,
    proceeds: _F8,
    shortfall: _F8,
    surplus: _F8,
) -> None: ...
def stress(
    longs: _Side,
    shorts: _Side,
    market: _Market,
    scenarios: _Scenarios,
    threads: int,
    progress: Callable[[int, int], object] | None,
) -> _Stress: ...
def stress_proceeds(longs: _Side, shorts: _Side, market: _Market, scenarios: _Scenarios, threads: int) -> _F8: ...
def stress_random(
    parts: tuple[_Part, ...],
    seed: int,
    most_closed: float,
    market: _Market,
    scenarios: _Scenarios,
    threads: int,
    progress: Callable[[int, int], object] | None,
) -> tuple[_F8, _F8, _F8, _F8, NDArray[np.bool_], _I8, _I8, _I8, _F8, _F8, NDArray[np.bool_]]: ...
def stress_random_sums(
    parts: tuple[_Part, ...],
    seed: int,
    most_closed: float,
    market: _Market,
    scenarios: _Scenarios,
    threads: int,
    notionals: bool,
) -> tuple[_F8, ...]: ...
def stress_random_uncovered(
    parts: tuple[_Part, ...], seed: int, most_closed: float, market: _Market, scenarios: _Scenarios, threads: int
) -> tuple[_F8, _F8]: ...
def shock_steps(side: _Side, market: _Market, shorts: bool, threads: int) -> _Steps: ...
def sale_steps(side: _Side, market: _Market, shorts: bool, threads: int) -> _Steps: ...
def answer_shocks(
    longs: _Steps, shorts: _Steps, price: float, shocks: _F8, threads: int
) -> tuple[_F8, NDArray[np.int64]]: ...
def answer_sales(
    long_steps: _Steps, short_steps: _Steps, longs: _Side, shorts: _Side, market: _Market, sales: _F8, threads: int
) -> tuple[_F8, NDArray[np.int64]]: ...
def liquidation_prices(
    positions: _Margins,
    tiers: _Tiers | None,
    inverse: bool,
    valuation: int,
    fee_at: int,
    fee_rate: float,
    threads: int,
) -> tuple[_F8, bool]: ...
def bankruptcy_prices(positions: _Margins, inverse: bool, fee_rate: float, threads: int) -> _F8: ...
def maintenance_margins(tiers: _Tiers, notional: _F8) -> _F8: ...
def infer_book(
    history: tuple[_F8, ...],
    hours: float,
    share: _F8,
    long_distance: _F8,
    short_distance: _F8,
    turnover: float,
    activity: float,
    body: float,
    cell: float,
    steps: int,
    wanted: _I8,
) -> tuple[tuple[_F8, _F8], tuple[_F8, _F8], int, tuple[_F8, _F8]]: ...
def simulate(
    run: _Run,
    first: int,
    count: int,
    wanted: tuple[str, ...],
    record: NDArray[np.int64] | None,
    threads: int,
    progress: Callable[[int, int], object] | None,
) -> dict[str, NDArray[Any]]: ...
def replay(
    run: _Run, path: int, wanted: tuple[str, ...], record: NDArray[np.int64] | None
) -> tuple[dict[str, NDArray[Any]], NDArray[np.void]]: ...
def exp(values: _F8) -> _F8: ...
def log(values: _F8) -> _F8: ...
def displacement(market: _Market, sold: _F8) -> _F8: ...
def inverse(market: _Market, displacement: _F8) -> _F8: ...
def proceeds(market: _Market, sold: _F8, quantity: _F8) -> _F8: ...
def look_ahead(side: _Side, bankruptcy: _F8, shorts: bool) -> tuple[_F8, _F8, _F8]: ...
def cascade_venue(
    longs: _Side,
    shorts: _Side,
    positions: _Book,
    market: _Market,
    venue: _Venue,
    shock: float,
    sell: float,
    refill: float,
) -> dict[str, Any]: ...
def cascade_venue_positions(
    longs: _Side,
    shorts: _Side,
    positions: _Book,
    market: _Market,
    venue: _Venue,
    shock: float,
    sell: float,
    refill: float,
    outcome: tuple[_F8, ...],
) -> None: ...
def stress_venue(
    longs: _Side,
    shorts: _Side,
    positions: _Book,
    market: _Market,
    venue: _Venue,
    scenarios: _Scenarios,
    wanted: tuple[str, ...],
    threads: int,
    progress: Callable[[int, int], object] | None,
) -> dict[str, NDArray[Any]]: ...
def cascade_accounts(job: _AccountJob, scenario: _AccountScenarios) -> dict[str, NDArray[Any]]: ...
def stress_accounts(
    job: _AccountJob, scenarios: _AccountScenarios, threads: int, progress: Callable[[int, int], object] | None
) -> dict[str, NDArray[Any]]: ...
def simulate_accounts(
    run: _AccountPaths,
    first: int,
    count: int,
    threads: int,
    progress: Callable[[int, int], object] | None,
) -> dict[str, NDArray[Any]]: ...
def forced_quantity(job: _AccountJob, marks: _F8) -> _F8: ...
def failing_accounts(accounts: _Accounts, prices: _F8) -> NDArray[np.bool_]: ...
def auto_deleverage(
    rule: int,
    needed: float,
    price: float,
    shorts: bool,
    quantity: _F8,
    entry_price: _F8,
    bankruptcy_price: _F8,
    trigger_price: _F8,
) -> _F8: ...
