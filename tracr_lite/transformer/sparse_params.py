"""Parameters without their zeros: of a compiled model, nearly all weights are zero.

All arrays stand one after the other in one vector, each in C order. Kept are the positions in
it that do not hold zero, and the float32 numbers there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int

Params = dict[str, dict[str, np.ndarray]]  # module -> leaf -> array
Shapes = Mapping[str, Mapping[str, tuple[int, ...]]]


@dataclass(frozen=True, eq=False)
class SparseParams:
    """Parameters without their zeros.

    **Arguments:**
    - `shapes`: module -> leaf -> shape, in the order of the vector.
    - `positions`: where the vector is not zero, ascending; int32 where that suffices.
    - `values`: what it holds there.
    """

    shapes: Shapes
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
        return parts_of(flat, self.shapes)


def parts_of(vector: Float32[np.ndarray, " size"], shapes: Shapes) -> Params:
    """The parameters that stand in a vector, as parts of it; the vector becomes read-only."""
    vector.flags.writeable = False
    params: Params = {}
    start = 0
    for module, group in shapes.items():
        params[module] = here = {}
        for leaf, shape in group.items():
            stop = start + math.prod(shape)
            here[leaf] = vector[start:stop].reshape(shape)
            start = stop
    return params
