"""The forward pass of trimmed parameters, with every activation of the whole network.

The arithmetic is that of `transformer.model`, zeros left out.
"""

# pyright: reportUnknownMemberType=false
# (jax is typed in part only)

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

from tracr_lite.transformer.attention import PRECISION, masked
from tracr_lite.transformer.model import TransformerConfig, TransformerOutput, visible_keys
from tracr_lite.transformer.trimming import Half, Trimmed


def run(
    trimmed: Trimmed, tokens: jax.Array, config: TransformerConfig, pad_token: int | None
) -> TransformerOutput:
    """Runs on token ids [batch, seq].

    **Arguments:** `config`: of the model that was trimmed; `pad_token`: the id of padding,
    which no query sees; None if there is none.
    """
    tokens = jnp.asarray(tokens)
    seq = tokens.shape[-1]
    real = jnp.ones_like(tokens, dtype=bool) if pad_token is None else tokens != pad_token
    visible = visible_keys(real, seq, config.causal)
    start = (
        jnp.asarray(trimmed.token_embed)[tokens] + jnp.asarray(trimmed.pos_embed)[None, :seq]
    )
    residuals, outputs, logits = [start], list[jax.Array](), list[jax.Array]()

    def add(output: jax.Array) -> None:
        outputs.append(output)
        residuals.append(residuals[-1] + output)

    for attention, mlp in trimmed.layers:
        mixed, scores = _attend(attention, residuals[-1], visible, config)
        logits.append(scores)
        add(_written(attention, mixed, residuals[-1]))
        add(_written(mlp, jax.nn.relu(_read(mlp, residuals[-1])), residuals[-1]))
    return TransformerOutput(
        layer_outputs=outputs,
        residuals=residuals[1:],
        attn_logits=logits,
        output=residuals[-1],
        input_embeddings=start,
    )


def _attend(
    half: Half, stream: jax.Array, visible: jax.Array, config: TransformerConfig
) -> tuple[jax.Array, jax.Array]:
    """Lanes [batch, seq, heads * key_size], and scores [batch, heads, seq, seq]."""
    heads, size, front = config.num_heads, config.key_size, stream.shape[:-1]
    lanes = _read(half, stream).reshape((*front, 3, heads, size))
    query, key, value = (lanes[..., i, :, :] for i in range(3))
    scores = jnp.einsum("bthd,bThd->bhtT", query, key, precision=PRECISION)
    scores = masked(scores / math.sqrt(max(size, 1)), visible)
    weights = jax.nn.softmax(scores)
    mixed = jnp.einsum("bhtT,bThd->bthd", weights, value, precision=PRECISION)
    return mixed.reshape((*front, heads * size)), scores


def _read(half: Half, stream: jax.Array) -> jax.Array:
    columns = stream.at[..., half.rows].get(mode="promise_in_bounds")
    return jnp.matmul(columns, half.reads, precision=PRECISION)


def _written(half: Half, lanes: jax.Array, stream: jax.Array) -> jax.Array:
    """[batch, seq, d_model]: what the half-layer adds."""
    out = jnp.matmul(lanes, half.writes, precision=PRECISION)
    size = stream.shape[-1]
    if half.columns.shape[0] == size:
        return out
    places = (half.columns[:, None] == jnp.arange(size)[None]).astype(out.dtype)
    return jnp.matmul(out, places, precision=PRECISION)  # exact; compiles faster than a scatter
