"""Builds the circuit of a model from the trace of its compilation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from tracr_lite.compiler.assembled import AssembledTransformerModel
from tracr_lite.compiler.circuits.circuit import OUTPUT, Circuit, Edge, Level, Vertex
from tracr_lite.compiler.circuits.ideal import NOBODY, own_columns
from tracr_lite.compiler.circuits.parts import Part, fused, parts_of
from tracr_lite.compiler.trace_of import CompileTrace
from tracr_lite.craft.bases import BasisDirection
from tracr_lite.craft.conventions import INDICES, ONE, TOKENS

BOS = "bos"  # the source that tells the position before the first token from all others
SOURCES = (TOKENS, INDICES, ONE, BOS)


def circuit_of(model: AssembledTransformerModel, trace: CompileTrace) -> Circuit:
    """The circuit of a model as it was compiled."""
    assert model.shape is not None, "compiled models have a shape"
    parts = parts_of(trace, model.shape.readout.columns)
    owners = _owners(trace)
    labels = trace.residual_labels
    names = [_owner_name(trace, at, owner) for at, owner in enumerate(owners)]
    if model.input_encoder is not None and model.input_encoder.bos_token is not None:
        bos = BasisDirection(TOKENS, model.input_encoder.bos_token)
        names[trace.space.index_by_direction[bos]] = BOS
    components = _components(trace, parts, owners)
    return Circuit(
        nodes=_nodes(trace, parts, owners, names),
        components=Level(components, tuple(_between(parts))),
        columns=_columns(parts, components, labels, names),
        labels=labels,
    )


def _owners(trace: CompileTrace) -> list[int]:
    """The node that each column belongs to."""
    found = [NOBODY] * len(trace.residual_labels)
    for form in trace.layers.blocks.forms:
        for at in trace.space.indices_of(own_columns(form)):
            found[int(at)] = form.node
    return found


def _owner_name(trace: CompileTrace, column: int, owner: int) -> str:
    direction = trace.space.basis[column]
    if direction.name in (TOKENS, INDICES, ONE):
        return direction.name
    return trace.layers.blocks.labels[owner]


def _components(
    trace: CompileTrace, parts: Sequence[Part], owners: Sequence[int]
) -> tuple[Vertex, ...]:
    labels = trace.layers.blocks.labels
    return tuple(
        Vertex(
            part.name,
            part.kind,
            part.layer,
            part.part,
            tuple(labels[node] for node in part.nodes),
            tuple(labels[node] for node in fused(trace, part, owners)),
            part.writes,
        )
        for part in parts
    )


def _between(parts: Sequence[Part]) -> Iterator[Edge]:
    """Edges from the components that write columns to those that read them."""
    writer = {column: part.name for part in parts for column in part.writes}
    for part in parts:
        for role, columns in part.reads:
            for source in dict.fromkeys(writer[i] for i in columns):
                shared = tuple(i for i in columns if writer[i] == source)
                yield Edge(source, part.name, role, shared)


def _columns(
    parts: Sequence[Part],
    components: tuple[Vertex, ...],
    labels: Sequence[str],
    names: Sequence[str],
) -> Level:
    """Components, and each column that one of them writes and another reads."""
    written = sorted({i for part in parts for i in part.writes})
    columns = tuple(
        Vertex(labels[i], "column", nodes=(names[i],), columns=(i,)) for i in written
    )
    edges = [Edge(part.name, labels[i], "write", (i,)) for part in parts for i in part.writes]
    edges += [
        Edge(labels[i], part.name, role, (i,))
        for part in parts
        for role, read in part.reads
        for i in read
    ]
    return Level((*components, *columns), tuple(edges))


def _nodes(
    trace: CompileTrace, parts: Sequence[Part], owners: Sequence[int], names: Sequence[str]
) -> Level:
    """Nodes that own columns; what one component reads for its node, that node reads."""
    labels = trace.layers.blocks.labels
    live = sorted({i for part in parts for i in part.writes})
    order = dict.fromkeys(names[i] for i in sorted(live, key=lambda i: owners[i]))
    edges: dict[tuple[str, str, str], set[int]] = {}
    inside: dict[str, set[str]] = {name: set() for name in order}
    for part in parts:
        targets = [labels[node] for node in part.nodes] or [OUTPUT] * (part.kind == OUTPUT)
        for target in targets:
            if target in inside:
                inside[target].update(labels[node] for node in fused(trace, part, owners))
            for role, columns in part.reads:
                for i in columns:
                    if names[i] != target:
                        edges.setdefault((names[i], target, role), set()).add(i)
    vertices = [_node(name, names, live, inside[name]) for name in order]
    found = [Edge(*key, tuple(sorted(columns))) for key, columns in edges.items()]
    return Level((*vertices, Vertex(OUTPUT, OUTPUT)), tuple(found))


def _node(name: str, names: Sequence[str], live: Iterable[int], inside: set[str]) -> Vertex:
    kind = "source" if name in SOURCES else "node"
    columns = tuple(i for i in live if names[i] == name)
    return Vertex(name, kind, None, None, (name,), tuple(sorted(inside)), columns)
