"""Weights of an MLP block: a table, or steps on a number under one-hot gates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tracr_lite.compiler.lowering.forms import Number
from tracr_lite.compiler.lowering.mlp_inputs import Inputs, stacked
from tracr_lite.compiler.lowering.problems import CannotLower, Split
from tracr_lite.compiler.lowering.proved import UNKNOWN, Errors, flag_errors, in_turn, together
from tracr_lite.compiler.lowering.proved_steps import Read, of_steps
from tracr_lite.compiler.lowering.proved_tables import of_table
from tracr_lite.craft.arrays import distinct
from tracr_lite.craft.blocks.neurons import Neurons
from tracr_lite.craft.blocks.sizes import Sizes
from tracr_lite.craft.blocks.step_mlp import Steps, TooClose, step_mlp
from tracr_lite.craft.blocks.table_mlp import table_mlp
from tracr_lite.craft.entries import Entries

WEIGHT_BUDGET = 2**27  # rows of one MLP's table times columns that it reads and writes


def neurons_of(
    node: int, inputs: Inputs, code: Entries, *, one_hot: bool
) -> tuple[Inputs, Neurons, Errors]:
    """Neurons that write `code[output]`, and the inputs with all columns that these read.

    `one_hot`: whether all that is written is 1. Last, errors of all outputs.
    """
    if len(inputs.output) * (len(inputs.dirs) + code.shape[1]) > WEIGHT_BUDGET:
        raise CannotLower(
            node,
            f"its table of {len(inputs.output)} rows over {len(inputs.dirs)} columns would "
            "need more weights than the budget allows",
            "reduce the values of its inputs first, for example by a comparison",
        )
    try:
        if inputs.number is None:
            noise, k = inputs.noise, inputs.cells.shape[1]
            made = table_mlp(inputs.cells, inputs.output, code, len(inputs.dirs), noise=noise)
            return inputs, made, of_table(made, k, (inputs.has, noise), code, one_hot=one_hot)
        return _steps(inputs, inputs.number, code, one_hot)
    except ValueError as error:
        raise CannotLower(
            node,
            f"its inputs are too close to be told apart: {error}",
            "use a smaller max_seq_len, or compare counts instead of fractions",
            hopeless=isinstance(error, TooClose) and error.hopeless,
        ) from error


def _steps(
    inputs: Inputs, number: Number, code: Entries, one_hot: bool
) -> tuple[Inputs, Neurons, Errors]:
    """Steps on the number for each combination of one-hots; tables where it is no number."""
    assert inputs.x is not None, "a number has a column in the table"
    x, shared = inputs.x, not set(number.read.dirs).isdisjoint(inputs.dirs)
    inputs, read, flags = _with_number(inputs, number)
    flagged = np.isin(x, list(flags))
    any_flag = np.zeros(len(inputs.dirs))
    for flag in flags.values():
        any_flag += flag
    parts: list[Neurons] = []
    errors = [UNKNOWN] if shared else []  # certificates know no leaves that share columns
    if not flagged.all():
        made, steps = _gated(inputs, number, code, ~flagged, read, any_flag)
        reads = Read(inputs, number.proved, read, any_flag, inputs.has, len(flags))
        parts.append(made)
        errors.append(of_steps(made, steps, reads, code, one_hot=one_hot))
    for at in sorted(set(x[flagged].tolist())):
        rows = np.flatnonzero(x == at)
        made, noise = _flagged(inputs, number, code, rows, flags[at])
        parts.append(made)
        has = together([inputs.has, flag_errors(number.proved)])
        k = inputs.cells.shape[1] + 1
        errors.append(of_table(made, k, (has, noise), code, one_hot=False))
    return inputs, Neurons.concatenate(parts), in_turn(errors)


def _with_number(
    inputs: Inputs, number: Number
) -> tuple[Inputs, np.ndarray, dict[int, np.ndarray]]:
    """The inputs with the columns of the number; how to read from them it and its flags."""
    functionals = [number.read, *number.flags.values()]
    dirs, at_bos, rows = stacked(functionals, inputs.dirs, inputs.at_bos)
    flags = dict(zip(number.flags, rows[1:], strict=True))
    return replace(inputs, dirs=dirs, at_bos=at_bos), rows[0], flags


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
    inputs: Inputs,
    number: Number,
    code: Entries,
    rows: np.ndarray,
    read: np.ndarray,
    any_flag: np.ndarray,
) -> tuple[Neurons, Steps]:
    """Steps on the number in some rows, with a gate for each combination of one-hots."""
    assert inputs.x is not None, "a number has a column in the table"
    cells, x, output = inputs.cells[rows], number.codes[inputs.x[rows]], inputs.output[rows]
    gate = np.zeros(len(cells), np.int64)
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
    made = step_mlp(steps, code, read, gates, np.append(-any_flag, 1.0))
    if gate_error == 0.0:
        return made, steps
    sizes = Sizes.of(code)  # an open gate hands its error on, times what is written
    errors = made.errors + gate_error * sizes.largest
    spread = made.spread + gate_error * sizes.in_all
    return replace(made, errors=errors, spread=spread), steps


def _check_types(number: Number, x: np.ndarray, output: np.ndarray, gate: np.ndarray) -> None:
    """The same number with different outputs: the function tells 1, 1.0 and True apart."""
    if ((x[1:] == x[:-1]) & (gate[1:] == gate[:-1]) & (output[1:] != output[:-1])).any():
        raise Split({number.node})
