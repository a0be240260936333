"""Attention blocks: aggregates and widths of a conjunction of Selects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tracr_lite.compiler.graph import Aggregate, Combine, Node, Pointwise, Select, Source, Width
from tracr_lite.compiler.lowering.forms import Functional, HeadBlock, Number, OneHot
from tracr_lite.compiler.lowering.lower import CannotLower, Lowering, Split, View
from tracr_lite.compiler.lowering.mlps import _order
from tracr_lite.compiler.values.domain import ERR, checked, is_number
from tracr_lite.craft.bases import BasisDirection, VectorSpaceWithBasis
from tracr_lite.craft.blocks.select_head import Literal, literal_scores, sharpness, weight_error
from tracr_lite.craft.vectorspace_fns import Linear, ScalarBilinear

WIDTH_VALUE = "1/(1+width)"


@dataclass(frozen=True)
class Match:
    """One conjunct, ready to be scored: how keys and queries are read, and the truth table."""

    keys: View
    queries: View
    truth: np.ndarray


def write(lowering: Lowering, node: int) -> OneHot | Number:
    """Adds the head that computes an Aggregate, a Width or the length."""
    kind = lowering.values.nodes[node]
    match kind:
        case Source():
            return _width(lowering, node, _everything(lowering))
        case Width(selector=selector):
            return _width(lowering, node, selector)
        case Aggregate() if lowering.is_numeric(node):
            return _mean(lowering, node, kind)
        case Aggregate():
            return _copy(lowering, node, kind)
        case _:
            raise AssertionError(f"{kind} is no attention node")


def _everything(lowering: Lowering) -> int:
    """A selector that holds everywhere, for the `length` source."""
    values = lowering.values
    if values.causal:
        raise CannotLower(
            values.nodes.index(Source("length")),
            "a causal model cannot see how long its input will be",
            "use make_length(), which counts the tokens so far",
        )
    fill = values.add(Pointwise(_Unit(), ()), "one")
    return values.add(Select(fill, fill, _always), "select_all")


class _Unit:
    def __call__(self) -> int:
        return 1


def _always(key: Any, query: Any) -> bool:
    return True


def _matches(lowering: Lowering, selector: int) -> list[Match]:
    """The selector as a conjunction of truth tables over views."""
    literals = _literals(lowering.values.nodes, selector)
    if literals is None:
        return [_joint_match(lowering, selector)]
    found: list[Match] = []
    for atom, positive in literals:
        select = lowering.values.nodes[atom]
        assert isinstance(select, Select)
        truth = lowering.values.truth[atom]
        truth = truth if positive else np.where(truth < 0, truth, 1 - truth)
        keys, k_truth = _side(lowering, select.keys, truth)
        queries, q_truth = _side(lowering, select.queries, k_truth.T)
        found.append(Match(keys, queries, q_truth.T))
    return found


def _literals(nodes: list[Node], selector: int) -> list[tuple[int, bool]] | None:
    """(Select, positive) of each conjunct, or None if the selector is no conjunction of them."""
    found: dict[tuple[int, bool], None] = {}
    stack = [(selector, True)]
    while stack:
        at, positive = stack.pop()
        node = nodes[at]
        if isinstance(node, Select):
            found[(at, positive)] = None
        elif isinstance(node, Combine) and node.op == "not":
            stack.append((node.inputs[0], not positive))
        elif isinstance(node, Combine) and (node.op == "and") == positive:
            stack.extend((i, positive) for i in reversed(node.inputs))
        else:
            return None
    return list(found)


def _side(lowering: Lowering, node: int, truth: np.ndarray) -> tuple[View, np.ndarray]:
    """A view of one side; values that behave alike are merged before they need columns."""
    size = len(lowering.values.info[node].values)
    leaves = lowering.leaves(node)
    readable = node in lowering.one_hot or (
        len(leaves) <= 1 and not any(lowering.is_numeric(x) for x in leaves)
    )
    if readable or (size <= 64 and not lowering.values.numerical(node) and not _is_mean(lowering, leaves)):
        return lowering.for_attention(node), truth
    classes, first = _classes(truth)
    mapping = {_key(v): int(c) for v, c in zip(lowering.values.info[node].values, classes, strict=True)}
    return _merged(lowering, node, _ClassOf(mapping), truth[first], "classes")


def _is_mean(lowering: Lowering, leaves: tuple[int, ...]) -> bool:
    return any(lowering.values.info[x].mean for x in leaves)


def _merged(
    lowering: Lowering, node: int, fn: _ClassOf, rows: np.ndarray, what: str
) -> tuple[View, np.ndarray]:
    values = lowering.values
    label = f"{values.labels[node]}.{what}{len(values.nodes)}"
    virtual = values.add(Pointwise(fn, (node,), strict=False), label)
    order = np.array(values.info[virtual].values, np.int64)
    return lowering.for_attention(virtual), rows[order]


class _ClassOf:
    """Class number of a value."""

    def __init__(self, mapping: dict[Any, int]):
        self.mapping = mapping

    def __call__(self, value: Any) -> int:
        return self.mapping[_key(value)]


def _key(value: Any) -> Any:
    from tracr_lite.compiler.values.domain import typed_key

    return typed_key(value)


def _classes(truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Class of each row of equal truth, and one row of each class."""
    rows = np.ascontiguousarray(truth.astype(np.int8))
    if rows.shape[1] == 0:
        return np.zeros(len(rows), np.int64), np.zeros(1, np.int64)
    view = rows.view(np.dtype((np.void, rows.shape[1]))).ravel()
    _, first, inverse = np.unique(view, return_index=True, return_inverse=True)
    return inverse.ravel(), first


