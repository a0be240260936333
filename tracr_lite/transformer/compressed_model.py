"""A transformer whose residual stream is squeezed through one learned matrix.

Training only this matrix shows how a compiled model packs its directions into fewer dimensions.

Source: Lindner et al. 2023, arXiv:2301.05062, section 5.
"""

from __future__ import annotations

import haiku as hk
import jax
import jax.numpy as jnp

from tracr_lite.transformer.attention import PRECISION
from tracr_lite.transformer.model import TransformerConfig, TransformerOutput, run_layers


class CompressedTransformer(hk.Module):
    """A transformer with the extra parameter `w_emb`, [embedding_size, d_model]."""

    def __init__(self, config: TransformerConfig, name: str | None = None):
        super().__init__(name=name)
        self.config = config

    def __call__(
        self,
        embeddings: jax.Array,
        mask: jax.Array,
        *,
        use_dropout: bool = True,
        embedding_size: int | None = None,
        unembed_at_every_layer: bool = False,
    ) -> TransformerOutput:
        """Writes `x @ w_emb.T` to the residual stream, and reads `x @ w_emb` from it.

        **Arguments:**
        - `embeddings`: [batch, seq, d_model]; `mask`: [batch, seq], false or 0 at padding.
        - `embedding_size`: size of the stream; None leaves it as it is, as in `Transformer`.
        - `unembed_at_every_layer`: half-layers keep inputs and outputs of size d_model, with
          the matrix before and after each; otherwise they work on the compressed stream.

        **Returns:** `residuals` and `layer_outputs` have size `embedding_size`, not d_model.
        """
        if embedding_size is None:
            return run_layers(self.config, embeddings, mask, use_dropout=use_dropout)
        shape, init = (embedding_size, embeddings.shape[-1]), hk.initializers.RandomNormal()
        w_emb = hk.get_parameter("w_emb", shape, embeddings.dtype, init)

        def compress(x: jax.Array) -> jax.Array:
            return jnp.matmul(x, w_emb.T, precision=PRECISION)

        def decompress(x: jax.Array) -> jax.Array:
            return jnp.matmul(x, w_emb, precision=PRECISION)

        inner = {"read": decompress, "write": compress} if unembed_at_every_layer else {}
        return run_layers(
            self.config,
            embeddings,
            mask,
            use_dropout=use_dropout,
            embed=compress,
            unembed=decompress,
            **inner,
        )
