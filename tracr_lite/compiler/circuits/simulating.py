"""The forward pass in double precision, overwritten as it goes: weights without rounding."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float

from tracr_lite.compiler.circuits.overwriting import Cells
from tracr_lite.compiler.circuits.writers import Arrays
from tracr_lite.transformer.model import TransformerConfig


def streams(
    params: Arrays, config: TransformerConfig, ids: list[int], cells: Cells
) -> Iterator[Float[np.ndarray, "seq d_model"]]:
    """The stream after the embeddings, then after each half-layer."""
    x = params["token_embed"]["embeddings"][ids].astype(float)
    x = cells.after(-1, x + params["pos_embed"]["embeddings"][: len(ids)])
    yield x
    for layer in range(config.num_layers):
        here = f"transformer/layer_{layer}"
        x = cells.after(2 * layer, x + _attention(params, f"{here}/attn", config, x))
        yield x
        hidden = np.maximum(_linear(params, f"{here}/mlp/linear_1", x), 0.0)
        x = cells.after(2 * layer + 1, x + _linear(params, f"{here}/mlp/linear_2", hidden))
        yield x


def _attention(
    params: Arrays, here: str, config: TransformerConfig, x: np.ndarray
) -> np.ndarray:
    query, key, value = (
        _linear(params, f"{here}/{name}", x).reshape(len(x), config.num_heads, -1)
        for name in ("query", "key", "value")
    )
    scores = np.einsum("qhd,khd->hqk", query, key) / math.sqrt(config.key_size)
    if config.causal:
        scores = np.where(np.tri(len(x), dtype=bool), scores, -np.inf)
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    mixed = np.einsum("hqk,khd->qhd", weights, value)
    return _linear(params, f"{here}/linear", mixed.reshape(len(x), -1))


def _linear(params: Arrays, name: str, x: np.ndarray) -> np.ndarray:
    return x @ params[name]["w"].astype(float) + params[name]["b"]
