"""Checks what the user asks to be compiled, before any stage runs."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import Any

from tracr_lite.compiler.values.domain import BadValue, checked, typed_key
from tracr_lite.craft.bases import sort_key
from tracr_lite.errors import InvalidValueSetError, Problem

LONGEST = 2**15
"""The most positions: the table of their one-hot embeddings then takes 4 GiB."""


def check_request(
    vocab: Iterable[Any], max_seq_len: int, bos: str, pad: str, causal: bool = False
) -> tuple[list[Any], int]:
    """The vocabulary in its total order, and the maximum length as an int.

    **Raises:** `CompileError` listing all that is wrong with the arguments.
    """
    problems: list[Problem] = []
    tokens = _tokens(vocab, problems)
    for role, special in (("compiler_bos", bos), ("compiler_pad", pad)):
        if not isinstance(special, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            problems.append(Problem(role, f"{special!r} is no string", "use a string"))
        elif any(special == t for t in tokens):
            problems.append(
                Problem("vocab", f"{role} {special!r} is a token too", f"choose another {role}")
            )
    if bos == pad:
        reason = f"it equals compiler_bos, {bos!r}"
        problems.append(Problem("compiler_pad", reason, "rename one"))
    try:
        size = 0 if isinstance(max_seq_len, bool) else operator.index(max_seq_len)
    except TypeError:
        size = 0
    if size < 1:
        reason = f"{max_seq_len!r} is no positive whole number"
        problems.append(Problem("max_seq_len", reason, "use 1 or more"))
    if size > LONGEST:
        reason = f"{size:,} is more than {LONGEST:,}, the positions that a table can hold"
        problems.append(Problem("max_seq_len", reason, "use less"))
    if not isinstance(causal, bool):  # pyright: ignore[reportUnnecessaryIsInstance]
        problems.append(Problem("causal", f"{causal!r} is no truth value", "use True or False"))
    if problems:
        raise InvalidValueSetError("arguments", problems)
    return tokens, size


def _tokens(vocab: Iterable[Any], problems: list[Problem]) -> list[Any]:
    """Distinct tokens in their total order; notes what is wrong with them."""
    try:
        given = list(vocab)
    except TypeError:
        problems.append(Problem("vocab", f"{vocab!r} is no collection of tokens", "pass a set"))
        return []
    if not given:
        problems.append(Problem("vocab", "it is empty", "list the tokens of the input"))
    tokens: dict[Any, Any] = {}
    for value in given:
        try:
            token = checked(value)
            known = tokens.setdefault(sort_key(token), token)
            if typed_key(known) != typed_key(token):
                reason = f"it holds {known!r} and {token!r}, which are equal"
                problems.append(Problem("vocab", reason, "keep one of them"))
        except BadValue as error:
            problems.append(Problem("vocab", f"it holds {error.reason}", error.suggestion))
    return [tokens[key] for key in sorted(tokens)]
