"""Thresholds without a gate below -88, for runtimes whose exponential overflows to NaN.

A step is a difference of two gates, which is smooth. Twice made steeper it is a step, and the
third makes it exact: all that is left of the smoothness is below 1e-25.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracr_lite.compiler.lowering.problems import CannotLower
from tracr_lite.craft.bases import BasisDirection
from tracr_lite.targets.blocks import Step, Unit
from tracr_lite.targets.lowering import StockLowering
from tracr_lite.targets.rows import Row, scaled, total

LOWEST = 86.0  # how far below 0 the first gates go
SOFT, SHARP, LAST = 0.5, 4.0, 8.0  # half widths of the three steps
SECOND, THIRD = 130.0, 140.0  # how much steeper each makes the one before
LEAST = 0.1  # of the first step's argument, for the second to be a step


@dataclass(frozen=True)
class Threshold:
    """A linear function that is >= `margin` above a threshold, and <= -margin below it.

    It is at most `reach` anywhere, and at least -`below`.
    """

    row: Row
    margin: float
    reach: float
    below: float


def soft_and_sharp(
    lowering: StockLowering, node: int, ends: list[Threshold], nb: Row
) -> tuple[list[Unit], list[Unit], dict[int, Row]]:
    """Both sublayers, and the column of each threshold: 1 above, 0 below, nearly.

    **Raises:** `CannotLower` for a threshold that leaves too little on its sides.
    """
    label = f"{lowering.values.labels[node]}.above{len(lowering.parts)}"
    soft: list[Unit] = []
    sharp: list[Unit] = []
    columns: dict[int, Row] = {}
    for end in ends:
        if id(end) in columns:
            continue
        steep = 2.0 ** float(np.floor(np.log2(LOWEST / end.below)))
        if steep * end.margin < LEAST:
            raise CannotLower(
                node,
                f"it decodes a number within {end.margin:.2g} of its neighbours; bounded gates "
                f"tell {LEAST / steep:.2g} apart",
                'use mode="wide", or a smaller max_seq_len',
            )
        first, second = (
            BasisDirection(f"{label}.{k}", len(columns)) for k in ("soft", "sharp")
        )
        soft.append(Step(scaled(end.row, steep), SOFT, nb, {first: 1.0}))
        read = scaled(total([{first: 1.0}, scaled(nb, -0.5)]), SECOND)
        sharp.append(Step(read, SHARP, nb, {second: 1.0}))
        columns[id(end)] = {second: 1.0}
    return soft, sharp, columns


def last_step(inside: Row, gate: Row, out: Row) -> Step:
    """Writes `out` where `inside` is about 0.5, nothing where it is about -0.5."""
    return Step(scaled(inside, THIRD), LAST, gate, out)
