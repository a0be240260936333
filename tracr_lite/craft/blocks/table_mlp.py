"""A table over one or more one-hot inputs."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from tracr_lite.craft.blocks import U
from tracr_lite.craft.blocks.neurons import Neurons


def table_mlp(
    cells: Int[np.ndarray, "tuples inputs"],
    outputs: Int[np.ndarray, " tuples"],
    code: Float[np.ndarray, "n_outputs out"],
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
    k = cells.shape[1]
    if noise >= 0.25:
        raise ValueError(f"inputs with an error of {noise:.2g} cannot be told apart")
    kept = (code[outputs] != 0).any(axis=1)
    cells, outputs = cells[kept], outputs[kept]
    alone = noise > 0.0 and k == 1  # then 2 S is exact, and so is the difference
    rows_of = np.arange(len(cells))
    neuron, first = (rows_of, rows_of) if alone else _share(cells, outputs, n_in)
    w_in = np.zeros((n_in, len(first)))
    for column in range(k):
        w_in[cells[:, column], neuron] = 1.0
    if noise == 0.0:  # every sum is exact, so only a rounded code can be off
        bias, rounding = np.full(len(first), 1.0 - k), _rounding(code)
        errors, spread = _columns(rounding), _largest(rounding.sum(axis=1))
        return Neurons(w_in, bias, code[outputs[first]], errors, spread)
    return _flat(w_in, code[outputs[first]], code, k, exact=alone)


def _flat(
    w_in: np.ndarray, rows: np.ndarray, code: np.ndarray, k: int, *, exact: bool
) -> Neurons:
    """The neurons that tolerate noise; `rows`: what each tuple writes; `exact`: so is 2 S."""
    n, rounding = len(rows), _rounding(code)
    both = np.concatenate([2.0 * w_in, 2.0 * w_in], axis=1)
    bias = np.concatenate([np.full(n, 1.5 - 2 * k), np.full(n, 0.5 - 2 * k)])
    unit = 0.0 if exact else 4 * (k + 1) * U
    unit += 2 * U * float(rounding.any())  # both products of an inexact code are rounded
    errors = unit * _columns(code) + _columns(rounding)
    spread = unit * _largest(np.abs(code).sum(axis=1)) + _largest(rounding.sum(axis=1))
    return Neurons(both, bias, np.concatenate([rows, -rows]), errors, spread)


def _rounding(code: np.ndarray) -> np.ndarray:
    """What is lost when the code is stored in float32."""
    return np.abs(code - code.astype(np.float32))


def _columns(code: np.ndarray) -> Float[np.ndarray, " out"]:
    return np.abs(code).max(axis=0, initial=0.0)


def _largest(code: np.ndarray) -> float:
    return float(np.abs(code).max(initial=0.0))


def _share(
    cells: np.ndarray, outputs: np.ndarray, n_in: int
) -> tuple[Int[np.ndarray, " tuples"], Int[np.ndarray, " neurons"]]:
    """Each tuple's neuron, and a tuple of each, summing over the input that leaves fewest."""
    best: tuple[np.ndarray, np.ndarray] | None = None
    for shared in range(max(cells.shape[1], 1)):
        code = outputs.astype(np.int64)
        for column in range(cells.shape[1]):
            if column != shared:
                code = code * n_in + cells[:, column]
        _, first, neuron = np.unique(code, return_index=True, return_inverse=True)
        if best is None or len(first) < len(best[1]):
            best = (neuron.ravel(), first)
    assert best is not None
    return best
