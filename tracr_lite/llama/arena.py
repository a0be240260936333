"""Memory for weights, in large pages where the system has them.

A token reads all weights once, and with pages of 4 KB much of that time goes into finding the
pages: in pages of 2 MB, a model of 440 MB was read 1.4 times as fast. On CPUs, JAX takes arrays
where they are.
"""

from __future__ import annotations

import mmap
from math import prod

import numpy as np

PIECE = 1 << 26  # bytes that are asked for at a time
LARGE = 1 << 21  # bytes of a large page
ALIGNED = 64  # bytes: what JAX wants of an array that it is to take as it is


class Arena:
    """Hands out arrays one behind the other. Memory is freed when no array in it is left."""

    def __init__(self) -> None:
        self._piece, self._used = mmap.mmap(-1, LARGE), LARGE  # full, so that one is made

    def empty(self, shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> np.ndarray:
        """An array of zeros."""
        count = prod(shape)
        nbytes = count * dtype.itemsize
        if self._used + nbytes > len(self._piece):
            self._piece, self._used = _piece(max(nbytes, PIECE))
        found = np.frombuffer(self._piece, dtype, count, self._used).reshape(shape)
        self._used += -(-nbytes // ALIGNED) * ALIGNED
        return found


def _piece(nbytes: int) -> tuple[mmap.mmap, int]:
    """Memory, and where in it `nbytes` begin that lie in large pages from end to end.

    Systems give memory that begins anywhere; what of it is no whole large page would be in
    small ones. It has to be private: large pages for shared memory are mostly off. Pages that
    are not used need no memory.
    """
    whole = (-(-nbytes // LARGE) + 1) * LARGE
    if not hasattr(mmap, "MADV_HUGEPAGE"):
        return mmap.mmap(-1, whole), 0
    piece = mmap.mmap(-1, whole, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    piece.madvise(mmap.MADV_HUGEPAGE)
    return piece, -np.frombuffer(piece, np.uint8).ctypes.data % LARGE
