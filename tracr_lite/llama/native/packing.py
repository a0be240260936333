"""Activations as tiles take them: what is multiplied in one step side by side, of 16 rows.

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

from tracr_lite.llama.native.amx import INTS, LINE, SIDE
from tracr_lite.llama.native.amx_kernels import BASE
from tracr_lite.llama.native.edge import compiled, compiled_strictly, instruction, row_at
from tracr_lite.llama.native.plan import BFLOAT16, IN, KIND, Q80, SIZE, UNIT, Batch
from tracr_lite.llama.native.threads import share
from tracr_lite.llama.native.tile import shuffled
from tracr_lite.llama.native.vectors import (
    BYTE,
    FLOAT,
    INT,
    LANES,
    VECTOR,
    load,
    mask,
    number,
    place,
    spread,
)

DIGITS = 3
F32 = np.float32
MAGNITUDE = 0x7FFFFFFF  # the bits without the sign: as integers, NaN is above infinity


def _from_rows(builder: Any, args: Any) -> list[Any]:
    """16 numbers of each of 16 rows; the arguments begin with x, apart and last, see `pack`."""
    rows: list[Any] = []
    for lane in range(LANES):
        short = builder.icmp_signed(">", number(lane), args[2])
        row = builder.select(short, args[2], number(lane))
        at = builder.add(args[0], builder.mul(row, args[1]))
        rows.append(load(builder, place(builder, at, BYTE), VECTOR, 4))
    return rows


def _put(builder: Any, rows: list[Any], out: Any) -> None:
    """Stores 16 rows as columns of numbers of 32 bits."""
    size = rows[0].type.count * rows[0].type.element.width // INT.width
    few = [builder.bitcast(row, ir.VectorType(INT, size)) for row in rows]
    while len(few) > size:  # whole vectors, with several rows in each
        both = mask(list(range(2 * few[0].type.count)))
        few = [
            builder.shuffle_vector(one, other, both)
            for one, other in zip(few[::2], few[1::2], strict=True)
        ]
    for _ in range(LANES.bit_length() - 1):
        few = shuffled(builder, few)
    for i, each in enumerate(few):
        at = builder.gep(out, [number(i * LINE)])
        builder.store(each, builder.bitcast(at, INTS.as_pointer())).align = 4


@instruction
def _put_floats(_context: Any, _x: Any, _apart: Any, _last: Any, _out: Any) -> Any:
    """Stores 16 columns of rows, each as a line, from addresses; see `_from_rows`."""

    def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        rows = [builder.bitcast(row, INTS) for row in _from_rows(builder, args)]
        _put(builder, rows, place(builder, args[3], BYTE))
        return context.get_dummy_value()

    return types.void(*[types.int64] * 4), generate


@instruction
def _put_upper_halves(_context: Any, _x: Any, _apart: Any, _last: Any, _out: Any) -> Any:
    """The same for float32 that are bfloat16, two columns in a line."""

    def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        halves: list[Any] = []
        for row in _from_rows(builder, args):
            bits = builder.bitcast(row, INTS)
            upper = builder.lshr(bits, ir.Constant(INTS, [16] * LANES))
            halves.append(builder.trunc(upper, ir.VectorType(ir.IntType(16), LANES)))
        _put(builder, halves, place(builder, args[3], BYTE))
        return context.get_dummy_value()

    return types.void(*[types.int64] * 4), generate


def _digits(count: int) -> Any:
    def put(
        _context: Any,
        _x: Any,
        _apart: Any,
        _last: Any,
        _out: Any,
        _between: Any,
        _divisors: Any,
    ) -> Any:
        return types.void(*[types.int64] * 6), partial(_generate_digits, count)

    return instruction(put)


def _generate_digits(count: int, context: Any, builder: Any, _signature: Any, args: Any) -> Any:
    """Four columns in a line, digits `between` bytes apart; a divisor for each row."""
    out, divisors = place(builder, args[3], BYTE), place(builder, args[5], FLOAT)
    rests: list[Any] = []
    for lane, row in enumerate(_from_rows(builder, args)):
        divisor = builder.load(builder.gep(divisors, [number(lane)]))
        rests.append(builder.fdiv(row, spread(builder, divisor)))
    signs = ir.Constant(INTS, [-(1 << 31)] * LANES)
    halves = builder.bitcast(ir.Constant(VECTOR, [0.5] * LANES), INTS)
    for digit in range(count):
        few: list[Any] = []
        for lane, rest in enumerate(rests):
            sign = builder.and_(builder.bitcast(rest, INTS), signs)
            nudge = builder.bitcast(builder.or_(sign, halves), VECTOR)
            found = builder.fptosi(builder.fadd(rest, nudge), INTS)
            few.append(builder.trunc(found, ir.VectorType(BYTE, LANES)))
            left = builder.fsub(rest, builder.sitofp(found, VECTOR))
            rests[lane] = builder.fmul(left, ir.Constant(VECTOR, [BASE] * LANES))
        _put(builder, few, builder.gep(out, [builder.mul(args[4], number(digit))]))
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


@compiled
def pack(matrix: np.ndarray, batch: Batch, count: int, thread: int, threads: int) -> None:
    """Puts the rows of `given` side by side, as the tiles of a matrix are multiplied with them.

    Each thread takes some columns of all rows, so that no two write to the same cache lines.
    """
    apart, width = 4 * batch.given.shape[1], matrix[IN]
    grouped = matrix[UNIT] > 0 and matrix[KIND] != BFLOAT16
    first, last = share(width, matrix[SIZE] if grouped else LANES, thread, threads)
    room = batch.found.ctypes.data + thread * batch.found.shape[1] * LANES * SIDE * 4
    for tile in range((count + LANES - 1) // LANES):
        x = batch.given.ctypes.data + tile * LANES * apart
        out = batch.packed.ctypes.data + tile * batch.packed.shape[1] * LINE
        rows = min(LANES, count - tile * LANES)
        if grouped:
            _pack_groups(matrix, x, apart, rows, first, last, out, batch.factors, tile, room)
        elif matrix[UNIT] > 0:
            for k in range(first, last, LANES):
                _put_upper_halves(x + k * 4, apart, rows - 1, out + k * LINE // 2)
        else:
            whole = first + (last - first) // LANES * LANES
            for k in range(first, whole, LANES):
                _put_floats(x + k * 4, apart, rows - 1, out + k * LINE)
            for k in range(whole, last):
                for lane in range(rows):
                    batch.packed[tile, k, lane] = batch.given[tile * LANES + lane, k]


@compiled_strictly
def _pack_groups(
    matrix: np.ndarray,
    x: int,
    apart: int,
    rows: int,
    first: int,
    last: int,
    out: int,
    factors: np.ndarray,
    tile: int,
    room: int,
) -> None:
    """The digits of columns `first` to `last`, whole groups, and the scales of these.

    Groups with numbers that are not finite have the scale NaN, and digits of any kind. `room`:
    of 16 numbers, for what they are divided by.
    """
    size, digits, divisors = (
        matrix[SIZE],
        1 if matrix[KIND] == Q80 else DIGITS,
        row_at(room, 0, LANES),
    )
    for k in range(first, last, size):
        for lane in range(LANES):
            greatest = _greatest(x + min(lane, rows - 1) * apart + k * 4, size // LANES)
            scale = F32(greatest / F32(127))
            divisors[lane] = scale if scale != 0 else F32(1)
            factors[tile, k // size, lane] = scale if greatest < np.inf else F32(np.nan)
        for at in range(k, k + size, LANES):
            here, there = x + at * 4, out + (k * digits + at - k) * LANES
            if digits == 1:
                _put_digit(here, apart, rows - 1, there, size * LANES, room)
            else:
                _put_three_digits(here, apart, rows - 1, there, size * LANES, room)
