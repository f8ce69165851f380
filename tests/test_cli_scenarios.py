"""The commands about scenarios, many scenarios of a book, and the machine."""

import json
from pathlib import Path

import numpy as np
import pytest

import flushpoint as fp

typer_testing = pytest.importorskip("typer.testing")
pytest.importorskip("rich")
pandas = pytest.importorskip("pandas")
pytest.importorskip("matplotlib")

from flushpoint import cli, report, scenario_report  # noqa: E402

SMALL = """
title = "A small one"
[market]
price = 100.0
[market.impact]
kind = "LinearImpact"
coefficient = 1e-4
[book]
kind = "Book.from_leverage_mix"
open_interest = 1e5
[process]
kind = "GBM"
volatility = 1.0
[run]
horizon = 86400.0
steps = 24
paths = 50
seed = 3
[targets.trough]
reported = 90.0
measure = "low_price"
[parameters]
"process.volatility" = [0.5, 6.0]
"""


@pytest.fixture(autouse=True)
def in_a_directory_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def small(tmp_path: Path) -> str:
    (tmp_path / "small.toml").write_text(SMALL)
    return "small.toml"


def invoke(*arguments: str) -> str:
    result = typer_testing.CliRunner().invoke(cli.app(), list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.stderr
    return result.stdout


def csv(path: str) -> np.ndarray:
    return np.genfromtxt(path, delimiter=",", names=True)


def test_a_scenario_runs_from_its_file(small: str) -> None:
    facts = json.loads(invoke("run", small, "--json"))
    e = fp.Scenario.load(small).simulate()
    assert facts["scenario"] == "small"
    assert facts["simulation"]["paths"] == 50
    assert facts["simulation"]["seed"] == 3
    assert facts["simulation"]["columns"]["low_price"]["mean"]["value"] == e.low_price.mean()
    trough = facts["targets"]["trough"]
    assert trough["reported"] == 90
    assert trough["simulated"] == np.median(e.low_price)
    assert trough["difference"] == trough["simulated"] / 90 - 1
    assert {Path(name).name for name in facts["pictures"]} == {"fan.png", "path.png", "response.png", "levels.png"}
    assert all(Path(name).stat().st_size > 10_000 for name in facts["pictures"])
    assert facts["shocks"][0]["shock"] == -0.02  # of the book at the start


def test_paths_seed_and_tables_are_as_asked(small: str) -> None:
    text = invoke(
        "run", small, "--paths", "7", "--seed", "4", "--csv", "paths.csv", "--parquet", "paths.parquet", "--no-pictures"
    )
    assert "7 paths of 24 hours, 24 steps, seed 4" in text
    e = fp.Scenario.load(small).simulate(paths=7, seed=4)
    for table in (csv("paths.csv"), pandas.read_parquet("paths.parquet")):
        np.testing.assert_array_equal(table["low_price"], e.low_price)
        np.testing.assert_array_equal(table["long_count"], e.long_count)
    assert not Path("flushpoint-run").exists()


def test_options_of_a_book_make_run_a_response() -> None:
    same = [
        json.loads(invoke(command, "--shock", "-0.1", "--json", "--no-pictures")) for command in ("run", "response")
    ]
    assert same[0] == same[1]
    assert same[0]["shock"] == -0.1


def test_a_scenario_says_which_columns_are_told(small: str) -> None:
    Path("told.toml").write_text(SMALL + '[outputs]\ncolumns = ["long_count", "shortfall"]\n')
    facts = json.loads(invoke("run", "told.toml", "--json", "--no-pictures"))
    assert list(facts["simulation"]["columns"]) == ["long_count", "shortfall"]


def test_calibration_from_the_command_line(small: str) -> None:
    facts = json.loads(invoke("calibrate", small, "--json"))
    assert abs(facts["targets"]["trough"]["difference"]) < 0.01
    assert 0.5 < facts["parameters"]["process.volatility"]["value"] < 6
    assert "trough: " in invoke("calibrate", small, "--evaluations", "8", "--paths", "20")


def test_scenarios_are_listed() -> None:
    text = invoke("scenarios")
    assert [line.split()[0] for line in text.splitlines()] == list(fp.Scenario.names())
    titles = json.loads(invoke("scenarios", "--json"))
    assert titles["squeeze"] == fp.Scenario.load("squeeze").title


def test_accounts_and_policies_have_their_tables_and_pictures() -> None:
    text = invoke("run", "altcoin-contagion", "--paths", "3", "--output", "accounts")
    assert "Spectral radius" in text
    assert sorted(path.name for path in Path("accounts").iterdir()) == ["contagion.png"]
    facts = json.loads(invoke("run", "leverage-cap", "--paths", "20", "--json"))
    assert set(facts["policies"]) == {"at most 20x", "at most 10x", "at most 5x", "twice the fund"}
    assert "flushpoint-run/policies.png" in facts["pictures"]


def test_stress_is_a_grid_of_shocks_and_liquidity() -> None:
    facts = json.loads(
        invoke(
            "stress", "--shocks=-0.05,-0.1", "--liquidity", "1,0.5", "--refill", "0.1", "--csv", "grid.csv", "--json"
        )
    )
    book, market = fp.example.book(), fp.example.market()
    s = fp.stress(book, market, [-0.05, -0.1] * 2, liquidity=[1, 1, 0.5, 0.5], refill=0.1)
    assert [(row["shock"], row["liquidity"]) for row in facts["rows"]] == [
        (-0.05, 1),
        (-0.1, 1),
        (-0.05, 0.5),
        (-0.1, 0.5),
    ]
    assert [row["final_price"] for row in facts["rows"]] == s.final_price.tolist()
    assert [row["waves"] for row in facts["rows"]] == s.waves.tolist()
    table = csv("grid.csv")
    np.testing.assert_array_equal(table["liquidated_notional"], s.liquidated_notional)
    assert "-10%" in invoke("stress")


def test_stress_of_drawn_shocks() -> None:
    facts = json.loads(invoke("stress", "--draws", "500", "--deviation", "0.05", "--seed", "2", "--json"))
    shocks = np.expm1(0.05 * np.random.default_rng(2).standard_normal(500))
    s = fp.stress(fp.example.book(), fp.example.market(), shocks)
    assert facts["columns"]["final_price"]["mean"] == pytest.approx(s.final_price.mean(), rel=1e-14)
    assert facts["scenarios"] == 500
    assert "seed 2" in invoke("stress", "--draws", "500", "--deviation", "0.05", "--seed", "2")


def test_tables_of_response_and_levels() -> None:
    facts = json.loads(invoke("response", "--no-pictures", "--csv", "shocks.csv", "--json"))
    table = csv("shocks.csv")
    assert table["final_price"].tolist() == [row["final_price"] for row in facts["shocks"]]
    facts = json.loads(invoke("levels", "--no-pictures", "--csv", "levels.csv", "--json"))
    table = csv("levels.csv")
    assert table["long_notional"].tolist() == facts["long_notional"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("run nowhere", "SCENARIO: scenario must be one of altcoin-contagion"),
        ("run nowhere.toml", "nowhere.toml"),
        ("run bad.toml", "bad: market.price must be positive, was -1.0"),
        ("run unknown.toml", "unknown: market must hold arguments of Market"),
        ("run outputs.toml", "outputs: outputs.columns must be among"),
        ("run texts.toml", "texts: outputs.columns must be a list of texts, was [3]"),
        ("run squeeze --shock -0.1", "SCENARIO: must come without options of a book"),
        ("run --positions p.csv --paths 3", "--paths: must come without options of a book"),
        ("calibrate squeeze", "parameters must be a mapping of at least one place"),
        ("stress --deviation 0.1", "--deviation: must come with --draws"),
        ("stress --draws 3", "--deviation: must be given with --draws"),
        ("stress --draws 3 --deviation -1", "--deviation: deviation must be"),
        ("stress --draws 3 --deviation 1 --shocks -0.1", "--shocks: must come without --draws"),
        ("stress --shocks x", "--shocks: must be numbers, was 'x'"),
        ("stress --shocks -2", "--shocks: shock must"),
        ("stress --liquidity 0", "--liquidity: liquidity must"),
        ("response --csv nowhere/x.csv --no-pictures", "--csv"),
        ("run squeeze --paths 0", "--paths"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_two(
    arguments: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.toml").write_text(SMALL.replace("price = 100.0", "price = -1.0"))
    (tmp_path / "unknown.toml").write_text(SMALL.replace("price = 100.0", "price = 100.0\nhalflife = 3"))
    (tmp_path / "outputs.toml").write_text(SMALL + '[outputs]\ncolumns = ["nothing"]\n')
    (tmp_path / "texts.toml").write_text(SMALL + "[outputs]\ncolumns = [3]\n")
    assert cli.main(arguments.split()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("flushpoint: ")
    assert err.count("\n") == 1
    assert message in err
    assert not list(tmp_path.glob(".*"))


def test_nothing_is_shown_as_0() -> None:
    assert [report.percent(share) for share in (-1e-9, 0.0, -0.001)] == ["+0.00%", "+0.00%", "-0.10%"]
    assert [report.money(value) for value in (-0.3, 0.0, -1.0)] == ["0", "0", "-1"]
    tiny = {"value": -4.8e-05, "low": -1.0, "high": None}
    assert scenario_report.changes("shortfall", 4.8e3, tiny) == ("0", "-1", "-")
    assert scenario_report.changes("shortfall", 1.0, tiny) == ("-4.8e-05", "-1", "-")
    none = {"value": 0.0, "low": 2e3, "high": 0.5}
    assert scenario_report.changes("shortfall", None, none) == ("0", "+2.00 k", "+0.5")
    spilled = {"markets": ["A"], "branching": [[-1e-9]], "spillover": {"A": -1e-9}}
    assert scenario_report.branching_rows(spilled)[1] == [("A", "0.000")]
    assert scenario_report.spillover_rows(spilled)[1] == [("0.00",)]
