"""Puts a finished folder in its place at once: whoever looks sees the old one or the new one.

    .NAME.tracr_lite/new     grows beside NAME, and then changes places with it

The two change places in one step of the file system. One that has no such step (some network
file systems) renames twice; a run that is killed just in between leaves the former model,
whole, as `.NAME.tracr_lite/old`, and the next run moves it back.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from tracr_lite.compiler.saving.names import (
    NAMES,
    NEW,
    OLD,
    begins_as_ours,
    work_folder_of,
)
from tracr_lite.errors import SavedModelError

_AT_FDCWD, _RENAME_EXCHANGE, _RENAME_SWAP = -100, 2, 2


def check_place(path: Path, *, overwrite: bool) -> Path:
    """The place to save to: absolute, links resolved.

    **Raises:** `SavedModelError` if it is taken; with `overwrite`, saved models are not in the
    way, anything else still is.
    """
    try:
        goal = path.resolve()
    except RuntimeError as error:
        raise SavedModelError("the name is a link that leads to itself") from error
    _check_free(goal, overwrite)
    return goal


def publish(goal: Path, write: Callable[[Path], None], *, overwrite: bool) -> None:
    """Lets `write` fill a new folder, and gives it the name `goal` when it is whole.

    **Arguments:** `goal`: as `check_place` gave it; `overwrite`: as there.
    **Raises:** `SavedModelError` if the place is taken by now; `OSError`.
    """
    goal.parent.mkdir(parents=True, exist_ok=True)
    with _aside(goal) as work:
        new = work / NEW
        new.mkdir()
        write(new)
        _sync(new)
        _check_free(goal, overwrite)  # again: all that took a while
        if goal.exists() and any(goal.iterdir()):
            _replace(new, goal, work / OLD)
        else:
            new.rename(goal)  # fails if there is something by now
            _sync(goal.parent)


def _check_free(goal: Path, overwrite: bool) -> None:
    if not goal.name:
        raise SavedModelError("it has no name to give to a folder")
    if not os.path.lexists(goal):
        return
    if not goal.is_dir():
        raise SavedModelError("there is a file of that name; choose another, or remove it")
    if goal.samefile(Path.cwd()):
        raise SavedModelError(
            "it is the current folder, which cannot be replaced; name another"
        )
    inside = sorted(path.name for path in goal.iterdir())
    if not inside:
        return
    if not begins_as_ours(goal):
        raise SavedModelError(
            f"the folder is not empty, and no saved model: it holds {_some(inside)}; choose "
            "another"
        )
    if others := [name for name in inside if name not in NAMES or _is_folder(goal / name)]:
        raise SavedModelError(
            f"it holds a saved model, but also {_some(others)}, which would be lost; move that "
            "away, or choose another folder"
        )
    if not overwrite:
        raise SavedModelError(
            "it holds a saved model already; replace it with overwrite=True (--force on the "
            "command line), or choose another folder"
        )


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _replace(new: Path, goal: Path, old: Path) -> None:
    """The folder `new` becomes `goal`, and what was there is removed."""
    former = new
    if not exchange(new, goal):
        former = goal.rename(old)
        try:
            new.rename(goal)
        except BaseException:
            old.rename(goal)
            raise
    _sync(goal.parent)
    _remove(former)


def exchange(one: Path, two: Path) -> bool:
    """Swaps two folders in one step; False if the system cannot."""
    libc = ctypes.CDLL(None, use_errno=True)
    first, second = os.fsencode(one), os.fsencode(two)
    if hasattr(libc, "renameat2"):  # Linux
        done = libc.renameat2(_AT_FDCWD, first, _AT_FDCWD, second, _RENAME_EXCHANGE)
    elif hasattr(libc, "renamex_np"):  # macOS
        done = libc.renamex_np(first, second, _RENAME_SWAP)
    else:
        return False
    return done == 0


@contextmanager
def _aside(goal: Path) -> Generator[Path]:
    """A folder beside `goal`, locked, empty, and removed at the end."""
    work = work_folder_of(goal)
    handle = _lock(work)
    try:
        if others := sorted({path.name for path in work.iterdir()} - {NEW, OLD}):
            raise SavedModelError(
                f"{str(work)!r} holds {_some(others)}, which no save put there"
            )
        _clear(work, goal)
        yield work
    finally:
        with suppress(OSError):
            _clear(work, goal)
            work.rmdir()
        os.close(handle)


def _lock(work: Path) -> int:
    """Makes the folder, and returns an open handle that holds its lock."""
    while True:
        with suppress(FileExistsError):
            work.mkdir(mode=0o700)
        handle = os.open(work, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # another run may have removed the folder between open and lock
            if work.exists() and os.path.samestat(os.fstat(handle), work.stat()):
                return handle
        except BlockingIOError:
            os.close(handle)
            raise SavedModelError(f"another run is saving there, in {str(work)!r}") from None
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _clear(work: Path, goal: Path) -> None:
    """Removes what a killed run left, and moves a model back that it had taken away."""
    if (work / OLD).is_dir() and not os.path.lexists(goal):
        (work / OLD).rename(goal)
    for name in (NEW, OLD):
        if (work / name).is_dir():
            _remove(work / name)


def _remove(folder: Path) -> None:
    """Removes a folder of ours; one that holds more stays, with what it holds."""
    for name in NAMES:
        (folder / name).unlink(missing_ok=True)
    folder.rmdir()


def _sync(folder: Path) -> None:
    """Makes what was done in a folder last beyond a power failure, where that is possible."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # no such call for folders
            raise
    finally:
        os.close(handle)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(map(repr, names[:3])) + more
