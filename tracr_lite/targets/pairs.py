"""Two leaves of a larger table that matter through their sum only, as one node of classes."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np

from tracr_lite.compiler.graph import Pointwise
from tracr_lite.compiler.values.domain import typed_key
from tracr_lite.compiler.values.infer import add_node
from tracr_lite.compiler.values.pointwise import Table
from tracr_lite.targets.lowering import StockLowering
from tracr_lite.targets.sums import SumOfTwo, numbers_of


class Pair:
    """The class of two values, from a table."""

    def __init__(self, classes: dict[Hashable, int]):
        self.classes = classes

    def __call__(self, x: Any, y: Any) -> int:
        return self.classes[typed_key((x, y))]


def merged_pair(
    lowering: StockLowering, table: Table, output: np.ndarray, found: SumOfTwo
) -> tuple[int, np.ndarray]:
    """A node for what matters of two of more leaves; and its class for each row."""
    kept = np.flatnonzero(output >= 0)
    pair = [table.frame.column(leaf)[kept] for leaf in found.leaves]
    size = len(lowering.values.info[found.leaves[1]].values)
    code, at = np.unique(pair[0] * size + pair[1], return_inverse=True)
    rest = np.zeros(len(kept), np.int64)
    for leaf, count in zip(table.leaves, table.frame.sizes, strict=True):
        if leaf not in found.leaves:
            rest = rest * count + table.frame.column(leaf)[kept]
    _, rest = np.unique(rest, return_inverse=True)
    behaviour = np.full((len(code), int(rest.max()) + 1), -1, np.int64)
    behaviour[at.ravel(), rest.ravel()] = output[kept]
    classes = _classes(lowering, found, code, size, behaviour)
    values = [lowering.values.info[leaf].values for leaf in found.leaves]
    fn = Pair(
        {
            typed_key((values[0][c // size], values[1][c % size])): int(k)
            for c, k in zip(code.tolist(), classes.tolist(), strict=True)
        }
    )
    label = f"sum{len(lowering.values.nodes)}"
    node = add_node(lowering.values, Pointwise(fn, found.leaves, strict=False), label)
    return node, classes[at.ravel()]


def _classes(
    lowering: StockLowering,
    found: SumOfTwo,
    code: np.ndarray,
    size: int,
    behaviour: np.ndarray,
) -> np.ndarray:
    """Class of each pair: equal sums share one, and so do neighbours that agree."""
    numbers = [np.asarray(numbers_of(lowering, leaf)) for leaf in found.leaves]
    total = (
        found.factors[0] * numbers[0][code // size] + found.factors[1] * numbers[1][code % size]
    )
    of = np.zeros(len(code), np.int64)
    known: dict[bytes, int] = {}
    members: list[int] = []
    row = np.full(behaviour.shape[1], -1, np.int64)

    def close() -> None:
        if members:
            of[members] = known.setdefault(row.tobytes(), len(known))

    plain = np.flatnonzero(~np.isnan(total))
    for value in np.unique(total[plain]):
        same = plain[total[plain] == value]
        each = behaviour[same].max(axis=0)
        if ((row >= 0) & (each >= 0) & (row != each)).any():
            close()
            members, row = [], np.full_like(row, -1)
        members = [*members, *same.tolist()]
        row = np.maximum(row, each)
    close()
    for at in np.flatnonzero(np.isnan(total)).tolist():
        of[at] = known.setdefault(b"." + behaviour[at].tobytes(), len(known))
    return of
