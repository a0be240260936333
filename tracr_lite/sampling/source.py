"""A program as Python source, one line per expression; run, it builds the program again."""

from __future__ import annotations

import dataclasses
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

IMPORTS = """\
from tracr_lite.compiler.lib import _append, _BreakTies, _CallWithLast, _KeyEquals
from tracr_lite.compiler.lib import _KeyIsBefore, _pair
from tracr_lite.rasp import rasp
from tracr_lite.rasp.functions import *
from tracr_lite.sampling.functions import *
from tracr_lite.sampling.predicates import *
"""
_INPUTS = {"tokens": rasp.tokens, "indices": rasp.indices, "length": rasp.length}


def source_of(program: rasp.RASPExpr) -> str:
    """Statements that build `program`, the last one assigns it; they need `IMPORTS`."""
    names: dict[int, str] = {}
    lines: list[str] = []
    for expr in topological(program):
        text = _text(expr, names)
        if text.startswith("rasp.") and "(" not in text and expr is not program:
            names[expr.unique_id] = text  # an input needs no line
            continue
        names[expr.unique_id] = f"x{len(lines)}"
        lines.append(f"x{len(lines)} = {text}")
    return "\n".join(lines)


def _text(expr: rasp.RASPExpr, names: dict[int, str]) -> str:
    for name, source in _INPUTS.items():
        if isinstance(expr, type(source)):
            return _annotated(f"rasp.{name}", expr)
    arguments = [
        _argument(getattr(expr, field.name), names)
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


def _argument(value: Any, names: dict[int, str]) -> str:
    if isinstance(value, rasp.RASPExpr):
        return names[value.unique_id]
    return function_text(value) if callable(value) else repr(value)


def function_text(function: Any) -> str:
    """Python source of a function that a program holds."""
    if isinstance(function, rasp.Comparison):
        return f"rasp.Comparison.{function.name}"
    match function:
        case UnaryOp(symbol=symbol) | BinaryOp(symbol=symbol):
            return f"{type(function).__name__}({symbol!r})"
        case ConstantOp():
            parts = (function.symbol, function.constant, function.reflected)
            return f"ConstantOp({', '.join(map(repr, parts))})"
        case Composition(functions=parts) | AllOf(predicates=parts) | AnyOf(predicates=parts):
            inner = ", ".join(map(function_text, parts))
            return f"{type(function).__name__}(({inner},))"
        case Negated(predicate=predicate):
            return f"Negated({function_text(predicate)})"
        case _:
            inner = getattr(function, "f", None)  # of a library function around another
            if inner is not None:
                return f"{type(function).__name__}({function_text(inner)})"
            return getattr(function, "__name__", None) or repr(function)
