"""For all tests: the same hypothesis examples on every run and machine, and Ctrl-C as a terminal sends it.

Other examples: ``pytest --hypothesis-profile=other --hypothesis-seed=7``.
"""

import signal

from hypothesis import HealthCheck, settings

# A shell starts what it runs in the background with interrupts ignored, and Python leaves it at that.
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile(
    "flushpoint",
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
settings.register_profile("other", settings.get_profile("flushpoint"), derandomize=False)
settings.load_profile("flushpoint")
