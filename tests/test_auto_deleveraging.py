"""The sixteen waves of 10 October 2025: published totals from the data, and the page that shows them."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

from flushpoint.venue import CLOSING_WINNERS

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared" / "data"
FILES = (DATA / "adl_waves_2025-10-10.csv", DATA / "adl_wave_coin_gap_2025-10-10.csv.gz")

needs_data = pytest.mark.skipif(
    not all(path.exists() for path in FILES), reason=f"needs {' and '.join(path.name for path in FILES)} in {DATA}"
)


@pytest.fixture
def command(monkeypatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "validation"))
    for name in ("auto_deleveraging", "page"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return importlib.import_module("auto_deleveraging")


@needs_data
def test_published_totals(command):
    data = command.read(*FILES)
    found = command.totals(data)
    assert len(data.when) == 16
    for name, (published, _) in command.PUBLISHED.items():
        assert found[name] == pytest.approx(published, abs=0.006)
    # The gap of each coin's fills, added up over its coins, is what a wave needs.
    for wave, needed in zip(data.waves["wave"], data.waves["budget_needed"], strict=True):
        mine = data.gap_wave == wave
        assert (data.quantity * data.gap)[mine].sum() == pytest.approx(needed, rel=1e-9)
    assert (data.waves["budget_needed"] <= data.waves["total_cap"]).all()


@needs_data
@pytest.mark.parametrize("policy", CLOSING_WINNERS)
def test_our_policies_take_what_is_needed(command, policy):
    data = command.read(*FILES)
    assert command.taken(data, policy) == pytest.approx(data.waves["budget_needed"], rel=1e-9)


@needs_data
def test_the_page_shows_what_the_command_finds(command, tmp_path, capsys):
    page = ROOT / "docs" / "auto_deleveraging.md"
    copy = tmp_path / "page.md"
    copy.write_text(page.read_text())
    command.main(["--output", str(copy)])
    assert "wrote" in capsys.readouterr().out
    assert copy.read_text() == page.read_text()
    assert "| no |" not in page.read_text()


def test_without_the_data_the_command_says_so(command, tmp_path, capsys):
    page = tmp_path / "page.md"
    page.write_text("as it was")
    command.main(["--waves", str(tmp_path / "absent.csv"), "--output", str(page)])
    assert "absent.csv" in capsys.readouterr().err
    assert page.read_text() == "as it was"


def test_blocks_are_found_or_refused(command):
    page = "text\n<!-- a: written by x.py -->\nold\n<!-- end of a -->\nmore\n"
    insert = sys.modules["page"].insert
    assert insert(page, "a", "new", "x.py") == page.replace("old", "\nnew")
    with pytest.raises(ValueError, match=r"the marks of 'b' once"):
        insert(page, "b", "new", "x.py")
