"""Query and key weights of a head that implements a selector."""

from __future__ import annotations

from dataclasses import dataclass

from tracr_lite.compiler.lowering.lower import Lowering
from tracr_lite.compiler.lowering.match import Match
from tracr_lite.compiler.lowering.naming import in_order
from tracr_lite.compiler.lowering.proved_heads import NO_WEIGHING, Weighing
from tracr_lite.compiler.lowering.remembered import Memory
from tracr_lite.compiler.lowering.score_weights import (
    ScoreWeights,
    Wanted,
    rows_of,
    score_weights,
)
from tracr_lite.compiler.lowering.selectors import matches_of
from tracr_lite.craft.vectorspace_fns import ScalarBilinear

SMALL = 2**11  # cells of a selector whose weights are remembered
WEIGHTS: Memory[ScoreWeights] = Memory(2048)  # of small selectors, in all programs


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
    """Scores of a selector; see `score_weights`."""
    matches = tuple(matches_of(lowering, selector))
    one, bos = lowering.one, lowering.bos
    queries, query_rows = rows_of([one, bos], [m.queries.form for m in matches])
    keys, key_rows = rows_of([bos], [m.keys.form for m in matches])
    widths = lowering.values.selected[selector].widths
    wanted = Wanted(
        *(selector, matches, query_rows, key_rows, (len(queries), len(keys))),
        n=lowering.values.keys.n,
        empty=widths.least == 0,
        most=widths.most,
        count_bos=count_bos,
    )
    if sum(match.truth.size for match in matches) > SMALL:
        found = score_weights(wanted)
    else:
        found = WEIGHTS.of(wanted.key, lambda: score_weights(wanted))
    left_space, left = in_order(queries)
    right_space, right = in_order(keys)
    factors = found.left[left], found.right[right]
    w_qk = ScalarBilinear.from_factors(left_space, right_space, *factors)
    slot = max(max(m.queries.form.slot, m.keys.form.slot) for m in matches)
    proved = found.proved
    lowering.doubtful |= not proved.sure
    return Scored(w_qk, found.gap, found.error, found.leak, slot, matches, count_bos, proved)
