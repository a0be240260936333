"""Names and order of rows: between llama2.c's tensors and those of Hugging Face's Llama.

Queries and keys are permuted inside each head of s rows, as one turns neighbouring rows by the
same angle, the other rows of two halves:

    theirs[j] = ours[2 j]        theirs[s / 2 + j] = ours[2 j + 1]        j < s / 2
"""

from __future__ import annotations

import re

import numpy as np

from tracr_lite.llama.config import LlamaConfig

OUTSIDE = {
    "token_embedding": "model.embed_tokens.weight",
    "final_norm": "model.norm.weight",
    "classifier": "lm_head.weight",
}
INSIDE = {
    "attention_norm": "input_layernorm",
    "wq": "self_attn.q_proj",
    "wk": "self_attn.k_proj",
    "wv": "self_attn.v_proj",
    "wo": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "w1": "mlp.gate_proj",
    "w2": "mlp.down_proj",
    "w3": "mlp.up_proj",
}
# tables that old versions saved; they follow from the configuration
IGNORED = re.compile(r"(model\.layers\.\d+\.self_attn|model)\.rotary_emb\.inv_freq")


def hf_name(name: str, layer: int) -> str:
    """The name of a tensor of ours in a Hugging Face folder."""
    return OUTSIDE.get(name) or f"model.layers.{layer}.{INSIDE[name]}.weight"


def _heads(config: LlamaConfig, name: str) -> int | None:
    return {"wq": config.n_heads, "wk": config.n_kv_heads}.get(name)


def to_hf(config: LlamaConfig, name: str, matrix: np.ndarray) -> np.ndarray:
    """A tensor of one layer with its rows in the order of Hugging Face."""
    return _swapped(matrix, _heads(config, name), (config.head_size // 2, 2))


def from_hf(config: LlamaConfig, name: str, matrix: np.ndarray) -> np.ndarray:
    """A tensor of one layer with its rows in our order."""
    return _swapped(matrix, _heads(config, name), (2, config.head_size // 2))


def _swapped(matrix: np.ndarray, heads: int | None, rows: tuple[int, int]) -> np.ndarray:
    if heads is None:
        return matrix
    split = matrix.reshape(heads, *rows, matrix.shape[-1])
    return split.swapaxes(1, 2).reshape(matrix.shape)
