"""The traced program as a networkx graph, for code written for Tracr.

The compiler itself uses `tracr_lite.compiler.graph`. Needs networkx, which is no dependency.
"""

# pyright: reportUnknownMemberType=false, reportMissingTypeStubs=false
# pyright: reportMissingModuleSource=false, reportMissingImports=false, reportUnknownVariableType=false

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tracr_lite.rasp import rasp
from tracr_lite.rasp.base import topological


@dataclass(frozen=True)
class ExtractRaspGraphOutput:
    """A program as a graph.

    **Arguments:**
    - `graph`: `networkx.DiGraph` with edges from inputs to users; nodes are expression labels,
      with attributes `ID` (the label) and `EXPR` (the expression).
    - `sink`: attributes of the output; `sources`: of `tokens`, `indices` and `length` in use.
    """

    graph: Any  # networkx.DiGraph, typed loosely because networkx is optional
    sink: dict[str, Any]
    sources: list[dict[str, Any]]


def extract_rasp_graph(tip: rasp.SOp) -> ExtractRaspGraphOutput:
    """The graph of everything that `tip` reads, in time linear in its size.

    **Raises:** `ImportError` telling how to install networkx if it is missing.
    """
    try:
        import networkx as nx
    except ImportError as error:
        raise ImportError("extract_rasp_graph needs networkx: pip install networkx") from error
    graph: Any = nx.DiGraph()
    sources: list[dict[str, Any]] = []
    for expr in topological(tip):
        graph.add_node(expr.label, ID=expr.label, EXPR=expr)
        for child in expr.children:
            graph.add_edge(child.label, expr.label)
        if isinstance(expr, rasp.TokensType | rasp.IndicesType | rasp.LengthType):
            sources.append(graph.nodes[expr.label])
    return ExtractRaspGraphOutput(graph, graph.nodes[tip.label], sources)
