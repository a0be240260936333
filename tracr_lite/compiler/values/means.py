"""Every mean that a selection of 1..n numbers can have."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from tracr_lite.craft.arrays import distinct_values
from tracr_lite.craft.memo import Memo

BITSET_BUDGET = 2_000_000  # bits of the largest sumset
SUMS_BUDGET = 400_000  # distinct sums over all counts
SHORT = 4096  # bits that are looked at one by one
EXACT = 2**53  # up to here, whole numbers are floats
WIDE = 2**62  # up to here, sums are made of 64 bits
KEPT_MEANS = 4096  # larger sets are not kept for the next program

Sums = list[int] | Int[np.ndarray, " sums"]  # ascending


@dataclass(frozen=True)
class Means:
    """`values`: distinct means, ascending.

    `of_count[i]`: which of them `counts[i]` numbers can have.
    """

    values: Float[np.ndarray, " means"]
    counts: range
    of_count: Bool[np.ndarray, "counts means"]

    def of_counts(self, least: int, most: int) -> Bool[np.ndarray, " means"]:
        """Which means some number of numbers from `least` to `most` can have."""
        first = self.counts[0]
        these = self.of_count[max(least, first) - first : most + 1 - first]
        return np.logical_or.reduce(these, axis=0)


LATEST: Memo[Means] = Memo(64)  # fractions of few numbers are common


def means_of(numbers: list[float], counts: range) -> Means | None:
    """Means of every multiset of `numbers` whose size is in `counts`; None if past the budget.

    Sums are exact (binary fractions scaled to integers), then rounded once and divided once,
    which is what the evaluator does, save that equal numbers have themselves as mean.
    """
    key = (np.array(numbers).tobytes(), counts.start, counts.stop)  # as bytes, 0.0 is not -0.0
    found = LATEST.get(key)
    if found is None:
        found = _means_of(numbers, counts)
        if found is not None and len(found.values) <= KEPT_MEANS:
            LATEST.keep(key, found)
    return found


def _means_of(numbers: list[float], counts: range) -> Means | None:
    ratios = [x.as_integer_ratio() for x in numbers]
    scale = max(below for _, below in ratios)  # all are powers of two
    scaled = sorted({above * (scale // below) for above, below in ratios})
    low = scaled[0]
    step = math.gcd(*(x - low for x in scaled)) or 1
    offsets = [(x - low) // step for x in scaled]
    sums = _sums_of(offsets, counts)
    if sums is None:
        return None
    largest = counts[-1] * max(abs(low), abs(scaled[-1]), step * offsets[-1])
    if largest < (EXACT if scale == 1 else WIDE) and scale < 2**1000:
        found = _divided(sums, (low, step, scale), counts)
    else:
        each = zip(sums, counts, strict=True)
        found = [_divided_exactly(some, c, (low, step, scale)) for some, c in each]
    if scale != 1:  # a mean of equal numbers is that number, which a rounded sum can miss
        found = [part for each in found for part in (each, np.array(numbers))]
    means = np.concatenate(found)
    sizes = [len(each) + (len(numbers) if scale != 1 else 0) for each in sums]
    values = distinct_values(means)
    of_count = np.zeros((len(counts), len(values)), bool)
    of_count[np.repeat(np.arange(len(counts)), sizes), values.searchsorted(means)] = True
    return Means(values, counts, of_count)


def _divided(
    sums: list[Sums], how: tuple[int, int, int], counts: range
) -> list[Float[np.ndarray, " sums"]]:
    """The means of all counts, by a few operations on all of them.

    Whole numbers below 2^62 become floats with one rounding, and dividing these by a power of
    two is exact: so they are rounded as Python does when it divides them.
    """
    low, step, scale = how
    sizes = [len(each) for each in sums]
    if all(isinstance(each, list) for each in sums):
        flat = np.array([s for each in sums for s in each], np.int64)
    else:
        flat = np.concatenate([np.asarray(each, np.int64) for each in sums])
    of = np.repeat(np.array(counts), sizes)
    total = low * of + step * flat
    means = total / of if scale == 1 else total / float(scale) / of
    ends = np.cumsum(sizes).tolist()
    return [means[end - size : end] for size, end in zip(sizes, ends, strict=True)]


def _divided_exactly(
    sums: Sums, count: int, how: tuple[int, int, int]
) -> Float[np.ndarray, " sums"]:
    """Python divides integers with one rounding, however large they are."""
    low, step, scale = how
    total = [low * count + step * s for s in map(int, sums)]
    if scale == 1:
        return np.array([s / count for s in total])
    return np.array([s / scale / count for s in total])


def _sums_of(offsets: list[int], counts: range) -> list[Sums] | None:
    """The distinct sums of each count of numbers of `offsets`, whose least is 0."""
    bits = (offsets[-1] + 1) * counts[-1]
    if bits > BITSET_BUDGET or _few(len(offsets), counts[-1], bits):
        return _set_sums(offsets, counts)
    return _bitset_sums(offsets, counts)


def _few(size: int, count: int, bits: int) -> bool:
    """Whether sums are so few that listing them is quicker than looking at so many bits."""
    most = math.comb(size + count - 1, count) * size
    return bits > SHORT and 8 * most < bits and most * count <= SUMS_BUDGET


def _bitset_sums(offsets: list[int], counts: range) -> list[Sums] | None:
    """Sums as bits of one integer: adding a number is a shift, a union is an or."""
    sums: list[Sums] = []
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
            sums.append(_places(bits))
    return sums


def _places(bits: int) -> Sums:
    """Where an integer has a one."""
    size = bits.bit_length()
    if size <= SHORT:
        return [at for at, bit in enumerate(f"{bits:b}"[::-1]) if bit == "1"]
    raw = np.frombuffer(bits.to_bytes((size + 7) // 8, "little"), np.uint8)
    return np.unpackbits(raw, bitorder="little").nonzero()[0]


def _set_sums(offsets: list[int], counts: range) -> list[Sums] | None:
    kind = np.int64 if offsets[-1] * counts[-1] < WIDE else object
    step = np.array(offsets, kind)
    sums: list[Sums] = []
    reached, total = np.zeros(1, kind), 0
    for count in range(1, counts[-1] + 1):
        if len(reached) * len(offsets) > SUMS_BUDGET:
            return None
        if count < counts[-1] and _surely_many(reached, step):
            return None
        reached = distinct_values(reached[:, None] + step)
        if count in counts:
            total += len(reached)
            if total > SUMS_BUDGET:
                return None
            sums.append(reached)
    return sums


def _surely_many(reached: np.ndarray, step: np.ndarray) -> bool:
    """Whether some of the next sums alone are more than those after them may come from."""
    limit = SUMS_BUDGET // len(step)
    columns = 2 * (limit // len(reached) + 1)
    if 2 * columns > len(step):
        return False
    some = step[:: len(step) // columns]
    return len(distinct_values(reached[:, None] + some)) > limit
