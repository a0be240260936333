"""The model in float64 numpy, as run.c describes it: what logits are held against."""

import numpy as np


def rms(x, weight, eps):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * weight


def turned(x, config):
    """Neighbouring numbers of each head turned by position, (seq, heads, head_size)."""
    half = np.arange(0, config.head_size, 2) / config.head_size
    angle = np.arange(len(x))[:, None, None] * config.rope_theta**-half
    pairs = x.reshape(*x.shape[:-1], -1, 2)
    as_complex = (pairs[..., 0] + 1j * pairs[..., 1]) * np.exp(1j * angle)
    return np.stack([as_complex.real, as_complex.imag], axis=-1).reshape(x.shape)


def attention(h, w, layer, config):
    heads, kv = (
        lambda m, n: turned((h @ m[layer].T).reshape(len(h), n, -1), config),
        config.n_kv_heads,
    )
    q, k = heads(w.wq, config.n_heads), heads(w.wk, kv)
    v = (h @ w.wv[layer].T).reshape(len(h), kv, -1)
    k, v = (np.repeat(each, config.kv_repeat, axis=1) for each in (k, v))
    scores = np.einsum("qhi,khi->hqk", q, k) / np.sqrt(config.head_size)
    scores = np.where(np.tri(len(h), dtype=bool), scores, -np.inf)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    mixed = np.einsum("hqk,khi->qhi", weights / weights.sum(-1, keepdims=True), v)
    return mixed.reshape(len(h), -1) @ w.wo[layer].T


def forward(config, weights, tokens):
    """The model in float64 numpy: logits of every position."""
    tensors = {name: np.asarray(t, np.float64) for name, t in weights.tensors().items()}
    w = type(weights)(**tensors)
    x = w.token_embedding[tokens]
    for i in range(config.n_layers):
        x = x + attention(rms(x, w.attention_norm[i], config.norm_eps), w, i, config)
        h = rms(x, w.ffn_norm[i], config.norm_eps)
        gate = h @ w.w1[i].T
        x = x + (gate / (1 + np.exp(-gate)) * (h @ w.w3[i].T)) @ w.w2[i].T
    top = w.token_embedding if w.classifier is None else w.classifier
    return rms(x, w.final_norm, config.norm_eps) @ top.T
