"""Attention blocks: aggregates and widths of a conjunction of Selects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tracr_lite.compiler.graph import Aggregate, Source, Width
from tracr_lite.compiler.lowering.forms import (
    Functional,
    HeadBlock,
    Number,
    OneHot,
    View,
    order_in,
)
from tracr_lite.compiler.lowering.lower import Lowering
from tracr_lite.compiler.lowering.problems import Split
from tracr_lite.compiler.lowering.proved_heads import copied, counted
from tracr_lite.compiler.lowering.proved_means import Averaged, averaged, numbers_of
from tracr_lite.compiler.lowering.scores import Rows, Scored, score_of
from tracr_lite.compiler.lowering.selectors import select_all
from tracr_lite.compiler.lowering.written import WrittenHead
from tracr_lite.compiler.values.domain import ERR, checked, is_number, typed_key
from tracr_lite.craft.bases import BasisDirection, VectorSpaceWithBasis
from tracr_lite.craft.vectorspace_fns import Linear

WIDTH_VALUE = "1/(1+width)"


def write(lowering: Lowering, node: int) -> OneHot | Number:
    """Adds the head that computes an Aggregate, a Width or the length."""
    kind = lowering.values.nodes[node]
    match kind:
        case Source():
            return _width(lowering, node, select_all(lowering))
        case Width(selector=selector):
            return _width(lowering, node, selector)
        case Aggregate() if lowering.is_numeric(node):
            return _mean(lowering, node, kind)
        case Aggregate():
            return _copy(lowering, node, kind)
        case _:
            raise AssertionError(f"{kind} is no attention node")


def _head(
    lowering: Lowering,
    node: int,
    selector: int,
    scored: Scored,
    value: Rows,
    dirs: list[BasisDirection],
    read: View | Number | None,
) -> int:
    """Adds the head. `value`: its value matrix; `read`: the same as what it reads."""
    form = read.form if isinstance(read, View) else read
    slot = max(-1 if form is None else form.slot, scored.slot)
    slot = slot + 1 if slot % 2 else slot + 2
    source, matrix = value.space()
    out = VectorSpaceWithBasis(dirs)
    w_ov = Linear(source, out, matrix[:, order_in(dirs, out)])
    lowering.blocks.append(HeadBlock(slot, (node,), selector, scored.w_qk, w_ov, scored.gap))
    lowering.notes.append(WrittenHead(scored.matches, scored.counts_bos, dirs, read))
    return slot


def _width(lowering: Lowering, node: int, selector: int) -> Number:
    scored = score_of(lowering, selector, count_bos=True)
    raw = BasisDirection(lowering.values.labels[node], WIDTH_VALUE)
    lowering.columns.setdefault(node, []).append(raw)
    value = Rows(1)
    value.at(lowering.bos)[0] = 1.0
    slot = _head(lowering, node, selector, scored, value, [raw], None)
    codes = 1.0 / (1.0 + np.array(lowering.values.info[node].values, float))
    return Number(
        node,
        Functional.of_column(raw, 1.0),
        {},
        codes,
        True,
        absolute=0.0,
        relative=scored.error,
        flag_error=0.0,
        slot=slot,
        proved=counted(scored.proved),
    )


def _put(rows: Rows, functional: Functional, bos: BasisDirection, column: int) -> None:
    for d, coef in zip(functional.dirs, functional.coefs.tolist(), strict=True):
        rows.at(d)[column] += coef
    rows.at(bos)[column] -= functional.bos


@dataclass(frozen=True)
class _Columns:
    """Where a mean is written: its number, if it can be one, and a flag per other value id."""

    number: BasisDirection | None
    flags: dict[int, BasisDirection]

    @property
    def dirs(self) -> list[BasisDirection]:
        own = [] if self.number is None else [self.number]
        return [*own, *self.flags.values()]

    def reads(self, held: np.ndarray) -> tuple[Functional, dict[int, Functional]]:
        """How the number and the flags are read; `held`: what the columns hold at BOS."""
        if self.number is None:
            number, rest = Functional.of_column(None), held
        else:
            number, rest = Functional.of_column(self.number, float(held[0])), held[1:]
        flags = zip(self.flags.items(), rest.tolist(), strict=True)
        return number, {i: Functional.of_column(d, at_bos) for (i, d), at_bos in flags}


def _mean(lowering: Lowering, node: int, kind: Aggregate) -> Number:
    scored = score_of(lowering, kind.selector, count_bos=False)
    inner = lowering.as_number(kind.value)
    columns = _mean_columns(lowering, node)
    rows, held = _mean_rows(lowering, node, kind, inner, columns)
    slot = _head(lowering, node, kind.selector, scored, rows, columns.dirs, inner)
    fallback = 0.0 if columns.number is None else float(held[0])
    of = numbers_of(lowering, node, kind, fallback)
    absolute, relative = _mean_error(lowering, kind, inner, scored, of)
    read, flags = columns.reads(held)
    shape = (len(rows.place), len(columns.dirs))
    proved = averaged(
        inner.proved,
        scored.proved,
        of,
        shape,
        flags=(bool(inner.flags), bool(columns.flags)),
        subtracted=abs(inner.read.bos),
        columns=len(inner.dirs) + 1,
    )
    return Number(
        node,
        read,
        flags,
        lowering.counted(node)[0],
        False,
        absolute=absolute,
        relative=relative,
        flag_error=scored.error + inner.flag_error,
        slot=slot,
        proved=proved,
    )


def _mean_columns(lowering: Lowering, node: int) -> _Columns:
    info = lowering.values.info[node]
    own = None
    _, numbers = lowering.counted(node)
    if info.span is not None or numbers.any():
        own = BasisDirection(lowering.values.labels[node])
        lowering.columns.setdefault(node, []).append(own)
    others = [(i, info.values[i]) for i in np.flatnonzero(~numbers).tolist()]
    return _Columns(own, {i: lowering.direction(node, v) for i, v in others})


def _mean_rows(
    lowering: Lowering, node: int, kind: Aggregate, inner: Number, columns: _Columns
) -> tuple[Rows, np.ndarray]:
    """What the head reads for each column, and what the columns hold at BOS: the default."""
    values, default = lowering.values.info[node].values, checked(kind.default)
    place = {d: at for at, d in enumerate(columns.dirs)}
    by_value = {typed_key(values[i]): place[d] for i, d in columns.flags.items()}
    rows, held = Rows(len(place)), np.zeros(len(place))
    rows.at(lowering.bos)
    if columns.number is not None:
        _put(rows, inner.read, lowering.bos, 0)
    for i, functional in inner.flags.items():
        at = by_value.get(typed_key(lowering.values.info[kind.value].values[i]))
        if at is not None:
            _put(rows, functional, lowering.bos, at)
    empty = int(lowering.values.selected[kind.selector].widths.low.min()) == 0
    if empty and lowering.counts(node, default):
        held[0] = lowering.as_float(node, default)
    elif empty:
        held[by_value[typed_key(default)]] = 1.0
    rows.at(lowering.bos)[:] += held
    return rows, held


def _mean_error(
    lowering: Lowering, kind: Aggregate, inner: Number, scored: Scored, of: Averaged
) -> tuple[float, float]:
    """(absolute, relative) error of a mean; numbers of one sign cannot cancel."""
    reach = max(lowering.reach(kind.value), of.fallback)
    most = int(lowering.values.selected[kind.selector].widths.high.max())
    # A sum of equal terms (of truth values, say) has partial sums of half its size on average.
    terms = most / 2 if len({v for v in of.values if v}) <= 1 else most
    error = scored.error + inner.relative + (terms + 3) * 2.0**-24
    if of.one_sign:
        return inner.absolute + reach * scored.leak, error
    return inner.absolute + reach * error, 2.0**-22


def _copy(lowering: Lowering, node: int, kind: Aggregate) -> OneHot:
    scored = score_of(lowering, kind.selector, count_bos=False)
    view = lowering.view(kind.value)
    values, group = lowering.groups(node)
    info, inner = lowering.values.info[node], lowering.values.info[kind.value]
    shown = _as_written(values, inner.values)
    dirs = tuple(lowering.direction(node, v) for v in shown)
    ids = {typed_key(v): i for i, v in enumerate(info.values)}
    rows = Rows(len(dirs))
    held = np.zeros(len(dirs))
    rows.at(lowering.bos)
    for base, at in enumerate(view.ids.tolist()):
        if at == ERR:
            continue
        value = inner.values[at]
        result = ids.get(typed_key(float(value) if is_number(value) else value))
        if result is None:
            continue
        row = rows.at(view.form.dirs[int(view.form.group[base])])
        if row.any() and row[group[result]] == 0.0:
            raise Split({view.form.node})
        row[group[result]] = 1.0
    for d, at_bos in zip(view.form.dirs, view.form.at_bos.tolist(), strict=True):
        if at_bos and d in rows.place:
            rows.at(lowering.bos)[:] -= at_bos * rows.at(d)
    empty = int(lowering.values.selected[kind.selector].widths.low.min()) == 0
    if empty:
        held[group[ids[typed_key(checked(kind.default))]]] = 1.0
    rows.at(lowering.bos)[:] += held
    slot = _head(lowering, node, kind.selector, scored, rows, list(dirs), view)
    errors = np.full(len(dirs), view.form.error + scored.error)
    spread = view.form.spread + 2 * scored.error
    shape = (len(rows.place), len(dirs))
    read = len(view.form.dirs)
    proved = copied(view.form.proved, scored.proved, shape, read, default=empty)
    return OneHot(node, dirs, group, held, errors, spread, slot, proved)


def _as_written(values: list[Any], inner: list[Any]) -> list[Any]:
    """Copied numbers are floats in RASP; they are labelled like the values they copy."""
    original = {v: v for v in inner if is_number(v)}
    return [original.get(v, v) if is_number(v) else v for v in values]
