"""Bounds on heads that are never below those of a certificate; see `proved`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log

import numpy as np

from tracr_lite.compiler.lowering.forms import OneHot
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
    seen,
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
    noise = 0.0 if exact else c * _noise(sides, scores, lanes)
    shrink = 9 * U * c * (4 * lanes + 2 * literals + 4)
    gap = (c / 2 if halved else c) - 2 * noise - shrink
    leak = (keys + 1) * exp(min(-gap, 0.0))
    sure = gap > log(keys + 1.0) + SETTLED and _selects(matches, tables, most)
    sure &= exact or single or noise < 0.249
    fits = lanes**1.5 < 2.0**19 and keys < 2**17 and literals < 64
    return Weighing(exact, lanes == 1, single, noise, leak, keys, most, bool(sure and fits))


def _noise(sides: list[tuple[OneHot, OneHot]], scores: Sequence[Scores], lanes: int) -> float:
    """How far a score can be off, in units of the sharpness: errors of columns, rounding.

    `sides`: queries and keys of each literal. In the lanes of a literal, each key has one lane
    at most, or each query has; so a score has one term of each. At the BOS position, and in the
    score of BOS, there are further terms where columns hold something there: they cancel, but
    are rounded. The last lane has the totals of the queries, and BOS.
    """
    each = [_Literal.of(q, k, s) for (q, k), s in zip(sides, scores, strict=True)]
    literals, columns = len(scores), sum(len(q.dirs) + len(k.dirs) for q, k in sides)
    of_keys, of_queries = sum(x.held_keys for x in each), sum(x.held_queries for x in each)
    moved = max(sum(x.moved for x in each), sum(x.moved_at_bos for x in each))
    terms = max(literals, 1 + of_keys, 1 + of_queries)
    size = max(literals + 1 + 2 * of_keys, 4 + 6 * of_queries)
    few = MORE * (terms + 2 * literals + 13) * U * size
    many = MORE * (lanes + columns + 13) * U * (size + moved)
    return min(few + 3.1 * moved, many + MORE * moved)


@dataclass(frozen=True)
class _Literal:
    """What errors of columns do to the part of a score that one literal has.

    **Arguments:** `moved`: at a token; `moved_at_bos`: of the score of BOS, and of all scores
    at the BOS position. `held_keys`, `held_queries`: lanes in which keys, or queries, hold
    something there, that BOS takes off again.
    """

    moved: float
    moved_at_bos: float
    held_keys: int
    held_queries: int

    @classmethod
    def of(cls, queries: OneHot, keys: OneHot, scores: Scores) -> _Literal:
        q, k, rank = queries.proved, keys.proved, scores.query.shape[1]
        per_query, per_key = _per_lane(q, scores.query), _per_lane(k, scores.key)
        if np.count_nonzero(scores.key, axis=1).max(initial=0) <= 1:
            # one lane of a key; all lanes that a query reads may see its errors
            moved, of_key, of_query = per_query + min(rank * per_key, k.summed), 1, max(rank, 1)
        else:
            moved, of_key, of_query = min(rank * per_query, q.summed) + per_key, max(rank, 1), 1
        held_keys = _held(keys, scores.key)
        held_queries = _held(queries, scores.query)
        # the most that a lane holds: 1, twice that where it is taken off again, and errors
        most = (2.0 if held_keys or held_queries else 1.0) + q.total + k.total + q.bos + k.bos
        at_bos = q.total + most * (k.bos * of_key + q.bos * (of_query + 2))
        at_bos += 2 * held_keys * per_query + 2 * held_queries * max(per_key, k.bos)
        return cls(moved + rank * per_query * per_key, at_bos, held_keys, held_queries)


def _held(form: OneHot, weight: np.ndarray) -> int:
    """The lanes in which columns that are not zero at BOS are read."""
    if not form.at_bos.any():
        return 0
    return int(np.count_nonzero(np.abs(form.at_bos) @ np.abs(weight)))


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


def copied(
    read: Errors, weights: Weighing, shape: tuple[int, int], of: int, *, default: bool
) -> Errors:
    """Of a head that copies `of` one-hot columns. `shape`: of the value matrix.

    `default`: whether BOS may win, so that errors of the BOS position are read.
    """
    if not (read.known and weights.known):
        return UNKNOWN
    rows, columns = shape
    extra = 5.0 + (rows if columns > rows else 0)
    leaked = LEAK * weights.leak * (3.0 + SEEN * (read.total + read.bos))
    total = weights.together(extra) + seen(read.total, of + 1, 1.0) + leaked * columns
    bos = columns * (SEEN * read.bos + leaked) + 4 * MORE * extra * U
    total = max(total, bos) if default else total
    summed = total + SEEN * (read.summed - read.total)
    return Errors(total, total, summed, bos)
