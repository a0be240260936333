"""Where values occur: key classes, and the tuples of values that can occur together.

A *key* is (input length L, position i). A node's values are kept per class of keys, so that
`indices` holds one value at each position although it holds n in all. A *frame* is the set of
value tuples of several nodes that some key makes possible; it is never sampled.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Int

from tracr_lite.compiler.values.domain import ERR
from tracr_lite.craft.arrays import distinct_values, starts, unique_rows
from tracr_lite.errors import InvalidValueSetError, Problem

FRAME_BUDGET = 6_000_000  # cells of the product of domains
CLASS_BUDGET = 24_000_000  # cells of classes times domain
PAIR_BUDGET = 100_000_000  # cells of lengths times positions


@dataclass(frozen=True)
class Keys:
    """All keys of a compilation: `lengths` ascending, positions 0..max(lengths)-1."""

    lengths: Int[np.ndarray, " n_lengths"]

    @property
    def n(self) -> int:
        return int(self.lengths[-1])

    @cached_property
    def all_pairs(self) -> tuple[Int[np.ndarray, " keys"], Int[np.ndarray, " keys"]]:
        if len(self.lengths) * self.n > PAIR_BUDGET:
            reason = f"its {len(self.lengths)} lengths have more positions than can be listed"
            raise InvalidValueSetError("infer", [Problem("max_seq_len", reason, "use less")])
        rows, positions = np.nonzero(np.arange(self.n)[None, :] < self.lengths[:, None])
        return rows, positions

    def pairs(
        self, by_length: bool, by_position: bool
    ) -> tuple[Int[np.ndarray, " keys"], Int[np.ndarray, " keys"]]:
        """(row of `lengths`, position) of every key, or of one per class where it is enough."""
        if by_length and by_position:
            return self.all_pairs
        if by_length:
            rows = np.arange(len(self.lengths))
            return rows, np.zeros_like(rows)
        if by_position:
            at = np.arange(self.n)
            return np.full_like(at, len(self.lengths) - 1), at
        zero = np.zeros(1, dtype=np.int64)
        return zero, zero


@dataclass(frozen=True)
class Keyed:
    """A node's possible values by key.

    **Arguments:**
    - `classes`: class of each key; an axis of size 1 means that it does not matter.
    - `member`: which domain ids are possible in each class.
    - `counts`: `selection.histogram`, once it was asked for.
    """

    classes: Int[np.ndarray, "lengths_or_1 positions_or_1"]
    member: Bool[np.ndarray, "classes domain"]
    counts: list[Int[np.ndarray, "lengths classes"]] = field(
        default_factory=list[np.ndarray], compare=False, repr=False
    )

    @property
    def by_length(self) -> bool:
        return self.classes.shape[0] > 1

    @property
    def by_position(self) -> bool:
        return self.classes.shape[1] > 1

    @cached_property
    def single(self) -> Int[np.ndarray, " classes"] | None:
        """The only id of each class, or None if some class has several."""
        if self.member.shape[0] > 1 and self.member.shape[1] > 4096:
            return None
        if (self.member.sum(axis=1) == 1).all():
            return self.member.argmax(axis=1)
        return None

    @cached_property
    def alike(self) -> tuple[Bool[np.ndarray, "kinds classes"], Int[np.ndarray, " domain"]]:
        """The classes that ids can be in, each such set once; and which set each id has."""
        return unique_rows(self.member.T)

    def at(self, rows: np.ndarray, positions: np.ndarray) -> Int[np.ndarray, " keys"]:
        """Classes of the given keys."""
        rows = rows if self.by_length else np.zeros_like(rows)
        positions = positions if self.by_position else np.zeros_like(positions)
        return self.classes[rows, positions]

    @classmethod
    def anywhere(cls, size: int) -> Keyed:
        """Every value at every key: always sound."""
        return cls(np.zeros((1, 1), np.int64), np.ones((1, size), bool))


@dataclass(frozen=True)
class Frame:
    """Value tuples of `leaves` that can occur at one position.

    `codes` are the tuples in mixed radix, ascending; `strides` and `sizes` decode them.
    """

    leaves: tuple[int, ...]
    sizes: tuple[int, ...]
    codes: Int[np.ndarray, " tuples"]

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
        return Frame(names, tuple(sizes), np.flatnonzero(leaves[0].member.any(axis=0)))
    seen = np.zeros(total, bool)
    for base, cells in combine(leaves, sizes, keys).groups:
        once = base if len(base) == 1 else distinct_values(base)
        seen[(once[:, None] + cells[None, :]).ravel()] = True
    return Frame(names, tuple(sizes), seen.nonzero()[0])


def spread(
    leaves: list[Keyed], sizes: list[int], ids: dict[str, np.ndarray], size: int, keys: Keys
) -> Keyed:
    """Possible ids by key of a node whose value on tuple `codes[t]` is `ids[t]` (ERR: none)."""
    codes, values = ids["codes"], ids["values"]
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
