"""One tile of a product of matrices, in registers: numba has no word for these."""

# numba and llvmlite have few annotations.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false
# pyright: reportUntypedFunctionDecorator=false

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from tracr_lite.llama.native.edge import instruction

LANES = 16  # float32 numbers of a vector; where registers are smaller, LLVM takes several
ROWS = 8  # rows of a matrix in a tile
_FLOAT, _INT = ir.FloatType(), ir.IntType(32)
_VECTOR = ir.VectorType(_FLOAT, LANES)
_FUSED = ("contract",)  # a product and a sum with one rounding


@instruction
def multiply_tile(
    _context: Any, _weights: Any, _stride: Any, _x: Any, _count: Any, _out: Any
) -> Any:
    """`out[i, lane] = sum over k of weights[i, k] * x[k, lane]`, for `ROWS` rows and all lanes.

    Arguments are addresses of float32 and counts: `weights`, whose rows are `stride` numbers
    apart; `x` (count, LANES); the count; `out` (ROWS, LANES).
    """
    return types.void(*[types.int64] * 5), _generate


def _generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
    weights = builder.inttoptr(args[0], _FLOAT.as_pointer())
    x, out = (builder.inttoptr(args[i], _VECTOR.as_pointer()) for i in (2, 4))
    rows = [builder.mul(args[1], ir.Constant(args[1].type, row)) for row in range(ROWS)]
    zero = ir.Constant(_VECTOR, [0.0] * LANES)
    sums = [cgutils.alloca_once_value(builder, zero) for _ in range(ROWS)]
    for total in sums:  # also when this is inside a loop
        builder.store(zero, total)
    with cgutils.for_range(builder, args[3]) as loop:
        vector = _load(builder, builder.gep(x, [loop.index]))
        for row, total in zip(rows, sums, strict=True):
            weight = builder.load(builder.gep(weights, [builder.add(row, loop.index)]))
            product = builder.fmul(_spread(builder, weight), vector, flags=_FUSED)
            builder.store(builder.fadd(builder.load(total), product, flags=_FUSED), total)
    for row, total in enumerate(sums):
        place = builder.gep(out, [ir.Constant(args[1].type, row)])
        builder.store(builder.load(total), place).align = 4
    return _context.get_dummy_value()


def _load(builder: Any, place: Any) -> Any:
    found = builder.load(place)
    found.align = 4
    return found


def _spread(builder: Any, number: Any) -> Any:
    """A vector with the same number in all lanes."""
    nothing = ir.Constant(_VECTOR, ir.Undefined)
    first = builder.insert_element(nothing, number, ir.Constant(_INT, 0))
    mask = ir.Constant(ir.VectorType(_INT, LANES), [0] * LANES)
    return builder.shuffle_vector(first, nothing, mask)
