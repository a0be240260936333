"""Matrices of int8 that stay int8: Q8_0, a scale for each group of numbers of a row.

One vector or a few are multiplied in integers. Float activations are written as a sum of three
int8 digits for this, which holds them as exactly as float32 does. All groups of a chunk and all
digits are columns of one product: chunk (out, columns of W) times (columns of W, groups *
digits), where a column is zero outside its group. CPUs multiply blocks, so that sixteen columns
take no longer than one: what counts is that W is read once, as it lies.

Many vectors are multiplied with a block of rows at a time, made float32.
"""

# JAX leaves parts of its own signatures without types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.tree_util import register_dataclass

from tracr_lite.llama.arena import Arena

PRECISION = lax.Precision.HIGHEST
DIGITS = 3  # int8 digits that stand for a float32 number
FEW = 4  # vectors that are multiplied in integers together
SMALL = 32  # groups of fewer numbers would need too many columns
CHUNK = 256  # columns of a chunk, about
BLOCK = 256  # rows of a matrix that are made float32 at a time, at least
BATCH = 64  # more vectors than this are a prompt: larger blocks, other order of operands
Activations: TypeAlias = Literal["float32", "q80"]
ACTIVATIONS = ("float32", "q80")


@register_dataclass
@dataclass(frozen=True)
class Int8Matrix:
    """A matrix (out, in) in Q8_0, cut into chunks of columns; a chunk has whole groups.

    **Arguments:**
    - `values`: int8, (chunks, out, columns of a chunk).
    - `scales`: float32, (chunks, groups of a chunk, out).
    - `activations`: "float32" multiplies them as they are, up to the rounding of float32; "q80"
      rounds them to int8 in groups first, as runq.c does.
    """

    values: Array
    scales: Array
    activations: Activations = field(metadata={"static": True})

    @property
    def shape(self) -> tuple[int, int]:
        """(out, in)"""
        chunks, out, size = self.values.shape
        return out, chunks * size

    @property
    def group(self) -> int:
        """Numbers that share a scale."""
        return self.values.shape[2] // self.scales.shape[1]


def int8_matrix(
    values: np.ndarray,
    scales: np.ndarray,
    activations: Activations,
    arena: Arena | None = None,
) -> Int8Matrix:
    """From `values` (out, in) and `scales` (out, in / group), as they are in a file."""
    out, groups = scales.shape
    group = values.shape[1] // groups
    sizes = [size for size in range(1, groups + 1) if groups % size == 0]
    size = min(sizes, key=lambda size: abs(size * group - CHUNK))
    chunks = groups // size
    parts = (
        values.reshape(out, chunks, -1).swapaxes(0, 1),
        scales.reshape(out, chunks, size).transpose(1, 2, 0),
    )
    arena, found = arena or Arena(), list[Array]()
    for part in parts:
        whole = arena.empty(part.shape, part.dtype)
        whole[:] = part
        found.append(jax.device_put(whole, may_alias=True))
    return Int8Matrix(found[0], found[1], activations)


def int8_rows(matrix: Int8Matrix, ids: Array) -> Array:
    """The rows `ids`, (..., in), float32."""
    values, scales = matrix.values[:, ids], matrix.scales[:, :, ids]
    return _whole(values, jnp.moveaxis(scales, 1, -1)).reshape(*ids.shape, -1)


def int8_product(matrix: Int8Matrix, x: Array) -> Array:
    """`x W^T` for vectors (n, in)."""
    exact = matrix.activations == "float32"
    in_floats = len(x) > FEW or matrix.group < SMALL or jax.default_backend() != "cpu"
    if exact and in_floats:
        return _many(matrix, x)
    digits = DIGITS if exact else 1
    if len(x) <= FEW:
        return _few(matrix, x, digits)
    slabs = jnp.pad(x, ((0, -len(x) % FEW), (0, 0))).reshape(-1, FEW, x.shape[1])

    def multiply(slab: Array) -> Array:
        return _few(matrix, slab, digits)

    return lax.map(multiply, slabs).reshape(-1, matrix.shape[0])[: len(x)]


def _few(matrix: Int8Matrix, x: Array, digits: int) -> Array:
    chunks, out, width = matrix.values.shape
    size, n = width // matrix.group, len(x)
    found, scales = quantize_groups(x.reshape(n, -1, matrix.group).swapaxes(0, 1), digits)
    parts = found.reshape(chunks, 1, size, digits, n, matrix.group).transpose(0, 1, 3, 4, 2, 5)
    own = jnp.eye(size, dtype=bool)[:, None, None, :, None]  # column of a group, and that group
    columns = jnp.where(own, parts, jnp.int8(0)).reshape(chunks, -1, width)
    # Without the barriers XLA would exchange the operands, and widen both before a loop.
    values, columns = lax.optimization_barrier((matrix.values, columns))
    sums = lax.optimization_barrier(_integer_products(values, columns))

    def add(y: Array, chunk: tuple[Array, Array, Array]) -> tuple[Array, None]:
        sums, weight_scales, scales = chunk
        for g in range(size):
            weight = weight_scales[g, :, None]
            first = [(g * digits + d) * n for d in range(digits)]
            parts = [sums[:, at : at + n].astype(jnp.float32) for at in first]
            if digits == 1:  # in the order of runq.c
                y = y + parts[0] * weight * scales[g, 0]
            else:
                y = y + sum(part * scales[g, d] for d, part in enumerate(parts)) * weight
        return y, None

    by_chunk = scales.reshape(chunks, size, digits, n)
    zero = jnp.zeros((out, n), jnp.float32)
    return lax.scan(add, zero, (sums.reshape(chunks, out, -1), matrix.scales, by_chunk))[0].T


