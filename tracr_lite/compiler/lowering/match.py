"""One conjunct of a selector: a truth table between views of its keys and queries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tracr_lite.compiler.graph import Pointwise
from tracr_lite.compiler.lowering.forms import View
from tracr_lite.compiler.lowering.lower import Lowering
from tracr_lite.compiler.lowering.problems import Split
from tracr_lite.compiler.values.domain import ERR, typed_key
from tracr_lite.craft.arrays import distinct

MERGED_ROWS = 600  # more distinct rows are merged only if they are equal


@dataclass(frozen=True)
class Match:
    """One conjunct, ready to be scored: how keys and queries are read, and the truth table."""

    keys: View
    queries: View
    truth: np.ndarray

    @property
    def key(self) -> tuple[object, ...]:
        """All that the scores depend on."""
        q, k, truth = self.queries, self.keys, self.truth
        ids = q.ids.dtype.char, q.ids.tobytes(), k.ids.dtype.char, k.ids.tobytes()
        return truth.shape, truth.dtype.char, truth.tobytes(), ids, q.form.key, k.form.key


class ClassOf:
    """Class number of a value."""

    def __init__(self, mapping: dict[Any, int]):
        self.mapping = mapping

    def __call__(self, value: Any) -> int:
        return self.mapping[typed_key(value)]


def classes_of(truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Class of each row of compatible truth, and the truth of each class.

    Rows are compatible if they agree wherever both are known.
    """
    rows = np.ascontiguousarray(truth.astype(np.int8))
    if rows.shape[1] == 0:
        return np.zeros(len(rows), np.int64), rows[:1]
    view = rows.view(np.dtype((np.void, rows.shape[1]))).ravel()
    _, first, inverse = distinct(view)
    different = rows[first]
    if len(different) > MERGED_ROWS or (different >= 0).all():
        return inverse, different
    of = _first_fit(different)
    classes = np.full((int(of.max()) + 1, rows.shape[1]), -1, np.int8)
    np.maximum.at(classes, of, different)
    return of[inverse], classes


def _first_fit(rows: np.ndarray) -> np.ndarray:
    """The first class that each row is compatible with, if each joins that, in their order.

    Rows are numbers here, a bit for each place: few rows are compared faster so.
    """
    ones = [int.from_bytes(row.tobytes()) for row in np.packbits(rows == 1, axis=1)]
    zeros = [int.from_bytes(row.tobytes()) for row in np.packbits(rows == 0, axis=1)]
    classes: list[tuple[int, int]] = []
    found: list[int] = []
    for one, zero in zip(ones, zeros, strict=True):
        at = 0
        for at, (its_ones, its_zeros) in enumerate(classes):
            if not (one & its_zeros or zero & its_ones):
                classes[at] = its_ones | one, its_zeros | zero
                break
        else:
            at = len(classes)
            classes.append((one, zero))
        found.append(at)
    return np.array(found, np.int64)


def merged(
    lowering: Lowering, node: int, fn: ClassOf, rows: np.ndarray, what: str
) -> tuple[View, np.ndarray]:
    values = lowering.values
    label = f"{values.labels[node]}.{what}{len(values.nodes)}"
    virtual = lowering.add(Pointwise(fn, (node,), strict=False), label)
    order = np.array(values.info[virtual].values, np.int64)
    return lowering.for_attention(virtual), rows[order]


def columns_table(match: Match) -> np.ndarray:
    """The truth table between residual columns; equal columns must agree."""
    k_cols, q_cols = len(match.keys.form.dirs), len(match.queries.form.dirs)
    truth = match.truth.astype(np.int8)
    for view, size in ((match.keys, k_cols), (match.queries, q_cols)):
        known = (view.ids != ERR).nonzero()[0]
        truth = _by_column(view, view.form.group[known], truth[view.ids[known]], size).T
    return truth


def _by_column(view: View, group: np.ndarray, rows: np.ndarray, size: int) -> np.ndarray:
    """One row per column: that of the values, which are `group`, that share it."""
    shape = (size, rows.shape[1])
    if np.bincount(group, minlength=1).max() <= 1:
        out = np.full(shape, -1, np.int8)
        out[group] = rows
        return out
    ones, zeros = np.zeros(shape, bool), np.zeros(shape, bool)
    np.logical_or.at(ones, group, rows == 1)
    np.logical_or.at(zeros, group, rows == 0)
    if (ones & zeros).any():
        raise Split({view.form.node})
    return np.where(ones, 1, np.where(zeros, 0, -1)).astype(np.int8)
