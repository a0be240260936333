"""The transformer in plain numpy, and random parameters for it."""

from __future__ import annotations

import haiku as hk
import numpy as np

from tracr_lite.transformer.model import Transformer
from tracr_lite.transformer.shapes import param_shapes


def random_params(config, d_model, seed=0, name="transformer"):
    """Normal parameters, biases and layer norms included, so that nothing is zero by chance."""
    rng = np.random.default_rng(seed)
    return {
        module: {
            key: rng.normal(size=shape).astype(np.float32) for key, shape in shapes.items()
        }
        for module, shapes in param_shapes(config, d_model, name).items()
    }


def run(config, params, embeddings, mask, rng=None, **kwargs):
    """The Haiku model on the same arguments."""
    forward = hk.transform(lambda e, m: Transformer(config)(e, m, **kwargs))
    return forward.apply(params, rng, embeddings, mask)


def linear(params, x):
    return x @ params["w"] + params["b"]


def normalise(params, x):
    """Layer norm, or nothing where the model has none."""
    if params is None:
        return x
    centred = x - x.mean(-1, keepdims=True)
    scale = params["scale"] / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    return centred * scale + params["offset"]


def attend(params, here, config, x, mask):
    """One sequence, head by head, query by query; only visible keys take part."""
    query, key, value = (
        linear(params[f"{here}/{part}"], x).reshape(len(x), config.num_heads, config.key_size)
        for part in ("query", "key", "value")
    )
    mixed = np.zeros_like(value)
    for head in range(config.num_heads):
        for i in range(len(x)):
            seen = [j for j in range(len(x)) if mask[j] and (j <= i or not config.causal)]
            scores = key[seen, head] @ query[i, head] / np.sqrt(config.key_size)
            weights = np.exp(scores - scores.max())
            mixed[i, head] = weights @ value[seen, head] / weights.sum()
    return linear(params[f"{here}/linear"], mixed.reshape(len(x), -1))


def transformer(params, config, x, mask, activation):
    """Residual streams after each half-layer, and the output, for one sequence."""
    residuals = []
    for layer in range(config.num_layers):
        here = f"transformer/layer_{layer}"
        normal = normalise(params.get(f"{here}/layer_norm"), x)
        x = x + attend(params, f"{here}/attn", config, normal, mask)
        residuals.append(x)
        normal = normalise(params.get(f"{here}/layer_norm_1"), x)
        hidden = activation(linear(params[f"{here}/mlp/linear_1"], normal))
        x = x + linear(params[f"{here}/mlp/linear_2"], hidden)
        residuals.append(x)
    return residuals, normalise(params.get("transformer/layer_norm"), x)
