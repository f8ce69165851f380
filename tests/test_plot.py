"""The pictures show what the results hold, with units."""

import sys

import numpy as np
import pytest

import flushpoint as fp
from flushpoint import plot

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

MARKET = fp.Market(100.0, fp.LinearImpact(0.003))


@pytest.fixture
def book() -> fp.Book:
    """One run of two longs tips at 92; two shorts that do not."""
    return fp.Book([1, 1, -1, -1], [10.0, 10.0, 5.0, 5.0], [92.0, 90.0, 110.0, 130.0])


def test_response_shows_prices_notional_and_tipping_points(book: fp.Book) -> None:
    r = fp.response(book, MARKET)
    figure = Figure()
    ax = plot.response(r, figure.subplots())
    upper, lower = figure.axes
    assert ax is upper
    assert ax.get_ylabel() == "final price (USD)"
    assert lower.get_xlabel() == "shock that starts it (%)"
    assert lower.get_ylabel() == "liquidated (USD)"
    (marks,) = ax.collections
    tips = r.tipping_points
    np.testing.assert_allclose(marks.get_offsets(), np.column_stack([100 * tips["shock"], tips["final_price"]]))
    falls = ax.lines[0].get_xydata()
    np.testing.assert_allclose(falls[:, 1], r(falls[:, 0] / 100).final_price)


def test_response_without_tipping_points_over_given_shocks(book: fp.Book) -> None:
    ax = plot.response(fp.response(book, MARKET), Figure().subplots(), shocks=[-0.01, 0.0, 0.01], currency="EUR")
    assert not ax.collections
    assert ax.get_ylabel() == "final price (EUR)"


def test_levels_adds_up_to_the_book(book: fp.Book) -> None:
    ax = plot.levels(book, 100.0, Figure().subplots())
    longs, shorts = (patch.get_data() for patch in ax.patches)
    assert longs.values.sum() == pytest.approx(10 * 92 + 10 * 90)
    assert shorts.values.sum() == pytest.approx(5 * 110 + 5 * 130)
    assert longs.edges[0] == 40
    assert longs.edges[-1] == 200
    assert ax.get_xlabel() == "liquidation price (USD)"
    assert ax.get_ylabel().startswith("notional per bin of 1.333 USD")


def test_levels_takes_edges_and_an_empty_book() -> None:
    ax = plot.levels(fp.Book([], [], []), 100.0, Figure().subplots(), bins=[50, 100, 200])
    assert ax.get_xlim() == (50, 200)
    assert ax.get_ylabel() == "notional per bin (USD)"


@pytest.mark.parametrize("name", ["response", "levels"])
def test_a_figure_is_made_when_no_axes_is_given(book: fp.Book, name: str) -> None:
    ax = plot.response(fp.response(book, MARKET)) if name == "response" else plot.levels(book, 100.0)
    ax.figure.canvas.draw()
    plt.close(ax.figure)


def test_an_axes_placed_by_hand_is_refused(book: fp.Book) -> None:
    with pytest.raises(ValueError, match="ax must be made by subplots or add_subplot, was an axes placed by hand"):
        plot.response(fp.response(book, MARKET), Figure().add_axes((0.1, 0.1, 0.8, 0.8)))


def test_without_matplotlib_the_extra_is_named(book: fp.Book, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r'pip install "flushpoint\[plot\]"'):
        plot.levels(book, 100.0)
