"""Text to tokens and back, byte for byte as run.c does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property

from tracr_lite.llama.errors import TokenizerError
from tracr_lite.llama.texts import utf8
from tracr_lite.llama.tokenizer.merging import Merger
from tracr_lite.llama.tokenizer.pieces import printed, scan_byte
from tracr_lite.llama.tokenizer.promise import round_trip_problems
from tracr_lite.llama.tokenizer.streaming import TextStream
from tracr_lite.llama.tokenizer.vocabulary import BOS, EOS, Vocabulary


class Tokenizer:
    """The tokenizer of llama2.c over a vocabulary.

    `<s>`, `</s>` and `<0x0A>` in a text are ordinary characters; only the arguments `bos` and
    `eos` add those tokens. A NUL ends a text, as in C, unless `keep_nul` is given.

    Source: llama2.c, run.c, `encode` and `decode` (350e04f).
    """

    def __init__(self, vocabulary: Vocabulary):
        self.vocabulary = vocabulary

    def __len__(self) -> int:
        return len(self.vocabulary)

    def encode(
        self, text: str | bytes, *, bos: bool = True, eos: bool = False, keep_nul: bool = False
    ) -> list[int]:
        """The tokens of a text; any bytes have some.

        A space is put in front of a text that is not empty. A vocabulary may have a token that
        starts with the text of BOS; then BOS can be merged with that space, as in run.c.

        **Arguments:**
        - `text`: bytes, or a string, of which the UTF-8 is taken.
        - `bos`, `eos`: whether tokens 1 and 2 are put around it.
        - `keep_nul`: whether a NUL is a byte like others.

        **Raises:** `TokenizerError` if the vocabulary lacks a token that is needed, where run.c
        would read outside its arrays; or if a string holds half a surrogate pair.
        """
        data = utf8(text)
        data = data if keep_nul else data.partition(b"\0")[0]
        ids = [self._special(BOS)] if bos else []
        if data:
            ids.append(self._prefix)
            ids = self._merger.merge(ids + self._merger.units(data))
        return [*ids, self._special(EOS)] if eos else ids

    def piece(self, previous: int | None, token: int, *, keep_nul: bool = False) -> bytes:
        """The bytes of one token after another one.

        After BOS one space is dropped. A text that scans like `<0x41>` becomes that byte; the
        byte 0 prints nothing in C, and is here only with `keep_nul`.
        """
        self._check(token)
        text = self._after_bos[token] if previous == BOS else self._after_others[token]
        return b"" if text == b"\0" and not keep_nul else text

    def decode(self, ids: Iterable[int], *, keep_nul: bool = False) -> bytes:
        """The bytes of tokens, without those of BOS in front.

        It is the inverse of `encode` where `round_trip_problems` is empty.
        """
        return b"".join(self._pieces(ids, keep_nul))

    def decode_text(self, ids: Iterable[int], errors: str = "replace") -> str:
        """The text of tokens; `errors` is what `bytes.decode` knows, for what is not UTF-8."""
        return self.decode(ids).decode(errors=errors)

    def printed(self, ids: Iterable[int]) -> bytes:
        """What run.c writes to its standard output for tokens; see `pieces.printed`."""
        return b"".join(map(printed, self._pieces(ids, False)))

    def stream(
        self,
        previous: int | None = None,
        errors: str = "replace",
        stops: Iterable[str | bytes] = (),
    ) -> TextStream:
        """Decodes tokens one at a time into text that never ends inside a character.

        **Arguments:**
        - `previous`: the token before the first one, if that is not to be given out itself;
          BOS at the start of a text.
        - `errors`: as for `decode_text`.
        - `stops`: texts that end the stream; see `sampler_stops.StopText`.
        """
        return TextStream(self, previous, errors, stops)

    def round_trip_problems(self) -> list[str]:
        """Why decoding may not undo encoding; empty if `decode(encode(x)) == x` for every x.

        That promise is for texts without NUL and for `encode` with BOS; with `keep_nul` on both
        sides it is for all bytes.
        """
        return round_trip_problems(self.vocabulary)

    def _pieces(self, ids: Iterable[int], keep_nul: bool) -> Iterator[bytes]:
        previous = None
        for token in ids:
            if previous is not None or token != BOS:
                yield self.piece(previous, token, keep_nul=keep_nul)
            previous = token

    def _check(self, token: int) -> None:
        if not 0 <= token < len(self.vocabulary):
            raise TokenizerError(
                f"token {token} is not in the vocabulary, which has {len(self.vocabulary)}"
            )

    def _special(self, token: int) -> int:
        self._check(token)
        return token

    @cached_property
    def _prefix(self) -> int:
        if (space := self.vocabulary.find(b" ")) < 0:
            raise TokenizerError(
                "the vocabulary has no token for one space, which is put before every text; "
                "run.c crashes here. Does the tokenizer belong to this model?"
            )
        return space

    @cached_property
    def _merger(self) -> Merger:
        return Merger(self.vocabulary)

    @cached_property
    def _after_others(self) -> tuple[bytes, ...]:
        return tuple(map(_meaning, self.vocabulary.texts))

    @cached_property
    def _after_bos(self) -> tuple[bytes, ...]:
        return tuple(_meaning(text.removeprefix(b" ")) for text in self.vocabulary.texts)


def _meaning(text: bytes) -> bytes:
    byte = scan_byte(text)
    return text if byte is None else bytes([byte])
