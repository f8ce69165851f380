"""How uncertain the hidden book is: draws of its three parameters, and the books that they make."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, overload

import numpy as np
from numpy.typing import ArrayLike

from flushpoint._validate import FloatArray, check, count, finite_array, positive, read_only, restore
from flushpoint.book import Book
from flushpoint.hidden import predict_liquidations, row_seconds
from flushpoint.mix import LeverageMix
from flushpoint.seed import shown

Seed: TypeAlias = int | np.random.SeedSequence | None

#: Before any data the exponent, the logarithm of turnover and the activity are each equally likely within these bounds.
PRIOR = {"exponent": (0.6, 2.0), "turnover": (0.008, 0.2), "activity": (0.25, 2.5)}

# From here on in the coordinates (exponent, log turnover, activity).
_LOWEST, _HIGHEST = np.array([PRIOR["exponent"], np.log(PRIOR["turnover"]), PRIOR["activity"]]).T

# What `LeveragePosterior.fit` finds in the data that `published` names with 1,024 candidates and seed 0;
# docs/hidden_book.md sets a fresh fit beside it.
_MEAN = np.array([1.14, -3.35, 1.38])
_DEVIATION = np.array([0.15, 0.32, 0.18])
_CORRELATION = np.array([[1.0, 0.90, -0.56], [0.90, 1.0, -0.64], [-0.56, -0.64, 1.0]])


@dataclass(frozen=True, eq=False)
class LeveragePosterior:
    """Plausible parameters of the hidden book: equally likely draws of the three that data decide.

    Iterating gives each draw's arguments for `predict_liquidations` and `Book.from_open_interest`.

    Parameters
    ----------
    exponent : array_like, shape (n,)
        Of `LeverageMix.power_law`, positive.
    turnover, activity : array_like, shape (n,)
        As in `predict_liquidations`: positive; at least 0.

    Examples
    --------
    >>> posterior = LeveragePosterior([1.2, 1.4], [0.04, 0.05], [1.3, 1.2])
    >>> [arguments["turnover"] for arguments in posterior]
    [0.04, 0.05]
    """

    exponent: FloatArray
    turnover: FloatArray
    activity: FloatArray

    def __post_init__(self) -> None:
        for name in ("exponent", "turnover", "activity"):
            array = np.array(finite_array(name, getattr(self, name)))
            if array.ndim != 1 or array.size == 0:
                raise ValueError(f"{name} must have one dimension and at least one draw, was of shape {array.shape}")
            if name != "activity":
                positive(name, array)
            object.__setattr__(self, name, array)
        for name in ("turnover", "activity"):
            if (size := getattr(self, name).size) != len(self):
                raise ValueError(f"{name} must have the length of exponent, {len(self)}, was {size}")
        check("activity", self.activity, self.activity >= 0, "at least 0")
        read_only((self.exponent, self.turnover, self.activity))

    __setstate__ = restore

    @classmethod
    def published(cls, draws: int = 256, seed: Seed = None) -> LeveragePosterior:
        """Draw what the hourly liquidations of bitcoin, December 2025 to February 2026, leave plausible.

        Exponent, log turnover and activity are drawn from the normal law whose mean, standard deviations and
        correlations `fit` found in 2,078 hours of prices, liquidations and open interest (a public aggregate of three
        venues). It says what these three parameters may be within the model; it does not say how far the model, or
        another market or time, is from it.

        Parameters
        ----------
        draws : int, default 256
            At least 1.
        seed : int or numpy.random.SeedSequence, optional
            A fresh one by default.

        Returns
        -------
        LeveragePosterior

        Examples
        --------
        >>> posterior = LeveragePosterior.published(1_000, seed=1)
        >>> bool(1.1 < posterior.exponent.mean() < 1.2)
        True
        """
        normal = np.random.default_rng(_sequence(seed)).standard_normal((count("draws", draws, 1), 3))
        root = _DEVIATION[:, None] * np.linalg.cholesky(_CORRELATION)
        return cls._at(_MEAN + normal @ root.T)

    @classmethod
    def fit(
        cls,
        history: Mapping[str, ArrayLike],
        long_notional: ArrayLike,
        short_notional: ArrayLike,
        *,
        warm_up: int = 500,
        candidates: int = 512,
        draws: int = 256,
        seed: Seed = None,
        maintenance_rate: float = 0.005,
        period: float | None = None,
    ) -> LeveragePosterior:
        """Draw the parameters that liquidations measured in another market or time leave plausible.

        Before the data, exponent is equally likely from 0.6 to 2, log turnover from that of 0.008 to that of 0.2 and
        activity from 0.25 to 2.5. The square root of measured liquidations is taken to be normal around that of
        predicted ones, with a scale and a variance of each side's own, both free: feeds report an unknown share. As
        the errors of a day hang together, a day counts as one observation of each side. Half of the candidates
        are spread over the prior, the other half drawn from a normal law around the best of these; the draws are taken
        from all of them by their weights.

        Parameters
        ----------
        history : mapping of columns, each of shape (rows,)
            As in `predict_liquidations`.
        long_notional, short_notional : array_like, shape (rows,)
            Liquidations measured, quote units, at least 0.
        warm_up : int, default 500
            Rows at the start that are not compared, as the book begins empty; at least two days must follow.
        candidates : int, default 512
            How often the history is predicted, at least 64: a quarter of a second each for 2,000 hours.
        draws : int, default 256
            A candidate is drawn as often as it is likely: few different draws call for more candidates.
        seed : int or numpy.random.SeedSequence, optional
            A fresh one by default.
        maintenance_rate, period
            As in `predict_liquidations`.

        Returns
        -------
        LeveragePosterior
        """
        measured = [
            finite_array(n, v) for n, v in (("long_notional", long_notional), ("short_notional", short_notional))
        ]
        # This checks the history, and says how long it is.
        rows = predict_liquidations(history, maintenance_rate=maintenance_rate, period=period).long_notional.size
        start, tries, wanted = (
            count("warm_up", warm_up, 0),
            count("candidates", candidates, 64),
            count("draws", draws, 1),
        )
        days = (rows - start) * row_seconds(history, period) / 86_400
        if days < 2:
            raise ValueError(f"warm_up must leave at least two days of rows, was {start} of {rows} rows")
        for name, values in zip(("long_notional", "short_notional"), measured, strict=True):
            if values.shape != (rows,):
                raise ValueError(f"{name} must have one value a row, {rows}, was of shape {values.shape}")
            check(name, values, values >= 0, "at least 0")
            if not values[start:].any():
                raise ValueError(f"{name} must not be 0 in every row after warm_up")

        def log_likelihood(points: FloatArray) -> FloatArray:
            out = np.zeros(len(points))
            for i, arguments in enumerate(cls._at(points)):
                forecast = predict_liquidations(history, **arguments, maintenance_rate=maintenance_rate, period=period)
                for predicted, seen in zip(forecast.values(), measured, strict=True):
                    out[i] -= days / 2 * math.log(_squares_left(predicted[start:], seen[start:]))
            return out

        return cls._at(_draw(log_likelihood, tries // 2, wanted, np.random.default_rng(_sequence(seed))))

    @classmethod
    def _at(cls, points: FloatArray) -> LeveragePosterior:
        return cls(points[:, 0], np.exp(points[:, 1]), points[:, 2])

    def __len__(self) -> int:
        return self.exponent.size

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for exponent, turnover, activity in zip(self.exponent, self.turnover, self.activity, strict=True):
            mix = LeverageMix.power_law(float(exponent))
            yield {"leverage_mix": mix, "turnover": float(turnover), "activity": float(activity)}

    def __repr__(self) -> str:
        columns = ("exponent", "turnover", "activity")
        facts = ", ".join(f"{n} {getattr(self, n).mean():.3g} +- {getattr(self, n).std():.2g}" for n in columns)
        return f"<LeveragePosterior: {len(self):,} draws, {facts}>"


class HiddenBooks(Sequence[Book]):
    """Books that a market's history leaves plausible, one a draw of the parameters; made by `sample_hidden_books`.

    Attributes
    ----------
    posterior : LeveragePosterior
        The parameters of each book.
    seed : int or numpy.random.SeedSequence
        Repeats the draws.
    """

    posterior: LeveragePosterior
    seed: int | np.random.SeedSequence

    def __init__(
        self, books: tuple[Book, ...], posterior: LeveragePosterior, seed: int | np.random.SeedSequence
    ) -> None:
        self._books = books
        self.posterior = posterior
        self.seed = seed

    @overload
    def __getitem__(self, index: int) -> Book: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Book, ...]: ...
    def __getitem__(self, index: int | slice) -> Book | tuple[Book, ...]:
        return self._books[index]

    def __len__(self) -> int:
        return len(self._books)

    def heatmap(self, edges: ArrayLike, quantiles: ArrayLike = (0.05, 0.5, 0.95)) -> tuple[FloatArray, FloatArray]:
        """Quantiles over the books of notional by trigger price.

        Parameters
        ----------
        edges : array_like, shape (k + 1,)
            As in `Book.heatmap`.
        quantiles : array_like, shape (m,), default (0.05, 0.5, 0.95)
            From 0 to 1.

        Returns
        -------
        long, short : ndarray, shape (m, k)
            Quote units; each bin's quantiles are its own.
        """
        levels = finite_array("quantiles", quantiles)
        if levels.ndim != 1 or levels.size == 0:
            raise ValueError(f"quantiles must have one dimension and at least one entry, was of shape {levels.shape}")
        check("quantiles", levels, (levels >= 0) & (levels <= 1), "from 0 to 1")
        long, short = np.quantile([book.heatmap(edges) for book in self._books], levels, axis=0).swapaxes(0, 1)
        return long, short

    def __repr__(self) -> str:
        return f"<HiddenBooks: {len(self)} books, seed {shown(self.seed)}>"


def sample_hidden_books(
    history: Mapping[str, ArrayLike],
    posterior: LeveragePosterior | None = None,
    *,
    draws: int = 32,
    seed: Seed = None,
    maintenance_rate: float = 0.005,
    period: float | None = None,
) -> HiddenBooks:
    """Infer the hidden book once for each of some draws of its parameters.

    Parameters
    ----------
    history : mapping of columns
        As in `predict_liquidations`.
    posterior : LeveragePosterior, optional
        What to draw from, each draw once unless there are too few; `LeveragePosterior.published` by default.
    draws : int, default 32
        How many books, at least 1.
    seed : int or numpy.random.SeedSequence, optional
        A fresh one by default, kept in the result.
    maintenance_rate, period
        As in `predict_liquidations`.

    Returns
    -------
    HiddenBooks

    Examples
    --------
    >>> history = {"open": [100.0, 99.0], "high": [100.5, 99.5], "low": [98.5, 98.0], "close": [99.0, 99.2]}
    >>> books = sample_hidden_books({**history, "open_interest": [1e9, 1.01e9]}, draws=3, seed=1)
    >>> low, middle, high = books.heatmap([60.0, 80.0, 99.2])[0]
    >>> bool((low <= middle).all() and (middle <= high).all())
    True
    """
    wanted = count("draws", draws, 1)
    sequence = _sequence(seed)
    if posterior is None:
        chosen = LeveragePosterior.published(wanted, sequence)
    elif isinstance(posterior, LeveragePosterior):
        pick = np.random.default_rng(sequence).choice(len(posterior), wanted, replace=wanted > len(posterior))
        chosen = LeveragePosterior(posterior.exponent[pick], posterior.turnover[pick], posterior.activity[pick])
    else:
        raise TypeError(f"posterior must be a LeveragePosterior, was {type(posterior).__name__}")
    books = tuple(
        Book.from_open_interest(history, **arguments, maintenance_rate=maintenance_rate, period=period)
        for arguments in chosen
    )
    kept = seed if isinstance(seed, np.random.SeedSequence) else operator.index(sequence.entropy)  # type: ignore[arg-type]
    return HiddenBooks(books, chosen, kept)


def _draw(
    log_likelihood: Callable[[FloatArray], FloatArray], half: int, draws: int, rng: np.random.Generator
) -> FloatArray:
    """Draw points of the posterior by importance, half of the candidates from the prior, half from a normal law."""
    # A Latin hypercube: in each coordinate one candidate a stratum.
    strata = rng.permuted(np.tile(np.arange(half), (3, 1)), axis=1).T
    spread = _LOWEST + (_HIGHEST - _LOWEST) * (strata + rng.random((half, 3))) / half
    # A power of the likelihood: the normal law must be wider than what it is to find, and rest on some candidates.
    first, power = log_likelihood(spread), 0.5
    while ((weight := _normed(power * first)) ** 2).sum() > 1 / 16:
        power /= 2
    middle = weight @ spread
    root = np.linalg.cholesky(np.cov(spread.T, aweights=weight, ddof=0))
    near = middle + rng.standard_normal((half, 3)) @ root.T
    near = near[((near > _LOWEST) & (near < _HIGHEST)).all(axis=1)]
    # Both halves count, against the density they have together (the balance heuristic): no weight can run away.
    points = np.concatenate([spread, near])
    away = np.linalg.solve(root, (points - middle).T)
    normal = np.exp(-(away**2).sum(axis=0) / 2) / ((2 * math.pi) ** 1.5 * root.diagonal().prod())
    density = 1 / (_HIGHEST - _LOWEST).prod() + normal
    weight = _normed(np.concatenate([first, log_likelihood(near)]) - np.log(density))
    # Systematic: a candidate's number of draws differs from its weight by less than one.
    steps = (np.arange(draws) + rng.random()) / draws
    picked = np.minimum(np.searchsorted(np.cumsum(weight), steps), len(points) - 1)
    return np.asarray(rng.permutation(points[picked]))


def _squares_left(predicted: FloatArray, measured: FloatArray) -> float:
    """Sum of squared errors on the square-root scale, as a share of that of predicting nothing; the scale is free."""
    x, y = np.sqrt(predicted), np.sqrt(measured)
    xx, yy, xy = float(x @ x), float(y @ y), float(x @ y)
    # Not below what rounding leaves of a perfect prediction.
    return max(1.0 - xy * xy / (xx * yy), 1e-12) if xx > 0 else 1.0


def _normed(log_weight: FloatArray) -> FloatArray:
    weight = np.exp(log_weight - log_weight.max())
    return np.asarray(weight / weight.sum())


def _sequence(seed: Seed) -> np.random.SeedSequence:
    if isinstance(seed, np.random.SeedSequence):
        return seed
    return np.random.SeedSequence(None if seed is None else count("seed", seed, 0))
