"""Models to verify, and ways to spoil them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from tracr_lite.compiler import compile_rasp_to_model, lib
from tracr_lite.rasp import rasp

T, I = rasp.tokens, rasp.indices
REVERSE = lib.make_reverse(T)
BEFORE = rasp.Select(I, I, rasp.Comparison.LT)
PREVIOUS = rasp.Aggregate(rasp.Select(I, I - 1, rasp.Comparison.EQ), T)
MEAN = rasp.numerical(rasp.Aggregate(BEFORE, T))


@lru_cache(maxsize=64)
def compiled(program: Any, vocab: tuple[Any, ...], n: int, causal: bool = False) -> Any:
    return compile_rasp_to_model(program, vocab, n, causal=causal)


def edited(model: Any, change: Callable[[Any], None]) -> Any:
    """A copy of a model after `change` of its parameters."""
    new = copy.copy(model)
    new.params = {
        name: {leaf: np.array(array) for leaf, array in group.items()}
        for name, group in model.params.items()
    }
    change(new.params)
    return new


def scaled(model: Any, name: str, factor: float) -> Any:
    """A copy whose weights of one name are multiplied."""

    def change(params: Any) -> None:
        for leaf in params[name]:
            params[name][leaf] *= np.float32(factor)

    return edited(model, change)
