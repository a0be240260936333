"""Steps that only rename or scale: transpose, reshape, cast, multiply by a number."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
# (jax is typed in part only)

from __future__ import annotations

import math
from typing import Any

import jax.numpy as jnp
from jax import lax

from tracr_lite.lora.implicit import RANK, Implicit
from tracr_lite.lora.interpreter import Equation, Result, rule
from tracr_lite.lora.letters import Letters


@rule("transpose")
def transpose(equation: Equation, x: Implicit) -> Implicit:
    place = {old: new for new, old in enumerate(equation.params["permutation"])}
    return x.replace(w=equation.bind(x.w)).renamed(lambda n: place[n])


@rule("convert_element_type")
def convert_element_type(equation: Equation, x: Implicit) -> Any:
    """All three are cast. Casts to integers are not linear, so they have no rule."""
    dtype = equation.params["new_dtype"]
    if not jnp.issubdtype(dtype, jnp.inexact):
        return NotImplemented
    cast = x.leafwise(lambda leaf: leaf.astype(dtype))
    return cast.replace(w=equation.bind(x.w))


@rule("copy", "copy_p", "stop_gradient", "name")
def leafwise(equation: Equation, x: Implicit) -> Implicit:
    return x.leafwise(equation.bind)


@rule("sharding_constraint")
def sharding_constraint(equation: Equation, x: Implicit) -> Implicit:
    """The constraint is one of the dense weight; the small factors are left to XLA."""
    return x.replace(w=equation.bind(x.w))


@rule("optimization_barrier")
def optimization_barrier(equation: Equation, *xs: Any) -> Result:
    return Result(list(lax.optimization_barrier(xs)), list(range(len(xs))))


@rule("neg")
def neg(equation: Equation, x: Implicit) -> Implicit:
    return x.replace(w=equation.bind(x.w), alpha=-x.alpha)


@rule("mul")
def mul(equation: Equation, x: Any, y: Any) -> Any:
    """By a number, on either side."""
    value, number = (x, y) if isinstance(x, Implicit) else (y, x)
    if isinstance(number, Implicit) or jnp.ndim(number) != 0 or not value.shape:
        return NotImplemented
    w = equation.bind(*((value.w, number) if value is x else (number, value.w)))
    return value.replace(w=w, first=value.first * jnp.asarray(number, value.first.dtype))


@rule("div")
def div(equation: Equation, x: Any, y: Any) -> Any:
    """By a number."""
    if isinstance(y, Implicit) or jnp.ndim(y) != 0 or not x.shape:
        return NotImplemented
    first = x.first / jnp.asarray(y, x.first.dtype)
    return x.replace(w=equation.bind(x.w, y), first=first)


@rule("add", "add_any", "sub")
def add(equation: Equation, x: Any, y: Any) -> Any:
    """Some rows of a weight, plus activations: the sum is activations, so it is dense."""
    if isinstance(x, Implicit) and isinstance(y, Implicit):
        return NotImplemented
    value = x if isinstance(x, Implicit) else y
    if not value.part:
        return NotImplemented
    return equation.bind(*(v.dense() if v is value else v for v in (x, y)))


@rule("squeeze")
def squeeze(equation: Equation, x: Implicit) -> Any:
    return reshaped(x, equation.bind(x.w))


@rule("expand_dims")
def expand_dims(equation: Equation, x: Implicit) -> Any:
    return reshaped(x, equation.bind(x.w))


@rule("reshape")
def reshape(equation: Equation, x: Implicit, *sizes: Any) -> Any:
    if sizes or equation.params["dimensions"] is not None:
        return NotImplemented
    return reshaped(x, equation.bind(x.w))


@rule("broadcast_in_dim")
def broadcast_in_dim(equation: Equation, x: Implicit, *sizes: Any) -> Any:
    """New axes are in no factor: the change is the same all along them."""
    if sizes:
        return NotImplemented
    place = equation.params["broadcast_dimensions"]
    wide = without_ones(x)
    return wide.replace(w=equation.bind(x.w)).renamed(lambda n: place[n])


def without_ones(x: Implicit) -> Implicit:
    """Axes of size 1 dropped from the factors."""

    def change(factor: Any, letters: Letters) -> tuple[Any, Letters]:
        gone = tuple(i for i, n in enumerate(letters) if n != RANK and factor.shape[i] == 1)
        return (
            lax.squeeze(factor, gone) if gone else factor,
            tuple(n for i, n in enumerate(letters) if i not in gone),
        )

    return x.along(change)


def reshaped(x: Implicit, w: Any) -> Any:
    """A weight with `w` for its dense part, which is `x.w` in another shape.

    Possible if the axes that are merged or split are all in the same factors.
    """
    x = without_ones(x)
    blocks = _blocks(x.shape, tuple(w.shape))
    factors = (x.first, x.first_axes), (x.second, x.second_axes)
    for olds, _ in blocks:
        if any(0 < len({*olds} & {*letters}) < len(olds) for _, letters in factors):
            return NotImplemented

    def change(factor: Any, letters: Letters) -> tuple[Any, Letters]:
        kept = [block for block in blocks if {*block[0]} & {*letters}]
        order = [letters.index(old) for olds, _ in kept for old in olds]
        factor = lax.transpose(factor, (*order, letters.index(RANK)))
        names = [new for _, news in kept for new in news]
        sizes = [w.shape[new] for new in names]
        return factor.reshape(*sizes, factor.shape[-1]), (*names, RANK)

    return x.replace(w=w).along(change)


def _blocks(old: Letters, new: Letters) -> list[tuple[list[int], list[int]]]:
    """The smallest blocks of neighbouring axes with as many elements before as after.

    Axes of size 1 are left out: no factor has them.
    """
    olds = [i for i, n in enumerate(old) if n != 1]
    news = [i for i, n in enumerate(new) if n != 1]
    blocks: list[tuple[list[int], list[int]]] = []
    while olds:
        one, two = [olds.pop(0)], [news.pop(0)]
        while (a := math.prod(old[i] for i in one)) != (b := math.prod(new[i] for i in two)):
            if a < b:
                one.append(olds.pop(0))
            else:
                two.append(news.pop(0))
        blocks.append((one, two))
    return blocks
