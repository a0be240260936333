"""What holds for all tests."""

import re
import signal

import pytest
from hypothesis import HealthCheck, settings

# A busy machine is no fault of the code: examples have no deadline, and may be slow to draw.
settings.register_profile(
    "any_machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any_machine")

# A job in the background ignores these signals, and so would the processes that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """No test is named after a set or an address: they differ from one process to the next."""
    for item in items:
        if re.search(r" at 0x[0-9a-f]{4}", item.name):
            raise pytest.UsageError(f"{item.nodeid}: its id has an address in it; give ids")
        values = item.callspec.params.values() if hasattr(item, "callspec") else ()
        for value in values:
            if (
                isinstance(value, set | frozenset)
                and len(value) > 1
                and repr(value) in item.name
            ):
                raise pytest.UsageError(f"{item.nodeid}: the id of {value!r} needs an order")
