"""Token ids as they come from outside."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index

from tracr_lite.llama.config import LlamaConfig
from tracr_lite.llama.errors import LlamaError


def check_tokens(
    tokens: Sequence[int], config: LlamaConfig, what: str = "tokens", *, fits: bool = True
) -> list[int]:
    """The ids as Python integers. `fits`: whether they have to fit into the context.

    **Raises:** `LlamaError` if there is none, one is not in the vocabulary or no integer, or
    there are more than the context holds; it names token, position and limit.
    """
    found: list[int] = []
    for position, token in enumerate(tokens):
        try:
            found.append(index(token))
        except TypeError as error:
            raise LlamaError(
                f"{what}: {token!r} at position {position} is not an integer"
            ) from error
        if not 0 <= found[-1] < config.vocab_size:
            raise LlamaError(
                f"{what}: token {found[-1]} at position {position} is not in the vocabulary; "
                f"ids go from 0 to {config.vocab_size - 1}"
            )
    if not found:
        raise LlamaError(f"{what}: empty; a sequence has at least one token, such as BOS (1)")
    if fits and len(found) > config.seq_len:
        raise LlamaError(
            f"{what}: {len(found)} tokens, but the context of this model has room for "
            f"{config.seq_len} (seq_len)"
        )
    return found
