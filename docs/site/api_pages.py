"""The API reference: names, signatures and docstrings of what users import, as Markdown.

Docstrings of tracr_lite are Markdown themselves, so they are set as they are. `PAGES` says what
stands where; `tracr_lite.rasp.rasp` and the modules like it have the names of Tracr's.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import importlib
import inspect
import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any

PAGES = {  # page -> modules on it, in order; a file docs/api/PAGE.md introduces them
    "language": ("rasp.rasp", "rasp.causal_eval", "compiler.lib", "sampling"),
    "compiler": (
        "compiler.compiling",
        "compiler.assemble",
        "compiler.trace_of",
        "compiler.validating",
        "compiler.rasp_to_graph",
        "compiler.saving.save",
        "compiler.saving.load",
        "mass",
        "catalog",
        "errors",
    ),
    "craft": ("craft.bases", "craft.vectorspace_fns", "craft.transformers"),
    "transformer": (
        "transformer.model",
        "transformer.attention",
        "transformer.encoder",
        "transformer.compressed_model",
    ),
    "targets": ("targets", "targets.export"),
    "checking": (
        "verifying",
        "certifying.certify",
        "certifying.certificate",
        "certifying.checker",
        "compiler.circuits.circuit",
        "compiler.circuits.intervening",
        "compiler.circuits.errors",
        "visualize",
    ),
    "llama": ("llama", "llama.tokenizer"),
    "lora": ("lora", "lora.peft", "lora.superposition"),
    "xor": ("xor",),
}
MORE = {  # names that users of a module find there, although they come from elsewhere
    "tracr_lite.craft.bases": ("BasisDirection",),
    "tracr_lite.compiler.compiling": ("COMPILER_BOS", "COMPILER_PAD"),
}
LONG = 60  # characters of a default value that are still shown
_ADDRESS = re.compile(r"<.*>", re.DOTALL)


def text(page: str) -> str:
    """What follows the introduction of a page of the API."""
    modules = [f"tracr_lite.{name}" for name in PAGES.get(page, ())]
    return "".join(_module(name) for name in modules if importlib.util.find_spec(name))


def public_names(module: ModuleType) -> list[str]:
    """The names that a module offers: listed, handed on, or defined in it."""
    if hasattr(module, "__all__"):
        return list(dict.fromkeys(module.__all__))
    package = hasattr(module, "__path__")
    defined = [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and not inspect.ismodule(value)
        and _is_of(module.__name__, value, package)
    ]
    return defined + [n for n in getattr(module, "_HOMES", ()) if n not in defined]


def _is_of(module: str, value: Any, package: bool) -> bool:
    home = getattr(value, "__module__", None)
    if not isinstance(home, str) or not (inspect.isclass(value) or inspect.isroutine(value)):
        return type(value).__module__.startswith("tracr_lite") and not package
    return home == module or (package and home.startswith("tracr_lite"))


def _module(name: str) -> str:
    module = importlib.import_module(name)
    summary = (inspect.getdoc(module) or "").split("\n\n")[0].replace("\n", " ")
    parts = [f"\n\n## {name}\n\n{summary}\n"]
    for public in (*public_names(module), *MORE.get(name, ())):
        parts.append(_entry(name, public, getattr(module, public)))
    return "\n".join(parts)


def _entry(module: str, name: str, value: Any) -> str:
    if inspect.isclass(value):
        body = "\n\n".join([_doc(value), *_members(value)])
        kind = "exception" if issubclass(value, BaseException) else "class"
        plain = kind == "exception" or issubclass(value, enum.Enum) or _is_protocol(value)
        signature = "" if plain else _signature(value)
        return _block(kind, name + signature, body, module, colons=6)
    if callable(value) and hasattr(value, "__name__") and not _is_instance_of_ours(value):
        return _block("function", name + _signature(value), _doc(value), module, colons=6)
    doc = f"An instance of `{type(value).__name__}`." if _is_instance_of_ours(value) else ""
    flag = f":value: {value!r}\n" if isinstance(value, (bool, int, float, str)) else ""
    return _block("data", name, doc, module, colons=6, flag=flag)


def _is_protocol(value: type) -> bool:
    return bool(getattr(value, "_is_protocol", False))


def _is_instance_of_ours(value: Any) -> bool:
    return not inspect.isclass(value) and type(value).__module__.startswith("tracr_lite")


def _members(cls: type) -> Iterator[str]:
    if issubclass(cls, enum.Enum):
        yield "Members: " + ", ".join(f"`{member.name}`" for member in cls)
    for name, value in _own(cls).items():
        if name.startswith("_"):
            continue
        if isinstance(value, (property, functools.cached_property)):
            getter = value.fget if isinstance(value, property) else value.func
            yield _block("property", name, _doc(getter), None, colons=4)
        elif isinstance(value, (classmethod, staticmethod)):
            flag = f":{type(value).__name__}:\n"
            shown = name + _signature(value.__func__, drop=isinstance(value, classmethod))
            yield _block("method", shown, _doc(value.__func__), None, colons=4, flag=flag)
        elif inspect.isfunction(value):
            yield _block(
                "method", name + _signature(value, drop=True), _doc(value), None, colons=4
            )


def _own(cls: type) -> dict[str, Any]:
    """What a class defines, and what it has from classes that users do not see."""
    hidden = [each for each in cls.__mro__[1:] if each.__name__.startswith("_")]
    hidden = [each for each in hidden if each.__module__.startswith("tracr_lite")]
    found: dict[str, Any] = {}
    for each in (*reversed(hidden), cls):
        found.update(vars(each))
    return found


def _doc(value: Any) -> str:
    """The docstring of this very object; that of dataclasses without one is their signature."""
    doc = (
        vars(value).get("__doc__") if inspect.isclass(value) else getattr(value, "__doc__", "")
    )
    if (
        inspect.isclass(value)
        and dataclasses.is_dataclass(value)
        and (doc or "").startswith(f"{value.__name__}(")
    ):
        return ""
    return inspect.cleandoc(doc or "")


def _signature(value: Any, drop: bool = False) -> str:
    """As text; without `self`, and with defaults only where they can be read."""
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):
        return "()"
    parameters = list(signature.parameters.values())[1 if drop else 0 :]
    shown = [p.replace(default=_default(p.default)) for p in parameters]
    returns = signature.return_annotation
    plain = signature.replace(
        parameters=shown,
        return_annotation=inspect.Signature.empty if inspect.isclass(value) else returns,
    )
    return re.sub(r"'([^'\n]*)'(?=[,)=]| =|$)", r"\1", _without_addresses(str(plain)))


class _Text:
    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def _default(value: Any) -> Any:
    if value is inspect.Parameter.empty:
        return value
    text = _ADDRESS.sub("...", repr(value))
    return _Text(text if len(text) <= LONG else "...")


def _without_addresses(text: str) -> str:
    return re.sub(r"<[^<>]*>", "...", text)


def _block(
    kind: str, shown: str, body: str, module: str | None, colons: int, flag: str = ""
) -> str:
    fence = "`" * colons
    where = f":module: {module}\n" if module else ""
    return f"{fence}{{py:{kind}}} {shown}\n{where}{flag}\n{body}\n{fence}\n"
