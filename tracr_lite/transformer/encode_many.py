"""Encodes and decodes whole batches: what `encoder` does token by token, at the speed of numpy.

An encoder of a class of the user's own is called sequence by sequence.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, chain
from typing import Any

import numpy as np

from tracr_lite.errors import InputError
from tracr_lite.transformer.encoder import CategoricalEncoder, Encoder, NumericalEncoder


class ManyEncoder:
    """Sequences of tokens to ids. Holds a table, so keep it for the batches to come."""

    def __init__(self, encoder: Encoder | None):
        self.encoder = encoder
        self._ids: dict[tuple[type, Any], int] | None = None
        if type(encoder) is CategoricalEncoder and encoder.enforce_bos:
            # keyed by type too: 1, 1.0 and True are equal, but not the same token
            self._ids = {(type(v), v): i for v, i in encoder.encoding_map.items()}
            if not encoder.allow_pad:
                self._ids.pop((type(encoder.pad_token), encoder.pad_token), None)

    def encode(self, sequences: Sequence[Sequence[Any]], numbers: Sequence[int]) -> np.ndarray:
        """The ids of all sequences, one after the other, int32.

        **Arguments:** `numbers`: what to call each sequence in messages.
        **Raises:** `InputError` as the encoder does, with the number of the sequence.
        """
        if self._ids is not None:
            flat = list(chain.from_iterable(sequences))
            try:
                ids = list(map(self._ids.get, zip(map(type, flat), flat, strict=True)))
            except TypeError:  # an unhashable token: found again, and named, below
                ids = []
            if len(ids) == len(flat) and None not in ids and self._fits(sequences, ids):
                return np.array(ids, np.int32)
        pairs = zip(sequences, numbers, strict=True)
        parts = [self._one(tokens, number) for tokens, number in pairs]
        return np.array(list(chain.from_iterable(parts)), np.int32)

    def _fits(self, sequences: Sequence[Sequence[Any]], ids: list[int | None]) -> bool:
        """One BOS per sequence, in front, and no sequence too long."""
        encoder = self.encoder
        assert isinstance(encoder, CategoricalEncoder)
        lengths = [len(tokens) for tokens in sequences]
        if min(lengths, default=0) == 0:
            return False
        starts = accumulate(lengths[:-1], initial=0)
        bos = encoder.bos_encoding
        limit = encoder.max_seq_len
        return (
            all(ids[start] == bos for start in starts)
            and ids.count(bos) == len(sequences)
            and (limit is None or max(lengths, default=0) <= limit + 1)
        )

    def _one(self, tokens: Sequence[Any], number: int) -> list[Any]:
        if self.encoder is None:
            return list(tokens)
        try:
            ids = self.encoder.encode(list(tokens))
        except InputError as error:
            raise InputError(f"sequence {number} of the batch: {error}") from error
        if len(ids) != len(tokens):
            raise InputError(
                f"sequence {number} of the batch: the encoder made {len(ids)} ids of "
                f"{len(tokens)} tokens; a batch needs one per token, so use apply instead"
            )
        return ids


class ManyDecoder:
    """Answers [batch, seq] to values."""

    def __init__(self, encoder: Encoder | None):
        self.encoder = encoder
        self._values = np.empty(0, dtype=object)
        if type(encoder) is CategoricalEncoder:
            self._values = _objects([direction.value for direction in encoder.basis])
        elif type(encoder) is NumericalEncoder:
            self._values = _objects(encoder.values)

    def decode(self, answers: np.ndarray) -> list[list[Any]]:
        """What the encoder's `decode` gives for each row."""
        if self.encoder is None:
            return answers.tolist()
        if type(self.encoder) is CategoricalEncoder and answers.dtype.kind in "iu":
            if answers.size == 0 or 0 <= answers.min() <= answers.max() < len(self._values):
                return self._values[answers].tolist()
        if type(self.encoder) is NumericalEncoder:
            return self._numbers(answers, self.encoder).tolist()
        return [self.encoder.decode(row.tolist()) for row in answers]

    def _numbers(self, answers: np.ndarray, encoder: NumericalEncoder) -> np.ndarray:
        """Each number, or the nearest known one, or None for NaN; of type object."""
        numbers = answers.astype(float)
        results = numbers.astype(object)
        if encoder.values:
            known = np.asarray(encoder.values, dtype=float)
            after = np.searchsorted(known, numbers).clip(0, len(known) - 1)
            before = (after - 1).clip(0)
            nearer = np.abs(known[before] - numbers) <= np.abs(known[after] - numbers)
            nearest = np.where(nearer, before, after)
            close = np.abs(known[nearest] - numbers) <= encoder.tolerance
            results[close] = self._values[nearest[close]]
        results[np.isnan(numbers)] = None
        return results


def _objects(values: Sequence[Any]) -> np.ndarray:
    """One object per value: numpy would spread tuples over axes."""
    array = np.empty(len(values), dtype=object)
    for i, value in enumerate(values):
        array[i] = value
    return array
