"""What holds for all tests."""

import signal

from hypothesis import HealthCheck, settings

# A busy machine is no fault of the code: examples have no deadline, and may be slow to draw.
settings.register_profile(
    "any_machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any_machine")

# A job in the background ignores these signals, and so would the processes that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
