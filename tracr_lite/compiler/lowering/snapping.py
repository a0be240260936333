"""Numbers that a numerical output is snapped to; what is near none of them is right to 1e-5."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float

from tracr_lite.compiler.lowering.forms import Number, Snaps
from tracr_lite.compiler.lowering.lower import Lowering
from tracr_lite.compiler.lowering.problems import CannotLower
from tracr_lite.compiler.lowering.proved import NumberErrors

PROMISE = 1e-5  # largest relative error of a number that is not snapped
PROMISED = 0.9 * PROMISE  # a little less, so that rounding does not matter
Numbers = Float[np.ndarray, " numbers"]


def snapping(
    lowering: Lowering, root: int, number: Number, known: list[Any]
) -> tuple[Snaps, Snaps | None]:
    """What to snap a numerical output to, and what instead if no certificate holds for that.

    **Arguments:** `known`: the numbers that it can be, where they can be listed.
    **Raises:** `CannotLower` where some would be neither snapped nor right to 1e-5.
    """
    if lowering.values.info[root].span is not None:
        return _of_a_span(lowering, root, number), None
    codes, numbers = lowering.codes(root)
    ordered = np.unique(codes[numbers])
    error = number.absolute + (number.relative + 2.0**-23) * np.abs(ordered)
    gap = np.diff(ordered)
    size = np.minimum(np.abs(ordered[1:]), np.abs(ordered[:-1]))
    close = (gap <= error[1:] + error[:-1]) & (gap > 1e-9 * size)
    good = error <= PROMISED * np.abs(ordered)  # right as it is, without being snapped
    lowering.doubtful |= _close_to_doubt(ordered, number)
    if (close & ~(good[1:] & good[:-1])).any():
        raise CannotLower(
            root,
            "two of its numbers are too close to be told apart in float32",
            "use a smaller max_seq_len, or keep it categorical",
        )
    kept = ~(np.append(close, False) | np.append(False, close))
    lowering.doubtful |= not bool(kept.all())
    if not lowering.doubtful:
        return (tuple(sorted(known)), float("inf")), None
    value_of = {lowering.as_float(root, v): v for v in known}
    fewer = small_ones(ordered, value_of)
    if kept.all():
        return (tuple(sorted(known)), float("inf")), fewer
    snapped = tuple(value_of[x] for x in ordered[kept].tolist())
    return (snapped, float(error[kept].max(initial=0.0))), fewer


def _of_a_span(lowering: Lowering, root: int, number: Number) -> Snaps:
    """Too many numbers to list: all that is known is which of them are zero."""
    info = lowering.values.info[root]
    assert info.span is not None
    one_sign = info.span[0] >= 0 or info.span[1] <= 0
    small = number.absolute / info.least if info.least else 1.0
    lowering.doubtful |= not (one_sign and _as_promised(number.proved, info.least))
    if not (one_sign and number.relative + small <= PROMISED):
        raise CannotLower(
            root,
            "its numbers are too many to list and may come so close to zero that float32 "
            "does not give them to 1e-5",
            "average numbers of one sign, or with fewer distinct values",
        )
    return (0.0,), info.least / 2


def small_ones(ordered: Numbers, value_of: dict[float, Any]) -> Snaps:
    """The numbers near zero, which have to be snapped to be right, and half the least gap.

    Up to a size t gaps are at least 4 t `PROMISE`. If errors are below t `PROMISE`,
    numbers up to t snap to themselves, and larger ones are right and snap to none of those.
    """
    gap = np.diff(ordered, prepend=-np.inf)
    own = ordered[gap > 1e-9 * np.abs(ordered)]  # not one number, rounded in two ways
    gap, ends = np.diff(own), np.minimum(np.abs(own[1:]), np.abs(own[:-1]))
    by_size = np.argsort(ends)
    least = np.minimum.accumulate(np.append(np.inf, gap[by_size]))
    sizes = np.abs(own)
    least = least[np.searchsorted(ends[by_size], sizes, side="right")]
    kept = least >= 4.0 * PROMISE * sizes
    known = tuple(value_of[x] for x in own[kept].tolist())
    return known, float(least[kept].min(initial=np.inf)) / 2


def _as_promised(proved: NumberErrors, least: float) -> bool:
    """Whether numbers of at least that size are right to 1e-5."""
    return least > 0.0 and proved.relative + proved.absolute / least < PROMISED


def _close_to_doubt(ordered: Numbers, number: Number) -> bool:
    """Whether some of the ascending numbers may be further off than half-way to the next."""
    if not number.proved.known:
        return True
    error = number.proved.absolute + number.proved.relative * np.abs(ordered)
    gap = np.diff(ordered)
    gap = np.where(gap > 1e-9 * np.abs(ordered[1:]), gap, np.inf)
    return not bool((np.maximum(error[1:], error[:-1]) < 0.499 * gap).all())
