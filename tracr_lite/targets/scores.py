"""The scores of a head: which pairs of keys and queries its selector forbids."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracr_lite.compiler.graph import Combine, Select, Source
from tracr_lite.compiler.lowering.forms import OneHot
from tracr_lite.compiler.lowering.match import Match, columns_table
from tracr_lite.compiler.lowering.selectors import matches_of
from tracr_lite.targets.blocks import Penalty
from tracr_lite.targets.cover import rectangles
from tracr_lite.targets.lowering import StockLowering
from tracr_lite.targets.rows import Row, column, total

FEW = 8  # positions up to which an order of them is cheap to say by penalties


@dataclass(frozen=True)
class Scored:
    """A selector as penalties, an offset or both; and the half-layer that it waits for.

    - `behind`: keys are at least this far back; the penalties do not say so.
    """

    penalties: tuple[Penalty, ...]
    offset: int | None
    counts_bos: bool
    slot: int
    behind: int = 0


def score_of(lowering: StockLowering, selector: int, *, count_bos: bool) -> Scored:
    """The penalties of a selector; with `count_bos` BOS is selected always.

    A conjunct that says how far back to look becomes the offset, if there is none yet; one
    that forbids nothing that can be seen is left out.
    """
    offset: int | None = None
    behind = 0
    matches: list[Match] = []
    for part in conjuncts(lowering, selector):
        back, least = distances(lowering, part) if lowering.traits.relative else (None, 0)
        if back is not None and offset is None and not count_bos:
            offset = back
        elif least and lowering.values.keys.n > FEW:
            behind = max(behind, least)
        elif not _forbids_nothing(lowering, part):
            matches.extend(matches_of(lowering, part))
    penalties = [p for match in matches for p in _penalties(lowering, match)]
    forms = [form for m in matches for form in (m.keys.form, m.queries.form)]
    slot = max((form.slot for form in forms), default=-1)
    return Scored(
        tuple(penalties), offset, count_bos, slot, 0 if offset is not None else behind
    )


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


def _forbids_nothing(lowering: StockLowering, selector: int) -> bool:
    """Whether the selector holds for all keys that its queries can see."""
    node = lowering.values.nodes[selector]
    if not isinstance(node, Select):
        return False
    first = positions_of(lowering, node.keys)[0]
    last = positions_of(lowering, node.queries)[1]
    truth = lowering.values.truth[selector]
    return not ((truth == 0) & (first[:, None] <= last[None, :])).any()


def _penalties(lowering: StockLowering, match: Match) -> list[Penalty]:
    """One penalty per rectangle of the truth table between columns."""
    k, q = match.keys.form, match.queries.form
    truth = columns_table(match).astype(np.int64)
    first = _columns_seen(lowering, k)[0][:, None]
    last = _columns_seen(lowering, q)[1][None, :]
    truth = np.where(first > last, -1, truth)  # keys after all of their queries are not seen
    return [
        Penalty(_sum(lowering, q, queries), _sum(lowering, k, keys))
        for keys, queries in rectangles(truth)
    ]


def _sum(lowering: StockLowering, form: OneHot, chosen: np.ndarray) -> Row:
    """1 where one of the chosen columns is hot, exactly 0 elsewhere."""
    at = np.flatnonzero(chosen).tolist()
    return total(column(form.dirs[i], float(form.at_bos[i]), lowering.bos) for i in at)


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


def _columns_seen(lowering: StockLowering, form: OneHot) -> tuple[np.ndarray, np.ndarray]:
    """First and last position at which each column can be hot."""
    first, last = positions_of(lowering, form.node)
    low = np.full(len(form.dirs), lowering.values.keys.n)
    high = np.full(len(form.dirs), -1)
    np.minimum.at(low, form.group, first[: len(form.group)])
    np.maximum.at(high, form.group, last[: len(form.group)])
    return low, high


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
