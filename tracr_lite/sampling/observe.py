"""What a program does on a few inputs: sampling builds on values that were seen to occur."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from tracr_lite.rasp import rasp
from tracr_lite.rasp.base import topological
from tracr_lite.rasp.evaluate import DefaultRASPEvaluator
from tracr_lite.rasp.values import Value

Seen = list[Any]  # per input what the evaluator returned, or RAISED


class _Raised:
    def __repr__(self) -> str:
        return "RAISED"


RAISED = _Raised()


def probe_inputs(
    rng: random.Random, vocab: Sequence[Value], max_seq_len: int
) -> list[list[Value]]:
    """Random inputs of each length, and some with all tokens equal."""
    found = [[rng.choice(vocab) for _ in range(n)] for n in range(1, max_seq_len + 1)]
    found += [[rng.choice(vocab) for _ in range(n)] for n in range(1, max_seq_len + 1)]
    return found + [[token] * max_seq_len for token in vocab[:3]]


class Observer:
    """Evaluates expressions on fixed inputs, each expression once."""

    def __init__(self, inputs: Sequence[Sequence[Value]], *, causal: bool):
        self.inputs = inputs
        self._steps = [_Step(xs, causal=causal) for xs in inputs]
        self._seen: dict[int, Seen] = {}
        self._values: dict[int, list[Value]] = {}

    def see(self, expr: rasp.RASPExpr) -> Seen:
        """What `expr` is on each input."""
        if expr.unique_id not in self._seen:
            for node in topological(expr, done=self._seen):
                self._seen[node.unique_id] = [step.see(node) for step in self._steps]
        return self._seen[expr.unique_id]

    def lengths(self, expr: rasp.RASPExpr) -> tuple[int, ...]:
        """Lengths of the inputs on which `expr` does not raise, as often as there are some."""
        pairs = zip(self.inputs, self.see(expr), strict=True)
        return tuple(len(xs) for xs, values in pairs if values is not RAISED)

    def values(self, sop: rasp.SOp) -> list[Value]:
        """The different values of an S-Op (1, 1.0 and True differ), in order of occurrence."""
        if sop.unique_id not in self._values:
            found: dict[tuple[str, object], Value] = {}
            for values in self.see(sop):
                if values is not RAISED:
                    for value in values:
                        same = (
                            value if isinstance(value, int) else repr(value)
                        )  # -0.0 is not 0.0
                        found.setdefault((type(value).__name__, same), value)
            self._values[sop.unique_id] = list(found.values())
        return self._values[sop.unique_id].copy()


class _Step(DefaultRASPEvaluator):
    """Evaluates single expressions on one input, from what was seen of those they read."""

    def __init__(self, xs: Sequence[Value], *, causal: bool):
        self._xs, self._causal = xs, causal
        self._known: dict[int, Any] = {}

    def see(self, node: rasp.RASPExpr) -> Any:
        """The value of `node`, or RAISED; its children have to be seen before."""
        self._known[node.unique_id] = value = self._see(node)
        return value

    def _see(self, node: rasp.RASPExpr) -> Any:
        if any(self._known[child.unique_id] is RAISED for child in node.children):
            return RAISED
        try:
            value: Any = self._dispatch(node, self._xs)
        except (ArithmeticError, ValueError, TypeError, LookupError, AttributeError):
            return RAISED
        if self._causal and isinstance(node, rasp.Selector):
            return [
                [on and key <= i for key, on in enumerate(row)] for i, row in enumerate(value)
            ]
        return value

    def _input(self, expr: rasp.RASPExpr, xs: Sequence[Value]) -> Any:
        return self._known[expr.unique_id]
