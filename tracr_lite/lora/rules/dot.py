"""Products with an array on either side, or with another low-rank weight.

With value = w + s * first * second, a product with r is taken as

    r . value  =  r . w  +  s * (r . first) . second

whichever axes are summed over: rows, columns, layers, several of them, with or without batch
axes. Of the two factors, the one goes first that makes it the cheapest; their product is never
taken.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
# (jax is typed in part only)

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from jax import lax

from tracr_lite.lora.implicit import RANK, Implicit
from tracr_lite.lora.interpreter import Equation, rule
from tracr_lite.lora.letters import Letters, arrange, product

Named = tuple[Any, Letters]  # an array or an Implicit, and the letters of its axes
OWN = 1000  # from here on: letters of axes that only the right side has
OTHER_RANK = RANK - 1  # of the second low-rank weight, if there are two


@rule("dot_general")
def dot_general(equation: Equation, x: Any, y: Any) -> Any:
    (x_summed, y_summed), (x_batch, y_batch) = equation.params["dimension_numbers"]
    left = tuple(range(len(x.shape)))
    shared = dict(zip((*y_summed, *y_batch), (*x_summed, *x_batch), strict=True))
    right = tuple(shared.get(i, OWN + i) for i in range(len(y.shape)))
    free = [n for n in left if n not in (*x_summed, *x_batch)]
    out = (*x_batch, *free, *(n for n in right if n >= OWN))
    sizes = {**dict(zip(left, x.shape, strict=True)), **dict(zip(right, y.shape, strict=True))}
    chain = Chain(sizes, _precision(equation), equation.out_dtype)
    if isinstance(x, Implicit):
        both = isinstance(y, Implicit)
        dense = dot_general(equation, x.w, y) if both else equation.bind(x.w, y)
        delta, letters = chain.change((x, left), (y, right), out, is_left=True)
    else:
        dense = equation.bind(x, y.w)
        delta, letters = chain.change((y, right), (x, left), out, is_left=False)
    return (dense + arrange(delta, letters, out, sizes)).astype(equation.out_dtype)


def _precision(equation: Equation) -> Any:
    """The precision asked for; the best one in place of presets made for other types."""
    asked = equation.params["precision"]
    return asked if asked is None or isinstance(asked, lax.Precision) else lax.Precision.HIGHEST


@dataclass(frozen=True)
class Chain:
    """How products are taken: sizes of the letters, precision, and the type of the result."""

    sizes: Mapping[int, int]
    precision: Any
    dtype: Any

    def change(
        self,
        value: Named,
        other: Named,
        keep: Collection[int],
        *,
        is_left: bool,
        rank: int = RANK,
    ) -> Named:
        """What the two factors of `value` add to its product with `other`."""
        x, axes = value
        factors: list[Named] = [
            (factor, tuple(rank if n == RANK else axes[n] for n in letters))
            for factor, letters in ((x.first, x.first_axes), (x.second, x.second_axes))
        ]
        one, two = factors
        if _cost(two, one, other, keep) < _cost(one, two, other, keep):
            one, two = two, one
        inner, letters = self.multiply(one, other, {*keep, *two[1]}, is_left=is_left)
        if x.scale != 1:
            inner = inner * x.scale
        return self.pair(two, (inner, letters), keep, is_left=is_left)

    def multiply(
        self, factor: Named, other: Named, keep: Collection[int], *, is_left: bool
    ) -> Named:
        """A factor with the other side, which may be low-rank itself."""
        y, letters = other
        if not isinstance(y, Implicit):
            return self.pair(factor, other, keep, is_left=is_left)
        dense, names = self.pair(factor, (y.w, letters), keep, is_left=is_left)
        delta, others = self.change(other, factor, keep, is_left=not is_left, rank=OTHER_RANK)
        return dense + arrange(delta, others, names, self.sizes), names

    def pair(self, x: Named, y: Named, keep: Collection[int], *, is_left: bool) -> Named:
        """The product of two arrays; which is left decides the order of the axes."""
        (one, ones), (two, twos) = (x, y) if is_left else (y, x)
        dtype = jnp.promote_types(one.dtype, two.dtype)
        return product(
            one.astype(dtype),
            ones,
            two.astype(dtype),
            twos,
            keep,
            precision=self.precision,
            preferred_element_type=jnp.promote_types(dtype, self.dtype),
        )


def _cost(one: Named, two: Named, other: Named, keep: Collection[int]) -> int:
    """Multiplications for (other . one) . two."""
    sizes: dict[int, int] = {}
    for x, letters in (one, two, other):
        sizes.update(zip(letters, x.shape, strict=True))
    step = {*one[1], *other[1]}
    rest = (step & {*keep, *two[1]}) | {*two[1]}
    return math.prod(sizes[n] for n in step) + math.prod(sizes[n] for n in rest)
