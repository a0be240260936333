"""From prompts and options to rows and the tokens that come for them.

A prompt that is longer than what may be run is cut, as run.c cuts it: so much of it is printed
as was run, and nothing follows. Source: llama2.c, run.c, `generate` (350e04f).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence

from tracr_lite.llama.batches import Engine
from tracr_lite.llama.config import LlamaConfig
from tracr_lite.llama.errors import LlamaError, LlamaWarning
from tracr_lite.llama.generate import Options, Prompt, Row
from tracr_lite.llama.token_stream import TokenRequest, stream_tokens
from tracr_lite.llama.tokenizer import Tokenizer
from tracr_lite.llama.tokens import check_tokens

STEPS = 256  # what `n` is by default


def start_rows(
    engine: Engine,
    config: LlamaConfig,
    tokenizer: Tokenizer | None,
    prompts: Sequence[Prompt],
    options: Options,
    *,
    often: bool,
) -> tuple[list[Row], Iterator[list[list[int]]]]:
    """Rows for prompts, and the chunks of tokens that are to be pushed into them.

    **Raises:** `LlamaError` for lists of ids that are too long, for unknown tokens, for options
    without a meaning, and for texts without a tokenizer.
    **Warns:** `LlamaWarning` if `n` is cut to the context, or a text to less than `n`.
    """
    ids = [_encode(prompt, tokenizer, config) for prompt in prompts]
    if options.stop and tokenizer is None:
        raise LlamaError("stop strings need a tokenizer; load the model with one")
    if options.stop_tokens is not Options.stop_tokens and len(options.stop_tokens):
        check_tokens(options.stop_tokens, config, "stop_tokens", fits=False)
    steps, seeds = resolve_steps(options.n, config.seq_len), options.seeds(len(ids))
    _tell_cuts(ids, steps, options.n)
    rows = [
        Row(prompt[: steps + 1], seed, tokenizer, options, cut=len(prompt) > steps)
        for prompt, seed in zip(ids, seeds, strict=True)
    ]
    request = TokenRequest(ids, steps, options.settings, seeds, options.stop_tokens)
    return rows, stream_tokens(engine, request, often=often)


def resolve_steps(n: int | None, seq_len: int) -> int:
    """run.c's rule for its `-n`: 0 and what the context has no room for mean all of it."""
    if n is None:
        return min(STEPS, seq_len)
    if type(n) is not int:
        raise LlamaError(f"n is {n!r}, not an integer")
    if 0 < n <= seq_len:
        return n
    if n:
        warnings.warn(f"n = {n} becomes {seq_len}, the whole context", LlamaWarning, 4)
    return seq_len


def _tell_cuts(ids: Sequence[Sequence[int]], steps: int, n: int | None) -> None:
    """Says which prompts are cut, but for an `n` that asks for it."""
    for row, prompt in enumerate(ids):
        if len(prompt) > steps != n:
            warnings.warn(
                f"prompt {row} has {len(prompt)} tokens, of which {steps} are run and printed: "
                "nothing is generated for it",
                LlamaWarning,
                4,
            )


def _encode(prompt: Prompt, tokenizer: Tokenizer | None, config: LlamaConfig) -> list[int]:
    if not isinstance(prompt, (str, bytes)):
        return check_tokens(prompt, config, "the prompt")
    if tokenizer is None:
        raise LlamaError(
            "a text needs a tokenizer: load the model with one, or give the prompt as ids"
        )
    return check_tokens(tokenizer.encode(prompt), config, "the prompt", fits=False)
