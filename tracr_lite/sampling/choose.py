"""Chooses functions and predicates that fit the values they are going to meet."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

from tracr_lite.rasp import rasp
from tracr_lite.rasp.functions import BINARY
from tracr_lite.rasp.values import Value
from tracr_lite.sampling import functions as f
from tracr_lite.sampling import predicates as p

Make = Callable[[random.Random, Sequence[Any]], Any]  # from the values that are there

CONSTANTS: tuple[int | float, ...] = (-2, -1, 0, 1, 2, 3, 5, 0.5, -0.5, 0.25, 1.0, 10)
FACTORS: tuple[int | float, ...] = (-2, -1, 1, 2, 3, 0.5, -0.25, 1.5, 10, 0)
RESULTS: tuple[Value, ...] = (0, 1, -1, 2.5, True, False, "x", "yes", None, (1, "a"), 7, 0.125)


def are_numbers(values: Sequence[Value]) -> bool:
    """Whether all values, None apart, are numbers, and there is one."""
    some = [value for value in values if value is not None]
    return bool(some) and all(isinstance(value, int | float) for value in some)


def are_text(values: Sequence[Value]) -> bool:
    """Whether all values, None apart, are strings, and there is one."""
    some = [value for value in values if value is not None]
    return bool(some) and all(isinstance(value, str) for value in some)


def some_of(rng: random.Random, values: Sequence[Any]) -> tuple[Any, ...]:
    """One or two of the values, if there are any."""
    known = [value for value in values if value is not None] or [0]
    return tuple(rng.sample(known, min(len(known), rng.choice((1, 1, 2)))))


def result(rng: random.Random) -> Value:
    """Any value that a function may return, or a default be."""
    return rng.choice(RESULTS)


def constant(rng: random.Random, values: Sequence[Any]) -> Any:
    """A value to combine with, or compare to, the given ones."""
    some = [value for value in values if value is not None]
    if some and (rng.random() < 0.5 or not are_numbers(some)):
        return rng.choice(some)
    return rng.choice(CONSTANTS)


def _table(rng: random.Random, values: Sequence[Any]) -> Any:
    pairs = tuple((value, result(rng)) for value in values[:6] if value is not None)
    return f.Table(pairs, result(rng))


def _number_table(rng: random.Random, values: Sequence[Any]) -> Any:
    pairs = tuple((value, rng.choice(CONSTANTS)) for value in values[:6] if value is not None)
    return f.Table(pairs, rng.choice(CONSTANTS))


_ANY_UNARY: tuple[Make, ...] = (
    _table,
    _number_table,
    lambda rng, values: f.NoneAt(some_of(rng, values)),
    lambda rng, values: f.RaisesAt(some_of(rng, values)),
    lambda rng, values: f.OneOf(some_of(rng, values)),
    lambda rng, values: f.OneOf(some_of(rng, values)),
    lambda rng, values: f.Always(result(rng)),
    lambda rng, values: rng.choice((f.same, f.to_text, f.type_name, f.single, f.to_bool)),
)
_NUMBER_UNARY: tuple[Make, ...] = (
    lambda rng, values: f.Affine(rng.choice(FACTORS), rng.choice(CONSTANTS)),
    lambda rng, values: f.Clip(*sorted(rng.sample((-2, -1, 0, 1, 2, 0.5, 3), 2))),
    lambda rng, values: rng.choice((f.square, f.inverse, f.root, f.is_odd)),
    lambda rng, values: rng.choice((f.to_float, f.to_int, f.to_bool, f.square)),
)
_TEXT_UNARY: tuple[Make, ...] = (
    lambda rng, values: rng.choice((f.size, f.first, f.upper, f.code)),
)
_ANY_BINARY: tuple[Make, ...] = (
    lambda rng, values: rng.choice((f.pair, f.join, f.smaller_text, f.keep_if)),
    lambda rng, values: f.IfEqual(result(rng)),
)
_NUMBER_BINARY: tuple[Make, ...] = (
    lambda rng, values: f.Weighted(rng.choice(FACTORS), rng.choice(FACTORS)),
    lambda rng, values: rng.choice((f.larger, f.ratio, f.keep_if)),
)


def unary(rng: random.Random, values: Sequence[Any]) -> Callable[[Any], Any]:
    """A function for Map over these values."""
    rows = list(_ANY_UNARY)
    if are_numbers(values):
        rows += _NUMBER_UNARY * 2
    if are_text(values):
        rows += _TEXT_UNARY * 4
    return rng.choice(rows)(rng, values)


def binary(rng: random.Random, values: Sequence[Any]) -> Callable[[Any, Any], Any]:
    """A function for SequenceMap over these values, those of both sides."""
    rows = _ANY_BINARY + (_NUMBER_BINARY * 2 if are_numbers(values) else ())
    return rng.choice(rows)(rng, values)


_NUMBER_PREDICATES: tuple[Make, ...] = (
    lambda rng, values: p.Shifted(rng.choice((-2, -1, 1, 2, 0, 0.5))),
    lambda rng, values: p.Within(rng.choice((0, 1, 2, 0.5))),
    lambda rng, values: p.SumModulo(rng.choice((2, 3))),
    lambda rng, values: rng.choice((p.product, p.bits, p.divides)),
)
_ANY_PREDICATES: tuple[Make, ...] = (
    lambda rng, values: p.KeyIn(some_of(rng, values)),
    lambda rng, values: p.QueryIn(some_of(rng, values)),
    lambda rng, values: p.OrNone(rng.choice(_ORDERED), rng.random() < 0.5),
    lambda rng, values: rng.choice((p.same_or_nothing, p.key_itself, p.query_itself)),
    lambda rng, values: rng.choice((p.text_within, p.same_type, p.both_or_neither)),
    lambda rng, values: p.key_is_none,
    lambda rng, values: p.Pairs(tuple(zip(values[:6], reversed(values[:6]), strict=True))),
)
_ORDERED = ("EQ", "LT", "LEQ", "GT", "GEQ", "NEQ")
_COMPARISONS = tuple(rasp.Comparison[name] for name in (*_ORDERED, "TRUE", "FALSE"))


def predicate(rng: random.Random, values: Sequence[Any]) -> rasp.Predicate:
    """A predicate over these values, those of keys and queries."""
    if rng.random() < 0.6 and None not in values:
        return rng.choices(_COMPARISONS, (5, 3, 3, 2, 2, 2, 3, 1))[0]
    rows = _ANY_PREDICATES + (_NUMBER_PREDICATES * 2 if are_numbers(values) else ())
    return rng.choice(rows)(rng, values)


_ARITHMETIC = tuple(BINARY[symbol] for symbol in ("+", "-", "*", "/", "//", "%", "**"))
_COMPARING = tuple(BINARY[symbol] for symbol in ("==", "!=", "<", "<=", ">", ">="))


def _both(x: Any, y: Any) -> Any:
    return x & y


def _either(x: Any, y: Any) -> Any:
    return x | y


_BOOLEAN = (*_COMPARING, _both, _either)


def operation(rng: random.Random, values: Sequence[Any]) -> Callable[[Any, Any], Any]:
    """A binary operator of Python for an S-Op of these values."""
    if are_numbers(values):
        return rng.choice((*_ARITHMETIC, *_BOOLEAN, *_BOOLEAN))
    return rng.choice((*_BOOLEAN, BINARY["+"])) if are_text(values) else rng.choice(_BOOLEAN)
