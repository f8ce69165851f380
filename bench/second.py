"""Second opinions on the same jobs: rivals that stand beside the repository."""

import functools
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from flushpoint.bench import workloads

_RIVALS = Path(__file__).parents[2] / "shared" / "rivals" / "rivals.py"


@functools.cache
def rivals():
    """Their module, where there is one."""
    if not _RIVALS.exists():
        pytest.skip("no second rival beside the repository")
    spec = importlib.util.spec_from_file_location("flushpoint_second_rivals", _RIVALS)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (module.P0, module.LAM) == (workloads.PRICE, workloads.COEFFICIENT), "the rivals must be set the same job"
    return module


def redrawn_books(count, sizes, falls, price, closed):
    assert sizes == workloads.LOG_NORMAL
    rivals().j2(count, falls, price, closed)


def settle_waves(triggers, quantities, owed, falls, depths, refill, fund, price, closed, waves, money):
    out = np.empty((falls.size, 6))
    rivals().j3(triggers, quantities, owed, falls, depths, refill, fund, out)
    price[:], closed[:], waves[:], money[:] = out[:, 0], out[:, 1], out[:, 2], out[:, 3:]
