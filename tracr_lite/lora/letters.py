"""Products of arrays whose axes have names, as in einsum, without changing their layout twice.

An axis is named by an int, its letter. The result of a product keeps the letters that are asked
for; the others are summed over.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# (jax is typed in part only)

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import jax
from jax import lax

Letters = tuple[int, ...]


def product(
    x: jax.Array,
    xs: Letters,
    y: jax.Array,
    ys: Letters,
    keep: Collection[int],
    **options: Any,  # of lax.dot_general
) -> tuple[jax.Array, Letters]:
    """The product of two arrays, and its letters: shared ones, then those of x, then of y."""
    x, xs = _sum_others(x, xs, {*ys, *keep})
    y, ys = _sum_others(y, ys, {*xs, *keep})
    batch = [n for n in xs if n in ys and n in keep]
    summed = [n for n in xs if n in ys and n not in keep]
    dims = (
        ([xs.index(n) for n in summed], [ys.index(n) for n in summed]),
        ([xs.index(n) for n in batch], [ys.index(n) for n in batch]),
    )
    free = [n for n in (*xs, *ys) if n not in batch and n not in summed]
    return lax.dot_general(x, y, dims, **options), (*batch, *free)


def _sum_others(x: jax.Array, xs: Letters, keep: Collection[int]) -> tuple[jax.Array, Letters]:
    gone = tuple(i for i, n in enumerate(xs) if n not in keep)
    return (x.sum(gone), tuple(n for n in xs if n in keep)) if gone else (x, xs)


def arrange(x: jax.Array, xs: Letters, out: Letters, sizes: Mapping[int, int]) -> jax.Array:
    """Axes in the order of `out`; those that x lacks are made by repeating it."""
    order = tuple(xs.index(n) for n in out if n in xs)
    if order != tuple(range(len(xs))):
        x = lax.transpose(x, order)
    if len(xs) == len(out):
        return x
    there = tuple(i for i, n in enumerate(out) if n in xs)
    return lax.broadcast_in_dim(x, tuple(sizes[n] for n in out), there)
