"""The ids of a stock model: Llama's first 259, then the program's tokens and outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from tracr_lite.compiler.values.domain import typed_key
from tracr_lite.targets.stock_model import BOS, FIRST_FREE, StockVocabulary

SPECIAL = ("<unk>", "<s>", "</s>")
SPACE = " "


def text_of(value: Any) -> str:
    """How a value is written: a string as itself, anything else as in Python, no spaces."""
    text = value if isinstance(value, str) else repr(value)
    return "".join(text.split()) or "<empty>"


def vocabulary_of(
    tokens: Sequence[Any], outputs: Iterable[Any], end: Any, *, numeric: bool, stops: bool
) -> StockVocabulary:
    """Ids of tokens and outputs; `end` is the output that ends a text, if it `stops`."""
    texts = [*SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256))]
    assert len(texts) == FIRST_FREE
    place = {text: at for at, text in enumerate(texts)}

    def add(text: str) -> int:
        place[text] = len(texts)
        texts.append(text)
        return place[text]

    inputs: list[tuple[Any, int]] = []
    for token in tokens:
        inputs.append((token, add(_unused(SPACE + text_of(token), place))))
    known = {typed_key(value): at for value, at in inputs}
    found: list[tuple[Any, int]] = []
    for value in outputs:
        at = known.get(typed_key(value))
        same = (i for v, i in inputs if v == value)
        at = next(same, None) if at is None else at
        if at is None and stops and ends(value, end):
            at = BOS
        found.append((value, add(_unused(SPACE + text_of(value), place)) if at is None else at))
    number = add(_unused("<number>", place)) if numeric else None
    aliases = _pieces(inputs, texts, place, add)
    return StockVocabulary(
        tuple(texts),
        tuple(inputs),
        tuple(found),
        tuple(aliases),
        _scores(texts),
        BOS if stops else None,
        number,
    )


def ends(value: Any, end: Any) -> bool:
    """Whether an output ends a text: as in `generate`, 2.0 is 2, and True is not 1."""
    return value == end and isinstance(value, bool) == isinstance(end, bool)


def _scores(texts: list[str]) -> tuple[float, ...]:
    """Higher is merged first: a space with what follows it, and no two alike.

    Then each word is merged from its space on, through its beginnings; and files that have
    merges in an order can say the same as those that have scores.
    """
    order = sorted(range(FIRST_FREE, len(texts)), key=lambda at: texts[at][:1] != SPACE)
    scores = [0.0] * len(texts)
    for rank, at in enumerate(reversed(order), 1):
        scores[at] = float(rank)
    return tuple(scores)


def _unused(text: str, place: dict[str, int]) -> str:
    """The text, made different from all that are there."""
    while text in place:
        text += "'"
    return text


def _pieces(
    inputs: list[tuple[Any, int]],
    texts: list[str],
    place: dict[str, int],
    add: Callable[[str], int],
) -> list[tuple[int, int]]:
    """Adds what leads to a token, character by character; returns the aliases."""
    aliases: list[tuple[int, int]] = []
    pieces = [(texts[at], at) for _, at in inputs]
    for text, at in pieces:
        bare = text.removeprefix(SPACE)
        if bare not in place:
            aliases.append((add(bare), at))
    for text, _ in pieces:
        for prefix in (SPACE, *text, *(text[:n] for n in range(2, len(text)))):
            if prefix not in place:
                add(prefix)
    return aliases
