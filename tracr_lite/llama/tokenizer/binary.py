"""tokenizer.bin: reading with every field checked, and writing.

    uint32  max_token_length
    then for each token:  float32 score, int32 length, that many bytes

All little-endian. The file says neither how many tokens it has nor what they mean.
Source: llama2.c, tokenizer.py and run.c, `build_tokenizer` (350e04f).
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np

from tracr_lite.llama.errors import TokenizerError
from tracr_lite.llama.formats.aside import Writer, aside, publish
from tracr_lite.llama.tokenizer.vocabulary import Vocabulary

MAX_FILE = 1 << 28  # bytes; the largest vocabularies in use need a fiftieth of it


def parse_tokenizer_bin(data: bytes, vocab_size: int | None = None) -> Vocabulary:
    """The vocabulary in the bytes of a tokenizer.bin.

    **Arguments:** `vocab_size`: that of the model. run.c reads so many tokens and leaves the
    rest of a longer file alone; so does this, but the rest must be whole tokens too. Without it
    all tokens are taken.

    **Raises:** `TokenizerError` that says at which token and byte the file is wrong.
    """
    if len(data) < 4:
        raise TokenizerError(f"{len(data)} byte(s) are no tokenizer.bin; it starts with four")
    (longest,) = struct.unpack_from("<I", data)
    if longest > len(data):
        raise TokenizerError(
            f"max_token_length is {longest}, more than the whole file has ({len(data)} bytes): "
            "this is no tokenizer.bin, or a damaged one"
        )
    pieces: list[bytes] = []
    scores: list[bytes] = []
    offset = 4
    while offset < len(data):
        end = _end_of_token(data, offset, len(pieces), longest)
        scores.append(data[offset : offset + 4])
        pieces.append(data[offset + 8 : end])
        offset = end
    size = len(pieces) if vocab_size is None else vocab_size
    if not 0 < size <= len(pieces):
        wanted = "at least one" if vocab_size is None else f"the {vocab_size} of the model"
        raise TokenizerError(f"the file has {len(pieces)} token(s), not {wanted}")
    return Vocabulary(pieces[:size], np.frombuffer(b"".join(scores[:size]), "<f4"), longest)


def _end_of_token(data: bytes, offset: int, token: int, longest: int) -> int:
    """Where the token at `offset` ends; raises if it is not all there."""
    where = f"token {token} at byte {offset}"
    if len(data) - offset < 8:
        raise TokenizerError(
            f"{where}: only {len(data) - offset} byte(s) are left, a token needs eight and its "
            "text; the file was cut, or has something appended"
        )
    (length,) = struct.unpack_from("<i", data, offset + 4)
    if length < 1:
        raise TokenizerError(f"{where} has length {length}; every token has at least one byte")
    if length > longest:
        raise TokenizerError(f"{where} has length {length}, above max_token_length {longest}")
    if length > len(data) - offset - 8:
        raise TokenizerError(
            f"{where} has length {length}, but only {len(data) - offset - 8} byte(s) are left"
        )
    return offset + 8 + length


def tokenizer_bin(vocabulary: Vocabulary) -> bytes:
    """The bytes of a tokenizer.bin; those that were read, if it was read."""
    parts = [struct.pack("<I", vocabulary.max_token_length)]
    scores = vocabulary.scores.astype("<f4").tobytes()
    for i, piece in enumerate(vocabulary.pieces):
        parts += [scores[4 * i : 4 * i + 4], struct.pack("<i", len(piece)), piece]
    return b"".join(parts)


def write_whole(path: str | Path, data: bytes) -> None:
    """Writes a file under another name and renames it, so that no half of it is ever seen."""
    goal = Path(path)
    try:
        with aside(goal) as work:
            with Writer(work / "new", len(data)) as file:
                file.write_at(0, data)
            publish(work / "new", goal)
    except OSError as error:
        raise TokenizerError(f"cannot write {str(path)!r}: {error.strerror}") from error


def read_whole(path: str | Path) -> bytes:
    """The bytes of a tokenizer file of any kind; refuses what is too large to be one."""
    try:
        with Path(path).open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            data = file.read(MAX_FILE + 1) if size <= MAX_FILE else b""
    except OSError as error:
        raise TokenizerError(f"cannot read {str(path)!r}: {error.strerror}") from error
    if max(size, len(data)) > MAX_FILE:
        raise TokenizerError(f"{str(path)!r} has more than {MAX_FILE} bytes: no tokenizer")
    return data
