"""Selectors, and the S-Ops which read them: all that looks at other positions (a head's work).

A selector is a matrix of bools with one row per query: `rows[query][key]`.
Sources: Weiss et al. 2021, arXiv:2106.06981; Lindner et al. 2023, arXiv:2301.05062.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, cast

from tracr_lite.rasp.base import RASPExpr, require, require_function
from tracr_lite.rasp.functions import AllOf, AnyOf, Negated, conjoin, disjoin, negate
from tracr_lite.rasp.pointwise import SOp
from tracr_lite.rasp.values import Predicate, SelectorValue, Value

MERGED_PREDICATES = 16  # in one Select; more are combined as selectors


class Selector(RASPExpr):
    """Says for each query position which key positions it looks at; combine with & | ~."""

    _default_name: ClassVar[str] = "selector"

    def __call__(self, xs: Sequence[Value]) -> SelectorValue:
        """The rows on the tokens `xs`, one per query, with full (not causal) attention."""
        return cast(SelectorValue, super().__call__(xs))

    def __and__(self, other: Selector) -> Selector:
        return selector_and(self, other)

    def __or__(self, other: Selector) -> Selector:
        return selector_or(self, other)

    def __invert__(self) -> Selector:
        return selector_not(self)


@dataclass(frozen=True, eq=False, repr=False)
class Select(Selector):
    """Selects where `predicate(key, query)` is true, for every key and query.

    **Arguments:** `keys`, `queries`: S-Ops; `predicate`: a `Comparison` or a function, called
    with two positional arguments, None included; only the truth of its result counts.
    **Raises:** `TypeError` for arguments of another kind.
    """

    keys: SOp
    queries: SOp
    predicate: Predicate
    _default_name: ClassVar[str] = "select"

    def __post_init__(self) -> None:
        require("keys", self.keys, SOp, "Select")
        require("queries", self.queries, SOp, "Select")
        require_function("predicate", self.predicate, "Select")

    @property
    def children(self) -> Sequence[RASPExpr]:
        return [self.keys, self.queries]


@dataclass(frozen=True, eq=False, repr=False)
class ConstantSelector(Selector):
    """A matrix written out.

    **Arguments:**
    - `value`: `value[query][key]`; kept as tuples.
    - `check_length`: whether evaluating demands as many tokens as there are rows; otherwise
      the matrix is cut to the number of tokens, which must not be larger.
    """

    value: Sequence[Sequence[bool | int]]
    check_length: bool = True
    _default_name: ClassVar[str] = "constant_selector"

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", tuple(tuple(row) for row in self.value))

    @property
    def children(self) -> Sequence[RASPExpr]:
        return []


@dataclass(frozen=True, eq=False, repr=False)
class _SelectorPair(Selector):
    fst: Selector
    snd: Selector

    def __post_init__(self) -> None:
        require("fst", self.fst, Selector, type(self).__name__)
        require("snd", self.snd, Selector, type(self).__name__)

    @property
    def children(self) -> Sequence[RASPExpr]:
        return [self.fst, self.snd]


class SelectorAnd(_SelectorPair):
    """Selects where both `fst` and `snd` do."""

    _default_name: ClassVar[str] = "selector_and"


class SelectorOr(_SelectorPair):
    """Selects where `fst` or `snd` or both do."""

    _default_name: ClassVar[str] = "selector_or"


@dataclass(frozen=True, eq=False, repr=False)
class SelectorNot(Selector):
    """Selects where `inner` does not."""

    inner: Selector
    _default_name: ClassVar[str] = "selector_not"

    def __post_init__(self) -> None:
        require("inner", self.inner, Selector, "SelectorNot")

    @property
    def children(self) -> Sequence[RASPExpr]:
        return [self.inner]


@dataclass(frozen=True, eq=False, repr=False)
class Aggregate(SOp):
    """The mean of the selected values of `sop`, at each query position.

    Numbers yield their mean, a float. Other values must all be equal, and yield that value.

    **Arguments:** `selector`: what to select; `sop`: where values are read; `default`: the
    result where nothing is selected.
    **Raises:** `TypeError` for arguments of another kind; when evaluated, `ValueError` for
    different values that are not numbers.
    """

    selector: Selector
    sop: SOp
    default: Value = None
    _default_name: ClassVar[str] = "aggregate"

    def __post_init__(self) -> None:
        require("selector", self.selector, Selector, "Aggregate")
        require("sop", self.sop, SOp, "Aggregate")

    @property
    def children(self) -> Sequence[RASPExpr]:
        return [self.selector, self.sop]


@dataclass(frozen=True, eq=False, repr=False)
class SelectorWidth(SOp):
    """How many keys `selector` selects, at each query position."""

    selector: Selector
    _default_name: ClassVar[str] = "selector_width"

    def __post_init__(self) -> None:
        require("selector", self.selector, Selector, "SelectorWidth")

    @property
    def children(self) -> Sequence[RASPExpr]:
        return [self.selector]


def selector_not(inner: Selector, simplify: bool = True) -> Selector:
    """The selector which selects where `inner` does not.

    **Arguments:** `simplify`: whether double negation is removed, and a Select or a constant
    answered by one with the opposite predicate or matrix.
    """
    require("inner", inner, Selector, "selector_not")
    if simplify and isinstance(inner, SelectorNot):
        return inner.inner
    if simplify and isinstance(inner, Select):
        return Select(inner.keys, inner.queries, negate(inner.predicate))
    if simplify and isinstance(inner, ConstantSelector):
        rows = [[not selected for selected in row] for row in inner.value]
        return ConstantSelector(rows, inner.check_length)
    return SelectorNot(inner)


def selector_and(fst: Selector, snd: Selector, simplify: bool = True) -> Selector:
    """The selector which selects where `fst` and `snd` both do.

    **Arguments:** `simplify`: whether two Selects over the same keys and queries, or two
    constants of one size, become one.
    """
    merged = _merge(fst, snd, conjoin, lambda x, y: x and y) if simplify else None
    return SelectorAnd(fst, snd) if merged is None else merged


def selector_or(fst: Selector, snd: Selector, simplify: bool = True) -> Selector:
    """The selector which selects where `fst` or `snd` or both do.

    **Arguments:** `simplify`: whether two Selects over the same keys and queries, or two
    constants of one size, become one.
    """
    merged = _merge(fst, snd, disjoin, lambda x, y: x or y) if simplify else None
    return SelectorOr(fst, snd) if merged is None else merged


def _is_large(selector: Selector) -> bool:
    """Whether a Select's predicate is made of many others."""
    stack: list[object] = [selector.predicate] if isinstance(selector, Select) else []
    count = 0
    while stack and count <= MERGED_PREDICATES:
        predicate = stack.pop()
        count += 1
        if isinstance(predicate, AllOf | AnyOf):
            stack.extend(predicate.predicates)
        elif isinstance(predicate, Negated):
            stack.append(predicate.predicate)
    return count > MERGED_PREDICATES


def _merge(
    fst: Selector,
    snd: Selector,
    predicates: Callable[[Predicate, Predicate], Predicate],
    entries: Callable[[bool, bool], bool],
) -> Selector | None:
    """One selector equal to the combination of the two on every input, if there is one."""
    if fst is snd:
        return fst
    if _is_large(fst) or _is_large(snd):
        return None  # merging would copy shared predicates
    if isinstance(fst, Select) and isinstance(snd, Select):
        if fst.keys is snd.keys and fst.queries is snd.queries:
            return Select(fst.keys, fst.queries, predicates(fst.predicate, snd.predicate))
    if isinstance(fst, ConstantSelector) and isinstance(snd, ConstantSelector):
        same_size = [len(row) for row in fst.value] == [len(row) for row in snd.value]
        if same_size and fst.check_length == snd.check_length:
            pairs = [zip(*rows, strict=True) for rows in zip(fst.value, snd.value, strict=True)]
            rows = [[entries(bool(x), bool(y)) for x, y in row] for row in pairs]
            return ConstantSelector(rows, fst.check_length)
    return None
