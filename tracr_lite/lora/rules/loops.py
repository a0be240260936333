"""scan, while and cond.

A weight that the body closes over stays low-rank inside of it. A stack of layers that a scan
runs over, [layers, in, out], is taken apart into one (w, a, b) per step. A weight that is
carried along unchanged is treated as closed over; one that is changed is carried dense.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
# (jax is typed in part only)

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import jax.numpy as jnp
from jax import lax

from tracr_lite.lora.implicit import RANK, Implicit, densified
from tracr_lite.lora.interpreter import Equation, Problem, interpret, rule
from tracr_lite.lora.letters import Letters
from tracr_lite.lora.rules.calls import KEPT, Runner


def _evaluate(
    jaxpr: Any, values: Sequence[Any], places: Sequence[int], problems: list[Problem], name: str
) -> list[Any]:
    """The dense outputs of a body; `places`: which operand of the loop each value is."""
    result = interpret(jaxpr, values)
    outs = result.dense_outs(name)
    problems += [(primitive, places[i]) for primitive, i in result.problems]
    return outs


class _Carry:
    """The carried values: those that the body hands on as they are, and those that move."""

    def __init__(self, ins: Sequence[Any], outs: Sequence[Any]):
        pairs = zip(ins, outs, strict=True)
        self.moves = [before is not after for before, after in pairs]

    def moving(self, values: Sequence[Any]) -> list[Any]:
        return [x for x, moves in zip(values, self.moves, strict=True) if moves]

    def merged(self, moving: Sequence[Any], fixed: Sequence[Any]) -> list[Any]:
        """All values in order, where `fixed` has the initial ones."""
        rest = iter(moving)
        return [next(rest) if moves else x for x, moves in zip(fixed, self.moves, strict=True)]

    def start(
        self, values: Sequence[Any], first: int, problems: list[Problem], name: str
    ) -> list[Any]:
        """The initial moving values; low-rank ones have to be made dense."""
        for i, (x, moves) in enumerate(zip(values, self.moves, strict=True)):
            if moves and isinstance(x, Implicit):
                problems.append((name, first + i))
        return [densified(x) for x in self.moving(values)]


@rule("scan")
def scan(equation: Equation, *operands: Any) -> list[Any]:
    p = equation.params
    closed = p["jaxpr"]
    runner = _scan(
        closed.jaxpr,
        len(closed.consts) + p["num_consts"],
        p["num_carry"],
        (p["length"], p["reverse"], p["unroll"], p.get("_split_transpose", False)),
    )
    return runner(equation, [*closed.consts, *operands], len(closed.consts))


@lru_cache(maxsize=KEPT)
def _scan(jaxpr: Any, num_consts: int, num_carry: int, options: tuple[Any, ...]) -> Runner:
    first = num_consts + num_carry
    closed = len(jaxpr.constvars)
    carry = _Carry(
        jaxpr.invars[num_consts - closed : first - closed], jaxpr.outvars[:num_carry]
    )
    length, reverse, unroll, split = options

    def run(problems: list[Problem], *values: Any) -> list[Any]:
        consts, init, xs = values[:num_consts], values[num_consts:first], values[first:]
        stacks = [_Stack(x) for x in xs]

        def body(moving: list[Any], slices: list[Any]) -> tuple[list[Any], list[Any]]:
            layers = [stack.layer(part) for stack, part in zip(stacks, slices, strict=True)]
            inside = [*consts, *carry.merged(moving, init), *layers]
            outs = _evaluate(jaxpr, inside, range(len(inside)), problems, "scan")
            return carry.moving(outs[:num_carry]), outs[num_carry:]

        start = carry.start(init, num_consts, problems, "scan")
        slices = [stack.slices for stack in stacks]
        options = {"_split_transpose": split} if split else {}
        final, ys = lax.scan(
            body, start, slices, length, reverse=reverse, unroll=unroll, **options
        )
        return [*carry.merged(final, init), *ys]

    return Runner(run, "scan")


class _Stack:
    """What a scan runs over: an array, or a low-rank weight taken apart.

    `slices` has the arrays with a leading axis; a factor without that axis is the same for all
    steps.
    """

    def __init__(self, x: Any):
        self.x = x
        self.slices: tuple[Any, Any, Any] | Any = x
        if isinstance(x, Implicit):
            factors = [(x.first, x.first_axes), (x.second, x.second_axes)]
            self.slices = (x.w, *(_leading(*factor) for factor in factors))

    def layer(self, part: Any) -> Any:
        """The value inside of the body; a single row of a matrix is dense."""
        x = self.x
        if not isinstance(x, Implicit):
            return part
        w, first, second = part
        layer = Implicit(
            w,
            x.first if first is None else first,
            x.second if second is None else second,
            _below(x.first_axes),
            _below(x.second_axes),
            x.alpha,
            x.part,
        )
        return layer.dense() if 0 in x.exclusive() else layer


def _leading(factor: Any, letters: Letters) -> Any:
    return jnp.moveaxis(factor, letters.index(0), 0) if 0 in letters else None


def _below(letters: Letters) -> Letters:
    """The letters after axis 0 is gone."""
    return tuple(n if n == RANK else n - 1 for n in letters if n != 0)


@rule("while")
def while_(equation: Equation, *operands: Any) -> list[Any]:
    p = equation.params
    cond, body = p["cond_jaxpr"], p["body_jaxpr"]
    runner = _while(
        cond.jaxpr,
        body.jaxpr,
        len(cond.consts) + p["cond_nconsts"],
        len(body.consts) + p["body_nconsts"],
    )
    for_cond, rest = operands[: p["cond_nconsts"]], operands[p["cond_nconsts"] :]
    if cond.consts or body.consts:  # then positions of values and operands would differ
        return NotImplemented
    return runner(equation, [*for_cond, *rest])


@lru_cache(maxsize=KEPT)
def _while(cond: Any, body: Any, num_cond: int, num_body: int) -> Runner:
    first = num_cond + num_body
    carry = _Carry(body.invars[num_body:], body.outvars)

    def run(problems: list[Problem], *values: Any) -> list[Any]:
        init = values[first:]
        carried = range(first, len(values))

        def goes_on(moving: list[Any]) -> Any:
            inside = [*values[:num_cond], *carry.merged(moving, init)]
            places = [*range(num_cond), *carried]
            return _evaluate(cond, inside, places, problems, "while")[0]

        def step(moving: list[Any]) -> list[Any]:
            inside = [*values[num_cond:first], *carry.merged(moving, init)]
            places = [*range(num_cond, first), *carried]
            return carry.moving(_evaluate(body, inside, places, problems, "while"))

        final = lax.while_loop(goes_on, step, carry.start(init, first, problems, "while"))
        return carry.merged(final, init)

    return Runner(run, "while_loop")


@rule("cond")
def cond(equation: Equation, index: Any, *operands: Any) -> Any:
    branches = equation.params["branches"]
    if isinstance(index, Implicit) or any(branch.consts for branch in branches):
        return NotImplemented
    runner = _cond(tuple(branch.jaxpr for branch in branches))
    return runner(equation, [index, *operands])


@lru_cache(maxsize=KEPT)
def _cond(branches: tuple[Any, ...]) -> Runner:
    def run(problems: list[Problem], index: Any, *values: Any) -> list[Any]:
        places = range(1, len(values) + 1)

        def taken(jaxpr: Any) -> Callable[..., list[Any]]:
            return lambda *xs: _evaluate(jaxpr, xs, places, problems, "cond")

        return lax.switch(index, [taken(jaxpr) for jaxpr in branches], *values)

    return Runner(run, "cond")
