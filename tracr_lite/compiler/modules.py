"""Types of the parts of an assembled model, under Tracr's names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import jax

from tracr_lite.transformer.model import CompiledTransformerModelOutput


@runtime_checkable
class ModelForward(Protocol):
    """`forward(params, tokens)`: a function of parameters and token ids [batch, seq]."""

    def __call__(self, params: Any, emb: jax.Array) -> CompiledTransformerModelOutput: ...


@dataclass(frozen=True)
class EmbeddingModules:
    """The modules around the transformer."""

    token_embed: Callable[..., jax.Array]
    pos_embed: Callable[..., jax.Array]
    unembed: Callable[..., jax.Array]
