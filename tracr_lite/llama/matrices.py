"""Matrices on the device, and how they are multiplied with activations.

A matrix is (out, in), as in the file: y = W x. It is an array of float32 or bfloat16, or an
`Int8Matrix`. Sums are float32 always.

Decoding multiplies each matrix with one vector at a time, and then the time is that of reading
the matrix. The order of the operands matters on CPUs (jax 0.10, by measurement): where the
matrix is the first one, it is read as it lies, on all cores; as the second one it is rearranged
each time. With a single vector XLA takes another way: one core for float32, and for bfloat16 a
copy in float32 first. So there is a second vector, of zeros, which costs nothing.
"""

# JAX leaves parts of its own signatures without types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import os
from typing import TypeAlias

import jax
import jax.numpy as jnp
from jax import Array, lax

from tracr_lite.llama.int8 import Int8Matrix, int8_product, int8_rows

PRECISION = lax.Precision.HIGHEST  # GPUs would round float32 to TF32 otherwise
SMALL = 1 << 17  # numbers in a matrix that are not worth a second core
Matrix: TypeAlias = Array | Int8Matrix


def product(matrix: Matrix, x: Array) -> Array:
    """`x W^T`: activations (..., in) to (..., out), float32."""
    rows = x.reshape(-1, x.shape[-1])
    if isinstance(matrix, Int8Matrix):
        y = int8_product(matrix, rows)
    else:
        y = _float_product(matrix, rows.astype(matrix.dtype))
    return y.reshape(*x.shape[:-1], -1)


def rows_of(matrix: Matrix, ids: Array) -> Array:
    """The rows `ids` of an embedding, (..., in), float32."""
    if isinstance(matrix, Int8Matrix):
        return int8_rows(matrix, ids)
    return matrix[ids] if matrix.dtype == jnp.float32 else _widened_rows(matrix, ids)


def _widened_rows(matrix: Array, ids: Array) -> Array:
    # Tied together, else XLA would widen the whole matrix before a loop that changes the ids.
    tied: tuple[Array, Array] = lax.optimization_barrier((matrix, ids))
    return lax.optimization_barrier(tied[0][tied[1]]).astype(jnp.float32)


def _float_product(matrix: Array, x: Array) -> Array:
    rows = len(x)
    if rows == 1 and not _one_core_is_enough(matrix):
        x = jnp.pad(x, ((0, 1), (0, 0)))
    y = lax.dot_general(matrix, x, (((1,), (1,)), ((), ())), PRECISION, jnp.float32)
    # The barrier keeps XLA from exchanging the operands, so that no transposing is needed.
    return lax.optimization_barrier(y).T[:rows]


def _one_core_is_enough(matrix: Array) -> bool:
    if jax.default_backend() != "cpu":
        return True
    return matrix.dtype == jnp.float32 and (matrix.size <= SMALL or _cores() == 1)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
