"""The errors of mass compiling and of data sets."""

from __future__ import annotations

from tracr_lite.errors import TracrLiteError


class MassError(TracrLiteError, RuntimeError):
    """Base class of what is raised here."""


class WorkerDied(MassError):
    """The process that compiled a program died, twice: killed, out of memory, or crashed."""


class TimedOut(MassError, TimeoutError):
    """A program was not compiled within its time."""


class NotSendable(MassError, TypeError):
    """A program cannot be sent to another process, or its model cannot be sent back."""


class DatasetError(MassError, ValueError):
    """A data set cannot be written or read: other arguments, damage, or the disk."""
