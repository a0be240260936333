"""Linear and bilinear functions between spaces with named directions.

Source: the craft language of Lindner et al. 2023, arXiv:2301.05062, section 3.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np

from tracr_lite.craft import bases
from tracr_lite.craft.bases import BasisDirection, VectorInBasis, VectorSpaceWithBasis
from tracr_lite.craft.entries import Entries


class VectorFunction(ABC):
    """A function from the vectors of one space to those of another."""

    input_space: VectorSpaceWithBasis
    output_space: VectorSpaceWithBasis

    @abstractmethod
    def __call__(self, x: VectorInBasis) -> VectorInBasis:
        """`x`: magnitudes of shape [..., in]. Returns magnitudes of shape [..., out]."""


class Linear(VectorFunction):
    """The linear map `x -> x @ matrix`.

    **Arguments:** `matrix`: shape [in, out]; rows follow `input_space.basis`, columns
    `output_space.basis`.
    **Raises:** `ValueError` for another shape.
    """

    def __init__(
        self,
        input_space: VectorSpaceWithBasis,
        output_space: VectorSpaceWithBasis,
        matrix: np.ndarray | Entries,
    ):
        self.input_space = input_space
        self.output_space = output_space
        self._matrix = matrix if isinstance(matrix, Entries) else np.asarray(matrix)
        _check("matrix", self._matrix, (input_space.num_dims, output_space.num_dims))

    @property
    def matrix(self) -> np.ndarray:
        """The map as an array; it may be changed."""
        if isinstance(self._matrix, Entries):
            self._matrix = self._matrix.dense()  # from now on this is the truth
        return self._matrix

    @property
    def entries(self) -> Entries:
        """What in the matrix is not zero."""
        return self._matrix if isinstance(self._matrix, Entries) else Entries.of(self._matrix)

    def __call__(self, x: VectorInBasis) -> VectorInBasis:
        """**Raises:** `TypeError` unless `x` is over exactly the input space."""
        _check_in(x, self.input_space, "input")
        return self.output_space.make_vector(x.magnitudes @ self.matrix)

    @classmethod
    def from_action(
        cls,
        input_space: VectorSpaceWithBasis,
        output_space: VectorSpaceWithBasis,
        action: Callable[[BasisDirection], VectorInBasis],
    ) -> Linear:
        """The linear map that sends each input direction to what `action` says.

        **Raises:** `TypeError` if `action` returns a vector outside of the output space.
        """
        matrix = np.zeros((input_space.num_dims, output_space.num_dims))
        for row, direction in enumerate(input_space.basis):
            image = action(direction)
            _check_in(image, output_space, f"action({direction})")
            matrix[row] = image.magnitudes
        return cls(input_space, output_space, matrix)

    @classmethod
    def combine_in_parallel(cls, fns: Sequence[Linear]) -> Linear:
        """The sum of several maps, between the spaces that contain all theirs.

        Each reads only its own input directions and adds to its own output directions.
        """
        input_space = bases.join_vector_spaces(*(fn.input_space for fn in fns))
        output_space = bases.join_vector_spaces(*(fn.output_space for fn in fns))
        matrix = np.zeros((input_space.num_dims, output_space.num_dims))
        for fn in fns:
            rows = input_space.indices_of(fn.input_space)
            matrix[np.ix_(rows, output_space.indices_of(fn.output_space))] += fn.matrix
        return cls(input_space, output_space, matrix)


def project(from_space: VectorSpaceWithBasis, to_space: VectorSpaceWithBasis) -> Linear:
    """The map that keeps shared directions, drops the others, and fills new ones with zero."""
    shared = [direction for direction in to_space.basis if direction in from_space]
    matrix = np.zeros((from_space.num_dims, to_space.num_dims))
    matrix[from_space.indices_of(shared), to_space.indices_of(shared)] = 1.0
    return Linear(from_space, to_space, matrix)


class ScalarBilinear:
    """The bilinear form `x, y -> x @ matrix @ y`, for example an attention score.

    It can be given by its matrix, or by two factors with `matrix == left @ right.T`. The inner
    size of the factors is the key size of the attention head that computes the form.

    **Arguments:** `matrix`: shape [n_left, n_right], rows and columns as in the bases.
    **Raises:** `ValueError` for another shape.
    """

    def __init__(
        self,
        left_space: VectorSpaceWithBasis,
        right_space: VectorSpaceWithBasis,
        matrix: np.ndarray,
    ):
        self.left_space = left_space
        self.right_space = right_space
        self.matrix = np.asarray(matrix)
        _check("matrix", self.matrix, (left_space.num_dims, right_space.num_dims))

    @classmethod
    def from_factors(
        cls,
        left_space: VectorSpaceWithBasis,
        right_space: VectorSpaceWithBasis,
        left: np.ndarray,
        right: np.ndarray,
    ) -> ScalarBilinear:
        """The form `(x @ left) . (y @ right)`; the matrix is computed when first asked for.

        **Arguments:** `left`: shape [n_left, rank]; `right`: shape [n_right, rank].
        **Raises:** `ValueError` for other shapes.
        """
        left, right = np.asarray(left), np.asarray(right)
        rank = left.shape[-1] if left.ndim else 0
        _check("left", left, (left_space.num_dims, rank))
        _check("right", right, (right_space.num_dims, rank))
        form = cls.__new__(cls)
        form.left_space, form.right_space, form.factors = left_space, right_space, (left, right)
        return form

    @classmethod
    def from_action(
        cls,
        left_space: VectorSpaceWithBasis,
        right_space: VectorSpaceWithBasis,
        action: Callable[[BasisDirection, BasisDirection], float],
    ) -> ScalarBilinear:
        """The form whose value on each pair of directions is what `action` says."""
        rows = [[action(x, y) for y in right_space.basis] for x in left_space.basis]
        shape = (left_space.num_dims, right_space.num_dims)
        return cls(left_space, right_space, np.array(rows, dtype=float).reshape(shape))

    @cached_property
    def matrix(self) -> np.ndarray:
        """Shape [n_left, n_right]."""
        left, right = self.factors
        return left @ right.T

    @cached_property
    def factors(self) -> tuple[np.ndarray, np.ndarray]:
        """`left` [n_left, rank] and `right` [n_right, rank] with `left @ right.T == matrix`.

        Those given, otherwise derived from the matrix: zero rows and columns are dropped, then
        equal rows, or equal columns, are merged, whichever leaves fewer. One factor is then a
        0/1 selection, and the product is exact in any float type that holds the matrix.
        """
        select_rows, rows = _merge_equal_rows(self.matrix)
        select_columns, columns = _merge_equal_rows(self.matrix.T)
        if len(rows) <= len(columns):
            return select_rows, rows.T
        return columns.T, select_columns

    def __call__(self, x: VectorInBasis, y: VectorInBasis) -> float:
        """**Raises:** `TypeError` unless `x`, `y` are over exactly the left, right space."""
        _check_in(x, self.left_space, "left argument")
        _check_in(y, self.right_space, "right argument")
        return (x.magnitudes @ self.matrix @ y.magnitudes).item()


def _merge_equal_rows(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A 0/1 `selection` [n, r] and the r distinct non-zero `rows`: their product is the matrix.

    Rows are numbered by first appearance, so that equal matrices give equal factors.
    """
    selection = np.zeros((matrix.shape[0], 0), matrix.dtype)
    kept = np.flatnonzero(matrix.any(axis=1))
    if not len(kept):
        return selection, np.zeros((0, matrix.shape[1]), matrix.dtype)
    rows = np.ascontiguousarray(matrix[kept]) + 0  # adding 0 turns -0.0 into 0.0
    as_bytes = rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1])))[:, 0]
    _, first, group = np.unique(as_bytes, return_index=True, return_inverse=True)
    rank_of_group = np.argsort(np.argsort(first))
    selection = np.zeros((matrix.shape[0], len(first)), matrix.dtype)
    selection[kept, rank_of_group[group]] = 1
    return selection, rows[np.sort(first)]


def _check(what: str, array: np.ndarray | Entries, shape: tuple[int, int]) -> None:
    if array.shape != shape:
        raise ValueError(f"{what} must have shape {shape}; got {array.shape}")
    if not np.isfinite(array.values if isinstance(array, Entries) else array).all():
        raise ValueError(f"{what} must be finite, because infinity times zero is not a number")


def _check_in(x: VectorInBasis, space: VectorSpaceWithBasis, what: str) -> None:
    if x not in space:
        odd = VectorSpaceWithBasis(x.basis_set ^ space.basis_set)
        raise TypeError(f"{what} is over other directions than its space: they differ by {odd}")
