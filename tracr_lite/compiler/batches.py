"""Runs a model on many sequences: padded, in chunks, encoding one chunk while another runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tracr_lite.compiler.forward import bucket
from tracr_lite.errors import InputError

CHUNK = 2**20  # numbers of the widest activation of one chunk
SMALLEST = 8  # rows of a chunk, so that few different shapes are compiled


@dataclass(frozen=True)
class Chunk:
    """`members`: numbers of sequences; they run as an array of `rows` times `size` ids."""

    members: tuple[int, ...]
    rows: int
    size: int


def chunks(
    lengths: Sequence[int], positions: int, width: int, *, pads: bool = True
) -> Iterator[Chunk]:
    """Sequences of like length together, few enough that memory stays bounded.

    Rows come in powers of two, and lengths in `bucket`s: each shape is compiled once.

    **Arguments:** `lengths`: tokens of each sequence; `positions`: the most that the model
    takes; `width`: numbers per position of the widest activation, attention weights aside;
    `pads`: whether the model hides padding, so that lengths may be mixed.
    """
    groups: dict[int, list[int]] = {}
    for number, length in enumerate(lengths):
        size = bucket(length, positions) if pads else length
        groups.setdefault(size, []).append(number)
    for size in sorted(groups):
        members = groups[size]
        most = _power_of_two_below(CHUNK // (max(size, 1) * max(width, size)))
        start = 0
        while start < len(members):
            part = tuple(members[start : start + most])
            yield Chunk(part, min(most, _power_of_two_above(len(part))), size)
            start += len(part)


def _power_of_two_below(number: int) -> int:
    return 1 << max(number, 1).bit_length() - 1


def _power_of_two_above(number: int) -> int:
    return max(SMALLEST, 1 << (number - 1).bit_length())


def padded(flat: np.ndarray, lengths: Sequence[int], chunk: Chunk, pad: int) -> np.ndarray:
    """[rows, size] ids, from those of all sequences one after the other.

    Rows without a sequence hold padding only.
    **Raises:** `InputError` if a sequence is longer than the chunk.
    """
    if max(lengths) > chunk.size:
        raise InputError(
            f"a sequence has {max(lengths)} tokens with BOS, but the model has {chunk.size} "
            "positions"
        )
    array = np.full((chunk.rows, chunk.size), pad, np.int32)
    used = array[: len(lengths)]
    used[np.arange(chunk.size) < np.asarray(lengths)[:, None]] = flat
    return array


def run(
    plan: Iterable[Chunk],
    prepare: Callable[[Chunk], np.ndarray],
    forward: Callable[[np.ndarray], Any],
    finish: Callable[[Chunk, np.ndarray], None],
) -> None:
    """Prepares, runs and finishes each chunk; JAX computes one while the next is prepared."""
    waiting: tuple[Chunk, Any] | None = None
    for chunk in plan:
        answers = forward(prepare(chunk))  # returns before it is computed
        if waiting is not None:
            finish(waiting[0], np.asarray(waiting[1]))
        waiting = chunk, answers
    if waiting is not None:
        finish(waiting[0], np.asarray(waiting[1]))
