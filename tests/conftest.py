"""One hypothesis profile for all tests: the same examples on every run and machine."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "flushpoint",
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
settings.load_profile("flushpoint")
