"""Weights of an MLP block: a table, or steps on a number under one-hot gates."""

from __future__ import annotations

import numpy as np

from tracr_lite.compiler.lowering.forms import Number
from tracr_lite.compiler.lowering.lower import Lowering
from tracr_lite.compiler.lowering.mlp_inputs import Inputs
from tracr_lite.compiler.lowering.problems import CannotLower, Split
from tracr_lite.craft.blocks.neurons import Neurons
from tracr_lite.craft.blocks.step_mlp import Steps, step_mlp
from tracr_lite.craft.blocks.table_mlp import table_mlp

WEIGHT_BUDGET = 2**27  # rows of one MLP's table times columns that it reads and writes


def neurons_of(lowering: Lowering, node: int, inputs: Inputs, code: np.ndarray) -> Neurons:
    if len(inputs.output) * (len(inputs.dirs) + code.shape[1]) > WEIGHT_BUDGET:
        raise CannotLower(
            node,
            f"its table of {len(inputs.output)} rows over {len(inputs.dirs)} columns would need "
            "more weights than the budget allows",
            "reduce the values of its inputs first, for example by a comparison",
        )
    try:
        if inputs.number is None:
            return table_mlp(
                inputs.cells, inputs.output, code, len(inputs.dirs), noise=inputs.noise
            )
        return _steps(inputs, inputs.number, code)
    except ValueError as error:
        raise CannotLower(
            node,
            f"its inputs are too close to be told apart: {error}",
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
    for functional, row in [
        (number.read, read),
        *((f, flags.setdefault(i, np.zeros(len(dirs)))) for i, f in number.flags.items()),
    ]:
        for d, coef, held in zip(
            functional.dirs, functional.coefs, functional.at_bos, strict=True
        ):
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
            noise=inputs.noise + max(number.flag_error, 1e-6),
        )
        w_in = part.w_in[:-1] + flags[at][:, None] * part.w_in[-1:]
        parts.append(Neurons(w_in, part.bias, part.w_out, part.errors, part.spread))
    return Neurons.concatenate(parts)


def _gated(
    inputs: Inputs,
    number: Number,
    code: np.ndarray,
    rows: np.ndarray,
    read: np.ndarray,
    any_flag: np.ndarray,
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
    gate_error = inputs.noise + 2 * number.flag_error * len(number.flags)
    slack = slack + gate_error * (np.abs(x).max() + 1.0)
    return step_mlp(Steps(gate, x, output, slack), code, read, gates, valid)


def _check_types(number: Number, x: np.ndarray, output: np.ndarray, gate: np.ndarray) -> None:
    """The same number with different outputs: the function tells 1, 1.0 and True apart."""
    if ((x[1:] == x[:-1]) & (gate[1:] == gate[:-1]) & (output[1:] != output[:-1])).any():
        raise Split({number.node})
