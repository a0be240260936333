"""Attention of a single query, with heads that fill whole vectors. As LLVM's code.

A head of a text has few places, one behind the other: they are over before the processor sees
that memory is read in order. So what comes next is asked for early: of many heads the keys and
the values of the next one; else the values while keys are multiplied, and the keys of the next
head while values are.
"""

# numba and llvmlite have few annotations.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils

from tracr_lite.llama.native.edge import compiled, instruction
from tracr_lite.llama.native.vectors import (
    BYTE,
    FLOAT,
    LANES,
    VECTOR,
    ZERO,
    exponential,
    fused,
    load,
    number,
    place,
    prefetch,
    spread,
    total,
)

F32 = np.float32
ABREAST = 4  # places that are scored or mixed together


@compiled
def look_alone(
    keys: np.ndarray,
    values: np.ndarray,
    query: np.ndarray,
    length: int,
    size: int,
    weights: np.ndarray,
    out: np.ndarray,
    far: int,
) -> None:
    """What one query finds in the first `length` places: `out[:size]`.

    **Arguments:** `keys`, `values`: (slots, size), `size` a multiple of LANES. `weights`: room
    for `length` numbers, in whole vectors. `far`: bytes to the keys and values of what comes
    next, which are fetched meanwhile; if 0, the own values and then the keys behind are.
    """
    start, vectors = weights.ctypes.data, size // LANES
    soon = far if far else values.ctypes.data - keys.ctypes.data
    _score(keys.ctypes.data, query.ctypes.data, vectors, length, start, soon)
    whole = (length + LANES - 1) // LANES
    for place_ in range(length, whole * LANES):
        weights[place_] = F32(-np.inf)
    sum_ = _soften(start, whole, F32(F32(1) / np.sqrt(F32(size))))
    behind = keys.ctypes.data + keys.shape[0] * size * 4 - values.ctypes.data
    soon = far if far else behind
    _mix(start, values.ctypes.data, vectors, length, F32(1) / sum_, out.ctypes.data, soon)


@instruction
def _score(
    _context: Any,
    _keys: Any,
    _query: Any,
    _vectors: Any,
    _length: Any,
    _out: Any,
    _soon: Any,
) -> Any:
    """`out[p] = sum over i of keys[p, i] * query[i]`, from addresses of float32.

    What lies `soon` bytes behind a key is fetched.
    """

    def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        keys, query, out = (place(builder, args[i], FLOAT) for i in (0, 1, 4))
        vectors, length = args[2], args[3]
        size = builder.mul(vectors, number(LANES))

        def score(first: Any, count: int) -> None:
            sums = [cgutils.alloca_once(builder, VECTOR) for _ in range(count)]
            rows = [builder.add(first, number(i)) for i in range(count)]
            starts = [builder.gep(keys, [builder.mul(row, size)]) for row in rows]
            for each in sums:
                builder.store(ZERO, each)
            with cgutils.for_range(builder, vectors) as loop:
                at = builder.mul(loop.index, number(LANES))
                given = load(builder, builder.gep(query, [at]), VECTOR, 4)
                for start, each in zip(starts, sums, strict=True):
                    there = builder.gep(start, [at])
                    _fetch(builder, there, args[5])
                    key = load(builder, there, VECTOR, 4)
                    builder.store(fused(builder, key, given, builder.load(each)), each)
            for row, each in zip(rows, sums, strict=True):
                builder.store(total(builder, builder.load(each)), builder.gep(out, [row]))

        _blocks(builder, length, score)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 6), generate


