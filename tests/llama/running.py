"""Small random models that can be run, and a forward pass in float64 numpy beside them."""

import numpy as np

from tests.llama.models import make_weights
from tracr_lite.llama import LlamaConfig, LlamaWeights
from tracr_lite.llama.engines import missing
from tracr_lite.llama.formats.source import ArraySource
from tracr_lite.llama.params import load_params
from tracr_lite.llama.runtime import Llama
from tracr_lite.llama.tokenizer import Tokenizer, Vocabulary
from tracr_lite.llama.weights import NORMS

ENGINES = ("jax", "native") if missing() is None else ("jax",)
MHA = LlamaConfig(16, 24, 1, 4, 4, 40, 24, False)
GQA = LlamaConfig(24, 32, 2, 6, 2, 40, 24, True)
MQA = LlamaConfig(16, 24, 1, 4, 1, 40, 24, False)

LOADING = {
    "float32": {},
    "bfloat16": {"dtype": "bfloat16"},
    "int8": {"dtype": "int8"},
    "q80": {"dtype": "int8", "activations": "q80"},
}


def gentle_weights(config, seed=0):
    """Random weights of which layers neither explode nor vanish."""
    drawn = make_weights(config, seed).tensors()
    for name, tensor in drawn.items():
        size = 0.2 if name in NORMS else 1 / np.sqrt(tensor.shape[-1])
        drawn[name] = (tensor * np.float32(size) + (name in NORMS)).astype(np.float32)
    drawn["token_embedding"] = drawn["token_embedding"] * np.float32(3)
    return LlamaWeights(**drawn)


def make_model(config, weights=None, tokenizer=None, **loading):
    weights = gentle_weights(config) if weights is None else weights
    return Llama(config, load_params(config, ArraySource(weights), **loading), tokenizer)


def letters():
    """A tokenizer of 40 tokens: letters, what chat needs, and the two bytes of é."""
    one_letter = " []/ABCDEFGHIJKLMNOPQRSTUVWXYZ01234"
    pieces = [b"<unk>", b"\n<s>\n", b"\n</s>\n", *(each.encode() for each in one_letter)]
    pieces += ["é".encode()[:1], "é".encode()[1:]]
    return Tokenizer(Vocabulary(pieces, np.zeros(len(pieces), np.float32)))


def draw_ids(config, length, seed=0):
    rng = np.random.default_rng(seed)
    return [1, *rng.integers(3, config.vocab_size, length - 1).tolist()]


def by_the_book(config, w, tokens):
    """Logits (tokens, vocab) in float64, position by position, with explicit loops."""
    size, repeat = config.head_size, config.kv_repeat
    keys = [[] for _ in range(config.n_layers)]
    values = [[] for _ in range(config.n_layers)]
    found = []
    for position, token in enumerate(tokens):
        x = w.token_embedding[token].astype(np.float64)
        for i in range(config.n_layers):
            y = rms(x, w.attention_norm[i])
            q = turn((w.wq[i] @ y).reshape(-1, size), position)
            keys[i].append(turn((w.wk[i] @ y).reshape(-1, size), position))
            values[i].append((w.wv[i] @ y).reshape(-1, size))
            heads = []
            for h in range(config.n_heads):
                scores = np.array([k[h // repeat] @ q[h] for k in keys[i]]) / np.sqrt(size)
                p = np.exp(scores - scores.max())
                heads.append((p / p.sum()) @ np.array([v[h // repeat] for v in values[i]]))
            x = x + w.wo[i] @ np.concatenate(heads)
            y = rms(x, w.ffn_norm[i])
            gate = w.w1[i] @ y
            x = x + w.w2[i] @ (gate / (1 + np.exp(-gate)) * (w.w3[i] @ y))
        head = w.token_embedding if w.classifier is None else w.classifier
        found.append(head @ rms(x, w.final_norm))
    return np.array(found)


def rms(x, weight):
    return weight * x / np.sqrt((x * x).mean() + 1e-5)


def turn(heads, position):
    size = heads.shape[1]
    out = np.empty_like(heads)
    for i in range(0, size, 2):
        angle = position * 10000.0 ** (-i / size)
        a, b = heads[:, i], heads[:, i + 1]
        out[:, i] = a * np.cos(angle) - b * np.sin(angle)
        out[:, i + 1] = a * np.sin(angle) + b * np.cos(angle)
    return out
