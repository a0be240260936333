"""Bounds on heads that are never below those of a certificate; see `proved`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log

import numpy as np

from tracr_lite.compiler.lowering.match import Match
from tracr_lite.compiler.lowering.proved import (
    LEAK,
    MORE,
    SEEN,
    SETTLED,
    UNKNOWN,
    UNKNOWN_NUMBER,
    Errors,
    NumberErrors,
    U,
)
from tracr_lite.craft.blocks.select_head import Scores


@dataclass(frozen=True)
class Weighing:
    """How far attention weights are off: with gap c between scores, `noise` of each score.

    **Arguments:**
    - `exact`: equal scores are equal; `alike`: those of all keys but BOS; `single`: one key at
      most is selected, and BOS does not count.
    - `keys`: of an input; `most`: that are selected.
    - `sure`: whether all scores are far enough apart.
    """

    exact: bool
    alike: bool
    single: bool
    noise: float
    leak: float
    keys: int
    most: int
    sure: bool

    @property
    def known(self) -> bool:
        """Whether there is a bound; it may be no good."""
        return self.noise < 10.0

    def together(self, extra: float) -> float:
        """Relative error of the sum of all weights of selected keys, times equal values."""
        rounding = extra if self.single else 2 * self.keys + self.most + 6 + extra
        return MORE * rounding * U + self.leak

    def single_ones(self, extra: float) -> float:
        """Relative error of each weight."""
        if self.single or self.exact or self.alike:
            return MORE * (self.most + 5 + extra) * U + self.leak
        rounding = MORE * (self.keys + self.most + 24 + extra) * U
        return rounding + self.leak + MORE * float(np.expm1(2 * self.noise))

    @property
    def width(self) -> float:
        """Relative error of 1 / (1 + w)."""
        if self.exact:
            return MORE * 5 * U + self.leak
        apart = MORE * float(np.expm1(2 * self.noise))
        return MORE * (self.keys + 26) * U + self.leak + apart


NO_WEIGHING = Weighing(False, False, False, np.inf, np.inf, 0, 0, False)


def weighing(
    matches: Sequence[Match],
    scores: Sequence[Scores],
    tables: Sequence[np.ndarray],
    how: tuple[float, bool, bool],
    keys: int,
    most: int,
) -> Weighing:
    """Of a head. `how`: sharpness; whether BOS is half-way; whether one key at most counts."""
    c, halved, single = how
    sides = [(m.queries.form, m.keys.form) for m in matches]
    errors = [(q.proved, k.proved) for q, k in sides]
    if not all(q.known and k.known for q, k in errors):
        return NO_WEIGHING
    exact = all(q.exact and k.exact for q, k in errors)
    lanes, literals = 1 + sum(s.query.shape[1] for s in scores), len(scores)
    noise = 0.0
    if not exact:
        held = any(q.at_bos.any() or k.at_bos.any() for q, k in sides)
        columns = sum(len(q.dirs) + len(k.dirs) for q, k in sides)
        noise = c * _noise(errors, scores, (lanes, columns), held)
    shrink = 9 * U * c * (4 * lanes + 2 * literals + 4)
    gap = (c / 2 if halved else c) - 2 * noise - shrink
    leak = (keys + 1) * exp(min(-gap, 0.0))
    sure = gap > log(keys + 1.0) + SETTLED and _selects(matches, tables, most)
    sure &= exact or single or noise < 0.12
    fits = lanes**1.5 < 2.0**19 and keys < 2**17 and literals < 64
    return Weighing(exact, lanes == 1, single, noise, leak, keys, most, bool(sure and fits))


def _noise(
    errors: list[tuple[Errors, Errors]],
    scores: Sequence[Scores],
    sizes: tuple[int, int],
    held: bool,
) -> float:
    """How far a score can be off, in units of the sharpness: errors of columns, rounding.
    `sizes`: lanes, and columns that are read.

    The factor that is one-hot has one lane per column, so an error of the other counts once.
    """
    lanes, columns = sizes
    everything = sum(q.total + q.bos + k.total + k.bos for q, k in errors)
    if held:
        moved = (4 + everything) * lanes * everything
    else:
        at_bos = (2 + everything) * lanes * sum(q.bos + k.bos for q, k in errors)
        moved, to_bos = 0.0, sum(q.total for q, _ in errors)
        for (q, k), s in zip(errors, scores, strict=True):
            rank = s.query.shape[1]
            once = np.count_nonzero(s.key, axis=1).max(initial=0) <= 1
            per_query, per_key = _per_lane(q, s.query), _per_lane(k, s.key)
            if once:  # one lane of a key; all lanes that a query reads may see its errors
                moved += per_query + min(rank * per_key, k.summed)
            else:
                moved += min(rank * per_query, q.summed) + per_key
            moved += rank * per_query * per_key
        moved = max(moved, to_bos + at_bos)
    literals = len(scores)
    size = literals + 4 + (4 * (lanes + literals) if held else 0)
    few = MORE * (lanes + 2 * literals + 13) * U * size
    many = MORE * (lanes + columns + 13) * U * (size + moved)
    return min(few + 3.1 * moved, many + MORE * moved)


def _per_lane(errors: Errors, weight: np.ndarray) -> float:
    """How far errors move one lane."""
    columns = np.count_nonzero(weight, axis=0).max(initial=0)
    return min(errors.total, float(columns) * errors.each)


def _selects(matches: Sequence[Match], tables: Sequence[np.ndarray], most: int) -> bool:
    """Whether some state of each node of the query selects one of each node of the keys."""
    if most == 0:
        return True
    pairs: dict[tuple[int, int], np.ndarray] = {}
    for match, table in zip(matches, tables, strict=True):
        at = id(match.queries.form), id(match.keys.form)
        own = table == 1
        pairs[at] = pairs[at] & own if at in pairs else own
    queries: dict[int, np.ndarray] = {}
    for (at, _), own in pairs.items():
        some = own.any(axis=0)
        queries[at] = np.logical_and(queries[at], some) if at in queries else np.asarray(some)
    return all(bool(some.any()) for some in queries.values())


def counted(weights: Weighing) -> NumberErrors:
    """Of a width, 1 / (1 + w): no node is read but BOS."""
    if not weights.known:
        return UNKNOWN_NUMBER
    return NumberErrors(0.0, weights.width, 0.0, LEAK * weights.leak, 1.0)


def copied(read: Errors, weights: Weighing, shape: tuple[int, int], *, default: bool) -> Errors:
    """Of a head that copies one-hot columns. `shape`: of the value matrix.

    `default`: whether BOS may win, so that errors of the BOS position are read.
    """
    if not (read.known and weights.known):
        return UNKNOWN
    rows, columns = shape
    extra = 5.0 + (rows if columns > rows else 0)
    leaked = LEAK * weights.leak * (3.0 + SEEN * (read.total + read.bos))
    total = weights.together(extra) + SEEN * read.total + leaked * columns
    bos = columns * (SEEN * read.bos + leaked) + 4 * MORE * extra * U
    total = max(total, bos) if default else total
    summed = total + SEEN * (read.summed - read.total)
    return Errors(total, total, summed, bos)
