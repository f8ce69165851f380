"""A share of the storm of hostile calls; `python tests/hostile.py` runs a million."""

import hostile


def test_hostile_calls_answer_or_say_what_is_wrong() -> None:
    counted, failures = hostile.storm(1, range(1_500))
    assert not failures, "\n".join(failures)
    for question, _ in hostile.QUESTIONS:
        assert counted[f"{question.__name__} answered"] > 10
        assert counted[f"{question.__name__} refused"] > 0
