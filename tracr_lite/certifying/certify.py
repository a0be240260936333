"""`certify`: that a compiled model equals its program for all inputs, without trying them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tracr_lite.certifying.bounds import derive, number_of
from tracr_lite.certifying.certificate import Certificate
from tracr_lite.certifying.claims import Claims
from tracr_lite.certifying.errors import CertifyError
from tracr_lite.certifying.extract import claims_of_model
from tracr_lite.certifying.rounding import FORMATS
from tracr_lite.compiler.assembled import AssembledTransformerModel
from tracr_lite.compiler.fitting import misfit
from tracr_lite.verifying.inspecting import trace_like


def certify(
    model: AssembledTransformerModel, dtype: str = "float32", program: Any = None
) -> Certificate:
    """Bounds, block by block, everything that can make the model differ from its program.

    **Arguments:**
    - `dtype`: `float32`, `bfloat16` or `float16`, in which weights and the stream are stored.
    - `program`: what the model was compiled from, if it does not know: it was loaded, perhaps.
      It is compiled again, and tells what the weights should mean; the bounds are those of the
      weights that are there.

    **Returns:** the certificate, which may not hold: see `holds` and `why_not()`.
    **Raises:** `CertifyError` if there is no program, the format is not known, or a parameter
    does not fit the model;
    `VerifyError` if the program compiles to another model.
    Source: Higham 2002, "Accuracy and Stability of Numerical Algorithms", chapters 2 to 4.
    """
    number = number_of(dtype)
    claims = _claims(model, program)
    return derive(model.params, model.model_config, claims, number)


def _claims(model: AssembledTransformerModel, program: Any) -> Claims:
    shape = getattr(model, "shape", None)  # what is no model at all is refused below
    if shape is not None and (why := misfit(model.params, shape)):
        raise CertifyError(f"this model cannot be certified: {why}")
    if program is None:
        return claims_of_model(model)
    return claims_of_model(replace(model, trace=trace_like(model, program)))


def bits_needed(
    model: AssembledTransformerModel, most: int = 24, program: Any = None
) -> dict[str, int | None]:
    """For each node the least significand, in bits, with which it keeps its tolerance.

    All that is stored has this precision, weights included, and the range of float32. None:
    more than `most` bits.
    """
    claims = _claims(model, program)
    found: dict[str, int | None] = {}
    for bits in range(most, 1, -1):
        number = replace(FORMATS["float32"], name=f"{bits} bits", bits=bits)
        nodes = derive(model.params, model.model_config, claims, number).nodes
        if bits == most:
            found = {node.name: None for node in nodes}
        kept = {node.name for node in nodes if node.margin > 0.0}
        kept = {
            name for name in kept if found.get(name) in (bits + 1, None if bits == most else 0)
        }
        if not kept:
            break
        found |= {name: bits for name in kept}
    return found
