"""The scores of a head: which pairs of keys and queries its selector forbids."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracr_lite.compiler.graph import Select, Source, as_select
from tracr_lite.compiler.lowering.forms import OneHot
from tracr_lite.compiler.lowering.match import Match, columns_table
from tracr_lite.compiler.lowering.selectors import matches_of
from tracr_lite.targets.blocks import Penalty
from tracr_lite.targets.cover import rectangles
from tracr_lite.targets.lowering import StockLowering
from tracr_lite.targets.rows import Row, column, total


@dataclass(frozen=True)
class Scored:
    """A selector as penalties, or as an offset; and the half-layer that it waits for."""

    penalties: tuple[Penalty, ...]
    offset: int | None
    counts_bos: bool
    slot: int


def score_of(lowering: StockLowering, selector: int, *, count_bos: bool) -> Scored:
    """The penalties of a selector; with `count_bos` BOS is selected always."""
    offset = _offset(lowering, selector)
    if offset is not None and not count_bos and lowering.traits.relative:
        return Scored((), offset, False, -1)
    matches = matches_of(lowering, selector)
    penalties = [p for match in matches for p in _penalties(lowering, match)]
    forms = [form for m in matches for form in (m.keys.form, m.queries.form)]
    slot = max((form.slot for form in forms), default=-1)
    return Scored(tuple(penalties), None, count_bos, slot)


def _penalties(lowering: StockLowering, match: Match) -> list[Penalty]:
    """One penalty per rectangle of the truth table between columns."""
    k, q = match.keys.form, match.queries.form
    truth = columns_table(match).astype(np.int64)
    first = positions_of(lowering, k)[0][:, None]
    last = positions_of(lowering, q)[1][None, :]
    truth = np.where(first > last, -1, truth)  # keys after all of their queries are not seen
    return [
        Penalty(_sum(lowering, q, queries), _sum(lowering, k, keys))
        for keys, queries in rectangles(truth)
    ]


def _sum(lowering: StockLowering, form: OneHot, chosen: np.ndarray) -> Row:
    """1 where one of the chosen columns is hot, exactly 0 elsewhere."""
    at = np.flatnonzero(chosen).tolist()
    return total(column(form.dirs[i], float(form.at_bos[i]), lowering.bos) for i in at)


def positions_of(lowering: StockLowering, form: OneHot) -> tuple[np.ndarray, np.ndarray]:
    """First and last position at which each column can be hot."""
    keyed, n = lowering.values.keyed(form.node), lowering.values.keys.n
    size = len(form.dirs)
    first, last = np.full(size, n), np.full(size, -1)
    rows, positions = lowering.values.keys.pairs(keyed.by_length, keyed.by_position)
    classes = keyed.at(rows, positions)
    if not keyed.by_position:
        return np.zeros(size, np.int64), np.full(size, n - 1)
    spans = np.full((len(keyed.member), 2), (n, -1))
    np.minimum.at(spans[:, 0], classes, positions)
    np.maximum.at(spans[:, 1], classes, positions)
    for kind, (low, high) in enumerate(spans.tolist()):
        ids = np.flatnonzero(keyed.member[kind][: len(form.group)])
        np.minimum.at(first, form.group[ids], low)
        np.maximum.at(last, form.group[ids], high)
    return first, last


def _offset(lowering: StockLowering, selector: int) -> int | None:
    """How far back the selector looks, if it selects the one key at a fixed distance."""
    values = lowering.values
    node = values.nodes[selector]
    if not isinstance(node, Select) or Source("indices") not in values.nodes:
        return None
    indices = values.nodes.index(Source("indices"))
    select = as_select(node)
    sides: list[np.ndarray] = []
    for side in (select.keys, select.queries):
        info = values.info[side]
        if info.span is not None or not set(info.table.leaves) <= {indices}:
            return None
        table = values.table_on(side, (indices,))
        if table is None or (table.ids < 0).any():
            return None
        sides.append(table.on(values.info[indices].table.frame))
    truth = values.truth[selector][np.ix_(sides[0], sides[1])]
    n = len(truth)
    back = np.arange(n)[None, :] - np.arange(n)[:, None]
    seen = back >= 0
    if (truth[seen] < 0).any():
        return None
    found = np.unique(back[seen & (truth == 1)])
    if len(found) != 1:
        return None
    at = int(found[0])
    return at if (truth[seen & (back == at)] == 1).all() else None
