"""The pieces of a tokenizer with their scores, as tokenizer.bin holds them.

run.c reads pieces as C strings, so a piece with a NUL in it counts up to there only; the bytes
behind it are kept, and written again, but never used.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from tracr_lite.llama.errors import TokenizerError

UNKNOWN, BOS, EOS = 0, 1, 2  # ids that run.c knows by number
FIRST_BYTE = 3  # a byte b without a piece of its own is token b + 3
BYTE_TEXTS = tuple(b"<0x%02X>" % byte for byte in range(256))
LONGEST = (1 << 31) - 1  # the file holds lengths as int32


class Vocabulary:
    """Pieces and scores by id.

    **Arguments:**
    - `pieces`: the bytes of each token; none is empty.
    - `scores`: as float32; of two possible merges the one into the higher score comes first.
    - `max_token_length`: what the file says in front, in bytes; the longest piece by default.

    **Raises:** `TokenizerError` if tokenizer.bin could not hold them.
    """

    def __init__(
        self,
        pieces: Sequence[bytes],
        scores: Sequence[float] | np.ndarray,
        max_token_length: int | None = None,
    ):
        self.pieces = tuple(pieces)
        self.scores: Float[np.ndarray, " vocab"] = np.array(scores, np.float32)
        self.scores.setflags(write=False)
        longest = max(map(len, self.pieces), default=0)
        self.max_token_length = longest if max_token_length is None else max_token_length
        self._check(longest)
        self.texts = tuple(piece.partition(b"\0")[0] for piece in self.pieces)
        self._ids = _index(self.texts)

    def __len__(self) -> int:
        return len(self.pieces)

    def find(self, text: bytes) -> int:
        """The id of a text, or -1. Where several have it, see `_index`."""
        return self._ids.get(text, -1)

    def twins(self) -> list[bytes]:
        """The texts that several tokens have."""
        return [text for text, count in Counter(self.texts).items() if count > 1]

    def has_byte_pieces(self) -> bool:
        """Whether tokens 3 to 258 are `<0x00>` to `<0xFF>`, as run.c takes for granted."""
        return self.texts[FIRST_BYTE : FIRST_BYTE + 256] == BYTE_TEXTS

    def _check(self, longest: int) -> None:
        if not self.pieces:
            raise TokenizerError("a vocabulary needs at least one token")
        if self.scores.shape != (len(self.pieces),):
            raise TokenizerError(
                f"{len(self.pieces)} pieces have scores of shape {self.scores.shape}"
            )
        if b"" in self.pieces:
            raise TokenizerError(
                f"token {self.pieces.index(b'')} is empty; run.c cannot read such a token"
            )
        if not longest <= self.max_token_length <= LONGEST:
            raise TokenizerError(
                f"max_token_length is {self.max_token_length}, but the longest token has "
                f"{longest} bytes; run.c would write outside its buffer"
            )


def _index(texts: tuple[bytes, ...]) -> dict[bytes, int]:
    """Text -> id. Of several ids with the same text, the one run.c finds.

    run.c sorts with qsort and looks up with bsearch. In glibc the first is stable and the
    second halves the range, so which twin it meets first depends on the whole vocabulary. Other
    C libraries may find another one.
    """
    order = sorted(range(len(texts)), key=texts.__getitem__)
    ids = {texts[i]: i for i in order}
    if len(ids) < len(texts):
        counts = Counter(texts)
        for text in (text for text, count in counts.items() if count > 1):
            low, high = 0, len(order)
            while texts[order[middle := (low + high) // 2]] != text:
                if text < texts[order[middle]]:
                    high = middle
                else:
                    low = middle + 1
            ids[text] = order[middle]
    return ids
