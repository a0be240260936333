"""What a head reads for each state of its sources, from its value and output weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from tracr_lite.certifying.claims import Head, Held
from tracr_lite.certifying.known import Known
from tracr_lite.certifying.rounding import SLOP, Arithmetic, is_power_of_two, lattice
from tracr_lite.certifying.weights import HeadWeights

# A sum v + d that starts from a number v of the format is off from v by at most 2 |d|, whatever
# it is rounded to; with room for the rounding of d itself.
LEAKED = 2.2

Matrix = Float[np.ndarray, "rows columns"]


@dataclass(frozen=True)
class Read:
    """What a head reads of one node, by state: `ideal`, sizes of its terms, and how far off.

    `spread`: how far off all columns can be together.
    """

    rows: Matrix
    size: Matrix
    off: Matrix
    spread: Float[np.ndarray, " states"]


@dataclass(frozen=True)
class Values:
    """All that a head reads.

    **Arguments:** `largest`: of what any position has; `bos`: at the BOS position, a row;
    `extra`: operations on a value before and after it is weighed.
    """

    reads: tuple[Read, ...]
    bos: Read
    largest: Float[np.ndarray, " columns"]
    extra: float


def values_of(
    head: HeadWeights, claim: Head, held: Held, nodes: dict[str, Known], number: Arithmetic
) -> Values:
    """What is read for each state of each source, compared with what is claimed.

    `nodes`: all whose columns the head may read the values of.
    """
    out = head.out[:, held.columns]
    lanes = np.abs(head.value).any(axis=0) & np.abs(out).any(axis=1)
    value, out = head.value[:, lanes], out[lanes]
    whole, sizes = value @ out, np.abs(value) @ np.abs(out)
    exact = all(known.exact for known in nodes.values())
    grid = min(lattice(k.ideal) for k in nodes.values()) + lattice(value) + lattice(out)
    rows = {each.source: each.rows for each in claim.values}
    reads: list[Read] = []
    bos = np.zeros((3, len(held.columns)))
    many = float(number.gamma(float(sum(len(known.columns) for known in nodes.values()))))
    for name, known in nodes.items():
        here = sizes[known.columns]
        ideal, size = known.ideal @ whole[known.columns], np.abs(known.ideal) @ here
        off = _moved(known, here, size, many) + SLOP * size * (not exact)
        together = _moved(
            known, here.sum(axis=1, keepdims=True), size.sum(axis=1)[:, None], many
        )
        claimed = rows.get(name, np.zeros((len(ideal) - 1, len(held.columns))))
        wrong = np.abs(ideal[:-1] - claimed)
        spread = (together[:, 0] + SLOP * size.sum(axis=1))[:-1] + wrong.sum(axis=1)
        reads.append(Read(claimed, size[:-1], off[:-1] + wrong, spread))
        bos += np.stack([ideal[-1], size[-1], off[-1]])
    bos[2] += np.abs(bos[0] - held.at_bos)
    largest = np.sum([(r.size + r.off).max(axis=0) for r in reads], axis=0)
    largest = np.maximum(largest, bos[1] + bos[2])
    exact &= bool(number.sums_exactly(float(largest.max(initial=0.0)), grid))
    terms = sum(int((k.ideal != 0.0).sum(axis=1).max(initial=0)) for k in nodes.values())
    extra = 0.0 if exact else float(terms)
    extra += max(float((out != 0.0).sum(axis=0).max(initial=0)) - 1.0, 0.0)
    extra += float(not is_power_of_two(out).all())
    at_bos = Read(held.at_bos[None], bos[1][None], bos[2][None], bos[2].sum(keepdims=True))
    return Values(tuple(reads), at_bos, largest, extra)


def _moved(known: Known, weight: Matrix, size: Matrix, many: float) -> Matrix:
    """How far errors of columns move what is read.

    Those of columns that should be zero move a sum twice at most, whatever is rounded; or they
    are further terms of the sum.
    """
    once = known.moves(weight)
    return np.minimum(known.moves(weight, 1.0 + LEAKED), once + many * (size + once))
