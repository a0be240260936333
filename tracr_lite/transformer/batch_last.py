"""The forward pass of pruned parameters on many short sequences: the batch is the last axis.

A matrix product per sequence is too small to be fast where sequences are short. Here every step
is a sum of products of whole rows, each as long as the batch, and a read or write is one matrix
product for all of them. The arithmetic is that of `pruned_model`.

Shapes: stream [d_model, seq, batch], lanes [lanes, seq, batch], scores [keys, seq, batch].
"""

# pyright: reportUnknownMemberType=false
# (jax is typed in part only)

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import reduce
from operator import add
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tracr_lite.transformer.attention import PRECISION, masked
from tracr_lite.transformer.pruning import Head, Pruned, Reading, Writing

MOST_TOKENS = 16  # sums over keys are written out, one term each
MOST_LANES = 64  # so are sums over the lanes of a query
MOST_NEURONS = 256  # with more, the products are large anyway
MOST_VOCABULARY = 512  # the vocabulary, for which all is computed up to the first head
MOST_CHOICES = 32  # the vocabulary that is looked up by one comparison for each token


def suits(pruned: Pruned, seq: int) -> bool:
    """Whether sequences of `seq` tokens run faster this way than by `pruned_model`.

    Numbers of several types are left to `pruned_model`: here they would be joined in one array.
    """
    heads = [head for layer in pruned.layers for head in layer.heads]
    lanes = max((head.query.weights.shape[1] for head in heads), default=0)
    neurons = [layer.neurons for layer in pruned.layers if layer.neurons is not None]
    hidden = max((each.read.weights.shape[1] for each in neurons), default=0)
    kinds = {w.dtype for w in jax.tree_util.tree_leaves(pruned) if w.dtype.kind != "i"}
    short = 0 < seq <= MOST_TOKENS and len(pruned.token_embed) <= MOST_VOCABULARY
    return short and lanes <= MOST_LANES and hidden <= MOST_NEURONS and len(kinds) == 1


def run(
    pruned: Pruned, tokens: jax.Array, *, key_size: int, causal: bool, pad_token: int | None
) -> jax.Array:
    """From token ids [seq, batch] to the residual stream [d_model, seq, batch].

    Up to the first head a position depends on its own token only. So far, everything is
    computed once for each token, [.., seq, tokens], and then looked up.

    **Arguments:** as of `pruned_model.run`; `seq` is at least 1.
    """
    tokens = jnp.asarray(tokens)
    seq, batch = tokens.shape
    visible = jnp.ones((seq, 1, batch), bool)  # keys, queries, batch
    if pad_token is not None:
        visible = (tokens != pad_token)[:, None]
    if causal:
        visible = visible & jnp.tri(seq, dtype=bool).T[:, :, None]
    embeddings = jnp.asarray(pruned.token_embed), jnp.asarray(pruned.pos_embed)[:seq]
    stream = embeddings[0].T[:, None] + embeddings[1].T[:, :, None]
    one, looked_up = _one(tokens, stream.dtype), False
    for layer in pruned.layers:
        if layer.heads:
            # every head reads the stream as it is before the half-layer
            lanes = _lanes(layer.heads, stream)
            if not looked_up:
                both = _look_up(jnp.concatenate([lanes, stream]), tokens, one)
                lanes, stream, looked_up = both[: len(lanes)], both[len(lanes) :], True
            stream = stream + _attention(layer.heads, lanes, stream, visible, key_size, one)
        if layer.neurons is not None:
            hidden = jax.nn.relu(_product(_whole(layer.neurons.read, stream), stream))
            stream = stream + _product(_written(layer.neurons.write, stream), hidden)
    return stream if looked_up else _look_up(stream, tokens, one)


