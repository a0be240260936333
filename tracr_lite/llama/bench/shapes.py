"""The models that are measured: shapes of llama2.c's stories, filled with random numbers."""

from __future__ import annotations

import numpy as np

from tracr_lite.llama.config import LlamaConfig
from tracr_lite.llama.weights import NORMS, LlamaWeights, shapes

SHAPES = {
    "15M": LlamaConfig(288, 768, 6, 6, 6, 32000, 256, True),
    "110M": LlamaConfig(768, 2048, 12, 12, 12, 32000, 1024, True),
}
TINY = LlamaConfig(32, 64, 2, 4, 2, 64, 512, True)  # to try the benchmark itself
SPREAD = 0.02  # of the random numbers, so that activations neither explode nor vanish


def random_weights(config: LlamaConfig) -> LlamaWeights:
    """The same numbers each time."""
    random, found = np.random.default_rng(0), dict[str, np.ndarray]()
    for name, shape in shapes(config).items():
        numbers = random.standard_normal(shape, dtype=np.float32)
        numbers *= np.float32(SPREAD)
        found[name] = numbers + np.float32(1) if name in NORMS else numbers
    return LlamaWeights(**found)
