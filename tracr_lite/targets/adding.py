"""Adds heads to a lowering; keys that must be some way back are moved on by a head before."""

from __future__ import annotations

from dataclasses import replace

from tracr_lite.craft.bases import BasisDirection
from tracr_lite.targets.blocks import HeadPart, Penalty
from tracr_lite.targets.lowering import StockLowering
from tracr_lite.targets.rows import POSITION, Row, always, constant, total
from tracr_lite.targets.scores import Scored


def add_head(
    lowering: StockLowering,
    node: int,
    selector: int,
    scored: Scored,
    value: list[tuple[Row, BasisDirection]],
    slot: int,
) -> int:
    """Adds the head at the first attention after what it reads."""
    slot = max(slot, scored.slot)
    slot = slot + 1 if slot % 2 else slot + 2
    if scored.behind:
        scored, value = _moved(lowering, node, selector, scored, value, slot)
        slot += 2
    part = HeadPart(
        slot,
        (node,),
        selector,
        scored.penalties,
        () if scored.offset is None else ((always(), scored.offset),),
        scored.counts_bos,
        tuple(value),
        _recent(lowering) if scored.latest else None,
    )
    lowering.parts.append(part)
    return slot


def _recent(lowering: StockLowering) -> Row:
    """What keys show so that a head can tell the latest of them."""
    return {POSITION: 1.0} if lowering.traits.positions else constant(lowering.bos)


def _moved(
    lowering: StockLowering,
    node: int,
    selector: int,
    scored: Scored,
    value: list[tuple[Row, BasisDirection]],
    slot: int,
) -> tuple[Scored, list[tuple[Row, BasisDirection]]]:
    """Keys at least `behind` back: a head moves what they hold that much further on.

    Then every key that can be seen is far enough back, and no penalty has to say so. Where
    nothing was that far back, BOS arrives, and is forbidden.
    """
    label = f"{lowering.values.labels[node]}.behind{len(lowering.parts)}"
    moved: list[tuple[Row, BasisDirection]] = []

    def move(row: Row) -> Row:
        moved.append((row, BasisDirection(label, len(moved))))
        return {moved[-1][1]: 1.0}

    penalties = [Penalty(p.query, move(p.key)) for p in scored.penalties]
    first = total([move({lowering.bos: 1.0}), {lowering.bos: -1.0}])
    penalties.append(Penalty(always(), first))
    if not scored.counts_bos:
        value = [(move(row), direction) for row, direction in value]
    back = ((always(), scored.behind),)
    part = HeadPart(slot, (node,), selector, (), back, False, tuple(moved))
    lowering.parts.append(part)
    return replace(scored, penalties=tuple(penalties), behind=0), value
