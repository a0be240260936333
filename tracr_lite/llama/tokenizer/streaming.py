"""Decoding token by token into text, while tokens may end inside a character."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

from tracr_lite.llama.tokenizer.vocabulary import BOS

if TYPE_CHECKING:
    from tracr_lite.llama.tokenizer.codec import Tokenizer


class TextStream:
    """Gives out the text of tokens as soon as its characters are complete.

    All that `push` and `finish` return, put together, is `Tokenizer.decode_text` of all tokens.
    """

    def __init__(self, tokenizer: Tokenizer, previous: int | None, errors: str):
        self._tokenizer = tokenizer
        self._previous = previous
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors)

    def push(self, token: int) -> str:
        """The text that `token` completes; may be empty."""
        previous, self._previous = self._previous, token
        if previous is None and token == BOS:
            return ""
        return self._decoder.decode(self._tokenizer.piece(previous, token))

    def finish(self) -> str:
        """The rest: a character that was begun and not completed, by the rule of `errors`."""
        return self._decoder.decode(b"", final=True)
