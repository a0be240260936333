"""What one token stands for: bytes, and what of them run.c prints."""

from __future__ import annotations

import re

# sscanf(piece, "<0x%02hhX>", &byte) as glibc reads it: blanks are skipped, a sign counts as one
# of the two characters, and neither the end of the piece nor the ">" is looked at.
_BYTE = re.compile(rb"<0x[ \t\n\v\f\r]*(?:([+-])([0-9a-fA-F])|([0-9a-fA-F]{1,2}))")
_PRINTED = frozenset(b"\t\n\v\f\r") | frozenset(range(0x20, 0x7F))


def scan_byte(text: bytes) -> int | None:
    """The byte that a text starting like `<0x41>` stands for; None for other texts."""
    found = _BYTE.match(text)
    if found is None:
        return None
    sign, digit, digits = found.groups()
    if sign is None:
        return int(digits, 16)
    return int(digit, 16) if sign == b"+" else -int(digit, 16) & 0xFF


def printed(piece: bytes) -> bytes:
    """What run.c writes to its standard output for a piece.

    Pieces of one byte that is neither printable nor white space in the C locale are left out:
    control characters, and every byte from 0x80 on. So characters that are spelt byte by byte
    never show there.
    """
    return b"" if len(piece) == 1 and piece[0] not in _PRINTED else piece
