"""Sums of noisy inputs that are not rounded all the same.

A number of the format of size 2^k or more is a whole multiple of 2^(k - p + 1), whatever error
it
carries. If both terms of a sum are multiples of 2^g, the sum is one too, and it is not rounded
as long as it is no larger than 2^(p + g). This is why the two flat neurons of a table hand on
nothing of an error: relu(2 S - 1/2) - relu(2 S - 3/2) is exactly 1 for every S near 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from tracr_lite.certifying.rounding import Arithmetic, is_power_of_two
from tracr_lite.certifying.sparse_matrices import Factor, csr

NO_GRID = -4000.0  # nothing is known: multiples of next to nothing
ANY_GRID = 4000.0  # zero is a multiple of everything

Matrix = Float[np.ndarray, "rows columns"]
Each = Float[np.ndarray, " each"]


def grid_of(values: Float[np.ndarray, ...]) -> Float[np.ndarray, ...]:
    """For each number the largest g such that it is a whole multiple of 2^g."""
    there = np.nonzero(values)
    significand, exponent = np.frexp(values[there])
    whole = np.ldexp(significand, 53).astype(np.int64)
    found = np.full(values.shape, ANY_GRID)
    found[there] = exponent - 53 + np.log2((whole & -whole).astype(float))
    return found


def grid_within(x: Each, error: Each, number: Arithmetic) -> Each:
    """As `grid_of`, for numbers of the format that are known up to an error."""
    least = np.abs(x) - error
    with np.errstate(divide="ignore", invalid="ignore"):
        noisy = np.floor(np.log2(np.maximum(least, 0.0))) - number.bits + 1
    noisy = np.where(least >= number.smallest, noisy, NO_GRID)
    return np.where(error == 0.0, grid_of(x), noisy)


@dataclass(frozen=True)
class SingleSums:
    """The sums of a constant and one more input, per neuron of a network.

    - `one`: the column that is 1; `grid`: of its weights.
    - `used`: 1 where another column is read; `scale`: the grid of its weight; `odd`: 1 where
      that is no power of two.
    """

    one: int
    used: Factor
    scale: Factor
    odd: Factor
    grid: Each

    @classmethod
    def of(cls, w1: Matrix, one: int) -> SingleSums:
        other = w1.copy()
        other[one] = 0.0
        used = other != 0.0
        scale = np.where(used, grid_of(other), 0.0)
        odd = (~is_power_of_two(other)).astype(float)
        used = Factor.of(used.astype(float))
        return cls(one, used, Factor.of(scale), Factor.of(odd), grid_of(w1[one]))

    def grids(
        self,
        x: Matrix,
        error: Matrix,
        number: Arithmetic,
        entries: tuple[Int[np.ndarray, " each"], Int[np.ndarray, " each"]],
    ) -> Each:
        """The grid of such sums, `NO_GRID` for all others.

        **Arguments:** `entries`: rows, and neurons that add up. The other input must be
        multiplied by a power of two.
        """
        here, at = entries
        filled: Bool[np.ndarray, "rows columns"] = (x != 0.0) | (error != 0.0)
        filled[:, self.one] = False
        row, column = filled.nonzero()
        own = grid_within(x[row, column], error[row, column], number)
        # a row has few numbers, so these products are those of a sparse matrix
        there = csr((np.ones(len(row)), (row, column)), x.shape)
        grids = csr((own, (row, column)), x.shape)
        terms: Each = self.used.after(there)[here, at]
        sums: Each = (self.used.after(grids) + self.scale.after(there))[here, at]
        simple: Bool[np.ndarray, " each"] = self.odd.after(there)[here, at] == 0.0
        grid = np.minimum(np.where(terms == 0.0, ANY_GRID, sums), self.grid[at])
        return np.where((terms <= 1.0) & simple, grid, NO_GRID)


def fits(
    size: Float[np.ndarray, ...], grid: Float[np.ndarray, ...], number: Arithmetic
) -> Bool[np.ndarray, ...]:
    """Whether numbers of this size on the grid are numbers of the format."""
    return size <= np.exp2(np.minimum(number.bits + grid, 1000.0))
