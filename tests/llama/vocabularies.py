"""Vocabularies for the tests of tokenizers, and the golden ones where they lie."""

import json
import struct
from pathlib import Path

from tracr_lite.llama.tokenizer import Tokenizer, Vocabulary
from tracr_lite.llama.tokenizer.binary import parse_tokenizer_bin

GOLDEN = Path(__file__).parents[3] / "shared/golden"
WHY = "the golden data of run.c lie beside the checkout, not in it"
FILES = ("32000", "crafted_pub", "tok320", "tok512") if GOLDEN.is_dir() else ()

BYTES = [b"<0x%02X>" % byte for byte in range(256)]
BASE = [b"<unk>", b"\n<s>\n", b"\n</s>\n", *BYTES]
LETTERS = [b" ", b"a", b"b", b"c", "é".encode(), "€".encode(), "😀".encode()]
WORDS = [b"ab", b"bc", b"abc", b" a", b" abc", b"  ", b"    ", b"aa", b"aaaa", "é€".encode()]


def make(*extra, scores=None):
    """A vocabulary of the specials, the bytes, and `extra`, which score -1, -2, ..."""
    scores = [-1.0 - i for i in range(len(extra))] if scores is None else scores
    return Vocabulary([*BASE, *extra], [0.0] * len(BASE) + list(scores))


def small():
    """Words first, so that they merge before anything makes them impossible."""
    return make(*WORDS, *LETTERS)


def golden(name):
    """A golden tokenizer, and what run.c made of texts with it."""
    expected = json.loads((GOLDEN / f"tokenizer/encode_{name}.json").read_text())
    data = (GOLDEN / "tokenizer" / expected["tokenizer"]).read_bytes()
    return Tokenizer(parse_tokenizer_bin(data, expected["vocab_size"])), expected


def field(number, value):
    """One field of a protocol buffer: an int, a float or bytes."""
    if isinstance(value, float):
        return bytes([number << 3 | 5]) + struct.pack("<f", value)
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def varint(value):
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def sentencepiece_model(vocabulary, kinds=None, trainer=None, normalizer=None, more=b""):
    """A SentencePiece model with the pieces of a vocabulary, as such programs write it."""
    kinds, out = kinds or {}, b""
    for i, (text, score) in enumerate(zip(vocabulary.pieces, vocabulary.scores, strict=True)):
        name = {1: b"<s>", 2: b"</s>"}.get(i, text.replace(b" ", "\u2581".encode()))
        kind = kinds.get(i, 2 if i == 0 else 3 if i < 3 else 6 if i < 259 else 1)
        piece = field(1, name) + field(2, float(score))
        out += field(1, piece + (field(3, kind) if kind != 1 else b""))
    trainer = {3: 2, 35: 1} | (trainer or {})
    normalizer = {1: b"identity", 2: b"", 3: 1, 4: 0} | (normalizer or {})
    out += field(2, b"".join(field(*each) for each in trainer.items()))
    return out + field(3, b"".join(field(*each) for each in normalizer.items())) + more
