"""The forward pass of a compiled model in numpy float32: no tracing, for many models."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np


def predict(model: Any, batch: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """Decoded values without BOS; inputs without BOS too. No padding: one run per length."""
    results: list[list[Any]] = [[] for _ in batch]
    for n in sorted({len(xs) for xs in batch}):
        rows = [i for i, xs in enumerate(batch) if len(xs) == n]
        bos = model.input_encoder.bos_token
        ids = np.array([model.input_encoder.encode([bos, *batch[i]]) for i in rows])
        for i, answers in zip(rows, _answers(model, ids), strict=True):
            results[i] = model.output_encoder.decode(answers.tolist())[1:]
    return results


def _answers(model: Any, ids: np.ndarray) -> np.ndarray:
    """Ids or numbers, as the model's unembedding gives them."""
    readout = model.shape.readout
    out = _stream(model, ids)[..., list(readout.columns)]
    if readout.categorical:
        return out.argmax(-1)
    number = out[..., readout.numbers[0]] if readout.numbers else np.zeros(ids.shape)
    for flag in readout.flags:
        number = np.where(out[..., flag] > 0.5, np.nan, number)
    return number


def _stream(model: Any, ids: np.ndarray) -> np.ndarray:
    """The residual stream at the end, [batch, seq, d_model]."""
    params, config = model.params, model.model_config
    x = params["token_embed"]["embeddings"][ids]
    x = x + params["pos_embed"]["embeddings"][: ids.shape[1]]
    hidden = np.tri(ids.shape[1], dtype=bool) if config.causal else None
    for layer in range(config.num_layers):
        here = f"transformer/layer_{layer}"
        x = x + _attention(params, f"{here}/attn", config, x, hidden)
        h = np.maximum(_linear(params, f"{here}/mlp/linear_1", x), np.float32(0))
        x = x + _linear(params, f"{here}/mlp/linear_2", h)
    assert x.dtype == np.float32
    return x


def _linear(params: Any, name: str, x: np.ndarray) -> np.ndarray:
    return x @ params[name]["w"] + params[name]["b"]


def _attention(
    params: Any, here: str, config: Any, x: np.ndarray, visible: np.ndarray | None
) -> np.ndarray:
    def heads(name: str) -> np.ndarray:  # [batch, heads, seq, key_size]
        y = _linear(params, f"{here}/{name}", x)
        return y.reshape(*x.shape[:2], config.num_heads, -1).transpose(0, 2, 1, 3)

    scores = heads("query") @ heads("key").swapaxes(-1, -2)
    scores = scores / np.float32(math.sqrt(config.key_size))
    if visible is not None:
        scores = np.where(visible, scores, np.float32(-1e30))
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights = weights / weights.sum(-1, keepdims=True)
    mixed = (weights @ heads("value")).transpose(0, 2, 1, 3).reshape(*x.shape[:2], -1)
    return _linear(params, f"{here}/linear", mixed)
