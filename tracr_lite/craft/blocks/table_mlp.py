"""A table over one or more one-hot inputs."""

from __future__ import annotations

from dataclasses import dataclass

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
    sizes, rows = _Sizes.of(code), code[outputs[first]]
    w_in = np.zeros((n_in, len(first)))
    for column in range(k):
        w_in[cells[:, column], neuron] = 1.0
    if noise == 0.0:  # every sum is exact, so only a rounded code can be off
        bias = np.full(len(first), 1.0 - k)
        return Neurons(w_in, bias, rows, sizes.lost, sizes.lost_in_all)
    return _flat(w_in, rows, sizes, k, exact=alone)


@dataclass(frozen=True)
class _Sizes:
    """How large a code is, by column and in all, and what is lost when it is float32."""

    largest: Float[np.ndarray, " out"]
    in_all: float
    lost: Float[np.ndarray, " out"]
    lost_in_all: float

    @classmethod
    def of(cls, code: Float[np.ndarray, "n_outputs out"]) -> _Sizes:
        size = np.abs(code)
        rounded = code.astype(np.float32)
        largest, in_all = size.max(axis=0, initial=0.0), size.sum(axis=1).max(initial=0.0)
        if np.array_equal(code, rounded):
            return cls(largest, float(in_all), np.zeros_like(largest), 0.0)
        lost = np.abs(code - rounded)
        lost_in_all = float(lost.sum(axis=1).max(initial=0.0))
        return cls(largest, float(in_all), lost.max(axis=0, initial=0.0), lost_in_all)


def _flat(w_in: np.ndarray, rows: np.ndarray, sizes: _Sizes, k: int, *, exact: bool) -> Neurons:
    """The neurons that tolerate noise; `rows`: what each tuple writes; `exact`: so is 2 S."""
    n = len(rows)
    both = np.empty((len(w_in), 2 * n))
    np.multiply(w_in, 2.0, out=both[:, :n])
    both[:, n:] = both[:, :n]
    bias = np.concatenate([np.full(n, 1.5 - 2 * k), np.full(n, 0.5 - 2 * k)])
    unit = 0.0 if exact else 4 * (k + 1) * U
    unit += 2 * U * float(sizes.lost_in_all > 0)  # both products of an inexact code are rounded
    w_out = np.concatenate([rows, rows])
    np.negative(w_out[n:], out=w_out[n:])
    errors, spread = unit * sizes.largest + sizes.lost, unit * sizes.in_all + sizes.lost_in_all
    return Neurons(both, bias, w_out, errors, spread)


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
