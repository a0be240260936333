"""When an answer of a model is the one that the program gives.

None only with None; numbers that come from a list of known ones equal them, floats up to their
last bits; other numbers are within 1e-5, relative; everything else is equal. So 1, 1.0 and True
agree, as `==` says.
"""

from __future__ import annotations

import math
from typing import Any, cast

import numpy as np

from tracr_lite.transformer.encoder import CategoricalEncoder, Encoder, NumericalEncoder

KNOWN = 2e-9  # relative; floats of a list that differ by less share a direction
FREE = 1e-5  # relative; numbers that are read as they are


class Judge:
    """Compares answers that were decoded by `encoder`."""

    def __init__(self, encoder: Encoder | None):
        self._listed = isinstance(encoder, CategoricalEncoder)
        numbers = encoder.values if isinstance(encoder, NumericalEncoder) else ()
        self._numbers = frozenset(numbers)

    def differing(self, expected: list[Any], found: list[Any]) -> tuple[int, ...]:
        """The positions at which two answers of one length do not agree."""
        try:
            if expected == found:
                return ()
        except ValueError:  # an array among the values has no truth value of its own
            pass
        pairs = enumerate(zip(expected, found, strict=True))
        return tuple(at for at, (x, y) in pairs if not self.agree(x, y))

    def agree(self, expected: Any, found: Any) -> bool:
        """Whether a model may say `found` where the program says `expected`."""
        expected = plain(expected)
        if expected is None or found is None:
            return expected is found
        if not (isinstance(expected, int | float) and isinstance(found, int | float)):
            return type(expected) in (str, tuple) and bool(expected == found)
        if expected == found:
            return True
        if not (self._listed or found in self._numbers):
            return _close(expected, found, FREE)
        return not _count(expected, found) and _close(expected, found, KNOWN)


def plain(value: Any) -> Any:
    """A scalar of numpy as the Python value that it holds."""
    return cast(Any, value).item() if isinstance(value, np.generic) else value


def _count(one: int | float, two: int | float) -> bool:
    """Whether these are whole numbers, at least one of them an int: nothing is rounded then."""
    if isinstance(one, float) and isinstance(two, float):
        return False
    return all(isinstance(number, int) or number.is_integer() for number in (one, two))


def _close(expected: int | float, found: int | float, tolerance: float) -> bool:
    try:
        return math.isclose(expected, found, rel_tol=tolerance)
    except OverflowError:  # an int that no float can hold, and not the same int
        return False