def _look_up(table: jax.Array, tokens: jax.Array, one: jax.Array) -> jax.Array:
    """From [rows, seq, vocabulary] to [rows, seq, batch]."""
    size = table.shape[-1]
    if size > MOST_CHOICES:
        return jnp.take_along_axis(table, tokens[None], axis=-1, mode="clip")
    found = table[..., :1]
    for token in range(1, size):  # faster than a gather, which goes number by number
        found = jnp.where(tokens == token, table[..., token : token + 1], found)
    return jnp.broadcast_to(found, (*table.shape[:2], tokens.shape[1])) / one


def _one(tokens: jax.Array, dtype: Any) -> jax.Array:
    """A one that the compiler cannot know.

    XLA computes a cheap array again for each of its readers, and scores have one per key. A
    division by this is exact, and dear enough for the result to be kept instead.
    """
    return jnp.where(jnp.any(tokens[:1, :1] < 0), 2, 1).astype(dtype)


def _lanes(heads: tuple[Head, ...], stream: jax.Array) -> jax.Array:
    """[lanes, seq, ..]: queries, keys and values of all heads, by one product."""
    reads = [read for head in heads for read in head[:3]]
    weights = jnp.concatenate([_whole(read, stream) for read in reads], axis=1)
    return _product(weights, stream)


def _attention(
    heads: tuple[Head, ...],
    lanes: jax.Array,
    stream: jax.Array,
    visible: jax.Array,
    key_size: int,
    one: jax.Array,
) -> jax.Array:
    """[d_model, seq, batch], what the heads of a layer add; one product for all of them."""
    ends = np.cumsum([read.weights.shape[1] for head in heads for read in head[:3]])
    parts = jnp.split(lanes, ends[:-1])
    root = math.sqrt(max(key_size, 1)) * one
    mixed = [
        _mix(_scores(query, key, value, visible, root), value, one)
        for query, key, value in zip(parts[0::3], parts[1::3], parts[2::3], strict=True)
    ]
    out = jnp.concatenate([_written(head.out, stream) for head in heads])
    return _product(out, jnp.concatenate(mixed))


def _scores(
    query: jax.Array, key: jax.Array, value: jax.Array, visible: jax.Array, root: jax.Array
) -> jax.Array:
    """[keys, queries, batch]"""
    if not len(query):  # a head without query lanes averages over what it sees
        return masked(jnp.zeros_like(value[0])[:, None] * jnp.ones_like(value[0]), visible)
    products = _sum(q * k[:, None] for q, k in zip(query, key, strict=True))
    return masked(products / root, visible)


def _mix(scores: jax.Array, value: jax.Array, one: jax.Array) -> jax.Array:
    """[lanes, queries, batch]: means of `value` [lanes, keys, batch], weighted by softmax."""
    largest = reduce(jnp.maximum, list(scores)) / one
    powers = jnp.exp(scores - largest)
    weights = powers / (_sum(powers) / one)
    return _sum(w * v[:, None] for w, v in zip(weights, jnp.moveaxis(value, 1, 0), strict=True))


def _sum(terms: Iterable[jax.Array]) -> jax.Array:
    return reduce(add, terms)


def _product(weights: jax.Array, lanes: jax.Array) -> jax.Array:
    """[a, b] and [a, seq, batch] to [b, seq, batch]"""
    return jnp.einsum("ab,asn->bsn", weights, lanes, precision=PRECISION)


def _whole(reading: Reading, stream: jax.Array) -> jax.Array:
    """[d_model, lanes], with the zeros of the rows that are not read."""
    return _spread(reading.rows, reading.weights, stream)


def _written(writing: Writing, stream: jax.Array) -> jax.Array:
    """[lanes, d_model], with the zeros of the columns that are not written."""
    return _spread(writing.columns, writing.weights.T, stream).T


def _spread(places: Any, rows: Any, stream: jax.Array) -> jax.Array:
    """Row i to row `places[i]` of as many as the stream has."""
    size = stream.shape[0]
    if places.shape[0] == size:  # in order, as they always are
        return rows
    here = (jnp.arange(size)[:, None] == places).astype(rows.dtype)
    return jnp.matmul(here, rows, precision=PRECISION)
