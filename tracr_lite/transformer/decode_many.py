"""Decodes whole batches: what `encoder` does number by number, at the speed of numpy.

An encoder of a class of the user's own is called sequence by sequence.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from tracr_lite.transformer.encoder import CategoricalEncoder, Encoder, NumericalEncoder
from tracr_lite.transformer.known_keys import KnownKeys

MOST_SEEN = 4096  # numbers that are remembered with their values


class ManyDecoder:
    """Answers [batch, seq] to values. Holds tables, so keep it for the batches to come."""

    def __init__(self, encoder: Encoder | None):
        self.encoder = encoder
        self._values = np.empty(0, dtype=object)
        self._snapped: _Snapped | None = None
        if type(encoder) is CategoricalEncoder:
            self._values = _objects([direction.value for direction in encoder.basis])
        elif type(encoder) is NumericalEncoder:
            self._snapped = _Snapped(encoder)

    def decode(
        self, answers: np.ndarray, lengths: Sequence[int] | None = None, first: Any = None
    ) -> list[list[Any]]:
        """What the encoder's `decode` gives for each row; `first` replaces its first item.

        **Arguments:** `lengths`: how much of each row counts; what follows means nothing.
        """
        count, size = answers.shape
        if lengths is None or min(lengths, default=size) == size:
            values = self._decode(np.ascontiguousarray(answers).ravel())
            if values is None:
                return self._one_by_one(answers, [size] * count, first)
            rows = values.reshape(count, size)
            if first is not None:
                rows[:, :1] = _objects([first])
            return rows.tolist()
        used = np.asarray(lengths)
        values = self._decode(answers[np.arange(size) < used[:, None]])
        if values is None:
            return self._one_by_one(answers, lengths, first)
        if first is not None:
            values[(used.cumsum() - used)[used > 0]] = _objects([first])
        items: list[Any] = values.tolist()
        ends = accumulate(lengths)
        return [items[end - length : end] for end, length in zip(ends, lengths, strict=True)]

    def _one_by_one(
        self, answers: np.ndarray, lengths: Sequence[int], first: Any
    ) -> list[list[Any]]:
        """Without what means nothing."""
        rows = [row[:length].tolist() for row, length in zip(answers, lengths, strict=True)]
        if self.encoder is not None:
            rows = [self.encoder.decode(row) for row in rows]
        return rows if first is None else [[first, *row[1:]] for row in rows]

    def _decode(self, answers: np.ndarray) -> np.ndarray | None:
        """All at once, if the class of the encoder and the answers are such that it can be."""
        if self.encoder is None:
            return answers.astype(object)
        if self._snapped is not None:
            return self._snapped.of(answers)
        if type(self.encoder) is CategoricalEncoder and answers.dtype.kind in "iu":
            if answers.size == 0 or 0 <= answers.min() <= answers.max() < len(self._values):
                return self._values[answers]
        return None


class _Snapped:
    """Numbers to the nearest known ones, as `NumericalEncoder.decode` does.

    The answers of a batch are few different numbers, so each is snapped once, and found again
    by its bits.
    """

    def __init__(self, encoder: NumericalEncoder):
        self._values = _objects(encoder.values)
        self._numbers = np.asarray(encoder.values, dtype=float)
        self._tolerance = encoder.tolerance
        self._few = bool(encoder.values)  # whether the different numbers are few
        self._remember(np.zeros(1, np.uint64))

    def of(self, answers: np.ndarray) -> np.ndarray:
        """[n] answers to [n] objects: numbers, and None for NaN."""
        if answers.dtype != np.float32 or not self._few:
            return self._snap(answers)
        bits = answers.view(np.uint32).astype(np.uint64)
        places, known = self._known.find(bits)
        if known.all():
            return self._objects[places]
        new = np.setdiff1d(bits[~known], self._bits)
        if len(new) + len(self._bits) > MOST_SEEN:
            self._few = False
            return self._snap(answers)
        if len(new):
            self._remember(np.concatenate([self._bits, new]))
            places, known = self._known.find(bits)
        values = self._objects[places]
        values[~known] = self._snap(answers[~known])
        return values

    def _remember(self, bits: np.ndarray) -> None:
        self._bits, self._known = bits, KnownKeys(bits)
        self._objects = self._snap(bits.astype(np.uint32).view(np.float32))

    def _snap(self, answers: np.ndarray) -> np.ndarray:
        numbers = answers.astype(float)
        nearest, close = np.zeros(numbers.shape, int), np.zeros(numbers.shape, bool)
        known = self._numbers
        if known.size:
            after = np.searchsorted(known, numbers).clip(0, len(known) - 1)
            before = (after - 1).clip(0)
            nearer = np.abs(known[before] - numbers) <= np.abs(known[after] - numbers)
            nearer &= numbers <= known[-1]  # infinity is as far from all
            nearest = np.where(nearer, before, after)
            close = np.abs(known[nearest] - numbers) <= self._tolerance
        if close.all() and known.size:
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
