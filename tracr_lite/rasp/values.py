"""The plain values of RASP: what a sequence may hold, how it is encoded and compared."""

from __future__ import annotations

import enum
import operator
from collections.abc import Callable
from typing import Any, Protocol, TypeAlias, runtime_checkable

# Tuples arise inside programs, for example from `make_nary_sequencemap`.
Value: TypeAlias = bool | int | float | str | tuple[Any, ...] | None
SelectorValue: TypeAlias = list[list[bool]]


class Encoding(enum.Enum):
    """How a compiled model holds a sequence: one direction per value, or one for the number."""

    CATEGORICAL = "categorical"
    NUMERICAL = "numerical"


@runtime_checkable
class Predicate(Protocol):
    """Says whether a query position selects a key position; only its truth value counts."""

    def __call__(self, key: Any, query: Any, /) -> object: ...


def _always(key: Any, query: Any) -> bool:
    return True


def _never(key: Any, query: Any) -> bool:
    return False


class Comparison(enum.Enum):
    """The usual predicates: `Comparison.LT(key, query)` is `key < query`.

    **Raises:** `ValueError` when called with a key or a query that is None, even for TRUE.
    """

    EQ = "=="
    LT = "<"
    LEQ = "<="
    GT = ">"
    GEQ = ">="
    NEQ = "!="
    TRUE = "True"
    FALSE = "False"

    def __call__(self, key: Value, query: Value) -> bool:
        for side, value in (("key", key), ("query", query)):
            if value is None:
                raise ValueError(
                    f"Comparison.{self.name}: the {side} is None, which compares with nothing; "
                    "use a function of (key, query) that handles None"
                )
        return bool(_COMPARE[self](key, query))


_COMPARE: dict[Comparison, Callable[[Any, Any], object]] = {
    Comparison.EQ: operator.eq,
    Comparison.LT: operator.lt,
    Comparison.LEQ: operator.le,
    Comparison.GT: operator.gt,
    Comparison.GEQ: operator.ge,
    Comparison.NEQ: operator.ne,
    Comparison.TRUE: _always,
    Comparison.FALSE: _never,
}
