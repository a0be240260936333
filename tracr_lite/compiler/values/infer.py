"""Stage 2, infer: Graph -> Values, node by node in topological order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tracr_lite.compiler.graph import (
    Aggregate,
    Combine,
    Graph,
    Node,
    Pointwise,
    Select,
    Source,
    Width,
    node_inputs,
)
from tracr_lite.compiler.values import aggregates, selection
from tracr_lite.compiler.values.domain import ERR, BadValue, Domain, is_number, typed_key
from tracr_lite.compiler.values.frames import Frame, Keyed, Keys, build_frame, spread
from tracr_lite.compiler.values.pointwise import Table, apply, identity, reduce_leaves
from tracr_lite.compiler.values.selection import Logic, Widths
from tracr_lite.errors import InvalidValueSetError, Problem


@dataclass(frozen=True)
class Info:
    """What is known about one S-Op node.

    **Arguments:**
    - `values`: its possible values (typed: 1 and True may both occur).
    - `table`: its value on the tuples of the nodes it depends on; of a leaf, the identity.
    - `span`: (least, greatest) number, when there are too many numbers to list; `values` then
      holds the other values only.
    - `mean`: of an Aggregate, whether different numbers may be averaged.
    """

    values: list[Any]
    table: Table
    span: tuple[float, float] | None = None
    mean: bool = False


@dataclass(frozen=True)
class Selected:
    """What is known about one selector node: its Selects, and how many keys it selects."""

    atoms: tuple[int, ...]
    widths: Widths


class _Refused(Exception):
    """A node cannot be given its values; the pass records it and goes on."""

    def __init__(self, reason: str, suggestion: str):
        super().__init__(reason)
        self.problem = (reason, suggestion)


@dataclass
class Values:
    """The result of inference; `info` per S-Op node, `selected` per selector node.

    `nodes` and `labels` start as those of the graph; lowering adds nodes of its own to them.
    """

    graph: Graph
    keys: Keys
    causal: bool
    vocab: list[Any]
    nodes: list[Node] = field(default_factory=list["Node"])
    labels: list[str] = field(default_factory=list[str])
    info: dict[int, Info] = field(default_factory=dict[int, Info])
    selected: dict[int, Selected] = field(default_factory=dict[int, Selected])
    truth: dict[int, np.ndarray] = field(default_factory=dict[int, np.ndarray])
    _keyed: dict[int, Keyed] = field(default_factory=dict[int, Keyed])
    _tables: dict[tuple[int, tuple[int, ...]], Table | None] = field(
        default_factory=dict[tuple[int, tuple[int, ...]], "Table | None"]
    )
    _frames: dict[tuple[int, ...], Frame | None] = field(
        default_factory=dict[tuple[int, ...], "Frame | None"]
    )

    def numerical(self, node: int) -> bool:
        """Whether the program annotates the node with a numerical encoding."""
        return node < len(self.graph.nodes) and self.graph.numerical[node]

    def keyed(self, node: int) -> Keyed:
        """Possible ids of an S-Op node by key."""
        if node not in self._keyed:
            info = self.info[node]
            table = info.table
            leaves = [self.keyed(leaf) for leaf in table.leaves]
            sizes = [len(leaf.member[0]) for leaf in leaves]
            ids = {"codes": table.frame.codes, "values": table.ids}
            self._keyed[node] = spread(leaves, sizes, ids, len(info.values), self.keys)
        return self._keyed[node]

    def frame(self, leaves: tuple[int, ...]) -> Frame | None:
        """Value tuples of `leaves` that can occur together; None if past the budget."""
        if leaves not in self._frames:
            if any(self.info[leaf].span is not None for leaf in leaves):
                self._frames[leaves] = None
            else:
                sizes = [len(self.info[leaf].values) for leaf in leaves]
                keyed = [self.keyed(leaf) for leaf in leaves]
                self._frames[leaves] = build_frame(leaves, keyed, sizes, self.keys)
        return self._frames[leaves]

    def add(self, node: Node, label: str) -> int:
        """Appends a node that the program does not have, and infers its values."""
        self.nodes.append(node)
        self.labels.append(label)
        at = len(self.nodes) - 1
        _infer_node(self, at)
        return at

    def forget(self, size: int) -> None:
        """Removes all nodes from number `size` on."""
        del self.nodes[size:], self.labels[size:]
        for known in (self.info, self.selected, self.truth, self._keyed):
            for node in [n for n in known if n >= size]:
                del known[node]  # pyright: ignore
        self._tables = {k: v for k, v in self._tables.items() if max(k[0], *k[1], 0) < size}
        self._frames = {k: v for k, v in self._frames.items() if max(k, default=0) < size}

    def table_on(self, node: int, leaves: tuple[int, ...]) -> Table | None:
        """The node's value ids on the tuples of other leaves than its own, if they determine it."""
        table = self.info[node].table
        if node in leaves:
            return identity(node, len(self.info[node].values))
        if set(table.leaves) <= set(leaves):
            return table
        key = (node, leaves)
        if key not in self._tables:
            self._tables[key] = _retabulate(self, node, leaves)
        return self._tables[key]

    def set_leaf(self, node: int, info: Info, keyed: Keyed) -> None:
        self.info[node], self._keyed[node] = info, keyed


