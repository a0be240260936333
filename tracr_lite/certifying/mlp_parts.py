"""What MLP bounds are about: the network, the rows of its table, and what its neurons hold."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from tracr_lite.certifying.exact_sums import NO_GRID, SingleSums
from tracr_lite.certifying.rounding import Arithmetic, is_power_of_two
from tracr_lite.certifying.sparse_matrices import Factor, csr

Matrix = Float[np.ndarray, "rows columns"]
Counts = Int[np.ndarray, " each"]


@dataclass(frozen=True)
class Network:
    """Part of an MLP: the columns that it reads, its neurons, the columns of one node.

    The last two columns read are the constant 1 and BOS.
    """

    w1: Matrix
    w2: Matrix
    extra: Float[np.ndarray, " neurons"]  # further error of each neuron's sum
    number: Arithmetic

    @cached_property
    def first(self) -> Factor:
        return Factor.of(self.w1)

    @cached_property
    def first_size(self) -> Factor:
        return Factor.of(np.abs(self.w1))

    @cached_property
    def reads(self) -> Counts:
        """From how many columns each neuron reads."""
        return np.count_nonzero(self.w1, axis=0)

    @cached_property
    def powers(self) -> Bool[np.ndarray, "columns neurons"]:
        """Which weights of `w1` multiply without rounding."""
        return is_power_of_two(self.w1)

    @cached_property
    def single(self) -> SingleSums:
        return SingleSums.of(self.w1, len(self.w1) - 2)

    @cached_property
    def second(self) -> Any:
        return csr(self.w2)

    @cached_property
    def second_size(self) -> Any:
        return abs(self.second)


@dataclass(frozen=True)
class Rows:
    """Inputs of a network, their errors, and the output claimed for each.

    `parts`: the columns of each leaf; `spread`: bound on the sum of their errors at once.
    """

    x: Matrix
    error: Matrix
    claimed: Matrix
    parts: tuple[slice, ...]
    spread: Float[np.ndarray, "rows leaves"]

    @property
    def noisy(self) -> list[tuple[int, slice]]:
        """The leaves that have errors."""
        return [(i, at) for i, at in enumerate(self.parts) if self.error[:, at].any()]


@dataclass(frozen=True)
class Hidden:
    """The neurons that are not silent: values, errors; `passing`: 1 where surely active.

    `grid`: all values of a row are whole multiples of 2^grid, even if their errors are not
    known.
    """

    value: Any
    passing: Any
    off: Any
    exact: Bool[np.ndarray, " rows"]
    grid: Float[np.ndarray, " rows"]


def stored(network: Network, rows: Rows, place: tuple[Counts, Counts], ends: Matrix) -> Hidden:
    """Neurons whose values are stored in a narrow format; `ends`: least and greatest of each.

    All that is known is between which numbers of the format a value lies; mostly it is one.
    """
    low, high = network.number.cast(ends)
    kept = high > 0.0
    where = (place[0][kept], place[1][kept])
    shape = (len(rows.x), network.w1.shape[1])
    value, off = (low + high)[kept] / 2, (high - low)[kept] / 2
    exact = np.ones(len(rows.x), bool)
    exact[where[0][off > 0.0]] = False
    nothing = np.zeros(len(value))
    return Hidden(
        csr((value, where), shape),
        csr((nothing, where), shape),
        csr((off, where), shape),
        exact,
        np.full(len(rows.x), NO_GRID),
    )
