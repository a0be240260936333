"""Counts agreement and mismatch, and keeps the extremes, while inputs go by."""

from __future__ import annotations

import math
from typing import Any

from tracr_lite.verifying.evaluating import Outcome, Raised
from tracr_lite.verifying.judging import Judge, plain
from tracr_lite.verifying.report import Extreme, Failure
from tracr_lite.verifying.running import Answer

KEPT = 10  # failures that are reported as they were found


class Tally:
    """What was seen so far."""

    def __init__(self, judge: Judge):
        self._judge = judge
        self.strata: dict[str, int] = {}
        self.raised = self.compared = self.positions = self.mismatches = 0
        self.raised_at: tuple[tuple[Any, ...], str] | None = None
        self.failures: list[Failure] = []
        self.shortest: Failure | None = None
        self.margin: Extreme | None = None
        self.error: Extreme | None = None
        self.relative_error: Extreme | None = None

    def add(self, stratum: str, tokens: list[Any], outcome: Outcome, answer: Answer) -> bool:
        """Notes one input; tells whether program and model differ on it."""
        self.strata[stratum] = self.strata.get(stratum, 0) + 1
        if isinstance(outcome, Raised):
            self.raised += 1
            self.raised_at = self.raised_at or (tuple(tokens), outcome.text)
            return False
        self.compared += 1
        self.positions += len(tokens)
        self._measure(tokens, outcome, answer)
        failure = failure_of(self._judge, tokens, outcome, answer)
        if failure is None:
            return False
        self.mismatches += 1
        if len(self.failures) < KEPT:
            self.failures.append(failure)
        if self.shortest is None or len(tokens) < len(self.shortest.tokens):
            self.shortest = failure
        return True

    def _measure(self, tokens: list[Any], expected: list[Any], answer: Answer) -> None:
        known = math.inf if self.margin is None else self.margin.value
        if answer.margin < known:
            self.margin = Extreme(answer.margin, tuple(tokens), answer.position)
        if answer.raw.dtype.kind != "f":
            return
        for at, (x, y) in enumerate(zip(expected, answer.raw.tolist(), strict=True)):
            number = _as_float(x)
            if number is None or math.isnan(y):
                continue
            off = abs(y - number)
            self.error = _greatest(self.error, off, tokens, at)
            share = off / abs(number) if number else off
            self.relative_error = _greatest(self.relative_error, share, tokens, at)


def failure_of(
    judge: Judge, tokens: list[Any], outcome: Outcome, answer: Answer
) -> Failure | None:
    """How program and model differ on an input; None if they do not, or the program raises."""
    if isinstance(outcome, Raised):
        return None
    positions = judge.differing(outcome, answer.values)
    if not positions:
        return None
    return Failure(tuple(tokens), tuple(outcome), tuple(answer.values), positions)


def _as_float(value: Any) -> float | None:
    value = plain(value)
    if not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _greatest(known: Extreme | None, value: float, tokens: list[Any], at: int) -> Extreme:
    if known is not None and value <= known.value:
        return known
    return Extreme(value, tuple(tokens), at)
