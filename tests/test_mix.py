"""Leverage mixes and laws of entry prices, and the book they make."""

import math
import pickle

import numpy as np
import pytest
from scipy import stats

import flushpoint as fp


def test_power_law():
    mix = fp.LeverageMix.power_law(exponent=1.0, lowest=1.0, highest=16.0, classes=5)
    np.testing.assert_allclose(mix.leverage, [1, 2, 4, 8, 16])
    np.testing.assert_allclose(mix.share, np.array([16, 8, 4, 2, 1]) / 31)


@pytest.mark.parametrize("highest", [10.0, 1_000.0])
def test_lognormal_is_the_law_cut_off(highest):
    mix = fp.LeverageMix.lognormal(5.0, 0.7, highest, classes=1_000)
    law = stats.lognorm(0.7, scale=5.0)
    assert mix.leverage[-1] < highest
    for leverage in (2.0, 4.0, 9.0):
        expected = law.cdf(leverage) / law.cdf(highest)
        assert mix.share[mix.leverage <= leverage].sum() == pytest.approx(expected, abs=0.003)


def share_below(mix, leverage):
    """As if open interest were even in logarithm within each class."""
    step = mix.leverage[1] / mix.leverage[0]
    edges = np.concatenate([mix.leverage[:1] / step**0.5, np.sqrt(mix.leverage[1:] * mix.leverage[:-1]), [1e9]])
    return np.interp(np.log(leverage), np.log(edges), np.concatenate([[0], np.cumsum(mix.share)]))


def test_the_published_mixes_meet_their_figures():
    hyperliquid = fp.LeverageMix.published("hyperliquid-2025")
    assert share_below(hyperliquid, [3, 7]) == pytest.approx([2.77 / 7.63, 6.47 / 7.63], abs=0.003)

    bitmex = fp.LeverageMix.published("bitmex-2019")
    assert bitmex.leverage @ bitmex.share == pytest.approx(27, abs=0.5)
    assert share_below(bitmex, 51) == pytest.approx(0.8, abs=0.003)

    binance = fp.LeverageMix.published("binance-2019")
    assert binance.share[binance.leverage >= 20].sum() == pytest.approx(0.6)
    assert binance.leverage[-1] < 125


def test_normal_entries():
    entries = fp.EntryPrices.normal(0.03, classes=1_000)
    assert entries.offset == pytest.approx(stats.norm(0, 0.03).ppf((np.arange(1_000) + 0.5) / 1_000))
    assert entries.share == pytest.approx(np.full(1_000, 1e-3))


def test_a_volume_profile():
    entries = fp.EntryPrices.from_history([90, 100, 100.01, 110, 120], [1, 2, 3, 0, 4], now=100, cell=0.01)
    np.testing.assert_allclose(entries.offset, [-0.11, 0, 0.18])
    np.testing.assert_allclose(entries.share, [0.1, 0.5, 0.4])


def test_a_book_by_hand():
    """One leverage, three entries: of each side the one that was entered worst is already gone."""
    entries = fp.EntryPrices([math.log(0.8), 0.0, math.log(1.25)], [1, 2, 1])
    book = fp.Book.from_leverage_mix((3e6, 6e6), 100.0, fp.LeverageMix([10.0], [1.0]), entries)
    np.testing.assert_allclose(book.side, [1, 1, -1, -1])
    np.testing.assert_allclose(book.entry_price, [80, 100, 100, 125])
    np.testing.assert_allclose(book.quantity, [1e4, 2e4, 4e4, 2e4])
    np.testing.assert_allclose(book.trigger_price, [72 / 0.995, 90 / 0.995, 110 / 1.005, 137.5 / 1.005])
    np.testing.assert_allclose(book.bankruptcy_price, [72, 90, 110, 137.5])


def test_what_is_left_out_has_a_default():
    book = fp.Book.from_leverage_mix(1e9, 60_000.0)
    same = fp.Book.from_leverage_mix(
        (1e9, 1e9),
        60_000.0,
        fp.LeverageMix.power_law(),
        fp.EntryPrices.normal(0.025),
        schedule=fp.MarginSchedule.flat(0.005),
    )
    np.testing.assert_array_equal(book.trigger_price, same.trigger_price)
    np.testing.assert_array_equal(book.quantity, same.quantity)
    assert book.open_interest(60_000.0) == pytest.approx((1e9, 1e9), rel=1e-12)
    assert len(book.alive(60_000.0)) == len(book)
    fp.response(book, fp.Market(60_000.0, fp.LinearImpact(1e-6)))


