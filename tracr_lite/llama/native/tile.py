"""One tile of a product of matrices, in registers: numba has no word for these."""

# numba and llvmlite have few annotations.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

from __future__ import annotations

from typing import Any

from numba import types
from numba.core import cgutils

from tracr_lite.llama.native.edge import instruction
from tracr_lite.llama.native.vectors import (
    FLOAT,
    LANES,
    VECTOR,
    ZERO,
    fused,
    load,
    mask,
    number,
    place,
    prefetch,
    spread,
)

ROWS = 16  # rows of a matrix in a tile


@instruction
def multiply_tile(
    _context: Any,
    _weights: Any,
    _stride: Any,
    _x: Any,
    _count: Any,
    _out: Any,
    _next: Any,
    _step: Any,
) -> Any:
    """`out[lane, i] = sum over k of weights[i, k] * x[k, lane]`, for `ROWS` rows and all lanes.

    Arguments are addresses of float32 and counts: `weights`, whose rows are `stride` numbers
    apart; `x` (count, LANES); the count; `out` (LANES, ROWS). Meanwhile what lies at `next` is
    fetched, `step` bytes for each k: memory is slow enough to be asked early.
    """
    return types.void(*[types.int64] * 7), _generate


def _generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
    weights, x = place(builder, args[0], FLOAT), place(builder, args[2], FLOAT)
    rows = [builder.mul(args[1], number(row)) for row in range(ROWS)]
    sums = [cgutils.alloca_once(builder, VECTOR) for _ in range(ROWS)]
    for each in sums:
        builder.store(ZERO, each)
    with cgutils.for_range(builder, args[3]) as loop:
        soon = builder.add(args[5], builder.mul(loop.index, args[6]))
        prefetch(builder, place(builder, soon, FLOAT))
        at = builder.gep(x, [builder.mul(loop.index, number(LANES))])
        vector = load(builder, at, VECTOR, 4)
        for row, each in zip(rows, sums, strict=True):
            weight = builder.load(builder.gep(weights, [builder.add(row, loop.index)]))
            added = fused(builder, spread(builder, weight), vector, builder.load(each))
            builder.store(added, each)
    turned = [builder.load(each) for each in sums]
    for _ in range(ROWS.bit_length() - 1):
        turned = shuffled(builder, turned)
    for i, vector in enumerate(turned):
        at = builder.gep(place(builder, args[4], FLOAT), [number(i * LANES)])
        builder.store(vector, builder.bitcast(at, VECTOR.as_pointer())).align = 4
    return context.get_dummy_value()


def shuffled(builder: Any, vectors: list[Any]) -> list[Any]:
    """The numbers of the first and the second half in turns, as with a pack of cards.

    That moves the highest bit of each number's place to the lowest. Three times for eight rows,
    and lane * ROWS + row is where row * LANES + lane was.
    """
    half, found = len(vectors) // 2, list[Any]()
    for one, two in zip(vectors[:half], vectors[half:], strict=True):
        for first in (0, LANES // 2):
            lanes = [first + i // 2 + LANES * (i % 2) for i in range(LANES)]
            found.append(builder.shuffle_vector(one, two, mask(lanes)))
    return found
