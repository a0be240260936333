"""Stage 1, trace: a RASP expression becomes a graph of integer-numbered nodes.

    SOp --trace--> Graph

The graph has fewer kinds of node than the language, so that later stages have fewer rules:
constants become functions of the index, `length` stays a source, and every Map, SequenceMap and
LinearSequenceMap is a `Pointwise`. Nodes stand in topological order and are hash-consed: the
same function on the same inputs is the same node.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, fields
from functools import lru_cache
from types import BuiltinFunctionType, FunctionType
from typing import Any, cast

from tracr_lite.compiler.graph import (
    Aggregate,
    Combine,
    Graph,
    Node,
    Pointwise,
    Select,
    Source,
    Width,
)
from tracr_lite.errors import CompileError, Problem
from tracr_lite.rasp import rasp
from tracr_lite.rasp.base import topological

_PLAIN: frozenset[type] = frozenset({type(None), bool, int, float, str})


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
    if not isinstance(program, rasp.SOp):  # pyright: ignore[reportUnnecessaryIsInstance]
        selector = isinstance(program, rasp.Selector)
        what = "a selector" if selector else repr(program)
        fix = "wrap it in SelectorWidth or Aggregate" if selector else "pass an S-Op"
        raise CompileError(
            "trace",
            [Problem("program", f"expected an S-Op, got {what}", fix)],
        )
    tracer = _Tracer()
    for expr in topological(program):
        tracer.add(expr)
    return tracer.finish(program)


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
        annotations = expr.annotations
        at = self._intern(node, annotations["name"])
        if annotations["encoding"] is rasp.Encoding.NUMERICAL and isinstance(expr, rasp.SOp):
            self.numerical[at] = True
        self.node_of[id(expr)] = at
        self.exprs.append(expr)

    def _intern(self, node: Node, name: str) -> int:
        new = len(self.nodes)
        try:
            at = self.known.setdefault(_key(node), new)
        except TypeError:  # an unhashable function object or default: never merged
            at = new
        if at == new:
            self.nodes.append(node)
            self.names.append(name)
            self.numerical.append(False)
        return at

    def _translate(self, expr: rasp.RASPExpr) -> Node:
        at = self._at
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
            case rasp.Aggregate():
                return Aggregate(at(expr.selector), at(expr.sop), expr.default)
            case rasp.SelectorWidth():
                return Width(at(expr.selector))
            case _:
                return self._translate_selector(expr)

    def _translate_selector(self, expr: rasp.RASPExpr) -> Node:
        at = self._at
        match expr:
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
            case _:
                problem = Problem(expr.label, f"{type(expr).__name__} is no known expression")
                raise CompileError("trace", [problem])

    def _at(self, expr: rasp.RASPExpr) -> int:
        return self.node_of[id(expr)]

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
        case Pointwise(fn=fn):
            if isinstance(fn, Fill):
                return (node, _typed(fn.value))
            if isinstance(fn, ConstantAt):
                return (node, _typed(fn.values))
            return (Pointwise, node.inputs, node.linear, _function_key(fn))
        case _:
            return node


def _function_key(fn: object) -> Hashable:
    """Equal for the same function; instances of one frozen dataclass go field by field.

    Instances of any other class may hold more than they show: each is a function of its own.
    """
    kind = type(fn)
    if kind is FunctionType or kind is BuiltinFunctionType:
        return ("object", id(fn))
    names = _frozen_fields(kind)
    if names is not None:
        return (kind, *[_function_key(getattr(fn, name)) for name in names])
    if kind is tuple:
        return tuple(_function_key(x) for x in cast("tuple[Any, ...]", fn))
    return _typed(fn) if kind in _PLAIN else ("object", id(fn))


@lru_cache(maxsize=128)
def _frozen_fields(kind: type) -> tuple[str, ...] | None:
    """The fields of a frozen dataclass; None for other types, and for what derives from one."""
    params: Any = vars(kind).get("__dataclass_params__")
    if params is None or not params.frozen:
        return None
    return tuple(field.name for field in fields(kind))


def _typed(value: object) -> Hashable:
    if isinstance(value, tuple):
        return tuple(_typed(v) for v in cast("tuple[Any, ...]", value))
    return (type(value), repr(value))
