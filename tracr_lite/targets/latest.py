"""Selectors that select the latest match: a head finds it by preferring what is near.

RASP has no maximum. A program numbers what it looks for, and asks for the number reached:

    count  = SelectorWidth(is_write)                      the writes so far
    number = count where there is a write, else -1
    Select(number, count, ==)                             the latest write

    count  = SelectorWidth(same_token)                    which occurrence this is
    before = Aggregate(one_back, tokens), Aggregate(one_back, count)
    Select(before[0], tokens, ==) & Select(before[1], count - 1, ==)
                                                          what follows the latest earlier one

Both are recognised by what they compute, on all values that can occur, however it is written.
Then nothing has to be counted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from tracr_lite.compiler.graph import Aggregate, Select, Width
from tracr_lite.compiler.values.domain import ERR, is_number
from tracr_lite.compiler.values.state import Values
from tracr_lite.targets.lowering import StockLowering
from tracr_lite.targets.visible import conjuncts, forbids_nothing, offset_of


@dataclass(frozen=True)
class Latest:
    """Of the keys that `selector` selects, at least `behind` back, the latest is meant."""

    selector: int
    behind: int = 0


def latest_of(lowering: StockLowering, selector: int) -> Latest | None:
    """What the selector selects the latest of; None if it is not known to do that."""
    if lowering.values.keys.n + 1 > lowering.traits.recent:
        return None
    parts = _restricting(lowering, selector)
    if len(parts) == 1:
        return _numbered(lowering, parts[0])
    if len(parts) != 2:
        return None
    found = _occurrence(lowering, *parts) or _occurrence(lowering, *parts[::-1])
    moves = found is not None and found.behind > 0  # which takes a head that looks back
    return None if moves and not lowering.traits.relative else found


def _restricting(lowering: StockLowering, selector: int) -> list[int]:
    return [p for p in conjuncts(lowering, selector) if not forbids_nothing(lowering, p)]


def _numbered(lowering: StockLowering, part: int) -> Latest | None:
    """The key that has a property and the number of such keys so far: the latest of them."""
    values = lowering.values
    select, width = values.nodes[part], _counted_by(values, part)
    counted = None if width is None else _one_select(lowering, width)
    if not isinstance(select, Select) or width is None or counted is None:
        return None
    at, match = counted
    holds = _property(values.truth[at])
    keys = _together(values, (select.keys, match.keys, width))
    queries = _together(values, (select.queries, width))
    if holds is None or keys is None or queries is None:
        return None
    number, has, count = keys
    has, count, reached = holds[has], _numbers(values, width)[count], queries[1]
    reached = _numbers(values, width)[reached]
    wanted = (has == 1)[:, None] & (count[:, None] == reached[None, :])
    # No key counts more than a query that sees it, and a match counts itself.
    occurs = (count[:, None] <= reached[None, :]) & ((has == 0) | (count > 0))[:, None]
    if not _decides(
        values.truth[part][np.ix_(number, queries[0])], wanted, occurs & (has >= 0)[:, None]
    ):
        return None
    return Latest(at)


def _occurrence(lowering: StockLowering, same: int, number: int) -> Latest | None:
    """The key of the same class, and of the number before: the latest earlier one."""
    values = lowering.values
    width = _counted_by(values, number)
    counted = None if width is None else _one_select(lowering, width)
    here, there = values.nodes[same], values.nodes[number]
    if width is None or counted is None or not isinstance(here, Select):
        return None
    at, match = counted
    if not isinstance(there, Select) or here.queries != match.queries:
        return None
    if match.keys != match.queries or not _is_equivalence(values.truth[at]):
        return None
    if here.keys == match.keys:
        alike, behind = np.array_equal(values.truth[same], values.truth[at]), 1
        key_count = width
    else:
        alike, behind = _one_back(lowering, here, match.keys, at, same), 0
        key_count = _moved_by_one(lowering, there.keys, width)
    if not alike or key_count is None:
        return None
    keys = _together(values, (there.keys, key_count))
    queries = _together(values, (there.queries, width))
    if keys is None or queries is None:
        return None
    count, reached = _numbers(values, key_count)[keys[1]], _numbers(values, width)[queries[1]]
    wanted = count[:, None] == reached[None, :] - 1
    occurs = count[:, None] <= reached[None, :] - (1 - behind)
    if not _decides(values.truth[number][np.ix_(keys[0], queries[0])], wanted, occurs):
        return None
    return Latest(same, behind)


def _one_back(lowering: StockLowering, here: Select, kind: int, at: int, same: int) -> bool:
    """Whether a key is selected by what stands before it, as it would be itself."""
    values = lowering.values
    back = _aggregate_one_back(lowering, here.keys)
    if back is None or back.value != kind:
        return False
    known = values.info[kind].values
    truth = values.truth[same]
    for row, value in zip(truth, values.info[here.keys].values, strict=True):
        ids = [i for i, each in enumerate(known) if each == value]
        wanted = values.truth[at][ids[0]] if ids else np.zeros_like(row)  # the default
        if len(ids) > 1 or ((row != wanted) & (row >= 0) & (wanted >= 0)).any():
            return False
        if ids and value == back.default:
            return False
    return True


def _moved_by_one(lowering: StockLowering, keys: int, width: int) -> int | None:
    """The node that holds the count of the position before, if the keys are made of it."""
    leaves = lowering.values.info[keys].table.leaves
    if len(leaves) != 1:
        return None
    back = _aggregate_one_back(lowering, leaves[0])
    whole = all(is_number(v) for v in lowering.values.info[leaves[0]].values)
    return leaves[0] if back is not None and back.value == width and whole else None


def _aggregate_one_back(lowering: StockLowering, node: int) -> Aggregate | None:
    kind = lowering.values.nodes[node]
    if not isinstance(kind, Aggregate) or offset_of(lowering, kind.selector) != 1:
        return None
    return kind


def _counted_by(values: Values, part: int) -> int | None:
    """The width that the queries of a Select are made of, if of nothing else."""
    node = values.nodes[part]
    if not isinstance(node, Select):
        return None
    info = values.info[node.queries]
    leaves = info.table.leaves
    if info.span is not None or len(leaves) != 1:
        return None
    return leaves[0] if isinstance(values.nodes[leaves[0]], Width) else None


def _one_select(lowering: StockLowering, width: int) -> tuple[int, Select] | None:
    """The Select that a width counts, if all else in its selector forbids nothing."""
    node = lowering.values.nodes[width]
    assert isinstance(node, Width), "a width was asked for"
    parts = _restricting(lowering, node.selector)
    found = lowering.values.nodes[parts[0]] if len(parts) == 1 else None
    return (parts[0], found) if isinstance(found, Select) else None


def _property(truth: np.ndarray) -> np.ndarray | None:
    """1, 0 or -1 (never met) for each key, if the queries make no difference."""
    some, none = (truth == 1).any(axis=1), (truth == 0).any(axis=1)
    return None if (some & none).any() else np.where(some, 1, np.where(none, 0, -1))


def _is_equivalence(truth: np.ndarray) -> bool:
    """Whether it is true within classes, and nowhere else, as far as pairs can occur."""
    if truth.shape[0] != truth.shape[1] or (np.diag(truth) == 0).any():
        return False
    of = (truth == 1).argmax(axis=1)
    return _decides(truth, of[:, None] == of[None, :], np.ones_like(truth, bool))


def _decides(truth: np.ndarray, wanted: np.ndarray, occurs: np.ndarray) -> bool:
    """Whether the truth is as wanted, wherever it is known and the pair can occur."""
    return bool(((truth == wanted) | (truth < 0) | ~occurs).all())


def _numbers(values: Values, node: int) -> np.ndarray:
    return np.array([float(v) for v in values.info[node].values])


def _together(values: Values, nodes: Iterable[int]) -> list[np.ndarray] | None:
    """Ids of the values that some nodes have together; None if they cannot be listed."""
    wanted = tuple(nodes)
    if any(values.info[node].span is not None for node in wanted):
        return None
    leaves = tuple(sorted({leaf for n in wanted for leaf in values.info[n].table.leaves}))
    frame = values.frame(leaves)
    tables = [values.table_on(node, leaves) for node in wanted]
    if frame is None or any(table is None for table in tables):
        return None
    ids = np.stack([table.on(frame) for table in tables if table is not None])
    return list(np.unique(ids[:, (ids != ERR).all(axis=0)], axis=1))
