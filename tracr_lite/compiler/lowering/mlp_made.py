"""An MLP as numbers: its neurons, what keeps them silent at BOS, and their errors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracr_lite.compiler.lowering.proved import Errors
from tracr_lite.craft.blocks.neurons import Neurons
from tracr_lite.craft.entries import Entries


@dataclass(frozen=True, eq=False)
class Made:
    """An MLP as numbers, before its columns have names.

    **Arguments:** `proved`: errors of all outputs. `reads`: those of the neurons, and in two
    further rows the constant direction and BOS, which silences them. `rows`, `cols`: inputs
    that are read, and outputs that are written.
    """

    neurons: Neurons
    proved: Errors
    reads: Entries
    rows: list[int]
    cols: list[int]

    @classmethod
    def of(cls, neurons: Neurons, proved: Errors, at_bos: np.ndarray) -> Made:
        """With what silences the neurons at BOS, where inputs hold `at_bos`."""
        reads = _with_bias(neurons, at_bos)
        rows = np.flatnonzero(reads.filled_rows()).tolist()
        cols = np.flatnonzero(neurons.writes.turned().filled_rows()).tolist()
        writes = neurons.writes
        for array in (reads.rows, reads.cols, reads.values, neurons.errors):
            array.flags.writeable = False  # other models may get the same ones
        for array in (writes.rows, writes.cols, writes.values):
            array.flags.writeable = False
        return cls(neurons, proved, reads, rows, cols)


def _with_bias(neurons: Neurons, at_bos: np.ndarray) -> Entries:
    """What the neurons read, the constant direction and BOS included: that silences them."""
    reads, bias, hidden = neurons.reads, neurons.bias, np.arange(neurons.hidden)
    held = bias
    if at_bos.any():
        held = held + np.bincount(reads.cols, at_bos[reads.rows] * reads.values, neurons.hidden)
    largest = np.ones(neurons.hidden)
    np.maximum.at(largest, reads.cols, np.abs(reads.values))
    silence = -(np.maximum(held, 0.0) + largest)
    size, filled = len(at_bos), np.flatnonzero(bias)
    return Entries(
        (size + 2, neurons.hidden),
        np.concatenate(
            [reads.rows, np.full(len(filled), size), np.full(len(hidden), size + 1)]
        ),
        np.concatenate([reads.cols, filled, hidden]),
        np.concatenate([reads.values, bias[filled], silence]),
    )
