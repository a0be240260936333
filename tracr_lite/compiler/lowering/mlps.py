"""MLP blocks: pointwise functions of one-hot leaves and at most one number."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from tracr_lite.compiler.lowering.forms import Functional, MLPBlock, Number, OneHot
from tracr_lite.compiler.lowering.lower import CannotLower, Lowering, Split
from tracr_lite.compiler.values.domain import ERR, is_number
from tracr_lite.craft.bases import BasisDirection, VectorSpaceWithBasis
from tracr_lite.craft.blocks.neurons import Neurons
from tracr_lite.craft.blocks.step_mlp import Steps, TooClose, step_mlp
from tracr_lite.craft.blocks.table_mlp import table_mlp
from tracr_lite.craft.vectorspace_fns import Linear


@dataclass(frozen=True)
class Inputs:
    """The columns that an MLP reads, and the rows of the table that it computes.

    **Arguments:**
    - `dirs`, `at_bos`: the columns; what they hold at BOS.
    - `cells`: column of each one-hot leaf, per row.
    - `x`: id of the number leaf per row (or None); `output`: id of the result.
    """

    dirs: list[BasisDirection]
    at_bos: Float[np.ndarray, " dirs"]
    cells: Int[np.ndarray, "rows leaves"]
    x: Int[np.ndarray, " rows"] | None
    output: Int[np.ndarray, " rows"]
    number: Number | None
    noise: float
    slot: int


def write_one_hot(lowering: Lowering, node: int) -> OneHot:
    """Adds the MLP that writes the node one-hot."""
    values, group = lowering.groups(node)
    inputs = _inputs(lowering, node, _leaves(lowering, node), group)
    dirs = tuple(lowering.direction(node, v) for v in values)
    neurons = _neurons(lowering, node, inputs, np.eye(len(dirs)))
    slot = _emit(lowering, node, inputs, neurons, dirs)
    return OneHot(node, dirs, group, np.zeros(len(dirs)), neurons.errors, neurons.spread, slot)


def write_number(lowering: Lowering, node: int) -> Number:
    """Adds the MLP that writes the node's number, and a flag per value that is none."""
    info = lowering.values.info[node]
    if info.span is not None:
        raise CannotLower(node, "its numbers are too many to list", "use LinearSequenceMap")
    values, group = lowering.groups(node)
    numbers = [v for v in values if is_number(v)]
    others = [v for v in values if not is_number(v)]
    inputs = _inputs(lowering, node, _leaves(lowering, node), group)
    dirs = [BasisDirection(lowering.values.labels[node])] if numbers else []
    lowering.columns.setdefault(node, []).extend(dirs)
    flags = {v: lowering.direction(node, v) for v in others}
    dirs += flags.values()
    code = np.zeros((len(values), len(dirs)))
    for at, value in enumerate(values):
        if is_number(value):
            code[at, 0] = lowering.float(node, value)
        else:
            code[at, dirs.index(flags[value])] = 1.0
    neurons = _neurons(lowering, node, inputs, code)
    slot = _emit(lowering, node, inputs, neurons, tuple(dirs))
    none = np.zeros(1)
    read = Functional(tuple(dirs[:1]), np.ones(1), none) if numbers else Functional((), none[:0], none[:0])
    codes = code[group, 0] if numbers else np.zeros(len(group))
    ids = {at: Functional((flags[v],), np.ones(1), none) for at, v in enumerate(info.values) if v in flags and not is_number(v)}
    return Number(node, read, ids, codes, False, neurons.error, 2.0**-23, slot)


def copy_number(lowering: Lowering, node: int, number: Number) -> Number:
    """Adds the MLP that writes a readable number into a column of its own.

    relu(x) - relu(-x) = x needs no list of values; flags are copied alike.
    """
    functionals = [number.read, *number.flags.values()]
    names = list(dict.fromkeys(d for f in functionals for d in f.dirs))
    place = {d: i for i, d in enumerate(names)}
    at_bos = np.zeros(len(names))
    w_in = np.zeros((len(names), len(functionals)))
    for column, functional in enumerate(functionals):
        for d, coef, held in zip(functional.dirs, functional.coefs, functional.at_bos, strict=True):
            w_in[place[d], column] += coef
            at_bos[place[d]] = held
    own = BasisDirection(lowering.values.labels[node])
    lowering.columns.setdefault(node, []).append(own)
    flags = {i: lowering.direction(node, lowering.values.info[node].values[i]) for i in number.flags}
    dirs = (own, *flags.values())
    both = np.concatenate([w_in, -w_in], axis=1)
    out = np.concatenate([np.eye(len(dirs)), -np.eye(len(dirs))])
    neurons = Neurons(both, np.zeros(2 * len(dirs)), out, np.zeros(len(dirs)), 0.0)
    cells, output = np.zeros((0, 0), np.int64), np.zeros(0, np.int64)
    inputs = Inputs(names, at_bos, cells, None, output, None, 0.0, number.slot)
    slot = _emit(lowering, node, inputs, neurons, dirs)
    none = np.zeros(1)
    read = Functional((own,), np.ones(1), none)
    read_flags = {i: Functional((d,), np.ones(1), none) for i, d in flags.items()}
    absolute = number.absolute + lowering.reach(node) * 2.0**-22
    return Number(node, read, read_flags, number.codes, False, absolute, number.relative, slot)


