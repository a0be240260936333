"""The forward pass of both architectures in numpy float32: small, and without a framework.

Sources: Touvron et al. 2023, arXiv:2307.09288; Radford et al. 2019 (GPT-2).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tracr_lite.targets.rope import frequencies
from tracr_lite.targets.stock_model import StockModel


def predict(model: StockModel, tokens: Sequence[Any]) -> list[Any]:
    """RASP values of RASP tokens, as the network gives them."""
    return model.decode(logits(model, model.encode(tokens))[1:])


def logits(model: StockModel, ids: Sequence[int]) -> np.ndarray:
    """(tokens, vocabulary) of one sequence, float32."""
    run = _llama if model.architecture == "llama" else _gpt2
    return run(model, np.asarray(ids))


def _llama(model: StockModel, ids: np.ndarray) -> np.ndarray:
    config, t = model.config, model.tensors
    eps = np.float32(config["rms_norm_eps"])
    turn = _turn(config, len(ids))
    x = t["model.embed_tokens.weight"][ids]
    for i in range(config["num_hidden_layers"]):
        here = f"model.layers.{i}"
        y = _rms(x, t[f"{here}.input_layernorm.weight"], eps)
        x = x + _llama_attention(config, t, f"{here}.self_attn", y, turn)
        y = _rms(x, t[f"{here}.post_attention_layernorm.weight"], eps)
        gate, up = (y @ t[f"{here}.mlp.{name}_proj.weight"].T for name in ("gate", "up"))
        x = x + (_silu(gate) * up) @ t[f"{here}.mlp.down_proj.weight"].T
    return _rms(x, t["model.norm.weight"], eps) @ t["lm_head.weight"].T


def _rms(x: np.ndarray, gain: np.ndarray, eps: np.float32) -> np.ndarray:
    mean = (x * x).mean(axis=-1, keepdims=True, dtype=np.float32)
    return gain * (x / np.sqrt(mean + eps))


def _silu(x: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return x / (np.float32(1) + np.exp(-x))


def _turn(config: dict[str, Any], positions: int) -> tuple[np.ndarray, np.ndarray]:
    size = config["head_dim"]
    speeds = frequencies(size, config["rope_theta"])
    angles: np.ndarray = np.arange(positions)[:, None] * speeds[None, :]
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


def _rotate(x: np.ndarray, turn: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Turns elements i and i + size / 2 of each head, (heads, tokens, size)."""
    a, b = np.split(x, 2, axis=-1)
    cos, sin = turn
    return np.concatenate([a * cos - b * sin, b * cos + a * sin], axis=-1)


def _llama_attention(
    config: dict[str, Any],
    t: dict[str, np.ndarray],
    here: str,
    y: np.ndarray,
    turn: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:
    size = config["head_dim"]
    q, k, v = (
        (y @ t[f"{here}.{name}_proj.weight"].T).reshape(len(y), -1, size).swapaxes(0, 1)
        for name in "qkv"
    )
    q, k = _rotate(q, turn), _rotate(k, turn)
    group = len(q) // len(k)
    k, v = np.repeat(k, group, axis=0), np.repeat(v, group, axis=0)
    mixed = attend(q, k, v)
    return mixed.swapaxes(0, 1).reshape(len(y), -1) @ t[f"{here}.o_proj.weight"].T


def attend(q: np.ndarray, k: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Causal attention of (heads, tokens, size)."""
    scores = q @ k.swapaxes(1, 2) / np.float32(np.sqrt(q.shape[-1]))
    hidden = np.triu(np.ones(scores.shape[1:], bool), 1)
    scores = np.where(hidden, np.float32(-np.inf), scores)
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return (weights / weights.sum(axis=-1, keepdims=True)) @ v


def _gpt2(model: StockModel, ids: np.ndarray) -> np.ndarray:
    config, t = model.config, model.tensors
    x = t["transformer.wte.weight"][ids] + t["transformer.wpe.weight"][: len(ids)]
    for i in range(config["n_layer"]):
        here = f"transformer.h.{i}"
        y = _layer_norm(model, x, f"{here}.ln_1")
        joined = _linear(t, y, f"{here}.attn.c_attn")
        q, k, v = (
            part.reshape(len(y), config["n_head"], -1).swapaxes(0, 1)
            for part in np.split(joined, 3, axis=-1)
        )
        mixed = attend(q, k, v).swapaxes(0, 1).reshape(len(y), -1)
        x = x + _linear(t, mixed, f"{here}.attn.c_proj")
        y = _layer_norm(model, x, f"{here}.ln_2")
        x = x + _linear(t, _gelu(_linear(t, y, f"{here}.mlp.c_fc")), f"{here}.mlp.c_proj")
    return _layer_norm(model, x, "transformer.ln_f") @ t["lm_head.weight"].T


def _linear(t: dict[str, np.ndarray], x: np.ndarray, name: str) -> np.ndarray:
    return x @ t[f"{name}.weight"] + t[f"{name}.bias"]


def _gelu(x: np.ndarray) -> np.ndarray:
    inner = np.float32(np.sqrt(2 / np.pi)) * (x + np.float32(0.044715) * x * x * x)
    return np.float32(0.5) * x * (np.float32(1) + np.tanh(inner))


def _layer_norm(model: StockModel, x: np.ndarray, name: str) -> np.ndarray:
    eps = np.float32(model.config["layer_norm_epsilon"])
    centred = x - x.mean(axis=-1, keepdims=True, dtype=np.float32)
    square = (centred * centred).mean(axis=-1, keepdims=True, dtype=np.float32)
    gain, shift = (model.tensors[f"{name}.{part}"] for part in ("weight", "bias"))
    return gain * (centred / np.sqrt(square + eps)) + shift
