"""The functions inside sampled programs: of one value, of two, and predicates.

Each is picklable and has a repr that is Python source, so that a program can be written out.
Some return None, some raise, on some values only: the evaluator does the same then.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any


class Exact:
    """Compares by what it does: equal parameters of different type (1, 1.0, True) differ."""

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))


# Of one value


@dataclass(frozen=True, eq=False)
class Affine(Exact):
    """`factor * x + shift`."""

    factor: int | float
    shift: int | float

    def __call__(self, x: Any) -> Any:
        return self.factor * x + self.shift


@dataclass(frozen=True, eq=False)
class Clip(Exact):
    """The value of low..high next to `x`."""

    low: int | float
    high: int | float

    def __call__(self, x: Any) -> Any:
        return min(max(x, self.low), self.high)


@dataclass(frozen=True, eq=False)
class Table(Exact):
    """Looks `x` up in pairs (value, result), by equality; `otherwise` where it is not there."""

    pairs: tuple[tuple[Any, Any], ...]
    otherwise: Any = None

    def __call__(self, x: Any) -> Any:
        return next((result for value, result in self.pairs if value == x), self.otherwise)


@dataclass(frozen=True, eq=False)
class NoneAt(Exact):
    """None for some values, any other value unchanged."""

    values: tuple[Any, ...]

    def __call__(self, x: Any) -> Any:
        return None if x in self.values else x


@dataclass(frozen=True, eq=False)
class RaisesAt(Exact):
    """Raises for some values, any other value unchanged."""

    values: tuple[Any, ...]

    def __call__(self, x: Any) -> Any:
        if x in self.values:
            raise ValueError(f"no result for {x!r}")
        return x


@dataclass(frozen=True, eq=False)
class OneOf(Exact):
    """Whether `x` equals one of some values."""

    values: tuple[Any, ...]

    def __call__(self, x: Any) -> bool:
        return x in self.values


@dataclass(frozen=True, eq=False)
class Always(Exact):
    """The same result whatever `x` is."""

    value: Any

    def __call__(self, x: Any) -> Any:
        return self.value


def same(x: Any) -> Any:
    """`x` itself."""
    return x


def square(x: Any) -> Any:
    """`x * x`."""
    return x * x


def inverse(x: Any) -> float:
    """`1 / x`; raises at 0."""
    return 1 / x


def root(x: Any) -> float:
    """The square root; raises below 0."""
    return math.sqrt(x)


def is_odd(x: Any) -> bool:
    """Whether the remainder by 2 is 1."""
    return x % 2 == 1


def to_float(x: Any) -> float:
    """`float(x)`: equal to `x`, of another type."""
    return float(x)


def to_int(x: Any) -> int:
    """`int(x)`, cut towards zero."""
    return int(x)


def to_bool(x: Any) -> bool:
    """The truth of `x`."""
    return bool(x)


def to_text(x: Any) -> str:
    """`str(x)`: tells 1, 1.0 and True apart."""
    return str(x)


def type_name(x: Any) -> str:
    """The name of the type of `x`."""
    return type(x).__name__


def single(x: Any) -> tuple[Any]:
    """`x` as a tuple of one."""
    return (x,)


def size(x: Any) -> int:
    """The length of a string or tuple."""
    return len(x)


def first(x: Any) -> Any:
    """The first item of a string or tuple; raises when it is empty."""
    return x[0]


def upper(x: str) -> str:
    """`x` in capitals."""
    return x.upper()


def code(x: str) -> int:
    """The code point of one letter, from "a" on; raises for other lengths."""
    return ord(x) - ord("a")


# Of two values


@dataclass(frozen=True, eq=False)
class Weighted(Exact):
    """`fst * x + snd * y`."""

    fst: int | float
    snd: int | float

    def __call__(self, x: Any, y: Any) -> Any:
        return self.fst * x + self.snd * y


@dataclass(frozen=True, eq=False)
class IfEqual(Exact):
    """`x` where it equals `y`, else `otherwise`."""

    otherwise: Any = None

    def __call__(self, x: Any, y: Any) -> Any:
        return x if x == y else self.otherwise


def pair(x: Any, y: Any) -> tuple[Any, Any]:
    """`(x, y)`."""
    return x, y


def join(x: Any, y: Any) -> str:
    """Both as text, one after the other."""
    return f"{x}{y}"


def larger(x: Any, y: Any) -> Any:
    """The larger of the two; raises if they have no order."""
    return max(x, y)


def smaller_text(x: Any, y: Any) -> Any:
    """The one whose text comes first."""
    return min(x, y, key=str)


def ratio(x: Any, y: Any) -> float:
    """`x / y`; raises where y is 0."""
    return x / y


def keep_if(x: Any, y: Any) -> Any:
    """`x` where `y` is true, else None."""
    return x if y else None


def sum_of_three(x: Any, y: Any, z: Any) -> Any:
    """`x + y - z`."""
    return x + y - z


def triple(x: Any, y: Any, z: Any) -> tuple[Any, Any, Any]:
    """`(x, y, z)`."""
    return x, y, z
