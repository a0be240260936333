"""The functions that operators put into nodes: small callables that compare by what they do.

`tokens + 1`, written twice, yields two nodes whose functions are equal and have one hash, so
that the compiler can merge them. A lambda compares by identity only.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tracr_lite.rasp.values import Comparison, Predicate


def _and(x: Any, y: Any) -> Any:
    return x and y


def _or(x: Any, y: Any) -> Any:
    return x or y


BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,  # pyright: ignore[reportUnknownMemberType]
    "//": operator.floordiv,  # pyright: ignore[reportUnknownMemberType]
    "%": operator.mod,
    "**": operator.pow,  # pyright: ignore[reportUnknownMemberType]
    "and": _and,
    "or": _or,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}

UNARY: dict[str, Callable[[Any], Any]] = {
    "not ": operator.not_,
    "-": operator.neg,
    "+": operator.pos,
    "abs": operator.abs,
}


def exact_key(value: object) -> object:
    """A hashable key; equal keys mean that the values behave alike (so 1, 1.0, True differ)."""
    if isinstance(value, float):
        return type(value), repr(value)  # tells -0.0 from 0.0, and lets nan equal itself
    if type(value) is tuple:
        return tuple, tuple(exact_key(item) for item in value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    if type(value) in (type(None), bool, int, str):
        return type(value), value
    return type(value), id(value)


@dataclass(frozen=True)
class UnaryOp:
    """`x -> symbol x`, for example `not x`; the symbols are the keys of `UNARY`."""

    symbol: str

    def __call__(self, x: Any) -> Any:
        return UNARY[self.symbol](x)

    def __repr__(self) -> str:
        return "abs(x)" if self.symbol == "abs" else f"{self.symbol}x"


@dataclass(frozen=True)
class BinaryOp:
    """`(x, y) -> x symbol y`; the symbols are the keys of `BINARY`."""

    symbol: str

    def __call__(self, x: Any, y: Any) -> Any:
        return BINARY[self.symbol](x, y)

    def __repr__(self) -> str:
        return f"x {self.symbol} y"


@dataclass(frozen=True, eq=False)
class ConstantOp:
    """`x -> x symbol constant`, or `x -> constant symbol x` when `reflected`."""

    symbol: str
    constant: Any
    reflected: bool = False

    def __call__(self, x: Any) -> Any:
        apply = BINARY[self.symbol]
        return apply(self.constant, x) if self.reflected else apply(x, self.constant)

    def __repr__(self) -> str:
        sides = ("x", f"{self.constant!r}")
        return f" {self.symbol} ".join(reversed(sides) if self.reflected else sides)

    def _key(self) -> object:
        return self.symbol, exact_key(self.constant), self.reflected

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ConstantOp) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())


@dataclass(frozen=True, eq=False)
class LinearCombination:
    """`(x, y) -> fst_fac * x + snd_fac * y`."""

    fst_fac: int | float
    snd_fac: int | float

    def __call__(self, x: Any, y: Any) -> Any:
        return self.fst_fac * x + self.snd_fac * y

    def __repr__(self) -> str:
        return f"{self.fst_fac!r} * x + {self.snd_fac!r} * y"

    def _key(self) -> object:
        return exact_key(self.fst_fac), exact_key(self.snd_fac)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LinearCombination) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())


@dataclass(frozen=True)
class Composition:
    """Applies `functions` from first to last; stops at None, as a chain of Maps does."""

    functions: tuple[Callable[[Any], Any], ...]

    def __call__(self, x: Any) -> Any:
        for function in self.functions:
            if x is None:
                return None
            x = function(x)
        return x

    def __repr__(self) -> str:
        shown = [function_name(function) for function in self.functions[:3]]
        return " then ".join(shown + ["..."] * (len(self.functions) > 3))


def compose(outer: Callable[[Any], Any], inner: Callable[[Any], Any]) -> Composition:
    """`x -> outer(inner(x))` with the None rule of Map in between; nesting is flattened."""
    parts = [f.functions if isinstance(f, Composition) else (f,) for f in (inner, outer)]
    return Composition(parts[0] + parts[1])


@dataclass(frozen=True)
class AllOf:
    """The predicate that holds where all of `predicates` do; each is always called."""

    predicates: tuple[Predicate, ...]

    def __call__(self, key: Any, query: Any) -> bool:
        return all([bool(predicate(key, query)) for predicate in self.predicates])

    def __repr__(self) -> str:
        return " and ".join(function_name(predicate) for predicate in self.predicates[:4])


@dataclass(frozen=True)
class AnyOf:
    """The predicate that holds where any of `predicates` does; each is always called."""

    predicates: tuple[Predicate, ...]

    def __call__(self, key: Any, query: Any) -> bool:
        return any([bool(predicate(key, query)) for predicate in self.predicates])

    def __repr__(self) -> str:
        return " or ".join(function_name(predicate) for predicate in self.predicates[:4])


@dataclass(frozen=True)
class Negated:
    """The predicate that holds where `predicate` does not."""

    predicate: Predicate

    def __call__(self, key: Any, query: Any) -> bool:
        return not self.predicate(key, query)

    def __repr__(self) -> str:
        return f"not {function_name(self.predicate)}"


# LT and GEQ are not here: with nan both are false, so one is not the negation of the other.
_OPPOSITE = {
    Comparison.EQ: Comparison.NEQ,
    Comparison.NEQ: Comparison.EQ,
    Comparison.TRUE: Comparison.FALSE,
    Comparison.FALSE: Comparison.TRUE,
}


def negate(predicate: Predicate) -> Predicate:
    """The opposite predicate, in the simplest form that is right for every value."""
    if isinstance(predicate, Negated):
        return predicate.predicate
    if isinstance(predicate, Comparison) and predicate in _OPPOSITE:
        return _OPPOSITE[predicate]
    return Negated(predicate)


def conjoin(fst: Predicate, snd: Predicate) -> Predicate:
    """The predicate `fst and snd`; nesting is flattened."""
    parts = [p.predicates if isinstance(p, AllOf) else (p,) for p in (fst, snd)]
    return AllOf(parts[0] + parts[1])


def disjoin(fst: Predicate, snd: Predicate) -> Predicate:
    """The predicate `fst or snd`; nesting is flattened."""
    parts = [p.predicates if isinstance(p, AnyOf) else (p,) for p in (fst, snd)]
    return AnyOf(parts[0] + parts[1])


def function_name(function: object) -> str:
    """How a function is shown inside a repr: its name, `<lambda>`, or its own short repr."""
    if isinstance(function, Comparison):
        return function.name
    name = getattr(function, "__name__", None)
    return name if isinstance(name, str) else repr(function)