def clean_one_hot(lowering: Lowering, form: OneHot) -> OneHot:
    """Adds the MLP that copies a one-hot node, leaving its error behind."""
    size = len(form.dirs)
    label = lowering.values.labels[form.node] + "/clean"
    dirs = tuple(BasisDirection(label if d.value is None else label + ":", d.value) for d in form.dirs)
    if len(set(dirs)) < size:
        dirs = tuple(BasisDirection(f"{label}:{d.name}", d.value) for d in form.dirs)
    lowering.columns.setdefault(form.node, []).extend(dirs)
    at = np.arange(size)
    neurons = table_mlp(at[:, None], at, np.eye(size), size, noise=form.error)
    inputs = Inputs(list(form.dirs), form.at_bos, at[:, None], None, at, None, form.error, form.slot)
    slot = _emit(lowering, form.node, inputs, neurons, dirs)
    return OneHot(form.node, dirs, form.group, np.zeros(size), neurons.errors, neurons.spread, slot)


def _leaves(lowering: Lowering, node: int) -> tuple[int, ...]:
    return lowering.leaves(node)


def _inputs(
    lowering: Lowering, node: int, leaves: tuple[int, ...], group: np.ndarray
) -> Inputs:
    """Gathers the forms of the leaves and the distinct rows of the table over their columns."""
    table = lowering.table(node, leaves)
    kept = np.flatnonzero(table.ids != ERR)
    dirs: list[BasisDirection] = []
    at_bos: list[np.ndarray] = []
    cells: list[np.ndarray] = []
    x: np.ndarray | None = None
    number: Number | None = None
    noise, slot = 0.0, -1
    for leaf in leaves:
        ids = table.frame.column(leaf)[kept]
        if leaf == lowering.number_leaf(leaves):
            found = lowering.raw(leaf)
            assert isinstance(found, Number)
            number, x, slot = found, ids, max(slot, found.slot)
            continue
        view = lowering.view(leaf)
        assert (view.ids[ids] == ids).all(), "a leaf is read through its own columns"
        cells.append(len(dirs) + view.form.group[ids])
        dirs.extend(view.form.dirs)
        at_bos.append(view.form.at_bos)
        noise, slot = max(noise, view.form.error), max(slot, view.form.slot)
    stacked = np.stack(cells, axis=1) if cells else np.zeros((len(kept), 0), np.int64)
    output = group[table.ids[kept]]
    stacked, x, output = _distinct(stacked, x, output, len(dirs), leaves)
    bos = np.concatenate(at_bos) if at_bos else np.zeros(0)
    return Inputs(dirs, bos, stacked, x, output, number, noise, slot)


