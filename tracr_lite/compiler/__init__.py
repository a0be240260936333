"""Compiles RASP programs into transformers; JAX is loaded when it is first asked to."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tracr_lite.compiler.compiling import compile_rasp_to_model
    from tracr_lite.mass.many import compile_many

__all__ = ["compile_many", "compile_rasp_to_model"]

_HOMES = {  # imported only when asked for: they need JAX, and the second stands above this part
    "compile_rasp_to_model": "tracr_lite.compiler.compiling",
    "compile_many": "tracr_lite.mass.many",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
