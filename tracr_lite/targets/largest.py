"""What a refusal adds where a shorter input would do: the largest length that fits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tracr_lite.errors import CompileError


def with_largest(error: CompileError, size: int, fits: Callable[[int], bool]) -> CompileError:
    """The error, with the largest length below `size` that fits, if there is one.

    Found by halving: what fits is taken to fit at all smaller lengths.
    """
    if size < 2 or not fits(1):
        return error
    low, high = 1, size  # low fits, high does not
    while high - low > 1:
        middle = (low + high) // 2
        if fits(middle):
            low = middle
        else:
            high = middle
    advice = f"use max_seq_len={low}, the largest that fits"
    problems = [
        replace(p, suggestion=f"{advice}; or {p.suggestion}" if p.suggestion else advice)
        for p in error.problems
    ]
    return type(error)(error.stage, problems)
