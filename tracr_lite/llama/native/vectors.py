"""Pieces of LLVM's code that `tile` and `dot` are written in."""

# llvmlite has few annotations.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils

LANES = 16  # float32 numbers of a vector; where registers are smaller, LLVM takes several
FLOAT, INT, LONG, BYTE = ir.FloatType(), ir.IntType(32), ir.IntType(64), ir.IntType(8)
VECTOR = ir.VectorType(FLOAT, LANES)
ZERO = ir.Constant(VECTOR, [0.0] * LANES)
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


def mask(lanes: list[int]) -> Any:
    """Which lanes a shuffle takes."""
    return ir.Constant(ir.VectorType(INT, len(lanes)), lanes)


def fused(builder: Any, a: Any, b: Any, c: Any) -> Any:
    """`a * b + c`"""
    return builder.fadd(builder.fmul(a, b, flags=_FUSED), c, flags=_FUSED)


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
