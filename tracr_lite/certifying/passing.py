"""How the neurons that are surely active pass on the errors of inputs, column by column."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Int

from tracr_lite.certifying.mlp_parts import Hidden, Matrix, Network, Rows
from tracr_lite.certifying.sparse_matrices import csr

AT_ONCE = 2**22  # products looked at together

Columns = Int[np.ndarray, " columns"]


def passed_on(
    network: Network, rows: Rows, hidden: Hidden, w2: Any, columns: Columns
) -> tuple[Matrix, Matrix]:
    """What errors of some input columns add up to in each output, and the most that any of
    them counts there, per unit. `w2`: that of the network, sparse."""
    shape = (len(rows.x), network.w2.shape[1])
    added, most = np.zeros(shape[0] * shape[1]), np.zeros(shape[0] * shape[1])
    column, neuron = network.w1[columns].nonzero()
    active = np.bincount(hidden.passing.indices, hidden.passing.data, len(network.w2))
    outputs: Columns = np.diff(w2.indptr)
    work = np.bincount(column, (active * outputs)[neuron], len(columns))
    for part in _parts(work):
        here = (column >= part.start) & (column < part.stop)
        paths = _paths(network, w2, columns[part], column[here] - part.start, neuron[here])
        passed = (hidden.passing @ paths).tocoo()
        which, out = np.divmod(passed.col, shape[1])
        by_unit, at = np.abs(passed.data), passed.row.astype(np.int64) * shape[1] + out
        error = rows.error[passed.row, columns[part][which]]
        added += np.bincount(at, error * by_unit, len(added))
        np.maximum.at(most, at, by_unit)
    return added.reshape(shape), most.reshape(shape)


def _parts(work: np.ndarray) -> Iterator[slice]:
    """Runs of columns that are not too much work together."""
    start = 0
    run = 0.0
    for at, each in enumerate(work.tolist()):
        if run + each > AT_ONCE and at > start:
            yield slice(start, at)
            start, run = at, 0.0
        run += each
    if start < len(work):
        yield slice(start, len(work))


def _paths(
    network: Network, w2: Any, columns: Columns, column: Columns, neuron: Columns
) -> Any:
    """[neurons, columns and outputs]: what each neuron passes on from a column to an output.

    `column`, `neuron`: what is read, by its place in `columns`."""
    outputs = np.diff(w2.indptr)[neuron]
    each = np.repeat(np.arange(len(neuron)), outputs)
    at = np.arange(len(each)) + np.repeat(
        w2.indptr[neuron] - np.cumsum(outputs) + outputs, outputs
    )
    values = network.w1[columns[column], neuron][each] * w2.data[at]
    count = w2.shape[1]
    place = column[each] * count + w2.indices[at]
    return csr((values, (neuron[each], place)), (len(network.w2), len(columns) * count))
