"""The value of every node of a compiled program on one input, by the interpreter.

Values of nodes may be replaced at some positions: whatever reads them sees the replaced values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from tracr_lite.compiler.circuits.errors import CircuitError
from tracr_lite.compiler.graph import Graph, Pointwise, Source
from tracr_lite.compiler.trace_of import CompileTrace
from tracr_lite.compiler.values.domain import BadValue, checked
from tracr_lite.errors import RAISED
from tracr_lite.rasp import causal_eval, rasp
from tracr_lite.rasp.base import RASPExpr
from tracr_lite.rasp.evaluate import Result

Changes = Mapping[int, Mapping[int, Any]]  # node -> position -> value
NO_CHANGES: Changes = {}


class _Unknown:
    """The value of a node that the compiler added, where it has none."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN = _Unknown()


class _Watching:
    """Replaces and records what expressions are."""

    def __init__(self, graph: Graph, changes: Changes):
        self.graph, self.changes = graph, changes
        self.seen: dict[int, list[Any]] = {}

    def note(self, expr: RASPExpr, value: Result) -> Result:
        if isinstance(expr, rasp.Selector):
            return value
        node = self.graph.node_of[id(expr)]
        self.seen[node] = _replaced(cast("Sequence[Any]", value), self.changes.get(node, {}))
        return self.seen[node]


class _Full(rasp.DefaultRASPEvaluator):
    def __init__(self, watch: _Watching):
        self.watch = watch

    def evaluate(self, expr: RASPExpr, xs: Sequence[Any]) -> Result:
        return self.watch.note(expr, super().evaluate(expr, xs))


class _Causal(causal_eval.CausalEvaluator):
    def __init__(self, watch: _Watching):
        self.watch = watch

    def evaluate(self, expr: RASPExpr, xs: Sequence[Any]) -> Result:
        return self.watch.note(expr, super().evaluate(expr, xs))


def node_values(
    trace: CompileTrace, xs: Sequence[Any], changes: Changes = NO_CHANGES
) -> dict[int, list[Any]]:
    """One list of values, one per token, for each S-Op node, those that the compiler added too.

    **Arguments:** `xs`: tokens without BOS; `changes`: values that replace others.
    **Raises:** `CircuitError` if the program raises on this input.
    """
    graph = trace.graph
    watch = _Watching(graph, changes)
    evaluator = _Causal(watch) if trace.values.causal else _Full(watch)
    try:
        evaluator.evaluate(graph.exprs[-1], list(xs))
    except RAISED as error:  # whatever the functions of the program raise
        raise CircuitError(
            f"the program itself raises on {list(xs)!r}: {type(error).__name__}: {error}; "
            "nothing is promised there"
        ) from error
    found = watch.seen
    for node, kind in enumerate(trace.values.nodes):
        if node not in found and isinstance(kind, Source):  # read by constants only
            found[node] = _replaced(_source(kind, xs), changes.get(node, {}))
        elif node not in found and isinstance(kind, Pointwise):
            found[node] = _added(kind, [found[i] for i in kind.inputs], len(xs))
    return found


def _replaced(values: Sequence[Any], new: Mapping[int, Any]) -> list[Any]:
    return [new.get(at, value) for at, value in enumerate(values)]


def _source(kind: Source, xs: Sequence[Any]) -> list[Any]:
    assert kind.kind == "indices", "constants read nothing else"
    return list(range(len(xs)))


def _added(node: Pointwise, inputs: list[list[Any]], size: int) -> list[Any]:
    """A node that the compiler made: a function of values that were inferred."""
    return [_at(node, tuple(values[at] for values in inputs)) for at in range(size)]


def _at(node: Pointwise, args: tuple[Any, ...]) -> Any:
    if any(arg is UNKNOWN for arg in args):
        return UNKNOWN
    try:
        known, value = _call(node.fn, node.strict, args)
    except BadValue:
        return UNKNOWN
    return value if known else UNKNOWN


def _call(fn: Callable[..., Any], strict: bool, args: tuple[Any, ...]) -> tuple[bool, Any]:
    """(True, value) of `fn(*args)`, or (False, None) where the evaluator raises.

    **Raises:** `BadValue` when the value cannot be represented.
    """
    if strict and any(a is None for a in args):
        return True, None
    try:
        value = fn(*args)
    except RAISED:  # whatever a user's function raises, the evaluator raises it too
        return False, None
    return True, checked(value)
