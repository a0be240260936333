"""Compares a model with the program that it shall compute: `verify`."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

from tracr_lite.compiler.assembled import AssembledTransformerModel
from tracr_lite.mass.progress import progress_bar
from tracr_lite.verifying.choosing import Choice, choose, chosen, require, require_model
from tracr_lite.verifying.comparison import Comparison
from tracr_lite.verifying.errors import VerifyError
from tracr_lite.verifying.evaluating import Reference, as_reference
from tracr_lite.verifying.inputs import NAMES
from tracr_lite.verifying.report import Failure, Report
from tracr_lite.verifying.tally import Tally

BUDGET = 200_000  # inputs up to which all are tried


def verify(
    model: AssembledTransformerModel,
    program: Any = None,
    *,
    budget: int = BUDGET,
    samples: int | None = None,
    seed: int = 0,
    lengths: Iterable[int] | None = None,
    inputs: Iterable[Sequence[Any]] | None = None,
    workers: int = 0,
    dense: bool = False,
    progress: bool | None = None,
) -> Report:
    """Compares what a model answers with what its program says.

    The reference is the RASP interpreter, the causal one for a causal model.

    **Arguments:**
    - `program`: an S-Op, or a function from tokens to values; by default the compiled one.
    - `budget`: up to this many inputs, all are tried; else `samples` of them, by `seed`.
    - `lengths`: of inputs; by default all. `inputs`: those to try, instead.
    - `workers`: processes that evaluate the program; 0 evaluates it in this one.
    - `dense`: runs all parameters, as `forward` does, not only those that are not zero.
    - `progress`: a bar on standard error; None shows it at a terminal.

    **Raises:** `VerifyError` if an argument makes no sense; `InputError` for wrong `inputs`.
    """
    started, own = time.perf_counter(), program is None
    require_model(model)
    require("workers", workers, 0)
    reference = reference_of(model, program)
    if inputs is None:
        choice = choose(model, own, budget, samples, seed, lengths)
    else:
        choice = chosen(model, inputs)
    comparison = Comparison(model, reference, dense=dense)
    with progress_bar("verifying", choice.total, shown=progress, failures="differ") as advance:
        tally = comparison.run(choice.drawn, workers, advance)
    smallest = tally.shortest and comparison.shrunk(tally.shortest, choice.space)
    return _report(reference, choice, tally, smallest, (seed, time.perf_counter() - started))


def reference_of(model: AssembledTransformerModel, program: Any = None) -> Reference:
    """What a model is compared with: the program given, or the one it was compiled from.

    **Raises:** `VerifyError` if there is none.
    """
    if program is None:
        if model.trace is None or not model.trace.graph.exprs:
            raise VerifyError(
                "this model does not know its program; give it: verify(model, program)"
            )
        program = model.trace.graph.exprs[-1]  # what it reads stands before it
    if model.input_encoder is None:
        raise VerifyError(
            "this model takes ids, not tokens; give it an input_encoder to compare it"
        )
    return as_reference(program, causal=model.model_config.causal)


def _report(
    reference: Reference,
    choice: Choice,
    tally: Tally,
    smallest: tuple[Failure, bool] | None,
    run: tuple[int, float],
) -> Report:
    """`smallest`: and whether it is minimal; `run`: seed and seconds."""
    return Report(
        program=reference.name,
        vocab=len(choice.space.vocab),
        lengths=choice.space.lengths,
        space=choice.space.size,
        exhaustive=choice.exhaustive,
        strata={name: tally.strata[name] for name in NAMES if name in tally.strata},
        raised=tally.raised,
        raised_at=tally.raised_at,
        compared=tally.compared,
        positions=tally.positions,
        mismatches=tally.mismatches,
        failures=tuple(tally.failures),
        smallest=None if smallest is None else smallest[0],
        minimal=smallest is None or smallest[1],
        margin=tally.margin,
        error=tally.error,
        relative_error=tally.relative_error,
        seed=run[0],
        seconds=run[1],
    )
