"""Tables of pointwise nodes over the value tuples of the nodes they depend on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int

from tracr_lite.compiler.values.domain import ERR, Domain, call
from tracr_lite.compiler.values.frames import Frame


@dataclass(frozen=True)
class Table:
    """A node's value id on every tuple of a frame; `ERR` where the evaluator raises."""

    frame: Frame
    ids: Int[np.ndarray, " tuples"]

    @property
    def leaves(self) -> tuple[int, ...]:
        return self.frame.leaves

    def on(self, frame: Frame) -> Int[np.ndarray, " tuples"]:
        """The ids on each tuple of a frame over more leaves."""
        if frame.leaves == self.frame.leaves and len(frame.codes) == len(self.frame.codes):
            return self.ids
        codes = np.zeros(len(frame.codes), np.int64)
        for leaf, stride in zip(self.frame.leaves, self.frame.strides, strict=True):
            codes += stride * frame.column(leaf)
        at = np.searchsorted(self.frame.codes, codes).clip(max=len(self.frame.codes) - 1)
        return np.where(self.frame.codes[at] == codes, self.ids[at], ERR)


def identity(leaf: int, size: int) -> Table:
    """The table of a node over itself."""
    return Table(Frame((leaf,), (size,), np.arange(size)), np.arange(size))


def apply(
    fn: Callable[..., Any],
    strict: bool,
    columns: list[Int[np.ndarray, " tuples"]],
    domains: list[list[Any]],
    count: int,
) -> tuple[Domain, Int[np.ndarray, " tuples"]]:
    """Calls `fn` once for each distinct tuple of input ids that can occur.

    **Raises:** `BadValue` if a result cannot be represented.
    """
    code = np.zeros(count, np.int64)
    broken = np.zeros(count, bool)
    for column, domain in zip(columns, domains, strict=True):
        code = code * len(domain) + column
        broken |= column == ERR
    code[broken] = -1
    distinct, first, inverse = np.unique(code, return_index=True, return_inverse=True)
    domain = Domain()
    results = np.full(len(distinct), ERR, np.int64)
    picked = [column[first].tolist() for column in columns]
    for at, known in enumerate((distinct >= 0).tolist()):
        if known:
            args = tuple(d[p[at]] for d, p in zip(domains, picked, strict=True))
            ok, value = call(fn, strict, args)
            if ok:
                results[at] = domain.add(value)
    return domain, results[inverse.ravel()]


def reduce_leaves(table: Table) -> Table:
    """Drops leaves on which the value does not depend, wherever it has one."""
    for leaf in table.leaves:
        at = table.frame.leaves.index(leaf)
        column = table.frame.column(leaf)
        rest = table.frame.codes - table.frame.strides[at] * column
        high = table.frame.codes // (table.frame.strides[at] * table.frame.sizes[at])
        low = table.frame.codes % table.frame.strides[at]
        rest = high * table.frame.strides[at] + low
        order = np.argsort(rest, kind="stable")
        starts = np.flatnonzero(np.diff(rest[order], prepend=-1))
        ids = table.ids[order]
        greatest = np.maximum.reduceat(ids, starts)
        least = np.minimum.reduceat(np.where(ids == ERR, np.iinfo(np.int64).max, ids), starts)
        if ((greatest == least) | (greatest == ERR)).all():
            leaves = table.leaves[:at] + table.leaves[at + 1 :]
            sizes = table.frame.sizes[:at] + table.frame.sizes[at + 1 :]
            table = Table(Frame(leaves, sizes, rest[order][starts]), greatest)
    return table
