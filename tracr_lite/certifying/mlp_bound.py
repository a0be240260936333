"""How far off an MLP can be: its ideal output on each row of a table, and all that may move it.

For a row with ideal inputs x and errors e, neuron j computes z_j = x W1_j, off by at most
dz_j = (rounding) + e |W1_j|. If z_j >= dz_j it is surely active and passes the error of its
inputs on linearly; if z_j <= -dz_j it is surely silent; else its output is off by dz_j at most.
The errors of the inputs that active neurons pass on are added up before sizes are taken: the
two
hinges of a step cancel each other's. So, with A the active and U the uncertain neurons,

    error_o <= sum_r e_r |sum_A W1_rj W2_jo| + sum_A rounding_j |W2_jo| + sum_U dz_j |W2_jo|
               + rounding of the second sum + |ideal output - what is claimed|
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from tracr_lite.certifying.exact_sums import ANY_GRID, NO_GRID, fits, grid_of
from tracr_lite.certifying.mlp_parts import Counts, Hidden, Matrix, Network, Rows, stored
from tracr_lite.certifying.passing import passed_on
from tracr_lite.certifying.rounding import SLOP, is_power_of_two, lattice
from tracr_lite.certifying.sparse_matrices import csr

# A small number d that is added moves a sum by 2 |d| at most, whatever is rounded; with room
# for the rounding of products.
SMALL = 2.02
CHUNK = 4_000_000  # rows times neurons looked at together

Bits = Bool[np.ndarray, " each"]


def errors_of(network: Network, rows: Rows) -> tuple[Matrix, Matrix]:
    """What each output is in each row, and how far it may be from that.

    In float32 the first is what is claimed; a narrow format rounds it to something else.
    """
    size = max(CHUNK // max(network.w1.shape[1], 1), 1)
    parts = [_chunk(network, part) for part in _slices(rows, size)]
    if not parts:
        return rows.claimed, np.zeros_like(rows.claimed)
    return np.concatenate([a for a, _ in parts]), np.concatenate([b for _, b in parts])


def _slices(rows: Rows, size: int) -> Iterator[Rows]:
    for start in range(0, len(rows.x), size):
        at = slice(start, start + size)
        yield Rows(rows.x[at], rows.error[at], rows.claimed[at], rows.parts, rows.spread[at])


def _chunk(network: Network, rows: Rows) -> tuple[Matrix, Matrix]:
    hidden = _hidden(network, rows)
    w2, size_w2 = network.second, network.second_size
    ideal = _dense(hidden.value @ w2)
    size = _dense((hidden.value + hidden.off) @ size_w2)
    moved = _dense(hidden.off @ size_w2)
    for leaf, part in rows.noisy:
        noisy = part.start + np.flatnonzero(rows.error[:, part].any(axis=0))
        added, most = passed_on(network, rows, hidden, w2, noisy)
        moved += np.minimum(added, rows.spread[:, [leaf]] * most)
    total = moved + _second_sum(network, hidden, w2, size, np.abs(ideal) + moved)
    if network.number.narrow:
        return network.number.stored(ideal, total)
    return rows.claimed, total + np.abs(ideal - rows.claimed)


def _hidden(network: Network, rows: Rows) -> Hidden:
    """The first half of the network: a cheap bound finds the neurons that may be active."""
    number, nonzero = network.number.sums, network.reads
    x, error = csr(rows.x), csr(rows.error)
    small: Any = error.multiply(rows.x == 0.0).tocsr()
    z, size = network.first.after(x), network.first_size.after(abs(x))
    from_inputs = _from_inputs(network, rows, error)
    exact = _exact_rows(network, rows, size)
    simple: Bits = np.asarray(~rows.error.any(axis=0) & is_power_of_two(rows.x).all(axis=0))
    products: Bits = np.asarray(~network.powers[~simple].all(axis=0))
    few = np.diff(x.indptr)
    most = number.gamma(few + 1.0)[:, None] + SLOP
    here, at = np.nonzero(
        z + most * size + (1 + most + SMALL) * from_inputs + network.extra > 0
    )
    z, from_inputs = z[here, at], from_inputs[here, at]
    largest = size[here, at] + from_inputs
    terms = np.minimum(few[here], nonzero[at])
    many = np.minimum(few[here] + np.diff(small.indptr)[here], nonzero[at])
    moved = network.first_size.after(small)[here, at] if small.nnz else 0.0
    moved = SMALL * np.minimum(moved, from_inputs)
    rounding = np.minimum(
        number.gamma(np.maximum(terms - 1.0, 0.0) + products[at]) * largest + moved,
        number.gamma(np.maximum(many - 1.0, 0.0) + products[at]) * largest,
    )
    grid = _grid(network, rows, (here, at), np.abs(z) + from_inputs)
    rounding = np.where(
        exact[here] | (grid > NO_GRID), 0.0, rounding + SLOP * largest + network.extra[at]
    )
    off = rounding + from_inputs
    surely, kept = z >= off, z + off > 0.0
    wrong = np.where(surely, rounding, off)[kept]
    if network.number.narrow:
        return stored(network, rows, (here, at), np.maximum(np.stack([z - off, z + off]), 0.0))
    place = (here[kept], at[kept])
    least = np.full(len(rows.x), ANY_GRID)
    np.minimum.at(least, here[kept], np.where(surely, grid, NO_GRID)[kept])
    each = (np.maximum(z, 0.0)[kept], surely.astype(float)[kept], wrong)
    found = [csr((data, place), size.shape) for data in each]
    return Hidden(found[0], found[1], found[2], exact, least)


def _from_inputs(network: Network, rows: Rows, error: Any) -> Matrix:
    """How far errors of the inputs move the sum of each neuron."""
    found = np.zeros((len(rows.x), network.w1.shape[1]))
    for leaf, part in rows.noisy:
        most = np.abs(network.w1[part]).max(axis=0, initial=0.0)
        moved = network.first_size[part].after(error[:, part])
        found += np.minimum(moved, rows.spread[:, [leaf]] * most)
    return found


def _grid(
    network: Network, rows: Rows, place: tuple[Counts, Counts], size: Float[np.ndarray, " each"]
) -> Float[np.ndarray, " each"]:
    """The grid of sums that are not rounded, though an input is not known exactly."""
    number = network.number.sums
    grid = network.single.grids(rows.x, rows.error, number, place)
    fine = fits(size, grid, number) & (network.extra[place[1]] == 0.0)
    return np.where(fine, grid, NO_GRID)


def _exact_rows(network: Network, rows: Rows, size: Matrix) -> Bits:
    """Rows in which no sum is rounded: inputs are exact, and all terms on one grid."""
    exact: Bits = np.asarray(~rows.error.any(axis=1) & ~network.extra.any())
    if exact.any():
        grid = lattice(rows.x[exact]) + lattice(network.w1)
        exact &= network.number.sums.sums_exactly(size.max(axis=1, initial=0.0), grid)
    return exact


def _second_sum(
    network: Network, hidden: Hidden, w2: Any, size: Matrix, largest: Matrix
) -> Matrix:
    """Rounding of the sum over neurons; `size`: of all terms, `largest`: of their sum."""
    number, values = network.number.sums, hidden.value
    there = (values + hidden.off) != 0.0
    terms = _dense(there.astype(float) @ (w2 != 0.0).astype(float))
    exact = hidden.exact
    simple = exact & _all_simple(values)
    products: Bits = np.asarray(~is_power_of_two(network.w2).all(axis=0))
    count = np.maximum(terms - 1.0, 0.0) + (products[None, :] & ~simple[:, None])
    rounding = (number.gamma(count) + SLOP * (count > 0)) * size
    if exact.any():
        grid = lattice(values[exact].data) + lattice(network.w2)
        good = exact & number.sums_exactly(size.max(axis=1, initial=0.0), grid)
        rounding[good] = 0.0
    # multiples of a power of two: a sum of two is exact if it is small itself
    grid = hidden.grid[:, None] + grid_of(network.w2).min(axis=0, initial=ANY_GRID)[None, :]
    alone = (terms <= 2) & ~products[None, :] & fits(largest, grid, number)
    rounding[alone] = 0.0
    return rounding


def _all_simple(values: Any) -> Bool[np.ndarray, " rows"]:
    """Rows in which all values are powers of two."""
    odd = csr(
        ((~is_power_of_two(values.data)).astype(float), values.indices, values.indptr),
        values.shape,
    )
    return np.asarray(odd.sum(axis=1)).ravel() == 0.0


def _dense(matrix: Any) -> Matrix:
    return np.asarray(matrix.todense())
