"""Values of Width and Aggregate nodes, and of numbers too many to be listed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tracr_lite.compiler.graph import Aggregate, Combine, Pointwise, Select
from tracr_lite.compiler.values import relations, selection
from tracr_lite.compiler.values.domain import BadValue, Domain, checked, is_number
from tracr_lite.compiler.values.frames import CLASS_BUDGET, Frame, Keyed, unique_rows
from tracr_lite.compiler.values.means import means_of
from tracr_lite.compiler.values.pointwise import Table, identity
from tracr_lite.compiler.values.selection import Logic, Widths

if TYPE_CHECKING:
    from tracr_lite.compiler.values.infer import Info, Selected, Values


class TooMany(Exception):
    """A node has more values than can be listed, and something needs them listed."""

    def __init__(self, reason: str, suggestion: str):
        super().__init__(reason)
        self.problem = (reason, suggestion)


def analyse(values: Values, selector: int) -> Selected:
    """How many keys each query can select."""
    from tracr_lite.compiler.values.infer import Selected

    atoms = _atoms(values, selector)
    sides = [[values.nodes[a].keys for a in atoms], [values.nodes[a].queries for a in atoms]]  # type: ignore[union-attr]
    k, k_parts = selection.joint([values.keyed(x) for x in sides[0]], values.keys)
    q, q_parts = selection.joint([values.keyed(x) for x in sides[1]], values.keys)
    if selection.too_many_classes(k, q):
        at = np.arange(values.keys.n)[None, :] + 1 if values.causal else values.keys.lengths[:, None]
        bounds = Widths(np.zeros_like(at), at)
        return Selected(atoms, bounds)
    tables: dict[int, Logic] = {}
    own: dict[int, Logic | None] = {}
    for atom, key, query, kp, qp in zip(atoms, *sides, k_parts, q_parts, strict=True):
        logic = selection.class_logic(values.keyed(key), values.keyed(query), values.truth[atom])
        tables[atom] = logic[np.ix_(kp, qp)]
        own[atom] = _diagonal(values, atom)
    logic = _evaluate(values, selector, tables)
    diagonal = None
    if all(d is not None for d in own.values()):
        diagonal = _evaluate(values, selector, own)  # type: ignore[arg-type]
    bounds = selection.widths(logic, k, q, diagonal, values.keys, values.causal)
    return Selected(atoms, relations.tighten(values, selector, bounds))


def _atoms(values: Values, selector: int) -> tuple[int, ...]:
    node = values.nodes[selector]
    if isinstance(node, Combine):
        found = [a for i in node.inputs for a in values.selected[i].atoms]
        return tuple(dict.fromkeys(found))
    return (selector,)


def _evaluate(values: Values, selector: int, tables: dict[int, Logic]) -> Logic:
    """The selector's three-valued truth from that of its Selects; linear in shared nodes."""
    memo = dict(tables)
    stack = [selector]
    while stack:
        at = stack[-1]
        node = values.nodes[at]
        missing = [] if at in memo else [i for i in node.inputs if i not in memo]  # type: ignore[union-attr]
        if missing:
            stack.extend(missing)
            continue
        stack.pop()
        if at not in memo:
            parts = [memo[i] for i in node.inputs]  # type: ignore[union-attr]
            match node.op:  # type: ignore[union-attr]
                case "and":
                    memo[at] = parts[0] & parts[1]
                case "or":
                    memo[at] = parts[0] | parts[1]
                case _:
                    memo[at] = ~parts[0]
    return memo[selector]


def _diagonal(values: Values, atom: int) -> Logic | None:
    """Truth of a Select at the query's own position, by (length, position)."""
    node = values.nodes[atom]
    assert isinstance(node, Select)
    k, q = values.info[node.keys].table, values.info[node.queries].table
    frame = values.frame(tuple(sorted({*k.leaves, *q.leaves})))
    if frame is None:
        return None
    ki, qi = k.on(frame), q.on(frame)
    truth = np.where((ki < 0) | (qi < 0), -1, values.truth[atom][ki, qi]).astype(np.int64)
    leaves = [values.keyed(leaf) for leaf in frame.leaves]
    from tracr_lite.compiler.values.frames import spread

    ids = {"codes": frame.codes, "values": truth}
    keyed = spread(leaves, list(frame.sizes), ids, 2, values.keys)
    holds = keyed.member[:, 1][keyed.classes]
    fails = keyed.member[:, 0][keyed.classes]
    return Logic(holds, holds & ~fails)


