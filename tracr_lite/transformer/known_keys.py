"""Which of some known whole numbers are among many: a hash table that numpy reads at once."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

GOLDEN = 0x9E3779B97F4A7C15  # 2**64 over the golden ratio: it spreads keys that are neighbours
FACTORS = tuple(pow(GOLDEN, power, 2**64) for power in range(1, 9))  # all odd
MOST_BITS = 15  # slots, 12 bytes each
SURE = 256  # keys; of more, some share a slot whatever the factor is


class KnownKeys:
    """Places of known keys, uint64, by their hash: the highest bits of a product.

    There are many more slots than keys, so that a few dozen keys each have their own. Of
    thousands, some that share one are not found: whoever asks must have another way.

    **Arguments:** `keys`: at least one, all different.
    Source: multiplicative hashing, Knuth, The Art of Computer Programming, section 6.4.
    """

    def __init__(self, keys: Iterable[int]):
        known = np.fromiter(keys, np.uint64)
        bits = min(MOST_BITS, 2 * len(known).bit_length() + 2)
        self._shift = np.uint64(64 - bits)
        for factor in FACTORS if len(known) <= SURE else FACTORS[:1]:
            self._factor = np.uint64(factor)
            if len(set(self._slots(known).tolist())) == len(known):
                break
        slots = self._slots(known)
        # an empty slot holds a key of another one, which no key that comes here equals
        self._keys = np.full(1 << bits, known[0])
        self._keys[slots] = known
        self._places = np.zeros(1 << bits, np.int32)
        self._places[slots] = np.arange(len(known))

    def find(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The place of each key, int32, and whether it is right, bool."""
        slots = self._slots(keys)
        return self._places.take(slots), self._keys.take(slots) == keys

    def _slots(self, keys: np.ndarray) -> np.ndarray:
        products = keys * self._factor
        products >>= self._shift
        return products.view(np.int64)