class _Tuple:
    """The values of several nodes at one position, None included."""

    def __call__(self, *values: Any) -> tuple[Any, ...]:
        return values


def _joint_match(lowering: Lowering, selector: int) -> Match:
    """A selector that is no conjunction: one table over the tuples of all its keys and queries."""
    values = lowering.values
    atoms = values.selected[selector].atoms
    selects = [values.nodes[a] for a in atoms]
    keys = tuple(dict.fromkeys(s.keys for s in selects))  # type: ignore[union-attr]
    queries = tuple(dict.fromkeys(s.queries for s in selects))  # type: ignore[union-attr]
    key, key_parts = _tuple_node(lowering, keys, selector)
    query, query_parts = _tuple_node(lowering, queries, selector)
    size = len(values.info[key].values) * len(values.info[query].values)
    if size > 64_000_000:
        raise CannotLower(
            selector, f"it combines {size} pairs of values", "combine selectors of fewer values"
        )
    tables: dict[int, np.ndarray] = {}
    for atom, select in zip(atoms, selects, strict=True):
        k, q = key_parts[select.keys], query_parts[select.queries]  # type: ignore[union-attr]
        tables[atom] = values.truth[atom][np.ix_(k, q)]
    truth = _boolean(values.nodes, selector, tables)
    k_view, truth = _merge_tuple(lowering, key, truth)
    q_view, truth_t = _merge_tuple(lowering, query, truth.T)
    return Match(k_view, q_view, truth_t.T)


def _tuple_node(
    lowering: Lowering, parts: tuple[int, ...], selector: int
) -> tuple[int, dict[int, np.ndarray]]:
    """A node holding the tuple of `parts`; and each part's value id for every id of it."""
    values = lowering.values
    label = f"{values.labels[selector]}.tuple{len(values.nodes)}"
    node = values.add(Pointwise(_Tuple(), parts, strict=False), label)
    known = {p: {_key(v): i for i, v in enumerate(values.info[p].values)} for p in parts}
    ids = {
        p: np.array([known[p][_key(v[at])] for v in values.info[node].values], np.int64)
        for at, p in enumerate(parts)
    }
    return node, ids


