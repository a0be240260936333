"""Attention of 16 queries at a time, one in each lane of registers; gates. As LLVM's code."""

# numba and llvmlite have few annotations.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from tracr_lite.llama.native.edge import instruction
from tracr_lite.llama.native.vectors import (
    FLOAT,
    LANES,
    VECTOR,
    ZERO,
    exponential,
    fused,
    load,
    number,
    place,
    spread,
)

ONES, MINUS_ZERO = (ir.Constant(VECTOR, [each] * LANES) for each in (1.0, -0.0))
ABREAST = 8  # sums that grow independently: places for scores, queries for mixtures


def _products(builder: Any, count: Any, read: Any) -> list[Any]:
    """The sums over `count` of numbers times a vector; `read` gives both."""
    sums = [cgutils.alloca_once(builder, VECTOR) for _ in range(ABREAST)]
    for each in sums:
        builder.store(ZERO, each)
    with cgutils.for_range(builder, count) as loop:
        numbers, vector = read(loop.index)
        for each, total in zip(numbers, sums, strict=True):
            wide = spread(builder, builder.load(each))
            builder.store(fused(builder, wide, vector, builder.load(total)), total)
    return [builder.load(each) for each in sums]


def _store(builder: Any, vector: Any, start: Any, at: Any) -> None:
    there = builder.gep(start, [at])
    builder.store(vector, builder.bitcast(there, VECTOR.as_pointer())).align = 4


@instruction
def score_places(_context: Any, _keys: Any, _queries: Any, _size: Any, _out: Any) -> Any:
    """`out[p, lane] = sum over i of keys[p, i] * queries[i, lane]` for `ABREAST` places p.

    Arguments are addresses of float32 and `size`, how many numbers a key has.
    """

    def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        keys, queries, out = (place(builder, args[i], FLOAT) for i in (0, 1, 3))

        def read(i: Any) -> tuple[list[Any], Any]:
            rows = [builder.mul(args[2], number(row)) for row in range(ABREAST)]
            numbers = [builder.gep(keys, [builder.add(row, i)]) for row in rows]
            at = builder.gep(queries, [builder.mul(i, number(LANES))])
            return numbers, load(builder, at, VECTOR, 4)

        for row, total in enumerate(_products(builder, args[2], read)):
            _store(builder, total, out, number(row * LANES))
        return context.get_dummy_value()

    return types.void(*[types.int64] * 4), generate


@instruction
def mix_values(
    _context: Any, _weights: Any, _values: Any, _size: Any, _count: Any, _out: Any
) -> Any:
    """`out[q, i] = sum over places p of weights[p, q] * values[p, i]`, for 8 q and 16 i.

    Arguments are addresses of float32, `size`, how many numbers a value has (and a row of
    `out`), and the count of places. `weights` has `LANES` columns.
    """

    def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        weights, values, out = (place(builder, args[i], FLOAT) for i in (0, 1, 4))

        def read(p: Any) -> tuple[list[Any], Any]:
            first = builder.mul(p, number(LANES))
            columns = [builder.add(first, number(q)) for q in range(ABREAST)]
            at = builder.gep(values, [builder.mul(p, args[2])])
            return [builder.gep(weights, [each]) for each in columns], load(
                builder, at, VECTOR, 4
            )

        for q, total in enumerate(_products(builder, args[3], read)):
            _store(builder, total, out, builder.mul(args[2], number(q)))
        return context.get_dummy_value()

    return types.void(*[types.int64] * 5), generate


@instruction
def soften(_context: Any, _scores: Any, _count: Any, _factor: Any, _totals: Any) -> Any:
    """Makes scores (count, LANES) their `exp(factor * (score - greatest))`, and sums them up.

    Arguments: addresses of float32, the count of places, and a positive factor.
    """

    def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        scores, totals = place(builder, args[0], FLOAT), place(builder, args[3], FLOAT)
        greatest = cgutils.alloca_once(builder, VECTOR)
        total = cgutils.alloca_once(builder, VECTOR)
        builder.store(ir.Constant(VECTOR, [float("-inf")] * LANES), greatest)
        builder.store(ZERO, total)
        factor = spread(builder, args[2])
        with cgutils.for_range(builder, args[1]) as loop:
            at = builder.gep(scores, [builder.mul(loop.index, number(LANES))])
            found, before = load(builder, at, VECTOR, 4), builder.load(greatest)
            above = builder.fcmp_ordered(">", found, before)
            builder.store(builder.select(above, found, before), greatest)
        with cgutils.for_range(builder, args[1]) as loop:
            at = builder.mul(loop.index, number(LANES))
            found = load(builder, builder.gep(scores, [at]), VECTOR, 4)
            below = builder.fsub(found, builder.load(greatest))
            weight = exponential(builder, builder.fmul(below, factor))
            _store(builder, weight, scores, at)
            builder.store(builder.fadd(builder.load(total), weight), total)
        _store(builder, builder.load(total), totals, number(0))
        return context.get_dummy_value()

    kinds = (types.int64, types.int64, types.float32, types.int64)
    return types.void(*kinds), generate


@instruction
def gate_vectors(_context: Any, _x: Any, _up: Any, _vectors: Any) -> Any:
    """`x = silu(x) * up` for so many times LANES float32, from addresses."""

    def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        x, up = place(builder, args[0], FLOAT), place(builder, args[1], FLOAT)
        with cgutils.for_range(builder, args[2]) as loop:
            at = builder.mul(loop.index, number(LANES))
            value = load(builder, builder.gep(x, [at]), VECTOR, 4)
            other = load(builder, builder.gep(up, [at]), VECTOR, 4)
            below = builder.fadd(ONES, exponential(builder, builder.fsub(MINUS_ZERO, value)))
            _store(builder, builder.fmul(builder.fdiv(value, below), other), x, at)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 3), generate
