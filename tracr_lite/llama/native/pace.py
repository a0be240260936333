"""How many threads a pass is worth, on a machine whose cores have other work too.

Threads meet some dozen times for each token. Where a core is given to something else, all wait
for the one that ran there, for milliseconds. So passes say how much time was lost in waiting.
Where that is more than half, half of the threads would have done as well, and go on by
themselves; after a while more are tried again.
"""

from __future__ import annotations

import time

import numpy as np

from tracr_lite.llama.native.edge import compiled, now
from tracr_lite.llama.native.threads import ARRIVED, LEAVES, LOST, OWED, UNTIL

MUCH = 5_000_000  # nanoseconds that may be lost before threads are dropped
SHORT, LONG = 20_000_000, 1_280_000_000  # nanoseconds until more threads are tried again
GOOD = 8  # times its pause a larger team has to last before that counts as the first one again


@compiled
def judge(sync: np.ndarray, begun: int, threads: int) -> int:
    """Says in `sync[LEAVES]` whether to ask `Pace` again; what time it is, after a pass.

    Only while all other threads wait. What was lost beyond half of the time is owed, and what
    was less is paid back: a single disturbance of a quiet machine is no reason to leave.
    """
    here = now()
    if threads > 1:
        lost = sync[LOST] // (threads - 1)  # all but the latest have slept
        sync[OWED] = max(0, sync[OWED] + lost - (here - begun) // 2)
    sync[LOST] = 0
    sync[LEAVES] = sync[OWED] > MUCH or here > sync[UNTIL]
    return here


class Pace:
    """How many threads run, and until when; of an engine, whatever it runs."""

    def __init__(self, threads: int):
        self.threads = self._most = threads
        self._owed, self._pause, self._since = 0, SHORT // 2, 0
        self._until = NEVER

    def prepare(self, sync: np.ndarray) -> None:
        """Tells threads what to go by, before they begin."""
        now_ = time.monotonic_ns()
        if now_ > self._until:  # fewer have run for long enough
            self.threads, self._since = min(2 * self.threads, self._most), now_
            self._until = NEVER if self.threads == self._most else now_ + self._pause
        sync[ARRIVED], sync[LOST], sync[LEAVES] = 0, 0, 0  # others may have run before
        sync[OWED], sync[UNTIL] = self._owed, self._until

    def learn(self, sync: np.ndarray) -> None:
        """Looks at what threads have lost, after they have ended."""
        self._owed = int(sync[OWED])
        if self._owed <= MUCH:
            return
        self._owed = 0
        if self.threads == 1:  # another call has dropped them meanwhile
            return
        now_ = time.monotonic_ns()
        lasted = now_ - self._since > GOOD * self._pause
        self._pause = SHORT if lasted else min(2 * self._pause, LONG)
        self.threads = max(1, self.threads // 2)  # others may halve them at the same time
        self._until = now_ + self._pause


NEVER = (1 << 63) - 1
