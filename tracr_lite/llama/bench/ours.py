"""This library as it is measured: the compiled steps that `Llama.generate` runs."""

# JAX leaves parts of its own signatures without types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np

from tracr_lite.llama.batch_jax import padded
from tracr_lite.llama.config import LlamaConfig
from tracr_lite.llama.decoding import CHUNK, Fixed, State, advance, begin
from tracr_lite.llama.params import Params
from tracr_lite.llama.sampler_jax import prepare, random_state
from tracr_lite.llama.sampler_settings import SamplerSettings

SLOTS = 256  # of the caches that are measured
STEPS = 1 << 30  # nothing ends before it is told to


class Ours:
    """A model and a batch of prompts of one token, BOS; greedy."""

    def __init__(self, config: LlamaConfig, params: Params, batch: int = 1):
        self.config, self.params, self.batch = config, params, batch
        how = prepare(SamplerSettings(temperature=0.0))
        none = jnp.zeros(0, jnp.int32)
        self._fixed = Fixed(jnp.zeros(batch, jnp.int32), jnp.int32(STEPS), none, how)
        self._random = jnp.stack([random_state(1)] * batch)
        self._state = self._begin(1)
        self.cache_nbytes = self._state.cache.nbytes

    def decode(self, count: int) -> list[int]:
        """The first `count` tokens of the first row, each by a step of its own."""
        state, found = replace(self._state, slot=jnp.int32(0)), list[int]()
        state = replace(state, token=jnp.ones(self.batch, jnp.int32))
        while len(found) < count:
            now = min(CHUNK, count - len(found))
            state, ids = advance(self.params, self.config, state, jnp.int32(now), self._fixed)
            found += np.asarray(ids)[0, :now].tolist()
        self._state = state
        return found

    def prefill(self, count: int) -> int:
        """Runs a prompt of `count` tokens in one pass; the token behind it."""
        return int(self._begin(count).token[0])

    def memory(self) -> float:
        """The memory of a decoding step, by XLA's account, over that of weights and cache."""
        how = advance.lower(
            self.params, self.config, self._state, jnp.int32(1), self._fixed
        ).compile()
        plan: Any = how.memory_analysis()
        if plan is None:  # not every backend tells
            return math.nan
        # the state is donated: what comes out takes the place of what went in
        needed = plan.argument_size_in_bytes + plan.temp_size_in_bytes
        return needed / (self.params.nbytes + self.cache_nbytes)

    def _begin(self, length: int) -> State:
        tokens = jnp.ones((self.batch, padded(length)), jnp.int32)
        slots = max(SLOTS, tokens.shape[1])
        return begin(
            *(self.params, self.config, tokens, jnp.int32(length), self._random, None),
            *(self._fixed, slots),
        )
