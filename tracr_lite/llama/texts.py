"""Texts as they come from outside."""

from __future__ import annotations

from tracr_lite.llama.errors import TokenizerError


def utf8(text: str | bytes) -> bytes:
    """The UTF-8 of a string; bytes as they are.

    **Raises:** `TokenizerError` for half a surrogate pair, which has none.
    """
    if not isinstance(text, str):
        return bytes(memoryview(text))
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise TokenizerError(
            f"character {error.start} of the text, {text[error.start]!r}, is half of a "
            "surrogate pair and has no UTF-8; give the bytes instead"
        ) from error
