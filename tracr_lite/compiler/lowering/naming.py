"""Names of residual directions, and which values share one."""

from __future__ import annotations

from typing import Any

from tracr_lite.compiler.values.domain import is_number, typed_key
from tracr_lite.craft.bases import BasisDirection
from tracr_lite.craft.conventions import NONE_SUFFIX


def direction_of(label: str, value: Any) -> BasisDirection:
    """`label:value`; None has a direction named for it, as values of None mean no value."""
    return (
        BasisDirection(label + NONE_SUFFIX) if value is None else BasisDirection(label, value)
    )


def clusters(values: list[Any]) -> dict[Any, Any]:
    """For each value the number that stands for it: the least within 1e-9 of it, relative."""
    found: dict[Any, Any] = {typed_key(v): v for v in values}
    start: Any = None
    for value in sorted(v for v in values if is_number(v)):
        if start is None or value - start > 1e-9 * abs(value):
            start = value
        if start != value:
            found[typed_key(value)] = start
    return found
