"""A truth table as few pairs of key sets and query sets that cover what it forbids.

A pair of sets (a rectangle) costs one coordinate of a head. For equality over n values, codes
of r bits do with C(r, r/2) >= n: each bit forbids the queries that have it and the keys that
lack it, and two different codes of equal weight differ in both directions. For anything else
there is a rectangle per distinct row or column, or fewer, found greedily.

Source: Sperner 1928, "Ein Satz ueber Untermengen einer endlichen Menge".
"""

from __future__ import annotations

from itertools import combinations, islice
from math import comb

import numpy as np
from jaxtyping import Bool, Int

from tracr_lite.compiler.lowering.match import classes_of

Rectangle = tuple[np.ndarray, np.ndarray]  # which keys, which queries
GREEDY_CELLS = 70_000  # larger tables are covered by rows or columns


def rectangles(truth: Int[np.ndarray, "keys queries"]) -> list[Rectangle]:
    """Sets of keys and queries whose products are all zeros of `truth`, and no one.

    `truth` is 1 where a key is selected, 0 where it is not, and less where it does not matter.
    """
    key_class, rows = classes_of(truth)
    query_class, columns = classes_of(np.ascontiguousarray(rows.T))
    small = columns.T  # key classes x query classes
    if not (small == 0).any():
        return []
    best = min(_covers(small), key=len)
    return [(keys[key_class], queries[query_class]) for keys, queries in best]


def _covers(table: np.ndarray) -> list[list[Rectangle]]:
    found = [_by_rows(table), [(k, q) for q, k in _by_rows(table.T)]]
    matching = _matching(table)
    if matching is not None:
        found.append(matching)
    elif min(map(len, found)) > 2 and table.size <= GREEDY_CELLS:
        found.append(_greedy(table))
    return found


def _by_rows(table: np.ndarray) -> list[Rectangle]:
    eye = np.eye(len(table), dtype=bool)
    return [(eye[i], row == 0) for i, row in enumerate(table) if (row == 0).any()]


def _matching(table: np.ndarray) -> list[Rectangle] | None:
    """Codes, if each key class goes with at most one query class, and the other way round."""
    ones = table == 1
    if (ones.sum(axis=0) > 1).any() or (ones.sum(axis=1) > 1).any():
        return None
    keys, queries = table.shape
    key_code, query_code = np.full(keys, -1), np.full(queries, -1)
    pairs = np.argwhere(ones)
    key_code[pairs[:, 0]] = query_code[pairs[:, 1]] = np.arange(len(pairs))
    free = len(pairs)
    for codes in (key_code, query_code):  # what matches nothing needs a code like nobody's
        unmatched = codes < 0
        if unmatched.any():
            codes[unmatched] = free
            free += 1
    bits = _codes(free)
    return [(~bits[key_code, b], bits[query_code, b]) for b in range(bits.shape[1])]


def _codes(count: int) -> Bool[np.ndarray, "codes bits"]:
    """Distinct codes of equal weight, as short as they can be."""
    size = next(r for r in range(1, 64) if comb(r, r // 2) >= count)
    codes = np.zeros((count, size), bool)
    for row, chosen in enumerate(islice(combinations(range(size), size // 2), count)):
        codes[row, list(chosen)] = True
    return codes


def _greedy(table: np.ndarray) -> list[Rectangle]:
    """Grows a rectangle around a zero that is left, until none is left."""
    ones, left = table == 1, table == 0
    found: list[Rectangle] = []
    while left.any():
        best = max((_grown(ones, left, axis) for axis in (0, 1)), key=lambda r: _gain(r, left))
        found.append(best)
        left &= ~np.outer(*best)
    return found


def _gain(rectangle: Rectangle, left: np.ndarray) -> int:
    return int(left[np.ix_(*rectangle)].sum())


def _grown(ones: np.ndarray, left: np.ndarray, axis: int) -> Rectangle:
    """Adds rows one by one while that covers more; columns follow from the rows."""
    if axis:
        columns, rows = _grown(ones.T, left.T, 0)
        return rows, columns
    rows = np.zeros(len(left), bool)
    columns = np.ones(len(left.T), bool)
    gain, counts = 0, np.zeros(len(left.T), np.int64)
    while not rows.all():
        gains = np.where(columns & ~ones, counts + left, 0).sum(axis=1)
        at = int(np.where(rows, -1, gains).argmax())
        if gains[at] <= gain:
            break
        rows[at], gain = True, int(gains[at])
        columns, counts = columns & ~ones[at], counts + left[at]
    return rows, columns
