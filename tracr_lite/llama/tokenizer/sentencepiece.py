"""SentencePiece models (tokenizer.model) as vocabularies, without the sentencepiece package.

A model is a protocol buffer, `ModelProto`. tokenizer.bin holds its pieces and scores; all else
must be what run.c does by itself, and is checked here.

One difference is in all of them and not reported: SentencePiece takes the character U+2581 in a
text for a space; run.c encodes it by its bytes.
Source: sentencepiece_model.proto of SentencePiece 0.2; llama2.c, tokenizer.py (350e04f).
"""

from __future__ import annotations

from collections.abc import Collection

from tracr_lite.llama.errors import TokenizerError
from tracr_lite.llama.tokenizer.differences import Differences
from tracr_lite.llama.tokenizer.promise import made_of_two, round_trip_problems
from tracr_lite.llama.tokenizer.vocabulary import BOS, EOS, UNKNOWN, Vocabulary
from tracr_lite.llama.tokenizer.wire import Message

SPACE = "\u2581".encode()  # how SentencePiece writes a space inside a piece
SPECIAL_TEXTS = {BOS: b"\n<s>\n", EOS: b"\n</s>\n"}  # what llama2.c writes for these pieces
BPE = 2
NORMAL, UNKNOWN_TYPE, CONTROL, BYTE = 1, 2, 3, 6
SPECIAL_KINDS = {4: "user-defined", 5: "unused"}


def parse_sentencepiece(data: bytes, ignore: Collection[str] | str = ()) -> Vocabulary:
    """The vocabulary of a SentencePiece model, with the texts that llama2.c gives the pieces.

    **Arguments:** `data`: the bytes of tokenizer.model. `ignore`: names of `differences.NAMES`
    that are accepted.
    **Raises:** `TokenizerError` if the bytes are no such model, or that lists everything in it
    that tokenizer.bin cannot hold.
    """
    model = Message(data, "the SentencePiece model")
    pieces: list[bytes] = []
    scores: list[float] = []
    kinds: list[int] = []
    for i, each in enumerate(model.all_bytes(1)):
        piece = Message(each, f"piece {i} of the SentencePiece model")
        if others := piece.others(range(1, 4)):
            raise TokenizerError(f"piece {i} has fields {others}, which are not known here")
        pieces.append(piece.bytes(1))
        scores.append(piece.float32(2, 0.0))
        kinds.append(piece.integer(3, NORMAL))
    found = Differences("the SentencePiece model", ignore)
    _check_fields(model, found)
    _check_training(model.message(2, "the trainer settings"), found)
    _check_normalizer(model, found)
    _check_kinds(pieces, kinds, found)
    found.refuse_if_any()
    texts = [SPECIAL_TEXTS.get(i, piece.replace(SPACE, b" ")) for i, piece in enumerate(pieces)]
    vocabulary = Vocabulary(texts, scores)
    _check_vocabulary(vocabulary, kinds, found)
    found.refuse_if_any()
    return vocabulary


def _check_fields(model: Message, found: Differences) -> None:
    """Fields of later versions may mean anything."""
    for name, message, known in (
        ("its parts", model, range(1, 6)),
        ("the normalizer settings", model.message(3, "the normalizer settings"), range(1, 7)),
    ):
        others = message.others(known)
        found.require(not others, f"{name} have fields {others}, which are not known here")


def _check_training(trainer: Message, found: Differences) -> None:
    kind = trainer.integer(3, 1)
    found.require(kind == BPE, f"its model type is {kind}, not {BPE} (BPE)")
    found.require(bool(trainer.integer(35, 0)), "it was trained without byte_fallback")
    suffix = trainer.integer(24, 0)
    found.require(not suffix, "it has treat_whitespace_as_suffix")
    ids = (trainer.integer(40, 0), trainer.integer(41, 1), trainer.integer(42, 2))
    found.require(
        ids == (UNKNOWN, BOS, EOS), f"unk, bos and eos have the ids {ids}, not (0, 1, 2)"
    )


def _check_normalizer(model: Message, found: Differences) -> None:
    normalizer = model.message(3, "the normalizer settings")
    if normalizer.bytes(2):
        name = normalizer.bytes(1).decode(errors="replace")
        found.add("normalizer", f"it changes texts before encoding them (normalizer {name!r})")
    if not normalizer.integer(3, 1):
        found.add("dummy_prefix", "it puts no space before a text (add_dummy_prefix is off)")
    if normalizer.integer(4, 1):
        found.add("remove_extra_whitespaces", "it removes extra spaces")
    found.require(bool(normalizer.integer(5, 1)), "its escape_whitespaces is off")
    if model.message(5, "the denormalizer settings").bytes(2):
        found.add("decoder", "it changes texts after decoding them (a denormalizer)")


def _check_kinds(pieces: list[bytes], kinds: list[int], found: Differences) -> None:
    found.require(len(pieces) > 0, "it has no pieces")
    for i, (piece, kind) in enumerate(zip(pieces, kinds, strict=True)):
        shown = f"piece {i}, {piece.decode(errors='replace')!r}"
        found.require(piece != b"", f"{shown} is empty")
        found.require(b"\0" not in piece, f"{shown} has a NUL, where run.c cuts it off")
        if kind in SPECIAL_KINDS:
            found.add("special_pieces", f"{shown} is {SPECIAL_KINDS[kind]}")
        elif (kind == BYTE) != (3 <= i < 259):
            found.require(
                False, f"{shown} is of kind {kind}; the bytes must be pieces 3 to 258"
            )
        elif kind == UNKNOWN_TYPE:
            found.require(i == UNKNOWN, f"{shown} is another unknown piece")
        elif kind not in (NORMAL, CONTROL, BYTE):
            found.require(False, f"{shown} is of the unknown kind {kind}")


def _check_vocabulary(vocabulary: Vocabulary, kinds: list[int], found: Differences) -> None:
    """What the pieces would do in run.c: there each is a string, and merges like others."""
    found.require(vocabulary.has_byte_pieces(), "pieces 3 to 258 are not <0x00> to <0xFF>")
    found.require(vocabulary.find(b" ") >= 0, "it has no piece for one space")
    for text in vocabulary.twins():
        found.require(False, f"several pieces become {text!r}")
    for problem in round_trip_problems(vocabulary):
        found.add("special_pieces", f"run.c would mistake pieces: {problem}")
    for i, (text, kind) in enumerate(zip(vocabulary.texts, kinds, strict=True)):
        if kind in (UNKNOWN_TYPE, CONTROL) and i != BOS and made_of_two(vocabulary, text):
            found.add("special_pieces", f"run.c would merge piece {i}, {text!r}, from a text")
