"""What the values at one position say about the values at another position of the same input.

`determines(k, x)`: two positions with equal k have equal x. It tells that a selection by rank
picks one key (sort), or equal keys (a dictionary look-up), where bounds on counts alone cannot.
"""

from __future__ import annotations

import numpy as np

from tracr_lite.compiler.graph import (
    Aggregate,
    Pointwise,
    Select,
    Source,
    Width,
    as_combine,
    as_select,
)
from tracr_lite.compiler.values.domain import ERR, is_number
from tracr_lite.compiler.values.selection import Widths
from tracr_lite.compiler.values.state import Values

FEW_PAIRS = 256


def averages(values: Values, node: Aggregate) -> bool:
    """Whether different numbers can be selected together."""
    inner = values.info[node.value]
    if inner.span is None and len({v for v in inner.values if is_number(v)}) <= 1:
        return False
    selected = values.selected[node.selector]
    if selected.widths.most <= 1:
        return False
    for atom in _conjuncts(values, node.selector):
        select = as_select(values.nodes[atom])
        if _selects_one_value(values, atom) and determines(values, select.keys, node.value):
            return False
        if _image_is_single(values, atom, node.value):
            return False
    return True


def _conjuncts(values: Values, selector: int) -> list[int]:
    """Selects that hold wherever the selector does."""
    node = values.nodes[selector]
    if isinstance(node, Select):
        return [selector]
    found: list[int] = []
    stack = [selector]
    seen: set[int] = set()
    while stack:
        at = stack.pop()
        part = values.nodes[at]
        if at in seen:
            continue
        seen.add(at)
        if isinstance(part, Select):
            found.append(at)
        elif as_combine(part).op == "and":
            stack.extend(as_combine(part).inputs)
    return sorted(found)


def _selects_one_value(values: Values, atom: int) -> bool:
    truth = values.truth[atom]
    if truth.size <= FEW_PAIRS:  # a list is quicker
        return all(column.count(1) <= 1 for column in truth.T.tolist())
    return bool(((truth == 1).sum(axis=0) <= 1).all())


def _image_is_single(values: Values, atom: int, value: int) -> bool:
    """Whether key and value depend on one node, and each query selects one number of it."""
    select = as_select(values.nodes[atom])
    k, x = values.info[select.keys].table, values.info[value].table
    if values.info[value].span is not None or values.info[select.keys].span is not None:
        return False
    if len(k.leaves) != 1 or k.leaves != x.leaves:
        return False
    both = np.isin(k.frame.codes, x.frame.codes)
    codes = k.frame.codes[both]
    ki, xi = k.ids[both], x.ids[np.searchsorted(x.frame.codes, codes)]
    known = (ki != ERR) & (xi != ERR)
    numbers = values.info[value].values
    chosen = values.truth[atom][ki[known]] == 1
    for query in range(chosen.shape[1]):
        found = {
            numbers[i] for i in xi[known][chosen[:, query]].tolist() if is_number(numbers[i])
        }
        if len(found) > 1:
            return False
    return True


def tighten(values: Values, selector: int, widths: Widths) -> Widths:
    """Uses keys that are all different: at most one match, exactly one if they fill a range."""
    for atom in _conjuncts(values, selector):
        select = as_select(values.nodes[atom])
        if widths.most <= 1 and widths.least >= 1:
            break
        if not _selects_one_value(values, atom):
            continue
        if not _indices_known(values, select.keys):
            continue
        widths = Widths(np.minimum(widths.low, 1), np.minimum(widths.high, 1))
        if atom == selector and not values.causal and _fills(values, atom, select):
            return Widths(np.ones_like(widths.low), np.ones_like(widths.high))
    return widths


