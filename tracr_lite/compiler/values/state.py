"""What inference knows about a program: `Values`, its result, filled node by node."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tracr_lite.compiler.graph import Graph, Node, Pointwise
from tracr_lite.compiler.values.domain import ERR, Domain, is_number, typed_key
from tracr_lite.compiler.values.frames import Frame, Keyed, Keys, build_frame, spread
from tracr_lite.compiler.values.pointwise import Table, apply, identity
from tracr_lite.compiler.values.selection import Widths


@dataclass(frozen=True)
class Info:
    """What is known about one S-Op node.

    **Arguments:**
    - `values`: its possible values (typed: 1 and True may both occur).
    - `table`: its value on the tuples of the nodes it depends on; of a leaf, the identity.
    - `span`: (least, greatest) number, when there are too many numbers to list; `values` then
      holds the other values only.
    - `least`: with a span, the least magnitude of a number other than 0; 0 if not known.
    - `mean`: of an Aggregate, whether different numbers may be averaged.
    """

    values: list[Any]
    table: Table
    span: tuple[float, float] | None = None
    mean: bool = False
    least: float = 0.0

    @property
    def smallest(self) -> float:
        """The least magnitude of a number other than 0; 0 if it is not known."""
        if self.span is not None:
            return self.least
        return min((abs(float(v)) for v in self.values if is_number(v) and v), default=0.0)


@dataclass(frozen=True)
class Selected:
    """What is known about one selector node: its Selects, and how many keys it selects."""

    atoms: tuple[int, ...]
    widths: Widths


def _shown(info: Info) -> str:
    """The values of a node, few of them if they are many."""
    if info.span is not None:
        return f"numbers from {info.span[0]:g} to {info.span[1]:g}, too many to list"
    some = ", ".join(repr(v) for v in info.values[:8])
    return some if len(info.values) <= 8 else f"{some}, ... ({len(info.values)} values)"


class Refused(Exception):
    """A node cannot be given its values; inference records it and goes on."""

    def __init__(self, reason: str, suggestion: str):
        super().__init__(reason)
        self.reason, self.suggestion = reason, suggestion


@dataclass
class Values:
    """The result of inference; `info` per S-Op node, `selected` per selector node.

    `nodes` and `labels` start as those of the graph; lowering adds nodes of its own to them.
    `edition`: how often such nodes were removed again.
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
    edition: int = 0
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
            frame = self.frame(table.leaves)  # which may know where its tuples occur
            if (
                frame is not None
                and frame.occurs is not None
                and len(frame.codes) == len(table.ids)
            ):
                found = frame.occurs.spread(table.ids, len(info.values))
                self._keyed[node] = found
                return found
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

    def forget(self, size: int) -> None:
        """Removes all nodes from number `size` on."""
        self.edition += 1
        del self.nodes[size:], self.labels[size:]
        caches: tuple[dict[int, Any], ...] = self.info, self.selected, self.truth, self._keyed
        for known in caches:
            for node in [n for n in known if n >= size]:
                del known[node]
        self._tables = {k: v for k, v in self._tables.items() if max(k[0], *k[1], 0) < size}
        self._frames = {k: v for k, v in self._frames.items() if max(k, default=0) < size}

    def table_on(self, node: int, leaves: tuple[int, ...]) -> Table | None:
        """The node's value ids on the tuples of other leaves than its own.

        **Returns:** None if these do not determine it.
        """
        table = self.info[node].table
        if node in leaves:
            return identity(node, len(self.info[node].values))
        if set(table.leaves) <= set(leaves):
            return table
        key = (node, leaves)
        if key not in self._tables:
            self._tables[key] = _retabulate(self, node, leaves)
        return self._tables[key]

    def __str__(self) -> str:
        return "\n".join(
            f"{self.labels[node]:24} {_shown(info)}" for node, info in sorted(self.info.items())
        )

    def set_leaf(self, node: int, info: Info, keyed: Keyed) -> None:
        self.info[node], self._keyed[node] = info, keyed


def tabulate(
    values: Values, node: Pointwise, leaves: tuple[int, ...]
) -> tuple[Domain, Table] | None:
    """Values of a pointwise node on the tuples of `leaves`, which must cover its inputs."""
    frame = values.frame(leaves)
    if frame is None:
        return None
    columns: list[np.ndarray] = []
    for i in node.inputs:
        columns.append(frame.column(i) if i in leaves else values.info[i].table.on(frame))
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


def numbers_of(values: list[Any]) -> list[Any]:
    """The distinct numbers (by ==) among values, ascending."""
    return sorted({v for v in values if is_number(v)})
