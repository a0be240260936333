"""Numerical outputs: which of them are snapped to known values, and whether all are right."""

from __future__ import annotations

from typing import Any

import numpy as np

from tracr_lite.compiler.lowering.forms import Number
from tracr_lite.compiler.lowering.problems import CannotLower
from tracr_lite.compiler.values.domain import is_number
from tracr_lite.targets.lowering import StockLowering

RIGHT = 9e-6  # relative error of a number that needs no snapping


def snapping(
    lowering: StockLowering, root: int, number: Number
) -> tuple[tuple[Any, ...], float]:
    """Numbers to snap the output to, and from how far.

    **Raises:** `CannotLower` where neither that nor its own precision makes it right to 1e-5.
    """
    info, dtype = lowering.values.info[root], lowering.traits.dtype
    relative = number.relative + 4 * lowering.traits.unit
    if info.span is not None:
        one_sign = info.span[0] >= 0 or info.span[1] <= 0
        small = number.absolute / info.least if info.least else float(number.absolute > 0)
        if one_sign and relative + small <= RIGHT:
            return (0.0,), info.least / 2
        raise CannotLower(
            root,
            f"its numbers are too many to list, and {dtype} does not give them to 1e-5",
            "average fewer numbers, or numbers of one sign",
        )
    values = {lowering.as_float(root, v): v for v in info.values if is_number(v)}
    ordered = np.array(sorted(values))
    error = number.absolute + relative * np.abs(ordered)
    gap = np.diff(ordered)
    size = np.minimum(np.abs(ordered[1:]), np.abs(ordered[:-1]))
    close = (gap <= error[1:] + error[:-1]) & (gap > 1e-9 * size)
    good = error <= RIGHT * np.abs(ordered)
    if (close & ~(good[1:] & good[:-1])).any():
        raise CannotLower(
            root,
            f"two of its {len(ordered)} numbers are too close to be told apart in {dtype}",
            "use a smaller max_seq_len, or compare counts instead of fractions",
        )
    kept = ~(np.append(close, False) | np.append(False, close))[: len(ordered)]
    if kept.all():
        return tuple(values[x] for x in ordered.tolist()), float("inf")
    known = tuple(values[x] for x in ordered[kept].tolist())
    return known, float(error[kept].max(initial=0.0))
