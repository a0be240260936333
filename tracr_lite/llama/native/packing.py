"""Activations as AMX takes them: what is multiplied in one step side by side, 16 vectors each.

A float32 number becomes three int8 digits, `scale * (a + b / 254 + c / 254**2)`, where the
scale of its group is the greatest / 127. That holds it as exactly as float32 does: the error is
below the greatest / 1.6e7. Q80 keeps the first digit only, which is what runq.c computes.
"""

# numba and llvmlite have few annotations.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils

from tracr_lite.llama.native.amx import INTS, LINE
from tracr_lite.llama.native.amx_kernels import BASE
from tracr_lite.llama.native.edge import compiled, compiled_strictly, instruction
from tracr_lite.llama.native.plan import BFLOAT16, IN, KIND, Q80, SIZE, Batch
from tracr_lite.llama.native.vectors import (
    BYTE,
    FLOAT,
    INT,
    LANES,
    VECTOR,
    load,
    number,
    place,
    spread,
)

DIGITS = 3
F32 = np.float32
MAGNITUDE = 0x7FFFFFFF  # the bits without the sign: as integers, NaN is above infinity


def _put(builder: Any, numbers: Any, out: Any) -> None:
    """Stores a vector in pieces of 32 bits, one for each line of a tile."""
    size = numbers.type.count * numbers.type.element.width // INT.width
    pieces = builder.bitcast(numbers, ir.VectorType(INT, size))
    for i in range(size):
        at = builder.gep(out, [number(i * LINE)])
        piece = builder.extract_element(pieces, ir.Constant(INT, i))
        builder.store(piece, builder.bitcast(at, INT.as_pointer())).align = 4


@instruction
def put_upper_halves(_context: Any, _x: Any, _out: Any) -> Any:
    """Stores 16 float32, which are bfloat16, in pairs; from addresses."""

    def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        bits = load(builder, place(builder, args[0], BYTE), INTS, 4)
        upper = builder.lshr(bits, ir.Constant(INTS, [16] * LANES))
        halves = builder.trunc(upper, ir.VectorType(ir.IntType(16), LANES))
        _put(builder, halves, place(builder, args[1], BYTE))
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


def _digits(count: int) -> Any:
    def put(_context: Any, _x: Any, _out: Any, _apart: Any, _divisor: Any) -> Any:
        kinds = [types.int64] * 3
        return types.void(*kinds, types.float32), partial(_generate_digits, count)

    return instruction(put)


def _generate_digits(count: int, context: Any, builder: Any, _signature: Any, args: Any) -> Any:
    x, out = place(builder, args[0], BYTE), place(builder, args[1], BYTE)
    rest = builder.fdiv(load(builder, x, VECTOR, 4), spread(builder, args[3]))
    signs = ir.Constant(INTS, [-(1 << 31)] * LANES)
    halves = builder.bitcast(ir.Constant(VECTOR, [0.5] * LANES), INTS)
    for digit in range(count):
        sign = builder.and_(builder.bitcast(rest, INTS), signs)
        nudge = builder.bitcast(builder.or_(sign, halves), VECTOR)
        found = builder.fptosi(builder.fadd(rest, nudge), INTS)
        few = builder.trunc(found, ir.VectorType(BYTE, LANES))
        _put(builder, few, builder.gep(out, [builder.mul(args[2], number(digit))]))
        rest = builder.fsub(rest, builder.sitofp(found, VECTOR))
        rest = builder.fmul(rest, ir.Constant(VECTOR, [BASE] * LANES))
    return context.get_dummy_value()


_put_digit, _put_three_digits = _digits(1), _digits(DIGITS)


@instruction
def _greatest(_context: Any, _x: Any, _vectors: Any) -> Any:
    """The greatest magnitude among so many vectors; NaN if there is one."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        x, most = place(builder, args[0], BYTE), cgutils.alloca_once(builder, INTS)
        builder.store(ir.Constant(INTS, [0] * LANES), most)
        with cgutils.for_range(builder, args[1]) as loop:
            at = builder.gep(x, [builder.mul(loop.index, number(LINE))])
            bits = builder.and_(
                load(builder, at, INTS, 4), ir.Constant(INTS, [MAGNITUDE] * LANES)
            )
            above = builder.icmp_signed(">", bits, builder.load(most))
            builder.store(builder.select(above, bits, builder.load(most)), most)
        kind, name = ir.FunctionType(INT, [INTS]), f"llvm.vector.reduce.smax.v{LANES}i32"
        reduce = cgutils.get_or_insert_function(builder.module, kind, name)
        return builder.bitcast(builder.call(reduce, [builder.load(most)]), FLOAT)

    return types.float32(types.int64, types.int64), generate


@compiled_strictly
def put_digits(
    x: int, groups: int, size: int, digits: int, out: int, factors: np.ndarray, row: int
) -> None:
    """Stores the digits of each group of vector `row`, and its scale; from addresses.

    Groups with numbers that are not finite have the scale NaN, and digits of any kind.
    """
    tile, lane = row // LANES, row % LANES
    for group in range(groups):
        greatest = _greatest(x + group * size * 4, size // LANES)
        scale = F32(greatest / F32(127))
        divisor = scale if scale != 0 else F32(1)
        factors[tile, group, lane] = scale if greatest < np.inf else F32(np.nan)
        for first in range(0, size, LANES):
            there = out + (group * size * digits + first) * LANES
            here = x + (group * size + first) * 4
            if digits == 1:
                _put_digit(here, there, size * LANES, divisor)
            else:
                _put_three_digits(here, there, size * LANES, divisor)


@compiled
def pack(matrix: np.ndarray, batch: Batch, row: int) -> None:
    """Puts `given[row]` where the tiles of a matrix are multiplied with it."""
    _pack(matrix, batch.given, batch.packed, batch.factors, row)


@compiled
def _pack(
    matrix: np.ndarray, given: np.ndarray, packed: np.ndarray, factors: np.ndarray, row: int
) -> None:
    tile, lane, width = row // LANES, row % LANES, matrix[IN]
    out = packed.ctypes.data + tile * packed.shape[1] * LANES * 4 + lane * 4
    x = given.ctypes.data + row * given.shape[1] * 4
    if matrix[KIND] == BFLOAT16:
        for first in range(0, width, LANES):
            put_upper_halves(x + first * 4, out + first * 2 * LANES)
    else:
        size, digits = matrix[SIZE], 1 if matrix[KIND] == Q80 else DIGITS
        put_digits(x, width // size, size, digits, out, factors, row)
