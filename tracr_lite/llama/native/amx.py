"""Products in AMX tiles: 16 rows of a matrix with 16 vectors, as LLVM's code.

Tiles 0 to 3 hold sums, 4 a piece of the matrix as it lies in memory, 6 and 7 pieces of the
vectors, where what is multiplied in one step lies side by side: see `packing`.
Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, chapter 18.
"""

# numba and llvmlite have few annotations.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from tracr_lite.llama.native.edge import instruction
from tracr_lite.llama.native.processor import compiles_amx
from tracr_lite.llama.native.tile import shuffled
from tracr_lite.llama.native.vectors import (
    BYTE,
    INT,
    LANES,
    VECTOR,
    first_lanes,
    load,
    load_some,
    number,
    place,
    prefetch,
    store_some,
)

SIDE = 16  # rows of a tile, and numbers of 32 bits in one
LINE = 64  # bytes of a row of a tile
WEIGHTS, VECTORS = 4, (6, 7)  # numbers of tiles
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


def multiply_piece(
    builder: Any, kind: str, weights: Any, apart: Any, vectors: list[Any]
) -> None:
    """Adds to tile i the product of a piece of the matrix and the piece of `vectors[i]`."""
    call(builder, "tileloadd64", (WEIGHTS,), weights, apart)
    for i, each in enumerate(vectors):
        tile = VECTORS[i % len(VECTORS)]
        call(builder, "tileloadd64", (tile,), each, number(LINE))
        call(builder, kind, (i, WEIGHTS, tile))


def store_tile(builder: Any, tile: int, there: Any) -> None:
    call(builder, "tilestored64", (tile,), there, number(LINE))


def tile_row(builder: Any, start: Any, row: int, kind: Any) -> Any:
    return load(builder, builder.gep(start, [number(row * LINE)]), kind, 4)


def store_turned(builder: Any, rows: list[Any], out: Any) -> None:
    """Stores 16 rows of 16 numbers as columns."""
    for _ in range(SIDE.bit_length() - 1):
        rows = shuffled(builder, rows)
    for i, row in enumerate(rows):
        at = builder.gep(out, [number(i * LINE)])
        builder.store(row, builder.bitcast(at, VECTOR.as_pointer())).align = 4


def fetch_piece(builder: Any, rows: Any, ahead: Any, piece: Any, size: Any) -> None:
    """Asks for a piece of the next rows, of 16 times `size` bytes, if they are ahead.

    They lie one behind the other, so that each line is asked for once.
    """
    at = builder.add(ahead, builder.mul(piece, builder.mul(size, number(SIDE))))
    wanted = builder.icmp_signed("!=", ahead, number(0))
    for first in range(0, SIDE, SIDE // 2):
        more = builder.icmp_signed(">", builder.mul(size, number(SIDE)), number(first * LINE))
        with builder.if_then(builder.and_(wanted, more)):
            for line in range(first, first + SIDE // 2):
                there = builder.gep(rows, [builder.add(at, number(line * LINE))])
                prefetch(builder, there, 2)


@instruction
def put_columns(
    _context: Any, _found: Any, _out: Any, _apart: Any, _lanes: Any, _rows: Any, _adds: Any
) -> Any:
    """Stores sums (LANES, 16) where they belong, or adds them there; from addresses.

    Vectors are `apart` bytes apart in `out`; of each, as many numbers as there are `rows`.
    """

    def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        found, out = place(builder, args[0], BYTE), place(builder, args[1], BYTE)
        wanted = first_lanes(builder, args[4])
        with cgutils.for_range(builder, args[3]) as lane:
            there = builder.gep(out, [builder.mul(lane.index, args[2])])
            sums = builder.gep(found, [builder.mul(lane.index, number(LINE))])
            sums = load(builder, sums, VECTOR, 4)
            both = builder.fadd(sums, load_some(builder, there, wanted))
            both = builder.select(builder.trunc(args[5], ir.IntType(1)), both, sums)
            store_some(builder, both, there, wanted)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 5, types.boolean), generate
