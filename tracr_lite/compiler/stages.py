"""Where the time of a compilation went: seconds and sizes of each stage."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    """One stage of one compilation.

    **Arguments:**
    - `seconds`, `cpu_seconds`: wall time, and processor time of this process (all threads).
    - `sizes`: what the stage made, and how many.
    """

    name: str
    seconds: float
    cpu_seconds: float
    sizes: tuple[tuple[str, int], ...]


class Clock:
    """Each `lap` ends the stage that has run since the one before."""

    def __init__(self) -> None:
        self.stages: list[Stage] = []
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def lap(self, name: str, **sizes: int) -> None:
        """Ends a stage, which made `sizes`."""
        wall, cpu = time.perf_counter(), time.process_time()
        stage = Stage(name, wall - self._wall, cpu - self._cpu, tuple(sizes.items()))
        self.stages.append(stage)
        self._wall, self._cpu = wall, cpu
