"""Files that are written whole or not at all."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Give a place beside `path` to write to; what is there takes its place once nothing has failed."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".writing-") as scratch:
        made = Path(scratch, path.name)
        yield made
        made.replace(path)
