"""scan and while.

A weight that the body closes over stays low-rank inside of it. A stack of layers that a scan
runs over, [layers, in, out], is taken apart into one (w, a, b) per step. A weight that is
carried along unchanged is treated as closed over; one that is changed is carried dense. Weights
that each step hands out are stacked.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
# (jax is typed in part only)

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import jax.numpy as jnp
from jax import lax

from tracr_lite.lora.implicit import RANK, Implicit, densified
from tracr_lite.lora.interpreter import Equation, Names, Problem, Result, interpret, rule
from tracr_lite.lora.letters import Letters
from tracr_lite.lora.rules.calls import KEPT, Runner


class _Body:
    """A body with its values. `places`: which operand of the loop each of them is."""

    def __init__(
        self, jaxpr: Any, values: Sequence[Any], names: Names, places: Sequence[int], loop: str
    ):
        self.result = interpret(jaxpr, values, [names[i] for i in places])
        self.places, self.loop = places, loop

    def dense(self, first: int, last: int) -> list[Any]:
        """Some outputs as arrays."""
        return [self.result.dense(i, self.loop) for i in range(first, last)]

    @property
    def problems(self) -> list[Problem]:
        return [(primitive, self.places[i]) for primitive, i in self.result.problems]


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
        self, values: Sequence[Any], first: int, loop: str
    ) -> tuple[list[Any], list[Problem]]:
        """The initial moving values; low-rank ones have to be made dense."""
        problems = [
            (loop, first + i)
            for i, (x, moves) in enumerate(zip(values, self.moves, strict=True))
            if moves and isinstance(x, Implicit)
        ]
        return [densified(x) for x in self.moving(values)], problems


@rule("scan")
def scan(equation: Equation, *operands: Any) -> Result:
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

    def run(names: Names, *values: Any) -> Result:
        consts, init, xs = values[:num_consts], values[num_consts:first], values[first:]
        stacks = [_Stack(x) for x in xs]
        bodies: list[_Body] = []

        def body(moving: list[Any], slices: list[Any]) -> tuple[list[Any], list[Any]]:
            layers = [stack.layer(part) for stack, part in zip(stacks, slices, strict=True)]
            inside = [*consts, *carry.merged(moving, init), *layers]
            found = _Body(jaxpr, inside, names, range(len(inside)), "scan")
            bodies.append(found)
            return carry.moving(found.dense(0, num_carry)), found.result.outs[num_carry:]

        start, problems = carry.start(init, num_consts, "scan")
        slices = [stack.slices for stack in stacks]
        options = {"_split_transpose": split} if split else {}
        final, ys = lax.scan(
            body, start, slices, length, reverse=reverse, unroll=unroll, **options
        )
        origins = [*range(num_consts, first), *bodies[-1].result.origins[num_carry:]]
        outs = [*carry.merged(final, init), *map(_stacked, ys)]
        return Result(outs, origins, [*problems, *bodies[-1].problems])

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


def _stacked(y: Any) -> Any:
    """What the steps gave, one above the other: low-rank if every step gave that."""
    if not isinstance(y, Implicit):
        return y
    above = y.renamed(lambda n: n + 1)
    return above.replace(first_axes=(0, *above.first_axes), second_axes=(0, *above.second_axes))


def _leading(factor: Any, letters: Letters) -> Any:
    return jnp.moveaxis(factor, letters.index(0), 0) if 0 in letters else None


def _below(letters: Letters) -> Letters:
    """The letters after axis 0 is gone."""
    return tuple(n if n == RANK else n - 1 for n in letters if n != 0)


@rule("while")
def while_(equation: Equation, *operands: Any) -> Any:
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

    def run(names: Names, *values: Any) -> Result:
        init = values[first:]
        carried = range(first, len(values))
        bodies: list[_Body] = []

        def inside(jaxpr: Any, start: int, end: int, moving: list[Any]) -> _Body:
            every = [*values[start:end], *carry.merged(moving, init)]
            bodies.append(_Body(jaxpr, every, names, [*range(start, end), *carried], "while"))
            return bodies[-1]

        def goes_on(moving: list[Any]) -> Any:
            return inside(cond, 0, num_cond, moving).dense(0, 1)[0]

        def step(moving: list[Any]) -> list[Any]:
            return carry.moving(inside(body, num_cond, first, moving).dense(0, len(init)))

        start, problems = carry.start(init, first, "while")
        final = lax.while_loop(goes_on, step, start)
        problems += [each for found in bodies for each in found.problems]
        return Result(carry.merged(final, init), list(carried), problems)

    return Runner(run, "while_loop")
