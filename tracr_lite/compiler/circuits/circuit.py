"""The circuit of a compiled model: what reads what, at three levels.

    nodes        RASP nodes that have columns of their own
    components   embeddings, heads and groups of neurons
    columns      the residual columns between the components

It is the ground truth for methods that look for circuits: by its weights, the output depends on
all of this and on nothing else. An edge may still change no answer, such as one that keeps a
column zero at BOS.
"""

# pyright: reportUnknownMemberType=false, reportMissingTypeStubs=false
# pyright: reportMissingModuleSource=false, reportMissingImports=false, reportUnknownVariableType=false

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, cast

Name = Literal["nodes", "components", "columns"]
OUTPUT = "output"


@dataclass(frozen=True)
class Vertex:
    """A part of a circuit.

    **Arguments:**
    - `kind`: `source` (`tokens`, `indices`, `bos` or the constant `one`), `node`, `embedding`,
      `head`, `neurons`, `column` or `output`.
    - `layer`: of heads and neurons; `part`: their numbers in the layer.
    - `nodes`: labels of the RASP nodes that it computes, or that a column belongs to;
      `fused`: of those that are computed on the way, and have no columns.
    - `columns`: numbers of the residual columns that it writes, or is.
    """

    name: str
    kind: str
    layer: int | None = None
    part: range | None = None
    nodes: tuple[str, ...] = ()
    fused: tuple[str, ...] = ()
    columns: tuple[int, ...] = ()


@dataclass(frozen=True)
class Edge:
    """`target` reads what `source` wrote to some residual columns.

    **Arguments:** `role`: what for: `query`, `key`, `value`, `input` (of neurons), `output`, or
    `write` (from a component to a column).
    """

    source: str
    target: str
    role: str
    columns: tuple[int, ...]


@dataclass(frozen=True)
class Level:
    """One level of a circuit: vertices in the order of computation, and edges."""

    vertices: tuple[Vertex, ...]
    edges: tuple[Edge, ...]

    def vertex(self, name: str) -> Vertex:
        """The vertex of a name. **Raises:** `KeyError` naming those that there are."""
        for vertex in self.vertices:
            if vertex.name == name:
                return vertex
        known = ", ".join(vertex.name for vertex in self.vertices[:20])
        raise KeyError(f"the circuit has no {name!r}; there are {known}")

    def reads(self, name: str) -> tuple[Edge, ...]:
        """The edges into a vertex. **Raises:** as `vertex`."""
        self.vertex(name)
        return tuple(edge for edge in self.edges if edge.target == name)

    def __str__(self) -> str:
        lines: list[str] = []
        reads: dict[str, list[str]] = {vertex.name: [] for vertex in self.vertices}
        for edge in self.edges:
            reads[edge.target].append(f"{edge.source} ({edge.role})")
        for name, each in reads.items():
            lines.append(f"{name:24} {', '.join(each)}".rstrip())
        return "\n".join(lines)


@dataclass(frozen=True)
class Circuit:
    """A circuit at three levels; see the head of this file.

    **Arguments:** `labels`: of the residual columns, by number.
    """

    nodes: Level
    components: Level
    columns: Level
    labels: tuple[str, ...]

    def level(self, name: Name) -> Level:
        """**Raises:** `ValueError` for another name than that of a level."""
        if name not in ("nodes", "components", "columns"):
            raise ValueError(f"a level is nodes, components or columns; got {name!r}")
        return cast(Level, getattr(self, name))

    def to_networkx(self, level: Name = "components") -> Any:
        """A `networkx.MultiDiGraph`: edges are keyed by their role.

        Vertices and edges have the attributes of `Vertex` and `Edge`, and `labels`, the names
        of their columns.

        **Raises:** `ImportError` telling how to install networkx if it is missing.
        """
        try:
            import networkx as nx
        except ImportError as error:
            raise ImportError("to_networkx needs networkx: pip install networkx") from error
        graph: Any = nx.MultiDiGraph()
        for vertex in self.level(level).vertices:
            graph.add_node(vertex.name, **asdict(vertex), labels=self._names(vertex.columns))
        for edge in self.level(level).edges:
            graph.add_edge(
                edge.source,
                edge.target,
                edge.role,
                **asdict(edge),
                labels=self._names(edge.columns),
            )
        return graph

    def _names(self, columns: tuple[int, ...]) -> tuple[str, ...]:
        return tuple(self.labels[i] for i in columns)

    def __str__(self) -> str:
        return str(self.components)
