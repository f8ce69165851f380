"""Draws of the hidden book's parameters: what repeats, what is recovered, and the bands they make."""

import csv
import gzip
import importlib
import pickle
import re
import sys
from pathlib import Path

import numpy as np
import pytest

import flushpoint as fp
from test_hidden import walk

COLUMNS = ("exponent", "turnover", "activity")
EDGES = np.concatenate([np.linspace(60, 100, 9), np.linspace(105, 160, 8)])


def test_published_draws_repeat_by_seed():
    one, same, other = (fp.LeveragePosterior.published(50, seed) for seed in (3, np.random.SeedSequence(3), 4))
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(one, name), getattr(same, name))
        assert (getattr(one, name) != getattr(other, name)).all()
    fresh = [fp.LeveragePosterior.published(5).exponent for _ in range(2)]
    assert (fresh[0] != fresh[1]).all()


def test_published_draws_hold_the_shipped_numbers():
    many = fp.LeveragePosterior.published(40_000, seed=0)
    found = np.array([many.exponent, np.log(many.turnover), many.activity])
    from flushpoint.posterior import _CORRELATION, _DEVIATION, _MEAN

    np.testing.assert_allclose(found.mean(axis=1), _MEAN, atol=0.02 * _DEVIATION.max())
    np.testing.assert_allclose(found.std(axis=1), _DEVIATION, rtol=0.02)
    np.testing.assert_allclose(np.corrcoef(found), _CORRELATION, atol=0.02)


def test_the_defaults_are_plausible():
    """What `predict_liquidations` takes without being told lies within two deviations of the published draws."""
    from flushpoint.posterior import _DEVIATION, _MEAN

    assert (np.abs((np.array([1.3, np.log(0.04), 1.25]) - _MEAN) / _DEVIATION) < 2).all()


@pytest.mark.parametrize("truth", [(0.9, 0.09, 0.7), (1.6, 0.03, 1.6)])
def test_fit_finds_known_parameters(truth):
    history = walk(240, volatility=0.012)
    known = next(iter(fp.LeveragePosterior(*([x] for x in truth))))
    forecast = fp.predict_liquidations(history, **known, period=14_400)
    rng = np.random.default_rng(5)
    # A feed that reports a third, with noise.
    measured = [values / 3 * np.exp(0.3 * rng.standard_normal(240)) for values in forecast.values()]
    fitted = fp.LeveragePosterior.fit(history, *measured, warm_up=60, candidates=64, seed=1, period=14_400)
    assert len(fitted) == 256
    for name, value in zip(COLUMNS, truth, strict=True):
        draws = getattr(fitted, name)
        assert abs(draws.mean() - value) < 2.5 * draws.std(), name
    # and it knows more than before
    assert fitted.exponent.std() < 0.6 * (2.0 - 0.6) / 12**0.5
    assert fitted.activity.std() < 0.6 * (2.5 - 0.25) / 12**0.5


@pytest.mark.parametrize("width", [0.3, 0.05])
def test_draws_by_importance_recover_a_normal_law(width):
    from flushpoint.posterior import _draw

    middle, deviation = np.array([1.2, -3.0, 1.5]), width * np.array([0.7, 1.6, 1.1])
    correlation = np.array([[1, 0.8, 0], [0.8, 1, -0.4], [0, -0.4, 1]])
    precision = np.linalg.inv(correlation * np.outer(deviation, deviation))

    def log_likelihood(points):
        return -0.5 * np.einsum("ij,jk,ik->i", points - middle, precision, points - middle) - 700

    points = _draw(log_likelihood, 4_000, 20_000, np.random.default_rng(0))
    np.testing.assert_allclose(points.mean(axis=0), middle, atol=0.15 * deviation.max())
    np.testing.assert_allclose(points.std(axis=0), deviation, rtol=0.15)
    np.testing.assert_allclose(np.corrcoef(points.T), correlation, atol=0.12)


def test_fit_repeats_by_seed_and_ignores_the_scale():
    history = walk(80, volatility=0.01)
    measured = list(fp.predict_liquidations(history).values())
    arguments = {"warm_up": 30, "candidates": 64, "draws": 20, "seed": 2}
    one = fp.LeveragePosterior.fit(history, *measured, **arguments)
    same = fp.LeveragePosterior.fit(history, *measured, **arguments)
    scaled = fp.LeveragePosterior.fit(history, measured[0] * 4, measured[1] / 4, **arguments)
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(one, name), getattr(same, name))
        np.testing.assert_allclose(getattr(one, name), getattr(scaled, name))


