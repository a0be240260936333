"""Selectors that are no conjunction: one table over tuples of all their keys and queries."""

from __future__ import annotations

from typing import Any

import numpy as np

from tracr_lite.compiler.graph import Pointwise, as_select, evaluate_selector
from tracr_lite.compiler.lowering.forms import View
from tracr_lite.compiler.lowering.lower import Lowering
from tracr_lite.compiler.lowering.match import ClassOf, Match, classes_of, merged
from tracr_lite.compiler.lowering.problems import CannotLower
from tracr_lite.compiler.values.domain import typed_key


class _Tuple:
    """The values of several nodes at one position, None included."""

    def __call__(self, *values: Any) -> tuple[Any, ...]:
        return values


def joint_match(lowering: Lowering, selector: int) -> Match:
    """A selector as one table over the tuples of all its keys and queries."""
    values = lowering.values
    atoms = values.selected[selector].atoms
    selects = [as_select(values.nodes[a]) for a in atoms]
    keys = tuple(dict.fromkeys(s.keys for s in selects))
    queries = tuple(dict.fromkeys(s.queries for s in selects))
    key, key_parts = _tuple_node(lowering, keys, selector)
    query, query_parts = _tuple_node(lowering, queries, selector)
    size = len(values.info[key].values) * len(values.info[query].values)
    if size > 64_000_000:
        raise CannotLower(
            selector, f"it combines {size} pairs of values", "combine selectors of fewer values"
        )
    tables: dict[int, np.ndarray] = {}
    for atom, select in zip(atoms, selects, strict=True):
        k, q = key_parts[select.keys], query_parts[select.queries]
        tables[atom] = values.truth[atom][np.ix_(k, q)]
    truth = evaluate_selector(values.nodes, selector, tables, _combined)
    k_view, truth = _merge_tuple(lowering, key, truth)
    q_view, truth_t = _merge_tuple(lowering, query, truth.T)
    return Match(k_view, q_view, truth_t.T)


def _tuple_node(
    lowering: Lowering, parts: tuple[int, ...], selector: int
) -> tuple[int, dict[int, np.ndarray]]:
    """A node holding the tuple of `parts`; and each part's value id for every id of it."""
    values = lowering.values
    label = f"{values.labels[selector]}.tuple{len(values.nodes)}"
    node = lowering.add(Pointwise(_Tuple(), parts, strict=False), label)
    known = {p: {typed_key(v): i for i, v in enumerate(values.info[p].values)} for p in parts}
    tuples = values.info[node].values
    if tuples == [None]:  # no tuple occurs: the evaluator raises on every input
        return node, {p: np.zeros(1, np.int64) for p in parts}
    ids = {
        p: np.array([known[p][typed_key(v[at])] for v in tuples], np.int64)
        for at, p in enumerate(parts)
    }
    return node, ids


def _merge_tuple(lowering: Lowering, node: int, truth: np.ndarray) -> tuple[View, np.ndarray]:
    leaves = lowering.leaves(node)
    if len(leaves) <= 1 and not any(lowering.is_numeric(x) for x in leaves):
        return lowering.for_attention(node), truth
    classes, rows = classes_of(truth)
    tuples = lowering.values.info[node].values
    mapping = {typed_key(v): int(c) for v, c in zip(tuples, classes, strict=True)}
    return merged(lowering, node, ClassOf(mapping), rows, "classes")


def _combined(op: str, parts: list[np.ndarray]) -> np.ndarray:
    """Truth where all of the parts are known."""
    match op:
        case "and":
            result = parts[0] & parts[1]
        case "or":
            result = parts[0] | parts[1]
        case _:
            result = 1 - parts[0]
    unknown = parts[0] < 0
    for part in parts[1:]:
        unknown |= part < 0
    return np.where(unknown, -1, result)
