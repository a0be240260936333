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
from tracr_lite.lora.interpreter import STRICT, Equation, Names, interpret, rule
from tracr_lite.lora.letters import Letters, arrange, product


def _primal(equation: Equation, operands: Sequence[Any]) -> list[Any]:
    closed = equation.params["call_jaxpr"]
    names = (*(None for _ in closed.consts), *equation.names)
    result = interpret(closed.jaxpr, [*closed.consts, *operands], names)
    outs = result.dense_outs(equation.eqn.primitive.name)
    for primitive, i in result.problems:
        equation.report(primitive, i - len(closed.consts))
    return outs


@rule("custom_vjp_call", "custom_vjp_call_jaxpr")
def custom_vjp(equation: Equation, *operands: Any) -> list[Any]:
    apply = _Evaluation(equation)
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
        return apply(lambda *xs: author(xs)[0], values, equation.names), values

    def backward(values: tuple[Any, ...], cotangents: list[Any]) -> tuple[Any, ...]:
        found = apply(lambda *xs: author(xs)[1](cotangents), values, equation.names)
        every: list[Any] = [None] * len(values)
        for i, cotangent in zip(moving, found, strict=True):
            every[i] = _pulled_back(values[i], cotangent)
        return tuple(every)

    function.defvjp(forward, backward)
    return function(*operands)


@rule("custom_jvp_call")
def custom_jvp(equation: Equation, *operands: Any) -> list[Any]:
    apply, names = _Evaluation(equation), equation.names * 2

    @jax.custom_jvp
    def function(*values: Any) -> list[Any]:
        return _primal(equation, values)

    @function.defjvp
    def _(values: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[list[Any], list[Any]]:
        def push(*both: Any) -> tuple[list[Any], list[Any]]:
            xs, dxs = both[: len(values)], both[len(values) :]
            outs, changes = jax.jvp(lambda *args: equation.run(*args), xs, dxs)
            return outs, [d for x, d in zip(outs, changes, strict=True) if _inexact(x)]

        outs, changes = apply(push, (*values, *_one_factor(values, tangents)), names)
        if any(isinstance(x, Implicit) for x in values):
            others = _other_factor(values, tangents)
            _, more = apply(push, (*values, *others), names)
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


class _Evaluation:
    """Functions of dense weights, evaluated with low-rank ones; the results are dense.

    This can run after the call that it belongs to has ended, so it warns by itself: once for
    every primitive and parameter of a step.
    """

    def __init__(self, equation: Equation):
        self.step, self.strict = equation.eqn.primitive.name, STRICT.get()
        self.told: set[tuple[str, str | None]] = set()

    def __call__(
        self, function: Callable[..., Any], values: Sequence[Any], names: Names
    ) -> Any:
        where = [i for i, x in enumerate(values) if isinstance(x, Implicit)]

        def at(*weights: Any) -> Any:
            every = list(values)
            for i, weight in zip(where, weights, strict=True):
                every[i] = weight
            return function(*every)

        weights = [values[i] for i in where]
        closed, shape = jax.make_jaxpr(at, return_shape=True)(*(x.w for x in weights))
        known = [*(None for _ in closed.consts), *(names[i] for i in where)]
        token = STRICT.set(self.strict)
        try:
            result = interpret(closed.jaxpr, [*closed.consts, *weights], known)
        finally:
            STRICT.reset(token)
        outs = result.dense_outs(self.step)
        self.tell([(primitive, known[i]) for primitive, i in result.problems])
        return jax.tree_util.tree_unflatten(jax.tree_util.tree_structure(shape), outs)

    def tell(self, problems: list[tuple[str, Any]]) -> None:
        found = [each for each in dict.fromkeys(problems) if each not in self.told]
        if found and self.strict:
            raise MaterializationError(found)
        self.told.update(found)
        for primitive, name in found:
            warnings.warn(
                f"Primitive {primitive} was not handled for the low-rank weight {name!r}, in a "
                "custom derivative: it will be materialized, at the time and memory of the "
                "dense weight",
                MaterializationWarning,
                stacklevel=2,
            )
