"""Truth tables of predicates over the values that can meet."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from tracr_lite.compiler.values.domain import PLAIN, kinds_of, type_of
from tracr_lite.errors import RAISED
from tracr_lite.rasp import rasp
from tracr_lite.rasp.functions import AllOf, AnyOf, Negated

FEW_PAIRS = 256
# None is never compared; numbers and strings are; anything else is 3
KIND: dict[object, int] = {type(None): 0, bool: 1, int: 1, float: 1, str: 2}
OPERATORS: dict[rasp.Comparison, Callable[[Any, Any], bool]] = {
    rasp.Comparison.EQ: operator.eq,
    rasp.Comparison.NEQ: operator.ne,
    rasp.Comparison.LT: operator.lt,
    rasp.Comparison.LEQ: operator.le,
    rasp.Comparison.GT: operator.gt,
    rasp.Comparison.GEQ: operator.ge,
    rasp.Comparison.TRUE: lambda key, query: True,
    rasp.Comparison.FALSE: lambda key, query: False,
}
TEXTS = {str, type(None)}
UNREACHABLE = -1  # the pair cannot occur, or the predicate raises on it


def truth_table(
    predicate: Callable[[Any, Any], Any],
    keys: list[Any],
    queries: list[Any],
    reachable: Bool[np.ndarray, "keys queries"],
) -> Int[np.ndarray, "keys queries"]:
    """1 where the predicate holds, 0 where not, `UNREACHABLE` where not asked or it raises."""
    if isinstance(predicate, rasp.Comparison):
        if len(keys) * len(queries) <= FEW_PAIRS:
            kinds = kinds_of((*keys, *queries))
            if kinds <= PLAIN or kinds <= TEXTS:
                return _compare_few(OPERATORS[predicate], keys, queries, reachable)
        fast = _compare_all(predicate, keys, queries)
        if fast is not None:
            fast[~reachable] = UNREACHABLE
            return fast
    if parts := _parts(predicate):
        return _combined(predicate, [truth_table(p, keys, queries, reachable) for p in parts])
    table = np.full((len(keys), len(queries)), UNREACHABLE, np.int8)
    for key, row, met in zip(keys, table, reachable, strict=True):
        at = met.nonzero()[0].tolist()
        try:
            row[at] = [1 if predicate(key, queries[q]) else 0 for q in at]
        except RAISED:  # on one of the pairs, which is told from the others
            row[at] = [_holds(predicate, key, queries[q]) for q in at]
    return table


def _parts(predicate: Callable[[Any, Any], Any]) -> tuple[Callable[[Any, Any], Any], ...]:
    """What a selector made with `~`, `&` or `|` is made of."""
    if type(predicate) not in (Negated, AllOf, AnyOf):  # a class derived may differ
        return ()
    if isinstance(predicate, AllOf | AnyOf):
        return predicate.predicates
    return (predicate.predicate,) if isinstance(predicate, Negated) else ()


def _combined(
    predicate: Callable[[Any, Any], Any], tables: list[Int[np.ndarray, "keys queries"]]
) -> Int[np.ndarray, "keys queries"]:
    """From the tables of all parts, each of which is called: if one raises, so does this."""
    if type(predicate) is Negated:
        table = 1 - tables[0]
    else:
        table = (np.min if type(predicate) is AllOf else np.max)(tables, axis=0)
    table[np.min(tables, axis=0) == UNREACHABLE] = UNREACHABLE
    return table


def _compare_few(
    compare: Callable[[Any, Any], bool],
    keys: list[Any],
    queries: list[Any],
    reachable: Bool[np.ndarray, "keys queries"],
) -> Int[np.ndarray, "keys queries"]:
    """A comparison of numbers or of strings, pair by pair; None is never compared."""
    rows = [
        [
            UNREACHABLE if key is None or query is None else compare(key, query)
            for query in queries
        ]
        for key in keys
    ]
    return np.where(reachable, np.array(rows, np.int8), UNREACHABLE)


def _holds(predicate: Callable[[Any, Any], Any], key: Any, query: Any) -> int:
    try:
        return 1 if predicate(key, query) else 0
    except RAISED:  # the evaluator raises on every input where this pair occurs
        return UNREACHABLE


def _compare_all(
    comparison: rasp.Comparison, keys: list[Any], queries: list[Any]
) -> Int[np.ndarray, "keys queries"] | None:
    """The table of a comparison by ranks; None if there are tuples: they compare by item."""
    k_kind, q_kind = ([KIND.get(type_of(v), 3) for v in values] for values in (keys, queries))
    kinds = {*k_kind, *q_kind}
    if 3 in kinds:
        return None
    if kinds <= {0, 1} or kinds <= {0, 2}:
        table = _block(comparison, keys, queries, True)
        if 0 in kinds:  # None is never compared
            table[np.array(k_kind) == 0] = UNREACHABLE
            table[:, np.array(q_kind) == 0] = UNREACHABLE
        return table
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


def _block(
    comparison: rasp.Comparison, keys: list[Any], queries: list[Any], ordered: bool
) -> Any:
    """Truth between values of one kind, or of two kinds: these are unequal and unordered."""
    c = rasp.Comparison
    if not ordered:
        fixed = {c.EQ: 0, c.FALSE: 0, c.NEQ: 1, c.TRUE: 1}
        return fixed.get(comparison, UNREACHABLE)
    known = sorted({*keys, *queries} - {None})
    rank: dict[Any, int] = {v: i for i, v in enumerate(known)}
    rank[None] = 0  # whoever calls knows that it is not compared
    k = np.array([rank[v] for v in keys], np.int32)[:, None]
    q = np.array([rank[v] for v in queries], np.int32)[None, :]
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
