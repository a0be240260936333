"""The folder that a run writes to: locked, and only ever given finished files.

Files grow in a work folder beside DST (inside it where DST is a mount point), are synced, and
then renamed. What a killed run leaves is the work folder; the next run takes it over. The lock
is one on the folder DST itself: it needs no file, and ends with the process.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import stat
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, cast

from tracr_lite.xor.errors import FileRefused, XorError
from tracr_lite.xor.names import RESERVED, parents

INSIDE = RESERVED[1]
OURS = re.compile(r"[0-9a-f]{40}\.(part|json)")  # names in a work folder


class Store:
    """DST while a run holds it. Make one with `locked`; set `done` when all is written."""

    def __init__(self, root: Path, work: Path):
        self.root, self.work = root, work
        self.done = False
        self._names: dict[tuple[int, int], str] = {}  # device and inode -> name
        self._guard = threading.Lock()

    def place(self, name: str) -> Path:
        """Where `name` belongs in the end."""
        return self.root / name

    def aside(self, name: str, ending: str = "part") -> Path:
        """Where `name` grows until it is finished."""
        return self.work / f"{hashlib.sha256(os.fsencode(name)).hexdigest()[:40]}.{ending}"

    @contextmanager
    def growing(self, path: Path) -> Generator[BinaryIO]:
        """A new file at `path`, synced at the end; removed if anything is raised."""
        path.unlink(missing_ok=True)
        try:
            with path.open("xb", buffering=0) as file:
                yield cast(BinaryIO, _Whole(file))
                os.fsync(file.fileno())
        except BaseException:
            path.unlink(missing_ok=True)
            raise

    def publish(self, finished: Path, name: str) -> None:
        """Renames a finished and synced file to its place; nobody sees a half of it."""
        goal = self.place(name)
        self.make_folder(str(Path(name).parent))
        if goal.is_dir() and not goal.is_symlink():
            raise FileRefused(f"{str(goal)!r} is a folder")
        with self._guard:
            if other := self._taken(name):
                raise FileRefused(f"the disk of DST takes this name and {other!r} for one")
            finished.replace(goal)
            self._keep(name)
        sync_folder(goal.parent)

    def claim(self, name: str) -> bool:
        """Notes that the file at `name` stays; False if another name means the same file."""
        with self._guard:
            return not self._taken(name) and self._keep(name)

    def _taken(self, name: str) -> str | None:
        """The other name under which this run has put a file at `name`.

        Disks that ignore case, or that rewrite letters, have such. Hard links are two files.
        """
        try:
            found = self.place(name).lstat()
        except FileNotFoundError:
            return None
        other = self._names.get((found.st_dev, found.st_ino))
        return other if other != name and found.st_nlink == 1 else None

    def _keep(self, name: str) -> bool:
        found = self.place(name).lstat()
        self._names[found.st_dev, found.st_ino] = name
        return True

    def make_folder(self, name: str) -> None:
        """Makes a subfolder. Raises `FileRefused` if a link or a file is in the way."""
        for each in [*parents(name), name]:
            folder = self.root / each
            with suppress(FileExistsError):
                folder.mkdir()
                sync_folder(folder.parent)
            if not stat.S_ISDIR(folder.lstat().st_mode):
                raise FileRefused(f"{str(folder)!r} is in the way: no folder, or a link")


class _Whole:
    """A raw file whose `write` writes all, or raises."""

    def __init__(self, file: BinaryIO):
        self._file = file

    def write(self, data: bytes | memoryview) -> int:
        rest = memoryview(data)
        while len(rest):
            rest = rest[self._file.write(rest) :]
        return len(data)


@contextmanager
def locked(root: Path, *, keep_work: bool = False) -> Generator[Store]:
    """Creates and locks DST, and gives it back unchanged if nothing was published.

    **Arguments:** `root`: resolved path of DST. `keep_work`: what was finished in an
    interrupted run stays for the next; else the work folder starts empty and is removed.
    **Raises:** `XorError` if another run writes to the same folder, or it cannot be made.
    """
    try:
        made = _missing(root)
        handle = _lock(root)
    except OSError as error:
        raise XorError(f"cannot write to DST {str(root)!r}: {error.strerror}") from error
    try:
        store = Store(root, _work_folder(root, keep_work))
        try:
            yield store
        finally:
            _leave(store, keep_work)
            if store.done:
                made = []
    finally:
        for folder in made:  # if still empty
            with suppress(OSError):
                folder.rmdir()
        os.close(handle)


def _leave(store: Store, keep_work: bool) -> None:
    """Removes the work folder; what cannot be removed is taken over by the next run."""
    with suppress(OSError, XorError):
        if not (keep_work and any(store.work.iterdir())):
            _remove(store.work)


def _missing(root: Path) -> list[Path]:
    """The folders that have to be made for `root`, innermost first."""
    return [each for each in [root, *root.parents] if not each.exists()]


def _lock(root: Path) -> int:
    """An open handle that holds the lock."""
    while True:
        root.mkdir(parents=True, exist_ok=True)
        handle = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # another run may have removed the folder between open and lock
            if root.exists() and os.path.samestat(os.fstat(handle), root.stat()):
                return handle
        except BlockingIOError as error:
            os.close(handle)
            raise XorError(f"another run is writing to DST {str(root)!r}") from error
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _work_folder(root: Path, keep: bool) -> Path:
    """Beside `root` if a rename from there works, else inside it."""
    beside, inside = root.parent / f".{root.name}{INSIDE}", root / INSIDE
    for work in (beside, inside):
        try:
            if work.is_symlink() or (work.exists() and not work.is_dir()):
                raise XorError(f"{str(work)!r} is in the way; remove it")
            if work == beside and _mount(root.parent) != _mount(root):
                continue
            if work.exists() and _contents(work) and not keep:
                _remove(work)
            work.mkdir(mode=0o700, exist_ok=True)
            if work == beside and inside.is_dir():  # of a run that had no room beside
                _remove(inside)
            return work
        except OSError as error:
            problem = error
    raise XorError(f"cannot make {str(inside)!r}: {problem.strerror}")


def _mount(folder: Path) -> tuple[int, list[str]]:
    """Equal for folders between which files can be renamed.

    One disk can be mounted at several places, and Linux renames nothing across them.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        device, info = os.fstat(handle).st_dev, Path(f"/proc/self/fdinfo/{handle}")
        lines = info.read_text().splitlines() if info.exists() else []
        return device, [line for line in lines if line.startswith("mnt_id")]
    finally:
        os.close(handle)


def _contents(work: Path) -> list[Path]:
    """The files in a work folder. Raises `XorError` if no run of ours has put one there."""
    found = sorted(work.iterdir())
    if strange := [path.name for path in found if not OURS.fullmatch(path.name)]:
        raise XorError(f"{str(work)!r} is in the way: it holds {strange[0]!r}; remove it")
    return found


def _remove(work: Path) -> None:
    for path in _contents(work):
        path.unlink()
    work.rmdir()


def sync_folder(folder: Path) -> None:
    """Makes renames in a folder last beyond a power failure, where its disk can do that."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # what disks say that cannot
            raise
    finally:
        os.close(handle)
