"""What the documents show is run: the README's example and every docstring's."""

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import flushpoint

ROOT = Path(__file__).parents[1]
MODULES = [
    m.name
    for m in pkgutil.walk_packages(flushpoint.__path__, "flushpoint.")
    if m.name not in ("flushpoint.cli", "flushpoint._core")
]


def test_readme_example_runs_and_shows_a_cascade(capsys):
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    exec(compile(example, "README.md", "exec"), {})
    out = capsys.readouterr().out
    assert "positions" in out
    assert "waves" in out
    assert "nan" not in out


def test_the_page_of_pictures_runs_and_shows_every_picture():
    pytest.importorskip("matplotlib").use("Agg")
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs/pictures.md").read_text(), re.S)
    assert set(flushpoint.plot.__all__) - {"require"} == {*re.findall(r"fp\.plot\.(\w+)\(", "".join(blocks))}
    exec(compile("".join(blocks), "pictures.md", "exec"), {})
    importlib.import_module("matplotlib.pyplot").close("all")


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name):
    module = importlib.import_module(name)
    public = {k: getattr(flushpoint, k) for k in flushpoint.__all__}
    result = doctest.testmod(module, extraglobs=public)
    assert result.failed == 0


@pytest.mark.parametrize("name", flushpoint.__all__)
def test_public_names_have_docstrings(name):
    thing = getattr(flushpoint, name)
    if callable(thing):
        assert thing.__doc__
        assert len(thing.__doc__.split()) > 4
