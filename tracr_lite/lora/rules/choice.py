"""cond and switch: one of several functions, chosen by an index.

Weights stay low-rank inside of the branches. A weight that a branch returns stays low-rank too,
if the others return one of the same form, or an array, which is a weight without a change. So
do weights that differentiation hands from a branch to its derivative.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownLambdaType=false
# (jax is typed in part only)

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import jax
import jax.core
import jax.numpy as jnp
from jax import lax

from tracr_lite.lora.implicit import Implicit
from tracr_lite.lora.interpreter import Equation, Names, Problem, Result, rule
from tracr_lite.lora.rules.calls import KEPT, Runner, Traced


@rule("cond")
def cond(equation: Equation, index: Any, *operands: Any) -> Any:
    branches = equation.params["branches"]
    if isinstance(index, Implicit):
        return NotImplemented
    consts = [const for branch in branches for const in branch.consts]
    runner = _cond(tuple(branch.jaxpr for branch in branches))
    return runner(equation, [*consts, index, *operands], len(consts))


@lru_cache(maxsize=KEPT)
def _cond(branches: tuple[Any, ...]) -> Runner:
    counts = [len(jaxpr.constvars) for jaxpr in branches]
    total = sum(counts)

    def run(names: Names, *values: Any) -> Result:
        traced: list[Traced] = []
        places: list[list[int]] = []
        for i, jaxpr in enumerate(branches):
            start = sum(counts[:i])
            where = [*range(start, start + counts[i]), *range(total + 1, len(values))]
            places.append(where)
            own = [values[j] for j in where]
            traced.append(Traced(jaxpr, own, [names[j] for j in where]))
        forms = [
            _form(list(outs)) for outs in zip(*(t.result.outs for t in traced), strict=True)
        ]

        def taken(i: int) -> Callable[..., list[Any]]:
            def branch(*values: Any) -> list[Any]:
                closed = traced[i].closed
                leaves = jax.tree_util.tree_leaves([values[j] for j in places[i]])
                outs = traced[i].restored(
                    jax.core.eval_jaxpr(closed.jaxpr, closed.consts, *leaves)
                )
                return [_in_form(x, form) for x, form in zip(outs, forms, strict=True)]

            return branch

        outs = lax.switch(values[total], [taken(i) for i in range(len(branches))], *values)
        return Result(outs, *_notes(traced, places, forms))

    return Runner(run, "cond")


def _notes(
    traced: Sequence[Traced], places: Sequence[Sequence[int]], forms: Sequence[Implicit | None]
) -> tuple[list[int | None], list[Problem]]:
    """Where the outputs come from, and the problems of all branches."""
    origins: list[int | None] = [None for _ in forms]
    problems: list[Problem] = []
    for each, where in zip(traced, places, strict=True):
        problems += [(primitive, where[i]) for primitive, i in each.result.problems]
        for k, (out, origin) in enumerate(
            zip(each.result.outs, each.result.origins, strict=True)
        ):
            if isinstance(out, Implicit) and origin is not None:
                if forms[k] is None:
                    problems.append(("cond", where[origin]))
                elif origins[k] is None:
                    origins[k] = where[origin]
    return origins, problems


def _form(outs: list[Any]) -> Implicit | None:
    """The form of an output, from those of all branches; None for a dense one."""
    weights = [x for x in outs if isinstance(x, Implicit)]
    if not weights:
        return None
    form = weights[0]
    for x in weights[1:]:
        same = (x.first_axes, x.second_axes) == (form.first_axes, form.second_axes)
        if not same or (x.first.shape, x.second.shape) != (form.first.shape, form.second.shape):
            return None
        first, second = (
            jax.ShapeDtypeStruct(one.shape, jnp.promote_types(one.dtype, two.dtype))
            for one, two in ((form.first, x.first), (form.second, x.second))
        )
        alpha = form.alpha if form.alpha == x.alpha else float(max(form.rank, 1))
        part = form.part or x.part
        form = form.replace(first=first, second=second, alpha=alpha, part=part)
    return form


def _in_form(x: Any, form: Implicit | None) -> Any:
    """A value in the form that all branches return."""
    if form is None:
        return x.dense() if isinstance(x, Implicit) else x
    if not isinstance(x, Implicit):
        zeros = (jnp.zeros(y.shape, y.dtype) for y in (form.first, form.second))
        return form.replace(**dict(zip(("w", "first", "second"), (x, *zeros), strict=True)))
    first = x.first.astype(form.first.dtype)
    if x.alpha != form.alpha:
        first = first * (x.scale / form.scale)
    return form.replace(w=x.w, first=first, second=x.second.astype(form.second.dtype))
