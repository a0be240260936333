"""The rounding model: what floating-point arithmetic may do to a sum, a product, a softmax.

Each operation gives the exact result times (1 + d), |d| <= u (Higham 2002, "Accuracy and Stability
of Numerical Algorithms", section 2.2). A sum of k terms, added in any order and with or without
fused multiply-add, is off by at most (k - 1) u times the sum of their sizes, to first order
(section 4.2); `gamma` includes the higher orders. Sums of whole multiples of one power of two are
exact while they stay below 2^p multiples. exp(0) is exactly 1; exp is off by at most `EXP` u.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

EXP = 8.0  # units of u by which exp may be off, relative
GRID = 2.0**12  # exactness is looked for among multiples of 1 / GRID


@dataclass(frozen=True)
class Arithmetic:
    """One floating-point format: `bits` of significand, the hidden one included."""

    name: str
    bits: int
    largest: float

    @property
    def u(self) -> float:
        """Unit roundoff: half the distance from 1 to the next number."""
        return 2.0**-self.bits

    def gamma(self, k: Float[np.ndarray, "..."] | float) -> Float[np.ndarray, "..."]:
        """k u / (1 - k u); infinite where k u reaches 1."""
        part = np.asarray(k, float) * self.u
        return np.where(part < 1.0, part / np.maximum(1.0 - part, 1e-300), np.inf)

    def sums_exactly(
        self, terms: Float[np.ndarray, "..."], size: Float[np.ndarray, "..."]
    ) -> Bool[np.ndarray, "..."]:
        """Whether sums of these terms, of sizes that add up to `size`, round nowhere.

        `terms`: the numbers of which all terms are whole multiples, checked one by one.
        """
        del terms
        return size * GRID < 2.0**self.bits


FORMATS = {
    "float32": Arithmetic("float32", 24, 3.4e38),
    "bfloat16": Arithmetic("bfloat16", 8, 3.3e38),
    "float16": Arithmetic("float16", 11, 65504.0),
}


def on_grid(values: Float[np.ndarray, "..."]) -> Bool[np.ndarray, "..."]:
    """Which numbers are whole multiples of 1 / GRID."""
    scaled = values * GRID
    return scaled == np.rint(scaled)


def is_power_of_two(values: Float[np.ndarray, "..."]) -> Bool[np.ndarray, "..."]:
    """Zero counts too: a product with it is exact."""
    significand, _ = np.frexp(values)
    return (np.abs(significand) == 0.5) | (values == 0.0)
