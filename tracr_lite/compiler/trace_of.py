"""How a program was compiled: what a user of a model can ask about its nodes."""

from __future__ import annotations

from dataclasses import dataclass

from tracr_lite.compiler.graph import Graph
from tracr_lite.compiler.place import Layers
from tracr_lite.compiler.values.infer import Values


@dataclass(frozen=True)
class CompileTrace:
    """The stages of one compilation."""

    graph: Graph
    values: Values
    layers: Layers
