"""Where a command's answer goes: text or JSON to standard output, tables and pictures to files."""

from __future__ import annotations

import importlib
import json
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import typer

from flushpoint import plot
from flushpoint._whole import whole
from flushpoint.cli.options import OfOutput

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Pictures: TypeAlias = "dict[str, Callable[[Axes], object]]"  # by file name, what draws each


def finish(
    command: str,
    out: OfOutput,
    facts: dict[str, Any],
    render: Callable[[dict[str, Any]], None],
    pictures: Pictures,
    columns: Mapping[str, Any],
) -> None:
    """Draw the pictures and write the table, then print the report."""
    for option, path, write in (("--csv", out.csv, _write_csv), ("--parquet", out.parquet, _write_parquet)):
        if path is not None:
            with naming(option), whole(path) as made:
                write(columns, made)
    directory = out.output or Path(f"flushpoint-{command}")
    paths = [] if out.no_pictures else _draw(facts["title"], pictures, directory)
    if out.as_json:
        print_json({**facts, "pictures": [str(path) for path in paths]})
        return
    render(facts)
    for path in paths:
        print(f"Picture: {path}", flush=True)
    for path in (out.csv, out.parquet):
        if path is not None:
            print(f"Table: {path}", flush=True)


def prepare(out: OfOutput) -> None:
    """Find out before any work what would keep the answer from being written."""
    if not out.no_pictures:
        plot.require()
    for option, path, needed in (("--csv", out.csv, ("pandas",)), ("--parquet", out.parquet, ("pandas", "pyarrow"))):
        if path is not None:
            _need(needed)
            with naming(option):
                check_writable(path)


def check_writable(path: Path) -> None:
    """Raise unless a file can be made there."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".writing-"):
        if path.is_dir():
            raise IsADirectoryError(f"must be a file, was the directory {path}")


def _need(modules: Iterable[str]) -> None:
    try:
        for module in modules:
            importlib.import_module(module)
    except ImportError as error:
        raise ImportError('tables need pandas and pyarrow: pip install "flushpoint[io]"') from error


def print_json(facts: Mapping[str, Any]) -> None:
    """Print JSON and nothing else."""
    print(json.dumps(facts, indent=2, allow_nan=False), flush=True)


def _write_csv(columns: Mapping[str, Any], path: Path) -> None:
    importlib.import_module("pandas").DataFrame(dict(columns)).to_csv(path, index=False)


def _write_parquet(columns: Mapping[str, Any], path: Path) -> None:
    importlib.import_module("pandas").DataFrame(dict(columns)).to_parquet(path, index=False)


def rows(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Turn rows into columns; None becomes nan."""
    names = list(records[0]) if records else []
    return {name: np.array([np.nan if row[name] is None else row[name] for row in records]) for name in names}


def _draw(title: str, pictures: Pictures, directory: Path) -> list[Path]:
    """Draw pictures in `directory`: complete, or none of them."""
    plot.require()
    figure_class = importlib.import_module("matplotlib.figure").Figure
    figures = {}
    for name, draw in pictures.items():
        figures[name] = figure_class(figsize=(8, 4.2 if name == "levels.png" else 5.5), layout="constrained")
        draw(figures[name].subplots())
        figures[name].suptitle(title, fontsize="medium")
    with naming("--output"):
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=directory, prefix=".drawing-") as scratch:
            for name, figure in figures.items():
                figure.savefig(Path(scratch, name), dpi=150)
            return [Path(scratch, name).replace(directory / name) for name in figures]


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None] | None]:
    """Show a bar on a terminal's standard error; None, so that nobody reports, where there is none."""
    if not sys.stderr.isatty():
        yield None
        return
    bars = importlib.import_module("rich.progress")
    console = importlib.import_module("rich.console").Console(stderr=True)
    with bars.Progress(console=console, transient=True) as shown:
        bar = shown.add_task(what, total=None)
        yield lambda done, total: shown.update(bar, completed=done, total=total)


@contextmanager
def naming(*options: str) -> Iterator[None]:
    """Blame bad input found inside on the first option, or on the one whose argument the message names."""
    try:
        yield
    except (ValueError, TypeError, OSError) as error:
        message = str(error)
        by_argument = {option.lstrip("-").replace("-", "_"): option for option in options}
        option = by_argument.get(message.partition(" ")[0], options[0])
        raise typer.BadParameter(message, param_hint=option) from error
