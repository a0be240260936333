"""The programs that come with the package, and programs in files of your own, by name.

    catalog.names()              ('addition', 'binary_increment', ...)
    catalog.load("reverse")      an Entry: the S-Op, its vocabulary, examples, ...
    catalog.load("my.py:prog")   the same for the S-Op `prog` in the file my.py

Listing names and summaries reads the files without running them, so it is quick.
"""

from __future__ import annotations

import ast
import difflib
import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from tracr_lite.errors import TracrLiteError
from tracr_lite.rasp.rasp import RASPExpr, SOp, Value

PACKAGE = "tracr_lite.programs"


class ProgramError(TracrLiteError, LookupError):
    """There is no such program, or its file cannot be used."""


@dataclass(frozen=True)
class Entry:
    """A program and what its file says about it.

    Fields as in `programs/__init__.py`; `summary` is the first line of the docstring. A file
    of your own need not define more than the program: then `vocab` is empty, `max_seq_len` is
    None, there are no examples and no reference, and every input is valid. `prompts` and `end`
    are those of a program that generates.
    """

    name: str
    summary: str
    program: SOp
    vocab: tuple[Value, ...]
    max_seq_len: int | None
    causal: bool
    fixed_size: bool
    examples: tuple[tuple[list[Value], list[Value]], ...]
    reference: Callable[[list[Any]], Sequence[Value]] | None
    valid: Callable[[list[Any]], bool]
    module: ModuleType
    prompts: tuple[tuple[list[Value], list[Value]], ...] = ()
    end: Value = None


def names() -> tuple[str, ...]:
    """The names of all programs that come with the package, in alphabetical order."""
    files = (path for folder in _package().__path__ for path in Path(folder).glob("*.py"))
    return tuple(sorted(path.stem for path in files if not path.stem.startswith("_")))


def summaries() -> dict[str, str]:
    """What each program computes, in one line, by name."""
    folders = [Path(folder) for folder in _package().__path__]
    sources = {name: folder / f"{name}.py" for name in names() for folder in folders}
    return {
        name: _first_line(ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))))
        for name, path in sources.items()
    }


def load(name: str) -> Entry:
    """The program called `name`, or the one in a file: `FILE.py` or `FILE.py:NAME`.

    **Arguments:** `name`: one of `names()`, or the path of a Python file, then a colon and the
    name of an S-Op, or of a function without arguments that returns one; without it, `PROGRAM`.
    **Raises:** `ProgramError` if there is none; for a name it suggests the closest ones.
    """
    path, colon, attribute = name.rpartition(":")
    if colon and path.endswith(".py"):
        return _load_file(path, attribute)
    if name.endswith(".py"):
        return _load_file(name, "PROGRAM")
    if name not in names():
        what = "option or program" if name.startswith("--") else "program"
        raise ProgramError(_unknown(what, name, names()) + " (`tracr-lite list` shows all)")
    return _entry(name, importlib.import_module(f"{PACKAGE}.{name}"), "PROGRAM")


def load_all() -> tuple[Entry, ...]:
    """All programs that come with the package."""
    return tuple(load(name) for name in names())


def _package() -> ModuleType:
    """The folder of programs: part of an installation, or beside the package in a checkout."""
    try:
        return importlib.import_module(PACKAGE)
    except ModuleNotFoundError as error:
        folder = Path(__file__).parent.parent / "programs"
        if error.name != PACKAGE or not folder.is_dir():
            raise
        return _run_module(PACKAGE, folder / "__init__.py", [str(folder)])


def _load_file(path: str, attribute: str) -> Entry:
    file = Path(path)
    if not file.is_file():
        raise ProgramError(f"there is no file {path}")
    sys.path.insert(0, str(file.parent.resolve()))  # as `python FILE.py` does
    try:
        module = _run_module(f"_tracr_lite_file_{file.stem}", file)
        return _entry(f"{path}:{attribute}", module, attribute)
    except ProgramError:
        raise
    except Exception as error:
        raise ProgramError(f"{path} cannot be run: {type(error).__name__}: {error}") from error
    finally:
        sys.path.pop(0)


def _run_module(name: str, file: Path, folders: list[str] | None = None) -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        name, file, submodule_search_locations=folders
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _entry(name: str, module: ModuleType, attribute: str) -> Entry:
    found = vars(module)
    if attribute not in found:
        usable = [n for n, x in found.items() if isinstance(x, SOp)]
        raise ProgramError(_unknown(f"name in {module.__file__}", attribute, usable))
    program = found[attribute]
    if callable(program) and not isinstance(program, RASPExpr):
        program = program()
    if not isinstance(program, SOp):
        raise ProgramError(
            f"{name} is of type {type(program).__name__}; needed is an S-Op, or a function "
            "without arguments that returns one; wrap a selector in SelectorWidth or Aggregate"
        )
    return Entry(
        name=name,
        summary=_first_line(module.__doc__),
        program=program,
        vocab=_vocabulary(name, found),
        max_seq_len=_length(name, found),
        causal=_truth(name, found, "CAUSAL"),
        fixed_size=_truth(name, found, "FIXED_SIZE"),
        examples=tuple(found.get("EXAMPLES", ())),
        reference=found.get("reference"),
        valid=found.get("valid", _anything),
        module=module,
        prompts=tuple(found.get("PROMPTS", ())),
        end=found.get("END"),
    )


def _vocabulary(name: str, found: Mapping[str, Any]) -> tuple[Value, ...]:
    given = found.get("VOCAB", ())
    try:
        return tuple(given)
    except TypeError as error:
        reason = f"{name}: VOCAB is {given!r}; needed is a collection of tokens"
        raise ProgramError(reason) from error


def _length(name: str, found: Mapping[str, Any]) -> int | None:
    given = found.get("MAX_SEQ_LEN")
    if given is not None and (type(given) is not int or given < 1):
        raise ProgramError(f"{name}: MAX_SEQ_LEN is {given!r}; needed is 1, 2, 3 or so on")
    return given


def _truth(name: str, found: Mapping[str, Any], key: str) -> bool:
    given = found.get(key, False)
    if not isinstance(given, bool):
        raise ProgramError(f"{name}: {key} is {given!r}; needed is True or False")
    return given


def _anything(xs: list[Any]) -> bool:
    return True


def _first_line(docstring: str | None) -> str:
    return (docstring or "").strip().partition("\n")[0]


def _unknown(what: str, name: str, known: Iterable[str]) -> str:
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=3)
    if close:
        return f"there is no {what} called {name!r}; did you mean {' or '.join(close)}?"
    listed = f"; there are {', '.join(known)}" if 0 < len(known) <= 8 else ""
    return f"there is no {what} called {name!r}{listed}"
