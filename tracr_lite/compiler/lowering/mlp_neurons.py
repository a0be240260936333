"""Weights of an MLP block: a table, or steps on a number under one-hot gates."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from tracr_lite.compiler.lowering.forms import Number
from tracr_lite.compiler.lowering.mlp_inputs import Inputs, stacked
from tracr_lite.compiler.lowering.mlp_made import Made
from tracr_lite.compiler.lowering.problems import CannotLower, Split
from tracr_lite.compiler.lowering.proved import UNKNOWN, Errors, flag_errors, in_turn, together
from tracr_lite.compiler.lowering.proved_steps import Read, of_steps
from tracr_lite.compiler.lowering.proved_tables import of_table
from tracr_lite.compiler.lowering.remembered import Memory
from tracr_lite.craft.arrays import distinct
from tracr_lite.craft.blocks.neurons import Neurons
from tracr_lite.craft.blocks.ramps import Steps, TooClose
from tracr_lite.craft.blocks.sizes import Sizes
from tracr_lite.craft.blocks.step_mlp import step_mlp
from tracr_lite.craft.blocks.table_mlp import table_mlp
from tracr_lite.craft.entries import Entries

WEIGHT_BUDGET = 2**27  # rows of one MLP's table times columns that it reads and writes
SMALL = 2**11  # the same of tables that are remembered


MADE: Memory[Made] = Memory(2048)  # of small tables, in all programs


def neurons_of(
    node: int, inputs: Inputs, code: Entries, *, one_hot: bool
) -> tuple[Inputs, Made]:
    """Neurons that write `code[output]`, and the inputs with all columns that these read.

    `one_hot`: whether `code` is the identity.
    """
    weights = len(inputs.output) * (len(inputs.dirs) + code.shape[1])
    if weights > WEIGHT_BUDGET:
        raise CannotLower(
            node,
            f"its table of {len(inputs.output)} rows over {len(inputs.dirs)} columns would "
            "need more weights than the budget allows",
            "reduce the values of its inputs first, for example by a comparison",
        )
    number = None if inputs.number is None else _with_number(inputs, inputs.number)
    if number is not None:
        inputs = number.inputs

    def make() -> Made:
        if number is None:
            made = _table(inputs, code, one_hot)
        else:
            made = _steps(number, code, one_hot)
        return Made.of(*made, inputs.at_bos)

    try:
        if weights > SMALL:
            return inputs, make()
        return inputs, MADE.of(_key(inputs, number, code, one_hot), make)
    except ValueError as error:
        raise CannotLower(
            node,
            f"its inputs are too close to be told apart: {error}",
            "use a smaller max_seq_len, or compare counts instead of fractions",
            hopeless=isinstance(error, TooClose) and error.hopeless,
        ) from error


def _key(
    inputs: Inputs, read: _ReadNumber | None, code: Entries, one_hot: bool
) -> tuple[object, ...]:
    """All that the neurons depend on."""
    table = inputs.cells.shape, inputs.cells.tobytes(), inputs.output.tobytes()
    around = inputs.noise, inputs.has.key, inputs.at_bos.tobytes()
    writes = code.shape if one_hot else (code.shape, code.dense().tobytes())
    if read is None:
        return table, around, writes, one_hot
    number = read.number
    assert inputs.x is not None, "a number has a column in the table"
    flags = [(at, row.tobytes()) for at, row in read.flags.items()]
    return (
        *(table, around, writes, one_hot, read.shared, read.read.tobytes(), tuple(flags)),
        *(number.codes[inputs.x].tobytes(), inputs.x.tobytes() if flags else b""),
        *(number.absolute, number.relative, number.flag_error, number.proved.key),
    )


def _table(inputs: Inputs, code: Entries, one_hot: bool) -> tuple[Neurons, Errors]:
    noise, k = inputs.noise, inputs.cells.shape[1]
    made = table_mlp(inputs.cells, inputs.output, code, len(inputs.dirs), noise=noise)
    return made, of_table(made, k, (inputs.has, noise), code, one_hot=one_hot)


@dataclass(frozen=True)
class _ReadNumber:
    """A number as a table reads it.

    **Arguments:** `inputs`: all of them, with the columns of the number; `read`, `flags`: how
    it and its flags are read from these; `shared`: whether one-hots share columns with it.
    """

    number: Number
    inputs: Inputs
    read: Float[np.ndarray, " inputs"]
    flags: dict[int, Float[np.ndarray, " inputs"]]
    shared: bool


def _steps(number: _ReadNumber, code: Entries, one_hot: bool) -> tuple[Neurons, Errors]:
    """Steps on the number for each combination of one-hots; tables where it is no number."""
    inputs, proved, flags = number.inputs, number.number.proved, number.flags
    assert inputs.x is not None, "a number has a column in the table"
    x = inputs.x
    flagged = np.isin(x, list(flags)) if flags else np.zeros(len(x), bool)
    any_flag = np.zeros(len(inputs.dirs))
    for flag in flags.values():
        any_flag += flag
    parts: list[Neurons] = []
    errors = [UNKNOWN] if number.shared else []  # certificates know no shared columns
    if not flagged.all():
        made, steps = _gated(number, code, ~flagged, any_flag)
        reads = Read(inputs, proved, number.read, any_flag, inputs.has, len(flags))
        parts.append(made)
        errors.append(of_steps(made, steps, reads, code, one_hot=one_hot))
    for at in sorted(set(x[flagged].tolist())):
        rows = np.flatnonzero(x == at)
        made, noise = _flagged(inputs, number.number, code, rows, flags[at])
        parts.append(made)
        has = together([inputs.has, flag_errors(proved)])
        k = inputs.cells.shape[1] + 1
        errors.append(of_table(made, k, (has, noise), code, one_hot=False))
    return Neurons.concatenate(parts), in_turn(errors)


def _with_number(inputs: Inputs, number: Number) -> _ReadNumber:
    """Adds the columns of the number, and says how to read from them it and its flags."""
    functionals = [number.read, *number.flags.values()]
    shared = not set(number.read.dirs).isdisjoint(inputs.dirs)
    dirs, at_bos, rows = stacked(functionals, inputs.dirs, inputs.at_bos)
    flags = dict(zip(number.flags, rows[1:], strict=True))
    inputs = replace(inputs, dirs=dirs, at_bos=at_bos)
    return _ReadNumber(number, inputs, rows[0], flags, shared)


def _flagged(
    inputs: Inputs, number: Number, code: Entries, rows: np.ndarray, flag: np.ndarray
) -> tuple[Neurons, float]:
    """A table of the rows in which the number is replaced by one value, read through `flag`.

    With the noise that it tolerates.
    """
    size, noise = len(inputs.dirs), inputs.noise + max(number.flag_error, 1e-6)
    column = np.full((len(rows), 1), size)
    part = table_mlp(
        np.concatenate([inputs.cells[rows], column], axis=1),
        inputs.output[rows],
        code,
        size + 1,
        noise=noise,
    )
    return replace(part, reads=_read_through(part.reads, flag)), noise


def _read_through(reads: Entries, flag: np.ndarray) -> Entries:
    """What is read from the last row is read through `flag`, from all others."""
    last = reads.rows == len(flag)
    cols, values = reads.cols[last], reads.values[last]
    columns = np.flatnonzero(flag)
    return Entries.summed(
        (len(flag), reads.shape[1]),
        np.concatenate([reads.rows[~last], np.repeat(columns, len(cols))]),
        np.concatenate([reads.cols[~last], np.tile(cols, len(columns))]),
        np.concatenate([reads.values[~last], np.outer(flag[columns], values).ravel()]),
    )


def _gated(
    of: _ReadNumber, code: Entries, rows: np.ndarray, any_flag: np.ndarray
) -> tuple[Neurons, Steps]:
    """Steps on the number in some rows, with a gate for each combination of one-hots."""
    inputs, number = of.inputs, of.number
    assert inputs.x is not None, "a number has a column in the table"
    cells, x, output = inputs.cells[rows], number.codes[inputs.x[rows]], inputs.output[rows]
    first, gate = np.zeros(1, np.int64), np.zeros(len(cells), np.int64)
    if cells.shape[1]:
        for column in cells.T:
            gate = gate * (len(inputs.dirs) + 1) + column
        _, first, gate = distinct(gate)
    order = np.lexsort((x, gate))
    x, output, gate = x[order], output[order], gate[order]
    _check_types(number, x, output, gate)
    gates = np.zeros((len(first), len(inputs.dirs) + 1))
    for column in cells[first].T:
        gates[np.arange(len(first)), column] += 1.0
    gates[:, :-1] -= 2.0 * any_flag
    gates[:, -1] = 1.0 - cells.shape[1]
    slack = number.absolute + number.relative * np.abs(x)
    gate_error = inputs.noise + 2 * number.flag_error * len(number.flags)
    slack = slack + gate_error * (np.abs(x).max() + 1.0)
    steps = Steps(gate, x, output, slack)
    made = step_mlp(steps, code, of.read, gates, np.append(-any_flag, 1.0))
    if gate_error == 0.0:
        return made, steps
    sizes = Sizes.of(code)  # an open gate hands its error on, times what is written
    errors = made.errors + gate_error * sizes.largest
    spread = made.spread + gate_error * sizes.in_all
    return replace(made, errors=errors, spread=spread), steps


def _check_types(number: Number, x: np.ndarray, output: np.ndarray, gate: np.ndarray) -> None:
    """The same number with different outputs: the function tells 1, 1.0 and True apart."""
    same = x[1:] == x[:-1]
    if same.any() and (same & (gate[1:] == gate[:-1]) & (output[1:] != output[:-1])).any():
        raise Split({number.node})
