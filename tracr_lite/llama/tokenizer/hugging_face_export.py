"""A vocabulary as tokenizer.json, which tokenizers and transformers load.

The tokens are those of run.c for every text that is UTF-8. Two things are to know:

- With the usual way to write spaces inside tokens, as U+2581, that character in a text counts
  as a space. `plain_spaces=True` writes spaces as spaces, and then it does not; but programs
  that expect U+2581 (transformers' own LlamaTokenizer, converters to GGUF) cannot use the file.
- `<s>` and `</s>` in a text are ordinary characters, as in run.c, because the file lists no
  added tokens. tokenizer_config.json tells transformers to take them so, too.

Where several merges have equal scores see `ranks`: the order is tested, not proven.
"""

from __future__ import annotations

import json

from tracr_lite.llama.errors import TokenizerError
from tracr_lite.llama.tokenizer.hugging_face_pipeline import DECODER, MARK, REPLACE
from tracr_lite.llama.tokenizer.promise import round_trip_problems
from tracr_lite.llama.tokenizer.ranks import Merge, first_disagreement, merges_by_score, orders
from tracr_lite.llama.tokenizer.sentencepiece import SPECIAL_TEXTS
from tracr_lite.llama.tokenizer.vocabulary import BOS, EOS, UNKNOWN, Vocabulary

NAMES = {BOS: "<s>", EOS: "</s>"}


def hugging_face_files(vocabulary: Vocabulary, plain_spaces: bool = False) -> dict[str, bytes]:
    """The files of a tokenizer in a Hugging Face folder, by name.

    **Raises:** `TokenizerError` that lists everything in the vocabulary that they cannot hold.
    """
    names = _names(vocabulary, plain_spaces)
    merges = _ordered(vocabulary)
    steps = [{"type": "Prepend", "prepend": " " if plain_spaces else MARK}]
    normalizer = {"type": "Sequence", "normalizers": steps + [REPLACE] * (not plain_spaces)}
    decoders = DECODER[1:] if plain_spaces else DECODER
    whole: dict[str, object] = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": normalizer,
        "pre_tokenizer": None,
        "post_processor": _bos_in_front(),
        "decoder": {"type": "Sequence", "decoders": list(decoders)},
        "model": _model(names, merges, plain_spaces),
    }
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "unk_token": names[UNKNOWN],
        "bos_token": NAMES[BOS],
        "eos_token": NAMES[EOS],
        "split_special_tokens": True,
        "clean_up_tokenization_spaces": False,
    }
    return {"tokenizer.json": _bytes(whole), "tokenizer_config.json": _bytes(config)}


def _ordered(vocabulary: Vocabulary) -> list[Merge]:
    """The merges in an order that gives run.c's tokens."""
    disagreements: list[bytes] = []
    for merges in orders(vocabulary):
        if (text := first_disagreement(merges, vocabulary)) is None:
            return merges
        disagreements.append(text)
    raise TokenizerError(
        "tokenizer.json cannot hold this vocabulary: it has merges of equal scores, where "
        f"run.c goes by place, for example for {disagreements[0]!r}; no order of them is known "
        "that gives the same tokens"
    )


def _names(vocabulary: Vocabulary, plain_spaces: bool) -> list[str]:
    """The names of all tokens; raises for those that have none."""
    problems = round_trip_problems(vocabulary)
    if any({BOS, EOS} & set(merge) for merge in merges_by_score(vocabulary)):
        problems.append("BOS or EOS can be merged from other tokens, or with them")
    problems += [f"several tokens have the text {text!r}" for text in vocabulary.twins()]
    names: list[str] = []
    for token, (text, piece) in enumerate(
        zip(vocabulary.texts, vocabulary.pieces, strict=True)
    ):
        if text != piece:
            problems.append(f"token {token}, {piece!r}, has a NUL in it")
        if text != SPECIAL_TEXTS.get(token, text):
            problems.append(f"token {token} is {text!r}, not {SPECIAL_TEXTS[token]!r}")
        if token not in NAMES and text.decode(errors="replace") in NAMES.values():
            problems.append(f"token {token} is {text!r}, the name of a special token there")
        try:
            name = text.decode()
        except UnicodeDecodeError:
            name = ""
            problems.append(f"token {token}, {text!r}, is not UTF-8")
        if MARK in name and not plain_spaces:
            problems.append(f"token {token}, {name!r}, has U+2581 in it, which means a space")
        names.append(NAMES.get(token, name if plain_spaces else name.replace(" ", MARK)))
    if problems:
        rows = "\n".join(f"  - {each}" for each in problems[:20])
        raise TokenizerError(f"tokenizer.json cannot hold this vocabulary:\n{rows}")
    return names


def _model(names: list[str], merges: list[Merge], plain_spaces: bool) -> dict[str, object]:
    pairs = [[names[first], names[second]] for first, second, _ in merges]
    return {
        "type": "BPE",
        "dropout": None,
        "unk_token": names[UNKNOWN],
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": True,
        "byte_fallback": True,
        "ignore_merges": False,
        "vocab": {name: token for token, name in enumerate(names)},
        # as strings they are read by all versions, but then no token may have a space in it
        "merges": pairs if plain_spaces else [" ".join(pair) for pair in pairs],
    }


def _bos_in_front() -> dict[str, object]:
    bos = {"SpecialToken": {"id": NAMES[BOS], "type_id": 0}}
    special = {"id": NAMES[BOS], "ids": [BOS], "tokens": [NAMES[BOS]]}
    first, second = ({"Sequence": {"id": name, "type_id": i}} for i, name in enumerate("AB"))
    again = {"SpecialToken": {"id": NAMES[BOS], "type_id": 1}}
    return {
        "type": "TemplateProcessing",
        "single": [bos, first],
        "pair": [bos, first, again, second],
        "special_tokens": {NAMES[BOS]: special},
    }


def _bytes(value: object) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=1) + "\n").encode()
