"""tokenizer.json of Hugging Face as a vocabulary, where its tokens can be those of run.c.

Llama's file is byte-pair encoding with a fallback to bytes. What a file of that kind may have
besides is compared with what is known to make no difference; all else is refused by name. Two
differences are in all of these files and not reported: there `<s>` and `</s>` inside a text are
the special tokens, and the character U+2581 is a space.

Source: the files that transformers 4 and 5 write for Llama, and that tokenizers 0.23 reads.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any, cast

from tracr_lite.llama.errors import TokenizerError
from tracr_lite.llama.tokenizer.differences import Differences
from tracr_lite.llama.tokenizer.hugging_face_pipeline import Json, Pipeline, read_pipeline
from tracr_lite.llama.tokenizer.promise import round_trip_problems
from tracr_lite.llama.tokenizer.ranks import Merge, first_disagreement, scores_of
from tracr_lite.llama.tokenizer.sentencepiece import SPECIAL_TEXTS
from tracr_lite.llama.tokenizer.vocabulary import BOS, EOS, UNKNOWN, Vocabulary

# settings of the model -> values that change nothing
NEUTRAL: dict[str, tuple[object, ...]] = {
    "dropout": (None, 0),
    "continuing_subword_prefix": (None, ""),
    "end_of_word_suffix": (None, ""),
    "ignore_merges": (None, False),
    "byte_fallback": (True,),
    "fuse_unk": (None, True, False),  # with all bytes at hand nothing is unknown
}
READ = ("type", "vocab", "merges", "unk_token")


def parse_tokenizer_json(data: bytes, ignore: Collection[str] | str = ()) -> Vocabulary:
    """The vocabulary of a tokenizer.json, with scores that merge in the order of its merges.

    **Arguments:** `data`: the bytes of the file. `ignore`: names of `differences.NAMES` that
    are accepted.
    **Raises:** `TokenizerError` if this is no such file, or that lists everything in it that
    tokenizer.bin cannot hold.
    """
    whole = _load(data)
    model = _object(whole.get("model"), "model")
    found = Differences("tokenizer.json", ignore)
    _check_model(model, found)
    found.refuse_if_any()  # of another kind of model the rest would make no sense
    pipeline = read_pipeline(whole, found)
    names = _names(_object(model.get("vocab"), "vocab"))
    _check_special(names, model.get("unk_token"), found)
    names += _added(whole.get("added_tokens"), names, found)
    found.refuse_if_any()
    texts = [_text(token, name, pipeline.space) for token, name in enumerate(names)]
    vocabulary = Vocabulary(texts, [0.0] * len(texts))
    _check_vocabulary(vocabulary, pipeline, found)
    found.refuse_if_any()
    return _scored(vocabulary, _merges(model.get("merges"), names, vocabulary), found)


def _load(data: bytes) -> Json:
    try:
        return _object(json.loads(data, object_pairs_hook=_no_twins), "the whole")
    except (ValueError, RecursionError) as error:
        raise TokenizerError(f"this is no tokenizer.json: {error}") from error


def _no_twins(pairs: list[tuple[str, Any]]) -> Json:
    if len(found := dict(pairs)) != len(pairs):
        raise ValueError("a key occurs twice in one object")
    return found


def _object(value: object, what: str) -> Json:
    if not isinstance(value, dict):
        raise TokenizerError(f"this is no tokenizer.json of a BPE model: no object {what!r}")
    return cast(Json, value)


def _check_model(model: Json, found: Differences) -> None:
    kind = model.get("type", "BPE" if "merges" in model else None)
    if kind != "BPE":
        return found.require(False, f"its model is of type {kind!r}, not 'BPE'")
    for name, neutral in NEUTRAL.items():
        value = model.get(name)
        found.require(value in neutral, f"its model has {name} {value!r}")
    for name in sorted(model.keys() - NEUTRAL.keys() - set(READ)):
        found.require(False, f"its model has the setting {name!r}, which is not known here")


def _names(vocab: Json) -> list[str]:
    """The names of the tokens by id."""
    ids = cast(Mapping[str, object], vocab)
    if {type(each) for each in ids.values()} - {int}:
        raise TokenizerError("the vocab of tokenizer.json has ids that are not integers")
    names = sorted(vocab, key=vocab.__getitem__)
    if [vocab[name] for name in names] != list(range(len(names))):
        raise TokenizerError("the vocab of tokenizer.json has gaps, or two names for one id")
    return names


def _check_special(names: list[str], unknown: object, found: Differences) -> None:
    for token, name in ((UNKNOWN, unknown), (BOS, "<s>"), (EOS, "</s>")):
        if name is not None:
            holds = names[token : token + 1] == [name]
            found.require(holds, f"token {token} is not {name!r}; run.c knows it by that id")


def _added(value: object, names: list[str], found: Differences) -> list[str]:
    """The names of tokens added behind the vocabulary; also checks those inside of it."""
    behind: dict[int, str] = {}
    for each in cast(list[object], value) if isinstance(value, list) else []:
        fields = _object(each, "added_tokens")
        token, name = fields.get("id"), fields.get("content")
        if type(token) is not int or not isinstance(name, str) or token < 0:
            raise TokenizerError(
                f"tokenizer.json has an added token without id or text: {each!r}"
            )
        if token >= len(names):
            behind[token] = name
        elif names[token] != name:
            raise TokenizerError(
                f"the added token {token} of tokenizer.json is {name!r}, but {names[token]!r} "
                "in the vocab"
            )
        if token > EOS:
            found.add(
                "added_tokens", f"token {token}, {name!r}, is taken from texts as a whole"
            )
    size = len(names)
    if sorted(behind) != list(range(size, size + len(behind))):
        raise TokenizerError("the added tokens of tokenizer.json leave gaps between the ids")
    return [behind[token] for token in sorted(behind)]


def _text(token: int, name: str, space: str) -> bytes:
    if token in SPECIAL_TEXTS:
        return SPECIAL_TEXTS[token]
    if not name or "\0" in name or (" " in name and space != " "):
        raise TokenizerError(f"token {token} of tokenizer.json, {name!r}, can be in no text")
    try:
        return name.replace(space, " ").encode()
    except UnicodeEncodeError as error:
        raise TokenizerError(f"token {token} of tokenizer.json, {name!r}: {error}") from error


def _check_vocabulary(vocabulary: Vocabulary, pipeline: Pipeline, found: Differences) -> None:
    found.require(vocabulary.has_byte_pieces(), "tokens 3 to 258 are not <0x00> to <0xFF>")
    found.require(vocabulary.find(b" ") >= 0, "it has no token for one space")
    for text in vocabulary.twins():
        found.require(False, f"several tokens become {text!r}")
    for problem in round_trip_problems(vocabulary):
        found.add("special_pieces", f"run.c would mistake tokens: {problem}")
    if pipeline.splits and (inner := [text for text in vocabulary.texts if b" " in text[1:]]):
        found.add("split", f"it cuts texts before spaces, but has the token {inner[0]!r}")


def _merges(value: object, names: list[str], vocabulary: Vocabulary) -> list[Merge]:
    """The merges as ids."""
    if not isinstance(value, list):
        raise TokenizerError(
            "this is no tokenizer.json of a BPE model: it has no list of merges"
        )
    ids = {name: token for token, name in enumerate(names)}
    merges: dict[Merge, None] = {}
    for place, each in enumerate(cast(list[object], value)):
        parts = each.split(" ") if isinstance(each, str) else each
        pair = cast(list[object], parts) if isinstance(parts, list) else []
        if len(pair) != 2 or not all(isinstance(part, str) and part in ids for part in pair):
            raise TokenizerError(
                f"merge {place} of tokenizer.json is not of two tokens: {each!r}"
            )
        first, second = cast(list[str], pair)
        merge = (ids[first], ids[second], ids.get(first + second, -1))
        texts = [vocabulary.texts[token] for token in merge]
        if merge[2] < 0 or texts[0] + texts[1] != texts[2]:
            raise TokenizerError(f"merge {place} of tokenizer.json makes no token: {each!r}")
        if merge in merges:
            raise TokenizerError(f"merge {place} of tokenizer.json is there twice: {each!r}")
        merges[merge] = None
    return list(merges)


def _scored(vocabulary: Vocabulary, merges: list[Merge], found: Differences) -> Vocabulary:
    scores, problems = scores_of(merges, vocabulary)
    for problem in problems:
        found.add("merges", problem)
    scored = Vocabulary(vocabulary.pieces, scores)
    if not problems and (text := first_disagreement(merges, scored)) is not None:
        reason = "no scores have the order of its merges, which matters"
        found.add("merges", f"{reason} for example in {text!r}")
    found.refuse_if_any()
    return scored
