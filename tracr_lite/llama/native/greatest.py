"""The first of the greatest among numbers that lie one behind the other. As LLVM's code."""

# numba and llvmlite have few annotations.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils

from tracr_lite.llama.native.choosing import NO_TOKEN
from tracr_lite.llama.native.edge import compiled_strictly, instruction
from tracr_lite.llama.native.vectors import (
    FLOAT,
    INT,
    LANES,
    VECTOR,
    load,
    number,
    place,
    spread,
)

F32 = np.float32
INTS = ir.VectorType(INT, LANES)
FLAGS = ir.VectorType(ir.IntType(1), LANES)


@instruction
def _greatest_of_vectors(_context: Any, _scores: Any, _vectors: Any) -> Any:
    """The greatest of so many times LANES float32, where it comes first, how many are NaN.

    From an address. Of no numbers, or none above it, minus infinity at 0.
    """

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        scores = place(builder, args[0], FLOAT)
        lanes = ir.Constant(INTS, list(range(LANES)))
        best, at, there = (cgutils.alloca_once(builder, kind) for kind in (VECTOR, INTS, INTS))
        broken = cgutils.alloca_once(builder, FLAGS)
        builder.store(ir.Constant(VECTOR, [float("-inf")] * LANES), best)
        builder.store(lanes, at)
        builder.store(lanes, there)
        builder.store(ir.Constant(FLAGS, [0] * LANES), broken)
        with cgutils.for_range(builder, args[1]) as loop:
            first = builder.gep(scores, [builder.mul(loop.index, number(LANES))])
            found, before, here = (
                load(builder, first, VECTOR, 4),
                *map(builder.load, (best, at)),
            )
            above = builder.fcmp_ordered(">", found, before)
            builder.store(builder.select(above, found, before), best)
            builder.store(builder.select(above, here, builder.load(there)), there)
            nan = builder.fcmp_unordered("uno", found, found)
            builder.store(builder.or_(nan, builder.load(broken)), broken)
            builder.store(builder.add(here, ir.Constant(INTS, [LANES] * LANES)), at)
        most = _reduced(builder, "fmax", builder.load(best), "f32")
        same = builder.fcmp_ordered("==", builder.load(best), spread(builder, most))
        never = ir.Constant(INTS, [(1 << 31) - 1] * LANES)
        where = builder.select(same, builder.load(there), never)
        where = builder.zext(_reduced(builder, "smin", where, "i32"), ir.IntType(64))
        any_nan = _reduced(builder, "or", builder.load(broken), "i1")
        return cgutils.pack_array(builder, [where, builder.zext(any_nan, ir.IntType(64))])

    return types.UniTuple(types.int64, 2)(types.int64, types.int64), generate


def _reduced(builder: Any, how: str, vector: Any, lane: str) -> Any:
    """All lanes in one number."""
    kind = ir.FunctionType(vector.type.element, [vector.type])
    name = f"llvm.vector.reduce.{how}.v{LANES}{lane}"
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [vector])


@compiled_strictly
def greatest_of_block(
    scores: np.ndarray,
    first: int,
    last: int,
    best: np.ndarray,
    where: np.ndarray,
    thread: int,
    row: int,
) -> None:
    """Makes `best` and `where` those of a block, if one of its scores is greater.

    **Arguments:** `scores`: of the tokens from `first` to `last`. `best`, `where`: (threads,
    rows), what this thread has found before for a row; `where` is `NO_TOKEN` after a NaN.
    """
    whole = (last - first) // LANES * LANES
    at, broken = _greatest_of_vectors(scores.ctypes.data, whole // LANES)
    greatest = scores[at] if whole else F32(-np.inf)
    for i in range(whole, last - first):
        broken += scores[i] != scores[i]
        if scores[i] > greatest:
            greatest, at = scores[i], i
    if broken:
        where[thread, row] = NO_TOKEN
    if where[thread, row] != NO_TOKEN and greatest > best[thread, row]:
        best[thread, row], where[thread, row] = greatest, first + at
