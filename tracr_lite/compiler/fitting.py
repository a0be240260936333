"""Whether the parameters of a model still fit its shape: they may have been edited by hand."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from tracr_lite.compiler.forward import Shape


def misfit(params: Any, shape: Shape) -> str:
    """Why `params` are not parameters of a model of this shape, in words; empty if they are."""
    for module, group in shape.param_shapes.items():
        for leaf, sizes in group.items():
            name = f"{module}/{leaf}"
            try:
                array = params[module][leaf]
            except (KeyError, TypeError):
                return f"its parameter {name} is missing"
            if not _is_numbers(array):
                return f"its parameter {name} is no array of real numbers that JAX can read"
            if tuple(array.shape) != sizes:
                found = list(array.shape)
                return f"its parameter {name} has the shape {found}; it must be {list(sizes)}"
    return ""


def _is_numbers(array: Any) -> bool:
    dtype: Any = getattr(array, "dtype", None)
    if dtype is None or not hasattr(array, "shape") or not dtype.isnative:
        return False
    return jnp.issubdtype(dtype, jnp.floating) or jnp.issubdtype(dtype, jnp.integer)
