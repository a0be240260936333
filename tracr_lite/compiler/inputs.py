"""Checks what the user asks to be compiled, before any stage runs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tracr_lite.compiler.values.domain import BadValue, checked
from tracr_lite.craft.bases import sort_key
from tracr_lite.errors import CompileError, InvalidValueSetError, Problem


def check_request(vocab: Iterable[Any], max_seq_len: int, bos: str, pad: str) -> list[Any]:
    """The vocabulary in its total order.

    **Raises:** `CompileError` listing all that is wrong with the arguments.
    """
    problems: list[Problem] = []
    tokens: list[Any] = []
    try:
        given = list(vocab)
    except TypeError:
        given = []
        problems.append(Problem("vocab", f"{vocab!r} is no collection of tokens", "pass a set"))
    else:
        if not given:
            problems.append(Problem("vocab", "it is empty", "list the tokens of the input"))
    for value in given:
        try:
            token = checked(value)
        except BadValue as error:
            problems.append(Problem("vocab", f"it holds {error.reason}", error.suggestion))
            continue
        if all(token != other for other in tokens) if len(tokens) < 64 else True:
            tokens.append(token)
    tokens = list({sort_key(t): t for t in reversed(tokens)}.values())
    for role, special in (("compiler_bos", bos), ("compiler_pad", pad)):
        if any(special == t for t in tokens):
            problems.append(
                Problem("vocab", f"{role} {special!r} is a token too", f"choose another {role}")
            )
    if bos == pad:
        problems.append(
            Problem("compiler_pad", f"it equals compiler_bos, {bos!r}", "rename one")
        )
    if isinstance(max_seq_len, bool) or not isinstance(max_seq_len, int) or max_seq_len < 1:  # pyright: ignore
        problems.append(
            Problem(
                "max_seq_len", f"{max_seq_len!r} is no positive whole number", "use 1 or more"
            )
        )
    if problems:
        raise InvalidValueSetError("arguments", problems)
    return sorted(tokens, key=sort_key)


__all__ = ["CompileError", "check_request"]
