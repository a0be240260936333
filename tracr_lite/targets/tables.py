"""MLPs: pointwise functions of one-hot columns and at most one number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tracr_lite.compiler.graph import Pointwise, Source, Width
from tracr_lite.compiler.lowering.forms import Functional, Number, OneHot
from tracr_lite.compiler.lowering.lower import Lowering
from tracr_lite.compiler.lowering.match import ClassOf
from tracr_lite.compiler.lowering.mlp_inputs import Inputs, inputs_of
from tracr_lite.compiler.lowering.problems import CannotLower
from tracr_lite.compiler.values.domain import is_number, typed_key
from tracr_lite.compiler.values.infer import add_node
from tracr_lite.craft.bases import BasisDirection
from tracr_lite.craft.conventions import INDICES
from tracr_lite.targets import heads
from tracr_lite.targets.ands import and_units
from tracr_lite.targets.blocks import MLPPart, Product, Unit
from tracr_lite.targets.lowering import StockLowering
from tracr_lite.targets.rows import Row, column, reading
from tracr_lite.targets.steps import write_steps

DIRECTION_LIMIT = 8192  # values of one node that are written one-hot
TWINS = 1e-9  # numbers as close as this, relative, differ by rounding only


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
    lowering = heads.stock(given)
    values, group = lowering.groups(node)
    if len(values) > DIRECTION_LIMIT:
        raise CannotLower(
            node,
            f"its {len(values)} values would need a direction each",
            "compare or round it before it is used, so that it has fewer values",
        )
    kind = lowering.values.nodes[node]
    if kind == Source("indices"):
        return _indices(lowering, node, values, group)
    inputs = inputs_of(lowering, node, group)
    dirs = tuple(lowering.direction(node, v) for v in values)
    slot, error = _write(lowering, node, inputs, Target(dirs, np.eye(len(dirs))))
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
    inputs = Inputs([], np.zeros(0), cells, x, group, number, 0.0, number.slot)
    at, error = _write(lowering, node, inputs, Target(dirs, np.eye(len(dirs))))
    none = np.zeros(len(dirs))
    return OneHot(node, dirs, group, none, np.full(len(dirs), error), 0.0, at)


def write_number(given: Lowering, node: int) -> Number:
    """Adds the MLP that writes the node's number, and a flag per value that is none."""
    lowering = heads.stock(given)
    info = lowering.values.info[node]
    if info.span is not None:
        raise CannotLower(node, "its numbers are too many to list", "use LinearSequenceMap")
    product = _product(lowering, node)
    if product is not None:
        return product
    values, group = lowering.groups(node)
    inputs = inputs_of(lowering, node, group)
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
    slot, error = _write(lowering, node, inputs, Target(dirs, code, number=True))
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
        relative=error + 2 * lowering.traits.unit,
        flag_error=error,
        slot=slot,
    )


def clean_one_hot(given: Lowering, form: OneHot) -> OneHot:
    """One-hots are exact here: cold columns are exactly 0."""
    del given
    return form


def _write(
    lowering: StockLowering, node: int, inputs: Inputs, target: Target
) -> tuple[int, float]:
    """Adds the parts; the half-layer after which the columns are there, and their error."""
    if inputs.number is None:
        return _table(lowering, node, inputs, target)
    if not len(inputs.cells.T):
        return write_steps(lowering, node, inputs, target.row), 0.0
    return _table(lowering, node, _in_classes(lowering, node, inputs), target)


def _table(
    lowering: StockLowering, node: int, inputs: Inputs, target: Target
) -> tuple[int, float]:
    slot = inputs.slot + 1 if inputs.slot % 2 == 0 else inputs.slot + 2
    pairs = zip(inputs.dirs, inputs.at_bos.tolist(), strict=True)
    columns = [column(d, held, lowering.bos) for d, held in pairs]
    units = and_units(lowering, columns, inputs.cells, inputs.output, target)
    lowering.parts.append(MLPPart(slot, (node,), tuple(units)))
    return slot, 2 * len(inputs.cells.T) * (inputs.noise + lowering.traits.unit)


def _in_classes(lowering: StockLowering, node: int, inputs: Inputs) -> Inputs:
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


def _product(lowering: StockLowering, node: int) -> Number | None:
    """The product of two numbers, where the architecture multiplies and the table is one."""
    kind = lowering.values.nodes[node]
    if not lowering.traits.gated or not isinstance(kind, Pointwise) or len(kind.inputs) != 2:
        return None
    x, y = kind.inputs
    if x == y or not all(lowering.is_numeric(i) for i in (x, y)):
        return None
    table = lowering.values.table_on(node, tuple(sorted((x, y))))
    infos = [lowering.values.info[i] for i in (*kind.inputs, node)]
    if table is None or not all(is_number(v) for info in infos for v in info.values):
        return None
    ids = [table.frame.column(i) for i in (x, y)]
    known = table.ids >= 0
    left, right, out = (np.array(info.values, float) for info in infos)
    parts = left[ids[0][known]], right[ids[1][known]]
    if not np.allclose(parts[0] * parts[1], out[table.ids[known]], rtol=1e-12, atol=0.0):
        return None
    numbers = [lowering.as_number(i) for i in (x, y)]
    own = BasisDirection(lowering.values.labels[node])
    lowering.columns.setdefault(node, []).append(own)
    at = max(n.slot for n in numbers)
    slot = at + 1 if at % 2 == 0 else at + 2
    reads = [reading(n.read, lowering.bos) for n in numbers]
    units: tuple[Unit, ...] = (Product(reads[0], reads[1], {own: 1.0}),)
    lowering.parts.append(MLPPart(slot, (node,), units))
    reach = [max(map(abs, info.values)) for info in infos[:2]]
    error = numbers[0].absolute * reach[1] + numbers[1].absolute * reach[0]
    relative = sum(n.relative for n in numbers) + 8 * lowering.traits.unit
    codes = np.array([lowering.as_float(node, v) for v in infos[2].values])
    return Number(
        node,
        Functional.of_column(own),
        {},
        codes,
        False,
        absolute=error,
        relative=relative,
        flag_error=0.0,
        slot=slot,
    )
