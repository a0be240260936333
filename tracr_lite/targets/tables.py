"""MLPs: pointwise functions of one-hot columns and at most one number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tracr_lite.compiler.graph import Source, Width
from tracr_lite.compiler.lowering.forms import Functional, Number, OneHot
from tracr_lite.compiler.lowering.lower import Lowering
from tracr_lite.compiler.lowering.mlp_inputs import Inputs, inputs_of
from tracr_lite.compiler.lowering.problems import CannotLower
from tracr_lite.compiler.lowering.proved import UNKNOWN
from tracr_lite.compiler.values.domain import ERR, is_number
from tracr_lite.compiler.values.infer import add_node
from tracr_lite.compiler.values.pointwise import Table
from tracr_lite.craft.bases import BasisDirection
from tracr_lite.craft.conventions import INDICES
from tracr_lite.targets import heads, sums
from tracr_lite.targets.ands import and_units
from tracr_lite.targets.blocks import MLPPart
from tracr_lite.targets.classes import in_classes
from tracr_lite.targets.digits import write_indices
from tracr_lite.targets.lowering import StockLowering, stock
from tracr_lite.targets.pairs import merged_pair
from tracr_lite.targets.products import product
from tracr_lite.targets.rows import Row, column
from tracr_lite.targets.steps import write_steps

TOLERATED = 0.2  # how far from 1 hot columns that are read together may be
DIRECTION_LIMIT = 8192  # values of one node that are written one-hot


@dataclass(frozen=True)
class Target:
    """The columns that an MLP writes, and what it writes there for each output."""

    dirs: tuple[BasisDirection, ...]
    code: np.ndarray  # outputs x dirs
    number: bool = False  # whether the first column is a number

    def row(self, output: int) -> Row:
        """What is written for one output."""
        pairs = zip(self.dirs, self.code[output].tolist(), strict=True)
        return {d: c for d, c in pairs if c}


def write_one_hot(given: Lowering, node: int) -> OneHot:
    """Adds the MLP that writes the node one-hot."""
    lowering = stock(given)
    values, group = lowering.groups(node)
    if len(values) > DIRECTION_LIMIT:
        raise CannotLower(
            node,
            f"its {len(values)} values would need a direction each",
            "compare or round it before it is used, so that it has fewer values",
        )
    kind = lowering.values.nodes[node]
    if kind == Source("indices") and lowering.traits.indices == "rope":
        return write_indices(lowering, node, len(values))
    if kind == Source("indices"):
        return _indices(lowering, node, values, group)
    write = _prepared(lowering, node, group)
    dirs = tuple(lowering.direction(node, v) for v in values)
    slot, error = write(Target(dirs, np.eye(len(dirs))))
    none = np.zeros(len(dirs))
    return OneHot(node, dirs, group, none, np.full(len(dirs), error), 0.0, slot)


def _indices(
    lowering: StockLowering, node: int, values: list[Any], group: np.ndarray
) -> OneHot:
    """Counts the tokens so far and decodes that: position t is the one with t + 1."""
    count = add_node(lowering.values, Width(heads.select_all(lowering)), "tokens_so_far")
    number = lowering.raw(count)
    assert isinstance(number, Number), "a width is a number"
    dirs = tuple(BasisDirection(INDICES, v) for v in values)
    lowering.columns[node] = list(dirs)
    place = {int(v): i for i, v in enumerate(lowering.values.info[count].values)}
    x = np.array([place[v + 1] for v in values])
    cells = np.zeros((len(x), 0), np.int64)
    inputs = Inputs([], np.zeros(0), cells, x, group, number, 0.0, number.slot, UNKNOWN)
    at, error = _write(lowering, node, inputs, Target(dirs, np.eye(len(dirs))))
    none = np.zeros(len(dirs))
    return OneHot(node, dirs, group, none, np.full(len(dirs), error), 0.0, at)


def write_number(given: Lowering, node: int) -> Number:
    """Adds the MLP that writes the node's number, and a flag per value that is none."""
    lowering = stock(given)
    info = lowering.values.info[node]
    if info.span is not None:
        raise CannotLower(node, "its numbers are too many to list", "use LinearSequenceMap")
    found = product(lowering, node)
    if found is not None:
        return found
    values, group = lowering.groups(node)
    write = _prepared(lowering, node, group)
    own = BasisDirection(lowering.values.labels[node])
    lowering.columns.setdefault(node, []).append(own)
    others = [i for i, v in enumerate(values) if not is_number(v)]
    flags = {i: lowering.direction(node, values[i]) for i in others}
    dirs = (own, *flags.values())
    code = np.zeros((len(values), len(dirs)))
    for at, value in enumerate(values):
        if is_number(value):
            code[at, 0] = lowering.as_float(node, value)
        else:
            code[at, dirs.index(flags[at])] = 1.0
    slot, error = write(Target(dirs, code, number=True))
    return Number(
        node,
        Functional.of_column(own),
        {
            at: Functional.of_column(flags[int(group[at])])
            for at in range(len(info.values))
            if int(group[at]) in flags
        },
        code[group, 0],
        False,
        absolute=0.0,
        relative=error + lowering.traits.unit,
        flag_error=error,
        slot=slot,
    )


