"""Sums instead of paths: against plain loops, in any order of joining, and as many as there may be."""

from __future__ import annotations

import math
import pickle
import random
from functools import reduce
from itertools import pairwise
from operator import add
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import flushpoint as fp
import reference_streamed as reference
from flushpoint.streamed import RELATIVE_ERROR, folded, packed, unpacked

BOOK = fp.Book([1] * 30 + [-1] * 30, 5.0, [*np.linspace(80, 99, 30), *np.linspace(101, 125, 30)])
MARKET = fp.Market(100.0, fp.LinearImpact(2e-4), half_life=3_600.0)
RUN: dict[str, Any] = {"steps": 24, "seed": 3, "paths": 400}
ANY = st.one_of(
    st.floats(),
    st.floats(-1e6, 1e6),
    st.sampled_from([0.0, -0.0, 1.0, math.nan, math.inf, 5e-324, -2.5e-310, 1.7976931348623157e308, 2.0, -2.0]),
)


class Column(fp.Ensemble):
    """One column of given values."""

    _names: ClassVar[tuple[str, ...]] = ("x",)
    x: Any


def column(values: Any, first: int = 0, **arguments: Any) -> fp.StreamedEnsemble:
    x = np.array(values)
    return fp.StreamedEnsemble.of(Column("x", arguments, {"x": x}, 1, ((first, first + x.size),)))


def same(a: float, b: float) -> bool:
    return a == b or (math.isnan(a) and math.isnan(b))


def near(found: float, exact: float) -> bool:
    """Whether a root is off by no more than the rounding of it and of its square."""
    return same(found, exact) or abs(found - exact) <= max(4e-16 * exact, 5e-324)


@given(st.lists(ANY, max_size=40))
def test_figures_equal_plain_loops(values):
    s = column(np.array(values, dtype=np.float64))["x"]
    known = reference.known(values)
    assert (s.count, s.nan) == (len(known), len(values) - len(known))
    assert s.positive == sum(value > 0 for value in known)
    assert same(s.minimum, min(known, default=math.nan))
    assert same(s.maximum, max(known, default=math.nan))
    assert same(s.mean, reference.mean(values))
    assert near(s.standard_deviation, reference.standard_deviation(values))


def test_sums_are_exact_beyond_one_block():
    values = np.random.default_rng(1).normal(size=40_000) * np.exp(np.random.default_rng(2).normal(0, 20, 40_000))
    s = column(values)["x"]
    assert s.mean == reference.mean(values.tolist())
    assert near(s.standard_deviation, reference.standard_deviation(values.tolist()))
    assert column(np.full(70_000, 1 - 2.0**-53))["x"].mean == 1 - 2.0**-53


@given(st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=60), st.floats(0, 1))
def test_quantiles_are_off_by_their_share(values, probability):
    found, exact = column(values)["x"].quantile(probability), reference.quantile(values, probability)
    assert abs(found - exact) <= abs(exact) * RELATIVE_ERROR + 1e-307


@given(st.lists(st.integers(0, 2048), min_size=1, max_size=60), st.floats(0, 1))
def test_quantiles_of_small_integers_are_exact(values, probability):
    assert column(values)["x"].quantile(probability) == reference.quantile(values, probability)


@given(st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=80), st.floats(0.05, 0.95))
def test_the_tail_is_off_by_its_share(values, level):
    figures = column(values).summary(levels=[level])["x"]
    exact, size = reference.worst(values, level)
    risk = reference.quantile(values, level)
    rounding = 1e-12 * (size + abs(risk)) + 1e-300
    assert abs(figures["expected_shortfall"][level].value - exact) <= size * RELATIVE_ERROR + rounding
    assert abs(figures["value_at_risk"][level].value - risk) <= abs(risk) * RELATIVE_ERROR + 1e-307


@given(
    st.lists(ANY, max_size=60), st.integers(1, 7), st.lists(st.floats(-1e9, 1e9), min_size=2, max_size=5, unique=True)
)
def test_histograms_count_exactly(values, bins, edges):
    s = column(np.array(values, dtype=np.float64))["x"]
    finite = [value if abs(value) >= 2.0**-1032 else 0.0 for value in values if math.isfinite(value)]
    counts, ends = s.histogram(bins)
    assert counts.tolist() == reference.histogram(finite, ends.tolist())
    assert counts.sum() == len(finite)
    counts, ends = s.histogram(sorted(edges))
    assert counts.tolist() == reference.histogram(finite, ends.tolist())
    for edge in edges:
        assert np.min(np.abs(ends - edge)) <= abs(edge) * 2 * RELATIVE_ERROR + 1e-307


def bits(s: fp.StreamedEnsemble) -> bytes:
    return pickle.dumps([(name, array.tobytes()) for name, array in packed(s._folded).items()])


def test_histograms_of_the_largest_numbers():
    largest = np.finfo(np.float64).max
    for values in ([largest], [-largest], [-largest, 0.0, largest], [5e-324, largest]):
        counts, ends = column(values)["x"].histogram(3)
        assert np.isfinite(ends[1:-1]).all()
        assert counts.sum() == len(values)


