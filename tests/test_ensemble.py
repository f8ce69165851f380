"""Ensembles: identity, joining path ranges in any order, and what is refused."""

from __future__ import annotations

import pickle
import random
import subprocess
import sys
from functools import cached_property, reduce
from itertools import pairwise
from operator import add
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.random import SeedSequence

import flushpoint as fp


class Fake(fp.Ensemble):
    """Two columns: one that says which path it is, and one that is worked out when it is first asked for."""

    _names: ClassVar[tuple[str, ...]] = ("path", "double")
    _shared: ClassVar[tuple[str, ...]] = ("_factor",)
    path: Any
    _factor: float

    @cached_property
    def double(self) -> Any:
        return self._factor * self.path


class Lazy(Fake):
    """A subclass that joins the state its lazy column needs, and leaves the column alone."""

    def _join(self, other: Any) -> dict[str, Any]:
        return {"_factor": self._factor, "path": self._rows(other, self.path, other.path)}


def fake(start: int, stop: int, kind: type[Fake] = Fake, seed: Any = 7, **arguments: Any) -> Fake:
    values = {"path": np.arange(start, stop), "_factor": 2.0}
    return kind("fake", arguments, values, seed=seed, ranges=((start, stop),))


def paths(e: fp.Ensemble) -> list[int]:
    return [path for start, stop in e.provenance["paths"] for path in range(start, stop)]


@pytest.mark.parametrize("kind", [Fake, Lazy])
@given(cuts=st.lists(st.integers(0, 60), min_size=1, max_size=8), seed=st.integers(0, 99), looked=st.booleans())
def test_any_order_of_joining_gives_the_whole(kind, cuts, seed, looked):
    ends = [0, *sorted(cuts), 60]
    parts = [fake(a, b, kind) for a, b in pairwise(ends)]
    if looked:
        assert parts[0].double.size == ends[1]
    random.Random(seed).shuffle(parts)
    whole, joined = fake(0, 60, kind), reduce(add, parts)
    assert joined == whole
    assert type(joined) is kind
    assert joined.provenance == whole.provenance
    assert joined.id == whole.id == fake(90, 99, kind).id
    assert all(not column.flags.writeable for column in dict(joined).values())
    assert repr(joined) == repr(whole)


@given(st.sets(st.integers(0, 12), max_size=12), st.sets(st.integers(0, 12), max_size=12), st.randoms())
def test_addition_is_commutative_associative_and_knows_overlaps(first, second, chance):
    def of(numbers):
        parts = [fake(i, i + 1) for i in numbers]
        chance.shuffle(parts)
        return reduce(add, parts, fake(0, 0))

    one, other = of(first), of(second)
    assert paths(one) == one.path.tolist() == sorted(first)
    if first & second:
        with pytest.raises(ValueError, match=r"^results to join must have no path in common, both have "):
            one + other
        return
    assert one + other == other + one
    assert (one + other).provenance == (other + one).provenance
    assert paths(one + other) == sorted(first | second)
    last = fake(20, 25)
    assert (one + other) + last == one + (other + last)


def test_a_lazy_column_stays_lazy_where_the_subclass_joins_its_state():
    joined = fake(4, 6, Lazy) + fake(0, 2, Lazy)
    assert "double" not in vars(joined)
    assert joined.double.tolist() == [0, 2, 8, 10]


def test_ranges_are_united_where_they_touch():
    assert (fake(0, 3) + fake(5, 9)).provenance["paths"] == ((0, 3), (5, 9))
    assert (fake(0, 3) + fake(5, 9) + fake(3, 5)).provenance["paths"] == ((0, 9),)


def test_rows_keep_further_axes():
    a, b = fake(0, 2), fake(2, 3)
    assert b._rows(a, np.ones((1, 2)), np.zeros((2, 2))).tolist() == [[0, 0], [0, 0], [1, 1]]


def book(quantity: float = 1.0, **columns: Any) -> fp.Book:
    return fp.Book([1, -1], quantity, [90.0, 110.0], **columns)


def market(impact: fp.Impact) -> fp.Market:
    return fp.Market(100.0, impact)


