"""Files and folders that grow under another name, and get their own when they are whole.

A run that is killed leaves what stood there before, and `.NAME.part` beside it; the next run
takes that over. The lock on it ends with the process.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, cast

from tracr_lite.llama.errors import CheckpointError

ENDING = ".part"
FILE, FOLDER = "model.bin", "model"  # what is made in the folder beside the goal


class Writer:
    """A file that is written at given places, and synced at the end."""

    def __init__(self, path: Path, size: int):
        self._file = cast(BinaryIO, path.open("xb", buffering=0))
        self.size = size
        try:
            self._file.truncate(size)  # what does not fit on the disk may show only later
        except BaseException:
            self._file.close()
            raise

    def write_at(self, offset: int, data: bytes | memoryview) -> None:
        """Writes all of `data` from byte `offset` on."""
        rest = memoryview(data).cast("B")
        assert offset + len(rest) <= self.size
        self._file.seek(offset)
        while len(rest):
            rest = rest[self._file.write(rest) :]

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: object, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                os.fsync(self._file.fileno())
        finally:
            self._file.close()


@contextmanager
def aside(goal: Path) -> Generator[Path]:
    """An empty folder beside `goal` to make things in, locked, and removed at the end.

    **Raises:** `CheckpointError` if the folder of `goal` is not there, or another run is
    writing to `goal`.
    """
    work = goal.with_name(f".{goal.name}{ENDING}")
    handle = _lock(work)
    try:
        if strange := sorted({each.name for each in work.iterdir()} - {FILE, FOLDER}):
            raise CheckpointError(f"{str(work / strange[0])!r} is in the way; remove it")
        _empty(work)
    except BaseException:
        os.close(handle)
        raise
    try:
        yield work
    finally:
        with suppress(OSError):
            _empty(work)
            work.rmdir()
        os.close(handle)


def publish(finished: Path, goal: Path) -> None:
    """Renames a finished file or folder to `goal`, and makes that last."""
    if finished.is_dir():
        _sync(finished)
    finished.replace(goal)
    _sync(goal.parent)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _lock(work: Path) -> int:
    """Makes the folder, and returns an open handle that holds its lock."""
    if not work.parent.is_dir():
        raise CheckpointError(f"there is no folder {str(work.parent)!r} to write to")
    while True:
        with suppress(FileExistsError):
            work.mkdir(mode=0o700)
        if work.is_symlink() or not work.is_dir():
            raise CheckpointError(f"{str(work)!r} is in the way; remove it")
        handle = os.open(work, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # another run may have removed the folder between open and lock
            if work.exists() and os.path.samestat(os.fstat(handle), work.stat()):
                return handle
        except BlockingIOError:
            os.close(handle)
            raise CheckpointError(
                f"another run is writing; it works in {str(work)!r}"
            ) from None
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _empty(folder: Path) -> None:
    for each in folder.iterdir():
        if each.is_dir() and not each.is_symlink():
            shutil.rmtree(each)
        else:
            each.unlink()