def test_one_draw_is_its_book():
    history = walk(100)
    posterior = fp.LeveragePosterior([1.1], [0.03], [1.5])
    books = fp.sample_hidden_books(history, posterior, draws=1, maintenance_rate=0.004, period=7_200)
    book = fp.Book.from_open_interest(
        history,
        fp.LeverageMix.power_law(1.1),
        turnover=0.03,
        activity=1.5,
        maintenance_rate=0.004,
        period=7_200,
    )
    np.testing.assert_array_equal(books[0].trigger_price, book.trigger_price)
    for banded, own in zip(books.heatmap(EDGES, [0.0, 0.3, 1.0]), book.heatmap(EDGES), strict=True):
        assert banded.shape == (3, EDGES.size - 1)
        np.testing.assert_array_equal(banded, np.tile(own, (3, 1)))


def test_bands_are_ordered_around_the_default():
    history = walk(500)
    books = fp.sample_hidden_books(history, draws=16, seed=1)
    own = fp.Book.from_open_interest(history).heatmap(EDGES)
    for (low, middle, high), default in zip(books.heatmap(EDGES, [0, 0.5, 1]), own, strict=True):
        assert (low <= middle).all()
        assert (middle <= high).all()
        large = default > 0.05 * default.sum()
        assert (low < high)[large].all()
        ratio = middle[large] / default[large]
        assert ((ratio > 1 / 1.5) & (ratio < 1.5)).all()
        assert middle.sum() == pytest.approx(default.sum(), rel=0.15)


def test_books_are_a_sequence_that_repeats():
    history = walk(50)
    books = fp.sample_hidden_books(history, draws=4)
    again = fp.sample_hidden_books(history, draws=4, seed=books.seed)
    assert len(books) == len(books.posterior) == len(list(books)) == 4
    for a, b in zip(books, again, strict=True):
        np.testing.assert_array_equal(a.quantity, b.quantity)
    assert books[1:3] == (books[1], books[2])
    assert str(books.seed) in repr(books)
    child = np.random.SeedSequence(7).spawn(2)[1]
    assert fp.sample_hidden_books(history, draws=1, seed=child).seed is child


def test_draws_are_taken_once_where_they_suffice():
    posterior = fp.LeveragePosterior.published(6, seed=1)
    history = walk(5)
    books = fp.sample_hidden_books(history, posterior, draws=6, seed=1)
    assert sorted(books.posterior.exponent) == sorted(posterior.exponent)
    more = fp.sample_hidden_books(history, posterior, draws=9, seed=1)
    assert set(more.posterior.exponent) <= set(posterior.exponent)


def test_a_posterior_is_frozen_and_pickles():
    posterior = fp.LeveragePosterior.published(4, seed=1)
    again = pickle.loads(pickle.dumps(posterior))
    np.testing.assert_array_equal(again.turnover, posterior.turnover)
    with pytest.raises(ValueError, match="read-only"):
        again.turnover[0] = 1
    assert "4 draws" in repr(posterior)


def fit(**change):
    arguments = {"history": walk(60), "long_notional": np.ones(60), "short_notional": np.ones(60), "warm_up": 10}
    return fp.LeveragePosterior.fit(**{**arguments, **change})


def sample(**change):
    return fp.sample_hidden_books(**{"history": walk(3), **change})


def draws(**change):
    return fp.LeveragePosterior(**{"exponent": [1, 2], "turnover": [1, 1], "activity": [1, 1], **change})


