"""Functions inside of the function: jit, remat and other calls.

Their jaxprs are evaluated by the same interpreter. Each becomes one jitted function that is
kept by its jaxpr, which JAX itself keeps, so that calling twice does not compile twice.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownLambdaType=false
# (jax is typed in part only)

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import jax

from tracr_lite.lora.implicit import Implicit
from tracr_lite.lora.interpreter import STRICT, Equation, Problem, interpret, rule

KEPT = 1024  # functions in each cache


class Runner:
    """A jitted function of values, arrays or `Implicit`s, which remembers its problems.

    **Arguments:** `function`: called as `function(problems, *values)`, to append to `problems`.
    """

    def __init__(self, function: Callable[..., list[Any]], name: str, *, inline: bool = True):
        self.function = function
        self.problems: dict[Any, list[Problem]] = {}

        def run(strict: bool, *values: Any) -> list[Any]:
            problems: list[Problem] = []
            outs = self.function(problems, *values)
            self.problems[jax.tree_util.tree_structure(values)] = problems
            return outs

        run.__name__ = run.__qualname__ = name
        self.jitted = jax.jit(run, static_argnums=0, inline=inline)

    def __call__(self, equation: Equation, values: list[Any], first: int = 0) -> list[Any]:
        """Runs; reports problems with `values[i]` as those of operand `i - first`."""
        outs = self.jitted(STRICT.get(), *values)
        key = jax.tree_util.tree_structure(tuple(values))
        for primitive, i in self.problems[key]:
            equation.report(primitive, i - first)
        return outs


@lru_cache(maxsize=KEPT)
def _jitted(jaxpr: Any, name: str, inline: bool, shardings: tuple[Any, ...]) -> Runner:
    """A nested jit. `shardings`: those of the inputs, then those of the outputs."""

    def run(problems: list[Problem], *values: Any) -> list[Any]:
        count = len(jaxpr.constvars) + len(jaxpr.invars)
        result = interpret(jaxpr, [*map(_placed, values, shardings[:count])])
        problems += result.problems
        return [*map(_placed, result.outs, shardings[count:])]

    return Runner(run, name, inline=inline)


def _placed(value: Any, sharding: Any) -> Any:
    """A value with its sharding, if one was asked for."""
    if not isinstance(sharding, jax.sharding.Sharding):
        return value
    if isinstance(value, Implicit):
        return value.replace(w=jax.lax.with_sharding_constraint(value.w, sharding))
    return jax.lax.with_sharding_constraint(value, sharding)


@rule("jit", "pjit")
def jit(equation: Equation, *operands: Any) -> list[Any]:
    p = equation.params
    closed = p["jaxpr"]
    shardings = (*(None for _ in closed.consts), *p["in_shardings"], *p["out_shardings"])
    runner = _jitted(closed.jaxpr, p["name"], p["inline"], shardings)
    return runner(equation, [*closed.consts, *operands], len(closed.consts))


@rule("closed_call", "core_call", "core_closed_call")
def call(equation: Equation, *operands: Any) -> list[Any]:
    closed = equation.params.get("call_jaxpr") or equation.params["jaxpr"]
    jaxpr, consts = (closed.jaxpr, closed.consts) if hasattr(closed, "consts") else (closed, ())
    result = interpret(jaxpr, [*consts, *operands])
    for primitive, i in result.problems:
        equation.report(primitive, i - len(consts))
    return result.outs


@rule("remat2", "checkpoint", "remat")
def remat(equation: Equation, *operands: Any) -> list[Any]:
    """The same primitive again, with the jaxpr that works on the factors."""
    problems: list[Problem] = []

    def body(*values: Any) -> list[Any]:
        result = interpret(equation.params["jaxpr"], values)
        problems.extend(result.problems)
        return result.outs

    leaves, tree = jax.tree_util.tree_flatten(operands)
    closed, shape = jax.make_jaxpr(
        lambda *xs: body(*jax.tree_util.tree_unflatten(tree, xs)), return_shape=True
    )(*leaves)
    for primitive, i in problems:
        equation.report(primitive, i)
    inner = closed.jaxpr
    jaxpr = inner.replace(constvars=(), invars=[*inner.constvars, *inner.invars])
    params = {**equation.params, "jaxpr": jaxpr}
    outs = equation.eqn.primitive.bind(*closed.consts, *leaves, **params)
    return jax.tree_util.tree_unflatten(jax.tree_util.tree_structure(shape), outs)
