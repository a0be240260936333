"""Pieces of LLVM's code that `tile` and `dot` are written in."""

# llvmlite has few annotations.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

from __future__ import annotations

import math
from typing import Any

from llvmlite import ir
from numba.core import cgutils

LANES = 16  # float32 numbers of a vector; where registers are smaller, LLVM takes several
FLOAT, INT, LONG, BYTE = ir.FloatType(), ir.IntType(32), ir.IntType(64), ir.IntType(8)
VECTOR = ir.VectorType(FLOAT, LANES)
ZERO = ir.Constant(VECTOR, [0.0] * LANES)
# Of exp, see `arithmetic`: x = k ln 2 + r; 16 bits, so that small multiples of it are exact.
LOG2_E, LN2_HIGH = 1 / math.log(2), 45426 / 65536
LN2_LOW = math.log(2) - LN2_HIGH
LOWEST, HIGHEST = -87.0, 88.0  # beyond them the result is not a normal number
SERIES = [1 / math.factorial(n) for n in range(8)]
_FUSED = ("contract",)  # a product and a sum with one rounding


def place(builder: Any, address: Any, kind: Any) -> Any:
    """The pointer to what lies at an address."""
    return builder.inttoptr(address, kind.as_pointer())


def number(value: int) -> Any:
    """An int64."""
    return ir.Constant(LONG, value)


def load(builder: Any, pointer: Any, kind: Any, align: int) -> Any:
    """What lies at a pointer, with no more than that alignment."""
    found = builder.load(builder.bitcast(pointer, kind.as_pointer()))
    found.align = align
    return found


def spread(builder: Any, value: Any) -> Any:
    """A vector with the same number in all lanes."""
    nothing = ir.Constant(VECTOR, ir.Undefined)
    first = builder.insert_element(nothing, value, ir.Constant(INT, 0))
    return builder.shuffle_vector(first, nothing, mask([0] * LANES))


def first_lanes(builder: Any, count: Any) -> Any:
    """Flags of the first lanes, an int64 of them."""
    kind = ir.VectorType(LONG, LANES)
    nothing = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(nothing, count, ir.Constant(INT, 0))
    same = builder.shuffle_vector(first, nothing, mask([0] * LANES))
    return builder.icmp_signed("<", ir.Constant(kind, list(range(LANES))), same)


def load_some(builder: Any, pointer: Any, flags: Any) -> Any:
    """The float32 numbers of the lanes that have a flag; zero in the others."""
    there = builder.bitcast(pointer, VECTOR.as_pointer())
    kind = ir.FunctionType(VECTOR, [there.type, INT, flags.type, VECTOR])
    name = f"llvm.masked.load.v{LANES}f32.p0"
    call = cgutils.get_or_insert_function(builder.module, kind, name)
    return builder.call(call, [there, ir.Constant(INT, 4), flags, ZERO])


def store_some(builder: Any, vector: Any, pointer: Any, flags: Any) -> None:
    """Stores the lanes that have a flag."""
    there = builder.bitcast(pointer, VECTOR.as_pointer())
    kind = ir.FunctionType(ir.VoidType(), [VECTOR, there.type, INT, flags.type])
    name = f"llvm.masked.store.v{LANES}f32.p0"
    call = cgutils.get_or_insert_function(builder.module, kind, name)
    builder.call(call, [vector, there, ir.Constant(INT, 4), flags])


def mask(lanes: list[int]) -> Any:
    """Which lanes a shuffle takes."""
    return ir.Constant(ir.VectorType(INT, len(lanes)), lanes)


def fused(builder: Any, a: Any, b: Any, c: Any) -> Any:
    """`a * b + c`"""
    return builder.fadd(builder.fmul(a, b, flags=_FUSED), c, flags=_FUSED)


def exponential(builder: Any, x: Any) -> Any:
    """exp(x) of each lane, as `arithmetic.exp`."""

    def same(value: float) -> Any:
        return ir.Constant(VECTOR, [float(value)] * LANES)

    low, high, whole = same(LOWEST), same(HIGHEST), ir.VectorType(INT, LANES)
    inside = builder.select(builder.fcmp_ordered(">", x, low), x, low)
    inside = builder.select(builder.fcmp_ordered("<", inside, high), inside, high)
    kind = ir.FunctionType(VECTOR, [VECTOR])
    name = f"llvm.floor.v{LANES}f32"
    floor = cgutils.get_or_insert_function(builder.module, kind, name)
    k = builder.call(floor, [fused(builder, inside, same(LOG2_E), same(0.5))])
    rest = fused(builder, k, same(-LN2_HIGH), inside)
    rest = fused(builder, k, same(-LN2_LOW), rest)
    series = same(SERIES[-1])
    for each in SERIES[-2::-1]:
        series = fused(builder, series, rest, same(each))
    exponent = builder.add(builder.fptosi(k, whole), ir.Constant(whole, [127] * LANES))
    power = builder.bitcast(builder.shl(exponent, ir.Constant(whole, [23] * LANES)), VECTOR)
    found = builder.fmul(series, power)
    return builder.select(builder.fcmp_unordered("uno", x, x), x, found)


def total(builder: Any, vector: Any) -> Any:
    """The sum of all lanes, in any order."""
    kind = ir.FunctionType(FLOAT, [FLOAT, VECTOR])
    name = f"llvm.vector.reduce.fadd.v{LANES}f32"
    add = cgutils.get_or_insert_function(builder.module, kind, name)
    return builder.call(add, [ir.Constant(FLOAT, 0.0), vector], fastmath=("reassoc",))


def prefetch(builder: Any, pointer: Any, near: int = 3) -> Any:
    """Asks for a cache line, into the nearest cache; with `near` of 2 into the second one."""
    kind = ir.FunctionType(ir.VoidType(), [pointer.type, INT, INT, INT])
    call = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
    return builder.call(call, [pointer, *(ir.Constant(INT, each) for each in (0, near, 1))])