def clean_one_hot(given: Lowering, form: OneHot) -> OneHot:
    """One-hots are exact here: cold columns are exactly 0."""
    del given
    return form


def _prepared(
    lowering: StockLowering, node: int, group: np.ndarray
) -> Callable[[Target], tuple[int, float]]:
    """Has the inputs of a node written; what then writes it.

    The result says after which half-layer the columns are there, and their error.
    """
    leaves = lowering.leaves(node)
    table = lowering.table(node, leaves)
    output = np.where(table.ids == ERR, -1, group[table.ids])
    found = sums.find(lowering, table, output)
    if found is not None and len(table.leaves) == 2:
        by_sum = sums.summed(lowering, table, output, found)
        return lambda target: _by_sum(lowering, node, by_sum, target)
    if found is not None and lowering.number_leaf(leaves) is None:
        inputs = _through_pair(lowering, table, output, found)
    else:
        inputs = inputs_of(lowering, node, group)
    return lambda target: _write(lowering, node, inputs, target)


def _by_sum(
    lowering: StockLowering, node: int, by_sum: sums.Summed, target: Target
) -> tuple[int, float]:
    slot, error = _write(lowering, node, by_sum.inputs, target)
    if by_sum.flagged is not None:
        first, error = _table(lowering, node, by_sum.flagged, target)
        slot = max(slot, first)
    return slot, error


def _through_pair(
    lowering: StockLowering, table: Table, output: np.ndarray, found: sums.SumOfTwo
) -> Inputs:
    """The inputs of a table in which two leaves are replaced by what matters of them."""
    node, classes = merged_pair(lowering, table, output, found)
    kept = np.flatnonzero(output >= 0)
    known = {int(v): i for i, v in enumerate(lowering.values.info[node].values)}
    columns = [(lowering.view(node), np.array([known[int(c)] for c in classes]))]
    for leaf in table.leaves:
        if leaf not in found.leaves:
            columns.append((lowering.view(leaf), table.frame.column(leaf)[kept]))
    dirs: list[BasisDirection] = []
    cells: list[np.ndarray] = []
    for view, ids in columns:
        base = {int(at): i for i, at in enumerate(view.ids.tolist()) if at >= 0}
        at = np.array([base[int(i)] for i in ids])
        cells.append(len(dirs) + view.form.group[at])
        dirs.extend(view.form.dirs)
    rows = np.unique(np.stack([*cells, output[kept]], axis=1), axis=0)
    return Inputs(
        dirs,
        np.concatenate([view.form.at_bos for view, _ in columns]),
        rows[:, :-1],
        None,
        rows[:, -1],
        None,
        sum(view.form.error for view, _ in columns),
        max(view.form.slot for view, _ in columns),
        UNKNOWN,
    )


def _write(
    lowering: StockLowering, node: int, inputs: Inputs, target: Target
) -> tuple[int, float]:
    """Adds the parts; the half-layer after which the columns are there, and their error."""
    if inputs.number is None:
        return _table(lowering, node, inputs, target)
    if not len(inputs.cells.T):
        return write_steps(lowering, node, inputs, target.row), 0.0
    return _table(lowering, node, in_classes(lowering, node, inputs), target)


def _table(
    lowering: StockLowering, node: int, inputs: Inputs, target: Target
) -> tuple[int, float]:
    slot = inputs.slot + 1 if inputs.slot % 2 == 0 else inputs.slot + 2
    pairs = zip(inputs.dirs, inputs.at_bos.tolist(), strict=True)
    columns = [column(d, held, lowering.bos) for d, held in pairs]
    if inputs.noise >= TOLERATED:
        raise CannotLower(
            node,
            f"its inputs may be off by {inputs.noise:.2g}, after averages of equal values in "
            f"{lowering.traits.dtype}",
            "average fewer equal values one after the other, or use float32",
        )
    units = and_units(lowering, columns, inputs.cells, inputs.output, target)
    lowering.parts.append(MLPPart(slot, (node,), tuple(units)))
    rounding = 0.0 if lowering.traits.gated else lowering.traits.noise
    return slot, 2 * len(inputs.cells.T) * inputs.noise + rounding