@instruction
def _soften(_context: Any, _scores: Any, _vectors: Any, _factor: Any) -> Any:
    """Makes scores their `exp(factor * (score - greatest))`; the sum of all."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        scores, factor = place(builder, args[0], FLOAT), spread(builder, args[2])
        most, sums = (cgutils.alloca_once(builder, VECTOR) for _ in range(2))
        builder.store(ir.Constant(VECTOR, [float("-inf")] * LANES), most)
        builder.store(ZERO, sums)
        with cgutils.for_range(builder, args[1]) as loop:
            at = builder.gep(scores, [builder.mul(loop.index, number(LANES))])
            found, before = load(builder, at, VECTOR, 4), builder.load(most)
            above = builder.fcmp_ordered(">", found, before)
            builder.store(builder.select(above, found, before), most)
        greatest = spread(builder, _reduced_most(builder, builder.load(most)))
        with cgutils.for_range(builder, args[1]) as loop:
            at = builder.gep(scores, [builder.mul(loop.index, number(LANES))])
            below = builder.fsub(load(builder, at, VECTOR, 4), greatest)
            weight = exponential(builder, builder.fmul(below, factor))
            _store(builder, weight, at)
            builder.store(builder.fadd(builder.load(sums), weight), sums)
        return total(builder, builder.load(sums))

    return types.float32(types.int64, types.int64, types.float32), generate


@instruction
def _mix(
    _context: Any,
    _weights: Any,
    _values: Any,
    _vectors: Any,
    _length: Any,
    _factor: Any,
    _out: Any,
    _soon: Any,
) -> Any:
    """`out[i] = factor * sum over places p of weights[p] * values[p, i]`, from addresses.

    What lies `soon` bytes behind a value is fetched.
    """

    def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        weights, values, out = (place(builder, args[i], FLOAT) for i in (0, 1, 5))
        size = builder.mul(args[2], number(LANES))
        with cgutils.for_range(builder, args[2]) as column:
            at = builder.mul(column.index, number(LANES))
            sums = _zeros(builder)

            def add(first: Any, count: int, at: Any = at, sums: Any = sums) -> None:
                for i, each in enumerate(sums[:count]):
                    row = builder.add(first, number(i))
                    weight = spread(builder, builder.load(builder.gep(weights, [row])))
                    there = builder.gep(values, [builder.add(builder.mul(row, size), at)])
                    _fetch(builder, there, args[6])
                    value = load(builder, there, VECTOR, 4)
                    builder.store(fused(builder, weight, value, builder.load(each)), each)

            _blocks(builder, args[3], add)
            found = builder.load(sums[0])
            for each in sums[1:]:
                found = builder.fadd(found, builder.load(each))
            scaled = builder.fmul(found, spread(builder, args[4]))
            _store(builder, scaled, builder.gep(out, [at]))
        return context.get_dummy_value()

    return types.void(*[types.int64] * 4, types.float32, *[types.int64] * 2), generate


def _zeros(builder: Any) -> list[Any]:
    """Room for `ABREAST` vectors of sums that begin at 0."""
    sums = [cgutils.alloca_once(builder, VECTOR) for _ in range(ABREAST)]
    for each in sums:
        builder.store(ZERO, each)
    return sums


def _blocks(builder: Any, length: Any, do: Any) -> None:
    """Calls `do` for `ABREAST` places at a time, and for what is left one after another."""
    blocks = builder.udiv(length, number(ABREAST))
    with cgutils.for_range(builder, blocks) as loop:
        do(builder.mul(loop.index, number(ABREAST)), ABREAST)
    done = builder.mul(blocks, number(ABREAST))
    with cgutils.for_range(builder, builder.sub(length, done)) as loop:
        do(builder.add(done, loop.index), 1)


def _reduced_most(builder: Any, vector: Any) -> Any:
    kind = ir.FunctionType(FLOAT, [VECTOR])
    name = f"llvm.vector.reduce.fmax.v{LANES}f32"
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [vector])


def _fetch(builder: Any, pointer: Any, behind: Any) -> None:
    found = builder.bitcast(pointer, BYTE.as_pointer())
    prefetch(builder, builder.gep(found, [behind]), 2)


def _store(builder: Any, vector: Any, there: Any) -> None:
    builder.store(vector, builder.bitcast(there, VECTOR.as_pointer())).align = 4