def infer_width(values: Values, at: int, selector: int) -> None:
    """Every count between the bounds is taken to be possible."""
    from tracr_lite.compiler.values.infer import Info

    low, high, keyed_of = _by_key(values, values.selected[selector].widths)
    first, last = int(low.min()), int(high.max())
    counts = np.arange(first, last + 1)
    member = (counts >= low[:, None]) & (counts <= high[:, None])
    size = len(counts)
    values.set_leaf(
        at, Info([int(c) for c in counts], identity(at, size)), keyed_of(member, size)
    )


def _by_key(values: Values, widths: Widths) -> tuple[np.ndarray, np.ndarray, Any]:
    """Distinct (low, high) bounds, and a function from rows over them to `Keyed`."""
    keys = values.keys
    shape = (len(keys.lengths), keys.n)
    valid = np.arange(keys.n)[None, :] < keys.lengths[:, None]
    low = np.where(valid, np.broadcast_to(widths.low, shape), -1)
    high = np.where(valid, np.broadcast_to(widths.high, shape), -1)
    code = low * (keys.n + 2) + high
    by_position = _shrink(code, valid, axis=0)
    by_length = None if by_position is not None else _shrink(code, valid, axis=1)
    table = code if by_position is None else by_position
    table = table if by_length is None else by_length
    kept = table[table >= 0]
    distinct = np.unique(kept)
    classes = np.searchsorted(distinct, table).clip(max=len(distinct) - 1)

    def keyed_of(member: np.ndarray, size: int) -> Keyed:
        if member.size > CLASS_BUDGET:
            return Keyed.anywhere(size)
        return Keyed(classes, member)

    return distinct // (keys.n + 2), distinct % (keys.n + 2), keyed_of


def _shrink(code: np.ndarray, valid: np.ndarray, axis: int) -> np.ndarray | None:
    """`code` without an axis on which it does not depend, or None if it does."""
    greatest = np.where(valid, code, -1).max(axis=axis, keepdims=True)
    least = np.where(valid, code, np.iinfo(np.int64).max).min(axis=axis, keepdims=True)
    if (greatest != least).any():
        return None
    if axis == 0 and (greatest == greatest.flat[0]).all():
        return greatest[:, :1]
    return greatest


def infer_aggregate(values: Values, at: int, node: Aggregate) -> None:
    """Copies the selected value where all selected are equal, else averages numbers."""
    default = checked(node.default)
    if relations.averages(values, node):
        _infer_mean(values, at, node, default)
    else:
        _infer_copy(values, at, node, default)


def _infer_copy(values: Values, at: int, node: Aggregate, default: Any) -> None:
    from tracr_lite.compiler.values.infer import Info

    inner = values.info[node.value]
    domain = Domain()
    ids = np.array([domain.add(_copied(v)) for v in inner.values], np.int64)
    low, high, keyed_of = _by_key(values, values.selected[node.selector].widths)
    fallback = domain.add(default) if (low == 0).any() else None
    member = np.zeros((len(low), len(domain)), bool)
    member[:, ids] = (high > 0)[:, None]
    if fallback is not None:
        member[low == 0, fallback] = True
    used = np.flatnonzero(member.any(axis=0))
    span = _widen(inner.span, default if fallback is not None else None)
    info = Info([domain.values[i] for i in used], identity(at, len(used)), span)
    values.set_leaf(at, info, keyed_of(member[:, used], len(used)))


def _copied(value: Any) -> Any:
    """The mean of equal values: numbers become floats, as in the evaluator."""
    try:
        return float(value) if is_number(value) else value
    except OverflowError:
        raise BadValue(f"{value!r}, past the range of a float", "use smaller numbers") from None


def _widen(span: tuple[float, float] | None, value: Any) -> tuple[float, float] | None:
    if span is None or not is_number(value):
        return span
    return min(span[0], float(value)), max(span[1], float(value))