def _merge_tuple(lowering: Lowering, node: int, truth: np.ndarray) -> tuple[View, np.ndarray]:
    leaves = lowering.leaves(node)
    if len(leaves) <= 1 and not any(lowering.is_numeric(x) for x in leaves):
        return lowering.for_attention(node), truth
    classes, first = _classes(truth)
    tuples = lowering.values.info[node].values
    mapping = {_key(v): int(c) for v, c in zip(tuples, classes, strict=True)}
    return _merged(lowering, node, _ClassOf(mapping), truth[first], "classes")


def _boolean(nodes: list[Node], selector: int, tables: dict[int, np.ndarray]) -> np.ndarray:
    """The selector's truth from that of its Selects; where one is not known, nothing is."""
    memo = dict(tables)
    stack = [selector]
    while stack:
        at = stack[-1]
        node = nodes[at]
        missing = [] if at in memo else [i for i in node.inputs if i not in memo]  # type: ignore[union-attr]
        if missing:
            stack.extend(missing)
            continue
        stack.pop()
        if at in memo:
            continue
        parts = [memo[i] for i in node.inputs]  # type: ignore[union-attr]
        unknown = np.any([p < 0 for p in parts], axis=0)
        match node.op:  # type: ignore[union-attr]
            case "and":
                result = parts[0] & parts[1]
            case "or":
                result = parts[0] | parts[1]
            case _:
                result = 1 - parts[0]
        memo[at] = np.where(unknown, -1, result)
    return memo[selector]


def _columns_table(match: Match) -> np.ndarray:
    """The truth table between residual columns; equal columns must agree."""
    k_cols, q_cols = len(match.keys.form.dirs), len(match.queries.form.dirs)
    truth = match.truth.astype(np.int8)
    for view, size, axis in ((match.keys, k_cols, 0), (match.queries, q_cols, 1)):
        known = np.flatnonzero(view.ids != ERR)
        rows = np.take(truth, view.ids[known], axis=axis)
        group = view.form.group[known]
        shape = (size, rows.shape[1]) if axis == 0 else (rows.shape[0], size)
        if len(np.unique(group)) == len(group):
            out = np.full(shape, -1, np.int8)
            if axis == 0:
                out[group] = rows
            else:
                out[:, group] = rows
        else:
            ones, zeros = np.zeros(shape, bool), np.zeros(shape, bool)
            at = group if axis == 0 else (slice(None), group)
            np.logical_or.at(ones, at, rows == 1)
            np.logical_or.at(zeros, at, rows == 0)
            if (ones & zeros).any():
                raise Split({view.form.node})
            out = np.where(ones, 1, np.where(zeros, 0, -1)).astype(np.int8)
        truth = out
    return truth


class _Rows:
    """Rows of a matrix by direction, created when first used."""

    def __init__(self, width: int):
        self.place: dict[BasisDirection, int] = {}
        self.rows: list[np.ndarray] = []
        self.width = width

    def at(self, direction: BasisDirection) -> np.ndarray:
        if direction not in self.place:
            self.place[direction] = len(self.rows)
            self.rows.append(np.zeros(self.width))
        return self.rows[self.place[direction]]

    def space(self) -> tuple[VectorSpaceWithBasis, np.ndarray]:
        names = list(self.place)
        space = VectorSpaceWithBasis(names)
        matrix = np.array(self.rows).reshape(len(names), self.width)
        return space, matrix[_order(names, space)]


@dataclass(frozen=True)
class _Scored:
    """Scores of a head: both factors, its score gap, and the error of its weights."""

    w_qk: ScalarBilinear
    gap: float
    error: float
    slot: int


