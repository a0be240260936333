"""Products of many vectors in AMX tiles, and which matrices have them.

16 rows of a matrix at a time, read as they lie in memory; only rows that are fewer are copied.
Sums of groups are exact in integers. In bfloat16, AMX sums in float32, without numbers
below 1e-38.
"""

from __future__ import annotations

import numpy as np

from tracr_lite.llama.native.amx import LINE, SIDE, begin_tiles, end_tiles, put_columns
from tracr_lite.llama.native.amx_kernels import (
    ABREAST,
    multiply_digit,
    multiply_pairs,
    multiply_pairs_abreast,
    multiply_three_digits,
)
from tracr_lite.llama.native.edge import (
    bytes_in_groups,
    compiled,
    scales_of_groups,
    shorts,
)
from tracr_lite.llama.native.packing import DIGITS
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

KEPT = 26_000  # bytes of digits in the first cache, which has 32 KB or 48
AHEAD = 3  # how many times 16 rows early they are asked for


def unit(kind: int, width: int, size: int) -> int:
    """Columns that AMX multiplies at a time; 0 where it cannot."""
    if kind == BFLOAT16:
        return next((each for each in (32, 16) if width % each == 0), 0)
    if kind in (INT8, Q80):
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
    # Batches are copied with each call, so that calls are few and rather have addresses.
    begin_tiles(matrix[UNIT] * (2 if matrix[KIND] == BFLOAT16 else 1))
    place = batch.found.ctypes.data + thread * ABREAST * SIDE * LINE
    x, apart = batch.packed.ctypes.data, batch.packed.shape[1] * LANES * 4
    factors, between = batch.factors.ctypes.data, batch.factors.shape[1] * LINE
    there, row = out.ctypes.data, 4 * out.shape[1]
    step = _chunks_at_a_time(matrix, count)
    for chunk in range(0, max(1, matrix[CHUNKS]), step):
        chunks = (chunk, min(step, matrix[CHUNKS] - chunk))
        for first in range(part[0], part[1], SIDE):
            rows = min(SIDE, part[1] - first)
            weights, scales = matrix[ADDRESS] + first * _row(matrix), matrix[SCALES] + first * 4
            height, ahead = matrix[OUT], AHEAD * SIDE * _row(matrix)
            if rows < SIDE:
                weights, scales = _copied(matrix, first, rows, batch, thread)
                height, ahead = SIDE, 0
            to = (there + first * 4, row, count, rows, adds or chunk > 0)
            if matrix[KIND] == BFLOAT16:
                _pairs(matrix, weights, (x, apart), place, to, ahead)
            else:
                vectors = (x, apart, factors, between)
                _groups(matrix, (weights, scales, height), chunks, vectors, place, to, ahead)
    end_tiles()


@compiled
def _chunks_at_a_time(matrix: np.ndarray, count: int) -> int:
    """Of how many chunks the digits of 16 vectors stay in the first cache, for all rows.

    Q80 has all at once: its sums are rounded in the order of runq.c.
    """
    if matrix[KIND] != INT8 or count > LANES:
        return max(1, matrix[CHUNKS])
    return max(1, KEPT // (_row(matrix) * DIGITS * LANES))


@compiled
def _row(matrix: np.ndarray) -> int:
    """How many bytes a row has, or the part of one that is in a chunk."""
    if matrix[KIND] == BFLOAT16:
        return 2 * matrix[IN]
    return matrix[GROUPS] * matrix[SIZE]


@compiled
def _pairs(
    matrix: np.ndarray,
    weights: int,
    vectors: tuple[int, int],
    place: int,
    to: tuple[int, int, int, int, bool],
    ahead: int,
) -> None:
    """16 rows in bfloat16 with all vectors."""
    (x, apart), (there, row, count, rows, adds) = vectors, to
    sizes, tiles, tile = (matrix[IN], matrix[UNIT]), (count + LANES - 1) // LANES, 0
    while tile < tiles:
        here = x + tile * apart
        abreast = ABREAST if tile + ABREAST <= tiles else 1
        if abreast == ABREAST:
            multiply_pairs_abreast(weights, here, apart, place, sizes, ahead)
        else:
            multiply_pairs(weights, here, apart, place, sizes, ahead)
        for i in range(abreast):
            lane = (tile + i) * LANES
            sums, lanes = place + i * SIDE * LINE, min(LANES, count - lane)
            put_columns(sums, there + lane * row, row, lanes, rows, adds)
        tile, ahead = tile + abreast, 0


@compiled
def _groups(
    matrix: np.ndarray,
    weights: tuple[int, int, int],
    chunks: tuple[int, int],
    vectors: tuple[int, int, int, int],
    place: int,
    to: tuple[int, int, int, int, bool],
    ahead: int,
) -> None:
    """16 rows in int8 with all vectors; so many chunks from one on."""
    (address, scales, height), (x, apart, factors, between) = weights, vectors
    there, row, count, rows, adds = to
    steps, (chunk, many) = matrix[SIZE] // matrix[UNIT], chunks
    sizes, digits = (height, many, matrix[GROUPS], steps, matrix[UNIT]), 1
    if matrix[KIND] == INT8:
        digits = DIGITS
    address, scales = (
        address + chunk * height * _row(matrix),
        scales + chunk * height * matrix[GROUPS] * 4,
    )
    x, factors = (
        x + chunk * _row(matrix) * digits * LANES,
        factors + chunk * matrix[GROUPS] * LINE,
    )
    for tile in range((count + LANES - 1) // LANES):
        here, own = x + tile * apart, factors + tile * between
        if matrix[KIND] == Q80:
            multiply_digit(address, scales, here, own, place, sizes, ahead)
        else:
            multiply_three_digits(address, scales, here, own, place, sizes, ahead)
        lane, ahead = tile * LANES, 0
        put_columns(place, there + lane * row, row, min(LANES, count - lane), rows, adds)


@compiled
def _copied(
    matrix: np.ndarray, first: int, rows: int, batch: Batch, thread: int
) -> tuple[int, int]:
    """Where rows that do not fill a tile are, with anything behind them; and their scales."""
    nbytes = batch.blocks.shape[1] * batch.blocks.shape[2] * 4
    address = batch.blocks.ctypes.data + thread * nbytes
    if matrix[KIND] != BFLOAT16:
        return _copied_groups(matrix, first, rows, address)
    source = shorts(matrix[ADDRESS], matrix[OUT], matrix[IN])
    copy = shorts(address, SIDE, matrix[IN])
    for r in range(rows):
        for k in range(matrix[IN]):
            copy[r, k] = source[first + r, k]
    return address, 0


@compiled
def _copied_groups(matrix: np.ndarray, first: int, rows: int, address: int) -> tuple[int, int]:
    """The same for int8."""
    chunks, groups, size = matrix[CHUNKS], matrix[GROUPS], matrix[SIZE]
    weights = bytes_in_groups(matrix[ADDRESS], chunks, matrix[OUT], groups, size)
    scales = scales_of_groups(matrix[SCALES], chunks, groups, matrix[OUT])
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
