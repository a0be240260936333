"""Single rows of a matrix as float32."""

from __future__ import annotations

import numpy as np

from tracr_lite.llama.native.arithmetic import widened
from tracr_lite.llama.native.edge import (
    bytes_in_groups,
    compiled,
    floats,
    scales_of_groups,
    shorts,
)
from tracr_lite.llama.native.plan import (
    ADDRESS,
    BFLOAT16,
    CHUNKS,
    FLOAT32,
    GROUPS,
    IN,
    KIND,
    OUT,
    SCALES,
    SIZE,
)

F32 = np.float32


@compiled
def copy_row(matrix: np.ndarray, i: int, out: np.ndarray, row: int, scaled: bool) -> None:
    """Row `i` of a matrix in float32; the integers of a quantized one are scaled or not."""
    width = matrix[IN]
    if matrix[KIND] == FLOAT32:
        numbers = floats(matrix[ADDRESS], matrix[OUT], width)
        for k in range(width):
            out[row, k] = numbers[i, k]
    elif matrix[KIND] == BFLOAT16:
        halves = shorts(matrix[ADDRESS], matrix[OUT], width)
        for k in range(width):
            out[row, k] = widened(halves[i, k])
    else:
        _copy_int8(matrix, i, out, row, scaled)


@compiled
def _copy_int8(matrix: np.ndarray, i: int, out: np.ndarray, row: int, scaled: bool) -> None:
    chunks, groups, size = matrix[CHUNKS], matrix[GROUPS], matrix[SIZE]
    weights = bytes_in_groups(matrix[ADDRESS], chunks, matrix[OUT], groups, size)
    scales = scales_of_groups(matrix[SCALES], chunks, groups, matrix[OUT])
    for group in range(chunks * groups):
        c, g = group // groups, group % groups
        scale = scales[c, g, i] if scaled else F32(1)
        for k in range(size):
            out[row, group * size + k] = F32(weights[c, i, g, k]) * scale
