"""Generating tokens for a batch of prompts, a few at a time."""

# JAX leaves parts of its own signatures without types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from tracr_lite.llama.config import LlamaConfig
from tracr_lite.llama.decoding import CHUNK, NOTHING, Fixed, advance, begin
from tracr_lite.llama.errors import LlamaError
from tracr_lite.llama.params import Params
from tracr_lite.llama.sampler_jax import NO_TOKEN, prepare, random_state
from tracr_lite.llama.sampler_settings import SamplerSettings

PAUSE = 0.05  # seconds between two deliveries of a stream, about
ROUND = 64  # caches have a multiple of so many slots, so that few sizes are compiled
SHORTEST = 8  # prompts are padded to this, or to the next power of two


@dataclass(frozen=True)
class TokenRequest:
    """What is to be generated.

    - `prompts`: ids of each row, at least one; rows may differ in length.
    - `steps`: run.c's `-n`: so many tokens of a row, its prompt included, are run at most.
    - `settings`, `seeds`: how tokens are chosen, and where each row's generator starts.
    - `stops`: ids after which a row ends; they are given out like others.
    """

    prompts: Sequence[Sequence[int]]
    steps: int
    settings: SamplerSettings
    seeds: Sequence[int]
    stops: Sequence[int]


def stream_tokens(
    params: Params, config: LlamaConfig, request: TokenRequest, *, often: bool = True
) -> Iterator[list[list[int]]]:
    """The new tokens of each row, a few at a time, until all rows have ended.

    **Arguments:** `often`: deliver about every `PAUSE` seconds; else whenever it suits.
    **Raises:** `LlamaError` where logits are NaN or there are no probabilities.
    """
    lengths = np.array([len(prompt) for prompt in request.prompts])
    end = int(lengths.max())
    start = end - lengths
    tokens, seen = _pad(request, config, start)
    fixed = Fixed(
        jnp.asarray(start, jnp.int32),
        jnp.int32(request.steps),
        jnp.asarray(request.stops, jnp.int32),
        prepare(request.settings),
    )
    random = jnp.stack([random_state(seed) for seed in request.seeds])
    slots = slots_for(max(int(start.max()) + request.steps, tokens.shape[1]))
    state = begin(params, config, tokens, jnp.int32(end), random, seen, fixed, slots)
    if often:  # compiles the loop, so that the first token does not stand alone for seconds
        state, _ = advance(params, config, state, jnp.int32(0), fixed)
    yield _checked(np.asarray(state.token)[:, None], lengths)
    pace = Pace() if often else Pace(CHUNK)
    while bool(state.alive.any()):
        lengths += 1
        with pace as count:
            state, found = advance(params, config, state, jnp.int32(count), fixed)
            ids = np.asarray(found)
        yield _checked(ids, lengths)
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


def _pad(
    request: TokenRequest, config: LlamaConfig, start: np.ndarray
) -> tuple[jnp.ndarray, jnp.ndarray | None]:
    """The prompts with padding, and what the repetition penalty has seen."""
    rows = len(request.prompts)
    width = padded(max(map(len, request.prompts)))
    tokens = np.zeros((rows, width), np.int32)
    seen = np.zeros((rows, config.vocab_size), bool)
    for row, prompt in enumerate(request.prompts):
        tokens[row, start[row] : start[row] + len(prompt)] = prompt
        seen[row, list(prompt)] = True
    penalty = request.settings.repetition_penalty is not None
    return jnp.asarray(tokens), jnp.asarray(seen) if penalty else None


def padded(length: int) -> int:
    """The length that a sequence is padded to: few lengths mean few compilations."""
    return max(SHORTEST, 1 << (length - 1).bit_length())


def slots_for(tokens: int) -> int:
    """The size of a cache for so many tokens."""
    return -(-tokens // ROUND) * ROUND


def _checked(ids: np.ndarray, lengths: np.ndarray) -> list[list[int]]:
    """The tokens of each row; `lengths` is where they stand, for the message."""
    rows = [[int(each) for each in row if each != NOTHING] for row in ids]
    for row, found in enumerate(rows):
        if NO_TOKEN in found:
            position = int(lengths[row]) + found.index(NO_TOKEN)
            raise LlamaError(
                f"row {row}: nothing can be chosen for position {position}, as the logits hold "
                "a NaN or no finite maximum. The weights are damaged or too large for their "
                "type; `tracr-lite llama info` looks for numbers that are not finite"
            )
    return rows
