"""Parts -> places: which column, layer, head and neuron everything has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from math import lcm

from tracr_lite.craft.bases import BasisDirection
from tracr_lite.targets.blocks import HeadPart, MLPPart, Part
from tracr_lite.targets.rows import ONE_COLUMN, Row


@dataclass(frozen=True)
class PlacedHead:
    """One head of the network: a part, and which of its values it carries.

    **Arguments:** `at`: its number; those of a group have one key and one value head.
    """

    part: HeadPart
    first: int
    stop: int
    at: int = 0

    @property
    def values(self) -> tuple[tuple[Row, BasisDirection], ...]:
        """What it carries."""
        return self.part.value[self.first : self.stop]


@dataclass(frozen=True)
class PlacedLayer:
    """The heads and the MLP parts of one layer, in order."""

    heads: tuple[PlacedHead, ...]
    mlps: tuple[MLPPart, ...]


@dataclass(frozen=True)
class Shape:
    """Sizes of the network.

    **Arguments:** `width`: d_model; `head`: size of a head; `ballast`: columns that hold it.
    """

    width: int
    head: int
    heads: int
    ballast: int


def written(parts: tuple[Part, ...]) -> list[BasisDirection]:
    """Every column that some part writes, in order."""
    return list(dict.fromkeys(d for part in parts for d in part.writes()))


def depth(parts: tuple[Part, ...]) -> int:
    """Number of layers; no network has none."""
    return max((part.slot for part in parts), default=0) // 2 + 1


@dataclass(frozen=True)
class Groups:
    """How query heads share keys and values: `size` of them, where `share` says they can."""

    size: int
    share: Callable[[list[PlacedHead], int], bool]

    def numbered(self, heads: list[PlacedHead], head: int) -> tuple[PlacedHead, ...]:
        """Each head in the first group that has room for it."""
        groups: list[list[PlacedHead]] = []
        for each in heads:
            for group in groups:
                if len(group) < self.size and self.share([*group, each], head):
                    group.append(each)
                    break
            else:
                groups.append([each])
        pairs = ((i * self.size + j, h) for i, g in enumerate(groups) for j, h in enumerate(g))
        return tuple(replace(each, at=at) for at, each in pairs)


def layers_of(parts: tuple[Part, ...], head: int, groups: Groups) -> tuple[PlacedLayer, ...]:
    """The parts of each layer; a head that writes more than fits is repeated."""
    count = depth(parts)
    heads: list[list[PlacedHead]] = [[] for _ in range(count)]
    mlps: list[list[MLPPart]] = [[] for _ in range(count)]
    for part in parts:
        if isinstance(part, MLPPart):
            mlps[part.slot // 2].append(part)
            continue
        for first in range(0, len(part.value), head):
            stop = min(first + head, len(part.value))
            heads[part.slot // 2].append(PlacedHead(part, first, stop))
    pairs = zip(heads, mlps, strict=True)
    return tuple(PlacedLayer(groups.numbered(h, head), tuple(m)) for h, m in pairs)


def shapes(
    parts: tuple[Part, ...],
    columns: int,
    sizes: Iterator[int],
    ballast: Callable[[int], int],
    groups: Groups,
) -> Iterator[Shape]:
    """For each size of heads the smallest network that holds the parts.

    **Arguments:** `columns`: needed besides the ballast; `ballast`: columns of it in a width.
    """
    group = groups.size
    for head in sizes:
        layers = layers_of(parts, head, groups)
        last = max((each.at for layer in layers for each in layer.heads), default=-1)
        needed = (last // group + 1) * group
        step = lcm(64, head * group)
        width = step
        while width < head * needed or width - ballast(width) < columns:
            width += step
        yield Shape(width, head, width // head, ballast(width))


def used(parts: tuple[Part, ...]) -> set[BasisDirection]:
    """Every column that some part reads."""
    found = {d for part in parts for row in part.reads() for d in row}
    return found - {ONE_COLUMN}
