"""The pictures show what the results hold, with units."""

import sys

import numpy as np
import pytest

import flushpoint as fp
from flushpoint import levels, plot

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


def test_response_shows_stop_orders_with_what_is_liquidated(book: fp.Book) -> None:
    r = fp.response(book.with_stops([95.0, np.nan, np.nan, np.nan]), MARKET)
    figure = Figure()
    plot.response(r, figure.subplots(), shocks=np.linspace(-0.2, 0.2, 41))
    upper, lower = figure.axes
    assert lower.get_ylabel() == "liquidated or stopped (USD)"
    assert upper.lines[0].get_label() == "longs liquidated or stopped"
    falls = lower.collections[0].get_paths()[0].vertices
    assert falls[:, 1].max() == pytest.approx(10 * 95 + 10 * 90)


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
    ax = plot.levels(fp.Book([], [], []), 100.0, Figure().subplots(), bins=[50, 90, 200])
    assert ax.get_xlim() == (50, 200)
    assert ax.get_ylabel() == "notional per bin (USD)"
    ax = plot.levels(fp.Book([], [], []), 100.0, Figure().subplots(), bins=100 * 1.02 ** np.arange(-9, 10))
    assert ax.get_ylabel() == "notional per bin of 2% (USD)"
    ax = plot.levels(fp.Book([], [], []), 1e-5, Figure().subplots(), bins=1e-5 * 1.02 ** np.arange(-9, 10))
    assert ax.get_ylabel() == "notional per bin of 2% (USD)"


def test_levels_show_a_band_on_each_sides_own_side(book: fp.Book) -> None:
    class Drawn:
        def heatmap(self, edges: np.ndarray, quantiles: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
            assert quantiles == (0.05, 0.95)
            both = np.arange(2.0 * (len(edges) - 1)).reshape(2, -1)
            return both, both + 100

    edges = np.array([80.0, 90, 100, 110, 120])
    ax = plot.levels(book, 100.0, Figure().subplots(), bins=edges, drawn=Drawn())
    longs, shorts = (patch.get_data() for patch in ax.patches[2:])
    np.testing.assert_array_equal(longs.baseline, [0, 1, np.nan, np.nan])
    np.testing.assert_array_equal(longs.values, [4, 5, np.nan, np.nan])
    np.testing.assert_array_equal(shorts.baseline, [np.nan, np.nan, 102, 103])
    np.testing.assert_array_equal(shorts.values, [np.nan, np.nan, 106, 107])
    assert "5% to 95% of the books drawn" in [text.get_text() for text in ax.get_legend().get_texts()]


HOURS = np.arange(60)
CLOSE = 100 * np.exp(-0.002 * HOURS)
HISTORY = {
    "time": np.datetime64("2026-02-05T00", "ms") + HOURS * np.timedelta64(1, "h"),
    "open": CLOSE,
    "high": CLOSE * 1.001,
    "low": CLOSE * 0.999,
    "close": CLOSE,
    "open_interest": np.full(60, 1e9),
}


def test_levels_over_time_are_those_of_the_books_then() -> None:
    over = levels.over_time(HISTORY, maintenance_rate=0.01, period=3_600)
    assert over.long_notional.shape == over.short_notional.shape == (54, over.edges.size - 1)
    assert over.time[-1] == HISTORY["time"][-1] + np.timedelta64(1, "h")
    np.testing.assert_array_equal(over.time[:-1], HISTORY["time"][6:])
    np.testing.assert_array_equal(over.price, CLOSE[6:])
    for column in range(54):
        known = {name: values[: column + 7] for name, values in HISTORY.items()}
        book = fp.Book.from_open_interest(known, maintenance_rate=0.01)
        for mine, expected in zip((over.long_notional, over.short_notional), book.heatmap(over.edges), strict=True):
            np.testing.assert_allclose(mine[column], expected, rtol=1e-9, atol=1e-9 * expected.max())


def test_levels_over_time_of_some_rows() -> None:
    over = levels.over_time(HISTORY, maintenance_rate=0.01, period=3_600, columns=4)
    every = levels.over_time(HISTORY, maintenance_rate=0.01, period=3_600)
    shown = [0, 17, 35, 53]
    np.testing.assert_array_equal(over.price, every.price[shown])
    np.testing.assert_array_equal(over.time, [*every.time[shown], every.time[-1]])
    np.testing.assert_array_equal(over.long_notional, every.long_notional[shown])


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_levels_over_time_of_a_short_history(rows: int) -> None:
    for names in (set(HISTORY), set(HISTORY) - {"time"}):
        over = levels.over_time({name: HISTORY[name][:rows] for name in names}, maintenance_rate=0.01, period=3_600)
        assert (np.diff(over.time) > np.timedelta64(0, "ns") if "time" in names else np.diff(over.time) > 0).all()
        ax = plot.levels_over_time(over, Figure().subplots())
        ax.figure.canvas.draw()


def test_the_picture_of_levels_over_time() -> None:
    over = levels.over_time(HISTORY, maintenance_rate=0.01, period=3_600)
    figure = Figure()
    ax = plot.levels_over_time(over, figure.subplots())
    longs, shorts = ax.collections
    unit = 1e6
    np.testing.assert_allclose(np.ma.filled(longs.get_array(), 0.0), over.long_notional.T / unit)
    np.testing.assert_allclose(np.ma.filled(shorts.get_array(), 0.0), over.short_notional.T / unit)
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), over.price)
    assert ax.get_ylabel() == "liquidation price (USD)"
    assert ax.get_xlabel() == "time (UTC)"
    labels = [each.get_ylabel() for each in figure.axes[1:]]
    assert "notional per bin of 0.5% (M USD)\nshorts orange, longs blue" in labels
    timeless = levels.over_time({k: v for k, v in HISTORY.items() if k != "time"}, maintenance_rate=0.01, period=900)
    assert timeless.time[-1] == 15
    assert plot.levels_over_time(timeless, Figure().subplots()).get_xlabel() == "time since the first row (hours)"


