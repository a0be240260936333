"""A linear function of two means over one selection, as one mean.

    a mean(x) + b mean(y)  =  mean(a x + b y)

The two means of a selection have one denominator. Inference keeps the values of a node, not of
pairs of nodes, so it would take every mean with every other: two thousand times as many pairs,
and far closer together, than there are. The two sides are rounded differently, so the one is
put in place of the other only where those who read it tell no difference: their functions are
asked about all values of both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from tracr_lite.compiler.graph import Aggregate, Combine, Graph, Node, Pointwise, Select, Width
from tracr_lite.compiler.values.domain import is_number, typed_key
from tracr_lite.compiler.values.infer import infer
from tracr_lite.errors import CompileError

MOST = 20_000_000  # pairs of sums that are compared
Inputs = tuple[list[Any], Iterable[int]]  # tokens, lengths


def with_one_mean(graph: Graph, tokens: list[Any], longest: int) -> Graph:
    """The graph, with one mean for two where that is the same for all who read it."""
    at = 0
    while at < len(graph.nodes):
        found = _combined(graph, at, tokens, longest)
        if found is not None:
            graph = _inserted(graph, at, *found)
        at += 1
    return graph


def _combined(
    graph: Graph, at: int, tokens: list[Any], longest: int
) -> tuple[Pointwise, Aggregate] | None:
    """What is averaged instead, less the number of its node, and the mean."""
    node = graph.nodes[at]
    if not isinstance(node, Pointwise) or node.linear is None or at == graph.root:
        return None
    first, second = (graph.nodes[i] for i in node.inputs)
    if not isinstance(first, Aggregate) or not isinstance(second, Aggregate):
        return None
    readers = _readers(graph, at)
    whole = all(float(factor).is_integer() for factor in node.linear)
    defaults = (first.default, second.default)
    if first.selector != second.selector or readers is None or not whole:
        return None
    if not all(map(is_number, defaults)) or first.value == second.value:
        return None
    ends = [_ends(graph, each.value, tokens, longest) for each in (first, second)]
    if ends[0] is None or ends[1] is None:
        return None
    if not _alike(readers, node.linear, ends[0], ends[1], longest):
        return None
    default = node.fn(*defaults)
    return replace(node, inputs=(first.value, second.value)), Aggregate(
        first.selector, at, default
    )


def _readers(graph: Graph, at: int) -> list[Callable[..., Any]] | None:
    """The functions of the value alone that read it; None if something else does."""
    found: list[Callable[..., Any]] = []
    for number, node in enumerate(graph.nodes):
        if at in graph.inputs(number):
            if not isinstance(node, Pointwise) or node.inputs != (at,):
                return None
            found.append(node.fn)
    return found


def _ends(graph: Graph, node: int, tokens: list[Any], longest: int) -> tuple[int, int] | None:
    """The least and the greatest value; None if they are not all whole numbers."""
    try:
        values = infer(_ancestors(graph, node), tokens, range(1, longest + 1), causal=True)
    except CompileError:  # it is refused where it is inferred for good, with its reason
        return None
    info = values.info[values.graph.root]
    if info.span is not None:
        return None
    if not all(is_number(v) and float(v).is_integer() for v in info.values):
        return None
    return int(min(info.values)), int(max(info.values))


def _ancestors(graph: Graph, node: int) -> Graph:
    """The part of the graph that a node is computed from."""
    needed = {node}
    for at in range(node, -1, -1):
        if at in needed:
            needed.update(graph.inputs(at))
    kept = sorted(needed)
    place = {at: new for new, at in enumerate(kept)}
    return replace(
        graph,
        nodes=tuple(_moved(graph.nodes[at], place) for at in kept),
        labels=tuple(graph.labels[at] for at in kept),
        numerical=tuple(graph.numerical[at] for at in kept),
        root=place[node],
        node_of={},
        exprs=(),
    )


def _alike(
    readers: list[Callable[..., Any]],
    factors: tuple[float, float],
    x: tuple[int, int],
    y: tuple[int, int],
    longest: int,
) -> bool:
    """Whether all readers give the same for both sides, for sums of any count."""
    a, b = factors
    spans = (x[1] - x[0], y[1] - y[0])
    if sum((n * spans[0] + 1) * (n * spans[1] + 1) for n in range(1, longest + 1)) > MOST:
        return False
    pairs: set[tuple[float, float]] = set()
    for n in range(1, longest + 1):
        u, v = (np.arange(n * low, n * high + 1, dtype=float) for low, high in (x, y))
        apart = a * (u / n)[:, None] + b * (v / n)[None, :]
        one = (a * u[:, None] + b * v[None, :]) / n
        both = np.unique(np.stack([apart.ravel(), one.ravel()], axis=1), axis=0)
        pairs.update(map(tuple, both[both[:, 0] != both[:, 1]].tolist()))
    return all(_same(fn, *pair) for fn in readers for pair in pairs)


def _same(fn: Callable[..., Any], apart: float, one: float) -> bool:
    try:
        return typed_key(fn(apart)) == typed_key(fn(one))
    except Exception:  # of a user's function: then all is left as it is
        return False


def _inserted(graph: Graph, at: int, averaged: Pointwise, mean: Aggregate) -> Graph:
    """The graph with `averaged` in front of node `at`, which becomes the mean of that."""
    place = {old: old + (old >= at) for old in range(len(graph.nodes))}
    nodes = [_moved(node, place) for node in graph.nodes]
    nodes[at] = mean
    nodes.insert(at, averaged)
    labels, numerical = list(graph.labels), list(graph.numerical)
    labels.insert(at, f"{graph.labels[at]}.averaged")
    numerical.insert(at, True)
    return replace(
        graph,
        nodes=tuple(nodes),
        labels=tuple(labels),
        numerical=tuple(numerical),
        root=place[graph.root],
        node_of={key: place[node] for key, node in graph.node_of.items()},
    )


def _moved(node: Node, place: dict[int, int]) -> Node:
    """The node, with the new numbers of what it reads."""
    match node:
        case Pointwise() | Combine():
            return replace(node, inputs=tuple(place[i] for i in node.inputs))
        case Select():
            return replace(node, keys=place[node.keys], queries=place[node.queries])
        case Aggregate():
            return replace(node, selector=place[node.selector], value=place[node.value])
        case Width():
            return replace(node, selector=place[node.selector])
        case _:
            return node
