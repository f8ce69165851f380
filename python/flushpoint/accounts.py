"""Accounts: cash and positions in several markets that share margin."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flushpoint import _core
from flushpoint._validate import (
    FloatArray,
    check,
    finite_array,
    labels,
    number,
    one_of,
    positive,
    read_only,
    real_array,
    restore,
    unmasked,
    words,
)
from flushpoint._validate import count as whole
from flushpoint.book import Book, EnginePositions, EngineSide
from flushpoint.delever import Delever, EngineBanks
from flushpoint.loans import EngineLoans, LoanRule
from flushpoint.margin import MarginSchedule, bankruptcy_price, liquidation_price
from flushpoint.market import EngineMarket
from flushpoint.markets import Markets
from flushpoint.venue import EngineVenue, Venue

CLOSES = ("all", "largest_loss", "pro_rata")  # as AccountClose in cpp/include/flushpoint/accounts.hpp, which has
_DELEVER, _REPAY = 3, 4  # banks and loans next

Ints = NDArray[np.int64]
EngineSchedule = tuple[FloatArray, FloatArray, FloatArray]
EngineAccounts = tuple[
    Ints,
    NDArray[np.int32],
    FloatArray,
    FloatArray,
    FloatArray,
    NDArray[np.int32] | None,
    tuple[EngineSchedule, ...],
    int,
    float,
    EngineBanks | None,
    EngineLoans | None,
]
DEFAULT_LOAN_RULE = LoanRule()
EngineMarketBook = tuple[
    EngineMarket,
    EngineSide,
    EngineSide,
    EnginePositions,
    NDArray[np.int32] | None,
    NDArray[np.int32] | None,
    NDArray[np.bool_] | None,
    NDArray[np.bool_] | None,
]
EngineAccountJob = tuple[tuple[EngineMarketBook, ...], FloatArray | None, EngineAccounts, EngineVenue, int, int, bool]
EngineScenarios = tuple[FloatArray, FloatArray, FloatArray, float, int | None]


@dataclass(frozen=True, eq=False, init=False)
class Accounts:
    """Accounts with positions in several markets: cross margin, beside isolated positions.

    With C the cash of an account, q the signed quantity and E the entry price of each of its positions that is not
    isolated, and P the mark of the position's market, equity is C + sum q (P - E) and maintenance the sum of what the
    market's schedule asks of the notional |q| P. The account fails where equity has fallen to maintenance.

    Parameters
    ----------
    account : array_like, shape (rows,)
        Whose position each row is: a place in `cash`, 0 to accounts - 1, or a key of it.
    market : array_like of str or int, shape (rows,)
        Name, or place among the markets.
    quantity : array_like, shape (rows,)
        Base units: above 0 for a long, below for a short, not 0. Rows of an account in one market that are not isolated
        are netted; a sum within rounding of 0 is none.
    entry_price : array_like, shape (rows,)
        Quote units per base unit, positive; of loans at least 0.
    cash : array_like, shape (accounts,), or mapping
        What each account would hold if its positions were closed where they were entered, quote units; finite, may be
        negative. Margin of isolated positions is not in it.
    schedules : MarginSchedule or mapping of str to MarginSchedule
        Of all markets, or of each by name; names of markets without positions are left unused. None for banks.
    isolated : array_like, shape (rows,), optional
        Margin of isolated positions, quote units, positive; nan for those that share the account's.
    group : array_like, shape (accounts,), or mapping, optional
        A label an account, all of one kind that can be sorted.
    close : {"all", "largest_loss", "pro_rata"}, Delever or LoanRule, default "all"
        What a failing account with positions in several markets closes, in the wave in which it is found to fail:
        everything; whole positions, the largest unrealised loss first, until equity exceeds maintenance; the least
        common share of all that restores equity to `target` x maintenance, everything if equity is gone. Each is
        worked out at the marks that triggered it, were there no slippage; a common share is at least 1 % of what was
        first held, and everything goes where less than that would be left. Isolated positions, and accounts with
        positions in one market only, are closed whole. With `Delever` accounts are banks, with `LoanRule` they are
        loans (`Accounts.from_loans`), none of whose positions are isolated or short: these close by that rule in
        however many markets they are.
    target : float, optional
        With "pro_rata" equity / maintenance after closing, at least 1 (the default).

    Raises
    ------
    TypeError, ValueError
        Naming the argument, the rule, the value and its index.

    Notes
    -----
    Linear contracts in one quote unit. An account with positions in one market only, or with isolated ones, fails at
    a price (`liquidation_price`): such positions behave as those of a `Book` do, but for shorts of accounts whose
    equity is below 0 at any price, which are closed at once and lack all of it. One without open positions is left out,
    whatever its cash. Accounts compare by identity.

    Examples
    --------
    >>> accounts = Accounts(
    ...     [0, 0, 1], ["BTC", "ETH", "BTC"], [1.0, -10.0, 0.5], [60_000.0, 3_000.0, 60_000.0], [9_000.0, 3_000.0],
    ...     MarginSchedule.flat(0.005),
    ... )
    >>> print(accounts)
    2 accounts, 3 positions in 2 markets, none isolated; an account that fails closes everything
    """

    account: NDArray[Any]
    market: NDArray[Any]
    quantity: FloatArray
    entry_price: FloatArray
    cash: FloatArray
    schedules: MarginSchedule | Mapping[str, MarginSchedule] | None
    isolated: FloatArray | None = None
    group: NDArray[Any] | None = None
    close: str | Delever | LoanRule = "all"
    target: float | None = None
    ids: tuple[Hashable, ...] | None = field(init=False, default=None)
    _reduced: dict[tuple[str, ...], Reduced] = field(init=False, repr=False, default_factory=dict)

    def __init__(
        self,
        account: ArrayLike,
        market: ArrayLike,
        quantity: ArrayLike,
        entry_price: ArrayLike,
        cash: ArrayLike | Mapping[Any, float],
        schedules: MarginSchedule | Mapping[str, MarginSchedule] | None,
        isolated: ArrayLike | None = None,
        group: ArrayLike | Mapping[Any, Hashable] | None = None,
        close: str | Delever | LoanRule = "all",
        *,
        target: float | None = None,
    ) -> None:
        def set_(name: str, value: object) -> None:
            read_only(value)
            object.__setattr__(self, name, value)

        for name, rule in (("schedules", schedules), ("close", close), ("target", target)):
            set_(name, rule)
        set_("ids", None)
        set_("_reduced", {})
        if not self._by_rule:
            one_of("close", close, CLOSES)
        if target is not None and close != "pro_rata":
            raise ValueError(f"target must be left out where close is {close!r}, was {target}")
        if close == "pro_rata":
            set_("target", number("target", 1.0 if target is None else target, at_least=1))
        self._check_schedules()
        if isinstance(cash, Mapping):
            set_("ids", tuple(cash))
            cash = list(cash.values())
        set_("cash", np.array(finite_array("cash", cash)))
        if self.cash.ndim != 1:
            raise ValueError(f"cash must have one dimension, was of shape {self.cash.shape}")
        rows: dict[str, NDArray[Any]] = {
            "account": self._places(account),
            "market": _names(market),
            "quantity": np.array(real_array("quantity", quantity)),
            "entry_price": np.array(real_array("entry_price", entry_price)),
        }
        set_("isolated", None)
        if isolated is not None:
            rows["isolated"] = np.array(real_array("isolated", isolated))
        for name, column in rows.items():
            if column.ndim != 1:
                raise ValueError(f"{name} must have one dimension, was of shape {column.shape}")
            if column.size != rows["account"].size:
                raise ValueError(f"{name} must have a row a position, {rows['account'].size}, was {column.size}")
        check("quantity", rows["quantity"], np.isfinite(rows["quantity"]) & (rows["quantity"] != 0), "finite and not 0")
        if isinstance(close, LoanRule):
            entry = finite_array("entry_price", rows["entry_price"])
            check("entry_price", entry, entry >= 0, "at least 0")
        else:
            positive("entry_price", rows["entry_price"])
        if isolated is not None:
            margin = rows["isolated"]
            check(
                "isolated", margin, np.isnan(margin) | ((margin > 0) & (margin < np.inf)), "positive, or nan for none"
            )
        for name, column in rows.items():
            set_(name, column)
        set_("group", None if group is None else self._grouped(group))
        if self._by_rule:
            self._check_ruled()

    def _check_ruled(self) -> None:
        if self.isolated is not None:
            raise ValueError("isolated must be left out for banks and loans, was given")
        check("quantity", self.quantity, self.quantity > 0, "positive for banks and loans")
        if isinstance(self.close, Delever):
            self.close._columns(len(self))

    @property
    def _banks(self) -> bool:
        return isinstance(self.close, Delever)

    @property
    def _by_rule(self) -> bool:
        """Whether no position goes by a price of its own, in however many markets an account is."""
        return isinstance(self.close, (Delever, LoanRule))

    def _check_schedules(self) -> None:
        given = self.schedules
        if self._banks:
            if given is not None:
                raise ValueError("schedules must be None for banks (close tells when they act), was given")
        elif isinstance(given, Mapping):
            for name, schedule in given.items():
                if not isinstance(schedule, MarginSchedule):
                    raise TypeError(f"schedules must hold a MarginSchedule each, was {schedule!r} at {name!r}")
            object.__setattr__(self, "schedules", dict(given))
        elif not isinstance(given, MarginSchedule):
            raise TypeError(f"schedules must be a MarginSchedule, or one for each market, was {given!r}")

    def _places(self, given: ArrayLike) -> Ints:
        """Return the place of each row's account among all."""
        unmasked("account", given)
        account = np.asarray(given)
        count = self.cash.size
        if self.ids is None:
            if not account.size:
                return np.zeros(account.shape, dtype=np.int64)  # of whatever type
            if account.dtype.kind not in "iu":
                raise TypeError(f"account must be integers where cash is no mapping, was dtype {account.dtype}")
            check("account", account, (account >= 0) & (account < count), f"a place in cash, 0 to {count - 1}")
            return account.astype(np.int64)
        place = {one: i for i, one in enumerate(self.ids)}
        found = np.array([place.get(one, -1) for one in account.ravel().tolist()], dtype=np.int64)
        check("account", account, (found >= 0).reshape(account.shape), "a key of cash")
        return found.reshape(account.shape)

    def _grouped(self, group: Any) -> NDArray[Any]:
        if isinstance(group, Mapping):
            if self.ids is None:
                raise TypeError("group must be an array where cash is no mapping, was a mapping")
            known = set(self.ids)
            missing = [one for one in self.ids if one not in group]
            if missing:
                raise ValueError(f"group must name every account, was without {missing[0]!r}")
            for one in group:
                if one not in known:
                    raise ValueError(f"group must be of the accounts in cash, was of {one!r}")
            group = [group[one] for one in self.ids]
        found = labels("group", group)
        if found.shape != self.cash.shape:
            raise ValueError(f"group must have a label an account, shape {self.cash.shape}, was {found.shape}")
        return found

    @classmethod
    def from_loans(
        cls,
        account: ArrayLike,
        market: ArrayLike,
        collateral: ArrayLike,
        debt: ArrayLike | Mapping[Hashable, float],
        liquidation_threshold: float | Mapping[str, float],
        close: LoanRule = DEFAULT_LOAN_RULE,
        *,
        group: ArrayLike | Mapping[Hashable, object] | None = None,
    ) -> Accounts:
        """Make accounts that are loans: collateral in several markets, and a debt in quote units.

        The health factor sum T q P / D is 1 where equity, sum q P - D, equals maintenance at the rates 1 - T: loans are
        accounts with such schedules, whose collateral cost nothing and whose cash is -D.

        Parameters
        ----------
        account, market : array_like, shape (rows,)
            As of `Accounts`.
        collateral : array_like, shape (rows,)
            Base units, positive.
        debt : array_like, shape (accounts,), or mapping
            Quote units, at least 0.
        liquidation_threshold : float, or mapping of str to float
            T of all markets, or of each by name, above 0 and at most 1; names of markets without collateral are left
            unused.
        close : LoanRule, optional
        group : array_like, shape (accounts,), or mapping, optional

        Examples
        --------
        >>> loans = Accounts.from_loans([0], ["ETH"], [10.0], [20_000.0], 0.8)
        >>> c = cascade(loans, Markets({"ETH": Market(3_000.0, LinearImpact(0.0))}), shock=-0.2)
        >>> c.closed_share.round(4), c["liquidator_profit"].round(2)  # at a health factor of 0.96: half of the debt
        (array([0.4375]), array([500.]))
        """
        if not isinstance(close, LoanRule):
            raise TypeError(f"close must be a LoanRule, was {close!r}")
        thresholds = liquidation_threshold
        if isinstance(thresholds, Mapping):
            given = {f"liquidation_threshold of {name}": one for name, one in thresholds.items()}
        else:
            given = {"liquidation_threshold": thresholds}
        rates = [MarginSchedule.flat(1 - number(name, one, above=0, at_most=1)) for name, one in given.items()]
        schedules = dict(zip(thresholds, rates, strict=True)) if isinstance(thresholds, Mapping) else rates[0]
        keys = list(debt) if isinstance(debt, Mapping) else None
        owed = finite_array("debt", [*debt.values()] if isinstance(debt, Mapping) else debt)
        if owed.ndim != 1:
            raise ValueError(f"debt must have one dimension, was of shape {owed.shape}")
        check("debt", owed, owed >= 0, "at least 0")
        cash: Any = -owed if keys is None else dict(zip(keys, (-owed).tolist(), strict=True))
        quantity = finite_array("collateral", collateral)
        positive("collateral", quantity)
        rows = np.shape(account)
        if quantity.ndim != 1 or (len(rows) == 1 and quantity.shape != rows):
            raise ValueError(f"collateral must have a row a position, shape {rows}, was {quantity.shape}")
        if isinstance(thresholds, Mapping):
            places = _names(market)
            for name in np.unique(places).tolist() if places.dtype.kind == "U" else ():
                if name not in thresholds:
                    raise ValueError(
                        f"liquidation_threshold must name every market of a position, was without {name!r}"
                    )
        columns: Any = {"account": account, "market": market, "quantity": quantity, "cash": cash, "group": group}
        return cls(entry_price=np.zeros(quantity.shape), schedules=schedules, close=close, **columns)

    __setstate__ = restore

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_reduced": {}}

    def __len__(self) -> int:
        return self.cash.size

    def __repr__(self) -> str:
        close = type(self.close).__name__ if self._by_rule else repr(self.close)
        return f"<Accounts: {len(self):,} accounts, {self.account.size:,} positions, close {close}>"

    def __str__(self) -> str:
        alone = 0 if self.isolated is None else int(np.count_nonzero(~np.isnan(self.isolated)))
        what = {
            "all": "closes everything",
            "largest_loss": "closes positions of the largest loss until equity exceeds maintenance",
            "pro_rata": f"closes the common share that restores equity to {self.target} x maintenance",
        }
        does = what[self.close] if isinstance(self.close, str) else f"does as {self.close!r} says"
        return (
            f"{len(self):,} accounts, {self.account.size:,} positions in {np.unique(self.market).size} markets, "
            f"{alone or 'none'} isolated; an account that fails {does}"
        )

    def alive(self, markets: Markets) -> Accounts:
        """Accounts without what fails at the markets' prices.

        Parameters
        ----------
        markets : Markets

        Returns
        -------
        Accounts
            The same accounts, with their cash: isolated positions that fail are gone, and of accounts that fail all
            positions that share margin. Banks, which may act at any time, are left as they are.
        """
        reduced, _ = check_questioned(self, markets)
        if self._banks:
            return self
        kept = ~np.append(reduced.failing(markets), False)[reduced.position_of_row]
        account: ArrayLike = self.account[kept]
        cash: ArrayLike | Mapping[Any, float] = self.cash
        if self.ids is not None:
            account = [self.ids[place] for place in self.account[kept].tolist()]
            cash = dict(zip(self.ids, self.cash.tolist(), strict=True))
        return Accounts(
            account,
            self.market[kept],
            self.quantity[kept],
            self.entry_price[kept],
            cash,
            self.schedules,
            None if self.isolated is None else self.isolated[kept],
            self.group,
            self.close,
            target=self.target,
        )

    def _in(self, markets: Markets) -> Reduced:
        """Return what stands for itself in each market, and what does not."""
        if markets.names not in self._reduced:
            self._reduced[markets.names] = Reduced.of(self, markets.names)
        return self._reduced[markets.names]

    def _market_places(self, names: Sequence[str]) -> Ints:
        if self.market.dtype.kind in "iu":
            check("market", self.market, (self.market >= 0) & (self.market < len(names)), f"0 to {len(names) - 1}")
            return self.market.astype(np.int64)
        distinct, inverse = np.unique(self.market, return_inverse=True)
        place = {name: i for i, name in enumerate(names)}
        found = np.array([place.get(str(name), -1) for name in distinct], dtype=np.int64)[inverse.reshape(-1)]
        check("market", self.market, found >= 0, f"one of the markets, {', '.join(names)}")
        return found

    def _schedule(self, name: str) -> MarginSchedule | None:
        if self._banks:
            return MarginSchedule.flat(0.0)
        if isinstance(self.schedules, MarginSchedule):
            return self.schedules
        return cast(Mapping[str, MarginSchedule], self.schedules).get(name)


