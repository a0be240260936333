"""Every mean that a selection of 1..n numbers can have."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from jaxtyping import Float, Int

from tracr_lite.craft.arrays import distinct_values

BITSET_BUDGET = 2_000_000  # bits of the largest sumset
SUMS_BUDGET = 400_000  # distinct sums over all counts


@dataclass(frozen=True)
class Means:
    """`values`: distinct means, ascending. `by_count[c]`: which of them c numbers can have."""

    values: Float[np.ndarray, " means"]
    by_count: dict[int, Int[np.ndarray, " some"]]


def means_of(numbers: list[float], counts: range) -> Means | None:
    """Means of every multiset of `numbers` whose size is in `counts`; None if past the budget.

    Sums are exact (binary fractions scaled to integers), then rounded once and divided once,
    which is what the evaluator does, save that equal numbers have themselves as mean.
    """
    exact = [Fraction(x) for x in numbers]
    scale = math.lcm(*(x.denominator for x in exact))
    scaled = sorted({int(x * scale) for x in exact})
    low = scaled[0]
    step = math.gcd(*(x - low for x in scaled)) or 1
    offsets = [(x - low) // step for x in scaled]
    if (offsets[-1] + 1) * counts[-1] <= BITSET_BUDGET:
        sums = _bitset_sums(offsets, counts)
    else:
        sums = _set_sums(offsets, counts)
    if sums is None:
        return None
    largest = counts[-1] * max(abs(low), abs(scaled[-1]), step * offsets[-1])
    exact_floats = max(largest, scale) < 2**53
    rounded = {
        c: _divide(_scaled(found, low * c, step, exact_floats), scale, c)
        for c, found in sums.items()
    }
    if scale != 1:  # a mean of equal numbers is that number, which a rounded sum can miss
        rounded = {c: np.append(found, numbers) for c, found in rounded.items()}
    values = distinct_values(np.concatenate(list(rounded.values())))
    return Means(
        values, {c: values.searchsorted(distinct_values(m)) for c, m in rounded.items()}
    )


def _scaled(
    sums: list[int] | np.ndarray, start: int, step: int, exact_floats: bool
) -> list[int] | np.ndarray:
    """`start + step * s`: an array if all of these are floats too."""
    if exact_floats:
        return start + step * np.asarray(sums, np.int64)
    return [start + step * s for s in map(int, sums)]


def _divide(sums: list[int] | np.ndarray, scale: int, count: int) -> Float[np.ndarray, " sums"]:
    if isinstance(sums, np.ndarray):
        return sums / count if scale == 1 else sums / scale / count
    # Python divides integers with one rounding, however large they are
    if scale == 1:
        return np.array([s / count for s in sums])
    return np.array([s / scale / count for s in sums])


def _bitset_sums(offsets: list[int], counts: range) -> dict[int, list[int] | np.ndarray] | None:
    """Sums as bits of one integer: adding a number is a shift, a union is an or."""
    sums: dict[int, list[int] | np.ndarray] = {}
    bits, total = 1, 0
    for count in range(1, counts[-1] + 1):
        grown = 0
        for offset in offsets:
            grown |= bits << offset
        bits = grown
        if count in counts:
            total += bits.bit_count()
            if total > SUMS_BUDGET:
                return None
            raw = np.frombuffer(bits.to_bytes((bits.bit_length() + 7) // 8, "little"), np.uint8)
            sums[count] = np.unpackbits(raw, bitorder="little").nonzero()[0]
    return sums


def _set_sums(offsets: list[int], counts: range) -> dict[int, list[int] | np.ndarray] | None:
    kind = np.int64 if offsets[-1] * counts[-1] < 2**62 else object
    step = np.array(offsets, kind)
    sums: dict[int, list[int] | np.ndarray] = {}
    reached, total = np.zeros(1, kind), 0
    for count in range(1, counts[-1] + 1):
        if len(reached) * len(offsets) > SUMS_BUDGET:
            return None
        reached = distinct_values(reached[:, None] + step)
        if count in counts:
            total += len(reached)
            if total > SUMS_BUDGET:
                return None
            sums[count] = reached.tolist()
    return sums
