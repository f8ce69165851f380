"""How the exogenous log prices of several markets move together."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from flushpoint._validate import FloatArray, check, finite_array, read_only, restore
from flushpoint.markets import Markets
from flushpoint.process import GBM, YEAR, Bootstrap, EngineProcess, Process, Returns

EngineFactorModel = tuple[tuple[EngineProcess, ...], FloatArray, FloatArray]


@dataclass(frozen=True, eq=False)
class FactorModel:
    """Log returns of several markets, driven by independent processes.

    In each step market m moves by r[m] = offset[m] dt + sum over k of loadings[m, k] y[k], with y[k] the log return of
    process k and dt the step's length in years. Process k of a path uses random numbers of (seed, path, k) only.

    Parameters
    ----------
    processes : sequence of Process
        At least one; of each its own draws, even where two are equal.
    loadings : array_like, shape (markets, processes)
        Finite.
    offset : array_like, shape (markets,), default 0.0
        Log return per year on top.
    names : sequence of str, optional
        Names of the rows, in any order of the markets; by default they are in the markets' own.

    Notes
    -----
    Loadings act on log returns: where r is normal, the expected price of market m grows at the mean of r per year and
    half of its variance. `from_covariance` takes that into account.

    Examples
    --------
    >>> model = FactorModel([GBM(0.5), GBM(0.3)], [[1.0, 0.0], [1.2, 1.0]], names=["BTC", "ETH"])
    >>> print(model)
    2 markets driven by 2 processes: BTC by 1 of them, ETH by 2 of them
    """

    processes: tuple[Process, ...]
    loadings: FloatArray
    offset: FloatArray = 0.0  # type: ignore[assignment]  # an array once made
    names: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        processes = tuple(self.processes) if isinstance(self.processes, Sequence) else ()
        if not processes:
            raise ValueError(f"processes must be a sequence of at least one process, was {self.processes!r}")
        for i, process in enumerate(processes):
            if not isinstance(process, Process):
                raise TypeError(f"processes must be processes, was {type(process).__name__} at index {i}")
        loadings = np.array(finite_array("loadings", self.loadings))
        if loadings.ndim != 2 or loadings.shape[1] != len(processes) or not loadings.size:
            raise ValueError(f"loadings must have the shape (markets, {len(processes)}), was {loadings.shape}")
        offset = finite_array("offset", self.offset)
        if offset.ndim > 1 or (offset.ndim == 1 and offset.size != len(loadings)):
            raise ValueError(f"offset must have an entry a market, {len(loadings)}, was of shape {offset.shape}")
        offset = np.array(np.broadcast_to(offset, len(loadings)))
        names = None if self.names is None else _names(self.names)
        if names is not None and (len(names) != len(loadings) or len(set(names)) != len(names)):
            raise ValueError(f"names must have one for each of {len(loadings)} markets, was {names!r}")
        read_only((loadings, offset))
        for name, value in (("processes", processes), ("loadings", loadings), ("offset", offset), ("names", names)):
            object.__setattr__(self, name, value)

    __setstate__ = restore

    @classmethod
    def betas(
        cls, factor: Process, betas: Mapping[str, float], idiosyncratic: Process | Mapping[str, Process] | None = None
    ) -> FactorModel:
        """One common factor, and what each market does on its own.

        Parameters
        ----------
        factor : Process
        betas : mapping of str to float
            Of each market: by how much its log price moves with the factor's.
        idiosyncratic : Process or mapping of str to Process, optional
            Added to each market, independent of all others: of one law, or one each for some.

        Returns
        -------
        FactorModel
            With names.

        Examples
        --------
        >>> model = FactorModel.betas(GBM(0.6), {"BTC": 1.0, "ETH": 1.4}, idiosyncratic={"ETH": GBM(0.3)})
        >>> model.loadings
        array([[1. , 0. ],
               [1.4, 1. ]])
        """
        if not isinstance(betas, Mapping) or not betas:
            raise TypeError(f"betas must be a mapping of names to numbers, was {betas!r}")
        names = tuple(betas)
        own = idiosyncratic if isinstance(idiosyncratic, Mapping) else dict.fromkeys(names, idiosyncratic)
        for name in own:
            if name not in betas:
                raise ValueError(f"idiosyncratic must be of the markets in betas, was of {name!r}")
        alone = [(names.index(name), process) for name, process in own.items() if process is not None]
        loadings = np.zeros((len(names), 1 + len(alone)))
        loadings[:, 0] = finite_array("betas", list(betas.values()))
        for k, (row, _) in enumerate(alone):
            loadings[row, 1 + k] = 1.0
        return cls((factor, *(process for _, process in alone)), loadings, 0.0, names)  # type: ignore[arg-type]

    @classmethod
    def from_covariance(
        cls, covariance: ArrayLike, drift: ArrayLike = 0.0, names: Sequence[str] | None = None
    ) -> FactorModel:
        """Geometric Brownian motions with a given covariance of log returns.

        Parameters
        ----------
        covariance : array_like, shape (markets, markets)
            Per year; symmetric and positive semidefinite.
        drift : array_like, shape (markets,), default 0.0
            Growth rates of the expected prices, per year.
        names : sequence of str, optional
            Of the markets.

        Returns
        -------
        FactorModel
            Of as many independent motions as there are markets, loaded by the covariance's Cholesky factor.

        Examples
        --------
        >>> model = FactorModel.from_covariance([[0.36, 0.45], [0.45, 0.81]])
        >>> model.loadings.round(3)
        array([[0.6  , 0.   ],
               [0.75 , 0.497]])
        """
        c = finite_array("covariance", covariance)
        if c.ndim != 2 or c.shape[0] != c.shape[1] or not c.size:
            raise ValueError(f"covariance must be square, was of shape {c.shape}")
        check("covariance", c, np.abs(c - c.T) <= 1e-12 * _scale(c), "symmetric")
        growth = finite_array("drift", drift)
        if growth.ndim > 1 or (growth.ndim == 1 and growth.size != len(c)):
            raise ValueError(f"drift must have an entry a market, {len(c)}, was of shape {growth.shape}")
        mean_free = GBM(1.0, 0.5)  # y = sqrt(dt) z
        return cls((mean_free,) * len(c), _cholesky(c), growth - 0.5 * np.diag(c), names)  # type: ignore[arg-type]

    def _of(self, markets: Markets) -> FactorModel:
        """Return the model with its rows in the order of the markets."""
        if len(self.loadings) != len(markets):
            raise ValueError(f"process must move {len(markets)} markets, was a model of {len(self.loadings)}")
        if self.names is None or self.names == markets.names:
            return self
        if set(self.names) != set(markets.names):
            named = ", ".join(self.names)
            raise ValueError(f"process must name the markets, {', '.join(markets.names)}, was a model of {named}")
        rows = [self.names.index(name) for name in markets.names]
        return FactorModel(self.processes, self.loadings[rows], self.offset[rows], markets.names)

    def _engine(self, dt_seconds: float) -> EngineFactorModel:
        processes = tuple(process._engine(dt_seconds) for process in self.processes)
        return processes, self.loadings.reshape(-1), self.offset * (dt_seconds / YEAR)

    @property
    def _mirrored(self) -> bool:
        """Whether every process has a mirror image."""
        return not any(isinstance(process, (Bootstrap, Returns)) for process in self.processes)

    def _until(self, steps: int, most: int) -> FactorModel:
        """The first of `most` steps alone."""
        return replace(self, processes=tuple(process._until(steps, most) for process in self.processes))

    def __str__(self) -> str:
        names = self.names or [str(m) for m in range(len(self.loadings))]
        driven = ", ".join(
            f"{name} by {np.count_nonzero(row)} of them" for name, row in zip(names, self.loadings, strict=True)
        )
        return f"{len(self.loadings)} markets driven by {len(self.processes)} processes: {driven}"


def _names(given: object) -> tuple[str, ...]:
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise TypeError(f"names must be a sequence of str, was {given!r}")
    names = tuple(given)
    for i, name in enumerate(names):
        if not isinstance(name, str):
            raise TypeError(f"names must be a sequence of str, was {name!r} at index {i}")
    return tuple(map(str, names))


def _scale(c: FloatArray) -> FloatArray:
    """Return what each covariance is at most, so that a quiet market's rounding is not hidden by a wild one's."""
    deviation = np.sqrt(np.abs(np.diag(c)))
    return np.outer(deviation, deviation)


def _cholesky(c: FloatArray) -> FloatArray:
    """Return the lower triangular factor, by plain loops: the same bits everywhere."""
    n = len(c)
    out = np.zeros((n, n))
    scale = _scale(c)
    for i in range(n):
        for j in range(i + 1):
            rest = float(c[i, j]) - math.fsum(float(out[i, k]) * float(out[j, k]) for k in range(j))
            if i == j:
                if rest < -1e-10 * scale[i, i]:
                    raise ValueError(f"covariance must be positive semidefinite, was not from row {i} on")
                out[i, i] = math.sqrt(rest) if rest > 1e-14 * scale[i, i] else 0.0
            elif out[j, j] > 0.0:
                out[i, j] = rest / out[j, j]
            elif abs(rest) > 1e-7 * scale[i, j]:
                raise ValueError(f"covariance must be positive semidefinite, was not from row {i} on")
    return out
