"""Names of residual directions, and which values share one."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter, eq
from typing import Any

from tracr_lite.compiler.graph import node_inputs
from tracr_lite.compiler.values.domain import is_number, typed_key
from tracr_lite.compiler.values.state import Values
from tracr_lite.craft.bases import BasisDirection, VectorSpaceWithBasis
from tracr_lite.craft.conventions import NONE_SUFFIX

_name_and_value = attrgetter("name", "value")


def direction_of(label: str, value: Any) -> BasisDirection:
    """`label:value`; None has a direction named for it, as values of None mean no value."""
    return (
        BasisDirection(label + NONE_SUFFIX) if value is None else BasisDirection(label, value)
    )


def in_order(names: Sequence[BasisDirection]) -> tuple[VectorSpaceWithBasis, list[int]]:
    """The space of distinct directions, and which of them each of its basis is.

    **Raises:** `ValueError` if they are not distinct.
    """
    order, same = order_of(names)
    basis = tuple([names[i] for i in order])
    return VectorSpaceWithBasis(basis, _basis_is_sorted=not same), order  # if same, it says so


def order_of(names: Sequence[BasisDirection]) -> tuple[list[int], bool]:
    """The order of directions in a basis, and whether some are the same."""
    keys: list[Any] = list(map(_name_and_value, names))
    try:  # as `sorted_basis` does
        order = sorted(range(len(names)), key=keys.__getitem__)
    except TypeError:
        keys = [d.key for d in names]
        order = sorted(range(len(names)), key=keys.__getitem__)
    ordered = [keys[i] for i in order]
    return order, any(map(eq, ordered, ordered[1:]))


def clusters(values: list[Any]) -> dict[Any, Any]:
    """The number that stands for a value of a node, where that is another one.

    Means added up in another order differ in their last bits: fractions within 1e-12 of each
    other, relative, are one, the least of them. Whole numbers are never rounded.
    """
    found: dict[Any, Any] = {}
    start: Any = None
    for value in sorted(v for v in values if is_number(v)):
        whole = start is None or (value == value // 1 and start == start // 1)
        if whole or value - start > 1e-12 * abs(value):
            start = value
        if start != value:
            found[typed_key(value)] = start
    return found


def has_means(values: Values, node: int) -> bool:
    """Whether the node depends on a mean of different numbers, which rounding may change."""
    waiting, seen = [node], {node}
    while waiting:
        at = waiting.pop()
        info = values.info.get(at)  # selectors have none
        if info is not None and info.mean:
            return True
        new = set(node_inputs(values.nodes[at])) - seen
        seen |= new
        waiting += new
    return False
