"""Products in AMX tiles: 16 rows of a matrix with 16 vectors, as LLVM's code.

Tiles 0 to 3 hold sums, 4 a piece of the matrix as it lies in memory, 6 and 7 pieces of the
vectors, where what is multiplied in one step lies side by side: see `packing`.
Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, chapter 18.
"""

# numba and llvmlite have few annotations.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

from __future__ import annotations

from functools import partial
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from tracr_lite.llama.native.edge import instruction
from tracr_lite.llama.native.processor import compiles_amx
from tracr_lite.llama.native.tile import shuffled
from tracr_lite.llama.native.vectors import (
    BYTE,
    FLOAT,
    INT,
    LANES,
    VECTOR,
    ZERO,
    fused,
    load,
    number,
    place,
    prefetch,
    spread,
)

SIDE = 16  # rows of a tile, and numbers of 32 bits in one
LINE = 64  # bytes of a row of a tile
ABREAST = 4  # tiles of sums for as many times LANES vectors
WEIGHTS, VECTORS = 4, (6, 7)  # numbers of tiles
BASE = 254.0  # of the digits of activations, see `packing`
INTS = ir.VectorType(INT, LANES)


def call(builder: Any, name: str, tiles: tuple[int, ...], *args: Any) -> None:
    """An instruction on tiles; where there is none, a trap that nothing leads to."""
    full = f"llvm.x86.{name}"
    if not compiles_amx():
        full, tiles, args = "llvm.trap", (), ()
    kinds = [BYTE] * len(tiles) + [each.type for each in args]
    kind = ir.FunctionType(ir.VoidType(), kinds)
    given = [ir.Constant(BYTE, tile) for tile in tiles]
    builder.call(cgutils.get_or_insert_function(builder.module, kind, full), [*given, *args])


@instruction
def begin_tiles(_context: Any, _unit: Any) -> Any:
    """Says how large tiles are: rows of the matrix have `unit` bytes in one, at most 64."""

    def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        short, whole = ir.IntType(16), ir.ArrayType(BYTE, LINE)
        unit = builder.trunc(args[0], short)
        settings = cgutils.alloca_once(builder, whole)
        builder.store(ir.Constant(whole, [1] + [0] * (LINE - 1)), settings)
        start = builder.bitcast(settings, BYTE.as_pointer())

        def put(at: int, value: Any) -> None:
            there = builder.gep(start, [number(at)])
            builder.store(value, builder.bitcast(there, value.type.as_pointer())).align = 1

        for tile in range(8):
            put(16 + 2 * tile, unit if tile == WEIGHTS else ir.Constant(short, LINE))
            rows = builder.udiv(args[0], number(4)) if tile in VECTORS else number(SIDE)
            put(48 + tile, builder.trunc(rows, BYTE))
        call(builder, "ldtilecfg", (), start)
        return context.get_dummy_value()

    return types.void(types.int64), generate


@instruction
def end_tiles(_context: Any) -> Any:
    """Leaves the tiles, so that the system need not keep them any more."""

    def generate(context: Any, builder: Any, _signature: Any, _args: Any) -> Any:
        call(builder, "tilerelease", ())
        return context.get_dummy_value()

    return types.void(), generate


def _multiply(builder: Any, kind: str, weights: Any, apart: Any, vectors: list[Any]) -> None:
    """Adds to tile i the product of a piece of the matrix and the piece of `vectors[i]`."""
    call(builder, "tileloadd64", (WEIGHTS,), weights, apart)
    for i, each in enumerate(vectors):
        tile = VECTORS[i % len(VECTORS)]
        call(builder, "tileloadd64", (tile,), each, number(LINE))
        call(builder, kind, (i, WEIGHTS, tile))


def _store(builder: Any, tile: int, there: Any) -> None:
    call(builder, "tilestored64", (tile,), there, number(LINE))


def _row(builder: Any, start: Any, row: int, kind: Any) -> Any:
    return load(builder, builder.gep(start, [number(row * LINE)]), kind, 4)


def _turn(builder: Any, rows: list[Any], out: Any) -> None:
    """Stores 16 rows of 16 numbers as columns."""
    for _ in range(SIDE.bit_length() - 1):
        rows = shuffled(builder, rows)
    for i, row in enumerate(rows):
        at = builder.gep(out, [number(i * LINE)])
        builder.store(row, builder.bitcast(at, VECTOR.as_pointer())).align = 4


