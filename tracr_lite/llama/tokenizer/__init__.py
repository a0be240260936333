"""Tokenizers of llama2.c: tokenizer.bin, and what other programs have that can become one.

tokenizer = load_tokenizer("tokenizer.bin")
tokenizer.decode(tokenizer.encode("Once upon a time"))
"""

from tracr_lite.llama.tokenizer.codec import Tokenizer
from tracr_lite.llama.tokenizer.files import (
    load_tokenizer,
    load_tokenizer_for,
    save_tokenizer,
)
from tracr_lite.llama.tokenizer.hugging_face_export import hugging_face_files
from tracr_lite.llama.tokenizer.streaming import TextStream
from tracr_lite.llama.tokenizer.vocabulary import Vocabulary

__all__ = [
    "TextStream",
    "Tokenizer",
    "Vocabulary",
    "hugging_face_files",
    "load_tokenizer",
    "load_tokenizer_for",
    "save_tokenizer",
]
