"""From the words on the command line to tokens, a vocabulary and a length.

parse_tokens(["1", "b"], vocab=(1, "b"))   ->   [1, "b"]
"""

from __future__ import annotations

import ast
import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tracr_lite.catalog import Entry
from tracr_lite.errors import TracrLiteError
from tracr_lite.rasp.rasp import Value


class UsageError(TracrLiteError, ValueError):
    """What was typed does not fit the program."""


@dataclass(frozen=True)
class Request:
    """A program, how to compile it, and the tokens to run it on."""

    entry: Entry
    vocab: tuple[Value, ...]
    max_seq_len: int
    causal: bool
    tokens: list[Value]


def make_request(
    entry: Entry,
    words: Sequence[str],
    vocab_text: str | None = None,
    max_seq_len: int | None = None,
    causal: bool | None = None,
) -> Request:
    """Fills in from the program's file what was not typed.

    **Raises:** `UsageError` if a token is not in the vocabulary, or the input is too long.
    """
    vocab = entry.vocab if vocab_text is None else parse_vocab(vocab_text, entry.vocab)
    if vocab:
        tokens = parse_tokens(words, vocab)
    else:
        tokens = [parse_value(word) for word in words]
        vocab = _unique(tokens)
    return Request(
        entry=entry,
        vocab=vocab,
        max_seq_len=_choose_length(entry, len(tokens), max_seq_len),
        causal=entry.causal if causal is None else causal,
        tokens=tokens,
    )


def make_compile_request(
    entry: Entry,
    vocab_text: str | None = None,
    max_seq_len: int | None = None,
    causal: bool | None = None,
) -> Request:
    """As `make_request`, without an input.

    **Raises:** `UsageError` if neither the program's file nor the command gives vocabulary or
    length.
    """
    vocab = entry.vocab if vocab_text is None else parse_vocab(vocab_text, entry.vocab)
    for given, option in (
        (vocab, "--vocab"),
        (max_seq_len or entry.max_seq_len, "--max-seq-len"),
    ):
        if not given:
            raise UsageError(
                f"the file of {entry.name} has no {option[2:].upper().replace('-', '_')}; "
                f"give {option}"
            )
    return Request(
        entry=entry,
        vocab=vocab,
        max_seq_len=_choose_length(entry, 0, max_seq_len),
        causal=entry.causal if causal is None else causal,
        tokens=[],
    )


def parse_value(text: str) -> Value:
    """A number, True, False, None or a quoted string as in Python; anything else is itself."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
    return value if value is None or isinstance(value, (bool, int, float, str)) else text


def parse_vocab(text: str, known: Sequence[Value] = ()) -> tuple[Value, ...]:
    """The values in `a,b,c`; each is looked up in `known` first, then read as in Python."""
    try:
        words = next(csv.reader([text], skipinitialspace=True, strict=True), list[str]())
    except csv.Error as error:
        raise UsageError(f"--vocab {text!r} cannot be read: {error}") from error
    if not words or "" in words:
        raise UsageError(f"--vocab needs values with a comma between them; got {text!r}")
    by_text = _by_text(known)
    return _unique(by_text[word] if word in by_text else parse_value(word) for word in words)


def parse_tokens(
    words: Sequence[str], vocab: Sequence[Value], hint: str = "; change it with --vocab"
) -> list[Value]:
    """The values of the vocabulary that are written like `words`.

    A single word that is not in the vocabulary is taken apart into characters, if every value
    of the vocabulary is one character long: `abc` is `a b c`.
    """
    by_text = _by_text(vocab)
    joined = len(words) == 1 and words[0] != "" and words[0] not in by_text
    if joined and all(len(str(v)) == 1 for v in vocab):
        words = list(words[0])
    for position, word in enumerate(words):
        if word not in by_text:
            what = "option or token" if word.startswith("--") else "token"
            listed = ", ".join(repr(value) for value in vocab)
            raise UsageError(
                f"there is no {what} {word!r} (at position {position}); the vocabulary is "
                f"{listed}{hint}"
            )
    return [by_text[word] for word in words]


def _by_text(vocab: Iterable[Value]) -> dict[str, Value]:
    """How a value can be typed: as Python prints it, or shows it; the latter wins."""
    values = list(vocab)
    return {str(v): v for v in values} | {repr(v): v for v in values}


def _unique(values: Iterable[Value]) -> tuple[Value, ...]:
    """Each value once. **Raises:** `UsageError` for two that are equal, as 1 and True."""
    found: dict[Value, Value] = {}
    for value in values:
        known = found.setdefault(value, value)
        if type(known) is not type(value):
            raise UsageError(f"the vocabulary holds {known!r} and {value!r}, which are equal")
    return tuple(found)


def _choose_length(entry: Entry, used: int, asked: int | None) -> int:
    own = entry.max_seq_len or used
    if asked is not None and asked < used:
        raise UsageError(f"{used} tokens were given, but --max-seq-len is {asked}")
    wanted = max(own, used) if asked is None else asked
    if entry.fixed_size and wanted > own:
        raise UsageError(
            f"{entry.name} is built for at most {own} tokens (its file says FIXED_SIZE); "
            f"asked for {wanted}"
        )
    return wanted
