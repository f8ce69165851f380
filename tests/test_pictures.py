"""The pictures of cascades, paths, losses, contagion and policies show what the results hold, with units."""

import numpy as np
import pytest

import flushpoint as fp
from flushpoint import plot

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
from matplotlib.axes import Axes  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

IMPACTS = {
    "linear": fp.LinearImpact(2e-4),
    "power": fp.PowerImpact(4e-3, 0.6),
    "square root": fp.SquareRootImpact(0.05, 2e3, core=10.0),
    "depth": fp.DepthImpact([0.01, 0.05, 0.2], [30.0, 400.0, 1_000.0], [40.0, 200.0, 2_000.0]),
    "evaporating": fp.EvaporatingImpact(1e-4, 3.0),
}
MARKET = fp.Market(100.0, fp.LinearImpact(0.003), half_life=1_800)


def empty() -> Axes:
    return Figure(layout="constrained").subplots()


def drawn(ax: Axes) -> Axes:
    ax.figure.canvas.draw()
    return ax


def labels(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.get_legend().get_texts()]


@pytest.fixture
def book() -> fp.Book:
    """Longs from 99 down to 70 and shorts from 101 up to 130, bankrupt 1 % further on."""
    trigger = np.concatenate([np.linspace(99, 70, 60), np.linspace(101, 130, 60)])
    side = np.repeat([1, -1], 60)
    return fp.Book(side, 2.0, trigger, trigger * (1 - 0.01 * side), entry_price=100.0)


def meeting(supply: np.ndarray, depth: np.ndarray) -> float:
    """First price outward at which the depth takes what is triggered by then, looked up in the lines as drawn."""
    away, taken = np.abs(np.log(depth[:, 0] / depth[0, 0])), depth[:, 1]
    steps, triggered = np.abs(np.log(supply[:, 0] / supply[0, 0])), supply[:, 1]
    fine = np.union1d(np.interp(np.linspace(0, 1, 20_001), np.linspace(0, 1, away.size), away), steps)
    standing = triggered[np.searchsorted(steps, fine, side="right") - 1]
    first = fine[np.argmax(np.interp(fine, away, taken) >= standing)]
    return float(depth[0, 0] * np.exp(np.sign(depth[-1, 0] - depth[0, 0]) * first))


@pytest.mark.parametrize(
    ("name", "mark_weight"), [*((name, 1.0) for name in IMPACTS), ("square root", 0.6), ("linear", 0.0)]
)
@pytest.mark.parametrize(("shock", "sell"), [(-0.05, 0.0), (-0.12, 15.0), (0.0, 250.0), (0.08, 0.0), (0.02, -40.0)])
def test_a_cascade_ends_where_supply_meets_depth(name: str, mark_weight: float, shock: float, sell: float) -> None:
    random = np.random.default_rng(3)
    side = np.repeat([1, -1], 80)
    trigger = 100 * np.exp(-side * random.uniform(0.01, 0.4, 160))
    some = fp.Book(side, random.lognormal(0.5, 1.0, 160), trigger)
    market = fp.Market(100.0, IMPACTS[name], permanent=1e-5, mark_weight=mark_weight)
    c = fp.cascade(some, market, shock, sell)
    ax = plot.supply_and_depth(some, market, empty(), shock=shock, sell=sell)
    supply, depth, start, final = (line.get_xydata() for line in ax.lines)
    assert start[0, 0] == 100 * (1 + shock)
    np.testing.assert_allclose(final, [[c.final_price, c.liquidated_quantity * 100]])
    assert meeting(supply, depth) == pytest.approx(c.final_price, rel=5e-5)
    assert c.liquidated_count or (shock == 0 and mark_weight < 1)


def test_supply_is_what_the_mark_has_reached(book: fp.Book) -> None:
    market = fp.Market(100.0, fp.LinearImpact(0.003), mark_weight=0.5)
    ax = plot.supply_and_depth(book, market, empty(), shock=-0.1)
    fired = ax.lines[0].get_xydata()
    for price, supply in fired[fired[:, 0] < 90 * (1 - 1e-9)]:
        mark = 90 * np.sqrt(price / 90)
        assert supply == pytest.approx(100 * 2.0 * np.count_nonzero(book.long.trigger_price >= mark * (1 - 1e-9)))
    for price, taken in ax.lines[1].get_xydata():
        assert price == pytest.approx(90 * np.exp(-0.003 * taken / 100))


