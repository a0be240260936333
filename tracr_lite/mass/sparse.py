"""Parameters without their zeros: of a compiled model, nearly all weights are zero.

All arrays stand one after the other in one vector, each in C order. Kept are the positions in
it that do not hold zero, and the float32 numbers there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32, Int

Params = dict[str, dict[str, np.ndarray]]  # module -> leaf -> array


@dataclass(frozen=True, eq=False)
class SparseParams:
    """Parameters without their zeros.

    **Arguments:**
    - `shapes`: module -> leaf -> shape, in the order of the vector.
    - `positions`: where the vector is not zero, ascending; int32 where that suffices.
    - `values`: what it holds there.
    """

    shapes: dict[str, dict[str, tuple[int, ...]]]
    positions: Int[np.ndarray, " filled"]
    values: Float32[np.ndarray, " filled"]

    @property
    def size(self) -> int:
        """How many parameters there are, zeros included."""
        return sum(
            math.prod(shape) for group in self.shapes.values() for shape in group.values()
        )

    def dense(self) -> Params:
        """The parameters again: read-only parts of one vector."""
        flat = np.zeros(self.size, np.float32)
        flat[self.positions] = self.values
        flat.flags.writeable = False
        params: Params = {}
        start = 0
        for module, group in self.shapes.items():
            params[module] = {}
            for leaf, shape in group.items():
                stop = start + math.prod(shape)
                params[module][leaf] = flat[start:stop].reshape(shape)
                start = stop
        return params


def sparse_at(params: Mapping[str, Mapping[str, Any]], filled: np.ndarray) -> SparseParams:
    """Of parameters that are parts of one vector, in its order; `filled`: where it is not zero.

    **Raises:** `ValueError` if they are not.
    """
    arrays = [array for group in params.values() for array in group.values()]
    shapes = {
        module: {leaf: tuple(array.shape) for leaf, array in group.items()}
        for module, group in params.items()
    }
    vector: Any = arrays[0].base
    if vector is None or vector.size != sum(a.size for a in arrays) or vector.ndim != 1:
        raise ValueError("the parameters are not parts of one vector")
    kind = np.int32 if vector.size < 2**31 else np.int64
    return SparseParams(shapes, filled.astype(kind), vector[filled])


def sparse(
    params: Mapping[str, Mapping[str, Any]], *, signed_zeros: bool = True
) -> SparseParams:
    """Drops the zeros; -0.0 is kept if `signed_zeros`, so that every bit comes back.

    **Raises:** `TypeError` for an array that is not float32.
    """
    shapes: dict[str, dict[str, tuple[int, ...]]] = {}
    flat: list[np.ndarray] = [np.zeros(0, np.float32)]
    for module, group in params.items():
        shapes[module] = {}
        for leaf, array in group.items():
            if array.dtype != np.float32:
                raise TypeError(f"{module}/{leaf} is {array.dtype}; only float32 is known here")
            shapes[module][leaf] = tuple(array.shape)
            flat.append(np.asarray(array).ravel())
    vector = np.concatenate(flat)
    positions = np.flatnonzero(vector.view(np.uint32) if signed_zeros else vector)
    if vector.size < 2**31:
        positions = positions.astype(np.int32)
    return SparseParams(shapes, positions, vector[positions])
