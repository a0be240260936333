"""Asks what would keep a program from compiling, without compiling it.

Tracr needs this because it refuses most of RASP and miscompiles some of the rest. Here nearly
all of RASP compiles, and `compile_rasp_to_model` itself lists every problem; these functions
are for code that calls them, and for looking at one input at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tracr_lite.compiler.values.domain import BadValue, checked, is_number
from tracr_lite.rasp import rasp
from tracr_lite.rasp.base import topological


@dataclass(frozen=True)
class TracrUnsupportedExpr:
    """An expression that cannot be compiled, and why."""

    expr: rasp.RASPExpr
    reason: str

    def __str__(self) -> str:
        return f"{self.expr.label}: {self.reason}"


class DynamicValidationEvaluator(rasp.DefaultRASPEvaluator):
    """The evaluator, noting expressions whose values on the input cannot be compiled.

    `unsupported_exprs` lists what was found by all calls of `evaluate` so far.
    """

    def __init__(self) -> None:
        super().__init__()
        self.unsupported_exprs: list[TracrUnsupportedExpr] = []

    def evaluate(self, expr: rasp.RASPExpr, xs: Sequence[Any]) -> Any:
        """The value of `expr` on `xs`, as the default evaluator gives it."""
        out = super().evaluate(expr, xs)
        if isinstance(expr, rasp.SOp):
            reason = _value_problem(expr, out)
            known = any(found.expr is expr for found in self.unsupported_exprs)
            if reason and not known:
                self.unsupported_exprs.append(TracrUnsupportedExpr(expr, reason))
        return out


def _value_problem(expr: rasp.SOp, values: Sequence[Any]) -> str:
    for value in values:
        try:
            plain = checked(value)
        except BadValue as error:
            return f"it holds {error.reason}: {error.suggestion}"
        if rasp.is_numerical(expr) and plain is not None and not is_number(plain):
            return f"it is numerical, but holds {plain!r}: use rasp.categorical"
    return ""


def static_validate(program: rasp.RASPExpr) -> list[TracrUnsupportedExpr]:
    """Problems that can be seen without values: unknown expressions, a selector as program."""
    found: list[TracrUnsupportedExpr] = []
    if not isinstance(program, rasp.SOp):
        found.append(
            TracrUnsupportedExpr(program, "a program is an S-Op: wrap it in Aggregate")
        )
    for expr in topological(program):
        if not isinstance(expr, rasp.SOp | rasp.Selector):
            found.append(
                TracrUnsupportedExpr(expr, f"{type(expr).__name__} is no S-Op or selector")
            )
    return found


def dynamic_validate(
    program: rasp.RASPExpr, xs: Sequence[Any] | None = None
) -> list[TracrUnsupportedExpr]:
    """Problems with the values that `program` takes on `xs`; none without an input."""
    if xs is None:
        return []
    evaluator = DynamicValidationEvaluator()
    evaluator.evaluate(program, xs)
    return evaluator.unsupported_exprs


def validate(
    program: rasp.RASPExpr, xs: Sequence[Any] | None = None
) -> list[TracrUnsupportedExpr]:
    """Static problems, and dynamic ones if an input is given."""
    return static_validate(program) + dynamic_validate(program, xs)