def test_supply_and_depth_of_both_sides_at_rest(book: fp.Book) -> None:
    stops = np.where(book.side > 0, 95.0, np.nan)
    ax = drawn(plot.supply_and_depth(book.with_stops(stops), MARKET, empty()))
    assert labels(ax) == ["forced sales and stops", "forced purchases and stops", "depth", "start 100"]
    assert ax.get_xlabel() == "price (USD)"
    assert ax.get_ylabel() == "quantity, at 100 USD each (USD)"
    low, high = ax.dataLim.intervalx
    assert low == pytest.approx(100 * np.exp(-0.1))
    assert high == pytest.approx(100 * np.exp(0.1))


@pytest.mark.parametrize("impact", [fp.LinearImpact(0.0), fp.LinearImpact(0.01), fp.EvaporatingImpact(1e-3, 20.0)])
@pytest.mark.parametrize("sell", [0.0, 40.0, 1e6])
def test_supply_and_depth_at_the_limits(book: fp.Book, impact: fp.Impact, sell: float) -> None:
    for some in (book, fp.Book([], [], [])):
        drawn(plot.supply_and_depth(some, fp.Market(100.0, impact), empty(), sell=sell))


def test_supply_and_depth_refuses_what_it_cannot_show(book: fp.Book) -> None:
    with pytest.raises(ValueError, match=r"sell must push the price where shock does, was -1.0 with a shock of -0.1"):
        plot.supply_and_depth(book, MARKET, empty(), shock=-0.1, sell=-1.0)
    with pytest.raises(ValueError, match="book must hold no position that is already crossed"):
        plot.supply_and_depth(fp.Book(1, [1.0], [101.0]), MARKET, empty())
    with pytest.raises(ValueError, match="market must be without support, whose purchases depend on waves"):
        plot.supply_and_depth(book, fp.Market(100.0, MARKET.impact, support=fp.Support(90.0, 1.0)), empty())
    with pytest.raises(ValueError, match="shock must be above -1, was -1"):
        plot.supply_and_depth(book, MARKET, empty(), shock=-1.0)


def test_waves_show_prices_and_notional(book: fp.Book) -> None:
    c = fp.cascade(book, MARKET, shock=-0.08)
    figure = Figure()
    ax = plot.waves(c, figure.subplots())
    upper, lower = figure.axes
    assert ax is upper
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), [*c.waves["price"], c.final_price])
    np.testing.assert_array_equal([bar.get_height() for bar in lower.patches], c.waves["notional"])
    assert (lower.get_xlabel(), lower.get_ylabel()) == ("wave", "liquidated (USD)")
    assert ax.get_ylabel() == "price (USD)"
    stopped = fp.cascade(book.with_stops(98.0), MARKET, shock=-0.08)
    assert plot.waves(stopped, empty()).figure.axes[1].get_ylabel() == "liquidated or stopped (USD)"


def test_no_waves(book: fp.Book) -> None:
    ax = drawn(plot.waves(fp.cascade(book, MARKET), empty()))
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), [100.0])
    assert not ax.figure.axes[1].patches


@pytest.fixture
def e(book: fp.Book) -> fp.SimulationResult:
    return fp.simulate(book, MARKET, fp.GBM(0.2), paths=range(10, 310), steps=300, seed=1, record=30)


def test_a_path_shows_prices_and_what_is_closed_in_time(e: fp.SimulationResult) -> None:
    p = e.replay(10 + int(e.low_price.argmin()))
    ax = drawn(plot.path(p, empty(), currency="EUR"))
    below = ax.figure.axes[1]
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), np.column_stack([p.time / 3_600, p.price]))
    np.testing.assert_array_equal(ax.lines[1].get_ydata(), p.waves["price"])
    values, edges, _ = below.patches[0].get_data()
    expected = np.histogram((p.waves["step"] - 0.5) * 288.0, 3_600 * edges, weights=p.waves["notional"])[0]
    np.testing.assert_allclose(values, expected)
    assert values.sum() == pytest.approx(p.waves["notional"].sum())
    assert values.size == 100
    assert below.get_xlabel() == "time (hours)"
    assert below.get_ylabel() == "liquidated\nin 14.4 minutes\n(EUR)"