def test_they_are_frozen_and_pickle():
    for law in (fp.LeverageMix.power_law(), fp.EntryPrices.normal()):
        again = pickle.loads(pickle.dumps(law))
        np.testing.assert_array_equal(again.share, law.share)
        with pytest.raises(ValueError, match="read-only"):
            again.share[0] = 1


def mix(**change):
    return fp.LeverageMix(**{"leverage": [5, 6], "share": [1, 1], **change})


def entries(**change):
    return fp.EntryPrices(**{"offset": [0.0, 0.1], "share": [1, 1], **change})


def profile(**change):
    return fp.EntryPrices.from_history(**{"price": [1.0, 2.0], "volume": [1.0, 1.0], "now": 1.0, **change})


def made(**change):
    return fp.Book.from_leverage_mix(**{"open_interest": 1e6, "price": 100.0, **change})


BAD = [
    (mix, {"leverage": [5, 5]}, r"leverage must be strictly increasing, was 5.0 at index 1"),
    (mix, {"leverage": [0, 5]}, r"leverage must be positive, was 0.0 at index 0"),
    (mix, {"share": [1, 0]}, r"share must be positive, was 0.0 at index 1"),
    (mix, {"share": [1]}, r"share must have the length of leverage, 2, was 1"),
    (mix, {"leverage": []}, r"leverage must have one dimension and at least one entry, was of shape \(0,\)"),
    (entries, {"offset": [0.1, 0.1]}, r"offset must be strictly increasing, was 0.1 at index 1"),
    (entries, {"offset": [0.1, np.nan]}, r"offset must be finite, was nan at index 1"),
    (entries, {"share": [1, -1]}, r"share must be positive, was -1.0 at index 1"),
    (profile, {"price": [1.0, 0.0]}, r"price must be positive, was 0.0 at index 1"),
    (profile, {"volume": [1.0, -1.0]}, r"volume must be at least 0, was -1.0 at index 1"),
    (profile, {"volume": [0, 0]}, r"volume must not be 0 in every row"),
    (profile, {"volume": [1.0]}, r"volume must have the shape of price, \(2,\), was \(1,\)"),
    (profile, {"now": 0}, r"now must be positive, was 0"),
    (profile, {"cell": 0}, r"cell must be positive, was 0"),
    (made, {"price": -1}, r"price must be positive, was -1"),
    (made, {"open_interest": 0}, r"open_interest must be positive, was 0"),
    (made, {"schedule": fp.MarginSchedule([0, 10], [0.01, 0.02])}, r"schedule must have one tier .*, was of 2"),
    (
        made,
        {"leverage_mix": fp.LeverageMix([10.0], [1.0]), "entry_prices": fp.EntryPrices([0.3], [1.0])},
        r"entry_prices must leave a long that is not crossed at price, was without",
    ),
    (fp.LeverageMix.published, {"name": "mtgox-2013"}, r"name must be one of 'hyperliquid-2025', .*, was 'mtgox-2013'"),
    (fp.LeverageMix.lognormal, {"median": 200.0, "sigma": 1}, r"median must be below 125, was 200"),
    (fp.LeverageMix.lognormal, {"median": 5.0, "sigma": 0}, r"sigma must be positive, was 0"),
    (fp.LeverageMix.power_law, {"classes": 1}, r"classes must be at least 2, was 1"),
    (fp.EntryPrices.normal, {"spread": 0}, r"spread must be positive, was 0"),
]


@pytest.mark.parametrize(("make", "change", "message"), BAD)
def test_bad_input(make, change, message):
    with pytest.raises(ValueError, match="^" + message):
        make(**change)


def test_bad_types():
    for name in ("leverage_mix", "entry_prices", "schedule"):
        with pytest.raises(TypeError, match=rf"^{name} must be an? \w+, was tuple"):
            made(**{name: (1, 2)})


def test_equal_by_value_and_short_in_print():
    mix, entries = fp.LeverageMix.power_law(), fp.EntryPrices.normal()
    assert mix == fp.LeverageMix(mix.leverage, mix.share)
    assert mix != fp.LeverageMix.power_law(1.9)
    assert entries == fp.EntryPrices.normal()
    assert entries != mix
    assert repr(mix) == "LeverageMix(<32 leverages from 2 to 125>)"
