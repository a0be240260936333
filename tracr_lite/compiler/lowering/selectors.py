"""A selector as a conjunction of truth tables."""

from __future__ import annotations

from typing import Any

import numpy as np

from tracr_lite.compiler.graph import Combine, Node, Pointwise, Select, Source, as_select
from tracr_lite.compiler.lowering.forms import View
from tracr_lite.compiler.lowering.joint import joint_match
from tracr_lite.compiler.lowering.lower import Lowering
from tracr_lite.compiler.lowering.match import ClassOf, Match, classes_of, merged
from tracr_lite.compiler.lowering.problems import CannotLower
from tracr_lite.compiler.values.domain import typed_key


def select_all(lowering: Lowering) -> int:
    """A selector that holds everywhere, for the `length` source."""
    values = lowering.values
    if values.causal:
        raise CannotLower(
            values.nodes.index(Source("length")),
            "a causal model cannot see how long its input will be",
            "use make_length(), which counts the tokens so far",
        )
    fill = lowering.add(Pointwise(_Unit(), ()), "one")
    return lowering.add(Select(fill, fill, _always), "select_all")


class _Unit:
    def __call__(self) -> int:
        return 1


def _always(key: Any, query: Any) -> bool:
    return True


def matches_of(lowering: Lowering, selector: int) -> list[Match]:
    """The selector as a conjunction of truth tables over views."""
    literals = _literals(lowering.values.nodes, selector)
    if literals is None:
        return [joint_match(lowering, selector)]
    found: list[Match] = []
    for atom, positive in literals:
        select = as_select(lowering.values.nodes[atom])
        truth = lowering.values.truth[atom]
        truth = truth if positive else np.where(truth < 0, truth, 1 - truth)
        keys, k_truth = _side(lowering, select.keys, truth)
        queries, q_truth = _side(lowering, select.queries, k_truth.T)
        found.append(Match(keys, queries, q_truth.T))
    return found


def _literals(nodes: list[Node], selector: int) -> list[tuple[int, bool]] | None:
    """(Select, positive) of each conjunct; None if the selector is no conjunction of them."""
    found: dict[tuple[int, bool], None] = {}
    stack = [(selector, True)]
    while stack:
        at, positive = stack.pop()
        node = nodes[at]
        if isinstance(node, Select):
            found[(at, positive)] = None
        elif isinstance(node, Combine) and node.op == "not":
            stack.append((node.inputs[0], not positive))
        elif isinstance(node, Combine) and (node.op == "and") == positive:
            stack.extend((i, positive) for i in reversed(node.inputs))
        else:
            return None
    return list(found)


def _side(lowering: Lowering, node: int, truth: np.ndarray) -> tuple[View, np.ndarray]:
    """A view of one side; values that behave alike are merged before they need columns."""
    size = len(lowering.values.info[node].values)
    leaves = lowering.leaves(node)
    readable = node in lowering.one_hot or (
        len(leaves) <= 1 and not any(lowering.is_numeric(x) for x in leaves)
    )
    if readable or (
        size <= 64 and not lowering.values.numerical(node) and not _is_mean(lowering, leaves)
    ):
        return lowering.for_attention(node), truth
    lowering.missed.add(node)
    classes, rows = classes_of(truth)
    mapping = {
        typed_key(v): int(c)
        for v, c in zip(lowering.values.info[node].values, classes, strict=True)
    }
    return merged(lowering, node, ClassOf(mapping), rows, "classes")


def _is_mean(lowering: Lowering, leaves: tuple[int, ...]) -> bool:
    return any(lowering.values.info[x].mean for x in leaves)
