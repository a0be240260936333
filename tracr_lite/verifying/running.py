"""Runs a model on many inputs, and measures how clear its answers are.

The margin of an answer is how far it is from being another one: for one that is the largest of
its columns, the gap to the second largest; for a number, twice the distance of its mark for
None from one half. A margin of infinity has nothing to be mistaken for.
"""

# pyright: reportUnknownMemberType=false
# (jax is typed in part only)

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np

from tracr_lite.compiler.assembled import AssembledTransformerModel
from tracr_lite.compiler.batches import Plan, padded, plan
from tracr_lite.compiler.forward import Readout, Shape, jitted
from tracr_lite.transformer import pruned_model
from tracr_lite.transformer.decode_many import ManyDecoder
from tracr_lite.transformer.encode_many import ManyEncoder
from tracr_lite.transformer.pruning import Pruned

Ids = np.ndarray
Measured = tuple[jax.Array, jax.Array]  # answers and margins, [rows, size]


@dataclass(frozen=True)
class Answer:
    """What a model says on one input, BOS left out.

    **Arguments:** `values`: decoded; `raw`: ids or numbers, before decoding, one per token;
    `margin`: the least of all; `position`: where it is.
    """

    values: list[Any]
    raw: np.ndarray
    margin: float
    position: int


@dataclass(frozen=True)
class Started:
    """Inputs on their way through the model."""

    inputs: list[list[Any]]
    plan: Plan
    results: list[Measured]


class Runner:
    """Runs one model.

    **Arguments:** `dense`: runs all parameters, as `forward` does, and not only those that are
    not zero, as `apply_batch` does.
    """

    def __init__(self, model: AssembledTransformerModel, *, dense: bool = False):
        self._encoder = ManyEncoder(model.input_encoder)
        self._decoder = ManyDecoder(model.output_encoder)
        self._bos = None if model.input_encoder is None else model.input_encoder.bos_token
        self._pad = None if model.shape is None else model.shape.pad_token
        self._positions = int(model.params["pos_embed"]["embeddings"].shape[0])
        self._width = max(len(model.residual_labels), model.model_config.mlp_hidden_size, 1)
        pruned = None if dense or model.shape is None else model.pruned()
        if pruned is not None:
            self._width = pruned.width
        self._forward = _forward(model, pruned)
        self._count = 0  # inputs so far: what a bad one is called

    def start(self, inputs: list[list[Any]]) -> Started:
        """Begins to run some inputs; returns before the device is done.

        **Raises:** `InputError` naming input, token, position and limit.
        """
        front = [] if self._bos is None else [self._bos]
        sequences = [[*front, *xs] for xs in inputs]
        lengths = [len(tokens) for tokens in sequences]
        found = plan(lengths, self._positions, self._width, pads=self._pad is not None)
        order = range(len(inputs)) if found.order is None else found.order
        results: list[Measured] = []
        for chunk in found.chunks:
            members = order[chunk.start : chunk.stop]
            names = [self._count + i for i in members]
            ids = self._encoder.encode([sequences[i] for i in members], names)
            array = padded(ids, [lengths[i] for i in members], chunk, self._pad or 0)
            results.append(self._forward(array))
        self._count += len(inputs)
        return Started(inputs, found, results)

    def finish(self, started: Started) -> list[Answer]:
        """The answers, in the order of the inputs."""
        skip = self._bos is not None
        order = started.plan.order or range(len(started.inputs))
        found: dict[int, Answer] = {}
        for chunk, measured in zip(started.plan.chunks, started.results, strict=True):
            members = order[chunk.start : chunk.stop]
            raw, margins = (np.asarray(each)[: len(members), skip:] for each in measured)
            lengths = [len(started.inputs[i]) for i in members]
            least, where = _least(margins, np.array(lengths))
            values = self._decoder.decode(raw)
            for row, (i, n) in enumerate(zip(members, lengths, strict=True)):
                found[i] = Answer(values[row][:n], raw[row, :n], least[row], where[row])
        return [found[i] for i in range(len(found))]


def _least(margins: np.ndarray, lengths: np.ndarray) -> tuple[list[float], list[int]]:
    """The least margin of each row among its first tokens, and where it is."""
    if not margins.shape[1]:
        return [math.inf] * len(margins), [0] * len(margins)
    clear = np.nan_to_num(margins, nan=0.0, posinf=np.inf)  # a copy
    clear[np.arange(margins.shape[1]) >= lengths[:, None]] = np.inf
    where = clear.argmin(axis=1)
    return clear[np.arange(len(clear)), where].tolist(), where.tolist()


def _forward(
    model: AssembledTransformerModel, pruned: Pruned | None
) -> Callable[[Ids], Measured]:
    """From padded ids to answers and margins."""
    shape = model.shape
    if shape is None:  # a forward pass of the user's own, which has no columns to look at

        def own(ids: Ids) -> Measured:
            answers = model.forward(model.params, jnp.asarray(ids)).unembedded_output
            return answers, jnp.full(answers.shape, jnp.inf)

        return own
    if pruned is None:
        params, run = jax.device_put(model.params), jitted(shape)

        def dense(ids: Ids) -> Measured:
            result = run(params, ids)
            return result.unembedded_output, _dense_margins(shape)(
                result.transformer_output.output
            )

        return dense
    held, run_pruned = jax.device_put(pruned), jitted_measure(shape)
    return lambda ids: run_pruned(held, ids)


def measure(shape: Shape, pruned: Pruned, tokens: jax.Array) -> Measured:
    """Answers and margins [batch, seq] of pruned parameters to token ids [batch, seq]."""
    stream = pruned_model.run(
        pruned,
        tokens,
        key_size=shape.config.key_size,
        causal=shape.config.causal,
        pad_token=shape.pad_token,
    )
    out = stream[..., np.asarray(shape.readout.columns, np.int32)]
    return shape.readout.answers(out, shape.readout.categorical), margins(shape.readout, out)


@lru_cache(maxsize=64)
def jitted_measure(shape: Shape) -> Callable[[Pruned, Ids], Measured]:
    """`measure` for one shape, jitted."""
    return cast("Callable[[Pruned, Ids], Measured]", jax.jit(partial(measure, shape)))


@lru_cache(maxsize=64)
def _dense_margins(shape: Shape) -> Callable[[jax.Array], jax.Array]:
    columns = np.asarray(shape.readout.columns, np.int32)

    def of_stream(stream: jax.Array) -> jax.Array:
        return margins(shape.readout, stream[..., columns])

    return cast("Callable[[jax.Array], jax.Array]", jax.jit(of_stream))


def margins(readout: Readout, out: jax.Array) -> jax.Array:
    """How clear each answer is, from the output columns [..., columns]."""
    if readout.categorical:
        if out.shape[-1] < 2:
            return jnp.full(out.shape[:-1], jnp.inf)
        best, second = jnp.moveaxis(jax.lax.top_k(out, 2)[0], -1, 0)
        return best - second
    flags = out[..., np.asarray(readout.flags, np.int32)]
    return jnp.min(2 * jnp.abs(flags - 0.5), axis=-1, initial=jnp.inf)
