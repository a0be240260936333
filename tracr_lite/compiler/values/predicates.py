"""Truth tables of predicates over the values that can meet."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from tracr_lite.compiler.values.domain import NUMBERS, is_number, kinds_of
from tracr_lite.errors import RAISED
from tracr_lite.rasp import rasp

FEW_PAIRS = 256
OPERATORS: dict[rasp.Comparison, Callable[[Any, Any], bool]] = {
    rasp.Comparison.EQ: operator.eq,
    rasp.Comparison.NEQ: operator.ne,
    rasp.Comparison.LT: operator.lt,
    rasp.Comparison.LEQ: operator.le,
    rasp.Comparison.GT: operator.gt,
    rasp.Comparison.GEQ: operator.ge,
}
UNREACHABLE = -1  # the pair cannot occur, or the predicate raises on it


def truth_table(
    predicate: Callable[[Any, Any], Any],
    keys: list[Any],
    queries: list[Any],
    reachable: Bool[np.ndarray, "keys queries"],
) -> Int[np.ndarray, "keys queries"]:
    """1 where the predicate holds, 0 where not, `UNREACHABLE` where not asked or it raises."""
    if isinstance(predicate, rasp.Comparison):
        if len(keys) * len(queries) <= FEW_PAIRS and _comparable(keys, queries):
            compare = OPERATORS.get(predicate)
            if compare is not None:
                few = [[compare(key, query) for query in queries] for key in keys]
                return np.where(reachable, np.array(few, np.int8), UNREACHABLE)
        fast = _compare_all(predicate, keys, queries)
        if fast is not None:
            fast[~reachable] = UNREACHABLE
            return fast
    table = np.full((len(keys), len(queries)), UNREACHABLE, np.int8)
    for key, row, met in zip(keys, table, reachable, strict=True):
        at = met.nonzero()[0].tolist()
        try:
            row[at] = [1 if predicate(key, queries[q]) else 0 for q in at]
        except RAISED:  # on one of the pairs, which is told from the others
            row[at] = [_holds(predicate, key, queries[q]) for q in at]
    return table


def _comparable(keys: list[Any], queries: list[Any]) -> bool:
    """Whether all are numbers, or all are strings."""
    kinds = kinds_of((*keys, *queries))
    return kinds <= NUMBERS or kinds == {str}


def _holds(predicate: Callable[[Any, Any], Any], key: Any, query: Any) -> int:
    try:
        return 1 if predicate(key, query) else 0
    except RAISED:  # the evaluator raises on every input where this pair occurs
        return UNREACHABLE


def _compare_all(
    comparison: rasp.Comparison, keys: list[Any], queries: list[Any]
) -> Int[np.ndarray, "keys queries"] | None:
    """The table of a comparison by ranks; None if there are tuples: they compare by item."""
    k_kind, q_kind = ([_kind(v) for v in values] for values in (keys, queries))
    if {*k_kind, *q_kind} == {1}:
        return _block(comparison, keys, queries, True)
    if 3 in k_kind or 3 in q_kind:
        return None
    table = np.full((len(keys), len(queries)), UNREACHABLE, np.int8)
    for a in (1, 2):
        rows = [i for i, kind in enumerate(k_kind) if kind == a]
        for b in (1, 2):
            columns = [i for i, kind in enumerate(q_kind) if kind == b]
            part = _block(
                comparison, [keys[i] for i in rows], [queries[i] for i in columns], a == b
            )
            table[np.ix_(rows, columns)] = part
    return table


def _kind(value: Any) -> int:
    """0 None (never compared), 1 number, 2 string, 3 anything else."""
    if value is None:
        return 0
    return 1 if is_number(value) else 2 if isinstance(value, str) else 3


def _block(
    comparison: rasp.Comparison, keys: list[Any], queries: list[Any], ordered: bool
) -> Any:
    """Truth between values of one kind, or of two kinds: these are unequal and unordered."""
    c = rasp.Comparison
    if not ordered:
        fixed = {c.EQ: 0, c.FALSE: 0, c.NEQ: 1, c.TRUE: 1}
        return fixed.get(comparison, UNREACHABLE)
    rank: dict[Any, int] = {v: i for i, v in enumerate(sorted({*keys, *queries}))}
    k = np.array([rank[v] for v in keys], np.int64)[:, None]
    q = np.array([rank[v] for v in queries], np.int64)[None, :]
    ops: dict[rasp.Comparison, Callable[[], Any]] = {
        c.EQ: lambda: k == q,
        c.NEQ: lambda: k != q,
        c.LT: lambda: k < q,
        c.LEQ: lambda: k <= q,
        c.GT: lambda: k > q,
        c.GEQ: lambda: k >= q,
        c.TRUE: lambda: np.ones((len(keys), len(queries)), bool),
        c.FALSE: lambda: np.zeros((len(keys), len(queries)), bool),
    }
    return ops[comparison]().view(np.int8)