def _distinct(
    cells: np.ndarray, x: np.ndarray | None, output: np.ndarray, size: int, leaves: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """Rows without repetition; equal columns must mean equal outputs."""
    code = np.zeros(len(cells), np.int64) if x is None else x.astype(np.int64)
    for column in cells.T:
        code = code * (size + 1) + column
    _, first = np.unique(code, return_index=True)
    if len(np.unique(np.stack([code, output]), axis=1).T) != len(first):
        raise Split(set(leaves))
    first = np.sort(first)
    return cells[first], None if x is None else x[first], output[first]


def _neurons(lowering: Lowering, node: int, inputs: Inputs, code: np.ndarray) -> Neurons:
    try:
        if inputs.number is None:
            return table_mlp(
                inputs.cells, inputs.output, code, len(inputs.dirs), noise=inputs.noise
            )
        return _steps(inputs, inputs.number, code)
    except TooClose as error:
        raise CannotLower(
            node,
            f"it must tell apart numbers that are too close: {error}",
            "use a smaller max_seq_len, or compare counts instead of fractions",
        ) from error


def _steps(inputs: Inputs, number: Number, code: np.ndarray) -> Neurons:
    """Steps on the number for each combination of one-hots; tables where it is no number."""
    assert inputs.x is not None
    n_cat = len(inputs.dirs)
    extra = number.read.dirs + tuple(d for f in number.flags.values() for d in f.dirs)
    dirs = list(dict.fromkeys([*inputs.dirs, *extra]))
    place = {d: i for i, d in enumerate(dirs)}
    at_bos = np.zeros(len(dirs))
    at_bos[:n_cat] = inputs.at_bos
    read, flags = np.zeros(len(dirs)), {}
    for functional, row in [(number.read, read), *((f, flags.setdefault(i, np.zeros(len(dirs)))) for i, f in number.flags.items())]:
        for d, coef, held in zip(functional.dirs, functional.coefs, functional.at_bos, strict=True):
            row[place[d]] += coef
            at_bos[place[d]] = held
    inputs.dirs[:] = dirs
    object.__setattr__(inputs, "at_bos", at_bos)
    flagged = np.isin(inputs.x, list(flags))
    any_flag = np.sum(list(flags.values()), axis=0) if flags else np.zeros(len(dirs))
    parts: list[Neurons] = []
    if not flagged.all():
        parts.append(_gated(inputs, number, code, ~flagged, read, any_flag))
    for at in sorted(set(inputs.x[flagged].tolist())):
        rows = np.flatnonzero(inputs.x == at)
        column = np.full((len(rows), 1), len(dirs))
        part = table_mlp(
            np.concatenate([inputs.cells[rows], column], axis=1),
            inputs.output[rows],
            code,
            len(dirs) + 1,
            noise=max(inputs.noise, number.absolute, 1e-6),
        )
        w_in = part.w_in[:-1] + flags[at][:, None] * part.w_in[-1:]
        parts.append(Neurons(w_in, part.bias, part.w_out, part.errors, part.spread))
    return Neurons.concatenate(parts)


def _gated(
    inputs: Inputs, number: Number, code: np.ndarray, rows: np.ndarray, read: np.ndarray, any_flag: np.ndarray
) -> Neurons:
    assert inputs.x is not None
    cells, x, output = inputs.cells[rows], number.codes[inputs.x[rows]], inputs.output[rows]
    gate = np.zeros(len(cells), np.int64)
    for column in cells.T:
        gate = gate * (len(inputs.dirs) + 1) + column
    _, first, gate = np.unique(gate, return_index=True, return_inverse=True)
    order = np.lexsort((x, gate.ravel()))
    _check_types(number, x[order], output[order], gate.ravel()[order])
    k = cells.shape[1]
    gates = np.zeros((len(first), len(inputs.dirs) + 1))
    for column in cells[first].T:
        gates[np.arange(len(first)), column] += 1.0
    gates[:, :-1] -= 2.0 * any_flag
    gates[:, -1] = 1.0 - k
    valid = np.append(-any_flag, 1.0)
    x, output, gate = x[order], output[order], gate.ravel()[order]
    slack = number.absolute + number.relative * np.abs(x)
    slack = slack + inputs.noise * k * (np.abs(x).max() + 1.0)
    return step_mlp(Steps(gate, x, output, slack), code, read, gates, valid)


def _check_types(number: Number, x: np.ndarray, output: np.ndarray, gate: np.ndarray) -> None:
    """The same number with different outputs: the function tells 1, 1.0 and True apart."""
    if ((x[1:] == x[:-1]) & (gate[1:] == gate[:-1]) & (output[1:] != output[:-1])).any():
        raise Split({number.node})


def _emit(
    lowering: Lowering, node: int, inputs: Inputs, neurons: Neurons, dirs: tuple[BasisDirection, ...]
) -> int:
    """Adds the block at the first MLP half-layer after its inputs; silent at the BOS position."""
    slot = inputs.slot if inputs.number is None else max(inputs.slot, inputs.number.slot)
    slot = slot + 1 if slot % 2 == 0 else slot + 2
    rows = np.zeros((len(inputs.dirs) + 2, neurons.hidden))
    rows[:-2] = neurons.w_in
    rows[-2] = neurons.bias
    held = neurons.bias + inputs.at_bos @ neurons.w_in
    rows[-1] = -(np.maximum(held, 0.0) + np.abs(neurons.w_in).max(axis=0, initial=1.0))
    used = np.flatnonzero(rows[:-2].any(axis=1))
    names = [*(inputs.dirs[i] for i in used), lowering.one, lowering.bos]
    rows = rows[[*used, -2, -1]]
    merged = list(dict.fromkeys(names))
    if len(merged) < len(names):
        place = {d: i for i, d in enumerate(merged)}
        summed = np.zeros((len(merged), rows.shape[1]))
        np.add.at(summed, [place[d] for d in names], rows)
        names, rows = merged, summed
    label = lowering.values.labels[node]
    space = VectorSpaceWithBasis(names)
    order = [names.index(d) for d in space.basis] if len(names) < 64 else _order(names, space)
    hidden = VectorSpaceWithBasis(
        [BasisDirection(f"{label}.{len(lowering.blocks)}", i) for i in range(neurons.hidden)],
        _basis_is_sorted=True,
    )
    out = VectorSpaceWithBasis(dirs)
    fst = Linear(space, hidden, rows[order])
    snd = Linear(hidden, out, neurons.w_out[:, _order(list(dirs), out)])
    lowering.blocks.append(MLPBlock(slot, (node,), fst, snd))
    return slot


def _order(names: list[BasisDirection], space: VectorSpaceWithBasis) -> list[int]:
    place = {d: i for i, d in enumerate(names)}
    return [place[d] for d in space.basis]
