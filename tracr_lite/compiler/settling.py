"""Models whose bounds are tight are certified; refusals say how long inputs could be."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from tracr_lite.compiler.assembled import AssembledTransformerModel
from tracr_lite.errors import CompileError, Problem

PATIENCE = 5.0  # CPU seconds, beside those that the refused attempt took


def certify(model: AssembledTransformerModel) -> None:
    """**Raises:** `CompileError` if no certificate holds, right as the model may be."""
    from tracr_lite.certifying.certify import certify as certificate_of  # a part above

    reasons = certificate_of(model).why_not()
    if reasons:
        parts = [line.split(": ", 1) for line in reasons[:3]]
        found = [Problem(name, why, "use a smaller max_seq_len") for name, why in parts]
        raise CompileError("certify", found)


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
