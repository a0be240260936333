"""Reading the wire format of protocol buffers: as much as a SentencePiece model needs.

Source: the description "Encoding" in the documentation of Protocol Buffers.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from tracr_lite.llama.errors import TokenizerError

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
Value = int | bytes


def fields(message: bytes, what: str) -> Iterator[tuple[int, int, Value]]:
    """The fields of a message, in order: number, wire type, and the value, still undecoded.

    **Raises:** `TokenizerError` that says where `message` stops being one.
    """
    offset = 0
    while offset < len(message):
        start = offset
        tag, offset = _varint(message, offset, what)
        number, kind = tag >> 3, tag & 7
        if not 0 < number < 1 << 29:
            raise TokenizerError(f"{what}: byte {start} begins a field of number {number}")
        if kind == VARINT:
            value, offset = _varint(message, offset, what)
            yield number, kind, value
            continue
        if kind == BYTES:
            length, offset = _varint(message, offset, what)
        elif kind in (FIXED32, FIXED64):
            length = 4 if kind == FIXED32 else 8
        else:
            raise TokenizerError(f"{what}: byte {start} begins a field of unknown type {kind}")
        if length > len(message) - offset:
            raise TokenizerError(
                f"{what}: field {number} at byte {start} has {length} bytes, but only "
                f"{len(message) - offset} are left"
            )
        yield number, kind, message[offset : offset + length]
        offset += length


class Message:
    """A message with its fields by number, each asked for by its type.

    A field that is there several times counts with its last value, an inner message with all of
    them put together, as the format wants it.
    """

    def __init__(self, data: bytes, what: str):
        self._what = what
        self._found: dict[int, list[tuple[int, Value]]] = {}
        for number, kind, value in fields(data, what):
            self._found.setdefault(number, []).append((kind, value))

    def integer(self, number: int, default: int) -> int:
        """An int32, enum or bool."""
        values = self._of(number, VARINT)
        if not values:
            return default
        low = int(values[-1]) & 0xFFFFFFFF
        return low - (1 << 32) if low >> 31 else low

    def float32(self, number: int, default: float) -> float:
        """A float."""
        values = self._of(number, FIXED32)
        return struct.unpack("<f", values[-1])[0] if values else default  # type: ignore[arg-type]

    def bytes(self, number: int) -> bytes:
        """The last value of a string or bytes field; empty if there is none."""
        values = self._of(number, BYTES)
        return values[-1] if values else b""  # type: ignore[return-value]

    def all_bytes(self, number: int) -> list[bytes]:
        """All values of a repeated field."""
        return self._of(number, BYTES)  # type: ignore[return-value]

    def message(self, number: int, what: str) -> Message:
        """An inner message; one without fields if there is none."""
        return Message(b"".join(self.all_bytes(number)), what)

    def others(self, known: range) -> list[int]:
        """Numbers of fields that are not `known`, up to 199; those above are extensions."""
        return sorted(number for number in self._found if number not in known and number < 200)

    def _of(self, number: int, kind: int) -> list[Value]:
        found = self._found.get(number, [])
        for other, _ in found:
            if other != kind:
                raise TokenizerError(
                    f"{self._what}: field {number} is of wire type {other}, not {kind}"
                )
        return [value for _, value in found]


def _varint(message: bytes, offset: int, what: str) -> tuple[int, int]:
    """A number of at most 64 bits, and the offset after it."""
    value = 0
    for place in range(10):
        if offset >= len(message):
            raise TokenizerError(f"{what}: it ends inside a number, at byte {offset}")
        byte = message[offset]
        offset += 1
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            if value >> 64:
                break
            return value, offset
    raise TokenizerError(f"{what}: a number at byte {offset} has more than 64 bits")
