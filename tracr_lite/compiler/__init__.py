"""Compiles RASP programs into transformers; JAX is loaded when it is first asked to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tracr_lite.compiler.compiling import compile_rasp_to_model

__all__ = ["compile_rasp_to_model"]


def __getattr__(name: str) -> Any:
    if name == "compile_rasp_to_model":
        from tracr_lite.compiler.compiling import compile_rasp_to_model  # it needs JAX

        return compile_rasp_to_model
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
