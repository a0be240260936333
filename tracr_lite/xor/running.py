"""Several files at once: threads, progress, and an end that leaves nothing half done.

Threads are enough: reading, hashing, XOR and (de)compression all run outside the interpreter
lock.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from tracr_lite.xor.errors import FileRefused, XorError
from tracr_lite.xor.report import FileStatus, Status
from tracr_lite.xor.sums import Tick

T = TypeVar("T")
Progress = Callable[[str, int, int], None]  # step, bytes just done, bytes of the step in all

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


def default_jobs() -> int:
    """Files at once: one for each processor that this process may use, at most four."""
    return min(4, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2)


class Stopped(XorError):
    """The run ends; raised inside workers so that they clean up."""


class Runner:
    """Runs one function over many names, and tells `progress` about every chunk."""

    def __init__(self, jobs: int | None, progress: Progress | None):
        if jobs is not None and jobs < 1:
            raise XorError(f"jobs is {jobs}; at least 1 is needed")
        self._jobs = jobs or default_jobs()
        self._progress = progress
        self._stop = threading.Event()
        self._guard = threading.Lock()
        self._why = "the run was stopped"

    def each(
        self,
        step: str,
        work: Mapping[str, T],
        size: Callable[[T], int],
        do: Callable[[str, T, Tick], FileStatus | None],
        jobs: int | None = None,
    ) -> dict[str, FileStatus]:
        """Calls `do(name, item, tick)` for all items, `jobs` at once; the larger ones first.

        What `do` raises for a file becomes its row; rows are returned by name. A full disk
        stops the step, as the other files would meet it too.
        """
        total = sum(size(item) for item in work.values())

        def tick(count: int) -> None:
            if self._stop.is_set():
                raise Stopped(self._why)
            if self._progress:
                with self._guard:
                    self._progress(step, count, total)

        def run(name: str) -> FileStatus | None:
            return self._row(name, work[name], do, tick)

        order = sorted(work, key=lambda name: -size(work[name]))
        with ThreadPoolExecutor(jobs or self._jobs) as pool:
            try:
                rows = list(pool.map(run, order))
            except BaseException:
                self._stop.set()
                raise
        return {row.name: row for row in rows if row is not None}

    def _row(
        self, name: str, item: T, do: Callable[[str, T, Tick], FileStatus | None], tick: Tick
    ) -> FileStatus | None:
        """What `do` returns, or raises."""
        try:
            tick(0)
            return do(name, item, tick)
        except Stopped as error:
            return FileStatus(name, Status.SKIPPED, str(error))
        except FileRefused as error:
            return FileStatus(name, Status.REFUSED, str(error))
        except OSError as error:
            return FileStatus(name, Status.REFUSED, self._say(error))

    def _say(self, error: OSError) -> str:
        if error.errno in DISK_FULL:
            self._why = "the disk is full"
            self._stop.set()
        return reason(error)


def reason(error: Exception) -> str:
    """An error in words; one of the system with the path that it is about."""
    if not isinstance(error, OSError):
        return str(error)
    path = error.filename2 or error.filename  # of a rename, the goal
    return f"{error.strerror or error}{f' ({path})' if path else ''}"


@contextmanager
def in_words(action: str) -> Generator[None]:
    """Turns an error of the system, outside any single file, into one of ours."""
    try:
        yield
    except OSError as error:
        raise XorError(f"{action} stopped: {reason(error)}; run it again") from error


def size_of(path: Path) -> int:
    """The size of a file, 0 if it cannot be told."""
    try:
        return path.stat().st_size
    except OSError:
        return 0
