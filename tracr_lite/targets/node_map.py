"""Which heads, neurons and columns belong to which node of the program."""

from __future__ import annotations

from tracr_lite.compiler.graph import Node, node_inputs
from tracr_lite.craft.bases import BasisDirection
from tracr_lite.targets.architecture import Architecture, Frame
from tracr_lite.targets.lower import Lowered
from tracr_lite.targets.stock_model import NodePlace


def places_of(lowered: Lowered, frame: Frame, target: Architecture) -> tuple[NodePlace, ...]:
    """The place of every node that the network computes, lowering's own among them."""
    labels = lowered.lowering.values.labels
    heads: dict[int, list[tuple[int, int]]] = {}
    spans: dict[int, list[tuple[int, int, int]]] = {}
    since: dict[BasisDirection, int] = {}
    for number, layer in enumerate(frame.layers):
        for placed in layer.heads:
            for node in placed.part.nodes:
                heads.setdefault(node, []).append((number, placed.at))
        start = 0
        for part in layer.mlps:
            stop = start + sum(target.count(u, frame.bos) for u in part.units)
            for node in part.nodes:
                spans.setdefault(node, []).append((number, start, stop))
            start = stop
    every = (p for layer in frame.layers for p in (*(h.part for h in layer.heads), *layer.mlps))
    for part in every:
        for direction in part.writes():
            since.setdefault(direction, part.slot)
    found: list[NodePlace] = []
    for node, label in enumerate(labels):
        columns = tuple(
            (frame.place[d], str(d), since.get(d, -1), frame.freed.get(d))
            for d in dict.fromkeys(lowered.lowering.columns.get(node, []))
            if d in frame.place
        )
        if node in heads or node in spans or columns:
            found.append(
                NodePlace(
                    label,
                    _text(lowered.lowering.values.nodes[node], labels),
                    tuple(heads.get(node, [])),
                    tuple(spans.get(node, [])),
                    columns,
                )
            )
    return tuple(found)


def _text(node: Node, labels: list[str]) -> str:
    """What a node computes, of which other nodes."""
    reads = ", ".join(labels[i] for i in node_inputs(node))
    return f"{type(node).__name__}({reads})"
