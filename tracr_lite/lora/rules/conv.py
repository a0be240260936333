"""Convolutions with a low-rank kernel: first to `rank` channels, then a product over these."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
# (jax is typed in part only)

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jax import lax

from tracr_lite.lora.implicit import RANK, Implicit
from tracr_lite.lora.interpreter import Equation, rule
from tracr_lite.lora.letters import arrange
from tracr_lite.lora.rules.shape import without_ones


@rule("conv_general_dilated")
def conv_general_dilated(equation: Equation, x: Any, kernel: Any) -> Any:
    """One factor must have the output channels and nothing else, the other the rest.

    Groups have no rule: their channels are not all inputs of one product.
    """
    p = equation.params
    groups = p["feature_group_count"] != 1 or p["batch_group_count"] != 1
    if isinstance(x, Implicit) or groups:
        return NotImplemented
    numbers = p["dimension_numbers"]
    channel = numbers.rhs_spec[0]
    slim = without_ones(kernel)
    factors = [(slim.first, slim.first_axes), (slim.second, slim.second_axes)]
    if channel in slim.first_axes:
        factors.reverse()
    (inner, inner_axes), (outer, outer_axes) = factors
    if {*outer_axes} != {channel, RANK} or channel in inner_axes:
        return NotImplemented
    axes = tuple(RANK if i == channel else i for i in range(len(kernel.shape)))
    dtype = jnp.promote_types(x.dtype, inner.dtype)
    hidden = lax.conv_general_dilated(
        x.astype(dtype),
        arrange(inner, inner_axes, axes, kernel.sizes).astype(dtype),
        p["window_strides"],
        p["padding"],
        p["lhs_dilation"],
        p["rhs_dilation"],
        numbers,
        precision=p["precision"],
        preferred_element_type=jnp.promote_types(dtype, equation.out_dtype),
    )
    feature = numbers.out_spec[1]
    outer = arrange(outer, outer_axes, (RANK, channel), {})
    delta = lax.dot_general(
        hidden, outer.astype(hidden.dtype), (((feature,), (0,)), ((), ())), p["precision"]
    )
    dense = equation.bind(x, kernel.w)
    delta = kernel.scale * jnp.moveaxis(delta, -1, feature)
    return (dense + delta).astype(equation.out_dtype)
