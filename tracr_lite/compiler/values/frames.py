"""The tuples of values that can occur together.

A *frame* is the set of value tuples of several nodes that some key makes possible; it is never
sampled.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Int

from tracr_lite.compiler.values.domain import ERR
from tracr_lite.compiler.values.keyed import Keyed as Keyed
from tracr_lite.compiler.values.keyed import Keys as Keys
from tracr_lite.craft.arrays import distinct_values, starts, unique_rows

FRAME_BUDGET = 6_000_000  # cells of the product of domains
CLASS_BUDGET = 24_000_000  # cells of classes times domain
FEW_CELLS = 65_536  # keys times tuples of which a table is made


@dataclass(frozen=True)
class Occurrences:
    """Which tuples occur in which groups of keys: `tuples[i]` in group `groups[i]`.

    `group_of`: the group of each key.
    """

    group_of: Int[np.ndarray, "lengths_or_1 positions_or_1"]
    count: int
    groups: Int[np.ndarray, " cells"]
    tuples: Int[np.ndarray, " cells"]

    def spread(self, ids: Int[np.ndarray, " tuples"], size: int) -> Keyed:
        """As `spread`, of a node whose value on each tuple is `ids`."""
        member = np.zeros((self.count, size + 1), bool)  # the last column collects ERR
        member[self.groups, ids[self.tuples]] = True
        packed, inverse = unique_rows(member[:, :size])
        return Keyed(inverse[self.group_of], packed)


@dataclass(frozen=True)
class Frame:
    """Value tuples of `leaves` that can occur at one position.

    `codes` are the tuples in mixed radix, ascending; `strides` and `sizes` decode them.
    `occurs`: where, if there are few tuples and keys.
    """

    leaves: tuple[int, ...]
    sizes: tuple[int, ...]
    codes: Int[np.ndarray, " tuples"]
    occurs: Occurrences | None = field(default=None, compare=False, repr=False)

    @property
    def full(self) -> bool:
        """Whether all tuples of values occur."""
        return len(self.codes) == math.prod(self.sizes)

    @cached_property
    def strides(self) -> tuple[int, ...]:
        strides: list[int] = []
        step = 1
        for size in reversed(self.sizes):
            strides.append(step)
            step *= size
        return tuple(reversed(strides))

    def column(self, leaf: int) -> Int[np.ndarray, " tuples"]:
        """Domain id of `leaf` in every tuple."""
        if len(self.leaves) == 1:
            return self.codes
        at = self.leaves.index(leaf)
        return self.codes // self.strides[at] % self.sizes[at]


@dataclass(frozen=True)
class Combos:
    """Which combinations of key classes occur: one row of `codes` per (base, multi group)."""

    groups: list[tuple[Int[np.ndarray, " rows"], Int[np.ndarray, " cells"]]]
    keys: list[Int[np.ndarray, " rows"]]
    rows: Int[np.ndarray, " keys"]
    positions: Int[np.ndarray, " keys"]


def combine(leaves: list[Keyed], sizes: list[int], keys: Keys) -> Combos:
    """Groups keys whose leaves with several possible values have the same classes.

    In each group the tuples of key k are `base[k] + cells`: the single-valued leaves give the
    base, the product of the others gives the cells.
    """
    rows, positions = keys.pairs(
        any(k.by_length for k in leaves), any(k.by_position for k in leaves)
    )
    strides, step = [1] * len(sizes), 1
    for at in range(len(sizes) - 1, -1, -1):
        strides[at], step = step, step * sizes[at]
    base = np.zeros(len(rows), np.int64)
    multi: list[tuple[Keyed, int, np.ndarray]] = []
    for keyed, stride in zip(leaves, strides, strict=True):
        classes = keyed.at(rows, positions)
        if keyed.single is not None:
            base += stride * keyed.single[classes]
        else:
            multi.append((keyed, stride, classes))
    group, order = np.zeros(len(rows), np.int64), np.arange(len(rows))
    for keyed, _, classes in multi:
        if len(keyed.member) > 1:
            group = group * len(keyed.member) + classes
            order = group.argsort(kind="stable")
    ends = [*starts(group[order]).tolist(), len(order)]
    groups: list[tuple[np.ndarray, np.ndarray]] = []
    members: list[np.ndarray] = []
    for start, end in pairwise(ends):
        chunk = order[start:end]
        cells = np.zeros(1, np.int64)
        for keyed, stride, classes in multi:
            ids = keyed.member[classes[chunk[0]]].nonzero()[0]
            cells = (cells[:, None] + stride * ids[None, :]).ravel()
        groups.append((base[chunk], cells))
        members.append(chunk)
    return Combos(groups, members, rows, positions)


def build_frame(
    names: tuple[int, ...], leaves: list[Keyed], sizes: list[int], keys: Keys
) -> Frame | None:
    """The tuples of values that can occur together, or None if the product is over budget."""
    total = 1
    for size in sizes:
        total *= size
    if total > FRAME_BUDGET:
        return None
    if not names:
        return Frame((), (), np.zeros(1, np.int64))
    if len(names) == 1:  # every class occurs at some key
        return _frame_of(names, sizes, leaves[0].member, leaves[0].classes)
    if total * len(keys.lengths) * keys.n <= FEW_CELLS:
        return _small_frame(names, leaves, sizes, keys)
    seen = np.zeros(total, bool)
    for base, cells in combine(leaves, sizes, keys).groups:
        once = base if len(base) == 1 else distinct_values(base)
        seen[(once[:, None] + cells[None, :]).ravel()] = True
    return Frame(names, tuple(sizes), seen.nonzero()[0])


def _small_frame(
    names: tuple[int, ...], leaves: list[Keyed], sizes: list[int], keys: Keys
) -> Frame:
    """The frame from a table of all tuples at all keys."""
    by_length = any(k.by_length for k in leaves)
    by_position = any(k.by_position for k in leaves)
    rows, positions = keys.pairs(by_length, by_position)
    possible = leaves[0].at_keys(rows, positions)
    for keyed in leaves[1:]:
        other = keyed.at_keys(rows, positions)
        possible = (possible[:, :, None] & other[:, None, :]).reshape(len(rows), -1)
    if by_length and by_position:
        group_of = np.zeros((len(keys.lengths), keys.n), np.int64)
        group_of[rows, positions] = np.arange(len(rows))
    else:
        group_of = np.arange(len(rows)).reshape((-1, 1) if by_length else (1, -1))
    return _frame_of(names, sizes, possible, group_of)


def _frame_of(
    names: tuple[int, ...],
    sizes: list[int],
    possible: Bool[np.ndarray, "groups tuples"],
    group_of: Int[np.ndarray, "lengths_or_1 positions_or_1"],
) -> Frame:
    """From the tuples that each group of keys can have, in mixed radix."""
    codes = np.logical_or.reduce(possible, axis=0).nonzero()[0]
    if len(codes) < possible.shape[1]:
        possible = possible[:, codes]
    occurs = None
    if possible.size <= FEW_CELLS:
        occurs = Occurrences(group_of, len(possible), *possible.nonzero())
    return Frame(names, tuple(sizes), codes, occurs)


def spread(
    leaves: list[Keyed], sizes: list[int], ids: dict[str, np.ndarray], size: int, keys: Keys
) -> Keyed:
    """Possible ids by key of a node whose value on tuple `codes[t]` is `ids[t]` (ERR: none)."""
    codes, values = ids["codes"], ids["values"]
    if not leaves:  # one value everywhere
        member = np.zeros((1, size + 1), bool)
        member[0, values] = True
        return Keyed(np.zeros((1, 1), np.int64), member[:, :size])
    widest = max([size, *sizes])
    if len(leaves) == 1 and leaves[0].classes.size * widest <= CLASS_BUDGET:
        return _mapped(leaves[0], codes, values, size)
    combos = combine(leaves, sizes, keys)
    cells = sum(len(base) * len(cell) for base, cell in combos.groups)
    classes = sum(len(base) for base, _ in combos.groups)
    if cells > CLASS_BUDGET or classes * size > CLASS_BUDGET:
        return Keyed.anywhere(size)
    member = np.zeros((len(combos.rows), size + 1), bool)  # the last column collects ERR
    for (base, cell), chunk in zip(combos.groups, combos.keys, strict=True):
        at = base[:, None] + cell[None, :]
        found = np.searchsorted(codes, at).clip(max=len(codes) - 1)
        value = np.where(codes[found] == at, values[found], ERR)
        member[chunk[:, None], value] = True
    by_length = any(k.by_length for k in leaves)
    by_position = any(k.by_position for k in leaves)
    shape = (len(keys.lengths) if by_length else 1, keys.n if by_position else 1)
    table = np.zeros(shape, np.int64)
    packed, inverse = unique_rows(member[:, :size])
    table[combos.rows * by_length, combos.positions * by_position] = inverse
    return Keyed(table, packed)


def _mapped(leaf: Keyed, codes: np.ndarray, values: np.ndarray, size: int) -> Keyed:
    """As `spread`, of one leaf: each class of keys has the values of its ids."""
    value_of = np.full(leaf.member.shape[1], ERR)
    value_of[codes] = values
    rows, ids = leaf.member.nonzero()
    member = np.zeros((len(leaf.member), size + 1), bool)
    member[rows, value_of[ids]] = True
    packed, inverse = unique_rows(member[:, :size])
    return Keyed(inverse[leaf.classes], packed)
