"""A sample of a data set becomes a model again, without being compiled."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import jax

from tracr_lite.compiler.assembled import AssembledTransformerModel
from tracr_lite.compiler.forward import Readout, Shape
from tracr_lite.craft.bases import BasisDirection
from tracr_lite.craft.conventions import TOKENS
from tracr_lite.mass.errors import DatasetError
from tracr_lite.rasp.json_values import from_json
from tracr_lite.transformer.encoder import CategoricalEncoder, Encoder, NumericalEncoder
from tracr_lite.transformer.model import TransformerConfig

if TYPE_CHECKING:
    from tracr_lite.mass.records import Sample

OUTPUT = "output"  # names the directions of a categorical output; only their values matter


def rebuild(sample: Sample) -> AssembledTransformerModel:
    """The model. **Raises:** `DatasetError` if the record does not describe one."""
    try:
        return _rebuild(sample)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        why = f"{type(error).__name__} {error}"
        raise DatasetError(f"sample {sample.index} describes no model: {why}") from error


def _rebuild(sample: Sample) -> AssembledTransformerModel:
    config = dict(sample.config)
    activation = getattr(jax.nn, config.pop("activation_function"))
    shape = Shape(
        TransformerConfig(activation_function=activation, **config),
        *_sizes(sample),
        _readout(sample.record["output"]),
        _values(sample.record["input"]["tokens"]).index(sample.record["input"]["pad"]),
    )
    return AssembledTransformerModel(
        forward=shape.forward,
        get_compiled_model=shape.model,
        params=sample.params,
        model_config=shape.config,
        residual_labels=sample.residual_labels,
        input_encoder=_input_encoder(sample),
        output_encoder=_output_encoder(sample.record["output"]),
        shape=shape,
    )


def _sizes(sample: Sample) -> tuple[int, int, int]:
    """Tokens, positions, d_model."""
    tokens, d_model = sample.params["token_embed"]["embeddings"].shape
    return tokens, sample.params["pos_embed"]["embeddings"].shape[0], d_model


def _readout(output: dict[str, Any]) -> Readout:
    columns = tuple(output["columns"])
    if output["kind"] == "categorical":
        return Readout(columns, True)
    return Readout(columns, False, tuple(output["numbers"]), tuple(output["none_flags"]))


def _input_encoder(sample: Sample) -> Encoder:
    record = sample.record["input"]
    return CategoricalEncoder(
        [BasisDirection(TOKENS, value) for value in _values(record["tokens"])],
        enforce_bos=True,
        bos_token=record["bos"],
        pad_token=record["pad"],
        max_seq_len=sample.max_seq_len,
        exact_types=True,
    )


def _output_encoder(output: dict[str, Any]) -> Encoder:
    if output["kind"] == "categorical":
        return CategoricalEncoder(
            [BasisDirection(OUTPUT, v) for v in _values(output["values"])]
        )
    tolerance = math.inf if output["tolerance"] is None else output["tolerance"]
    return NumericalEncoder(output["values"], tolerance)


def _values(items: list[Any]) -> list[Any]:
    return [from_json(item) for item in items]
