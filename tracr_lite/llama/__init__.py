"""Llama models: checkpoints of llama2.c and Hugging Face, tokenizer, generation.

Nothing heavy is imported before it is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tracr_lite.llama.checkpoint import Checkpoint, load_checkpoint
    from tracr_lite.llama.config import LlamaConfig
    from tracr_lite.llama.formats.target import Target
    from tracr_lite.llama.generate import Generation
    from tracr_lite.llama.runtime import Llama, load
    from tracr_lite.llama.saving import Written, convert, save_checkpoint
    from tracr_lite.llama.weights import LlamaWeights, Quantized

# public name -> the module that has it
_HOME = {
    "Checkpoint": "checkpoint",
    "Generation": "generate",
    "Llama": "runtime",
    "LlamaConfig": "config",
    "LlamaWeights": "weights",
    "Quantized": "weights",
    "Target": "formats.target",
    "Written": "saving",
    "convert": "saving",
    "load": "runtime",
    "load_checkpoint": "checkpoint",
    "save_checkpoint": "saving",
}
__all__ = [
    "Checkpoint",
    "Generation",
    "Llama",
    "LlamaConfig",
    "LlamaWeights",
    "Quantized",
    "Target",
    "Written",
    "convert",
    "load",
    "load_checkpoint",
    "save_checkpoint",
]


def __getattr__(name: str) -> Any:  # whatever the name stands for
    if name in _HOME:
        return getattr(import_module(f"tracr_lite.llama.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
