"""MLP blocks: pointwise functions of one-hot leaves and at most one number."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tracr_lite.compiler.lowering import assumed
from tracr_lite.compiler.lowering.forms import Functional, MLPBlock, Number, OneHot
from tracr_lite.compiler.lowering.lower import Lowering
from tracr_lite.compiler.lowering.mlp_inputs import Inputs, inputs_of, stacked
from tracr_lite.compiler.lowering.mlp_made import Made
from tracr_lite.compiler.lowering.mlp_neurons import neurons_of
from tracr_lite.compiler.lowering.naming import order_of
from tracr_lite.compiler.lowering.problems import CannotLower
from tracr_lite.compiler.lowering.proved import (
    EXACT,
    UNKNOWN_NUMBER,
    copied_number,
    written_number,
)
from tracr_lite.compiler.lowering.proved_tables import of_table
from tracr_lite.compiler.lowering.written import WrittenTable
from tracr_lite.compiler.values.domain import is_number
from tracr_lite.craft.bases import BasisDirection, VectorSpaceWithBasis
from tracr_lite.craft.blocks.neurons import Neurons
from tracr_lite.craft.blocks.table_mlp import table_mlp
from tracr_lite.craft.entries import Entries
from tracr_lite.craft.numbered import NumberedSpace
from tracr_lite.craft.vectorspace_fns import Linear

DIRECTION_LIMIT = 8192  # values of one node that are written one-hot
ASSUMED_WEIGHTS = 2**20  # larger tables are not built for a program that is refused anyway


def write_one_hot(lowering: Lowering, node: int) -> OneHot:
    """Adds the MLP that writes the node one-hot."""
    values, group = lowering.groups(node)
    if len(values) > DIRECTION_LIMIT:
        raise CannotLower(
            node,
            f"its {len(values)} values would need a direction each",
            "compare or round it before it is used, so that it has fewer values",
        )
    inputs = inputs_of(lowering, node, group)
    if lowering.assumed and len(inputs.output) * len(values) > ASSUMED_WEIGHTS:
        return assumed.one_hot(lowering, node)
    dirs = lowering.directions(node, values)
    code = Entries.eye(len(dirs))
    inputs, made = neurons_of(node, inputs, code, one_hot=True)
    slot = emit(lowering, node, inputs, made, dirs, code)
    errors, spread, none = made.neurons.errors, made.neurons.spread, np.zeros(len(dirs))
    return OneHot(node, dirs, group, none, errors, spread, slot, made.proved)


def write_number(lowering: Lowering, node: int) -> Number:
    """Adds the MLP that writes the node's number, and a flag per value that is none."""
    info = lowering.values.info[node]
    if info.span is not None:
        raise CannotLower(node, "its numbers are too many to list", "use LinearSequenceMap")
    values, group = lowering.groups(node)
    inputs = inputs_of(lowering, node, group)
    own = None
    if any(is_number(v) for v in values):
        own = BasisDirection(lowering.values.labels[node])
        lowering.columns.setdefault(node, []).append(own)
    flags = {v: lowering.direction(node, v) for v in values if not is_number(v)}
    dirs = (*(() if own is None else (own,)), *flags.values())
    code = np.zeros((len(values), len(dirs)))
    for at, value in enumerate(values):
        if is_number(value):
            code[at, 0] = lowering.as_float(node, value)
        else:
            code[at, dirs.index(flags[value])] = 1.0
    entries = Entries.of(code)
    inputs, made = neurons_of(node, inputs, entries, one_hot=False)
    slot = emit(lowering, node, inputs, made, dirs, entries)
    error = made.neurons.error
    return Number(
        node,
        Functional.of_column(own),
        {
            at: Functional.of_column(flags[v])
            for at, v in enumerate(info.values)
            if v in flags and not is_number(v)
        },
        np.zeros(len(group)) if own is None else code[group, 0],
        False,
        absolute=error,
        relative=2.0**-23,
        flag_error=error,
        slot=slot,
        proved=written_number(made.proved, float(np.abs(code).max(initial=0.0))),
    )


