"""What the documents show is run: the examples of the README, of the pages and of every docstring."""

import doctest
import importlib
import pkgutil
import re
from collections import Counter
from pathlib import Path

import matplotlib
import pytest
from matplotlib import pyplot

import flushpoint

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
EXAMPLE = re.compile(r"```python\n(.*?)```\n(?:\n```text\n(.*?)```\n)?", re.DOTALL)
PAGES = [page for page in sorted(DOCS.rglob("*.md")) if EXAMPLE.search(page.read_text())]
NO_EXAMPLES = {"flushpoint.cli", "flushpoint._core", "flushpoint.bench.numba_rivals", "flushpoint.bench.drive_lrvx"}
MODULES = [m.name for m in pkgutil.walk_packages(flushpoint.__path__, "flushpoint.") if m.name not in NO_EXAMPLES]


def test_readme_example_runs_and_shows_a_cascade(capsys):
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    exec(compile(example, "README.md", "exec"), {})
    out = capsys.readouterr().out
    assert "positions" in out
    assert "waves" in out
    assert "nan" not in out


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_pages_show_what_their_examples_print(page, tmp_path, monkeypatch, capsys):
    """`python validation/examples.py` writes it."""
    matplotlib.use("Agg")
    monkeypatch.chdir(tmp_path)
    names = {}
    for code, shown in EXAMPLE.findall(page.read_text()):
        exec(compile(code, page.name, "exec"), names)
        assert capsys.readouterr().out == shown
    pyplot.close("all")


def test_what_an_example_prints_is_written_below_it(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "validation"))
    examples = importlib.import_module("examples")
    page = "```python\nx = 1\n```\n\n```python\nprint(x)\n```\n\n```text\n2\n```\n\n```py\nunknown\n```\n"
    written = page.replace("2", "1")
    assert examples.rewritten(page) == written
    assert examples.rewritten(written.replace("```text\n1\n```\n\n", "")) == written


def test_figures_of_the_summary_are_those_of_their_pages(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "validation"))
    summary = importlib.import_module("summary")
    again = tmp_path / "validation.md"
    again.write_text((DOCS / "validation.md").read_text())
    monkeypatch.setattr(summary, "PAGE", again)
    summary.main()
    assert again.read_text() == (DOCS / "validation.md").read_text()


def test_tests_that_pages_name_are_there():
    tests = "\n".join(file.read_text() for file in Path(__file__).parent.glob("test_*.py"))
    named = {name for page in DOCS.rglob("*.md") for name in re.findall(r"`(test_\w+)`", page.read_text())}
    assert len(named) > 20
    assert [name for name in sorted(named) if f"def {name}(" not in tests] == []


def test_every_public_name_has_its_place_in_the_reference():
    reference = "\n".join(page.read_text() for page in (DOCS / "api").glob("*.md"))
    shown = Counter(re.findall(r"^::: flushpoint\.(\S+)$", reference, re.MULTILINE))
    public = list(flushpoint.__all__)
    public += [f"io.{name}" for name in flushpoint.io.__all__]
    public += [f"plot.{name}" for name in flushpoint.plot.__all__ if name != "require"]
    # Where a module has the name of its function, the function is cascade.cascade.
    places = {name: shown[name] + shown[f"{name}.{name.split('.')[-1]}"] for name in public}
    assert {name: count for name, count in places.items() if count != 1} == {}


def test_the_page_of_pictures_shows_every_picture():
    shown = re.findall(r"fp\.plot\.(\w+)\(", (DOCS / "pictures.md").read_text())
    assert set(flushpoint.plot.__all__) - {"require"} == set(shown)


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
