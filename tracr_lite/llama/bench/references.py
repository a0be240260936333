"""What decoding is measured against: a loop in numpy, a naive loop in JAX, transformers.

Each is greedy, for a batch of one, from BOS on, and gives the tokens it has found.
"""

# JAX and transformers leave signatures without types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from types import ModuleType
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from tracr_lite.llama.config import LlamaConfig
from tracr_lite.llama.formats.rope import rope_tables
from tracr_lite.llama.weights import LlamaWeights

Decode: TypeAlias = Callable[[int], list[int]]


def numpy_loop(config: LlamaConfig, weights: LlamaWeights) -> Decode:
    """One token after another, with BLAS for the products."""
    return partial(_loop, partial(_step, np), config, _arrays(weights), np.float32)


def naive_jax_loop(config: LlamaConfig, weights: LlamaWeights) -> Decode:
    """The same function under `jax.jit`, called from Python for each token."""
    step = jax.jit(partial(_step, jnp), static_argnames="config")
    arrays = {name: jnp.asarray(array) for name, array in _arrays(weights).items()}
    return partial(_loop, step, config, arrays, jnp.float32)


def _arrays(weights: LlamaWeights) -> dict[str, np.ndarray]:
    found = {n: t for n, t in weights.tensors().items() if isinstance(t, np.ndarray)}
    return {"classifier": found["token_embedding"], **found}


def _loop(
    step: Callable[..., Any], config: LlamaConfig, arrays: Any, kind: Any, count: int
) -> list[int]:
    shape = (config.n_layers, count + 1, config.n_kv_heads, config.head_size)
    cos, sin = rope_tables(config, 0, count + 1)
    keys, values = np.zeros(shape, kind), np.zeros(shape, kind)
    token, found = 1, list[int]()
    for position in range(count):
        scores, keys, values = step(
            config=config,
            w=arrays,
            token=token,
            position=position,
            turn=(cos[position], sin[position]),
            keys=keys,
            values=values,
        )
        token = int(scores.argmax())
        found.append(token)
    return found


def _step(
    np: Any,
    config: LlamaConfig,
    w: Any,
    token: Any,
    position: Any,
    turn: Any,
    keys: Any,
    values: Any,
) -> Any:
    """The scores of the token after `token`, and the cache; `np` is numpy or jax.numpy."""
    x = w["token_embedding"][token]
    visible = np.arange(keys.shape[1])[:, None, None] <= position
    for i in range(config.n_layers):
        y = _norm(np, x, w["attention_norm"][i], config)
        q, k, v = (
            (w[name][i] @ y).reshape(-1, config.head_size) for name in ("wq", "wk", "wv")
        )
        keys = _put(keys, i, position, _turned(np, k, *turn))
        values = _put(values, i, position, v)
        q = _turned(np, q, *turn).reshape(config.n_kv_heads, -1, config.head_size)
        scores = np.einsum("kre,ske->skr", q, keys[i]) / np.sqrt(config.head_size)
        powers = np.where(visible, np.exp(scores - scores.max(0)), 0.0).astype(x.dtype)
        mixed = np.einsum("skr,ske->kre", powers / powers.sum(0), values[i])
        x = x + w["wo"][i] @ mixed.reshape(-1)
        y = _norm(np, x, w["ffn_norm"][i], config)
        gate = w["w1"][i] @ y
        x = x + w["w2"][i] @ (gate / (1 + np.exp(-gate)) * (w["w3"][i] @ y))
    return w["classifier"] @ _norm(np, x, w["final_norm"], config), keys, values


def _norm(np: Any, x: Any, weight: Any, config: LlamaConfig) -> Any:
    return weight * x / np.sqrt((x * x).mean() + config.norm_eps).astype(x.dtype)


def _turned(np: Any, x: Any, cos: Any, sin: Any) -> Any:
    even, odd = x[:, 0::2], x[:, 1::2]
    return np.stack([even * cos - odd * sin, even * sin + odd * cos], -1).reshape(x.shape)


def _put(cache: Any, layer: int, position: Any, new: Any) -> Any:
    if isinstance(cache, np.ndarray):
        cache[layer, position] = new
        return cache
    return cache.at[layer, position].set(new)


def transformers_generate(config: LlamaConfig, lookahead: int = 0) -> Decode | None:
    """`generate` of Hugging Face transformers, with weights of its own; None without it.

    **Arguments:** `lookahead`: how many tokens it guesses from the text so far, too.
    """
    torch, transformers = _found("torch"), _found("transformers")
    if torch is None or transformers is None:
        return None
    torch.manual_seed(0)
    model = transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            hidden_size=config.dim,
            intermediate_size=config.hidden_dim,
            num_hidden_layers=config.n_layers,
            num_attention_heads=config.n_heads,
            num_key_value_heads=config.n_kv_heads,
            vocab_size=config.vocab_size,
            max_position_embeddings=config.seq_len,
            tie_word_embeddings=config.shared_classifier,
        )
    ).eval()

    def decode(count: int) -> list[int]:
        with torch.inference_mode():
            found = model.generate(
                torch.ones((1, 1), dtype=torch.int64),
                **{"max_new_tokens": count, "min_new_tokens": count, "do_sample": False},
                **{"eos_token_id": None, "pad_token_id": 0},
                **({"prompt_lookup_num_tokens": lookahead} if lookahead else {}),
            )
        return found[0, 1:].tolist()

    return decode


def _found(name: str) -> ModuleType | None:
    try:
        return import_module(name)
    except ModuleNotFoundError:
        return None
