"""The predicates inside sampled selectors, besides `Comparison`: of a key and a query.

Many return objects that are only truthy, or handle None; some raise for some pairs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tracr_lite.rasp.values import Comparison
from tracr_lite.sampling.functions import Exact


@dataclass(frozen=True, eq=False)
class Shifted(Exact):
    """`key + offset == query`."""

    offset: int | float

    def __call__(self, key: Any, query: Any) -> bool:
        return key + self.offset == query


@dataclass(frozen=True, eq=False)
class Within(Exact):
    """Whether key and query are at most `distance` apart."""

    distance: int | float

    def __call__(self, key: Any, query: Any) -> bool:
        return abs(key - query) <= self.distance


@dataclass(frozen=True, eq=False)
class SumModulo(Exact):
    """`(key + query) % modulus`: any number but 0 selects."""

    modulus: int

    def __call__(self, key: Any, query: Any) -> Any:
        return (key + query) % self.modulus


@dataclass(frozen=True, eq=False)
class KeyIn(Exact):
    """Whether the key is one of some values, whatever the query is."""

    values: tuple[Any, ...]

    def __call__(self, key: Any, query: Any) -> bool:
        return key in self.values


@dataclass(frozen=True, eq=False)
class QueryIn(Exact):
    """Whether the query is one of some values, whatever the key is."""

    values: tuple[Any, ...]

    def __call__(self, key: Any, query: Any) -> bool:
        return query in self.values


@dataclass(frozen=True, eq=False)
class OrNone(Exact):
    """A comparison, which is `missing` where key or query is None."""

    comparison: str
    missing: bool

    def __call__(self, key: Any, query: Any) -> bool:
        if key is None or query is None:
            return self.missing
        return Comparison[self.comparison](key, query)


@dataclass(frozen=True, eq=False)
class Pairs(Exact):
    """Whether (key, query) is listed."""

    listed: tuple[tuple[Any, Any], ...]

    def __call__(self, key: Any, query: Any) -> bool:
        return (key, query) in self.listed


def same_or_nothing(key: Any, query: Any) -> list[Any]:
    """A list that is empty unless key and query are equal, None included."""
    return [key] if key == query else []


def key_itself(key: Any, query: Any) -> Any:
    """The key: selects where it is truthy."""
    return key


def query_itself(key: Any, query: Any) -> Any:
    """The query: selects where it is truthy."""
    return query


def product(key: Any, query: Any) -> Any:
    """`key * query`; negative numbers select too."""
    return key * query


def bits(key: Any, query: Any) -> Any:
    """`key & query`: 2, say, selects; raises for what has no bits."""
    return key & query


def text_within(key: Any, query: Any) -> bool:
    """Whether the text of the key is inside that of the query."""
    return str(key) in str(query)


def same_type(key: Any, query: Any) -> bool:
    """Whether both are of one type; None has its own."""
    return type(key) is type(query)


def key_is_none(key: Any, query: Any) -> bool:
    """Whether the key is None."""
    return key is None


def both_or_neither(key: Any, query: Any) -> bool:
    """Whether key and query have one truth value."""
    return bool(key) == bool(query)


def divides(key: Any, query: Any) -> bool:
    """Whether the query divides the key; raises for a query of 0."""
    return key % query == 0
