"""The page and the picture that a benchmark run leaves in the documents."""

from __future__ import annotations

import datetime
import importlib
import os
import platform
import textwrap
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import flushpoint as fp
from flushpoint._shown import markdown
from flushpoint._whole import whole
from flushpoint.bench.scaling import CostModel, serial_share

COMMAND = "flushpoint bench --output docs/rivals.md"

INTRODUCTION = f"""<!-- Written by `{COMMAND}`; changes made by hand will be lost. -->

# Rivals and growth

What the same jobs take in numpy, in numba, in a loop over `std::priority_queue` and in another library's liquidation
engine, and how time grows with sizes. The rivals stand in `python/flushpoint/bench/`; the answers of each are compared
with the engine's before its time counts. All run in turn and the least time of each is taken, so that ratios hold on
other machines better than times do.
"""


def machine() -> dict[str, str]:
    """What the figures were taken on."""
    build = fp.build_info()
    return {
        "processor": f"{processor()}, {os.cpu_count()} cores, {platform.machine()}",
        "system": f"{platform.system()} {platform.release()}",
        "flushpoint": f"{fp.__version__}, {build['compiler']}, {build['build_type']}, {build['instruction_set']}",
        "Python": ", ".join([platform.python_version(), *(_named(name) for name in ("numpy", "numba"))]),
        "date": datetime.date.today().isoformat(),
    }


def _named(distribution: str) -> str:
    try:
        return f"{distribution} {version(distribution)}"
    except PackageNotFoundError:
        return f"no {distribution}"


def processor() -> str:
    """The processor's name, as far as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def duration(seconds: float) -> str:
    """In the unit that suits."""
    for unit, size in (("years", 31_557_600.0), ("days", 86_400.0), ("hours", 3_600.0), ("minutes", 60.0), ("s", 1.0)):
        if seconds >= 2 * size or (unit == "s" and seconds >= 1):
            return f"{seconds / size:.3g} {unit}"
    for unit, size in (("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def race_rows(facts: Mapping[str, Any]) -> list[tuple[str, str, str, str, str]]:
    """(job, what is counted, the engine's time of one, rival, its time and how many times the engine's)."""
    return [
        (race["job"], race["unit"], duration(race["each"]), name, f"{duration(each)}, {each / race['each']:.3g}x")
        for race in facts["races"]
        for name, each in race["rivals"].items()
    ]


def terms(model: CostModel) -> str:
    """What a question costs, as a sum."""
    return " + ".join(f"{duration(1e-9 * ns)} {term}" for term, ns in model.nanoseconds.items() if ns > 0)


def write(path: Path, facts: Mapping[str, Any]) -> list[Path]:
    """Write the page, and the picture beside it.

    Parameters
    ----------
    path : Path
        The page; the picture has its name and ends in .svg.
    facts : dict
        What `races.run` and `scaling.run` return, together.

    Returns
    -------
    list of Path
    """
    picture = path.with_suffix(".svg")
    with whole(picture) as made:
        _draw(made, facts)
    with whole(path) as made:
        made.write_text(_text(picture.name, facts))
    return [path, picture]


def _text(picture: str, facts: Mapping[str, Any]) -> str:
    about = markdown([("machine", ""), *machine().items(), ("command", f"`{COMMAND}`")])
    missing = "".join(f"\nNot run: {name} ({why}).\n" for name, why in facts["absent"].items())
    threads = facts["threads"]
    race_table = markdown([("job", "each", "flushpoint", "rival", "its time"), *race_rows(facts)], right=(2, 4))
    models = [("question", "seconds of each", "largest error", "error at the longest run, held out")]
    for name, model in facts["models"].items():
        models.append((name, terms(model), f"{model.error:.0%}", f"{model.held_out:.0%}"))
    predicted = [("question", "size", "one thread", "64 threads")]
    for row in facts["predictions"]:
        many = row["seconds_of_64_threads"]
        predicted.append(
            (row["question"], row["sizes"], duration(row["seconds"]), "-" if many is None else duration(many))
        )
    gains = [("question", "threads", "time", "gain", "share that does not shorten")]
    for name, by_threads in facts["gains"].items():
        share = serial_share(by_threads)
        for count, took in by_threads.items():
            last = "" if share is None or count < max(by_threads) else f"{share:.1%}"
            gains.append((name, str(count), duration(took), f"{by_threads[1] / took:.2f}x", last))
    return f"""{INTRODUCTION}
{about}
## Against others

{threads or "All"} thread{"" if threads == 1 else "s"} where a rival has threads, one where it has none.

{race_table}{missing}
![Times against rivals, and growth]({picture})

## What it costs

Seconds on one thread are a sum of terms: which ones, the algorithms say; how much of each, least squares of the
relative errors at the sizes measured, none negative. N are positions, M shocks, scenarios or paths; waves and closed
positions are those of one of them.

{markdown(models, right=(2, 3))}
## Threads

{markdown(gains, right=(1, 2, 3, 4))}
## Sizes that do not fit here

What the model says of them: no such run was made. More threads follow Amdahl's law from the gain above, which on many
processors memory may not keep up with. Waves of a book of 10^9 positions follow a power law of those measured.

{markdown(predicted, right=(2, 3))}"""


def _draw(path: Path, facts: Mapping[str, Any]) -> None:
    figure = importlib.import_module("matplotlib.figure").Figure(figsize=(10, 8), layout="constrained")
    (against, by_n), (by_m, by_steps) = figure.subplots(2, 2)
    names = list(dict.fromkeys(name for race in facts["races"] for name in race["rivals"]))
    for k, name in enumerate(names):
        held = [(i, race) for i, race in enumerate(facts["races"]) if name in race["rivals"]]
        gains = [race["rivals"][name] / race["each"] for _, race in held]
        against.barh([i + 0.35 * (k % 2) for i, _ in held], gains, 0.35, label=name)
    against.set_yticks(
        range(len(facts["races"])), [textwrap.fill(race["job"], 34) for race in facts["races"]], fontsize="x-small"
    )
    against.set_xscale("log")
    against.axvline(1.0, color="0.5", linewidth=0.8)
    against.invert_yaxis()
    against.set_xlabel("times as fast as the rival")
    against.legend(fontsize="x-small")
    for axes, varied, label in ((by_n, "N", "positions"), (by_m, "M", "shocks, scenarios or paths")):
        for name in facts["models"]:
            _line(axes, facts, name, varied)
        axes.set_xlabel(label)
    _line(by_steps, facts, "simulate", "steps")
    by_steps.set_xlabel("steps")
    with importlib.import_module("matplotlib").rc_context({"svg.fonttype": "none"}):  # letters, not their outlines
        figure.savefig(path, format="svg", metadata={"Date": None})


def _line(axes: Any, facts: Mapping[str, Any], question: str, varied: str) -> None:
    """Points, and the model's line between them."""
    held = sorted(
        (p for p in facts["points"] if p.question == question and p.varied == varied), key=lambda p: p.sizes[varied]
    )
    if not held:
        return
    x = [p.sizes[varied] for p in held]
    model = facts["models"][question]
    (dots,) = axes.loglog(x, [p.seconds for p in held], "o", label=question)
    axes.loglog(x, [model.seconds(**p.sizes) for p in held], "_", color=dots.get_color(), markersize=14)
    axes.set_ylabel("seconds, one thread (dots); model (dashes)")
    axes.legend(fontsize="x-small")
