"""Run the scenarios that come with the package, and write how they meet what was reported into docs/scenarios.md.

    python validation/scenarios.py

Only the text between the page's marks is replaced. Takes about half a minute.
"""

from __future__ import annotations

from pathlib import Path

from page import table, write

import flushpoint as fp
from flushpoint.scenario_report import target_value
from flushpoint.target import measured
from flushpoint.unreconciled import unreconciled

PAGE = Path(__file__).parents[1] / "docs" / "scenarios.md"


def scenario_block(name: str) -> str:
    """Set one line a target, then what cannot hold together."""
    scenario = fp.Scenario.load(name)
    simulated = measured(scenario, scenario.targets)
    rows = [["", "reported", "simulated", "difference", ""]]
    for key, target in scenario.targets.items():
        figures = (target_value(value, target.relative) for value in (target.reported, simulated[key]))
        off = f"{100 * target.difference(simulated[key]):+.1f} {'%' if target.relative else 'points'}"
        rows.append([key.replace("_", " "), *figures, off, "fitted" if target.fit else "compared"])
    text = f"### {name}\n\n{scenario.title}.\n"
    if scenario.targets:
        text += f"\n{table(rows)}"
    found = unreconciled(scenario)
    if found:
        text += "\nWhat cannot hold together:\n\n" + "".join(f"- {one['text']}\n" for one in found)
    return text


def shipped_block() -> str:
    """Set all of them, one after the other."""
    return "\n".join(scenario_block(name) for name in fp.Scenario.names())


def main() -> None:
    """Run everything and rewrite the page's block."""
    write(PAGE, {"shipped": shipped_block}, "validation/scenarios.py")


if __name__ == "__main__":
    main()
