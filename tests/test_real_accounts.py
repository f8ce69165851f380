"""The fall of 5 February 2026, run through the accounts that a venue published, and the page that tells it."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"

pytestmark = pytest.mark.skipif(not (SHARED / "data").exists(), reason=f"needs the data in {SHARED}")


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "validation"))
    for name in ("real_accounts", "page"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return importlib.import_module("real_accounts")


def test_most_published_prices_follow_from_one_pool_an_account(command: ModuleType) -> None:
    data = command.read(SHARED)
    found = command.infer(data, data.before, data.schedules, tolerance=1e-4)
    assert np.count_nonzero(found.tested) == 1_652
    assert np.count_nonzero(found.agrees) / np.count_nonzero(found.tested) > 0.85
    errors = found.liquidation_price[found.agrees] / data.before.liq_px.to_numpy()[found.agrees]
    assert np.quantile(np.abs(errors - 1), 0.99) < 1e-8  # printed digits, not a tolerance that hides


def test_prices_lead_from_one_snapshot_to_the_other(command: ModuleType) -> None:
    data = command.read(SHARED)
    coins, start = ["HYPE", "BTC"], np.array([33.15, 76_105.0])
    logs, hours = command.path_of(data, coins, start)
    bars = data.hours[(data.hours.coin == "BTC") & data.hours.hour_s.isin(hours)]
    assert np.exp(logs[:, 1].min()) == pytest.approx(bars.low.min())
    assert np.exp(logs[:, 1].max()) == pytest.approx(bars.high.max())
    assert np.exp(logs[-1, 1]) == pytest.approx(bars.close.iloc[-1])
    mark = data.after[data.after.coin == "HYPE"].mark_px.iloc[0]
    assert np.exp(logs[-1, 0]) == pytest.approx(mark)


def test_the_page_holds_what_the_command_finds(command: ModuleType) -> None:
    data = command.read(SHARED)
    run = command.replay(data)
    page = (ROOT / "docs" / "real_accounts.md").read_text()
    assert 0 < run.closed.sum() < 0.1 * len(run.traders)
    counts = [count for _, count, _ in run.by_hour]
    assert counts == sorted(counts)
    for text in (command.fall_block(data, run), command.later_block(data, run)):
        assert text in page
