"""The expressions that a program is grown from, each seen to have moderate values."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tracr_lite.rasp import rasp
from tracr_lite.rasp.values import Value
from tracr_lite.sampling import choose
from tracr_lite.sampling.observe import RAISED, Observer

MAX_VALUES, MAX_TEXT, MAX_NUMBER, MIN_NUMBER = 40, 24, 1e5, 1e-4


@dataclass
class Pool:
    """The expressions built so far, and `new`, the last S-Op that is no input."""

    rng: random.Random
    vocab: tuple[Value, ...]
    max_seq_len: int
    causal: bool
    observer: Observer
    sops: list[rasp.SOp] = field(default_factory=lambda: [rasp.tokens, rasp.indices])
    selectors: list[rasp.Selector] = field(default_factory=list[rasp.Selector])
    read: set[int] = field(default_factory=set[int])
    new: rasp.SOp | None = None

    def __post_init__(self) -> None:
        if not self.causal or self.rng.random() < 0.02:
            self.sops.append(rasp.length)
        if self.rng.random() < 0.15:
            self.sops = [rasp.numerical(sop) if self.numeric(sop) else sop for sop in self.sops]

    def numeric(self, sop: rasp.SOp) -> bool:
        """Whether all values seen of `sop` are numbers or None."""
        return choose.are_numbers(self.values(sop))

    def values(self, *sops: rasp.SOp) -> list[Value]:
        """All values seen of the S-Ops."""
        return [value for sop in sops for value in self.observer.values(sop)]

    def sop(self, suits: Callable[[rasp.SOp], bool] = lambda sop: True) -> rasp.SOp:
        """One of the S-Ops which suit; those that nothing reads yet are likelier."""
        found = [sop for sop in self.sops if suits(sop)]
        weights = [1 if sop.unique_id in self.read else 4 for sop in found]
        return self.rng.choices(found, weights)[0]

    def selector(self) -> rasp.Selector:
        """One of the selectors, perhaps a new one."""
        if not self.selectors or self.rng.random() < 0.4:
            self.add_select()
        if not self.selectors:
            return rasp.Select(rasp.indices, rasp.indices, rasp.Comparison.LEQ)
        weights = [1 if s.unique_id in self.read else 4 for s in self.selectors]
        return self.rng.choices(self.selectors, weights)[0]

    def add_select(self) -> None:
        """Tries to add a selector which compares two S-Ops."""
        keys = self.sop()
        numeric = self.numeric(keys)
        queries = self.sop(lambda sop: self.numeric(sop) == numeric)
        queries = keys if self.rng.random() < 0.2 else queries
        predicate = choose.predicate(self.rng, self.values(keys, queries))
        self.add(rasp.Select(keys, queries, predicate))

    def add(self, expr: rasp.RASPExpr | None) -> None:
        """Keeps `expr` if its values were seen, and are neither too many nor too large."""
        if expr is None or not self._fits(expr):
            return
        if isinstance(expr, rasp.Selector):
            self.selectors.append(expr)
        elif isinstance(expr, rasp.SOp):
            self.sops.append(expr)
            self.new = expr
        self.read.update(child.unique_id for child in expr.children)

    def _fits(self, expr: rasp.RASPExpr) -> bool:
        seen = self.observer.see(expr)
        raised = sum(values is RAISED for values in seen)
        inner = [self.observer.see(child) for child in expr.children]
        before = sum(any(v is RAISED for v in column) for column in zip(*inner, strict=True))
        if len(seen) - raised < 2 or raised - before > (len(seen) - before) / 2:
            constant = isinstance(expr, rasp.ConstantSOp | rasp.ConstantSelector)
            return constant and raised < len(seen)
        if isinstance(expr, rasp.SOp):
            values = self.observer.values(expr)
            dull = len(values) < 2 and len(expr.children) > 0 and self.rng.random() < 0.8
            return len(values) <= MAX_VALUES and all(map(_moderate, values)) and not dull
        return True


def _moderate(value: Any) -> bool:
    if isinstance(value, int | float):
        return value == 0 or MIN_NUMBER <= abs(value) <= MAX_NUMBER
    if isinstance(value, tuple):
        return len(str(value)) <= 2 * MAX_TEXT  # pyright: ignore[reportUnknownArgumentType]
    return value is None or (isinstance(value, str) and len(value) <= MAX_TEXT)
