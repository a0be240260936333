"""Columns that nothing reads are not written; columns that nothing reads any more are reused.

A column is freed by a neuron that subtracts what it holds, which is exact where the norm is.
It takes effect after its half-layer, so only what is written later can have the column.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from heapq import heappop, heappush

from tracr_lite.craft.bases import BasisDirection
from tracr_lite.targets.blocks import Copy, HeadPart, MLPPart, Part
from tracr_lite.targets.rows import ONE_COLUMN, Row

NEVER = 1 << 30


@dataclass(frozen=True)
class Allocation:
    """Columns by number, from 0.

    **Arguments:**
    - `place`: of every direction; `count`: how many columns there are.
    - `freed`: half-layer after which a direction's column holds it no more.
    - `clearing`: the parts that free columns.
    """

    place: dict[BasisDirection, int]
    count: int
    freed: dict[BasisDirection, int]
    clearing: tuple[MLPPart, ...]


def without_dead(parts: tuple[Part, ...], output: Iterable[Row]) -> tuple[Part, ...]:
    """The parts, without what they write for nobody."""
    read = {d for row in output for d in row}
    alive: list[Part] = []
    for part in sorted(parts, key=lambda p: -p.slot):  # readers come after writers
        kept = _living(part, read)
        if kept is not None:
            read.update(d for row in kept.reads() for d in row)
            alive.append(kept)
    return tuple(sorted(reversed(alive), key=lambda p: p.slot))


def _living(part: Part, read: set[BasisDirection]) -> Part | None:
    if isinstance(part, HeadPart):
        value = tuple((row, d) for row, d in part.value if d in read)
        return replace(part, value=value) if value else None
    outs = [(u, {d: c for d, c in u.out.items() if d in read}) for u in part.units]
    units = tuple(replace(unit, out=out) for unit, out in outs if out)
    return replace(part, units=units) if units else None


def allocate(
    parts: tuple[Part, ...],
    embedded: list[BasisDirection],
    output: Iterable[Row],
    *,
    reuse: bool,
) -> Allocation:
    """A column for every direction that is read or written."""
    first, last, needed = _lives(parts, embedded, output)
    place: dict[BasisDirection, int] = {}
    freed: dict[BasisDirection, int] = {}
    clears: dict[int, list[Copy]] = {}
    free: list[tuple[int, int, BasisDirection]] = []  # half-layer that frees it, its number
    count = 0
    for direction in sorted(first, key=lambda d: first[d]):
        if free and free[0][0] < first[direction]:
            slot, at, old = heappop(free)
            freed[old] = slot
            clears.setdefault(slot, []).append(Copy({old: 1.0}, {old: -1.0}))
        else:
            at, count = count, count + 1
        place[direction] = at
        end = max(last[direction], needed[direction])
        if reuse and end < NEVER:
            heappush(free, (end if end % 2 else end + 1, at, direction))
    clearing = tuple(MLPPart(slot, (), tuple(units)) for slot, units in clears.items())
    return Allocation(place, count, freed, clearing)


def _lives(
    parts: tuple[Part, ...], embedded: list[BasisDirection], output: Iterable[Row]
) -> tuple[dict[BasisDirection, int], dict[BasisDirection, int], dict[BasisDirection, int]]:
    """Half-layers of the first write, after the last write, and of the last read."""
    first: dict[BasisDirection, int] = dict.fromkeys(embedded, -1)
    last: dict[BasisDirection, int] = dict.fromkeys(embedded, 0)
    needed: dict[BasisDirection, int] = dict.fromkeys(embedded, 0)
    for part in parts:
        for direction in part.writes():
            first[direction] = min(first.get(direction, part.slot), part.slot)
            last[direction] = max(last.get(direction, 0), part.slot + 1)
        for row in part.reads():
            for direction in row:
                needed[direction] = max(needed.get(direction, 0), part.slot)
    for row in output:
        needed.update(dict.fromkeys(row, NEVER))
    needed.pop(ONE_COLUMN, None)
    for direction in sorted(needed.keys() - first.keys(), key=str):  # always 0
        first[direction], last[direction], needed[direction] = -1, 0, NEVER
    for direction in first:
        needed.setdefault(direction, 0)
    return first, last, needed
