"""Tokenizers of llama2.c: tokenizer.bin, and what other programs write that can become one."""

from tracr_lite.llama.tokenizer.codec import Tokenizer
from tracr_lite.llama.tokenizer.vocabulary import Vocabulary

__all__ = ["Tokenizer", "Vocabulary"]
