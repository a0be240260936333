"""Jobs spread over worker processes; workers that die are replaced.

The job of a worker that died is done once more: perhaps another process took the memory, or
somebody ended the worker. When it dies again, the job has failed.
"""

from __future__ import annotations

import os
import time
from collections import deque
from dataclasses import replace
from selectors import EVENT_READ, DefaultSelector
from typing import cast

from tracr_lite.mass.errors import MassError, TimedOut, WorkerDied
from tracr_lite.mass.processes import DEPTH, Answer, Job, Worker

HOUR = 3600.0  # longest wait at a time; the system knows no much longer ones
STARTS = 3  # failures to start a worker, one after the other, before a run gives up


def default_workers() -> int:
    """One for each processor that this process may use."""
    usable = getattr(os, "sched_getaffinity", None)
    return len(usable(0)) if usable else os.cpu_count() or 1


class Pool:
    """Worker processes. Use it with `with`: leaving ends all of them."""

    def __init__(self, function: str, workers: int, timeout: float | None = None):
        """**Arguments:** `function`: `module:name`, bytes to bytes; `timeout`: seconds."""
        self._function = function
        self._limit, self._timeout = workers, timeout
        self._workers: list[Worker] = []
        self._waiting: deque[Job] = deque()
        self._pipes = DefaultSelector()
        self._failed_starts = 0  # one after the other

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *args: object) -> None:
        while self._workers:
            self._remove(self._workers[-1])
        self._pipes.close()

    def wants_more(self) -> bool:
        """Whether another job could be begun soon, rather than only wait."""
        room = any(len(worker.jobs) < DEPTH for worker in self._workers)
        return not self._waiting and (room or len(self._workers) < self._limit)

    def put(self, job: Job) -> None:
        """Hands a job to a worker, or keeps it until one has room."""
        self._waiting.append(job)
        self._assign()

    def answers(self, *, block: bool) -> list[Answer]:
        """What has been answered since; if `block`, waits until something has happened."""
        self._assign()
        found: list[Answer] = []
        for key, _ in self._pipes.select(self._patience() if block else 0):
            worker: Worker = key.data
            try:
                answer = worker.receive()
                found += [answer] if answer else []
                self._failed_starts = 0
            except (EOFError, OSError):
                found += self._bury(worker)
        return found + self._stop_late_jobs()

    def _assign(self) -> None:
        """Sends waiting jobs, as long as workers take them; starts workers if all are busy."""
        while self._waiting:
            job = self._waiting[0]
            free = [worker for worker in self._workers if worker.can_take(job)]
            idle = [worker for worker in free if not worker.jobs]
            if not idle and len(self._workers) < self._limit:
                self._add()
                continue
            if not free:
                return
            worker = min(free, key=lambda each: len(each.jobs))
            try:
                worker.send(job)
            except OSError:  # it died while idle, or its end is about to be read
                return
            self._waiting.popleft()

    def _add(self) -> None:
        worker = Worker(self._function)
        self._workers.append(worker)
        self._pipes.register(worker.connection, EVENT_READ, worker)

    def _remove(self, worker: Worker) -> str:
        self._workers.remove(worker)
        self._pipes.unregister(worker.connection)
        return worker.end()

    def _patience(self) -> float | None:
        """Seconds until the first job is late; None if none will be."""
        if self._timeout is None:
            return None
        deadlines = [worker.deadline(self._timeout) for worker in self._workers]
        known = [deadline for deadline in deadlines if deadline is not None]
        return min(max(0.0, min(known) - time.monotonic()), HOUR) if known else None

    def _bury(self, worker: Worker) -> list[Answer]:
        """Removes a worker that has died; its jobs are done again, or its first one fails."""
        how = self._remove(worker)
        if not worker.ready:
            self._failed_starts += 1
            if self._failed_starts == STARTS:
                raise MassError(
                    f"a worker process {how} before it was ready; what it said is on standard "
                    "error. workers=0 does without worker processes"
                )
        elif worker.jobs and worker.jobs[0].first_try:
            worker.jobs[0] = replace(worker.jobs[0], first_try=False)
        else:
            text = f"the worker process of this program {how}; so did another one before"
            return self._fail(worker, WorkerDied(text))
        self._waiting.extendleft(reversed(worker.jobs))
        return []

    def _fail(self, worker: Worker, error: MassError) -> list[Answer]:
        """Fails the job that a worker worked on; others are given to other workers."""
        if not worker.jobs:
            return []
        job = worker.jobs.popleft()
        self._waiting.extendleft(reversed(worker.jobs))
        return [Answer(job.number, error=error)]

    def _stop_late_jobs(self) -> list[Answer]:
        """Kills workers whose job has used its time, if no answer is there to be read."""
        found: list[Answer] = []
        for worker in self._workers.copy() if self._timeout is not None else ():
            deadline = worker.deadline(cast(float, self._timeout))
            late = deadline is not None and time.monotonic() > deadline
            if late and not worker.connection.poll():
                self._remove(worker)
                error = TimedOut(f"not compiled within {self._timeout:g} s; it was stopped")
                found += self._fail(worker, error)
        return found