@dataclass(frozen=True, eq=False)
class Reduced:
    """Accounts, as the engine takes them: a book of each market, and accounts over several markets.

    Attributes
    ----------
    books : tuple of Book
        Isolated positions, and those of accounts in one market only, but for shorts with equity below 0 at any price.
    rows, owner, alone : tuple of ndarray
        Of each book's positions the first row that it stands for, its account, and whether it is isolated.
    first, market, quantity, cost, money, account : ndarray
        All other accounts: where their positions begin, those positions, and what is theirs alone.
    position_of_row : ndarray of int64, shape (rows,)
        Which of the positions in books (those of all markets in a row) or, behind them, over several markets stands for
        a row; -1 where rows have netted to nothing.
    """

    accounts: Accounts
    schedules: tuple[MarginSchedule, ...]
    books: tuple[Book, ...]
    owner: tuple[Ints, ...]
    alone: tuple[NDArray[np.bool_], ...]
    first: Ints
    market: NDArray[np.int32]
    quantity: FloatArray
    cost: FloatArray
    money: FloatArray
    account: Ints
    position_of_row: Ints

    @classmethod
    def of(cls, accounts: Accounts, names: tuple[str, ...]) -> Reduced:
        """Net rows that share margin, and tell positions with a trigger price of their own from the others."""
        places = accounts._market_places(names)
        schedules = []
        for i, name in enumerate(names):
            schedule = accounts._schedule(name)
            if schedule is None and (places == i).any():
                what = "schedules"
                if isinstance(accounts.close, LoanRule):
                    what = "liquidation_threshold (the schedules of loans)"
                raise ValueError(f"{what} must name every market of a position, was without {name!r}")
            schedules.append(MarginSchedule.flat(0.0) if schedule is None else schedule)
        count = places.size
        margin = np.full(count, np.nan) if accounts.isolated is None else accounts.isolated
        alone_row = ~np.isnan(margin)
        # Positions: one for each account and market, in this order, and behind them an isolated row each.
        key = accounts.account * len(names) + places
        key[alone_row] = len(accounts) * len(names) + np.arange(count)[alone_row]
        _, first_row, position = np.unique(key, return_index=True, return_inverse=True)
        quantity = _sums(position, accounts.quantity, first_row.size)
        with np.errstate(over="ignore", invalid="ignore"):  # told below
            cost = _sums(position, accounts.quantity * accounts.entry_price, first_row.size)
        for name, column in (("quantity", quantity), ("quantity x entry_price", cost)):
            check(name, column, np.isfinite(column), "finite in sum")
        rows = np.bincount(position, minlength=first_row.size)
        owner, market, alone = accounts.account[first_row], places[first_row], alone_row[first_row]

        # What rounding leaves of a sum is no position.
        gross = _sums(position, np.abs(accounts.quantity), first_row.size)
        flat = (np.abs(quantity) <= rows * np.finfo(np.float64).eps * gross) & ~alone
        cash = accounts.cash - _sums(owner[flat], cost[flat], len(accounts))
        shared = ~flat & ~alone
        held = np.bincount(owner[shared], minlength=len(accounts))
        # A short whose equity is below 0 at any price has no bankruptcy price of its own.
        broke = (quantity < 0) & (cash[owner] < cost)
        single = shared & (held[owner] == 1) & ~broke & (not accounts._by_rule)
        several = shared & ~single
        held = np.bincount(owner[several], minlength=len(accounts))

        # Of what was netted the average entry price, if it is one; else any, with the difference in the margin.
        with np.errstate(divide="ignore", invalid="ignore"):
            average = cost / quantity
        fits = (average > 0) & (average < np.inf)
        entry = np.where((rows > 1) & fits, average, accounts.entry_price[first_row])
        own_margin = np.where(alone, margin[first_row], cash[owner])
        own_margin = np.where((rows > 1) & ~fits, own_margin + quantity * entry - cost, own_margin)

        standing = alone | single
        books, owners, alones, numbers = [], [], [], np.full(first_row.size, -1, dtype=np.int64)
        begin = 0
        for i, schedule in enumerate(schedules):
            mine = np.flatnonzero(standing & (market == i))
            mine = mine[np.argsort(first_row[mine])]
            side = np.sign(quantity[mine]).astype(np.int8)
            columns = (side, np.abs(quantity[mine]), entry[mine], own_margin[mine])
            trigger = np.asarray(liquidation_price(*columns, schedule))
            # A short whose collateral is gone at any price is crossed at any.
            trigger = np.where((side < 0) & (trigger == 0), np.finfo(np.float64).tiny, trigger)
            bankruptcy = np.maximum(np.asarray(bankruptcy_price(*columns)), 0.0)
            books.append(Book(side, columns[1], trigger, bankruptcy, columns[2]))
            owners.append(owner[mine])
            alones.append(alone[mine])
            numbers[mine] = begin + np.arange(mine.size)
            begin += mine.size
        mine = np.flatnonzero(several)
        numbers[mine] = begin + np.arange(mine.size)
        # Banks without positions may be in default.
        who = np.arange(len(accounts)) if accounts._banks else np.flatnonzero(held)
        money = cash[who] - _sums(np.repeat(np.arange(who.size), held[who]), cost[mine], who.size)
        check("cash", money, np.isfinite(money), "finite in sum")
        return cls(
            accounts,
            tuple(schedules),
            tuple(books),
            tuple(owners),
            tuple(alones),
            np.append(0, np.cumsum(held[who])).astype(np.int64),
            market[mine].astype(np.int32),
            quantity[mine],
            cost[mine],
            money,
            who,
            numbers[position],
        )

    @cached_property
    def labels(self) -> NDArray[Any]:
        """The labels of the groups, sorted; one for all where there are none."""
        return np.zeros(1) if self.accounts.group is None else np.unique(self.accounts.group)

    @property
    def groups(self) -> int:
        """How many groups the engine counts: one, too, where there are no labels."""
        return max(self.labels.size, 1)

    @cached_property
    def codes(self) -> NDArray[np.int32]:
        """Which label each account has."""
        if self.accounts.group is None:
            return np.zeros(len(self.accounts), dtype=np.int32)
        return np.searchsorted(self.labels, self.accounts.group).astype(np.int32)

    @cached_property
    def engine(self) -> EngineAccounts:
        """The accounts over several markets."""
        close = self.accounts.close
        return (
            self.first,
            self.market,
            self.quantity,
            self.cost,
            self.money,
            None if self.accounts.group is None else self.codes[self.account],
            tuple(schedule._engine for schedule in self.schedules),
            CLOSES.index(close) if isinstance(close, str) else _DELEVER if isinstance(close, Delever) else _REPAY,
            1.0 if self.accounts.target is None else self.accounts.target,
            close._columns(len(self.accounts)) if isinstance(close, Delever) else None,
            close._engine if isinstance(close, LoanRule) else None,
        )

    def job(self, markets: Markets, venue: Venue, confined: int = -1) -> EngineAccountJob:
        """Everything that the engine needs; accounts first hurt in the market `confined` trade in no other."""
        grouped, winners = self.accounts.group is not None, venue._closes_winners
        books = tuple(
            (
                market._engine,
                book.long._engine,
                book.short._engine,
                book._settled(True, winners),
                self.codes[owner[book.long.index]] if grouped else None,
                self.codes[owner[book.short.index]] if grouped else None,
                alone[book.long.index] if winners else None,
                alone[book.short.index] if winners else None,
            )
            for market, book, owner, alone in zip(
                markets.markets.values(), self.books, self.owner, self.alone, strict=True
            )
        )
        if markets.fill == "midpoint" and any(map(len, self.books)):
            raise ValueError(
                "fill must be 'each' where positions are isolated or an account's only ones (those go by price), was "
                "'midpoint'"
            )
        midpoint = markets.fill == "midpoint"
        if midpoint and winners:
            raise ValueError(f"fill must be 'each' where adl closes winners, {venue.adl!r}, was 'midpoint'")
        if venue.adl == "water_filling" and self.market.size:
            raise ValueError(
                "adl of a venue must not be 'water_filling' with accounts in several markets (it evens out leverage of "
                "positions, which have it in common there)"
            )
        return books, markets._engine_cross, self.engine, venue._engine, self.groups, confined, midpoint

    def failing(self, markets: Markets) -> NDArray[np.bool_]:
        """Whether each position, in books and then over several markets, fails at the markets' prices."""
        parts = []
        for book, price in zip(self.books, markets.price, strict=True):
            longs, shorts = book._crossed(price)
            crossed = np.zeros(len(book), dtype=bool)
            crossed[book.long.index[:longs]] = True
            crossed[book.short.index[:shorts]] = True
            parts.append(crossed)
        fails = _core.failing_accounts(self.engine, markets.price)
        return np.concatenate([*parts, np.repeat(fails, np.diff(self.first))])


