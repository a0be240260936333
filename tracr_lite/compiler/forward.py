"""The Haiku function of an assembled model; its jitted forms are kept by shape."""

# pyright: reportUnknownMemberType=false
# (jax and haiku are typed in part only)

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from typing import Any, cast

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np

from tracr_lite.compiler.modules import ModelForward
from tracr_lite.errors import InputError
from tracr_lite.transformer import batch_last, pruned_model, trimmed_model
from tracr_lite.transformer.attention import PRECISION
from tracr_lite.transformer.model import (
    CompiledTransformerModel,
    CompiledTransformerModelOutput,
    Transformer,
    TransformerConfig,
)
from tracr_lite.transformer.pruning import Pruned
from tracr_lite.transformer.shapes import Shapes, model_shapes
from tracr_lite.transformer.trimming import Trimmed


@dataclass(frozen=True)
class Readout:
    """How answers are read from the residual stream.

    **Arguments:**
    - `columns`: residual columns of the output space.
    - `categorical`: the answer is the number of the largest column, else the first of
      `numbers`.
    - `numbers`, `flags`: positions in `columns` of the number and of the marks for None.
    """

    columns: tuple[int, ...]
    categorical: bool
    numbers: tuple[int, ...] = ()
    flags: tuple[int, ...] = ()

    def answers(self, out: jax.Array, argmax: bool) -> jax.Array:
        """From the columns, [..., columns], to ids or numbers; NaN stands for None."""
        if argmax:
            return jnp.argmax(out, axis=-1)
        if self.numbers:
            number = out[..., self.numbers[0]]
        else:
            number = jnp.zeros(out.shape[:-1], out.dtype)
        for flag in self.flags:
            number = jnp.where(out[..., flag] > 0.5, jnp.nan, number)
        return number


