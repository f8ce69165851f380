"""Processes and seeds: parameters of a step against their formulas, what is refused, what is kept."""

from __future__ import annotations

import copy
import math
import pickle
from typing import Any

import numpy as np
import pytest
from numpy.random import SeedSequence
from scipy import stats

import flushpoint as fp
from flushpoint.seed import resolve

YEAR = 365 * 86_400.0
HOUR = 3_600.0


def parameters(process: fp.Process, dt: float = HOUR) -> tuple[int, list[float]]:
    kind, values, returns = process._engine(dt)
    assert values.dtype == np.float64
    assert returns is None
    return kind, values.tolist()


def test_gbm_by_hand():
    # dt = 1/100 of a year: mean (0.1 - 0.5**2/2)/100, deviation 0.5 * 0.1.
    assert parameters(fp.GBM(0.5, 0.1), YEAR / 100) == (0, pytest.approx([-0.00025, 0.05], rel=1e-15))


def test_jumps_are_compensated():
    process = fp.JumpDiffusion(0.4, 12.0, -0.1, 0.2, 0.05)
    kind, (mean, deviation, jumps, jump_mean, jump_volatility) = parameters(process, YEAR / 4)
    assert (kind, jumps, jump_mean, jump_volatility) == (1, 3.0, -0.1, 0.2)
    # E[exp(r)] of a normal part and a compound Poisson one is exp(drift dt).
    growth = mean + deviation**2 / 2 + jumps * (math.exp(jump_mean + jump_volatility**2 / 2) - 1)
    assert growth == pytest.approx(0.05 / 4, rel=1e-13)
    assert deviation == pytest.approx(0.2, rel=1e-15)


def test_jumps_that_never_come_leave_a_gbm():
    _, values = parameters(fp.JumpDiffusion(0.4, 0.0, -0.1, 0.2, 0.05))
    assert values[:2] == parameters(fp.GBM(0.4, 0.05))[1]


@pytest.mark.parametrize("degrees", [2.1, 3.0, 30.0])
def test_student_t_has_the_variance_asked_for(degrees):
    kind, (mean, scale, kept) = parameters(fp.StudentT(0.8, degrees, 0.1))
    assert (kind, kept) == (2, degrees)
    assert stats.t(degrees, scale=scale).var() == pytest.approx(0.64 * HOUR / YEAR, rel=1e-12)
    assert mean == parameters(fp.GBM(0.8, 0.1))[1][0]


def test_garch_starts_at_the_stationary_variance_or_the_one_given():
    # 2e-6 / (1 - 0.1 - 0.8) = 2e-5
    assert parameters(fp.GARCH(2e-6, 0.1, 0.8, 1e-4)) == (3, pytest.approx([1e-4, 2e-6, 0.1, 0.8, 2e-5], rel=1e-14))
    assert parameters(fp.GARCH(0.0, 0.06, 0.94, variance=1e-5)) == (3, [0.0, 0.0, 0.06, 0.94, 1e-5])
    assert parameters(fp.GARCH(2e-6, 0.1, 0.8), 1.0) == parameters(fp.GARCH(2e-6, 0.1, 0.8), 60.0)


def test_bootstrap_keeps_a_copy():
    given = np.array([0.01, -0.02, 0.03])
    process = fp.Bootstrap(given, 2, 1e-5)
    given[0] = 9.0
    kind, values, returns = process._engine(HOUR)
    assert (kind, values.tolist()) == (4, [1e-5, 2.0])
    assert returns is process.returns
    assert process.returns.tolist() == [0.01, -0.02, 0.03]
    assert not process.returns.flags.writeable


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_given_returns_are_kept_without_a_copy(dtype):
    given = np.arange(6, dtype=dtype).reshape(2, 3)
    kind, values, returns = fp.Returns(given)._engine(HOUR)
    assert (kind, values.size) == (5, 0)
    assert returns is not None
    assert returns.dtype == dtype
    assert np.shares_memory(returns, given)
    assert not returns.flags.writeable
    given[0, 0] = 1.0  # the caller's array stays the caller's


