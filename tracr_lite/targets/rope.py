"""What RoPE does to scores, and how to live with it or to use it.

A pair that turns by no more than a sixth of a circle in the whole sequence scales a score by
0.5 to 1: it can shrink a penalty, but never move a zero. Fast pairs tell distances apart.
Source: Su et al. 2021, arXiv:2104.09864.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

THETA = 10_000.0
APART = 260.0  # least distance of the score at the right offset from all others
NEARER = 130.0  # least distance of the scores of two keys, one before the other
MOST_SCALE = 2.0**20  # of which float32 leaves enough of that distance
BOS_BELOW = 128.0  # how far below the right offset BOS scores


def frequencies(size: int, theta: float) -> np.ndarray:
    """Radians per position of each pair of a head of `size`; the first is the fastest."""
    return theta ** -(np.arange(0, size, 2) / size)


def slow_pairs(size: int, positions: int, theta: float) -> int:
    """How many pairs, the slowest, can carry penalties over so many positions."""
    return int((frequencies(size, theta) * positions <= np.pi / 3).sum())


@dataclass(frozen=True)
class Offset:
    """Weights of a head that finds a distance: `pairs` fast pairs of `scale` each.

    `bos`: score of BOS, through the slowest pair.
    """

    pairs: int
    scale: float
    bos: float


@cache
def offset_head(size: int, positions: int, theta: float) -> Offset | None:
    """The cheapest head of this size that looks at a fixed distance; None if none can."""
    turn = frequencies(size, theta)
    away = np.arange(1, max(positions, 2))
    gaps = np.cumsum(1 - np.cos(away[None, :] * turn[:-1, None]), axis=0).min(axis=1)
    found = [
        Offset(n, float(np.ceil(APART / gap)), 0.0)
        for n, gap in enumerate(gaps.tolist(), 1)
        if gap > 1e-3
    ]
    if not found:
        return None
    best = min(found, key=lambda each: each.pairs * each.scale)
    top = best.pairs * best.scale
    sinks = (top - BOS_BELOW) * (1 - np.cos(turn[-1] * positions))
    if sinks > 24.0:
        return None
    return Offset(best.pairs, best.scale, top - BOS_BELOW)


@dataclass(frozen=True)
class Nearest:
    """Weights of a head that prefers what is near: `-scale * sin(turn * distance)`.

    **Arguments:** `pair`: which turns so; `bos`, `penalty`: below what is selected, and below
    that, wherever they are.
    """

    pair: int
    scale: float
    bos: float
    penalty: float


@cache
def nearest_head(size: int, positions: int, theta: float) -> Nearest | None:
    """The fastest slow pair as a preference for what is near; None if none turns enough."""
    slow = slow_pairs(size, positions, theta)
    if slow < 2:
        return None
    turn = frequencies(size, theta)
    here, last = turn[size // 2 - slow], turn[-1]
    scale = float(np.ceil(NEARER / (here * np.cos(here * positions))))
    if scale > MOST_SCALE:
        return None
    farthest = scale * np.sin(here * positions)
    bos = float(np.ceil((farthest + BOS_BELOW) / np.cos(last * positions)))
    return Nearest(size // 2 - slow, scale, bos, 2 * (bos + BOS_BELOW))