def _infer_mean(values: Values, at: int, node: Aggregate, default: Any) -> None:
    from tracr_lite.compiler.values.infer import Info, numbers_of

    inner = values.info[node.value]
    numbers = [_copied(v) for v in numbers_of(inner.values)]
    others = [v for v in inner.values if not is_number(v)]
    low, high, keyed_of = _by_key(values, values.selected[node.selector].widths)
    if (low == 0).any():
        others.append(default)
    means = None
    if inner.span is None:
        means = means_of(numbers, range(max(int(low.min()), 1), int(high.max()) + 1))
    if means is None:
        span = inner.span or (min(numbers), max(numbers))
        span = _widen(span, others[-1] if (low == 0).any() else None)
        rest = Domain.of(v for v in others if not is_number(v)).values
        assert span is not None
        values.set_leaf(at, *_unlisted(at, rest, span, mean=True))
        return
    domain = Domain.of([*means.values.tolist(), *others])
    member = np.zeros((len(low), len(domain)), bool)
    extra = [domain.add(v) for v in others if not is_number(v)]
    for row, (least, most) in enumerate(zip(low.tolist(), high.tolist(), strict=True)):
        for count in range(max(least, 1), most + 1):
            member[row, means.by_count[count]] = True
        member[row, extra] = True
        if least == 0:
            member[row, domain.add(default)] = True
    info = Info(domain.values, identity(at, len(domain)), mean=True)
    values.set_leaf(at, info, keyed_of(member, len(domain)))


def _unlisted(
    at: int, rest: list[Any], span: tuple[float, float], mean: bool
) -> tuple[Info, Keyed]:
    from tracr_lite.compiler.values.infer import Info

    empty = Table(Frame((at,), (0,), np.zeros(0, np.int64)), np.zeros(0, np.int64))
    return Info(rest, empty, span, mean), Keyed.anywhere(max(len(rest), 1))


def infer_unlisted(values: Values, at: int, node: Pointwise) -> None:
    """A pointwise node that reads numbers too many to list: only a linear one can be kept."""
    if node.linear is None:
        reads = ", ".join(
            values.labels[i] for i in node.inputs if values.info[i].span is not None
        )
        raise TooMany(
            f"it must tell apart the values of {reads}, which are too many to list",
            "use LinearSequenceMap, or average numbers with fewer distinct values",
        )
    infer_linear(values, at, node)


def infer_linear(values: Values, at: int, node: Pointwise) -> None:
    """A linear node over more value pairs than can be listed as tuples."""
    from tracr_lite.compiler.values.infer import Info

    assert node.linear is not None
    infos = [values.info[i] for i in node.inputs]
    for info in infos:
        if any(not is_number(v) for v in info.values):
            raise TooMany(
                "it adds numbers too many to list to values that may be None or text",
                "give the Aggregate a number as default",
            )
    if all(info.span is None for info in infos):
        found = _linear_values(values, node)
        if found is not None:
            size = len(found)
            info = Info(found.tolist(), identity(at, size))
            values.set_leaf(at, info, Keyed.anywhere(size))
            return
    spans = [info.span or (float(min(info.values)), float(max(info.values))) for info in infos]
    terms = [sorted((f * s[0], f * s[1])) for f, s in zip(node.linear, spans, strict=True)]
    span = (terms[0][0] + terms[1][0], terms[0][1] + terms[1][1])
    values.set_leaf(at, *_unlisted(at, [], span, mean=False))


def _linear_values(values: Values, node: Pointwise) -> np.ndarray | None:
    """Distinct results, from the classes of the inputs that occur at the same key."""
    assert node.linear is not None
    keyed = [values.keyed(i) for i in node.inputs]
    numbers = [np.array(values.info[i].values, np.float64) for i in node.inputs]
    _, (a_class, b_class) = selection.joint(keyed, values.keys)
    pairs = {(int(a), int(b)) for a, b in zip(a_class, b_class, strict=True)}
    cells = sum(int(keyed[0].member[a].sum()) * int(keyed[1].member[b].sum()) for a, b in pairs)
    if cells > CLASS_BUDGET:
        return None
    parts = [
        np.unique(
            node.linear[0] * numbers[0][keyed[0].member[a]][:, None]
            + node.linear[1] * numbers[1][keyed[1].member[b]][None, :]
        )
        for a, b in sorted(pairs)
    ]
    return np.unique(np.concatenate(parts))


__all__ = ["TooMany", "analyse", "infer_aggregate", "infer_linear", "infer_unlisted", "infer_width"]
_ = unique_rows