@pytest.mark.parametrize(
    ("given", "dtype"),
    [
        (np.asfortranarray(np.arange(6.0).reshape(2, 3)), np.float64),
        (np.arange(12, dtype=np.float32).reshape(2, 6)[:, ::2], np.float32),
        (np.arange(6, dtype=">f4").reshape(2, 3), np.float32),
        (np.arange(6).reshape(2, 3), np.float64),
        ([[0.0, 1.0]], np.float64),
    ],
)
def test_other_returns_are_converted_once(given, dtype):
    kept = fp.Returns(given).array
    assert kept.dtype == dtype
    assert kept.dtype.isnative
    assert kept.flags.c_contiguous
    assert np.array_equal(kept, np.asarray(given))


def test_a_huge_sum_of_float32_returns_is_no_error():
    assert fp.Returns(np.full((2, 2), 3e38, np.float32)).array.shape == (2, 2)


NAN, INF = math.nan, math.inf
BAD: list[tuple[Any, type[Exception], str]] = [
    (lambda: fp.GBM(-0.1), ValueError, r"^volatility must be at least 0, was -0\.1$"),
    (lambda: fp.GBM(NAN), ValueError, r"^volatility must be finite, was nan$"),
    (lambda: fp.GBM(0.5, INF), ValueError, r"^drift must be finite, was inf$"),
    (lambda: fp.GBM("0.5"), TypeError, r"^volatility must be a real number, was '0\.5'$"),
    (lambda: fp.GBM(True), TypeError, r"^volatility must be a real number, was True$"),
    (lambda: fp.GBM([0.5]), TypeError, r"^volatility must be a real number, was \[0\.5\]$"),
    (lambda: fp.GBM(1e200)._engine(HOUR), ValueError, r"^parameters of a step must be finite, was -inf at index 0$"),
    (lambda: fp.JumpDiffusion(0.5, -1.0, 0.0, 0.1), ValueError, r"^jump_rate must be at least 0, was -1\.0$"),
    (lambda: fp.JumpDiffusion(0.5, 1.0, 0.0, -0.1), ValueError, r"^jump_volatility must be at least 0, was -0\.1$"),
    (lambda: fp.JumpDiffusion(0.5, 1.0, 800.0, 0.1), ValueError, r"^jump_mean must .* finite, was 800\.0 "),
    (lambda: fp.JumpDiffusion(0.5, 1.0, 0.0, 1e3), ValueError, r"^jump_mean must .* jump_volatility of 1000\.0$"),
    (lambda: fp.StudentT(0.5, 2.0), ValueError, r"^degrees must be above 2, was 2\.0$"),
    (lambda: fp.StudentT(0.5, INF), ValueError, r"^degrees must be finite, was inf$"),
    (lambda: fp.GARCH(-1e-6, 0.1, 0.8), ValueError, r"^omega must be at least 0, was -1e-06$"),
    (lambda: fp.GARCH(1e-6, 0.2, 0.8), ValueError, r"^alpha \+ beta must be below 1 .*, was 0\.2 \+ 0\.8 = 1\.0$"),
    (lambda: fp.GARCH(1e-6, 0.1, 0.8, variance=-1.0), ValueError, r"^variance must be at least 0, was -1\.0$"),
    (lambda: fp.Bootstrap([[0.1]]), ValueError, r"^returns must have one dimension, was of shape \(1, 1\)$"),
    (lambda: fp.Bootstrap([]), ValueError, r"^returns must have at least block = 1 entries, was of length 0$"),
    (lambda: fp.Bootstrap([0.1], 2), ValueError, r"^returns must have at least block = 2 entries, was of length 1$"),
    (lambda: fp.Bootstrap([0.1, NAN]), ValueError, r"^returns must be finite, was nan at index 1$"),
    (lambda: fp.Bootstrap([0.1], 0), ValueError, r"^block must be at least 1, was 0$"),
    (lambda: fp.Bootstrap([0.1], 1.0), TypeError, r"^block must be an integer, was 1\.0$"),
    (lambda: fp.Bootstrap([0.1], True), TypeError, r"^block must be an integer, was True$"),
    (lambda: fp.Returns([0.1, 0.2]), ValueError, r"^array must have the shape \(paths, steps\), .* \(2,\)$"),
    (lambda: fp.Returns(np.empty((0, 3))), ValueError, r"^array must have the shape .* \(0, 3\)$"),
    (lambda: fp.Returns([["a"]]), TypeError, r"^array must be real numbers, was dtype <U1$"),
    (lambda: fp.Returns([[0.1, INF]]), ValueError, r"^array must be finite, was inf at index \(0, 1\)$"),
    (
        lambda: fp.Returns(np.array([[0, NAN]], np.float32)),
        ValueError,
        r"^array must be finite, was nan at index \(0, 1",
    ),
    (lambda: resolve(-1), ValueError, r"^seed must be an integer at least 0, .*, was -1$"),
    (lambda: resolve(True), TypeError, r"^seed must be an integer .*, was True$"),
    (lambda: resolve(np.True_), TypeError, r"^seed must be an integer .*, was .*True_?$"),
    (lambda: resolve(1.0), TypeError, r"^seed must be an integer .*, was 1\.0$"),
    (lambda: resolve([1, 2]), TypeError, r"^seed must be an integer .*, was \[1, 2\]$"),
]


