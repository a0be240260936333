"""Decoding token by token into text, while tokens may end inside a character."""

from __future__ import annotations

import codecs
from collections.abc import Iterable
from typing import TYPE_CHECKING

from tracr_lite.llama.sampler_stops import StopText
from tracr_lite.llama.tokenizer.vocabulary import BOS

if TYPE_CHECKING:
    from tracr_lite.llama.tokenizer.codec import Tokenizer


class TextStream:
    """Gives out the text of tokens as soon as its characters are complete.

    All that `push` and `finish` return, put together, is `Tokenizer.decode_text` of all tokens,
    cut before the first of `stops` if there is one.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        previous: int | None,
        errors: str,
        stops: Iterable[str | bytes],
    ):
        self._tokenizer = tokenizer
        self._previous = previous
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors)
        self._stop = StopText(stops)

    @property
    def stopped(self) -> bool:
        """Whether one of the stops came up; from then on there is no more text."""
        return self._stop.found is not None

    def push(self, token: int) -> str:
        """The text that `token` completes; may be empty."""
        previous, self._previous = self._previous, token
        if previous is None and token == BOS:
            return ""
        piece = self._tokenizer.piece(previous, token)
        return self._decoder.decode(self._stop.push(piece))

    def finish(self) -> str:
        """The rest: what might have become a stop, and a character that was not completed."""
        return self._decoder.decode(self._stop.finish(), final=True)
