"""Values of Aggregate nodes: copies of equal values, or means of numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from tracr_lite.compiler.graph import Aggregate
from tracr_lite.compiler.values import relations
from tracr_lite.compiler.values.counting import bounds_by_key
from tracr_lite.compiler.values.domain import BadValue, Domain, checked, is_number
from tracr_lite.compiler.values.linear import unlisted
from tracr_lite.compiler.values.means import means_of
from tracr_lite.compiler.values.pointwise import identity
from tracr_lite.compiler.values.state import Info, Values, numbers_of


def infer_aggregate(values: Values, at: int, node: Aggregate) -> None:
    """Copies the selected value where all selected are equal, else averages numbers."""
    default = checked(node.default)
    if relations.averages(values, node):
        _infer_mean(values, at, node, default)
    else:
        _infer_copy(values, at, node, default)


def _infer_copy(values: Values, at: int, node: Aggregate, default: Any) -> None:
    inner = values.info[node.value]
    domain = Domain()
    ids = np.array([domain.add(_copied(v)) for v in inner.values], np.int64)
    low, high, keyed_of = bounds_by_key(values, values.selected[node.selector].widths)
    fallback = domain.add(default) if (low == 0).any() else None
    member = np.zeros((len(low), len(domain)), bool)
    member[:, ids] = (high > 0)[:, None]
    if fallback is not None:
        member[low == 0, fallback] = True
    used = np.flatnonzero(member.any(axis=0))
    span = _widen(inner.span, default if fallback is not None else None)
    least = _least(inner, span, default if fallback is not None else None, 1) if span else 0.0
    info = Info(
        [domain.values[i] for i in used], identity(at, len(used)), span, inner.mean, least
    )
    values.set_leaf(at, info, keyed_of(member[:, used], len(used)))


def _copied(value: Any) -> Any:
    """The mean of equal values: numbers become floats, as in the evaluator."""
    try:
        return float(value) if is_number(value) else value
    except OverflowError:
        raise BadValue(f"{value!r}, past the range of a float", "use smaller numbers") from None


def _least(inner: Info, span: tuple[float, float], default: Any, count: int) -> float:
    """The least magnitude of a mean of numbers of one sign: one number among zeros."""
    if span[0] < 0 < span[1]:
        return 0.0
    found = inner.smallest / count
    return min(found, abs(float(default))) if is_number(default) and default else found


def _widen(span: tuple[float, float] | None, value: Any) -> tuple[float, float] | None:
    if span is None or not is_number(value):
        return span
    return min(span[0], float(value)), max(span[1], float(value))


def _infer_mean(values: Values, at: int, node: Aggregate, default: Any) -> None:
    inner = values.info[node.value]
    numbers = [_copied(v) for v in numbers_of(inner.values)]
    others = [v for v in inner.values if not is_number(v)]
    low, high, keyed_of = bounds_by_key(values, values.selected[node.selector].widths)
    if (low == 0).any():
        others.append(default)
    means = None
    if inner.span is None:
        means = means_of(numbers, range(max(int(low.min()), 1), int(high.max()) + 1))
    if means is None:
        span = inner.span or (min(numbers), max(numbers))
        span = _widen(span, others[-1] if (low == 0).any() else None)
        rest = Domain.of(v for v in others if not is_number(v)).values
        assert span is not None
        least = _least(inner, span, default if (low == 0).any() else None, int(high.max()))
        values.set_leaf(at, *unlisted(at, rest, span, mean=True, least=least))
        return
    domain = Domain.of_floats(means.values.tolist())
    for value in others:
        domain.add(value)
    member = np.zeros((len(low), len(domain)), bool)
    extra = [domain.add(v) for v in others if not is_number(v)]
    fallback = domain.add(default) if (low == 0).any() else -1
    size = len(means.values)
    for row, (least, most) in enumerate(zip(low.tolist(), high.tolist(), strict=True)):
        member[row, :size] = means.of_counts(least, most)
        if least == 0:
            member[row, fallback] = True
    member[:, extra] = True
    info = Info(domain.values, identity(at, len(domain)), mean=True)
    values.set_leaf(at, info, keyed_of(member, len(domain)))
