"""What a lowered program consists of: heads that score pairs, and units of MLPs.

Both are said in terms of what they compute, so that Llama and GPT-2 share them: the neurons
that compute a unit are the architecture's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tracr_lite.craft.bases import BasisDirection
from tracr_lite.targets.rows import Row


@dataclass(frozen=True)
class Both:
    """Writes `out` times `ys` where all of `xs` are 1, nothing where one is 0.

    `xs` are exactly 0 or about 1. So is `ys`, unless it is a `number`.
    """

    xs: tuple[Row, ...]
    ys: Row
    out: Row
    number: bool = False

    def reads(self) -> Iterator[Row]:
        yield from (*self.xs, self.ys)


@dataclass(frozen=True)
class Above:
    """Writes `out` times `read` where it is at least `margin`, nothing at `-margin` or less."""

    read: Row
    margin: float
    out: Row

    def reads(self) -> Iterator[Row]:
        yield self.read


@dataclass(frozen=True)
class Nothing:
    """Writes `out` where `stuff` is exactly 0 and `gate` is 1; else `stuff` is >= `margin`."""

    stuff: Row
    margin: float
    gate: Row
    out: Row

    def reads(self) -> Iterator[Row]:
        yield from (self.stuff, self.gate)


@dataclass(frozen=True)
class Copy:
    """Writes `out` times any number."""

    read: Row
    out: Row

    def reads(self) -> Iterator[Row]:
        yield self.read


@dataclass(frozen=True)
class Product:
    """Writes `out` times the product of two numbers."""

    x: Row
    y: Row
    out: Row

    def reads(self) -> Iterator[Row]:
        yield from (self.x, self.y)


@dataclass(frozen=True)
class Step:
    """Writes `out` where `read` is at least `half`, nothing at `-half`; in between, in between.

    `gate` is 1, or 0 where nothing is written (and `read` is 0).
    """

    read: Row
    half: float
    gate: Row
    out: Row

    def reads(self) -> Iterator[Row]:
        yield from (self.read, self.gate)


Unit = Both | Above | Nothing | Copy | Product | Step


@dataclass(frozen=True)
class Penalty:
    """Forbids the pairs where both rows are 1: `query` and `key` are exactly 0 elsewhere."""

    query: Row
    key: Row


@dataclass(frozen=True)
class HeadPart:
    """One attention head, or several that look alike if it writes more than fits in one.

    **Arguments:**
    - `penalties`: of its selector. What none forbids is selected, all of it equally.
    - `offsets`: rows, one of which is 1, and how far back it looks where that one is; it sees
      BOS if there is nothing allowed there. Without any it looks everywhere.
    - `counts_bos`: BOS is selected as well; else it is what is read where nothing is selected.
    - `recent`: if given, of the selected keys the latest alone is read; it is what a key shows
      for that, 1 or the greater the later it is.
    - `value`: what is read there, and the column that it is written to.
    """

    slot: int
    nodes: tuple[int, ...]
    selector: int
    penalties: tuple[Penalty, ...]
    offsets: tuple[tuple[Row, int], ...]
    counts_bos: bool
    value: tuple[tuple[Row, BasisDirection], ...]
    recent: Row | None = None

    def reads(self) -> Iterator[Row]:
        """Everything that the head reads."""
        for penalty in self.penalties:
            yield from (penalty.query, penalty.key)
        yield from (row for row, _ in self.offsets)
        if self.recent is not None:
            yield self.recent
        yield from (row for row, _ in self.value)

    def writes(self) -> list[BasisDirection]:
        """The columns that it writes."""
        return [direction for _, direction in self.value]


@dataclass(frozen=True)
class MLPPart:
    """Units of one MLP sublayer that belong together."""

    slot: int
    nodes: tuple[int, ...]
    units: tuple[Unit, ...]

    def reads(self) -> Iterator[Row]:
        """Everything that its units read."""
        for unit in self.units:
            yield from unit.reads()

    def writes(self) -> list[BasisDirection]:
        """The columns that it writes."""
        return list(dict.fromkeys(d for unit in self.units for d in unit.out))


Part = HeadPart | MLPPart
