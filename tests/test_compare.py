"""Paired comparisons: by hand, how often their intervals cover, and what is refused."""

from __future__ import annotations

import math
import pickle
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import flushpoint as fp
from flushpoint.summary import proportion

NAN, INF = math.nan, math.inf
NORMAL = NormalDist()


class Fake(fp.Ensemble):
    """Whatever columns it is given."""


def fake(seed: Any = 1, start: int = 0, **columns: Any) -> fp.Ensemble:
    arrays = {name: np.asarray(column) for name, column in columns.items()}
    rows = len(next(iter(arrays.values())))
    return Fake("fake", {}, {"_names": tuple(arrays), **arrays}, seed=seed, ranges=((start, start + rows),))


def test_figures_by_hand():
    # Differences 0, 1, 1, 2: mean 1, variance 2/3. Variances of 1, 2, 3, 4 and of 1, 3, 4, 6: 5/3 and 13/3.
    f = fp.compare(fake(x=[1, 2, 3, 4]), fake(x=[1, 3, 4, 6]))["x"]
    assert (f["count"], f["nan"], f["mean_a"], f["mean_b"]) == (4, 0, 2.5, 3.5)
    error = math.sqrt(2 / 3 / 4)
    assert f["standard_error"] == pytest.approx(error)
    assert f["independent_standard_error"] == pytest.approx(math.sqrt((5 + 13) / 3 / 4))
    assert f["variance_reduction"] == pytest.approx(9.0)
    reach = 1.959963984540054 * error
    assert tuple(f["difference"]) == pytest.approx((1.0, 1 - reach, 1 + reach))
    assert f["larger"] == proportion(3, 4, 0.95)
    assert f["smaller"] == proportion(0, 4, 0.95)
    assert f["value_at_risk"][0.95].value == 2.0
    assert f["expected_shortfall"][0.99].value == 2.0
    assert f["value_at_risk"][0.95][1:] == (-INF, INF)
    assert all(map(math.isnan, f["expected_shortfall"][0.95][1:]))


@given(st.integers(0, 10**6), st.sampled_from(["final_price", "shortfall"]), st.integers(2, 300))
def test_differences_are_those_of_the_two_summaries(seed, name, n):
    chance = np.random.default_rng(seed)
    a, b = (fake(**{name: chance.normal(size=n).round(1)}) for _ in range(2))
    f, first, second = fp.compare(a, b)[name], a.summary()[name], b.summary()[name]
    assert f["tail"] == first["tail"]
    for figure in ("value_at_risk", "expected_shortfall"):
        for level, estimate in f[figure].items():
            change = second[figure][level].value - first[figure][level].value
            assert estimate.value == pytest.approx(change, abs=1e-12)
    back = fp.compare(b, a)[name]
    for figure in ("value_at_risk", "expected_shortfall"):
        for level, (value, low, high) in f[figure].items():
            assert tuple(back[figure][level]) == pytest.approx((-value, -high, -low), abs=1e-12, nan_ok=True)
    assert back["larger"] == f["smaller"]


def test_a_constant_shift_is_known_for_certain():
    x = np.random.default_rng(4).integers(0, 1_000, size=5_000).astype(float)
    f = fp.compare(fake(x=x), fake(x=x + 3))["x"]
    assert tuple(f["difference"]) == (3.0, 3.0, 3.0)
    assert f["variance_reduction"] == INF
    for figure in ("value_at_risk", "expected_shortfall"):
        for level in (0.95, 0.99):
            assert tuple(f[figure][level]) == pytest.approx((3.0, 3.0, 3.0), abs=1e-9)
    assert math.isnan(fp.compare(fake(x=[2, 2]), fake(x=[5, 5]))["x"]["variance_reduction"])


def test_truth_values_are_compared_as_shares():
    f = fp.compare(fake(exhausted=[False, True, False, False]), fake(exhausted=[True, True, True, False]))["exhausted"]
    assert (f["mean_a"], f["mean_b"], f["difference"].value) == (0.25, 0.75, 0.5)
    assert f["larger"] == proportion(2, 4, 0.95)
    assert "value_at_risk" not in f


