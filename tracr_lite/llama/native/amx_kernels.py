"""Products of 16 rows of a matrix with 16 vectors or 64, in AMX tiles."""

# numba and llvmlite have few annotations.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

from __future__ import annotations

from functools import partial
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from tracr_lite.llama.native.amx import (
    INTS,
    LINE,
    SIDE,
    call,
    fetch_piece,
    multiply_piece,
    store_tile,
    store_turned,
    tile_row,
)
from tracr_lite.llama.native.edge import instruction
from tracr_lite.llama.native.vectors import (
    BYTE,
    FLOAT,
    LANES,
    VECTOR,
    ZERO,
    fused,
    load,
    number,
    place,
    spread,
)

ABREAST = 4  # tiles of sums for as many times LANES vectors
BASE = 254.0  # of the digits of activations, see `packing`


def _pairs(tiles: int) -> Any:
    def multiply(
        _context: Any, _weights: Any, _x: Any, _apart: Any, _out: Any, _sizes: Any, _ahead: Any
    ) -> Any:
        kinds = [*[types.int64] * 4, types.UniTuple(types.int64, 2), types.int64]
        return types.void(*kinds), partial(_generate_pairs, tiles)

    return instruction(multiply)


def _generate_pairs(tiles: int, context: Any, builder: Any, _signature: Any, args: Any) -> Any:
    weights, x, out = (place(builder, args[i], BYTE) for i in (0, 1, 3))
    count, unit = (builder.extract_value(args[4], i) for i in range(2))
    apart = builder.mul(count, number(2))
    for tile in range(tiles):
        call(builder, "tilezero", (tile,))
    with cgutils.for_range(builder, builder.udiv(count, unit)) as step:
        at = builder.mul(step.index, unit)
        piece = builder.gep(weights, [builder.mul(at, number(2))])
        fetch_piece(builder, weights, args[5], step.index, builder.mul(unit, number(2)))
        first = builder.mul(at, number(2 * LANES))
        places = [builder.mul(args[2], number(tile)) for tile in range(tiles)]
        vectors = [builder.gep(x, [builder.add(first, each)]) for each in places]
        multiply_piece(builder, "tdpbf16ps", piece, apart, vectors)
    for tile in range(tiles):
        there = builder.gep(out, [number(tile * SIDE * LINE)])
        store_tile(builder, tile, there)
        store_turned(
            builder, [tile_row(builder, there, row, VECTOR) for row in range(SIDE)], there
        )
    return context.get_dummy_value()


def _groups(digits: int) -> Any:
    def multiply(
        _context: Any,
        _weights: Any,
        _scales: Any,
        _x: Any,
        _factors: Any,
        _out: Any,
        _sizes: Any,
        _ahead: Any,
    ) -> Any:
        kinds = [*[types.int64] * 5, types.UniTuple(types.int64, 5), types.int64]
        return types.void(*kinds), partial(_generate_groups, digits)

    return instruction(multiply)


def _generate_groups(
    digits: int, context: Any, builder: Any, _signature: Any, args: Any
) -> Any:
    weights, scales, x, factors, out = (place(builder, each, BYTE) for each in args[:5])
    rows, chunks, groups, steps, unit = (builder.extract_value(args[5], i) for i in range(5))
    size = builder.mul(steps, unit)
    room = cgutils.alloca_once(builder, ir.ArrayType(VECTOR, SIDE))
    room = builder.bitcast(room, BYTE.as_pointer())
    sums = [cgutils.alloca_once(builder, VECTOR) for _ in range(SIDE)]
    for each in sums:
        builder.store(ZERO, each)
    width = builder.mul(groups, size)
    with (
        cgutils.for_range(builder, chunks) as chunk,
        cgutils.for_range(builder, groups) as loop,
        cgutils.for_range(builder, steps) as step,
    ):
        group = builder.add(builder.mul(chunk.index, groups), loop.index)
        at = builder.mul(builder.mul(chunk.index, rows), width)
        inside = builder.mul(step.index, unit)
        behind = builder.add(builder.mul(loop.index, size), inside)
        piece = builder.gep(weights, [builder.add(at, behind)])
        first = builder.mul(builder.mul(group, size), number(digits))
        places = [builder.add(inside, builder.mul(size, number(d))) for d in range(digits)]
        places = [builder.mul(builder.add(first, each), number(LANES)) for each in places]
        for tile in range(digits):
            call(builder, "tilezero", (tile,))
        vectors = [builder.gep(x, [each]) for each in places]
        multiply_piece(builder, "tdpbssd", piece, width, vectors)
        index = builder.add(builder.mul(loop.index, steps), step.index)
        fetch_piece(builder, builder.gep(weights, [at]), args[6], index, unit)
        own = builder.gep(scales, [builder.mul(builder.mul(group, rows), number(4))])
        factor = builder.gep(factors, [builder.mul(group, number(LINE))])
        _scale(builder, digits, room, load(builder, factor, VECTOR, 4), own, sums)
    store_turned(builder, [builder.load(each) for each in sums], out)
    return context.get_dummy_value()


def _scale(
    builder: Any, digits: int, room: Any, factor: Any, own: Any, sums: list[Any]
) -> None:
    """Adds the sums of a group, scaled by both sides, digit by digit.

    All are stored in the same small `room`: loads from places that are the same but for whole
    pages would wait for these stores.
    """
    own = builder.bitcast(own, FLOAT.as_pointer())
    for tile in range(digits):
        store_tile(builder, tile, room)
        if tile > 0:
            factor = builder.fmul(factor, ir.Constant(VECTOR, [1 / BASE] * LANES))
        for row, each in enumerate(sums):
            digit = builder.sitofp(tile_row(builder, room, row, INTS), VECTOR)
            weight = spread(builder, builder.load(builder.gep(own, [number(row)])))
            before = builder.load(each)
            if digits == 1:  # rounded as in runq.c, so that later roundings to int8 are its own
                scaled = builder.fmul(builder.fmul(digit, weight), factor)
                builder.store(builder.fadd(before, scaled), each)
            else:
                scaled = fused(builder, digit, builder.fmul(factor, weight), before)
                builder.store(scaled, each)


# `multiply(weights, x, apart, out, (columns, unit), ahead)`: sums of 16 rows in bfloat16 and 16
# or 64 vectors, (vectors, 16) float32, from addresses; the vectors of another tile are `apart`
# bytes behind, `unit` columns are multiplied at a time. What is `ahead` bytes behind the rows
# is fetched, if that is not 0.
multiply_pairs, multiply_pairs_abreast = _pairs(1), _pairs(ABREAST)
# `multiply(weights, scales, x, factors, out, (rows, chunks, groups, size, unit), ahead)`: the
# same for 16 rows of int8, see `int8.Int8Matrix`, and activations of one digit or three.
multiply_digit, multiply_three_digits = _groups(1), _groups(3)
