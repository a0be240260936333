"""Functions inside of the function: jit, remat and other calls.

Their jaxprs are evaluated by the same interpreter. Each becomes one jitted function that is
kept by its jaxpr, which JAX itself keeps, so that calling twice does not compile twice.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownLambdaType=false
# (jax is typed in part only)

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp

from tracr_lite.lora.implicit import Implicit
from tracr_lite.lora.interpreter import STRICT, Equation, Names, Result, interpret, rule

KEPT = 1024  # functions in each cache
NAMES: ContextVar[Names] = ContextVar("names", default=())  # of the values of a `Runner`


class Runner:
    """A jitted function of values, arrays or `Implicit`s, which remembers its problems.

    **Arguments:** `function`: called as `function(names, *values)`; returns a `Result`.
    """

    def __init__(self, function: Callable[..., Result], name: str, *, inline: bool = True):
        self.function = function
        self.results: dict[Any, Result] = {}  # without the outputs

        def run(strict: bool, *values: Any) -> list[Any]:
            result = self.function(NAMES.get(), *values)
            noted = Result([], result.origins, result.problems)
            self.results[_kind(values)] = noted
            return result.outs

        run.__name__ = run.__qualname__ = name
        self.jitted = jax.jit(run, static_argnums=0, inline=inline)

    def __call__(self, equation: Equation, values: list[Any], first: int = 0) -> Result:
        """Runs; `values[i]` is operand `i - first`."""
        token = NAMES.set((*(None for _ in range(first)), *equation.names))
        try:
            outs = self.jitted(STRICT.get(), *values)
        finally:
            NAMES.reset(token)
        noted = self.results[_kind(values)]
        return Result(outs, noted.origins, noted.problems).moved(-first)


def _kind(values: Sequence[Any]) -> Any:
    """What a function is traced anew for: structure, shapes and types."""
    leaves, tree = jax.tree_util.tree_flatten(tuple(values))
    return tree, tuple((jnp.shape(leaf), jnp.result_type(leaf)) for leaf in leaves)


@lru_cache(maxsize=KEPT)
def _jitted(jaxpr: Any, name: str, inline: bool, shardings: tuple[Any, ...]) -> Runner:
    """A nested jit. `shardings`: those of the inputs, then those of the outputs."""

    def run(names: Names, *values: Any) -> Result:
        count = len(jaxpr.constvars) + len(jaxpr.invars)
        result = interpret(jaxpr, [*map(_placed, values, shardings[:count])], names)
        outs = [*map(_placed, result.outs, shardings[count:])]
        return Result(outs, result.origins, result.problems)

    return Runner(run, name, inline=inline)


def _placed(value: Any, sharding: Any) -> Any:
    """A value with its sharding, if one was asked for."""
    if not isinstance(sharding, jax.sharding.Sharding):
        return value
    if isinstance(value, Implicit):
        return value.replace(w=jax.lax.with_sharding_constraint(value.w, sharding))
    return jax.lax.with_sharding_constraint(value, sharding)


@rule("jit", "pjit")
def jit(equation: Equation, *operands: Any) -> Result:
    p = equation.params
    closed = p["jaxpr"]
    shardings = (*(None for _ in closed.consts), *p["in_shardings"], *p["out_shardings"])
    runner = _jitted(closed.jaxpr, p["name"], p["inline"], shardings)
    return runner(equation, [*closed.consts, *operands], len(closed.consts))


@rule("closed_call", "core_call", "core_closed_call")
def call(equation: Equation, *operands: Any) -> Result:
    closed = equation.params.get("call_jaxpr") or equation.params["jaxpr"]
    jaxpr, consts = (closed.jaxpr, closed.consts) if hasattr(closed, "consts") else (closed, ())
    names = (*(None for _ in consts), *equation.names)
    return interpret(jaxpr, [*consts, *operands], names).moved(-len(consts))


@rule("remat2", "checkpoint", "remat")
def remat(equation: Equation, *operands: Any) -> Result:
    """The same primitive again, with the jaxpr that works on the factors."""
    body = Traced(equation.params["jaxpr"], operands, equation.names)
    inner = body.closed.jaxpr
    jaxpr = inner.replace(constvars=(), invars=[*inner.constvars, *inner.invars])
    params = {**equation.params, "jaxpr": jaxpr}
    leaves = jax.tree_util.tree_leaves(operands)
    outs = equation.eqn.primitive.bind(*body.closed.consts, *leaves, **params)
    return Result(body.restored(outs), body.result.origins, body.result.problems)


class Traced:
    """A jaxpr for low-rank values, as one for their arrays.

    - `closed`: the jaxpr for the arrays; `restored` makes values of its outputs.
    - `result`: with shapes in place of outputs.
    """

    def __init__(self, jaxpr: Any, values: Sequence[Any], names: Names):
        leaves, tree = jax.tree_util.tree_flatten(tuple(values))
        found: list[Result] = []

        def run(*xs: Any) -> list[Any]:
            result = interpret(jaxpr, jax.tree_util.tree_unflatten(tree, xs), names)
            found.append(result)
            return result.outs

        self.closed, shapes = jax.make_jaxpr(run, return_shape=True)(*leaves)
        self.result = Result(shapes, found[0].origins, found[0].problems)

    def restored(self, outs: Sequence[Any]) -> list[Any]:
        tree = jax.tree_util.tree_structure(self.result.outs)
        return jax.tree_util.tree_unflatten(tree, outs)
