"""Convolutions with a low-rank kernel, in two steps, over `rank` channels.

If one factor has the output channels and nothing else, the other one convolves first, to `rank`
channels. If one has the input channels and nothing else, as in the derivative by the input, it
brings the input to `rank` channels first, and the other one convolves these.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
# (jax is typed in part only)

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jax import lax

from tracr_lite.lora.implicit import RANK, Implicit
from tracr_lite.lora.interpreter import Equation, rule
from tracr_lite.lora.letters import Letters, arrange
from tracr_lite.lora.rules.shape import without_ones


@rule("conv_general_dilated")
def conv_general_dilated(equation: Equation, x: Any, kernel: Any) -> Any:
    """Groups have no rule: their channels are not all inputs of one product."""
    p = equation.params
    groups = p["feature_group_count"] != 1 or p["batch_group_count"] != 1
    if isinstance(x, Implicit) or groups:
        return NotImplemented
    slim, numbers = without_ones(kernel), p["dimension_numbers"]
    outs, ins = numbers.rhs_spec[:2]
    one, two = (slim.first, slim.first_axes), (slim.second, slim.second_axes)
    for (window, axes), (channels, letters) in ((one, two), (two, one)):
        if {*letters} == {outs, RANK} and outs not in axes:
            window = _with_rank(kernel, window, axes, outs)
            matrix = arrange(channels, letters, (RANK, outs), {})
            hidden = _convolved(equation, x, window)
            delta = _mixed(equation, hidden, matrix, numbers.out_spec[1])
        elif {*letters} == {ins, RANK} and ins not in axes:
            window = _with_rank(kernel, window, axes, ins)
            matrix = arrange(channels, letters, (ins, RANK), {})
            hidden = _mixed(equation, x, matrix, numbers.lhs_spec[1])
            delta = _convolved(equation, hidden, window)
        else:
            continue
        dense = equation.bind(x, kernel.w)
        return (dense + kernel.scale * delta).astype(equation.out_dtype)
    return NotImplemented


def _with_rank(kernel: Implicit, factor: Any, letters: Letters, channel: int) -> Any:
    """A factor in the layout of the kernel, with the rank in the place of some channels."""
    axes = tuple(RANK if i == channel else i for i in range(len(kernel.shape)))
    return arrange(factor, letters, axes, kernel.sizes)


def _convolved(equation: Equation, x: Any, kernel: Any) -> Any:
    p = equation.params
    dtype = jnp.promote_types(x.dtype, kernel.dtype)
    return lax.conv_general_dilated(
        x.astype(dtype),
        kernel.astype(dtype),
        p["window_strides"],
        p["padding"],
        p["lhs_dilation"],
        p["rhs_dilation"],
        p["dimension_numbers"],
        precision=p["precision"],
        preferred_element_type=jnp.promote_types(dtype, equation.out_dtype),
    )


def _mixed(equation: Equation, x: Any, matrix: Any, feature: int) -> Any:
    """The channels of x, at axis `feature`, times a matrix."""
    dtype = jnp.promote_types(x.dtype, matrix.dtype)
    mixed = lax.dot_general(
        x.astype(dtype),
        matrix.astype(dtype),
        (((feature,), (0,)), ((), ())),
        equation.params["precision"],
    )
    return jnp.moveaxis(mixed, -1, feature)
