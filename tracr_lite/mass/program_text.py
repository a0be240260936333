"""Reads the text of a sampled program, without running it as Python.

Text as `SampledProgram.text` writes it: imports, one assignment per expression, and the names
`program`, `vocab`, `max_seq_len` and `causal`. Expressions are literals, and calls of the
classes of RASP and of `tracr_lite.sampling`; anything else is refused. So a data set from
elsewhere can do no more than name functions that are part of this package.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from types import FunctionType, MappingProxyType, ModuleType
from typing import Any, cast

from tracr_lite.compiler import lib
from tracr_lite.mass.errors import DatasetError
from tracr_lite.rasp import functions as rasp_functions
from tracr_lite.rasp import rasp
from tracr_lite.rasp.base import RASPExpr
from tracr_lite.sampling import functions, predicates
from tracr_lite.sampling.source import IMPORTS

_RESULTS = ("program", "vocab", "max_seq_len", "causal")
_INPUTS = ("tokens", "indices", "length")


@dataclass(frozen=True)
class ReadProgram:
    """A program, and what compiling it needs; as in `SampledProgram`."""

    program: rasp.SOp
    vocab: tuple[Any, ...]
    max_seq_len: int
    causal: bool


def read_program(text: str) -> ReadProgram:
    """Builds the program again. **Raises:** `DatasetError` naming line and reason."""
    try:
        statements = ast.parse(text.removeprefix(IMPORTS)).body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise DatasetError(f"the program text is no Python: {error}") from error
    reader = _Reader()
    for statement in statements:
        try:
            reader.assign(statement)
        except (TypeError, ValueError, RecursionError) as error:
            where = f"line {statement.lineno} of the program text"
            raise DatasetError(f"{where} is refused: {error}") from error
    found = [reader.names.get(name) for name in _RESULTS]
    program, vocab, size, causal = found
    if not (
        isinstance(program, rasp.SOp)
        and isinstance(vocab, tuple)
        and type(size) is int
        and type(causal) is bool
    ):
        raise DatasetError(f"the program text does not assign {', '.join(_RESULTS)}")
    return ReadProgram(program, cast("tuple[Any, ...]", vocab), size, causal)


def _defined_in(*modules: ModuleType) -> Mapping[str, Any]:
    """The classes and functions of modules, by name."""
    return MappingProxyType(
        {
            name: value
            for module in modules
            for name, value in vars(module).items()
            if isinstance(value, type | FunctionType) and value.__module__ == module.__name__
        }
    )


_KNOWN = _defined_in(lib, rasp_functions, functions, predicates)


class _Reader:
    """Evaluates assignments; `names` holds what was assigned."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {}

    def assign(self, statement: ast.stmt) -> None:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                self.names[name] = self._value(value)
            case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)):
                for target, value in zip(targets, values, strict=True):
                    if not isinstance(target, ast.Name):
                        raise ValueError("only names can be assigned")
                    self.names[target.id] = self._value(value)
            case _:
                raise ValueError(f"only assignments are known, not {_shown(statement)}")

    def _value(self, node: ast.expr) -> Any:
        match node:
            case ast.Constant(value=value):
                return value
            case ast.UnaryOp(
                op=ast.USub(), operand=ast.Constant(value=int() | float() as size)
            ):
                return -size
            case ast.Tuple(elts=items):
                return tuple(self._value(item) for item in items)
            case ast.List(elts=items):
                return [self._value(item) for item in items]
            case ast.Name(id=name):
                return self._named(name)
            case ast.Attribute():
                return self._attribute(node)
            case ast.Call():
                return self._call(node)
            case _:
                raise ValueError(f"{_shown(node)} is neither a literal nor a known call")

    def _named(self, name: str) -> Any:
        if name in self.names:
            return self.names[name]
        if name in _KNOWN:
            return _KNOWN[name]
        raise ValueError(f"nothing is called {name!r}")

    def _attribute(self, node: ast.Attribute) -> Any:
        """An input or a comparison of `rasp`."""
        match node:
            case ast.Attribute(value=ast.Name(id="rasp"), attr=name) if name in _INPUTS:
                return getattr(rasp, name)
            case ast.Attribute(
                value=ast.Attribute(value=ast.Name(id="rasp"), attr="Comparison"), attr=name
            ) if name in rasp.Comparison.__members__:
                return rasp.Comparison[name]
            case _:
                raise ValueError(f"{_shown(node)} is unknown")

    def _call(self, node: ast.Call) -> Any:
        arguments = [self._value(argument) for argument in node.args]
        named = {word.arg or "**": self._value(word.value) for word in node.keywords}
        match node.func:
            case ast.Attribute(value=ast.Name(id="rasp"), attr="numerical"):
                return rasp.numerical(*arguments, **named)
            case ast.Attribute(value=ast.Name(id="rasp"), attr=name):
                kind = getattr(rasp, name, None)
                if isinstance(kind, type) and issubclass(kind, RASPExpr):
                    return kind(*arguments, **named)
            case ast.Attribute(value=inner, attr="named"):
                expr = self._value(inner)
                if isinstance(expr, RASPExpr):
                    return expr.named(*arguments, **named)
            case ast.Name(id=name) if isinstance(_KNOWN.get(name), type):
                return _KNOWN[name](*arguments, **named)
            case _:
                pass
        raise ValueError(f"{_shown(node.func)} cannot be called")


def _shown(node: ast.AST) -> str:
    text = ast.unparse(node)
    return repr(text if len(text) <= 60 else f"{text[:57]}...")
