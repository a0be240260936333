"""A model as JSON and weights, and the model of those."""

from __future__ import annotations

from typing import Any

from tracr_lite.compiler.assembled import AssembledTransformerModel
from tracr_lite.compiler.description import MADE_BY
from tracr_lite.compiler.forward import Shape
from tracr_lite.compiler.saving.encoders import (
    directions_from_json,
    directions_to_json,
    encoder_from_json,
    encoder_to_json,
)
from tracr_lite.compiler.saving.fields import Fields, texts
from tracr_lite.compiler.saving.json_text import FORMAT, VERSION, Json
from tracr_lite.compiler.saving.programs import program_from_json, program_to_json
from tracr_lite.compiler.saving.sizes import (
    config_from_json,
    config_to_json,
    shape_from_json,
    shape_to_json,
)
from tracr_lite.compiler.saving.weights import Params
from tracr_lite.craft.bases import VectorSpaceWithBasis
from tracr_lite.errors import SavedModelError
from tracr_lite.rasp.json_values import to_json
from tracr_lite.transformer.encoder import CategoricalEncoder, Encoder

WEIGHTS = "weights"  # the entry about the other file
_BODY = (
    "format",
    "version",
    "made_by",
    WEIGHTS,
    "config",
    "shape",
    "residual_labels",
    "space",
    "input_encoder",
    "output_encoder",
    "program",
)


def body_of(model: AssembledTransformerModel, weights: Json) -> Json:
    """All but the weights.

    **Arguments:** `weights`: what is told about the file of the weights.
    **Raises:** `SavedModelError` if the model has parts that no file can hold.
    """
    shape, description = shape_of(model), model.description
    return {
        "format": FORMAT,
        "version": VERSION,
        "made_by": MADE_BY if description is None else to_json(description.made_by),
        WEIGHTS: weights,
        "config": config_to_json(shape.config),
        "shape": shape_to_json(shape),
        "residual_labels": [to_json(label) for label in model.residual_labels],
        "space": None if model.space is None else directions_to_json(model.space.basis),
        "input_encoder": encoder_to_json(model.input_encoder),
        "output_encoder": encoder_to_json(model.output_encoder),
        "program": program_to_json(description),
    }


def shape_of(model: AssembledTransformerModel) -> Shape:
    """The shape, if it alone says how the model runs. **Raises:** `SavedModelError`."""
    if model.shape is None:
        raise SavedModelError("it was not made by assemble_craft_model, so it has no shape")
    if model.forward is not model.shape.forward:
        raise SavedModelError(
            "its forward is a function of its own, which is code and so not stored; set "
            "model.forward = model.shape.forward first"
        )
    if model.model_config != model.shape.config:
        raise SavedModelError("its model_config is not that of its shape")
    return model.shape


def read_shape(body: Json) -> Shape:
    """What `shape_of` gave. **Raises:** `SavedModelError` naming what is wrong."""
    entry = Fields(body, "", _BODY)
    return shape_from_json(entry.raw("shape"), config_from_json(entry.raw("config")))


def model_of(body: Json, shape: Shape, params: Params) -> AssembledTransformerModel:
    """The model of `read_shape(body)` and of parameters that were checked.

    **Raises:** `SavedModelError` naming what is wrong.
    """
    entry = Fields(body, "", _BODY)
    labels = texts(entry.items("residual_labels"), "residual_labels")
    if len(labels) != shape.d_model:
        raise SavedModelError(f"{len(labels)} residual labels are not one per column")
    made_by = entry.text("made_by")
    inner = encoder_from_json(entry.raw("input_encoder"), "input_encoder")
    outer = encoder_from_json(entry.raw("output_encoder"), "output_encoder")
    _check_encoders(inner, outer, shape)
    return AssembledTransformerModel(
        forward=shape.forward,
        get_compiled_model=shape.model,
        params=params,
        model_config=shape.config,
        residual_labels=labels,
        input_encoder=inner,
        output_encoder=outer,
        shape=shape,
        space=None if entry.raw("space") is None else _space(entry.items("space"), shape),
        saved=program_from_json(entry.raw("program"), made_by, shape, labels),
    )


def _space(found: list[Any], shape: Shape) -> VectorSpaceWithBasis:
    basis = directions_from_json(found, "space")
    try:
        space = VectorSpaceWithBasis(basis)
    except ValueError as error:
        raise SavedModelError(f"space: {error}") from error
    if space.num_dims != shape.d_model or list(space.basis) != basis:
        raise SavedModelError("space must have a direction per column, in their order")
    return space


def _check_encoders(inner: Encoder | None, outer: Encoder | None, shape: Shape) -> None:
    """Ids that no row of the embedding belongs to would be answered, but wrongly."""
    if isinstance(inner, CategoricalEncoder):
        if inner.vocab_size > shape.vocab_size:
            raise SavedModelError(
                f"input_encoder has {inner.vocab_size} tokens, the embedding {shape.vocab_size}"
            )
        pad = inner.pad_encoding
        if pad is not None and shape.pad_token is not None and pad != shape.pad_token:
            raise SavedModelError(
                f"shape.pad_token is {shape.pad_token}, but that of input_encoder has the "
                f"id {pad}"
            )
    answers = len(shape.readout.columns) if shape.readout.categorical else 0
    if isinstance(outer, CategoricalEncoder) and outer.vocab_size < answers:
        raise SavedModelError(
            f"output_encoder has {outer.vocab_size} values, the model {answers} answers"
        )