def test_paths_unknown_in_either_are_left_out_and_counted():
    c = fp.compare(fake(x=[NAN, 1.0, 2.0, 4.0]), fake(x=[1.0, 2.0, NAN, 5.0]))
    assert (c["x"]["count"], c["x"]["nan"], c["x"]["difference"].value) == (2, 2, 1.0)
    assert "x: 2 paths left out, nan" in str(c)
    nothing = fp.compare(fake(x=[NAN, 1.0]), fake(x=[1.0, NAN]))
    assert math.isnan(nothing["x"]["difference"].value)
    assert math.isnan(nothing["x"]["value_at_risk"][0.95].value)
    assert str(nothing)


@pytest.mark.parametrize("unit", [2.0**-900, 2.0**1000])
def test_values_whose_squares_are_no_numbers_have_their_figures(unit):
    x = np.random.default_rng(3).normal(size=(2, 400))
    plain, other = (fp.compare(*(fake(x=one * column) for column in x))["x"] for one in (1.0, unit))
    assert other["standard_error"] == unit * plain["standard_error"]
    assert other["variance_reduction"] == plain["variance_reduction"]
    for f, g in (
        (plain["difference"], other["difference"]),
        (plain["value_at_risk"][0.95], other["value_at_risk"][0.95]),
    ):
        np.testing.assert_array_equal(g, unit * np.array(f))


def test_infinite_values_have_no_interval():
    f = fp.compare(fake(x=[1.0, 2.0]), fake(x=[1.0, INF]))["x"]
    assert f["difference"].value == INF
    assert math.isnan(f["difference"].low)


def test_intervals_cover_as_often_as_they_say():
    # 500 pairs of normal samples whose figures are known: b = 0.3 + 1.1 a + 0.3 z. A share of 0.95 has a standard error
    # of 0.0097 here, so that 0.91 fails once in 20,000 times; a value at risk's interval is a little too wide.
    chance = np.random.default_rng(6)
    deviation = math.hypot(1.1, 0.3)
    covered: dict[Any, list[bool]] = {}
    reductions = []
    for _ in range(500):
        a = chance.normal(size=4_000)
        b = 0.3 + 1.1 * a + 0.3 * chance.normal(size=4_000)
        c = fp.compare(fake(final_price=a, x=a), fake(final_price=b, x=b))
        reductions.append(c["x"]["variance_reduction"])
        truths: list[tuple[Any, fp.Estimate, float]] = [("difference", c["x"]["difference"], 0.3)]
        for name, sign in (("x", 1), ("final_price", -1)):
            for level in (0.95, 0.99):
                z = NORMAL.inv_cdf(level)
                risk = 0.3 + sign * z * (deviation - 1)
                beyond = 0.3 + sign * NORMAL.pdf(z) / (1 - level) * (deviation - 1)
                truths.append((("risk", name, level), c[name]["value_at_risk"][level], risk))
                truths.append((("shortfall", name, level), c[name]["expected_shortfall"][level], beyond))
        for key, estimate, truth in truths:
            covered.setdefault(key, []).append(estimate.low <= truth <= estimate.high)
    for key, hits in covered.items():
        assert 0.91 < np.mean(hits) < 0.99, key
    # Var(a) + Var(b) = 1 + 1.3 against Var(b - a) = 0.1**2 + 0.3**2.
    assert np.mean(reductions) == pytest.approx(23.0, rel=0.01)


def test_pairing_narrows_the_tail_too():
    chance = np.random.default_rng(8)
    a, z = chance.exponential(size=(2, 20_000))
    paired = fp.compare(fake(x=a), fake(x=1.1 * a))["x"]
    apart = fp.compare(fake(x=a), fake(x=1.1 * z))["x"]
    for figure in ("value_at_risk", "expected_shortfall"):
        for level in (0.95, 0.99):
            near, far = (f[figure][level].high - f[figure][level].low for f in (paired, apart))
            assert near < 0.2 * far


