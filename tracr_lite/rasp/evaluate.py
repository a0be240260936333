"""The reference interpreter: what a program means, position by position.

    evaluate(expr, xs):  inputs first, each expression once, without recursion

A subclass may override `evaluate` (to change or watch the value of every expression) and any
`eval_*` method (one per kind of expression). Both may call `self.evaluate` on parts of a
program: during an evaluation, values already computed for the same tokens are reused.
Sources: Weiss et al. 2021, arXiv:2106.06981; Lindner et al. 2023, arXiv:2301.05062.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Iterable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any, TypeAlias, cast

from tracr_lite.rasp import attention, pointwise
from tracr_lite.rasp.base import RASPExpr, topological
from tracr_lite.rasp.values import SelectorValue, Value

Result: TypeAlias = Sequence[Value] | SelectorValue


class RASPEvaluator(abc.ABC):
    """Computes the value of an expression on a sequence of tokens."""

    @abc.abstractmethod
    def evaluate(self, expr: RASPExpr, xs: Sequence[Value]) -> Result:
        """The value of `expr` on the tokens `xs`."""


@dataclass(frozen=True, eq=False)
class _Run:
    """One evaluation under way: the values of all expressions evaluated so far, by id."""

    evaluator: RASPEvaluator
    xs: Sequence[Value]
    outer: _Run | None
    raw: dict[int, Result] = field(default_factory=dict[int, Result])  # as `eval_*` returned it
    final: dict[int, Result] = field(
        default_factory=dict[int, Result]
    )  # as `self.evaluate` did

    def is_for(self, evaluator: RASPEvaluator, xs: Sequence[Value]) -> bool:
        if self.evaluator is not evaluator or len(self.xs) != len(xs):
            return False
        return self.xs is xs or all(x is y for x, y in zip(self.xs, xs, strict=True))


_RUN: ContextVar[_Run | None] = ContextVar("_RUN", default=None)  # one per thread and task


def _find_run(evaluator: RASPEvaluator, xs: Sequence[Value]) -> _Run | None:
    run = _RUN.get()
    while run is not None and not run.is_for(evaluator, xs):
        run = run.outer
    return run


class DefaultRASPEvaluator(RASPEvaluator):
    """Evaluates with full attention: every query sees every key."""

    def evaluate(self, expr: RASPExpr, xs: Sequence[Value]) -> Result:
        """The value of `expr` on the tokens `xs`.

        **Arguments:** `expr`: an S-Op or a selector; `xs`: the tokens; may be empty.
        **Returns:** a list with one value per token; for a selector a list of rows, one per
        query, of one bool per key.
        **Raises:** `ValueError` where the program has no value (a mean of strings, a constant
        of another length, a `Comparison` with None), and what its own functions raise;
        `TypeError` for what is no expression, or no sequence.
        """
        run = _find_run(self, xs)
        if run is not None:
            return self._evaluate_in(run, expr)
        if not isinstance(expr, RASPExpr):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"evaluate needs an S-Op or a selector; got {expr!r}")
        if not isinstance(xs, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"the tokens must be a sequence; got {xs!r}")
        run = _Run(self, xs, outer=_RUN.get())
        token = _RUN.set(run)
        try:
            return self._evaluate_in(run, expr)
        finally:
            _RUN.reset(token)

    def _evaluate_in(self, run: _Run, expr: RASPExpr) -> Result:
        if expr.unique_id not in run.raw:
            for node in topological(expr, done=run.final)[:-1]:
                run.final[node.unique_id] = self.evaluate(node, run.xs)
            run.raw[expr.unique_id] = self._dispatch(expr, run.xs)
        return run.raw[expr.unique_id]

    def _dispatch(self, expr: RASPExpr, xs: Sequence[Value]) -> Result:
        match expr:
            case pointwise.TokensType():
                return self.eval_tokens(expr, xs)
            case pointwise.IndicesType():
                return self.eval_indices(expr, xs)
            case pointwise.LengthType():
                return self.eval_length(expr, xs)
            case pointwise.Full():
                return self.eval_full(expr, xs)
            case pointwise.ConstantSOp():
                return self.eval_constant_sop(expr, xs)
            case pointwise.Map():
                return self.eval_map(expr, xs)
            case pointwise.SequenceMap():
                return self.eval_sequence_map(expr, xs)
            case attention.Select():
                return self.eval_select(expr, xs)
            case attention.ConstantSelector():
                return self.eval_constant_selector(expr, xs)
            case attention.SelectorAnd():
                return self.eval_selector_and(expr, xs)
            case attention.SelectorOr():
                return self.eval_selector_or(expr, xs)
            case attention.SelectorNot():
                return self.eval_selector_not(expr, xs)
            case attention.Aggregate():
                return self.eval_aggregate(expr, xs)
            case attention.SelectorWidth():
                return self.eval_selector_width(expr, xs)
            case _:
                kind = f"{type(expr).__name__} is unknown to {type(self).__name__}"
                raise NotImplementedError(f"{kind}: {expr!r}")

    def _input(self, expr: RASPExpr, xs: Sequence[Value]) -> Result:
        run = _find_run(self, xs)
        known = None if run is None else run.final.get(expr.unique_id)
        return self.evaluate(expr, xs) if known is None else known

    def _values(self, sop: pointwise.SOp, xs: Sequence[Value]) -> Sequence[Any]:
        return self._input(sop, xs)

    def _rows(self, selector: attention.Selector, xs: Sequence[Value]) -> SelectorValue:
        return cast(SelectorValue, self._input(selector, xs))

    def eval_tokens(self, sop: pointwise.TokensType, xs: Sequence[Value]) -> Sequence[Value]:
        return list(xs)

    def eval_indices(self, sop: pointwise.IndicesType, xs: Sequence[Value]) -> Sequence[Value]:
        return list(range(len(xs)))

    def eval_length(self, sop: pointwise.LengthType, xs: Sequence[Value]) -> Sequence[int]:
        return [len(xs)] * len(xs)

    def eval_full(self, sop: pointwise.Full, xs: Sequence[Value]) -> Sequence[Value]:
        return [sop.fill] * len(xs)

    def eval_constant_sop(
        self, sop: pointwise.ConstantSOp, xs: Sequence[Value]
    ) -> Sequence[Value]:
        _check_length(len(sop.value), len(xs), sop.check_length)
        return list(sop.value[: len(xs)])

    def eval_map(self, sop: pointwise.Map, xs: Sequence[Value]) -> Sequence[Value]:
        return [None if x is None else sop.f(x) for x in self._values(sop.inner, xs)]

    def eval_sequence_map(
        self, sop: pointwise.SequenceMap, xs: Sequence[Value]
    ) -> Sequence[Value]:
        pairs = zip(self._values(sop.fst, xs), self._values(sop.snd, xs), strict=True)
        return [None if x is None or y is None else sop.f(x, y) for x, y in pairs]

    def eval_select(self, sel: attention.Select, xs: Sequence[Value]) -> SelectorValue:
        keys, queries = self._values(sel.keys, xs), self._values(sel.queries, xs)
        return [[bool(sel.predicate(key, query)) for key in keys] for query in queries]

    def eval_constant_selector(
        self, sel: attention.ConstantSelector, xs: Sequence[Value]
    ) -> SelectorValue:
        for size in (len(sel.value), *(len(row) for row in sel.value[: len(xs)])):
            _check_length(size, len(xs), sel.check_length)
        return [[bool(entry) for entry in row[: len(xs)]] for row in sel.value[: len(xs)]]

    def eval_selector_and(
        self, sel: attention.SelectorAnd, xs: Sequence[Value]
    ) -> SelectorValue:
        rows = zip(self._rows(sel.fst, xs), self._rows(sel.snd, xs), strict=True)
        return [[x and y for x, y in zip(*pair, strict=True)] for pair in rows]

    def eval_selector_or(self, sel: attention.SelectorOr, xs: Sequence[Value]) -> SelectorValue:
        rows = zip(self._rows(sel.fst, xs), self._rows(sel.snd, xs), strict=True)
        return [[x or y for x, y in zip(*pair, strict=True)] for pair in rows]

    def eval_selector_not(
        self, sel: attention.SelectorNot, xs: Sequence[Value]
    ) -> SelectorValue:
        return [[not entry for entry in row] for row in self._rows(sel.inner, xs)]

    def eval_aggregate(self, sop: attention.Aggregate, xs: Sequence[Value]) -> Sequence[Value]:
        values, rows = self._values(sop.sop, xs), self._rows(sop.selector, xs)
        chosen = [[v for v, on in zip(values, row, strict=True) if on] for row in rows]
        return [_mean(vs) if vs else sop.default for vs in chosen]

    def eval_selector_width(
        self, sop: attention.SelectorWidth, xs: Sequence[Value]
    ) -> Sequence[Value]:
        return [sum(row) for row in self._rows(sop.selector, xs)]


def evaluate(expr: RASPExpr, xs: Sequence[Value]) -> Result:
    """The value of `expr` on the tokens `xs`; see `DefaultRASPEvaluator.evaluate`."""
    return DefaultRASPEvaluator().evaluate(expr, xs)


def _check_length(size: int, n: int, exact: bool) -> None:
    if size < n or (exact and size != n):
        raise ValueError(f"Constant len {size} doesn't match input len {n}.")


def _mean(values: Sequence[Any]) -> Value:
    """The mean of numbers, whatever their order; the common value of anything else."""
    if all(isinstance(value, (int, float, Real)) for value in values):
        if all(isinstance(value, (int, Integral)) for value in values):
            return sum(int(value) for value in values) / len(values)
        if all(value == values[0] for value in values[1:]):
            return float(values[0])  # their mean exactly, where a rounded sum might miss it
        return math.fsum(values) / len(values)
    if all(value == values[0] for value in values[1:]):
        return values[0]
    shown = ", ".join(repr(value) for value in values[:6]) + ", ..." * (len(values) > 6)
    raise ValueError(
        f"Aggregate has no mean of these selected values: {shown}; select numbers only, "
        "or values that are all equal"
    )
