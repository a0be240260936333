"""Ctrl-C that is not lost: Python drops one that comes while the collector calls JAX."""

from __future__ import annotations

import _thread
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager

LATER = 0.05  # seconds: the collector has returned by then


@contextmanager
def kept() -> Generator[None]:
    """Raises again, a moment later, an interrupt that nothing could be raised from."""
    before = sys.unraisablehook

    def again(dropped: sys.UnraisableHookArgs) -> None:
        if issubclass(dropped.exc_type, KeyboardInterrupt):
            timer = threading.Timer(LATER, _thread.interrupt_main)
            timer.daemon = True
            timer.start()
        else:
            before(dropped)

    sys.unraisablehook = again
    try:
        yield
    finally:
        sys.unraisablehook = before
