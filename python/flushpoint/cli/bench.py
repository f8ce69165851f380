"""The command that times the engine on this machine."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import typer

from flushpoint import plot, report
from flushpoint.bench import own, page, races, scaling
from flushpoint.cli import options
from flushpoint.cli.output import check_writable, naming, print_json, progress


@options.command
def bench(
    threads: options.Threads = 1,
    rivals: Annotated[bool, typer.Option("--rivals", help="Run the same jobs in all rivals installed.")] = False,
    growth: Annotated[bool, typer.Option("--growth", help="Measure how time grows with sizes; fit its cost.")] = False,
    small: Annotated[bool, typer.Option("--small", help="Small sizes, to try these two out.")] = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Markdown file to write both to; its picture beside it ends in .svg."),
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Time the main jobs on this machine, each beside numpy's time for one normal number; or against rivals."""
    if not (rivals or growth or output):
        if small:
            raise typer.BadParameter("needs --rivals, --growth or --output", param_hint="--small")
        _own(threads, as_json)
        return
    if output is not None:
        plot.require()
        with naming("--output"):
            check_writable(output)
    facts: dict[str, Any] = {}
    if rivals or output:
        with progress("races") as shown:
            facts |= races.run(threads=threads, sizes=races.SMALL if small else None, progress=shown)
    if growth or output:
        with progress("sizes") as shown:
            facts |= scaling.run(sweep=scaling.SMALL if small else None, progress=shown)
    written = [] if output is None else page.write(output, facts)
    if as_json:
        print_json({**_plain(facts), "files": [str(path) for path in written]})
        return
    report.show(_sections(facts))
    for path in written:
        print(f"Written: {path}", flush=True)


def _own(threads: int, as_json: bool) -> None:
    with progress("jobs") as shown:
        facts = own.run(threads=threads, progress=shown)
    if as_json:
        print_json(facts)
        return
    rows = [
        (one["job"], f"{one['seconds'] * 1e3:,.4g}", f"{one['count']:,}", one["unit"], f"{one['each'] * 1e9:,.4g}")
        for one in facts["jobs"]
    ]
    engine = f"flushpoint {facts['version']}, {facts['instruction_set']}, {facts['threads']} threads"
    report.show([(engine, [report.table(("job", "ms", "of", "", "ns each"), rows)])])


def _sections(facts: dict[str, Any]) -> list[tuple[str, list[Any]]]:
    sections: list[tuple[str, list[Any]]] = []
    if "races" in facts:
        for race in facts["races"]:
            rows = [("flushpoint", page.duration(race["each"]), "")]
            rows += [
                (name, page.duration(each), f"{each / race['each']:.3g}x") for name, each in race["rivals"].items()
            ]
            heading = (f"a {race['unit']}", "", "")
            sections.append((race["job"], [report.table(heading, rows)]))
        sections += [(f"Not run: {name}", [why]) for name, why in facts["absent"].items()]
    if "models" in facts:
        lines = [f"{name}: {page.terms(model)}, within {model.error:.0%}" for name, model in facts["models"].items()]
        sections.append(("What it costs on one thread", lines))
        rows = [(row["question"], row["sizes"], page.duration(row["seconds"])) for row in facts["predictions"]]
        sections.append(("Predicted", [report.table(("question", "size", "one thread"), rows)]))
    return sections


def _plain(facts: dict[str, Any]) -> dict[str, Any]:
    """Values that JSON can hold."""
    out = dict(facts)
    if "models" in facts:
        out["points"] = [dataclasses.asdict(point) for point in facts["points"]]
        out["models"] = {name: dataclasses.asdict(model) for name, model in facts["models"].items()}
    return out
