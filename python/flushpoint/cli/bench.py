"""The command that times the engine on this machine."""

from __future__ import annotations

from flushpoint import bench as jobs
from flushpoint import report
from flushpoint.cli import options
from flushpoint.cli.output import print_json, progress


@options.command
def bench(threads: options.Threads = 1, as_json: options.AsJson = False) -> None:
    """Time the main jobs on this machine, each beside numpy's time for one normal number."""
    with progress("jobs") as shown:
        facts = jobs.run(threads=threads, progress=shown)
    if as_json:
        print_json(facts)
        return
    rows = [
        (one["job"], f"{one['seconds'] * 1e3:,.4g}", f"{one['count']:,}", one["unit"], f"{one['each'] * 1e9:,.4g}")
        for one in facts["jobs"]
    ]
    engine = f"flushpoint {facts['version']}, {facts['instruction_set']}, {facts['threads']} threads"
    report.show([(engine, [report.table(("job", "ms", "of", "", "ns each"), rows)])])
