"""The scores of a head: which pairs of keys and queries its selector forbids."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tracr_lite.compiler.lowering.forms import OneHot
from tracr_lite.compiler.lowering.match import Match, columns_table
from tracr_lite.compiler.lowering.selectors import matches_of
from tracr_lite.targets.blocks import Penalty
from tracr_lite.targets.cover import rectangles
from tracr_lite.targets.latest import latest_of
from tracr_lite.targets.lowering import StockLowering
from tracr_lite.targets.rows import Row, column, total
from tracr_lite.targets.visible import conjuncts, distances, forbids_nothing, positions_of

FEW = 8  # positions up to which an order of them is cheap to say by penalties


@dataclass(frozen=True)
class Scored:
    """A selector as penalties, an offset or both; and the half-layer that it waits for.

    - `behind`: keys are at least this far back; the penalties do not say so.
    - `latest`: of what is not forbidden, only the latest key is selected.
    """

    penalties: tuple[Penalty, ...]
    offset: int | None
    counts_bos: bool
    slot: int
    behind: int = 0
    latest: bool = False


def score_of(lowering: StockLowering, selector: int, *, count_bos: bool) -> Scored:
    """The penalties of a selector; with `count_bos` BOS is selected always.

    A conjunct that says how far back to look becomes the offset, if there is none yet; one
    that forbids nothing that can be seen is left out. The latest match is never selected
    together with BOS.
    """
    if not count_bos and (found := latest_of(lowering, selector)) is not None:
        scored = _scored(lowering, matches_of(lowering, found.selector))
        return replace(scored, behind=found.behind, latest=True)
    offset: int | None = None
    behind = 0
    matches: list[Match] = []
    for part in conjuncts(lowering, selector):
        back, least = distances(lowering, part) if lowering.traits.relative else (None, 0)
        if back is not None and offset is None and not count_bos:
            offset = back
        elif least and lowering.values.keys.n > FEW:
            behind = max(behind, least)
        elif not forbids_nothing(lowering, part):
            matches.extend(matches_of(lowering, part))
    behind = 0 if offset is not None else behind
    scored = _scored(lowering, matches)
    return replace(scored, offset=offset, counts_bos=count_bos, behind=behind)


def _scored(lowering: StockLowering, matches: list[Match]) -> Scored:
    """The penalties of all of them."""
    penalties = [p for match in matches for p in _penalties(lowering, match)]
    forms = [form for m in matches for form in (m.keys.form, m.queries.form)]
    slot = max((form.slot for form in forms), default=-1)
    return Scored(tuple(penalties), None, False, slot)


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


def _columns_seen(lowering: StockLowering, form: OneHot) -> tuple[np.ndarray, np.ndarray]:
    """First and last position at which each column can be hot."""
    first, last = positions_of(lowering, form.node)
    low = np.full(len(form.dirs), lowering.values.keys.n)
    high = np.full(len(form.dirs), -1)
    np.minimum.at(low, form.group, first[: len(form.group)])
    np.maximum.at(high, form.group, last[: len(form.group)])
    return low, high
