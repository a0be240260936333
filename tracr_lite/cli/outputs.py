"""Standard output that takes no more: nobody reads on, as with `| head`, or a disk is full."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress

from tracr_lite.errors import TracrLiteError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


class Unread(Exception):
    """The pipe that standard output goes to was closed at its other end."""


class Unwritable(TracrLiteError):
    """Standard output is a file that cannot hold it."""


@contextmanager
def checked() -> Generator[None]:
    """Empties the buffer of standard output at the end, so that nothing fails after that.

    **Raises:** `Unread` and `Unwritable`; from then on nothing is written any more.
    """
    try:
        try:
            yield
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except BrokenPipeError as error:
        _forget()
        raise Unread from error
    except SystemExit as error:
        if isinstance(error.__context__, BrokenPipeError):  # rich ends the program itself
            raise Unread from error
        raise
    except OSError as error:
        if error.filename is not None or error.errno not in FULL:
            raise
        _forget()
        raise Unwritable(f"standard output cannot be written: {error.strerror}") from error


def _forget() -> None:
    """What is still in the buffer goes nowhere; Python writes it once more when it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    with suppress(OSError, AttributeError):  # a stream of a test or a notebook has no file
        os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
