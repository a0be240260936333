"""The forward pass of pruned parameters: the residual stream at its end, and nothing else.

The arithmetic is that of `transformer.model`, zeros left out.
"""

# pyright: reportUnknownMemberType=false
# (jax is typed in part only)

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

from tracr_lite.transformer.attention import PRECISION, masked
from tracr_lite.transformer.pruning import Head, Pruned, Reading, Writing


def run(
    pruned: Pruned, tokens: jax.Array, *, key_size: int, causal: bool, pad_token: int | None
) -> jax.Array:
    """From token ids [batch, seq] to the residual stream [batch, seq, d_model].

    **Arguments:** `key_size`: of the model that was pruned, whose root divides the scores;
    `pad_token`: the id of padding, which no query sees; None if there is none.
    """
    tokens = jnp.asarray(tokens)
    seq = tokens.shape[-1]
    real = jnp.ones_like(tokens, dtype=bool) if pad_token is None else tokens != pad_token
    visible = real[:, None, :]
    if causal:
        visible = visible & jnp.tri(seq, dtype=bool)
    stream = jnp.asarray(pruned.token_embed)[tokens] + jnp.asarray(pruned.pos_embed)[:seq]
    for layer in pruned.layers:
        # every head reads the stream as it is before the half-layer
        added = [(_attend(head, stream, visible, key_size), head.out) for head in layer.heads]
        for lanes, out in added:
            stream = _write(stream, lanes, out)
        if layer.neurons is not None:
            hidden = jax.nn.relu(_read(stream, layer.neurons.read))
            stream = _write(stream, hidden, layer.neurons.write)
    return stream


def _attend(head: Head, stream: jax.Array, visible: jax.Array, key_size: int) -> jax.Array:
    """[batch, seq, value lanes] of one head; `visible`: [batch, seq or 1, seq]."""
    queries, keys = _read(stream, head.query), _read(stream, head.key)
    logits = jnp.einsum("btd,bTd->btT", queries, keys, precision=PRECISION)
    logits = masked(logits / math.sqrt(max(key_size, 1)), visible)
    values = _read(stream, head.value)
    return jnp.einsum("btT,bTd->btd", jax.nn.softmax(logits), values, precision=PRECISION)


def _read(stream: jax.Array, reading: Reading) -> jax.Array:
    columns = stream
    if reading.rows.shape[0] < stream.shape[-1]:
        columns = stream.at[..., reading.rows].get(mode="promise_in_bounds")
    return jnp.matmul(columns, reading.weights, precision=PRECISION)


def _write(stream: jax.Array, lanes: jax.Array, writing: Writing) -> jax.Array:
    out = jnp.matmul(lanes, writing.weights, precision=PRECISION)
    if writing.columns.shape[0] == stream.shape[-1]:
        return stream + out
    stream = stream.astype(jnp.result_type(stream, out))  # as the sum would be
    return stream.at[..., writing.columns].add(
        out, mode="promise_in_bounds", unique_indices=True, indices_are_sorted=True
    )
