"""Attention blocks: aggregates and widths of a conjunction of Selects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracr_lite.compiler.graph import Aggregate, Source, Width
from tracr_lite.compiler.lowering.copies import copy
from tracr_lite.compiler.lowering.forms import (
    Functional,
    Number,
    OneHot,
)
from tracr_lite.compiler.lowering.head_reads import Reads, add_head, stacked_rows
from tracr_lite.compiler.lowering.lower import Lowering
from tracr_lite.compiler.lowering.proved_heads import counted
from tracr_lite.compiler.lowering.proved_means import Averaged, averaged, numbers_of
from tracr_lite.compiler.lowering.scores import Scored, score_of
from tracr_lite.compiler.lowering.selectors import select_all
from tracr_lite.compiler.values.domain import checked, typed_key
from tracr_lite.craft.bases import BasisDirection

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
            return copy(lowering, node, kind)
        case _:
            raise AssertionError(f"{kind} is no attention node")


def _width(lowering: Lowering, node: int, selector: int) -> Number:
    scored = score_of(lowering, selector, count_bos=True)
    raw = BasisDirection(lowering.values.labels[node], WIDTH_VALUE)
    lowering.columns.setdefault(node, []).append(raw)
    value = Reads([lowering.bos], [raw], np.ones((1, 1)))
    slot = add_head(lowering, node, selector, scored, value, None)
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
    value, held = _mean_rows(lowering, node, kind, inner, columns)
    slot = add_head(lowering, node, kind.selector, scored, value, inner)
    fallback = 0.0 if columns.number is None else float(held[0])
    of = numbers_of(lowering, node, kind, fallback)
    absolute, relative = _mean_error(lowering, kind, inner, scored, of)
    read, flags = columns.reads(held)
    shape = value.matrix.shape
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
) -> tuple[Reads, np.ndarray]:
    """What the head reads for each column, and what the columns hold at BOS: the default."""
    values, default = lowering.values.info[node].values, checked(kind.default)
    dirs = columns.dirs
    place = {d: at for at, d in enumerate(dirs)}
    by_value = {typed_key(values[i]): place[d] for i, d in columns.flags.items()}
    wanted = [] if columns.number is None else [(0, inner.read)]
    for i, functional in inner.flags.items():
        at = by_value.get(typed_key(lowering.values.info[kind.value].values[i]))
        if at is not None:
            wanted.append((at, functional))
    names, matrix = stacked_rows(lowering.bos, wanted, len(dirs))
    held = np.zeros(len(dirs))
    empty = lowering.values.selected[kind.selector].widths.least == 0
    if empty and lowering.counts(node, default):
        held[0] = lowering.as_float(node, default)
    elif empty:
        held[by_value[typed_key(default)]] = 1.0
    matrix[0] += held
    return Reads(names, dirs, matrix), held


def _mean_error(
    lowering: Lowering, kind: Aggregate, inner: Number, scored: Scored, of: Averaged
) -> tuple[float, float]:
    """(absolute, relative) error of a mean; numbers of one sign cannot cancel."""
    reach = max(lowering.reach(kind.value), of.fallback)
    most = lowering.values.selected[kind.selector].widths.most
    # A sum of equal terms (of truth values, say) has partial sums of half its size on average.
    terms = most / 2 if len({v for v in of.values if v}) <= 1 else most
    error = scored.error + inner.relative + (terms + 3) * 2.0**-24
    if of.one_sign:
        return inner.absolute + reach * scored.leak, error
    return inner.absolute + reach * error, 2.0**-22
