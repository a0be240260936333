"""When generation ends: at certain tokens, or where a certain text comes up.

run.c, `generate`: BOS ends it, and is not printed; EOS does not end it. `chat`: EOS ends the
turn of the assistant; BOS does not. The other limit, the number of positions, is that of the
loop.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tracr_lite.llama.errors import LlamaError
from tracr_lite.llama.texts import utf8

BOS, EOS = 1, 2


@dataclass(frozen=True)
class StopRule:
    """**Arguments:** `ids`: tokens that end the text and are no part of it. `texts`: see
    `StopText`; run.c has none."""

    ids: frozenset[int] = frozenset()
    texts: tuple[str | bytes, ...] = ()


GENERATE = StopRule(frozenset([BOS]))
CHAT = StopRule(frozenset([EOS]))


class StopText:
    """Cuts a stream of bytes before the first text that ends it.

    The first is the one whose last byte comes first; of several that end together the longest.
    Bytes that may be the beginning of one are held back until that is known, so nothing has to
    be taken back. How the stream is divided makes no difference.

    **Arguments:** `stops`: texts, none of them empty; of strings the UTF-8 is taken.
    **Raises:** `LlamaError` if one is empty, or has no UTF-8.

    Attribute: `found`, the text that ended the stream, or None.
    """

    def __init__(self, stops: Iterable[str | bytes]):
        stops = (stops,) if isinstance(stops, (str, bytes)) else stops
        texts = {utf8(stop) for stop in stops}
        if b"" in texts:
            raise LlamaError("an empty text cannot end a text: it is everywhere")
        self._stops = sorted(texts, key=lambda text: (-len(text), text))
        self._beginnings = {text[:n] for text in texts for n in range(1, len(text))}
        self._longest = max(map(len, texts), default=1) - 1
        self._held = b""
        self.found: bytes | None = None

    def push(self, data: bytes) -> bytes:
        """What of the stream up to the end of `data` can be given out now."""
        out = bytearray()
        for i in range(len(data)):
            if self.found is not None:
                break
            self._held += data[i : i + 1]
            for stop in self._stops:
                if self._held.endswith(stop):
                    self.found = stop
                    out += self._held.removesuffix(stop)
                    self._held = b""
                    break
            keep = self._open()
            out += self._held[: len(self._held) - keep]
            self._held = self._held[len(self._held) - keep :]
        return bytes(out)

    def finish(self) -> bytes:
        """What was held back when the stream ends by itself."""
        rest, self._held = self._held, b""
        return rest

    def _open(self) -> int:
        """The length of the longest end of what is held that may begin a stop."""
        for length in range(min(len(self._held), self._longest), 0, -1):
            if self._held[-length:] in self._beginnings:
                return length
        return 0
