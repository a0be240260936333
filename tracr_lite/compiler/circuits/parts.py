"""What each block of a compiled model reads and writes, by residual column."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tracr_lite.compiler.circuits.circuit import OUTPUT
from tracr_lite.compiler.graph import (
    Combine,
    Pointwise,
    Select,
    node_inputs,
)
from tracr_lite.compiler.lowering.forms import HeadBlock, MLPBlock
from tracr_lite.compiler.trace_of import CompileTrace
from tracr_lite.craft.bases import VectorSpaceWithBasis
from tracr_lite.craft.conventions import INDICES, ONE, TOKENS

Columns = tuple[int, ...]


@dataclass(frozen=True)
class Part:
    """A component.

    **Arguments:**
    - `kind`, `layer`, `part`: as of a `Vertex`.
    - `nodes`: numbers of the nodes that it computes.
    - `reads`: (role, columns); `writes`: columns.
    """

    name: str
    kind: str
    layer: int | None
    part: range | None
    nodes: tuple[int, ...]
    reads: tuple[tuple[str, Columns], ...]
    writes: Columns

    @property
    def read(self) -> set[int]:
        """All columns that it reads."""
        return {i for _, columns in self.reads for i in columns}


def parts_of(trace: CompileTrace, output: Sequence[int]) -> list[Part]:
    """All components that the output depends on, in the order of computation.

    **Arguments:** `output`: the columns that are read as the answer.
    """
    whole = [
        *_embeddings(trace),
        *_blocks(trace),
        Part(OUTPUT, OUTPUT, None, None, (), (("output", tuple(output)),), ()),
    ]
    needed: set[int] = set()
    found: list[Part] = []
    for part in reversed(whole):
        if part.kind == OUTPUT or needed.intersection(part.writes):
            needed |= part.read
            found.append(part)
    return [_only(part, needed) for part in reversed(found)]


def _only(part: Part, needed: set[int]) -> Part:
    """The part without the columns that nothing reads."""
    writes = tuple(i for i in part.writes if i in needed)
    return Part(part.name, part.kind, part.layer, part.part, part.nodes, part.reads, writes)


def _embeddings(trace: CompileTrace) -> Iterator[Part]:
    for name, written in (
        ("token embedding", (TOKENS, ONE)),
        ("position embedding", (INDICES,)),
    ):
        columns = [i for i, d in enumerate(trace.space.basis) if d.name in written]
        yield Part(name, "embedding", None, None, (), (), tuple(columns))


def _blocks(trace: CompileTrace) -> Iterator[Part]:
    for number, layer in enumerate(trace.layers.layers):
        for at, head in enumerate(layer.heads):
            name = f"layer {number} head {at}"
            yield Part(name, "head", number, range(at, at + 1), head.nodes, *_head(trace, head))
        start = 0
        for mlp in layer.mlps:
            stop = start + mlp.hidden
            name = f"layer {number} neurons {start}-{stop - 1}"
            part = range(start, stop)
            yield Part(name, "neurons", number, part, mlp.nodes, *_neurons(trace, mlp))
            start = stop


def _head(
    trace: CompileTrace, head: HeadBlock
) -> tuple[tuple[tuple[str, Columns], ...], Columns]:
    query, key = head.w_qk.factors
    lanes = _used(query, 0) & _used(key, 0)
    reads = (
        ("query", _at(trace, head.w_qk.left_space, _used(query[:, lanes], 1))),
        ("key", _at(trace, head.w_qk.right_space, _used(key[:, lanes], 1))),
        ("value", _at(trace, head.w_ov.input_space, _used(head.w_ov.matrix, 1))),
    )
    return reads, _at(trace, head.w_ov.output_space, _used(head.w_ov.matrix, 0))


def _neurons(
    trace: CompileTrace, mlp: MLPBlock
) -> tuple[tuple[tuple[str, Columns], ...], Columns]:
    live = _used(mlp.snd.matrix, 1)
    reads = (("input", _at(trace, mlp.fst.input_space, _used(mlp.fst.matrix[:, live], 1))),)
    return reads, _at(trace, mlp.snd.output_space, _used(mlp.snd.matrix, 0))


def _used(matrix: np.ndarray, axis: int) -> np.ndarray:
    """Which rows (axis 1) or columns (axis 0) are not all zero."""
    return np.asarray(matrix.any(axis=axis))


def _at(trace: CompileTrace, space: VectorSpaceWithBasis, used: np.ndarray) -> Columns:
    """Residual columns of the directions that are used."""
    columns = trace.space.indices_of(space)
    return tuple(sorted(int(i) for i in columns[used]))


def fused(trace: CompileTrace, part: Part, owners: Sequence[int]) -> list[int]:
    """Nodes that a component computes on the way to its own, from what it reads.

    **Arguments:** `owners`: the node of each column.
    """
    nodes = trace.values.nodes
    read = {owners[i] for i in part.read}
    found: set[int] = set()
    stack = [node for node in part.nodes if node not in read]
    while stack:
        for below in node_inputs(nodes[stack.pop()]):
            inner = isinstance(nodes[below], Pointwise | Select | Combine)
            if inner and below not in read and below not in found:
                found.add(below)
                stack.append(below)
    return sorted(found - set(part.nodes))
