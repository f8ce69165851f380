"""Figures of a summary and of a curve of exceedance: by hand, against scipy, and how often their intervals cover."""

from __future__ import annotations

import math
import pickle
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import flushpoint as fp
from flushpoint.summary import deviation, mean, proportion, ranks, standard_error

NAN, INF = math.nan, math.inf


class Fake(fp.Ensemble):
    """Whatever columns it is given."""


def fake(**columns: Any) -> fp.Ensemble:
    arrays = {name: np.asarray(column) for name, column in columns.items()}
    rows = len(next(iter(arrays.values())))
    return Fake("fake", {}, {"_names": tuple(arrays), **arrays}, seed=1, ranges=((0, rows),))


def same(estimate: fp.Estimate, *values: float) -> None:
    assert tuple(estimate) == pytest.approx(values, rel=1e-12, nan_ok=True)


def test_figures_by_hand():
    # 1 to 20 in disorder. Mean 10.5; variance 20 * 21 / 12 = 35. Worst 10 %: 19 and 20; worst 25 %: 16 to 20.
    f = fake(shortfall=np.random.default_rng(1).permutation(20) + 1).summary(levels=[0.9, 0.75])["shortfall"]
    reach = 1.959963984540054 * math.sqrt(35 / 20)
    same(f["mean"], 10.5, 10.5 - reach, 10.5 + reach)
    assert f["standard_deviation"] == pytest.approx(math.sqrt(35))
    assert (f["count"], f["nan"], f["tail"]) == (20, 0, "high")
    same(f["positive"], 1.0, 0.025 ** (1 / 20), 1.0)
    # A fair coin thrown 20 times shows 5 heads or fewer with probability 0.0207, 6 or fewer with 0.0577: ranks 6, 15.
    same(f["quantile"][0.5], 10.0, 6.0, 15.0)
    assert f["value_at_risk"][0.9].value == 18.0
    assert f["value_at_risk"][0.75].value == 15.0
    assert f["expected_shortfall"][0.9].value == pytest.approx(19.5)
    assert f["expected_shortfall"][0.75].value == pytest.approx(18.0)


def test_expected_shortfall_takes_part_of_a_value():
    # The worst 15 % of ten values are the last and half of the one before: (10 + 9/2) / 1.5.
    f = fake(x=np.arange(1.0, 11.0)).summary(levels=0.85)["x"]
    assert f["expected_shortfall"][0.85].value == pytest.approx(29 / 3)
    assert f["value_at_risk"][0.85].value == 9.0


def test_standard_error_of_expected_shortfall_is_the_published_one():
    x = np.random.default_rng(5).exponential(size=2_000)
    level = 0.9
    e = fake(x=x).summary(levels=level)["x"]["expected_shortfall"][level]
    top = np.sort(x)[-200:]
    risk = np.sort(x)[1_799]
    error = math.sqrt((top.var() + level * (top.mean() - risk) ** 2) / (2_000 * (1 - level)))
    assert e.value == pytest.approx(top.mean())
    assert (e.high - e.low) / 2 == pytest.approx(stats.norm.ppf(0.975) * error, rel=1e-3)  # n - 1 against n


def test_low_prices_are_the_bad_ones():
    prices = np.arange(1.0, 101.0)
    e = fake(final_price=prices, low_price=prices, high_price=prices, mirrored=-prices)
    s = e.summary(levels=0.9)
    assert [s[name]["tail"] for name in e] == ["low", "low", "high", "high"]
    assert s["final_price"]["value_at_risk"][0.9].value == 11.0
    assert s["final_price"]["expected_shortfall"][0.9].value == pytest.approx(5.5)
    assert s["high_price"]["value_at_risk"][0.9].value == 90.0
    for figure in ("value_at_risk", "expected_shortfall"):
        value, low, high = s["mirrored"][figure][0.9]
        same(s["low_price"][figure][0.9], -value, -high, -low)


def test_unknown_values_are_counted_and_said():
    s = fake(amplification=[NAN, 1.0, 3.0, NAN], shortfall=[NAN] * 4).summary()
    assert (s["amplification"]["count"], s["amplification"]["nan"]) == (2, 2)
    assert s["amplification"]["mean"].value == 2.0
    assert "amplification: 2 paths left out, nan" in str(s)
    f = s["shortfall"]
    assert f["nan"] == 4
    assert all(map(math.isnan, (*f["mean"], *f["value_at_risk"][0.95], *f["quantile"][0.5])))


