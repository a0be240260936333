"""What every column of the residual stream should hold on one input, and how exactly.

    after half-layer s:   column = its value   if it was written in s or before
                                   0           else

The value follows from the value of the column's node and from the form in which the compiler
wrote it there; the slack from the bounds that the compiler gives for float32.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from tracr_lite.compiler.circuits.known import Known
from tracr_lite.compiler.lowering.forms import EMBEDDED, Form, OneHot
from tracr_lite.compiler.trace_of import CompileTrace
from tracr_lite.compiler.values.domain import is_number
from tracr_lite.craft.bases import BasisDirection
from tracr_lite.craft.conventions import INDICES, ONE, TOKENS

NOBODY = -1  # the node of a column that belongs to none
ROUNDING = 2.0**-22  # relative, of what is stored and added in float32
ONE_HOT = 1e-6  # absolute, of a column that is 0 or 1


@dataclass(frozen=True)
class Ideal:
    """The stream of one input, BOS first.

    **Arguments:**
    - `columns`: what each holds once it is written; `slack`: how far it may be off.
    - `slots`: the half-layer that writes it, `EMBEDDED` for the embeddings.
    - `nodes`: the node that it belongs to, or `NOBODY`.
    - `forms`: the form that it belongs to; none for a column of the embeddings alone.
    - `outside`: where a node has a value that the compiler did not infer: (node, position).
    """

    columns: Float[np.ndarray, "seq d_model"]
    slack: Float[np.ndarray, "seq d_model"]
    slots: Int[np.ndarray, " d_model"]
    nodes: Int[np.ndarray, " d_model"]
    forms: dict[int, Form]
    outside: tuple[tuple[int, int], ...]

    def after(self, slot: int) -> Float[np.ndarray, "seq d_model"]:
        """The stream after a half-layer; after the embeddings for `EMBEDDED`."""
        return np.where(self.slots <= slot, self.columns, 0.0)

    def wrong(
        self, stream: Float[np.ndarray, "seq d_model"], slot: int
    ) -> Bool[np.ndarray, "seq d_model"]:
        """Where a stream after a half-layer is not what it should be; NaN never is."""
        off = np.abs(stream - self.after(slot))
        return ~(off <= np.where(self.slots <= slot, self.slack, ONE_HOT))


def ideal(trace: CompileTrace, tokens: Sequence[Any], values: Mapping[int, list[Any]]) -> Ideal:
    """The ideal stream.

    **Arguments:** `tokens`: with BOS; `values`: of each node, without BOS.
    """
    own = trace.layers.blocks.forms
    shape = (len(tokens), len(trace.residual_labels))
    columns, slack = np.zeros(shape), np.full(shape, ONE_HOT)
    slots, nodes = np.full(shape[1], EMBEDDED), np.full(shape[1], NOBODY)
    _embed(trace, tokens, columns)
    forms: dict[int, Form] = {}
    known = {form.node: Known(trace.values.info[form.node]) for form in own}
    outside: dict[tuple[int, int], None] = {}
    for form in own:
        dirs = own_columns(form)
        at = trace.space.indices_of(dirs)
        slots[at], nodes[at] = form.slot, form.node
        forms |= dict.fromkeys(at.tolist(), form)
        columns[0, at], slack[0, at] = _at_bos(form)
        for position, value in enumerate(values[form.node]):
            found = encode(form, known[form.node], value)
            if found is None:
                outside[(form.node, position)] = None
            else:
                columns[position + 1, at], slack[position + 1, at] = found
    return Ideal(columns, slack, slots, nodes, forms, tuple(outside))


def _embed(trace: CompileTrace, tokens: Sequence[Any], columns: np.ndarray) -> None:
    """What the embeddings write, read by the program or not."""
    found = trace.space.index_by_direction
    columns[:, found[BasisDirection(ONE)]] = 1.0
    for position, token in enumerate(tokens):
        columns[position, found[BasisDirection(TOKENS, token)]] = 1.0
        if position:
            columns[position, found[BasisDirection(INDICES, position - 1)]] = 1.0


def own_columns(form: Form) -> tuple[BasisDirection, ...]:
    """The columns that hold a form: of a number itself, then of what is none."""
    if isinstance(form, OneHot):
        return form.dirs
    return (*form.read.dirs, *(d for flag in form.flags.values() for d in flag.dirs))


def _at_bos(form: Form) -> tuple[np.ndarray, np.ndarray]:
    """What the columns of a form hold at BOS, and how exactly."""
    if isinstance(form, OneHot):
        held, error = form.at_bos, form.errors
    else:
        parts = [form.read, *form.flags.values()]
        held = np.concatenate([part.at_bos for part in parts])
        error = form.absolute + form.relative * np.abs(held)
    return held, error + ROUNDING * np.abs(held) + ONE_HOT


def encode(form: Form, known: Known, value: Any) -> tuple[np.ndarray, np.ndarray] | None:
    """The columns of a form where its node has a value, and how exactly.

    **Returns:** None if the form has no such value.
    """
    at = known.id_of(value)
    if isinstance(form, OneHot):
        if at is None:
            return None
        held = np.zeros(len(form.dirs))
        held[form.group[at]] = 1.0
        return held, form.errors + ONE_HOT
    flags = np.array([float(at == i) for i in form.flags])
    if at is not None:
        number = 0.0 if at in form.flags else float(form.codes[at])
    elif known.info.span is not None and is_number(value):
        number = float(value)
    else:
        return None
    size = len(form.read.dirs)
    held = np.concatenate([np.full(size, number), flags])
    error = np.full(len(held), form.flag_error + ONE_HOT)
    error[:size] = form.absolute + (form.relative + ROUNDING) * abs(number)
    return held, error
