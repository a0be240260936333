"""What a head writes in a narrow format, where selected keys have equal scores."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

from tracr_lite.certifying.head_bound import HeadBound
from tracr_lite.certifying.rounding import DIVISION, SLOP
from tracr_lite.certifying.values_read import LEAKED

Matrix = Float[np.ndarray, "rows columns"]


def stored(
    bound: HeadBound, error: Matrix
) -> tuple[Matrix, Matrix, Float[np.ndarray, " states"]]:
    """As `HeadBound.errors`, in a narrow format; first what the columns are.

    With equal scores each of m selected keys has the weight 1 / m as it is stored, and
    what they give together is stored once more: mostly that is one number.
    """
    number, claim = bound.number, bound.claim
    middle = np.concatenate([bound.held.states, bound.held.at_bos[None]])
    _, leak = bound.weighing()
    equal = bound.scores.exact or (bound.scores.alike and not claim.counts_bos)
    equal &= bound.settles(leak) and bool(number.sums_exactly(bound.n + 1.0, 0))
    if claim.counts_bos:
        equal &= bound.off_bos == 0.0
    if not equal or bound.values.extra > 0.0:
        return middle, error, error.sum(axis=1)
    room = float(number.sums.gamma(bound.n + DIVISION)) + SLOP
    if claim.counts_bos:
        ideal, off = bound.held.states[:, 0], bound.values.bos.off[0].max(initial=0.0)
        found = number.stored(*number.stored(ideal, ideal * (room + off)))
        done = np.isfinite(error[:-1, 0])
        middle[:-1, 0] = np.where(done, found[0], ideal)
        error[:-1, 0] = np.where(done, found[1], np.inf)
        return middle, error, error.sum(axis=1)
    if claim.copies:
        return _copies(bound, middle, error, room, leak)
    return _means(bound, middle, error, room, leak)


def _means(
    bound: HeadBound, middle: Matrix, error: Matrix, room: float, leak: float
) -> tuple[Matrix, Matrix, Float[np.ndarray, " states"]]:
    """Of means: m equal weights are off by the same, so the mean is, whatever its terms."""
    number, claim, held = bound.number, bound.claim, bound.held
    if not held.listed or claim.high < 1:
        return middle, error, error.sum(axis=1)
    width = np.arange(max(claim.low, 1), claim.high + 1, dtype=float)
    weight, off = number.stored(1.0 / width, room / width)
    share = float((np.abs(weight * width - 1.0) + off * width).max())
    size = np.sum([r.size.max(axis=0) for r in bound.values.reads], axis=0)
    moved = np.sum([r.off.max(axis=0) for r in bound.values.reads], axis=0)
    moved = 2.0 * (moved + room * size) + LEAKED * leak * (bound.values.largest + size)
    wrong = np.abs(held.states) * share + moved
    found = number.stored(held.states, wrong)
    better: Bool[np.ndarray, "states columns"] = np.isfinite(error[:-1])
    if claim.default >= 0:
        better[claim.default] = False
    middle[:-1] = np.where(better, found[0], middle[:-1])
    error[:-1] = np.where(better, found[1], error[:-1])
    return middle, error, error.sum(axis=1)


def _copies(
    bound: HeadBound, middle: Matrix, error: Matrix, room: float, leak: float
) -> tuple[Matrix, Matrix, Float[np.ndarray, " states"]]:
    """Of a copied one-hot: m weights of 1 / m, for each number m of selected keys."""
    number, claim, read = bound.number, bound.claim, bound.values.reads[-1]
    if not bound.held.one_hot or claim.high < 1:
        return middle, error, error.sum(axis=1)
    width = np.arange(max(claim.low, 1), claim.high + 1, dtype=float)
    weight, off = number.stored(1.0 / width, room / width)
    together, spare = weight * width, (off + room * weight) * width
    hot = np.argmax(read.rows, axis=1)
    for state in range(len(bound.held.states)):
        of = np.flatnonzero((hot == state) & (read.rows.max(axis=1, initial=0.0) == 1.0))
        if not len(of) or state == claim.default:
            continue
        moved = float(read.off[of].max() + LEAKED * leak * bound.values.largest.max())
        got, wrong = number.stored(*number.stored(together, spare + moved * (1 + room)))
        low, high = float((got - wrong).min()), float((got + wrong).max())
        middle[state, state], error[state, state] = (low + high) / 2, (high - low) / 2
    return middle, error, error.sum(axis=1)