def test_a_path_on_which_nothing_happens() -> None:
    still = fp.simulate(fp.Book([], [], []), MARKET, fp.GBM(0.1), horizon=90, steps=7, paths=1, seed=1).replay(0)
    ax = drawn(plot.path(still, empty()))
    assert labels(ax) == ["price"]
    assert ax.figure.axes[1].get_xlabel() == "time (seconds)"


def test_a_fan_shows_quantiles_and_paths(e: fp.SimulationResult) -> None:
    ax = drawn(plot.fan(e, empty(), quantiles=[0.95, 0.5, 0.05, 0.4], lines=3))
    prices = e.fan([0.05, 0.4, 0.5, 0.95])
    hours = e.recorded_time / 3_600
    for k, band in enumerate(ax.collections):
        edge = band.get_paths()[0].vertices
        for price in (prices[k], prices[-1 - k]):
            assert {*zip(hours, price, strict=True)} <= {*map(tuple, edge)}
    for line, price in zip(ax.lines, e.prices[:3], strict=False):
        np.testing.assert_array_equal(line.get_ydata(), price)
    assert labels(ax) == ["5 % to 95 % of paths", "40 % to 50 % of paths", "single paths", "start 100"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("time (hours)", "price (USD)")
    ax = plot.fan(e, empty())
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), e.fan([0.5])[0])
    assert labels(ax)[2] == "median"
    assert labels(plot.fan(e, empty(), quantiles=0.1))[0] == "10 % of paths are lower"


def test_a_fan_leaves_out_prices_without_bound() -> None:
    short = fp.Book(-1, [2.0], [150.0])
    returns = np.concatenate([np.full((3, 4), 0.2), np.zeros((2, 4))])
    market = fp.Market(100.0, fp.EvaporatingImpact(1.0, 1.0))
    used_up = fp.simulate(short, market, fp.Returns(returns), steps=4, paths=5, record="all")
    assert np.isinf(used_up.prices[:3, -1]).all()
    last = used_up.fan([0.0, 0.25, 0.3, 0.5, 1.0])[:, -1]
    assert last.round(9).tolist() == [100.0, 100.0, np.inf, np.inf, np.inf]
    ax = drawn(plot.fan(used_up, empty(), lines=2))
    assert np.isnan(ax.lines[0].get_ydata()[-1])
    assert ax.get_ylim()[1] < 1e3


def test_a_fan_refuses_what_it_cannot_show(e: fp.SimulationResult, book: fp.Book) -> None:
    with pytest.raises(ValueError, match="record must be given for prices in time, was None"):
        plot.fan(fp.simulate(book, MARKET, fp.GBM(1.0), paths=2, steps=2, seed=1), empty())
    with pytest.raises(ValueError, match=r"quantiles must be between 0 and 1, was 1.5 at index 1"):
        plot.fan(e, empty(), quantiles=[0.5, 1.5])
    with pytest.raises(ValueError, match="quantiles must hold at least one, was empty"):
        plot.fan(e, empty(), quantiles=[])
    with pytest.raises(ValueError, match="lines must be at most 300, was 301"):
        plot.fan(e, empty(), lines=301)


def test_losses_show_the_exceedance_and_the_risk(e: fp.SimulationResult) -> None:
    ax = drawn(plot.losses(e, empty(), level=0.9, confidence=0.9))
    curve = e.exceedance("shortfall", confidence=0.9)
    curve = curve[curve["value"] > 0]
    likely = np.column_stack([curve["value"], curve["probability"]])
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), [[0.0, likely[0, 1]], *likely])
    figures = e.summary(["shortfall"], [0.9], 0.9)["shortfall"]
    for line, band, name in zip(ax.lines[1:], ax.patches, ("value_at_risk", "expected_shortfall"), strict=True):
        value, low, high = figures[name][0.9]
        assert line.get_xdata() == [value, value]
        assert (band.get_x(), band.get_x() + band.get_width()) == pytest.approx((low, high))
        assert f"{name.replace('_', ' ')}, 90 %\n{value:,.3g} [{low:,.3g}, {high:,.3g}] USD" in labels(ax)
    none = np.mean(e.shortfall == 0)
    assert 0 < none < 1
    assert ax.get_title() == f"0 in {100 * none:.4g} % of 300 paths"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("shortfall (USD)", "paths with at least as much")
    assert (ax.get_xscale(), ax.get_yscale()) == ("linear", "log")


