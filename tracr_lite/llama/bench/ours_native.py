"""The native engine as it is measured: the batches that `Llama.generate` runs."""

from __future__ import annotations

import numpy as np

from tracr_lite.llama.batches import CHUNK
from tracr_lite.llama.bench.ours import SLOTS, STEPS
from tracr_lite.llama.config import LlamaConfig
from tracr_lite.llama.native.batch import NativeBatch
from tracr_lite.llama.native.engine import NativeEngine
from tracr_lite.llama.params import Params
from tracr_lite.llama.sampler_settings import SamplerSettings


class OursNative:
    """A model and a batch of prompts of one token, BOS; greedy. As `ours.Ours`.

    **Arguments:** `lookahead`: see `runtime.load`.
    """

    def __init__(self, config: LlamaConfig, params: Params, batch: int = 1, lookahead: int = 0):
        self.config, self.params, self.batch = config, params, batch
        self._engine = NativeEngine(params, config, lookahead=lookahead)
        greedy = SamplerSettings(temperature=0.0)
        seeds = [1] * batch
        self._batch = NativeBatch(self._engine, SLOTS, STEPS, greedy, seeds, ())

    def decode(self, count: int) -> list[int]:
        """The first `count` tokens of the first row, each by a pass of its own."""
        found = [int(self._batch.begin([[1]] * self.batch)[0])]
        while len(found) < count:
            now = min(CHUNK, count - len(found))
            found += self._batch.advance(now)[0].tolist()
        return found

    def prefill(self, count: int) -> int:
        """Runs a prompt of `count` tokens; the token behind it."""
        return int(self._batch.begin([[1] * count])[0])

    def memory(self) -> float:
        """The arrays of a decoding step over those of weights and cache."""
        needed = self.params.nbytes + self._engine.model.norms.nbytes
        needed += sum(each.nbytes for each in self._batch.arrays)
        kept = sum(each.nbytes for each in self._batch.caches)
        return float(np.divide(needed, self.params.nbytes + kept))