def test_fragility_shows_reproduction_numbers_one_and_the_light(book: fp.Book) -> None:
    f = fp.fragility(book, MARKET, daily_volatility=0.05)
    ax = plot.fragility(f, Figure().subplots(), currency="EUR")
    assert ax.get_xlabel() == "price (EUR)"
    assert ax.get_ylabel() == "reproduction number over 1%"
    longs, shorts, one = ax.lines[:3]
    both = np.concatenate([longs.get_xydata(), shorts.get_xydata()])
    np.testing.assert_array_equal(both, np.column_stack([f.prices, f.reproduction_number]))
    assert set(one.get_ydata()) == {1.0}
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert "ordinary fall, -9.52%: red" in texts
    assert texts.count("tipping point") == 1
    assert ax.lines[-1].get_xdata()[0] == pytest.approx(92.0)


def test_fragility_where_depth_is_used_up() -> None:
    market = fp.Market(100.0, fp.EvaporatingImpact(0.05, 2.0))
    ax = plot.fragility(fp.fragility(fp.Book(1, [3.0, 9.0], [97.0, 96.0]), market), Figure().subplots())
    ax.figure.canvas.draw()
    assert np.isfinite(ax.get_ylim()).all()


def test_the_tipping_surface_shows_its_cells_and_its_frontier(book: fp.Book) -> None:
    s = fp.tipping_surface(book, MARKET, [-0.02, -0.05, -0.1], [0.5, 1.0, 2.0, 4.0])
    figure = Figure()
    ax = plot.tipping_surface(s, figure.subplots())
    (cells,) = ax.collections
    np.testing.assert_array_equal(cells.get_array(), s.amplification)
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), np.column_stack([100 * s.tipping_shock, s.liquidity]))
    assert ax.get_xlabel() == "shock (%)"
    assert ax.get_ylabel() == "liquidity, as a factor on the depth"
    assert ax.get_xlim() == pytest.approx((-12.5, -0.5))
    assert ax.get_ylim() == pytest.approx((0.5 / 2**0.5, 4 * 2**0.5))
    assert [each.get_ylabel() for each in figure.axes[1:]] == ["amplification"]
    assert ax.get_legend().get_texts()[0].get_text() == "smallest shock that tips, by 1% or more"


def test_the_tipping_surface_of_what_is_liquidated(book: fp.Book) -> None:
    s = fp.tipping_surface(book, MARKET, [0.2], [1.0], width=0.0)
    figure = Figure()
    ax = plot.tipping_surface(s, figure.subplots(), show="liquidated_notional")
    figure.canvas.draw()
    assert ax.collections[0].get_array().ravel() == s.liquidated_notional.ravel()
    assert [each.get_ylabel() for each in figure.axes[1:]] == ["liquidated (USD)"]
    with pytest.raises(ValueError, match="show must be one of 'amplification', 'liquidated_notional', was 'price'"):
        plot.tipping_surface(s, show="price")
    used_up = fp.tipping_surface(book, fp.Market(100.0, fp.EvaporatingImpact(1.0, 1.0)), [-0.2, -0.1], [0.5, 1.0])
    plot.tipping_surface(used_up, Figure().subplots()).figure.canvas.draw()


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
