"""Every model has a certificate that holds; refusals say how long inputs could be."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tracr_lite.compiler.assembled import AssembledTransformerModel
from tracr_lite.compiler.lowering.forms import Blocks
from tracr_lite.errors import CompileError, Problem
from tracr_lite.transformer.encoder import NumericalEncoder
from tracr_lite.transformer.sparse_params import SparseParams

QUICK = 2**22  # parameters; larger models take longer to certify than to lower again
PATIENCE = 5.0  # CPU seconds, beside those that the refused attempt took


def settled(lowered: Callable[[bool], AssembledTransformerModel]) -> AssembledTransformerModel:
    """A model whose certificate holds: by the lemma of lowering, or because it was made.

    **Arguments:** `lowered`: the model; if asked to, one of which attention only reads exact
    one-hots: deeper, but with smaller errors.
    **Raises:** `CompileError` if no certificate holds, right as the model may be.
    """
    model = lowered(False)
    if not _doubtful(model):
        return model
    cleaner = None
    if size_of(model) > QUICK:
        cleaner = _cleaner(lowered, model)
        if cleaner is not None and not _doubtful(cleaner):
            return cleaner
    refusal = _refusal(model)
    if refusal is None:
        return model
    cleaner = cleaner or _cleaner(lowered, model)
    if cleaner is not None and _refusal(cleaner) is None:
        return cleaner
    if _snaps_to_fewer(model) and _refusal(model) is None:
        return model
    raise refusal


def _cleaner(
    lowered: Callable[[bool], AssembledTransformerModel], model: AssembledTransformerModel
) -> AssembledTransformerModel | None:
    """The model lowered clean; None if it is clean already, or cannot be."""
    if _blocks(model).clean:
        return None
    try:
        return lowered(True)
    except CompileError:
        return None


def _snaps_to_fewer(model: AssembledTransformerModel) -> bool:
    """Changes a numerical answer to snap only where numbers are far apart; False if it cannot.

    The rest is right to 1e-5 as it is.
    """
    trace, blocks = model.trace, _blocks(model)
    if trace is None or blocks.fewer is None:
        return False
    known, tolerance = blocks.fewer
    blocks = replace(blocks, known=known, tolerance=tolerance, fewer=None)
    model.trace = replace(trace, layers=replace(trace.layers, blocks=blocks))
    model.output_encoder = NumericalEncoder(known, tolerance)
    return True


def _doubtful(model: AssembledTransformerModel) -> bool:
    return _blocks(model).doubtful


def size_of(model: AssembledTransformerModel) -> int:
    """How many parameters there are."""
    if isinstance(model.params, SparseParams):
        return model.params.size
    return sum(array.size for group in model.params.values() for array in group.values())


def _blocks(model: AssembledTransformerModel) -> Blocks:
    assert model.trace is not None, "it was compiled just now"
    return model.trace.layers.blocks


def _refusal(model: AssembledTransformerModel) -> CompileError | None:
    """Why there is no certificate; None if there is one."""
    if not _doubtful(model):
        return None
    if isinstance(model.params, SparseParams):
        model = replace(model, params=model.params.one_by_one())
    reasons = certifier()(model).why_not()
    parts = [line.split(": ", 1) for line in reasons[:3]]
    found = [Problem(name, why, "use a smaller max_seq_len") for name, why in parts]
    return CompileError("certify", found) if found else None


def certifier() -> Callable[[AssembledTransformerModel], Any]:
    """`certify`. Loading it takes a tenth of a second, and few models need it."""
    from tracr_lite.certifying.certify import certify  # a part above

    return certify


def or_refused(
    compile_at: Callable[[int], AssembledTransformerModel],
    longest: int,
    try_at: Callable[[int], object],
) -> AssembledTransformerModel:
    """The model of a length. **Raises:** `CompileError`, with the largest that compiles.

    **Arguments:** `try_at`: raises a `CompileError` where `compile_at` would, and may do less.
    """
    begun = time.process_time()
    try:
        return compile_at(longest)
    except CompileError as error:
        spent = time.process_time() - begun
        raise with_length(error, try_at, longest, spent) from error


def with_length(
    error: CompileError, compile_at: Callable[[int], Any], longest: int, spent: float
) -> CompileError:
    """The same refusal, with the largest `max_seq_len` below `longest` that would compile.

    It is looked for by bisection, so only refusals cost time: that of a compilation of
    length 1, and, if that succeeds, of up to log2(longest) more. `spent`: CPU seconds that the
    refused attempt took; the search is given up, and says less, after `PATIENCE` more.
    """
    end = time.process_time() + PATIENCE + spent
    good, bad = 0, longest
    while bad - good > 1 and time.process_time() < end:
        middle = 1 if good == 0 else (good + bad) // 2
        try:
            compile_at(middle)
        except CompileError:
            if good == 0:
                return error  # the length is not what is wrong
            bad = middle
        else:
            good = middle
    if good == 0:
        return error
    sure = "" if bad - good == 1 else "at least "
    hint = f"the largest max_seq_len that compiles is {sure}{good}, not {longest}"
    return type(error)(error.stage, error.problems, hint)
