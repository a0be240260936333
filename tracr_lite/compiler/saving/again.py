"""Compiles the program of a loaded model again, and makes sure that it is the one."""

from __future__ import annotations

import numpy as np

from tracr_lite.compiler.assembled import AssembledTransformerModel
from tracr_lite.compiler.compiling import compile_rasp_to_model
from tracr_lite.compiler.description import MADE_BY
from tracr_lite.compiler.saving.json_text import Json, digest
from tracr_lite.compiler.saving.record import body_of
from tracr_lite.errors import SavedModelError
from tracr_lite.rasp import rasp
from tracr_lite.transformer.encoder import CategoricalEncoder

_NOT_COMPARED = ("made_by",)  # and the text of the program: others may mean the same


def compiled_again(
    model: AssembledTransformerModel, program: rasp.SOp
) -> AssembledTransformerModel:
    """The model with a trace. **Raises:** `SavedModelError` if `program` is not the one."""
    made = _compile(model, program)
    if differences := _differences(model, made):
        told = model.description.made_by if model.description is not None else MADE_BY
        versions = f"; it was made by {told}, this is {MADE_BY}" if told != MADE_BY else ""
        raise SavedModelError(
            f"the program given compiles to another model: {', '.join(differences[:5])} "
            f"differ{versions}"
        )
    return made


def _compile(model: AssembledTransformerModel, program: rasp.SOp) -> AssembledTransformerModel:
    encoder = model.input_encoder
    if (
        model.description is None
        or not isinstance(encoder, CategoricalEncoder)
        or encoder.bos_token is None
        or encoder.pad_token is None
        or encoder.max_seq_len is None
    ):
        raise SavedModelError("it was not compiled from a program, so it has none to compare")
    special = (encoder.bos_token, encoder.pad_token)
    return compile_rasp_to_model(
        program,
        [d.value for d in encoder.basis if d.value not in special],
        encoder.max_seq_len,
        causal=model.model_config.causal,
        compiler_bos=encoder.bos_token,
        compiler_pad=encoder.pad_token,
    )


def _differences(one: AssembledTransformerModel, two: AssembledTransformerModel) -> list[str]:
    """What is not the same in both, by name."""
    mine, yours = _comparable(one), _comparable(two)
    found = [name for name in mine if digest({name: mine[name]}) != digest({name: yours[name]})]
    for module, group in one.params.items():
        for leaf, array in group.items():
            other = two.params.get(module, {}).get(leaf)
            if other is None or not _same_bits(array, other):
                found.append(f"{module}/{leaf}")
    return found


def _comparable(model: AssembledTransformerModel) -> Json:
    body = body_of(model, {})
    told: Json = body["program"] or {}
    program = {name: value for name, value in told.items() if name != "text"}
    kept = {name: value for name, value in body.items() if name not in _NOT_COMPARED}
    return kept | {"program": program}


def _same_bits(one: np.ndarray, two: np.ndarray) -> bool:
    return one.shape == two.shape and np.array_equal(one.view(np.int32), two.view(np.int32))
