"""Encodes and decodes whole batches: what `encoder` does token by token, at the speed of numpy.

An encoder of a class of the user's own is called sequence by sequence.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, cast

import numpy as np

from tracr_lite.errors import InputError
from tracr_lite.transformer.encoder import CategoricalEncoder, Encoder, NumericalEncoder

NUMBERS = frozenset({bool, int, float})
PLAIN = NUMBERS | {str, type(None)}


class ManyEncoder:
    """Sequences of tokens to ids. Holds tables, so keep it for the batches to come."""

    def __init__(self, encoder: Encoder | None):
        self.encoder = encoder
        self._ids: dict[Any, int] = {}
        self._typed: dict[tuple[type, Any], int] = {}
        if type(encoder) is CategoricalEncoder and encoder.enforce_bos:
            ids = dict(encoder.encoding_map)
            if encoder.pad_token is not None and not encoder.allow_pad:
                del ids[encoder.pad_token]
            self._ids = ids
            # keyed by type too: 1, 1.0 and True are equal, but not the same token
            self._typed = {(type(v), v): i for v, i in ids.items()}
        self._numbers: set[type] = {type(v) for v in self._ids} & NUMBERS

    def encode(self, sequences: Sequence[Sequence[Any]], numbers: Sequence[int]) -> np.ndarray:
        """The ids of all sequences, one after the other, int32.

        **Arguments:** `numbers`: what to call each sequence in messages.
        **Raises:** `InputError` as the encoder does, with the number of the sequence.
        """
        if self._ids:
            ids = self._at_once(list(chain.from_iterable(sequences)))
            if ids is not None and self._fits(list(map(len, sequences)), ids):
                return ids
        pairs = zip(sequences, numbers, strict=True)
        parts = [self._one(tokens, number) for tokens, number in pairs]
        ids = np.array(list(chain.from_iterable(parts)))
        if ids.size and ids.dtype.kind not in "biu":
            raise InputError(f"ids must be whole numbers, but the batch holds {ids.dtype}")
        return ids.astype(np.int32, copy=False)

    def _at_once(self, flat: list[Any]) -> np.ndarray | None:
        """Ids of tokens that all are in the table; None sends them to the encoder."""
        types: set[type] = set(map(type, flat))
        plain = types <= PLAIN and (types & NUMBERS) <= self._numbers and len(self._numbers) < 2
        found = (
            map(self._ids.get, flat)
            if plain  # then a token that equals a known one is of its type
            else map(self._typed.get, zip(map(type, flat), flat, strict=True))
        )
        try:
            return np.fromiter(cast("Iterator[int]", found), np.int32, len(flat))
        except TypeError:  # no id, or an unhashable token: found again, and named, one by one
            return None

    def _fits(self, lengths: list[int], ids: np.ndarray) -> bool:
        """One BOS per sequence, in front, and no sequence too long."""
        encoder = self.encoder
        assert isinstance(encoder, CategoricalEncoder)
        if min(lengths, default=0) == 0:
            return False
        limit = encoder.max_seq_len
        if limit is not None and max(lengths) > limit + 1:
            return False
        bos = ids == encoder.bos_encoding
        starts = np.cumsum([0, *lengths[:-1]])
        return bool(bos[starts].all()) and np.count_nonzero(bos) == len(lengths)

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

    def decode(
        self, answers: np.ndarray, lengths: Sequence[int] | None = None, first: Any = None
    ) -> list[list[Any]]:
        """What the encoder's `decode` gives for each row; `first` replaces its first item.

        **Arguments:** `lengths`: how much of each row counts; what follows means nothing.
        """
        size = answers.shape[1]
        lengths = [size] * len(answers) if lengths is None else lengths
        values = self._decode(answers)
        if values is None:  # one by one, and without what means nothing
            pairs = zip(answers, lengths, strict=True)
            rows = [self._one(row[:length].tolist()) for row, length in pairs]
            return rows if first is None else [[first, *row[1:]] for row in rows]
        rows = values.tolist()
        if min(lengths, default=size) < size:
            rows = [row[:length] for row, length in zip(rows, lengths, strict=True)]
        if first is not None:
            for row in filter(None, rows):
                row[0] = first
        return rows

    def _one(self, row: list[Any]) -> list[Any]:
        return row if self.encoder is None else self.encoder.decode(row)

    def _decode(self, answers: np.ndarray) -> np.ndarray | None:
        """All at once, if the class of the encoder and the answers are such that it can be."""
        if self.encoder is None:
            return answers.astype(object)
        if type(self.encoder) is CategoricalEncoder and answers.dtype.kind in "iu":
            if answers.size == 0 or 0 <= answers.min() <= answers.max() < len(self._values):
                return self._values[answers]
        if type(self.encoder) is NumericalEncoder:
            return self._numbers(answers, self.encoder)
        return None

    def _numbers(self, answers: np.ndarray, encoder: NumericalEncoder) -> np.ndarray:
        """Each number, or the nearest known one, or None for NaN; of type object."""
        numbers = answers.astype(float)
        results = numbers.astype(object)
        if encoder.values:
            known = np.asarray(encoder.values, dtype=float)
            after = np.searchsorted(known, numbers).clip(0, len(known) - 1)
            before = (after - 1).clip(0)
            nearer = np.abs(known[before] - numbers) <= np.abs(known[after] - numbers)
            nearer &= numbers <= known[-1]  # infinity is as far from all
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
