"""Values that a node can hold: typed identity, validation and calls of user functions."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, cast

import numpy as np

ERR = -1  # the evaluator would raise: whatever is computed there is allowed

ALWAYS_VALID: frozenset[object] = frozenset({bool, int, str, type(None)})
SIMPLE = ALWAYS_VALID  # what equals another value of its type is the same
FLAT = SIMPLE | {float}  # of floats, those that are not zero


class BadValue(Exception):
    """A function returned something that no residual direction can stand for."""

    def __init__(self, reason: str, suggestion: str):
        super().__init__(reason)
        self.reason = reason
        self.suggestion = suggestion


type_of: Callable[[Any], object] = type


def typed_key(value: Any) -> Hashable:
    """Identity of a value for user functions, which may tell 1, True and 1.0 apart."""
    kind: object = type_of(value)
    if kind is str or (kind is float and value):  # equal to nothing that is wrapped below
        return value
    if kind is float:
        return (float, math.copysign(1.0, value))  # -0.0
    if kind is tuple:
        kinds = tuple(map(type_of, value))
        if SIMPLE.issuperset(kinds) or (FLAT.issuperset(kinds) and 0.0 not in value):
            return (kinds, value)  # shorter, and as different
        return (tuple, *[typed_key(v) for v in cast("tuple[Any, ...]", value)])
    return (kind, value)


NUMBERS = frozenset({bool, int, float})
_NUMBERS: frozenset[object] = NUMBERS
PLAIN = NUMBERS | {type(None)}


def kinds_of(values: Iterable[Any]) -> set[type]:
    """The types among values."""
    return set(map(type, values))


def is_number(value: Any) -> bool:
    """Whether `value` counts as a number (bools do, as in Python)."""
    return type_of(value) in _NUMBERS or isinstance(value, int | float)


def checked(value: Any) -> Any:
    """`value`, with numpy scalars unwrapped.

    **Raises:** `BadValue` unless it is None, a finite number, a string, or a tuple of such.
    """
    if type(value) in ALWAYS_VALID:
        return value
    if isinstance(value, np.generic):
        return checked(value.item())
    if type(value) is float:
        if not math.isfinite(value):
            raise BadValue(f"the non-finite number {value!r}", "use None or a finite number")
        return value
    if type(value) is tuple:
        items = cast("tuple[Any, ...]", value)
        kinds = set(map(type_of, items))
        if SIMPLE >= kinds:
            return items
        if FLAT >= kinds and all([isfinite(v) for v in items if type_of(v) is float]):
            return items
        return tuple([checked(v) for v in items])
    try:
        hash(value)
    except TypeError:
        raise BadValue(f"the unhashable value {value!r}", "return a tuple instead") from None
    raise BadValue(
        f"{value!r}, of type {type(value).__name__}",
        "return None, a bool, an int, a float, a str or a tuple of these",
    )


@dataclass
class Domain:
    """The distinct values of one node, in order of discovery; ids are positions in `values`."""

    values: list[Any] = field(default_factory=list[Any])
    ids: dict[Hashable, int] = field(default_factory=dict[Hashable, int])  # by `typed_key`

    @classmethod
    def of(cls, values: Iterable[Any]) -> Domain:
        domain = cls()
        for value in values:
            domain.add(value)
        return domain

    @classmethod
    def of_floats(cls, values: list[float]) -> Domain:
        """From distinct floats."""
        ids: dict[Hashable, int] = dict(zip(values, range(len(values)), strict=True))
        if (zero := ids.pop(0.0, None)) is not None:
            ids[typed_key(values[zero])] = zero
        return cls(values, ids)

    def add(self, value: Any) -> int:
        ids, kind = self.ids, type_of(value)
        if kind is str or (kind is float and value):
            key: Hashable = value  # as `typed_key` says, without a call
        else:
            key = typed_key(value) if kind is float or kind is tuple else (kind, value)
        at = ids.setdefault(key, len(ids))
        if at == len(self.values):
            self.values.append(value)
        return at

    def __len__(self) -> int:
        return len(self.values)
