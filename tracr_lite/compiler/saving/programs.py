"""What a file tells about the program of a model, as JSON and back."""

from __future__ import annotations

from typing import Any

from tracr_lite.compiler.description import KINDS, Description, LabelGraph, LabelNode
from tracr_lite.compiler.forward import Shape
from tracr_lite.compiler.saving.fields import Fields, count, counts, shown
from tracr_lite.compiler.trace_of import NodePlace
from tracr_lite.errors import SavedModelError
from tracr_lite.rasp.json_values import to_json

_PROGRAM = ("text", "root", "graph", "nodes")
_NODE = ("label", "kind", "reads", "numerical")
_PLACE = ("label", "columns", "heads", "neurons")


def program_to_json(description: Description | None) -> dict[str, Any] | None:
    """All but who made it."""
    if description is None:
        return None
    return {
        "text": to_json(description.text),
        "root": description.graph.root,
        "graph": [
            {
                "label": to_json(node.label),
                "kind": node.kind,
                "reads": list(node.reads),
                "numerical": node.numerical,
            }
            for node in description.graph.nodes
        ],
        "nodes": [
            {
                "label": to_json(label),
                "columns": list(place.columns),
                "heads": [list(head) for head in place.heads],
                "neurons": [[layer, span.start, span.stop] for layer, span in place.neurons],
            }
            for label, place in description.nodes.items()
        ],
    }


def program_from_json(
    found: Any, made_by: str, shape: Shape, residual_labels: list[str]
) -> Description | None:
    """**Raises:** `SavedModelError` naming the entry that is wrong."""
    if found is None:
        return None
    entry = Fields(found, "program", _PROGRAM)
    nodes: list[LabelNode] = []
    for i, each in enumerate(entry.items("graph")):
        nodes.append(_label_node(Fields(each, f"program.graph[{i}]", _NODE), i))
    if len({node.label for node in nodes}) < len(nodes):
        raise SavedModelError("program.graph has two nodes of one label")
    graph = LabelGraph(tuple(nodes), entry.count("root", 0, len(nodes) - 1))
    places: dict[str, NodePlace] = {}
    for i, each in enumerate(entry.items("nodes")):
        place = _place(Fields(each, f"program.nodes[{i}]", _PLACE), shape, residual_labels)
        if place.label in places:
            raise SavedModelError(f"program.nodes has {shown(place.label)} twice")
        places[place.label] = place
    if homeless := [node.label for node in nodes if node.label not in places]:
        raise SavedModelError(f"program.nodes lacks {shown(homeless[0])}")
    return Description(graph, places, entry.text("text"), made_by)


def _label_node(entry: Fields, number: int) -> LabelNode:
    kind = entry.text("kind")
    if kind not in KINDS:
        wanted = ", ".join(KINDS)
        raise SavedModelError(f"{entry.path('kind')} is {shown(kind)}; it must be of {wanted}")
    reads = entry.counts("reads", number - 1)  # nodes stand after those that they read
    return LabelNode(entry.text("label"), kind, reads, entry.flag("numerical"))


def _place(entry: Fields, shape: Shape, residual_labels: list[str]) -> NodePlace:
    columns = entry.counts("columns", shape.d_model - 1)
    names = tuple(residual_labels[column] for column in columns)
    heads, neurons = _lists(entry, "heads", 2), _lists(entry, "neurons", 3)
    config = shape.config
    for layer, head in heads:
        count(layer, entry.path("heads"), 0, config.num_layers - 1)
        count(head, entry.path("heads"), 0, config.num_heads - 1)
    for layer, start, stop in neurons:
        count(layer, entry.path("neurons"), 0, config.num_layers - 1)
        count(stop, entry.path("neurons"), start, config.mlp_hidden_size)
    return NodePlace(
        entry.text("label"),
        columns,
        names,
        tuple((layer, head) for layer, head in heads),
        tuple((layer, range(start, stop)) for layer, start, stop in neurons),
    )


def _lists(entry: Fields, name: str, size: int) -> list[tuple[int, ...]]:
    """Lists of so many whole numbers each."""
    where = entry.path(name)
    found = [counts(each, where) for each in entry.items(name)]
    if any(len(each) != size for each in found):
        raise SavedModelError(f"{where} must hold lists of {size} numbers")
    return found
