"""The JAX engine: batches whose steps XLA compiles, on any device."""

# JAX leaves parts of its own signatures without types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import jax.numpy as jnp
import numpy as np

from tracr_lite.llama.cache import check_fits, empty_cache
from tracr_lite.llama.config import LlamaConfig
from tracr_lite.llama.decoding import Fixed, State, advance, begin, extend
from tracr_lite.llama.params import Params
from tracr_lite.llama.sampler_jax import prepare, random_state
from tracr_lite.llama.sampler_settings import SamplerSettings

ROUND = 64  # caches have a multiple of so many slots, so that few sizes are compiled
SHORTEST = 8  # prompts are padded to this, or to the next power of two


@dataclass(frozen=True)
class JaxEngine:
    """See `batches.Engine`."""

    params: Params
    config: LlamaConfig
    name: str = "jax"

    def prepare(self) -> None:
        """XLA compiles for each length when it comes."""

    def batch(
        self,
        room: Sequence[int],
        steps: int,
        settings: SamplerSettings,
        seeds: Sequence[int],
        stops: Sequence[int],
    ) -> JaxBatch:
        """As in `batches.Engine`."""
        start = max(room) - np.array(room)
        fixed = Fixed(
            jnp.asarray(start, jnp.int32),
            jnp.int32(steps),
            jnp.asarray(stops, jnp.int32),
            prepare(settings),
        )
        random = jnp.stack([random_state(seed) for seed in seeds])
        slots = slots_for(max(int(start.max()) + steps, padded(max(room))))
        check_fits(self.config, len(room), slots)
        return JaxBatch(self, fixed, random, slots)


class JaxBatch:
    """See `batches.Batch`. Rows end at the same slot: short prompts have padding in front."""

    def __init__(self, engine: JaxEngine, fixed: Fixed, random: jnp.ndarray, slots: int):
        self._engine, self._fixed, self._random = engine, fixed, random
        self._slots, self._state = slots, None

    _state: State | None

    @property
    def alive(self) -> bool:
        """As in `batches.Batch`."""
        return self._state is not None and bool(self._state.alive.any())

    def begin(self, prompts: Sequence[Sequence[int]]) -> np.ndarray:
        """As in `batches.Batch`."""
        tokens, seen = self._pad(prompts)
        end = jnp.int32(max(map(len, prompts)))
        how = (self._random, seen, self._fixed, self._slots)
        state = begin(self._engine.params, self._engine.config, tokens, end, *how)
        self._state = state
        return np.asarray(state.token)

    def advance(self, count: int) -> np.ndarray:
        """As in `batches.Batch`."""
        params, config = self._engine.params, self._engine.config
        self._state, found = advance(
            params, config, self._begun(), jnp.int32(count), self._fixed
        )
        return np.asarray(found)

    def extend(self, tokens: Sequence[int], at: int) -> np.ndarray:
        """As in `batches.Batch`."""
        state = self._begun()
        width = min(padded(len(tokens)), self._slots - at)
        row = np.zeros((1, width), np.int32)
        row[0, : len(tokens)] = tokens
        self._state, found = extend(
            self._engine.params,
            self._engine.config,
            replace(state, slot=jnp.int32(at)),
            jnp.asarray(row),
            jnp.int32(len(tokens)),
            self._fixed,
        )
        return np.asarray(found)[: len(tokens)]

    def _begun(self) -> State:
        """The state; an empty one where there was no prompt."""
        if self._state is not None:
            return self._state
        config, rows = self._engine.config, len(self._random)
        penalty = self._fixed.how.uses_penalty
        return State(
            empty_cache(config, rows, self._slots),
            jnp.zeros(rows, jnp.int32),
            jnp.int32(0),
            self._random,
            jnp.ones(rows, bool),
            jnp.zeros((rows, config.vocab_size), bool) if penalty else None,
        )

    def _pad(self, prompts: Sequence[Sequence[int]]) -> tuple[jnp.ndarray, jnp.ndarray | None]:
        """The prompts with padding, and what the repetition penalty has seen."""
        start, size = np.asarray(self._fixed.start), self._engine.config.vocab_size
        tokens = np.zeros((len(prompts), padded(max(map(len, prompts)))), np.int32)
        seen = np.zeros((len(prompts), size), bool)
        for row, prompt in enumerate(prompts):
            tokens[row, start[row] : start[row] + len(prompt)] = prompt
            seen[row, list(prompt)] = True
        return jnp.asarray(tokens), jnp.asarray(seen) if self._fixed.how.uses_penalty else None


def padded(length: int) -> int:
    """The length that a sequence is padded to: few lengths mean few compilations."""
    return max(SHORTEST, 1 << (length - 1).bit_length())


def slots_for(tokens: int) -> int:
    """The size of a cache for so many tokens."""
    return -(-tokens // ROUND) * ROUND
