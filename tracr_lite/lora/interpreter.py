"""Runs a traced function with low-rank weights in the place of some of its arrays.

`use_implicit_args(f)` traces f to a jaxpr, in which each `LoraWeight` is an array of the shape
of its `w`. The jaxpr is then evaluated equation by equation, with a table in which a variable
is either an array or an `Implicit`. Equations that read arrays only are run as they are. For
the others there are rules, in `tracr_lite.lora.rules`; each gives what the primitive would give
for the dense weight, without building it. Where there is no rule the dense weight is built, and
that is said.

All that runs are ordinary JAX operations on the three arrays, so `jit`, `grad`, `vmap` and the
rest work around it; inside of it they are equations with jaxprs of their own, which are
evaluated in the same way.

Source: the interface is that of FJFormer's xrapture (implicit arrays after the packages qax and
lorax).
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
# (jax is typed in part only)

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import jax.core
import jax.extend.core as jex

from tracr_lite.lora.implicit import Implicit, densified
from tracr_lite.lora.weight import mixed_types

Problem = tuple[str, int]  # a primitive without a rule, and the position of a value
Names = Sequence[str | None]  # of the parameters that values come from
Rule = Callable[..., Any]  # (Equation, *values) -> value, list, Result or NotImplemented

RULES: dict[str, Rule] = {}
OUTPUT = "(output)"  # in place of a primitive: a result has to be an array
STRICT: ContextVar[bool] = ContextVar("strict", default=False)  # for what runs later


def rule(*primitives: str) -> Callable[[Rule], Rule]:
    """Registers a function as the rule of primitives, by name.

    It is called as `rule(equation, *operands)` if any operand is an `Implicit`, and returns
    what the primitive would: a value, a list of values if there are several, a `Result` if they
    come from different operands, or `NotImplemented` if it does not cover the case.
    """

    def register(function: Rule) -> Rule:
        for name in primitives:
            RULES[name] = function
        return function

    return register


@dataclass(frozen=True)
class Equation:
    """One step of a jaxpr, as a rule sees it.

    - `report(primitive, i)` notes that operand i had to be made dense for a primitive.
    - `names`: per operand the parameter that it comes from.
    """

    eqn: Any
    jaxpr: Any
    report: Callable[[str, int], None]
    names: tuple[str | None, ...]

    @property
    def params(self) -> dict[str, Any]:
        return self.eqn.params

    @property
    def out_dtype(self) -> Any:
        """Of the first result."""
        return self.eqn.outvars[0].aval.dtype

    def run(self, *operands: Any) -> list[Any]:
        """All results of the step, on arrays."""
        values: dict[Any, Any] = {}
        for var, operand in zip(self.eqn.invars, operands, strict=True):
            if not isinstance(var, jex.Literal):
                values[var] = operand
        alone = self.jaxpr.replace(
            constvars=(),
            invars=list(values),
            outvars=self.eqn.outvars,
            eqns=[self.eqn],
        )
        return list(jax.core.eval_jaxpr(alone, (), *values.values()))

    def bind(self, *operands: Any) -> Any:
        """The result of a step that has one."""
        (result,) = self.run(*operands)
        return result


@dataclass
class Result:
    """What a jaxpr gave, or a rule.

    `origins`: per output the position of the value that it comes from, if it is implicit.
    """

    outs: list[Any]
    origins: list[int | None]
    problems: list[Problem] = field(default_factory=list[Problem])

    def dense(self, i: int, reason: str) -> Any:
        """Output i as an array; `reason` says for what it was made dense, if it was not."""
        out, origin = self.outs[i], self.origins[i]
        if isinstance(out, Implicit) and origin is not None:
            self.problems.append((reason, origin))
        return densified(out)

    def dense_outs(self, reason: str) -> list[Any]:
        """All outputs as arrays."""
        return [self.dense(i, reason) for i in range(len(self.outs))]

    def moved(self, by: int) -> Result:
        """With other positions: `by` more."""
        return Result(
            self.outs,
            [None if i is None else i + by for i in self.origins],
            [(primitive, i + by) for primitive, i in self.problems],
        )


def interpret(jaxpr: Any, values: Sequence[Any], names: Names) -> Result:
    """Evaluates a jaxpr.

    **Arguments:** `values`: for its constants, then for its inputs; arrays or `Implicit`s.
    """
    run = _Run(jaxpr, names)
    for i, (var, value) in enumerate(
        zip((*jaxpr.constvars, *jaxpr.invars), values, strict=True)
    ):
        run.write(var, value, i)
    with mixed_types():
        for eqn in jaxpr.eqns:
            run.step(eqn)
    outs = [run.read(var) for var in jaxpr.outvars]
    return Result(outs, [run.origin(var) for var in jaxpr.outvars], run.problems)


class _Run:
    """The values of the variables while a jaxpr is evaluated."""

    def __init__(self, jaxpr: Any, names: Names):
        self.jaxpr, self.names = jaxpr, names
        self.values: dict[Any, Any] = {}
        self.built: dict[Any, Any] = {}  # dense forms of implicit values
        self.origins: dict[Any, int] = {}
        self.problems: list[Problem] = []

    def read(self, var: Any) -> Any:
        return var.val if isinstance(var, jex.Literal) else self.values[var]

    def write(self, var: Any, value: Any, origin: int | None) -> None:
        self.values[var] = value
        if isinstance(value, Implicit) and origin is not None:
            self.origins[var] = origin

    def dense(self, var: Any) -> Any:
        value = self.read(var)
        if not isinstance(value, Implicit):
            return value
        if var not in self.built:
            self.built[var] = value.dense()
        return self.built[var]

    def step(self, eqn: Any) -> None:
        operands = [self.read(var) for var in eqn.invars]
        where = [i for i, x in enumerate(operands) if isinstance(x, Implicit)]
        name = eqn.primitive.name

        def report(primitive: str, operand: int) -> None:
            self.problems.append((primitive, self.origins[eqn.invars[operand]]))

        names = self.names_of(eqn) if where else ()
        equation = Equation(eqn, self.jaxpr, report, names)
        results: Any = NotImplemented
        if where and name in RULES:
            with eqn.ctx.manager:
                results = RULES[name](equation, *operands)
        if results is NotImplemented:
            for i in where:
                report(name, i)
            results = equation.run(*(self.dense(var) for var in eqn.invars))
        if not isinstance(results, Result):
            outs: list[Any] = results if isinstance(results, list) else [results]
            results = Result(outs, [where[0] if where else None] * len(outs))
        for primitive, i in results.problems:
            report(primitive, i)
        for var, value, i in zip(eqn.outvars, results.outs, results.origins, strict=True):
            self.write(var, value, None if i is None else self.origin(eqn.invars[i]))

    def origin(self, var: Any) -> int | None:
        """The input that the value of a variable comes from, if it is implicit."""
        return None if isinstance(var, jex.Literal) else self.origins.get(var)

    def names_of(self, eqn: Any) -> tuple[str | None, ...]:
        """Per operand the parameter that it comes from."""
        return tuple(None if i is None else self.names[i] for i in map(self.origin, eqn.invars))
