"""Reading positions: time against pandas reading the same CSV file and nothing more."""

import numpy as np
import pytest

import flushpoint as fp
from harness import at_most, milliseconds

pandas = pytest.importorskip("pandas")

TIME_GOAL = at_most(3, "x")  # of pandas.read_csv


def write(path, kind, size):
    """A file of positions, and those of BTC that are not crossed at 100, in words or in numbers."""
    rng = np.random.default_rng(1)
    side = rng.choice([1, -1], size)
    away = np.exp(rng.uniform(0.001, 0.5, size))
    table = pandas.DataFrame(
        {
            "coin": rng.choice(["BTC", "ETH", "SOL", "HYPE"], size) if kind == "words" else "BTC",
            "side": np.where(side > 0, "long", "short") if kind == "words" else side,
            "size": rng.lognormal(0, 2, size),
            "entry_px": rng.uniform(80, 125, size),
            "mark_px": 100.0,
            "liq_px": np.where(rng.random(size) < 0.1, np.nan, np.where(side > 0, 100 / away, 100 * away)),
        }
    )
    table.to_csv(path, index=False)
    return table[table["coin"] == "BTC"], side[table["coin"] == "BTC"]


@pytest.mark.parametrize("kind", ["words", "numbers"])
def test_csv(judge, full, kind, tmp_path):
    size = 1_000_000 if full else 20_000
    path = tmp_path / "positions.csv"
    mine, side = write(path, kind, size)
    race = judge.race(
        lambda: fp.io.read_positions(path, coin="BTC", maintenance_rate=0.005), lambda: pandas.read_csv(path), rounds=7
    )

    held = fp.io.read_positions(path, coin="BTC", maintenance_rate=0.005)
    assert held.dropped == {
        "other coin": size - len(mine),
        "zero size": 0,
        "no liquidation price": 0,
        "already crossed": 0,
    }
    never = np.where(side > 0, 0.0, np.inf)
    np.testing.assert_array_equal(held.book.side, side)
    np.testing.assert_array_equal(held.book.quantity, mine["size"])
    np.testing.assert_array_equal(held.book.trigger_price, np.where(mine["liq_px"].isna(), never, mine["liq_px"]))
    judge.report(
        f"{size:,} positions from CSV, sides in {kind}",
        "time as a share of pandas.read_csv's of the same file",
        race.share,
        TIME_GOAL,
        f"{milliseconds(race.ours)} against {milliseconds(race.rival)}",
    )
