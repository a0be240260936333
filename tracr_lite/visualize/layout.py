"""Places of the nodes of a graph: rows from top to bottom, lanes for edges that pass by.

A node stands in the row of its half-layer; nodes of one half-layer that read each other take
rows below each other. Within a row, nodes are ordered by where their inputs and readers are
(the barycentre method of Sugiyama et al. 1981).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

GAP_X, GAP_Y, LANE = 0.16, 0.42, 0.11  # inches
SWEEPS = 8
Point = tuple[float, float]


@dataclass(frozen=True)
class Box:
    """A node: its top left corner, and its size."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Placed:
    """A graph with places.

    **Arguments:**
    - `paths`: of each edge (source, target) the points that it passes: between rows from each
      even one to the next, along a lane from each odd one.
    - `bands`: (slot, top, bottom) of each half-layer.
    """

    boxes: dict[str, Box]
    paths: dict[tuple[str, str], list[Point]]
    bands: list[tuple[int, float, float]]
    width: float
    height: float


def placed(
    reads: Mapping[str, Sequence[str]],
    slots: Mapping[str, int],
    size: Callable[[str], tuple[float, float]],
) -> Placed:
    """Places all nodes of `reads`, which stand after those that they read."""
    ranks = _ranks(reads, slots)
    rows, chains = _with_lanes(reads, ranks)
    _order(rows, chains)
    sizes = {name: size(name) for name in ranks}
    tops, heights = _tops(rows, sizes)
    widths = [sum(_width(n, sizes) for n in row) - GAP_X for row in rows]
    total = max(widths, default=0.0)
    boxes: dict[str, Box] = {}
    lanes: dict[tuple[str, str, int], Point] = {}
    for at, row in enumerate(rows):
        x = (total - widths[at]) / 2
        for name in row:
            if isinstance(name, str):
                wide, high = sizes[name]
                boxes[name] = Box(x, tops[at] + (heights[at] - high) / 2, wide, high)
            else:
                lanes[name] = (x, tops[at])
            x += _width(name, sizes)
    paths = _paths(chains, boxes, lanes, heights)
    height = tops[-1] + heights[-1] if tops else 0.0
    return Placed(boxes, paths, _bands(ranks, slots, tops, heights), total, height)


Name = str | tuple[str, str, int]  # a node, or the lane of an edge in a row


def _ranks(reads: Mapping[str, Sequence[str]], slots: Mapping[str, int]) -> dict[str, int]:
    """The row of each node."""
    depth: dict[str, int] = {}

    def deep(name: str) -> int:
        if name not in depth:
            below = [x for x in reads[name] if x in reads and slots[x] == slots[name]]
            depth[name] = 0
            depth[name] = max((deep(x) + 1 for x in below), default=0)
        return depth[name]

    keys = {name: (slots[name], deep(name)) for name in reads}
    order = {key: at for at, key in enumerate(sorted(set(keys.values())))}
    return {name: order[key] for name, key in keys.items()}


def _with_lanes(
    reads: Mapping[str, Sequence[str]], ranks: Mapping[str, int]
) -> tuple[list[list[Name]], dict[tuple[str, str], list[Name]]]:
    """Columns with nodes and lanes, and what each edge passes from source to target."""
    rows: list[list[Name]] = [[] for _ in range(max(ranks.values(), default=-1) + 1)]
    for name, rank in ranks.items():
        rows[rank].append(name)
    chains: dict[tuple[str, str], list[Name]] = {}
    for target, sources in reads.items():
        for source in dict.fromkeys(sources):
            if source not in ranks or ranks[source] >= ranks[target]:
                continue
            lanes: list[Name] = [
                (source, target, at) for at in range(ranks[source] + 1, ranks[target])
            ]
            for at, lane in enumerate(lanes, start=ranks[source] + 1):
                rows[at].append(lane)
            chains[(source, target)] = [source, *lanes, target]
    return rows, chains


def _order(rows: list[list[Name]], chains: Mapping[tuple[str, str], list[Name]]) -> None:
    """Sorts each row by the mean place of its neighbours, forwards and backwards."""
    before: dict[Name, list[Name]] = {}
    after: dict[Name, list[Name]] = {}
    for chain in chains.values():
        for left, right in pairwise(chain):
            before.setdefault(right, []).append(left)
            after.setdefault(left, []).append(right)
    for sweep in range(SWEEPS):
        forwards = sweep % 2 == 0
        around = before if forwards else after
        for row in rows if forwards else reversed(rows):
            place = {n: i / max(len(c) - 1, 1) for c in rows for i, n in enumerate(c)}
            keys = {n: _mean([place[x] for x in around.get(n, [])], place[n]) for n in row}
            row.sort(key=lambda name: keys[name])


def _mean(numbers: Sequence[float], default: float) -> float:
    return sum(numbers) / len(numbers) if numbers else default


def _width(name: Name, sizes: Mapping[str, tuple[float, float]]) -> float:
    return sizes[name][0] + GAP_X if isinstance(name, str) else LANE


def _tops(
    rows: Sequence[Sequence[Name]], sizes: Mapping[str, tuple[float, float]]
) -> tuple[list[float], list[float]]:
    """Where rows start, and how high they are."""
    tops: list[float] = []
    heights: list[float] = []
    y = 0.0
    for row in rows:
        heights.append(max((sizes[n][1] for n in row if isinstance(n, str)), default=0.0))
        tops.append(y)
        y += heights[-1] + GAP_Y
    return tops, heights


def _paths(
    chains: Mapping[tuple[str, str], list[Name]],
    boxes: Mapping[str, Box],
    lanes: Mapping[tuple[str, str, int], Point],
    heights: Sequence[float],
) -> dict[tuple[str, str], list[Point]]:
    found: dict[tuple[str, str], list[Point]] = {}
    ends: dict[str, list[tuple[str, str]]] = {}
    for edge in chains:
        ends.setdefault(edge[1], []).append(edge)
    for (source, target), chain in chains.items():
        start, end = boxes[source], boxes[target]
        points: list[Point] = [(start.x + start.width / 2, start.y + start.height)]
        for lane in chain:
            if not isinstance(lane, str):
                x, y = lanes[lane]
                points += [(x, y), (x, y + heights[lane[2]])]
        found[(source, target)] = [*points, (end.x + end.width / 2, end.y)]
    for target, edges in ends.items():  # arrows side by side, in the order they come from
        edges.sort(key=lambda edge: found[edge][-2][0])
        box = boxes[target]
        for at, edge in enumerate(edges, start=1):
            share = at / (len(edges) + 1)
            found[edge][-1] = (box.x + box.width * share, box.y)
    return found


def _bands(
    ranks: Mapping[str, int],
    slots: Mapping[str, int],
    tops: Sequence[float],
    heights: Sequence[float],
) -> list[tuple[int, float, float]]:
    edges: dict[int, list[float]] = {}
    for name, rank in ranks.items():
        found = edges.setdefault(slots[name], [])
        found += [tops[rank], tops[rank] + heights[rank]]
    return [(slot, min(ys), max(ys)) for slot, ys in sorted(edges.items())]
