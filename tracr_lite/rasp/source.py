"""A program as Python source, one line per expression; run, it builds the program again.

That holds as long as every function in it has a text that builds it. Other functions are shown
as `other` says: then the source is to be read by people.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from tracr_lite.rasp import rasp
from tracr_lite.rasp.base import topological
from tracr_lite.rasp.functions import (
    AllOf,
    AnyOf,
    BinaryOp,
    Composition,
    ConstantOp,
    Negated,
    UnaryOp,
)

_INPUTS = {"tokens": rasp.tokens, "indices": rasp.indices, "length": rasp.length}


Text = Callable[[Any], str]  # of a function that a program holds


def name_of(function: Any) -> str:
    """The name of a function, or the repr of an object that can be called."""
    return getattr(function, "__name__", None) or repr(function)


def source_of(program: rasp.RASPExpr, other: Text = name_of) -> str:
    """Statements that build `program`; the last one assigns it.

    **Arguments:** `other`: the text of functions that are not part of `tracr_lite.rasp`.
    """
    names: dict[int, str] = {}
    lines: list[str] = []
    for expr in topological(program):
        text = _text(expr, names, other)
        if text.startswith("rasp.") and "(" not in text and expr is not program:
            names[expr.unique_id] = text  # an input needs no line
            continue
        names[expr.unique_id] = f"x{len(lines)}"
        lines.append(f"x{len(lines)} = {text}")
    return "\n".join(lines)


def _text(expr: rasp.RASPExpr, names: dict[int, str], other: Text) -> str:
    for name, source in _INPUTS.items():
        if isinstance(expr, type(source)):
            return _annotated(f"rasp.{name}", expr)
    arguments = [
        _argument(getattr(expr, field.name), names, other)
        for field in dataclasses.fields(expr)  # pyright: ignore[reportArgumentType]
        if field.init
    ]
    if isinstance(expr, rasp.Map) and isinstance(expr.inner, rasp.Map):
        arguments[-1] = "False"  # what was not made one Map shall stay two
    return _annotated(f"rasp.{type(expr).__name__}({', '.join(arguments)})", expr)


def _annotated(text: str, expr: rasp.RASPExpr) -> str:
    annotations = expr.annotations
    if "name" in list(annotations):
        if annotations["name"] != type(expr)._default_name:  # pyright: ignore[reportPrivateUsage]
            text += f".named({annotations['name']!r})"
    if isinstance(expr, rasp.SOp) and rasp.is_numerical(expr):
        return f"rasp.numerical({text})"
    return text


def _argument(value: Any, names: dict[int, str], other: Text) -> str:
    if isinstance(value, rasp.RASPExpr):
        return names[value.unique_id]
    return function_text(value, other) if callable(value) else repr(value)


def function_text(function: Any, other: Text = name_of) -> str:
    """Python source of a function that a program holds; see `source_of`."""
    if isinstance(function, rasp.Comparison):
        return f"rasp.Comparison.{function.name}"
    match function:
        case UnaryOp(symbol=symbol) | BinaryOp(symbol=symbol):
            return f"{type(function).__name__}({symbol!r})"
        case ConstantOp():
            parts = (function.symbol, function.constant, function.reflected)
            return f"ConstantOp({', '.join(map(repr, parts))})"
        case Composition(functions=parts) | AllOf(predicates=parts) | AnyOf(predicates=parts):
            inner = ", ".join(function_text(part, other) for part in parts)
            return f"{type(function).__name__}(({inner},))"
        case Negated(predicate=predicate):
            return f"Negated({function_text(predicate, other)})"
        case _:
            ours = type(function).__module__.startswith("tracr_lite.")
            inner = getattr(function, "f", None) if ours else None
            if inner is not None:  # a library function around another
                return f"{type(function).__name__}({function_text(inner, other)})"
            return other(function)
