"""What a program does on a few inputs: sampling builds on values that were seen to occur."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence
from typing import Any

from tracr_lite.rasp import causal_eval, rasp
from tracr_lite.rasp.base import topological
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
        self._evaluate = causal_eval.evaluate if causal else rasp.evaluate
        self._seen: dict[int, Seen] = {}

    def see(self, expr: rasp.RASPExpr) -> Seen:
        """What `expr` is on each input."""
        for node in topological(expr, done=self._seen):
            if node.unique_id not in self._seen:
                inner = [self._seen[child.unique_id] for child in node.children]
                self._seen[node.unique_id] = [
                    self._see_one(node, at, [values[at] for values in inner])
                    for at in range(len(self.inputs))
                ]
        return self._seen[expr.unique_id]

    def _see_one(self, node: rasp.RASPExpr, at: int, inner: list[Any]) -> Any:
        if any(values is RAISED for values in inner):
            return RAISED
        try:
            return self._evaluate(_with_constants(node, inner), self.inputs[at])
        except (ArithmeticError, ValueError, TypeError, LookupError, AttributeError):
            return RAISED

    def lengths(self, expr: rasp.RASPExpr) -> tuple[int, ...]:
        """Lengths of the inputs on which `expr` does not raise, as often as there are some."""
        pairs = zip(self.inputs, self.see(expr), strict=True)
        return tuple(len(xs) for xs, values in pairs if values is not RAISED)

    def values(self, sop: rasp.SOp) -> list[Value]:
        """The different values of an S-Op (1, 1.0 and True differ), in order of occurrence."""
        found: dict[tuple[str, object], Value] = {}
        for values in self.see(sop):
            if values is not RAISED:
                for value in values:
                    same = value if isinstance(value, int) else repr(value)  # -0.0 is not 0.0
                    found.setdefault((type(value).__name__, same), value)
        return list(found.values())


def _with_constants(node: rasp.RASPExpr, inner: list[Any]) -> rasp.RASPExpr:
    """A copy of `node` that reads constants instead of its children."""
    if not inner:
        return node
    new = node.copy()
    values = iter(inner)
    for field in dataclasses.fields(node):  # pyright: ignore[reportArgumentType]
        child = getattr(node, field.name)
        if isinstance(child, rasp.SOp):
            object.__setattr__(new, field.name, rasp.ConstantSOp(next(values)))
        elif isinstance(child, rasp.Selector):
            object.__setattr__(new, field.name, rasp.ConstantSelector(next(values)))
    return new