def copy_number(lowering: Lowering, node: int, number: Number) -> Number:
    """Adds the MLP that writes a readable number into a column of its own.

    relu(x) - relu(-x) = x needs no list of values; flags are copied alike.
    """
    functionals = [number.read, *number.flags.values()]
    names, at_bos, rows = stacked(functionals, [], np.zeros(0))
    own = BasisDirection(lowering.values.labels[node])
    lowering.columns.setdefault(node, []).append(own)
    flags = {
        i: lowering.direction(node, lowering.values.info[node].values[i]) for i in number.flags
    }
    dirs = (own, *flags.values())
    both = np.concatenate([rows.T, -rows.T], axis=1)
    out = np.concatenate([np.eye(len(dirs)), -np.eye(len(dirs))])
    nothing = np.zeros(len(dirs))
    neurons = Neurons(Entries.of(both), np.zeros(2 * len(dirs)), Entries.of(out), nothing, 0.0)
    cells, output = np.zeros((0, 0), np.int64), np.zeros(0, np.int64)
    inputs = Inputs(names, at_bos, cells, None, output, number, 0.0, number.slot, EXACT)
    slot = emit(lowering, node, inputs, Made.of(neurons, EXACT, at_bos), dirs)
    listed = lowering.values.info[node].span is None
    proved = copied_number(number.proved, at_bos) if listed else UNKNOWN_NUMBER
    return Number(
        node,
        Functional.of_column(own),
        {i: Functional.of_column(d) for i, d in flags.items()},
        number.codes,
        False,
        absolute=number.absolute,
        relative=number.relative + 2.0**-22,
        flag_error=number.flag_error,
        slot=slot,
        proved=proved,
    )


def clean_one_hot(lowering: Lowering, form: OneHot) -> OneHot:
    """Adds the MLP that copies a one-hot node, leaving its error behind."""
    size = len(form.dirs)
    label = lowering.values.labels[form.node] + "/clean"
    dirs = tuple(
        BasisDirection(label if d.value is None else label + ":", d.value) for d in form.dirs
    )
    if len(set(dirs)) < size:
        dirs = tuple(BasisDirection(f"{label}:{d.name}", d.value) for d in form.dirs)
    lowering.columns.setdefault(form.node, []).extend(dirs)
    at = np.arange(size)
    if form.error >= 0.25:
        raise CannotLower(
            form.node,
            f"its one-hot columns may be off by {form.error:.2g}",
            "use a smaller max_seq_len, or compare counts instead of fractions",
        )
    code = Entries.eye(size)
    neurons = table_mlp(at[:, None], at, code, size, noise=form.error)
    has = form.proved
    proved = of_table(neurons, 1, (has, form.error), code, one_hot=True)
    inputs = Inputs(
        list(form.dirs), form.at_bos, at[:, None], None, at, None, form.error, form.slot, has
    )
    slot = emit(lowering, form.node, inputs, Made.of(neurons, proved, form.at_bos), dirs, code)
    errors, none = neurons.errors, np.zeros(size)
    return OneHot(form.node, dirs, form.group, none, errors, neurons.spread, slot, proved)


def emit(
    lowering: Lowering,
    node: int,
    inputs: Inputs,
    made: Made,
    dirs: tuple[BasisDirection, ...],
    code: Entries | None = None,
) -> int:
    """Adds the block at the first MLP half-layer after its inputs; it is silent at BOS.

    `code`: what it writes for each output of its table, if it has one.
    """
    slot = inputs.slot if inputs.number is None else max(inputs.slot, inputs.number.slot)
    slot = slot + 1 if slot % 2 == 0 else slot + 2
    label = lowering.values.labels[node]
    hidden = NumberedSpace(f"{label}.{len(lowering.blocks)}", made.neurons.hidden)
    names = [*inputs.dirs, lowering.one, lowering.bos]
    space, reads = _placed(made.reads, names, made.rows)
    out, writes = _placed(made.neurons.writes.turned(), dirs, made.cols)
    fst, snd = Linear(space, hidden, reads), Linear(hidden, out, writes.turned())
    lowering.blocks.append(MLPBlock(slot, (node,), fst, snd))
    lowering.notes.append(WrittenTable(inputs, dirs, code))
    return slot


def _placed(
    entries: Entries, names: Sequence[BasisDirection], used: list[int]
) -> tuple[VectorSpaceWithBasis, Entries]:
    """The space of the rows that are `used`, and the entries with rows in its order.

    Rows of the same name are added.
    """
    read = [names[i] for i in used]
    place = np.zeros(len(names), np.int64)
    order, twice = order_of(read)
    if twice:
        space = VectorSpaceWithBasis(set(read))
        place[used] = space.indices_of(read)
        shape, rows = (space.num_dims, entries.shape[1]), place[entries.rows]
        return space, Entries.summed(shape, rows, entries.cols, entries.values)
    space = VectorSpaceWithBasis([read[i] for i in order], _basis_is_sorted=True)
    place[[used[i] for i in order]] = np.arange(len(order))
    shape = (len(order), entries.shape[1])
    return space, Entries(shape, place[entries.rows], entries.cols, entries.values)
