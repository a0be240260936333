"""The forward pass of Llama 2, on one page.

Shapes: b batch, t tokens of this pass, s slots of the cache, d dim, h heads, k key-value heads,
r = h / k query heads per key-value head, e head size. A slot is a place in the cache; row b of
a batch has its first token at slot `start[b]`, so its positions are slots minus `start[b]`.
What stands before it is padding, which nothing attends to.

Source: Touvron et al. 2023, arXiv:2307.09288, section 2.2; llama2.c, run.c (350e04f).
"""

# JAX leaves parts of its own signatures without types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import math
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
from jax import Array
from jax.tree_util import register_dataclass

from tracr_lite.llama.cache import Cache
from tracr_lite.llama.config import LlamaConfig
from tracr_lite.llama.matrices import PRECISION, product, rows_of
from tracr_lite.llama.params import Layer, Params

MASKED = -1e30  # finite, so that padding, which sees nothing, has averages and no NaN


@register_dataclass
@dataclass(frozen=True)
class Trace:
    """What happened inside, named as in compiled models; filled where one is given.

    - `input_embeddings`: the residual stream at the start, (b, t, d).
    - `layer_outputs`: per half-layer what it added; `residuals`: the stream after it.
    - `attn_logits`: per layer the scaled and masked scores, (b, h, t, s).
    """

    input_embeddings: list[Array] = field(default_factory=list[Array])
    layer_outputs: list[Array] = field(default_factory=list[Array])
    residuals: list[Array] = field(default_factory=list[Array])
    attn_logits: list[Array] = field(default_factory=list[Array])


def forward(
    params: Params,
    config: LlamaConfig,
    tokens: Array,
    start: Array,
    cache: Cache,
    at: Array | int = 0,
    trace: Trace | None = None,
) -> tuple[Array, Cache]:
    """Runs all layers on the tokens of slots `at`, `at + 1`, ...

    **Arguments:** `tokens`: (b, t) ids. `start`: (b,) slots. `cache`: what earlier passes left.
    **Returns:** the normalised stream, (b, t, d), float32, and the cache with these tokens.
    """
    slots = at + jnp.arange(tokens.shape[1])
    positions = jnp.maximum(slots - start[:, None], 0)
    turn = (params.cos[positions][:, :, None], params.sin[positions][:, :, None])
    x = rows_of(params.embedding, tokens)
    if trace is not None:
        trace.input_embeddings.append(x)
    for i, layer in enumerate(params.layers):
        y = _norm(x, layer.attention_norm, config)
        q, k, v = _queries_keys_values(layer, y, turn, config)
        cache = cache.write(i, k, v, at)
        attended, scores = _attention(q, *cache.read(i), _visible(cache.slots, slots, start))
        added = product(layer.wo, attended)
        x = x + added
        also = _feed_forward(layer, _norm(x, layer.ffn_norm, config))
        if trace is not None:
            trace.attn_logits.append(scores)
            trace.layer_outputs.extend([added, also])
            trace.residuals.extend([x, x + also])
        x = x + also
    return _norm(x, params.final_norm, config), cache


def logits(params: Params, x: Array) -> Array:
    """The scores of the next token, (..., vocab), from the normalised stream."""
    return product(params.embedding if params.classifier is None else params.classifier, x)


def _norm(x: Array, weight: Array, config: LlamaConfig) -> Array:
    """RMSNorm: Zhang and Sennrich 2019, arXiv:1910.07467."""
    return weight * (x * jax.lax.rsqrt(jnp.mean(x * x, -1, keepdims=True) + config.norm_eps))


def _queries_keys_values(
    layer: Layer, y: Array, turn: tuple[Array, Array], config: LlamaConfig
) -> tuple[Array, Array, Array]:
    """(b, t, k, r, e), and twice (b, t, k, e); queries and keys are turned."""
    joined = product(layer.wqkv, y)
    q, k, v = jnp.split(joined, [config.dim, config.dim + config.kv_dim], axis=-1)
    shape = (*y.shape[:2], -1, config.head_size)
    q, k = _rotate(q.reshape(shape), *turn), _rotate(k.reshape(shape), *turn)
    return q.reshape(*y.shape[:2], config.n_kv_heads, -1, config.head_size), k, v.reshape(shape)


def _rotate(x: Array, cos: Array, sin: Array) -> Array:
    """Turns the pairs (2i, 2i + 1) of each head: Su et al. 2021, arXiv:2104.09864."""
    even, odd = x[..., 0::2], x[..., 1::2]
    return jnp.stack([even * cos - odd * sin, even * sin + odd * cos], -1).reshape(x.shape)


def _visible(count: int, slots: Array, start: Array) -> Array:
    """(b, 1, t, s): may the token at a slot of this pass see a slot of the cache?"""
    keys = jnp.arange(count)
    seen = (keys <= slots[:, None]) & (keys >= start[:, None, None])
    return seen[:, None]


def _attention(q: Array, k: Array, v: Array, visible: Array) -> tuple[Array, Array]:
    """From q (b, t, k, r, e) and k, v (b k, s, e): (b, t, d), and scores (b, h, t, s)."""
    b, t, heads, repeat, size = q.shape
    rows = q.transpose(0, 2, 3, 1, 4).reshape(b * heads, repeat * t, size)
    scores = _batched(rows, k.swapaxes(1, 2)).reshape(b, -1, t, k.shape[1]) / math.sqrt(size)
    scores = jnp.where(visible, scores, MASKED)
    weights = jax.nn.softmax(scores, axis=-1).reshape(b * heads, repeat * t, -1)
    mixed = _batched(weights, v).reshape(b, heads * repeat, t, size)
    return mixed.swapaxes(1, 2).reshape(b, t, -1), scores


def _batched(x: Array, y: Array) -> Array:
    """Products of matrices, one for each row of a batch."""
    return jnp.matmul(x, y, precision=PRECISION)


def _feed_forward(layer: Layer, y: Array) -> Array:
    """SwiGLU: Shazeer 2020, arXiv:2002.05202."""
    gate, up = jnp.split(product(layer.w13, y), 2, axis=-1)
    return product(layer.w2, jax.nn.silu(gate) * up)
