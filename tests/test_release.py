"""One version, stated once and told alike."""

import importlib.metadata
import re
import tomllib
from pathlib import Path

import flushpoint as fp

ROOT = Path(__file__).parents[1]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def test_one_version() -> None:
    assert importlib.metadata.version("flushpoint") == VERSION
    assert fp.__version__ == VERSION
    assert fp.build_info()["version"] == VERSION
    assert f"\nversion: {VERSION}\n" in (ROOT / "CITATION.cff").read_text()


def test_the_changelog_begins_with_this_version() -> None:
    releases = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert releases[0] == VERSION
    assert len(set(releases)) == len(releases)
