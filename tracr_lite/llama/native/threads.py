"""Threads that run compiled code together: shares of the work, and where they wait."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from contextlib import suppress
from threading import Thread

import numpy as np

from tracr_lite.llama.native.edge import (
    add_atomically,
    compiled,
    now,
    read_atomically,
    sleep,
)

LEFT = 1 << 62  # in the counter where a thread never comes: nobody waits any more
# Places in the int64 numbers by which threads wait: how often one has arrived, and, apart from
# that, for how many nanoseconds threads have slept. Those that follow are for `pace`.
ARRIVED, LOST, OWED, UNTIL, LEAVES = 0, 8, 9, 10, 11
PLACES = 16
LOOKS = 1000  # at the counter, before the clock is asked
# How long threads look before they sleep, in nanoseconds. A core that slept takes some time to
# wake: were that longer than the others look, these would sleep too, and so on in turn.
PATIENCE = 400_000
NAP = 20  # microseconds of the first sleep; each is twice as long as the one before
LONGEST = 320  # of a sleep
WORTH = 1 << 20  # numbers of matrices for which another thread is worth its waiting
MOST = 8  # threads by default: memory gives no more to further ones


@compiled
def share(total: int, step: int, thread: int, threads: int) -> tuple[int, int]:
    """From where to where one of several threads works, in steps that share no cache line."""
    steps = (total + step - 1) // step
    first, last = steps * thread // threads, steps * (thread + 1) // threads
    return min(first * step, total), min(last * step, total)


@compiled
def meet(sync: np.ndarray, threads: int) -> None:
    """Waits until all threads are here; what each has written is then seen by all."""
    if threads == 1:
        return
    address = sync.ctypes.data
    goal = (add_atomically(address, 1) // threads + 1) * threads
    if goal > LEFT:  # some thread never comes, and nobody wants what the others find
        return
    for _ in range(LOOKS):
        if read_atomically(address) >= goal:
            return
    begun = now()
    while now() - begun < PATIENCE:
        for _ in range(LOOKS):
            if read_atomically(address) >= goal:
                return
    _sleep_until(address, goal)


@compiled
def _sleep_until(address: int, goal: int) -> None:
    """Leaves the core to others: one of the threads is not running, or has far more to do."""
    begun, nap = now(), NAP
    arrived = read_atomically(address)
    while arrived < goal and arrived < LEFT:
        sleep(nap)
        nap = min(2 * nap, LONGEST)
        arrived = read_atomically(address)
    add_atomically(address + 8 * LOST, now() - begun)


def default_threads(numbers: int) -> int:
    """One for each core that this process may use, up to `MOST`; small models need but one.

    **Arguments:** `numbers`: how many the matrices have together.
    """
    cores = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    return min(cores, MOST, 1 + numbers // WORTH)


def together(work: Callable[[int, int], None], threads: int, sync: np.ndarray) -> None:
    """Runs `work(thread, threads)` on so many threads, this one among them, to the end.

    Where this thread is interrupted, or another one cannot be started, the others are let go:
    they would wait for ever. `sync`, the counter of `meet`, can be used again unless one of
    them may still be on its way.
    """
    cores = _cores() if threads > 1 else []

    def begin(thread: int) -> None:
        _move(cores, thread)
        work(thread, threads)

    others = [Thread(target=begin, args=(i,), daemon=True) for i in range(1, threads)]
    begun: list[Thread] = []
    try:
        for each in others:
            each.start()
            begun.append(each)
        begin(0)
        for each in begun:
            each.join()
    except BaseException:
        sync[0] = LEFT
        raise
    finally:
        for each in begun:
            each.join()
        if len(begun) == len(others) and sync[0] >= LEFT:
            sync[0] = 0


def _cores() -> list[int]:
    """The cores that this process may use, that of this thread first; none if nobody tells."""
    which = getattr(ctypes.CDLL(None), "sched_getcpu", None)
    if which is None or not hasattr(os, "sched_setaffinity"):
        return []
    cores, here = sorted(os.sched_getaffinity(0)), which()
    at = cores.index(here) if here in cores else 0
    return cores[at:] + cores[:at]


def _move(cores: list[int], thread: int) -> None:
    """Moves this thread to a core of its own; the system may move it on later.

    A new thread mostly begins where the one is that started it. As both look for each other
    and do not sleep, it takes the system several milliseconds to part them.
    """
    if len(cores) < 2:
        return
    with suppress(OSError):  # a core has just been taken away: this is for speed only
        try:
            os.sched_setaffinity(0, [cores[thread % len(cores)]])
        finally:
            os.sched_setaffinity(0, cores)
