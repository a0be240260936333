"""The rounding model: what floating-point arithmetic may do to a sum, a product, a softmax.

Each operation gives the exact result times (1 + d), |d| <= u (Higham 2002, "Accuracy and
Stability
of Numerical Algorithms", section 2.2). A sum of k terms, added in any order and with or without
fused multiply-add, is off by at most gamma(k - 1) times the sum of their sizes (section 4.2).
Sums of whole multiples of one power of two are exact while their sizes stay below 2^p
multiples.
exp(0) is exactly 1; exp is off by at most `EXP` u, a division by at most `DIVISION` u, which
allows for a product with a rounded inverse. Equal numbers give equal results in both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

EXP, DIVISION = 8.0, 3.0  # relative errors, in units of u
LOST = 1e30  # stands for infinity, but gives zero where it is multiplied with zero
WIDE = 24  # bits of the significand of float32
STORES = 8  # arrays between one node and the next: queries, keys, scores, weights and so on
SLOP = 2.0**-50  # relative error of our own sums, in float64


@dataclass(frozen=True)
class Arithmetic:
    """One floating-point format.

    **Arguments:** `bits`: of the significand, the hidden one included; `largest`: finite
    number;
    `smallest`: number that still has full precision.
    """

    name: str
    bits: int
    largest: float
    smallest: float

    @property
    def u(self) -> float:
        """Unit roundoff: half the distance from 1 to the next number."""
        return 2.0**-self.bits

    @property
    def narrow(self) -> bool:
        """Whether only what is stored has this format, and sums are added up in float32."""
        return self.bits < WIDE

    @property
    def sums(self) -> Arithmetic:
        """The format in which sums are added up."""
        return FORMATS["float32"] if self.narrow else self

    def gamma(self, k: Float[np.ndarray, ...] | float) -> Float[np.ndarray, ...]:
        """k u / (1 - k u); `LOST` where k u is so near to 1 that nothing is known.

        Of k operations of a narrow format at most `STORES` are stored in it.
        """
        few = np.minimum(k, STORES) if self.narrow else np.asarray(k, float)
        part = few * self.u + (np.asarray(k, float) * 2.0**-WIDE if self.narrow else 0.0)
        return np.where(part < 0.5, part / np.maximum(1.0 - part, 0.5), LOST)

    def stored(
        self, value: Float[np.ndarray, ...], error: Float[np.ndarray, ...]
    ) -> tuple[Float[np.ndarray, ...], Float[np.ndarray, ...]]:
        """What becomes of numbers that are off by `error` at most when they are stored.

        Rounding keeps order, so the ends of an interval become the ends of another; often it
        shrinks to one number.
        """
        low, high = self.cast(value - error), self.cast(value + error)
        return (low + high) / 2, (high - low) / 2

    def sums_exactly(
        self, size: Float[np.ndarray, ...] | float, exponent: int
    ) -> Bool[np.ndarray, ...]:
        """Whether sums of multiples of 2^exponent round nowhere, if sizes add up to `size`."""
        return np.asarray(size) < 2.0 ** min(self.bits + exponent, 1000)

    def cast(self, values: Float[np.ndarray, ...]) -> Float[np.ndarray, ...]:
        """The nearest numbers of the format, as float64; ties to even. Too large: infinite."""
        significand, exponent = np.frexp(values)
        near = np.ldexp(np.rint(np.ldexp(significand, self.bits)), exponent - self.bits)
        near = np.where(np.abs(near) > self.largest, np.copysign(np.inf, near), near)
        return np.where(np.abs(near) < self.smallest, self._small(values), near)

    def _small(self, values: Float[np.ndarray, ...]) -> Float[np.ndarray, ...]:
        """Numbers below full precision: multiples of the least one."""
        least = self.smallest * 2.0 ** (1 - self.bits)
        return np.rint(values / least) * least


FORMATS = {
    "float32": Arithmetic("float32", 24, (2 - 2.0**-23) * 2.0**127, 2.0**-126),
    "bfloat16": Arithmetic("bfloat16", 8, (2 - 2.0**-7) * 2.0**127, 2.0**-126),
    "float16": Arithmetic("float16", 11, 65504.0, 2.0**-14),
}


def lattice(*arrays: Float[np.ndarray, ...]) -> int:
    """The largest g such that all numbers are whole multiples of 2^g; 500 if all are zero."""
    least = 500
    for values in arrays:
        found = values[values != 0.0]
        if found.size:
            significand, exponent = np.frexp(np.unique(found))
            whole = np.ldexp(significand, 53).astype(np.int64)
            lowest = np.log2((whole & -whole).astype(float)).astype(np.int64)
            least = min(least, int((exponent - 53 + lowest).min()))
    return least


def is_power_of_two(values: Float[np.ndarray, ...]) -> Bool[np.ndarray, ...]:
    """Zero counts too: a product with it is exact."""
    significand, _ = np.frexp(values)
    return (np.abs(significand) == 0.5) | (values == 0.0)
