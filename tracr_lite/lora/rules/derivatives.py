"""Functions with derivatives of their own: custom_jvp and custom_vjp.

The function itself is evaluated like any other. Its derivative must stay the one that its
author gave. So the step becomes a custom function of the factors, whose derivative is found by
tracing `jax.vjp` (or `jax.jvp`) of the step at dense weights, where JAX calls the author's
rule, and then evaluating that trace with the low-rank weights in place, like everything else.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownLambdaType=false, reportUntypedFunctionDecorator=false
# (jax is typed in part only)

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tracr_lite.lora.errors import MaterializationError, MaterializationWarning
from tracr_lite.lora.implicit import Implicit
from tracr_lite.lora.interpreter import OUTPUT, STRICT, Equation, interpret, rule
from tracr_lite.lora.letters import Letters, arrange, product


def _primal(equation: Equation, operands: Sequence[Any]) -> list[Any]:
    closed = equation.params["call_jaxpr"]
    result = interpret(closed.jaxpr, [*closed.consts, *operands])
    outs = result.dense_outs(OUTPUT)
    for primitive, i in result.problems:
        equation.report(primitive, i - len(closed.consts))
    return outs


@rule("custom_vjp_call", "custom_vjp_call_jaxpr")
def custom_vjp(equation: Equation, *operands: Any) -> list[Any]:
    strict = STRICT.get()
    moving = [i for i, x in enumerate(operands) if _inexact(x)]

    def author(xs: Sequence[Any]) -> tuple[list[Any], Callable[..., tuple[Any, ...]]]:
        """The outputs, and the author's way from their cotangents to those of the inputs."""

        def run(*some: Any) -> list[Any]:
            every = list(xs)
            for i, x in zip(moving, some, strict=True):
                every[i] = x
            return equation.run(*every)

        return jax.vjp(run, *(xs[i] for i in moving))

    @jax.custom_vjp
    def function(*values: Any) -> list[Any]:
        return _primal(equation, values)

    def forward(*values: Any) -> tuple[list[Any], tuple[Any, ...]]:
        return _apply(lambda *xs: author(xs)[0], values, strict), values

    def backward(values: tuple[Any, ...], cotangents: list[Any]) -> tuple[Any, ...]:
        found = _apply(lambda *xs: author(xs)[1](cotangents), values, strict)
        every: list[Any] = [None] * len(values)
        for i, cotangent in zip(moving, found, strict=True):
            every[i] = _pulled_back(values[i], cotangent)
        return tuple(every)

    function.defvjp(forward, backward)
    return function(*operands)


@rule("custom_jvp_call")
def custom_jvp(equation: Equation, *operands: Any) -> list[Any]:
    strict = STRICT.get()

    @jax.custom_jvp
    def function(*values: Any) -> list[Any]:
        return _primal(equation, values)

    @function.defjvp
    def _(values: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[list[Any], list[Any]]:
        def push(*both: Any) -> tuple[list[Any], list[Any]]:
            xs, dxs = both[: len(values)], both[len(values) :]
            outs, changes = jax.jvp(lambda *args: equation.run(*args), xs, dxs)
            return outs, [d for x, d in zip(outs, changes, strict=True) if _inexact(x)]

        outs, changes = _apply(push, (*values, *_one_factor(values, tangents)), strict)
        if any(isinstance(x, Implicit) for x in values):
            others = _other_factor(values, tangents)
            _, more = _apply(push, (*values, *others), strict)
            changes = [a + b for a, b in zip(changes, more, strict=True)]
        rest = iter(changes)
        return outs, [next(rest) if _inexact(x) else _no_tangent(x) for x in outs]

    return function(*operands)


def _inexact(x: Any) -> bool:
    dtype = x.w.dtype if isinstance(x, Implicit) else jnp.result_type(x)
    return bool(jnp.issubdtype(dtype, jnp.inexact))


def _no_tangent(x: Any) -> Any:
    return np.zeros(jnp.shape(x), jax.dtypes.float0)


def _pulled_back(value: Any, cotangent: Any) -> Any:
    """The cotangents of the three arrays, from that of the dense weight."""
    if not isinstance(value, Implicit):
        return cotangent
    axes = tuple(range(len(value.shape)))

    def of(other: Any, others: Letters, own: Any, letters: Letters) -> Any:
        found, names = product(
            cotangent, axes, other, others, letters, precision=jax.lax.Precision.HIGHEST
        )
        return (value.scale * arrange(found, names, letters, value.sizes)).astype(own.dtype)

    one, two = (value.first, value.first_axes), (value.second, value.second_axes)
    return value.replace(
        w=cotangent.astype(value.w.dtype), first=of(*two, *one), second=of(*one, *two)
    )


def _one_factor(values: Sequence[Any], tangents: Sequence[Any]) -> list[Any]:
    """Tangents of the dense weights, for a change of `w` and of the second factor.

    The product rule has two terms, and a derivative is linear: each term is pushed alone.
    """
    return [
        x.replace(w=d.w, second=d.second) if isinstance(x, Implicit) else d
        for x, d in zip(values, tangents, strict=True)
    ]


def _other_factor(values: Sequence[Any], tangents: Sequence[Any]) -> list[Any]:
    """Tangents for a change of the first factor alone; all other inputs stand still."""
    return [
        x.replace(w=jnp.zeros_like(d.w), first=d.first)
        if isinstance(x, Implicit)
        else (jnp.zeros_like(d) if _inexact(x) else d)
        for x, d in zip(values, tangents, strict=True)
    ]


def _apply(function: Callable[..., Any], values: Sequence[Any], strict: bool) -> Any:
    """A function of dense weights, evaluated with low-rank ones; the result is dense."""
    where = [i for i, x in enumerate(values) if isinstance(x, Implicit)]

    def at(*weights: Any) -> Any:
        every = list(values)
        for i, weight in zip(where, weights, strict=True):
            every[i] = weight
        return function(*every)

    weights = [values[i] for i in where]
    closed, shape = jax.make_jaxpr(at, return_shape=True)(*(x.w for x in weights))
    result = interpret(closed.jaxpr, [*closed.consts, *weights])
    outs = result.dense_outs(OUTPUT)
    # this can run long after the call that could have named the parameter
    names = [
        f"a weight of shape {weights[i - len(closed.consts)].shape}, in a custom derivative"
        for _, i in result.problems
    ]
    found = list(dict.fromkeys(zip((p for p, _ in result.problems), names, strict=True)))
    if found and strict:
        raise MaterializationError(found)
    for primitive, name in found:
        warnings.warn(
            f"Primitive {primitive} was not handled for {name}: it will be materialized",
            MaterializationWarning,
            stacklevel=2,
        )
    return jax.tree_util.tree_unflatten(jax.tree_util.tree_structure(shape), outs)