def _names(market: ArrayLike) -> NDArray[Any]:
    unmasked("market", market)
    array = np.array(market)
    return array if array.dtype.kind in "iu" else words("market", market, "names or integers")


def _sums(place: Ints, values: FloatArray, count: int) -> FloatArray:
    # Without any, numpy counts in integers.
    return np.bincount(place, values, count).astype(np.float64, copy=False)


def check_questioned(accounts: object, markets: object) -> tuple[Reduced, Markets]:
    """Return what the engine needs of accounts in these markets, and those, or say what is wrong."""
    if not isinstance(accounts, Accounts):
        raise TypeError(f"accounts must be Accounts where markets are given, was {type(accounts).__name__}")
    if not isinstance(markets, Markets):
        raise TypeError(f"markets must be Markets where accounts are given, was {type(markets).__name__}")
    return accounts._in(markets), markets


def check_at_rest(reduced: Reduced, markets: Markets) -> None:
    """Raise where anything fails at the markets' prices; banks may act at any time."""
    if reduced.accounts._banks:
        return
    failing = reduced.failing(markets)
    if failing.any():
        owner = np.concatenate([*reduced.owner, np.repeat(reduced.account, np.diff(reduced.first))])
        count = np.unique(owner[failing]).size
        raise ValueError(
            f"accounts must hold nothing that fails at the markets' prices; {count:,} accounts do "
            "(accounts.alive(markets) drops such positions)"
        )


