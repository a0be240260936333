"""A model that is ready to run: logits, activations, texts."""

# JAX leaves parts of its own signatures without types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, overload

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from tracr_lite.llama.batch_jax import padded
from tracr_lite.llama.batches import Engine
from tracr_lite.llama.cache import empty_cache
from tracr_lite.llama.chat import Chat
from tracr_lite.llama.checkpoint import load_checkpoint
from tracr_lite.llama.config import LlamaConfig
from tracr_lite.llama.engines import EngineChoice, choose_engine
from tracr_lite.llama.errors import LlamaError
from tracr_lite.llama.generate import Generation, Options, Prompt, TextStream
from tracr_lite.llama.int8 import Activations
from tracr_lite.llama.model import Trace, forward, logits
from tracr_lite.llama.params import Dtype, Params, Progress, load_params
from tracr_lite.llama.starting import resolve_steps, start_rows
from tracr_lite.llama.tokenizer import Tokenizer, load_tokenizer_for
from tracr_lite.llama.tokens import check_tokens


@dataclass(frozen=True)
class LlamaOutput:
    """Every activation of one sequence; T tokens, D dim; fields as for compiled models.

    - `logits`: [T, vocab]. `transformer_output`: [1, T, D], the normalised stream at the end.
    - `input_embeddings`: [1, T, D], the stream at the start.
    - `layer_outputs`, `residuals`: per half-layer what it added and the stream after it.
    - `attn_logits`: per layer the scaled and masked scores, [1, heads, T, T].
    """

    logits: np.ndarray
    transformer_output: Array
    input_embeddings: Array
    layer_outputs: list[Array]
    residuals: list[Array]
    attn_logits: list[Array]


@dataclass(frozen=True, eq=False)
class Llama:
    """A Llama model on the device, with its tokenizer if it has one.

    `engine`, `threads`, `lookahead`: what generates, see `load`. Logits are JAX's always.
    """

    config: LlamaConfig
    params: Params
    tokenizer: Tokenizer | None = None
    engine: EngineChoice = "auto"
    threads: int | None = None
    lookahead: int = 0

    @cached_property
    def runner(self) -> Engine:
        """The engine that generates; its `name` is "native" or "jax".

        **Raises:** `LlamaError` where "native" was asked for and cannot be, with the reason.
        """
        how = self.threads, self.lookahead
        return choose_engine(self.engine, self.params, self.config, *how)

    def logits(self, tokens: Sequence[int]) -> np.ndarray:
        """[T, vocab], float32: row i scores the token after `tokens[: i + 1]`.

        **Raises:** `LlamaError` for an empty or too long sequence, or an unknown token.
        """
        ids = check_tokens(tokens, self.config)
        return np.asarray(_logits(self.params, self.config, _row(ids, self.config)))[: len(ids)]

    def apply(self, tokens: Sequence[int]) -> LlamaOutput:
        """Runs one sequence and keeps every activation. **Raises:** as `logits`."""
        ids = check_tokens(tokens, self.config)
        scores, x, trace = _traced(self.params, self.config, jnp.asarray([ids], jnp.int32))
        return LlamaOutput(
            np.asarray(scores),
            x,
            trace.input_embeddings[0],
            trace.layer_outputs,
            trace.residuals,
            trace.attn_logits,
        )

    @overload
    def generate(self, prompt: str | bytes, **options: Any) -> Generation: ...
    @overload
    def generate(self, prompt: Sequence[str | bytes], **options: Any) -> list[Generation]: ...
    @overload
    def generate(self, prompt: Sequence[int], **options: Any) -> Generation: ...

    def generate(self, prompt: Any, **options: Any) -> Any:
        """Continues a prompt, or each one of a list of prompts, all in one batch.

        **Arguments:**
        - `prompt`: a text, or token ids (then BOS is not added); or a list of either.
        - `options`: the fields of `Options`, such as `n`, `temperature` and `seed`.

        **Returns:** a `Generation`; a list of them for a list of prompts.
        **Raises:** `LlamaError` for prompts, options and logits that cannot be used.
        **Warns:** `LlamaWarning` if `n` is cut to the context, or a text to less than `n`.
        """
        prompts, one = _prompts(prompt)
        rows, chunks = start_rows(
            self.runner, self.config, self.tokenizer, prompts, Options(**options), often=False
        )
        for row in rows:
            row.begin()
        for chunk in chunks:
            for row, ids in zip(rows, chunk, strict=True):
                row.push(ids)
            if all(row.ended for row in rows):
                break
        for row in rows:
            row.finish()
        results = [row.result() for row in rows]
        return results[0] if one else results

    def stream(self, prompt: Prompt, **options: Any) -> TextStream:
        """The text of `generate` in pieces, as soon as they are certain.

        **Raises:** as `generate`, when the stream is made or when it is read.
        """
        prompts, one = _prompts(prompt)
        if not one:
            raise LlamaError("a stream takes one prompt; use generate for several")
        return TextStream(
            *start_rows(
                self.runner,
                self.config,
                self.tokenizer,
                prompts,
                Options(**options),
                often=True,
            )
        )

    def chat(self, system: str | bytes = "", **options: Any) -> Chat:
        """A conversation; `say` gives the replies.

        **Arguments:** `system`: what the model is told before the first message. `options`: of
        `Options`, those that choose tokens, `n`, by default the whole context, and `seed`.
        **Raises:** `LlamaError` without a tokenizer, and for options without a meaning.
        """
        chosen: dict[str, Any] = {"n": 0} | options
        given = Options(**chosen)
        if self.tokenizer is None:
            raise LlamaError("a conversation needs a tokenizer; load the model with one")
        steps = resolve_steps(given.n, self.config.seq_len)
        seed = given.seeds(1)[0]
        return Chat(self.runner, self.tokenizer, system, steps, given.settings, seed)


