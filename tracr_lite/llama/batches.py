"""What generation asks of an engine: rows of tokens that are run and chosen together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from tracr_lite.llama.sampler_settings import SamplerSettings

CHUNK = 64  # the most tokens of a row per call of `advance`
NOTHING = -2  # where a row that has ended would have a token


class Batch(Protocol):
    """Rows in the middle of generation."""

    @property
    def alive(self) -> bool:
        """Whether a row has not ended."""
        ...

    def begin(self, prompts: Sequence[Sequence[int]]) -> np.ndarray:
        """Runs the prompts; (rows,), the token that follows each, `NO_TOKEN` if none can."""
        ...

    def advance(self, count: int) -> np.ndarray:
        """Runs up to `count` tokens of each row that is alive, at most `CHUNK`.

        **Returns:** (rows, any number), the tokens that follow, `NOTHING` where there is none.
        """
        ...

    def extend(self, tokens: Sequence[int], at: int) -> np.ndarray:
        """Runs given tokens of a single row from position `at` on.

        **Returns:** (tokens,), what was chosen behind each. The last one goes on.
        """
        ...


class Engine(Protocol):
    """A model that can be run."""

    @property
    def name(self) -> str:
        """What users call it."""
        ...

    def prepare(self) -> None:
        """Compiles what can be compiled beforehand; the first batch does it otherwise."""
        ...

    def batch(
        self,
        room: Sequence[int],
        steps: int,
        settings: SamplerSettings,
        seeds: Sequence[int],
        stops: Sequence[int],
    ) -> Batch:
        """Rows without tokens, one for each seed.

        **Arguments:** `room`: the lengths of the prompts, one for each row. `steps`: tokens of
        a row that are run at most, those of its prompt too. `stops`: ids after which a row
        ends; they are given out like others.
        """
        ...
