"""Checkpoints: killed runs go on to the same bits; other runs and damaged parts are told."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import flushpoint as fp
from test_executor import BOOK, JOBS, MARKET, RUN, Unreliable, later


def run(directory: Path, **changes: Any) -> Any:
    return fp.simulate(BOOK, MARKET, fp.GBM(1.5), checkpoint=directory, **{**RUN, **changes})


def in_parts(directory: Path, **changes: Any) -> Any:
    return run(directory, executor=Unreliable(1, failing=0.0, forgetting=0.0), **changes)


def parts(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.part"))


CHILD = """
import os, signal, sys
sys.path.insert(0, "tests")
from test_checkpoint import in_parts, Path

def kill(done, total):
    if done > total / 2:
        os.kill(os.getpid(), signal.SIGKILL)

in_parts(Path(sys.argv[1]), keep=sys.argv[2], progress=kill)
"""


@pytest.mark.parametrize("keep", ["paths", "summary"])
def test_a_killed_run_goes_on_to_the_same_bits(keep: str, tmp_path: Path) -> None:
    directory = tmp_path / "new" / "run"
    root = Path(__file__).parents[1]
    dead = subprocess.run([sys.executable, "-c", CHILD, directory, keep], cwd=root, capture_output=True)
    assert dead.returncode == -signal.SIGKILL, dead.stderr
    kept = parts(directory)
    stamps = [file.stat().st_mtime_ns for file in kept]
    assert len(kept) >= 4
    told: list[int] = []
    # Where and how it goes on does not matter.
    found = run(directory, keep=keep, threads=1, progress=lambda done, total: told.append(done))
    here = JOBS["paths"](keep=keep)
    assert found == here
    assert found.id == here.id
    if keep == "paths":
        assert later(found) == later(here)
    assert told[0] >= 4 * 18
    assert told[-1] == 203
    assert [file.stat().st_mtime_ns for file in kept] == stamps
    assert len(parts(directory)) > len(kept)
    assert not list(directory.glob("*.tmp"))
    told.clear()
    assert run(directory, keep=keep, progress=lambda done, total: told.append(done)) == here
    assert told == [203]


@pytest.mark.parametrize("name", JOBS)
def test_any_run_is_kept(name: str, tmp_path: Path) -> None:
    job = JOBS[name]
    here = job()
    with ThreadPoolExecutor(2) as pool:
        assert job(executor=pool, checkpoint=tmp_path) == here
        assert len(parts(tmp_path)) >= 8
        parts(tmp_path)[3].unlink()
        found = job(checkpoint=str(tmp_path))
    assert found == here
    assert later(found) == later(here)


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "of other paths", "of another run"])
def test_a_damaged_part_is_told_and_run_again(damage: str, tmp_path: Path) -> None:
    here = in_parts(tmp_path / "run")
    victim = parts(tmp_path / "run")[2]
    data = victim.read_bytes()
    if damage == "cut":
        victim.write_bytes(data[:-20])
    elif damage == "flipped":
        victim.write_bytes(data[:200] + bytes([data[200] ^ 1]) + data[201:])
    elif damage == "empty":
        victim.write_bytes(b"")
    elif damage == "of other paths":
        shutil.copy(parts(tmp_path / "run")[3], victim)
    else:
        in_parts(tmp_path / "other", seed=4)
        shutil.copy(tmp_path / "other" / victim.name, victim)
    with pytest.warns(RuntimeWarning, match=rf"^checkpoint: .*{victim.name} is damaged, its paths are run again$"):
        assert run(tmp_path / "run") == here
    assert victim.read_bytes() == data
    assert run(tmp_path / "run") == here


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 4}, "differs in seed: 3 there, 4 here"),
        ({"steps": 25}, "differs in the argument steps: 24 there, 25 here"),
        ({"paths": range(5, 209)}, r"differs in paths: \[5, 208\] there, \[5, 209\] here"),
        ({"keep": "summary"}, "differs in keep: 'paths' there, 'summary' here"),
        ({"columns": ["waves"]}, "differs in the argument columns"),
        ({"venue": fp.Venue()}, "differs in the argument venue"),
    ],
)
def test_another_run_is_refused_with_what_differs(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    in_parts(tmp_path)
    with pytest.raises(ValueError, match=rf"^checkpoint '.*' must be of the same run, {message}$"):
        run(tmp_path, **changes)
    assert len(parts(tmp_path)) >= 8


def test_another_book_or_question_is_refused(tmp_path: Path) -> None:
    in_parts(tmp_path)
    with pytest.raises(ValueError, match=r"differs in the argument book$"):
        fp.simulate(BOOK.scaled(1.0, 100.0), MARKET, fp.GBM(1.5), checkpoint=tmp_path, **RUN)
    with pytest.raises(ValueError, match=r"differs in question: 'simulate' there, 'stress' here$"):
        fp.stress(BOOK, MARKET, checkpoint=tmp_path)


def test_a_directory_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"^checkpoint must be a directory of one run, was '.*' with other files$"):
        run(tmp_path)
    with pytest.raises(ValueError, match=r"^checkpoint must be a directory, was the file '.*notes\.txt'$"):
        run(tmp_path / "notes.txt")
    with pytest.raises(TypeError, match=r"^checkpoint must be a path of a directory, was int$"):
        run(3)  # type: ignore[arg-type]
    assert os.listdir(tmp_path) == ["notes.txt"]


@pytest.mark.parametrize("manifest", ["", "{", "[]", '{"run": {}}', '{"run": [1], "rows": 1, "format": 1}'])
def test_a_manifest_that_cannot_be_read_is_told(manifest: str, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(manifest)
    with pytest.raises(ValueError, match=r"must hold a manifest that can be read, run\.json: "):
        run(tmp_path)


def test_a_manifest_of_another_format_is_told(tmp_path: Path) -> None:
    in_parts(tmp_path)
    told = json.loads((tmp_path / "run.json").read_text())
    (tmp_path / "run.json").write_text(json.dumps({**told, "format": 9}))
    with pytest.raises(ValueError, match=r"must be of format 1 and have parts of rows, was 9 with \d+$"):
        run(tmp_path)


def test_a_fresh_seed_would_be_another_run(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^seed must be given with a checkpoint, .*, was None$"):
        run(tmp_path / "run", seed=None)
    assert not (tmp_path / "run").exists()
    seed = np.random.SeedSequence(7).spawn(1)[0]
    assert run(tmp_path, seed=seed) == run(tmp_path, seed=seed)
