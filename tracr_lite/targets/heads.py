"""Attention: aggregates and widths, whatever the architecture scores them with."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from tracr_lite.compiler.graph import Aggregate, Pointwise, Select, Source, Width
from tracr_lite.compiler.lowering.forms import Functional, Number, OneHot
from tracr_lite.compiler.lowering.lower import Lowering
from tracr_lite.compiler.lowering.problems import CannotLower, Split
from tracr_lite.compiler.values.domain import ERR, checked, is_number, typed_key
from tracr_lite.compiler.values.infer import add_node
from tracr_lite.craft.bases import BasisDirection
from tracr_lite.targets.adding import add_head
from tracr_lite.targets.latest import latest_of
from tracr_lite.targets.lowering import StockLowering, stock
from tracr_lite.targets.rows import Row, column, constant, reading, total
from tracr_lite.targets.scores import score_of
from tracr_lite.targets.visible import conjuncts, offset_of

SCORED = 2.0**-16  # what rounding in a LayerNorm makes of equal scores, relative
WIDTH_VALUE = "1/(1+width)"
NO_LENGTH = (
    "a causal model cannot see how long its input will be",
    "use make_length(), which counts the tokens so far, or after_separator(program)",
)


class Unit:
    """1, from nothing."""

    def __call__(self) -> int:
        return 1


class Same:
    """The identity of a predicate that always holds."""

    def __call__(self, key: Any, query: Any) -> bool:
        return True


def select_all(lowering: Lowering) -> int:
    """A selector that holds everywhere."""
    fill = add_node(lowering.values, Pointwise(Unit(), ()), "one")
    return add_node(lowering.values, Select(fill, fill, Same()), "select_all")


def write(given: Lowering, node: int) -> OneHot | Number:
    """Adds the head that computes an Aggregate or a Width."""
    lowering = stock(given)
    kind = lowering.values.nodes[node]
    match kind:
        case Source():
            raise CannotLower(node, *NO_LENGTH)
        case Width(selector=selector):
            return width(lowering, node, selector)
        case Aggregate() if lowering.is_numeric(node):
            return _mean(lowering, node, kind)
        case Aggregate():
            return _copy(lowering, node, kind)
        case _:
            raise AssertionError(f"{kind} is no attention node")


def width(lowering: StockLowering, node: int, selector: int) -> Number:
    """The head whose output is 1 / (1 + width): BOS is selected as well, and has value 1.

    Where one key at most is selected, at a known distance or as the latest match, the head
    reads the width itself.
    """
    parts = conjuncts(lowering, selector)
    found = any(offset_of(lowering, part) is not None for part in parts)
    raw = not (
        (found and lowering.traits.relative) or latest_of(lowering, selector) is not None
    )
    scored = score_of(lowering, selector, count_bos=raw)
    column = BasisDirection(lowering.values.labels[node], WIDTH_VALUE if raw else None)
    lowering.columns.setdefault(node, []).append(column)
    value = {lowering.bos: 1.0} if raw else constant(lowering.bos)
    slot = add_head(lowering, node, selector, scored, [(value, column)], -1)
    counts = np.array(lowering.values.info[node].values, float)
    return Number(
        node,
        Functional.of_column(column, 1.0 if raw else 0.0),
        {},
        lowering.traits.rounded(1.0 / (1.0 + counts)) if raw else counts,
        raw,
        absolute=0.0,
        relative=lowering.traits.noise,
        flag_error=0.0,
        slot=slot,
    )


def _mean(lowering: StockLowering, node: int, kind: Aggregate) -> Number:
    """The head that averages numbers; values that are none are copied as flags."""
    scored = score_of(lowering, kind.selector, count_bos=False)
    inner = lowering.as_number(kind.value)
    info = lowering.values.info[node]
    codes, numbers = lowering.counted(node)
    rows: list[Row] = []
    dirs: list[BasisDirection] = []
    if info.span is not None or numbers.any():
        dirs.append(BasisDirection(lowering.values.labels[node]))
        lowering.columns.setdefault(node, []).append(dirs[0])
        rows.append(reading(inner.read, lowering.bos))
    flagged: dict[int, int] = {}
    sources = {
        typed_key(lowering.values.info[kind.value].values[i]): f for i, f in inner.flags.items()
    }
    for i in np.flatnonzero(~numbers).tolist():
        flagged[i] = len(dirs)
        dirs.append(lowering.direction(node, info.values[i]))
        source = sources.get(typed_key(info.values[i]))
        rows.append({} if source is None else reading(source, lowering.bos))
    held = _held(lowering, node, kind, len(dirs), flagged)
    value = _with_default(lowering, rows, held, dirs)
    slot = add_head(lowering, node, kind.selector, scored, value, inner.slot)
    absolute, relative = _mean_error(lowering, kind, inner, compared=bool(scored.penalties))
    own = bool(dirs) and len(flagged) < len(dirs)
    read = Functional.of_column(dirs[0], held[0]) if own else Functional.of_column(None)
    flags = {i: Functional.of_column(dirs[at], held[at]) for i, at in flagged.items()}
    return Number(
        node,
        read,
        flags,
        codes,
        False,
        absolute=absolute,
        relative=relative,
        flag_error=4 * lowering.traits.unit * lowering.values.keys.n,
        slot=slot,
    )


def _with_default(
    lowering: StockLowering, rows: list[Row], held: list[float], dirs: Iterable[BasisDirection]
) -> list[tuple[Row, BasisDirection]]:
    """What a head reads for each column it writes; `held` is what it reads at BOS."""
    pairs = zip(rows, held, dirs, strict=True)
    return [(total([row, {lowering.bos: at_bos}]), column) for row, at_bos, column in pairs]


def _held(
    lowering: StockLowering, node: int, kind: Aggregate, size: int, flagged: dict[int, int]
) -> list[float]:
    """What each column of a mean holds at BOS: the default, if nothing may be selected."""
    held = [0.0] * size
    if not _may_be_empty(lowering, kind.selector):
        return held
    default = checked(kind.default)
    if lowering.counts(node, default):
        held[0] = lowering.as_float(node, default)
        return held
    values = lowering.values.info[node].values
    own = next(i for i in flagged if typed_key(values[i]) == typed_key(default))
    held[flagged[own]] = 1.0
    return held


def _may_be_empty(lowering: StockLowering, selector: int) -> bool:
    return int(lowering.values.selected[selector].widths.low.min()) == 0


def _mean_error(
    lowering: StockLowering, kind: Aggregate, inner: Number, *, compared: bool
) -> tuple[float, float]:
    """(absolute, relative) error of a mean; numbers of one sign cannot cancel.

    Partial sums are half of the sum on average, so that n terms round like n / 2; if they are
    all equal, like n / 4 (measured, to n = 1024). Where the norm rounds, scores that are
    `compared` are only nearly equal.
    """
    info = lowering.values.info[kind.value]
    default = checked(kind.default)
    ends = [*(v for v in info.values if is_number(v)), *(info.span or ())]
    ends += [default] if is_number(default) else []
    unit = 2.0**-lowering.traits.bits
    most = int(lowering.values.selected[kind.selector].widths.high.max())
    terms = most / 4 if len({v for v in ends if v}) <= 1 else most / 2
    error = inner.relative + (terms + 4) * unit
    if not lowering.traits.gated:
        error += SCORED if compared else lowering.traits.noise / 8
    if not ends or min(ends) >= 0 or max(ends) <= 0:
        return inner.absolute, error
    return inner.absolute + max(map(abs, ends)) * error, 4 * unit


def _copy(lowering: StockLowering, node: int, kind: Aggregate) -> OneHot:
    """The head that copies the value that all selected keys have."""
    scored = score_of(lowering, kind.selector, count_bos=False)
    view = lowering.view(kind.value)
    values, group = lowering.groups(node)
    info, inner = lowering.values.info[node], lowering.values.info[kind.value]
    dirs = tuple(lowering.direction(node, v) for v in as_written(values, inner.values))
    ids = {typed_key(v): i for i, v in enumerate(info.values)}
    goes: dict[int, int] = {}  # column read -> column written
    for base, at in enumerate(view.ids.tolist()):
        if at == ERR:
            continue
        value = inner.values[at]
        result = ids.get(typed_key(float(value) if is_number(value) else value))
        if result is None:
            continue
        source, target = int(view.form.group[base]), int(group[result])
        if goes.setdefault(source, target) != target:
            raise Split({view.form.node})
    rows: list[Row] = [{} for _ in dirs]
    for source, target in goes.items():
        read = column(view.form.dirs[source], float(view.form.at_bos[source]), lowering.bos)
        rows[target] = total([rows[target], read])
    held = np.zeros(len(dirs))
    if _may_be_empty(lowering, kind.selector):
        held[group[ids[typed_key(checked(kind.default))]]] = 1.0
    value = _with_default(lowering, rows, held.tolist(), dirs)
    slot = add_head(lowering, node, kind.selector, scored, value, view.form.slot)
    single = (
        scored.latest or int(lowering.values.selected[kind.selector].widths.high.max()) <= 1
    )
    unit = lowering.traits.unit + lowering.values.keys.n * 2.0**-24
    error = view.form.error + (0.0 if single else 2 * unit)
    return OneHot(node, dirs, group, held, np.full(len(dirs), error), 0.0, slot)


def as_written(values: list[Any], inner: list[Any]) -> list[Any]:
    """Copied numbers are floats in RASP; they are labelled like the values they copy."""
    original = {v: v for v in inner if is_number(v)}
    return [original.get(v, v) if is_number(v) else v for v in values]