@dataclass(frozen=True)
class Shape:
    """All that the forward function depends on besides the parameters."""

    config: TransformerConfig
    vocab_size: int
    positions: int
    d_model: int
    readout: Readout
    pad_token: int | None

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles hold the fields; the forward function is made again from them."""
        return Shape, tuple(getattr(self, f.name) for f in fields(self))

    def model(self, transformer: Transformer | None = None) -> CompiledTransformerModel:
        """The model, for use inside of `hk.transform`; perhaps with another transformer."""
        size = self.d_model
        return CompiledTransformerModel(
            transformer=Transformer(self.config) if transformer is None else transformer,
            token_embed=hk.Embed(self.vocab_size, size, name="token_embed"),
            position_embed=hk.Embed(self.positions, size, name="pos_embed"),
            unembed=self._unembed,
            use_unembed_argmax=self.readout.categorical,
            pad_token=self.pad_token,
        )

    @property
    def param_shapes(self) -> Shapes:
        """Names and shapes of the parameters, those of the embeddings last."""
        return model_shapes(self.config, self.d_model, self.vocab_size, self.positions)

    @cached_property
    def param_names(self) -> tuple[tuple[str, str], ...]:
        """Module and leaf of each parameter, in the order of `param_shapes`."""
        return tuple(
            (module, leaf) for module, group in self.param_shapes.items() for leaf in group
        )

    def unembedding(self) -> np.ndarray:
        """[d_model, output dimensions], zeros and ones."""
        matrix = np.zeros((self.d_model, len(self.readout.columns)), np.float32)
        matrix[list(self.readout.columns), np.arange(matrix.shape[1])] = 1.0
        return matrix

    def _unembed(self, stream: jax.Array, use_unembed_argmax: bool) -> jax.Array:
        out = jnp.matmul(stream, jnp.asarray(self.unembedding()), precision=PRECISION)
        return self.readout.answers(out, use_unembed_argmax)

    @cached_property
    def transformed(self) -> hk.Transformed:
        def run(tokens: jax.Array) -> CompiledTransformerModelOutput:
            self.check_length(tokens)
            return self.model()(tokens, use_dropout=False)

        return hk.without_apply_rng(hk.transform(run))

    @cached_property
    def forward(self) -> ModelForward:
        """`forward(params, tokens)`; one object per shape."""
        return Forward(self)

    def check_length(self, tokens: jax.Array) -> None:
        """**Raises:** `InputError` if there are more tokens than positions."""
        if tokens.shape[-1] > self.positions:
            raise InputError(
                f"the input has {tokens.shape[-1]} positions with BOS, "
                f"but the model has {self.positions}"
            )

    def observe(self, trimmed: Trimmed, tokens: jax.Array) -> CompiledTransformerModelOutput:
        """As `forward`, with every activation, from parameters cut by `trimming.trim`.

        **Raises:** as `check_length`.
        """
        self.check_length(tokens)
        result = trimmed_model.run(trimmed, tokens, self.config, self.pad_token)
        out = result.output[..., np.asarray(self.readout.columns, np.int32)]
        return CompiledTransformerModelOutput(
            transformer_output=result,
            unembedded_output=self.readout.answers(out, self.readout.categorical),
        )

    def answer(self, pruned: Pruned, tokens: jax.Array) -> jax.Array:
        """The answers [batch, seq] of pruned parameters to token ids [batch, seq].

        An ordinary function: it may be jitted, vmapped, differentiated and sharded.
        **Raises:** as `check_length`.
        """
        return self._answers(pruned, tokens, np.asarray(self.readout.columns, np.int32)).T

    def answer_by_position(self, narrow: Pruned, tokens: jax.Array) -> jax.Array:
        """As `answer`, but answers [seq, batch], from `narrowed(pruned, readout.columns)`."""
        size = narrow.token_embed.shape[1]
        columns = np.arange(size - len(self.readout.columns), size, dtype=np.int32)
        return self._answers(narrow, tokens, columns)

    def _answers(self, pruned: Pruned, tokens: jax.Array, columns: np.ndarray) -> jax.Array:
        """Answers [seq, batch]; `columns`: those of the output in the stream."""
        self.check_length(tokens)
        config, short = self.config, batch_last.suits(pruned, tokens.shape[-1])
        stream = (batch_last if short else pruned_model).run(
            pruned,
            tokens.T if short else tokens,
            key_size=config.key_size,
            causal=config.causal,
            pad_token=self.pad_token,
        )
        if short:
            out = jnp.moveaxis(stream[columns], 0, -1)
        else:
            out = jnp.swapaxes(stream[..., columns], 0, 1)
        return self.readout.answers(out, self.readout.categorical)


@dataclass(frozen=True)
class Forward:
    """The forward pass of a shape, for Haiku's parameters and token ids [batch, seq].

    Haiku is asked when it is first called, which models that are only compiled never are.
    """

    shape: Shape

    def __call__(self, params: Any, emb: jax.Array) -> CompiledTransformerModelOutput:
        return self.shape.transformed.apply(params, emb)


@lru_cache(maxsize=256)
def jitted(shape: Shape) -> Callable[..., Any]:
    """The jitted forward of a shape; models of equal shape share it."""
    return cast("Callable[..., Any]", jax.jit(shape.forward))


@lru_cache(maxsize=256)
def jitted_observe(shape: Shape) -> Callable[..., Any]:
    """The jitted `observe` of a shape."""
    return cast("Callable[..., Any]", jax.jit(shape.observe))


@lru_cache(maxsize=256)
def jitted_answer(shape: Shape) -> Callable[..., jax.Array]:
    """The jitted `answer` of a shape."""
    return cast("Callable[..., jax.Array]", jax.jit(shape.answer))


@lru_cache(maxsize=256)
def jitted_by_position(shape: Shape) -> Callable[..., jax.Array]:
    """The jitted `answer_by_position` of a shape."""
    return cast("Callable[..., jax.Array]", jax.jit(shape.answer_by_position))


def bucket(length: int, limit: int) -> int:
    """The padded length that a sequence runs at: a power of two from 16 on, at most `limit`."""
    size = 16
    while size < length:
        size *= 2
    return min(size, limit)
