"""A progress bar for work that turns out to be slow."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from threading import Timer

from rich.console import Console
from rich.progress import Progress

DELAY = 1.0  # seconds: quicker work shows nothing
PATIENCE = 2.0  # seconds before a note


@contextmanager
def progress_bar(what: str, quiet: bool = False) -> Generator[Callable[[int, int], None]]:
    """Gives a function to call with what has just been done, and with all there is.

    The bar appears on standard error once a second has passed, if that is a terminal.
    """
    console = Console(stderr=True)
    shown = console.is_terminal and not quiet
    bar = Progress(console=console, transient=True)
    task = bar.add_task(what, total=None)
    begin = time.monotonic()

    def advance(count: int, total: int) -> None:
        bar.update(task, total=total, advance=count)
        if shown and not bar.live.is_started and time.monotonic() - begin > DELAY:
            bar.start()

    try:
        yield advance
    finally:
        if bar.live.is_started:
            bar.stop()


@contextmanager
def note_after(what: str, quiet: bool = False) -> Generator[None]:
    """Says on a terminal's standard error what takes so long, once two seconds have passed."""
    timer = Timer(PATIENCE, lambda: say(f"note: {what}"))
    timer.daemon = True
    if sys.stderr is not None and sys.stderr.isatty() and not quiet:
        timer.start()
    try:
        yield
    finally:
        timer.cancel()


def say(text: str) -> None:
    """A line on standard error, if that is open and takes one: no text is lost for a note."""
    if sys.stderr is not None:
        with suppress(OSError):
            print(text, file=sys.stderr, flush=True)
