"""Stage 1, trace: a RASP expression becomes a graph of integer-numbered nodes.

    SOp --trace--> Graph

The graph has fewer kinds of node than the language, so that later stages have fewer rules:
constants become functions of the index, `length` stays a source, and every Map, SequenceMap and
LinearSequenceMap is a `Pointwise`. Nodes stand in topological order and are hash-consed: the same
function on the same inputs is the same node. Labels depend only on the program's structure.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from typing import Any

from tracr_lite.errors import CompileError, Problem
from tracr_lite.rasp import rasp


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
    - `lengths`: input lengths at which no checked constant makes the evaluator raise; None: all.
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

    def inputs(self, node: int) -> tuple[int, ...]:
        """The nodes that `node` reads directly."""
        return node_inputs(self.nodes[node])

    def __str__(self) -> str:
        lines: list[str] = []
        for label, node in zip(self.labels, self.nodes, strict=True):
            reads = ", ".join(self.labels[i] for i in node_inputs(node))
            lines.append(f"{label:24} {type(node).__name__:10} {reads}")
        return "\n".join(lines)


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


@dataclass(frozen=True)
class ConstantAt:
    """The value of a constant sequence at an index."""

    values: tuple[Any, ...]

    def __call__(self, index: int) -> Any:
        return self.values[index]


@dataclass(frozen=True)
class ConstantPair:
    """The entry of a constant selector at (key index, query index)."""

    rows: tuple[tuple[bool, ...], ...]

    def __call__(self, key: int, query: int) -> bool:
        return bool(self.rows[query][key])


@dataclass(frozen=True)
class Fill:
    """A function of nothing."""

    value: Any

    def __call__(self) -> Any:
        return self.value


def trace(program: rasp.SOp) -> Graph:
    """The graph of everything that `program` reads.

    **Raises:** `CompileError` if `program` is not an S-Op.
    """
    if not isinstance(program, rasp.SOp):
        selector = isinstance(program, rasp.Selector)
        what = "a selector" if selector else repr(program)
        fix = "wrap it in SelectorWidth or Aggregate" if selector else "pass an S-Op"
        raise CompileError(
            "trace",
            [Problem("program", f"expected an S-Op, got {what}", fix)],
        )
    tracer = _Tracer()
    for expr in postorder(program):
        tracer.add(expr)
    return tracer.finish(program)


def postorder(tip: rasp.RASPExpr) -> Iterator[rasp.RASPExpr]:
    """Every expression below `tip`, once each by identity, children first; not recursive."""
    done: set[int] = set()
    stack: list[tuple[rasp.RASPExpr, bool]] = [(tip, False)]
    while stack:
        expr, ready = stack.pop()
        if id(expr) in done:
            continue
        if ready:
            done.add(id(expr))
            yield expr
            continue
        stack.append((expr, True))
        stack.extend((child, False) for child in reversed(list(expr.children)))


class _Tracer:
    """Builds a graph node by node."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.names: list[str] = []
        self.numerical: list[bool] = []
        self.known: dict[Hashable, int] = {}
        self.node_of: dict[int, int] = {}
        self.exprs: list[rasp.RASPExpr] = []
        self.lengths: frozenset[int] | None = None

    def add(self, expr: rasp.RASPExpr) -> None:
        node = self._translate(expr)
        at = self._intern(node, expr.name)
        if isinstance(expr, rasp.SOp) and rasp.is_numerical(expr):
            self.numerical[at] = True
        self.node_of[id(expr)] = at
        self.exprs.append(expr)

    def _intern(self, node: Node, name: str) -> int:
        try:
            at = self.known.get(_key(node))
        except TypeError:  # an unhashable function object or default: never merged
            at = None
        if at is None:
            at = len(self.nodes)
            self.nodes.append(node)
            self.names.append(name)
            self.numerical.append(False)
            try:
                self.known[_key(node)] = at
            except TypeError:
                return at
        return at

    def _translate(self, expr: rasp.RASPExpr) -> Node:
        def at(child: rasp.RASPExpr) -> int:
            return self.node_of[id(child)]

        match expr:
            case rasp.TokensType():
                return Source("tokens")
            case rasp.IndicesType():
                return Source("indices")
            case rasp.LengthType():
                return Source("length")
            case rasp.Full():
                return Pointwise(Fill(expr.fill), ())
            case rasp.LinearSequenceMap():
                factors = (expr.fst_fac, expr.snd_fac)
                return Pointwise(expr.f, (at(expr.fst), at(expr.snd)), linear=factors)
            case rasp.SequenceMap():
                return Pointwise(expr.f, (at(expr.fst), at(expr.snd)))
            case rasp.Map():
                return Pointwise(expr.f, (at(expr.inner),))
            case rasp.ConstantSOp():
                self._restrict(expr.check_length, len(expr.value))
                return Pointwise(ConstantAt(tuple(expr.value)), (self._indices(),))
            case rasp.ConstantSelector():
                self._restrict(expr.check_length, len(expr.value))
                rows = tuple(tuple(bool(x) for x in row) for row in expr.value)
                return Select(self._indices(), self._indices(), ConstantPair(rows))
            case rasp.Select():
                return Select(at(expr.keys), at(expr.queries), expr.predicate)
            case rasp.SelectorAnd():
                return Combine("and", (at(expr.fst), at(expr.snd)))
            case rasp.SelectorOr():
                return Combine("or", (at(expr.fst), at(expr.snd)))
            case rasp.SelectorNot():
                return Combine("not", (at(expr.inner),))
            case rasp.Aggregate():
                return Aggregate(at(expr.selector), at(expr.sop), expr.default)
            case rasp.SelectorWidth():
                return Width(at(expr.selector))
            case _:
                problem = Problem(expr.label, f"{type(expr).__name__} is no known expression")
                raise CompileError("trace", [problem])

    def _indices(self) -> int:
        return self._intern(Source("indices"), "indices")

    def _restrict(self, checked: bool, size: int) -> None:
        """Other lengths make the evaluator raise, so nothing is promised for them."""
        if checked:
            allowed = frozenset({size})
        else:
            allowed = frozenset(range(1, size + 1))
        self.lengths = allowed if self.lengths is None else self.lengths & allowed

    def finish(self, program: rasp.SOp) -> Graph:
        labels: list[str] = []
        count = 0
        for node, name in zip(self.nodes, self.names, strict=True):
            if isinstance(node, Source):
                labels.append(node.kind)
            else:
                count += 1
                labels.append(f"{name}_{count}")
        return Graph(
            tuple(self.nodes),
            tuple(labels),
            tuple(self.numerical),
            self.node_of[id(program)],
            rasp.is_numerical(program),
            self.lengths,
            self.node_of,
            tuple(self.exprs),
        )


def _key(node: Node) -> Hashable:
    """Equal for nodes that compute the same; constants are told apart by type as well."""
    match node:
        case Select():
            return (Select, node.keys, node.queries, _function_key(node.predicate))
        case Aggregate():
            return (node, _typed(node.default))
        case Pointwise(fn=Fill(value=value)):
            return (node, _typed(value))
        case Pointwise(fn=ConstantAt(values=values)):
            return (node, _typed(values))
        case Pointwise():
            return (Pointwise, node.inputs, node.linear, _function_key(node.fn))
        case _:
            return node


def _function_key(fn: Any) -> Hashable:
    """Equal for the same function; instances of one frozen dataclass are compared field by field."""
    if is_dataclass(fn) and not isinstance(fn, type) and fn.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        return (type(fn), *(_function_key(getattr(fn, f.name)) for f in fields(fn)))
    if isinstance(fn, tuple):
        return tuple(_function_key(x) for x in fn)
    if fn is None or isinstance(fn, int | float | str):
        return _typed(fn)
    return fn if isinstance(fn, Enum) else ("object", id(fn))


def _typed(value: Any) -> Hashable:
    if isinstance(value, tuple):
        return tuple(_typed(v) for v in value)
    return (type(value), repr(value))
