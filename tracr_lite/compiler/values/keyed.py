"""Where values occur: classes of keys.

A *key* is (input length L, position i). A node's values are kept per class of keys, so that
`indices` holds one value at each position although it holds n in all.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float32, Int

from tracr_lite.craft.arrays import fixed, unique_rows
from tracr_lite.errors import InvalidValueSetError, Problem

PAIR_BUDGET = 100_000_000  # cells of lengths times positions


@dataclass(frozen=True)
class Keys:
    """All keys of a compilation: `lengths` ascending, positions 0..max(lengths)-1."""

    lengths: Int[np.ndarray, " n_lengths"]

    @cached_property
    def n(self) -> int:
        """The greatest length."""
        return int(self.lengths[-1])

    @cached_property
    def all_pairs(self) -> tuple[Int[np.ndarray, " keys"], Int[np.ndarray, " keys"]]:
        if len(self.lengths) * self.n > PAIR_BUDGET:
            reason = f"its {len(self.lengths)} lengths have more positions than can be listed"
            raise InvalidValueSetError("infer", [Problem("max_seq_len", reason, "use less")])
        rows, positions = np.nonzero(np.arange(self.n)[None, :] < self.lengths[:, None])
        return fixed(rows), fixed(positions)

    @cached_property
    def runs(self) -> list[tuple[int, int]]:
        """Where the keys of each length start and end in `all_pairs`."""
        ends = self.lengths.cumsum().tolist()
        return list(zip([0, *ends[:-1]], ends, strict=True))

    @cached_property
    def as_tuple(self) -> tuple[int, ...]:
        """The lengths as Python numbers."""
        return tuple(self.lengths.tolist())

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
    - `known`: what was computed of it, by name.
    """

    classes: Int[np.ndarray, "lengths_or_1 positions_or_1"]
    member: Bool[np.ndarray, "classes domain"]
    known: dict[str, np.ndarray] = field(
        default_factory=dict[str, np.ndarray], compare=False, repr=False
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
    def content(self) -> tuple[object, ...]:
        """All that it says."""
        classes, member = self.classes, self.member
        return classes.shape, classes.tobytes(), member.shape, member.tobytes()

    @cached_property
    def floats(self) -> Float32[np.ndarray, "classes domain"]:
        """`member` as numbers, for products."""
        return self.member.astype(np.float32)

    @cached_property
    def alike(self) -> tuple[Bool[np.ndarray, "kinds classes"], Int[np.ndarray, " domain"]]:
        """The classes that ids can be in, each such set once; and which set each id has."""
        return unique_rows(self.member.T)

    def at(self, rows: np.ndarray, positions: np.ndarray) -> Int[np.ndarray, " keys"]:
        """Classes of the given keys."""
        if self.by_length:
            return self.classes[rows, positions if self.by_position else 0]
        if self.by_position:
            return self.classes[0, positions]
        return np.full(len(rows), self.classes[0, 0])

    def everywhere(self, keys: Keys) -> Int[np.ndarray, " keys"]:
        """Classes of all keys."""
        found = self.known.get("everywhere")
        if found is None:
            found = self.known["everywhere"] = self.at(*keys.all_pairs)
        return found

    def at_keys(
        self, rows: np.ndarray, positions: np.ndarray
    ) -> Bool[np.ndarray, "keys domain"]:
        """Which domain ids are possible at the given keys."""
        if self.classes.size == 1:  # the same everywhere
            return np.broadcast_to(
                self.member[self.classes[0, 0]], (len(rows), self.member.shape[1])
            )
        return self.member[self.at(rows, positions)]

    @classmethod
    def anywhere(cls, size: int) -> Keyed:
        """Every value at every key: always sound."""
        return cls(np.zeros((1, 1), np.int64), np.ones((1, size), bool))
