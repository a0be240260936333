"""Whether the parameters of a model still fit its shape: they may have been edited by hand."""

# pyright: reportUnknownMemberType=false
# (jax is typed in part only)

from __future__ import annotations

from typing import Any, TypeGuard, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from tracr_lite.compiler.forward import Shape

LARGEST = 8  # bytes of a number that JAX can hold


def misfit(params: Any, shape: Shape) -> str:
    """Why `params` are not parameters of a model of this shape, in words; empty if they are."""
    return misfit_of(leaves_of(params, shape), shape)


def leaves_of(params: Any, shape: Shape) -> tuple[Any, ...]:
    """What `params` hold under each name of `shape.param_names`; None if there is nothing."""
    return tuple([_leaf(params, module, leaf) for module, leaf in shape.param_names])


def misfit_of(leaves: tuple[Any, ...], shape: Shape) -> str:
    """As `misfit`, of what `leaves_of` found."""
    sizes = [each for group in shape.param_shapes.values() for each in group.values()]
    for (module, leaf), size, array in zip(shape.param_names, sizes, leaves, strict=True):
        name = f"its parameter {module}/{leaf}"
        if array is None:
            return f"{name} is missing"
        if not _is_numbers(array):
            return f"{name} is no array of real numbers that JAX can read"
        if tuple(array.shape) != size:
            return f"{name} has the shape {list(array.shape)}; it must be {list(size)}"
        if is_on_device(array) and array.is_deleted():
            return f"{name} was deleted, as JAX does with arrays that are donated"
    return ""


def is_on_device(array: Any) -> TypeGuard[jax.Array]:
    """Whether it is an array of JAX with numbers in it, which what is traced has not."""
    return isinstance(array, jax.Array) and not isinstance(array, Tracer)


def _leaf(params: Any, module: str, leaf: str) -> Any:
    try:
        return params[module][leaf]
    except (KeyError, IndexError, TypeError):  # of dicts, of arrays, of anything else
        return None


def _is_numbers(array: Any) -> bool:
    if not isinstance(array, np.ndarray | jax.Array) or isinstance(array, np.ma.MaskedArray):
        return False
    dtype = cast(Any, array.dtype)
    if not (jnp.issubdtype(dtype, jnp.floating) or jnp.issubdtype(dtype, jnp.integer)):
        return False
    return bool(dtype.isnative and dtype.itemsize <= LARGEST)
