from typing import Any

import numpy as np
from numpy.typing import NDArray

type F8 = NDArray[np.float64]
type Side = tuple[F8, F8, F8, F8, int]
type Market = tuple[float, float, float, float, int, F8]
type Steps = tuple[NDArray[np.void], NDArray[np.int32], float, float]
type Columns = tuple[F8, F8, F8 | None, NDArray[np.int32], F8, F8, int]
type Positions = tuple[NDArray[np.int32], NDArray[np.int32], F8 | None, F8 | None]

__version__: str

def build_info() -> dict[str, Any]: ...
def sort_book(
    side: NDArray[np.int8], quantity: F8, trigger: F8, bankruptcy: F8 | None, threads: int
) -> tuple[Columns, Columns]: ...
def crossed(side: Side, shorts: bool, prices: F8) -> NDArray[np.int64]: ...
def cascade(
    longs: Side, shorts: Side, market: Market, shock: float, sell: float, refill: float
) -> tuple[float, float, float, float, bool, int, int, NDArray[np.void]]: ...
def cascade_proceeds(
    longs: Side, shorts: Side, market: Market, shock: float, sell: float, refill: float
) -> float: ...
def cascade_money(
    longs: Side, shorts: Side, positions: Positions, market: Market, shock: float, sell: float, refill: float
) -> tuple[float, float]: ...
def cascade_positions(
    longs: Side,
    shorts: Side,
    positions: Positions,
    market: Market,
    shock: float,
    sell: float,
    refill: float,
    proceeds: F8,
    shortfall: F8,
    surplus: F8,
) -> None: ...
def shock_steps(side: Side, market: Market, shorts: bool, threads: int) -> Steps: ...
def sale_steps(side: Side, market: Market, shorts: bool, threads: int) -> Steps: ...
def answer_shocks(
    longs: Steps, shorts: Steps, price: float, shocks: F8, threads: int
) -> tuple[F8, NDArray[np.int64]]: ...
def answer_sales(
    long_steps: Steps, short_steps: Steps, longs: Side, shorts: Side, market: Market, sales: F8, threads: int
) -> tuple[F8, NDArray[np.int64]]: ...
def displacement(market: Market, sold: F8) -> F8: ...
def inverse(market: Market, displacement: F8) -> F8: ...
def proceeds(market: Market, sold: F8, quantity: F8) -> F8: ...
