"""Queries and keys of a head, lane by lane: ideal values, sizes, and how far off they can
be."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from tracr_lite.certifying.known import Known
from tracr_lite.certifying.rounding import Arithmetic, lattice

Matrix = Float[np.ndarray, "rows columns"]


@dataclass(frozen=True)
class Side:
    """The queries or the keys: lanes of each node by state, and what sizes and errors do there.

    `lanes`: [states, key_size] without BOS; `bos`: of the BOS position, all nodes together.
    """

    lanes: dict[str, Matrix]
    size: dict[str, Matrix]
    off: dict[str, Matrix]
    bos: Float[np.ndarray, " lanes"]
    bos_size: Float[np.ndarray, " lanes"]
    bos_off: Float[np.ndarray, " lanes"]
    grid: int
    exact: bool
    terms: int  # columns that are not zero at one position, errors aside
    columns: int  # all of them

    @property
    def largest(self) -> Float[np.ndarray, " lanes"]:
        """The largest sum of sizes in each lane, at any position."""
        tokens = sum((s + o).max(axis=0) for s, o in zip(*self._both(), strict=True))
        return np.maximum(tokens, self.bos_size + self.bos_off)

    @property
    def silent(self) -> bool:
        """Whether all positions but BOS are exactly zero in all lanes."""
        return not any(s.any() or o.any() for s, o in zip(*self._both(), strict=True))

    def _both(self) -> tuple[list[Matrix], list[Matrix]]:
        return list(self.size.values()), [self.off[name] for name in self.size]


def side_of(nodes: dict[str, Known], weight: Matrix, number: Arithmetic) -> Side:
    lanes, size, off = dict[str, Matrix](), dict[str, Matrix](), dict[str, Matrix]()
    bos = np.zeros((3, weight.shape[1]))
    grids, terms = list[int](), 0
    for name, known in nodes.items():
        part = weight[known.columns]
        error = known.moves(part)
        ideal, sizes = known.ideal @ part, np.abs(known.ideal) @ np.abs(part)
        lanes[name], size[name], off[name] = ideal[:-1], sizes[:-1], error[:-1]
        bos += np.stack([ideal[-1], sizes[-1], error[-1]])
        grids.append(lattice(known.ideal) + lattice(part))
        terms += int((known.ideal != 0.0).sum(axis=1).max(initial=0))
    exact = all(known.exact or not weight[known.columns].any() for known in nodes.values())
    columns = sum(len(known.columns) for known in nodes.values())
    side = Side(lanes, size, off, bos[0], bos[1], bos[2], min(grids), exact, terms, columns)
    fits = number.sums_exactly(float(side.largest.max(initial=0.0)), side.grid)
    return replace(side, exact=exact and bool(fits))


def sizes_of(queries: Side, keys: Side) -> tuple[float, int]:
    """Size of the largest score, and how many lanes contribute to one, errors aside.

    Nine more operations are the division by the root and the subtraction of the maximum.
    """
    size, lanes = 0.0, 0
    for q in queries.size.values():
        for k in keys.size.values():
            size += float((q @ k.T).max(initial=0.0))
            both = (q != 0.0).astype(float) @ (k != 0.0).astype(float).T
            lanes += int(both.max(initial=0.0))
    seen = np.any([q.any(axis=0) for q in queries.size.values()], axis=0) & (keys.bos_size != 0)
    at_bos = (queries.bos_size != 0) & (keys.largest != 0)
    to_bos = sum(q.max(axis=0) for q in queries.size.values()) @ keys.bos_size
    lanes = max(lanes, int(seen.sum()), int(at_bos.sum()))
    return max(size, float(to_bos), float(queries.bos_size @ keys.largest)), lanes


def moved_by_errors(queries: Side, keys: Side) -> float:
    """How far errors of columns move a score, before the division by the root."""
    total = 0.0
    for a, size in queries.size.items():
        for b, other in keys.size.items():
            off_a, off_b = queries.off[a], keys.off[b]
            if off_a.any() or off_b.any():
                moved = off_a @ (other + off_b).T + size @ off_b.T
                total += float(moved.max(initial=0.0))
    off_q = sum(off.max(axis=0) for off in queries.off.values())
    off_k = sum(off.max(axis=0) for off in keys.off.values())
    to_bos = off_q @ keys.bos_size + queries.largest @ keys.bos_off
    at_bos = queries.bos_off @ keys.largest + queries.bos_size @ np.maximum(off_k, keys.bos_off)
    return max(total, float(to_bos), float(at_bos))
