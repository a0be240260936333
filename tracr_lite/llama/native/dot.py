"""The product of one row of a matrix with one vector, in registers.

Numbers become float32, are multiplied and summed. Of a quantized row, the sums of 16 lanes are
scaled together, so that no group is summed up on its own. What comes next in memory is fetched
early: the hardware alone does so too late.
"""

# numba and llvmlite have few annotations.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from tracr_lite.llama.native.edge import instruction
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
    total,
)

AHEAD = 2048  # bytes
FAR = 12288  # bytes, where rows are read together
LINE = 64
SUMS = 4  # that grow independently, as each addition takes some cycles
ROWS = 4  # rows that are read together, so that more of memory is asked for at a time
Reader = Callable[[Any, Any], Any]


def _float32(builder: Any, found: Any) -> Any:
    return load(builder, found, VECTOR, 4)


def _bfloat16(builder: Any, found: Any) -> Any:
    """The upper halves of float32."""
    half, whole = (ir.VectorType(ir.IntType(bits), LANES) for bits in (16, 32))
    upper = builder.zext(load(builder, found, half, 2), whole)
    return builder.bitcast(builder.shl(upper, ir.Constant(whole, [16] * LANES)), VECTOR)


@instruction
def dot_float32(_context: Any, _weights: Any, _x: Any, _vectors: Any) -> Any:
    """The sum of `weights[k] * x[k]`, from addresses; how many times LANES numbers."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return _one_row(builder, args, _float32, 4)

    return types.float32(*[types.int64] * 3), generate


@instruction
def dot_bfloat16(_context: Any, _weights: Any, _x: Any, _vectors: Any) -> Any:
    """The same for weights in bfloat16."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return _one_row(builder, args, _bfloat16, 2)

    return types.float32(*[types.int64] * 3), generate


@instruction
def dots_float32(_context: Any, _weights: Any, _width: Any, _x: Any, _vectors: Any) -> Any:
    """`dot_float32` of `ROWS` rows of that width, one behind the other."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return _rows(builder, args, _float32, 4)

    return types.UniTuple(types.float32, ROWS)(*[types.int64] * 4), generate


@instruction
def dots_bfloat16(_context: Any, _weights: Any, _width: Any, _x: Any, _vectors: Any) -> Any:
    """The same for weights in bfloat16."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return _rows(builder, args, _bfloat16, 2)

    return types.UniTuple(types.float32, ROWS)(*[types.int64] * 4), generate


def _rows(builder: Any, args: Any, read: Reader, size: int) -> Any:
    """One vector of each row in turn; numbers of a row have one sum in each lane."""
    weights, x = place(builder, args[0], BYTE), place(builder, args[2], FLOAT)
    width = builder.mul(args[1], number(size))
    rows = [builder.gep(weights, [builder.mul(width, number(row))]) for row in range(ROWS)]
    sums = [cgutils.alloca_once(builder, VECTOR) for _ in range(ROWS)]
    for each in sums:
        builder.store(ZERO, each)
    with cgutils.for_range(builder, args[3]) as loop:
        at = builder.mul(loop.index, number(LANES))
        given = load(builder, builder.gep(x, [at]), VECTOR, 4)
        behind = builder.mul(at, number(size))
        for row, each in zip(rows, sums, strict=True):
            found = builder.gep(row, [behind])
            prefetch(builder, builder.gep(found, [number(FAR)]), 2)
            builder.store(fused(builder, read(builder, found), given, builder.load(each)), each)
    return cgutils.pack_array(builder, [total(builder, builder.load(each)) for each in sums])


def _one_row(builder: Any, args: Any, read: Reader, size: int) -> Any:
    """Blocks of `SUMS` vectors, and then what is left."""
    weights, x = place(builder, args[0], BYTE), place(builder, args[1], FLOAT)
    sums = [cgutils.alloca_once(builder, VECTOR) for _ in range(SUMS)]
    for each in sums:
        builder.store(ZERO, each)

    def add(vector: Any, total: Any) -> None:
        at = builder.mul(vector, number(LANES))
        there = builder.gep(weights, [builder.mul(at, number(size))])
        given = load(builder, builder.gep(x, [at]), VECTOR, 4)
        builder.store(fused(builder, read(builder, there), given, builder.load(total)), total)

    blocks = builder.udiv(args[2], number(SUMS))
    with cgutils.for_range(builder, blocks) as loop:
        first = builder.mul(loop.index, number(SUMS))
        for ahead in range(0, SUMS * LANES * size, LINE):
            behind = builder.mul(first, number(LANES * size))
            soon = builder.add(behind, number(AHEAD + ahead))
            prefetch(builder, builder.gep(weights, [soon]))
        for i, each in enumerate(sums):
            add(builder.add(first, number(i)), each)
    done = builder.mul(blocks, number(SUMS))
    with cgutils.for_range(builder, builder.sub(args[2], done)) as loop:
        add(builder.add(done, loop.index), sums[0])
    result = builder.load(sums[0])
    for each in sums[1:]:
        result = builder.fadd(result, builder.load(each))
    return total(builder, result)


@instruction
def dot_int8(
    _context: Any,
    _weights: Any,
    _scales: Any,
    _x: Any,
    _x_scales: Any,
    _out: Any,
    _chunks: Any,
    _groups: Any,
    _size: Any,
) -> Any:
    """`sum over groups of scale * x scale * sum over its numbers of weight * x`.

    Arguments are addresses and counts: `weights` and `scales` of the row in the first chunk,
    see `int8.Int8Matrix`; `x` and `x_scales`, float32; rows of the matrix; chunks, groups in a
    chunk, numbers in a group, a multiple of `LANES`.
    """
    return types.float32(*[types.int64] * 8), _generate


def _generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
    out, chunks, groups, size = args[4:]
    weights = place(builder, args[0], BYTE)
    scales, x, x_scales = (place(builder, each, FLOAT) for each in args[1:4])
    result = cgutils.alloca_once(builder, VECTOR)
    part = cgutils.alloca_once(builder, VECTOR)
    builder.store(ZERO, result)
    width = builder.mul(groups, size)
    with cgutils.for_range(builder, chunks) as chunk:
        row = builder.mul(builder.mul(chunk.index, out), width)
        with cgutils.for_range(builder, groups) as loop:
            group = builder.add(builder.mul(chunk.index, groups), loop.index)
            inside = builder.mul(loop.index, size)
            builder.store(ZERO, part)
            with cgutils.for_range(builder, builder.udiv(size, number(LANES))) as step:
                at = builder.add(inside, builder.mul(step.index, number(LANES)))
                found = builder.gep(weights, [builder.add(row, at)])
                few = load(builder, found, ir.VectorType(BYTE, LANES), 1)
                wide = builder.sitofp(builder.sext(few, ir.VectorType(INT, LANES)), VECTOR)
                behind = builder.add(
                    builder.mul(group, size), builder.mul(step.index, number(LANES))
                )
                vector = load(builder, builder.gep(x, [behind]), VECTOR, 4)
                builder.store(fused(builder, wide, vector, builder.load(part)), part)
            soon = builder.add(builder.add(row, inside), number(AHEAD))
            prefetch(builder, builder.gep(weights, [soon]))
            scale = builder.fmul(
                builder.load(builder.gep(scales, [builder.mul(group, out)])),
                builder.load(builder.gep(x_scales, [group])),
            )
            scaled = fused(
                builder, builder.load(part), spread(builder, scale), builder.load(result)
            )
            builder.store(scaled, result)
    return total(builder, builder.load(result))
