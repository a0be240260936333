"""Products of many vectors in AMX tiles, and which matrices have them.

16 rows of a matrix at a time, read as they lie in memory; only rows that are fewer are copied.
Sums of groups are exact in integers. In bfloat16, AMX sums in float32, without numbers
below 1e-38.
"""

from __future__ import annotations

import numpy as np

from tracr_lite.llama.native.amx import (
    ABREAST,
    LINE,
    SIDE,
    begin_tiles,
    end_tiles,
    multiply_digit,
    multiply_pairs,
    multiply_pairs_abreast,
    multiply_three_digits,
)
from tracr_lite.llama.native.edge import (
    bytes_in_groups,
    compiled,
    scales_of_groups,
)
from tracr_lite.llama.native.plan import (
    ADDRESS,
    BFLOAT16,
    CHUNKS,
    GROUPS,
    IN,
    INT8,
    KIND,
    OUT,
    Q80,
    SCALES,
    SIZE,
    UNIT,
    Batch,
)
from tracr_lite.llama.native.vectors import LANES

F32 = np.float32
MOST = 1 << 16  # numbers of a group whose products int32 can sum


def unit(kind: int, width: int, size: int) -> int:
    """Columns that AMX multiplies at a time; 0 where it cannot."""
    if kind == BFLOAT16:
        return next((each for each in (32, 16) if width % each == 0), 0)
    if kind in (INT8, Q80) and size <= MOST:
        return next((each for each in (64, 48, 32, 16) if size % each == 0), 0)
    return 0


@compiled
def wide_product(
    matrix: np.ndarray,
    batch: Batch,
    count: int,
    part: tuple[int, int],
    thread: int,
    out: np.ndarray,
    adds: bool,
) -> None:
    """As `products.product`, of vectors that `packing.pack` has seen."""
    begin_tiles(matrix[UNIT] * (2 if matrix[KIND] == BFLOAT16 else 1))
    for first in range(part[0], part[1], SIDE):
        rows = min(SIDE, part[1] - first)
        if matrix[KIND] == BFLOAT16:
            _pairs(matrix, batch, count, first, rows, thread, out, adds)
        else:
            _groups(matrix, batch, count, first, rows, thread, out, adds)
    end_tiles()


@compiled
def _pairs(
    matrix: np.ndarray,
    batch: Batch,
    count: int,
    first: int,
    rows: int,
    thread: int,
    out: np.ndarray,
    adds: bool,
) -> None:
    width, found = matrix[IN], batch.found[thread]
    weights, ahead = matrix[ADDRESS] + first * width * 2, 2 * width * SIDE
    if rows < SIDE:
        weights, ahead = _copied(weights, rows * width * 2, batch, thread), 0
    x, apart = batch.packed.ctypes.data, batch.packed.shape[1] * LANES * 4
    sizes, tiles, tile = (width, matrix[UNIT]), (count + LANES - 1) // LANES, 0
    while tile < tiles:
        here, place = x + tile * apart, found.ctypes.data
        abreast = ABREAST if tile + ABREAST <= tiles else 1
        if abreast == ABREAST:
            multiply_pairs_abreast(weights, here, apart, place, sizes, ahead)
        else:
            multiply_pairs(weights, here, apart, place, sizes, ahead)
        for i in range(abreast):
            lane = (tile + i) * LANES
            _put(out, lane, min(LANES, count - lane), first, rows, found[i], adds)
        tile, ahead = tile + abreast, 0


@compiled
def _groups(
    matrix: np.ndarray,
    batch: Batch,
    count: int,
    first: int,
    rows: int,
    thread: int,
    out: np.ndarray,
    adds: bool,
) -> None:
    chunks, groups, size = matrix[CHUNKS], matrix[GROUPS], matrix[SIZE]
    weights, scales = matrix[ADDRESS] + first * groups * size, matrix[SCALES] + first * 4
    height, ahead = matrix[OUT], groups * size * SIDE
    if rows < SIDE:
        weights, scales = _copied_groups(matrix, first, rows, batch, thread)
        height, ahead = SIDE, 0
    x, apart = batch.packed.ctypes.data, batch.packed.shape[1] * LANES * 4
    factors, found = batch.factors, batch.found[thread]
    between, place = factors.shape[1] * LINE, found.ctypes.data
    sizes = (height, chunks, groups, size, matrix[UNIT])
    for tile in range((count + LANES - 1) // LANES):
        here, own = x + tile * apart, factors.ctypes.data + tile * between
        if matrix[KIND] == Q80:
            multiply_digit(weights, scales, here, own, place, sizes, ahead)
        else:
            multiply_three_digits(weights, scales, here, own, place, sizes, ahead)
        ahead = 0
        lane = tile * LANES
        _put(out, lane, min(LANES, count - lane), first, rows, found[0], adds)


@compiled
def _copied(weights: int, nbytes: int, batch: Batch, thread: int) -> int:
    """Where rows that do not fill a tile are, with anything behind them."""
    block = batch.blocks[thread]
    source = bytes_in_groups(weights, 1, 1, 1, nbytes)
    copy = bytes_in_groups(block.ctypes.data, 1, 1, 1, nbytes)
    for i in range(nbytes):
        copy[0, 0, 0, i] = source[0, 0, 0, i]
    return block.ctypes.data


@compiled
def _copied_groups(
    matrix: np.ndarray, first: int, rows: int, batch: Batch, thread: int
) -> tuple[int, int]:
    """The same for int8, and for its scales."""
    chunks, groups, size = matrix[CHUNKS], matrix[GROUPS], matrix[SIZE]
    weights = bytes_in_groups(matrix[ADDRESS], chunks, matrix[OUT], groups, size)
    scales = scales_of_groups(matrix[SCALES], chunks, groups, matrix[OUT])
    address = batch.blocks[thread].ctypes.data
    behind = address + SIDE * matrix[IN]
    copy = bytes_in_groups(address, chunks, SIDE, groups, size)
    own = scales_of_groups(behind, chunks, groups, SIDE)
    for c in range(chunks):
        for g in range(groups):
            for r in range(rows):
                own[c, g, r] = scales[c, g, first + r]
                for k in range(size):
                    copy[c, r, g, k] = weights[c, first + r, g, k]
    return address, behind


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
        if rows == SIDE and adds:
            for r in range(SIDE):
                out[row + lane, first + r] += found[lane, r]
        elif rows == SIDE:
            for r in range(SIDE):
                out[row + lane, first + r] = found[lane, r]
        else:
            for r in range(rows):
                before = out[row + lane, first + r] if adds else F32(0)
                out[row + lane, first + r] = before + found[lane, r]