def test_losses_of_scenarios_of_few_values_and_of_none(book: fp.Book) -> None:
    s = fp.stress(book, MARKET, shock=[-0.05, -0.06])
    ax = drawn(plot.losses(s, empty(), column="liquidated_quantity"))
    assert ax.get_xlabel() == "liquidated quantity (base units)"
    assert ax.get_ylabel() == "scenarios with at least as much"
    assert ax.get_title() == "0 in 0 % of 2 scenarios"
    assert ax.get_xscale() == "linear"
    ax = drawn(plot.losses(fp.stress(book, MARKET, shock=[0.0, 0.0]), empty()))
    assert ax.get_title() == "0 in 100 % of 2 scenarios"
    calm = fp.stress(book, fp.Market(100.0, fp.LinearImpact(1e-6)), shock=np.linspace(-0.02, -0.2, 50))
    assert drawn(plot.losses(calm, empty(), column="liquidated_notional")).get_xscale() == "log"
    rare = fp.stress(book, MARKET, shock=[-0.2, -0.05, -0.0101, *[0.0] * 97])
    ax = drawn(plot.losses(rare, empty(), level=0.95))
    least = rare.shortfall[2]
    np.testing.assert_allclose(ax.lines[0].get_xydata()[:2], [[least / 2, 0.03], [least, 0.03]])
    assert ax.get_xlim()[0] == pytest.approx(least / 2)
    assert labels(ax)[1].startswith("value at risk, 95 %\n0 [0, ")
    assert drawn(plot.losses(s, empty(), column="proceeds")).get_title() == "0 in 0 % of 2 scenarios"
    bought = fp.stress(book, MARKET, shock=[0.05, 0.06])
    assert drawn(plot.losses(bought, empty(), column="proceeds")).get_title() == "0 or less in 100 % of 2 scenarios"


def test_losses_refuses_what_it_cannot_show(e: fp.SimulationResult) -> None:
    with pytest.raises(
        ValueError, match="column must hold numbers whose high values are the bad ones, was 'low_price'"
    ):
        plot.losses(e, empty(), column="low_price")
    with pytest.raises(
        ValueError, match="column must hold numbers whose high values are the bad ones, was 'exhausted'"
    ):
        plot.losses(e, empty(), column="exhausted")
    with pytest.raises(ValueError, match=r"column must be among .*, was 'loss'"):
        plot.losses(e, empty(), column="loss")
    with pytest.raises(ValueError, match="level must be below 1, was 1"):
        plot.losses(e, empty(), level=1)
    without = fp.stress(fp.Book(1, [1.0], [90.0]), MARKET, shock=[-0.2, 0.0])
    with pytest.raises(ValueError, match="shortfall must be known on every path, was nan on 2 of 2"):
        plot.losses(without, empty())


def test_contagion_shows_the_matrix() -> None:
    markets = fp.Markets({n: fp.Market(100.0, fp.LinearImpact(c)) for n, c in (("A", 0.02), ("B", 0.005))})
    accounts = fp.Accounts([0, 0], ["A", "B"], [1.0, 1.0], [100.0, 100.0], [1.5], fp.MarginSchedule.flat(0.005))
    c = fp.contagion(accounts, markets)
    ax = drawn(plot.contagion(c, empty()))
    np.testing.assert_array_equal(ax.images[0].get_array(), c.branching)
    assert [text.get_text() for text in ax.texts] == ["2.00", "2.00", "0.50", "0.50"]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["A", "B"]
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["A", "B"]
    assert ax.get_title() == f"spectral radius {c.spectral_radius:.3g}"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("market that moves", "market that is moved")
    assert ax.figure.axes[1].get_ylabel() == "log move per log move"


