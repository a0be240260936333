"""How a program was compiled: where each RASP node is in the finished transformer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from tracr_lite.compiler.graph import Graph
from tracr_lite.compiler.place import Layers
from tracr_lite.compiler.stages import Stage
from tracr_lite.compiler.values.state import Values
from tracr_lite.craft.bases import VectorSpaceWithBasis
from tracr_lite.craft.transformers import (
    MLP,
    AttentionHead,
    MultiAttentionHead,
    SeriesWithResiduals,
)
from tracr_lite.rasp import rasp

# residual columns; (layer, head) pairs; (layer, first neuron, the one after the last)
Place = tuple[tuple[int, ...], list[tuple[int, int]], list[tuple[int, int, int]]]


@dataclass(frozen=True)
class NodePlace:
    """Where a RASP node lives.

    **Arguments:**
    - `label`: its name in the traced graph.
    - `columns`: residual columns that hold it; `directions` says what each stands for.
    - `heads`: (layer, head) pairs that compute it.
    - `neurons`: (layer, neurons) of the MLPs that compute it.

    A node without columns was fused into the nodes that read it.
    """

    label: str
    columns: tuple[int, ...]
    directions: tuple[str, ...]
    heads: tuple[tuple[int, int], ...]
    neurons: tuple[tuple[int, range], ...]

    @classmethod
    def of(cls, label: str, place: Place, residual_labels: Sequence[str]) -> NodePlace:
        """From what `places` says of the node."""
        columns, heads, neurons = place
        return cls(
            label,
            columns,
            tuple(residual_labels[i] for i in columns),
            tuple(heads),
            tuple((layer, range(start, stop)) for layer, start, stop in neurons),
        )


@dataclass(frozen=True)
class CompileTrace:
    """The stages of one compilation.

    **Arguments:** `graph`, `values`, `layers`: what each stage returned; `space`: the residual
    stream; `residual_labels`: its columns by name; `stages`: seconds and sizes of each stage.
    """

    graph: Graph
    values: Values
    layers: Layers
    space: VectorSpaceWithBasis
    residual_labels: tuple[str, ...]
    stages: tuple[Stage, ...] = ()

    @cached_property
    def nodes(self) -> dict[str, NodePlace]:
        """Every node of the program, and those that the compiler added, by label."""
        labels = self.layers.blocks.labels
        return {
            label: NodePlace.of(label, place, self.residual_labels)
            for label, place in zip(labels, places(self), strict=True)
        }

    def label_of(self, expr: rasp.RASPExpr) -> str:
        """The graph label of an expression that is part of the compiled program.

        **Raises:** `KeyError` if it is not.
        """
        node = self.graph.node_of.get(id(expr))
        if node is None:
            raise KeyError(f"{expr!r} is no part of the compiled program")
        return self.graph.labels[node]

    @cached_property
    def craft_model(self) -> SeriesWithResiduals:
        """The same computation as a series of craft blocks."""
        blocks: list[MLP | MultiAttentionHead] = []
        for layer in self.layers.layers:
            if layer.heads:
                causal = self.values.causal
                heads = [AttentionHead(h.w_qk, h.w_ov, self.space, causal) for h in layer.heads]
                blocks.append(MultiAttentionHead(heads))
            if layer.mlps:
                mlps = [MLP(m.fst, m.snd, self.space) for m in layer.mlps]
                blocks.append(MLP.combine_in_parallel(mlps))
        return SeriesWithResiduals(blocks)


def places(trace: CompileTrace) -> list[Place]:
    """Where each node is, in plain numbers."""
    blocks, index = trace.layers.blocks, trace.space.index_by_direction
    found: list[Place] = [
        (tuple(map(index.__getitem__, blocks.columns.get(node, ()))), [], [])
        for node in range(len(blocks.labels))
    ]
    for number, layer in enumerate(trace.layers.layers):
        for at, head in enumerate(layer.heads):
            for node in head.nodes:
                found[node][1].append((number, at))
        start = 0
        for mlp in layer.mlps:
            stop = start + mlp.hidden
            for node in mlp.nodes:
                found[node][2].append((number, start, stop))
            start = stop
    return found
