"""The native engine: calls compiled code on all threads."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tracr_lite.llama.config import LlamaConfig
from tracr_lite.llama.errors import LlamaError
from tracr_lite.llama.native.batch import NativeBatch
from tracr_lite.llama.native.choosing import Choosing, make_choosing
from tracr_lite.llama.native.describe import describe
from tracr_lite.llama.native.edge import Entry
from tracr_lite.llama.native.entry import entry
from tracr_lite.llama.native.pace import Pace
from tracr_lite.llama.native.plan import FOUND, IN, OUT, PASSED, Batch
from tracr_lite.llama.native.room import make_caches, make_room
from tracr_lite.llama.native.threads import LEFT, default_threads, together
from tracr_lite.llama.params import Params
from tracr_lite.llama.sampler_settings import SamplerSettings


class NativeEngine:
    """See `batches.Engine`."""

    name = "native"

    def __init__(
        self,
        params: Params,
        config: LlamaConfig,
        threads: int | None = None,
        lookahead: int = 0,
    ):
        self.params, self.config, self.lookahead = params, config, lookahead
        self.model, self._kept = describe(params, config)
        sizes = self.model.matrices[:, OUT] * self.model.matrices[:, IN]
        self.threads = default_threads(int(sizes.sum())) if threads is None else threads
        self._pace = Pace(self.threads)
        self._greedy = make_choosing(SamplerSettings(0.0), [1], 0, self.threads)

    def prepare(self) -> None:
        """Compiles, or loads what has been compiled before, by a pass without rows."""
        entry(self._try_out)

    def _try_out(self, call: Entry) -> None:
        room = make_room(self.model, make_caches(self.model, 1, 1), 1, 1, 1)
        nothing = np.zeros((1, 0), np.int64)
        call(self.model, room, self._greedy, 0, np.zeros(0, np.int64), nothing, 0, 1)

    def batch(
        self,
        room: Sequence[int],
        steps: int,
        settings: SamplerSettings,
        seeds: Sequence[int],
        stops: Sequence[int],
    ) -> NativeBatch:
        """As in `batches.Engine`."""
        return NativeBatch(self, max(steps, *room), steps, settings, seeds, stops)

    def run(
        self,
        batch: Batch,
        steps: int,
        stops: np.ndarray,
        found: np.ndarray,
        choosing: Choosing | None = None,
    ) -> None:
        """Calls `generating.run` on all threads. By default it is greedy.

        **Raises:** `LlamaError` if the batch cannot be used since it was interrupted.
        """
        call = entry(self._try_out)  # compiled before threads wait for each other
        if batch.sync[0] >= LEFT:
            raise LlamaError("this batch was interrupted while its threads began; start anew")

        def work(thread: int, threads: int) -> None:
            call(self.model, batch, how, steps, stops, found, thread, threads)

        how = self._greedy if choosing is None else choosing
        batch.counts[FOUND], again = 0, True
        while again:
            self._pace.prepare(batch.sync)
            together(work, self._pace.threads, batch.sync)
            self._pace.learn(batch.sync)
            again = batch.counts[FOUND] < found.shape[1] and batch.counts[PASSED] > 0
