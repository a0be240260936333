"""Stage 3, lower: decides what is written to the residual stream, when, and in which form.

Lowering starts at the output and asks for what it needs. Attention results are always written.
A pointwise node is written only if something cannot read it through the columns of the one node it
depends on: Maps below attention are read through, chains of Maps and SequenceMaps become one MLP.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tracr_lite.compiler.graph import Pointwise, Source
from tracr_lite.compiler.lowering.forms import (
    EMBEDDED,
    Block,
    Functional,
    Number,
    OneHot,
)
from tracr_lite.compiler.lowering.naming import clusters, direction_of
from tracr_lite.compiler.lowering.plan import Plan
from tracr_lite.compiler.lowering.problems import CannotLower, Split
from tracr_lite.compiler.values.domain import ERR, is_number, typed_key
from tracr_lite.compiler.values.pointwise import Table
from tracr_lite.craft.bases import BasisDirection
from tracr_lite.craft.conventions import ONE

CLEANED_NUMBERS = 512  # values of a number that is read from cleaned one-hots


@dataclass(frozen=True)
class View:
    """A node read through the one-hot columns of `form`; `ids[base id]` is the node's id."""

    form: OneHot
    ids: np.ndarray


@dataclass
class Lowering(Plan):
    """State of one lowering: forms written so far, and the blocks that write them.

    **Arguments:** `split`: nodes whose values get a direction per type; `clean`: attention never
    reads one-hots with an error, they are cleaned by an MLP first (deeper, but more exact);
    `loose`: the output node, where numbers that differ by rounding only share a direction;
    `assumed`: nodes known to have no block, taken as written so that further problems are found.
    """

    bos: BasisDirection
    split: set[int]
    clean: bool
    loose: int = -1
    assumed: frozenset[int] = frozenset()
    one: BasisDirection = field(default_factory=lambda: BasisDirection(ONE))
    blocks: list[Block] = field(default_factory=list[Block])
    one_hot: dict[int, OneHot] = field(default_factory=dict[int, OneHot])
    number: dict[int, Number] = field(default_factory=dict[int, Number])
    columns: dict[int, list[BasisDirection]] = field(
        default_factory=dict[int, list[BasisDirection]]
    )
    value_of: dict[BasisDirection, Any] = field(default_factory=dict[BasisDirection, Any])
    cleaned: dict[int, OneHot] = field(default_factory=dict[int, OneHot])

    def table(self, node: int, leaves: tuple[int, ...]) -> Table:
        listed = all(self.values.info[leaf].span is None for leaf in leaves)
        table = self.values.table_on(node, leaves) if listed else None
        if table is None:
            raise CannotLower(
                node,
                "it depends on more value combinations than can be listed",
                "split it into functions of fewer values",
            )
        return table

    def view(self, node: int) -> View:
        """The node one-hot, through its own columns or those of the node it depends on."""
        if node not in self.one_hot:
            leaves = self.leaves(node)
            numeric = any(self.is_numeric(x) for x in leaves)
            if len(leaves) == 0:
                return View(self.constant(node), self.table(node, ()).ids)
            if len(leaves) == 1 and not numeric:
                form = self.view(leaves[0]).form if leaves[0] != node else self.raw(node)
                assert isinstance(form, OneHot)
                return View(form, self._ids(node, leaves))
            from tracr_lite.compiler.lowering.mlps import write_one_hot

            write = assumed if node in self.assumed else write_one_hot
            self.one_hot[node] = write(self, node)
        form = self.one_hot[node]
        return View(form, np.arange(len(form.group)))

    def _ids(self, node: int, leaves: tuple[int, ...]) -> np.ndarray:
        table = self.table(node, leaves)
        ids = np.full(len(self.values.info[leaves[0]].values), ERR, np.int64)
        ids[table.frame.codes] = table.ids
        return ids

    def for_attention(self, node: int) -> View:
        """As `view`, cleaned by an MLP where that is asked for."""
        view = self.view(node)
        if not self.clean or view.form.spread == 0.0:
            return view
        base = view.form.node
        if base not in self.cleaned:
            from tracr_lite.compiler.lowering.mlps import clean_one_hot

            self.cleaned[base] = clean_one_hot(self, view.form)
        return View(self.cleaned[base], view.ids)

    def constant(self, node: int) -> OneHot:
        """A node that depends on nothing, read from the constant direction."""
        return OneHot(
            node, (self.one,), np.zeros(1, np.int64), np.ones(1), np.zeros(1), 0.0, EMBEDDED
        )

    def raw(self, node: int) -> OneHot | Number:
        """The node as attention or the embeddings leave it."""
        if node in self.one_hot and not self.is_numeric(node):
            return self.one_hot[node]
        if node in self.number:
            return self.number[node]
        kind = self.values.nodes[node]
        if isinstance(kind, Source) and kind.kind != "length":
            self.one_hot[node] = form = self._embedding(node, kind.kind)
            return form
        if self.is_linear(node):
            self.number[node] = number = self._linear(node)
            return number
        found = self._attend(node)
        if isinstance(found, OneHot):
            self.one_hot[node] = found
        else:
            self.number[node] = found
        return found

    def _attend(self, node: int) -> OneHot | Number:
        from tracr_lite.compiler.lowering import heads

        if node in self.assumed:
            return assumed_number(self, node) if self.is_numeric(node) else assumed(self, node)
        try:
            return heads.write(self, node)
        except CannotLower as error:
            error.writing = node if error.node == error.writing else error.writing
            raise

    def _embedding(self, node: int, name: str) -> OneHot:
        values = self.values.info[node].values
        dirs = tuple(BasisDirection(name, v) for v in values)
        self.columns[node] = list(dirs)
        none = np.zeros(len(dirs))
        return OneHot(node, dirs, np.arange(len(dirs)), none, none, 0.0, EMBEDDED)

    def as_number(self, node: int) -> Number:
        """The node as a functional that reads its numbers."""
        return self._number(node).folded(self.values.info[node].values)

    def _number(self, node: int) -> Number:
        if node in self.number and not self.number[node].raw:
            return self.number[node]
        if self.is_numeric(node):
            number = self.raw(node)
            assert isinstance(number, Number)
            if not number.raw:
                return number
        elif len(self.leaves(node)) <= 1 and self.number_leaf(self.leaves(node)) is None:
            return self._sum(node, self.view(node))
        if self.clean and len(self.values.info[node].values) <= CLEANED_NUMBERS:
            return self._sum(node, self.for_attention(node))
        from tracr_lite.compiler.lowering.mlps import write_number

        write = assumed_number if node in self.assumed else write_number
        self.number[node] = number = write(self, node)
        return number

    def _sum(self, node: int, view: View) -> Number:
        """A one-hot node as a number: the sum of value times indicator."""
        values = self.values.info[node].values
        coefs = np.full(len(view.form.dirs), np.nan)
        flags: dict[int, np.ndarray] = {}
        codes = np.array([self.float(node, v) if is_number(v) else 0.0 for v in values])
        for base, at in enumerate(view.ids.tolist()):
            column = int(view.form.group[base])
            if at == ERR:
                continue
            new = codes[at] if is_number(values[at]) else 0.0
            if not (np.isnan(coefs[column]) or coefs[column] == new):
                raise Split({view.form.node})
            coefs[column] = new
            if not is_number(values[at]):
                flags.setdefault(at, np.zeros(len(coefs)))[column] = 1.0
        form, coefs = view.form, np.nan_to_num(coefs)
        largest = float(np.abs(coefs).max(initial=0.0))
        return Number(
            node,
            Functional(form.dirs, coefs, form.at_bos),
            {at: Functional(form.dirs, c, form.at_bos) for at, c in flags.items()},
            codes,
            False,
            absolute=largest * form.spread,
            relative=2.0**-23,
            flag_error=form.error,
            slot=form.slot,
        )

    def _linear(self, node: int) -> Number:
        kind = self.values.nodes[node]
        assert isinstance(kind, Pointwise) and kind.linear is not None
        parts = [self.as_number(i) for i in kind.inputs]
        factors = kind.linear
        read = parts[0].read.scaled(factors[0]).plus(parts[1].read.scaled(factors[1]))
        relative = max(p.relative for p in parts) + 2.0**-22
        error = sum(abs(f) * p.absolute for f, p in zip(factors, parts, strict=True))
        if not self._one_sign(kind.inputs, factors):
            reach = [self.reach(i) * abs(f) for i, f in zip(kind.inputs, factors, strict=True)]
            error, relative = error + relative * sum(reach), 2.0**-23
        values = self.values.info[node].values
        codes = np.array([self.float(node, v) for v in values])
        return Number(
            node,
            read,
            {},
            codes,
            False,
            absolute=error,
            relative=relative,
            flag_error=0.0,
            slot=max(p.slot for p in parts),
        )

    def _one_sign(self, nodes: tuple[int, ...], factors: tuple[float, float]) -> bool:
        """Whether the terms of a sum cannot cancel."""
        ends: list[float] = []
        for node, factor in zip(nodes, factors, strict=True):
            info = self.values.info[node]
            ends += [factor * x for x in (*info.values, *(info.span or ())) if is_number(x)]
        return min(ends, default=0.0) >= 0 or max(ends, default=0.0) <= 0

    def direction(self, node: int, value: Any) -> BasisDirection:
        """The residual direction of one value of a node, recorded as such."""
        label = self.values.labels[node]
        found = direction_of(label, value)
        if found in self.value_of:  # an equal value of another type
            found = direction_of(f"{label}<{type(value).__name__}>", value)
        self.value_of[found] = value
        self.columns.setdefault(node, []).append(found)
        return found

    def groups(self, node: int) -> tuple[list[Any], np.ndarray]:
        """Values that get a direction each (typed apart if the node is split), and which is whose."""
        values = self.values.info[node].values
        if node in self.split:
            return list(values), np.arange(len(values))
        if node == self.loose:
            values_of = clusters(values)
            values = [values_of[typed_key(v)] for v in values]
        first: dict[Any, int] = {}
        group = [first.setdefault(v, len(first)) for v in values]
        return list(first), np.array(group, np.int64)

    def counts(self, node: int, value: Any) -> bool:
        """Whether a value stands as a number; where types are told apart, only floats do."""
        return is_number(value) and (node not in self.split or isinstance(value, float))

    def reach(self, node: int) -> float:
        """Largest magnitude of the node's numbers."""
        info = self.values.info[node]
        known = [abs(self.float(node, v)) for v in info.values if is_number(v)]
        return max([*known, *(abs(x) for x in info.span or ())], default=0.0)

    def float(self, node: int, value: Any) -> float:
        """A number as float32 can hold it."""
        try:
            found = float(value)
        except OverflowError:
            found = float("inf")
        if abs(found) > 3e38 or (found != 0.0 and abs(found) < 1e-37):
            raise CannotLower(
                node,
                f"the number {value!r} is outside the range of float32",
                "scale it, or keep it categorical",
            )
        return found


def assumed(lowering: Lowering, node: int) -> OneHot:
    """A one-hot form that nothing writes, for a node whose problem is already noted."""
    values, group = lowering.groups(node)
    dirs = tuple(lowering.direction(node, v) for v in values)
    none = np.zeros(len(dirs))
    return OneHot(node, dirs, group, none, none, 0.0, EMBEDDED)


def assumed_number(lowering: Lowering, node: int) -> Number:
    """As `assumed`, for a number."""
    own, none = (BasisDirection(lowering.values.labels[node]),), np.zeros(1)
    info = lowering.values.info[node]
    codes = np.array([float(v) if is_number(v) and abs(v) < 1e30 else 0.0 for v in info.values])
    flags = {
        i: Functional((lowering.direction(node, v),), np.ones(1), none)
        for i, v in enumerate(info.values)
        if not is_number(v)
    }
    read = Functional(own, np.ones(1), none)
    lowering.columns.setdefault(node, []).extend(own)
    return Number(
        node,
        read,
        flags,
        codes,
        False,
        absolute=0.0,
        relative=0.0,
        flag_error=0.0,
        slot=EMBEDDED,
    )