def _integer_products(values: Array, columns: Array) -> Array:
    """(chunks, out, width) by (chunks, n, width): (chunks, out, n); of one chunk, (out, n)."""
    if len(values) == 1:  # XLA would copy the result to take the batch of one away
        axes = (((1,), (1,)), ((), ()))
        return lax.dot_general(values[0], columns[0], axes, None, jnp.int32)
    axes = (((2,), (2,)), ((0,), (0,)))
    return lax.dot_general(values, columns, axes, None, jnp.int32)


def _many(matrix: Int8Matrix, x: Array) -> Array:
    chunks, out, width = matrix.values.shape
    rows = min(_block(len(x)), out)
    vectors = x.reshape(len(x), chunks, width).swapaxes(0, 1)
    # Tied together, else XLA would make the whole matrix float32 before a loop that changes x.
    matrix, vectors = lax.optimization_barrier((matrix, vectors))

    def block(i: Array, y: Array) -> Array:
        part = jnp.zeros((len(x), rows), jnp.float32)
        for chunk in range(chunks):
            at = (chunk, i * rows, 0)  # the last block starts earlier if it would reach out
            values = lax.dynamic_slice(matrix.values, at, (1, rows, width))[0]
            at = (chunk, 0, i * rows)
            scales = lax.dynamic_slice(matrix.scales, at, (1, matrix.scales.shape[1], rows))[0]
            part = part + _float_product(_whole(values, scales.T), vectors[chunk])
        return lax.dynamic_update_slice(y, part, (0, i * rows))

    return lax.fori_loop(0, -(-out // rows), block, jnp.zeros((len(x), out), jnp.float32))


def _block(n: int) -> int:
    """Rows that are made float32 at a time for `n` vectors; on CPUs as many as suit caches."""
    if jax.default_backend() != "cpu":
        return 1 << 30
    return BLOCK if n <= BATCH else BLOCK * 4


def _float_product(weights: Array, x: Array) -> Array:
    """`x W^T`; XLA rearranges the second operand, so the smaller one comes second on CPUs."""
    if len(x) > BATCH:
        return jnp.matmul(x, weights.T, precision=PRECISION)
    y = lax.dot_general(weights, x, (((1,), (1,)), ((), ())), PRECISION)
    return lax.optimization_barrier(y).T  # without the barrier XLA would exchange them


def _whole(values: Array, scales: Array) -> Array:
    """Numbers (..., columns) from int8 and scales (..., groups), or their chunks (c, ...)."""
    groups = values.reshape(*scales.shape, -1).astype(jnp.float32)
    numbers = (groups * scales[..., None]).reshape(values.shape)
    return numbers if values.ndim < 3 else jnp.moveaxis(numbers, 0, -2)


def quantize_groups(parts: Array, digits: int) -> tuple[Array, Array]:
    """Numbers (groups, n, size) as a sum of int8 `digits` times scales of each group.

    The first digit is what runq.c computes: scale = max / 127, halves rounded away from zero, a
    group of zeros has scale 0. Each further digit holds 254 times the rest of the one before,
    so three have an error below max / 1.6e7, like float32 itself.

    **Returns:** int8 (groups, digits, n, size), and float32 (groups, digits, n).
    Source: llama2.c, runq.c, `quantize` (350e04f).
    """
    # Behind the barrier XLA cannot see a constant divisor, and divides instead of multiplying
    # by 1 / 127, which has other last bits.
    largest = jnp.abs(parts).max(axis=-1)
    scale = largest / lax.optimization_barrier(jnp.full_like(largest, 127.0))

    def digit(rest: Array, _: None) -> tuple[Array, Array]:
        rounded = jnp.trunc(rest + jnp.copysign(0.5, rest))
        return (rest - rounded) * 254.0, rounded.astype(jnp.int8)

    # A loop, as otherwise XLA computes each digit again wherever it is used.
    ratios = parts / jnp.where(scale == 0, 1.0, scale)[..., None]
    found = lax.scan(digit, ratios, None, length=digits)[1]
    scales = jnp.stack([scale / 254.0**i for i in range(digits)], axis=1)
    return found.swapaxes(0, 1), scales
