"""What running an assembled model returns."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import jax


class AssembledTransformerModelOutput:
    """Decoded values and every activation; B = 1, T = tokens with BOS, D = residual columns.

    - `decoded`: list of T values, the first is BOS.
    - `unembedded`: [B, T], ids or numbers.
    - `layer_outputs`, `residuals`: per half-layer [B, T, D].
    - `attn_logits`: per layer [B, heads, T, T].
    - `transformer_output`, `input_embeddings`: [B, T, D].

    A model may run at a padded length; arrays are cut to T when they are first read.
    """

    def __init__(
        self,
        decoded: list[Any],
        unembedded: jax.Array,
        layer_outputs: list[jax.Array],
        residuals: list[jax.Array],
        attn_logits: list[jax.Array],
        transformer_output: jax.Array,
        input_embeddings: jax.Array,
    ):
        self.decoded = decoded
        self._length = int(unembedded.shape[1])
        self._raw = (
            unembedded,
            layer_outputs,
            residuals,
            attn_logits,
            transformer_output,
            input_embeddings,
        )

    @classmethod
    def from_padded(
        cls, raw: Any, decoded: list[Any], length: int
    ) -> AssembledTransformerModelOutput:
        """Wraps the output of a forward pass that was padded beyond `length`."""
        inner = raw.transformer_output
        made = cls(
            decoded,
            raw.unembedded_output,
            inner.layer_outputs,
            inner.residuals,
            inner.attn_logits,
            inner.output,
            inner.input_embeddings,
        )
        made._length = length
        return made

    @cached_property
    def unembedded(self) -> jax.Array:
        return self._raw[0][:, : self._length]

    @cached_property
    def layer_outputs(self) -> list[jax.Array]:
        return [x[:, : self._length] for x in self._raw[1]]

    @cached_property
    def residuals(self) -> list[jax.Array]:
        return [x[:, : self._length] for x in self._raw[2]]

    @cached_property
    def attn_logits(self) -> list[jax.Array]:
        return [x[..., : self._length, : self._length] for x in self._raw[3]]

    @cached_property
    def transformer_output(self) -> jax.Array:
        return self._raw[4][:, : self._length]

    @cached_property
    def input_embeddings(self) -> jax.Array:
        return self._raw[5][:, : self._length]

    def __repr__(self) -> str:
        return f"AssembledTransformerModelOutput(decoded={self.decoded!r})"
