"""A run of paths: everything that makes a path but its number."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from flushpoint import _core
from flushpoint._validate import FloatArray, memory
from flushpoint.book import Book, EnginePositions, EngineSide
from flushpoint.depth import EngineDepth
from flushpoint.funding import EngineFunding, Funding
from flushpoint.market import EngineMarket, Market
from flushpoint.outcome import BookOutcome, frozen, of_kind
from flushpoint.process import EngineProcess, Process
from flushpoint.random_book import EnginePart, RandomBook
from flushpoint.result import Result
from flushpoint.script import Script
from flushpoint.sellers import EngineFund, VolatilityTargeting
from flushpoint.settlement import BALANCE, LEDGER, MONEY, marked, told_apart
from flushpoint.turnover import EngineTurnover, Turnover
from flushpoint.venue import EngineVenue, Venue

_ENGINE = (
    "final_price",
    "low_price",
    "high_price",
    "low_time",
    "long_count",
    "short_count",
    "waves",
    "exhausted",
)
OF_MARKET = ("support_quantity", "least_liquidity")
# What the engine adds up itself where a book's running sums do not tell.
DRAWN = ("long_quantity", "short_quantity", "long_notional", "short_notional")
_OF_SELLERS = ("targeting_quantity",)
_OF_TURNOVER = ("long_open_quantity", "short_open_quantity")
_NOBODY = Book([], [], [])

EngineRun = tuple[
    EngineSide,
    EngineSide,
    EnginePositions,
    EngineMarket,
    EngineProcess,
    tuple[float, float, int, EngineDepth | None],
    tuple[int, bool],
    tuple[FloatArray | None, FloatArray | None],
    bool,
    EngineTurnover | None,
    tuple[tuple[EnginePart, ...], float] | None,
    EngineVenue | None,
    EngineFunding | None,
    tuple[EngineFund, ...],
]


class PathResult(Result):
    """One path, step by step.

    Attributes
    ----------
    path : int
        Its number.
    time, price : ndarray of float64, shape (steps + 1,)
        Seconds after the start, and the price after each step's cascade; the first are those of the start.
    waves : structured ndarray
        A row a wave: ``step`` in which it happened (from 1), ``price`` that triggered it, ``quantity``, ``count``,
        ``notional`` (quantity x trigger price).
    final_price, low_price, high_price, low_time : float
    long_count, short_count : int
    exhausted : bool
    support_quantity, least_liquidity : float
        As in `SimulationResult`.
    stop_count : int
    stop_quantity, stop_notional : float
        Of a book with stop orders only; as in `SimulationResult`.
    targeting_quantity : float
        With `sellers` only; as in `SimulationResult`.
    runaway : bool
        Of a random book only; as in `DrawnSimulationResult`.
    liquidity, spread : ndarray of float64, shape (steps + 1,)
        Of a market with `LivingDepth` only: at each time, what the next step meets.
    """

    _names: ClassVar[tuple[str, ...]] = ("time", "price")

    path: int
    time: FloatArray
    price: FloatArray
    waves: NDArray[np.void]
    final_price: float
    low_price: float
    high_price: float
    low_time: float
    long_count: int
    short_count: int
    exhausted: bool
    support_quantity: float
    least_liquidity: float
    stop_count: int
    stop_quantity: float
    stop_notional: float
    targeting_quantity: float
    runaway: bool
    liquidity: FloatArray
    spread: FloatArray

    def __repr__(self) -> str:
        return (
            f"<PathResult: path {self.path}, {self.price.size - 1:,} steps, {self.waves.size:,} waves, "
            f"{self.price[0]:,.6g} to {self.final_price:,.6g}>"
        )


@dataclass(frozen=True, eq=False)
class Run:
    """Everything that makes a path but its number."""

    book: Book | RandomBook
    market: Market
    process: Process
    script: Script | None
    turnover: Turnover | None
    venue: Venue | None
    funding: Funding | None
    sellers: tuple[VolatilityTargeting, ...]
    horizon: float
    steps: int
    key: int
    antithetic: bool
    bridge: bool
    max_count: int
    threads: int

    @property
    def dt(self) -> float:
        """Seconds of a step."""
        return self.horizon / self.steps

    @property
    def drawn(self) -> bool:
        """Whether positions are drawn, so that nothing of them is known beforehand."""
        return self.turnover is not None or isinstance(self.book, RandomBook)

    @property
    def adds_up(self) -> bool:
        """Whether the engine adds up what is closed, since counts do not tell it."""
        return self.drawn or self.venue is not None or self.funding is not None

    @property
    def tells_stops(self) -> bool:
        """Whether there are stop orders to be told from liquidations."""
        return isinstance(self.book, Book) and self.book.stop is not None

    @property
    def engine_columns(self) -> tuple[str, ...]:
        """What the engine can be asked for in a path of such a book, but for sums of positions."""
        ledger = () if self.venue is None else (*LEDGER, *BALANCE)
        runaway = ("runaway",) if isinstance(self.book, RandomBook) else ()
        return (*_ENGINE, *MONEY, *ledger, *OF_MARKET, *runaway, *self.parts_columns)

    @property
    def parts_columns(self) -> tuple[str, ...]:
        """What only sellers or turnover have, on demand."""
        return (*(_OF_SELLERS if self.sellers else ()), *(_OF_TURNOVER if self.turnover else ()))

    def known(self, columns: Iterable[str]) -> tuple[str, ...]:
        """Those of the engine's columns that it can tell."""
        without = self.drawn or (isinstance(self.book, Book) and self.book.long.bankruptcy_price is None)
        return tuple(name for name in columns if not (without and name in ("shortfall", "surplus")))

    def _engine(self, money: bool) -> EngineRun:
        random = None
        book = self.book
        if isinstance(book, RandomBook):
            random = (book._engine, float(self.max_count))
            book = _NOBODY
        venue = self.venue
        depth = None if self.market.depth is None else self.market.depth._engine
        return (
            book.long._engine,
            book.short._engine,
            book._settled(money) if venue is None else told_apart(book, venue),
            marked(self.market, venue)._engine,
            self.process._engine(self.dt),
            (self.market.half_life, self.dt, self.steps, depth),
            (self.key, self.antithetic),
            (None, None) if self.script is None else self.script._engine(self.dt, self.steps),
            self.bridge,
            None if self.turnover is None else self.turnover._engine,
            random,
            None if venue is None else venue._engine,
            None if self.funding is None else self.funding._engine(self.dt, self.steps),
            tuple(one._engine(f"sellers[{i}]", self.dt, self.steps) for i, one in enumerate(self.sellers)),
        )

    def paths(
        self,
        paths: range,
        columns: Iterable[str],
        record: NDArray[np.int64] | None = None,
        progress: Callable[[int, int], object] | None = None,
    ) -> dict[str, NDArray[Any]]:
        """Columns of some paths."""
        names = tuple(columns)
        engine = self._engine("shortfall" in names or "surplus" in names)
        return _core.simulate(engine, paths.start, len(paths), names, record, self.threads, progress)

    def replay(self, path: int) -> PathResult:
        """Every step and wave of a path."""
        memory("steps", self.steps + 1, 40)
        everything = np.arange(self.steps + 1)
        totals = tuple(name for name in self.engine_columns if name not in ("waves", *MONEY, *LEDGER, *BALANCE))
        if self.tells_stops and self.adds_up:
            totals += BookOutcome._stop_names
        columns, waves = _core.replay(self._engine(False), path, totals, everything)
        kinds = self.book._kinds if isinstance(self.book, Book) else None
        if kinds is not None and not self.adds_up:
            counts = columns["long_count"], columns["short_count"]
            columns |= {
                name: of_kind(kinds, *counts, name.split("_")[1], stops=True) for name in BookOutcome._stop_names
            }
        steps = {"prices": "price", "liquidity": "liquidity", "spread": "spread"}
        values: dict[str, Any] = {name: column[0].item() for name, column in columns.items() if name not in steps}
        values |= {steps[name]: frozen(column[0]) for name, column in columns.items() if name in steps}
        values |= {"path": path, "time": frozen(everything * self.dt), "waves": frozen(waves)}
        return PathResult("replay", {"path": path}, values)