@pytest.mark.parametrize("count", [1, 30])
def test_contagion_of_one_market_and_of_many(count: int) -> None:
    names = [f"market {i}" for i in range(count)]
    cross = np.zeros((count, count))
    cross[0, 1:] = -0.01
    markets = fp.Markets({n: fp.Market(100.0, fp.LinearImpact(0.02)) for n in names}, cross)
    accounts = fp.Accounts(
        [0] * count, names, [1.0] * count, [100.0] * count, [count * 0.75], fp.MarginSchedule.flat(0.005)
    )
    ax = drawn(plot.contagion(fp.contagion(accounts, markets, width=0.2), empty()))
    assert len(ax.texts) == (1 if count == 1 else 0)
    shade = ax.images[0]
    assert min(shade.cmap(shade.norm(0.0))) > 0.99  # white
    drawn(plot.contagion(fp.contagion(accounts, markets, width=1e-6), empty()))


@pytest.fixture(scope="module")
def x() -> fp.Experiment:
    policies = {"at most 20x": fp.Policy(leverage_cap=20), "twice the fund": fp.Policy(fund=2e4)}
    book = fp.Book.from_leverage_mix(1e6, 100.0)
    market = fp.Market(100.0, fp.LinearImpact(1e-5), half_life=3_600)
    return fp.experiment(book, market, fp.GBM(1.0), policies, venue=fp.Venue(fund=1e4), paths=400, steps=24, seed=1)


@pytest.mark.parametrize("level", [None, 0.95])
def test_policies_show_differences_with_their_intervals(x: fp.Experiment, level: float | None) -> None:
    ax = drawn(plot.policies(x, empty(), column="liquidated_notional", level=level))
    figures = [x.comparison(name)["liquidated_notional"] for name in x]
    change = np.array([one["difference"] if level is None else one["expected_shortfall"][level] for one in figures])
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), np.column_stack([change[:, 0], [0, 1]]))
    spans = [[*segment[:, 0]] for segment in ax.collections[0].get_segments()]
    np.testing.assert_array_equal(spans, change[:, 1:])
    assert [text.get_text() for text in ax.texts] == [*x]
    what = "change of mean" if level is None else "change of expected shortfall at 95 % of"
    assert ax.get_xlabel() == f"{what}\nliquidated notional (USD)"
    assert ax.get_title() == "against the baseline, 95 % intervals"


def test_policies_refuses_what_was_not_compared(x: fp.Experiment) -> None:
    with pytest.raises(ValueError, match=r"column must be among low_price, liquidated_notional.*, was 'fees'"):
        plot.policies(x, empty(), column="fees")
    with pytest.raises(ValueError, match=r"level must be among 0.95, 0.99, was 0.5"):
        plot.policies(x, empty(), column="low_price", level=0.5)


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (plot.response, "r must be a Response, was dict"),
        (lambda nothing: plot.levels(nothing, 100.0), "book must be a Book, was dict"),
        (plot.levels_over_time, "levels must be LevelsOverTime, was dict"),
        (lambda nothing: plot.supply_and_depth(nothing, MARKET), "book must be a Book, was dict"),
        (lambda nothing: plot.supply_and_depth(fp.Book([], [], []), nothing), "market must be a Market, was dict"),
        (plot.waves, "c must be a CascadeResult, from a Book, was dict"),
        (plot.path, "p must be a PathResult, was dict"),
        (plot.fan, "e must be a SimulationResult, from a book in one market, was dict"),
        (plot.losses, "e must be a result of many paths or scenarios, was dict"),
        (plot.contagion, "c must be a ContagionResult, was dict"),
        (lambda nothing: plot.policies(nothing, column="shortfall"), "x must be an Experiment, was dict"),
    ],
)
def test_other_arguments_are_refused_by_kind(draw: object, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        draw({})


@pytest.mark.parametrize(
    ("column", "unit"),
    [
        ("shortfall", "EUR"),
        ("fund_end.BTC", "EUR"),
        ("long_quantity", "base units"),
        ("liquidated_count", "positions"),
        ("waves.ETH", "waves"),
        ("accounts_closed", "accounts"),
        ("low_time", "seconds"),
    ],
)
def test_units_of_columns(column: str, unit: str) -> None:
    assert plot._axes.unit_of(column, "EUR") == unit
