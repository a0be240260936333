"""Vector spaces whose basis directions have names, and vectors in them.

A residual stream is the space spanned by directions such as `tokens:a`, `indices:0` or `one`.
The directions of a space are kept sorted by one total order, so that a layout never depends on
the order in which a set was iterated.

Source: the craft language of Lindner et al. 2023, arXiv:2301.05062, section 3.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np

from tracr_lite.craft.directions import BasisDirection as BasisDirection
from tracr_lite.craft.directions import Name as Name
from tracr_lite.craft.directions import Value as Value
from tracr_lite.craft.directions import numbered, sorted_basis
from tracr_lite.craft.directions import sort_key as sort_key


class VectorInBasis:
    """An array whose last axis is labelled by basis directions.

    **Arguments:**
    - `basis_directions`: distinct, in any order; kept sorted.
    - `magnitudes`: shape [..., len(basis_directions)], columns in the order given.
    - `_basis_is_sorted`: the directions are a sorted tuple without duplicates; skips the check.

    **Raises:** `ValueError` on duplicates or when the last axis does not fit.
    """

    __hash__ = None  # type: ignore[assignment]  # mutable arrays
    __array_ufunc__ = None  # so that `np.float64(2) * vector` reaches `__rmul__`

    def __init__(
        self,
        basis_directions: Sequence[BasisDirection],
        magnitudes: np.ndarray,
        _basis_is_sorted: bool = False,
    ):
        magnitudes = np.asarray(magnitudes)
        if magnitudes.ndim == 0 or magnitudes.shape[-1] != len(basis_directions):
            raise ValueError(
                f"magnitudes must end in an axis of {len(basis_directions)}, one entry per "
                f"direction; got shape {magnitudes.shape}"
            )
        if not _basis_is_sorted:
            old = numbered(basis_directions)
            basis_directions = sorted_basis(basis_directions)
            magnitudes = magnitudes[..., [old[direction] for direction in basis_directions]]
        self.basis_directions = tuple(basis_directions)
        self.magnitudes = magnitudes

    @property
    def basis_set(self) -> frozenset[BasisDirection]:
        return frozenset(self.basis_directions)

    @cached_property
    def index_by_direction(self) -> dict[BasisDirection, int]:
        return numbered(self.basis_directions)

    def copy_with_new_magnitudes(self, new_magnitudes: np.ndarray) -> VectorInBasis:
        """The same directions, already in this vector's order, with other magnitudes."""
        return VectorInBasis(self.basis_directions, new_magnitudes, _basis_is_sorted=True)

    def project(self, basis_container: Directions) -> VectorInBasis:
        """Drops directions outside of the given basis; those that are new to it become zero."""
        space = basis_container
        if not isinstance(space, VectorSpaceWithBasis):
            space = VectorSpaceWithBasis(space)
        if space.basis == self.basis_directions:
            return self.copy_with_new_magnitudes(self.magnitudes.copy())
        known = [(i, self.index_by_direction.get(d)) for i, d in enumerate(space.basis)]
        pairs = [(i, j) for i, j in known if j is not None]
        out = np.zeros((*self.magnitudes.shape[:-1], space.num_dims), self.magnitudes.dtype)
        out[..., [i for i, _ in pairs]] = self.magnitudes[..., [j for _, j in pairs]]
        return space.make_vector(out)

    def add_directions(self, vector: VectorInBasis) -> VectorInBasis:
        """Sum in the space spanned by the directions of both; leading axes broadcast."""
        space = VectorSpaceWithBasis(self.basis_set | vector.basis_set)
        return self.project(space) + vector.project(space)

    @classmethod
    def sum(cls, vectors: Sequence[VectorInBasis]) -> VectorInBasis:
        """Sum of one or more vectors over the same directions."""
        first = _same_basis(vectors, "sum")
        return first.copy_with_new_magnitudes(np.sum([v.magnitudes for v in vectors], axis=0))

    @classmethod
    def stack(cls, vectors: Sequence[VectorInBasis], axis: int = 0) -> VectorInBasis:
        """Joins vectors over the same directions along a new leading `axis`."""
        first = _same_basis(vectors, "stack")
        ndim = first.magnitudes.ndim
        if not -ndim - 1 <= axis < ndim or axis == -1:
            raise ValueError(f"axis {axis} would not leave the basis last, at {ndim - 1}")
        return first.copy_with_new_magnitudes(np.stack([v.magnitudes for v in vectors], axis))

    def __add__(self, other: VectorInBasis) -> VectorInBasis:
        _same_basis((self, other), "add")
        return self.copy_with_new_magnitudes(self.magnitudes + other.magnitudes)

    def __sub__(self, other: VectorInBasis) -> VectorInBasis:
        _same_basis((self, other), "subtract")
        return self.copy_with_new_magnitudes(self.magnitudes - other.magnitudes)

    def __mul__(self, scalar: int | float) -> VectorInBasis:
        return self.copy_with_new_magnitudes(self.magnitudes * scalar)

    __rmul__ = __mul__

    def __truediv__(self, scalar: int | float) -> VectorInBasis:
        return self.copy_with_new_magnitudes(self.magnitudes / scalar)

    def __neg__(self) -> VectorInBasis:
        return self.copy_with_new_magnitudes(-self.magnitudes)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, VectorInBasis):
            return NotImplemented
        same_basis = self.basis_directions == other.basis_directions
        return same_basis and np.array_equal(self.magnitudes, other.magnitudes)

    def __repr__(self) -> str:
        return f"VectorInBasis({list(map(str, self.basis_directions))}, {self.magnitudes!r})"