def _score(lowering: Lowering, selector: int, *, count_bos: bool) -> _Scored:
    """Scores of a selector.

    BOS scores like a selected key when counting (`count_bos`); half-way between selected and not
    where nothing may be selected; else like a key that is not selected. At its own position it
    always wins.
    """
    matches = _matches(lowering, selector)
    widths = lowering.values.selected[selector].widths
    empty = int(widths.low.min()) == 0
    n = lowering.values.keys.n
    c = sharpness(n, halved=empty and not count_bos)
    tables = [_columns_table(m) for m in matches]
    scored = [literal_scores(Literal(t)) for t in tables]
    rank = sum(s.query.shape[1] for s in scored)
    left, right = _Rows(rank + 1), _Rows(rank + 1)
    right.at(lowering.bos)[rank] = 1.0
    offset = 0.0 if count_bos else (-0.5 if empty else -1.0)
    noise, slot, start = 0.0, -1, 0
    _add(left, lowering.one, lowering.bos, offset * c, 1.0, rank)
    left.at(lowering.bos)[rank] += 2.0 * c
    for match, score in zip(matches, scored, strict=True):
        stop = start + score.query.shape[1]
        q, k = match.queries.form, match.keys.form
        for at, d in enumerate(q.dirs):
            left.at(d)[start:stop] += c * score.query[at]
            left.at(d)[rank] += c * score.total[at]
        for at, d in enumerate(k.dirs):
            right.at(d)[start:stop] += score.key[at]
        left.at(lowering.bos)[start:stop] -= c * (q.at_bos @ score.query)
        left.at(lowering.bos)[rank] -= c * float(q.at_bos @ score.total)
        right.at(lowering.bos)[start:stop] -= k.at_bos @ score.key
        noise += c * min(k.spread, float(k.errors @ score.key.any(axis=1)))
        used = score.query.any(axis=1) | (score.total != 0)
        noise += 2 * c * min(q.spread, float(q.errors @ used))
        slot = max(slot, q.slot, k.slot)
        start = stop
    if noise > 1.0:
        raise CannotLower(
            selector,
            f"its keys or queries carry an error that moves scores by up to {noise:.2g}",
            "use a smaller max_seq_len",
        )
    left_space, left_matrix = left.space()
    right_space, right_matrix = right.space()
    w_qk = ScalarBilinear.from_factors(left_space, right_space, left_matrix, right_matrix)
    gap = (c / 2 if empty and not count_bos else c) - noise
    most = int(widths.high.max())
    scale = noise if most > 1 or count_bos or empty else 0.0
    return _Scored(w_qk, gap, weight_error(n, gap, scale), slot)


def _add(
    rows: _Rows, one: BasisDirection, bos: BasisDirection, value: float, held: float, at: int
) -> None:
    rows.at(one)[at] += value
    rows.at(bos)[at] -= value * held


def _head(
    lowering: Lowering, node: int, selector: int, scored: _Scored, value: _Rows, dirs: list[BasisDirection], slot: int
) -> int:
    slot = max(slot, scored.slot)
    slot = slot + 1 if slot % 2 else slot + 2
    source, matrix = value.space()
    out = VectorSpaceWithBasis(dirs)
    w_ov = Linear(source, out, matrix[:, _order(dirs, out)])
    lowering.blocks.append(HeadBlock(slot, (node,), selector, scored.w_qk, w_ov, scored.gap))
    return slot


def _width(lowering: Lowering, node: int, selector: int) -> Number:
    scored = _score(lowering, selector, count_bos=True)
    raw = BasisDirection(lowering.values.labels[node], WIDTH_VALUE)
    lowering.columns.setdefault(node, []).append(raw)
    value = _Rows(1)
    value.at(lowering.bos)[0] = 1.0
    slot = _head(lowering, node, selector, scored, value, [raw], -1)
    codes = 1.0 / (1.0 + np.array(lowering.values.info[node].values, float))
    read = Functional((raw,), np.ones(1), np.ones(1))
    return Number(node, read, {}, codes, True, 1e-30, scored.error, slot)


def _put(rows: _Rows, functional: Functional, bos: BasisDirection, column: int) -> None:
    for d, coef in zip(functional.dirs, functional.coefs.tolist(), strict=True):
        rows.at(d)[column] += coef
    rows.at(bos)[column] -= functional.bos


