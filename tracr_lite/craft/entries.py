"""Matrices by their entries that are not zero: of the weights of a table, few are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from tracr_lite.craft.arrays import distinct


@dataclass(frozen=True, eq=False)
class Entries:
    """The matrix that is `values[i]` at `rows[i], cols[i]`, each place at most once, else zero.

    Rows ascend, which `rows_at` relies on, where an array or `rows_at` made it.
    """

    shape: tuple[int, int]
    rows: Int[np.ndarray, " entries"]
    cols: Int[np.ndarray, " entries"]
    values: Float[np.ndarray, " entries"]

    @classmethod
    def of(cls, matrix: Float[np.ndarray, "rows cols"]) -> Entries:
        """The entries of an array."""
        rows, cols = matrix.nonzero()
        return cls(matrix.shape, rows, cols, matrix[rows, cols])

    @staticmethod
    def eye(size: int) -> Identity:
        """The identity."""
        at = np.arange(size)
        return Identity((size, size), at, at, np.ones(size))

    @classmethod
    def summed(
        cls, shape: tuple[int, int], rows: np.ndarray, cols: np.ndarray, values: np.ndarray
    ) -> Entries:
        """From places that may repeat: their values add up."""
        at, _, which = distinct(rows * shape[1] + cols)
        total = np.bincount(which, values, len(at))
        kept = total != 0.0
        return cls(shape, at[kept] // shape[1], at[kept] % shape[1], total[kept])

    @classmethod
    def beside(cls, parts: list[Entries]) -> Entries:
        """Matrices with the same rows, side by side."""
        cols, start = list[np.ndarray](), 0
        for part in parts:
            cols.append(part.cols + start if start else part.cols)
            start += part.shape[1]
        return cls(
            (parts[0].shape[0], start),
            np.concatenate([part.rows for part in parts]),
            np.concatenate(cols),
            np.concatenate([part.values for part in parts]),
        )

    @classmethod
    def stacked(cls, parts: list[Entries]) -> Entries:
        """Matrices with the same columns, one below the other."""
        rows, start = list[np.ndarray](), 0
        for part in parts:
            rows.append(part.rows + start if start else part.rows)
            start += part.shape[0]
        return cls(
            (start, parts[0].shape[1]),
            np.concatenate(rows),
            np.concatenate([part.cols for part in parts]),
            np.concatenate([part.values for part in parts]),
        )

    def turned(self) -> Entries:
        """The transpose; its rows need not ascend."""
        return Entries((self.shape[1], self.shape[0]), self.cols, self.rows, self.values)

    def times(self, factor: float) -> Entries:
        return Entries(self.shape, self.rows, self.cols, factor * self.values)

    def columns_at(self, kept: np.ndarray) -> Entries:
        """The columns for which `kept` is true."""
        place = np.cumsum(kept) - 1
        mine = kept[self.cols]
        shape = (self.shape[0], int(kept.sum()))
        return Entries(shape, self.rows[mine], place[self.cols[mine]], self.values[mine])

    def rows_at(self, wanted: Int[np.ndarray, " rows"]) -> Entries:
        """The rows with these numbers, in this order; a row may be wanted more than once."""
        counts = np.bincount(self.rows, minlength=self.shape[0])
        starts = np.cumsum(counts) - counts
        sizes = counts[wanted]
        ends = np.cumsum(sizes)
        total = int(ends[-1]) if len(ends) else 0
        rows = np.repeat(np.arange(len(wanted)), sizes)
        take = np.arange(total) + (starts[wanted] - ends + sizes)[rows]
        return Entries((len(wanted), self.shape[1]), rows, self.cols[take], self.values[take])

    def filled_rows(self) -> np.ndarray:
        """Whether each row holds anything."""
        filled = np.zeros(self.shape[0], bool)
        filled[self.rows] = True
        return filled

    def dense(self) -> Float[np.ndarray, "rows cols"]:
        """The matrix as an array."""
        matrix = np.zeros(self.shape)
        matrix[self.rows, self.cols] = self.values
        return matrix


@dataclass(frozen=True, eq=False)
class Identity(Entries):
    """The identity matrix, made by `Entries.eye`: its rows need no look-up."""

    def rows_at(self, wanted: Int[np.ndarray, " rows"]) -> Entries:
        """As in `Entries`."""
        count = len(wanted)
        return Entries((count, self.shape[1]), np.arange(count), wanted, np.ones(count))
