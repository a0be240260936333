"""When decoding undoes encoding, decided from the vocabulary alone."""

from __future__ import annotations

import re

from tracr_lite.llama.tokenizer.merging import NEVER
from tracr_lite.llama.tokenizer.pieces import scan_byte
from tracr_lite.llama.tokenizer.vocabulary import BOS, BYTE_TEXTS, FIRST_BYTE, Vocabulary

_BYTE_TEXT = re.compile(rb"<0x[0-9A-F]{2}>")


def round_trip_problems(vocabulary: Vocabulary) -> list[str]:
    """Reasons why `decode(encode(x)) == x` may fail; if there is none, it holds.

    Encoding keeps the texts of all tokens, put together, as they were before the merges: BOS, a
    space, then characters or `<0xNN>`. Decoding gives back each token's text. So the law holds
    unless a token stands for something else than its text, or BOS or a byte is merged away.
    """
    if not vocabulary.has_byte_pieces():
        return [
            "tokens 3 to 258 are not <0x00> to <0xFF>, so other characters become wrong text"
        ]
    found: list[str] = []
    if vocabulary.find(b" ") < 0:
        found.append("there is no token for one space")
    bos = vocabulary.texts[BOS]
    if not bos or len(bos) < 5 or made_of_two(vocabulary, bos):
        found.append(f"the text of BOS, {bos!r}, can come from a text")
    for token, text in enumerate(vocabulary.texts):
        if FIRST_BYTE <= token < FIRST_BYTE + 256:
            continue
        if scan_byte(text) is not None or scan_byte(text.removeprefix(b" ")) is not None:
            found.append(f"token {token}, {text!r}, is read as a byte")
        elif _BYTE_TEXT.search(text):
            found.append(f"token {token}, {text!r}, is made of a byte and something else")
        elif bos and token != BOS and text.startswith(bos):
            found.append(f"token {token}, {text!r}, takes BOS up")
    found += [
        f"{text.decode()} can be merged from the characters of its name"
        for text in BYTE_TEXTS
        if made_of_two(vocabulary, text)
    ]
    return found


def made_of_two(vocabulary: Vocabulary, text: bytes) -> bool:
    """Whether two tokens can be merged into a text that is a token."""
    token = vocabulary.find(text)
    if token < 0 or not float(vocabulary.scores[token]) > NEVER:
        return False
    find = vocabulary.find
    return any(find(text[:cut]) >= 0 and find(text[cut:]) >= 0 for cut in range(1, len(text)))
