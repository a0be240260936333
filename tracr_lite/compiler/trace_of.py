"""How a program was compiled: where each RASP node is in the finished transformer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from tracr_lite.compiler.graph import Graph
from tracr_lite.compiler.place import Layers
from tracr_lite.compiler.stages import Stage
from tracr_lite.compiler.values.state import Values
from tracr_lite.craft.bases import BasisDirection, VectorSpaceWithBasis
from tracr_lite.craft.transformers import (
    MLP,
    AttentionHead,
    MultiAttentionHead,
    SeriesWithResiduals,
)
from tracr_lite.rasp import rasp


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
        heads: dict[int, list[tuple[int, int]]] = {}
        neurons: dict[int, list[tuple[int, range]]] = {}
        for number, layer in enumerate(self.layers.layers):
            for at, head in enumerate(layer.heads):
                for node in head.nodes:
                    heads.setdefault(node, []).append((number, at))
            start = 0
            for mlp in layer.mlps:
                stop = start + mlp.snd.input_space.num_dims
                for node in mlp.nodes:
                    neurons.setdefault(node, []).append((number, range(start, stop)))
                start = stop
        return {
            label: self._place(node, label, heads.get(node, []), neurons.get(node, []))
            for node, label in enumerate(self.layers.blocks.labels)
        }

    def _place(
        self,
        node: int,
        label: str,
        heads: list[tuple[int, int]],
        neurons: list[tuple[int, range]],
    ) -> NodePlace:
        dirs: tuple[BasisDirection, ...] = self.layers.blocks.columns.get(node, ())
        columns = tuple(int(i) for i in self.space.indices_of(dirs))
        names = tuple(self.residual_labels[i] for i in columns)
        return NodePlace(label, columns, names, tuple(heads), tuple(neurons))

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
