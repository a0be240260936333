"""What a selector may and must select: three-valued logic over key classes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Int

from tracr_lite.compiler.values.frames import CLASS_BUDGET, Keyed, Keys
from tracr_lite.craft.arrays import distinct, product, starts

PAIR_BUDGET = 20_000_000
FEW_PAIRS = 10_000
_TRUE_AND_FALSE = np.array([1, 0], np.int8)[:, None, None]


@dataclass(frozen=True)
class Logic:
    """Three-valued truth: something *may* hold, and *must* hold."""

    may: Bool[np.ndarray, ...]
    must: Bool[np.ndarray, ...]

    def __and__(self, other: Logic) -> Logic:
        return Logic(self.may & other.may, self.must & other.must)

    def __or__(self, other: Logic) -> Logic:
        return Logic(self.may | other.may, self.must | other.must)

    def __invert__(self) -> Logic:
        return Logic(~self.must, ~self.may)

    def __getitem__(self, index: Any) -> Logic:
        return Logic(self.may[index], self.must[index])


@dataclass(frozen=True)
class Widths:
    """Bounds on how many keys a query selects, for each key of `Keys.all_pairs`."""

    low: Int[np.ndarray, " keys"]
    high: Int[np.ndarray, " keys"]

    @cached_property
    def least(self) -> int:
        """The least of the lower bounds."""
        return min(self.low.tolist())

    @cached_property
    def most(self) -> int:
        """The greatest of the upper bounds."""
        return max(self.high.tolist())


def histogram(keyed: Keyed, keys: Keys) -> Int[np.ndarray, "lengths classes"]:
    """How many positions of an input of each length are in each class."""
    found = keyed.known.get("histogram")
    if found is None:
        found = keyed.known["histogram"] = _histogram(keyed, keys)
    return found


def _histogram(keyed: Keyed, keys: Keys) -> Int[np.ndarray, "lengths classes"]:
    size = len(keyed.member)
    if not keyed.by_length:
        return _prefixes(keyed, keys)[keys.lengths - 1]
    rows, _ = keys.all_pairs
    code = rows * size + keyed.everywhere(keys)
    return np.bincount(code, minlength=len(keys.lengths) * size).reshape(-1, size)


def _prefixes(keyed: Keyed, keys: Keys) -> Int[np.ndarray, "positions classes"]:
    """How many positions up to each one are in each class, where lengths do not matter."""
    at = np.arange(keys.n)
    counts = np.zeros((keys.n, len(keyed.member)), np.int64)
    counts[at, keyed.at(np.zeros_like(at), at)] = 1
    return np.cumsum(counts, axis=0)


def _present(keyed: Keyed, keys: Keys) -> Float32[np.ndarray, "lengths domain"]:
    """Whether an input of each length may hold each id; not zero means yes."""
    found = keyed.known.get("present")
    if found is None:
        classes = (histogram(keyed, keys) > 0).astype(np.float32)
        found = keyed.known["present"] = product(classes, keyed.floats)
    return found


def cooccurrence(
    k: Keyed, q: Keyed, keys: Keys
) -> Bool[np.ndarray, "key_classes query_classes"]:
    """Which class of a key position meets which class of a query position in one input."""
    left = (histogram(k, keys) > 0).astype(np.float32)
    right = (histogram(q, keys) > 0).astype(np.float32)
    return product(left.T, right) > 0


def reachable_pairs(k: Keyed, q: Keyed, keys: Keys) -> Bool[np.ndarray, "key_ids query_ids"]:
    """Which values can meet in one input as key and query."""
    if not k.by_length and not q.by_length:  # the longest inputs hold all that others hold
        possible = (np.logical_or.reduce(x.member, axis=0) for x in (k, q))
        return np.logical_and.outer(*possible)
    if k.member.shape[1] * q.member.shape[1] <= FEW_PAIRS:
        return product(_present(k, keys).T, _present(q, keys)) > 0
    together = cooccurrence(k, q, keys).astype(np.float32)
    (k_rows, k_of), (q_rows, q_of) = k.alike, q.alike
    left = product(k_rows.astype(np.float32), together)
    met = product(left, q_rows.T.astype(np.float32)) > 0
    return met[k_of][:, q_of]


def class_logic(k: Keyed, q: Keyed, table: Int[np.ndarray, "keys queries"]) -> Logic:
    """May and must of a predicate between key classes."""
    if k.single is not None and q.single is not None:
        holds = table[k.single][:, q.single] == 1
        return Logic(holds, holds)

    if table.size > FEW_PAIRS:
        holds, fails = (_any_alike(k, q, table == truth) for truth in (1, 0))
    else:
        both = (table == _TRUE_AND_FALSE).astype(np.float32)
        holds, fails = product(product(k.floats, both), q.floats.T) > 0
    return Logic(holds, ~fails & holds)


def _any_alike(k: Keyed, q: Keyed, cells: Bool[np.ndarray, "keys queries"]) -> np.ndarray:
    """Whether a cell is true for some values of each two classes; values that are alike are
    looked at together."""
    for axis, (_, of) in enumerate((k.alike, q.alike)):
        order = of.argsort(kind="stable")
        cells = np.logical_or.reduceat(cells.take(order, axis), starts(of[order]), axis)
    left = product(k.alike[0].T.astype(np.float32), cells.astype(np.float32)) > 0
    return product(left.astype(np.float32), q.alike[0].astype(np.float32)) > 0


def joint(nodes: list[Keyed], keys: Keys) -> tuple[Keyed, list[Int[np.ndarray, " classes"]]]:
    """One class per combination of the nodes' classes, and the class of each node in it."""
    if len(nodes) == 1:
        return nodes[0], [np.arange(len(nodes[0].member))]
    rows, positions = keys.pairs(
        any(k.by_length for k in nodes), any(k.by_position for k in nodes)
    )
    columns = [k.at(rows, positions) for k in nodes]
    code = np.zeros(len(rows), np.int64)
    for keyed, column in zip(nodes, columns, strict=True):
        code = code * len(keyed.member) + column
    _, first, inverse = distinct(code)
    by_length = any(k.by_length for k in nodes)
    by_position = any(k.by_position for k in nodes)
    shape = (len(keys.lengths) if by_length else 1, keys.n if by_position else 1)
    classes = np.zeros(shape, np.int64)
    classes[rows * by_length, positions * by_position] = inverse
    member = np.ones((len(first), 1), bool)  # only the classes matter
    return Keyed(classes, member), [column[first] for column in columns]


