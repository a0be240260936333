"""Named basis directions, and the one total order that all layouts follow.

Source: the craft language of Lindner et al. 2023, arXiv:2301.05062, section 3.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, cast

Name = str
Value = int | float | bool | str | tuple[Any, ...] | None

_KIND: dict[type, int] = {type(None): 0, bool: 1, int: 1, float: 1, str: 2, tuple: 3}
_type_of: Callable[[Any], object] = type
_ALWAYS_VALID: frozenset[object] = frozenset(
    {type(None), bool, int, str}
)  # needs no look inside


def sort_key(value: object) -> tuple[int, Any]:
    """A total order on basis values, None < numbers < str < tuple; equal keys iff `==`.

    **Raises:** `TypeError` for other types, `ValueError` for NaN; also inside tuples.
    """
    kind = _KIND.get(type(value))
    if kind is None:
        raise TypeError(f"basis values are None, bool, int, float, str, tuple; got {value!r}")
    if isinstance(value, tuple):
        return (kind, tuple([sort_key(item) for item in cast(tuple[object, ...], value)]))
    if isinstance(value, float) and math.isnan(value):
        raise ValueError("NaN cannot label a basis direction")
    return (kind, 0 if value is None else value)


def _check(value: Any) -> None:
    """Raises as `sort_key` does, which takes longer."""
    kind = _type_of(value)
    if kind is tuple:
        if not _ALWAYS_VALID.issuperset(map(_type_of, value)):
            for item in value:
                _check(item)
    elif kind not in _ALWAYS_VALID and not (kind is float and value == value):
        sort_key(value)


@dataclass(frozen=True, slots=True, init=False, eq=False)
class BasisDirection:
    """One named direction. `True` and `1` are the same value, as they are in Python.

    **Arguments:** `name`: what the direction belongs to; `value`: which of its values, if any.
    **Raises:** `TypeError`, `ValueError`: see `sort_key`.
    """

    name: Name
    value: Value = None

    def __init__(self, name: Name, value: Any = None):  # a `Value`; refused here otherwise
        kind = _type_of(value)
        if kind not in _ALWAYS_VALID and not (kind is float and value == value):
            _check(value)
        _set_name(self, name)
        _set_value(self, value)

    @property
    def key(self) -> tuple[Name, tuple[int, Any]]:
        """What directions are sorted by; equal iff the directions are."""
        return (self.name, sort_key(self.value))

    def __eq__(self, other: object) -> bool:
        if type(other) is not BasisDirection:
            return NotImplemented
        return self.name == other.name and self.value == other.value

    def __hash__(self) -> int:
        return hash((self.name, self.value))

    def __lt__(self, other: BasisDirection) -> bool:
        return self.key < other.key

    def __str__(self) -> str:
        return self.name if self.value is None else f"{self.name}:{self.value}"


# The slots themselves: thrice as fast as the `object.__setattr__` of a frozen dataclass.
_set_name: Any = BasisDirection.__dict__["name"].__set__
_set_value: Any = BasisDirection.__dict__["value"].__set__


def directions_of(names: Iterable[Name], values: Iterable[Value]) -> list[BasisDirection]:
    """Directions that were made before: they are not checked again."""
    found: list[BasisDirection] = []
    for name, value in zip(names, values, strict=True):
        direction = BasisDirection.__new__(BasisDirection)
        _set_name(direction, name)
        _set_value(direction, value)
        found.append(direction)
    return found


def _by_kind(direction: BasisDirection) -> tuple[Name, int, Any]:
    """Orders as `key` does; the value is one that has a key."""
    value: Any = direction.value
    kind = _KIND[type(value)]
    if kind == 3:
        value = _items_by_kind(value)
    return direction.name, kind, 0 if value is None else value


def _items_by_kind(values: tuple[Any, ...]) -> tuple[tuple[int, Any], ...]:
    """What `sort_key` says of a tuple that has a key."""
    kinds = [_KIND[type(value)] for value in values]
    return tuple(
        [
            (kind, 0 if value is None else value if kind < 3 else _items_by_kind(value))
            for kind, value in zip(kinds, values, strict=True)
        ]
    )


_name_and_value = operator.attrgetter("name", "value")


def sorted_basis(basis: Iterable[BasisDirection]) -> tuple[BasisDirection, ...]:
    """Sorts and refuses duplicates, naming them."""
    ordered = list(basis)
    try:  # values of one kind per name: Python's own order is that of `sort_key`
        ordered.sort(key=_name_and_value)
    except TypeError:  # it compares all neighbours, so it has met two kinds if there are any
        ordered.sort(key=_by_kind)
    names = list(map(_name_and_value, ordered))
    if any(map(operator.eq, names, names[1:])):
        twice = dict.fromkeys(str(a) for a, b in pairwise(ordered) if a == b)
        raise ValueError(f"basis directions must be distinct; given twice: {', '.join(twice)}")
    return tuple(ordered)


def numbered(basis: Sequence[BasisDirection]) -> dict[BasisDirection, int]:
    """The position of each direction."""
    return dict(zip(basis, range(len(basis)), strict=True))
