"""The graph of a program, on which all stages work, and its kinds of node.

A graph is made by `tracr_lite.compiler.tracing`. Nodes refer to each other by number and stand
in topological order. Labels depend only on the program's structure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from tracr_lite.rasp import rasp

Truth = TypeVar("Truth")


@dataclass(frozen=True)
class Source:
    """`tokens`, `indices` or `length`."""

    kind: str


@dataclass(frozen=True)
class Pointwise:
    """`fn` of the inputs at the same position; with `strict`, None in is None out, unasked.

    `linear` holds the factors of a LinearSequenceMap.
    """

    fn: Callable[..., Any]
    inputs: tuple[int, ...]
    strict: bool = True
    linear: tuple[float, float] | None = None


@dataclass(frozen=True)
class Select:
    """Key position j is selected by query position i when `predicate(keys[j], queries[i])`."""

    keys: int
    queries: int
    predicate: Callable[[Any, Any], Any]


@dataclass(frozen=True)
class Combine:
    """Boolean combination of selectors; `op` is `and`, `or` or `not`."""

    op: str
    inputs: tuple[int, ...]


@dataclass(frozen=True)
class Aggregate:
    """Mean (numbers) or common value of `value` where selected, `default` where nothing is."""

    selector: int
    value: int
    default: Any


@dataclass(frozen=True)
class Width:
    """Number of selected keys."""

    selector: int


Node = Source | Pointwise | Select | Combine | Aggregate | Width


@dataclass(frozen=True)
class Graph:
    """A traced program.

    **Arguments:**
    - `nodes`: in topological order; nodes refer to each other by position in this tuple.
    - `labels`: one unique name per node, `tokens`, `map_3`...; the same on every trace.
    - `numerical`: whether the node was annotated with a numerical encoding.
    - `root`: the node that is the program's output; `root_numerical`: its encoding.
    - `lengths`: input lengths at which no checked constant makes the evaluator raise; None:
      all.
    - `node_of`: `id` of each traced RASP expression to its node.
    - `exprs`: the expressions, kept alive so that those ids stay valid.
    """

    nodes: tuple[Node, ...]
    labels: tuple[str, ...]
    numerical: tuple[bool, ...]
    root: int
    root_numerical: bool
    lengths: frozenset[int] | None
    node_of: dict[int, int]
    exprs: tuple[rasp.RASPExpr, ...]

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles find expressions by position: ids mean nothing in another process."""
        state = {f.name: getattr(self, f.name) for f in fields(self)}
        nodes = [self.node_of[id(expr)] for expr in self.exprs]
        return _graph, (state | {"node_of": None}, nodes)

    def __deepcopy__(self, memo: dict[int, Any]) -> Graph:
        return self  # immutable, and ids of copied expressions would be unknown

    def inputs(self, node: int) -> tuple[int, ...]:
        """The nodes that `node` reads directly."""
        return node_inputs(self.nodes[node])

    def __str__(self) -> str:
        lines: list[str] = []
        for label, node in zip(self.labels, self.nodes, strict=True):
            reads = ", ".join(self.labels[i] for i in node_inputs(node))
            lines.append(f"{label:24} {type(node).__name__:10} {reads}")
        return "\n".join(lines)


def _graph(state: dict[str, Any], nodes: list[int]) -> Graph:
    """A graph from its pickle."""
    found = {id(expr): node for expr, node in zip(state["exprs"], nodes, strict=True)}
    state["node_of"] = found
    return Graph(**state)


def node_inputs(node: Node) -> tuple[int, ...]:
    """Positions of the nodes read by `node`."""
    match node:
        case Source():
            return ()
        case Pointwise() | Combine():
            return node.inputs
        case Select():
            return (node.keys, node.queries)
        case Aggregate():
            return (node.selector, node.value)
        case Width():
            return (node.selector,)


def as_select(node: Node) -> Select:
    """The node, which is known to be a Select."""
    assert isinstance(node, Select), f"{node} is no Select"
    return node


def as_combine(node: Node) -> Combine:
    """The node, which is known to be a Combine."""
    assert isinstance(node, Combine), f"{node} is no Combine"
    return node


def evaluate_selector(
    nodes: Sequence[Node],
    selector: int,
    known: Mapping[int, Truth],
    rule: Callable[[str, list[Truth]], Truth],
) -> Truth:
    """What `rule(op, inputs)` makes of a selector whose Selects are `known`.

    Linear in shared nodes, and not recursive.
    """
    memo = dict(known)
    stack = [selector]
    while stack:
        at = stack[-1]
        if at in memo:
            stack.pop()
            continue
        node = as_combine(nodes[at])
        missing = [i for i in node.inputs if i not in memo]
        if missing:
            stack.extend(missing)
        else:
            memo[at] = rule(node.op, [memo[i] for i in node.inputs])
    return memo[selector]