def _fills(values: Values, atom: int, select: Select) -> bool:
    """Whether the keys take every value of a set that holds a match for every query."""
    k, q = values.keyed(select.keys), values.keyed(select.queries)
    truth = values.truth[atom] == 1
    rows, positions = values.keys.all_pairs
    for row, length in enumerate(values.keys.lengths.tolist()):
        at = positions[rows == row]
        here = np.full_like(at, row)
        key_ids = k.member[k.at(here, at)].any(axis=0)
        query_ids = q.member[q.at(here, at)].any(axis=0)
        if int(key_ids.sum()) != length:
            return False
        if not truth[np.ix_(key_ids, query_ids)].any(axis=0).all():
            return False
    return True


def _indices_known(values: Values, node: int) -> bool:
    return any(values.nodes[m] == Source("indices") for m in _known_from(values, node))


def determines(values: Values, key: int, value: int) -> bool:
    """Whether equal `key` at two positions of one input implies equal `value`."""
    known = _known_from(values, key)
    if _indices_known(values, key):
        return True
    memo: dict[int, bool] = {}
    stack = [value]
    while stack:
        at = stack[-1]
        if at in known or at in memo:
            memo.setdefault(at, True)
            stack.pop()
            continue
        needs = _depends_on(values, at)
        if needs is None:
            memo[at] = False
            stack.pop()
            continue
        missing = [m for m in needs if m not in memo]
        if missing:
            memo_false = [m for m in needs if memo.get(m) is False]
            if memo_false:
                memo[at] = False
                stack.pop()
                continue
            stack.extend(missing)
            continue
        memo[at] = all(memo[m] for m in needs)
        stack.pop()
    return memo[value]


def _depends_on(values: Values, at: int) -> list[int] | None:
    """Nodes at the same position whose values fix the value of `at`; None: position matters."""
    node = values.nodes[at]
    match node:
        case Source(kind=kind):
            return [] if kind == "length" else None
        case Pointwise():
            return list(node.inputs)
        case Width(selector=selector) | Aggregate(selector=selector):
            if values.causal:
                return None
            atoms = values.selected[selector].atoms
            return [as_select(values.nodes[a]).queries for a in atoms]
        case _:
            return None


def _known_from(values: Values, key: int) -> set[int]:
    """Nodes whose value at a position can be read off the value of `key` there."""
    known: set[int] = set()
    stack = [key]
    while stack:
        at = stack.pop()
        if at in known:
            continue
        known.add(at)
        info, node = values.info[at], values.nodes[at]
        if info.span is not None:
            continue
        if isinstance(node, Pointwise):
            for leaf in info.table.leaves:
                if leaf != at and _fixes(info.table.ids, info.table.frame.column(leaf)):
                    stack.append(leaf)
            if len(node.inputs) == 1 and _injective_map(values, at, node.inputs[0]):
                stack.append(node.inputs[0])
        if isinstance(node, Width) and not values.causal:
            select = values.nodes[node.selector]
            if isinstance(select, Select) and select.keys == select.queries:
                if _is_total_order(values.truth[node.selector]):
                    stack.append(select.keys)
    return known


def _injective_map(values: Values, at: int, inner: int) -> bool:
    outer, table = values.info[at].table, values.info[inner].table
    if outer.leaves != table.leaves or values.info[inner].span is not None:
        return False
    return _fixes(outer.ids, table.on(outer.frame))


def _fixes(ids: np.ndarray, column: np.ndarray) -> bool:
    """Whether equal ids imply equal entries of `column`."""
    entry_of: dict[int, int] = {}
    for at, entry in zip(ids.tolist(), column.tolist(), strict=True):
        if at != ERR and entry != ERR and entry_of.setdefault(at, entry) != entry:
            return False
    return True


def _is_total_order(truth: np.ndarray) -> bool:
    """A square table that is a strict (or reflexive) total order: its in-degrees are 0..m-1."""
    size = len(truth)
    off = truth[~np.eye(size, dtype=bool)]
    if (off < 0).any():
        return False
    diagonal = np.diagonal(truth)
    if not ((diagonal == diagonal[0]).all() and diagonal[0] >= 0):
        return False
    strict = truth - np.diag(diagonal)
    return bool((np.sort(strict.sum(axis=0)) == np.arange(size)).all())


__all__ = ["averages", "determines", "tighten"]
