"""Query and key weights of a head that implements a selector."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracr_lite.compiler.lowering.forms import order_in
from tracr_lite.compiler.lowering.lower import Lowering
from tracr_lite.compiler.lowering.match import columns_table
from tracr_lite.compiler.lowering.problems import CannotLower
from tracr_lite.compiler.lowering.selectors import matches_of
from tracr_lite.craft.bases import BasisDirection, VectorSpaceWithBasis
from tracr_lite.craft.blocks.select_head import Literal, literal_scores, sharpness, weight_error
from tracr_lite.craft.vectorspace_fns import ScalarBilinear


class Rows:
    """Rows of a matrix by direction, created when first used."""

    def __init__(self, width: int):
        self.place: dict[BasisDirection, int] = {}
        self.rows: list[np.ndarray] = []
        self.width = width

    def at(self, direction: BasisDirection) -> np.ndarray:
        if direction not in self.place:
            self.place[direction] = len(self.rows)
            self.rows.append(np.zeros(self.width))
        return self.rows[self.place[direction]]

    def space(self) -> tuple[VectorSpaceWithBasis, np.ndarray]:
        names = list(self.place)
        space = VectorSpaceWithBasis(names)
        matrix = np.array(self.rows).reshape(len(names), self.width)
        return space, matrix[order_in(names, space)]


@dataclass(frozen=True)
class Scored:
    """Scores of a head: both factors, its score gap, the error of its weights, and their leak."""

    w_qk: ScalarBilinear
    gap: float
    error: float
    leak: float
    slot: int


def score_of(lowering: Lowering, selector: int, *, count_bos: bool) -> Scored:
    """Scores of a selector.

    BOS scores like a selected key when counting (`count_bos`); half-way between selected and not
    where nothing may be selected; else like a key that is not selected. At its own position it
    always wins.
    """
    matches = matches_of(lowering, selector)
    widths = lowering.values.selected[selector].widths
    empty = int(widths.low.min()) == 0
    n = lowering.values.keys.n
    c = sharpness(n, halved=empty and not count_bos)
    tables = [columns_table(m) for m in matches]
    scored = [literal_scores(Literal(t)) for t in tables]
    rank = sum(s.query.shape[1] for s in scored)
    left, right = Rows(rank + 1), Rows(rank + 1)
    right.at(lowering.bos)[rank] = 1.0
    offset = 0.0 if count_bos else (-0.5 if empty else -1.0)
    noise, slot, start = 0.0, -1, 0
    _add(left, lowering.one, lowering.bos, offset * c, 1.0, rank)
    left.at(lowering.bos)[rank] += 2.0 * c
    for match, score in zip(matches, scored, strict=True):
        stop = start + score.query.shape[1]
        q, k = match.queries.form, match.keys.form
        for at, d in enumerate(q.dirs):
            left.at(d)[start:stop] += c * score.query[at]
            left.at(d)[rank] += c * score.total[at]
        for at, d in enumerate(k.dirs):
            right.at(d)[start:stop] += score.key[at]
        left.at(lowering.bos)[start:stop] -= c * (q.at_bos @ score.query)
        left.at(lowering.bos)[rank] -= c * float(q.at_bos @ score.total)
        right.at(lowering.bos)[start:stop] -= k.at_bos @ score.key
        noise += c * min(k.spread, float(k.errors @ score.key.any(axis=1)))
        used = score.query.any(axis=1) | (score.total != 0)
        noise += 2 * c * min(q.spread, float(q.errors @ used))
        slot = max(slot, q.slot, k.slot)
        start = stop
    if noise > 1.0:
        raise CannotLower(
            selector,
            f"its keys or queries carry an error that moves scores by up to {noise:.2g}",
            "use a smaller max_seq_len",
        )
    left_space, left_matrix = left.space()
    right_space, right_matrix = right.space()
    w_qk = ScalarBilinear.from_factors(left_space, right_space, left_matrix, right_matrix)
    gap = (c / 2 if empty and not count_bos else c) - noise
    most = int(widths.high.max())
    scale = noise if most > 1 or count_bos or empty else 0.0
    leak = (n + 1) * float(np.exp(-gap))
    return Scored(w_qk, gap, weight_error(n, gap, scale), leak, slot)


def _add(
    rows: Rows, one: BasisDirection, bos: BasisDirection, value: float, held: float, at: int
) -> None:
    rows.at(one)[at] += value
    rows.at(bos)[at] -= value * held
