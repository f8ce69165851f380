"""Run the Python blocks of the documents and write what each prints below it.

    python validation/examples.py        all pages of docs/ that have such blocks, or those named

A page's blocks run in order, in one namespace and an empty directory. tests/test_docs.py checks that they still print
what stands there. Blocks marked ``py`` instead of ``python`` need data of the reader's own, and are left alone. Takes a
few seconds.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[1] / "docs"
BLOCK = re.compile(r"```python\n(.*?)```\n(?:\n```text\n.*?```\n)?", re.DOTALL)


def rewritten(text: str) -> str:
    """Return the page with what its blocks print."""
    names: dict[str, Any] = {}

    def ran(block: re.Match[str]) -> str:
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(compile(block[1], "block", "exec"), names)
        printed = out.getvalue()
        return f"```python\n{block[1]}```\n" + (f"\n```text\n{printed}```\n" if printed else "")

    with tempfile.TemporaryDirectory() as empty, contextlib.chdir(empty):
        return BLOCK.sub(ran, text)


def main(argv: Sequence[str] | None = None) -> None:
    """Rewrite the pages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", type=Path, nargs="*", default=sorted(DOCS.rglob("*.md")))
    os.environ["MPLBACKEND"] = "Agg"
    for page in parser.parse_args(argv).pages:
        text = page.read_text()
        new = rewritten(text)
        if new != text:
            page.write_text(new)
            print(f"wrote {page}")


if __name__ == "__main__":
    main()
