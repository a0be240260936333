"""The constant that makes a norm a bit-exact identity.

Of a width d = m * 4^j, m columns hold 2^b and nothing writes to them. The mean square is then
4^(b - j), up to a relative |content|^2 / (m 4^b), which rounds away; gains undo the scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log2

LEAST, MOST = 20, 56  # exponents b


@dataclass(frozen=True)
class Ballast:
    """`columns` hold 2^`exponent`; `shift` is j."""

    columns: int
    exponent: int
    shift: int

    @property
    def value(self) -> float:
        return 2.0**self.exponent

    @property
    def gain(self) -> float:
        """Gain of the norm on content."""
        return 2.0 ** (self.exponent - self.shift)

    @property
    def gain_here(self) -> float:
        """Gain on the ballast itself: what it holds becomes 1."""
        return 2.0**-self.shift


def columns_in(width: int) -> int:
    """m of d = m * 4^j."""
    while width % 4 == 0:
        width //= 4
    return width


def even_columns_in(width: int) -> int:
    """As `columns_in`, for pairs of opposite sign."""
    found = columns_in(width)
    return found * 4 if found % 2 else found


def ballast_of(width: int, columns: int, content: float, bits: int = 24) -> Ballast | None:
    """Ballast that `content`, the greatest sum of squares of the rest, cannot move.

    None if no power of two is great enough.
    """
    shift = round(log2(width / columns) / 2)
    exponent = max(LEAST, ceil((log2(max(content, 1.0) / columns) + bits + 1) / 2))
    return Ballast(columns, exponent, shift) if exponent <= MOST else None
