"""Tables of pointwise nodes over the value tuples of the nodes they depend on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
from jaxtyping import Int

from tracr_lite.compiler.values.domain import ALWAYS_VALID, ERR, Domain, checked
from tracr_lite.compiler.values.frames import Frame
from tracr_lite.craft.arrays import distinct, starts
from tracr_lite.errors import RAISED

LARGEST = np.iinfo(np.int64).max


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
    found, first, inverse = distinct(code)
    first = first[int(len(found) and found[0] < 0) :]  # broken ones come before all others
    domain = Domain()
    picked = [
        [d[i] for i in column[first].tolist()]
        for d, column in zip(domains, columns, strict=True)
    ]
    results = [ERR] * (len(found) - len(first))
    for args in zip(*picked, strict=True) if picked else [()] * len(first):
        if strict and None in args:
            results.append(domain.add(None))
            continue
        try:
            value = fn(*args)
        except RAISED:  # whatever a user's function raises, the evaluator raises it too
            results.append(ERR)
            continue
        if type(value) not in ALWAYS_VALID and not (type(value) is float and isfinite(value)):
            value = checked(value)
        results.append(domain.add(value))
    return domain, np.array(results, np.int64)[inverse]


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
        ordered, ids = rest[order], table.ids[order]
        first = starts(ordered)
        greatest = np.maximum.reduceat(ids, first)
        least = np.minimum.reduceat(np.where(ids == ERR, LARGEST, ids), first)
        if ((greatest == least) | (greatest == ERR)).all():
            leaves = table.leaves[:at] + table.leaves[at + 1 :]
            sizes = table.frame.sizes[:at] + table.frame.sizes[at + 1 :]
            table = Table(Frame(leaves, sizes, ordered[first]), greatest)
    return table