DIFFERENT: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"seed": 1}, {"seed": 2}, r"seed: 1 and 2$"),
    ({"seed": None}, {"seed": 2}, r"seed: None and 2$"),
    ({"seed": SeedSequence(1).spawn(1)[0]}, {"seed": SeedSequence(1, spawn_key=(1,))}, r"seed$"),
    ({"horizon": 3600.0}, {"horizon": 7200.0}, r"the argument horizon: 3600.0 and 7200.0$"),
    ({"a": 1, "b": 2}, {"a": 1}, r"the argument b, which only one has$"),
    ({"process": fp.GBM(0.5)}, {"process": fp.GBM(0.6)}, r"the argument process$"),
    ({"process": fp.Returns([[0.1]])}, {"process": fp.Returns([[0.2]])}, r"the argument process$"),
    ({"book": book()}, {"book": book(2.0)}, r"the argument book$"),
    ({"book": book()}, {"book": book(entry_price=100.0)}, r"the argument book$"),
    ({"book": book(group=["a", "b"])}, {"book": book(group=["a", "c"])}, r"the argument book$"),
    ({"market": market(fp.LinearImpact(1))}, {"market": market(fp.LinearImpact(2))}, r"the argument market$"),
    ({"market": market(fp.LinearImpact(1))}, {"market": market(fp.PowerImpact(1, 1))}, r"the argument market$"),
    ({"shock": np.array([0.1, 0.2])}, {"shock": np.array([[0.1, 0.2]])}, r"the argument shock$"),
    ({"shock": np.array([0.1])}, {"shock": np.array([0.1], np.float32)}, r"the argument shock$"),
    ({"columns": ("ab", "c")}, {"columns": ("a", "bc")}, r"the argument columns$"),
    ({"columns": ["1", 1]}, {"columns": [1, "1"]}, r"the argument columns$"),
    ({"mix": {"a": [1], "b": [2]}}, {"mix": {"a": [2], "b": [1]}}, r"the argument mix$"),
    ({"watch": [[1, 2], [3]]}, {"watch": [[1], [2, 3]]}, r"the argument watch$"),
    ({"flag": True}, {"flag": 1}, r"the argument flag: True and 1$"),
    ({"kind": Fake}, {"kind": Lazy}, r"kind: Fake and Lazy$"),
]


@pytest.mark.parametrize(("first", "second", "message"), DIFFERENT)
def test_different_runs_are_refused_with_what_differs(first, second, message):
    with pytest.raises(ValueError, match="^results to join must be of one run, differ in " + message):
        fake(0, 1, **first) + fake(1, 2, **second)


@pytest.mark.parametrize(
    "make",
    [
        lambda: book(group=np.array(["a", "b"], object)),
        lambda: market(fp.DepthImpact([0.1, 0.2], [1.0, 2.0])),
        lambda: fp.GBM(0.5),
        lambda: fp.Returns(np.ones((2, 3), np.float32)),
        lambda: np.arange(6.0).reshape(2, 3)[:, ::2],
        lambda: np.arange(3, dtype=">i4"),
        lambda: np.array(["2025-10-10"], "M8[D]"),
        lambda: {"b": None, "a": (1.5, "x", range(3), np.float64(2))},
    ],
)
def test_equal_arguments_have_one_id(make):
    one, other = fake(0, 1, thing=make()), fake(5, 9, thing=make())
    assert one.id == other.id == pickle.loads(pickle.dumps(one)).id
    assert len(one.id) == 64
    assert one.id != fake(0, 1, other=make()).id


def test_order_of_names_and_of_bytes_does_not_matter():
    one, other = np.arange(3, dtype="<i4"), np.arange(3, dtype=">i4")
    assert fake(0, 1, thing={"a": one, "b": 1}).id == fake(0, 1, thing={"b": 1, "a": other}).id


def test_the_id_is_that_of_any_process():
    code = (
        "import flushpoint as fp, numpy as np; "
        "print(fp.Ensemble('q', {'p': fp.GBM(0.5), 's': 'x', 'a': np.arange(3)}, {}, 7, ((0, 0),)).id)"
    )
    ids = {
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env).stdout
        for env in ({"PYTHONHASHSEED": "1"}, {"PYTHONHASHSEED": "2"})
    }
    assert len(ids) == 1
    assert ids.pop().strip() == fp.Ensemble("q", {"p": fp.GBM(0.5), "s": "x", "a": np.arange(3)}, {}, 7, ((4, 4),)).id


def test_arguments_without_a_canonical_form_are_refused():
    with pytest.raises(TypeError, match=r"^arguments of a result must be .*, was <function"):
        _ = fake(0, 1, executor=test_ranges_are_united_where_they_touch).id


def test_only_ensembles_are_joined():
    with pytest.raises(TypeError):
        fake(0, 1) + 1  # type: ignore[operator]


def test_tables_pickles_and_frozenness():
    e = fake(0, 4)
    frame = pd.DataFrame(dict(e))
    assert frame["double"].tolist() == [0, 2, 4, 6]
    assert pa.table(dict(e)).column("path").to_pylist() == [0, 1, 2, 3]
    other = pickle.loads(pickle.dumps(e + fake(6, 8)))
    assert other == e + fake(6, 8)
    assert other.provenance["paths"] == ((0, 4), (6, 8))
    assert other.seed == 7
    with pytest.raises(ValueError, match="read-only"):
        other["path"][0] = 9
    with pytest.raises(AttributeError, match="frozen"):
        e.path = 1


def test_repr_is_short():
    assert repr(fake(0, 1000)) == "<Fake: 1,000 paths (0 to 999), 2 columns, seed 7>"
    e = reduce(add, [fake(i, i + 1, seed=None) for i in range(0, 10, 2)])
    assert repr(e) == "<Fake: 5 paths (0, 2, 4, ...), 2 columns>"
    assert repr(fake(0, 1, seed=SeedSequence([1, 2]))) == "<Fake: 1 paths (0), 2 columns, seed a SeedSequence>"
    assert repr(fake(3, 3)) == "<Fake: 0 paths (none), 2 columns, seed 7>"
