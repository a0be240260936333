"""A program as text for people: `source_of`, with the source of the functions of its author.

    def double(x):
        return 2 * x

    x0 = rasp.Map(lambda x, *, n=3: x + n, rasp.tokens)
    x1 = rasp.Map(double, x0)

The source of a function is looked up in its file. Where there is none (a prompt), or the file
has changed since, the function is shown by its name. What a lambda takes from around it, here
n, is shown as a default of its own.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
import warnings
from collections.abc import Iterator
from functools import lru_cache
from types import CodeType, FunctionType
from typing import Any

from tracr_lite.rasp.base import RASPExpr
from tracr_lite.rasp.source import source_of
from tracr_lite.rasp.values import Comparison

OURS = ("tracr_lite.rasp", "tracr_lite.compiler", "tracr_lite.sampling")
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_LONGEST = 2000  # characters of the repr of one object
_LONGEST_DEFAULT = 200


def listing(program: RASPExpr) -> str:
    """The text; the same in each process, if the reprs of the objects in it are."""
    shown = _Functions()
    lines = source_of(program, shown.text)
    return _ADDRESS.sub("", "\n\n\n".join([*shown.definitions.values(), lines]))


def text_of_function(function: Any) -> str:
    """One function in one line: the source of a lambda, the name of any other."""
    if isinstance(function, Comparison):
        return function.value
    if isinstance(function, FunctionType):
        named = function.__name__ != "<lambda>"
        return function.__name__ if named else _lambda_text(function) or "<lambda>"
    inner = getattr(function, "f", None) if type(function).__module__.startswith(OURS) else None
    if inner is not None:  # a function of the library around one of the author's
        return f"{type(function).__name__}({text_of_function(inner)})"
    return _ADDRESS.sub("", _shown(function))


class _Functions:
    """Texts of functions; `definitions` are those that need lines of their own, by name."""

    def __init__(self) -> None:
        self.definitions: dict[str, str] = {}
        self._names: dict[int, str] = {}

    def text(self, function: Any) -> str:
        """Of a function that is not part of the language."""
        if not isinstance(function, FunctionType):
            return _shown(function)
        if function.__name__ == "<lambda>":
            return _lambda_text(function) or f"<lambda of {function.__module__}>"
        if (function.__module__ or "").startswith(OURS):
            return function.__name__
        if id(function) not in self._names:
            self._names[id(function)] = self._define(function)
        return self._names[id(function)]

    def _define(self, function: FunctionType) -> str:
        """The name of a function, after its source was put aside."""
        source = _def_text(function)
        if source is None:
            return function.__name__
        name, number = function.__name__, 2
        while name in self.definitions:
            name, number = f"{function.__name__}_{number}", number + 1
        notes = [f"# here called {name}"] if name != function.__name__ else []
        notes += [f"# {key} = {value!r}" for key, value in _taken(function).items()]
        self.definitions[name] = "\n".join([*notes, source.strip("\n")])
        return name


def _shown(value: Any) -> str:
    """The repr of an object, or its name."""
    name = getattr(value, "__qualname__", None)
    if isinstance(name, str):
        return name
    try:
        text = repr(value)
    except Exception as error:  # of the author's class; this text must not cost the rest
        return f"<{type(value).__qualname__}, whose repr raises {type(error).__name__}>"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _def_text(function: FunctionType) -> str | None:
    try:
        source = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError, SyntaxError):
        return None
    tree = _parsed(source)
    return source if tree and _is_code_of(function, tree) else None


def _lambda_text(function: FunctionType) -> str | None:
    try:
        lines, _ = inspect.findsource(function)
    except (OSError, TypeError):
        return None
    tree = _parsed("".join(lines))
    found = [] if tree is None else list(_lambdas_at(tree, function.__code__))
    if len(found) != 1 or not _is_code_of(function, ast.Expression(found[0])):
        return None
    node = ast.parse(ast.unparse(found[0]), mode="eval").body
    assert isinstance(node, ast.Lambda)
    for name, value in _taken(function).items():
        node.args.kwonlyargs.append(ast.arg(name))
        node.args.kw_defaults.append(ast.Constant(value))  # pyright: ignore[reportArgumentType]
    return ast.unparse(node)


@lru_cache(maxsize=16)
def _parsed(source: str) -> ast.Module | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the code of others
        try:
            return ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def _lambdas_at(tree: ast.AST, code: CodeType) -> Iterator[ast.Lambda]:
    """The lambda that this is the code of; several, or none, if that cannot be told."""
    here = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Lambda) and node.lineno == code.co_firstlineno
    ]
    if len(here) == 1:
        yield from here
        return
    spans = [span for span in code.co_positions() if None not in span and span[2] != span[3]]
    if not spans:
        yield from here
        return
    start = min((line, column) for line, _, column, _ in spans)
    end = max((line, column) for _, line, _, column in spans)
    around = [
        node
        for node in here
        if (node.body.lineno, node.body.col_offset) <= start
        and end <= (node.body.end_lineno, node.body.end_col_offset)
    ]
    yield from around[-1:]  # the innermost: a walk goes inwards


def _is_code_of(function: FunctionType, tree: ast.Module | ast.Expression) -> bool:
    """Whether a tree still means this function: its file may have changed."""
    mode = "eval" if isinstance(tree, ast.Expression) else "exec"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        code = compile(tree, "source", mode, dont_inherit=True)
    wanted = _traits(function.__code__)
    inner = (each for each in code.co_consts if isinstance(each, CodeType))
    return any(_traits(each) == wanted for each in inner)


def _traits(code: CodeType) -> tuple[Any, ...]:
    """What does not depend on where a function stands."""
    constants = [repr(each) for each in code.co_consts if not isinstance(each, CodeType)]
    names = {*code.co_names, *code.co_freevars}
    counts = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount)
    return code.co_name, code.co_varnames, names, counts, constants


def _taken(function: FunctionType) -> dict[str, Any]:
    """The plain values that a function takes from around it, by name."""
    code = function.__code__
    own = function.__globals__
    found = {name: own[name] for name in code.co_names if name in own}
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        try:
            found[name] = cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    return {name: found[name] for name in sorted(found) if _is_plain(found[name])}


def _is_plain(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_plain, value)) and len(repr(value)) <= _LONGEST_DEFAULT  # pyright: ignore
    plain = value is None or type(value) in (bool, int, float, str)
    return plain and len(repr(value)) <= _LONGEST_DEFAULT
