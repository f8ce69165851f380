"""Parts of a run kept on disk, so that the same call goes on where it was interrupted."""

from __future__ import annotations

import hashlib
import io
import json
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flushpoint.ensemble import Ensemble, _digest

_MANIFEST = "run.json"
_FORMAT = 1


def check_directory(checkpoint: object) -> Path | None:
    """Return where parts are kept, if anywhere."""
    if checkpoint is None:
        return None
    if not isinstance(checkpoint, (str, os.PathLike)):
        raise TypeError(f"checkpoint must be a path of a directory, was {type(checkpoint).__name__}")
    path = Path(checkpoint)
    if path.exists() and not path.is_dir():
        raise ValueError(f"checkpoint must be a directory, was the file {str(path)!r}")
    return path


class Checkpoint:
    """A directory of parts of one run, each in a file of its own, and a manifest that tells which run it is.

    Parameters
    ----------
    directory : Path
        New, empty or of the same run.
    outline : Ensemble
        A result of the run.
    rows : range
    fold : bool
        Whether parts are sums, or columns.
    size : int
        Rows of a part, in a new directory.

    Attributes
    ----------
    size : int
        Rows of a part: those that the directory began with.
    """

    def __init__(self, directory: Path, outline: Ensemble, rows: range, fold: bool, size: int) -> None:
        self._directory = directory
        told = {**outline._identity, "the argument columns": outline._names, "paths": [rows.start, rows.stop]}
        told["keep"] = "summary" if fold else "paths"
        identity = {name: [_digest(value), _plain(value)] for name, value in told.items()}
        self._run = _digest(identity)
        manifest = directory / _MANIFEST
        if manifest.exists():
            self.size = self._resumed(manifest, identity)
            return
        directory.mkdir(parents=True, exist_ok=True)
        if any(entry.name != f"{_MANIFEST}.tmp" for entry in directory.iterdir()):
            raise ValueError(f"checkpoint must be a directory of one run, was {str(directory)!r} with other files")
        self.size = size
        told_all = {"format": _FORMAT, "rows": size, "run": identity}
        _write(manifest, json.dumps(told_all, indent=1).encode())

    def _resumed(self, manifest: Path, identity: dict[str, list[Any]]) -> int:
        """Return how many rows a part has, or say in what the run on disk differs."""
        where = f"checkpoint {str(self._directory)!r}"
        try:
            told = json.loads(manifest.read_bytes())
            stored, size, known = dict(told["run"]), int(told["rows"]), told["format"]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{where} must hold a manifest that can be read, {_MANIFEST}: {error!r}") from None
        if known != _FORMAT or size < 1:
            raise ValueError(f"{where} must be of format {_FORMAT} and have parts of rows, was {known!r} with {size}")
        for name in stored | identity:
            there, here = stored.get(name), identity.get(name)
            if there is None or here is None:
                raise ValueError(f"{where} must be of the same run, differs in {name}, which only one has")
            if there[0] != here[0]:
                plain = f": {there[1]} there, {here[1]} here" if there[1] and here[1] else ""
                raise ValueError(f"{where} must be of the same run, differs in {name}{plain}")
        return size

    def read(self, part: range) -> dict[str, NDArray[Any]] | None:
        """Return a part, or None where it is not there or damaged."""
        file = self._file(part)
        try:
            data = file.read_bytes()
        except FileNotFoundError:
            return None
        seal, body = data[:64], data[64:]
        if seal != self._seal(part, body):
            warnings.warn(f"checkpoint: {file} is damaged, its paths are run again", RuntimeWarning, stacklevel=2)
            return None
        with np.load(io.BytesIO(body), allow_pickle=False) as columns:
            return dict(columns)

    def write(self, part: range, columns: dict[str, NDArray[Any]]) -> None:
        """Keep a part: whole, or not at all."""
        out = io.BytesIO()
        np.savez(out, **columns)  # type: ignore[arg-type]
        body = out.getvalue()
        _write(self._file(part), self._seal(part, body) + body)

    def _file(self, part: range) -> Path:
        return self._directory / f"{part.start}-{part.stop}.part"

    def _seal(self, part: range, body: bytes) -> bytes:
        """A checksum that holds for these paths of this run only."""
        head = f"{self._run} {part.start} {part.stop} ".encode()
        return hashlib.sha256(head + body).hexdigest().encode()


def _write(file: Path, data: bytes) -> None:
    beside = file.with_name(f"{file.name}.tmp")
    with beside.open("wb") as out:
        out.write(data)
        out.flush()
        os.fsync(out.fileno())
    beside.replace(file)
    if os.name == "posix":  # where the new name, too, may be lost
        directory = os.open(file.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def _plain(value: object) -> str | None:
    """Show a value that is short."""
    return repr(value) if value is None or isinstance(value, (bool, int, float, str, list)) else None
