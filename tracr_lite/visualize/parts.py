"""The parts of a model under the names that a picture shows: nodes, columns, heads, neurons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tracr_lite.compiler.circuits.circuit import OUTPUT, Circuit
from tracr_lite.compiler.graph import node_inputs
from tracr_lite.compiler.trace_of import CompileTrace, NodePlace
from tracr_lite.visualize.errors import VisualizeError
from tracr_lite.visualize.reading import Reading
from tracr_lite.visualize.words import node_text

EMBEDDED, ANSWER = -1, 10**6  # before the first and after the last half-layer


@dataclass(frozen=True)
class Part:
    """A node of the program, and where it is.

    **Arguments:**
    - `kind`: as in the graph, `Pointwise`, `Select`, ...; `text`: what it computes.
    - `reads`: labels; `slot`: the half-layer that computes it, or the first that needs it if
      it was `fused` into its readers; 2i is the attention of layer i, 2i + 1 its MLP.
    - `added`: by the compiler; `output`: whether it is what the program gives.
    """

    label: str
    kind: str
    text: str
    reads: tuple[str, ...]
    slot: int
    fused: bool
    added: bool
    output: bool
    place: NodePlace


def step_name(slot: int) -> str:
    """The name of a half-layer."""
    if slot in (EMBEDDED, ANSWER):
        return "embeddings" if slot == EMBEDDED else "answer"
    return f"layer {slot // 2} {'MLP' if slot % 2 else 'attention'}"


def has_program(reading: Reading) -> bool:
    """Whether a model knows its nodes: compiled ones do, also when loaded."""
    return reading.trace is not None or reading.model.description is not None


def parts_of(reading: Reading) -> dict[str, Part]:
    """The nodes of a program by label, each after those that it reads.

    **Raises:** `VisualizeError` for models without a program.
    """
    if "parts" not in reading.memory:
        reading.memory["parts"] = _parts(reading)
    return reading.memory["parts"]


def _parts(reading: Reading) -> dict[str, Part]:
    if reading.trace is not None:
        return _compiled(reading.trace, reading.model.circuit())
    description = reading.model.description
    if description is None:
        raise VisualizeError("this model was packed by hand: it has no program to show")
    graph = description.graph
    reads = {n.label: [graph.nodes[i].label for i in n.reads] for n in graph.nodes}
    kinds = {n.label: n.kind for n in graph.nodes}
    reads |= {label: [] for label in description.nodes if label not in reads}
    own = {label: _slot(place) for label, place in description.nodes.items()}
    slots = _slots(reads, own)
    root = graph.nodes[graph.root].label
    return {
        label: Part(
            label,
            kinds.get(label, "Pointwise"),
            "",
            tuple(reads[label]),
            slots[label],
            own[label] is None,
            label not in kinds,
            label == root,
            place,
        )
        for label, place in description.nodes.items()
        if label in kinds or own[label] is not None
    }


def _compiled(trace: CompileTrace, circuit: Circuit) -> dict[str, Part]:
    labels, nodes = trace.layers.blocks.labels, trace.values.nodes
    places, count = trace.nodes, len(trace.graph.nodes)
    own = {label: _slot(places[label]) for label in labels}
    reads = {
        label: [labels[i] for i in node_inputs(nodes[at])] for at, label in enumerate(labels)
    }
    live = [x for i, x in enumerate(labels) if i < count or own[x] is not None]
    for label in live[count:]:  # what the compiler added: by what the circuit says
        reads[label] = [x for x in _sources(circuit, label) if x in own]
        for reader in _readers(circuit, label):
            if reader in own and label not in reads[reader]:
                reads[reader].append(label)
    slots = _slots({label: reads[label] for label in live}, own)
    return {
        label: Part(
            label,
            type(nodes[at]).__name__,
            node_text(nodes[at], labels, at >= count),
            tuple(reads[label]),
            slots[label],
            own[label] is None,
            at >= count,
            at == trace.graph.root,
            places[label],
        )
        for at, label in enumerate(labels)
        if label in slots
    }


def _sources(circuit: Circuit, label: str) -> list[str]:
    return list(dict.fromkeys(e.source for e in circuit.nodes.edges if e.target == label))


def _readers(circuit: Circuit, label: str) -> list[str]:
    found = (e.target for e in circuit.nodes.edges if e.source == label)
    return [x for x in dict.fromkeys(found) if x != OUTPUT]


def _slot(place: NodePlace) -> int | None:
    """The half-layer that computes a node; None if it has no columns."""
    slots = [2 * layer for layer, _ in place.heads]
    slots += [2 * layer + 1 for layer, _ in place.neurons]
    if slots:
        return min(slots)
    return EMBEDDED if place.columns else None


def _slots(reads: Mapping[str, Sequence[str]], own: Mapping[str, Any]) -> dict[str, int]:
    """The half-layer in which each node is drawn: a fused one with the first that reads it."""
    found: dict[str, int] = {x: own[x] for x in reads if own[x] is not None}
    for label in reversed(_ordered(reads)):
        if label not in found:
            readers = [x for x in reads if label in reads[x] and x in found]
            after = [found[x] for x in reads[label] if x in found]
            found[label] = min((found[x] for x in readers), default=max(after, default=-1))
    return found


def _ordered(reads: Mapping[str, Sequence[str]]) -> list[str]:
    """Labels, each after those that it reads."""
    order: dict[str, None] = {}
    for start in reads:
        stack = [(start, iter(reads[start]))]
        while stack:
            label, below = stack[-1]
            child = next((x for x in below if x not in order and x in reads), None)
            if child is None:
                order[label] = None
                stack.pop()
            elif all(child != x for x, _ in stack):
                stack.append((child, iter(reads[child])))
    return list(order)


def owners_of(reading: Reading) -> list[str]:
    """The node that each residual column belongs to, by name."""
    labels = reading.model.residual_labels
    found = [label.partition(":")[0] for label in labels]
    if has_program(reading):
        for label, place in reading.model.nodes.items():
            for column in place.columns:
                found[column] = label
    return found


def selectors_of(reading: Reading) -> dict[tuple[int, int], int]:
    """The number of the selector that each head (layer, head) implements."""
    if reading.trace is None:
        return {}
    return {
        (layer, at): head.selector
        for layer, blocks in enumerate(reading.trace.layers.layers)
        for at, head in enumerate(blocks.heads)
    }


def heads_of(reading: Reading) -> list[tuple[int, int]]:
    """(layer, head) of all heads that write anything."""
    found: list[tuple[int, int]] = []
    for layer in range(reading.layers):
        weights = reading.model.params[f"transformer/layer_{layer}/attn/linear"]["w"]
        heads = reading.model.model_config.num_heads
        found += [
            (layer, at)
            for at in range(heads)
            if weights.reshape(heads, -1, weights.shape[-1])[at].any()
        ]
    return found
