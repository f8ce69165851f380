"""A run in parts: rows are worked out in ranges, here or elsewhere, kept on disk if wanted, and put together again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flushpoint import _core
from flushpoint._validate import memory, one_of, read_only
from flushpoint.checkpoint import Checkpoint, check_directory
from flushpoint.ensemble import Ensemble
from flushpoint.executor import check_executor, places, spread
from flushpoint.result import STREAM
from flushpoint.seed import Seed
from flushpoint.streamed import StreamedEnsemble, check_pairs, folded, packed, streamed, unpacked

Columns = dict[str, NDArray[Any]]
Progress = Callable[[int, int], object] | None
Directory = str | PathLike[str] | None

#: Arguments that say where a run's rows are worked out and what is kept, and change none.
HOW = ("executor", "checkpoint", "keep")
MOST_ROWS = 2**16  # of a part
_PER_PLACE = 4  # parts for each task that an executor runs at a time, so that slow ones hold up little


@dataclass(frozen=True, eq=False)
class Job(ABC):
    """A run whose arguments are checked, before any work."""

    kind: type[Ensemble]
    question: str
    arguments: dict[str, Any]
    seed: Seed | None
    rows: range
    hidden: dict[str, Any]  # what the result keeps besides columns
    row_bytes: int  # of a result
    rows_at_once: int  # of a part
    threads: int
    progress: Progress

    @abstractmethod
    def columns(self, part: range, progress: Progress) -> Columns:
        """What the engine tells of some rows, one entry a row."""

    def outcome(self, columns: Columns, part: range) -> Ensemble:
        """Return the result that some rows make."""
        for column in columns.values():
            read_only(column)
        values = self._values(columns, part)
        return self.kind(self.question, self.arguments, values, self.seed, ((part.start, part.stop),))

    def _values(self, columns: Columns, part: range) -> dict[str, Any]:
        return {**columns, **self.hidden}

    def result(self, executor: Any = None, checkpoint: Path | None = None) -> Any:
        """Run all rows."""
        memory("paths x columns", len(self.rows), self.row_bytes)
        if executor is None and checkpoint is None:
            return self.outcome(self.columns(self.rows, self.progress), self.rows)
        whole: Columns = {}
        for part, columns in _parts(self, executor, checkpoint, fold=False):
            at = slice(part.start - self.rows.start, part.stop - self.rows.start)
            for name, column in columns.items():
                if name not in whole:
                    whole[name] = np.empty((len(self.rows), *column.shape[1:]), column.dtype)
                whole[name][at] = column
        return self.outcome(whole, self.rows)

    def summed(self, executor: Any = None, checkpoint: Path | None = None) -> StreamedEnsemble:
        """Run all rows, and keep what their columns add up to."""
        parts = _parts(self, executor, checkpoint, fold=True)
        return streamed(self.outline, self.rows, (unpacked(sums) for _, sums in parts))

    @property
    def outline(self) -> Ensemble:
        """The result of no rows."""
        return self.outcome({}, range(self.rows.start, self.rows.start))


def answered(job: Job, executor: object, checkpoint: object, keep: object, **needs_paths: object) -> Any:
    """Return the result of a job, worked out where and kept as the arguments of the same names say."""
    one_of("keep", keep, ("paths", "summary"))
    check_executor(executor)
    directory = check_directory(checkpoint)
    if keep == "paths":
        return job.result(executor, directory)
    for name, value in needs_paths.items():
        if value is not None:
            raise ValueError(f"{name} must be left out where keep is 'summary', was {value!r}")
    check_pairs(job.outline, job.rows)
    return job.summed(executor, directory)


def rows_at_once(steps: int) -> int:
    """How many paths make a part that takes a moment and little memory."""
    return max(64, min(MOST_ROWS, 2**28 // steps))


def check_seed(seed: object, kept: object, checkpoint: object) -> None:
    """Raise where the same call would not have the same random numbers."""
    if checkpoint is not None and seed is None and kept is not None:
        raise ValueError("seed must be given with a checkpoint, so that the same call is the same run, was None")


@dataclass(frozen=True)
class Work:
    """What an executor's workers get: any of a job's parts can be asked of it."""

    job: Job
    fold: bool
    made_by: tuple[str, int] = (_core.__version__, STREAM)

    def __call__(self, part: range, progress: Progress = None) -> Columns:
        """Work a part out."""
        here = (_core.__version__, STREAM)
        if self.made_by != here:
            raise RuntimeError(f"workers must have flushpoint {self.made_by[0]}, stream {self.made_by[1]}, have {here}")
        columns = self.job.columns(part, progress)
        return packed(folded(self.job.outcome(columns, part))) if self.fold else columns


def _parts(job: Job, executor: Any, directory: Path | None, *, fold: bool) -> Generator[tuple[range, Columns]]:
    """Yield the columns of all parts in any order: those on disk first, then those that have to be worked out."""
    size = job.rows_at_once
    if executor is not None:
        size = max(1, min(size, -(-len(job.rows) // (_PER_PLACE * places(executor)))))
    size += size % 2  # antithetic paths stay together
    store = None if directory is None else Checkpoint(directory, job.outline, job.rows, fold, size)
    parts = _cut(job.rows, size if store is None else store.size)
    done, total = 0, len(job.rows)
    if store is not None:
        missing = []
        for part in parts:
            found = store.read(part)
            if found is None:
                missing.append(part)
                continue
            done += len(part)
            yield part, found
        parts = missing
        if done and job.progress is not None:
            job.progress(done, total)
    with closing(_worked_out(job, parts, executor, fold, done)) as found_parts:
        for part, found in found_parts:
            if store is not None:
                store.write(part, found)
            yield part, found


def _worked_out(job: Job, parts: list[range], executor: Any, fold: bool, done: int) -> Generator[tuple[range, Columns]]:
    report, total = job.progress, len(job.rows)
    if executor is None:
        work = Work(job, fold)
        for part in parts:
            yield part, work(part, _onwards(report, done, total))
            done += len(part)
        return
    # An executor has a place for each processor already.
    sent = Work(replace(job, threads=job.threads or 1, progress=None), fold)
    with closing(spread(sent, parts, executor)) as found_parts:
        for part, found in found_parts:
            done += len(part)
            yield part, found
            if report is not None:
                report(done, total)


def _onwards(report: Progress, done: int, total: int) -> Progress:
    """What a part reports to that begins when so many rows are done."""
    return None if report is None else lambda more, _: report(done + more, total)


def _cut(rows: range, size: int) -> list[range]:
    if not rows:
        return [rows]
    return [range(start, min(start + size, rows.stop)) for start in range(rows.start, rows.stop, size)]
