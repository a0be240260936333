"""Runs a model while some cells of its residual stream are held at given values.

A cell is a position and a column. It is overwritten right after the half-layer that writes its
column, so that all later half-layers, and the output, read the new value.
"""

# pyright: reportUnknownMemberType=false
# (jax and haiku are typed in part only)

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np

from tracr_lite.compiler.forward import Shape
from tracr_lite.transformer.model import (
    Transformer,
    TransformerConfig,
    TransformerOutput,
    run_layers,
)


@dataclass(frozen=True)
class Cells:
    """What to hold.

    **Arguments:** `chosen`: which cells, [seq, d_model]; `values`: at what, there; `slots`: the
    half-layer that writes each column, [d_model].
    """

    chosen: np.ndarray
    values: np.ndarray
    slots: np.ndarray

    def padded(self, length: int) -> Cells:
        """The same for a longer sequence."""
        more = ((0, length - len(self.chosen)), (0, 0))
        return Cells(np.pad(self.chosen, more), np.pad(self.values, more), self.slots)

    def after(self, slot: int, stream: np.ndarray) -> np.ndarray:
        """A stream [seq, d_model] after a half-layer, overwritten."""
        return np.where(self.chosen & (self.slots <= slot), self.values, stream)


class OverwrittenTransformer(Transformer):
    """A transformer whose residual stream is overwritten as it goes."""

    def __init__(
        self,
        config: TransformerConfig,
        chosen: jax.Array,
        values: jax.Array,
        slots: jax.Array,
        name: str = "transformer",
    ):
        super().__init__(config, name=name)
        self._chosen, self._values, self._slots = chosen, values, slots

    def __call__(
        self, embeddings: jax.Array, mask: jax.Array, *, use_dropout: bool = True
    ) -> TransformerOutput:
        """As `Transformer`; `residuals` and `input_embeddings` are overwritten."""
        last = 2 * self.config.num_layers - 1
        before = itertools.count(-1)  # each half-layer reads once; the first, the embeddings

        def after(slot: int, stream: jax.Array) -> jax.Array:
            return jnp.where(self._chosen & (self._slots <= slot), self._values, stream)

        found = run_layers(
            self.config,
            embeddings,
            mask,
            use_dropout=use_dropout,
            read=lambda stream: after(next(before), stream),
            unembed=lambda stream: after(last, stream),
        )
        return TransformerOutput(
            layer_outputs=found.layer_outputs,
            residuals=[after(slot, x) for slot, x in enumerate(found.residuals)],
            attn_logits=found.attn_logits,
            output=found.output,
            input_embeddings=after(-1, found.input_embeddings),
        )


@lru_cache(maxsize=64)
def jitted_overwritten(shape: Shape) -> Callable[..., Any]:
    """`run(params, token_ids, chosen, values, slots)` of a shape, jitted."""

    def run(tokens: jax.Array, chosen: jax.Array, values: jax.Array, slots: jax.Array) -> Any:
        transformer = OverwrittenTransformer(shape.config, chosen, values, slots)
        return shape.model(transformer)(tokens, use_dropout=False)

    transformed = hk.without_apply_rng(hk.transform(run))
    return cast("Callable[..., Any]", jax.jit(transformed.apply))
