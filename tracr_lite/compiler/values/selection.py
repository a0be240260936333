"""What a selector may and must select: three-valued logic over key classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from tracr_lite.compiler.values.frames import CLASS_BUDGET, Keyed, Keys
from tracr_lite.craft.arrays import distinct, starts

PAIR_BUDGET = 20_000_000
FEW_PAIRS = 10_000


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
    """Bounds on how many keys a query selects, per key (broadcast over the first two axes)."""

    low: Int[np.ndarray, "lengths_or_1 positions_or_1"]
    high: Int[np.ndarray, "lengths_or_1 positions_or_1"]


def histogram(keyed: Keyed, keys: Keys) -> Int[np.ndarray, "lengths classes"]:
    """How many positions of an input of each length are in each class."""
    if not keyed.counts:
        keyed.counts.append(_histogram(keyed, keys))
    return keyed.counts[0]


def _histogram(keyed: Keyed, keys: Keys) -> Int[np.ndarray, "lengths classes"]:
    rows, positions = keys.all_pairs
    if not keyed.by_length:
        rows_of_n = np.arange(keys.n)
        counts = np.zeros((keys.n + 1, len(keyed.member)), np.int64)
        counts[rows_of_n + 1, keyed.at(np.zeros_like(rows_of_n), rows_of_n)] = 1
        return np.cumsum(counts, axis=0)[keys.lengths]
    counts = np.zeros((len(keys.lengths), len(keyed.member)), np.int64)
    np.add.at(counts, (rows, keyed.at(rows, positions)), 1)
    return counts


def cooccurrence(
    k: Keyed, q: Keyed, keys: Keys
) -> Bool[np.ndarray, "key_classes query_classes"]:
    """Which class of a key position meets which class of a query position in one input."""
    left = (histogram(k, keys) > 0).astype(np.float32)
    right = (histogram(q, keys) > 0).astype(np.float32)
    return (left.T @ right) > 0


def reachable_pairs(k: Keyed, q: Keyed, keys: Keys) -> Bool[np.ndarray, "key_ids query_ids"]:
    """Which values can meet in one input as key and query."""
    together = cooccurrence(k, q, keys).astype(np.float32)
    if k.member.shape[1] * q.member.shape[1] <= FEW_PAIRS:
        return (k.member.T.astype(np.float32) @ together @ q.member.astype(np.float32)) > 0
    (k_rows, k_of), (q_rows, q_of) = k.alike, q.alike
    met = (k_rows.astype(np.float32) @ together @ q_rows.T.astype(np.float32)) > 0
    return met[k_of][:, q_of]


def class_logic(k: Keyed, q: Keyed, table: Int[np.ndarray, "keys queries"]) -> Logic:
    """May and must of a predicate between key classes."""

    def any_pair(cells: np.ndarray) -> np.ndarray:
        if cells.size > FEW_PAIRS:
            return _any_alike(k, q, cells)
        if k.single is not None:
            left = cells[k.single]
        else:
            left = k.member.astype(np.float32) @ cells.astype(np.float32) > 0
        if q.single is not None:
            return left[:, q.single]
        return left.astype(np.float32) @ q.member.T.astype(np.float32) > 0

    holds = any_pair(table == 1)
    return Logic(holds, ~any_pair(table == 0) & holds)


def _any_alike(k: Keyed, q: Keyed, cells: Bool[np.ndarray, "keys queries"]) -> np.ndarray:
    """Whether a cell is true for some values of each two classes; values that are alike are
    looked at together."""
    for axis, (_, of) in enumerate((k.alike, q.alike)):
        order = of.argsort(kind="stable")
        cells = np.logical_or.reduceat(cells.take(order, axis), starts(of[order]), axis)
    left = k.alike[0].T.astype(np.float32) @ cells.astype(np.float32) > 0
    return left.astype(np.float32) @ q.alike[0].astype(np.float32) > 0


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
        at = np.arange(keys.n)[None, :]
        return Widths(np.zeros_like(at), at + 1)
    if causal:
        at = np.arange(keys.n)
        counts = np.zeros((keys.n, len(k.member)), np.int64)
        counts[at, k.at(np.zeros_like(at), at)] = 1
        counts, which = np.cumsum(counts, axis=0), positions
    else:
        counts, which = histogram(k, keys), rows
    low = _count(counts, logic.must)[which, q.at(rows, positions)]
    high = _count(counts, logic.may)[which, q.at(rows, positions)]
    if diagonal is not None:
        mine = (k.at(rows, positions), q.at(rows, positions))
        own = tuple(
            np.broadcast_to(x, (len(keys.lengths), keys.n))[rows, positions]
            for x in (diagonal.may, diagonal.must)
        )
        low = low - logic.must[mine] + own[1]
        high = high - logic.may[mine] + own[0]
    full = np.zeros((2, len(keys.lengths), keys.n), np.int64)
    full[0] = keys.n  # where there is no key, no bound
    full[0, rows, positions], full[1, rows, positions] = low, high
    return Widths(full[0], full[1])


def _count(counts: np.ndarray, truth: np.ndarray) -> Int[np.ndarray, "rows query_classes"]:
    return np.rint(counts.astype(np.float32) @ truth.astype(np.float32)).astype(np.int64)


def too_many_classes(*keyed: Keyed) -> bool:
    """Whether a table over the product of the classes would be past the budget."""
    size = 1
    for k in keyed:
        size *= len(k.member)
    return size > CLASS_BUDGET
