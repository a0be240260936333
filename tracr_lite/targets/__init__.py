"""RASP programs as weights of unmodified architectures: Llama and GPT-2.

What ordinary runtimes load and run, token by token, exactly: see `docs/targets.md`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tracr_lite.targets.compiling import compile_rasp_to_gpt2, compile_rasp_to_llama
    from tracr_lite.targets.stock_model import StockModel, StockVocabulary

__all__ = ["StockModel", "StockVocabulary", "compile_rasp_to_gpt2", "compile_rasp_to_llama"]

_HOMES = {
    "compile_rasp_to_llama": "tracr_lite.targets.compiling",
    "compile_rasp_to_gpt2": "tracr_lite.targets.compiling",
    "StockModel": "tracr_lite.targets.stock_model",
    "StockVocabulary": "tracr_lite.targets.stock_model",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