def test_columns_are_those_of_both():
    a, b = fake(x=[1, 2], y=[1, 2], final_price=[1.0, 2.0]), fake(y=[1, 3], x=[1, 2], waves=[0, 1])
    assert list(fp.compare(a, b)) == ["x", "y"]
    assert list(fp.compare(a, b, "y")) == ["y"]
    assert list(fp.compare(a, b, ["y", "x"], levels=0.9)["x"]["value_at_risk"]) == [0.9]


BAD: list[tuple[Any, type[Exception], str]] = [
    (lambda a: fp.compare(a, fake(2, x=[1, 2])), ValueError, r"^b must have the seed of a, 1, was 2$"),
    (lambda a: fp.compare(a, fake(None, x=[1, 2])), ValueError, r"^b must have the seed of a, 1, was None$"),
    (
        lambda a: fp.compare(a, fake(1, 5, x=[1, 2])),
        ValueError,
        r"^b must have the paths of a, \(\(0, 2\),\), was \(\(5, 7",
    ),
    (lambda a: fp.compare(a, fake(x=[1, 2, 3])), ValueError, r"^b must have the paths of a, "),
    (lambda a: fp.compare(a, {"x": [1, 2]}), TypeError, r"^b must be a result of many paths, was dict$"),
    (lambda a: fp.compare(None, a), TypeError, r"^a must be a result of many paths, was NoneType$"),
    (lambda a: fp.compare(a, a, ["z"]), ValueError, r"^columns must be among x, was 'z'$"),
    (lambda a: fp.compare(a, fake(y=[1, 2]), ["x"]), ValueError, r"^columns must be among y, was 'x'$"),
    (lambda a: fp.compare(a, fake(y=[1, 2])), ValueError, r"^columns must be at least one that both results have"),
    (lambda a: fp.compare(a, a, []), ValueError, r"^columns must be at least one"),
    (lambda a: fp.compare(a, a, levels=2), ValueError, r"^levels must be below 1, was 2\.0$"),
    (lambda a: fp.compare(a, a, confidence=0), ValueError, r"^confidence must be positive, was 0\.0$"),
]


@pytest.mark.parametrize(("ask", "kind", "message"), BAD)
def test_bad_input(ask, kind, message):
    with pytest.raises(kind, match=message):
        ask(fake(x=[1, 2]))


def test_another_stream_is_refused(monkeypatch):
    a = fake(x=[1, 2])
    monkeypatch.setattr("flushpoint.result.STREAM", 2)
    with pytest.raises(ValueError, match=r"^b must have the stream of random numbers of a, 1, was 2$"):
        fp.compare(a, fake(x=[1, 2]))


def test_printing_and_pickling():
    x = np.arange(1_000.0)
    c = fp.compare(fake(x=x, exhausted=x > 990), fake(x=1.1 * x, exhausted=x > 980))
    lines = str(c).splitlines()
    assert lines[0] == "1,000 paths on the same random numbers, intervals at 95 % confidence"
    assert lines[2].split()[:3] == ["x", "499.5", "549.45"]
    assert lines[3].split()[:2] == ["99", "%"]
    assert lines[4].split()[:3] == ["exhausted", "0.009", "0.019"]
    assert len(lines) == 5
    assert repr(c) == "<Comparison: 2 columns of 1,000 paths>"
    assert str(pickle.loads(pickle.dumps(c))) == str(c)


def test_runs_that_do_not_share_their_random_numbers_are_refused():
    book, market = fp.Book(1, 1.0, 95.0), fp.Market(100.0, fp.LinearImpact(1e-4))
    plain, mirrored = (
        fp.simulate(book, market, fp.GBM(0.5), steps=2, paths=4, seed=1, antithetic=flag) for flag in (False, True)
    )
    with pytest.raises(ValueError, match=r"^b must have the antithetic of a, False, was True$"):
        fp.compare(plain, mirrored)
    with pytest.raises(ValueError, match=r"^b must have the question of a, simulate, was stress$"):
        fp.compare(plain, fp.stress(book, market, [-0.1] * 4, seed=1))
