"""What share of a move is whose: the market's own, liquidations', stop orders' and algorithms', withdrawn depth's."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.random import SeedSequence
from numpy.typing import NDArray

from flushpoint import _core
from flushpoint._shown import percent, short
from flushpoint._validate import FloatArray, check, one_of, read_only, restore
from flushpoint._validate import progress as check_progress
from flushpoint.book import Book
from flushpoint.compare import Comparison, compare
from flushpoint.experiment import (
    BASELINE,
    Parts,
    Policy,
    check_policies,
    exceeds,
    main_columns,
    share_of,
    venue_of,
    with_policies,
)
from flushpoint.funding import Funding
from flushpoint.market import Market
from flushpoint.process import Process
from flushpoint.random_book import RandomBook
from flushpoint.report import plain
from flushpoint.script import Script
from flushpoint.seed import Seed, shown
from flushpoint.sellers import VolatilityTargeting, check_sellers
from flushpoint.simulate import Checked, SimulationResult, _check_turnover, checked
from flushpoint.summary import Estimate, Pairs, check_confidence, mean, normal_quantile, quantile, standard_error, table
from flushpoint.turnover import Turnover
from flushpoint.venue import Venue

EXOGENOUS, TOTAL = "exogenous", "total"
FORCED, STOPS, DEPTH = "forced", "stops_and_algorithms", "depth"
PLAYERS = (FORCED, STOPS, DEPTH)
LABELS = {
    EXOGENOUS: "exogenous",
    FORCED: "forced sales",
    STOPS: "stops and algorithms",
    DEPTH: "depth that thins",
    TOTAL: "total",
}
_COLUMNS = ("low_price", "high_price", "final_price")
_CAP = 10.0
_ROUNDING = 1e-12  # of log prices
_SHARES = np.dtype([(name, np.float64) for name in (EXOGENOUS, *PLAYERS)])
_FIGURES = ("mean", "median", "share_of_total", "quote")
_ENDS = {"": 0, "_low": 1, "_high": 2}
_SHOWN = ("liquidated_notional", "unpaid_loss")
_MISSING = {"depth that does not thin": DEPTH, "no forced sales": FORCED}
_NOBODY = Book([], [], [])


@dataclass(frozen=True, eq=False, repr=False)
class Explanation:
    """Whose a move is, path by path; printed, a table.

    Attributes
    ----------
    column : str
        The price that is explained.
    start : float
        The market's price, from which it moved.
    players : tuple of str
        Those that were switched on and off: the ones of "forced", "stops_and_algorithms" and "depth" that the run has.
    confidence : float
        Of every interval.
    shares : structured ndarray, shape (paths,)
        Shares of log(price / start), log points: -0.1 is a fall of 9.5 %. ``exogenous`` is what the price does without
        any player; ``forced``, ``stops_and_algorithms`` and ``depth`` are the players' Shapley values, 0 where the run
        has no such player. They add up to the move, path by path. nan where in one of the runs the market was used up,
        so that its log price is infinite; such paths are left out of all figures.
    quote_shares : structured ndarray, shape (paths,)
        The same of price - start, quote units: Shapley values of the price itself.
    """

    column: str
    start: float
    players: tuple[str, ...]
    confidence: float
    shares: NDArray[np.void]
    quote_shares: NDArray[np.void]
    _runs: dict[frozenset[str], SimulationResult]
    _counterfactuals: dict[str, Comparison]

    def __post_init__(self) -> None:
        read_only((self.shares, self.quote_shares))

    __setstate__ = restore

    @property
    def runs(self) -> Mapping[frozenset[str], SimulationResult]:
        """The runs that were compared, by the set of the players that were there."""
        return MappingProxyType(self._runs)

    @property
    def counterfactuals(self) -> Mapping[str, Comparison]:
        """What would be otherwise, by name: a is the baseline, b the counterfactual."""
        return MappingProxyType(self._counterfactuals)

    @property
    def baseline(self) -> SimulationResult:
        """The run with all players."""
        return self._runs[frozenset(self.players)]

    @property
    def seed(self) -> Seed | None:
        """The seed of all runs."""
        return self.baseline.seed

    @property
    def paths(self) -> int:
        """Number of paths."""
        return self.shares.size

    def summary(self) -> dict[str, dict[str, Estimate]]:
        """Figures of the shares over paths: of "exogenous", of each player that was there, and of "total".

        Returns
        -------
        dict of str to dict of str to Estimate
            mean, median
                Of the shares, log points. Means add up to that of the total, medians do not.
            share_of_total
                Mean share / mean of the total: 0.4 is 40 % of the move. Its interval is Fieller's (1954), from the
                paired paths; infinite where the total does not differ from 0 with this confidence.
            quote
                Mean of `quote_shares`.

            Means have normal intervals, medians those between order statistics; antithetic paths are judged by pairs,
            as in `Summary`.
        """
        known = ~np.isnan(self.shares[EXOGENOUS])
        pairs = self.baseline._pairs
        pairs = None if pairs is None else pairs[known]
        names = (EXOGENOUS, *self.players)
        logs, quotes = ({name: column[name][known] for name in names} for column in (self.shares, self.quote_shares))
        for columns in (logs, quotes):
            columns[TOTAL] = np.sum(list(columns.values()), axis=0)
        return {
            name: {
                "mean": mean(logs[name], self.confidence, pairs),
                "median": _median(logs[name], self.confidence, pairs),
                "share_of_total": _ratio(logs[name], logs[TOTAL], self.confidence, pairs),
                "quote": mean(quotes[name], self.confidence, pairs),
            }
            for name in (*names, TOTAL)
        }

    def table(self) -> NDArray[np.void]:
        """Return the figures of `summary`, a row a share.

        Returns
        -------
        structured ndarray
            ``share``, its name, and for each figure, ``mean``, ``median``, ``share_of_total`` and ``quote``, itself and
            the ends of its interval: ``mean``, ``mean_low``, ``mean_high``, ...
        """
        figures = self.summary()
        columns = [f"{what}{end}" for what in _FIGURES for end in _ENDS]
        out = np.array(
            [
                (name, *(one[what][place] for what in _FIGURES for place in _ENDS.values()))
                for name, one in figures.items()
            ],
            dtype=[("share", f"U{max(map(len, figures))}"), *((name, np.float64) for name in columns)],
        )
        read_only(out)
        return out

    def to_dict(self) -> dict[str, Any]:
        """Return all figures as values that JSON can hold, under the same names; what is not finite becomes None.

        Returns
        -------
        dict
            Of a counterfactual, for each column that is compared, ``mean_a`` (the baseline's), ``mean_b`` and
            ``difference`` with its interval.
        """

        def told(estimate: Estimate) -> dict[str, float]:
            return estimate._asdict()

        seed = self.seed
        out: dict[str, Any] = plain(
            {
                "column": self.column,
                "start": self.start,
                "paths": self.paths,
                "left_out": self._lost,
                "seed": seed if seed is None or isinstance(seed, int) else shown(seed),
                "confidence": self.confidence,
                "players": self.players,
                "shares": {
                    name: {what: told(one) for what, one in figures.items()} for name, figures in self.summary().items()
                },
                "counterfactuals": {
                    name: {
                        column: {
                            "mean_a": figures["mean_a"],
                            "mean_b": figures["mean_b"],
                            "difference": told(figures["difference"]),
                        }
                        for column, figures in one.items()
                    }
                    for name, one in self._counterfactuals.items()
                },
            }
        )
        return out

    @property
    def _lost(self) -> int:
        """How many paths are left out."""
        return int(np.count_nonzero(np.isnan(self.shares[EXOGENOUS])))

    def __repr__(self) -> str:
        return (
            f"<Explanation: {self.column} by {', '.join((EXOGENOUS, *self.players))}; {self.paths:,} paths"
            f"{self.baseline._seeded}>"
        )

    def __str__(self) -> str:
        lines = [
            f"what moved {self.column} from {self.start:,.6g}: {self.paths:,} paths on the same random numbers, "
            f"intervals at {percent(self.confidence)} confidence",
            "",
        ]
        rows = [["", "share of total", "mean, log points", "median", "mean, quote units"]]
        for name, figures in self.summary().items():
            share = Estimate(*(100 * end for end in figures["share_of_total"]))
            ends = [_told(share, " %"), *(_told(figures[what]) for what in ("mean", "quote"))]
            rows.append([LABELS[name], *ends[:2], short(figures["median"].value), ends[2]])
        lines += table(rows)
        if self._lost:
            lines.append(f"{self._lost:,} paths left out, on which the market was used up")
        if self._counterfactuals:
            first = next(iter(self._counterfactuals.values()))
            columns = [name for name in (self.column, *_SHOWN) if name in first]
            rows = [["change of the mean", *columns]]
            rows.append([BASELINE, *(short(first[column]["mean_a"]) for column in columns)])
            rows += [
                [name, *(_told(one[column]["difference"]) for column in columns)]
                for name, one in self._counterfactuals.items()
            ]
            lines += ["", *table(rows)]
        return "\n".join(lines)


def _told(estimate: Estimate, unit: str = "") -> str:
    return f"{short(estimate.value)}{unit} [{short(estimate.low)}, {short(estimate.high)}]"


def _median(values: FloatArray, confidence: float, pairs: Pairs) -> Estimate:
    return quantile(np.sort(values), 0.5, confidence, pairs) if values.size else Estimate(math.nan, math.nan, math.nan)


def _ratio(part: FloatArray, whole: FloatArray, confidence: float, pairs: Pairs) -> Estimate:
    """Mean of a part / mean of the whole, with Fieller's interval: all r at which part - r whole may have mean 0."""
    if not whole.size or abs(whole.mean()) <= _ROUNDING:
        return Estimate(math.nan, math.nan, math.nan)
    s, t, reach = float(part.mean()), float(whole.mean()), normal_quantile(confidence)
    more, less = standard_error(part + whole, pairs), standard_error(part - whole, pairs)
    of_part, of_whole = reach * standard_error(part, pairs), reach * standard_error(whole, pairs)
    # Of a r^2 - 2 b r + c <= 0.
    a = t * t - of_whole * of_whole
    b = s * t - reach * reach * (more * more - less * less) / 4
    c = s * s - of_part * of_part
    if math.isnan(a):
        return Estimate(s / t, math.nan, math.nan)
    if a <= 0:
        return Estimate(s / t, -math.inf, math.inf)
    root = math.sqrt(max(b * b - a * c, 0.0))
    return Estimate(s / t, (b - root) / a, (b + root) / a)


def shapley(worth: Mapping[frozenset[str], FloatArray], players: Sequence[str]) -> dict[str, FloatArray]:
    """Return each player's Shapley value: what its joining adds, on average over all orders of joining.

    Parameters
    ----------
    worth : mapping of frozenset of str to ndarray
        What each set of players comes to, the empty set included.
    players : sequence of str

    Returns
    -------
    dict of str to ndarray
        They add up to worth of all - worth of none.
    """
    n = len(players)
    values = {}
    for player in players:
        value = np.zeros_like(worth[frozenset()])
        for size in range(n):
            weight = math.factorial(size) * math.factorial(n - 1 - size) / math.factorial(n)
            for others in combinations([one for one in players if one != player], size):
                value += weight * (worth[frozenset((*others, player))] - worth[frozenset(others)])
        values[player] = value
    return values


def explain(
    book: Book | RandomBook,
    market: Market,
    process: Process,
    *,
    column: str = "low_price",
    horizon: float = 86_400.0,
    steps: int = 1_440,
    paths: int | range = 2_000,
    seed: int | SeedSequence | None = None,
    script: Script | None = None,
    turnover: Turnover | None = None,
    sellers: VolatilityTargeting | Sequence[VolatilityTargeting] | None = None,
    venue: Venue | None = None,
    funding: Funding | None = None,
    antithetic: bool = False,
    max_count: int | None = None,
    without_stops: Book | None = None,
    counterfactuals: Mapping[str, Policy] | None = None,
    confidence: float = 0.95,
    threads: int = 0,
    progress: Callable[[int, int], object] | None = None,
) -> Explanation:
    """Split a move of the price into what is the market's own, and what others add to it.

    The exogenous share is the move that the process and the script make alone: nothing is closed by force, no stop
    order fires, no algorithm trades, and depth stays as it is at rest. Three players come on top of it:

    forced
        Liquidations: of the book, of a random one, of what opens by turnover.
    stops_and_algorithms
        Stop orders of the book, and `sellers`.
    depth
        The withdrawal of depth by the market's `LivingDepth`, as against depth that stays.

    Those that the run has are there or not in all combinations, at most 8 runs, on the same random numbers. What a
    player adds depends on who is there already: a stop order may fire only because liquidations have pushed the price
    to it. So each one's share is its Shapley value (Shapley 1953), what it adds on average over all orders in which the
    players can join. That is the only split which always adds up to the whole, treats alike two players who always add
    the same, gives nothing to one who never adds anything, and of the sum of two quantities is the sum of the splits.

    Parameters
    ----------
    book, market, process
        As in `simulate`; not for accounts.
    column : {"low_price", "high_price", "final_price"}, default "low_price"
        Whose move from the market's price is split.
    horizon, steps, paths, seed, script, turnover, sellers, venue, funding, antithetic, max_count, threads
        As in `simulate`.
    without_stops : Book, optional
        What `book` would be without its stop orders, such as the book that `Book.with_stops` was called on: the same
        positions, with liquidations beyond the stop prices. By default their owners are neither stopped nor liquidated
        where stop orders are left out, as a book does not keep where they would have been liquidated.
    counterfactuals : mapping of str to Policy, optional
        What else is held against the baseline, by name. By default, each only where it applies: "no leverage above
        10x" (a cap that some position or opening exceeds, in a book with entry and bankruptcy prices), "twice the fund"
        (a venue with a fund), "depth that does not thin" and "no forced sales". Where `venue` is None and a
        policy needs one, all runs are with ``Venue()``.
    confidence : float, default 0.95
        Of the intervals, above 0 and below 1.
    progress : callable, optional
        Called now and then as ``progress(paths done, paths)``, all runs together.

    Returns
    -------
    Explanation

    Raises
    ------
    TypeError, ValueError
        As `simulate` and `experiment`, before anything is run.

    Notes
    -----
    A position whose close is left out is still held: it never triggers. `Support` and the evaporation of an
    `EvaporatingImpact` are the market's, in all runs.

    L. S. Shapley, A value for n-person games, Contributions to the Theory of Games II, Princeton 1953, 307-317.
    E. C. Fieller, Some problems in interval estimation, Journal of the Royal Statistical Society B 16, 1954, 175-185.

    Examples
    --------
    A sale of 100 moves the price by 1 % and liquidates 200, whose sale is two thirds of the fall:

    >>> book, market = Book(+1, 200.0, [99.5]), Market(100.0, LinearImpact(1e-4))
    >>> still, sale = Returns(np.zeros((1, 10))), Script(60.0, sell=100.0)
    >>> e = explain(book, market, still, horizon=600.0, steps=10, paths=1, script=sale)
    >>> e.shares["exogenous"].round(6), e.shares["forced"].round(6)
    (array([-0.01]), array([-0.02]))
    """
    one_of("column", column, _COLUMNS)
    sure = check_confidence(confidence)
    check_progress(progress)
    if not isinstance(book, (Book, RandomBook)):
        raise TypeError(f"book must be a Book or a RandomBook, was {type(book).__name__}")
    if not isinstance(market, Market):
        raise TypeError(f"market must be a Market, was {type(market).__name__}")
    if venue is not None and not isinstance(venue, Venue):
        raise TypeError(f"venue must be a Venue, was {type(venue).__name__}")
    if counterfactuals is not None:
        check_policies("counterfactuals", counterfactuals)
    living = _check_turnover(turnover, isinstance(book, RandomBook), bridge=False)
    algorithms = check_sellers(sellers)
    own = counterfactuals or {}
    baseline = Parts(book, market, venue_of(own, venue), turnover)
    unstopped = _check_without_stops(book, without_stops)
    players = _players(book, unstopped, market, living, algorithms)
    sets = [frozenset(some) for size in range(len(players), -1, -1) for some in combinations(players, size)]
    policies = own if counterfactuals is not None else _usual(baseline)
    plans = [("", _only(there, baseline, unstopped), sellers if STOPS in there else None) for there in sets]
    plans += [(name, parts, sellers) for name, parts in with_policies("counterfactuals", policies, baseline).items()]

    all_checked: list[Checked] = []
    for i, (name, parts, funds) in enumerate(plans):
        try:
            all_checked.append(
                checked(
                    parts.book,
                    parts.market,
                    process,
                    horizon,
                    steps,
                    paths,
                    all_checked[0].seed if all_checked else seed,  # a fresh one is drawn once
                    "step",
                    None,
                    None,
                    None,
                    venue=parts.venue,
                    funding=funding,
                    sellers=funds,
                    antithetic=antithetic,
                    script=script,
                    turnover=parts.turnover,
                    max_count=max_count if parts.book is book else None,
                    threads=threads,
                    progress=None if progress is None else share_of(progress, i, len(plans)),
                )
            )
        except (TypeError, ValueError) as error:
            if i < len(sets):
                raise
            raise type(error)(f"counterfactuals[{name!r}]: {error}") from None
    results = [run.result() for run in all_checked]
    runs = dict(zip(sets, results[: len(sets)], strict=True))
    whole = runs[sets[0]]
    against = dict(zip(policies, results[len(sets) :], strict=True))
    if counterfactuals is None:
        against |= {name: runs[sets[0] - {player}] for name, player in _MISSING.items() if player in players}
    compared = main_columns([whole, *against.values()], (column,))
    with np.errstate(divide="ignore", invalid="ignore"):  # a market that is used up has the price 0 or inf
        prices = {there: run[column] for there, run in runs.items()}
        logs = {there: _core.log(price / market.price) for there, price in prices.items()}
        known = np.all([np.isfinite(one) for one in logs.values()], axis=0)
        return Explanation(
            column,
            market.price,
            players,
            sure,
            _split(logs, players, known),
            _split({there: price - market.price for there, price in prices.items()}, players, known),
            runs,
            {name: compare(whole, one, compared, confidence=sure) for name, one in against.items()},
        )


def _check_without_stops(book: Book | RandomBook, given: Book | None) -> Book | RandomBook:
    """Return the book without its stop orders: with positions that never trigger, unless it is given."""
    if not isinstance(book, Book) or book.stop is None:
        if given is not None:
            raise ValueError(f"without_stops must be left out where book holds no stop orders, was {given!r}")
        return book
    if given is None:
        return _idle(book, book.stop)
    if not isinstance(given, Book):
        raise TypeError(f"without_stops must be a Book, was {type(given).__name__}")
    if given.stop is not None:
        raise ValueError(f"without_stops must hold no stop orders, was {given!r}")
    if not (np.array_equal(given.side, book.side) and np.array_equal(given.quantity, book.quantity)):
        raise ValueError(f"without_stops must hold the sides and quantities of book, was {given!r}")
    old, new = book.trigger_price, given.trigger_price
    beyond = np.where(book.side > 0, new <= old, new >= old)
    rule = "that of book, and no nearer where that is a stop order"
    check("trigger_price of without_stops", new, np.where(book.stop, beyond, new == old), rule)
    return given


def _idle(book: Book, rows: NDArray[np.bool_]) -> Book:
    """Return the book with some positions held, but never closed."""
    if not rows.any():
        return book
    trigger = np.where(rows, np.where(book.side > 0, 0.0, np.inf), book.trigger_price)
    return book._with(trigger_price=trigger, stop=_stops(book) & ~rows)


def _stops(book: Book) -> NDArray[np.bool_]:
    return np.zeros(len(book), dtype=bool) if book.stop is None else book.stop


def _fires(book: Book | RandomBook, stops: bool) -> bool:
    """Whether any liquidation, or any stop order, can be triggered."""
    if not isinstance(book, Book):
        return not stops
    able = (book.trigger_price > 0) & (book.trigger_price < np.inf)
    return bool((able & (_stops(book) == stops)).any())


def _players(
    book: Book | RandomBook,
    unstopped: Book | RandomBook,
    market: Market,
    turnover: Turnover | None,
    sellers: Sequence[VolatilityTargeting],
) -> tuple[str, ...]:
    """Who there is besides the market."""
    there = {
        FORCED: turnover is not None or any(_fires(one, stops=False) for one in (book, unstopped)),
        STOPS: bool(sellers) or _fires(book, stops=True),
        DEPTH: market.depth is not None,
    }
    return tuple(player for player in PLAYERS if there[player])


def _only(there: frozenset[str], baseline: Parts, unstopped: Book | RandomBook) -> Parts:
    """Return the baseline with no players but those who are there."""
    book = baseline.book if STOPS in there else unstopped
    market = baseline.market if DEPTH in there else replace(baseline.market, depth=None)
    if FORCED in there:
        return baseline._replace(book=book, market=market)
    book = _idle(book, ~_stops(book)) if isinstance(book, Book) else _NOBODY
    return Parts(book, market, baseline.venue, None)


def _usual(baseline: Parts) -> dict[str, Policy]:
    """Return the policies that are held against a baseline unless others are given."""
    book, _, venue, turnover = baseline
    policies = {}
    if isinstance(book, Book):
        opened = turnover is not None and turnover.opening_rate > 0 and turnover.leverage_mix.leverage[-1] > _CAP
        told = book.entry_price is not None and book.bankruptcy_price is not None
        if exceeds(book, _CAP).any() or (opened and (told or not len(book))):
            policies[f"no leverage above {_CAP:g}x"] = Policy(leverage_cap=_CAP)
    if venue is not None and venue.fund > 0:
        policies["twice the fund"] = Policy(fund=2 * venue.fund)
    return policies


def _split(
    worth: Mapping[frozenset[str], FloatArray], players: Sequence[str], known: NDArray[np.bool_]
) -> NDArray[np.void]:
    shares = np.zeros(known.size, dtype=_SHARES)
    for name, share in {EXOGENOUS: worth[frozenset()], **shapley(worth, players)}.items():
        shares[name] = np.where(known, share, np.nan)
    for name in set(PLAYERS) - set(players):
        shares[name][~known] = np.nan
    return shares
