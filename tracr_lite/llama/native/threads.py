"""Threads that run compiled code together: shares of the work, and where they wait."""

from __future__ import annotations

import os
from collections.abc import Callable
from threading import Thread

import numpy as np

from tracr_lite.llama.native.edge import (
    add_atomically,
    compiled,
    let_others_run,
    read_atomically,
)

PATIENCE = 4000  # looks at the counter before the core is offered to others
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
    looks = 0
    while read_atomically(address) < goal:
        looks += 1
        if looks > PATIENCE:
            let_others_run()


def default_threads(numbers: int) -> int:
    """One for each core that this process may use, up to `MOST`; small models need but one.

    **Arguments:** `numbers`: how many the matrices have together.
    """
    cores = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    return min(cores, MOST, 1 + numbers // WORTH)


def together(work: Callable[[int, int], None], threads: int) -> None:
    """Runs `work(thread, threads)` on so many threads, this one among them, to the end."""
    others = [Thread(target=work, args=(i, threads), daemon=True) for i in range(1, threads)]
    for each in others:
        each.start()
    work(0, threads)
    for each in others:
        each.join()