def widths(
    logic: Logic, k: Keyed, q: Keyed, diagonal: Logic | None, keys: Keys, causal: bool
) -> Widths:
    """Bounds on the number of selected keys, for every query key.

    **Arguments:** `logic`: over (classes of `k`, classes of `q`); `diagonal`: over (length,
    position), the query's own position as key, where tokens are the same token.
    """
    rows, positions = keys.all_pairs
    if causal and k.by_length:  # rare: no prefix counts, so only the trivial bounds
        return at_most(keys, causal)
    if causal:
        counts, which = _prefixes(k, keys), positions
    else:
        counts, which = histogram(k, keys), rows
    queries = q.everywhere(keys)
    floats = counts.astype(np.float32)  # a product of integers would take longer
    high = low = product(floats, logic.may)[which, queries]
    if logic.must is not logic.may:
        low = product(floats, logic.must)[which, queries]
    if diagonal is not None:
        mine = (k.everywhere(keys), queries)
        low = low - logic.must[mine] + _on_keys(diagonal.must, keys)
        high = high - logic.may[mine] + _on_keys(diagonal.may, keys)
    return Widths(low.astype(np.int64), high.astype(np.int64))


def at_most(keys: Keys, causal: bool) -> Widths:
    """Bounds that always hold."""
    rows, positions = keys.all_pairs
    most = positions + 1 if causal else keys.lengths[rows]
    return Widths(np.zeros_like(most), most)


def _on_keys(grid: Bool[np.ndarray, "lengths_or_1 positions_or_1"], keys: Keys) -> Any:
    """The truth for each key, or one for all."""
    rows, positions = keys.all_pairs
    lengths, places = grid.shape
    return grid[rows if lengths > 1 else 0, positions if places > 1 else 0]


def too_many_classes(*keyed: Keyed) -> bool:
    """Whether a table over the product of the classes would be past the budget."""
    size = 1
    for k in keyed:
        size *= len(k.member)
    return size > CLASS_BUDGET
