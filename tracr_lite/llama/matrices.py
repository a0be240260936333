"""Matrices on the device, and how they are multiplied with activations.

A matrix is (out, in), as in the file: y = W x. It is an array of float32 or bfloat16, or an
`Int8Matrix`. Sums are float32 always.
"""

# JAX leaves parts of its own signatures without types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.tree_util import register_dataclass

PRECISION = lax.Precision.HIGHEST  # GPUs would round float32 to TF32 otherwise
Activations: TypeAlias = Literal["float32", "q80"]


@register_dataclass
@dataclass(frozen=True)
class Int8Matrix:
    """A matrix in Q8_0 that stays so: `values[o, i] * scales[o, i // group]`.

    **Arguments:**
    - `values`: int8, (out, in).
    - `scales`: float32, (out, in / group).
    - `activations`: "float32" multiplies them as they are; "q80" rounds them to int8 in groups
      first, and sums integers, as runq.c does.
    """

    values: Array
    scales: Array
    activations: Activations = field(metadata={"static": True})

    @property
    def shape(self) -> tuple[int, ...]:
        """(out, in)"""
        return self.values.shape

    @property
    def group(self) -> int:
        """Numbers that share a scale."""
        return self.values.shape[1] // self.scales.shape[1]


Matrix: TypeAlias = Array | Int8Matrix


def product(matrix: Matrix, x: Array) -> Array:
    """`x W^T`: activations (..., in) to (..., out), float32."""
    rows = x.reshape(-1, x.shape[-1])
    if not isinstance(matrix, Int8Matrix):
        y = _float_product(matrix, rows)
    elif matrix.activations == "q80":
        y = _q80_product(matrix, rows)
    else:
        y = _int8_product(matrix, rows)
    return y.reshape(*x.shape[:-1], -1)


def rows_of(matrix: Matrix, ids: Array) -> Array:
    """The rows `ids` of an embedding, float32."""
    if not isinstance(matrix, Int8Matrix):
        return matrix[ids].astype(jnp.float32)
    values = matrix.values[ids].astype(jnp.float32)
    return values * jnp.repeat(matrix.scales[ids], matrix.group, axis=-1)


def _float_product(matrix: Array, x: Array) -> Array:
    x = x.astype(matrix.dtype)
    if x.shape[0] > 1:
        return _dot(x, matrix, (((1,), (1,)), ((), ())))
    lanes = _lanes(matrix.shape[0])
    parts = matrix.reshape(lanes, -1, matrix.shape[1])
    copies = jnp.broadcast_to(x, (lanes, x.shape[1]))
    return _dot(parts, copies, (((2,), (1,)), ((0,), (0,)))).reshape(1, -1)


def _dot(one: Array, two: Array, dimensions: lax.DotDimensionNumbers) -> Array:
    return lax.dot_general(
        one, two, dimensions, precision=PRECISION, preferred_element_type=jnp.float32
    )


def _lanes(rows: int) -> int:
    """Into how many parts of equal size a product with one vector is cut.

    XLA multiplies a matrix with a vector on one thread of the CPU unless the matrix is large; a
    batch of such products runs on several.
    """
    cores = _cores() if jax.default_backend() == "cpu" else 1
    return next(lanes for lanes in range(min(cores, rows), 0, -1) if rows % lanes == 0)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _int8_product(matrix: Int8Matrix, x: Array) -> Array:
    out, groups = matrix.scales.shape
    values = matrix.values.reshape(out, groups, -1).astype(jnp.float32)
    whole = (values * matrix.scales[:, :, None]).reshape(out, -1)
    return _float_product(whole, x)


def _q80_product(matrix: Int8Matrix, x: Array) -> Array:
    """Integer sums within groups, scaled and added up group after group, as runq.c does."""
    out, groups = matrix.scales.shape
    values, scales = quantize_rows(x, groups)
    weights = matrix.values.reshape(out, groups, -1)
    sums = lax.dot_general(
        values, weights, (((2,), (2,)), ((1,), (1,))), preferred_element_type=jnp.int32
    )  # (groups, rows, out)
    parts = sums.astype(jnp.float32) * matrix.scales.T[:, None, :] * scales.T[:, :, None]

    def add(total: Array, part: Array) -> tuple[Array, None]:
        return total + part, None

    return lax.scan(add, jnp.zeros_like(parts[0]), parts)[0]


def quantize_rows(x: Array, groups: int) -> tuple[Array, Array]:
    """Rows (n, in) as int8 (n, groups, in / groups) and scales (n, groups).

    Halves are rounded away from zero, as by round() in C; a group of zeros has scale 0.
    Source: llama2.c, runq.c, `quantize` (350e04f).
    """
    parts = x.reshape(x.shape[0], groups, -1)
    # Behind the barrier XLA cannot see a constant divisor, and divides instead of multiplying
    # by 1 / 127, which has other last bits.
    largest = jnp.abs(parts).max(axis=-1)
    scales = largest / lax.optimization_barrier(jnp.full_like(largest, 127.0))
    divisors = jnp.where(scales == 0, 1.0, scales)[:, :, None]
    ratios = parts / jnp.broadcast_to(divisors, parts.shape)
    rounded = jnp.trunc(ratios + jnp.copysign(0.5, ratios))
    return jnp.where(scales[:, :, None] == 0, 0.0, rounded).astype(jnp.int8), scales
