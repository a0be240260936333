"""A number beside one-hots in one table: replaced by classes of numbers that behave alike."""

from __future__ import annotations

import numpy as np

from tracr_lite.compiler.graph import Pointwise
from tracr_lite.compiler.lowering.match import ClassOf
from tracr_lite.compiler.lowering.mlp_inputs import Inputs
from tracr_lite.compiler.lowering.proved import UNKNOWN
from tracr_lite.compiler.values.domain import typed_key
from tracr_lite.compiler.values.infer import add_node
from tracr_lite.targets.lowering import StockLowering

TWINS = 1e-9  # numbers as close as this, relative, differ by rounding only


def in_classes(lowering: StockLowering, node: int, inputs: Inputs) -> Inputs:
    """The number replaced by its class: numbers that behave alike under all one-hots."""
    assert inputs.number is not None, "a number is decoded"
    assert inputs.x is not None, "a number has a column in the table"
    leaf = inputs.number.node
    _, gate = np.unique(inputs.cells, axis=0, return_inverse=True)
    codes = inputs.number.codes
    flagged = np.isin(np.arange(len(codes)), list(inputs.number.flags))
    order = np.lexsort((codes, flagged))
    table = np.full((len(codes), int(gate.max()) + 1), -1, np.int64)
    table[inputs.x, gate.ravel()] = inputs.output
    of = _merged(table, codes, order, flagged)
    values = lowering.values.info[leaf].values
    classes = {typed_key(v): int(of[i]) for i, v in enumerate(values)}
    label = f"{lowering.values.labels[node]}.classes{len(lowering.values.nodes)}"
    virtual = add_node(
        lowering.values, Pointwise(ClassOf(classes), (leaf,), strict=False), label
    )
    view = lowering.view(virtual)
    by_class = {v: i for i, v in enumerate(lowering.values.info[virtual].values)}
    ids = np.array([by_class.get(int(c), 0) for c in of], np.int64)[inputs.x]
    base = {int(at): i for i, at in enumerate(view.ids.tolist()) if at >= 0}
    place = np.array([view.form.group[base[int(i)]] for i in ids], np.int64)
    cells = np.concatenate([inputs.cells, len(inputs.dirs) + place[:, None]], axis=1)
    rows = np.unique(np.concatenate([cells, inputs.output[:, None]], axis=1), axis=0)
    return Inputs(
        [*inputs.dirs, *view.form.dirs],
        np.concatenate([inputs.at_bos, view.form.at_bos]),
        rows[:, :-1],
        None,
        rows[:, -1],
        None,
        inputs.noise + view.form.error,
        max(inputs.slot, view.form.slot),
        UNKNOWN,
    )


def _merged(
    table: np.ndarray, codes: np.ndarray, order: np.ndarray, flagged: np.ndarray
) -> np.ndarray:
    """Class of each row: neighbours in `order` share one if they agree where both are known.

    Numbers that differ by rounding only are taken together first.
    """
    runs: list[tuple[list[int], np.ndarray]] = []
    for at in order.tolist():
        same = bool(runs) and not flagged[at] and not flagged[runs[-1][0][-1]]
        last = codes[runs[-1][0][-1]] if runs else 0.0
        if same and abs(codes[at] - last) <= TWINS * abs(codes[at]):
            if not _clash(runs[-1][1], table[at]):
                runs[-1] = (runs[-1][0] + [at], np.maximum(runs[-1][1], table[at]))
                continue
        runs.append(([at], table[at]))
    joined: list[tuple[list[int], np.ndarray]] = []
    for members, row in runs:
        alone = bool(flagged[members[0]]) or not joined or bool(flagged[joined[-1][0][0]])
        if alone or _clash(joined[-1][1], row):
            joined.append((members, row))
        else:
            joined[-1] = (joined[-1][0] + members, np.maximum(joined[-1][1], row))
    of = np.zeros(len(table), np.int64)
    known: dict[bytes, int] = {}
    for members, row in joined:
        of[members] = known.setdefault(row.tobytes(), len(known))
    return of


def _clash(row: np.ndarray, other: np.ndarray) -> bool:
    return bool(((row >= 0) & (other >= 0) & (row != other)).any())
