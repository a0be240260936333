"""Parameters without their zeros: of a compiled model, nearly all weights are zero.

All arrays stand one after the other in one vector, each in C order. Kept are the positions in
it that do not hold zero, and the float32 numbers there.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import numpy as np
from jaxtyping import Float32, Int

Params = dict[str, dict[str, np.ndarray]]  # module -> leaf -> array
Shapes = Mapping[str, Mapping[str, tuple[int, ...]]]
LARGE = 2**20  # numbers; from there on numpy asks for huge pages


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

    @cached_property
    def size(self) -> int:
        """How many parameters there are, zeros included."""
        groups = self.shapes.values()
        return sum(map(math.prod, chain.from_iterable([each.values() for each in groups])))

    def one_by_one(self) -> Mapping[str, Mapping[str, np.ndarray]]:
        """The parameters, each made anew when it is asked for: few are in memory at a time."""
        made: dict[str, _Group] = {}
        start = 0
        for module, group in self.shapes.items():
            made[module] = _Group(self, group, start)
            start += sum(map(math.prod, group.values()))
        return made

    def dense(self) -> Params:
        """The parameters again: read-only parts of one vector."""
        flat = zeros(self.size, len(self.positions))
        flat[self.positions] = self.values
        return parts_of(flat, self.shapes)


@dataclass(frozen=True, eq=False)
class _Group(Mapping[str, np.ndarray]):
    """The arrays of one module, which stand from `start` on."""

    params: SparseParams
    shapes: Mapping[str, tuple[int, ...]]
    start: int

    def __getitem__(self, leaf: str) -> np.ndarray:
        shape, names = self.shapes[leaf], [*self.shapes]
        before = names[: names.index(leaf)]
        begin = self.start + sum(math.prod(self.shapes[name]) for name in before)
        size, positions = math.prod(shape), self.params.positions
        first, last = np.searchsorted(positions, [begin, begin + size]).tolist()
        flat = zeros(size, last - first)
        flat[positions[first:last] - begin] = self.params.values[first:last]
        flat.flags.writeable = False
        return flat.reshape(shape)

    def __iter__(self) -> Iterator[str]:
        return iter(self.shapes)

    def __len__(self) -> int:
        return len(self.shapes)


def zeros(size: int, filled: int) -> Float32[np.ndarray, " size"]:
    """A vector of zeros, of which `filled` numbers will be written.

    Memory is cleared page by page when it is first written to. A huge page is 2 MB, all of
    which would be cleared for a single weight, so few weights get small pages.
    """
    small_pages = size * 4 // mmap.PAGESIZE
    if size < LARGE or filled > small_pages or not hasattr(mmap, "MAP_ANONYMOUS"):
        return np.zeros(size, np.float32)
    area = mmap.mmap(-1, 4 * size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_NOHUGEPAGE"):
        try:
            area.madvise(mmap.MADV_NOHUGEPAGE)
        except OSError:
            pass  # a kernel without huge pages
    return np.frombuffer(area, np.float32)


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
