"""Where a model first goes wrong: `blame`.

The stream is followed half-layer by half-layer, and each column compared with what the
interpreter says that it should hold. At the first half-layer that leaves a wrong one, all that
it read was right, so the fault is its own: one of its heads or neurons has other weights than
were compiled, or the compiler made them wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from tracr_lite.compiler.assembled import AssembledTransformerModel
from tracr_lite.verifying.choosing import require_model
from tracr_lite.verifying.errors import VerifyError
from tracr_lite.verifying.fault import Blame
from tracr_lite.verifying.inspecting import Inspection, trace_like
from tracr_lite.verifying.verification import verify


def blame(
    model: AssembledTransformerModel,
    program: Any = None,
    xs: Sequence[Any] | None = None,
    *,
    seed: int = 0,
    progress: bool | None = None,
) -> Blame | None:
    """The first node, position and column at which a model leaves its program, and why.

    First means: in the first half-layer after which any column is wrong, the first such node of
    the program, at its first such position (at BOS, if only there). A column is wrong if it is
    further from what the interpreter says than the error that the compiler allows for it.

    **Arguments:**
    - `program`: what the model was compiled from, if it does not know it.
    - `xs`: the input, without BOS; by default the smallest that `verify` finds with `seed`.

    **Returns:** None if the model agrees with its program on `xs`, or on all that was tried.
    **Raises:** `VerifyError` if there is no program, or it compiles to another shape of model;
    `CircuitError` if it raises on `xs`; `InputError` if the model does not take `xs`.
    """
    require_model(model)
    if xs is not None and not isinstance(xs, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise VerifyError(f"xs is a sequence of tokens; got {xs!r}")
    trace = trace_like(model, program)
    if xs is None:
        report = verify(model, trace.graph.exprs[-1], seed=seed, progress=progress)
        if report.smallest is None:
            return None
        xs = report.smallest.tokens
    return Inspection(model, trace, list(xs)).first_fault()
