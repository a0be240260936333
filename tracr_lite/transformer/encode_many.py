"""Encodes and decodes whole batches: what `encoder` does token by token, at the speed of numpy.

An encoder of a class of the user's own is called sequence by sequence.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain, repeat
from operator import itemgetter
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
        self._small = False  # whether ids fit into a byte
        if type(encoder) is CategoricalEncoder and encoder.enforce_bos:
            ids = dict(encoder.encoding_map)
            if encoder.pad_token is not None and not encoder.allow_pad:
                del ids[encoder.pad_token]
            self._ids = ids
            # keyed by type too: 1, 1.0 and True are equal, but not the same token
            self._typed = {(type(v), v): i for v, i in ids.items()}
            self._small = len(encoder.basis) <= 256
        self._types = set(map(type, self._ids))
        self._plain = self._types <= PLAIN and len(self._types & NUMBERS) < 2

    def encode(self, sequences: Sequence[Sequence[Any]], numbers: Sequence[int]) -> np.ndarray:
        """The ids of all sequences, one after the other, int32.

        **Arguments:** `numbers`: what to call each sequence in messages.
        **Raises:** `InputError` as the encoder does, with the number of the sequence.
        """
        if self._ids:
            ids = self._at_once(list(chain.from_iterable(sequences)))
            if ids is not None and self._fits(sequences, ids):
                return ids
        pairs = zip(sequences, numbers, strict=True)
        parts = [self._one(tokens, number) for tokens, number in pairs]
        ids = np.array(list(chain.from_iterable(parts)))
        if ids.size and ids.dtype.kind not in "biu":
            raise InputError(f"ids must be whole numbers, but the batch holds {ids.dtype}")
        return ids.astype(np.int32, copy=False)

    def _at_once(self, flat: list[Any]) -> np.ndarray | None:
        """Ids of tokens that all are in the table; None sends them to the encoder."""
        try:
            if not self._all_known(flat):
                pairs = zip(map(type, flat), flat, strict=True)
                found = tuple(map(self._typed.__getitem__, pairs))
            elif len(flat) > 1:  # the fastest way to look up many, which needs two
                found = cast("tuple[int, ...]", itemgetter(*flat)(self._ids))
            else:
                found = tuple(map(self._ids.__getitem__, flat))
        except (KeyError, TypeError):  # unknown or unhashable: found again, and named
            return None
        if self._small:  # numpy reads bytes faster than numbers
            return np.frombuffer(bytes(found), np.uint8).astype(np.int32)
        return np.fromiter(found, np.int32, len(found))

    def _all_known(self, flat: list[Any]) -> bool:
        """Whether each token is of the type of any known one that it equals."""
        if len(self._types) == 1:  # counting is faster than making a set
            return self._plain and list(map(type, flat)).count(*self._types) == len(flat)
        return self._plain and self._types.issuperset(map(type, flat))

    def _fits(self, sequences: Sequence[Sequence[Any]], ids: np.ndarray) -> bool:
        """One BOS per sequence, in front, and no sequence too long."""
        encoder = self.encoder
        assert isinstance(encoder, CategoricalEncoder)
        sizes, limit = set(map(len, sequences)), encoder.max_seq_len
        if not sizes or 0 in sizes or (limit is not None and max(sizes) > limit + 1):
            return False
        bos = ids == encoder.bos_encoding
        if len(sizes) == 1:
            starts = bos[:: sizes.pop()]
        else:
            starts = bos[np.cumsum([0, *map(len, sequences[:-1])])]
        return bool(starts.all()) and np.count_nonzero(bos) == len(sequences)

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
        return self.by_position(answers.T, lengths, first)

    def by_position(
        self, answers: np.ndarray, lengths: Sequence[int] | None = None, first: Any = None
    ) -> list[list[Any]]:
        """The same for answers [seq, batch]."""
        size, count = answers.shape
        used = [size] * count if lengths is None else lengths
        values = self._decode(answers)
        if values is None:  # one by one, and without what means nothing
            pairs = zip(answers.T, used, strict=True)
            rows = [self._one(row[:length].tolist()) for row, length in pairs]
            return rows if first is None else [[first, *row[1:]] for row in rows]
        columns: list[Iterable[Any]] = values.tolist()
        if first is not None:
            columns[:1] = [repeat(first, count)]
        rows: list[list[Any]] = list(map(list, zip(*columns, strict=True)))
        if lengths is not None and min(lengths, default=size) < size:
            rows = [row[:length] for row, length in zip(rows, lengths, strict=True)]
        return rows if size else [[] for _ in range(count)]

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
        nearest, close = np.zeros(numbers.shape, int), np.zeros(numbers.shape, bool)
        if encoder.values:
            known = np.asarray(encoder.values, dtype=float)
            after = np.searchsorted(known, numbers).clip(0, len(known) - 1)
            before = (after - 1).clip(0)
            nearer = np.abs(known[before] - numbers) <= np.abs(known[after] - numbers)
            nearer &= numbers <= known[-1]  # infinity is as far from all
            nearest = np.where(nearer, before, after)
            close = np.abs(known[nearest] - numbers) <= encoder.tolerance
        if close.all():
            return self._values[nearest]
        results = numbers.astype(object)
        results[close] = self._values[nearest[close]]
        results[np.isnan(numbers)] = None
        return results


def _objects(values: Sequence[Any]) -> np.ndarray:
    """One object per value: numpy would spread tuples over axes."""
    array = np.empty(len(values), dtype=object)
    for i, value in enumerate(values):
        array[i] = value
    return array
