"""A file mapped into memory, read-only, and arrays that are views of it."""

from __future__ import annotations

import mmap
from pathlib import Path

import numpy as np

from tracr_lite.llama.weights import Shape


class Mapped:
    """Maps a file as it is opened; its size never changes afterwards for us.

    **Raises:** `OSError` if it cannot be read.
    """

    def __init__(self, path: Path):
        with path.open("rb") as file:
            self.size = file.seek(0, 2)
            # an empty file cannot be mapped
            self._map = (
                mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if self.size else b""
            )

    def head(self, count: int) -> bytes:
        """The first bytes, as many as there are."""
        return self._map[:count]

    def view(
        self,
        dtype: np.dtype[np.generic],
        shape: Shape,
        offset: int,
        first_stride: int | None = None,
    ) -> np.ndarray:
        """An array in row-major order from byte `offset`; nothing is copied.

        **Arguments:** `first_stride`: bytes from one item of the first axis to the next, if
        they do not lie close together.
        """
        strides = [dtype.itemsize] * len(shape)
        for axis in range(len(shape) - 2, -1, -1):
            strides[axis] = strides[axis + 1] * shape[axis + 1]
        if first_stride is not None:
            strides[0] = first_stride
        return np.ndarray(shape, dtype, self._map, offset, tuple(strides))

    def release(self) -> None:
        """Lets the system forget the pages read so far; reading them again is allowed."""
        if isinstance(self._map, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)
