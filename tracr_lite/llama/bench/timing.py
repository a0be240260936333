"""Timing several things in turn, so that the load of the machine is the same for all."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

PAUSE = 0.5  # seconds between two things: threads of the one before go to sleep


@dataclass(frozen=True)
class Timing:
    """Seconds of each round, by the clock and of all cores together."""

    tokens: int
    wall: tuple[float, ...]
    cpu: tuple[float, ...]

    @property
    def best(self) -> float:
        """Tokens per second in the quickest round."""
        return self.tokens / min(self.wall)

    @property
    def median(self) -> float:
        """Tokens per second."""
        return self.tokens / statistics.median(self.wall)

    @property
    def cpu_ms(self) -> float:
        """Milliseconds of processor time per token, in the cheapest round."""
        return min(self.cpu) * 1e3 / self.tokens

    def over(self, other: Timing) -> float:
        """How many times faster than `other`: the median over the rounds."""
        pairs = zip(self.wall, other.wall, strict=True)
        ratio = self.tokens / other.tokens
        return statistics.median(theirs / ours * ratio for ours, theirs in pairs)

    def best_over(self, other: Timing) -> float:
        """The same for the quickest round of each."""
        return self.best / other.best


def in_turn(
    things: Mapping[str, tuple[int, Callable[[], object]]], rounds: int
) -> dict[str, Timing]:
    """Runs all things once to warm up, and then in `rounds` rounds, one after another.

    **Arguments:** `things`: name -> the tokens of a run, and the run.
    """
    wall: dict[str, list[float]] = {name: [] for name in things}
    cpu: dict[str, list[float]] = {name: [] for name in things}
    for turn in range(rounds + 1):
        for name, (_, run) in things.items():
            time.sleep(PAUSE)
            begun, used = time.perf_counter(), time.process_time()
            run()
            if turn:
                wall[name].append(time.perf_counter() - begun)
                cpu[name].append(time.process_time() - used)
    return {
        name: Timing(tokens, tuple(wall[name]), tuple(cpu[name]))
        for name, (tokens, _) in things.items()
    }


def load_average() -> str:
    """How busy the machine was in the last minute, where the system tells."""
    if not hasattr(os, "getloadavg"):
        return "unknown"
    return f"{os.getloadavg()[0]:.1f}"
