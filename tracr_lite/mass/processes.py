"""One worker process, seen from the process that started it.

Workers are started afresh, not forked: JAX runs threads, and a fork of a process with threads
may hang. The script that calls is not imported again, as `multiprocessing` does: it needs no
`if __name__ == "__main__"`. A worker may itself start workers.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from collections import deque
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

from tracr_lite.mass.errors import MassError
from tracr_lite.mass.worker import STAMP

DEPTH = 2  # jobs a worker holds: the one it works on, and the next
SMALL = 1 << 16  # bytes that surely fit into a pipe, so that sending them cannot block

_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[4]); "
    "from tracr_lite.mass.worker import main; "
    "main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])"
)
# One thread each: there are as many workers as processors. No worker runs a model, so none may
# take a share of the accelerator.
_SETTINGS = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "JAX_PLATFORMS": "cpu",
    "NUMPY_MADVISE_HUGEPAGE": "0",  # clearing huge pages takes longer than most compilations
}


@dataclass(frozen=True)
class Job:
    """Bytes for the function of a worker, and the number that its answer will have."""

    number: int
    blob: bytes
    first_try: bool = True


@dataclass(frozen=True)
class Answer:
    """What became of a job: bytes, or an exception."""

    number: int
    value: bytes | None = None
    error: Exception | None = None


class Worker:
    """A process that answers jobs in their order."""

    def __init__(self, function: str):
        """**Arguments:** `function`: `module:name` of a function from bytes to bytes."""
        self.connection: Connection[Any, Any]
        self.connection, theirs = Pipe()
        life, self._lifeline = Pipe(duplex=False)
        files = [theirs.fileno(), life.fileno()]
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _START, *map(str, files), function, _search_path()],
                stdin=subprocess.DEVNULL,
                pass_fds=files,
                env=os.environ | _SETTINGS,
                process_group=0,  # out of reach of Ctrl-C
            )
        finally:
            theirs.close()
            life.close()
        self.jobs: deque[Job] = deque()
        self.ready = False
        self._free = 0.0  # when (time.monotonic) it had nothing to do, or began the first job
        self._sent: deque[float] = deque()  # when each job was sent

    def can_take(self, job: Job) -> bool:
        """Whether sending the job would neither block nor queue it needlessly."""
        if not self.jobs:
            return self.ready or len(job.blob) <= SMALL
        waiting = sum(len(each.blob) for each in self.jobs)
        return len(self.jobs) < DEPTH and waiting + len(job.blob) <= SMALL

    def send(self, job: Job) -> None:
        """**Raises:** `OSError` if the process has ended."""
        self.connection.send_bytes(job.blob)
        self._sent.append(time.monotonic())
        self.jobs.append(job)

    def receive(self) -> Answer | None:
        """The next answer; None if it only says that it is ready.

        **Raises:** `EOFError`, `OSError` if the process has ended.
        """
        message: bytes = self.connection.recv_bytes()
        failed, self._free = STAMP.unpack_from(message)
        if not self.ready:
            self.ready = True
            return None
        number = self.jobs.popleft().number
        self._sent.popleft()
        body = message[STAMP.size :]
        if failed:
            return Answer(number, error=pickle.loads(body))
        return Answer(number, value=body)

    def deadline(self, timeout: float) -> float | None:
        """When (time.monotonic) the job that it works on has used its time."""
        if not self.ready or not self.jobs:
            return None
        return max(self._free, self._sent[0]) + timeout

    def end(self) -> str:
        """Kills the process if it runs; says how it ended."""
        self._process.kill()
        code = self._process.wait()
        self.connection.close()
        self._lifeline.close()
        if code >= 0:
            return f"exited with code {code}"
        why = ", as when memory runs out" if -code == signal.SIGKILL else ""
        return f"was ended by {signal.Signals(-code).name}{why}"


def _search_path() -> str:
    if not sys.executable:
        raise MassError("Python does not know its own program; compile with workers=0")
    return json.dumps([os.path.abspath(each) for each in sys.path])
