"""The command as a user meets it: the report, JSON, pictures, and one line for bad input."""

import itertools
import json
import math
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import flushpoint as fp
from flushpoint import example, report

typer_testing = pytest.importorskip("typer.testing")
pytest.importorskip("rich")
pytest.importorskip("pandas")
pytest.importorskip("matplotlib")

from flushpoint import cli  # noqa: E402
from flushpoint.cli import subject  # noqa: E402

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared" / "data"
POSITIONS = DATA / "positions_hyperliquid_2026-02-04T0934.csv.gz"
HOURLY = DATA / "btc_hourly_price_liquidations_oi_2025-12_2026-02.csv.gz"
DEPTH = DATA / "btc_depth_profile_2025-10-10.csv.gz"

COMMANDS = ("run", "report", "calibrate", "scenarios", "response", "levels", "stress", "bench")

SMALL = (
    "coin,side,size,entry_px,mark_px,liq_px\n"
    "BTC,1,10,100,100,92\nBTC,1,10,100,100,90\nBTC,-1,5,100,100,110\nBTC,-1,5,100,100,\nBTC,1,5,120,100,101\n"
)


def real(path: Path) -> str:
    if not path.exists():
        pytest.skip(f"real data is not here: {path}")
    return str(path)


@pytest.fixture(autouse=True)
def in_a_directory_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def positions(tmp_path: Path) -> str:
    path = tmp_path / "positions.csv"
    path.write_text(SMALL)
    return str(path)


@pytest.fixture
def history(tmp_path: Path) -> str:
    """Two hundred hours of a wave, the fifth without open interest and the seventh missing."""
    hour = np.arange(200)
    close = 100 * np.exp(0.05 * np.sin(hour / 20))
    opening = np.concatenate([[100.0], close[:-1]])
    rows = np.column_stack(
        [
            1_770_000_000 + 3_600 * hour,
            opening,
            np.maximum(opening, close) + 0.1,
            np.minimum(opening, close) - 0.1,
            close,
        ]
    )
    lines = ["timestamp,open,high,low,close,oi", *(",".join(map(repr, row)) + ",2e9" for row in rows.tolist())]
    lines[5] = lines[5].removesuffix("2e9")
    del lines[7]
    path = tmp_path / "history.csv"
    path.write_text("\n".join(lines))
    return str(path)


