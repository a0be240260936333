"""`certify`: that a compiled model equals its program for all inputs, without trying them."""

from __future__ import annotations

from dataclasses import replace

from tracr_lite.certifying.bounds import derive, number_of
from tracr_lite.certifying.certificate import Certificate
from tracr_lite.certifying.extract import claims_of_model
from tracr_lite.certifying.rounding import FORMATS
from tracr_lite.compiler.assembled import AssembledTransformerModel


def certify(model: AssembledTransformerModel, dtype: str = "float32") -> Certificate:
    """Bounds, block by block, everything that can make the model differ from its program.

    **Arguments:** `model`: compiled in this process; `dtype`: `float32`, `bfloat16` or
    `float16`,
    of weights and arithmetic.
    **Returns:** the certificate, which may not hold: see `holds` and `why_not()`.
    **Raises:** `CertifyError` if the model does not know its program, or the format is not
    known.
    Source: Higham 2002, "Accuracy and Stability of Numerical Algorithms", chapters 2 to 4.
    """
    number = number_of(dtype)
    return derive(model.params, model.model_config, claims_of_model(model), number)


def bits_needed(model: AssembledTransformerModel, most: int = 24) -> dict[str, int | None]:
    """For each node the least significand, in bits, with which it keeps its tolerance.

    All arithmetic has this precision, weights included, and the range of float32. None: more
    than
    `most` bits.
    """
    claims = claims_of_model(model)
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
