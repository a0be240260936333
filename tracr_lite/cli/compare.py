"""Runs a program through the RASP interpreter and through the compiled transformer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from tracr_lite.cli.inputs import Request
from tracr_lite.errors import RAISED, TracrLiteError
from tracr_lite.rasp import causal_eval, rasp
from tracr_lite.rasp.rasp import Value

if TYPE_CHECKING:
    from tracr_lite.compiler.assembled import AssembledTransformerModel


class ProgramFailure(TracrLiteError, ValueError):
    """The program itself has no answer for an input."""


@dataclass(frozen=True)
class Size:
    """How large a compiled model is."""

    layers: int
    d_model: int
    heads: int
    key_size: int
    mlp_hidden: int
    parameters: int

    @classmethod
    def of(cls, model: AssembledTransformerModel) -> Size:
        """The size of a model."""
        config = model.model_config
        arrays = [array for group in model.params.values() for array in group.values()]
        return cls(
            layers=config.num_layers,
            d_model=len(model.residual_labels),
            heads=config.num_heads,
            key_size=config.key_size,
            mlp_hidden=config.mlp_hidden_size,
            parameters=sum(int(array.size) for array in arrays),
        )


@dataclass(frozen=True)
class Outcome:
    """What both say about one input, and the size of the model."""

    tokens: list[Value]
    interpreted: list[Value]
    compiled: list[Value]
    size: Size

    @property
    def differences(self) -> list[int]:
        """The positions where the two do not agree."""
        pairs = enumerate(zip(self.interpreted, self.compiled, strict=True))
        return [position for position, (x, y) in pairs if not agree(x, y)]


def agree(expected: Value, found: Value) -> bool:
    """Equal, or numbers that differ by no more than float32 arithmetic does."""
    if isinstance(expected, (int, float)) and isinstance(found, (int, float)):
        return math.isclose(expected, found, rel_tol=1e-5, abs_tol=1e-6)
    return expected == found


def interpret(request: Request) -> list[Value]:
    """What the interpreter says. **Raises:** `ProgramFailure` if the program raises."""
    evaluate = causal_eval.evaluate if request.causal else rasp.evaluate
    try:
        values = evaluate(request.entry.program, request.tokens)
    except RAISED as error:
        raise ProgramFailure(
            f"{request.entry.name} has no answer for this input: "
            f"{type(error).__name__}: {error}"
        ) from error
    return cast(list[Value], values)  # an S-Op, so no selector


def run(request: Request) -> Outcome:
    """Interprets, compiles and runs. **Raises:** `CompileError`, `InputError` and the above."""
    interpreted = interpret(request)
    from tracr_lite.compiler import compiling  # loads JAX: only now, when it is needed

    model = compiling.compile_rasp_to_model(
        request.entry.program,
        set(request.vocab),
        request.max_seq_len,
        causal=request.causal,
    )
    compiled = model.apply([compiling.COMPILER_BOS, *request.tokens]).decoded[1:]
    return Outcome(request.tokens, interpreted, list(compiled), Size.of(model))