BAD = [
    (draws, {"exponent": [1, 0]}, ValueError, "exponent must be positive, was 0.0 at index 1"),
    (draws, {"turnover": [1]}, ValueError, "turnover must have the length of exponent, 2, was 1"),
    (draws, {"activity": [1, -1]}, ValueError, "activity must be at least 0, was -1.0 at index 1"),
    (draws, {"activity": [1, np.nan]}, ValueError, "activity must be finite, was nan at index 1"),
    (draws, {"exponent": []}, ValueError, "exponent must have one dimension and at least one draw"),
    (fp.LeveragePosterior.published, {"draws": 0}, ValueError, "draws must be at least 1, was 0"),
    (fp.LeveragePosterior.published, {"draws": 2.5}, TypeError, "draws must be an integer, was 2.5"),
    (fp.LeveragePosterior.published, {"seed": -1}, ValueError, "seed must be at least 0, was -1"),
    (fp.LeveragePosterior.published, {"seed": "a"}, TypeError, "seed must be an integer, was 'a'"),
    (fit, {"long_notional": np.ones(59)}, ValueError, r"long_notional must have one value a row, 60, was of shape"),
    (fit, {"short_notional": -np.ones(60)}, ValueError, "short_notional must be at least 0, was -1.0 at index 0"),
    (fit, {"short_notional": np.zeros(60)}, ValueError, "short_notional must not be 0 in every row after warm_up"),
    (fit, {"warm_up": 20}, ValueError, "warm_up must leave at least two days of rows, was 20 of 60 rows"),
    (fit, {"warm_up": -1}, ValueError, "warm_up must be at least 0, was -1"),
    (fit, {"candidates": 10}, ValueError, "candidates must be at least 64, was 10"),
    (fit, {"draws": 0}, ValueError, "draws must be at least 1, was 0"),
    (fit, {"history": {}}, ValueError, "history must have a column 'open', was without"),
    (sample, {"posterior": 3}, TypeError, "posterior must be a LeveragePosterior, was int"),
    (sample, {"draws": True}, TypeError, "draws must be an integer, was True"),
    (sample, {"maintenance_rate": 1}, ValueError, "maintenance_rate must be below 1, was 1"),
    (sample(draws=1).heatmap, {"edges": EDGES, "quantiles": [2]}, ValueError, "quantiles must be from 0 to 1, was 2"),
    (sample(draws=1).heatmap, {"edges": [1.0]}, ValueError, "edges must hold at least two prices"),
]


@pytest.mark.parametrize(("call", "change", "kind", "message"), BAD)
def test_bad_input(call, change, kind, message):
    with pytest.raises(kind, match="^" + message):
        call(**change)


# --- the page that measures it --------------------------------------------------------------------------------------

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "hidden_book.md"


@pytest.fixture
def command(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "validation"))
    for name in ("hidden_book", "page"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return importlib.import_module("hidden_book")


def write_table(path, columns):
    with gzip.open(path, "wt", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


def test_the_command_measures_what_it_is_given_and_leaves_the_prose(command, tmp_path):
    rows, rng = 150, np.random.default_rng(1)
    history = walk(rows, volatility=0.01)
    forecast = fp.predict_liquidations(history)
    hours = np.datetime64("2026-02-01T00") + np.arange(rows)
    columns = {"datetime_utc": [f"{hour}:00:00.000Z" for hour in hours]}
    columns |= {f"price_{name}": history[name] for name in ("open", "high", "low", "close")}
    columns |= {"oi_close": history["open_interest"]}
    columns |= {f"liquidation_{side}_usd": forecast[f"{side}_notional"] / 2 for side in ("long", "short")}
    write_table(tmp_path / "bitcoin.csv.gz", columns)
    price = 700 * np.exp(np.cumsum(0.002 * rng.standard_normal(60 * 60)))
    coins = rng.exponential(size=(2, price.size))
    columns = {"ask": price + 0.1, "bid": price - 0.1, "liq_long_eth": coins[0], "liq_short_eth": coins[1]}
    write_table(tmp_path / "ether.csv.gz", columns)
    page = tmp_path / "page.md"
    page.write_text(PAGE.read_text())

    paths = ["--data", f"{tmp_path}/bitcoin.csv.gz", "--ether", f"{tmp_path}/ether.csv.gz", "--output", str(page)]
    command.main([*paths, "--warm-up", "40", "--candidates", "64", "--draws", "4"])
    text = page.read_text()
    assert "| **predicted, defaults** | 1.000 | 1.000 | 1.000 | 1.000 | 1.000 |" in text
    assert text.count("| 2.00 |") >= 2  # twice what was measured, in total
    assert "110 are compared" in text

    def prose(of):
        return re.sub(r"(<!-- [\w-]+: written by .*? -->\n).*?(<!-- end of )", r"\1\2", of, flags=re.DOTALL)

    assert prose(text) == prose(PAGE.read_text())


def test_the_page_is_written_and_its_example_runs():
    text = PAGE.read_text()
    blocks = re.findall(
        r"<!-- ([\w-]+): written by validation/hidden_book.py -->\n(.*?)<!-- end of \1 -->", text, re.DOTALL
    )
    assert len(blocks) == 9
    assert all(body.strip() for _, body in blocks)
    (example,) = re.findall(r"```py\n(.*?)```", text, re.DOTALL)
    names = {"fp": fp, "np": np, "history": walk(30), "edges": EDGES}
    exec(compile(example, PAGE.name, "exec"), names)
    assert (names["low"] <= names["high"]).all()
