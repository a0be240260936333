"""Adapters in the files of PEFT, and on our Llama models."""

from tracr_lite.lora.peft.folder import load_peft, save_peft
from tracr_lite.lora.peft.llama import from_llama, to_llama

__all__ = ["from_llama", "load_peft", "save_peft", "to_llama"]
