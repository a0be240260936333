"""Products with the matrices of a model, of each kind, for one row or many.

The rows of a matrix are shared among threads, and each is read once. Few vectors are multiplied
one after another (`narrow`). Many lie side by side: in AMX, where the processor and the matrix
allow that (`wide`), or in the lanes of registers (`tile`), for which blocks of `ROWS` rows that
are not float32 are made so first.
"""

from __future__ import annotations

import numpy as np

from tracr_lite.llama.native.arithmetic import rounded_to_bfloat16, rounded_to_q80
from tracr_lite.llama.native.edge import (
    compiled,
    row_at,
    scales_of_groups,
)
from tracr_lite.llama.native.narrow import bfloat16_product, float32_product, int8_product
from tracr_lite.llama.native.plan import (
    ADDRESS,
    BFLOAT16,
    CHUNKS,
    FLOAT32,
    GROUPS,
    IN,
    KIND,
    OUT,
    Q80,
    SCALES,
    SIZE,
    UNIT,
    Batch,
)
from tracr_lite.llama.native.rows import copy_row
from tracr_lite.llama.native.tile import ROWS, multiply_tile
from tracr_lite.llama.native.vectors import LANES
from tracr_lite.llama.native.wide import wide_product

FEW = 8  # vectors that are multiplied one after another
PAGE = 4096  # bytes: rows so far apart displace each other in the first cache
F32 = np.float32


@compiled
def settle(matrix: np.ndarray, batch: Batch, row: int, count: int) -> None:
    """Makes `given[row]` what the kernels of a matrix take, for a pass of `count` rows.

    If that are not `FEW`, `packing.pack` comes next, once all rows are settled.
    """
    given, size = row_at(batch.at_given, row, batch.given.shape[1]), matrix[SIZE]
    if matrix[KIND] == BFLOAT16:
        rounded_to_bfloat16(given, matrix[IN])
    elif matrix[KIND] == Q80 and (count < FEW or matrix[UNIT] == 0):
        rounded_to_q80(given, batch.scales[row], matrix[IN] // size, size)


@compiled
def product(
    matrix: np.ndarray,
    batch: Batch,
    count: int,
    part: tuple[int, int],
    thread: int,
    out: np.ndarray,
    adds: bool,
) -> None:
    """`out[row, i] = sum_k matrix[i, k] given[row, k]` for i in `part`; or adds it there."""
    if count >= FEW and matrix[UNIT]:
        wide_product(matrix, batch, count, part, thread, out, adds)
    elif count >= FEW:
        _tiles(matrix, batch, count, part, thread, out, adds)
    elif matrix[KIND] == FLOAT32:
        float32_product(matrix, batch.given, count, part, out, adds)
    elif matrix[KIND] == BFLOAT16:
        bfloat16_product(matrix, batch.given, count, part, out, adds)
    else:
        int8_product(matrix, batch, count, part, out, adds)


@compiled
def _tiles(
    matrix: np.ndarray,
    batch: Batch,
    count: int,
    part: tuple[int, int],
    thread: int,
    out: np.ndarray,
    adds: bool,
) -> None:
    # Addresses, as slices of arrays would be counted among all threads.
    whole, block = batch.tiles[thread, 0], batch.blocks[thread]
    packed, apart = batch.packed.ctypes.data, 4 * LANES * batch.packed.shape[1]
    width = matrix[IN]
    for first in range(part[0], part[1], ROWS):
        rows = min(ROWS, part[1] - first)
        address, stride = _block(matrix, first, rows, block)
        step = ROWS * (4 if matrix[KIND] == FLOAT32 else 2 if matrix[KIND] == BFLOAT16 else 1)
        soon = matrix[ADDRESS] + min(first + ROWS, matrix[OUT] - ROWS) * step // ROWS * width
        for tile in range((count + LANES - 1) // LANES):
            x = packed + tile * apart
            if matrix[KIND] == Q80:
                _grouped_tile(matrix, batch, tile, first, rows, thread)
            else:
                multiply_tile(address, stride, x, width, whole.ctypes.data, soon, step)
                soon, step = address, 0
            _put(out, tile * LANES, min(LANES, count - tile * LANES), first, rows, whole, adds)


@compiled
def _put(
    out: np.ndarray,
    row: int,
    lanes: int,
    first: int,
    rows: int,
    found: np.ndarray,
    adds: bool,
) -> None:
    """Stores a tile; whole ones in vectors."""
    for lane in range(lanes):
        if rows == ROWS and adds:
            for r in range(ROWS):
                out[row + lane, first + r] += found[lane, r]
        elif rows == ROWS:
            for r in range(ROWS):
                out[row + lane, first + r] = found[lane, r]
        else:
            for r in range(rows):
                before = out[row + lane, first + r] if adds else F32(0)
                out[row + lane, first + r] = before + found[lane, r]


@compiled
def _grouped_tile(
    matrix: np.ndarray, batch: Batch, tile: int, first: int, rows: int, thread: int
) -> None:
    """A tile for Q80: sums of each group are exact, and scaled by both sides."""
    groups, size = matrix[GROUPS], matrix[SIZE]
    scales = scales_of_groups(matrix[SCALES], matrix[CHUNKS], groups, matrix[OUT])
    whole, part = batch.tiles[thread, 0], batch.tiles[thread, 1]
    block, x, own = batch.blocks[thread], batch.packed[tile], batch.tiles[thread, 2, 0]
    whole[:] = F32(0)
    for group in range(matrix[CHUNKS] * groups):
        weights = block.ctypes.data + group * size * 4
        vectors = x.ctypes.data + group * size * LANES * 4
        multiply_tile(weights, block.shape[1], vectors, size, part.ctypes.data, weights, 0)
        for r in range(rows):
            own[r] = scales[group // groups, group % groups, first + r]
        for lane in range(LANES):
            row = min(tile * LANES + lane, len(batch.scales) - 1)
            scale = batch.scales[row, group]
            for r in range(ROWS):
                whole[lane, r] += (part[lane, r] * own[r]) * scale  # as in runq.c


@compiled
def _block(matrix: np.ndarray, first: int, rows: int, block: np.ndarray) -> tuple[int, int]:
    """The address of `ROWS` rows in float32, from `first` on, and how far apart they are."""
    apart = matrix[IN] * 4
    if matrix[KIND] == FLOAT32 and rows == ROWS and apart % PAGE:
        return matrix[ADDRESS] + first * matrix[IN] * 4, matrix[IN]
    for r in range(rows):
        copy_row(matrix, first + r, block, r, matrix[KIND] != Q80)
    return block.ctypes.data, block.shape[1]
