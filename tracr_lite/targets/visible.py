"""What of a selector can matter to a model that sees no later positions."""

from __future__ import annotations

import numpy as np

from tracr_lite.compiler.graph import Combine, Select, Source
from tracr_lite.targets.lowering import StockLowering


def conjuncts(lowering: StockLowering, selector: int) -> list[int]:
    """Selectors that hold together exactly where the selector does."""
    found: dict[int, None] = {}
    stack = [selector]
    while stack:
        at = stack.pop()
        node = lowering.values.nodes[at]
        if isinstance(node, Combine) and node.op == "and":
            stack.extend(reversed(node.inputs))
        else:
            found[at] = None
    return list(found)


def forbids_nothing(lowering: StockLowering, selector: int) -> bool:
    """Whether the selector holds for all keys that its queries can see."""
    node = lowering.values.nodes[selector]
    if not isinstance(node, Select):
        return False
    first = positions_of(lowering, node.keys)[0]
    last = positions_of(lowering, node.queries)[1]
    truth = lowering.values.truth[selector]
    return not ((truth == 0) & (first[:, None] <= last[None, :])).any()


def positions_of(lowering: StockLowering, node: int) -> tuple[np.ndarray, np.ndarray]:
    """First and last position at which the node can hold each of its values."""
    keyed, n = lowering.values.keyed(node), lowering.values.keys.n
    size = int(keyed.member.shape[1])
    if not keyed.by_position:
        return np.zeros(size, np.int64), np.full(size, n - 1, np.int64)
    rows, positions = lowering.values.keys.pairs(keyed.by_length, keyed.by_position)
    classes = keyed.at(rows, positions)
    spans = np.full((len(keyed.member), 2), (n, -1))
    np.minimum.at(spans[:, 0], classes, positions)
    np.maximum.at(spans[:, 1], classes, positions)
    first = np.full(size, n, np.int64)
    last = np.full(size, -1, np.int64)
    for kind, (low, high) in enumerate(spans.tolist()):
        ids = keyed.member[kind]
        first[ids] = np.minimum(first[ids], low)
        last[ids] = np.maximum(last[ids], high)
    return first, last


def offset_of(lowering: StockLowering, selector: int) -> int | None:
    """How far back the selector looks, if it selects the one key at a fixed distance."""
    return distances(lowering, selector)[0]


def distances(lowering: StockLowering, selector: int) -> tuple[int | None, int]:
    """(the one distance that is selected, the distance from which on all are selected).

    None and 0 where that is not what the selector does.
    """
    truth = _by_position(lowering, selector)
    if truth is None:
        return None, 0
    n = len(truth)
    back = np.arange(n)[None, :] - np.arange(n)[:, None]
    seen = back >= 0
    found = np.unique(back[seen & (truth == 1)])
    if not len(found) or (truth[seen] < 0).any():
        return None, 0
    least = int(found[0])
    if len(found) == 1 and (truth[seen & (back == least)] == 1).all() and n > 1:
        return least, 0
    return None, least if (truth[back >= least] == 1).all() else 0


def _by_position(lowering: StockLowering, selector: int) -> np.ndarray | None:
    """The truth table over positions of key and query, if these alone decide."""
    values = lowering.values
    node = values.nodes[selector]
    if not isinstance(node, Select) or Source("indices") not in values.nodes:
        return None
    indices = values.nodes.index(Source("indices"))
    sides: list[np.ndarray] = []
    for side in (node.keys, node.queries):
        info = values.info[side]
        if info.span is not None or not set(info.table.leaves) <= {indices}:
            return None
        table = values.table_on(side, (indices,))
        if table is None or (table.ids < 0).any():
            return None
        sides.append(table.on(values.info[indices].table.frame))
    return values.truth[selector][np.ix_(sides[0], sides[1])]
