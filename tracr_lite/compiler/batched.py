"""Many sequences through one model: values in and out, or ids in and answers out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from typing import Any, cast

import jax
import numpy as np

from tracr_lite.compiler import batches
from tracr_lite.errors import InputError
from tracr_lite.transformer.decode_many import ManyDecoder
from tracr_lite.transformer.encode_many import ManyEncoder
from tracr_lite.transformer.encoder import Encoder


@dataclass(frozen=True)
class Batched:
    """How to run a model on arrays of ids.

    **Arguments:**
    - `forward`: from ids [rows, size] to answers [size, rows], by position.
    - `vocab_size`: number of ids. `positions`: the most tokens with BOS.
    - `width`: numbers per position of the widest activation.
    - `pad`: the id that fills sequences up; None if the model cannot hide it from attention.
    """

    forward: Callable[[np.ndarray], jax.Array | np.ndarray]
    vocab_size: int
    positions: int
    width: int
    pad: int | None
    input_encoder: Encoder | None
    output_encoder: Encoder | None

    def values(self, batch: Iterable[Sequence[Any]]) -> list[list[Any]]:
        """Decoded values of each sequence, BOS first.

        **Raises:** `InputError` with the number of the sequence.
        """
        sequences = _sequences(batch)
        encoder, decoder = ManyEncoder(self.input_encoder), ManyDecoder(self.output_encoder)
        bos = None if self.input_encoder is None else self.input_encoder.bos_token
        sizes = set(map(len, sequences))
        longest, mixed = max(sizes, default=0), len(sizes) > 1
        lengths = list(map(len, sequences)) if mixed else [longest] * len(sequences)
        plan = self._plan(lengths)
        numbers: Sequence[int] = range(len(sequences))
        if plan.order is not None:
            numbers = plan.order
            sequences = [sequences[i] for i in numbers]
            lengths = [lengths[i] for i in numbers]
        results: list[list[Any]] = []

        def prepare(chunk: batches.Chunk) -> np.ndarray:
            part = slice(chunk.start, chunk.stop)
            ids = encoder.encode(sequences[part], numbers[part], lengths[part])
            ids = checked_ids(ids, self.vocab_size)
            return batches.padded(ids, lengths[part], chunk, self.pad or 0)

        def finish(chunk: batches.Chunk, answers: np.ndarray) -> None:
            part = slice(chunk.start, chunk.stop)
            rows = answers[:longest, : part.stop - part.start].T
            results.extend(decoder.decode(rows, lengths[part] if mixed else None, bos))

        with batches.WithoutCollector():
            batches.run(plan.chunks, prepare, self.forward, finish)
        if plan.order is None:
            return results
        ordered = list(results)
        for number, row in zip(plan.order, results, strict=True):
            ordered[number] = row
        return ordered

    def answers(self, ids: np.ndarray) -> np.ndarray:
        """Ids [batch, seq] to answers [batch, seq]: ids of output values, or numbers.

        **Raises:** `InputError` if `ids` is not such an array of whole numbers, or too wide.
        """
        try:
            ids = np.asarray(ids)
        except ValueError as error:
            raise InputError(f"ids must be an array, [batch, seq]; {error}") from error
        if ids.ndim != 2 or ids.dtype.kind not in "iu":
            raise InputError(
                f"ids must be an array of whole numbers, [batch, seq]; got {ids.dtype} "
                f"{list(ids.shape)}"
            )
        count, size = checked_ids(ids, self.vocab_size).shape
        if count == 0:  # of the right type
            return np.asarray(self.forward(np.zeros((1, size), np.int32))).T[:0]
        results: list[np.ndarray] = []

        def prepare(chunk: batches.Chunk) -> np.ndarray:
            flat = ids[chunk.start : chunk.stop].astype(np.int32).ravel()
            return batches.padded(
                flat, [size] * (chunk.stop - chunk.start), chunk, self.pad or 0
            )

        def finish(chunk: batches.Chunk, answers: np.ndarray) -> None:
            results.append(answers[:size, : chunk.stop - chunk.start].T)

        batches.run(self._plan([size] * count).chunks, prepare, self.forward, finish)
        return np.concatenate(results)

    def _plan(self, lengths: Sequence[int]) -> batches.Plan:
        pads = self.pad is not None
        return batches.plan(lengths, self.positions, self.width, pads=pads)


def _sequences(batch: Iterable[Any]) -> list[Sequence[Any]]:
    sequences = list(_items(batch, "the batch", "list of sequences"))
    if set(map(type, sequences)) <= {list, tuple}:
        return sequences
    return [listed(x, f"sequence {number} of the batch") for number, x in enumerate(sequences)]


def listed(tokens: Any, name: str) -> Sequence[Any]:
    """Tokens as a list or tuple. **Raises:** `InputError` if they have no order."""
    if isinstance(tokens, list | tuple):
        return cast("Sequence[Any]", tokens)
    if getattr(tokens, "ndim", None) == 1 and hasattr(tokens, "tolist"):
        return cast("list[Any]", tokens.tolist())  # scalars of arrays are slow
    if isinstance(tokens, Set):
        raise InputError(f"{name} is {tokens!r}, not a sequence of tokens")
    return list(_items(tokens, name, "sequence of tokens"))


def _items(given: Any, name: str, wanted: str) -> Iterator[Any]:
    try:
        return iter(given)
    except TypeError as error:
        raise InputError(f"{name} is {given!r}, not a {wanted}") from error


def checked_ids(ids: np.ndarray, vocab_size: int) -> np.ndarray:
    """The ids themselves. **Raises:** `InputError` if one of them stands for no token."""
    if ids.size and not 0 <= ids.min() <= ids.max() < vocab_size:
        where = np.argwhere((ids < 0) | (ids >= vocab_size))[0].tolist()
        place = f" (row {where[0]}, position {where[1]})" if len(where) == 2 else ""
        raise InputError(
            f"no token has id {ids[tuple(where)]}{place}; ids go from 0 to {vocab_size - 1}"
        )
    return ids


def plain_ids(tokens: list[Any]) -> list[Any]:
    """The tokens of a model without encoder. **Raises:** `InputError` if one is no id."""
    if all(isinstance(token, int | np.integer) for token in tokens):
        return tokens
    raise InputError(f"the model has no input encoder: tokens must be ids; got {tokens}")
