"""Collect the chief figures of the pages of comparisons into docs/validation.md.

    python validation/summary.py        after any of the commands that write those pages

Only the text between the page's marks is replaced. Takes a moment.
"""

from __future__ import annotations

from pathlib import Path

from page import table, write

DOCS = Path(__file__).parents[1] / "docs"
PAGE = DOCS / "validation.md"
FIT = ("goal", "**predicted, defaults**", "open to low, open to high, squared")


def block(page: str, name: str) -> list[list[str]]:
    """Read the table between the marks of a block, without the rule below its head."""
    text = (DOCS / f"{page}.md").read_text()
    inside = text.split(f"<!-- {name}: written by validation/{page}.py -->")[1].split(f"<!-- end of {name} -->")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in inside.splitlines() if line[:1] == "|"]
    return [rows[0], *rows[2:]]


def chosen(page: str, name: str, *first: str) -> str:
    """Set the rows of a block whose first cell is among those given; without any, all rows."""
    head, *rows = block(page, name)
    missing = set(first) - {row[0] for row in rows}
    if missing:
        raise ValueError(f"the block {name!r} of {page}.md must have the rows {', '.join(sorted(missing))}")
    return table([head, *(row for row in rows if not first or row[0] in first)])


def margin_block() -> str:
    """Set both snapshots with the venue's tiers, at the wider tolerance."""
    head, *rows = block("real_accounts", "margin")
    return table([head, *(row for row in rows if row[1:3] == ["tiers", "1e-04"])])


def policies_block() -> str:
    """Set some published policies above those of a venue, which have fewer columns."""
    published = block("auto_deleveraging", "policies")
    ours = block("auto_deleveraging", "ours")
    names = ("what the venue's queue took", "pro rata of profit", "least highest share, whole contracts")
    rows = [row[:3] for row in published if row[0] in names]
    rows += [[f'`adl="{row[0]}"`', *row[1:3]] for row in ours if row[0] in ("queue", "pro_rata_profit")]
    return table([published[0][:3], *rows])


def main() -> None:
    """Collect everything and rewrite the page's blocks."""
    blocks = {
        "fit": lambda: chosen("hidden_book", "fit", *FIT),
        "months": lambda: chosen("hidden_book", "months"),
        "volume": lambda: chosen("hidden_book", "volume", "decile 1", "decile 5", "decile 10", "all"),
        "margin": margin_block,
        "later": lambda: chosen("real_accounts", "later"),
        "policies": policies_block,
    }
    write(PAGE, blocks, "validation/summary.py")


if __name__ == "__main__":
    main()
