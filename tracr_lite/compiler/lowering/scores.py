"""Query and key weights of a head that implements a selector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tracr_lite.compiler.lowering.forms import order_in
from tracr_lite.compiler.lowering.lower import Lowering
from tracr_lite.compiler.lowering.match import Match, columns_table
from tracr_lite.compiler.lowering.problems import CannotLower
from tracr_lite.compiler.lowering.proved_heads import NO_WEIGHING, Weighing, weighing
from tracr_lite.compiler.lowering.selectors import matches_of
from tracr_lite.craft.bases import BasisDirection, VectorSpaceWithBasis
from tracr_lite.craft.blocks.select_head import (
    Literal,
    Scores,
    enough,
    literal_scores,
    sharpness,
    weight_error,
)
from tracr_lite.craft.vectorspace_fns import ScalarBilinear


class Rows:
    """Rows of a matrix by direction, zero until something is added to them."""

    def __init__(self, width: int):
        self.place: dict[BasisDirection, int] = {}
        self._data = np.zeros((16, width))

    def _indices(self, directions: Sequence[BasisDirection]) -> list[int]:
        found = [self.place.setdefault(d, len(self.place)) for d in directions]
        if len(self.place) > len(self._data):
            grown = np.zeros((2 * len(self.place), self._data.shape[1]))
            grown[: len(self._data)] = self._data
            self._data = grown
        return found

    def at(self, direction: BasisDirection) -> np.ndarray:
        """The row of one direction, to be changed at once: it may move when rows are added."""
        row = self.place.get(direction)
        if row is None:
            row = self._indices([direction])[0]  # first: the data may grow
        return self._data[row]

    def add(
        self, directions: Sequence[BasisDirection], columns: slice, block: np.ndarray
    ) -> None:
        """Adds a block to some columns of the rows of distinct directions."""
        rows = self._indices(directions)  # first: the data may grow
        self._data[rows, columns] += block

    def space(self) -> tuple[VectorSpaceWithBasis, np.ndarray]:
        """The directions as a space, and the matrix in the order of its basis."""
        names = list(self.place)
        space = VectorSpaceWithBasis(names)
        return space, self._data[order_in(names, space)]


@dataclass(frozen=True)
class Scored:
    """Scores of a head: both factors, the score gap, the error and the leak of its weights."""

    w_qk: ScalarBilinear
    gap: float
    error: float
    leak: float
    slot: int
    matches: tuple[Match, ...]
    counts_bos: bool
    proved: Weighing = NO_WEIGHING


def score_of(lowering: Lowering, selector: int, *, count_bos: bool) -> Scored:
    """Scores of a selector.

    BOS scores like a selected key when counting (`count_bos`); half-way between selected and
    not where nothing may be selected; else like a key that is not selected. At its own position
    it always wins.
    """
    matches = matches_of(lowering, selector)
    tables = [columns_table(m) for m in matches]
    scored = [literal_scores(Literal(table)) for table in tables]
    widths = lowering.values.selected[selector].widths
    empty, most = int(widths.low.min()) == 0, int(widths.high.max())
    halved, single = empty and not count_bos, most <= 1 and not count_bos
    noise = sum(_noise(m, s) for m, s in zip(matches, scored, strict=True))
    c = _sharpness(lowering, selector, noise, halved=halved, single=single)
    rank = sum(s.query.shape[1] for s in scored)
    left, right = Rows(rank + 1), Rows(rank + 1)
    right.at(lowering.bos)[rank] = 1.0
    offset = 0.0 if count_bos else (-0.5 if empty else -1.0)
    _add(left, lowering.one, lowering.bos, offset * c, 1.0, rank)
    left.at(lowering.bos)[rank] += 2.0 * c
    start = 0
    for match, score in zip(matches, scored, strict=True):
        _put_literal(left, right, match, score, start, c, lowering.bos)
        start += score.query.shape[1]
    left_space, left_matrix = left.space()
    right_space, right_matrix = right.space()
    w_qk = ScalarBilinear.from_factors(left_space, right_space, left_matrix, right_matrix)
    gap = (c / 2 if halved else c) - c * noise
    n = lowering.values.keys.n
    error = weight_error(n, gap, 0.0 if single else c * noise)
    slot = max(max(m.queries.form.slot, m.keys.form.slot) for m in matches)
    leak = (n + 1) * float(np.exp(-gap))
    proved = weighing(matches, scored, tables, (c, halved, single), n, most)
    lowering.doubtful |= not proved.sure
    return Scored(w_qk, gap, error, leak, slot, tuple(matches), count_bos, proved)


def _noise(match: Match, score: Scores) -> float:
    """How far errors of the one-hots can move a literal's score, in units of the sharpness."""
    k, q = match.keys.form, match.queries.form
    used = score.query.any(axis=1) | (score.total != 0)
    from_keys = min(k.spread, float(k.errors @ score.key.any(axis=1)))
    return from_keys + 2 * min(q.spread, float(q.errors @ used))


def _sharpness(
    lowering: Lowering, selector: int, noise: float, *, halved: bool, single: bool
) -> float:
    """The score gap; where one key at most is selected it outgrows the noise of the scores."""
    c = sharpness(lowering.values.keys.n, halved=halved)
    limit = (0.3 if halved else 0.6) if single else 1.0 / c
    if noise > limit:
        raise CannotLower(
            selector,
            f"its keys or queries carry errors that move scores by up to {100 * noise:.2g} %",
            "use a smaller max_seq_len",
        )
    least = (2.0 if halved else 1.0) * enough(lowering.values.keys.n)
    room = (0.5 - noise) / 0.5 if halved else 1.0 - noise
    while single and c * room < least:
        c *= 2.0
    return c


def _put_literal(
    left: Rows,
    right: Rows,
    match: Match,
    score: Scores,
    start: int,
    c: float,
    bos: BasisDirection,
) -> None:
    """Adds the factors of one literal; readings are zero at the BOS position."""
    stop = start + score.query.shape[1]
    q, k = match.queries.form, match.keys.form
    left.add(q.dirs, slice(start, stop), c * score.query)
    left.add(q.dirs, slice(-1, None), c * score.total[:, None])
    right.add(k.dirs, slice(start, stop), score.key)
    left.at(bos)[start:stop] -= c * (q.at_bos @ score.query)
    left.at(bos)[-1] -= c * float(q.at_bos @ score.total)
    right.at(bos)[start:stop] -= k.at_bos @ score.key


def _add(
    rows: Rows, one: BasisDirection, bos: BasisDirection, value: float, held: float, at: int
) -> None:
    rows.at(one)[at] += value
    rows.at(bos)[at] -= value * held
