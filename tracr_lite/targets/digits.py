"""Indices from rotary angles: two digits, by heads that ask whether a position exists.

A head that looks k back sees a token, value 1, if there is one, and BOS, value 0, if not: it
says whether the index is at least k. With base b, heads for k = b, 2 b, ... give the high
digit; heads that look b times that digit and m further back give the low one. No number is
decoded, so nothing depends on their precision: 2 (sqrt(n) - 1) heads, in two layers.
"""

from __future__ import annotations

from itertools import pairwise
from math import isqrt

import numpy as np

from tracr_lite.compiler.lowering.forms import OneHot
from tracr_lite.compiler.lowering.problems import CannotLower
from tracr_lite.craft.bases import BasisDirection
from tracr_lite.craft.conventions import INDICES
from tracr_lite.targets.blocks import Both, HeadPart, MLPPart, Unit
from tracr_lite.targets.lowering import StockLowering
from tracr_lite.targets.rows import Row, constant, scaled, total

SHORT = (
    256  # positions up to which the angles' rounding to bfloat16 was measured to be harmless
)


def write_indices(lowering: StockLowering, node: int, count: int) -> OneHot:
    """Adds the heads and the ANDs that write indices 0 to `count - 1` one-hot."""
    if lowering.traits.dtype == "bfloat16" and count > SHORT:
        raise CannotLower(
            node,
            f"rotary angles in bfloat16 tell positions apart up to {SHORT}",
            "use float32",
        )
    base = isqrt(count - 1) + 1
    label = lowering.values.labels[node]
    nb = constant(lowering.bos)
    multiples = range(base, count, base)
    high = [BasisDirection(f"{label}.at_least", k) for k in multiples]
    for back, column in zip(multiples, high, strict=True):
        _ask(lowering, node, 0, ((nb, back),), column)
    digits = _digits(nb, high)
    low = [BasisDirection(f"{label}.further", m) for m in range(1, min(base, count))]
    for m, column in enumerate(low, 1):
        offsets = tuple((row, base * h + m) for h, row in enumerate(digits))
        _ask(lowering, node, 2, offsets, column)
    units = _digits(nb, low)
    dirs = tuple(BasisDirection(INDICES, i) for i in range(count))
    ands: list[Unit] = [
        Both((digits[i // base],), units[i % base], {d: 1.0}) for i, d in enumerate(dirs)
    ]
    lowering.parts.append(MLPPart(3, (node,), tuple(ands)))
    lowering.columns[node] = [*high, *low, *dirs]
    none = np.zeros(count)
    return OneHot(node, dirs, np.arange(count), none, none, 0.0, 3)


def _ask(
    lowering: StockLowering,
    node: int,
    slot: int,
    offsets: tuple[tuple[Row, int], ...],
    column: BasisDirection,
) -> None:
    value = ((constant(lowering.bos), column),)
    lowering.parts.append(HeadPart(slot, (node,), node, (), offsets, False, value))


def _digits(nb: Row, at_least: list[BasisDirection]) -> list[Row]:
    """1 for each digit where it is the one: at least it, and not at least the next."""
    steps: list[Row] = [nb, *({column: 1.0} for column in at_least), {}]
    return [total([this, scaled(after, -1.0)]) for this, after in pairwise(steps)]