def check_account_venue(venue: object, accounts: Accounts) -> None:
    """Raise unless a venue has rules only that accounts have, too."""
    if not isinstance(venue, Venue):
        raise TypeError(f"venue must be a Venue, was {type(venue).__name__}")
    plain = Venue()
    known = ("fund", "surplus_to", "fee_rate", "fee_to", "adl", "adl_price")
    for name, value in vars(venue).items():
        if name not in known and value != getattr(plain, name):
            raise ValueError(f"{name} of a venue must be left out with accounts, was {value!r}")
    if venue.adl == "socialised" or (venue._closes_winners and accounts._by_rule):
        kind = "banks and loans" if accounts._by_rule else "accounts"
        raise ValueError(f"adl of a venue must be left out with {kind}, was {venue.adl!r}")
    if isinstance(accounts.close, LoanRule) and venue.fee_rate != 0:
        raise ValueError(f"fee_rate of a venue must be 0 for loans (the bonus is the fee), was {venue.fee_rate!r}")
    if accounts._banks and venue.surplus_to != "trader":
        raise ValueError(f"surplus_to of a venue must be 'trader' for banks, was {venue.surplus_to!r}")


def per_market(name: str, value: Any, markets: Markets, default: float) -> FloatArray:
    """Return numbers with one entry a market along the last axis: given for all, by name, or as such an array."""
    count = len(markets)
    if isinstance(value, Mapping):
        for key in value:
            if key not in markets.markets:
                raise ValueError(f"{name} must be of the markets, {', '.join(markets.names)}, was of {key!r}")
        columns = [finite_array(f"{name} of {key}", value.get(key, default)) for key in markets.names]
        try:
            return np.stack(np.broadcast_arrays(*columns), -1)
        except ValueError:
            shapes = ", ".join(str(column.shape) for column in columns)
            raise ValueError(f"{name} of all markets must broadcast together, was of shapes {shapes}") from None
    array = finite_array(name, value)
    if array.ndim and array.shape[-1] not in (1, count):
        raise ValueError(
            f"{name} must have one entry a market, {count}, along its last axis, was of shape {array.shape}"
        )
    return np.broadcast_to(array, (*array.shape[:-1], count) if array.ndim else (count,))


