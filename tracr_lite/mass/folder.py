"""The folder of a data set while it is written: locked, and only ever given finished files."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tracr_lite.mass.errors import DatasetError

PART = ".part"  # ends the name of a file that still grows
OURS = re.compile(r"\.(dataset\.json|shard-\d{5,}(\.refused)?\.(jsonl|safetensors))\.part")


@contextmanager
def locked(folder: Path) -> Generator[None]:
    """Makes the folder, and keeps other runs out of it; the lock ends with the process.

    **Raises:** `DatasetError` if another run writes there, or it cannot be made.
    """
    handle = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if handle is not None:
            os.close(handle)
        if isinstance(error, BlockingIOError):
            raise DatasetError(f"another run is writing to {str(folder)!r}") from None
        raise DatasetError(f"cannot write to {str(folder)!r}: {error.strerror}") from error
    try:
        yield
    finally:
        os.close(handle)


def write_file(folder: Path, name: str, data: bytes) -> None:
    """Writes a file aside, syncs it, and gives it its name; nobody sees a half of it."""
    part = folder / f".{name}{PART}"
    with part.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.replace(folder / name)
    _sync(folder)


def remove_parts(folder: Path) -> None:
    """Removes what a killed run left half written."""
    for path in folder.iterdir():
        if OURS.fullmatch(path.name):
            path.unlink()


def holds_others(folder: Path) -> bool:
    """Whether the folder has content that no run of ours has begun."""
    return any(not OURS.fullmatch(path.name) for path in folder.iterdir())


def _sync(folder: Path) -> None:
    """Makes renames last beyond a power failure."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
