"""A venue: how it closes what is triggered, what it charges, and who bears the loss beyond the margin."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass, fields
from dataclasses import replace as replaced
from typing import Any

from flushpoint._shown import amount, percent
from flushpoint._validate import FloatArray, number, one_of
from flushpoint.book import Book
from flushpoint.margin import MarginSchedule

EngineVenue = tuple[
    float,
    float,
    bool,
    int,
    int,
    bool,
    int,
    float,
    float,
    float,
    tuple[FloatArray, FloatArray, FloatArray] | None,
    float,
    float,
    float,
]

# In the order of the engine's numbers.
CLOSES = ("full", "tier_step_down", "fraction")
ADL = (
    "none",
    "queue",
    "queue_margin_ratio",
    "queue_price_ratio",
    "list_order",
    "pro_rata",
    "pro_rata_profit",
    "water_filling",
    "socialised",
)
#: Those that close positions of winners.
CLOSING_WINNERS = ADL[1:-1]
_SURPLUS_TO = ("fund", "trader", "venue")
_FEE_TO = ("venue", "fund")
_ADL_PRICES = ("bankruptcy", "mark")

_WHO = {"fund": "the fund", "trader": "its trader", "venue": "the venue"}
_IN_WORDS = {
    "queue": "in order of profit in per cent x effective leverage",
    "queue_margin_ratio": "in order of profit over wallet x maintenance over equity",
    "queue_price_ratio": "in order of the price's move in their favour x effective leverage",
    "list_order": "in the book's order",
    "pro_rata": "each by the same share of its quantity",
    "pro_rata_profit": "in proportion to profit",
    "water_filling": "so that the highest leverage becomes as low as it can",
}


@dataclass(frozen=True, repr=False)
class Venue:
    """What a venue does at a trigger: how it closes, what it charges, and who bears a loss beyond the margin.

    Position by position in firing order, a close is sold (a short's: bought) in the market. What it fetches beyond
    quantity x bankruptcy price is a surplus: first the fee, then the rest to `surplus_to`. What it falls short of that
    is a shortfall, which the fund pays. Where the fund cannot, and `adl` closes winners, the sale does not happen: this
    position and the rest of its wave are closed against winners of the other side, without moving the price.

    Parameters
    ----------
    close : {"full", "tier_step_down", "fraction"}, default "full"
        How much each close takes: all; down to the next lower tier of `schedule`, all in the lowest; or a share. What
        is left keeps trading with the bankruptcy price and the trigger that follow from what the close has cost, and
        may fire again. Sized by tiers or by what is needed, a close takes at least 1 % of the position as it first was.
        All is taken in any case where equity at the mark is gone or less than 1 % would be left.
    fund : float, default 0.0
        The insurance fund at the start, quote units, at least 0.
    adl : str, default "none"
        Who bears a shortfall that the fund cannot pay. ``"none"``: nobody in the model, it is `unpaid_loss`.
        ``"socialised"``: all open positions, in proportion to quantity; triggers do not move. Else winners of the
        other side are closed: whole, highest score first, by ``"queue"`` (profit in per cent x effective leverage:
        BitMEX, Bybit), ``"queue_margin_ratio"`` (profit / wallet x maintenance / equity: Binance) or
        ``"queue_price_ratio"`` (price / entry price x effective leverage, read in the direction of profit: the words
        of Hyperliquid's page), or in ``"list_order"``, the book's; or all in part, by ``"pro_rata"`` of quantity,
        ``"pro_rata_profit"``, or ``"water_filling"``, which makes their highest leverage as low as it can be (Campbell,
        Hey, Moallemi and Nutz, arXiv:2603.15963).
    surplus_to : {"fund", "trader", "venue"}, default "fund"
        Who keeps what a whole close leaves of the margin after the fee.
    adl_price : {"bankruptcy", "mark"}, default "bankruptcy"
        Price at which losers and winners are closed against each other: the loser's bankruptcy price, or the mark. At
        the mark winners give nothing up, and what the loser lacks there is a shortfall that the fund pays as far as it
        can.
    fee_rate : float, default 0.0
        Share of the money that a close fetches or costs, at least 0 and below 1. Paid out of what is left of the
        margin: it never causes a shortfall.
    pacing : float, default inf
        At most so much forced quantity a second, base units, positive; the rest waits. Only in `simulate`.
    fee_to : {"venue", "fund"}, default "venue"
    fraction : float, optional
        With close "fraction", the share of what is left of a position that each close takes, 0.01 to 1.
        None: the least share that brings equity to `target` x maintenance at the mark.
    target : float, default 1.0
        At least 1; with close "fraction" and no `fraction` given.
    whole_below : float, default 0.0
        Positions of a smaller notional at the mark are closed whole, quote units, at least 0. Not with close "full".
    schedule : MarginSchedule, optional
        Tiers of maintenance margin, needed by "tier_step_down". With "fraction" and without tiers, each position keeps
        the rate that its own trigger and bankruptcy price imply.
    delay : float, default 0.0
        Seconds between a trigger and its execution, at least 0. Only in `simulate`.
    mark_weight : float, optional
        Weight of the traded price in this venue's mark, from 0 to 1, instead of the market's.
    price_band : float, default inf
        Forced sales (purchases) wait while the traded price lies more than this share below (above) the exogenous one,
        positive. Only in `simulate`.

    Raises
    ------
    TypeError, ValueError
        Naming the argument, the rule and the value; also where `fraction`, `target`, `whole_below`, `schedule` or
        `adl_price` is given that `close` or `adl` leaves without use.

    See Also
    --------
    Venue.binance, Venue.bybit, Venue.okx, Venue.bitmex, Venue.hyperliquid, Venue.dydx : Presets.

    Notes
    -----
    A model of venues' published rules, not of their machines: linear contracts, isolated margin, one market.
    With `Accounts` a venue has `fund`, `surplus_to`, `fee_rate`, `fee_to`, `adl` and `adl_price`.

    Examples
    --------
    >>> venue = Venue(fund=1e6, adl="queue", fee_rate=0.005)
    >>> print(venue)
    venue with a fund of 1,000,000
      at its trigger a position is closed whole, in the market
      fee: 0.5 % of the money traded, as far as there is margin, to the venue
      what is left of the margin goes to the fund, which pays shortfalls
      what the fund cannot pay is not sold: winners are closed at the bankruptcy price, in order of profit in per cent \
x effective leverage
    >>> venue.with_fund(0.0)
    Venue(adl='queue', fee_rate=0.005)
    """

    close: str = "full"
    fund: float = 0.0
    adl: str = "none"
    surplus_to: str = "fund"
    adl_price: str = "bankruptcy"
    fee_rate: float = 0.0
    pacing: float = math.inf
    _: KW_ONLY
    fee_to: str = "venue"
    fraction: float | None = None
    target: float = 1.0
    whole_below: float = 0.0
    schedule: MarginSchedule | None = None
    delay: float = 0.0
    mark_weight: float | None = None
    price_band: float = math.inf

    def __post_init__(self) -> None:
        one_of("close", self.close, CLOSES)
        one_of("adl", self.adl, ADL)
        one_of("surplus_to", self.surplus_to, _SURPLUS_TO)
        one_of("adl_price", self.adl_price, _ADL_PRICES)
        one_of("fee_to", self.fee_to, _FEE_TO)
        for name, bounds in (
            ("fund", {"at_least": 0}),
            ("fee_rate", {"at_least": 0, "below": 1}),
            ("pacing", {"above": 0, "finite": False}),
            ("target", {"at_least": 1}),
            ("whole_below", {"at_least": 0}),
            ("delay", {"at_least": 0}),
            ("price_band", {"above": 0, "finite": False}),
        ):
            object.__setattr__(self, name, number(name, getattr(self, name), **bounds))  # type: ignore[arg-type]
        for name, least in (("fraction", 0.01), ("mark_weight", 0.0)):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, number(name, getattr(self, name), at_least=least, at_most=1))
        if self.schedule is not None and not isinstance(self.schedule, MarginSchedule):
            raise TypeError(f"schedule must be a MarginSchedule, was {self.schedule!r}")
        if self.close == "tier_step_down" and self.schedule is None:
            raise ValueError("schedule must be given where close is 'tier_step_down', was None")
        for name, why in _unused(vars(self)):
            raise ValueError(f"{name} must be left out where {why}, was {_shown(getattr(self, name))}")

    @classmethod
    def binance(cls, fund: float = 0.0, **changes: Any) -> Venue:
        """Binance's USDT-margined perpetuals: one order that should restore the margin, then ADL by margin ratio.

        Parameters
        ----------
        fund : float, default 0.0
            The insurance fund, quote units.
        **changes
            Other settings of a `Venue`, instead of the preset's.

        Returns
        -------
        Venue

        Notes
        -----
        Source: the venue's help pages on liquidation, insurance fund and auto-deleveraging (FAQ 360033525271,
        360033525471, b3c689c1f50a44cabb3a84e663b81d93, ceccfcfb4e3a45e3b48b0b1bb1a8ae46).

        As there: one large order closes what brings equity back to maintenance, the clearance fee is charged on what
        is liquidated, losers and winners are closed at the bankruptcy price without a fee, by profit over wallet x
        margin ratio.

        Simplified: the fee is 0.3 %, that of bitcoin in 2019 (today it is set by symbol), and goes to the fund whole.
        A close counts on no slippage; what it leaves crossed fires again in the next wave, where the venue would
        hand it to the fund at its bankruptcy price. The fund takes over no positions: the venue's may carry them up
        to its own size before winners are closed. All of what is left of the margin goes to the fund; the venue says
        "part". Give `schedule` for the venue's tiers; without it each position keeps its own flat rate.

        Left out: cross margin, orders cancelled first, the smoothed mark.
        """
        return cls._preset(
            changes, close="fraction", fund=fund, adl="queue_margin_ratio", fee_rate=0.003, fee_to="fund"
        )

    @classmethod
    def bybit(cls, schedule: MarginSchedule | None = None, fund: float = 0.0, **changes: Any) -> Venue:
        """Bybit's isolated linear contracts: step down by tiers, then ADL by leveraged return.

        Parameters
        ----------
        schedule : MarginSchedule
            The contract's risk tiers.
        fund : float, default 0.0
            The insurance pool, quote units.
        **changes
            Other settings of a `Venue`, instead of the preset's.

        Returns
        -------
        Venue

        Notes
        -----
        Source: the venue's help pages 360039261334 and 900000031623 and its page on auto-deleveraging alerts
        (v5/market/adl-alert). That positions step down by risk tier is second-hand.

        As there: what is left of the margin goes to the pool; winners are closed at the bankruptcy price, by profit x
        effective leverage, where the pool is empty.

        Simplified: the pool must be too small for a loss; the venue's second rule, a fall of the pool by 30 % from its
        8-hour peak on one symbol's losses, is left out, and so is its stop at 25 %. The taker fee depends on account
        and contract and is 0 unless `fee_rate` is given; a deleveraged winner pays none (there: the maker's).
        Bankruptcy prices are the book's; the venue's include the fee for closing.
        """
        return cls._preset(changes, close="tier_step_down", fund=fund, adl="queue", schedule=schedule)

    @classmethod
    def okx(cls, schedule: MarginSchedule | None = None, fund: float = 0.0, **changes: Any) -> Venue:
        """OKX's perpetual swaps: step down by tiers, ADL at the mark.

        Parameters
        ----------
        schedule : MarginSchedule
            The swap's position tiers.
        fund : float, default 0.0
            The insurance fund, quote units.
        **changes
            Other settings of a `Venue`, instead of the preset's.

        Returns
        -------
        Venue

        Notes
        -----
        Source: the venue's pages on liquidation and auto-deleveraging (360020411711, 6974388462605,
        iv-introduction-to-auto-deleveraging-adl). The ranking, return over margin ratio, is second-hand.

        As there: positions of higher tiers are reduced by tiers, the lowest are taken whole; what is left of the margin
        goes to the fund; winners are closed at the mark price, not at the loser's bankruptcy price.

        Simplified: what a deleveraged loser lacks at the mark is the fund's to pay, and unpaid where it cannot. One
        tier at a time down to the lowest (the venue takes its two lowest tiers whole, newer copies of its page speak of
        two tiers at a time). Winners are closed where the fund cannot pay; the venue starts where the fund is empty or
        has fallen by 30 % from its peak within 8 hours. The liquidation fee, at the taker's rate, depends on the
        account and is 0 unless `fee_rate` is given.

        Left out: the minute between attempts (`delay` is one for every close), price limits (`price_band` is a
        simpler one), portfolio margin.
        """
        return cls._preset(
            changes,
            close="tier_step_down",
            fund=fund,
            adl="queue_margin_ratio",
            adl_price="mark",
            schedule=schedule,
        )

    @classmethod
    def bitmex(cls, schedule: MarginSchedule | None = None, fund: float = 0.0, **changes: Any) -> Venue:
        """BitMEX: step down by risk limits, maintenance margin to the fund, ADL by profit x leverage.

        Parameters
        ----------
        schedule : MarginSchedule
            The contract's risk limits.
        fund : float, default 0.0
            The insurance fund, quote units.
        **changes
            Other settings of a `Venue`, instead of the preset's.

        Returns
        -------
        Venue

        Notes
        -----
        Source: the venue's pages app/liquidation, app/liquidationExamples, app/autoDeleveraging,
        app/autoDeleveragingExamples and support 18589621443357.

        As there: higher risk limits are stepped down, in the lowest the whole position is taken; what is left of the
        maintenance margin is lost to the fund, no other fee; winners are closed at the bankruptcy price, by profit in
        per cent x effective leverage.

        Simplified: linear contracts; a step down always fills (there: fill or kill, else all is taken over at the
        bankruptcy price, and the engine works the rest off by limit orders at it). Here what is taken over is sold
        at once, below the bankruptcy price if need be, which is what the fund pays for.
        """
        return cls._preset(changes, close="tier_step_down", fund=fund, adl="queue", schedule=schedule)

    @classmethod
    def hyperliquid(cls, fund: float = 0.0, **changes: Any) -> Venue:
        """Hyperliquid: a fifth at a time where a position is large, traders keep the rest, ADL at the mark.

        Parameters
        ----------
        fund : float, default 0.0
            What the liquidator vault bears before winners are closed, quote units.
        **changes
            Other settings of a `Venue`, instead of the preset's.

        Returns
        -------
        Venue

        Notes
        -----
        Source: the venue's pages on liquidations and auto-deleveraging. The queue is profit x leverage, which reverse
        engineering of its node found (osec.io, 22 June 2026, second-hand); the page's own words are
        ``adl="queue_price_ratio"``, which orders otherwise.

        As there: positions above 100,000 are closed by a fifth, smaller ones whole, without a fee; what the market
        leaves of the margin is the trader's; winners are closed at the mark.

        Simplified: each further close takes a fifth of what is left, as soon as it is crossed again; the venue waits 30
        seconds after a fifth, and sends orders of full size within them. The mark of the wave stands for the previous
        mark price. What a deleveraged loser lacks there is `fund`'s to pay, and unpaid where it cannot.

        Left out: the vault, which takes a position over whole, with its margin, once equity is below two thirds of
        maintenance (here all is sold in the market, and `fund` pays); cross margin.
        """
        return cls._preset(
            changes,
            close="fraction",
            fund=fund,
            adl="queue",
            surplus_to="trader",
            adl_price="mark",
            fraction=0.2,
            whole_below=100_000.0,
        )

    @classmethod
    def dydx(cls, fund: float = 0.0, **changes: Any) -> Venue:
        """The dYdX chain, v4: a fee to the fund, the rest to the trader, deleveraging in no order of merit.

        Parameters
        ----------
        fund : float, default 0.0
            The insurance fund (of an isolated market: its own), quote units.
        **changes
            Other settings of a `Venue`, instead of the preset's.

        Returns
        -------
        Venue

        Notes
        -----
        Source: github.com/dydxprotocol/v4-chain, protocol/x/clob/keeper/liquidations.go and deleveraging.go, commit
        84d4664b.

        As there: the fund gets the lesser of 0.5 % of the fill and what the fill leaves beyond the bankruptcy price; a
        fill that needs more than the fund holds is rejected, and the position is closed against others at its
        bankruptcy price.

        Simplified: others are winners in the book's order; the chain starts at a pseudo-random place of its list, takes
        no account of profit, and stops after so many.

        Left out: the fillable price, a limit between oracle and bankruptcy price (orders here are filled at any
        price); limits of what one block may liquidate; accounts of several positions.
        """
        return cls._preset(changes, fund=fund, adl="list_order", surplus_to="trader", fee_rate=0.005, fee_to="fund")

    @classmethod
    def _preset(cls, changes: dict[str, Any], **preset: Any) -> Venue:
        return cls(**_settings(preset, changes))

    def with_fund(self, fund: float) -> Venue:
        """Return the venue with another fund.

        Parameters
        ----------
        fund : float
            Quote units, at least 0.

        Returns
        -------
        Venue
        """
        return replaced(self, fund=fund)

    def _changed(self, changes: dict[str, Any]) -> Venue:
        """Return the venue with other settings; what they leave without use goes back to its default."""
        return Venue(**_settings({field.name: getattr(self, field.name) for field in fields(self)}, changes))

    @property
    def _closes_winners(self) -> bool:
        return self.adl in CLOSING_WINNERS

    @property
    def _waits(self) -> bool:
        return math.isfinite(self.pacing) or self.delay > 0 or math.isfinite(self.price_band)

    @property
    def _intervenes(self) -> bool:
        """Whether it changes what is traded, not only who pays."""
        return self._closes_winners or self._closes_in_part or self._waits

    @property
    def _closes_in_part(self) -> bool:
        if self.close == "tier_step_down":
            return self.schedule is not None and self.schedule.rate.size > 1
        return self.close == "fraction" and self.fraction != 1

    @property
    def _engine(self) -> EngineVenue:
        return (
            self.fund,
            self.fee_rate,
            self.fee_to == "fund",
            _SURPLUS_TO.index(self.surplus_to),
            ADL.index(self.adl),
            self.adl_price == "mark",
            CLOSES.index(self.close),
            math.nan if self.fraction is None else self.fraction,
            self.target,
            self.whole_below,
            None if self.schedule is None else self.schedule._engine,
            self.pacing,
            self.delay,
            self.price_band,
        )

    def __repr__(self) -> str:
        given = []
        for field in fields(self):
            value = getattr(self, field.name)
            if value != field.default:
                given.append(f"{field.name}={_shown(value)}")
        return f"Venue({', '.join(given)})"

    def __str__(self) -> str:
        lines = [f"venue with a fund of {amount(self.fund)}" if self.fund else "venue without a fund"]
        lines.append(f"at its trigger a position is closed {self._taken}, in the market")
        if self.delay:
            lines.append(f"{self.delay:g} s after its trigger")
        if math.isfinite(self.pacing):
            lines.append(f"at most {amount(self.pacing)} units a second, the rest waits")
        if math.isfinite(self.price_band):
            lines.append(f"not while the price is more than {percent(self.price_band)} beyond the exogenous one")
        if self.fee_rate:
            lines.append(
                f"fee: {percent(self.fee_rate)} of the money traded, as far as there is margin, to {_WHO[self.fee_to]}"
            )
        pays = "which pays shortfalls" if self.surplus_to == "fund" else "the fund pays shortfalls"
        lines.append(f"what is left of the margin goes to {_WHO[self.surplus_to]}, {pays}")
        if self.adl == "none":
            lines.append("what the fund cannot pay stays unpaid")
        elif self.adl == "socialised":
            lines.append("what the fund cannot pay is borne by all open positions, by quantity")
        else:
            price = "the bankruptcy price" if self.adl_price == "bankruptcy" else "the mark"
            lines.append(f"what the fund cannot pay is not sold: winners are closed at {price}, {_IN_WORDS[self.adl]}")
        if self.mark_weight is not None:
            lines.append(f"mark: {percent(self.mark_weight)} traded price, the rest an index")
        return "\n  ".join(lines)

    @property
    def _taken(self) -> str:
        if self.close == "full":
            return "whole"
        if self.close == "tier_step_down":
            much = "down to the next lower tier, whole in the lowest"
        elif self.fraction is not None:
            much = f"by {percent(self.fraction)} of what is left of it"
        else:
            much = f"by the least that brings equity to {self.target:g} x maintenance"
        return f"{much} (whole below a notional of {amount(self.whole_below)})" if self.whole_below else much


_DEFAULTS = {field.name: field.default for field in fields(Venue)}


def _unused(settings: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Tell which settings, other than their defaults, the others leave without use, and why."""

    def given(name: str) -> bool:
        return bool(settings.get(name, _DEFAULTS[name]) != _DEFAULTS[name])

    def value(name: str) -> Any:
        return settings.get(name, _DEFAULTS[name])

    close, adl = value("close"), value("adl")
    if close != "fraction":
        for name in ("fraction", "target"):
            if given(name):
                yield name, f"close is {close!r}"
    elif given("fraction") and given("target"):
        yield "target", "fraction is given"
    if close == "full":
        for name in ("whole_below", "schedule"):
            if given(name):
                yield name, f"close is {close!r}"
    if adl not in CLOSING_WINNERS and given("adl_price"):
        yield "adl_price", f"adl is {adl!r}"


def _settings(before: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Put changes in place of settings; leave out those of before that are then without use."""
    for name in changes:
        if name not in _DEFAULTS:
            raise TypeError(f"settings must be among {', '.join(_DEFAULTS)}, was {name!r}")
    after = {**before, **changes}
    useless = {name for name, _ in _unused(after)} - changes.keys()
    return {name: value for name, value in after.items() if name not in useless}


def _shown(value: object) -> str:
    return f"<{value.rate.size} tiers>" if isinstance(value, MarginSchedule) else repr(value)


def _check_venue(venue: object) -> None:
    if not isinstance(venue, Venue):
        raise TypeError(f"venue must be a Venue, was {type(venue).__name__}")


def _check_book(venue: Venue, book: Book) -> None:
    """Raise unless the book holds what the venue needs to know."""
    if book.long.bankruptcy_price is None:
        raise ValueError("book must have bankruptcy prices with a venue, was without")
    if not venue._closes_winners:
        return
    if book.entry_price is None:
        raise ValueError(f"book must have entry prices where adl closes winners, {venue.adl!r}, was without")
    for name, side in (("longs", book.long), ("shorts", book.short)):
        if not len(side):
            raise ValueError(f"book must have both sides where adl closes winners, {venue.adl!r}, was without {name}")


def _check_instant(venue: Venue) -> None:
    """Raise where the venue needs time, of which a single cascade has none."""
    for name, none in (("pacing", math.inf), ("delay", 0.0), ("price_band", math.inf)):
        if getattr(venue, name) != none:
            raise ValueError(f"{name} must be {none:g} but in simulate, was {getattr(venue, name)}")
