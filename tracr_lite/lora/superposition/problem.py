"""A compiled model with its inputs, as a task for a compressing matrix.

The matrix W [size, d_model] stands between the residual stream and everything that reads or
writes it: what is written is x W^T, what is read is y W. A perfect W gives back each vector
that occurs. It exists when `size` is the rank of these vectors; below that, W has to drop what
does not matter.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false
# pyright: reportUnknownLambdaType=false
# (jax and haiku are typed in part only)

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np

from tracr_lite.lora.errors import LoraError
from tracr_lite.transformer.compressed_model import CompressedTransformer
from tracr_lite.transformer.model import Transformer, TransformerConfig

PRECISION = jax.lax.Precision.HIGHEST
SHARPNESS = 10.0  # of the softmax over answers: they are 0 and 1 where W is perfect


class Compiled(Protocol):
    """What is needed of an assembled model."""

    params: Any
    model_config: TransformerConfig
    residual_labels: list[str]
    input_encoder: Any
    output_encoder: Any
    shape: Any

    @property
    def unembedding(self) -> tuple[np.ndarray, list[str]]: ...


@dataclass(frozen=True, eq=False)
class Problem:
    """All inputs, and what the compiled model does on them.

    - `embeddings`: [inputs, seq, d_model]; `real`: [inputs, seq], false at padding.
    - `residuals`: [half-layers + 1, inputs, seq, d_model], the stream before and after each.
    - `answers`: what is decoded, one list per input.
    """

    model: Compiled
    embeddings: jax.Array
    real: jax.Array
    residuals: jax.Array
    answers: list[list[Any]]

    @property
    def d_model(self) -> int:
        return int(self.embeddings.shape[-1])

    @cached_property
    def vectors(self) -> np.ndarray:
        """Every vector of the residual stream at real positions, [vectors, d_model]."""
        real = np.asarray(self.real)
        return np.concatenate([np.asarray(each)[real] for each in self.residuals])

    @cached_property
    def rank(self) -> int:
        """The dimensions that the vectors span: compression to them loses nothing."""
        return int(np.linalg.matrix_rank(self.vectors))

    @cached_property
    def directions(self) -> np.ndarray:
        """[d_model, d_model]: orthonormal rows, from where the vectors vary most to least.

        From a triangle with the same ones: the vectors are many, and their own decomposition
        would have a square matrix as long as all of them.
        """
        vectors = self.vectors.astype(np.float64)
        rows = max(self.d_model - len(vectors), 0)  # of zeros, so that all directions are there
        triangle = np.linalg.qr(np.pad(vectors, ((0, rows), (0, 0))), mode="r")
        return np.linalg.svd(triangle)[2]

    @cached_property
    def digest(self) -> str:
        """Tells this problem from others."""
        digest = hashlib.sha256()
        for array in (self.embeddings, self.real, self.residuals):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def run(self, w: jax.Array, embeddings: jax.Array, real: jax.Array) -> jax.Array:
        """The decompressed stream before and after each half-layer, as `residuals`.

        **Arguments:** `w`: [size, d_model].
        """

        def apply(embeddings: jax.Array, real: jax.Array) -> list[jax.Array]:
            out = CompressedTransformer(self.model.model_config, name="transformer")(
                embeddings,
                real,
                use_dropout=False,
                embedding_size=w.shape[0],
                unembed_at_every_layer=True,
            )
            return out.residuals

        params = {**_weights(self.model), "transformer": {"w_emb": w}}
        function = hk.without_apply_rng(hk.transform(apply))
        stream = jnp.stack(function.apply(params, embeddings, real))
        first = jnp.matmul(embeddings, w.T, precision=PRECISION)[None]
        return jnp.matmul(jnp.concatenate([first, stream]), w, precision=PRECISION)

    def losses(self, w: jax.Array, rows: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Mean squared error of the stream, and loss of the answers, on some inputs."""
        real = self.real[rows]
        got, want = self.run(w, self.embeddings[rows], real), self.residuals[:, rows]
        weight = real[..., None]
        stream = jnp.sum(weight * (got - want) ** 2) / jnp.sum(real)
        answered = real.at[:, 0].set(False)  # nothing is read at BOS
        each = self._answer_losses(got[-1], want[-1])
        return stream, jnp.sum(jnp.where(answered, each, 0)) / jnp.sum(answered)

    def _answer_losses(self, got: jax.Array, want: jax.Array) -> jax.Array:
        matrix = jnp.asarray(self.model.unembedding[0])
        scores, targets = (jnp.matmul(x, matrix, precision=PRECISION) for x in (got, want))
        if not self.model.shape.readout.categorical:
            return jnp.sum((scores - targets) ** 2, axis=-1)
        right = jnp.argmax(targets, axis=-1)[..., None]
        logs = jax.nn.log_softmax(SHARPNESS * scores)
        return -jnp.take_along_axis(logs, right, axis=-1)[..., 0]

    def accuracies(self, ws: jax.Array) -> list[float]:
        """For each matrix, [matrices, size, d_model], the fraction of inputs on which every
        decoded answer is that of the model."""

        real, found = np.asarray(self.real), list[float]()
        for stream in np.asarray(self._finals(ws)):
            pairs = zip(decoded(self.model, stream, real), self.answers, strict=True)
            found.append(sum(one == two for one, two in pairs) / len(self.answers))
        return found

    @cached_property
    def _finals(self) -> Callable[[jax.Array], jax.Array]:
        """The decompressed stream at the end, for each of several matrices."""

        def final(w: jax.Array) -> jax.Array:
            return self.run(w, self.embeddings, self.real)[-1]

        return jax.jit(jax.vmap(final))


