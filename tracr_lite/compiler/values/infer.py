"""Stage 2, infer: Graph -> Values, node by node in topological order."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
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
from tracr_lite.compiler.values import aggregates, counting, linear, selection
from tracr_lite.compiler.values.domain import BadValue, is_number
from tracr_lite.compiler.values.frames import Keyed, Keys
from tracr_lite.compiler.values.pointwise import identity, reduce_leaves
from tracr_lite.compiler.values.predicates import truth_table
from tracr_lite.compiler.values.state import Info, Refused, Values, tabulate
from tracr_lite.craft.arrays import fixed
from tracr_lite.errors import InvalidValueSetError, Problem

SHORT = 64  # lengths and vocabularies of which what is known is kept for other programs


def infer(graph: Graph, vocab: list[Any], lengths: Iterable[int], causal: bool) -> Values:
    """Every value that each node can hold on inputs over `vocab` of the given lengths.

    **Raises:** `InvalidValueSetError` listing every node whose values cannot be represented.
    """
    own = tuple(sorted(lengths))
    keys = _shared_keys(own) if own[-1] <= SHORT else Keys(np.array(own))
    values = Values(graph, keys, causal, vocab, list(graph.nodes), list(graph.labels))
    problems: list[Problem] = []
    broken: set[int] = set()
    for node in range(len(graph.nodes)):
        if broken and broken.intersection(node_inputs(values.nodes[node])):
            broken.add(node)
            continue
        try:
            _infer_node(values, node)
            if graph.numerical[node]:
                _check_numerical(values, node)
        except (BadValue, Refused) as error:
            what = "it can hold " if isinstance(error, BadValue) else ""
            problems.append(Problem(graph.labels[node], what + error.reason, error.suggestion))
            broken.add(node)
    if problems:
        raise InvalidValueSetError("infer", problems)
    return values


def _check_numerical(values: Values, node: int) -> None:
    """A node that the program makes numerical must hold numbers or None."""
    if node not in values.info:
        return
    odd = [v for v in values.info[node].values if v is not None and not is_number(v)]
    if odd:
        raise Refused(
            f"it is numerical, but can hold {odd[0]!r}", "use rasp.categorical, or a number"
        )


def add_node(values: Values, node: Node, label: str) -> int:
    """Appends a node that the program does not have, and infers its values."""
    values.nodes.append(node)
    values.labels.append(label)
    at = len(values.nodes) - 1
    _infer_node(values, at)
    if isinstance(node, Select):
        _analyse(values, at)
    return at


def _infer_node(values: Values, at: int) -> None:
    match values.nodes[at]:
        case Source(kind=kind):
            _source(values, at, kind)
        case Pointwise() as node:
            _pointwise(values, at, node)
        case Select() as node:
            values.truth[at] = _truth(values, node)
        case Combine():
            pass  # its Selects say all
        case Width(selector=selector):
            _analyse(values, selector)
            counting.infer_width(values, at, selector)
        case Aggregate() as node:
            _analyse(values, node.selector)
            aggregates.infer_aggregate(values, at, node)


def _analyse(values: Values, selector: int) -> None:
    """Selectors that are only parts of others are never asked how many keys they select."""
    if selector not in values.selected:
        values.selected[selector] = counting.analyse(values, selector)


def _source(values: Values, at: int, kind: str) -> None:
    keys = values.keys
    if kind == "tokens":
        domain = list(values.vocab)
    else:
        domain = list(range(keys.n)) if kind == "indices" else list(keys.as_tuple)
    if keys.n <= SHORT and len(domain) <= SHORT:
        keyed = _shared(kind, len(domain), keys.as_tuple)
    else:
        keyed = _keyed(kind, len(domain))
    values.set_leaf(at, Info(domain, identity(at, len(domain))), keyed)


def _keyed(kind: str, size: int) -> Keyed:
    """Tokens are possible anywhere; each index at its position, each length at inputs of it."""
    if kind == "tokens":
        return Keyed.anywhere(size)
    classes = np.arange(size)
    return Keyed(
        classes[None, :] if kind == "indices" else classes[:, None], np.eye(size, dtype=bool)
    )


@lru_cache(maxsize=64)
def _shared(kind: str, size: int, lengths: tuple[int, ...]) -> Keyed:
    """What is counted of it, for these lengths, is kept for the next program."""
    found = _keyed(kind, size)
    return Keyed(fixed(found.classes), fixed(found.member))


@lru_cache(maxsize=16)
def _shared_keys(lengths: tuple[int, ...]) -> Keys:
    return Keys(fixed(np.array(lengths)))


def _pointwise(values: Values, at: int, node: Pointwise) -> None:
    if any(values.info[i].span is not None for i in node.inputs):
        return linear.infer_unlisted(values, at, node)
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
        return linear.infer_linear(values, at, node)
    sizes = " x ".join(str(len(values.info[i].values)) for i in node.inputs)
    raise Refused(
        f"it reads {sizes} value combinations, more than can be listed",
        "reduce the values of its inputs first, for example by a comparison",
    )


def _truth(values: Values, node: Select) -> np.ndarray:
    for side in (node.keys, node.queries):
        if values.info[side].span is not None:
            raise Refused(
                f"{values.labels[side]} has too many values to be compared",
                "compare a value with fewer possibilities, such as a count",
            )
    k, q = values.keyed(node.keys), values.keyed(node.queries)
    if len(k.member[0]) * len(q.member[0]) > selection.PAIR_BUDGET:
        raise Refused(
            f"{len(k.member[0])} keys x {len(q.member[0])} queries are too many pairs",
            "compare values with fewer possibilities",
        )
    reachable = selection.reachable_pairs(k, q, values.keys)
    keys, queries = values.info[node.keys].values, values.info[node.queries].values
    return truth_table(node.predicate, keys, queries, reachable)
