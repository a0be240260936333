"""Tables of pointwise nodes over the value tuples of the nodes they depend on."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
from jaxtyping import Int

from tracr_lite.compiler.values.domain import (
    ALWAYS_VALID,
    ERR,
    SIMPLE,
    Domain,
    checked,
    type_of,
    typed_key,
)
from tracr_lite.compiler.values.frames import Frame
from tracr_lite.craft.arrays import distinct, starts
from tracr_lite.errors import RAISED

LARGEST = np.iinfo(np.int64).max
FEW_TUPLES = 128


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
    ids = np.arange(size)
    return Table(Frame((leaf,), (size,), ids), ids)


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
    if count <= FEW_TUPLES:
        return _apply_to_few(fn, strict, columns, domains, count)
    code = np.zeros(count, np.int64)
    broken = np.zeros(count, bool)
    for column, domain in zip(columns, domains, strict=True):
        code = code * len(domain) + column
        broken |= column == ERR
    code[broken] = -1
    found, first, inverse = distinct(code)
    first = first[int(len(found) and found[0] < 0) :]  # broken ones come before all others
    picked = [
        [d[i] for i in column[first].tolist()]
        for d, column in zip(domains, columns, strict=True)
    ]
    arguments = zip(*picked, strict=True) if picked else [()] * len(first)
    domain, results = _called(fn, strict, arguments)
    results = [ERR] * (len(found) - len(first)) + results
    return domain, np.array(results, np.int64)[inverse]


def _apply_to_few(
    fn: Callable[..., Any],
    strict: bool,
    columns: list[Int[np.ndarray, " tuples"]],
    domains: list[list[Any]],
    count: int,
) -> tuple[Domain, Int[np.ndarray, " tuples"]]:
    """As `apply`; Python is quicker with few numbers than numpy."""
    if len(columns) == 1:  # the common case
        (values,), ids = domains, columns[0].tolist()
        called = sorted({*ids} - {ERR})
        domain, results = _called(fn, strict, [(values[i],) for i in called])
        result_of: dict[Any, int] = dict(zip(called, results, strict=True))
        return domain, np.array([result_of.get(i, ERR) for i in ids], np.int64)
    lists = [column.tolist() for column in columns]
    tuples = list(zip(*lists, strict=True)) if lists else [()] * count
    known = [ids for ids in sorted({*tuples}) if ERR not in ids]
    arguments = [tuple([d[i] for d, i in zip(domains, ids, strict=True)]) for ids in known]
    domain, results = _called(fn, strict, arguments)
    if len(known) == count and known == tuples:
        return domain, np.array(results, np.int64)
    result_of = dict(zip(known, results, strict=True))
    return domain, np.array([result_of.get(ids, ERR) for ids in tuples], np.int64)


def _called(
    fn: Callable[..., Any], strict: bool, arguments: Iterable[tuple[Any, ...]]
) -> tuple[Domain, list[int]]:
    """The results, and which of them each call has."""
    domain = Domain()
    ids, values, results = domain.ids, domain.values, list[int]()
    for args in arguments:
        if strict and None in args:
            value = None
        else:
            try:
                value = fn(*args)
            except RAISED:  # whatever a user's function raises, the evaluator raises it too
                results.append(ERR)
                continue
        kind = type_of(value)
        if kind is str or (kind is float and value and isfinite(value)):
            key: Hashable = value  # as `typed_key` says, without a call
        elif kind in ALWAYS_VALID:
            key = (kind, value)
        elif kind is tuple and SIMPLE.issuperset(kinds := tuple(map(type_of, value or ()))):
            key = (kinds, value)
        else:
            value = checked(value)
            key = typed_key(value)
        at = ids.setdefault(key, len(ids))
        if at == len(values):
            values.append(value)
        results.append(at)
    return domain, results


def reduce_leaves(table: Table) -> Table:
    """Drops leaves on which the value does not depend, wherever it has one."""
    if len(table.leaves) == 1:
        return _constant(table) or table
    if table.frame.full and len(table.ids) and int(table.ids.min()) != ERR:
        return _reduce_full(table)
    for leaf in table.leaves:
        at = table.frame.leaves.index(leaf)
        stride, size = table.frame.strides[at], table.frame.sizes[at]
        rest = table.frame.codes // (stride * size) * stride + table.frame.codes % stride
        order = rest.argsort(kind="stable")
        ordered, ids = rest[order], table.ids[order]
        first = starts(ordered)
        greatest = np.maximum.reduceat(ids, first)
        least = np.minimum.reduceat(np.where(ids == ERR, LARGEST, ids), first)
        if ((greatest == least) | (greatest == ERR)).all():
            leaves = table.leaves[:at] + table.leaves[at + 1 :]
            sizes = table.frame.sizes[:at] + table.frame.sizes[at + 1 :]
            table = Table(Frame(leaves, sizes, ordered[first]), greatest)
    return table


def _constant(table: Table) -> Table | None:
    """A table of one leaf as one of none, if it has one value at most."""
    values = {*table.ids.tolist()} - {ERR}
    if len(values) > 1:
        return None
    value = np.array([values.pop() if values else ERR])
    return Table(Frame((), (), np.zeros(1, np.int64)), value)


def _reduce_full(table: Table) -> Table:
    """As `reduce_leaves`, where all tuples occur and have a value."""
    leaves, grid = list(table.leaves), table.ids.reshape(table.frame.sizes)
    for leaf in table.leaves:
        at = leaves.index(leaf)
        one = grid.take(0, axis=at)
        if (grid == np.expand_dims(one, at)).all():
            grid = one
            del leaves[at]
    if len(leaves) == len(table.leaves):
        return table
    sizes = grid.shape
    return Table(Frame(tuple(leaves), sizes, np.arange(grid.size)), grid.ravel())
