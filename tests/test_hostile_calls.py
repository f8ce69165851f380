"""A share of the storm of hostile calls; `python tests/hostile.py` runs a million."""

import numpy as np
import pytest

import flushpoint as fp
import hostile
from flushpoint._validate import real_array


def test_hostile_calls_answer_or_say_what_is_wrong() -> None:
    counted, failures = hostile.storm(1, range(1_800))
    assert not failures, "\n".join(failures)
    for question, _ in hostile.QUESTIONS:
        assert counted[f"{question.__name__} answered"] > 10
        assert counted[f"{question.__name__} refused"] > 0


def aligned_at(offset: int, dtype: type) -> np.ndarray:
    """Return an array that begins so many bytes behind where memory was allotted."""
    array = np.zeros(32 + offset, dtype=np.uint8)[offset:].view(dtype).reshape(2, -1)
    array[:] = 0.01
    return array


def test_what_the_storm_found() -> None:
    """Each of these warned, or went on for minutes."""
    with pytest.raises(ValueError, match="volume / liquidity must be finite, was inf at index 0"):
        fp.LinearImpact(1e-3).displacement([1.0], liquidity=5e-324)
    with pytest.raises(ValueError, match="margin must be finite, was inf at index 0"):
        fp.Book.from_positions([1], [1e300], [1e300], leverage=10, schedule=fp.MarginSchedule.flat(0.005))
    huge = fp.Accounts([0, 0], ["A", "B"], [1e200, 1.0], [1e200, 1.0], [1.0], fp.MarginSchedule.flat(0.005))
    with pytest.raises(ValueError, match=r"quantity x entry_price must be finite in sum, was inf"):
        huge.alive(fp.Markets({name: fp.Market(1.0, fp.LinearImpact(0.0)) for name in "AB"}))
    price = np.array([100.0, 101.0])
    history = {"open": price, "high": price, "low": [1e-300, 101.0], "close": price, "open_interest": price}
    with pytest.raises(ValueError, match=r"low must be within a factor of 1e\+12 of the largest high, 101, was 1e-300"):
        fp.predict_liquidations(history)
    assert aligned_at(1, np.float64).flags.aligned is False
    for dtype in (np.float64, np.float32):
        given = fp.Returns(aligned_at(1, dtype)).array
        assert given.flags.aligned
        assert given.dtype == dtype
    assert real_array("price", aligned_at(8, np.float64)).base is not None  # no copy
    with pytest.raises(ValueError, match=r"quantity must be positive and finite, was inf at index 0"):
        fp.Book(-1, [7.0], [120.0]).scaled(1e4, 5e-324)
    wild = {"column": "low_price", "at_most": 50.0, "paths": 1_000, "runs": 5, "seed": 1}
    with pytest.raises(ValueError, match="process must keep prices within what a number holds, was GBM"):
        fp.tail_probability(fp.Book([], [], []), fp.Market(100.0, fp.LinearImpact(0.0)), fp.GBM(1e30), **wild)
    nobody = np.empty(0, dtype=complex)
    assert fp.Accounts(nobody, [], [], [], [1.0], fp.MarginSchedule.flat(0.005)).account.size == 0