@pytest.mark.parametrize(("make", "kind", "message"), BAD)
def test_bad_input(make, kind, message):
    with pytest.raises(kind, match=message):
        make()


PROCESSES = [
    fp.GBM(0.5, 0.1),
    fp.JumpDiffusion(0.5, 12.0, -0.05, 0.02),
    fp.StudentT(0.8, 3),
    fp.GARCH(1e-7, 0.1, 0.8),
    fp.Bootstrap([0.01, -0.02, 0.005], 2),
    fp.Returns([[0.01, -0.02], [0.0, 0.03]]),
]


@pytest.mark.parametrize("process", PROCESSES, ids=lambda p: type(p).__name__)
def test_processes_pickle_copy_and_stay_as_they_are(process):
    for other in (pickle.loads(pickle.dumps(process)), copy.deepcopy(process)):
        for mine, theirs in zip(process._engine(HOUR), other._engine(HOUR), strict=True):
            assert np.array_equal(mine, theirs) if mine is not None else theirs is None
        array = other._engine(HOUR)[2]
        assert array is None or not array.flags.writeable
    with pytest.raises(AttributeError):
        process.drift = 1.0
    assert type(process).__name__ in repr(process)
    assert len(str(process)) < 120


def test_equal_parameters_make_equal_processes():
    assert fp.GBM(1) == fp.GBM(1.0)
    assert fp.GBM(1) != fp.GBM(2)
    assert hash(fp.GARCH(1e-7, 0.1, 0.8)) == hash(fp.GARCH(1e-7, 0.1, 0.8))


def test_seed_keys():
    # The first 64 bits of numpy's SeedSequence, whose values numpy promises to keep.
    assert resolve(0) == (0, 15793235383387715774)
    assert resolve(np.uint64(7)) == resolve(7) == resolve(SeedSequence(7))
    assert resolve(2**200)[0] == 2**200
    assert len({resolve(seed)[1] for seed in range(1_000)}) == 1_000


def test_a_fresh_seed_repeats_the_run():
    kept, key = resolve(None)
    assert isinstance(kept, int)
    assert resolve(kept) == (kept, key)
    assert resolve(None)[1] != key


def test_a_spawned_seed_keeps_itself():
    one, other = SeedSequence(7).spawn(2)
    assert resolve(one)[0] is one
    assert len({resolve(one)[1], resolve(other)[1], resolve(7)[1]}) == 3
    assert resolve(pickle.loads(pickle.dumps(one)))[1] == resolve(one)[1]
    wide = SeedSequence(7, pool_size=8)
    assert resolve(wide)[0] is wide
    several = SeedSequence([1, 2])
    assert resolve(several)[0] is several