def _fetch(builder: Any, start: Any, ahead: Any, apart: Any) -> None:
    """Asks for the first line of each row of a piece of the matrix, if that is ahead."""
    with builder.if_then(builder.icmp_signed("!=", ahead, number(0))):
        for row in range(SIDE):
            at = builder.add(ahead, builder.mul(apart, number(row)))
            prefetch(builder, builder.gep(start, [at]))


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
        _fetch(builder, piece, args[5], apart)
        first = builder.mul(at, number(2 * LANES))
        places = [builder.mul(args[2], number(tile)) for tile in range(tiles)]
        vectors = [builder.gep(x, [builder.add(first, each)]) for each in places]
        _multiply(builder, "tdpbf16ps", piece, apart, vectors)
    for tile in range(tiles):
        there = builder.gep(out, [number(tile * SIDE * LINE)])
        _store(builder, tile, there)
        _turn(builder, [_row(builder, there, row, VECTOR) for row in range(SIDE)], there)
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
    rows, chunks, groups, size, unit = (builder.extract_value(args[5], i) for i in range(5))
    room = cgutils.alloca_once(builder, ir.ArrayType(VECTOR, digits * SIDE))
    start = builder.bitcast(room, BYTE.as_pointer())
    parts = [builder.gep(start, [number(d * SIDE * LINE)]) for d in range(digits)]
    sums = [cgutils.alloca_once(builder, VECTOR) for _ in range(SIDE)]
    for each in sums:
        builder.store(ZERO, each)
    width = builder.mul(groups, size)
    with (
        cgutils.for_range(builder, chunks) as chunk,
        cgutils.for_range(builder, groups) as loop,
    ):
        group = builder.add(builder.mul(chunk.index, groups), loop.index)
        at = builder.mul(builder.mul(chunk.index, rows), width)
        piece = builder.gep(weights, [builder.add(at, builder.mul(loop.index, size))])
        first = builder.mul(builder.mul(group, size), number(digits * LANES))
        for tile in range(digits):
            call(builder, "tilezero", (tile,))
        with cgutils.for_range(builder, builder.udiv(size, unit)) as step:
            behind = builder.mul(step.index, unit)
            places = [builder.add(behind, builder.mul(size, number(d))) for d in range(digits)]
            places = [builder.add(first, builder.mul(each, number(LANES))) for each in places]
            vectors = [builder.gep(x, [each]) for each in places]
            _multiply(builder, "tdpbssd", builder.gep(piece, [behind]), width, vectors)
        for tile, each in enumerate(parts):
            _store(builder, tile, each)
        _fetch(builder, piece, args[6], width)
        own = builder.gep(scales, [builder.mul(builder.mul(group, rows), number(4))])
        factor = builder.gep(factors, [builder.mul(group, number(LINE))])
        _scale(builder, parts, load(builder, factor, VECTOR, 4), own, sums)
    _turn(builder, [builder.load(each) for each in sums], out)
    return context.get_dummy_value()


def _scale(builder: Any, parts: list[Any], factor: Any, own: Any, sums: list[Any]) -> None:
    """Adds the sums of a group, scaled by both sides; the digits in one number first."""
    own = builder.bitcast(own, FLOAT.as_pointer())
    for row, each in enumerate(sums):
        found = ZERO
        for i, part in enumerate(parts):
            digit = builder.sitofp(_row(builder, part, row, INTS), VECTOR)
            shift = ir.Constant(VECTOR, [BASE**-i] * LANES)
            found = fused(builder, digit, shift, found) if i else digit
        weight = spread(builder, builder.load(builder.gep(own, [number(row)])))
        scaled = fused(builder, found, builder.fmul(factor, weight), builder.load(each))
        builder.store(scaled, each)


# `multiply(weights, x, apart, out, (columns, unit), ahead)`: sums of 16 rows in bfloat16 and 16
# or 64 vectors, (vectors, 16) float32, from addresses; the vectors of another tile are `apart`
# bytes behind, `unit` columns are multiplied at a time. What is `ahead` bytes behind the rows
# is fetched, if that is not 0.
multiply_pairs, multiply_pairs_abreast = _pairs(1), _pairs(ABREAST)
# `multiply(weights, scales, x, factors, out, (rows, chunks, groups, size, unit), ahead)`: the
# same for 16 rows of int8, see `int8.Int8Matrix`, and activations of one digit or three.
multiply_digit, multiply_three_digits = _groups(1), _groups(3)
