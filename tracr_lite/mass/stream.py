"""Answers to a stream of jobs, in their order or as they come, with bounded look-ahead."""

from __future__ import annotations

from collections.abc import Generator, Iterator

from tracr_lite.mass.pool import Pool
from tracr_lite.mass.processes import Answer, Job

AT_ONCE = 2  # jobs taken for each answer given, as long as there are answers to give


def stream(
    pool: Pool, jobs: Iterator[bytes | Exception], *, ahead: int, ordered: bool
) -> Generator[Answer]:
    """Yields an answer for each job; a job that is an exception already is its own answer.

    **Arguments:**
    - `jobs`: may be endless; taken only when a worker is free, and at most `ahead` of them
      before their answers are used.
    - `ordered`: answers come in the order of the jobs.

    **Raises:** what `jobs` raises, after the answers to the jobs before it.
    """
    source = _Source(jobs)
    done: dict[int, Answer] = {}
    given = taken = 0  # answers yielded; jobs taken since then
    while True:
        usable = given in done if ordered else bool(done)
        open_jobs = source.count - given - len(done)
        room = source.goes_on and source.count - given < ahead and pool.wants_more()
        if room and not (usable and taken >= AT_ONCE):
            job = source.take()
            taken += 1
            if isinstance(job, Job):
                pool.put(job)
            elif job is not None:
                done[job.number] = job
        elif usable:
            yield done.pop(given if ordered else next(iter(done)))
            given, taken = given + 1, 0
            continue
        elif not open_jobs:
            break
        if open_jobs:
            for answer in pool.answers(block=not room and not usable):
                done[answer.number] = answer
    source.finish()


class _Source:
    """Numbers the jobs, and remembers what ended them."""

    def __init__(self, jobs: Iterator[bytes | Exception]):
        self._jobs = jobs
        self._error: Exception | None = None
        self.count = 0  # jobs taken so far
        self.goes_on = True

    def take(self) -> Job | Answer | None:
        """The next job; None if there is none."""
        try:
            job = next(self._jobs)
        except StopIteration:
            self.goes_on = False
            return None
        except Exception as error:  # raised again by `finish`, when its turn has come
            self._error, self.goes_on = error, False
            return None
        number = self.count
        self.count += 1
        return Job(number, job) if isinstance(job, bytes) else Answer(number, error=job)

    def finish(self) -> None:
        """Raises what ended the jobs, if that was an exception."""
        if self._error is not None:
            raise self._error