def infer(graph: Graph, vocab: list[Any], lengths: Iterable[int], causal: bool) -> Values:
    """Every value that each node can hold on inputs over `vocab` of the given lengths.

    **Raises:** `InvalidValueSetError` listing every node whose values cannot be represented.
    """
    keys = Keys(np.array(sorted(lengths)))
    values = Values(graph, keys, causal, vocab, list(graph.nodes), list(graph.labels))
    problems: list[Problem] = []
    broken: set[int] = set()
    for node in range(len(graph.nodes)):
        if broken.intersection(node_inputs(values.nodes[node])):
            broken.add(node)
            continue
        try:
            _infer_node(values, node)
        except (BadValue, _Refused, aggregates.TooMany) as error:
            reason, suggestion = (
                (error.reason, error.suggestion) if isinstance(error, BadValue) else error.problem
            )
            if isinstance(error, BadValue):
                reason = f"it can hold {reason}"
            problems.append(Problem(graph.labels[node], reason, suggestion))
            broken.add(node)
    if problems:
        raise InvalidValueSetError("infer", problems)
    return values


def _infer_node(values: Values, at: int) -> None:
    match values.nodes[at]:
        case Source(kind=kind):
            _source(values, at, kind)
        case Pointwise() as node:
            _pointwise(values, at, node)
        case Select() as node:
            values.truth[at] = _truth(values, node)
            values.selected[at] = aggregates.analyse(values, at)
        case Combine():
            values.selected[at] = aggregates.analyse(values, at)
        case Width(selector=selector):
            aggregates.infer_width(values, at, selector)
        case Aggregate() as node:
            aggregates.infer_aggregate(values, at, node)


def _source(values: Values, at: int, kind: str) -> None:
    keys = values.keys
    if kind == "tokens":
        domain, keyed = values.vocab, Keyed.anywhere(len(values.vocab))
    elif kind == "indices":
        domain = list(range(keys.n))
        keyed = Keyed(np.arange(keys.n)[None, :], np.eye(keys.n, dtype=bool))
    else:
        domain = [int(x) for x in keys.lengths]
        keyed = Keyed(np.arange(len(domain))[:, None], np.eye(len(domain), dtype=bool))
    values.set_leaf(at, Info(list(domain), identity(at, len(domain))), keyed)


def _pointwise(values: Values, at: int, node: Pointwise) -> None:
    if any(values.info[i].span is not None for i in node.inputs):
        return aggregates.infer_unlisted(values, at, node)
    leaves = {leaf for i in node.inputs for leaf in values.info[i].table.leaves}
    table = tabulate(values, node, tuple(sorted(leaves)))
    if table is None:
        table = tabulate(values, node, tuple(sorted(set(node.inputs))))
    if table is not None:
        domain, found = table
        if not len(domain):  # the evaluator raises on every input that gets here
            domain.add(None)
        values.info[at] = Info(domain.values, reduce_leaves(found))
        return None
    if node.linear is not None:
        return aggregates.infer_linear(values, at, node)
    sizes = " x ".join(str(len(values.info[i].values)) for i in node.inputs)
    raise _Refused(
        f"it reads {sizes} value combinations, more than can be listed",
        "reduce the values of its inputs first, for example by a comparison",
    )


def tabulate(
    values: Values, node: Pointwise, leaves: tuple[int, ...]
) -> tuple[Domain, Table] | None:
    """Values of a pointwise node on the tuples of `leaves`, which must cover its inputs."""
    frame = values.frame(leaves)
    if frame is None:
        return None
    columns: list[np.ndarray] = []
    for i in node.inputs:
        table = identity(i, len(values.info[i].values)) if i in leaves else values.info[i].table
        columns.append(table.on(frame))
    domains = [values.info[i].values for i in node.inputs]
    domain, ids = apply(node.fn, node.strict, columns, domains, len(frame.codes))
    return domain, Table(frame, ids)


def _retabulate(values: Values, node: int, leaves: tuple[int, ...]) -> Table | None:
    """Recomputes a pointwise node on given leaves; values it cannot really have become ERR."""
    pointwise = values.nodes[node]
    frame = values.frame(leaves)
    if not isinstance(pointwise, Pointwise) or frame is None:
        return None
    columns: list[np.ndarray] = []
    for i in pointwise.inputs:
        table = values.table_on(i, leaves)
        if table is None:
            return None
        columns.append(table.on(frame))
    domains = [values.info[i].values for i in pointwise.inputs]
    domain, ids = apply(pointwise.fn, pointwise.strict, columns, domains, len(frame.codes))
    known = {typed_key(v): at for at, v in enumerate(values.info[node].values)}
    mine = np.array([known.get(typed_key(v), ERR) for v in domain.values] + [ERR], np.int64)
    return Table(frame, mine[ids])


def _truth(values: Values, node: Select) -> np.ndarray:
    for side in (node.keys, node.queries):
        if values.info[side].span is not None:
            raise _Refused(
                f"{values.labels[side]} has too many values to be compared",
                "compare a value with fewer possibilities, such as a count",
            )
    k, q = values.keyed(node.keys), values.keyed(node.queries)
    if len(k.member[0]) * len(q.member[0]) > selection.PAIR_BUDGET:
        raise _Refused(
            f"{len(k.member[0])} keys x {len(q.member[0])} queries are too many pairs",
            "compare values with fewer possibilities",
        )
    reachable = selection.reachable_pairs(k, q, values.keys)
    keys, queries = values.info[node.keys].values, values.info[node.queries].values
    return selection.truth_table(node.predicate, keys, queries, reachable)


def numbers_of(values: list[Any]) -> list[Any]:
    """The distinct numbers (by ==) among values, ascending."""
    return sorted({v for v in values if is_number(v)})


__all__ = ["ERR", "Info", "Logic", "Selected", "Values", "infer", "numbers_of", "tabulate"]
