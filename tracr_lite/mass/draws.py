"""What a worker does for a data set: draws a program, compiles it, and writes its record."""

from __future__ import annotations

import json
from dataclasses import dataclass

from tracr_lite.errors import CompileError
from tracr_lite.mass.recipe import Recipe
from tracr_lite.mass.records import record_of
from tracr_lite.transformer.sparse_params import SparseParams

JOB = "tracr_lite.mass.jobs:draw_job"  # what workers do


@dataclass(frozen=True)
class Drawn:
    """A sample that only lacks its index."""

    record: str
    params: SparseParams


@dataclass(frozen=True)
class Refused:
    """A program that is no sample.

    **Arguments:** `kind`: "refused" by the compiler, "too large" or "too slow" for the recipe,
    "crashed" in the compiler, or "died" with its process; `reason`: in words; `text`: the
    program.
    """

    draw: int
    kind: str
    reason: str
    text: str

    def to_line(self) -> str:
        """As one line of JSON."""
        fields = {"draw": self.draw, "kind": self.kind, "reason": self.reason}
        return json.dumps(
            fields | {"program": self.text}, ensure_ascii=False, separators=(",", ":")
        )


def job_of(recipe: Recipe, number: int) -> bytes:
    """The bytes for `JOB`."""
    return json.dumps([recipe.to_json(), number]).encode()


def draw(recipe: Recipe, number: int) -> Drawn | Refused:
    """The sample, or the refusal, of a number. **Raises:** as `Recipe.program`."""
    from tracr_lite.compiler.compiling import compile_once  # it needs JAX

    sample = recipe.program(number)
    try:
        model = compile_once(
            sample.program, sample.vocab, sample.max_seq_len, causal=sample.causal, sparse=True
        )
        params = _without_signed_zeros(model.params)
        record = record_of(sample, model, params.shapes, number)
    except CompileError as error:
        return Refused(number, "refused", str(error), sample.text)
    except Exception as error:  # a fault of the compiler; kept as a refusal that says so
        return Refused(number, "crashed", f"{type(error).__name__}: {error}", sample.text)
    if recipe.max_parameters is not None and params.size > recipe.max_parameters:
        reason = f"{params.size} parameters, more than {recipe.max_parameters}"
        return Refused(number, "too large", reason, sample.text)
    return Drawn(record, params)


def _without_signed_zeros(params: SparseParams) -> SparseParams:
    """-0.0 is a zero, too."""
    (kept,) = params.values.nonzero()
    return SparseParams(params.shapes, params.positions[kept], params.values[kept])
