"""Vocabularies of sampled programs: letters, words, numbers, bools, tuples, mixed."""

from __future__ import annotations

import random

from tracr_lite.rasp.values import Value

LETTERS = ("a", "b", "c", "d", "e")
WORDS = ("", "ab", "ba", "A", "a b", "7", "None")
SMALL = (0, 1, 2, 3, 4)
SIGNED = (-3, -2, -1, 0, 1, 2, 5)
LARGE = (-1000, 0, 7, 100, 4096, 100000)
DECIMALS = (-1.5, -0.25, 0.5, 2.0, 3.75, 0.0, 10.0)
TENTHS = (0.1, 0.2, 0.3, -0.1, 1.1)  # no sum of them is exact
CLOSE = (0.99, 1.0, 1.001, 1.01, 0.999)
BOOLS = (False, True)
TUPLES = ((), (0,), (0, 1), ("a", 2), (True, None))
MIXED: tuple[Value, ...] = (0, 1, 2.5, "1", "a", (1, 2), -1, "True", 9, 10, "5", 0.5)

_KINDS: tuple[tuple[int, tuple[Value, ...]], ...] = (
    (6, LETTERS),
    (2, WORDS),
    (6, SMALL),
    (4, SIGNED),
    (1, LARGE),
    (4, DECIMALS),
    (1, TENTHS),
    (1, CLOSE),
    (2, BOOLS),
    (1, TUPLES),
    (3, MIXED),
    (1, (*BOOLS, "True", None, 2, "a")),
)


LARGEST = max(len(values) for _, values in _KINDS)


def sample_vocab(rng: random.Random, size: int | None = None) -> tuple[Value, ...]:
    """Different values in random order: `size` of them, or one to five if that is None.

    **Raises:** `ValueError` if no vocabulary here has so many values.
    """
    if size is not None and not 1 <= size <= LARGEST:
        raise ValueError(f"a sampled vocabulary has 1 to {LARGEST} values; got {size}")
    kinds = [(weight, values) for weight, values in _KINDS if len(values) >= (size or 1)]
    values = rng.choices([values for _, values in kinds], [weight for weight, _ in kinds])[0]
    if size is None:
        size = min(len(values), rng.choices((1, 2, 3, 4, 5), (1, 5, 6, 4, 2))[0])
    return tuple(rng.sample(values, size))
