"""What can be told about a compiled program without its functions, so what a file can hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tracr_lite import __version__
from tracr_lite.compiler.trace_of import CompileTrace, NodePlace
from tracr_lite.rasp.listing import listing

KINDS = ("Source", "Pointwise", "Select", "Combine", "Aggregate", "Width")
MADE_BY = f"tracr_lite {__version__}"


@dataclass(frozen=True)
class LabelNode:
    """A node of a program, by name.

    **Arguments:** `kind`: one of `KINDS`; `reads`: the nodes that it reads, by position;
    `numerical`: whether the program annotates it with a numerical encoding.
    """

    label: str
    kind: str
    reads: tuple[int, ...]
    numerical: bool


@dataclass(frozen=True)
class LabelGraph:
    """A program as nodes that read each other, without what they do; as `Graph` otherwise.

    **Arguments:** `nodes`: each after those that it reads; `root`: the output.
    """

    nodes: tuple[LabelNode, ...]
    root: int

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the nodes."""
        return tuple(node.label for node in self.nodes)

    def inputs(self, node: int) -> tuple[int, ...]:
        """The nodes that `node` reads directly."""
        return self.nodes[node].reads

    def __str__(self) -> str:
        lines: list[str] = []
        for node in self.nodes:
            reads = ", ".join(self.nodes[i].label for i in node.reads)
            lines.append(f"{node.label:24} {node.kind:10} {reads}")
        return "\n".join(lines)


@dataclass(frozen=True)
class Description:
    """A compiled program in words and numbers.

    **Arguments:**
    - `graph`: its nodes by label; `nodes`: where each is in the transformer.
    - `text`: the program as Python, to be read by people; it need not run.
    - `made_by`: the compiler and its version.
    """

    graph: LabelGraph
    nodes: Mapping[str, NodePlace]
    text: str
    made_by: str


def describe(trace: CompileTrace) -> Description:
    """The description of what was compiled."""
    graph = trace.graph
    nodes = tuple(
        LabelNode(label, type(node).__name__, graph.inputs(at), graph.numerical[at])
        for at, (label, node) in enumerate(zip(graph.labels, graph.nodes, strict=True))
    )
    text = listing(graph.exprs[-1]) if graph.exprs else ""  # the output comes last
    return Description(LabelGraph(nodes, graph.root), trace.nodes, text, MADE_BY)
