"""The reference interpreter of causal models: a query sees the keys up to its own position.

Only selectors change, each of them, also those inside `&`, `|` and `~`. So a width counts the
prefix, while `length` is still the number of all tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from tracr_lite.rasp.attention import Selector
from tracr_lite.rasp.base import RASPExpr
from tracr_lite.rasp.evaluate import DefaultRASPEvaluator, Result
from tracr_lite.rasp.values import SelectorValue, Value


class CausalEvaluator(DefaultRASPEvaluator):
    """Evaluates with causal attention: every selector is masked to keys <= query."""

    def evaluate(self, expr: RASPExpr, xs: Sequence[Value]) -> Result:
        """The value of `expr` on the tokens `xs`; see `DefaultRASPEvaluator.evaluate`."""
        value = super().evaluate(expr, xs)
        if not isinstance(expr, Selector):
            return value
        rows = enumerate(cast(SelectorValue, value))
        return [[on and key <= query for key, on in enumerate(row)] for query, row in rows]


def evaluate(expr: RASPExpr, xs: Sequence[Value]) -> Result:
    """The value of `expr` on the tokens `xs` under causal attention."""
    return CausalEvaluator().evaluate(expr, xs)
