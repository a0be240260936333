"""RASP programs as weights of unmodified architectures: Llama and GPT-2.

What ordinary runtimes load and run, token by token, exactly: see `docs/targets.md`. Files for
them are written by `tracr_lite.targets.export`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tracr_lite.targets.answering import AfterSeparator, after_separator
    from tracr_lite.targets.autoregressive import GenerationError, Written, generate
    from tracr_lite.targets.compiling import compile_rasp_to_gpt2, compile_rasp_to_llama
    from tracr_lite.targets.stock_model import StockModel, StockVocabulary

__all__ = [
    "AfterSeparator",
    "GenerationError",
    "StockModel",
    "StockVocabulary",
    "Written",
    "after_separator",
    "compile_rasp_to_gpt2",
    "compile_rasp_to_llama",
    "generate",
]

_HOMES = {
    "AfterSeparator": "tracr_lite.targets.answering",
    "GenerationError": "tracr_lite.targets.autoregressive",
    "StockModel": "tracr_lite.targets.stock_model",
    "StockVocabulary": "tracr_lite.targets.stock_model",
    "Written": "tracr_lite.targets.autoregressive",
    "after_separator": "tracr_lite.targets.answering",
    "compile_rasp_to_gpt2": "tracr_lite.targets.compiling",
    "compile_rasp_to_llama": "tracr_lite.targets.compiling",
    "generate": "tracr_lite.targets.autoregressive",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
