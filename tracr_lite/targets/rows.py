"""Linear functions of residual columns, as a dict of coefficients.

The column `one` is 1 at every position and `bos` is 1 at the BOS position only, so that
`one - bos` is the constant of all positions that hold tokens.
"""

from __future__ import annotations

from collections.abc import Iterable

from tracr_lite.compiler.lowering.forms import Functional
from tracr_lite.craft.bases import BasisDirection
from tracr_lite.craft.conventions import ONE

Row = dict[BasisDirection, float]
ONE_COLUMN = BasisDirection(ONE)
POSITION = BasisDirection("position")  # where embeddings know it: 0 at BOS, then up to 1


def constant(bos: BasisDirection, value: float = 1.0) -> Row:
    """`value` at every token, 0 at BOS."""
    return {ONE_COLUMN: value, bos: -value}


def always(value: float = 1.0) -> Row:
    """`value` at every position, BOS too."""
    return {ONE_COLUMN: value}


def reading(functional: Functional, bos: BasisDirection) -> Row:
    """A functional, which is 0 at BOS."""
    terms = zip(functional.dirs, functional.coefs.tolist(), strict=True)
    return total([*(scaled(column(d, 0.0, bos), c) for d, c in terms), {bos: -functional.bos}])


def column(direction: BasisDirection, at_bos: float, bos: BasisDirection) -> Row:
    """One column, less what it holds at BOS."""
    if direction == ONE_COLUMN:
        return constant(bos)
    return {direction: 1.0, bos: -at_bos} if at_bos else {direction: 1.0}


def total(rows: Iterable[Row]) -> Row:
    """Their sum, without zeros."""
    found: Row = {}
    for row in rows:
        for direction, coef in row.items():
            found[direction] = found.get(direction, 0.0) + coef
    return {d: c for d, c in found.items() if c}


def scaled(row: Row, factor: float) -> Row:
    """The row times a number."""
    return {d: factor * c for d, c in row.items()}
