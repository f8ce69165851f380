"""Who is leveraged how much, and since when: mixes of leverage and laws of entry prices, as data."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from flushpoint._validate import FloatArray, check, count, finite_array, number, positive, read_only, restore

_NORMAL = NormalDist()
_PUBLISHED = ("hyperliquid-2025", "bitmex-2019", "binance-2019")


@dataclass(frozen=True, eq=False)
class LeverageMix:
    """How open interest is spread over leverage.

    Parameters
    ----------
    leverage : array_like, shape (n,)
        Notional at entry / margin, positive and strictly increasing.
    share : array_like, shape (n,)
        Share of open interest, positive; scaled to add up to 1.

    Examples
    --------
    >>> mix = LeverageMix([5, 10, 50], [2, 1, 1])
    >>> mix.share
    array([0.5 , 0.25, 0.25])
    """

    leverage: FloatArray
    share: FloatArray

    def __post_init__(self) -> None:
        _columns(self, "leverage")
        positive("leverage", self.leverage)

    __setstate__ = restore

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, LeverageMix):
            return NotImplemented
        return np.array_equal(self.leverage, other.leverage) and np.array_equal(self.share, other.share)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"LeverageMix(<{self.leverage.size:,} leverages from {self.leverage[0]:g} to {self.leverage[-1]:g}>)"

    @classmethod
    def power_law(
        cls, exponent: float = 1.3, lowest: float = 2.0, highest: float = 125.0, classes: int = 32
    ) -> LeverageMix:
        """Make the mix in which the share of open interest above leverage L goes with L ** -exponent.

        The defaults are those that hourly bitcoin liquidations of December 2025 to February 2026 prefer, on a broad
        plateau: every figure of fit changes little from an exponent of 1.15 to 1.45.

        Parameters
        ----------
        exponent : float, default 1.3
            Positive.
        lowest, highest : float, default 2.0 and 125.0
            Bounds of leverage, positive.
        classes : int, default 32
            How many leverages, evenly spaced in logarithm; at least 2.

        Returns
        -------
        LeverageMix
        """
        slope = number("exponent", exponent, above=0)
        low = number("lowest", lowest, above=0)
        high = number("highest", highest, above=low)
        leverage = np.geomspace(low, high, count("classes", classes, 2, 1_000))
        return cls(leverage, leverage**-slope)

    @classmethod
    def lognormal(cls, median: float, sigma: float, highest: float = 125.0, classes: int = 32) -> LeverageMix:
        """Make the mix in which the logarithm of leverage, weighted by open interest, is normal.

        Parameters
        ----------
        median : float
            Half of open interest has more leverage; positive, below `highest`.
        sigma : float
            Standard deviation of log leverage, positive.
        highest : float, default 125.0
            The law is cut off there.
        classes : int, default 32
            How many bins of leverage, of one width in logarithm from four sigma below the median to four above or to
            `highest`; each has the share of its bin and the leverage of the bin's middle. At least 2.

        Returns
        -------
        LeverageMix

        Examples
        --------
        >>> mix = LeverageMix.lognormal(5.0, 0.8)
        >>> round(float(mix.share[mix.leverage < 5].sum()), 2)
        0.5
        """
        spread = number("sigma", sigma, above=0)
        high = number("highest", highest, above=0)
        middle = np.log(number("median", median, above=0, below=high))
        edges = np.linspace(-4.0, min(4.0, (np.log(high) - middle) / spread), count("classes", classes, 2, 1_000) + 1)
        return cls._binned(np.exp(middle + spread * edges), np.array([_NORMAL.cdf(edge) for edge in edges]))

    @classmethod
    def published(cls, name: str) -> LeverageMix:
        """Make a mix that meets published figures; what they leave open is assumed.

        ``"hyperliquid-2025"``
            Of 7.63 bn USD open on 15 December 2025, 2.77 bn had up to 3x and 3.70 bn from 3x to 7x (an analyst's count
            of a public chain, reported by PANews). Assumed: the lognormal law that meets both shares. One account held
            18.6 % of the middle band, and hedgers much of the lowest; whether chosen or effective leverage is not said.
        ``"bitmex-2019"``
            Effective leverage of XBTUSD weighted by value was 22x for longs and 30x for shorts in April 2019; over the
            twelve months before, 80 % of longs had at most 54x and 80 % of shorts at most 47x (the venue's blog,
            15 May 2019). Assumed: the share below leverage L goes with L ** 0.17 - 1, from 1x to the highest allowed,
            100x, which gives a mean of 27x and an 80 % quantile of 51x. Inverse contracts, and another time.
        ``"binance-2019"``
            60 % of trades were opened with 20x or more (the venue's statement, December 2019; highest then: 125x).
            Assumed: even in logarithm from 1x to 20x and from there to 125x. Leverage *selected* by trade, not held by
            open interest: far too high for a book in which margin is shared.

        Parameters
        ----------
        name : str
            One of the names above.

        Returns
        -------
        LeverageMix

        Examples
        --------
        >>> mix = LeverageMix.published("hyperliquid-2025")
        >>> round(float(mix.leverage @ mix.share), 1)
        4.5
        """
        if name == "hyperliquid-2025":
            low, high = _NORMAL.inv_cdf(2.77 / 7.63), _NORMAL.inv_cdf((2.77 + 3.70) / 7.63)
            sigma = np.log(7 / 3) / (high - low)
            return cls.lognormal(3 * np.exp(-low * sigma), sigma)
        if name == "bitmex-2019":
            edges = np.geomspace(1, 100, 33)
            return cls._binned(edges, edges**0.17)
        if name == "binance-2019":
            edges = np.concatenate([np.geomspace(1, 20, 17), np.geomspace(20, 125, 17)[1:]])
            return cls._binned(edges, np.interp(np.arange(33), [0, 16, 32], [0, 0.4, 1]))
        raise ValueError(f"name must be one of {', '.join(map(repr, _PUBLISHED))}, was {name!r}")

    def _capped(self, leverage: float) -> LeverageMix:
        """Return the mix in which all that had more leverage has this much."""
        below = self.leverage < leverage
        if below.all():
            return self
        return LeverageMix(
            np.append(self.leverage[below], leverage), np.append(self.share[below], self.share[~below].sum())
        )

    @classmethod
    def _binned(cls, edges: FloatArray, below: FloatArray) -> LeverageMix:
        """Make a mix from the share below each edge: each bin at its middle in logarithm."""
        return cls(np.sqrt(edges[:-1] * edges[1:]), np.diff(below))


@dataclass(frozen=True, eq=False)
class EntryPrices:
    """Where the open positions were entered, measured from the price now.

    Parameters
    ----------
    offset : array_like, shape (n,)
        log(entry price / price now), strictly increasing.
    share : array_like, shape (n,)
        Share of open interest, positive; scaled to add up to 1.

    Examples
    --------
    >>> EntryPrices([-0.1, 0.0], [1, 3]).share
    array([0.25, 0.75])
    """

    offset: FloatArray
    share: FloatArray

    def __post_init__(self) -> None:
        _columns(self, "offset")

    __setstate__ = restore

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, EntryPrices):
            return NotImplemented
        return np.array_equal(self.offset, other.offset) and np.array_equal(self.share, other.share)

    __hash__ = None  # type: ignore[assignment]

    @classmethod
    def normal(cls, spread: float = 0.025, classes: int = 32) -> EntryPrices:
        """Make the law in which log entry prices are normal around the price now.

        Parameters
        ----------
        spread : float, default 0.025
            Standard deviation, positive. The default is about one day's volatility of bitcoin.
        classes : int, default 32
            How many entry prices of equal share: the middle quantile of each; at least 2.

        Returns
        -------
        EntryPrices

        Examples
        --------
        >>> EntryPrices.normal(0.02, classes=2).offset.round(4)
        array([-0.0135,  0.0135])
        """
        width = number("spread", spread, above=0)
        n = count("classes", classes, 2, 1_000)
        return cls(width * np.array([_NORMAL.inv_cdf((i + 0.5) / n) for i in range(n)]), np.ones(n))

    @classmethod
    def from_history(cls, price: ArrayLike, volume: ArrayLike, now: float, cell: float = 0.0025) -> EntryPrices:
        """Take past trades for entries: a volume profile.

        It knows nothing of who has closed since; a short history stands for young positions.

        Parameters
        ----------
        price : array_like, shape (rows,)
            Quote units per base unit, positive: of each row one price, such as the close.
        volume : array_like, shape (rows,)
            Traded there, base units, at least 0 and not all 0.
        now : float
            The price now, positive.
        cell : float, default 0.0025
            Entries are merged on a grid of this step in log price, positive.

        Returns
        -------
        EntryPrices

        Examples
        --------
        >>> EntryPrices.from_history([100.0, 100.1, 105.0], [3.0, 1.0, 4.0], now=100.0)
        EntryPrices(offset=array([0.  , 0.05]), share=array([0.5, 0.5]))
        """
        prices, volumes = (finite_array(n, v) for n, v in (("price", price), ("volume", volume)))
        if prices.ndim != 1 or prices.size == 0:
            raise ValueError(f"price must have one dimension and at least one row, was of shape {prices.shape}")
        if volumes.shape != prices.shape:
            raise ValueError(f"volume must have the shape of price, {prices.shape}, was {volumes.shape}")
        positive("price", prices)
        check("volume", volumes, volumes >= 0, "at least 0")
        if not volumes.any():
            raise ValueError("volume must not be 0 in every row")
        step = number("cell", cell, above=0)
        traded = volumes > 0
        offset = np.log(prices[traded] / number("now", now, above=0))
        cells, row = np.unique(np.rint(offset / step), return_inverse=True)
        return cls(cells * step, np.bincount(row, volumes[traded]).astype(np.float64))


def _columns(law: LeverageMix | EntryPrices, axis: str) -> None:
    """Check and own the two columns of a law, and scale its shares."""
    for name in (axis, "share"):
        array = np.array(finite_array(name, getattr(law, name)))
        if array.ndim != 1 or array.size == 0:
            raise ValueError(f"{name} must have one dimension and at least one entry, was of shape {array.shape}")
        object.__setattr__(law, name, array)
    at = getattr(law, axis)
    positive("share", law.share)
    if law.share.size != at.size:
        raise ValueError(f"share must have the length of {axis}, {at.size}, was {law.share.size}")
    check(axis, at, np.diff(at, prepend=-np.inf) > 0, "strictly increasing")
    object.__setattr__(law, "share", law.share / law.share.sum())
    read_only((at, law.share))
