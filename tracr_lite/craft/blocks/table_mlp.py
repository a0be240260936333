"""A table over one or more one-hot inputs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from tracr_lite.craft.arrays import distinct
from tracr_lite.craft.blocks import CARE, U
from tracr_lite.craft.blocks.neurons import Neurons
from tracr_lite.craft.blocks.sizes import Sizes
from tracr_lite.craft.entries import Entries, Identity


def table_mlp(
    cells: Int[np.ndarray, "tuples inputs"],
    outputs: Int[np.ndarray, " tuples"],
    code: Float[np.ndarray, "n_outputs out"] | Entries,
    n_in: int,
    *,
    noise: float = 0.0,
) -> Neurons:
    """Writes `code[outputs[t]]` where the columns `cells[t]` are all hot.

    With S the sum of the k columns of a tuple, one neuron detects it:

        relu(S - (k - 1))                                     exact inputs
        relu(4 (S - k) + 3) - relu(4 (S - k) + 2)             sums with an error of `noise`

    Both are 1 when S = k and 0 when S <= k - 1. The second is flat around both values, so it
    tolerates noise < 1/4 and hands on none of it. The table sits behind the ReLU, so negative
    outputs survive. Tuples that agree in all but one input and in the output share a neuron:
    the columns of that input are one-hot, so their sum is a column too.

    **Arguments:** `cells`: distinct rows of columns below `n_in`; `outputs`: row of `code`.
    **Raises:** `ValueError` if `noise` is past the tolerance.
    Source: categorical MLP of Lindner et al. 2023, arXiv:2301.05062, section 3.2; merged anew.
    """
    if not isinstance(code, Entries):
        code = Entries.of(code)
    k = cells.shape[1]
    if noise >= 0.25:
        raise ValueError(f"inputs with an error of {noise:.2g} cannot be told apart")
    if not isinstance(code, Identity):
        kept = code.filled_rows()[outputs]
        cells, outputs = cells[kept], outputs[kept]
    alone = noise > 0.0 and k == 1  # then 2 S is exact, and so is the difference
    shared = None if alone else _share(cells, outputs, n_in)
    reads, first = _detectors(cells, shared, n_in)
    sizes, writes = Sizes.of(code), code.rows_at(outputs[first])
    if noise == 0.0:  # every sum is exact, so only a rounded code can be off
        bias = np.full(len(first), 1.0 - k)
        return Neurons(reads, bias, writes, sizes.lost, sizes.lost_in_all)
    return _flat(reads, writes, sizes, k, noise if not alone else 0.0, CARE * noise < 0.25)


def _detectors(
    cells: np.ndarray, shared: _Shared | None, n_in: int
) -> tuple[Entries, Int[np.ndarray, " neurons"]]:
    """What each neuron reads, and the first of its tuples."""
    first = np.arange(len(cells)) if shared is None else shared.first
    rows: list[np.ndarray] = []
    cols: list[np.ndarray] = []
    for column in range(cells.shape[1]):
        if shared is not None and column == shared.column:
            rows.append(cells[:, column])
            cols.append(shared.neuron)
        else:
            rows.append(cells[first, column])
            cols.append(np.arange(len(first)))
    at = np.concatenate(rows) if rows else np.zeros(0, np.int64)
    of = np.concatenate(cols) if cols else np.zeros(0, np.int64)
    return Entries((n_in, len(first)), at, of, np.ones(len(at))), first


def _flat(
    reads: Entries, rows: Entries, sizes: Sizes, k: int, noise: float, sure: bool
) -> Neurons:
    """The neurons that tolerate noise; `rows`: what each tuple writes.

    `noise`: of sums that are rounded; 0 for a sum of one input, which is not.
    """
    n = reads.shape[1]
    twice = reads.times(2.0)
    bias = np.concatenate([np.full(n, 1.5 - 2 * k), np.full(n, 0.5 - 2 * k)])
    unit = 0.0 if noise == 0.0 else 4 * (k + 1) * U
    # inputs that should be zero are terms of the sum too, but move it by twice their size only
    unit += min(8.1 * noise, 8 * k * reads.shape[0] * U)
    unit += 2 * U * float(sizes.lost_in_all > 0)  # both products of an inexact code are rounded
    errors, spread = unit * sizes.largest + sizes.lost, unit * sizes.in_all + sizes.lost_in_all
    writes = Entries.stacked([rows, rows.times(-1.0)])
    return Neurons(Entries.beside([twice, twice]), bias, writes, errors, spread, sure)


@dataclass(frozen=True)
class _Shared:
    """Tuples that share a neuron differ in `column`: each tuple's neuron, a tuple of each."""

    column: int
    neuron: Int[np.ndarray, " tuples"]
    first: Int[np.ndarray, " neurons"]


def _share(cells: np.ndarray, outputs: np.ndarray, n_in: int) -> _Shared:
    """Sums over the input that leaves fewest neurons."""
    best: _Shared | None = None
    for shared in range(max(cells.shape[1], 1)):
        code = outputs.astype(np.int64)
        for column in range(cells.shape[1]):
            if column != shared:
                code = code * n_in + cells[:, column]
        _, first, neuron = distinct(code)
        if best is None or len(first) < len(best.first):
            best = _Shared(shared, neuron, first)
    assert best is not None
    return best
