"""A worker process: reads jobs from its pipe, and writes an answer to each, in their order.

A second pipe, which nobody writes to, tells when the process that started it closes its end, or
dies: then this one ends at once, also in the middle of a job.
"""

# pyright: reportUnknownMemberType=false, reportMissingTypeStubs=false
# (cloudpickle is not typed)

from __future__ import annotations

import gc
import os
import pickle
import signal
import struct
import time
import traceback
from collections.abc import Callable
from importlib import import_module
from multiprocessing.connection import Connection
from threading import Thread

import cloudpickle

from tracr_lite.errors import TracrLiteError
from tracr_lite.mass.errors import MassError

STAMP = struct.Struct("<?d")  # whether the job failed, and when it ended (time.monotonic)

Handle = Callable[[bytes], bytes]


def main(file: int, lifeline: int, function: str) -> None:
    """Answers jobs with `function`, named `module:name`, until a pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the business of the main process
    connection: Connection[bytes, bytes] = Connection(file)
    module, name = function.split(":")
    handle: Handle = getattr(import_module(module), name)
    gc.freeze()  # what was imported is never garbage: not looked at again
    gc.set_threshold(20_000, 20, 20)  # a job makes few cycles
    Thread(target=_end_with, args=(lifeline,), daemon=True).start()
    try:
        connection.send_bytes(STAMP.pack(False, time.monotonic()))
        while True:
            connection.send_bytes(_answer(handle, connection.recv_bytes()))
    except (EOFError, OSError):
        os._exit(0)


def _end_with(lifeline: int) -> None:
    """Waits until the other end is closed."""
    os.read(lifeline, 1)
    os._exit(0)


def _answer(handle: Handle, job: bytes) -> bytes:
    try:
        failed, body = False, handle(job)
    except BaseException as error:  # also the SystemExit of a function in a program
        failed, body = True, dump_error(error)
    return STAMP.pack(failed, time.monotonic()) + body


def dump_error(error: BaseException) -> bytes:
    """The bytes of an exception; if it cannot be pickled, of one that quotes it."""
    text = "".join(traceback.format_exception(error))
    if not isinstance(error, TracrLiteError):
        error.add_note(f"in a worker process:\n{text}")
    try:
        blob: bytes = cloudpickle.dumps(error)
        if isinstance(pickle.loads(blob), Exception):
            return blob
    except Exception:  # its own code runs here, and may raise anything
        pass
    return cloudpickle.dumps(MassError(f"{type(error).__name__} in a worker process:\n{text}"))