def _weights(model: Compiled) -> dict[str, Any]:
    return {n: group for n, group in model.params.items() if n.startswith("transformer/")}


def decoded(model: Compiled, stream: np.ndarray, real: np.ndarray) -> list[list[Any]]:
    """The answers of a stream [inputs, seq, d_model] at real positions after BOS."""
    readout = model.shape.readout
    scores = stream @ model.unembedding[0]
    if readout.categorical:
        answers = scores.argmax(axis=-1)
    else:
        answers = scores[..., readout.numbers[0]]
        for flag in readout.flags:
            answers = np.where(scores[..., flag] > 0.5, np.nan, answers)
    return [
        model.output_encoder.decode(row[1:][keep[1:]].tolist())
        for row, keep in zip(answers, real, strict=True)
    ]


def make_problem(model: Compiled, inputs: Sequence[Sequence[Any]]) -> Problem:
    """Runs a compiled model on inputs.

    **Arguments:** `inputs`: token sequences without BOS, of any lengths.
    **Raises:** `LoraError` if there are none, or the model was not compiled from a program.
    """
    if not inputs:
        raise LoraError("compression needs inputs; give some sequences of tokens")
    if model.shape is None or model.input_encoder is None or model.output_encoder is None:
        raise LoraError("compression needs a model from compile_rasp_to_model")
    encoder = model.input_encoder
    encoded = [encoder.encode([encoder.bos_token, *tokens]) for tokens in inputs]
    ids = np.full((len(encoded), max(map(len, encoded))), encoder.pad_encoding, np.int32)
    for row, tokens in zip(ids, encoded, strict=True):
        row[: len(tokens)] = tokens
    positions = np.arange(ids.shape[1])
    embeddings = jnp.asarray(
        np.asarray(model.params["token_embed"]["embeddings"])[ids]
        + np.asarray(model.params["pos_embed"]["embeddings"])[positions]
    )
    real = jnp.asarray(ids != encoder.pad_encoding)
    function = hk.without_apply_rng(
        hk.transform(
            lambda x, real: (
                Transformer(model.model_config, name="transformer")(
                    x, real, use_dropout=False
                ).residuals
            )
        )
    )
    stream = jax.jit(function.apply)(_weights(model), embeddings, real)
    residuals = jnp.stack([embeddings, *stream])
    answers = decoded(model, np.asarray(residuals[-1]), np.asarray(real))
    return Problem(model, embeddings, real, residuals, answers)
