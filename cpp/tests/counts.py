"""Compare the instructions of fixed jobs with those on record: one that got slower shows on any machine.

    cmake --build BUILD --target count_jobs && python cpp/tests/counts.py BUILD/cpp/tests/count_jobs
    python cpp/tests/counts.py BUILD/cpp/tests/count_jobs --write  # after a change that is meant

Counted by valgrind, on the baseline instruction set, of a Release build. Counts hold for one compiler: another is
named, and nothing is compared.
"""

import argparse
import json
import os
import re
import subprocess
import sys
from pathlib import Path

RECORD = Path(__file__).with_name("counts.json")
TOLERANCE = 0.03
JOBS = ("cascade", "stress", "simulate", "visits", "venue")


def instructions(driver: str, job: str) -> int:
    """Return how many instructions a job takes."""
    command = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null", driver, job]
    environment = {**os.environ, "FLUSHPOINT_ISA": "baseline"}
    told = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stderr
    found = re.search(r"I +refs: +([\d,]+)", told)
    if found is None:
        sys.exit(f"valgrind told no count:\n{told}")
    return int(found[1].replace(",", ""))


def main() -> int:
    """Tell each job's count and by how much it differs; fail where that is more than the tolerance."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("driver")
    parser.add_argument("--write", action="store_true", help="put these counts on record")
    given = parser.parse_args()
    compiler = subprocess.run([given.driver, "--compiler"], check=True, capture_output=True, text=True).stdout.strip()
    record = json.loads(RECORD.read_text()) if RECORD.exists() else {"compiler": None, "instructions": {}}
    if not given.write and compiler != record["compiler"]:
        print(f"counts on record are those of compiler {record['compiler']}, this is {compiler}: nothing to compare")
        return 0
    counts = {job: instructions(given.driver, job) for job in JOBS}
    worst = 0.0
    for job, count in counts.items():
        known = record["instructions"].get(job, count)
        change = count / known - 1
        worst = max(worst, abs(change))
        print(f"{job:10} {count:15,} {change:+8.2%}")
    if given.write:
        RECORD.write_text(json.dumps({"compiler": compiler, "instructions": counts}, indent=2) + "\n")
        return 0
    if worst > TOLERANCE:
        print(f"more than {TOLERANCE:.0%} from {RECORD.name}; a change that is meant is put on record by --write")
    return worst > TOLERANCE


if __name__ == "__main__":
    sys.exit(main())
