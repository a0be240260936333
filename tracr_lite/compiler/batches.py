"""Runs a model on many sequences: padded, in chunks, encoding one chunk while another runs."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tracr_lite.compiler.forward import bucket
from tracr_lite.errors import InputError

CHUNK = 2**20  # numbers of the widest activation of one chunk
MOST, LEAST = 2048, 8  # rows: few shapes to compile, and little padding in the last chunk


@dataclass(frozen=True)
class Chunk:
    """Sequences `start` to `stop` of the plan's order, as an array of `rows` times `size`."""

    start: int
    stop: int
    rows: int
    size: int


@dataclass(frozen=True)
class Plan:
    """Which sequences run together.

    **Arguments:** `order`: numbers of all sequences, those of like length together; None: as
    they are. `chunks`: parts of that order.
    """

    order: tuple[int, ...] | None
    chunks: tuple[Chunk, ...]


def plan(lengths: Sequence[int], positions: int, width: int, *, pads: bool = True) -> Plan:
    """Sequences of like length together, few enough that memory stays bounded.

    Rows come in powers of two, and lengths in `bucket`s: each shape is compiled once.

    **Arguments:** `lengths`: tokens of each sequence; `positions`: the most that the model
    takes; `width`: numbers per position of the widest activation, attention weights aside;
    `pads`: whether the model hides padding, so that lengths may be mixed.
    """
    size_of = {n: bucket(n, positions) if pads else n for n in sorted(set(lengths))}
    counts, order = dict.fromkeys(size_of.values(), len(lengths)), None
    if len(counts) > 1:
        sizes = list(map(size_of.__getitem__, lengths))
        counts = {size: sizes.count(size) for size in counts}
        order = tuple(sorted(range(len(sizes)), key=sizes.__getitem__))
    chunks: list[Chunk] = []
    for size, count in counts.items():
        most = _power_of_two_below(CHUNK // (max(size, 1) * max(width, size)))
        chunks += _cut(count, chunks[-1].stop if chunks else 0, most, size)
    return Plan(order, tuple(chunks))


def _cut(count: int, start: int, most: int, size: int) -> Iterator[Chunk]:
    end = start + count
    while start < end:
        stop = min(start + most, end)
        rows = min(most, max(LEAST, 1 << (stop - start - 1).bit_length()))
        yield Chunk(start, stop, rows, size)
        start = stop


def _power_of_two_below(number: int) -> int:
    return min(MOST, 1 << max(number, 1).bit_length() - 1)


def padded(flat: np.ndarray, lengths: Sequence[int], chunk: Chunk, pad: int) -> np.ndarray:
    """[rows, size] ids, from those of all sequences one after the other.

    Rows without a sequence hold padding only.
    **Raises:** `InputError` if a sequence is longer than the chunk.
    """
    longest = max(lengths)
    if longest > chunk.size:
        raise InputError(
            f"a sequence has {longest} tokens with BOS, but the model has {chunk.size} "
            "positions"
        )
    if len(flat) == chunk.rows * chunk.size:  # none is shorter, as none is longer
        return flat.reshape(chunk.rows, chunk.size)
    array = np.full((chunk.rows, chunk.size), pad, np.int32)
    used = array[: len(lengths), :longest]
    if len(flat) == used.size:
        used[:] = flat.reshape(used.shape)
    else:
        used[np.arange(longest) < np.asarray(lengths)[:, None]] = flat
    return array


def run(
    chunks: Sequence[Chunk],
    prepare: Callable[[Chunk], np.ndarray],
    forward: Callable[[np.ndarray], Any],
    finish: Callable[[Chunk, np.ndarray], None],
) -> None:
    """Prepares, runs and finishes each chunk; JAX computes one while the next is prepared."""
    waiting: tuple[Chunk, Any] | None = None
    for chunk in chunks:
        answers = forward(prepare(chunk))  # returns before it is computed
        if waiting is not None:
            finish(waiting[0], np.asarray(waiting[1]))
        waiting = chunk, answers
    if waiting is not None:
        finish(waiting[0], np.asarray(waiting[1]))


class WithoutCollector:
    """Thousands of new lists make the collector of garbage look at all objects there are.

    None of the lists is garbage, and looking takes several times as long as making them.
    """

    def __enter__(self) -> None:
        self._enabled = gc.isenabled()
        gc.disable()

    def __exit__(self, *_: object) -> None:
        # no generator does this: its last exception would set the collector off at once, which
        # need not look at results that the caller drops before making other objects
        if self._enabled:
            gc.enable()