@settings(max_examples=60)
@given(
    st.lists(ANY, min_size=2, max_size=40).filter(lambda values: len(values) % 2 == 0),
    st.lists(st.integers(0, 20), max_size=6),
    st.randoms(),
    st.booleans(),
)
def test_any_order_of_joining_gives_the_same_bits(values, cuts, chance, antithetic):
    x = np.array(values)
    ends = sorted({0, x.size, *(2 * cut for cut in cuts if 2 * cut < x.size)})
    parts = [column(x[a:b], a, antithetic=antithetic) for a, b in pairwise(ends)]
    chance.shuffle(parts)
    whole, joined = column(x, antithetic=antithetic), reduce(add, parts)
    assert bits(joined) == bits(whole)
    assert joined == whole
    assert joined.provenance == whole.provenance
    assert joined.id == whole.id
    again = pickle.loads(pickle.dumps(joined))
    assert again == whole
    assert bits(again) == bits(whole)
    assert unpacked(packed(whole._folded)) == whole._folded


@given(st.lists(st.floats(-1e300, 1e300) | st.just(math.nan), min_size=4, max_size=40))
def test_antithetic_means_are_judged_by_pairs(values):
    values = values[: len(values) // 2 * 2]
    pairs = sum(bool(reference.known(values[i : i + 2])) for i in range(0, len(values), 2))
    s = column(values, antithetic=True)["x"]
    found = s._standard_error(True)
    largest = max(map(abs, reference.known(values)), default=0.0)
    if pairs < 2:
        assert math.isnan(found)
    else:
        assert found == pytest.approx(reference.standard_error_of_pairs(values), rel=1e-9, abs=1e-15 * largest)


@pytest.mark.parametrize("antithetic", [False, True])
def test_a_run_is_summed_up_as_its_paths_would_be(antithetic):
    given_ = {**RUN, "antithetic": antithetic}
    e = fp.simulate(BOOK, MARKET, fp.GBM(1.5), **given_)
    s = fp.simulate(BOOK, MARKET, fp.GBM(1.5), keep="summary", **given_)
    assert s == fp.StreamedEnsemble.of(e)
    assert list(s) == list(e)
    assert (s.seed, s.id) == (e.seed, e.id)
    assert s.provenance == e.provenance
    exact, found = e.summary(), s.summary()
    assert found.liquidation == exact.liquidation
    assert (found.paths, found.levels, found.confidence) == (exact.paths, exact.levels, exact.confidence)
    for name, figures in exact.items():
        mine = found[name]
        assert mine["count"] == figures["count"]
        if "probability" in figures:
            assert mine["probability"] == figures["probability"]
            continue
        assert mine["positive"] == figures["positive"]
        assert mine["tail"] == figures["tail"]
        assert mine["mean"] == pytest.approx(figures["mean"], rel=1e-9)
        assert mine["standard_deviation"] == pytest.approx(figures["standard_deviation"], rel=1e-9)
        for kind in ("quantile", "value_at_risk", "expected_shortfall"):
            for level, one in figures[kind].items():
                other = mine[kind][level]
                assert other.value == pytest.approx(one.value, rel=RELATIVE_ERROR)
                if antithetic and kind == "expected_shortfall":
                    assert math.isnan(other.low)
                elif not math.isnan(one.low):
                    # Never narrower, and hardly wider.
                    assert other.low <= one.low * (1 + 1e-12)
                    assert other.high >= one.high * (1 - 1e-12)
                    assert other.low == pytest.approx(one.low, rel=4 * RELATIVE_ERROR)
                    assert other.high == pytest.approx(one.high, rel=4 * RELATIVE_ERROR)
    assert str(found).splitlines()[0] == str(exact).splitlines()[0]


def test_columns_that_cost_more_are_summed_up_when_asked_for():
    book = fp.Book(1, 5.0, np.linspace(80, 99, 30), np.linspace(79, 98, 30))
    names = ("shortfall", "proceeds", "waves")
    e = fp.simulate(book, MARKET, fp.GBM(1.5), columns=names, **RUN)
    assert fp.simulate(book, MARKET, fp.GBM(1.5), columns=names, keep="summary", **RUN) == fp.StreamedEnsemble.of(e)


def test_a_thousand_million_paths():
    one = fp.simulate(BOOK, MARKET, fp.GBM(1.5), keep="summary", **RUN)
    total = one
    for _ in range(22):
        n = total._count
        again = total._of_paths(((n, 2 * n),), {"_low_is_bad": total._low_is_bad, **total._folded._values})
        total = total + again
    assert total.provenance["paths"] == ((0, 400 * 2**22),)
    assert total["waves"].count == 400 * 2**22 > 10**9
    for name in total:
        assert total[name].mean == one[name].mean
        assert total[name].quantile(0.37) == one[name].quantile(0.37)
    assert len(pickle.dumps(packed(total._folded))) < 1.2 * len(pickle.dumps(packed(one._folded)))
    figures = total.summary(["low_price"])["low_price"]
    assert figures["mean"].high - figures["mean"].low < 1e-3
    assert figures["value_at_risk"][0.99].value == one.summary()["low_price"]["value_at_risk"][0.99].value


def test_only_other_paths_of_the_same_run_are_joined():
    def run(**changes: Any) -> fp.StreamedEnsemble:
        return fp.simulate(BOOK, MARKET, fp.GBM(1.5), keep="summary", **{**RUN, **changes})

    a, b = run(paths=range(7)), run(paths=range(7, 20))
    assert a + b == run(paths=20)
    with pytest.raises(ValueError, match=r"^results to join must have no path in common, both have 5 to 6$"):
        a + run(paths=range(5, 9))
    with pytest.raises(ValueError, match=r"must be of one run, differ in the argument steps: 24 and 25$"):
        a + run(paths=range(7, 9), steps=25)
    with pytest.raises(ValueError, match=r"must be of one run, differ in kind: StreamedEnsemble and SimulationResult"):
        a + fp.simulate(BOOK, MARKET, fp.GBM(1.5), **{**RUN, "paths": range(7, 9)})  # type: ignore[operator]
    with pytest.raises(ValueError, match=r"must be of one run, differ in the argument columns$"):
        a + run(paths=range(7, 9), columns=["waves"])
    with pytest.raises(TypeError):
        a + 1  # type: ignore[operator]


def test_what_it_says():
    s = fp.simulate(BOOK, MARKET, fp.GBM(1.5), keep="summary", **RUN)
    assert repr(s) == f"<StreamedEnsemble: 400 paths, {len(s)} columns, seed 3>"
    assert repr(column([1.0, 3.0])["x"]) == "<StreamedColumn: 2 values, mean 2, 1 to 3>"
    assert repr(column([True, False, True])["x"]) == "<StreamedColumn: 2 of 3 true>"
    with pytest.raises(AttributeError, match="frozen"):
        s.seed = 4
    with pytest.raises(ValueError, match="read-only"):
        s["waves"]._counts[0] = 1
    assert math.isnan(column(np.array([]))["x"].quantile(0.5))
    assert [part.size for part in column([math.nan])["x"].histogram()] == [0, 0]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: column([1.0])["x"].quantile(1.5), ValueError, r"^probability must be at most 1, was 1\.5$"),
        (lambda: column([1.0])["x"].histogram(0), ValueError, r"^bins must be at least 1, was 0$"),
        (lambda: column([1.0])["x"].histogram([1.0]), ValueError, r"^bins must be at least two edges"),
        (lambda: column([1.0])["x"].histogram([2.0, 1.0]), ValueError, r"^bins must be finite and rising, was 1\.0 at"),
        (lambda: column([1.0]).summary(["y"]), ValueError, r"^columns must be among x, was 'y' at index 0$"),
        (lambda: column([1.0]).summary(levels=1.0), ValueError, r"^levels must be below 1, was 1\.0$"),
        (lambda: fp.StreamedEnsemble.of(1), TypeError, r"^result must be an Ensemble, was int$"),  # type: ignore[arg-type]
        (lambda: column([1.0], antithetic=True), ValueError, r"^paths must begin and end at even numbers"),
        (
            lambda: fp.simulate(BOOK, MARKET, fp.GBM(1.0), paths=3, antithetic=True, keep="summary"),
            ValueError,
            r"^paths must begin and end at even numbers where antithetic paths are summed up, was range\(0, 3\)$",
        ),
        (
            lambda: fp.simulate(BOOK, MARKET, fp.GBM(1.0), paths=3, record=1, keep="summary"),  # type: ignore[call-overload]
            ValueError,
            r"^record must be left out where keep is 'summary', was 1$",
        ),
        (
            lambda: fp.simulate(BOOK, MARKET, fp.GBM(1.0), paths=3, watch=[1], keep="summary"),  # type: ignore[call-overload]
            ValueError,
            r"^watch must be left out where keep is 'summary', was \[1\]$",
        ),
        (
            lambda: fp.simulate(BOOK, MARKET, fp.GBM(1.0), paths=3, keep="all"),  # type: ignore[call-overload]
            ValueError,
            r"^keep must be one of 'paths', 'summary', was 'all'$",
        ),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_scenarios_are_summed_up():
    shock = -np.linspace(0.0, 0.3, 101)
    e = fp.stress(BOOK, MARKET, shock)
    s = fp.stress(BOOK, MARKET, shock, keep="summary")
    assert s == fp.StreamedEnsemble.of(e)
    assert s["amplification"].nan == np.isnan(e.amplification).sum()


def test_shuffled_values_have_the_same_sums():
    values = np.random.default_rng(5).lognormal(0, 8, 1_000).tolist()
    whole = column(values)["x"]
    random.Random(1).shuffle(values)
    assert column(values)["x"] == whole
    assert folded(Column("x", {}, {"x": np.array(values)}, 1, ((0, 1_000),))).columns["x"] == whole
