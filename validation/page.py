"""What the commands of this directory share: tables, and blocks of a page that only they write."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from flushpoint._shown import markdown
from flushpoint._whole import whole


def table(rows: Sequence[Sequence[str]]) -> str:
    """Set rows as a Markdown table, all columns but the first to the right."""
    return markdown(rows, right=range(1, len(rows[0])))


def insert(page: str, name: str, text: str, command: str) -> str:
    """Put `text` between the two marks of a block that a command writes."""
    begin, end = f"<!-- {name}: written by {command} -->\n", f"<!-- end of {name} -->"
    if page.count(begin) != 1 or page.count(end) != 1:
        raise ValueError(f"the page must have the marks of {name!r} once, was without or has more")
    before, rest = page.split(begin)
    return f"{before}{begin}\n{text}\n{end}{rest.split(end)[1]}"


def write(path: Path, blocks: Mapping[str, Callable[[], str]], command: str) -> None:
    """Work out all blocks of a page and put them there."""
    for name in blocks:
        insert(path.read_text(), name, "", command)  # a missing mark is found before the work
    texts = {}
    for name, measure in blocks.items():
        start = time.perf_counter()
        texts[name] = measure()
        print(f"{name}: {time.perf_counter() - start:.0f} s", flush=True)
    page = path.read_text()
    for name, text in texts.items():
        page = insert(page, name, text, command)
    with whole(path) as made:
        made.write_text(page)
    print(f"wrote {path}")
