"""Opens the files of a saved model: both of the same one, even while it is being replaced."""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from io import BufferedReader
from pathlib import Path

import numpy as np

from tracr_lite.compiler.saving.fields import Fields, shown
from tracr_lite.compiler.saving.json_text import MAX_BYTES
from tracr_lite.compiler.saving.names import OLD, RECORD, WEIGHTS, foreign, work_folder_of
from tracr_lite.errors import SavedModelError

CHUNK = 1 << 20
_TRIES = 20  # of opening a folder that is replaced over and over
_PAUSE = 0.01  # seconds, where replacing takes two steps


@contextmanager
def opened(folder: Path) -> Generator[tuple[BufferedReader, BufferedReader]]:
    """The record and the weights. **Raises:** `SavedModelError` if one is not there."""
    with ExitStack() as stack:
        for attempt in range(_TRIES):
            handle = _open_folder(folder, patient=attempt < _TRIES - 1)
            if handle is None:
                continue
            stack.callback(os.close, handle)
            record, weights = (_open_file(name, handle, stack) for name in (RECORD, WEIGHTS))
            if record is not None and weights is not None:
                yield record, weights
                return
            if attempt == _TRIES - 1 or _is_same(folder, handle):
                missing = RECORD if record is None else WEIGHTS
                raise SavedModelError(_without(folder, missing))


def read_record(file: BufferedReader) -> bytes:
    """All of the record."""
    if os.fstat(file.fileno()).st_size > MAX_BYTES:
        raise SavedModelError(f"it has more than {MAX_BYTES} bytes")
    return file.read()


def read_weights(file: BufferedReader, told: object, largest: int) -> np.ndarray:
    """All of the weights, uint8, after comparing size and digest with what is told of them.

    **Arguments:** `told`: the entry in the record; `largest`: most bytes that make sense.
    They are read, not mapped: what was checked is what the model then holds.
    """
    entry = Fields(told, "weights", ("file", "bytes", "sha256"))
    if entry.raw("file") != WEIGHTS:
        raise SavedModelError(
            f"weights.file is {shown(entry.raw('file'))}; it must be {WEIGHTS!r}"
        )
    size, found = entry.count("bytes", most=2**62), os.fstat(file.fileno()).st_size
    if found != size:
        what = "cut short" if found < size else "too long"
        raise SavedModelError(f"it is {what}: it has {found} bytes; written were {size}")
    if size > largest:
        raise SavedModelError(f"it has {size} bytes; weights of this shape take fewer")
    data = np.empty(size, np.uint8)
    view, digest, at = data.data, hashlib.sha256(), 0
    while at < size:
        count = file.readinto(view[at : at + CHUNK])
        if not count:
            raise SavedModelError(f"it was cut short to {at} bytes while it was read")
        digest.update(view[at : at + count])
        at += count
    if digest.hexdigest() != entry.text("sha256"):
        raise SavedModelError(
            "its sha256 is not the one in the record: it was changed or damaged"
        )
    data.flags.writeable = False  # else copies of it on a device could not be kept
    return data


def _open_folder(folder: Path, *, patient: bool) -> int | None:
    """A handle; None, after a moment, if the folder may be about to come back."""
    try:
        return os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        old = work_folder_of(Path(os.path.realpath(folder))) / OLD
        if patient and (old.parent.is_dir() or folder.is_dir()):
            time.sleep(_PAUSE)
            return None
        if old.is_dir():
            raise SavedModelError(
                f"a save was killed while it replaced the model; the former one is whole in "
                f"{str(old)!r}: load it from there, or save again"
            ) from None
        raise SavedModelError("there is no such folder") from None
    except ValueError as error:  # a character that no path has
        raise SavedModelError(f"it is no path: {error}") from error
    except NotADirectoryError:
        raise SavedModelError(
            f"it is a file; a saved model is a folder with {RECORD} and {WEIGHTS}"
        ) from None


def _open_file(name: str, folder: int, stack: ExitStack) -> BufferedReader | None:
    """A file in an open folder, to be closed by `stack`; None if it is missing."""
    try:
        # without O_NONBLOCK, a pipe of that name would wait for a writer
        handle = os.open(name, os.O_RDONLY | os.O_NONBLOCK, dir_fd=folder)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise SavedModelError(f"{name} is no file")
    return stack.enter_context(os.fdopen(handle, "rb"))


def _is_same(folder: Path, handle: int) -> bool:
    """Whether the name still leads to the folder that was opened."""
    try:
        return os.path.samestat(os.stat(folder), os.fstat(handle))
    except FileNotFoundError:
        return False


def _without(folder: Path, name: str) -> str:
    known = foreign(folder) if name == RECORD else ""
    return f"it has no {name}" + (f"; it looks like {known}" if known else "")