def _mean(lowering: Lowering, node: int, kind: Aggregate) -> Number:
    scored = _score(lowering, kind.selector, count_bos=False)
    info = lowering.values.info[node]
    inner = lowering.as_number(kind.value)
    default = checked(kind.default)
    label = lowering.values.labels[node]
    numbers = info.span is not None or any(lowering.counts(node, v) for v in info.values)
    dirs = [BasisDirection(label)] if numbers else []
    lowering.columns.setdefault(node, []).extend(dirs)
    flags = {i: lowering.direction(node, v) for i, v in enumerate(info.values) if not lowering.counts(node, v)}
    dirs += flags.values()
    column = {d: i for i, d in enumerate(dirs)}
    rows = _Rows(len(dirs))
    rows.at(lowering.bos)
    if numbers:
        _put(rows, inner.read, lowering.bos, 0)
    by_value = {_key(info.values[i]): column[d] for i, d in flags.items()}
    held = np.zeros(len(dirs))
    for i, functional in inner.flags.items():
        at = by_value.get(_key(lowering.values.info[kind.value].values[i]))
        if at is not None:
            _put(rows, functional, lowering.bos, at)
    empty = int(lowering.values.selected[kind.selector].widths.low.min()) == 0
    if empty and lowering.counts(node, default):
        held[0] = lowering.float(node, default)
    elif empty:
        held[by_value[_key(default)]] = 1.0
    rows.at(lowering.bos)[:] += held
    slot = _head(lowering, node, kind.selector, scored, rows, dirs, inner.slot)
    reach = max(lowering.reach(kind.value), abs(float(held[0])) if numbers and len(held) else 0.0)
    absolute = inner.absolute + reach * (scored.error + inner.relative)
    codes = np.array([lowering.float(node, v) if lowering.counts(node, v) else 0.0 for v in info.values])
    none = np.zeros(1)
    read = Functional(tuple(dirs[:1]), np.ones(1), held[:1]) if numbers else Functional((), none[:0], none[:0])
    read_flags = {i: Functional((d,), np.ones(1), held[[column[d]]]) for i, d in flags.items()}
    return Number(node, read, read_flags, codes, False, absolute, 2.0**-22, slot)


def _copy(lowering: Lowering, node: int, kind: Aggregate) -> OneHot:
    scored = _score(lowering, kind.selector, count_bos=False)
    view = lowering.view(kind.value)
    values, group = lowering.groups(node)
    info, inner = lowering.values.info[node], lowering.values.info[kind.value]
    shown = _as_written(values, inner.values)
    dirs = tuple(lowering.direction(node, v) for v in shown)
    ids = {_key(v): i for i, v in enumerate(info.values)}
    rows = _Rows(len(dirs))
    held = np.zeros(len(dirs))
    rows.at(lowering.bos)
    for base, at in enumerate(view.ids.tolist()):
        if at == ERR:
            continue
        value = inner.values[at]
        result = ids.get(_key(float(value) if is_number(value) else value))
        if result is None:
            continue
        row = rows.at(view.form.dirs[int(view.form.group[base])])
        if row.any() and row[group[result]] == 0.0:
            raise Split({view.form.node})
        row[group[result]] = 1.0
    for d, at_bos in zip(view.form.dirs, view.form.at_bos.tolist(), strict=True):
        if at_bos and d in rows.place:
            rows.at(lowering.bos)[:] -= at_bos * rows.at(d)
    if int(lowering.values.selected[kind.selector].widths.low.min()) == 0:
        held[group[ids[_key(checked(kind.default))]]] = 1.0
    rows.at(lowering.bos)[:] += held
    slot = _head(lowering, node, kind.selector, scored, rows, list(dirs), view.form.slot)
    errors = np.full(len(dirs), view.form.error + scored.error)
    spread = view.form.spread + 2 * scored.error
    return OneHot(node, dirs, group, held, errors, spread, slot)


def _as_written(values: list[Any], inner: list[Any]) -> list[Any]:
    """Copied numbers are floats in RASP; they are labelled like the values they copy."""
    original = {v: v for v in inner if is_number(v)}
    return [original.get(v, v) if is_number(v) else v for v in values]


__all__ = ["CannotLower", "write"]