def invoke(*arguments: str, command: str = "response") -> str:
    """Standard output of a command that succeeds, through typer."""
    result = typer_testing.CliRunner().invoke(cli.app(), [command, *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return str(result.stdout)


def as_json(text: str) -> dict:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


def run_json(*arguments: str) -> dict:
    return as_json(invoke("--json", "--no-pictures", *arguments))


def levels_json(*arguments: str) -> dict:
    return as_json(invoke("--json", "--no-pictures", *arguments, command="levels"))


def process(arguments: Sequence[str], code: str = "from flushpoint.cli import main") -> subprocess.CompletedProcess:
    """The command in a process of its own, its output piped."""
    environment = {**os.environ, "PYTHONWARNINGS": "error", "COLUMNS": "80"}
    return subprocess.run(
        [sys.executable, "-c", f"import sys; {code}; sys.exit(main())", *arguments],
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
    )


# --- the embedded example -------------------------------------------------------------------------------------------


def test_the_example_book_is_what_its_notes_say() -> None:
    book, market = example.book(), example.market()
    assert 20_000 < len(book) < 40_000
    assert book.open_interest(example.PRICE) == pytest.approx((48e9, 48e9), rel=1e-12)
    assert len(book.alive(example.PRICE)) == len(book)
    shares = dict(zip(example.LEVERAGE_MIX.leverage, example.LEVERAGE_MIX.share, strict=True))
    bands = [sum(share for times, share in shares.items() if low < times <= high) for low, high in ((0, 3), (3, 7))]
    assert bands == pytest.approx([0.36, 0.49])
    assert sum(shares.values()) == pytest.approx(1)
    fall = math.log(1 / 0.9)
    number = fp.response(book, market).reproduction_number(example.PRICE, width=fall)
    assert number == pytest.approx(0.2, abs=0.02)
    assert market.impact.displacement(example.USD_PER_PERCENT / example.PRICE) == pytest.approx(0.01)


def test_the_example_has_tipping_points_and_waves() -> None:
    facts = run_json()
    tips = facts["tipping_points"]
    assert [tip["side"] for tip in tips] == [1] * 5 + [-1] * 5
    assert all(a["notional"] >= b["notional"] for a, b in itertools.pairwise(tips[:5]))
    assert all(tip["count"] > 10 and tip["notional"] > 1e8 for tip in tips)
    assert [row["shock"] for row in facts["shocks"]] == list(report.SHOCKS)
    assert max(row["waves"] for row in facts["shocks"]) > 5
    assert all(row["amplification"] > 1 for row in facts["shocks"])


def test_the_tables_hold_what_cascade_and_response_say() -> None:
    facts = run_json("--shock", "-0.12", "--sell", "100")
    book, market = example.book(), example.market()
    c = fp.cascade(book, market, -0.12, 100)
    for name in c:
        assert facts[name] == c[name][0], name
    assert facts["waves"] == [dict(zip(c.waves.dtype.names, wave, strict=True)) for wave in c.waves.tolist()]
    assert (facts["shock"], facts["sell"]) == (-0.12, 100)
    for row in facts["shocks"]:
        c = fp.cascade(book, market, row["shock"])
        assert row["waves"] == len(c.waves)
        assert row["shortfall"] == c.shortfall
    tips = fp.response(book, market).tipping_points
    assert facts["tipping_point_count"] == len(tips)
    assert facts["tipping_points"][0]["notional"] == tips[tips["side"] == 1]["notional"].max()


# --- the text -------------------------------------------------------------------------------------------------------


def test_the_report_fits_eighty_columns_and_is_plain_when_piped() -> None:
    done = process(["response", "--shock", "-0.2"])
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert "\x1b" not in done.stdout
    assert "…" not in done.stdout
    for heading in ("Book", "Impact", "Largest tipping points", "Shocks", "This cascade"):
        assert heading in lines
    for row in ("-2%", "-50%", "+50%"):
        assert any(line.split()[:1] == [row] for line in lines)
    assert "13,800 long positions, open interest 48.00 bn USD" in done.stdout
    assert "2.5 bn USD of forced sales move the price by 1%" in done.stdout


def test_the_report_survives_a_narrow_ascii_terminal() -> None:
    code = "import os; os.environ.update(COLUMNS='30'); from flushpoint.cli import main"
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-c", f"import sys; {code}; sys.exit(main())", "response", "--no-pictures"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert max(map(len, done.stdout.splitlines())) == 80
    assert done.stdout.isascii()


def test_unknown_numbers_are_shown_as_a_dash(positions: str) -> None:
    text = invoke("--positions", positions, "--no-pictures", "--shock", "-0.1")
    assert "Amplification 1.00, shortfall - USD" in text
    assert "None: no liquidation sets off another." in text
    assert "5 rows read, 1 dropped as already crossed at the price." in text
    assert "2 short positions, open interest 1.00 k USD, nearest trigger 110 (+10.000%); 1 (500" in " ".join(
        text.split()
    )


# --- positions, depth, options --------------------------------------------------------------------------------------


def test_a_file_of_positions(positions: str) -> None:
    facts = run_json("--positions", positions, "--shock", "-0.1", "--maintenance-rate", "0.01")
    book = fp.Book([1, 1, -1, -1], [10.0, 10, 5, 5], [92, 90, 110, np.inf], [92 * 0.99, 90 * 0.99, 110 * 1.01, 0])
    volume = subject.DAILY_VOLUME / 100
    impact = fp.SquareRootImpact(subject.DAILY_VOLATILITY, volume, core=subject.LINEAR_BELOW * volume)
    c = fp.cascade(book, fp.Market(100.0, impact), -0.1)
    assert facts["final_price"] == c.final_price
    assert facts["surplus"] == pytest.approx(c.surplus, rel=1e-12)
    assert facts["liquidated_quantity"] == 20
    assert facts["market"]["impact"]["kind"] == "SquareRootImpact"
    assert "Default impact" in facts["impact_notes"][0]
    assert facts["book"]["short"]["never_count"] == 1


def test_unknown_numbers_are_null_in_json(positions: str) -> None:
    facts = run_json("--positions", positions, "--sell", "1")
    assert facts["shortfall"] is None
    assert facts["shocks"][0]["shortfall"] is None


def test_open_interest_scales_each_side(positions: str) -> None:
    facts = run_json("--positions", positions, "--open-interest", "5e9")
    assert facts["book"]["long"]["open_interest"] == pytest.approx(5e9)
    assert facts["book"]["short"]["open_interest"] == pytest.approx(5e9)
    assert "Scaled to an open interest of 5.00 bn USD" in facts["book_notes"][-1]


def test_columns_price_and_volume_options(tmp_path: Path) -> None:
    path = tmp_path / "odd.csv"
    path.write_text("token,dir,qty,open,mark,liq\nBTC,long,1,1,1,90\nETH,short,1,1,1,2\n")
    columns = {"coin": "token", "side": "dir", "size": "qty", "entry": "open", "mark": "mark", "liquidation": "liq"}
    options = [text for name, column in columns.items() for text in (f"--{name}-column", column)]
    facts = run_json(
        "--positions", str(path), "--coin", "BTC", "--price", "100", *options, "--daily-volume", "1e6",
        "--daily-volatility", "0.05",
    )  # fmt: skip
    assert facts["market"]["price"] == 100
    assert facts["market"]["impact"]["parameters"]["daily_volume"] == pytest.approx(1e4)
    assert facts["market"]["impact"]["parameters"]["daily_volatility"] == 0.05
    assert facts["book"]["long"]["nearest_trigger_price"] == 90


def test_a_volume_replaces_the_impact_of_the_example() -> None:
    mild, example_row = run_json("--daily-volume", "60e9")["shocks"][4], run_json()["shocks"][4]
    assert mild["amplification"] < 1.1 < example_row["amplification"]


def test_a_depth_profile(positions: str, tmp_path: Path) -> None:
    depth = tmp_path / "depth.csv"
    depth.write_text("timestamp,percentage,depth\nt,-1,10\nt,-5,20\nt,1,10\nt,5,20\n")
    facts = run_json("--positions", positions, "--depth", str(depth), "--shock", "-0.08")
    assert facts["market"]["impact"]["kind"] == "DepthImpact"
    # 10 sold walk 1 %: from 92 to 91.08; nothing else fires
    assert facts["final_price"] == pytest.approx(92 * 0.99)
    assert "depth.csv" in facts["impact_notes"][0]


def test_real_positions_and_depth_end_to_end(tmp_path: Path) -> None:
    done = process(
        ["response", "--positions", real(POSITIONS), "--coin", "BTC", "--shock", "-0.20", "--depth", real(DEPTH),
         "--open-interest", "5e9", "--maintenance-rate", "0.0125", "--json"]
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    facts = json.loads(done.stdout)
    assert facts["market"]["price"] == 76_094
    assert facts["book"]["count"] == 132
    assert facts["final_price"] < 76_094 * 0.8
    assert facts["shortfall"] > 0
    assert [Path(path).exists() for path in facts["pictures"]] == [True, True]


def test_every_large_coin_of_the_real_file_runs() -> None:
    for coin in ("ETH", "HYPE", "SOL", "FARTCOIN", "PUMP"):
        assert run_json("--positions", real(POSITIONS), "--coin", coin)["book"]["count"] > 30


# --- histories of open interest -------------------------------------------------------------------------------------


def test_run_takes_the_book_inferred_from_a_history(history: str) -> None:
    facts = run_json("--history", history, "--shock", "-0.1", "--maintenance-rate", "0.01")
    h = fp.io.read_history(history)
    book, price = fp.Book.from_open_interest(h, maintenance_rate=0.01), h.close[-1]
    volume = subject.DAILY_VOLUME / price
    impact = fp.SquareRootImpact(subject.DAILY_VOLATILITY, volume, core=subject.LINEAR_BELOW * volume)
    c = fp.cascade(book, fp.Market(price, impact), -0.1)
    assert facts["final_price"] == c.final_price
    assert facts["shortfall"] == c.shortfall
    assert facts["book"]["count"] == len(book)
    assert facts["book"]["long"]["notional"] == pytest.approx(book.long.cumulative_notional[-1])
    source = facts["source"]
    assert source["kind"] == "history"
    assert source["dropped"] == {"no time": 0, "no price": 0, "no open interest": 1}
    assert (source["rows"], source["gaps"], source["missing"]) == (199, 2, 2)
    assert (source["period"], source["maintenance_rate"]) == (3_600, 0.01)
    assert source["time"][0] == "2026-02-02T02:40:00.000"


def test_the_report_says_that_it_is_inferred_and_from_what(history: str) -> None:
    text = " ".join(invoke("--history", history, "--no-pictures").split())
    for words in (
        "Inferred book at 97.5",
        "Inferred, not observed",
        "the open interest of the last row, 2.00 bn USD",
        "history.csv: 198 of 199 rows kept, 3,600 s each, 2026-02-02T02:40:00 to 2026-02-10T09:40:00 UTC; "
        "dropped: 1 no open interest; gaps: 2, missing periods: 2.",
        "leverage of 2x to 125x, 10% of open interest above 10x",
        "maintenance rate of 0.5%",
    ):
        assert words in text


def test_a_history_at_another_price(history: str) -> None:
    facts = run_json("--history", history, "--price", "90")
    book = fp.Book.from_open_interest(fp.io.read_history(history))
    assert facts["market"]["price"] == 90
    assert facts["book"]["count"] == len(book.alive(90)) < len(book)
    assert f"{len(book) - len(book.alive(90)):,} positions dropped as already crossed" in facts["book_notes"][-1]


def test_a_history_in_base_units_with_columns_and_a_period_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "odd.csv"
    path.write_text("first,top,bottom,last,held\n100,101,99,100,5\n100,102,99,101,6\n")
    names = {"open": "first", "high": "top", "low": "bottom", "close": "last", "open_interest": "held"}
    options = [text for what, column in names.items() for text in ("--history-column", f"{what}={column}")]
    facts = run_json("--history", str(path), *options, "--unit", "base", "--period", "900")
    assert facts["source"]["period"] == 900
    assert facts["source"]["time"] is None
    book = fp.Book.from_open_interest(fp.io.read_history(path, names, unit="base", period=900), period=900)
    assert facts["book"]["long"]["open_interest"] == pytest.approx(book.open_interest(101.0)[0])
    assert facts["book"]["long"]["open_interest"] == pytest.approx(606, rel=0.1)


def test_real_history_end_to_end() -> None:
    done = process(["response", "--history", real(HOURLY), "--shock", "-0.20", "--no-pictures"])
    assert (done.returncode, done.stderr) == (0, "")
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "2,078 of 2,078 rows" in done.stdout


# --- levels ---------------------------------------------------------------------------------------------------------


def test_levels_of_positions(positions: str) -> None:
    facts = levels_json("--positions", positions, "--distances", "0.05,0.08,0.1,0.2")
    assert facts["price"] == 100
    np.testing.assert_allclose(facts["edges"], [80, 90, 92, 95, 100, 105, 108, 110, 120])
    assert facts["long_notional"] == [0, 900, 920, 0, 0, 0, 0, 0]  # 92 is crossed by a fall of 8%, 90 by one of 10%
    assert facts["short_notional"] == [0, 0, 0, 0, 0, 0, 550, 0]
    assert facts["long_total"] == [0, 920, 1_820, 1_820]
    assert facts["short_total"] == [0, 0, 550, 550]
    assert facts["book"]["short"]["never_count"] == 1
    assert facts["levels"] == [
        {"side": 1, "price": 92, "shock": pytest.approx(-0.08), "count": 1, "notional": 920, "total": 920},
        {"side": 1, "price": 90, "shock": pytest.approx(-0.1), "count": 1, "notional": 900, "total": 1_820},
        {"side": -1, "price": 110, "shock": pytest.approx(0.1), "count": 1, "notional": 550, "total": 550},
    ]
    assert facts["source"]["dropped"]["already crossed"] == 1


def test_levels_of_a_history_add_up_to_its_book(history: str) -> None:
    facts = levels_json("--history", history)
    h = fp.io.read_history(history)
    book, price = fp.Book.from_open_interest(h), h.close[-1]
    assert facts["price"] == price
    long, short = book.heatmap(facts["edges"])
    np.testing.assert_allclose(facts["long_notional"], long, rtol=1e-9, atol=1)
    np.testing.assert_allclose(facts["short_notional"], short, rtol=1e-9, atol=1)
    np.testing.assert_allclose(facts["long_total"], np.cumsum(long[: len(long) // 2][::-1]), rtol=1e-9, atol=1)
    np.testing.assert_allclose(facts["short_total"], np.cumsum(short[len(short) // 2 :]), rtol=1e-9, atol=1)
    for side, sign in (("long", 1), ("short", -1)):
        mine = [level for level in facts["levels"] if level["side"] == sign]
        assert len(mine) == 5
        assert all(a["total"] < b["total"] for a, b in itertools.pairwise(mine))
        assert mine[-1]["total"] <= facts[f"{side}_total"][-1] * (1 + 1e-12)


def test_the_text_of_levels(positions: str, history: str) -> None:
    text = invoke("--positions", positions, "--no-pictures", command="levels")
    rows = [" ".join(line.split()) for line in text.splitlines()]
    for row in ("-7.5% -10.0% 90 1.82 k 1.82 k 100.0%", "-50.0% beyond 0 1.82 k 100.0%", "92 -8.00% long 920 920 1"):
        assert row in rows
    for arguments in ((), ("--history", history)):
        done = process(["levels", "--no-pictures", *arguments])
        assert (done.returncode, done.stderr) == (0, "")
        assert max(map(len, done.stdout.splitlines())) <= 80
        assert "\x1b" not in done.stdout
        assert "…" not in done.stdout
        for heading in ("Longs: liquidated as the price falls", "Largest levels"):
            assert heading in done.stdout.splitlines()
    assert "positions  " not in done.stdout  # of an inferred book they are cells of a grid


def test_a_side_without_positions(tmp_path: Path) -> None:
    path = tmp_path / "longs.csv"
    path.write_text("side,size,mark_px,liq_px\n1,1,100,20\n")
    text = invoke("--positions", str(path), "--no-pictures", command="levels")
    assert "None can be liquidated." in text
    assert "None within 50% of the price." in text


class Drawn(list):
    """Books to take quantiles of, as `sample_hidden_books` gives."""

    seed = 3

    def heatmap(self, edges: np.ndarray, quantiles: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
        long, short = np.quantile([book.heatmap(edges) for book in self], quantiles, axis=0).swapaxes(0, 1)
        return long, short


def check_bands(facts: dict, draws: int, seed: int) -> None:
    assert facts["quantiles"] == [0.05, 0.5, 0.95]
    assert (facts["source"]["draws"], facts["source"]["seed"]) == (draws, seed)
    for name in ("long", "short"):
        for what, count in (("notional", len(facts["edges"]) - 1), ("total", len(facts["distances"]))):
            low, middle, high = np.array(facts[f"{name}_{what}_quantiles"])
            assert low.size == count
            assert (low <= middle).all()
            assert (middle <= high).all()
            assert (low < high).sum() > 3
    half = len(facts["distances"])
    assert not np.array(facts["long_notional_quantiles"])[:, half:].any()
    assert not np.array(facts["short_notional_quantiles"])[:, :half].any()


def test_bands_of_drawn_books(history: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {}

    def sample(read: fp.io.History, **arguments: object) -> Drawn:
        asked.update(arguments)
        mixes = map(fp.LeverageMix.power_law, (1.1, 1.3, 1.5))
        return Drawn(fp.Book.from_open_interest(read, mix, maintenance_rate=0.01) for mix in mixes)

    monkeypatch.setattr(fp, "sample_hidden_books", sample, raising=False)
    arguments = ("--history", history, "--draws", "3", "--seed", "3", "--maintenance-rate", "0.01")
    facts = levels_json(*arguments)
    assert asked == {"draws": 3, "seed": 3, "maintenance_rate": 0.01, "period": 3_600}
    check_bands(facts, 3, 3)
    books = [fp.Book.from_open_interest(fp.io.read_history(history), fp.LeverageMix.power_law(e), maintenance_rate=0.01)
             for e in (1.1, 1.3, 1.5)]  # fmt: skip
    totals = [book.heatmap([0.8 * facts["price"], facts["price"]])[0][0] for book in books]
    at = facts["distances"].index(0.2)
    np.testing.assert_allclose(
        np.array(facts["long_total_quantiles"])[:, at], np.quantile(totals, [0.05, 0.5, 0.95]), rtol=1e-12
    )
    text = invoke(*arguments, "--no-pictures", command="levels")
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    assert "from to liquidated 5% 95% total 5% 95%" in " ".join(text.split())
    assert "5% and 95%: of 3 books" in text


@pytest.mark.skipif(not hasattr(fp, "sample_hidden_books"), reason="this version draws no hidden books")
def test_bands_end_to_end(history: str) -> None:
    arguments = ("--history", history, "--draws", "4", "--seed", "11")
    facts = levels_json(*arguments)
    check_bands(facts, 4, 11)
    assert facts == levels_json(*arguments)
    invoke(*arguments, "--output", "out", command="levels")


def test_the_pictures_of_levels(positions: str, history: str, tmp_path: Path) -> None:
    assert "Picture: here/levels.png" in invoke("--positions", positions, "--output", "here", command="levels")
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["levels.png"]
    invoke("--history", history, command="levels")
    names = sorted(path.name for path in (tmp_path / "flushpoint-levels").iterdir())
    assert names == ["levels-over-time.png", "levels.png"]


def test_levels_of_the_real_history_end_to_end() -> None:
    done = process(["levels", "--history", real(HOURLY), "--json"])
    assert (done.returncode, done.stderr) == (0, "")
    facts = json.loads(done.stdout)
    assert facts["price"] == pytest.approx(66_973.26)
    assert 1e9 < facts["long_total"][-1] < facts["source"]["rows"] * 1e7
    assert [Path(path).exists() for path in facts["pictures"]] == [True, True]


def test_levels_of_real_positions() -> None:
    facts = levels_json("--positions", real(POSITIONS), "--coin", "BTC")
    held = fp.io.read_positions(POSITIONS, coin="BTC")
    triggers, quantity = held.book.trigger_price, held.book.quantity
    near = (held.book.side > 0) & (triggers >= 0.8 * held.price)
    total = facts["long_total"][facts["distances"].index(0.2)]
    assert total == pytest.approx((triggers * quantity)[near].sum())


# --- pictures -------------------------------------------------------------------------------------------------------


def test_pictures_are_written_whole_and_alone(positions: str, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "down"
    text = invoke("--positions", positions, "--output", str(out))
    assert sorted(path.name for path in out.iterdir()) == ["levels.png", "response.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in out.iterdir())
    assert f"Picture: {out / 'response.png'}" in text
    invoke("--positions", positions, "--output", str(out))  # again, over the old ones
    assert len(list(out.iterdir())) == 2


def test_pictures_go_to_the_working_directory_by_default(positions: str, tmp_path: Path) -> None:
    invoke("--positions", positions)
    assert (tmp_path / "flushpoint-response" / "levels.png").exists()


def test_a_coin_worth_less_than_a_cent(tmp_path: Path) -> None:
    path = tmp_path / "cheap.csv"
    path.write_text("side,size,mark_px,liq_px\n1,1e6,0.002,0.0019\n-1,1e6,0.002,0.0022\n")
    assert "0.0019 (-5.000%)" in " ".join(invoke("--positions", str(path)).split())


def test_no_pictures(positions: str, tmp_path: Path) -> None:
    facts = run_json("--positions", positions)
    assert facts["pictures"] == []
    assert not (tmp_path / "flushpoint-response").exists()


def test_a_failed_drawing_leaves_nothing(
    positions: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from matplotlib.figure import Figure

    save = Figure.savefig

    def full(figure: Figure, path: Path, **options: object) -> None:
        save(figure, path, **options)
        if path.name == "levels.png":
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(Figure, "savefig", full)
    assert cli.main(["response", "--positions", positions, "--output", "out"]) == 2
    assert list((tmp_path / "out").iterdir()) == []
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "flushpoint: Invalid value for --output: [Errno 28] No space left on device\n"


# --- bad input ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("run --positions nowhere.csv", "--positions: [Errno 2] No such file or directory: 'nowhere.csv'"),
        ("run --positions empty.csv", "--positions: path must be a CSV file that can be read, was 'empty.csv'"),
        ("run --positions POSITIONS --coin XMR", "--coin: coin must be one of BTC, was 'XMR'"),
        (
            "run --positions POSITIONS --size-column qty",
            "--positions: column 'qty' must be in the file, which has coin",
        ),
        ("run --positions POSITIONS --price 0", "--price: must be positive and finite, was 0.0"),
        ("run --positions POSITIONS --price nan", "--price: must be positive and finite, was nan"),
        (
            "run --positions POSITIONS --maintenance-rate 2",
            "--maintenance-rate: maintenance_rate must be in (0, 1), was 2",
        ),
        ("run --positions CROSSED", "--positions: must hold positions not yet crossed at 100, was 1 crossed ones"),
        ("run --open-interest -1", "--open-interest: must be positive and finite, was -1.0"),
        ("run --daily-volume 0", "--daily-volume: must be positive and finite, was 0.0"),
        ("run --daily-volatility inf", "--daily-volatility: must be positive and finite, was inf"),
        ("run --shock -1", "--shock: shock must be above -1, was -1.0"),
        ("run --shock nan", "--shock: shock must be finite, was nan"),
        ("run --sell inf", "--sell: sell must be finite, was inf"),
        ("run --shock much", "--shock': must be a number, was 'much'"),
        ("run --depth nowhere.csv", "--depth: [Errno 2] No such file or directory: 'nowhere.csv'"),
        ("run --depth POSITIONS", "--depth: column 'percentage' must be in the file, which has coin, side"),
        ("run --depth POSITIONS --daily-volume 1", "--depth: must come without --daily-volume, was given with it"),
        ("run --history nowhere.csv", "--history: [Errno 2] No such file or directory: 'nowhere.csv'"),
        ("run --history empty.csv", "--history: path must be a CSV file that can be read, was 'empty.csv'"),
        ("run --history POSITIONS", "--history: one of the columns open, price_open, open_price, Open must be in"),
        ("run --history HISTORY --positions POSITIONS", "--history: must come without --positions, was given with it"),
        ("run --history HISTORY --coin BTC", "--coin: must come with --positions, was BTC without"),
        ("run --history HISTORY --unit usd", "--unit: unit must be 'quote' or 'base', was 'usd'"),
        ("run --history HISTORY --period -1", "--period: must be positive and finite, was -1.0"),
        ("run --history HISTORY --maintenance-rate 1", "--maintenance-rate: maintenance_rate must be below 1, was 1.0"),
        ("run --history HISTORY --history-column oi", "--history-column: must be NAME=COLUMN, was 'oi'"),
        ("run --history HISTORY --history-column oi=x", "--history: columns must map some of time, open, high, low"),
        ("run --history UNSORTED", "--history: column 'time' must be later than in the row before"),
        ("run --history GAPPED", "--history: source must hold a row with all its values, was 2 rows without one"),
        ("run --positions POSITIONS --unit base", "--unit: must come with --history, was base without"),
        ("run --period 60", "--period: must come with --history, was 60.0 without"),
        ("run --price 60", "--price: must come with --positions or --history, was 60.0 without"),
        ("levels --positions nowhere.csv", "--positions: [Errno 2] No such file or directory: 'nowhere.csv'"),
        ("levels --history nowhere.csv", "--history: [Errno 2] No such file or directory: 'nowhere.csv'"),
        ("levels --draws 5", "--draws: must come with --history, was 5 without"),
        ("levels --positions POSITIONS --draws 5", "--draws: must come with --history, was 5 without"),
        ("levels --history HISTORY --draws -1", "Invalid value for '--draws'"),
        ("levels --history HISTORY --seed 1", "--seed: must come with --draws, was 1 without"),
        ("levels --history HISTORY --open-interest 1e9", "--open-interest: must come without --history, was given"),
        ("levels --maintenance-rate 0.01", "--maintenance-rate: must come with --history, was 0.01 without"),
        ("levels --distances 0.1,0.05", "--distances: must be increasing numbers between 0 and 1, was '0.1,0.05'"),
        ("levels --distances 0.1,1", "--distances: must be increasing numbers between 0 and 1, was '0.1,1'"),
        ("levels --distances near", "--distances: must be increasing numbers between 0 and 1, was 'near'"),
        ("run --coin BTC", "--coin: must come with --positions, was BTC without"),
        ("run --liquidation-column x", "--liquidation-column: must come with --positions, was x without"),
        ("run --output POSITIONS", "--output: [Errno 17] File exists: 'POSITIONS'"),
        ("run --colour blue", "--colour"),
        ("walk", "walk"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_two(
    arguments: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "POSITIONS.csv").write_text(SMALL)
    (tmp_path / "CROSSED.csv").write_text("side,size,mark_px,liq_px\n1,1,100,101\n")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "POSITIONS").write_text("")
    head = "time,open,high,low,close,oi\n"
    (tmp_path / "HISTORY.csv").write_text(head + "2026-02-05,1,1,1,1,1\n2026-02-06,1,1,1,1,1\n")
    (tmp_path / "UNSORTED.csv").write_text(head + "2026-02-06,1,1,1,1,1\n2026-02-05,1,1,1,1,1\n")
    (tmp_path / "GAPPED.csv").write_text(head + "2026-02-05,1,1,1,1,\n2026-02-06,1,1,1,,1\n")
    files = {name: f"{name}.csv" for name in ("POSITIONS", "CROSSED", "HISTORY", "UNSORTED", "GAPPED")}
    words = arguments.split()
    words = [word if words[k - 1] == "--output" else files.get(word, word) for k, word in enumerate(words)]
    before = sorted(tmp_path.iterdir())
    assert cli.main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("flushpoint: ")
    assert err.count("\n") == 1
    assert message in err
    assert sorted(tmp_path.iterdir()) == before


def test_bad_input_in_a_process_shows_no_traceback(positions: str) -> None:
    done = process(["response", "--positions", positions, "--side-column", "entry_px"])
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "flushpoint: Invalid value for --positions: column 'entry_px' must be +1, -1, long, short, buy or sell, "
        "was 100 in data row 1\n"
    )


def test_ctrl_c_is_quiet(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(example, "book", interrupted)
    assert cli.main(["response"]) == 130
    assert "".join(capsys.readouterr()).strip() == ""


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("typer", 'the command line needs typer and rich: pip install "flushpoint[all]"'),
        ("rich", 'the command line needs typer and rich: pip install "flushpoint[all]"'),
        ("matplotlib", 'pictures need matplotlib: pip install "flushpoint[plot]"'),
        ("pandas", 'reading files needs pandas: pip install "flushpoint[io]"'),
    ],
)
def test_a_missing_extra_is_one_line(missing: str, message: str, positions: str) -> None:
    code = f"sys.modules[{missing!r}] = None; from flushpoint.cli import main"
    done = process(["response", "--positions", positions], code)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"flushpoint: {message}\n")


def test_version_and_help() -> None:
    done = process(["--version"])
    assert (done.returncode, done.stdout, done.stderr) == (0, f"flushpoint {fp.__version__}\n", "")
    for arguments in ([], ["--help"], *([command, "--help"] for command in COMMANDS)):
        done = process(arguments)
        assert (done.returncode, done.stderr) == (0, "")
        assert "Usage: flushpoint" in done.stdout


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.name)
def test_examples_run(path: Path) -> None:
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout
