"""Products of a matrix with few vectors, one after another.

What takes the time is reading the matrix. Some of its rows are read together, and multiplied
with all vectors while they are in the first cache. A number is summed in the same order on
however many threads, as these share whole blocks of rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tracr_lite.llama.native.arithmetic import widened
from tracr_lite.llama.native.dot import (
    ROWS,
    dot_bfloat16,
    dot_float32,
    dot_int8,
    dots_bfloat16,
    dots_float32,
)
from tracr_lite.llama.native.edge import (
    bytes_in_groups,
    compiled,
    floats,
    scales_of_groups,
    shorts,
)
from tracr_lite.llama.native.plan import ADDRESS, CHUNKS, GROUPS, IN, OUT, SCALES, SIZE, Batch
from tracr_lite.llama.native.vectors import LANES

F32 = np.float32


def _product_of(rows_at: Any, number_of: Any, dots: Any, dot: Any, size: int) -> Any:
    """`products.product` for numbers of `size` bytes, of which `number_of` makes float32."""

    @compiled
    def product(
        matrix: np.ndarray,
        given: np.ndarray,
        count: int,
        part: tuple[int, int],
        out: np.ndarray,
        adds: bool,
    ) -> None:
        width, vectors = matrix[IN], matrix[IN] // LANES
        weights, x = rows_at(matrix[ADDRESS], matrix[OUT], width), given.ctypes.data
        blocks = (part[1] - part[0]) // ROWS * ROWS
        for i in range(part[0], part[0] + blocks, ROWS):
            address = matrix[ADDRESS] + i * width * size
            for row in range(count):
                found = dots(address, width, x + row * given.shape[1] * 4, vectors)
                for r in range(ROWS):
                    total = found[r]
                    for k in range(vectors * LANES, width):
                        total += number_of(weights[i + r, k]) * given[row, k]
                    out[row, i + r] = out[row, i + r] + total if adds else total
        for i in range(part[0] + blocks, part[1]):
            address = matrix[ADDRESS] + i * width * size
            for row in range(count):
                total = dot(address, x + row * given.shape[1] * 4, vectors)
                for k in range(vectors * LANES, width):
                    total += number_of(weights[i, k]) * given[row, k]
                out[row, i] = out[row, i] + total if adds else total

    return product


@compiled
def _as_it_is(number: Any) -> Any:
    return number


float32_product = _product_of(floats, _as_it_is, dots_float32, dot_float32, 4)
bfloat16_product = _product_of(shorts, widened, dots_bfloat16, dot_bfloat16, 2)


@compiled
def int8_product(
    matrix: np.ndarray,
    batch: Batch,
    count: int,
    part: tuple[int, int],
    out: np.ndarray,
    adds: bool,
) -> None:
    """As `products.product`, for int8 in groups."""
    chunks, groups, size = matrix[CHUNKS], matrix[GROUPS], matrix[SIZE]
    given, factors = batch.given.ctypes.data, batch.scales.ctypes.data
    apart = 4 * batch.given.shape[1]
    for i in range(part[0], part[1]):
        weights = matrix[ADDRESS] + i * groups * size
        scales = matrix[SCALES] + i * 4
        for row in range(count):
            if size % LANES == 0:
                x, own = given + row * apart, factors + row * apart
                total = dot_int8(weights, scales, x, own, matrix[OUT], chunks, groups, size)
            else:
                total = _dot_of_small_groups(matrix, batch, i, row)
            out[row, i] = out[row, i] + total if adds else total


@compiled
def _dot_of_small_groups(matrix: np.ndarray, batch: Batch, i: int, row: int) -> Any:
    chunks, groups, size = matrix[CHUNKS], matrix[GROUPS], matrix[SIZE]
    weights = bytes_in_groups(matrix[ADDRESS], chunks, matrix[OUT], groups, size)
    scales = scales_of_groups(matrix[SCALES], chunks, groups, matrix[OUT])
    total = F32(0)
    for group in range(chunks * groups):
        c, g, part_sum = group // groups, group % groups, F32(0)
        for k in range(size):
            part_sum += F32(weights[c, i, g, k]) * batch.given[row, group * size + k]
        total += part_sum * (scales[c, g, i] * batch.scales[row, group])
    return total
