"""How many keys each query selects, and the values of widths."""

from __future__ import annotations

from collections.abc import Callable, Hashable

import numpy as np

from tracr_lite.compiler.graph import Combine, as_select, evaluate_selector
from tracr_lite.compiler.values import relations, selection
from tracr_lite.compiler.values.frames import CLASS_BUDGET, Keyed, Keys, spread
from tracr_lite.compiler.values.pointwise import identity
from tracr_lite.compiler.values.selection import Logic, Widths
from tracr_lite.compiler.values.state import Info, Selected, Values
from tracr_lite.craft.arrays import distinct_values, fixed
from tracr_lite.craft.memo import Memo

FEW_KEYS = 512
SHORT = 64  # inputs up to this length, and
SMALL = 1024  # cells of truth: selectors of which bounds are kept for other programs
BOUNDS: Memo[Widths] = Memo(1024)
# from what is possible in each class, and the number of ids
KeyedOf = Callable[[np.ndarray, int], Keyed]


def analyse(values: Values, selector: int) -> Selected:
    """How many keys each query can select."""
    atoms = _atoms(values, selector)
    selects = [as_select(values.nodes[a]) for a in atoms]
    key = None
    if sum(values.truth[atom].size for atom in atoms) <= SMALL and values.keys.n <= SHORT:
        key = _key(values, selector, atoms)
        known = BOUNDS.get(key)
        if known is not None:
            return Selected(atoms, relations.tighten(values, selector, known))
    k, k_parts = selection.joint([values.keyed(s.keys) for s in selects], values.keys)
    q, q_parts = selection.joint([values.keyed(s.queries) for s in selects], values.keys)
    if selection.too_many_classes(k, q):
        return Selected(atoms, selection.at_most(values.keys, values.causal))
    bounds = _bounds(values, selector, (k, q), list(zip(atoms, k_parts, q_parts, strict=True)))
    if key is not None:
        BOUNDS.keep(key, Widths(fixed(bounds.low), fixed(bounds.high)))
    return Selected(atoms, relations.tighten(values, selector, bounds))


def _bounds(
    values: Values,
    selector: int,
    sides: tuple[Keyed, Keyed],
    atoms: list[tuple[int, np.ndarray, np.ndarray]],
) -> Widths:
    """As far as classes of keys tell. `atoms`: Selects, with the classes of both sides."""
    k, q = sides
    tables: dict[int, Logic] = {}
    for atom, kp, qp in atoms:
        select = as_select(values.nodes[atom])
        logic = selection.class_logic(
            values.keyed(select.keys), values.keyed(select.queries), values.truth[atom]
        )
        tables[atom] = logic if len(atoms) == 1 else logic[np.ix_(kp, qp)]
    logic = evaluate_selector(values.nodes, selector, tables, _combined)
    diagonal = None
    if logic.may is not logic.must and (logic.may != logic.must).any():  # else all is known
        own = {
            atom: found
            for atom, _, _ in atoms
            if (found := _diagonal(values, atom)) is not None
        }
        if len(own) == len(atoms):
            diagonal = evaluate_selector(values.nodes, selector, own, _combined)
    return selection.widths(logic, k, q, diagonal, values.keys, values.causal)


def _key(values: Values, selector: int, atoms: tuple[int, ...]) -> Hashable:
    """All that `_bounds` depends on; nodes are numbered in the order of their names here."""
    number: dict[int, int] = {}
    found: list[Hashable] = [values.keys.as_tuple, values.causal]
    for atom in atoms:
        select, truth = as_select(values.nodes[atom]), values.truth[atom]
        found += truth.shape, truth.dtype.char, truth.tobytes()
        for side in (select.keys, select.queries):
            table, frame = values.info[side].table, values.info[side].table.frame
            own = [number.setdefault(leaf, len(number)) for leaf in frame.leaves]
            found += values.keyed(side).content, *own, frame.sizes
            found += frame.codes.tobytes(), table.ids.tobytes()
    for leaf in number:
        found += values.info[leaf].span is not None, values.keyed(leaf).content
    steps: list[Hashable] = []

    def step(op: str, parts: list[int]) -> int:
        steps.append((op, *parts))
        return len(atoms) + len(steps) - 1

    place = {atom: at for at, atom in enumerate(atoms)}
    if selector not in place:
        evaluate_selector(values.nodes, selector, place, step)
    return (*found, *steps)