def _same_basis(vectors: Sequence[VectorInBasis], verb: str) -> VectorInBasis:
    """The first vector; all must be over its directions."""
    if not vectors:
        raise ValueError(f"cannot {verb} an empty list of vectors")
    for other in vectors[1:]:
        if not isinstance(other, VectorInBasis):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"cannot {verb} a vector and {other!r}")
        if other.basis_directions != vectors[0].basis_directions:
            odd = vectors[0].basis_set ^ other.basis_set
            names = ", ".join(map(str, sorted_basis(odd)))
            raise TypeError(f"cannot {verb} vectors over different directions: {names}")
    return vectors[0]


class VectorSpaceWithBasis:
    """The space spanned by distinct basis directions; equal iff the directions are equal.

    **Arguments:** `basis`: any order; kept sorted, as a tuple. `_basis_is_sorted`: skips this.
    **Raises:** `ValueError` naming the directions that were given twice.
    """

    def __init__(self, basis: Iterable[BasisDirection], _basis_is_sorted: bool = False):
        self.basis = tuple(basis) if _basis_is_sorted else sorted_basis(basis)

    @classmethod
    def from_names(cls, names: Iterable[Name]) -> VectorSpaceWithBasis:
        """One direction per name, without values."""
        return cls([BasisDirection(name) for name in names])

    @classmethod
    def from_values(cls, name: Name, values: Iterable[Value]) -> VectorSpaceWithBasis:
        """One direction `name:value` per value."""
        return cls([BasisDirection(name, value) for value in values])

    @property
    def num_dims(self) -> int:
        return len(self.basis)

    @cached_property
    def basis_set(self) -> frozenset[BasisDirection]:
        return frozenset(self.basis)

    @cached_property
    def index_by_direction(self) -> dict[BasisDirection, int]:
        return numbered(self.basis)

    def indices_of(self, directions: Directions) -> np.ndarray:
        """Positions of other directions here, to index rows and columns of weights with.

        **Raises:** `ValueError` naming the directions that this space lacks.
        """
        wanted = directions if isinstance(directions, Sequence) else directions.basis
        index = self.index_by_direction
        try:
            return np.array(list(map(index.__getitem__, wanted)), dtype=np.intp)
        except KeyError:
            missing = [str(d) for d in wanted if d not in index]
            raise ValueError(f"the space has no direction {', '.join(missing)}") from None

    def make_vector(self, magnitudes: np.ndarray) -> VectorInBasis:
        """Labels the last axis of an array, shape [..., num_dims], with this basis."""
        return VectorInBasis(self.basis, magnitudes, _basis_is_sorted=True)

    def null_vector(self) -> VectorInBasis:
        return self.make_vector(np.zeros(self.num_dims))

    def basis_vectors(self) -> Sequence[VectorInBasis]:
        return [self.make_vector(row) for row in np.eye(self.num_dims)]

    def vector_from_basis_direction(self, basis_direction: BasisDirection) -> VectorInBasis:
        """The unit vector along one direction of this space."""
        magnitudes = np.zeros(self.num_dims)
        magnitudes[self.indices_of([basis_direction])] = 1.0
        return self.make_vector(magnitudes)

    def issubspace(self, other: VectorSpaceWithBasis) -> bool:
        return self.basis_set <= other.basis_set

    def __contains__(self, item: VectorInBasis | BasisDirection) -> bool:
        """Is a direction one of the basis; is a vector over exactly these directions?"""
        if isinstance(item, BasisDirection):
            return item in self.index_by_direction
        return self.basis == item.basis_directions

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, VectorSpaceWithBasis):
            return NotImplemented
        return self.basis == other.basis

    def __hash__(self) -> int:
        return hash(self.basis)

    def __repr__(self) -> str:
        return f"VectorSpaceWithBasis({list(map(str, self.basis))})"


Directions = VectorSpaceWithBasis | Sequence[BasisDirection]


def direct_sum(*vs: VectorSpaceWithBasis) -> VectorSpaceWithBasis:
    """The space with the directions of all. **Raises:** `ValueError` if two share one."""
    return VectorSpaceWithBasis([direction for v in vs for direction in v.basis])


def join_vector_spaces(*vs: VectorSpaceWithBasis) -> VectorSpaceWithBasis:
    """The smallest space that contains all the given ones, which may overlap."""
    largest = max(vs, key=lambda v: v.num_dims, default=VectorSpaceWithBasis(()))
    union = largest.basis_set.union(*(v.basis for v in vs if v is not largest))
    if len(union) == largest.num_dims:
        return largest
    joined = VectorSpaceWithBasis(union)
    joined.basis_set = union  # it is at hand
    return joined


def ensure_dims(vs: VectorSpaceWithBasis, num_dims: int, name: str = "vector space") -> None:
    """**Raises:** `ValueError` unless the space has `num_dims` dimensions."""
    if vs.num_dims != num_dims:
        raise ValueError(f"{name} must have {num_dims} dimensions, but has {vs.num_dims}: {vs}")
