"""Whether a program reads ahead: whether a selector may select a later position."""

from __future__ import annotations

import numpy as np

from tracr_lite.compiler.graph import Aggregate, Source, Width, as_select, evaluate_selector
from tracr_lite.compiler.values import selection
from tracr_lite.compiler.values.frames import Keyed
from tracr_lite.compiler.values.selection import Logic
from tracr_lite.compiler.values.state import Values
from tracr_lite.errors import CompileError, Problem

WHAT_TO_DO = (
    "use selectors that look back only (`Select(indices, indices, LEQ) & ...`); or "
    "after_separator(program), which answers after the whole prompt was read; or causal=True, "
    "which masks every selector, as causal_eval does"
)


def check_causal(values: Values) -> None:
    """Refuses a program whose value at a position could depend on later ones.

    **Raises:** `CompileError` naming every node that reads ahead.
    """
    problems: list[Problem] = []
    graph = values.graph
    for at, node in enumerate(graph.nodes):
        if node == Source("length"):
            reason = "it is the length of the whole input, of which a causal model sees a part"
            fix = f"use make_length() with causal=True, which counts so far; {WHAT_TO_DO}"
            problems.append(Problem(graph.labels[at], reason, fix))
        if isinstance(node, Aggregate | Width):
            found = _reads_ahead(values, node.selector)
            if found is not None:
                query, key = found
                reason = (
                    f"it reads ahead: {graph.labels[node.selector]} may select position {key} "
                    f"from position {query}, and a causal model has not seen that yet"
                )
                problems.append(Problem(graph.labels[at], reason, WHAT_TO_DO))
    if problems:
        raise CompileError("causality", problems)


def _reads_ahead(values: Values, selector: int) -> tuple[int, int] | None:
    """(query, key) of a pair that may be selected although the key is later."""
    atoms = values.selected[selector].atoms
    selects = [as_select(values.nodes[a]) for a in atoms]
    k, k_parts = selection.joint([values.keyed(s.keys) for s in selects], values.keys)
    q, q_parts = selection.joint([values.keyed(s.queries) for s in selects], values.keys)
    if selection.too_many_classes(k, q):
        return 0, 1
    tables: dict[int, Logic] = {}
    for atom, select, kp, qp in zip(atoms, selects, k_parts, q_parts, strict=True):
        keys, queries = values.keyed(select.keys), values.keyed(select.queries)
        tables[atom] = selection.class_logic(keys, queries, values.truth[atom])[np.ix_(kp, qp)]
    may = evaluate_selector(values.nodes, selector, tables, _combined).may
    return _later(may, k, q, values)


def _later(may: np.ndarray, k: Keyed, q: Keyed, values: Values) -> tuple[int, int] | None:
    every = range(len(values.keys.lengths))
    rows = every if k.by_length or q.by_length else [len(values.keys.lengths) - 1]
    for row in rows:
        positions = np.arange(int(values.keys.lengths[row]))
        at = np.full_like(positions, row)
        table = may[np.ix_(k.at(at, positions), q.at(at, positions))]
        found = np.argwhere(np.tril(table, -1))  # rows are keys: below the diagonal is later
        if len(found):
            key, query = found[0].tolist()
            return query, key
    return None


def _combined(op: str, parts: list[Logic]) -> Logic:
    match op:
        case "and":
            return parts[0] & parts[1]
        case "or":
            return parts[0] | parts[1]
        case _:
            return ~parts[0]
