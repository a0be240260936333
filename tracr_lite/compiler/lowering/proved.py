"""Bounds on the errors of forms that are never below those of a certificate: the lemma of
docs/certificates.md, block by block.

They are cheap, and coarser than a certificate: where they leave room, its margins are positive.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isfinite

import numpy as np

U = 2.0**-24  # unit roundoff of float32
SEEN = 3.3  # an error that a head reads counts this many times: 1 + `values_read.LEAKED`
LEAK = 2.3  # what leaks counts this many times: `values_read.LEAKED`
MORE = 1.02  # gamma(k) and its products, for k up to 2^17, in units of k U
SETTLED = float(np.log(4.0 / U))  # from such gaps on, sums of exponentials 1 forget the leak


@dataclass(frozen=True)
class Errors:
    """Of one-hot columns.

    **Arguments:** `each`: of a column; `total`: of all at once; `summed`: the sum over columns
    of what each can be off by; `bos`: of all at the BOS position.
    """

    each: float
    total: float
    summed: float
    bos: float

    @property
    def key(self) -> tuple[float, ...]:
        """All of them."""
        return self.each, self.total, self.summed, self.bos

    @property
    def exact(self) -> bool:
        return self.total == 0.0 and self.bos == 0.0

    @property
    def known(self) -> bool:
        return isfinite(self.summed) and isfinite(self.bos)

    @property
    def bearable(self) -> bool:
        """Whether columns can be told apart at 1/2."""
        return self.each < 0.49 and self.bos < 0.49


def seen(error: float, columns: int, size: float) -> float:
    """How far what a head reads is off. `error`: of the columns; `size`: of what is read.

    Either errors of columns that should be zero count `SEEN` times, whatever is rounded, or all
    `columns` that it reads are terms of one sum (`values_read._moved`).
    """
    many = MORE * U * columns
    return min(SEEN * error, error + many * (size + error))


SUMS = "total", "summed", "bos"
EXACT = Errors(0.0, 0.0, 0.0, 0.0)
UNKNOWN = Errors(np.inf, np.inf, np.inf, np.inf)


def together(errors: list[Errors]) -> Errors:
    """Of the columns of several nodes."""
    if all(e.exact for e in errors):
        return EXACT
    each = max(e.each for e in errors)
    total, summed, bos = (sum(getattr(e, n) for e in errors) for n in SUMS)
    return Errors(each, total, summed, bos)


def in_turn(errors: list[Errors]) -> Errors:
    """Of the sum of several blocks, all silent but one: what each may leak adds up."""
    if len(errors) == 1:
        return errors[0]
    each, total, summed, bos = (sum(getattr(e, n) for e in errors) for n in ("each", *SUMS))
    return Errors(each, total, summed, bos)


@dataclass(frozen=True)
class NumberErrors:
    """Of a number x: `absolute` + `relative` |x|; of each flag; of both at the BOS position.

    **Arguments:**
    - `size`: the most that its terms add up to, by size; `terms`: nodes that it is read from,
      0 if it has a column of its own.
    - `one_sign`: whether terms of all nodes have the sign of the sum.
    - `scattered`: the part of the error that comes from nodes of several columns: those that
      should be zero are terms too.
    - `off`: of each flag, where there is a number; None if that is as large as `flag`.
    """

    absolute: float
    relative: float
    flag: float
    bos: float
    size: float
    terms: int = 0
    one_sign: bool = True
    scattered: float = 0.0
    off: float | None = None

    @property
    def unflagged(self) -> float:
        """Of each flag, where there is a number."""
        return self.flag if self.off is None else self.off

    @property
    def key(self) -> tuple[float | None, ...]:
        """All of it."""
        found = self.absolute, self.relative, self.flag, self.bos
        return *found, self.size, self.terms, self.one_sign, self.scattered, self.off

    @property
    def known(self) -> bool:
        return isfinite(self.most) and isfinite(self.flag) and isfinite(self.bos)

    @property
    def most(self) -> float:
        """Of any of the numbers."""
        return self.absolute + self.relative * self.size

    def folded(self, flagged: list[float]) -> NumberErrors:
        """With these numbers read through flags."""
        if not self.known:
            return UNKNOWN_NUMBER
        added = sum(abs(x) for x in flagged)
        absolute = self.absolute + self.flag * added
        size = max([self.size, *(abs(x) for x in flagged)])
        return replace(
            self,
            absolute=absolute,
            bos=self.bos * (1.0 + added),
            size=size,
            terms=max(self.terms, 1),
            scattered=absolute + self.relative * size,
            off=None,
        )


UNKNOWN_NUMBER = NumberErrors(np.inf, 0.0, np.inf, np.inf, np.inf)


def flag_errors(number: NumberErrors) -> Errors:
    """Of a flag, read as a one-hot column."""
    return Errors(number.flag, number.flag, number.flag, number.bos)


def read_from(errors: Errors, largest: float) -> NumberErrors:
    """A number that is a sum over one-hot columns; `largest`: the size of its factors."""
    if not errors.known:
        return UNKNOWN_NUMBER
    absolute, bos = largest * errors.total, max(largest, 1.0) * errors.bos
    return NumberErrors(
        absolute, 2 * U, errors.total, bos, largest, 1, scattered=absolute + 2 * U * largest
    )


def added(
    parts: list[NumberErrors], factors: tuple[float, float], one_sign: bool
) -> NumberErrors:
    """A linear function of two numbers; `one_sign`: of both terms."""
    if not all(p.known for p in parts):
        return UNKNOWN_NUMBER
    size = sum(abs(f) * p.size for f, p in zip(factors, parts, strict=True))
    absolute = sum(abs(f) * p.absolute for f, p in zip(factors, parts, strict=True))
    relative = max(p.relative for p in parts)
    one_sign &= all(p.one_sign for p in parts)
    if absolute > 0.0 or not one_sign:
        absolute, relative = absolute + relative * size, 0.0
    terms = sum(max(p.terms, 1) for p in parts)
    bos = sum(abs(f) * p.bos for f, p in zip(factors, parts, strict=True))
    flag = max(p.flag for p in parts)
    scattered = sum(abs(f) * p.scattered for f, p in zip(factors, parts, strict=True))
    relative = relative + 4 * U
    return NumberErrors(absolute, relative, flag, bos, size, terms, one_sign, scattered)


def written_number(errors: Errors, size: float) -> NumberErrors:
    """What a table or steps write into a column of its own."""
    if not errors.known:
        return UNKNOWN_NUMBER
    return NumberErrors(errors.each, 2 * U, errors.each, errors.bos, size)


def copied_number(number: NumberErrors, at_bos: np.ndarray) -> NumberErrors:
    """After relu(x) - relu(-x): where both neurons may be active, errors count twice."""
    if not number.known:
        return UNKNOWN_NUMBER
    lost = 2 * MORE * (number.terms + 8) * U
    loose = 0.0 if number.one_sign else lost * number.size
    silent = number.bos < 0.2 and 16 * U * (1.0 + float(np.abs(at_bos).sum())) < 0.2
    return NumberErrors(
        2.1 * number.absolute + loose if silent else np.inf,
        2.1 * number.relative + lost,
        2.1 * number.flag + 16 * U * (number.flag > 0.0),
        0.0,
        number.size,
    )
