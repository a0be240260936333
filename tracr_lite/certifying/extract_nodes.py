"""Nodes of the residual stream and their states, from the forms that lowering wrote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from tracr_lite.certifying.claims import (
    ATTENTION,
    BOS,
    EMBEDDINGS,
    INDICES,
    MLP,
    ONE,
    TOKENS,
    Half,
    Held,
    Sum,
)
from tracr_lite.compiler.graph import Aggregate, Node, Source
from tracr_lite.compiler.lowering.forms import Blocks, Form, Functional, Number, OneHot
from tracr_lite.compiler.trace_of import CompileTrace
from tracr_lite.compiler.values.domain import is_number
from tracr_lite.compiler.values.state import Info
from tracr_lite.craft import conventions
from tracr_lite.craft.bases import BasisDirection

SAME = 1e-12  # relative distance of sums of float64 that were added up in different orders


class Uncovered(Exception):
    """Something that certificates have no claim for; says what."""


@dataclass
class Nodes:
    """The forms of a lowered program as nodes; each direction has a node and a place in it."""

    blocks: Blocks
    trace: CompileTrace
    held: list[Held] = field(default_factory=list[Held])
    place: dict[BasisDirection, tuple[int, int]] = field(
        default_factory=dict[BasisDirection, tuple[int, int]]
    )
    sums: dict[str, Sum] = field(default_factory=dict[str, Sum])
    problems: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    forms: dict[str, Form] = field(default_factory=dict[str, Form])
    states: dict[str, np.ndarray] = field(default_factory=dict[str, np.ndarray])

    @classmethod
    def of(cls, blocks: Blocks, trace: CompileTrace, bos: str | None) -> Nodes:
        """All nodes, the constant and BOS first."""
        nodes = cls(blocks, trace)
        nodes._constant(ONE, BasisDirection(conventions.ONE), 1.0)
        nodes._constant(BOS, BasisDirection(conventions.TOKENS, bos), 0.0)
        for form in blocks.forms:
            if form.dirs and not nodes.known(form.dirs):
                continue
            nodes._one_hot(form) if isinstance(form, OneHot) else nodes._numbers(form)
        return nodes

    def known(self, dirs: Sequence[BasisDirection]) -> bool:
        """Whether there are columns of that name; what nobody writes or reads has none."""
        return any(d in self.trace.space for d in dirs)

    def columns(self, dirs: Sequence[BasisDirection]) -> np.ndarray:
        """Residual columns, in the order of `dirs`."""
        at = self.trace.space.index_by_direction
        return np.array([at[d] for d in dirs], np.int64)

    def name_of(self, direction: BasisDirection) -> str:
        """The node that a direction belongs to."""
        if direction not in self.place:
            raise Uncovered(f"{direction} is a column that no form is known for")
        return self.held[self.place[direction][0]].name

    def kind_of(self, form: Form) -> str:
        """`tokens` or `indices`."""
        kind = self.trace.values.nodes[form.node]
        assert isinstance(kind, Source), "only sources are embedded"
        return kind.kind

    def written_number(self, name: str) -> Number:
        form = self.forms[name]
        assert isinstance(form, Number)
        return form

    def number(self, number: Number) -> tuple[str, np.ndarray] | None:
        """The node that a number is read from, a sum if it has to be; the state of each id.

        None if it is a constant, for which nothing has to be read.
        """
        for name, form in self.forms.items():
            if form is number or (isinstance(form, Number) and _same(form, number)):
                return name, self.states[name]
        if number.flags or not number.read.dirs:
            raise Uncovered("it reads a combination of numbers and of values that are none")
        return self._sum(number)

    def parts_of(self, read: Functional) -> tuple[dict[str, np.ndarray], float]:
        """The factors of the columns of each node that is read, and a constant."""
        factors: dict[str, np.ndarray] = {}
        for d, coef in zip(read.dirs, read.coefs.tolist(), strict=True):
            name, at = self.name_of(d), self.place[d][1]
            held = self.held[self.place[d][0]]
            factors.setdefault(name, np.zeros(len(held.columns)))[at] += coef
        constant = float(factors.pop(ONE, np.zeros(1))[0])
        factors.pop(BOS, None)  # zero wherever there is a token
        return {name: found for name, found in factors.items() if found.any()}, constant

    def _sum(self, number: Number) -> tuple[str, np.ndarray] | None:
        factors, constant = self.parts_of(number.read)
        if not factors:
            return None
        if not len(number.codes):
            raise Uncovered("it reads a combination of numbers that are too many to list")
        name = f"{self.blocks.labels[number.node]} (read)"
        made = Sum(name, tuple(factors), tuple(factors.values()), number.codes - constant)
        self.sums[name] = made
        return name, np.arange(len(number.codes))

    def states_of(
        self, name: str, dirs: Sequence[BasisDirection], code: np.ndarray
    ) -> np.ndarray:
        """The state of a node for each row of a code over `dirs`."""
        held = next(each for each in self.held if each.name == name)
        order = [self.place[d][1] for d in dirs]
        rows = np.zeros((len(code), len(held.columns)))
        rows[:, order] = code
        if held.one_hot:
            return np.argmax(rows, axis=1)
        known = {row.tobytes(): at for at, row in enumerate(held.states + 0.0)}
        found = [known.get(row.tobytes()) for row in rows + 0.0]
        # a code that is no value of the node belongs to rows that do not occur
        return np.array(
            [
                _nearest(held, row) if at is None else at
                for at, row in zip(found, rows, strict=True)
            ],
            np.int64,
        )

    def _constant(self, name: str, direction: BasisDirection, value: float) -> None:
        self.place[direction] = (len(self.held), 0)
        column, state = self.columns([direction]), np.array([[value]])
        bos = np.ones(1)
        self.held.append(Held(name, column, state, bos, -1, EMBEDDINGS, False, 0, True))

    def _name(self, form: Form) -> str:
        if form.slot < 0:
            return {"tokens": TOKENS, "indices": INDICES}[self.kind_of(form)]
        label = self.blocks.labels[form.node]
        taken = sum(each.name.split(" /")[0] == label for each in self.held)
        return label if not taken and label not in (ONE, BOS) else f"{label} /{taken + 1}"

    def _add(self, form: Form, dirs: Sequence[BasisDirection], held: Held) -> None:
        for at, d in enumerate(dirs):
            self.place[d] = (len(self.held), at)
        self.held.append(held)
        self.forms[held.name] = form

    def _one_hot(self, form: OneHot) -> None:
        layer, half = where(form.slot)
        held = Held(
            self._name(form),
            self.columns(form.dirs),
            np.eye(len(form.dirs)),
            form.at_bos,
            layer,
            half,
            True,
            0,
            True,
        )
        self._add(form, form.dirs, held)

    def _numbers(self, form: Number) -> None:
        layer, half = where(form.slot)
        dirs = form.dirs
        info = self.trace.values.info[form.node]
        rows = np.zeros((len(form.codes), len(dirs)))
        first = len(form.read.dirs)
        if first:
            rows[:, 0] = form.codes
        for at, i in enumerate(form.flags):
            rows[i, first + at] = 1.0
        states, which = np.unique(rows, axis=0, return_inverse=True)
        name = self._name(form)
        if info.span is not None:
            if not info.least > 0.0:
                self.problems.append(
                    (name, "its numbers may come as close to zero as they like")
                )
            ends = _ends(info, self.trace.values.nodes[form.node])
            listed = np.zeros((len(ends), len(dirs)))
            listed[:, 0] = ends
            states = np.concatenate([states, listed])
        at_bos = np.concatenate([form.read.at_bos, *(f.at_bos for f in form.flags.values())])
        self.states[name] = np.asarray(which).ravel()
        held = Held(
            name,
            self.columns(dirs),
            states,
            at_bos,
            layer,
            half,
            False,
            first,
            info.span is None,
        )
        self._add(form, dirs, held)


def _nearest(held: Held, row: np.ndarray) -> int:
    """The state that differs by rounding only; -1 if there is none."""
    off = np.abs(held.states - row).max(axis=1, initial=0.0)
    at = int(np.argmin(off))
    return at if off[at] <= SAME * np.abs(row).max(initial=0.0) else -1


def _ends(info: Info, kind: Node) -> np.ndarray:
    """The numbers that bound a span: the ends, zero, the least besides zero, the default."""
    assert info.span is not None
    low, high = info.span
    found = [low, high, 0.0, info.least, -info.least]
    if isinstance(kind, Aggregate) and is_number(kind.default):
        found.append(float(kind.default))
    return np.unique([x for x in found if low <= x <= high] + [low, high])


def _same(one: Number, other: Number) -> bool:
    """Whether two numbers are read from the same columns, in the same way."""
    return (
        one.node == other.node
        and one.read.dirs == other.read.dirs
        and np.array_equal(one.read.coefs, other.read.coefs)
        and np.array_equal(one.codes, other.codes)
        and list(one.flags) == list(other.flags)
    )


def where(slot: int) -> tuple[int, Half]:
    """Layer and half of a half-layer number."""
    if slot < 0:
        return -1, EMBEDDINGS
    return slot // 2, (MLP if slot % 2 else ATTENTION)
