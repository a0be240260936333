"""Stage 3, lower: decides what is written to the residual stream, when, and in which form.

Lowering starts at the output and asks for what it needs. Attention results are always written.
A pointwise node is written only if something cannot read it through the columns of the one node
it depends on: Maps below attention are read through, chains of Maps and SequenceMaps become one
MLP.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from tracr_lite.compiler.graph import Node, Pointwise, Source
from tracr_lite.compiler.lowering import assumed
from tracr_lite.compiler.lowering.forms import Number, OneHot, View
from tracr_lite.compiler.lowering.problems import CannotLower
from tracr_lite.compiler.lowering.readings import linear_of, sum_of
from tracr_lite.compiler.lowering.resuming import Mark, marked
from tracr_lite.compiler.lowering.state import State
from tracr_lite.compiler.values.domain import ERR

CLEANED_NUMBERS = 512  # values of a number that is read from cleaned one-hots


@dataclass(frozen=True)
class Writers:
    """Functions that add blocks; as they ask the lowering for inputs, it is handed them."""

    one_hot: Callable[[Lowering, int], OneHot]
    number: Callable[[Lowering, int], Number]
    clean: Callable[[Lowering, OneHot], OneHot]
    attention: Callable[[Lowering, int], OneHot | Number]


@dataclass
class Lowering(State):
    """Decides the form of each node when it is asked for, and has it written."""

    writers: Writers = field(kw_only=True)
    mark: Mark | None = None

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
            self.write_one_hot(node)
        form = self.one_hot[node]
        return View(form, np.arange(len(form.group)))

    def write_one_hot(self, node: int) -> None:
        """Writes the node one-hot into columns of its own."""
        write = assumed.one_hot if node in self.assumed else self.writers.one_hot
        self.one_hot[node] = self.wrote(write(self, node))

    def _ids(self, node: int, leaves: tuple[int, ...]) -> np.ndarray:
        table = self.table(node, leaves)
        ids = np.full(len(self.values.info[leaves[0]].values), ERR, np.int64)
        ids[table.frame.codes] = table.ids
        return ids

    def for_attention(self, node: int) -> View:
        """As `view`, cleaned by an MLP where that is asked for."""
        view = self.view(node)
        if view.form.spread == 0.0:
            return view
        if not self.may_clean():
            return view
        base = view.form.node
        if base not in self.cleaned:
            self.cleaned[base] = self.wrote(self.writers.clean(self, view.form))
        return View(self.cleaned[base], view.ids)

    def may_clean(self) -> bool:
        """Whether `clean` is asked for, where it makes a difference."""
        if not self.cleanable:
            assert not self.waiting, "what was begun was asked for again"
            self.cleanable = True
            self.mark = None if self.clean else marked(self)
        return self.clean

    def raw(self, node: int) -> OneHot | Number:
        """The node as attention or the embeddings leave it."""
        if node in self.one_hot and not self.is_numeric(node):
            return self.one_hot[node]
        if node in self.number:
            return self.number[node]
        kind = self.values.nodes[node]
        if isinstance(kind, Source) and kind.kind != "length":
            self.one_hot[node] = form = self.embedding(node, kind.kind)
            return form
        if self.is_linear(node):
            self.number[node] = number = self._linear(node, kind)
            return number
        found = self._attend(node)
        if isinstance(found, OneHot):
            self.one_hot[node] = found
        else:
            self.number[node] = found
        return found

    def _attend(self, node: int) -> OneHot | Number:
        if node in self.assumed:
            take = assumed.number if self.is_numeric(node) else assumed.one_hot
            return take(self, node)
        begun = len(self.begun)
        try:
            form = self.wrote(self.writers.attention(self, node))
        except CannotLower as error:
            error.writing = node if error.node == error.writing else error.writing
            raise
        del self.begun[begun:]
        return form

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
            return sum_of(self, node, self.view(node))
        if len(self.values.info[node].values) <= CLEANED_NUMBERS:
            if self.may_clean():
                return sum_of(self, node, self.for_attention(node))
        write = assumed.number if node in self.assumed else self.writers.number
        self.replaced |= node in self.number
        self.number[node] = number = self.wrote(write(self, node))
        return number

    def _linear(self, node: int, kind: Node) -> Number:
        assert isinstance(kind, Pointwise), f"{kind} is not linear"
        assert kind.linear is not None, f"{kind} is not linear"
        parts = [self.as_number(i) for i in kind.inputs]
        return linear_of(self, node, kind.inputs, kind.linear, parts)
