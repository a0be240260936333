"""Queries and keys of Llama's heads: every penalty has a pair of elements that turns slowly.

Pair i of a head is its elements i and i + size / 2. The slowest has BOS, the next ones the
penalties; the fastest tell how far back a key is. Heads of a group have the same keys, and each
asks for its own pairs of them: where it asks nothing, its query is 0.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from tracr_lite.craft.bases import BasisDirection
from tracr_lite.targets.architecture import Frame
from tracr_lite.targets.blocks import HeadPart
from tracr_lite.targets.llama_neurons import power
from tracr_lite.targets.rope import frequencies, nearest_head, offset_head, slow_pairs
from tracr_lite.targets.rows import Row, always, constant

PENALTY, BOS_PENALTY = 512.0, 128.0
HALF = 2.0**15  # what queries and keys are kept below: some runtimes hold them in float16

Key = frozenset[tuple[BasisDirection, float]]


def fit(parts: list[HeadPart], size: int, positions: int, theta: float) -> bool:
    """Whether heads of one group have pairs for all that they ask for."""
    near = any(part.recent is not None for part in parts)
    slow, fast = any(not part.counts_bos for part in parts) + len(_keys(parts)) + near, 0
    if any(part.offsets for part in parts):
        found = offset_head(size, positions, theta)
        if found is None or near:  # both may want the same pair
            return False
        fast = found.pairs
    if near and nearest_head(size, positions, theta) is None:
        return False
    return slow <= slow_pairs(size, positions, theta) and slow + fast <= size // 2


def _keys(parts: Iterable[HeadPart]) -> dict[Key, Row]:
    """What the keys of all penalties read, each once."""
    return {_key(p.key): p.key for part in parts for p in part.penalties}


def _key(row: Row) -> Key:
    return frozenset(row.items())


def scores(
    frame: Frame, parts: list[HeadPart], theta: float
) -> tuple[list[np.ndarray], np.ndarray]:
    """(query rows of each head, key rows that they share)."""
    size = frame.shape.head
    keys = np.zeros((size, frame.shape.width), np.float32)
    pair_of: dict[Key, int] = {}
    last = size // 2 - 1  # the slowest pair
    if any(not part.counts_bos for part in parts):
        keys[last] = frame.vector({frame.bos: 1.0})
        last -= 1
    for key, row in _keys(parts).items():
        pair_of[key], keys[last] = last, frame.vector(row)
        last -= 1
    found = [_queries(frame, part, theta, pair_of, keys) for part in parts]
    most = max(float(np.abs(rows).max(initial=0.0)) for rows in found)
    split = power(most / HALF)
    return [rows / split for rows in found], keys * split


def _queries(
    frame: Frame, part: HeadPart, theta: float, pair_of: dict[Key, int], keys: np.ndarray
) -> np.ndarray:
    """Of one head; fills the keys that distances need."""
    size = frame.shape.head
    half, root = size // 2, float(np.sqrt(size))
    q = np.zeros_like(keys)
    one = frame.vector(always())
    penalty, bos = PENALTY, -BOS_PENALTY
    if part.offsets:
        bos = _distances(frame, part, theta, q, keys)
    if part.recent is not None:
        near = nearest_head(size, frame.positions, theta)
        assert near is not None, "the size of heads was chosen to fit"
        q[half + near.pair] = near.scale * root * one
        keys[near.pair] = frame.vector(part.recent)
        penalty, bos = near.penalty, -near.bos
    if not part.counts_bos:
        q[half - 1] = bos * root * one
    for each in part.penalties:
        q[pair_of[_key(each.key)]] += -penalty * root * frame.vector(each.query)
    return q


def _distances(
    frame: Frame, part: HeadPart, theta: float, q: np.ndarray, keys: np.ndarray
) -> float:
    """Fills the fast pairs, which tell distances apart; what BOS is to score."""
    size = frame.shape.head
    half, root = size // 2, float(np.sqrt(size))
    found = offset_head(size, frame.positions, theta)
    assert found is not None, "the size of heads was chosen to fit"
    for row, back in part.offsets:
        turn = frequencies(size, theta)[: found.pairs, None] * back
        chosen = found.scale * root * frame.vector(row)[None, :]
        q[: found.pairs] += np.cos(turn) * chosen
        q[half : half + found.pairs] -= np.sin(turn) * chosen
    keys[: found.pairs] = frame.vector(constant(frame.bos))
    return found.bos