def _atoms(values: Values, selector: int) -> tuple[int, ...]:
    """The Selects that a selector is made of, in the order in which it names them."""
    found: list[int] = []
    seen: set[int] = set()
    stack = [selector]
    while stack:
        at = stack.pop()
        node = values.nodes[at]
        if at in seen:
            continue
        seen.add(at)
        if isinstance(node, Combine):
            stack.extend(reversed(node.inputs))
        else:
            found.append(at)
    return tuple(found)


def _combined(op: str, parts: list[Logic]) -> Logic:
    match op:
        case "and":
            return parts[0] & parts[1]
        case "or":
            return parts[0] | parts[1]
        case _:
            return ~parts[0]


def _diagonal(values: Values, atom: int) -> Logic | None:
    """Truth of a Select at the query's own position, by (length, position)."""
    node = as_select(values.nodes[atom])
    k, q = values.info[node.keys].table, values.info[node.queries].table
    frame = values.frame(tuple(sorted({*k.leaves, *q.leaves})))
    if frame is None:
        return None
    ki, qi = k.on(frame), q.on(frame)
    truth = np.where((ki < 0) | (qi < 0), -1, values.truth[atom][ki, qi])
    if frame.occurs is not None:
        keyed = frame.occurs.spread(truth, 2)
    else:
        leaves = [values.keyed(leaf) for leaf in frame.leaves]
        ids = {"codes": frame.codes, "values": truth.astype(np.int64)}
        keyed = spread(leaves, list(frame.sizes), ids, 2, values.keys)
    holds = keyed.member[:, 1][keyed.classes]
    fails = keyed.member[:, 0][keyed.classes]
    return Logic(holds, holds & ~fails)


def infer_width(values: Values, at: int, selector: int) -> None:
    """Every count between the bounds is taken to be possible."""
    low, high, keyed_of = bounds_by_key(values, values.selected[selector].widths)
    first, last = int(low.min()), int(high.max())
    counts = np.arange(first, last + 1)
    member = (counts >= low[:, None]) & (counts <= high[:, None])
    size = len(counts)
    values.set_leaf(
        at, Info([int(c) for c in counts], identity(at, size)), keyed_of(member, size)
    )


def bounds_by_key(values: Values, widths: Widths) -> tuple[np.ndarray, np.ndarray, KeyedOf]:
    """Distinct (low, high) bounds, and a function from rows over them to `Keyed`."""
    keys, base = values.keys, values.keys.n + 2
    code = widths.low * base + widths.high
    found, classes = (_few_classes if len(code) <= FEW_KEYS else _classes)(code, keys)

    def keyed_of(member: np.ndarray, size: int) -> Keyed:
        if member.size > CLASS_BUDGET:
            return Keyed.anywhere(size)
        return Keyed(classes, member)

    return found // base, found % base, keyed_of


def _few_classes(code: np.ndarray, keys: Keys) -> tuple[np.ndarray, np.ndarray]:
    """As `_classes`, by Python, which is quicker with few keys."""
    codes: list[int] = code.tolist()
    found = sorted({*codes})
    number = {each: at for at, each in enumerate(found)}
    numbers = [number[each] for each in codes]
    runs = [numbers[start:stop] for start, stop in keys.runs]
    if all(run == runs[-1][: len(run)] for run in runs):
        classes = [runs[-1]] if len(found) > 1 else [[0]]
    elif all(run.count(run[0]) == len(run) for run in runs):
        classes = [[run[0]] for run in runs]
    else:
        classes = [run + [0] * (keys.n - len(run)) for run in runs]
    return np.array(found), np.array(classes)


def _classes(code: np.ndarray, keys: Keys) -> tuple[np.ndarray, np.ndarray]:
    """The distinct codes, and a grid of which of them each key has, or one row or column."""
    table = np.full((len(keys.lengths), keys.n), -1)
    table[keys.all_pairs] = code
    valid = table >= 0
    by_position = _shrink(table, valid, axis=0)
    by_length = None if by_position is not None else _shrink(table, valid, axis=1)
    table = table if by_position is None else by_position
    table = table if by_length is None else by_length
    found = distinct_values(code)
    return found, found.searchsorted(table).clip(max=len(found) - 1)


def _shrink(code: np.ndarray, valid: np.ndarray, axis: int) -> np.ndarray | None:
    """`code` without an axis on which it does not depend, or None if it does."""
    greatest = np.where(valid, code, -1).max(axis=axis, keepdims=True)
    least = np.where(valid, code, np.iinfo(np.int64).max).min(axis=axis, keepdims=True)
    if (greatest != least).any():
        return None
    if axis == 0 and (greatest == greatest.flat[0]).all():
        return greatest[:, :1]
    return greatest
