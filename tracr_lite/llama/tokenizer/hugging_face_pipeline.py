"""The steps around the merges in a tokenizer.json, compared with what run.c does.

run.c puts one space before every text, splits nothing, and adds nothing but BOS and EOS.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, cast

from tracr_lite.llama.tokenizer.differences import Differences

Json = dict[str, Any]  # what json.loads gives

MARK = "\u2581"  # how a space is usually written inside a token
REPLACE = {"type": "Replace", "pattern": {"String": " "}, "content": MARK}
DECODER = (
    {"type": "Replace", "pattern": {"String": MARK}, "content": " "},
    {"type": "ByteFallback"},
    {"type": "Fuse"},
    {"type": "Strip", "content": " ", "start": 1, "stop": 0},
)
HARMLESS = ("TemplateProcessing", "ByteLevel")  # add special tokens, or change offsets only


@dataclass(frozen=True)
class Pipeline:
    """`space`: how tokens write a space; `splits`: whether texts are cut before each space."""

    space: str
    splits: bool


def read_pipeline(whole: Json, found: Differences) -> Pipeline:
    """Reads the steps of the file `whole`, and adds what is not as in run.c to `found`."""
    normalizer = _steps(whole.get("normalizer"), "normalizers")
    before = _steps(whole.get("pre_tokenizer"), "pretokenizers")
    prepends = bool(normalizer) and normalizer[0].get("type") == "Prepend"
    space = str(normalizer[0].get("prepend")) if prepends else MARK
    rest = normalizer[1:] if prepends else normalizer
    if space not in (MARK, " ") or rest not in ([[REPLACE], []] if space == MARK else [[]]):
        found.add("normalizer", f"its normalizer is {_shown(normalizer)}")
    elif space == MARK and not rest and not before:
        found.add("normalizer", "it does not turn spaces into U+2581")
    splits = False
    if [each.get("type") for each in before] == ["Metaspace"]:
        splits = _metaspace(before[0], prepends, found)
    elif before:
        found.add("split", f"its pre_tokenizer is {_shown(before)}")
    if not prepends and not before:
        found.add("dummy_prefix", "it puts no space before a text")
    _check_after(whole, space, found)
    return Pipeline(space, splits)


def _metaspace(step: Json, prepends: bool, found: Differences) -> bool:
    """Checks a pre-tokenizer of type Metaspace; returns whether it splits."""
    old = "always" if step.get("add_prefix_space", True) else "never"
    scheme = step.get("prepend_scheme", old)
    if step.get("replacement") != MARK or scheme not in ("always", "first", "never"):
        found.add("split", f"its pre_tokenizer is {_shown([step])}")
    elif not prepends and scheme == "never":
        found.add("dummy_prefix", "it puts no space before a text")
    elif not prepends:
        found.add("leading_space", "it puts no space before a text that starts with one")
    return bool(step.get("split", True))


def _check_after(whole: Json, space: str, found: Differences) -> None:
    decoder = _steps(whole.get("decoder"), "decoders")
    if decoder != list(DECODER if space == MARK else DECODER[1:]):
        found.add("decoder", f"its decoder is {_shown(decoder)}")
    after = _steps(whole.get("post_processor"), "processors")
    if odd := [each for each in after if each.get("type") not in HARMLESS]:
        found.add("post_processor", f"its post_processor has {_shown(odd)}")
    for name in ("truncation", "padding"):
        if whole.get(name) is not None:
            found.add("truncation", f"it has {name} switched on")


def _steps(value: object, inner: str) -> list[Json]:
    """The steps of a component, sequences laid out flat."""
    if value is None:
        return []
    if not isinstance(value, dict):
        return [{"type": repr(value)}]
    step = cast(Json, value)
    if step.get("type") != "Sequence" or not isinstance(step.get(inner), list):
        return [step]
    return [each for one in cast(list[object], step[inner]) for each in _steps(one, inner)]


def _shown(steps: list[Json]) -> str:
    text = json.dumps(steps, ensure_ascii=True)
    return text if len(text) <= 200 else f"{text[:200]}..."
