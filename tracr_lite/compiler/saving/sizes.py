"""The configuration of a transformer and the shape of its model, as JSON and back."""

# pyright: reportUnknownMemberType=false
# (jax is typed in part only)

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import jax

from tracr_lite.compiler.forward import Readout, Shape
from tracr_lite.compiler.saving.fields import Fields, plain, shown
from tracr_lite.errors import SavedModelError
from tracr_lite.transformer.model import TransformerConfig

# what a file may name: nothing else in it chooses code
ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "relu": jax.nn.relu,
    "gelu": jax.nn.gelu,
    "silu": jax.nn.silu,
    "tanh": jax.nn.tanh,
    "sigmoid": jax.nn.sigmoid,
    "elu": jax.nn.elu,
    "selu": jax.nn.selu,
    "softplus": jax.nn.softplus,
    "leaky_relu": jax.nn.leaky_relu,
}
_CONFIG = tuple(field.name for field in fields(TransformerConfig))
_SHAPE = ("vocab_size", "positions", "d_model", "pad_token", "readout")
_READOUT = tuple(field.name for field in fields(Readout))


def config_to_json(config: TransformerConfig) -> dict[str, Any]:
    """**Raises:** `SavedModelError` for an activation function that has no name in files."""
    found = {name: plain(getattr(config, name)) for name in _CONFIG}
    for name, function in ACTIVATIONS.items():
        if config.activation_function is function:
            return found | {"activation_function": name}
    raise SavedModelError(
        f"its activation function is {shown(config.activation_function)}; a file can name "
        f"these of jax.nn: {', '.join(ACTIVATIONS)}"
    )


def config_from_json(found: Any) -> TransformerConfig:
    """**Raises:** `SavedModelError` naming the entry that is wrong."""
    entry = Fields(found, "config", _CONFIG)
    name, rate = entry.text("activation_function"), entry.number("dropout_rate")
    if name not in ACTIVATIONS:
        raise SavedModelError(
            f"config.activation_function is {shown(name)}; it must be one of "
            f"{', '.join(ACTIVATIONS)}"
        )
    if not 0 <= rate < 1:
        raise SavedModelError(f"config.dropout_rate is {rate}; it must be from 0 to below 1")
    return TransformerConfig(
        num_heads=entry.count("num_heads", 1),
        num_layers=entry.count("num_layers"),
        key_size=entry.count("key_size", 1),
        mlp_hidden_size=entry.count("mlp_hidden_size"),
        dropout_rate=rate,
        activation_function=ACTIVATIONS[name],
        layer_norm=entry.flag("layer_norm"),
        causal=entry.flag("causal"),
    )


def shape_to_json(shape: Shape) -> dict[str, Any]:
    """All but its configuration."""
    readout = shape.readout
    found = {name: plain(getattr(shape, name)) for name in _SHAPE}
    return found | {
        "readout": {
            "columns": list(map(plain, readout.columns)),
            "categorical": readout.categorical,
            "numbers": list(map(plain, readout.numbers)),
            "flags": list(map(plain, readout.flags)),
        }
    }


def shape_from_json(found: Any, config: TransformerConfig) -> Shape:
    """**Raises:** `SavedModelError` naming the entry that is wrong."""
    entry = Fields(found, "shape", _SHAPE)
    vocab_size, d_model = entry.count("vocab_size", 1), entry.count("d_model", 1)
    pad = None
    if entry.raw("pad_token") is not None:
        pad = entry.count("pad_token", 0, vocab_size - 1)
    readout = _readout(entry.inner("readout", _READOUT), d_model)
    return Shape(config, vocab_size, entry.count("positions", 1), d_model, readout, pad)


def _readout(entry: Fields, d_model: int) -> Readout:
    columns = entry.counts("columns", d_model - 1)
    numbers = entry.counts("numbers", len(columns) - 1)
    flags = entry.counts("flags", len(columns) - 1)
    readout = Readout(columns, entry.flag("categorical"), numbers, flags)
    if len(set(columns)) < len(columns):
        raise SavedModelError("shape.readout.columns names a column twice")
    if readout.categorical:
        if numbers or flags or not columns:
            raise SavedModelError("shape.readout: categorical needs columns, and no numbers")
    elif sorted([*numbers, *flags]) != list(range(len(columns))) or len(numbers) > 1:
        raise SavedModelError("shape.readout: each column must be a flag, or the one number")
    return readout
