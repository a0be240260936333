"""Attention blocks that copy a value, one-hot."""

from __future__ import annotations

from typing import Any

import numpy as np

from tracr_lite.compiler.graph import Aggregate
from tracr_lite.compiler.lowering.forms import OneHot, View
from tracr_lite.compiler.lowering.head_reads import Reads, add_head
from tracr_lite.compiler.lowering.lower import Lowering
from tracr_lite.compiler.lowering.problems import Split
from tracr_lite.compiler.lowering.proved_heads import copied
from tracr_lite.compiler.lowering.scores import score_of
from tracr_lite.compiler.values.domain import ERR, checked, is_number, typed_key
from tracr_lite.craft.bases import BasisDirection


def copy(lowering: Lowering, node: int, kind: Aggregate) -> OneHot:
    """Adds the head of an Aggregate that copies one value, into a column for each."""
    scored = score_of(lowering, kind.selector, count_bos=False)
    view = lowering.view(kind.value)
    values, group = lowering.groups(node)
    info, inner = lowering.values.info[node], lowering.values.info[kind.value]
    shown = _as_written(values, inner.values)
    dirs = list(lowering.directions(node, shown))
    ids = {typed_key(v): i for i, v in enumerate(info.values)}
    columns: list[int] = group.tolist()
    of_value: list[int | None] = []  # the column of each value that is copied
    for v in inner.values:
        result = ids.get(typed_key(float(v) if is_number(v) else v))
        of_value.append(None if result is None else columns[result])
    names, matrix = _copies(view, of_value, lowering.bos, len(dirs))
    held = np.zeros(len(dirs))
    empty = lowering.values.selected[kind.selector].widths.least == 0
    if empty:
        held[columns[ids[typed_key(checked(kind.default))]]] = 1.0
    matrix[0] += held
    slot = add_head(lowering, node, kind.selector, scored, Reads(names, dirs, matrix), view)
    errors = np.full(len(dirs), view.form.error + scored.error)
    spread = view.form.spread + 2 * scored.error
    read = len(view.form.dirs)
    proved = copied(view.form.proved, scored.proved, matrix.shape, read, default=empty)
    return OneHot(node, tuple(dirs), group, held, errors, spread, slot, proved)


def _copies(
    view: View, of_value: list[int | None], bos: BasisDirection, width: int
) -> tuple[list[BasisDirection], np.ndarray]:
    """The rows that a copy reads, and their matrix. `of_value`: the column of each value.

    **Raises:** `Split` if values of one column are copied to several.
    """
    form = view.form
    group: list[int] = form.group.tolist()
    target: dict[int, int] = {}
    ids: list[int] = view.ids.tolist()
    for base, at in enumerate(ids):
        column = None if at == ERR else of_value[at]
        if column is not None and target.setdefault(group[base], column) != column:
            raise Split({form.node})
    matrix = np.zeros((len(target) + 1, width))
    matrix[range(1, len(target) + 1), list(target.values())] = 1.0
    if form.at_bos.any():
        np.subtract.at(matrix[0], list(target.values()), form.at_bos[list(target)])
    return [bos, *(form.dirs[column] for column in target)], matrix


def _as_written(values: list[Any], inner: list[Any]) -> list[Any]:
    """Copied numbers are floats in RASP; they are labelled like the values they copy."""
    original = {v: v for v in inner if is_number(v)}
    return [original.get(v, v) if is_number(v) else v for v in values]
