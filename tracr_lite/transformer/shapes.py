"""Names and shapes of a transformer's parameters, from its configuration alone.

Compiled weights are filled in by name, so nothing needs to be traced or initialised first.
"""

from __future__ import annotations

from tracr_lite.transformer.model import TransformerConfig

Shapes = dict[str, dict[str, tuple[int, ...]]]


def param_shapes(config: TransformerConfig, d_model: int, name: str = "transformer") -> Shapes:
    """Module path -> parameter name -> shape, in the order in which Haiku creates them.

    **Arguments:** `d_model`: size of the residual stream; `name`: of the `Transformer` module.
    """
    all_keys = config.num_heads * config.key_size
    norm: dict[str, tuple[int, ...]] = {"scale": (d_model,), "offset": (d_model,)}
    shapes: Shapes = {}
    for layer in range(config.num_layers):
        here = f"{name}/layer_{layer}"
        if config.layer_norm:
            shapes[f"{here}/layer_norm"] = dict(norm)
        for part in ("query", "key", "value"):
            shapes[f"{here}/attn/{part}"] = _linear(d_model, all_keys)
        shapes[f"{here}/attn/linear"] = _linear(all_keys, d_model)
        if config.layer_norm:
            shapes[f"{here}/layer_norm_1"] = dict(norm)
        shapes[f"{here}/mlp/linear_1"] = _linear(d_model, config.mlp_hidden_size)
        shapes[f"{here}/mlp/linear_2"] = _linear(config.mlp_hidden_size, d_model)
    if config.layer_norm:
        shapes[f"{name}/layer_norm"] = dict(norm)
    return shapes


def model_shapes(config: TransformerConfig, d_model: int, vocab: int, positions: int) -> Shapes:
    """As `param_shapes`, with the embeddings of a compiled model last."""
    shapes = param_shapes(config, d_model)
    shapes["token_embed"] = {"embeddings": (vocab, d_model)}
    shapes["pos_embed"] = {"embeddings": (positions, d_model)}
    return shapes


def _linear(inputs: int, outputs: int) -> dict[str, tuple[int, ...]]:
    return {"w": (inputs, outputs), "b": (outputs,)}
