"""What stands for a weight while a function runs: the dense part, and two factors of the rest.

    value = w + scale * sum over RANK of first * second

Each axis of a factor is named by the axis of `w` that it runs along, or is RANK. An axis of `w`
can be in one factor, in both (stacked layers), or in none (the change is the same all along
it). So transposing or reshaping a weight is mostly renaming, and never needs the product of the
factors.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# (jax is typed in part only)

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from tracr_lite.lora.letters import Letters, arrange, product
from tracr_lite.lora.weight import LoraWeight, mixed_types

RANK = -1  # the letter of the axis that the factors are multiplied over


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["w", "first", "second"],
    meta_fields=["first_axes", "second_axes", "alpha", "part"],
)
@dataclass(frozen=True, eq=False)
class Implicit:
    """A weight that is a sum of a dense array and a product of two factors.

    **Arguments:**
    - `w`: the dense part; `first`, `second`: the factors.
    - `first_axes`, `second_axes`: a letter per axis: an axis of `w`, or RANK once.
    - `alpha`: over the rank, the scale of the product.
    - `part`: some rows or columns of the weight are gone.
    """

    w: Any  # arrays, or what JAX puts there while it maps over the tree
    first: Any
    second: Any
    first_axes: Letters
    second_axes: Letters
    alpha: float = 1.0
    part: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.w.shape)

    @property
    def rank(self) -> int:
        return int(self.first.shape[self.first_axes.index(RANK)])

    @property
    def scale(self) -> float:
        return self.alpha / max(self.rank, 1)

    @property
    def sizes(self) -> dict[int, int]:
        """Letter -> size."""
        return {**dict(enumerate(self.shape)), RANK: self.rank}

    def replace(self, **changes: Any) -> Implicit:
        return dataclasses.replace(self, **changes)

    def leafwise(self, change: Callable[[Any], Any]) -> Implicit:
        """The same change, which must be linear, to all three arrays."""
        return self.replace(
            w=change(self.w), first=change(self.first), second=change(self.second)
        )

    def along(self, change: Callable[[Any, Letters], tuple[Any, Letters]]) -> Implicit:
        """A change to each factor and its letters; `w` is the caller's."""
        first, first_axes = change(self.first, self.first_axes)
        second, second_axes = change(self.second, self.second_axes)
        return self.replace(
            first=first, second=second, first_axes=first_axes, second_axes=second_axes
        )

    def renamed(self, name: Callable[[int], int]) -> Implicit:
        """The letters of the factors, changed."""

        def change(x: Any, letters: Letters) -> tuple[Any, Letters]:
            return x, tuple(n if n == RANK else name(n) for n in letters)

        return self.along(change)

    def exclusive(self) -> set[int]:
        """Axes of `w` that are in one factor only: rows and columns, not layers."""
        return set(self.first_axes) ^ set(self.second_axes)

    def dense(self) -> jax.Array:
        """The value, in the dtype of `w`."""
        axes = tuple(range(len(self.shape)))
        with mixed_types():
            delta, letters = product(
                *same_type(self.first, self.first_axes, self.second, self.second_axes),
                keep=axes,
                precision=jax.lax.Precision.HIGHEST,
            )
            delta = arrange(delta, letters, axes, self.sizes)
            return (self.w + self.scale * delta).astype(self.w.dtype)


def same_type(x: Any, xs: Letters, y: Any, ys: Letters) -> tuple[Any, Letters, Any, Letters]:
    """Both arrays in the type that holds both."""
    dtype = jnp.promote_types(x.dtype, y.dtype)
    return x.astype(dtype), xs, y.astype(dtype), ys


Value = jax.Array | Implicit


def densified(value: Any) -> Any:
    """The array that a value stands for."""
    return value.dense() if isinstance(value, Implicit) else value


def from_weight(weight: LoraWeight) -> Implicit:
    """A `LoraWeight` as a value; leading axes of size 1 in a factor are dropped."""
    n = weight.ndim
    w, b, a = (jnp.asarray(x) for x in (weight.w, weight.b, weight.a))
    b_axes = (*range(n - b.ndim, n - 1), RANK)
    a_axes = (*range(n - a.ndim, n - 2), RANK, n - 1)
    b, b_axes = _without_ones(b, b_axes, n - 2)
    a, a_axes = _without_ones(a, a_axes, n - 2)
    return Implicit(w, b, a, b_axes, a_axes, weight.alpha)


def _without_ones(x: Any, axes: Letters, leading: int) -> tuple[Any, Letters]:
    gone = tuple(i for i, n in enumerate(axes) if 0 <= n < leading and x.shape[i] == 1)
    return (
        jax.lax.squeeze(x, gone) if gone else x,
        tuple(n for i, n in enumerate(axes) if i not in gone),
    )


def to_weight(value: Implicit) -> LoraWeight | None:
    """A value as a `LoraWeight`, if its rows are in one factor and its columns in the other."""
    n = len(value.shape)
    row, column = n - 2, n - 1
    first = (value.first, value.first_axes)
    second = (value.second, value.second_axes)
    if n < 2 or not {row, column} <= value.exclusive():
        return None
    if row in value.second_axes:
        first, second = second, first
    if row not in first[1] or column not in second[1]:
        return None
    leading = tuple(range(n - 2))
    return LoraWeight(
        value.w,
        a=_in_order(*second, (*leading, RANK, column)),
        b=_in_order(*first, (*leading, row, RANK)),
        alpha=value.alpha,
    )


def _in_order(x: Any, letters: Letters, out: Letters) -> jax.Array:
    """Axes in the order of `out`, those that are not there of size 1."""
    there = [n for n in out if n in letters]
    x = arrange(x, letters, tuple(there), {})
    return jnp.expand_dims(x, tuple(i for i, n in enumerate(out) if n not in letters))
