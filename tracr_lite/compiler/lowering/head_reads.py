"""The value matrix of a head, with names, and the block of the head."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from tracr_lite.compiler.lowering.forms import Functional, HeadBlock, Number, View
from tracr_lite.compiler.lowering.lower import Lowering
from tracr_lite.compiler.lowering.naming import in_order
from tracr_lite.compiler.lowering.scores import Scored
from tracr_lite.compiler.lowering.written import WrittenHead
from tracr_lite.craft.bases import BasisDirection
from tracr_lite.craft.vectorspace_fns import Linear


@dataclass(frozen=True)
class Reads:
    """A value matrix: the directions of its rows, BOS first, and of its columns."""

    names: list[BasisDirection]
    dirs: list[BasisDirection]
    matrix: Float[np.ndarray, "names dirs"]


def add_head(
    lowering: Lowering,
    node: int,
    selector: int,
    scored: Scored,
    value: Reads,
    read: View | Number | None,
) -> int:
    """Adds the head. `value`: its value matrix; `read`: the same as what it reads."""
    form = read.form if isinstance(read, View) else read
    slot = max(-1 if form is None else form.slot, scored.slot)
    slot = slot + 1 if slot % 2 else slot + 2
    source, rows = in_order(value.names)
    out, cols = in_order(value.dirs)
    w_ov = Linear(source, out, value.matrix[rows][:, cols])
    lowering.blocks.append(HeadBlock(slot, (node,), selector, scored.w_qk, w_ov, scored.gap))
    lowering.notes.append(WrittenHead(scored.matches, scored.counts_bos, value.dirs, read))
    return slot


def stacked_rows(
    bos: BasisDirection, wanted: list[tuple[int, Functional]], width: int
) -> tuple[list[BasisDirection], np.ndarray]:
    """All that is read: BOS and the directions of functionals; and each one's coefficients.

    `wanted`: functionals, and the columns in which they are.
    """
    place = {bos: 0}
    rows = [[place.setdefault(d, len(place)) for d in f.dirs] for _, f in wanted]
    matrix = np.zeros((len(place), width))
    for (column, functional), at in zip(wanted, rows, strict=True):
        np.add.at(matrix[:, column], at, functional.coefs)
        matrix[0, column] -= functional.bos
    return list(place), matrix