def load(
    path: str | Path,
    tokenizer: str | Path | Tokenizer | None = None,
    *,
    dtype: Dtype | None = None,
    activations: Activations = "float32",
    engine: EngineChoice = "auto",
    threads: int | None = None,
    lookahead: int = 0,
    progress: Progress = lambda done, total: None,
) -> Llama:
    """Loads a model of any format that `load_checkpoint` knows.

    **Arguments:**
    - `path`: a .bin file of llama2.c, or a Hugging Face folder.
    - `tokenizer`: a file, see `load_tokenizer_for`; without one, prompts are token ids.
    - `dtype`: "float32", "bfloat16" or "int8"; see `load_params`. By default quantized weights
      stay int8, and others become float32.
    - `activations`: "q80" computes as runq.c does, which needs int8 weights.
    - `engine`: "native" generates with kernels that numba compiles, on CPUs; "jax" with XLA,
      anywhere; "auto" takes the native one where it can. Seeds give the same tokens.
    - `threads`: of the native engine; by default one per core, at most 8.
    - `lookahead`: so many tokens, up to 6, are guessed and run together: the same, but sooner.
    - `progress`: called with what has just been done, and with all there is to do.

    **Raises:** `LlamaError` if a file cannot be read, or the two do not belong together.
    **Warns:** `LlamaWarning` if a tokenizer.bin has more tokens than the model.
    """
    checkpoint = load_checkpoint(path)
    if isinstance(tokenizer, (str, Path)):
        tokenizer = load_tokenizer_for(tokenizer, checkpoint.config.vocab_size)
    if tokenizer is not None and len(tokenizer) != checkpoint.config.vocab_size:
        raise LlamaError(
            f"the tokenizer has {len(tokenizer)} tokens, but the model {str(path)!r} has "
            f"{checkpoint.config.vocab_size}; do they belong together? To use the first tokens "
            "of a longer tokenizer.bin, as run.c does, give its path, or "
            "load_tokenizer(path, vocab_size)"
        )
    params = load_params(checkpoint.config, checkpoint.source, dtype, activations, progress)
    return Llama(checkpoint.config, params, tokenizer, engine, threads, lookahead)


def _prompts(given: Any) -> tuple[list[Any], bool]:
    """Prompts in a list, and whether what was given is a single one."""
    texts = (str, bytes)
    if isinstance(given, texts):
        return [given], True
    found = list(given)
    tokens = [each for each in found if not (isinstance(each, texts) or np.ndim(each))]
    if len(tokens) == len(found):
        return [found], True
    if tokens:
        raise LlamaError(
            f"among the prompts is {tokens[0]!r}, neither a text nor a list of ids"
        )
    return found, False


def _row(ids: Sequence[int], config: LlamaConfig) -> Array:
    """[1, t], with padding behind, so that few lengths are compiled."""
    row = np.zeros((1, min(padded(len(ids)), config.seq_len)), np.int32)
    row[0, : len(ids)] = ids
    return jnp.asarray(row)


@partial(jax.jit, static_argnames="config")
def _logits(params: Params, config: LlamaConfig, tokens: Array) -> Array:
    cache = empty_cache(config, 1, tokens.shape[1])
    x, _ = forward(params, config, tokens, jnp.zeros(1, jnp.int32), cache)
    return logits(params, x)[0]


@partial(jax.jit, static_argnames="config")
def _traced(params: Params, config: LlamaConfig, tokens: Array) -> tuple[Array, Array, Trace]:
    trace, cache = Trace(), empty_cache(config, 1, tokens.shape[1])
    x, _ = forward(params, config, tokens, jnp.zeros(1, jnp.int32), cache, trace=trace)
    return logits(params, x)[0], x, trace
