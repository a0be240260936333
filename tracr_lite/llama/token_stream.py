"""Generating tokens for a batch of prompts, a few at a time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tracr_lite.llama.batches import CHUNK, NOTHING, Engine
from tracr_lite.llama.errors import LlamaError
from tracr_lite.llama.sampler_settings import SamplerSettings

PAUSE = 0.05  # seconds between two deliveries of a stream, about
NO_TOKEN = -1  # what an engine answers where nothing can be chosen


@dataclass(frozen=True)
class TokenRequest:
    """What is to be generated.

    - `prompts`: ids of each row, at least one; rows may differ in length.
    - `steps`: run.c's `-n`: so many tokens of a row, its prompt included, are run at most.
      Rows with a longer prompt are not run, and get no tokens.
    - `settings`, `seeds`: how tokens are chosen, and where each row's generator starts.
    - `stops`: ids after which a row ends; they are given out like others.
    """

    prompts: Sequence[Sequence[int]]
    steps: int
    settings: SamplerSettings
    seeds: Sequence[int]
    stops: Sequence[int]


def stream_tokens(
    engine: Engine, request: TokenRequest, *, often: bool = True
) -> Iterator[list[list[int]]]:
    """The new tokens of each row, a few at a time, until all rows have ended.

    **Arguments:** `often`: deliver about every `PAUSE` seconds; else whenever it suits.
    **Raises:** `LlamaError` where logits are NaN or there are no probabilities.
    """
    sizes = [len(prompt) for prompt in request.prompts]
    rows = [row for row, size in enumerate(sizes) if size <= request.steps]
    if not rows:
        return
    lengths = np.array(sizes)
    seeds = [request.seeds[row] for row in rows]
    how = (request.steps, request.settings, seeds, request.stops)
    batch = engine.batch([sizes[row] for row in rows], *how)
    first = batch.begin([request.prompts[row] for row in rows])
    if often:  # compiles the loop, so that the first token does not stand alone for seconds
        batch.advance(0)
    yield _checked(first[:, None], lengths, rows)
    pace = Pace() if often else Pace(CHUNK)
    while batch.alive:
        lengths += 1
        with pace as count:
            ids = batch.advance(count)
        yield _checked(ids, lengths, rows)
        lengths += count - 1


class Pace:
    """How many tokens to generate at a time, so that they come about every `PAUSE` seconds.

    A context: it gives the number, and measures the time.
    """

    def __init__(self, count: int = 1):
        self._count, self._grows, self._begun = count, count == 1, 0.0

    def __enter__(self) -> int:
        self._begun = time.monotonic()
        return self._count

    def __exit__(self, *_: object) -> None:
        if self._grows:
            share = PAUSE / max(time.monotonic() - self._begun, 1e-6)
            self._count = max(1, min(CHUNK, int(self._count * min(share, 2.0))))


def _checked(ids: np.ndarray, lengths: np.ndarray, rows: Sequence[int]) -> list[list[int]]:
    """The tokens of each row; `lengths` is where they stand, for the message.

    `rows`: which ones `ids` has; the others get none.
    """
    all_rows: list[list[int]] = [[] for _ in lengths]
    for row, some in zip(rows, ids, strict=True):
        all_rows[row] = [int(each) for each in some if each != NOTHING]
    for row, found in enumerate(all_rows):
        if NO_TOKEN in found:
            position = int(lengths[row]) + found.index(NO_TOKEN)
            raise LlamaError(
                f"row {row}: nothing can be chosen for position {position}, as the logits hold "
                "a NaN or no finite maximum. The weights are damaged or too large for their "
                "type; `tracr-lite llama info` looks for numbers that are not finite. Or the "
                "temperature or the penalty is too small for these logits"
            )
    return all_rows
