"""The book: firing order, columns, joining, dropping, scaling, sums, and independence from its inputs."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given

import flushpoint as fp
import reference

MILLION = 1_000_000


def address(array: np.ndarray) -> int:
    return int(array.__array_interface__["data"][0])


def firing_order(side: np.ndarray, trigger: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    longs, shorts = np.flatnonzero(side > 0), np.flatnonzero(side < 0)
    return (
        longs[np.argsort(-trigger[longs], kind="stable")],
        shorts[np.argsort(trigger[shorts], kind="stable")],
    )


def assert_sorted_like(book: fp.Book, side: Any, quantity: Any, trigger: Any, bankruptcy: Any = None) -> None:
    side, quantity, trigger = np.asarray(side), np.asarray(quantity, float), np.asarray(trigger, float)
    for one, order in zip((book.long, book.short), firing_order(side, trigger), strict=True):
        assert len(one) == order.size
        np.testing.assert_array_equal(one.index, order)
        np.testing.assert_array_equal(one.trigger_price, trigger[order])
        np.testing.assert_array_equal(one.quantity, quantity[order])
        if bankruptcy is None:
            assert one.bankruptcy_price is None
        else:
            np.testing.assert_array_equal(one.bankruptcy_price, np.asarray(bankruptcy, float)[order])
        sums = np.concatenate([[0.0], np.cumsum(quantity[order])])
        assert one.cumulative_quantity.shape == (order.size + 1,)
        assert one.cumulative_quantity[0] == 0
        np.testing.assert_allclose(one.cumulative_quantity, sums, rtol=1e-12)
        assert (np.diff(one.cumulative_quantity) >= 0).all()
    assert len(book) == side.size


def some_book(n: int = 40, seed: int = 3, **more: Any) -> tuple[fp.Book, dict[str, np.ndarray]]:
    rng = np.random.default_rng(seed)
    side = rng.choice(np.array([1, -1], np.int8), n)
    columns = {
        "side": side,
        "quantity": rng.lognormal(0, 1, n),
        "trigger_price": np.round(100 * np.exp(-side * rng.exponential(0.1, n)), 1),
        "bankruptcy_price": 100 * np.exp(-side * rng.exponential(0.2, n)),
        "entry_price": rng.uniform(80, 120, n),
        "group": rng.integers(0, 5, n),
        **more,
    }
    return fp.Book(**columns), columns


# --- columns ---
@given(case=reference.cases(max_size=30))
def test_sides_are_in_firing_order(case: reference.Case) -> None:
    book = case.book()
    assert_sorted_like(book, case.side, case.quantity, case.trigger, case.bankruptcy)


def test_a_small_book_by_hand() -> None:
    book = fp.Book([1, -1, 1, 1, -1], [1.0, 2.0, 3.0, 4.0, 5.0], [90.0, 110.0, 95.0, 90.0, 105.0])
    assert book.long.index.tolist() == [2, 0, 3]
    assert book.short.index.tolist() == [4, 1]
    assert book.long.trigger_price.tolist() == [95.0, 90.0, 90.0]
    assert book.long.cumulative_quantity.tolist() == [0.0, 3.0, 4.0, 8.0]
    assert book.short.cumulative_quantity.tolist() == [0.0, 5.0, 7.0]
    assert book.bankruptcy_price is None
    assert book.entry_price is None
    assert book.group is None


def test_columns_come_back_in_input_order() -> None:
    book, columns = some_book()
    for name, values in columns.items():
        got = getattr(book, name)
        np.testing.assert_array_equal(got, values)
        assert not got.flags.writeable
        with pytest.raises(ValueError, match="read-only"):
            got[0] = got[1]


def test_scalars_broadcast() -> None:
    book = fp.Book(1, 2.0, [90.0, 95.0, 80.0], 85.0)
    assert len(book) == 3
    assert book.side.tolist() == [1, 1, 1]
    assert book.quantity.tolist() == [2.0] * 3
    assert book.bankruptcy_price is not None
    assert book.bankruptcy_price.tolist() == [85.0] * 3
    assert len(fp.Book([1, -1], 1.0, 90.0)) == 2
    assert len(fp.Book(1, 1.0, 90.0)) == 1


def test_empty_and_one_sided_books() -> None:
    empty = fp.Book([], [], [])
    assert len(empty) == len(empty.long) == len(empty.short) == 0
    assert empty.long.cumulative_quantity.tolist() == [0.0]
    assert empty.open_interest(100.0) == (0.0, 0.0)
    assert empty.quantity.shape == (0,)
    assert len(empty + empty) == len(empty.alive(1.0)) == len(empty.scaled(5.0, 1.0)) == 0
    only = fp.Book(-1, [1.0, 2.0], [120.0, 110.0])
    assert len(only.long) == 0
    assert only.short.index.tolist() == [1, 0]
    for integer_empty in (np.array([], np.int8), np.array([], np.int64), ()):
        assert len(fp.Book(integer_empty, np.array([]), ())) == 0


def test_sorted_columns_are_views_that_cannot_be_written() -> None:
    book, _ = some_book(1000)
    for side in (book.long, book.short):
        for name in ("trigger_price", "quantity", "bankruptcy_price", "index", "cumulative_quantity"):
            first, second = getattr(side, name), getattr(side, name)
            assert address(first) == address(second), name
            assert address(getattr(book.long if side is book.long else book.short, name)) == address(first)
            assert first.flags.c_contiguous
            assert first.flags.aligned
            assert not first.flags.writeable
            assert first.dtype == (np.int32 if name == "index" else np.float64)
            with pytest.raises(ValueError, match="read-only"):
                first[:1] = 0
    assert book.long.quantity.size + book.short.quantity.size == 1000


def test_books_cannot_be_changed_through_attributes() -> None:
    book, _ = some_book()
    for name in ("quantity", "trigger_price", "side", "long", "short"):
        with pytest.raises(AttributeError):
            setattr(book, name, None)
    with pytest.raises(AttributeError):
        book.long.quantity = np.zeros(3)  # type: ignore[misc]


def test_inputs_are_neither_changed_nor_kept() -> None:
    book, columns = some_book(500)
    before = {name: values.copy() for name, values in columns.items()}
    again, given_columns = some_book(500)
    for values in given_columns.values():
        values[:] = values[::-1].copy()
        values += 1 if values.dtype != np.int8 else 0
    for name, values in before.items():
        np.testing.assert_array_equal(columns[name], values)
        np.testing.assert_array_equal(getattr(again, name), values)
    np.testing.assert_array_equal(again.long.trigger_price, book.long.trigger_price)
    np.testing.assert_array_equal(again.short.quantity, book.short.quantity)
    # sorted inputs are not kept as they are, either
    trigger, quantity = np.array([90.0, 80.0, 70.0]), np.ones(3)
    sorted_book = fp.Book(np.ones(3, np.int8), quantity, trigger, trigger, trigger)
    trigger[:], quantity[:] = 1.0, 9.0
    assert sorted_book.long.trigger_price.tolist() == [90.0, 80.0, 70.0]
    assert sorted_book.long.quantity.tolist() == [1.0] * 3
    assert sorted_book.long.bankruptcy_price is not None
    assert sorted_book.long.bankruptcy_price.tolist() == [90.0, 80.0, 70.0]
    assert sorted_book.entry_price is not None
    assert sorted_book.entry_price.tolist() == [90.0, 80.0, 70.0]


LAYOUTS = ["strided", "reversed", "float32", "int", "list", "big-endian", "read-only", "fortran"]


@pytest.mark.parametrize("kind", LAYOUTS)
def test_any_layout_of_the_inputs(kind: str) -> None:
    side = np.array([1, -1, 1, 1])
    quantity, trigger = np.array([1.0, 2.0, 3.0, 4.0]), np.array([90.0, 110.0, 95.0, 80.0])
    expected = fp.Book(side, quantity, trigger)

    def change(a: np.ndarray) -> Any:
        if kind == "strided":
            return np.repeat(a, 3)[::3]
        if kind == "reversed":
            return a[::-1].copy()[::-1]
        if kind == "float32":
            return a.astype(np.float32) if a.dtype.kind == "f" else a.astype(np.int16)
        if kind == "int":
            return a.astype(int)
        if kind == "list":
            return a.tolist()
        if kind == "big-endian":
            return a.astype(a.dtype.newbyteorder(">"))
        if kind == "read-only":
            a = a.copy()
            a.flags.writeable = False
            return a
        return np.asfortranarray(np.stack([a, a], axis=1))[:, 0]

    book = fp.Book(change(side), change(quantity), change(trigger))
    for one, other in ((book.long, expected.long), (book.short, expected.short)):
        np.testing.assert_array_equal(one.index, other.index)
        np.testing.assert_array_equal(one.trigger_price, other.trigger_price)
        np.testing.assert_array_equal(one.quantity, other.quantity)


# --- sorting at size ---
def test_a_million_random_positions_sort_as_numpy_does() -> None:
    rng = np.random.default_rng(11)
    side = rng.choice(np.array([1, -1], np.int8), MILLION)
    trigger = 100 * np.exp(-side * rng.exponential(0.2, MILLION))
    trigger[rng.random(MILLION) < 0.3] = np.round(trigger[rng.random(MILLION) < 0.3].mean(), 0)
    trigger[::1000] = np.where(side[::1000] > 0, 0.0, np.inf)
    quantity = rng.lognormal(0, 2, MILLION)
    book = fp.Book(side, quantity, trigger)
    assert_sorted_like(book, side, quantity, trigger)
    by_key = np.lexsort((np.arange(MILLION), -side * trigger, -side))
    np.testing.assert_array_equal(np.concatenate([book.long.index, book.short.index]), by_key)


def shapes_of_triggers(n: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(8)
    tiny = np.finfo(float).smallest_subnormal
    walk = np.abs(np.cumsum(rng.normal(size=n))) + 1
    return {
        "all equal": np.full(n, 90.0),
        "two values": rng.choice([90.0, 90.0 - 1e-13 * 90], n),
        "few values": np.round(rng.uniform(80, 100, n)),
        "exponential tail": 100 * np.exp(-rng.exponential(10.0, n)),
        "one far away": np.concatenate([[1e300], rng.uniform(90, 91, n - 1)]),
        "one at zero": np.concatenate([rng.uniform(90, 91, n - 1), [tiny]]),
        "subnormal": tiny * rng.integers(1, 1000, n),
        "every magnitude": 10.0 ** rng.uniform(-300, 300, n),
        "neighbours": np.nextafter(90.0, 100.0) + np.spacing(90.0) * rng.integers(-3, 4, n),
        "sorted": np.sort(rng.uniform(1, 100, n)),
        "reversed": np.sort(rng.uniform(1, 100, n))[::-1].copy(),
        "nearly sorted": np.sort(rng.uniform(1, 100, n)) * (1 + 1e-7 * rng.normal(size=n)),
        "sawtooth": np.arange(n) % 1000 + 1.0,
        "organ pipe": np.minimum(np.arange(n), n - np.arange(n)) + 1.0,
        "walk": walk,
        "integers": rng.integers(1, 2**31, n).astype(float),
        "mostly never": np.where(rng.random(n) < 0.999, -1.0, rng.uniform(80, 100, n)),
    }


SHAPES = list(shapes_of_triggers(10))


@pytest.mark.parametrize("side", [1, -1, 0])
@pytest.mark.parametrize("shape", SHAPES)
def test_skewed_triggers(shape: str, side: int) -> None:
    for n in (10, 1_000, 60_000):
        trigger = shapes_of_triggers(n)[shape]
        rng = np.random.default_rng(n)
        sides = np.full(n, side, np.int8) if side else rng.choice(np.array([1, -1], np.int8), n)
        trigger = np.where(trigger < 0, np.where(sides > 0, 0.0, np.inf), trigger)
        quantity = rng.uniform(1, 2, n) / np.max(trigger, initial=1.0, where=np.isfinite(trigger))
        assert_sorted_like(fp.Book(sides, quantity, trigger, trigger[::-1] * 0 + 1 if shape == "sorted" else None),
                           sides, quantity, trigger, np.ones(n) if shape == "sorted" else None)  # fmt: skip


@pytest.mark.parametrize("n", [1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 127, 255, 256, 257, 1023, 1025, 4097])
def test_every_length(n: int) -> None:
    rng = np.random.default_rng(n)
    side = rng.choice(np.array([1, -1], np.int8), n)
    trigger = np.round(rng.uniform(50, 150, n), 1)
    quantity = rng.uniform(0.1, 2, n)
    assert_sorted_like(fp.Book(side, quantity, trigger), side, quantity, trigger)


def test_a_tie_keeps_the_order_of_the_input() -> None:
    n = 5_000
    book = fp.Book(np.repeat([1, -1], n), 1.0, 90.0)
    np.testing.assert_array_equal(book.long.index, np.arange(n))
    np.testing.assert_array_equal(book.short.index, np.arange(n, 2 * n))


# --- joining, dropping, scaling ---
def test_joining() -> None:
    one, a = some_book(30, 1)
    two, b = some_book(50, 2)
    both = one + two
    joined = {name: np.concatenate([a[name], b[name]]) for name in a}
    for name, values in joined.items():
        np.testing.assert_array_equal(getattr(both, name), values)
    assert_sorted_like(both, joined["side"], joined["quantity"], joined["trigger_price"], joined["bankruptcy_price"])
    assert len(one) == 30
    assert len(one + fp.Book([], [], [], [], [], np.array([], int))) == 30
    with pytest.raises(TypeError):
        one + 3  # type: ignore[operator]
    with pytest.raises(ValueError, match=r"^bankruptcy_price must"):
        one + fp.Book(1, 1.0, 90.0, entry_price=100.0, group=1)


@given(case=reference.cases(max_size=20))
def test_alive_drops_what_is_crossed(case: reference.Case) -> None:
    book = case.book()
    kept = [i for i, (s, t) in enumerate(zip(case.side, case.trigger, strict=True))
            if not case.venue.crossed(s, t)]  # fmt: skip
    alive = book.alive(case.price)
    np.testing.assert_array_equal(alive.trigger_price, np.array(case.trigger)[kept])
    np.testing.assert_array_equal(alive.quantity, np.array(case.quantity)[kept])
    np.testing.assert_array_equal(alive.side, np.array(case.side)[kept])
    assert (alive.bankruptcy_price is None) == (case.bankruptcy is None)
    assert len(book) == len(case.side)


def test_alive_keeps_every_column_and_drops_what_is_exactly_at_the_price() -> None:
    book, columns = some_book(200)
    alive = book.alive(97.1)
    side, trigger = columns["side"], columns["trigger_price"]
    keep = np.where(side > 0, trigger < 97.1, trigger > 97.1)
    assert 0 < keep.sum() < 200
    assert (trigger == 97.1).any()
    for name, values in columns.items():
        np.testing.assert_array_equal(getattr(alive, name), values[keep])
    assert fp.Book(1, 1.0, [90.0, 90.0 * (1 + 1e-9), 90.0 * (1 - 1e-9)]).alive(90.0).trigger_price.tolist() == [
        90.0 * (1 - 1e-9)
    ]


def test_scaled() -> None:
    book, columns = some_book(300)
    scaled = book.scaled(5e6, 97.0)
    assert scaled.open_interest(97.0) == pytest.approx((5e6, 5e6), rel=1e-12)
    pair = book.scaled((1e6, 3e6), 97.0)
    assert pair.open_interest(97.0) == pytest.approx((1e6, 3e6), rel=1e-12)
    for side in (1, -1):
        mine = columns["side"] == side
        ratio = pair.quantity[mine] / columns["quantity"][mine]
        np.testing.assert_allclose(ratio, ratio[0], rtol=1e-14)
    for name in ("side", "trigger_price", "bankruptcy_price", "entry_price", "group"):
        np.testing.assert_array_equal(getattr(pair, name), columns[name])
    one_sided = fp.Book(1, [1.0, 2.0], [90.0, 80.0]).scaled(100.0, 95.0)
    assert one_sided.open_interest(95.0) == pytest.approx((100.0, 0.0))
    assert len(one_sided.short) == 0


def test_open_interest() -> None:
    book, columns = some_book(300)
    prices = np.array([[50.0, 97.0, 99.95], [100.0, 103.3, 500.0]])
    long, short = book.open_interest(prices)
    assert long.shape == short.shape == prices.shape
    side, trigger, quantity = columns["side"], columns["trigger_price"], columns["quantity"]
    for at, price in np.ndenumerate(prices):
        open_longs = (side > 0) & (trigger < price * (1 - 1e-12))
        open_shorts = (side < 0) & (trigger > price * (1 + 1e-12))
        assert long[at] == pytest.approx(price * quantity[open_longs].sum(), rel=1e-12, abs=1e-9)
        assert short[at] == pytest.approx(price * quantity[open_shorts].sum(), rel=1e-12, abs=1e-9)
    scalar = book.open_interest(97.0)
    assert isinstance(scalar[0], float)
    assert scalar == (long[0, 1], short[0, 1])
    never = fp.Book([1, -1], 2.0, [0.0, np.inf])
    assert never.open_interest(10.0) == (20.0, 20.0)


@pytest.mark.parametrize("bins", [1, 2, 7, 100])
def test_heatmap_equals_numpy(bins: int) -> None:
    book, columns = some_book(2_000)
    edges = np.sort(np.random.default_rng(bins).choice(np.arange(500, 1800), bins + 1, replace=False)) / 10
    for side, got in zip((1, -1), book.heatmap(edges), strict=True):
        mine = columns["side"] == side
        trigger, quantity = columns["trigger_price"][mine], columns["quantity"][mine]
        expected, _ = np.histogram(trigger, edges, weights=trigger * quantity)
        assert got.shape == (bins,)
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-9 * (trigger * quantity).sum())


def test_heatmap_edges_belong_to_the_upper_bin_except_the_last() -> None:
    book = fp.Book([1, 1, 1, -1, -1, 1, -1], 1.0, [90.0, 80.0, 100.0, 90.0, 100.0, 0.0, np.inf])
    long, short = book.heatmap([80.0, 90.0, 100.0])
    assert long.tolist() == [80.0, 190.0]
    assert short.tolist() == [0.0, 190.0]
    long, short = book.heatmap([0.0, 85.0, np.inf])
    assert long.tolist() == [80.0, 190.0]
    assert short[0] == 0.0


# --- copies ---
@pytest.mark.parametrize("protocol", [2, pickle.HIGHEST_PROTOCOL])
def test_pickles(protocol: int) -> None:
    book, columns = some_book(100)
    copy = pickle.loads(pickle.dumps(book, protocol))
    for name, values in columns.items():
        np.testing.assert_array_equal(getattr(copy, name), values)
    for one, other in ((copy.long, book.long), (copy.short, book.short)):
        for name in ("trigger_price", "quantity", "bankruptcy_price", "index", "cumulative_quantity"):
            mine = getattr(one, name)
            np.testing.assert_array_equal(mine, getattr(other, name))
            assert not mine.flags.writeable
    for name in columns:
        assert not getattr(copy, name).flags.writeable


def test_it_prints() -> None:
    book, _ = some_book()
    assert str(len(book.long)) in str(book)
    assert str(fp.Book([], [], []))
    assert "Book" in repr(book)