def per_scenario(
    markets: Markets, shock: Any, sell: Any, liquidity: Any, refill: object, rounds: int | None
) -> tuple[EngineScenarios, tuple[int, ...]]:
    """Check what starts cascades; return flat columns of one entry a scenario and market, and the scenarios' shape."""
    given = (
        per_market("shock", shock, markets, 0.0),
        per_market("sell", sell, markets, 0.0),
        per_market("liquidity", liquidity, markets, 1.0),
    )
    with np.errstate(over="ignore"):
        price = markets.price * (1 + given[0])
    check("shock", given[0], (given[0] > -1) & (price > 0) & (price < np.inf), "above -1, and leave prices finite")
    positive("liquidity", given[2])
    share = number("refill", refill, at_least=0, at_most=1)
    most = None if rounds is None else whole("rounds", rounds, 0, 2**63 - 1)
    try:
        shape = np.broadcast_shapes(*(array.shape for array in given))
    except ValueError:
        shapes = ", ".join(str(array.shape) for array in given)
        raise ValueError(f"shock, sell and liquidity must broadcast together, were of shapes {shapes}") from None
    flat = [np.array(np.broadcast_to(array, shape), dtype=np.float64).reshape(-1) for array in given]
    return (flat[0], flat[1], flat[2], share, most), shape[:-1]
