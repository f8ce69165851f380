"""Run the benchmarks at full size and write what they found, and on what machine, to docs/benchmarks.md.

    python bench/report.py             docs/benchmarks.md
    python bench/report.py --readme    and the figures with a goal into README.md, between its two marks

The exit code is pytest's: 1 where an answer is wrong or a goal is missed.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from flushpoint._shown import markdown
from flushpoint._whole import whole
from flushpoint.bench.page import machine

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "benchmarks.md"
README = ROOT / "README.md"
MARKS = ("<!-- benchmarks: written by bench/report.py -->\n", "<!-- end of benchmarks -->")
COMMAND = "python bench/report.py"

INTRODUCTION = f"""<!-- Written by `{COMMAND}`; changes made by hand will be lost. -->

# Benchmarks

Where a figure has a goal, decibels say by how much it is met (+) or missed (-): +3 dB is twice as good. Ratios count: a
job and its rival run in turn, and the least time of each is taken. The rivals, in `python/flushpoint/bench/`, are what
a skilled user of numpy and numba writes for the same job. Every benchmark checks that the answers agree.
"""


def run(mode: str) -> tuple[list[dict[str, str]], int]:
    """Run the benchmarks in a process of their own; return the figures and pytest's exit code."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "benchmarks.json"
        command = [sys.executable, "-m", "pytest", "bench", "-o", "python_files=bench_*.py", "--benchmark-enable"]
        command += [f"--benchmark-json={out}", "--benchmark-columns=min,median,rounds", "-k", "not second"]
        code = subprocess.run(command, cwd=ROOT, env={**os.environ, "FLUSHPOINT_BENCH": mode}, check=False).returncode
        if not out.exists():
            sys.exit(f"no figures: pytest ended with code {code}")
        found = json.loads(out.read_text())["benchmarks"]
    return [figure for one in found for figure in one["extra_info"].get("figures", [])], code


def figures_table(figures: list[dict[str, str]]) -> str:
    rows = [["job", "figure", "measured", "goal", "dB", ""]]
    for f in figures:
        goal = f["goal"] + (f" (aim {f['aim']})" if f["aim"] else "")
        rows.append([f["job"], f["what"], f["measured"], goal, f["decibels"], f["note"]])
    return markdown(rows, right=(2, 4))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="small sizes, to try the command out")
    parser.add_argument("--output", type=Path, default=PAGE, help="the page to write (default: docs/benchmarks.md)")
    parser.add_argument("--readme", action="store_true", help="write the figures with a goal into README.md, too")
    arguments = parser.parse_args()

    figures, code = run("smoke" if arguments.smoke else "full")
    facts = {**machine(), "command": f"`{COMMAND}`"}
    about = markdown([["machine", ""], *([name, text] for name, text in facts.items())])
    note = "\nSmall sizes: these figures are for trying the command out.\n" if arguments.smoke else ""
    with whole(arguments.output) as made:
        made.write_text(f"{INTRODUCTION}{note}\n{about}\n{figures_table(figures)}")
    print(f"wrote {arguments.output}")
    if arguments.readme:
        before, rest = README.read_text().split(MARKS[0])
        after = rest.split(MARKS[1], 1)[1]
        short = figures_table([f for f in figures if f["goal"]])
        source = f"On {facts['processor']}, {facts['Python']}, by `{COMMAND}`:\n"
        with whole(README) as made:
            made.write_text(f"{before}{MARKS[0]}{source}\n{short}{MARKS[1]}{after}")
        print(f"wrote {README}")
    return code


if __name__ == "__main__":
    sys.exit(main())