def test_infinite_values_stay_what_they_are():
    f = fake(x=[1.0, 2.0, 3.0, INF]).summary(levels=[0.5, 0.75, 0.99])["x"]
    same(f["mean"], INF, NAN, NAN)
    assert math.isnan(f["standard_deviation"])
    assert f["quantile"][0.5].value == 2.0
    assert [f["value_at_risk"][level].value for level in (0.5, 0.75, 0.99)] == [2.0, 3.0, INF]
    assert [f["expected_shortfall"][level].value for level in (0.5, 0.75, 0.99)] == [INF] * 3


@given(st.lists(st.integers(-999, 999), min_size=2, max_size=60), st.sampled_from([2.0**-900, 2.0**1000]))
def test_values_whose_squares_are_no_numbers_have_their_figures(values, unit):
    """All figures but for their unit are the same, to the bit."""
    x = np.array(values, dtype=np.float64)
    for pairs in (None, np.arange(x.size) // 2):
        np.testing.assert_array_equal(mean(unit * x, 0.9, pairs), unit * np.array(mean(x, 0.9, pairs)))
    plain, other = (fake(x=one * x).summary(levels=0.75)["x"] for one in (1.0, unit))
    assert other["standard_deviation"] == unit * plain["standard_deviation"]
    for kind in ("value_at_risk", "expected_shortfall"):
        np.testing.assert_array_equal(other[kind][0.75], unit * np.array(plain[kind][0.75]))


def test_figures_of_the_largest_numbers():
    largest = np.finfo(float).max
    x = np.array([largest, -largest])
    assert mean(x, 0.5).value == 0
    assert standard_error(x) == standard_error(x, np.array([0, 1])) == largest
    assert deviation(x) == INF
    with np.errstate(invalid="ignore"):  # there is no error of an infinite mean
        assert mean(np.array([largest, -INF]), 0.5).value == -INF


@pytest.mark.parametrize("column", [[], [3.0]])
def test_too_few_paths_give_no_interval(column):
    s = fake(x=np.array(column)).summary()
    assert math.isnan(s["x"]["mean"].low)
    assert math.isnan(s["x"]["expected_shortfall"][0.95].high)
    assert str(s)
    if column:
        same(s["x"]["value_at_risk"][0.95], 3.0, -INF, INF)


def test_a_tail_needs_ten_values():
    for n, known in ((199, False), (200, True)):
        e = fake(x=np.arange(float(n))).summary(levels=0.95)["x"]["expected_shortfall"][0.95]
        assert math.isfinite(e.value)
        assert math.isfinite(e.low) == math.isfinite(e.high) == known


def test_probabilities_of_liquidation_and_of_truth():
    s = fake(long_count=[0, 1, 0, 2], short_count=[0, 0, 3, 0], exhausted=[False, True, False, False]).summary()
    assert s.liquidation == proportion(3, 4, 0.95)
    assert s["exhausted"] == {"count": 4, "nan": 0, "probability": proportion(1, 4, 0.95)}
    assert s["long_count"]["positive"] == proportion(2, 4, 0.95)
    assert fake(x=[1.0]).summary().liquidation is None
    assert fake(waves=[0, 2]).summary().liquidation == proportion(1, 2, 0.95)


@given(st.integers(1, 10**6), st.floats(0, 1), st.sampled_from([0.5, 0.9, 0.95, 0.999]))
def test_intervals_of_probabilities_are_clopper_and_pearsons(n, part, confidence):
    k = round(part * n)
    e = proportion(k, n, confidence)
    tail = (1 - confidence) / 2
    assert e.value == k / n
    assert e.low == pytest.approx(stats.beta.ppf(tail, k, n - k + 1) if k else 0.0, rel=1e-8)
    assert e.high == pytest.approx(stats.beta.ppf(1 - tail, k + 1, n - k) if k < n else 1.0, rel=1e-8)


@given(
    st.integers(1, 10**6),
    st.sampled_from([0.001, 0.05, 0.25, 0.5, 0.95, 0.99, 0.999]),
    st.sampled_from([0.5, 0.9, 0.95, 0.999]),
)
def test_ranks_are_the_closest_that_cover(n, p, confidence):
    low, high = ranks(n, p, confidence)
    tail = (1 - confidence) / 2
    below, above = stats.binom.cdf, stats.binom.sf
    # The quantile lies below the order statistic of rank k where k values or more do: the binomial number B >= k.
    assert below(low - 1, n, p) <= tail < below(low, n, p)
    assert above(high - 1, n, p) <= tail
    assert high == math.ceil(n * p) or above(high - 2, n, p) > tail
    assert below(high - 1, n, p) - below(low - 1, n, p) >= confidence - 1e-12


def test_coverage_of_ranks_is_a_little_more_than_asked_for():
    low, high = ranks(10_000, 0.99, 0.95)
    coverage = stats.binom.cdf(high - 1, 10_000, 0.99) - stats.binom.cdf(low - 1, 10_000, 0.99)
    assert coverage == pytest.approx(0.9557, abs=1e-4)


def test_intervals_cover_as_often_as_they_say():
    # 800 samples of 2,000 exponential variables, whose figures are known. A share of 0.95 has a standard error of
    # 0.0077 here: an interval that covers fails below 0.92 once in 10,000 times. Expected shortfall at 0.99 has 20
    # values in its tail, and is only asked not to fall below 0.87.
    chance = np.random.default_rng(3)
    covered: dict[str, list[bool]] = {}
    for _ in range(800):
        f = fake(x=chance.exponential(size=2_000)).summary()["x"]
        truths = [("mean", f["mean"], 1.0), ("median", f["quantile"][0.5], math.log(2))]
        for level in (0.95, 0.99):
            risk = -math.log(1 - level)
            truths.append((f"risk {level}", f["value_at_risk"][level], risk))
            truths.append((f"shortfall {level}", f["expected_shortfall"][level], risk + 1))
        for name, estimate, truth in truths:
            covered.setdefault(name, []).append(estimate.low <= truth <= estimate.high)
    for name, hits in covered.items():
        assert np.mean(hits) > (0.87 if name == "shortfall 0.99" else 0.92), name
        assert np.mean(hits) < 0.985, name


@given(
    st.lists(st.floats(-100, 100), min_size=1, max_size=60),
    st.floats(0.05, 0.95),
)
def test_order_of_figures(values, level):
    f = fake(x=values).summary(levels=level)["x"]
    risk, shortfall = f["value_at_risk"][level], f["expected_shortfall"][level]
    assert risk.low <= risk.value <= risk.high
    assert risk.value - 1e-9 <= shortfall.value <= max(values) + 1e-9  # a mean is rounded
    quantiles = [estimate.value for estimate in f["quantile"].values()]
    assert quantiles == sorted(quantiles)
    assert np.mean(np.array(values) <= risk.value) >= level - 1e-12


def test_printing_and_pickling():
    e = fake(final_price=np.linspace(80, 120, 1_000), long_count=np.arange(1_000) // 900, exhausted=[False] * 1_000)
    s = e.summary()
    lines = str(s).splitlines()
    assert lines[0].startswith("1,000 paths, intervals at 95 % confidence; any liquidation in 10 % [8.")
    assert " ".join(lines[1].split()) == "mean deviation median above 0 level value at risk expected shortfall"
    assert lines[2].startswith("final_price (low tail)  100 [99.2")
    assert lines[3].split()[0] == "99"
    assert lines[-1] == "exhausted: in 0 % [0 %, 0.3682 %] of paths"
    assert repr(s) == "<Summary: 3 columns of 1,000 paths>"
    assert str(pickle.loads(pickle.dumps(s))) == str(s)
    assert list(dict(e.summary("final_price"))) == ["final_price"]
    assert str(e.summary(levels=[]))
    assert str(e.summary(["exhausted"])).count("\n") == 1


def test_exceedance_by_hand():
    e = fake(x=[0, 0, 0, 1, 5])
    curve = e.exceedance("x")
    assert curve["value"].tolist() == [0.0, 1.0, 5.0]
    assert curve["probability"].tolist() == [1.0, 0.4, 0.2]
    same(fp.Estimate(*list(curve[1])[1:]), *proportion(2, 5, 0.95))
    at = e.exceedance("x", [6.0, 1.0, -INF, 0.5], confidence=0.5)
    assert at["probability"].tolist() == [0.0, 0.4, 1.0, 0.4]
    assert at["high"][0] == pytest.approx(1 - 0.25 ** (1 / 5))
    assert not at.flags.writeable


def test_exceedance_of_many_values_reaches_into_the_tail():
    x = np.random.default_rng(2).exponential(size=50_000)
    curve = fake(x=x).exceedance("x")
    assert 100 < curve.size <= 200
    assert curve["value"][0] == x.min()
    assert curve["value"][-1] == x.max()
    assert curve["probability"][-1] == 1 / 50_000
    assert np.all(np.diff(curve["probability"]) < 0)
    assert np.all((curve["low"] < curve["probability"]) & (curve["probability"] <= curve["high"]))


BAD: list[tuple[Any, type[Exception], str]] = [
    (lambda e: e.summary(["y"]), ValueError, r"^columns must be among x, z, was 'y'$"),
    (lambda e: e.summary(levels=[0.9, 1.0]), ValueError, r"^levels must be below 1, was 1\.0$"),
    (lambda e: e.summary(levels=[0.0]), ValueError, r"^levels must be positive, was 0\.0$"),
    (lambda e: e.summary(levels=[NAN]), ValueError, r"^levels must be finite, was nan$"),
    (lambda e: e.summary(levels=1e-300), ValueError, r"^levels must be at least 1e-12 away from 0 and 1, was 1e-300$"),
    (lambda e: e.summary(confidence=1 - 2**-53), ValueError, r"^confidence must be at least 1e-12 away from 0 and 1"),
    (lambda e: e.summary(levels="0.9"), TypeError, r"^levels must be real numbers, was '0\.9'$"),
    (lambda e: e.summary(confidence=1.0), ValueError, r"^confidence must be below 1, was 1\.0$"),
    (lambda e: e.summary(confidence=95), ValueError, r"^confidence must be below 1, was 95\.0$"),
    (lambda e: e.exceedance("y"), ValueError, r"^column must be among x, z, was 'y'$"),
    (lambda e: e.exceedance("z"), ValueError, r"^z must be known on every path, was nan on 1 of 2$"),
    (lambda e: e.exceedance("x", [NAN]), ValueError, r"^values must be a number, was nan at index 0$"),
    (lambda e: e.exceedance("x", [[1.0]]), ValueError, r"^values must have one dimension, was of shape \(1, 1\)$"),
]


@pytest.mark.parametrize(("ask", "kind", "message"), BAD)
def test_bad_input(ask, kind, message):
    with pytest.raises(kind, match=message):
        ask(fake(x=[1.0, 2.0], z=[1.0, NAN]))


def test_names_of_a_subclass_hold_for_all():
    class Named(fp.Ensemble):
        _names: ClassVar[tuple[str, ...]] = ("gain",)
        _low_is_bad: ClassVar[frozenset[str]] = frozenset({"gain"})

    e = Named("fake", {}, {"gain": np.arange(10.0)}, seed=None, ranges=((0, 10),))
    assert e.summary(levels=0.9)["gain"]["value_at_risk"][0.9].value == 1.0


def test_antithetic_pairs_are_not_taken_for_independent_paths():
    """A long and a short make both paths of a pair alike, a mean price nearly opposite: intervals must know both."""
    book, market = fp.Book([1, -1], [1.0, 1.0], [98.0, 100 / 0.98]), fp.Market(100.0, fp.LinearImpact(1e-9))
    process = fp.GBM(0.6, drift=0.18)
    chance = 2 * float(normal_tail(math.log(1 / 0.98) / (0.6 * math.sqrt(1 / 365))))
    covered = {"mean": 0, "positive": 0}
    runs = 200
    for seed in range(runs):
        e = fp.simulate(book, market, process, steps=1, paths=400, antithetic=True, seed=seed)
        f = e.summary("liquidated_count")["liquidated_count"]
        for name in covered:
            covered[name] += f[name].low <= chance <= f[name].high
    # 95 % of 200 less 4.5 deviations is 176; taken for independent, 83 % would be 166 on average.
    assert min(covered.values()) >= 176, covered
    plain = fp.simulate(book, market, process, steps=1, paths=400, seed=1).summary("final_price")["final_price"]["mean"]
    paired = e.summary("final_price")["final_price"]["mean"]
    assert paired.high - paired.low < 0.2 * (plain.high - plain.low)
    curve = e.exceedance("final_price", [100.0])
    assert curve["high"][0] - curve["low"][0] > 1.3 * (2 * 1.96 * 0.5 / 20)  # half of 400 paths, as if pairs were alike


def normal_tail(x):
    return 0.5 * math.erfc(x / math.sqrt(2))


def test_columns_on_demand_are_summarised():
    book = fp.Book(1, [10.0, 10.0], [95.0, 90.0], [94.0, 89.0])
    market = fp.Market(100.0, fp.LinearImpact(2e-3))
    s = fp.stress(book, market, shock=[-0.01, -0.06, -0.12])
    assert s.summary(["shortfall"])["shortfall"]["mean"].value == pytest.approx(s.shortfall.mean())
    assert s.exceedance("proceeds", [1.0])["probability"][0] == pytest.approx(2 / 3)
    e = fp.simulate(book, market, fp.GBM(1.0), steps=3, paths=20, seed=1, columns=["final_price"])
    assert e.summary("shortfall")["shortfall"]["mean"].value == pytest.approx(e.shortfall.mean())
    with pytest.raises(ValueError, match=r"^column must be among .*, was 'nonsense'"):
        e.exceedance("nonsense")
    assert fp.compare(e, e, ["proceeds"])["proceeds"]["difference"].value == 0
